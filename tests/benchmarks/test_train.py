"""Training against a bare loop over the same batches, paired in one process, equality first: `make bench`."""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest
import torch
import xarray as xr
from torch.nn import functional

from pipeline import tasks
from pipeline.models import cnn
from pipeline.stages import _train_data, record, train

pytestmark = pytest.mark.timing
BATCH, COUNT = 64, 1280


def stimuli():
    rng = np.random.default_rng(0)
    pixel = rng.random((COUNT, 3, 32, 32), dtype=np.float32)
    coords = {
        "stimulus_id": ("stimulus", np.arange(COUNT).astype(str)),
        "side": ("stimulus", np.arange(COUNT) % 10),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def bare(given, build, epochs):
    """Nothing but forward, backward and step."""
    net = build(seed=0).to(memory_format=torch.channels_last)
    x = torch.from_numpy(given["image"].values)
    label = torch.from_numpy(given["side"].values)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for epoch in range(epochs):
        for rows in _train_data.order(COUNT, BATCH, 0, epoch):
            optimizer.zero_grad()
            batch = x[rows].contiguous(memory_format=torch.channels_last)
            functional.cross_entropy(net(batch), label[rows]).backward()
            optimizer.step()
    return net


def seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


@pytest.mark.parametrize("width", [8, 16])
def test_overhead_over_a_bare_loop(width):
    """One epoch more against one epoch more, so that what is read and checked once does not count."""
    torch.set_num_threads(1)
    given, build = stimuli(), functools.partial(cnn.build, width=width)
    numbers = {"task": tasks.classify, "label": "side", "rate": 0.01, "validation": 0, "batch": BATCH}
    fit = lambda epochs: train.fit(given, build, epochs=epochs, **numbers)  # noqa: E731
    found, net = fit(1), bare(given, build, 1)
    state = record.built(None, found)[0].state_dict()
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    ratios, plain = [], []
    for _ in range(5):
        ours = seconds(lambda: fit(3)) - seconds(lambda: fit(1))
        plain.append(seconds(lambda: bare(given, build, 3)) - seconds(lambda: bare(given, build, 1)))
        ratios.append(ours / plain[-1])
    ratio, each = float(np.median(ratios)), float(np.median(plain)) / 2
    print(f"\ntraining a CNN of width {width}, {COUNT} pictures: {ratio:.3f} x a bare loop of {each:.2f} s")
    assert ratio <= 1.10


def test_a_training_that_is_kept_costs_little_more(tmp_path):
    torch.set_num_threads(1)
    given, build = stimuli(), functools.partial(cnn.build, width=16)
    numbers = {"task": tasks.classify, "label": "side", "rate": 0.01, "epochs": 4, "batch": BATCH}
    fit = lambda home: train.fit(given, build, home=home, **numbers)  # noqa: E731
    fit(None)
    ratio = float(np.median([seconds(lambda: fit(tmp_path)) / seconds(lambda: fit(None)) for _ in range(5)]))
    print(f"\nwith files to go on from: {ratio:.3f} x without")
    assert ratio <= 1.10
