"""Layers of tanh units on flattened pictures, with or without convolutions before them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from ._seeded import apart, number, positive


def build(
    *,
    channels: int = 1,
    side: int = 28,
    widths: Sequence[int] = (256,),
    filters: Sequence[int] = (),
    classes: int = 10,
    seed: int = 0,
) -> nn.Module:
    """Dense layers of tanh units, dense1, dense2, ..., and a linear head that gives logits.

    Each of `filters` puts a convolution of 3 x 3 with tanh units, which also halves the picture, before them:
    conv1, conv2, ... First weights are uniform, after Glorot and Bengio, biases 0.

    Reads    channels and side of the pictures; widths of dense layers; filters of convolutions; classes
    Returns  a module (image, channel, y, x) → (image, class)
    Source   Gerum et al. 2022, arXiv 2208.10576 (2000; 3 x 1000; 16 and 32 filters, then 1000); Glorot and
             Bengio 2010, proceedings.mlr.press/v9/glorot10a
    >>> build(widths=(20, 10), filters=(4,))(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    positive(channels=channels, side=side, classes=classes)
    for name, numbers in (("widths", widths), ("filters", filters)):
        for value in numbers:
            positive(**{name: value})
    if not widths:
        raise ValueError("widths: none; wanted one dense layer at least")
    layers: list[tuple[str, nn.Module]] = []
    before = channels
    with apart(seed):
        for k, count in enumerate(filters, 1):
            parts = (nn.Conv2d(before, count, 3), nn.Tanh(), nn.MaxPool2d(2))
            layers.append((f"conv{k}", nn.Sequential(*parts)))
            before, side = count, (side - 2) // 2
        if side < 1:
            raise ValueError(f"filters: {len(filters)} of them leave nothing of the picture; use fewer")
        layers.append(("flat", nn.Flatten()))
        before *= side * side
        for k, width in enumerate(widths, 1):
            layers.append((f"dense{k}", nn.Sequential(nn.Linear(before, width), nn.Tanh())))
            before = width
        layers.append(("head", nn.Linear(before, classes)))
        return _drawn(nn.Sequential(OrderedDict(layers)), seed)


def _drawn(module: nn.Module, seed: int) -> nn.Module:
    """Uniform weights within ±√(6 / (inputs + outputs)), biases 0."""
    generator = torch.Generator().manual_seed(number(seed))
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            drawn = torch.empty(layer.weight.shape, device="cpu")
            nn.init.xavier_uniform_(drawn, generator=generator)
            with torch.no_grad():
                layer.weight.copy_(drawn)
                if layer.bias is not None:
                    layer.bias.zero_()
    return module
