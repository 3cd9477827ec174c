"""Objectives on responses: closed forms of a linear predictor, and what neuroids at once have to share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.attacks import apgd, pgd, respond
from pipeline.attacks._rows import Fixed, climb, look, sides
from pipeline.models import cnn, predictor

SPREAD = torch.tensor([0.5, 1.0, 2.0, 4.0])


def pictures(count=3, size=4, seed=0, dtype=torch.float32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def linear(neuroids=4, seed=0):
    layer = nn.Linear(48, neuroids)
    with torch.no_grad():
        layer.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return nn.Sequential(nn.Flatten(), layer)


def test_drive_and_suppress_are_the_response_and_its_opposite():
    net, x = linear(), pictures()
    r = net(x).detach()
    which = torch.tensor([3, 0, 1])
    found = respond.drive(net, x, neuroid=which, scale=SPREAD)(x)
    assert torch.allclose(found, r[torch.arange(3), which] / SPREAD[which])
    assert torch.equal(respond.suppress(net, x, neuroid=which, scale=SPREAD)(x), -found)
    assert torch.equal(respond.drive(net, x, neuroid=2)(x), r[:, 2])


def test_displace_is_the_absolute_change_and_both_signs_are_searched():
    net, x = linear(), 0.3 + 0.4 * pictures()
    value = respond.displace(net, x, neuroid=1, scale=2.0)
    assert value(x).abs().max() == 0
    assert torch.allclose(value(x + 0.1), (net(x + 0.1) - net(x))[:, 1].abs() / 2)
    _, _, slope = climb(value, x)
    assert slope.abs().max() == 0  # the saddle
    found = pgd.bim(value, x, 0.05)
    assert torch.allclose(value(found), 0.05 * net[1].weight[1].abs().sum().expand(3) / 2, rtol=1e-5)


@pytest.mark.parametrize("search", [pgd.pgd, apgd.apgd])
def test_the_sign_that_moves_further_is_kept(search):
    class Rectified(nn.Module):
        """Responses that can rise far and fall little, or the other way round."""

        def __init__(self):
            super().__init__()
            self.inner = linear(2)

        def forward(self, x):
            z = self.inner(x - 0.5)
            return torch.stack([torch.relu(z[:, 0]), -torch.relu(z[:, 0])], 1)

    net, x = Rectified().eval(), 0.45 + 0.1 * pictures(8)
    for site in (0, 1):
        value = respond.displace(net, x, neuroid=site)
        found = value(search(value, x, 0.1, steps=15))
        apart = [value(search(side, x, 0.1, steps=15)) for side in sides(value)]
        assert torch.equal(found, torch.maximum(*apart))


def test_sides_survive_their_wrappers():
    net, x = linear(), pictures()
    value = respond.displace(net, x, neuroid=0)
    assert len(sides(value)) == 2
    assert [type(side) for side in sides(Fixed(value, 2))] == [Fixed, Fixed]
    assert len(sides(respond.drive(net, x, neuroid=0))) == 1


def test_push_breaks_at_its_level():
    net, x = linear(), pictures()
    r = net(x).detach()
    level = r.mean(0)
    value = respond.push(net, x, neuroid=2, level=level, scale=SPREAD)
    number, broken = look(value, x)
    assert torch.allclose(number, (r[:, 2] - level[2]) / SPREAD[2])
    assert torch.equal(broken, r[:, 2] > level[2])


def test_population_displacement_is_euclidean_or_whitened():
    net, x = linear(), pictures(dtype=torch.float64)
    net = net.double()
    y = x + 0.1 * pictures(seed=1, dtype=torch.float64)
    change = (net(y) - net(x)).detach()
    assert torch.allclose(respond.population(net, x)(y), change.norm(dim=1))
    assert torch.allclose(respond.population(net, x, scale=SPREAD)(y), (change / SPREAD).norm(dim=1))
    root = torch.randn(4, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    noise = root @ root.T + 0.1 * torch.eye(4)
    found = respond.population(net, x, noise=noise)(y)
    wanted = torch.einsum("ni,ij,nj->n", change, torch.linalg.inv(noise), change).sqrt()
    assert torch.allclose(found, wanted)
    assert respond.population(net, x, noise=noise)(x).abs().max() == 0


def test_the_population_moves_along_the_largest_singular_direction():
    net, x = linear().double(), torch.full((2, 3, 4, 4), 0.5, dtype=torch.float64)
    x[1] += 0.01
    value = respond.population(net, x)
    found = value(pgd.pgd(value, x, 0.1, norm="l2", steps=300, step=0.5))
    assert torch.allclose(found, 0.1 * torch.linalg.matrix_norm(net[1].weight, 2).expand(2), rtol=1e-4)


def test_the_decoder_margin_is_that_of_its_logits():
    net, x = linear(), pictures()
    weight, bias = torch.randn(3, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0.1, 0, -0.1])
    label = torch.tensor([0, 1, 2])
    z = (net(x) @ weight.T + bias).detach()
    value = respond.decoder(net, x, weight=weight, bias=bias, label=label)
    own = z[torch.arange(3), label]
    z[torch.arange(3), label] = -torch.inf
    assert torch.allclose(value(x), z.amax(1) - own, atol=1e-5)
    assert torch.equal(look(value, x)[1], value(x) > 0)


def test_pairs_are_all_neuroids_with_all_pictures():
    x = pictures(2)
    found, which = respond.pairs(x, [3, 1])
    assert which.tolist() == [3, 3, 1, 1]
    assert torch.equal(found, torch.cat([x, x]))


def test_neuroids_at_once_are_those_apart():
    net, x = cnn.build(width=4).eval(), pictures(3, 16)
    every, which = respond.pairs(x, range(10))
    value = respond.drive(net, every, neuroid=which)
    plain, shared = climb(value, every), climb(value, every, shared=True)
    for one, other in zip(plain, shared, strict=True):
        assert torch.allclose(one.float(), other.float(), atol=1e-6)
    together = pgd.pgd(value, every, 0.5, norm="l2", steps=5)
    for site in (0, 7):
        apart = pgd.pgd(respond.drive(net, x, neuroid=site), x, 0.5, norm="l2", steps=5)
        assert torch.allclose(together[3 * site : 3 * site + 3], apart, atol=1e-5)


def test_clean_responses_of_many_pairs_are_computed_once():
    class Counted(nn.Module):
        rows = 0

        def forward(self, x):
            self.rows += len(x)
            return x.flatten(1)

    net, x = Counted(), pictures(4)
    every, which = respond.pairs(x, range(48))
    value = respond.displace(net, every, neuroid=which)
    assert net.rows < 10
    assert value(every).abs().max() == 0


@pytest.mark.parametrize("rank", [3, 10])
def test_gradients_by_rank_are_the_gradients(rank):
    core = cnn.build(width=4).eval()
    net = predictor.build(core=lambda: core, layer="conv3", units=64, neuroids=12, components=rank).eval()
    x = pictures(2, 16)
    found = respond.gradients(net[:2], net.readout.weight, x)
    assert found.shape == (12, 2, 3, 16, 16)
    assert respond.factors(net.readout.weight)[0].shape == (12, rank)
    for site in (0, 11):
        expected = climb(respond.drive(net, x, neuroid=site), x)[2]
        assert torch.allclose(found[site], expected, atol=1e-5 * float(expected.abs().max()))


def test_a_map_of_low_rank_is_split_into_as_many_directions():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(20, 3, generator=generator) @ torch.randn(3, 50, generator=generator)
    mix, directions = respond.factors(weight)
    assert mix.shape == (20, 3)
    assert torch.allclose(mix @ directions, weight, atol=1e-4)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"neuroid": 4}, "neuroid: is 4 at picture 0, and the model has 4; wanted 0 to 3"),
        ({"neuroid": [0, 1, -1]}, "neuroid: is -1 at picture 2"),
        ({"neuroid": 1.5}, "neuroid: is of type torch.float32"),
        ({"neuroid": [0, 1]}, r"neuroid: has shape \(2,\) for 3 pictures"),
        ({"neuroid": 0, "scale": 0.0}, "scale: is not above 0; leave out neuroids whose response never"),
        ({"neuroid": 0, "scale": float("nan")}, "scale: is not a number somewhere"),
        ({"neuroid": 3, "scale": [1.0, 1.0]}, r"scale: has shape \(2,\); wanted one number, or one for each"),
    ],
)
def test_f70_wrong_neuroids_and_scales_are_refused(numbers, why):
    with pytest.raises(ValueError, match=why):
        respond.drive(linear(), pictures(), **numbers)


def test_noise_that_is_no_covariance_is_refused():
    with pytest.raises(ValueError, match=r"^noise: has shape \(3, 3\); wanted \(4, 4\)"):
        respond.population(linear(), pictures(), noise=torch.eye(3))
    with pytest.raises(ValueError, match=r"^noise: is no covariance of full rank"):
        respond.population(linear(), pictures(), noise=torch.ones(4, 4))
