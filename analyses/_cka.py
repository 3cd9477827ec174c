"""Similarity of two sets of patterns without a fit: linear CKA and CCA, on NumPy or torch."""

from __future__ import annotations

from typing import Any

from analyses._rdm_kernels import namespace

EPS = 1e-12


def cka(x: Any, y: Any, debiased: bool = True) -> Any:
    """Linear CKA of patterns (..., n, p) and (..., n, q): HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)).

    Plain, HSIC is the squared length of the cross-covariance. Debiased, products of a presentation with
    itself are left out, so that unrelated patterns have mean 0; 0 where an HSIC is not positive.

    Source   Kornblith et al. 2019, arXiv 1905.00414; Song et al. 2007, arXiv 0704.2668 (unbiased HSIC);
             Murphy et al. 2024, arXiv 2405.01012 (bias)
    """
    xp = namespace(x)
    if not debiased:
        x, y = x - x.mean(-2)[..., None, :], y - y.mean(-2)[..., None, :]
        return _inner(x, y) / xp.sqrt(_inner(x, x) * _inner(y, y))
    rows = [_rows(part) for part in (x, y)]
    cross = _unbiased(x, y, *rows)
    product = _unbiased(x, x, rows[0], rows[0]) * _unbiased(y, y, rows[1], rows[1])
    positive = product > 0
    size = xp.sqrt(xp.where(positive, product, xp.ones_like(product))) + EPS
    return xp.where(positive, cross / size, xp.zeros_like(cross))


def _inner(x: Any, y: Any) -> Any:
    """Σ_ij (x xᵀ)_ij (y yᵀ)_ij, in whichever space is smaller."""
    count, p, q = x.shape[-2], x.shape[-1], y.shape[-1]
    if p * q <= count * (p + q):
        cross = x.swapaxes(-1, -2) @ y
        return namespace(x).einsum("...pq,...pq->...", cross, cross)
    return namespace(x).einsum("...ij,...ij->...", x @ x.swapaxes(-1, -2), y @ y.swapaxes(-1, -2))


def _rows(x: Any) -> tuple[Any, Any]:
    """Diagonal (..., n) of x xᵀ, and the sums of its rows without it."""
    own = namespace(x).einsum("...np,...np->...n", x, x)
    return own, (x @ x.sum(-2)[..., None])[..., 0] - own


def _unbiased(x: Any, y: Any, left: tuple[Any, Any], right: tuple[Any, Any]) -> Any:
    """HSIC as Song et al. 2007, of the Gram matrices without their diagonals."""
    n = x.shape[-2]
    first = _inner(x, y) - (left[0] * right[0]).sum(-1)
    second = left[1].sum(-1) * right[1].sum(-1) / ((n - 1.0) * (n - 2.0))
    third = 2.0 * (left[1] * right[1]).sum(-1) / (n - 2.0)
    return (first + second - third) / (n * (n - 3.0))


def canonical(x: Any, y: Any) -> Any:
    """Canonical correlations, the largest first, of patterns (..., n, p) and (..., n, q) of full rank.

    Source   Björck and Golub 1973, doi 10.1090/S0025-5718-1973-0348991-3 (by orthonormal bases)
    """
    xp = namespace(x)
    left = xp.linalg.qr(x - x.mean(-2)[..., None, :])[0]
    right = xp.linalg.qr(y - y.mean(-2)[..., None, :])[0]
    found = xp.linalg.svd(left.swapaxes(-1, -2) @ right, full_matrices=False)[1]
    return xp.clip(found, 0, 1)


def components(x: Any, share: float) -> Any:
    """The fewest principal components (n, k) of patterns (n, p) that hold this share of their variance, and
    no direction that is empty.

    Source   Raghu et al. 2017, arXiv 1706.05806 (SVCCA)
    """
    xp = namespace(x)
    left, size, _ = xp.linalg.svd(x - x.mean(-2)[..., None, :], full_matrices=False)
    there = int((size > 1e-10 * size[0]).sum())
    held = (size[:there] ** 2).cumsum(0) / (size[:there] ** 2).sum()
    kept = min(there, int((held < share - 1e-12).sum()) + 1)
    return left[:, :kept] * size[:kept]
