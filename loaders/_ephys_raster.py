"""Raster .mat files of the NeuroDecodeR format: one neuron a file, trials x milliseconds of 0 and 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loaders._ephys_matrix import load_mat
from loaders._ephys_session import Session, ids, labels

NAMES = {"stimulus_ID": "object", "stimulus_position": "position"}  # as the seven-object set calls them
HELD = ("raster_data", "raster_labels", "raster_site_info")
SITE = (
    "session_ID",
    "recording_channel",
    "unit",
    "region",
    "recording",
    "unit_name",
    "alignment_event_time",
    "origin",
)


def session(path: str, stimulus: str, window: tuple[float, float] | None) -> Session:
    """One neuron: its trials laid end to end, far enough apart that no window meets the next trial."""
    file = load_mat(path)
    missing = [name for name in HELD if name not in file]
    if missing:
        held = ", ".join(name for name in file if not name.startswith("__")) or "nothing"
        raise ValueError(f"{path}: holds {held}; spikes are counted from {', '.join(HELD)}, "
                         f"a response matrix is read by response_matrix")  # fmt: skip
    raster, site = np.atleast_2d(np.asarray(file["raster_data"])), file["raster_site_info"]
    _check(path, raster, site)
    start = 1 - int(site["alignment_event_time"])  # milliseconds from the event, which is counted from 1
    extent = start / 1000, (start + raster.shape[1]) / 1000
    if window is None:
        raise ValueError(f"{path}: window: None, but a raster holds trials, not a recording; give one "
                         f"within {extent[0]:g} to {extent[1]:g} s")  # fmt: skip
    if window[0] < extent[0] - 1e-9 or window[1] > extent[1] + 1e-9:
        raise ValueError(f"{path}: window {window[0]:g} to {window[1]:g} s leaves the raster, "
                         f"{extent[0]:g} to {extent[1]:g} s; give a smaller window")  # fmt: skip
    trial, sample = np.nonzero(raster)
    apart = raster.shape[1] + abs(start) + 1000
    number = raster[trial, sample].astype(np.int64)
    nth = np.arange(number.sum()) - (number.cumsum() - number).repeat(
        number
    )  # of one sample, told apart by 1 us
    times = (trial * apart + sample + start).repeat(number) / 1000 + nth * 1e-6
    trials = _labels(path, file["raster_labels"], len(raster), stimulus)
    trials["onset"] = np.arange(len(raster)) * apart / 1000
    neuroid = _neuroid(path, site)
    origin = "simulated" if "simulated" in str(site.get("origin", "")) else "real, raw"
    return Session(
        path, [times], neuroid, trials, origin=origin, extent=(extent[0], len(raster) * apart / 1000)
    )


def _check(path: str, raster: NDArray[Any], site: Any) -> None:
    if not isinstance(site, dict) or "alignment_event_time" not in site:
        raise ValueError(
            f"{path}: raster_site_info.alignment_event_time: missing; say at which sample the event is"
        )
    if raster.dtype.kind not in "fiub" or raster.ndim != 2:
        raise ValueError(
            f"{path}: raster_data: is {raster.ndim}-dimensional {raster.dtype}; trials x ms is wanted"
        )
    bad = np.argwhere(~(raster >= 0) | (raster != np.round(raster)))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"{path}: raster_data trial {row} sample {column} (the first is 0): "
                         f"{raster[row, column]} is not a number of spikes")  # fmt: skip


def _labels(path: str, told: Any, number: int, stimulus: str) -> dict[str, NDArray[Any]]:
    if not isinstance(told, dict) or not told:
        raise ValueError(f"{path}: raster_labels: no label is told, so trials have no stimulus")
    columns = {NAMES.get(str(name), str(name)): np.atleast_1d(values) for name, values in told.items()}
    for name, values in columns.items():
        if values.shape != (number,):
            raise ValueError(f"{path}: raster_labels.{name}: has {len(values)} labels for {number} trials")
    found = labels({name: values for name, values in columns.items() if name != stimulus})
    if stimulus in columns:
        return {"stimulus_id": ids(columns[stimulus], f"{path}: {stimulus}")} | found
    finest = _finest(found)
    return {"stimulus_id": finest} | {n: v for n, v in found.items() if not np.array_equal(ids(v, n), finest)}


def _finest(columns: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The label that tells all combinations of labels apart, or else the combinations themselves."""
    words = np.stack([ids(values, name) for name, values in columns.items()], axis=1)
    number = len(np.unique(words, axis=0))
    for column in words.T:
        if len(np.unique(column)) == number:
            return np.array(column, str)
    return np.array(["_".join(row) for row in words], str)


def _neuroid(path: str, site: dict[str, Any]) -> dict[str, NDArray[Any]]:
    day = str(site.get("recording", site.get("session_ID", "")))
    channel, unit = str(site.get("recording_channel", "")), str(site.get("unit", ""))
    name = str(site.get("unit_name", "")) or (
        f"{day}-{channel}{unit}" if channel or unit else Path(path).stem
    )
    told = {"neuroid_id": name, "region": site.get("region", "unknown"), "recording": day or Path(path).stem}
    told |= {"electrode": channel, "unit": unit}
    told |= {key: value for key, value in site.items() if key not in (*SITE, *told) and np.ndim(value) == 0}
    return {
        key: np.array([value]) if isinstance(value, (int, float)) else np.array([str(value)])
        for key, value in told.items()
    }
