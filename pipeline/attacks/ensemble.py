"""Several searches, each on what the ones before it left unbroken; the best picture of all."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from . import _near, _rows, _sets, apgd, minimal, square

Part = tuple[_rows.Objective, Callable[..., Tensor]]


def union(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *,
    searches: Sequence[Callable[..., Tensor]], norm: str = "linf", seed: int = 0,
) -> Tensor:  # fmt: skip
    """The best of several searches for each picture, at least as strong as each of them.

    Reads    searches, run in turn on the pictures that are not broken yet (on all, where nothing ever is)
    Returns  pictures in the ball
    Source   Carlini et al. 2019, arXiv 1902.06705, section 5.5
    """
    if not searches:
        raise ValueError("searches: none; give one at least")
    return _best(objective, x, epsilon, [(objective, search) for search in searches], norm, seed)


def autoattack(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, *, norm: str = "linf", steps: int = 100,
    restarts: int = 1, rivals: int = 9, queries: int = 5000, seed: int = 0,
) -> Tensor:  # fmt: skip
    """APGD on cross-entropy, APGD on the targeted DLR of the nearest classes, FAB, then Square.

    Reads    objective, of a classifier (its number judges, and says what is broken); norm, linf or l2; steps
             of APGD and FAB; restarts of APGD on cross-entropy, and of FAB; rivals, classes that are
             targeted; queries of Square
    Returns  pictures in the ball
    Source   Croce and Hein 2020, arXiv 2003.01690, section 5 (the standard version)
    """
    told = parts(objective, x, norm=norm, steps=steps, restarts=restarts, rivals=rivals, queries=queries)
    return _best(objective, x, epsilon, told, norm, seed)


def parts(
    objective: _rows.Objective, x: Tensor, *, norm: str = "linf", steps: int = 100, restarts: int = 1,
    rivals: int = 9, queries: int = 5000,
) -> list[Part]:  # fmt: skip
    """The parts of `autoattack`, each an objective and a search.

    Reads    as `autoattack`
    Returns  pairs; ValueError where the network has no logits, or the number is targeted
    """
    _near.able(objective)
    if norm not in ("linf", "l2"):
        raise ValueError(f'norm: {norm!r}; the ensemble knows "linf" and "l2"')
    if not len(x):
        return []
    outputs, goals, _, place = _near.goals(objective, x)
    if bool((goals.sum(1) != goals.shape[1] - 1).any()):
        raise ValueError("objective: the ensemble is untargeted; give classify.margin without a target")
    label = _of_clean((~goals).to(torch.uint8).argmax(1), place)
    climb = functools.partial(apgd.apgd, steps=steps, restarts=restarts)
    made: list[Part] = [(_with(objective, functools.partial(_cross_entropy, label=label)), climb)]
    ranked = outputs.masked_fill(~goals, -torch.inf).argsort(dim=1, descending=True, stable=True)
    if outputs.shape[1] < 4:
        rivals = 0
    for rank in range(min(rivals, outputs.shape[1] - 1)):
        number = functools.partial(_ratio, label=label, target=_of_clean(ranked[:, rank], place))
        made.append((_with(objective, number), functools.partial(apgd.apgd, steps=steps)))
    nearest = functools.partial(minimal.fab, steps=steps, restarts=restarts, rivals=max(rivals, 1))
    return [*made, (objective, nearest), (objective, functools.partial(square.square, queries=queries))]


def _best(
    objective: _rows.Objective, x: Tensor, epsilon: float | Tensor, told: Sequence[Part], norm: str, seed: int
) -> Tensor:
    budget, best = _sets.wide(epsilon, x), _rows.fresh(x)
    best.take(x, *_rows.look(objective, x))
    for inner, search in told:
        rows = (~best.broken & (budget.flatten() > 0)).nonzero().flatten()
        if not len(rows):
            break
        known = inspect.signature(search).parameters
        given: dict[str, Any] = {"norm": norm, "seed": seed, "drop": True}
        given = {name: value for name, value in given.items() if name in known and not _set(search, name)}
        found = search(_rows.part(inner, rows), x[rows], budget.flatten()[rows], **given)
        best.take(found, *_rows.look(objective, found, rows), rows)
    return best.x


def _set(search: Any, name: str) -> bool:
    """Whether a partial already holds the argument."""
    return isinstance(search, functools.partial) and name in search.keywords


def _with(objective: Any, number: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """The objective with another number, and the same notion of what is broken."""
    if isinstance(objective, _rows.Fixed | _rows.Part):
        return objective._replace(objective=_with(objective.objective, number))
    if not isinstance(objective, _rows.Value):
        raise ValueError(f"objective: a {type(objective).__name__} has no logits; give classify.margin")
    return objective._replace(number=number, sides=())


def _of_clean(classes: Tensor, place: Tensor) -> Tensor:
    """Classes by the row of the clean batch that the objective was built on."""
    made = torch.zeros(int(place.max()) + 1, dtype=torch.long, device=classes.device)
    made[place] = classes
    return made


def _cross_entropy(outputs: Tensor, rows: Tensor, *, label: Tensor) -> Tensor:
    return functional.cross_entropy(outputs, label[rows], reduction="none")


def _ratio(outputs: Tensor, rows: Tensor, *, label: Tensor, target: Tensor) -> Tensor:
    """The lead of the target over the label, in units of a spread of the logits (arXiv 2003.01690, eq. 7)."""
    ranked = outputs.sort(dim=1, descending=True).values
    spread = ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2
    lead = outputs.gather(1, target[rows, None]) - outputs.gather(1, label[rows, None])
    return lead[:, 0] / spread.clamp_min(1e-12)
