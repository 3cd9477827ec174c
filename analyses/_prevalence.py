"""How common an effect is: from the number of units that show it, and from the least of their scores."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from analyses._shares import clopper

AT_ONCE = 2**20  # numbers of a block of draws
TIE = 1e-9  # relative difference within which two scores are one


def false_positives(alpha: float, permutations: int) -> float:
    """How often a unit without effect has p < alpha, where p is a multiple of 1 / (permutations + 1)."""
    below = np.ceil(alpha * (permutations + 1) - 1e-9) - 1
    return float(max(below, 0) / (permutations + 1))


def share(hits: int, units: int, rate: float, confidence: float) -> tuple[float, float, float]:
    """Share of the population with an effect, with its interval: the maximum of the likelihood.

    A unit is significant with probability share + (1 - share) rate.

    Source   Ince et al. 2021, doi 10.7554/eLife.62461; Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404
    """
    ends = clopper(hits, units, confidence)
    estimate, lower, upper = (np.array([hits / units, *ends]) - rate).clip(0) / (1 - rate)
    return float(estimate), float(lower), float(upper)


def minimum(
    scores: np.ndarray, draws: int, seed: int, alpha: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """scores (unit, relabelling, place), the true ones first, to p (place) of the null that no unit has an
    effect, corrected and not, and to the bound (place) that the share of units with an effect exceeds.

    A draw takes one relabelling of every unit, units in random order, and of the first k the smallest score;
    F_k(m) is how often its largest value over places reaches m. If a share g of the population has an effect,
    however strong, k of n units have none with the binomial's probability, so the smallest observed score m
    arises with p(g) = sum_k C(n, k) (1 - g)^k g^(n - k) F_k(m) at most; the bound is the g with p(g) = alpha.
    At one place F_k = F_1^k, and p(g) is the paper's ((1 - g) F_n^(1/n) + g)^n; over many places it holds
    for all of them at once.

    Source   Allefeld, Goergen and Haynes 2016, doi 10.1016/j.neuroimage.2016.07.040
    """
    units, relabellings, places = scores.shape
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    picks = rng.integers(relabellings, size=(draws, units))
    order = np.argsort(rng.random((draws, units)), axis=1)
    observed = scores[:, 0].min(axis=0)
    limit = observed - TIE * np.abs(observed).max()
    largest, reached = np.empty((draws, units)), np.zeros(places)
    step = max(1, AT_ONCE // places)
    for start in range(0, draws, step):
        some = slice(start, start + step)
        least = np.inf
        for place in range(units):
            least = np.minimum(least, scores[order[some, place], picks[some, place]])
            largest[some, place] = least.max(axis=1)
        reached += (least >= limit).sum(axis=0)
    beaten = np.array([draws - np.searchsorted(np.sort(found), limit) for found in largest.T])
    corrected, single = (beaten + 1) / (draws + 1), (reached + 1) / (draws + 1)
    return corrected[-1], single, _bound(corrected, alpha)


def _bound(corrected: np.ndarray, alpha: float) -> np.ndarray:
    """corrected (k - 1, place), F_k of the smallest observed score, to the g with p(g) = alpha, else 0."""
    units = len(corrected)
    free = np.arange(units + 1)
    chances = np.concatenate([np.ones((1, corrected.shape[1])), corrected])
    low, high = np.zeros(corrected.shape[1]), np.ones(corrected.shape[1])
    for _ in range(40):
        middle = (low + high) / 2
        p = (binom.pmf(free[:, None], units, 1 - middle) * chances).sum(axis=0)
        low, high = np.where(p <= alpha, middle, low), np.where(p <= alpha, high, middle)
    return np.where(corrected[-1] <= alpha, low, 0.0)
