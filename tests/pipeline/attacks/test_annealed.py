"""The annealed search: the analytic optimum, both signs, and more work that is never weaker."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from pipeline.attacks import _sets, annealed, pgd, respond
from pipeline.attacks._rows import look


def linear(seed: int = 0, neuroids: int = 3) -> nn.Module:
    made = nn.Sequential(nn.Flatten(), nn.Linear(48, neuroids))
    with torch.no_grad():
        made[1].weight.normal_(generator=torch.Generator().manual_seed(seed))
    return made.requires_grad_(False)


def bent(seed: int = 0) -> nn.Module:
    made = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 3))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(0, 0.6, generator=generator)
    return made.requires_grad_(False)


def pictures(count: int = 6, seed: int = 1) -> torch.Tensor:
    drawn = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return 0.4 + 0.2 * drawn


def moved(module: nn.Module, x: torch.Tensor, found: torch.Tensor, neuroid: int = 0) -> torch.Tensor:
    return (module(found) - module(x))[:, neuroid]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_reaches_the_analytic_optimum_of_a_linear_model(norm: str) -> None:
    module, x, size = linear(), pictures(), 0.1
    weight = module[1].weight[0]
    best = size * (weight.norm() if norm == "l2" else weight.abs().sum())
    found = annealed.annealed(respond.drive(module, x, neuroid=0), x, size, norm=norm, steps=60)
    torch.testing.assert_close(moved(module, x, found), best.expand(len(x)), rtol=1e-3, atol=0)
    assert (_sets.size(found - x, norm) <= size * (1 + 1e-6)).all()


def test_takes_the_sign_that_moves_more() -> None:
    x = pictures()
    lid = nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.ReLU()).requires_grad_(False)
    with torch.no_grad():
        lid[1].weight.fill_(1.0)
        lid[1].bias.copy_(-lid[1].weight.sum() * 0.5)  # some pictures are nearly silent
    found = annealed.annealed(respond.displace(lid, x, neuroid=0), x, 0.3)
    up = annealed.annealed(respond.drive(lid, x, neuroid=0), x, 0.3)
    down = annealed.annealed(respond.suppress(lid, x, neuroid=0), x, 0.3)
    each = torch.stack([moved(lid, x, side).abs() for side in (up, down)])
    torch.testing.assert_close(moved(lid, x, found).abs(), each.amax(0))
    assert (each[0] > each[1] + 0.01).any()  # the floor of the rectifier makes rises larger


def test_no_budget_changes_nothing_bit_for_bit() -> None:
    x = pictures()
    for objective in (respond.displace(bent(), x, neuroid=0), respond.population(bent(), x)):
        assert torch.equal(annealed.annealed(objective, x, 0.0), x)
    budget = torch.tensor([0.0, 0.1, 0.0, 0.1, 0.2, 0.0])
    found = annealed.annealed(respond.displace(bent(), x, neuroid=0), x, budget)
    assert torch.equal(found[budget == 0], x[budget == 0])
    assert not torch.equal(found[budget > 0], x[budget > 0])


def test_empty_in_empty_out() -> None:
    x = pictures(0)
    assert annealed.annealed(lambda x, rows=None: x.flatten(1).sum(1), x, 0.1).shape == x.shape


def test_more_steps_or_restarts_are_never_weaker() -> None:
    x, size = pictures(), 0.5
    objective = respond.drive(bent(), x, neuroid=0)
    worth = [
        look(objective, annealed.annealed(objective, x, size, steps=steps, restarts=restarts))[0]
        for steps, restarts in ((3, 1), (6, 1), (12, 1), (12, 2), (12, 5))
    ]
    for fewer, more in pairwise(worth):
        assert (more >= fewer - 1e-6).all()


def test_a_row_does_not_depend_on_its_batch() -> None:
    x, module = pictures().double(), bent().double()
    whole = annealed.annealed(respond.drive(module, x, neuroid=0), x, 0.5)
    part = annealed.annealed(respond.drive(module, x[2:4], neuroid=0), x[2:4], 0.5)
    torch.testing.assert_close(whole[2:4], part, rtol=0, atol=1e-10)


def test_about_as_strong_as_pgd_of_the_same_passes() -> None:
    x, module = pictures(40), bent()
    objective = respond.drive(module, x, neuroid=0)
    ours = look(objective, annealed.annealed(objective, x, 0.8, steps=20, wide_steps=18))[0]
    theirs = look(objective, pgd.pgd(objective, x, 0.8, norm="l2", steps=40))[0]
    clean = look(objective, x)[0]
    assert float((ours - clean).mean()) > 0.98 * float((theirs - clean).mean())


@pytest.mark.parametrize("numbers", [{"wide": 0.5}, {"shrink": 1.0}, {"wide_steps": -1}, {"steps": 0}])
def test_numbers_out_of_range_are_named(numbers: dict) -> None:
    x = pictures()
    with pytest.raises(ValueError, match=next(iter(numbers))):
        annealed.annealed(respond.drive(bent(), x, neuroid=0), x, 0.1, **numbers)
