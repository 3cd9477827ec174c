"""Some of the pictures, and pictures at another size."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from loaders.schema import check
from pipeline.stages import pictures


def made(count: int = 9, side: int = 8) -> xr.Dataset:
    image = np.random.default_rng(0).random((count, 3, side, side)).astype(np.float32)
    names = [f"p{k}" for k in range(count)]
    return xr.Dataset(
        {"image": (("stimulus", "channel", "y", "x"), image, {"units": "1"})},
        {"stimulus_id": ("stimulus", names), "label": ("stimulus", np.arange(count))},
    )


def test_some_pictures_keep_their_pixels_labels_and_order() -> None:
    whole = made()
    few = check(pictures.some(whole, count=4, seed=3))
    rows = few["label"].values
    assert len(rows) == 4
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(few["image"].values, whole["image"].values[rows])
    assert pictures.some(whole, count=4, seed=3).identical(few)
    assert any(not pictures.some(whole, count=4, seed=seed).identical(few) for seed in range(5))


@pytest.mark.parametrize("count", [0, 10])
def test_more_pictures_than_there_are_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"count: {count} of 9 pictures"):
        pictures.some(made(), count=count)


def test_half_the_size_of_equal_blocks_is_their_mean() -> None:
    whole = made()
    blocks = whole["image"].values.repeat(2, axis=2).repeat(2, axis=3)
    wide = whole.assign(image=(whole["image"].dims, blocks, {"units": "1"}))
    assert pictures.resized(wide, size=16)["image"].values == pytest.approx(blocks)
    small = pictures.resized(wide, size=8)
    assert small["image"].shape == (9, 3, 8, 8)
    assert small["content"].values[0] != pictures.resized(wide, size=16)["content"].values[0]
