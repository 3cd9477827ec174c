"""A fixed V1 of simple and complex cells before a small trainable network."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ._seeded import apart, initialised, positive

FLAT = 1e-4  # an amplitude below what one grey level of 256 at one pixel gives: energy is smooth there
OCTAVES = (0.7, 2.8)  # cycles in the reach of the envelope (4 SD), from low to high


def build(
    *,
    channels: int = 3,
    classes: int = 10,
    cells: int = 32,
    width: int = 32,
    stride: int = 2,
    seed: int = 0,
) -> nn.Module:
    """A bank of Gabor cells that no training changes, a 1 x 1 bottleneck, two blocks of convolution, a head.

    Half of V1 are simple cells (a half-wave rectified filter), half complex (the energy of a pair).
    Orientation, frequency, size, phase and colour plane of each cell are drawn from `seed`, uniformly (the
    frequency in octaves), not from the distributions that macaques have; there is no noise.

    Reads    channels of the pictures; classes of the head; cells, simple and as many complex; width of the
             trained part; stride of V1 in pixels
    Returns  a module (image, channel, y, x) → (image, class), with layers V1, bottleneck, conv2, conv3, head
    Source   Dapello et al. 2020, doi 10.1101/2020.06.16.154542 (VOneNet, here without its noise)
    >>> build(classes=5, cells=4, width=4)(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 5])
    """
    positive(channels=channels, classes=classes, cells=cells, width=width, stride=stride)
    with apart(seed):
        parts: list[tuple[str, nn.Module]] = [
            ("V1", _Cells(channels, cells, stride, seed)),
            ("bottleneck", nn.Conv2d(2 * cells, width, 1, bias=False)),
            ("conv2", _block(width, 2 * width, halve=True)),
            ("conv3", _block(2 * width, 4 * width, halve=False)),
            ("head", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))),
        ]
        return initialised(nn.Sequential(OrderedDict(parts)), seed)


def _block(before: int, after: int, halve: bool) -> nn.Sequential:
    layers = [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if halve else []))


class _Cells(nn.Module):
    """Simple cells, then complex cells; the filters are buffers, which no optimiser sees."""

    def __init__(self, channels: int, cells: int, stride: int, seed: int) -> None:
        super().__init__()
        self.register_buffer("filters", torch.from_numpy(_drawn(channels, 2 * cells, seed)).float())
        self.cells, self.stride = cells, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        filters = self.get_buffer("filters").to(x.dtype)
        reach = filters.shape[-1] // 2
        padded = functional.pad(x, (reach,) * 4, mode="replicate")
        even, odd = functional.conv2d(padded, filters, stride=self.stride).chunk(2, 1)
        simple = torch.relu(even[:, : self.cells])
        pair = even[:, self.cells :].square() + odd[:, self.cells :].square()
        return torch.cat([simple, (torch.sqrt(pair + FLAT**2) - FLAT) / np.sqrt(2)], 1)


def _drawn(channels: int, cells: int, seed: int) -> np.ndarray:
    """Quadrature pairs (2 x cell, channel, y, x), each on one plane of colour, of mean 0 and norm 1."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    shape = (cells, 1, 1)
    spread = rng.uniform(1.5, 3.5, shape)
    cycles = np.exp2(rng.uniform(np.log2(OCTAVES[0]), np.log2(OCTAVES[1]), shape)) / (4 * spread)
    angle, phase = rng.uniform(0, np.pi, shape), rng.uniform(0, 2 * np.pi, shape)
    plane = rng.integers(channels, size=cells)
    y, x = np.mgrid[-8:9, -8:9]
    wave = 2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + phase
    envelope = np.exp(-(x**2 + y**2) / (2 * spread**2))
    pair = np.stack([envelope * np.cos(wave), envelope * np.sin(wave)])
    pair -= envelope * (pair.sum((-2, -1)) / envelope.sum((-2, -1)))[..., None, None]
    pair /= np.linalg.norm(pair, axis=(-2, -1), keepdims=True)
    filters = np.zeros((2, cells, channels, *pair.shape[2:]))
    filters[:, np.arange(cells), plane] = pair
    return filters.reshape(2 * cells, channels, *pair.shape[2:])
