"""Least squares without a penalty, by Cholesky where that is exact enough, else by singular values."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lstsq
from scipy.linalg.lapack import dpocon, dpotrf, dpotrs

from analyses._sums import Split, cross, levels, squares

WELL = 1e-8  # reciprocal condition of X'X above which its Cholesky factor is trusted


def predict(x: np.ndarray, y: np.ndarray, splits: list[Split]) -> list[np.ndarray]:
    """Predictions (test, q) of every split, of least norm where features outnumber training rows.

    Reads    x (n, p), y (n, q), splits
    Source   Legendre 1805; of least norm as scikit-learn's LinearRegression, whose predictions depend on
             rounding where features outnumber rows or repeat each other, and ours do not
    """
    means = levels(x, y, splits)
    if x.shape[1] >= min(split.train.size for split in splits):
        return [_dual(x, y, split, mean) for split, (mean, _) in zip(splits, means, strict=True)]
    found = []
    products = zip(splits, means, squares(x, splits, means), cross(x, y, splits, means), strict=True)
    for split, (mean, middle), square, product in products:
        weights = _solve(square, product)
        if weights is None:
            weights = _least(x[split.train] - mean, y[split.train] - middle)
        found.append(middle + (x[split.test] - mean) @ weights)
    return found


def _dual(x: np.ndarray, y: np.ndarray, split: Split, mean: np.ndarray) -> np.ndarray:
    """Through XX', made regular by a constant that the centred y does not see."""
    inside, tested, middle = x[split.train] - mean, x[split.test] - mean, y[split.train].mean(axis=0)
    square = inside @ inside.T
    square += np.trace(square) / split.train.size**2
    weights = _solve(square, y[split.train] - middle)
    if weights is None:
        return np.asarray(middle + tested @ _least(inside, y[split.train] - middle))
    return np.asarray(middle + tested @ (inside.T @ weights))


def _least(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights of least norm, without directions that rounding alone made."""
    return np.asarray(lstsq(x, y, cond=np.finfo(float).eps * max(x.shape), check_finite=False)[0])


def _solve(square: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """square⁻¹ right, or None where square is near singular."""
    norm = np.abs(square).sum(axis=0).max()
    factor, info = dpotrf(square.T, lower=1, clean=0)
    if info or dpocon(factor, norm, uplo="L")[0] < WELL:
        return None
    return np.asarray(dpotrs(factor, right, lower=1)[0])
