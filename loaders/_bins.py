"""Spikes to counts: one pass over the spikes that fall into a window, whatever the number of bins.

Every window finds its first and last spike in each train by bisection; each spike in between is put into its
bin by arithmetic, and corrected until it truly lies between that bin's two edges: counts are exact.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SPIKES = 2**15  # taken at once: temporary arrays stay in the processor's cache
CELLS, PAIRS = 2**21, 2**22


def counts(spikes: Array, pointers: NDArray[np.int64], onsets: Array, edges: Array) -> NDArray[np.int32]:
    """Spikes of each neuroid in each bin after each onset.

    A bin holds its left edge and not its right one, the last bin too: onset + left <= spike < onset + right
    in floats. Windows may overlap and may come in any order.

    Reads    spikes, all trains end to end, each sorted; pointers, where each train starts, and the end of
             the last; onsets; edges, increasing, relative to an onset
    Returns  counts (presentation, neuroid, bin)
    >>> spikes, pointers = np.array([0.5, 1.0, 2.0, 0.9]), np.array([0, 3, 4])
    >>> counts(spikes, pointers, np.array([0.0, 0.5]), np.array([0.0, 1.0, 2.0]))[0]
    array([[1, 1],
           [1, 0]], dtype=int32)
    """
    n, bins = len(pointers) - 1, len(edges) - 1
    found = np.empty((len(onsets), n, bins), np.int32)
    even = bool(np.allclose(np.diff(edges), (edges[-1] - edges[0]) / bins, rtol=1e-6, atol=0))
    most = max(1, CELLS // max(len(onsets) * bins, 1))
    start = 0
    while start < n and found.size:
        stop = int(pointers.searchsorted(pointers[start] + SPIKES))
        stop = min(max(stop, start + 1), start + most, n)
        block = _block(spikes, pointers[start : stop + 1], onsets, edges, even)
        found[:, start:stop] = block.swapaxes(0, 1)
        start = stop
    return found


def _block(
    spikes: Array, pointers: NDArray[np.int64], onsets: Array, edges: Array, even: bool
) -> NDArray[np.int64]:
    n, bins = len(pointers) - 1, len(edges) - 1
    limits = np.concatenate([onsets + edges[0], onsets + edges[-1]])
    ends = [spikes[a:b].searchsorted(limits) + a for a, b in pairwise(pointers)]
    first, last = (part.ravel() for part in np.split(np.stack(ends), 2, axis=1))
    length = last - first
    total = length.cumsum()
    if total[-1] > PAIRS and len(onsets) > 1:  # windows that overlap much: half of them at a time
        halves = np.array_split(onsets, 2)
        return np.concatenate([_block(spikes, pointers, half, edges, even) for half in halves], axis=1)
    window = np.arange(len(length)).repeat(length)
    time = spikes[np.arange(total[-1]) + (first - total + length).repeat(length)]
    onset = np.tile(onsets, n)[window]
    place = _place(time, onset, edges, even)
    found: NDArray[np.int64] = np.bincount(window * bins + place, minlength=len(length) * bins)
    return found.reshape(n, len(onsets), bins)


def _place(time: Array, onset: Array, edges: Array, even: bool) -> NDArray[np.int64]:
    bins = len(edges) - 1
    place: NDArray[np.int64]
    if even:
        place = ((time - onset - edges[0]) * (bins / (edges[-1] - edges[0]))).astype(np.int64)
    else:
        place = edges.searchsorted(time - onset, side="right") - 1
    np.clip(place, 0, bins - 1, out=place)
    left, right = edges[:-1], edges[1:]
    while True:
        late = time >= onset + right[place]
        early = time < onset + left[place]
        if not (late.any() or early.any()):
            return place
        place += late
        place -= early


def sliding(
    spikes: Array, pointers: NDArray[np.int64], onsets: Array, left: Array, right: Array
) -> NDArray[np.int32]:
    """Counts in bins that may overlap: `left[k]` to `right[k]` after each onset.

    Reads    spikes, pointers, onsets as in `counts`; left, right, the edges of each bin
    Returns  counts (presentation, neuroid, bin)
    """
    if np.array_equal(left[1:], right[:-1]):
        return counts(spikes, pointers, onsets, np.append(left, right[-1]))
    edges = np.unique(np.concatenate([left, right]))
    fine = counts(spikes, pointers, onsets, edges)
    total = np.zeros((*fine.shape[:2], len(edges)), np.int32)
    np.cumsum(fine, axis=-1, out=total[..., 1:])
    return total[..., edges.searchsorted(right)] - total[..., edges.searchsorted(left)]


def bins(window: tuple[float, float], width: float, step: float) -> tuple[Array, Array]:
    """Left and right edges of all bins that fit whole into the window.

    >>> bins((-0.1, 0.1), 0.1, 0.05)
    (array([-0.1 , -0.05,  0.  ]), array([0.  , 0.05, 0.1 ]))
    """
    number = int(np.floor((window[1] - window[0] - width) / step + 1e-6)) + 1
    left = np.round(window[0] + step * np.arange(max(number, 0)), 9)
    return left + 0.0, np.round(left + width, 9) + 0.0
