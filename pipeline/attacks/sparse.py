"""Few pixels, changed as much as it takes; epsilon is their number, whatever their planes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from . import _rows, _sets

AT_ONCE = 2**18  # values of the pictures of one image that are tried in one go


@_rows.sided
def saliency(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "l0", pixels: int = 2,
    drop: bool = False, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Pairs of pixels, the most salient ones first, go to black or white, plane by plane, until none is left.

    A pixel's saliency is what the number would gain by its linear model: JSMA, whose two gradients of logits
    are those of one number here, so that it works on any.

    Reads    x (image, channel, y, x); epsilon, pixels that may change; pixels that change at once
    Returns  pictures with so many changed pixels at most, the best of all steps
    Source   Papernot et al. 2016, arXiv 1511.07528
    """
    _check(norm, pixels=pixels)
    budget, best = _sets.wide(epsilon, x), _rows.fresh(x)
    most, at, free = budget.flatten().floor(), x.clone(), torch.ones_like(x[:, 0], dtype=torch.bool)
    most = most.clamp_max(free[:1].numel())
    spent = torch.zeros_like(most)
    while len(rows := ((spent < most) & ~(best.broken & drop)).nonzero().flatten()):
        value, broken, slope = _rows.climb(objective, at[rows], rows)
        best.take(at[rows], value, broken, rows)
        bound = (slope > 0).to(x.dtype)
        gain = ((bound - at[rows]) * slope).sum(1)
        gain = torch.where(free[rows] & (gain > 0), gain, -1).flatten(1)
        rank = gain.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
        chosen = (rank < (most - spent)[rows, None].clamp_max(pixels)) & (gain > 0)
        chosen = chosen.reshape(-1, 1, *x.shape[2:])
        at[rows] = torch.where(chosen & (slope != 0), bound, at[rows])
        free[rows] &= ~chosen[:, 0]
        spent[rows] += pixels
        spent[rows[~chosen.flatten(1).any(1)]] = torch.inf
    best.take(at, *_rows.look(objective, at))
    return best.x


@_rows.sided
def pgd(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "l0", steps: int = 40,
    step: float = 0.5, restarts: int = 1, drop: bool = False, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Gradient ascent of which the pixels that change most are kept after every step.

    Reads    x (image, channel, y, x); epsilon, pixels that may change; step, the mean change of a value
             before pixels are chosen
    Returns  pictures with so many changed pixels at most, the best of all steps and restarts
    Source   Croce and Hein 2019, arXiv 1909.05040, section 2.4
    """
    _check(norm, steps=steps, restarts=restarts)
    if not step > 0:
        raise ValueError(f"step: {step}; wanted a mean change above 0")
    budget, best, streams = _sets.wide(epsilon, x), _rows.fresh(x), _rows.streams(x, seed)
    budget = budget.floor()
    best.take(x, *_rows.look(objective, x))
    for _ in range(restarts):
        at = _sets.sample(x, budget, "l0", streams)
        rows = ((budget.flatten() > 0) & ~(best.broken & drop)).nonzero().flatten()
        for _ in range(steps):
            value, broken, slope = _rows.climb(objective, at[rows], rows)
            best.take(at[rows], value, broken, rows)
            rows, slope = (rows[~broken], slope[~broken]) if drop else (rows, slope)
            length = slope.flatten(1).abs().mean(1).clamp_min(torch.finfo(x.dtype).tiny)
            moved = (at[rows] + step * slope / length.reshape(-1, *(1,) * (x.ndim - 1))).clamp(0, 1)
            at[rows] = _sets.project(moved, x[rows], budget[rows], "l0")
        best.take(at[rows], *_rows.look(objective, at[rows], rows), rows)
    return best.x


@torch.no_grad()
def evolved(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor = 1, *, norm: str = "l0",
    steps: int = 75, population: int = 100, weight: float = 0.5, drop: bool = False, seed: int = 0,
) -> Tensor:  # fmt: skip
    """One pixel, or a few, of which differential evolution seeks the places and the colours.

    It sees the value alone. A child is its parent's place in the population where its value is higher.

    Reads    x (image, channel, y, x); epsilon, pixels that may change; steps, generations; population of
             candidates for each picture; weight of the difference of two candidates that is added to a third
    Returns  pictures with so many changed pixels at most, the best of all candidates
    Source   Su, Vargas and Sakurai 2019, arXiv 1710.08864; Storn and Price 1997
    """
    _check(norm, steps=steps, population=population - 3)
    if not 0 < weight <= 2:
        raise ValueError(f"weight: {weight}; wanted above 0, 2 at most")
    budget, best, streams = _sets.wide(epsilon, x), _rows.fresh(x), _rows.streams(x, seed)
    best.take(x, *_rows.look(objective, x))
    most = budget.flatten().floor()
    count = int(most.max()) if len(x) else 0
    if not count:
        return best.x
    genes = _rows.drawn(streams, x.new_empty(len(x), population, count, 2 + x.shape[1]))
    fitness = torch.full(genes.shape[:2], -torch.inf, dtype=x.dtype, device=x.device)
    child = genes
    for generation in range(steps + 1):
        if generation:
            child = _children(genes, _rows.drawn(streams, x.new_empty(len(x), 3, population)), weight)
        rows = ((most > 0) & ~(best.broken & drop)).nonzero().flatten()
        if not len(rows):
            break
        _judged(objective, best, x, most, rows, child, (genes, fitness))
    return best.x


def _check(norm: str, **counts: int) -> None:
    if norm != "l0":
        raise ValueError(f'norm: {norm!r}; this search changes few pixels, and knows "l0" alone')
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}: too few; wanted {'four' if name == 'population' else 'one'} at least")


def _children(genes: Tensor, drawn: Tensor, weight: float) -> Tensor:
    """A candidate plus the weighted difference of two others, drawn for each place; within bounds."""
    places = (drawn * genes.shape[1]).long().clamp_max(genes.shape[1] - 1)
    own = torch.arange(len(genes), device=genes.device)[:, None]
    first, second, third = (genes[own, place] for place in places.unbind(1))
    return (first + weight * (second - third)).clamp(0, 1)


def _judged(
    objective: _rows.Objective, best: _rows.Best, x: Tensor, most: Tensor, rows: Tensor, child: Tensor,
    held: tuple[Tensor, Tensor],
) -> None:  # fmt: skip
    """Looks at all children, keeps the better of child and parent in place, and the best picture."""
    genes, fitness = held
    for some in _slices(child.shape[1], x):
        given = child[rows, some]
        pictures = _painted(x[rows], given, most[rows])
        count = given.shape[1]
        value, broken = _rows.look(objective, pictures.flatten(0, 1), rows.repeat_interleave(count))
        value, broken = value.reshape(-1, count), broken.reshape(-1, count)
        better = value > fitness[rows, some]
        genes[rows, some] = torch.where(better[..., None, None], given, genes[rows, some])
        fitness[rows, some] = torch.where(better, value, fitness[rows, some])
        worth = torch.where(broken.any(1, keepdim=True) & ~broken, -torch.inf, value)
        place = worth.argmax(1)
        own = torch.arange(len(rows), device=x.device)
        best.take(pictures[own, place], value[own, place], broken[own, place], rows)


def _slices(population: int, x: Tensor) -> Iterator[slice]:
    size = max(1, AT_ONCE // x[0].numel())
    for start in range(0, population, size):
        yield slice(start, min(start + size, population))


def _painted(x: Tensor, genes: Tensor, most: Tensor) -> Tensor:
    """Pictures (image, candidate, channel, y, x) with the candidates' pixels in them."""
    tall, wide = x.shape[-2:]
    made = x[:, None].repeat(1, genes.shape[1], 1, 1, 1)
    row = (genes[..., 0] * tall).long().clamp_max(tall - 1)
    column = (genes[..., 1] * wide).long().clamp_max(wide - 1)
    image, candidate = torch.meshgrid(
        *(torch.arange(n, device=x.device) for n in made.shape[:2]), indexing="ij"
    )
    for k in range(genes.shape[2]):
        place = (image, candidate, slice(None), row[..., k], column[..., k])
        painted = (k < most)[:, None, None] & torch.ones_like(made[place], dtype=torch.bool)
        made[place] = torch.where(painted, genes[..., k, 2:], made[place])
    return made
