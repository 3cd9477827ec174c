"""What an attack was asked for: checked, named, and written down as a threat model."""

from __future__ import annotations

import inspect
import json
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from loaders.schema import nearest
from pipeline.attacks import _sets

from ._named import described, found

STEPS = ("steps", "queries", "iterations")  # how a search calls the length of its work
DIMS = ("stimulus", "channel", "y", "x")


class Plan(NamedTuple):
    """All that decides what a block of examples becomes."""

    objective: Callable[..., Any]
    search: Callable[..., Tensor]
    norm: str
    epsilons: tuple[float, ...]
    batch: int
    eight_bit: bool
    seed: int


def planned(
    stimuli: xr.Dataset, objective: Callable[..., Any] | str, search: Callable[..., Tensor] | str,
    epsilons: Sequence[float], norm: str | None, batch: int, eight_bit: bool, seed: int,
) -> tuple[Plan, list[float]]:  # fmt: skip
    """The plan, and the budgets that were wider than the range; ValueError where a number is out of it."""
    if "image" not in stimuli or "stimulus_id" not in stimuli.coords:
        raise ValueError("stimuli: have no image with stimulus_id; give what loaders.images.stimuli returns")
    if stimuli["image"].dims != DIMS:
        raise ValueError(f"image: has dimensions {stimuli['image'].dims}; wanted {DIMS}")
    if batch < 1:
        raise ValueError(f"batch: {batch}; wanted one picture at least")
    objective = found(objective) if isinstance(objective, str) else objective
    search = found(search) if isinstance(search, str) else search
    norm, takes = _norm(search, norm)
    kept, wide = _budgets(epsilons, limit(stimuli, norm))
    if wide:
        told = ", ".join(f"{value:g}" for value in wide)
        why = f"wider than the range of pictures, {limit(stimuli, norm):g} in {norm}"
        warnings.warn(f"epsilons: {told}: {why}, and clipped to it", UserWarning, stacklevel=3)
    if takes:
        search = _bound(search, norm)
    return Plan(objective, search, norm, kept, batch, eight_bit, seed), wide


def limit(stimuli: xr.Dataset, norm: str) -> float:
    """The largest budget that a picture in [0, 1] has use for."""
    channel, y, x = (stimuli.sizes[dim] for dim in DIMS[1:])
    pixels = float(channel * y * x)
    return {"linf": 1.0, "l2": math.sqrt(pixels), "l1": pixels, "l0": float(y * x)}.get(norm, math.inf)


def arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """The arguments that a function, or a partial of one, will be called with where nothing else is said."""
    known = inspect.signature(function).parameters.values()
    return {item.name: item.default for item in known if item.default is not item.empty}


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes an argument of that name."""
    known = inspect.signature(function).parameters
    return name in known or any(item.kind is item.VAR_KEYWORD for item in known.values())


def short(function: Callable[..., Any]) -> str:
    """The last word of a function's name."""
    return str(described(function)["use"]).rpartition(".")[2]


def given(
    stimuli: xr.Dataset, plan: Plan, weights: xr.Dataset | None, label: str | None, target: str | int | None,
    sites: Sequence[int] | None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """What the objective is told of each example (stimulus, or stimulus by neuroid, a stimulus at a time)."""
    count, many = stimuli.sizes["stimulus"], 1 if sites is None else len(sites)
    made: dict[str, np.ndarray] = {}
    if label is not None:
        made["label"] = _codes(stimuli, label, weights)
    if target is not None:
        fixed = isinstance(target, int) and not isinstance(target, bool)
        made["target"] = np.full(count, target) if fixed else _codes(stimuli, str(target), weights)
    made = {name: np.repeat(values, many) for name, values in made.items()}
    if sites is not None:
        made["neuroid"] = np.tile(np.asarray(sites, np.int64), count)
    for name in made:
        if not accepts(plan.objective, name):
            raise ValueError(f"{name}: {short(plan.objective)} takes none; leave it out")
    return made


def chosen(neuroid: Sequence[int] | str | None, outputs: int) -> list[int] | None:
    """The neuroids that are attacked, one by one; None where the objective does not ask."""
    if neuroid is None:
        return None
    if isinstance(neuroid, str):
        if neuroid != "all":
            raise ValueError(f'neuroid: {neuroid!r}; wanted "all", or a list of whole numbers')
        return list(range(outputs))
    sites = [int(site) for site in neuroid]
    bad = [site for site in sites if not 0 <= site < outputs]
    if bad or len(set(sites)) < len(sites) or not sites:
        told = f"{bad[0]} is not among the model's {outputs}" if bad else "one stands twice, or there is none"
        raise ValueError(f"neuroid: {told}; give each once, from 0 to {outputs - 1}")
    return sites


def threat(
    plan: Plan, stimuli: xr.Dataset, knowledge: str, targeted: bool, wide: list[float]
) -> dict[str, Any]:
    """The threat model: what was allowed, known and tried."""
    if not knowledge.strip():
        raise ValueError("knowledge: is empty; say what the attacker knows, such as 'white box'")
    asked, loss = arguments(plan.search), described(plan.objective)
    respond = str(loss["use"]).startswith("pipeline.attacks.respond.")
    untargeted = short(plan.objective) if respond else "untargeted"
    made = {
        "norm": plan.norm, "search": short(plan.search), "loss": short(plan.objective),
        "steps": int(next((asked[name] for name in STEPS if isinstance(asked.get(name), int)), 1)),
        "step_size": float(asked["step"]) if isinstance(asked.get("step"), int | float) else 0.0,
        "restarts": int(asked.get("restarts") or 1), "n": stimuli.sizes["stimulus"], "seed": plan.seed,
        "knowledge": knowledge, "target": "targeted" if targeted else untargeted,
        "range": limit(stimuli, plan.norm),
        "objective": json.dumps(loss, sort_keys=True),
        "search_made_by": json.dumps(described(plan.search), sort_keys=True),
        "eight_bit": int(plan.eight_bit), "batch": plan.batch,
    }  # fmt: skip
    if plan.norm == "linf":
        made["epsilons_255"] = ", ".join(f"{255 * value:.6g}" for value in plan.epsilons)
    if wide:
        made["clipped"] = ", ".join(f"{value:g}" for value in wide)
    return made


def outputs(net: nn.Module, x: Tensor, draws: int) -> tuple[Tensor, dict[str, int]]:
    """What the network gives for the first pictures, and what is to be known of it.

    ValueError where it refuses them, gives no number, or gives others the second time and is not averaged.
    """
    try:
        with torch.no_grad():
            first, second = net(x), net(x)
    except (RuntimeError, TypeError, IndexError) as error:
        line = " ".join(str(error).split())[:200]
        why = f"refused pictures of shape {tuple(x.shape[1:])}: {line}"
        raise ValueError(f"model: {why}; give size, or a model for as many channels") from error
    if not isinstance(first, Tensor) or first.ndim != 2 or len(first) != len(x):
        shape = tuple(first.shape) if isinstance(first, Tensor) else type(first).__name__
        raise ValueError(f"model: gives {shape} for {len(x)} pictures; wanted one row of numbers for each")
    bad = torch.nonzero(~torch.isfinite(first))
    if len(bad):
        place = tuple(bad[0].tolist())
        raise ValueError(f"model: gives {float(first[place])} at {place} (image, output); wanted numbers")
    random = not torch.equal(first, second)
    if random and draws < 2:
        why = "two forward passes differ"
        raise ValueError(f"model: {why}; give draws, 10 or more, whose outputs and gradients are averaged")
    total = first.sum(1)
    soft = first.shape[1] > 1 and bool((first >= 0).all()) and bool((total - 1).abs().max() < 1e-4)
    return first, {"randomised": int(random), "softmax": int(soft)}


def _norm(search: Callable[..., Any], norm: str | None) -> tuple[str, bool]:
    """The norm of the budget, and whether the search takes it as an argument."""
    if not accepts(search, "norm"):
        return (short(search) if norm is None else _sets.known(norm)), False
    bound = getattr(search, "keywords", {}).get("norm")
    if norm is not None and bound is not None and norm != bound:
        raise ValueError(f"norm: {norm!r}, and the search is bound to {bound!r}; say it once")
    return _sets.known(str(norm or arguments(search).get("norm", "linf"))), True


def _bound(search: Callable[..., Any], norm: str) -> Callable[..., Any]:
    import functools

    return functools.partial(search, norm=norm)


def _budgets(epsilons: Sequence[float], most: float) -> tuple[tuple[float, ...], list[float]]:
    """Budgets in rising order, each once, none wider than the range; and those that were."""
    values = [float(value) for value in epsilons]
    if not values:
        raise ValueError("epsilons: are empty; give one budget at least")
    for k, value in enumerate(values):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"epsilons: is {value} at {k}; wanted numbers from 0 up")
    return tuple(sorted({min(value, most) for value in values})), [v for v in values if v > most]


def _codes(stimuli: xr.Dataset, name: str, weights: xr.Dataset | None) -> np.ndarray:
    """The class of every picture as the network counts them."""
    if name not in stimuli.coords or stimuli[name].dims != ("stimulus",):
        known = [str(key) for key, coord in stimuli.coords.items() if coord.dims == ("stimulus",)]
        raise ValueError(f"label: the stimuli have no {name!r}; {nearest(name, known)}")
    values = stimuli[name].values
    told = {} if weights is None else dict(weights.attrs)
    if "classes" in told:
        classes = told["classes"]
        known = [str(item) for item in (json.loads(classes) if isinstance(classes, str) else classes)]
        place = {item: k for k, item in enumerate(known)}
        unknown = [str(item) for item in values if str(item) not in place]
        if unknown:
            raise ValueError(f"label: {unknown[0]!r} is no class of the model; {nearest(unknown[0], known)}")
        return np.array([place[str(item)] for item in values], np.int64)
    if values.dtype.kind not in "iu":
        plain = values.tolist()
        lost = [k for k, item in enumerate(plain) if isinstance(item, float) and not math.isfinite(item)]
        first = (lost or [0])[0]
        why = f"is {plain[first]!r} at {first}" if plain else f"is of type {values.dtype}"
        raise ValueError(f"label: {name!r} {why}; wanted whole numbers, or weights that say their classes")
    return values.astype(np.int64)
