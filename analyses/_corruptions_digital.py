"""What processing does to pictures: contrast, bending, coarse pixels and JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from analyses._corruptions_blur import scaled, smooth
from analyses._corruptions_noise import Streams


def contrast(x: np.ndarray, streams: Streams, kept: float) -> np.ndarray:
    """The distance from the mean of each plane, made smaller."""
    mean = x.mean((2, 3), keepdims=True)
    return (x - mean) * np.float32(kept) + mean


def elastic(x: np.ndarray, streams: Streams, push: float, sd: float, slant: float) -> np.ndarray:
    """Bent by a smooth random field, after a random affine map that moves corners by up to `slant`."""
    high, wide = x.shape[-2:]
    field = np.stack([stream.uniform(-1, 1, (2, high, wide)) for stream in streams])
    corner = np.stack([stream.uniform(-1, 1, (3, 2)) for stream in streams]) * scaled(x, slant)
    field = smooth(field, scaled(x, sd)) * scaled(x, push) if push else np.zeros_like(field)
    rows, columns = np.meshgrid(np.arange(high, dtype=float), np.arange(wide, dtype=float), indexing="ij")
    down, right = rows / max(high - 1, 1), columns / max(wide - 1, 1)
    moved = corner[:, 0, :, None, None] + down * (corner[:, 1] - corner[:, 0])[..., None, None]
    moved = moved + right * (corner[:, 2] - corner[:, 0])[..., None, None]
    moved = moved + field
    return sampled(x, rows + moved[:, 0], columns + moved[:, 1])


def sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Pictures at places (image, y, x) between pixels, linearly; the edge goes on mirrored."""
    high, wide = x.shape[-2:]
    rows, columns = _mirrored(rows, high), _mirrored(columns, wide)
    low = np.clip(np.floor(rows).astype(np.int64), 0, max(high - 2, 0))
    left = np.clip(np.floor(columns).astype(np.int64), 0, max(wide - 2, 0))
    flat, made = x.reshape(*x.shape[:2], -1), np.zeros(x.shape, np.float32)
    for down in (0, 1):
        for right in (0, 1):
            place = np.minimum(low + down, high - 1) * wide + np.minimum(left + right, wide - 1)
            weight = (1 - abs(rows - low - down)) * (1 - abs(columns - left - right))
            found = np.take_along_axis(flat, place.reshape(len(x), 1, -1), axis=2).reshape(x.shape)
            made += found * weight.astype(np.float32)[:, None]
    return made


def _mirrored(place: np.ndarray, size: int) -> np.ndarray:
    """Places beyond the first or last of `size` pixels, folded back."""
    last = max(size - 1, 1)
    folded = np.abs(place) % (2 * last)
    return np.minimum(folded, 2 * last - folded)


def pixelate(x: np.ndarray, streams: Streams, share: float) -> np.ndarray:
    """Means over boxes, so many of them along a side as that share of its pixels."""
    maps = []
    for size in x.shape[-2:]:
        count = max(1, int(size * share))
        edge = np.arange(count + 1) * size / count
        pixel = np.arange(size)
        shared = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
        box = np.clip(shared, 0, None) * count / size
        maps.append(box[((pixel + 0.5) * count / size).astype(int)].astype(np.float32))
    return maps[0] @ x @ maps[1].T


def jpeg(x: np.ndarray, streams: Streams, quality: int) -> np.ndarray:
    """Written as JPEG of that quality and read back."""
    whole = np.clip(np.round(x * 255), 0, 255).astype(np.uint8)
    made = np.empty(x.shape, np.float32)
    for k, one in enumerate(whole):
        made[k] = _through(one, quality)
    return made / np.float32(255)


def _through(picture: np.ndarray, quality: int) -> np.ndarray:
    held = Image.fromarray(picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, -1))
    with io.BytesIO() as file:
        held.save(file, "JPEG", quality=quality)
        with Image.open(file) as read:
            found = np.asarray(read)
    return found[None] if found.ndim == 2 else np.moveaxis(found, -1, 0)
