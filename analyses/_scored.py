"""Correlations of what was predicted with what was measured, split by split, and drawn again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analyses._sums import Split

VOID = 1e-13  # share of a column's size below which its spread is rounding


def pearson(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Pearson correlation (…) of columns (n, …), NaN where one does not vary.

    >>> float(pearson(np.array([[0.0], [1], [2]]), np.array([[1.0], [0], [5]]))[0].round(4))
    0.7559
    """
    sides = []
    for column in (predicted, measured):
        centred = column - column.mean(axis=0)
        size = np.sqrt((centred**2).sum(axis=0))
        void = size <= VOID * np.sqrt((column**2).sum(axis=0))
        sides.append(centred / np.where(void, np.nan, size))
    return np.asarray((sides[0] * sides[1]).sum(axis=0))


def weighted(predicted: np.ndarray, measured: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Pearson correlation (draw, column) of rows that count as often as they are drawn (draw, n)."""
    p, m = predicted - predicted.mean(axis=0), measured - measured.mean(axis=0)
    count = np.maximum(drawn.sum(axis=1, keepdims=True), 1)
    first, second = drawn @ p / count, drawn @ m / count
    both = drawn @ (p * m) / count - first * second
    spreads = [drawn @ (part**2) / count - mean**2 for part, mean in ((p, first), (m, second))]
    void = [spread <= VOID * (part**2).mean(axis=0) for spread, part in zip(spreads, (p, m), strict=True)]
    product = np.where(void[0] | void[1], np.nan, spreads[0] * spreads[1])
    return np.asarray(both / np.sqrt(product))


def median(r: np.ndarray, axis: int) -> np.ndarray:
    """Median of the numbers there are; NaN where there are none."""
    if not np.isnan(r).any():
        return np.asarray(np.median(r, axis=axis))
    ordered = np.sort(r, axis=axis)
    count = (~np.isnan(r)).sum(axis=axis, keepdims=True)
    low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
    high = np.minimum(high, r.shape[axis] - 1)
    ends = [np.take_along_axis(ordered, place, axis=axis) for place in (low, high)]
    return np.asarray(np.squeeze((ends[0] + ends[1]) / 2, axis=axis))


def draws(
    predicted: Sequence[np.ndarray],
    measured: np.ndarray,
    splits: list[Split],
    limits: Sequence[np.ndarray],
    bootstraps: int,
    seed: np.random.SeedSequence,
) -> np.ndarray:
    """Scores (limit, bootstrap, time) with stimuli drawn again: median over neuroids, mean over splits.

    Reads    predicted, of every split (test, neuroid, time); measured (n, neuroid, time); limits, each
             (neuroid, time), that correlations are divided by. Maps are not fitted again
    """  # fmt: skip
    rows = len(measured)
    weights = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), bootstraps).astype(float)
    total = np.zeros((len(limits), bootstraps, measured.shape[2]))
    if not bootstraps:
        return total
    for guess, split in zip(predicted, splits, strict=True):
        told = measured[split.test]
        for moment in range(measured.shape[2]):
            r = weighted(guess[..., moment], told[..., moment], weights[:, split.test])
            for place, limit in enumerate(limits):
                total[place, :, moment] += median(r / limit[:, moment], axis=1)
    return total / len(splits)
