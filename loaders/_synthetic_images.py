"""Drawn faces whose mean luminance is what the simulated brain answered, to the last digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from . import _synthetic_meg, schema
from ._sensors import Floats

LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
CONTRAST = 0.1  # SD of the pixels of a picture, where its luminance leaves room for it
GEOMETRY = {  # mean, SD over people, SD over the pictures of one person; in half pictures
    "x": (0.0, 0.0, 0.05), "y": (0.0, 0.0, 0.05), "tilt": (0.0, 0.0, 0.1), "turn": (0.0, 0.0, 0.08),
    "width": (0.55, 0.04, 0.03), "height": (0.75, 0.05, 0.03), "eyes": (0.24, 0.025, 0.01),
    "brow": (0.2, 0.03, 0.01), "mouth": (0.22, 0.03, 0.03), "lips": (0.06, 0.012, 0.015),
    "chin": (0.36, 0.03, 0.02), "hair": (0.45, 0.06, 0.02),
}  # fmt: skip
TONES = {  # brightness of each part against the skin's, the same three numbers
    "background": (-0.5, 0.0, 0.5), "hair": (-0.7, 0.3, 0.1), "eyes": (-1.2, 0.1, 0.1),
    "brows": (-0.6, 0.2, 0.1), "nose": (0.25, 0.05, 0.1), "mouth": (-0.6, 0.1, 0.2),
    "light": (0.0, 0.0, 0.4), "above": (0.15, 0.0, 0.3),
}  # fmt: skip
TEXTURE = {"skin": (0.06, 0.1), "photograph": (0.04, 0.12)}  # grain in half pictures, SD


def faces(
    seed: int, identities: int, images: int, luminance_confound: float, size: int, colour: float
) -> xr.Dataset:
    """What `synthetic.face_images` documents."""
    _check(identities, images, size, colour)
    switch = {"identities": identities, "images": images, "luminance_confound": luminance_confound}
    level = _synthetic_meg._luminance(seed, switch)
    if not 0.02 <= level.min() <= level.max() <= 0.98:
        raise ValueError(
            f"luminance_confound: {luminance_confound}: asks for a mean luminance of "
            f"{level.min():.2f} to {level.max():.2f}; pictures have 0 to 1, give less"
        )
    rng = _synthetic_meg._stream(seed, "faces")
    geometry, tones = _drawn(rng, GEOMETRY, level.shape), _drawn(rng, TONES, level.shape)
    skin = rng.standard_normal((*level.shape[:2], 1, size, size))
    photograph = rng.standard_normal((*level.shape, size, size))
    picture = _pictures(geometry, tones, size)
    for field, (grain, spread) in zip((skin, photograph), TEXTURE.values(), strict=True):
        smooth = gaussian_filter(field, (*[0] * (field.ndim - 2), *[0.5 * size * grain] * 2), mode="wrap")
        picture = picture + spread * smooth / smooth.std(axis=(-2, -1), keepdims=True)
    contrast = CONTRAST * np.exp(0.15 * rng.standard_normal(level.shape))
    hue = _hues(rng, level.shape, colour)
    return _stimuli(_exposed(picture, level, contrast, hue), level)


def _check(identities: int, images: int, size: int, colour: float) -> None:
    for name, value, least in (("identities", identities, 1), ("images", images, 1), ("size", size, 8)):
        if value < least:
            raise ValueError(f"{name}: {value}: must be {least} or more; give a whole number")
    if not 0 <= colour <= 1:
        raise ValueError(f"colour: {colour}: is not 0 (grey) to 1; give a number between")


def _drawn(
    rng: np.random.Generator, table: dict[str, tuple[float, float, float]], shape: tuple[int, ...]
) -> dict[str, Floats]:
    """Each number of each picture (class, identity, image, 1, 1): what a person shares and what varies."""
    return {
        name: (mean + people * rng.standard_normal((*shape[:2], 1)) + pictures * rng.standard_normal(shape))[
            ..., None, None
        ]
        for name, (mean, people, pictures) in table.items()
    }


def _pictures(geometry: dict[str, Floats], tones: dict[str, Floats], size: int) -> Floats:
    """Skin is 0; the parts of a face are painted over it, later ones over earlier ones."""
    g, grid = geometry, (np.arange(size) + 0.5) / size * 2 - 1
    down, right = np.meshgrid(grid, grid, indexing="ij")
    cos, sin = np.cos(g["tilt"]), np.sin(g["tilt"])
    x = cos * (right - g["x"]) + sin * (down - g["y"])
    y = cos * (down - g["y"]) - sin * (right - g["x"])
    inner = x - g["turn"]
    soft = 1.5 / size
    head = _ellipse(x, y, g["width"], g["height"], soft)
    picture = tones["light"] * x + tones["above"] * y
    picture = picture + tones["hair"] * head * _edge(-y - g["hair"], soft)
    for side in (-1, 1):
        across = inner - side * g["eyes"]
        picture = picture + tones["brows"] * _ellipse(across, y + g["brow"] + 0.13, 0.13, 0.035, soft)
        picture = picture + tones["eyes"] * _ellipse(across, y + g["brow"], 0.09, 0.055, soft)
    picture = picture + tones["nose"] * _ellipse(inner, y - 0.08, 0.06, 0.2, soft)
    picture = picture + tones["mouth"] * _ellipse(inner, y - g["chin"], g["mouth"], g["lips"], soft)
    return np.asarray(head * picture + (1 - head) * tones["background"])


def _ellipse(x: Floats, y: Floats, width: Floats | float, height: Floats | float, soft: float) -> Floats:
    return _edge((1 - np.sqrt((x / width) ** 2 + (y / height) ** 2)) * np.minimum(width, height), soft)


def _edge(inside: Floats, soft: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(np.clip(-inside / soft, -50, 50))))


def _hues(rng: np.random.Generator, shape: tuple[int, ...], colour: float) -> Floats | None:
    """A tint (class, identity, image, channel) that has no luminance: warm for all, by person and picture."""
    if colour == 0:
        return None
    people, pictures = rng.standard_normal((*shape[:2], 1, 3)), rng.standard_normal((*shape, 3))
    tint = np.array([0.05, 0.0, -0.04]) + 0.01 * people + 0.015 * pictures
    return np.asarray(colour * (tint - (tint @ LUMA)[..., None]))


def _exposed(picture: Floats, level: Floats, contrast: Floats, hue: Floats | None) -> Floats:
    """Pictures (…, channel, y, x) in [0, 1] whose mean luminance is `level`: contrast and colour give way,
    nothing is clipped."""
    flat = picture - picture.mean(axis=(-2, -1), keepdims=True)
    flat = flat * (contrast[..., None, None] / flat.std(axis=(-2, -1), keepdims=True))
    tinted = flat[..., None, :, :] if hue is None else flat[..., None, :, :] + hue[..., None, None]
    tinted = tinted - _luma(tinted).mean(axis=(-2, -1))[..., None, None, None]
    highest, lowest = tinted.max(axis=(-3, -2, -1)), -tinted.min(axis=(-3, -2, -1))
    room = np.minimum(1.0, np.minimum((1 - level) / highest, level / lowest) * (1 - 1e-9))
    return np.asarray(level[..., None, None, None] + room[..., None, None, None] * tinted)


def _luma(picture: Floats) -> Floats:
    weights = LUMA if picture.shape[-3] == 3 else np.ones(1)
    return np.asarray(np.einsum("...cyx,c->...yx", picture, weights))


def _stimuli(image: Floats, level: Floats) -> xr.Dataset:
    classes, identities, images = level.shape
    people = [f"{'uf'[y]}{i + 1:02d}" for y in range(classes) for i in range(identities)]
    told: dict[str, NDArray[Any]] = {
        "stimulus_id": np.array([f"{name}-{k + 1}" for name in people for k in range(images)]),
        "identity": np.repeat(people, images),
        "familiar": np.repeat(np.arange(classes), identities * images),
        "luminance": level.ravel(),
    }
    pixels = image.reshape(-1, *image.shape[-3:])
    return schema.check(
        xr.Dataset(
            {"image": (("stimulus", "channel", "y", "x"), pixels, {"units": "1", "range": "0-1"})},
            {name: ("stimulus", values) for name, values in told.items()},
            {"origin": "simulated"},
        )
    )
