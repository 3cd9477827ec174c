"""Pictures of onsets: courses with their intervals in seconds, the three methods below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses._plots import DASHES, GREYS, caption, figure, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = ("o", "s", "D")


def single(result: xr.Dataset) -> Figure:
    """One course, the threshold, and every method's onset with its interval."""
    made, (axes,) = figure()
    time, effect = result["time"].values, result["effect"].values
    share = f"{result.attrs['confidence']:.0%} CI"
    axes.fill_between(
        time,
        result["effect_low"],
        result["effect_high"],
        color="0.85",
        linewidth=0,
        label=f"{share} of the mean",
    )
    axes.plot(time, effect, color="0", linewidth=1.5, label=_who(result))
    shown = np.where(time > 0, result["threshold"].values, np.nan)
    axes.plot(time, shown, color="0.5", linewidth=1, linestyle=":", label="max-T threshold")
    timeline(axes, 0.0, f"effect ({result['effect'].attrs['units']})")
    room = effect.max() - min(effect.min(), 0.0)
    axes.set_ylim(bottom=-0.62 * room)
    for place, method in enumerate(result["method"].values):
        _whisker(axes, result.sel({"method": method}), -0.2 * room - 0.13 * room * place, place, str(method))
    axes.legend(frameon=False, fontsize=7, loc="upper left")
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    if result.attrs["withheld"]:
        made.suptitle(f"withheld: {result.attrs['withheld']}", fontsize=7, wrap=True)
    return made


def pair(result: xr.Dataset) -> Figure:
    """Two courses, each to its own peak, with the change points and their intervals below."""
    made, (axes,) = figure(height=4.0)
    for place, name in enumerate(result["condition"].values):
        row = result.sel(condition=name)
        shown = np.isfinite(row["course"].values)
        axes.plot(
            row["time"][shown],
            row["course"][shown],
            DASHES[place],
            color=GREYS[place],
            linewidth=1.5,
            label=name,
        )
        _whisker(axes, row.sel({"method": "change point"}), -0.25 - 0.15 * place, place, "change point")
    timeline(axes, 0.0, "effect, from 0 to its peak (1)")
    axes.set_ylim(-0.55, 1.45)
    axes.legend(frameon=False, fontsize=7, loc="upper left")
    first = result.sel({"method": "change point"})
    gap = [1000 * float(first[key]) for key in ("difference", "difference_low", "difference_high")]
    axes.set_title(
        f"difference {gap[0]:.1f} ms, {result.attrs['confidence']:.0%} CI {gap[1]:.1f} to {gap[2]:.1f} ms",
        fontsize=8, loc="right", color="0.3", pad=14,
    )  # fmt: skip
    axes.text(1, 0.97, f"n = {result.attrs['n']}", transform=axes.transAxes, fontsize=7, ha="right", va="top")
    if result.attrs["withheld"]:
        made.suptitle(f"withheld: {result.attrs['withheld']}", fontsize=7, wrap=True)
    return made


def _whisker(axes: Axes, row: xr.Dataset, height: float, place: int, name: str) -> None:
    onset, low, high = (float(row[key]) for key in ("onset", "onset_low", "onset_high"))
    if not np.isfinite(onset):
        return
    ends = [end if np.isfinite(end) else onset for end in (low, high)]
    axes.plot(ends, [height] * 2, color=GREYS[place], linewidth=1.5)
    axes.plot([onset], [height], MARKS[place], color=GREYS[place], markersize=5)
    text = f"{name}: {1000 * onset:.0f} ms [{1000 * low:.0f}, {1000 * high:.0f}]"
    axes.annotate(text, (ends[1], height), (6, 0), textcoords="offset points", fontsize=7, va="center")


def _who(result: xr.Dataset) -> str:
    if result.attrs["over"] == "presentation":
        return f"one recording, {result.attrs['n']} presentations"
    return f"mean of {result.attrs['n']} {result.attrs['over']}s"
