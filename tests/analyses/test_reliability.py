"""Reliability: closed form, laws, Brain-Score's own ceiling, planted truth, real V4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses import _halves, reliability
from loaders import ephys, synthetic


def repeated(
    signal: np.ndarray, repeats: np.ndarray, noise: float, seed: int = 0, shuffled: bool = True
) -> xr.Dataset:
    """signal (stimulus, neuroid) shown repeats[stimulus] times, in mixed order."""
    rng = np.random.default_rng(seed)
    stimulus = np.repeat(np.arange(len(signal)), repeats)
    repetition = np.concatenate([np.arange(n) for n in repeats])
    order = rng.permutation(stimulus.size) if shuffled else np.arange(stimulus.size)
    stimulus, repetition = stimulus[order], repetition[order]
    response = signal[stimulus] + noise * rng.normal(size=(stimulus.size, signal.shape[1]))
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), response, {"units": "1"})},
        {
            "stimulus_id": ("presentation", np.char.mod("s%04d", stimulus)),
            "repetition": ("presentation", repetition),
            "neuroid_id": ("neuroid", np.char.mod("n%d", np.arange(signal.shape[1]))),
        },
    )


def standard(stimuli: int, neuroids: int, seed: int = 0) -> np.ndarray:
    """Signals of mean 0 and variance 1 over stimuli, exactly."""
    signal = np.random.default_rng(seed).normal(size=(stimuli, neuroids))
    return (signal - signal.mean(axis=0)) / signal.std(axis=0)


def test_two_repeats_are_one_split_and_spearman_brown() -> None:
    recording = repeated(standard(40, 3), np.full(40, 2), 1.0)
    found = reliability.split_half(recording, splits=1, bootstraps=10)
    ordered = recording.sortby(["stimulus_id", "repetition"])["response"].values.reshape(40, 2, 3)
    one, two = ordered[:, 0], ordered[:, 1]
    # either half may be called the first: the pooled correlation is over both ways round
    x, y = np.concatenate([one, two]), np.concatenate([two, one])
    r = np.array([np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(3)])
    np.testing.assert_allclose(found["correlation"], r, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["reliability"], 2 * r / (1 + r), rtol=0, atol=1e-12)


def test_all_splits_of_four_repeats_are_their_mean() -> None:
    recording = repeated(standard(30, 2), np.full(30, 4), 1.0, shuffled=False)
    cube = recording["response"].values.reshape(30, 4, 2)
    halves = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    means = [(cube[:, list(a)].mean(axis=1), cube[:, list(b)].mean(axis=1)) for a, b in halves]
    product = np.mean([a * b for a, b in means], axis=0).mean(axis=0) - cube.mean(axis=(0, 1)) ** 2
    square = np.mean([(a**2 + b**2) / 2 for a, b in means], axis=0).mean(axis=0) - cube.mean(axis=(0, 1)) ** 2
    found = reliability.split_half(recording, splits=4000, bootstraps=10)
    np.testing.assert_allclose(found["correlation"], product / square, atol=0.005)


@pytest.mark.parametrize("repeats", [2, 3, 5, 10, 50])
def test_v19_known_noise_gives_the_known_reliability(repeats: int) -> None:
    signal = standard(1500, 60)
    recording = repeated(signal, np.full(1500, repeats), 1.5)
    found = reliability.split_half(recording, splits=10, bootstraps=10)
    truth = 1 / (1 + 1.5**2 / repeats)
    assert float(found["reliability"].mean()) == pytest.approx(truth, rel=0.01)
    bounds = reliability.ceiling(found)
    mean = recording["response"].groupby(recording["stimulus_id"]).mean("presentation").values
    r = np.array([np.corrcoef(signal[:, k], mean[:, k])[0, 1] for k in range(60)])
    assert float(bounds["r_ceiling"].mean()) == pytest.approx(r.mean(), rel=0.01)
    assert float(bounds["r2_ceiling"].mean()) == pytest.approx((r**2).mean(), rel=0.01)


def test_f33_unequal_repeats_use_their_real_counts() -> None:
    repeats = np.random.default_rng(1).choice([2, 3, 12], 1500)
    recording = repeated(standard(1500, 60), repeats, 1.5)
    found = reliability.split_half(recording, splits=10, bootstraps=10)
    truth = 1 / (1 + 1.5**2 * (1 / repeats).mean())
    assert float(found["reliability"].mean()) == pytest.approx(truth, rel=0.01)


def test_f33_padding_with_nan_changes_nothing() -> None:
    repeats = np.random.default_rng(2).integers(2, 6, 60)
    recording = repeated(standard(60, 4), repeats, 1.0, shuffled=False)
    whole = reliability.split_half(recording, splits=200, bootstraps=10)
    rows, place = 60 * 5, np.concatenate([5 * s + np.arange(n) for s, n in enumerate(repeats)])
    response = np.full((rows, 4), np.nan)
    response[place] = recording["response"].values
    padded = xr.Dataset(
        {"response": (("presentation", "neuroid"), response, {"units": "1"})},
        {"stimulus_id": ("presentation", np.repeat(np.char.mod("s%04d", np.arange(60)), 5))},
    )
    found = reliability.split_half(padded, splits=200, bootstraps=10)
    np.testing.assert_allclose(found["reliability"], whole["reliability"], atol=0.02)
    np.testing.assert_array_equal(found["stimuli"], 60)
    # one neuroid lacks a repetition that the others have: only it changes
    response[place[0], 1] = np.nan
    padded["response"] = ("presentation", "neuroid"), response, {"units": "1"}
    again = reliability.split_half(padded, splits=200, bootstraps=10)
    assert again["reason"].values.tolist() == [""] * 4
    np.testing.assert_allclose(again["reliability"], found["reliability"], atol=0.02)


def test_dead_negative_and_unrepeated_neuroids_say_why() -> None:
    rng = np.random.default_rng(3)
    recording = repeated(standard(50, 4), np.full(50, 2), 0.5, shuffled=False)
    response = recording["response"].values
    response[:, 0] = 7.3
    opposite = rng.normal(size=50)
    response[:, 1] = np.ravel(np.stack([opposite, -opposite], axis=1))
    response[1::2, 2] = np.nan
    found = reliability.split_half(recording, bootstraps=50)
    assert [reason.split(" ")[0] for reason in found["reason"].values] == ["does", "halves", "fewer", ""]
    assert np.isnan(found["reliability"].values[:3]).all()
    assert (found.attrs["dead"], found.attrs["negative"], found.attrs["unrepeated"]) == (1, 1, 1)
    assert float(found["correlation"][1]) == pytest.approx(-1, abs=0.05)


def test_v20_dead_units_move_the_medians_as_predicted() -> None:
    kept = {"neuroids": 40, "window": (0.08, 0.28), "bin_width": 0.2}
    alive = reliability.split_half(synthetic.macaque_it(seed=0, **kept), bootstraps=20)
    some = synthetic.macaque_it(seed=0, dead=0.25, **kept)
    found = reliability.split_half(some, bootstraps=20)
    assert found.attrs["dead"] == 10 == int(some["dead"].sum())
    assert found.attrs["n"] == 30
    assert found.attrs["n_above"] <= 30
    assert abs(found.attrs["median"] - alive.attrs["median"]) < 0.03
    assert np.isnan(reliability.ceiling(found)["r_ceiling"].values[some["dead"].values]).all()


def test_v19_macaque_it_gives_its_analytic_reliability() -> None:
    ratios = []
    for seed in range(4):
        recording = synthetic.macaque_it(seed=seed, window=(0.08, 0.28), bin_width=0.2).isel(time=0)
        found = reliability.split_half(recording, bootstraps=20, seed=seed)
        ratios.append(float(found["reliability"].mean()) / float(recording["reliability"].mean()))
        assert found.attrs["median"] == pytest.approx(float(recording["reliability"].median()), rel=0.01)
    assert np.mean(ratios) == pytest.approx(1, rel=0.005)


def test_intervals_hold_the_reliability_of_new_stimuli() -> None:
    inside = []
    for seed in range(20):
        recording = repeated(np.random.default_rng(seed).normal(size=(120, 10)), np.full(120, 4), 1.5, seed)
        found = reliability.split_half(recording, splits=20, bootstraps=200)
        truth = 1 / (1 + 1.5**2 / 4)
        inside += list((found["reliability_low"] <= truth) & (truth <= found["reliability_high"]))
    assert 0.9 <= np.mean(inside) <= 0.99


def test_each_time_is_as_if_it_were_alone() -> None:
    recording = synthetic.macaque_it(seed=0, neuroids=5, images=3, bin_width=0.1)
    found = reliability.split_half(recording, bootstraps=20)
    assert found["reliability"].dims == ("neuroid", "time")
    alone = reliability.split_half(recording.isel(time=2), bootstraps=20)
    np.testing.assert_allclose(found["reliability"].isel(time=2), alone["reliability"], rtol=0, atol=1e-12)


def test_the_same_seed_gives_the_same_bytes() -> None:
    recording = repeated(standard(20, 3), np.full(20, 4), 1.0)
    once, again, other = (reliability.split_half(recording, bootstraps=20, seed=s) for s in (0, 0, 1))
    assert once.identical(again)
    assert not once["reliability"].identical(other["reliability"])


def test_nothing_repeated_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^stimulus_id: fewer than 3 come twice"):
        reliability.split_half(repeated(standard(20, 2), np.ones(20, int), 1.0))


def test_scores_are_joined_with_ceilings_by_neuroid() -> None:
    found = reliability.split_half(repeated(standard(200, 4), np.full(200, 4), 1.0), bootstraps=20)
    order = [2, 0, 3, 1]
    scores = xr.Dataset(
        {"r": ("neuroid", np.array([0.5, 0.99, 0.3, 0.2]), {"units": "1"})},
        {"neuroid_id": ("neuroid", found["neuroid_id"].values[order])},
    )
    made = reliability.normalized(scores, found, variable="r")
    bound = np.sqrt(found["reliability"].values[order])
    np.testing.assert_allclose(made["normalized"], scores["r"] / bound)
    assert made.attrs["above_ceiling"] == 1
    squared = reliability.normalized(scores, found, variable="r", squared=True)
    np.testing.assert_allclose(squared["normalized"], scores["r"] / bound**2)
    with pytest.raises(ValueError, match=r"^neuroid_id: "):
        reliability.normalized(scores.isel(neuroid=[0, 1]), found, variable="r")


def test_v4_reliability_is_the_published_one(neuro_data: Path) -> None:
    for session, expected in (("210325", 0.748), ("201016", 0.729)):
        found = reliability.split_half(v4(neuro_data, session), bootstraps=200)
        assert found.attrs["median"] == pytest.approx(expected, abs=0.02)
        assert found.attrs["median_low"] < found.attrs["median"] < found.attrs["median_high"]


def v4(neuro_data: Path, session: str) -> xr.Dataset:
    folder = neuro_data / "macaque" / "v4_natural_images" / "responses_raw"
    return ephys.response_matrix(
        folder / f"responses_{session}.npy", dims=("neuroid", "stimulus", "repetition"), region="V4"
    )


def assembly(recording: xr.Dataset):
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    return NeuroidAssembly(
        recording["response"].values,
        coords={
            "stimulus_id": ("presentation", recording["stimulus_id"].values),
            "object_name": ("presentation", recording["stimulus_id"].values),
            "repetition": ("presentation", recording["repetition"].values),
            "neuroid_id": ("neuroid", recording["neuroid_id"].values),
            "region": ("neuroid", ["V4"] * recording.sizes["neuroid"]),
        },
        dims=("presentation", "neuroid"),
    )


@pytest.mark.brainscore
@pytest.mark.parametrize("repeats", [4, 5])
def test_internal_consistency_is_brainscores(repeats: int) -> None:
    metrics = pytest.importorskip("brainscore_vision.metrics.internal_consistency.ceiling")
    recording = repeated(standard(40, 7), np.full(40, repeats), 1.0)
    peer = metrics.InternalConsistency()(assembly(recording))
    found = reliability.internal_consistency(recording)
    assert found.attrs["score"] == pytest.approx(float(peer), abs=1e-12)
    assert found.attrs["error"] == pytest.approx(float(peer.attrs["error"]), abs=1e-12)


@pytest.mark.brainscore
def test_internal_consistency_of_real_v4_is_brainscores(neuro_data: Path) -> None:
    metrics = pytest.importorskip("brainscore_vision.metrics.internal_consistency.ceiling")
    for session in ("210325", "201016"):
        recording = v4(neuro_data, session).isel(neuroid=slice(0, 20))
        peer = metrics.InternalConsistency()(assembly(recording))
        assert reliability.internal_consistency(recording).attrs["score"] == pytest.approx(
            float(peer), abs=1e-6
        )


def test_internal_consistency_has_time_and_needs_repetitions() -> None:
    recording = synthetic.macaque_it(seed=0, neuroids=5, images=3, bin_width=0.1)
    found = reliability.internal_consistency(recording)
    assert found["consistency"].dims == ("fold", "neuroid", "time")
    assert float(found["score"][2]) > float(found["score"][0]) + 0.3
    with pytest.raises(ValueError, match=r"^repetition: 1 value"):
        reliability.internal_consistency(recording.isel(presentation=recording["repetition"].values == 0))


def test_spearman_brown_with_real_counts_is_the_textbook_one_for_equal_halves() -> None:
    r = np.array([0.2, 0.5, 0.9, -0.1])
    found = _halves.prophesied(r, np.full(4, 1 / 5), np.full(4, 1 / 10))
    np.testing.assert_allclose(found[:3], 2 * r[:3] / (1 + r[:3]))
    assert np.isnan(found[3])


def test_plots_show_neuroids_or_time() -> None:
    recording = synthetic.macaque_it(seed=0, neuroids=5, images=3, bin_width=0.1)
    course = reliability.split_half(recording, bootstraps=20)
    assert reliability.plot(course).axes[0].get_xlabel().endswith("(s)")
    one = reliability.plot(reliability.split_half(recording.isel(time=2), bootstraps=20)).axes[0]
    assert one.get_xlabel().startswith("neuroid")
    assert "threshold" in one.get_ylabel()
    many = reliability.plot(reliability.internal_consistency(recording.isel(time=2))).axes[0]
    assert "threshold" not in many.get_ylabel()
    assert many.get_xlabel().startswith("neuroid")
