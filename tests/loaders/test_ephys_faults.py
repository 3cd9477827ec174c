"""Damaged and foolish NWB files: each is refused in one line, where and why; its sound twin passes."""

from __future__ import annotations

import os
import time

import h5py
import numpy as np
import pytest
import xarray as xr

from loaders import _child, ephys

WINDOW = (-0.1, 0.4)
TRAINS = [np.sort(np.random.default_rng(k).uniform(0, 12, 120)) for k in range(3)]
ONSET = 1.0 + np.arange(10)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; tests of the child itself take this back."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


def nwb(path, trains=TRAINS, names=("u1", "u2", "u3"), start=ONSET, stop=ONSET + 0.5, change=None):
    """What an NWB file is in HDF5, so that any part of it can be made wrong."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        file["session_description"] = "test"
        units = file.create_group("units")
        units["id"] = np.arange(len(trains))
        units["unit_name"] = list(names)
        units["region"] = ["IT"] * len(trains)
        units["spike_times"] = np.concatenate([*trains, np.empty(0)])
        units["spike_times_index"] = np.cumsum(list(map(len, trains)))
        trials = file.create_group("intervals/trials")
        trials["id"], trials["start_time"], trials["stop_time"] = np.arange(len(start)), start, stop
        trials["stimulus_id"] = [f"s{k % 5}" for k in range(len(start))]
        if change is not None:
            change(file)
    return path


def refused(path, line, **told):
    """The one line that the loader says, checked."""
    with pytest.raises(ValueError, match=line) as caught:
        ephys.counts(path, **{"window": WINDOW} | told)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


def replace(file, name, values):
    del file[name]
    file[name] = values


def test_the_sound_twin_is_read_in_silence(tmp_path):
    found = ephys.counts(nwb(tmp_path / "a.nwb"), window=WINDOW)
    assert dict(found.sizes) == {"presentation": 10, "neuroid": 3, "time": 50}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>", r"not an HDF5 file \(looks like HTML\)"),
        (b"  \n<html>", r"not an HDF5 file \(looks like HTML\)"),
        (b"", r"not an HDF5 file \(it is empty\)"),
        (b"hello, world" * 100, r"not an HDF5 file; fetch it again"),
        (b"/annex/objects/MD5E-s1--d41d8.nwb\n", r"not an HDF5 file \(content not fetched"),
    ],
    ids=["html", "html after blanks", "empty", "text", "annex pointer"],
)  # fmt: skip
def test_f25_not_an_nwb_file(content, line, tmp_path):
    (tmp_path / "a.nwb").write_bytes(content)
    refused(tmp_path / "a.nwb", line)


def test_f25_cut_anywhere(tmp_path):
    """Every cut is refused in one line: none passes as a shorter recording."""
    whole = nwb(tmp_path / "whole.nwb").read_bytes()
    cut = tmp_path / "cut.nwb"
    for end in np.random.default_rng(0).integers(1, len(whole) - 1, 60):
        cut.write_bytes(whole[:end])
        refused(cut, "is it cut|not an HDF5 file|cannot be read")


def test_f25_other_hdf5_is_named(tmp_path):
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file["something"] = np.arange(3)
    refused(tmp_path / "a.nwb", "nwb_version is missing, so this is HDF5 but not NWB; it holds something")


def hostile(path: str, how: str) -> xr.Dataset:
    """A reader that goes wrong as parsers of damaged files do."""
    if how == "eats memory":
        held = [np.empty(2**27) for _ in range(1000)]
        return xr.Dataset({"x": ("time", held[0])})
    if how == "sleeps":
        time.sleep(60)
    if how == "leaves":
        os._exit(3)
    if how == "raises":
        raise RuntimeError("a vendor's\nparser stumbled")
    if how != "is sound":
        os.kill(os.getpid(), int(how))
    return xr.Dataset({"x": ("time", np.arange(3.0), {"units": "1"})})


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("11", "the reader was stopped by SIGSEGV"),
        ("9", "the reader was stopped by SIGKILL"),
        ("sleeps", "the reader was stopped after 3 s"),
        ("eats memory", "cannot be read: .*MemoryError"),
        ("leaves", r"the reader ended without an answer \(status 3\)"),
        ("raises", "cannot be read: RuntimeError: a vendor's parser stumbled"),
    ],
)
def test_f26_a_reader_that_dies_or_hangs_is_an_error(how, line, tmp_path, monkeypatch):
    monkeypatch.delenv("NEUROLOOP_CHILD")
    monkeypatch.setattr(_child, "SECONDS", 3.0 if how == "sleeps" else 20.0)
    monkeypatch.syspath_prepend(os.path.dirname(__file__))  # the child imports this very file
    monkeypatch.setattr(hostile, "__module__", "test_ephys_faults")
    path = tmp_path / "a.nwb"
    path.write_bytes(b"")
    begin = time.monotonic()
    with pytest.raises(ValueError, match=line) as caught:
        _child.call(hostile, path, how=how)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begin < 20
    monkeypatch.setattr(_child, "SECONDS", 20.0)
    if how == "11":
        assert _child.call(hostile, path, how="is sound")["x"].values.tolist() == [0, 1, 2]


def test_f27_nwb_1_is_refused_with_both_numbers(tmp_path):
    def old(file):
        del file.attrs["nwb_version"]
        file["nwb_version"] = "NWB-1.0.6"

    refused(nwb(tmp_path / "a.nwb", change=old), "is NWB 1.0.6, wanted is NWB 2")


def test_f27_an_unknown_extension_warns_and_the_rest_is_read(tmp_path):
    def extended(file):
        group = file.create_group("general/probe")
        group.attrs["namespace"], group.attrs["neurodata_type"] = "ndx-unheard-of", "Probe"

    sound = ephys.counts(nwb(tmp_path / "a.nwb"), window=WINDOW)
    path = nwb(tmp_path / "b.nwb", change=extended)
    with pytest.warns(UserWarning, match="general/probe: extension 'ndx-unheard-of' is unknown"):
        found = ephys.counts(path, window=WINDOW)
    assert np.array_equal(found["response"], sound["response"])


def changed(at, value, unit=1):
    train = TRAINS[unit].copy()
    train[at] = value
    return [train if k == unit else other for k, other in enumerate(TRAINS)]


@pytest.mark.parametrize(
    ("trains", "line"),
    [
        ([TRAINS[0], TRAINS[1][::-1], TRAINS[2]], r"unit u2: spike 1 at .* s is before the one ahead of it"),
        (changed(0, -0.5), r"unit u2: spike 0 at -0.5 s is negative"),
        (changed(7, np.nan), r"unit u2: spike 7 is nan"),
        (changed(119, 700.0), r"unit u2: spike 119 at 700 s is past the end at 12 s"),
    ],
    ids=["unsorted", "negative", "nan", "past the end"],
)
def test_f28_impossible_spike_times(trains, line, tmp_path):
    def observed(file):
        file["units/obs_intervals"] = np.tile([0.0, 12.0], (3, 1))
        file["units/obs_intervals_index"] = np.arange(1, 4)

    refused(nwb(tmp_path / "a.nwb", trains, change=observed), line)
    ephys.counts(nwb(tmp_path / "sound.nwb", change=observed), window=WINDOW)


def test_f28_duplicates_warn_and_are_counted(tmp_path):
    path = nwb(tmp_path / "a.nwb", changed(8, TRAINS[1][7]))
    with pytest.warns(UserWarning, match=r"spikes at equal times, counted each: unit u2 \(1\)"):
        found = ephys.counts(path, window=None, bin_width=1.0)
    assert found["response"].sum() == 360


@pytest.mark.parametrize(
    ("factor", "line"),
    [
        (1000, "last spike is .* times later than the last trial; .*milliseconds, a factor of 1000"),
        (30000, "last spike is .* times later than the last trial; .*samples at 30 kHz, a factor of 30000"),
        (1 / 1000, "last trial is .* times later than the last spike; .*milliseconds, a factor of 1000"),
        (1e-5, "last trial is"),
    ],
)
def test_f29_spike_times_in_other_units(factor, line, tmp_path):
    refused(nwb(tmp_path / "a.nwb", [train * factor for train in TRAINS]), line)


def test_f29_rates_that_no_neuron_has(tmp_path):
    def alone(file):
        del file["intervals"]

    path = nwb(tmp_path / "a.nwb", [train / 1000 for train in TRAINS], change=alone)
    refused(path, "unit u.: fires at .* Hz, more than 1000; .*a factor of 1000", window=None)
    slow = [train * 1e6 for train in TRAINS]
    refused(nwb(tmp_path / "b.nwb", slow, change=alone), "units fire at .* Hz in the middle", window=None)


def test_f30_a_unit_without_spikes_leaves_the_others_their_bits(tmp_path):
    sound = ephys.counts(nwb(tmp_path / "a.nwb"), window=WINDOW)
    path = nwb(tmp_path / "b.nwb", [TRAINS[0], np.empty(0), TRAINS[2]])
    with pytest.warns(UserWarning, match="1 units without a spike are kept as zeros: u2"):
        found = ephys.counts(path, window=WINDOW)
    assert found["response"].values[:, [0, 2]].tobytes() == sound["response"].values[:, [0, 2]].tobytes()
    assert not found["response"].values[:, 1].any()


@pytest.mark.parametrize(
    ("index", "line"),
    [
        ([120, 100, 360], "spike_times_index row 1 .*: falls"),
        ([120, 240, 400], "spike_times_index: ends at 400 of 360 values"),
        ([120, 240, 300], "spike_times_index: ends at 300 of 360 values"),
        ([120, 360], "spike_times_index: has 2 rows for 3 units"),
        (None, "spike_times_index: missing"),
    ],
)
def test_f30_a_broken_ragged_index(index, line, tmp_path):
    def broken(file):
        del file["units/spike_times_index"]
        if index is not None:
            file["units/spike_times_index"] = np.array(index)

    refused(nwb(tmp_path / "a.nwb", change=broken), line)


def at(row, value, times):
    return np.where(np.arange(len(times)) == row, value, times)


@pytest.mark.parametrize(
    ("start", "stop", "line"),
    [
        (ONSET, at(4, 4.9, ONSET + 0.5), r"trials row 4 .*: stops at 4.9 s, before it starts at 5 s"),
        (ONSET, at(4, 6.2, ONSET + 0.5), r"trials row 5 .*: starts at 6 s, before row 4 stops at 6.2 s"),
        (at(3, np.nan, ONSET), ONSET + 0.5, r"trials row 3 .*: a time is not a finite number"),
        (ONSET, at(9, np.inf, ONSET + 0.5), r"trials row 9 .*: a time is not a finite number"),
    ],
    ids=["stop before start", "overlap", "nan", "inf"],
)
def test_f31_impossible_trials(start, stop, line, tmp_path):
    refused(nwb(tmp_path / "a.nwb", start=start, stop=stop), line)


def test_f31_trials_out_of_order_are_sound(tmp_path):
    order = np.random.default_rng(0).permutation(10)
    path = nwb(tmp_path / "a.nwb", start=ONSET[order], stop=ONSET[order] + 0.5)
    sound = ephys.counts(nwb(tmp_path / "b.nwb"), window=WINDOW)
    assert np.array_equal(ephys.counts(path, window=WINDOW)["response"], sound["response"][order])


@pytest.mark.parametrize("kind", ["soft", "external", "virtual", "whole table"])
def test_f32_links_out_of_the_file(kind, tmp_path):
    """The outside file is never opened."""
    outside = tmp_path / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["x"] = np.concatenate(TRAINS)
        file.create_group("units")

    def linked(file):
        name = "units" if kind == "whole table" else "units/spike_times"
        del file[name]
        if kind == "soft":
            file[name] = h5py.SoftLink("/nowhere/at/all")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((360,), float)
            layout[:] = h5py.VirtualSource(str(outside), "x", (360,))
            file.create_virtual_dataset(name, layout)
        else:
            file[name] = h5py.ExternalLink("outside.h5", "/units" if kind == "whole table" else "/x")

    path = nwb(tmp_path / "a.nwb", change=linked)
    outside.unlink()  # were it opened, the line would tell that it is missing
    os.mkfifo(outside)  # and a reader that opens it would hang
    line = {
        "soft": "is a link to '/nowhere/at/all', which is absent",
        "virtual": "keeps its values in other files",
    }
    refused(path, line.get(kind, "is a link to another file, 'outside.h5', which is not opened"))


def test_f32_a_soft_link_inside_the_file_is_sound(tmp_path):
    def linked(file):
        file.move("units/spike_times", "elsewhere")
        file["units/spike_times"] = h5py.SoftLink("../elsewhere")

    sound = ephys.counts(nwb(tmp_path / "a.nwb"), window=WINDOW)
    found = ephys.counts(nwb(tmp_path / "b.nwb", change=linked), window=WINDOW)
    assert np.array_equal(found["response"], sound["response"])


@pytest.mark.parametrize("name", ["a.zarr", "a.nwb.zarr", "plain"])
def test_f36_zarr_is_refused_by_name(name, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / ".zgroup").write_text("{}")
    refused(tmp_path / name, "zarr is not read; export the recording as NWB")


def test_f15_one_name_twice_in_a_file(tmp_path):
    refused(nwb(tmp_path / "a.nwb", names=("u1", "u2", "u1")), "units: u1 stand more than once")


@pytest.mark.parametrize("values", [["1", "2"], [1, 2], [1.0, 2.0], np.array([1, 2], np.uint8)], ids=str)
def test_f38_one_and_the_text_one_are_one_stimulus(values, tmp_path):
    def numbered(file):
        replace(
            file,
            "intervals/trials/stimulus_id",
            list(values) * 5 if isinstance(values, list) else np.tile(values, 5),
        )

    found = ephys.counts(nwb(tmp_path / "a.nwb", change=numbered), window=WINDOW)
    assert found["stimulus_id"].values.tolist() == ["1", "2"] * 5


def test_f38_a_missing_stimulus_is_refused(tmp_path):
    def gap(file):
        replace(file, "intervals/trials/stimulus_id", at(6, np.nan, np.arange(10.0)))

    refused(nwb(tmp_path / "a.nwb", change=gap), "stimulus_id row 6 .*: is nan; name it")
