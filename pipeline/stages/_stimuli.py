"""Pictures and presentations joined by stimulus_id, written as files, and read back."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from loaders.schema import nearest

AT_ONCE = 64  # pictures in a block that is read


def shown(stimuli: xr.Dataset, wanted: np.ndarray) -> xr.Dataset:
    """The pictures that were shown, each once, sorted by stimulus_id; ValueError names a missing one."""
    known = stimuli["stimulus_id"].values.astype(str)
    names, first, counts = np.unique(known, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"stimulus_id {str(names[counts > 1][0])!r}: stands twice among the stimuli; keep one"
        )
    asked = np.unique(wanted.astype(str))
    missing = asked[~np.isin(asked, names)]
    if missing.size:
        why = f"was shown and is not among the stimuli ({missing.size} such; these begin with"
        raise ValueError(f"stimulus_id {str(missing[0])!r}: {why} {', '.join(names[:3])}); add the pictures")
    return stimuli.isel(stimulus=first[np.searchsorted(names, asked)])


def averaged(recording: xr.Dataset) -> xr.Dataset:
    """One presentation a stimulus, sorted by stimulus_id: the mean of its repetitions, NaN left out."""
    names, row = np.unique(recording["stimulus_id"].values.astype(str), return_inverse=True)
    response = np.asarray(recording["response"].values)
    if len(names) == len(row):
        return recording.isel(presentation=np.argsort(row))
    there = np.isfinite(response)
    total = np.zeros((len(names), *response.shape[1:]))
    count = np.zeros_like(total)
    np.add.at(total, row, np.where(there, response, 0))
    np.add.at(count, row, there)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    first = np.unique(row, return_index=True)[1]
    varying = [
        name for name, coord in recording.coords.items()
        if coord.dims == ("presentation",) and (coord.values[first][row] != coord.values).any()
    ]  # fmt: skip
    bare = recording.drop_vars(varying).isel(presentation=first)
    return bare.assign(response=(recording["response"].dims, mean, recording["response"].attrs))


def joined(source: xr.Dataset, target: xr.Dataset) -> xr.Dataset:
    """The source's presentations of the target's stimuli, in the target's order."""
    known, wanted = (part["stimulus_id"].values.astype(str) for part in (source, target))
    missing = wanted[~np.isin(wanted, known)]
    if missing.size:
        why = f"is in the target and not in the source ({missing.size} such; its own begin with"
        raise ValueError(f"stimulus_id {str(missing[0])!r}: {why} {', '.join(known[:3])}); record the same")
    found = source.isel(presentation=np.searchsorted(known, wanted))
    if "object_name" in target.coords:
        found = found.assign_coords(object_name=("presentation", target["object_name"].values))
    return found


def still(recording: xr.Dataset) -> xr.DataArray:
    response = recording["response"]
    if response.sizes.get("time", 1) > 1:
        raise ValueError(
            f"response: has {response.sizes['time']} times; choose one, or average over a window"
        )
    return response.isel(time=0) if "time" in response.dims else response


def of_region(recording: xr.Dataset, region: str | None) -> xr.Dataset:
    if "region" not in recording.coords:
        raise ValueError("region: the recording does not say it; assign a coordinate region (neuroid)")
    known = np.unique(recording["region"].values.astype(str))
    if region is None and len(known) > 1:
        raise ValueError(f"region: the recording has {', '.join(known)}; name one")
    if region is None or len(known) == 1 == (region == known[0]):
        return recording
    if region not in known:
        raise ValueError(f"region: {region!r} is not in the recording; {nearest(region, known)}")
    return recording.isel(neuroid=np.flatnonzero(recording["region"].values.astype(str) == region))


def repetitions(recording: xr.Dataset) -> np.ndarray:
    """Of each presentation, how often its stimulus had been shown before, in the order of `repetition`."""
    ids = recording["stimulus_id"].values.astype(str)
    told = recording["repetition"].values if "repetition" in recording.coords else np.zeros(len(ids))
    order = np.lexsort((np.arange(len(ids)), told))
    number = np.empty(len(ids), int)
    number[order] = pd.Series(ids[order]).groupby(ids[order]).cumcount().to_numpy()
    return number


def fewest(recording: xr.Dataset) -> int:
    """The smallest number of presentations of a stimulus."""
    return int(np.unique(recording["stimulus_id"].values.astype(str), return_counts=True)[1].min())


def content(recording: xr.Dataset) -> str:
    """A hash of responses and of all labels."""
    made = hashlib.sha256()
    for name in ["response", *sorted(map(str, recording.coords))]:
        values = np.asarray(recording[name].values)
        values = values.astype(str) if values.dtype.kind in "OU" else values
        made.update(f"{name} {recording[name].dims} {values.shape} {values.dtype}\n".encode())
        made.update(np.ascontiguousarray(values).tobytes())
    return made.hexdigest()


def written(pictures: xr.Dataset, home: Path) -> tuple[str, list[Path]]:
    """A hash of the pictures, and their files, 8 bits a channel; files that stand are not written again."""
    from PIL import Image

    image = pictures["image"].transpose("stimulus", "channel", "y", "x")
    ids = pictures["stimulus_id"].values.astype(str).tolist()
    made, rounded = hashlib.sha256(json.dumps(ids).encode()), 0
    arrays = []
    for start in range(0, len(ids), AT_ONCE):
        pixels = np.asarray(image[start : start + AT_ONCE].values, np.float32)
        if not ((pixels >= 0) & (pixels <= 1)).all():
            raise ValueError("image: has values beyond 0 to 1; Brain-Score sees pictures of 8 bits")
        eight = np.round(pixels * 255).astype(np.uint8)
        rounded += int((np.abs(eight / np.float32(255) - pixels) > 1e-6).any(axis=(1, 2, 3)).sum())
        made.update(eight.tobytes())
        arrays.append(np.moveaxis(eight, 1, -1))
    if rounded:
        warnings.warn(f"image: {rounded} pictures are rounded to 8 bits for Brain-Score", UserWarning, 4)
    key = made.hexdigest()[:16]
    folder = home / "stimuli" / key
    files = [folder / f"{k:06d}.png" for k in range(len(ids))]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            inner = Path(place) / key
            inner.mkdir()
            for file, pixels in zip(files, (one for block in arrays for one in block), strict=True):
                plain = np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels
                Image.fromarray(plain).save(inner / file.name, compress_level=1)
            try:
                os.rename(inner, folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
    return key, files


def read(paths: Sequence[str], size: int | None) -> xr.Dataset:
    """Pictures of files as lazy stimuli; resized as Brain-Score does, in 8 bits by Pillow, bilinearly."""
    import dask
    import dask.array
    from PIL import Image

    with Image.open(paths[0]) as image:
        width, height = (size, size) if size is not None else image.size
    blocks = []
    for start in range(0, len(paths), AT_ONCE):
        some = list(paths[start : start + AT_ONCE])
        task = dask.delayed(_block, pure=False)(some, width, height, size is not None)
        blocks.append(dask.array.from_delayed(task, (len(some), 3, height, width), np.float32))
    dims = ("stimulus", "channel", "y", "x")
    lazy = (dims, dask.array.concatenate(blocks), {"units": "1", "range": "0-1"})
    return xr.Dataset({"image": lazy}, {"stimulus_id": ("stimulus", [str(k) for k in range(len(paths))])})


def _block(paths: list[str], width: int, height: int, resize: bool) -> np.ndarray:
    from PIL import Image

    found = np.empty((len(paths), 3, height, width), np.float32)
    for k, path in enumerate(paths):
        with Image.open(path) as image:
            plain = image.convert("RGB")
        if resize:
            plain = plain.resize((width, height), Image.Resampling.BILINEAR)
        if plain.size != (width, height):
            raise ValueError(
                f"{path}: is {plain.size[0]} x {plain.size[1]}, not {width} x {height}; give size"
            )
        found[k] = np.moveaxis(np.asarray(plain, np.float32) / np.float32(255), -1, 0)
    return found
