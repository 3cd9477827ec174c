"""Binning against its peers, paired in one process, equality first: `make bench`."""

from __future__ import annotations

import time

import numpy as np
import pytest

from loaders import _bins

pytestmark = pytest.mark.timing
EDGES = np.linspace(0, 1, 101)


def made(presentations, neuroids=200, rate=10.0):
    rng = np.random.default_rng(0)
    length = 2.0 * presentations
    trains = [np.sort(rng.uniform(0, length, rng.poisson(rate * length))) for _ in range(neuroids)]
    onsets = 2.0 * np.arange(presentations) + 0.2
    return np.concatenate(trains), np.cumsum([0, *map(len, trains)]), onsets


def seconds(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def paired(ours, peer, pairs, share=1.0):
    """Median of peer / ours over paired runs; the peer does `share` of the work."""
    return float(np.median([seconds(peer)[0] / share / seconds(ours)[0] for _ in range(pairs)]))


def histograms(spikes, pointers, onsets, sliced=False):
    found = np.zeros((len(onsets), len(pointers) - 1, len(EDGES) - 1), np.int32)
    for unit in range(len(pointers) - 1):
        train = spikes[pointers[unit] : pointers[unit + 1]]
        for row, onset in enumerate(onsets):
            edges = onset + EDGES
            some = train[slice(*train.searchsorted(edges[[0, -1]]))] if sliced else train
            found[row, unit] = np.histogram(some, edges)[0]
    return found


@pytest.mark.parametrize("form", ["all trains of a presentation", "each train of each presentation"])
def test_elephant(form):
    pytest.importorskip("elephant")
    import neo
    import quantities as pq
    from elephant.conversion import BinnedSpikeTrain

    spikes, pointers, onsets = made(50)
    trains = [neo.SpikeTrain(part, units="s", t_stop=101) for part in np.split(spikes, pointers[1:-1])]
    width = 0.01 * pq.s

    def peer(trains=trains, onsets=onsets):
        found = np.zeros((len(onsets), len(trains), 100), np.int32)
        for row, onset in enumerate(onsets):
            ends = {"t_start": onset * pq.s, "t_stop": (onset + 1) * pq.s}
            if form.startswith("all"):
                found[row] = BinnedSpikeTrain(trains, bin_size=width, **ends).to_array()
            else:
                for unit, train in enumerate(trains):
                    found[row, unit] = BinnedSpikeTrain(train, bin_size=width, **ends).to_array()[0]
        return found

    ours = lambda: _bins.counts(spikes, pointers, onsets, EDGES)  # noqa: E731
    assert np.array_equal(peer(), ours())
    ratio = paired(ours, peer, 5 if form.startswith("all") else 3)
    print(f"\nbinning 200 x 50 x 100: elephant, {form}: {ratio:.0f} times slower")
    assert ratio >= 150


@pytest.mark.parametrize(
    ("sliced", "goal"), [(False, 90), (True, 20)], ids=["plain loop", "loop that slices first"]
)
def test_histogram_loop(sliced, goal):
    """The peer does one train in twenty, timed as a twentieth of the work: the whole takes it a minute."""
    spikes, pointers, onsets = made(2000)
    few = pointers[:11]
    ours = lambda: _bins.counts(spikes, pointers, onsets, EDGES)  # noqa: E731
    peer = lambda: histograms(spikes, few, onsets, sliced)  # noqa: E731
    assert np.array_equal(peer(), ours()[:, :10])
    ratio = paired(ours, peer, 3, share=10 / 200)
    print(f"\nbinning 200 x 2000 x 100: np.histogram, sliced first {sliced}: {ratio:.0f} times slower")
    assert ratio >= goal
