"""How early two recordings tell things apart, side by side, as fractions of their own peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fraction_of_peak(result: xr.Dataset, *, fraction: float = 0.5) -> xr.Dataset:
    """When a score first reaches a fraction of its own peak above chance, and stays there until the peak.

    A description of one curve: it grows with noise and with the width of windows, has no interval here,
    and is no evidence that an effect begins at that time.

    Reads    auc or balanced_accuracy (time) with attrs["chance"]; fraction in 0 .. 1
    Returns  latency, peak_time (condition) [s], peak (condition), unit 1; NaN where the peak is not after
             onset
    Source   Sassenhagen and Draschkow 2019, doi 10.1111/psyp.13335, on what a first crossing is not
    >>> time = [-0.1, 0.0, 0.1, 0.2]
    >>> ramp = xr.Dataset({"auc": ("time", [0.5, 0.5, 0.6, 0.7])}, {"time": time}, {"chance": 0.5})
    >>> float(fraction_of_peak(ramp).latency[0])
    0.1
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: {fraction}; wanted above 0 and at most 1")
    name = "auc" if "auc" in result else "balanced_accuracy"
    time = result["time"].values
    gain = np.where(time >= 0, result[name].values - result.attrs["chance"], -np.inf)
    latency = peak_time = peak = np.nan
    if gain.size and gain.max() > 0:
        top = int(gain.argmax())
        below = np.flatnonzero(gain[:top] < fraction * gain[top])
        first = below[-1] + 1 if below.size else 0
        before = max(first - 1, 0)
        rise = gain[first] - gain[before]
        share = (fraction * gain[top] - gain[before]) / rise if np.isfinite(rise) and rise > 0 else 1.0
        latency = time[before] + share * (time[first] - time[before])
        peak_time, peak = time[top], gain[top] + result.attrs["chance"]
    made = {"latency": (latency, "s"), "peak_time": (peak_time, "s"), "peak": (peak, "1")}
    return xr.Dataset(
        {key: ("condition", [value], {"units": units}) for key, (value, units) in made.items()},
        coords={"condition": [str(result.attrs.get("label", name))]},
        attrs={"fraction": fraction, "origin": result.attrs.get("origin", "")},
    )


def compare(human: xr.Dataset, macaque: xr.Dataset, *, fraction: float = 0.5) -> xr.Dataset:
    """Two courses of decoding on one time axis, each scaled from chance (0) to its own peak (1).

    Reads    human, macaque: auc or balanced_accuracy (time) with attrs chance, label and origin
    Returns  course (condition, time), unit 1; latency, peak_time, peak (condition) as `fraction_of_peak`
    """
    both = {"human": human, "macaque": macaque}
    courses, rows = [], []
    for who, result in both.items():
        name = "auc" if "auc" in result else "balanced_accuracy"
        row = fraction_of_peak(result, fraction=fraction)
        scale = float(row["peak"][0]) - result.attrs["chance"]
        label = f"{who}: {result.attrs['label']} ({result.attrs.get('origin', 'origin unknown')})"
        course = (result[name] - result.attrs["chance"]) / scale
        courses.append(course.reset_coords(drop=True).expand_dims(condition=[label]))
        rows.append(row.assign_coords(condition=[label]))
    time = np.unique(np.concatenate([course["time"].values for course in courses]))
    joined = xr.concat([course.interp(time=time) for course in courses], "condition")
    made = xr.concat(rows, "condition").assign(course=joined.assign_attrs(units="1"))
    made.attrs = {
        "fraction": fraction,
        "origin": "; ".join(f"{who}: {r.attrs.get('origin')}" for who, r in both.items()),
    }
    return made


def plot(result: xr.Dataset) -> Figure:
    """Both courses on one time axis, with the fraction of peak marked; what is simulated says so in the
    legend.

    Reads    what `compare` returned
    Returns  a matplotlib Figure
    """
    from analyses._plots import DASHES, GREYS, figure, timeline

    made, (axes,) = figure()
    for place, name in enumerate(result["condition"].values):
        row = result.sel(condition=name)
        latency = float(row["latency"])
        (line,) = axes.plot(row["time"], row["course"], DASHES[place], color=GREYS[place], linewidth=1.5)
        line.set_label(f"{name}, {1000 * latency:.0f} ms")
        axes.plot([latency], [result.attrs["fraction"]], "o", color=GREYS[place], markersize=5)
    timeline(axes, 0.0, "score, from chance (0) to its peak (1)")
    axes.set_ylim(top=1.5)
    heading = f"time of {result.attrs['fraction']:.0%} of the peak"
    axes.legend(frameon=False, fontsize=7, loc="upper left", title=heading, title_fontsize=7)
    return made
