"""A BIDS tree, read only: which runs a subject has, and the tables that stand beside them.

The tree is read here and not through mne-bids, because `read_raw_bids` locks a file beside every side-car
where filelock is installed, and picks silently where several files fit.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import _events
from ._meg_files import bti_data

DATATYPES = ("meg", "eeg", "ieeg")
SUFFIXES = (".fif", ".fif.gz", ".ds", ".con", ".sqd", ".set", ".edf", ".bdf", ".vhdr", ".mff", "")
EMPTY = "sub-emptyroom"
NOT_DATA = ("crosstalk", "calibration")
KINDS = {  # BIDS channel types of which a vendor's file may know less
    "EEG": "eeg", "EOG": "eog", "VEOG": "eog", "HEOG": "eog", "ECG": "ecg", "EMG": "emg", "SEEG": "seeg",
    "ECOG": "ecog", "DBS": "dbs", "TRIG": "stim", "MISC": "misc", "RESP": "resp", "GSR": "gsr", "REF": "misc",
    "OTHER": "misc", "PUPIL": "misc", "EYEGAZE": "misc", "PPG": "misc", "AUDIO": "misc",
}  # fmt: skip
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}


class Run(NamedTuple):
    """One run of one subject: its recording, its events table, and the entities of its name."""

    path: Path
    events: Path | None
    entities: dict[str, str]


def root_of(path: Path) -> Path:
    """The folder that holds dataset_description.json, upward; else the one that holds sub-*."""
    for folder in (path, *path.parents):
        if (folder / "dataset_description.json").exists():
            return folder
    inside = [folder for folder in (path, *path.parents) if folder.name.startswith("sub-")]
    return inside[-1].parent if inside else path


def entities(path: Path) -> dict[str, str]:
    """Keys and values of a BIDS name.

    >>> entities(Path("sub-01_task-faces_run-02_meg.fif"))
    {'sub': '01', 'task': 'faces', 'run': '02'}
    """
    parts = path.name.split(".")[0].split("_")
    return dict(part.split("-", 1) for part in parts if "-" in part)


def runs(path: Path, events_only: bool = False, **wanted: str | None) -> list[Run]:
    """The runs of one subject, in order; ValueError lists candidates where the path leaves a choice.

    Reads    path, a root, a subject's or a session's folder; wanted, values of `sub`, `ses`, `task`
    """
    root = root_of(path)
    inside = path.absolute().relative_to(root.absolute()).parts
    fixed = {part[:3]: part[4:] for part in inside if re.match(r"(sub|ses)-", part)}
    wanted = {key: value or fixed.get(key) for key, value in {"sub": None, "ses": None, **wanted}.items()}
    subject = _subject(root, wanted["sub"])
    end = "_events.tsv"
    tables = {item for item in _below(subject, wanted["ses"]) if item.name.endswith(end)}
    found = [item for item in _below(subject, wanted["ses"]) if is_recording(item)]
    if events_only or not found:
        stems = sorted(item.with_name(item.name.removesuffix(end)) for item in tables)
        if not stems:
            raise ValueError(f"{subject}: holds neither a recording nor an events table; fetch the content")
        if not events_only:
            missing = f"{stems[0].name}_{stems[0].parent.name}.*"
            raise ValueError(
                f"{stems[0].parent / missing}: content missing: {len(stems)} events tables and no recording; "
                f"run 'datalad get {subject}'"
            )
        found = stems
    chosen = [Run(item, table_of(item, root), entities(item)) for item in _first_parts(found)]
    for key in ("ses", "task"):
        chosen = _narrow(path, chosen, key, wanted.get(key))
    return sorted(_distinct(path, chosen), key=lambda run: _order(run.entities.get("run", "1")))


def check_root(path: Path, subject: str) -> None:
    """Warn where the dataset does not describe itself, or its list of participants and its folders differ."""
    root = root_of(path)
    description = root / "dataset_description.json"
    told = _json(description)
    if not told:
        _warn(f"{description}: is missing or not JSON; the tree is read all the same")
    elif not str(told.get("BIDSVersion", "")).startswith("1."):
        _warn(f"{description}: BIDSVersion {told.get('BIDSVersion')!r} is not 1.x; it is read all the same")
    if told.get("DatasetType") == "derivative" and not told.get("GeneratedBy"):
        _warn(f"{description}: a derivative without GeneratedBy; the tree is read all the same")
    table = root / "participants.tsv"
    if not table.is_file():
        return
    rows = {line.split("\t")[0] for line in table.read_text("utf-8-sig", "replace").splitlines()[1:]} - {""}
    rows, here = rows - {EMPTY}, {item.name for item in root.glob("sub-*") if item.is_dir()} - {EMPTY}
    if path.absolute() != root.absolute():  # one subject is asked for: others may be written at this moment
        rows, here = rows & {f"sub-{subject}"}, here & {f"sub-{subject}"}
    for names, what in ((rows - here, "rows without a folder"), (here - rows, "folders without a row")):
        if names:
            _warn(f"{table}: {what}: {', '.join(sorted(names))}")


def origin(path: Path) -> str:
    """What the dataset says of itself: simulated (among its Keywords), denoised (a derivative), or raw."""
    told = _json(root_of(path) / "dataset_description.json")
    if any("simulat" in str(word).lower() for word in told.get("Keywords", [])):
        return "simulated"
    return "real, denoised" if told.get("DatasetType") == "derivative" else "real, raw"


def sidecar(run: Run, suffix: str) -> Path | None:
    """The file that describes a run: nearest upward whose entities are all the run's, longest name first."""
    root = root_of(run.path)
    for folder in (run.path.parent, *run.path.parent.parents):
        fits = [
            item
            for item in folder.glob(f"*_{suffix}")
            if {k: v for k, v in entities(item).items() if k != "space"}.items() <= run.entities.items()
        ]
        if fits:
            return max(fits, key=lambda item: len(entities(item)))
        if folder == root:
            return None
    return None


def channels(path: Path) -> tuple[dict[str, str], list[str]]:
    """Kinds by name, and bad channels, as a channels.tsv tells; MEG kinds stay the recording's own."""
    header, rows = cells(path)
    if "name" not in header:
        raise ValueError(f"{path}:1: no column 'name' among {', '.join(header)}; name the channels")
    column = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    twice = sorted({name for name in column["name"] if column["name"].count(name) > 1})
    if twice:
        raise ValueError(f"{path}: {', '.join(twice)} stand more than once; make each name unique")
    types = column.get("type", [""] * len(rows))
    kinds = {
        name: KINDS[kind.upper()]
        for name, kind in zip(column["name"], types, strict=True)
        if kind.upper() in KINDS
    }
    status = column.get("status", [""] * len(rows))
    return kinds, [name for name, word in zip(column["name"], status, strict=True) if word.lower() == "bad"]


def electrodes(run: Run) -> tuple[list[Path], dict[str, np.ndarray]]:
    """The files read, and positions in metres by name, as electrodes.tsv and coordsystem.json tell them."""
    table, system = sidecar(run, "electrodes.tsv"), sidecar(run, "coordsystem.json")
    if table is None or system is None:
        return [], {}
    told = _json(system)
    unit = next(
        (METRES[str(v)] for k, v in told.items() if k.endswith("CoordinateUnits") and v in METRES), None
    )
    header, rows = cells(table)
    if unit is None or not {"name", "x", "y", "z"} <= set(header):
        return [], {}
    at = [header.index(name) for name in ("x", "y", "z")]
    names = [row[header.index("name")] for row in rows]
    places = [np.asarray(_events.typed([row[i] for i in at])) for row in rows]
    fine = {name: place * unit for name, place in zip(names, places, strict=True) if place.dtype.kind in "if"}
    return [table, system], fine


def cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a side-car table; ValueError names the line that does not fit."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8; save as UTF-8") from None
    rows = [line.split("\t") for line in lines if line.strip()]
    if not rows:
        raise ValueError(f"{path}: is empty; write the table or take the file away")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{path}:{number}: has {len(row)} cells and the header {len(rows[0])}; one tab between"
            )
    return rows[0], rows[1:]


def _subject(root: Path, wanted: str | None) -> Path:
    folders = sorted(item for item in root.glob("sub-*") if item.is_dir() and item.name != EMPTY)
    names = ", ".join(item.name for item in folders[:12]) or "none"
    if wanted is None and len(folders) != 1:
        raise ValueError(f"{root}: holds {len(folders)} subjects ({names}); give the path of one, or subject")
    if wanted is None:
        return folders[0]
    same = [item for item in folders if _order(item.name[4:]) == _order(wanted)]
    if len(same) > 1:
        raise ValueError(
            f"{root}: {', '.join(item.name for item in same)} are one number twice; keep or rename one"
        )
    if (root / f"sub-{wanted}").is_dir():
        return root / f"sub-{wanted}"
    raise ValueError(
        f"{root}: no subject {wanted!r}; candidates are {', '.join(i.name for i in same) or names}"
    )


def _order(value: str) -> tuple[int, str]:
    return (int(value), "") if value.isdigit() else (-1, value)


def _below(subject: Path, session: str | None) -> list[Path]:
    places = [subject / f"ses-{session}"] if session else [subject, *sorted(subject.glob("ses-*"))]
    folders = [place / name for place in places for name in DATATYPES]
    return [item for folder in folders if folder.is_dir() for item in sorted(folder.iterdir())]


def is_recording(item: Path) -> bool:
    stem, _, extension = item.name.partition(".")
    if not stem.endswith(tuple(f"_{name}" for name in DATATYPES)) or entities(item).get("acq") in NOT_DATA:
        return False
    if not extension:
        return item.is_dir() and bool(bti_data(item))
    return f".{extension}" in SUFFIXES


def table_of(item: Path, root: Path) -> Path:
    named = [part for part in item.name.split(".")[0].split("_") if not part.startswith("split-")]
    if named[-1] in DATATYPES:
        named = named[:-1]
    own = item.with_name("_".join([*named, "events.tsv"]))
    if own.exists() or own.is_symlink():
        return own
    return sidecar(Run(item, own, entities(item)), "events.tsv") or own


def _first_parts(found: list[Path]) -> list[Path]:
    """Recordings without the later parts of split ones, which the first part names."""
    groups: dict[str, list[Path]] = {}
    for item in found:
        groups.setdefault(re.sub(r"_split-[^_]+", "", str(item)), []).append(item)
    result = []
    for items in groups.values():
        numbers = [_order(entities(item).get("split", "1"))[0] for item in items]
        if min(numbers) != 1:
            raise ValueError(f"{items[0]}: the part split-01 is missing or was renamed; fetch it")
        result.append(items[numbers.index(1)])
    return result


def _narrow(path: Path, found: list[Run], key: str, wanted: str | None) -> list[Run]:
    values = sorted({run.entities.get(key, "none") for run in found})
    if wanted is not None:
        kept = [run for run in found if run.entities.get(key) == wanted]
        if not kept:
            raise ValueError(f"{path}: no {key}-{wanted}; candidates are {', '.join(values)}")
        return kept
    if len(values) > 1:
        word = {"ses": "session", "task": "task"}[key]
        raise ValueError(f"{path}: holds {key} {', '.join(values)}; give {word}, none is picked")
    return found


def _distinct(path: Path, found: Sequence[Run]) -> Sequence[Run]:
    seen: dict[tuple[int, str], Run] = {}
    for run in found:
        key = _order(run.entities.get("run", "1"))
        if key in seen:
            raise ValueError(
                f"{path}: {seen[key].path.name} and {run.path.name} are one run; keep one, none is picked"
            )
        seen[key] = run
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=3)
