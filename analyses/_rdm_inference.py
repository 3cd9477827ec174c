"""How sure the similarity of RDMs is: stimuli and subjects drawn again, conditions exchanged, ceilings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import kendalltau
from scipy.stats import t as student

from analyses._rdm_kernels import pairs, unit

AT_ONCE = 2**22  # numbers of a block of resamplings


class Sample(NamedTuple):
    """Similarity (bootstrap, model, other) of models with each RDM, and of the RDMs among themselves."""

    models: np.ndarray
    among: np.ndarray


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-a: pairs in the same order less pairs in the opposite one, over all pairs, tied or not.

    Source   Nili et al. 2014, doi 10.1371/journal.pcbi.1003553 (tau-a where models predict ties)
    """
    whole = x.size * (x.size - 1) / 2
    untied = [whole - sum(math.comb(int(n), 2) for n in np.unique(v, return_counts=True)[1]) for v in (x, y)]
    if 0 in untied:
        return 0.0
    return float(kendalltau(x, y, method="asymptotic")[0] * np.sqrt(untied[0]) * np.sqrt(untied[1]) / whole)


def similarity(models: np.ndarray, rdms: np.ndarray, measure: str, symmetric: bool = True) -> np.ndarray:
    """models (model, n, n) with rdms (other, n, n): (model, other)."""
    if measure != "kendall":
        return np.asarray(unit(models, measure, symmetric) @ unit(rdms, measure, symmetric).T)
    where = pairs(models.shape[-1], symmetric)
    return np.array([[kendall(m[where], r[where]) for r in rdms] for m in models])


def ceiling(among: np.ndarray) -> np.ndarray:
    """Bounds [lower, upper] of the mean similarity that any model can have with RDMs, out of the similarities
    (..., RDM, RDM) of these.

    Upper: the mean of all RDMs, each of length 1, with each; lower: the mean of all others. Inner products of
    unit vectors u_k suffice: those of Σu_l with u_k, over the length of Σu_l. Ranks are not ranked again
    after averaging, so that the upper bound holds for every model.

    Source   Nili et al. 2014, doi 10.1371/journal.pcbi.1003553
    """
    count = among.shape[-1]
    if count < 2:
        return np.full((*among.shape[:-2], 2), np.nan)
    rows, whole = among.sum(-1), among.sum((-1, -2))
    own = np.einsum("...kk->...k", among)
    with np.errstate(invalid="ignore", divide="ignore"):
        upper = (rows / np.sqrt(whole)[..., None]).mean(-1)
        rest = whole[..., None] - 2 * rows + own
        lower = ((rows - own) / np.sqrt(rest)).mean(-1)
    return np.stack([lower, upper], axis=-1)


def resampled(
    models: np.ndarray, rdms: np.ndarray, measure: str, drawn: np.ndarray, symmetric: bool = True
) -> Sample:
    """Similarities where condition i is drawn drawn[b, i] times: pairs of a condition with itself do not
    count, others as often as both were drawn.

    Reads    models (model, n, n); rdms (other, n, n); drawn (bootstrap, n)
    """
    rows, columns = pairs(drawn.shape[1], symmetric)
    vectors = np.concatenate([models, rdms])[:, rows, columns]
    shown = len(models)
    if measure == "kendall":
        return _one_by_one(vectors, shown, drawn, rows, columns)
    found = np.empty((len(drawn), len(vectors), len(vectors)))
    step = max(1, AT_ONCE // max(1, rows.size * (len(vectors) if measure == "spearman" else 1)))
    standing = Standing.of(vectors) if measure == "spearman" else None
    products = None if standing else _products(vectors, measure)
    for start in range(0, len(drawn), step):
        part = slice(start, start + step)
        weights = drawn[part][:, rows].astype(float) * drawn[part][:, columns]
        gram = _rank_gram(standing, weights) if standing else _gram(products, weights, len(vectors), measure)
        size = np.sqrt(np.einsum("bkk->bk", gram))
        with np.errstate(invalid="ignore", divide="ignore"):
            found[part] = gram / size[:, :, None] / size[:, None]
    return Sample(found[:, :shown, shown:], found[:, shown:, shown:])


def _products(vectors: np.ndarray, measure: str) -> np.ndarray:
    """1, every vector, and every product of two: (pair, column)."""
    centred = vectors if measure == "cosine" else vectors - vectors.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    scaled = centred / np.where(size > 0, size, 1)
    first, second = np.triu_indices(len(vectors))
    every = np.concatenate([np.ones((1, vectors.shape[1])), scaled, scaled[first] * scaled[second]])
    return np.ascontiguousarray(every.T)


def _gram(products: np.ndarray | None, weights: np.ndarray, count: int, measure: str) -> np.ndarray:
    assert products is not None
    found = weights @ products
    gram = np.empty((len(weights), count, count))
    first, second = np.triu_indices(count)
    gram[:, first, second] = gram[:, second, first] = found[:, 1 + count :]
    if measure == "cosine":
        return gram
    mean = found[:, 1 : 1 + count]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(gram - mean[:, :, None] * mean[:, None] / found[:, :1, None])


class Standing(NamedTuple):
    """The order of every vector, where its groups of ties end, and to which group an entry belongs."""

    order: list[np.ndarray]
    last: list[np.ndarray]
    group: list[np.ndarray]

    @classmethod
    def of(cls, vectors: np.ndarray) -> Standing:
        made = cls([], [], [])
        for vector in vectors:
            order = np.argsort(vector, kind="stable")
            new = np.append(True, np.diff(vector[order]) > 0)
            made.order.append(order)
            made.last.append(np.append(np.flatnonzero(new)[1:], vector.size) - 1)
            group = np.empty(vector.size, np.int64)
            group[order] = np.cumsum(new) - 1
            made.group.append(group)
        return made


def _rank_gram(standing: Standing, weights: np.ndarray) -> np.ndarray:
    """Covariances (bootstrap, vector, vector) of mean ranks in a sample where entries come weights times."""
    total = weights.sum(axis=1, keepdims=True)
    ranked = np.empty((len(weights), len(standing.order), weights.shape[1]))
    for k, (order, last, group) in enumerate(zip(*standing, strict=True)):
        upto = np.cumsum(weights[:, order], axis=1)[:, last]
        below = np.concatenate([np.zeros((len(weights), 1)), upto[:, :-1]], axis=1)
        middle = (below + upto + 1) / 2
        ranked[:, k] = (middle - (total + 1) / 2)[:, group]
    return np.asarray((ranked * weights[:, None]) @ ranked.swapaxes(1, 2))


def _one_by_one(
    vectors: np.ndarray, shown: int, drawn: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> Sample:
    others = len(vectors) - shown
    found = np.empty((len(drawn), shown, others))
    for b, times in enumerate(drawn):
        entries = np.repeat(np.arange(rows.size), times[rows] * times[columns])
        here = vectors[:, entries]
        found[b] = [[kendall(here[m], here[shown + r]) for r in range(others)] for m in range(shown)]
    return Sample(found, np.full((len(drawn), others, others), np.nan))


def exchanged(
    models: np.ndarray,
    rdms: np.ndarray,
    measure: str,
    count: int,
    rng: np.random.Generator,
    symmetric: bool = True,
) -> np.ndarray:
    """Mean similarity (model, permutation, time) with rdms (other, time, n, n) of models whose conditions
    are exchanged.
    """
    n = models.shape[-1]
    orders = np.array([rng.permutation(n) for _ in range(count)])
    found = np.empty((len(models), count, rdms.shape[1]))
    if measure == "kendall":
        for place, order in enumerate(orders):
            moved = models[:, order][:, :, order]
            for time in range(rdms.shape[1]):
                found[:, place, time] = similarity(moved, rdms[:, time], measure, symmetric).mean(axis=1)
        return found
    where = pairs(n, symmetric)
    target = unit(rdms, measure, symmetric).mean(axis=0)
    full = np.zeros_like(models)
    full[:, *where] = unit(models, measure, symmetric)
    if symmetric:
        full += full.swapaxes(-1, -2)
    for start, part in _few(orders, n * n):
        moved = full[:, part[:, where[0]], part[:, where[1]]]
        found[:, start : start + len(part)] = moved @ target.T
    return found


def _few(orders: np.ndarray, size: int) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, AT_ONCE // size)
    for start in range(0, len(orders), step):
        yield start, orders[start : start + step]


def spread(shown: np.ndarray, others: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Variance over stimuli and subjects out of three bootstraps (bootstrap first) of the same number: of
    stimuli, of subjects, and of both, which counts the noise of measurement three times.

    Source   Schütt et al. 2023, doi 10.7554/eLife.82566 (equation of the corrected 2-factor bootstrap)
    """
    first, second, joint = (np.nanvar(part, axis=0, ddof=1) for part in (shown, others, both))
    return np.asarray(
        np.clip(2 * (first + second) - joint, np.maximum(first, second), np.maximum(joint, first))
    )


def reach(variance: np.ndarray, freedom: int, confidence: float) -> np.ndarray:
    """Half the width of an interval."""
    return np.asarray(float(student.ppf(0.5 + confidence / 2, freedom)) * np.sqrt(variance))
