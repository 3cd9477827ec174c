"""What a change of responses amounts to: spreads of neuroids over pictures, and means drawn again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from analyses._labelled import values

NORMALISERS = ("sd", "interdecile range", "noise sd", "range", "random pair")
SILENT = 1e-3  # a neuroid with a spread below this share of the median is left out


class Pictures(NamedTuple):
    """Mean response (stimulus, neuroid) to each picture; the noise's SD (neuroid) of one presentation."""

    names: np.ndarray
    mean: np.ndarray
    noise: np.ndarray


def pictures(recording: xr.Dataset) -> Pictures:
    """Responses averaged over presentations of a stimulus; noise is NaN where none is repeated."""
    response = recording["response"]
    if "time" in response.dims:
        if response.sizes["time"] > 1:
            raise ValueError(f"response: has {response.sizes['time']} times; average over a window first")
        response = response.isel(time=0)
    every = np.asarray(response.transpose("presentation", "neuroid").values, float)
    bad = np.argwhere(~np.isfinite(every))
    if bad.size:
        raise ValueError(f"response: is not a number at {tuple(bad[0].tolist())}; leave that neuroid out")
    names, row, count = np.unique(values(recording, "stimulus_id"), return_inverse=True, return_counts=True)
    mean = np.zeros((names.size, every.shape[1]))
    np.add.at(mean, row, every)
    mean /= count[:, None]
    free = len(every) - names.size
    left = ((every - mean[row]) ** 2).sum(axis=0)
    return Pictures(names, mean, np.sqrt(left / free) if free else np.full(every.shape[1], np.nan))


def spread(seen: Pictures, normaliser: str) -> np.ndarray:
    """What changes of each neuroid are divided by."""
    if normaliser not in NORMALISERS:
        raise ValueError(f"normaliser: {normaliser!r}; use one of {', '.join(NORMALISERS)}")
    if len(seen.mean) < 3:
        raise ValueError(f"recording: has {len(seen.mean)} pictures; a spread over pictures needs 3 or more")
    if normaliser == "sd":
        return np.asarray(seen.mean.std(axis=0))
    if normaliser == "interdecile range":
        return np.asarray(np.subtract(*np.quantile(seen.mean, [0.9, 0.1], axis=0)))
    if normaliser == "range":
        return np.asarray(np.ptp(seen.mean, axis=0))
    return seen.noise if normaliser == "noise sd" else apart(seen.mean)


def apart(mean: np.ndarray) -> np.ndarray:
    """Mean distance (neuroid) of two different pictures' responses (stimulus, neuroid).

    >>> apart(np.array([[0.0], [1.0], [3.0]]))
    array([2.])
    """
    count = len(mean)
    weight = 2.0 * np.arange(count) - count + 1
    return np.asarray(2 * weight @ np.sort(mean, axis=0) / (count * (count - 1)))


def silent(size: np.ndarray) -> np.ndarray:
    """Neuroids that hardly vary, of which ratios would mean nothing."""
    there = size[size > 0]
    return np.asarray(~(size > SILENT * np.median(there))) if there.size else np.full(size.shape, True)


def placed(pushed: xr.Dataset, recording: xr.Dataset) -> xr.Dataset:
    """The recording's neuroids in the order of what was attacked, joined by neuroid_id."""
    wanted, known = (values(part, "neuroid_id").astype(str) for part in (pushed, recording))
    names, first, counts = np.unique(known, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"neuroid_id: {names[counts > 1][0]!r} stands twice in the recording; keep one")
    lacking = np.setdiff1d(wanted, names)
    if lacking.size:
        why = f"{lacking[0]!r} was attacked and is not in the recording ({lacking.size} such)"
        raise ValueError(f"neuroid_id: {why}; record what was attacked")
    return recording.isel(neuroid=first[np.searchsorted(names, wanted)])


class Drawn(NamedTuple):
    """How often each picture (bootstrap, stimulus) and each neuroid (bootstrap, neuroid) is drawn."""

    pictures: np.ndarray
    neuroids: np.ndarray


def drawn(pictures: int, neuroids: int, bootstraps: int, seed: int) -> Drawn:
    rng = np.random.default_rng(seed)
    counts = [rng.multinomial(n, np.full(n, 1 / n), bootstraps).astype(float) for n in (pictures, neuroids)]
    return Drawn(*counts)


class Means(NamedTuple):
    """A mean over pictures and neuroids (…), drawn again (…, bootstrap), and by neuroid (…, neuroid[,
    bootstrap])."""

    whole: np.ndarray
    again: np.ndarray
    each: np.ndarray
    each_again: np.ndarray


def means(change: np.ndarray, draws: Drawn, counts: np.ndarray | None = None) -> Means:
    """The mean over neuroids of each one's mean over pictures; only pictures that count, where it is said.

    Reads    change (…, stimulus, neuroid); counts, of the same shape, True where a picture counts
    Returns  means; NaN where nothing counts
    """
    kept = np.ones(change.shape) if counts is None else counts.astype(float)
    sums, many = change * kept, kept
    each_again = _share(np.einsum("bn,...nm->...mb", draws.pictures, sums),
                        np.einsum("bn,...nm->...mb", draws.pictures, many))  # fmt: skip
    each = _share(sums.sum(axis=-2), many.sum(axis=-2))
    whole = weighted(each[..., None], np.ones((each.shape[-1], 1)))[..., 0]
    return Means(whole, weighted(each_again, draws.neuroids.T), each, each_again)


def weighted(each: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Means over neuroids of each (…, neuroid, bootstrap), by weight (neuroid, bootstrap), without NaN."""
    known = np.isfinite(each)
    return _share((np.where(known, each, 0) * weight).sum(axis=-2), (known * weight).sum(axis=-2))


def ends(again: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends of an interval from draws (…, bootstrap); draws without a number do not count."""
    there = np.isfinite(again).any(axis=-1, keepdims=True)
    sides = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.nanquantile(np.where(there, again, 0.0), sides, axis=-1)
    return np.where(there[..., 0], low, np.nan), np.where(there[..., 0], high, np.nan)


def crossed(change: np.ndarray) -> np.ndarray:
    """Unbiased squares of changes (…, presentation): products of different presentations, averaged."""
    count = change.shape[-1]
    return np.asarray((change.sum(axis=-1) ** 2 - (change**2).sum(axis=-1)) / (count * (count - 1)))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
