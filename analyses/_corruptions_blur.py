"""Blur: every length is in pixels of a picture 32 wide, and grows with the side."""

from __future__ import annotations

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from analyses._corruptions_noise import Streams

SIDE = 32  # the side that lengths are told for


def scaled(x: np.ndarray, length: float) -> float:
    """A length in pixels of these pictures."""
    return length * min(x.shape[-2:]) / SIDE


def smooth(x: np.ndarray, sd: float) -> np.ndarray:
    """Convolved with a normal density of that SD in pixels, edges mirrored."""
    if sd <= 0:
        return x
    for axis in (-2, -1):
        x = gaussian_filter1d(x, sd, axis=axis, mode="reflect", truncate=3)
    return x


def defocus(x: np.ndarray, streams: Streams, radius: float) -> np.ndarray:
    """Convolved with a disk, whose edge is as smooth as pixels are wide."""
    radius = scaled(x, radius)
    reach = max(1, int(np.ceil(radius)))
    along = np.arange(-reach, reach + 1)
    disk = np.clip(radius + 0.5 - np.hypot(along[:, None], along), 0, 1)
    disk /= disk.sum()
    wide = np.pad(x, [(0, 0), (0, 0), (reach, reach), (reach, reach)], mode="symmetric")
    made = np.zeros_like(x)
    for row, column in zip(*np.nonzero(disk), strict=True):
        part = wide[..., row : row + x.shape[-2], column : column + x.shape[-1]]
        made += np.float32(disk[row, column]) * part
    return made


def glass(x: np.ndarray, streams: Streams, sd: float, reach: float, share: float) -> np.ndarray:
    """A share of the pixels exchanged with neighbours, one after another, between two blurs."""
    x = smooth(x, scaled(x, sd)).copy()
    high, wide = x.shape[-2:]
    span = max(1, round(scaled(x, reach)))
    if min(high, wide) <= 2 * span:
        return smooth(x, scaled(x, sd))
    size = (2, high - 2 * span, wide - 2 * span)
    moved = np.stack([stream.random(size[1:], np.float32) for stream in streams], axis=-1) < share
    steps = np.stack([stream.integers(-span, span + 1, size, np.int8) for stream in streams], axis=-1)
    jump = np.where(moved, steps[0].astype(np.int64) * wide + steps[1], 0)
    flat = np.ascontiguousarray(np.moveaxis(x.reshape(*x.shape[:2], -1), 0, -1))
    every = np.arange(len(x))
    for row in range(high - 2 * span):
        for column in range(wide - 2 * span):
            here = (row + span) * wide + column + span
            there, held = here + jump[row, column], flat[:, here].copy()
            flat[:, here] = flat[:, there, every]
            flat[:, there, every] = held
    return smooth(np.moveaxis(flat, -1, 0).reshape(x.shape), scaled(x, sd))


def motion(x: np.ndarray, streams: Streams, length: float, sd: float) -> np.ndarray:
    """A trail that fades with distance, up to 45 degrees from the horizontal."""
    angle = np.array([stream.uniform(-np.pi / 4, np.pi / 4) for stream in streams])
    return trailed(x, angle, scaled(x, length), scaled(x, sd))


def trailed(x: np.ndarray, angle: np.ndarray, length: float, sd: float) -> np.ndarray:
    """Every picture convolved with a line from its pixel in a direction, weights of half a normal density."""
    reach = int(np.ceil(length)) + 1
    far = np.linspace(0, length, 2 * int(np.ceil(length)) + 1)
    kernel = np.zeros((len(x), 2 * reach + 1, 2 * reach + 1), np.float32)
    rows, every = np.outer(np.sin(angle), far) + reach, np.arange(len(x))[:, None]
    columns = np.outer(np.cos(angle), far) + reach
    weight = np.exp(-0.5 * (far / sd) ** 2)
    low, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            part = (1 - abs(rows - low - down)) * (1 - abs(columns - left - right)) * weight
            np.add.at(kernel, (every, low + down, left + right), part.astype(np.float32))
    kernel /= kernel.sum((1, 2), keepdims=True)
    wide = np.pad(x, [(0, 0), (0, 0), (reach, reach), (reach, reach)], mode="symmetric")
    shape = tuple(fft.next_fast_len(size + 2 * reach, real=True) for size in wide.shape[-2:])
    both = fft.rfft2(wide, shape) * fft.rfft2(kernel, shape)[:, None]
    found = fft.irfft2(both, shape)[..., 2 * reach :, 2 * reach :]
    return np.ascontiguousarray(found[..., : x.shape[-2], : x.shape[-1]], np.float32)


def zoom(x: np.ndarray, streams: Streams, largest: float) -> np.ndarray:
    """The mean of the picture and of its enlargements in steps of 1 %."""
    made = x.copy()
    factors = np.arange(1.01, largest + 1e-9, 0.01)
    for factor in factors:
        rows, columns = (enlarged(size, factor) for size in x.shape[-2:])
        made += rows @ x @ columns.T
    return made / np.float32(len(factors) + 1)


def enlarged(size: int, factor: float) -> np.ndarray:
    """The map (new, old) of a line of pixels that is enlarged about its middle, linear between pixels."""
    place = np.clip((np.arange(size) - (size - 1) / 2) / factor + (size - 1) / 2, 0, size - 1)
    low = np.minimum(np.floor(place).astype(int), max(size - 2, 0))
    made = np.zeros((size, size), np.float32)
    made[np.arange(size), low] = 1 - (place - low)
    made[np.arange(size), np.minimum(low + 1, size - 1)] += place - low
    return made
