"""Rotated and shifted pictures: a change that no Lp norm measures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from . import _rows, _sets


@torch.no_grad()
def spatial(
    objective: _rows.Objective,
    x: torch.Tensor,
    epsilon: float | torch.Tensor,
    *,
    degrees: float = 30.0,
    shift: float = 0.1,
    grid: Sequence[int] = (31, 5, 5),
    k: int = 0,
    padding: str = "zeros",
    seed: int = 0,
) -> torch.Tensor:
    """The worst rotation and translation of each picture, of a grid or of k draws from it.

    epsilon is the share of the range that is allowed: 1 is `degrees` and `shift`. The grid does not move
    with it, so that a larger epsilon never gives a weaker attack.

    Reads    x (image, channel, y, x); degrees to either side; shift, share of the picture's side; grid,
             numbers of angles and of shifts along y and x, uneven so that the clean picture is one of them;
             k, draws from the grid (0: all of it); padding, what comes in at the border: "zeros", "border"
             or "reflection"
    Returns  pictures (bilinear), the clean ones where nothing raises the value
    Source   Engstrom et al. 2019, arXiv 1712.02779, section 3
    """
    _check(degrees, shift, grid, k, padding)
    budget = _sets.wide(epsilon, x).flatten()
    moves = _moves(x, degrees, shift, grid, k, seed)
    share = _share(moves, degrees, shift)
    best = _rows.fresh(x)
    best.take(x, *_rows.look(objective, x))
    for place in range(moves.shape[1]):
        rows = ((share[:, place] <= budget + 1e-6) & (share[:, place] > 0)).nonzero().flatten()
        if len(rows):
            moved = _moved(x[rows], moves[rows, place], padding)
            best.take(moved, *_rows.look(objective, moved, rows), rows)
    return best.x


def _share(moves: torch.Tensor, degrees: float, shift: float) -> torch.Tensor:
    """The part of the range that each move (image, move) takes."""
    return (moves.abs() / moves.new_tensor([degrees, shift, shift]).clamp_min(1e-12)).amax(-1)


def _check(degrees: float, shift: float, grid: Sequence[int], k: int, padding: str) -> None:
    if not 0 <= degrees <= 180:
        raise ValueError(f"degrees: {degrees}; wanted 0 to 180")
    if not 0 <= shift <= 1:
        raise ValueError(f"shift: {shift}; wanted a share of the side, 0 to 1")
    if len(grid) != 3 or any(count < 1 or count % 2 == 0 for count in grid):
        raise ValueError(f"grid: {list(grid)}; wanted three uneven numbers (angles, shifts in y, in x)")
    if k < 0:
        raise ValueError(f"k: {k}; wanted 0 (the whole grid) or a number of draws")
    if padding not in ("zeros", "border", "reflection"):
        raise ValueError(f"padding: {padding!r}; wanted zeros, border or reflection")


def _moves(
    x: torch.Tensor, degrees: float, shift: float, grid: Sequence[int], k: int, seed: int
) -> torch.Tensor:
    """Angle and shifts (image, move, 3): the whole grid, or draws from it that are each picture's own."""
    axes = [
        torch.linspace(-far, far, count, dtype=torch.float64) if count > 1 else torch.zeros(1).double()
        for far, count in zip((degrees, shift, shift), grid, strict=True)
    ]
    every = torch.cartesian_prod(*axes).reshape(-1, 3)
    if not k:
        return every.to(x).expand(len(x), -1, -1)
    drawn = _rows.drawn(_rows.streams(x, seed), torch.empty(len(x), k))
    return every[(drawn * len(every)).long().clamp_max(len(every) - 1)].to(x)


def _moved(x: torch.Tensor, move: torch.Tensor, padding: str) -> torch.Tensor:
    """Pictures turned about their centre by the angle, then shifted down and right, without distortion."""
    tall, wide = x.shape[-2:]
    angle = move[:, 0] * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, sin * (tall / wide), -sin * (wide / tall), cos], 1).reshape(-1, 2, 2)
    far = -2 * turn @ move[:, [2, 1], None]
    where = nn.functional.affine_grid(torch.cat([turn, far], 2), list(x.shape), align_corners=False)
    return nn.functional.grid_sample(
        x, where, mode="bilinear", padding_mode=padding, align_corners=False
    ).clamp(0, 1)
