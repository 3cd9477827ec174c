"""Spectral penalties: NumPy's value, finite differences, precision, and a network that reaches its target."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from analyses import _spectrum_kernels as kernels
from pipeline.regularizers import spectrum

WINDOW = {"low": 2, "high": 7}


def features(count=40, width=9, seed=0, alpha=0.0, dtype=torch.float64):
    made = np.random.default_rng(seed).normal(size=(count, width))
    return torch.from_numpy(made * np.arange(1, width + 1) ** (-alpha / 2)).to(dtype)


@pytest.mark.parametrize("shape", [(300, 60), (55, 90), (300, 2, 5, 6)])
def test_torch_is_numpy(shape):
    given = torch.from_numpy(np.random.default_rng(0).normal(size=shape) ** 3)
    flat = given.flatten(1).numpy()
    values = kernels.eigenvalues(flat)
    assert abs(spectrum.penalty(given, alpha=0.3).item() - abs(kernels.exponent(values) - 0.3)) < 1e-10
    assert abs(spectrum.nassar(given, alpha=1.0).item() - kernels.excess(values, 1.0, 11)) < 1e-10
    assert np.allclose(kernels.eigenvalues(given.flatten(1)), values, atol=1e-10)


@pytest.mark.parametrize("shape", [(40, 9), (9, 20)])
def test_gradients_are_finite_differences(shape):
    given = features(*shape).requires_grad_()
    assert torch.autograd.gradcheck(functools.partial(spectrum.penalty, alpha=1.0, **WINDOW), given)
    assert torch.autograd.gradcheck(functools.partial(spectrum.penalty, alpha=-9.0, **WINDOW), given)


def test_nassar_gradient_is_finite_differences_with_its_law_held():
    given, alpha, tau = features(40, 9), 1.0, 3
    fixed = torch.linalg.eigh(features(9, 9, 3))[1]

    def shares(x):
        centred = x - x.mean(0)
        found = (centred @ fixed).square().sum(0).sort(descending=True).values
        return found / centred.square().sum()

    law = shares(given)[tau - 1] * (tau / torch.arange(tau + 1.0, 10.0)) ** alpha

    def value(x):
        off = shares(x)[tau:] / law - 1
        return ((off**2 + off.clamp_min(0)).sum() / 9).item()

    moved = given.clone().requires_grad_()
    found = spectrum.nassar(moved, alpha=alpha, tau=tau, vectors=fixed)
    assert np.isclose(found.item(), value(given))
    slope = torch.autograd.grad(found, moved)[0]
    for seed in range(5):
        way = 1e-6 * features(40, 9, 10 + seed)
        rise = (value(given + way) - value(given - way)) / 2
        assert np.isclose(rise, (slope * way).sum().item(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(40, 9), (9, 20)])
def test_gradient_is_that_of_the_plain_kernel(shape):
    given = features(*shape).requires_grad_()
    ours = torch.autograd.grad(spectrum.exponent(given, 2, 7), given)[0]
    plain = torch.autograd.grad(kernels.exponent(kernels.eigenvalues(given), 2, 7), given)[0]
    assert torch.allclose(ours, plain, atol=1e-12)
    ours = torch.autograd.grad(spectrum.nassar(given, alpha=1.0, tau=3), given)[0]
    plain = torch.autograd.grad(kernels.excess(kernels.eigenvalues(given), 1.0, 3), given)[0]
    assert torch.allclose(ours, plain, atol=1e-12)


def test_equal_eigenvalues_leave_the_gradient_finite():
    square = torch.linalg.qr(features(40, 9) - features(40, 9).mean(0))[0].requires_grad_()
    slope = torch.autograd.grad(spectrum.exponent(square, 2, 7), square)[0]
    assert torch.isfinite(slope).all()
    still = torch.ones(40, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(spectrum.exponent(still, 2, 7), still)[0].abs().max() == 0


@pytest.mark.parametrize("alpha", [1.0, 3.0, 4.0])
def test_single_precision_is_enough_where_it_is_used(alpha):
    given = features(400, 128, alpha=alpha)
    whole, single = (spectrum.exponent(part).item() for part in (given, given.float()))
    assert abs(whole - single) < 1e-3


def test_steeper_and_flatter_targets_pull_apart():
    given = features(400, 60, alpha=1.5)
    for alpha, sign in ((0.5, -1), (3.0, 1)):
        moved = given.clone().requires_grad_()
        before = spectrum.exponent(moved).item()
        slope = torch.autograd.grad(spectrum.penalty(moved, alpha=alpha), moved)[0]
        after = spectrum.exponent(given - 1e-3 * slope / slope.abs().max()).item()
        assert sign * (after - before) > 0


def test_a_layer_reaches_its_target():
    torch.manual_seed(0)
    x = torch.randn(512, 40)
    layer = torch.nn.Sequential(torch.nn.Linear(40, 64), torch.nn.Tanh())
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        spectrum.penalty(layer(x), alpha=2.0).backward()
        optimizer.step()
    assert abs(spectrum.exponent(layer(x)).item() - 2) < 0.1


@pytest.mark.parametrize(
    ("shape", "why"), [((40,), "features"), ((40, 49), "high: rank 50 of"), ((50, 60), "high: rank 50 of")]
)
def test_f77_too_few_rows_or_units_are_refused_with_their_shape(shape, why):
    with pytest.raises(ValueError, match=why):
        spectrum.penalty(torch.zeros(shape), alpha=1.0)


def test_f77_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="features: hold what is no number"):
        spectrum.penalty(torch.full((60, 60), torch.nan), alpha=1.0)
    with pytest.raises(ValueError, match=r"vectors: \(3, 3\) for 60 units"):
        spectrum.nassar(torch.ones(60, 60), alpha=1.0, vectors=np.eye(3))
    with pytest.raises(ValueError, match="tau: 0"):
        spectrum.nassar(torch.ones(60, 60), alpha=1.0, tau=0)
    with pytest.raises(ValueError, match="low: 9"):
        spectrum.penalty(torch.ones(60, 60), alpha=1.0, low=9, high=8)
