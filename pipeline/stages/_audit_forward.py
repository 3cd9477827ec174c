"""What forward passes alone give away: randomness, probabilities in place of logits, optimisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import _attack_plan

SAME = 1e-4  # SD of the outputs, that rounding may move them
SPAN = 88.0  # margins beyond this leave float32 once exponentiated
SUMS = "outputs sum to 1"
GRADIENTS = ("grad", "backward", "requires_grad_")


def randomness(module: nn.Module, x: Tensor) -> tuple[Tensor, float, str]:
    """What the network gives, and the largest difference of two passes in SD of the outputs.

    Reads    module and x; the third pass leaves half of the pictures without their neighbours
    Returns  outputs (image, output), the difference, and words where it comes from the neighbours. ValueError
             where the outputs are no rows of numbers
    """
    with torch.no_grad():
        first = _attack_plan.outputs(module, x, 2)[0]
        again, alone = module(x), module(x[: len(x) // 2])
    spread = first.std().clamp_min(torch.finfo(first.dtype).tiny)
    random = float((again - first).abs().max() / spread)
    mixed = float((alone - first[: len(alone)]).abs().max() / spread)
    if random > SAME or mixed <= SAME:
        return first, random, ""
    return first, mixed, "a picture's outputs depend on the others in its batch"


def probabilities(found: Tensor, classes: bool) -> tuple[float, str]:
    """The share of pictures whose outputs are probabilities, or too far apart to be exponentiated."""
    if found.shape[1] < 2:
        return 0.0, ""
    if bool(((found >= 0).all(1) & ((found.sum(1) - 1).abs() < 1e-3)).all()):
        return 1.0, SUMS
    wide = float((found.amax(1) - found.amin(1) > SPAN).double().mean()) if classes else 0.0
    return wide, "margins beyond float range" if wide else ""


def optimisation(module: nn.Module, x: Tensor) -> int:
    """How many gradients one forward pass takes, or how often it makes a graph that nobody asked for."""
    with torch.no_grad(), _Watch() as watch:
        module(x)
    return watch.count


class _Watch(TorchFunctionMode):
    """Counts calls that make gradients, and changes from a pass without a graph to one with it."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.made = 0, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        enabled = torch.is_grad_enabled()
        self.count += (enabled and not self.made) + (getattr(func, "__name__", "") in GRADIENTS)
        self.made = enabled
        return func(*args, **(kwargs or {}))
