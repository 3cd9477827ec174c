"""Square attack and random search: optima known in closed form, what is proposed, and torchattacks."""

from __future__ import annotations

import functools

import pytest
import torch
from searched import linear, pictures, toy, trained

from pipeline.attacks import _rows, _sets, _windows, classify, respond, square


def test_v25_single_pixels_reach_the_worst_case_of_a_linear_response():
    x = 0.4 + 0.2 * pictures(4, 4, 1).double()
    net = linear(classes=3)
    objective = respond.drive(net, x, neuroid=1)
    worst = objective(x) + 0.1 * net[1].weight[1].abs().sum()
    found = square.square(objective, x, 0.1, queries=600, horizon=300)
    torch.testing.assert_close(objective(found), worst)


def test_random_steps_come_near_the_worst_case_of_a_linear_response():
    x = 0.4 + 0.2 * pictures(4, 4, 1).double()
    net = linear(classes=3)
    objective = respond.drive(net, x, neuroid=1)
    clean, weight = objective(x), net[1].weight[1]
    for norm, gain in (("linf", weight.abs().sum()), ("l2", weight.norm()), ("l1", weight.abs().max())):
        found = square.random(objective, x, 0.1, norm=norm, queries=800)
        assert bool((objective(found) - clean <= 0.1 * gain * (1 + 1e-6)).all())
        assert bool(
            (objective(found) - clean >= 0.1 * gain * {"linf": 0.7, "l2": 0.9, "l1": 0.5}[norm]).all()
        )


def test_windows_shrink_by_half_as_often_as_published():
    sides = [_windows.side(k, area=0.8, horizon=10_000, shape=(100, 100)) for k in (0, 10, 11, 51, 201, 8001)]
    assert sides == [round((8000 / 2**k) ** 0.5) for k in (0, 0, 1, 2, 3, 9)]
    assert _windows.side(0, area=1, horizon=5, shape=(3, 9)) == 3


@pytest.mark.parametrize("size", [1, 2, 4, 7, 12])
def test_a_window_of_another_energy_keeps_the_norm(size):
    x = torch.full((5, 3, size, size), 0.5, dtype=torch.float64)
    budget = _sets.wide(0.3, x)
    best = _windows.tiles(x, budget, _rows.streams(x, 0))
    torch.testing.assert_close(_sets.size(best - x, "l2"), budget.flatten())
    side = functools.partial(_windows.side, area=0.5, horizon=40, shape=x.shape[-2:])
    drawn = _rows.drawn(_rows.streams(x, 1), x.new_empty(5, 8))
    moved = _windows.energy(best, x, budget, drawn, 3, side=side)
    torch.testing.assert_close(_sets.size(moved - x, "l2"), budget.flatten())


def test_no_query_is_spent_on_the_picture_as_it_is():
    x = pictures(50, 6, 1)
    budget = _sets.wide(0.1, x)
    best = _windows.stripes(x, budget, _rows.streams(x, 0))
    drawn = _rows.drawn(_rows.streams(x, 1), x.new_empty(50, 3))
    moved = _windows.flat(best, x, budget, drawn, 0, side=lambda query: 1)
    assert bool((moved != best).flatten(1).any(1).all())
    assert bool(((moved != best).flatten(1).sum(1) == 1).all())


def test_a_broken_picture_is_left_where_that_is_asked():
    net, x, label = trained(16)
    objective = classify.margin(net, x, label=label)
    counts = torch.zeros(2, 16, dtype=torch.int64)
    found = []
    for drop, count in zip((True, False), counts, strict=True):
        told = _rows.Fixed(objective, 0, count)
        found.append(_rows.look(objective, square.square(told, x, 0.2, queries=60, drop=drop))[1])
    assert torch.equal(*found)
    assert bool(found[0].any())
    assert bool((counts[1] == 60).all())
    assert bool((counts[0] < 60)[found[0]].any())
    assert bool((counts[0] == 60)[~found[0]].all())


@pytest.mark.parametrize(
    ("search", "told"),
    [
        (square.square, {"norm": "l1"}), (square.square, {"queries": 0}), (square.square, {"restarts": 0}),
        (square.square, {"area": 0.0}), (square.random, {"step": 0.0}), (square.random, {"norm": "l0"}),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(search, told):
    x = pictures(2)
    with pytest.raises(ValueError, match=next(iter(told))):
        search(classify.margin(toy(), x), x, 0.1, **told)


@pytest.mark.parametrize(("norm", "name", "epsilon"), [("linf", "Linf", 0.08), ("l2", "L2", 1.3)])
def test_as_many_are_broken_as_by_torchattacks_with_as_many_queries(norm, name, epsilon):
    torchattacks = pytest.importorskip("torchattacks")
    net, x, label = trained()
    objective = classify.margin(net, x, label=label)
    ours, theirs = [], []
    for seed in range(2):
        found = square.square(objective, x, epsilon, norm=norm, queries=100, drop=True, seed=seed)
        ours.append(_rows.look(objective, found)[1].float().mean())
        attack = torchattacks.Square(net, norm=name, eps=epsilon, n_queries=98, seed=seed)
        with torch.random.fork_rng(devices=[]):
            theirs.append(_rows.look(objective, attack(x, label))[1].float().mean())
    chance = 0.05  # of 128 pictures: about one standard error of the difference
    assert float(sum(ours)) / 2 >= float(sum(theirs)) / 2 - chance
    assert 0.05 < float(sum(ours)) / 2 < 0.95
