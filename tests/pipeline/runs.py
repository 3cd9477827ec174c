"""What the runner's tests share: a study of made-up steps, and ways to run it and compare what it makes."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.__main__ import main

CODE = str(Path(__file__).resolve().parent / "made_up.py")

STUDY = """\
about: a test
units: {subject: ["01", "02", "03"]}
on_error: stop
steps:
  files: {use: made_up.files, with: {path: "{results}/bids", subject: "{subject}"}}
  recording:
    {use: made_up.recording, with: {path: "{results}/bids/sub-{subject}", gain: 2}, from: {manifest: files}}
  twice: {use: made_up.lazy, with: {parts: 3}, from: {recording: recording}}
  level: {use: made_up.mean, from: {recording: twice}}
  group: {use: made_up.across, gather: {recording: level}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "test.yaml"
    path.write_text(text)
    return path


def cli(*words: object) -> int:
    return main([str(word) for word in (*words, "--allow-code", CODE)])


def made(study: Path, results: str = "results", *words: object) -> int:
    return cli("run", study, "--results", results, "--workers", 1, *words)


def tree(folder: Path | str) -> dict[str, str]:
    """Digests of all files, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def times(folder: Path | str) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path(folder).rglob("*") if path.is_file()}


def forked(act: Callable[[], int], log: Path) -> int:
    """The number of a process that does something, with what it says in a file."""
    import dask.threaded

    pid = os.fork()
    if not pid:
        code = 99
        signal.alarm(120)
        dask.threaded.pools.clear()  # threads do not survive a fork
        dask.threaded.default_pool = None
        try:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 2)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            code = act()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
