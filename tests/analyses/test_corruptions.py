"""Corruptions: range, order of severities, independence of pictures, what each must and must not change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from analyses import _corruptions_blur as blur
from analyses import _corruptions_digital as digital
from analyses import corruptions
from loaders import images, schema

RANDOM = (
    "gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "snow", "frost", "fog",
    "elastic_transform",
)  # fmt: skip


def pictures(count=6, channels=3, side=32, seed=0):
    """Smooth random scenes, as 255ths."""
    rng = np.random.default_rng(seed)
    field = blur.smooth(rng.normal(size=(count, channels, side, side)), side / 12)
    field = 0.5 + 0.2 * field / field.std((1, 2, 3), keepdims=True)
    return (np.round(np.clip(field, 0, 1) * 255) / np.float32(255)).astype(np.float32)


def stimuli(pixels):
    coords = {
        "stimulus_id": ("stimulus", [f"picture {k}" for k in range(len(pixels))]),
        "content": ("stimulus", [f"hash {k}" for k in range(len(pixels))]),
        "label": ("stimulus", np.arange(len(pixels)) % 2),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixels, {"units": "1"})}, coords)


@pytest.mark.parametrize("name", corruptions.NAMES)
@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 28), (3, 64)])
def test_every_corruption_stays_in_range_and_grows(name, channels, side):
    given = pictures(8, channels, side)
    made = [corruptions.corrupted(given, name, level) for level in corruptions.SEVERITIES]
    errors = [float(((one - given) ** 2).mean()) for one in made]
    for one in made:
        assert one.shape == given.shape
        assert one.dtype == np.float32
        assert one.min() >= 0
        assert one.max() <= 1
        assert np.allclose(one * 255, np.round(one * 255), atol=1e-4)
    assert errors[0] > 0
    assert errors[-1] > 1.2 * errors[0]
    assert all(late > 0.85 * early for early, late in itertools.pairwise(errors)), errors


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_a_picture_does_not_depend_on_the_others(name):
    given = pictures(5)
    whole = corruptions.corrupted(given, name, 3, eight_bit=False, seed=4)
    turned = corruptions.corrupted(given[::-1], name, 3, eight_bit=False, seed=4)[::-1]
    alone = corruptions.corrupted(given[2:3], name, 3, eight_bit=False, seed=4)
    assert whole.tobytes() == turned.tobytes()
    assert whole[2].tobytes() == alone[0].tobytes()
    other = corruptions.corrupted(given, name, 3, eight_bit=False, seed=5)
    assert (whole.tobytes() != other.tobytes()) == (name in RANDOM)


def test_grey_pictures_stay_grey():
    grey = np.repeat(pictures(4, 1), 3, axis=1)
    for name in (
        "defocus_blur",
        "motion_blur",
        "zoom_blur",
        "fog",
        "frost",
        "brightness",
        "contrast",
        "pixelate",
    ):
        made = corruptions.corrupted(grey, name, 4)
        assert np.allclose(made[:, :1], made, atol=1e-6), name


def test_noise_has_the_strength_that_it_says():
    flat = np.full((20, 3, 32, 32), 0.5, np.float32)
    raw = {"eight_bit": False}
    assert np.isclose(corruptions.corrupted(flat, "gaussian_noise", 3, **raw).std(), 0.08, rtol=0.02)
    shot = corruptions.corrupted(flat, "shot_noise", 5, **raw)
    assert np.isclose(shot.std(), np.sqrt(0.5 / 50), rtol=0.02)
    assert np.isclose(shot.mean(), 0.5, rtol=0.01)
    hit = corruptions.corrupted(flat, "impulse_noise", 5, **raw)
    assert np.isclose((hit == 0).mean(), 0.035, rtol=0.1)
    assert np.isclose((hit == 1).mean(), 0.035, rtol=0.1)


def test_blurs_keep_what_is_flat_and_a_point_becomes_their_kernel():
    flat = np.full((2, 3, 32, 32), 0.3, np.float32)
    for name in ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "elastic_transform", "pixelate"):
        assert np.allclose(corruptions.corrupted(flat, name, 5, eight_bit=False), 0.3, atol=1e-5), name
    point = np.zeros((1, 1, 33, 33), np.float32)
    point[..., 16, 16] = 1
    streams = [np.random.default_rng(0)]
    assert np.isclose(blur.defocus(point, streams, 1.5).sum(), 1, atol=1e-5)
    trail = blur.trailed(point, np.array([0.0]), 6.0, 2.0)[0, 0]
    weight = np.exp(-0.5 * (np.linspace(0, 6, 13) / 2) ** 2)
    assert np.isclose(trail.sum(), 1, atol=1e-5)
    assert trail[16, 16:23].sum() > 0.999
    centre = (np.linspace(0, 6, 13) * weight).sum() / weight.sum()
    assert np.isclose((trail[16] * (np.arange(33) - 16)).sum(), centre, atol=1e-4)


def test_maps_of_places_are_exact_on_planes():
    rows, columns = np.meshgrid(np.arange(16.0), np.arange(16.0), indexing="ij")
    plane = (0.02 * rows + 0.03 * columns).astype(np.float32)[None, None]
    moved = digital.sampled(plane, rows[None] / 2 + 3.25, columns[None] / 2 + 1.75)
    assert np.allclose(moved[0, 0], 0.02 * (rows / 2 + 3.25) + 0.03 * (columns / 2 + 1.75), atol=1e-6)
    assert np.allclose(digital.sampled(plane, rows[None], columns[None]), plane)
    pooled = digital.pixelate(plane, [], 0.5)
    assert np.allclose(pooled[0, 0, ::2, ::2], plane[0, 0].reshape(8, 2, 8, 2).mean((1, 3)), atol=1e-6)
    wide = blur.enlarged(17, 2.0)
    assert np.allclose(wide.sum(1), 1)
    assert np.isclose(wide[8, 8], 1)


def test_light_and_contrast_are_their_formulas():
    given = pictures(3)
    made = corruptions.corrupted(given, "contrast", 2, eight_bit=False)
    mean = given.mean((2, 3), keepdims=True)
    assert np.allclose(made, np.clip((given - mean) * 0.5 + mean, 0, 1), atol=1e-6)
    bright = corruptions.corrupted(given, "brightness", 1, eight_bit=False)
    assert np.allclose(bright.max(1), np.minimum(given.max(1) + 0.05, 1), atol=1e-6)


def test_labelled_is_the_kernel_with_its_labels():
    given = stimuli(pictures(3))
    found = schema.check(corruptions.corrupt(given, corruption=["fog", "contrast"], severity=[1, 5]))
    assert found.image.dims == ("stimulus", "channel", "y", "x", "corruption", "severity")
    one = corruptions.single(given, corruption="fog", severity=5)
    assert np.array_equal(found.image.sel(corruption="fog", severity=5), one.image)
    assert np.array_equal(one.image, corruptions.corrupted(given.image.values, "fog", 5))
    assert list(one.label.values) == [0, 1, 0]
    assert "content" not in one.coords
    assert corruptions.corrupt(given, corruption="snow", severity=2).sizes["severity"] == 1
    figure = corruptions.plot(found)
    assert len(figure.axes) == 4


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"corruption": "hail"}, "corruption: 'hail'"),
        ({"severity": 6}, "severity: 6"),
        ({"severity": 0}, "severity"),
    ],
)
def test_unknown_names_and_levels_are_refused(numbers, why):
    with pytest.raises(ValueError, match=why):
        corruptions.corrupt(stimuli(pictures(2)), **{"corruption": "fog", **numbers})


def test_f72_pictures_out_of_range_or_of_other_planes_are_refused():
    with pytest.raises(ValueError, match="range from 0 to 1"):
        corruptions.corrupted(pictures(2) * 255, "fog", 1)
    with pytest.raises(ValueError, match="range from 0 to 1"):
        corruptions.corrupted(np.full((1, 3, 8, 8), np.nan, np.float32), "fog", 1)
    with pytest.raises(ValueError, match="1 or 3 planes"):
        corruptions.corrupted(np.zeros((1, 2, 8, 8), np.float32), "fog", 1)


def evaluated(accuracy, chance=0.1):
    """Accuracies (seed, corruption, severity) as `evaluate.run` gives them, gathered."""
    value = np.asarray(accuracy, float)[..., None]
    dims = ("seed", "corruption", "severity", "method")
    coords = {
        "seed": [str(k) for k in range(value.shape[0])], "corruption": ["fog", "snow"][: value.shape[1]],
        "severity": np.arange(1, value.shape[2] + 1), "method": ["class"],
    }  # fmt: skip
    return xr.Dataset({"corrupted": (dims, value, {"units": "1"})}, coords, {"chance": chance})


def test_relative_is_the_mean_of_ratios_and_leaves_out_what_is_near_chance():
    base = evaluated([[[0.8, 0.4], [0.6, 0.12]]] * 3)
    mine = evaluated([[[0.8, 0.6], [0.3, 0.9]]] * 3)
    found = corruptions.relative(mine, base)
    assert np.allclose(found.relative[:, 0], [1.25, 0.5])
    assert np.isclose(found.total, 0.875)
    assert found.kept.values[..., 0].tolist() == [[1, 1], [1, 0]]
    assert found.attrs["left_out"] == 1
    assert np.allclose(found.raw[..., 0], [[0.8, 0.6], [0.3, 0.9]])
    assert np.allclose(corruptions.relative(mine, base, floor=0).relative[1, 0], (0.5 + 7.5) / 2)
    assert len(corruptions.plot(found).axes) == 2


def test_relative_intervals_pair_seeds():
    rng = np.random.default_rng(0)
    base = 0.6 + 0.2 * rng.random((6, 1, 1)) + np.zeros((1, 2, 2))
    found = corruptions.relative(evaluated(1.1 * base), evaluated(base))
    assert np.allclose(found.relative_low, 1.1)
    assert np.allclose(found.relative_high, 1.1)
    alone = corruptions.relative(evaluated(1.1 * base[:1]), evaluated(base[:1]))
    assert np.isnan(alone.total_low).all()
    with pytest.raises(ValueError, match="another seed"):
        corruptions.relative(evaluated(base[:3]), evaluated(base))
    with pytest.raises(ValueError, match="has no corrupted"):
        corruptions.relative(evaluated(base).drop_vars("corrupted"), evaluated(base))


@pytest.mark.slow
def test_all_of_two_thousand_pictures_take_less_than_two_minutes(neuro_data):
    """30 s on one core when this was written."""
    import time

    given = images.stimuli(neuro_data / "images" / "cifar10_subset" / "cifar10_test_subset.npz").image.values
    start = time.process_time()
    for name in corruptions.NAMES:
        for level in corruptions.SEVERITIES:
            corruptions.corrupted(given, name, level)
    assert time.process_time() - start < 120
