"""Plots of population geometry: courses over time, layers, lifetimes of loops, a plane of rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import caption, figure, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COURSES = {
    "capacity": "capacity (manifolds per neuroid)", "radius": "radius", "dimension": "dimension",
    "ccgp": "CCGP (balanced accuracy)", "shattering": "shattering dimensionality (accuracy)",
    "parallelism": "parallelism score", "participation_ratio": "participation ratio",
    "centre_alignment": "alignment of centres", "curvature": "curvature (deg)", "tangling": "tangling (s⁻²)",
}  # fmt: skip
FLOORED = ("capacity", "trained", "untrained")


def drawn(result: xr.Dataset) -> Figure:
    """The figure that fits what the result holds."""
    if "lifetime" in result:
        return diagram(result)
    if "projection" in result:
        return plane(result)
    if "ratio" in result and "difference" in result:
        return layers(result, ["trained", "untrained", "difference"])
    if "dichotomy" in result.dims and "ccgp" in result:
        return dichotomies(result)
    names = [name for name in COURSES if name in result][:3]
    if not names:
        raise ValueError(
            f"result: holds {', '.join(map(str, result.data_vars))}; none of them is plotted here"
        )
    return layers(result, names) if "layer" in result.dims else courses(result, names)


def courses(result: xr.Dataset, names: list[str]) -> Figure:
    """Each variable over time, with its interval, what chance gives, and the floor."""
    made, panels = figure(4.2 * len(names) + 1, 3.4, len(names))
    for axes, name in zip(panels, names, strict=True):
        score = result[name]
        others = [dim for dim in score.dims if dim != "time"]
        time = result["time"].values if "time" in result.coords else np.arange(score.sizes["time"])
        if others:
            lines = score.transpose(*others, "time").values.reshape(-1, time.size)
            axes.plot(time, lines.T, color="0.85", linewidth=0.5)
            score = score.median(others)
        if f"{name}_low" in result and not others:
            axes.fill_between(time, *_ends(result, name), color="0.85", linewidth=0)
        axes.plot(time, score, color="0", linewidth=1.5, marker="o" if time.size == 1 else None)
        if name == names[0] and "null_high" in result and "dichotomy" not in result["null_high"].dims:
            axes.plot(
                time, result["null_high"], color="0.45", linewidth=1, linestyle=":", label="95 % of null"
            )
            axes.legend(fontsize=7, frameon=False)
        timeline(
            axes, float(result.attrs["chance"]) if name in ("ccgp", "shattering") else None, COURSES[name]
        )
        if name == "capacity" and "floor" in result.attrs:
            _dashed(axes, float(result.attrs["floor"]))
            axes.set_xlabel("time from stimulus onset (s); dashed: floor of any noise")
    panels[-1].set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def layers(result: xr.Dataset, names: list[str]) -> Figure:
    """Each variable by layer, in the network's order."""
    made, panels = figure(4.2 * len(names) + 1, 3.6, len(names))
    place = np.arange(result.sizes["layer"])
    for axes, name in zip(panels, names, strict=True):
        score = result[name]
        others = [dim for dim in score.dims if dim != "layer"]
        axes.plot(place, score.mean(others), color="0", marker="o", markersize=4)
        if f"{name}_low" in result:
            low, high = (result[f"{name}_{end}"].mean(others).values for end in ("low", "high"))
            axes.vlines(place, low, np.where(np.isfinite(high), high, score.mean(others)), color="0.6")
        if name == "difference":
            _dashed(axes, 0)
        elif name in FLOORED and "floor" in result.attrs:
            _dashed(axes, float(result.attrs["floor"]))
        axes.set_xticks(place, [str(layer) for layer in result["layer"].values], rotation=45, ha="right")
        axes.set_ylabel(COURSES.get(name, f"capacity, {name}"))
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def diagram(result: xr.Dataset) -> Figure:
    """Lifetimes of loops over time, the longest first, and the threshold of shuffled clouds."""
    made, (axes,) = figure()
    life = result["lifetime"].transpose("time", "hole").values
    time = result["time"].values if "time" in result.coords else np.arange(len(life))
    if len(life) == 1:
        axes.bar(np.arange(1, life.shape[1] + 1), life[0], color="0.6")
        axes.set_xlabel("loop, the longest first")
        axes.set_ylabel("lifetime")
        if "threshold" in result:
            axes.axhline(float(result["threshold"][0]), color="0", linewidth=1, linestyle=":")
    else:
        axes.plot(time, life[:, 1:], color="0.8", linewidth=0.5)
        axes.plot(time, life[:, 0], color="0", linewidth=1.5)
        if "threshold" in result:
            axes.plot(time, result["threshold"], color="0.45", linewidth=1, linestyle=":")
        timeline(axes, None, "lifetime of the longest loop")
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def plane(result: xr.Dataset) -> Figure:
    """Conditions in the plane of rotation, from a dot on, with both R²."""
    made, (axes,) = figure(4.4, 4.0)
    for path in result["projection"].transpose("condition", "time", "component").values:
        axes.plot(*path.T, color="0.5", linewidth=0.8)
        axes.plot(*path[0], ".", color="0")
    told = result.attrs
    axes.set_title(
        f"R² {told['skew_r2']:.2f} skew, {told['free_r2']:.2f} free, {told['frequency']:.2f} Hz", fontsize=9
    )
    axes.set_xlabel("jPC 1")
    axes.set_ylabel("jPC 2")
    axes.set_aspect("equal")
    return made


def dichotomies(result: xr.Dataset) -> Figure:
    """CCGP against parallelism, a dot a dichotomy, at the time of the highest mean CCGP."""
    made, (axes,) = figure(4.8, 3.8)
    moment = int(result["ccgp"].mean("dichotomy").argmax("time"))
    x, y = (result[name].isel(time=moment).values for name in ("parallelism", "ccgp"))
    axes.plot(x, y, ".", color="0")
    for name, across, up in zip(result["dichotomy"].values, x, y, strict=True):
        if not str(name).startswith("conditions"):
            axes.annotate(str(name), (across, up), fontsize=7, xytext=(3, 3), textcoords="offset points")
    _dashed(axes, 0.5)
    axes.set_xlabel(COURSES["parallelism"])
    axes.set_ylabel(COURSES["ccgp"])
    return made


def _dashed(axes: Axes, level: float) -> None:
    axes.axhline(level, color="0.4", linewidth=1, linestyle=(0, (4, 3)))


def _ends(result: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    low, high = result[f"{name}_low"].values, result[f"{name}_high"].values
    return low, np.where(np.isfinite(high), high, result[name].values)
