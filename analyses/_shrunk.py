"""A discriminant whose covariance knows no labels: one factorisation serves every relabelling."""

from __future__ import annotations

import numpy as np

from analyses._decode import Task
from analyses._lda import amount
from analyses._residual import Removal, left
from analyses._scores import auc


def scores(
    block: np.ndarray,
    task: Task,
    relabelled: np.ndarray,
    removed: list[Removal] | None = None,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """Cross-validated AUC of every relabelling at every time.

    w = ((1 - γ) S + γ m I)⁻¹ Zᵀ (y - ȳ), with Z the training presentations in units of their SD (times a
    weight a neuroid), S = ZᵀZ / n their total covariance, m the mean of its diagonal and γ Ledoit and Wolf's
    amount. As S holds the difference of the class means in one direction, w is that of linear discriminant
    analysis up to its length.

    Reads    block (time, n, p); codes 0 and 1 (relabelling, n); removed, of every fold the regression
             whose residuals are decoded instead
    Returns  auc (time, relabelling); NaN where no fold tests both classes
    Source   Ledoit and Wolf 2004, doi 10.1016/S0047-259X(03)00096-4
    """
    block = np.ascontiguousarray(block, dtype=float)
    won, pairs = np.zeros((len(block), len(relabelled))), np.zeros(len(relabelled))
    for fold, (train, test) in enumerate(zip(task.train, task.test, strict=True)):
        here = block if removed is None else left(block, train, removed[fold])
        target = relabelled[:, train] - relabelled[:, train].mean(axis=1, keepdims=True)
        positive = relabelled[:, test] > 0
        count = positive.sum(axis=1) * (~positive).sum(axis=1)
        pairs += count
        hats = _hats(here[:, train], here[:, test], weight)
        won += np.where(count > 0, auc(target @ hats.swapaxes(1, 2), positive), 0.0) * count
    with np.errstate(invalid="ignore"):
        return won / pairs


def _hats(train: np.ndarray, test: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The matrices (time, test, training) from centred targets to decision values; neuroids without variance
    do not count.
    """
    mean, spread = train.mean(axis=1, keepdims=True), train.std(axis=1, keepdims=True)
    varied = spread > 1e-12 * np.abs(train).max(axis=1, keepdims=True)
    scale = np.divide(1.0 if weight is None else weight, spread, out=np.zeros_like(spread), where=varied)
    z, tested = (train - mean) * scale, (test - mean) * scale
    count, features = z.shape[1:]
    wide = features > count
    gram = z @ z.swapaxes(1, 2) if wide else z.swapaxes(1, 2) @ z
    norms = (z**2).sum(axis=2)
    trace, frobenius = norms.sum(axis=1) / count, (gram**2).sum(axis=(1, 2)) / count**2
    gamma = amount(count, (norms**2).sum(axis=1), frobenius, trace, features)
    gram *= ((1 - gamma) / count)[:, None, None]
    ridge = np.maximum(gamma, 1e-10) * trace / features + (trace == 0)
    gram += ridge[:, None, None] * np.eye(gram.shape[1])
    if wide:  # (ZᵀZ + c I)⁻¹ Zᵀ = Zᵀ (ZZᵀ + c I)⁻¹
        return np.asarray(np.linalg.solve(gram, z @ tested.swapaxes(1, 2)).swapaxes(1, 2))
    return np.asarray(np.linalg.solve(gram, tested.swapaxes(1, 2)).swapaxes(1, 2) @ z.swapaxes(1, 2))


def p_values(found: np.ndarray, null: np.ndarray) -> np.ndarray:
    """(b + 1) / (n + 1): the share of a null (…, n), the true labels counted in, that is as high as found
    (…).
    """
    return np.asarray(((null >= found[..., None] - 1e-12).sum(axis=-1) + 1) / (null.shape[-1] + 1))
