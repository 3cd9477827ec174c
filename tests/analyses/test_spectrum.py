"""Exponents of spectra: exact power laws, laws, the window, and what few rows do."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import _spectrum_kernels as kernels
from analyses import geometry, spectrum
from loaders import schema


def exact(alpha, count=300, width=60, seed=0):
    """Patterns whose sample covariance has the eigenvalues n^-alpha to rounding."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(count, width))
    left = np.linalg.qr(raw - raw.mean(0))[0]
    right = np.linalg.qr(rng.normal(size=(width, width)))[0]
    return (left * np.arange(1, width + 1) ** (-alpha / 2)) @ right.T


def drawn(alpha, count, width=60, seed=0):
    """Rows of a normal law whose covariance has the eigenvalues n^-alpha."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, width)) * np.arange(1, width + 1) ** (-alpha / 2)


def recording(patterns):
    dims = ("presentation", "neuroid", "time")[: patterns.ndim]
    coords = {
        "stimulus_id": ("presentation", np.arange(len(patterns)).astype(str)),
        "neuroid_id": ("neuroid", np.arange(patterns.shape[1]).astype(str)),
    }
    return xr.Dataset({"response": (dims, patterns, {"units": "1"})}, coords)


def measured(patterns, **numbers):
    return spectrum.exponent(recording(patterns), **{"tolerance": np.inf, **numbers})


@pytest.mark.parametrize("alpha", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("count", [300, 61])
def test_exact_power_laws_are_read_back(alpha, count):
    values = kernels.eigenvalues(exact(alpha, count))
    ranks = np.arange(1, 61) ** -alpha
    assert np.allclose(values, ranks / ranks.sum(), rtol=1e-9)
    assert abs(kernels.exponent(values) - alpha) < 1e-4  # what the floor of 1e-8 takes


def test_floor_and_line_are_those_of_polyfit():
    values = np.sort(np.random.default_rng(0).random(70) ** 8)[::-1]
    values = values / values.sum()
    line = np.polyfit(np.log(np.arange(6, 51)), np.log(values[5:50] + 1e-8), 1)
    assert np.isclose(kernels.exponent(values), -line[0], rtol=1e-12)
    line = np.polyfit(np.log(np.arange(2, 31)), np.log(values[1:30] + 1e-8), 1)
    assert np.isclose(kernels.exponent(values, 2, 30), -line[0], rtol=1e-12)


def test_both_sides_of_the_product_have_one_spectrum():
    patterns = np.random.default_rng(0).normal(size=(40, 70)) + 5
    about = patterns - patterns.mean(0)
    truth = np.linalg.eigvalsh(about.T @ about)[::-1][:40] / (about**2).sum()
    assert np.allclose(kernels.eigenvalues(patterns), truth, atol=1e-12)
    assert kernels.eigenvalues(patterns.T).shape == (40,)


def test_scale_shift_and_rotation_change_nothing():
    patterns = drawn(1.2, 200)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))[0]
    values = [measured(some).alpha.item() for some in (patterns, 7 * patterns + 3, patterns @ turn)]
    assert np.allclose(values, values[0], atol=1e-9)


def test_a_spectrum_of_nothing_is_flat():
    assert abs(kernels.exponent(kernels.eigenvalues(np.ones((80, 60))))) < 1e-12


def test_excess_is_the_published_sum():
    values = np.sort(np.random.default_rng(0).random(30))[::-1]
    alpha, start = 1.3, 10  # zero-based, as published
    gamma = values[start] * (start + 1) ** alpha * (np.arange(30) + 1.0) ** -alpha
    off = values[start + 1 :] / gamma[start + 1 :] - 1
    assert np.isclose(kernels.excess(values, alpha, start + 1), (off**2 + np.maximum(off, 0)).sum() / 30)
    law = np.arange(1, 31) ** -alpha
    assert kernels.excess(law, alpha, 11) < 1e-15


def test_labelled_is_the_kernel_at_every_time_and_in_every_layer():
    patterns = np.stack([drawn(1, 150), drawn(2, 150)], axis=-1)
    found = schema.check(measured(patterns))
    for time in range(2):
        values = kernels.eigenvalues(patterns[..., time])
        assert np.allclose(found.eigenvalue[:, time], values)
        assert np.isclose(found.alpha[time], kernels.exponent(values))
    layered = recording(np.hstack([drawn(1, 150), drawn(2, 150, 55)]))
    layered = layered.assign_coords(layer=("neuroid", ["a"] * 60 + ["b"] * 55))
    each = geometry.by_layer(layered, lambda some: spectrum.exponent(some, tolerance=np.inf))
    assert each.alpha.sizes == {"layer": 2, "time": 1}
    assert spectrum.plot(each).axes
    assert spectrum.plot(found).axes[0].get_xscale() == "log"


def test_repeats_are_averaged():
    patterns = drawn(1.5, 120)
    twice = recording(np.concatenate([patterns + 0.5, patterns - 0.5]))
    twice = twice.assign_coords(stimulus_id=("presentation", np.tile(np.arange(120).astype(str), 2)))
    found = spectrum.exponent(twice, average="stimulus_id", tolerance=np.inf)
    assert np.isclose(found.alpha, kernels.exponent(kernels.eigenvalues(patterns)))
    assert found.attrs["rows"] == 120


def test_the_interval_holds_what_other_rows_give():
    """95 % of intervals hold the exponent that as many rows give on average."""
    found = [measured(drawn(1, 400, 55, seed), groups=20) for seed in range(60)]
    centre = np.mean([one.alpha.item() for one in found])
    held = [one.alpha_low.item() <= centre <= one.alpha_high.item() for one in found]
    assert np.mean(held) > 0.85


def test_v25_few_rows_are_told_of():
    with pytest.warns(UserWarning, match="alpha: .* of 130 rows is .* of half of them"):
        found = spectrum.exponent(recording(drawn(1, 130)))
    assert found.alpha_half > found.alpha + 0.1  # fewer rows, steeper
    assert spectrum.exponent(recording(drawn(1, 40_000))).alpha_half.size  # nothing to tell


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"low": 0}, "low: 0"), ({"low": 50}, "low: 50"), ({"high": 61}, "high: 61"),
        ({"groups": 1}, "groups"), ({"confidence": 1.0}, "confidence"),
    ],
)  # fmt: skip
def test_f77_impossible_ranks_and_numbers_are_refused(numbers, why):
    with pytest.raises(ValueError, match=why):
        measured(drawn(1, 300), **numbers)
