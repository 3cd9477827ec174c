"""A small convolutional network, trainable on small pictures in minutes on one core."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from ._seeded import apart, initialised, positive


def build(*, channels: int = 3, classes: int = 10, width: int = 32, seed: int = 0) -> nn.Module:
    """Four blocks of convolution, batch normalisation and ReLU, then a linear head on their mean.

    The layers conv1 to conv4 end in ReLU; conv1, conv2 and conv3 also halve the picture. Any size from 16 up.

    Reads    channels of the pictures; classes of the head; width, channels of conv1 (doubled, then 4 times)
    Returns  a module (image, channel, y, x) → (image, class)
    Source   LeCun et al. 1998, doi 10.1109/5.726791; Ioffe and Szegedy 2015, arXiv 1502.03167
    >>> import torch
    >>> build(classes=5, width=4)(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 5])
    """
    positive(channels=channels, classes=classes, width=width)
    widths = (channels, width, 2 * width, 4 * width, 4 * width)
    with apart(seed):
        blocks = [
            (f"conv{k}", _block(widths[k - 1], widths[k], 5 if k == 1 else 3, halve=k < 4))
            for k in (1, 2, 3, 4)
        ]
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
        return initialised(nn.Sequential(OrderedDict([*blocks, ("head", head)])), seed)


def _block(before: int, after: int, kernel: int, halve: bool) -> nn.Sequential:
    layers = [
        nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if halve else []))
