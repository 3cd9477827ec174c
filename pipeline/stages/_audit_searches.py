"""The searches of an audit: what each does to every picture at every budget, raw, and with more work."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.attacks._rows import Fixed, Objective, look, sides
from pipeline.attacks._whole import Whole
from pipeline.attacks.apgd import apgd
from pipeline.attacks.noise import noise
from pipeline.attacks.pgd import fgsm, pgd
from pipeline.attacks.square import square

Loss = Callable[[nn.Module, Tensor], Callable[..., Tensor]]
GRADIENT = ("fgsm", "pgd", "apgd")


class Plan(NamedTuple):
    """What is attacked, how hard, and what counts."""

    module: nn.Module
    x: Tensor
    losses: dict[str, Loss]  # the first is the main one
    classes: bool
    norm: str
    epsilons: tuple[float, ...]  # in rising order, the range last
    steps: int
    restarts: int
    queries: int
    batch: int
    seed: int

    def objective(self, loss: Loss, module: nn.Module | None = None) -> Objective:
        return Fixed(loss(module or self.module, self.x), self.batch)  # type: ignore[return-value]

    @property
    def main(self) -> str:
        """The loss that the first searches raise."""
        return next(iter(self.losses))

    @property
    def judge(self) -> Loss:
        """What all pictures are compared on."""
        return self.losses["margin" if self.classes else self.main]

    def sloped(self) -> Objective:
        """The main objective, or one side of it where it has no slope at the clean picture."""
        return sides(self.objective(self.losses[self.main]))[0]


class Tried(NamedTuple):
    """What an attack did: pictures, numbers and broken labels, the budgets in front."""

    x: Tensor  # (epsilon, image, channel, y, x)
    value: np.ndarray  # of the judge
    broken: np.ndarray
    raised: np.ndarray  # of the loss that was raised itself


class Told(NamedTuple):
    """The record of an attack."""

    search: str
    loss: str
    steps: int
    step_size: float
    restarts: int
    knowledge: str


def attacks(plan: Plan, surrogate: nn.Module) -> tuple[dict[str, Tried], dict[str, Told]]:
    """Every attack of the battery, by name, and how each was run."""
    main = plan.main
    last = "margin" if plan.classes else main
    hard = functools.partial(apgd, steps=plan.steps, restarts=plan.restarts, drop=plan.classes)
    made: dict[str, tuple[Callable[..., Tensor], str, nn.Module | None, Told]] = {
        "noise": (noise, last, None, Told("noise", last, 1, 1.0, 1, "none")),
        "fgsm": (fgsm, main, None, Told("fgsm", main, 1, 1.0, 1, "white box")),
        "pgd": (
            functools.partial(pgd, steps=plan.steps), main, None,
            Told("pgd", main, plan.steps, 0.25, 1, "white box"),
        ),
    }  # fmt: skip
    for loss in plan.losses:
        name = "apgd" if loss == main else f"apgd, {loss}"
        made[name] = (hard, loss, None, Told("apgd", loss, plan.steps, 0.0, plan.restarts, "white box"))
    made["square"] = (
        functools.partial(square, queries=plan.queries, drop=plan.classes), last, None,
        Told("square", last, plan.queries, 0.0, 1, "score"),
    )  # fmt: skip
    made["transfer"] = (
        functools.partial(apgd, steps=plan.steps), last, surrogate,
        Told("apgd", last, plan.steps, 0.0, 1, "transfer"),
    )  # fmt: skip
    tried = {name: run(plan, search, loss, module) for name, (search, loss, module, _) in made.items()}
    return tried, {name: told for name, (*_, told) in made.items()}


def logged(plan: Plan, module: nn.Module) -> tuple[Tried, Told]:
    """Auto-PGD on the logarithm of probabilities, in double precision: on logits, as far as they survived."""
    search = functools.partial(apgd, steps=plan.steps, restarts=plan.restarts, drop=True)
    told = Told("apgd", "margin of log outputs", plan.steps, 0.0, plan.restarts, "white box")
    return run(plan, search, "margin", Logs(module)), told


class Logs(nn.Module):
    """The logarithm of what a network gives, computed by a copy of it in double precision."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).double()
        if isinstance(self.module, Whole):
            self.module.dtype = torch.float64

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.module(x.double())
        return found.clamp_min(torch.finfo(torch.float64).tiny).log().to(x.dtype)


def run(
    plan: Plan, search: Callable[..., Tensor], loss: str, module: nn.Module | None = None,
    epsilons: tuple[float, ...] = (),
) -> Tried:  # fmt: skip
    """One search at every budget; made on another module, it is judged on the audited one all the same."""
    raised, judge = plan.objective(plan.losses[loss], module), plan.objective(plan.judge)
    found, values, broken, own = [], [], [], []
    for epsilon in epsilons or plan.epsilons:
        x = search(raised, plan.x, epsilon, norm=plan.norm, seed=plan.seed)
        value, lost = look(judge, x)
        found.append(x)
        values.append(value)
        broken.append(lost)
        own.append(look(raised, x)[0])
    numbers = [torch.stack(part).double().cpu().numpy() for part in (values, own)]
    return Tried(torch.stack(found), numbers[0], torch.stack(broken).cpu().numpy(), numbers[1])


def strength(plan: Plan, tried: Tried, clean: np.ndarray) -> np.ndarray:
    """What an attack did to each picture (epsilon, image): lost its label or not, or how far it moved."""
    return tried.broken.astype(float) if plan.classes else tried.value - clean


def best(plan: Plan, tried: dict[str, Tried], clean: np.ndarray) -> np.ndarray:
    """The strongest of the attacks that follow the gradient, for each picture (epsilon, image)."""
    return np.max(
        [strength(plan, item, clean) for name, item in tried.items() if name.split(",")[0] in GRADIENT],
        axis=0,
    )
