"""Dense networks of tanh units: shapes, first weights, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.models import mlp


def test_published_sizes_come_out():
    net = mlp.build(filters=[16, 32], widths=[1000])
    assert net.dense1[0].in_features == 800
    assert mlp.build(channels=3, side=32, filters=[16, 32]).dense1[0].in_features == 1152
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    deep = mlp.build(widths=[7, 6, 5], classes=3)
    assert [name for name, _ in deep.named_children()] == ["flat", "dense1", "dense2", "dense3", "head"]


def test_first_weights_are_uniform_and_depend_on_the_seed_alone():
    torch.manual_seed(5)
    one, two = mlp.build(seed=3), mlp.build(seed=3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.dense1[0].weight, mlp.build(seed=4).dense1[0].weight)
    bound = np.sqrt(6 / (784 + 256))
    assert one.dense1[0].weight.abs().max() <= bound
    assert np.isclose(one.dense1[0].weight.std().item(), bound / np.sqrt(3), rtol=0.01)
    assert one.dense1[0].bias.abs().max() == 0


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"widths": []}, "widths"),
        ({"widths": [0]}, "widths"),
        ({"filters": [4] * 6}, "filters"),
        ({"side": 0}, "side"),
    ],
)
def test_impossible_sizes_are_refused(numbers, why):
    with pytest.raises(ValueError, match=why):
        mlp.build(**numbers)
