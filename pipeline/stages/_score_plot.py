"""How the scores of a model's layers are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn(result: xr.Dataset) -> Figure:
    """Raw score by layer or method, with its error; √ceiling, and 0 for what chance would give."""
    from matplotlib.figure import Figure

    dim = str(result["raw" if "raw" in result else "score"].dims[0])
    names = [str(name) for name in result[dim].values]
    made = Figure(figsize=(max(3.6, 1.8 + 0.6 * len(names)), 3.4), layout="constrained", dpi=150)
    axes = made.subplots()
    place = np.arange(len(names))
    if "r" in result and "layer" in result["r"].dims:
        jitter = np.linspace(-0.25, 0.25, result.sizes["neuroid"])
        for k, row in enumerate(result["r"].values):
            axes.plot(k + jitter, row, ".", color="0.8", markersize=3, zorder=0)
    raw = result["raw" if "raw" in result else "score"].values
    axes.errorbar(place, raw, result["error"].values, fmt="o", color="0", capsize=3)
    limit = result["ceiling"].values if "ceiling" in result else np.full(1, np.nan)
    if np.isfinite(limit).any():
        height = float(np.sqrt(np.nanmax(limit)))
        axes.axhline(height, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            "√ceiling", (1, height), xycoords=("axes fraction", "data"), va="bottom", ha="right", fontsize=7
        )
    axes.axhline(0, color="0.4", linewidth=1, linestyle=":")
    axes.set_xticks(place, names, rotation=30, ha="right")
    axes.set_xlabel(dim)
    axes.set_ylabel(f"{result.attrs.get('metric', '')} raw score".strip())
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(str(result.attrs.get("region", "")), fontsize=8, loc="right", color="0.4")
    return made
