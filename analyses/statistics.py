"""What many units say together: the mean over subjects, or animals, or seeds, and how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.stats import t as student

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def across(recording: xr.Dataset, *, dim: str = "subject", confidence: float = 0.95) -> xr.Dataset:
    """Mean over units of every variable, with a confidence interval for the mean.

    The interval is Student's, over units as the random effect: it says how sure the mean over such units
    is, not that an effect is present at any one time.

    Reads    variables with the dimension `dim`, at least 2 units
    Returns  each variable's mean under its own name, with <name>_low and <name>_high; n in attrs;
             variables without the dimension are left out; ValueError for one unit
    Source   Student 1908, doi 10.1093/biomet/6.1.1
    >>> two = xr.Dataset({"auc": (("subject", "time"), [[0.5], [0.7]], {"units": "1"})}, {"time": [0.1]})
    >>> float(across(two).auc[0])
    0.6
    """
    if dim not in recording.dims or recording.sizes[dim] < 2:
        raise ValueError(f"dimension {dim!r}: {recording.sizes.get(dim, 0)} units; at least 2 are needed")
    count = recording.sizes[dim]
    width = float(student.ppf(0.5 + confidence / 2, count - 1)) / np.sqrt(count)
    made = {}
    for name, variable in recording.data_vars.items():
        if dim in variable.dims:
            mean, spread = variable.mean(dim), variable.std(dim, ddof=1)
            units = {"units": variable.attrs.get("units", "1")}
            made[str(name)] = mean.assign_attrs(units)
            made[f"{name}_low"] = (mean - width * spread).assign_attrs(units)
            made[f"{name}_high"] = (mean + width * spread).assign_attrs(units)
    inherited = {key: value for key, value in recording.attrs.items() if not str(key).startswith("_")}
    return xr.Dataset(made, attrs={**inherited, "n": count, "over": dim, "confidence": confidence})


def plot(result: xr.Dataset) -> Figure:
    """The mean curve with its interval and chance line.

    Reads    what `across` returned, with auc or balanced_accuracy (time[, test_time])
    Returns  a matplotlib Figure
    """
    from analyses._plots import caption, figure, matrix, timeline

    name = "auc" if "auc" in result else "balanced_accuracy"
    if "test_time" in result.dims:
        return matrix(result[name], result.attrs)
    made, (axes,) = figure()
    low, high = result[f"{name}_low"], result[f"{name}_high"]
    interval = f"{result.attrs['confidence']:.0%} CI of the mean"
    axes.fill_between(result["time"], low, high, color="0.8", linewidth=0, label=interval)
    label = f"mean of {result.attrs['n']} {result.attrs['over']}s"
    axes.plot(result["time"], result[name], color="0", linewidth=1.5, label=label)
    timeline(axes, result.attrs.get("chance"), name)
    axes.legend(frameon=False, fontsize=7, loc="upper left")
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made
