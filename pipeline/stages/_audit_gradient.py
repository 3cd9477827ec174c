"""Whether a gradient is there, and whether it tells how the number changes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.attacks import _sets
from pipeline.attacks._rows import Objective, climb, drawn, look, streams

GREY = 1 / 510  # half a grey level of 8 bits: the step of a central difference, on each pixel


def zero(objective: Objective, x: Tensor, epsilon: float, norm: str, seed: int) -> float:
    """The share of pictures with a gradient of exactly 0 at a random place in the ball, as attacks start."""
    start = _sets.sample(x, _sets.wide(epsilon, x), norm, streams(x, seed, 6))
    return float((climb(objective, start)[2] == 0).flatten(1).all(1).double().mean())


def mismatch(
    objective: Objective, x: Tensor, epsilon: float, norm: str, directions: int, seed: int
) -> tuple[float, str]:
    """The median relative error of directional derivatives against central differences.

    Half of the directions are random, half are random too but follow the gradient's signs where they can:
    those are the ones that an attack goes along. It is asked at random places in the ball, where attacks
    start: plain areas of a clean picture are ties, at which no gradient tells the change.

    Reads    objective, x; epsilon, of which a step is the sixteenth part where half a grey level is more;
             directions for each picture
    Returns  the median over pictures and directions; and words
    """
    ways = streams(x, seed, 1)
    like = torch.empty(len(x), directions, *x.shape[1:], dtype=x.dtype)
    noise = drawn(ways, like, normal=True).to(x.device)
    noise = noise.sign() if norm == "linf" else noise
    unit = noise.flatten(2).norm(dim=2, p=float("inf") if norm == "linf" else 2)
    size = min(epsilon / 16, GREY * (1 if norm == "linf" else math.sqrt(x[:1].numel())))
    step = size * noise / unit.reshape(*unit.shape, *(1,) * (x.ndim - 1))
    inside = float(step.abs().max())
    base = _sets.sample(x, _sets.wide(epsilon, x), norm, ways).clamp(inside, 1 - inside)
    slope = climb(objective, base)[2]
    error = []
    for k in range(directions):
        way = step[:, k]
        if k % 2:
            way = torch.where(slope == 0, way, way.abs() * slope.sign())
        told = (slope * way).flatten(1).sum(1)
        seen = (look(objective, base + way)[0] - look(objective, base - way)[0]) / 2
        larger = torch.maximum(told.abs(), seen.abs())
        error.append(torch.where(larger > 0, (told - seen).abs() / larger.clamp_min(1e-38), 0))
    return float(torch.stack(error).median()), f"{directions} directions for each of {len(x)} pictures"
