"""Onsets: exact on exact courses, near the planted ones in noise, and withheld where they must be."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from analyses import _sticks, calibration, folds, onset
from loaders import synthetic

TIME = np.arange(-50, 101) / 250


def trapezoid(start: float, rise: float = 0.05, height: float = 1.0) -> np.ndarray:
    return height * np.clip((TIME - start) / rise, 0, 1)


def subjects(count: int, seed: int = 0, bootstraps: int = 200, **truth: object) -> xr.Dataset:
    """Courses of several subjects of the oracle generator, side by side."""
    switches = {"images": 40, "sensors": 15, **truth}
    parts = []
    for subject in range(1, count + 1):
        recording = synthetic.meg_oracle(seed=seed, subject=subject, **switches)  # type: ignore[arg-type]
        recording = recording.sel(time=slice(-0.201, 0.4))
        parts.append(onset.course(recording, "familiar", bootstraps=bootstraps))
    return xr.concat(parts, "subject", combine_attrs="override")


@pytest.mark.parametrize("start", [0.04, 0.085, 0.1234])
@pytest.mark.parametrize("rise", [0.02, 0.05, 0.09])
def test_the_bend_of_an_exact_course_is_exact(start: float, rise: float) -> None:
    course = trapezoid(start, rise)
    (found,) = _sticks.bend(course[None], TIME, np.eye(TIME.size))
    assert found == pytest.approx(start, abs=0.003)  # rises are searched on a grid that holds none of these


def test_the_bend_ignores_scale_and_offset_and_follows_a_shift() -> None:
    rng = np.random.default_rng(0)
    course = trapezoid(0.1) + 0.05 * rng.standard_normal(TIME.size)
    noise = np.eye(TIME.size) + 0.5
    (found,) = _sticks.bend(course[None], TIME, noise)
    np.testing.assert_allclose(_sticks.bend(7 * course[None] + 3, TIME, noise), found, atol=1e-9)
    np.testing.assert_allclose(_sticks.bend(course[None], TIME + 0.02, noise), found + 0.02, atol=1e-6)
    assert np.isnan(_sticks.bend(-trapezoid(0.1)[None], TIME, np.eye(TIME.size))[0]) or found > 0


def test_crossing_and_reach_of_a_known_course() -> None:
    course = trapezoid(0.1, 0.1)[None]
    assert _sticks.crossing(course, TIME, 0.5)[0] == pytest.approx(0.152)  # the first sample above
    assert _sticks.reach(course, TIME, 0.5)[0] == pytest.approx(0.15, abs=1e-9)  # between samples
    assert np.isnan(_sticks.crossing(course, TIME, 2.0)[0])
    assert np.isnan(_sticks.reach(0 * course, TIME, 0.5)[0])


@pytest.mark.parametrize("start", [0.06, 0.085, 0.12])
def test_v12_a_strong_planted_onset_is_found(start: float) -> None:
    found = onset.estimate(subjects(10, familiarity=2.0, onset_s=start), flips=1000)
    assert found.attrs["withheld"] == ""
    first = found.sel({"method": "change point"})
    assert abs(float(first["onset"]) - start) < 0.005
    assert float(first["onset_high"] - first["onset_low"]) < 0.02
    later = found["onset"].values[1:]
    assert (later > float(first["onset"])).all()  # the other two come after the rise has begun


def test_v12_a_weak_effect_is_found_with_a_wide_interval_or_withheld() -> None:
    strong, weak = (
        onset.estimate(subjects(8, familiarity=size), flips=1000).sel({"method": "change point"})
        for size in (2.0, 0.6)
    )
    width = [float(part["onset_high"] - part["onset_low"]) for part in (strong, weak)]
    assert weak.attrs["withheld"] or width[1] > 2 * width[0]


def test_no_effect_has_no_onset() -> None:
    found = onset.estimate(subjects(8, familiarity=0.0, identity=0.5), flips=1000)
    assert "passes" in found.attrs["withheld"]


def test_one_subject_needs_its_null_and_says_that_it_is_one() -> None:
    recording = synthetic.meg_oracle(seed=0, familiarity=2.5, images=60, sensors=15).sel(
        time=slice(-0.2, 0.4)
    )
    course = onset.course(recording, "familiar", bootstraps=200, permutations=100)
    found = onset.estimate(course)
    assert (found.attrs["n"], found.attrs["over"]) == (240, "presentation")
    first = found.sel({"method": "change point"})
    assert abs(float(first["onset"]) - 0.085) < 0.012
    assert found.attrs["smallest_p"] == pytest.approx(1 / 101)
    with pytest.raises(ValueError, match="null: missing"):
        onset.estimate(course.drop_vars("null"))


def test_v14_a_leak_before_the_stimulus_withholds() -> None:
    group = subjects(8, familiarity=2.0)
    early = np.where(group["time"] < 0, 0.5, 0.0)
    leaky = group.assign(effect=group["effect"] + early)
    assert "before the stimulus" in onset.estimate(leaky, flips=1000).attrs["withheld"]
    assert onset.estimate(group, flips=1000).attrs["withheld"] == ""


def test_v14_a_label_that_leaks_through_block_order_withholds() -> None:
    faces = synthetic.meg_faces(
        seed=0, sites=5, familiarity=0.0, block_trials=20, drift=6.0, runs=1, window=(-0.2, 0.5)
    )
    with pytest.warns(UserWarning, match="comes in blocks"):
        course = onset.course(faces, "familiar", permutations=60, bootstraps=60)
    assert "blocks" in onset.estimate(course).attrs["withheld"]
    mixed = synthetic.meg_faces(seed=0, sites=5, familiarity=1.0, runs=1, window=(-0.2, 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert onset.course(mixed, "familiar", bootstraps=10).attrs["blocked_z"] > -4


def test_an_unknown_delay_of_the_display_withholds() -> None:
    found = onset.estimate(subjects(6, familiarity=2.0), flips=500, delay_known=False)
    assert "delay of the display" in found.attrs["withheld"]


def test_f18_a_planted_delay_moves_the_onset_by_itself() -> None:
    near, far = (
        onset.estimate(subjects(8, familiarity=2.5, onset_s=0.085 + delay), flips=500)
        for delay in (0, 0.0345)
    )
    moved = far["onset"].values[0] - near["onset"].values[0]
    assert moved == pytest.approx(0.0345, abs=0.005)


def test_v13_filters_move_the_onset_the_way_they_smear() -> None:
    starts = {
        name: float(onset.estimate(subjects(10, familiarity=2.0, filter=name), flips=500)["onset"][0])
        for name in ("zero-phase", "none", "causal")
    }
    assert starts["zero-phase"] <= starts["none"] + 0.002 < starts["causal"]


def test_chunked_equals_eager() -> None:
    recording = synthetic.meg_oracle(seed=0, images=20, sensors=8).sel(time=slice(-0.1, 0.3))
    eager = onset.course(recording, "familiar", bootstraps=20)
    lazy = onset.course(recording.chunk({"time": 7}), "familiar", bootstraps=20)
    for name in eager.data_vars:
        np.testing.assert_array_equal(eager[name].values, lazy[name].values)


@pytest.mark.parametrize("estimator", ["lda", "correlation", "ridge"])
@pytest.mark.parametrize("classes", [2, 3])
def test_v06_the_null_is_what_relabelled_recordings_give(estimator: str, classes: int) -> None:
    spikes = synthetic.macaque_it(seed=0, neuroids=12, objects=classes, images=10, repeats=2, bin_width=0.02)
    split = folds.split(spikes, "object")
    options = {"estimator": estimator, "folds": split, "bootstraps": 0}
    null = onset.course(spikes, "object", permutations=3, **options)["null"]  # type: ignore[arg-type]
    for number, codes in enumerate(folds.relabel(spikes, "object", split, 3)):
        renamed = spikes.assign_coords(object=("presentation", codes))
        effect = onset.course(renamed, "object", **options)["effect"]  # type: ignore[arg-type]
        np.testing.assert_allclose(null[number], effect, rtol=0, atol=1e-10)


def test_more_than_two_classes_have_one_course() -> None:
    spikes = synthetic.macaque_it(seed=0, neuroids=30, objects=4, images=4, repeats=6, bin_width=0.01)
    found = onset.course(spikes, "object", bootstraps=50)
    assert float(found["effect"].sel(time=slice(0.12, 0.25)).mean()) > 0.3
    assert abs(float(found["effect"].sel(time=slice(None, 0.0)).mean())) < 0.05


def test_the_difference_of_two_onsets_has_an_interval() -> None:
    early, late = (onset.estimate(subjects(8, familiarity=2.5, onset_s=s), flips=500) for s in (0.06, 0.12))
    found = onset.compare(late, early)
    row = found.sel({"method": "change point"})
    assert float(row["difference_low"]) < 0.06 < float(row["difference_high"])
    assert "simulated" in str(found["condition"].values[0])
    made = onset.plot(found).axes[0]
    assert made.get_xlabel().endswith("(s)")


def test_the_plot_says_that_an_onset_is_withheld() -> None:
    found = onset.estimate(subjects(6, familiarity=0.0), flips=500)
    made = onset.plot(found)
    assert "withheld" in made.get_suptitle()


def test_a_wrong_fraction_is_named() -> None:
    with pytest.raises(ValueError, match=r"^fraction: "):
        onset.estimate(subjects(2, bootstraps=20, images=10), fraction=1.0)


def test_a_small_calibration_has_its_shape_and_summary() -> None:
    def generator(**truth: object) -> xr.Dataset:
        return synthetic.meg_oracle(images=15, sensors=6, **truth)  # type: ignore[arg-type]

    found = calibration.onsets(
        generator, "familiar", planted=[0.085], strengths=[4.0], subjects=4, draws=3, bootstraps=50, flips=50
    )
    assert dict(found.sizes) == {"method": 3, "setting": 1, "draw": 3}
    summed = calibration.summary(found)
    assert summed.attrs["n"] == 3
    assert abs(float(summed["bias"][0, 0])) < 0.02
    both = xr.concat([found, found], "seed")
    assert calibration.summary(both).attrs["n"] == 6
    assert len(calibration.plot(summed).axes) == 3


@pytest.mark.slow
def test_v12_bias_and_coverage_over_many_draws() -> None:
    """Bands of a binomial at 95 % coverage, 60 draws a point: 99 % of sound methods pass each."""

    def generator(**truth: object) -> xr.Dataset:
        return synthetic.meg_oracle(images=40, sensors=20, **truth)  # type: ignore[arg-type]

    found = calibration.summary(calibration.onsets(generator, "familiar", strengths=[0.8, 1.6], draws=60))
    first = found.sel({"method": "change point"})
    assert (found["power"].values > 0.8).all()
    assert np.abs(first["bias"].values).max() < 0.005
    assert (first["covered"].values >= 0.87).all()
