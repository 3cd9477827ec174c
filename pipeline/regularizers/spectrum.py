"""Penalties that bend the spectrum of a layer towards a power law."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from analyses import _spectrum_kernels as kernels

STEEP = 2e-5  # of the largest eigenvalue: below it, single precision is not enough


def penalty(
    features: Tensor,
    target: Tensor | None = None,
    *,
    alpha: float,
    low: int = kernels.LOW,
    high: int = kernels.HIGH,
) -> Tensor:
    """|α − alpha|, where the layer's eigenvalues over a batch fall as 1/nᵅ from rank `low` to `high`.

    A batch has few pictures, which makes spectra steeper: use 4 times as many as there are units, and
    compare exponents at equal batch and width only.

    Reads    features (image, *unit); target is not used; alpha, the exponent that is wanted
    Returns  one number from 0 up; its gradient goes through eigenvalues alone, dλ = vᵀ dΣ v
    Source   Gerum et al. 2022, arXiv 2208.10576
    """
    patterns = _patterns(features, "high", high)
    if not 1 <= low < high:
        raise ValueError(f"low: {low}; wanted a rank from 1 to below high, {high}")
    return (exponent(patterns, low, high) - alpha).abs()


def nassar(
    features: Tensor,
    target: Tensor | None = None,
    *,
    alpha: float,
    tau: int = 11,
    vectors: Any = None,
) -> Tensor:
    """Mean squared excess of eigenvalues over the power law that goes through rank `tau`, above twice.

    Directions are fixed: λₙ = vₙᵀ Σ vₙ, sorted, with no gradient through vₙ.

    Reads    features (image, *unit); target is not used; alpha, the exponent that is wanted; tau, the first
             rank of the law; vectors (unit, unit), columns fixed for longer than one batch (None: the
             batch's own)
    Returns  one number from 0 up
    Source   Nassar et al. 2020, arXiv 2012.04728
    """
    patterns = _patterns(features, "tau", tau + 1)
    if tau < 1:
        raise ValueError(f"tau: {tau}; wanted a rank from 1 up")
    if vectors is None:
        return kernels.excess(_spectrum(patterns), alpha, tau)
    fixed = torch.as_tensor(vectors, dtype=patterns.dtype, device=patterns.device).detach()
    if fixed.ndim != 2 or len(fixed) != patterns.shape[1] or fixed.shape[1] <= tau:
        told = f"{tuple(fixed.shape)} for {patterns.shape[1]} units and tau {tau}"
        raise ValueError(f"vectors: {told}; wanted (unit, direction), more directions than tau")
    centred = kernels.about(patterns)
    found = (centred @ fixed).square().sum(0).sort(descending=True).values
    return kernels.excess(kernels.shares(found, centred), alpha, tau)


def exponent(features: Tensor, low: int = kernels.LOW, high: int = kernels.HIGH) -> Tensor:
    """α of a batch of features, as `analyses.spectrum.exponent` measures it, with its gradient.

    Reads    features (image, unit); low and high, the first and last rank of the fit
    Returns  one number
    >>> exponent(torch.eye(60, 51)).abs().round(decimals=2)
    tensor(0.)
    """
    return kernels.exponent(_spectrum(features), low, high)


def _patterns(features: Tensor, name: str, last: int) -> Tensor:
    """Features as (image, unit); ValueError where there are too few of either for the last rank."""
    if features.ndim < 2:
        raise ValueError(f"features: {tuple(features.shape)}; wanted (image, *unit)")
    patterns = features.flatten(1)
    ranks = min(len(patterns) - 1, patterns.shape[1])
    if last > ranks:
        why = f"rank {last} of {tuple(patterns.shape)}, which has {ranks}"
        raise ValueError(f"{name}: {why}; use a larger batch, a wider layer or lower ranks")
    return patterns


def _spectrum(patterns: Tensor) -> Tensor:
    """`analyses._spectrum_kernels.eigenvalues`, with a gradient that needs few eigenvectors."""
    found: Tensor = _Spectrum.apply(patterns)
    return found


class _Spectrum(torch.autograd.Function):
    """Eigenvalues of XᵀX (or XXᵀ, whichever is smaller) over their sum, without the terms 1 / (λᵢ − λⱼ)."""

    @staticmethod
    def forward(context: Any, patterns: Tensor) -> Tensor:
        centred = kernels.about(patterns)
        square = kernels.square(centred)
        total = square.diagonal().sum()
        if not bool(torch.isfinite(total)):
            raise ValueError("features: hold what is no number; lower rate, or set clip")
        values, vectors = torch.linalg.eigh(square)
        if values.dtype == torch.float32 and bool(values[-kernels.HIGH :][0] < STEEP * values[-1]):
            values, vectors = torch.linalg.eigh(kernels.square(centred.double()))
        shares = (values / (total + (total == 0))).flip(0).to(patterns.dtype)
        context.save_for_backward(centred, vectors, shares, total)
        return shares

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, slope: Tensor) -> Tensor:
        """dλ = 2 X v vᵀ for the eigenvalues that anything depends on, d total = 2 X; its rows sum to 0."""
        centred, vectors, shares, total = context.saved_tensors
        rows = slope.nonzero().flatten()
        some = vectors.to(slope.dtype)[:, len(vectors) - 1 - rows].contiguous()
        size = 2 / (total + (total == 0))
        scaled, rest = some * (size * slope[rows]), float(-size * (slope * shares).sum())
        if len(centred) < centred.shape[1]:
            return torch.addmm(centred, scaled, some.T @ centred, beta=rest)
        return torch.addmm(centred, centred @ scaled, some.T, beta=rest)
