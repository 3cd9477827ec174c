"""A hidden population of simulated sites: units of a network's layer, mixed and rectified into spike rates.

An attacker may only query it with noise; whoever simulates knows the rates, and so the truth.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from ._seeded import apart, number, positive
from .predictor import features

KINDS = ("mixed", "unit")


def build(
    *,
    core: Callable[..., nn.Module],
    units: int,
    neuroids: int = 20,
    layer: str = "output",
    inputs: int = 16,
    kind: str = "mixed",
    rate: float = 5.0,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    seed: int = 0,
) -> nn.Module:
    """Mean spike counts of sites, each of which sees a few units of one layer, drawn at random.

    "mixed": rate * softplus(1 + (drive - level) / spread), where drive is a sum of `inputs` units with normal
    weights. "unit": rate * unit / level, one unit each, rectified: a held-out network's units as sites.
    `pipeline.stages.days.teacher` sets level and spread, so that drives have mean 0 and SD 1 over pictures.

    Reads    core, {use, with} of what builds the network; layer, whose units are seen, and their number
             `units`; rate, spikes of a presentation; size, mean, std, as `predictor.build`
    Returns  a module (image, channel, y, x) → (image, neuroid), counts expected, with layers core, sites
    >>> from functools import partial
    >>> from pipeline.models import cnn
    >>> net = build(core=partial(cnn.build, width=4), layer="conv3", units=64, neuroids=7)
    >>> net(torch.zeros(3, 3, 16, 16)).shape
    torch.Size([3, 7])
    """
    positive(units=units, neuroids=neuroids, inputs=inputs)
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r}; use one of {', '.join(KINDS)}")
    if not 0 < rate < float("inf"):
        raise ValueError(f"rate: {rate}; wanted spikes of a presentation, above 0")
    if kind == "unit" and neuroids > units:
        raise ValueError(f"neuroids: {neuroids} of {units} units; wanted no more sites than units")
    with apart(seed):
        front = features(core(), layer=layer, size=size, mean=mean, std=std)
    generator = torch.Generator().manual_seed(number(seed))
    if kind == "unit":
        place = torch.randperm(units, generator=generator)[:neuroids, None]
        weight = torch.ones(neuroids, 1)
    else:
        many = min(inputs, units)
        rows = [torch.randperm(units, generator=generator)[:many] for _ in range(neuroids)]
        place, weight = torch.stack(rows), torch.empty(neuroids, many).normal_(generator=generator)
    sites = _Sites(place, weight, kind, rate)
    return nn.Sequential(OrderedDict([("core", front), ("sites", sites)]))


class _Sites(nn.Module):
    def __init__(self, place: torch.Tensor, weight: torch.Tensor, kind: str, rate: float) -> None:
        super().__init__()
        self.kind, self.rate = kind, rate
        self.register_buffer("place", place)
        self.register_buffer("weight", weight)
        self.register_buffer("level", torch.full((len(place),), float(kind == "unit")))
        self.register_buffer("spread", torch.ones(len(place)))

    def drive(self, x: torch.Tensor) -> torch.Tensor:
        """What each site sums (image, neuroid) of the units (image, *unit)."""
        return (x.flatten(1)[:, self.get_buffer("place")] * self.get_buffer("weight")).sum(-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drive, level, spread = self.drive(x), self.get_buffer("level"), self.get_buffer("spread")
        if self.kind == "unit":
            return self.rate * functional.relu(drive / level)
        return self.rate * functional.softplus(1 + (drive - level) / spread)
