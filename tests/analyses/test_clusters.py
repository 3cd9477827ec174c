"""Clusters, enhancement, signs and corrections as arrays: closed forms, laws, and agreement with peers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import product

import mne
import numpy as np
import pytest
import xarray as xr
from mne.stats import combine_adjacency, fdr_correction, permutation_cluster_1samp_test
from mne.stats.cluster_level import _find_clusters, _get_1samp_orders
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.stats import ttest_1samp

from analyses import _clusters, _corrections, _flips, _prevalence, _records

ALONE = csr_array((1, 1), dtype=np.int8)
mne.set_log_level("ERROR")


def same(values: np.ndarray) -> np.ndarray:
    return values


def smooth(shape: tuple[int, ...], seed: int = 0, width: float = 2.0, effect: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = ndimage.gaussian_filter(rng.standard_normal(shape), (0, *[width] * (len(shape) - 1)))
    made /= made.std()
    made[:, shape[1] // 3 : shape[1] // 2] += effect
    return made


def arrays(
    cells: np.ndarray, dims: tuple[str, ...], signs: np.ndarray, both: bool, level: float,
    correction: str = "cluster", adjacency: xr.Dataset | None = None,
) -> _corrections.Corrected:  # fmt: skip
    """Array to array, with given signs: what `statistics.sign_flip` does between its labels."""
    units = len(cells)
    place = _records.layout(xr.DataArray(cells, dims=("subject", *dims), name="x"), adjacency, "subject")
    parts, shape = _flips.scaled(cells.reshape(units, -1)), (place.lattice.rows, place.lattice.width)
    observed = next(_flips.maps(parts, np.ones((1, units)), *shape))[0]
    family = _corrections.Family(
        place.lattice, correction, both, lambda sums: _flips.student(sums, units), _flips.cut(level, units)
    )
    return _corrections.corrected(observed, _flips.maps(parts, signs, *shape), family)


def flipped(units: int, flips: int, tail: int, seed: int = 3) -> np.ndarray:
    """The signs that MNE draws."""
    return 2.0 * np.array(_get_1samp_orders(units, flips, tail, np.random.RandomState(seed))[0]) - 1


def peer(cells: np.ndarray, **options: object) -> tuple:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return permutation_cluster_1samp_test(cells, out_type="mask", seed=3, **options)


def agree(ours: _corrections.Corrected, masks: list, p: np.ndarray) -> None:
    """The same clusters, as sets of places, with the same p."""
    number = ours.number.ravel()
    found = {tuple(np.flatnonzero(number == k + 1)): each for k, each in enumerate(ours.cluster_p)}
    expected = {tuple(np.flatnonzero(mask)): each for mask, each in zip(masks, p, strict=True)}
    assert found == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("tail", "level"), [(1, 1.753), (0, 2.131)])
def test_clusters_of_times_agree_with_mne(tail: int, level: float) -> None:
    cells = smooth((16, 120))
    _, slices, p, _ = peer(cells, threshold=level, tail=tail, n_permutations=300)
    masks = [np.isin(np.arange(120), np.arange(120)[part]) for part in slices]
    agree(arrays(cells, ("time",), flipped(16, 300, tail), tail == 0, level), masks, p)


@pytest.mark.parametrize(("tail", "level"), [(1, 1.753), (0, 2.131)])
def test_clusters_of_training_and_test_times_agree_with_mne(tail: int, level: float) -> None:
    cells = smooth((16, 30, 40), effect=0.3)
    _, masks, p, _ = peer(cells, threshold=level, tail=tail, n_permutations=100)
    assert len(masks) > 5
    signs = flipped(16, 100, tail)
    agree(arrays(cells, ("time", "test_time"), signs, tail == 0, level), [mask.ravel() for mask in masks], p)


@pytest.mark.parametrize(("tail", "level"), [(1, 1.8), (0, 2.2)])
def test_clusters_of_sensors_and_times_agree_with_mne(tail: int, level: float) -> None:
    rng = np.random.default_rng(1)
    pairs = np.triu(rng.random((20, 20)) < 0.15, 1)
    pairs |= pairs.T
    cells = smooth((12, 20, 30), seed=2)
    _, masks, p, _ = peer(
        cells.transpose(0, 2, 1).copy(),
        threshold=level,
        tail=tail,
        n_permutations=100,
        adjacency=csr_array(pairs),
    )
    adjacency = xr.Dataset({"adjacent": (("neuroid", "other_neuroid"), pairs)})
    ours = arrays(cells, ("neuroid", "time"), flipped(12, 100, tail), tail == 0, level, adjacency=adjacency)
    assert len(masks) > 5
    agree(ours, [mask.T.ravel() for mask in masks], p)


def test_clusters_over_three_dimensions_agree_with_mne() -> None:
    pairs = np.eye(6, k=2, dtype=bool) | np.eye(6, k=-2, dtype=bool)
    cells = smooth((10, 6, 9, 8), seed=4, width=1.0)
    whole = combine_adjacency(csr_array(pairs | np.eye(6, dtype=bool)), 9, 8)
    _, masks, p, _ = peer(cells, threshold=1.9, tail=1, n_permutations=60, adjacency=whole)
    adjacency = xr.Dataset({"adjacent": (("neuroid", "other_neuroid"), pairs)})
    ours = arrays(
        cells, ("neuroid", "time", "test_time"), flipped(10, 60, 1), False, 1.9, adjacency=adjacency
    )
    agree(ours, [mask.ravel() for mask in masks], p)


@pytest.mark.parametrize("seed", range(20))
def test_labels_agree_with_scipy_on_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 12, 2))
    values = rng.standard_normal(shape)
    chain = np.eye(shape[0], k=1) + np.eye(shape[0], k=-1)
    number, mass = _clusters.clusters(values, 0.0, same, _clusters.lattice(shape[1], csr_array(chain)))
    expected, count = ndimage.label(values > 0)
    np.testing.assert_array_equal(number, expected)
    np.testing.assert_allclose(mass, ndimage.sum(values, expected, np.arange(1, count + 1)), rtol=1e-12)


def test_many_maps_at_once_are_each_alone() -> None:
    values = smooth((30, 8, 25))
    chain = csr_array(np.eye(8, k=1) + np.eye(8, k=-1))
    places = _clusters.lattice(25, chain)
    each = [_clusters.clusters(one, 1.0, same, places)[1].max(initial=0.0) for one in values]
    np.testing.assert_allclose(_clusters.largest(values, 1.0, same, places), each, rtol=1e-12)
    weights = np.ones(3)
    together = _clusters.enhance(values, np.array([0.5, 1.0, 1.5]), weights, places)
    for one, score in zip(values, together, strict=True):
        alone = _clusters.enhance(one[None], np.array([0.5, 1.0, 1.5]), weights, places)[0]
        np.testing.assert_array_equal(score, alone)


@pytest.mark.parametrize("shape", [(1, 60), (14, 18)])
def test_enhancement_is_the_published_sum(shape: tuple[int, int]) -> None:
    values = 2 * smooth((1, *shape), seed=5)[0]
    chain = csr_array(np.eye(shape[0], k=1) + np.eye(shape[0], k=-1))
    levels, weights = _corrections.heights(0.2)
    expected = np.zeros(shape)
    for height in levels:
        labels, _ = ndimage.label(values > height)
        extent = np.bincount(labels.ravel())[labels]
        expected += np.where(labels > 0, extent**0.5 * height**2 * 0.2, 0)
    found = _clusters.enhance(values[None], levels, weights, _clusters.lattice(shape[1], chain))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("tail", [1, 0])
def test_enhancement_agrees_with_mne(tail: int) -> None:
    """MNE before 1.13 weighs each height by step^2; Smith and Nichols, and MNE since, by height^2 step."""
    values = 2 * smooth((1, 14, 18), seed=5)[0]
    _, scores = _find_clusters(values, {"start": 0.2, "step": 0.2}, tail=tail)
    levels = np.arange(0.2, 100, 0.2)
    mended = tuple(map(int, mne.__version__.split(".")[:2])) >= (1, 13)
    weights = 0.2 * levels**2 if mended else np.full(levels.size, 0.2**2)
    chain = csr_array(np.eye(14, k=1) + np.eye(14, k=-1))
    places = _clusters.lattice(18, chain)
    found = _clusters.enhance(values[None], levels, weights, places)
    if tail == 0:
        found = found + _clusters.enhance(-values[None], levels, weights, places)
    np.testing.assert_allclose(found.ravel(), np.ravel(scores), rtol=1e-10)


def test_sums_of_flipped_scores_give_students_t() -> None:
    cells = np.random.default_rng(0).standard_normal((9, 40)) + 0.3
    signs = _flips.signs(9, 50, "greater", 0)
    sums = np.concatenate([block[:, 0].copy() for block in _flips.maps(_flips.scaled(cells), signs, 1, 40)])
    expected = [ttest_1samp(row[:, None] * cells, 0).statistic for row in signs]
    np.testing.assert_allclose(_flips.student(sums, 9), expected, rtol=1e-9)
    assert _flips.student(np.array([_flips.cut(1.7, 9)]), 9)[0] == pytest.approx(1.7)


@pytest.mark.parametrize(("tail", "distinct"), [("greater", 2**6 - 1), ("two-sided", 2**5 - 1)])
def test_few_units_give_every_set_of_signs_once(tail: str, distinct: int) -> None:
    signs = _flips.signs(6, 5000, tail, 0)
    rows = {tuple(row) for row in signs}
    assert len(rows) == len(signs) == distinct
    assert (1.0,) * 6 not in rows
    if tail == "two-sided":
        assert not rows & {tuple(-np.array(row)) for row in rows}
    else:
        assert rows == set(product((-1.0, 1.0), repeat=6)) - {(1.0,) * 6}


@pytest.mark.parametrize("units", [16, 40, 70])
def test_drawn_signs_are_even_and_a_function_of_the_seed(units: int) -> None:
    signs = _flips.signs(units, 2000, "greater", 4)
    assert signs.shape == (2000, units)
    assert len(np.unique(signs, axis=0)) == 2000
    assert np.abs(signs.mean(axis=0)).max() < 4.5 / np.sqrt(2000)
    np.testing.assert_array_equal(signs, _flips.signs(units, 2000, "greater", 4))
    assert (signs != _flips.signs(units, 2000, "greater", 5)).any()


@pytest.mark.parametrize(("dependent", "method"), [(False, "indep"), (True, "negcorr")])
def test_false_discovery_agrees_with_mne(dependent: bool, method: str) -> None:
    p = np.random.default_rng(0).uniform(size=(4, 30)) ** 2
    _, expected = fdr_correction(p, 0.05, method)
    np.testing.assert_allclose(
        _corrections.false_discovery(p, dependent), np.minimum(expected, 1), rtol=1e-12
    )


def brute(observed: np.ndarray, chance: np.ndarray, best: Callable) -> np.ndarray:
    everything = np.concatenate([observed[None], chance])
    return np.array([[(best(everything) >= value).mean() for value in row] for row in observed])


@pytest.mark.parametrize("both", [False, True])
def test_p_is_the_share_of_maps_that_reach_it_the_true_one_among_them(both: bool) -> None:
    rng = np.random.default_rng(0)
    observed, chance = rng.standard_normal((2, 5)), rng.standard_normal((37, 2, 5))
    places = _clusters.lattice(5, csr_array((2, 2)))
    family = _corrections.Family(places, "max-t", both, same, 1.0)
    found = _corrections.corrected(observed, [chance[:20], chance[20:]], family)
    one = np.abs if both else same
    expected = brute(one(observed), one(chance), lambda maps: maps.max(axis=(1, 2)))
    np.testing.assert_allclose(found.p, expected)
    alone = (one(chance) >= one(observed)).sum(axis=0)
    np.testing.assert_allclose(found.uncorrected, (alone + 1) / 38)
    assert (found.p >= found.uncorrected).all()


def test_ties_count_as_reached_whatever_their_rounding() -> None:
    observed = np.array([[0.1 + 0.2]])
    chance = np.full((9, 1, 1), 0.3)
    family = _corrections.Family(_clusters.lattice(1, ALONE), "max-t", False, same, 1.0)
    assert _corrections.corrected(observed, [chance], family).p[0, 0] == 1.0


def test_the_least_score_of_one_place_gives_the_published_bound() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((12, 2000, 1))
    scores[:, 0] = 1 + rng.random((12, 1))
    p, single, bound = _prevalence.minimum(scores, 20000, 0, 0.05)
    np.testing.assert_array_equal(p, single)
    scores[:, 0] = np.quantile(scores, 0.7)  # each unit above 70 % of its null
    p, single, bound = _prevalence.minimum(scores, 20000, 0, 0.05)
    assert single[0] <= 2 / 20001
    scores[:, 0] = np.quantile(scores, 0.3)
    p, single, bound = _prevalence.minimum(scores, 20000, 0, 0.05)
    assert p[0] == pytest.approx(0.7**12, rel=0.15)
    root = 0.7  # ((1 - g) p^(1/n) + g)^n = alpha
    assert bound[0] == pytest.approx((0.05 ** (1 / 12) - root) / (1 - root), abs=0.03)


def test_the_least_score_over_places_is_corrected_for_them() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((12, 200, 3))
    scores[:, 0, 1] += 8
    p, single, bound = _prevalence.minimum(scores, 4000, 0, 0.05)
    assert p[1] == pytest.approx(1 / 4001)
    assert 0.4 < bound[1] < 0.8
    assert (p >= single).all()
    assert p[0] > 0.05
    assert bound[0] == 0
    alone = _prevalence.minimum(scores[:, :, 1:2], 4000, 0, 0.05)[2]
    assert bound[1] <= alone[0]


def test_share_and_rate_in_closed_form() -> None:
    assert _prevalence.false_positives(0.05, 999) == pytest.approx(0.049)
    assert _prevalence.false_positives(0.05, 19) == 0
    assert _prevalence.false_positives(0.05, 20) == pytest.approx(1 / 21)
    estimate, low, high = _prevalence.share(16, 16, 0.05, 0.95)
    assert (estimate, high) == (1, 1)
    assert low == pytest.approx((0.025 ** (1 / 16) - 0.05) / 0.95)
    assert _prevalence.share(0, 16, 0.05, 0.95)[:2] == (0, 0)
    assert _prevalence.share(8, 16, 0.0, 0.95) == pytest.approx((0.5, 0.2465, 0.7535), abs=1e-4)
