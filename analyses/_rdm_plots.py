"""Pictures of RDMs, and of the similarity of models with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12  # matrices in one figure


def drawn(result: xr.Dataset) -> Figure:
    """The picture of whatever similarity made."""
    if "dissimilarity" in result:
        return matrices(result)
    name = next(str(key) for key in ("similarity", "cka", "cca", "ceiling") if key in result)
    score = result[name]
    if score.sizes.get("time", 1) > 1:
        return courses(result, name)
    return bars(result, name)


def matrices(result: xr.Dataset) -> Figure:
    """RDMs side by side, each in ranks (0 the most alike), of a movie a few moments."""
    array = result["dissimilarity"]
    others = [str(dim) for dim in array.dims if dim not in ("condition", "other_condition")]
    cells = array.transpose(*others, "condition", "other_condition").values
    names = _names(array, others)
    flat = cells.reshape(-1, *cells.shape[-2:])
    pick = np.unique(np.linspace(0, len(flat) - 1, min(MOST, len(flat))).astype(int))
    columns = min(4, pick.size)
    made, first = _plots.figure(2.2 * columns, 2.3 * -(-pick.size // columns), columns)
    axes = first
    if pick.size > columns:
        made.clear()
        axes = list(np.ravel(made.subplots(-(-pick.size // columns), columns)))
    for axis in axes[pick.size :]:
        axis.remove()
    image = None
    for axis, place in zip(axes, pick, strict=False):
        cells = np.array(flat[place], dtype=float)
        off = ~np.eye(len(cells), dtype=bool)
        cells[off] = (rankdata(cells[off], nan_policy="omit") - 1) / max(off.sum() - 1, 1)
        image = axis.imshow(cells, cmap="cividis", vmin=0, vmax=1)
        axis.set_title(names[place], fontsize=7)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_xlabel(f"{len(cells)} conditions", fontsize=7)
    if image is not None:
        made.colorbar(image, ax=axes[: pick.size], label="rank of dissimilarity", shrink=0.8)
    return made


def _names(array: xr.DataArray, dims: list[str]) -> list[str]:
    """The coordinates of every entry of these dims, the first dim slowest."""
    told = []
    for dim in dims:
        there = array[dim].values if dim in array.coords else np.arange(array.sizes[dim])
        told.append([f"{1000 * t:.0f} ms" for t in there] if dim == "time" else [str(name) for name in there])
    return [" ".join(told[k][i] for k, i in enumerate(place)) for place in np.ndindex(*map(len, told))]


def courses(result: xr.Dataset, name: str) -> Figure:
    """One line a model with its interval, over time, below the ceiling; dots where corrected p < .05."""
    made, (axes,) = _plots.figure()
    score, time = result[name], result["time"].values
    lines = score.values.reshape(-1, time.size) if score.dims[-1] == "time" else score.values[None]
    names = _lines(score)
    for place, line in enumerate(lines):
        grey, dash = _plots.GREYS[place % 3], _plots.DASHES[place // 3 % 3]
        axes.plot(time, line, color=grey, linestyle=dash, linewidth=1.5, label=names[place])
        if f"{name}_low" in result:
            low, high = (
                result[f"{name}_{end}"].values.reshape(-1, time.size)[place] for end in ("low", "high")
            )
            axes.fill_between(time, low, high, color=grey, alpha=0.15, linewidth=0)
        if "p" in result:
            sure = result["p"].values.reshape(-1, time.size)[place] < 0.05
            height = axes.get_ylim()[0]
            axes.plot(time[sure], np.full(sure.sum(), height), ".", color=grey, markersize=3)
    _ceiling(axes, result, time)
    _plots.timeline(axes, result.attrs.get("chance"), _measured(result, name))
    if len(lines) > 1:
        axes.legend(fontsize=7, frameon=False)
    axes.set_title(_told(result), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def bars(result: xr.Dataset, name: str) -> Figure:
    """Models down, the best first, with intervals; the ceiling as a band."""
    score = result[name]
    found, names = np.ravel(score.values), _lines(score)
    order = np.argsort(found)
    made, (axes,) = _plots.figure(6.4, 1.4 + 0.28 * found.size)
    axes.barh(range(found.size), found[order], color="0.65")
    if f"{name}_low" in result:
        low, high = (np.ravel(result[f"{name}_{end}"].values)[order] for end in ("low", "high"))
        axes.hlines(range(found.size), low, high, color="0", linewidth=1)
    if "ceiling_low" in result and np.isfinite(result["ceiling_low"].values).all():
        ends = [float(result[f"ceiling_{end}"].values.ravel()[0]) for end in ("low", "high")]
        axes.axvspan(*ends, color="0.88", zorder=0, label="noise ceiling")
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    axes.axvline(result.attrs.get("chance", 0.0), color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(range(found.size), [names[place] for place in order], fontsize=7)
    axes.set_xlabel(f"{_measured(result, name)} (dashed: chance)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(_told(result), fontsize=7, loc="right", color="0.4")
    return made


def _ceiling(axes: Axes, result: xr.Dataset, time: np.ndarray) -> None:
    if "ceiling_low" in result and np.isfinite(result["ceiling_high"].values).any():
        ends = (result["ceiling_low"].values, result["ceiling_high"].values)
        axes.fill_between(time, *ends, color="0.9", linewidth=0, zorder=-1, label="noise ceiling")


def _lines(score: xr.DataArray) -> list[str]:
    return _names(score, [str(dim) for dim in score.dims if dim != "time"])


def _measured(result: xr.Dataset, name: str) -> str:
    measure = result.attrs.get("measure", result.attrs.get("kind", ""))
    words = {"similarity": "similarity of RDMs", "cka": "CKA", "cca": "canonical correlation"}
    return f"{words.get(name, name)} ({measure})" if measure else words.get(name, name)


def _told(result: xr.Dataset) -> str:
    told = _plots.caption(dict(result.attrs))
    count = result.attrs.get("n", result.attrs.get("conditions"))
    return (
        f"{told} · {count} conditions" if told and count else told or (f"{count} conditions" if count else "")
    )
