"""Similarities of patterns and canonical correlations, on NumPy or on torch with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from analyses._rdm_kernels import TINY, namespace


def cosine(patterns: Any, empty: float = np.nan) -> Any:
    """Cosine of all pairs of patterns: (..., n, p) to (..., n, n); `empty` where a pattern is 0."""
    xp = namespace(patterns)
    square = xp.einsum("...i,...i->...", patterns, patterns)[..., None]
    there = square > TINY**2
    unit = patterns / xp.sqrt(xp.where(there, square, xp.ones_like(square)))
    unit = xp.where(there, unit, xp.full_like(unit, 0.0 if empty == 0 else np.nan))
    return unit @ unit.swapaxes(-1, -2)


def similarity(patterns: Any, centre: str, empty: float = np.nan) -> Any:
    """Cosine of all pairs of patterns (n, p), without a mean: "none"; that of every neuroid over stimuli,
    "stimuli"; or that of every pattern over neuroids, "neuroids", which makes it Pearson's r."""
    if centre == "none":
        return cosine(patterns, empty)
    axis = -1 if centre == "neuroids" else -2
    mean = patterns.mean(axis)[..., None] if axis == -1 else patterns.mean(axis)[..., None, :]
    return cosine(patterns - mean, empty)


def upper(matrices: Any) -> Any:
    """The values above the diagonal, row by row: (..., n, n) to (..., m)."""
    rows, columns = np.triu_indices(matrices.shape[-1], 1)
    return matrices[..., rows, columns]


def moments(x: Any, y: Any) -> tuple[Any, Any, Any]:
    """Covariances of the columns of x (n, p), of y (n, q), and of the two."""
    x, y = x - x.mean(0), y - y.mean(0)
    less = len(x) - 1
    return x.T @ x / less, y.T @ y / less, x.T @ y / less


def whitened(own: Any, other: Any, cross: Any, r: float) -> Any:
    """Σ11^(-1/2) Σ12 Σ22^(-1/2) up to a rotation on either side, with r added to the variances.

    By Cholesky factors, whose gradient stays finite where two eigenvalues meet.

    Source   Andrew et al. 2013, proceedings.mlr.press/v28/andrew13
    """
    xp = namespace(cross)
    left = xp.linalg.cholesky(own + r * _eye(own))
    right = xp.linalg.cholesky(other + r * _eye(other))
    return xp.linalg.solve(right, xp.linalg.solve(left, cross).T).T


def canonical(x: Any, y: Any, r: float = 0.0) -> Any:
    """Canonical correlations, the largest first, of x (n, p) and y (n, q); r is added to variances."""
    found = whitened(*moments(x, y), r)
    xp = namespace(found)
    return np.linalg.svd(found, compute_uv=False) if xp is np else xp.linalg.svdvals(found)


def directions(own: Any, other: Any, cross: Any, r: float) -> tuple[Any, Any]:
    """Weights (p, k) and (q, k) whose products with two sets of patterns are the canonical pairs."""
    xp = namespace(cross)
    left = xp.linalg.cholesky(own + r * _eye(own))
    right = xp.linalg.cholesky(other + r * _eye(other))
    inner = xp.linalg.solve(right, xp.linalg.solve(left, cross).T).T
    a, _, b = xp.linalg.svd(inner, full_matrices=False)
    return xp.linalg.solve(left.T, a), xp.linalg.solve(right.T, b.T)


def paired(x: Any, y: Any) -> Any:
    """Pearson's r of every column of x with the same one of y; 0 where one does not vary."""
    xp = namespace(x)
    x, y = x - x.mean(0), y - y.mean(0)
    size = xp.sqrt((x * x).sum(0) * (y * y).sum(0))
    varied = size > TINY
    return xp.where(varied, (x * y).sum(0) / xp.where(varied, size, xp.ones_like(size)), xp.zeros_like(size))


def _eye(like: Any) -> Any:
    return namespace(like).asarray(np.eye(len(like)), dtype=like.dtype)
