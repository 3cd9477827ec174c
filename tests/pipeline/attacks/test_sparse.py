"""Few pixels: the optimum of a linear response, what is counted as a pixel, and torchattacks."""

from __future__ import annotations

import warnings
from functools import partial

import pytest
import torch
from searched import linear, pictures, toy, trained

from pipeline.attacks import _rows, _sets, classify, respond, sparse


def most(net, x, neuroid, pixels):
    """The largest gain of a linear response: the pixels of largest gain, black or white."""
    slope = net[1].weight[neuroid].reshape(x.shape[1:])
    gain = (torch.where(slope > 0, 1 - x, -x) * slope).sum(1).flatten(1)
    return gain.sort(dim=1, descending=True).values[:, :pixels].sum(1)


@pytest.mark.parametrize("pixels", [1, 4, 7])
@pytest.mark.parametrize("search", [sparse.saliency, sparse.pgd], ids=["saliency", "pgd"])
def test_v25_the_optimum_of_a_linear_response_is_reached(search, pixels):
    x = pictures(5, 4, 3).double()
    net = linear(channels=3, classes=3)
    objective = respond.drive(net, x, neuroid=1)
    told = {} if search is sparse.saliency else {"restarts": 5}
    found = search(objective, x, pixels, **told)
    gain, best = objective(found) - objective(x), most(net, x, 1, pixels)
    assert bool((gain <= best * (1 + 1e-9)).all())
    if search is sparse.saliency:
        torch.testing.assert_close(gain, best)
    else:
        assert bool((gain >= 0.9 * best).all())


def test_evolution_finds_the_best_pixel_and_nearly_its_colour():
    x = pictures(5, 4, 1).double()
    net = linear(classes=3)
    objective = respond.drive(net, x, neuroid=1)
    found = sparse.evolved(objective, x, 1, population=60, steps=30)
    assert bool((objective(found) - objective(x) >= 0.9 * most(net, x, 1, 1)).all())


@pytest.mark.parametrize(
    "search",
    [sparse.saliency, partial(sparse.pgd, steps=5), partial(sparse.evolved, population=20, steps=5)],
    ids=["saliency", "pgd", "evolved"],
)
def test_a_pixel_counts_once_whatever_its_planes_and_each_picture_has_its_own_number(search):
    x = pictures(6)
    budget = torch.tensor([0.0, 1.0, 2.0, 5.9, 64.0, 900.0])
    found = search(classify.margin(toy(), x), x, budget)
    size = _sets.size(found - x, "l0")
    assert bool((size <= budget).all())
    assert float(size[3]) <= 5
    assert float(size[4]) > 5
    assert int((found != x)[3].sum()) > int((found != x)[3].any(0).sum())


def test_a_broken_picture_is_left_where_that_is_asked():
    net, x, label = trained(16)
    objective = classify.margin(net, x, label=label)
    for search in (sparse.saliency, partial(sparse.pgd, steps=20), partial(sparse.evolved, steps=5)):
        all_, left = torch.zeros(2, 16, dtype=torch.int64)
        found = search(_rows.Fixed(objective, 0, all_), x, 30)
        fewer = search(_rows.Fixed(objective, 0, left), x, 30, drop=True)
        broken = _rows.look(objective, found)[1]
        assert bool(broken.any())
        assert bool((_rows.look(objective, fewer)[1] >= broken).all())
        assert bool((left <= all_).all())
        assert bool((left < all_)[broken].any())


def test_a_response_without_slope_changes_nothing():
    x = pictures(3)
    flat = respond.drive(toy(), x, neuroid=0)._replace(number=lambda outputs, rows: 0 * outputs[:, 0])
    assert torch.equal(sparse.saliency(flat, x, 5), x)


@pytest.mark.parametrize(
    ("search", "told"),
    [
        (sparse.saliency, {"norm": "l2"}), (sparse.saliency, {"pixels": 0}), (sparse.pgd, {"steps": 0}),
        (sparse.pgd, {"step": 0.0}), (sparse.pgd, {"restarts": 0}), (sparse.evolved, {"population": 3}),
        (sparse.evolved, {"weight": 0.0}), (sparse.evolved, {"norm": "linf"}),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(search, told):
    x = pictures(2)
    with pytest.raises(ValueError, match=next(iter(told))):
        search(classify.margin(toy(), x), x, 1, **told)


def test_more_are_broken_than_by_the_pairs_of_torchattacks():
    torchattacks = pytest.importorskip("torchattacks")
    net, x, label = trained(24)
    target = (label + 1) % 10
    attack = torchattacks.JSMA(net, theta=1.0, gamma=40 / 784)  # 20 pairs; the class after the label
    with torch.random.fork_rng(devices=[]):
        theirs = attack(x, label)
    pixels = _sets.size(theirs - x, "l0")
    assert float(pixels.max()) <= 40
    objective = classify.margin(net, x, target=target)
    ours = sparse.saliency(objective, x, pixels)
    counts = [int(_rows.look(objective, found)[1].sum()) for found in (ours, theirs)]
    assert counts[0] >= counts[1] > 0


def test_it_raises_about_as_much_as_the_pixels_of_torchattacks():
    torchattacks = pytest.importorskip("torchattacks")
    net, x, label = trained(40)
    objective = classify.margin(net, x, label=label)
    attack = torchattacks.OnePixel(net, pixels=3, steps=8, popsize=45)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its torch
        theirs = attack(x, label)
    ours = sparse.evolved(objective, x, 3, population=45, steps=8)
    assert bool((_sets.size(ours - x, "l0") <= 3).all())
    gain = [(objective(found) - objective(x)).mean().item() for found in (ours, theirs)]
    assert gain[0] >= 0.85 * gain[1] > 0
