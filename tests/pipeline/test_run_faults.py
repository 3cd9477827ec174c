from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from runs import STUDY, cli, ended, forked, made, times, tree, written

from pipeline import _jobs, _process, _sidecar, store

pytestmark = pytest.mark.usefixtures("trusted")


FAILING = """\
units: {subject: ["01", "02", "03"]}
steps:
  recording: {use: made_up.noise, with: {subject: "{subject}"}}
  level: {use: made_up.fails, with: {subject: "{subject}", bad: ["02"]}, from: {recording: recording}}
  more: {use: made_up.lazy, from: {recording: recording}}
  group: {use: made_up.across, gather: {recording: level}}
"""


@pytest.mark.parametrize(("kind", "code"), [("value", 3), ("work", 1), ("disk", 1), ("exit", 1)])
def test_a_step_that_fails_is_one_line_and_nothing_is_lost(
    kind: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, FAILING.replace('bad: ["02"]', f'bad: ["02"], kind: {kind}'))
    assert made(path, "results", "--quiet") == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"{path}:4:3: step level 02: " in err
    assert "sub-02/events.tsv:3: onset: 'n/a' is not a number" in err
    assert not any(name.endswith((".tmp", ".lock")) for name in tree("results"))
    assert not Path("results/test/level/02.nc").exists()
    before = times("results")
    path.write_text(FAILING.replace('bad: ["02"]', "bad: []"))
    assert made(path, "results", "--quiet") == 0
    assert all(times("results")[name] == when for name, when in before.items() if "recording" in name)
    assert made(path, "fresh", "--quiet") == 0
    assert tree("results") == tree("fresh")


def test_units_are_independent_and_the_missing_are_named_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, FAILING)
    assert made(path, "results", "--keep-going", "--quiet") == 3
    assert capsys.readouterr().err.count("\n") == 1
    group = store.read("results/test/group.nc")
    assert next(iter(group.attrs)) == "missing"
    assert json.loads(group.attrs["missing"]) == ["02"]
    assert list(group["subject"].values) == ["01", "03"]
    assert Path("results/test/more/02.nc").exists()
    path.write_text("on_error: continue\n" + FAILING)
    before = tree("results")
    assert made(path, "results", "--quiet") == 3
    assert tree("results") == before
    path.write_text(FAILING.replace('bad: ["02"]', "bad: []"))
    assert made(path, "results", "--quiet") == 0
    assert "missing" not in store.read("results/test/group.nc").attrs


def test_all_units_failing_leaves_no_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, FAILING.replace('["02"]', '["01", "02", "03"]', 2))
    assert made(path, "results", "--keep-going", "--quiet") == 3
    assert not Path("results/test/group.nc").exists()


@pytest.mark.parametrize(
    ("what", "code", "why"),
    [
        ("number", 1, "TypeError: made_up.wrong returned a int, not a Dataset"),
        ("dimension", 3, "dimension 'tme': not in the vocabulary; did you mean 'time'?"),
        ("nothing", 1, "KeyError"),
    ],
)
def test_a_step_that_returns_no_result_is_told(
    what: str, code: int, why: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path, f"steps:\n  a: {{use: made_up.wrong, with: {{what: {what}}}}}\n")
    assert made(path, str(tmp_path / "results")) == code
    err = capsys.readouterr().err
    assert why in err
    assert err.count("\n") == 1
    assert made(path, str(tmp_path / "results"), "--debug") == code
    assert "Traceback" in capsys.readouterr().err


def test_warnings_are_said_once_and_stamped_without_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(
        tmp_path, 'steps:\n  a: {use: made_up.warns, with: {subject: "1", folder: "{results}/bids"}}\n'
    )
    digests = set()
    for results in ("results", str(tmp_path / "other"), "."):
        assert made(path, results, "--quiet") == 0
        err = capsys.readouterr().err
        assert err.count("warning: ") == 1
        file = Path(results) / "test" / "a.nc"
        assert json.loads(store.read(file).attrs["warnings"]) == ["{results}/bids/events.tsv: not sorted"]
        digests.add(store.verify(file).digest)
        assert made(path, results, "--quiet") == 0
        assert capsys.readouterr().err == ""
    assert len(digests) == 1


def test_f45_a_results_folder_that_cannot_be_is_exit_1_before_work(
    study: Path, capsys: pytest.CaptureFixture
) -> None:
    Path("results").write_text("a file")
    assert made(study) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "results" in err
    assert Path("results").read_text() == "a file"


def test_f45_a_full_disk_is_exit_1_and_the_next_run_goes_on(study: Path, tmp_path: Path) -> None:
    import resource

    def act() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        return made(study)

    assert ended(forked(act, tmp_path / "log")) == 1
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "step recording 01" in log
    assert not [name for name in tree("results") if name.endswith((".tmp", ".lock"))]
    assert made(study) == 0
    assert made(study, "fresh") == 0
    assert tree("results") == tree("fresh")


def test_f44_a_folder_of_odd_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "-a 'b\" ü\n$HOME {x} %s" / ("long" * 50)
    odd.mkdir(parents=True)
    monkeypatch.chdir(odd)
    path = written(odd, STUDY)
    assert made(path, "re sults'\n") == 0
    monkeypatch.chdir(tmp_path)
    assert made(written(tmp_path, STUDY), "plain") == 0
    assert tree(odd / "re sults'\n") == tree("plain")


@pytest.mark.parametrize("step", ["files", "recording", "twice", "level", "group"])
@pytest.mark.parametrize("how", ["deleted", "cut", "edited", "sidecar deleted", "foreign"])
def test_f56_what_was_damaged_by_hand_is_said_and_made_again(
    step: str, how: str, study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert made(study) == 0
    before = tree("results")
    path = _jobs.file(Path("results/test"), _jobs.Job(step, "" if step == "group" else "02"))
    raw = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "sidecar deleted":
        path.with_name(path.name + ".sha256").unlink()
    else:
        then = path.stat().st_mtime_ns
        half = len(raw) // 2
        flipped = raw[:half] + bytes([raw[half] ^ 1]) + raw[half + 1 :]
        path.write_bytes({"cut": raw[:half], "edited": flipped, "foreign": b"<html>"}[how])
        os.utime(path, ns=(then, then))
    capsys.readouterr()
    assert made(study) == 0
    err = capsys.readouterr().err
    assert tree("results") == before
    assert err.count(": made in") == 1
    if how != "deleted":
        assert f"{path}: " in err
        assert "it is made again" in err


def test_f56_files_that_a_step_wrote_are_checked_by_content(
    study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert made(study) == 0
    before = tree("results")
    victim = Path("results/test/bids/sub-03/noise.bin")
    for content in (victim.read_bytes()[:-1] + b"x", b"", None):
        victim.unlink()
        if content is not None:
            victim.write_bytes(content)
        capsys.readouterr()
        assert made(study) == 0
        assert f"{victim}: " in capsys.readouterr().err
        assert tree("results") == before


@pytest.mark.parametrize("year", [1990, 2090])
def test_f49_clocks_decide_nothing(year: int, study: Path) -> None:
    assert made(study) == 0
    then = time.mktime((year, 1, 1, 0, 0, 0, 0, 0, 0))
    for path in Path("results").rglob("*"):
        os.utime(path, (then, then))
    when = times("results")
    assert made(study) == 0
    assert times("results") == when


@pytest.mark.parametrize(("change", "code"), [(1, 3), (-1, 0)])
def test_f50_a_newer_result_is_never_overwritten_and_an_older_one_is_rebuilt(
    change: int, code: int, study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "SCHEMA", store.SCHEMA + change)
        assert made(study) == 0
    before = tree("results")
    capsys.readouterr()
    assert made(study) == code
    if code:
        assert tree("results") == before
        assert "made by a newer version" in capsys.readouterr().err
        assert cli("list", study) == 0
        assert "newer" in capsys.readouterr().out
    else:
        assert made(study, "fresh") == 0
        assert tree("results") == tree("fresh")


def test_f58_what_dead_runs_left_is_swept(study: Path) -> None:
    assert made(study) == 0
    before = tree("results")
    host = _process._host()
    for name in (
        f".a.nc.{host}-99999999-1.0.tmp",
        "level/.01.nc.lock",
        f"level/.01.nc.{host}-99999999-1.0.tmp",
    ):
        (Path("results/test") / name).write_text("x")
    entry = _sidecar.Entry("0" * 64, "old", 1, "")
    path = Path("results/test/level/02.nc")
    _sidecar.vouch(path, [entry, store.verify(path)])
    assert made(study) == 0
    assert tree("results") == before
