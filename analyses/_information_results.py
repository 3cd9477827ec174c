"""Datasets of information: breakdown of pairs, confusions of a decoder, estimators against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _geometry_labelled as _labelled
from analyses import _information_bias as _planted
from analyses import _information_breakdown as _breakdown
from analyses import _information_labelled as _information
from analyses import _information_words as _words
from analyses._information_estimators import ESTIMATORS, Drawn, drawn
from analyses._labelled import over, values
from analyses._tasks import TRIALS

BITS = {"units": "bit"}
NOISE = ("information", "correlation_independent", "correlation_dependent")


def broken(
    recording: xr.Dataset, label: str, of: str, together: str, noise: bool, how: tuple[str, int, str, int],
    groups: int, where: Mapping[str, Any] | None, confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Terms of the breakdown of every pair, or of all neuroids."""
    estimator, bins, binning, repetitions = how
    if estimator not in ("plugin", "quadratic"):
        raise ValueError(
            f"estimator: {estimator!r}; the breakdown has no such correction, use 'quadratic' or 'plugin'"
        )
    if of not in ("pairs", "population"):
        raise ValueError(f"of: {of!r}; use 'pairs' or 'population'")
    asked = _information.asked(estimator, bins, binning, "own", repetitions, 1, seed)
    chosen = _labelled.chosen(recording, where)
    names, codes = _labelled.coded(chosen, label)
    count = chosen.sizes["neuroid"]
    if count < 2:
        raise ValueError("response: has one neuroid; a breakdown wants two or more")
    told = _information.simultaneous(chosen, together) if noise else np.ones((count, count), bool)
    if of == "population" and not told.all():
        raise ValueError(f"together: not all neuroids have one value of {together!r}; take those of one")
    first, second = np.triu_indices(count, 1)
    joint = told[first, second]
    if not joint.any():
        raise ValueError(f"together: no two neuroids have one value of {together!r}")
    numbers: dict[str, Any] = {
        "codes": codes, "number": names.size, "groups": _information.dealt(codes, groups, seed), "how": asked,
        "pairs": (first, second) if of == "pairs" else None, "joint": joint,
    }  # fmt: skip
    width, kinds = (first.size if of == "pairs" else 1), len(_breakdown.TERMS)
    size = {"bin": kinds * (width + 2 + max(groups, 1))}
    found = over(kernel, chosen["response"], TRIALS, size, **numbers)
    array = found.transpose("time", "bin").values
    array = array.reshape(len(array), width + 2 + max(groups, 1), kinds)
    made = _averages(array[:, width + 1 :], groups, noise, confidence)
    for place, name in enumerate(_breakdown.TERMS):
        if noise and name in NOISE:
            made[f"shuffled_{name}"] = ("time", array[:, width, place], BITS)
    if of == "pairs":
        made |= _square(array[:, :width], first, second, count, joint, noise)
    facts = _labelled.facts(chosen, label, names, codes) | {
        "estimator": estimator, "bins": bins, "binning": binning, "of": of, "seed": seed, "n": codes.size,
        "over": "presentation", "confidence": confidence, "pairs": int(joint.sum()),
        "together": together or ("all" if noise else "not asked"), "noise": int(noise),
    }  # fmt: skip
    ids = {} if of != "pairs" or "neuroid_id" not in chosen.coords else {
        "neuroid_id": ("neuroid", chosen["neuroid_id"].values)}  # fmt: skip
    return xr.Dataset(made, ids | _labelled.timed(chosen), facts)


def kernel(
    block: np.ndarray, codes: np.ndarray, number: int, groups: np.ndarray, how: _information.Asked,
    pairs: tuple[np.ndarray, np.ndarray] | None, joint: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """block (time, n, p) to terms (time, (pair, mean of shuffled, mean, mean without each group) x term)."""
    block = _information.numbers(block[..., None])[..., 0]
    left = [np.ones(codes.size, bool)]
    if groups.max() > 0:
        left += [groups != group for group in range(int(groups.max()) + 1)]
    every = drawn(codes.size, block.shape[2], 1, 1, how.seed).shuffles[0]
    some = None if pairs is None else (pairs[0][joint], pairs[1][joint])
    rows = []
    for x in block:
        parts = []
        for place, keep in enumerate(left):
            orders = drawn(int(keep.sum()), 1, how.repetitions, 1, how.seed)
            terms = _terms(x[keep], codes[keep], number, orders, how, some if place else pairs)
            mean = (terms[:, joint] if pairs is not None and place == 0 else terms).mean(axis=1)
            if place == 0:
                mixed = _terms(shuffled(x, codes, every), codes, number, orders, how, some).mean(axis=1)
                parts += [terms.T.ravel(), mixed]
            parts += [mean]
        rows.append(np.concatenate(parts if len(left) > 1 else [*parts, np.full(len(mean), np.nan)]))
    return np.array(rows)


def shuffled(x: np.ndarray, codes: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """x (n, p), each neuroid by itself in another order (p, n) within the presentations of a label."""
    made, base = np.empty_like(x), codes.argsort(kind="stable")
    for neuroid, order in enumerate(orders):
        made[base, neuroid] = x[order[codes[order].argsort(kind="stable")], neuroid]
    return made


def _terms(
    x: np.ndarray, codes: np.ndarray, number: int, orders: Drawn, how: _information.Asked,
    pairs: tuple[np.ndarray, np.ndarray] | None,
) -> np.ndarray:  # fmt: skip
    """x (n, p) to terms (term, pair)."""
    if pairs is None:
        words = _words.spelled(x[None], how.bins, how.binning)
    else:
        words = _breakdown.paired(_words.spelled(x.T[..., None], how.bins, how.binning), *pairs)
    return _breakdown.broken(words, codes, number, orders, how.estimator)


def _averages(array: np.ndarray, groups: int, noise: bool, confidence: float) -> dict[str, Any]:
    """Means over pairs (time, 1 + group, term), with jackknife intervals."""
    made: dict[str, Any] = {}
    for place, name in enumerate(_breakdown.TERMS):
        if not noise and name in NOISE:
            continue
        mean = array[:, 0, place]
        made[f"mean_{name}"] = ("time", mean, BITS)
        if groups > 1:
            left = array[:, 1:, place]
            error = np.sqrt(
                (groups - 1) / groups * ((left - left.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
            )
            reach = student.ppf(0.5 + confidence / 2, groups - 1) * error
            made |= {f"mean_{name}_low": ("time", mean - reach, BITS),
                     f"mean_{name}_high": ("time", mean + reach, BITS)}  # fmt: skip
    return made


def _square(
    array: np.ndarray, first: np.ndarray, second: np.ndarray, count: int, joint: np.ndarray, noise: bool
) -> dict[str, Any]:
    """Terms of pairs (time, pair, term) as symmetric squares, NaN where pairs were not recorded together."""
    made: dict[str, Any] = {}
    for place, name in enumerate(_breakdown.TERMS):
        if not noise and name in NOISE:
            continue
        square = np.full((count, count, len(array)), np.nan)
        line = array[:, :, place].T
        keep = joint if name in NOISE else np.ones_like(joint)
        square[first[keep], second[keep]] = square[second[keep], first[keep]] = line[keep]
        made[name] = (("neuroid", "other_neuroid", "time"), square, BITS)
    return made


def confused(decoding: xr.Dataset, label: str, estimator: str) -> xr.Dataset:
    """Information between labels shown and labels decoded."""
    if estimator not in ("plugin", "panzeri-treves"):
        raise ValueError(f"estimator: {estimator!r}; use 'plugin' or 'panzeri-treves'")
    if "decision" not in decoding or "presentation" not in decoding["decision"].dims:
        raise ValueError("decoding: has no decision (presentation[, condition], time); decode first")
    names, codes = np.unique(values(decoding, label), return_inverse=True)
    codes = codes.ravel()
    decision = decoding["decision"]
    if "condition" in decision.dims:
        told = decision.transpose("time", "presentation", "condition").values
        guess, blank = told.argmax(axis=2), np.isnan(told).any(axis=(0, 2))
    else:
        told = decision.transpose("time", "presentation").values
        guess, blank = (told > 0).astype(np.int64), np.isnan(told).any(axis=0)
    guess, codes, number = guess[:, ~blank], codes[~blank], names.size
    words = _words.joined(guess[..., None].astype(np.int16), np.full((len(guess), 1), number))
    found = ESTIMATORS[estimator](words, codes, number, drawn(codes.size, 1, 1, 1, 0))
    counts = _words.counted(words.codes, number, codes, number)
    shares = counts / counts.sum(axis=2, keepdims=True)
    weight = np.bincount(codes) / codes.size
    facts = {"label": label, "estimator": estimator, "n": codes.size, "over": "presentation",
             "entropy": float(-(weight * np.log2(weight)).sum()), "decoder": str(decoding.attrs["estimator"]),
             "chance": 0.0, "bound": "lower"}  # fmt: skip
    made: dict[str, Any] = {
        "information": ("time", found, BITS),
        "confusion": (("condition", "other_condition", "time"), np.moveaxis(shares, 0, -1), {"units": "1"}),
    }
    coords = {"condition": names, "other_condition": names}
    kept = {key: decoding.attrs[key] for key in ("kept_apart", "shared") if key in decoding.attrs}
    return xr.Dataset(made, coords | _labelled.timed(decoding), facts | kept | _labelled.inherited(decoding))


def biased(
    trials: list[int], draws: int, tuning: str, correlation: float, repetitions: int, shuffles: int, seed: int
) -> xr.Dataset:
    """Estimates (method, setting, draw) of the information of two simulated cells."""
    if min(trials) < 4 or draws < 2:
        raise ValueError(f"trials: {min(trials)}, draws: {draws}; give 4 and 2 or more")
    table = _planted.table(tuning, correlation)
    number = len(table)
    truth = float(_breakdown.terms(table, np.full(number, 1 / number))[0])
    found = np.empty((len(ESTIMATORS), len(trials), draws))
    for place, (count, child) in enumerate(
        zip(trials, np.random.SeedSequence(seed).spawn(len(trials)), strict=True)
    ):
        rng = np.random.default_rng(child)
        data = np.stack([_planted.sampled(tuning, correlation, count, rng) for _ in range(draws)])
        words, labels = _words.spelled(data, _planted.BINS, "count"), np.repeat(np.arange(number), count)
        orders = drawn(labels.size, 2, repetitions, shuffles, seed)
        for method, function in enumerate(ESTIMATORS.values()):
            found[method, place] = function(words, labels, number, orders)
    made = {"information": (("method", "setting", "draw"), found, BITS),
            "trials": ("setting", np.array(trials), {"units": "1"})}  # fmt: skip
    facts = {
        "origin": "simulated",
        "truth": truth,
        "tuning": tuning,
        "correlation": correlation,
        "seed": seed,
    }
    return xr.Dataset(made, {"method": list(ESTIMATORS)}, facts)
