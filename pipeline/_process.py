"""Who is at work: names of owners, and locks and temporary files that end with theirs."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY = re.compile(r"\..+\.([A-Za-z0-9]*-\d+-\d+)\.\d+\.tmp")

_count = iter(range(10**9))
_counting = threading.Lock()


class Held(OSError):
    """Somebody else is making the same result."""


def owner(pid: int | None = None) -> str:
    """The name of a process that no later process bears: host, number, and when it started."""
    pid = os.getpid() if pid is None else pid
    return f"{_host()}-{pid}-{_started(pid)}"


def alive(name: str) -> bool:
    """Whether the owner of that name still runs; one on another host is believed to."""
    host, pid, _ = name.rsplit("-", 2)
    return host != _host() or name == owner(int(pid))


def temporary(path: Path) -> Path:
    """A fresh name for a temporary file beside `path`, which says whose it is."""
    with _counting:
        return path.with_name(f".{path.name}.{owner()}.{next(_count)}.tmp")


def sweep(folder: Path) -> None:
    """Removes temporary files whose owner is gone, and locks that nobody holds.

    Reads    a folder, not what is below it
    Returns  nothing; files of living owners and of other hosts stay
    """
    try:
        names = [item.name for item in os.scandir(folder) if item.name[0] == "."]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        found = TEMPORARY.fullmatch(name)
        if found and not alive(found[1]):
            (folder / name).unlink(missing_ok=True)
        elif name.endswith(".lock"):
            try:
                with lock(folder / name, wait=False):
                    pass
            except Held:
                continue


@contextmanager
def lock(path: Path, wait: bool = True, say: Callable[[str], object] = lambda line: None) -> Iterator[None]:
    """Held by one process and thread at a time; the kernel frees it when its holder dies, however that is.

    Reads    the path of a lock file, which exists only while held; wait, else raise Held at once
    Returns  a context; `say` hears once whom it waits for
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _acquire(handle, path, wait, say)
            if _same(handle, path):
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed it while we waited
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire(handle: int, path: Path, wait: bool, say: Callable[[str], object]) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 300, 0).decode("utf-8", "replace") or "another process"
        name = str(path.with_name(path.name[1 : -len(".lock")]))
        if not wait:
            raise Held(f"{name}: {holder} is making it; wait for it to end") from None
        say(f"{name}: waiting for {holder}, which is making it")
        fcntl.flock(handle, fcntl.LOCK_EX)


def _same(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(handle)
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)


def _host() -> str:
    return re.sub("[^A-Za-z0-9]", "", socket.gethostname())[:32]


def _started(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return _breathes(pid)


def _breathes(pid: int) -> str:
    """Where /proc does not tell: 0 for a process that lives."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        pass
    return "0"
