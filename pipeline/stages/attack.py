"""Pictures that move a network's number as far as a budget allows, and the record of how they were found."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from analyses import robustness
from loaders.schema import check
from pipeline.attacks._fast import reduced as fewer_bits
from pipeline.attacks._whole import still, whole
from pipeline.models import _weights

from . import _attack_blocks, _attack_plan, _attack_plot, record
from ._attack_plan import Plan
from ._named import described
from ._pictures import check_filter, check_range
from ._train_keep import aloud

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEAK = 5.0  # seconds between two lines on a terminal


def run(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    objective: Callable[..., Any] | str,
    search: Callable[..., Any] | str,
    epsilons: Sequence[float],
    weights: xr.Dataset | None = None,
    label: str | None = None,
    target: str | int | None = None,
    neuroid: Sequence[int] | str | None = None,
    norm: str | None = None,
    knowledge: str = "white box",
    eight_bit: bool = False,
    reduced: bool = False,
    keep: bool = True,
    batch: int = 32,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    draws: int = 1,
    seed: int = 0,
    home: str | Path | None = None,
) -> xr.Dataset:
    """The best picture that a search finds for each stimulus and budget.

    The network is in evaluation mode, its parameters are frozen, and resizing and normalisation are attacked
    with it. The clean picture and that of the next smaller budget are candidates, so no budget does worse
    than a smaller one. Every pass has `batch` pictures (the last is filled up). Budgets beyond the range of
    pictures are clipped to it, with a warning.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; model, weights, size, mean, std as
             `record.activations`; objective and search of `pipeline.attacks`; epsilons, in `norm`, where
             pixels are in [0, 1]; label, a coordinate with the classes; target, a coordinate or one class;
             neuroid, those that an objective on responses takes one by one ("all"); norm, where the search
             leaves it open; knowledge, what the attacker knows; eight_bit, pictures that a file can hold;
             reduced, search on a copy in bfloat16; keep, the pictures too; draws, passes of a randomised
             network that are averaged; home, the folder for blocks to go on from
    Returns  image (stimulus, channel, y, x, epsilon[, neuroid]); value, broken (1: the class is lost, or the
             target won), size of the perturbation in the norm, forwards and gradients, the passes of the
             search (epsilon, stimulus[, neuroid]); clean and right (stimulus[, neuroid]), the value of the
             clean picture and whether it was right; attrs hold the threat model, complete as
             `analyses.robustness` asks. broken and right only where the objective tells
    Source   Carlini et al. 2019, arXiv 1902.06705
    """
    plan, wide = _attack_plan.planned(stimuli, objective, search, epsilons, norm, batch, eight_bit, seed)
    check_filter(mean, std)
    module, text = record.built(model, weights, seed)
    _weights.finite(module.state_dict())
    told = _attack_plan.threat(plan, stimuli, knowledge, target is not None, wide)
    told |= {
        "model": text, "weights_sha256": _weights.digest(module), "draws": draws, "reduced": int(reduced),
        "preprocessing": json.dumps({"size": size, "mean": [*mean], "std": [*std]}),
    }  # fmt: skip
    filters: dict[str, Any] = {"size": size, "mean": mean, "std": std, "draws": draws, "batch": batch}
    net = whole(module, **filters)
    with still(net):
        sites, found = _sites(net, stimuli, plan, neuroid, draws)
        given = _attack_plan.given(stimuli, plan, weights, label, target, sites)
        fast = whole(fewer_bits(module), **filters) if reduced else None
        place, digest = _place(home, stimuli, told, plan, given)
        made = _blocks((net, fast), stimuli, plan, given, len(sites or [0]), place)
    result = _result(stimuli, plan, made, (sites, weights), told | found | {"stimuli_sha256": digest}, keep)
    place.remove()
    return result


def plot(result: xr.Dataset) -> Figure:
    """What every budget does, and clean, perturbed and difference pictures at the largest."""
    return _attack_plot.drawn(result)


def _sites(
    net: nn.Module, stimuli: xr.Dataset, plan: Plan, neuroid: Sequence[int] | str | None, draws: int
) -> tuple[list[int] | None, dict[str, int]]:
    """The neuroids that are attacked, and what two passes of the first pictures say of the network."""
    if not stimuli.sizes["stimulus"]:
        return (None if neuroid is None else [0] if neuroid == "all" else list(map(int, neuroid))), {}
    x = _pictures(net, stimuli, np.arange(min(plan.batch, stimuli.sizes["stimulus"])))
    outputs, found = _attack_plan.outputs(net, x, draws)
    return _attack_plan.chosen(neuroid, outputs.shape[1]), found


def _pictures(net: nn.Module, stimuli: xr.Dataset, rows: np.ndarray) -> torch.Tensor:
    """Pictures of these rows, in the range, where the network is."""
    first = int(rows[0])
    pixels = np.ascontiguousarray(stimuli["image"][first : int(rows[-1]) + 1].values)
    pixels = pixels if pixels.dtype == np.float64 else pixels.astype(np.float32)
    check_range(pixels, first)
    sample = next((p for p in net.state_dict().values() if p.is_floating_point()), None)
    double = sample is not None and sample.dtype == torch.float64
    x = torch.from_numpy(pixels[rows - first]).to(torch.float64 if double else torch.float32)
    return x.to(torch.get_default_device() if sample is None else sample.device)


def _place(
    home: str | Path | None,
    stimuli: xr.Dataset,
    told: dict[str, Any],
    plan: Plan,
    given: dict[str, np.ndarray],
) -> tuple[_attack_blocks.Keep, str]:
    """Where blocks are kept, and the digest of the pictures."""
    digest = hashlib.sha256()
    for start in range(0, stimuli.sizes["stimulus"], 64):
        pixels = np.ascontiguousarray(stimuli["image"][start : start + 64].values)
        digest.update(f"{pixels.dtype} {pixels.shape}".encode() + pixels.tobytes())
    all_told = told | {
        "objective": described(plan.objective), "search": described(plan.search), "epsilons": plan.epsilons,
        "stimuli_sha256": digest.hexdigest(), "given": sorted(given),
    }  # fmt: skip
    arrays = [given[name] for name in sorted(given)]
    return _attack_blocks.keep(home, all_told, arrays), digest.hexdigest()


def _blocks(
    nets: tuple[nn.Module, nn.Module | None], stimuli: xr.Dataset, plan: Plan, given: dict[str, np.ndarray],
    many: int, place: _attack_blocks.Keep,
) -> list[list[dict[str, np.ndarray]]]:  # fmt: skip
    """Of every block of examples, what `_attack_blocks.attacked` returns."""
    count = stimuli.sizes["stimulus"] * many
    each, made, spoken = _attack_blocks.AT_ONCE * plan.batch, [], time.monotonic()
    for block, start in enumerate(range(0, count, each)):
        rows = np.arange(start, min(start + each, count))
        x = _pictures(nets[0], stimuli, rows // many)
        some = {name: torch.from_numpy(values[rows]).to(x.device) for name, values in given.items()}
        made.append(_attack_blocks.attacked(*nets, x, some, plan, block, place))
        if sys.stderr.isatty() and time.monotonic() - spoken >= SPEAK:
            aloud(f"attack: {int(rows[-1]) + 1} of {count} examples")
            spoken = time.monotonic()
    return made


def _result(
    stimuli: xr.Dataset, plan: Plan, made: list[list[dict[str, np.ndarray]]],
    sites: tuple[list[int] | None, xr.Dataset | None], attrs: dict[str, Any], keep: bool,
) -> xr.Dataset:  # fmt: skip
    count, many = stimuli.sizes["stimulus"], len(sites[0] or [0])
    last = () if sites[0] is None else ("neuroid",)
    shape = (count, *((many,) if last else ()))

    def over(name: str, place: int) -> np.ndarray:
        parts = [block[place][name] for block in made]
        empty = np.zeros((0, *stimuli["image"].shape[1:])) if name == "image" else np.zeros(0)
        joined = np.concatenate(parts) if parts else empty
        return joined.reshape(*shape, *joined.shape[1:])

    places = range(1, len(plan.epsilons) + 1)
    found: dict[str, Any] = {}
    units = {"value": "1", "size": "1", "forwards": "1", "gradients": "1", "broken": "1"}
    for name, unit in units.items():
        values = np.stack([over(name, k) for k in places])
        values = values.astype(np.int8) if name == "broken" else values
        found[name] = (("epsilon", "stimulus", *last), values, {"units": unit})
    found["clean"] = (("stimulus", *last), over("value", 0), {"units": "1"})
    found["right"] = (("stimulus", *last), 1 - over("broken", 0).astype(np.int8), {"units": "1"})
    if made and "judges" not in made[0][0]:
        del found["broken"], found["right"]
    if keep:
        image = np.stack([over("image", k) for k in places], -1)
        image = np.moveaxis(image, 1, -1) if last else image
        dims = ("stimulus", "channel", "y", "x", "epsilon", *last)
        found["image"] = (dims, np.ascontiguousarray(image), {"units": "1", "range": "0-1"})
    coords: dict[str, Any] = {"epsilon": ("epsilon", [*plan.epsilons])}
    coords |= {
        str(name): ("stimulus", coord.values) for name, coord in stimuli.coords.items()
        if coord.dims == ("stimulus",) and name != "stimulus"
    }  # fmt: skip
    if last:
        coords["neuroid_id"] = ("neuroid", _names(*sites))
    origin = {"origin": str(stimuli.attrs["origin"])} if "origin" in stimuli.attrs else {}
    result = xr.Dataset(found, coords, attrs | origin | {"torch": str(torch.__version__)})
    return check(robustness.complete(result))


def _names(sites: list[int] | None, weights: xr.Dataset | None) -> np.ndarray:
    """The names of the neuroids, where the weights tell them; else their places."""
    rows = np.asarray(sites)
    if weights is not None and "neuroid_id" in weights.coords:
        known = weights["neuroid_id"].values.astype(str)
        if rows.max() < len(known):
            return known[rows]
    return rows.astype(str)
