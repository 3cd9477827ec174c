from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
  noise: {use: made_up.noise, with: {subject: "{subject}"}}
  group: {use: made_up.across, gather: {recording: level}}
  level: {use: made_up.mean, from: {recording: noise}}
"""


def digests(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--snakefile", ROOT / "workflows" / "Snakefile",
            "--profile", ROOT / "workflows" / "profiles" / "laptop", *words,
            "--config", "studies=my studies", "results=my results", f"allow_code={CODE}",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my studies").mkdir()
    (tmp_path / "my studies" / "test.yaml").write_text(STUDY)
    parts.allow(CODE)
    words = ["run", tmp_path / "my studies" / "test.yaml", "--allow-code", CODE, "--workers", 1, "--quiet"]
    assert main([str(word) for word in (*words, "--results", tmp_path / "cli")]) == 0
    return tmp_path


def test_r25_lint_and_dry_run_are_clean(folder: Path) -> None:
    lint = snakemake(folder, "--lint")
    assert lint.returncode == 0, lint.stderr
    dry = snakemake(folder, "--dry-run", "test")
    assert dry.returncode == 0, dry.stderr
    assert all(f"rule test_{name}:" in dry.stdout + dry.stderr for name in ("noise", "level", "group"))
    assert not (folder / "my results" / "test").exists()


@pytest.mark.slow
def test_f57_snakemake_makes_the_bytes_of_the_command_even_when_its_own_notes_are_lost(folder: Path) -> None:
    done = snakemake(folder, "test")
    assert done.returncode == 0, done.stderr
    made = folder / "my results" / "test"
    assert digests(made) == digests(folder / "cli" / "test")
    shutil.rmtree(folder / ".snakemake")
    for damage in (lambda raw: raw[: len(raw) // 2], lambda raw: raw[:-9] + b"x" + raw[-8:]):
        for name in ("noise/01.nc", "level/02.nc", "group.nc"):
            path = made / name
            when = path.stat()
            path.write_bytes(damage(path.read_bytes()))
            os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))
        done = snakemake(folder, "test")
        assert done.returncode == 0, done.stderr
        assert digests(made) == digests(folder / "cli" / "test")


@pytest.mark.slow
def test_r25_a_job_that_fails_is_a_job_that_failed_and_the_next_run_goes_on(folder: Path) -> None:
    study = folder / "my studies" / "test.yaml"
    study.write_text(
        STUDY.replace("made_up.mean,", "made_up.fails, with: {subject: '{subject}', bad: ['02']},")
    )
    done = snakemake(folder, "test")
    assert done.returncode == 1
    assert (
        "sub-02/events.tsv:3: onset" in (folder / "my results" / "logs" / "test" / "level.02.log").read_text()
    )
    study.write_text(STUDY)
    done = snakemake(folder, "test")
    assert done.returncode == 0, done.stderr
    assert digests(folder / "my results" / "test") == digests(folder / "cli" / "test")
