"""Networks that differ in what one study varies, and what is measured of each, along `arm`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr


def joined(
    lessons: xr.Dataset, stimuli: xr.Dataset, fit: Callable[..., xr.Dataset], arms: Mapping[str, Any],
    measures: Mapping[str, Any], taught: Mapping[str, Any],
) -> xr.Dataset:  # fmt: skip
    """What `evaluate.arms` documents."""
    parts = []
    for name, changes in arms.items():
        if not isinstance(changes, Mapping):
            raise ValueError(f"arms: {name!r} is {changes!r}; wanted {{argument of fit: value}}")
        weights = fit(lessons, **changes)
        part = _measured(stimuli, weights, measures)
        more = _measured(lessons, weights, taught)
        part = xr.merge(
            [part, more.rename({key: f"{key}_lessons" for key in more})], combine_attrs="override"
        ).assign_attrs(part.attrs)
        parts.append(_with_history(part, weights))
    told = {
        key: value for key, value in parts[0].attrs.items()
        if all(key in part.attrs and part.attrs[key] == value for part in parts)
    }  # fmt: skip
    units = {name: item.attrs for part in parts for name, item in part.data_vars.items()}
    made = xr.concat(parts, "arm", join="outer", combine_attrs="drop")
    for name, attrs in units.items():
        made[name].attrs = dict(attrs)
    texts = np.array([part.attrs["hyperparameters"] for part in parts], str)
    coords = {"arm": [str(name) for name in arms], "hyperparameters": ("arm", texts)}
    told.pop("hyperparameters", None)
    return made.assign_coords(coords).assign_attrs(told)


def _measured(stimuli: xr.Dataset, weights: xr.Dataset, measures: Mapping[str, Any]) -> xr.Dataset:
    """All measures of one network as one Dataset."""
    found: list[xr.Dataset] = []
    taken = {"loss": "the training"}
    for name, measure in measures.items():
        if not callable(measure):
            raise ValueError(f"measures: {name!r} is {measure!r}; wanted a function {{use, with}}")
        part = measure(stimuli, weights)
        for variable in map(str, part.data_vars):
            if variable in taken:
                raise ValueError(f"measures: {name!r} makes {variable!r}, as {taken[variable]} does; rename")
            taken[variable] = f"{name!r}"
        found.append(part)
    told = {key: value for part in found[::-1] for key, value in part.attrs.items()}
    return xr.merge(found, combine_attrs="override").assign_attrs(told)


def _with_history(part: xr.Dataset, weights: xr.Dataset) -> xr.Dataset:
    """What was measured, with the losses of the training and how it was done."""
    loss = weights["loss"].variable
    held = {name: weights[name].variable for name in ("epoch", "term")}
    told = part.attrs | {"hyperparameters": str(weights.attrs["hyperparameters"])}
    return part.assign({"loss": loss}).assign_coords(held).assign_attrs(told)
