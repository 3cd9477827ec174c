"""The masking audit: whether attacks on a network are as strong as they seem, before a number is believed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from analyses import robustness
from loaders.schema import check, nearest
from pipeline.attacks import classify, respond
from pipeline.attacks._rows import look, streams
from pipeline.attacks._whole import still, whole
from pipeline.attacks.apgd import apgd
from pipeline.models import _seeded, _weights

from . import (
    _attack_plan,
    _audit_active,
    _audit_flags,
    _audit_forward,
    _audit_gradient,
    _audit_searches,
    _audit_surrogate,
)
from ._audit_forward import SUMS
from ._audit_searches import Plan
from ._pictures import check_range
from .record import built

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS = {"drive": respond.drive, "suppress": respond.suppress, "displace": respond.displace}
QUICK = {"steps": 15, "restarts": 1, "queries": 50, "learning": 20, "draws": 3, "batch": 16}  # for tests


def battery(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    epsilons: Sequence[float],
    weights: xr.Dataset | None = None,
    label: str = "label",
    neuroid: int | None = None,
    target: str = "drive",
    objective: Callable[..., Any] | None = None,
    norm: str = "linf",
    steps: int = 40,
    restarts: int = 5,
    queries: int = 1000,
    learning: int = 300,
    directions: int = 20,
    draws: int = 10,
    surrogate: Callable[..., Any] | str | None = None,
    surrogate_weights: xr.Dataset | None = None,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    batch: int = 64,
    seed: int = 0,
) -> xr.Dataset:
    """Every attack beside every sign that attacks are weak, on a classifier or on one predicted response.

    Attacks: noise of equal norm, one step, PGD, Auto-PGD on each loss, Square, and pictures made on a
    surrogate; at every budget and at the range, where any picture is allowed. A network whose passes differ
    is attacked and scored on the mean of some draws. Nothing is left out where a flag is raised.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; label, its coordinate with the class;
             or neuroid, whose response is moved, and target: "drive", "suppress" or "displace"; or objective,
             any other number to raise, in its own units; epsilons, budgets in `norm` (linf or l2), those
             beyond the range are cut; steps and restarts of searches by gradient; queries of Square;
             learning, steps of the surrogate that is made where none is given; directions of central
             differences; draws of a randomised network; model, weights, size, mean and std as
             `record.activations`
    Returns  broken or value (attack, epsilon, stimulus), right or clean (stimulus); accuracy or change
             (attack, epsilon) and union (epsilon) with intervals; measured, threshold, raised, state, reason
             (flag); surface (step, component); sentence, because, allowed (claim)
    Source   Croce and Hein 2020, arXiv 2003.01690; Carlini et al. 2019, arXiv 1902.06705; Zimmermann et al.
             2022, arXiv 2206.13991
    """
    told = {"steps": steps, "restarts": restarts, "queries": queries, "learning": learning}
    _check(target, norm, {**told, "directions": directions, "draws": draws})
    asked, wide = _attack_plan.planned(stimuli, classify.margin, apgd, epsilons, norm, batch, False, seed)
    budgets = (*_below(asked.epsilons, norm, stimuli), _attack_plan.limit(stimuli, norm))
    module, made_by = built(model, weights, seed)
    _weights.finite(module.state_dict())
    x = _pictures(stimuli, module)
    plain = whole(module, size, mean, std, 1, batch)
    other = None
    if surrogate is not None or surrogate_weights is not None:
        other = whole(built(surrogate, surrogate_weights, seed)[0], size, mean, std, 1, batch)
    with _seeded.apart(seed), still(plain), still(nn.Identity() if other is None else other):
        found, different, mixed = _audit_forward.randomness(plain, x)
        used = draws if different > robustness.FLAGS["randomised"].threshold and not mixed else 1
        losses, classes = _losses(found, stimuli, weights, asked, label, neuroid, target, objective)
        net = whole(module, size, mean, std, used, batch) if used > 1 else plain
        plan = Plan(net, x, losses, classes, norm, budgets, steps, restarts, queries, batch, seed)
        made, flags = _examined(plan, plain, found, other, learning, directions)
    flags["randomised"] = _audit_flags.Measured(different, None, mixed or f"{used} draws a pass")
    kept = {"model": made_by, "weights_sha256": _weights.digest(module), "draws": used}
    kept |= {"epsilon": budgets[-2], "range": budgets[-1]}
    kept |= {"clipped": ", ".join(f"{value:g}" for value in wide)} if wide else {}
    kept |= {"target": "untargeted", "chance": 1 / found.shape[1]} if classes else {"target": plan.main}
    kept |= {} if neuroid is None else {"neuroid": neuroid}
    return _dataset(stimuli, plan, made, flags, kept)


def plot(result: xr.Dataset) -> Figure:
    """The score over epsilon under each attack, with flags, and the loss surface.

    Reads    what `battery` returned
    Returns  a matplotlib Figure
    """
    return robustness.plot(result)


def _examined(
    plan: Plan, plain: nn.Module, found: Tensor, surrogate: nn.Module | None, learning: int, directions: int
) -> tuple[dict[str, Any], dict[str, _audit_flags.Measured]]:
    """All that was run, and all that was measured but the difference of two passes."""
    measured = _audit_flags.Measured
    judge = plan.objective(plan.judge)
    largest = plan.epsilons[-2]
    share, kind = _audit_forward.probabilities(found, plan.classes)
    flags = {
        "softmax": measured(share, None, kind),
        "optimisation": measured(_audit_forward.optimisation(plain, plan.x[:2])),
        "zero gradient": measured(_audit_gradient.zero(plan.sloped(), plan.x, largest, plan.norm, plan.seed)),
    }
    told_of = judge if plan.classes else plan.sloped()
    error, note = _audit_gradient.mismatch(told_of, plan.x, largest, plan.norm, directions, plan.seed)
    flags["gradient"] = measured(error, None, note)
    if surrogate is None:
        pixel = largest if plan.norm == "linf" else largest / math.sqrt(plan.x[:1].numel())
        surrogate = _audit_surrogate.distilled(
            plan.module, plan.x, epsilon=pixel, classes=plan.classes, steps=learning, seed=plan.seed,
        )  # fmt: skip
    tried, told = _audit_searches.attacks(plan, surrogate)
    if kind == SUMS and plan.classes:
        tried["apgd, logits"], told["apgd, logits"] = _audit_searches.logged(plan, plan.module)
    before = look(judge, plan.x)[0].double().cpu().numpy()
    flags |= _audit_flags.compared(plan, tried, before, _audit_flags.reached(plan))
    search = functools.partial(apgd, steps=plan.steps, restarts=plan.restarts, norm=plan.norm, seed=plan.seed)
    share, note = _audit_active.planted(plan.module, plan.x, largest, plan.norm, search, plan.seed)
    flags["active test"] = measured(share, None, note)
    way = torch.randn(plan.x.shape[1:], generator=streams(plan.x[:1], plan.seed, 5)[0]).to(plan.x)
    row = _typical(tried["pgd"].value[-2] - before)
    shown = _audit_flags.surface(plan, tried["pgd"].x[-2], row, 21, way)
    made = {"tried": tried, "told": told, "clean": before, "surface": shown, "row": row}
    return made, flags


def _typical(gain: np.ndarray) -> int:
    """The picture in the middle of what was gained."""
    return int(np.argsort(gain, kind="stable")[len(gain) // 2])


def _losses(
    found: Tensor, stimuli: xr.Dataset, weights: xr.Dataset | None, asked: Any, label: str,
    neuroid: int | None, target: str, objective: Callable[..., Any] | None,
) -> tuple[dict[str, Any], bool]:  # fmt: skip
    """What is raised, by name, and whether it is the error of a class."""
    if objective is not None:
        return {_attack_plan.short(objective): objective}, False
    if neuroid is not None:
        spread = float(found[:, neuroid].double().std()) if 0 <= neuroid < found.shape[1] else 1.0
        return {target: functools.partial(TARGETS[target], neuroid=neuroid, scale=spread)}, False
    codes = _attack_plan.given(stimuli, asked, weights, label, None, None)["label"]
    held = torch.from_numpy(codes).to(found.device)
    names = {"cross-entropy": classify.cross_entropy, "margin": classify.margin}
    names |= {"dlr": classify.dlr} if found.shape[1] > 2 else {}
    names["squared error"] = classify.squared_error
    return {name: functools.partial(loss, label=held) for name, loss in names.items()}, True


def _below(epsilons: Sequence[float], norm: str, stimuli: xr.Dataset) -> tuple[float, ...]:
    """Budgets between 0 and the range; 0 is the clean score, which is shown anyway."""
    kept = tuple(value for value in epsilons if 0 < value < _attack_plan.limit(stimuli, norm))
    if not kept:
        raise ValueError("epsilons: none lies between 0 and the range of pictures; give those of the claim")
    return kept


def _check(target: str, norm: str, numbers: dict[str, int]) -> None:
    if norm not in ("linf", "l2"):
        raise ValueError(f"norm: {norm!r}; an audit needs one that all its attacks know: linf or l2")
    if target not in TARGETS:
        raise ValueError(f"target: {target!r}; {nearest(target, TARGETS)}")
    _seeded.positive(**numbers)


def _pictures(stimuli: xr.Dataset, module: nn.Module) -> Tensor:
    pixels = np.array(stimuli["image"].values, dtype=np.float32)
    if len(pixels) < 2:
        raise ValueError(f"stimuli: {len(pixels)}; an audit compares two pictures or more")
    check_range(pixels, 0)
    sample = next((p for p in module.state_dict().values() if p.is_floating_point()), None)
    return torch.from_numpy(pixels).to(torch.get_default_device() if sample is None else sample.device)


def _dataset(
    stimuli: xr.Dataset,
    plan: Plan,
    made: dict[str, Any],
    flags: dict[str, _audit_flags.Measured],
    kept: dict[str, Any],
) -> xr.Dataset:
    """The record with its accounting, flags, surface and sentences."""
    tried, told = made["tried"], made["told"]
    dims, one = ("attack", "epsilon", "stimulus"), {"units": "1"}
    units = {"units": "SD" if "neuroid" in kept else "1"}
    held: dict[str, Any] = {"value": (dims, np.stack([item.value for item in tried.values()]), units)}
    held["clean"] = ("stimulus", made["clean"], units)
    if plan.classes:
        held["broken"] = (dims, np.stack([item.broken for item in tried.values()]).astype(np.int8), one)
        right = (made["clean"] < 0).astype(np.int8)
        held["right"] = ("stimulus", right, one)
    coords: dict[str, Any] = {"attack": list(tried), "epsilon": list(plan.epsilons)}
    coords["stimulus_id"] = ("stimulus", stimuli["stimulus_id"].values)
    for name in robustness.PER_ATTACK:
        coords[name] = ("attack", np.array([getattr(item, name) for item in told.values()]))
    attrs = {
        "origin": str(stimuli.attrs.get("origin", "model")),
        "norm": plan.norm,
        "n": len(plan.x),
        "seed": plan.seed,
        **kept,
    }
    recording = xr.Dataset(held, coords, attrs)
    values = {name: item.value for name, item in flags.items()}
    limits = {name: item.threshold for name, item in flags.items() if item.threshold is not None}
    notes = {name: item.note for name, item in flags.items()}
    without = () if plan.classes else ("loss-sensitive",)
    table = robustness.flags(values, threshold=limits, note=notes, without=without)
    along, shown = made["surface"]
    picture = str(stimuli["stimulus_id"].values[made["row"]])
    plane = xr.Dataset(
        {"surface": (("step", "component"), shown, {**units, "picture": picture})},
        {"along": ("step", along), "across": ("component", along - 0.5)},
    )
    audit = xr.merge([recording, robustness.accounting(recording), table, plane], combine_attrs="override")
    audit.attrs = robustness.accounting(recording).attrs
    return check(audit.merge(robustness.weigh(audit), combine_attrs="override"))
