"""How well a model's features predict neural responses to stimuli that the map was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import xarray as xr

from analyses import _commitment, _maps, _plots, _scored, _shuffles
from analyses._joined import Joined, join
from analyses._labelled import values
from analyses._maps import Map
from analyses._sums import Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = {  # of Brain-Score: the regression, its strengths, and whether all times share one map
    "pls": ("pls", None, False),
    "ridge": ("ridge", (1.0,), False),
    "linear_predictivity": ("linear", None, False),
    "neuron_to_neuron": ("one-to-one", None, False),
    "spantime_pls": ("pls", None, True),
    "spantime_ridge": ("ridge", (1.0,), True),
    "ridgecv_split": ("ridge-gcv", _maps.BRAINSCORE, False),
}
STATED = ("origin", "bin_width", "trigger_delay_s", "simultaneous")


def score(
    features: xr.Dataset,
    recording: xr.Dataset,
    *,
    regression: str = "ridge",
    splits: int | str | xr.Dataset = 5,
    alphas: Sequence[float] | None = None,
    components: int = 25,
    spantime: bool = False,
    shuffled: bool = False,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Cross-validated correlation of every neuroid with its prediction from a model's features.

    Presentations are averaged over repeats and joined by stimulus_id; pictures of equal `content` stay on
    one side of a split. Regressions: "ridge" chooses the strength of each neuroid inside the training
    stimuli, in 5 folds (one strength is taken as it is); "kernel-ridge" is the same through products of
    images; "ridge-gcv" chooses one strength for all neuroids by leaving one out; "pls"; "pcr", principal
    components of the training stimuli; "linear"; "one-to-one", the feature that correlates most. Times of
    the recording are mapped each by itself, from features without time or of the same times, or with
    `spantime` by one map for all times.

    Reads    response (presentation, neuroid[, time]) of both; splits, a number of folds, "brainscore" (10
             times 90 % and 10 % of the stimuli), or train, test (fold, stimulus or presentation) with
             stimulus_id; ceiling, what reliability.split_half returned; shuffled, to exchange the features
             of stimuli
    Returns  r (fold, neuroid[, time]), unit 1, chance 0; score, score_low, score_high, score_error (time):
             the median over neuroids, mean over folds, an interval that draws the stimuli again and keeps
             the maps, and Brain-Score's error over splits; resampled (bootstrap, time); alpha (fold, neuroid
             [, time]) of ridge; with a ceiling, r_ceiling and normalized (neuroid[, time]), normalized_score
             (time) with its interval, and attrs above_ceiling, remark. The same score in attrs where there
             is no time. ValueError names what cannot be joined, or has no number
    Source   Yamins et al. 2014, doi 10.1073/pnas.1403112111; Schrimpf et al. 2018, doi 10.1101/407007
    >>> rng = np.random.default_rng(0)
    >>> model = xr.Dataset({"response": (("presentation", "neuroid"), rng.normal(size=(60, 2)))})
    >>> model = model.assign_coords(stimulus_id=("presentation", np.arange(60).astype(str)))
    >>> model = model.assign_coords(neuroid_id=("neuroid", ["a", "b"]))
    >>> float(score(model, model, bootstraps=0).attrs["score"]) > 0.99
    True
    """
    _known(regression, components, bootstraps, confidence)
    streams = np.random.SeedSequence(seed).spawn(4)
    data = join(features, recording)
    if shuffled:
        data = data._replace(x=data.x[np.random.default_rng(streams[0]).permutation(len(data.x))])
    parts = _split(data, splits, streams[1])
    wanted = Map(regression, _maps.strengths(regression, alphas), components, spantime)
    predicted, alpha = _maps.predict(data, parts, wanted, streams[2])
    made = _arrays(data, predicted, alpha, parts, (bootstraps, confidence), ceiling, streams[3])
    told = _told(features, recording, data, wanted, splits, parts, (bootstraps, confidence), seed)
    return _result(recording, data, made, told | {"shuffled": int(shuffled)})


def layers(
    features: xr.Dataset,
    recording: xr.Dataset,
    *,
    regression: str = "ridge",
    splits: int | str | xr.Dataset = 5,
    inner: int = 3,
    alphas: Sequence[float] | None = None,
    components: int = 25,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """The score of the layer that a model commits to each region, and of every layer by itself.

    In each split, the layer is chosen by the mean score of `inner` folds of the training stimuli, one layer
    for all neuroids of a region; the test stimuli have no part in it. The best of many scores of the same
    stimuli, which `naive` tells beside it, is too high. With one layer this is `score`.

    Reads    features of a model with layer (neuroid); a recording with region (neuroid), or without; the
             rest as `score`
    Returns  as `score`, of the layer that was chosen; chosen (fold, neuroid), its name; layer_score,
             layer_score_low, layer_score_high (layer), of each layer for all neuroids, mean over times; attrs
             layer, chosen most often, naive, the largest layer_score, and layers, their number
    Source   Schrimpf et al. 2018, doi 10.1101/407007 (layer commitment); Cawley and Talbot 2010, JMLR 11
             (choice inside the folds)
    """
    _known(regression, components, bootstraps, confidence)
    streams = np.random.SeedSequence(seed).spawn(5)
    data = join(features, recording)
    parts = _split(data, splits, streams[1])
    wanted = Map(regression, _maps.strengths(regression, alphas), components, False)
    names, members = _commitment.parted(features)
    rng = np.random.default_rng(streams[4])
    nested = [_shuffles.within(part, data.groups, inner, rng) for part in parts]
    each = [
        _commitment.layer(
            data._replace(x=np.ascontiguousarray(data.x[:, own])), parts, nested, wanted, streams[2]
        )
        for own in members
    ]
    region = values(recording, "region").astype(str) if "region" in recording.coords else None
    place = _commitment.chosen(np.array([one.inside for one in each]), region)
    predicted = _commitment.taken([one.predicted for one in each], place)
    made = _arrays(data, predicted, None, parts, (bootstraps, confidence), ceiling, streams[3])
    made |= {"chosen": names[place]}
    made |= _commitment.curve(each, data, parts, (bootstraps, confidence), streams[3])
    told = _told(features, recording, data, wanted, splits, parts, (bootstraps, confidence), seed)
    told |= {
        "layers": len(names), "naive": float(made["layer_score"].max()), "inner": inner,
        "layer": str(names[np.bincount(place.ravel()).argmax()]), "choice": "inside the training stimuli",
    }  # fmt: skip
    return _result(recording, data, made, told).assign_coords(layer=("layer", names))


def brainscore(
    features: xr.Dataset,
    recording: xr.Dataset,
    *,
    metric: str = "pls",
    splits: xr.Dataset | None = None,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """The number that Brain-Score's metric of that name gives: its splits, its regression, its aggregate.

    Ten shuffles of 90 % and 10 % with one seed, balanced over object_name where the recording has it; PLS of
    25 components, ridge of strength 1, the feature of largest training correlation. "ridgecv_split" takes
    one stated split, and chooses among Brain-Score's 99 strengths.

    Reads    as `score`; metric, pls, ridge, linear_predictivity, neuron_to_neuron, spantime_pls,
             spantime_ridge or ridgecv_split; splits, one fold with train and test, of ridgecv_split only
    Returns  as `score`
    Source   Schrimpf et al. 2018, doi 10.1101/407007 (brainscore_vision 2.4.2)
    """
    if metric not in METRICS:
        raise ValueError(f"metric: {metric!r}; use one of {', '.join(METRICS)}")
    if (metric == "ridgecv_split") != (splits is not None):
        raise ValueError(f"splits: of {metric!r}; state train and test for ridgecv_split, and for it alone")
    regression, alphas, spantime = METRICS[metric]
    made = score(
        features, recording, regression=regression, alphas=alphas, spantime=spantime, ceiling=ceiling,
        splits=_shuffles.BRAINSCORE if splits is None else splits, bootstraps=bootstraps, seed=seed,
    )  # fmt: skip
    return made.assign_attrs(metric=metric)


def compare(first: xr.Dataset, second: xr.Dataset) -> xr.Dataset:
    """How much better the first of two models predicts, stimulus by stimulus of one recording.

    Reads    what `score` returned for both, with the same stimuli, seed and bootstraps
    Returns  difference, difference_low, difference_high (time), from paired draws of stimuli; attrs of no
             time; ValueError where the draws are not the same
    """
    drawn = [part.attrs.get("drawn") for part in (first, second)]
    if drawn[0] != drawn[1] or "resampled" not in first or "resampled" not in second:
        raise ValueError(
            "second: was not drawn with the first; score both with the same stimuli, seed and bootstraps"
        )
    confidence = float(first.attrs["confidence"])
    gap = first["resampled"].values - second["resampled"].values
    ends = np.quantile(gap, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    centre = first["score"].values - second["score"].values
    made = {
        name: ("time", part, {"units": "1"})
        for name, part in zip(
            ("difference", "difference_low", "difference_high"), (centre, *ends), strict=True
        )
    }
    told = {key: first.attrs[key] for key in (*STATED, "confidence", "n", "over") if key in first.attrs}
    told |= {"chance": 0.0, "interval": "stimuli drawn again, the same for both; maps kept"}
    coords = {"time": first["time"]} if "time" in first.coords else {}
    return _in_attrs(xr.Dataset(made, coords, told), "difference")


def plot(result: xr.Dataset) -> Figure:
    """Correlations of all neuroids with their median, or their median over time.

    Reads    what `score` or `compare` returned
    Returns  a matplotlib Figure
    """
    name = "score" if "score" in result else "difference"
    if "time" in result.coords:
        return _plots.curve(result, name)
    figure, (axes,) = _plots.figure(4.8)
    if name == "score":
        r = np.sort(result["r"].mean("fold").values)
        axes.plot(r, np.arange(1, r.size + 1), color="0.0", drawstyle="steps-post", label="neuroids, sorted")
        if "r_ceiling" in result:
            limit = np.sort(result["r_ceiling"].values)
            axes.plot(limit, np.arange(1, r.size + 1), color="0.6", linestyle="--", label="ceilings, sorted")
    low, middle, high = (float(result[name + end].values[0]) for end in ("_low", "", "_high"))
    axes.axvspan(low, high, color="0.85", zorder=0)
    axes.axvline(middle, color="0.3", label=f"{name} {middle:.3f} [{low:.3f}, {high:.3f}]")
    axes.axvline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)), label="chance")
    axes.set(xlabel="Pearson correlation, held-out stimuli", ylabel="neuroids")
    axes.legend(frameon=False, fontsize=7)
    axes.set_title(_plots.caption(result.attrs), fontsize=7, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _known(regression: str, components: int, bootstraps: int, confidence: float) -> None:
    if regression not in _maps.REGRESSIONS:
        raise ValueError(f"regression: {regression!r}; use one of {', '.join(_maps.REGRESSIONS)}")
    if components < 1:
        raise ValueError(f"components: {components}; give at least 1")
    if bootstraps and bootstraps < 100:
        raise ValueError(f"bootstraps: {bootstraps}; give at least 100, or 0 for no interval")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")


def _split(data: Joined, splits: int | str | xr.Dataset, seed: np.random.SeedSequence) -> list[Split]:
    if isinstance(splits, xr.Dataset):
        return _shuffles.stated(splits, data.names)
    if isinstance(splits, str):
        if splits != _shuffles.BRAINSCORE:
            raise ValueError(f"splits: {splits!r}; give a number of folds, 'brainscore' or train and test")
        return _shuffles.brainscore(data.strata, len(data.names))
    return _shuffles.parts(data.groups, splits, np.random.default_rng(seed))


def _named(splits: int | str | xr.Dataset) -> str:
    if isinstance(splits, xr.Dataset):
        return "stated"
    return (
        f"{splits} folds" if isinstance(splits, int) else "brainscore: 10 x 90 % and 10 % of stimuli, seed 1"
    )


def _told(
    features: xr.Dataset, recording: xr.Dataset, data: Joined, wanted: Map, splits: int | str | xr.Dataset,
    parts: list[Split], drawn: tuple[int, float], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """What every score says of itself."""
    bootstraps, confidence = drawn
    told = {key: recording.attrs[key] for key in STATED if key in recording.attrs}
    told |= {f"model_{key}": features.attrs[key] for key in ("model", "layer") if key in features.attrs}
    told |= {
        "chance": 0.0, "regression": wanted.regression, "folds": len(parts), "splits": _named(splits),
        "kept_apart": data.kept_apart, "stimuli": len(data.names), "n": len(data.names), "over": "stimulus",
        "neuroids": data.y.shape[1], "features": data.x.shape[1], "repeats": data.repeats,
        "spantime": int(wanted.spantime), "seed": seed, "confidence": confidence,
        "bootstraps": bootstraps, "drawn": _digest(data, seed, bootstraps),
        "interval": "stimuli drawn again, maps kept",
    }  # fmt: skip
    if wanted.regression in _maps.FEW:
        told["components"] = min(wanted.components, data.x.shape[1])
    return told


def _digest(data: Joined, seed: int, bootstraps: int) -> str:
    return f"{crc32(chr(0).join(data.names).encode()):08x}, seed {seed}, {bootstraps}"


def _arrays(
    data: Joined, predicted: list[np.ndarray], alpha: np.ndarray | None, parts: list[Split],
    drawn: tuple[int, float], ceiling: xr.Dataset | None, seed: np.random.SeedSequence,
) -> dict[str, Any]:  # fmt: skip
    """Every variable: r and alpha (fold, neuroid, time), the rest (neuroid, time), (time) or (draw, time)."""
    bootstraps, confidence = drawn
    r = np.array([
        _scored.pearson(guess, data.y[part.test]) for guess, part in zip(predicted, parts, strict=True)
    ])  # fmt: skip
    made: dict[str, Any] = {"r": r} | ({} if alpha is None else {"alpha": alpha})
    limits = {"": np.ones(data.y.shape[1:])}
    if ceiling is not None:
        limits["normalized_"] = made["r_ceiling"] = data.limit(ceiling)
        made["normalized"] = r.mean(axis=0) / made["r_ceiling"]
    sides = [(1 - confidence) / 2, (1 + confidence) / 2]
    resampled = _scored.draws(predicted, data.y, parts, list(limits.values()), bootstraps, seed)
    for place, (stem, limit) in enumerate(limits.items()):
        medians = _scored.median(r / limit, axis=1)
        made[f"{stem}score"] = medians.mean(axis=0)
        if bootstraps:
            ends = np.quantile(resampled[place], sides, axis=0)
            made[f"{stem}score_low"], made[f"{stem}score_high"] = ends
        if not stem:
            made["score_error"] = medians.std(axis=0) / np.sqrt(len(parts))
            made |= {"resampled": resampled[place]} if bootstraps else {}
    return made


def _result(recording: xr.Dataset, data: Joined, made: dict[str, Any], told: dict[str, Any]) -> xr.Dataset:
    last = ("time",) if data.timed else ()
    dims = {
        "r": ("fold", "neuroid", *last),
        "alpha": ("fold", "neuroid", *last),
        "resampled": ("bootstrap", "time"),
    }
    dims |= {"r_ceiling": ("neuroid", *last), "normalized": ("neuroid", *last)}
    dims |= {"chosen": ("fold", "neuroid")} | dict.fromkeys(_commitment.CURVE, ("layer",))
    variables = {}
    for name, part in made.items():
        own = dims.get(name, ("time",))
        whole = "time" in own or name in ("chosen", *_commitment.CURVE)
        variables[name] = (own, part if whole else part[..., 0], {"units": "1"})
    kept = {"neuroid", *last}
    coords = {
        key: item.variable for key, item in recording.coords.items() if item.dims and {*item.dims} <= kept
    }
    if "normalized" in made:
        above, none = int((made["normalized"] > 1).sum()), int(np.isnan(made["r_ceiling"]).sum())
        told |= {"above_ceiling": above, "no_ceiling": none, "ceiling": "square root of reliability"}
        told["interval"] = "stimuli drawn again, maps and ceilings kept"
        told["remark"] = "" if not above else (
            f"{above} of {made['normalized'].size} scores lie above their ceilings: these are estimates, and "
            "noise moves both"
        )  # fmt: skip
    found = xr.Dataset(variables, {key: item for key, item in coords.items() if key not in variables}, told)
    found = _in_attrs(found, "score")
    return _in_attrs(found, "normalized_score") if "normalized" in made else found


def _in_attrs(found: xr.Dataset, name: str) -> xr.Dataset:
    """The one number also as attrs, where there is one."""
    if found.sizes["time"] == 1:
        for end in ("", "_low", "_high", "_error"):
            if name + end in found:
                found.attrs[name + end] = float(found[name + end].values[0])
    return found
