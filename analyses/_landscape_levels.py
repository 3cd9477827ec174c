"""The numbers of one map, and the level sets that a search has found in a space of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.integrate import trapezoid
from scipy.stats import spearmanr

from analyses import _landscape_contours as _contours
from analyses import _landscape_maps as _maps
from analyses import _landscape_rbf as _rbf
from analyses._labelled import values

ONE = {"units": "1"}
SHAPES = {
    "branch_area": "1", "loop_area": "1", "line_area": "1", "single_branch": "1", "single_branch_level": "1",
    "single_loop": "1", "aspect": "1", "local_r2": "1", "local_width": "deg", "global_r2": "1",
    "global_width": "deg", "sparseness": "1", "peak_u": "deg", "peak_v": "deg",
}  # fmt: skip


def largest(reach: np.ndarray, tuning: xr.Dataset) -> np.ndarray:
    """Of each neuroid, the largest range in its layer."""
    layer = values(tuning, "layer") if "layer" in tuning.coords else np.full(reach.size, "all")
    made = np.empty(reach.size)
    for name in np.unique(layer):
        made[layer == name] = reach[layer == name].max()
    return made


def described(
    field: np.ndarray, grid: list[np.ndarray], levels: int, height: float, shape: str
) -> tuple[np.ndarray, np.ndarray]:
    """Loops and lines (2, level), and the numbers of SHAPES."""
    heights = np.linspace(field.min(), field.max(), levels)
    found = _contours.contours(field, heights)
    loops, lines = _contours.counts(found, levels)
    top = np.unravel_index(int(field.argmax()), field.shape)
    peak = (int(top[0]), int(top[1]))
    at = (float(grid[0][peak]), float(grid[1][peak]))
    place = _contours.places(field, heights, found)
    u, v = (_between(axis, place[:, k]) for k, axis in enumerate((grid[0][:, 0], grid[1][0])))
    aspect = _contours.roundness(field, heights, found, _maps.distances(u, v, at, shape), peak)
    fits = _rbf.both(field, _maps.distances(grid[0], grid[1], at, shape), peak, height)
    share = heights / heights[-1] if heights[-1] > 0 else np.full(levels, np.nan)
    inner = slice(1, levels - 1)
    areas = [float(trapezoid(each[inner], share[inner])) for each in (loops + lines, loops, lines)]
    branch = single(loops + lines, np.zeros(levels))
    one = single(loops, lines)
    sparse = 1 - float(field.mean()) / heights[-1] if heights[-1] > 0 else np.nan
    numbers = [*areas, branch, float(share[int(branch)]), one, aspect, *fits, sparse, *at]
    return np.stack([loops, lines]).astype(float), np.array(numbers)


def _between(axis: np.ndarray, place: np.ndarray) -> np.ndarray:
    return np.asarray(np.interp(place, np.arange(axis.size), axis))


def single(many: np.ndarray, none: np.ndarray) -> float:
    """The lowest level down to which, from the second highest, there is one curve and none of the other kind.

    >>> single(np.array([0, 2, 1, 1, 0]), np.zeros(5))
    2.0
    """
    place = len(many) - 1
    while place > 1 and many[place - 1] == 1 and none[place - 1] == 0:
        place -= 1
    return float(place)


def isotropy(samples: xr.Dataset, levels: np.ndarray, close: float, fewest: int) -> xr.Dataset:
    """Ratios of the level sets of each neuroid."""
    distance, activation = (
        samples[name].transpose("neuroid", "arm", "draw").values for name in ("distance", "activation")
    )
    target = np.asarray(samples["target"].values, float)
    local = np.char.startswith(values(samples, "arm").astype(str), "local")
    if not local.any() or local.all():
        raise ValueError("arm: wanted searches that start nearby ('local ...') and everywhere ('global ...')")
    there = np.abs(activation - target) <= close
    names = ("maxmin_ratio", "global_ratio", "reached", "over", "slope", "spearman")
    table = np.full((len(distance), len(names)), np.nan)
    for k, (far, on) in enumerate(zip(distance, there, strict=True)):
        ratios, wider = [], []
        for level in levels:
            mine = np.abs(target - level) < 1e-6
            near, wide = (far[side][:, mine][on[side][:, mine]] for side in (local, ~local))
            if near.size >= fewest:
                ratios.append(near.max() / max(float(near.min()), 1e-12))
                if wide.size >= fewest:
                    wider.append(wide.max() / near.max())
        table[k, :2] = [np.mean(each) if each else np.nan for each in (ratios, wider)]
        table[k, 2], table[k, 3] = on.mean(), (activation[k] > 1 + close).sum()
        known = on[local]
        x, y = activation[k][local][known], far[local][known]
        if x.size >= fewest and np.ptp(x) > 0 and np.ptp(y) > 0:
            table[k, 4], table[k, 5] = np.polyfit(x, y, 1)[0], spearmanr(x, y).statistic
    made = {name: ("neuroid", table[:, n], ONE) for n, name in enumerate(names)}
    coords: dict[str, Any] = {
        name: item for name, item in samples.coords.items() if item.dims == ("neuroid",)
    }
    facts = {"levels": ", ".join(f"{level:g}" for level in levels), "close": close, "fewest": fewest}
    return xr.Dataset(made, coords, samples.attrs | facts)
