"""Candidates for a surrogate: alike, predictive, and whether what moves them moves the sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from torch import nn

from analyses import _cka, predictivity
from analyses import _sensitivity_units as kernels
from pipeline.attacks import respond
from pipeline.attacks._whole import still

from . import _days_query as query
from . import _sensitivity_push as push


class Shown(NamedTuple):
    """Sites, pictures that are recorded as they are and that are pushed, presentations, how to attack."""

    sites: nn.Module
    stimuli: xr.Dataset
    natural: np.ndarray
    pushed: np.ndarray
    presentations: int
    told: push.How


def measured(
    candidates: Mapping[str, tuple[Any, xr.Dataset | None]],
    layers: Sequence[str],
    shown: Shown,
    bootstraps: int,
) -> dict[str, np.ndarray]:
    """Every measure (model, layer) with its interval."""
    told = shown.told
    natural = push.pixels(shown.stimuli, shown.natural)
    rates = push.answers(shown.sites, natural, told.batch)
    seen = query.counts(rates, shown.presentations, told.seed, 6)
    recording = _recording(seen)
    found: dict[str, list[list[float]]] = {}
    for model, weights in candidates.values():
        rows: dict[str, list[float]] = {}
        for layer in layers:
            front = nn.Sequential(push.layer_of(model, weights, layer, told.seed), nn.Flatten())
            features = push.answers(front, natural, told.batch)
            score = predictivity.score(
                _recording(features[..., None]), recording, bootstraps=bootstraps, seed=told.seed
            )
            made = {"cka": float(_cka.cka(features, seen.mean(-1)))}
            made |= {f"predictivity{end}": float(score.attrs[f"score{end}"]) for end in ("", "_low", "_high")}
            made |= _transfer(front, shown, seen.mean(-1).std(axis=0), bootstraps)
            for name, value in made.items():
                rows.setdefault(name, []).append(value)
        for name, row in rows.items():
            found.setdefault(name, []).append(row)
    return {name: np.array(part) for name, part in found.items()}


def _recording(response: np.ndarray) -> xr.Dataset:
    """Responses (picture, neuroid, presentation) as a recording."""
    count, neuroids, many = response.shape
    flat = np.moveaxis(response, -1, 1).reshape(-1, neuroids)
    coords = {"stimulus_id": ("presentation", np.repeat(np.arange(count), many).astype(str)),
              "neuroid_id": ("neuroid", np.arange(neuroids).astype(str))}  # fmt: skip
    return xr.Dataset({"response": (("presentation", "neuroid"), flat, {"units": "1"})}, coords)


def _transfer(front: nn.Module, shown: Shown, size: np.ndarray, bootstraps: int) -> dict[str, float]:
    """Root of the mean squared change of the sites, when the layer as a whole is moved."""
    told, x = shown.told, push.pixels(shown.stimuli, shown.pushed)
    with still(front):
        objective = respond.population(front, x)
        made = told.search(objective, x, told.epsilons[0], norm=told.norm, seed=told.seed)
    rates = np.stack([push.answers(shown.sites, part, told.batch) for part in (x, made)])
    counts = query.counts(rates, shown.presentations, told.seed, 7)
    squares = kernels.crossed((counts[1] - counts[0]) / size[:, None]).mean(axis=1)
    draws = kernels.drawn(len(squares), 1, bootstraps, told.seed).pictures
    low, high = np.quantile(draws @ squares / len(squares), [0.025, 0.975])
    values = [float(np.sqrt(max(value, 0))) for value in (squares.mean(), low, high)]
    return dict(zip(("transfer", "transfer_low", "transfer_high"), values, strict=True))
