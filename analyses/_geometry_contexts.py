"""Abstraction, labelled: which conditions train and test, what they share, and the Datasets made of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from analyses import _geometry_abstraction as _kernels
from analyses import _geometry_labelled as _labelled
from analyses import _geometry_shatter, _resample
from analyses import folds as _folds
from analyses._labelled import over
from analyses._tasks import TRIALS

ONE = {"units": "1"}


def decoder(name: str, strength: float, standardize: bool) -> _kernels.Decoder:
    """The decoder asked for; ValueError for one that is unknown, or a strength that is none."""
    if name not in _kernels.ESTIMATORS:
        raise ValueError(f"estimator: {name!r}; use one of {', '.join(_kernels.ESTIMATORS)}")
    if not (np.isfinite(strength) and strength > 0):
        raise ValueError(f"strength: {strength}; wanted a number above 0")
    return _kernels.Decoder(name, float(strength), standardize)


def crossed(recording: xr.Dataset, names: Sequence[str]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Condition of each presentation, a combination of values of some coordinates, and these values."""
    columns = [_labelled.coded(recording, name) for name in names]
    shape = [levels.size for levels, _ in columns]
    codes = np.ravel_multi_index([code for _, code in columns], shape)
    counts = np.bincount(codes, minlength=int(np.prod(shape)))
    if (counts < 2).any():
        place = np.unravel_index(int(np.argmin(counts)), shape)
        cell = ", ".join(f"{name} {columns[k][0][place[k]]}" for k, name in enumerate(names))
        raise ValueError(f"{cell}: {counts.min()} presentations; every combination needs 2 or more")
    return codes, [levels for levels, _ in columns]


def audited(recording: xr.Dataset, held: _kernels.Held, overlap: Sequence[str]) -> str:
    """What training and test share; ValueError for what is not declared."""
    rows = np.flatnonzero(held.sides)
    part = recording.isel(presentation=rows).assign_coords(_side=("presentation", held.sides[rows]))
    masks = {side: (("fold", "presentation"), mask[:, rows]) for side, mask in
             (("train", held.train), ("test", held.test))}  # fmt: skip
    found = _folds.audit(part, xr.Dataset(masks), label="_side", declared=list(overlap))
    return str(found.attrs["shared"])


def across(
    recording: xr.Dataset, label: str, context: str, made: _kernels.Decoder, rotations: int, bootstraps: int,
    overlap: Sequence[str], confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """CCGP and parallelism of every pair of labels over contexts."""
    codes, (names, contexts) = crossed(recording, [label, context])
    count = contexts.size
    pairs = list(combinations(range(names.size), 2))
    held = []
    for one, two in pairs:
        sides = np.zeros(names.size * count)
        sides[one * count : (one + 1) * count], sides[two * count : (two + 1) * count] = 1, -1
        both = [(one * count + k, two * count + k) for k in range(count)]
        held.append(_kernels.hold(codes, sides, both))
    shared = {audited(recording, one, overlap) for one in held}
    streams = np.random.SeedSequence(seed).spawn(3)
    found = _generalized(recording, held, made, rotations, streams[0])
    accuracy, share, null = np.split(found, [count, count + codes.size], axis=2)
    drawn = _resample.draws(np.arange(codes.size), codes, bootstraps, streams[1])
    again = drawn @ share.mean(axis=1).T
    mean = accuracy.mean(axis=(1, 2))
    variables: dict[str, Any] = {"ccgp": ("time", mean, ONE)}
    variables |= _bounds("ccgp", again, confidence)
    variables["held"] = (("test_condition", "time"), accuracy.mean(axis=1).T, ONE)
    square = np.full((names.size, names.size, len(mean)), np.nan)
    for (one, two), each in zip(pairs, accuracy.mean(axis=2).T, strict=True):
        square[one, two] = square[two, one] = each
    variables["pair"] = (("condition", "other_condition", "time"), square, ONE)
    variables |= _parallel(recording, codes, pairs, count, made.standardize, rotations, streams[2])
    if rotations:
        mixed = null.mean(axis=1).T
        variables |= {"null": (("permutation", "time"), mixed, ONE), **_labelled.against(mean, mixed)}
    facts = _labelled.facts(recording, label, names, codes // count)
    facts |= {"context": context, "contexts": ", ".join(map(str, contexts)), "estimator": made.name,
              "strength": made.strength, "chance": 0.5, "shared": ", ".join(sorted(shared)), "seed": seed,
              "pairs": len(pairs), "null_kind": "neuroids of test patterns swapped", "n": codes.size,
              "over": "presentation", "confidence": confidence}  # fmt: skip
    coords = {"condition": names, "other_condition": names, "test_condition": contexts}
    return xr.Dataset(variables, coords | _labelled.timed(recording), facts)


def _generalized(
    recording: xr.Dataset, held: list[_kernels.Held], made: _kernels.Decoder, rotations: int,
    stream: np.random.SeedSequence,
) -> np.ndarray:  # fmt: skip
    """(time, dichotomy, pairs + presentations + rotations) of `_geometry_abstraction.generalize`."""
    most = max(len(one.test) for one in held)
    sizes = {"condition": len(held), "bin": most + recording.sizes["presentation"] + rotations}
    swaps = _kernels.swapped(recording.sizes["neuroid"], rotations, stream)
    response = recording["response"]
    found = over(_kernels.generalize, response, TRIALS, sizes, held=held, decoder=made, swaps=swaps)
    return np.asarray(found.transpose("time", "condition", "bin").values)


def _bounds(name: str, again: np.ndarray, confidence: float) -> dict[str, Any]:
    """Interval of resampled scores (bootstrap, time)."""
    if not len(again):
        return {}
    low, high = np.quantile(again, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return {f"{name}_low": ("time", low, ONE), f"{name}_high": ("time", high, ONE),
            "resampled": (("bootstrap", "time"), again, ONE)}  # fmt: skip


def _means(recording: xr.Dataset, codes: np.ndarray, standardize: bool) -> np.ndarray:
    """Mean response (time, condition, p) of each condition, in units of the SD within conditions."""
    block = np.asarray(recording["response"].transpose("time", *TRIALS).values, dtype=float)
    block = block - block.mean(axis=1, keepdims=True)
    member = (codes == np.arange(codes.max() + 1)[:, None]).astype(float)
    means = (member / member.sum(axis=1, keepdims=True)) @ block
    if not standardize:
        return means
    spread = np.sqrt(np.maximum((block**2).mean(axis=1) - np.bincount(codes) / codes.size @ means**2, 0))
    return np.asarray(means / np.where(spread > 1e-9 * np.abs(block).max(axis=1), spread, np.inf)[:, None])


def _parallel(
    recording: xr.Dataset, codes: np.ndarray, pairs: list[tuple[int, int]], count: int, standardize: bool,
    rotations: int, stream: np.random.SeedSequence,
) -> dict[str, Any]:  # fmt: skip
    """Parallelism score, mean over pairs of labels, against neuroids exchanged in each context by itself."""
    means = _means(recording, codes, standardize)
    cells = means.reshape(len(means), -1, count, means.shape[2])
    found = np.mean([_kernels.cosines(cells[:, one] - cells[:, two]) for one, two in pairs], axis=0)
    made: dict[str, Any] = {"parallelism": ("time", found, ONE)}
    if rotations:
        null = np.empty((rotations, len(means)))
        for number, child in enumerate(stream.spawn(rotations)):
            order = np.random.default_rng(child).random((count, means.shape[2])).argsort(axis=1)
            turned = np.take_along_axis(cells, order[None, None], axis=3)
            null[number] = np.mean([_kernels.cosines(turned[:, a] - turned[:, b]) for a, b in pairs], axis=0)
        tested = _labelled.against(found, null)
        made |= {f"parallelism_{name}": tested[name] for name in ("p", "p_uncorrected")}
    return made


def combined(
    recording: xr.Dataset, variables: list[str], balanced: bool, neighbours: bool, made: _kernels.Decoder,
    rotations: int, overlap: Sequence[str], seed: int,
) -> xr.Dataset:  # fmt: skip
    """CCGP and parallelism of dichotomies of combinations of binary variables."""
    codes, levels = crossed(recording, variables)
    wrong = [name for name, level in zip(variables, levels, strict=True) if level.size != 2]
    if wrong or len(variables) < 2:
        raise ValueError(f"variables: {', '.join(wrong) or 'one only'}; give two or more of two values each")
    bits = np.array(np.unravel_index(np.arange(2 ** len(variables)), [2] * len(variables))).T * 2 - 1
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    signs = _kernels.dichotomies(len(bits)) if balanced else bits.T * bits[0][:, None] * 1.0
    pairs = [_kernels.held_pairs(row, distance, neighbours) for row in signs]
    signs = signs[[bool(some) for some in pairs]]
    held = [_kernels.hold(codes, row, some) for row, some in zip(signs, filter(None, pairs), strict=True)]
    shared = {audited(recording, one, overlap) for one in held}
    found = _generalized(recording, held, made, rotations, np.random.SeedSequence(seed))
    most = max(len(one.test) for one in held)
    null = np.moveaxis(found[..., most + codes.size :], -1, 0)
    score, means = np.nanmean(found[..., :most], axis=2), _means(recording, codes, made.standardize)
    dims = ("dichotomy", "time")
    parallel = np.array([_scores(means, row, distance, neighbours) for row in signs])
    parts: dict[str, Any] = {"ccgp": (dims, score.T, ONE), "parallelism": (dims, parallel, ONE)}
    if rotations:
        p = (1 + (null >= score - 1e-12).sum(axis=0)) / (1 + rotations)
        high = np.quantile(null, 0.95, axis=0)
        parts |= {"p_uncorrected": (dims, p.T, ONE), "null_high": (dims, high.T, ONE)}
        parts["null"] = (("permutation", *dims), null.swapaxes(1, 2), ONE)
    facts = _labelled.facts(recording, " x ".join(variables), np.arange(len(bits)), codes)
    facts |= {"estimator": made.name, "strength": made.strength, "chance": 0.5, "seed": seed,
              "neighbours": int(neighbours), "shared": ", ".join(sorted(shared))}  # fmt: skip
    names = np.array([_named(row, bits, variables) for row in signs])
    return xr.Dataset(parts, {"dichotomy": names} | _labelled.timed(recording), facts)


def _scores(means: np.ndarray, signs: np.ndarray, distance: np.ndarray, neighbours: bool) -> np.ndarray:
    """Parallelism (time) of one dichotomy; NaN where its conditions cannot be paired so."""
    pairings = _kernels.matchings(signs, distance, neighbours)
    return _kernels.parallelism(means, pairings) if len(pairings) else np.full(len(means), np.nan)


def _named(row: np.ndarray, bits: np.ndarray, variables: list[str]) -> str:
    """The variables whose product a dichotomy is, else the conditions of its first side."""
    for size in range(1, len(variables) + 1):
        for some in combinations(range(len(variables)), size):
            if abs(float(bits[:, list(some)].prod(axis=1) @ row)) == len(row):
                return " x ".join(variables[k] for k in some)
    return "conditions " + ", ".join(map(str, np.flatnonzero(row > 0)))


def split(
    recording: xr.Dataset, condition: str, folds: int | xr.Dataset, groups: str | Sequence[str],
    overlap: Sequence[str], seed: int,
) -> xr.Dataset:  # fmt: skip
    """Folds of `folds.split`, or those given, audited."""
    if isinstance(folds, int):
        return _folds.split(recording, condition, folds=folds, groups=groups, overlap=overlap, seed=seed)
    made = folds.copy()
    found = _folds.audit(recording, made, label=condition, declared=list(overlap))
    made.attrs = {"kept_apart": "as given", "shared": found.attrs["shared"]}
    return made


def shattered(
    recording: xr.Dataset, condition: str, made: xr.Dataset, strength: float, standardize: bool, most: int,
    rounds: int, exchange: str, bootstraps: int, confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Accuracy of all balanced dichotomies, their mean, and the tests of it."""
    names, codes = _labelled.coded(recording, condition)
    signs = _kernels.dichotomies(names.size)
    streams = np.random.SeedSequence(seed).spawn(2)
    every = len(signs)
    if every > most:
        chosen = np.random.default_rng(streams[0]).choice(every, most, replace=False)
        signs = signs[np.sort(chosen)]
    train, test = (np.asarray(made[side].values, dtype=bool) for side in ("train", "test"))
    relabelled = np.zeros((0, codes.size), dtype=np.int64)
    if rounds:
        relabelled = _folds.relabel(recording, condition, made, rounds, seed, exchange=exchange)
    drawn = _resample.draws(np.arange(codes.size), codes, bootstraps, streams[1])
    found = _labelled.stacked(
        recording["response"], _geometry_shatter.shatter, len(signs) + rounds + bootstraps + 1,
        codes=codes, signs=signs, train=train, test=test, strength=strength, standardize=standardize,
        relabelled=relabelled, drawn=drawn,
    )  # fmt: skip
    accuracy, null, again, share = np.split(found, np.cumsum([len(signs), rounds, bootstraps]), axis=1)
    mean = accuracy.mean(axis=1)
    variables: dict[str, Any] = {"shattering": ("time", mean, ONE)}
    variables |= {"accuracy": (("dichotomy", "time"), accuracy.T, ONE)}
    variables |= _bounds("shattering", again.T, confidence)
    if rounds:
        variables |= {"null": (("permutation", "time"), null.T, ONE), "decodable": ("time", share[:, 0], ONE)}
        variables |= _labelled.against(mean, null.T)
    facts = _labelled.facts(recording, condition, names, codes)
    facts |= {"dichotomies": len(signs), "of": every, "folds": len(train), "chance": 0.5, "seed": seed}
    facts |= {"estimator": "ridge", "strength": strength, "n": codes.size, "over": "presentation"}
    facts |= {"confidence": confidence} | {key: made.attrs[key] for key in ("kept_apart", "shared")}
    sides = np.array([", ".join(map(str, names[row > 0])) for row in signs])
    return xr.Dataset(variables, {"dichotomy": sides} | _labelled.timed(recording), facts)
