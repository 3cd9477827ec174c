"""How a training is drawn: its losses, what the validation measured, and which classes it mistakes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses._plots import DASHES, GREYS, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HISTORY = ("loss", "gradient_norm", "validation_loss", "rate")


def curves(result: xr.Dataset) -> Figure:
    """Loss by epoch and term (thin: on the validation), and the measures of the validation."""
    from matplotlib.ticker import MaxNLocator

    measures = [
        name for name, held in result.data_vars.items() if held.dims == ("epoch",) and name not in HISTORY
    ]
    made, axes = figure(3.4 * (2 if measures else 1) + 0.6, 3.2, 2 if measures else 1)
    epoch, best = result["epoch"].values, int(result.attrs["best_epoch"])
    told = json.loads(result.attrs["hyperparameters"])
    attacked = ", attacked pictures" if told["adversary"] is not None and not told["trades"] else ""
    for k, term in enumerate(result["term"].values):
        style: dict[str, Any] = {"color": GREYS[k % 3], "linestyle": DASHES[k % 3]}
        shown = f"{term}{'' if term in told['penalties'] else attacked}"
        axes[0].plot(epoch, result["loss"][:, k], linewidth=1.6, label=shown, **style)
        if np.isfinite(result["validation_loss"][:, k]).any():
            axes[0].plot(epoch, result["validation_loss"][:, k], linewidth=0.8, marker=".", markersize=3,
                         label=f"{term}, validation", **style)  # fmt: skip
    axes[0].set_ylabel("loss (mean over pictures)")
    axes[0].legend(fontsize=7, frameon=False)
    for k, name in enumerate(measures):
        axes[1].plot(epoch, result[name], color=GREYS[k % 3], linestyle=DASHES[k % 3], label=str(name))
    if measures:
        axes[1].set_ylabel(f"validation {', '.join(map(str, measures))}")
        chance = result.attrs.get("chance")
        if "accuracy" in measures and chance is not None:
            by_chance = f"chance {chance:.3g}" + (" (accuracy)" if len(measures) > 1 else "")
            axes[1].axhline(chance, color="0.4", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            axes[1].annotate(by_chance, (0.99, chance), xycoords=("axes fraction", "data"),
                             va="bottom", ha="right", fontsize=7, color="0.4")  # fmt: skip
            axes[1].set_ylim(min(0.0, *(float(result[name].min()) for name in measures)), 1)
        if len(measures) > 1:
            axes[1].legend(fontsize=7, frameon=False)
    for part in axes:
        part.axvline(best, color="0.8", linewidth=1, zorder=0)
        part.annotate(
            "kept", (best, 1.01), xycoords=("data", "axes fraction"), ha="center", fontsize=7, color="0.4"
        )
        part.set_xlabel("epoch")
        part.spines[["top", "right"]].set_visible(False)
        part.xaxis.set_major_locator(MaxNLocator(integer=True))
    return made


def confusions(result: xr.Dataset) -> Figure:
    """The share of every class that was named as each class."""
    table = result["confusion"].values
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    names = [str(name) for name in result["condition"].values]
    side = 2.2 + 0.3 * len(names)
    made, (axes,) = figure(side + 1.6, side)
    image = axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
    if len(names) <= 20:
        for (row, column), value in np.ndenumerate(share):
            axes.text(column, row, f"{value:.2f}".lstrip("0") if value < 1 else "1", ha="center", va="center",
                      fontsize=6, color="1" if value > 0.5 else "0")  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("named as")
    axes.set_ylabel(str(result.attrs.get("label", "class")))
    low, high = float(result["low"][0]), float(result["high"][0])
    told = f"accuracy {float(result['accuracy'][0]):.3f} ({low:.3f} to {high:.3f})"
    axes.set_title(f"{told}, chance {result.attrs['chance']:.3g}", fontsize=8)
    made.colorbar(image, label="share of the class", fraction=0.046)
    return made
