"""Similar pictures for the neurons shall be similar for the layer: dissimilarities drawn together."""

from __future__ import annotations

from typing import Any, Literal

import torch

from analyses._alignment_kernels import similarity, upper
from loaders.schema import nearest

from . import _views


def penalty(
    features: torch.Tensor,
    target: torch.Tensor,
    *,
    centre: Literal["none", "stimuli", "neuroids"] = "none",
    pairs: int = 0,
    loss: Literal["absolute", "squared"] = "absolute",
) -> torch.Tensor:
    """Mean difference of 1 - cosine between the layer's patterns and between the responses, over pairs.

    Reads    features (n, *unit); target (n, neuroid); centre, which mean is taken away before the cosine, of
             both; pairs, how many neighbours in the batch are compared (the first with the second, and so
             on: their order is random), 0: all pairs; loss of a difference. A pattern of the layer that is 0
             everywhere is at right angles to all others
    Returns  one number from 0 up. ValueError with the shapes when a target is NaN, of other rows, or the same
             for all
    Source   Federer et al. 2020, doi 10.1016/j.neunet.2020.07.013 (absolute, 50 pairs)
    >>> penalty(torch.eye(3), torch.eye(3))
    tensor(0.)
    """
    if loss not in ("absolute", "squared"):
        raise ValueError(f"loss: {loss!r}; {nearest(loss, ('absolute', 'squared'))}")
    x, y = _views.rows(features, target)
    _views.varied("target", y, "picture")
    wanted = dissimilarities(y, centre)
    _check(wanted, target)
    difference = wanted - dissimilarities(x, centre, 0.0)
    if pairs:
        place = torch.arange(min(pairs, len(x) - 1), device=x.device)
        chosen = difference[place, place + 1]
    else:
        chosen = upper(difference)
    return chosen.abs().mean() if loss == "absolute" else chosen.square().mean()


def dissimilarities(patterns: Any, centre: str = "none", empty: float = float("nan")) -> Any:
    """1 - cosine of all pairs of patterns (n, p), on NumPy or torch; 1 - `empty` of one that is 0 everywhere.

    >>> dissimilarities(torch.eye(2))
    tensor([[0., 1.],
            [1., 0.]])
    """
    known = ("none", "stimuli", "neuroids")
    if centre not in known:
        raise ValueError(f"centre: {centre!r}; {nearest(centre, known)}")
    return 1 - similarity(patterns, centre, empty)


def _check(wanted: torch.Tensor, target: torch.Tensor) -> None:
    bad = torch.isnan(wanted).all(1)
    if bool(bad.any()):
        why = f"has no direction at picture {int(torch.nonzero(bad)[0])} of {tuple(target.shape)}"
        raise ValueError(f"target: {why}; use another centre, or leave that picture out")
