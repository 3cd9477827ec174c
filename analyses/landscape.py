"""Tuning landscapes: what a neuroid answers over a surface of pictures, its level sets, its peaks.

A recording of a grid of pictures in, one labelled answer out: of neurons, their models and units alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _landscape_levels as _levels
from analyses import _landscape_maps as _maps
from analyses import _landscape_trend as _trend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE = {"units": "1"}
SHAPES = ("sphere", "plane")


def maps(recording: xr.Dataset, *, u: str = "u", v: str = "v", shape: str = "") -> xr.Dataset:
    """Mean response of each neuroid to every picture of a grid, with its standard error.

    Reads    response (presentation, neuroid); u, v (presentation), on a sphere longitude and latitude in
             degrees; shape "sphere" or "plane" (none: as the recording says)
    Returns  tuning, sem (u, v, neuroid), in the response's unit; sem is NaN where a picture was shown once
    >>> grid = {"u": ("presentation", [0, 0, 1, 1]), "v": ("presentation", [0, 1, 0, 1])}
    >>> maps(xr.Dataset({"response": (("presentation", "neuroid"), np.ones((4, 3)))}, grid)).tuning.shape
    (2, 2, 3)
    """
    shape = _shape(shape or str(recording.attrs.get("grid", "plane")))
    first, second, mean, error, shown = _maps.folded(recording, u, v)
    units = {"units": str(recording["response"].attrs.get("units", "1"))}
    dims = ("u", "v", "neuroid")
    coords: dict[str, Any] = {"u": first, "v": second}
    coords |= {str(name): item for name, item in recording.coords.items() if item.dims == ("neuroid",)}
    kept = ("origin", "model", "weights_sha256", "space", "clipped", "units_of")
    facts = {key: recording.attrs[key] for key in kept if key in recording.attrs}
    facts |= {"grid": shape, "presentations": shown}
    return xr.Dataset({"tuning": (dims, mean, units), "sem": (dims, error, units)}, coords, facts)


def smoothed(
    tuning: xr.Dataset, *, resolution: int = 181, noise: float | None = None, clip: bool = True
) -> xr.Dataset:
    """Maps as smooth surfaces: splines as close to the data as their noise, and no closer.

    The squared residuals of a neuroid's spline sum to the sum of its SEM²; without repetitions it goes
    through all responses.

    Reads    tuning, sem (u, v, neuroid) of `maps`; resolution, places along each axis (181 is one degree on
             a hemisphere); noise, a standard error for all neuroids in place of the measured; clip, whether
             values below 0 become 0
    Returns  tuning (u, v, neuroid) at more places; slack (neuroid), what the residuals were allowed
    Source   Wang and Ponce 2023, arXiv 2212.13285; Dierckx 1993
    """
    if resolution < 5:
        raise ValueError(f"resolution: {resolution}; give 5 places or more along an axis")
    shape = _shape(str(tuning.attrs.get("grid", "plane")))
    u, v = (np.asarray(tuning[name].values, float) for name in ("u", "v"))
    if min(u.size, v.size) < (6 if shape == "sphere" else 4):
        raise ValueError(
            f"u: a grid of {u.size} x {v.size} pictures; a spline wants 6 x 6 on a sphere, 4 x 4 else"
        )
    if shape == "sphere" and (abs(v[0] + 90) > 1e-6 or abs(v[-1] - 90) > 1e-6):
        raise ValueError(f"v: goes from {v[0]:g} to {v[-1]:g}; on a sphere it wants latitudes from -90 to 90")
    fine = (np.linspace(u[0], u[-1], resolution), np.linspace(v[0], v[-1], resolution))
    field = tuning["tuning"].transpose("neuroid", "u", "v").values.astype(float)
    error = tuning["sem"].transpose("neuroid", "u", "v").values
    error = error if noise is None else np.full(field.shape, float(noise))
    slack = np.array([_maps.slack(each, shape) for each in error])
    made = np.stack([
        _maps.smooth(u, v, one, s, shape, fine) if np.ptp(one) > 0 else np.full((resolution,) * 2, one.mean())
        for one, s in zip(field, slack, strict=True)
    ])  # fmt: skip
    made = np.maximum(made, 0) if clip else made
    coords = {name: item for name, item in tuning.coords.items() if item.dims == ("neuroid",)}
    variables = {
        "tuning": (("u", "v", "neuroid"), np.moveaxis(made, 0, -1), dict(tuning["tuning"].attrs)),
        "slack": ("neuroid", slack, ONE),
    }
    facts = tuning.attrs | {"resolution": resolution, "clip": int(clip)}
    facts["smoothing"] = "given noise" if noise is not None else "measured noise" if slack.any() else "none"
    return xr.Dataset(variables, {"u": fine[0], "v": fine[1], **coords}, facts)


def signature(tuning: xr.Dataset, *, levels: int = 21, height: float = 0.5, flat: float = 1e-6) -> xr.Dataset:
    """How the level sets of each map change with the level: closed loops, lines that end at the border.

    Levels are even from minimum to maximum. The lowest and the highest are left out of every summary, since
    there curves are borders and points. Single peaks are what `single_branch` counts: the lowest level down
    to which, from the top, there is one curve alone.

    Reads    tuning (u, v, neuroid), of `smoothed`; height, the share of the range above which the peak is
             fitted; flat, the range below which a map is dead, as a share of the largest of its layer
    Returns  loops, lines (level, neuroid); loop_area, line_area, branch_area, over level / maximum;
             single_branch and single_loop (index of the level), single_branch_level (share of the maximum);
             aspect of the loops around the peak, 1 for circles; local_r2, local_width, global_r2,
             global_width of isotropic radial basis functions at the peak; sparseness, 1 - mean / maximum;
             peak_u, peak_v; flat, NaN and false for all else (neuroid)
    Source   Wang and Ponce 2023, arXiv 2212.13285; Lorensen and Cline 1987, doi 10.1145/37402.37422
    """
    if levels < 4 or not 0 < height < 1:
        raise ValueError(
            f"levels: {levels}, height {height}; wanted 4 levels or more, and a share of the range"
        )
    shape = _shape(str(tuning.attrs.get("grid", "plane")))
    field = tuning["tuning"].transpose("neuroid", "u", "v").values.astype(float)
    grid = np.meshgrid(tuning["u"].values, tuning["v"].values, indexing="ij")
    reach = np.ptp(field.reshape(len(field), -1), axis=1)
    dead = reach <= flat * _levels.largest(reach, tuning)
    counted = np.full((len(field), 2, levels), np.nan)
    shapes = np.full((len(field), len(_levels.SHAPES)), np.nan)
    for k in np.flatnonzero(~dead):
        counted[k], shapes[k] = _levels.described(field[k], grid, levels, height, shape)
    dims = ("level", "neuroid")
    made: dict[str, Any] = {name: (dims, counted[:, n].T, ONE) for n, name in enumerate(("loops", "lines"))}
    made |= {
        name: ("neuroid", shapes[:, n], {"units": unit})
        for n, (name, unit) in enumerate(_levels.SHAPES.items())
    }
    made["flat"] = ("neuroid", dead, ONE)
    coords = {str(name): item for name, item in tuning.coords.items() if item.dims == ("neuroid",)}
    facts = tuning.attrs | {
        "levels": levels,
        "height": height,
        "dead": int(dead.sum()),
        "n": int((~dead).sum()),
    }
    return xr.Dataset(made, {"level": np.arange(levels), **coords}, facts)


def isotropy(
    samples: xr.Dataset,
    *,
    levels: Sequence[float] = (0.6, 0.7, 0.8, 0.9),
    close: float = 0.02,
    fewest: int = 10,
) -> xr.Dataset:
    """Is a neuroid a radial basis function of the distance from its best picture, nearby and everywhere?

    A level set is isotropic where its farthest and its nearest point lie equally far from the peak.

    Reads    distance, activation (neuroid, arm, draw), of `stages.landscape.level_sets`, and target (draw),
             the share of the peak that was aimed at; levels that count; close, how near to its target an
             activation must be, as a share of the peak; fewest samples of a level, else it is left out
    Returns  maxmin_ratio, 1 for a local radial basis function; global_ratio, the farthest picture anywhere to
             the farthest of the peak's surroundings, above 1 where it is not a global one; reached, the share
             of samples at their targets; over, samples above the peak, which then is none (neuroid)
    Source   Wang and Ponce 2023, arXiv 2212.13285
    """
    return _levels.isotropy(samples, np.asarray(levels, float), close, fewest)


def reliability(
    recording: xr.Dataset, *, resolution: int = 91, noise: bool = True, seed: int = 0
) -> xr.Dataset:
    """Signatures of two halves of the presentations of every picture, compared over neuroids.

    Reads    response (presentation, neuroid) with u, v, two presentations of each picture at least; noise,
             whether maps are smoothed to their measured noise, which wants four
    Returns  r (condition), Spearman's between halves over neuroids, of each scalar of `signature`
    Source   Wang and Ponce 2023, arXiv 2212.13285
    """
    parts = _trend.halves(recording, 4 if noise else 2, seed)
    found = [
        signature(smoothed(maps(part), resolution=resolution, noise=None if noise else 0.0)) for part in parts
    ]
    return _trend.agreement(found[0], found[1])


def trend(
    trained: xr.Dataset,
    untrained: xr.Dataset | None = None,
    *,
    names: Sequence[str] = ("trained", "untrained"),
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Does the shape of landscapes change with depth, and more so after training?

    Reads    `signature` of one network, or of several joined along `seed`, with layer (neuroid) in order of
             depth; untrained, of their twins
    Returns  each scalar's mean (arm, layer, condition), Spearman's rho with depth over neuroids (arm,
             condition), and the difference of both rhos, each with _low and _high: starts, and neuroids of
             layers within them, drawn again; rho_matched, given sparseness, the control for sparser firing;
             loops, lines (arm, layer, level), means over neuroids; live (arm, layer), neuroids not flat
    Source   Wang and Ponce 2023, arXiv 2212.13285; Efron and Tibshirani 1993, doi
             10.1007/978-1-4899-4541-9
    """
    given = [part for part in (trained, untrained) if part is not None]
    return _trend.across(given, list(names)[: len(given)], bootstraps, confidence, seed)


def plot(result: xr.Dataset) -> Figure:
    """Maps with their level sets; loops and lines by level; the trend over layers; level sets of a peak.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    from analyses import _landscape_plots

    return _landscape_plots.drawn(result)


def _shape(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"shape: {name!r}; use 'sphere' or 'plane'")
    return name
