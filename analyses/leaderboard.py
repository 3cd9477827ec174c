"""Models beside each other: how well each explains the same neurons, and which differences are chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAME = ("drawn", "splits", "regression", "metric", "bootstraps", "confidence", "neuroids")
STATED = (*SAME, "origin", "kept_apart", "repeats", "ceiling", "n", "over", "interval", "chance", "seed")


def table(**scores: xr.Dataset) -> xr.Dataset:
    """Scores of several models on the same stimuli and neurons, with tests between all pairs of them.

    Stimuli are drawn again, the same for all models. Intervals and p of differences are corrected for all
    pairs by the largest studentised difference. Raw scores stand beside those divided by the ceilings.

    Reads    scores, one for each model, as `predictivity.score`, `layers` or `brainscore` returned them, of
             one time, the same stimuli, splits, regression, seed and bootstraps
    Returns  score, score_low, score_high and, with ceilings, normalized_score with its interval (model), the
             best model first; layer (model), naive (model) of a chosen layer; difference, difference_low,
             difference_high, p (model, other_model), the first less the second. ValueError where scores
             cannot be compared
    Source   Westfall and Young 1993, ISBN 9780471557616 (single-step max-T); Schrimpf et al. 2018,
             doi 10.1101/407007
    """
    if len(scores) < 2:
        raise ValueError(f"scores: {len(scores)} model; a table compares two or more")
    _comparable(scores)
    value = {name: float(one["score"].values[0]) for name, one in scores.items()}
    order = sorted(scores, key=lambda name: (-np.nan_to_num(value[name], nan=-np.inf), name))
    made: dict[str, Any] = {}
    for variable in ("score", "normalized_score"):
        if all(variable in one for one in scores.values()):
            for end in ("", "_low", "_high"):
                column = [float(scores[name][variable + end].values[0]) for name in order]
                made[variable + end] = ("model", np.array(column), {"units": "1"})
    naive = [float(scores[name].attrs.get("naive", np.nan)) for name in order]
    made["naive"] = ("model", np.array(naive), {"units": "1"})
    drawn = np.stack([scores[name]["resampled"].values[:, 0] for name in order])
    first = scores[order[0]]
    pairs = _differences(np.array([value[name] for name in order]), drawn, float(first.attrs["confidence"]))
    dims = ("model", "other_model")
    made |= {name: (dims, matrix, {"units": "1"}) for name, matrix in pairs.items()}
    told = {key: first.attrs[key] for key in STATED if key in first.attrs}
    regions = sorted(set(first["region"].values.astype(str))) if "region" in first.coords else []
    told |= {
        "region": ", ".join(regions), "metric": str(first.attrs.get("metric", first.attrs["regression"])),
        "test": "stimuli drawn again, the same for all models", "family": f"{len(order)} models, all pairs",
        "correction": "max-T", "leaderboard": 1,
        "naive_is": "the best of all layers on the stimuli that chose it; too high",
    }  # fmt: skip
    layer = [str(scores[name].attrs.get("layer", "")) for name in order]
    features = [int(scores[name].attrs["features"]) for name in order]
    coords = {"model": order, "other_model": order}
    columns = {"layer": ("model", layer), "features": ("model", features)}
    return xr.Dataset(made, coords | columns, told)


def _comparable(scores: dict[str, xr.Dataset]) -> None:
    first = next(iter(scores))
    for name, one in scores.items():
        if "score" not in one or "resampled" not in one or one["score"].dims != ("time",):
            raise ValueError(
                f"{name}: has no score with drawn stimuli; give what predictivity.score returned"
            )
        if one.sizes["time"] != 1:
            raise ValueError(f"{name}: has {one.sizes['time']} times; give scores of one time")
        for key in SAME:
            mine, theirs = (part.attrs.get(key) for part in (one, scores[first]))
            if mine != theirs:
                raise ValueError(f"{name}: has {key} {mine!r}, and {first} {theirs!r}; score all alike")


def _differences(value: np.ndarray, drawn: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
    """Differences (model, model), with simultaneous intervals and p from draws (model, draw)."""
    difference = value[:, None] - value
    again = drawn[:, None] - drawn
    error = again.std(axis=2, ddof=1)
    within = np.where(error > 0, error, np.inf)
    upper = np.triu_indices(len(value), 1)
    centred = np.abs(again - again.mean(axis=2, keepdims=True))[upper] / within[upper][:, None]
    largest = centred.max(axis=0)
    size = np.abs(difference) / within
    p = (1 + (largest >= size[..., None] - 1e-12).sum(axis=2)) / (1 + largest.size)
    np.fill_diagonal(p, np.nan)
    half = np.quantile(largest, confidence) * error
    return {
        "difference": difference, "difference_low": difference - half, "difference_high": difference + half,
        "p": p,
    }  # fmt: skip


def plot(result: xr.Dataset) -> Figure:
    """Every model's score with its interval, raw and, where there are ceilings, divided by them.

    Reads    what `table` returned
    Returns  a matplotlib Figure
    """
    models = result["model"].values.astype(str)
    place = np.arange(len(models))[::-1]
    made, (axes,) = _plots.figure(6.4, 1.2 + 0.32 * len(models))
    kinds = (("score", "raw", "0.0", 0.12), ("normalized_score", "divided by its ceiling", "0.6", -0.12))
    for name, words, grey, shift in kinds:
        if name not in result:
            continue
        middle = result[name].values
        sides = np.abs(np.stack([result[f"{name}_{end}"].values for end in ("low", "high")]) - middle)
        axes.errorbar(
            middle, place + shift, xerr=sides, fmt="o" if grey == "0.0" else "s", color=grey, ms=4, lw=1.2,
            label=words,
        )  # fmt: skip
    axes.axvline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        "chance", (0, 1.01), xycoords=("data", "axes fraction"), fontsize=7, color="0.4", ha="center"
    )
    if "normalized_score" in result:
        axes.axvline(1, color="0.4", linewidth=1)
        axes.annotate(
            "ceiling of the grey", (1, 1.01), xycoords=("data", "axes fraction"), fontsize=7, ha="right"
        )
    names = [
        f"{model}\n{layer}" if layer else model
        for model, layer in zip(models, result["layer"].values.astype(str), strict=True)
    ]
    axes.set_yticks(place, names, fontsize=7)
    where = f" of {result.attrs['region']}" if result.attrs.get("region") else ""
    axes.set_xlabel(
        f"correlation with held-out responses{where}, median of {result.attrs['neuroids']} neuroids"
    )
    axes.legend(frameon=False, fontsize=7, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    told = (str(result.attrs[key]) for key in ("origin", "metric") if result.attrs.get(key))
    made.suptitle(" · ".join(told), fontsize=7, x=0.01, ha="left")
    return made
