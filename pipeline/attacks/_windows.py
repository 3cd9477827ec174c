"""What the Square attack proposes: windows at places of their own for each picture."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from . import _rows, _sets

HALVED = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10000 queries: the area is halved after each


def side(query: int, *, area: float, horizon: int, shape: Sequence[int]) -> int:
    """The windows' side at a query: their area is halved ever more rarely."""
    halvings = sum(query * 10000 // horizon > moment for moment in HALVED)
    tall, wide = shape
    return min(max(round(math.sqrt(area * tall * wide / 2**halvings)), 1), tall, wide)


def stripes(x: Tensor, budget: Tensor, streams: list[torch.Generator]) -> Tensor:
    """The first proposal within linf: each column up or down by epsilon, plane by plane."""
    up = _rows.drawn(streams, x[:, :, :1]) < 0.5
    return _sets.project(x + torch.where(up, budget, -budget), x, budget, "linf")


def flat(
    best: Tensor, x: Tensor, budget: Tensor, drawn: Tensor, query: int, *, side: Callable[[int], int]
) -> Tensor:
    """Within linf: the window goes up or down by epsilon as a whole, plane by plane.

    Where it stands so already it goes the other way: no query is spent on the picture as it is.
    """
    sign = (drawn[:, 2:, None, None] < 0.5).to(x.dtype) * 2 - 1
    window = _window(drawn[:, :2], side(query), x)
    tried = torch.where(window, _sets.project(x + sign * budget, x, budget, "linf"), best)
    same = (tried == best).flatten(1).all(1).reshape(budget.shape)
    other = torch.where(window, _sets.project(x - sign * budget, x, budget, "linf"), best)
    return torch.where(same, other, tried)


def tiles(x: Tensor, budget: Tensor, streams: list[torch.Generator]) -> Tensor:
    """The first proposal within l2: five by five patterns of random sign, planes equally strong."""
    tall, wide = x.shape[-2:]
    across = max(min(tall, wide) // 5, 1)
    down, right = tall // across, wide // across
    drawn = _rows.drawn(streams, x.new_empty(len(x), x.shape[1] + 1, down, right))
    sign = _blown(drawn[:, :-1] < 0.5, across).to(x.dtype) * 2 - 1
    turned = _blown(drawn[:, -1:] < 0.5, across)
    pattern = _pattern(across).to(x)
    shape = torch.where(turned, pattern.repeat(down, right), pattern.T.repeat(down, right))
    above, before = (tall - down * across) // 2, (wide - right * across) // 2
    around = (before, wide - right * across - before, above, tall - down * across - above)
    delta = torch.nn.functional.pad(sign * shape, around)
    delta = delta / _sets.size(delta, "l2").reshape(budget.shape)
    return _sets.project(x + budget * delta, x, budget, "l2")


def energy(
    best: Tensor, x: Tensor, budget: Tensor, drawn: Tensor, query: int, *, side: Callable[[int], int]
) -> Tensor:
    """Within l2: a window takes the energy of another and all that was left over, in a new pattern."""
    across = max(side(query), 3)
    across = min(across + 1 - across % 2, min(x.shape[-2:]))
    delta = best - x
    window, giver = _window(drawn[:, :2], across, x), _window(drawn[:, 2:4], across, x)
    pattern = _pattern(across).to(x)
    turned = drawn[:, 4].reshape(budget.shape) < 0.5
    sign = (drawn[:, 5:, None, None] < 0.5).to(x.dtype) * 2 - 1
    held = delta * window if across > 1 else torch.zeros_like(delta)
    tiny = torch.finfo(x.dtype).tiny
    held = held / held.square().sum((-2, -1), keepdim=True).sqrt().clamp_min(tiny)
    fresh = held + sign * torch.where(
        turned, _placed(pattern, drawn, window), _placed(pattern.T, drawn, window)
    )
    fresh = fresh / fresh.square().sum((-2, -1), keepdim=True).sqrt().clamp_min(tiny)
    rest = torch.where(window | giver, 0, delta)
    left = (budget.square() - rest.square().sum((1, 2, 3), keepdim=True)).clamp_min(0)
    return _sets.project(x + rest + fresh * (left / x.shape[1]).sqrt(), x, budget, "l2")


def _corner(drawn: Tensor, across: int, x: Tensor) -> Tensor:
    """Top and left (image, 2) of windows, any place in the picture as likely."""
    places = torch.tensor(x.shape[-2:], device=x.device) - across + 1
    return (drawn * places).long().minimum(places - 1)


def _window(drawn: Tensor, across: int, x: Tensor) -> Tensor:
    """Where the windows are (image, 1, y, x)."""
    top, left = _corner(drawn, across, x).unbind(1)
    row, column = (torch.arange(count, device=x.device) for count in x.shape[-2:])
    tall = (row >= top[:, None]) & (row < top[:, None] + across)
    wide = (column >= left[:, None]) & (column < left[:, None] + across)
    return (tall[:, :, None] & wide[:, None, :])[:, None]


def _placed(pattern: Tensor, drawn: Tensor, window: Tensor) -> Tensor:
    """The pattern in each window (image, 1, y, x), 0 around it."""
    placed = torch.zeros(window.shape, dtype=pattern.dtype, device=pattern.device)
    placed[window] = pattern.flatten().repeat(len(window))
    return placed


def _blown(signs: Tensor, across: int) -> Tensor:
    return signs.repeat_interleave(across, -2).repeat_interleave(across, -1)


@functools.lru_cache(maxsize=64)
def _pattern(across: int) -> Tensor:
    """Two hills side by side, one of them upside down, of energy 1."""
    half = across // 2
    made = torch.cat([_hill(half, across), -_hill(across - half, across)])
    return made / made.square().sum().sqrt()


def _hill(tall: int, wide: int) -> Tensor:
    """Nested rectangles about the middle, the inner ones higher by 1, 1/4, 1/9, ..., of energy 1."""
    row, column = torch.arange(tall), torch.arange(wide)
    ring = torch.maximum((row - tall // 2).abs()[:, None], (column - wide // 2).abs()[None])
    last = max(tall // 2, wide // 2)
    heights = (1 / torch.arange(1, last + 2, dtype=torch.float64).square()).flip(0).cumsum(0).flip(0)
    made = heights[ring]
    return (made / made.square().sum().sqrt().clamp_min(1e-12)).float()
