"""Ridge classifiers for many folds at once, and for many relabellings at the price of one factorisation."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf

from analyses._lda import scales, solve
from analyses._moments import Buffers, Plan, buffers, centred, means, scatters


def fit(
    x: np.ndarray, targets: np.ndarray, made: Plan, alpha: float = 1.0, standardize: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression on targets, at every time and in every fold.

    w minimises ‖y − ȳ − (X − x̄) w‖² + α ‖w‖² on the training set, with X scaled to unit variance there if
    `standardize`.

    Reads    x (time, n, p); targets (n, k), ±1; a plan with one class; alpha
    Returns  coefficients (time, fold, k, p), intercepts (time, fold, k), for x as it was given
    Source   Hoerl and Kennard 1970, doi 10.1080/00401706.1970.10488634
    """
    room = buffers(made, x.shape[2])
    fits = [_fit_one(moment, targets, made, room, alpha, standardize) for moment in x]
    return np.array([weights for weights, _ in fits]), np.array([offsets for _, offsets in fits])


def hats(
    x: np.ndarray, made: Plan, test: np.ndarray, alpha: float = 1.0, standardize: bool = True
) -> list[np.ndarray]:
    """Of one time, for every fold: the matrix that takes centred training targets to centred test
    predictions.

    Reads    x (n, p); test (fold, n)
    Returns  a list of (test of the fold, training of the fold)
    """
    x, middle = centred(x)
    mean, variance = means(x, made)
    found = []
    for fold, (scatter,) in enumerate(scatters(x, mean, made, buffers(made, x.shape[1]))):
        scale = _scale(variance[fold, 0], made.counts[fold, 0], middle + mean[fold, 0], standardize)
        rows = np.flatnonzero(made.members[fold, 0])
        factor = _factor(scatter, scale, alpha)
        both = (x[np.concatenate([rows, np.flatnonzero(test[fold])])] - mean[fold, 0]) / scale
        halves = dtrsm(1.0, factor, both.T, lower=1)
        found.append(halves[:, rows.size :].T @ halves[:, : rows.size])
    return found


def _fit_one(
    x: np.ndarray, targets: np.ndarray, made: Plan, room: Buffers, alpha: float, standardize: bool
) -> tuple[np.ndarray, np.ndarray]:
    x, middle = centred(x)
    mean, variance = means(x, made)
    weights, offsets = [], []
    for fold, (scatter,) in enumerate(scatters(x, mean, made, room)):
        centre = mean[fold, 0]
        scale = _scale(variance[fold, 0], made.counts[fold, 0], middle + centre, standardize)
        member = made.members[fold, 0]
        level = member @ targets / member.sum()
        cross = ((targets - level) * member[:, None]).T @ x
        function = solve(_ridged(scatter, scale, alpha), np.asfortranarray((cross / scale).T)).T / scale
        weights.append(function)
        offsets.append(level - function @ (centre + middle))
    return np.array(weights), np.array(offsets)


def _scale(variance: np.ndarray, count: float, size: np.ndarray, standardize: bool) -> np.ndarray:
    return scales(variance, count, size) if standardize else np.ones(variance.size)


def _ridged(scatter: np.ndarray, scale: np.ndarray, alpha: float) -> np.ndarray:
    scatter /= scale
    scatter /= scale[:, None]
    scatter.T.reshape(-1)[:: scale.size + 1] += alpha
    return scatter


def _factor(scatter: np.ndarray, scale: np.ndarray, alpha: float) -> np.ndarray:
    factor, info = dpotrf(_ridged(scatter, scale, alpha), lower=1, clean=0, overwrite_a=1)
    if info:
        raise ValueError(f"ridge: singular at neuroid {info - 1}; use alpha above 0")
    return factor
