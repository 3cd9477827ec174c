"""Gaussian-copula information: ranks as normal scores, entropies of Gaussians, their bias in closed form."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, psi

from analyses._information_words import CELLS

CACHED = 2**15  # numbers that are sorted at once: they stay in the processor's cache
ROWS, LABELLINGS = 128, 250  # that are multiplied at once
COVARIANCES = ("own", "pooled")


def scored(rows: np.ndarray) -> np.ndarray:
    """Normal scores of numbers (row, n, letter), ranked over presentations; equal numbers share a rank."""
    count = rows.shape[1]
    flat = np.ascontiguousarray(rows.swapaxes(1, 2), dtype=float).reshape(-1, count)
    made, line = np.empty(flat.shape), normal(np.arange(count), count)
    step = max(1, CACHED // count)
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        keys, near = ordered(part, np.arange(count))
        np.put_along_axis(made[start : start + step], keys, np.broadcast_to(line, keys.shape), axis=1)
        if near.any():
            made[start + np.flatnonzero(near)] = _exact(part[near])
    return made.reshape(len(rows), rows.shape[2], count).swapaxes(1, 2)


def normal(rank: np.ndarray, count: int) -> np.ndarray:
    """Quantiles of the normal distribution at ranks from 0.

    >>> normal(np.arange(3), 3).round(3)
    array([-0.674,  0.   ,  0.674])
    """
    return np.asarray(ndtri((rank + 1) / (count + 1)))


def ordered(flat: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mark of the number at each rank (row, rank), and whether a row has numbers too near to tell apart.

    Numbers are scaled to the upper bits of short integers, marks (whole numbers from 0) are the lower bits:
    plain sorting, faster than finding an order, tells both.
    """
    bits = max(1, int(marks.max()).bit_length())
    low, reach = flat.min(axis=1, keepdims=True), np.ptp(flat, axis=1, keepdims=True)
    scaled = flat - low
    scaled *= np.where(reach > 0, 2.0 ** (31 - bits) - 2, 0) / np.where(reach > 0, reach, 1)
    keys = scaled.astype(np.int32)
    keys <<= bits
    keys |= marks.astype(np.int32)
    keys.sort(axis=1)
    mask = np.int32((1 << bits) - 1)
    near = ((keys[:, 1:] ^ keys[:, :-1]) <= mask).any(axis=1)
    keys &= mask
    return keys, near


def _exact(flat: np.ndarray) -> np.ndarray:
    """Normal scores of rows, equal numbers sharing the mean of their ranks."""
    count = flat.shape[1]
    order = flat.argsort(axis=1, kind="stable")
    along = np.take_along_axis(flat, order, axis=1)
    change = np.ones((len(flat), count + 1), dtype=bool)
    change[:, 1:-1] = along[:, 1:] != along[:, :-1]
    place = np.arange(count)
    first = np.maximum.accumulate(np.where(change[:, :-1], place, 0), axis=1)
    last = np.minimum.accumulate(np.where(change[:, 1:], place, count)[:, ::-1], axis=1)[:, ::-1]
    made = np.empty(flat.shape)
    np.put_along_axis(made, order, normal(np.arange(2 * count - 1) / 2, count)[first + last], axis=1)
    return made


def information(rows: np.ndarray, labels: np.ndarray, number: int, covariance: str) -> np.ndarray:
    """Information, bits, of rows (row, n, letter) of numbers about labels (n).

    NaN where the scores of a label do not vary.
    """
    if rows.shape[2] > 1:
        return informations(scored(rows), labels[None], number, covariance)[0]
    flat, counts = rows[..., 0], np.bincount(labels, minlength=number)
    line = normal(np.arange(labels.size), labels.size)
    powers = np.stack([line, line**2], axis=1)
    sums, near = np.empty((number, len(flat), 2)), np.empty(len(flat), dtype=bool)
    step = max(1, CACHED // labels.size)
    member = np.empty((step, labels.size))
    for start in range(0, len(flat), step):
        part = slice(start, start + step)
        found, near[part] = ordered(flat[part], labels)
        for label in range(number - 1):
            sums[label, part] = np.equal(found, label, out=member[: len(found)], casting="unsafe") @ powers
    sums[-1] = powers.sum(axis=0) - sums[:-1].sum(axis=0)
    made = _univariate(sums[..., 0], sums[..., 1], powers[:, 1].sum(), counts, covariance)
    if near.any():
        made[near] = informations(_exact(flat[near])[..., None], labels[None], number, covariance)[0]
    return made


def informations(made: np.ndarray, labels: np.ndarray, number: int, covariance: str) -> np.ndarray:
    """Information, bits, of scores (row, n, letter) about each of some labellings (labelling, n)."""
    counts = np.bincount(labels[0], minlength=number)
    if made.shape[2] == 1:
        return _relabelled(np.ascontiguousarray(made[..., 0]), labels, counts, covariance)
    return np.array([_multivariate(made, row, counts, covariance) for row in labels])


def _relabelled(made: np.ndarray, labels: np.ndarray, counts: np.ndarray, covariance: str) -> np.ndarray:
    """One score a presentation, made (row, n), and many labellings: sums by matrix products."""
    number, count = len(counts), made.shape[1]
    member = (labels == np.arange(number - 1)[:, None, None]).astype(float)
    out = np.empty((len(labels), len(made)))
    for start in range(0, len(made), ROWS):
        part = made[start : start + ROWS]
        about = part - part.mean(axis=1, keepdims=True)
        powers = np.concatenate([about, about**2]).T.copy()
        every = (about**2).sum(axis=1)
        for first in range(0, len(labels), LABELLINGS):
            some = member[:, first : first + LABELLINGS]
            sums = (some.reshape(-1, count) @ powers).reshape(number - 1, -1, 2, len(part))
            last = powers.sum(axis=0).reshape(2, -1) - sums.sum(axis=0)
            sums = np.concatenate([sums, last[None]])
            found = _univariate(sums[:, :, 0], sums[:, :, 1], every, counts, covariance)
            out[first : first + LABELLINGS, start : start + ROWS] = found
    return out


def _univariate(
    sums: np.ndarray, squares: np.ndarray, every: np.ndarray | float, counts: np.ndarray, covariance: str
) -> np.ndarray:
    """Information of one letter from sums (label, ..., row) and the sum of all squares (row)."""
    shape = (-1,) + (1,) * (sums.ndim - 1)
    size, total = counts.reshape(shape), counts.sum()
    within = squares - sums**2 / size
    floor = 1e-12 * every
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.log(every / (total - 1)) - _bias(1, total - 1)
        if covariance == "pooled":
            rest = within.sum(axis=0)
            freedom = total - len(counts)
            less = np.log(np.where(rest > floor, rest, np.nan) / freedom) - _bias(1, freedom)
        else:
            each = np.log(np.where(within > floor, within, np.nan) / (size - 1))
            each -= np.array([_bias(1, count - 1) for count in counts]).reshape(shape)
            less = (each * (size / total)).sum(axis=0)
    return np.asarray((whole - less) / (2 * np.log(2)))


def _multivariate(made: np.ndarray, labels: np.ndarray, counts: np.ndarray, covariance: str) -> np.ndarray:
    """Information of several letters: made (row, n, letter), labels (n)."""
    width, total = made.shape[2], counts.sum()
    step = max(1, CELLS // (made.shape[1] * width))
    if len(made) > step:
        parts = [made[start : start + step] for start in range(0, len(made), step)]
        return np.concatenate([_multivariate(part, labels, counts, covariance) for part in parts])
    whole = _logdet(_scatter(made), total - 1) - _bias(width, total - 1)
    inside = (_scatter(made[:, labels == label]) for label in range(len(counts)))
    if covariance == "pooled":
        freedom = total - len(counts)
        less = _logdet(np.sum(list(inside), axis=0), freedom) - _bias(width, freedom)
    else:
        less = np.zeros(len(made))
        for scatter, count in zip(inside, counts, strict=True):
            less += (_logdet(scatter, count - 1) - _bias(width, count - 1)) * count / total
    return np.asarray((whole - less) / (2 * np.log(2)))


def _scatter(part: np.ndarray) -> np.ndarray:
    about = part - part.mean(axis=1, keepdims=True)
    return np.asarray(about.swapaxes(1, 2) @ about)


def _logdet(scatter: np.ndarray, freedom: int) -> np.ndarray:
    """ln |scatter / freedom|, NaN where it is singular."""
    sign, found = np.linalg.slogdet(scatter / freedom)
    size = np.log(np.maximum(np.diagonal(scatter, axis1=1, axis2=2) / freedom, 1e-300)).sum(axis=1)
    width = scatter.shape[1]
    return np.where((sign > 0) & (found > size - 20 * width), found, np.nan)


def _bias(width: int, freedom: int) -> float:
    """What ln |S| of a sample covariance with so many degrees of freedom is on average, the truth being 1."""
    steps = np.arange(width)
    return float(psi((freedom - steps) / 2).sum() + width * np.log(2 / freedom))


def fits(width: int, counts: np.ndarray, covariance: str) -> None:
    """ValueError where a covariance of so many letters is singular."""
    room = counts.sum() - len(counts) if covariance == "pooled" else counts.min() - 1
    if width > room:
        fewest = (
            f"{counts.min()} presentations of a label" if covariance == "own" else f"{counts.sum()} in all"
        )
        raise ValueError(
            f"gaussian-copula: {width} letters and {fewest}; take fewer neuroids, `components`, or, for one "
            "covariance of all labels, covariance='pooled'"
        )
