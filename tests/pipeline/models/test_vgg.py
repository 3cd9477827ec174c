"""The VGG that two tasks share: one block, two heads, the same first weights for every arm."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr

from pipeline import tasks
from pipeline.models import _weights, vgg
from pipeline.stages import record, train


def stimuli(count=40, size=16, seed=0):
    rng = np.random.default_rng(seed)
    pixel = rng.random((count, 3, size, size), dtype=np.float32)
    coords = {
        "stimulus_id": ("stimulus", [f"{k:03d}" for k in range(count)]),
        "side": ("stimulus", np.array(["left", "right"])[np.arange(count) % 2]),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def recording(given, neuroids=5):
    flat = given["image"].values.mean((2, 3))
    response = 1 + flat @ np.random.default_rng(0).random((3, neuroids))
    coords = {"stimulus_id": ("presentation", given["stimulus_id"].values)}
    coords["neuroid_id"] = ("neuroid", [f"unit {k}" for k in range(neuroids)])
    return xr.Dataset({"response": (("presentation", "neuroid"), response, {"units": "1"})}, coords)


def test_both_heads_see_the_shared_block():
    net = vgg.build(classes=5, neuroids=7, width=4).eval()
    x = torch.rand(2, 3, 32, 32)
    found = net(x)
    assert net.shared(x).shape == (2, 16, 8, 8)
    assert torch.equal(found["logits"], net.head(net.shared(x)))
    assert torch.equal(found["response"], net.readout(net.shared(x)))
    assert (found["response"] > 0).all()
    assert [name for name, _ in net.shared.named_children()] == ["conv1", "conv2", "conv3"]
    convolutions = [part for part in net.shared.modules() if isinstance(part, torch.nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == [4, 8, 16]


def test_arms_start_from_the_same_weights():
    alone, both = vgg.build(width=4, seed=3), vgg.build(width=4, neuroids=6, seed=3)
    for name, weight in alone.state_dict().items():
        assert torch.equal(weight, both.state_dict()[name])
    assert not torch.equal(alone.head.classes.weight, vgg.build(width=4, seed=4).head.classes.weight)


def test_one_answer_has_the_weights_of_both():
    both = vgg.build(width=4, neuroids=6, seed=1).eval()
    weights = _weights.to_dataset(both)
    x = torch.rand(2, 3, 16, 16)
    for answer in ("logits", "response"):
        one = vgg.build(width=4, neuroids=6, answer=answer, seed=2).eval()
        _weights.load(one, weights)
        assert torch.equal(one(x), both(x)[answer])


def test_levels_are_what_a_neuroid_answers_before_it_has_learned():
    levels = [0.5, 2.0, 8.0]
    found = vgg.build(width=4, neuroids=3, levels=levels).eval()(torch.zeros(1, 3, 16, 16))["response"]
    assert np.allclose(found.detach().numpy() / levels, 1, atol=0.3)


def test_both_tasks_are_trained_at_once_and_rebuilt_from_the_result():
    given = stimuli()
    task = {"class": tasks.classify, "response": functools.partial(tasks.respond, loss="squared")}
    found = train.fit(
        given,
        functools.partial(vgg.build, classes=2, neuroids=5, width=4),
        task=task,
        label="side",
        recording=recording(given),
        epochs=3,
        rate=0.01,
        batch=10,
        optimizer="adamw",
    )
    assert float(found["loss"].sel(term="response")[-1]) < float(found["loss"].sel(term="response")[0])
    seen = record.activations(given, None, weights=found, layers=["shared.conv3", "readout"])
    assert (seen["layer"] == "readout").sum() == 5
    assert 0 <= float(train.accuracy(stimuli(seed=1), found)["accuracy"][0]) <= 1


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"neuroids": -1}, "neuroids: -1"),
        ({"neuroids": 2.5}, "neuroids: 2.5"),
        ({"answer": "response"}, "answer: 'response' of 0"),
        ({"answer": "classes"}, "answer: 'classes'"),
        ({"dropout": 1.0}, "dropout: 1.0"),
        ({"width": 0}, "width"),
        ({"neuroids": 3, "levels": [1.0]}, "levels: 1 for 3"),
    ],
)
def test_numbers_that_make_no_network_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        vgg.build(**numbers)
