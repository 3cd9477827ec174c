"""Ensembles: at least as strong as each part, and as torchattacks' AutoAttack."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from searched import linear, pictures, toy, trained

from pipeline.attacks import classify, ensemble, noise, pgd, respond, square
from pipeline.attacks._rows import Fixed, Part, look

TOLD = {"linf": 0.06, "l2": 0.6}


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_breaks_all_that_any_part_breaks(norm):
    net, x, label = trained(20)
    objective = Fixed(classify.margin(net, x, label=label), 10)
    numbers = {"steps": 6, "rivals": 3, "queries": 40}
    broken = look(objective, ensemble.autoattack(objective, x, TOLD[norm], norm=norm, **numbers))[1]
    apart = [
        look(objective, search(inner, x, TOLD[norm], norm=norm))[1]
        for inner, search in ensemble.parts(objective, x, norm=norm, **numbers)
    ]
    assert len(apart) == 1 + 3 + 1 + 1
    assert all(bool((broken >= part).all()) for part in apart)
    assert torch.equal(broken, torch.stack(apart).any(0))
    assert 0 < int(broken.sum()) < 20
    assert len({int(part.sum()) for part in apart}) > 1


def test_parts_ask_for_cross_entropy_and_for_the_ratio_of_each_rival():
    x = pictures(5)
    rows = torch.tensor([4, 0, 2])
    label, order = toy()(x).argmax(1), toy()(x).argsort(1, descending=True)
    told = ensemble.parts(Part(classify.margin(toy(), x), rows), x[rows], rivals=2)
    moved = pictures(3, seed=1)
    expected = [
        classify.cross_entropy(toy(), x, label=label),
        classify.dlr(toy(), x, label=label, target=order[:, 1]),
        classify.dlr(toy(), x, label=label, target=order[:, 2]),
    ]
    for (inner, _), wanted in zip(told, expected, strict=False):
        torch.testing.assert_close(look(inner, moved)[0], wanted(moved, rows))
        assert torch.equal(look(inner, moved)[1], classify.margin(toy(), x).judged(moved, rows)[1])


def test_later_parts_see_only_what_is_left():
    net, x, label = trained(20)
    objective = classify.margin(net, x, label=label)
    seen = []

    def watched(objective, x, epsilon, *, norm, seed):
        seen.append(len(x))
        return x

    searches = [watched, partial(pgd.pgd, steps=10), watched]
    found = ensemble.union(objective, x, 0.04, searches=searches)
    assert seen == [20, 20 - int(look(objective, found)[1].sum())]
    assert 0 < seen[1] < 20


def test_of_responses_the_best_of_all_searches_is_kept():
    x = pictures()
    objective = respond.drive(toy(), x, neuroid=1)
    searches = [partial(square.square, queries=10), partial(pgd.pgd, steps=1), noise.noise]
    value = objective(ensemble.union(objective, x, 0.1, searches=searches))
    apart = torch.stack([objective(search(objective, x, 0.1)) for search in searches])
    assert bool((value >= apart.amax(0)).all())
    assert bool((value >= objective(x)).all())


def test_two_classes_have_no_ratio_and_are_attacked_all_the_same():
    x = 0.45 + 0.1 * pictures(6, 4, 1).double()
    objective = classify.margin(linear(), x)
    assert len(ensemble.parts(objective, x)) == 3
    weight = linear()[1].weight
    worst = objective(x) + 0.05 * (weight[0] - weight[1]).abs().sum()
    found = ensemble.autoattack(objective, x, 0.05, steps=10, queries=50)
    assert torch.equal(look(objective, found)[1], worst > 0)
    assert 0 < int((worst > 0).sum()) < 6


def test_what_it_cannot_attack_is_refused():
    x = pictures(2)
    with pytest.raises(ValueError, match="norm: 'l1'"):
        ensemble.autoattack(classify.margin(toy(), x), x, 0.1, norm="l1")
    with pytest.raises(ValueError, match="objective: the ensemble is untargeted"):
        ensemble.autoattack(classify.margin(toy(), x, target=1), x, 0.1)
    with pytest.raises(ValueError, match="objective: says of no picture"):
        ensemble.autoattack(respond.drive(toy(), x, neuroid=1), x, 0.1)
    with pytest.raises(ValueError, match="searches: none"):
        ensemble.union(classify.margin(toy(), x), x, 0.1, searches=[])


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "name"), [("linf", "Linf"), ("l2", "L2")])
def test_it_breaks_as_many_as_the_ensemble_of_torchattacks(norm, name):
    torchattacks = pytest.importorskip("torchattacks")
    net, x, label = trained(64)
    objective = classify.margin(net, x, label=label)
    attack = torchattacks.AutoAttack(net, norm=name, eps=TOLD[norm], version="standard", n_classes=10, seed=0)
    with torch.random.fork_rng(devices=[]):
        theirs = look(objective, attack(x, label))[1]
    ours = look(objective, ensemble.autoattack(objective, x, TOLD[norm], norm=norm))[1]
    assert int(ours.sum()) >= int(theirs.sum())
    assert bool((ours >= theirs).all())
