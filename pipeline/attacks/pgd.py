"""Steps along the gradient, projected back: FGSM, BIM, PGD and momentum, for L1, L2 and Linf."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import _sets
from ._rows import Objective, climb, fresh, look, pieces, sided, streams

SHARE = 0.02  # of the coordinates, that a step of L1 moves


@sided
def pgd(
    objective: Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf",
    steps: int = 40, step: float = 0.25, restarts: int = 1, momentum: float = 0.0,
    random_start: bool = True, drop: bool = False, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Projected gradient ascent: the best picture of all steps and restarts, for each example.

    More steps or restarts begin with the same ones, so they are never weaker. The clean picture is among
    them where it is the start (`random_start` False); there is no slope there for an objective that is lowest
    at it.

    Reads    objective; x (image, channel, y, x) in [0, 1]; epsilon, one or for each picture; step, of
             epsilon; momentum, the part of the last direction that is kept; drop, no more work on an example
             that is broken
    Returns  pictures in the ball and in [0, 1]; those of epsilon 0 are x, bit for bit
    Source   Madry et al. 2018, arXiv 1706.06083; Dong et al. 2018, arXiv 1710.06081 (momentum); Tramèr and
             Boneh 2019, arXiv 1904.13000 (the sparse step of L1)
    """
    ascent(norm, steps, restarts)
    budget = _sets.wide(epsilon, x)
    told = (norm, steps, step, restarts, momentum, random_start, drop, seed)
    found = [
        _climbed(piece, x[rows], budget[rows], *told) for piece, rows in pieces(objective, x)
    ]  # fmt: skip
    return torch.cat(found) if len(found) > 1 else found[0]


def _climbed(
    objective: Objective, x: Tensor, budget: Tensor, norm: str, steps: int, step: float, restarts: int,
    momentum: float, random_start: bool, drop: bool, seed: int,
) -> Tensor:  # fmt: skip
    draws, best = streams(x, seed), fresh(x)
    for restart in range(restarts if len(x) else 0):
        at = _sets.sample(x, budget, norm, draws) if random_start or restart else x
        rows = left(best.broken & drop)
        at, pace, inside = _around(at if rows is None else at[rows], x, budget, norm, rows)
        moving = torch.zeros_like(at) if momentum else at
        for k in range(steps if len(at) else 0):
            value, broken, slope = climb(objective, at, rows, shared=k == 0)
            best.take(at, value, broken, rows)
            if drop and bool(broken.any()):
                kept = (~broken).nonzero().flatten()
                if not len(kept):
                    at = at[kept]
                    break
                rows = kept if rows is None else rows[kept]
                slope, moving = slope[kept], moving[kept]
                at, pace, inside = _around(at[kept], x, budget, norm, rows)
            if momentum:
                slope = moving = momentum * moving + slope / length(slope, "l1")
            at = inside(_onward(at, slope, step * pace, norm))
        if len(at):
            best.take(at, *look(objective, at, rows), rows)
    return best.x


def _onward(at: Tensor, slope: Tensor, far: Tensor, norm: str) -> Tensor:
    """The pictures moved so far along the steepest direction."""
    if norm == "l2":
        pace = far / length(slope, "l2")
        return torch.addcmul(at, slope, pace.clamp_max_(torch.finfo(pace.dtype).max))
    return steepest(slope, at, norm).mul_(far).add_(at)


def _around(
    at: Tensor, x: Tensor, budget: Tensor, norm: str, rows: Tensor | None
) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """The pictures of some rows, their budgets, and the way back into their balls."""
    origin, ball = (x, budget) if rows is None else (x[rows], budget[rows])
    return at, ball, _sets.inside(origin, ball, norm)


def fgsm(
    objective: Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf", seed: int = 0
) -> Tensor:
    """One step of the whole budget from the clean picture; the picture itself where that is no better.

    Reads    as `pgd`
    Returns  pictures in the ball and in [0, 1]
    Source   Goodfellow, Shlens and Szegedy 2015, arXiv 1412.6572
    """
    return pgd(objective, x, epsilon, norm=norm, steps=1, step=1.0, random_start=False, seed=seed)


def bim(
    objective: Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf",
    steps: int = 10, step: float = 0.25, momentum: float = 0.0, drop: bool = False, seed: int = 0,
) -> Tensor:  # fmt: skip
    """PGD that starts at the clean picture; with momentum 1 it is MI-FGSM.

    Reads    as `pgd`
    Returns  pictures in the ball and in [0, 1]
    Source   Kurakin, Goodfellow and Bengio 2017, arXiv 1607.02533; Dong et al. 2018, arXiv 1710.06081
    """
    return pgd(
        objective, x, epsilon, norm=norm, steps=steps, step=step, momentum=momentum, random_start=False,
        drop=drop, seed=seed,
    )  # fmt: skip


def ascent(norm: str, steps: int, restarts: int) -> None:
    """ValueError where the numbers of a search by gradients are out of range."""
    if _sets.known(norm) == "l0":
        raise ValueError('norm: a step along the gradient has no "l0"; choose linf, l2 or l1')
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps: {steps}, in {restarts} restarts; wanted one at least")


def steepest(slope: Tensor, at: Tensor, norm: str) -> Tensor:
    """The direction of norm 1 that raises a number of this slope most; 0 where the slope is.

    For L1 it is shared by the few coordinates of the largest slopes, which gets ahead faster than one does.
    """
    if norm == "linf":
        return slope.sign()
    if norm == "l2":
        return slope / length(slope, "l2")
    count = max(1, round(SHARE * slope.shape[1:].numel()))
    return sparse(slope, at, torch.full((len(slope),), count, device=slope.device))


def sparse(slope: Tensor, at: Tensor, count: Tensor) -> Tensor:
    """The signs of the `count` largest slopes of every row, of L1 norm 1, where [0, 1] leaves room."""
    if not len(slope):
        return slope
    flat = free(slope, at).flatten(1)
    height = flat.abs()
    least = height.topk(int(count.max()), dim=1).values.gather(1, count[:, None] - 1)
    chosen = torch.where(height >= least, flat.sign(), 0)
    return (chosen / chosen.abs().sum(1, keepdim=True).clamp_min(1)).reshape(slope.shape)


def free(slope: Tensor, at: Tensor) -> Tensor:
    """The slope where [0, 1] leaves room to follow it, else 0."""
    return torch.where(((slope > 0) & (at < 1)) | ((slope < 0) & (at > 0)), slope, 0)


def length(slope: Tensor, norm: str) -> Tensor:
    """The norm of each row as a divisor (image, 1, 1, ...): never 0."""
    found = _sets.size(slope, norm).clamp_min(torch.finfo(slope.dtype).tiny)
    return found.reshape(len(slope), *(1,) * (slope.ndim - 1))


def left(broken: Tensor) -> Tensor | None:
    """The rows that are not broken; None where that is all of them."""
    return (~broken).nonzero().flatten() if bool(broken.any()) else None
