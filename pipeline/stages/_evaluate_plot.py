"""Accuracy of a network, or of several, under budgets and severities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def drawn(result: xr.Dataset) -> Figure:
    """One panel for attacks, one for corruptions; without either, clean accuracies."""
    kinds = [name for name in ("attacked", "corrupted") if name in result] or ["accuracy"]
    made, panels = _plots.figure(4.6 * len(kinds), 3.6, len(kinds))
    for axes, name in zip(panels, kinds, strict=True):
        shown = "union" if name == "attacked" and "arm" in result.dims else name
        part = _mean(result, shown)
        if name == "accuracy":
            _bars(axes, part)
        else:
            _lines(axes, part, "epsilon" if name == "attacked" else "severity")
        if "chance" in result.attrs:
            chance = float(result.attrs["chance"])
            axes.axhline(chance, color="0.4", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            axes.text(1.0, chance, "chance ", transform=axes.get_yaxis_transform(), ha="right", va="bottom",
                      fontsize=7, color="0.4")  # fmt: skip
        axes.set_ylim(0, 1)
        axes.set_ylabel("accuracy" + (" under the worst attack" if shown == "union" else ""))
        axes.spines[["top", "right"]].set_visible(False)
    return made


def _mean(result: xr.Dataset, name: str) -> xr.DataArray:
    """Of classes alone, the mean over seeds."""
    part = result[name].isel(method=0) if "method" in result[name].dims else result[name]
    return part.mean("seed") if "seed" in part.dims else part


def _bars(axes: Axes, part: xr.DataArray) -> None:
    names = part["arm"].values.astype(str) if "arm" in part.dims else ["network"]
    axes.plot(np.arange(len(names)), np.atleast_1d(part.values), "o", color="0")
    axes.set_xticks(np.arange(len(names)), names, fontsize=7, rotation=30)


def _lines(axes: Axes, part: xr.DataArray, along: str) -> None:
    """One line for each of what is left."""
    others = [dim for dim in part.dims if dim != along]
    if "arm" in others and "corruption" in others:
        part, others = part.mean("corruption"), [dim for dim in others if dim != "corruption"]
    lines = part.stack(line=others) if others else part.expand_dims("line")
    names = [" ".join(map(str, np.atleast_1d(key))) for key in lines["line"].values] if others else [""]
    shades = np.linspace(0, 0.75, len(names))
    for k, (name, line) in enumerate(zip(names, lines.transpose("line", along).values, strict=True)):
        axes.plot(
            part[along], line, color=str(shades[k]), linestyle=_plots.DASHES[k % 3], linewidth=1.2,
            marker="osv^D"[k % 5], markersize=3, label=name.replace("_", " "),
        )  # fmt: skip
    axes.set_xlabel("size of the perturbation (pixels in [0, 1])" if along == "epsilon" else along)
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=5.5, ncol=2)
