"""The array side of onsets: thresholds, bootstrap courses, and the three methods applied to all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import norm
from scipy.stats import t as student

from analyses import _flips, _sticks
from analyses._tasks import BLOCKED

SIGNAL = 0.05  # seconds kept after the peak: the broken stick needs a little of what follows the rise


class Units(NamedTuple):
    """Effects (unit, time), the same with stimuli drawn again (unit, bootstrap, time), the covariance
    (time, time) of one course's noise, and for a single unit its null (permutation, time)."""

    effect: np.ndarray
    resampled: np.ndarray
    covariance: np.ndarray
    null: np.ndarray | None


class Passed(NamedTuple):
    """The threshold at every time, p of the largest time after 0, of the farthest before it, and the
    smallest p there can be."""

    threshold: np.ndarray
    p: float
    baseline: float
    smallest: float


def units(recording: xr.Dataset, dim: str) -> Units:
    """What `onset.course` returned, of one unit or gathered; ValueError names what is lacking."""
    lacking = [name for name in ("effect", "covariance", "resampled") if name not in recording]
    if lacking:
        left = recording.attrs.get("left_out", "")
        raise ValueError(
            f"{lacking[0]}: missing ({left or 'give what onset.course returned'}); same in all units"
        )
    one = dim not in recording.dims
    if one and "null" not in recording:
        raise ValueError(
            f"null: missing and there is no dimension {dim!r}; run onset.course with permutations"
        )
    whole = recording.expand_dims(dim) if one else recording
    if not one and recording.sizes[dim] < 2:
        raise ValueError(f"dimension {dim!r}: 1 unit; at least 2 are needed")
    if recording.sizes["time"] < 12 or not (recording["time"].values < 0).any():
        raise ValueError("time: fewer than 12 samples, or none before 0; give a longer window")
    arrays = (("effect", "time"), ("resampled", "bootstrap", "time"), ("covariance", "time", "test_time"))
    effect, resampled, covariance = (
        np.asarray(whole[name].transpose(dim, *dims).values, dtype=float) for name, *dims in arrays
    )
    null = np.asarray(recording["null"].transpose("permutation", "time").values) if one else None
    return Units(effect, resampled, covariance.mean(axis=0), null)


def passing(made: Units, time: np.ndarray, alpha: float, flips: int, seed: int) -> Passed:
    """Thresholds by the largest statistic of all times after 0, and before it for the baseline."""
    if made.null is not None:
        scale = made.null.std(axis=0)
        observed, chance = made.effect[0] / scale, made.null / scale
    else:
        count = len(made.effect)
        scale = made.effect.std(axis=0, ddof=1) / np.sqrt(count)
        parts = _flips.scaled(made.effect)
        observed = _flips.student(parts.sum(axis=0), count)
        chance = _flips.student(_flips.signs(count, flips, "greater", seed) @ parts, count)
    after, before = time > 0, time < 0
    largest, farthest = chance[:, after].max(axis=1), np.abs(chance[:, before]).max(axis=1)
    whole = np.append(largest, observed[after].max())
    level = np.quantile(whole, 1 - alpha, method="higher")
    return Passed(
        level * scale,
        float((largest >= observed[after].max()).sum() + 1) / (len(chance) + 1),
        float((farthest >= np.abs(observed[before]).max()).sum() + 1) / (len(chance) + 1),
        1 / (len(chance) + 1),
    )


def courses(made: Units, rng: np.random.Generator, confidence: float) -> np.ndarray:
    """The mean course, first, and below it resampled ones (course, time).

    Units are drawn, their deviations shrunk by what of them is the noise of stimuli, and that noise is then
    added by drawing stimuli in every unit: the two together have the variance of the mean. Deviations of
    few units are widened by what Student's quantile exceeds the normal one by.
    """
    effect, count = made.effect, len(made.effect)
    mean = effect.mean(axis=0)
    bootstraps = made.resampled.shape[1]
    stimuli = (made.resampled - effect[:, None]).mean(axis=0)
    if count == 1:
        return np.concatenate([mean[None], mean + stimuli])
    within = made.resampled.var(axis=1).mean()
    between = np.sqrt(max(0.0, 1 - within / effect.var(axis=0, ddof=1).mean()))
    drawn = rng.multinomial(count, np.full(count, 1 / count), bootstraps) / count
    few = np.sqrt(count / (count - 1)) * student.ppf((1 + confidence) / 2, count - 1)
    wide = between * few / norm.ppf((1 + confidence) / 2)
    return np.concatenate([mean[None], mean + wide * (drawn @ (effect - mean)) + stimuli])


def methods(
    found: np.ndarray, made: Units, time: np.ndarray, threshold: np.ndarray, fraction: float, power: int
) -> np.ndarray:
    """Onsets (method, course) of courses (course, time)."""
    step = float(np.median(np.diff(time)))
    end = int(_sticks.peak(found[:1], time)[0]) + 1 + round(SIGNAL / step)
    part = slice(0, max(end, int(np.searchsorted(time, SIGNAL))))
    return np.array(
        [
            _sticks.bend(found[:, part], time[part], made.covariance[part, part], power),
            _sticks.crossing(found - threshold, time, 0.0),
            _sticks.reach(found, time, fraction),
        ]
    )


def ends(draws: np.ndarray, sides: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of draws (method, bootstrap); a draw without an onset counts as later than all others."""
    later = np.where(np.isfinite(draws), draws, np.inf)
    low, high = np.quantile(later, sides, axis=1, method="inverted_cdf")
    return tuple(np.where(np.isfinite(end), end, np.nan) for end in (low, high))  # type: ignore[return-value]


def reasons(
    attrs: Mapping[Any, Any],
    passed: Passed,
    alpha: float,
    interval: tuple[float, float],
    widest: float,
    delay_known: bool,
    alone: bool,
) -> list[str]:
    """Why an onset must not be stated; empty where it may."""
    width = interval[1] - interval[0]
    blocks = float(attrs.get("blocked_z", 0.0)) < BLOCKED
    rules = {
        f"no time after the stimulus passes (p = {passed.p:.2g})": passed.p >= alpha,
        f"the time before the stimulus is not at chance (p = {passed.baseline:.2g})": passed.baseline < alpha,
        "labels come in blocks, and drifts with them": blocks and (alone or not attrs.get("runs_apart")),
        "the interval has no end": not np.isfinite(width),
        "the interval begins before the stimulus": bool(interval[0] < 0),
        f"the interval is wider than {1000 * widest:.0f} ms": bool(width > widest),
        "the delay of the display is unknown": not delay_known,
    }
    return [reason for reason, applies in rules.items() if applies]
