"""The label from channels that are no brain, and from numbers about the presentations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from analyses import _effects, _shrunk
from analyses import folds as _folds
from analyses._decode import Task
from analyses._effects import TRIALS
from analyses._labelled import over, values

INHERITED = ("origin", "trigger_delay_s")


def control(
    recording: xr.Dataset,
    label: str,
    split: xr.Dataset,
    kinds: Sequence[str],
    columns: Sequence[str],
    permutations: int,
    alpha: float,
    seed: int,
) -> xr.Dataset:
    """What `controls.channels` documents."""
    classes, codes = np.unique(values(recording, label), return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"label {label!r}: {len(classes)} classes; this control compares two, choose two")
    train, test = (np.asarray(split[side].values, dtype=bool) for side in ("train", "test"))
    task = Task(codes.ravel(), classes, train, test, "auc")
    drawn = _folds.relabel(recording, label, split, permutations, seed)
    relabelled = np.concatenate([task.codes[None], drawn])
    count, found = recording.sizes["time"], {}
    kind = values(recording, "kind") if "kind" in recording.coords else np.array([], str)
    for name in [name for name in dict.fromkeys(kinds) if (kind == name).any()]:
        part = recording["response"].isel(neuroid=np.flatnonzero(kind == name))
        _refuse_gaps(part, name)
        scored = over(_shrunk.scores, part, TRIALS, {"permutation": permutations + 1},
                      task=task, relabelled=relabelled)  # fmt: skip
        found[name] = np.asarray(scored.transpose("time", "permutation").values)
    for name in [name for name in dict.fromkeys(columns) if _usable(recording, name)]:
        one = _shrunk.scores(_numbers(recording, name)[None], task, relabelled)
        found[name] = np.repeat(one, count, axis=0)
    auc = np.array([table[:, 0] for table in found.values()]).reshape(-1, count)
    p = [
        _shrunk.p_values(t[:, 0], np.broadcast_to(t[:, 1:].max(axis=0), t[:, 1:].shape))
        for t in found.values()
    ]
    corrected = np.minimum(np.array(p).reshape(-1, count) * len(found), 1.0)
    made = record(auc, corrected, list(found), recording["time"].values, alpha)
    made.attrs |= {key: recording.attrs[key] for key in INHERITED if key in recording.attrs}
    made.attrs |= {
        "label": label, "over": "presentation", "test": "permutation of labels", "n": int(task.codes.size),
        "permutations": permutations,
        "kept_apart": str(split.attrs.get("kept_apart", "as given")),
        "shared": str(split.attrs.get("shared", "")), "folds": len(train),
    }  # fmt: skip
    return made.assign_attrs(_effects.resolution(recording, label, split, permutations, alpha, len(found)))


def record(auc: np.ndarray, p: np.ndarray, names: list[str], time: np.ndarray, alpha: float) -> xr.Dataset:
    """Both tables (family, time) and what they flag."""
    flagged = [name for name, row in zip(names, p, strict=True) if np.nanmin(row) <= alpha]
    dims = ("family", "time")
    return xr.Dataset(
        {"auc": (dims, auc, {"units": "1"}), "p": (dims, p, {"units": "1"})},
        {"family": ("family", np.array(names, dtype=str)), "time": ("time", time)},
        {
            "flagged": ", ".join(flagged),
            "tested": ", ".join(names),
            "chance": 0.5,
            "alpha": alpha,
            "tail": "above chance",
            "correction": "max-T over times, Bonferroni over families",
            "control": "channels",
        },
    )


def _usable(recording: xr.Dataset, name: str) -> bool:
    """A numeric coordinate of the presentations that varies."""
    if name not in recording.coords or recording[name].dims != ("presentation",):
        return False
    found = recording[name].values
    return found.dtype.kind in "biuf" and np.unique(found[~np.isnan(found.astype(float))]).size > 1


def _numbers(recording: xr.Dataset, name: str) -> np.ndarray:
    """(presentation, 1 or 2): the numbers, and whether they are missing where some are."""
    found = recording[name].values.astype(float)
    missing = np.isnan(found)
    filled = np.where(missing, found[~missing].mean(), found)
    return np.stack([filled, missing], axis=1) if missing.any() else filled[:, None]


def _refuse_gaps(part: xr.DataArray, name: str) -> None:
    if not bool(np.isfinite(part).all()):
        raise ValueError(f"response: a channel of kind {name!r} has NaN or Inf; leave out that channel")
