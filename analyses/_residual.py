"""What image features say of a response is taken out of it, by a regression fitted in the training set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyses import _decode
from analyses._decode import Estimator, Task

WHOLE = ("luminance", "contrast")  # families that are never compressed
SHARE = 0.08  # of the variance of a label, that regressors may take by chance
MOST = 30  # principal components at a time
ALARM = 0.05  # chance that some column is taken to tell a label that it does not


class Removal(NamedTuple):
    """A design (n, k) and the matrix (k, training) that fits responses of the training set on it."""

    design: np.ndarray
    inverse: np.ndarray


def regressors(
    columns: np.ndarray, family: np.ndarray, whole: tuple[str, ...], train: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """The columns to regress on, compressed by what one training set knows.

    Luminance, contrast and covariates stay as they are. The other families, each of the same total
    variance, are rotated to principal components, and these taken from the largest on while all regressors
    together take at most 8 % of the variance of a label that has been exchanged, on average: more of
    them would take a label that has nothing to do with the image out of the response. Columns that tell the
    true label in the training set better than the best column tells 95 % of the exchanged ones are added,
    by the components that hold 95 % of their variance.

    Reads    columns (n, column) with their family; train (n); codes (relabelling, n), the true ones first
    Returns  (n, k), the first column constant
    """
    kept = [np.ones((len(columns), 1))]
    kept += [_scaled(columns[:, family == name], train) for name in whole]
    rest = [_scaled(columns[:, family == name], train) for name in dict.fromkeys(family) if name not in whole]
    fixed = np.concatenate(kept, axis=1)
    if not rest:
        return fixed
    labels = codes[:, train] - codes[:, train].mean(axis=1, keepdims=True)
    labels = labels / np.maximum(np.sqrt((labels**2).sum(axis=1, keepdims=True)), 1e-300)
    even = np.concatenate([part / np.sqrt(max(part.shape[1], 1)) for part in rest], axis=1)
    largest = _components(even, train)
    basis = np.linalg.qr(np.concatenate([fixed, largest], axis=1)[train])[0]
    chance = ((labels[1:] @ basis) ** 2).mean(axis=0).cumsum()[fixed.shape[1] :]
    told = np.abs(labels @ np.concatenate(rest, axis=1)[train])
    telling = told[0] > np.quantile(told[1:].max(axis=1), 1 - ALARM)
    added = _components(np.concatenate(rest, axis=1)[:, telling], train, 0.95)
    return np.concatenate([fixed, largest[:, chance <= SHARE], added], axis=1)


def _components(columns: np.ndarray, train: np.ndarray, share: float = 1.0) -> np.ndarray:
    """Principal components (n, k) of the training set, the largest first, that hold this share of its
    variance.
    """
    if columns.shape[1] == 0:
        return columns
    _, size, axes = np.linalg.svd(columns[train], full_matrices=False)
    held = (size**2).cumsum() / max((size**2).sum(), 1e-300)
    count = min(MOST, int((size > 1e-9 * size[0]).sum()), int(train.sum()) // 4)
    count = min(count, int(np.searchsorted(held, share - 1e-12)) + 1)
    return np.asarray(columns @ axes[:count].T)


def removal(design: np.ndarray, train: np.ndarray) -> Removal:
    """Least squares on a design (n, k), fitted in the training set, for all presentations.

    Both sides are treated by the same fit. Its error is then, in the training set, uncorrelated with what is
    left there; a fit that left training presentations out in turn would plant the same error in both sides.
    """
    return Removal(design, np.linalg.pinv(design[train]))


def decide(block: np.ndarray, task: Task, estimator: Estimator, removed: list[Removal]) -> np.ndarray:
    """block (time, n, p) to decision values (time, n) of its residuals, each fold's by its own regression.

    Source   Snoek et al. 2019, doi 10.1016/j.neuroimage.2018.09.074 (confound regression inside folds)
    """
    out, block = np.full((len(block), task.codes.size), np.nan), np.ascontiguousarray(block)
    for fold, (train, test) in enumerate(zip(task.train, task.test, strict=True)):
        one = task._replace(train=train[None], test=test[None])
        out[:, test] = _decode.decide(left(block, train, removed[fold]), one, estimator)[:, test]
    return out


def left(block: np.ndarray, train: np.ndarray, removed: Removal) -> np.ndarray:
    """block (time, n, p) less what a regression explains; 0 where nothing but rounding is left."""
    inside = block[:, train]
    found = np.asarray(block - removed.design @ (removed.inverse @ inside))
    rounding = 1e-10 * np.abs(inside).max(axis=1, keepdims=True)
    found *= found[:, train].std(axis=1, keepdims=True) > rounding
    return found


def _scaled(columns: np.ndarray, train: np.ndarray) -> np.ndarray:
    mean, spread = columns[train].mean(axis=0), columns[train].std(axis=0)
    varied = spread > 1e-12 * np.abs(columns[train]).max(axis=0)
    return np.asarray((columns[:, varied] - mean[varied]) / spread[varied])
