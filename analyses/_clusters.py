"""Clusters of neighbouring places in many maps at once: runs along time, joined where rows are neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, triu
from scipy.sparse.csgraph import connected_components

EXTENT, HEIGHT = 0.5, 2.0  # the powers of threshold-free cluster enhancement


class Lattice(NamedTuple):
    """Places of one map: `rows` rows of `width` times; row r has the neighbours[first[r] : first[r + 1]], all
    of them later rows, so that no pair stands twice.
    """

    rows: int
    width: int
    first: np.ndarray
    neighbours: np.ndarray


def lattice(width: int, adjacency: csr_array) -> Lattice:
    """Rows of `width` times whose neighbours are the pairs of a symmetric matrix (row, row)."""
    upper = csr_array(triu(adjacency, 1))
    upper.sort_indices()
    return Lattice(upper.shape[0], width, upper.indptr.astype(np.int64), upper.indices.astype(np.int64))


def largest(
    maps: np.ndarray,
    cut: float,
    rise: Callable[[np.ndarray], np.ndarray],
    places: Lattice,
    signed: np.ndarray | None = None,
) -> np.ndarray:
    """maps (map, row, time) to the largest cluster mass above `cut` of each (map), 0 where there is none.

    The mass is the sum of rise(value) over a cluster; rise may be costly, only values above `cut` see it.
    Where maps are the magnitudes of `signed`, places of opposite signs are no neighbours.

    Source   Maris and Oostenveld 2007, doi 10.1016/j.jneumeth.2007.03.024
    """
    flat, found = maps.reshape(-1), np.zeros(len(maps))
    index = np.flatnonzero(flat > cut)
    if index.size:
        below = None if signed is None else signed.reshape(-1)[index] < 0
        starts = _runs(index, places.width, below)
        member, count = _joined(index, starts, places, below)
        masses = np.bincount(member, np.add.reduceat(rise(flat[index]), starts), count)
        owner = np.empty(count, np.int64)
        owner[member] = index[starts] // (places.rows * places.width)
        np.maximum.at(found, owner, masses)
    return found


def clusters(
    values: np.ndarray, cut: float, rise: Callable[[np.ndarray], np.ndarray], places: Lattice
) -> tuple[np.ndarray, np.ndarray]:
    """One map (row, time) to the number of each place's cluster, 0 for none, and to the masses (cluster)."""
    flat, numbers = values.reshape(-1), np.zeros(values.size, np.int64)
    index = np.flatnonzero(flat > cut)
    if not index.size:
        return numbers.reshape(values.shape), np.empty(0)
    starts = _runs(index, places.width)
    member, count = _joined(index, starts, places)
    numbers[index] = np.repeat(member + 1, _lengths(starts, index.size))
    masses = np.bincount(member, np.add.reduceat(rise(flat[index]), starts), count)
    return numbers.reshape(values.shape), masses


def enhance(maps: np.ndarray, heights: np.ndarray, weights: np.ndarray, places: Lattice) -> np.ndarray:
    """maps (map, row, time) to threshold-free cluster enhancement: sum over heights of extent^E weight.

    weight is height^H times the step of height. Values below the first height score 0.

    Source   Smith and Nichols 2009, doi 10.1016/j.neuroimage.2008.03.061, equation 1
    """
    flat, scores = maps.reshape(-1), np.zeros(maps.size)
    index = np.flatnonzero(flat > heights[0]) if len(heights) else np.empty(0, np.int64)
    values, sums, place = flat[index], np.zeros(index.size), np.arange(index.size)
    everything = index
    for height, weight in zip(heights, weights, strict=True):
        above = values > height
        index, values, place = index[above], values[above], place[above]
        if not index.size:
            break
        starts = _runs(index, places.width)
        lengths = _lengths(starts, index.size)
        member, count = _joined(index, starts, places)
        extents = np.bincount(member, lengths, count)
        sums[place] += np.repeat((weight * extents**EXTENT)[member], lengths)
    scores[everything] = sums
    return scores.reshape(maps.shape)


def _runs(index: np.ndarray, width: int, below: np.ndarray | None = None) -> np.ndarray:
    """Where runs of neighbours in time, of one sign, begin in the sorted flat places `index`."""
    begins = np.empty(index.size, bool)
    begins[:1] = True
    np.not_equal(index[1:] - index[:-1], 1, out=begins[1:])
    begins |= index % width == 0
    if below is not None:
        begins[1:] |= below[1:] != below[:-1]
    return np.flatnonzero(begins)


def _lengths(starts: np.ndarray, total: int) -> np.ndarray:
    return np.diff(starts, append=total)


def _joined(
    index: np.ndarray, starts: np.ndarray, places: Lattice, below: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """Cluster of every run, and their number: runs of neighbouring rows that share a time are joined."""
    if not places.neighbours.size:
        return np.arange(starts.size), starts.size
    first, last = index[starts], index[np.append(starts[1:], index.size) - 1]
    row = first // places.width % places.rows
    degree = places.first[row + 1] - places.first[row]
    run, slot = _spread(places.first[row], degree)
    shift = (places.neighbours[slot] - row[run]) * places.width
    low = np.searchsorted(last, first[run] + shift, "left")
    high = np.searchsorted(first, last[run] + shift, "right")
    pair, target = _spread(low, np.maximum(high - low, 0))
    source = run[pair]
    if below is not None:
        alike = below[starts[source]] == below[starts[target]]
        source, target = source[alike], target[alike]
    links = csr_array((np.ones(source.size, np.int8), (source, target)), shape=(starts.size, starts.size))
    count, member = connected_components(links, directed=False)
    return member, count


def _spread(start: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every number of the ranges start .. start + count, and which range it is of."""
    which = np.repeat(np.arange(count.size), count)
    offset = np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
    return which, start[which] + offset
