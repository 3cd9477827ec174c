"""What every decoding begins and ends with: estimator and folds chosen and checked, the result described."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from analyses import _resample
from analyses import folds as _folds
from analyses._decode import Estimator, Task
from analyses._labelled import values

ESTIMATORS = ("lda", "ridge", "logistic", "correlation")
SCORES = ("auc", "balanced_accuracy")
TRIALS = ["presentation", "neuroid"]
BLOCKED = -4.0  # z of the runs test below which labels count as blocked
STATED = ("kept_apart", "shared", "runs_apart", "blocked_z", "relabellings")  # of the split
INHERITED = (
    "origin", "simultaneous", "trigger_delay_s", "filter", "filter_reach_s", "l_freq", "h_freq", "baseline",
    "smear_before_s", "smear_after_s", "window_s", "bin_width",
)  # fmt: skip


def estimator(name: str, strength: float | None, standardize: bool) -> Estimator:
    """The estimator asked for; ValueError with the names there are."""
    if name not in ESTIMATORS:
        raise ValueError(f"estimator {name!r}: unknown; use one of {', '.join(ESTIMATORS)}")
    if strength is not None and not (strength >= 0 and np.isfinite(strength)):
        raise ValueError(f"strength: {strength}; wanted a number of at least 0")
    if name == "lda" and strength is not None and strength > 1:
        raise ValueError(f"strength: {strength}; the shrinkage of 'lda' lies between 0 and 1")
    return Estimator(name, strength, standardize)


def task(
    recording: xr.Dataset,
    label: str,
    score: str,
    folds: int | xr.Dataset,
    groups: str | Sequence[str],
    overlap: Sequence[str],
    seed: int,
) -> tuple[xr.Dataset, Task]:
    """The folds, audited, and the task for the kernels; ValueError says what is wrong with label or folds."""
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
    split.attrs |= _order(recording, label, split)
    return split, Task(codes.ravel(), classes, train, test, score)


def _order(recording: xr.Dataset, label: str, split: xr.Dataset) -> dict[str, float]:
    """z of the runs test of labels in their order of presentation, and whether runs are kept apart; warns
    where labels come in blocks and runs are not."""
    runs = np.unique(values(recording, "run")).size if "run" in recording.coords else 0
    apart = runs > 1 and "run" not in split.attrs["shared"].split(", ")
    if "onset" not in recording.coords:
        return {"runs_apart": int(apart)}
    keys = [values(recording, key) for key in ("onset", "run", "subject") if key in recording.coords]
    score = _folds.blocked(recording.isel(presentation=np.lexsort(keys)), label)
    if score < BLOCKED and not apart:
        warnings.warn(
            f"label {label!r}: comes in blocks (z = {score:.1f}, runs test) and runs are not kept apart; "
            "a slow drift can be decoded in its place",
            UserWarning,
            stacklevel=4,
        )
    return {"runs_apart": int(apart), "blocked_z": score}


def drawn(
    recording: xr.Dataset, label: str, made: Task, bootstraps: int, seed: int, exchange: str
) -> np.ndarray:
    """How often each presentation is drawn (bootstrap, presentation), at the level of exchange."""
    groups = _folds.exchangeable(recording, label, exchange)
    return _resample.draws(groups, made.codes, bootstraps, _folds.stream(recording, seed))


def window_mean(response: xr.DataArray, window: Sequence[float] | None) -> np.ndarray:
    """Mean (presentation, neuroid) over a window, both ends in."""
    time = response["time"].values
    start, end = (0.0, time[-1]) if window is None else window
    inside = np.flatnonzero((time >= start - 1e-9) & (time <= end + 1e-9))
    if inside.size == 0:
        raise ValueError(
            f"window: [{start}, {end}] s holds no sample; it has {time[0]:.4g} to {time[-1]:.4g} s"
        )
    part = response.isel(time=inside).transpose(*TRIALS, "time").values
    return np.asarray(np.ascontiguousarray(part).mean(axis=-1))  # one order of sums, however it was stored


def sizes(task: Task) -> dict[str, int]:
    """Dimensions of decision values, but for time."""
    found = {"presentation": task.codes.size}
    return found if task.functions == 1 else found | {"condition": task.functions}


def result(
    recording: xr.Dataset,
    found: dict[str, xr.DataArray],
    task: Task,
    split: xr.Dataset,
    label: str,
    estimator: str,
) -> xr.Dataset:
    """Variables with what every decoding states of its label, folds and recording."""
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
        **{key: split.attrs[key] for key in STATED if key in split.attrs},
        **{key: recording.attrs[key] for key in INHERITED if key in recording.attrs},
    }
    return made
