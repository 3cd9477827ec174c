"""Linear centred kernel alignment of a layer with responses, as a penalty."""

from __future__ import annotations

import torch

from analyses import _cka

from . import _views

LEAST = 4  # pictures below which the unbiased estimate does not exist


def penalty(features: torch.Tensor, target: torch.Tensor, *, debiased: bool = True) -> torch.Tensor:
    """1 - linear CKA of the layer and the responses, over the pictures of a batch.

    Reads    features (n, *unit); target (n, neuroid); debiased, without the products of a picture with itself
    Returns  one number: 0 for the same geometry, about 1 for none in common (debiased). ValueError with the
             shapes when a target is NaN, of other rows, or the same for all
    Source   Kornblith et al. 2019, arXiv 1905.00414
    >>> x = torch.arange(5.0)[:, None]
    >>> penalty(x, 3 * x).abs() < 1e-5
    tensor(True)
    """
    x, y = _views.rows(features, target, least=LEAST if debiased else 2)
    _views.varied("target", y, "picture")
    _views.varied("features", x, "picture")
    value: torch.Tensor = 1 - _cka.cka(x - x.mean(0), y - y.mean(0), debiased)
    return value
