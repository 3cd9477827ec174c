"""From recordings to the arrays of population geometry and back: selection, labels, blocks of time, tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _geometry_capacity, _geometry_centres, _geometry_glue
from analyses import folds as _folds
from analyses._decode import finite
from analyses._labelled import over, values
from analyses._tasks import INHERITED, TRIALS

AT_ONCE = 1024  # neuroids projected together
SHAPE = ("load", "error", "radius", "dimension", "projected", "naive_radius", "before", "after", "rank")


class Asked(NamedTuple):
    """Of a mean-field capacity: margin, whether the global mean is removed, directions to remove, restarts,
    the Gaussian vectors of each manifold, and the seed of the restarts.
    """

    margin: float
    centred: bool
    rank: int | None
    restarts: int
    normals: list[np.ndarray]
    seed: int


def chosen(recording: xr.Dataset, where: Mapping[str, Any] | None) -> xr.Dataset:
    """Presentations whose coordinates have the values asked for; `response` with time as its last
    dimension.
    """
    for name, wanted in (where or {}).items():
        options = [wanted] if isinstance(wanted, (str, int, float)) else list(wanted)
        column = values(recording, name).astype(str)
        keep = np.isin(column, [str(option) for option in options])
        if not keep.any():
            known = ", ".join(np.unique(column)[:8])
            raise ValueError(f"where: {name!r} is never {', '.join(map(str, options))}; it is {known}")
        recording = recording.isel(presentation=np.flatnonzero(keep))
    if "response" not in recording or recording["response"].dims[:2] != ("presentation", "neuroid"):
        raise ValueError("recording: has no response (presentation, neuroid[, time]); give a recording")
    if "time" not in recording["response"].dims:
        recording = recording.assign({"response": recording["response"].expand_dims("time", axis=-1)})
    return recording


def coded(recording: xr.Dataset, label: str, fewest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Names of the classes and the code of each presentation."""
    column = values(recording, label)
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        place = int(np.argmin(np.isfinite(column)))
        raise ValueError(f"label {label!r}: presentation {place} has none (NaN); leave it out")
    names, codes = np.unique(column, return_inverse=True)
    if names.size < fewest:
        raise ValueError(f"label {label!r}: {names.size} class; {fewest} or more are needed")
    return names, codes.ravel()


def thinned(recording: xr.Dataset, label: str, samples: int, seed: int) -> xr.Dataset:
    """At most so many presentations of each class, drawn without replacement, in their own order."""
    if not samples:
        return recording
    codes = coded(recording, label)[1]
    order = np.random.default_rng(seed).permutation(codes.size)
    kept = [order[codes[order] == code][:samples] for code in range(codes.max() + 1)]
    return recording.isel(presentation=np.sort(np.concatenate(kept)))


def projected(response: xr.DataArray, most: int, seed: int) -> xr.DataArray:
    """The response in `most` random directions of unit length, where there are more neuroids."""
    count = response.sizes["neuroid"]
    if not most or count <= most:
        return response
    data = np.asarray(response.values, dtype=float)
    made, norms = np.zeros((len(data), most, data.shape[2])), np.zeros(most)
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(-(-count // AT_ONCE))):
        part = data[:, number * AT_ONCE : (number + 1) * AT_ONCE]
        rows = np.random.default_rng(child).normal(size=(most, part.shape[1]))
        made += np.einsum("mp,npt->nmt", rows, part, optimize=True)
        norms += (rows**2).sum(axis=1)
    coords = {name: item for name, item in response.coords.items() if "neuroid" not in item.dims}
    return xr.DataArray(made / np.sqrt(norms)[None, :, None], coords, response.dims)


def normals(codes: np.ndarray, features: int, draws: int, seed: int) -> list[np.ndarray]:
    """Gaussian vectors (draw, n + 1) of every manifold of some labellings (labelling, presentation), the same
    for all of them and at all times.
    """
    count = int(codes.max()) + 1
    most = np.array([np.bincount(row, minlength=count) for row in codes]).max(axis=0)
    streams = np.random.SeedSequence(seed).spawn(count)
    return [
        np.random.default_rng(stream).normal(size=(draws, size + 1))
        for stream, size in zip(streams, np.minimum(most, features), strict=True)
    ]


def capacities(block: np.ndarray, codes: np.ndarray, asked: Asked) -> np.ndarray:
    """block (time, n, p), codes (labelling, n) to SHAPE (time, labelling, manifold, number)."""
    block = finite(block)
    if asked.centred:
        block -= block.mean(axis=1, keepdims=True)
    member = np.array(
        [codes == code for code in range(codes.max() + 1)], dtype=float
    )  # manifold, labelling, n
    share = member / member.sum(axis=2, keepdims=True)
    centres = np.einsum("mln,tnp->tlpm", share, block, optimize=True)
    about = centres - centres.mean(axis=-1, keepdims=True)
    seed = np.random.SeedSequence(asked.seed)
    removed = _geometry_centres.common(about.reshape(-1, *about.shape[2:]), asked.rank, asked.restarts, seed)
    out = np.empty((*centres.shape[:2], len(member), len(SHAPE)))
    for place, less in zip(np.ndindex(*out.shape[:2]), removed, strict=True):
        x, told = block[place[0]], (less.before, less.after, less.directions.shape[1])
        rest = x - (x @ less.directions) @ less.directions.T if less.directions.size else x
        for code, rows in enumerate(member[:, place[1]] > 0):
            shape = _geometry_capacity.shape(rest[rows].T, asked.normals[code], asked.margin)
            centre = centres[place][:, code]
            size = float((centre**2).sum())
            naive = np.sqrt(((x[rows] - centre) ** 2).sum(axis=1).mean() / size) if size > 0 else np.nan
            out[(*place, code)] = (*shape, naive, *told)
    return out


def correlated(block: np.ndarray, codes: np.ndarray, sides: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """block (time, n, p) to `_geometry_glue.Geometry`, and the error of 1/capacity over draws (time, 7)."""
    block = finite(block)
    out = np.empty((len(block), 7))
    for moment, x in enumerate(block):
        found = _geometry_glue.anchors(x, codes, sides, vectors)
        loads = found.cost / sides.shape[1]
        out[moment] = (*_geometry_glue.geometry(found), loads.std(ddof=1) / np.sqrt(len(loads)))
    return out


def relabelled(recording: xr.Dataset, label: str, permutations: int, seed: int, exchange: str) -> np.ndarray:
    """Codes (permutation, n) exchanged between all that bear one label as a whole."""
    count = recording.sizes["presentation"]
    if not permutations:
        return np.zeros((0, count), dtype=np.int64)
    one = {
        "test": (("fold", "presentation"), np.ones((1, count), dtype=bool)),
        "stratum": ("presentation", np.zeros(count, dtype=np.int64)),
    }
    return _folds.relabel(recording, label, xr.Dataset(one), permutations, seed, exchange=exchange)


def against(observed: np.ndarray, null: np.ndarray) -> dict[str, tuple[str, np.ndarray, dict[str, str]]]:
    """p of each time alone and, against the largest of all times, together; the null's 95th percentile.

    Reads    observed (time); null (permutation, time)
    """
    units = {"units": "1"}
    more = 1 + len(null)
    alone = (1 + (null >= observed - 1e-12).sum(axis=0)) / more
    most = np.nanmax(null, axis=1)
    together = (1 + (most[:, None] >= observed - 1e-12).sum(axis=0)) / more
    return {
        "p_uncorrected": ("time", alone, units), "p": ("time", together, units),
        "null_high": ("time", np.quantile(null, 0.95, axis=0), units),
    }  # fmt: skip


def timed(recording: xr.Dataset) -> dict[str, Any]:
    """Coordinates of time, where it has one."""
    return {"time": recording["time"].values} if "time" in recording.coords else {}


def facts(recording: xr.Dataset, label: str, names: np.ndarray, codes: np.ndarray) -> dict[str, Any]:
    """What every result states of its label and its recording."""
    return {
        "label": label, "classes": ", ".join(map(str, names)),
        "presentations": ", ".join(map(str, np.bincount(codes))),
        "neuroids": recording.sizes["neuroid"],
    } | inherited(recording)  # fmt: skip


def inherited(recording: xr.Dataset) -> dict[str, Any]:
    """What the recording states that holds of its results too."""
    return {key: recording.attrs[key] for key in INHERITED if key in recording.attrs}


def undefined(array: np.ndarray, name: str, why: str) -> None:
    """Warn, once, of times without a value."""
    lacking = int(np.isnan(array).sum())
    if lacking:
        warnings.warn(
            f"{name}: NaN at {lacking} of {array.size} times, where {why}", UserWarning, stacklevel=3
        )


def trajectories(
    recording: xr.Dataset, by: str, window: Sequence[float] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Mean responses (condition, time, p), the names of conditions, the times, and their period in s."""
    if "time" not in recording.coords or recording.sizes.get("time", 0) < 3:
        raise ValueError("time: fewer than 3 samples; a trajectory needs them, in s")
    time = np.asarray(recording["time"].values, dtype=float)
    steps = np.diff(time)
    if np.abs(steps - steps.mean()).max() > 1e-6:
        raise ValueError("coordinate 'time': is not evenly spaced; resample it first")
    names, codes = coded(recording, by, 1)
    keep = (
        np.ones(time.size, bool)
        if window is None
        else (time >= window[0] - 1e-9) & (time <= window[1] + 1e-9)
    )
    if keep.sum() < 3:
        raise ValueError(f"window: {list(window or [])} s holds {keep.sum()} samples; wanted 3 or more")
    block = recording["response"].transpose("time", *TRIALS).values[keep]
    block = finite(np.asarray(block, dtype=float))
    means = np.stack([block[:, codes == code].mean(axis=1) for code in range(names.size)])
    return means, names, time[keep], float(steps.mean())


def stacked(response: xr.DataArray, kernel: Any, makes: int, **numbers: Any) -> np.ndarray:
    """What a kernel gives for blocks of time, (time, makes), computed."""
    found = over(kernel, response, TRIALS, {"bin": makes}, **numbers)
    return np.asarray(found.transpose("time", "bin").values)
