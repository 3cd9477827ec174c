"""A recording's numbers and labels as Brain-Score lays them out, and back; no package of its is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from loaders.schema import check


class Packed(NamedTuple):
    """What an assembly is made of."""

    values: np.ndarray
    dims: list[str]
    coords: dict[str, Any]
    note: str  # what was added, and the types and attributes that an assembly would lose


def packed(recording: xr.Dataset) -> Packed:
    """Flat labels on time_bin instead of time; every dimension has two labels or more."""
    response = recording["response"]
    coords: dict[str, Any] = {}
    for name, coord in recording.coords.items():
        dims = tuple("time_bin" if dim == "time" else str(dim) for dim in coord.dims)
        if name == "time":
            continue
        if len(dims) != 1 or dims == (name,):
            why = f"stands on {coord.dims}; Brain-Score's have one dimension, and another name than it"
            raise ValueError(f"coordinate {name!r}: {why}")
        values = np.asarray(coord.values)
        coords[str(name)] = (dims, values.astype(object) if values.dtype.kind == "U" else values)
    added, moments = _second_coordinates(coords, response), {}
    if "time" in response.dims:
        time = np.asarray(recording["time"].values, float)
        half = _bin_width(recording, time) / 2
        for name, edge in {"time_bin_start": time - half, "time_bin_end": time + half}.items():
            if name not in coords:
                added[name] = (("time_bin",), np.round(1000 * edge, 6))
        edges = [(coords | added)[name][1] for name in ("time_bin_start", "time_bin_end")]
        moments = {_bin(*pair): float(moment) for *pair, moment in zip(*edges, time, strict=True)}
    told = {
        "coordinates": {str(name): coord.attrs for name, coord in recording.coords.items()},
        "types": {name: values.dtype.str for name, (_, values) in coords.items() if values.dtype.kind != "O"},
        "added": [*added], "time": moments, "attrs": recording.attrs, "response": response.attrs,
    }  # fmt: skip
    names = ["time_bin" if dim == "time" else str(dim) for dim in response.dims]
    return Packed(np.asarray(response.values), names, coords | added, json.dumps(told, default=_plain))


def unpacked(
    values: np.ndarray, dims: Sequence[str], held: Mapping[str, tuple[Any, Any]], note: str
) -> xr.Dataset:
    """A recording again; time is the centre of a bin where it is not told."""
    told = json.loads(note)
    coords: dict[str, Any] = {}
    for name, (labelled, labels) in held.items():
        if name not in told.get("added", ()):
            text = str if labels.dtype.kind == "O" else labels.dtype
            dim = "time" if labelled == ("time_bin",) else labelled[0]
            attrs = told.get("coordinates", {}).get(name, {})
            coords[name] = (dim, labels.astype(told.get("types", {}).get(name, text)), attrs)
    if "time_bin" in dims:
        edges = list(zip(held["time_bin_start"][1], held["time_bin_end"][1], strict=True))
        time = [told.get("time", {}).get(_bin(*pair), (pair[0] + pair[1]) / 2000) for pair in edges]
        attrs = told.get("coordinates", {}).get("time", {"units": "s"})
        coords["time"] = ("time", np.array(time, float), attrs)
    names = ["time" if dim == "time_bin" else dim for dim in dims]
    units, attrs = told.get("response", {"units": "1"}), told.get("attrs", {"origin": "real, raw"})
    return check(xr.Dataset({"response": (names, values, units)}, coords, attrs))


def _bin(start: float, end: float) -> str:
    return f"{float(start)!r} {float(end)!r}"


def _second_coordinates(coords: dict[str, Any], response: xr.DataArray) -> dict[str, Any]:
    """What has to be added so that no dimension has fewer than two: Brain-Score loses a single one."""
    added: dict[str, Any] = {}
    for dim, names in {"presentation": ("row", "number"), "neuroid": ("region", "unit")}.items():
        count = response.sizes[dim]
        for name in names:
            if sum(dims == (dim,) for dims, _ in {**coords, **added}.values()) < 2 and name not in coords:
                added[name] = ((dim,), np.full(count, "", object) if name == "region" else np.arange(count))
    return added


def _bin_width(recording: xr.Dataset, time: np.ndarray) -> float:
    told = recording.attrs.get("bin_width")
    if isinstance(told, int | float):
        return float(told)
    return float(np.median(np.diff(time))) if len(time) > 1 else 0.0


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
