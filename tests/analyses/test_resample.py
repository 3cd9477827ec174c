"""Presentations drawn again: the same scores as if the presentations had been copied."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from analyses import _resample, decoding
from analyses._decode import Task
from loaders import synthetic


def task(score: str, classes: int, folds: int = 3, rows: int = 60) -> Task:
    codes = np.arange(rows) % classes
    test = np.array([np.arange(rows) // classes % folds == fold for fold in range(folds)])
    return Task(codes, np.arange(classes), ~test, test, score)


def test_auc_of_drawn_presentations_equals_copies_of_them() -> None:
    rng = np.random.default_rng(0)
    made = task("auc", 2)
    decisions = np.round(rng.standard_normal((4, 60)), 1)  # with ties
    drawn = _resample.draws(np.arange(60) // 4, made.codes, 5, np.random.SeedSequence(1))
    found = _resample.scores(decisions, made, drawn)
    for moment in range(4):
        for draw in range(5):
            won = pairs = 0.0
            for test in made.test:
                rows = np.repeat(np.flatnonzero(test), drawn[draw, test].astype(int))
                ones = made.codes[rows].sum()
                count = ones * (rows.size - ones)
                won += count * roc_auc_score(made.codes[rows], decisions[moment, rows]) if count else 0
                pairs += count
            assert found[moment, draw] == pytest.approx(won / pairs, abs=1e-12)


def test_balanced_accuracy_of_drawn_presentations_equals_copies_of_them() -> None:
    rng = np.random.default_rng(0)
    made = task("balanced_accuracy", 3)
    decisions = rng.standard_normal((2, 60, 3))
    drawn = _resample.draws(np.arange(60), made.codes, 4, np.random.SeedSequence(1))
    found = _resample.scores(decisions, made, drawn)
    rows = np.repeat(np.arange(60), drawn[2].astype(int))
    expected = balanced_accuracy_score(made.codes[rows], decisions[1, rows].argmax(axis=1))
    assert found[1, 2] == pytest.approx(expected, abs=1e-12)


def test_whole_groups_are_drawn_and_classes_keep_their_size() -> None:
    groups, codes = np.repeat(np.arange(20), 3), np.repeat([0, 1], 30)
    drawn = _resample.draws(groups, codes, 50, np.random.SeedSequence(0))
    assert (drawn.reshape(50, 20, 3) == drawn.reshape(50, 20, 3)[..., :1]).all()
    assert (drawn[:, codes == 0].sum(axis=1) == 30).all()


def test_once_each_is_the_score_itself_and_the_spread_is_that_of_fresh_data() -> None:
    scores, widths = [], []
    for seed in range(30):
        recording = synthetic.meg_oracle(seed=seed, images=25, sensors=6, repeats=1).sel(
            time=slice(0.2, 0.21)
        )
        found = decoding.time_resolved(recording, "familiar", bootstraps=200)
        scores.append(found["auc"].values)
        widths.append(found["resampled"].values.std(axis=0))
    made = decoding._tasks.task(recording, "familiar", "auto", 5, "auto", (), 0)[1]
    decision = found["decision"].transpose("time", "presentation").values
    once = _resample.scores(decision, made, np.ones((1, made.codes.size)))[:, 0]
    np.testing.assert_allclose(once, found["auc"].values, rtol=0, atol=1e-12)
    assert np.mean(widths) == pytest.approx(np.std(scores, axis=0).mean(), rel=0.35)


def test_subjects_are_drawn_apart_and_a_seed_repeats() -> None:
    one = synthetic.meg_oracle(seed=0, images=20, sensors=4).isel(time=[150])
    first, again = (decoding.time_resolved(one, "familiar", bootstraps=20) for _ in range(2))
    assert first.identical(again)
    other = one.assign_coords(subject=("presentation", ["02"] * one.sizes["presentation"]))
    second = decoding.time_resolved(other, "familiar", bootstraps=20)
    np.testing.assert_array_equal(first["auc"].values, second["auc"].values)
    assert (first["resampled"].values != second["resampled"].values).any()
