"""Presentations of one condition averaged, whole or fold by fold; names that two datasets are joined by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from analyses._labelled import values

NUMBERS = 2**24  # of a block of times that is held at once


class Design(NamedTuple):
    """Which presentations show which of the conditions, and in which fold: both as numbers (presentation)."""

    names: np.ndarray
    condition: np.ndarray
    folds: np.ndarray
    fold: np.ndarray

    def counts(self) -> np.ndarray:
        """Presentations (fold, condition)."""
        found = np.zeros((len(self.folds), len(self.names)))
        np.add.at(found, (self.fold, self.condition), 1)
        return found


def design(recording: xr.Dataset, by: str, folds: str | None = None) -> Design:
    """Conditions are the values of `by`, in order; one fold where `folds` is None."""
    names, condition = np.unique(values(recording, by), return_inverse=True)
    if recording[by].dims != ("presentation",):
        raise ValueError(f"by: {by!r} does not belong to presentations; name a coordinate that does")
    if folds is None:
        return Design(names, condition, np.zeros(1, int), np.zeros(condition.size, int))
    there, fold = np.unique(values(recording, folds), return_inverse=True)
    return Design(names, condition, there, fold)


def kept_apart(recording: xr.Dataset, by: str, folds: str) -> str:
    """The coordinate that cross-validated distances keep apart: as named, else run, else repetition."""
    if folds != "auto":
        return folds
    for name in ("run", "repetition"):
        if name in recording.coords and recording[name].dims == ("presentation",):
            counts = design(recording, by, name).counts()
            if ((counts > 0).sum(axis=0) >= 2).all():
                return name
    raise ValueError(
        "folds: no condition comes back in another run or repetition, so that no distance can be "
        "cross-validated; name a coordinate, or use distance='correlation'"
    )


def blocks(recording: xr.Dataset) -> Iterator[tuple[slice, np.ndarray]]:
    """response as (presentation, neuroid, time) float64, a few times at once; one time where it has none."""
    response = recording["response"]
    if "time" not in response.dims:
        yield slice(0, 1), np.asarray(response.transpose("presentation", "neuroid").values, float)[..., None]
        return
    response = response.transpose("presentation", "neuroid", "time")
    step = max(1, NUMBERS // max(1, response.shape[0] * response.shape[1]))
    for start in range(0, response.shape[2], step):
        block = slice(start, min(start + step, response.shape[2]))
        yield block, np.asarray(response[:, :, block].values, dtype=float)


def means(block: np.ndarray, plan: Design, neuroids: np.ndarray | None = None) -> np.ndarray:
    """block (presentation, neuroid, time) as means (time, condition, neuroid); absent values do not count."""
    total = sums(block, plan)[:, :, 0]
    if np.isfinite(total.sum()) or not np.isnan(total).any():
        counts = plan.counts().sum(axis=0)
        if (counts > 1).any():  # else total may be the block itself
            total /= counts[:, None]
        return total
    missing = np.isnan(block)
    total = sums(np.where(missing, 0.0, block), plan)[:, :, 0]
    number = sums((~missing).astype(float), plan)[:, :, 0]
    lacking = np.argwhere(number == 0)
    if lacking.size:
        _, condition, neuroid = lacking[0]
        who = neuroid if neuroids is None else neuroids[neuroid]
        raise ValueError(
            f"response: neuroid {who} has no value for '{plan.names[condition]}'; leave out the one or the "
            f"other ({np.unique(lacking[:, 2]).size} neuroids lack {np.unique(lacking[:, 1]).size} of them)"
        )
    return np.asarray(total / number)


def sums(block: np.ndarray, plan: Design, centre: np.ndarray | None = None) -> np.ndarray:
    """block (presentation, neuroid, time), less centre (neuroid, time), as sums (time, condition, fold,
    neuroid).
    """
    count, neuroids, times = block.shape
    rows = plan.condition * len(plan.folds) + plan.fold
    size = len(plan.names) * len(plan.folds)
    shape = (times, len(plan.names), len(plan.folds), neuroids)
    if times == 1 and centre is None and size == count and (np.sort(rows) == np.arange(size)).all():
        ordered = (rows[1:] > rows[:-1]).all()
        return (block if ordered else block[np.argsort(rows)]).transpose(2, 0, 1).reshape(shape)
    if times > 1:  # a small matrix at a time stays in the cache while it is turned
        made = np.empty((times, size, neuroids))
        order = np.argsort(rows, kind="stable")
        ends = np.searchsorted(rows[order], np.arange(size + 1))
        for row, (start, stop) in enumerate(pairwise(ends)):
            total = block[order[start]].copy() if stop > start else np.zeros((neuroids, times))
            for shown in order[start + 1 : stop]:
                total += block[shown]
            made[:, row] = (total if centre is None else total - (stop - start) * centre).T
        return made.reshape(shape)
    gather = csr_array((np.ones(count), (rows, np.arange(count))), shape=(size, count))
    centred = block if centre is None else block - centre
    found = gather @ centred.reshape(count, neuroids * times)
    return np.ascontiguousarray(np.moveaxis(found.reshape(size, neuroids, times), -1, 0)).reshape(shape)


def carried(recording: xr.Dataset, plan: Design) -> dict[str, tuple[str, np.ndarray]]:
    """Coordinates of presentations that are the same for all of a condition, by condition."""
    first = np.unique(plan.condition, return_index=True)[1]
    made = {}
    for name, item in recording.coords.items():
        if item.dims == ("presentation",) and str(name) not in ("presentation", "condition"):
            found = values(recording, str(name))
            if (found[first][plan.condition] == found).all():
                made[str(name)] = ("condition", found[first])
    return made


def places(wanted: Sequence[str] | np.ndarray, found: Sequence[str] | np.ndarray, what: str) -> np.ndarray:
    """Where each wanted name stands in `found`; ValueError unless both hold the same names, once each."""
    wanted, found = np.asarray(wanted).astype(str), np.asarray(found).astype(str)
    if wanted.size == found.size and (wanted == found).all() and (wanted[1:] > wanted[:-1]).all():
        return np.arange(wanted.size)
    for names in (wanted, found):
        twice = [
            str(name) for name, count in zip(*np.unique(names, return_counts=True), strict=True) if count > 1
        ]
        if twice:
            raise ValueError(f"{what}: {', '.join(twice[:3])} stand more than once; average or rename them")
    lacking, more = np.setdiff1d(wanted, found), np.setdiff1d(found, wanted)
    if lacking.size or more.size:
        told = [f"{part.size} stand {where} only ({', '.join(part[:3])})" for part, where in
                ((lacking, "in the first"), (more, "in the second")) if part.size]  # fmt: skip
        raise ValueError(f"{what}: {'; '.join(told)}; give both the same, by id")
    order = np.argsort(found)
    return np.asarray(order[np.searchsorted(found, wanted, sorter=order)])
