"""HopSkipJump: what it may look at, a distance known in closed form, and foolbox."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
import torch
from searched import linear, pictures, toy, trained

from pipeline.attacks import boundary, classify, minimal

FAR = 1e3


@pytest.mark.parametrize(("norm", "tolerance"), [("l2", 0.1), ("linf", 0.3)])
def test_it_comes_near_the_distance_of_a_flat_boundary(norm, tolerance):
    x = 0.45 + 0.1 * pictures(8, 4, 1).double()
    net = linear()
    objective = classify.margin(net, x)
    logits, weight = net(x), net[1].weight
    true = (logits[:, 0] - logits[:, 1]).abs() / (weight[0] - weight[1]).norm(1 if norm == "linf" else 2)
    found = boundary.hopskipjump(objective, x, FAR, norm=norm, steps=20)
    distance = minimal.distance(objective, x, found, norm=norm)
    reached = distance.isfinite()
    assert int(reached.sum()) >= 6
    assert bool((distance >= true * (1 - 1e-9)).all())
    assert float((distance / true)[reached].median()) < 1 + tolerance


def test_it_sees_nothing_but_what_is_broken():
    x = pictures()
    objective = classify.margin(toy(), x)
    other = objective._replace(number=lambda outputs, rows: torch.full((len(outputs),), torch.nan))
    search = partial(boundary.hopskipjump, steps=3, draws=20)
    assert torch.equal(search(objective, x, FAR), search(other, x, FAR))


def test_without_a_start_there_is_no_answer():
    x = pictures()
    objective = classify.margin(toy(), x)
    never = objective._replace(broken=lambda outputs, rows: torch.zeros(len(outputs), dtype=torch.bool))
    assert torch.equal(boundary.hopskipjump(never, x, FAR, starts=3), x)


@pytest.mark.parametrize("told", [{"norm": "l1"}, {"steps": 0}, {"draws": 0}, {"starts": 0}])
def test_numbers_out_of_range_are_refused(told):
    x = pictures(2)
    with pytest.raises(ValueError, match=next(iter(told))):
        boundary.hopskipjump(classify.margin(toy(), x), x, 1.0, **told)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_it_is_comparable_to_foolbox(norm):
    foolbox = pytest.importorskip("foolbox")
    net, x, label = trained(12)
    objective = classify.margin(net, x, label=label)
    found = boundary.hopskipjump(objective, x, FAR, norm=norm, steps=6, draws=40)
    ours = minimal.distance(objective, x, found, norm=norm)
    start = foolbox.attacks.LinearSearchBlendedUniformNoiseAttack(directions=100, steps=50)
    attack = foolbox.attacks.HopSkipJumpAttack(
        start, steps=6, initial_gradient_eval_steps=40, constraint=norm
    )
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(0)
        warnings.simplefilter("ignore")  # of starts that it does not find
        _, found, _ = attack(peer, x, label, epsilons=None)
    theirs = minimal.distance(objective, x, found, norm=norm)
    assert int(ours.isinf().sum()) == 0
    assert float((ours / theirs)[theirs.isfinite()].median()) < 1.1
