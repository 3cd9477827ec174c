"""Simulated sites: positive rates, drawn by seed alone, and kept as a Dataset."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from pipeline.models import _weights, cnn, teacher

CORE = partial(cnn.build, width=4)


def built(**numbers: object) -> torch.nn.Module:
    told = {"core": CORE, "layer": "conv3", "units": 64, "neuroids": 7} | numbers
    return teacher.build(**told).eval()


@pytest.mark.parametrize("kind", teacher.KINDS)
def test_rates_are_not_negative_and_differ_between_sites(kind: str) -> None:
    rates = built(kind=kind)(torch.rand(5, 3, 16, 16))
    assert rates.shape == (5, 7)
    assert (rates >= 0).all()
    assert len(torch.unique(rates[0])) > 3


def test_rate_scales_the_counts() -> None:
    x = torch.rand(5, 3, 16, 16)
    torch.testing.assert_close(built(rate=10.0)(x), 2 * built(rate=5.0)(x))


def test_a_seed_draws_the_same_sites_and_another_others() -> None:
    first, again, other = built(seed=1), built(seed=1), built(seed=2)
    assert torch.equal(first.sites.place, again.sites.place)
    assert torch.equal(first.sites.weight, again.sites.weight)
    assert not torch.equal(first.sites.place, other.sites.place)


def test_weights_go_through_a_dataset() -> None:
    made, empty = built(seed=3), built(seed=4)
    _weights.load(empty, _weights.to_dataset(made))
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(made(x), empty(x))


def test_units_as_sites_are_units() -> None:
    made = built(kind="unit", rate=1.0)
    x = torch.rand(3, 3, 16, 16)
    units = made.core(x).flatten(1)[:, made.sites.place[:, 0]]
    torch.testing.assert_close(made(x), units)


@pytest.mark.parametrize("numbers", [{"kind": "other"}, {"rate": 0.0}, {"neuroids": 0}])
def test_numbers_out_of_range_are_named(numbers: dict) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(numbers))}:"):
        built(**numbers)


def test_no_more_units_than_there_are() -> None:
    with pytest.raises(ValueError, match=r"^neuroids: 65 of 64 units"):
        built(kind="unit", neuroids=65)
