"""A small convolutional autoencoder, whose code is a space to walk in between pictures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ._seeded import apart, initialised, positive


def build(
    *, channels: int = 1, filters: Sequence[int] = (32, 16, 8), units: int = 0, side: int = 28, seed: int = 0
) -> nn.Module:
    """Convolutions that halve the picture, a code, and convolutions that double it again, up to a sigmoid.

    Reads    channels and `side` (pixels) of the pictures; filters of each convolution, the last one the
             code's; units of a dense code behind them (0: the last convolution is the code)
    Returns  a module (image, channel, y, x) in [0, 1] → the same, with layers encoder, decoder
    Source   Hinton and Salakhutdinov 2006, doi 10.1126/science.1127647; Bonnasse-Gahot and Nadal 2022, doi
             10.1162/neco_a_01454 (one for digits)
    >>> net = build(filters=(4, 4, 2))
    >>> net(torch.zeros(3, 1, 28, 28)).shape, net.encoder(torch.zeros(3, 1, 28, 28)).shape
    (torch.Size([3, 1, 28, 28]), torch.Size([3, 2, 4, 4]))
    """
    positive(channels=channels, side=side, **{f"filters[{k}]": width for k, width in enumerate(filters)})
    sides = [side]
    for _ in filters:
        sides.append(-(-sides[-1] // 2))
    widths = (channels, *filters)
    with apart(seed):
        down: list[nn.Module] = []
        for before, after in zip(widths, filters, strict=False):
            down += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU()]
        up: list[nn.Module] = []
        if units:
            shape = (filters[-1], sides[-1], sides[-1])
            size = filters[-1] * sides[-1] ** 2
            down += [nn.Flatten(), nn.Linear(size, units)]
            up += [nn.Linear(units, size), nn.ReLU(), nn.Unflatten(1, shape)]
        for k in range(len(filters), 0, -1):
            after = widths[k - 1] if k > 1 else filters[0]
            up += [
                nn.Upsample(size=(sides[k - 1],) * 2),
                nn.Conv2d(widths[k], after, 3, padding=1),
                nn.ReLU(),
            ]
        up += [nn.Conv2d(filters[0], channels, 3, padding=1), nn.Sigmoid()]
        parts: list[tuple[str, nn.Module]] = [
            ("encoder", nn.Sequential(*down)), ("decoder", nn.Sequential(*up))
        ]  # fmt: skip
        return initialised(nn.Sequential(OrderedDict(parts)), seed)


def reconstruct(module: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
    """Give the picture back: mean squared error over its pixels, one number a picture.

    Reads    what the module answers, of the shape of the pictures of the batch (`pipeline.tasks.Batch`)
    Returns  "squared" (n,)
    >>> from types import SimpleNamespace
    >>> reconstruct(nn.Identity(), SimpleNamespace(x=torch.ones(2, 1, 4, 4)))["squared"]
    tensor([0., 0.])
    """
    answer = module(batch.x)
    if not isinstance(answer, torch.Tensor) or answer.shape != batch.x.shape:
        shape = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
        raise ValueError(f"model: answers {shape} to pictures of {tuple(batch.x.shape)}; build it for these")
    return {"squared": (answer - batch.x).square().flatten(1).mean(1)}
