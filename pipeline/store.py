"""One Dataset, one netCDF file: written atomically and byte-stable, verified before it is opened.

Beside `x.nc` stands `x.nc.sha256`, which `sha256sum -c` reads; its comment lines hold the key of the result.
While a new file is published it lists the digests of both old and new, so a kill at any moment leaves one
of them whole. Attributes that netCDF has no type for (lists, mappings, null) are kept as JSON text.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _process, _sidecar
from ._sidecar import Entry

if TYPE_CHECKING:
    import xarray as xr

SCHEMA = 1
FIT = 2**30  # bytes that are computed at once; more is streamed
SLAB = 2**28  # bytes that are streamed at once
CHUNK = 2**22  # bytes of a stored chunk
READ = 2**24  # bytes of a chunk that is read
EAGER = 2**20  # bytes below which a variable is read at once
RESERVED = ("_FillValue", "_Encoding", "coordinates", "dtype", "scale_factor", "add_offset")

_netcdf = threading.RLock()  # neither netCDF nor HDF5 bears two threads


def write(dataset: xr.Dataset, path: str | Path, key: str, note: str = "") -> str:
    """Publishes a Dataset: until it stands complete on the disk the old file does, if there was one.

    Reads    any Dataset of numbers, booleans and text, eager or lazy; key, what made it; note, a word
    Returns  the sha256 of the file, which depends on nothing but the Dataset; ValueError names what cannot be
             stored, OSError says why the disk did not take it
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _process.temporary(path)
    try:
        _save(dataset, temporary)
        _sidecar.flush(temporary)
        entry = Entry(_sidecar.digest(temporary), key, SCHEMA, note)
        _sidecar.vouch(path, [*_sidecar.entries(path), entry])
        os.replace(temporary, path)
        _sidecar.flush(path.parent)
        _sidecar.vouch(path, [entry])
    finally:
        temporary.unlink(missing_ok=True)
    return entry.digest


def read(path: str | Path) -> xr.Dataset:
    """The Dataset of a file whose digest is the one that was published; nothing else is ever opened.

    Reads    the path of a file that `write` made
    Returns  labels loaded, large variables lazy; ValueError when the digest differs or the schema is newer
    """
    import netCDF4

    path = Path(path).absolute()
    entry = verify(path)
    _refuse_newer(entry, path)
    with _netcdf, netCDF4.Dataset(path, "r") as file:
        return _opened(file, path, entry.digest)


def columns(path: str | Path) -> dict[str, np.ndarray]:
    """The variables of a small verified file as plain arrays, in no time: xarray is not imported."""
    import netCDF4

    path = Path(path).absolute()
    _refuse_newer(verify(path), path)
    with _netcdf, netCDF4.Dataset(path, "r") as file:
        places = {name: (slice(None),) * len(_dims(stored)) for name, stored in file.variables.items()}
        return {name: _restored(stored, places[name]) for name, stored in file.variables.items()}


def verify(path: str | Path) -> Entry:
    """The published entry whose digest a file has.

    Reads    the path of a file that `write` made
    Returns  digest, key, schema and note; FileNotFoundError when missing, ValueError when it is another file
    """
    path = Path(path)
    digest, known = _sidecar.digest(path), _sidecar.entries(path)
    for entry in known:
        if entry.digest == digest:
            return entry
    if not known:
        raise ValueError(
            f"{path}: unverified: has no readable {path.name}.sha256; delete it and run its study"
        )
    raise ValueError(f"{path}: digest differs from {path.name}.sha256; delete it and run its study")


def status(path: str | Path, key: str) -> str:
    """How a result stands: done, missing, stale (made from something else), damaged (not what was published).

    Reads    the path of a file; the key that it should have
    Returns  one of the four words; ValueError when a newer version of the software made it
    """
    path = Path(path)
    for known in _sidecar.entries(path):
        _refuse_newer(known, path)
    try:
        return "done" if verify(path).key == key else "stale"
    except FileNotFoundError:
        return "missing"
    except ValueError:
        return "damaged"


def settle(path: str | Path) -> None:
    """Ends a publication that was cut off: the sidecar vouches for the file that stands alone."""
    path = Path(path)
    if len(_sidecar.entries(path)) > 1:
        _sidecar.vouch(path, [verify(path)])


def _refuse_newer(entry: Entry, path: Path) -> None:
    if entry.schema > SCHEMA:
        made = f"made by a newer version (schema {entry.schema}, here {SCHEMA})"
        raise ValueError(f"{path}: {made}; update the software, or write to another results folder")


def _save(dataset: xr.Dataset, path: Path) -> None:
    import netCDF4

    names = [*dataset.data_vars, *sorted(dataset.coords, key=str)]
    labels = [str(name) for name in names if name in dataset.coords and name not in dataset.dims]
    _refuse_names(names, labels)
    ready = _computed({name: dataset.variables[name] for name in names})
    try:
        with _netcdf:
            file = netCDF4.Dataset(path, "w", format="NETCDF4")
        try:
            for name in names:
                _save_variable(file, str(name), dataset.variables[name], ready[name])
            with _netcdf:
                _save_attributes(file, dataset.attrs)
                file.setncattr("coordinates", " ".join(labels))
        finally:
            with _netcdf:
                file.close()
    except RuntimeError as error:  # how netCDF says that the disk is full, or gone
        raise OSError(f"{path.parent}: a result cannot be written: {error}; is the disk full?") from error


def _refuse_names(names: list[Any], labels: list[str]) -> None:
    for name in names:
        if not isinstance(name, str) or "/" in name or name != name.strip() or not name.isprintable():
            raise ValueError(
                f"variable {name!r}: cannot be stored under that name; use plain text without '/'"
            )
    for label in labels:
        if re.search(r"\s", label):
            raise ValueError(f"coordinate {label!r}: cannot be stored with a space in its name; use _")


def _computed(variables: dict[Any, xr.Variable]) -> dict[Any, Any]:
    """Every array: in memory where all that is lazy fits, else lazy still, to be streamed."""
    import dask

    made = {name: variable.data for name, variable in variables.items()}
    lazy = {name: array for name, array in made.items() if dask.is_dask_collection(array)}
    if sum(array.nbytes for array in lazy.values()) > FIT:
        lazy = {name: array for name, array in lazy.items() if array.dtype.kind in "OSU"}
    return made | dict(zip(lazy, dask.compute(*lazy.values()), strict=True))


def _save_variable(file: Any, name: str, variable: xr.Variable, array: Any) -> None:
    if array.ndim == 0:
        raise ValueError(f"variable {name!r}: is a scalar, which the store cannot protect; keep it in attrs")
    lazy = not isinstance(array, np.ndarray)
    ready = array if lazy else _stored(name, array)
    sample = _stored(name, np.empty((0,) * array.ndim, array.dtype)) if lazy else ready
    dims, shape = list(map(str, variable.dims)), (*array.shape, *sample.shape[array.ndim :])
    if sample.ndim > array.ndim:
        dims.append(f"string{shape[-1]}" if sample.dtype.kind == "S" else "complex")
    axis, chunks = _chunks(dims, shape, sample.dtype.itemsize)
    with _netcdf:
        for dim, size in zip(dims, shape, strict=True):
            if dim not in file.dimensions:
                file.createDimension(dim, size)
        target = file.createVariable(
            name, sample.dtype, dims, chunksizes=chunks, fletcher32=True,
            zlib=sample.dtype.kind in "iuS", complevel=1,
        )  # fmt: skip
        target.set_auto_maskandscale(False)
        target.set_auto_chartostring(False)
        if sample.dtype.kind == "S":
            target.setncattr("_Encoding", "utf-8")
        elif array.dtype.kind in "bc" or array.dtype == np.float16:
            target.setncattr("dtype", array.dtype.name)
        _save_attributes(target, variable.attrs, f"variable {name!r}")
    if 0 not in shape:
        _stream(target, name, ready, axis, chunks[axis])


def _stream(target: Any, name: str, array: Any, axis: int, length: int) -> None:
    """Chunk after chunk in one order, each written whole and once: bytes do not depend on how they came."""
    size, before = array.shape[axis], (slice(None),) * axis
    together = length
    if not isinstance(array, np.ndarray):
        together *= max(1, SLAB * size // max(1, array.nbytes * length))
    for start in range(0, size, together):
        slab = array[(*before, slice(start, start + together))]
        if not isinstance(slab, np.ndarray):
            slab = _stored(name, np.asarray(slab.compute()))
        for inner in range(0, slab.shape[axis], length):
            piece = slab[(*before, slice(inner, inner + length))]
            with _netcdf:
                target[(*before, slice(start + inner, start + inner + piece.shape[axis]))] = piece


def _stored(name: str, values: np.ndarray) -> np.ndarray:
    """The array as netCDF protects it: text as characters, booleans as bytes, complex as pairs."""
    kind = values.dtype.kind
    if kind in "OSU":
        text = values if kind == "S" or not values.size else np.char.encode(values.astype(str), "utf-8")
        text = np.ascontiguousarray(text if text.size and text.dtype.itemsize else text.astype("S1"))
        return text.view("S1").reshape(*text.shape, text.dtype.itemsize)
    if kind == "c":
        values = np.ascontiguousarray(values)
        return values.view(values.real.dtype).reshape(*values.shape, 2)
    if kind not in "biuf" or values.dtype.itemsize > 8:
        raise ValueError(f"variable {name!r}: has type {values.dtype}; numbers, booleans and text are stored")
    if kind == "b":
        return values.astype("i1")
    return values.astype("f4") if values.dtype == np.float16 else values


def _chunks(dims: list[str], shape: tuple[int, ...], itemsize: int) -> tuple[int, tuple[int, ...]]:
    """The axis that is cut (time, else the first) and the stored chunk: about 4 MB, never above 64."""
    axis = dims.index("time") if "time" in dims else 0
    chunks = [max(1, size) for size in shape]
    chunks[axis] = max(1, min(chunks[axis], CHUNK * chunks[axis] // (math.prod(chunks) * itemsize)))
    while math.prod(chunks) * itemsize > 16 * CHUNK:
        widest = chunks.index(max(chunks))
        chunks[widest] = -(-chunks[widest] // 2)
    return axis, tuple(chunks)


def _save_attributes(target: Any, attrs: dict[Any, Any], where: str = "attributes") -> None:
    for name, value in attrs.items():
        if not isinstance(name, str) or not name or "/" in name or name in RESERVED or not name.isprintable():
            raise ValueError(f"{where}: attribute {name!r} cannot be stored under that name; rename it")
        target.setncattr(name, _attribute(value, f"{where}: attribute {name!r}"))


def _attribute(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return np.int64(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return np.int64(value)
    if isinstance(value, float):
        return np.float64(value)
    try:
        return json.dumps(value, default=lambda item: item.tolist())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"{where} is a {type(value).__name__}; keep numbers, text and lists there") from None


def _opened(file: Any, path: Path, digest: str) -> xr.Dataset:
    import xarray as xr

    labels = {*file.getncattr("coordinates").split(), *file.dimensions}
    made: dict[bool, dict[str, Any]] = {True: {}, False: {}}
    for name, stored in file.variables.items():
        dims = (
            stored.dimensions[:-1]
            if stored.dtype.kind == "S" or _kept(stored).kind == "c"
            else stored.dimensions
        )
        lazy = name not in labels and stored.dtype.kind != "S" and _bytes(stored) > EAGER
        array = (
            _lazy(stored, path, digest, len(dims)) if lazy else _restored(stored, (slice(None),) * len(dims))
        )
        attrs = {key: _plain(stored.getncattr(key)) for key in stored.ncattrs() if key not in RESERVED}
        made[name in labels][name] = (dims, array, attrs)
    attrs = {key: _plain(file.getncattr(key)) for key in file.ncattrs() if key not in RESERVED}
    return xr.Dataset(made[False], made[True], attrs)


def _lazy(stored: Any, path: Path, digest: str, ndim: int) -> Any:
    import dask.array

    shape, dims = stored.shape[:ndim], list(stored.dimensions[:ndim])
    axis = dims.index("time") if "time" in dims else 0
    chunks = list(shape)
    chunks[axis] = min(shape[axis], max(1, READ * shape[axis] // _bytes(stored)))
    piece = _Piece(str(path), stored.name, _sidecar.signature(path), shape, _kept(stored))
    meta = np.empty((0,) * ndim, piece.dtype)
    name = f"{stored.name}-{digest}"
    return dask.array.from_array(piece, tuple(chunks), name=name, meta=meta, asarray=False)


@dataclass(frozen=True)
class _Piece:
    """A variable on the disk, as dask slices it; it holds no file open and travels to other processes."""

    path: str
    name: str
    signature: _sidecar.Signature
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, place: Any) -> np.ndarray:
        import netCDF4

        with _netcdf, netCDF4.Dataset(self.path, "r") as file:
            if _sidecar.signature(Path(self.path)) != self.signature:
                raise OSError(f"{self.path}: was replaced while it was read; run again")
            return _restored(file[self.name], place if isinstance(place, tuple) else (place,))


def _restored(stored: Any, place: tuple[Any, ...]) -> np.ndarray:
    stored.set_auto_maskandscale(False)
    stored.set_auto_chartostring(False)
    values, kept = np.asarray(stored[(*place, Ellipsis)]), _kept(stored)
    if values.dtype.kind == "S":
        if not values.size:
            return np.empty(values.shape[:-1], "U1")
        return np.char.decode(np.ascontiguousarray(values).view(f"S{values.shape[-1]}")[..., 0], "utf-8")
    if kept.kind == "c":
        return np.ascontiguousarray(values).view(kept)[..., 0]
    return values.astype(kept, copy=False)


def _dims(stored: Any) -> tuple[str, ...]:
    packed = stored.dtype.kind == "S" or _kept(stored).kind == "c"
    return tuple(stored.dimensions[:-1] if packed else stored.dimensions)


def _kept(stored: Any) -> np.dtype[Any]:
    """The type that the variable had before it was stored."""
    return np.dtype(stored.getncattr("dtype") if "dtype" in stored.ncattrs() else stored.dtype)


def _bytes(stored: Any) -> int:
    return math.prod(stored.shape) * int(stored.dtype.itemsize)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
