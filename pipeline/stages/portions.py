"""A share of the pictures, and the rest of them: parts that never overlap."""

from __future__ import annotations

import numpy as np
import xarray as xr


def portion(
    stimuli: xr.Dataset, *, start: float = 0.0, stop: float = 1.0, label: str | None = None, seed: int = 0
) -> xr.Dataset:
    """The pictures from share `start` to share `stop` of one random order, the same for every such call.

    Portions of the same stimuli, label and seed whose shares do not overlap have no picture in common; copies
    of a picture, known by content, stay together.

    Reads    stimuli, with any variables; label, a coordinate each of whose values is cut alike
    Returns  the same variables and labels of these stimuli, in their order
    >>> ten = xr.Dataset(coords={"stimulus_id": ("stimulus", [str(k) for k in range(10)])})
    >>> [portion(ten, start=a, stop=b).sizes["stimulus"] for a, b in ((0, 0.8), (0.8, 1))]
    [8, 2]
    """
    if not 0 <= start < stop <= 1:
        raise ValueError(f"start: {start} to {stop}; wanted shares from 0 to 1, the first one smaller")
    name = "content" if "content" in stimuli.coords else "stimulus_id"
    known, first, inverse = np.unique(
        stimuli[name].values.astype(str), return_index=True, return_inverse=True
    )
    column = np.zeros(len(known), int) if label is None else stimuli[label].values[first]
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rank = np.empty(len(known))
    for value in np.unique(column):
        members = np.flatnonzero(column == value)
        rank[rng.permutation(members)] = (np.arange(members.size) + 0.5) / members.size
    chosen = ((rank >= start) & (rank < stop))[np.ravel(inverse)]
    if not chosen.any():
        raise ValueError(f"start: {start} to {stop} of {len(known)} pictures holds none; give a wider share")
    return stimuli.isel(stimulus=np.flatnonzero(chosen))
