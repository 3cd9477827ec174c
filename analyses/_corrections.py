"""From maps of a statistic, the true one and those of chance, to p corrected for all places at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from analyses import _clusters
from analyses._clusters import Lattice

CORRECTIONS = ("max-t", "cluster", "tfce", "fdr", "fdr-by", "none")
CLUSTERED = ("cluster", "tfce")
TAILS = ("greater", "less", "two-sided")
STEP, TALLEST = 0.1, 100.0  # of the heights of threshold-free cluster enhancement
TIE = 1e-9  # relative difference within which two statistics are one


class Family(NamedTuple):
    """What is corrected together: all places of a lattice, one tail or both, and how clusters are made.

    `rise` turns a value of a map into the statistic whose sum is a cluster's mass; `cut` is a value of a map,
    `step` a step of the statistic's height.
    """

    places: Lattice
    correction: str
    both: bool
    rise: Callable[[np.ndarray], np.ndarray]
    cut: float
    step: float = STEP


class Corrected(NamedTuple):
    """p and uncorrected p (row, time); number of each place's cluster (row, time), 0 for none; mass and p of
    each cluster.
    """

    p: np.ndarray
    uncorrected: np.ndarray
    number: np.ndarray
    mass: np.ndarray
    cluster_p: np.ndarray


def corrected(observed: np.ndarray, chance: Iterable[np.ndarray], family: Family) -> Corrected:
    """observed (row, time) against blocks (map, row, time) of chance, which do not hold the observed map.

    p is (b + 1) / (n + 1) for b of n maps that are as extreme, so that it is never 0.

    Source   Nichols and Holmes 2002, doi 10.1002/hbm.1058; Phipson and Smyth 2010, doi
             10.2202/1544-6115.1585
    """
    number, mass = _found(observed, family)
    shown = _shown(observed[None], family)[0]
    bound, reached, count = _bound(_one(observed, family.both)), np.zeros(observed.shape, np.int64), 0
    extremes = []
    for block in chance:
        size = _one(block, family.both)
        reached += (size >= bound).sum(axis=0)
        count += len(block)
        extremes.append(_extremes(block, size, family))
    uncorrected = (reached + 1) / (count + 1)
    highest = np.sort(np.concatenate(extremes)) if extremes else np.empty(0)
    cluster_p = _share(np.abs(mass), highest)
    if family.correction in ("fdr", "fdr-by"):
        p = false_discovery(uncorrected, dependent=family.correction == "fdr-by")
    elif family.correction == "none":
        p = uncorrected
    elif family.correction == "cluster":
        p = np.append(1.0, cluster_p)[number]
    else:
        p = _share(shown, highest)
    return Corrected(p, uncorrected, number, mass, cluster_p)


def false_discovery(p: np.ndarray, dependent: bool = False) -> np.ndarray:
    """Adjusted p of any shape: the smallest rate of false discoveries at which each would be one.

    Source   Benjamini and Hochberg 1995, doi 10.1111/j.2517-6161.1995.tb02031.x; for any dependence
             Benjamini and Yekutieli 2001, doi 10.1214/aos/1013699998
    """
    flat = p.ravel()
    ranks = np.arange(1, flat.size + 1)
    order = np.argsort(flat)
    scale = (1 / ranks).sum() if dependent else 1.0
    raised = flat[order] * flat.size * scale / ranks
    adjusted = np.empty(flat.size)
    adjusted[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return adjusted.reshape(p.shape)


def heights(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights of threshold-free cluster enhancement and the weight of each: height^2 times the step."""
    levels = np.arange(0, TALLEST, step)[1:]
    return levels, levels**_clusters.HEIGHT * step


def _found(observed: np.ndarray, family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of the true map: those above the threshold, then those below its negative."""
    if family.correction != "cluster":
        return np.zeros(observed.shape, np.int64), np.empty(0)
    number, mass = _clusters.clusters(observed, family.cut, family.rise, family.places)
    if family.both:
        below, masses = _clusters.clusters(-observed, family.cut, family.rise, family.places)
        number, mass = number + np.where(below > 0, below + mass.size, 0), np.append(mass, -masses)
    return number, mass


def _shown(block: np.ndarray, family: Family) -> np.ndarray:
    """The maps whose maximum is compared with chance."""
    if family.correction != "tfce":
        return _one(block, family.both)
    statistic, (levels, weights) = family.rise(block), heights(family.step)
    scores = _clusters.enhance(statistic, levels, weights, family.places)
    return scores + _clusters.enhance(-statistic, levels, weights, family.places) if family.both else scores


def _extremes(block: np.ndarray, size: np.ndarray, family: Family) -> np.ndarray:
    """The largest statistic of each map of a block, whose magnitudes are `size`; nothing where places are not
    corrected by a maximum.
    """
    if family.correction == "max-t":
        return np.asarray(size.max(axis=(1, 2)))
    if family.correction == "tfce":
        return np.asarray(_shown(block, family).max(axis=(1, 2)))
    if family.correction != "cluster":
        return np.empty(0)
    signed = block if family.both else None
    return _clusters.largest(size, family.cut, family.rise, family.places, signed)


def _one(values: np.ndarray, both: bool) -> np.ndarray:
    return np.abs(values) if both else values


def _bound(values: np.ndarray) -> np.ndarray:
    """What chance must reach to be as extreme as values, ties included whatever their rounding."""
    return np.asarray(values - TIE * np.abs(values).max(initial=0.0))


def _share(values: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(b + 1) / (n + 1) of sorted chance."""
    reached = chance.size - np.searchsorted(chance, _bound(values), "left")
    return np.asarray((reached + 1) / (chance.size + 1))
