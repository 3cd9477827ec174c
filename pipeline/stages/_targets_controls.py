"""Numbers that stand in the place of responses: exchanged, random, of pixels, of another network."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

KINDS = (
    "shuffled", "gaussian", "pixels", "low-pass", "random network", "trained network", "other recording"
)  # fmt: skip
SHUFFLE, GAUSS, PLACES, UNITS = range(4)  # streams of random numbers that one seed has
FLAT = 1e-12  # of the mean square: a unit that does not vary
LEAST = 0.2  # of the pictures, where a unit does something else than usual
AT_ONCE = 64  # pictures


def rng(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, 76, stream]))


def shuffled(values: np.ndarray, names: np.ndarray, seed: int) -> np.ndarray:
    """Rows exchanged so that none stays; the same for each name in whatever order they come."""
    if len(values) < 2:
        raise ValueError("target: holds one picture; there is none to exchange it with")
    order = np.argsort(names, kind="stable")[rng(seed, SHUFFLE).permutation(len(values))]
    made = np.empty_like(values)
    made[order] = values[np.roll(order, 1)]
    return made


def gaussian(values: np.ndarray, seed: int) -> np.ndarray:
    """Normal numbers whose mean and covariance over rows are exactly those of `values`."""
    mean = values.mean(0)
    left, size, right = np.linalg.svd(values - mean, full_matrices=False)
    drawn = rng(seed, GAUSS).normal(size=left.shape)
    basis, _ = np.linalg.qr(drawn - drawn.mean(0))
    kept = size > 1e-10 * size.max(initial=0)
    return np.asarray(mean + basis[:, kept] * size[kept] @ right[kept])


def places(image: xr.DataArray, count: int, blur: float, seed: int) -> np.ndarray:
    """Colours of pictures at random places, mixed by random weights; blurred first, SD `blur` sides."""
    if not 0 <= blur < 1:
        raise ValueError(f"blur: {blur}; wanted a share of the picture's side, from 0 to below 1")
    channels, high, wide = image.shape[1:]
    draw = rng(seed, PLACES)
    y, x = draw.integers(0, high, count), draw.integers(0, wide, count)
    colour = draw.normal(size=(count, channels)) + 1
    spread = (0, 0, blur * high, blur * wide)
    found = []
    for start in range(0, len(image), AT_ONCE):
        pixels = np.asarray(image[start : start + AT_ONCE].values, float)
        smooth = gaussian_filter(pixels, spread, mode="mirror") if blur else pixels
        found.append(np.einsum("ncq,qc->nq", smooth[:, :, y, x], colour))
    return np.concatenate(found)


def drawn(units: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` units (picture, unit) that answer a share of the pictures at least, drawn at random."""
    active = (units != np.median(units, 0)).mean(0) >= LEAST
    varies = np.flatnonzero(active & (units.var(0) > FLAT * (units**2).mean(0)))
    if varies.size < count:
        raise ValueError(f"layer: {varies.size} of its units vary and {count} are wanted; name a wider one")
    return units[:, np.sort(rng(seed, UNITS).permutation(varies)[:count])]


def matched(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Columns with the mean and SD over rows of those of the target."""
    spread = values.std(0)
    standing = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    return np.asarray(standing * target.std(0) + target.mean(0))
