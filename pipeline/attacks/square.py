"""Searches that see nothing but the value: random squares (Square attack) and plain random steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from loaders.schema import nearest

from . import _rows, _sets, _windows


class _Plan(NamedTuple):
    first: Callable[[Tensor, Tensor, list[torch.Generator]], Tensor]  # (x, budget, streams)
    propose: Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]  # (best, x, budget, drawn, query)
    numbers: int  # drawn for each query
    queries: int
    drop: bool


@torch.no_grad()
def square(
    objective: _rows.Objective,
    x: Tensor,
    epsilon: float | Tensor,
    *,
    norm: str = "linf",
    queries: int = 1000,
    restarts: int = 1,
    area: float = 0.8,
    horizon: int = 0,
    drop: bool = False,
    seed: int = 0,
) -> Tensor:
    """Square attack: a window of the picture is proposed anew, and kept where the value rises.

    Each picture has windows of its own. Any objective will do: no gradient is taken.

    Reads    x (image, channel, y, x); norm, linf or l2; queries of every restart, the clean picture's
             among them; area, the first windows' share of the picture; horizon, queries after which they
             are smallest (0: `queries`; with one number for both, a longer search goes on where a shorter
             one ended); drop, leave a picture once it is broken
    Returns  pictures in the ball, the best of all queries
    Source   Andriushchenko et al. 2020, arXiv 1912.00049, algorithms 1 to 3
    """
    _check(norm, ("linf", "l2"), queries, restarts)
    if not 0 < area <= 1:
        raise ValueError(f"area: {area}; wanted a share above 0, 1 at most")
    side = partial(_windows.side, area=area, horizon=horizon or queries, shape=x.shape[-2:])
    planes = x.shape[1]
    if norm == "linf":
        plan = _Plan(_windows.stripes, partial(_windows.flat, side=side), 2 + planes, queries, drop)
    else:
        plan = _Plan(_windows.tiles, partial(_windows.energy, side=side), 5 + planes, queries, drop)
    return _searched(objective, x, epsilon, plan, restarts, seed)


@torch.no_grad()
def random(
    objective: _rows.Objective,
    x: Tensor,
    epsilon: float | Tensor,
    *,
    norm: str = "linf",
    queries: int = 1000,
    restarts: int = 1,
    step: float = 0.2,
    drop: bool = False,
    seed: int = 0,
) -> Tensor:
    """Plain random search: a random step from the best picture so far is kept where the value rises.

    Reads    x (image, channel, y, x); norm, linf, l2 or l1; queries of every restart, the clean picture's
             among them; step, a share of epsilon; drop, leave a picture once it is broken
    Returns  pictures in the ball, the best of all queries
    Source   Rastrigin 1963; the baseline of Andriushchenko et al. 2020, arXiv 1912.00049
    """
    _check(norm, ("linf", "l2", "l1"), queries, restarts)
    if not step > 0:
        raise ValueError(f"step: {step}; wanted a share of epsilon above 0")
    plan = _Plan(
        partial(_anywhere, norm=norm), partial(_step, norm=norm, step=step), x[:1].numel(), queries, drop
    )
    return _searched(objective, x, epsilon, plan, restarts, seed)


def _check(norm: str, known: tuple[str, ...], queries: int, restarts: int) -> None:
    if norm not in known:
        raise ValueError(f"norm: {norm!r}; {nearest(norm, known)}")
    if queries < 1:
        raise ValueError(f"queries: {queries}; wanted one at least")
    if restarts < 1:
        raise ValueError(f"restarts: {restarts}; wanted one at least")


def _searched(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, plan: _Plan, restarts: int, seed: int
) -> Tensor:
    budget, best = _sets.wide(epsilon, x), _rows.fresh(x)
    best.take(x, *_rows.look(objective, x))
    for restart in range(restarts):
        open_ = (budget.flatten() > 0) & ~(best.broken & plan.drop)
        rows = open_.nonzero().flatten()
        if not len(rows) or plan.queries < 2:
            break
        streams = _rows.streams(x[rows], seed, restart)
        run = _run(_rows.part(objective, rows), x[rows], budget[rows], plan, streams)
        best.take(*run, rows)
    return best.x


def _run(
    objective: _rows.Objective, x: Tensor, budget: Tensor, plan: _Plan, streams: list[torch.Generator]
) -> _rows.Best:
    run = _rows.fresh(x)
    start = plan.first(x, budget, streams)
    run.take(start, *_rows.look(objective, start))
    rows = torch.arange(len(x), device=x.device)
    for query, drawn in enumerate(_numbers(streams, plan, x)):
        if plan.drop:
            rows = (~run.broken).nonzero().flatten()
        if not len(rows):
            break
        tried = plan.propose(run.x[rows], x[rows], budget[rows], drawn[rows], query)
        run.take(tried, *_rows.look(objective, tried, rows), rows)
    return run


def _numbers(streams: list[torch.Generator], plan: _Plan, x: Tensor) -> Iterator[Tensor]:
    """Uniform numbers (image, number) of each query; drawn for some queries at once."""
    left, ahead = plan.queries - 2, max(1, 2**14 // plan.numbers)
    while left > 0:
        shape = (len(x), min(ahead, left), plan.numbers)
        yield from _rows.drawn(streams, torch.empty(shape, dtype=x.dtype)).to(x.device).unbind(1)
        left -= ahead


def _anywhere(x: Tensor, budget: Tensor, streams: list[torch.Generator], *, norm: str) -> Tensor:
    return _step(x, x, budget, _rows.drawn(streams, x).flatten(1), 0, norm=norm, step=1)


def _step(
    best: Tensor, x: Tensor, budget: Tensor, drawn: Tensor, query: int, *, norm: str, step: float
) -> Tensor:
    way = 2 * drawn.reshape(x.shape) - 1
    way = way.sign() if norm == "linf" else way / _sets.size(way, norm).reshape(budget.shape)
    return _sets.project(best + step * budget * way, x, budget, norm)
