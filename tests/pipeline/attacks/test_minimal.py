"""DeepFool, Carlini-Wagner and FAB: distances known in closed form, failures, and the peers' distances."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from searched import linear, pictures, toy, trained

from pipeline.attacks import _fill, classify, minimal, respond
from pipeline.attacks._rows import Part

FAR = 1e3
DUAL = {"linf": 1, "l2": 2, "l1": float("inf")}
SEARCHES = [
    pytest.param(minimal.deepfool, "l2", 1e-3, id="deepfool-l2"),
    pytest.param(minimal.deepfool, "linf", 1e-3, id="deepfool-linf"),
    pytest.param(partial(minimal.deepfool, rivals=0), "l2", 1e-3, id="deepfool-own-l2"),
    pytest.param(partial(minimal.carlini_wagner, steps=300, rounds=8, weight=0.1), "l2", 0.02, id="cw-l2"),
    pytest.param(partial(minimal.fab, steps=10), "l2", 2e-3, id="fab-l2"),
    pytest.param(partial(minimal.fab, steps=10), "linf", 2e-3, id="fab-linf"),
    pytest.param(partial(minimal.fab, steps=10), "l1", 2e-3, id="fab-l1"),
]


def near_the_middle(count=6):
    return 0.4 + 0.2 * pictures(count, 4, 1).double()


def sparsest(x, slope, gap):
    """The least L1 distance within [0, 1] that raises a linear number by gap: a linear programme."""
    pixels, slope = x.flatten().numpy(), slope.numpy()
    room = [(0, most) for most in (*(1 - pixels), *pixels)]
    return linprog([1] * len(room), A_eq=[[*slope, *-slope]], b_eq=[gap], bounds=room).fun


@pytest.mark.parametrize(("search", "norm", "tolerance"), SEARCHES)
@pytest.mark.parametrize("classes", [2, 5])
def test_the_distance_to_the_nearest_of_flat_boundaries(search, norm, tolerance, classes):
    x = near_the_middle()
    net = linear(classes=classes)
    objective = classify.margin(net, x)
    if classes > 2 and getattr(search, "keywords", {}).get("rivals", 1) == 0:
        pytest.skip("its one boundary is that of the second class, not always the nearest")
    logits, own = net(x), net(x).argmax(1)
    weight = net[1].weight
    gap = logits.gather(1, own[:, None]) - logits
    steep = (weight[None] - weight[own][:, None]).norm(DUAL[norm], dim=2)
    true = (gap / steep).masked_fill(gap == 0, torch.inf).amin(1)
    if norm == "l1":  # few pixels move far, and some of them up to the end
        true = torch.tensor(
            [
                min(
                    sparsest(x[k], weight[j] - weight[own[k]], gap[k, j].item())
                    for j in range(classes)
                    if j != own[k]
                )
                for k in range(len(x))
            ]
        )
    distance = minimal.distance(objective, x, search(objective, x, FAR, norm=norm), norm=norm)
    assert bool((distance >= true * (1 - 1e-9)).all())
    if getattr(search, "func", search) is minimal.carlini_wagner:
        assert float((distance / true).median()) < 1 + tolerance
    else:
        assert bool((distance <= true * (1 + tolerance)).all())


@pytest.mark.parametrize(("search", "norm", "tolerance"), SEARCHES)
def test_v25_a_failure_is_infinitely_far_and_stays_the_clean_picture(search, norm, tolerance):
    x = near_the_middle()
    objective = classify.margin(linear(), x)
    whole = search(objective, x, FAR, norm=norm)
    distance = minimal.distance(objective, x, whole, norm=norm)
    epsilon = float(distance.median())
    found = search(objective, x, epsilon, norm=norm)
    reached = distance <= epsilon
    assert 0 < int(reached.sum()) < len(x)
    assert torch.equal(found[reached], whole[reached])
    assert torch.equal(found[~reached], x[~reached])
    short = minimal.distance(objective, x, found, norm=norm)
    assert bool(short[~reached].isinf().all())
    assert bool(short[reached].isfinite().all())


@pytest.mark.parametrize(("search", "norm", "tolerance"), SEARCHES)
def test_f69_a_network_without_slope_is_never_broken(search, norm, tolerance):
    x = near_the_middle()
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3, dtype=torch.float64))
    torch.nn.init.zeros_(net[1].weight)
    net[1].bias.data = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    objective = classify.margin(net, x)
    found = search(objective, x, FAR, norm=norm)
    assert torch.equal(found, x)
    assert bool(minimal.distance(objective, x, found, norm=norm).isinf().all())


def test_a_target_is_reached_and_no_other_class():
    x = pictures(8)
    target = (toy()(x).argmax(1) + 1) % 4
    objective = classify.margin(toy(), x, target=target)
    for search in (minimal.deepfool, partial(minimal.fab, steps=20)):
        found = search(objective, x, FAR, norm="l2")
        reached = minimal.distance(objective, x, found).isfinite()
        assert int(reached.sum()) >= 4
        assert torch.equal(toy()(found).argmax(1)[reached], target[reached])


def test_rows_of_a_part_are_attacked_as_in_the_whole():
    x, rows = pictures(8), torch.tensor([6, 1, 4])
    objective = classify.margin(toy(), x)
    for search in (minimal.deepfool, partial(minimal.fab, steps=5)):
        whole = search(objective, x, FAR, norm="l2")
        torch.testing.assert_close(search(Part(objective, rows), x[rows], FAR, norm="l2"), whole[rows])


def test_a_response_is_pushed_over_a_level_by_the_smallest_step():
    x = near_the_middle()
    net = linear(classes=5)
    level = net(x)[:, 2] + 0.1
    objective = respond.push(net, x, neuroid=2, level=0.5)
    objective = objective._replace(
        number=lambda outputs, rows: outputs[:, 2] - level[rows],
        broken=lambda outputs, rows: outputs[:, 2] > level[rows],
    )
    found = minimal.deepfool(objective, x, FAR, norm="l2", rivals=0)
    true = 0.1 / net[1].weight[2].norm()
    distance = minimal.distance(objective, x, found)
    assert bool(((distance >= true * (1 - 1e-9)) & (distance <= true * 1.001)).all())
    with pytest.raises(ValueError, match="objective: at image 0 Value is not of logits; give rivals=0"):
        minimal.deepfool(objective, x, FAR, norm="l2")


def test_numbers_that_fit_no_search_are_refused_by_name():
    x = pictures(2)
    objective = classify.cross_entropy(toy(), x)
    assert bool(minimal.distance(objective, x, minimal.deepfool(objective, x, FAR)).isfinite().all())
    for search in (minimal.carlini_wagner, partial(minimal.fab, rivals=0)):
        with pytest.raises(ValueError, match="objective: at image 0 its number is above 0 where"):
            search(objective, x, FAR, norm="l2")
    for told in ({"norm": "l1"}, {"norm": "l3"}, {"steps": 0}):
        with pytest.raises(ValueError, match=next(iter(told))):
            minimal.deepfool(classify.margin(toy(), x), x, FAR, **told)
    with pytest.raises(ValueError, match="confidence: -1"):
        minimal.carlini_wagner(classify.margin(toy(), x), x, FAR, confidence=-1.0)


def test_confidence_asks_for_more_than_the_boundary():
    x = pictures(4)
    objective = classify.margin(toy(), x)
    search = partial(minimal.carlini_wagner, steps=150, rounds=6, weight=1.0, rate=0.05)
    found = search(objective, x, FAR, confidence=0.1)
    reached = minimal.distance(objective, x, found).isfinite()
    assert bool(reached.any())
    assert bool((objective(found)[reached] >= 0.1).all())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_projection_onto_a_plane_in_the_box_is_the_smallest_move(norm):
    random = np.random.default_rng(0)
    x, slope = random.random((7, 12)), random.normal(size=(7, 12))
    amount = random.normal(size=7)
    amount[0], amount[1] = 0, 1e3
    move = _fill.onto(*(torch.from_numpy(array) for array in (x, slope, amount)), norm).numpy()
    assert np.all((x + move >= -1e-12) & (x + move <= 1 + 1e-12))
    np.testing.assert_allclose((slope * move).sum(1)[2:], amount[2:], atol=1e-9)
    np.testing.assert_allclose(move[0], 0)
    np.testing.assert_allclose(x[1] + move[1], slope[1] > 0, atol=1e-12)
    for k in range(2, 7):
        if norm == "l2":  # the move is the slope, but for the values that lie at a bound
            free = (np.abs(x[k] + move[k] - 0.5) < 0.5 - 1e-9) & (np.abs(slope[k]) > 0)
            assert np.ptp(move[k][free] / slope[k][free]) < 1e-9
            continue
        size, least = _size(move[k], norm), _least(x[k], slope[k], amount[k], norm)
        assert size == pytest.approx(least, abs=1e-8)


def _size(move, norm):
    return np.abs(move).max() if norm == "linf" else np.abs(move).sum()


def _least(x, slope, amount, norm):
    """The smallest move by linear programming: two parts of each value, and their largest."""
    many = len(x)
    largest = [1.0] if norm == "linf" else []
    cost = [0.0 if norm == "linf" else 1.0] * (2 * many) + largest
    equal = np.concatenate([slope, -slope, np.zeros(len(largest))])[None]
    bounds = [(0, 1 - value) for value in x] + [(0, value) for value in x] + [(0, None)] * len(largest)
    below, zero = None, None
    if norm == "linf":
        below = np.hstack([np.eye(2 * many), -np.ones((2 * many, 1))])
        zero = np.zeros(2 * many)
    return linprog(cost, A_ub=below, b_ub=zero, A_eq=equal, b_eq=[amount], bounds=bounds).fun


@pytest.fixture(scope="module")
def foolbox():
    return pytest.importorskip("foolbox")


def against(foolbox, attack, x, label, net, norm):
    """The peer's distances."""
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    _, found, _ = attack(peer, x, label, epsilons=None)
    return minimal.distance(classify.margin(net, x, label=label), x, found, norm=norm)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deepfool_is_never_farther_than_foolbox(norm, foolbox):
    net, x, label = trained(32)
    name = {"l2": "L2DeepFoolAttack", "linf": "LinfDeepFoolAttack"}[norm]
    theirs = against(foolbox, getattr(foolbox.attacks, name)(), x, label, net, norm)
    objective = classify.margin(net, x, label=label)
    ours = minimal.distance(objective, x, minimal.deepfool(objective, x, FAR, norm=norm), norm=norm)
    assert bool((ours <= theirs * (1 + 1e-5)).all())
    assert float(ours.median()) == pytest.approx(float(theirs.median()), rel=0.02)


def test_carlini_wagner_is_as_near_as_foolbox(foolbox):
    net, x, label = trained(8)
    steps = {"steps": 100}
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=5, initial_const=0.1, stepsize=0.05, **steps
    )
    theirs = against(foolbox, attack, x, label, net, "l2")
    objective = classify.margin(net, x, label=label)
    found = minimal.carlini_wagner(objective, x, FAR, rounds=5, weight=0.1, rate=0.05, **steps)
    ours = minimal.distance(objective, x, found)
    assert float(ours.median()) <= float(theirs.median()) * (1 + 1e-5)
    assert float((ours <= theirs * (1 + 1e-5)).float().mean()) >= 0.75
    assert float((ours / theirs).max()) < 1.1


@pytest.mark.parametrize(("norm", "name"), [("linf", "Linf"), ("l2", "L2")])
def test_fab_is_as_near_as_torchattacks(norm, name):
    torchattacks = pytest.importorskip("torchattacks")
    net, x, label = trained(32)
    objective = classify.margin(net, x, label=label)
    found = torchattacks.FAB(net, norm=name, eps=FAR, steps=15, n_classes=10)(x, label)
    theirs = minimal.distance(objective, x, found, norm=norm)
    ours = minimal.distance(objective, x, minimal.fab(objective, x, FAR, norm=norm, steps=15), norm=norm)
    both = theirs.isfinite()
    assert float((ours / theirs)[both].median()) <= 1 + 1e-4
    assert float((ours / theirs)[both].mean()) <= 1.005
    assert float((ours <= theirs * 1.001).float().mean()) >= 0.9
    assert int(ours.isinf().sum()) <= int(theirs.isinf().sum())
