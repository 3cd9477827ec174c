"""How well responses repeat, and so how much of them any model can explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _conditions, _halves, _plots
from analyses._labelled import values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4096  # of neuroids and times at once
DEAD, FEW, NEGATIVE = "does not vary", "fewer than two presentations of a stimulus", "halves do not correlate"
FEWEST = 3  # stimuli with two presentations
STATED = ("origin", "simultaneous", "bin_width", "trigger_delay_s", "verified")


def split_half(
    recording: xr.Dataset,
    *,
    splits: int = 100,
    bootstraps: int = 1000,
    threshold: float = 0.5,
    confidence: float = 0.95,
    by: str = "stimulus_id",
    seed: int = 0,
) -> xr.Dataset:
    """Reliability of mean responses to stimuli, from the correlation of random halves of presentations.

    It is the share of the variance over stimuli that is signal: what the square of a correlation with the
    mean response, not the correlation, can reach. Presentations that a neuroid lacks (NaN) do not count, and
    the step from halves to all uses the numbers that each stimulus has; stimuli shown once are left out.
    Intervals draw stimuli again.

    Reads    response (presentation, neuroid[, time]); by, what is repeated; splits into halves; threshold of
             reliability, declared before a look at scores, above which neuroids are summed up once more
    Returns  correlation of halves; reliability, reliability_low, reliability_high (neuroid[, time]), unit 1,
             NaN where reason (neuroid[, time]) says why; stimuli (neuroid[, time]), how many count; attrs
             median, median_low, median_high over neuroids that vary, a negative one counted as 0, and
             median_above, with n, n_above, dead, negative. ValueError where nothing is repeated
    Source   Spearman 1910, doi 10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, doi
             10.1111/j.2044-8295.1910.tb00207.x; Lage-Castellanos et al. 2019, doi
             10.1371/journal.pcbi.1006397
    >>> rng = np.random.default_rng(0)
    >>> response = np.repeat(rng.normal(size=(30, 2)), 4, axis=0) + rng.normal(size=(120, 2))
    >>> shown = np.repeat(np.arange(30), 4).astype(str)
    >>> coords = {"stimulus_id": ("presentation", shown)}
    >>> two = xr.Dataset({"response": (("presentation", "neuroid"), response)}, coords)
    >>> bool(0.6 < split_half(two).reliability.mean() < 0.95)
    True
    """
    if splits < 1 or bootstraps < 10:
        raise ValueError(
            f"{'splits' if splits < 1 else 'bootstraps'}: too few; give 1 split, 10 bootstraps or more"
        )
    dims = ("neuroid", "time") if "time" in recording["response"].dims else ("neuroid",)
    response = recording["response"].transpose("presentation", *dims)
    shape = response.shape[1:]
    flat = np.asarray(response.values, dtype=float).reshape(response.shape[0], -1)
    names, stimulus = np.unique(values(recording, by), return_inverse=True)
    if np.sort(np.bincount(stimulus))[-FEWEST:].min(initial=9) < 2 or names.size < FEWEST:
        raise ValueError(f"{by}: fewer than {FEWEST} come twice; reliability needs repeated presentations")
    streams = np.random.SeedSequence(seed).spawn(2)
    made = _columns(flat, stimulus, splits, bootstraps, confidence, streams)
    parts: dict[str, Any] = {
        name: (dims, made[name].reshape(shape), {"units": "1"})
        for name in ("correlation", "reliability", "reliability_low", "reliability_high", "stimuli", "reason")
    }
    summed = _summary(made["reliability"], made["reason"], made["drawn"], threshold, confidence)
    told = {key: recording.attrs[key] for key in STATED if key in recording.attrs}
    told |= {
        "splits": splits, "bootstraps": bootstraps, "confidence": confidence, "seed": seed, "over": "neuroid",
        "by": by, "threshold": threshold, "meaning": "signal's share of variance over stimuli", **summed,
    }  # fmt: skip
    return xr.Dataset(parts, _kept(recording, dims, parts), told)


def _kept(recording: xr.Dataset, dims: tuple[str, ...], made: dict[str, Any]) -> dict[str, Any]:
    """Coordinates of neuroids and times, but those that a variable has the name of."""
    coords = recording.coords.items()
    return {
        str(key): item.variable
        for key, item in coords
        if item.dims and set(item.dims) <= set(dims) and key not in made
    }


def _columns(
    flat: np.ndarray,
    stimulus: np.ndarray,
    splits: int,
    bootstraps: int,
    confidence: float,
    streams: list[Any],
) -> dict[str, np.ndarray]:
    """Every variable of `split_half` (column); columns that lack the same presentations share halves."""
    columns = flat.shape[1]
    nan = np.full(columns, np.nan)
    made = {
        name: nan.copy() for name in ("correlation", "reliability", "reliability_low", "reliability_high")
    }
    made |= {"stimuli": np.zeros(columns), "reason": np.full(columns, "", dtype="<U60")}
    made["drawn"] = np.full((bootstraps, columns), np.nan)
    sides = [(1 - confidence) / 2, (1 + confidence) / 2]
    every = int(stimulus.max()) + 1
    drawn = np.random.default_rng(streams[1]).multinomial(every, np.full(every, 1 / every), bootstraps)
    there = ~np.isnan(flat)
    _, pattern = np.unique(np.packbits(there, axis=0), axis=1, return_inverse=True)
    pattern = np.ravel(pattern)
    for group in range(int(pattern.max()) + 1):
        inside = np.flatnonzero(pattern == group)
        real = there[:, inside[0]]
        counts = np.bincount(stimulus[real], minlength=every)
        used = real & (counts[stimulus] >= 2)
        made["stimuli"][inside] = (counts >= 2).sum()
        if (counts >= 2).sum() < FEWEST:
            made["reason"][inside] = FEW
            continue
        place = np.cumsum(counts >= 2) - 1
        for start in range(0, inside.size, COLUMNS):
            some = inside[start : start + COLUMNS]
            block = flat[np.ix_(used, some)]
            block = block - block.mean(axis=0)
            dead = (block**2).mean(axis=0) <= (1e-12 * np.abs(flat[np.ix_(used, some)]).max(axis=0)) ** 2
            rng = np.random.default_rng(streams[0])
            moments = _halves.moments(block, place[stimulus[used]], splits, rng)
            weights = np.concatenate([np.ones((1, every)), drawn])[:, counts >= 2]
            r = _halves.correlations(moments, weights.astype(float))
            found = _halves.prophesied(r, moments.half, moments.whole)
            filled = np.where(np.isnan(found[1:]), 0.0, found[1:])
            made["correlation"][some] = np.where(dead, np.nan, r[0])
            made["reliability"][some] = np.where(dead, np.nan, found[0])
            ends = np.where(dead | np.isnan(found[0]), np.nan, np.quantile(filled, sides, axis=0))
            made["reliability_low"][some], made["reliability_high"][some] = ends
            made["reason"][some] = np.where(dead, DEAD, np.where(np.isnan(found[0]), NEGATIVE, ""))
            made["drawn"][:, some] = np.where(dead, np.nan, filled)
    return made


def _summary(
    reliability: np.ndarray, reason: np.ndarray, drawn: np.ndarray, threshold: float, confidence: float
) -> dict[str, Any]:
    """Medians over all neuroids that vary, and over those above the threshold."""
    sides = [(1 - confidence) / 2, (1 + confidence) / 2]
    alive = (reason != DEAD) & (reason != FEW)
    found = np.where(np.isnan(reliability), 0.0, reliability)
    told: dict[str, Any] = {
        "n": int(alive.sum()), "dead": int((reason == DEAD).sum()),
        "negative": int((reason == NEGATIVE).sum()),
        "n_above": int((found > threshold).sum()), "unrepeated": int((reason == FEW).sum()),
    }  # fmt: skip
    for stem, kept in (("", alive), ("_above", found > threshold)):
        if kept.any():
            ends = np.quantile(np.median(drawn[:, kept], axis=1), sides)
            told |= {f"median{stem}": float(np.median(found[kept]))}
            told |= {f"median{stem}_low": float(ends[0]), f"median{stem}_high": float(ends[1])}
        else:
            told |= dict.fromkeys((f"median{stem}", f"median{stem}_low", f"median{stem}_high"), np.nan)
    return told


def ceiling(reliability: xr.Dataset) -> xr.Dataset:
    """What a perfect model of the mean response would score, in both of the meanings that are in use.

    Reads    reliability, reliability_low, reliability_high (neuroid[, time]), as `split_half` returned them
    Returns  r_ceiling, √reliability, for scores that are correlations; r2_ceiling, reliability, for scores
             that are shares of explained variance; each with _low and _high, unit 1; NaN with its reason
    Source   Schoppe et al. 2016, doi 10.3389/fncom.2016.00010; Lage-Castellanos et al. 2019, doi
             10.1371/journal.pcbi.1006397
    """
    made: dict[str, Any] = {}
    for end in ("", "_low", "_high"):
        part = reliability[f"reliability{end}"]
        made[f"r_ceiling{end}"] = (part.dims, np.sqrt(part.values), {"units": "1"})
        made[f"r2_ceiling{end}"] = (part.dims, part.values.copy(), {"units": "1"})
    if "reason" in reliability:
        made["reason"] = reliability["reason"]
    told = {key: item for key, item in reliability.attrs.items() if not str(key).startswith("median")}
    for stem in ("", "_above"):
        if f"median{stem}" in reliability.attrs:
            told[f"median{stem}_r2"] = float(reliability.attrs[f"median{stem}"])
            told[f"median{stem}_r"] = float(np.sqrt(reliability.attrs[f"median{stem}"]))
    told["meaning"] = "r_ceiling bounds correlations; r2_ceiling bounds explained variance"
    return xr.Dataset(made, dict(reliability.coords), told)


def normalized(
    scores: xr.Dataset, reliability: xr.Dataset, *, variable: str, squared: bool = False
) -> xr.Dataset:
    """Scores beside what they are of their ceilings, joined by neuroid_id.

    Reads    scores, `variable` (..., neuroid[, ...]), a correlation, or with squared a share of variance;
             what `split_half` returned, of one time
    Returns  variable as it was; normalized (same dims), NaN where there is no ceiling; attrs above_ceiling,
             the number of scores above theirs, no_ceiling, the number without one. ValueError where a neuroid
             is unknown
    Source   Schoppe et al. 2016, doi 10.3389/fncom.2016.00010
    """
    bound = ceiling(reliability)["r2_ceiling" if squared else "r_ceiling"]
    if bound.dims != ("neuroid",):
        raise ValueError(
            f"reliability: has dimensions {', '.join(map(str, bound.dims))}; give that of one time"
        )
    if variable not in scores:
        raise ValueError(f"variable: {variable!r}; it has {', '.join(map(str, scores.data_vars))}")
    order = _conditions.places(values(scores, "neuroid_id"), values(reliability, "neuroid_id"), "neuroid_id")
    raw = scores[variable]
    limit = xr.DataArray(bound.values[order], dims="neuroid")
    share = (raw / limit).transpose(*raw.dims)
    made = {variable: raw, "normalized": (raw.dims, share.values, {"units": "1"})}
    told = {
        "above_ceiling": int((share.values > 1).sum()), "no_ceiling": int(np.isnan(limit.values).sum()),
        "ceiling": "reliability" if squared else "square root of reliability",
    }  # fmt: skip
    return xr.Dataset(made, dict(scores.coords), {**scores.attrs, **told})


def internal_consistency(
    recording: xr.Dataset,
    *,
    splits: int = 10,
    by: str = "stimulus_id",
    repetition: str = "repetition",
    seed: int = 1,
) -> xr.Dataset:
    """Brain-Score's ceiling of the same name: halves of the repetitions, their number being equal or not.

    Half of all repetitions against the others, the same for all stimuli; Pearson's correlation of each
    neuroid, corrected by 2r/(1 + r), the median of neuroids, the mean of splits. Where stimuli lack
    repetitions, `split_half` is the better estimate.

    Reads    response (presentation, neuroid[, time]); repetition (presentation)
    Returns  consistency (fold, neuroid[, time]); score, score_error ([time]); attrs score, error where there
             is no time
    Source   Schrimpf et al. 2018, doi 10.1101/407007 (brainscore_vision 2.4, internal_consistency)
    """
    from sklearn.model_selection import ShuffleSplit

    dims = ("neuroid", "time") if "time" in recording["response"].dims else ("neuroid",)
    response = recording["response"].transpose("presentation", *dims)
    _, stimulus = np.unique(values(recording, by), return_inverse=True)
    there, number = np.unique(values(recording, repetition), return_inverse=True)
    if there.size < 2:
        raise ValueError(f"{repetition}: {there.size} value; halves need 2 or more")
    first = np.zeros((splits, there.size), dtype=bool)
    for split, (train, _) in enumerate(ShuffleSplit(splits, train_size=0.5, random_state=seed).split(there)):
        first[split, train] = True
    flat = np.asarray(response.values, dtype=float).reshape(response.shape[0], -1)
    found = _halves.consistency(flat, stimulus, number, first).reshape(splits, *response.shape[1:])
    median = np.nanmedian(found, axis=1).reshape(splits, -1)
    score, error = median.mean(axis=0), median.std(axis=0) / np.sqrt(splits)
    made: dict[str, Any] = {
        "consistency": (("fold", *dims), found, {"units": "1"}),
        "score": ("time", score, {"units": "1"}), "score_error": ("time", error, {"units": "1"}),
    }  # fmt: skip
    told = {key: recording.attrs[key] for key in STATED if key in recording.attrs}
    told |= {"ceiling": "internal consistency", "splits": splits, "seed": seed}
    if score.size == 1:
        told |= {"score": float(score[0]), "error": float(error[0])}
    return xr.Dataset(made, _kept(recording, dims, made), told)


def plot(result: xr.Dataset) -> Figure:
    """Reliability of every neuroid with its interval, the least first, or its median over time.

    Reads    what `split_half`, `ceiling` or `internal_consistency` returned; of the last, the mean of the
             splits, and the middle 95 % of them
    Returns  a matplotlib Figure
    """
    if "consistency" in result.data_vars:
        result = _over_splits(result)
    name = next(name for name in ("reliability", "consistency", "r2_ceiling") if name in result.data_vars)
    made, (axes,) = _plots.figure()
    found = result[name]
    if "time" in found.dims:
        every = np.where(np.isnan(found.values), 0, found.values)
        middle = np.quantile(every, [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(found["time"], middle[0], middle[2], color="0.85", linewidth=0)
        axes.plot(found["time"], middle[1], color="0")
        _plots.timeline(axes, None, f"{name} (median and quartiles of neuroids)")
        return made
    order = np.argsort(found.values)[: int(np.isfinite(found.values).sum())]
    place = np.arange(order.size)
    axes.vlines(
        place, result[f"{name}_low"].values[order], result[f"{name}_high"].values[order], color="0.75"
    )
    axes.plot(place, found.values[order], ".", color="0", markersize=4)
    axes.set_xlabel(f"neuroid ({found.size - order.size} without {name} are not shown)")
    axes.set_ylabel(f"{name} (mean and 95 % of splits)")
    if name != "consistency":
        level = float(result.attrs.get("threshold", 0.5))
        axes.axhline(level, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        axes.set_ylabel("reliability (dashed: declared threshold)")
    axes.set_ylim(0, 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(_plots.caption(dict(result.attrs)), fontsize=7, loc="right", color="0.4")
    return made


def _over_splits(result: xr.Dataset) -> xr.Dataset:
    found = result["consistency"]
    low, high = (found.quantile(end, "fold", skipna=True).drop_vars("quantile") for end in (0.025, 0.975))
    made = {"consistency": found.mean("fold"), "consistency_low": low, "consistency_high": high}
    made = {name: part.squeeze("time", drop=True) if part.sizes.get("time") == 1 else part
            for name, part in made.items()}  # fmt: skip
    return xr.Dataset(made, attrs=result.attrs)
