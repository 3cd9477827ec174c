"""What a recording's files are, and whether they are whole: nothing here decodes a sample.

A file is named before a vendor's parser sees it: a covariance or a sensor list is refused by what it is, a
cut fif or CTF file by its two sizes, an absent annex file by the command that fetches it.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

from . import _tables

RAW = (
    ".con", ".sqd", ".set", ".edf", ".bdf", ".gdf", ".vhdr", ".cnt", ".ds", ".mff", ".nxe", ".lay",
)  # fmt: skip
FIF_BLOCKS = {  # what a fif file is for, the first that it holds
    119: "maxshield", 102: "raw", 373: "epochs", 104: "evoked", 355: "a covariance", 361: "an event list",
    352: "a forward solution", 356: "an inverse operator", 374: "an ICA solution", 351: "a source space",
    310: "a head model", 313: "a set of projectors", 107: "a digitised head shape",
}  # fmt: skip
OTHERS = {  # suffixes that stand beside recordings
    ".fdt": "the samples of an EEGLAB recording; give the .set beside it",
    ".vmrk": "the markers of a BrainVision recording; give the .vhdr beside it",
    ".elp": "a list of digitised fiducials, not a recording; give the .con or .sqd",
    ".hsp": "a digitised head shape, not a recording; give the .con or .sqd",
    ".mrk": "a list of marker coils, not a recording; give the .con or .sqd",
    ".pos": "a digitised head shape, not a recording; give the .ds",
    ".meg4": "a part of a CTF recording; give the .ds folder",
    ".res4": "a part of a CTF recording; give the .ds folder",
    ".tsv": "a side-car table, not a recording; give the recording or the subject's folder",
    ".json": "a side-car, not a recording; give the recording or the subject's folder",
    ".csv": "a table without a timestamps column first and a Marker column; name the columns so",
    ".mat": "a MATLAB file, whose layout is anybody's; save it as .fif or .set",
    ".nwb": "an NWB file; read it with loaders.ephys",
}
EMPTY_ROOM = re.compile(r"(^|[^a-z])(empty[-_]?room|erm|task-noise)([^a-z]|$)")


class Fif(NamedTuple):
    """The blocks of a fif file, and the name of the part that goes on where it ends."""

    blocks: set[int]
    next_part: str | None


def kind(path: Path) -> str:
    """raw, epochs, evoked, tables or bids; ValueError says what else the path is, and what is wanted."""
    present(path)
    if path.is_dir() and (found := _kind_of_folder(path)):
        return found
    if path.is_dir():
        raise ValueError(
            f"{path}: is a folder without a recording; give a file, a .ds folder or a BIDS subject"
        )
    name = path.name.lower()
    if inside := next((parent for parent in path.parents if parent.suffix.lower() == ".ds"), None):
        raise ValueError(f"{path}: is a part of a CTF recording; give the folder {inside.name}")
    if not path.stat().st_size:
        raise ValueError(f"{path}: is empty (0 bytes); fetch it again")
    if re.search(r"\.fif(\.gz)?$", name):
        return _kind_of_fif(path)
    if _tables.is_table(path):
        return "tables"
    if path.suffix.lower() in RAW or _is_bti(path):
        return _task(path)
    raise ValueError(f"{path}: is {OTHERS.get(path.suffix.lower(), 'not a recording that is known here')}")


def present(path: Path) -> None:
    """Content is at hand, not a dead annex link or the text of a pointer; ValueError says how to fetch it."""
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{path}: content not fetched: run 'datalad get {path}'")
    if not path.exists():
        raise ValueError(f"{path}: does not exist; correct the path")
    if path.is_file() and path.stat().st_size < 32768:
        start = path.read_bytes()[:200].lstrip()
        if start.startswith((b"/annex/objects/", b"../.git/annex", b".git/annex")):
            raise ValueError(f"{path}: content not fetched: run 'datalad get {path}'")
        if start.startswith(b"version https://git-lfs"):
            raise ValueError(f"{path}: content not fetched: run 'git lfs pull --include {path}'")


def whole(path: Path, allow_partial: bool = False) -> tuple[list[Path], str | None]:
    """All files of one recording, once their sizes fit their headers, and the name of a lost part."""
    if path.suffix.lower() == ".ds":
        check_ctf(path, allow_partial)
        return sorted(item for item in path.rglob("*") if item.is_file()), None
    if re.search(r"\.fif(\.gz)?$", path.name.lower()):
        return _fif_parts(path, allow_partial)
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.is_file()), None
    return [path, *_companions(path)], None


def scan_fif(path: Path) -> Fif:
    """Walk the tags of a fif file to its end mark; ValueError gives both sizes of one that is cut.

    Source   Neuromag fif: big-endian tags (kind, type, size, next), closed by a tag whose next is -1
    """
    zipped = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END) if not zipped else _unzipped(stream)  # type: ignore[arg-type]
            return _walk(path, stream, size)  # type: ignore[arg-type]
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise ValueError(
            f"{path}: cut: {path.stat().st_size} bytes, not a whole gzip file ({error})"
        ) from None


def check_ctf(folder: Path, allow_partial: bool = False) -> None:
    """A CTF recording has the size that its header promises; ValueError gives both numbers."""
    headers = sorted(folder.glob("*.res4"))
    parts = sorted([*folder.glob("*.meg4"), *folder.glob("*_meg4")])
    if not headers or not parts:
        raise ValueError(f"{folder}: has no {'.meg4' if headers else '.res4'} file; fetch the whole folder")
    for item in (*headers, *parts):
        present(item)
    with headers[0].open("rb") as stream:
        start = stream.read(1314)
    if len(start) < 1314:
        raise ValueError(f"{headers[0]}: cut: {len(start)} bytes, a header has 1314 and more; fetch it again")
    samples, channels = struct.unpack(">ih", start[1288:1294])
    trials = struct.unpack(">h", start[1312:1314])[0]
    trial = 4 * samples * channels
    got, promised = sum(item.stat().st_size - 8 for item in parts), trial * trials
    whole_trials = trial > 0 and 0 < got <= promised and got % trial == 0
    if got != promised and not (allow_partial and whole_trials):
        raise ValueError(
            f"{parts[0]}: cut: {got} bytes of samples, the header promises {promised} ({trials} trials x "
            f"{samples} samples x {channels} channels x 4 bytes); fetch it again"
        )


def _kind_of_folder(path: Path) -> str | None:
    if path.suffix.lower() in (".ds", ".mff") or _is_bti(path):
        return _task(path)
    if path.name.startswith("sub-"):
        _task(path)
    if path.name.startswith("sub-") or (path / "dataset_description.json").exists():
        return "bids"
    if path.name.startswith("ses-") and path.parent.name.startswith("sub-"):
        return "bids"
    if any(item.is_dir() for item in path.glob("sub-*")):
        return "bids"
    return "tables" if _tables.files(path) else None


def _is_bti(path: Path) -> bool:
    folder = path if path.is_dir() else path.parent
    return (folder / "config").is_file() and (path.is_file() or bool(bti_data(folder)))


def bti_data(folder: Path) -> list[Path]:
    """The processed data files of a BTi (4D) folder."""
    return sorted(item for pattern in ("c,rf*", "hc,rf*", "e,rf*") for item in folder.glob(pattern))


def _kind_of_fif(path: Path) -> str:
    blocks = scan_fif(path).blocks
    found = next((name for block, name in FIF_BLOCKS.items() if block in blocks), "a fif file without data")
    if found in ("raw", "maxshield"):
        _task(path)
    if found == "maxshield":
        raise ValueError(
            f"{path}: is raw MaxShield data, which needs Maxwell filtering; give the filtered file"
        )
    if found not in ("raw", "epochs", "evoked"):
        raise ValueError(f"{path}: is {found}, not a recording; give raw, epochs or evoked data")
    return found


def _task(path: Path) -> str:
    if EMPTY_ROOM.search(path.name.lower()):
        raise ValueError(f"{path}: is an empty-room recording, without stimuli; give a task recording")
    return "raw"


def _companions(path: Path) -> list[Path]:
    """Files that hold the samples and markers of a header file."""
    suffix = path.suffix.lower()
    if suffix == ".set":
        return [item for item in [path.with_suffix(".fdt")] if item.is_symlink() or item.exists()]
    if suffix != ".vhdr":
        return []
    text = path.read_bytes().decode("latin-1")
    names = re.findall(r"^(?:DataFile|MarkerFile)=(.+?)\s*$", text, re.MULTILINE)
    found = [path.parent / name.replace("$b", path.stem) for name in names]
    for item in found:
        present(item)
    channels = re.search(r"^NumberOfChannels=(\d+)", text, re.MULTILINE)
    width = re.search(r"^BinaryFormat=(?:INT|UINT|IEEE_FLOAT)_(\d+)", text, re.MULTILINE)
    if channels and width and found:
        frame, size = int(channels[1]) * int(width[1]) // 8, found[0].stat().st_size
        if frame and size % frame:
            raise ValueError(
                f"{found[0]}: cut: {size} bytes, the header promises a multiple of {frame}; fetch it again"
            )
    return found


def _fif_parts(path: Path, allow_partial: bool) -> tuple[list[Path], str | None]:
    parts, here = [path], path
    while name := scan_fif(here).next_part:
        here = path.parent / Path(name).name
        if not here.exists() and not here.is_symlink() and allow_partial:
            return parts, here.name
        if not here.exists() and not here.is_symlink():
            raise ValueError(
                f"{path}: the part {here.name} is missing or renamed; fetch it, or say allow_partial: true"
            )
        present(here)
        if here in parts:
            raise ValueError(f"{path}: the part {here.name} goes on with itself; the file is damaged")
        parts.append(here)
    return parts, None


def _unzipped(stream: BinaryIO) -> int:
    size = 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
    stream.seek(0)
    return size


def _walk(path: Path, stream: BinaryIO, size: int) -> Fif:
    blocks: set[int] = set()
    jumps: set[int] = set()
    position, role, directory, next_part = 0, 0, 0, None
    while True:
        stream.seek(position)
        _promise(path, size, position + 16)
        code, _, length, following = struct.unpack(">iiii", stream.read(16))
        end = position + 16 + length
        if (position == 0 and code != 100) or length < 0 or following < -1 or following in jumps:
            what = "not a fif file" if position == 0 else f"damaged at byte {position}"
            raise ValueError(f"{path}: {what}; fetch it again")
        _promise(path, size, end)
        if code in (101, 104, 115) and length >= 4:
            value = struct.unpack(">i", stream.read(4))[0]
            directory = value if code == 101 else directory
            role = value if code == 115 else role
            blocks |= {value} if code == 104 else set()
        elif code == 118 and role == 2:
            next_part = stream.read(length).decode("latin-1").strip("\0 ") or None
        if following == -1:
            break
        jumps |= {following} if following else set()
        position = following or end
    if directory > 0:
        _promise(path, size, directory + 16)
        stream.seek(directory)
        _promise(path, size, directory + 16 + max(struct.unpack(">iiii", stream.read(16))[2], 0))
    return Fif(blocks, next_part)


def _promise(path: Path, size: int, promised: int) -> None:
    if promised > size:
        raise ValueError(f"{path}: cut: {size} bytes, header promises {promised} or more; fetch it again")
