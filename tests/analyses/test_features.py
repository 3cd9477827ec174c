"""Features of pictures: known values in closed form, laws, and a join by name that never goes by position."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import decoding, features
from loaders import synthetic


def pictures(image: np.ndarray) -> xr.Dataset:
    names = [f"picture{k}" for k in range(len(image))]
    return xr.Dataset(
        {"image": (("stimulus", "channel", "y", "x"), np.asarray(image, float), {"units": "1"})},
        {"stimulus_id": ("stimulus", names)},
    )


def column(made: xr.Dataset, family: str) -> np.ndarray:
    return made["response"].values[:, made["family"].values == family, 0]


def grating(cycles: float, angle: float, size: int = 64) -> np.ndarray:
    """Crests run across `angle`, the direction in which luminance changes."""
    y, x = np.meshgrid(np.arange(size) / size, np.arange(size) / size, indexing="ij")
    return 0.5 + 0.3 * np.cos(2 * np.pi * cycles * (np.cos(angle) * x + np.sin(angle) * y))


def test_luminance_and_contrast_are_mean_and_sd_of_rec_709_luma() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(3, 3, 10, 14))
    luma = np.tensordot(image, [0.2126, 0.7152, 0.0722], (1, 0))
    made = features.low_level(pictures(image))
    np.testing.assert_allclose(column(made, "luminance")[:, 0], luma.mean((1, 2)), atol=1e-14)
    spread = luma.std((1, 2))
    np.testing.assert_allclose(
        column(made, "contrast"), np.stack([spread, spread / luma.mean((1, 2))], 1), atol=1e-14
    )


@pytest.mark.parametrize(
    ("rgb", "lab"),  # CIELAB of sRGB primaries, D65, as tables of colour science give them
    [((1, 0, 0), (53.24, 80.09, 67.20)), ((0, 1, 0), (87.73, -86.18, 83.18)),
     ((0, 0, 1), (32.30, 79.19, -107.86)), ((1, 1, 1), (100, 0, 0)),
     ((0, 0, 0), (0, 0, 0)), ((0.5, 0.5, 0.5), (53.39, 0, 0))],
)  # fmt: skip
def test_cielab_of_known_colours(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    found = features._lab(np.array(rgb, float).reshape(1, 3, 1))[0, :, 0]
    np.testing.assert_allclose(found, lab, atol=0.02)


def test_histograms_are_shares() -> None:
    image = np.random.default_rng(0).uniform(size=(2, 3, 16, 16))
    bins = column(features.low_level(pictures(image)), "colour")[:, :40].reshape(2, 5, 8)
    np.testing.assert_allclose(bins.sum(axis=2), 1)
    expected = np.histogram(image[1, 2], bins=8, range=(0, 1))[0] / 256
    np.testing.assert_allclose(bins[1, 2], expected)


@pytest.mark.parametrize(("cycles", "octave"), [(1, 0), (3, 1), (6, 2), (12, 3), (24, 4)])
def test_power_of_a_grating_lies_in_its_octave(cycles: int, octave: int) -> None:
    image = grating(cycles, 0.0)[None, None]
    power = column(features.low_level(pictures(image), families=["spatial_frequency"]), "spatial_frequency")[
        0
    ]
    assert power.argmax() == octave
    assert power[octave] > np.delete(power, octave).max() + 6


@pytest.mark.parametrize("turn", range(6))
@pytest.mark.parametrize("scale", [0, 1, 2, 3])
def test_gabor_energy_peaks_at_the_gratings_scale_and_orientation(turn: int, scale: int) -> None:
    image = grating((2, 4, 8, 16)[scale], np.pi * turn / 6)[None, None]
    energy = column(features.low_level(pictures(image), families=["gabor"]), "gabor").reshape(4, 6, 16)
    assert np.unravel_index(energy.mean(axis=2).argmax(), (4, 6)) == (scale, turn)


def test_pixels_are_means_of_equal_areas() -> None:
    image = np.random.default_rng(0).uniform(size=(1, 1, 36, 24))
    found = column(features.low_level(pictures(image)), "pixels").reshape(12, 12)
    np.testing.assert_allclose(found, image[0, 0].reshape(12, 3, 12, 2).mean((1, 3)), atol=1e-14)
    uneven = features._area(np.random.default_rng(1).uniform(size=(1, 31, 17)), 12)
    assert uneven.shape == (1, 12, 12)


def test_a_pictures_features_do_not_depend_on_the_others() -> None:
    stimuli = synthetic.face_images(seed=0, identities=2, images=2)
    whole = features.low_level(stimuli)
    part = features.low_level(stimuli.isel(stimulus=[5, 2]))
    np.testing.assert_array_equal(part["response"].values, whole["response"].values[[5, 2]])


def test_colour_is_void_for_grey_pictures_and_that_is_said() -> None:
    grey = np.random.default_rng(0).uniform(size=(2, 1, 16, 16))
    for image in (grey, np.repeat(grey, 3, axis=1)):
        made = features.low_level(pictures(image))
        assert made.attrs["left_out"] == "colour: the pictures are grey"
        assert "colour" not in made["family"].values
    with pytest.raises(ValueError, match="only 'colour', and the pictures are grey"):
        features.low_level(pictures(grey), families=["colour"])


def test_features_are_a_recording_that_can_be_decoded() -> None:
    stimuli = synthetic.face_images(seed=0, luminance_confound=4.0, identities=6, images=2)
    made = features.low_level(stimuli, families=["luminance", "contrast"])
    found = decoding.time_resolved(made, "familiar")
    assert found["auc"].sizes == {"time": 1}
    assert float(found["auc"][0]) > 0.9


def test_f38_features_are_joined_by_name_never_by_position() -> None:
    stimuli = synthetic.face_images(seed=0, identities=2, images=2)
    recording = synthetic.meg_faces(seed=0, identities=2, images=2, sites=1)
    joined = features.shown(features.low_level(stimuli), recording)
    np.testing.assert_allclose(column(joined, "luminance")[:, 0], recording["luminance"].values, atol=1e-12)
    order = np.random.default_rng(0).permutation(stimuli.sizes["stimulus"])
    again = features.shown(features.low_level(stimuli.isel(stimulus=order)), recording)
    np.testing.assert_array_equal(joined["response"].values, again["response"].values)
    assert (again["identity"].values == recording["identity"].values).all()


def test_f38_a_stimulus_without_a_picture_is_named() -> None:
    stimuli = synthetic.face_images(seed=0, identities=2, images=2)
    recording = synthetic.meg_faces(seed=0, identities=2, images=2, sites=1)
    missing = features.low_level(stimuli.isel(stimulus=slice(2, None)))
    with pytest.raises(ValueError, match=r"stimulus_id 'u01-1': was shown and is not among .*\(2 such of 8"):
        features.shown(missing, recording)
    twice = features.low_level(stimuli.isel(stimulus=[*range(8), 3]))
    with pytest.raises(ValueError, match="stimulus_id 'u02-2': stands twice"):
        features.shown(twice, recording)


@pytest.mark.parametrize(
    ("value", "why"),
    [(np.nan, "stimulus 1 spans nan"), (255.0, "spans .* to 255; pictures lie in"), (-0.1, "spans -0.1")],
)
def test_f66_pictures_beyond_their_range_are_refused(value: float, why: str) -> None:
    image = np.full((2, 1, 8, 8), 0.5)
    image[1, 0, 3, 3] = value
    with pytest.raises(ValueError, match=why):
        features.low_level(pictures(image))


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="families: 'color'; known are luminance, contrast, colour"):
        features.low_level(pictures(np.full((1, 1, 8, 8), 0.5)), families=["color"])


def test_a_flat_and_a_black_picture_have_finite_features() -> None:
    image = np.stack([np.full((3, 9, 9), 0.3), np.zeros((3, 9, 9))])
    image[:, 0] += 0.01
    assert np.isfinite(features.low_level(pictures(image))["response"].values).all()
