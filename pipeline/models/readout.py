"""A convolutional core and, for each neuroid, the features at one place of it: trained end to end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from ._seeded import apart, initialised, positive
from .predictor import features

REACH, SPREAD = 0.3, 0.3  # of first positions (uniform) and their SD, where half the picture is 1
LEAST = 1e-4  # of the level, so that no rate is 0


def build(
    *,
    neuroids: int,
    channels: int = 3,
    width: int = 16,
    depth: int = 5,
    core: Callable[..., nn.Module] | None = None,
    layer: str = "output",
    units: int = 0,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    levels: Sequence[float] = (),
    seed: int = 0,
) -> nn.Module:
    """Responses above 0: level x (ELU(features at a place x weights + bias) + 1).

    Each neuroid has a place in the picture, drawn from its own Gaussian while it is trained and the mean of
    that afterwards, and weights over channels. Its level, the mean response say, is not trained.

    Reads    neuroids, how many; channels of the pictures; width, channels of the core's `depth` convolutions,
             each with batch normalisation and ELU, the first two halving the picture; or core, {use, with} of
             another, with its layer and the `units`, channels of that layer; levels of the neuroids (none:
             1); size, mean, std as `predictor.build`
    Returns  a module (image, channel, y, x) → (image, neuroid), with layers core, readout
    Source   Lurz et al. 2021, doi 10.1101/2020.10.05.326256 (ICLR; the readout); Sinz et al. 2018,
             doi 10.1101/452672; Klindt et al. 2017, arXiv 1711.02653
    >>> build(neuroids=7, width=4)(torch.zeros(3, 3, 32, 32)).shape
    torch.Size([3, 7])
    """
    positive(neuroids=neuroids, channels=channels, width=width, depth=depth)
    if core is not None:
        positive(units=units)
    with apart(seed):
        network = _stack(channels, width, depth) if core is None else core()
        front = features(network, layer=layer, size=size, mean=mean, std=std)
        if core is None:
            initialised(front, seed)
        maps = width if core is None else units
        return nn.Sequential(OrderedDict(core=front, readout=_Gaussian(maps, neuroids, levels)))


def sparsity(module: nn.Module) -> torch.Tensor:
    """Mean absolute weight of the readout, as a penalty."""
    return module.get_parameter("readout.weight").abs().mean()


def smoothness(module: nn.Module) -> torch.Tensor:
    """Laplacian of the first layer's filters, squared, relative to the filters, as a penalty.

    Source   Sinz et al. 2018, doi 10.1101/452672
    """
    filters = next(part.weight for part in module.modules() if isinstance(part, nn.Conv2d))
    kernel = filters.new_tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])
    flat = filters.flatten(0, 1)[:, None]
    bent = functional.conv2d(flat, kernel[None, None], padding=1).square().sum((1, 2, 3))
    return (bent / flat.square().sum((1, 2, 3)).clamp_min(1e-12)).mean()


def _stack(channels: int, width: int, depth: int) -> nn.Sequential:
    layers: list[tuple[str, nn.Module]] = []
    for k in range(depth):
        before, kernel = (channels, 7) if k == 0 else (width, 3)
        conv = nn.Conv2d(before, width, kernel, 2 if k < 2 else 1, kernel // 2, bias=False)
        layers.append((f"conv{k + 1}", nn.Sequential(conv, nn.BatchNorm2d(width), nn.ELU())))
    return nn.Sequential(OrderedDict(layers))


class _Gaussian(nn.Module):
    def __init__(self, channels: int, neuroids: int, levels: Sequence[float]) -> None:
        super().__init__()
        if len(levels) not in (0, neuroids) or not all(level > 0 for level in levels):
            raise ValueError(f"levels: {len(levels)} for {neuroids} neuroids; give one above 0 for each")
        self.place = nn.Parameter(torch.empty(neuroids, 2).uniform_(-REACH, REACH))
        self.spread = nn.Parameter(SPREAD * torch.eye(2).repeat(neuroids, 1, 1))
        self.weight = nn.Parameter(torch.randn(neuroids, channels) / channels)
        self.bias = nn.Parameter(torch.zeros(neuroids))
        self.register_buffer("level", torch.tensor([*levels]) if levels else torch.ones(neuroids))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 4 or x.shape[1] != self.weight.shape[1]:
            told = f"gives {tuple(x.shape[1:])}, and the readout wants {self.weight.shape[1]} maps"
            raise ValueError(f"layer: {told}; name a convolutional layer, and its channels as units")
        place = self.place.expand(len(x), -1, -1)
        if self.training:
            drawn = torch.randn_like(place)
            place = place + torch.einsum("qij,nqj->nqi", self.spread, drawn)
        found = functional.grid_sample(
            x, place[:, :, None].clamp(-1, 1), padding_mode="border", align_corners=False
        )
        driven = torch.einsum("ncq,qc->nq", found[..., 0], self.weight) + self.bias
        return self.get_buffer("level") * (functional.elu(driven) + (1 + LEAST))
