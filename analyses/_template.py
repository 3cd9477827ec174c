"""How far discriminants tell the classes apart through time: one for a whole window, or one for each time."""

from __future__ import annotations

import numpy as np

from analyses import _decode
from analyses._decode import Estimator, Task


def margins(block: np.ndarray, task: Task, weights: np.ndarray) -> np.ndarray:
    """block (time, n, p), weights (fold, function, p + 1) to margins (time, n) of tested presentations.

    A margin is the decision value of a presentation's own class less the mean of the others', each centred
    on the mean of the class means of its fold: the intercept, and all that classes share, drop out.
    """
    return _margins(_decode.finite(block), task, weights[None])


def distances(block: np.ndarray, task: Task, estimator: Estimator) -> np.ndarray:
    """Margins (time, n) of discriminants fitted at each time: their mean is a cross-validated distance.

    For two classes it is (x̄₁ - x̄₀)ᵀ Σ⁻¹ (x₁ - x₀), trained less tested: the squared Mahalanobis distance,
    without the bias of an estimate from one set.
    """
    return _margins(_decode.finite(block), task, _decode.weigh(block, task, estimator))


def _margins(block: np.ndarray, task: Task, weights: np.ndarray) -> np.ndarray:
    """weights (time or 1, fold, function, p + 1)"""
    out = np.full(block.shape[:2], np.nan)
    for fold, test in enumerate(task.test):
        rows = np.flatnonzero(test)
        values = block[:, rows] @ weights[:, fold, :, :-1].swapaxes(1, 2)  # time, row, function
        if task.functions == 1:
            values = np.concatenate([-values, values], axis=-1) / 2
        codes = task.codes[rows]
        present = np.unique(codes)
        values = (
            values - np.mean([values[:, codes == code].mean(axis=1) for code in present], axis=0)[:, None]
        )
        own = np.take_along_axis(values, codes[None, :, None], axis=2)[..., 0]
        out[:, rows] = own - (values.sum(axis=-1) - own) / (values.shape[-1] - 1)
    return out


def scaled(found: np.ndarray, task: Task) -> np.ndarray:
    """margins (n, time) in units of their own SD within classes: one scale a fold, the same at all times."""
    out = np.array(found)
    for test in task.test:
        rows = np.flatnonzero(test)
        inside = [found[rows[task.codes[rows] == code]] for code in np.unique(task.codes[rows])]
        squares = sum(((part - part.mean(axis=0)) ** 2).sum(axis=0) for part in inside)
        freedom = max(rows.size - len(inside), 1)
        deviation = np.sqrt(np.mean(squares) / freedom)
        out[rows] = found[rows] / deviation if deviation > 0 else 0.0
    return out


def average(found: np.ndarray, task: Task, drawn: np.ndarray) -> np.ndarray:
    """Mean over classes of the mean margin: margins (n, time), drawn (draw, n) to (draw, time)."""
    tested = task.test.any(axis=0)
    means = []
    for code in range(len(task.classes)):
        share = drawn[:, tested & (task.codes == code)]
        means.append(share @ found[tested & (task.codes == code)] / share.sum(axis=1, keepdims=True))
    return np.asarray(np.mean(means, axis=0))


def covariance(found: np.ndarray, task: Task) -> np.ndarray:
    """Covariance (time, time) of the average margin's noise, from presentations (n, time) of one class."""
    tested, classes = task.test.any(axis=0), len(task.classes)
    out = np.zeros((found.shape[1],) * 2)
    for code in range(classes):
        part = found[tested & (task.codes == code)]
        part = part - part.mean(axis=0)
        out += part.T @ part / (len(part) * max(len(part) - 1, 1) * classes**2)
    return out
