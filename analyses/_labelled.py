"""Labelled faces for array kernels: name the dimensions a kernel consumes and makes, and forget axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
    lazy = array.chunks is not None
    chunks = {**dict.fromkeys(consumes, -1), along: BLOCK}
    made = xr.apply_ufunc(
        kernel,
        array.chunk(chunks).transpose(along, *consumes),
        input_core_dims=[list(consumes)],
        output_core_dims=[list(makes)],
        exclude_dims=set(consumes),
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": dict(makes)},
        kwargs=numbers,
        keep_attrs=False,
    ).transpose(*makes, along)
    return made if lazy else made.compute()


def values(recording: xr.Dataset, name: str) -> np.ndarray:
    """One coordinate as a plain array, text as text; ValueError with the names that stand when it does
    not.
    """
    if name not in recording.coords:
        known = ", ".join(sorted(map(str, recording.coords)))
        raise ValueError(f"coordinate {name!r}: the recording has none of that name; it has {known}")
    found = np.asarray(recording[name].values)
    return found.astype(str) if found.dtype.kind in "OU" else found
