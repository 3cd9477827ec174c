"""Linear discriminant analysis with a shrunk within-class covariance, for many folds at once."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from analyses._moments import Plan, buffers, centred, means, panels, scatters

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
    folds, classes = made.members.shape[:2]
    room = [buffers(folds, x.shape[2]) for _ in range(classes)]
    fits = [_fit_one(moment, made, room, shrinkage) for moment in x]
    return np.array([weights for weights, _ in fits]), np.array([offsets for _, offsets in fits])


def amount(count: float, fourth: float, frobenius: float, varied: float, features: int) -> float:
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


def scales(variance: np.ndarray, count: np.ndarray | float, size: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Standard deviations; 1 for a constant column, whose variance is but the rounding of values of this
    size.

    variance about `mean`, of values that were centred elsewhere and were `size` before.
    """
    rounding = count * EPS * variance + (count * size * EPS) ** 2 + 8 * EPS * mean**2
    constant = variance <= rounding
    return np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))


def _fit_one(
    x: np.ndarray, made: Plan, room: list[list[np.ndarray]], shrinkage: float | None
) -> tuple[np.ndarray, np.ndarray]:
    x, middle = centred(x)
    square = x * x
    counts = made.counts
    priors = counts / counts.sum(axis=1, keepdims=True)
    mean, variance = means(x, square, made)
    scale = scales(variance, counts[..., None], middle + mean, mean)
    squares = np.zeros(counts.shape)
    for code, mine in enumerate(room):
        for rows, panel in scatters(x, mean[:, code], made, code, mine):
            if shrinkage is None:
                squares[:, code] += _squares(panel, rows, scale[:, code])
    if shrinkage is None:
        fourth = _fourth(x, square, mean, scale, made)
        keep, ridge = _automatic(counts, variance, scale, fourth, squares / counts**2)
    else:
        keep = np.full(counts.shape, 1 - shrinkage)
        ridge = np.broadcast_to(shrinkage * variance.mean(axis=2, keepdims=True), variance.shape)
    factors, ridges = priors * keep / counts, np.einsum("fk,fkp->fp", priors, ridge)
    fits = [
        _functions(_pooled(room, fold, factors[fold], ridges[fold]), mean[fold], middle, priors[fold])
        for fold in range(len(counts))
    ]
    return np.array([weights for weights, _ in fits]), np.array([offsets for _, offsets in fits])


def _squares(panel: np.ndarray, rows: slice, scale: np.ndarray) -> np.ndarray:
    """What a panel (fold, row, column) adds to the squared norm of the scaled, whole symmetric matrix."""
    weight = scale**-2
    twice = weight[:, rows.start :].copy()
    twice[:, rows.stop - rows.start :] *= 2
    summed = (panel * panel) @ twice[..., None]
    return (summed[..., 0] * weight[:, rows]).sum(axis=1)


def _pooled(room: list[list[np.ndarray]], fold: int, factors: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Σ factor · class scatter + diag(ridge), the lower triangle."""
    pooled = np.zeros((ridge.size, ridge.size))
    for place, rows in enumerate(panels(ridge.size)):
        part = pooled[rows, rows.start :]
        np.multiply(room[0][place][fold], factors[0], out=part)
        for mine, factor in zip(room[1:], factors[1:], strict=True):
            part += factor * mine[place][fold]
    diagonal = pooled.reshape(-1)[:: ridge.size + 1]
    diagonal += ridge
    diagonal[diagonal == 0] = 1.0  # constant within classes, and out of reach of shrinkage: no evidence
    return pooled.T


def _functions(
    pooled: np.ndarray, mean: np.ndarray, middle: np.ndarray, priors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if len(mean) == 2:
        function = solve(pooled, mean[1] - mean[0])[None]
        return function, np.log(priors[1:] / priors[:1]) - function @ (mean.mean(axis=0) + middle)
    mean = mean + middle
    functions = np.ascontiguousarray(solve(pooled, np.asfortranarray(mean.T)).T)
    return functions, np.log(priors) - 0.5 * np.einsum("kp,kp->k", mean, functions)


def _fourth(x: np.ndarray, square: np.ndarray, mean: np.ndarray, scale: np.ndarray, made: Plan) -> np.ndarray:
    """Σ over training presentations of the fourth power of the norm of their z scores, (fold, class)."""
    features = x.shape[1]
    weight = scale**-2
    shift = mean * weight
    norms = weight.reshape(-1, features) @ square.T - 2 * (shift.reshape(-1, features) @ x.T)
    norms = norms.reshape(made.members.shape) + (mean * shift).sum(axis=-1, keepdims=True)
    return (norms**2 * made.members).sum(axis=-1)


def _automatic(
    counts: np.ndarray, variance: np.ndarray, scale: np.ndarray, fourth: np.ndarray, frobenius: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(keep, ridge) of each fold and class: the shrunk covariance is keep · scatter / count + diag(ridge)."""
    features = variance.shape[-1]
    varied = np.round((variance / scale**2).sum(axis=-1))
    gamma = np.vectorize(amount)(counts, fourth, frobenius, varied, features)
    return 1 - gamma, (gamma * varied / features)[..., None] * scale**2


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
