"""Pictures of the controls: bars beside a chance line, curves with and without what is controlled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import DASHES, GREYS, caption, figure, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = {  # of each control: its curves and how they are called
    "image": {"auc": "response", "residual": "less image features", "matched": "matched images"},
    "exposure": {
        "auc": "all presentations",
        "matched": "matched exposure",
        "unmatched": "as many, unmatched",
    },
}


def draw(result: xr.Dataset) -> Figure:
    """What `controls.plot` documents."""
    if "flagged" in result.attrs:
        return _channels(result)
    named = CURVES["exposure" if "unmatched" in result else "image"]
    made, (curves, bars) = figure(8.6, 3.6, panels=2)
    for (name, text), grey, dash in zip(named.items(), GREYS, DASHES, strict=True):
        if name in result and np.isfinite(result[name]).any():
            left = result.attrs.get("matched_stimuli" if "alone" in result else "presentations_left")
            counted = f"{text} ({left} left)" if left and name == "matched" else text
            _curve(curves, result, name, counted, grey, dash)
    timeline(curves, 0.5, "auc")
    curves.legend(frameon=False, fontsize=7, loc="upper left")
    if "alone" in result:
        _bars(bars, result["alone"].values, result["p"].values, result["family"].values, result.attrs)
    elif "mean" in result:
        _exposure(bars, result)
    else:
        bars.remove()
    title = " · ".join([f"verdict: {result.attrs['verdict']}", caption(result.attrs)])
    made.suptitle(title, fontsize=7, color="0.4", x=0.99, ha="right")
    return made


def _curve(axes: Axes, result: xr.Dataset, name: str, text: str, grey: str, dash: str) -> None:
    if f"{name}_low" in result:
        ends = (result[f"{name}_low"], result[f"{name}_high"])
        axes.fill_between(result["time"], *ends, color=grey, alpha=0.15, linewidth=0)
    marker = "o" if result.sizes["time"] == 1 else None
    axes.plot(
        result["time"], result[name], color=grey, linestyle=dash, linewidth=1.3, marker=marker, label=text
    )


def _bars(axes: Axes, score: np.ndarray, p: np.ndarray, names: np.ndarray, attrs: dict) -> None:
    """From chance to the score; black where p is at most alpha, p printed beside."""
    place, alpha = np.arange(len(names))[::-1], attrs.get("alpha", 0.05)
    colours = ["0.2" if value <= alpha else "0.8" for value in p]
    axes.barh(place, score - 0.5, left=0.5, color=colours, edgecolor="0.2", linewidth=0.6)
    axes.axvline(0.5, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    for where, width, value in zip(place, score, p, strict=True):
        axes.annotate(
            f"p = {value:.3g}", (max(width, 0.5), where), xytext=(3, 0), textcoords="offset points",
            va="center", fontsize=7, color="0.2",
        )  # fmt: skip
    axes.set_yticks(place, [str(name).replace("_", " ") for name in names], fontsize=8)
    axes.set_xlim(min(0.35, float(np.min(score)) - 0.02), max(0.75, float(np.max(score)) + 0.15))
    axes.set_xlabel(f"AUC of the label (dashed: chance 0.5; dark: p ≤ {alpha:g})", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _channels(result: xr.Dataset) -> Figure:
    made, (curves, bars) = figure(8.6, 3.6, panels=2)
    names = [str(name) for name in result["family"].values]
    for number, name in enumerate(names):
        grey, dash = GREYS[number % 3], DASHES[number // 3 % 3]
        curves.plot(result["time"], result["auc"][number], dash, color=grey, linewidth=1.2, label=name)
    timeline(curves, 0.5, "auc")
    if names:
        curves.legend(frameon=False, fontsize=7, loc="upper left")
        least = result["p"].values.min(axis=1)
        _bars(bars, result["auc"].values.max(axis=1), least, np.array(names), result.attrs)
        bars.set_xlabel(f"largest AUC over time (dark: p ≤ {result.attrs['alpha']:g})", fontsize=8)
    else:
        bars.text(0.5, 0.5, "no such channels or columns", ha="center", fontsize=8)
        bars.set_axis_off()
    told = f"flagged: {result.attrs['flagged'] or 'none'}"
    made.suptitle(" · ".join([told, caption(result.attrs)]), fontsize=7, color="0.4", x=0.99, ha="right")
    return made


def _exposure(axes: Axes, result: xr.Dataset) -> None:
    """Means of both classes as shares of the larger one, with their values and the p of the difference."""
    names = [str(name) for name in result["family"].values]
    place, mean = np.arange(len(names))[::-1], result["mean"].values
    largest = np.maximum(mean.max(axis=0), 1e-12)
    for row, (offset, grey) in enumerate(((0.19, "0.2"), (-0.19, "0.75"))):
        label = str(result["condition"].values[row])
        axes.barh(place + offset, mean[row] / largest, height=0.36, color=grey, label=label)
        for where, share, value in zip(place, mean[row] / largest, mean[row], strict=True):
            axes.text(share + 0.02, where + offset, f"{value:.3g}", va="center", fontsize=7)
    told = [f"{name}\np = {p:.3g}" for name, p in zip(names, result["p"].values, strict=True)]
    axes.set_yticks(place, told, fontsize=8)
    axes.set_xlim(0, 1.2)
    axes.set_ylim(-0.6, len(names) - 0.1)
    axes.set_xlabel("mean, relative to the class with more", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        frameon=False, fontsize=7, loc="upper right", title=str(result.attrs["label"]), title_fontsize=7
    )
