"""A layer of a network and a linear map from its units to the responses of neuroids."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from loaders.schema import nearest

from ._seeded import apart, initialised, positive


def build(
    *,
    core: Callable[..., nn.Module],
    units: int,
    neuroids: int,
    components: int,
    layer: str = "output",
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    seed: int = 0,
) -> nn.Module:
    """What neuroids respond: readout(latent(core(picture))), each linear but the core.

    All neuroids see the picture through the `components` of latent alone: gradients of these, times the
    weights of readout, are the gradients of all neuroids. Put into it by `pipeline.stages.encode.fit`.

    Reads    core, {use, with} of what builds the network; layer, whose units are mapped ("output": what the
             network returns); units, their number; size, pixels a side (bilinear); mean and std of each
             channel, removed, so that pictures are given in [0, 1]
    Returns  a module (image, channel, y, x) → (image, neuroid), with layers core, latent, readout
    Source   Yamins et al. 2014, doi 10.1073/pnas.1403112111
    >>> from functools import partial
    >>> from pipeline.models import cnn
    >>> net = build(core=partial(cnn.build, width=4), layer="conv3", units=64, neuroids=7, components=2)
    >>> x = torch.zeros(3, 3, 16, 16)
    >>> net(x).shape, net[:2](x).shape
    (torch.Size([3, 7]), torch.Size([3, 2]))
    """
    positive(units=units, neuroids=neuroids, components=components)
    parts: list[tuple[str, nn.Module]] = [
        ("latent", _Latent(units, components)), ("readout", nn.Linear(components, neuroids))
    ]  # fmt: skip
    initialised(nn.Sequential(OrderedDict(parts)), seed)
    with apart(seed):
        front = features(core(), layer=layer, size=size, mean=mean, std=std)
    return nn.Sequential(OrderedDict([("core", front), *parts]))


def features(
    network: nn.Module,
    *,
    layer: str = "output",
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> nn.Module:
    """The units of one layer as a network of its own; what only later layers need is dropped if it can be.

    Reads    network; the rest as `build`
    Returns  a module (image, channel, y, x) → (image, *unit); ValueError with the nearest right name
    """
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise ValueError(f"std: {list(std)} for mean {list(mean)}; wanted as many, and above 0")
    known = dict(network.named_modules())
    if layer not in known and layer != "output":
        names = [name for name in known if name]
        raise ValueError(f"layer: the model has no layer {layer!r}; {nearest(layer, [*names, 'output'])}")
    layer = "" if layer not in known else layer
    return _Features(_cut(network, layer), layer, size, mean, std)


class _Features(nn.Module):
    def __init__(
        self,
        network: nn.Module,
        layer: str,
        size: int | None,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.network, self.layer, self.size = network, layer, size
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.size is not None and x.shape[-2:] != (self.size, self.size):
            x = functional.interpolate(x, (self.size, self.size), mode="bilinear", antialias=True)
        if self.get_buffer("mean").numel():
            x = (x - self.get_buffer("mean").to(x)) / self.get_buffer("std").to(x)
        found: Any = None

        def keep(layer: nn.Module, given: Any, output: Any) -> None:
            nonlocal found
            found = output

        handle = self.network.get_submodule(self.layer).register_forward_hook(keep)
        try:
            self.network(x)
        finally:
            handle.remove()
        while isinstance(found, (tuple, list)) and found:
            found = found[0]
        if not isinstance(found, torch.Tensor) or len(found) != len(x):
            raise ValueError(f"layer: {self.layer!r} gives no row a picture; name another")
        return found


class _Latent(nn.Linear):
    """Units, less their mean over the pictures that the map was fitted to, in fewer directions."""

    def __init__(self, units: int, components: int) -> None:
        super().__init__(units, components, bias=False)
        self.register_buffer("centre", torch.zeros(units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        if x.shape[1] != self.in_features:
            why = f"{x.shape[1]} units for pictures of this size, and the map is of {self.in_features}"
            raise ValueError(f"image: gives {why}; resize the pictures, or give size")
        return super().forward(x - self.get_buffer("centre"))


def _cut(network: nn.Module, layer: str) -> nn.Module:
    """The network up to a layer, where it is a plain sequence; the same weights, not copied."""
    first, _, rest = layer.partition(".")
    if not layer or type(network) is not nn.Sequential:
        return network
    kept = []
    for name, part in network.named_children():
        kept.append((name, part if name != first else _cut(part, rest)))
        if name == first:
            break
    return nn.Sequential(OrderedDict(kept))
