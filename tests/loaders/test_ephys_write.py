"""Simulated spikes as NWB, NIX, raster and MAT files: every loader counts what was simulated."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nixio
import numpy as np
import pynwb
import pytest
import scipy.io
import xarray as xr

from loaders import _child, _ephys_write, ephys, synthetic

SMALL = {"seed": 3, "neuroids": 6, "objects": 3, "images": 2, "repeats": (2, 4), "days": 2, "missing": 1}
FILES = {"nwb": "session.nwb", "nix": "session.nix", "raster": "raster"}


@pytest.fixture(autouse=True)
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own files are read without a child process, whose start would take most of the time."""
    monkeypatch.setenv(_child.INSIDE, "1")


@pytest.fixture(scope="module", params=list(_ephys_write.FORMS))
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, xr.Dataset]:
    root = tmp_path_factory.mktemp(request.param)
    return request.param, root, synthetic.write_macaque_it(root, format=request.param, **SMALL)


def by_stimulus(recording: xr.Dataset) -> xr.Dataset:
    order = np.lexsort((recording.repetition.values, recording.stimulus_id.values))
    return recording.isel(presentation=order)


def test_two_writes_have_the_same_bytes(written: tuple[str, Path, xr.Dataset], tmp_path: Path) -> None:
    form, _, files = written
    time.sleep(1.05)  # past the second, in which clocks of whole seconds would agree
    assert synthetic.write_macaque_it(tmp_path, format=form, **SMALL).identical(files)


@pytest.mark.parametrize("form", FILES)
@pytest.mark.filterwarnings("ignore:.*spikes at equal times")  # a raster has whole milliseconds
def test_the_ordinary_loader_counts_what_was_simulated(form: str, tmp_path: Path) -> None:
    files = synthetic.write_macaque_it(tmp_path, format=form, **SMALL)
    made = synthetic.macaque_it(**SMALL)
    read = ephys.counts(tmp_path / FILES[form], window=(-0.1, 0.3), bin_width=0.01, manifest=files)
    shared = {"stimulus_id", "object", "repetition", "neuroid_id", "region", "time"}
    if form == "raster":  # one file a neuron: presentations are paired by stimulus and repetition
        made = by_stimulus(made)
    else:
        shared |= {"run", "onset"}
        assert read.attrs["simultaneous"] == 1
    assert read.response.values.tobytes() == made.response.values.tobytes()
    for name in shared:
        assert np.array_equal(read[name].values, made[name].values), name
    assert read.attrs["origin"] == "simulated"


def test_the_response_matrix_holds_the_counts_of_the_ceiling_window(tmp_path: Path) -> None:
    files = synthetic.write_macaque_it(tmp_path, format="mat", **SMALL)
    made = by_stimulus(synthetic.macaque_it(**SMALL, window=(0.08, 0.28), bin_width=0.2)).isel(time=0)
    held = scipy.io.loadmat(tmp_path / "responses.mat", simplify_cells=True)
    read = ephys.response_matrix(
        tmp_path / "responses.mat", dims=("neuroid", "stimulus", "repetition"), manifest=files,
        stimuli=held["stimulus_id"].tolist(), neuroids=held["neuroid_id"].tolist(),
    )  # fmt: skip
    assert np.isnan(held["responses"]).any()
    assert np.array_equal(read.response.values, made.response.values)
    for name in ("stimulus_id", "repetition", "neuroid_id"):
        assert np.array_equal(read[name].values, made[name].values), name


def test_nwb_tells_region_and_name_through_its_tables(tmp_path: Path) -> None:
    synthetic.write_macaque_it(tmp_path, **SMALL)
    with pynwb.NWBHDF5IO(tmp_path / "session.nwb", "r") as source:
        file = source.read()
        made = synthetic.macaque_it(**SMALL)
        assert file.units["unit_name"].data[:].tolist() == made.neuroid_id.values.tolist()
        assert file.electrodes["location"].data[:].tolist() == made.region.values.tolist()
        assert file.trials["start_time"].data[:].tolist() == made.onset.values.tolist()
        assert "simulated" in file.session_description


def test_nixio_is_left_as_it_was(tmp_path: Path) -> None:
    before = nixio.util.create_id, nixio.util.now_int, nixio.file.h5py
    synthetic.write_macaque_it(tmp_path, format="nix", **SMALL)
    assert (nixio.util.create_id, nixio.util.now_int, nixio.file.h5py) == before


def test_fewer_neurons_leave_no_raster_of_the_others(tmp_path: Path) -> None:
    synthetic.write_macaque_it(tmp_path, format="raster", **SMALL)
    few = synthetic.write_macaque_it(tmp_path, format="raster", **SMALL | {"neuroids": 2})
    found = sorted(item.relative_to(tmp_path).as_posix() for item in tmp_path.rglob("*") if item.is_file())
    assert found == sorted(few.name.values.tolist())


def test_files_of_others_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "session.nwb").write_bytes(os.urandom(8))
    with pytest.raises(ValueError, match="not simulated here; give a path of its own"):
        synthetic.write_macaque_it(tmp_path, **SMALL)
    assert (tmp_path / "session.nwb").stat().st_size == 8


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format: 'nbw': is unknown; did you mean 'nwb'"):
        synthetic.write_macaque_it(tmp_path, format="nbw", **SMALL)
