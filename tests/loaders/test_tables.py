"""muse-lsl tables: rows are samples, markers are trials, and absent rows are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loaders import _child, _tables, meg

MARKS = np.arange(300, 4800, 300)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")


def write(path: Path, seed: int = 0, jitter: float = 0.0, lost: slice | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    volts = rng.normal(0, 10, (5000, 3)).round(3)
    marker = np.zeros(5000, int)
    marker[MARKS] = 1 + np.arange(len(MARKS)) % 2
    time = 1000 + np.arange(5000) / 256 + jitter * rng.uniform(-1, 1, 5000)
    rows = [
        f"{t:.6f},{a:.3f},{b:.3f},{c:.3f},{m}" for t, (a, b, c), m in zip(time, volts, marker, strict=True)
    ]
    if lost is not None:
        del rows[lost]
    path.write_text("\n".join(["timestamps,TP9,AF7,Right AUX,Marker0", *rows]) + "\n")
    return volts


def test_rows_are_samples_and_markers_are_trials(tmp_path: Path) -> None:
    volts = [write(tmp_path / f"{k}.csv", seed=k, jitter=0.02) for k in range(2)]
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    found = meg.epochs(
        tmp_path, trigger_delay_s=0, window=(-0.5, 0.5), events={"house": 1, "face": 2}, subject="9"
    )
    assert found.neuroid_id.values.tolist() == ["TP9", "AF7"]
    truth = np.stack([one[at - 128 : at + 129, :2].T * 1e-6 for one in volts for at in MARKS])
    np.testing.assert_allclose(found.response.values, truth, rtol=1e-12)
    assert found.trial_type.values[:3].tolist() == ["house", "face", "house"]
    assert found.run.values.tolist() == [1] * len(MARKS) + [2] * len(MARKS)
    assert set(found.subject.values.tolist()) == {"9"}
    assert found.attrs["sampling_rate_hz"] == 256
    assert 0.015 < found.attrs["timestamp_jitter_s"] < 0.025
    assert found.attrs["sources"] == "0.csv, 1.csv"
    aux = meg.epochs(tmp_path / "0.csv", trigger_delay_s=0, kinds=["misc"])
    assert aux.neuroid_id.values.tolist() == ["Right AUX"]
    assert aux.response.attrs["units"] == "1"


def test_absent_rows_are_found(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", jitter=0.02, lost=slice(2000, 2100))
    with pytest.raises(ValueError, match=r"a.csv:2002: timestamps stray .* samples are absent"):
        _tables.read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n1000.039062", "\nabc", r":12: 'abc' is not a number"),
        ("\n1000.039062,", "\n1000.039062,7,", r":12: has 6 cells, the header 5"),
        ("TP9,AF7", "TP9,TP9", r":1: two columns have one name"),
    ],
)
def test_damaged_tables_are_told_by_their_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "a.csv"
    write(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        meg.epochs(path, trigger_delay_s=0)


def test_numbers_that_are_not_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path)
    lines = path.read_text().splitlines()
    lines[40] = ",".join([*lines[40].split(",")[:1], "nan", *lines[40].split(",")[2:]])
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"a.csv:41: TP9: nan in the data"):
        _tables.read(path)


def test_the_real_tables_are_even(neuro_data: Path) -> None:
    runs = [_tables.read(path) for path in _tables.files(neuro_data / "eeg" / "face_house")]
    assert len(runs) == 6
    assert {run.sfreq for run in runs} == {256.0}
    assert max(run.jitter_s for run in runs) < 0.031
    codes = np.concatenate([run.codes for run in runs])
    assert ((codes == 1).sum(), (codes == 2).sum()) == (591, 583)
    assert runs[0].kinds == ["eeg", "eeg", "eeg", "eeg", "misc"]
