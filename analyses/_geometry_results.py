"""The Datasets of population geometry: arrays that kernels made, with their intervals and tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _geometry_dynamics as _dynamics
from analyses import _geometry_homology as _homology
from analyses import _geometry_labelled as _labelled
from analyses._decode import finite
from analyses._geometry_capacity import averaged
from analyses._labelled import values
from analyses._tasks import TRIALS

ONE = {"units": "1"}


def positive(**numbers: int) -> None:
    """ValueError for the first number below 1."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}: {number}; give 1 or more")


def interval(
    each: np.ndarray, confidence: float, axis: int = -1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean along an axis, with Student's interval; NaN for one value."""
    count = each.shape[axis]
    mean = each.mean(axis=axis)
    if count < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    width = student.ppf(0.5 + confidence / 2, count - 1) * each.std(axis=axis, ddof=1) / np.sqrt(count)
    return mean, mean - width, mean + width


def manifolds(found: np.ndarray, names: np.ndarray, confidence: float) -> dict[str, Any]:
    """Variables of SHAPE (labelling, time, manifold, number), the true labels first."""
    null, found = 1 / found[1:, ..., 0].mean(axis=2), found[0]
    columns = {name: found[..., place] for place, name in enumerate(_labelled.SHAPE)}
    made: dict[str, Any] = {}
    for name, triple in {
        "capacity": averaged(columns["load"], confidence),
        "radius": interval(columns["radius"], confidence),
        "dimension": interval(columns["dimension"], confidence),
        "dimension_projected": interval(columns["projected"], confidence),
    }.items():
        for stem, array in zip(("", "_low", "_high"), triple, strict=True):
            made[name + stem] = ("time", array, ONE)
    _labelled.undefined(made["capacity"][1], "capacity", "a manifold's centre lies at 0")
    dims = ("condition", "time")
    made["manifold_capacity"] = (dims, 1 / columns["load"].T, ONE)
    made["manifold_capacity_error"] = (dims, (columns["error"] / columns["load"] ** 2).T, ONE)
    for name in ("radius", "dimension"):
        made[f"manifold_{name}"] = (dims, columns[name].T, ONE)
    made["naive_radius"] = (dims, columns["naive_radius"].T, ONE)
    for name, source in (
        ("centre_correlation", "before"),
        ("centre_correlation_left", "after"),
        ("rank", "rank"),
    ):
        made[name] = ("time", columns[source][:, 0], ONE)
    if len(null):
        made |= {"null": (("permutation", "time"), null, ONE), **_labelled.against(made["capacity"][1], null)}
    return made


def correlated(found: np.ndarray, confidence: float) -> dict[str, Any]:
    """Variables of `_geometry_labelled.correlated` (time, 7)."""
    names = ("capacity", "radius", "dimension", "centre_alignment", "axis_alignment", "cross_alignment")
    made: dict[str, Any] = {name: ("time", found[:, place], ONE) for place, name in enumerate(names)}
    load, width = 1 / found[:, 0], student.ppf(0.5 + confidence / 2, 1e9) * found[:, 6]
    made["capacity_low"] = ("time", 1 / (load + width), ONE)
    made["capacity_high"] = ("time", 1 / np.maximum(load - width, 1e-300), ONE)
    return made


def rows(recording: xr.Dataset, average: str | None) -> np.ndarray:
    """Responses (time, row, p): presentations, or their means over each value of a coordinate."""
    block = finite(np.asarray(recording["response"].transpose("time", *TRIALS).values, dtype=float))
    if average is None:
        return block
    codes = np.unique(values(recording, average), return_inverse=True)[1].ravel()
    return np.stack([block[:, codes == code].mean(axis=1) for code in range(codes.max() + 1)], axis=1)


def dimension(
    recording: xr.Dataset, average: str | None, groups: int, confidence: float, seed: int
) -> xr.Dataset:
    """Participation ratio with a jackknife over groups of rows, and components for 90 % of variance."""
    block = rows(recording, average)
    count = block.shape[1]
    if count < 3:
        raise ValueError(f"response: {count} rows; 3 or more are needed")
    groups = min(groups, count)
    place = np.random.default_rng(seed).permutation(np.arange(count) % groups)
    ratio, needed, error = (np.empty(len(block)) for _ in range(3))
    for moment, x in enumerate(block):
        spectrum = eigenvalues(x)
        ratio[moment], needed[moment] = participation(spectrum), components(spectrum)
        left = np.array([participation(eigenvalues(x[place != group])) for group in range(groups)])
        error[moment] = np.sqrt((groups - 1) / groups * ((left - left.mean()) ** 2).sum())
    _labelled.undefined(ratio, "participation_ratio", "the response does not vary")
    width = student.ppf(0.5 + confidence / 2, groups - 1) * error
    made = {"participation_ratio": ratio, "participation_ratio_low": ratio - width,
            "participation_ratio_high": ratio + width, "components_90": needed}  # fmt: skip
    facts = {"rows": count, "neuroids": block.shape[2], "average": average or "none", "over": "rows"}
    facts |= {"n": count, "confidence": confidence, "jackknife": groups} | _labelled.inherited(recording)
    return xr.Dataset(
        {name: ("time", array, ONE) for name, array in made.items()}, _labelled.timed(recording), facts
    )


def eigenvalues(x: np.ndarray) -> np.ndarray:
    """Of the covariance of rows (n, p), largest first."""
    about = x - x.mean(axis=0)
    gram = about @ about.T if len(about) < about.shape[1] else about.T @ about
    return np.asarray(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0) / len(about))


def participation(spectrum: np.ndarray) -> float:
    """(Σλ)² / Σλ².

    >>> participation(np.ones(7)), participation(np.array([3.0, 0, 0]))
    (7.0, 1.0)
    """
    square = float((spectrum**2).sum())
    return float(spectrum.sum()) ** 2 / square if square > 0 else np.nan


def components(spectrum: np.ndarray, share: float = 0.9) -> float:
    """How many of the largest hold this share of the sum."""
    total = float(spectrum.sum())
    return float(np.argmax(np.cumsum(spectrum) >= share * total * (1 - 1e-12)) + 1) if total > 0 else np.nan


def topology(
    recording: xr.Dataset, average: str | None, whole: bool, dimensions: int, most: int, holes: int,
    shuffles: int, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Lifetimes of loops and parts of one cloud at each time, against shuffled clouds."""
    clouds = rows(recording, average)
    if whole:
        clouds = clouds.swapaxes(0, 1).reshape(1, -1, clouds.shape[2])
    if clouds.shape[1] < 4:
        raise ValueError(f"points: {clouds.shape[1]}; a loop needs 4 or more")
    births, deaths, parts = (np.full((len(clouds), holes), np.nan) for _ in range(3))
    null = np.zeros((shuffles, len(clouds)))
    for moment, cloud in enumerate(clouds):
        kept = _kept(cloud, dimensions, most, seed)
        distance = _homology.distances(kept)
        found, joined = _homology.loops(distance)[:holes], _homology.parts(distance)[:holes]
        births[moment, : len(found)], deaths[moment, : len(found)] = found.T
        parts[moment, : len(joined)] = joined
        for number, child in enumerate(np.random.SeedSequence(seed).spawn(shuffles)):
            mixed = np.random.default_rng(child).permuted(cloud, axis=0)
            loops = _homology.loops(_homology.distances(_kept(mixed, dimensions, most, seed)))
            null[number, moment] = (loops[:1, 1] - loops[:1, 0]).sum()
    dims, units = ("hole", "time"), {"units": str(recording["response"].attrs.get("units", "1"))}
    life = deaths - births
    made: dict[str, Any] = {
        name: (dims, array.T, units)
        for name, array in (("birth", births), ("death", deaths), ("lifetime", life), ("part_death", parts))
    }
    if shuffles:
        threshold = np.quantile(null, 0.95, axis=0)
        beyond = (np.nan_to_num(life, nan=-1.0) > threshold[:, None]).sum(axis=1)
        made |= {"null": (("permutation", "time"), null, units), "threshold": ("time", threshold, units),
                 "significant": ("time", beyond.astype(float), ONE)}  # fmt: skip
    facts = {"points": int(min(most, clouds.shape[1])), "of": clouds.shape[1], "dimensions": dimensions,
             "shuffles": shuffles, "seed": seed, "average": average or "none"}  # fmt: skip
    coords = {} if whole else _labelled.timed(recording)
    return xr.Dataset(made, coords, facts | _labelled.inherited(recording))


def _kept(cloud: np.ndarray, dimensions: int, most: int, seed: int) -> np.ndarray:
    """The cloud in its first principal components, thinned out."""
    if dimensions:
        cloud = _dynamics.principal(cloud - cloud.mean(axis=0), dimensions)[0]
    return cloud if len(cloud) <= most else cloud[_homology.landmarks(cloud, most, seed)]


def _softened(means: np.ndarray, softening: float) -> np.ndarray:
    """Mean responses (condition, time, p) divided by their range over conditions and times + `softening`."""
    reach = np.ptp(means, axis=(0, 1)) + softening
    return means / np.where(reach > 0, reach, 1.0)


def tangled(
    recording: xr.Dataset, means: np.ndarray, names: np.ndarray, time: np.ndarray, period: float,
    dimensions: int, softening: float, kernel: Callable[..., np.ndarray], confidence: float,
) -> xr.Dataset:  # fmt: skip
    """Tangling of softened trajectories in principal components."""
    soft = _softened(means, softening)
    flat = soft.reshape(-1, soft.shape[2])
    scores, _, share = _dynamics.principal(flat - flat.mean(axis=0), dimensions)
    states, velocity = _dynamics.differences(scores.reshape(*means.shape[:2], -1), period)
    found = kernel(states, velocity).reshape(names.size, -1)
    mean, low, high = interval(np.median(found, axis=1), confidence)
    made = {"tangling": (("condition", "time"), found, {"units": "s^-2"})}
    facts = {"median": float(mean), "median_low": float(low), "median_high": float(high), "n": names.size,
             "over": "condition", "confidence": confidence, "dimensions": share.size,
             "variance": float(share.sum()), "softening": softening}  # fmt: skip
    coords = {"condition": names, "time": 0.5 * (time[1:] + time[:-1])}
    return xr.Dataset(made, coords, facts | _labelled.inherited(recording))


def rotated(
    recording: xr.Dataset, means: np.ndarray, names: np.ndarray, time: np.ndarray, period: float,
    dimensions: int, softening: float, permutations: int, seed: int,
) -> xr.Dataset:  # fmt: skip
    """The jPC plane of softened trajectories less their mean over conditions."""
    if names.size < 2:
        raise ValueError("by: one condition only; jPCA removes the mean over conditions, give two or more")
    soft = _softened(means, softening)
    found, scores, weights, variance = _turned(soft, dimensions, period)
    null = np.empty(permutations)
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(permutations)):
        order = np.random.default_rng(child).permuted(
            np.tile(np.arange(names.size)[:, None], soft.shape[2]), axis=0
        )
        null[number] = _turned(np.take_along_axis(soft, order[:, None], axis=0), dimensions, period)[
            0
        ].skew_r2
    ids = recording["neuroid_id"].values if "neuroid_id" in recording.coords else None
    coords = {"condition": names, "time": time} | ({} if ids is None else {"neuroid_id": ("neuroid", ids)})
    made: dict[str, Any] = {
        "projection": (("condition", "time", "component"), scores @ found.plane, ONE),
        "plane": (("neuroid", "component"), weights @ found.plane, ONE),
    }
    facts = {"skew_r2": found.skew_r2, "free_r2": found.free_r2, "frequency": found.speed / (2 * np.pi),
             "dimensions": weights.shape[1], "variance": variance, "softening": softening, "n": names.size,
             "over": "condition", "seed": seed}  # fmt: skip
    if permutations:
        made["null"] = ("permutation", null, ONE)
        facts["p"] = float((1 + (null >= found.skew_r2).sum()) / (1 + permutations))
        facts["null_high"] = float(np.quantile(null, 0.95))
    return xr.Dataset(made, coords, facts | _labelled.inherited(recording))


def _turned(
    soft: np.ndarray, dimensions: int, period: float
) -> tuple[_dynamics.Rotation, np.ndarray, np.ndarray, float]:
    """The rotation, scores (condition, time, d), component weights (p, d), the variance that they hold."""
    about = soft - soft.mean(axis=0)
    flat = about.reshape(-1, soft.shape[2])
    scores, weights, share = _dynamics.principal(flat - flat.mean(axis=0), dimensions)
    shaped = scores.reshape(*soft.shape[:2], -1)
    return _dynamics.rotation(*_dynamics.differences(shaped, period)), shaped, weights, float(share.sum())


def curved(
    recording: xr.Dataset, angles: np.ndarray, names: np.ndarray, time: np.ndarray, confidence: float
) -> xr.Dataset:
    """Curvature (condition, time) in degrees, and its means."""
    found = np.degrees(angles)
    still = np.isnan(found).all(axis=1)
    each = np.array([np.nan if none else np.nanmean(row) for row, none in zip(found, still, strict=True)])
    mean, low, high = interval(each, confidence)
    made = {"curvature": (("condition", "time"), found, {"units": "deg"}),
            "mean_curvature": ("condition", each, {"units": "deg"})}  # fmt: skip
    facts = {"mean": float(mean), "mean_low": float(low), "mean_high": float(high), "n": names.size,
             "over": "condition", "confidence": confidence} | _labelled.inherited(recording)  # fmt: skip
    return xr.Dataset(made, {"condition": names, "time": time}, facts)
