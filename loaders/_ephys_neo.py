"""Spikes and events by neo: NIX with its labels, and the vendors' files without their signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import neo
import numpy as np
from neo import rawio
from numpy.typing import NDArray

from loaders._ephys_session import Session, check_trials, ids, labels
from loaders.schema import nearest

VENDORS = {"plexon": "PlexonRawIO", "blackrock": "BlackrockRawIO", "neuralynx": "NeuralynxRawIO"}
ALONE: dict[str, dict[str, Any]] = {
    "blackrock": {"nsx_to_load": []}
}  # signals beside the spikes are not opened
NAMES = ("unit_name", "neuroid_id")


def nix(path: str, table: str, stimulus: str, align: str) -> Session:
    """The one session of a NIX file that neo wrote: spike trains, and labels in an Epoch or Event."""
    try:
        with neo.io.NixIO(path, mode="ro") as reader:
            blocks = reader.read_all_blocks()
    except ValueError as error:
        raise ValueError(f"{path}: neo cannot read it: {' '.join(str(error).split())[:200]}") from None
    segments = [segment for block in blocks for segment in block.segments]
    if len(segments) != 1:
        raise ValueError(f"{path}: has {len(segments)} segments; one segment a recording is wanted")
    segment, block = segments[0], blocks[0]
    trains = [_seconds(train.times) for train in segment.spiketrains]
    day = str(block.annotations.get("recording", Path(path).stem))
    neuroid = _neuroid([train.annotations | {"name": train.name} for train in segment.spiketrains], day)
    events = {str(item.name): item for item in (*segment.epochs, *segment.events)}
    trials = _trials(path, events, table, stimulus, align)
    told = f"{block.annotations.get('origin', '')} {block.description or ''}"
    extent = None
    if trains:
        extent = (min(float(train.t_start.rescale("s")) for train in segment.spiketrains),
                  max(float(train.t_stop.rescale("s")) for train in segment.spiketrains))  # fmt: skip
    times = {name: (_seconds(item.times), np.asarray(item.labels, str)) for name, item in events.items()}
    return Session(
        path, trains, neuroid, trials, times, extent, "simulated" if "simulated" in told else "real, raw"
    )


def vendor(path: str, kind: str) -> Session:
    """Spikes and event channels of a vendor's file; segments of one clock are joined."""
    folder = Path(path).is_dir()
    maker = getattr(rawio, VENDORS[kind])
    reader = maker(dirname=path) if folder else maker(filename=path, **ALONE.get(kind, {}))
    reader.parse_header()
    channels = reader.header["spike_channels"]
    if not len(channels):
        held = ", ".join(map(str, reader.header["signal_streams"]["name"])) or "nothing else"
        raise ValueError(f"{path}: has no spike train; it holds {held}; sort its spikes first")
    segments = range(reader.segment_count(0))
    limits = [(reader.segment_t_start(0, k), reader.segment_t_stop(0, k)) for k in segments]
    trains = [np.concatenate([_spikes(reader, k, unit) for k in segments]) for unit in range(len(channels))]
    names = [str(row["id"] if str(row["id"]).startswith("ch") else row["name"]) for row in channels]
    parts = [name.removeprefix("ch").split("#") for name in names]
    neuroid = {
        "neuroid_id": np.array(names, str),
        "region": np.full(len(names), "unknown"),
        "recording": np.full(len(names), Path(path).stem),
        "electrode": np.array([part[0] for part in parts], str),
        "unit": np.array([part[-1] for part in parts], str),
    }
    events: dict[str, tuple[NDArray[np.float64], NDArray[np.str_]]] = {}
    for index, name in enumerate(reader.header["event_channels"]["name"]):
        channel = str(name).split(" event_id=")[0]  # Neuralynx has one for each value of its port
        before, known = events.get(channel, (np.empty(0), np.empty(0, str)))
        times, words = _events(reader, segments, index)
        order = np.append(before, times).argsort(kind="stable")
        events[channel] = np.append(before, times)[order], np.append(known, words)[order]
    extent = float(min(start for start, _ in limits)), float(max(stop for _, stop in limits))
    return Session(path, trains, neuroid, {}, {k: v for k, v in events.items() if len(v[0])}, extent)


def _spikes(reader: Any, segment: int, unit: int) -> NDArray[np.float64]:
    stamps = reader.get_spike_timestamps(block_index=0, seg_index=segment, spike_channel_index=unit)
    return np.asarray(reader.rescale_spike_timestamp(stamps, dtype="float64"))


def _events(reader: Any, segments: range, index: int) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    times, told = [np.empty(0)], [np.empty(0, str)]
    for segment in segments:
        stamps, _, words = reader.get_event_timestamps(0, segment, index)
        times.append(
            np.asarray(reader.rescale_event_timestamp(stamps, dtype="float64", event_channel_index=index))
        )
        told.append(np.asarray(words, str))
    return np.concatenate(times), np.concatenate(told)


def _neuroid(told: list[dict[str, Any]], day: str) -> dict[str, NDArray[Any]]:
    name = next((key for key in (*NAMES, "name", "id") if told and all(row.get(key) for row in told)), None)
    found = {
        "neuroid_id": ids(np.array([row[name] if name else k for k, row in enumerate(told)]), "units"),
        "region": np.array([str(row.get("region", "unknown")) for row in told], str),
        "recording": np.array([str(row.get("recording", day)) for row in told], str),
    }
    shared = set.intersection(*(set(row) for row in told)) if told else set()
    others = {key: np.array([row[key] for row in told]) for key in shared - {*NAMES, "name", "nix_name"}}
    return found | labels({key: others[key] for key in sorted(others) if others[key].dtype.kind in "SUOifb"})


def _trials(
    path: str, events: dict[str, Any], table: str, stimulus: str, align: str
) -> dict[str, NDArray[Any]]:
    known = [name for name in (table, "presentations", "trials") if name in events]
    if not known:
        if table != "trials":
            raise ValueError(f"{path}: {table}: no epoch or event of this name; {nearest(table, events)}")
        return {}
    item = events[known[0]]
    onset, where = _seconds(item.times), f"{path}: {known[0]}"
    others = {name: np.asarray(values) for name, values in item.array_annotations.items()}
    if isinstance(item, neo.Epoch):
        check_trials(where, onset, onset + _seconds(item.durations))
    if stimulus == "stimulus_id" and stimulus not in others:
        others[stimulus] = np.asarray(item.labels, str)
    for wanted in (stimulus, *([align] if align != "start_time" else [])):
        if wanted not in others:
            raise ValueError(f"{where}: {wanted}: missing; {nearest(wanted, others)}")
    if align != "start_time":
        onset = np.asarray(others.pop(align), float)
    return {"stimulus_id": ids(others.pop(stimulus), f"{where}: {stimulus}"), "onset": onset} | labels(others)


def _seconds(times: Any) -> NDArray[np.float64]:
    return np.array(times.rescale("s").magnitude, np.float64)
