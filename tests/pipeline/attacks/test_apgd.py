"""Auto-PGD: its schedule, its step, and its strength beside PGD's and the peer's. Laws: test_pgd.py."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from pipeline.attacks import apgd, classify, pgd, respond
from pipeline.attacks._rows import look
from pipeline.models import cnn

BUDGETS = {"linf": 6 / 255, "l2": 0.4, "l1": 6.0}


def pictures(count=12, size=16, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def net():
    return cnn.build(width=4).eval().requires_grad_(False)


def test_checks_come_sooner_and_sooner_and_more_steps_begin_alike():
    first = list(apgd._phases(25, "linf"))
    assert [k + 1 for k, (_, period) in enumerate(first) if period][:6] == [5, 9, 12, 14, 15, 16]
    assert not any(begin for begin, _ in first)
    long = list(apgd._phases(175, "linf"))
    assert long[:25] == first
    assert [k for k, (begin, _) in enumerate(long) if begin] == [25, 100]
    second = [period for _, period in long[25:100] if period]
    assert second[:8] == [16, 14, 12, 10, 8, 6, 4, 4]


def test_the_step_halves_where_it_overshoots():
    class Narrow(nn.Module):
        """A sharp peak, which steps of fixed length jump over."""

        def forward(self, x):
            return -(x - 0.537).flatten(1).abs().sum(1, keepdim=True)

    x = torch.full((1, 1, 4, 4), 0.5)
    value = respond.drive(Narrow(), x, neuroid=0)
    fine = float(value(apgd.apgd(value, x, 0.1, steps=100)))
    coarse = float(value(pgd.pgd(value, x, 0.1, steps=100)))
    assert fine > 0.5 * coarse


@pytest.mark.parametrize("norm", list(BUDGETS))
def test_it_is_stronger_than_pgd_with_as_many_steps(norm, net):
    x = pictures()
    value = classify.margin(net, x)
    ours, plain = (
        look(value, f(value, x, BUDGETS[norm], norm=norm, steps=50))[0] for f in (apgd.apgd, pgd.pgd)
    )
    assert float((ours - plain).mean()) > -1e-3 * float((plain - look(value, x)[0]).mean())


def test_restarts_find_what_one_start_misses():
    class Hills(nn.Module):
        """Many hills of different heights, so that a start decides."""

        def forward(self, x):
            z = 60 * (x.flatten(1)[:, :2] - 0.5)
            return (torch.cos(3 * z).sum(1) + 0.2 * z.sum(1))[:, None]

    x = torch.full((8, 1, 2, 2), 0.5) + torch.arange(8)[:, None, None, None] / 1000
    value = respond.drive(Hills(), x, neuroid=0)
    found = [value(apgd.apgd(value, x, 0.2, steps=25, restarts=many)).mean() for many in (1, 8)]
    assert float(found[1] - found[0]) > 0.05


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_torchattacks_breaks_no_more(norm, loss, net):
    """Starts differ, so one image may go either way; half of the images are broken."""
    torchattacks = pytest.importorskip("torchattacks")
    x = pictures(40, seed=5)
    y = net(x).argmax(1)
    objective = {"ce": classify.cross_entropy, "dlr": classify.dlr}[loss](net, x, label=y)
    budget = torch.linspace(0.2, 6, 40) * BUDGETS[norm]
    how = {"norm": {"linf": "Linf", "l2": "L2"}[norm], "steps": 20, "loss": loss, "seed": 0}
    theirs = sum(
        int(look(objective, torchattacks.APGD(net, eps=float(e), **how)(x[k : k + 1], y[k : k + 1]), row)[1])
        for k, (e, row) in enumerate(zip(budget, torch.arange(40).split(1), strict=True))
    )
    ours = int(look(objective, apgd.apgd(objective, x, budget, norm=norm, steps=20))[1].sum())
    assert ours >= theirs - 1
    assert 10 < theirs < 38


def test_the_published_schedule_is_hardly_stronger(net, monkeypatch):
    """Checks at the times of the total of 100 steps gain half a percent of the rise at most."""
    x = pictures(8)
    value = classify.margin(net, x)
    ours = value(apgd.apgd(value, x, BUDGETS["l2"], norm="l2", steps=100))
    published = itertools.accumulate([22, 19, 16, 13, 10, 7, 6, 6])
    checks = dict(zip(published, [22, 19, 16, 13, 10, 7, 6, 6], strict=True))
    monkeypatch.setattr(
        apgd, "_phases", lambda steps, norm: ((False, checks.get(k + 1, 0)) for k in range(steps))
    )
    theirs = value(apgd.apgd(value, x, BUDGETS["l2"], norm="l2", steps=100))
    assert float(ours.mean() - theirs.mean()) > -5e-3 * float(theirs.mean() - value(x).mean())
