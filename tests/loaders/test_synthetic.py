"""What was planted is there, what was not is not, and each confound alone can fool a careless decoder."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from loaders import _synthetic_it, synthetic

SILENT = {"familiarity": 0.0, "identity": 0.0, "image": 0.0}
TINY = {"sites": 6, "identities": 2, "images": 2}


def auc(recording: xr.Dataset, times: tuple[float, float], groups: tuple[str, ...], label: str) -> float:
    """Mean AUC of shrinkage LDA on the mean over `times`; folds disjoint in each of `groups`, else random."""
    span = (recording.time.values >= times[0]) & (recording.time.values <= times[1])
    x = recording.response.values[:, :, span].mean(-1)
    y = recording[label].values == np.unique(recording[label].values)[1]
    rng = np.random.default_rng(0)
    parts = [_parts(recording[name].values, y, rng) for name in groups] or [_parts(np.arange(len(y)), y, rng)]
    scores = []
    for cell in np.unique(np.stack(parts, 1), axis=0):
        same = [part == here for part, here in zip(parts, cell, strict=True)]
        test, train = np.all(same, axis=0), ~np.any(same, axis=0)
        if len(np.unique(y[test])) == 2:
            scale = x[train].std(0) + (x[train].std(0) == 0)
            model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
            model.fit((x[train] - x[train].mean(0)) / scale, y[train])
            test_x = (x[test] - x[train].mean(0)) / scale
            scores.append(roc_auc_score(y[test], model.decision_function(test_x)))
    return float(np.mean(scores))


def _parts(values: np.ndarray, y: np.ndarray, rng: np.random.Generator, folds: int = 4) -> np.ndarray:
    """A part for each trial, the same for trials of one value; values of one class are dealt by class."""
    names, index = np.unique(values, return_inverse=True)
    share = np.bincount(index, y) / np.bincount(index)
    kinds = np.where((share > 0) & (share < 1), 0.5, share)
    part = np.empty(len(names), int)
    for kind in np.unique(kinds):
        here = rng.permutation(np.flatnonzero(kinds == kind))
        part[here] = np.arange(len(here)) % folds
    return part[index]


def faces(
    times: tuple[float, float], groups: tuple[str, ...], subjects: int = 6, **switch: Any
) -> np.ndarray:
    """AUC of `familiar` for each of some subjects, from a coarse array."""
    switch = {"seed": 0, "sites": 16} | switch
    made = (synthetic.meg_faces(subject=who + 1, **switch) for who in range(subjects))
    return np.array([auc(recording, times, groups, "familiar") for recording in made])


def difference(recording: xr.Dataset) -> np.ndarray:
    familiar = recording.familiar.values == 1
    response = recording.response.values
    return np.abs(response[familiar].mean(0) - response[~familiar].mean(0)).max(0)


MAKERS = {
    "meg_faces": lambda seed: synthetic.meg_faces(seed=seed, **TINY),
    "meg_oracle": lambda seed: synthetic.meg_oracle(seed=seed, images=3),
    "macaque_it": lambda seed: synthetic.macaque_it(seed=seed, neuroids=4, repeats=2),
    **{
        f"null-{shape}": lambda seed, shape=shape: synthetic.null(
            seed=seed, shape=shape, stimuli=8, repeats=3, neuroids=4, times=3
        )
        for shape in ("white", "repeated", "drift", "autocorrelated", "imbalanced", "skewed")
    },
}


@pytest.mark.parametrize("name", MAKERS)
def test_one_seed_gives_the_same_bytes_and_another_seed_others(name: str) -> None:
    first, again, other = MAKERS[name](0), MAKERS[name](0), MAKERS[name](1)
    assert first.identical(again)
    assert first.response.values.tobytes() == again.response.values.tobytes()
    assert not np.array_equal(first.response.values, other.response.values)
    assert first.attrs["origin"] == "simulated"


def test_written_and_returned_recordings_have_the_same_arguments() -> None:
    for maker, writer, own in (
        (synthetic.meg_faces, synthetic.write_meg_faces, {"path", "subjects"}),
        (synthetic.macaque_it, synthetic.write_macaque_it, {"path", "format"}),
    ):
        made, written = (inspect.signature(function).parameters for function in (maker, writer))
        shared = set(made) - {"window", "bin_width", "expected"}
        assert set(written) - own == shared
        assert all(made[name].default == written[name].default for name in shared)


@pytest.mark.parametrize("onset", [0.06, 0.085, 0.12])
def test_the_classes_are_equal_until_the_planted_onset_and_differ_from_then_on(onset: float) -> None:
    made = synthetic.meg_faces(
        seed=1, sites=8, snr=np.inf, identity=0, image=0, luminance=0, onset_s=onset, sfreq=500.0
    )
    time, gap = made.time.values, difference(made)
    assert gap[time <= onset].max() < 1e-25
    assert (gap[(time > onset) & (time <= 0.5)] > 1e-16).all()
    assert gap[np.searchsorted(time, onset + 0.05)] > 3 * gap[np.searchsorted(time, onset + 0.01)]
    assert made.attrs["truth_familiarity_onset_s"] == onset


def test_people_differ_from_150_ms_and_images_before() -> None:
    made = synthetic.meg_faces(seed=1, sites=8, snr=np.inf, familiarity=0, image=0, luminance=0)
    spread = made.response.groupby("identity").mean("presentation").std("identity").values.max(0)
    time = made.time.values
    assert spread[time <= 0.15].max() < 1e-25
    assert spread[time >= 0.16].max() > 1e-15
    images = synthetic.meg_faces(seed=1, sites=8, snr=np.inf, familiarity=0, identity=0, luminance=0)
    spread = images.response.groupby("stimulus_id").mean("presentation").std("stimulus_id").values.max(0)
    assert spread[time <= 0.05].max() < 1e-25
    assert spread[(time > 0.08) & (time < 0.12)].min() > 1e-15


def test_every_face_evokes_50_to_500_femtotesla_within_200_ms() -> None:
    made = synthetic.meg_faces(seed=0, snr=np.inf)
    evoked = made.response.values[:, made.kind.values == "mag"].mean(0)
    peak = made.time.values[np.abs(evoked).max(0).argmax()]
    assert 50e-15 < np.abs(evoked).max() < 500e-15
    assert 0.08 < peak < 0.2
    assert np.abs(evoked[:, made.time.values <= 0.05]).max() < 1e-25


def test_noise_is_correlated_in_space_and_time_and_falls_with_the_snr() -> None:
    noise = synthetic.meg_faces(seed=0, sites=16, **SILENT, luminance=0).response.values[:, ::3, :50]
    deviation = noise - noise.mean(0)
    lag = (deviation[:, :, 1:] * deviation[:, :, :-1]).mean() / (deviation**2).mean()
    assert 0.5 < lag < 0.999
    assert np.abs(np.corrcoef(deviation[:, :, 0].T) - np.eye(16)).max() > 0.5
    quiet = synthetic.meg_faces(seed=0, sites=16, **SILENT, luminance=0, snr=4).response.values[:, ::3, :50]
    assert np.allclose(quiet, noise / 4, rtol=1e-5, atol=1e-18)


def test_a_subject_does_not_depend_on_the_others_and_an_eog_channel_changes_no_sensor() -> None:
    first, second = (synthetic.meg_faces(seed=0, subject=who, **TINY) for who in ("01", 2))
    assert not np.array_equal(first.response.values, second.response.values)
    assert np.unique(first.luminance.values).tolist() == np.unique(second.luminance.values).tolist()
    with_eog = synthetic.meg_faces(seed=0, **TINY, eog_leak=0.0)
    assert with_eog.neuroid_id.values[-1] == "EOG061"
    assert np.allclose(with_eog.response.values[:, :-1], first.response.values, rtol=1e-6, atol=1e-20)


def test_familiarity_is_found_in_the_group_after_its_onset_and_not_before() -> None:
    groups, switch = ("identity", "run"), {"subjects": 16, "sites": 24}
    before, after = (faces(times, groups, **switch) for times in ((-0.052, -0.05), (0.15, 0.152)))
    assert 0.6 < after.mean() < 0.75
    assert (after.mean() - 0.5) / (after.std(ddof=1) / 4) > 5
    assert 0.45 < before.mean() < 0.55


def test_people_alone_fool_random_folds_and_not_folds_by_identity() -> None:
    switch = {"familiarity": 0.0, "identity": 2.0}
    assert faces((0.19, 0.25), (), **switch).mean() > 0.58
    assert 0.42 < faces((0.19, 0.25), ("identity", "run"), **switch).mean() < 0.55


def test_luminance_alone_decodes_and_stands_beside_the_trials() -> None:
    bright = synthetic.meg_faces(seed=0, sites=4, luminance_confound=2.0)
    plain = synthetic.meg_faces(seed=0, sites=4)
    assert roc_auc_score(bright.familiar.values, bright.luminance.values) > 0.85
    assert roc_auc_score(plain.familiar.values, plain.luminance.values) == pytest.approx(0.5)
    assert faces((0.09, 0.11), ("identity", "run"), **SILENT, luminance_confound=2.0).mean() > 0.6
    assert faces((0.09, 0.11), ("identity", "run"), **SILENT).mean() < 0.56


def test_drift_alone_decodes_before_onset_when_labels_stand_in_blocks() -> None:
    assert faces((-0.1, 0.0), (), **SILENT, block_trials=20).mean() > 0.6
    assert faces((-0.1, 0.0), (), **SILENT).mean() < 0.55
    assert faces((-0.1, 0.0), (), **SILENT, block_trials=20, drift=0.0).mean() < 0.58
    made = synthetic.meg_faces(seed=0, sites=4, block_trials=20)
    assert (np.diff(np.flatnonzero(np.diff(made.familiar.values))) == 20).all()


def test_eyes_alone_decode_and_show_in_the_eog_channel() -> None:
    leak = [synthetic.meg_faces(seed=0, subject=k, sites=4, **SILENT, eog_leak=1.0) for k in (1, 2)]
    none = [synthetic.meg_faces(seed=0, subject=k, sites=4, **SILENT, eog_leak=0.0) for k in (1, 2)]
    for made, low, high in [(leak, 0.8, 1.0), (none, 0.35, 0.65)]:
        eog = [one.isel(neuroid=[-1]) for one in made]
        assert all(one.si_unit.values.tolist() == ["V"] for one in eog)
        assert low < np.mean([auc(one, (0.28, 0.35), ("run",), "familiar") for one in eog]) < high
    meg = [one.isel(neuroid=slice(0, -1)) for one in leak]
    assert np.mean([auc(one, (0.28, 0.35), ("run",), "familiar") for one in meg]) > 0.6


def test_novelty_alone_decodes_until_exposure_is_matched() -> None:
    switch = {**SILENT, "luminance": 0.0, "exposure_ratio": 4, "adaptation": 3.0, "sites": 16}
    made = [synthetic.meg_faces(seed=0, subject=who + 1, **switch) for who in range(6)]
    counts = np.unique(made[0].familiar.values, return_counts=True)[1]
    assert counts[1] == 4 * counts[0]
    groups, times = ("identity", "run"), (0.14, 0.18)
    assert np.mean([auc(one, times, groups, "familiar") for one in made]) > 0.55
    matched = [one.isel(presentation=one.repetition.values == 0) for one in made]
    assert 0.4 < np.mean([auc(one, times, ("identity",), "familiar") for one in matched]) < 0.56


def test_repetitions_count_how_often_an_image_was_shown() -> None:
    made = synthetic.meg_faces(seed=0, sites=1, repeats=3)
    for name in np.unique(made.stimulus_id.values):
        assert made.repetition.values[made.stimulus_id.values == name].tolist() == [0, 1, 2]
    assert len(np.unique(made.identity.values)) == 16
    assert np.unique(made.run.values, return_counts=True)[1].tolist() == [60] * 4


def test_bad_channels_are_flat_and_noisy_in_turn_and_told() -> None:
    bad, good = (synthetic.meg_faces(seed=0, sites=8, bad_channels=n) for n in (4, 0))
    spread = bad.response.std(("presentation", "time")).values
    usual = good.response.std(("presentation", "time")).values
    assert bad.bad.values.sum() == 4
    assert (spread[bad.bad.values] == 0).sum() == 2
    assert (spread[bad.bad.values] > 20 * usual[bad.bad.values]).sum() == 2
    assert np.array_equal(bad.response.values[:, ~bad.bad.values], good.response.values[:, ~bad.bad.values])


def test_a_trigger_delay_moves_the_response_and_nothing_else() -> None:
    late, sound = (
        synthetic.meg_faces(seed=0, sites=4, snr=np.inf, trigger_delay_s=delay) for delay in (0.04, 0.0)
    )
    assert np.allclose(late.response.values[:, :, 10:], sound.response.values[:, :, :-10], atol=1e-19)
    assert late.attrs["truth_trigger_delay_s"] == 0.04
    assert np.array_equal(late.onset.values, sound.onset.values)


def test_a_share_of_the_subjects_has_the_effect_and_onsets_are_spread() -> None:
    def truth(name: str, **switch: Any) -> np.ndarray:
        small = {"sites": 1, "identities": 1, "images": 2, "runs": 1, "repeats": 1}
        made = (synthetic.meg_faces(seed=0, subject=k, **small, **switch) for k in range(1, 17))
        return np.array([one.attrs[name] for one in made])

    assert truth("truth_has_effect", share=0.25).sum() == 4
    assert truth("truth_has_effect", share=1 / 16).sum() == 1
    assert truth("truth_has_effect").sum() == 16
    onsets = truth("truth_familiarity_onset_s", onset_spread_s=0.01)
    assert 0.005 < onsets.std() < 0.02
    assert abs(onsets.mean() - 0.085) < 0.01
    without = synthetic.meg_faces(seed=0, snr=np.inf, sites=4, identity=0, image=0, luminance=0, share=0.0)
    assert difference(without).max() < 1e-25


@pytest.mark.parametrize(
    ("switch", "message"),
    [
        ({"subject": "anna"}, "subject: 'anna': is not a number from 1 on"),
        ({"snr": 0}, "snr: 0: must be above 0"),
        ({"share": 1.5}, "share: 1.5: is not a share"),
        ({"runs": 99, "images": 1, "identities": 1}, "runs: 99: more than the 4 presentations"),
        ({"bad_channels": 99, "sites": 2}, "bad_channels: 99: there are 6"),
        ({"repeats": 0}, "repeats: 0: must be 1 or more"),
        ({"trigger_delay_s": -0.1}, "trigger_delay_s: -0.1: is not 0 to 0.3 s"),
        ({"soa_s": 0.0}, "soa_s: 0.0: is too short"),
        ({"window": (0.5, 0.1)}, "window: .* must begin before it ends"),
    ],
)
def test_a_wrong_switch_is_named(switch: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        synthetic.meg_faces(seed=0, **switch)


@pytest.mark.parametrize(
    ("switch", "groups", "low", "high"),
    [
        ({"familiarity": 1.2}, ("stimulus_id",), 0.67, 0.74),
        ({"familiarity": 0.45}, ("stimulus_id",), 0.53, 0.59),
        ({"familiarity": 0.0, "identity": 1.0}, (), 0.515, 0.60),
        ({"familiarity": 0.0, "identity": 1.0}, ("stimulus_id",), 0.46, 0.52),
    ],
)
def test_the_oracle_decodes_as_its_recipe_says(
    switch: dict[str, float], groups: tuple[str, ...], low: float, high: float
) -> None:
    made = [synthetic.meg_oracle(seed=0, subject=who + 1, **switch) for who in range(4)]
    assert low < np.mean([auc(one, (0.2, 0.2), groups, "familiar") for one in made]) < high
    assert 0.45 < np.mean([auc(one, (-0.2, -0.1), groups, "familiar") for one in made]) < 0.55


def test_the_oracle_is_filtered_with_or_without_delay_and_has_a_baseline() -> None:
    made = {
        how: synthetic.meg_oracle(seed=0, images=20, filter=how) for how in ("none", "zero-phase", "causal")
    }
    for one in made.values():
        before = (one.time.values >= -0.2) & (one.time.values <= 0)
        assert np.abs(one.response.values[:, :, before].mean(-1)).max() < 1e-12
    roughness = {how: np.diff(one.response.values).std() for how, one in made.items()}
    assert roughness["zero-phase"] < roughness["causal"] < roughness["none"]
    with pytest.raises(ValueError, match="filter: 'zero-fase': is unknown; did you mean 'zero-phase'"):
        synthetic.meg_oracle(seed=0, images=2, filter="zero-fase")


def reliability(recording: xr.Dataset) -> np.ndarray:
    """Split-half reliability of stimulus means, stepped up to all repeats, mean over 20 halvings."""
    x, stimulus = recording.response.values[:, :, 0], recording.stimulus_id.values
    names, index, counts = np.unique(stimulus, return_inverse=True, return_counts=True)
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        order = np.lexsort((rng.random(len(x)), index))
        rank = np.arange(len(x)) - np.repeat(np.cumsum(counts) - counts, counts)
        halves = []
        for half in (0, 1):
            rows = order[rank % 2 == half]
            total = np.zeros((len(names), x.shape[1]))
            np.add.at(total, index[rows], x[rows])
            mean = total / np.bincount(index[rows], minlength=len(names))[:, None]
            halves.append((mean - mean.mean(0)) / (mean.std(0) + 1e-300))
        r = (halves[0] * halves[1]).mean(0)
        found.append(2 * r / (1 + r))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("switch", [{"repeats": 10}, {"repeats": 40}, {"repeats": (6, 30)}, {"drift": 0.2}])
def test_the_ceiling_of_each_neuron_is_the_analytic_one(switch: dict[str, Any]) -> None:
    made = synthetic.macaque_it(
        seed=0, neuroids=40, objects=40, images=10, window=(0.08, 0.28), bin_width=0.2, **switch
    )
    estimated, planted = reliability(made), made.reliability.values
    assert abs(estimated.mean() - planted.mean()) < 0.005
    assert np.median(np.abs(estimated - planted)) < 0.01
    assert planted.mean() < 0.995


def test_counts_are_poisson_around_the_planted_latency() -> None:
    made = synthetic.macaque_it(seed=0, neuroids=30, repeats=60, images=2)
    counts = made.response.values.sum(-1)
    groups = [counts[made.stimulus_id.values == name] for name in np.unique(made.stimulus_id.values)]
    fano = np.mean([part.var(0, ddof=1) / part.mean(0) for part in groups])
    assert 0.95 < fano < 1.05
    course, time = made.response.values.mean(0), made.time.values
    before = course[:, time < 0.05].mean(1)
    start = time[np.argmax(course > (before + 0.3 * (course.max(1) - before))[:, None], axis=1)] - 0.005
    assert np.abs(start - made.latency_s.values).max() < 0.02
    assert abs(np.mean(start - made.latency_s.values)) < 0.006


def test_expected_counts_are_the_mean_of_the_counts() -> None:
    told = {
        "seed": 1,
        "neuroids": 12,
        "images": 3,
        "repeats": 40,
        "dead": 0.2,
        "drift": 0.2,
        "bin_width": 0.05,
    }
    made, mean = synthetic.macaque_it(**told), synthetic.macaque_it(**told, expected=True)
    for name in made.coords:
        assert made[name].identical(mean[name])
    counts, expected = made["response"].values, mean["response"].values.astype(float)
    assert (expected[:, made["dead"].values] == 0).all()
    alive = ~made["dead"].values
    z = (counts - expected)[:, alive].sum(axis=0) / np.sqrt(expected[:, alive].sum(axis=0))
    assert np.abs(z).max() < 4.5
    assert 0.7 < z.std() < 1.3


def test_dead_units_missing_images_days_and_unequal_repeats_are_as_planted() -> None:
    made = synthetic.macaque_it(seed=0, neuroids=10, dead=0.3, missing=3, days=2, repeats=[2, 5])
    assert made.dead.values.sum() == 3
    assert np.array_equal(made.response.values.sum((0, 2)) == 0, made.dead.values)
    assert np.array_equal(np.isnan(made.reliability.values), made.dead.values)
    shown, counts = np.unique(made.stimulus_id.values, return_counts=True)
    assert len(shown) == 37
    assert not set(shown) & set(made.attrs["truth_missing"].split(", "))
    assert set(counts.tolist()) == {2, 3, 4, 5}
    assert set(made.run.values.tolist()) == {1, 2}
    assert (np.diff(made.onset.values) > 0.45).all()


def test_spikes_stand_off_every_edge_and_never_twice() -> None:
    session = _synthetic_it.simulate(0, 5, 4, 3, 5, 20.0, 0.1, 0.0, 0.0, 1, 0)
    for train in session.trains:
        assert (np.diff(train) > 0.9e-6).all()
        assert np.abs(train * 1e3 - np.round(train * 1e3)).min() > 4e-4


def test_missing_and_window_are_checked() -> None:
    with pytest.raises(ValueError, match="missing: 40: must leave at least one of the 40 stimuli"):
        synthetic.macaque_it(seed=0, missing=40)
    with pytest.raises(ValueError, match=r"repeats: .*the smaller first"):
        synthetic.macaque_it(seed=0, repeats=(5, 2))
    with pytest.raises(ValueError, match="holds no bin"):
        synthetic.macaque_it(seed=0, window=(0.1, 0.1))


def nulls(shape: str, groups: tuple[str, ...], seeds: int = 16) -> float:
    made = (synthetic.null(seed=seed, shape=shape, times=1) for seed in range(seeds))
    return float(np.mean([auc(one, (0.0, 0.0), groups, "label") for one in made]))


@pytest.mark.parametrize(
    ("shape", "careless", "careful"),
    [
        ("repeated", (), ("stimulus_id",)),
        ("repeated", ("run",), ("stimulus_id",)),
        ("drift", (), ("run",)),
        ("autocorrelated", (), ("run",)),
    ],
)
def test_noise_fools_careless_folds_only(
    shape: str, careless: tuple[str, ...], careful: tuple[str, ...]
) -> None:
    assert nulls(shape, careless, seeds=6) > 0.6
    assert 0.43 < nulls(shape, careful) < 0.57


@pytest.mark.parametrize("shape", ["white", "imbalanced", "skewed"])
def test_plain_noise_is_at_chance(shape: str) -> None:
    assert 0.46 < nulls(shape, ("stimulus_id",)) < 0.54


def test_noise_has_the_shape_that_it_says() -> None:
    made = {
        shape: synthetic.null(seed=0, shape=shape) for shape in ("white", "imbalanced", "skewed", "drift")
    }
    share = {shape: np.mean(one.label.values == "a") for shape, one in made.items()}
    assert share["white"] == 0.5
    assert share["imbalanced"] == 0.1
    values = made["skewed"].response.values
    assert ((values - values.mean()) ** 3).mean() > 2
    assert abs(values.std() - 1) < 0.1
    for one in made.values():
        assert np.unique(one.stimulus_id.values, return_counts=True)[1].tolist() == [10] * 40
    labels = made["drift"].label.values.reshape(10, 40)
    assert ((labels[:, 1:] != labels[:, :-1]).sum(1) == 1).all()
    with pytest.raises(ValueError, match="shape: 'drfit': is unknown; did you mean 'drift'"):
        synthetic.null(seed=0, shape="drfit")
