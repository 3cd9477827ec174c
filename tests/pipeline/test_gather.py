from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pipeline._gather import gather


def unit(seed: int, trials: int = 4, **changes: object) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    made = xr.Dataset(
        {
            "auc": ("time", rng.random(3), {"units": "1"}),
            "decision": ("presentation", rng.random(trials), {"units": "1"}),
            "pattern": (("neuroid", "time"), rng.random((2, 3)), {"units": "V"}),
        },
        {
            "time": [0.0, 0.1, 0.2],
            "neuroid_id": ("neuroid", ["a", "b"]),
            "position_x": ("neuroid", rng.random(2)),
            "subject": ("presentation", [f"s{seed}"] * trials),
        },
        {"chance": 0.5, "seed": seed},
    )
    return made.assign(changes)


def test_gather_joins_what_agrees_and_says_what_does_not() -> None:
    joined = gather({"b": unit(1), "a": unit(2, trials=5)}, "subject")
    assert list(joined["subject"].values) == ["b", "a"]
    assert joined["auc"].dims == ("subject", "time")
    assert np.array_equal(joined["auc"].sel(subject="a"), unit(2)["auc"])
    assert joined["pattern"].dims == ("subject", "neuroid", "time")
    assert joined["position_x"].dims == ("subject", "neuroid")
    assert joined["neuroid_id"].dims == ("neuroid",)
    assert "decision" not in joined
    assert joined.attrs["left_out"] == ["decision: shapes differ ({'presentation': 4}, {'presentation': 5})"]
    assert joined.attrs["chance"] == 0.5
    assert "seed" not in joined.attrs
    assert joined["auc"].attrs == {"units": "1"}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (unit(2).assign_coords(neuroid_id=("neuroid", ["b", "a"])), "pattern: neuroid_id differs"),
        (unit(2).assign_coords(time=[0.0, 0.1, 0.3]), "auc: time differs"),
        (unit(2).assign(auc=("time", [1.0, 2.0, 3.0], {"units": "V"})), "auc: units differ (1, V)"),
        (unit(2).drop_vars("auc"), "auc: not in every unit"),
        (unit(2, extra=("time", [1.0, 2.0, 3.0])), "extra: not in every unit"),
    ],
)
def test_f38_gather_never_joins_by_position_what_bears_other_names(other: xr.Dataset, why: str) -> None:
    joined = gather({"1": unit(1), "2": other}, "subject")
    assert why in joined.attrs["left_out"]
    assert why.split(":")[0] not in joined


def test_gather_of_lazy_results_stays_lazy() -> None:
    joined = gather({"1": unit(1).chunk({"time": 1}), "2": unit(2).chunk({"time": 1})}, "subject")
    assert joined["pattern"].chunks is not None
    assert np.array_equal(joined["pattern"].values[1], unit(2)["pattern"].values)
