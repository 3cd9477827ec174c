"""Where a course leaves its baseline: broken sticks fitted to many courses at once."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

STEP = 0.001  # seconds between candidate starts
RISES = 0.008 * 1.18 ** np.arange(21)  # candidate durations of the rise, 8 to 219 ms
EARLIEST = -0.1  # candidate starts reach before the stimulus, so that a leak is seen as one
JITTER = 0.02  # share of the mean variance added to the noise's covariance, which may be singular
AT_ONCE = 128  # courses


def bend(courses: np.ndarray, time: np.ndarray, covariance: np.ndarray, power: int = 1) -> np.ndarray:
    """Start of the rise of every course, in seconds.

    A course is a constant until τ, rises with (t - τ) to a power until τ + ρ, and goes on as a straight line.
    The three heights are fitted by generalised least squares, τ and ρ are searched; τ is refined by a
    parabola through the three best neighbours.

    Reads    courses (b, time); time (time) [s]; covariance (time, time) of a course's noise, up to a factor;
             power, 1 for effects, 2 for squared distances
    Returns  τ (b) [s]; NaN where nothing rises
    Source   Bai 1997, doi 10.1162/003465397557132 (change points in regression)
    """
    lower = np.linalg.cholesky(covariance + JITTER * np.trace(covariance) / len(time) * np.eye(len(time)))
    starts = np.arange(max(EARLIEST, time[0] + 0.03), time[-1] - 0.015, STEP)
    basis = _bases(starts, time, lower, power)
    white = solve_triangular(lower, courses.T, lower=True).T
    found = [
        _best(basis, white[at : at + AT_ONCE], starts) for at in range(0, len(white), AT_ONCE)
    ]  # one matrix product a block
    return np.concatenate(found)


def peak(courses: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Index (b) of the largest value after time 0 of courses (b, time), smoothed over 20 ms."""
    width = max(round(0.02 / float(np.median(np.diff(time)))) | 1, 1)
    padded = np.pad(courses, [(0, 0), (width // 2, width // 2)], mode="edge")
    sums = np.cumsum(np.pad(padded, [(0, 0), (1, 0)]), axis=1)
    smooth = (sums[:, width:] - sums[:, :-width]) / width
    return np.asarray(np.where(time > 0, smooth, -np.inf).argmax(axis=1))


def crossing(courses: np.ndarray, time: np.ndarray, level: np.ndarray | float) -> np.ndarray:
    """First time after 0 (b) at which courses (b, time) exceed a level, and NaN where they never do.

    >>> crossing(np.array([[0.0, 1.0, 3.0]]), np.array([0.0, 0.1, 0.2]), 2.0)
    array([0.2])
    """
    above = (courses > np.asarray(level)[..., None]) & (time > 0)
    return np.where(above.any(axis=1), time[above.argmax(axis=1)], np.nan)


def reach(courses: np.ndarray, time: np.ndarray, fraction: float) -> np.ndarray:
    """When courses (b, time) last pass a fraction of their peak on the way up to it, between samples.

    >>> reach(np.array([[0.0, 0.0, 1.0, 2.0]]), np.array([-0.1, 0.0, 0.1, 0.2]), 0.5)
    array([0.1])
    """
    top = peak(courses, time)
    level = fraction * np.take_along_axis(courses, top[:, None], 1)[:, 0]
    before = (courses < level[:, None]) & (np.arange(time.size) < top[:, None])
    last = np.where(before.any(axis=1), time.size - 1 - before[:, ::-1].argmax(axis=1), 0)
    after = np.minimum(last + 1, time.size - 1)
    low, high = (np.take_along_axis(courses, index[:, None], 1)[:, 0] for index in (last, after))
    share = np.divide(level - low, high - low, out=np.ones_like(low), where=high > low)
    found = time[last] + share * (time[after] - time[last])
    return np.where((level > 0) & before.any(axis=1), found, np.nan)


def _bases(starts: np.ndarray, time: np.ndarray, lower: np.ndarray, power: int) -> np.ndarray:
    """Orthonormal rows (start, rise, 3, time) of constant, later line and rise, whitened, the rise last."""
    since = np.maximum(time - starts[:, None], 0)
    later = np.maximum(time - starts[:, None, None] - RISES[:, None], 0)  # start, rise, time
    rise = ((since[:, None] - later) / RISES[:, None]) ** power
    flat = solve_triangular(lower, np.ones(time.size), lower=True)
    whole = solve_triangular(lower, np.concatenate([later, rise]).reshape(-1, time.size).T, lower=True).T
    later, rise = whole.reshape(2, *later.shape)
    first = np.broadcast_to(flat / np.linalg.norm(flat), later.shape)
    second = _without(later, first)
    third = _without(_without(rise, first), second)
    return np.stack([first, second, third], axis=2)


def _without(rows: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Rows less their part along unit rows, then of length 1 (or 0 where nothing is left)."""
    left = rows - (rows * unit).sum(-1, keepdims=True) * unit
    length = np.linalg.norm(left, axis=-1, keepdims=True)
    size = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(left, length, out=np.zeros_like(left), where=length > 1e-9 * size)


def _best(basis: np.ndarray, white: np.ndarray, starts: np.ndarray) -> np.ndarray:
    parts = (basis.reshape(-1, basis.shape[-1]) @ white.T).reshape(*basis.shape[:3], len(white))
    gain = np.where(parts[:, :, 2] > 0, (parts**2).sum(axis=2), -np.inf).max(axis=1)  # start, course
    top = gain.argmax(axis=0)
    inner = np.clip(top, 1, len(starts) - 2)
    left, middle, right = (gain[inner + move, np.arange(len(white))] for move in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = 0.5 * (left - right) / (left - 2 * middle + right)
    found = starts[top] + STEP * np.where(np.isfinite(shift) & (top == inner), np.clip(shift, -0.5, 0.5), 0.0)
    return np.where(np.isfinite(gain.max(axis=0)), found, np.nan)
