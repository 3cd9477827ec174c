"""Plots of neural codes, and of the table of design constraints."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses._plots import caption, figure, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def drawn(result: xr.Dataset) -> Figure:
    """The figure that fits what the result holds."""
    for name, draw in (
        ("rule", table), ("lifetime_vinje_gallant", sparse), ("accuracy", mixed), ("signal", pairs),
        ("fisher", pairs), ("autocorrelation", decay), ("beyond_count", latency), ("timing", precision),
        ("likeness", likeness),
    ):  # fmt: skip
        if name in result:
            return draw(result)
    raise ValueError(f"result: holds {', '.join(map(str, result.data_vars))}; none of them is plotted here")


def _title(axes: Axes, result: xr.Dataset) -> None:
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)


def sparse(result: xr.Dataset) -> Figure:
    """Median lifetime and population sparseness over time, or their spread at one time."""
    made, (axes,) = figure()
    time = result["time"].values if "time" in result.coords else np.zeros(1)
    marks: dict[str, Any] = {"marker": "o"} if time.size == 1 else {}
    for kind, dash in (("lifetime", "-"), ("population", "--")):
        low, high = (result[f"{kind}_median_{end}"] for end in ("low", "high"))
        axes.fill_between(time, low, high, color="0.88", linewidth=0)
        axes.plot(time, result[f"{kind}_median"], color="0", linestyle=dash, label=f"{kind}, median", **marks)
    if "lifetime_null" in result:
        null = result["lifetime_null"].median("neuroid")
        axes.plot(time, null, color="0.45", linestyle=":", label="lifetime, stimuli exchanged", **marks)
    timeline(axes, None, "sparseness (Vinje-Gallant; 0 dense, 1 sparse)")
    axes.legend(fontsize=7, frameon=False)
    _title(axes, result)
    return made


def mixed(result: xr.Dataset) -> Figure:
    """Accuracy by size of mixed and equal populations, and the spread of tuning."""
    made, (left, right) = figure(8.8, 3.6, 2)
    for arm, grey, dash, marker in (("heterogeneous", "0", "-", "o"), ("homogeneous", "0.45", "--", "s")):
        one = result["accuracy"].sel(arm=arm)
        left.errorbar(result["size"], one.mean("draw"), one.std("draw"), color=grey, linestyle=dash,
                      marker=marker, markersize=4, label=arm)  # fmt: skip
    left.axhline(result.attrs["chance"], color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    left.set_xscale("log")
    left.set_xticks(result["size"].values, [str(int(size)) for size in result["size"].values])
    left.minorticks_off()
    left.set_xlabel("neuroids, at equal mean rate (dashed line: chance)")
    left.set_ylabel("accuracy (simulated Poisson counts)")
    left.legend(fontsize=7, frameon=False)
    right.plot(result["mean_response"], result["tuning_width"], ".", color="0.3", markersize=4)
    right.set_xscale("log")
    right.set_xlabel(f"mean response ({result['mean_response'].attrs['units']})")
    right.set_ylabel("tuning width (share of stimuli)")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    _title(right, result)
    return made


def pairs(result: xr.Dataset) -> Figure:
    """Pairs: noise against signal correlation, signal alone, or Fisher information against shuffled."""
    made, (axes,) = figure(4.6, 3.8)
    if "fisher" in result:
        x, y = (result[name].values for name in ("fisher_shuffled", "fisher"))
        keep = np.isfinite(x) & np.isfinite(y)
        axes.plot(x[keep], y[keep], ".", color="0.2")
        axes.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
        axes.set_xlabel("linear Fisher information, shuffled")
        axes.set_ylabel("linear Fisher information")
    elif "noise" in result:
        x, y = (result[name].values for name in ("signal_raw", "noise"))
        keep = np.triu(np.isfinite(x) & np.isfinite(y), 1)
        axes.plot(x[keep], y[keep], ".", color="0.5", markersize=3)
        mean = float(result.attrs["noise_mean"])
        axes.axhline(mean, color="0", linewidth=1)
        axes.axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            f"mean\n{mean:.3f}", (1.005, mean), xycoords=("axes fraction", "data"), fontsize=7, va="bottom"
        )
        axes.set_xlabel("signal correlation")
        axes.set_ylabel(f"noise correlation ({int(result.attrs['noise_pairs'])} pairs)")
    else:
        values = result["signal_raw"].values
        axes.hist(values[np.triu(np.isfinite(values), 1)], bins=40, color="0.6")
        axes.axvline(result.attrs["signal_median"], color="0")
        axes.set_xlabel("signal correlation (line: median)")
        axes.set_ylabel("pairs")
    axes.spines[["top", "right"]].set_visible(False)
    _title(axes, result)
    return made


def decay(result: xr.Dataset) -> Figure:
    """Autocorrelation of the mean with its fit, and timescales of neuroids."""
    made, (left, right) = figure(8.4, 3.4, 2)
    lag, told = result["lag"].values, result.attrs
    left.plot(lag, result["mean_autocorrelation"], "o", color="0", markersize=4)
    if np.isfinite(told["timescale"]):
        fine = np.linspace(lag[0], lag[-1], 200)
        left.plot(fine, told["amplitude"] * (np.exp(-fine / told["timescale"]) + told["offset"]), color="0.5")
        left.set_title(f"τ = {told['timescale'] * 1000:.0f} ms ({told['timescale_low'] * 1000:.0f} to "
                       f"{told['timescale_high'] * 1000:.0f})", fontsize=9)  # fmt: skip
    left.axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    left.set_xlabel("lag (s)")
    left.set_ylabel("correlation of counts, mean of neuroids")
    live = result["timescale"].values
    live = live[np.isfinite(live)]
    right.hist(np.log10(live) if live.size else [], bins=20, color="0.6")
    ticks = np.array([0.03, 0.1, 0.3, 1.0, 3.0])
    right.set_xticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    right.set_xlabel(f"timescale (s), {live.size} of {told['n']} neuroids that decay")
    right.set_ylabel("neuroids")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    _title(right, result)
    return made


def latency(result: xr.Dataset) -> Figure:
    """Information of latency against that of count, a dot a neuroid."""
    made, (axes,) = figure(4.4, 4.0)
    found = result["subtracted" if "subtracted" in result else "information"]
    x, y = found.sel(code="count").values, found.sel(code="latency").values
    axes.plot(x, y, ".", color="0.2")
    axes.axline((0, 0), slope=1, color="0.6", linewidth=0.8)
    axes.axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    axes.axvline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlabel("information of the count (bit)")
    axes.set_ylabel("information of the first spike's time (bit)")
    axes.spines[["top", "right"]].set_visible(False)
    _title(axes, result)
    return made


def precision(result: xr.Dataset) -> Figure:
    """Information by width of bins, spike times as they are and drawn anew; by jitter."""
    made, panels = figure(8.4 if "jittered" in result else 4.6, 3.6, 2 if "jittered" in result else 1)
    left = panels[0]
    for name, grey, dash, marker, label in (
        ("information", "0", "-", "o", "as recorded"),
        ("times_drawn_anew", "0.45", "--", "s", "times drawn anew"),
        ("null_mean", "0.45", ":", "^", "labels exchanged"),
    ):  # fmt: skip
        one = result[name].mean("neuroid")
        left.plot(
            result["width"] * 1000, one, color=grey, linestyle=dash, marker=marker, markersize=4, label=label
        )
    left.set_xscale("log")
    left.set_xticks(
        result["width"].values * 1000, [f"{width * 1000:.0f}" for width in result["width"].values]
    )
    left.minorticks_off()
    left.set_xlabel("width of bins (ms)")
    left.set_ylabel("information, mean of neuroids (bit)")
    left.legend(fontsize=7, frameon=False)
    if "jittered" in result:
        panels[1].plot(
            result["jitter"] * 1000, result["jittered"].mean("neuroid"), color="0", marker="o", markersize=4
        )
        whole = float(result["information"].sel(width=result["width"].min()).mean("neuroid"))
        panels[1].axhline(whole, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        panels[1].set_xlabel("jitter (ms; dashed: none)")
        panels[1].set_ylabel(f"information, bins of {result.attrs['finest'] * 1000:.0f} ms (bit)")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    _title(panels[-1], result)
    return made


def likeness(result: xr.Dataset) -> Figure:
    """Likeness of tuning at two times."""
    made, (axes,) = figure(4.8, 4.0)
    time = result["time"].values if "time" in result.coords else np.arange(result.sizes["time"])
    image = axes.pcolormesh(time, time, result["likeness"].transpose("time", "test_time"), cmap="cividis",
                            vmin=0, rasterized=True)  # fmt: skip
    axes.set_xlabel("time of one half (s)")
    axes.set_ylabel("time of the other half (s)")
    made.colorbar(image, label="correlation of tuning between halves")
    _title(axes, result)
    return made


def table(result: xr.Dataset) -> Figure:
    """The table of design constraints as a page."""
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    count = result.sizes["property"]
    made = Figure(figsize=(13, 0.8 + 0.44 * count), layout="constrained", dpi=130)
    axes = made.subplots()
    axes.axis("off")
    cells = []
    for place in range(count):
        row = result.isel(property=place)
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        unit = str(row["unit"].values)
        number = "–" if np.isnan(value) else f"{value:.3g}" + ("" if unit == "1" else f" {unit}")
        number += f"\n[{low:.3g}, {high:.3g}]" if np.isfinite(low) else ""
        texts = [fill(str(row[name].values), 38) for name in ("measure", "effect", "rule")]
        cells.append([fill(str(row["property"].values), 24), str(row["about"].values), number, *texts])
    heads = ["property", "bears on", "value [interval]", "measured as", "effect", "rule for a circuit"]
    drawn_ = axes.table(cells, colLabels=heads, cellLoc="left", colLoc="left", bbox=Bbox.unit(),
                        colWidths=[0.14, 0.07, 0.11, 0.21, 0.235, 0.235])  # fmt: skip
    drawn_.auto_set_font_size(False)
    drawn_.set_fontsize(7.5)
    for (line, _), cell in drawn_.get_celld().items():
        cell.set_edgecolor("0.8")
        cell.set_facecolor("0.92" if line == 0 else "1")
    axes.set_title(
        caption(result.attrs) + f", {result.attrs.get('window', '')}", fontsize=8, loc="right", color="0.4"
    )
    return made
