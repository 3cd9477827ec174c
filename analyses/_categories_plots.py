"""Plots of categorical perception: index by layer, the space around a boundary, curves, information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import caption, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = (("0.0", "o", "-"), ("0.5", "s", "--"), ("0.35", "^", ":"), ("0.65", "D", "-."))
LEVELS = ("0.75", "0.6", "0.45", "0.25", "0.0")


def drawn(result: xr.Dataset) -> Figure:
    """The figure that fits what the result holds."""
    if "fitted" in result:
        return curves(result)
    if "fisher_cat" in result:
        return theory(result)
    if "fisher" in result:
        return information(result)
    if "distance" in result:
        return around(result)
    if "index" in result:
        return layers(result)
    raise ValueError(f"result: holds {', '.join(map(str, result.data_vars))}; none of them is plotted here")


def layers(result: xr.Dataset) -> Figure:
    """Index by layer, an arm a line, published numbers as crosses."""
    made, (axes,) = figure(6.4, 4.0)
    arms = result["arm"].values.tolist() if "arm" in result.dims else [""]
    place = np.arange(result.sizes["layer"])
    for k, arm in enumerate(arms):
        part = result.sel(arm=arm) if arm else result
        part = part.isel(time=int(part["index"].mean("layer").argmax())) if "time" in part.dims else part
        colour, mark, dash = STYLES[k % len(STYLES)]
        low, high = part["index_low"].values, part["index_high"].values
        axes.vlines(place, low, high, color=colour, linewidth=1)
        axes.plot(
            place, part["index"], color=colour, marker=mark, markersize=4, linestyle=dash, label=arm or None
        )
        if "published" in part and np.isfinite(part["published"]).any():
            told = f"published: {arm}"
            axes.plot(place + 0.1, part["published"], "x", color=colour, label=told)
    _by_layer(axes, result, "categoricality index (KS statistic)")
    axes.set_ylim(0, 1)
    if arms != [""]:
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    bars = f"bars: {result.attrs['confidence']:.0%} over {result.attrs['n']} {result.attrs['over']}"
    if result.attrs.get("published_for"):
        bars += f"; crosses: {result.attrs['published_for']}"
    axes.set_title(
        " · ".join(filter(None, (caption(result.attrs), bars))), fontsize=7, loc="right", color="0.4"
    )
    return made


def around(result: xr.Dataset) -> Figure:
    """Distance of neighbours around the change of the answer, by layer; the answer; expansion by layer."""
    arms = result["arm"].values.tolist() if "arm" in result.dims else [""]
    made, panels = figure(3.6 * (len(arms) + 1), 3.6, len(arms) + 1)
    names = result["layer"].values.tolist()
    for axes, arm in zip(panels, arms, strict=False):
        part = result.sel(arm=arm) if arm else result
        for k, name in enumerate(names):
            one = part.sel(layer=name)
            colour = LEVELS[int(k * (len(LEVELS) - 1) / max(len(names) - 1, 1))]
            ends = (one["distance_low"], one["distance_high"])
            axes.fill_between(one["place"], *ends, color=colour, alpha=0.2, linewidth=0)
            axes.plot(
                one["place"],
                one["distance"],
                color=colour,
                linestyle=("-", "--", ":", "-.")[k % 4],
                label=name,
            )
        axes.axvline(0, color="0.8", linewidth=1, zorder=0)
        axes.set_xlabel("place from the change of answer (α)")
        axes.set_ylabel("distance of neighbours (1 - cosine)")
        axes.set_ylim(0, 1.05 * float(result["distance_high"].fillna(result["distance"]).max()))
        axes.set_title(arm, fontsize=9)
        axes.legend(fontsize=7, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    place = np.arange(len(names))
    for k, arm in enumerate(arms):
        part, (colour, mark, dash) = (result.sel(arm=arm) if arm else result), STYLES[k % len(STYLES)]
        panels[-1].vlines(place, part["expansion_low"], part["expansion_high"], color=colour)
        panels[-1].plot(
            place, part["expansion"], color=colour, marker=mark, linestyle=dash, label=arm or None
        )
    panels[-1].axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    _by_layer(panels[-1], result, "log₂ distance, boundary / ends")
    if arms != [""]:
        panels[-1].legend(fontsize=7, frameon=False)
    told = f"{result.attrs['confidence']:.0%} over {result.attrs['n']} {result.attrs['over']}"
    panels[-1].set_title(told, fontsize=7, loc="right", color="0.4")
    return made


def curves(result: xr.Dataset) -> Figure:
    """Shares that were chosen, and the logistic function, a curve each."""
    made, (axes,) = figure(5.0, 3.6)
    for k, name in enumerate(result["continuum"].values.tolist()[:4]):
        one, (colour, mark, dash) = result.sel(continuum=name), STYLES[k]
        axes.plot(one["place"], one["observed"], mark, color=colour, markersize=4)
        axes.plot(
            one["place"],
            one["fitted"],
            color=colour,
            linestyle=dash,
            label=f"{name}: slope {float(one['slope']):.3g}",
        )
        axes.vlines(float(one["threshold"]), 0, 0.5, color=colour, linewidth=0.7)
    axes.axhline(0.5, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlabel(str(result.attrs["along"]))
    axes.set_ylabel("share of the second answer")
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return made


def information(result: xr.Dataset) -> Figure:
    """Fisher information along the continuum, by layer."""
    made, (axes,) = figure(5.0, 3.6)
    for k, name in enumerate(result["layer"].values.tolist()):
        one, (colour, _, dash) = result.sel(layer=name), STYLES[k % len(STYLES)]
        axes.fill_between(
            one["place"], one["fisher_low"], one["fisher_high"], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(one["place"], one["fisher"], color=colour, linestyle=dash, label=name)
    axes.set_xlabel(str(result.attrs["along"]))
    axes.set_ylabel(f"Fisher information, {result.attrs['method']} (place⁻²)")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return made


def theory(result: xr.Dataset) -> Figure:
    """The posterior of each category, and the information that categories ask for."""
    made, panels = figure(7.0, 3.2, 2)
    for k, name in enumerate(result["condition"].values.tolist()):
        colour, _, dash = STYLES[k % len(STYLES)]
        panels[0].plot(result["place"], result["posterior"].sel(condition=name), color=colour, linestyle=dash,
                       label=f"centre {name}")  # fmt: skip
    panels[0].set_ylabel("posterior")
    panels[0].legend(fontsize=7, frameon=False)
    panels[1].plot(result["place"], result["fisher_cat"], color="0")
    panels[1].set_ylabel("F_cat (place⁻²)")
    for axes in panels:
        axes.set_xlabel("place")
        axes.spines[["top", "right"]].set_visible(False)
    return made


def _by_layer(axes: Axes, result: xr.Dataset, label: str) -> None:
    place = np.arange(result.sizes["layer"])
    axes.set_xticks(place, [str(name) for name in result["layer"].values], rotation=45, ha="right")
    axes.set_xlim(-0.4, place[-1] + 0.4)
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
