"""Gabor energy and colour on a grid: the classic model of early vision, nothing learnt and nothing drawn."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ._seeded import positive

LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
WAVELENGTH, SPREAD = 4.0, 2.0  # pixels at the finest scale; SD of the envelope
FLAT = 1e-4  # an amplitude below what one grey level of 256 at one pixel gives


def build(*, orientations: int = 8, scales: int = 4, cells: int = 8) -> nn.Module:
    """Energy of Gabor pairs by orientation and octave, and opponent colours, averaged in cells of a grid.

    Energy is the root of the sum of squares of an even and an odd filter on luminance; each coarser scale
    sees the picture at half the size. Colour is luminance, red - green and blue - yellow; grey pictures have
    the first alone.

    Reads    orientations in half a turn; scales, octaves from a wavelength of 4 pixels; cells, a side of the
             grid
    Returns  a module (image, 1 or 3 channels, y, x) → (image, feature), with layers energy and colour
    Source   Adelson and Bergen 1985, doi 10.1364/JOSAA.2.000284; Jones and Palmer 1987,
             doi 10.1152/jn.1987.58.6.1233
    >>> build(orientations=4, scales=2, cells=4)(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 176])
    """
    positive(orientations=orientations, scales=scales, cells=cells)
    return _Beside(energy=_Energy(orientations, scales, cells), colour=_Colour(cells))


def bank(orientations: int, wavelength: float, spread: float) -> np.ndarray:
    """Even and odd Gabor filters of mean 0 and equal norm, as (2, orientation, y, x)."""
    reach = int(np.ceil(3 * spread))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle = np.pi * np.arange(orientations)[:, None, None] / orientations
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength
    envelope = np.exp(-(x**2 + y**2) / (2 * spread**2))
    pair = np.stack([envelope * np.cos(phase), envelope * np.sin(phase)])
    pair -= envelope * pair.sum((-2, -1), keepdims=True) / envelope.sum()
    return np.asarray(pair / np.linalg.norm(pair, axis=(-2, -1), keepdims=True))


class _Beside(nn.Module):
    """Layers that see the same picture; what they give is joined."""

    def __init__(self, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in OrderedDict(layers).items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer(x).flatten(1) for layer in self.children()], 1)


class _Energy(nn.Module):
    def __init__(self, orientations: int, scales: int, cells: int) -> None:
        super().__init__()
        pair = bank(orientations, WAVELENGTH, SPREAD)
        self.register_buffer("filters", torch.from_numpy(pair.reshape(-1, 1, *pair.shape[2:])).float())
        self.scales, self.pool = scales, nn.AdaptiveAvgPool2d(cells)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey, found = _luminance(x), []
        filters = self.get_buffer("filters").to(x.dtype)
        reach = filters.shape[-1] // 2
        for scale in range(self.scales):
            if min(grey.shape[-2:]) < 2:
                raise ValueError(f"scales: {self.scales} halve the picture to nothing; {scale} fit")
            padded = functional.pad(grey, (reach,) * 4, mode="replicate")
            even, odd = functional.conv2d(padded, filters).chunk(2, 1)
            found.append(self.pool(_root(even.square() + odd.square())))
            grey = functional.avg_pool2d(grey, 2)
        return torch.cat(found, 1)


def _root(energy: torch.Tensor) -> torch.Tensor:
    """Its square root, made smooth where a flat patch has none: there its gradient would be rounding."""
    return (energy + FLAT**2).sqrt() - FLAT


class _Colour(nn.Module):
    def __init__(self, cells: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(cells)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = _luminance(x)
        if x.shape[1] == 1:
            return self.pool(grey)
        red, green, blue = x.split(1, 1)
        return self.pool(torch.cat([grey, red - green, blue - (red + green) / 2], 1))


def _luminance(x: torch.Tensor) -> torch.Tensor:
    if x.shape[1] not in (1, 3):
        raise ValueError(f"image: has {x.shape[1]} channels; wanted are 1 or 3")
    if x.shape[1] == 1:
        return x
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
