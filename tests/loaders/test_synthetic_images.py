"""Drawn faces are as bright as the simulated brain was told, lie in [0, 1], and share what people share."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from loaders import synthetic

LUMA = np.array([0.2126, 0.7152, 0.0722])


def grey(images: xr.Dataset) -> np.ndarray:
    pixels = images["image"].values
    return np.einsum("ncyx,c->nyx", pixels, LUMA) if pixels.shape[1] == 3 else pixels[:, 0]


@pytest.mark.parametrize("confound", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("colour", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 7])
def test_v15_mean_luminance_is_what_was_planted(seed: int, colour: float, confound: float) -> None:
    switch = {"seed": seed, "identities": 4, "images": 3, "luminance_confound": confound}
    drawn = synthetic.face_images(**switch, colour=colour, size=24)
    brain = synthetic.meg_faces(**switch, sites=1)
    planted = dict(zip(brain["stimulus_id"].values, brain["luminance"].values, strict=True))
    assert set(planted) == set(drawn["stimulus_id"].values)
    for name, mean in zip(drawn["stimulus_id"].values, grey(drawn).mean(axis=(1, 2)), strict=True):
        assert mean == pytest.approx(planted[name], abs=1e-12)
    pixels = drawn["image"].values
    assert 0 <= pixels.min() < pixels.max() <= 1


def test_people_and_classes_are_those_of_the_recording() -> None:
    drawn, brain = synthetic.face_images(seed=0), synthetic.meg_faces(seed=0, sites=1)
    rows = {name: row for row, name in enumerate(drawn["stimulus_id"].values)}
    joined = drawn.isel(stimulus=[rows[name] for name in brain["stimulus_id"].values])
    for name in ("identity", "familiar", "luminance"):
        assert (joined[name].values == brain[name].values).all()


def test_subjects_see_the_same_pictures_and_seeds_draw_others() -> None:
    first, again, other = (synthetic.face_images(seed=seed) for seed in (0, 0, 1))
    assert first.identical(again)
    assert not np.array_equal(first["image"].values, other["image"].values)
    one, two = (synthetic.meg_faces(seed=0, subject=who, sites=1) for who in (1, 2))
    assert dict(zip(one["stimulus_id"].values, one["luminance"].values, strict=True)) == dict(
        zip(two["stimulus_id"].values, two["luminance"].values, strict=True)
    )


def test_pictures_of_one_person_are_more_alike_than_pictures_of_two() -> None:
    alike = []
    for seed in range(4):
        drawn = synthetic.face_images(seed=seed)
        flat = grey(drawn).reshape(drawn.sizes["stimulus"], -1)
        correlation = np.corrcoef(flat)
        same = drawn["identity"].values[:, None] == drawn["identity"].values
        off = ~np.eye(len(same), dtype=bool)
        alike.append(correlation[same & off].mean() - correlation[~same].mean())
    assert np.min(alike) > 0.02


def test_nothing_but_luminance_knows_the_class() -> None:
    gaps = []
    for seed in range(12):
        drawn = synthetic.face_images(seed=seed, luminance_confound=3.0)
        pixels = grey(drawn)
        familiar = drawn["familiar"].values == 1
        spread = pixels.std(axis=(1, 2))
        gaps.append([spread[familiar].mean() - spread[~familiar].mean(), spread.std()])
        level = pixels.mean(axis=(1, 2))
        assert level[familiar].mean() - level[~familiar].mean() == pytest.approx(0.3, abs=1e-9)
    gap, scale = np.array(gaps).T
    assert abs(gap.mean()) < 0.5 * scale.mean()


def test_grey_pictures_have_one_plane() -> None:
    assert synthetic.face_images(seed=0, colour=0, identities=1, images=1).sizes["channel"] == 1


@pytest.mark.parametrize(
    ("switch", "why"),
    [
        ({"luminance_confound": 12.0}, "luminance_confound: 12.0: asks for a mean luminance of"),
        ({"size": 4}, "size: 4: must be 8 or more"),
        ({"identities": 0}, "identities: 0: must be 1"),
        ({"colour": 2.0}, "colour: 2.0: is not 0"),
    ],
)
def test_impossible_pictures_are_refused(switch: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        synthetic.face_images(seed=0, **switch)
