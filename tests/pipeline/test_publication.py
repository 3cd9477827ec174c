from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from datasets import example, same

from pipeline import _process, _sidecar, store


def killed(act: Callable[[], object], after: float) -> None:
    """Runs `act` in a forked process that is killed so many seconds after it began."""
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(sink, b"x")
            act()
        finally:
            os._exit(0)
    os.read(source, 1)
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(source)
    os.close(sink)


def campaign(folder: Path, rounds: int) -> dict[str, int]:
    old, new = example(1, 400), example(2, 400)
    digests = {
        store.write(old, folder / "old.nc", "k"): "old",
        store.write(new, folder / "new.nc", "k"): "new",
    }
    seen = {"old": 0, "new": 0}
    start = time.perf_counter()
    store.write(old, folder / "a.nc", "k")
    takes = time.perf_counter() - start
    for number in range(rounds):
        store.write(old, folder / "a.nc", "k")
        killed(lambda: store.write(new, folder / "a.nc", "k"), takes * 3 * number / rounds)
        seen[digests[store.verify(folder / "a.nc").digest]] += 1
        store.read(folder / "a.nc")
        _process.sweep(folder)
        store.settle(folder / "a.nc")
        assert sorted(path.name for path in folder.glob(".*")) == []
        assert len(_sidecar.entries(folder / "a.nc")) == 1
    return seen


def test_r03_a_kill_during_publication_leaves_old_or_new(tmp_path: Path) -> None:
    seen = campaign(tmp_path, 20)
    assert seen["old"] > 0
    assert sum(seen.values()) == 20


@pytest.mark.slow
def test_r03_fifty_kills_during_publication(tmp_path: Path) -> None:
    seen = campaign(tmp_path, 50)
    assert min(seen.values()) > 0


def test_a_publication_cut_between_its_steps_vouches_for_what_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(example(1), tmp_path / "a.nc", "old")
    real = os.replace
    for number in range(3):
        calls = iter(range(10))

        def stop(source: object, target: object, calls: object = calls, number: int = number) -> None:
            if next(calls) == number:
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            store.write(example(2), tmp_path / "a.nc", "new")
        monkeypatch.setattr(os, "replace", real)
        assert store.verify(tmp_path / "a.nc").key == ("new" if number == 2 else "old")
        assert same(example(2 if number == 2 else 1), store.read(tmp_path / "a.nc"))
        store.settle(tmp_path / "a.nc")
        assert len(_sidecar.entries(tmp_path / "a.nc")) == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "a.nc.sha256"]


def test_f55_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    store.write(example(1), tmp_path / "a.nc", "old")
    before = (tmp_path / "a.nc").read_bytes()
    for limit in (100, 20_000, 100_000, 400_000):
        pid = os.fork()
        if not pid:
            code = 9
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                store.write(example(2, 4000), tmp_path / "a.nc", "new")
            except OSError:
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert (tmp_path / "a.nc").read_bytes() == before
        assert store.verify(tmp_path / "a.nc").key == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nc", "a.nc.sha256"]


def test_f58_temporary_files_of_the_dead_are_swept_and_of_the_living_are_left(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    alive = _process.temporary(tmp_path / "a.nc")
    reused = _process.owner().rsplit("-", 1)[0] + "-1"
    for name in (
        alive.name,
        f".a.nc.{_process._host()}-{dead.pid}-77.3.tmp",
        f".a.nc.{reused}.4.tmp",
        ".a.nc.elsewhere-12-34.5.tmp",
        ".hidden",
        "a.tmp",
    ):
        (tmp_path / name).write_text("x")
    _process.sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {alive.name, ".a.nc.elsewhere-12-34.5.tmp", ".hidden", "a.tmp"}


def test_f46_a_lock_ends_with_its_holder_and_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / ".a.nc.lock"
    path.write_text("process 99999999 on elsewhere")  # what a dead holder left
    with (
        _process.lock(path, wait=False),
        pytest.raises(_process.Held, match=f"a.nc: process {os.getpid()} on"),
        _process.lock(path, wait=False),
    ):
        pass
    assert not path.exists()
    inside, most = [], []

    def hold(number: int) -> None:
        with _process.lock(path):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(hold, range(20)))
    assert max(most) == 1
    assert not path.exists()
