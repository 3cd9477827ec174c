from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from runs import STUDY, cli, ended, forked, made, tree, written

from pipeline import _process

pytestmark = pytest.mark.usefixtures("trusted")


def test_f46_five_runs_at_once_make_the_same(study: Path, tmp_path: Path) -> None:
    pids = [forked(lambda: made(study), tmp_path / f"log{number}") for number in range(5)]
    assert [ended(pid) for pid in pids] == [0] * 5
    assert made(study, "fresh") == 0
    assert tree("results") == tree("fresh")
    said = "".join((tmp_path / f"log{number}").read_text() for number in range(5))
    assert said.count(": made in") == 13


def test_f46_without_waiting_the_holder_is_named(study: Path, capsys: pytest.CaptureFixture) -> None:
    folder = Path("results/test/files")
    folder.mkdir(parents=True)
    with _process.lock(folder / ".01.nc.lock"):
        assert made(study, "results", "--no-wait") == 1
    err = capsys.readouterr().err
    assert f"process {os.getpid()} on {socket.gethostname()} is making it" in err
    assert made(study) == 0


SLOW = """\
units: {subject: ["01", "02", "03", "04"]}
steps:
  noise: {use: made_up.sleeps, with: {subject: "{subject}", seconds: 0.0511, child: true}}
  twice: {use: made_up.lazy, from: {recording: noise}}
  level: {use: made_up.mean, from: {recording: twice}}
  group: {use: made_up.across, gather: {recording: level}}
"""


def sleepers() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.info["cmdline"] == ["sleep", "0.0511"]:
            found.append(process)
    return found


def disturb(path: Path, folder: Path, number: int, moments: list[float], code: int) -> int:
    """How many runs a signal ended before they were done; each is looked at, and the last one finishes."""
    ends = 0
    for moment in moments:
        pid = forked(lambda: made(path, str(folder)), folder.parent / "log")
        time.sleep(moment)
        os.kill(pid, number)
        got = ended(pid)
        assert got in (0, code)
        ends += got == code
        if number != signal.SIGKILL:
            assert not sleepers()
            assert not [name for name in tree(folder) if name.endswith((".tmp", ".lock"))]
            assert "Traceback" not in (folder.parent / "log").read_text()
    return ends


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_f47_r02_a_run_that_is_ended_goes_on_where_it_was(number: int, code: int, tmp_path: Path) -> None:
    path = written(tmp_path, SLOW)
    (tmp_path / "results").mkdir()
    ends = disturb(path, tmp_path / "results", number, [0.08, 0.12, 0.17, 0.23, 0.3], code)
    assert ends > 0
    assert made(path, str(tmp_path / "results"), "--quiet") == 0
    assert made(path, str(tmp_path / "fresh"), "--quiet") == 0
    assert tree(tmp_path / "results") == tree(tmp_path / "fresh")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_r15_twenty_moments_each(number: int, code: int, tmp_path: Path) -> None:
    path = written(tmp_path, SLOW)
    assert made(path, str(tmp_path / "fresh"), "--quiet") == 0
    for moment in np.linspace(0.02, 0.6, 20):
        folder = tmp_path / f"{moment:.3f}" / "results"
        folder.mkdir(parents=True)
        disturb(path, folder, number, [float(moment)], code)
        assert made(path, str(folder), "--quiet") == 0
        assert tree(folder) == tree(tmp_path / "fresh")


def test_f47_two_signals_are_one(tmp_path: Path) -> None:
    path = written(tmp_path, SLOW.replace("0.0511", "60.0511"))
    pid = forked(lambda: made(path, str(tmp_path / "results")), tmp_path / "log")
    until = time.monotonic() + 60
    while not psutil.Process(pid).children(recursive=True) and time.monotonic() < until:
        time.sleep(0.01)  # until it is at work, however fast or busy the machine
    os.kill(pid, signal.SIGINT)
    time.sleep(0.001)
    os.kill(pid, signal.SIGINT)
    assert ended(pid) == 130
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_f47_a_closed_pipe_ends_it_silently(study: Path, tmp_path: Path) -> None:
    assert made(study, "results", "--quiet") == 0
    source, sink = os.pipe()
    os.close(source)

    def act() -> int:
        os.dup2(sink, 1)
        sys.stdout = os.fdopen(1, "w")
        return cli("list", study)

    assert ended(forked(act, tmp_path / "log")) == 141
    assert (tmp_path / "log").read_text() == ""
    os.close(sink)


@pytest.mark.parametrize("workers", [2, 4])
def test_f60_threads_make_the_same_bytes(workers: int, study: Path) -> None:
    assert made(study, "one", "--quiet") == 0
    assert cli("run", study, "--results", "many", "--workers", workers, "--quiet") == 0
    assert tree("many") == tree("one")


def test_f51_f60_r19_a_scheduler_elsewhere_makes_the_same_bytes_though_a_worker_is_killed(
    tmp_path: Path,
) -> None:
    from distributed import LocalCluster

    path = written(tmp_path, STUDY.replace("made_up.lazy, with: {parts: 3}", "made_up.slow"))
    assert made(path, str(tmp_path / "here"), "--quiet") == 0
    options = {
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:0",
        "n_workers": 2,
        "threads_per_worker": 2,
    }
    with LocalCluster(**options, processes=True, silence_logs=50) as cluster:
        mine = {item.laddr for item in psutil.Process().net_connections() if item.status == "LISTEN"}
        words = ("run", path, "--scheduler", cluster.scheduler_address, "--quiet", "--results")
        victim = cluster.workers[0].pid
        killer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
        killer.start()
        assert cli(*words, tmp_path / "there") == 0
        killer.join()
        assert not psutil.pid_exists(victim) or psutil.Process(victim).status() == "zombie"
        assert tree(tmp_path / "there") == tree(tmp_path / "here")
        assert cli(*words, tmp_path / "again") == 0
        assert tree(tmp_path / "again") == tree(tmp_path / "here")
        now = {item.laddr for item in psutil.Process().net_connections() if item.status == "LISTEN"}
        assert now == mine
        assert {address.ip for address in now} <= {"127.0.0.1"}


def test_a_scheduler_that_is_not_there_is_one_line(study: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli("run", study, "--scheduler", "nonsense:1:2") == 1
    err = capsys.readouterr().err
    assert "no scheduler answers there" in err
    assert "Traceback" not in err
