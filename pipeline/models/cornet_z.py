"""CORnet-Z, narrow: four areas, each a convolution, ReLU and max-pooling, fed forward only."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from ._seeded import apart, initialised, positive


def build(
    *,
    channels: int = 3,
    classes: int = 10,
    width: int = 16,
    stride: int = 1,
    dropout: float = 0.0,
    seed: int = 0,
) -> nn.Module:
    """V1, V2, V4 and IT, each halving the picture, and a linear decoder of what is left; no normalisation.

    Reads    channels of the pictures; classes of the decoder; width, channels of V1 (2, 4, 8 times later; as
             published 64); stride of V1's convolution (as published 2, for pictures of 224 pixels); dropout
             before the decoder
    Returns  a module (image, channel, y, x) → (image, class), with layers V1, V2, V4, IT, decoder
    Source   Kubilius et al. 2018, doi 10.1101/408385 (CORnet-Z)
    >>> import torch
    >>> build(classes=5, width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 5])
    """
    positive(channels=channels, classes=classes, width=width, stride=stride)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: {dropout}; wanted a share from 0 to below 1")
    widths = (channels, width, 2 * width, 4 * width, 8 * width)
    with apart(seed):
        areas = [
            (name, _area(widths[k], widths[k + 1], 7 if k == 0 else 3, stride if k == 0 else 1))
            for k, name in enumerate(("V1", "V2", "V4", "IT"))
        ]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1], classes)]
        return initialised(nn.Sequential(OrderedDict([*areas, ("decoder", nn.Sequential(*head))])), seed)


def _area(before: int, after: int, kernel: int, stride: int) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(before, after, kernel, stride, kernel // 2),
        "relu": nn.ReLU(),
        "pool": nn.MaxPool2d(3, stride=2, padding=1),
    }
    return nn.Sequential(OrderedDict(layers))
