"""Days of an experiment on simulated sites: attack, record with noise, fit again, attack more strongly.

A day's pictures are made with the model of the day before, which also predicts the sign of every change; what
is recorded on held-out pictures is never fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor, nn

from analyses import _sensitivity_plots
from loaders.schema import check
from pipeline.models import _weights

from . import _days_campaign as loop
from . import _days_category as category
from . import _days_screen as screening
from . import _sensitivity_push as push
from . import record as networks
from ._named import rebuilt
from .sites import AREA, ORIGIN, known

plot = _sensitivity_plots.recorded


def campaign(
    stimuli: xr.Dataset,
    sites: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    weights: xr.Dataset | None = None,
    layer: str = "conv3",
    days: int = 4,
    first: int = 200,
    each: int = 12,
    pictures: int = 12,
    epsilons: Sequence[float] = (0.14, 0.43, 0.86, 1.43),
    search: Callable[..., Tensor] | None = None,
    norm: str = "l2",
    presentations: int = 1,
    alphas: Sequence[float] | None = None,
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """Simulated sites attacked through a surrogate that is fitted again after every day.

    Before day 0 the sites' responses to `first` natural pictures are recorded and a linear map from the
    surrogate's layer is fitted. On every day the model of the day before attacks the held-out `pictures`,
    always the same, which are recorded and never fitted, and `each` new pictures, which are recorded and then
    fitted. Sites are known by noisy counts only; true_clean and true_moved are what the simulation knows.

    Reads    image (stimulus, channel, y, x) in [0, 1]; sites, what `teacher` returned; model and weights of
             the surrogate network, and its layer; epsilons, of which a new picture gets one; search, by
             default the annealed one; presentations of every picture a day; alphas of the ridge
    Returns  clean (day, stimulus, neuroid, presentation), moved (day, arm, epsilon, stimulus, neuroid,
             presentation), spikes; predicted (day, arm, epsilon, stimulus, neuroid), by the model before;
             true_clean, true_moved; predictivity (day, neuroid), on held-out pictures; fitted (day), their
             number; and the weights of the last attacking model, to be given on as `weights`
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    told = push.how(epsilons, search, norm, batch, seed)
    if days < 1 or min(first, each, pictures) < 5 or presentations < 1:
        raise ValueError(f"days: {days}, of {first}, {each} and {pictures} pictures; wanted 1, of 5 at least")
    front = push.layer_of(model, weights, layer, seed)
    parts = loop.Parts(known(sites), front, told, presentations, alphas)
    rows = push.shuffled_rows(stimuli, pictures + first + (days - 1) * each, seed)
    made, linear = loop.run(parts, stimuli, rows, days, first, each, pictures)
    arms = list(loop.ARMS)
    coords: dict[str, Any] = {
        str(name): ("stimulus", coord.values[rows[:pictures]])
        for name, coord in stimuli.coords.items() if coord.dims == ("stimulus",) and name != "stimulus"
    }  # fmt: skip
    coords |= {"day": np.arange(days), "arm": arms}
    coords["epsilon"] = ("epsilon", np.array(told.epsilons), {"units": norm})
    count = made["predicted"].shape[-1]
    coords["neuroid_id"] = ("neuroid", np.array([f"output:{k}" for k in range(count)]))
    surrogate, name = loop.predictor_of(model, weights, layer, front, linear, seed)
    found = _weights.to_dataset(surrogate)
    variables = {
        key: (loop.DIMS[key], part, {"units": loop.UNITS.get(key, "spikes")}) for key, part in made.items()
    }
    attrs = {
        "model": name, "origin": ORIGIN, "area": AREA, "knowledge": "surrogate", "norm": norm, "layer": layer,
        "population": str(sites.attrs.get("population", "")), "search": push.searched(told),
        "noise": "poisson", "target": "unit", "seed": seed, "first": first,
        "readout": f"{presentations} presentations a day",
        "each": each, "kept_apart": "attacked pictures and fitted pictures; days",
    }  # fmt: skip
    return check(found.assign(variables).assign_coords(coords).assign_attrs(attrs))


def screen(
    stimuli: xr.Dataset,
    sites: xr.Dataset,
    *,
    vanilla: xr.Dataset,
    robust: xr.Dataset,
    layers: Sequence[str] = ("conv2", "conv3", "conv4"),
    first: int = 200,
    pictures: int = 12,
    epsilon: float = 1.43,
    search: Callable[..., Tensor] | None = None,
    norm: str = "l2",
    presentations: int = 4,
    bootstraps: int = 1000,
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """Which network's layer would make the best surrogate, by three measures, before any attack is made.

    Global similarity (linear CKA, debiased), cross-validated predictivity of a linear map (ridge), and what
    pictures that move the layer itself, without any map, do to the sites.

    Reads    image (stimulus, channel, y, x) in [0, 1]; sites, what `sites.teacher` returned; vanilla, robust,
             weights of networks; the third candidate is the second's untrained twin; layers by name; first,
             pictures that similarity and predictivity are made of; epsilon of the transferred pictures
    Returns  cka, predictivity, transfer (model, layer), the last as the root of the mean squared change in
             SDs over pictures, without what noise adds; predictivity and transfer with _low and _high; attrs
             chosen, the candidate of largest predictivity
    Source   Guo et al. 2022, arXiv 2206.11228; Kornblith et al. 2019, arXiv 1905.00414
    """
    told = push.how([epsilon], search, norm, batch, seed)
    if min(first, pictures) < 10 or presentations < 2:
        raise ValueError(
            f"first: {first}, of {pictures} pictures; wanted 10 of each, presented twice or more"
        )
    twin, _ = networks.built(rebuilt(robust.attrs.get("model")), None, seed)
    candidates = {
        "vanilla": (None, vanilla),
        "adversarially trained": (None, robust),
        "untrained": (twin, None),
    }
    rows = push.shuffled_rows(stimuli, first + pictures, seed)
    shown = screening.Shown(
        known(sites), stimuli, rows[:first], rows[first : first + pictures], presentations, told
    )
    made = screening.measured(candidates, layers, shown, bootstraps)
    flat = int(np.argmax(made["predictivity"]))
    names, place = list(candidates), divmod(flat, len(layers))
    attrs = {
        "origin": ORIGIN, "area": AREA, "population": str(sites.attrs.get("population", "")), "norm": norm,
        "epsilon": epsilon, "search": push.searched(told), "pictures": pictures, "first": first, "seed": seed,
        "chosen": f"{names[place[0]]}, {layers[place[1]]}", "presentations": presentations,
        "neuroids": int(sites.attrs.get("neuroids", 0)), "bound": "lower",
    }  # fmt: skip
    held = {name: (("model", "layer"), part, {"units": "1"}) for name, part in made.items()}
    return check(xr.Dataset(held, {"model": names, "layer": list(layers)}, attrs))


def categories(
    stimuli: xr.Dataset,
    sites: xr.Dataset,
    recording: xr.Dataset,
    surrogate: xr.Dataset,
    *,
    label: str,
    pictures: int = 4,
    epsilons: Sequence[float] = (0, 0.14, 0.43, 1.43),
    search: Callable[..., Tensor] | None = None,
    norm: str = "l2",
    presentations: int = 4,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    batch: int = 256,
    seed: int = 0,
) -> xr.Dataset:
    """Pictures of the category that a site prefers least, pushed towards its response to the most preferred.

    Reads    stimuli, sites and surrogate, which `campaign` returned; recording, responses to clean pictures
             that choose the categories, with label (presentation); pictures of each site, none of which the
             surrogate was fitted to
    Returns  level (epsilon, neuroid): 0 is the mean response to the least preferred category, 1 to the most
             preferred; level_mean (epsilon) with _low and _high, from pictures and neuroids drawn again;
             least, most (neuroid), names of categories
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    told = push.how(epsilons, search, norm, batch, seed)
    if label not in stimuli.coords or label not in recording.coords:
        raise ValueError(f"label: {label!r} is not a coordinate of stimuli and recording; name one")
    if pictures < 1 or presentations < 1:
        raise ValueError(f"pictures: {pictures}, presented {presentations} times; wanted one at least")
    module: nn.Module = networks.built(None, surrogate)[0].eval()
    wanted = category.Wanted(known(sites), module, label, pictures, presentations, told)
    made, least, most = category.pushed(stimuli, recording, surrogate, wanted)
    result = category.summed(made, told.epsilons, bootstraps, confidence, seed)
    coords = {
        "neuroid_id": recording["neuroid_id"].variable,
        "least": ("neuroid", least),
        "most": ("neuroid", most),
    }
    attrs = {
        "origin": ORIGIN, "area": AREA, "population": str(sites.attrs.get("population", "")), "norm": norm,
        "knowledge": "surrogate", "search": push.searched(told), "label": label,
        "noise": "poisson", "seed": seed,
        "neuroids": made.shape[1], "pictures": pictures, "presentations": presentations, "bound": "lower",
    }  # fmt: skip
    return check(result.assign_coords(coords).assign_attrs(attrs))
