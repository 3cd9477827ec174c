"""How far to go when every coordinate moves at a pace of its own and stops at a bound."""

from __future__ import annotations

import torch

from . import _sets


def level(rate: torch.Tensor, cap: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The smallest t at which the sum of min(rate t, cap) reaches the target; infinite where it never does.

    Reads    rate and cap (image, coordinate), from 0 up; target (image,)
    Returns  t (image,), exact: the sum is piecewise linear, and its corners are sorted
    """
    corner = torch.where(rate > 0, cap / rate, torch.inf)
    corner, order = corner.sort(dim=1)
    rate, cap = rate.gather(1, order), torch.where(corner.isfinite(), cap.gather(1, order), 0)
    stopped = torch.nn.functional.pad(cap.cumsum(1), (1, 0))[:, :-1]
    moving = rate.flip(1).cumsum(1).flip(1)
    before = stopped + torch.where(corner.isfinite(), corner, 0) * moving
    reached = corner.isfinite() & (before >= target[:, None])
    place = reached.to(torch.uint8).argmax(1, keepdim=True)
    found = (target[:, None] - stopped.gather(1, place)) / moving.gather(1, place)
    return torch.where(reached.any(1), found[:, 0].clamp_min(0), torch.inf)


def stretched(x: torch.Tensor, direction: torch.Tensor, epsilon: torch.Tensor, norm: str) -> torch.Tensor:
    """x moved along a direction and clipped to [0, 1], so that the move has the norm epsilon after clipping.

    Reads    x, direction (image, channel, y, x); epsilon as `_sets.wide` returned it; norm linf, l2 or l1
    Returns  pictures; where [0, 1] leaves no room for so much, as far as it goes; never beyond epsilon
    """
    pace = direction.flatten(1).double()
    start, budget = x.flatten(1).double(), epsilon.flatten(1)[:, 0].double()
    room = torch.where(pace > 0, 1 - start, start)
    if norm == "linf":
        fits = torch.where((room >= budget[:, None]) & (pace != 0), pace.abs(), 0).amax(1)
        far = budget / fits
    elif norm == "l2":
        far = level(pace.square(), room.square(), budget.square()).sqrt()
    else:
        far = level(pace.abs(), room, budget)
    far = far.clamp_max(torch.finfo(torch.float64).max)[:, None]
    moved = (start + pace.sign() * torch.minimum(pace.abs() * far, room)).to(x.dtype).reshape(x.shape)
    return _sets.project(moved, x, epsilon, norm)


def onto(x: torch.Tensor, slope: torch.Tensor, amount: torch.Tensor, norm: str) -> torch.Tensor:
    """The smallest move within [0, 1] along which a linear number changes by an amount.

    Reads    x, slope (image, ...); amount (image,); norm linf, l2 or l1
    Returns  the move; where [0, 1] leaves no room for so much, the one that changes the number most
    """
    start, steep = x.flatten(1).double(), slope.flatten(1).double() * amount.double().sign()[:, None]
    room = torch.where(steep > 0, 1 - start, start)
    weight, target = steep.abs(), amount.double().abs()
    if norm == "l1":
        order = weight.argsort(dim=1, descending=True, stable=True)
        gain = (weight * room).gather(1, order)
        before = torch.nn.functional.pad(gain.cumsum(1), (1, 0))[:, :-1]
        part = ((target[:, None] - before) / gain.clamp_min(1e-300)).clamp(0, 1)
        share = torch.zeros_like(part).scatter(1, order, part)
        far = room * share
    else:
        pace = weight if norm == "l2" else (weight > 0).to(weight.dtype)
        reach = level(weight * pace, weight * room, target).clamp_max(torch.finfo(torch.float64).max)
        far = torch.minimum(pace * reach[:, None], room)
    return (steep.sign() * far).to(x.dtype).reshape(x.shape)
