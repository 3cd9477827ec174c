"""Spike recordings of any common format as one binned recording, and response matrices."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from loaders import _child, _digests
from loaders._ephys_session import Binning, Session, ids
from loaders._ephys_session import recording as _recording
from loaders.schema import check, nearest

FILES = {".nwb": "nwb", ".nix": "nix", ".plx": "plexon", ".nev": "blackrock", ".mat": "raster"}
PHY = ("spike_times.npy", "spike_clusters.npy", "params.py", "cluster_info.tsv", "cluster_group.tsv")
NEURALYNX = (".nse", ".ntt", ".ncs", ".nev", ".nvt", ".nrd")


def counts(
    path: str | Path,
    *,
    window: Sequence[float] | None = (-0.1, 0.5),
    bin_width: float = 0.01,
    step: float | None = None,
    align: str = "start_time",
    stimulus: str = "stimulus_id",
    table: str = "trials",
    events: str | Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    region: str | None = None,
    complete: bool = True,
    trigger_delay_s: float | None = None,
    manifest: xr.Dataset | None = None,
) -> xr.Dataset:
    """Spikes in bins around each onset, whatever the format they were stored in.

    NWB, NIX, Plexon .plx, Blackrock .nev, raster .mat files; Neuralynx and Phy folders; or a folder of
    files of one of these kinds, which becomes a pseudo-population. A bin holds its left edge, not its right
    one; a spike less than 100 ns before an edge is on it. Bins overlap where `step` is below `bin_width`.

    Reads    path; window in s around `align`, None for the whole recording; events, a channel or onsets
             in s with labels, where the file tells no trials; region, where it tells none; complete,
             whether a pseudo-population keeps only repetitions that all sessions have; trigger_delay_s, by
             which the stimulus comes later than `align`, unstated by default; manifest, digests
    Returns  response (presentation, neuroid, time), spikes a bin; ValueError names file, unit or row
    """
    kind = _kind(Path(path))
    delay = float(trigger_delay_s or 0.0)
    binning = _binning(window if window is None else [edge + delay for edge in window], bin_width, step)
    if isinstance(events, str) or events is None:
        if labels is not None:
            raise ValueError(f"{path}: labels: are given with events as a list of seconds, one label each")
    elif labels is not None and len(labels) != len(events):
        raise ValueError(f"{path}: labels: {len(labels)} for {len(events)} events; give one each")
    verified = _verify(_files(Path(path), kind), manifest)
    dataset = _child.call(
        _read_counts, path, kind=kind, window=binning.window, bin_width=binning.width, step=binning.step,
        align=align, stimulus=stimulus, table=table, region=region, complete=complete,
        events=events if isinstance(events, str) or events is None else [float(onset) for onset in events],
        labels=None if labels is None else [str(label) for label in labels],
    )  # fmt: skip
    if manifest is not None and "origin" in manifest.attrs:
        dataset.attrs["origin"] = manifest.attrs["origin"]
    dataset.attrs |= {"verified": verified, "filter": "none", **_smear(bin_width)}
    if trigger_delay_s is not None:
        dataset.attrs["trigger_delay_s"] = delay
        if window is not None:
            dataset["time"] = dataset["time"] - delay
    return check(dataset)


def response_matrix(
    path: str | Path,
    *,
    dims: Sequence[str] | None = None,
    variable: str | None = None,
    stimuli: str | Path | Sequence[str] | None = None,
    neuroids: Sequence[str] | None = None,
    region: str | None = None,
    units: str = "1",
    simultaneous: bool = True,
    manifest: xr.Dataset | None = None,
) -> xr.Dataset:
    """A matrix neuron x image (x repeat, padded with NaN): one presentation for each image and repeat.

    Which axis is which is told by `dims`, or by the numbers of names where one reading fits; never guessed.

    Reads    path, a .npy, .npz or .mat file; dims, the axes in the file's order, of neuroid, stimulus and
             repetition; variable, which array; stimuli, their names, or the folder or zip of images whose
             sorted names they are; manifest, the files' digests
    Returns  response (presentation, neuroid), NaN where a neuroid lacks a repeat; ValueError says why not
    """
    files = [Path(path)]
    if isinstance(stimuli, (str, Path)) and not Path(stimuli).is_dir():
        files.append(Path(stimuli))
    verified = _verify(files, manifest)
    names = str(stimuli) if isinstance(stimuli, (str, Path)) else None if stimuli is None else list(stimuli)
    dataset = _child.call(
        _read_matrix, path, dims=None if dims is None else list(dims), variable=variable, stimuli=names,
        neuroids=None if neuroids is None else list(neuroids), region=region, units=units,
    )  # fmt: skip
    if manifest is not None and "origin" in manifest.attrs:
        dataset.attrs["origin"] = manifest.attrs["origin"]
    dataset.attrs |= {"simultaneous": int(simultaneous), "verified": verified}
    return check(dataset)


def _smear(bin_width: float) -> dict[str, float]:
    """A bin sees what lies half its width before and after its centre [s]."""
    return {"smear_before_s": bin_width / 2, "smear_after_s": bin_width / 2}


def _binning(window: Sequence[float] | None, width: float, step: float | None) -> Binning:
    step = width if step is None else step
    for name, value in (("bin_width", width), ("step", step)):
        if not (np.isfinite(value) and value > 1e-6):
            raise ValueError(f"{name}: {value} is not a time in s; give one above 0.000001")
    if window is None:
        return Binning(None, float(width), float(step))
    if len(window) != 2 or not np.isfinite(window).all() or window[1] - window[0] < width - 1e-9:
        raise ValueError(
            f"window: {list(window)} does not hold one bin of {width} s; give [start, stop] in s"
        )
    return Binning((float(window[0]), float(window[1])), float(width), float(step))


def _kind(path: Path) -> str:
    if not path.exists():
        if path.is_symlink():
            raise ValueError(f"{path}: content not fetched: run 'datalad get {path}'")
        raise ValueError(f"{path}: no such file or folder")
    if path.suffix == ".zarr" or (path / ".zgroup").exists() or (path / "zarr.json").exists():
        raise ValueError(f"{path}: zarr is not read; export the recording as NWB in HDF5")
    if path.is_file():
        if path.suffix.lower() in FILES:
            return FILES[path.suffix.lower()]
        known = ", ".join(FILES)
        raise ValueError(f"{path}: {path.suffix or 'no suffix'}: spikes are read from {known} files and from "
                         f"Neuralynx, Phy and raster folders; {_advice(path)}")  # fmt: skip
    if (path / "spike_times.npy").exists():
        return "phy"
    found = {item.suffix.lower() for item in path.iterdir()}
    if found & {".nse", ".ntt", ".ncs"}:
        return "neuralynx"
    kinds = sorted(FILES[suffix] for suffix in found & set(FILES))
    if len(kinds) != 1:
        raise ValueError(
            f"{path}: the folder holds {' and '.join(kinds) or 'no'} recordings; one kind is wanted"
        )
    return kinds[0]


def _advice(path: Path) -> str:
    if path.suffix.lower() in (".npy", ".npz"):
        return "a matrix of responses is read by response_matrix"
    if path.suffix.lower() in (".nse", ".ntt", ".ncs"):
        return "give the folder it stands in"
    return nearest(path.suffix.lower(), FILES)


def _files(path: Path, kind: str) -> list[Path]:
    """The files that will be read, each known to stand inside the folder that was given."""
    if path.is_file():
        return [path]
    wanted = PHY if kind == "phy" else ()
    suffixes = NEURALYNX if kind == "neuralynx" else tuple(s for s, k in FILES.items() if k == kind)
    found = sorted(
        item for item in path.iterdir()
        if (item.name in wanted if wanted else item.suffix.lower() in suffixes) and not item.is_dir()
    )  # fmt: skip
    return _digests.within(path, found)


def _verify(files: list[Path], manifest: xr.Dataset | None) -> str:
    """How the files were verified, as `_digests.verify` does it for every loader."""
    if manifest is None:
        return _digests.verify(files, None)
    names, digests = (np.asarray(manifest[name].values, str).tolist() for name in ("name", "sha256"))
    return _digests.verify(files, dict(zip(names, digests, strict=True)))


def _read_counts(
    path: str, kind: str, window: list[float] | None, bin_width: float, step: float, region: str | None,
    complete: bool, events: str | list[float] | None, labels: list[str] | None, **told: str,
) -> xr.Dataset:  # fmt: skip
    binning = Binning(None if window is None else (window[0], window[1]), bin_width, step)
    files = [Path(path)] if kind in ("phy", "neuralynx") else _files(Path(path), kind)
    parts: list[xr.Dataset] = []
    silent: list[str] = []
    for file in files:
        session = _told(_session(str(file), kind, binning, **told), events, labels)
        parts.append(_recording(session, binning))
        silent += [
            str(n) for n, t in zip(session.neuroid["neuroid_id"], session.trains, strict=True) if not len(t)
        ]
    if silent:
        shown = ", ".join(silent[:10])
        warnings.warn(
            f"{path}: {len(silent)} units without a spike are kept as zeros: {shown}", UserWarning, 2
        )
    if len(parts) > 1 or (kind == "raster" and Path(path).is_dir()):
        from loaders._ephys_join import pseudo_population

        found = pseudo_population(parts, complete, path)
    else:
        found = parts[0] if kind != "raster" else parts[0].drop_vars("onset")
    if region is not None:
        found["region"] = ("neuroid", np.full(found.sizes["neuroid"], region))
    return found


def _session(path: str, kind: str, binning: Binning, table: str, stimulus: str, align: str) -> Session:
    if kind == "nwb":
        from loaders import _ephys_nwb

        return _ephys_nwb.session(path, table, stimulus, align)
    if kind == "phy":
        from loaders import _ephys_phy

        return _ephys_phy.session(path)
    if kind == "raster":
        from loaders import _ephys_raster

        return _ephys_raster.session(path, stimulus, binning.window)
    from loaders import _ephys_neo

    return _ephys_neo.nix(path, table, stimulus, align) if kind == "nix" else _ephys_neo.vendor(path, kind)


def _told(session: Session, events: str | list[float] | None, labels: list[str] | None) -> Session:
    """The session with the trials that the caller named, if any."""
    if events is None:
        return session
    trials: dict[str, Any]
    if isinstance(events, str):
        if events not in session.events:
            raise ValueError(
                f"{session.where}: events: no channel {events!r}; {nearest(events, session.events)}"
            )
        onset, names = session.events[events]
        trials = {"stimulus_id": names, "onset": onset}
    else:
        onset = np.asarray(events, float)
        bad = np.flatnonzero(~np.isfinite(onset))
        if bad.size:
            raise ValueError(
                f"{session.where}: events {bad[0]} (the first is 0): is {onset[bad[0]]}, not a time in s"
            )
        trials = {"stimulus_id": np.array(labels or ["event"] * len(onset), str), "onset": onset}
    return Session(**(vars(session) | {"trials": trials}))


def _read_matrix(
    path: str, dims: list[str] | None, variable: str | None, stimuli: str | list[str] | None,
    neuroids: list[str] | None, region: str | None, units: str,
) -> xr.Dataset:  # fmt: skip
    from loaders import _ephys_matrix, images

    matrix, told = _ephys_matrix.load_matrix(path, variable)
    names = [Path(name).stem for name in images.names(stimuli)] if isinstance(stimuli, str) else stimuli
    if names is None and "stimulus_id" in told:
        names = ids(told["stimulus_id"], f"{path}: stimulus_id").tolist()
    if neuroids is None and "neuroid_id" in told:
        neuroids = ids(told["neuroid_id"], f"{path}: neuroid_id").tolist()
    regions = [region] if region is not None else [str(name) for name in told.get("region", ["unknown"])]
    axes = None if dims is None else tuple(dims)
    found = _ephys_matrix.recording(path, matrix, axes, names, neuroids, regions, units)
    note = " ".join(str(told[key][0]) for key in ("origin", "description") if key in told)
    found.attrs["origin"] = "simulated" if "simulated" in note.lower() else "real, raw"
    return found
