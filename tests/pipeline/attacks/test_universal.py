"""One pattern for all pictures: its optimum where that is known, and that it is one."""

from __future__ import annotations

import pytest
import torch
from searched import linear, pictures, toy, trained

from pipeline.attacks import classify, noise, pgd, respond, universal
from pipeline.attacks._rows import look


@pytest.mark.parametrize(("norm", "order"), [("linf", 1), ("l2", 2), ("l1", float("inf"))])
def test_v25_the_optimum_of_a_linear_response_is_reached(norm, order):
    x = 0.45 + 0.1 * pictures(5, 4, 1).double()
    net = linear(classes=3)
    objective = respond.drive(net, x, neuroid=1)
    budget = torch.linspace(0.05, 0.2, 5, dtype=torch.float64)
    found = universal.universal(objective, x, budget, norm=norm, steps=200, step=0.05)
    gain = objective(found) - objective(x)
    best = budget * net[1].weight[1].norm(order)
    assert bool((gain <= best * (1 + 1e-6)).all())
    assert bool((gain >= best * (0.9 if norm == "l1" else 0.99)).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_pattern_is_one_and_the_same(norm):
    x = 0.3 + 0.4 * pictures()
    budget = torch.linspace(0.02, 0.2, 6)
    found = universal.universal(classify.margin(toy(), x), x, budget, norm=norm, steps=5)
    pattern = (found - x) / budget[:, None, None, None]
    torch.testing.assert_close(pattern, pattern[:1].expand_as(pattern), atol=1e-5, rtol=1e-5)
    assert universal.universal.together


def test_it_breaks_more_than_noise_and_less_than_a_pattern_each():
    net, x, label = trained()
    objective = classify.margin(net, x, label=label)
    share = [
        float(look(objective, found)[1].float().mean())
        for found in (
            noise.noise(objective, x, 0.15, norm="linf"),
            universal.universal(objective, x, 0.15, steps=20),
            pgd.pgd(objective, x, 0.15, steps=20),
        )
    ]
    assert share[0] + 0.2 < share[1] < share[2]


def test_more_steps_and_starts_never_break_fewer():
    net, x, label = trained(16)
    objective = classify.margin(net, x, label=label)

    def score(**told):
        value, broken = look(objective, universal.universal(objective, x, 0.1, **told))
        return int(broken.sum()), float(value.mean())

    few = score(steps=3)
    assert score(steps=8) >= few
    assert score(steps=3, restarts=3) >= few


def test_pictures_without_budget_have_no_say():
    x = pictures()
    objective = classify.margin(toy(), x)
    budget = torch.tensor([0.1, 0, 0.1, 0, 0, 0.1])
    found = universal.universal(objective, x, budget, steps=4)
    rows = torch.tensor([0, 2, 5])
    alone = universal.universal(classify.margin(toy(), x[rows]), x[rows], 0.1, steps=4)
    torch.testing.assert_close(found[rows], alone)
