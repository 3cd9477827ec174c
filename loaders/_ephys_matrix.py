"""Plain arrays of strangers (.npy, .npz, .mat): read without pickle, and response matrices made from them."""

from __future__ import annotations

import zipfile
import zlib
from itertools import permutations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import xarray as xr
from numpy.typing import NDArray

from loaders._ephys_hdf5 import looks_like, open_hdf5
from loaders.schema import nearest

WANTED = "wanted is one numeric array neuroid x stimulus or neuroid x stimulus x repetition"
AXES = ("neuroid", "stimulus", "repetition")
NAMES = ("stimulus_id", "neuroid_id", "region", "description", "origin")
DAMAGED = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_npy(path: Path) -> NDArray[Any]:
    """An array that holds no Python objects; ValueError says why not."""
    if not path.is_file():
        raise ValueError(f"{path}: missing")
    try:
        with open(path, "rb") as stream:
            array = np.load(stream, allow_pickle=False)
    except DAMAGED as error:
        raise ValueError(f"{path}: {_why(error)}") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: is an archive of arrays, not one array; rename it to .npz")
    return array


def load_mat(path: str, names: list[str] | None = None) -> dict[str, Any]:
    """Variables of a MATLAB file up to version 7.2, structs as dictionaries."""
    try:
        return dict(scipy.io.loadmat(path, simplify_cells=True, variable_names=names))
    except Exception as error:
        with open(path, "rb") as stream:
            head = stream.read(4096)
        line = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: not a readable MATLAB file{looks_like(head)}: {line}; save it again with -v7"
        ) from None


def load_matrix(path: str, variable: str | None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The one numeric array of a file, or the one called `variable`, and the names that stand beside it."""
    kind = Path(path).suffix.lower()
    if kind == ".npy":
        return load_npy(Path(path)), {}
    if kind == ".npz":
        return _from_npz(path, variable)
    if kind != ".mat":
        raise ValueError(f"{path}: {kind or 'no suffix'}: a response matrix is read from .npy, .npz or .mat")
    if h5py.is_hdf5(path):
        return _from_hdf5(path, variable), {}
    try:
        held = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(path)}
    except Exception:
        load_mat(path)
        raise
    numeric = ("double", "single", "int", "uint", "logical")
    name = _choose(path, {n: s for n, (s, k) in held.items() if k.startswith(numeric)}, held, variable)
    found = load_mat(path, [name, *NAMES])
    told = {key: np.atleast_1d(np.asarray(found[key])) for key in NAMES if key in found and key != name}
    return np.asarray(found[name]).reshape(held[name][0]), told


def recording(
    path: str, matrix: NDArray[Any], dims: tuple[str, ...] | None, stimuli: list[str] | None,
    neuroids: list[str] | None, region: list[str], units: str,
) -> xr.Dataset:  # fmt: skip
    """Presentations (image x repeat, where at least one neuroid has a number) of a response matrix."""
    if matrix.dtype.kind not in "fiub" or matrix.ndim not in (2, 3):
        raise ValueError(f"{path}: holds {_shape(matrix.shape)} of type {matrix.dtype}; {WANTED}")
    dims = _resolve(path, matrix.shape, dims, stimuli, neuroids)
    cube = np.moveaxis(matrix, [dims.index(name) for name in AXES[: matrix.ndim]], range(matrix.ndim))
    cube = cube.astype(np.float64).reshape(*cube.shape[:2], -1)
    endless = np.argwhere(np.isinf(cube))
    if len(endless):
        raise ValueError(
            f"{path}: {AXES} {tuple(endless[0].tolist())}: is infinite; NaN marks what is absent"
        )
    there = np.isfinite(cube).any(axis=0)
    image, repetition = np.nonzero(there)
    if stimuli is None:
        stimuli = [str(k) for k in range(cube.shape[1])]
    if neuroids is None:
        neuroids = [str(k) for k in range(cube.shape[0])]
    coords = {
        "stimulus_id": ("presentation", np.array(stimuli, str)[image]),
        "neuroid_id": ("neuroid", np.array(neuroids, str)),
        "region": (
            "neuroid",
            np.full(cube.shape[0], region[0]) if len(region) == 1 else np.array(region, str),
        ),
        "recording": ("neuroid", np.full(cube.shape[0], Path(path).stem)),
    }
    if matrix.ndim == 3:
        coords["repetition"] = ("presentation", repetition)
    response = cube[:, image, repetition].T
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), np.ascontiguousarray(response), {"units": units})}, coords
    )


def _resolve(
    path: str, shape: tuple[int, ...], dims: tuple[str, ...] | None,
    stimuli: list[str] | None, neuroids: list[str] | None,
) -> tuple[str, ...]:  # fmt: skip
    wanted = AXES[: len(shape)]
    if dims is not None and sorted(dims) != sorted(wanted):
        raise ValueError(f"{path}: dims: {', '.join(dims)} for a matrix of {_shape(shape)}; "
                         f"wanted are {', '.join(wanted)} in the file's order")  # fmt: skip
    if dims is None:
        dims = _by_length(shape, stimuli, neuroids)
    if dims is None:
        raise ValueError(f"{path}: dims: {_shape(shape)} does not say which axis is which; give "
                         f"dims=({', '.join(wanted)}) in the file's order")  # fmt: skip
    for name, given in (("stimulus", stimuli), ("neuroid", neuroids)):
        length = shape[dims.index(name)]
        if given is not None and len(given) != length:
            raise ValueError(
                f"{path}: {name}: {len(given)} names for an axis of {length}; give one name each"
            )
    return dims


def _by_length(
    shape: tuple[int, ...], stimuli: list[str] | None, neuroids: list[str] | None
) -> tuple[str, ...] | None:
    """The axes, where the numbers of given names leave one reading only."""
    given = {"stimulus": stimuli, "neuroid": neuroids}
    fits = [
        order for order in permutations(AXES[: len(shape)])
        if all(names is None or len(names) == shape[order.index(name)] for name, names in given.items())
    ]  # fmt: skip
    return fits[0] if len(fits) == 1 else None


def _from_npz(path: str, variable: str | None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
            held = {}
            beside = [name for name in NAMES if name in archive.files]
            for name in archive.files if variable is None else [variable, *beside]:
                if name not in archive.files:
                    raise ValueError(f"variable {name!r} is missing; {nearest(name, archive.files)}")
                held[name] = _member(archive, name)
    except DAMAGED as error:
        raise ValueError(f"{path}: {_why(error)}") from None
    numeric = {n: a.shape for n, a in held.items() if a.dtype.kind in "fiu" and a.ndim > 1}
    name = _choose(path, numeric, {n: (a.shape, str(a.dtype)) for n, a in held.items()}, variable)
    return held[name], {key: np.atleast_1d(held[key]) for key in NAMES if key in held and key != name}


def _member(archive: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(archive[name])
    except ValueError as error:
        raise ValueError(f"array {name!r}: {_why(error)}") from None


def _from_hdf5(path: str, variable: str | None) -> NDArray[Any]:
    with open_hdf5(path) as file:
        held = {
            name: (file[name].shape[::-1], str(file[name].attrs.get("MATLAB_class", b"?")))
            for name in _hard(file)
        }
        numeric = {
            n: s for n, (s, _) in held.items() if file[n].dtype.kind in "fiu" and len(s) > 1 and min(s) > 0
        }
        name = _choose(path, numeric, held, variable)
        return np.asarray(file[name][()]).T  # MATLAB writes the last axis first


def _hard(file: h5py.File) -> list[str]:
    names = [name for name in file if file.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD]
    return [name for name in names if isinstance(file[name], h5py.Dataset) and not file[name].external]


def _choose(path: str, numeric: dict[str, Any], held: dict[str, Any], variable: str | None) -> str:
    if variable is not None and variable not in held:
        raise ValueError(f"{path}: variable {variable!r} is missing; {nearest(variable, held)}")
    numeric = {name: shape for name, shape in numeric.items() if variable in (None, name)}
    if len(numeric) == 1:
        return next(iter(numeric))
    shown = ", ".join(f"{name} ({_shape(shape)} {kind})" for name, (shape, kind) in held.items()) or "nothing"
    more = "; give variable=NAME" if len(numeric) > 1 else ""
    raise ValueError(f"{path}: holds {shown}; {WANTED}{more}")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _why(error: Exception) -> str:
    line = " ".join(str(error).split())[:200]
    if "allow_pickle" in line or "Object arrays" in line:
        return "holds Python objects (pickle), which can run code; convert it to plain numbers with np.save"
    return line or type(error).__name__
