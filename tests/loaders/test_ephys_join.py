"""Pseudo-populations: sessions joined by stimulus and repetition; rasters that are not what they seem."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from loaders import ephys

WINDOW = (-0.1, 0.4)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; tests of the child itself take this back."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


def test_f32_symlinks_out_of_a_folder(tmp_path):
    folder, outside = raster(tmp_path / "in"), raster(tmp_path / "out", units=[7])
    ephys.counts(folder, window=WINDOW)
    (folder / "n7_raster_data.mat").symlink_to(outside / "n7_raster_data.mat")
    with pytest.raises(ValueError, match=r"n7_raster_data.mat: is a link out of the folder"):
        ephys.counts(folder, window=WINDOW)
    (outside / "n7_raster_data.mat").unlink()
    with pytest.raises(ValueError, match=r"n7_raster_data.mat: content not fetched: run 'datalad get"):
        ephys.counts(folder, window=WINDOW)


def raster(folder, units=(0, 1), repeats=lambda unit: 3, day=lambda unit: unit, change=None):
    folder.mkdir(exist_ok=True)
    for unit in units:
        rng = np.random.default_rng(unit)
        stimulus = np.repeat([f"s{k}" for k in range(4)], repeats(unit)).astype(object)
        site = {"session_ID": day(unit), "recording_channel": 1, "unit": "A", "alignment_event_time": 201.0}
        content = {
            "raster_data": (rng.random((len(stimulus), 700)) < 0.02).astype(np.uint8),
            "raster_labels": {"stimulus_id": stimulus},
            "raster_site_info": site,
        }
        scipy.io.savemat(folder / f"n{unit}_raster_data.mat", change(content) if change else content)
    return folder


def test_f33_unequal_repeats(tmp_path):
    folder = raster(tmp_path / "r", repeats=lambda unit: 3 + unit)
    least = ephys.counts(folder, window=WINDOW, bin_width=0.5)
    every = ephys.counts(folder, window=WINDOW, bin_width=0.5, complete=False)
    assert (least.sizes["presentation"], every.sizes["presentation"]) == (12, 16)
    assert np.isnan(every["response"].values[..., 0]).sum(axis=0).tolist() == [4, 0]
    for unit in range(2):
        held = scipy.io.loadmat(folder / f"n{unit}_raster_data.mat")["raster_data"]
        by_hand = held[:, 100:600].sum(axis=1).reshape(4, -1).mean(axis=1)
        mean = every["response"][:, unit, 0].groupby(every["stimulus_id"]).mean()
        assert np.allclose(mean, by_hand)


def test_f37_one_name_on_two_days(tmp_path):
    def named(content):
        return content | {"raster_site_info": content["raster_site_info"] | {"unit_name": "n"}}

    apart = ephys.counts(raster(tmp_path / "a"), window=WINDOW)
    with pytest.warns(UserWarning, match="1 unit names stand in more than one recording: n"):
        found = ephys.counts(raster(tmp_path / "b", change=named), window=WINDOW)
    assert found["neuroid_id"].values.tolist() == ["0/n", "1/n"]
    assert np.array_equal(found["response"], apart["response"])
    with pytest.raises(ValueError, match="n stands in two files of one recording"):
        ephys.counts(raster(tmp_path / "c", change=named, day=lambda unit: 5), window=WINDOW)


def test_f38_sessions_pair_by_stimulus_and_never_by_position(tmp_path):
    def turned(content):
        order = np.random.default_rng(5).permutation(12)
        content["raster_data"] = content["raster_data"][np.sort(order)[order]]
        content["raster_labels"] = {"stimulus_id": content["raster_labels"]["stimulus_id"][order]}
        return content

    plain = ephys.counts(raster(tmp_path / "a"), window=WINDOW, bin_width=0.5)
    other = ephys.counts(raster(tmp_path / "b", change=turned), window=WINDOW, bin_width=0.5)
    assert other["stimulus_id"].values.tolist() == plain["stimulus_id"].values.tolist()
    for name in set(plain["stimulus_id"].values.tolist()):
        here = plain["stimulus_id"].values == name
        assert np.array_equal(
            np.sort(plain["response"].values[here], axis=0), np.sort(other["response"].values[here], axis=0)
        )


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda c: c | {"raster_data": c["raster_data"] * 0.5},
            "trial .* sample .*: 0.5 is not a number of spikes",
        ),
        (lambda c: c | {"raster_data": c["raster_data"][:-1]}, "stimulus_id: has 12 labels for 11 trials"),
        (lambda c: c | {"raster_site_info": {"unit": "A"}}, "alignment_event_time: missing"),
        (lambda c: {"raster_data": c["raster_data"]}, "holds raster_data; spikes are counted from"),
    ],
    ids=["half a spike", "a label too many", "no alignment", "no labels"],
)
def test_f34_rasters_that_are_not(change, line, tmp_path):
    with pytest.raises(ValueError, match=line):
        ephys.counts(raster(tmp_path / "r", change=change), window=WINDOW)


def test_r04_no_raster_passes_when_cut(tmp_path):
    """One line, or, where only padding is lost, the same numbers."""
    path = raster(tmp_path / "r", units=[0]) / "n0_raster_data.mat"
    whole, sound = path.read_bytes(), ephys.counts(path, window=WINDOW)
    for end in np.random.default_rng(1).integers(0, len(whole) - 1, 40):
        path.write_bytes(whole[:end])
        told = outcome(path)
        assert told == sound["response"].values.tobytes() or told.startswith(str(path).encode())


def outcome(path):
    try:
        return ephys.counts(path, window=WINDOW)["response"].values.tobytes()
    except ValueError as error:
        return str(error).encode()
