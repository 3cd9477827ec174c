"""HDF5 of strangers: opened only if it is HDF5, walked link by link so that no other file is ever opened."""

from __future__ import annotations

import posixpath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


def open_hdf5(path: str) -> h5py.File:
    """The file opened for reading; ValueError says what it is instead, or where it was cut."""
    with open(path, "rb") as stream:
        head = stream.read(4096)
    if not head.startswith(b"\x89HDF\r\n\x1a\n") and not h5py.is_hdf5(path):
        raise ValueError(f"{path}: not an HDF5 file{looks_like(head)}; fetch it again")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: HDF5 file cannot be opened, is it cut? {_line(error)}") from None


def looks_like(head: bytes) -> str:
    """What the first bytes of a file are, in brackets, or nothing."""
    start = head.lstrip().lower()
    if not head:
        return " (it is empty)"
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return " (looks like HTML)"
    if start.startswith(b"<?xml"):
        return " (looks like XML)"
    if start.startswith(b"version https://git-lfs") or b"/annex/objects/" in head:
        return " (content not fetched: a pointer stands in its place)"
    return ""


def inside(path: str, file: h5py.File, name: str) -> h5py.Dataset | h5py.Group | None:
    """The object `name`, each link on the way checked: ValueError where one leaves the file or is broken."""
    here: Any = file
    for part in filter(None, name.split("/")):
        if not isinstance(here, h5py.Group) or not here.id.links.exists(part.encode()):
            return None
        where = f"{path}: {here.name.rstrip('/')}/{part}"
        kind = here.id.links.get_info(part.encode()).type
        if kind == h5py.h5l.TYPE_EXTERNAL:
            other = here.id.links.get_val(part.encode())[0].decode(errors="replace")
            raise ValueError(
                f"{where}: is a link to another file, {other!r}, which is not opened; copy the values in"
            )
        if kind == h5py.h5l.TYPE_SOFT:
            target = here.id.links.get_val(part.encode()).decode()
            here = inside(path, file, posixpath.normpath(posixpath.join(here.name, target)))
            if here is None:
                raise ValueError(f"{where}: is a link to {target!r}, which is absent; repair the link")
        else:
            here = here[part]
    if isinstance(here, h5py.Dataset) and (here.external or here.is_virtual):
        raise ValueError(
            f"{path}: {here.name}: keeps its values in other files, which are not opened; copy them in"
        )
    return here


def values(path: str, item: h5py.Dataset) -> NDArray[Any]:
    """All values of one dataset; text as text, references as nothing."""
    try:
        if h5py.check_string_dtype(item.dtype):
            return np.asarray(item.asstr()[()])
        if item.dtype.kind == "O":
            return np.empty((0, 0))
        return np.asarray(item[()])
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: {item.name}: cannot be read, is the file damaged? {_line(error)}"
        ) from None


def text(path: str, file: h5py.File, name: str) -> str:
    """A single text in the file, or nothing."""
    item = inside(path, file, name)
    return str(item.asstr()[()]) if isinstance(item, h5py.Dataset) and item.shape == () else ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
