"""A network of dense layers with noise between them, as small studies of digits use."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from ._seeded import apart, number, positive

ACTIVATIONS: dict[str, Any] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "linear": nn.Identity}


def build(
    *,
    inputs: int = 784,
    widths: Sequence[int] = (256, 256, 256),
    classes: int = 10,
    activation: Literal["relu", "sigmoid", "tanh", "linear"] = "relu",
    dropout: Sequence[float] = (),
    input_dropout: float = 0.0,
    noise: Literal["bernoulli", "gaussian"] = "bernoulli",
    seed: int = 0,
) -> nn.Module:
    """Layers layer1, layer2, ... of units with an activation, each followed by noise, then a linear head.

    First weights are drawn after Glorot and Bengio 2010, uniformly; biases are 0. In evaluation mode there is
    no noise, so that a recording of layer1 is its activation.

    Reads    inputs, pixels times channels; widths, units of each layer; dropout of each layer (none: 0), and
             input_dropout of the pixels; noise, "bernoulli" for units that fall silent, or "gaussian": each
             unit is multiplied by a draw of mean 1 and variance p / (1 - p)
    Returns  a module (image, channel, y, x) → (image, class)
    Source   Srivastava et al. 2014, JMLR 15:1929 (both kinds of noise)
    >>> build(inputs=16, widths=(8, 8), classes=3, dropout=(0.1, 0.2))(torch.zeros(2, 1, 4, 4)).shape
    torch.Size([2, 3])
    """
    positive(inputs=inputs, classes=classes, **{f"widths[{k}]": width for k, width in enumerate(widths)})
    shares = [float(share) for share in dropout] or [0.0] * len(widths)
    if len(shares) != len(widths) or not all(0 <= share < 1 for share in (*shares, input_dropout)):
        told = f"{shares} for {len(widths)} layers, {input_dropout} for pixels"
        raise ValueError(f"dropout: {told}; give each a share from 0 to below 1")
    if activation not in ACTIVATIONS or noise not in ("bernoulli", "gaussian"):
        known = f"{', '.join(ACTIVATIONS)}; bernoulli, gaussian"
        raise ValueError(f"activation: {activation!r} with noise {noise!r}; known are {known}")
    noisy = nn.Dropout if noise == "bernoulli" else GaussianDropout
    parts: list[tuple[str, nn.Module]] = [("flat", nn.Flatten())]
    if input_dropout:
        parts.append(("input", noisy(input_dropout)))
    with apart(seed):
        for k, (before, width) in enumerate(zip((inputs, *widths), widths, strict=False)):
            layer = nn.Sequential(nn.Linear(before, width), ACTIVATIONS[activation](), noisy(shares[k]))
            parts.append((f"layer{k + 1}", layer))
        parts.append(("head", nn.Linear((inputs, *widths)[-1], classes)))
        return _glorot(nn.Sequential(OrderedDict(parts)), seed)


class GaussianDropout(nn.Module):
    """Each unit times a draw of mean 1 and standard deviation √(p / (1 - p)), while it is trained.

    >>> float(GaussianDropout(0.5)(torch.ones(10000)).std().round(decimals=1))
    1.0
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p:
            return x
        return x * (1 + math.sqrt(self.p / (1 - self.p)) * torch.randn_like(x))


def _glorot(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(number(seed))
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            drawn = torch.empty(layer.weight.shape, device="cpu")
            nn.init.xavier_uniform_(drawn, generator=generator)
            with torch.no_grad():
                layer.weight.copy_(drawn)
                layer.bias.zero_()
    return module
