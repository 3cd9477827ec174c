"""Maps of what stands out, and the rank correlation of maps."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from analyses import saliency


def stimuli(image):
    ids = [f"picture {k}" for k in range(len(image))]
    held = (("stimulus", "channel", "y", "x"), np.asarray(image, np.float32), {"units": "1"})
    return xr.Dataset({"image": held}, {"stimulus_id": ("stimulus", ids)})


def maps(values, name="sensitivity"):
    ids = [f"picture {k}" for k in range(len(values))]
    held = (("stimulus", "y", "x"), np.asarray(values, float), {"units": "1"})
    return xr.Dataset({name: held}, {"stimulus_id": ("stimulus", ids)})


def discs(count=8, size=32, colour=(0.9, 0.9, 0.9), seed=0):
    """A small disc on grey, each at a place of its own; and where it is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    image, place = np.full((count, 3, size, size), 0.5), rng.integers(6, size - 6, (count, 2))
    inside = (y - place[:, :1, None]) ** 2 + (x - place[:, 1:, None]) ** 2 <= 4
    image = np.where(inside[:, None], np.reshape(colour, (3, 1, 1)), image)
    return stimuli(image), inside


@pytest.mark.parametrize("colour", [(0.9, 0.9, 0.9), (0.1, 0.1, 0.1), (0.8, 0.4119, 0.5)])
def test_a_disc_stands_out_by_light_or_by_colour_alone(colour):
    given, inside = discs(colour=colour)
    found = saliency.centre_surround(given)["saliency"].values
    assert (found[inside].mean() > 5 * found[~inside].mean()).all()
    peak = found.reshape(len(found), -1).argmax(1)
    assert inside.reshape(len(inside), -1)[np.arange(len(inside)), peak].all()
    assert np.allclose(found.mean((1, 2)), 1)


def test_a_uniform_picture_has_no_map_and_light_has_no_scale():
    assert not saliency.centre_surround(stimuli(np.full((2, 3, 8, 8), 0.3)))["saliency"].values.any()
    given, _ = discs()
    half = given.assign(image=given["image"] * np.float32(0.5))
    pair = [saliency.centre_surround(part)["saliency"].values for part in (given, half)]
    assert np.allclose(*pair, atol=1e-4)
    grey = given.isel(channel=[0])
    assert saliency.centre_surround(grey)["saliency"].shape == (8, 32, 32)


def test_a_map_does_not_depend_on_the_other_pictures():
    given, _ = discs(70)
    whole = saliency.centre_surround(given)["saliency"].values
    assert np.array_equal(
        saliency.centre_surround(given.isel(stimulus=[66]))["saliency"].values[0], whole[66]
    )


def test_agreement_is_spearmans_and_forgets_monotone_changes():
    rng = np.random.default_rng(0)
    first, second = rng.random((5, 6, 6)), rng.integers(0, 4, (5, 6, 6)).astype(float)
    found = saliency.agreement(maps(first), maps(second, "saliency"))
    by_peer = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert np.allclose(found["r"], by_peer)
    others = [np.mean([spearmanr(a.ravel(), b.ravel()).statistic for j, b in enumerate(second) if j != k])
              for k, a in enumerate(first)]  # fmt: skip
    assert np.allclose(found["r_other"], others)
    changed = saliency.agreement(maps(np.exp(3 * first)), maps(second, "saliency"))
    assert np.allclose(changed["r"], found["r"])


def test_planted_sensitivity_is_found_and_the_middle_alone_is_told_apart():
    given, _ = discs(30)
    own = saliency.centre_surround(given)
    planted = saliency.agreement(maps(own["saliency"].values ** 2), own)
    assert planted.attrs["mean"] > 0.99
    assert planted.attrs["beyond_low"] > 0.3
    y, x = np.mgrid[:32, :32]
    middle = np.tile(np.exp(-((y - 16) ** 2 + (x - 16) ** 2) / 50.0), (30, 1, 1))
    found = saliency.agreement(maps(middle), own)
    assert found.attrs["beyond_low"] <= 0 <= found.attrs["beyond_high"]
    assert found.attrs["map"] == "bottom-up centre-surround"
    assert found.attrs["n"] == 30


def test_maps_that_do_not_fit_are_refused():
    given, _ = discs(4)
    own = saliency.centre_surround(given)
    with pytest.raises(ValueError, match="saliency: is"):
        saliency.agreement(maps(np.ones((4, 8, 8))), own)
    turned = own.assign_coords(stimulus_id=("stimulus", list("dcba")))
    with pytest.raises(ValueError, match="stimulus_id: differs"):
        saliency.agreement(maps(own["saliency"].values), turned)
    with pytest.raises(ValueError, match="every map is uniform"):
        saliency.agreement(maps(np.ones((4, 32, 32))), own)
    with pytest.raises(ValueError, match="stimuli: have no image"):
        saliency.centre_surround(own)


def test_maps_and_agreement_are_drawn():
    given, _ = discs(4)
    own = saliency.centre_surround(given)
    assert len(saliency.plot(own).axes) == 4
    assert saliency.plot(saliency.agreement(maps(own["saliency"].values), own)).axes
