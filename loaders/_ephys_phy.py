"""Phy folders: spikes sorted by Kilosort and its kin, as text and .npy; params.py is read, never run."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loaders._ephys_matrix import load_npy
from loaders._ephys_session import Session

TABLES = ("cluster_info.tsv", "cluster_group.tsv", "cluster_KSLabel.tsv", "cluster_groups.csv")
RATE = re.compile(r"^\s*sample_rate\s*=\s*([0-9.eE+]+)\s*(#.*)?$", re.MULTILINE)


def session(path: str) -> Session:
    """The clusters of a Phy folder, those called noise left out; it tells no trials."""
    folder = Path(path)
    rate = _rate(folder)
    samples = load_npy(folder / "spike_times.npy").ravel()
    clusters = load_npy(folder / "spike_clusters.npy").ravel()
    if len(samples) != len(clusters):
        raise ValueError(f"{folder / 'spike_clusters.npy'}: has {len(clusters)} spikes, spike_times.npy has "
                         f"{len(samples)}; export both again")  # fmt: skip
    rows = _table(folder)
    kept = [int(c) for c in np.unique(clusters) if rows.get(int(c), {}).get("group") != "noise"]
    order = np.argsort(clusters, kind="stable")
    ends = np.searchsorted(clusters[order], kept, side="right")
    starts = np.searchsorted(clusters[order], kept, side="left")
    trains = [samples[order[a:b]] / rate for a, b in zip(starts, ends, strict=True)]
    told = [rows.get(cluster, {}) for cluster in kept]
    neuroid: dict[str, NDArray[Any]] = {
        "neuroid_id": np.array([str(cluster) for cluster in kept], str),
        "region": np.array([row.get("region", row.get("acronym", "unknown")) for row in told], str),
        "recording": np.full(len(kept), folder.name),
        "quality": np.array([row.get("group") or row.get("KSLabel") or "unsorted" for row in told], str),
        "electrode": np.array([row.get("ch", row.get("channel", "")) for row in told], str),
    }
    return Session(path, trains, neuroid)


def _rate(folder: Path) -> float:
    file = folder / "params.py"
    found = RATE.search(file.read_text(errors="replace"))
    if not found:
        raise ValueError(f"{file}: sample_rate: no line 'sample_rate = NUMBER'; write it in")
    try:
        rate = float(found[1])
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e7:
        raise ValueError(f"{file}: sample_rate: {found[1]!r} is not a rate in Hz; correct it")
    return rate


def _table(folder: Path) -> dict[int, dict[str, str]]:
    rows: dict[int, dict[str, str]] = {}
    for name in TABLES:
        if not (folder / name).is_file():
            continue
        with open(folder / name, newline="", encoding="utf-8-sig") as stream:
            for line, row in enumerate(
                csv.DictReader(stream, delimiter="," if name.endswith("csv") else "\t"), 2
            ):
                cluster = row.get("cluster_id", row.get("id"))
                if cluster is None or not cluster.strip().isdigit():
                    raise ValueError(f"{folder / name}:{line}: cluster_id {cluster!r} is not a whole number")
                told = {key: value for key, value in row.items() if key and value}
                rows[int(cluster)] = told | rows.get(int(cluster), {})
    return rows
