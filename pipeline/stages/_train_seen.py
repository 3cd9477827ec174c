"""The network as those see it who train it: pictures in [0, 1] in, answers and features of layers out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from . import _train_penalties
from ._layers import chosen
from ._pictures import normalised
from ._train_penalties import Owned


class _FarEnough(Exception):
    """Ends a forward pass at the last layer that is looked at."""


class Seen(nn.Module):
    """The network as tasks see it: pictures in [0, 1] in, one forward pass for all who ask about the same."""

    def __init__(
        self, net: nn.Module, mean: Sequence[float], std: Sequence[float], layers: Sequence[str],
        frozen: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__()
        self.net, self.mean, self.std = net, tuple(mean), tuple(std)
        self.frozen = [*chosen(net, frozen).values()] if frozen else []
        self.features: dict[str, torch.Tensor] = {}
        self.given: torch.Tensor | None = None
        self.answer: Any = None
        self.layout = torch.contiguous_format
        self.owned = Owned()
        self.calls = self.fired = self.left = 0  # of tapped layers: so far, in a pass, until it may end
        for name in layers:
            chosen(net, [name])[name].register_forward_hook(functools.partial(self._keep, name))
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Seen:
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, x: torch.Tensor) -> Any:
        if x is self.given:
            return self.answer
        shown = normalised(x, self.mean, self.std).contiguous(memory_format=self.layout)
        try:
            answer = self.net(shown)
        except (RuntimeError, TypeError, IndexError, ValueError) as error:
            why = f"refused pictures of shape {tuple(x.shape)}: {' '.join(str(error).split())[:200]}"
            raise ValueError(f"model: {why}; give size, another batch, or a model for such") from error
        self.given, self.answer = x, answer
        return answer

    def forget(self) -> None:
        self.given = self.answer = None
        self.calls = 0
        self.features.clear()

    def tapped(self, x: torch.Tensor) -> None:
        """Goes through the network as far as the last layer that is looked at."""
        self.left = self.fired
        with suppress(_FarEnough):
            self(x)
        self.left = 0

    @property
    def whole(self) -> nn.Module:
        """The network and what else is trained."""
        return _train_penalties.joined(self.net, self.owned)

    def _keep(self, name: str, layer: nn.Module, given: Any, output: Any) -> None:
        self.features[name] = output
        self.calls += 1
        if self.left:
            self.left -= 1
            if not self.left:
                raise _FarEnough


def seen(
    net: nn.Module, x: torch.Tensor, mean: Sequence[float], std: Sequence[float], layers: Sequence[str] = (),
    frozen: Sequence[str] = (),
) -> Seen:  # fmt: skip
    """The network with its channels last in memory, where it bears that: it is faster so."""
    made = Seen(net, mean, std, layers, frozen)
    made.eval()
    made.layout = torch.channels_last
    laid(net, made.layout)
    try:
        with torch.no_grad():
            made(x[:1].to(next(iter(net.state_dict().values())).device))
        made.fired = made.calls
    except ValueError:  # a view across axes, or a mistake that shows again below
        made.layout = torch.contiguous_format
        laid(net, made.layout)
    made.forget()
    return made


def laid(net: nn.Module, layout: torch.memory_format) -> None:
    """Weights of convolutions in that order in memory."""
    move: Any = net.to  # its annotations do not know what it takes
    move(memory_format=layout)
