"""Pictures of means and of tests: curve, interval, chance, and where p lies below alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import NAMES, caption, figure, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def mean(result: xr.Dataset, name: str) -> Figure:
    """The mean over units with the interval of the mean."""
    made, (axes,) = figure()
    _interval(axes, result, name, f"{result.attrs['confidence']:.0%} CI of the mean")
    label = f"mean of {result.attrs['n']} {result.attrs['over']}s"
    axes.plot(result["time"], result[name], color="0", linewidth=1.5, label=label)
    timeline(axes, result.attrs.get("chance"), name)
    axes.legend(frameon=False, fontsize=7, loc="upper left")
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def tested(result: xr.Dataset) -> Figure:
    """A curve with a bar where p < alpha, or a map with the borders of where it is."""
    name = _name(result)
    dims = result[name].dims
    if dims == ("time",):
        return _prevalence(result, name) if "prevalence" in result.attrs else _curve(result, name)
    if len(dims) == 2:
        return _map(result, name)
    raise ValueError(f"{name}: has {len(dims)} dimensions; choose along all but two, then plot")


def _curve(result: xr.Dataset, name: str) -> Figure:
    made, (axes,) = figure()
    axes.margins(y=0.2)
    attrs = result.attrs
    within = attrs["over"] == "presentation"
    if "null_low" in result:
        for end, label in (("low", "middle 95 % of exchanged labels"), ("high", None)):
            band = result[f"null_{end}"]
            axes.plot(result["time"], band, color="0.5", linewidth=0.8, linestyle=":", label=label)
    what = "of resampled presentations" if within else "of the mean"
    _interval(axes, result, name, f"{attrs.get('confidence', 0.95):.0%} CI {what}")
    name_of = "score" if within else f"mean of {attrs['n']} {attrs['over']}s"
    single = "o" if result.sizes["time"] == 1 else None
    axes.plot(result["time"], result[name], color="0", linewidth=1.5, marker=single, label=name_of)
    _bars(axes, result)
    timeline(axes, attrs["chance"], name)
    axes.legend(frameon=False, fontsize=7, loc="upper left")
    _titles(axes, result)
    return made


def _prevalence(result: xr.Dataset, name: str) -> Figure:
    """The mean curve, and beside it the share of units with an effect: counted, and bounded at each time."""
    made, (axes, side) = figure(8.4, 3.6, panels=2)
    axes.margins(y=0.2)
    attrs = result.attrs
    _interval(axes, result, name, f"{attrs['confidence']:.0%} CI of the mean")
    label = f"mean of {attrs['n']} {attrs['over']}s"
    single = "o" if result.sizes["time"] == 1 else None
    axes.plot(result["time"], result[name], color="0", linewidth=1.5, marker=single, label=label)
    _bars(axes, result)
    timeline(axes, attrs["chance"], name)
    low, share, high = (attrs[f"prevalence{end}"] for end in ("_low", "", "_high"))
    side.axhspan(
        low, high, color="0.85", linewidth=0, label=f"counted at any time, {attrs['confidence']:.0%} CI"
    )
    side.axhline(share, color="0.3", linewidth=1.5, linestyle="--")
    bound = f"exceeded at each time (p < {attrs['alpha']:g})"
    side.plot(
        result["time"], result["prevalence_bound"], color="0", linewidth=1.5, marker=single, label=bound
    )
    timeline(side, None, f"share of {attrs['over']}s with an effect")
    side.set_ylim(-0.02, 1.3)
    side.set_yticks([0, 0.25, 0.5, 0.75, 1])
    for panel in (axes, side):
        panel.legend(frameon=False, fontsize=7, loc="upper left")
    told = f"{attrs['significant']} of {attrs['n']} significant: {share:.2f} ({low:.2f} to {high:.2f})"
    side.set_title(told, fontsize=7, loc="right", color="0.4", pad=14)
    _titles(axes, result)
    return made


def _map(result: xr.Dataset, name: str) -> Figure:
    """Two dimensions, time across, or test_time where there is one."""
    made, (axes,) = figure(5.4, 4.2)
    attrs, across = result.attrs, "test_time" if "test_time" in result.dims else "time"
    (down,) = (str(dim) for dim in result[name].dims if dim != across)
    score, p = (result[key].transpose(down, across) for key in (name, "p"))
    rows = np.asarray(score[down].values) if down in result.coords else np.arange(score.sizes[down])
    far = float(np.abs(score - attrs["chance"]).max()) or 1.0
    limits = (None, None) if name in NAMES else (-far, far)
    image = axes.pcolormesh(
        score[across], rows, score.values, cmap="RdGy_r" if name not in NAMES else "cividis", rasterized=True,
        vmin=limits[0], vmax=limits[1],
    )  # fmt: skip
    inside = p.values < attrs["alpha"]
    if inside.any() and not inside.all() and min(inside.shape) > 1:
        axes.contour(score[across], rows, inside, levels=[0.5], colors="0", linewidths=0.8)
    axes.set_xlabel("test time (s)" if across == "test_time" else "time from stimulus onset (s)")
    axes.set_ylabel("training time (s)" if down == "time" else down)
    label = f"{NAMES.get(name, f'{name} ({score.units})')}"
    bar = made.colorbar(image, label=f"{label} (line: {'chance' if name in NAMES else 0})")
    bar.ax.axhline(attrs["chance"], color="1" if name in NAMES else "0", linewidth=1.5)
    _titles(axes, result)
    return made


def _interval(axes: Axes, result: xr.Dataset, name: str, label: str) -> None:
    if f"{name}_low" in result:
        low, high = result[f"{name}_low"], result[f"{name}_high"]
        if low.size == 1:
            axes.vlines(result["time"], low, high, color="0.6", linewidth=3, label=label)
        else:
            axes.fill_between(result["time"], low, high, color="0.8", linewidth=0, label=label)


def _bars(axes: Axes, result: xr.Dataset) -> None:
    """A bar at the foot of the axes wherever p < alpha."""
    time, inside = np.asarray(result["time"].values), result["p"].values < result.attrs["alpha"]
    half = np.diff(time).min() / 2 if time.size > 1 else 0.005
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int), [0]])))
    spans = [
        (time[a] - half, time[b - 1] - time[a] + 2 * half)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
    if spans:
        foot = axes.get_xaxis_transform()
        axes.broken_barh(
            spans,
            (0.01, 0.02),
            facecolors="0",
            transform=foot,
            label=f"p < {result.attrs['alpha']:g}, corrected",
        )


def _titles(axes: Axes, result: xr.Dataset) -> None:
    """Which test, corrected how, over how many; and what the data are."""
    attrs = result.attrs
    corrected = "not corrected" if attrs["correction"] == "none" else f"corrected by {attrs['correction']}"
    told = f"{attrs['test']}, {corrected}, n = {attrs['n']} {attrs['over']}s"
    axes.set_title(f"{told}\n{caption(attrs)}".strip(), fontsize=7, loc="right", color="0.4", pad=14)


def _name(result: xr.Dataset) -> str:
    """The variable that was tested: the first that is neither a part of the test nor an interval."""
    parts = ("p", "p_uncorrected", "t", "cluster_index", "prevalence_bound")
    known = set(map(str, result.data_vars))
    for name in map(str, result.data_vars):
        if name not in parts and not any(
            name.endswith(end) and name[: -len(end)] in known for end in ("_low", "_high")
        ):
            return name
    raise ValueError("a test's result holds no score; give what sign_flip, relabelled or prevalence returned")
