"""The correlation of a readout with a target on new pictures."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import xarray as xr

from pipeline import tasks
from pipeline.models import vgg
from pipeline.stages import learned, record, train


def stimuli(count=30, seed=0, name=""):
    pixel = np.random.default_rng(seed).random((count, 3, 16, 16), dtype=np.float32)
    ids = {"stimulus_id": ("stimulus", [f"{name}{k:02d}" for k in range(count)])}
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, ids)


def target(given, neuroids=4, seed=0):
    response = 1 + np.random.default_rng(seed).random((given.sizes["stimulus"], neuroids))
    coords = {"stimulus_id": ("presentation", given["stimulus_id"].values)}
    coords["neuroid_id"] = ("neuroid", [f"unit {k}" for k in range(neuroids)])
    return xr.Dataset({"response": (("presentation", "neuroid"), response, {"units": "1"})}, coords)


@pytest.fixture(scope="module")
def trained():
    given = stimuli()
    task = functools.partial(tasks.respond, loss="squared")
    model = functools.partial(vgg.build, width=4, neuroids=4)
    return given, train.fit(given, model, task=task, recording=target(given), epochs=1, rate=0.01, batch=10)


def test_the_correlation_is_that_of_the_readout_whatever_the_order(trained):
    _, weights = trained
    fresh = stimuli(20, seed=5, name="new ")
    wanted = target(fresh, seed=2)
    found = learned.correlation(wanted, fresh, weights)
    answer = record.activations(fresh, None, weights=weights, layers=["readout"])["response"].values
    by_hand = [np.corrcoef(*pair)[0, 1] for pair in zip(answer.T, wanted["response"].values.T, strict=True)]
    assert np.allclose(found["r"], by_hand)
    assert np.isclose(float(found["correlation"][0]), np.mean(by_hand))
    turned = wanted.isel(presentation=np.random.default_rng(0).permutation(20))
    assert np.allclose(learned.correlation(turned, fresh, weights)["r"], found["r"])
    own = wanted.assign(response=(wanted["response"].dims, 3 * answer + 1, {"units": "1"}))
    assert np.allclose(learned.correlation(own, fresh, weights)["r"], 1)


def test_f76_pictures_of_the_training_and_targets_of_another_width_are_refused(trained):
    given, weights = trained
    renamed = given.isel(stimulus=[3]).assign_coords(stimulus_id=("stimulus", ["x"]))
    with pytest.raises(ValueError, match="'x' was seen in training"):
        learned.correlation(target(renamed), renamed, weights)
    fresh = stimuli(20, seed=5, name="new ")
    with pytest.raises(ValueError, match="'readout' answers"):
        learned.correlation(target(fresh, neuroids=5), fresh, weights)
