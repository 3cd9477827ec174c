"""Similarities of pictures across layers, weighted, drawn towards those of responses on a stretched scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from analyses._alignment_kernels import similarity, upper
from loaders.schema import nearest

from . import _views

CENTRES = ("neuroids", "stimuli", "none")


def build(
    features: torch.Tensor | Sequence[torch.Tensor],
    target: torch.Tensor,
    *,
    centre: Literal["neuroids", "stimuli", "none"] = "neuroids",
    threshold: float = 0.0,
    limit: float = 0.999,
    reduce: Literal["mean", "sum"] = "mean",
) -> nn.Module:
    """The penalty with its trained weights of layers: softmax of free numbers, all alike at first.

    Reads    features of one layer or of several, target: examples; the rest as `penalty`
    Returns  a module (features, target) → one number; its layers' weights are softmax(free)
    Source   Li et al. 2019, arXiv 1911.04733
    """
    return _Layers(
        1 if isinstance(features, torch.Tensor) else len(features), centre, threshold, limit, reduce
    )


def penalty(
    features: torch.Tensor | Sequence[torch.Tensor],
    target: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    centre: Literal["neuroids", "stimuli", "none"] = "neuroids",
    threshold: float = 0.0,
    limit: float = 0.999,
    reduce: Literal["mean", "sum"] = "mean",
) -> torch.Tensor:
    """(arctanh S of the layers - arctanh S of the responses)², over pairs of pictures.

    Reads    features (n, *unit) of one layer or of several; target (n, neuroid); weights of the layers, which
             sum to 1 (None: all alike); centre, the mean that is taken away before the cosine: of a pattern
             over neuroids (Pearson's r), or of a neuroid over stimuli; threshold, above 0: the target's
             similarity is 1 above it, -1 below its negative and else 0; limit of |S|, as arctanh 1 is
             infinite; reduce, mean or sum over pairs. Patterns of a layer that are 0 everywhere have
             similarity 0
    Returns  one number from 0 up. ValueError with the shapes when a target is NaN, of other rows, or the same
             for all
    Source   Li et al. 2019, arXiv 1911.04733
    >>> penalty(torch.eye(3), torch.eye(3)) < 1e-9
    tensor(True)
    """
    _check(centre, threshold, limit, reduce)
    parts = [features] if isinstance(features, torch.Tensor) else list(features)
    if not parts:
        raise ValueError("features: none; name the layers")
    views = [_views.rows(part, target) for part in parts]
    _views.varied("target", views[0][1], "picture")
    share = views[0][0].new_full((len(parts),), 1 / len(parts)) if weights is None else weights
    each = torch.stack([similarity(x, centre, 0.0) for x, _ in views])
    found = upper(torch.einsum("l,lij->ij", share, each))
    wanted = upper(similarity(views[0][1], centre))
    if bool(torch.isnan(wanted).any()):
        why = f"{tuple(target.shape)} has a pattern without a direction"
        raise ValueError(f"target: {why}; use another centre, or leave that picture out")
    if threshold:
        wanted = (wanted > threshold).to(wanted) - (wanted < -threshold).to(wanted)
    square = (stretched(found, limit) - stretched(wanted, limit)).square()
    return square.mean() if reduce == "mean" else 2 * square.sum()


def stretched(values: Any, limit: float) -> Any:
    """arctanh of similarities that are cut at ±limit, on NumPy or torch."""
    cut = values.clip(-limit, limit)
    return cut.arctanh() if isinstance(cut, torch.Tensor) else _numpy(cut)


def _numpy(values: Any) -> Any:
    import numpy as np

    return np.arctanh(values)


def _check(centre: str, threshold: float, limit: float, reduce: str) -> None:
    if centre not in CENTRES:
        raise ValueError(f"centre: {centre!r}; {nearest(centre, CENTRES)}")
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold: {threshold}; wanted a number from 0 to below 1")
    if not 0 < limit < 1:
        raise ValueError(f"limit: {limit}; wanted a number between 0 and 1")
    if reduce not in ("mean", "sum"):
        raise ValueError(f"reduce: {reduce!r}; {nearest(reduce, ('mean', 'sum'))}")


class _Layers(nn.Module):
    def __init__(self, layers: int, centre: Any, threshold: float, limit: float, reduce: Any) -> None:
        super().__init__()
        _check(centre, threshold, limit, reduce)
        self.free = nn.Parameter(torch.zeros(layers))
        self.centre, self.threshold, self.limit, self.reduce = centre, threshold, limit, reduce

    def forward(self, features: Any, target: torch.Tensor) -> torch.Tensor:
        return penalty(
            features, target, weights=self.free.softmax(0), centre=self.centre, threshold=self.threshold,
            limit=self.limit, reduce=self.reduce,
        )  # fmt: skip
