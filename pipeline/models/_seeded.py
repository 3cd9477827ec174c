"""First weights that depend on a seed and on nothing else; the global generator stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def apart(seed: int) -> Iterator[None]:
    """Whatever draws from torch's global generator meanwhile draws from `seed`, and leaves no trace."""
    device = torch.get_default_device()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(number(seed))
        yield


def number(seed: int) -> int:
    """A seed of 63 bits; near seeds do not give near streams."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) >> 1


def initialised(module: nn.Module, seed: int) -> nn.Module:
    """The module with weights after He et al. 2015 (doi 10.1109/ICCV.2015.123), biases 0."""
    generator = torch.Generator().manual_seed(number(seed))
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            drawn = torch.empty(layer.weight.shape, device="cpu")
            nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
            with torch.no_grad():
                layer.weight.copy_(drawn)
                if layer.bias is not None:
                    layer.bias.zero_()
    return module


def positive(**numbers: int) -> None:
    """ValueError names the first that is not a whole number above 0."""
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: {value!r}; wanted a whole number above 0")
