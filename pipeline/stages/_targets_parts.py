"""Targets put together: pictures and presentations joined, labels carried, reliability beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from analyses import reliability

from . import _targets_map as maps
from . import overlap
from ._encode_model import known
from ._stimuli import shown, still

FEWEST = 3  # pictures with two presentations, for a reliability
STATED = ("kept_apart", "bin_width", "simultaneous")
PAIR = ("condition", "other_condition")


def joined(recording: xr.Dataset, stimuli: xr.Dataset) -> xr.Dataset:
    """The presentations of these pictures, each with the hash of its pixels."""
    if "response" not in recording or "stimulus_id" not in recording.coords:
        raise ValueError("recording: has no response with stimulus_id; give a recording")
    still(recording)
    wanted, there = (part["stimulus_id"].values.astype(str) for part in (stimuli, recording))
    rows = np.isin(there, wanted)
    if not rows.any():
        first = f"begin with {', '.join(wanted[:3])}, those shown with {', '.join(there[:3])}"
        raise ValueError(f"stimuli: none of them was shown; they {first}")
    part = recording.isel(presentation=np.flatnonzero(rows))
    pictures = known(shown(stimuli, there[rows]))
    place = np.searchsorted(pictures["stimulus_id"].values.astype(str), there[rows])
    content = overlap.content(pictures, "stimuli")[place]
    if "content" in part.coords and (part["content"].values.astype(str) != content).any():
        bad = there[rows][np.flatnonzero(part["content"].values.astype(str) != content)[0]]
        why = f"stimulus {bad!r} was another picture"
        raise ValueError(f"recording: {why}; drop its content where pictures were changed on purpose")
    return part.assign_coords(content=("presentation", content))


def ids(recording: xr.Dataset) -> np.ndarray:
    """Names of the neuroids."""
    count = recording.sizes["neuroid"]
    named = recording["neuroid_id"].values if "neuroid_id" in recording.coords else np.arange(count)
    return np.asarray(named).astype(str)


def target(mean: xr.Dataset, made: maps.Map, what: str) -> xr.Dataset:
    """One presentation a picture, seen through a map, with every label that still holds."""
    names, units = ids(mean), str(mean["response"].attrs.get("units", "1"))
    values = made.seen(np.asarray(still(mean).values, float))
    held, coords = maps.variables(made, names, units)
    dims = ("presentation",) if made.loading is not None else ("presentation", "neuroid")
    coords |= {
        str(name): (item.dims, item.values)
        for name, item in mean.coords.items()
        if len(item.dims) == 1 and item.dims[0] in dims and name not in ("presentation", "neuroid")
    }
    coords["neuroid_id"] = ("neuroid", names)
    if made.loading is not None:
        coords["neuroid_id"] = ("neuroid", [f"component {k + 1}" for k in range(values.shape[1])])
        what = f"{what}, principal components"
    plain = made.loading is None and (made.scale == 1).all() and not made.offset.any()
    held["response"] = (("presentation", "neuroid"), values, {"units": units if plain else "1"})
    told = {key: mean.attrs[key] for key in STATED if key in mean.attrs}
    return xr.Dataset(held, coords, {**told, "target": what, "control": "none"})


def halves(part: xr.Dataset, made: maps.Map) -> np.ndarray:
    """Reliability of each column, of presentations seen through the map; NaN where nothing was repeated."""
    values = made.seen(np.asarray(still(part).values, float))
    counts = np.unique(part["stimulus_id"].values.astype(str), return_counts=True)[1]
    if (counts > 1).sum() < FEWEST:
        return np.full(values.shape[1], np.nan)
    trial = xr.Dataset(
        {"response": (("presentation", "neuroid"), values)},
        {"stimulus_id": ("presentation", part["stimulus_id"].values.astype(str))},
    )
    return np.asarray(reliability.split_half(trial, bootstraps=10)["reliability"].values)


def reliable(found: xr.Dataset, columns: dict[str, np.ndarray]) -> xr.Dataset:
    """The target with such numbers of its neuroids, and their medians."""
    held = {name: ("neuroid", values, {"units": "1"}) for name, values in columns.items()}
    return found.assign(held).assign_attrs(medians(columns))


def medians(columns: dict[str, np.ndarray]) -> dict[str, float]:
    """Medians over the neuroids that have a number."""
    return {
        f"median_{name}": float(np.nanmedian(values))
        for name, values in columns.items()
        if np.isfinite(values).any()
    }


def subjects(part: xr.Dataset, told: str) -> str:
    """Animals or people, as text."""
    return ", ".join(sorted(overlap.subjects(part) | ({told} if told else set())))


def behind(made: xr.Dataset, source: xr.Dataset) -> xr.Dataset:
    """An RDM or similarities with what their source says of itself and of the pictures behind it."""
    kept = ("origin", "control", "subjects", "predictor", "median_r", "median_reliability", "simultaneous")
    told = {key: source.attrs[key] for key in kept if key in source.attrs}
    told |= {"control": "none"} if "control" not in told else {}
    told |= {"subjects": subjects(source, "")}
    if "source_content" in source.coords:
        made = made.assign_coords(source_content=("stimulus", source["source_content"].values))
    return made.assign_attrs(told)


def pictures_of(part: xr.Dataset, stimuli: xr.Dataset | None, kind: str) -> xr.Dataset:
    """The pictures of a target in its order, known by their pixels."""
    if stimuli is None:
        raise ValueError(f"stimuli: none were given; {kind} is made of the target's pictures")
    own = part["stimulus_id"].values.astype(str)
    found = shown(stimuli, own)
    found = found.isel(stimulus=np.searchsorted(found["stimulus_id"].values.astype(str), own))
    if "content" in part.coords:
        other = overlap.content(found, "stimuli") != part["content"].values.astype(str)
        if other.any():
            name = own[np.flatnonzero(other)[0]]
            raise ValueError(f"stimuli: {name!r} is another picture than the target's; give the same")
    return found


def unreliable(attrs: dict[Any, Any]) -> dict[Any, Any]:
    """Attributes of a target without what they say of its reliability."""
    return {key: value for key, value in attrs.items() if not str(key).startswith("median_")}


def foreign(own: xr.Dataset, other: xr.Dataset | None, count: int, draw: np.random.Generator) -> xr.Dataset:
    """Another recording's target for the same pictures, as many neuroids, drawn at random."""
    if other is None:
        raise ValueError("other: none was given; give a target of another recording")
    if "content" not in other.coords or not np.isin(own["content"], other["content"]).all():
        raise ValueError("other: lacks pictures of the target; make it of the same")
    if np.array_equal(own["response"].values, other["response"].values):
        raise ValueError("other: is the target itself; give one of another recording")
    if other.sizes["neuroid"] < count:
        raise ValueError(f"other: has {other.sizes['neuroid']} neuroids and {count} are wanted; give more")
    theirs = other["content"].values.astype(str)
    order = np.argsort(theirs)
    rows = order[np.searchsorted(theirs, own["content"].values.astype(str), sorter=order)]
    columns = np.sort(draw.permutation(other.sizes["neuroid"])[:count])
    part = other.isel(presentation=rows, neuroid=columns)
    part = part.drop_vars([name for name in ("reliability", "r") if name in part])
    part.attrs = unreliable(part.attrs)
    return part.assign_coords(stimulus_id=("presentation", own["stimulus_id"].values))
