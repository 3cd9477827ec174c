"""Response matrices: which axis is which is told, never guessed."""

from __future__ import annotations

import os
import pickle
import re

import h5py
import numpy as np
import pytest
import scipy.io

from loaders import ephys, images


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; test_ephys_faults.py tests the child itself."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


def cube():
    rng = np.random.default_rng(1)
    values = rng.poisson(3, (4, 5, 3)).astype(float)
    values[:, 2, 2] = np.nan  # shown twice
    values[1, 3, 1:] = np.nan  # this neuron lost two repeats
    return values


def test_a_response_matrix_is_a_recording_of_the_repeats_that_exist(tmp_path):
    np.save(tmp_path / "r.npy", cube())
    found = ephys.response_matrix(tmp_path / "r.npy", dims=("neuroid", "stimulus", "repetition"))
    assert dict(found.sizes) == {"presentation": 14, "neuroid": 4}
    image, repetition = found["stimulus_id"].values.astype(int), found["repetition"].values
    assert np.array_equal(found["response"].values.T, cube()[:, image, repetition], equal_nan=True)
    turned = cube().transpose(2, 0, 1)
    np.save(tmp_path / "t.npy", turned)
    again = ephys.response_matrix(tmp_path / "t.npy", dims=("repetition", "neuroid", "stimulus"))
    assert np.array_equal(again["response"], found["response"], equal_nan=True)


@pytest.mark.parametrize("form", ["npz", "mat", "mat 7.3"])
def test_matrices_of_every_container(form, tmp_path):
    flat, path = cube()[:, :, 0], tmp_path / f"r.{form[:3]}"
    if form == "npz":
        np.savez(path, flat=flat, other=np.arange(3))
    elif form == "mat":
        scipy.io.savemat(path, {"flat": flat, "note": "hello"})
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["flat"] = flat.T  # as MATLAB stores it
        with open(path, "r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    found = ephys.response_matrix(path, stimuli=list("vwxyz"), neuroids=list("abcd"))
    assert np.array_equal(found["response"], flat.T)
    assert found["stimulus_id"].values.tolist() == list("vwxyz")
    with pytest.raises(ValueError, match="variable 'flatt' is missing; did you mean 'flat'"):
        ephys.response_matrix(path, variable="flatt")


def test_names_beside_a_matrix_are_its_names(tmp_path):
    names = {"stimulus_id": np.array(list("vwxyz"), object), "neuroid_id": np.array(list("abcd"), object)}
    content = {
        "responses": cube(),
        "region": np.array(["IT"] * 4, object),
        "description": "simulated; counts",
    }
    scipy.io.savemat(tmp_path / "r.mat", content | names)
    found = ephys.response_matrix(tmp_path / "r.mat")
    assert found["neuroid_id"].values.tolist() == list("abcd")
    assert found["region"].values.tolist() == ["IT"] * 4
    assert found.attrs["origin"] == "simulated"
    dims = ("neuroid", "stimulus", "repetition")
    with pytest.raises(ValueError, match="stimulus: 4 names for an axis of 5"):
        ephys.response_matrix(tmp_path / "r.mat", dims=dims, stimuli=list("abcd"))


def test_v4_repeats_average_to_the_published_means(neuro_data):
    folder = neuro_data / "macaque" / "v4_natural_images"
    zipped = folder / "images" / "images_210325.zip"
    raw = ephys.response_matrix(
        folder / "responses_raw" / "responses_210325.npy",
        dims=("neuroid", "stimulus", "repetition"),
        stimuli=zipped,
    )
    mean = ephys.response_matrix(
        folder / "responses_repeat_averaged" / "responses_210325.npy", stimuli=zipped
    )
    names, counts = np.unique(raw["stimulus_id"], return_counts=True)
    assert (len(names), raw.sizes["neuroid"], counts.min(), counts.max()) == (640, 50, 6, 10)
    grid = np.full((640, 10, 50), np.nan)
    grid[np.searchsorted(names, raw["stimulus_id"].values), raw["repetition"].values] = raw["response"].values
    assert mean["stimulus_id"].values.tolist() == names.tolist()
    assert np.array_equal(np.nanmean(grid, axis=1), mean["response"].values)
    assert images.names(zipped)[0] == f"{names[0]}.jpg"


def test_f34_a_square_matrix_needs_its_axes_told(tmp_path):
    square = np.random.default_rng(0).poisson(3, (5, 5)).astype(float)
    np.save(tmp_path / "r.npy", square)
    names = list("abcde")
    with pytest.raises(ValueError, match=r"dims: 5 x 5 does not say which axis is which; give dims="):
        ephys.response_matrix(tmp_path / "r.npy", stimuli=names)
    for dims, wanted in ((("neuroid", "stimulus"), square.T), (("stimulus", "neuroid"), square)):
        found = ephys.response_matrix(tmp_path / "r.npy", dims=dims, stimuli=names)
        assert np.array_equal(found["response"], wanted)
    with pytest.raises(ValueError, match="dims: neuroid, stimuli for a matrix of 5 x 5"):
        ephys.response_matrix(tmp_path / "r.npy", dims=("neuroid", "stimuli"))
    np.save(tmp_path / "t.npy", square[:4])
    for turned in (square[:4], square[:4].T):
        np.save(tmp_path / "t.npy", turned)
        found = ephys.response_matrix(tmp_path / "t.npy", stimuli=names)
        assert np.array_equal(found["response"], square[:4].T)
    with pytest.raises(ValueError, match="does not say which axis is which"):
        ephys.response_matrix(tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"s": {"a": np.eye(3)}}, r"holds s \(1 x 1 struct\); wanted is one numeric array"),
        ({"c": np.array([1, "x"], object)}, r"holds c \(1 x 2 cell\); wanted is"),
        ({"a": np.eye(3), "b": np.eye(4)}, r"holds a .*, b .*; give variable=NAME"),
        ({}, "holds nothing; wanted is"),
    ],
    ids=["struct", "cell", "two", "none"],
)
def test_f34_what_a_mat_file_holds_is_told(content, line, tmp_path):
    scipy.io.savemat(tmp_path / "r.mat", content)
    with pytest.raises(ValueError, match=line):
        ephys.response_matrix(tmp_path / "r.mat")
    with pytest.raises(ValueError, match="spikes are counted from raster_data"):
        ephys.counts(tmp_path / "r.mat")


class Payload:
    """Runs when unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_f35_pickles_are_refused_and_never_run(kind, tmp_path):
    path, marker = tmp_path / f"r.{kind}", tmp_path / "ran"
    sound, evil = np.ones((3, 4)), np.array([Payload(str(marker))], dtype=object)
    np.savez(path, responses=sound, extra=evil) if kind == "npz" else np.save(path, evil, allow_pickle=True)
    name = "array 'extra': " if kind == "npz" else ""
    with pytest.raises(ValueError, match=re.escape(f"{path}: {name}holds Python objects (pickle)")):
        ephys.response_matrix(path, stimuli=list("abcd"))
    assert not marker.exists()
    if kind == "npz":  # the numbers beside it can be had by name
        found = ephys.response_matrix(path, variable="responses", stimuli=list("abcd"))
        assert found.sizes["neuroid"] == 3
    pickle.loads(pickle.dumps(Payload(str(marker))))
    assert marker.exists()  # the payload would have worked


def test_r04_no_matrix_passes_when_cut(tmp_path):
    path = tmp_path / "m.npy"
    np.save(path, np.arange(60.0).reshape(5, 12))
    whole = path.read_bytes()
    for end in np.random.default_rng(1).integers(0, len(whole) - 1, 40):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"^[^\n]*m\.npy: [^\n]*$"):
            ephys.response_matrix(path, dims=("neuroid", "stimulus"))
