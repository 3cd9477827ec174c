"""Lessons with corruptions: half clean, one copy each, known by their own pixels."""

from __future__ import annotations

import numpy as np
import xarray as xr

from analyses import corruptions
from pipeline.stages import oracle, overlap


def stimuli(count=24, size=32, seed=0):
    pixel = np.random.default_rng(seed).random((count, 3, size, size), dtype=np.float32)
    coords = {
        "stimulus_id": ("stimulus", [f"{k:02d}" for k in range(count)]),
        "side": ("stimulus", np.arange(count) % 2),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


NAMES = ["gaussian_noise", "contrast", "brightness"]


def test_half_is_clean_and_half_is_what_the_corruptions_make():
    given = stimuli()
    found = oracle.lessons(given, corruptions=NAMES, severities=[2, 5], seed=1)
    assert np.array_equal(found["image"].values[:24], given["image"].values)
    assert found["side"].values.tolist() == 2 * given["side"].values.tolist()
    assert len(set(found["stimulus_id"].values.tolist())) == 48
    assert set(found["corruption"].values[24:].tolist()) == set(NAMES)
    assert np.array_equal(found["content"].values, overlap.content(found.drop_vars("content"), "it"))
    for row in (24, 30, 47):
        name = str(found["corruption"].values[row])
        options = [
            corruptions.corrupted(given["image"].values[[row - 24]], name, level, seed=1)[0]
            for level in (2, 5)
        ]
        assert any(np.array_equal(found["image"].values[row], option) for option in options)


def test_a_picture_gets_the_same_whatever_the_order():
    given = stimuli()
    told = {"corruptions": NAMES, "seed": 3}
    turned = given.isel(stimulus=np.random.default_rng(0).permutation(24))
    pair = [oracle.lessons(part, **told).sortby("stimulus_id") for part in (given, turned)]
    assert np.array_equal(pair[0]["image"], pair[1]["image"])
    other = oracle.lessons(given, **{**told, "seed": 4})
    assert not np.array_equal(other["corruption"], oracle.lessons(given, **told)["corruption"])
