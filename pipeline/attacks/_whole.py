"""All that is attacked: resizing, normalisation and network as one function of pictures in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Whole(nn.Module):
    """Pictures in [0, 1] → outputs, averaged over draws of a randomised network."""

    def __init__(
        self, module: nn.Module, size: int | None, mean: Sequence[float], std: Sequence[float], draws: int,
        batch: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module, self.size, self.draws, self.batch = module, size, draws, batch
        sample = next((p for p in module.state_dict().values() if p.is_floating_point()), None)
        self.dtype = None if sample is None else sample.dtype
        device = None if sample is None else sample.device
        shift = torch.tensor(mean, device=device)[:, None, None] if len(mean) else None
        self.shift: Tensor | None = shift
        self.scale = torch.tensor(std, device=device)[:, None, None] if len(std) else None
        self.training = module.training

    def forward(self, x: Tensor) -> Any:
        if not self.batch or torch.is_grad_enabled():
            return self._passed(x)
        found = []
        for start in range(0, max(len(x), 1), self.batch):
            some = x[start : start + self.batch]
            filled = torch.cat([some, some.new_zeros(self.batch - len(some), *some.shape[1:])])
            found.append(self._passed(filled)[: len(some)])
        return torch.cat(found)

    def _passed(self, x: Tensor) -> Any:
        if self.size is not None and x.shape[-2:] != (self.size, self.size):
            shape = (self.size, self.size)
            x = nn.functional.interpolate(x, shape, mode="bilinear", antialias=True).clamp(0, 1)
        if self.shift is not None and self.scale is not None:
            x = (x - self.shift) / self.scale
        x = x if self.dtype is None else x.to(self.dtype)
        outputs = self.module(x)
        for _ in range(self.draws - 1):
            outputs = outputs + self.module(x)
        outputs = outputs / self.draws if self.draws > 1 else outputs
        low = isinstance(outputs, Tensor) and outputs.dtype in (torch.bfloat16, torch.float16)
        return outputs.float() if low else outputs


def whole(
    module: nn.Module, size: int | None = None, mean: Sequence[float] = (), std: Sequence[float] = (),
    draws: int = 1, batch: int = 0,
) -> nn.Module:  # fmt: skip
    """The network with its preprocessing inside, so that an attack sees all of it.

    Reads    module; size, pixels a side (bilinear); mean and std of each channel, removed; draws, forward
             passes of a randomised network whose outputs are averaged, and so their gradients; batch, rows
             of every pass without gradient, filled up (0: as many as there are)
    Returns  a module of pictures in [0, 1]; it shares the weights
    Source   Athalye et al. 2018, arXiv 1802.00420 (expectation over transformation)
    """
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise ValueError(f"std: {list(std)} for mean {list(mean)}; wanted as many, and above 0")
    if draws < 1:
        raise ValueError(f"draws: {draws}; wanted one at least")
    return Whole(module, size, mean, std, draws, batch)


@contextmanager
def still(module: nn.Module) -> Iterator[nn.Module]:
    """The module in evaluation mode with its parameters frozen; both are as they were afterwards."""
    training = [part for part in module.modules() if part.training]
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        module.eval()
        for parameter in learning:
            parameter.requires_grad_(False)
        yield module
    finally:
        for part in training:
            part.training = True
        for parameter in learning:
            parameter.requires_grad_(True)
