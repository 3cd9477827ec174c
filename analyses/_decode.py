"""The array side of decoding: one block of times in, decision values, weights or scores out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyses import _correlation, _lda, _logistic, _ridge
from analyses._moments import plan
from analyses._scores import auc, balanced_accuracy

AT_ONCE = 2**18  # decision values that are made and scored together: they fit the processor's cache


class Task(NamedTuple):
    """Codes (n), class names, train and test (fold, n), and the name of the score."""

    codes: np.ndarray
    classes: np.ndarray
    train: np.ndarray
    test: np.ndarray
    score: str

    @property
    def functions(self) -> int:
        """Discriminant functions: one for two classes, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)


class Estimator(NamedTuple):
    """Which classifier, the strength of its shrinkage or penalty, and whether neuroids are scaled inside
    folds.
    """

    name: str
    strength: float | None
    standardize: bool


def weigh(block: np.ndarray, task: Task, estimator: Estimator) -> np.ndarray:
    """block (time, n, p) to discriminant functions (time, fold, function, p + 1), the intercept last."""
    block, reference = _near_zero(block)
    weights, offsets = _fit(block, reference, task, estimator)
    offsets = offsets - np.einsum("tfkp,tp->tfk", weights, reference)
    return np.concatenate([weights, offsets[..., None]], axis=-1)


def decide(block: np.ndarray, task: Task, estimator: Estimator) -> np.ndarray:
    """block (time, n, p) to decision values (time, n, function) of the fold that tests each presentation."""
    block, reference = _near_zero(block)
    weights, offsets = _fit(block, reference, task, estimator)
    out = np.full((len(block), task.codes.size, task.functions), np.nan)
    for fold, test in enumerate(task.test):
        out[:, test] = block[:, test] @ weights[:, fold].swapaxes(1, 2) + offsets[:, fold, None]
    return out if task.functions > 1 else out[..., 0]


def score(decisions: np.ndarray, task: Task) -> np.ndarray:
    """Decision values (time, n[, function]) to scores (time)."""
    if task.score == "balanced_accuracy":
        tested = task.test.any(axis=0)
        shaped = decisions if task.functions > 1 else decisions[..., None]
        return balanced_accuracy(shaped[:, tested], task.codes[tested])
    return _within_folds(decisions, task.codes, task.test)


def score_weights(block: np.ndarray, task: Task, weights: np.ndarray) -> np.ndarray:
    """block (test time, n, p), weights (train time, fold, function, p + 1) to scores (test time, train
    time).
    """
    block = finite(block)
    moments, rows, features = block.shape
    found = np.empty((moments, len(weights)))
    step = max(1, AT_ONCE // (moments * rows * task.functions))
    for start in range(0, len(weights), step):
        part = weights[start : start + step]
        decisions = np.full((len(part), moments, rows, task.functions), np.nan)
        for fold, test in enumerate(task.test):
            flat = block[:, test].reshape(-1, features)
            functions = part[:, fold].reshape(-1, features + 1)
            values = functions[:, :-1] @ flat.T + functions[:, -1:]
            shape = (len(part), task.functions, moments, int(test.sum()))
            decisions[:, :, test] = np.moveaxis(values.reshape(shape), 1, -1)
        scored = score(decisions.reshape(-1, rows, task.functions).squeeze(-1) if task.functions == 1 else
                       decisions.reshape(-1, rows, task.functions), task)  # fmt: skip
        found[:, start : start + step] = scored.reshape(len(part), moments).T
    return found


def null(block: np.ndarray, task: Task, estimator: Estimator, relabelled: np.ndarray) -> np.ndarray:
    """block (time, n, p), relabelled codes (permutation, n) to scores (time, permutation)."""
    if estimator.name == "ridge" and task.functions == 1:
        return _ridge_null(_near_zero(block)[0], task, estimator, relabelled)
    scores = [
        score(decide(block, task._replace(codes=codes), estimator), task._replace(codes=codes))
        for codes in relabelled
    ]
    return np.array(scores).T


def _ridge_null(block: np.ndarray, task: Task, estimator: Estimator, relabelled: np.ndarray) -> np.ndarray:
    """A constant added to all predictions of a fold moves no AUC, so the mean of the targets is not added
    back.
    """
    made = plan(np.zeros_like(task.codes), task.train)
    targets = 2.0 * relabelled - 1
    centred, positive, pairs = [], [], []
    for train, test in zip(task.train, task.test, strict=True):
        inside = targets[:, train]
        centred.append(inside - inside.mean(axis=1, keepdims=True))
        positive.append(relabelled[:, test] > 0)
        pairs.append(positive[-1].sum(axis=1) * (~positive[-1]).sum(axis=1))
    out = np.empty((len(block), len(relabelled)))
    step = max(1, AT_ONCE // max(int(test.sum()) for test in task.test))
    for place, moment in enumerate(block):
        hats = _ridge.hats(moment, made, task.test, _alpha(estimator), estimator.standardize)
        for start in range(0, len(relabelled), step):
            some = slice(start, start + step)
            sides = zip(centred, hats, positive, strict=True)
            areas = [auc(y[some] @ hat.T, ones[some]) for y, hat, ones in sides]
            out[place, some] = _pooled(areas, [count[some] for count in pairs])
    return out


def _fit(
    block: np.ndarray, reference: np.ndarray, task: Task, estimator: Estimator
) -> tuple[np.ndarray, np.ndarray]:
    """Functions of block (time, n, p), which is the data less reference (time, p)."""
    if estimator.name == "lda":
        if estimator.strength is not None and estimator.standardize:
            return _standardized_lda(block, task, estimator.strength)
        return _lda.fit(block, plan(task.codes, task.train), estimator.strength, reference)
    if estimator.name == "correlation":
        whole = block + reference[:, None]
        weights, offsets = _correlation.fit(whole, task.codes, task.train, estimator.standardize)
        return weights, offsets + np.einsum("tfkp,tp->tfk", weights, reference)
    if estimator.name == "ridge":
        pooled = plan(np.zeros_like(task.codes), task.train)
        return _ridge.fit(block, _targets(task), pooled, _alpha(estimator), estimator.standardize)
    if task.functions > 1:
        raise ValueError(
            f"estimator 'logistic': {len(task.classes)} classes; it separates two, use 'lda' or 'ridge'"
        )
    return _logistic.fit(block, _targets(task)[:, 0], task.train, _alpha(estimator), estimator.standardize)


def _standardized_lda(block: np.ndarray, task: Task, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """A fixed shrinkage depends on the units of the neuroids, so each fold is scaled by its own training
    set.
    """
    weights, offsets = [], []
    for train in task.train:
        inside = block[:, train]
        scale, centre = inside.std(axis=1), inside.mean(axis=1)
        scale[scale <= np.abs(inside).max(axis=1) * 1e-14] = 1.0
        scaled = (block - centre[:, None]) / scale[:, None]
        one, offset = _lda.fit(scaled, plan(task.codes, train[None]), shrinkage)
        weights.append(one / scale[:, None, None])
        offsets.append(offset - np.einsum("tfkp,tp->tfk", weights[-1], centre))
    return np.concatenate(weights, axis=1), np.concatenate(offsets, axis=1)


def _targets(task: Task) -> np.ndarray:
    if task.functions == 1:
        return 2.0 * task.codes[:, None] - 1
    return 2.0 * (task.codes[:, None] == np.arange(len(task.classes))) - 1


def _alpha(estimator: Estimator) -> float:
    return 1.0 if estimator.strength is None else estimator.strength


def _within_folds(decisions: np.ndarray, codes: np.ndarray, test: np.ndarray) -> np.ndarray:
    """AUC (…) of decisions (…, n) over pairs of presentations of one fold."""
    positive = [codes[rows] > 0 for rows in test]
    areas = [auc(decisions[..., rows], ones) for rows, ones in zip(test, positive, strict=True)]
    return _pooled(areas, [np.asarray(ones.sum() * (~ones).sum()) for ones in positive])


def _pooled(areas: list[np.ndarray], pairs: list[np.ndarray]) -> np.ndarray:
    """Mean of the folds' areas, weighted by their pairs; folds without a pair do not count."""
    won = sum(np.where(count > 0, area, 0.0) * count for area, count in zip(areas, pairs, strict=True))
    with np.errstate(invalid="ignore"):
        return won / np.asarray(sum(pairs), dtype=float)


def _near_zero(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`finite` block less its first presentation, and that: far offsets then cost no digits."""
    reference = np.array(block[:, 0], dtype=np.float64)
    return finite(block, reference), reference


def finite(block: np.ndarray, reference: np.ndarray | float = 0.0) -> np.ndarray:
    """block (time, n, p), less a reference (time, p), in memory in this order; ValueError names the first
    value that is no number."""
    ordered = np.empty(block.shape)
    for row in range(block.shape[1]):  # a presentation at a time stays in cache while it is turned over
        np.subtract(block[:, row], reference, out=ordered[:, row])
    flat = ordered.reshape(-1)
    if not np.isfinite(flat @ flat) and not np.isfinite(block).all():
        moment, row, neuroid = np.argwhere(~np.isfinite(block))[0]
        raise ValueError(
            f"response: presentation {row}, neuroid {neuroid} is {block[moment, row, neuroid]}; "
            "leave out that neuroid or presentation, nothing is imputed"
        )
    return ordered
