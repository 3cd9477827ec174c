"""When does a recording tell two things apart? Time-resolved, generalized, pairwise and transferred decoding.

Every estimator is fitted inside the folds, at every time alone; folds keep stimuli, identities, runs and
subjects apart unless told otherwise (`analyses.folds`). What is recorded may be sensors, neurons or model
units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _decode, _pairs, _resample, _tasks
from analyses import folds as _folds
from analyses._labelled import over, values
from analyses._tasks import TRIALS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    bootstraps: int = 0,
    exchange: str = "auto",
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
             (permutation, time) by exchange of labels between identities or stimuli (`folds.relabel`); with
             bootstraps, resampled (bootstrap, time), the score of stimuli drawn again, decoders left as they
             are; ValueError for overlap, too few groups, one class, NaN
    Source   King and Dehaene 2014, doi 10.1016/j.tics.2014.01.002; Combrisson and Jerbi 2015 for chance
    """
    chosen = _tasks.estimator(estimator, strength, standardize)
    split, task = _tasks.task(recording, label, score, folds, groups, overlap, seed)
    decision = over(
        _decode.decide, recording["response"], TRIALS, _tasks.sizes(task), task=task, estimator=chosen
    )
    found = {
        task.score: over(_decode.score, decision, list(_tasks.sizes(task)), {}, task=task),
        "decision": decision,
    }
    if permutations:
        relabelled = _folds.relabel(recording, label, split, permutations, seed, exchange=exchange)
        split.attrs["relabellings"] = _folds.relabellings(recording, label, split, exchange=exchange)
        found["null"] = over(
            _decode.null, recording["response"], TRIALS, {"permutation": permutations},
            task=task, estimator=chosen, relabelled=relabelled,
        )  # fmt: skip
    if bootstraps:
        drawn = _tasks.drawn(recording, label, task, bootstraps, seed, exchange)
        sizes = {"bootstrap": bootstraps}
        found["resampled"] = over(
            _resample.scores, decision, list(_tasks.sizes(task)), sizes, task=task, drawn=drawn
        )
    return _tasks.result(recording, found, task, split, label, estimator)


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
    chosen = _tasks.estimator(estimator, strength, standardize)
    split, task = _tasks.task(recording, label, score, folds, groups, overlap, seed)
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
    return _tasks.result(recording, {task.score: found}, task, split, label, estimator)


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
    split, task = _tasks.task(recording, label, "balanced_accuracy", folds, groups, overlap, seed)
    count = len(task.classes)
    found = over(
        _pairs.aucs, recording["response"], TRIALS, {"condition": count, "other_condition": count},
        codes=task.codes, train=task.train, test=task.test, shrinkage=shrinkage,
    )  # fmt: skip
    made = _tasks.result(recording, {"auc": found}, task, split, label, "lda")
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
    chosen = _tasks.estimator(estimator, strength, standardize)
    split, task = _tasks.task(recording, label, "balanced_accuracy", folds, groups, overlap, seed)
    column = values(recording, condition)
    names, rows = np.unique(column), []
    for name in names:
        inside = task._replace(train=task.train & (column == name))
        decision = over(
            _decode.decide, recording["response"], TRIALS, _tasks.sizes(task), task=inside, estimator=chosen
        )
        tested = [task._replace(test=task.test & (column == other)) for other in names]
        rows.append(
            [over(_decode.score, decision, list(_tasks.sizes(task)), {}, task=part) for part in tested]
        )
    found = xr.concat([xr.concat(row, "test_condition") for row in rows], "train_condition")
    made = _tasks.result(recording, {task.score: found}, task, split, label, estimator)
    return made.assign_coords(train_condition=names, test_condition=names)


def plot(result: xr.Dataset) -> Figure:
    """The curve, matrix or table that a decoding made, with its chance line.

    Reads    what `time_resolved`, `generalize`, `pairwise` or `transfer` returned
    Returns  a matplotlib Figure
    """
    from analyses._plots import curve, matrix, table

    if "effect" in result:
        return curve(result, "effect")
    name = "auc" if "auc" in result else "balanced_accuracy"
    if "test_time" in result.dims:
        return matrix(result[name], result.attrs)
    if "train_condition" in result.dims:
        return table(result[name], result.attrs)
    return curve(result, name)
