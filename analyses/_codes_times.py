"""Neural codes in time: intrinsic timescales, first spikes, temporal precision, consistency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from analyses import _codes_measures as _measures
from analyses import _codes_results as _results
from analyses import _geometry_labelled as _labelled
from analyses import _information_words as _words
from analyses._codes_results import ONE, S, Where
from analyses._information_estimators import Drawn, drawn, panzeri_treves, shuffle_panzeri_treves

BIT = {"units": "bit"}
CODES = ("count", "latency", "both")


def timescales(
    recording: xr.Dataset, by: str, window: Sequence[float] | None, where: Where, bootstraps: int,
    confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Decay of the autocorrelation of each neuroid's counts, and of their mean."""
    chosen = _labelled.chosen(recording, where)
    x, time, step = _results.fine(chosen, window)
    if time.size < 5:
        raise ValueError(f"window: holds {time.size} bins; a decay of three numbers wants 5 or more")
    if by:
        codes = _results.repeated(chosen, by)[1]
        x = x - np.stack([x[codes == code].mean(axis=0) for code in range(codes.max() + 1)])[codes]
    lines, lags = _measures.autocorrelation(x), step * np.arange(1, time.size)
    tau, size, offset, fit = _measures.decay(lines, lags)
    mean = _measures._mean(lines.T)[None]
    whole = _measures.decay(mean, lags)
    draw = np.random.default_rng(seed).integers(0, len(lines), (bootstraps, len(lines)))
    again = _measures.decay(np.array([_measures._mean(lines[rows].T) for rows in draw]), lags)[0]
    kept = again[np.isfinite(again)]
    low, high = (
        np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2]) if kept.size else (np.nan, np.nan)
    )
    made = {
        "autocorrelation": (("neuroid", "lag"), lines, ONE), "mean_autocorrelation": ("lag", mean[0], ONE),
        "timescale": ("neuroid", tau, S), "amplitude": ("neuroid", size, ONE),
        "offset": ("neuroid", offset, ONE), "r2": ("neuroid", fit, ONE),
    }  # fmt: skip
    told = _results.facts(chosen, window=window, by=by or "none", seed=seed, confidence=confidence)
    told |= {"timescale": float(whole[0][0]), "timescale_low": float(low), "timescale_high": float(high)}
    told |= {"amplitude": float(whole[1][0]), "offset": float(whole[2][0]), "r2": float(whole[3][0])}
    told |= {
        "fitted": int(np.isfinite(tau).sum()),
        "over": "neuroid",
        "n": len(lines),
        "bootstraps": kept.size,
    }
    return xr.Dataset(made, {"lag": lags, **_results.named(chosen)}, told)


def latency(
    recording: xr.Dataset, label: str, window: Sequence[float] | None, bins: int, permutations: int,
    exchange: str, where: Where, confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Information of count, of the time of the first spike, and of both."""
    chosen = _labelled.chosen(recording, where)
    names, codes = _labelled.coded(chosen, label)
    counts, time, step = _results.fine(chosen, window)
    _results.whole(counts)
    others = _labelled.relabelled(chosen, label, permutations, seed, exchange)
    total = counts.sum(axis=2)
    first = np.where(total > 0, (counts > 0).argmax(axis=2), 2 * time.size).astype(float)
    spelled = [
        _words.spelled(total.T[..., None], bins, "quantile"),
        _words.spelled(first.T[..., None], bins, "quantile"),
        _words.spelled(np.stack([total.T, first.T], axis=2), bins, "quantile"),
    ]
    every = np.concatenate([codes[None], others])
    orders = drawn(codes.size, 1, 1, 1, seed)
    found = np.array([[panzeri_treves(words, row, names.size, orders) for words in spelled] for row in every])
    spiked = np.where(total > 0, total, 0)
    with_spike = np.where(total > 0, time[np.minimum(first, time.size - 1).astype(int)], np.nan)
    middle = np.array([np.median(line[np.isfinite(line)]) if np.isfinite(line).any() else np.nan
                       for line in with_spike.T])  # fmt: skip
    dims = ("code", "neuroid")
    made: dict[str, Any] = {
        "information": (dims, found[0], BIT), "spikes": ("neuroid", spiked.mean(axis=0), {"units": "spikes"}),
        "first_spike": ("neuroid", middle, S),
        "beyond_count": ("neuroid", found[0, 2] - found[0, 0], BIT),
    }  # fmt: skip
    if permutations:
        null = found[1:]
        most = null.max(axis=2)
        made |= {
            "null_mean": (dims, null.mean(axis=0), BIT),
            "subtracted": (dims, found[0] - null.mean(axis=0), BIT),
            "p_uncorrected": (dims, (1 + (null >= found[0] - 1e-12).sum(axis=0)) / (1 + permutations), ONE),
            "p": (dims, (1 + (most[..., None] >= found[0] - 1e-12).sum(axis=0)) / (1 + permutations), ONE),
        }
        made["beyond_count"] = ("neuroid", made["subtracted"][1][2] - made["subtracted"][1][0], BIT)
    told = _results.facts(chosen, label=label, window=window, bins=bins, seed=seed, confidence=confidence)
    told |= {"estimator": "panzeri-treves", "permutations": permutations, "bin": step, "n": codes.size}
    told |= {"entropy": _entropy(codes), "over": "presentation"}
    return xr.Dataset(made, {"code": list(CODES), **_results.named(chosen)}, told)


def _entropy(codes: np.ndarray) -> float:
    share = np.bincount(codes) / codes.size
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def precision(
    recording: xr.Dataset, label: str, window: Sequence[float] | None, widths: Sequence[float],
    jitters: Sequence[float], draws: int, bins: int, where: Where, confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Information of words of ever narrower bins, and of the narrowest after spikes were moved."""
    chosen = _labelled.chosen(recording, where)
    names, codes = _labelled.coded(chosen, label)
    counts, time, step = _results.fine(chosen, window)
    _results.whole(counts)
    steps = [_steps(width, step, time.size) for width in widths]
    letters = max(time.size // each for each in steps)
    fewest = int(np.bincount(codes).min())
    if bins**letters > 4 * fewest:
        raise ValueError(
            f"widths: {min(widths)} s makes words of {letters} letters, up to {bins**letters}, of "
            f"{fewest} presentations of a label; ask for wider bins or a shorter window"
        )
    streams = np.random.SeedSequence(seed).spawn(len(jitters) + 2)
    others = np.array([np.random.default_rng(child).permutation(codes) for child in streams[-2].spawn(draws)])
    finest = min(steps)

    def bits(x: np.ndarray, each: int, labels: np.ndarray) -> np.ndarray:
        orders = drawn(codes.size, time.size // each, 1, 10, seed)
        return _bits(x, each, labels, names.size, bins, orders)

    def after(reach: float, each: int, stream: np.random.SeedSequence) -> tuple[np.ndarray, np.ndarray]:
        """With labels as they are, and exchanged."""
        rows = []
        for child, other in zip(stream.spawn(draws), others, strict=True):
            x = _measures.moved(counts, reach, np.random.default_rng(child))
            rows.append([bits(x, each, codes), bits(x, each, other)])
        return tuple(np.mean(rows, axis=0))

    found = np.array([bits(counts, each, codes) for each in steps])
    null = np.array([np.mean([bits(counts, each, other) for other in others], axis=0) for each in steps])
    anew, anew_null = np.array([after(np.inf, each, streams[-1]) for each in steps]).swapaxes(0, 1)
    jittered = np.array(
        [after(reach / step, finest, one)[0] for reach, one in zip(jitters, streams, strict=False)]
    )
    made: dict[str, Any] = {
        "information": (("width", "neuroid"), found, BIT),
        "times_drawn_anew": (("width", "neuroid"), anew, BIT),
        "null_mean": (("width", "neuroid"), null, BIT),
        "timing": (("width", "neuroid"), (found - null) - (anew - anew_null), BIT),
        "spikes": ("neuroid", counts.sum(axis=2).mean(axis=0), {"units": "spikes"}),
    }
    if len(jitters):
        made["jittered"] = (("jitter", "neuroid"), jittered.reshape(len(jitters), -1), BIT)
    told = _results.facts(chosen, label=label, bins=bins, draws=draws, seed=seed, confidence=confidence)
    told |= {"window": f"{time[0] - step / 2:.4g} to {time[-1] + step / 2:.4g} s", "n": codes.size}
    told |= {"estimator": "shuffle-panzeri-treves", "finest": finest * step, "over": "neuroid"}
    coords = {"width": np.array(steps) * step, "jitter": np.asarray(jitters, dtype=float)}
    if not len(jitters):
        coords.pop("jitter")
    return xr.Dataset(made, {**coords, **_results.named(chosen)}, told)


def _steps(width: float, step: float, count: int) -> int:
    """Bins that a width holds; ValueError where it does not divide the window."""
    each = round(width / step)
    if each < 1 or abs(each * step - width) > 1e-6 or count % each:
        raise ValueError(
            f"widths: {width} s; give widths that divide the window of {count} bins of {step:g} s"
        )
    return each


def _bits(x: np.ndarray, each: int, codes: np.ndarray, number: int, bins: int, orders: Drawn) -> np.ndarray:
    """Information (p) of counts (n, p, time) in bins `each` samples wide."""
    wide = x.reshape(*x.shape[:2], -1, each).sum(axis=3).swapaxes(0, 1).astype(float)
    words = _words.spelled(wide, bins, "count")
    one = wide.shape[2] == 1
    return (panzeri_treves if one else shuffle_panzeri_treves)(words, codes, number, orders)


def consistency(
    recording: xr.Dataset, by: str, order: str, splits: int, where: Where, confidence: float, seed: int
) -> xr.Dataset:
    """Likeness of tuning at all pairs of times, between halves of presentations, and its drift."""
    chosen = _labelled.chosen(recording, where)
    names, codes = _results.repeated(chosen, by, 4)
    x = _results.block(chosen)
    square = np.zeros((len(x), len(x)))
    streams = np.random.SeedSequence(seed).spawn(splits)
    for child in streams:
        half = _measures.halves(codes, np.random.default_rng(child))
        one, two = (_measures.averages(x[:, keep], codes[keep]) for keep in (half, ~half))
        found = _measures.likeness(one, two)
        square += (found + found.T) / (2 * splits)
    reliable = np.diagonal(square)
    scale = np.sqrt(np.where(reliable > 0.1, reliable, np.nan))
    made: dict[str, Any] = {
        "likeness": (("time", "test_time"), square, ONE),
        "reliability": ("time", reliable.copy(), ONE),
        "persistence": (("time", "test_time"), square / scale[:, None] / scale, ONE),
    }
    if order:
        early = _early(chosen, codes, order)
        one, two = (_measures.averages(x[:, keep], codes[keep]) for keep in (early, ~early))
        apart = np.diagonal(_measures.likeness(one, two))
        made |= {"early_late": ("time", apart.copy(), ONE), "drift": ("time", reliable - apart, ONE)}
    told = _results.facts(chosen, by=by, stimuli=names.size, splits=splits, seed=seed, confidence=confidence)
    told |= {"order": order or "none", "n": codes.size, "over": "presentation"}
    time = _labelled.timed(chosen)
    coords = time | ({"test_time": time["time"]} if time else {})
    return xr.Dataset(made, coords, told)


def _early(recording: xr.Dataset, codes: np.ndarray, order: str) -> np.ndarray:
    """The first half of each stimulus's presentations."""
    place = _labelled.values(recording, order) if order in recording.coords else None
    if place is None or place.dtype.kind not in "iuf":
        raise ValueError(f"order: {order!r} is no number of presentations; give one, such as 'repetition'")
    made = np.zeros(codes.size, dtype=bool)
    for code in range(codes.max() + 1):
        rows = np.flatnonzero(codes == code)
        made[rows[place[rows].argsort(kind="stable")][: rows.size // 2]] = True
    return made
