"""Psychometric curves: a logistic function of the place, fitted to many data sets at once."""

from __future__ import annotations

import numpy as np

STEPS = 60
STEEPEST = 60.0  # logits between neighbouring places, beyond which a curve counts as a step
RIDGE = 1e-9


def fit(
    places: np.ndarray, hits: np.ndarray, counts: np.ndarray, lapse: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Threshold and slope of p(x) = λ + (1 - 2λ) / (1 + exp(-slope (x - threshold))), by maximum likelihood.

    Reads    places (n,); hits, of counts, (set, n); a share in place of hits will do; lapse λ, known
    Returns  threshold, slope (set,); NaN where all or nothing was chosen
    Source   Wichmann and Hill 2001, doi 10.3758/BF03194544
    """
    scale = float(places.std()) or 1.0
    x = (places - places.mean()) / scale
    steepest = STEEPEST / max(float(np.diff(np.unique(x)).min()), 1e-12)
    total = counts.sum(axis=1)
    mean = np.clip(hits.sum(axis=1) / total, 0.01, 0.99)
    level, slope = np.log(mean / (1 - mean)), np.zeros(len(hits))
    best = np.full(len(hits), -np.inf)
    damp = np.ones(len(hits))
    kept = [level.copy(), slope.copy()]
    for _ in range(STEPS):
        now = _likelihood(x, hits, counts, lapse, level, slope)
        better = now >= best - 1e-12 * np.abs(best)
        best = np.where(better, now, best)
        kept = [np.where(better, new, old) for new, old in zip((level, slope), kept, strict=True)]
        damp = np.where(better, np.minimum(1.0, 2 * damp), damp / 4)
        step = _step(x, hits, counts, lapse, kept[0], kept[1])
        level = kept[0] + damp * step[0]
        slope = np.clip(kept[1] + damp * step[1], -steepest, steepest)
    level, slope = kept
    void = (np.abs(slope) < 1e-9) | (hits.sum(axis=1) <= 0) | (hits.sum(axis=1) >= total)
    with np.errstate(divide="ignore", invalid="ignore"):
        threshold = places.mean() - scale * level / slope
    return np.where(void, np.nan, threshold), np.where(void, np.nan, slope / scale)


def curve(places: np.ndarray, threshold: np.ndarray, slope: np.ndarray, lapse: float = 0.0) -> np.ndarray:
    """p(x) (set, n).

    >>> curve(np.array([0.5]), np.array([0.5]), np.array([9.0]))
    array([[0.5]])
    """
    logit = np.clip(slope[:, None] * (places - threshold[:, None]), -500, 500)
    return np.asarray(lapse + (1 - 2 * lapse) / (1 + np.exp(-logit)))


def _likelihood(
    x: np.ndarray, hits: np.ndarray, counts: np.ndarray, lapse: float, level: np.ndarray, slope: np.ndarray
) -> np.ndarray:
    share = _share(x, lapse, level, slope)[0]
    found = hits * np.log(share) + (counts - hits) * np.log(1 - share)
    return np.asarray(found.sum(axis=1))


def _share(
    x: np.ndarray, lapse: float, level: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """p, and its derivative by the logit."""
    inner = 1 / (1 + np.exp(-np.clip(level[:, None] + slope[:, None] * x, -35, 35)))
    return lapse + (1 - 2 * lapse) * inner, (1 - 2 * lapse) * inner * (1 - inner)


def _step(
    x: np.ndarray, hits: np.ndarray, counts: np.ndarray, lapse: float, level: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fisher scoring."""
    share, rise = _share(x, lapse, level, slope)
    spread = np.maximum(share * (1 - share), 1e-300)
    pull, weight = (hits - counts * share) * rise / spread, counts * rise**2 / spread
    a, b, c = weight.sum(axis=1), (weight * x).sum(axis=1), (weight * x**2).sum(axis=1)
    up, along = pull.sum(axis=1), (pull * x).sum(axis=1)
    a, c = a + RIDGE, c + RIDGE
    det = np.maximum(a * c - b**2, 1e-300)
    return np.clip((c * up - b * along) / det, -5, 5), np.clip((a * along - b * up) / det, -5, 5)
