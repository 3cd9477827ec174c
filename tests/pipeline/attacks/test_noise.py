"""Noise: exactly as large as it is said to be, and blind to what it does."""

from __future__ import annotations

import pytest
import torch
from searched import pictures, toy

from pipeline.attacks import _sets, classify, noise, respond


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("kind", noise.KINDS)
def test_the_norm_after_clipping_is_epsilon(norm, kind):
    x = pictures(8)
    x[0], x[1], x[2, :, :4] = 0, 1, 1
    budget = torch.linspace(0.1, 1, 8) * {"linf": 0.4, "l2": 4, "l1": 30}[norm]
    moved = noise.noise(classify.margin(toy(), x), x, budget, norm=norm, kind=kind)
    size = _sets.size(moved.double() - x.double(), norm)
    torch.testing.assert_close(size, budget.double(), rtol=1e-6, atol=1e-6)
    assert bool((size <= budget * (1 + 1e-6)).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_where_there_is_no_room_it_goes_as_far_as_it_can(norm):
    x = pictures(4)
    moved = noise.noise(classify.margin(toy(), x), x, 1.0 if norm == "linf" else 500.0, norm=norm)
    assert bool(((moved == 0) | (moved == 1) | (moved == x)).all())
    assert float((moved != x).float().mean()) > 0.99


def test_one_draw_asks_nothing_of_the_network():
    x = pictures()

    def never(*given):
        raise AssertionError

    moved = noise.noise(never, x, 0.1)
    assert torch.equal(moved, noise.noise(classify.margin(toy(), x), x, 0.1))
    assert bool(((moved - x).abs() <= 0.1 + 1e-6).all())


def test_the_best_of_many_draws_is_the_best_and_never_the_clean_picture():
    x = pictures(32)
    objective = respond.drive(toy(), x, neuroid=0)
    value = [objective(noise.noise(objective, x, 1.0, norm="l2", draws=k)) for k in (1, 4, 16)]
    assert bool((value[1] >= value[0]).all())
    assert bool((value[2] >= value[1]).all())
    assert float((value[2] > value[0]).float().mean()) > 0.7
    still = objective._replace(number=lambda outputs, rows: 0 * outputs[:, 0])
    assert not torch.equal(noise.noise(still, x, 1.0, norm="l2", draws=3), x)


def test_its_mean_effect_on_a_linear_response_is_none():
    x = 0.5 * torch.ones(2000, 1, 4, 4) + 1e-3 * pictures(2000, 4, 1)
    weight = torch.randn(16, generator=torch.Generator().manual_seed(1))
    for kind in noise.KINDS:
        moved = noise.noise(lambda pictures, rows=None: pictures.sum((1, 2, 3)), x, 0.3, norm="l2", kind=kind)
        effect = (moved - x).flatten(1) @ weight
        assert abs(float(effect.mean())) < 4 * float(effect.std()) / 2000**0.5
        assert float(effect.std()) == pytest.approx(0.3 * float(weight.norm()) / 4, rel=0.1)


@pytest.mark.parametrize("told", [{"norm": "l0"}, {"norm": "l3"}, {"kind": "pink"}, {"draws": 0}])
def test_numbers_out_of_range_are_refused(told):
    x = pictures(2)
    with pytest.raises(ValueError, match=next(iter(told))):
        noise.noise(classify.margin(toy(), x), x, 0.1, **told)
