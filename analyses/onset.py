"""When does an effect begin? Estimates with intervals, withheld where the data cannot bear them.

An onset is read off a course whose growth is known (`course`), by three methods side by side: the change
point, the first time above the maximum-statistic threshold, and a fraction of the peak. The last two come
later the weaker the signal is; the change point does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _decode, _onset, _tasks, _template
from analyses import folds as _folds
from analyses._labelled import over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLLOWED = {"window": 1, "each": 2}  # what is followed, and the power with which it grows
UNITS = {1: "SD", 2: "SD^2"}
METHODS = ("change point", "first max-T crossing", "fraction of peak")
STATED = ("label", "origin", "kept_apart", "shared", "trigger_delay_s", "filter", "smear_before_s")


def course(
    recording: xr.Dataset,
    label: str,
    *,
    follow: str = "window",
    window: Sequence[float] | None = None,
    estimator: str = "lda",
    strength: float | None = None,
    standardize: bool = True,
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    exchange: str = "auto",
    permutations: int = 0,
    bootstraps: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """How far `label` is told apart at every time, by a measure whose growth is known.

    "window" follows one discriminant, fitted to the mean of a window: it grows in proportion to the effect,
    and is blind to patterns that the mean does not hold. "each" fits one at each time: the cross-validated
    Mahalanobis distance, which sees every pattern, grows with the square, and is noisier. A score such as
    AUC lies between the two while it is weak, and so begins late.

    Reads    response (presentation, neuroid, time); label (presentation); follow, "window" or "each" (of
             estimator "lda"); window, [start, end] in s, by default all after onset; the rest as
             `decoding.time_resolved`
    Returns  effect (time): the mean over classes of the margin by which presentations favour their own
             class, 0 without effect, in SDs of decision values ("each": squared SDs within classes);
             covariance (time, test_time) of its noise; resampled (bootstrap, time), stimuli drawn again;
             with permutations, null (permutation, time); attrs power, of the growth; errors as
             `decoding.time_resolved`
    Source   King and Dehaene 2014, doi 10.1016/j.tics.2014.01.002 (a decoder followed through time); Walther
             et al. 2016, doi 10.1016/j.neuroimage.2015.12.012 (the cross-validated distance)
    """
    if follow not in FOLLOWED or (follow == "each" and estimator != "lda"):
        raise ValueError(f"follow: {follow!r} of {estimator!r}; use 'window', or 'each' of 'lda'")
    chosen = _tasks.estimator(estimator, strength, standardize)
    split, task = _tasks.task(recording, label, "auto", folds, groups, overlap, seed)
    mean = None if follow == "each" else _tasks.window_mean(recording["response"], window)
    shown = _shown(recording, task, chosen, mean)
    everybody = np.ones((1, task.codes.size))
    arrays = {
        "effect": (_template.average(shown, task, everybody)[0], ("time",)),
        "covariance": (_template.covariance(shown, task), ("time", "test_time")),
    }
    if bootstraps:
        drawn = _tasks.drawn(recording, label, task, bootstraps, seed, exchange)
        arrays["resampled"] = (_template.average(shown, task, drawn), ("bootstrap", "time"))
    if permutations:
        relabelled = _folds.relabel(recording, label, split, permutations, seed, exchange=exchange)
        split.attrs["relabellings"] = _folds.relabellings(recording, label, split, exchange=exchange)
        arrays["null"] = (_null(recording, task, chosen, mean, relabelled), ("permutation", "time"))
    found = {name: xr.DataArray(values, dims=dims) for name, (values, dims) in arrays.items()}
    made = _tasks.result(recording, found, task, split, label, estimator)
    time, power = recording["time"].values, FOLLOWED[follow]
    for name in made.data_vars:
        made[name].attrs["units"] = f"SD^{2 * power}" if name == "covariance" else UNITS[power]
    return made.assign_coords(time=time, test_time=time).assign_attrs(chance=0.0, follow=follow, power=power)


def estimate(
    recording: xr.Dataset,
    *,
    dim: str = "subject",
    fraction: float = 0.5,
    alpha: float = 0.05,
    confidence: float = 0.95,
    flips: int = 5000,
    widest: float = 0.1,
    delay_known: bool | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Onset of an effect by three methods, each with a bootstrap interval, or the reasons to withhold it.

    The change point is where a broken stick leaves the baseline, fitted by generalised least squares; "first
    max-T crossing" the first time above the threshold that the largest of all times passes by chance with
    probability alpha, by flipping the signs of units or, for one, by its null; "fraction of peak" when the
    course last passes that fraction on its way up. Intervals resample units and, within them, stimuli, so
    that the two together have the variance of the mean; for one unit, stimuli only. An onset is withheld
    where no time passes, where the time before the stimulus passes, where labels come in blocks and runs
    are not kept apart, where the interval begins before the stimulus or is wider than `widest`, and where
    the delay of the display is unknown.

    Reads    what `course` returned, of one unit (then with null), or of several along dim; flips of signs;
             widest [s]; delay_known, whether all delays between trigger and stimulus stand in
             trigger_delay_s, by default only of simulated data
    Returns  onset, onset_low, onset_high (method) [s]; draws (method, bootstrap) [s]; effect, effect_low,
             effect_high (time) [SD], an interval at each time; threshold (time) [SD]; attrs withheld (""
             or reasons), p, baseline_p, n, over. ValueError names what is lacking
    Source   Sassenhagen and Draschkow 2019, doi 10.1111/psyp.13335 (cluster borders are no onsets); Miller,
             Patterson and Ulrich 1998, doi 10.1111/1469-8986.3510099 (fraction of peak); Davison and Hinkley
             1997, section 3.8 (bootstrap of nested data)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: {fraction}; wanted above 0 and below 1")
    if delay_known is None:
        delay_known = "simulated" in str(recording.attrs.get("origin", ""))
    units = _onset.units(recording, dim)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    time = np.asarray(recording["time"].values, dtype=float)
    passed = _onset.passing(units, time, alpha, flips, seed)
    courses = _onset.courses(units, rng, confidence)
    power = int(recording.attrs.get("power", 1))
    drawn = _onset.methods(courses, units, time, passed.threshold, fraction, power)
    sides = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = _onset.ends(drawn[:, 1:], sides)
    band = np.quantile(courses[1:], sides, axis=0)
    reasons = _onset.reasons(
        recording.attrs, passed, alpha, (low[0], high[0]), widest, delay_known, units.null is not None
    )
    step = float(np.median(np.diff(time)))
    made = {
        "onset": ("method", drawn[:, 0]), "onset_low": ("method", low), "onset_high": ("method", high),
        "draws": (("method", "bootstrap"), drawn[:, 1:]),
        "effect": ("time", courses[0]), "effect_low": ("time", band[0]), "effect_high": ("time", band[1]),
        "threshold": ("time", passed.threshold),
    }  # fmt: skip
    found = xr.Dataset(made, {"method": list(METHODS), "time": time})
    for name in found.data_vars:
        found[name].attrs["units"] = "s" if "method" in found[name].dims else UNITS[power]
    found.attrs = {
        "withheld": "; ".join(reasons), "confidence": confidence, "n": _count(recording, dim),
        "over": dim if dim in recording.dims else "presentation", "p": passed.p, "alpha": alpha,
        "smallest_p": passed.smallest, "baseline_p": passed.baseline, "fraction": fraction, "step_s": step,
        "chance": 0.0, "delay_known": int(delay_known),
        **{key: recording.attrs[key] for key in (*STATED, "smear_after_s") if key in recording.attrs},
    }  # fmt: skip
    return found


def _count(recording: xr.Dataset, dim: str) -> int:
    """Units, or the presentations of one."""
    if dim in recording.dims:
        return recording.sizes[dim]
    return sum(int(count) for count in str(recording.attrs.get("presentations", 0)).split(","))


def _shown(
    recording: xr.Dataset, task: _decode.Task, chosen: _decode.Estimator, mean: np.ndarray | None
) -> np.ndarray:
    """Margins (presentation, time) of the discriminant of a mean (presentation, neuroid), or of each time."""
    sizes = {"presentation": task.codes.size}
    response = recording["response"]
    if mean is None:
        found = over(_template.distances, response, _tasks.TRIALS, sizes, task=task, estimator=chosen)
        return np.asarray(found.transpose("presentation", "time").values)
    weights = _decode.weigh(mean[None], task, chosen)[0]
    spread = _template.spreads(_block(recording), task)
    weights = weights / _template.scales(spread, weights)[:, None, None]
    found = over(_template.margins, response, _tasks.TRIALS, sizes, task=task, weights=weights)
    return np.asarray(found.transpose("presentation", "time").values)


def _null(
    recording: xr.Dataset,
    task: _decode.Task,
    chosen: _decode.Estimator,
    mean: np.ndarray | None,
    relabelled: np.ndarray,
) -> np.ndarray:
    if mean is not None:
        return _template.null(_block(recording), mean, task, chosen, relabelled)
    everybody = np.ones((1, task.codes.size))
    parts = [task._replace(codes=codes) for codes in relabelled]
    return np.array(
        [_template.average(_shown(recording, part, chosen, None), part, everybody)[0] for part in parts]
    )


def _block(recording: xr.Dataset) -> np.ndarray:
    """All of the response (time, presentation, neuroid), in memory and in this order."""
    return np.ascontiguousarray(recording["response"].transpose("time", *_tasks.TRIALS).values, dtype=float)


def compare(human: xr.Dataset, macaque: xr.Dataset) -> xr.Dataset:
    """Two onsets, each with its interval, and how far they lie apart, on one time axis.

    Reads    human, macaque: what `estimate` returned
    Returns  onset, onset_low, onset_high (condition, method) [s]; difference, difference_low,
             difference_high (method) [s], human less macaque, of independent draws; course (condition,
             time), effects from 0 to their own peaks, unit 1; attrs withheld
    """
    both = {"human": human, "macaque": macaque}
    names = [
        f"{who}: {part.attrs['label']} ({part.attrs.get('origin', 'origin unknown')})"
        for who, part in both.items()
    ]
    time = np.unique(np.concatenate([part["time"].values for part in both.values()]))
    courses = [part["effect"].interp(time=time) / float(part["effect"].max()) for part in both.values()]
    stacked = np.array([part.values for part in courses])
    made: dict[str, tuple] = {"course": (("condition", "time"), stacked, {"units": "1"})}
    for key in ("onset", "onset_low", "onset_high"):
        made[key] = (
            ("condition", "method"),
            np.array([part[key].values for part in both.values()]),
            {"units": "s"},
        )
    count = min(part.sizes["bootstrap"] for part in both.values())
    gap = human["draws"].values[:, :count] - macaque["draws"].values[:, :count]
    confidence = human.attrs["confidence"]
    low, high = _onset.ends(gap, [(1 - confidence) / 2, (1 + confidence) / 2])
    centre = human["onset"].values - macaque["onset"].values
    for key, values in (("difference", centre), ("difference_low", low), ("difference_high", high)):
        made[key] = ("method", values, {"units": "s"})
    reasons = [f"{who}: {part.attrs['withheld']}" for who, part in both.items() if part.attrs["withheld"]]
    attrs = {
        "withheld": "; ".join(reasons), "confidence": confidence,
        "n": ", ".join(f"{part.attrs['n']} ({part.attrs['over']})" for part in both.values()),
        "origin": "; ".join(f"{who}: {part.attrs.get('origin', 'unknown')}" for who, part in both.items()),
    }  # fmt: skip
    return xr.Dataset(made, {"condition": names, "method": human["method"].values, "time": time}, attrs)


def plot(result: xr.Dataset) -> Figure:
    """The course with its interval, and every onset with its own; a withheld one says so.

    Reads    what `course`, `estimate` or `compare` returned
    Returns  a matplotlib Figure
    """
    from analyses import _onset_plots

    if "condition" in result.dims:
        return _onset_plots.pair(result)
    if "method" in result.dims:
        return _onset_plots.single(result)
    from analyses._plots import curve

    return curve(result, "effect")
