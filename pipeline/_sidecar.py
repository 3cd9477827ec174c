"""Digests kept outside the files they vouch for, and the one way in which anything is put on the disk."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from . import _process

LINE = re.compile(r"([0-9a-f]{64})  (.+)")
FRESH = 2 * 10**9  # nanoseconds within which a change may leave the time of a file as it was

Signature = tuple[int, int, int, int]

_digests: dict[str, tuple[Signature, str]] = {}


class Entry(NamedTuple):
    """One file that a sidecar vouches for."""

    digest: str
    key: str
    schema: int
    note: str


def entries(path: Path) -> list[Entry]:
    """What the sidecar of a file vouches for; nothing when it is missing or damaged."""
    try:
        text = sidecar(path).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return []
    found: list[Entry] = []
    said: dict[str, str] = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            said[name] = value
        elif match and match[2] == path.name and re.fullmatch(r"\d{1,9}", said.get("schema", ""), re.ASCII):
            found.append(Entry(match[1], said.get("key", ""), int(said["schema"]), said.get("note", "")))
            said = {}
    return found


def vouch(path: Path, known: list[Entry]) -> None:
    """Publishes the sidecar of a file."""
    lines = []
    for entry in dict.fromkeys(known):
        note = [f"# note {entry.note}"] if entry.note else []
        lines += [f"# schema {entry.schema}", f"# key {entry.key}", *note, f"{entry.digest}  {path.name}"]
    publish(sidecar(path), "".join(line + "\n" for line in lines).encode())


def sidecar(path: Path) -> Path:
    """The file beside a file that vouches for it."""
    return path.with_name(path.name + ".sha256")


def publish(path: Path, content: bytes) -> None:
    """Puts bytes in place of a small file, all or nothing."""
    temporary = _process.temporary(path)
    try:
        temporary.write_bytes(content)
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Waits until a file or the names in a folder are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def signature(path: Path) -> Signature:
    """What changes when a file is replaced or, a moment later, written to; its last part nobody can set."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def digest(path: Path) -> str:
    """The sha256 of a file, remembered while its signature stays and is old enough to be believed."""
    now = signature(path)
    known = _digests.get(str(path))
    if known is not None and known[0] == now:
        return known[1]
    with path.open("rb") as file:
        made = hashlib.file_digest(file, "sha256").hexdigest()
    if now[-1] < time.time_ns() - FRESH:
        _digests[str(path)] = (now, made)
    return made
