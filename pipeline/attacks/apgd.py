"""Auto-PGD: a step that halves by itself, for L1, L2 and Linf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from . import _sets
from ._rows import Best, Objective, climb, fresh, look, sided, streams
from .pgd import ascent, free, sparse, steepest

HORIZON = 25  # steps of the first phase; each later one is three times as long
PERIOD = 4  # steps between the checks of L1
SHARE = 0.05  # of the coordinates, that a step of L1 moves at first


class _State(NamedTuple):
    """What every example carries from step to step, one row each."""

    row: Tensor  # of the clean batch
    origin: Tensor
    budget: Tensor
    at: Tensor
    before: Tensor
    value: Tensor
    slope: Tensor  # of the picture
    steep: Tensor  # of the best picture
    step: Tensor  # of the budget
    share: Tensor  # of the coordinates, for L1
    rises: Tensor  # of the value, since the last check
    checked: Tensor  # the best value at the last check
    halved: Tensor  # whether the step was, at the last check


@sided
def apgd(
    objective: Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf",
    steps: int = 100, restarts: int = 1, drop: bool = False, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Gradient ascent with momentum whose step halves for an example that no longer rises.

    The checks come at the times of phases of 25, 75, 225, ... steps, and not at those of the total as
    published: so more steps begin with the same ones and are never weaker. Each later phase begins at the
    best picture, with a tenth of the first step.

    Reads    objective; x (image, channel, y, x) in [0, 1]; epsilon, one or for each picture; drop, no more
             work on an example that is broken
    Returns  pictures in the ball and in [0, 1]; those of epsilon 0 are x, bit for bit
    Source   Croce and Hein 2020, arXiv 2003.01690; 2021, arXiv 2103.01208 (L1)
    """
    ascent(norm, steps, restarts)
    budget, draws, best = _sets.wide(epsilon, x), streams(x, seed), fresh(x)
    for _ in range(restarts if len(x) else 0):
        start = _sets.sample(x, budget, norm, draws)
        rows = (~(best.broken & drop)).nonzero().flatten()
        if len(rows):
            _climbed(objective, best, _begun(objective, best, rows, x, budget, start), norm, steps, drop)
    return best.x


def _begun(
    objective: Objective, best: Best, rows: Tensor, x: Tensor, budget: Tensor, start: Tensor
) -> tuple[_State, Best]:
    """The first look from a random start, and the best picture of this start alone."""
    at, number = start[rows], torch.zeros_like(best.value[rows])
    value, broken, slope = climb(objective, at, rows, shared=True)
    best.take(at, value, broken, rows)
    own = Best(at.clone(), value.clone(), broken.clone())
    state = _State(
        rows, x[rows], budget[rows], at, at, value, slope, slope, number + 2, number + SHARE, number, value,
        torch.ones_like(broken),
    )  # fmt: skip
    return state, own


def _climbed(
    objective: Objective,
    best: Best,
    begun: tuple[_State, Best],
    norm: str,
    steps: int,
    drop: bool,
) -> None:
    state, own = begun
    for k, (first, period) in enumerate(_phases(steps, norm)):
        if drop and bool(own.broken.any()):
            kept = (~own.broken).nonzero().flatten()
            state, own = _State(*(held[kept] for held in state)), Best(*(held[kept] for held in own))
        if not len(state.row):
            return
        if first:
            state = _restarted(state, own)
        at = _moved(state, norm)
        if k == steps - 1:
            best.take(at, *look(objective, at, state.row), state.row)
            return
        value, broken, slope = climb(objective, at, state.row)
        best.take(at, value, broken, state.row)
        better = _like(own.take(at, value, broken), slope)
        state = state._replace(
            before=state.at, at=at, value=value, slope=slope, rises=state.rises + (value > state.value),
            steep=torch.where(better, slope, state.steep),
        )  # fmt: skip
        if period:
            state = _sparser(state, own) if norm == "l1" else _checked(state, own, period)


def _moved(state: _State, norm: str) -> Tensor:
    """The next picture: a step, and a quarter of the last move."""
    step = _like(state.step, state.at) * state.budget
    if norm == "l1":
        count = (state.share * state.at[0].numel()).long().clamp_min(1)
        return _sets.project(
            state.at + step / 2 * sparse(state.slope, state.at, count), state.origin, state.budget, norm
        )
    slope = free(state.slope, state.at) if norm == "l2" else state.slope
    ahead = _sets.project(state.at + step * steepest(slope, state.at, norm), state.origin, state.budget, norm)
    blend = state.at + 0.75 * (ahead - state.at) + 0.25 * (state.at - state.before)
    still = (state.at == state.before).flatten(1).all(1)
    return torch.where(_like(still, ahead), ahead, _sets.project(blend, state.origin, state.budget, norm))


def _restarted(state: _State, own: Best) -> _State:
    """A new phase: the best picture, and a tenth of the first step."""
    return state._replace(
        at=own.x.clone(), before=own.x.clone(), value=own.value.clone(), slope=state.steep,
        step=torch.full_like(state.step, 0.2), rises=torch.zeros_like(state.rises), checked=own.value.clone(),
        halved=torch.ones_like(state.halved),
    )  # fmt: skip


def _checked(state: _State, own: Best, period: int) -> _State:
    """Half the step, from the best picture, where the value rose too seldom or the best stays as it was."""
    stuck = ~state.halved & (own.value <= state.checked)
    cut = (state.rises < 0.75 * period) | stuck
    wide = _like(cut, state.at)
    return state._replace(
        step=torch.where(cut, state.step / 2, state.step), at=torch.where(wide, own.x, state.at),
        before=torch.where(wide, own.x, state.before), slope=torch.where(wide, state.steep, state.slope),
        value=torch.where(cut, own.value, state.value), rises=torch.zeros_like(state.rises),
        checked=own.value.clone(), halved=cut,
    )  # fmt: skip


def _sparser(state: _State, own: Best) -> _State:
    """Of L1: fewer coordinates move where the best perturbation became sparser, else the step shrinks."""
    spread = (own.x != state.origin).flatten(1).float().mean(1).to(state.share.dtype) / 1.5
    sparser = spread < 0.95 * state.share
    return state._replace(
        step=torch.where(sparser, 2, (state.step / 1.5).clamp_min(0.2)), share=spread,
        at=own.x.clone(), before=own.x.clone(), slope=state.steep, value=own.value.clone(),
    )  # fmt: skip


def _phases(steps: int, norm: str) -> Iterator[tuple[bool, int]]:
    """Of every step: whether a phase begins with it, and the steps since the last check where one follows."""
    if norm == "l1":
        yield from ((False, PERIOD if (k + 1) % PERIOD == 0 else 0) for k in range(steps))
        return
    done, horizon = 0, HORIZON
    while done < steps:
        period, since = int(0.22 * horizon), 0
        for k in range(min(horizon, steps - done)):
            since += 1
            yield k == 0 and done > 0, since if since == period else 0
            if since == period:
                period, since = max(period - max(1, int(0.03 * horizon)), max(1, int(0.06 * horizon))), 0
        done, horizon = done + horizon, 3 * horizon


def _like(rows: Tensor, x: Tensor) -> Tensor:
    return rows.reshape(len(rows), *(1,) * (x.ndim - 1))
