"""One table of all searches besides those of the gradient in Lp balls, and the laws that each keeps."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import pytest
import torch
from searched import pictures, toy

from pipeline.attacks import (
    _sets,
    boundary,
    classify,
    ensemble,
    minimal,
    noise,
    pgd,
    respond,
    sparse,
    spatial,
    square,
    transfer,
    universal,
)
from pipeline.attacks._rows import Fixed, look


class Row(NamedTuple):
    search: object
    norm: str
    epsilon: float
    more: dict  # what makes it work harder: never weaker
    random: bool = True
    minimal: bool = False  # the smallest perturbation is sought
    values: bool = False  # no gradient is asked for


few = partial(sparse.evolved, population=12, steps=5)
TABLE = {
    "deepfool-l2": Row(partial(minimal.deepfool, steps=3), "l2", 3.0, {"steps": 6}, False, True),
    "deepfool-linf": Row(partial(minimal.deepfool, steps=3), "linf", 0.5, {"steps": 6}, False, True),
    "deepfool-own": Row(partial(minimal.deepfool, rivals=0, steps=3), "l2", 3.0, {"steps": 6}, False, True),
    "cw": Row(
        partial(minimal.carlini_wagner, steps=20, rounds=3, weight=1.0, rate=0.05),
        "l2",
        3.0,
        {"rounds": 6},
        False,
        True,
    ),
    "fab-linf": Row(partial(minimal.fab, steps=3, restarts=2), "linf", 0.5, {"restarts": 3}, False, True),
    "fab-l2": Row(partial(minimal.fab, steps=3, restarts=2), "l2", 3.0, {"restarts": 3}, False, True),
    "fab-l1": Row(partial(minimal.fab, steps=3, restarts=2), "l1", 30.0, {"restarts": 3}, False, True),
    "saliency": Row(sparse.saliency, "l0", 7, {}, False),
    "pgd-l0": Row(partial(sparse.pgd, steps=5), "l0", 7, {"steps": 9, "restarts": 2}),
    "evolved": Row(few, "l0", 3, {"steps": 9}, values=True),
    "square-linf": Row(
        partial(square.square, queries=20, horizon=99), "linf", 0.1, {"queries": 60}, values=True
    ),
    "square-l2": Row(partial(square.square, queries=20, horizon=99), "l2", 1.0, {"queries": 60}, values=True),
    "square, restarts": Row(partial(square.square, queries=20), "linf", 0.1, {"restarts": 2}, values=True),
    "random-linf": Row(partial(square.random, queries=20), "linf", 0.1, {"queries": 60}, values=True),
    "random-l2": Row(partial(square.random, queries=20), "l2", 1.0, {"queries": 60}, values=True),
    "random-l1": Row(partial(square.random, queries=20), "l1", 9.0, {"restarts": 2}, values=True),
    "hopskipjump-l2": Row(
        partial(boundary.hopskipjump, steps=2, draws=20), "l2", 4.0, {"steps": 4}, True, True, True
    ),
    "hopskipjump-linf": Row(
        partial(boundary.hopskipjump, steps=2, draws=20), "linf", 0.9, {"steps": 4}, True, True, True
    ),
    "noise-linf": Row(noise.noise, "linf", 0.1, {}, values=True),
    "noise, best of 3": Row(partial(noise.noise, draws=3), "l2", 1.0, {"draws": 6}, values=True),
    "noise-l1": Row(partial(noise.noise, kind="uniform", draws=2), "l1", 9.0, {"draws": 3}, values=True),
    "spatial": Row(partial(spatial.spatial, grid=(5, 3, 3)), "", 1.0, {}, False, values=True),
    "spatial, worst of 4": Row(partial(spatial.spatial, grid=(5, 3, 3), k=4), "", 1.0, {"k": 8}, values=True),
    "universal": Row(partial(universal.universal, steps=4), "linf", 0.1, {}),
    "union": Row(
        partial(ensemble.union, searches=[partial(square.square, queries=9), partial(pgd.pgd, steps=3)]),
        "l2",
        1.0,
        {},
    ),
    "autoattack": Row(partial(ensemble.autoattack, steps=4, queries=20), "linf", 0.1, {}),
}
every = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
by_picture = pytest.mark.parametrize(
    "row",
    [row for name, row in TABLE.items() if name != "universal"],
    ids=[name for name in TABLE if name != "universal"],
)


def found(row, x, epsilon=None, net=None, objective=None, at_once=0, **numbers):
    objective = objective or classify.margin(net or toy(), x)
    norm = {"norm": row.norm} if row.norm else {}
    told = Fixed(objective, at_once) if at_once else objective
    return row.search(told, x, row.epsilon if epsilon is None else epsilon, **norm, **numbers)


@every
def test_f71_epsilon_zero_changes_nothing(row):
    x = pictures()
    assert torch.equal(found(row, x, 0.0), x)
    mixed = found(row, x, torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0]) * row.epsilon)
    assert torch.equal(mixed[::2], x[::2])
    assert not torch.equal(mixed[1::2], x[1::2])


@every
def test_f72_the_picture_stays_in_the_ball_and_in_the_box(row):
    x = pictures()
    x[0, :, :4] = 0
    x[1, :, 4:] = 1
    before = x.clone()
    budget = torch.linspace(0.2, 1.2, 6) * row.epsilon
    moved = found(row, x, budget)
    assert torch.equal(x, before)
    assert (moved.shape, moved.dtype) == (x.shape, x.dtype)
    assert bool(((moved >= 0) & (moved <= 1)).all())
    if row.norm:
        size = _sets.size(moved.double() - x.double(), row.norm)
        assert bool((size <= budget * (1 + 1e-6) + 1e-7).all())
    assert not torch.equal(moved, x)


@pytest.mark.parametrize("epsilon", [-0.1, float("nan"), float("inf")])
@every
def test_f71_a_budget_that_is_none_is_refused(row, epsilon):
    with pytest.raises(ValueError, match="epsilon: is"):
        found(row, pictures(2), epsilon)


@pytest.mark.parametrize(
    "row", [row for row in TABLE.values() if row.more], ids=[k for k in TABLE if TABLE[k].more]
)
def test_f75_more_work_is_never_weaker(row):
    x = pictures(8)
    objective = classify.margin(toy(), x)
    little, much = found(row, x), found(row, x, **row.more)
    if row.minimal:
        near, far = (minimal.distance(objective, x, moved, norm=row.norm) for moved in (much, little))
        assert bool((near <= far).all())
        assert bool(near.isfinite().any())
    else:
        (weak, lost), (strong, broken) = look(objective, little), look(objective, much)
        assert bool((broken >= lost).all())
        assert bool((strong >= weak)[broken == lost].all())
    assert not torch.equal(little, much) or not row.random


@by_picture
def test_a_row_does_not_depend_on_its_batch(row):
    x = pictures(9)
    whole = found(row, x, at_once=4)
    some = torch.tensor([7, 2, 3])
    assert torch.equal(found(row, x[some], at_once=4), whole[some])
    assert torch.equal(found(row, x[5:6], at_once=4), whole[5:6])


@every
def test_the_seed_decides(row):
    x = pictures()
    assert torch.equal(found(row, x, seed=3), found(row, x, seed=3))
    assert torch.equal(found(row, x, seed=3), found(row, x, seed=4)) != row.random


@every
def test_f73_no_picture_gives_none(row):
    x = pictures(0)
    assert found(row, x).shape == (0, 3, 8, 8)


@every
def test_f73_all_broken_at_the_start_is_no_error(row):
    x = pictures(4)
    label = (toy()(x).argmax(1) + 1) % 4
    objective = classify.margin(toy(), x, label=label)
    moved = found(row, x, objective=objective)
    if row.search is not noise.noise:
        assert bool(look(objective, moved)[1].all())
    if row.minimal:
        assert torch.equal(moved, x)


@every
def test_no_gradient_is_needed_around_it_and_none_is_left(row):
    x = pictures()
    with torch.no_grad():
        quiet = found(row, x)
    loud = found(row, x)
    assert torch.equal(quiet, loud)
    assert not loud.requires_grad


@pytest.mark.parametrize(
    "row", [row for row in TABLE.values() if row.values], ids=[k for k in TABLE if TABLE[k].values]
)
def test_a_search_of_values_asks_for_no_gradient(row):
    x, asked = pictures(), []

    def watched(outputs, rows):
        asked.append(torch.is_grad_enabled())
        return objective.number(outputs, rows)

    objective = classify.margin(toy(), x)
    found(row, x, objective=objective._replace(number=watched))
    assert not any(asked)


@pytest.mark.parametrize(
    "row", [row for name, row in TABLE.items() if not row.minimal and name != "autoattack"],
    ids=[name for name, row in TABLE.items() if not row.minimal and name != "autoattack"],
)  # fmt: skip
def test_a_response_is_attacked_like_a_margin(row):
    x = pictures()
    objective = respond.drive(toy(), x, neuroid=2)
    clean, moved = objective(x), objective(found(row, x, objective=objective))
    made_by = getattr(row.search, "func", row.search)
    if made_by is noise.noise:
        assert bool((moved != clean).all())
    else:
        assert float((moved - clean).mean()) > 0
        assert made_by is universal.universal or bool((moved >= clean).all())


@pytest.mark.parametrize(
    "row", [row for row in TABLE.values() if row.minimal], ids=[k for k in TABLE if TABLE[k].minimal]
)
def test_what_is_never_broken_has_no_smallest_perturbation(row):
    x = pictures(2)
    with pytest.raises(ValueError, match="objective: says of no picture that it is broken"):
        found(row, x, objective=respond.drive(toy(), x, neuroid=2))


@every
def test_passes_are_counted_for_every_example(row):
    x = pictures(5)
    forwards, gradients = torch.zeros(2, 5, dtype=torch.int64)
    told = Fixed(classify.margin(toy(), x), 4, forwards, gradients)
    row.search(told, x, row.epsilon, **({"norm": row.norm} if row.norm else {}))
    assert bool((forwards > 0).all()) != (row.search is noise.noise)
    assert bool((gradients > 0).any()) != row.values


def test_transfer_keeps_the_laws_of_the_search_that_it_is_given():
    x = pictures(9)
    objective = transfer.through(toy(), x, surrogate=toy(seed=1), objective=classify.margin)
    for search in (partial(pgd.pgd, steps=4), partial(transfer.blind, search=partial(pgd.pgd, steps=4))):
        moved = search(Fixed(objective, 4), x, 0.1, norm="linf")
        assert torch.equal(search(objective, x, 0.0, norm="linf"), x)
        assert bool((_sets.size(moved - x, "linf") <= 0.1 * (1 + 1e-6)).all())
        some = torch.tensor([7, 2, 3])
        label = toy()(x).argmax(1)
        part = transfer.through(
            toy(), x[some], surrogate=toy(seed=1), objective=classify.margin, label=label[some]
        )
        assert torch.equal(search(Fixed(part, 4), x[some], 0.1, norm="linf"), moved[some])
