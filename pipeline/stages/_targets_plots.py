"""Targets drawn: responses or similarities as a picture, and how reliable neuroids are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _plots
from analyses import similarity as alike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 200  # pictures that are drawn


def drawn(result: xr.Dataset) -> Figure:
    """What `targets.plot` documents."""
    if "dissimilarity" in result:
        return alike.plot(result)
    if "similarity" in result:
        return _pairs(result)
    return _responses(result)


def _title(result: xr.Dataset) -> str:
    told = [str(result.attrs.get(key, "")) for key in ("target", "origin")]
    control = str(result.attrs.get("control", "none"))
    return " · ".join(
        [part for part in told if part] + ([] if control == "none" else [f"control: {control}"])
    )


def _pairs(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(4.6, 4.0)
    shown = result["similarity"].values[:MOST, :MOST]
    reach = np.quantile(np.abs(shown[~np.eye(len(shown), dtype=bool)]), 0.99)
    image = axes.imshow(shown, cmap="Greys", vmin=-reach, vmax=reach, interpolation="nearest")
    axes.set(xlabel="picture", ylabel="picture")
    figure.colorbar(image, label="cosine of centred responses")
    axes.set_title(_title(result), fontsize=7, loc="left", color="0.4")
    return figure


def _responses(result: xr.Dataset) -> Figure:
    names = [name for name in ("r", "reliability") if name in result and np.isfinite(result[name]).any()]
    figure, axes = _plots.figure(6.4, 3.6, 2 if names else 1)
    values = np.asarray(result["response"].values[:MOST], float)
    spread = np.nanstd(values, 0)
    standing = (values - np.nanmean(values, 0)) / np.where(spread > 0, spread, 1)
    image = axes[0].imshow(
        standing, cmap="Greys", vmin=-2.5, vmax=2.5, aspect="auto", interpolation="nearest"
    )
    axes[0].set(xlabel="neuroid", ylabel=f"picture ({len(values)} of {result.sizes['presentation']})")
    figure.colorbar(image, ax=axes[0], label="response (SD over pictures)")
    axes[0].set_title(_title(result), fontsize=7, loc="left", color="0.4")
    if names:
        order, marks = np.argsort(result[names[0]].values), {"r": "o", "reliability": "_"}
        words = {"r": "held-out r of the predictor", "reliability": "reliability (split halves)"}
        for name in names:
            axes[1].plot(result[name].values[order], marks[name], color="0", markersize=4, label=words[name])
        axes[1].axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)), label="chance")
        axes[1].set(
            xlabel="neuroid, the least first", ylabel="correlation", ylim=(min(0, axes[1].get_ylim()[0]), 1)
        )
        axes[1].legend(frameon=False, fontsize=7, loc="upper left")
        axes[1].spines[["top", "right"]].set_visible(False)
    return figure
