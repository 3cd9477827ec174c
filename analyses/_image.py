"""The image control: features of what was shown, alone, taken out, matched, partialled out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _decode, _effects, _matching, _rdms, _residual, _shrunk, features
from analyses import folds as _folds
from analyses._decode import Estimator, Task
from analyses._effects import TRIALS
from analyses._labelled import over, values
from analyses._residual import Removal

LOOKED_AT = 200  # relabellings from which the number of regressors is chosen


class Columns(NamedTuple):
    """Image features (presentation, column), their families, those never compressed, and what was void."""

    values: np.ndarray
    family: np.ndarray
    whole: tuple[str, ...]
    left_out: str


class Asked(NamedTuple):
    """How it is decoded, in which samples, and how it is tested."""

    estimator: Estimator
    inside: np.ndarray
    permutations: int
    bootstraps: int
    alpha: float
    seed: int


class Design(NamedTuple):
    """Task, image features, relabelled codes (the true ones first), the units between which labels are
    exchanged; rows of the first presentation of each stimulus, and the stimulus of every presentation."""

    task: Task
    columns: Columns
    codes: np.ndarray
    units: np.ndarray
    first: np.ndarray
    stimulus: np.ndarray


def control(
    recording: xr.Dataset, label: str, raw: xr.Dataset, split: xr.Dataset, told: Columns, asked: Asked
) -> xr.Dataset:
    """What `controls.image` documents, from what `decoding.time_resolved` found."""
    made = design(recording, label, split, told, asked)
    response, size = recording["response"], {"presentation": made.task.codes.size}
    names, scores, p = alone(made)
    removed, regressors = regressions(made)
    left = over(
        _residual.decide, response, TRIALS, size, task=made.task, estimator=asked.estimator, removed=removed
    ).transpose("presentation", "time")
    residual = over(_decode.score, left, ["presentation"], {}, task=made.task).values
    inside = matching(made)
    similar, distance = similarity(recording, made)
    curves = {"auc": raw["auc"].values, "residual": residual, **similar}
    curves["matched"] = _effects.subset(response, made.task, inside, asked.estimator)
    now = response.isel(time=asked.inside)
    tested = {
        "raw_p": _effects.significance(now, made.task, made.codes),
        "residual_p": _effects.significance(now, made.task, made.codes, removed),
        "matched_p": _effects.significance(now, _effects.within(made.task, inside), made.codes),
    }
    decisions = [one.values[:, asked.inside] for one in (raw["decision"], left)]
    found = summary(curves, decisions, made, asked)
    best = int(np.argmax(scores))
    above = tested["residual_p"] <= asked.alpha and found["residual_low"] > 0.5
    attrs: dict[str, Any] = {
        "verdict": verdict(tested["raw_p"] <= asked.alpha, p[best] <= asked.alpha, above),
        "image_score": float(scores[best]), "image_p": float(p[best]), "image_family": names[best],
        "families": ", ".join(dict.fromkeys(told.family)), "left_out": told.left_out,
        "regressors": regressors, "stimuli": int(made.first.size),
        "matched_stimuli": int(np.unique(made.stimulus[inside]).size), "rsa_distance": distance,
        **_effects.resolution(recording, label, split, asked.permutations, asked.alpha),
        **_effects.span(recording, asked.inside), "permutations": asked.permutations,
        "bootstraps": asked.bootstraps, "alpha": asked.alpha, "confidence": _effects.CONFIDENCE,
        "control": "image",
    }  # fmt: skip
    families = {"alone": ("family", scores, {"units": "1"}), "p": ("family", p, {"units": "1"})}
    return xr.Dataset(
        {**{name: ("time", curve, {"units": "1"}) for name, curve in curves.items()}, **families},
        {"time": recording["time"], "family": ("family", names)},
        {**raw.attrs, **found, **tested, **attrs},
    )


def columns(
    recording: xr.Dataset, stimuli: xr.Dataset | None, families: Sequence[str], covariates: Sequence[str]
) -> Columns:
    """Features of what was shown, by stimulus_id, and numeric coordinates of the presentations."""
    parts, names, left = [], [], ""
    if stimuli is not None:
        made = features.low_level(stimuli, families=families)
        joined = features.shown(made, recording)
        parts.append(joined["response"].values[..., 0])
        names.append(joined["family"].values.astype(str))
        left = str(made.attrs["left_out"])
    for name in covariates:
        if any(name in part for part in names):
            raise ValueError(f"covariates: {name!r}: is a family of the images already; leave it out")
        parts.append(number(recording, name, "covariates")[:, None])
        names.append(np.array([name]))
    if not parts:
        raise ValueError("stimuli: none, and no covariates; give images, or name numeric coordinates of them")
    return Columns(
        np.concatenate(parts, axis=1), np.concatenate(names), (*_residual.WHOLE, *covariates), left
    )


def number(recording: xr.Dataset, name: str, argument: str) -> np.ndarray:
    """A numeric coordinate of the presentations."""
    found = values(recording, name)
    if found.dtype.kind not in "biuf" or found.shape != (recording.sizes["presentation"],):
        raise ValueError(f"{argument}: {name!r} is no number of each presentation; name one that is")
    if not np.isfinite(found.astype(float)).all():
        row = int(np.argmin(np.isfinite(found.astype(float))))
        raise ValueError(f"{argument}: {name!r} of presentation {row} is {found[row]}; leave that out")
    return found.astype(float)


def design(recording: xr.Dataset, label: str, split: xr.Dataset, made: Columns, asked: Asked) -> Design:
    """What is decoded in which folds, how it is relabelled; ValueError unless a stimulus has one label."""
    classes, codes = np.unique(values(recording, label), return_inverse=True)
    codes = codes.ravel()
    if len(classes) != 2:
        raise ValueError(f"label {label!r}: {len(classes)} classes; this control compares two, choose two")
    known = "stimulus_id" in recording.coords
    names = values(recording, "stimulus_id") if known else np.arange(codes.size).astype(str)
    _, first, stimulus = np.unique(names, return_index=True, return_inverse=True)
    stimulus = stimulus.ravel()
    varies = codes != codes[first][stimulus]
    if varies.any():
        raise ValueError(
            f"label {label!r}: varies within stimulus {str(names[varies][0])!r}; this control asks whether "
            "the image tells the label, so a stimulus must have one"
        )
    drawn = _folds.relabel(recording, label, split, asked.permutations, asked.seed)
    train, test = (np.asarray(split[side].values, dtype=bool) for side in ("train", "test"))
    task = Task(codes, classes, train, test, "auc")
    units = _folds.exchangeable(recording, label)
    return Design(task, made, np.concatenate([codes[None], drawn]), units, first, stimulus)


def alone(made: Design) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of families, "all" last, in which they weigh the same; their AUC; p by max-T over them."""
    family = made.columns.family
    names = list(dict.fromkeys(family))
    weight = np.array([1 / np.sqrt((family == name).sum()) for name in family])
    sets = {name: family == name for name in names}
    if len(names) > 1:
        sets["all"] = np.ones(len(family), bool)
    block = made.columns.values[None]
    table = np.array(
        [
            _shrunk.scores(block[..., some], made.task, made.codes, weight=weight[some])[0]
            for some in sets.values()
        ]
    )
    largest = np.broadcast_to(table[:, 1:].max(axis=0), table[:, 1:].shape)
    return list(sets), table[:, 0], _shrunk.p_values(table[:, 0], largest)


def regressions(made: Design) -> tuple[list[Removal], float]:
    """Of every fold, what takes the image out of the responses; and the mean number of regressors."""
    shapes, removed = [], []
    for train in made.task.train:
        chosen = _residual.regressors(
            made.columns.values, made.columns.family, made.columns.whole, train, made.codes[: LOOKED_AT + 1]
        )
        shapes.append(chosen.shape[1] - 1)
        removed.append(_residual.removal(chosen, train))
    return removed, float(np.mean(shapes))


def matching(made: Design) -> np.ndarray:
    """Presentations (n) of the stimuli that have a match in the other class."""
    table = _per_stimulus(made.columns.values, made.stimulus)
    codes = made.codes[: LOOKED_AT + 1, made.first]
    every = np.ones(len(table), bool)
    chosen = _residual.regressors(table, made.columns.family, made.columns.whole, every, codes)
    return np.isin(made.stimulus, _matching.pairs(chosen[:, 1:], codes[0]))


def similarity(recording: xr.Dataset, made: Design) -> tuple[dict[str, np.ndarray], str]:
    """Correlation of label and response dissimilarities (time), with image dissimilarities partialled out,
    its p by max-T over time; and the distance that was used."""
    halves, distance = _halves(made.stimulus)
    count, family = len(made.first), made.columns.family
    size = {"pair": count * (count - 1) // 2}
    distances = over(_rdms.responses, recording["response"], TRIALS, size, halves=halves)
    neural = distances.transpose("time", "pair").values
    table = _per_stimulus(made.columns.values, made.stimulus)
    others = np.array([_rdms.columns(table[:, family == name]) for name in dict.fromkeys(family)])
    label, units = made.codes[:, made.first], made.units[made.first]
    plain = _rdms.partial(neural, label[:1], others[:0], units)
    found = _rdms.partial(neural, label, others, units)
    largest = np.broadcast_to(found[:, 1:].max(axis=0), found[:, 1:].shape)
    p = _shrunk.p_values(found[:, 0], largest)
    return {"rsa": plain[:, 0], "rsa_partial": found[:, 0], "rsa_p": p}, distance


def _halves(stimulus: np.ndarray) -> tuple[tuple[np.ndarray, ...], str]:
    """Matrices (stimulus, n) that average odd and even presentations, or all where one has but one."""
    counts = np.bincount(stimulus)
    order = np.argsort(stimulus, kind="stable")
    rank = np.empty(len(stimulus), int)
    rank[order] = np.arange(len(stimulus)) - np.repeat(np.cumsum(counts) - counts, counts)
    member = stimulus == np.arange(len(counts))[:, None]
    if counts.min() < 2:
        return (member / counts[:, None],), "correlation"
    sides = [member & (rank % 2 == side) for side in (0, 1)]
    return tuple(
        side / side.sum(axis=1, keepdims=True) for side in sides
    ), "cross-validated squared Euclidean"


def _per_stimulus(table: np.ndarray, stimulus: np.ndarray) -> np.ndarray:
    counts = np.bincount(stimulus)
    member = (stimulus == np.arange(len(counts))[:, None]) / counts[:, None]
    return np.asarray(member @ table)


def summary(
    curves: dict[str, np.ndarray], decisions: Sequence[np.ndarray], made: Design, asked: Asked
) -> dict[str, float]:
    """Mean scores inside the window, the loss, and intervals of both scores and of the loss."""
    mean = {name: float(curves[name][asked.inside].mean()) for name in ("auc", "residual", "matched")}
    lost = float(_effects.loss(np.array(mean["auc"]), np.array(mean["residual"])))
    told = {"raw_score": mean["auc"], "residual_score": mean["residual"], "matched_score": mean["matched"]}
    draws = _effects.resampled(decisions, made.task, made.units, asked.bootstraps, asked.seed)
    ends = {"raw": draws[:, 0], "residual": draws[:, 1], "loss": _effects.loss(draws[:, 0], draws[:, 1])}
    for name, drawn in ends.items():
        told[f"{name}_low"], told[f"{name}_high"] = _effects.interval(drawn)
    return told | {"loss": lost}


def verdict(raw: bool, image: bool, residual: bool) -> str:
    """From whether the label is told by the responses, by the image alone, and by what is left."""
    if residual:
        return "survives"
    return "explained" if raw and image else "undecided"
