"""Logistic regression with an L2 penalty, converged by Newton's method."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

from analyses._lda import scales

STEPS = 100
TOLERANCE = 1e-9
STALE = 0.3  # a factor is kept while each step shrinks the gradient at least this much


def fit(
    x: np.ndarray, targets: np.ndarray, train: np.ndarray, penalty: float = 1.0, standardize: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Logistic functions at every time and in every fold, at the optimum.

    (w, b) minimises Σ log(1 + exp(−y (w·x + b))) + ½ λ ‖w‖² over the training set, with x scaled to mean 0
    and unit variance there if `standardize`; scikit-learn's C is 1 / λ.

    Reads    x (time, n, p); targets (n), ±1; train (fold, n); penalty λ above 0
    Returns  coefficients (time, fold, 1, p), intercepts (time, fold, 1), for x as it was given; ValueError
             where Newton's method does not converge
    Source   Cox 1958, doi 10.1111/j.2517-6161.1958.tb00292.x
    """
    if not penalty > 0:
        raise ValueError(f"penalty: {penalty}; separable classes need one above 0")
    fits = [[_fit_one(moment[rows], targets[rows], penalty, standardize) for rows in train] for moment in x]
    weights = np.array([[function for function, _ in folds] for folds in fits])
    offsets = np.array([[offset for _, offset in folds] for folds in fits])
    return weights[:, :, None], offsets[:, :, None]


def _fit_one(x: np.ndarray, y: np.ndarray, penalty: float, standardize: bool) -> tuple[np.ndarray, float]:
    middle = x.mean(axis=0)
    x = x - middle
    scale = scales((x * x).mean(axis=0), len(x), middle) if standardize else np.ones(middle.size)
    design = np.column_stack([x / scale, np.ones(len(x))])
    ridge = np.append(np.full(middle.size, penalty), 0.0)
    solution = _newton(design, y, ridge)
    function = solution[:-1] / scale
    return function, float(solution[-1] - function @ middle)


def _newton(design: np.ndarray, y: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    solution = np.zeros(ridge.size)
    value, slope, curve = _loss(design, y, ridge, solution)
    limit = TOLERANCE * max(1.0, float(np.abs(slope).max()))
    factor, before = None, np.inf
    for _ in range(STEPS):
        size = float(np.abs(slope).max())
        if size <= limit:
            return solution
        if factor is None or size > STALE * before:
            factor = _hessian(design, curve, ridge)
        before = size
        step, _info = dpotrs(factor, -slope, lower=1)
        solution, value, slope, curve = _search(design, y, ridge, solution, step, value, slope)
    raise ValueError(f"logistic: no optimum after {STEPS} Newton steps; raise the penalty")


def _hessian(design: np.ndarray, curve: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    weighted = design * np.sqrt(curve)[:, None]
    matrix = dsyrk(1.0, weighted.T, lower=1)
    matrix.T.reshape(-1)[:: ridge.size + 1] += ridge + np.finfo(float).tiny
    factor, info = dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    if info:
        raise ValueError(f"logistic: curvature is lost at neuroid {info - 1}; raise the penalty")
    return factor


def _search(
    design: np.ndarray,
    y: np.ndarray,
    ridge: np.ndarray,
    start: np.ndarray,
    step: np.ndarray,
    value: float,
    slope: np.ndarray,
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """The longest of the halved steps that lowers the loss enough."""
    promise, length = float(slope @ step), 1.0
    while True:
        tried = start + length * step
        found = _loss(design, y, ridge, tried)
        if found[0] <= value + 1e-4 * length * promise + 1e-12 * abs(value) or length < 1e-10:
            return tried, *found
        length /= 2


def _loss(
    design: np.ndarray, y: np.ndarray, ridge: np.ndarray, solution: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Value, gradient, and curvature of every presentation."""
    margin = y * (design @ solution)
    fall = np.exp(-np.abs(margin))
    wrong = np.where(margin > 0, fall, 1.0) / (1 + fall)
    value = float(np.log1p(fall).sum() - margin[margin < 0].sum() + 0.5 * solution @ (ridge * solution))
    return value, ridge * solution - design.T @ (y * wrong), wrong * (1 - wrong)
