"""Pictures as bad light, weather, lenses and files make them: 15 corruptions of 5 severities each.

Made for pictures 28 to 64 pixels wide: lengths grow with the side, from a table for 32 pixels. Frost and snow
are textures of random numbers; no photograph is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _corruptions_blur as blur
from analyses import _corruptions_digital as digital
from analyses import _corruptions_noise as noise
from analyses import _corruptions_plots, _corruptions_scores
from analyses import _corruptions_weather as weather

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = tuple[float, ...]  # what a corruption is given at one severity

TABLE: dict[str, tuple[Callable[..., np.ndarray], list[Numbers]]] = {
    "gaussian_noise": (noise.gaussian, [(0.04,), (0.06,), (0.08,), (0.09,), (0.10,)]),
    "shot_noise": (noise.shot, [(500,), (250,), (100,), (75,), (50,)]),
    "impulse_noise": (noise.impulse, [(0.01,), (0.02,), (0.03,), (0.05,), (0.07,)]),
    "defocus_blur": (blur.defocus, [(0.6,), (0.8,), (1.0,), (1.3,), (1.6,)]),
    "glass_blur": (blur.glass, [(0.25, 1, 0.2), (0.3, 1, 0.4), (0.35, 1, 0.6), (0.4, 1, 0.8), (0.4, 1, 1)]),
    "motion_blur": (blur.motion, [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)]),
    "zoom_blur": (blur.zoom, [(1.06,), (1.11,), (1.16,), (1.21,), (1.26,)]),
    "snow": (weather.snow, [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95), (0.1, 0.2, 1, 0.5, 10, 4, 0.9), (0.1, 0.25, 1.5, 0.55, 10, 4, 0.9),
        (0.15, 0.25, 1.5, 0.55, 12, 6, 0.85), (0.2, 0.25, 1.5, 0.55, 14, 8, 0.8),
    ]),
    "frost": (weather.frost, [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.5), (0.75, 0.6)]),
    "fog": (weather.fog, [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)]),
    "brightness": (weather.brightness, [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)]),
    "contrast": (digital.contrast, [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)]),
    "elastic_transform": (digital.elastic, [
        (0, 0, 1.2), (1.6, 1.6, 1.4), (2.4, 1.4, 1.6), (3.2, 1.2, 1.8), (4, 1.1, 2)
    ]),
    "pixelate": (digital.pixelate, [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)]),
    "jpeg_compression": (digital.jpeg, [(80,), (65,), (58,), (50,), (40,)]),
}  # fmt: skip
NAMES = tuple(TABLE)
SEVERITIES = (1, 2, 3, 4, 5)
AT_ONCE = 256  # pictures


def corrupt(
    stimuli: xr.Dataset,
    *,
    corruption: str | Sequence[str] = "all",
    severity: int | Sequence[int] = SEVERITIES,
    eight_bit: bool = True,
    seed: int = 0,
) -> xr.Dataset:
    """Every picture under every corruption asked for, at every severity.

    Random numbers belong to the picture: they depend on its pixels, the corruption and `seed`, not on other
    pictures, and are the same at all severities. Noise, fog, light and files are as strong as in CIFAR-10-C;
    the strength of the others is our choice.

    Reads    image (stimulus, channel, y, x) in [0, 1], grey or colour; corruption, "all" or names; severity,
             from 1 to 5; eight_bit, whether values are rounded to 255ths, as in a file
    Returns  image (stimulus, channel, y, x, corruption, severity) in [0, 1], with the coordinates of the
             pictures but their content
    Source   Hendrycks and Dietterich 2019, arXiv 1903.12261
    """
    names = NAMES if corruption == "all" else (corruption,) if isinstance(corruption, str) else corruption
    levels = (severity,) if isinstance(severity, int) else severity
    pixels = _pixels(stimuli)
    every = [[corrupted(pixels, name, level, eight_bit, seed) for level in levels] for name in names]
    made = np.moveaxis(np.array(every).reshape(len(names), len(levels), *pixels.shape), (0, 1), (-2, -1))
    dims = ("stimulus", "channel", "y", "x", "corruption", "severity")
    coords = _coords(stimuli) | {"corruption": list(names), "severity": list(levels)}
    told = {"seed": seed, "eight_bit": int(eight_bit), **_origin(stimuli)}
    return xr.Dataset({"image": (dims, made, {"units": "1", "range": "0-1"})}, coords, told)


def single(
    stimuli: xr.Dataset, *, corruption: str, severity: int, eight_bit: bool = True, seed: int = 0
) -> xr.Dataset:
    """Every picture under one corruption, as stimuli again.

    Reads    as `corrupt`, for one corruption and severity
    Returns  image (stimulus, channel, y, x) in [0, 1], with the coordinates of the pictures but their content
    Source   Hendrycks and Dietterich 2019, arXiv 1903.12261
    """
    made = corrupted(_pixels(stimuli), corruption, severity, eight_bit, seed)
    told = {"corruption": corruption, "severity": severity, "seed": seed, "eight_bit": int(eight_bit)}
    dims = ("stimulus", "channel", "y", "x")
    held = {"image": (dims, made, {"units": "1", "range": "0-1"})}
    return xr.Dataset(held, _coords(stimuli), told | _origin(stimuli))


def corrupted(
    pixels: np.ndarray, name: str, severity: int, eight_bit: bool = True, seed: int = 0
) -> np.ndarray:
    """Pictures of an array under one corruption.

    Reads    pixels (image, channel, y, x) in [0, 1]; name, of NAMES; severity, from 1 to 5
    Returns  the same shape, float32 in [0, 1]
    >>> grey = np.full((1, 1, 32, 32), 0.5, np.float32)
    >>> round(corrupted(grey, "brightness", 5).mean().item(), 2)
    0.8
    """
    if name not in TABLE:
        raise ValueError(f"corruption: {name!r} is not known; known are {', '.join(NAMES)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity: {severity!r}; wanted a whole number from 1 to 5")
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
        raise ValueError(f"image: {pixels.shape}; wanted pictures (image, channel, y, x) of 1 or 3 planes")
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError("image: leaves the range from 0 to 1; corrupt before anything is normalised")
    function, levels = TABLE[name]
    made = np.empty(pixels.shape, np.float32)
    for start in range(0, len(pixels), AT_ONCE):
        some = np.ascontiguousarray(pixels[start : start + AT_ONCE], np.float32)
        streams = [_stream(one, name, seed) for one in some]
        made[start : start + AT_ONCE] = function(some, streams, *levels[severity - 1])
    np.clip(made, 0, 1, out=made)
    return np.round(made * 255) / np.float32(255) if eight_bit else made


def relative(
    result: xr.Dataset, baseline: xr.Dataset, *, floor: float = 1.5, confidence: float = 0.95
) -> xr.Dataset:
    """How robust networks are as a share of a baseline: the ratio of accuracies at each severity, averaged.

    Where the baseline is near chance a ratio says nothing: cells below `floor` times chance are left out.

    Reads    corrupted (corruption, severity, method[, seed]) of `pipeline.stages.evaluate.run`, both with the
             same seeds, which are paired; floor, times chance
    Returns  relative (corruption, method), mean over severities, and total (method), unweighted mean over
             corruptions; raw, baseline and difference (corruption, severity, method); each with Student's
             _low and _high over seeds, NaN for fewer than two; kept (corruption, severity, method), 0 or 1
    Source   Safarani et al. 2021, arXiv 2107.14344 (score); the ratio per severity is our choice
    """
    return _corruptions_scores.relative(result, baseline, floor, confidence)


def plot(result: xr.Dataset) -> Figure:
    """The first picture under all corruptions; of `relative`, scores with intervals beside raw accuracies.

    Reads    what `corrupt`, `single` or `relative` returned
    Returns  a matplotlib Figure
    """
    return _corruptions_plots.drawn(result)


def _stream(picture: np.ndarray, name: str, seed: int) -> np.random.Generator:
    """Random numbers that belong to one picture, corruption and seed."""
    digest = hashlib.blake2b(picture.tobytes(), key=f"{seed} {name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _pixels(stimuli: xr.Dataset) -> np.ndarray:
    dims = ("stimulus", "channel", "y", "x")
    if "image" not in stimuli or stimuli["image"].dims != dims or "stimulus_id" not in stimuli.coords:
        raise ValueError("stimuli: have no image (stimulus, channel, y, x) with stimulus_id; give stimuli")
    return np.asarray(stimuli["image"].values)


def _coords(stimuli: xr.Dataset) -> dict[str, Any]:
    return {
        str(name): ("stimulus", coord.values) for name, coord in stimuli.coords.items()
        if coord.dims == ("stimulus",) and name not in ("stimulus", "content")
    }  # fmt: skip


def _origin(stimuli: xr.Dataset) -> dict[str, Any]:
    return {"origin": stimuli.attrs["origin"]} if "origin" in stimuli.attrs else {}
