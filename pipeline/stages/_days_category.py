"""Sites pushed from their least towards their most preferred category."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from analyses import _sensitivity_units as kernels
from analyses._sensitivity_labelled import put
from pipeline.attacks import respond
from pipeline.attacks._rows import look
from pipeline.attacks._whole import still

from . import _days_query as query
from . import _sensitivity_push as push


class Wanted(NamedTuple):
    """Sites, the surrogate, the label, pictures of a site, presentations of each, how to attack."""

    sites: nn.Module
    surrogate: nn.Module
    label: str
    pictures: int
    presentations: int
    told: push.How


def pushed(
    stimuli: xr.Dataset, recording: xr.Dataset, surrogate: xr.Dataset, wanted: Wanted
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels (epsilon, neuroid, picture), and the names of each site's least and most preferred category."""
    seen = recording["response"].groupby(wanted.label).mean("presentation").transpose(wanted.label, "neuroid")
    names, means = seen[wanted.label].values.astype(str), seen.values
    least, most = means.argmin(axis=0), means.argmax(axis=0)
    rows = _rows(stimuli, surrogate, names[least], wanted)
    x, told = push.pixels(stimuli, rows.ravel()), wanted.told
    site = torch.arange(rows.shape[0]).repeat_interleave(wanted.pictures)
    made, value = [], []
    with still(wanted.surrogate):
        objective = respond.drive(wanted.surrogate, x, neuroid=site)
        for size in told.epsilons:
            found = told.search(objective, x, size, norm=told.norm, seed=told.seed)
            made.append(found)
            value.append(look(objective, found)[0])
    pictures = push.rising(torch.stack(made), torch.stack(value))
    rates = push.evoked(wanted.sites, pictures, told.batch)
    counts = query.counts(rates, wanted.presentations, told.seed, 8).mean(-1)
    own = counts[:, np.arange(len(site)), site.numpy()].reshape(len(told.epsilons), *rows.shape)
    low, high = (means[place, np.arange(len(place))][:, None] for place in (least, most))
    return (own - low) / (high - low), names[least], names[most]


def _rows(stimuli: xr.Dataset, surrogate: xr.Dataset, least: np.ndarray, wanted: Wanted) -> np.ndarray:
    """Pictures (neuroid, picture) of the least preferred category that the campaign did not use."""
    attrs, sizes = surrogate.attrs, surrogate.sizes
    used = int(sizes["stimulus"] + attrs["first"] + (sizes["day"] - 1) * attrs["each"])
    left = push.shuffled_rows(stimuli, used + 1, int(attrs["seed"]))[used:]
    label = stimuli[wanted.label].values.astype(str)[left]
    found = []
    for name in least:
        rows = left[label == name][: wanted.pictures]
        if len(rows) < wanted.pictures:
            why = f"{len(rows)} pictures of {name!r} are left that the surrogate was not fitted to"
            raise ValueError(f"pictures: {why}; ask for fewer, or give more stimuli")
        found.append(rows)
    return np.stack(found)


def summed(
    level: np.ndarray, epsilons: tuple[float, ...], bootstraps: int, confidence: float, seed: int
) -> xr.Dataset:
    """Mean levels with intervals from levels (epsilon, neuroid, picture)."""
    change = np.moveaxis(level, 1, -1)
    pictures, neuroids = change.shape[-2:]
    means = kernels.means(change, kernels.drawn(pictures, neuroids, bootstraps, seed))
    made: dict[str, Any] = {"level": (("epsilon", "neuroid"), means.each, {"units": "1"})}
    put(made, "level_mean", ("epsilon",), means.whole, means.again, confidence)
    return xr.Dataset(made, {"epsilon": ("epsilon", np.array(epsilons), {"units": "l2"})})
