"""Linear discriminant analysis with a shrunk within-class covariance, for many folds at once."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import daxpy
from scipy.linalg.lapack import dpotrf, dpotrs

from analyses._moments import Buffers, Plan, buffers, centred, means, scatters

EPS = np.finfo(float).eps


def fit(x: np.ndarray, made: Plan, shrinkage: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Linear discriminant functions at every time and in every fold.

    With priors π and class means m of the training set and C = Σ π_k C_k, the function of class k is
    m_kᵀ C⁻¹ x − ½ m_kᵀ C⁻¹ m_k + log π_k. C_k is the class covariance shrunk towards a multiple of the
    identity: by Ledoit and Wolf's amount after scaling to unit variance (shrinkage None), or by a fixed
    amount. Two classes give one function, second class positive.

    Reads    x (time, n, p); a plan of classes and folds
    Returns  coefficients (time, fold, class or 1, p), intercepts (time, fold, class or 1); ValueError names a
             neuroid where the covariance is singular
    Source   Ledoit and Wolf 2004, doi 10.1016/S0047-259X(03)00096-4, lemma 3.3
    """
    room = buffers(made, x.shape[2])
    fits = [_fit_one(moment, made, room, shrinkage) for moment in x]
    return np.array([weights for weights, _ in fits]), np.array([offsets for _, offsets in fits])


def amount(count: float, fourth: float, frobenius: float, varied: int, features: int) -> float:
    """Ledoit and Wolf's shrinkage of a correlation matrix with `varied` ones on its diagonal.

    fourth: Σ over samples of the fourth power of their norm; frobenius: squared norm of the matrix.
    """
    if features == 1:
        return 0.0
    mean = varied / features
    beta = (fourth / count - frobenius) / (features * count)
    delta = (frobenius - 2 * mean * varied + features * mean**2) / features
    least = min(beta, delta)
    return 0.0 if least == 0 else least / delta


def scales(variance: np.ndarray, count: np.ndarray | float, size: np.ndarray) -> np.ndarray:
    """Standard deviations; 1 for a constant column of values as large as `size`, where rounding is no
    variance.
    """
    constant = variance <= count * EPS * variance + (count * size * EPS) ** 2
    return np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))


def _fit_one(
    x: np.ndarray, made: Plan, room: Buffers, shrinkage: float | None
) -> tuple[np.ndarray, np.ndarray]:
    x, middle = centred(x)
    counts = made.counts
    priors = counts / counts.sum(axis=1, keepdims=True)
    mean, variance = means(x, made)
    scale = scales(variance, counts[..., None], middle + mean)
    fourth = _fourth(x, mean, scale, made)
    weights, offsets = [], []
    for fold, parts in enumerate(scatters(x, mean, made, room)):
        ridge = np.zeros(middle.size)
        for code, (scatter, count, prior) in enumerate(zip(parts, counts[fold], priors[fold], strict=True)):
            if shrinkage is None:
                norms = fourth[fold, code]
                keep, target = _automatic(
                    scatter, count, variance[fold, code], scale[fold, code], norms, room.spare
                )
            else:
                keep, target = 1 - shrinkage, shrinkage * variance[fold, code].mean()
            ridge += prior * target
            if code:
                daxpy(scatter.T.reshape(-1), parts[0].T.reshape(-1), a=prior * keep / count)
            else:
                scatter *= prior * keep / count
        diagonal = parts[0].T.reshape(-1)[:: middle.size + 1]
        diagonal += ridge
        diagonal[diagonal == 0] = 1.0  # constant within classes, and out of reach of shrinkage: no evidence
        function, offset = _functions(parts[0], mean[fold], middle, priors[fold])
        weights.append(function)
        offsets.append(offset)
    return np.array(weights), np.array(offsets)


def _functions(
    pooled: np.ndarray, mean: np.ndarray, middle: np.ndarray, priors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if len(mean) == 2:
        function = solve(pooled, mean[1] - mean[0])[None]
        return function, np.log(priors[1:] / priors[:1]) - function @ (mean.mean(axis=0) + middle)
    mean = mean + middle
    functions = np.ascontiguousarray(solve(pooled, np.asfortranarray(mean.T)).T)
    return functions, np.log(priors) - 0.5 * np.einsum("kp,kp->k", mean, functions)


def _fourth(x: np.ndarray, mean: np.ndarray, scale: np.ndarray, made: Plan) -> np.ndarray:
    """Σ over training presentations of the fourth power of the norm of their z scores, (fold, class)."""
    weight = scale**-2
    shift = mean * weight
    norms = weight @ (x * x).T - 2 * (shift @ x.T) + (mean * shift).sum(axis=-1, keepdims=True)
    return (norms**2 * made.members).sum(axis=-1)


def _automatic(
    scatter: np.ndarray,
    count: float,
    variance: np.ndarray,
    scale: np.ndarray,
    fourth: float,
    spare: np.ndarray,
) -> tuple[float, np.ndarray]:
    """(keep, ridge): the shrunk class covariance is keep · scatter / count + diag(ridge)."""
    weight = scale**-2
    ones = variance * weight
    np.multiply(scatter, scatter, out=spare)
    frobenius = 2 * (weight @ (spare @ weight)) / count**2 - ones @ ones
    varied = round(float(ones.sum()))
    gamma = amount(count, fourth, frobenius, varied, variance.size)
    return 1 - gamma, gamma * varied / variance.size * scale**2


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
