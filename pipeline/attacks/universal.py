"""One perturbation for all pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _rows, _sets, pgd


def universal(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf", steps: int = 40,
    step: float = 0.3, restarts: int = 1, seed: int = 0,
) -> Tensor:  # fmt: skip
    """The one pattern that, added to every picture, raises the numbers of all of them most.

    The pattern has norm 1 and is scaled by each picture's epsilon. A step follows the mean gradient over the
    pictures that are not yet broken (of all, once none is left, or where nothing is ever broken). The best
    pattern breaks most pictures, and has the highest mean value among those.

    Every row depends on all pictures: the search must be given them all at once, cannot be cut into blocks,
    and is resumed by beginning again, to the same bytes.

    Reads    x (image, channel, y, x), all pictures; norm, linf, l2 or l1; step, of the pattern's norm
    Returns  pictures in the ball: x plus epsilon times the pattern, clipped to [0, 1]
    Source   Moosavi-Dezfooli et al. 2017, arXiv 1610.08401; Shafahi et al. 2020, arXiv 1811.11304
    """
    pgd.ascent(norm, steps, restarts)
    budget = _sets.wide(epsilon, x)
    rows = (budget.flatten() > 0).nonzero().flatten()
    if not len(rows):
        return x.detach().clone()
    blank = torch.zeros_like(x[:1])
    unit, best, highest = torch.ones_like(budget[:1]), blank, (-1.0, -torch.inf)
    for restart in range(restarts):
        pattern = _ball(_rows.drawn(_rows.streams(blank, seed, restart), blank) * 2 - 1, unit, norm)
        for done in range(steps + 1):
            at = _sets.project(x[rows] + budget[rows] * pattern, x[rows], budget[rows], norm)
            value, broken, slope = _rows.climb(objective, at, rows)
            score = (float(broken.sum()), float(value.mean()))
            if score > highest:
                best, highest = pattern, score
            if done == steps:
                break
            asked = ~broken if bool((~broken).any()) else torch.ones_like(broken)
            way = (slope * budget[rows])[asked].mean(0, keepdim=True)
            pattern = _ball(pattern + step * pgd.steepest(way, pattern / 2 + 0.5, norm), unit, norm)
    return _sets.project(x + budget * best, x, budget, norm)


universal.together = True  # type: ignore[attr-defined]  # it is given all pictures at once
universal.control = True  # type: ignore[attr-defined]  # its pictures are taken as they are


def _ball(pattern: Tensor, unit: Tensor, norm: str) -> Tensor:
    """The pattern within the ball of norm 1 around 0."""
    half = torch.full_like(pattern, 0.5)
    return 2 * (_sets.project(half + pattern / 2, half, unit / 2, norm) - half)
