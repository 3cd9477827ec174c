"""Deep canonical correlation: what a layer and the responses can be made to say alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from analyses._alignment_kernels import canonical, directions, moments, paired
from loaders.schema import nearest

from . import _views

SCALES = 1e-2, 1e2  # SD of a target that is no mistake
KEPT = 0.9  # share of the running covariances that a batch leaves


def penalty(
    features: torch.Tensor,
    target: torch.Tensor,
    *,
    r: float = 1e-4,
    reduce: Literal["sum", "mean"] = "sum",
) -> torch.Tensor:
    """Minus the sum of the canonical correlations: the nuclear norm of Σ11^(-1/2) Σ12 Σ22^(-1/2).

    Reads    features (n, *unit), target (n, neuroid): two views of the same pictures, more of these than of
             units; r, added to the variances of both; reduce, sum over pairs or mean
    Returns  one number, from minus the number of pairs (or -1) up to 0. ValueError with the shapes when a
             target is NaN, of other rows, or the same for all
    Source   Andrew et al. 2013, proceedings.mlr.press/v28/andrew13
    >>> x = torch.tensor([[1.0], [2.0], [4.0]])
    >>> penalty(x, -x, r=0).round(decimals=4)
    tensor(-1.)
    """
    _check(r, reduce)
    x, y = _views.rows(features, target)
    if min(x.shape[1], y.shape[1]) >= len(x) - 1:
        told = f"{tuple(target.shape)} beside features {tuple(features.shape)}"
        raise ValueError(f"target: {told} correlate whatever they are; give more pictures a batch")
    found = canonical(x, y, r)
    return -found.sum() if reduce == "sum" else -found.mean()


def build(
    features: torch.Tensor,
    target: torch.Tensor,
    *,
    widths: Sequence[int] = (64, 64, 64),
    pairs: int = 10,
    pool: int = 4,
    dropout: float = 0.0001,
    r: float = 1e-4,
    reduce: Literal["sum", "mean"] = "sum",
    seed: int = 0,
) -> nn.Module:
    """The penalty after a branch of dense layers with ReLU on either side.

    In evaluation it tells how well the pairs that were found in training (running covariances) correlate on
    the pictures at hand: of unrelated views that is 0 in the mean, however many or few pictures there are.

    Reads    features (n, *unit) and target (n, neuroid), examples whose shapes it is made for; widths of the
             layers (the published ones: 1024 three times); pairs, width of the last; pool, places in either
             direction to which maps are averaged first; dropout after every hidden layer; r, reduce as
             `penalty`; seed of the first weights
    Returns  a module (features, target) → one number, or in evaluation {"loss", "canonical"}, of which the
             second is the mean correlation. ValueError when a target has an SD that is far from 1
    Source   Pirlot et al. 2022, arXiv 2209.02582
    """
    _check(r, reduce)
    for name, value in (("pairs", pairs), ("pool", pool), *(("widths", width) for width in widths)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: {value!r}; wanted a whole number above 0")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: {dropout}; wanted a share from 0 to below 1")
    _, y = _views.rows(features, target)
    _scaled(y)
    inputs = [_pooled(features[:1], pool).shape[1], y.shape[1]]
    draw = torch.Generator("cpu").manual_seed(seed)
    return _Branches([_branch(one, widths, pairs, dropout, draw) for one in inputs], pairs, pool, r, reduce)


def _check(r: float, reduce: str) -> None:
    if not 0 <= r < float("inf"):
        raise ValueError(f"r: {r}; wanted a number from 0 up")
    if reduce not in ("sum", "mean"):
        raise ValueError(f"reduce: {reduce!r}; {nearest(reduce, ('sum', 'mean'))}")


def _scaled(target: torch.Tensor) -> None:
    _views.varied("target", target, "picture")
    size = float(target.std(0).square().mean().sqrt())
    if not SCALES[0] <= size <= SCALES[1]:
        why = f"{tuple(target.shape)} has an SD of {size:.3g} over pictures"
        raise ValueError(f"target: {why}; bring it to about 1, as z-scores or components of them are")


def _pooled(features: torch.Tensor, pool: int) -> torch.Tensor:
    if features.ndim == 4 and min(features.shape[2:]) > pool:
        features = functional.adaptive_avg_pool2d(features, pool)
    return features.flatten(1)


def _branch(
    before: int, widths: Sequence[int], pairs: int, dropout: float, draw: torch.Generator
) -> nn.Sequential:
    layers: list[tuple[str, nn.Module]] = []
    for k, width in enumerate((*widths, pairs)):
        dense = nn.utils.skip_init(nn.Linear, before, width)
        with torch.no_grad():
            drawn = torch.randn(dense.weight.shape, generator=draw, device="cpu")
            dense.weight.copy_(drawn * (2 / before) ** 0.5)
            dense.bias.zero_()
        layers.append((f"dense{k + 1}", dense))
        if k < len(widths):
            layers += [(f"relu{k + 1}", nn.ReLU()), (f"drop{k + 1}", nn.Dropout(dropout))]
        before = width
    return nn.Sequential(OrderedDict(layers))


class _Branches(nn.Module):
    def __init__(self, branches: list[nn.Sequential], pairs: int, pool: int, r: float, reduce: Any) -> None:
        super().__init__()
        self.layer, self.responses = branches
        self.pool, self.r, self.reduce = pool, r, reduce
        self.register_buffer("covariance", torch.zeros(2 * pairs, 2 * pairs))
        self.register_buffer("share", torch.zeros(1))

    def forward(self, features: torch.Tensor, target: torch.Tensor) -> Any:
        _, y = _views.rows(features, target)
        left, right = self.layer(_pooled(features, self.pool)), self.responses(y)
        if not self.training:
            held = self._held(left, right)
            return {"loss": -held.sum() if self.reduce == "sum" else -held.mean(), "canonical": held.mean()}
        self._learn(left.detach(), right.detach())
        return penalty(left, right, r=self.r, reduce=self.reduce)

    def _learn(self, left: torch.Tensor, right: torch.Tensor) -> None:
        own, other, cross = moments(left, right)
        whole = torch.cat([torch.cat([own, cross], 1), torch.cat([cross.T, other], 1)])
        self.get_buffer("covariance").mul_(KEPT).add_(whole, alpha=1 - KEPT)
        self.get_buffer("share").mul_(KEPT).add_(1 - KEPT)

    def _held(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        share = self.get_buffer("share")
        if not bool(share > 0):
            return left.new_zeros(left.shape[1])
        whole, pairs = (self.get_buffer("covariance") / share).double(), left.shape[1]
        a, b = directions(whole[:pairs, :pairs], whole[pairs:, pairs:], whole[:pairs, pairs:], self.r)
        found: torch.Tensor = paired(left.double() @ a, right.double() @ b)
        return found
