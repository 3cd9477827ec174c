"""Simulated MEG as a BIDS dataset: what the ordinary loader reads is what was simulated, bit for bit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import uuid
import warnings
from pathlib import Path
from typing import Any

import mne
import mne_bids
import numpy as np
import pytest
import xarray as xr

from loaders import _child, _sensors, _write, meg, synthetic

TINY = {"seed": 3, "sites": 5, "identities": 3, "images": 3, "runs": 2}
ROOT_FILES = ["README", "dataset_description.json", "participants.tsv", "task-faces_events.json"]


@pytest.fixture(autouse=True)
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own files are read without a child process, whose start would take most of the time."""
    monkeypatch.setenv(_child.INSIDE, "1")


def digests(folder: Path) -> dict[str, str]:
    return {
        item.relative_to(folder).as_posix(): hashlib.sha256(item.read_bytes()).hexdigest()
        for item in sorted(folder.rglob("*"))
        if item.is_file()
    }


def raw_of(root: Path, subject: str = "01", run: int = 1) -> mne.io.BaseRaw:
    name = f"sub-{subject}/meg/sub-{subject}_task-faces_run-{run:02d}_meg.fif"
    return mne.io.read_raw_fif(root / name, verbose="error")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, xr.Dataset]:
    root = tmp_path_factory.mktemp("bids")
    return root, synthetic.write_meg_faces(root, **TINY, eog_leak=1.0)


def test_the_manifest_lists_every_file_with_its_size_and_digest(dataset: tuple[Path, xr.Dataset]) -> None:
    root, files = dataset
    told = dict(zip(files.name.values.tolist(), files.sha256.values.tolist(), strict=True))
    assert told == digests(root)
    assert [name for name in told if "/" not in name] == ROOT_FILES
    assert files.bytes.values.tolist() == [(root / name).stat().st_size for name in told]
    assert files.attrs["origin"] == "simulated"


def test_two_writes_have_the_same_bytes_on_every_computer(
    dataset: tuple[Path, xr.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uuid, "getnode", lambda: 0x123456789ABC)  # MNE signs files with this address
    assert synthetic.write_meg_faces(tmp_path, **TINY, eog_leak=1.0).identical(dataset[1])


def test_the_ordinary_loader_reads_what_was_simulated(dataset: tuple[Path, xr.Dataset]) -> None:
    root, files = dataset
    made = synthetic.meg_faces(**TINY, eog_leak=1.0)
    read = meg.epochs(
        root / "sub-01", trigger_delay_s=0, window=(-0.2, 0.5), kinds=["mag", "grad", "eog"], manifest=files
    )
    assert read.response.values.tobytes() == made.response.values.tobytes()
    for name in set(made.coords) - {"bad"}:
        assert np.array_equal(read[name].values, made[name].values, equal_nan=name.startswith("position")), (
            name
        )
    assert read.response.attrs["units"] == made.response.attrs["units"]
    assert read.attrs["origin"] == "simulated"


def test_bad_channels_are_told_and_left_out(tmp_path: Path) -> None:
    synthetic.write_meg_faces(tmp_path, **TINY, bad_channels=3)
    made = synthetic.meg_faces(**TINY, bad_channels=3)
    read = meg.epochs(tmp_path / "sub-01", trigger_delay_s=0, window=(-0.2, 0.5))
    assert read.neuroid_id.values.tolist() == made.neuroid_id.values[~made.bad.values].tolist()
    assert np.array_equal(read.response.values, made.response.values[:, ~made.bad.values])


def test_a_stated_trigger_delay_undoes_a_planted_one(tmp_path: Path) -> None:
    synthetic.write_meg_faces(tmp_path, **TINY, snr=1e9, trigger_delay_s=0.04)
    sound = synthetic.meg_faces(**TINY, snr=1e9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # silence as clean as this is remarked upon
        read = meg.epochs(tmp_path / "sub-01", trigger_delay_s=0.04, window=(-0.2, 0.5), check_units=False)
    assert np.allclose(read.response.values, sound.response.values, rtol=1e-4, atol=1e-18)


def test_triggers_events_and_tables_agree(dataset: tuple[Path, xr.Dataset]) -> None:
    root, _ = dataset
    raw = raw_of(root)
    found = mne.find_events(raw, "STI101", verbose="error")
    table = meg.events(root / "sub-01")
    first = table.isel(presentation=table.run.values == 1)
    assert found[:, 0].tolist() == first.sample.values.tolist()
    assert found[:, 2].tolist() == first.value.values.tolist()
    assert {5: "familiar", 13: "unfamiliar"}[found[0, 2]] == first.trial_type.values[0]
    assert np.allclose(first.onset.values * 250, first.sample.values)


def test_the_head_is_inside_the_helmet(dataset: tuple[Path, xr.Dataset]) -> None:
    info = raw_of(dataset[0]).info
    places = np.array([channel["loc"][:3] for channel in info["chs"][:15]])
    in_head = mne.transforms.apply_trans(info["dev_head_t"], places)
    distance = np.linalg.norm(in_head - _sensors.SPHERE_CENTRE, axis=1)
    assert distance.min() > _sensors.SPHERE_RADIUS
    assert {channel["coil_type"] for channel in info["chs"][:15]} == {3024, 3012}


def test_mne_bids_reads_the_dataset(dataset: tuple[Path, xr.Dataset]) -> None:
    path = mne_bids.BIDSPath(subject="01", task="faces", run="02", datatype="meg", root=dataset[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        raw = mne_bids.read_raw_bids(path, verbose="error")
    assert set(raw.annotations.description) == {"familiar", "unfamiliar"}
    assert raw.get_channel_types()[-2:] == ["eog", "stim"]
    assert mne_bids.get_entity_vals(dataset[0], "subject") == ["01"]


def test_subjects_may_be_written_at_the_same_time(tmp_path: Path) -> None:
    write = f"synthetic.write_meg_faces(argv[1], subject=argv[2], **{TINY})"
    code = f"from sys import argv; from loaders import synthetic; {write}"
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "two"), who]) for who in ("01", "02")
    ]
    assert [process.wait() for process in both] == [0, 0]
    for who in ("02", "01"):
        synthetic.write_meg_faces(tmp_path / "one", subject=who, **TINY)
    assert digests(tmp_path / "two") == digests(tmp_path / "one")
    rows = (tmp_path / "two" / "participants.tsv").read_text().split()
    assert rows == ["participant_id", *(f"sub-{k:02d}" for k in range(1, 17))]


def test_another_subject_does_not_touch_the_files_of_the_root(tmp_path: Path) -> None:
    synthetic.write_meg_faces(tmp_path, **TINY)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in ROOT_FILES}
    synthetic.write_meg_faces(tmp_path, subject=2, **TINY)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in ROOT_FILES} == before


@pytest.mark.parametrize("survived", range(3))
def test_an_interrupted_write_is_taken_up_again(
    survived: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = _write._fif, iter(range(9))

    def interrupted(*args: Any, **options: Any) -> None:
        if next(calls) == survived:
            raise KeyboardInterrupt
        write(*args, **options)

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(_write, "_fif", interrupted)
        synthetic.write_meg_faces(tmp_path / "twice", **TINY)
    files = synthetic.write_meg_faces(tmp_path / "twice", **TINY)
    assert files.identical(synthetic.write_meg_faces(tmp_path / "once", **TINY))
    assert digests(tmp_path / "twice") == digests(tmp_path / "once")


def test_writing_again_leaves_no_run_of_a_longer_recording(tmp_path: Path) -> None:
    synthetic.write_meg_faces(tmp_path, **TINY)
    other = synthetic.write_meg_faces(tmp_path, subject=2, **TINY)
    short = synthetic.write_meg_faces(tmp_path, **TINY | {"runs": 1})
    left = {*short.name.values.tolist(), *other.name.values.tolist()}
    assert set(digests(tmp_path)) == left


def test_a_dataset_made_elsewhere_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / "mine").write_text("kept")
    with pytest.raises(
        ValueError, match="stands beside data that were not simulated here; give a path of its own"
    ):
        synthetic.write_meg_faces(tmp_path, **TINY)
    (tmp_path / "dataset_description.json").write_text('{"Name": "somebody"}')
    with pytest.raises(ValueError, match="not simulated here"):
        synthetic.write_meg_faces(tmp_path, subject="02", **TINY)
    assert set(digests(tmp_path)) == {"sub-01/mine", "dataset_description.json"}


def test_a_subject_outside_the_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="subject: '17': the dataset lists 16; raise subjects"):
        synthetic.write_meg_faces(tmp_path, subject="17", **TINY)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_old_file_and_leaves_no_draft(tmp_path: Path) -> None:
    target = _write.text(tmp_path / "sub-01_events.tsv", "old")

    def fail(draft: Path) -> None:
        draft.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        _write.replace(target, fail)
    assert [item.read_text() for item in tmp_path.iterdir()] == ["old"]


def test_drafts_of_dead_processes_are_swept_and_those_of_live_ones_kept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = os.uname().nodename
    for process in (ended.pid, os.getppid()):
        (tmp_path / f".sub-01_{host}-{process}_events.tsv").write_text("draft")
    _write.text(tmp_path / "sub-01_events.tsv", "new")
    names = {item.name for item in tmp_path.iterdir()}
    assert names == {"sub-01_events.tsv", f".sub-01_{host}-{os.getppid()}_events.tsv"}
