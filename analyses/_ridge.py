"""Ridge classifiers for many folds at once, and for many relabellings at the price of one factorisation."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from analyses._lda import scales
from analyses._moments import Plan, Room, means, panels, room_for, scatters


def fit(
    x: np.ndarray, targets: np.ndarray, made: Plan, alpha: float = 1.0, standardize: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression on targets, at every time and in every fold.

    w minimises ‖y − ȳ − (X − x̄) w‖² + α ‖w‖² on the training set, with X scaled to unit variance there if
    `standardize`.

    Reads    x (time, n, p), best near zero; targets (n, k), ±1; a plan with one class; alpha
    Returns  coefficients (time, fold, k, p), intercepts (time, fold, k), for x as it was given
    Source   Hoerl and Kennard 1970, doi 10.1080/00401706.1970.10488634
    """
    room = room_for(made, *x.shape[1:])
    fits = [_fit_one(moment, targets, made, room, alpha, standardize) for moment in x]
    return np.array([weights for weights, _ in fits]), np.array([offsets for _, offsets in fits])


def hats(
    x: np.ndarray, made: Plan, test: np.ndarray, alpha: float = 1.0, standardize: bool = True
) -> list[np.ndarray]:
    """Of one time, for every fold: the matrix that takes centred training targets to test predictions,
    less ȳ and up to a constant a column.

    Reads    x (n, p), best near zero; test (fold, n)
    Returns  a list of (test of the fold, training of the fold)
    """
    scale, factors, mean = _factors(x, made, room_for(made, *x.shape), alpha, standardize)
    found = []
    for fold, factor in enumerate(factors):
        tested = (x[test[fold]] - mean[fold]) / scale[fold]
        solved, _info = dpotrs(factor, tested.T, lower=1)
        trained = x[made.members[fold, 0] > 0]
        found.append((solved.T / scale[fold]) @ trained.T)
    return found


def _fit_one(
    x: np.ndarray, targets: np.ndarray, made: Plan, room: Room, alpha: float, standardize: bool
) -> tuple[np.ndarray, np.ndarray]:
    scale, factors, mean = _factors(x, made, room, alpha, standardize)
    weights, offsets = [], []
    for fold, factor in enumerate(factors):
        member = made.members[fold, 0]
        level = member @ targets / member.sum()
        cross = ((targets - level) * member[:, None]).T @ x
        solved, _info = dpotrs(factor, (cross / scale[fold]).T, lower=1)
        weights.append(solved.T / scale[fold])
        offsets.append(level - weights[-1] @ mean[fold])
    return np.array(weights), np.array(offsets)


def _factors(
    x: np.ndarray, made: Plan, room: Room, alpha: float, standardize: bool
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Of every fold: scale (fold, p), Cholesky factor of the scaled Gram matrix + α, mean (fold, p)."""
    mean, variance = means(x, np.multiply(x, x, out=room.square), made)
    scale = scales(variance[:, 0], made.counts, mean[:, 0]) if standardize else np.ones(mean[:, 0].shape)
    for _ in scatters(x, mean, made, room):
        pass
    factors = [_factor(room, fold, scale[fold], alpha) for fold in range(len(mean))]
    return scale, factors, mean[:, 0]


def _factor(room: Room, fold: int, scale: np.ndarray, alpha: float) -> np.ndarray:
    matrix = np.zeros((scale.size, scale.size))
    for panel, rows in zip(room.panels, panels(scale.size), strict=True):
        np.multiply(
            panel[0, fold], 1 / (scale[rows, None] * scale[rows.start :]), out=matrix[rows, rows.start :]
        )
    matrix.reshape(-1)[:: scale.size + 1] += alpha
    factor, info = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if info:
        raise ValueError(f"ridge: singular at neuroid {info - 1}; use a strength above 0")
    return factor
