"""Linear discriminant analysis with a shrunk within-class covariance, for many folds at once."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from analyses._moments import Plan, Room, means, panels, room_for, scatters

EPS = np.finfo(float).eps


def fit(
    x: np.ndarray, made: Plan, shrinkage: float | None = None, reference: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Linear discriminant functions at every time and in every fold.

    With priors π and class means m of the training set and C = Σ π_k C_k, the function of class k is
    m_kᵀ C⁻¹ x − ½ m_kᵀ C⁻¹ m_k + log π_k. C_k is the class covariance shrunk towards a multiple of the
    identity: by Ledoit and Wolf's amount after scaling to unit variance (shrinkage None), or by a fixed
    amount. Two classes give one function, second class positive.

    Reads    x (time, n, p), best near zero; a plan of classes and folds; reference (time, p)
    Returns  coefficients (time, fold, class or 1, p), intercepts (time, fold, class or 1); ValueError names a
             neuroid where the covariance is singular
    Source   Ledoit and Wolf 2004, doi 10.1016/S0047-259X(03)00096-4, lemma 3.3
    """
    room = room_for(made, *x.shape[1:])
    pooled = np.zeros((x.shape[2], x.shape[2]))
    zeros = np.zeros_like(x[:, 0]) if reference is None else reference
    fits = [
        _fit_one(moment, zero, made, room, pooled, shrinkage) for moment, zero in zip(x, zeros, strict=True)
    ]
    return np.array([weights for weights, _ in fits]), np.array([offsets for _, offsets in fits])


def amount(
    count: np.ndarray, fourth: np.ndarray, frobenius: np.ndarray, varied: np.ndarray, features: int
) -> np.ndarray:
    """Ledoit and Wolf's shrinkage of correlation matrices with `varied` ones on their diagonals.

    fourth: Σ over samples of the fourth power of their norm; frobenius: squared norm of the matrix.
    """
    if features == 1:
        return np.zeros_like(frobenius)
    mean = varied / features
    beta = (fourth / count - frobenius) / (features * count)
    delta = (frobenius - 2 * mean * varied + features * mean**2) / features
    least = np.minimum(beta, delta)
    return np.divide(least, delta, out=np.zeros_like(frobenius), where=least != 0)


def scales(variance: np.ndarray, count: np.ndarray | float, mean: np.ndarray) -> np.ndarray:
    """Standard deviations; 1 for a constant column, whose variance about `mean` is but rounding."""
    constant = variance <= count * EPS * variance + 8 * EPS * mean**2
    return np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))


def _fit_one(
    x: np.ndarray, zero: np.ndarray, made: Plan, room: Room, pooled: np.ndarray, shrinkage: float | None
) -> tuple[np.ndarray, np.ndarray]:
    counts = made.counts
    priors = counts / counts.sum(axis=1, keepdims=True)
    square = np.multiply(x, x, out=room.square)
    mean, variance = means(x, square, made)
    weight = scales(variance, counts[..., None], mean) ** -2.0
    squares, across = np.zeros(counts.shape), weight.swapaxes(0, 1)
    for rows, panel in scatters(x, mean, made, room):
        if shrinkage is None:
            squares += _squares(panel, rows, across).T
    if shrinkage is None:
        fourth = _fourth(x, square, mean, weight, made)
        keep, ridge = _automatic(counts, variance, weight, fourth, squares / counts**2)
    else:
        keep = np.full(counts.shape, 1 - shrinkage)
        ridge = np.broadcast_to(shrinkage * variance.mean(axis=2, keepdims=True), variance.shape)
    factors, ridges = priors * keep / counts, np.einsum("fk,fkp->fp", priors, ridge)
    two = counts.shape[1] == 2
    right = (
        mean[:, 1:] - mean[:, :1] if two else np.concatenate([mean, np.tile(zero, (len(mean), 1, 1))], axis=1)
    )
    solved = [
        solve(_pool(room, fold, factors[fold], ridges[fold], pooled), right[fold].T)
        for fold in range(len(mean))
    ]
    return _functions(np.array(solved).swapaxes(1, 2), mean, zero, priors)


def _functions(
    solved: np.ndarray, mean: np.ndarray, zero: np.ndarray, priors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercepts (fold, class) from C⁻¹ m and C⁻¹ r, or of two classes' difference."""
    if mean.shape[1] == 2:
        middle = mean.mean(axis=1)
        return solved, np.log(priors[:, 1:] / priors[:, :1]) - np.einsum("fkp,fp->fk", solved, middle)
    own, shared = solved[:, :-1], solved[:, -1:]
    offsets = np.log(priors) - 0.5 * np.einsum("fkp,fkp->fk", mean, own) + 0.5 * (shared @ zero)
    return own + shared, offsets


def _squares(panel: np.ndarray, rows: slice, weight: np.ndarray) -> np.ndarray:
    """What a panel (fold, class, row, column) adds to the squared norm of the scaled, whole symmetric
    matrix.
    """
    twice = weight[..., rows.start :].copy()
    twice[..., rows.stop - rows.start :] *= 2
    summed = (panel * panel) @ twice[..., None]
    return (summed[..., 0] * weight[..., rows]).sum(axis=-1)


def _pool(room: Room, fold: int, factors: np.ndarray, ridge: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Σ factor · class scatter + diag(ridge), made in the buffer `pooled`; its lower triangle."""
    for panel, rows in zip(room.panels, panels(ridge.size), strict=True):
        mine = panel[:, fold]
        pooled[rows, rows.start :] = (factors @ mine.reshape(len(mine), -1)).reshape(mine.shape[1:])
    diagonal = pooled.reshape(-1)[:: ridge.size + 1]
    diagonal += ridge
    diagonal[diagonal == 0] = 1.0  # constant within classes, and out of reach of shrinkage: no evidence
    return pooled.T


def _fourth(
    x: np.ndarray, square: np.ndarray, mean: np.ndarray, weight: np.ndarray, made: Plan
) -> np.ndarray:
    """Σ over training presentations of the fourth power of the norm of their z scores, (fold, class)."""
    features = x.shape[1]
    shift = mean * weight
    norms = weight.reshape(-1, features) @ square.T - 2 * (shift.reshape(-1, features) @ x.T)
    norms = norms.reshape(made.members.shape) + (mean * shift).sum(axis=-1, keepdims=True)
    return (norms**2 * made.members).sum(axis=-1)


def _automatic(
    counts: np.ndarray, variance: np.ndarray, weight: np.ndarray, fourth: np.ndarray, frobenius: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(keep, ridge) of each fold and class: the shrunk covariance is keep · scatter / count + diag(ridge)."""
    features = variance.shape[-1]
    varied = np.round((variance * weight).sum(axis=-1))
    gamma = amount(counts, fourth, frobenius, varied, features)
    return 1 - gamma, (gamma * varied / features)[..., None] / weight


def solve(lower: np.ndarray, right: np.ndarray) -> np.ndarray:
    """right (p, k) divided by the positive definite matrix with this lower triangle, which is overwritten."""
    factor, info = dpotrf(lower, lower=1, clean=0, overwrite_a=1)
    if info:
        raise ValueError(
            f"covariance: singular at neuroid {info - 1}; use shrinkage above 0, or leave out neuroids that "
            "are constant or copies of others"
        )
    solved, _ = dpotrs(factor, right, lower=1)
    return solved
