"""Lessons for a network that is to know corruptions: every picture clean, and once corrupted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from analyses import corruptions as spoiled
from loaders.schema import check

from ._pictures import hashed


def lessons(
    stimuli: xr.Dataset,
    *,
    corruptions: Sequence[str] | str = "all",
    severities: Sequence[int] = spoiled.SEVERITIES,
    seed: int = 0,
) -> xr.Dataset:
    """The pictures, and of each a copy under one corruption at one severity, drawn at random.

    Half of what an oracle sees is clean. It is trained on the corruptions that it is tested on, on other
    pictures: what robustness can be had, not what generalises.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; corruptions, "all" or names;
             severities from 1 to 5
    Returns  twice as many stimuli, with all labels and their own content; corruption (stimulus), "" for clean
    Source   Safarani et al. 2021, arXiv 2107.14344; Hendrycks and Dietterich 2019, arXiv 1903.12261
    """
    names = [*spoiled.NAMES] if corruptions == "all" else [*corruptions]
    if isinstance(corruptions, str) and corruptions != "all":
        names = [corruptions]
    draw = np.random.default_rng(np.random.SeedSequence([seed, 8]))
    order = np.argsort(stimuli["stimulus_id"].values.astype(str), kind="stable")
    kind = np.empty((2, len(order)), int)
    kind[:, order] = draw.integers(0, len(names), len(order)), draw.integers(0, len(severities), len(order))
    pixels = np.array(stimuli["image"].values, np.float32)
    made = np.empty_like(pixels)
    for place, level in np.unique(kind, axis=1).T:
        rows = np.flatnonzero((kind[0] == place) & (kind[1] == level))
        made[rows] = spoiled.corrupted(pixels[rows], names[place], int(severities[level]), seed=seed)
    both, told_of = [], ([""] * len(order), np.array(names)[kind[0]])
    for image, mark, told in zip((pixels, made), ("", " corrupted"), told_of, strict=True):
        part = stimuli.assign(image=(stimuli["image"].dims, image, {"units": "1"}))
        ids = np.char.add(stimuli["stimulus_id"].values.astype(str), mark)
        hashes = np.array([hashed(one) for one in image], str)
        coords = {"stimulus_id": ids, "content": hashes, "corruption": np.asarray(told, str)}
        both.append(part.assign_coords({name: ("stimulus", values) for name, values in coords.items()}))
    return check(xr.concat(both, "stimulus", combine_attrs="override"))
