"""The spectrum of a cloud of patterns and the power law in it, on NumPy or torch."""

from __future__ import annotations

from typing import Any

from analyses._rdm_kernels import namespace

LOW, HIGH = 6, 50  # ranks that the line is fitted to
FLOOR = 1e-8  # added to eigenvalues that sum to 1, before the logarithm


def about(x: Any) -> Any:
    """Patterns (..., n, p) without their mean."""
    return x - x.mean(-2)[..., None, :]


def square(centred: Any) -> Any:
    """Whichever of the two products of centred patterns is smaller; both have the same eigenvalues."""
    count, width = centred.shape[-2:]
    turned = centred.swapaxes(-1, -2)
    return centred @ turned if count < width else turned @ centred


def eigenvalues(x: Any) -> Any:
    """Eigenvalues of the covariance of patterns (..., n, p), largest first, as shares of their sum: the
    min(n, p) of them. All are 0 where patterns do not vary.
    """
    xp, centred = namespace(x), about(x)
    found = xp.flip(xp.linalg.eigvalsh(square(centred)), (-1,))
    return shares(found, centred)


def shares(found: Any, centred: Any) -> Any:
    """Eigenvalues of centred patterns divided by their sum, which is their squared length."""
    total = namespace(centred).einsum("...np,...np->...", centred, centred)
    return found / (total + (total == 0))[..., None]


def exponent(values: Any, low: int = LOW, high: int = HIGH) -> Any:
    """α of λₙ ∝ n^−α: minus the slope of the least-squares line of ln(λₙ + 1e-8) over ln n, n = low … high.

    Reads    values (..., ranks), shares of their sum, largest first
    Source   Gerum et al. 2022, arXiv 2208.10576
    """
    xp = namespace(values)
    height = xp.log(xp.clip(values[..., low - 1 : high], 0, None) + FLOOR)
    rank = xp.log(xp.arange(low, high + 1, dtype=values.dtype))
    along = rank - rank.mean()
    return -(height * along).sum(-1) / (along * along).sum()


def excess(values: Any, alpha: float, tau: int) -> Any:
    """How far eigenvalues (..., f), largest first, are from λ_τ (τ / n)^α at ranks n above τ.

    1/f Σ (λₙ/γₙ − 1)² + max(λₙ/γₙ − 1, 0), γₙ = λ_τ (τ / n)^α, where no gradient goes through λ_τ.

    Source   Nassar et al. 2020, arXiv 2012.04728
    """
    xp = namespace(values)
    anchor = values[..., tau - 1 : tau]
    anchor = anchor.detach() if hasattr(anchor, "detach") else anchor
    rank = xp.arange(tau + 1, values.shape[-1] + 1, dtype=values.dtype)
    off = values[..., tau:] / (anchor * (tau / rank) ** alpha) - 1
    return (off * off + xp.clip(off, 0, None)).sum(-1) / values.shape[-1]
