"""Stages without a useful gradient, given one, so that what stands before them is attacked as well."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Through(nn.Module):
    """Forward: the stage. Backward: the identity, or what is near to the stage."""

    def __init__(self, stage: Callable[[Tensor], Tensor], near: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.stage, self.near = stage, near

    def forward(self, x: Tensor) -> Tensor:
        smooth = x if self.near is None else self.near(x)
        found = self.stage(x.detach())
        if found.shape != smooth.shape:
            told = f"gives shape {tuple(found.shape)} and its gradient {tuple(smooth.shape)}"
            raise ValueError(f"stage: {told}; give near, a smooth function of the same shape")
        return smooth + (found - smooth).detach()


def through(stage: Callable[[Tensor], Tensor], near: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """A stage that rounds, thresholds or compresses, with the gradient of a smooth one.

    Reads    stage, Tensor → Tensor; near, smooth and of the same shape (None: the identity)
    Returns  a module: put it before the network, as in nn.Sequential(through(torch.round), network)
    Source   Bengio, Léonard and Courville 2013, arXiv 1308.3432; Athalye, Carlini and Wagner 2018,
             arXiv 1802.00420 (backward pass differentiable approximation)
    >>> import torch
    >>> x = torch.tensor([0.2, 0.7], requires_grad=True)
    >>> y = through(torch.round)(x)
    >>> y.sum().backward(); y.tolist(), x.grad.tolist()
    ([0.0, 1.0], [1.0, 1.0])
    """
    return Through(stage, near)
