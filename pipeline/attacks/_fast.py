"""A network in fewer bits for searching; what is found is judged by the network itself."""

from __future__ import annotations

import copy

import torch
from torch import nn


def reduced(module: nn.Module, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """A copy with batch normalisation folded into convolutions, channels last, and weights of fewer bits.

    Folding needs to see the network as a graph; where that fails, batch normalisation stays.

    Reads    module, in evaluation mode
    Returns  a copy of another type; float32 keeps the numbers up to rounding
    Source   Jacob et al. 2018, arXiv 1712.05877, section 3.2 (folding)
    """
    return _folded(module).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _folded(module: nn.Module) -> nn.Module:
    from torch.fx.experimental.optimization import fuse

    made = copy.deepcopy(module).eval()
    try:
        return fuse(made)
    except Exception:  # tracing runs the network's own code, which may fail in any way
        return made
