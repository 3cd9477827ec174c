"""The mean of several networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ._seeded import apart


def build(*, members: Sequence[Callable[..., nn.Module]], seed: int = 0) -> nn.Module:
    """Networks that see the same picture; what they give is averaged.

    Reads    members, {use, with} of what builds each
    Returns  a module (image, channel, y, x) → as a member; members are its layers "0", "1", ...
    Source   Lakshminarayanan, Pritzel and Blundell 2017, arXiv 1612.01474
    >>> from functools import partial
    >>> from pipeline.models import cnn
    >>> two = [partial(cnn.build, width=4, classes=3, seed=seed) for seed in (0, 1)]
    >>> build(members=two)(torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 3])
    """
    if not members or isinstance(members, str):
        raise ValueError("members: give one network at least")
    with apart(seed):
        return _Mean(*(member() for member in members))


class _Mean(nn.Module):
    def __init__(self, *members: nn.Module) -> None:
        super().__init__()
        for place, member in enumerate(members):
            self.add_module(str(place), member)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [member(x) for member in self.children()]
        shapes = {tuple(one.shape) for one in found}
        if len(shapes) > 1:
            raise ValueError(f"members: give {' and '.join(map(str, sorted(shapes)))}; wanted equal shapes")
        return torch.stack(found).mean(0)
