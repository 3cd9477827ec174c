"""Recording a network against bare forward passes, paired in one process, equality first: `make bench`."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pipeline.models import cnn
from pipeline.stages import record

pytestmark = pytest.mark.timing
BATCH = 64


def stimuli(count, size):
    pixel = np.random.default_rng(0).random((count, 3, size, size), dtype=np.float32)
    coords = {
        "stimulus_id": ("stimulus", np.arange(count).astype(str)),
        "content": ("stimulus", [record.hashed(one) for one in pixel]),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def bare(module, pixel):
    with torch.no_grad():
        return [module(torch.from_numpy(pixel[k : k + BATCH])) for k in range(0, len(pixel), BATCH)]


def seconds(call):
    start = time.process_time()
    call()
    return time.process_time() - start


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak(call):
    """The most memory that a call adds, looked at every few ms."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed but kept counts as there before
    before, seen, done = resident(), [0], threading.Event()

    def watch():
        while not done.wait(0.003):
            seen.append(resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return max(seen)


@pytest.mark.parametrize("layers", [["conv4"], ["*"]], ids=["one layer", "all blocks"])
def test_overhead_over_bare_forward_passes(layers):
    """All blocks are four times the pictures: what it costs is the memory that keeps them."""
    torch.set_num_threads(1)
    given, module = stimuli(256, 112), cnn.build().eval()
    pixel = given["image"].values
    found = record.activations(given, module, layers=["output"], batch=BATCH)["response"].values
    assert np.array_equal(found, torch.cat(bare(module, pixel)).numpy())
    call = lambda: record.activations(given, module, layers=layers, batch=BATCH)  # noqa: E731
    call()
    ratios = [seconds(call) / seconds(lambda: bare(module, pixel)) for _ in range(5)]
    ratio = float(np.median(ratios))
    print(f"\nrecording {layers[0]} of a CNN, 256 pictures of 112 x 112: {ratio:.3f} x bare forward")
    assert ratio <= 1.10


def test_memory_is_flat_in_the_number_of_pictures(monkeypatch, tmp_path):
    """Beyond what is kept in memory the responses go to a file: 4 times the pictures, the same peak."""
    monkeypatch.setattr(record, "AT_ONCE", 2**22)
    module = cnn.build(width=16)
    peaks = []
    for count in (256, 256, 1024):  # the first call warms up
        lazy = (
            stimuli(8, 64).isel(stimulus=np.arange(count) % 8).drop_vars("content").chunk({"stimulus": BATCH})
        )
        peaks.append(peak(lambda lazy=lazy: record.activations(lazy, module, batch=BATCH)))
        del lazy
    size = 1024 * 4 * record.activations(stimuli(1, 64), module)["response"].size
    print(
        f"\npeak: {peaks[1] / 2**20:.0f} MB for 256, {peaks[2] / 2**20:.0f} MB for 1024 of {size / 2**20:.0f}"
    )
    assert peaks[2] <= peaks[1] + 0.1 * size
