"""Counting what attacks broke, and averaging how far they moved a response."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses._shares import clopper


def classes(recording: xr.Dataset, confidence: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and attrs of an accounting of lost labels."""
    broken = recording["broken"].transpose("attack", "epsilon", ..., "stimulus").values.astype(bool)
    right = recording["right"].transpose(..., "stimulus").values.astype(bool)
    more = _more(recording["right"])
    n, n_right = right.shape[-1], right.sum(-1)
    stands = right & ~broken
    kept, worst = stands.sum(-1), stands.all(0).sum(-1)
    pairs, last = ("attack", "epsilon", *more), ("epsilon", *more)
    made = _share("accuracy", pairs, kept, n, confidence)
    made |= _share("success", pairs, n_right - kept, n_right, confidence)
    made |= _share("union", last, worst, n, confidence)
    made |= _share("union_success", last, n_right - worst, n_right, confidence)
    clean = _share("clean", (), right.sum(), right.size, confidence)
    told = {f"clean_accuracy{end}": float(clean[f"clean{end}"][1]) for end in ("", "_low", "_high")}
    if "size" in recording:
        size = recording["size"].transpose("attack", "epsilon", ..., "stimulus").values
        made["distance"] = (("attack", *more), median_distance(size, broken, right), {"units": "1"})
    return made, {**told, "n_right": int(right.sum())}


def median_distance(size: np.ndarray, broken: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The median over pictures that were right of the smallest size that broke them; a failure is infinite.

    Reads    size, broken (attack, epsilon, ..., stimulus); right (..., stimulus)
    Returns  (attack, ...); NaN where no picture was right
    """
    least = np.where(broken, size, np.inf).min(axis=1, initial=np.inf)
    ordered = np.sort(np.where(right, least, np.nan), axis=-1)  # NaN stands last
    count = np.broadcast_to(right.sum(-1), ordered.shape[:-1])
    if not ordered.shape[-1]:
        return np.full(count.shape, np.nan)
    low, high = (
        np.take_along_axis(ordered, np.maximum(place, 0)[..., None], -1)[..., 0]
        for place in ((count - 1) // 2, np.minimum(count // 2, ordered.shape[-1] - 1))
    )
    middle = np.where(np.isfinite(high), low + np.where(np.isfinite(high), high, 0), np.inf) / 2
    return np.where(count > 0, middle, np.nan)


def responses(recording: xr.Dataset, confidence: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and attrs of an accounting of responses that were moved."""
    clean = recording["clean"].transpose(..., "stimulus").values
    change = recording["value"].transpose("attack", "epsilon", ..., "stimulus").values - clean
    more, units = _more(recording["clean"]), str(recording["value"].attrs.get("units", "SD"))
    made = _mean("change", ("attack", "epsilon", *more), change, confidence, units)
    return made | _mean("union", ("epsilon", *more), change.max(0), confidence, units), {}


def _more(of_pictures: xr.DataArray) -> tuple[str, ...]:
    """What is counted apart beside the pictures, such as neuroids."""
    return tuple(str(dim) for dim in of_pictures.dims if dim != "stimulus")


def _share(
    name: str, dims: tuple[str, ...], hits: Any, count: Any, confidence: float
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    """A share with its exact interval; NaN where nothing could be counted."""
    hits, count = np.broadcast_arrays(hits, count)
    some = np.maximum(count, 1)
    ends = (hits / some, *clopper(hits, some, confidence))
    return {
        f"{name}{end}": (dims, np.where(count > 0, part, np.nan), {"units": "1"})
        for end, part in zip(("", "_low", "_high"), ends, strict=True)
    }


def _mean(
    name: str, dims: tuple[str, ...], values: np.ndarray, confidence: float, units: str
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    """Mean over pictures with Student's interval; without one where there are fewer than two."""
    n = values.shape[-1]
    mean = values.mean(-1) if n else np.full(values.shape[:-1], np.nan)
    half = np.full(values.shape[:-1], np.nan)
    if n > 1:
        half = student.ppf((1 + confidence) / 2, n - 1) * values.std(-1, ddof=1) / np.sqrt(n)
    parts = (("", mean), ("_low", mean - half), ("_high", mean + half))
    return {f"{name}{end}": (dims, part, {"units": units}) for end, part in parts}
