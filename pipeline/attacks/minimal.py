"""Searches for the smallest perturbation that breaks an example: DeepFool, Carlini-Wagner and FAB.

Each returns the nearest broken picture that it found within epsilon, and the clean picture where it found
none; `distance` then says infinity. For no limit give an epsilon that no picture can exceed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from loaders.schema import nearest

from . import _fill, _near, _rows, _sets

DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}
PATIENCE = 0.3  # of the steps of a Carlini-Wagner round: so long without a lower loss, and it ends


def distance(objective: _rows.Objective, x: Tensor, found: Tensor, *, norm: str = "l2") -> Tensor:
    """How far each picture had to be moved to be broken: infinitely far where it is not.

    Reads    x, the clean pictures; found, what a search returned for them
    Returns  (image,), 0 for those that are broken as they are; its median stands for infinities too
    """
    _near.able(objective)
    size = _sets.size(found - x, _sets.known(norm))
    return torch.where(_rows.look(objective, found)[1], size, torch.inf)


def deepfool(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "l2", steps: int = 50,
    rivals: int = 9, overshoot: float = 0.02, halvings: int = 10, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Steps to the nearest boundary of a linear model of the network, until one is crossed.

    Reads    objective, of logits, or (rivals 0) one that is above 0 where it is broken; norm, l2 or linf;
             rivals, classes whose boundaries are tried; overshoot, how far beyond; halvings of the way back
    Returns  the nearest broken pictures within epsilon, else the clean ones
    Source   Moosavi-Dezfooli et al. 2016, arXiv 1511.04599
    """
    _check(norm, ("l2", "linf"), steps=steps)
    budget = _sets.wide(epsilon, x)
    near, rows = _near.begin(objective, x, budget)
    facets = _near.facets(objective, x, rivals)
    moved = torch.zeros_like(x[rows])
    for step in range(steps + 1):
        at = (x[rows] + (1 + overshoot) * moved).clamp(0, 1)
        if step == steps or not len(rows):
            near.take(at, _sets.size(at - x[rows], norm), _rows.look(objective, at, rows)[1], rows)
            break
        gaps, slopes, broken = facets(at, rows)
        near.take(at, _sets.size(at - x[rows], norm), broken, rows)
        kept = (~broken).nonzero().flatten()
        rows, moved = rows[kept], moved[kept] + _crossing(gaps[kept], slopes[kept], norm)
    _near.closer(objective, x, near, norm, halvings)
    return _near.within(near, x, budget)


def carlini_wagner(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "l2", steps: int = 1000,
    rounds: int = 9, rate: float = 0.01, weight: float = 1e-3, confidence: float = 0.0, halvings: int = 10,
    seed: int = 0,
) -> Tensor:  # fmt: skip
    """Adam on squared distance plus the weighted shortfall of the number, the weight found by bisection.

    More rounds begin with the same ones. A round leaves a picture when three tenths of the steps have not
    lowered its loss by 1e-4 of it.

    Reads    objective, above 0 where it is broken; norm, l2; steps of each round; rate, of Adam; weight, the
             first; confidence, how far above 0; halvings of the way back (none with a confidence)
    Returns  the nearest broken pictures within epsilon, else the clean ones
    Source   Carlini and Wagner 2017, arXiv 1608.04644, section VI A
    """
    _check(norm, ("l2",), steps=steps, rounds=rounds)
    if confidence < 0 or not (rate > 0 and weight > 0):
        told = f"{confidence}, with rate {rate} and weight {weight}"
        raise ValueError(f"confidence: {told}; wanted 0 or more, and both above 0")
    budget = _sets.wide(epsilon, x)
    near, rows = _near.begin(objective, x, budget)
    _near.facets(objective, x, 0)
    now = torch.full((len(rows),), weight, dtype=x.dtype, device=x.device)
    low, high = torch.zeros_like(now), torch.full_like(now, torch.inf)
    for _ in range(rounds if len(rows) else 0):
        success = _cw_round(objective, x, near, rows, now, _Adam(steps, rate, confidence))
        low, high = torch.where(success, low, now), torch.where(success, now, high)
        now = torch.where(high.isfinite(), (low + high) / 2, 10 * now)
    _near.closer(objective, x, near, norm, 0 if confidence else halvings)
    return _near.within(near, x, budget)


def fab(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf", steps: int = 100,
    restarts: int = 1, rivals: int = 9, overshoot: float = 1.05, back: float = 0.9, pull: float = 0.1,
    halvings: int = 10, seed: int = 0,
) -> Tensor:  # fmt: skip
    """Fast adaptive boundary: projections onto linear models of the boundary, pulled to the clean picture.

    Reads    objective, of logits, or (rivals 0) one that is above 0 where it is broken; norm, linf, l2 or
             l1; overshoot of each projection; back, share of the way that is kept once a picture is broken;
             pull, the largest weight of the projection from the clean picture; halvings of the way back
    Returns  the nearest broken pictures within epsilon, else the clean ones
    Source   Croce and Hein 2020, arXiv 1907.02044, algorithm 1
    """
    _check(norm, ("linf", "l2", "l1"), steps=steps, restarts=restarts)
    budget = _sets.wide(epsilon, x)
    near, rows = _near.begin(objective, x, budget)
    facets = _near.facets(objective, x, rivals)
    origin, numbers = x[rows], _Pull(norm, overshoot, pull)
    for restart in range(restarts if len(rows) else 0):
        at = origin
        if restart:
            half = torch.minimum(near.distance[rows].reshape(-1, *budget.shape[1:]), budget[rows]) / 2
            at = _sets.sample(origin, half, norm, _rows.streams(origin, seed, restart))
        for _ in range(steps):
            gaps, slopes, broken = facets(at, rows)
            near.take(at, _sets.size(at - origin, norm), broken, rows)
            at = _pulled(at, origin, gaps, slopes, numbers)
            broken = _rows.look(objective, at, rows)[1]
            near.take(at, _sets.size(at - origin, norm), broken, rows)
            at = torch.where(broken.reshape(-1, *budget.shape[1:]), origin + back * (at - origin), at)
    _near.closer(objective, x, near, norm, halvings)
    return _near.within(near, x, budget)


class _Adam(NamedTuple):
    steps: int
    rate: float
    confidence: float


class _Pull(NamedTuple):
    norm: str
    overshoot: float
    most: float


def _check(norm: str, known: tuple[str, ...], **counts: int) -> None:
    if norm not in known:
        raise ValueError(f"norm: {norm!r}; {nearest(norm, known)}")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}: {count}; wanted one at least")


def _nearest(gaps: Tensor, slopes: Tensor, norm: str) -> tuple[Tensor, Tensor, Tensor]:
    """Gap, slope and dual norm of the slope (image,) of the boundary nearest in a linear model."""
    shape = slopes.shape
    steep = _sets.size(slopes.flatten(0, 1), DUAL[norm]).reshape(shape[:2]).clamp_min(1e-12)
    place = (gaps.abs() / steep).argmin(1, keepdim=True)
    slope = slopes.gather(1, place.reshape(-1, *(1,) * (len(shape) - 1)).expand(-1, 1, *shape[2:]))[:, 0]
    return gaps.gather(1, place)[:, 0], slope, steep.gather(1, place)[:, 0]


def _crossing(gaps: Tensor, slopes: Tensor, norm: str) -> Tensor:
    """The smallest move to the nearest of the linear boundaries, and a little more."""
    gap, slope, steep = _nearest(gaps, slopes, norm)
    far = gap.abs() / steep + 1e-4
    far, steep = (held.reshape(-1, *(1,) * (slope.ndim - 1)) for held in (far, steep))
    return far * (slope.sign() if norm == "linf" else slope / steep)


def _pulled(at: Tensor, origin: Tensor, gaps: Tensor, slopes: Tensor, numbers: _Pull) -> Tensor:
    """Between the projections of the picture and of the clean one onto the nearest linear boundary."""
    gap, slope, _ = _nearest(gaps, slopes, numbers.norm)
    clean = gap + (slope * (origin - at)).flatten(1).sum(1)
    here = _fill.onto(at, slope, -gap, numbers.norm)
    there = _fill.onto(origin, slope, -clean, numbers.norm)
    near, far = (_sets.size(move, numbers.norm).clamp_min(1e-8) for move in (here, there))
    weight = (near / (near + far)).clamp_max(numbers.most).reshape(-1, *(1,) * (at.ndim - 1))
    moved = (at + numbers.overshoot * here) * (1 - weight) + (origin + numbers.overshoot * there) * weight
    return moved.clamp(0, 1)


def _cw_round(
    objective: _rows.Objective, x: Tensor, near: _near.Near, rows: Tensor, weight: Tensor, adam: _Adam
) -> Tensor:
    """One round of steps with one weight for each row; says which were broken."""
    start = (0.999999 * (2 * x[rows] - 1)).atanh()
    clean = (start.tanh() + 1) / 2
    free = start.clone()
    mean, square = torch.zeros_like(free), torch.zeros_like(free)
    success = torch.zeros_like(weight, dtype=torch.bool)
    lowest, idle = torch.full_like(weight, torch.inf), torch.zeros_like(weight)
    going = torch.arange(len(rows), device=x.device)
    for step in range(1, adam.steps + 1):
        at = (free[going].tanh() + 1) / 2
        value, broken, slope = _rows.climb(objective, at, rows[going])
        enough = broken & (value >= adam.confidence)
        success[going] |= enough
        near.take(at, _sets.size(at - x[rows[going]], "l2"), enough, rows[going])
        wide = weight[going] * (value < adam.confidence)
        pull = 2 * (at - clean[going]) - wide.reshape(-1, *(1,) * (x.ndim - 1)) * slope
        pull = pull * 2 * at * (1 - at)
        mean[going] = 0.9 * mean[going] + 0.1 * pull
        square[going] = 0.999 * square[going] + 0.001 * pull.square()
        size = (square[going] / (1 - 0.999**step)).sqrt() + 1e-8
        free[going] -= adam.rate * mean[going] / (1 - 0.9**step) / size
        loss = (at - clean[going]).flatten(1).square().sum(1)
        loss = loss + weight[going] * (adam.confidence - value).clamp_min(0)
        idle[going] = torch.where(loss <= 0.9999 * lowest[going], 0, idle[going] + 1)
        lowest[going] = torch.minimum(lowest[going], loss)
        going = going[idle[going] < PATIENCE * adam.steps]
        if not len(going):
            break
    return success
