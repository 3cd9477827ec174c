"""Simulated sites behind a hidden network: spike counts to whoever asks, rates to whoever simulates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from analyses import _sensitivity_units as kernels
from loaders.schema import check
from pipeline.models import _weights
from pipeline.models import teacher as models

from . import _days_query as query
from . import _sensitivity_push as push
from . import record as networks

ORIGIN = "simulated"
AREA = "none (simulated)"


def teacher(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    weights: xr.Dataset | None = None,
    layer: str = "conv3",
    neuroids: int = 20,
    inputs: int = 16,
    kind: str = "mixed",
    rate: float = 5.0,
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """Simulated sites behind a network's layer, with drives of mean 0 and SD 1 over pictures.

    Reads    image (stimulus, channel, y, x) in [0, 1]; model and weights of the hidden network; the rest as
             `pipeline.models.teacher.build`. Of kind "unit", units that do not vary are passed over
    Returns  weights of the sites, to be given on as `weights`; attrs origin "simulated", neuroids, silent
    """
    front = push.layer_of(model, weights, layer, seed)
    x = push.pixels(stimuli, push.shuffled_rows(stimuli, 2, seed)[:512])
    seen = torch.from_numpy(push.answers(front, x, batch)).float()
    told = push.told_of(model, weights)
    numbers: dict[str, Any] = {
        "layer": layer, "units": seen.shape[1], "neuroids": neuroids, "inputs": inputs, "kind": kind,
        "rate": rate, "seed": seed,
    }  # fmt: skip
    numbers |= push.preprocessing(weights)
    network, _ = networks.built(model, weights, seed)
    made = models.build(core=lambda: network, **numbers)
    sites: Any = made.get_submodule("sites")
    silent = _placed(sites, seen, seed) if kind == "unit" else 0
    drive = sites.drive(seen)
    with torch.no_grad():
        sites.level.copy_(drive.mean(0))
        sites.spread.copy_(drive.std(0, unbiased=False).clamp_min(1e-12))
    found = _weights.to_dataset(made)
    found.attrs |= {
        "model": json.dumps({"use": "pipeline.models.teacher.build", "with": {"core": told, **numbers}}),
        "origin": ORIGIN, "area": AREA, "neuroids": neuroids, "silent": silent, "seed": seed, "kind": kind,
        "population": "sites of a hidden noisy teacher" if kind == "mixed" else "units of a held-out network",
    }  # fmt: skip
    return check(found)


def record(
    stimuli: xr.Dataset,
    sites: xr.Dataset,
    *,
    presentations: int = 10,
    noisy: bool = True,
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """Spike counts of simulated sites, each picture shown some times.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; sites, what `teacher` returned;
             noisy, else the rates themselves, once
    Returns  response (presentation, neuroid), spikes, with the stimuli's labels and repetition; origin
             simulated
    """
    if presentations < 1:
        raise ValueError(f"presentations: {presentations}; wanted one at least")
    every = push.pixels(stimuli, np.arange(stimuli.sizes["stimulus"]))
    rates = push.answers(known(sites), every, batch)
    many = presentations if noisy else 1
    seen = query.counts(rates, many, seed, 0) if noisy else rates[..., None]
    response = np.moveaxis(seen, -1, 1).reshape(-1, rates.shape[1])
    coords: dict[str, Any] = {
        str(name): ("presentation", np.repeat(coord.values, many))
        for name, coord in stimuli.coords.items() if coord.dims == ("stimulus",) and name != "stimulus"
    }  # fmt: skip
    coords["repetition"] = ("presentation", np.tile(np.arange(many), len(rates)))
    coords["neuroid_id"] = ("neuroid", np.array([f"output:{k}" for k in range(rates.shape[1])]))
    coords["region"] = ("neuroid", np.full(rates.shape[1], ""))
    attrs = {"origin": ORIGIN, "area": AREA, "noise": "poisson" if noisy else "none", "seed": seed,
             "population": str(sites.attrs.get("population", "")), "presentations": many}  # fmt: skip
    held = {"response": (("presentation", "neuroid"), response, {"units": "spikes"})}
    return check(xr.Dataset(held, coords, attrs))


def known(sites: xr.Dataset) -> Any:
    """The module of simulated sites; ValueError where a Dataset is of none."""
    if "simulat" not in str(sites.attrs.get("origin", "")):
        raise ValueError("sites: are not simulated; only simulated sites can be queried here")
    return networks.built(None, sites)[0].eval()


def _placed(sites: Any, seen: Tensor, seed: int) -> int:
    """Puts sites at units that vary, drawn at random; how many units do not vary."""
    varying = np.flatnonzero(~kernels.silent(seen.double().numpy().std(axis=0)))
    wanted = len(sites.place)
    if varying.size < wanted:
        raise ValueError(f"neuroids: {wanted} of {varying.size} units that vary; ask for fewer")
    place = np.sort(np.random.default_rng([seed, 5]).permutation(varying)[:wanted])
    sites.place.copy_(torch.from_numpy(place)[:, None])
    return seen.shape[1] - varying.size
