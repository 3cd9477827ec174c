"""Steps of the report's tests: results that say what a test tells them to; the runner trusts this file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

FULL = {  # what a sound group result states of itself
    "origin": "real, raw", "label": "familiar", "classes": "no, yes", "presentations": "80, 80",
    "chance": 0.5, "estimator": "lda", "folds": 5, "kept_apart": "identity, run", "shared": "",
    "trigger_delay_s": 0.0, "filter": "none", "n": 3, "over": "subject", "test": "sign flip",
    "tail": "greater", "correction": "max-T", "permutations": 5000, "smallest_p": 0.0002,
    "alpha": 0.05, "confidence": 0.95,
}  # fmt: skip


def recording(
    *, subject: str = "1", origin: str = "real, raw", channels: Sequence[str] = ("a", "b")
) -> xr.Dataset:
    """A recording of noise, with what a loader states."""
    noise = np.random.default_rng(7).normal(size=(8, len(channels), 30))
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), noise, {"units": "V"})},
        {
            "stimulus_id": ("presentation", [f"s{number % 4}" for number in range(8)]),
            "neuroid_id": ("neuroid", list(channels)),
            "kind": ("neuroid", ["eeg"] * len(channels)),
            "time": np.arange(30) / 100 - 0.1,
        },
        {
            "origin": origin, "sampling_rate_hz": 100.0, "filter": "none", "baseline": "none",
            "reject": "none", "n_rejected": 0, "bad_channels": "none", "projectors": "none",
            "trigger_delay_s": 0.0, "sources": f"sub-{subject}_20170913.csv",
        },
    )  # fmt: skip


def scored(
    recording: xr.Dataset, *, subject: str = "1", bad: Sequence[str] = (), warn: str = "", seed: int = 0
) -> xr.Dataset:
    """A score over time.

    Source   Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747
    """
    if subject in bad:
        raise ValueError(f"sub-{subject}: events.tsv: 'n/a' is not a number; mend the table")
    if warn:
        warnings.warn(warn, UserWarning, stacklevel=2)
    auc = 0.5 + np.random.default_rng([seed, int(subject)]).random(30) / 9
    stated = {key: FULL[key] for key in ("label", "classes", "presentations", "chance", "estimator", "folds",
                                         "kept_apart", "shared")}  # fmt: skip
    return xr.Dataset(
        {"auc": ("time", auc, {"units": "1"})},
        {"time": np.arange(30) / 100 - 0.1},
        {**stated, "origin": recording.attrs["origin"]},
    )


def group(
    recording: xr.Dataset, *, without: Sequence[str] = (), more: dict[str, str] | None = None
) -> xr.Dataset:
    """The mean over units, and all that a test of it must state."""
    auc = np.asarray(recording["auc"].values)
    kept = {key: recording.attrs[key] for key in ("missing",) if key in recording.attrs}
    stated = {key: value for key, value in FULL.items() if key not in without}
    return xr.Dataset(
        {
            "auc": ("time", auc.mean(0), {"units": "1"}),
            "auc_low": ("time", auc.min(0), {"units": "1"}),
            "p": ("time", np.where(np.arange(30) < 3, np.nan, 1 / 3), {"units": "1"}),
        },
        {"time": np.asarray(recording["time"].values)},
        {**kept, **stated, "origin": recording.attrs["origin"], **(more or {})},
    )


def weighed(result: xr.Dataset, *, sentences: Sequence[str], because: Sequence[str]) -> xr.Dataset:
    """Claims; those without a reason against them are allowed."""
    text = {"units": "1"}
    return xr.Dataset(
        {
            "sentence": ("claim", list(sentences), text),
            "because": ("claim", list(because), text),
            "allowed": ("claim", np.array([not why for why in because], dtype=int), text),
        },
        {"claim": [f"claim {number}" for number in range(len(sentences))]},
        {"origin": result.attrs["origin"]},
    )


def bare(
    *, rows: int = 3, names: Sequence[str] = (), value: float = 1.0, attrs: dict[str, str] | None = None
) -> xr.Dataset:
    """Rows of one value, named as told; it states nothing but what it is told to."""
    labels = [*names, *(f"row {number}" for number in range(rows - len(names)))]
    return xr.Dataset(
        {"level": ("condition", np.full(rows, value), {"units": "1"})},
        {"condition": np.array(labels, dtype=str)},
        dict(attrs or {}),
    )


def square(*, size: int = 40) -> xr.Dataset:
    """A matrix of known values."""
    values = np.arange(float(size * size)).reshape(size, size)
    time = np.arange(size) / 100
    return xr.Dataset(
        {"auc": (("time", "test_time"), values, {"units": "1"})},
        {"time": time, "test_time": time},
        {"chance": 0.5},
    )


def plot(result: xr.Dataset) -> object:
    """The score over time; nothing else can be drawn."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2))
    figure.subplots().plot(result["auc"].values)
    return figure
