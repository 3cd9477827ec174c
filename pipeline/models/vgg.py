"""A small VGG whose first three convolutions two heads share: classes of pictures, responses of neuroids."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ._seeded import apart, initialised, positive
from .readout import _Gaussian

ANSWERS = ("both", "logits", "response")


def build(
    *,
    channels: int = 3,
    classes: int = 10,
    neuroids: int = 0,
    width: int = 16,
    dropout: float = 0.0,
    levels: Sequence[float] = (),
    answer: str = "both",
    seed: int = 0,
) -> nn.Module:
    """A shared block of three convolutions, a convolutional head for classes, and a Gaussian readout.

    Convolutions of 3 x 3 are followed by batch normalisation and ReLU, and all but the first see the picture
    at half the size; the head ends in convolutions of one pixel and the maximum over places. The readout is
    that of `pipeline.models.readout`: level x (ELU + 1) of the shared features at each neuroid's place. First
    weights of the shared block and the head do not depend on whether there is a readout.

    Reads    channels of the pictures; classes; neuroids (0: no readout); width, channels of the first
             convolution (2, 4 times later); dropout, in the head; levels, mean responses of the neuroids
             (none: 1); answer, "both" {"logits", "response"}, or one of these, as attacks want it
    Returns  a module (image, channel, y, x) → (image, class), or as `answer` says where there are neuroids;
             layers shared.conv1, shared.conv2, shared.conv3, head, readout. Any size from 16 up
    Source   Simonyan and Zisserman 2015, arXiv 1409.1556; Safarani et al. 2021, arXiv 2107.14344
    >>> answer = build(classes=5, neuroids=7, width=4)(torch.zeros(2, 3, 32, 32))
    >>> {name: tuple(part.shape) for name, part in answer.items()}
    {'logits': (2, 5), 'response': (2, 7)}
    """
    positive(channels=channels, classes=classes, width=width)
    if not isinstance(neuroids, int) or isinstance(neuroids, bool) or neuroids < 0:
        raise ValueError(f"neuroids: {neuroids!r}; wanted a whole number from 0 up")
    if answer not in ANSWERS or (answer == "response" and not neuroids):
        raise ValueError(f"answer: {answer!r} of {neuroids} neuroids; use one of {', '.join(ANSWERS)}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: {dropout}; wanted a share from 0 to below 1")
    with apart(seed):
        shared = nn.Sequential(
            OrderedDict(
                conv1=_block(channels, width, pool=False),
                conv2=_block(width, 2 * width, pool=True),
                conv3=_block(2 * width, 4 * width, pool=True),
            )
        )
        made = initialised(_Vgg(shared, _head(4 * width, classes, dropout), answer), seed)
    if neuroids:
        with apart(seed):
            made.add_module("readout", _Gaussian(4 * width, neuroids, levels))
    return made


class _Vgg(nn.Module):
    def __init__(self, shared: nn.Module, head: nn.Module, answer: str) -> None:
        super().__init__()
        self.shared, self.head, self.answer = shared, head, answer

    def forward(self, x: torch.Tensor) -> Any:
        features = self.shared(x)
        readout = self._modules.get("readout")
        if readout is None or self.answer == "logits":
            return self.head(features)
        if self.answer == "response":
            return readout(features)
        return {"logits": self.head(features), "response": readout(features)}


def _block(before: int, after: int, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(*layers, conv, nn.BatchNorm2d(after), nn.ReLU())


def _head(width: int, classes: int, dropout: float) -> nn.Sequential:
    """Two more blocks, then convolutions of one pixel, and the maximum over places."""
    return nn.Sequential(
        OrderedDict(
            conv4=_block(width, width, pool=True),
            conv5=_block(width, width, pool=True),
            mix=nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Dropout(dropout)),
            classes=nn.Conv2d(2 * width, classes, 1),
            most=nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        )
    )
