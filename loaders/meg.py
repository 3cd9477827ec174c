"""Recordings of MEG and EEG, from any vendor's files or a BIDS tree, as labelled epochs.

One loader: the path says what it is (a fif, CTF, KIT, BTi, EEGLAB, EDF or BrainVision recording, epochs or
averages, a folder of muse-lsl tables, a BIDS subject). What is not a recording is refused by what it is.
Files are parsed in a limited child process, nothing is written beside them, and every trial and channel that
is left out is counted.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from . import _child, _digests, _events, _meg_bids, _meg_files, _tables, schema

if TYPE_CHECKING:
    from ._meg_signal import Wanted

KINDS = ("mag", "grad", "eeg", "seeg", "ecog", "dbs", "ref_meg", "eog", "ecg", "emg", "resp", "misc", "stim")
PRELOAD = ("loaders._meg_raw", "mne.io.fiff.raw", "mne.epochs", "mne.filter")
FILTERS = ("zero-phase", "causal")
PER_RUN = ("n_events", "n_selected", "n_rejected", "n_bad_segment", "n_at_edge", "n_lost")


def epochs(
    path: str | Path,
    *,
    trigger_delay_s: float,
    window: Sequence[float] | None = (-0.2, 0.6),
    events: Sequence[str] | Mapping[str, int | str] | None = None,
    condition: str | None = None,
    stimulus: str | None = None,
    stim_channel: str | None = None,
    kinds: Sequence[str] | None = None,
    l_freq: float | None = None,
    h_freq: float | None = None,
    filter: str = "zero-phase",
    resample_hz: float | None = None,
    decimate: int = 1,
    baseline: Sequence[float | None] | None = None,
    reject: Mapping[str, float] | None = None,
    project: bool = False,
    subject: str | None = None,
    session: str | None = None,
    task: str | None = None,
    allow_partial: bool = False,
    check_units: bool = True,
    manifest: xr.Dataset | None = None,
) -> xr.Dataset:
    """A recording of MEG or EEG around the events of its trials, all runs of one subject joined.

    Reads    path, a recording of any vendor, epochs or averages in fif, a folder of muse-lsl tables, or a
             BIDS subject, session or root of one subject. trigger_delay_s is added to trigger times: state
             it, also if 0. events, names to keep, or name: code. Trials come from events.tsv (in BIDS),
             annotations or stim_channel
    Returns  response (presentation, neuroid, time), float64 in SI units, both ends of window included (None:
             the whole recording); trial_type, stimulus_id, repetition, run, subject, onset, every column of
             the events table; kind, si_unit, position_x/_y/_z of each sensor. Rejected and lost trials,
             filter and flaws stand in attrs. ValueError names the file, the line or channel, and what to do

    The condition (`trial_type`) is the events column named `condition`, else the first of trial_type,
    stim_type, event_type and value that tells two kinds apart; `stimulus` likewise (stimulus_id, stim_file,
    stim_id, stimulus). Steps in order: bad channels out, filter (zero-phase FIR, or causal Butterworth),
    resample, epochs, baseline, peak-to-peak rejection by kind in SI units, decimation (refused where it would
    alias). Four bytes a sample would do for most sensors; eight are kept so that decoders agree to the last
    digits: 600 trials x 306 sensors x 200 times take 294 MB, and twice that while runs are joined.
    >>> epochs("sub-01_task-faces_meg.fif", trigger_delay_s=0, window=(0.5, 0.1))
    Traceback (most recent call last):
    ...
    ValueError: window: [0.5, 0.1]: must begin before it ends; give two times in seconds
    """
    options = {
        "trigger_delay_s": float(trigger_delay_s), "window": None if window is None else list(window),
        "events": dict(events) if isinstance(events, Mapping) else None if events is None else list(events),
        "condition": condition, "stimulus": stimulus, "stim_channel": stim_channel,
        "kinds": None if kinds is None else list(kinds), "l_freq": l_freq, "h_freq": h_freq, "filter": filter,
        "resample_hz": resample_hz, "decimate": decimate,
        "baseline": None if baseline is None else list(baseline),
        "reject": None if reject is None else dict(reject), "project": project, "subject": subject,
        "session": session, "task": task, "allow_partial": allow_partial, "check_units": check_units,
        "manifest": _names_and_digests(manifest),
    }  # fmt: skip
    _check(options)
    dataset = _child.call(_read, path, **options)
    if manifest is not None and "origin" in manifest.attrs:
        dataset.attrs["origin"] = manifest.attrs["origin"]
    return schema.check(dataset)


def events(path: str | Path, *, condition: str | None = None, stimulus: str | None = None) -> xr.Dataset:
    """The trials of a BIDS subject, or of one events.tsv, without any signal.

    Reads    path, an events.tsv, or a BIDS subject, session or root of one subject
    Returns  one presentation a row: onset as written, trial_type, stimulus_id, repetition, run, subject and
             every column; ValueError names the line that is wrong
    """
    path = Path(path)
    _meg_files.present(path)
    if path.is_file():
        tables = [_meg_bids.Run(path, path, _meg_bids.entities(path))]
    else:
        tables = _meg_bids.runs(path, events_only=True)
    parts = []
    for run in tables:
        file = run.events or run.path
        table = _events.table(file, condition, stimulus)
        _events.check_units(file, table)
        parts.append(_labelled(table, run.entities))
    joined = xr.Dataset(coords=_stacked(parts), attrs=_shared(parts))
    return schema.check(_counted(joined.drop_vars("line")))


def adjacency(recording: xr.Dataset) -> xr.Dataset:
    """Which sensors are neighbours, within their kind: for clusters over sensors and times.

    Reads    neuroid_id, kind (mag, grad, eeg; others get no neighbours), position_x/_y/_z of each sensor
    Returns  adjacent (neuroid, other_neuroid): as MNE's list for the vendor's array where the names and most
             sensors are there, else MNE's triangles between positions; ValueError names a sensor without one
    Source   Maris and Oostenveld 2007, doi 10.1016/j.jneumeth.2007.03.024 (clusters over sensors)
    """
    from . import _meg_adjacency

    return _meg_adjacency.adjacency(recording)


def _check(options: dict[str, Any]) -> None:
    window, baseline = options["window"], options["baseline"]
    if not math.isfinite(options["trigger_delay_s"]):
        raise ValueError(f"trigger_delay_s: {options['trigger_delay_s']}: is not a time; give seconds")
    if window is not None and not (len(window) == 2 and window[0] < window[1]):
        raise ValueError(f"window: {window}: must begin before it ends; give two times in seconds")
    if options["filter"] not in FILTERS:
        raise ValueError(
            f"filter: {options['filter']!r}: unknown; {schema.nearest(options['filter'], FILTERS)}"
        )
    for kind in [*(options["kinds"] or []), *(options["reject"] or {})]:
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}: unknown; {schema.nearest(kind, KINDS)}")
    for kind in options["reject"] or {}:
        if options["kinds"] is not None and kind not in options["kinds"]:
            raise ValueError(f"reject: {kind!r}: is not among the kinds {options['kinds']}; add it to kinds")
    if type(options["decimate"]) is not int or options["decimate"] < 1:
        raise ValueError(
            f"decimate: {options['decimate']!r}: is not a whole number of samples; give 1 or more"
        )
    for name in ("l_freq", "h_freq", "resample_hz"):
        if options[name] is not None and not options[name] > 0:
            raise ValueError(f"{name}: {options[name]}: must be above 0; give hertz, or null for none")
    if None not in (options["l_freq"], options["h_freq"]) and options["l_freq"] >= options["h_freq"]:
        raise ValueError(f"l_freq: {options['l_freq']}: must be below h_freq {options['h_freq']}; lower it")
    if baseline is not None and window is not None:
        start, stop = (window[i] if end is None else end for i, end in enumerate(baseline))
        if not window[0] <= start < stop <= window[1]:
            raise ValueError(
                f"baseline: {baseline}: does not lie inside the window {window}; give two times in it"
            )


def _names_and_digests(manifest: xr.Dataset | None) -> dict[str, str] | None:
    if manifest is None:
        return None
    missing = [name for name in ("name", "sha256") if name not in manifest.coords]
    if missing:
        raise ValueError(f"manifest: has no coordinate {', '.join(missing)}; give a Dataset of files")
    names, digests = (np.asarray(manifest[name].values, str).tolist() for name in ("name", "sha256"))
    return dict(zip(names, digests, strict=True))


def _read(path: str, **options: Any) -> xr.Dataset:
    from . import _meg_raw
    from ._meg_signal import Wanted

    wanted, here = Wanted(**options), Path(path)
    _meg_files.present(here)
    _digests.verify([here] if here.is_file() else [], wanted.manifest)
    kind = _meg_files.kind(here)
    if kind in ("epochs", "evoked"):
        files, _ = _meg_files.whole(here)
        ways = {_digests.verify(files, wanted.manifest)}
        part = _meg_raw.read_cut(here, kind, wanted)
        parts = [_labelled(part, {"sub": wanted.subject} if wanted.subject else {})]
    else:
        runs = _runs(here, kind, wanted)
        read = [(_read_table if kind == "tables" else _read_run)(run, wanted) for run in runs]
        parts, files = [part for part, _, _ in read], [item for _, items, _ in read for item in items]
        ways = {way for _, _, way in read}
    verified = ways.pop() if len(ways) == 1 else "unverified"
    base = _meg_bids.root_of(here) if kind == "bids" else here if here.is_dir() else here.parent
    joined = _events.one_id_an_image(here, _join(here, parts))
    return _finish(joined, base, files, verified, wanted)


def _runs(path: Path, kind: str, wanted: Wanted) -> list[_meg_bids.Run]:
    told = {"sub": wanted.subject} if wanted.subject else {}
    if kind == "tables":
        tables = enumerate(_tables.files(path), 1)
        runs = [_meg_bids.Run(item, None, told | {"run": str(number)}) for number, item in tables]
    elif kind == "bids":
        runs = _meg_bids.runs(path, sub=wanted.subject, ses=wanted.session, task=wanted.task)
        _meg_bids.check_root(path, runs[0].entities.get("sub", ""))
    elif path.name.startswith("sub-") and _meg_bids.is_recording(path):
        table = _meg_bids.table_of(path, _meg_bids.root_of(path))
        runs = [_meg_bids.Run(path, table, _meg_bids.entities(path))]
    else:
        runs = [_meg_bids.Run(path, None, told)]
    if wanted.window is None and len(runs) > 1:
        names = ", ".join(run.path.name for run in runs)
        raise ValueError(f"{path}: window null wants one run and here are {names}; give the path of one")
    return runs


def _read_run(run: _meg_bids.Run, wanted: Wanted) -> tuple[xr.Dataset, list[Path], str]:
    from . import _meg_raw

    path, in_bids = run.path, run.events is not None
    _meg_files.present(path)
    _digests.verify([path] if path.is_file() else [], wanted.manifest)
    _meg_files.kind(path)
    files, lost_part = _meg_files.whole(path, wanted.allow_partial)
    channels = _meg_bids.sidecar(run, "channels.tsv") if in_bids else None
    more, places = _meg_bids.electrodes(run) if in_bids else ([], {})
    table = run.events if wanted.stim_channel is None and wanted.window is not None else None
    files = [*files, *(item for item in (channels, table) if item), *more]
    if table and (table.exists() or table.is_symlink()):
        _meg_files.present(table)
    trials = _events.table(table, wanted.condition, wanted.stimulus) if table else None
    verified = _digests.verify(files, wanted.manifest)
    raw = _meg_raw.open_raw(path, wanted.allow_partial)
    _meg_raw.describe(raw, channels, places)
    origin = _origin(run, raw)
    if trials is not None and table:
        _events.check_units(table, trials, raw.info["sfreq"])
        trials = _events.stimuli(table, _meg_bids.root_of(path), trials)
    elif wanted.window is not None:
        trials = _meg_raw.trials_of(raw, path, wanted)
    if lost_part and trials is None:
        text = f"{path}: the part {lost_part} is missing: the recording ends where it would begin"
        warnings.warn(text, UserWarning, stacklevel=2)
    if trials is not None:
        trials = _meg_raw.inside(trials, table or path, raw, lost_part)
    part = _meg_raw.cut(raw, trials, path, table or path, wanted)
    part.attrs["origin"] = origin
    return _labelled(part, run.entities), files, verified


def _read_table(run: _meg_bids.Run, wanted: Wanted) -> tuple[xr.Dataset, list[Path], str]:
    from . import _meg_raw

    verified = _digests.verify([run.path], wanted.manifest)
    table = _tables.read(run.path)
    raw, trials = _meg_raw.from_table(table)
    part = _meg_raw.cut(raw, None if wanted.window is None else trials, run.path, run.path, wanted)
    part.attrs |= {"origin": "real, raw", "timestamp_jitter_s": table.jitter_s}
    return _labelled(part, run.entities), [run.path], verified


def _origin(run: _meg_bids.Run, raw: Any) -> str:
    told = _meg_bids.origin(run.path) if run.events else "real, raw"
    cleaned = bool(raw.info["proc_history"]) or "proc" in run.entities
    return "real, denoised" if told == "real, raw" and cleaned else told


def _labelled(trials: xr.Dataset, entities: Mapping[str, str]) -> xr.Dataset:
    """Trials with the run, subject and session that the file's name gives."""
    n = trials.sizes["presentation"]
    run = entities.get("run", "1")
    labels: dict[str, Any] = {"run": np.full(n, int(run) if run.isdigit() else run)}
    if "sub" in entities:
        labels["subject"] = np.full(n, entities["sub"])
    if "ses" in entities:
        labels["session"] = np.full(n, entities["ses"])
    return trials.assign_coords({name: ("presentation", values) for name, values in labels.items()})


def _counted(dataset: xr.Dataset) -> xr.Dataset:
    """With `repetition`, unless the events table has one, and the counts of the conditions in attrs."""
    if "repetition" not in dataset.coords:
        repetition = _events.repetitions(np.asarray(dataset["stimulus_id"].values, str))
        dataset = dataset.assign_coords(repetition=("presentation", repetition))
    dataset.attrs["condition_counts"] = _events.counts(dataset["trial_type"].values)
    return dataset


def _join(path: Path, parts: list[xr.Dataset]) -> xr.Dataset:
    """Runs one after the other; what differs between them in attrs is summed, joined or the largest kept."""
    first = parts[0]
    if len(parts) == 1:
        return first
    aligned = _aligned(path, parts)
    fixed = {
        str(name): item.variable
        for name, item in aligned[0].coords.items()
        if "presentation" not in item.dims
    }
    data = np.concatenate([part["response"].values for part in aligned])
    response = (first["response"].dims, data, aligned[0]["response"].attrs)
    return xr.Dataset({"response": response}, fixed | _stacked(aligned), _shared(parts))


def _stacked(parts: list[xr.Dataset]) -> dict[str, Any]:
    """The labels of presentations that all runs have, one run after the other."""
    first = {str(name): item for name, item in parts[0].coords.items() if item.dims == ("presentation",)}
    names = [name for name in first if all(name in part.coords for part in parts)]
    some = sorted({str(name) for part in parts for name in part.coords if "presentation" in part[name].dims})
    if len(some) > len(names):
        lost = ", ".join(name for name in some if name not in names)
        warnings.warn(f"columns {lost}: do not stand in every run; left out", UserWarning, stacklevel=2)
    columns = {name: [np.asarray(part[name].values) for part in parts] for name in names}
    return {name: ("presentation", _one_type(cells), first[name].attrs) for name, cells in columns.items()}


def _one_type(cells: list[np.ndarray]) -> np.ndarray:
    if len({item.dtype.kind in "US" for item in cells}) > 1:  # numbers in one run, n/a in another
        cells = [item.astype(str) for item in cells]
    return np.concatenate(cells)


def _shared(parts: list[xr.Dataset]) -> dict[str, Any]:
    """Attrs of all runs: counts summed, the largest of numbers, different words side by side."""
    attrs: dict[str, Any] = {}
    for key in dict.fromkeys(str(name) for part in parts for name in part.attrs):
        values = [part.attrs[key] for part in parts if key in part.attrs]
        if key in PER_RUN:
            attrs[key] = sum(values)
        elif all(value == values[0] for value in values):
            attrs[key] = values[0]
        elif isinstance(values[0], float):
            attrs[key] = max(values)
        else:
            attrs[key] = "; ".join(dict.fromkeys(map(str, values)))
    return attrs


def _aligned(path: Path, parts: list[xr.Dataset]) -> list[xr.Dataset]:
    """Sensors in the first run's order, without those bad in any run; ValueError lists other differences."""
    bad = {name for part in parts for name in str(part.attrs["bad_channels"]).split(", ")}
    lists = [part["neuroid_id"].values.astype(str).tolist() for part in parts]
    rates = [part.attrs["sampling_rate_hz"] for part in parts]
    for number, (here, rate) in enumerate(zip(lists, rates, strict=True), 1):
        if rate != rates[0]:
            raise ValueError(
                f"{path}: run {number}: {rate:g} Hz and the first {rates[0]:g} Hz; give resample_hz"
            )
        odd = sorted(set(here).symmetric_difference(lists[0]) - bad)
        if odd:
            text = ", ".join(odd[:12])
            raise ValueError(
                f"{path}: run {number}: channels differ from the first run's: {text}; mark them bad"
            )
    names = [name for name in lists[0] if name not in bad]
    return [
        part if here == names else part.isel(neuroid=[here.index(name) for name in names])
        for part, here in zip(parts, lists, strict=True)
    ]


def _finish(dataset: xr.Dataset, base: Path, files: list[Path], verified: str, wanted: Wanted) -> xr.Dataset:
    while not all(item.is_relative_to(base) for item in files):
        base = base.parent
    dataset = _counted(dataset.drop_vars("line", errors="ignore"))
    dataset.attrs |= {
        "trigger_delay_s": wanted.trigger_delay_s,
        "baseline": "none" if wanted.baseline is None else f"{wanted.baseline[0]} to {wanted.baseline[1]} s",
        "reject": ", ".join(f"{name} {size:g}" for name, size in (wanted.reject or {}).items()) or "none",
        "position_frame": "mag, grad, ref_meg: device; others: head", "verified": verified,
        "sources": ", ".join(item.relative_to(base).as_posix() for item in dict.fromkeys(files)),
    }  # fmt: skip
    return dataset
