"""Simulated recordings as the files that real ones come in, so that the ordinary loaders are what reads them.

Same recording, same bytes: no clock, no random identifier and no machine's address reaches a file. A file is
replaced whole, and nothing is written over a dataset that was not made here.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import struct
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import schema
from ._sensors import GRADIOMETER, MAGNETOMETER
from ._synthetic_meg import Simulation

MAKER = "neuroloop loaders.synthetic"
TRIGGER = np.array([13, 5])  # unfamiliar, familiar
ID_STRUCT = 31  # type of the fif tags that hold a machine's address

DESCRIPTION = {
    "Name": "Simulated MEG of familiar and unfamiliar faces",
    "BIDSVersion": "1.10.0",
    "DatasetType": "raw",
    "License": "CC0",
    "Authors": ["nobody: simulated data"],
    "Keywords": ["simulated", "MEG", "faces"],
    "GeneratedBy": [{"Name": MAKER, "Description": "simulated; no brain was measured"}],
}
COLUMNS = {
    "trial_type": "familiar or unfamiliar face",
    "value": "trigger on STI101: 5 familiar, 13 unfamiliar",
    "sample": "sample of the trigger, from the start of the file",
    "stimulus_id": "image shown",
    "identity": "person shown",
    "familiar": "1 familiar, 0 unfamiliar",
    "repetition": "how often this image was shown before",
    "luminance": "mean luminance of the image, 0 to 1",
}


def bids(root: Path, made: Simulation, subjects: int, sfreq: float) -> xr.Dataset:
    """One subject's folder of a BIDS dataset, beside root files that are the same for all subjects."""
    refuse_foreign(root / "dataset_description.json", root / f"sub-{made.subject}")
    label = f"sub-{made.subject}"
    folder = root / label / "meg"
    root.mkdir(parents=True, exist_ok=True)
    written = [text(root / name, content) for name, content in _root_files(subjects).items()]
    folder.mkdir(parents=True, exist_ok=True)  # after the description, so that a killed run is known for ours
    written.append(text(folder / f"{label}_coordsystem.json", as_json(_coordsystem())))
    for run, data in enumerate(made.runs, start=1):
        stem = f"{label}_task-faces_run-{run:02d}"
        here = made.table["run"] == run
        rows = {name: values[here] for name, values in made.table.items()}
        written += [
            replace(folder / f"{stem}_meg.fif", partial(_fif, made=made, data=data, rows=rows, sfreq=sfreq)),
            text(folder / f"{stem}_meg.json", as_json(_sidecar(made, sfreq, data.shape[1]))),
            text(folder / f"{stem}_channels.tsv", _channels(made, sfreq)),
            text(folder / f"{stem}_events.tsv", _events(rows)),
        ]
    for stale in set(folder.glob(f"{label}_*")) - set(written):
        stale.unlink()
    return manifest(root, written)


def manifest(root: Path, files: Iterable[Path]) -> xr.Dataset:
    """Name, size and sha256 of each file, by name."""
    files = sorted(files)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    size = np.array([path.stat().st_size for path in files], np.int64)
    names = [path.relative_to(root).as_posix() for path in files]
    return schema.check(
        xr.Dataset(
            {"bytes": ("file", size, {"units": "B"})},
            {"name": ("file", np.array(names, str)), "sha256": ("file", np.array(digests, str))},
            {"origin": "simulated"},
        )
    )


def refuse_foreign(mark: Path, target: Path) -> None:
    """ValueError where `target` or the file that tells its maker stands, and the maker is not this module."""
    told = mark.read_text("utf-8", "replace") if mark.exists() else ""
    if MAKER not in told and (told or target.exists()):
        raise ValueError(f"{target}: stands beside data that were not simulated here; give a path of its own")


def replace(path: Path, write: Callable[[Path], object]) -> Path:
    """The file that `write` makes, in place at once or not at all; drafts of dead processes are swept."""
    stem, tail = path.stem.rsplit("_", 1)[0], path.name.rsplit("_", 1)[-1]
    mine = f".{stem}_{platform.node()}-"
    for draft in path.parent.glob(f"{mine}*_{tail}"):
        if not _alive(int(draft.name.removeprefix(mine).split("_")[0])):
            draft.unlink(missing_ok=True)
    draft = path.with_name(f"{mine}{os.getpid()}_{tail}")
    try:
        write(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def text(path: Path, content: str) -> Path:
    """A text file with the line ends of every system alike; one that holds this already is left alone."""
    if path.is_file() and path.read_bytes() == content.encode():
        return path
    return replace(path, lambda draft: draft.write_bytes(content.encode()))


def as_json(content: dict[str, Any]) -> str:
    """Indented JSON with a last line end."""
    return json.dumps(content, indent=2) + "\n"


def _tsv(columns: dict[str, Iterable[Any]]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join(["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]) + "\n"


def _root_files(subjects: int) -> dict[str, str]:
    return {
        "dataset_description.json": as_json(DESCRIPTION),
        "participants.tsv": _tsv({"participant_id": [f"sub-{k:02d}" for k in range(1, subjects + 1)]}),
        "task-faces_events.json": as_json({name: {"Description": text} for name, text in COLUMNS.items()}),
        "README": "Simulated by loaders.synthetic.write_meg_faces. No brain was measured.\n",
    }


def _coordsystem() -> dict[str, str]:
    return {"MEGCoordinateSystem": "ElektaNeuromag", "MEGCoordinateUnits": "m"}


def _sidecar(made: Simulation, sfreq: float, samples: int) -> dict[str, Any]:
    count = {kind: int((made.kind == kind).sum()) for kind in ("mag", "grad", "eog")}
    return {
        "TaskName": "faces",
        "Manufacturer": "simulated after Elekta/MEGIN Neuromag-306",
        "SamplingFrequency": sfreq,
        "PowerLineFrequency": 50,
        "DewarPosition": "upright",
        "SoftwareFilters": "n/a",
        "DigitizedLandmarks": False,
        "DigitizedHeadPoints": False,
        "RecordingType": "continuous",
        "RecordingDuration": samples / sfreq,
        "MEGChannelCount": count["mag"] + count["grad"],
        "EOGChannelCount": count["eog"],
        "TriggerChannelCount": 1,
    }


def _channels(made: Simulation, sfreq: float) -> str:
    kinds = {
        "mag": ("MEGMAG", "T"),
        "grad": ("MEGGRADPLANAR", "T/m"),
        "eog": ("EOG", "V"),
        "stim": ("TRIG", "V"),
    }
    told = [kinds[kind] for kind in [*made.kind, "stim"]]
    return _tsv(
        {
            "name": [*made.names, "STI101"],
            "type": [kind for kind, _ in told],
            "units": [unit for _, unit in told],
            "sampling_frequency": [sfreq] * len(told),
            "status": [*("bad" if bad else "good" for bad in made.bad), "good"],
        }
    )


def _events(rows: dict[str, NDArray[Any]]) -> str:
    known = {
        "onset": rows["onset"],
        "duration": [0.5] * len(rows["onset"]),
        "value": TRIGGER[rows["familiar"]],
    }
    others = {name: rows[name] for name in COLUMNS if name in rows}
    return _tsv({name: np.asarray(values).tolist() for name, values in (known | others).items()})


def _fif(
    path: Path, made: Simulation, data: NDArray[np.float32], rows: dict[str, NDArray[Any]], sfreq: float
) -> None:
    import mne

    kinds = [*made.kind, "stim"]
    info = mne.create_info([*made.names, "STI101"], sfreq, kinds)
    for channel, kind, loc in zip(info["chs"], kinds, made.sensors.loc, strict=False):
        channel["loc"][:] = loc
        channel["coil_type"] = MAGNETOMETER if kind == "mag" else GRADIOMETER
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head", made.transform)
        info["line_freq"] = 50.0
        info["description"] = "simulated"
    info["bads"] = [name for name, bad in zip(made.names, made.bad, strict=True) if bad]
    trigger = np.zeros((1, data.shape[1]))
    for offset in range(max(round(0.02 * sfreq), 1)):
        trigger[0, rows["sample"] + offset] = TRIGGER[rows["familiar"]]
    raw = mne.io.RawArray(np.concatenate([data, trigger]), info, verbose="error")
    raw.save(path, fmt="single", overwrite=True, verbose="error")
    _forget_machine(path)


def _forget_machine(path: Path) -> None:
    """MNE signs a fif file with the network address of the computer: set to zero in every identifier."""
    with path.open("r+b") as file:
        position, end = 0, path.stat().st_size
        while position < end:
            file.seek(position)
            _, kind, size, _ = struct.unpack(">4i", file.read(16))
            if kind == ID_STRUCT:
                file.seek(position + 20)
                file.write(bytes(8))
            position += 16 + size
