"""How far discriminants tell the classes apart through time: one for a whole window, or one for each time."""

from __future__ import annotations

import numpy as np

from analyses import _decode
from analyses._decode import Estimator, Task

TOGETHER = 32  # relabellings


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


def spreads(block: np.ndarray, task: Task) -> np.ndarray:
    """Covariance (fold, p, p) of tested presentations about the mean of their fold and time, over all times
    of block (time, n, p)."""
    out = np.empty((len(task.test), block.shape[2], block.shape[2]))
    for fold, test in enumerate(task.test):
        part = block[:, test] - block[:, test].mean(axis=1, keepdims=True)
        flat = part.reshape(-1, block.shape[2])
        out[fold] = flat.T @ flat / max(len(flat) - len(block), 1)
    return out


def scales(spread: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """SD (…, fold) of decision values of weights (…, fold, function, p + 1), in the mean square over
    functions, from `spreads`."""
    some = weights[..., :-1]
    found = np.sqrt(((some @ spread) * some).sum(axis=-1).mean(axis=-1))
    return np.where(found > 0, found, np.inf)


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


def null(
    block: np.ndarray, mean: np.ndarray, task: Task, estimator: Estimator, relabelled: np.ndarray
) -> np.ndarray:
    """Average margins (permutation, time), in SDs, of discriminants fitted anew to relabelled codes.

    The mean margin of a class needs no more than the mean response of its presentations in each fold, which
    is one matrix product for many relabellings.

    Reads    block (time, n, p); mean (n, p), what discriminants are fitted to; relabelled (permutation, n)
    """
    out, spread = [], spreads(block, task)
    for start in range(0, len(relabelled), TOGETHER):
        codes = relabelled[start : start + TOGETHER]
        parts = [task._replace(codes=some) for some in codes]
        weights = np.array([_decode.weigh(mean[None], part, estimator)[0] for part in parts])
        weights[..., :-1] /= scales(spread, weights)[..., None, None]
        out.append(_average_of_classes(block, task, codes, weights[..., :-1]))
    return np.concatenate(out)


def _average_of_classes(block: np.ndarray, task: Task, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """codes (draw, n), weights (draw, fold, function, p) to average margins (draw, time)."""
    times, _, features = block.shape
    classes = len(task.classes)
    total, tested = np.zeros((len(codes), classes, times)), np.zeros((len(codes), classes, 1))
    for fold, test in enumerate(task.test):
        rows = np.flatnonzero(test)
        member = (codes[:, None, rows] == np.arange(classes)[:, None]).astype(float)
        count = member.sum(axis=-1, keepdims=True)
        share = (member / np.maximum(count, 1)).reshape(-1, rows.size)
        flat = block[:, rows].swapaxes(0, 1).reshape(rows.size, -1)
        means = (share @ flat).reshape(len(codes), classes, times, features)
        present = (count > 0)[..., None]
        means -= present * means.sum(axis=1, keepdims=True) / present.sum(axis=1, keepdims=True)
        values = means.reshape(len(codes), -1, features) @ weights[:, fold].swapaxes(1, 2)
        values = values.reshape(len(codes), classes, times, -1)
        if task.functions == 1:
            values = np.concatenate([-values, values], axis=-1) / 2
        own = np.stack([values[:, code, :, code] for code in range(classes)], axis=1)
        total += count * (own - (values.sum(axis=-1) - own) / (values.shape[-1] - 1))
        tested += count
    return np.asarray((total / tested).mean(axis=1))
