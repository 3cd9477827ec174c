"""Pictures on their way into a network: known by their hash, within range, resized, normalised."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr
from torch import nn

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_filter(mean: Sequence[float], std: Sequence[float]) -> None:
    """ValueError when there are not as many numbers of both, or a scale is not above 0."""
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise ValueError(f"std: {list(std)} for mean {list(mean)}; wanted as many, and above 0")


def check_range(pixels: np.ndarray, start: int) -> None:
    """ValueError names the first pixel that is not in [0, 1]; `start` is the place of the first picture."""
    low, high = map(
        float, torch.aminmax(torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy()))
    )
    if low >= 0 and high <= 1:
        return
    bad = np.argwhere(~((pixels >= 0) & (pixels <= 1)))[0].tolist()
    value, place = float(pixels[tuple(bad)]), (start + bad[0], *bad[1:])
    why = "leaves the range from 0 to 1; undo the normalisation, and give mean and std"
    raise ValueError(
        f"image: is {value:g} at {place}; it {why if np.isfinite(value) else 'must be a number'}"
    )


def hashed(picture: np.ndarray) -> str:
    """The content hash that `loaders.images` gives a picture (channel, y, x)."""
    return hashlib.sha256(picture.tobytes() + repr(picture.shape).encode()).hexdigest()


def resized(x: torch.Tensor, size: int | None) -> torch.Tensor:
    """Pictures of `size` pixels a side, bilinearly; as they are for None."""
    if size is None:
        return x
    return nn.functional.interpolate(x, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


def normalised(x: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Mean removed and scale divided by, channel by channel; as they are without numbers."""
    if not len(mean):
        return x
    return (x - x.new_tensor(mean)[:, None, None]) / x.new_tensor(std)[:, None, None]


def sheet(stimuli: xr.Dataset, most: int = 40) -> Figure:
    """The first pictures of a set, with their names; only what is shown is read."""
    from matplotlib.figure import Figure

    image = stimuli["image"].transpose("stimulus", "y", "x", "channel")
    count = min(image.sizes["stimulus"], most)
    across = min(count, 8)
    down = -(-count // across)
    figure = Figure(figsize=(1.0 * across, 1.15 * down + 0.3), layout="constrained", dpi=150)
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, name in zip(
        axes.flat, image[:count].values, stimuli["stimulus_id"].values[:count], strict=False
    ):
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(str(name)[:16], fontsize=5)
    figure.suptitle(f"{count} of {image.sizes['stimulus']} pictures", fontsize=7)
    return figure
