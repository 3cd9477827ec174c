"""Labelled faces for array kernels: name the dimensions a kernel consumes and makes, and forget axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask
import numpy as np
import xarray as xr

BLOCK = (
    20  # entries of the outer dimension in one dask task: fixed, so that results never depend on the workers
)


def over(
    kernel: Callable[..., np.ndarray],
    array: xr.DataArray,
    consumes: Sequence[str],
    makes: Mapping[str, int],
    along: str = "time",
    **numbers: Any,
) -> xr.DataArray:
    """`kernel` applied to blocks of `array` along one dimension, in parallel.

    Reads    array, eager or lazy; the kernel sees (block, *consumes) in that order and returns (block,
             *makes)
    Returns  (*makes, along): new dimensions first as made, `along` last; lazy if `array` is, else computed
    >>> double = lambda block: 2 * block
    >>> trace = xr.DataArray(np.ones((3, 50)), dims=("neuroid", "time"))
    >>> over(double, trace, ["neuroid"], {"neuroid": 3}).dims
    ('neuroid', 'time')
    """
    ordered = array.transpose(along, *consumes)
    if array.chunks is None:
        return _eager(kernel, ordered, makes, numbers)
    made = xr.apply_ufunc(
        kernel,
        ordered.chunk({**dict.fromkeys(consumes, -1), along: BLOCK}),
        input_core_dims=[list(consumes)],
        output_core_dims=[list(makes)],
        exclude_dims=set(consumes),
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": dict(makes)},
        kwargs=numbers,
        keep_attrs=False,
    )
    return made.transpose(*makes, along)


def _eager(
    kernel: Callable[..., np.ndarray], array: xr.DataArray, makes: Mapping[str, int], numbers: dict[str, Any]
) -> xr.DataArray:
    """The same blocks as tasks of their own: no copy of the whole array, and no hash of it."""
    along, *_ = array.dims
    data = array.values
    task = dask.delayed(kernel, pure=False)
    shared = {name: dask.delayed(value, pure=False, traverse=False) for name, value in numbers.items()}
    blocks = [task(data[start : start + BLOCK], **shared) for start in range(0, len(data), BLOCK)]
    made = np.concatenate(dask.compute(*blocks, traverse=False)) if blocks else np.empty((0, *makes.values()))
    coords = {along: array[along]} if along in array.coords else {}
    return xr.DataArray(made, coords, (along, *makes)).transpose(*makes, along)


def values(recording: xr.Dataset, name: str) -> np.ndarray:
    """One coordinate as a plain array, text as text; ValueError with the names that stand when it does
    not.
    """
    if name not in recording.coords:
        known = ", ".join(sorted(map(str, recording.coords)))
        raise ValueError(f"coordinate {name!r}: the recording has none of that name; it has {known}")
    found = np.asarray(recording[name].values)
    return found.astype(str) if found.dtype.kind in "OU" else found
