"""Measured values and thresholds of the flags that compare one search with another."""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from analyses.robustness import excess
from pipeline.attacks._rows import climb, look
from pipeline.attacks.apgd import apgd
from pipeline.attacks.pgd import length, steepest

from ._audit_searches import Plan, Tried, best, run, strength

LINEAR = 0.2  # a step that gains what its slope foretold within this is as good as many


class Measured(NamedTuple):
    value: float
    threshold: float | None = None
    note: str = ""


def compared(
    plan: Plan, tried: dict[str, Tried], clean: np.ndarray, reach: np.ndarray
) -> dict[str, Measured]:
    """Every flag that searches raise.

    Reads    tried, by name; clean, the judge's number of the clean pictures; reach (image,), what the judge
             is known to reach where every picture is allowed
    """
    below = slice(0, len(plan.epsilons) - 1)
    white = best(plan, tried, clean)
    square, transfer = (strength(plan, tried[name], clean) for name in ("square", "transfer"))
    made = {
        "black box": _most(square[below], white[below], plan.epsilons),
        "transfer": _most(transfer[below], white[below], plan.epsilons),
        "single step": _single(plan, tried),
        "noise": _noise(plan, tried, clean),
        "no floor": _floor(plan, tried, reach),
    }
    main = middle(plan, white)
    less = strength(plan, tried["apgd"], clean)[main]
    more = {name: strength(plan, item, clean)[0] for name, item in _more(plan, main).items()}
    made["not monotone"] = _falls(plan, white, less, more)
    scale = 1.0 if plan.classes else max(abs(float(less.mean())), 1e-12)
    gains = {name: excess(np.maximum(won, less) / scale, less / scale) for name, won in more.items()}
    gain, luck = max(gains.values(), key=lambda pair: pair[0] - pair[1])
    told = ", ".join(f"{name} {100 * pair[0]:.3g} %" for name, pair in gains.items())
    made["not saturated"] = Measured(gain, max(0.01, luck), f"at {plan.epsilons[main]:.3g}, {told}")
    if plan.classes:
        made["loss-sensitive"] = _spread(plan, tried, clean, main)
    return made


def middle(plan: Plan, white: np.ndarray) -> int:
    """The budget below the range at which half of what can be won is won: where more work would show."""
    won = white[:-1].mean(axis=1)
    return int(np.abs(won - 0.5).argmin()) if plan.classes else len(won) - 1


def _most(one: np.ndarray, other: np.ndarray, epsilons: tuple[float, ...]) -> Measured:
    """The budget at which one attack is furthest ahead of the other, beyond luck."""
    pairs = [excess(a, b) for a, b in zip(one, other, strict=True)]
    place = int(np.argmax([gain - luck for gain, luck in pairs]))
    gain, luck = pairs[place]
    return Measured(gain, max(luck, 1e-6), f"at {epsilons[place]:.3g}")


def _single(plan: Plan, tried: dict[str, Tried]) -> Measured:
    """The gain of one step over that of many, on the number that both raised.

    Where a number is linear within the budget one step is as good, so it counts only where the slope at the
    clean picture did not foretell the gain.
    """
    slope = climb(plan.sloped(), plan.x)[2]
    before = look(plan.objective(plan.losses[plan.main]), plan.x)[0].double().cpu().numpy()
    worst = Measured(0.0)
    for place, epsilon in enumerate(plan.epsilons[:-1]):
        one, many = (float((tried[name].raised[place] - before).mean()) for name in ("fgsm", "pgd"))
        way = steepest(slope, plan.x, plan.norm) * epsilon
        moved = (plan.x + way).clamp(0, 1) - plan.x
        foretold = float((slope * moved).double().flatten(1).sum(1).mean())
        ratio = one / many if many > 1e-12 * max(1.0, np.abs(before).max()) else 1.0
        linear = foretold > 0 and abs(one - foretold) <= LINEAR * foretold
        found = Measured(ratio, None, f"at {epsilon:.3g}")
        if linear and ratio <= 1 + 1e-6:
            found = Measured(min(ratio, 0.999), None, "linear within the budget")
        worst = found if found.value > worst.value else worst
    return worst


def _noise(plan: Plan, tried: dict[str, Tried], clean: np.ndarray) -> Measured:
    gain = {name: (tried[name].value[:-1] - clean).mean(axis=1) for name in ("noise", "pgd")}
    tiny = 1e-9 * max(1.0, float(np.abs(clean).max()))
    ratio = np.where(gain["pgd"] > tiny, gain["noise"] / np.maximum(gain["pgd"], tiny), 1.0)
    place = int(ratio.argmax())
    return Measured(float(ratio[place]), None, f"at {plan.epsilons[place]:.3g}")


def _floor(plan: Plan, tried: dict[str, Tried], reach: np.ndarray) -> Measured:
    """At the range: accuracy above chance; of a response, the share that another clean picture surpasses."""
    name = f"at the range, {plan.epsilons[-1]:.3g}"
    if plan.classes:
        names = [key for key in tried if key.split(",")[0] in ("pgd", "apgd")]
        left = 1 - np.max([tried[key].broken[-1] for key in names], axis=0).mean()
        with torch.no_grad():
            chance = 1 / plan.module(plan.x[:1]).shape[1]
        return Measured(float(left), chance, f"accuracy {name}, chance {chance:.2g}")
    short = tried["apgd"].value[-1] < reach - 1e-4 * np.ptp(reach)
    return Measured(
        float(short.mean()), 0.02, f"share of pictures that do worse than another clean picture {name}"
    )


def _falls(plan: Plan, white: np.ndarray, less: np.ndarray, more: dict[str, np.ndarray]) -> Measured:
    """The largest loss of strength, over the budgets or with more work."""
    places = [f"from {a:.3g} to {b:.3g}" for a, b in itertools.pairwise(plan.epsilons)]
    pairs = {place: excess(*ends) for place, ends in zip(places, itertools.pairwise(white), strict=True)}
    pairs["with twice the steps"] = excess(less, more["twice the steps"])
    place = max(pairs, key=lambda name: pairs[name][0] - pairs[name][1])
    return Measured(*pairs[place], note=place)


def _more(plan: Plan, main: int) -> dict[str, Tried]:
    """The main search with twice the steps, and with as many other starts again."""
    loss, at = plan.main, (plan.epsilons[main],)
    long = functools.partial(apgd, steps=2 * plan.steps, restarts=plan.restarts, drop=plan.classes)
    fresh = functools.partial(apgd, steps=plan.steps, restarts=plan.restarts, drop=plan.classes)
    other = plan._replace(seed=plan.seed + 1)
    return {
        "twice the steps": run(plan, long, loss, epsilons=at),
        "as many other starts": run(other, fresh, loss, epsilons=at),
    }


def _spread(plan: Plan, tried: dict[str, Tried], clean: np.ndarray, main: int) -> Measured:
    won = {
        loss: strength(plan, tried["apgd" if k == 0 else f"apgd, {loss}"], clean)[main]
        for k, loss in enumerate(plan.losses)
    }
    most = max(plan.losses, key=lambda loss: float(won[loss].mean()))
    gap, luck = excess(won[most], won[plan.main])
    told = ", ".join(f"{loss} {100 * (1 - won[loss].mean()):.3g} %" for loss in plan.losses)
    return Measured(gap, max(0.05, luck), f"accuracy at {plan.epsilons[main]:.3g}: {told}")


def surface(
    plan: Plan, attacked: Tensor, row: int, points: int, way: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """What is raised on the plane of the attack and a random direction of its norm, around one picture.

    Reads    attacked, the pictures of one budget; row, the picture; way, the random direction
    Returns  steps along the attack, in attacks; values (along, across), the steps across half an attack less
    """
    along = torch.linspace(-0.5, 1.5, points, dtype=plan.x.dtype, device=plan.x.device)
    first = (attacked - plan.x)[[row]]
    second = way[None] * length(first, plan.norm) / length(way[None], plan.norm)
    down, across = (part.reshape(-1, 1, 1, 1) for part in torch.meshgrid(along, along - 0.5, indexing="ij"))
    grid = (plan.x[[row]] + down * first + across * second).clamp(0, 1)
    rows = torch.full((len(grid),), row, device=plan.x.device)
    value = look(plan.objective(plan.judge), grid, rows)[0].double().cpu().numpy()
    return along.double().cpu().numpy(), value.reshape(points, points)


def reached(plan: Plan) -> np.ndarray:
    """The most that the judge's number of each picture is when another clean picture stands in its place."""
    judge = plan.objective(plan.judge)
    every = plan.x.new_zeros(len(plan.x))
    for row in range(len(plan.x)):
        rows = every.new_full((len(plan.x),), row).long()
        every[row] = look(judge, plan.x, rows)[0].max()
    return np.asarray(every.double().cpu().numpy())
