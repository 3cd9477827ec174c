"""Recordings of several sessions as one: presentations are paired by stimulus and repetition."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from loaders._ephys_session import repetitions


def pseudo_population(parts: list[xr.Dataset], complete: bool, where: str) -> xr.Dataset:
    """One recording of neuroids that were not recorded together.

    The k-th showing of a stimulus in one session stands beside its k-th showing in each other session. With
    `complete` only repetitions that every session has are kept; else absent ones are NaN.
    """
    for part in parts[1:]:
        if not np.array_equal(part["time"].values, parts[0]["time"].values):
            raise ValueError(f"{where}: sessions differ in time; give one window for all")
    keys = [_keys(part) for part in parts]
    shown = [set(key) for key in keys]
    kept = sorted(set.intersection(*shown) if complete else set.union(*shown))
    _check_stimuli(keys, kept, where)
    row = {key: k for k, key in enumerate(kept)}
    neuroids = sum(part.sizes["neuroid"] for part in parts)
    response = np.full((len(kept), neuroids, parts[0].sizes["time"]), np.nan, np.float32)
    start = 0
    for part, key in zip(parts, keys, strict=True):
        stop = start + part.sizes["neuroid"]
        chosen = [k for k, one in enumerate(key) if one in row]
        response[[row[key[k]] for k in chosen], start:stop] = part["response"].values[chosen]
        start = stop
    coords = _presentation(parts, keys, kept) | _neuroid(parts, where)
    coords["time"] = ("time", parts[0]["time"].values, parts[0]["time"].attrs)
    variable = (("presentation", "neuroid", "time"), response, parts[0]["response"].attrs)
    return xr.Dataset({"response": variable}, coords, _attrs(parts))


def _attrs(parts: list[xr.Dataset]) -> dict[str, Any]:
    origins = {part.attrs["origin"] for part in parts}
    attrs = {str(name): value for name, value in parts[0].attrs.items()}
    return attrs | {
        "simultaneous": 0,
        "origin": "simulated" if "simulated" in origins else min(origins),
    }


def _keys(part: xr.Dataset) -> list[tuple[str, int]]:
    stimulus = part["stimulus_id"].values.astype(str)
    repetition = repetitions(stimulus, part["onset"].values)
    return list(zip(stimulus.tolist(), repetition.tolist(), strict=True))


def _check_stimuli(keys: list[list[tuple[str, int]]], kept: list[tuple[str, int]], where: str) -> None:
    every = {stimulus for key in keys for stimulus, _ in key}
    lost = sorted(every - {stimulus for stimulus, _ in kept})
    if len(lost) == len(every):
        raise ValueError(f"{where}: sessions share no stimulus; the first names are {', '.join(lost[:10])}")
    if lost:
        more = ", ".join(lost[:10])
        warnings.warn(
            f"{where}: stimuli that some session lacks are left out: {more}", UserWarning, stacklevel=2
        )


def _presentation(
    parts: list[xr.Dataset], keys: list[list[tuple[str, int]]], kept: list[tuple[str, int]]
) -> dict[str, Any]:
    """Labels that belong to the stimulus in every session: others mean nothing in a pseudo-population."""
    stimulus = [name for name, _ in kept]
    coords: dict[str, Any] = {
        "stimulus_id": ("presentation", np.array(stimulus, str)),
        "repetition": ("presentation", np.array([k for _, k in kept], np.int64)),
    }
    held = set.intersection(*(set(map(str, part.coords)) for part in parts)) - {
        "stimulus_id",
        "repetition",
        "onset",
    }
    for name in sorted(held):
        if parts[0][name].dims != ("presentation",):
            continue
        value: dict[str, set[Any]] = {}
        for part, key in zip(parts, keys, strict=True):
            for (one, _), told in zip(key, part[name].values.tolist(), strict=True):
                value.setdefault(one, set()).add(told)
        if all(len(told) == 1 for told in value.values()):
            coords[name] = ("presentation", np.array([next(iter(value[one])) for one in stimulus]))
    return coords


def _neuroid(parts: list[xr.Dataset], where: str) -> dict[str, Any]:
    held = set.intersection(*(set(map(str, part.coords)) for part in parts))
    coords = {
        name: ("neuroid", np.concatenate([part[name].values for part in parts]))
        for name in sorted(held) if parts[0][name].dims == ("neuroid",)
    }  # fmt: skip
    names, days = coords["neuroid_id"][1].astype(str), coords["recording"][1].astype(str)
    found, number = np.unique(names, return_counts=True)
    twice = found[number > 1]
    if len(twice):
        both = np.array([f"{d}/{n}" for d, n in zip(days, names, strict=True)], str)
        if len(set(both)) < len(both):
            raise ValueError(f"{where}: {twice[0]} stands in two files of one recording; name each unit once")
        coords["neuroid_id"] = ("neuroid", both)
        line = f"{where}: {len(twice)} unit names stand in more than one recording: {', '.join(twice[:10])}"
        warnings.warn(f"{line}; the recording's name was put before each", UserWarning, stacklevel=2)
    return coords
