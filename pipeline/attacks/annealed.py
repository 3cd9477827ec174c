"""Ascent whose step shrinks when nothing is gained: in a ball twice as wide, then in the ball itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import _sets
from ._rows import Best, climb, fresh, look, sided, streams
from .pgd import ascent, steepest


@sided
def annealed(
    objective: Callable[..., Tensor], x: Tensor, epsilon: float | Tensor, *, norm: str = "l2",
    steps: int = 20, wide_steps: int = 10, wide: float = 2.0, restarts: int = 1, shrink: float = 0.9,
    seed: int = 0,
) -> Tensor:  # fmt: skip
    """Ascent from random starts; each example keeps its best picture and steps on from there.

    A step is as long as the budget at first, and shrinks each time that it gains nothing. Every start climbs
    in a ball of `wide` budgets, is projected, and climbs in the ball. A displacement is searched in both
    directions apart, since at the clean picture it has no slope.

    Reads    objective; x (image, channel, y, x) in [0, 1]; epsilon, one or for each picture; steps in the
             ball, wide_steps before in the wide one (0: none); restarts; shrink, what is left of a step
    Returns  pictures in the ball and in [0, 1]; those of epsilon 0 are x, bit for bit. More steps in the
             ball, or restarts, begin with the same ones, so they are never weaker
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    ascent(norm, steps, restarts)
    if wide_steps < 0 or not wide >= 1 or not 0 < shrink < 1:
        raise ValueError(f"wide: {wide}, wide_steps: {wide_steps}, shrink: {shrink}; wanted 1 or more, 0 or "
                         "more, and a share between 0 and 1")  # fmt: skip
    budget, best = _sets.wide(epsilon, x), fresh(x)
    if not len(x):
        return best.x
    best.take(x, *look(objective, x))
    for restart in range(restarts):
        at = _sets.sample(x, wide * budget, norm, streams(x, seed, restart))
        if wide_steps:
            found = _ascend(objective, at, x, (wide * budget, budget), norm, wide_steps, shrink)
            at = found.x
        at = _sets.project(at, x, budget, norm)
        best.take(*_ascend(objective, at, x, (budget, budget), norm, steps, shrink))
    return best.x


def _ascend(
    objective: Callable[..., Tensor], at: Tensor, origin: Tensor, sizes: tuple[Tensor, Tensor], norm: str,
    steps: int, shrink: float,
) -> Best:  # fmt: skip
    """The best picture that steps reach in a ball; sizes: of the ball, and of the first step."""
    ball, size = sizes
    held = fresh(at)
    value, broken, slope = climb(objective, held.x)
    held.take(at, value, broken)
    for _ in range(steps):
        trial = _sets.project(held.x + size * steepest(slope, held.x, norm), origin, ball, norm)
        value, broken, there = climb(objective, trial)
        gained = held.take(trial, value, broken).reshape(size.shape)
        slope = torch.where(gained, there, slope)
        size = torch.where(gained, size, shrink * size)
    return held
