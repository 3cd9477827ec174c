"""What searches for the smallest perturbation share: which pictures are broken, and the nearest of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import _rows, _sets

# (pictures, rows) → what is above 0 beyond each boundary (image, boundary), its gradients, which are broken
Facets = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


class Near(NamedTuple):
    """The nearest broken picture of every example so far; its distance is infinite where there is none."""

    x: Tensor
    distance: Tensor

    def take(self, x: Tensor, distance: Tensor, broken: Tensor, rows: Tensor) -> None:
        """Keeps what is broken and nearer, in place."""
        place = (broken & (distance < self.distance[rows])).nonzero().flatten()
        self.x[rows[place]], self.distance[rows[place]] = x[place], distance[place]


def begin(objective: _rows.Objective, x: Tensor, budget: Tensor) -> tuple[Near, Tensor]:
    """Pictures broken before anything is done, at distance 0; and the rows that are to be attacked."""
    able(objective)
    broken = _rows.look(objective, x)[1]
    near = Near(x.detach().clone(), torch.where(broken, 0, torch.inf).to(x.dtype))
    return near, (~broken & (budget.flatten() > 0)).nonzero().flatten()


def able(objective: _rows.Objective) -> Any:
    """The objective within its wrappers; ValueError where it does not say what is broken."""
    inner: Any = objective
    while isinstance(inner, _rows.Fixed | _rows.Part):
        inner = inner.objective
    if getattr(inner, "broken", None) is None:
        raise ValueError(
            "objective: says of no picture that it is broken; choose one with a threshold (margin, push)"
        )
    return inner


def closer(objective: _rows.Objective, x: Tensor, near: Near, norm: str, halvings: int) -> None:
    """Halves the way back to the clean picture, as often as it is said, in place."""
    rows = (near.distance.isfinite() & (near.distance > 0)).nonzero().flatten()
    if not len(rows):
        return
    low, high = torch.zeros(len(rows), dtype=x.dtype, device=x.device), near.distance.new_ones(len(rows))
    origin, far = x[rows], near.x[rows].clone()
    for _ in range(halvings):
        middle = (low + high) / 2
        at = between(origin, far, middle, norm)
        broken = _rows.look(objective, at, rows)[1]
        near.take(at, _sets.size(at - origin, norm), broken, rows)
        low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)


def between(origin: Tensor, far: Tensor, share: Tensor, norm: str) -> Tensor:
    """The part of a perturbation of this share of its norm: shorter, or, for linf, cut."""
    delta, share = far - origin, share.reshape(len(origin), *(1,) * (origin.ndim - 1))
    if norm == "linf":
        bound = share * _sets.size(delta, "linf").reshape(share.shape)
        return (origin + torch.minimum(torch.maximum(delta, -bound), bound)).clamp(0, 1)
    return (origin + share * delta).clamp(0, 1)


def within(near: Near, x: Tensor, budget: Tensor) -> Tensor:
    """The nearest broken pictures, and the clean ones where none lies in the ball."""
    kept = (near.distance <= budget.flatten()).reshape(budget.shape)
    return torch.where(kept, near.x, x)


def facets(objective: _rows.Objective, x: Tensor, rivals: int) -> Facets:
    """The boundaries that a search steps towards.

    Reads    rivals, how many classes' boundaries with the own class are told apart, those that are nearest in
             logits at the clean picture; 0: the objective's own number is the one boundary
    Returns  f(pictures, rows); ValueError where its sign disagrees with what is broken
    """
    inner = able(objective)
    if not len(x):
        return lambda at, rows: _alone(objective, at, rows)
    if not rivals:
        value, broken = _rows.look(objective, x)
        _agree(value > 0, broken, "its number is above 0 where it is not broken; choose margin")
        return lambda at, rows: _alone(objective, at, rows)
    outputs, winning, broken, _ = goals(objective, x)
    gap = _gap(outputs, winning)
    hint = f"{type(inner).__name__} is not of logits; give rivals=0"
    _agree((gap > 0).any(1), broken, hint)
    count = min(rivals, int(winning.sum(1).min()))
    chosen = gap.topk(count, dim=1).indices
    return lambda at, rows: _many(objective, at, rows, winning, chosen)


def _agree(beyond: Tensor, broken: Tensor, why: str) -> None:
    bad = (beyond != broken).nonzero().flatten().tolist()
    if bad:
        raise ValueError(f"objective: at image {bad[0]} {why}")


def _alone(objective: _rows.Objective, at: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    value, broken, slope = _rows.climb(objective, at, rows)
    return value[:, None], slope[:, None], broken


def _gap(outputs: Tensor, winning: Tensor) -> Tensor:
    """How far each class that breaks is above the best that does not; minus infinity for the others."""
    held = outputs.masked_fill(winning, -torch.inf).amax(1, keepdim=True)
    return (outputs - held).masked_fill(~winning, -torch.inf)


def goals(objective: _rows.Objective, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What a classifier makes of the clean pictures.

    Reads    objective, of logits; one picture at least
    Returns  logits (image, class); which classes break each picture when they win; which are broken as they
             are; the rows of the clean batch that the objective was built on
    """
    if not hasattr(able(objective), "module"):
        raise ValueError("rivals: the objective has no network of its own; give rivals=0")
    found = []
    with torch.no_grad():
        for inner, some, place, count in _rows._passes(objective, x, None, False):
            outputs = inner.module(some)  # type: ignore[attr-defined]
            if outputs.ndim != 2 or outputs.shape[1] < 2:
                raise ValueError(f"rivals: the outputs have shape {tuple(outputs.shape[1:])}; give rivals=0")
            wins = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
            goal = [inner.broken(win.expand_as(outputs), place) for win in wins]  # type: ignore[attr-defined]
            broken = inner.broken(outputs, place)  # type: ignore[attr-defined]
            found.append([held[:count] for held in (outputs, torch.stack(goal, 1), broken, place)])
    logits, winning, broken, rows = (torch.cat(held) for held in zip(*found, strict=True))
    return logits, winning, broken, rows


def _many(
    objective: _rows.Objective, at: Tensor, rows: Tensor, winning: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One forward pass, and a backward one for each boundary."""
    found, start = [], 0
    for inner, some, place, count in _rows._passes(objective, at, rows, True):
        these = rows[start : start + count]
        these = torch.cat([these, these[:1].expand(len(some) - count)])
        start += count
        with torch.enable_grad():
            leaf = some.detach().requires_grad_()
            outputs = inner.module(leaf)  # type: ignore[attr-defined]
            gaps = _gap(outputs, winning[these]).gather(1, chosen[these])
            slopes = [
                torch.autograd.grad(gap.sum(), leaf, retain_graph=True)[0].nan_to_num(0, 0, 0)
                for gap in gaps.unbind(1)
            ]
        broken = inner.broken(outputs.detach(), place)  # type: ignore[attr-defined]
        found.append([held[:count] for held in (gaps.detach(), torch.stack(slopes, 1), broken)])
    gaps_, slopes_, broken_ = (torch.cat(held) for held in zip(*found, strict=True))
    return gaps_, slopes_, broken_
