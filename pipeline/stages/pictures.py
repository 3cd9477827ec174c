"""Pictures at another size, or some of them, as stimuli of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from loaders.schema import check

from . import _pictures

AT_ONCE = 64


def resized(stimuli: xr.Dataset, *, size: int) -> xr.Dataset:
    """The same pictures with `size` pixels a side, bilinear with antialiasing.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id
    Returns  image, unit 1, with every label; content is the hash of the new pixels. ValueError where no size
             is given
    """
    if size < 1:
        raise ValueError(f"size: {size}; wanted one pixel at least")
    dims = ("stimulus", "channel", "y", "x")
    if "image" not in stimuli or stimuli["image"].dims != dims:
        raise ValueError(f"stimuli: have no image with dimensions {dims}; give what images.stimuli returns")
    image, found = stimuli["image"], []
    for start in range(0, image.sizes["stimulus"], AT_ONCE):
        pixels = torch.from_numpy(np.array(image[start : start + AT_ONCE].values, np.float32))
        found.append(_pictures.resized(pixels, size).numpy())
    made = np.concatenate(found) if found else np.zeros((0, image.sizes["channel"], size, size), np.float32)
    content = np.array([_pictures.hashed(picture) for picture in made], str)
    coords: dict[Any, Any] = {
        name: item.variable for name, item in stimuli.coords.items() if item.dims == ("stimulus",)
    }
    coords |= {"content": ("stimulus", content)}
    return check(xr.Dataset({"image": (dims, made, image.attrs | {"units": "1"})}, coords, stimuli.attrs))


def some(stimuli: xr.Dataset, *, count: int, seed: int = 0) -> xr.Dataset:
    """A few of the pictures, drawn at random, in their order.

    Reads    stimuli, with any variables; count, how many
    Returns  the same variables and labels of these stimuli; ValueError where there are not as many
    """
    many = stimuli.sizes["stimulus"]
    if not 1 <= count <= many:
        raise ValueError(f"count: {count} of {many} pictures; give 1 to {many}")
    drawn = np.random.default_rng(np.random.SeedSequence(seed)).permutation(many)[:count]
    return stimuli.isel(stimulus=np.sort(drawn))
