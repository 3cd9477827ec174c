"""Noise of every pixel: x (image, channel, y, x) in [0, 1], one generator a picture, one strength."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Streams = Sequence[np.random.Generator]


def gaussian(x: np.ndarray, streams: Streams, sd: float) -> np.ndarray:
    """Normal noise of that SD."""
    noise = np.stack([stream.standard_normal(x.shape[1:], np.float32) for stream in streams])
    return x + np.float32(sd) * noise


def shot(x: np.ndarray, streams: Streams, photons: float) -> np.ndarray:
    """Poisson counts of so many photons at white."""
    rate = np.maximum(x.astype(float) * photons, 0)
    counts = [stream.poisson(one) for stream, one in zip(streams, rate, strict=True)]
    return (np.stack(counts) / photons).astype(np.float32)


def impulse(x: np.ndarray, streams: Streams, share: float) -> np.ndarray:
    """A share of the values becomes black or white, half of it each."""
    coin = np.stack([stream.random(x.shape[1:], np.float32) for stream in streams])
    return np.where(coin < share / 2, np.float32(0), np.where(coin >= 1 - share / 2, np.float32(1), x))
