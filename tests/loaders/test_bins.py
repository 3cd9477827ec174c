"""The binning kernel against the plain loop that it replaces."""

from __future__ import annotations

import numpy as np
import pytest

from loaders import _bins


def loop(spikes, pointers, onsets, edges):
    """A np.histogram for each train and presentation; its last bin is closed, so one more is asked for."""
    found = np.zeros((len(onsets), len(pointers) - 1, len(edges) - 1), np.int64)
    for unit in range(len(pointers) - 1):
        train = spikes[pointers[unit] : pointers[unit + 1]]
        for row, onset in enumerate(onsets):
            found[row, unit] = np.histogram(train, np.append(onset + edges, np.inf))[0][:-1]
    return found


def made(seed, neuroids=7, presentations=11, rate=30.0, grid=None):
    rng = np.random.default_rng(seed)
    trains = [np.sort(rng.uniform(0, 20, rng.poisson(rate * 20 * (unit != 2)))) for unit in range(neuroids)]
    if grid:
        trains = [np.sort(np.round(train / grid) * grid) for train in trains]
    onsets = rng.uniform(-1, 21, presentations)
    return np.concatenate(trains), np.cumsum([0, *map(len, trains)]), np.round(onsets, 2) if grid else onsets


@pytest.mark.parametrize("grid", [None, 0.01], ids=["any times", "times on the edges"])
@pytest.mark.parametrize(
    "edges", [np.linspace(0, 1, 11), np.array([-0.5, -0.1, 0.0, 0.25, 3.0]), np.array([0.0, 0.3])],
    ids=["equal bins", "unequal bins", "one bin"],
)  # fmt: skip
def test_counts_equal_a_loop_of_histograms(edges, grid):
    for seed in range(5):
        sample = made(seed, grid=grid)
        assert np.array_equal(_bins.counts(*sample, edges), loop(*sample, edges))


def test_blocks_and_halves_do_not_change_counts(monkeypatch):
    sample, edges = made(1, neuroids=20), np.linspace(-0.2, 5, 30)
    whole = _bins.counts(*sample, edges)
    for name, value in (("SPIKES", 1), ("CELLS", 700), ("PAIRS", 10)):
        with monkeypatch.context() as patch:
            patch.setattr(_bins, name, value)
            assert np.array_equal(_bins.counts(*sample, edges), whole)


def test_a_bin_holds_its_left_edge_and_not_its_right_one():
    spikes = np.array([1.0, 1.5, 2.0])
    found = _bins.counts(spikes, np.array([0, 3]), np.array([1.0]), np.array([0.0, 0.5, 1.0]))
    assert found[0, 0].tolist() == [1, 1]


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 3)], ids=["no onset", "no train", "no spike"])
def test_nothing_to_count_is_zero(shape):
    onsets, pointers = np.arange(shape[0], dtype=float), np.zeros(shape[1] + 1, int)
    found = _bins.counts(np.empty(0), pointers, onsets, np.array([0.0, 1.0, 2.0]))
    assert found.shape == (*shape, 2)
    assert found.sum() == 0


@pytest.mark.parametrize(("width", "step"), [(0.15, 0.01), (0.15, 0.05), (0.1, 0.3), (0.1, 0.1)])
def test_sliding_bins_equal_one_count_for_each(width, step):
    sample = made(3)
    left, right = _bins.bins((-0.5, 0.5), width, step)
    found = _bins.sliding(*sample, left, right)
    for k in range(len(left)):
        assert np.array_equal(found[..., k], loop(*sample, np.array([left[k], right[k]]))[..., 0])


def test_bins_fit_whole_into_the_window():
    left, right = _bins.bins((-0.5, 0.5), 0.15, 0.02)
    assert len(left) == 43
    assert left[0] == -0.5
    assert right[-1] <= 0.5
    assert len(_bins.bins((-0.1, 0.5), 0.01, 0.01)[0]) == 60
