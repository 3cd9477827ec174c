"""A search that sees nothing but whether a picture is broken: HopSkipJump."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from loaders.schema import nearest

from . import _near, _rows, _sets

COARSE = 4  # squares a side, of every other start
AT_ONCE = 2**18  # values of the pictures of one image that are tried in one go


@torch.no_grad()
def hopskipjump(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "l2", steps: int = 32,
    draws: int = 100, most: int = 10_000, starts: int = 100, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Walks along the boundary towards the clean picture, by what random steps across it answer.

    More steps begin with the same ones. The start is the first of some pictures of uniform noise, fine and
    coarse by turns, that is broken; without one there is no answer for that picture.

    Reads    objective, of which only what is broken is used; norm, l2 or linf; draws for the direction of
             the first step, more by the root of the step's number afterwards, `most` at most; starts tried
    Returns  the nearest broken pictures within epsilon, else the clean ones
    Source   Chen, Jordan and Wainwright 2020, arXiv 1904.02144, algorithm 2
    """
    if norm not in ("l2", "linf"):
        raise ValueError(f"norm: {norm!r}; {nearest(norm, ('l2', 'linf'))}")
    for name, count in (("steps", steps), ("draws", draws), ("most", most), ("starts", starts)):
        if count < 1:
            raise ValueError(f"{name}: {count}; wanted one at least")
    budget = _sets.wide(epsilon, x)
    near, rows = _near.begin(objective, x, budget)
    streams = _rows.streams(x[rows], seed)
    at, found = _started(objective, x[rows], rows, streams, starts)
    rows, at, streams = rows[found], at[found], [streams[k] for k in found.tolist()]
    at = _boundary(objective, x, at, rows, near, norm)
    for step in range(steps if len(rows) else 0):
        distance = _sets.size(at - x[rows], norm)
        radius = distance / x[0].numel() if step else torch.full_like(distance, 0.1)
        count = int(min(draws * math.sqrt(step + 1), most))
        way = _direction(objective, at, rows, radius, streams, count, norm)
        at = _stepped(objective, at, rows, way, distance / math.sqrt(step + 1))
        at = _boundary(objective, x, at, rows, near, norm)
    return _near.within(near, x, budget)


def _started(
    objective: _rows.Objective, x: Tensor, rows: Tensor, streams: list[torch.Generator], starts: int
) -> tuple[Tensor, Tensor]:
    """Pictures of noise that are broken, and which rows have one."""
    at, done = x.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for start in range(starts):
        left = (~done).nonzero().flatten()
        if not len(left):
            break
        drawing = [streams[k] for k in left.tolist()]
        if start % 2:
            coarse = _rows.drawn(drawing, x.new_empty(len(left), x.shape[1], COARSE, COARSE))
            noise = torch.nn.functional.interpolate(coarse, x.shape[-2:])
        else:
            noise = _rows.drawn(drawing, x[left])
        broken = _rows.look(objective, noise, rows[left])[1]
        at[left[broken]] = noise[broken]
        done[left] = broken
    return at, done.nonzero().flatten()


def _boundary(
    objective: _rows.Objective, x: Tensor, at: Tensor, rows: Tensor, near: _near.Near, norm: str
) -> Tensor:
    """The broken pictures on the way to the clean ones, as near the boundary as the paper asks for."""
    if not len(rows):
        return at
    origin, size = x[rows], x[0].numel()
    low = torch.zeros(len(rows), dtype=x.dtype, device=x.device)
    high, best = torch.ones_like(low), at
    for _ in range(math.ceil(math.log2(size) * (1.5 if norm == "l2" else 2))):
        middle = (low + high) / 2
        tried = _near.between(origin, at, middle, norm)
        broken = _rows.look(objective, tried, rows)[1]
        best = torch.where(broken.reshape(-1, *(1,) * (x.ndim - 1)), tried, best)
        low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)
    near.take(best, _sets.size(best - origin, norm), torch.ones_like(low, dtype=torch.bool), rows)
    return best


def _direction(
    objective: _rows.Objective, at: Tensor, rows: Tensor, radius: Tensor, streams: list[torch.Generator],
    count: int, norm: str,
) -> Tensor:  # fmt: skip
    """The mean of random directions, each with the sign of what a small step along it answers."""
    shape, wide = at.shape, (-1, 1, *(1,) * (at.ndim - 1))
    tried, answers, told = torch.zeros_like(at), torch.zeros_like(radius), torch.zeros_like(at)
    left, size = count, max(1, AT_ONCE // at[0].numel())
    while left:
        some = min(left, size)
        way = _rows.drawn(streams, at.new_empty(len(at), some, *shape[1:]), normal=norm == "l2")
        way = way if norm == "l2" else 2 * way - 1
        way = way / way.flatten(2).square().sum(2).sqrt().reshape(len(at), some, *wide[2:])
        pictures = (at[:, None] + radius.reshape(wide) * way).clamp(0, 1)
        way = (pictures - at[:, None]) / radius.reshape(wide)
        broken = _rows.look(objective, pictures.flatten(0, 1), rows.repeat_interleave(some))[1]
        sign = broken.reshape(len(at), some).to(at.dtype) * 2 - 1
        answers += sign.sum(1)
        told += (sign.reshape(len(at), some, *wide[2:]) * way).sum(1)
        tried += way.sum(1)
        left -= some
    mean = answers / count
    mean = torch.where(mean.abs() == 1, 0, mean).reshape(-1, *wide[2:])
    way = told - mean * tried
    if norm == "linf":
        return way.sign()
    return way / _sets.size(way, "l2").clamp_min(1e-12).reshape(-1, *wide[2:])


def _stepped(objective: _rows.Objective, at: Tensor, rows: Tensor, way: Tensor, far: Tensor) -> Tensor:
    """The picture after the largest of ever halved steps that leaves it broken, else itself."""
    moved, left = at.clone(), torch.arange(len(at), device=at.device)
    for _ in range(25):
        tried = (at[left] + far[left].reshape(-1, *(1,) * (at.ndim - 1)) * way[left]).clamp(0, 1)
        broken = _rows.look(objective, tried, rows[left])[1]
        moved[left[broken]] = tried[broken]
        far = far / 2
        left = left[~broken]
        if not len(left):
            break
    return moved
