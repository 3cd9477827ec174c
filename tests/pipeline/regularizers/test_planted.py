"""Responses that know what the task asks for help where labels are few; the same ones shuffled do not."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline import tasks
from pipeline.regularizers import arctanh, cka, dcca, rsa
from pipeline.stages import train

SIDE, SIGNAL = 8, 6


def stimuli(count, seed, word):
    """Noise with faint known patterns in it; the amount of the first is the class."""
    rng = np.random.default_rng(seed)
    pattern = np.random.default_rng(99).normal(size=(SIGNAL, SIDE, SIDE))
    amount = rng.choice([-1.0, 1.0], (count, SIGNAL))
    pixel = (
        0.5 + 0.04 * np.einsum("ns,sij->nij", amount, pattern) + 0.2 * rng.normal(size=(count, SIDE, SIDE))
    )
    coords = {
        "stimulus_id": ("stimulus", [f"{word} {k}" for k in range(count)]),
        "class": ("stimulus", (amount[:, 0] > 0).astype(int)),
    }
    pixel = np.clip(pixel, 0, 1).astype(np.float32)[:, None]
    given = xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)
    return given, amount


def recording(given, amount, seed):
    """Neuroids that mix the two amounts that matter, with noise."""
    rng = np.random.default_rng(seed)
    values = amount[:, :2] @ rng.normal(size=(2, 12)) + 0.5 * rng.normal(size=(len(amount), 12))
    coords = {
        "stimulus_id": ("presentation", given["stimulus_id"].values),
        "neuroid_id": ("neuroid", [f"unit {k}" for k in range(12)]),
    }
    return xr.Dataset({"response": (("presentation", "neuroid"), values, {"units": "1"})}, coords)


def build(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        front = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 24), nn.ReLU())
        return nn.Sequential(front, nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 2))


PENALTIES = {
    "cka": ({"penalty": cka.penalty}, 2.0),
    "rsa": ({"penalty": functools.partial(rsa.penalty, centre="stimuli")}, 3.0),
    "dcca": ({"build": functools.partial(dcca.build, widths=(32,), pairs=2)}, 0.5),
    "arctanh": ({"penalty": functools.partial(arctanh.penalty, limit=0.9)}, 0.2),
}


def accuracies(name):
    """Of four starts: without a target, with the real one, and with the same one shuffled."""
    lessons, _ = stimuli(40, 1, "lesson")
    shown, amount = stimuli(600, 2, "shown")
    test, _ = stimuli(1000, 3, "test")
    real = recording(shown, amount, 4)
    order = np.random.default_rng(5).permutation(600)
    shuffled = real.assign(response=real["response"].copy(data=real["response"].values[order]))
    part, strength = PENALTIES[name]
    found = []
    for seed in range(4):
        numbers = {"task": tasks.classify, "label": "class", "epochs": 60, "rate": 0.05, "batch": 20,
                   "validation": 0, "weight_decay": 1e-3, "seed": seed}  # fmt: skip
        row = [train.fit(lessons, build, **numbers)]
        for target in (real, shuffled):
            more = {"penalties": {name: part | {"layer": "0"}}, "strength": {name: strength},
                    "neural": {"batch": 60, "validation": 0}}  # fmt: skip
            row.append(train.fit(lessons, build, **numbers, **more, neural_stimuli=shown, recording=target))
        found.append([float(train.accuracy(test, one, build)["accuracy"][0]) for one in row])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", PENALTIES)
def test_v29_an_informative_target_helps_and_a_shuffled_one_does_not(name, capsys):
    found = accuracies(name)
    none, real, shuffled = found.mean(0)
    with capsys.disabled():
        print(f"\n{name}: none {none:.3f}, real {real:.3f}, shuffled {shuffled:.3f}")
    gain, null = found[:, 1] - found[:, 0], found[:, 2] - found[:, 0]
    assert gain.mean() > 2.35 * gain.std(ddof=1) / 2  # one-sided t of 3 degrees of freedom
    assert gain.mean() > 0.02
    assert null.mean() < 3.18 * null.std(ddof=1) / 2
    assert (found[:, 1] > found[:, 2]).all()
