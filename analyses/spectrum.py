"""How fast the variance of a population falls over its directions: the exponent of a power law.

One kernel measures it here and bends it in `pipeline.regularizers.spectrum`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from analyses import _spectrum_curves, _spectrum_labelled, _spectrum_plots
from analyses._spectrum_kernels import HIGH, LOW

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def exponent(
    recording: xr.Dataset,
    *,
    low: int = LOW,
    high: int = HIGH,
    average: str | None = None,
    where: Mapping[str, Any] | None = None,
    groups: int = 10,
    confidence: float = 0.95,
    tolerance: float = 0.1,
    seed: int = 0,
) -> xr.Dataset:
    """α of the power law n^−α that the eigenvalues of the covariance of neuroids follow.

    α is minus the slope of a line through ln λₙ over ln n from rank `low` to `high`; the window decides the
    value. Few rows make a spectrum steeper, and noise makes it flatter, so compare at equal numbers of rows
    and neuroids; `alpha_half` says what half of the rows give.

    Reads    response (presentation, neuroid[, time]), any unit; average, a coordinate over whose values
             presentations are averaged first; where, values of coordinates that they must have; groups of
             rows that the jackknife leaves out in turn; tolerance, how far α of half of the rows may be off
             before a warning
    Returns  alpha with _low and _high, Student's interval of the jackknife over rows; alpha_half (time);
             eigenvalue (component, time), shares of their sum; low, high, rows and neuroids in attrs
    Source   Gerum et al. 2022, arXiv 2208.10576; Stringer et al. 2019, doi 10.1038/s41586-019-1346-5
    """
    window = (low, high)
    return _spectrum_labelled.exponent(recording, where, average, window, groups, confidence, tolerance, seed)


def saturation(recording: xr.Dataset, *, level: float = 0.99) -> xr.Dataset:
    """How much of what bounded units do lies at their bounds, where gradients vanish.

    Reads    response (presentation, neuroid[, time]) of units between -1 and 1; level, from which they count
    Returns  saturated (time), share of responses beyond it
    >>> one = {"response": (("presentation", "neuroid"), [[1.0, -1.0, 0.5]], {"units": "1"})}
    >>> saturation(xr.Dataset(one)).saturated.round(2).values
    array([0.67])
    """
    response = recording["response"]
    response = response if "time" in response.dims else response.expand_dims("time", -1)
    share = (abs(response) > level).mean(["presentation", "neuroid"])
    coords = {"time": recording["time"].values} if "time" in recording.coords else {}
    return xr.Dataset({"saturated": ("time", share.values, {"units": "1"})}, coords, {"level": level})


def curves(
    result: xr.Dataset,
    *,
    published: Mapping[str, Any] | None = None,
    tolerance: float = 0.1,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Accuracies of networks whose spectrum was bent, beside the exponents that they reached.

    Reads    alpha_lessons, accuracy, attacked of `pipeline.stages.evaluate.arms`, gathered over seed;
             published, {alpha, beta, clean, fgsm, pgd} as lists of equal length with source and epsilon;
             tolerance, how far an exponent may be from its target
    Returns  alpha_lessons, alpha (held-out pictures), saturated, accuracy, attacked, union with _low and
             _high, Student's interval over seeds (arm); target, beta; off_target, the largest distance of any
             seed; slope_* (setting: each strength), change by one unit of the exponent, with intervals;
             published_* (draw); attrs reached, how many arms came within the tolerance
    Source   Gerum et al. 2022, arXiv 2208.10576
    """
    return _spectrum_curves.curves(result, published, tolerance, confidence)


def plot(result: xr.Dataset) -> Figure:
    """Eigenvalues over rank with the fitted line; of `curves`, accuracies over the measured exponent.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    return _spectrum_plots.drawn(result)
