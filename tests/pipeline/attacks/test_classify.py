"""Objectives on a classifier against their formulas, and what they call broken."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.attacks import classify
from pipeline.attacks._rows import climb, look, part

OBJECTIVES = [classify.cross_entropy, classify.margin, classify.dlr, classify.squared_error]


def net(classes=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(48, classes)
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        layer.bias.normal_(generator=generator)
    return nn.Sequential(nn.Flatten(), layer)


def pictures(count=6, seed=0):
    return torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


LABEL = torch.tensor([0, 1, 2, 3, 4, 0])


def test_numbers_are_those_of_the_formulas():
    module, x = net(), pictures()
    z = module(x).detach()
    row = torch.arange(6)
    own = z[row, LABEL]
    other = torch.where(functional.one_hot(LABEL, 5).bool(), -torch.inf, z).amax(1)
    top = z.sort(1, descending=True).values
    wanted = {
        "cross_entropy": torch.logsumexp(z, 1) - own,
        "margin": other - own,
        "dlr": (other - own) / (top[:, 0] - top[:, 2]),
        "squared_error": (z.softmax(1) - functional.one_hot(LABEL, 5)).square().sum(1),
    }
    for objective in OBJECTIVES:
        found = objective(module, x, label=LABEL)(x)
        assert torch.allclose(found, wanted[objective.__name__], atol=1e-5), objective.__name__


def test_targeted_numbers_are_those_of_the_formulas():
    module, x = net(), pictures()
    z, target = module(x).detach(), (LABEL + 2) % 5
    aim = z[torch.arange(6), target]
    rest = torch.where(functional.one_hot(target, 5).bool(), -torch.inf, z).amax(1)
    top = z.sort(1, descending=True).values
    own = z[torch.arange(6), LABEL]
    wanted = {
        "cross_entropy": aim - torch.logsumexp(z, 1),
        "margin": aim - rest,
        "dlr": (aim - own) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2),
        "squared_error": -(z.softmax(1) - functional.one_hot(target, 5)).square().sum(1),
    }
    for objective in OBJECTIVES:
        given = {"target": target} | ({"label": LABEL} if objective is classify.dlr else {})
        found = objective(module, x, **given)(x)
        assert torch.allclose(found, wanted[objective.__name__], atol=1e-5), objective.__name__


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("targeted", [False, True])
def test_broken_is_what_the_network_says(objective, targeted):
    module, x = net(), pictures(200)
    label = torch.arange(200) % 5
    said = module(x).argmax(1)
    value = objective(module, x, target=label) if targeted else objective(module, x, label=label)
    broken = look(value, x)[1]
    assert torch.equal(broken, (said == label) if targeted else (said != label))
    assert 0 < int(broken.sum()) < 200
    if objective in (classify.margin, classify.dlr) and not (targeted and objective is classify.dlr):
        assert torch.equal(look(value, x)[0] > 0, broken)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_without_a_label_the_clean_class_is_meant(objective):
    module, x = net(), pictures()
    found, expected = (objective(module, x, label=y)(x) for y in (None, module(x).argmax(1)))
    assert torch.equal(found, expected)
    assert not look(objective(module, x), x)[1].any()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_rows_are_those_of_the_clean_batch(objective):
    module, x = net(), pictures()
    value, rows = objective(module, x, label=LABEL), torch.tensor([4, 2, 2])
    assert torch.allclose(value(x[rows], rows), value(x)[rows])
    assert torch.allclose(part(value, rows)(x[rows]), value(x)[rows])
    inner = torch.tensor([1, 0])
    assert torch.allclose(part(value, rows)(x[rows][inner], inner), value(x)[rows][inner])
    assert torch.allclose(look(part(value, rows), x[rows][inner], inner)[0], value(x)[rows][inner])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_are_those_of_finite_differences(objective):
    module, x = net().double(), pictures(3).double()
    value = objective(module, x, label=LABEL[:3])
    _, _, slope = climb(value, x)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    rise = (value(x + 1e-6 * direction) - value(x - 1e-6 * direction)) / 2e-6
    assert torch.allclose((slope * direction).flatten(1).sum(1), rise, rtol=1e-5)


def test_one_class_stands_for_all():
    module, x = net(), pictures()
    assert torch.equal(classify.margin(module, x, target=3)(x), classify.margin(module, x, target=[3] * 6)(x))


def test_an_empty_batch_gives_no_numbers():
    x = pictures()[:0]
    assert classify.margin(net(), x, label=LABEL[:0])(x).shape == (0,)
    assert classify.cross_entropy(net(), x)(x).shape == (0,)


@pytest.mark.parametrize(
    ("label", "why"),
    [
        (torch.rand(6), "label: is of type torch.float32; wanted whole numbers, one class for each picture"),
        (torch.ones(6, dtype=torch.bool), "label: is of type torch.bool"),
        (LABEL[:5], r"label: has shape \(5,\) for 6 pictures; wanted one for each"),
        (LABEL[:, None], r"label: has shape \(6, 1\)"),
        (LABEL + 1, "label: is 5 at picture 4, and the model has 5 classes; wanted 0 to 4"),
        (LABEL - 1, "label: is -1 at picture 0"),
    ],
)
def test_f67_labels_that_are_none_are_refused(label, why):
    with pytest.raises(ValueError, match=why):
        classify.margin(net(), pictures(), label=label)
    with pytest.raises(ValueError, match=why.replace("label", "target")):
        classify.margin(net(), pictures(), target=label)


def test_too_few_classes_are_refused():
    with pytest.raises(ValueError, match=r"^model: gives outputs of shape \(2,\) a picture; wanted \(3,\)"):
        classify.dlr(net(2), pictures(), label=0)
    with pytest.raises(ValueError, match=r"wanted \(4,\)"):
        classify.dlr(net(3), pictures(), target=0)
    with pytest.raises(ValueError, match=r"^model: gives outputs of shape \(3, 4, 4\)"):
        classify.margin(nn.Identity(), pictures(), label=0)
