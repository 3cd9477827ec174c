"""Weather of chance, no photograph of any: snow, crystals, fog and light."""

from __future__ import annotations

import numpy as np
from scipy import fft

from analyses._corruptions_blur import scaled, trailed
from analyses._corruptions_noise import Streams

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
NEEDLES = 4  # directions of crystals


def snow(
    x: np.ndarray, streams: Streams, mean: float, sd: float, size: float, least: float, length: float,
    spread: float, kept: float,
) -> np.ndarray:  # fmt: skip
    """Flakes above a threshold of a normal field, falling at a slant, on a paler picture."""
    high, wide = x.shape[-2:]
    scale = max(1.0, size * min(high, wide) / 32)
    shape = (int(np.ceil(high / scale)), int(np.ceil(wide / scale)))
    field = np.stack([stream.standard_normal(shape, np.float32) for stream in streams])
    angle = np.array([stream.uniform(np.pi / 4, 3 * np.pi / 4) for stream in streams])
    rows, columns = ((np.arange(side) / scale).astype(int) for side in (high, wide))
    flakes = (mean + sd * field)[:, rows][:, :, columns]
    flakes = np.where(flakes < least, 0, np.clip(flakes, 0, 1)).astype(np.float32)[:, None]
    flakes = trailed(flakes, angle, scaled(x, length / 2), scaled(x, spread / 2))
    pale = np.maximum(x, 1.5 * grey(x) + 0.5)
    return kept * x + (1 - kept) * pale + flakes + flakes[..., ::-1, ::-1]


def frost(x: np.ndarray, streams: Streams, kept: float, added: float) -> np.ndarray:
    """A sheet of seeded crystals over the picture: needles in a few directions, denser at the edges."""
    return kept * x + added * crystals(x, streams)[:, None]


def crystals(x: np.ndarray, streams: Streams) -> np.ndarray:
    """Textures (image, y, x) in [0, 1] of ridges: where smooth fields cross 0."""
    high, wide = x.shape[-2:]
    down, right = fft.fftfreq(high), fft.rfftfreq(wide)
    radius = np.hypot(down[:, None], right)
    made = np.zeros((len(x), high, wide), np.float32)
    direction = np.array([stream.uniform(0, np.pi, NEEDLES) for stream in streams])
    for needle in range(NEEDLES):
        noise = np.stack([stream.standard_normal((high, wide), np.float32) for stream in streams])
        turn = direction[:, needle, None, None]
        along = down[:, None] * np.sin(turn) + right * np.cos(turn)
        across = down[:, None] * np.cos(turn) - right * np.sin(turn)
        band = np.exp(-((along * scaled(x, 16)) ** 2) - ((across * scaled(x, 5)) ** 2)) * (radius > 0)
        field = fft.irfft2(fft.rfft2(noise) * band.astype(np.float32), (high, wide))
        field = field / np.maximum(field.std((1, 2), keepdims=True), 1e-6)
        made = np.maximum(made, np.exp(-((field / 0.25) ** 2)))
    rows, columns = np.abs(np.linspace(-1, 1, high)), np.abs(np.linspace(-1, 1, wide))
    return np.asarray(made * (0.45 + 0.55 * np.maximum(rows[:, None], columns)), np.float32)


def fog(x: np.ndarray, streams: Streams, strength: float, decay: float) -> np.ndarray:
    """Clouds whose amplitude falls as frequency^−(decay + 1)/2, and the contrast that they take."""
    high, wide = x.shape[-2:]
    radius = np.hypot(fft.fftfreq(high)[:, None] * high, fft.rfftfreq(wide) * wide)
    radius[0, 0] = np.inf
    noise = np.stack([stream.standard_normal((high, wide), np.float32) for stream in streams])
    fall = radius.astype(np.float32) ** -np.float32(decay / 2 + 0.5)
    clouds = fft.irfft2(fft.rfft2(noise) * fall, (high, wide))
    low = clouds.min((1, 2), keepdims=True)
    clouds = ((clouds - low) / np.maximum(clouds.max((1, 2), keepdims=True) - low, 1e-9))[:, None]
    most = np.maximum(x.max((1, 2, 3), keepdims=True), 1e-3)
    return np.asarray((x + strength * clouds) * most / (most + strength), np.float32)


def brightness(x: np.ndarray, streams: Streams, added: float) -> np.ndarray:
    """The value of hue, saturation and value raised, hue and saturation kept."""
    value = x.max(1, keepdims=True)
    raised = np.minimum(value + np.float32(added), 1)
    return np.where(value > 0, x * (raised / np.where(value > 0, value, 1)), raised)


def grey(x: np.ndarray) -> np.ndarray:
    """Luminance (image, 1, y, x)."""
    if x.shape[1] != 3:
        return x.mean(1, keepdims=True)
    return np.einsum("ncyx,c->nyx", x, GREY)[:, None]
