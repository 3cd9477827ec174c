"""One step's results of all units, joined into one Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr


def gather(results: Mapping[str, xr.Dataset], dimension: str) -> xr.Dataset:
    """Results of units, joined along the dimension of the units, which comes first and bears their names.

    Reads    Datasets by unit, in the order of the study
    Returns  every variable with the same dimensions, shape and `_id`s in all units; other coordinates that
             differ get the dimension too; attrs that agree stay; attrs["left_out"] says what was not joined
    >>> one = xr.Dataset({"auc": ("time", [0.5], {"units": "1"})}, {"time": [0.0]})
    >>> gather({"01": one, "02": one}, "subject").auc.dims
    ('subject', 'time')
    """
    datasets = [dataset.drop_vars(dimension, errors="ignore") for dataset in results.values()]
    joined: dict[str, Any] = {}
    left: list[str] = []
    for name in map(str, datasets[0].data_vars):
        why = _differs(name, datasets, dimension)
        if why:
            left.append(f"{name}: {why}")
        else:
            joined[name] = _stack([dataset.variables[name] for dataset in datasets], dimension)
    left += sorted(
        f"{name}: not in every unit"
        for name in {str(name) for dataset in datasets for name in dataset.data_vars}
        - set(datasets[0].data_vars)
    )
    dims = {dim for variable in joined.values() for dim in variable.dims}
    coordinates: dict[str, Any] = {dimension: (dimension, np.array(list(results), dtype=str))}
    for name, coordinate in datasets[0].coords.items():
        every = [dataset.coords.get(name) for dataset in datasets]
        if not set(coordinate.dims) <= dims or any(item is None for item in every):
            continue
        first = coordinate.variable
        same = all(_equal(first, item.variable) for item in every if item is not None)
        coordinates[str(name)] = (
            first if same else _stack([item.variable for item in every if item is not None], dimension)
        )
    attrs = {
        key: value
        for key, value in datasets[0].attrs.items()
        if all(_agrees(item, key, value) for item in datasets)
    }
    return xr.Dataset(joined, coordinates, attrs | ({"left_out": left} if left else {}))


def _agrees(dataset: xr.Dataset, key: Any, value: Any) -> bool:
    return key in dataset.attrs and type(dataset.attrs[key]) is type(value) and dataset.attrs[key] == value


def _differs(name: str, datasets: list[xr.Dataset], dimension: str) -> str:
    if any(name not in dataset.data_vars for dataset in datasets):
        return "not in every unit"
    first = datasets[0][name]
    for dataset in datasets:
        other = dataset[name]
        if other.dims != first.dims or other.shape != first.shape:
            return f"shapes differ ({dict(first.sizes)}, {dict(other.sizes)})"
        if other.attrs.get("units") != first.attrs.get("units"):
            return f"units differ ({first.attrs.get('units')}, {other.attrs.get('units')})"
        for label in map(str, first.coords):
            identity = label in first.dims or label.endswith("_id")
            if identity and (
                label not in other.coords or not _equal(first[label].variable, other[label].variable)
            ):
                return f"{label} differs"
    return f"already has {dimension}" if dimension in first.dims else ""


def _equal(one: xr.Variable, other: xr.Variable) -> bool:
    if one.dims != other.dims or one.shape != other.shape:
        return False
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        return bool(np.allclose(one.values, other.values, rtol=1e-9, atol=1e-9, equal_nan=True))
    return bool(np.array_equal(one.values, other.values))


def _stack(variables: list[xr.Variable], dimension: str) -> xr.Variable:
    arrays = [variable.data for variable in variables]
    if all(isinstance(array, np.ndarray) for array in arrays):
        data: Any = np.stack(arrays)
    else:
        import dask.array

        data = dask.array.stack(arrays)
    return xr.Variable((dimension, *variables[0].dims), data, variables[0].attrs)
