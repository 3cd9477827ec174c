"""Encoding models: linear maps from features to responses, fitted to some stimuli and scored on others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _linear_map, _maps, _plots, _scored
from analyses._joined import Joined, join, limits
from analyses._labelled import values
from analyses._linear_map import Linear

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATED = ("origin", "bin_width", "trigger_delay_s", "simultaneous")
FEWEST = 5  # stimuli on either side
COMPONENTS = 25  # of PLS
SPLIT = 7  # the stream that draws what is held out
PAIR = ("predicted", "measured")


def fit(
    features: xr.Dataset,
    recording: xr.Dataset,
    *,
    held_out: float | Sequence[str] = 0.2,
    split: int = 0,
    regression: str = "ridge",
    alphas: Sequence[float] | None = None,
    components: int | None = None,
    shuffled: bool = False,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """One linear map for every neuroid, fitted to most stimuli and scored on those held out.

    "ridge" chooses the strength of each neuroid in 5 folds of the stimuli that it is fitted to; with
    `components` the map is brought to that rank. "pls" has 25 components, or as many as are given.
    Presentations are averaged over repeats and joined by stimulus_id; stimuli of equal `content` stay
    together. What is held out depends on `split`, not on `seed`. `shuffled` exchanges the features of the
    stimuli that are fitted, once strengths are chosen.

    Reads    response (presentation, neuroid[, time of size 1]) of both; held_out, a share of the stimuli or
             the ids of those; ceiling, what reliability.split_half returned
    Returns  latent (feature, component), loading (component, neuroid), centre (feature), level (neuroid):
             responses are level + (features - centre) latent loading; alpha (neuroid) of ridge; predicted,
             measured (stimulus, neuroid); held_out (stimulus); and what `evaluate` returns. ValueError where
             a stimulus held out is also fitted under another name
    Source   Wu, David and Gallant 2006, doi 10.1146/annurev.neuro.29.051605.113024
    >>> rng = np.random.default_rng(0)
    >>> model = xr.Dataset({"response": (("presentation", "neuroid"), rng.normal(size=(60, 2)))})
    >>> model = model.assign_coords(stimulus_id=("presentation", np.arange(60).astype(str)))
    >>> model = model.assign_coords(neuroid_id=("neuroid", ["a", "b"]))
    >>> float(fit(model, model, bootstraps=0).attrs["score"]) > 0.99
    True
    """
    strengths = _strengths(regression, alphas, components)
    streams = np.random.SeedSequence(seed).spawn(4)
    data = join(features, recording)
    _still(data)
    tested = _held(data.names, data.groups, held_out, split)
    train = np.flatnonzero(~tested)
    order = np.random.default_rng(streams[1]).permutation(train.size) if shuffled else np.arange(train.size)
    rank = components if regression == "ridge" else min(components or COMPONENTS, data.x.shape[1])
    made = _linear_map.fitted(
        data.x, data.y[..., 0], data.groups, train, regression, strengths, rank, order,
        np.random.default_rng(streams[2]),
    )  # fmt: skip
    found = _dataset(recording, data, made.predicted(data.x), tested)
    found = _with_map(found, features, made)
    found.attrs |= {
        "regression": regression, "components": made.latent.shape[1], "shuffled": int(shuffled),
        "features": data.x.shape[1], "repeats": data.repeats, "kept_apart": data.kept_apart,
        "seed": seed,
    }  # fmt: skip
    return evaluate(found, ceiling=ceiling, bootstraps=bootstraps, confidence=confidence, seed=seed)


def score(
    predictions: xr.Dataset,
    recording: xr.Dataset,
    *,
    held_out: float | Sequence[str],
    split: int = 0,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """What any model predicts of each neuroid beside what was measured, on stimuli that are new to it.

    Reads    predictions, response (presentation, neuroid) with as many neuroids as the recording and in its
             order; the rest as `fit`
    Returns  predicted, measured (stimulus, neuroid); held_out (stimulus); and what `evaluate` returns
    """
    data = join(predictions, recording)
    _still(data)
    if data.x.shape[1] != data.y.shape[1]:
        raise ValueError(
            f"predictions: are of {data.x.shape[1]} neuroids, and the recording has {data.y.shape[1]}; "
            "build the model for as many"
        )
    tested = _held(data.names, data.groups, held_out, split)
    found = _dataset(recording, data, data.x, tested)
    found.attrs |= {"repeats": data.repeats, "kept_apart": data.kept_apart}
    return evaluate(found, ceiling=ceiling, bootstraps=bootstraps, confidence=confidence, seed=seed)


def evaluate(
    predictions: xr.Dataset,
    *,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Correlations of predictions with mean responses on held-out stimuli, beside what they could reach.

    Reads    predicted, measured (stimulus, neuroid) and held_out (stimulus); ceiling, what
             reliability.split_half returned, joined by neuroid_id
    Returns  the same with r, r_low, r_high (neuroid), unit 1, chance 0, from stimuli drawn again (the map is
             kept); reliability, r_ceiling, its square root, and normalized (neuroid), NaN where there is
             none; attrs score, score_low, score_high, the median over neuroids, and the same of
             normalized_score
    Source   Schoppe et al. 2016, doi 10.3389/fncom.2016.00010
    """
    if bootstraps and bootstraps < 100:
        raise ValueError(f"bootstraps: {bootstraps}; give at least 100, or 0 for no interval")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")
    rows = np.asarray(predictions["held_out"].values, bool)
    pair = [predictions[name].transpose("stimulus", "neuroid").values[rows] for name in PAIR]
    names = values(predictions, "neuroid_id").astype(str)
    made: dict[str, np.ndarray] = {"r": _scored.pearson(*pair)}
    limit = np.full(len(names), np.nan) if ceiling is None else limits(ceiling, names, 1)[:, 0]
    made |= {"reliability": limit**2, "r_ceiling": limit, "normalized": made["r"] / limit}
    told: dict[str, Any] = {
        "chance": 0.0, "confidence": confidence, "bootstraps": bootstraps, "n": int(rows.sum()),
        "over": "stimulus", "neuroids": len(names), "interval": "stimuli drawn again, map kept",
        "ceiling": "none: no reliability" if ceiling is None else "square root of reliability",
        "no_ceiling": int(np.isnan(limit).sum()), "above_ceiling": int((made["normalized"] > 1).sum()),
        "score": float(_scored.median(made["r"], 0)),
        "normalized_score": float(_scored.median(made["normalized"], 0)),
    }  # fmt: skip
    if bootstraps:
        count = len(pair[0])
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(9,)))
        weights = rng.multinomial(count, np.full(count, 1 / count), bootstraps).astype(float)
        drawn = _scored.weighted(pair[0], pair[1], weights)
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        made["r_low"], made["r_high"] = np.quantile(drawn, ends, axis=0)
        for stem, part in (("", drawn), ("normalized_", drawn / limit)):
            low, high = np.quantile(_scored.median(part, 1), ends)
            told |= {f"{stem}score_low": float(low), f"{stem}score_high": float(high)}
    held = {name: ("neuroid", part, {"units": "1"}) for name, part in made.items()}
    return predictions.assign(held).assign_attrs(told)


def plot(result: xr.Dataset) -> Figure:
    """Correlation of every neuroid on held-out stimuli with its interval, the least first, and the ceilings.

    Reads    what `fit` or `evaluate` returned
    Returns  a matplotlib Figure
    """
    figure, (axes,) = _plots.figure(4.8)
    r = result["r"].values
    order, place = np.argsort(r), np.arange(r.size)
    if "r_low" in result:
        axes.vlines(place, result["r_low"].values[order], result["r_high"].values[order], color="0.8")
    if np.isfinite(result["r_ceiling"].values).any():
        axes.plot(place, result["r_ceiling"].values[order], "_", color="0.5", label="ceiling")
    axes.plot(place, r[order], ".", color="0", markersize=4, label="held-out stimuli")
    axes.axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)), label="chance")
    axes.set(xlabel="neuroids, the least first", ylabel="Pearson correlation")
    axes.legend(frameon=False, fontsize=7)
    axes.set_title(_plots.caption(dict(result.attrs)), fontsize=7, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _strengths(regression: str, alphas: Sequence[float] | None, components: int | None) -> np.ndarray:
    if regression not in _linear_map.REGRESSIONS:
        raise ValueError(f"regression: {regression!r}; use one of {', '.join(_linear_map.REGRESSIONS)}")
    if components is not None and components < 1:
        raise ValueError(f"components: {components}; give at least 1")
    return _maps.strengths(regression, alphas)


def drawn(stimuli: xr.Dataset, *, held_out: float | Sequence[str] = 0.2, split: int = 0) -> np.ndarray:
    """Which stimuli `fit` holds out of these.

    Reads    stimulus_id (stimulus), and content where it stands; held_out, a share of the stimuli or the ids
             of those; split, which of many draws of that share
    Returns  booleans; ValueError where the same picture would stand on both sides, or a side has too few
    """
    names = values(stimuli, "stimulus_id").astype(str)
    return _held(names, values(stimuli, "content").astype(str) if "content" in stimuli.coords else names,
                 held_out, split)  # fmt: skip


def _held(names: np.ndarray, groups: np.ndarray, held_out: float | Sequence[str], split: int) -> np.ndarray:
    """Which stimuli are tested: a share of groups, drawn; or those that were named."""
    if isinstance(held_out, (int, float)):
        if not 0 < held_out < 1:
            raise ValueError(f"held_out: {held_out}; wanted a share between 0 and 1, or stimulus ids")
        known, place = np.unique(groups, return_inverse=True)
        taken = np.zeros(known.size, bool)
        rng = np.random.default_rng(np.random.SeedSequence([split, SPLIT]))
        taken[rng.permutation(known.size)[: round(held_out * known.size)]] = True
        tested = taken[np.ravel(place)]
    else:
        tested = _stated(names, held_out)
    both = sorted(set(groups[tested]) & set(groups[~tested]))
    if both:
        pair = [names[(groups == both[0]) & side][0] for side in (tested, ~tested)]
        raise ValueError(
            f"held_out: stimulus {pair[0]} is held out and fitted as {pair[1]}, the same picture; keep both "
            "on one side"
        )
    if min(tested.sum(), (~tested).sum()) < FEWEST:
        raise ValueError(
            f"held_out: {int(tested.sum())} of {tested.size} stimuli; {FEWEST} at least must be held out, "
            "and as many fitted"
        )
    return tested


def _stated(names: np.ndarray, held_out: Sequence[str]) -> np.ndarray:
    wanted = [str(name) for name in ([held_out] if isinstance(held_out, str) else held_out)]
    lost = [name for name in wanted if name not in set(names)]
    if lost:
        raise ValueError(
            f"held_out: {', '.join(lost[:10])} not in the recording, whose stimuli begin with "
            f"{', '.join(names[:3])}; name others"
        )
    return np.isin(names, wanted)


def _still(data: Joined) -> None:
    if (data.timed and data.y.shape[2] > 1) or data.x.ndim > 2:
        raise ValueError("time: has more than one moment; choose one, or average over a window")


def _dataset(recording: xr.Dataset, data: Joined, predicted: np.ndarray, tested: np.ndarray) -> xr.Dataset:
    """Predicted and measured responses, with the names of stimuli and neuroids."""
    own = {"units": str(recording["response"].attrs.get("units", "1"))}
    parts: dict[str, Any] = {
        "predicted": (("stimulus", "neuroid"), predicted, own),
        "measured": (("stimulus", "neuroid"), data.y[..., 0], own),
        "held_out": ("stimulus", tested, {"units": "1"}),
    }
    coords: dict[str, Any] = {
        str(key): item.variable for key, item in recording.coords.items() if item.dims == ("neuroid",)
    }
    coords["stimulus_id"] = ("stimulus", data.names)
    if data.kept_apart == "content":
        coords["content"] = ("stimulus", data.groups)
    told = {key: recording.attrs[key] for key in STATED if key in recording.attrs}
    return xr.Dataset(parts, coords, told | {"n_fitted": int((~tested).sum())})


def _with_map(found: xr.Dataset, features: xr.Dataset, made: Linear) -> xr.Dataset:
    unit, own = {"units": "1"}, {"units": found["measured"].attrs["units"]}
    parts: dict[str, Any] = {
        "latent": (("feature", "component"), made.latent, unit),
        "loading": (("component", "neuroid"), made.loading, own),
        "centre": ("feature", made.centre, unit),
        "level": ("neuroid", made.level, own),
    }
    if made.alpha is not None:
        parts["alpha"] = ("neuroid", made.alpha, unit)
    found = found.assign(parts).assign_coords(
        feature_id=("feature", values(features, "neuroid_id").astype(str))
    )
    found.attrs |= {
        f"model_{key}": features.attrs[key] for key in ("model", "layer") if key in features.attrs
    }
    return found
