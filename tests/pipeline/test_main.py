from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import parts
from pipeline.__main__ import main

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CODE = str(HERE / "made_up.py")

STUDY = """\
units: {subject: ["01", "02"]}
steps:
  files: {use: made_up.files, with: {path: "{results}/bids", subject: "{subject}"}}
  recording: {use: made_up.recording, with: {path: "{results}/bids/sub-{subject}"}, from: {manifest: files}}
  level: {use: made_up.mean, from: {recording: recording}}
  group: {use: made_up.across, gather: {recording: level}}
"""


def digests(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def command(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pipeline", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, check=False, **options)


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    start = time.perf_counter()
    done = command("--help", cwd=ROOT)
    assert done.returncode == 0
    assert "check|run|draw|list" in done.stdout
    assert time.perf_counter() - start < 2  # 0.05 s on a quiet machine
    heavy = "import sys, pipeline.__main__; sys.exit(bool({'numpy', 'xarray', 'yaml'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, check=False).returncode == 0


def test_the_catalogue_is_on_stdout_and_imports_nothing(capsys: pytest.CaptureFixture) -> None:
    assert main(["list"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert any(line.startswith("loaders.schema.check ") for line in told.out.splitlines())


@pytest.mark.parametrize("words", [[], ["cook"], ["run"], ["run", "x.yaml", "--no-such"]])
def test_wrong_usage_is_exit_2(words: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: neuroloop" in capsys.readouterr().err


@pytest.mark.parametrize("act", ["check", "run", "draw", "list"])
def test_a_study_that_is_not_there_is_one_line_and_exit_2(act: str, capsys: pytest.CaptureFixture) -> None:
    for name in ("no_such_study_at_all", "no/such/file.yaml"):
        assert main([act, name]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "Traceback" not in err


def test_r18_code_is_not_run_unless_it_is_allowed(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\ndef act(): pass\n")
    study = tmp_path / "test.yaml"
    for use in (
        "evil.act",
        "os.system",
        "subprocess.run",
        "pipeline.run.run",
        "loaders._child.call",
        "__main__.x",
    ):
        study.write_text(f"steps:\n  a: {{use: {use}}}\n")
        assert main(["run", str(study), "--results", str(tmp_path / "results")]) == 2
        assert capsys.readouterr().err.startswith(f"{study}:2:7: step a: ")
    assert not mark.exists()
    assert not (tmp_path / "results").exists()


def test_f48_the_surroundings_do_not_change_a_bit(tmp_path: Path) -> None:
    study = tmp_path / "test.yaml"
    study.write_text(STUDY)
    words = ("run", study, "--allow-code", CODE, "--results")
    parts.allow(CODE)
    assert main([str(word) for word in (*words, tmp_path / "here", "--workers", 1, "--quiet")]) == 0
    bare = {
        "PATH": os.environ["PATH"], "LANG": "C", "LC_ALL": "de_DE.UTF-8", "TERM": "dumb",
        "TZ": "Asia/Kathmandu", "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "OMP_NUM_THREADS": "3",
        "PYTHONHASHSEED": "7",
    }  # fmt: skip
    done = command(*words, tmp_path / "there", env=bare, cwd=tmp_path, umask=0o077, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert digests(tmp_path / "there") == digests(tmp_path / "here")


def test_f47_standard_error_without_a_reader_is_exit_141(tmp_path: Path) -> None:
    study = tmp_path / "test.yaml"
    study.write_text(STUDY)
    source, sink = os.pipe()
    os.close(source)
    words = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        study,
        "--allow-code",
        CODE,
        "--results",
        tmp_path / "results",
    ]
    done = subprocess.run(words, cwd=ROOT, stderr=sink, check=False)
    os.close(sink)
    assert done.returncode == 141
    assert not list((tmp_path / "results").rglob(".*"))


def test_a_terminal_gets_a_bar_and_a_log_does_not(tmp_path: Path) -> None:
    import pty

    study = tmp_path / "test.yaml"
    study.write_text(STUDY)
    words = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        study,
        "--allow-code",
        CODE,
        "--results",
        tmp_path / "results",
    ]
    master, slave = pty.openpty()
    with subprocess.Popen(
        words, cwd=ROOT, stderr=slave, stdout=slave, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(slave)
        said = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            said += piece
    os.close(master)
    assert process.returncode == 0
    assert b"7/7" in said
    assert b"\x1b" in said


def test_r10_a_thousand_results_and_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    units = ", ".join(f'"{number:03d}"' for number in range(100))
    study = tmp_path / "test.yaml"
    study.write_text(
        f"units: {{subject: [{units}]}}\nsteps:\n"
        '  a: {use: made_up.noise, with: {subject: "{subject}"}}\n'
        "  b: {use: made_up.mean, from: {recording: a}}\n"
    )
    words = ["run", str(study), "--allow-code", CODE, "--quiet", "--workers", "1"]
    assert main(words) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")}
    assert len([path for path in before if path.suffix == ".nc"]) == 200
    start = time.process_time()
    assert main(words) == 0
    assert time.process_time() - start < 0.6  # a fifth of 3 s for a fifth of a thousand
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")} == before
