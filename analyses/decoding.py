"""When does a recording tell two things apart? Time-resolved, generalized, pairwise and transferred decoding.

Every estimator is fitted inside the folds, at every time alone; folds keep stimuli, identities, runs and
subjects apart unless told otherwise (`analyses.folds`). What is recorded may be sensors, neurons or model
units.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _decode, _pairs
from analyses import folds as _folds
from analyses._decode import Estimator, Task
from analyses._labelled import over, values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ESTIMATORS = ("lda", "ridge", "logistic", "correlation")
SCORES = ("auc", "balanced_accuracy")
TRIALS = ["presentation", "neuroid"]
BLOCKED = -4.0  # z of the runs test below which labels count as blocked
INHERITED = ("origin", "simultaneous", "trigger_delay_s", "filter", "bin_width")


def time_resolved(
    recording: xr.Dataset,
    label: str,
    *,
    estimator: str = "lda",
    strength: float | None = None,
    standardize: bool = True,
    score: str = "auto",
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    permutations: int = 0,
    seed: int = 0,
) -> xr.Dataset:
    """Cross-validated score of `label` at every time.

    Estimators: "lda" with Ledoit-Wolf shrinkage, or `strength` as a fixed shrinkage; "ridge" and "logistic"
    with `strength` as the weight of the L2 penalty (1); "correlation" with each class's mean. `standardize`
    scales neuroids by the training set, except before Ledoit-Wolf, which scales each class by itself. Score:
    AUC for two classes, else balanced accuracy. An AUC compares presentations of one fold only; folds count
    by their pairs.

    Reads    response (presentation, neuroid, time), any unit; label (presentation); folds, a number or a
             Dataset of train and test (fold, presentation)
    Returns  auc or balanced_accuracy (time), unit 1, chance in attrs; decision (presentation[, condition],
             time), the decision value of every presentation when it was tested; with permutations, null
             (permutation, time) by exchange of labels between stimuli; ValueError for overlap, too few
             groups, one class, NaN
    Source   King and Dehaene 2014, doi 10.1016/j.tics.2014.01.002; Combrisson and Jerbi 2015 for chance
    """
    chosen = _estimator(estimator, strength, standardize)
    split, task = _task(recording, label, score, folds, groups, overlap, seed)
    decision = over(_decode.decide, recording["response"], TRIALS, _sizes(task), task=task, estimator=chosen)
    found = {
        task.score: over(_decode.score, decision, list(_sizes(task)), {}, task=task),
        "decision": decision,
    }
    if permutations:
        relabelled = _folds.relabel(recording, label, split, permutations, seed)
        found["null"] = over(
            _decode.null, recording["response"], TRIALS, {"permutation": permutations},
            task=task, estimator=chosen, relabelled=relabelled,
        )  # fmt: skip
    return _result(recording, found, task, split, label, estimator)


def generalize(
    recording: xr.Dataset,
    label: str,
    *,
    estimator: str = "lda",
    strength: float | None = None,
    standardize: bool = True,
    score: str = "auto",
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Temporal generalization: trained at one time, tested at every other, in the same folds.

    Reads    as `time_resolved`
    Returns  auc or balanced_accuracy (time, test_time), unit 1: `time` is the time of training; errors as
             there
    Source   King and Dehaene 2014, doi 10.1016/j.tics.2014.01.002
    """
    chosen = _estimator(estimator, strength, standardize)
    split, task = _task(recording, label, score, folds, groups, overlap, seed)
    response = recording["response"]
    shape = {"fold": len(task.train), "function": task.functions, "weight": response.sizes["neuroid"] + 1}
    weights = (
        over(_decode.weigh, response, TRIALS, shape, task=task, estimator=chosen)
        .transpose("time", ...)
        .values
    )
    found = over(
        _decode.score_weights, response, TRIALS, {"trained": len(weights)}, task=task, weights=weights
    )
    found = found.rename(time="test_time").rename(trained="time").assign_coords(time=response["time"].values)
    return _result(recording, {task.score: found}, task, split, label, estimator)


def pairwise(
    recording: xr.Dataset,
    label: str,
    *,
    shrinkage: float | None = None,
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    seed: int = 0,
) -> xr.Dataset:
    """AUC of every pair of conditions at every time: a representational dissimilarity movie.

    Each pair has a discriminant of its own (LDA, Ledoit-Wolf or fixed shrinkage, of that pair's
    presentations only).

    Reads    response (presentation, neuroid, time); label (presentation), the conditions; folds as
             `time_resolved`
    Returns  auc (condition, other_condition, time), unit 1, symmetric, NaN on the diagonal; errors as there
    Source   Cichy, Pantazis and Oliva 2014, doi 10.1038/nn.3635
    """
    split, task = _task(recording, label, "balanced_accuracy", folds, groups, overlap, seed)
    count = len(task.classes)
    found = over(
        _pairs.aucs, recording["response"], TRIALS, {"condition": count, "other_condition": count},
        codes=task.codes, train=task.train, test=task.test, shrinkage=shrinkage,
    )  # fmt: skip
    made = _result(recording, {"auc": found}, task, split, label, "lda")
    made.attrs["chance"] = 0.5
    return made.assign_coords(condition=task.classes, other_condition=task.classes)


def transfer(
    recording: xr.Dataset,
    label: str,
    condition: str,
    *,
    estimator: str = "lda",
    strength: float | None = None,
    standardize: bool = True,
    folds: int | xr.Dataset = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Trained in one condition (a position, a task), tested in each, in the same folds.

    Reads    response (presentation, neuroid, time); label and condition (presentation)
    Returns  balanced_accuracy (train_condition, test_condition, time), unit 1; errors as `time_resolved`
    Source   Hung et al. 2005, doi 10.1126/science.1117593 (position tolerance)
    """
    chosen = _estimator(estimator, strength, standardize)
    split, task = _task(recording, label, "balanced_accuracy", folds, groups, overlap, seed)
    column = values(recording, condition)
    names, rows = np.unique(column), []
    for name in names:
        inside = task._replace(train=task.train & (column == name))
        decision = over(
            _decode.decide, recording["response"], TRIALS, _sizes(task), task=inside, estimator=chosen
        )
        tested = [task._replace(test=task.test & (column == other)) for other in names]
        rows.append([over(_decode.score, decision, list(_sizes(task)), {}, task=part) for part in tested])
    found = xr.concat([xr.concat(row, "test_condition") for row in rows], "train_condition")
    made = _result(recording, {task.score: found}, task, split, label, estimator)
    return made.assign_coords(train_condition=names, test_condition=names)


def plot(result: xr.Dataset) -> Figure:
    """The curve, matrix or table that a decoding made, with its chance line.

    Reads    what `time_resolved`, `generalize`, `pairwise` or `transfer` returned
    Returns  a matplotlib Figure
    """
    from analyses._plots import curve, matrix, table

    name = "auc" if "auc" in result else "balanced_accuracy"
    if "test_time" in result.dims:
        return matrix(result[name], result.attrs)
    if "train_condition" in result.dims:
        return table(result[name], result.attrs)
    return curve(result, name)


def _estimator(name: str, strength: float | None, standardize: bool) -> Estimator:
    if name not in ESTIMATORS:
        raise ValueError(f"estimator {name!r}: unknown; use one of {', '.join(ESTIMATORS)}")
    if strength is not None and not (strength >= 0 and np.isfinite(strength)):
        raise ValueError(f"strength: {strength}; wanted a number of at least 0")
    if name == "lda" and strength is not None and strength > 1:
        raise ValueError(f"strength: {strength}; the shrinkage of 'lda' lies between 0 and 1")
    return Estimator(name, strength, standardize)


def _task(
    recording: xr.Dataset,
    label: str,
    score: str,
    folds: int | xr.Dataset,
    groups: str | Sequence[str],
    overlap: Sequence[str],
    seed: int,
) -> tuple[xr.Dataset, Task]:
    column = values(recording, label)
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise ValueError(
            f"label {label!r}: presentation {np.argmin(np.isfinite(column))} has none (NaN); leave it out"
        )
    classes, codes = np.unique(column, return_inverse=True)
    if score == "auto":
        score = "auc" if len(classes) == 2 else "balanced_accuracy"
    if score not in SCORES:
        raise ValueError(f"score {score!r}: unknown; use one of {', '.join(SCORES)}")
    if score == "auc" and len(classes) > 2:
        raise ValueError(f"score 'auc': {len(classes)} classes; use 'balanced_accuracy', or pairwise()")
    if isinstance(folds, int):
        split = _folds.split(recording, label, folds=folds, groups=groups, overlap=overlap, seed=seed)
    else:
        split = folds.copy()
        split.attrs = {"kept_apart": "as given", "seed": seed}
        split.attrs["shared"] = _folds.audit(recording, split, label=label, declared=overlap).attrs["shared"]
    train, test = (np.asarray(split[side].values, dtype=bool) for side in ("train", "test"))
    if (test.sum(axis=0) > 1).any():
        raise ValueError(
            f"folds: presentation {np.argmax(test.sum(axis=0) > 1)} is tested twice; give one split at a time"
        )
    _warn_if_blocked(recording, label, split)
    return split, Task(codes.ravel(), classes, train, test, score)


def _warn_if_blocked(recording: xr.Dataset, label: str, split: xr.Dataset) -> None:
    apart = "run" in recording.coords and "run" not in split.attrs["shared"].split(", ")
    if apart or "onset" not in recording.coords:
        return
    keys = [values(recording, key) for key in ("onset", "run", "subject") if key in recording.coords]
    score = _folds.blocked(recording.isel(presentation=np.lexsort(keys)), label)
    if score < BLOCKED:
        warnings.warn(
            f"label {label!r}: comes in blocks (z = {score:.1f}, runs test) and runs are not kept apart; "
            "a slow drift can be decoded in its place",
            UserWarning,
            stacklevel=4,
        )


def _sizes(task: Task) -> dict[str, int]:
    sizes = {"presentation": task.codes.size}
    return sizes if task.functions == 1 else sizes | {"condition": task.functions}


def _result(
    recording: xr.Dataset,
    found: dict[str, xr.DataArray],
    task: Task,
    split: xr.Dataset,
    label: str,
    estimator: str,
) -> xr.Dataset:
    made = xr.Dataset({name: array.assign_attrs(units="1") for name, array in found.items()})
    if "decision" in made:
        names = [name for name, coord in recording.coords.items() if coord.dims == ("presentation",)]
        made = made.assign_coords({name: recording[name] for name in names})
    if "condition" in made.dims and "other_condition" not in made.dims:
        made = made.assign_coords(condition=task.classes)
    made.attrs = {
        "label": label,
        "classes": ", ".join(map(str, task.classes)),
        "presentations": ", ".join(map(str, np.bincount(task.codes))),
        "chance": 0.5 if task.score == "auc" else 1 / len(task.classes),
        "estimator": estimator,
        "folds": len(task.train),
        "kept_apart": split.attrs["kept_apart"],
        "shared": split.attrs["shared"],
        **{key: recording.attrs[key] for key in INHERITED if key in recording.attrs},
    }
    return made
