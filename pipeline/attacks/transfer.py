"""Perturbations found on one network and judged on another: transfer from a surrogate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from . import _rows, pgd


class Through(NamedTuple):
    """An objective whose numbers are the target's and whose gradients are the surrogate's."""

    target: _rows.Objective
    surrogate: _rows.Objective

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        return self.judged(x, rows)[0]

    def judged(self, x: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The target's numbers, and which examples it calls broken; gradients, if any, of the surrogate."""
        place = torch.arange(len(x), device=x.device) if rows is None else rows
        with torch.no_grad():
            value, broken = _rows.judged(self.target, x, place)
        if torch.is_grad_enabled():
            guide = self.surrogate(x, place)
            value = value + (guide - guide.detach())
        return value, broken

    @property
    def broken(self) -> Any:
        """What says that an example is broken; None where nothing does."""
        return getattr(self.target, "broken", None)

    @property
    def sides(self) -> tuple[Through, ...]:
        """The objective of each side, where the target's has several."""
        both = zip(_rows.sides(self.target), _rows.sides(self.surrogate), strict=True)
        apart = tuple(Through(*pair) for pair in both)
        return apart if len(apart) > 1 else ()


def through(
    module: nn.Module, x: Tensor, *, surrogate: nn.Module | Callable[[], nn.Module],
    objective: Callable[..., _rows.Objective], **numbers: Any,
) -> Through:  # fmt: skip
    """An objective on the network whose gradients come from a surrogate: any search of gradients transfers.

    Reads    module, the target, of which only values are asked; x, the clean pictures; surrogate, a network
             or what builds one; objective, built on both with the same numbers (a label that is not given is
             the target's answer to the clean picture)
    Returns  value(x, rows=None) of the target
    Source   Papernot et al. 2017, arXiv 1602.02697; Cheng et al. 2019, arXiv 1906.06919
    """
    other = surrogate if isinstance(surrogate, nn.Module) else surrogate()
    if other is not surrogate:
        other.eval().requires_grad_(False)
    known = inspect.signature(objective).parameters
    if "label" in known and numbers.get("label") is None and numbers.get("target") is None and len(x):
        with torch.no_grad():
            numbers["label"] = module(x).argmax(1)
    return Through(objective(module, x, **numbers), objective(other, x, **numbers))


def blind(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf",
    search: Callable[..., Tensor] = pgd.pgd, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Pure transfer: the search runs on the surrogate alone, and never asks the target.

    Reads    objective, as `through` made it; search, any, on the surrogate's number
    Returns  pictures in the ball, the surrogate's best, whatever the target makes of them
    Source   Papernot et al. 2016, arXiv 1605.07277
    """
    told = {"seed": seed} if "seed" in inspect.signature(search).parameters else {}
    if "norm" in inspect.signature(search).parameters:
        told["norm"] = norm  # type: ignore[assignment]
    return search(_alone(objective), x, epsilon, **told)


def _alone(objective: Any) -> Any:
    if isinstance(objective, _rows.Fixed):
        return objective._replace(objective=_alone(objective.objective), forwards=None, gradients=None)
    if isinstance(objective, _rows.Part):
        return objective._replace(objective=_alone(objective.objective))
    if not isinstance(objective, Through):
        raise ValueError("objective: has no surrogate; build it with pipeline.attacks.transfer.through")
    return objective.surrogate
