"""Pictures on a surface, what networks and models of neurons answer to them, and searches for level sets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from loaders.schema import check
from pipeline.models import _seeded

from . import _landscape_search as _search
from . import record
from ._pictures import check_range, hashed
from .continua import applied, halves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIMS = ("stimulus", "channel", "y", "x")
MOST = 1000  # pictures whose directions are looked for


def grid(
    stimuli: xr.Dataset,
    weights: xr.Dataset | None = None,
    *,
    shape: str = "sphere",
    size: int = 21,
    directions: str = "pca",
    components: Sequence[int] = (0, 1, 2),
    radius: float = 1.0,
    seed: int = 0,
) -> xr.Dataset:
    """Pictures on half a sphere, or on a plane, about the mean picture, in a space of pixels or of a code.

    On the sphere a picture is mean + r (cos u cos v e₁ + sin u cos v e₂ + sin v e₃) at longitude u and
    latitude v from -90 to 90 degrees; on the plane it is mean + u e₁ + v e₂, u and v from -r to r.

    Reads    image (stimulus, channel, y, x) in [0, 1]; weights of an autoencoder, whose code is the space
             (none: pixels); directions "pca", the principal `components` of the pictures, or "pictures", as
             many of them less the mean, drawn from `seed` and made orthogonal; radius r, in mean distances of
             pictures from their mean
    Returns  image (stimulus, ...) with u, v; attrs grid, space, clipped, the share of pixels cut to [0, 1]
    Source   Wang and Ponce 2023, arXiv 2212.13285 (the sphere, in the code of a generator)
    """
    if shape not in ("sphere", "plane") or directions not in ("pca", "pictures"):
        raise ValueError(f"shape: {shape!r} of {directions!r}; use sphere or plane, and pca or pictures")
    if size < 6 or radius <= 0:
        raise ValueError(f"size: {size} with radius {radius}; wanted 6 places or more, and above 0")
    if len(components) != (3 if shape == "sphere" else 2):
        raise ValueError(f"components: {len(components)} for a {shape}; a sphere wants 3, a plane 2")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    count = stimuli.sizes["stimulus"]
    rows = np.sort(rng.permutation(count)[:MOST])
    pictures = np.array(stimuli["image"].transpose(*DIMS).values[rows], np.float32)
    check_range(pictures, 0)
    codes = pictures if weights is None else applied(halves(weights)[0], pictures)
    flat = codes.reshape(len(codes), -1).astype(float)
    mean = flat.mean(axis=0)
    about = flat - mean
    axes = _search.axes(about, directions, list(components), rng)
    reach = radius * float(np.linalg.norm(about, axis=1).mean())
    u, v, places = _search.surface(axes, shape, size, reach)
    made = (mean + places).reshape(-1, *codes.shape[1:]).astype(np.float32)
    made = made if weights is None else applied(halves(weights)[1], made)
    clipped = float(((made < 0) | (made > 1)).mean())
    made = np.ascontiguousarray(np.clip(made, 0, 1))
    held = {
        "stimulus_id": ("stimulus", [f"{shape}{k:04d}" for k in range(len(made))]),
        "content": ("stimulus", [hashed(one) for one in made]), "u": ("stimulus", u), "v": ("stimulus", v),
    }  # fmt: skip
    attrs = {"grid": shape, "space": "pixels" if weights is None else "autoencoder", "clipped": clipped,
             "directions": directions, "radius": radius, "seed": seed}  # fmt: skip
    return check(xr.Dataset({"image": (DIMS, made, {"units": "1", "range": "0-1"})}, held, attrs))


def sample(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    weights: xr.Dataset | None = None,
    layers: Sequence[str] = ("*",),
    units: int = 40,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    seed: int = 0,
) -> xr.Dataset:
    """What some units of each layer answer to a grid of pictures: of maps, those at the centre.

    Reads    stimuli of `grid`; model, weights, layers, mean, std as `record.activations`; units of each layer
             (0: all), drawn from `seed`, one a channel where a layer has a map for each
    Returns  response (presentation, neuroid) with u, v, layer; attrs grid, and of how many units they are
    """
    if "u" not in stimuli.coords or "v" not in stimuli.coords:
        raise ValueError("stimuli: have no u and v; give what stages.landscape.grid returns")
    whole = record.activations(stimuli, model, layers=layers, weights=weights, mean=mean, std=std)
    column = whole["layer"].values.astype(str)
    shapes = json.loads(whole.attrs["shapes"])
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rows = []
    for name, size in shapes.items():
        mine = np.flatnonzero(column == name)
        centre = mine if len(size) != 3 else mine.reshape(size)[:, size[1] // 2, size[2] // 2]
        drawn = np.sort(rng.permutation(centre.size)[: units or centre.size])
        rows.append(centre[drawn])
    made = whole.isel(neuroid=np.concatenate(rows))
    told = ("grid", "space", "clipped", "directions")
    kept = {key: stimuli.attrs[key] for key in told if key in stimuli.attrs}
    return made.assign_attrs(kept | {"units_of": int(column.size), "unit_seed": seed})


def level_sets(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    weights: xr.Dataset | None = None,
    layer: str,
    units: int = 8,
    dimensions: int = 20,
    levels: Sequence[float] = (0.3, 0.6, 0.7, 0.8, 0.9),
    draws: int = 12,
    steps: int = 40,
    peak_steps: int = 100,
    radius: float = 1.5,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    seed: int = 0,
) -> xr.Dataset:
    """The nearest and the farthest pictures at which a unit answers a share of its peak.

    Pictures are mean + Σ zᵢ eᵢ cut to [0, 1], in the first principal components of the stimuli, z in a ball.
    The distance is the root mean squared difference of pixels (where the published test has LPIPS). From
    around the peak and from anywhere, Adam lowers |f - ρ f*|, and ± the distance near the level; Newton
    steps along the gradient then bring each sample onto it.

    Reads    stimuli; model, weights, mean, std as `record.activations`; layer, whose units are drawn, at the
             centre of maps; radius of the ball, in mean lengths of z of the stimuli
    Returns  distance (unit 1, of the range of pixels), activation in shares of the peak (neuroid, arm,
             draw), target (draw); peak (neuroid). Flat units are left out and counted
    Source   Wang and Ponce 2023, arXiv 2212.13285
    """
    module, text = record.built(model, weights, seed)
    module.eval()
    picture, codes = _search.decoder(stimuli, dimensions, MOST, seed)
    view = _search.units(module, layer, units, picture, codes, mean, std, seed)
    target = np.repeat(np.asarray(levels, float), draws)
    kept, parts, peaks = [], [], []
    ball = radius * float(codes.norm(dim=1).mean())
    for number, answer in zip(view.names, view.answers, strict=True):
        with _seeded.apart(_stream(seed, number)):
            best, height = _search.peak(answer, codes, ball, peak_steps)
            if not height > 0:
                continue
            found = _search.level_sets(
                answer, partial(picture.distance, at=best), best, height, torch.from_numpy(target).float(),
                ball, steps,
            )  # fmt: skip
        kept.append(number)
        peaks.append(height)
        parts.append(found)
    if not kept:
        raise ValueError(f"layer: no unit of {layer!r} answers to any picture; name another")
    dims = ("neuroid", "arm", "draw")
    made: dict[str, Any] = {
        name: (dims, np.stack([part[k] for part in parts]).astype(float), {"units": "1"})
        for k, name in enumerate(("distance", "activation"))
    }
    made |= {"target": ("draw", target, {"units": "1"}), "peak": ("neuroid", np.array(peaks), {"units": "1"})}
    coords = {"arm": list(_search.ARMS), "neuroid_id": ("neuroid", [f"{layer}:{k}" for k in kept]),
              "layer": ("neuroid", [layer] * len(kept))}  # fmt: skip
    attrs = {"model": text, "dimensions": dimensions, "steps": steps, "seed": seed, "origin": "model",
             "left_out": len(view.names) - len(kept), "metric": "RMS difference of pixels"}  # fmt: skip
    return check(xr.Dataset(made, coords, attrs))


def _stream(seed: int, unit: int) -> int:
    return int(np.random.SeedSequence([seed, unit]).generate_state(1)[0])


def plot(result: xr.Dataset) -> Figure:
    """The pictures of a grid where they lie; of level sets, distance by share of the peak."""
    from matplotlib.figure import Figure

    if "activation" in result:
        made = Figure(figsize=(5.0, 3.6), layout="constrained", dpi=150)
        axes = made.subplots()
        for arm, mark in zip(result["arm"].values.tolist(), "ov^sxD", strict=False):
            one = result.sel(arm=arm)
            axes.plot(one["activation"].values.ravel(), one["distance"].values.ravel(), mark, color="0.4",
                      markersize=2.5, label=arm, fillstyle="none")  # fmt: skip
        axes.set_xlabel("answer (share of the peak)")
        axes.set_ylabel("distance from the peak (RMS of pixels)")
        axes.legend(fontsize=7, frameon=False)
        return made
    u, v = np.unique(result["u"].values), np.unique(result["v"].values)
    some = [axis[np.linspace(0, axis.size - 1, 7).astype(int)] for axis in (u, v)]
    made = Figure(figsize=(5.4, 5.6), layout="constrained", dpi=150)
    panels = made.subplots(7, 7)
    for row, latitude in enumerate(some[1][::-1]):
        for column, longitude in enumerate(some[0]):
            place = int(
                np.flatnonzero((result["u"].values == longitude) & (result["v"].values == latitude))[0]
            )
            axes = panels[row, column]
            axes.imshow(
                np.moveaxis(result["image"].values[place], 0, -1).squeeze(), cmap="gray", vmin=0, vmax=1
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 6:
                axes.set_xlabel(f"{longitude:.3g}", fontsize=7)
            if not column:
                axes.set_ylabel(f"{latitude:.3g}", fontsize=7)
    told = f"{result.attrs['grid']} in {result.attrs['space']}, {result.attrs['clipped']:.1%} of pixels cut"
    made.suptitle(f"u across, v up; {told}", fontsize=8)
    return made
