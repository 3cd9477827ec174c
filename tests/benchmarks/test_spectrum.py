"""What the spectral penalty costs: an epoch with it over a plain one, at 256 units and a batch of 1024."""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest
import torch
import xarray as xr

from analyses import _spectrum_kernels as kernels
from pipeline import tasks
from pipeline.models import mlp
from pipeline.regularizers import spectrum
from pipeline.stages import train

pytestmark = pytest.mark.timing

NETWORKS = {
    "deep, 784-256-256-256": {"widths": (256, 256, 256)},
    "convolutions 16 and 32, 256, colour": {"channels": 3, "side": 32, "filters": (16, 32)},
}
LIMIT = {"convolutions 16 and 32, 256, colour": 1.2}  # the others are printed


def noise(numbers, count=8192, seed=0):
    rng = np.random.default_rng(seed)
    side, channels = numbers.get("side", 28), numbers.get("channels", 1)
    coords = {
        "stimulus_id": ("stimulus", np.arange(count).astype(str)),
        "label": ("stimulus", rng.integers(0, 10, count)),
    }
    pixel = rng.random((count, channels, side, side), np.float32)
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def seconds(given, model, penalties, epochs):
    start = time.process_time()
    train.fit(
        given, model, task=tasks.classify, label="label", epochs=epochs, rate=1e-3, optimizer="adamw",
        batch=1024, validation=0, penalties=penalties,
    )  # fmt: skip
    return time.process_time() - start


@pytest.mark.parametrize("name", NETWORKS)
def test_seconds_of_a_regularized_epoch(name):
    numbers = NETWORKS[name]
    given, model = noise(numbers), functools.partial(mlp.build, **numbers)
    values = np.random.default_rng(1).normal(size=(1024, 256))
    torch_value = spectrum.exponent(torch.from_numpy(values)).item()
    assert abs(torch_value - kernels.exponent(kernels.eigenvalues(values))) < 1e-10
    layer = f"dense{len(numbers.get('widths', (256,)))}"
    asked = {"law": {"penalty": functools.partial(spectrum.penalty, alpha=2.0), "layer": layer}}
    ratios = []
    for _ in range(5):
        plain, bent = (seconds(given, model, one, 4) - seconds(given, model, one, 1) for one in ({}, asked))
        ratios.append(bent / plain)
    print(f"\n{name}: {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    assert np.median(ratios) < LIMIT.get(name, np.inf)
