"""From one opened recording to labelled epochs, and files whose trials are already cut."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import mne
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import _events, _meg_bids, _meg_files, _meg_signal, _tables
from ._meg_signal import SI, Wanted, quiet

TOLERANCE = 1e-6  # seconds by which a window's end may miss a sample


def open_raw(path: Path, allow_partial: bool) -> mne.io.BaseRaw:
    """Any vendor's continuous recording, not yet in memory."""
    with quiet(path):
        if path.name.lower().endswith((".fif", ".fif.gz")):
            lost = "ignore" if allow_partial else "raise"
            return mne.io.read_raw_fif(path, on_split_missing=lost)
        if path.suffix.lower() in (".con", ".sqd"):
            return mne.io.read_raw_kit(path)
        if path.suffix.lower() in _meg_files.RAW:
            return mne.io.read_raw(path)
        data = _meg_files.bti_data(path) if path.is_dir() else [path]
        if len(data) > 1:
            raise ValueError(f"{path}: holds {', '.join(item.name for item in data)}; give the path of one")
        head = data[0].parent / "hs_file"
        return mne.io.read_raw_bti(data[0], head_shape_fname=head if head.exists() else None)


def from_table(run: _tables.Run) -> tuple[mne.io.BaseRaw, xr.Dataset]:
    """A table's samples as a recording, and its markers as trials."""
    info = mne.create_info(run.names, run.sfreq, run.kinds, verbose="error")
    trials = _trials(run.samples / run.sfreq, run.codes.astype(str), {"value": run.codes})
    trials.attrs |= {"condition_column": "marker", "stimulus_column": "marker"}
    return mne.io.RawArray(run.volts, info, verbose="error"), trials


def describe(raw: mne.io.BaseRaw, table: Path | None, places: dict[str, NDArray[Any]]) -> None:
    """Kinds and bad channels as channels.tsv tells, and electrode positions, set in place."""
    if table is not None:
        kinds, bad = _meg_bids.channels(table)
        absent = [name for name in bad if name not in raw.ch_names]
        if absent:
            text = f"{table}: bad channels {', '.join(absent[:8])} are not in the recording"
            warnings.warn(text, UserWarning, stacklevel=2)
        with quiet(table):
            known = {name: kind for name, kind in kinds.items() if name in raw.ch_names}
            raw.set_channel_types(known, on_unit_change="ignore", verbose="error")
        raw.info["bads"] = [name for name in bad if name in raw.ch_names]
    for item in raw.info["chs"]:
        if item["ch_name"] in places:
            item["loc"][:3] = places[item["ch_name"]]


def trials_of(raw: mne.io.BaseRaw, path: Path, wanted: Wanted) -> xr.Dataset:
    """Trials from the recording itself: the stim channel named, else annotations, else any stim channel."""
    notes = [
        name for name in raw.annotations.description if not re.match(r"(?i)bad|edge|new segment", str(name))
    ]
    if notes and wanted.stim_channel is None:
        with quiet(path):
            samples, codes = mne.events_from_annotations(
                raw, regexp="(?i)^(?!bad|edge|new segment)", verbose="error"
            )
        names = {code: name for name, code in codes.items()}
        kinds = np.array([names[code] for code in samples[:, 2].tolist()], str)
        trials = _trials((samples[:, 0] - raw.first_samp) / raw.info["sfreq"], kinds, {})
        trials.attrs |= {"condition_column": "annotation", "stimulus_column": "annotation"}
        return trials
    stim = [raw.ch_names[i] for i in mne.pick_types(raw.info, meg=False, stim=True, exclude=())]
    if wanted.stim_channel is not None and wanted.stim_channel not in raw.ch_names:
        raise ValueError(
            f"{path}: stim_channel {wanted.stim_channel!r}: not in the recording; it has {', '.join(stim)}"
        )
    found = np.zeros((0, 3), int)
    if stim or wanted.stim_channel:
        with quiet(path):
            found = mne.find_events(raw, wanted.stim_channel, shortest_event=1, verbose="error")
    if not len(found):
        raise ValueError(
            f"{path}: holds no events (no events table, no annotations, no pulse in the stim channels "
            f"{', '.join(stim) or 'none'}); give a task recording, or window: null for the continuous one"
        )
    trials = _trials(
        (found[:, 0] - raw.first_samp) / raw.info["sfreq"], found[:, 2].astype(str), {"value": found[:, 2]}
    )
    trials.attrs |= {"condition_column": "stim channel", "stimulus_column": "stim channel"}
    return trials


def need_no_table(path: Path, wanted: Wanted) -> None:
    """ValueError where a column of an events table is named and trials come from elsewhere."""
    for name in ("condition", "stimulus"):
        if getattr(wanted, name) is not None:
            raise ValueError(
                f"{path}: {name}: names a column, and no events table is read here; leave it out"
            )


def select(trials: xr.Dataset, path: Path, events: Any) -> xr.Dataset:
    """The trials whose condition is listed, or whose code is, which then carry its name."""
    kinds = np.asarray(trials["trial_type"].values, str)
    trials.attrs["n_events"] = len(kinds)
    if events is None:
        return trials
    codes = (
        {str(code): name for name, code in events.items()}
        if isinstance(events, dict)
        else {n: n for n in events}
    )
    found = [_named(kind, codes) for kind in kinds.tolist()]
    for column in ("value", "trigger"):
        if not any(found) and column in trials.coords:
            found = [_named(code, codes) for code in np.asarray(trials[column].values, str).tolist()]
    missing = [name for name in codes.values() if name not in found]
    if missing:
        raise ValueError(
            f"{path}: events: no {', '.join(missing)} among {_events.counts(kinds)}; correct the names"
        )
    kept = [row for row, name in enumerate(found) if name]
    trials = trials.isel(presentation=kept)
    names = np.array([found[row] for row in kept], str)
    if trials.attrs["stimulus_column"] in (
        "annotation",
        "stim channel",
        "marker",
        trials.attrs["condition_column"],
    ):
        trials = trials.assign_coords(stimulus_id=("presentation", names))
    return trials.assign_coords(trial_type=("presentation", names))


def inside(trials: xr.Dataset, path: Path, raw: mne.io.BaseRaw, lost_part: str | None) -> xr.Dataset:
    """The trials that the recording covers: all of them, unless a part of it is lost, which is counted."""
    seconds = raw.n_times / raw.info["sfreq"]
    if lost_part is None:
        if "line" in trials.coords:
            _events.check_within(path, trials, seconds)
        return trials
    kept = np.flatnonzero(trials["onset"].values < seconds)
    trials.attrs["n_lost"] = lost = trials.sizes["presentation"] - len(kept)
    warnings.warn(
        f"{path}: the part {lost_part} is missing: {lost} trials are lost", UserWarning, stacklevel=2
    )
    return trials.isel(presentation=kept)


def cut(
    raw: mne.io.BaseRaw, trials: xr.Dataset | None, path: Path, table: Path, wanted: Wanted
) -> xr.Dataset:
    """Selected trials as a recording, samples prepared first; without trials the whole recording is one."""
    if trials is not None:
        if "line" not in trials.coords:
            need_no_table(path, wanted)
        trials = select(trials, table, wanted.events)
        _check_apart(trials, table, raw.info["sfreq"])
    done = _meg_signal.prepare(raw, path, wanted)
    if trials is None:
        data = raw.get_data()[None, :, :: wanted.decimate]
        trial = _trials(np.zeros(1), np.array(["continuous"]), {})
        return recording(data, raw.times[:: wanted.decimate], raw.info, trial, done)
    part = _epoched(raw, trials, path, wanted)
    part.attrs |= done
    return part


def _epoched(raw: mne.io.BaseRaw, trials: xr.Dataset, path: Path, wanted: Wanted) -> xr.Dataset:
    """Epochs around the trials; every trial that is left out is counted in attrs."""
    shown = np.asarray(trials["onset"].values) + wanted.trigger_delay_s
    samples = np.round(shown * raw.info["sfreq"]).astype(int) + raw.first_samp
    rows = np.stack([samples, np.zeros_like(samples), np.ones_like(samples)], axis=1)
    baseline = None if wanted.baseline is None else tuple(wanted.baseline)
    with quiet(path):
        epochs = mne.Epochs(
            raw, rows, None, *(wanted.window or ()), baseline=baseline, reject=wanted.reject,
            decim=wanted.decimate, proj=False, picks="all", preload=True, verbose="error",
        )  # fmt: skip
    reasons = [log[0] for log in epochs.drop_log if log]
    edge = sum(reason in ("TOO_SHORT", "NO_DATA") for reason in reasons)
    bad = sum(reason.upper().startswith(("BAD", "EDGE")) for reason in reasons)
    if not len(epochs):
        raise ValueError(
            f"{path}: all {len(rows)} trials were left out ({edge} at the edges, {bad} in bad segments, "
            f"{len(reasons) - edge - bad} above {wanted.reject}); correct reject or window"
        )
    kept = trials.isel(presentation=epochs.selection)
    kept = kept.assign_coords(onset=("presentation", shown[epochs.selection], {"units": "s"}))
    done = {
        "n_selected": len(rows), "n_rejected": len(reasons) - edge - bad, "n_bad_segment": bad,
        "n_at_edge": edge,
    }  # fmt: skip
    return recording(epochs.get_data(copy=False), epochs.times, raw.info, kept, trials.attrs | done)


def recording(
    data: NDArray[Any], time: NDArray[Any], info: mne.Info, trials: xr.Dataset, attrs: dict[Any, Any]
) -> xr.Dataset:
    """Samples with the sensors of `info` and the labels of `trials`."""
    kinds = info.get_channel_types()
    units = [SI.get(kind, "1") for kind in kinds]
    loc = np.array([item["loc"][:3] for item in info["chs"]], float)
    loc[~np.isfinite(loc).all(axis=1) | (loc == 0).all(axis=1)] = np.nan
    coordinates: dict[str, Any] = {
        "time": ("time", np.asarray(time, float), {"units": "s"}),
        "neuroid_id": ("neuroid", np.array(info["ch_names"], str)),
        "kind": ("neuroid", np.array(kinds, str)),
        "si_unit": ("neuroid", np.array(units, str)),
    }
    for axis, values in zip("xyz", loc.T, strict=True):
        coordinates[f"position_{axis}"] = ("neuroid", values, {"units": "m"})
    response = (
        ("presentation", "neuroid", "time"),
        data,
        {"units": units[0] if len(set(units)) == 1 else "SI by kind"},
    )
    labels = {str(name): item.variable for name, item in trials.coords.items()}
    return xr.Dataset({"response": response}, coordinates | labels, attrs)


def read_cut(path: Path, kind: str, wanted: Wanted) -> xr.Dataset:
    """Epochs one presentation each, or averages one a condition; time is moved by the trigger delay.

    ValueError where a filter, resampling or a window beyond the file is asked for: those need the recording
    itself.
    """
    for name in ("l_freq", "h_freq", "resample_hz", "stim_channel"):
        if getattr(wanted, name) is not None:
            raise ValueError(
                f"{path}: {name}: is for continuous recordings and these are {kind}; leave it out"
            )
    need_no_table(path, wanted)
    if wanted.project:
        raise ValueError(f"{path}: project: is for continuous recordings and these are {kind}; leave it out")
    with quiet(path):
        info, time, data, trials = _epochs(path) if kind == "epochs" else _averages(path)
    trials = select(trials.assign_coords(row=("presentation", np.arange(len(data)))), path, wanted.events)
    names, bad = _meg_signal.picks(info, path, wanted)
    time = time - wanted.trigger_delay_s
    inside = _within(path, time, wanted.window)
    data = data[trials["row"].values][:, [info.ch_names.index(name) for name in names]]
    info = mne.pick_info(info, [info.ch_names.index(name) for name in names], verbose="error")
    flat_file = data.transpose(1, 0, 2).reshape(len(names), -1)
    done = _meg_signal.look(flat_file, info, path, wanted.check_units)
    data, time = data[:, :, inside], time[inside]
    if wanted.baseline is not None:
        data = data - data[:, :, _between(time, wanted.baseline)].mean(axis=2, keepdims=True)
    kept = _quiet_trials(data, info.get_channel_types(), wanted.reject or {})
    if not kept.any():
        raise ValueError(f"{path}: all {len(kept)} trials were above {wanted.reject}; correct reject")
    rate = _meg_signal.rate_after(path, info, wanted.decimate)
    start = int(np.argmin(np.abs(time))) % wanted.decimate
    done |= {
        "filter": f"none here; the file says {info['highpass']:g}-{info['lowpass']:g} Hz",
        "sampling_rate_hz": rate,
        "recorded_hz": float(info["sfreq"]), "bad_channels": ", ".join(bad) or "none",
        "projectors": "as in the file",
        "n_selected": len(kept), "n_rejected": int((~kept).sum()), "origin": "real, raw",
    }  # fmt: skip
    trials = trials.drop_vars("row").isel(presentation=np.flatnonzero(kept))
    every = slice(start, None, wanted.decimate)
    return recording(data[kept][:, :, every], time[every], info, trials, trials.attrs | done)


def _check_apart(trials: xr.Dataset, path: Path, sfreq: float) -> None:
    onset = np.asarray(trials["onset"].values)
    same = np.flatnonzero(np.diff(np.round(onset * sfreq)) == 0)
    if same.size:
        pair = " and ".join(trials["trial_type"].values[same[0] : same[0] + 2].tolist())
        raise ValueError(f"{path}: {onset[same[0]]:g} s: {pair} share a sample; name events to keep one")


def _trials(onset: NDArray[Any], kinds: NDArray[Any], more: dict[str, NDArray[Any]]) -> xr.Dataset:
    columns = {"onset": onset, "trial_type": kinds, "stimulus_id": kinds, **more}
    return xr.Dataset(coords={name: ("presentation", values) for name, values in columns.items()})


def _named(kind: str, codes: dict[str, str]) -> str | None:
    """`Stimulus/S  5` of BrainVision is code 5 too."""
    number = re.fullmatch(r"(?:Stimulus/|Response/)?[SR]?\s*(\d+)", kind)
    return codes.get(kind) or (codes.get(number[1]) if number else None)


def _epochs(path: Path) -> tuple[mne.Info, NDArray[Any], NDArray[Any], xr.Dataset]:
    epochs = mne.read_epochs(path, proj=False, preload=True, verbose="error")
    names = {code: name for name, code in epochs.event_id.items()}
    kinds = np.array([names[code] for code in epochs.events[:, 2].tolist()], str)
    columns: dict[str, Any] = {"trial_type": kinds, "stimulus_id": kinds}
    if epochs.metadata is not None:
        table = {_events.safe(str(name)): np.asarray(epochs.metadata[name]) for name in epochs.metadata}
        columns |= {
            name: cells.astype(str) if cells.dtype.kind == "O" else cells for name, cells in table.items()
        }
        same = next((name for name in _events.STIMULUS if name in columns and name in table), "trial_type")
        columns["stimulus_id"] = columns[same].astype(str)
    trials = xr.Dataset(coords={name: ("presentation", cells) for name, cells in columns.items()})
    trials.attrs |= {"condition_column": "event names", "stimulus_column": "event names"}
    return epochs.info, epochs.times, epochs.get_data(copy=False), trials


def _averages(path: Path) -> tuple[mne.Info, NDArray[Any], NDArray[Any], xr.Dataset]:
    found = mne.read_evokeds(path, proj=False, verbose="error")
    averages = [item for item in found if item.kind == "average"]
    if not averages:
        raise ValueError(f"{path}: holds standard errors and no averages; give the averages")
    first = averages[0]
    for item in averages:
        if item.ch_names != first.ch_names or not np.array_equal(item.times, first.times):
            raise ValueError(
                f"{path}: {item.comment!r} and {first.comment!r} differ in sensors or times; split the file"
            )
    names = np.array([item.comment for item in averages], str)
    columns = {
        "trial_type": names,
        "stimulus_id": names,
        "n_averaged": np.array([item.nave for item in averages]),
    }
    trials = xr.Dataset(coords={name: ("presentation", cells) for name, cells in columns.items()})
    trials.attrs |= {
        "condition_column": "comment of the average",
        "stimulus_column": "comment of the average",
    }
    return first.info, first.times, np.stack([item.data for item in averages]), trials


def _within(path: Path, time: NDArray[Any], window: list[float] | None) -> NDArray[np.bool_]:
    if window is None:
        return np.ones(len(time), bool)
    half = (time[1] - time[0]) / 2
    if window[0] < time[0] - half or window[1] > time[-1] + half:
        raise ValueError(
            f"{path}: window: {window}: is not inside the file, which has {time[0]:.4g} to {time[-1]:.4g} s; "
            "give a window inside, or null for all"
        )
    return (time >= window[0] - half) & (time <= window[1] + half)


def _between(time: NDArray[Any], ends: list[float | None]) -> NDArray[np.bool_]:
    start, stop = (time[0] if ends[0] is None else ends[0]), (time[-1] if ends[1] is None else ends[1])
    return (time >= start - TOLERANCE) & (time <= stop + TOLERANCE)


def _quiet_trials(data: NDArray[Any], kinds: list[str], reject: dict[str, float]) -> NDArray[np.bool_]:
    kept = np.ones(len(data), bool)
    for kind, size in reject.items():
        at = [i for i, item in enumerate(kinds) if item == kind]
        kept &= (np.ptp(data[:, at], axis=2) <= size).all(axis=1)
    return kept
