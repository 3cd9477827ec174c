"""Whether a stranger's files are the bytes that somebody vouched for."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

ANNEX_KEY = re.compile(r"(SHA256|MD5)E?-(?:s(\d+)-)?[^/]*?-([0-9a-f]{32,64})(?:\.[^/]*)?$")


def verify(paths: list[Path], manifest: Mapping[str, str] | None) -> str:
    """How files were verified: `sha256 manifest`, `annex key` or `unverified`; ValueError if one differs.

    A manifest's names are matched with the ends of the paths.
    """
    if manifest is not None:
        for path in paths:
            expected = _listed(path, manifest)
            if _digest(path, "sha256") != expected:
                raise ValueError(f"{path}: digest differs from the manifest; fetch or write the file again")
        return "sha256 manifest"
    keys = [ANNEX_KEY.search(os.readlink(path)) if path.is_symlink() else None for path in paths]
    for path, key in zip(paths, keys, strict=True):
        if key and _digest(path, key[1].lower()) != key[3]:
            raise ValueError(f"{path}: digest differs from its annex key; run 'datalad get {path}' again")
    return "annex key" if paths and all(keys) else "unverified"


def within(folder: Path, found: list[Path]) -> list[Path]:
    """The same files; ValueError names one that is not fetched, or that is a link out of the folder."""
    root = folder.resolve()
    for item in found:
        target = item.resolve()
        if not item.exists():
            raise ValueError(f"{item}: content not fetched: run 'datalad get {item}'")
        if not target.is_relative_to(root) and ".git/annex/objects" not in target.as_posix():
            raise ValueError(f"{item}: is a link out of the folder, to {target}; copy the file in")
    return found


def _digest(path: Path, name: str) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, name).hexdigest()


def _listed(path: Path, manifest: Mapping[str, str]) -> str:
    text = "/" + path.absolute().as_posix()
    names = [name for name in manifest if text.endswith("/" + name)]
    if not names:
        raise ValueError(f"{path}: is not in the manifest; list every file that is read")
    return manifest[max(names, key=len)]
