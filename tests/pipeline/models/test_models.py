"""The first models: seeds, shapes, and what a filter must answer."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import torch
import xarray as xr

from loaders import ephys, images, schema
from pipeline import store
from pipeline.models import _weights, cnn, cornet, gabor, pixels, public, vone
from pipeline.stages import record

TRAINED = {
    "cnn": lambda seed: cnn.build(classes=5, width=4, seed=seed),
    "cornet": lambda seed: cornet.build(classes=5, width=4, seed=seed),
    "vone": lambda seed: vone.build(classes=5, cells=4, width=4, seed=seed),
}


def grating(angle, wavelength=4.0, phase=0.0, size=64):
    y, x = np.mgrid[:size, :size]
    wave = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength + phase)
    return torch.from_numpy(0.5 + 0.4 * wave)[None, None].float()


@pytest.mark.parametrize("name", TRAINED)
def test_weights_depend_on_the_seed_alone_and_the_global_generator_is_left(name):
    before = torch.get_rng_state()
    first, other = (_weights.digest(TRAINED[name](seed)) for seed in (0, 1))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert first == _weights.digest(TRAINED[name](0)) != other


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("size", [32, 45])
def test_every_size_gives_a_row_of_classes_and_gradients_reach_all_weights(name, size):
    module = TRAINED[name](0)
    given = module(torch.rand(3, 3, size, size))
    assert given.shape == (3, 5)
    given.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_wrong_numbers_are_named(name):
    build = {"cnn": cnn.build, "cornet": cornet.build, "vone": vone.build}[name]
    with pytest.raises(ValueError, match=r"^width: 0; wanted a whole number above 0$"):
        build(width=0)


def test_gabor_energy_is_largest_at_its_own_orientation_and_ignores_phase():
    module = gabor.build(orientations=4, scales=1, cells=1)
    for k in range(4):
        energy = [module.energy(grating(np.pi * k / 4, phase=p)).flatten() for p in (0.0, 1.0, 2.0)]
        assert int(energy[0].argmax()) == k
        assert torch.allclose(energy[0][k], energy[1][k], rtol=0.02)
        assert torch.allclose(energy[0][k], energy[2][k], rtol=0.02)


def test_gabor_energy_is_largest_at_its_own_octave():
    module = gabor.build(orientations=1, scales=3, cells=1)
    for k in range(3):
        assert int(module.energy(grating(0.0, wavelength=4.0 * 2**k)).flatten().argmax()) == k


def test_gabor_filters_have_no_mean_and_equal_norm():
    pair = gabor.bank(6, 4.0, 2.0)
    assert np.allclose(pair.sum((-2, -1)), 0, atol=1e-12)
    assert np.allclose(np.linalg.norm(pair, axis=(-2, -1)), 1)


def test_gabor_of_a_flat_picture_is_colour_alone():
    flat = torch.tensor([0.8, 0.2, 0.4])[None, :, None, None].expand(1, 3, 32, 32)
    module = gabor.build(orientations=2, scales=2, cells=2)
    assert torch.allclose(module.energy(flat), torch.zeros(()), atol=1e-6)
    colour = module.colour(flat)[0, :, 0, 0]
    assert torch.allclose(colour, torch.tensor([0.2126 * 0.8 + 0.7152 * 0.2 + 0.0722 * 0.4, 0.6, -0.1]))
    assert module.colour(flat[:, :1]).shape[1] == 1


def test_gabor_says_how_many_scales_fit():
    with pytest.raises(ValueError, match=r"^scales: 6 halve the picture to nothing; 4 fit$"):
        gabor.build(scales=6)(torch.rand(1, 1, 16, 16))


def test_v1_of_vone_is_fixed_and_the_rest_is_not():
    module = vone.build(classes=2, cells=4, width=4)
    assert not [name for name, _ in module.named_parameters() if name.startswith("V1")]
    filters = module.V1.filters.numpy()
    assert np.allclose(filters.sum((-3, -2, -1)), 0, atol=1e-5)
    assert np.allclose(np.sqrt((filters**2).sum((-3, -2, -1))), 1, atol=1e-5)
    assert ((filters != 0).any((-2, -1)).sum(1) == 1).all()  # one plane of colour each
    assert (module.V1(torch.rand(2, 3, 32, 32)) >= 0).all()


def test_cornet_steps_share_weights_and_have_norms_of_their_own():
    names = [name for name, _ in cornet.build(width=2, times=3).V4.named_parameters()]
    assert sum(name.startswith("conv1") for name in names) == 1
    assert sum(name.startswith("norms1") for name in names) == 6


def test_pixels_are_the_picture_and_cells_its_means():
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(pixels.build()(x), x)
    assert torch.allclose(pixels.build(cells=2)(x)[..., 0, 0], x[..., :4, :4].mean((-2, -1)))


@pytest.mark.parametrize("name", TRAINED)
def test_weights_go_through_a_file_and_back(name, tmp_path):
    module, other = TRAINED[name](0), TRAINED[name](1)
    weights = _weights.to_dataset(module)
    assert set(weights.data_vars) == set(module.state_dict())
    store.write(schema.check(weights), tmp_path / "weights.nc", "key")
    _weights.load(other, store.read(tmp_path / "weights.nc"))
    assert _weights.digest(other) == _weights.digest(module) == weights.attrs["weights_sha256"]
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(module.eval()(x), other.eval()(x))


def test_weights_that_do_not_fit_are_named():
    weights = _weights.to_dataset(cnn.build(width=4))
    with pytest.raises(ValueError, match=r"^weights: 'conv1\.0\.weight' has shape \(4, 3, 5, 5\), and \(8,"):
        _weights.load(cnn.build(width=8), weights)
    with pytest.raises(
        ValueError, match=r"^weights: have no 'conv1\.0\.weight', which the model has; did you"
    ):
        _weights.load(cnn.build(width=4), weights.drop_vars("conv1.0.weight"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f67_a_weight_that_is_no_number_is_refused_by_index(value):
    weights = _weights.to_dataset(cnn.build(width=4))
    weights["conv2.0.weight"][1, 2, 0, 1] = value
    with pytest.raises(ValueError, match=rf"^weights: 'conv2\.0\.weight' is {value} at \(1, 2, 0, 1\)"):
        _weights.load(cnn.build(width=4), weights)


def test_a_dimension_of_no_weight_is_still_refused():
    with pytest.raises(ValueError, match=r"^dimension 'conv1\.0': not in the vocabulary"):
        schema.check(xr.Dataset({"a": ("conv1.0", [1.0], {"units": "1"})}))


def test_public_models_are_reached_by_name(monkeypatch):
    models = types.SimpleNamespace(
        list_models=lambda: ["resnet18"],
        get_model=lambda name, weights, **numbers: torch.nn.Linear(2, numbers["num_classes"]),
    )
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(models=models))
    made = [_weights.digest(public.build("torchvision.models.resnet18", num_classes=3)) for _ in range(2)]
    assert made[0] == made[1]
    with pytest.raises(
        ValueError, match=r"^name: torchvision has no model 'resnet19'; did you mean 'resnet18'"
    ):
        public.build("torchvision.resnet19")


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_public_models_that_are_not_installed_say_so(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"^name: {package} cannot be imported here .*\n?$"):
        public.build(f"{package}.resnet18")


def test_a_name_of_no_package_is_refused():
    with pytest.raises(ValueError, match=r"^name: 'keras.vgg'; public models are named torchvision.resnet18"):
        public.build("keras.vgg")


def held_out(x, y, alpha, folds=5):
    """Kernel ridge on standardised features, predictions of held-out images, Pearson by neuroid."""
    order = np.random.default_rng(0).permutation(len(x))
    predicted = np.zeros_like(y)
    for k in range(folds):
        test, train = order[k::folds], np.setdiff1d(order, order[k::folds])
        mean, sd = x[train].mean(0), x[train].std(0) + 1e-9
        a, b = (x[train] - mean) / sd, (x[test] - mean) / sd
        dual = np.linalg.solve(a @ a.T + alpha * np.eye(len(a)), y[train] - y[train].mean(0))
        predicted[test] = b @ (a.T @ dual)
    z, p = y - y.mean(0), predicted - predicted.mean(0)
    return (z * p).sum(0) / np.sqrt((z**2).sum(0) * (p**2).sum(0))


def test_gabor_and_colour_explain_v4_and_shuffled_pictures_do_not(neuro_data):
    folder = neuro_data / "macaque" / "v4_natural_images"
    archive = folder / "images" / "images_210325.zip"
    file = folder / "responses_repeat_averaged" / "responses_210325.npy"
    recording = ephys.response_matrix(file, dims=["neuroid", "stimulus"], stimuli=archive, region="V4")
    found = record.activations(images.stimuli(archive), gabor.build())
    assert (found["stimulus_id"].values == recording["stimulus_id"].values).all()
    x, y = found["response"].values.astype(float), recording["response"].values
    alpha = 2.0 * x.shape[1]
    assert np.median(held_out(x, y, alpha)) >= 0.47
    shuffled = x[np.random.default_rng(1).permutation(len(x))]
    assert abs(np.median(held_out(shuffled, y, alpha))) < 0.08
