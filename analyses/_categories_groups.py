"""Layers of a recording, presentations at one place, and arms of an experiment."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _categories_fisher as _fisher
from analyses._labelled import values

ONE = {"units": "1"}
INHERITED = ("origin", "model", "weights_sha256", "stimuli_sha256")
PIXELS = "pixels"
GROUPS = 10  # of presentations, that a jackknife leaves out in turn


def layers(recording: xr.Dataset, stimuli: xr.Dataset | None) -> dict[str, np.ndarray]:
    """Responses (time, presentation, neuroid) of each layer in its order, and pixels first."""
    response = recording["response"]
    block = np.asarray(
        response.transpose(*(["time"] if "time" in response.dims else []), "presentation", "neuroid")
    )
    block = block if block.ndim == 3 else block[None]
    if not np.isfinite(block).all():
        bad = np.argwhere(~np.isfinite(block))[0].tolist()
        raise ValueError(f"response: is no number in presentation {bad[1]}, neuroid {bad[2]}; leave it out")
    made: dict[str, np.ndarray] = {}
    if stimuli is not None:
        pixels = _pixels(recording, stimuli)
        made[PIXELS] = np.broadcast_to(pixels, (len(block), *pixels.shape))
    if "layer" not in recording.coords:
        return made | {"all": block}
    column = values(recording, "layer")
    return made | {name: block[..., column == name] for name in dict.fromkeys(column.tolist())}


def _pixels(recording: xr.Dataset, stimuli: xr.Dataset) -> np.ndarray:
    """Pixels of each presentation, joined by stimulus_id."""
    known = values(stimuli, "stimulus_id").astype(str)
    wanted = values(recording, "stimulus_id").astype(str)
    order = np.argsort(known)
    place = order[np.clip(np.searchsorted(known, wanted, sorter=order), 0, known.size - 1)]
    lost = wanted[known[place] != wanted]
    if lost.size:
        raise ValueError(
            f"stimuli: have no {str(lost[0])!r} ({lost.size} such); give the pictures that were shown"
        )
    return np.asarray(stimuli["image"].values).reshape(known.size, -1)[place]


def still(part: np.ndarray) -> np.ndarray:
    """Responses (presentation, neuroid); ValueError where there is more than one time."""
    if len(part) != 1:
        raise ValueError(f"response: has {len(part)} times; choose one, or average over a window")
    return np.asarray(part[0])


def one(recording: xr.Dataset, layer: str) -> np.ndarray:
    """Responses of one layer."""
    found = layers(recording, None)
    if layer not in found:
        raise ValueError(f"output: no layer {layer!r}; the recording has {', '.join(found)}")
    return still(found[layer])


def matched(recording: xr.Dataset, outputs: xr.Dataset) -> xr.Dataset:
    """The recording whose answers align, known to be of the same pictures in the same order."""
    ids = [part["stimulus_id"].values.astype(str) for part in (recording, outputs)]
    if len(ids[0]) != len(ids[1]) or (ids[0] != ids[1]).any():
        raise ValueError("outputs: are of other pictures; record the same stimuli with both networks")
    return outputs


def tally(reasons: np.ndarray) -> dict[str, int]:
    names, counts = np.unique(reasons, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def timed(recording: xr.Dataset) -> dict[str, Any]:
    return (
        {"time": recording["time"]}
        if "time" in recording["response"].dims and "time" in recording.coords
        else {}
    )


def inherited(recording: xr.Dataset) -> dict[str, Any]:
    return {key: recording.attrs[key] for key in INHERITED if key in recording.attrs}


def quantiles(draws: np.ndarray, ends: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Ends of an interval (draw, ...), draws that are NaN left out; NaN where there is none."""
    made = np.full((2, *draws.shape[1:]), np.nan)
    for place in np.ndindex(*draws.shape[1:]):
        known = draws.reshape(len(draws), -1)[:, np.ravel_multi_index(place, draws.shape[1:])]
        known = known[np.isfinite(known)]
        if known.size:
            made[0][place], made[1][place] = np.quantile(known, ends)
    return made[0], made[1]


def repeated(column: np.ndarray, along: str) -> tuple[np.ndarray, np.ndarray]:
    """Places, and the rows of each (place, trial), as many each."""
    places, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    if places.size < 2 or np.ptp(counts) or counts[0] < 2 * GROUPS:
        many = f"{counts.min()} to {counts.max()} presentations of {places.size} places"
        raise ValueError(f"{along}: {many}; give as many of each, {2 * GROUPS} at least")
    return places, np.argsort(np.ravel(inverse), kind="stable").reshape(places.size, counts[0])


def template(
    mean: dict[str, np.ndarray], name: str, where: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Places and mean responses of a layer, in order."""
    if where is None:
        return None
    if name not in mean:
        raise ValueError(f"templates: have no layer {name!r}; record the same layers")
    order = np.argsort(where)
    return where[order], mean[name][order]


def information(
    response: np.ndarray, places: np.ndarray, rows: np.ndarray, method: str,
    known: tuple[np.ndarray, np.ndarray] | None, bootstraps: int, confidence: float, seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Fisher information (place,), and both ends of its interval."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    count = rows.shape[1]
    if method == "decoded":
        if known is None:
            where, curve = places, response[rows[:, ::2]].mean(axis=1)
            rows = rows[:, 1::2]
            count = rows.shape[1]
        else:
            where, curve = known
        found = _fisher.decoded(curve, where, response[rows.ravel()]).reshape(rows.shape)
        draws = rng.integers(count, size=(bootstraps, count))
        with np.errstate(divide="ignore"):
            again = 1 / found[:, draws].var(axis=2, ddof=1).T
            now = 1 / found.var(axis=1, ddof=1)
        low, high = quantiles(again, [(1 - confidence) / 2, (1 + confidence) / 2])
        return now, low, high
    trials, size = [response[part].astype(float) for part in rows], response.shape[1]
    if method == "linear" and size > 2 * count - 4:
        why = f"{size} neuroids and {count} presentations of a place"
        raise ValueError(
            f"method: {why}; the linear one wants more presentations, or use decoded or independent"
        )
    diagonal = method == "independent"
    now = _fisher.linear(trials, places, diagonal)
    width = student.ppf(0.5 + confidence / 2, GROUPS - 1) * _jackknifed(trials, places, diagonal)
    return now, now - width, now + width


def _jackknifed(trials: list[np.ndarray], places: np.ndarray, diagonal: bool) -> np.ndarray:
    """Standard error by a jackknife: drawing again would repeat rows, which have no noise between them."""
    member = np.arange(len(trials[0])) % GROUPS
    left = np.stack([
        _fisher.linear([part[member != group] for part in trials], places, diagonal)
        for group in range(GROUPS)
    ])  # fmt: skip
    return np.asarray(np.sqrt((GROUPS - 1) / GROUPS * ((left - left.mean(axis=0)) ** 2).sum(axis=0)))


def across(
    parts: list[xr.Dataset], names: list[str], published: dict[str, Any], of: str, confidence: float
) -> xr.Dataset:
    """Mean and Student's interval over seeds of each arm, and paired differences from the first."""
    for part, name in zip(parts, names, strict=False):
        if "seed" not in part.dims or part.sizes["seed"] < 2:
            raise ValueError(f"{name}: has no two seeds; gather the results of several")
        if part["layer"].values.tolist() != parts[0]["layer"].values.tolist():
            raise ValueError(f"{name}: has other layers than {names[0]}; record the same")
    names = names[: len(parts)]
    made: dict[str, Any] = {}
    ends = tuple(f"{key}{end}" for key in map(str, parts[0].data_vars) for end in ("_low", "_high"))
    for key in map(str, parts[0].data_vars):
        dims = parts[0][key].dims
        if "layer" not in dims or "seed" not in dims or key in ends:
            continue
        block = np.stack([part[key].transpose("seed", ...).values for part in parts])
        rest = tuple(str(dim) for dim in parts[0][key].transpose("seed", ...).dims if dim != "seed")
        for stem, array in zip(("", "_low", "_high"), _interval(block, confidence), strict=True):
            made[key + stem] = (("arm", *rest), array, ONE)
        for stem, array in zip(("", "_low", "_high"), _interval(block[:1] - block, confidence), strict=True):
            made[f"{key}_difference{stem}"] = (("arm", *rest), array, ONE)
    coords = {name: parts[0][name] for name in ("layer", "place") if name in parts[0].coords}
    facts = {
        "n": parts[0].sizes["seed"],
        "over": "seeds",
        "confidence": confidence,
        "compared_with": names[0],
    }
    if published:
        made["published"] = (("arm", "layer"), _published(published, names, parts[0]["layer"].values), ONE)
        facts["published_for"] = of
    shared = {
        key: value for key, value in parts[0].attrs.items() if key in (*INHERITED[:1], "label", "pairs", "of")
    }
    return xr.Dataset(made, {**coords, "arm": names}, facts | shared)


def _published(told: dict[str, Any], names: list[str], columns: np.ndarray) -> np.ndarray:
    lost = [name for name in told if name not in names]
    if lost:
        raise ValueError(f"published: no arm {lost[0]!r}; the arms are {', '.join(names)}")
    table = np.full((len(names), len(columns)), np.nan)
    inner = np.flatnonzero(columns != PIXELS)
    for name, numbers in told.items():
        if len(numbers) != inner.size:
            raise ValueError(
                f"published: {len(numbers)} numbers of {name!r} for {inner.size} layers; give one each"
            )
        table[names.index(name), inner] = numbers
    return table


def _interval(block: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(arm, seed, ...) → mean, low, high (arm, ...)."""
    count, mean = block.shape[1], block.mean(axis=1)
    width = student.ppf(0.5 + confidence / 2, count - 1) * block.std(axis=1, ddof=1) / np.sqrt(count)
    return mean, mean - width, mean + width
