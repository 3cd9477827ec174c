"""Pixels themselves, as the baseline that every model must beat."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from ._seeded import positive


def build(*, cells: int | None = None) -> nn.Module:
    """A network whose one layer, `pixels`, is the picture.

    Reads    cells, a side of the grid that pixels are averaged in (None: as they are)
    Returns  a module of (image, channel, y, x); it has no weights
    >>> import torch
    >>> build(cells=4)(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 3, 4, 4])
    """
    if cells is None:
        return nn.Sequential(OrderedDict(pixels=nn.Identity()))
    positive(cells=cells)
    return nn.Sequential(OrderedDict(pixels=nn.AdaptiveAvgPool2d(cells)))
