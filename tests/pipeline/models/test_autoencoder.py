"""Autoencoders give pictures of the same shape back, and learn to."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

from pipeline.models import autoencoder
from pipeline.stages import train


@pytest.mark.parametrize(("channels", "side", "units"), [(1, 28, 0), (3, 32, 0), (1, 17, 5)])
def test_pictures_come_back_in_their_shape(channels: int, side: int, units: int) -> None:
    net = autoencoder.build(channels=channels, side=side, filters=(4, 4), units=units)
    x = torch.rand(2, channels, side, side)
    made = net(x).detach()
    assert made.shape == x.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    assert net.encoder(x).shape == ((2, units) if units else (2, 4, -(-side // 4), -(-side // 4)))


def test_it_learns_to_reconstruct() -> None:
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.uniform(size=(64, 1, 2, 2)), 4, axis=2), 4, axis=3).astype(np.float32)
    stimuli = xr.Dataset(
        {"image": (("stimulus", "channel", "y", "x"), image, {"units": "1"})},
        {"stimulus_id": ("stimulus", np.arange(64).astype(str))},
    )
    found = train.fit(
        stimuli, partial(autoencoder.build, filters=(8, 8), side=8), task=autoencoder.reconstruct, epochs=40,
        rate=0.01, optimizer="adamw", batch=32, validation=0.25, seed=0,
    )  # fmt: skip
    loss = found["validation_loss"].values.ravel()
    assert loss[-1] < 0.15 * image.var()
    assert loss[-1] < 0.3 * loss[0]


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="answers"):
        autoencoder.reconstruct(torch.nn.Flatten(), type("B", (), {"x": torch.zeros(2, 1, 4, 4)})())
