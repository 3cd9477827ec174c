"""CORnet-Z: its areas, their sizes, and a forward pass by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.models import cornet_z


def test_areas_halve_the_picture_and_double_the_channels():
    net, x = cornet_z.build(width=4), torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    shapes = []
    for name in ("V1", "V2", "V4", "IT"):
        x = net.get_submodule(name)(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
    assert net.get_submodule("decoder")(x).shape == (2, 10)
    assert cornet_z.build(width=4, stride=2)(torch.zeros(1, 3, 224, 224)).shape == (1, 10)


def test_an_area_is_convolution_relu_and_pooling():
    net, x = (
        cornet_z.build(width=4, seed=3),
        torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)),
    )
    found = functional.conv2d(x, net.V1.conv.weight, net.V1.conv.bias, padding=3)
    assert torch.equal(net.V1(x), functional.max_pool2d(functional.relu(found), 3, 2, 1))


def test_weights_are_those_of_the_seed():
    first, again, other = (cornet_z.build(width=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.V2.conv.weight, again.V2.conv.weight)
    assert not torch.equal(first.V2.conv.weight, other.V2.conv.weight)


def test_dropout_stands_before_the_decoder_alone():
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    plain, dropped = cornet_z.build(width=4), cornet_z.build(width=4, dropout=0.9)
    assert torch.equal(plain.eval()(x), dropped.eval()(x))
    torch.manual_seed(0)
    assert not torch.equal(dropped.train()(x), plain(x))
    with pytest.raises(ValueError, match=r"^dropout: 1.0; wanted a share"):
        cornet_z.build(dropout=1.0)
