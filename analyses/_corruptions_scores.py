"""Accuracies on corrupted pictures as shares of a baseline's, paired by seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

DIMS = ("corruption", "severity", "method")


def relative(result: xr.Dataset, baseline: xr.Dataset, floor: float, confidence: float) -> xr.Dataset:
    """What `corruptions.relative` documents."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")
    if not floor >= 0:
        raise ValueError(f"floor: {floor}; wanted a number from 0 up, times chance")
    raw, base = _array(result, "result"), _array(baseline, "baseline")
    for name in ("seed", *DIMS):
        if not np.array_equal(result[name].values if name in result.coords else [0],
                              baseline[name].values if name in baseline.coords else [0]):  # fmt: skip
            raise ValueError(f"baseline: has another {name}; evaluate both alike")
    chance = np.array([_chance(baseline, method) for method in baseline["method"].values.astype(str)])
    kept = base.mean(0) > floor * chance
    ratio = np.where(kept, raw / np.where(base > 0, base, 1), np.nan)
    with np.errstate(invalid="ignore"):
        each = np.where(kept.any(1), np.nansum(ratio, 2) / np.maximum(kept.sum(1), 1), np.nan)
    there = np.isfinite(each)
    total = np.where(there.any(1), np.nansum(each, 1) / np.maximum(there.sum(1), 1), np.nan)
    made: dict[str, Any] = {"kept": (DIMS, kept.astype(np.int8), {"units": "1"})}
    for name, dims, values in (
        ("relative", ("corruption", "method"), each), ("total", ("method",), total), ("raw", DIMS, raw),
        ("baseline", DIMS, base), ("difference", DIMS, raw - base),
    ):  # fmt: skip
        made |= _interval(name, dims, values, confidence)
    seeds = len(raw)
    told = {
        "chance": float(chance[0]), "floor": floor, "confidence": confidence, "n": seeds, "over": "seed",
        "few": int(seeds < 5), "interval": f"t over {seeds} seeds, paired",
        "left_out": int((~kept).sum()), "score": "mean over severities of the ratio of accuracies",
    }  # fmt: skip
    if "origin" in result.attrs:
        told["origin"] = result.attrs["origin"]
    return xr.Dataset(made, {name: result[name].values for name in DIMS}, told)


def _array(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Accuracies (seed, corruption, severity, method)."""
    if "corrupted" not in dataset:
        raise ValueError(f"{name}: has no corrupted; ask evaluate.run for corruptions")
    found = dataset["corrupted"]
    found = found if "seed" in found.dims else found.expand_dims("seed")
    more = [str(dim) for dim in found.dims if dim not in ("seed", *DIMS)]
    if more:
        raise ValueError(f"{name}: corrupted has {more[0]}; select one of them")
    return np.asarray(found.transpose("seed", *DIMS).values, float)


def _chance(dataset: xr.Dataset, method: str) -> float:
    name = "chance" if method == "class" else "chance_group"
    if name not in dataset.attrs:
        raise ValueError(f"baseline: does not tell {name}; give what evaluate.run returned")
    return float(dataset.attrs[name])


def _interval(name: str, dims: tuple[str, ...], values: np.ndarray, confidence: float) -> dict[str, Any]:
    """Mean over seeds, and Student's interval around it."""
    count, centre = len(values), values.mean(0)
    half = np.full(centre.shape, np.nan)
    if count > 1:
        half = student.ppf((1 + confidence) / 2, count - 1) * values.std(0, ddof=1) / np.sqrt(count)
    ends = (("", centre), ("_low", centre - half), ("_high", centre + half))
    return {name + end: (dims, value, {"units": "1"}) for end, value in ends}
