"""One simulated spike session as NWB, NIX, raster files or a response matrix: the same spikes in each."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ._synthetic_it import BEFORE, CEILING_WINDOW, SOA, Session, counts
from ._write import MAKER, as_json, manifest, refuse_foreign, replace, text

SESSION = "simulated"
MATLAB_HEADER = b"MATLAB 5.0 MAT-file, simulated".ljust(116)
_patching = threading.Lock()


def spikes(root: Path, session: Session, form: str) -> xr.Dataset:
    """The session in one of `FORMS`, beside a note of who made it."""
    mark = root / "simulated.json"
    refuse_foreign(mark, root / FORMS[form][0])
    root.mkdir(parents=True, exist_ok=True)
    text(mark, as_json({"GeneratedBy": MAKER, "Description": "simulated; no brain was measured"}))
    return manifest(root, [mark, *FORMS[form][1](root / FORMS[form][0], session)])


def columns(session: Session) -> dict[str, NDArray[Any]]:
    """What a file tells of each presentation, but its onset."""
    return {name: values for name, values in session.table.items() if name[0] != "_" and name != "onset"}


def _nwb(path: Path, session: Session) -> list[Path]:
    return [replace(path, partial(_save_nwb, session=session))]


def _nix(path: Path, session: Session) -> list[Path]:
    return [replace(path, partial(_save_nix, session=session))]


def _save_nwb(path: Path, session: Session) -> None:
    from pynwb import NWBHDF5IO, NWBFile

    day = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    file = NWBFile(
        "simulated macaque IT",
        "simulated",
        day,
        file_create_date=day,
        session_id=SESSION,
        institution="none: simulated",
    )
    device = file.create_device("array")
    regions = session.neuroid["region"].tolist()
    groups = {
        name: file.create_electrode_group(name, "simulated", name, device) for name in dict.fromkeys(regions)
    }
    for region in regions:
        file.add_electrode(location=region, group=groups[region])
    file.add_unit_column("unit_name", "name of the neuroid")
    file.add_unit_column("region", "where it was recorded")
    for index, (name, region, train) in enumerate(
        zip(session.neuroid["neuroid_id"].tolist(), regions, session.trains, strict=True)
    ):
        file.add_unit(spike_times=train, electrodes=[index], unit_name=name, region=region)
    table = columns(session)
    for name in table:
        file.add_trial_column(name, name)
    for row, onset in enumerate(session.table["onset"].tolist()):
        file.add_trial(
            start_time=onset,
            stop_time=onset + 0.3,
            **{name: values[row].item() for name, values in table.items()},
        )
    for number, item in enumerate([file, *file.all_children()]):  # else each is a random number
        item._AbstractContainer__object_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
    with NWBHDF5IO(path, "w") as sink:
        sink.write(file)


def _save_nix(path: Path, session: Session) -> None:
    import neo
    import quantities as pq

    onset = session.table["onset"]
    end = float(onset[-1] + SOA)
    block = neo.Block("simulated macaque IT", description="simulated", origin="simulated", nix_name="block")
    segment = neo.Segment("session", nix_name="segment")
    block.segments.append(segment)
    for index, train in enumerate(session.trains):
        name, region = session.neuroid["neuroid_id"][index].item(), session.neuroid["region"][index].item()
        segment.spiketrains.append(
            neo.SpikeTrain(
                train,
                end,
                units="s",
                name=name,
                unit_name=name,
                region=region,
                recording=SESSION,
                nix_name=name,
            )
        )
    table = columns(session)
    segment.epochs.append(
        neo.Epoch(
            onset * pq.s, np.full(len(onset), 0.3) * pq.s, table["stimulus_id"], name="presentations",
            array_annotations=table, nix_name="presentations",
        )
    )  # fmt: skip
    with _steady_nix(), neo.io.NixIO(str(path), "ow") as sink:
        sink.write_block(block)


@contextmanager
def _steady_nix() -> Iterator[None]:
    """nixio signs objects with random numbers and the time of day: here they are counted, and it stands."""
    import nixio.file
    from nixio.hdf5 import h5group

    number = count()
    untimed = SimpleNamespace(
        **vars(h5py) | {"h5p": SimpleNamespace(**vars(h5py.h5p) | {"create": _without_times})}
    )
    steady: list[tuple[Any, str, Any]] = [
        (nixio.util, "create_id", lambda: str(uuid.uuid5(uuid.NAMESPACE_OID, str(next(number))))),
        (nixio.util, "now_int", lambda: 946684800),
        (nixio.file, "h5py", untimed),
        (h5group, "h5py", untimed),
    ]
    with _patching:
        before = [getattr(module, name) for module, name, _ in steady]
        try:
            for module, name, value in steady:
                setattr(module, name, value)
            yield
        finally:
            for (module, name, _), value in zip(steady, before, strict=True):
                setattr(module, name, value)


def _without_times(kind: Any) -> Any:
    properties = h5py.h5p.create(kind)
    if hasattr(properties, "set_obj_track_times"):
        properties.set_obj_track_times(False)
    return properties


def _raster(folder: Path, session: Session) -> list[Path]:
    """One file a neuroid, trials x milliseconds of spike counts, the onset at sample 201 counted from 1."""
    folder.mkdir(exist_ok=True)
    start = (session.table["onset"] - BEFORE)[:, None] + np.arange(round(SOA * 1000) + 1) / 1000
    labels = {
        name: _cells(values) if values.dtype.kind == "U" else values
        for name, values in columns(session).items()
    }
    written = []
    for index, train in enumerate(session.trains):
        name = session.neuroid["neuroid_id"][index].item()
        site = {
            "session_ID": SESSION, "recording": SESSION, "origin": "simulated",
            "recording_channel": index + 1, "unit": "A", "unit_name": name,
            "region": session.neuroid["region"][index].item(),
            "alignment_event_time": round(BEFORE * 1000) + 1,
        }  # fmt: skip
        data = np.diff(np.searchsorted(train, start), axis=1).astype(np.uint8)
        content = {"raster_data": data, "raster_labels": labels, "raster_site_info": site}
        written.append(replace(folder / f"{name}_raster_data.mat", partial(_save_mat, content=content)))
    for stale in set(folder.glob("it*_raster_data.mat")) - set(written):
        stale.unlink()
    return written


def _mat(path: Path, session: Session) -> list[Path]:
    """Counts in the window of the ceilings, neuroid x stimulus x repetition, NaN where it was shown less."""
    width = CEILING_WINDOW[1] - CEILING_WINDOW[0]
    response = counts(session, CEILING_WINDOW, width)[0][:, :, 0]
    names, stimulus = np.unique(session.table["stimulus_id"], return_inverse=True)
    repetition = session.table["repetition"]
    matrix = np.full((response.shape[1], len(names), repetition.max() + 1), np.nan)
    matrix[:, stimulus, repetition] = response.T
    content = {
        "responses": matrix,
        "stimulus_id": _cells(names),
        "neuroid_id": _cells(session.neuroid["neuroid_id"]),
        "region": _cells(session.neuroid["region"]),
        "description": f"simulated; spikes {CEILING_WINDOW[0]} to {CEILING_WINDOW[1]} s after onset",
    }
    return [replace(path, partial(_save_mat, content=content))]


def _cells(values: NDArray[Any]) -> NDArray[np.object_]:
    return values.astype(object)


def _save_mat(path: Path, content: dict[str, Any]) -> None:
    from scipy.io import savemat

    savemat(path, content, do_compression=True, oned_as="row")
    with path.open("r+b") as file:
        file.write(MATLAB_HEADER)  # in place of a date


FORMS: dict[str, tuple[str, Callable[[Path, Session], list[Path]]]] = {
    "nwb": ("session.nwb", _nwb),
    "nix": ("session.nix", _nix),
    "raster": ("raster", _raster),
    "mat": ("responses.mat", _mat),
}
