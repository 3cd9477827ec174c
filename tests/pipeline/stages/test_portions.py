"""Portions never overlap, and keep copies and classes together."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from pipeline.stages import portions


def stimuli(count: int = 200) -> xr.Dataset:
    rng = np.random.default_rng(0)
    return xr.Dataset(coords={
        "stimulus_id": ("stimulus", np.arange(count).astype(str)),
        "digit": ("stimulus", rng.integers(0, 4, count)),
        "content": ("stimulus", np.char.mod("%d", np.arange(count) // 2 * 2)),
    })  # fmt: skip


def test_parts_make_the_whole() -> None:
    given = stimuli()
    parts = [portions.portion(given, start=a, stop=b, seed=3) for a, b in ((0, 0.5), (0.5, 0.8), (0.8, 1))]
    ids = np.concatenate([part["stimulus_id"].values for part in parts])
    assert sorted(ids.tolist(), key=int) == given["stimulus_id"].values.tolist()
    contents = [set(part["content"].values.tolist()) for part in parts]
    assert not contents[0] & contents[1]
    assert not contents[1] & contents[2]


def test_every_class_is_cut_alike() -> None:
    given = stimuli().drop_vars("content")
    part = portions.portion(given, stop=0.8, label="digit")
    counts = [np.bincount(each["digit"].values) for each in (given, part)]
    assert (np.abs(counts[1] - 0.8 * counts[0]) <= 1).all()
    assert (np.diff(part["stimulus_id"].values.astype(int)) > 0).all()
    other = portions.portion(given, stop=0.8, label="digit", seed=1)
    assert set(part["stimulus_id"].values.tolist()) != set(other["stimulus_id"].values.tolist())


@pytest.mark.parametrize(("start", "stop"), [(0.5, 0.5), (-0.1, 1), (0, 1.1), (0.9999, 1)])
def test_empty_shares_are_refused(start: float, stop: float) -> None:
    with pytest.raises(ValueError, match="start: "):
        portions.portion(stimuli(), start=start, stop=stop)
