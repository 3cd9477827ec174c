"""Penalties of a training: which layers they look at, what they own, when they count and how much."""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from loaders.schema import nearest

from ._train_data import number

OWNED = "penalty"  # before the names of weights that are no part of the network
KEYS = ("penalty", "build", "layer", "layers", "relative", "steps", "epochs")


class Penalty(NamedTuple):
    """A penalty; `call` is made by `build` once features are known."""

    call: Callable[..., Any]
    layers: tuple[str, ...]
    several: bool = False
    build: bool = False
    relative: float = 0.0
    odd: bool = False
    epochs: int = 0

    def due(self, epoch: int, turn: int) -> bool:
        """Whether it counts in a turn, the number of which (the first is 0) is taken over all epochs."""
        return not (self.odd and turn % 2) and not (self.epochs and epoch >= self.epochs)

    def value(self, features: Mapping[str, Any], target: torch.Tensor | None, net: nn.Module) -> Any:
        if not self.layers:
            return self.call(net)
        seen = [features[name] for name in self.layers]
        return self.call(seen if self.several else seen[0], target)


def read(penalties: Mapping[str, Any] | None, net: nn.Module) -> dict[str, Penalty]:
    """What was told of penalties; ValueError for what is none, or for a layer that there is not."""
    made: dict[str, Penalty] = {}
    layers = {"output", *(name for name, _ in net.named_modules() if name)}
    for name, told in (penalties or {}).items():
        part = dict(told) if isinstance(told, Mapping) else {"penalty": told}
        build = "build" in part
        call = part.get("build" if build else "penalty")
        if set(part) - set(KEYS) or not callable(call) or (build and "penalty" in part):
            raise ValueError(f"penalties: {name!r} is {told!r}; wanted {{penalty: function, layer: name}}")
        asked = part.get("layers", [part["layer"]] if part.get("layer") else [])
        for layer in [asked] if isinstance(asked, str) else asked:
            if layer not in layers:
                raise ValueError(f"penalties: the model has no layer {layer!r}; {nearest(layer, layers)}")
        one = Penalty(call, tuple(asked), "layers" in part, build, **_amount(str(name), part))
        if isinstance(asked, str) or ("layers" in part and not asked) or (build and not asked):
            raise ValueError(f"penalties: {name!r} has layers {asked!r}; wanted a list of names")
        if "." in str(name):
            raise ValueError(f"penalties: {name!r} has a point in its name; leave it out")
        made[str(name)] = one
    return made


def _amount(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """How much a penalty counts, and when."""
    relative, steps, epochs = part.get("relative", 0.0), part.get("steps", "all"), part.get("epochs", 0)
    if not isinstance(relative, int | float) or not 0 <= relative < math.inf:
        raise ValueError(f"penalties: {name!r} has relative {relative!r}; wanted a number from 0 up")
    if steps not in ("all", "odd"):
        raise ValueError(f"penalties: {name!r} has steps {steps!r}; wanted all or odd")
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 0:
        raise ValueError(f"penalties: {name!r} has epochs {epochs!r}; wanted a whole number from 0 up")
    return {"relative": float(relative), "odd": steps == "odd", "epochs": epochs}


class Owned(nn.Module):
    """Weights that are trained beside the network: of penalties, and of terms (their logarithms)."""

    def __init__(self) -> None:
        super().__init__()
        self.log_weight: nn.Parameter | None = None

    def weighs(self, terms: int) -> None:
        self.log_weight = nn.Parameter(torch.zeros(terms))


def grown(
    asked: Mapping[str, Penalty], owned: Owned, features: Mapping[str, torch.Tensor],
    target: torch.Tensor | None, seed: int,
) -> dict[str, Penalty]:  # fmt: skip
    """The penalties with their weights, which from then on are among the owned."""
    made = dict(asked)
    for k, (name, one) in enumerate(asked.items()):
        call = one.call
        if one.build:
            call = _seeded(call, number(seed, 7, k))
            seen = [features[layer] for layer in one.layers]
            call = call(seen if one.several else seen[0], target)
            if not isinstance(call, nn.Module):
                raise ValueError(f"penalties: {name!r} built a {type(call).__name__}; wanted a module")
        elif isinstance(call, nn.Module):
            call = copy.deepcopy(call)
        if isinstance(call, nn.Module):
            _own(owned, name, call)
        made[name] = one._replace(call=call)
    return made


def _own(owned: Owned, name: str, module: nn.Module) -> None:
    try:
        owned.add_module(name, module)
    except KeyError:
        raise ValueError(f"penalties: {name!r} is a word of torch; name it otherwise") from None


def _seeded(build: Callable[..., Any], seed: int) -> Callable[..., Any]:
    bound = build.keywords if isinstance(build, functools.partial) else {}
    takes = "seed" in inspect.signature(build).parameters and "seed" not in bound
    return functools.partial(build, seed=seed) if takes else build


def joined(net: nn.Module, owned: nn.Module) -> nn.Module:
    """The network under its own names, and with them what else is trained; the weights are shared."""
    if not [*owned.state_dict()]:
        return net
    made = nn.Module()
    for name, weight in net.named_parameters(recurse=False):
        made.register_parameter(name, weight)
    for name, tensor in net.named_buffers(recurse=False):
        made.register_buffer(name, tensor, name not in net._non_persistent_buffers_set)
    for name, part in (*net.named_children(), (OWNED, owned)):
        if name in made._modules:
            raise ValueError(f"model: has a layer named {name!r}, as weights of penalties are; rename it")
        made.add_module(name, part)
    return made


def stored(owned: nn.Module) -> dict[str, Any]:
    """Variables for the weights that are no part of the network, with axes that say so."""
    made: dict[str, Any] = {}
    for path, tensor in owned.state_dict().items():
        if path == "log_weight":
            continue
        values, name = np.atleast_1d(tensor.detach().cpu().numpy()), f"{OWNED}.{path}"
        made[name] = ([f"{name}.axis{k}" for k in range(values.ndim)], values.copy(), {"units": "1"})
    return made


def weighed(
    terms: Mapping[str, torch.Tensor], penalties: Mapping[str, Penalty], strength: Mapping[str, float],
    learned: Mapping[str, float], owned: Owned | None, task: float,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Terms as they are added up: with their strength, and with what was learned or is relative to `task`.

    Source   Kendall et al. 2018, arXiv 1705.07115 (learned weights); Federer et al. 2020,
             doi 10.1016/j.neunet.2020.07.013 (relative)
    """
    made: dict[str, torch.Tensor] = {}
    for name, value in terms.items():
        strong = strength.get(name, 1.0)
        if name in learned and owned is not None and owned.log_weight is not None:
            log = owned.log_weight[[*learned].index(name)]
            value = learned[name] * torch.exp(-log) * value + log / 2
        elif name in penalties and penalties[name].relative:
            size = abs(float(value.detach()))
            strong *= penalties[name].relative * task / size if size else 0.0
        made[name] = value * strong
    return made


def logs(learned: Iterable[str], owned: Owned) -> dict[str, float]:
    """The logarithms of learned weights, by term."""
    if owned.log_weight is None:
        return {}
    return {name: float(value) for name, value in zip(learned, owned.log_weight.detach(), strict=True)}
