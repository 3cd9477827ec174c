"""Transfer: whose numbers and whose gradients are used, and who is asked how often."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from searched import pictures, toy

from pipeline.attacks import classify, minimal, pgd, respond, transfer
from pipeline.attacks._rows import Fixed, climb, look


def test_numbers_are_the_targets_and_gradients_the_surrogates():
    x = pictures()
    both = transfer.through(toy(), x, surrogate=toy(seed=1), objective=classify.margin)
    label = toy()(x).argmax(1)
    own = classify.margin(toy(), x)
    other = classify.margin(toy(seed=1), x, label=label)
    value, broken, slope = climb(both, x)
    torch.testing.assert_close(value, own(x))
    assert torch.equal(broken, look(own, x)[1])
    torch.testing.assert_close(slope, climb(other, x)[2])
    assert not torch.allclose(slope, climb(own, x)[2])
    torch.testing.assert_close(both(x[2:4], torch.tensor([2, 3])), own(x)[2:4])


def test_the_network_itself_is_the_best_surrogate():
    x = pictures(32)
    search = partial(pgd.pgd, steps=10)
    clean = classify.margin(toy(), x)
    white = clean(search(clean, x, 0.1)).mean()
    same = transfer.through(toy(), x, surrogate=toy(), objective=classify.margin)
    torch.testing.assert_close(search(same, x, 0.1), search(clean, x, 0.1))
    other = transfer.through(toy(), x, surrogate=lambda: toy(seed=1), objective=classify.margin)
    judged = clean(search(other, x, 0.1)).mean()
    blind = clean(transfer.blind(other, x, 0.1, search=search)).mean()
    assert float(white) > float(judged) > float(blind)
    assert float(judged) > float(clean(x).mean())


def test_a_blind_search_never_asks_the_target():
    x = pictures()
    asked = []

    class Watched(torch.nn.Module):
        def forward(self, x):
            asked.append(len(x))
            return toy()(x)

    objective = transfer.through(Watched(), x, surrogate=toy(seed=1), objective=classify.margin)
    asked.clear()
    forwards = torch.zeros(6, dtype=torch.int64)
    found = transfer.blind(Fixed(objective, 4, forwards), x, 0.1)
    assert asked == []
    assert not forwards.any()
    label = toy()(x).argmax(1)
    alone = pgd.pgd(classify.margin(toy(seed=1), x, label=label), x, 0.1)
    assert torch.equal(found, alone)


def test_a_response_and_its_two_sides_transfer():
    x = pictures()
    objective = transfer.through(toy(), x, surrogate=toy(seed=1), objective=respond.displace, neuroid=1)
    moved = pgd.pgd(objective, x, 0.1, steps=5)
    assert len(objective.sides) == 2
    assert bool((objective(moved) >= 0).all())
    assert float(objective(moved).mean()) > 0


def test_the_smallest_perturbation_transfers_on_its_own_number_alone():
    x = pictures()
    objective = transfer.through(toy(), x, surrogate=toy(), objective=classify.margin)
    own = classify.margin(toy(), x)
    found = minimal.deepfool(objective, x, 9.0, rivals=0)
    torch.testing.assert_close(found, minimal.deepfool(own, x, 9.0, rivals=0))
    with pytest.raises(ValueError, match="rivals: the objective has no network of its own; give rivals=0"):
        minimal.deepfool(objective, x, 9.0)


def test_an_objective_without_surrogate_is_refused():
    x = pictures(2)
    with pytest.raises(ValueError, match="objective: has no surrogate"):
        transfer.blind(classify.margin(toy(), x), x, 0.1)
