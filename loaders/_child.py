"""Strangers' files are parsed in a child process with limits, so that a reader that crashes or hangs is an error.

HDF5 has a long history of memory faults on damaged files, and some damaged files make readers hang. A public loader
hands its private reader to `call`; the reader runs in a fresh interpreter with a limit on time and memory and sends
back plain arrays. Whatever happens to the child, the parent goes on with one clear line.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
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


def call(reader: Callable[..., xr.Dataset], path: str | Path, **numbers: Any) -> xr.Dataset:
    """What `reader(path, **numbers)` returns, computed in a limited child process.

    Reads    reader, a function of a `loaders` module; numbers, anything that JSON holds
    Returns  the reader's Dataset; its warnings are repeated; ValueError carries the reader's one line, or says
             which signal or time limit ended it
    """
    if os.environ.get(INSIDE):
        return reader(path, **numbers)
    request = json.dumps([reader.__module__, reader.__qualname__, str(path), numbers]).encode()
    seconds = SECONDS + size(Path(path)) / BYTES_PER_SECOND
    source, sink = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "loaders._child", str(sink)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[sink],
        env=os.environ | {INSIDE: "1", "PYTHONPATH": os.pathsep.join(item or os.getcwd() for item in sys.path)},
    ) as process:  # fmt: skip
        os.close(sink)
        answer, late = _receive(process, source, request, seconds)
    if late:
        raise ValueError(f"{path}: the reader was stopped after {seconds:.0f} s; is the file damaged?")
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise ValueError(f"{path}: the reader was stopped by {name}; is the file damaged?")
    if not answer:
        raise ValueError(f"{path}: the reader ended without an answer (status {process.returncode})")
    return _unpack(answer)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size if path.exists() else 0


def _receive(process: subprocess.Popen[bytes], source: int, request: bytes, seconds: float) -> tuple[bytes, bool]:
    chunks: list[bytes] = []

    def drain() -> None:
        with os.fdopen(source, "rb") as stream:
            chunks.append(stream.read())

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    try:
        process.communicate(request, timeout=seconds)
        late = False
    except subprocess.TimeoutExpired:
        late = True
    except BaseException:
        process.kill()
        raise
    if late:
        process.kill()
    thread.join()
    return (chunks[0] if chunks else b""), late


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
        variables, coordinates = {}, {}
        for index, (name, dims, attrs, is_coordinate) in enumerate(header["plan"]):
            (coordinates if is_coordinate else variables)[name] = (dims, archive[f"v{index}"], attrs)
        return xr.Dataset(variables, coordinates, header["attrs"])


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot leave the reader; use numbers and text in attrs")


def _serve(sink: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    module, name, path, numbers = json.loads(sys.stdin.buffer.read())
    reader = getattr(importlib.import_module(module), name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = reader(path, **numbers)
        except ValueError as error:
            answer = _npz(json.dumps({"error": str(error)}), {})
        except Exception as error:  # whatever a vendor's parser throws at a damaged file is that file's fault
            line = " ".join(str(error).split())[:300]
            answer = _npz(json.dumps({"error": f"{path}: cannot be read: {type(error).__name__}: {line}"}), {})
        else:
            messages = [str(item.message) for item in caught if item.category is UserWarning]
            answer = _pack(dataset, messages)
    with os.fdopen(sink, "wb") as stream:
        stream.write(answer)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
