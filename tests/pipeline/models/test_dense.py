"""Dense networks: their noise has the spread that is said, their first weights Glorot's range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.models import dense


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.7])
def test_cat3_gaussian_dropout(p: float) -> None:
    torch.manual_seed(0)
    found = dense.GaussianDropout(p)(torch.full((200_000,), 3.0)) / 3
    assert float(found.std()) == pytest.approx(np.sqrt(p / (1 - p)), rel=0.01)
    assert float(found.mean()) == pytest.approx(1, abs=0.01)


def test_noise_is_silent_in_evaluation() -> None:
    net = dense.build(inputs=9, widths=(4, 4), dropout=(0.5, 0.5), noise="gaussian").eval()
    x = torch.rand(3, 1, 3, 3)
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))


@pytest.mark.parametrize("noise", ["bernoulli", "gaussian"])
def test_noise_of_pixels_stands_before_the_first_layer(noise: str) -> None:
    quiet, noisy = (dense.build(inputs=9, widths=(4,), input_dropout=p, noise=noise) for p in (0.0, 0.5))
    x = torch.rand(3, 1, 3, 3)
    assert torch.equal(quiet.train()(x), quiet(x))
    assert torch.equal(noisy.eval()(x), quiet(x))
    assert not torch.equal(noisy.train()(x), quiet(x))


def test_first_weights_depend_on_the_seed_alone() -> None:
    one, two, other = (dense.build(inputs=100, widths=(60,), seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    weight = one.layer1[0].weight
    assert not torch.equal(weight, other.layer1[0].weight)
    reach = np.sqrt(6 / 160)
    assert float(weight.detach().abs().max()) == pytest.approx(reach, rel=0.01)
    assert float(weight.detach().std()) == pytest.approx(reach / np.sqrt(3), rel=0.02)
    assert float(one.layer1[0].bias.detach().abs().max()) == 0


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"dropout": (0.1,)}, "dropout: "),
        ({"dropout": (0.1, 0.2, 1.0)}, "dropout: "),
        ({"input_dropout": 1.0}, "dropout: "),
        ({"activation": "gelu"}, "activation: 'gelu'"),
        ({"widths": (3, 0)}, r"widths\[1\]: 0"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        dense.build(**wrong)
