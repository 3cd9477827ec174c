"""Published RDMs in MATLAB files, such as those of the 92 images of Kriegeskorte et al. 2008."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from loaders import _child, _digests
from loaders._ephys_matrix import load_mat
from loaders.schema import check, nearest

PRELOAD = ("scipy.io",)
DIMS = ("model", "condition", "other_condition")
FLAGS = ("human", "face", "animal", "natural")


def rdms(
    path: str | Path,
    *,
    variable: str | None = None,
    names: Sequence[str] | None = None,
    dim: str = "model",
    average: Sequence[str] | None = None,
    origin: str = "",
    manifest: xr.Dataset | None = None,
) -> xr.Dataset:
    """RDMs of one variable of a MATLAB file: a struct array whose members hold RDM and name.

    RDMs may be n x n or the vector of one triangle, by columns. The diagonal is taken to be 0.

    Reads    path, a .mat file up to version 7.2; variable, the only one with RDMs by default; names, the RDMs
             to keep; dim, what they are: model or subject; average, one RDM for each of these, the mean of
             those whose names hold it; origin, what is known of the data; manifest, the file's digest
    Returns  dissimilarity (model or subject, condition, other_condition), unit 1, conditions numbered from
             01 as in the file. ValueError says what is missing
    """
    verified = _digests.verify([Path(path)], _told(manifest))
    found = _child.call(_read, path, variable=variable)
    kept = _kept(str(path), found, list(names or []))
    dataset = found.isel(model=kept)
    if average:
        dataset = _averaged(str(path), dataset, list(average))
    dataset = dataset.rename({"model": dim}) if dim != "model" else dataset
    dataset.attrs |= {"verified": verified} | ({"origin": origin} if origin else {})
    return check(dataset)


def categories(
    path: str | Path, *, variable: str = "stimuli_92objs", manifest: xr.Dataset | None = None
) -> xr.Dataset:
    """What the pictures behind an RDM show: their category and four flags.

    Reads    path, a .mat file with a struct array of pictures; variable, its name
    Returns  number (condition); category, human, face, animal, natural (condition) as coordinates
    """
    verified = _digests.verify([Path(path)], _told(manifest))
    dataset = _child.call(_read_categories, path, variable=variable)
    dataset.attrs |= {"verified": verified}
    return check(dataset)


def _told(manifest: xr.Dataset | None) -> dict[str, str] | None:
    if manifest is None:
        return None
    names, digests = (np.asarray(manifest[name].values, str).tolist() for name in ("name", "sha256"))
    return dict(zip(names, digests, strict=True))


def _kept(path: str, found: xr.Dataset, wanted: list[str]) -> list[int]:
    known = [str(name) for name in found["model"].values]
    if not wanted:
        return list(range(len(known)))
    for name in wanted:
        if name not in known:
            raise ValueError(f"{path}: holds no RDM called {name!r}; {nearest(name, known)}")
    return [known.index(name) for name in wanted]


def _averaged(path: str, dataset: xr.Dataset, words: list[str]) -> xr.Dataset:
    known = [str(name) for name in dataset["model"].values]
    array = dataset["dissimilarity"].values
    parts = []
    for word in words:
        inside = [place for place, name in enumerate(known) if word in name]
        if not inside:
            raise ValueError(f"{path}: average: no RDM is called {word!r}; {nearest(word, known)}")
        parts.append(array[inside].mean(axis=0))
    coords = {"model": words} | {name: dataset[name].values for name in ("condition", "other_condition")}
    return xr.Dataset({"dissimilarity": (DIMS, np.stack(parts), {"units": "1"})}, coords)


def _read(path: str, variable: str | None) -> xr.Dataset:
    held = {name: item for name, item in load_mat(path).items() if not name.startswith("__")}
    if variable is not None and variable not in held:
        raise ValueError(f"{path}: variable {variable!r} is missing; {nearest(variable, held)}")
    chosen = (
        [variable]
        if variable
        else [name for name, item in held.items() if any("RDM" in m for m in _members(item))]
    )
    if len(chosen) != 1:
        raise ValueError(
            f"{path}: {len(chosen)} variables hold RDMs ({', '.join(held)}); name one with variable"
        )
    members = [member for member in _members(held[chosen[0]]) if "RDM" in member]
    if not members:
        raise ValueError(f"{path}: {chosen[0]}: holds no structs with a member RDM")
    names = [str(member.get("name", place + 1)) for place, member in enumerate(members)]
    names = [" ".join(name.replace("|", " ").split()) for name in names]
    arrays = [_matrix(path, name, member["RDM"]) for name, member in zip(names, members, strict=True)]
    if len({array.shape for array in arrays}) > 1:
        raise ValueError(f"{path}: {chosen[0]}: RDMs of different sizes; keep those of one size apart")
    count = len(arrays[0])
    conditions = [f"{place + 1:0{len(str(count))}d}" for place in range(count)]
    return xr.Dataset(
        {"dissimilarity": (DIMS, np.stack(arrays), {"units": "1"})},
        {"model": names, "condition": conditions, "other_condition": conditions},
    )


def _members(item: Any) -> Iterator[dict[str, Any]]:
    """The structs of a struct array of any shape."""
    if isinstance(item, dict):
        yield item
    elif hasattr(item, "_fieldnames"):  # inside arrays of more than one dimension, structs stay objects
        yield {name: getattr(item, name) for name in item._fieldnames}
    elif isinstance(item, list) or (isinstance(item, np.ndarray) and item.dtype == object):
        for part in item:
            yield from _members(part)


def _matrix(path: str, name: str, found: Any) -> np.ndarray:
    array = np.asarray(found, dtype=np.float64)
    if array.ndim == 1:
        count = round((1 + float(np.sqrt(1 + 8 * array.size))) / 2)
        if count * (count - 1) // 2 != array.size:
            raise ValueError(f"{path}: {name}: {array.size} values fill no triangle of a matrix")
        full = np.zeros((count, count))
        full[np.triu_indices(count, 1)] = array
        array = full + full.T
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(
            f"{path}: {name}: {array.shape}, of which {int((~np.isfinite(array)).sum())} are no numbers; "
            "wanted n x n dissimilarities, all finite"
        )
    if np.abs(np.diag(array)).max() > 1e-6 * np.abs(array).max():
        raise ValueError(f"{path}: {name}: is not 0 on the diagonal; give dissimilarities, not similarities")
    return array


def _read_categories(path: str, variable: str) -> xr.Dataset:
    held = load_mat(path, [variable])
    if variable not in held:
        raise ValueError(f"{path}: variable {variable!r} is missing")
    members = list(_members(held[variable]))
    lacking = [name for name in ("category", *FLAGS) if any(name not in member for member in members)]
    if lacking or not members:
        raise ValueError(f"{path}: {variable}: lacks {', '.join(lacking) or 'pictures'}")
    count = len(members)
    coords: dict[str, Any] = {
        "condition": [f"{place + 1:0{len(str(count))}d}" for place in range(count)],
        "category": ("condition", np.array([str(member["category"]) for member in members])),
    }
    coords |= {
        name: ("condition", np.array([str(int(member[name])) for member in members])) for name in FLAGS
    }
    return xr.Dataset({"number": ("condition", np.arange(1.0, count + 1), {"units": "1"})}, coords)
