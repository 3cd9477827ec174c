"""Networks whose spectrum was bent, by the exponent that they reached, beside published ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

KEPT = ("alpha", "alpha_lessons", "saturated", "accuracy", "attacked", "union")
PUBLISHED = ("alpha", "beta", "clean", "fgsm", "pgd")


def curves(
    result: xr.Dataset, published: Mapping[str, Any] | None, tolerance: float, confidence: float
) -> xr.Dataset:
    """What `spectrum.curves` documents."""
    for name in ("seed", "arm"):
        if name not in result.dims:
            raise ValueError(f"result: has no {name}; gather what evaluate.arms returned over seeds")
    if "alpha_lessons" not in result or "hyperparameters" not in result.coords:
        raise ValueError("result: has no alpha_lessons; measure analyses.spectrum.exponent on the lessons")
    told = [_asked(json.loads(str(text))) for text in result["hyperparameters"].values]
    target, beta = (np.array(values, float) for values in zip(*told, strict=True))
    part = result.isel(time=0) if "time" in result.dims else result
    part = part.isel(method=0) if "method" in part.dims else part
    count = part.sizes["seed"]
    one = {"units": "1"}
    made: dict[str, Any] = {"target": ("arm", target, one), "beta": ("arm", beta, one)}
    factor = float(student.ppf((1 + confidence) / 2, count - 1) / np.sqrt(count)) if count > 1 else np.nan
    for name in [name for name in KEPT if name in part]:
        value = part[name].transpose("seed", "arm", ...)
        dims, mean = value.dims[1:], value.values.mean(0)
        half = factor * value.values.std(0, ddof=1) if count > 1 else np.full(mean.shape, np.nan)
        for end, item in (("", mean), ("_low", mean - half), ("_high", mean + half)):
            made[name + end] = (dims, item, one)
    off = np.abs(part["alpha_lessons"].transpose("seed", "arm").values - target)
    made["off_target"] = ("arm", np.where(np.isfinite(target), off.max(0), np.nan), one)
    made |= _trends(part, beta, confidence)
    coords = {str(name): part[name].variable for name in ("arm", "attack", "epsilon") if name in part.coords}
    kept = ("chance", "n", "n_attacked", "origin")
    facts: dict[str, Any] = {key: result.attrs[key] for key in kept if key in result.attrs}
    facts |= {"seeds": count, "few": int(count < 5), "tolerance": tolerance, "confidence": confidence}
    facts |= {"interval": f"t over {count} seeds", "reached": int((made["off_target"][1] <= tolerance).sum())}
    made |= _published(published or {}, facts)
    return xr.Dataset(made, coords, facts)


def _asked(told: Mapping[str, Any]) -> tuple[float, float]:
    """The exponent that an arm was to reach and the strength of that, or NaN and 0."""
    found = [item["with"]["alpha"] for item in _parts(told.get("penalties", {})) if "alpha" in item["with"]]
    return (float(found[0]), _strength(told)) if found else (np.nan, 0.0)


def _strength(told: Mapping[str, Any]) -> float:
    names = [name for name, item in told["penalties"].items() if any(True for _ in _parts(item))]
    return float(told.get("strength", {}).get(names[0], 1.0))


def _parts(told: Any) -> Iterator[dict[str, Any]]:
    """All {use, with} inside, however deep."""
    if isinstance(told, Mapping):
        if "use" in told and "with" in told:
            yield dict(told)
        for item in told.values():
            yield from _parts(item)


def _trends(part: xr.Dataset, beta: np.ndarray, confidence: float) -> dict[str, Any]:
    """Change of every accuracy by one unit of the exponent, over the arms of one strength, seed by seed."""
    strong = np.unique(beta[beta > 0])
    strong = np.array([one for one in strong if (beta == one).sum() > 2])
    if not strong.size:
        return {}
    alpha = part["alpha_lessons"].transpose("seed", "arm").values
    rows: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "accuracy": ((), part["accuracy"].transpose("seed", "arm").values)
    }
    if "attacked" in part:
        value = part["attacked"].transpose("seed", "arm", "attack", "epsilon")
        rows["attacked"] = (("attack", "epsilon"), value.values)
    made: dict[str, Any] = {"strength": ("setting", strong, {"units": "1"})}
    for name, (dims, values) in rows.items():
        slopes = np.stack([_slope(alpha[:, beta == one], values[:, beta == one]) for one in strong], axis=1)
        count, mean = len(slopes), slopes.mean(0)
        half = np.full(mean.shape, np.nan)
        if count > 1:
            half = student.ppf((1 + confidence) / 2, count - 1) * slopes.std(0, ddof=1) / np.sqrt(count)
        for end, item in (("", mean), ("_low", mean - half), ("_high", mean + half)):
            made[f"slope_{name}{end}"] = (("setting", *dims), item, {"units": "1"})
    return made


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least-squares slope of y (seed, arm, ...) over x (seed, arm)."""
    along = x - x.mean(1, keepdims=True)
    wide = along.reshape(*along.shape, *(1,) * (y.ndim - 2))
    return np.asarray((wide * y).sum(1) / (wide**2).sum(1))


def _published(published: Mapping[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """A table of published numbers as variables, and where it is from as a fact."""
    if not published:
        return {}
    lost = [name for name in (*PUBLISHED, "source") if name not in published]
    if lost:
        raise ValueError(f"published: has no {lost[0]}; give {', '.join(PUBLISHED)} as lists, and source")
    table = {
        name: np.array([np.nan if v is None else v for v in published[name]], float) for name in PUBLISHED
    }
    if len({len(column) for column in table.values()}) > 1:
        raise ValueError("published: lists are not of one length; give one number a row")
    facts["published_source"] = str(published["source"])
    facts["published_epsilon"] = float(published.get("epsilon", np.nan))
    return {f"published_{name}": ("draw", column, {"units": "1"}) for name, column in table.items()}
