"""Decoding against its peers: equality first, then the median ratio of paired runs in one process.

`make bench` prints the ratios. BLAS and the blocks of times run on one thread, for both sides, unless a
test says otherwise; seconds are wall seconds.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator

import dask
import mne
import numpy as np
import pytest
import scipy.linalg.lapack  # noqa: F401  (its BLAS must be loaded before threads are limited)
import xarray as xr
from mne.decoding import GeneralizingEstimator, SlidingEstimator, cross_val_multiscore
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from analyses import decoding, folds

pytestmark = pytest.mark.timing
PAIRS = 3


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    mne.set_log_level("ERROR")
    with threadpool_limits(1), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def noise(presentations: int, neuroids: int, times: int, classes: int = 2, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    label = np.arange(presentations) % classes
    mixing = rng.normal(size=(neuroids, neuroids)) / np.sqrt(neuroids) + np.eye(neuroids)
    response = mixing @ rng.normal(size=(presentations, neuroids, times))
    response[label == 1, :10] += 0.3
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response, {"units": "T"})},
        coords={
            "label": ("presentation", label),
            "stimulus_id": ("presentation", np.arange(presentations).astype(str)),
            "neuroid_id": ("neuroid", np.arange(neuroids).astype(str)),
            "time": np.arange(times) * 0.005,
        },
    )


def stratified(recording: xr.Dataset, count: int = 5) -> tuple[xr.Dataset, list]:
    label = recording["label"].values
    splits = list(StratifiedKFold(count).split(np.zeros((label.size, 1)), label))
    train = np.zeros((count, label.size), bool)
    for fold, (inside, _) in enumerate(splits):
        train[fold, inside] = True
    dims = ("fold", "presentation")
    return xr.Dataset({"train": (dims, train), "test": (dims, ~train)}), splits


def sliding(recording: xr.Dataset, splits: list, model: object) -> np.ndarray:
    peer = SlidingEstimator(model, scoring="roc_auc", n_jobs=1, verbose=False)
    x, y = recording["response"].values, recording["label"].values
    return cross_val_multiscore(peer, x, y, cv=splits, verbose=False).mean(axis=0)


def paired(
    name: str, ours: Callable, peer: Callable, goal: float, pairs: int = PAIRS, share: float = 1.0
) -> None:
    """Print and hold the median of peer / ours, where the peer does `share` of the work."""
    ratios = []
    for _ in range(pairs):
        start = time.perf_counter()
        peer()
        middle = time.perf_counter()
        ours()
        ratios.append((middle - start) / share / (time.perf_counter() - middle))
    low, median, high = min(ratios), float(np.median(ratios)), max(ratios)
    print(f"\n{name}: {median:.1f}x ({low:.1f} to {high:.1f}, {pairs} pairs), goal {goal}x")
    assert median >= goal


LDA = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def test_sliding_lda() -> None:
    recording = noise(600, 306, 200)
    split, splits = stratified(recording)
    part = recording.isel(time=slice(0, 20))
    np.testing.assert_allclose(
        decoding.time_resolved(part, "label", folds=split)["auc"],
        sliding(part, splits, LDA),
        rtol=0,
        atol=1e-12,
    )
    paired(
        "sliding LDA, 600 x 306 x 200, 5 folds (peer: a tenth of the times)",
        lambda: decoding.time_resolved(recording, "label", folds=split),
        lambda: sliding(part, splits, LDA),
        goal=25,
        share=0.1,
    )


def test_sliding_lda_against_two_blas_threads() -> None:
    recording = noise(600, 306, 200)
    split, splits = stratified(recording)
    part = recording.isel(time=slice(0, 20))

    def peer() -> None:
        with threadpool_limits(os.cpu_count() or 2):
            sliding(part, splits, LDA)

    def ours() -> None:
        with dask.config.set(scheduler="threads", num_workers=os.cpu_count()):
            decoding.time_resolved(recording, "label", folds=split)

    paired("the same, both with every core", ours, peer, goal=60, share=0.1)


def test_permutations_of_ridge() -> None:
    recording = noise(600, 306, 200)
    split, splits = stratified(recording)
    part = recording.isel(time=slice(0, 20))
    model = make_pipeline(StandardScaler(), RidgeClassifier())
    found = decoding.time_resolved(part, "label", estimator="ridge", folds=split, permutations=3, seed=1)
    for number, codes in enumerate(folds.relabel(part, "label", split, 3, seed=1)):
        renamed = part.assign_coords(label=("presentation", codes))
        np.testing.assert_allclose(found["null"][number], sliding(renamed, splits, model), rtol=0, atol=1e-12)
    paired(
        "1000 permutations of ridge, 600 x 306 x 200, 5 folds, against one pass (peer: a tenth of the times)",
        lambda: decoding.time_resolved(recording, "label", estimator="ridge", folds=split, permutations=1000),
        lambda: sliding(part, splits, model),
        goal=1.5,
        share=0.1,
    )


def test_r26_a_thousand_permutations_within_a_minute() -> None:
    recording = noise(400, 306, 100)
    split, splits = stratified(recording)
    part = recording.isel(time=slice(0, 10))
    model = make_pipeline(StandardScaler(), RidgeClassifier())
    found = decoding.time_resolved(part, "label", estimator="ridge", folds=split, permutations=2)
    for number, codes in enumerate(folds.relabel(part, "label", split, 2)):
        renamed = part.assign_coords(label=("presentation", codes))
        np.testing.assert_allclose(found["null"][number], sliding(renamed, splits, model), rtol=0, atol=1e-12)
    start = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=os.cpu_count()):
        decoding.time_resolved(recording, "label", estimator="ridge", folds=split, permutations=1000)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    sliding(part, splits, model)
    peer = 10 * 1001 * (time.perf_counter() - start)  # a tenth of the times, one of 1001 label sets
    print(f"\n1000 permutations, 400 x 306 x 100, 5 folds, every core: {ours:.1f} s, goal 60 s; "
          f"{peer / ours:.0f}x scikit-learn's RidgeClassifier on one core, extrapolated")  # fmt: skip
    assert ours < 60


def test_temporal_generalization() -> None:
    recording = noise(400, 306, 100)
    split, splits = stratified(recording)
    x, y = recording["response"].values, recording["label"].values

    def peer() -> np.ndarray:
        model = GeneralizingEstimator(LDA, scoring="roc_auc", n_jobs=1, verbose=False)
        return cross_val_multiscore(model, x, y, cv=splits, verbose=False).mean(axis=0)

    ours = decoding.generalize(recording, "label", folds=split)["auc"]
    np.testing.assert_allclose(ours.values, peer(), rtol=0, atol=1e-12)
    paired(
        f"temporal generalization, 400 x 306, 100 x 100 times, 5 folds (MNE {mne.__version__})",
        lambda: decoding.generalize(recording, "label", folds=split),
        peer,
        goal=80,
        pairs=1,
    )


def test_pairwise_lda() -> None:
    recording = noise(92 * 10, 306, 2, classes=92)
    split, _ = stratified(recording)
    rng = np.random.default_rng(0)
    pairs = [tuple(rng.choice(92, 2, replace=False)) for _ in range(40)]

    def peer(chosen: list = pairs) -> list[np.ndarray]:
        found = []
        for pair in chosen:
            inside = np.isin(recording["label"].values, pair)
            both = recording.isel(presentation=inside)
            sides = split.isel(presentation=inside)
            splits = [
                (np.flatnonzero(train), np.flatnonzero(test))
                for train, test in zip(sides["train"].values, sides["test"].values, strict=True)
            ]
            found.append(sliding(both, splits, LDA))
        return found

    movie = decoding.pairwise(recording, "label", folds=split)["auc"]
    for (first, second), expected in zip(pairs, peer(), strict=True):
        ours = movie.sel(condition=first, other_condition=second)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)
    paired(
        "pairwise LDA, 92 conditions, 4186 pairs, 306 neuroids (peer: 40 pairs)",
        lambda: decoding.pairwise(recording, "label", folds=split),
        peer,
        goal=350,
        share=40 / 4186,
    )


def test_sliding_logistic() -> None:
    recording = noise(600, 306, 40)
    split, splits = stratified(recording)
    part = recording.isel(time=slice(0, 4))
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8, max_iter=100_000))
    ours = decoding.time_resolved(part, "label", estimator="logistic", folds=split)
    for train, test in splits:
        for moment in range(4):
            x = part["response"].values[:, :, moment]
            model.fit(x[train], part["label"].values[train])
            expected = model.decision_function(x[test])
            np.testing.assert_allclose(ours["decision"][test, moment], expected, rtol=0, atol=1e-4)
    paired(
        "sliding logistic at the same optimum, 600 x 306 x 40, 5 folds",
        lambda: decoding.time_resolved(recording, "label", estimator="logistic", folds=split),
        lambda: sliding(recording, splits, model),
        goal=2,
    )
