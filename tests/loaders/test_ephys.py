"""Spike loaders: one truth in every format, and the real recordings."""

from __future__ import annotations

import datetime
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import xarray as xr

from loaders import _bins, ephys

WINDOW, WIDTH = (-0.1, 0.4), 0.05
UNITS, REGIONS = ["a1", "b2", "c3"], ["V4", "IT", "IT"]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; test_ephys_faults.py tests the child itself."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


@pytest.fixture(scope="module")
def truth():
    """Spike times half a microsecond off a clock of microseconds, onsets on whole milliseconds."""
    rng = np.random.default_rng(0)
    trains = [(np.unique(rng.integers(0, 30_000_000, 900)) + 0.5) / 1e6 for _ in UNITS]
    onset = 1.0 + np.arange(24)
    stimulus = np.array([f"s{k}" for k in rng.permutation(np.repeat(np.arange(6), 4))])
    return {
        "trains": trains,
        "onset": onset,
        "stimulus_id": stimulus,
        "contrast": np.char.lstrip(stimulus, "s").astype(int),
    }


def expected(truth, window=WINDOW, width=WIDTH):
    edges = np.round(np.arange(window[0], window[1] + 1e-9, width), 9)
    rows = [
        [np.histogram(t, np.append(o + edges, np.inf))[0][:-1] for t in truth["trains"]]
        for o in truth["onset"]
    ]
    return np.array(rows, np.float32)


def write_nwb(path, truth, day="day1"):
    from pynwb import NWBHDF5IO, NWBFile

    file = NWBFile("test", "test", datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), session_id=day)
    group = file.create_electrode_group("g", "g", "V4", file.create_device("d"))
    for region in REGIONS:
        file.add_electrode(location=region, group=group)
    file.add_unit_column("unit_name", "name")
    for k, train in enumerate(truth["trains"]):
        file.add_unit(spike_times=train, electrodes=[k], unit_name=UNITS[k])
    for name in ("stimulus_id", "contrast"):
        file.add_trial_column(name, name)
    for onset, stimulus, contrast in zip(
        truth["onset"], truth["stimulus_id"], truth["contrast"], strict=True
    ):
        file.add_trial(
            start_time=onset, stop_time=onset + 0.5, stimulus_id=str(stimulus), contrast=int(contrast)
        )
    with NWBHDF5IO(path, "w") as sink:
        sink.write(file)
    return path


def write_nix(path, truth):
    import neo
    import quantities as pq

    block, segment = neo.Block("b", recording="day1"), neo.Segment("s")
    block.segments.append(segment)
    for k, train in enumerate(truth["trains"]):
        told = {"unit_name": UNITS[k], "region": REGIONS[k], "electrode": str(k)}
        segment.spiketrains.append(neo.SpikeTrain(train, 30.0, units="s", name=UNITS[k], **told))
    count = len(truth["onset"])
    segment.epochs.append(
        neo.Epoch(
            truth["onset"] * pq.s, np.full(count, 0.5) * pq.s, truth["stimulus_id"], name="presentations",
            array_annotations={"contrast": truth["contrast"]},
        )
    )  # fmt: skip
    with neo.io.NixIO(str(path), "ow") as sink:
        sink.write_block(block)
    return path


def write_phy(folder, truth, rate=1e6):
    folder.mkdir(exist_ok=True)
    times = np.concatenate(truth["trains"])
    clusters = np.repeat([4, 7, 9], list(map(len, truth["trains"])))
    order = np.argsort(times, kind="stable")
    np.save(folder / "spike_times.npy", np.floor(times * rate)[order].astype(np.int64))
    np.save(folder / "spike_clusters.npy", clusters[order].astype(np.int32))
    (folder / "params.py").write_text(
        f"raise SystemExit('params.py was run')\nsample_rate = {rate:.1f}  # Hz\n"
    )
    (folder / "cluster_info.tsv").write_text("cluster_id\tgroup\tch\n4\tgood\t12\n7\tmua\t13\n9\tnoise\t14\n")
    return folder


def write_raster(folder, truth, units=(0, 1, 2), day=lambda k: "day1"):
    folder.mkdir(exist_ok=True)
    for k in units:
        edges = (truth["onset"][:, None] - 0.2) + np.arange(701) / 1000
        data = np.array([np.histogram(truth["trains"][k], np.round(row, 3))[0] for row in edges]).astype(
            np.uint8
        )
        site = {"session_ID": day(k), "recording_channel": k + 1, "unit": "A", "alignment_event_time": 201}
        labels = {"stimulus_id": truth["stimulus_id"].astype(object), "contrast": truth["contrast"]}
        content = {
            "raster_data": data,
            "raster_labels": labels,
            "raster_site_info": site | {"region": REGIONS[k]},
        }
        scipy.io.savemat(folder / f"n{k}_raster_data.mat", content)
    return folder


@pytest.mark.parametrize("form", ["nwb", "nix"])
def test_every_format_gives_the_same_recording(form, truth, tmp_path):
    path = {"nwb": write_nwb, "nix": write_nix}[form](tmp_path / f"session.{form}", truth)
    found = ephys.counts(path, window=WINDOW, bin_width=WIDTH)
    assert np.array_equal(found["response"], expected(truth))
    assert found["response"].dims == ("presentation", "neuroid", "time")
    assert found["neuroid_id"].values.tolist() == UNITS
    assert found["region"].values.tolist() == REGIONS
    assert found["electrode"].values.tolist() == ["0", "1", "2"]
    assert set(found["recording"].values.tolist()) == {"day1"}
    assert found["stimulus_id"].values.tolist() == truth["stimulus_id"].tolist()
    assert found["contrast"].values.tolist() == truth["contrast"].tolist()
    assert np.array_equal(found["onset"], truth["onset"])
    assert np.allclose(found["time"], np.arange(-0.075, 0.4, 0.05))
    assert found.attrs["simultaneous"] == 1
    assert found.attrs["origin"] == "real, raw"
    for stimulus in np.unique(truth["stimulus_id"]):
        assert found["repetition"].values[truth["stimulus_id"] == stimulus].tolist() == [0, 1, 2, 3]


def test_nwb_is_read_as_pynwb_reads_it(truth, tmp_path):
    from pynwb import NWBHDF5IO

    from loaders import _ephys_nwb

    path = write_nwb(tmp_path / "a.nwb", truth)
    session = _ephys_nwb.session(str(path), "trials", "stimulus_id", "start_time")
    with NWBHDF5IO(path, "r") as source:
        file = source.read()
        for k, train in enumerate(session.trains):
            assert np.array_equal(train, file.units["spike_times"][k])
        assert session.trials["stimulus_id"].tolist() == file.trials["stimulus_id"][:].tolist()


def test_nwb_aligns_to_another_column(truth, tmp_path):
    path = write_nwb(tmp_path / "a.nwb", truth)
    late = ephys.counts(path, window=WINDOW, bin_width=WIDTH, align="stop_time")
    moved = expected(truth | {"onset": truth["onset"] + 0.5})
    assert np.array_equal(late["response"], moved)
    with pytest.raises(ValueError, match="did you mean 'stop_time'"):
        ephys.counts(path, align="stop_tim")
    with pytest.raises(ValueError, match="trials/stimulus: missing; did you mean 'stimulus_id'"):
        ephys.counts(path, stimulus="stimulus")
    by_contrast = ephys.counts(path, stimulus="contrast")
    assert by_contrast["stimulus_id"].values.tolist() == [str(value) for value in truth["contrast"]]


def test_a_region_that_the_file_does_not_tell_can_be_told(truth, tmp_path):
    folder = write_phy(tmp_path / "phy", truth)
    assert set(ephys.counts(folder, window=None)["region"].values) == {"unknown"}
    found = ephys.counts(folder, window=None, region="IT")
    assert found["region"].values.tolist() == ["IT", "IT"]
    assert "region" in found.coords


def test_phy_is_read_and_its_python_never_run(truth, tmp_path):
    folder = write_phy(tmp_path / "phy", truth)
    onsets = truth["onset"].tolist()
    found = ephys.counts(
        folder, window=WINDOW, bin_width=WIDTH, events=onsets, labels=truth["stimulus_id"].tolist()
    )
    assert np.array_equal(found["response"], expected(truth)[:, :2])
    assert found["neuroid_id"].values.tolist() == ["4", "7"]
    assert found["quality"].values.tolist() == ["good", "mua"]
    assert found["electrode"].values.tolist() == ["12", "13"]


def test_a_folder_of_rasters_is_a_pseudo_population(truth, tmp_path):
    folder = write_raster(tmp_path / "raster", truth)
    found = ephys.counts(folder, window=WINDOW, bin_width=WIDTH)
    order = np.lexsort((truth["onset"], truth["stimulus_id"]))
    assert np.array_equal(found["response"], expected(truth)[order])
    assert found["contrast"].values.tolist() == truth["contrast"][order].tolist()
    assert found["region"].values.tolist() == REGIONS
    assert found.attrs["simultaneous"] == 0
    assert "onset" not in found.coords
    wide = ephys.counts(folder, window=WINDOW, bin_width=0.2, step=0.05)
    parts = expected(truth)[order]
    assert np.array_equal(
        wide["response"], np.stack([parts[..., k : k + 4].sum(-1) for k in range(7)], axis=-1)
    )
    single = ephys.counts(folder / "n1_raster_data.mat", window=WINDOW, bin_width=WIDTH)
    assert np.array_equal(single["response"], expected(truth)[:, 1:2])
    with pytest.raises(ValueError, match=r"window -0.3 to 0.4 s leaves the raster, -0.2 to 0.5 s"):
        ephys.counts(folder, window=(-0.3, 0.4))
    with pytest.raises(ValueError, match="window: None"):
        ephys.counts(folder, window=None)


def test_a_folder_of_sessions_is_a_pseudo_population(truth, tmp_path):
    write_nwb(tmp_path / "one.nwb", truth)
    write_nwb(tmp_path / "two.nwb", truth | {"trains": truth["trains"][::-1]}, "day2")
    with pytest.warns(UserWarning, match="3 unit names stand in more than one recording"):
        found = ephys.counts(tmp_path, window=WINDOW, bin_width=WIDTH)
    order = np.lexsort((truth["onset"], truth["stimulus_id"]))
    both = np.concatenate([expected(truth), expected(truth)[:, ::-1]], axis=1)
    assert np.array_equal(found["response"], both[order])


def test_whole_recording_and_events(truth, tmp_path):
    path = write_nix(tmp_path / "a.nix", truth)
    whole = ephys.counts(path, window=None, bin_width=1.0)
    assert whole["response"].sum() == sum(map(len, truth["trains"]))
    assert whole["time"].values[[0, 29]].tolist() == [0.5, 29.5]
    by_name = ephys.counts(path, window=WINDOW, bin_width=WIDTH, events="presentations")
    assert np.array_equal(by_name["response"], expected(truth))
    with pytest.raises(ValueError, match="no channel 'presentation'; did you mean 'presentations'"):
        ephys.counts(path, events="presentation")
    with pytest.warns(
        UserWarning, match="1 of 2 presentations left out: their window leaves the recording, 0 to 30 s"
    ):
        some = ephys.counts(path, window=WINDOW, events=[5.0, 29.8])
    assert some["onset"].values.tolist() == [5.0]


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"bin_width": 0.0}, "bin_width: 0.0 is not a time"),
        ({"step": float("nan")}, "step: nan is not a time"),
        ({"window": (0.5, 0.1)}, "does not hold one bin"),
        ({"window": (0.0, 0.1, 0.2)}, "does not hold one bin"),
        ({"events": [1.0, 2.0], "labels": ["a"]}, "labels: 1 for 2 events"),
        ({"labels": ["a"]}, "labels: are given with events"),
        ({"table": "trial"}, "did you mean 'trials'"),
    ],
)
def test_bad_arguments_are_told(told, line, truth, tmp_path):
    path = write_nwb(tmp_path / "a.nwb", truth)
    with pytest.raises(ValueError, match=line):
        ephys.counts(path, **told)


def test_a_manifest_is_compared_before_reading(truth, tmp_path):
    folder = write_phy(tmp_path / "phy", truth)
    names = [item.relative_to(tmp_path).as_posix() for item in sorted(folder.iterdir())]
    digests = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names]
    manifest = xr.Dataset(
        coords={"name": ("file", names), "sha256": ("file", digests)}, attrs={"origin": "simulated"}
    )
    found = ephys.counts(folder, window=None, manifest=manifest)
    assert (found.attrs["verified"], found.attrs["origin"]) == ("sha256 manifest", "simulated")
    assert ephys.counts(folder, window=None).attrs["verified"] == "unverified"
    times = np.load(folder / "spike_times.npy")
    np.save(folder / "spike_times.npy", times + 1)
    with pytest.raises(ValueError, match=r"spike_times.npy: digest differs"):
        ephys.counts(folder, window=None, manifest=manifest)
    with pytest.raises(ValueError, match=r"cluster_info.tsv: is not in the manifest"):
        ephys.counts(folder, window=None, manifest=manifest.isel(file=slice(1, None)))


def test_seven_objects(neuro_data):
    """Pairing by object, position and repetition: decodable at 100-250 ms, not before onset."""
    folder = neuro_data / "macaque" / "it_seven_objects"
    found = ephys.counts(folder, window=[-0.5, 0.5], bin_width=0.15, step=0.05)
    assert found.sizes["neuroid"] == 132
    pairs = [f"{o}_{p}" for o, p in zip(found["object"].values, found["position"].values, strict=True)]
    assert found["stimulus_id"].values.tolist() == pairs
    assert len(set(pairs)) == 21
    assert min(np.unique(pairs, return_counts=True)[1]) >= 19
    assert 399 <= found.sizes["presentation"] <= 420
    assert len(np.unique(found["recording"])) == 21
    accuracy = {round(float(t), 3): _max_correlation(found, k) for k, t in enumerate(found["time"].values)}
    assert accuracy[0.175] >= 0.82  # 100-250 ms
    assert all(0.09 < accuracy[t] < 0.18 for t in (-0.425, -0.325, -0.225, -0.125))
    with_gaps = ephys.counts(folder, window=[-0.5, 0.5], bin_width=0.15, complete=False)
    assert np.isnan(with_gaps["response"]).any()
    assert with_gaps.sizes["presentation"] == 420


def _max_correlation(found, at):
    """Ten folds over repetitions: the object whose mean training pattern correlates best."""
    x = found["response"].values[:, :, at].astype(float)
    labels, y = np.unique(found["object"].values, return_inverse=True)
    fold = found["repetition"].values % 10
    right = np.zeros(len(y), bool)
    for k in range(10):
        train = fold != k
        z = (x - x[train].mean(0)) / (x[train].std(0) + 1e-9)
        means = np.stack([z[train & (y == j)].mean(0) for j in range(len(labels))])
        right[~train] = (
            np.corrcoef(z[~train], means)[: (~train).sum(), (~train).sum() :].argmax(1) == y[~train]
        )
    return right.mean()


def test_every_macaque_file_loads_or_is_refused_by_name(neuro_data):
    loaded, refused = [], []
    for path in sorted((neuro_data / "macaque").rglob("*")):
        if path.is_dir() or path.suffix == ".zip":
            continue
        window = None if path.suffix == ".plx" else (-0.1, 0.4)
        calls = [lambda p=path, w=window: ephys.counts(p, window=w), lambda p=path: _matrix(p)]
        lines = []
        for call in calls:
            try:
                call()
            except ValueError as error:
                lines.append(str(error))
        (loaded if len(lines) < 2 else refused).append(path)
        assert all(line.startswith(str(path)) and "\n" not in line for line in lines), lines
    assert [path.name for path in refused if path.suffix not in (".md", ".txt")] == [
        "92_behavRDMs.mat", "92_brainRDMs.mat", "92_modelRDMs.mat",
        "Kriegeskorte_Neuron2008_supplementalData.mat", "opx141ch1to3analogOnly003.plx",
    ]  # fmt: skip
    assert len(loaded) == 132 + 2 + 5


def _matrix(path: Path):
    dims = ("neuroid", "stimulus", "repetition") if "raw" in path.parent.name else None
    if "averaged" in path.parent.name:
        dims = ("neuroid", "stimulus")
    return ephys.response_matrix(path, dims=dims)


def test_one_child_reads_a_folder(truth, tmp_path, monkeypatch):
    monkeypatch.delenv("NEUROLOOP_CHILD")
    here = ephys.counts(write_raster(tmp_path / "raster", truth), window=WINDOW)
    monkeypatch.setitem(os.environ, "NEUROLOOP_CHILD", "1")
    assert here.identical(ephys.counts(tmp_path / "raster", window=WINDOW))


def test_the_kernel_is_what_counts(truth, tmp_path):
    """A spike less than 100 ns before an edge is on it: three times 0.1 s is on the edge at 0.3 s."""
    exact = truth | {"trains": [truth["onset"] + 0.1 * 3, truth["onset"] + 0.3, truth["onset"] + 0.05]}
    found = ephys.counts(write_nwb(tmp_path / "a.nwb", exact), window=(0.0, 0.4), bin_width=0.1)
    total = found["response"].sum("presentation").values
    assert total.tolist() == [[0, 0, 0, 24], [0, 0, 0, 24], [24, 0, 0, 0]]
    edges = np.array([0.0, 0.5, 1.0])
    plain = _bins.counts(np.array([0.5 - 1e-9]), np.array([0, 1]), np.zeros(1), edges)
    assert plain.ravel().tolist() == [1, 0]
