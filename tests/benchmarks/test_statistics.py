"""Cluster tests against MNE's: the same clusters and p from the same signs, then the median of paired runs.

`make bench` prints the ratios. Both sides take arrays and run on one thread; seconds are wall seconds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator

import mne
import numpy as np
import pytest
import scipy.linalg.lapack  # noqa: F401  (its BLAS must be loaded before threads are limited)
import xarray as xr
from mne.stats import permutation_cluster_1samp_test
from mne.stats.cluster_level import _get_1samp_orders
from scipy.ndimage import gaussian_filter
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from analyses import _corrections, _flips, _records, statistics

pytestmark = pytest.mark.timing
UNITS = 16


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    mne.set_log_level("ERROR")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def smooth(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    made = gaussian_filter(rng.standard_normal((UNITS, *shape)), (0, *[3] * len(shape)))
    made /= made.std()
    made[:, shape[0] // 5 : shape[0] // 3] += 0.3
    return made


def ours(cells: np.ndarray, signs: np.ndarray, both: bool, level: float) -> _corrections.Corrected:
    """Array to array: what `statistics.sign_flip` does between its labels."""
    dims = ("subject", "time", "test_time")[: cells.ndim]
    place = _records.layout(xr.DataArray(cells, dims=dims, name="x"), None, "subject")
    parts, shape = _flips.scaled(cells.reshape(UNITS, -1)), (place.lattice.rows, place.lattice.width)
    observed = next(_flips.maps(parts, np.ones((1, UNITS)), *shape))[0].copy()
    family = _corrections.Family(
        place.lattice, "cluster", both, lambda sums: _flips.student(sums, UNITS), _flips.cut(level, UNITS)
    )
    return _corrections.corrected(observed, _flips.maps(parts, signs, *shape), family)


def paired(name: str, mine: Callable, peer: Callable, goal: float, pairs: int) -> None:
    """Print and hold the median of peer / mine."""
    ratios = []
    for _ in range(pairs):
        start = time.perf_counter()
        peer()
        middle = time.perf_counter()
        mine()
        ratios.append((middle - start) / (time.perf_counter() - middle))
    low, median, high = min(ratios), float(np.median(ratios)), max(ratios)
    print(f"\n{name}: {median:.1f}x ({low:.1f} to {high:.1f}, {pairs} pairs), goal {goal:g}x")
    assert median >= goal


@pytest.mark.parametrize("tail", [1, 0], ids=["one-sided", "two-sided"])
@pytest.mark.parametrize(
    ("shape", "flips", "goal", "pairs"),
    [((500,), 1000, 50, 9), ((500, 500), 100, 10, 3)],
    ids=["500", "500 x 500"],
)
def test_cluster_mass(shape: tuple[int, ...], flips: int, goal: float, pairs: int, tail: int) -> None:
    cells, level = smooth(*shape), float(student.isf(0.05 if tail else 0.025, UNITS - 1))
    options = {"threshold": level, "tail": tail, "n_permutations": flips + 1, "seed": 3, "out_type": "mask"}
    orders = _get_1samp_orders(UNITS, flips + 1, tail, np.random.RandomState(3))[0]
    signs = 2.0 * np.array(orders) - 1
    _, clusters, p, _ = permutation_cluster_1samp_test(cells, **options)
    found = ours(cells, signs, tail == 0, level)
    assert len(clusters) == found.mass.size > 5
    for mask, each in zip(clusters, p, strict=True):
        inside = found.number[0][mask] if len(shape) == 1 else found.number[mask]
        assert np.ptp(inside) == 0
        assert (found.number == inside.flat[0]).sum() == inside.size
        assert found.cluster_p[inside.flat[0] - 1] == pytest.approx(each, abs=1e-15)
    paired(
        f"cluster mass, {UNITS} x {' x '.join(map(str, shape))}, {flips} flips, "
        f"{'one' if tail else 'two'}-sided (MNE {mne.__version__})",
        lambda: ours(cells, signs, tail == 0, level),
        lambda: permutation_cluster_1samp_test(cells, **options),
        goal,
        pairs,
    )


def test_the_labelled_test_with_its_record() -> None:
    cells = smooth(500)
    recording = xr.Dataset(
        {"auc": (("subject", "time"), 0.5 + 0.05 * cells, {"units": "1"})},
        {"time": np.arange(500) / 1000 - 0.1},
        {"chance": 0.5},
    )
    level = float(student.isf(0.05, UNITS - 1))
    paired(
        f"sign_flip with labels, interval, baseline and both p, {UNITS} x 500, 5000 flips",
        lambda: statistics.sign_flip(recording),
        lambda: permutation_cluster_1samp_test(cells, threshold=level, tail=1, n_permutations=5001, seed=3),
        30,
        5,
    )
