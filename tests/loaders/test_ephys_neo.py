"""Vendors' files: made byte by byte where no writer exists, and real Plexon files."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from loaders import ephys

WINDOW, WIDTH = (-0.1, 0.4), 0.05


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; test_ephys_faults.py tests the child itself."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


@pytest.fixture(scope="module")
def truth():
    """Spike times half a microsecond off a clock of microseconds, onsets on whole milliseconds."""
    rng = np.random.default_rng(0)
    trains = [(np.unique(rng.integers(0, 30_000_000, 900)) + 0.5) / 1e6 for _ in range(3)]
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


def test_plexon(neuro_data):
    folder = neuro_data / "macaque" / "plexon"
    for name, trains, spikes in (("16sp_lfp_with_2coords", 8, 9294), ("opx141spkOnly004", 24, 7664)):
        found = ephys.counts(folder / f"{name}.plx", window=None)
        assert (found.sizes["neuroid"], found["response"].sum()) == (trains, spikes)
    with pytest.warns(UserWarning, match="64 of 1924 presentations left out"):
        strobes = ephys.counts(folder / "16sp_lfp_with_2coords.plx", events="Strobed")
    assert strobes.sizes["presentation"] == 1860
    with pytest.raises(ValueError, match=r"no trials are told.*'Strobed' \(1924\)"):
        ephys.counts(folder / "16sp_lfp_with_2coords.plx")
    with pytest.raises(
        ValueError, match=r"Only003.plx: has no spike train; it holds FPl-Low Pass Filtered, SPKC"
    ):
        ephys.counts(folder / "opx141ch1to3analogOnly003.plx", window=None)


def write_blackrock(path, trains, events, rate=30000):
    """A .nev file of specification 2.3: one sorted unit an electrode, words on the digital port."""
    waves = 8
    size = 8 + 2 * waves
    told = [
        struct.pack("<8sHBBHHhhBBH8x", b"NEUEVWAV", k + 1, 1, k + 1, 1000, 0, 0, 0, 1, 2, waves)
        + struct.pack("<8sH16s6x", b"NEUEVLBL", k + 1, f"elec{k + 1}".encode())
        for k in range(len(trains))
    ]
    rows = [(t, struct.pack("<IHBB", t, k + 1, 1, 0)) for k, train in enumerate(trains) for t in train]
    rows += [(t, struct.pack("<IHBBH", t, 0, 1, 0, word)) for t, word in events]
    date = [2000, 1, 6, 1, 0, 0, 0, 0]
    head = [2, 3, 1, 336 + 64 * len(trains), size, rate, rate, *date, b"test", b"", 2 * len(trains)]
    body = b"".join(row.ljust(size, b"\0") for _, row in sorted(rows, key=lambda row: row[0]))
    path.write_bytes(b"NEURALEV" + struct.pack("<2BHIIII8H32s256sI", *head) + b"".join(told) + body)
    return path


def write_neuralynx(folder, trains, events):
    """One .nse file an electrode and Events.nev; times in whole microseconds."""
    folder.mkdir()
    head = "######## Neuralynx Data File Header\r\n## Time Opened (m/d/y): 1/1/2000  (h:m:s.ms) 10:0:0.0\r\n"
    spike = "-FileType Spike\r\n-RecordSize 112\r\n-CheetahRev 5.7.4\r\n-NumADChannels 1\r\n"
    spike += "-SamplingFrequency 32000\r\n-ADBitVolts 0.00000001\r\n-WaveformLength 32\r\n-AlignmentPt 8\r\n"
    spike += "-InputInverted False\r\n-ADMaxValue 32767\r\n-InputRange 1000\r\n"
    for k, train in enumerate(trains):
        told = head + spike + f"-AcqEntName SE{k + 1}\r\n-ADChannel {k}\r\n"
        rows = [struct.pack("<QII8I32h", t, k, 1, *[0] * 40) for t in train]
        (folder / f"SE{k + 1}.nse").write_bytes(told.encode().ljust(16384, b"\0") + b"".join(rows))
    told = head + "-FileType Event\r\n-RecordSize 184\r\n-CheetahRev 5.7.4\r\n-AcqEntName Events\r\n"
    rows = [
        struct.pack("<3hQ5h8i128s", 0, 0, 2, t, 11, w, 0, 0, 0, *[0] * 8, f"{w}".encode()) for t, w in events
    ]
    (folder / "Events.nev").write_bytes(told.encode().ljust(16384, b"\0") + b"".join(rows))
    return folder


@pytest.mark.parametrize("form", ["blackrock", "neuralynx"])
def test_vendors_files_made_byte_by_byte(form, truth, tmp_path):
    rate = 30_000 if form == "blackrock" else 1_000_000
    trains = [np.unique(np.floor(train * rate).astype(int)).tolist() for train in truth["trains"]]
    events = [(round(onset * rate), 1 + k % 5) for k, onset in enumerate(truth["onset"])]
    if form == "blackrock":
        path, channel, start = write_blackrock(tmp_path / "a.nev", trains, events), "digital_input_port", 0
    else:
        path, channel = write_neuralynx(tmp_path / "day1", trains, events), "Events"
        start = min(train[0] for train in trains)
    found = ephys.counts(path, window=WINDOW, bin_width=WIDTH, events=channel)
    ticks = {"trains": [np.array(train) / rate for train in trains], "onset": truth["onset"]}
    assert np.array_equal(found["response"], expected(ticks))
    assert np.allclose(found["onset"], truth["onset"] - start / rate, atol=1e-6)
    assert found["stimulus_id"].values.tolist() == [str(word) for _, word in events]
    assert found["electrode"].values.tolist() == (
        ["1", "2", "3"] if form == "blackrock" else ["SE1", "SE2", "SE3"]
    )
    assert found["unit"].values.tolist() == ["1", "1", "1"]
