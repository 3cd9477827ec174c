"""FGSM, BIM, PGD and (where the law is the same) Auto-PGD: analytic worst cases, laws, and their peers."""

from __future__ import annotations

import functools
import itertools

import pytest
import torch
from torch import nn

from pipeline.attacks import _rows, _sets, apgd, classify, pgd, respond, smooth
from pipeline.attacks._rows import Fixed, look
from pipeline.attacks._whole import still, whole
from pipeline.models import cnn

SEARCHES = {
    "fgsm": pgd.fgsm,
    "bim": functools.partial(pgd.bim, steps=4),
    "mi-fgsm": functools.partial(pgd.bim, steps=4, momentum=1.0),
    "pgd": functools.partial(pgd.pgd, steps=4),
    "pgd, 2 restarts": functools.partial(pgd.pgd, steps=3, restarts=2),
    "pgd, momentum": functools.partial(pgd.pgd, steps=4, momentum=0.9),
    "pgd, dropping": functools.partial(pgd.pgd, steps=6, drop=True),
    "apgd": functools.partial(apgd.apgd, steps=9),
    "apgd, dropping": functools.partial(apgd.apgd, steps=9, restarts=2, drop=True),
}
BUDGETS = {"linf": 6 / 255, "l2": 0.4, "l1": 6.0}
NORMS = list(BUDGETS)


def pictures(count=6, size=16, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def net():
    return cnn.build(width=4).eval().requires_grad_(False)


def every(*norms):
    return [pytest.param(SEARCHES[name], norm, id=f"{name}-{norm}") for name in SEARCHES for norm in norms]


@pytest.mark.parametrize(("search", "norm"), every(*NORMS))
def test_f71_epsilon_zero_changes_nothing(search, norm, net):
    x = pictures()
    assert torch.equal(search(classify.margin(net, x), x, 0.0, norm=norm), x)
    mixed = search(classify.margin(net, x), x, torch.tensor([0, 1.0, 0, 1, 0, 1]) * BUDGETS[norm], norm=norm)
    assert torch.equal(mixed[::2], x[::2])
    assert not torch.equal(mixed[1::2], x[1::2])


@pytest.mark.parametrize(("search", "norm"), every(*NORMS))
def test_the_picture_stays_in_its_ball_and_in_the_box(search, norm, net):
    x = pictures()
    budget = torch.linspace(0.1, 3, 6) * BUDGETS[norm]
    found = search(classify.cross_entropy(net, x), x, budget, norm=norm)
    size = _sets.size(found.double() - x.double(), norm)
    rounding = 6e-8 * (x[0].numel() if norm == "l1" else 1)
    assert (size <= budget * (1 + 1e-6) + rounding).all()
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert found.dtype == x.dtype


@pytest.mark.parametrize(("search", "norm"), every(*NORMS))
def test_the_number_rises(search, norm, net):
    x = pictures()
    value = classify.margin(net, x)
    assert (value(search(value, x, BUDGETS[norm], norm=norm)) > value(x)).all()


@pytest.mark.parametrize(("search", "norm"), every("linf", "l2"))
def test_f73_a_row_does_not_depend_on_its_batch(search, norm, net):
    x = pictures()
    label = torch.arange(6)
    whole_batch = search(classify.margin(net, x, label=label), x, BUDGETS[norm], norm=norm)
    for row in (0, 5):
        alone = classify.margin(net, x[row : row + 1], label=label[row : row + 1])
        found = search(alone, x[row : row + 1], BUDGETS[norm], norm=norm)
        assert torch.allclose(alone(found), alone(whole_batch[row : row + 1]), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("search", "norm"), every("linf", "l2"))
def test_seeds_are_obeyed_and_the_picture_is_not_written_to(search, norm, net):
    x = pictures()
    before, state = x.clone(), torch.get_rng_state()
    value = classify.margin(net, x)
    first, again = (search(value, x, BUDGETS[norm], norm=norm, seed=3) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    random = SEARCHES["fgsm"] is not search and getattr(search, "func", None) is not pgd.bim
    if random:
        assert not torch.equal(search(value, x, BUDGETS[norm], norm=norm, seed=4), first)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("search", [pgd.pgd, apgd.apgd])
def test_f75_more_steps_or_restarts_are_never_weaker(search, norm, drop, net):
    x = pictures()
    value = classify.margin(net, x)
    grids = [
        [{"steps": steps} for steps in (1, 2, 5, 9, 28)],
        [{"steps": 3, "restarts": restarts} for restarts in (1, 3)],
    ]
    for grid in grids:
        found = [
            look(value, search(value, x, BUDGETS[norm] / 2, norm=norm, drop=drop, **how)) for how in grid
        ]
        for (less, broke), (more, breaks) in itertools.pairwise(found):
            assert (breaks >= broke).all()
            assert (more >= less - 1e-6)[~(breaks & drop)].all()


@pytest.mark.parametrize(("search", "norm"), every("linf"))
def test_f73_an_empty_batch_gives_an_empty_one(search, norm, net):
    x = pictures()[:0]
    assert search(classify.margin(net, x), x, 0.1, norm=norm).shape == x.shape


@pytest.mark.parametrize(("search", "norm"), every("linf"))
def test_f73_what_is_wrong_at_the_start_stays_wrong(search, norm, net):
    x = pictures()
    value = classify.margin(net, x, label=(net(x).argmax(1) + 1) % 10)
    assert look(value, x)[1].all()
    assert look(value, search(value, x, BUDGETS[norm], norm=norm))[1].all()


@pytest.mark.parametrize(("search", "norm"), every("linf", "l2"))
def test_f69_a_graph_without_a_gradient_is_borne(search, norm, net):
    x = pictures()
    value = classify.margin(nn.Sequential(Detached(), net), x)
    found = search(value, x, BUDGETS[norm], norm=norm)
    assert torch.isfinite(found).all()
    assert (value(found) >= value(x) - 1e-3).all() or "pgd" in str(search)


class Detached(nn.Module):
    def forward(self, x):
        return x.detach()


def test_gradients_that_are_no_numbers_are_borne():
    class Root(nn.Module):
        """Its slope is infinite at 0.5."""

        def forward(self, x):
            z = (x - 0.5).flatten(1).abs().sqrt()
            return torch.stack([z.sum(1), 1 - z.sum(1)], 1)

    x = torch.full((2, 1, 3, 3), 0.5)
    value = classify.margin(Root(), x, label=1)
    found = pgd.pgd(value, x, 0.1, steps=5)
    assert torch.isfinite(found).all()
    assert (value(found) > value(x)).all()


def test_a_value_that_is_no_number_is_never_taken():
    class Pit(nn.Module):
        """Raised by large pixels, until it gives no number at all."""

        def forward(self, x):
            z = x.flatten(1).sum(1)
            z = torch.where(z > 5, torch.full_like(z, torch.nan), z)
            return torch.stack([z, 0 * z], 1)

    x = torch.full((2, 1, 3, 3), 0.5)
    value = classify.margin(Pit(), x, label=1)
    found = pgd.pgd(value, x, 0.1, steps=20, step=0.1)
    assert torch.isfinite(value(found)).all()
    assert (value(found) > value(x)).all()


@pytest.mark.parametrize("search", [pgd.fgsm, pgd.bim, pgd.pgd, apgd.apgd])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_v25_the_worst_case_of_a_linear_predictor_is_reached(search, norm):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 48, generator=generator, dtype=torch.float64)
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(48, 3, dtype=torch.float64))
    with torch.no_grad():
        predictor[1].weight.copy_(weight)
    x = 0.4 + 0.2 * torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64)
    site = torch.tensor([0, 1, 2, 0, 1])
    worst = {"linf": weight.abs().sum(1), "l2": weight.norm(dim=1)}[norm][site] * 0.05
    for objective in (respond.drive, respond.suppress, respond.displace):
        value = objective(predictor, x, neuroid=site)
        clean = value(x) if objective is not respond.displace else 0
        how = {"steps": 60} if search in (pgd.pgd, apgd.apgd) else {}
        rise = (value(search(value, x, 0.05, norm=norm, **how)) - clean).detach()
        assert float((rise / worst - 1).abs().max()) < 1e-6, objective.__name__


def test_v25_the_worst_case_in_l1_is_reached():
    generator = torch.Generator().manual_seed(0)
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    x = 0.4 + 0.2 * torch.rand(4, 3, 4, 4, generator=generator)
    value = respond.drive(predictor, x, neuroid=0)
    steepest = predictor[1].weight.detach().abs().max()  # one pixel takes all, while it stays below 1
    for search in (pgd.pgd, apgd.apgd):
        rise = (value(search(value, x, 0.3, norm="l1", steps=100)) - value(x)).detach()
        assert float((rise / (0.3 * steepest) - 1).abs().max()) < 1e-3, search.__name__


@pytest.mark.parametrize(("norm", "search"), [("linf", pgd.pgd), ("linf", apgd.apgd), ("l2", apgd.apgd)])
def test_the_worst_case_of_a_linear_predictor_in_a_corner_of_the_box(norm, search):
    weight = torch.tensor([1.0, -2, 3, 0.5]).double()
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False).double())
    with torch.no_grad():
        predictor[1].weight.copy_(weight[None])
    x = torch.tensor([0.0, 0.0, 0.95, 1.0]).double().reshape(1, 1, 2, 2)
    value = respond.drive(predictor, x, neuroid=0)
    rise = float((value(search(value, x, 0.1, norm=norm, steps=100)) - value(x)).detach())
    # pixels 2 and 4 cannot go further; pixel 3 has room for 0.05, and pixel 1 takes what the ball leaves
    expected = {"linf": 0.1 + 3 * 0.05, "l2": 3 * 0.05 + (0.1**2 - 0.05**2) ** 0.5}[norm]
    assert rise == pytest.approx(expected, rel=1e-3)


def test_passes_are_counted_and_a_broken_example_is_dropped(net):
    x = pictures()
    value = classify.margin(net, x)
    counts = [torch.zeros(6, dtype=torch.long) for _ in range(2)]
    pgd.pgd(Fixed(value, 4, *counts), x, BUDGETS["linf"], steps=7)
    assert counts[0].tolist() == [8] * 6
    assert counts[1].tolist() == [7] * 6
    dropped = [torch.zeros(6, dtype=torch.long) for _ in range(2)]
    found = pgd.pgd(Fixed(value, 4, *dropped), x, BUDGETS["linf"], steps=7, drop=True)
    broken = look(value, found)[1]
    assert broken.any()
    assert (dropped[0][broken] < 8).all()
    assert (dropped[0][~broken] == 8).all()
    assert torch.equal(broken, look(value, pgd.pgd(value, x, BUDGETS["linf"], steps=7))[1])


def test_fixed_passes_give_the_same_rows(net):
    x = pictures(7)
    label = torch.arange(7)
    value = classify.margin(net, x, label=label)
    plain = pgd.pgd(value, x, 0.01, steps=5)
    for at_once in (1, 3, 16):
        found = pgd.pgd(Fixed(value, at_once), x, 0.01, steps=5)
        assert torch.allclose(value(found), value(plain), rtol=1e-3, atol=1e-5)
    rows = torch.tensor([6, 2, 4])
    some = Fixed(classify.margin(net, x[rows], label=label[rows]), 4)
    whole_batch = pgd.pgd(Fixed(value, 4), x, 0.01, steps=5)
    assert torch.allclose(pgd.pgd(some, x[rows], 0.01, steps=5), whole_batch[rows], atol=1e-6)


def test_stages_without_a_gradient_get_one():
    x = torch.linspace(0.1, 0.9, 5)[None].requires_grad_()
    plain, near = smooth.through(torch.round), smooth.through(torch.round, near=lambda z: 3 * z)
    for stage, slope in ((plain, 1.0), (near, 3.0)):
        assert torch.allclose(stage(x), torch.round(x))
        (found,) = torch.autograd.grad(stage(x).sum(), x)
        assert torch.allclose(found, torch.full_like(x, slope))
    with pytest.raises(
        ValueError, match=r"^stage: gives shape \(1, 1\) and its gradient \(1, 5\); give near"
    ):
        smooth.through(lambda z: z.sum(1, keepdim=True))(x)


@pytest.mark.parametrize("drop", [False, True])
def test_a_large_batch_is_searched_in_pieces(drop, net, monkeypatch):
    x = pictures(70)
    value = classify.margin(net, x)
    whole_batch = pgd.pgd(value, x, 0.01, steps=3, drop=drop)
    monkeypatch.setattr(_rows, "AT_ONCE", 1)
    assert [len(x[rows]) for _, rows in _rows.pieces(value, x)] == [24, 23, 23]
    assert torch.allclose(value(pgd.pgd(value, x, 0.01, steps=3, drop=drop)), value(whole_batch), atol=1e-4)
    counts = [torch.zeros(70, dtype=torch.long) for _ in range(2)]
    pgd.pgd(Fixed(value, 0, *counts), x, 0.01, steps=3)
    assert counts[0].tolist() == [4] * 70
    assert len(list(_rows.pieces(Fixed(value, 8), x))) == 1


def test_targets_are_won(net):
    x = pictures()
    target = (net(x).argmax(1) + 3) % 10
    value = classify.margin(net, x, target=target)
    found = pgd.pgd(value, x, 0.5, steps=40, step=0.1)
    assert torch.equal(net(found).argmax(1), target)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"norm": "l0"}, r'norm: a step along the gradient has no "l0"'),
        ({"norm": "l3"}, r"norm: 'l3'"),
        ({"steps": 0}, "steps: 0, in 1 restarts; wanted one at least"),
        ({"restarts": 0}, "in 0 restarts; wanted one at least"),
    ],
)
@pytest.mark.parametrize("search", [pgd.pgd, apgd.apgd])
def test_numbers_out_of_range_are_refused(search, numbers, why, net):
    x = pictures()
    with pytest.raises(ValueError, match=why):
        search(classify.margin(net, x), x, 0.1, **numbers)


def test_the_module_is_left_as_it_was():
    module = cnn.build(width=4)
    module[0].eval()
    modes = [part.training for part in module.modules()]
    with still(whole(module)) as net:
        assert not any(part.training for part in net.modules())
        assert not any(p.requires_grad for p in net.parameters())
    assert [part.training for part in module.modules()] == modes
    assert all(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("search", [pgd.pgd, apgd.apgd])
def test_a_network_of_another_precision_is_attacked(search, dtype):
    x, net = pictures(), whole(cnn.build(width=4).eval().to(dtype))
    value = classify.margin(net, x)
    found = search(value, x, 0.03, steps=3)
    assert found.dtype == torch.float32
    assert (value(found) > value(x)).all()


# ---- peers


def images(net, count=12):
    x = pictures(count, seed=5)
    return x, net(x).argmax(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["FGSM", "PGD"])
def test_foolbox_is_no_stronger_on_any_image(norm, name, net):
    foolbox = pytest.importorskip("foolbox")
    x, y = images(net)
    value, budget = classify.cross_entropy(net, x, label=y), BUDGETS[norm]
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    if name == "FGSM":
        theirs = {"linf": foolbox.attacks.LinfFastGradientAttack, "l2": foolbox.attacks.L2FastGradientAttack}
        attack, ours = theirs[norm](), pgd.fgsm(value, x, budget, norm=norm)
    else:
        theirs = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}
        attack = theirs[norm](rel_stepsize=0.1, steps=10, random_start=False)
        ours = pgd.bim(value, x, budget, norm=norm, steps=10, step=0.1)
    found = attack.run(model, x, foolbox.criteria.Misclassification(y), epsilon=budget)
    assert (value(ours) >= value(found) - 1e-4).all()
    same = (ours - found).flatten(1).abs().amax(1) < 1e-5
    assert same.float().mean() >= 0.5  # the last step is the best one of most


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["FGSM", "PGD"])
def test_torchattacks_is_no_stronger_on_any_image(norm, name, net):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = images(net)
    value, budget = classify.cross_entropy(net, x, label=y), BUDGETS[norm]
    if name == "FGSM":
        if norm == "l2":
            pytest.skip("torchattacks has FGSM for Linf alone")
        found, ours = torchattacks.FGSM(net, eps=budget)(x, y), pgd.fgsm(value, x, budget)
    else:
        theirs = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[norm]
        found = theirs(net, eps=budget, alpha=budget / 10, steps=10, random_start=False)(x, y)
        ours = pgd.bim(value, x, budget, norm=norm, steps=10, step=0.1)
    assert (value(ours) >= value(found) - 1e-4).all()
    same = (ours - found).flatten(1).abs().amax(1) < 1e-5
    assert same.float().mean() >= 0.5


def test_torchattacks_momentum_is_ours(net):
    torchattacks = pytest.importorskip("torchattacks")
    x, y = images(net)
    value, budget = classify.cross_entropy(net, x, label=y), BUDGETS["linf"]
    found = torchattacks.MIFGSM(net, eps=budget, alpha=budget / 5, steps=8, decay=1.0)(x, y)
    ours = pgd.bim(value, x, budget, steps=8, step=0.2, momentum=1.0)
    assert (value(ours) >= value(found) - 1e-4).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_art_is_no_stronger_on_any_image(norm, net):
    pytest.importorskip("art")
    try:
        from art.attacks.evasion import ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier
    except ImportError as error:
        pytest.skip(f"ART cannot be imported here: {error}")
    x, y = images(net)
    value, budget = classify.cross_entropy(net, x, label=y), BUDGETS[norm]
    classifier = PyTorchClassifier(net, nn.CrossEntropyLoss(), (3, 16, 16), 10, clip_values=(0, 1))
    attack = ProjectedGradientDescentPyTorch(
        classifier, norm={"linf": "inf", "l2": 2}[norm], eps=budget, eps_step=budget / 10, max_iter=10,
        verbose=False,
    )  # fmt: skip
    found = torch.from_numpy(attack.generate(x.numpy(), y.numpy()))
    ours = pgd.bim(value, x, budget, norm=norm, steps=10, step=0.1)
    assert (value(ours) >= value(found) - 1e-4).all()
