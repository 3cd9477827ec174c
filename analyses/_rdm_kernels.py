"""Dissimilarities of patterns and what makes RDMs comparable, on NumPy or on torch with gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import rankdata

MEASURES = ("pearson", "spearman", "kendall", "cosine", "whitened", "whitened pearson")
LONG = 20_000  # entries from which one packed sort is faster than an argsort
BLOCK = 2**16  # numbers that stay in the processor's cache from one step to the next
TINY = 1e-12


def namespace(array: Any) -> Any:
    """The module whose functions take this array: numpy, or torch where the array came from there."""
    return sys.modules[type(array).__module__.partition(".")[0]]


def few(kernel: Callable[[np.ndarray], np.ndarray], patterns: np.ndarray) -> np.ndarray:
    """kernel of patterns (time, …), a few times at once."""
    count = min(len(patterns), 1 + patterns.size // (2 * BLOCK))
    found = [kernel(some) for some in np.array_split(patterns, count)]
    return found[0] if count == 1 else np.concatenate(found)


def correlation(patterns: Any) -> Any:
    """1 - Pearson's correlation of all pairs of patterns: (..., n, p) to (..., n, n).

    NaN where a pattern has the same value in every neuroid.
    """
    xp = namespace(patterns)
    mean = patterns.mean(-1)
    centred = patterns - mean[..., None]
    found = centred @ centred.swapaxes(-1, -2)
    square = xp.einsum("...ii->...i", found)
    varied = square > TINY**2 * (square + patterns.shape[-1] * mean**2)
    scale = xp.where(varied, square, xp.full_like(square, np.nan)) ** -0.5
    found *= -scale[..., :, None]
    found *= scale[..., None, :]
    found += 1
    return found


def euclidean(patterns: Any) -> Any:
    """Mean over neuroids of the squared difference of all pairs: (..., n, p) to (..., n, n)."""
    centred = patterns - patterns.mean(-2)[..., None, :]
    return _distances(centred @ centred.swapaxes(-1, -2)) / patterns.shape[-1]


def crossnobis(patterns: Any) -> Any:
    """Mean over neuroids and pairs of folds k != l of (a_i - a_j)_k (a_i - a_j)_l: (..., n, fold, p) to
    (..., n, n). Its mean is 0 where i and j do not differ.

    The sum over pairs of folds is that over all folds, multiplied out, less every fold with itself. What all
    conditions share cancels; patterns should be centred where it is large.

    Source   Walther et al. 2016, doi 10.1016/j.neuroimage.2015.12.012
    """
    folds, features = patterns.shape[-2:]
    whole = patterns.sum(-2)
    wide = patterns.reshape(*patterns.shape[:-2], folds * features)
    inner = whole @ whole.swapaxes(-1, -2) - wide @ wide.swapaxes(-1, -2)
    return _distances(inner) / (folds * (folds - 1) * features)


def crossnobis_folds(
    sums: np.ndarray, counts: np.ndarray, weigh: Callable[[int, np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """`crossnobis` fold by fold: for folds of unequal numbers of presentations, or with weights.

    Each fold is set against the mean of all presentations outside it; folds count alike, for each pair those
    that show both conditions. NaN for a pair that no fold shows together.

    Reads    sums (..., n, fold, p) over presentations; counts (fold, n); weigh, what makes means outside a
             fold comparable, and divides by the number of neuroids
    """
    other = counts.sum(axis=0) - counts
    usable = ((counts > 0) & (other > 0)).astype(float)
    left = np.where(usable, 1 / np.maximum(counts, 1), 0)[..., None]
    right = np.where(usable, 1 / np.maximum(other, 1), 0)[..., None]
    whole = sums.sum(axis=-2)
    found = np.zeros((*whole.shape[:-1], whole.shape[-2]))
    times = np.zeros(found.shape[-2:])
    for fold in range(len(counts)):
        part = sums[..., fold, :]
        rest = (whole - part) * right[fold]
        rest = rest / sums.shape[-1] if weigh is None else weigh(fold, rest)
        inner = (part * left[fold]) @ rest.swapaxes(-1, -2)
        both = np.outer(usable[fold], usable[fold])
        found += both * _distances((inner + inner.swapaxes(-1, -2)) / 2)
        times += both
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(found / times)


def _distances(inner: Any) -> Any:
    own = namespace(inner).einsum("...ii->...i", inner)
    return own[..., :, None] + own[..., None, :] - 2 * inner


def pairs(count: int, symmetric: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the upper triangle, or of everything off the diagonal."""
    if symmetric:
        rows, columns = np.triu_indices(count, 1)
    else:
        rows, columns = np.nonzero(~np.eye(count, dtype=bool))
    return rows, columns


def entries(matrices: Any, symmetric: bool = True) -> Any:
    """The values at `pairs`: (..., n, n) to (..., m)."""
    count = matrices.shape[-1]
    if not (symmetric and isinstance(matrices, np.ndarray) and count > 200):
        return matrices[..., *pairs(count, symmetric)]
    return np.concatenate([matrices[..., row, row + 1 :] for row in range(count - 1)], axis=-1)


def unit(matrices: Any, measure: str, symmetric: bool = True) -> Any:
    """Vectors of length 1 whose inner products are the similarity of RDMs: (..., n, n) to (..., m).

    Whitening by the covariance of dissimilarities under independent patterns is centring -d/2 in rows and
    columns. NaN where nothing varies.

    Source   Diedrichsen et al. 2021, arXiv 2007.02789 (whitened)
    """
    xp = namespace(matrices)
    count = matrices.shape[-1]
    flat = entries(matrices, symmetric)
    if measure == "spearman":
        flat = ranks(flat)
    before = _squares(flat)
    if measure in ("pearson", "spearman", "whitened pearson"):
        mean = flat.mean(-1)[..., None]
        flat = flat - mean
    if measure.startswith("whitened"):
        shift = mean[..., None] if measure == "whitened pearson" else 0
        off = (matrices - shift) * xp.asarray(1 - np.eye(count), dtype=matrices.dtype)
        rows, columns = off.mean(-1)[..., None], off.mean(-2)[..., None, :]
        flat = -0.5 * (off - rows - columns + off.mean((-1, -2))[..., None, None])
        flat = flat.reshape(*flat.shape[:-2], count * count)
    square = _squares(flat)
    varied = square > TINY**2 * before
    return flat / xp.sqrt(xp.where(varied, square, xp.full_like(square, np.nan)))


def _squares(flat: Any) -> Any:
    return namespace(flat).einsum("...i,...i->...", flat, flat)[..., None]


def ranks(values: Any) -> np.ndarray:
    """Ranks along the last axis from 1 on, of ties their mean."""
    if not isinstance(values, np.ndarray):
        raise ValueError("measure: ranks have no gradient; use pearson, cosine or whitened")
    if values.shape[-1] < LONG:
        return np.asarray(rankdata(values, axis=-1), dtype=float)
    found = np.empty(values.shape)
    for row, made in zip(
        values.reshape(-1, values.shape[-1]), found.reshape(-1, values.shape[-1]), strict=True
    ):
        _rank(np.asarray(row, dtype=float), made)
    return found


def _rank(values: np.ndarray, found: np.ndarray) -> None:
    """Into `found`, by sorting whole numbers that hold a value's upper bits and its place.

    Values that agree in all upper bits are looked at again, so that ranks are exact. By blocks, as memory
    that is touched first costs more than the arithmetic.
    """
    low, high = float(values.min()), float(values.max())
    place = int(values.size - 1).bit_length()
    scale = (2.0 ** (62 - place) - 1) / (high - low) if high > low else 0.0
    if not (np.isfinite(low) and np.isfinite(high) and np.isfinite(scale) and scale > 0):
        found[:] = rankdata(values)
        return
    packed, order, alike = found.view(np.int64), np.empty(values.size, np.int64), []
    parts = [slice(start, min(start + BLOCK, values.size)) for start in range(0, values.size, BLOCK)]
    for part in parts:
        upper = ((values[part] - low) * scale).astype(np.int64) << place
        packed[part] = upper | np.arange(part.start, part.stop)
    packed.sort()
    for part in parts:
        np.bitwise_and(packed[part], (1 << place) - 1, out=order[part])
        upper = packed[part.start : part.stop + 1] >> place
        alike.append(np.flatnonzero(upper[1:] == upper[:-1]) + part.start)
    rows = np.unique(np.concatenate([*alike, *(same + 1 for same in alike)]))
    group = packed[rows] >> place
    for part in parts:
        found[order[part]] = np.arange(part.start + 1.0, part.stop + 1.0)
    if rows.size:
        again = order[rows]
        inside = again[np.lexsort((values[again], group))]
        first = np.append(True, (np.diff(values[inside]) != 0) | (np.diff(group) > 0))
        starts = np.flatnonzero(first)
        sizes = np.diff(np.append(starts, rows.size))
        found[inside] = np.repeat(rows[starts] + (sizes + 1) / 2, sizes)
