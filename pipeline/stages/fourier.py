"""Which spatial frequencies a network's answers hang on: its errors under one plane wave at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses._shares import clopper
from loaders.schema import check
from pipeline.models import _seeded, _weights

from . import _fourier_plot, record, train
from ._evaluate_net import Judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat(
    stimuli: xr.Dataset,
    weights: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    epsilon: float,
    label: str | None = None,
    batch: int = 256,
    confidence: float = 0.95,
    overlap: bool = False,
    seed: int = 0,
) -> xr.Dataset:
    """Share of pictures whose class is told wrongly when one plane wave is added to them.

    A wave is a cosine of length `epsilon` (L2) in every channel, with a sign drawn for each picture and
    channel, the same for all waves; what leaves [0, 1] is clipped. A frequency and its opposite are one
    wave. That a network errs less at high frequencies says that it looks away from them, as one
    that sees blurred pictures does, and no more.

    Reads    image (stimulus, channel, y, x) in [0, 1] and `label` (None: the one that it was trained on);
             weights, what `train.fit` returned; model, where they do not name it; overlap, whether pictures
             that it was trained or chosen on may be among them
    Returns  error (frequency_y, frequency_x), cycles a picture, 0 in the middle, clean errors counted;
             error_octave (frequency), the mean of all waves from that frequency to below twice of it;
             error_clean, and clipped, the largest share of pixels that were cut, in attrs
    Source   Yin et al. 2019, arXiv 1906.08988
    """
    if not 0 < epsilon < np.inf:
        raise ValueError(f"epsilon: {epsilon}; wanted a length above 0")
    _seeded.positive(batch=batch)
    clean = train.accuracy(
        stimuli, weights, model, label=label, batch=batch, confidence=confidence, overlap=overlap
    )
    module, _ = record.built(model, weights)
    judge = Judge(module, weights, batch)
    truth = judge.codes(stimuli, str(clean.attrs["label"]))
    pixels = np.asarray(stimuli["image"].values, np.float32)
    signs = np.random.default_rng(np.random.SeedSequence(seed)).choice([-1, 1], pixels.shape[:2])
    error, clipped = _errors(judge, pixels, truth, epsilon * signs.astype(np.float32))
    up, across = (_frequencies(size) for size in pixels.shape[2:])
    octaves, mean = _octaves(error, up, across)
    low, high = clopper(np.rint(error * len(truth)).astype(int), len(truth), confidence)
    one, dims = {"units": "1"}, ("frequency_y", "frequency_x")
    held: dict[str, Any] = {"error" + end: (dims, part, one) for end, part in
                            (("", error), ("_low", low), ("_high", high))}  # fmt: skip
    held["error_octave"] = ("frequency", mean, one)
    cycles = {"units": "cycles/picture"}
    coords = {"frequency_y": ("frequency_y", up, cycles), "frequency_x": ("frequency_x", across, cycles),
              "frequency": ("frequency", octaves, cycles)}  # fmt: skip
    told = {"epsilon": epsilon, "norm": "l2", "error_clean": 1 - float(clean["correct"].mean()),
            "clipped": clipped, "n": len(truth), "over": "pictures", "confidence": confidence, "seed": seed,
            "chance": float(np.bincount(truth).max() / len(truth)), "overlap": clean.attrs["overlap"],
            "label": clean.attrs["label"], "weights_sha256": _weights.digest(module),
            "origin": "model"}  # fmt: skip
    return check(xr.Dataset(held, coords, told))


def plot(result: xr.Dataset) -> Figure:
    """The map of errors, and their mean by octave beside those without a wave and of chance.

    Reads    what `heat` returned
    Returns  a matplotlib Figure
    """
    return _fourier_plot.drawn(result)


def wave(size: tuple[int, int], up: int, across: int) -> np.ndarray:
    """The cosine of one frequency on a grid of pixels, of length 1.

    Reads    size (y, x); up and across, cycles a picture
    Returns  pixels (y, x), float32
    >>> float((wave((8, 6), 2, 1) ** 2).sum().round(6))
    1.0
    """
    angle = 2 * np.pi * (up * np.arange(size[0])[:, None] / size[0] + across * np.arange(size[1]) / size[1])
    made = np.cos(angle)
    return np.asarray(made / np.linalg.norm(made), np.float32)


def _errors(
    judge: Judge, pixels: np.ndarray, truth: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, float]:
    """Share of wrong answers under each wave, 0 in the middle, and the largest share of pixels clipped."""
    size = pixels.shape[2], pixels.shape[3]
    up, across = (_frequencies(count) for count in size)
    found, clipped = np.full(size, np.nan), 0.0
    for row, column in np.ndindex(*size):
        mirror = _index(-up[row], size[0]), _index(-across[column], size[1])
        if np.isfinite(found[mirror]):
            found[row, column] = found[mirror]
            continue
        shown = pixels + scale[:, :, None, None] * wave(size, up[row], across[column])
        kept = np.clip(shown, 0, 1)
        found[row, column] = (judge.said(kept) != truth).mean()
        clipped = max(clipped, float((shown != kept).mean()))
    return found, clipped


def _frequencies(size: int) -> np.ndarray:
    """Whole cycles a picture that a row of pixels can hold, 0 in the middle."""
    return np.arange(size) - size // 2


def _index(frequency: int, size: int) -> int:
    """Where a frequency stands; those that a row of pixels cannot tell apart stand at the same place."""
    return int((frequency + size // 2) % size)


def _octaves(error: np.ndarray, up: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the waves by octave: from 1 to below 2 cycles a picture, and so on, corners in the last."""
    octave = np.log2(np.maximum(np.hypot(up[:, None], across), 0.5))
    bounds = np.arange(int(np.log2(max(error.shape) // 2)) + 1)
    place = np.minimum(np.floor(octave), bounds[-1])
    return 2.0**bounds, np.array([error[place == bound].mean() for bound in bounds])
