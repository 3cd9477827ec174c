"""Which sensors are neighbours: the vendor's array as MNE knows it, else triangles between positions."""

from __future__ import annotations

import mne
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from . import schema

TEMPLATES = {  # of each kind, as MNE names them
    "mag": ("neuromag306mag", "bti248", "bti148", "ctf275", "ctf151", "ctf64"),
    "grad": ("neuromag306planar", "bti248grad"),
}
BRAIN = ("mag", "grad", "eeg")
ENOUGH = 0.5  # of a template's sensors, below which too many neighbours are missing
SAME = 1e-6  # metres between two sensors of one place


def adjacency(recording: xr.Dataset) -> xr.Dataset:
    """What `meg.adjacency` documents."""
    for name in ("neuroid_id", "kind"):
        if name not in recording.coords:
            raise ValueError(f"coordinate {name!r}: missing; {schema.nearest(name, recording.coords)}")
    names = np.asarray(recording["neuroid_id"].values).astype(str)
    kinds = np.asarray(recording["kind"].values).astype(str)
    adjacent = np.zeros((names.size, names.size), bool)
    made_by = []
    for kind in BRAIN:
        rows = np.flatnonzero(kinds == kind)
        if rows.size:
            found, how = _template(names[rows], kind)
            if found is None:
                found, how = _triangles(_positions(recording, rows, names), names[rows], kind), "triangles"
            adjacent[np.ix_(rows, rows)] = found
            made_by.append(f"{kind}: {how}")
    if not made_by:
        raise ValueError(f"kind: {', '.join(np.unique(kinds))}: none is of the brain; give mag, grad or eeg")
    np.fill_diagonal(adjacent, False)
    return schema.check(
        xr.Dataset(
            {"adjacent": (("neuroid", "other_neuroid"), adjacent, {"units": "1"})},
            {"neuroid_id": ("neuroid", names), "kind": ("neuroid", kinds)},
            {"made_by": ", ".join(made_by)},
        )
    )


def _template(names: NDArray[np.str_], kind: str) -> tuple[NDArray[np.bool_] | None, str]:
    """Neighbours as the first template says that knows all names, if most of its sensors are there."""
    plain = [name.replace(" ", "").split("-")[0] for name in names]
    for template in TEMPLATES.get(kind, ()):
        matrix, known = mne.channels.read_ch_adjacency(template)
        place = {name.replace(" ", ""): index for index, name in enumerate(known)}
        if set(plain) <= set(place) and len(plain) >= ENOUGH * len(known):
            order = [place[name] for name in plain]
            return np.asarray(matrix.toarray(), bool)[np.ix_(order, order)], template
    return None, ""


def _triangles(positions: NDArray[np.float64], names: NDArray[np.str_], kind: str) -> NDArray[np.bool_]:
    """MNE's Delaunay triangles of the flattened positions; sensors of one place share their neighbours."""
    sites, site = np.unique(np.round(positions / SAME).astype(np.int64), axis=0, return_inverse=True)
    site = site.ravel()
    first = [int(np.flatnonzero(site == index)[0]) for index in range(len(sites))]
    if len(first) < 4:
        raise ValueError(f"kind {kind!r}: {len(first)} places of sensors; neighbours need at least 4")
    info = mne.create_info([str(names[index]) for index in first], 1000.0, "eeg")
    for channel, index in zip(info["chs"], first, strict=True):
        channel["loc"][:3] = positions[index]
    with mne.use_log_level("error"):
        matrix, _ = mne.channels.find_ch_adjacency(info, "eeg")
    between = np.asarray(matrix.toarray(), bool)
    np.fill_diagonal(between, True)
    return np.asarray(between[np.ix_(site, site)])


def _positions(recording: xr.Dataset, rows: NDArray[np.int_], names: NDArray[np.str_]) -> NDArray[np.float64]:
    """Metres (sensor, axis); where units have positions of their own, their mean."""
    columns = []
    for axis in "xyz":
        column = recording.coords.get(f"position_{axis}")
        if column is None:
            raise ValueError(f"position_{axis}: missing; load the recording with positions of its sensors")
        columns.append(column.mean([dim for dim in column.dims if dim != "neuroid"]).values[rows])
    found = np.stack(columns, axis=1).astype(float)
    lost = names[rows][~np.isfinite(found).all(axis=1)]
    if lost.size:
        raise ValueError(f"neuroid_id {', '.join(lost[:5])}: without a position; give it, or leave it out")
    return found
