"""An epoch with each penalty over a plain epoch, paired in one process: `make bench`.

Seconds are of processor time on one thread. What is read and checked once does not count: a training of three
epochs less one of one epoch.
"""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest
import torch
import xarray as xr

from pipeline import tasks
from pipeline.models import cornet_z, mlp
from pipeline.regularizers import arctanh, cka, dcca, rsa, spectrum
from pipeline.stages import train

pytestmark = pytest.mark.timing


def stimuli(count, channels, size, seed=0):
    rng = np.random.default_rng(seed)
    pixel = rng.random((count, channels, size, size), dtype=np.float32)
    coords = {
        "stimulus_id": ("stimulus", [f"{seed} {k}" for k in range(count)]),
        "side": ("stimulus", np.arange(count) % 10),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def recording(given, neuroids):
    values = np.random.default_rng(1).normal(size=(given.sizes["stimulus"], neuroids))
    coords = {
        "stimulus_id": ("presentation", given["stimulus_id"].values),
        "neuroid_id": ("neuroid", [f"unit {k}" for k in range(neuroids)]),
    }
    return xr.Dataset({"response": (("presentation", "neuroid"), values, {"units": "1"})}, coords)


def seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


def ratio(plain, more, pairs=3):
    """Median over pairs of an epoch's time with `more` over one without, and the median of the latter."""
    torch.set_num_threads(1)
    fit = lambda epochs, numbers: train.fit(**plain, **numbers, epochs=epochs)  # noqa: E731
    fit(1, more)
    found, bare = [], []
    for _ in range(pairs):
        bare.append((seconds(lambda: fit(3, {})) - seconds(lambda: fit(1, {}))) / 2)
        found.append((seconds(lambda: fit(3, more)) - seconds(lambda: fit(1, more))) / 2 / bare[-1])
    return float(np.median(found)), float(np.median(bare))


PENALTIES = {
    "dcca": {"build": dcca.build, "layer": "V1"},
    "rsa": {"penalty": rsa.penalty, "layer": "V1"},
    "arctanh": {"build": arctanh.build, "layers": ["V1", "V2"]},
    "cka": {"penalty": cka.penalty, "layer": "V1"},
}


@pytest.mark.parametrize("name", PENALTIES)
def test_an_epoch_with_neural_batches(name):
    """Batches of 128 and of 50 in turn, the first area tapped, as Pirlot et al. 2022 did it."""
    lessons, shown = stimuli(1280, 3, 32), stimuli(500, 3, 32, 1)
    plain = {"stimuli": lessons, "model": functools.partial(cornet_z.build, width=32), "validation": 0,
             "task": tasks.classify, "label": "side", "rate": 0.001, "batch": 128}  # fmt: skip
    more = {"neural_stimuli": shown, "recording": recording(shown, 20), "penalties": {name: PENALTIES[name]},
            "neural": {"batch": 50, "validation": 0}, "strength": {name: 0.01}}  # fmt: skip
    found, bare = ratio(plain, more, pairs=7)
    told = f"{found:.3f} x a plain epoch of {bare:.2f} s"
    print(f"\n{name}, batches of 128 and 50, CORnet-Z of width 32: {told}")
    assert found <= 1.3 or name == "arctanh"


@pytest.mark.parametrize("name", ["penalty", "nassar"])
@pytest.mark.parametrize(("filters", "bound"), [((), 3.0), ((16, 32), 1.2)])
def test_an_epoch_with_a_spectrum_of_256_units(filters, bound, name):
    """Batches of 4 pictures a unit. One dense layer alone costs so little that eigenvalues cost as much."""
    lessons = stimuli(8192, 1, 28)
    build = functools.partial(mlp.build, widths=(256,), filters=filters)
    plain = {"stimuli": lessons, "model": build, "validation": 0, "task": tasks.classify, "label": "side",
             "rate": 0.001, "batch": 1024}  # fmt: skip
    penalty = functools.partial(getattr(spectrum, name), alpha=1.0)
    more = {"penalties": {"alpha": {"penalty": penalty, "layer": "dense1"}}, "strength": {"alpha": 0.1}}
    found, bare = ratio(plain, more, pairs=7)
    told = f"{found:.3f} x a plain epoch of {bare:.2f} s"
    print(f"\nspectrum ({name}), dense layer of 256 after {len(filters)} convolutions: {told}")
    assert found <= bound
