"""The set that a perturbed picture stays in: projections against their definition, samples against theirs."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from pipeline.attacks import _sets
from pipeline.attacks._rows import drawn, streams

BUDGETS = {"linf": 0.1, "l2": 1.0, "l1": 5.0, "l0": 7}


def pictures(count=5, size=8, seed=0, dtype=torch.float32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def moved(x, spread, seed=1):
    return x + spread * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)


@pytest.mark.parametrize("spread", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("norm", _sets.NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_projection_is_in_the_ball_and_in_the_box(norm, spread, dtype):
    x = pictures(dtype=dtype)
    budget = _sets.wide(BUDGETS[norm], x)
    found = _sets.project(moved(x, spread), x, budget, norm)
    size = _sets.size(found.double() - x.double(), norm)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    ulp = {torch.float32: 6e-8, torch.float64: 2e-16}[dtype]
    assert float(size.max()) <= BUDGETS[norm] * (1 + 8 * ulp) + ulp * (x[0].numel() if norm == "l1" else 1)


@pytest.mark.parametrize("norm", _sets.NORMS)
def test_a_projection_leaves_what_is_inside(norm):
    x = pictures(dtype=torch.float64)
    near = _sets.sample(x, _sets.wide(BUDGETS[norm], x) / (1 if norm == "l0" else 2), norm, streams(x, 0))
    again = _sets.project(near, x, _sets.wide(BUDGETS[norm], x), norm)
    assert torch.allclose(again, near, atol=1e-12)


@pytest.mark.parametrize("norm", _sets.NORMS)
def test_epsilon_zero_gives_the_picture_bit_for_bit(norm):
    x = pictures()
    x[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    budget = _sets.wide(torch.tensor([0.0, 1, 0, 1, 0]), x)
    found = _sets.project(moved(x, 1), x, budget, norm)
    assert torch.equal(found[::2], x[::2])
    assert not torch.equal(found[1::2], x[1::2])
    assert torch.equal(_sets.sample(x, budget, norm, streams(x, 0))[::2], x[::2])


def test_the_l1_projection_is_the_nearest_point_of_ball_and_box():
    for seed in range(20):
        x = pictures(4, 3, seed, torch.float64)
        far, budget = moved(x, 0.2 + seed / 5, seed), torch.rand(4, dtype=torch.float64) * 4
        found = _sets.project(far, x, _sets.wide(budget, x), "l1")
        low, high = torch.zeros(4, 1, 1, 1, dtype=torch.float64), torch.full((4, 1, 1, 1), 50.0).double()

        def shrunk(lost, x=x, far=far):
            return (x + (far - x).sign() * ((far - x).abs() - lost).clamp_min(0)).clamp(0, 1)

        for _ in range(100):
            middle = (low + high) / 2
            over = (_sets.size(shrunk(middle) - x, "l1") > budget)[:, None, None, None]
            low, high = torch.where(over, middle, low), torch.where(over, high, middle)
        inside = (_sets.size(shrunk(0 * low) - x, "l1") <= budget)[:, None, None, None]
        assert torch.allclose(found, torch.where(inside, shrunk(0 * low), shrunk(high)), atol=1e-10)


def test_the_l0_projection_keeps_the_pixels_that_change_most():
    x = torch.full((1, 2, 2, 2), 0.5)
    far = x + torch.tensor([[[0.1, 0.0], [0.3, 0.2]], [[0.1, 0.25], [0.0, 0.0]]])
    found = _sets.project(far, x, _sets.wide(2, x), "l0")
    assert (found - x)[0, :, 1, 0].tolist() == pytest.approx([0.3, 0])
    assert (found - x)[0, :, 0, 1].tolist() == pytest.approx([0, 0.25])
    assert int((found != x).any(1).sum()) == 2


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("l1", 1)])
def test_samples_fill_the_ball_evenly(norm, order):
    x = torch.full((4000, 1, 1, 3), 0.5, dtype=torch.float64)
    x += torch.arange(4000)[:, None, None, None] * 1e-9  # pictures that differ, so that their streams do
    found = (_sets.sample(x, _sets.wide(0.4, x), norm, streams(x, 3)) - x).flatten(1)
    radius = torch.linalg.vector_norm(found, order, dim=1) / 0.4
    assert float(radius.max()) <= 1 + 1e-9
    assert stats.kstest(radius.numpy() ** 3, "uniform").pvalue > 0.01
    side = found[:, 0] / torch.linalg.vector_norm(found, order, dim=1)
    expected = stats.uniform(-1, 2) if norm == "l2" else None  # Archimedes: a coordinate on the sphere
    if expected is not None:
        assert stats.kstest(side.numpy(), expected.cdf).pvalue > 0.01
    else:  # on the face of an octahedron the first of three sizes is Beta(1, 2)
        assert stats.kstest(side.abs().numpy(), stats.beta(1, 2).cdf).pvalue > 0.01
    assert abs(float(found.mean())) < 0.01


def test_samples_of_linf_and_l0():
    x = pictures(20, 16)
    cube = _sets.sample(x, _sets.wide(0.01, x), "linf", streams(x, 0)) - x
    inner = cube[(x > 0.02) & (x < 0.98)]
    assert stats.kstest((inner / 0.01).numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.001
    few = _sets.sample(x, _sets.wide(7, x), "l0", streams(x, 0))
    assert (_sets.size(few - x, "l0") == 7).all()


def test_a_row_is_drawn_whatever_its_batch():
    x = pictures(6)
    for norm, budget in BUDGETS.items():
        whole = _sets.sample(x, _sets.wide(budget, x), norm, streams(x, 5))
        some = _sets.sample(x[[4, 1]], _sets.wide(budget, x[:2]), norm, streams(x[[4, 1]], 5))
        assert torch.allclose(some, whole[[4, 1]], atol=1e-7)
    one, other = (drawn(streams(x, seed), x) for seed in (0, 1))
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize("norm", _sets.NORMS)
def test_f72_pictures_of_8_bits_stay_in_the_ball(norm):
    x = (pictures() * 255).round() / 255
    budget = _sets.wide(BUDGETS[norm], x)
    found = _sets.eight(_sets.project(moved(x, 0.05), x, budget, norm), x, budget, norm)
    stored = (found * 255).round().to(torch.uint8)
    again = stored.float() / 255
    assert torch.equal(again, found)
    assert float(_sets.size(again.double() - x.double(), norm).max()) <= BUDGETS[norm] * (1 + 1e-6) + 1e-6
    assert not torch.equal(found, x)
    none = _sets.wide(0, x)
    assert torch.equal(_sets.eight(x, x, none, norm), x)


def test_8_bits_use_the_budget_that_is_there():
    x = torch.full((1, 1, 10, 10), 100 / 255)
    found = _sets.eight(x + 0.05 / 10, x, _sets.wide(0.05, x), "l2")
    assert float(_sets.size(found - x, "l2")) > 0.045


def test_pictures_that_are_not_of_8_bits_are_refused():
    x = pictures(3)
    x[:2] = (x[:2] * 255).round() / 255
    with pytest.raises(ValueError, match=r"^image: number 2 is not of 8 bits; round the stimuli first"):
        _sets.eight(x, x, _sets.wide(0.1, x), "linf")


@pytest.mark.parametrize(("epsilon", "word"), [(-0.1, "-0.1"), (float("nan"), "nan"), (float("inf"), "inf")])
def test_f71_a_budget_that_is_none_is_refused(epsilon, word):
    x = pictures(3)
    with pytest.raises(ValueError, match=rf"^epsilon: is {word}.* at image 0; wanted a number from 0 up"):
        _sets.wide(epsilon, x)
    with pytest.raises(ValueError, match="at image 2"):
        _sets.wide(torch.tensor([0.1, 0.1, epsilon]), x)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match=r"^norm: 'linff'; did you mean 'linf'\?"):
        _sets.known("linff")
