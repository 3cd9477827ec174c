"""Pairs of stimuli, one of each class, that are alike in everything that was measured of them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

CALIPER = 0.2  # SD of the score that tells the classes apart


def pairs(features: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Rows that are kept: the closest pairs across two classes, those too far apart left out.

    Distances are Euclidean in units of the features' SD. A pair is too far apart if its linear discriminant
    scores (the features' own, of the two classes) differ by more than 0.2 of their SD.

    Reads    features (n, k); codes 0 and 1 (n)
    Returns  (pair, 2) row numbers, the first of class 0
    Source   Rosenbaum and Rubin 1985, doi 10.1080/00031305.1985.10479383; Austin 2011, doi 10.1002/pst.433
    """
    spread = features.std(axis=0)
    varied = spread > 1e-12 * np.abs(features).max(axis=0)
    z = (features[:, varied] - features[:, varied].mean(axis=0)) / spread[varied]
    zero, one = np.flatnonzero(codes == 0), np.flatnonzero(codes == 1)
    target = codes - codes.mean()
    score = z @ np.linalg.lstsq(z, target, rcond=None)[0] if z.size else np.zeros(len(codes))
    # within classes: between them lies what matching is to remove
    width = CALIPER * np.sqrt(0.5 * (score[zero].var() + score[one].var()))
    distance = np.sqrt(((z[zero, None] - z[one]) ** 2).sum(axis=2))
    far = np.abs(score[zero, None] - score[one]) > width + 1e-9 * np.abs(score).max(initial=0)
    return _assigned(zero, one, distance, far)


def _assigned(zero: np.ndarray, one: np.ndarray, distance: np.ndarray, far: np.ndarray) -> np.ndarray:
    """The most pairs that are not far, of these the least total distance."""
    large = (distance.max(initial=0) + 1) * (min(distance.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(far, large, distance))
    near = ~far[rows, columns]
    return np.stack([zero[rows[near]], one[columns[near]]], axis=1)


def alike(position: np.ndarray, level: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Presentations in pairs across two classes with the same level (repetition) and nearly the same
    position: (pair, 2).
    """
    width, found = CALIPER * position.std(), [np.empty((0, 2), np.int64)]
    for value in np.unique(level):
        zero, one = (np.flatnonzero((level == value) & (codes == code)) for code in (0, 1))
        if zero.size and one.size:
            distance = np.abs(position[zero, None] - position[one])
            found.append(_assigned(zero, one, distance, distance > width))
    return np.concatenate(found)
