"""Numbers of landscapes over layers: means, rank correlations with depth, and their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from analyses._categories_groups import quantiles
from analyses._labelled import values

ONE = {"units": "1"}
SCALARS = (
    "branch_area", "loop_area", "line_area", "single_branch", "single_loop", "aspect", "local_r2",
    "local_width", "global_r2", "sparseness",
)  # fmt: skip


def across(
    parts: list[xr.Dataset], names: list[str], bootstraps: int, confidence: float, seed: int
) -> xr.Dataset:
    """Arms over layers, starts and neuroids drawn again, the same starts in both arms."""
    parts = [part if "seed" in part.dims else part.expand_dims("seed") for part in parts]
    layers = [list(dict.fromkeys(values(part, "layer").ravel().tolist())) for part in parts]
    if len(layers[0]) < 2 or any(each != layers[0] for each in layers):
        raise ValueError(
            f"layer: {layers[0]} and {layers[-1]}; give two layers or more, the same in both arms"
        )
    if len({part.sizes["seed"] for part in parts}) > 1:
        raise ValueError("seed: other starts in the arms; give each network its twin")
    depth = [np.array([layers[0].index(name) for name in _first(part)]) for part in parts]
    columns = [[part[name].transpose("seed", "neuroid").values for name in SCALARS] for part in parts]
    table = [np.stack(each, axis=-1) for each in columns]
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    now = [_summaries(*pair, None) for pair in zip(table, depth, strict=True)]
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    again: list[list[Any]] = []
    for _ in range(bootstraps):
        starts = rng.integers(len(table[0]), size=len(table[0]))
        again.append([
            _summaries(part[starts], deep, rng) for part, deep in zip(table, depth, strict=True)
        ])  # fmt: skip
    made: dict[str, Any] = {}
    kinds = {
        "mean": ("arm", "layer", "condition"),
        **dict.fromkeys(("rho", "rho_matched"), ("arm", "condition")),
    }
    for place, (key, dims) in enumerate(kinds.items()):
        mean = np.stack([each[place] for each in now])
        drawn = np.stack([[arm[place] for arm in draw] for draw in again])
        made |= _triple(key, dims, mean, drawn, ends)
        if key != "mean" and len(parts) > 1:
            made |= _triple(f"{key}_difference", dims[1:], mean[0] - mean[1], drawn[:, 0] - drawn[:, 1], ends)
    count = len(layers[0])
    for name in ("loops", "lines"):
        curves = [part[name].transpose("level", "seed", "neuroid").values for part in parts]
        made[name] = (("arm", "layer", "level"), np.stack([
            [np.nanmean(curve[..., deep == k], axis=(1, 2)) for k in range(count)]
            for curve, deep in zip(curves, depth, strict=True)
        ]), ONE)  # fmt: skip
    live = [
        [np.isfinite(part[:, deep == k, 0]).sum() for k in range(count)]
        for part, deep in zip(table, depth, strict=True)
    ]
    made["live"] = (("arm", "layer"), np.array(live, float), ONE)
    coords = {"arm": names, "layer": layers[0], "condition": list(SCALARS), "level": parts[0]["level"].values}
    told = parts[0].attrs
    facts: dict[str, Any] = {k: told[k] for k in ("grid", "levels", "space", "smoothing") if k in told}
    facts |= {"over": "starts, and neuroids within them", "starts": len(table[0]), "confidence": confidence,
              "n": int(sum(live[0])), "bootstraps": bootstraps, "seed": seed}  # fmt: skip
    return xr.Dataset(made, coords, facts)


def _first(part: xr.Dataset) -> list[str]:
    column = np.asarray(values(part, "layer"))
    return [str(name) for name in (column[0] if column.ndim > 1 else column)]


def _summaries(
    table: np.ndarray, depth: np.ndarray, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means (layer, scalar), rank correlations with depth (scalar,), and those given sparseness."""
    count = depth.max() + 1
    if rng is not None:
        members = [np.flatnonzero(depth == k) for k in range(count)]
        pick = np.stack([np.concatenate([rng.choice(rows, rows.size) for rows in members]) for _ in table])
        table = np.take_along_axis(table, pick[..., None], axis=1)
        depth = np.concatenate([np.full(rows.size, k) for k, rows in enumerate(members)])
    flat, deep = table.reshape(-1, table.shape[2]), np.tile(depth, len(table))
    with np.errstate(invalid="ignore"):
        known = np.isfinite(flat)
        means = np.stack([
            np.where(known[deep == k], flat[deep == k], 0).sum(0) / known[deep == k].sum(0)
            for k in range(count)
        ])  # fmt: skip
    sparse = flat[:, SCALARS.index("sparseness")]
    rho = np.array([correlated(column, deep) for column in flat.T])
    matched = np.array([
        np.nan if name == "sparseness" else correlated(column, deep, sparse)
        for name, column in zip(SCALARS, flat.T, strict=True)
    ])  # fmt: skip
    return means, rho, matched


def correlated(one: np.ndarray, two: np.ndarray, given: np.ndarray | None = None) -> float:
    """Spearman's rho, or its partial given a third; NaN left out, NaN where one does not vary.

    >>> correlated(np.array([1.0, 2, 9]), np.array([1, 2, 3]))
    1.0
    """
    columns = [one, two] if given is None else [one, two, given]
    known = np.isfinite(np.stack(columns)).all(axis=0)
    if known.sum() < 3:
        return np.nan
    ranks = [rankdata(column[known]) for column in columns]
    ranks = [rank - rank.mean() for rank in ranks]
    if given is not None:
        base = float(ranks[2] @ ranks[2])
        ranks = [rank - ranks[2] * (rank @ ranks[2]) / base if base > 0 else rank for rank in ranks[:2]]
    energy = float(ranks[0] @ ranks[0]) * float(ranks[1] @ ranks[1])
    return float(ranks[0] @ ranks[1] / np.sqrt(energy)) if energy > 1e-18 else np.nan


def halves(recording: xr.Dataset, fewest: int, seed: int) -> list[xr.Dataset]:
    """Half of the presentations of each picture, and the others."""
    cells = np.stack([values(recording, name).astype(float) for name in ("u", "v")])
    _, codes, counts = np.unique(cells, axis=1, return_inverse=True, return_counts=True)
    if counts.min() < fewest:
        why = f"{counts.min()} presentations of a picture; halves want {fewest}"
        raise ValueError(f"response: {why}; show it again, or set noise to false")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    order = np.lexsort((rng.random(codes.size), np.ravel(codes)))
    start = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(codes.size, int)
    rank[order] = np.arange(codes.size) - np.repeat(start, counts)
    return [recording.isel(presentation=np.flatnonzero(rank % 2 == side)) for side in (0, 1)]


def agreement(one: xr.Dataset, two: xr.Dataset) -> xr.Dataset:
    """Rank correlation over neuroids of each scalar."""
    r = [correlated(one[name].values, two[name].values) for name in SCALARS]
    facts = {
        "n": int(np.isfinite(one["aspect"].values).sum()),
        "over": "neuroids",
        "levels": one.sizes["level"],
    }
    return xr.Dataset({"r": ("condition", r, ONE)}, {"condition": list(SCALARS)}, facts)


def _triple(
    name: str, dims: tuple[str, ...], now: np.ndarray, again: np.ndarray, ends: list[float]
) -> dict[str, Any]:
    low, high = quantiles(again, ends)
    return {name: (dims, now, ONE), f"{name}_low": (dims, low, ONE), f"{name}_high": (dims, high, ONE)}
