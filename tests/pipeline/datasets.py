"""What the tests of the store share: a Dataset of every kind of variable, and equality to the bit."""

from __future__ import annotations

import numpy as np
import xarray as xr


def example(seed: int = 0, size: int = 20) -> xr.Dataset:
    """Every kind of variable that the vocabulary allows."""
    rng = np.random.default_rng(seed)
    time_ = np.arange(12) / 100
    return xr.Dataset(
        {
            "response": (("presentation", "neuroid", "time"), rng.normal(size=(size, 3, 12)), {"units": "V"}),
            "good": ("presentation", rng.random(size) > 0.5, {"units": "1"}),
            "count": ("neuroid", np.array([0, 1, 2**60], dtype="u8"), {"units": "1"}),
            "phase": ("time", np.exp(2j * time_), {"units": "1"}),
            "half": ("time", time_.astype("f2"), {"units": "1"}),
            "single": ("time", time_.astype("f4"), {"units": "1", "note": "é"}),
            "none": (("fold", "time"), np.empty((0, 12)), {"units": "1"}),
            "gap": ("time", np.where(time_ > 0.05, np.nan, np.inf), {"units": "1"}),
        },
        {
            "stimulus_id": ("presentation", [f"é{number}" for number in range(size)]),
            "label": ("presentation", np.array(["", "a"] * (size // 2), dtype=object)),
            "neuroid_id": ("neuroid", ["a", "bb", "ccc"]),
            "bad": ("neuroid", [True, False, True]),
            "time": time_,
        },
        {"origin": "simulated", "rate": 2.5, "count": 3, "list": [1, "x"], "nothing": None, "flag": True},
    )


def same(one: xr.Dataset, other: xr.Dataset) -> bool:
    assert set(one.variables) == set(other.variables)
    assert set(one.coords) == set(other.coords)
    for name in one.variables:
        a, b = one[name].values, other[name].values
        a = a.astype(str) if a.dtype.kind == "O" else a
        assert one[name].dims == other[name].dims
        assert a.dtype.kind == b.dtype.kind
        assert a.tobytes() == b.astype(a.dtype).tobytes()
        assert one[name].attrs == other[name].attrs
    return True
