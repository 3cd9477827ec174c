"""Strangers' files are parsed in a child process with limits, so that a reader that crashes or hangs is an
error and nothing else.

HDF5 has a long history of memory faults on damaged files, and some damaged files make readers hang. A public
loader hands its private reader to `call`. A server process, started once and single threaded, forks a
child for each request; the child has a limit on time and memory and sends back plain arrays. Whatever
happens to it, the caller goes on with one clear line. The server ends with the process that started it,
and takes its children along.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import math
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

SECONDS = 20.0
BYTES_PER_SECOND = 5e6  # a large recording is given more time
MEMORY = 12 * 2**30
INSIDE = "NEUROLOOP_CHILD"
END = struct.Struct("<q?")  # what closes an answer: wait status of the reader, whether it was too late

_lock = threading.Lock()
_servers: dict[int, tuple[subprocess.Popen[bytes], socket.socket]] = {}  # by process: a fork starts its own


def call(reader: Callable[..., xr.Dataset], path: str | Path, **numbers: Any) -> xr.Dataset:
    """What `reader(path, **numbers)` returns, computed in a limited child process.

    Reads    reader, a function of a module; numbers, anything that JSON holds. A tuple PRELOAD in that module
             names what the server should import ahead
    Returns  the reader's Dataset; its warnings are repeated; ValueError carries the reader's one line, or
             says which signal or time limit ended it
    """
    if os.environ.get(INSIDE):
        return reader(path, **numbers)
    seconds = SECONDS + size(Path(path)) / BYTES_PER_SECOND
    where = [item or os.getcwd() for item in sys.path]
    names = [reader.__module__, reader.__qualname__]
    request = json.dumps([*names, str(path), numbers, seconds, MEMORY, os.getcwd(), where]).encode()
    source, sink = os.pipe()
    try:
        _send(request, sink)
    finally:
        os.close(sink)
    with os.fdopen(source, "rb") as stream:
        answer = stream.read()
    if len(answer) < END.size:
        raise ValueError(
            f"{path}: the process that reads files did not start, or was ended from outside; try again"
        )
    status, late = END.unpack(answer[-END.size :])
    if late:
        raise ValueError(f"{path}: the reader was stopped after {seconds:.0f} s; is the file damaged?")
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise ValueError(f"{path}: the reader was stopped by {name}; is the file damaged?")
    if len(answer) == END.size:
        code = os.waitstatus_to_exitcode(status)
        raise ValueError(f"{path}: the reader ended without an answer (status {code})")
    return _unpack(answer[: -END.size])


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size if path.exists() else 0


@atexit.register
def _stop() -> None:
    process, line = _servers.pop(os.getpid(), (None, None))
    if process and line:
        line.close()
        process.wait()


def _send(request: bytes, sink: int) -> None:
    with _lock:
        for attempt in (0, 1):
            process, line = _servers.get(os.getpid()) or _start()
            try:
                with tempfile.TemporaryFile() as told:
                    told.write(request)
                    told.flush()
                    socket.send_fds(line, [b"?"], [told.fileno(), sink])
            except OSError:
                process.kill()
                del _servers[os.getpid()]
                if attempt:
                    raise
            else:
                return


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    path = os.pathsep.join(item or os.getcwd() for item in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-m", "loaders._child", str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        env=os.environ
        | {INSIDE: "1", "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    theirs.close()
    _servers[os.getpid()] = process, ours
    return process, ours


def _serve(line: socket.socket) -> None:
    """Fork a supervisor for every request, until the other end closes; then end the whole process group."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(line, 1, 2)
        if not message:
            os.killpg(0, signal.SIGKILL)
        with os.fdopen(files[0], "rb") as told:
            told.seek(0)
            module, name, path, numbers, *limits = json.loads(told.read())
        _preload(module)
        if os.fork() == 0:
            line.close()
            _supervise(files[1], (module, name, path, numbers), *limits)
            os._exit(0)
        os.close(files[1])


def _preload(module: str) -> None:
    if module.startswith("loaders."):
        for name in getattr(importlib.import_module(module), "PRELOAD", ()):
            importlib.import_module(name)


def _supervise(
    sink: int, task: tuple[str, str, str, dict], seconds: float, memory: int, folder: str, where: list[str]
) -> None:
    """Fork the reader, wait for it no longer than it may take, and close its answer with how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    reader = os.fork()
    if reader == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds)))
            os.chdir(folder)
            sys.path[:] = where
            _write(sink, _answer(*task))
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)
    late = signal.sigtimedwait({signal.SIGCHLD}, seconds) is None
    if late:
        os.kill(reader, signal.SIGKILL)
    _, status = os.waitpid(reader, 0)
    _write(sink, END.pack(status, late))


def _write(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


def _answer(module: str, name: str, path: str, numbers: dict[str, Any]) -> bytes:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = getattr(importlib.import_module(module), name)(path, **numbers)
        except ValueError as error:
            return _npz(json.dumps({"error": str(error)}), {})
        except Exception as error:  # whatever a vendor's parser throws at a damaged file is that file's fault
            line = " ".join(str(error).split())[:300]
            return _npz(json.dumps({"error": f"{path}: cannot be read: {type(error).__name__}: {line}"}), {})
        return _pack(dataset, [str(item.message) for item in caught if item.category is UserWarning])


def _pack(dataset: xr.Dataset, messages: list[str]) -> bytes:
    arrays, plan = {}, []
    for index, (name, variable) in enumerate(dataset.variables.items()):
        values = np.asarray(variable.values)
        arrays[f"v{index}"] = values.astype(str) if values.dtype.kind == "O" else values
        plan.append([str(name), list(map(str, variable.dims)), variable.attrs, name in dataset.coords])
    header = {"plan": plan, "attrs": dataset.attrs, "warnings": messages}
    return _npz(json.dumps(header, default=_plain), arrays)


def _npz(header: str, arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, header=np.frombuffer(header.encode(), dtype=np.uint8), **arrays)
    return stream.getvalue()


def _unpack(answer: bytes) -> xr.Dataset:
    with np.load(io.BytesIO(answer), allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        for message in header.get("warnings", []):
            warnings.warn(message, UserWarning, stacklevel=3)
        if "error" in header:
            raise ValueError(header["error"])
        variables: dict[str, Any] = {}
        coordinates: dict[str, Any] = {}
        for index, (name, dims, attrs, is_coordinate) in enumerate(header["plan"]):
            (coordinates if is_coordinate else variables)[name] = (dims, archive[f"v{index}"], attrs)
        return xr.Dataset(variables, coordinates, header["attrs"])


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot leave the reader; use numbers and text in attrs")


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
