"""Plain noise of exactly the attack's size: what a perturbation does that nobody searched for."""

from __future__ import annotations

import torch

from loaders.schema import nearest

from . import _fill, _rows, _sets

KINDS = ("gaussian", "uniform", "sign")


@torch.no_grad()
def noise(
    objective: _rows.Objective,
    x: torch.Tensor,
    epsilon: float | torch.Tensor,
    *,
    norm: str = "linf",
    kind: str = "",
    draws: int = 1,
    seed: int = 0,
) -> torch.Tensor:
    """Random perturbations whose norm after clipping is epsilon, the best of some draws for each picture.

    One draw is a control of the perturbation's size and looks at no value. The clean picture is never
    kept: what is returned has been perturbed.

    Reads    x (image, channel, y, x); kind, "gaussian", "uniform" or "sign" of each value ("": sign for
             linf, gaussian else); draws
    Returns  pictures; smaller than epsilon only where [0, 1] leaves no room
    Source   Fawzi et al. 2016, arXiv 1608.08967
    """
    _sets.known(norm)
    kind = kind or ("sign" if norm == "linf" else "gaussian")
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r}; {nearest(kind, KINDS)}")
    if norm == "l0":
        raise ValueError('norm: noise has no "l0"; choose linf, l2 or l1')
    if draws < 1:
        raise ValueError(f"draws: {draws}; wanted one at least")
    budget, streams, best = _sets.wide(epsilon, x), _rows.streams(x, seed), _rows.fresh(x)
    for _ in range(draws):
        moved = _fill.stretched(x, _direction(streams, x, kind), budget, norm)
        if draws == 1:
            return moved
        best.take(moved, *_rows.look(objective, moved))
    return best.x


noise.control = True  # type: ignore[attr-defined]  # its pictures are taken as they are, whatever they do


def _direction(streams: list[torch.Generator], x: torch.Tensor, kind: str) -> torch.Tensor:
    drawn = _rows.drawn(streams, x, normal=kind == "gaussian")
    if kind == "gaussian":
        return drawn
    return 2 * drawn - 1 if kind == "uniform" else (drawn < 0.5).to(x.dtype) * 2 - 1
