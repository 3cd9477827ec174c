"""What an attack found, to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 4  # pictures of the gallery


def drawn(result: xr.Dataset) -> Figure:
    """The share of broken pictures, or the mean change, over budgets; and a gallery at the largest."""
    from matplotlib.figure import Figure

    one = result.isel(neuroid=0) if "neuroid" in result.dims else result
    shown = min(SHOWN, one.sizes["stimulus"]) if "image" in one else 0
    figure = Figure(figsize=(4 + 1.4 * shown, 4.2), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=[4, max(1.4 * shown, 0.1)])
    left, right = halves
    _curve(left.subplots(), result)
    if shown:
        _gallery(right.subplots(3, shown, squeeze=False), one, shown)
    return figure


def _curve(axes: Any, result: xr.Dataset) -> None:
    epsilon, norm = result["epsilon"].values, str(result.attrs["norm"])
    x, unit = (255 * epsilon, ", in 1/255") if norm == "linf" else (epsilon, "")
    if "broken" in result:
        others = [dim for dim in result["broken"].dims if dim != "epsilon"]
        axes.plot(x, result["broken"].mean(others).values, marker="o", color="black")
        axes.set_ylim(-0.02, 1.02)
        axes.set_ylabel(
            f"share {'where the target won' if result.attrs['target'] == 'targeted' else 'broken'}"
        )
    else:
        change = result["value"] - result["clean"]
        others = [dim for dim in change.dims if dim != "epsilon"]
        axes.plot(x, change.mean(others).values, marker="o", color="black")
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.set_ylabel(f"mean change of {result.attrs['loss']}")
    axes.set_xlabel(f"budget ({norm}{unit})")
    axes.set_title(f"{result.attrs['search']}, {result.attrs['steps']} steps", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _gallery(axes: Any, one: xr.Dataset, shown: int) -> None:
    image = one["image"].transpose("epsilon", "stimulus", "y", "x", "channel").values
    clean, attacked = image[0, :shown], image[-1, :shown]
    change = attacked - clean
    spread = max(float(np.abs(change).max()), 1e-12)
    rows = (clean, attacked, 0.5 + change / (2 * spread))
    unit = (lambda value: f"{255 * value:.3g}/255") if one.attrs["norm"] == "linf" else "{:.3g}".format
    least, most = float(one["epsilon"].values[0]), float(one["epsilon"].values[-1])
    base = "clean" if least == 0 else f"budget {unit(least)}"
    words = (base, f"budget {unit(most)}", f"difference x {0.5 / spread:.3g}")
    for row, (pictures, word) in enumerate(zip(rows, words, strict=True)):
        for axis, picture in zip(axes[row], pictures, strict=True):
            grey = picture.shape[-1] != 3
            axis.imshow(picture[..., 0] if grey else picture, cmap="gray" if grey else None, vmin=0, vmax=1)
            axis.set_axis_off()
        axes[row, 0].set_title(word, fontsize=8, loc="left")
