"""Networks and pictures that the tests of the searches share."""

from __future__ import annotations

import functools
import gzip
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.models import cnn

DATA = Path(os.environ.get("NEURO_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def pictures(count=6, size=8, channels=3, seed=0):
    """Uniform noise."""
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


@functools.cache
def toy(classes=4, size=8, channels=3, seed=0):
    """A small smooth network of drawn weights, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(channels, 6, 3, stride=2), nn.Tanh(), nn.Flatten(),
            nn.Linear(6 * ((size - 3) // 2 + 1) ** 2, classes),
        )  # fmt: skip
    return net.eval().requires_grad_(False)


@functools.cache
def linear(size=4, channels=1, classes=2, seed=0, dtype=torch.float64):
    """Logits that are linear in the pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes, dtype=dtype))
    return net.eval().requires_grad_(False)


def trained(count=64):
    """A network trained in a second or two, with so many test pictures that it gets right, and their classes.

    Handwritten digits where they are at hand, else blobs at ten places.
    """
    net, x, label = _trained()
    assert len(x) >= count
    return net, x[:count].clone(), label[:count]


@functools.cache
def _trained():
    x, label = _digits() if (DATA / "images" / "mnist_t10k").is_dir() else _blobs()
    many = len(x) // 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = cnn.build(width=4, channels=1)
        optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
        for some in torch.cat([torch.randperm(many), torch.randperm(many)]).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[some]), label[some]).backward()
            optimizer.step()
    net.eval().requires_grad_(False)
    with torch.no_grad():
        right = (net(x[many : many + 200]).argmax(1) == label[many : many + 200]).nonzero().flatten() + many
    return net, x[right].contiguous(), label[right]


def _digits():
    folder = DATA / "images" / "mnist_t10k"
    pixels = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    label = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:6000] / np.float32(255)
    return torch.from_numpy(x), torch.from_numpy(
        np.frombuffer(label, np.uint8, offset=8)[:6000].astype(np.int64)
    )


def _blobs():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 10, (6000,), generator=generator)
    centre = torch.stack([6 + 5 * (label // 3), 6 + 7 * (label % 3)], 1) + torch.randn(
        6000, 2, generator=generator
    )
    place = torch.arange(28.0)
    row = torch.exp(-(((place - centre[:, :1]) / 2.5) ** 2))
    column = torch.exp(-(((place - centre[:, 1:]) / 2.5) ** 2))
    x = row[:, :, None] * column[:, None, :] + 0.1 * torch.rand(6000, 28, 28, generator=generator)
    return x.clamp(0, 1)[:, None], label
