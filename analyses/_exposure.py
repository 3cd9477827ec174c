"""How often and when each class was shown, and decoding of presentations in which both were shown alike."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from analyses import _effects, _matching, _shrunk
from analyses import folds as _folds
from analyses._decode import Task
from analyses._image import Asked
from analyses._labelled import values

NEGLIGIBLE = 0.05  # of the session, between the mean places of two classes
LEAST = 1000  # permutations of the table, which cost nothing
DRAWS = 10  # subsets of equal size, whose mean the matched one is compared with
MEASURES = ("presentations", "repetition", "position")


class Order(NamedTuple):
    """Of every presentation: its stimulus, how often that was shown before, its place in the session."""

    stimulus: np.ndarray
    repetition: np.ndarray
    position: np.ndarray


def control(
    recording: xr.Dataset, label: str, raw: xr.Dataset, split: xr.Dataset, asked: Asked
) -> xr.Dataset:
    """What `controls.exposure` documents."""
    classes, codes = np.unique(values(recording, label), return_inverse=True)
    codes = codes.ravel()
    if len(classes) != 2:
        raise ValueError(f"label {label!r}: {len(classes)} classes; this control compares two, choose two")
    order = _order(recording)
    units = _folds.exchangeable(recording, label)
    mean, p = _table(order, codes, units, max(asked.permutations, LEAST), asked.seed)
    alike = p > asked.alpha / len(MEASURES)
    alike[MEASURES.index("position")] |= abs(mean[1, -1] - mean[0, -1]) < NEGLIGIBLE
    train, test = (np.asarray(split[side].values, dtype=bool) for side in ("train", "test"))
    task = Task(codes, classes, train, test, "auc")
    curves, told = _runs(recording, label, raw, split, task, None if alike.all() else order, asked)
    if alike.all():
        told["verdict"] = "equal"
    else:
        raw_above, above = (told[f"{name}_p"] <= asked.alpha for name in ("raw", "matched"))
        told["verdict"] = verdict(raw_above, above, told["matched_score"], told["unmatched_score"])
    told |= {"permutations": asked.permutations, "alpha": asked.alpha, "control": "exposure"}
    told |= _effects.resolution(recording, label, split, asked.permutations, asked.alpha)
    return xr.Dataset(
        {
            **{name: ("time", curve, {"units": "1"}) for name, curve in curves.items()},
            "mean": (("condition", "family"), mean, {"units": "1"}),
            "difference": ("family", mean[1] - mean[0], {"units": "1"}),
            "p": ("family", p, {"units": "1"}),
        },
        {"time": recording["time"], "condition": classes, "family": list(MEASURES)},
        {**raw.attrs, **told, **_effects.span(recording, asked.inside)},
    )


def _runs(
    recording: xr.Dataset,
    label: str,
    raw: xr.Dataset,
    split: xr.Dataset,
    task: Task,
    order: Order | None,
    asked: Asked,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Curves and numbers of all presentations and, where an order is given, of matched and as many unmatched
    ones.
    """
    response, codes, inside = recording["response"], task.codes, asked.inside
    now = response.isel(time=inside)
    drawn = _folds.relabel(recording, label, split, asked.permutations, asked.seed)
    drawn = np.concatenate([codes[None], drawn])
    missing = np.full(recording.sizes["time"], np.nan)
    curves = {"auc": raw["auc"].values, "matched": missing, "unmatched": missing}
    told: dict[str, Any] = {
        "raw_p": _effects.significance(now, task, drawn),
        "presentations_left": codes.size,
    }
    if order is not None:
        kept = _matching.alike(order.position, order.repetition, codes)
        some = np.isin(np.arange(codes.size), kept)
        told["presentations_left"] = kept.size
        told["matched_p"] = _effects.significance(now, _effects.within(task, some), drawn)
        curves["matched"] = _effects.subset(response, task, some, asked.estimator)
        thin = _thinned(codes, len(kept), asked.seed)
        curves["unmatched"] = np.mean(
            [_effects.subset(response, task, part, asked.estimator) for part in thin], axis=0
        )
    names = (
        {"raw": "auc"} if order is None else {"raw": "auc", "matched": "matched", "unmatched": "unmatched"}
    )
    return curves, told | {
        f"{name}_score": float(curves[curve][inside].mean()) for name, curve in names.items()
    }


def _order(recording: xr.Dataset) -> Order:
    count = recording.sizes["presentation"]
    named = "stimulus_id" in recording.coords
    stimulus = np.unique(values(recording, "stimulus_id") if named else np.arange(count), return_inverse=True)
    keys = [values(recording, key) for key in ("onset", "run") if key in recording.coords]
    when = np.lexsort(keys) if "onset" in recording.coords else np.arange(count)
    place = np.empty(count)
    place[when] = np.arange(count)
    which = stimulus[1].ravel()
    if "repetition" in recording.coords:
        repetition = values(recording, "repetition").astype(float)
    else:
        repetition = np.empty(count)
        for one in np.unique(which):
            repetition[which == one] = rankdata(place[which == one]) - 1
    return Order(which, repetition, place / max(count - 1, 1))


def _table(
    order: Order, codes: np.ndarray, units: np.ndarray, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means (class, measure) over stimuli or presentations, and two-sided p (measure), labels exchanged
    between units."""
    names, first, unit = np.unique(units, return_index=True, return_inverse=True)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    label = codes[first]
    drawn = np.array([label, *[rng.permutation(label) for _ in range(permutations)]])
    shows = np.bincount(order.stimulus)[order.stimulus]
    weight = np.stack([1 / shows, np.ones(len(codes)), np.ones(len(codes))], axis=1)
    value = np.stack([shows.astype(float), order.repetition, order.position], axis=1)
    total = np.zeros((2, names.size, len(MEASURES)))
    np.add.at(total[0], unit.ravel(), weight)
    np.add.at(total[1], unit.ravel(), weight * value)
    member = np.stack([drawn == 0, drawn == 1]).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (member @ total[1]) / (member @ total[0])  # (class, permutation, measure)
    gap = np.abs(mean[1] - mean[0])
    return mean[:, 0], _shrunk.p_values(np.round(gap[0], 9), np.round(gap[1:].T, 9))


def _thinned(codes: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """As many presentations of each class, drawn without regard to exposure, some times over."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    drawn = []
    for _ in range(DRAWS):
        kept = [rng.permutation(np.flatnonzero(codes == code))[:count] for code in (0, 1)]
        drawn.append(np.isin(np.arange(codes.size), np.concatenate(kept)))
    return drawn


def verdict(raw: bool, matched: bool, matched_score: float, unmatched_score: float) -> str:
    """From whether all and the matched presentations tell the label, and how far above 0.5 they are."""
    if matched:
        return "survives"
    return "vanishes" if raw and matched_score - 0.5 < 0.5 * (unmatched_score - 0.5) else "undecided"
