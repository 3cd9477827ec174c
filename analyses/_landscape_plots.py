"""Plots of landscapes: maps with level sets, curves by level, trends over layers, level sets of peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import caption, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "branch_area": "curves (area over level)", "loop_area": "loops (area)", "line_area": "lines (area)",
    "single_branch": "lowest single curve (level)", "single_loop": "lowest single loop (level)",
    "aspect": "aspect of peak loops (1: circle)", "local_r2": "R² of local RBF",
    "global_r2": "R² of global RBF", "sparseness": "sparseness", "local_width": "width of the peak (deg)",
}  # fmt: skip
SHOWN = ("loop_area", "single_branch", "single_loop", "aspect", "local_r2", "global_r2")
STYLES = (("0.0", "o", "-"), ("0.55", "s", "--"))
MOST = 15  # maps that are drawn


def drawn(result: xr.Dataset) -> Figure:
    """The figure that fits what the result holds."""
    if "rho" in result:
        return layers(result)
    if "tuning" in result:
        return surfaces(result)
    if "loops" in result:
        return curves(result)
    if "maxmin_ratio" in result:
        return ratios(result)
    if "r" in result:
        return halves(result)
    raise ValueError(f"result: holds {', '.join(map(str, result.data_vars))}; none of them is plotted here")


def surfaces(result: xr.Dataset) -> Figure:
    """Some maps of each layer with five level sets."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(8.2, 5.2), layout="constrained", dpi=150)
    axes = np.ravel(made.subplots(3, MOST // 3))
    some = _some(result)
    for panel, k in zip(axes, some, strict=False):
        field = result["tuning"].isel(neuroid=k).transpose("v", "u").values
        u, v = result["u"].values, result["v"].values
        panel.pcolormesh(u, v, field, cmap="Greys", rasterized=True)
        if np.ptp(field) > 0:
            panel.contour(
                u,
                v,
                field,
                levels=np.linspace(field.min(), field.max(), 7)[1:-1],
                colors="0.2",
                linewidths=0.6,
            )
        name = result["neuroid_id"].values[k] if "neuroid_id" in result.coords else k
        panel.set_title(f"{name}", fontsize=7)
        panel.set_aspect("equal")
        panel.tick_params(labelsize=6)
    for panel in axes[len(some) :]:
        panel.set_axis_off()
    sphere = result.attrs.get("grid") == "sphere"
    made.supxlabel("u: longitude (deg)" if sphere else "u", fontsize=8)
    made.supylabel("v: latitude (deg)" if sphere else "v", fontsize=8)
    made.suptitle(caption(result.attrs), fontsize=7, color="0.4")
    return made


def _some(result: xr.Dataset) -> list[int]:
    """Neuroids that vary most, as many of each layer."""
    reach = np.ptp(
        result["tuning"].transpose("neuroid", "u", "v").values.reshape(result.sizes["neuroid"], -1), axis=1
    )
    layer = result["layer"].values if "layer" in result.coords else np.zeros(reach.size)
    names = list(dict.fromkeys(layer.tolist()))
    each = max(1, MOST // len(names))
    made: list[int] = []
    for name in names:
        rows = np.flatnonzero(layer == name)
        live = rows[reach[rows] > 0]
        made += live[np.linspace(0, live.size - 1, min(each, live.size)).astype(int)].tolist()
    return made[:MOST]


def curves(result: xr.Dataset) -> Figure:
    """Mean number of loops and of lines by level, a line a layer."""
    made, panels = figure(7.6, 3.4, 2)
    layer = result["layer"].values if "layer" in result.coords else np.full(result.sizes["neuroid"], "all")
    names = list(dict.fromkeys(layer.tolist()))
    place = result["level"].values / (result.sizes["level"] - 1)
    for axes, key in zip(panels, ("loops", "lines"), strict=True):
        table = result[key].transpose("level", "neuroid").values
        for k, name in enumerate(names):
            mine = table[:, layer == name]
            mine = mine[:, np.isfinite(mine).all(axis=0)]
            grey = f"{0.75 * (1 - k / max(len(names) - 1, 1)):.2f}"
            axes.plot(
                place[1:-1],
                mine.mean(axis=1)[1:-1],
                color=grey,
                linestyle=("-", "--", ":", "-.")[k % 4],
                label=name,
            )
        axes.set_xlabel("level (share of the range)")
        axes.set_ylabel(f"{key} a map")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(fontsize=7, frameon=False)
    return made


def layers(result: xr.Dataset) -> Figure:
    """Each number by layer, an arm a line, with Spearman's rho of both."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(9.6, 5.6), layout="constrained", dpi=150)
    place = np.arange(result.sizes["layer"])
    for axes, name in zip(np.ravel(made.subplots(2, 3)), SHOWN, strict=True):
        one, told = result.sel(condition=name), []
        for arm, (colour, mark, dash) in zip(result["arm"].values.tolist(), STYLES, strict=False):
            part = one.sel(arm=arm)
            axes.vlines(place, part["mean_low"], part["mean_high"], color=colour)
            axes.plot(place, part["mean"], color=colour, marker=mark, markersize=4, linestyle=dash, label=arm)
            low, high = float(part["rho_low"]), float(part["rho_high"])
            told.append(f"{arm}: ρ {float(part['rho']):.2f} [{low:.2f}, {high:.2f}]")
        axes.set_title("\n".join(told), fontsize=7)
        axes.set_xticks(place, [str(layer) for layer in result["layer"].values], rotation=30, ha="right")
        axes.set_ylabel(NAMES[name], fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    made.axes[0].legend(fontsize=7, frameon=False)
    bars = f"bars: {result.attrs['confidence']:.0%}, {result.attrs['over']}"
    made.suptitle(
        f"{bars}; {result.attrs['n']} maps in {result.attrs['starts']} starts", fontsize=8, color="0.4"
    )
    return made


def ratios(result: xr.Dataset) -> Figure:
    """Farthest to nearest point of level sets, and everywhere to nearby, by layer; dashed: an RBF."""
    made, panels = figure(7.0, 3.4, 2)
    layer = result["layer"].values if "layer" in result.coords else np.full(result.sizes["neuroid"], "all")
    names = list(dict.fromkeys(layer.tolist()))
    place = np.array([names.index(name) for name in layer], float)
    told = {
        "maxmin_ratio": "farthest / nearest point, around the peak",
        "global_ratio": "farthest anywhere / around the peak",
    }
    for axes, (key, label) in zip(panels, told.items(), strict=True):
        table = result[key].values
        axes.plot(place, table, "o", color="0.6", markersize=3)
        axes.plot([np.nanmedian(table[place == k]) if np.isfinite(table[place == k]).any() else np.nan
                   for k in range(len(names))], color="0", marker="_", markersize=14)  # fmt: skip
        axes.axhline(1, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_title("dashed: a radial basis function; line: medians", fontsize=7, color="0.4")
    return made


def halves(result: xr.Dataset) -> Figure:
    """Agreement of two halves of the presentations."""
    made, (axes,) = figure(5.0, 3.4)
    names = result["condition"].values.tolist()
    axes.barh(range(len(names)), result["r"], color="0.6")
    axes.set_yticks(range(len(names)), [NAMES[name] for name in names], fontsize=7)
    axes.axvline(0, color="0", linewidth=1)
    axes.set_xlim(-1, 1)
    axes.set_xlabel(f"Spearman's rho between halves, {result.attrs['n']} neuroids")
    axes.spines[["top", "right"]].set_visible(False)
    return made
