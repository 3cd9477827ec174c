"""The private kernels of decoding, each against a definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from analyses import _lda, _moments, _pairs, _scores
from analyses._labelled import over
from analyses.statistics import across, plot


@pytest.mark.parametrize("rounding", [1, 12])
def test_auc_equals_scikit_learn_with_and_without_ties(rounding: int) -> None:
    rng = np.random.default_rng(0)
    decisions = np.round(rng.normal(size=(50, 40)), rounding)
    positive = rng.permutation(np.arange(40) % 3 == 0)
    expected = [roc_auc_score(positive, row) for row in decisions]
    np.testing.assert_allclose(_scores.auc(decisions, positive), expected, rtol=0, atol=1e-15)


def test_auc_ignores_monotone_change_and_mirrors_sign() -> None:
    rng = np.random.default_rng(1)
    decisions, positive = rng.normal(size=60), np.arange(60) % 2 == 0
    plain = _scores.auc(decisions, positive)
    assert _scores.auc(np.exp(decisions), positive) == plain
    assert _scores.auc(-decisions, positive) == pytest.approx(1 - plain, abs=1e-15)
    assert np.isnan(_scores.auc(decisions, np.zeros(60, bool)))
    assert _scores.auc(np.zeros(60), positive) == 0.5


def test_auc_of_signed_zeros_is_a_tie() -> None:
    assert _scores.auc(np.array([0.0, -0.0]), np.array([True, False])) == 0.5


def test_balanced_accuracy_equals_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    codes, decisions = rng.integers(0, 4, 80), rng.normal(size=(80, 4))
    expected = balanced_accuracy_score(codes, decisions.argmax(1))
    assert float(_scores.balanced_accuracy(decisions, codes)) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("features", [1, 5, 80])
def test_shrinkage_amount_equals_scikit_learn(features: int) -> None:
    x = np.random.default_rng(3).normal(size=(30, features))
    z = (x - x.mean(0)) / x.std(0)
    correlation = z.T @ z / len(z)
    fourth = float(((z**2).sum(1) ** 2).sum())
    found = _lda.amount(len(z), fourth, float((correlation**2).sum()), features, features)
    assert found == pytest.approx(ledoit_wolf(z)[1], abs=1e-12)


@pytest.mark.parametrize("crossed", [False, True])
def test_scatters_equal_their_definition(crossed: bool) -> None:
    rng = np.random.default_rng(4)
    x, codes, part = rng.normal(size=(60, 70)), rng.integers(0, 2, 60), rng.integers(0, 4, 60)
    train = np.array([part != fold for fold in range(4)])
    if crossed:
        other = rng.integers(0, 3, 60)
        train = np.array([side & (other != fold) for side in train for fold in range(3)])
    made = _moments.plan(codes, train)
    mean, variance = _moments.means(x, x * x, made)
    for rows, panel in _moments.scatters(x, mean, made, _moments.room_for(made, *x.shape)):
        for fold, side in enumerate(train):
            for code in (0, 1):
                inside = x[side & (codes == code)]
                np.testing.assert_allclose(mean[fold, code], inside.mean(0), atol=1e-12)
                np.testing.assert_allclose(variance[fold, code], inside.var(0), atol=1e-12)
                expected = np.cov(inside.T, bias=True) * len(inside)
                np.testing.assert_allclose(panel[code, fold], expected[rows, rows.start :], atol=1e-10)


def test_sample_space_discriminant_equals_feature_space() -> None:
    rng = np.random.default_rng(5)
    x, codes = rng.normal(size=(1, 40, 90)), np.arange(40) % 2
    x[:, codes == 1] += 0.3
    test = np.arange(40)[None] // 8 == np.arange(5)[:, None]
    for shrinkage in (None, 0.2):
        weights, offsets = _lda.fit(x, _moments.plan(codes, ~test), shrinkage)
        wins = pairs = 0.0
        for fold, rows in enumerate(test):
            decision = x[0, rows] @ weights[0, fold, 0] + offsets[0, fold, 0]
            low, high = decision[codes[rows] == 0], decision[codes[rows] == 1]
            wins, pairs = wins + (high[:, None] > low).sum(), pairs + low.size * high.size
        assert _pairs.aucs(x, codes, ~test, test, shrinkage)[0, 0, 1] == pytest.approx(
            wins / pairs, abs=1e-12
        )


def test_over_puts_the_outer_dimension_last_and_keeps_laziness() -> None:
    trace = xr.DataArray(
        np.arange(84.0).reshape(2, 42), dims=("neuroid", "time"), coords={"time": np.arange(42)}
    )
    doubled = over(lambda block: 2 * block[:, ::-1], trace, ["neuroid"], {"feature": 2})
    assert doubled.dims == ("feature", "time")
    np.testing.assert_array_equal(doubled.values, 2 * trace.values[::-1])
    lazy = over(lambda block: 2 * block[:, ::-1], trace.chunk({"time": 5}), ["neuroid"], {"feature": 2})
    assert lazy.chunks is not None


def test_interval_across_units_equals_its_definition_and_covers() -> None:
    from scipy import stats

    rng = np.random.default_rng(6)
    values = rng.normal(size=(16, 400))
    result = xr.Dataset(
        {"auc": (("subject", "time"), values, {"units": "1"})}, {"time": np.arange(400) * 1e-3}
    )
    found = across(result.assign_attrs(chance=0.0))
    low, high = stats.t.interval(0.95, 15, values.mean(0), stats.sem(values, axis=0))
    np.testing.assert_allclose(found["auc_low"], low, atol=1e-12)
    np.testing.assert_allclose(found["auc_high"], high, atol=1e-12)
    assert 0.9 < float(((found["auc_low"] < 0) & (found["auc_high"] > 0)).mean()) < 0.99
    (axes,) = plot(found).axes
    assert axes.get_ylabel() == "AUC"
    square = xr.Dataset({"auc": (("subject", "time", "test_time"), rng.normal(size=(4, 3, 3)))})
    square = square.assign_coords(time=[0.0, 0.1, 0.2], test_time=[0.0, 0.1, 0.2]).assign_attrs(chance=0.0)
    assert plot(across(square)).axes[0].get_ylabel() == "training time (s)"
    with pytest.raises(ValueError, match="at least 2 are needed"):
        across(result.isel(subject=[0]))
