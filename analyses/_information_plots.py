"""Plots of information: courses over time, terms of a breakdown, estimators against the truth."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import caption, figure, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TERMS = {
    "information": "all", "linear": "linear (sum of each alone)", "signal_similarity": "signal similarity",
    "correlation_independent": "noise correlation, independent",
    "correlation_dependent": "noise correlation, dependent", "independent": "without noise correlation",
}  # fmt: skip
LINES = (
    ("0", "-", "o"), ("0.4", "-", "s"), ("0", "--", "^"), ("0.4", "--", "v"), ("0.6", ":", "D"),
    ("0.6", "-", "x"),
)  # fmt: skip


def drawn(result: xr.Dataset) -> Figure:
    """The figure that fits what the result holds."""
    if "draw" in result.dims:
        return estimators(result)
    if "mean_linear" in result:
        return terms(result)
    if "intersection" in result:
        return intersections(result)
    if "information" not in result:
        raise ValueError(
            f"result: holds {', '.join(map(str, result.data_vars))}; none of them is plotted here"
        )
    return singles(result) if "neuroid" in result["information"].dims else course(result)


def _seconds(result: xr.Dataset) -> np.ndarray:
    return np.asarray(
        result["time"].values if "time" in result.coords else np.arange(result["information"].sizes["time"])
    )


def singles(result: xr.Dataset) -> Figure:
    """Every neuroid over time, the one with the most first, and their mean with that of relabellings."""
    made, (left, right) = figure(9.6, 3.6, 2)
    shown = result["subtracted"] if "subtracted" in result else result["information"]
    cells = shown.transpose("neuroid", "time").values
    time = _seconds(result)
    order = np.nan_to_num(cells, nan=-np.inf).max(axis=1).argsort()[::-1]
    if time.size > 1:
        image = left.pcolormesh(time, np.arange(len(cells)), cells[order], cmap="cividis", vmin=0)
        label = "information (bit)" + (", less relabelled" if "subtracted" in result else "")
        made.colorbar(image, label=label)
        left.axvline(0, color="1", linewidth=0.8)
        left.set_xlabel("time from stimulus onset (s)")
        left.set_ylabel("neuroid, by its largest information")
        left.invert_yaxis()
    else:
        left.plot(cells[order, 0], color="0")
        left.set_xlabel("neuroid, by its information")
        left.set_ylabel("information (bit)")
    _mean(right, result, time)
    right.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def _mean(axes: Axes, result: xr.Dataset, time: np.ndarray) -> None:
    marker = "o" if time.size == 1 else None
    axes.plot(time, result["information"].mean("neuroid"), color="0", marker=marker, label="mean of neuroids")
    if "null_mean" in result:
        null = result["null_mean"].mean("neuroid")
        axes.plot(time, null, color="0.45", linestyle=":", label="labels exchanged", marker=marker)
        axes.legend(fontsize=7, frameon=False)
    timeline(axes, 0.0 if "null_mean" not in result else None, "mutual information (bit)")


def course(result: xr.Dataset) -> Figure:
    """Information of a population over time, its interval, its null, and the entropy of the label."""
    made, (axes,) = figure()
    time = _seconds(result)
    if "information_low" in result:
        axes.fill_between(
            time, result["information_low"], result["information_high"], color="0.85", linewidth=0
        )
    axes.plot(time, result["information"], color="0", marker="o" if time.size == 1 else None)
    if "null_high" in result:
        axes.plot(time, result["null_high"], color="0.45", linestyle=":", label="95 % of labels exchanged")
    entropy = result.attrs.get("entropy")
    if entropy is not None:
        axes.axhline(entropy, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(f"entropy of\n{result.attrs['label']} {entropy:.2f}", (1.005, entropy), fontsize=7,
                      xycoords=("axes fraction", "data"), va="center", color="0.4")  # fmt: skip
    if "null_high" in result:
        axes.legend(fontsize=7, frameon=False)
    timeline(axes, 0.0, "mutual information (bit)")
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def intersections(result: xr.Dataset) -> Figure:
    """Means over neuroids: information about the stimulus, about the choice, and what is both."""
    made, (axes,) = figure()
    time = _seconds(result)
    lines = [("information", "--", "0.45", f"about {result.attrs['label']}"),
             ("choice_information", ":", "0.45", f"about {result.attrs['choice']}"),
             ("intersection", "-", "0", "both: intersection"),
             ("null_mean", "-", "0.7", "both, choices exchanged within stimuli")]  # fmt: skip
    for name, style, grey, told in lines:
        if name in result:
            mean = result[name].mean("neuroid").values
            axes.plot(time, mean, style, color=grey, label=told, marker="o" if time.size == 1 else None)
    axes.axhline(0, color="0.8", linewidth=0.8)
    axes.set_xlabel("time from stimulus onset (s)" if "time" in result.coords else "window")
    axes.set_ylabel(f"information (bit), mean of {result.sizes['neuroid']} neuroids")
    axes.legend(fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def terms(result: xr.Dataset) -> Figure:
    """Mean terms over time; as bars where there are few times."""
    made, (axes,) = figure(6.8, 3.8)
    names = [name for name in TERMS if f"mean_{name}" in result]
    time = np.asarray(result["time"].values if "time" in result.coords else np.arange(result.sizes["time"]))
    if time.size > 3:
        for name, (grey, dash, _) in zip(names, LINES, strict=False):
            axes.plot(time, result[f"mean_{name}"], color=grey, linestyle=dash, label=TERMS[name])
        axes.legend(fontsize=7, frameon=False)
        timeline(axes, 0.0, "information of a pair (bit)")
    else:
        for place, moment in enumerate(time):
            at = np.arange(len(names)) + place * 0.8 / time.size - 0.4 + 0.4 / time.size
            part, width = result.isel(time=place), 0.7 / time.size
            grey = str(0.6 + 0.25 * place / max(time.size - 1, 1))
            axes.bar(
                at,
                [float(part[f"mean_{name}"]) for name in names],
                width,
                color=grey,
                label=f"{moment:.2f} s",
            )
            for name, x in zip(names, at, strict=True):
                if f"mean_{name}_low" in result:
                    axes.vlines(
                        x, float(part[f"mean_{name}_low"]), float(part[f"mean_{name}_high"]), color="0"
                    )
                if f"shuffled_{name}" in result:
                    axes.hlines(
                        float(part[f"shuffled_{name}"]),
                        x - width / 2,
                        x + width / 2,
                        color="0",
                        linestyle=":",
                    )
        axes.axhline(0, color="0.4", linewidth=1)
        axes.set_xticks(range(len(names)), [fill(TERMS[name], 16) for name in names])
        axes.tick_params(axis="x", labelsize=7)
        axes.set_ylabel("information of a pair (bit)")
        axes.set_xlabel("dotted: presentations shuffled within labels")
        if time.size > 1:
            axes.legend(fontsize=7, frameon=False, title="time", title_fontsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def estimators(result: xr.Dataset) -> Figure:
    """Mean and standard deviation of every estimator by presentations of a stimulus, and the truth."""
    made, (axes,) = figure(6.4, 4.2)
    trials = result["trials"].values.astype(float)
    for place, method in enumerate(result["method"].values):
        grey, dash, marker = LINES[place]
        one = result["information"].sel({"method": method})
        shift = 1 + 0.03 * (place - 2)
        axes.errorbar(
            trials * shift, one.mean("draw"), one.std("draw"), color=grey, linestyle=dash, marker=marker,
            markersize=4, linewidth=1, elinewidth=0.6, label=str(method),
        )  # fmt: skip
    truth = float(result.attrs["truth"])
    axes.axhline(truth, color="0", linewidth=0.8)
    axes.annotate(
        f"truth\n{truth:.3f}", (1.005, truth), xycoords=("axes fraction", "data"), fontsize=7, va="center"
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(trials, [f"{count:.0f}" for count in trials])
    axes.minorticks_off()
    axes.set_xlabel("presentations of each stimulus")
    axes.set_ylabel("mutual information (bit), mean ± SD of data sets")
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(caption(result.attrs) + ", two cells", fontsize=7, loc="right", color="0.4")
    return made
