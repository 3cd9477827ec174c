"""Images of folders, zips, idx files and arrays as stimuli in [0, 1], each known by its pixels' hash."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from loaders import _child, _digests
from loaders.schema import check, nearest

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MOST_FILES = 200_000
MOST_BYTES = 2**33  # of all pixels together
MOST_PIXELS = 2**26  # of one image
RANGES = {"0-255": 255.0, "0-1": 1.0}


def stimuli(
    path: str | Path,
    *,
    range: str | None = None,
    labels: str | Path | None = None,
    tile: Sequence[int] | None = None,
    grey: bool | None = None,
    manifest: xr.Dataset | None = None,
) -> xr.Dataset:
    """Images of a folder, a zip, an idx file (gzipped too), an npz with `images`, or a sprite cut into tiles.

    Eight-bit values are divided by 255; floats must say their range, "0-255" or "0-1", and keep it.

    Reads    path; range, what the values span; labels, an idx file of labels (None: the one beside it);
             tile, height and width of the images in a sprite; grey, one plane or three (None: as stored);
             manifest, the files' digests
    Returns  image (stimulus, channel, y, x), unit 1, with stimulus_id, content (sha256 of the pixels) and
             labels; ValueError names the file, member or array that is refused
    """
    if range is not None and range not in RANGES:
        raise ValueError(f"range: {range!r}: {nearest(range, RANGES)}")
    if not Path(path).exists():
        raise ValueError(f"{path}: no such file or folder")
    labels = _beside(Path(path)) if labels is None else Path(labels)
    verified = _verify([Path(path), *([] if labels is None else [labels])], manifest)
    dataset = _child.call(
        _read, path, span=range, labels=None if labels is None else str(labels),
        tile=None if tile is None else list(tile), grey=grey,
    )  # fmt: skip
    dataset.attrs["verified"] = verified
    return check(dataset)


def _verify(paths: list[Path], manifest: xr.Dataset | None) -> str:
    files = [file for path in paths for file in (_folder(path) if path.is_dir() else [path])]
    if manifest is None:
        return _digests.verify(files, None)
    told = zip(manifest["name"].values.tolist(), manifest["sha256"].values.tolist(), strict=True)
    return _digests.verify(files, {str(name): str(digest) for name, digest in told})


def names(path: str | Path) -> list[str]:
    """The names of all images in a folder or zip, in the order of `stimuli`.

    Reads    path, a folder or a zip
    Returns  the sorted names, each known to stand inside it; ValueError for a link or member that does not
    """
    if Path(path).is_dir():
        return [item.relative_to(path).as_posix() for item in _folder(Path(path))]
    with _archive(path) as archive:
        return [member.filename for member in _members(path, archive)]


def _read(
    path: str, span: str | None, labels: str | None, tile: list[int] | None, grey: bool | None
) -> xr.Dataset:
    file = Path(path)
    kind = "".join(file.suffixes[-2:]).lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
    if file.is_dir() or kind == ".zip":
        pixels, coords = _pictures(file, grey)
    elif kind == ".npz":
        pixels, coords = _npz(file)
    elif tile is not None and kind in SUFFIXES:
        pixels, coords = _tiles(file, tile, grey)
    elif "idx" in file.name:
        pixels, coords = _idx_pair(file, labels)
    else:
        known = ".zip, .npz, idx and idx.gz"
        raise ValueError(
            f"{path}: {kind or 'no suffix'}: images are read from folders, {known}, and sprites with tile"
        )
    return _dataset(path, pixels, coords, span)


def _dataset(
    path: str, pixels: NDArray[np.generic], coords: dict[str, NDArray[np.generic]], span: str | None
) -> xr.Dataset:
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[-1] not in (1, 3):
        raise ValueError(
            f"{path}: images: shape {pixels.shape}; wanted is (image, row, column) or the same with 3 planes"
        )
    image = _unit_range(path, pixels, span)
    content = [hashlib.sha256(one.tobytes() + repr(one.shape).encode()).hexdigest() for one in image]
    coords.setdefault("stimulus_id", np.array([str(k) for k in np.arange(len(image))], str))
    held = {name: ("stimulus", values) for name, values in coords.items()}
    held["content"] = ("stimulus", np.array(content, str))
    variable = (("stimulus", "channel", "y", "x"), image, {"units": "1", "range": "0-1"})
    return xr.Dataset({"image": variable}, held)


def _unit_range(path: str, pixels: NDArray[np.generic], span: str | None) -> NDArray[np.float32]:
    """Values in [0, 1], planes before rows; ValueError where the range is untold, or told wrongly."""
    if pixels.dtype.kind not in "fiu":
        raise ValueError(f"{path}: images: type {pixels.dtype}; numbers are wanted")
    if pixels.dtype == np.uint8 and span is None:
        span = "0-255"
    if span is None:
        raise ValueError(
            f"{path}: images: type {pixels.dtype} does not say its range; give range='0-255' or '0-1'"
        )
    bad = np.argwhere(~np.isfinite(pixels)) if pixels.dtype.kind == "f" else np.empty((0, 4))
    if len(bad):
        raise ValueError(f"{path}: images {tuple(bad[0].tolist())}: is not a finite number")
    low, high = float(pixels.min(initial=0)), float(pixels.max(initial=0))
    if low < 0 or high > RANGES[span]:
        raise ValueError(f"{path}: images: values from {low:g} to {high:g} leave the range {span}; "
                         "give the range that they have, or undo their normalisation")  # fmt: skip
    if span == "0-255" and 0 < high <= 1:
        raise ValueError(
            f"{path}: images: values from {low:g} to {high:g} do not use the range 0-255; is it '0-1'?"
        )
    moved = np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
    return (moved.astype(np.float32) / np.float32(RANGES[span])).astype(np.float32)


def _pictures(path: Path, grey: bool | None) -> tuple[NDArray[np.generic], dict[str, NDArray[np.generic]]]:
    if path.is_dir():
        files = _folder(path)
        told = [item.relative_to(path).as_posix() for item in files]
        pictures = [_picture(str(item), item.read_bytes(), grey) for item in files]
    else:
        with _archive(path) as archive:
            members = _members(path, archive)
            told = [member.filename for member in members]
            pictures = [_picture(f"{path}: {m.filename}", _bytes(path, archive, m), grey) for m in members]
    if not pictures:
        raise ValueError(f"{path}: holds no image; known are {', '.join(SUFFIXES)}")
    shapes = {picture.shape for picture in pictures}
    if len(shapes) > 1:
        odd = next(name for name, one in zip(told, pictures, strict=True) if one.shape != pictures[0].shape)
        more = ", or give grey" if len({shape[:2] for shape in shapes}) == 1 else ""
        raise ValueError(f"{path}: {odd}: differs in size or planes from {told[0]}; bring all to one{more}")
    coords = {"stimulus_id": np.array(_stems(path, told), str)}
    folders = [PurePosixPath(name).parent.name for name in told]
    return np.stack(pictures), coords | ({"label": np.array(folders, str)} if len(set(folders)) > 1 else {})


def _stems(path: Path, told: list[str]) -> list[str]:
    """Names without their ending; two images of one name are refused."""
    stems = [PurePosixPath(name).with_suffix("").as_posix() for name in told]
    short = [PurePosixPath(name).stem for name in told]
    stems = short if len(set(short)) == len(short) else stems
    _, first, number = np.unique(stems, return_index=True, return_counts=True)
    if (number > 1).any():
        raise ValueError(f"{path}: {told[int(first[number > 1][0])]}: two images have this name; rename one")
    return stems


def _picture(where: str, data: bytes, grey: bool | None) -> NDArray[np.generic]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels, more than {MOST_PIXELS}")
                plain = image.mode in ("L", "1", "LA", "I;16") if grey is None else grey
                return np.asarray(image.convert("L" if plain else "RGB"))
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        raise ValueError(f"{where}: is not a readable image: {line}; replace it") from None


def _folder(path: Path) -> list[Path]:
    found = sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES and not item.is_dir())
    if len(found) > MOST_FILES:
        raise ValueError(f"{path}: holds {len(found)} images, more than {MOST_FILES}; split it")
    return _digests.within(path, found)


def _archive(path: str | Path) -> zipfile.ZipFile:
    if Path(path).suffix.lower() != ".zip":
        raise ValueError(f"{path}: images are read from folders and zips; give one of them")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable zip: {error}; fetch it again") from None


def _members(path: str | Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The images of a zip; ValueError for any member that would leave a folder, or a bomb."""
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise ValueError(f"{path}: holds {len(members)} members, more than {MOST_FILES}; split it")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.split("/")[0]:
            raise ValueError(
                f"{path}: {member.filename!r}: this member leaves the archive's folder; it is refused"
            )
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise ValueError(
                f"{path}: {member.filename!r}: is a link, which is refused; put the file in its place"
            )
        if member.flag_bits & 1:
            raise ValueError(f"{path}: {member.filename!r}: is encrypted; decrypt it first")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise ValueError(f"{path}: would unpack to more than {MOST_BYTES} bytes; split it")
    told = [
        m for m in members if PurePosixPath(m.filename).suffix.lower() in SUFFIXES and not _hidden(m.filename)
    ]
    return sorted(told, key=lambda member: member.filename)


def _hidden(name: str) -> bool:
    return "__MACOSX" in name or PurePosixPath(name).name.startswith(".")


def _bytes(path: str | Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as stream:
            data = stream.read(member.file_size + 1)
    except Exception as error:
        raise ValueError(
            f"{path}: {member.filename!r}: cannot be unpacked: {error}; fetch the zip again"
        ) from None
    if len(data) > member.file_size:
        raise ValueError(
            f"{path}: {member.filename!r}: is longer than the {member.file_size} bytes it promises"
        )
    return data


def _npz(path: Path) -> tuple[NDArray[np.generic], dict[str, NDArray[np.generic]]]:
    held = {}
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            for name in archive.files:
                try:
                    held[name] = archive[name]
                except ValueError:
                    raise ValueError(f"array {name!r}: holds Python objects (pickle), which can run code; "
                                     "convert it to plain numbers with np.savez") from None  # fmt: skip
    except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    if "images" not in held:
        raise ValueError(f"{path}: array 'images' is missing; {nearest('images', held)}")
    images = held.pop("images")
    coords = {}
    for name, values in held.items():
        if values.shape == images.shape[:1]:
            coords["label" if name == "labels" else name] = values
    if "label" in coords and "class_names" in held and coords["label"].dtype.kind in "iu":
        coords["label_name"] = held["class_names"][coords["label"]]
    if "stimulus_id" in coords:
        coords["stimulus_id"] = coords["stimulus_id"].astype(str)
    return images, coords


def _idx_pair(path: Path, labels: str | None) -> tuple[NDArray[np.generic], dict[str, NDArray[np.generic]]]:
    images = _idx(path)
    file = None if labels is None else Path(labels)
    if images.ndim != 3:
        raise ValueError(f"{path}: holds {images.ndim} dimensions; images have 3 (image, row, column)")
    if file is None:
        return images, {}
    told = _idx(file)
    if told.shape != images.shape[:1]:
        raise ValueError(
            f"{file}: holds {told.shape} labels for {len(images)} images; give the file of this set"
        )
    return images, {"label": told}


def _beside(path: Path) -> Path | None:
    """The labels that stand beside an idx file of images, if any."""
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return labels if "idx" in path.name and labels != path and labels.exists() else None


def _idx(path: Path) -> NDArray[np.generic]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError) as error:
        raise ValueError(f"{path}: cannot be unpacked: {error}; fetch it again") from None
    if len(data) > MOST_BYTES or len(data) < 4 or data[:2] != b"\0\0" or data[2] not in (8, 9):
        raise ValueError(f"{path}: is not an idx file of bytes; fetch it again")
    number = data[3]
    if len(data) < 4 + 4 * number:
        raise ValueError(f"{path}: cut: {len(data)} bytes, shorter than its header")
    shape = struct.unpack(f">{number}I", data[4 : 4 + 4 * number])
    promised = 4 + 4 * number + int(np.prod(shape, dtype=object))
    if len(data) != promised:
        raise ValueError(f"{path}: cut: {len(data)} bytes, header promises {promised}; fetch it again")
    return np.frombuffer(data, np.uint8 if data[2] == 8 else np.int8, offset=4 + 4 * number).reshape(shape)


def _tiles(
    path: Path, tile: list[int], grey: bool | None
) -> tuple[NDArray[np.generic], dict[str, NDArray[np.generic]]]:
    sheet = _picture(str(path), path.read_bytes(), grey)
    height, width = tile
    if height < 1 or width < 1 or sheet.shape[0] % height or sheet.shape[1] % width:
        size = f"{sheet.shape[0]} x {sheet.shape[1]}"
        raise ValueError(f"{path}: tile: {size} pixels are not a whole number of {height} x {width} tiles")
    rows, columns = sheet.shape[0] // height, sheet.shape[1] // width
    planes = sheet.reshape(rows, height, columns, width, -1).swapaxes(1, 2)
    row, column = np.divmod(np.arange(rows * columns), columns)
    return planes.reshape(rows * columns, height, width, -1), {"row": row, "column": column}
