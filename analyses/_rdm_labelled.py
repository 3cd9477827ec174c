"""RDMs as labelled Datasets: made of arrays, joined by the names of conditions, and dressed again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _conditions, _rdm_inference, _rdm_kernels, _rdm_noise
from analyses._conditions import Design
from analyses._labelled import values

ROWS = 256  # of a block that fits the cache
MATRIX = ("condition", "other_condition")
HIDDEN = ("distance", "noise", "kept_apart", "folds")  # attrs of an RDM that a comparison keeps
KEPT = ("origin", "simultaneous", "bin_width", "trigger_delay_s", "by", *HIDDEN)


class Stack(NamedTuple):
    """RDMs as (other, time, n, n), with the dims of `other`, their sizes and coordinates, and the times."""

    matrices: np.ndarray
    dims: tuple[str, ...]
    sizes: tuple[int, ...]
    coords: dict[str, Any]
    time: np.ndarray | None


def crossed(block: np.ndarray, plan: Design, noise: str) -> np.ndarray:
    """Cross-validated distances (time, n, n) of block (presentation, neuroid, time)."""
    if np.isnan(block).any():
        raise ValueError(
            "response: lacks values; distances that are cross-validated need neuroids with all of them, "
            "leave out neuroids or presentations, or use distance='correlation'"
        )
    counts = plan.counts()
    if len(plan.folds) < 2 or ((counts > 0).sum(axis=0) < 2).any():
        alone = plan.names[(counts > 0).sum(axis=0) < 2]
        raise ValueError(
            f"folds: {', '.join(map(str, alone[:3]))} stand in one fold only; name a coordinate in which all "
            "conditions come back, or use distance='correlation'"
        )
    mean = block.mean(axis=0)
    parts = _conditions.sums(block, plan, mean)
    if noise == "none" and (counts == counts[0, 0]).all():
        return np.asarray(_rdm_kernels.few(_rdm_kernels.crossnobis, parts) / counts[0, 0] ** 2)
    block = block - mean

    def weigh(fold: int, means: np.ndarray) -> np.ndarray:
        return _rdm_noise.weighed(block, plan, fold, means, noise)

    found = _rdm_kernels.crossnobis_folds(parts, counts, weigh)
    if np.isnan(found).any():
        raise ValueError("folds: two conditions share no fold; name one in which all pairs come back")
    return found


def square(found: np.ndarray, plan: Design, recording: xr.Dataset | None, units: str) -> xr.Dataset:
    """found (n, n, time or model) as a Dataset; without time where the recording has none."""
    timed = recording is not None and "time" in recording["response"].dims
    array = found if timed or recording is None else found[..., 0]
    dims = (*MATRIX, "time")[: array.ndim]
    coords: dict[str, Any] = {"condition": plan.names, "other_condition": plan.names}
    if recording is not None:
        coords |= _conditions.carried(recording, plan)
        if timed:
            coords["time"] = recording["time"].values
    made = xr.Dataset({"dissimilarity": (dims, array, {"units": units})}, coords)
    if timed:
        made["time"].attrs["units"] = "s"
    return made


def modelled(whole: xr.Dataset, names: list[str], by: str) -> xr.Dataset:
    """`square` of models, which stand where the time would."""
    array = whole["dissimilarity"].values
    made = (("model", *MATRIX), np.ascontiguousarray(np.moveaxis(array, -1, 0)), {"units": "1"})
    coords = {"model": names, **{name: whole[name].values for name in MATRIX}}
    return xr.Dataset({"dissimilarity": made}, coords, {"by": by})


def joined(rdm: xr.Dataset, models: xr.Dataset, measure: str) -> tuple[Stack, Stack, bool]:
    """Both with the conditions of the first, and whether all matrices are symmetric."""
    stacks = []
    names = values(rdm, "condition")
    for told, part in (("rdm", rdm), ("model_rdms", models)):
        if "dissimilarity" not in part:
            raise ValueError(
                f"{told}: holds no dissimilarity; make it with similarity.rdm or similarity.labels"
            )
        array = part["dissimilarity"]
        rows, columns = (_conditions.places(names, values(part, name), f"{told}: {name}") for name in MATRIX)
        others = tuple(str(dim) for dim in array.dims if dim not in (*MATRIX, "time"))
        time = ("time",) if "time" in array.dims else ()
        found = np.asarray(array.transpose(*others, *time, *MATRIX).values, dtype=float)
        sizes = found.shape[: len(others)]
        if (rows != np.arange(rows.size)).any() or (columns != rows).any():
            found = found[..., rows, :][..., columns]
        found = found.reshape(int(np.prod(sizes)), -1, names.size, names.size)
        coords = {
            str(key): item.variable
            for key, item in part.coords.items()
            if item.dims and set(item.dims) <= set(others)
        }
        stacks.append(Stack(found, others, sizes, coords, part["time"].values if time else None))
    data, model = stacks
    if data.time is not None and model.time is not None and not np.array_equal(data.time, model.time):
        raise ValueError("model_rdms: has other times than rdm; give both the same times, or models without")
    if set(data.dims) & set(model.dims):
        raise ValueError(f"model_rdms: shares dimension {data.dims[0]!r} with rdm; compare them one by one")
    symmetric = all(_symmetric(stack.matrices) for stack in stacks)
    if not symmetric and measure.startswith("whitened"):
        raise ValueError(f"measure: {measure!r} is defined for symmetric RDMs; use pearson or cosine")
    _checked(data, model, symmetric)
    return data, model, symmetric


def _symmetric(matrices: np.ndarray) -> bool:
    for start in range(0, matrices.shape[-1], ROWS):
        rows = slice(start, start + ROWS)
        if not (matrices[..., rows, start:] == matrices[..., start:, rows].swapaxes(-1, -2)).all():
            size = np.nanmax(np.abs(matrices), initial=0)
            far = np.nanmax(np.abs(matrices - matrices.swapaxes(-1, -2)), initial=0)
            return bool(far <= 1e-9 * size)
    return True


def _checked(data: Stack, models: Stack, symmetric: bool) -> None:
    count = data.matrices.shape[-1]
    if count < 3:
        raise ValueError(f"condition: {count} conditions have no two pairs; give 3 or more")
    for place, part in enumerate(models.matrices.reshape(-1, count, count)):
        constant = np.ptp(part[0, 1:]) == 0 and np.ptp(_rdm_kernels.entries(part, symmetric)) == 0
        if constant or np.isnan(part.sum()):
            number = place // models.matrices.shape[1] + 1
            raise ValueError(f"model_rdms: number {number} is constant or lacks values; leave it out")
    lost = np.isnan(data.matrices.sum(axis=(0, 2, 3)))
    if lost.any():
        told = f"dissimilarity: lacks values at {lost.sum()} of {lost.size} times, NaN there"
        warnings.warn(told, UserWarning, stacklevel=4)


def spread(found: np.ndarray, models: Stack, data: Stack) -> xr.DataArray:
    """found (model, other, time) with all names."""
    timed = data if data.time is not None else models
    dims = (*models.dims, *data.dims, *(("time",) if timed.time is not None else ()))
    shape = (*models.sizes, *data.sizes, *((found.shape[-1],) if timed.time is not None else ()))
    coords = {**models.coords, **data.coords} | ({"time": timed.time} if timed.time is not None else {})
    return xr.DataArray(found.reshape(shape), coords, dims, attrs={"units": "1"})


def inherited(rdm: xr.Dataset) -> dict[str, Any]:
    """What a comparison repeats of where an RDM came from."""
    return {key: rdm.attrs[key] for key in KEPT if key in rdm.attrs}


def same_time(data: Stack, reliability: xr.Dataset) -> None:
    """ValueError unless a reliability was estimated at the times of the RDMs."""
    if reliability.sizes["time"] != data.matrices.shape[1] or (
        data.time is not None and not np.array_equal(data.time, reliability["time"].values)
    ):
        raise ValueError("reliability: has other times than rdm; make it from the same recording")


def inferred(
    data: Stack, models: Stack, measure: str, drawn: tuple[int, int, int], confidence: float, symmetric: bool
) -> dict[str, Any]:
    """Every variable of `similarity.inference`, with its dims."""
    bootstraps, permutations, seed = drawn
    streams = [np.random.default_rng(item) for item in np.random.SeedSequence(seed).spawn(3)]
    conditions, others, times = data.matrices.shape[-1], len(data.matrices), data.matrices.shape[1]
    weights = streams[0].multinomial(conditions, np.full(conditions, 1 / conditions), bootstraps)
    subjects = streams[1].multinomial(others, np.full(others, 1 / others), bootstraps) / others
    shape = (len(models.matrices), bootstraps, times)
    found, low, high, sample = (
        np.empty(shape[::2]),
        np.empty(shape[::2]),
        np.empty(shape[::2]),
        np.empty(shape),
    )
    bounds = np.empty((2, times))
    plain = models.matrices[:, 0]
    for time in range(times):
        here = data.matrices[:, time]
        each = _rdm_inference.similarity(plain, here, measure, symmetric)
        among = _rdm_inference.similarity(here, here, measure, symmetric)
        again = _rdm_inference.resampled(plain, here, measure, weights, symmetric).models
        bounds[:, time] = _rdm_inference.ceiling(among)
        sample[:, :, time] = again.mean(axis=2).T
        both = np.einsum("bkr,br->bk", again, subjects)
        variance = np.nanvar(again.mean(axis=2), axis=0, ddof=1)
        if others > 1:
            variance = _rdm_inference.spread(again.mean(axis=2), subjects @ each.T, both)
        freedom = conditions - 1 if others == 1 else min(others, conditions) - 1
        found[:, time] = each.mean(axis=1)
        half = _rdm_inference.reach(variance, freedom, confidence)
        low[:, time], high[:, time] = found[:, time] - half, found[:, time] + half
    null = _rdm_inference.exchanged(plain, data.matrices, measure, permutations, streams[2], symmetric)
    single = (null >= found[:, None] - 1e-12).sum(axis=1)
    top = np.nanmax(null, axis=(0, 2))
    family = (top >= found[..., None] - 1e-12).sum(axis=-1)
    wide = ("model", "time")
    return {
        "similarity": (found, wide), "similarity_low": (low, wide), "similarity_high": (high, wide),
        "p": ((family + 1) / (permutations + 1), wide),
        "p_uncorrected": ((single + 1) / (permutations + 1), wide),
        "ceiling_low": (bounds[0], ("time",)), "ceiling_high": (bounds[1], ("time",)),
        "resampled": (sample, ("model", "bootstrap", "time")),
    }  # fmt: skip


def dressed(made: dict[str, Any], models: Stack, data: Stack) -> xr.Dataset:
    """Variables of `inferred` with the names of models and times; one time where the RDMs have none."""
    name = models.dims[0] if models.dims else "model"
    parts = {
        key: (tuple(name if dim == "model" else dim for dim in dims), array, {"units": "1"})
        for key, (array, dims) in made.items()
    }
    coords = dict(models.coords) | ({} if data.time is None else {"time": data.time})
    return xr.Dataset(parts, coords)


def dealt(condition: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random half (0 or 1) for each presentation, and its place among those of its condition in that half;
    a random half gets the odd one.
    """
    order = np.lexsort((rng.random(condition.size), condition))
    number = np.arange(condition.size)
    first = np.append(True, np.diff(condition[order]) > 0)
    place = np.empty(condition.size, np.int64)
    place[order] = number - np.maximum.accumulate(np.where(first, number, 0))
    return (place + rng.integers(0, 2, condition.max() + 1)[condition]) % 2, place // 2


def aligned(
    recording: xr.Dataset,
    other: xr.Dataset,
    by: str,
    name: str,
    kernel: Callable[[np.ndarray, np.ndarray], np.ndarray],
    permutations: int,
    seed: int,
    told: dict[str, Any],
) -> xr.Dataset:
    """kernel of mean patterns (time, stimulus, neuroid) of two recordings, with its null by exchange."""
    plans = [_conditions.design(part, by) for part in (recording, other)]
    order = _conditions.places(plans[0].names, plans[1].names, by)
    if order.size < 4:
        raise ValueError(f"{by}: {order.size} stimuli are in both; at least 4 are needed")
    parts = [
        [_conditions.means(block, plan) for _, block in _conditions.blocks(part)]
        for part, plan in zip((recording, other), plans, strict=True)
    ]
    x, y = (part[0] if len(part) == 1 else np.concatenate(part) for part in parts)
    if (order != np.arange(order.size)).any():
        y = y[:, order]
    clocks = [part["time"].values if "time" in part["response"].dims else None for part in (recording, other)]
    if clocks[0] is not None and clocks[1] is not None and not np.array_equal(clocks[0], clocks[1]):
        raise ValueError("other: has other times than recording; give both the same times, or one without")
    if len(x) < len(y):
        x, y = y, x
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    found = np.asarray(kernel(x, y))
    null = np.array([kernel(x, y[:, rng.permutation(order.size)]) for _ in range(permutations)])
    made: dict[str, Any] = {name: ("time", found, {"units": "1"})}
    if permutations:
        made["null"] = (("permutation", "time"), null, {"units": "1"})
        p = ((null >= found - 1e-12).sum(axis=0) + 1) / (permutations + 1)
        made["p_uncorrected"] = ("time", p, {"units": "1"})
        told = told | {"chance": float(null.mean())}
    else:
        told = {"chance": 0.0, **told}
    time = next((clock for clock in clocks if clock is not None), None)
    dataset = xr.Dataset(made, {} if time is None else {"time": time})
    return dataset.assign_attrs(inherited(recording) | told | {"n": int(order.size), "over": by})
