"""Reconstructions of a given contrast: closed forms, laws, and layers whose preference is planted."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline import store
from pipeline.models import cnn
from pipeline.stages import _reconstruct_descent as descent
from pipeline.stages import reconstruct
from pipeline.stages._pictures import hashed


def stimuli(count=4, size=12, seed=0):
    """Smooth pictures that noise can be told from."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    wave = rng.normal(size=(4, count, 3, 1, 1))
    pixel = 0.5 + 0.1 * (wave[0] * np.cos(2 * np.pi * x) + wave[1] * np.sin(2 * np.pi * y))
    pixel = np.clip(pixel + 0.05 * wave[2] * (x - y), 0.05, 0.95).astype(np.float32)
    coords = {"stimulus_id": ("stimulus", [f"picture {k}" for k in range(count)])}
    coords["content"] = ("stimulus", [hashed(one) for one in pixel])
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


class Blur(nn.Module):
    """A layer that sees means of cells alone."""

    def forward(self, x):
        return nn.functional.avg_pool2d(x, 4)


class Edges(nn.Module):
    """A layer that sees differences of neighbours alone."""

    def forward(self, x):
        return x[..., 1:] - x[..., :-1]


def made(given, model, norms=(2.0,), **numbers):
    told = {"layers": ["output"], "norms": norms, "steps": 120, "batch": 8, **numbers}
    return reconstruct.constrained(given, model, **told)


def test_the_identity_gives_the_target_at_every_contrast():
    given = stimuli()
    found = made(given, nn.Identity(), norms=[1.0, 3.0], blur=0.0)
    contrast, wanted = (found[name] - 0.5 for name in ("reconstruction", "target"))
    pixels = ("channel", "y", "x")
    sizes = [(part**2).sum(pixels) ** 0.5 for part in (contrast, wanted)]
    assert np.allclose(sizes[0] / found["epsilon"], 1, rtol=1e-5)
    assert ((contrast * wanted).sum(pixels) / (sizes[0] * sizes[1]) > 0.995).all()
    assert np.allclose(found["content_gain"], found["noise_gain"], rtol=0.15)
    assert (np.abs(found["preference"]) < 0.15).all()
    best = (sizes[1] - found["epsilon"]) ** 2 / (found["target"] ** 2).sum(pixels)
    assert (np.abs(found["error"] - best) < 2e-3).all()


def test_a_layer_that_blurs_keeps_content_and_one_that_differs_keeps_noise():
    given = stimuli(seed=2)
    smooth, identity, edges = (
        float(made(given, model, blur=0.0)["preference"].mean()) for model in (Blur(), nn.Identity(), Edges())
    )
    assert smooth > identity + 0.2
    assert edges < identity + 0.1


def test_rows_do_not_depend_on_their_batch_and_the_same_call_gives_the_same_bytes(tmp_path):
    given, model = stimuli(5), functools.partial(cnn.build, width=4)
    told = {"layers": ["conv1", "conv2"], "norms": [2.0], "steps": 5, "batch": 4}
    whole = reconstruct.constrained(given, model, **told)
    part = reconstruct.constrained(given.isel(stimulus=[4, 2]), model, **told)
    assert np.array_equal(part["reconstruction"], whole["reconstruction"].isel(stimulus=[4, 2]))
    again = reconstruct.constrained(given, model, **told)
    pair = [store.write(item, tmp_path / f"{k}.nc", "key") for k, item in enumerate((whole, again))]
    assert pair[0] == pair[1]
    assert whole["reconstruction"].dims == ("stimulus", "channel", "y", "x", "layer", "epsilon", "arm")


def test_the_gradient_is_blurred_by_a_gaussian_of_that_width():
    x = torch.zeros(1, 2, 21, 21)
    x[0, 1, 10, 10] = 1
    found = descent._blurred(x, 1.5)[0]
    offset = torch.arange(-10, 11.0)
    assert torch.allclose(found[1].sum(), torch.tensor(1.0), atol=1e-5)
    assert abs(float((found[1].sum(0) * offset**2).sum()) - 1.5**2) < 0.05
    assert not found[0].any()
    assert torch.equal(descent._blurred(x, 0.0), x)


def test_more_steps_bring_no_worse_a_picture_and_the_model_is_left_as_it_was():
    net = cnn.build(width=4).train()
    before = {name: part.clone() for name, part in net.state_dict().items()}
    few, many = (reconstruct.constrained(stimuli(), net, layers=["conv2"], norms=[3.0], steps=steps, batch=4)
                 for steps in (10, 60))  # fmt: skip
    assert float(many["error"].mean()) < float(few["error"].mean())
    assert net.training
    assert all(torch.equal(part, before[name]) for name, part in net.state_dict().items())


def test_sensitivity_is_the_squared_gradient_of_the_length():
    given = stimuli(3)
    weight = torch.zeros(1, 3, 12, 12)
    weight[0, :, 2:5, 7:9] = 1.0
    spot = nn.Sequential(nn.Flatten(), nn.Linear(432, 1, bias=False))
    with torch.no_grad():
        spot[1].weight.copy_(weight.reshape(1, -1))
    found = reconstruct.sensitivity(given, spot, layer="output", batch=2)["sensitivity"].values
    inside = weight[0, 0].numpy() > 0
    assert np.allclose(found[:, ~inside], 0)
    assert np.allclose(found[:, inside], 144 / inside.sum(), rtol=1e-5)


def test_models_stand_beside_each_other_and_are_drawn():
    given = stimuli(2)
    net, told = functools.partial(cnn.build, width=4), {"layers": ["conv1"], "steps": 3, "batch": 2}
    parts = {
        f"net {seed}": reconstruct.constrained(
            given, functools.partial(net, seed=seed), norms=[1.0, 2.0], **told
        )
        for seed in (0, 1)
    }
    found = reconstruct.beside(**parts)
    assert found["preference"].dims == ("stimulus", "layer", "epsilon", "model")
    assert found["model"].values.tolist() == ["net 0", "net 1"]
    assert len(reconstruct.plot(found).axes) == 4 * 3
    assert reconstruct.plot(parts["net 0"]).axes
    assert reconstruct.plot(reconstruct.sensitivity(given, net, layer="conv1")).axes
    other = reconstruct.constrained(given, net, norms=[1.0], **told)
    with pytest.raises(ValueError, match="'other' has another epsilon"):
        reconstruct.beside(**parts, other=other)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"norms": [0.0]}, "norms"),
        ({"norms": []}, "norms"),
        ({"layers": "conv1"}, "layers: 'conv1'"),
        ({"layers": ["conv9"]}, "layer"),
        ({"steps": 0}, "steps"),
        ({"noise": 0.0}, "noise: 0.0"),
        ({"rate": -1.0}, "rate: -1.0"),
        ({"blur": float("nan")}, "blur: nan"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(numbers, message):
    told = {"layers": ["conv1"], "norms": [1.0], "steps": 2, **numbers}
    with pytest.raises(ValueError, match=message):
        reconstruct.constrained(stimuli(2), functools.partial(cnn.build, width=4), **told)


def test_pictures_beyond_the_range_are_refused():
    given = stimuli(2)
    given["image"].values[1, 0, 3, 3] = 1.5
    with pytest.raises(ValueError, match=r"image: is 1\.5"):
        made(given, nn.Identity())
