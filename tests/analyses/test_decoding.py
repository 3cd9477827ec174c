"""Decoding agrees with scikit-learn, obeys its laws, and gives the same bytes however it is computed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyses import decoding, folds


def planted(
    *,
    presentations: int = 160,
    neuroids: int = 20,
    times: int = 25,
    classes: int = 2,
    effect: float = 0.8,
    seed: int = 0,
) -> xr.Dataset:
    """Noise, and from 0 s on a pattern for each class; every stimulus is shown in every run."""
    presentations, rng = 160, np.random.default_rng(seed)
    stimulus = np.tile(rng.permutation(presentations // 4), 4)
    label = stimulus % classes
    response = rng.normal(size=(presentations, neuroids, times)) * rng.uniform(0.5, 3, neuroids)[:, None]
    time = np.round(np.arange(times) * 0.02 - 0.2, 3)
    response[:, :, time >= 0] += effect * rng.normal(size=(classes, neuroids))[label][:, :, None]
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response, {"units": "T"})},
        coords={
            "stimulus_id": ("presentation", stimulus.astype(str)),
            "label": ("presentation", label),
            "run": ("presentation", np.repeat(np.arange(4), presentations // 4)),
            "neuroid_id": ("neuroid", [f"n{index}" for index in range(neuroids)]),
            "time": time,
        },
    )


PEERS = {
    "lda": (None, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), 1e-8),
    "lda fixed": (0.3, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3), 1e-8),
    "ridge": (2.0, RidgeClassifier(alpha=2.0), 1e-8),
    "logistic": (2.0, LogisticRegression(C=0.5, tol=1e-12, max_iter=10_000), 1e-5),
}


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("name", PEERS)
def test_decision_values_equal_scikit_learn(name: str, standardize: bool) -> None:
    recording = planted()
    strength, peer, tolerance = PEERS[name]
    split = folds.split(recording, "label", folds=4)
    ours = decoding.time_resolved(
        recording, "label", estimator=name.split()[0], strength=strength, standardize=standardize, folds=split
    )
    for train, test in zip(split["train"].values, split["test"].values, strict=True):
        for moment in (0, 15):
            x = recording["response"].values[:, :, moment]
            model = make_pipeline(StandardScaler(), peer) if standardize else peer
            model.fit(x[train], recording["label"].values[train])
            expected = model.decision_function(x[test])
            np.testing.assert_allclose(
                ours["decision"].values[test, moment], expected, rtol=0, atol=tolerance
            )


@pytest.mark.parametrize("name", ["lda", "ridge"])
def test_many_classes_equal_scikit_learn(name: str) -> None:
    recording = planted(classes=5)
    split = folds.split(recording, "label", folds=4)
    ours = decoding.time_resolved(recording, "label", estimator=name, standardize=False, folds=split)
    peer = PEERS[name][1] if name == "lda" else RidgeClassifier(alpha=1.0)
    train, test = split["train"].values[1], split["test"].values[1]
    x = recording["response"].values[:, :, 20]
    expected = peer.fit(x[train], recording["label"].values[train]).decision_function(x[test])
    np.testing.assert_allclose(ours["decision"].values[test, :, 20], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("standardize", [True, False])
def test_largest_correlation_is_chosen(standardize: bool) -> None:
    recording = planted(classes=5)
    split = folds.split(recording, "label", folds=4)
    options = {"estimator": "correlation", "standardize": standardize}
    ours = decoding.time_resolved(recording, "label", folds=split, **options)["decision"]
    train, test = split["train"].values[1], split["test"].values[1]
    x, label = recording["response"].values[:, :, 20], recording["label"].values
    if standardize:
        x = (x - x[train].mean(0)) / x[train].std(0)
    means = np.array([x[train & (label == name)].mean(0) for name in range(5)])
    expected = np.corrcoef(x[test], means)[: test.sum(), test.sum() :]
    length = np.linalg.norm(x[test] - x[test].mean(1, keepdims=True), axis=1)
    np.testing.assert_allclose(ours.values[test, :, 20] / length[:, None], expected, rtol=0, atol=1e-12)


def test_offsets_of_many_standard_deviations_cost_no_digits() -> None:
    recording = planted()
    far = recording.copy(deep=True)
    far["response"] = recording["response"] + 1e4
    near, moved = (decoding.time_resolved(each, "label")["decision"].values for each in (recording, far))
    np.testing.assert_allclose(moved, near, rtol=0, atol=1e-8)


def test_units_of_neuroids_do_not_matter() -> None:
    recording = planted()
    scaled = recording.copy(deep=True)
    scaled["response"] = recording["response"] * xr.DataArray(np.logspace(-13, 0, 20), dims="neuroid")
    for name in ("lda", "ridge", "logistic"):
        plain, mixed = (
            decoding.time_resolved(each, "label", estimator=name)["auc"].values
            for each in (recording, scaled)
        )
        np.testing.assert_allclose(mixed, plain, rtol=0, atol=1e-9)


def test_chance_before_onset_and_well_above_after() -> None:
    found = decoding.time_resolved(planted(), "label")["auc"]
    assert abs(float(found.sel(time=slice(None, -0.01)).mean()) - 0.5) < 0.05
    assert float(found.sel(time=slice(0, None)).min()) > 0.75


def test_v07_imbalanced_noise_is_at_chance() -> None:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(20):
        recording = planted(effect=0.0, seed=int(rng.integers(1e9)))
        label = np.arange(160) % 10 == 0
        recording = recording.assign_coords(
            label=("presentation", label), stimulus_id=("presentation", np.arange(160).astype(str))
        )
        found.append(float(decoding.time_resolved(recording, "label", folds=3)["auc"].mean()))
    assert abs(np.mean(found) - 0.5) < 3 * np.std(found) / np.sqrt(len(found)) + 0.005


def test_lazy_equals_eager_and_stays_lazy() -> None:
    recording = planted()
    eager = decoding.time_resolved(recording, "label")
    lazy = decoding.time_resolved(recording.chunk({"time": 7, "presentation": 50}), "label")
    assert lazy["auc"].chunks is not None
    assert lazy["auc"].values.tobytes() == eager["auc"].values.tobytes()
    assert lazy["decision"].values.tobytes() == eager["decision"].values.tobytes()


def test_diagonal_of_generalization_is_the_time_course() -> None:
    recording = planted()
    split = folds.split(recording, "label", folds=4)
    square = decoding.generalize(recording, "label", folds=split)["auc"]
    course = decoding.time_resolved(recording, "label", folds=split)["auc"]
    assert square.dims == ("time", "test_time")
    np.testing.assert_allclose(np.diag(square.values), course.values, rtol=0, atol=1e-12)


def test_generalization_equals_scikit_learn_off_the_diagonal() -> None:
    from sklearn.metrics import roc_auc_score

    recording = planted()
    split = folds.split(recording, "label", folds=4, groups="stimulus_id", overlap=["run"])
    square = decoding.generalize(recording, "label", folds=split, overlap=["run"])["auc"]
    x, label = recording["response"].values, recording["label"].values
    scores = []
    for train, test in zip(split["train"].values, split["test"].values, strict=True):
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x[train, :, 20], label[train])
        scores.append(roc_auc_score(label[test], model.decision_function(x[test, :, 14])))
    assert float(square[20, 14]) == pytest.approx(np.mean(scores), abs=1e-12)


def test_pairwise_equals_a_decoder_of_the_pair_alone() -> None:
    recording = planted(classes=6, neuroids=60)
    options = {"groups": "run", "overlap": ["stimulus_id"], "folds": 4}
    movie = decoding.pairwise(recording, "label", **options)["auc"]
    split = folds.split(recording, "label", **options)
    chosen = np.isin(recording["label"].values, [1, 4])
    pair = decoding.time_resolved(
        recording.isel(presentation=chosen),
        "label",
        folds=split.isel(presentation=chosen),
        overlap=["stimulus_id"],
    )
    np.testing.assert_allclose(movie.sel(condition=1, other_condition=4), pair["auc"], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(
        movie.values, movie.transpose("other_condition", "condition", "time").values
    )
    assert np.isnan(movie.values[np.arange(6), np.arange(6)]).all()


def test_transfer_diagonal_is_within_and_tolerance_is_seen() -> None:
    recording = planted(classes=3, effect=2.0)
    where = np.arange(160) % 2
    flipped = recording.copy(deep=True)
    flipped["response"] = recording["response"] * xr.DataArray(
        np.where(where, -1.0, 1.0), dims="presentation"
    )
    flipped = flipped.assign_coords(position=("presentation", where))
    found = decoding.transfer(flipped, "label", "position", groups="run", overlap=["stimulus_id"], folds=4)
    table = found["balanced_accuracy"].sel(time=slice(0, None)).mean("time").values
    assert np.diag(table).min() > 0.8
    assert table[0, 1] < 1 / 3
    assert table[1, 0] < 1 / 3


def test_relabelled_scores_equal_a_decoder_of_the_relabelled_recording() -> None:
    recording = planted(times=3)
    split = folds.split(recording, "label", folds=4)
    found = decoding.time_resolved(recording, "label", estimator="ridge", folds=split, permutations=5, seed=7)
    for number, codes in enumerate(folds.relabel(recording, "label", split, 5, seed=7)):
        renamed = recording.assign_coords(label=("presentation", codes))
        expected = decoding.time_resolved(renamed, "label", estimator="ridge", folds=split)["auc"]
        np.testing.assert_allclose(found["null"].isel(permutation=number), expected, rtol=0, atol=1e-12)


def test_relabelled_scores_of_lda_and_ridge_centre_on_chance() -> None:
    recording = planted(times=4, effect=2.0)
    for name in ("lda", "ridge"):
        found = decoding.time_resolved(recording, "label", estimator=name, permutations=60)
        assert abs(float(found["null"].mean()) - 0.5) < 0.03


def test_f61_constant_neuroids_and_separable_classes_are_decoded_without_warning() -> None:
    recording = planted(effect=50.0)
    recording["response"][:, 3] = 7.0
    for name in ("lda", "ridge", "logistic"):
        found = decoding.time_resolved(recording, "label", estimator=name)["auc"]
        assert float(found.sel(time=slice(0, None)).min()) == 1.0


def test_f61_neuroids_silent_in_one_class_equal_scikit_learn() -> None:
    recording = planted(classes=3)
    rng = np.random.default_rng(8)
    counts = rng.poisson(0.3, size=recording["response"].shape).astype(float)
    counts[recording["label"].values == 1, :12] = 0.0
    recording["response"] = recording["response"].copy(data=counts)
    split = folds.split(recording, "label", folds=4)
    ours = decoding.time_resolved(recording, "label", folds=split)["decision"]
    train, test = split["train"].values[0], split["test"].values[0]
    peer = PEERS["lda"][1].fit(counts[train, :, 9], recording["label"].values[train])
    expected = peer.decision_function(counts[test, :, 9])
    np.testing.assert_allclose(ours.values[test, :, 9], expected, rtol=0, atol=1e-8)


def test_f61_a_bin_of_zeros_is_exactly_at_chance() -> None:
    recording = planted()
    recording["response"][:, :, 4] = 0.0
    for name in ("lda", "ridge", "logistic"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert float(decoding.time_resolved(recording, "label", estimator=name)["auc"][4]) == 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f17_not_finite_is_refused_with_its_first_index(value: float) -> None:
    recording = planted()
    recording["response"][3, 5, 2] = value
    with pytest.raises(ValueError, match=r"presentation 3, neuroid 5 .*nothing is imputed"):
        decoding.time_resolved(recording, "label")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimator": "svm"}, "estimator 'svm': unknown"),
        ({"strength": -1.0}, "strength: -1.0"),
        ({"strength": 1.5}, "between 0 and 1"),
        ({"score": "accuracy"}, "score 'accuracy': unknown"),
        ({"label": "labl"}, "'labl': the recording has none of that name"),
    ],
)
def test_bad_arguments_are_one_clear_line(change: dict, message: str) -> None:
    options = {"label": "label", **change}
    with pytest.raises(ValueError, match=message) as caught:
        decoding.time_resolved(planted(times=2), **options)
    assert "\n" not in str(caught.value)


def test_f63_labels_with_nan_are_refused_with_index() -> None:
    recording = planted(times=2)
    label = recording["label"].values.astype(float)
    label[7] = np.nan
    with pytest.raises(ValueError, match=r"presentation 7 has none \(NaN\)"):
        decoding.time_resolved(recording.assign_coords(label=("presentation", label)), "label")


def test_v03_detector_fires_on_blocks_and_is_silent_on_mixed_order() -> None:
    recording = planted(times=2).drop_vars("run")
    blocks = recording.assign_coords(
        label=("presentation", np.arange(160) // 40 % 2),
        onset=("presentation", np.arange(160.0)),
        stimulus_id=("presentation", np.arange(160).astype(str)),
    )
    with pytest.warns(UserWarning, match="comes in blocks"):
        decoding.time_resolved(blocks, "label")
    decoding.time_resolved(recording.assign_coords(onset=("presentation", np.arange(160.0))), "label")


@pytest.mark.parametrize("maker", ["time_resolved", "generalize", "pairwise", "transfer"])
def test_plots_draw_the_data_with_a_chance_line_and_units(maker: str) -> None:
    recording = planted().assign_coords(position=("presentation", np.arange(160) % 2))
    function = getattr(decoding, maker)
    extra = ("position",) if maker == "transfer" else ()
    found = function(recording, "label", *extra)
    (axes, *_) = decoding.plot(found).axes
    if maker in ("time_resolved", "pairwise"):
        assert axes.get_xlabel() == "time from stimulus onset (s)"
        assert 0.5 in {line.get_ydata()[0] for line in axes.lines}
    if maker == "time_resolved":
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), found["auc"].values)
