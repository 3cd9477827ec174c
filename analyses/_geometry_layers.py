"""One measure for every layer of a network, and two networks beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from analyses._conditions import places
from analyses._labelled import values


def each(recording: xr.Dataset, measure: Callable[[xr.Dataset], xr.Dataset]) -> xr.Dataset:
    """A measure of the units of each layer alone, joined along the layers in their own order."""
    column = values(recording, "layer")
    names = list(dict.fromkeys(column.tolist()))
    parts = []
    for name in names:
        made = measure(recording.isel(neuroid=np.flatnonzero(column == name)))
        parts.append(made.drop_vars([key for key in made.coords if "neuroid" in made[key].dims]))
    sizes = [part.attrs.get("neuroids") for part in parts]
    common = {
        key: value for key, value in parts[0].attrs.items()
        if all(part.attrs.get(key) == value for part in parts)
    }  # fmt: skip
    joined = xr.concat([part.assign_attrs({}) for part in parts], "layer", combine_attrs="drop")
    for name in joined.data_vars:
        joined[name].attrs = dict(parts[0][name].attrs)
    units = {"units_of_layers": ", ".join(map(str, sizes))} if all(sizes) else {}
    return joined.assign_coords(layer=np.array(names)).assign_attrs(common | units)


def paired(
    trained: xr.Dataset, untrained: xr.Dataset, bootstraps: int, confidence: float, seed: int
) -> xr.Dataset:
    """Difference and ratio of harmonic mean capacities, manifolds and seeds drawn again for both at once."""
    one, two = (_loads(part, name) for part, name in ((trained, "trained"), (untrained, "untrained")))
    for dim in ("condition", "layer"):
        two = two.isel({dim: places(one[dim].values, two[dim].values, dim)})
    if dict(one.sizes) != dict(two.sizes):
        raise ValueError(f"untrained: has {dict(two.sizes)}, trained {dict(one.sizes)}; give both alike")
    dims = ["seed", "condition"] if "seed" in one.dims else ["condition"]
    rest = [str(dim) for dim in one.dims if dim not in dims]
    loads = np.stack([part.transpose(*dims, *rest).values for part in (one, two)])
    loads = loads if len(dims) == 2 else loads[:, None]
    seeds, count = loads.shape[1:3]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), bootstraps) / count
    runs = rng.multinomial(seeds, np.full(seeds, 1 / seeds), bootstraps) / seeds
    mean = 1 / loads.mean(axis=(1, 2))
    again = 1 / np.einsum("ksc...,bs,bc->kb...", loads, runs, drawn)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    made: dict[str, Any] = {}
    pairs = {
        "difference": (mean[0] - mean[1], again[0] - again[1]),
        "ratio": (mean[0] / mean[1], again[0] / again[1]),
    }
    for name, (now, others) in pairs.items():
        for stem, array in zip(("", "_low", "_high"), (now, *np.quantile(others, ends, axis=0)), strict=True):
            made[name + stem] = (rest, array, {"units": "1"})
    made |= {
        name: (rest, array, {"units": "1"})
        for name, array in zip(("trained", "untrained"), mean, strict=True)
    }
    coords = {dim: one[dim].values for dim in rest if dim in one.coords}
    facts = {"n": count, "seeds": seeds, "over": ", ".join(dims), "bootstraps": bootstraps,
             "confidence": confidence, "seed": seed}  # fmt: skip
    facts |= {key: trained.attrs[key] for key in ("floor", "label", "origin") if key in trained.attrs}
    return xr.Dataset(made, coords, facts)


def _loads(result: xr.Dataset, name: str) -> xr.DataArray:
    if "manifold_capacity" not in result or "layer" not in result["manifold_capacity"].dims:
        raise ValueError(f"{name}: has no manifold_capacity of layers; give by_layer with capacity")
    return 1 / result["manifold_capacity"]
