"""Random halves of repeated presentations: their covariance over stimuli, and what it says of all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Per stimulus and column, means over splits: of both halves' squares and product, of the halves; and the
    mean of 1/n over stimuli of the two halves and of all presentations (column).
    """

    square: np.ndarray
    product: np.ndarray
    mean: np.ndarray
    half: np.ndarray
    whole: np.ndarray


def moments(values: np.ndarray, stimulus: np.ndarray, splits: int, rng: np.random.Generator) -> Moments:
    """values (presentation, column) without gaps, of stimuli 0, 1, … with two presentations or more each.

    A random half of each stimulus's presentations against the rest; where their number is odd, a random half
    gets one more. square and product are symmetric in the halves.
    """
    order = np.argsort(stimulus, kind="stable")
    counts = np.bincount(stimulus)
    starts = np.append(0, np.cumsum(counts)[:-1])
    total = np.add.reduceat(values[order], starts, axis=0)
    square, product, half = np.zeros_like(total), np.zeros_like(total), 0.0
    within = np.arange(stimulus.size) - np.repeat(starts, counts)
    for _ in range(splits):
        shuffled = order[np.lexsort((rng.random(stimulus.size), stimulus[order]))]
        size = (counts + rng.integers(0, 2, counts.size) * (counts % 2)) // 2
        taken = shuffled[within < np.repeat(size, counts)]
        first = np.add.reduceat(values[taken], np.append(0, np.cumsum(size)[:-1]), axis=0)
        one, two = first / size[:, None], (total - first) / (counts - size)[:, None]
        square += (one**2 + two**2) / 2
        product += one * two
        half += float((1 / size + 1 / (counts - size)).mean() / 2)
    mean = total / counts[:, None]
    columns = np.ones(values.shape[1])
    return Moments(
        square / splits, product / splits, mean, columns * half / splits, columns * float((1 / counts).mean())
    )


def correlations(made: Moments, weights: np.ndarray) -> np.ndarray:
    """Split-half correlation (draw, column), over stimuli that count `weights` (draw, stimulus) times.

    Covariance of the halves over their variance, both pooled over splits. The squared mean is the same for
    both, as a half and the rest exchange.
    """
    total = weights.sum(axis=1, keepdims=True)
    mean = weights @ made.mean / total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            (weights @ made.product / total - mean**2) / (weights @ made.square / total - mean**2)
        )


def prophesied(correlation: np.ndarray, half: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Reliability of the mean of all presentations, from a correlation of halves.

    With u the noise of one presentation over the signal, the correlation is 1 / (1 + u h), where h is the
    mean of 1/n over the halves, so that the reliability is 1 / (1 + u w), with w the mean of 1/n of all
    presentations. Where all stimuli have the same even number, w = h/2: 2r / (1 + r). NaN below 0.

    Source   Spearman 1910, doi 10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi
             10.1111/j.2044-8295.1910.tb00207.x
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = (1 / correlation - 1) / half
        found = 1 / (1 + noise * whole)
    return np.asarray(np.where(correlation > 0, found, np.nan))


def consistency(
    values: np.ndarray, stimulus: np.ndarray, repetition: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """Spearman-Brown corrected correlation (split, column) of the means over two sets of repetitions.

    Reads    values (presentation, column), NaN where absent; repetition 0, 1, …; first (split, repetition),
             whether a repetition stands in the first half
    """
    shape = (int(repetition.max()) + 1, int(stimulus.max()) + 1, values.shape[1])
    there = ~np.isnan(values)
    rows = repetition * shape[1] + stimulus
    sums, counts = np.zeros((shape[0] * shape[1], shape[2])), np.zeros((shape[0] * shape[1], shape[2]))
    if np.unique(rows).size == rows.size:
        sums[rows], counts[rows] = np.where(there, values, 0.0), there
    else:
        np.add.at(sums, rows, np.where(there, values, 0.0))
        np.add.at(counts, rows, there.astype(float))
    halves = []
    for side in (first, ~first):
        weights = side.astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weights @ sums.reshape(shape[0], -1)) / (weights @ counts.reshape(shape[0], -1))
        halves.append(mean.reshape(len(first), *shape[1:]))
    centred = [half - half.mean(axis=1, keepdims=True) for half in halves]
    size = [np.sqrt((half**2).sum(axis=1)) for half in centred]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (centred[0] * centred[1]).sum(axis=1) / (size[0] * size[1])
        return np.asarray(2 * r / (1 + r))
