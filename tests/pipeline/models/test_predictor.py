"""A core with a linear map, a core with Gaussian readout, ensembles: shapes, gradients, what is refused."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline.models import _weights, cnn, cornet, ensemble, gabor, pixels, predictor, readout, vone
from pipeline.stages import record

SMALL = functools.partial(cnn.build, width=4)


def made(**numbers):
    told = {"core": SMALL, "layer": "conv3", "units": 64, "neuroids": 7, "components": 3} | numbers
    return predictor.build(**told).eval()


def stimuli(count=6, size=16, seed=0):
    pixel = np.random.default_rng(seed).random((count, 3, size, size), dtype=np.float32)
    names = {"stimulus_id": ("stimulus", [f"p{k}" for k in range(count)])}
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, names)


def central(function, x, weight, direction, step=1e-6):
    """Directional derivative of (weight x function) by central differences."""
    ends = [(function(x + sign * step * direction) * weight).sum() for sign in (1, -1)]
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize(
    ("core", "layer", "size"),
    [
        (SMALL, "conv2", 16),
        (SMALL, "conv2.1", 16),
        (SMALL, "output", 16),
        (functools.partial(cornet.build, width=2), "V4.output", 32),
        (functools.partial(cornet.build, width=2), "V1.conv", 32),
        (functools.partial(gabor.build, orientations=2, scales=1, cells=2), "colour", 16),
        (functools.partial(vone.build, cells=2, width=2), "V1", 16),
        (pixels.build, "pixels", 16),
    ],
)
def test_features_are_what_a_recording_of_the_layer_holds(core, layer, size):
    given = stimuli(size=size)
    front = predictor.features(core(), layer=layer).eval()
    with torch.no_grad():
        found = front(torch.from_numpy(given["image"].values)).flatten(1).numpy()
    expected = record.activations(given, core(), layers=[layer], batch=6)["response"].values
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_later_layers_are_dropped_where_the_network_is_a_sequence():
    names = set(predictor.features(SMALL(), layer="conv2.1").state_dict())
    assert {name.split(".")[1] for name in names} == {"conv1", "conv2"}
    assert "network.conv2.2.weight" not in names
    whole = predictor.features(cornet.build(width=2), layer="V2.conv1").state_dict()
    assert any("V2.conv2" in name for name in whole)
    assert not any("V4" in name for name in whole)


def test_size_mean_and_std_are_those_of_a_recording():
    given = stimuli(size=24)
    told = {"size": 16, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
    front = predictor.features(SMALL(), layer="conv1", **told)
    inside = record.activations(given, front, layers=["output"])["response"].values
    outside = record.activations(given, SMALL(), layers=["conv1"], **told)["response"].values
    np.testing.assert_allclose(inside, outside, atol=1e-5)
    assert not [name for name in front.state_dict() if name in ("mean", "std")]


def test_resizing_leaves_a_gradient_where_pictures_are_white():
    front = predictor.features(pixels.build(), size=8)
    x = torch.ones(1, 3, 16, 16, requires_grad=True)
    front(x).sum().backward()
    assert (x.grad > 0.1).all()
    assert x.grad.sum().item() == pytest.approx(3 * 8 * 8)


def test_gradients_of_neuroids_are_those_of_the_components_times_the_readout():
    module = made().double()
    x = torch.rand(2, 3, 16, 16, dtype=torch.double, requires_grad=True)
    latents = module[:2](x)
    each = torch.stack([torch.autograd.grad(latents[:, k].sum(), x, retain_graph=True)[0] for k in range(3)])
    through = torch.einsum("qk,k...->q...", module.readout.weight, each)
    direct = torch.stack([torch.autograd.grad(module(x)[:, q].sum(), x)[0] for q in range(7)])
    torch.testing.assert_close(through, direct)


@pytest.mark.parametrize(
    "build",
    [
        made,
        functools.partial(gabor.build, orientations=3, scales=2, cells=3),
        functools.partial(vone.build, cells=4, width=4),
        functools.partial(readout.build, neuroids=5, width=4),
    ],
)
def test_gradients_are_finite_differences(build):
    module = build().double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, 16, 16, generator=generator, dtype=torch.double)
    with torch.no_grad():
        weight = torch.randn(module(x).shape, generator=generator, dtype=torch.double)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((module(leaf) * weight).sum(), leaf)
    for _ in range(5):
        direction = torch.randn(x.shape, generator=generator, dtype=torch.double)
        with torch.no_grad():
            expected = central(module, x, weight, direction)
        torch.testing.assert_close((gradient * direction).sum(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("build", [gabor.build, functools.partial(vone.build, cells=4, width=4)])
@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_gradients_of_flat_pictures_are_numbers(build, value):
    x = torch.full((1, 3, 32, 32), value, requires_grad=True)
    build().eval()(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_gradients_of_gabor_energy_beside_flat_patches_are_finite_differences():
    module = gabor.build(orientations=4, scales=2, cells=4).double()
    x = torch.rand(1, 3, 32, 32, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    x[..., :12], x[..., 24:] = 0.0, 1.0
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(module(leaf).sum(), leaf)
    direction = torch.randn(x.shape, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = central(module, x, 1.0, direction)
    torch.testing.assert_close((gradient * direction).sum(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"layer": "conv8"}, r"^layer: the model has no layer 'conv8'; did you mean 'conv"),
        ({"neuroids": 0}, r"^neuroids: 0; wanted a whole number above 0$"),
        ({"mean": [0.5]}, r"^std: \[\] for mean \[0.5\]; wanted as many, and above 0$"),
    ],
)
def test_wrong_numbers_of_a_predictor_are_named(numbers, message):
    with pytest.raises(ValueError, match=message):
        made(**numbers)


def test_pictures_of_another_size_are_refused_where_the_map_does_not_fit():
    with pytest.raises(
        ValueError, match=r"^image: gives 256 units for pictures of this size, and the map is"
    ):
        made()(torch.rand(1, 3, 32, 32))


def test_layers_that_give_no_row_a_picture_are_refused():
    class Twice(nn.Module):
        def forward(self, x):
            return torch.cat([x, x])

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = nn.ReLU()

        def forward(self, x):
            return x

    for network, layer in ((Twice(), "output"), (Unused(), "idle")):
        with pytest.raises(ValueError, match=r"^layer: '\w*' gives no row a picture; name another$"):
            predictor.features(network, layer=layer)(torch.rand(2, 3, 4, 4))


def test_weights_of_all_predictors_go_to_a_dataset_and_back():
    parts = [functools.partial(made), functools.partial(readout.build, neuroids=7, width=4)]
    for build in (*parts, functools.partial(ensemble.build, members=parts)):
        module, other = build(seed=0), build(seed=1)
        _weights.load(other, _weights.to_dataset(module))
        assert _weights.digest(other) == _weights.digest(module)
        x = torch.rand(2, 3, 16, 16)
        torch.testing.assert_close(other.eval()(x), module.eval()(x))


def test_an_ensemble_is_the_mean_of_its_members():
    parts = [functools.partial(readout.build, neuroids=4, width=4, seed=seed) for seed in (0, 1, 2)]
    module, x = ensemble.build(members=parts).eval(), torch.rand(2, 3, 16, 16)
    by_hand = torch.stack([part().eval()(x) for part in parts]).mean(0)
    torch.testing.assert_close(module(x), by_hand)
    with pytest.raises(ValueError, match=r"^members: give one network at least$"):
        ensemble.build(members=[])
    mixed = ensemble.build(members=[parts[0], functools.partial(readout.build, neuroids=5, width=4)]).eval()
    with pytest.raises(ValueError, match=r"^members: give \(2, 4\) and \(2, 5\); wanted equal shapes$"):
        mixed(x)


def test_weights_of_a_readout_depend_on_the_seed_alone_and_the_global_generator_is_left():
    before = torch.get_rng_state()
    first, other = (_weights.digest(readout.build(neuroids=3, width=4, seed=seed)) for seed in (0, 1))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert first == _weights.digest(readout.build(neuroids=3, width=4, seed=0)) != other


def test_a_readout_sees_one_place_and_answers_above_zero():
    module = readout.build(neuroids=2, core=pixels.build, units=3, levels=[2.0, 5.0])
    with torch.no_grad():
        module.readout.place[:] = torch.tensor([[-0.75, 0.25], [0.75, -0.25]])  # x, y: centres of cells
        module.readout.weight[:] = torch.tensor([[1.0, 0, 0], [0, -9.0, 0]])
    module.eval()
    x = torch.zeros(1, 3, 4, 4)
    x[0, 0, 2, 0], x[0, 1, 1, 3] = 0.5, 100.0
    found = module(x)[0].detach()
    assert found[0] == pytest.approx(2.0 * 1.5, rel=1e-3)
    assert 0 < found[1] < 0.01
    x[0, :, 0] = 7.0
    torch.testing.assert_close(module(x)[0, 0].detach(), found[0])
    module.train()
    assert not torch.equal(module(x), module(x))  # places are drawn


def test_gradients_reach_every_weight_of_a_readout():
    module = readout.build(neuroids=5, width=4)
    loss = module(torch.rand(4, 3, 32, 32)).sum() + readout.sparsity(module) + readout.smoothness(module)
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())


def test_penalties_in_closed_form():
    module = readout.build(neuroids=5, width=4)
    with torch.no_grad():
        module.readout.weight[:] = 2.0
        module.core.network.conv1[0].weight.zero_()
        module.core.network.conv1[0].weight[..., 3, 3] = 5.0
    assert readout.sparsity(module).item() == 2.0
    assert readout.smoothness(module).item() == pytest.approx(9 + 4 * (0.25**2 + 0.5**2))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"neuroids": 0}, r"^neuroids: 0; wanted"),
        ({"levels": [1.0]}, r"^levels: 1 for 4 neuroids; give one above 0 for each$"),
        ({"levels": [1.0, 1, 0, 1]}, r"^levels: 4 for 4 neuroids; give one above 0 for each$"),
        ({"core": pixels.build}, r"^units: 0; wanted a whole number above 0$"),
    ],
)
def test_wrong_numbers_of_a_readout_are_named(numbers, message):
    with pytest.raises(ValueError, match=message):
        readout.build(**{"neuroids": 4, **numbers})


def test_a_readout_of_what_is_no_map_is_refused():
    module = readout.build(neuroids=4, core=SMALL, units=10)
    with pytest.raises(
        ValueError, match=r"^layer: gives \(10,\), and the readout wants 10 maps; name a conv"
    ):
        module(torch.rand(2, 3, 16, 16))
