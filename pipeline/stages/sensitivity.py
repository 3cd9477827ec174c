"""Networks' units, and simulated sites, attacked with all knowledge: what `analyses.sensitivity` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from analyses import _sensitivity_plots
from analyses import _sensitivity_units as kernels
from analyses._sensitivity_labelled import ATTACK, NATURAL, RANDOM
from loaders.schema import check, nearest
from pipeline.attacks import respond
from pipeline.attacks._whole import still

from . import _sensitivity_budgets as budget_kinds
from . import _sensitivity_push as push
from . import record

TARGETS = ("population", "unit", "decoder")
plot = _sensitivity_plots.recorded


def attack(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    weights: xr.Dataset | None = None,
    layers: Sequence[str] = ("output",),
    units: int = 20,
    pictures: int = 12,
    epsilons: Sequence[float] = (0.14, 0.43, 0.86, 1.43),
    search: Callable[..., Tensor] | None = None,
    norm: str = "l2",
    budgets: Sequence[str] = (),
    judge: xr.Dataset | None = None,
    surrogate: xr.Dataset | None = None,
    population: str = "",
    area: str = "",
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """Each of some units moved as far as can be, picture by picture, by someone who knows the network.

    Beside the attack: a random direction and a step towards the nearest other picture, both of the same
    size, and the picture made for another unit.

    Reads    image (stimulus, channel, y, x) in [0, 1]; model and weights, as `record.activations`; layers,
             names of layers, of each of which `units` are drawn that vary ("output" of simulated sites: all);
             pictures, how many are drawn and attacked; epsilons in units of the norm; search, by default the
             annealed one; budgets, further arms: linf of equal size a pixel, low-pass, contrast sensitivity;
             judge, weights of a classifier whose changes of class are noted; population and area, whose
             units they are, in words; surrogate, weights of another network with the same units, such as one
             fitted to exchanged pictures: a further arm whose pictures it makes
    Returns  clean (stimulus, neuroid), moved, and with a judge judged (arm, epsilon, stimulus, neuroid), with
             layer (neuroid); attrs silent, units that were not drawn as they do not vary
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    told = push.how(epsilons, search, norm, batch, seed)
    rows = push.shuffled_rows(stimuli, pictures + 1, seed)
    x, others = push.pixels(stimuli, rows[:pictures]), push.pixels(stimuli, rows[pictures:])
    judging = None if judge is None else record.built(None, judge, seed)[0].eval()
    arms = [ATTACK, RANDOM, NATURAL, push.OTHER, *budgets, *([] if surrogate is None else [push.SHUFFLED])]
    parts, names, silent = [], [], 0
    for layer in layers:
        module, ids, dead = _drawn_units(model, weights, layer, units, others, told)
        other = None if surrogate is None else _likewise(surrogate, layer, ids, told)
        parts.append(_attacked(module, x, others, len(ids), budgets, judging, told, other))
        names += ids
        silent += dead
    made = {key: np.concatenate([part[key] for part in parts], axis=-1) for key in parts[0]}
    dims = ("arm", "epsilon", "stimulus", "neuroid")
    variables = {key: (dims[-part.ndim :], part, {"units": "1"}) for key, part in made.items()}
    coords = _coords(stimuli, rows[:pictures], told, arms)
    coords["neuroid_id"] = ("neuroid", np.array(names))
    coords["layer"] = ("neuroid", np.array([name.rpartition(":")[0] for name in names]))
    attrs = {
        **_of_whom(weights, population, area), "knowledge": "white-box",
        "norm": norm, "search": push.searched(told), "layer": ", ".join(layers),
        "noise": "none", "target": "unit",
        "silent": silent, "seed": seed, "readout": "as the layer gives it",
    }  # fmt: skip
    return check(xr.Dataset(variables, coords, attrs))


def aimed(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    weights: xr.Dataset | None = None,
    layer: str = "output",
    target: str = "population",
    decoder: xr.Dataset | None = None,
    pictures: int = 24,
    epsilons: Sequence[float] = (0.14, 0.43, 0.86, 1.43),
    search: Callable[..., Tensor] | None = None,
    norm: str = "l2",
    population: str = "",
    area: str = "",
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """One picture made for all neuroids at once, for one of them, or for what a decoder reads out of them.

    Reads    as `attack`; target, population (the length of the change), unit (one neuroid a picture, in
             turn), or decoder (its margin); decoder, what `analyses.sensitivity_controls.decoder` returned
    Returns  clean (stimulus, neuroid), moved (arm, epsilon, stimulus, neuroid): what every neuroid does;
             arms attack, random direction, natural step
    Source   Guo et al. 2022, arXiv 2206.11228; Averbeck, Latham and Pouget 2006, doi 10.1038/nrn1888
    """
    if target not in TARGETS:
        raise ValueError(f"target: {target!r}; {nearest(target, TARGETS)}")
    if (target == "decoder") != (decoder is not None):
        raise ValueError(
            "decoder: is wanted for target 'decoder', and for no other; give what decoder returned"
        )
    told = push.how(epsilons, search, norm, batch, seed)
    rows = push.shuffled_rows(stimuli, pictures + 1, seed)
    x, others = push.pixels(stimuli, rows[:pictures]), push.pixels(stimuli, rows[pictures:])
    module = nn.Sequential(push.layer_of(model, weights, layer, seed), nn.Flatten()).eval()
    clean = push.answers(module, x, batch)
    made = _aimed(module, x, clean.shape[1], _objective(target, decoder, clean.shape[1]), told)
    arms = {ATTACK: made, RANDOM: push.random_steps(x, told),
            NATURAL: push.natural_steps(x, others, told)}  # fmt: skip
    moved = np.stack([push.evoked(module, pictures_, batch) for pictures_ in arms.values()])
    dims = ("arm", "epsilon", "stimulus", "neuroid")
    coords = _coords(stimuli, rows[:pictures], told, list(arms))
    coords["neuroid_id"] = ("neuroid", np.array([f"{layer}:{k}" for k in range(clean.shape[1])]))
    attrs = {
        **_of_whom(weights, population, area), "knowledge": "white-box",
        "norm": norm, "search": push.searched(told), "layer": layer, "noise": "none",
        "target": target, "seed": seed,
    }  # fmt: skip
    variables = {"clean": (dims[2:], clean, {"units": "1"}), "moved": (dims, moved, {"units": "1"})}
    return check(xr.Dataset(variables, coords, attrs))


def _of_whom(weights: xr.Dataset | None, population: str, area: str) -> dict[str, str]:
    """Where responses come from, whose they are, and of which area: of simulated sites as these say."""
    told = {} if weights is None else weights.attrs
    simulated = "simulat" in str(told.get("origin", ""))
    known = str(told.get("population", "")) if simulated else "units of a network"
    return {
        "origin": "simulated" if simulated else "model", "population": population or known,
        "area": area or (str(told.get("area", "none")) if simulated else "none"),
    }  # fmt: skip


def _coords(stimuli: xr.Dataset, rows: np.ndarray, told: push.How, arms: Sequence[str]) -> dict[str, Any]:
    coords: dict[str, Any] = {
        str(name): ("stimulus", coord.values[rows])
        for name, coord in stimuli.coords.items() if coord.dims == ("stimulus",) and name != "stimulus"
    }  # fmt: skip
    coords["epsilon"] = ("epsilon", np.array(told.epsilons), {"units": told.norm})
    return coords | {"arm": ("arm", np.array(arms))}


def _drawn_units(
    model: Any, weights: xr.Dataset | None, layer: str, units: int, others: Tensor, told: push.How
) -> tuple[nn.Module, list[str], int]:
    """A module of some units of a layer that vary over pictures; their names; how many do not vary."""
    front = push.layer_of(model, weights, layer, told.seed)
    seen = push.answers(front, others[:256], told.batch)
    varying = np.flatnonzero(~kernels.silent(seen.std(axis=0)))
    if not varying.size:
        raise ValueError(f"layers: no unit of {layer!r} varies over pictures; name another layer")
    rng = np.random.default_rng([told.seed, len(layer)])
    place = np.sort(rng.permutation(varying)[:units])
    if seen.shape[1] <= units:
        place = varying
    return push.Chosen(front, place.tolist()), [f"{layer}:{k}" for k in place], seen.shape[1] - varying.size


def _attacked(
    module: nn.Module, x: Tensor, others: Tensor, neuroids: int, budgets: Sequence[str],
    judge: nn.Module | None, told: push.How, surrogate: nn.Module | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """clean (stimulus, neuroid); moved and judged (arm, epsilon, stimulus, neuroid)."""
    made = push.displaced(module, x, neuroids, told)
    single = [push.random_steps(x, told), push.natural_steps(x, others, told)]
    whole = push.evoked(module, made, told.batch)
    moved = [
        push.own(whole),
        *(push.evoked(module, steps, told.batch) for steps in single),
        push.own(whole, 1),
    ]
    pictures = [budget_kinds.displaced(module, x, neuroids, kind, told) for kind in budgets]
    if surrogate is not None:
        pictures.append(push.displaced(surrogate, x, neuroids, told))
    moved += [push.own(push.evoked(module, part, told.batch)) for part in pictures]
    found = {"clean": push.answers(module, x, told.batch), "moved": np.stack(moved)}
    if judge is not None:
        before = push.answers(judge, x, told.batch).argmax(-1)
        wide = [_changed(judge, part, before, told) for part in (made, *pictures)]
        alike = [push.spread_out(_changed(judge, part, before, told), neuroids) for part in single]
        target = [np.moveaxis(part, 1, -1) for part in wide]
        judged = [target[0], *alike, np.roll(target[0], -1, axis=-1), *target[1:]]
        found["judged"] = np.stack(judged).astype(np.int8)
    return found


def _likewise(surrogate: xr.Dataset, layer: str, ids: list[str], told: push.How) -> nn.Module:
    """The same units of another network."""
    front = push.layer_of(None, surrogate, layer, told.seed)
    return push.Chosen(front, [int(name.rpartition(":")[2]) for name in ids])


def _changed(judge: nn.Module, pictures: Tensor, before: np.ndarray, told: push.How) -> np.ndarray:
    """Whether the judge's class changed: (*lead, stimulus)."""
    return np.asarray(push.evoked(judge, pictures, told.batch).argmax(-1) != before)


def _objective(target: str, decoder: xr.Dataset | None, neuroids: int) -> Callable[..., Any]:
    if target == "population":
        return lambda module, x, rows: respond.population(module, x)
    if target == "unit":
        return lambda module, x, rows: respond.displace(module, x, neuroid=rows % neuroids)
    assert decoder is not None
    held = {name: torch.tensor(decoder[name].values, dtype=torch.float32) for name in ("weight", "bias")}
    if held["weight"].shape[1] != neuroids:
        raise ValueError(f"decoder: reads {held['weight'].shape[1]} neuroids of {neuroids}; fit it to these")
    return lambda module, x, rows: respond.decoder(module, x, **held)


def _aimed(module: nn.Module, x: Tensor, neuroids: int, make: Callable[..., Any], told: push.How) -> Tensor:
    """Pictures (epsilon, stimulus, ...) that raise one number each; a larger budget is never weaker."""
    found, value = [], []
    every = torch.arange(len(x))
    with still(module):
        objective = make(module, x, every)
        for size in told.epsilons:
            made = told.search(objective, x, size, norm=told.norm, seed=told.seed)
            found.append(made)
            value.append(push.look(objective, made)[0])
    return push.rising(torch.stack(found), torch.stack(value))
