"""Continua between two classes: which cross a boundary, and how far apart neighbours lie around it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _categories_curves as _curves
from analyses._categories_index import unit
from analyses._labelled import values

ONE = {"units": "1"}
LABELS = ("continuum", "alpha", "first_label", "second_label")


class Layout(NamedTuple):
    """Presentations (continuum, step) in the order of alpha, and what each continuum is."""

    rows: np.ndarray
    names: np.ndarray
    alpha: np.ndarray
    first: np.ndarray
    second: np.ndarray


class Chosen(NamedTuple):
    """The second class's share of both (continuum, step); the crossing, in steps; why each was kept."""

    share: np.ndarray
    crossing: np.ndarray
    reason: np.ndarray


def layout(recording: xr.Dataset) -> Layout:
    """ValueError unless every continuum has the same steps, each once."""
    name, alpha, first, second = (values(recording, key) for key in LABELS)
    names, inverse = np.unique(name, return_inverse=True)
    steps = np.unique(alpha.astype(float))
    if name.size != names.size * steps.size:
        why = f"{name.size} presentations of {names.size} continua with {steps.size} steps"
        raise ValueError(f"continuum: {why}; give every step of each, once")
    rows = np.lexsort((alpha, np.ravel(inverse))).reshape(names.size, steps.size)
    if (alpha[rows] != steps).any() or steps.size < 3:
        raise ValueError(
            f"alpha: not the same {steps.size} steps in all continua; give each step of each, once"
        )
    if np.ptp(np.diff(steps)) > 1e-6 * np.ptp(steps):
        raise ValueError("alpha: steps are not even; give as many morphs between each two neighbours")
    return Layout(rows, names, steps, first[rows[:, 0]], second[rows[:, 0]])


def choose(logits: np.ndarray, place: Layout, classes: np.ndarray, purity: float, margin: int) -> Chosen:
    """Which continua belong to their two classes alone, and cross `margin` steps or more from their ends."""
    column = {str(value): code for code, value in enumerate(classes.tolist())}
    lost = [
        str(value) for value in np.unique(np.append(place.first, place.second)) if str(value) not in column
    ]
    if lost or len(column) != logits.shape[1]:
        why = f"{len(column)} for {logits.shape[1]} outputs, without {', '.join(lost) or 'any lost'}"
        raise ValueError(f"classes: {why}; give the classes in the order of the outputs")
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    posterior = (shifted / shifted.sum(axis=1, keepdims=True))[place.rows]
    one, two = (
        np.take_along_axis(posterior, np.array([column[str(v)] for v in side])[:, None, None], axis=2)[..., 0]
        for side in (place.first, place.second)
    )
    both = one + two
    share = two / np.maximum(both, 1e-300)
    signs = share >= 0.5
    at = np.argmax(~signs[:, :-1] & signs[:, 1:], axis=1)
    rows = np.arange(len(at))
    crosses = ~signs[rows, at] & signs[rows, at + 1]
    low, high = share[rows, at], share[rows, at + 1]
    crossing = np.where(crosses, at + (0.5 - low) / np.where(crosses, high - low, 1), np.nan)
    last = place.alpha.size - 1
    with np.errstate(invalid="ignore"):
        near = (crossing < margin) | (crossing > last - margin)
    reason = np.full(len(at), "kept", dtype="<U16")
    reason[near] = "near an end"
    reason[~crosses] = "never crosses"
    reason[(both <= purity).any(axis=1)] = "a third class"
    return Chosen(share, crossing, reason)


def distances(response: np.ndarray, place: Layout, distance: str) -> tuple[np.ndarray, int]:
    """Of each morph from the next (continuum, step - 1), and how many responses were silent."""
    rows, silent = unit(response, distance)
    block = rows[place.rows]
    return np.asarray(1 - np.einsum("csn,csn->cs", block[:, :-1], block[:, 1:])), silent


def aligned(course: np.ndarray, crossing: np.ndarray, offsets: np.ndarray, shift: float) -> np.ndarray:
    """Courses (continuum, step) at `offsets` steps from each one's crossing, linear between steps."""
    places = np.arange(course.shape[1]) + shift
    return np.stack([np.interp(at + offsets, places, row) for row, at in zip(course, crossing, strict=True)])


def around(
    found: dict[str, np.ndarray], chosen: Chosen, place: Layout, margin: int, draws: np.ndarray,
    ends: list[float],
) -> dict[str, Any]:  # fmt: skip
    """Variables of the aligned distances: their course, and the boundary against the ends."""
    kept = chosen.reason == "kept"
    offsets = np.arange(-margin + 1, margin, dtype=float)
    middle, far = np.abs(offsets) <= 1, np.abs(offsets) >= margin - 2
    made: dict[str, Any] = {}
    weights = draws / draws.sum(axis=1, keepdims=True)
    courses = np.stack([aligned(each[kept], chosen.crossing[kept], offsets, 0.5) for each in found.values()])
    mean, again = courses.mean(axis=1), np.einsum("bc,lcp->blp", weights, courses)
    made |= _triple("distance", ("layer", "place"), mean, again, ends)
    peak, peak_again = (array[..., middle].mean(axis=-1) for array in (mean, again))
    edge, edge_again = (array[..., far].mean(axis=-1) for array in (mean, again))
    made |= _triple("peak", ("layer",), peak, peak_again, ends)
    ratio = [np.log2(np.maximum(one, 1e-300) / np.maximum(two, 1e-300))
             for one, two in ((peak, edge), (peak_again, edge_again))]  # fmt: skip
    made |= _triple("expansion", ("layer",), ratio[0], ratio[1], ends)
    share = aligned(chosen.share[kept], chosen.crossing[kept], offsets, 0.0)
    made |= _triple("share", ("place",), share.mean(axis=0), weights @ share, ends)
    step = float(place.alpha[1] - place.alpha[0])
    curves = _curves.fit(place.alpha, chosen.share, np.ones_like(chosen.share))
    for name, array in zip(("threshold", "slope"), curves, strict=True):
        made[name] = ("continuum", array, ONE)
    made |= {"crossing": ("continuum", chosen.crossing * step, ONE), "kept": ("continuum", kept, ONE)}
    slopes = curves[1][kept]
    made |= _triple("mean_slope", ("method",), slopes.mean()[None], (weights @ slopes)[:, None], ends)
    return made | {"place": ("place", offsets * step, ONE)}


def _triple(
    name: str, dims: tuple[str, ...], now: np.ndarray, again: np.ndarray, ends: list[float]
) -> dict[str, Any]:
    low, high = np.quantile(again, ends, axis=0) if len(again) else (np.full_like(now, np.nan),) * 2
    return {name: (dims, now, ONE), f"{name}_low": (dims, low, ONE), f"{name}_high": (dims, high, ONE)}
