"""NWB 2 files: units, electrodes and trials, read from HDF5 itself so that no other file is opened."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from loaders._ephys_hdf5 import inside, open_hdf5, text, values
from loaders._ephys_session import Session, check_trials, ids, labels
from loaders.schema import nearest

KNOWN = {"core", "hdmf-common", "hdmf-experimental"}


def session(path: str, table: str, stimulus: str, align: str) -> Session:
    """The one session of an NWB file."""
    with open_hdf5(path) as file:
        _check_version(path, file)
        _check_namespaces(path, file)
        units = _columns(path, file, "units")
        if "spike_times" not in units:
            raise ValueError(f"{path}: units: there are no spike times in this file; nothing can be counted")
        trains = _ragged(path, file, "units", "spike_times")
        neuroid = _neuroid(path, file, units, len(trains))
        observed = units.get("obs_intervals")
        extent = (
            (float(np.min(observed)), float(np.max(observed)))
            if observed is not None and observed.size
            else None
        )
        trials = _trials(path, file, table, stimulus, align)
        told = " ".join(text(path, file, key) for key in ("session_description", "general/notes"))
    origin = "simulated" if "simulated" in told.lower() else "real, raw"
    return Session(path, trains, neuroid, trials, {}, extent, origin)


def _check_version(path: str, file: h5py.File) -> None:
    version = file.attrs.get("nwb_version")
    version = version if version is not None else text(path, file, "nwb_version")
    if not len(version):
        held = ", ".join(list(file)[:8])
        raise ValueError(f"{path}: nwb_version is missing, so this is HDF5 but not NWB; it holds {held}")
    told = version.decode() if isinstance(version, bytes) else str(version)
    if not told.removeprefix("NWB-").startswith("2."):
        raise ValueError(
            f"{path}: is NWB {told.removeprefix('NWB-')}, wanted is NWB 2; convert it with its maker's tool"
        )


def _check_namespaces(path: str, file: h5py.File) -> None:
    cached = set(inside(path, file, "specifications") or ())
    unknown: dict[str, str] = {}

    def visit(name: str, item: Any) -> None:
        space = item.attrs.get("namespace") if "namespace" in item.attrs else None
        if isinstance(space, (str, bytes)):
            word = space.decode() if isinstance(space, bytes) else space
            if word not in KNOWN and word not in cached:
                unknown.setdefault(word, name)

    file.visititems(visit)
    for word, name in unknown.items():
        warnings.warn(f"{path}: {name}: extension {word!r} is unknown; it is left out and the rest is read",
                      UserWarning, stacklevel=2)  # fmt: skip


def _columns(path: str, file: h5py.File, table: str) -> dict[str, NDArray[Any]]:
    group = inside(path, file, table)
    if not isinstance(group, h5py.Group):
        return {}
    found = {}
    for name in group:
        item = inside(path, file, f"{table}/{name}")
        if isinstance(item, h5py.Dataset):
            found[name] = values(path, item)
    return found


def _ragged(path: str, file: h5py.File, table: str, column: str) -> list[NDArray[Any]]:
    columns = _columns(path, file, table)
    values, index = columns[column], columns.get(f"{column}_index")
    if index is None:
        raise ValueError(f"{path}: {table}/{column}_index: missing, so spikes cannot be given to units")
    ends = index.astype(np.int64)
    rows = len(columns["id"]) if "id" in columns else len(ends)
    if len(ends) != rows:
        raise ValueError(f"{path}: {table}/{column}_index: has {len(ends)} rows for {rows} units; rebuild it")
    bad = np.flatnonzero(np.diff(ends, prepend=0) < 0)
    if bad.size:
        raise ValueError(
            f"{path}: {table}/{column}_index row {bad[0]} (the first is 0): falls; rebuild the index"
        )
    if len(ends) and ends[-1] != len(values):
        raise ValueError(
            f"{path}: {table}/{column}_index: ends at {ends[-1]} of {len(values)} values; rebuild it"
        )
    return np.split(values, ends[:-1]) if len(ends) else []


def _neuroid(
    path: str, file: h5py.File, units: dict[str, NDArray[Any]], number: int
) -> dict[str, NDArray[Any]]:
    plain = {
        name: values for name, values in units.items()
        if values.shape == (number,) and f"{name}_index" not in units and not name.endswith("_index")
    }  # fmt: skip
    name = next((key for key in ("unit_name", "neuroid_id", "id") if key in plain), None)
    found = {"neuroid_id": ids(plain[name] if name else np.arange(number), f"{path}: units/{name}")}
    electrode, location = _electrodes(path, file, units, number)
    found["region"] = ids(plain["region"], "region") if "region" in plain else location
    day = text(path, file, "general/session_id") or Path(path).stem
    found["recording"] = (
        ids(plain["recording"], "recording") if "recording" in plain else np.full(number, day)
    )
    others = {key: plain[key] for key in plain if key not in ("id", "unit_name", "electrodes", "spike_times")}
    return found | ({"electrode": electrode} if (electrode != "").any() else {}) | labels(others)


def _electrodes(
    path: str, file: h5py.File, units: dict[str, NDArray[Any]], number: int
) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    none = np.full(number, ""), np.full(number, "unknown")
    if "electrodes" not in units or "electrodes_index" not in units:
        return none
    table = _columns(path, file, "general/extracellular_ephys/electrodes")
    rows = _ragged(path, file, "units", "electrodes")
    if len(rows) != number or "id" not in table:
        return none
    if units["electrodes"].size and not 0 <= units["electrodes"].min() <= units["electrodes"].max() < len(
        table["id"]
    ):
        raise ValueError(
            f"{path}: units/electrodes: points past the {len(table['id'])} rows of the electrodes table"
        )
    names = [",".join(str(table["id"][row]) for row in held) for held in rows]
    where = table.get("location", np.full(len(table["id"]), "unknown"))
    return np.array(names, str), np.array(
        [str(where[held[0]]) if len(held) else "unknown" for held in rows], str
    )


def _trials(path: str, file: h5py.File, table: str, stimulus: str, align: str) -> dict[str, NDArray[Any]]:
    columns = _columns(path, file, f"intervals/{table}")
    if not columns:
        held = list(inside(path, file, "intervals") or ())
        if table != "trials" or held:
            raise ValueError(f"{path}: intervals/{table}: missing; {nearest(table, held)}")
        return {}
    for wanted in (align, stimulus, "start_time", "stop_time"):
        if wanted not in columns:
            raise ValueError(f"{path}: intervals/{table}/{wanted}: missing; {nearest(wanted, columns)}")
    where = f"{path}: {table}"
    number = len(columns["start_time"])
    short = [
        name
        for name, values in columns.items()
        if f"{name}_index" not in columns and len(values) not in (0, number)
    ]
    if short:
        raise ValueError(f"{where}: {short[0]}: has {len(columns[short[0]])} rows, start_time has {number}")
    check_trials(where, columns["start_time"], columns["stop_time"])
    onset = np.asarray(columns[align], float)
    bad = np.flatnonzero(~np.isfinite(onset))
    if bad.size:
        raise ValueError(
            f"{where} row {bad[0]} (the first is 0): {align} is {onset[bad[0]]}; drop or repair the row"
        )
    left = {"id", "start_time", "stop_time", stimulus, "timeseries", "timeseries_index", "tags", "tags_index"}
    others = {
        name: values for name, values in columns.items() if name not in left and values.shape == (number,)
    }
    return {"stimulus_id": ids(columns[stimulus], f"{where}: {stimulus}"), "onset": onset} | labels(others)
