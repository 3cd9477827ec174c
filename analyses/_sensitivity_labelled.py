"""Records of attacks as arrays, and estimates with their intervals as variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _sensitivity_units as kernels
from analyses._labelled import values

ATTACK, NOTHING, RANDOM, NATURAL = "attack", "nothing", "random direction", "natural step"
STATED = (
    "origin",
    "population",
    "area",
    "knowledge",
    "norm",
    "search",
    "layer",
    "noise",
    "target",
    "readout",
)
RATIOS = ("over_robust", "vanilla_over_sites", "kappa", "kappa_mean", "attack_over")  # averaged as logarithms


class Measured(NamedTuple):
    """Changes (*lead, stimulus, neuroid, presentation) of neuroids that vary, divided by their spread."""

    lead: tuple[str, ...]
    change: np.ndarray
    sign: np.ndarray | None
    kept: np.ndarray
    noisy: bool
    random_pair: float
    noise_bias: float

    @property
    def mean(self) -> np.ndarray:
        return np.asarray(self.change.mean(axis=-1))

    def estimates(self, draws: kernels.Drawn) -> dict[str, kernels.Means]:
        """absolute, signed where something was predicted, and sensitivity, which is one of them."""
        mean = self.mean
        found = {"absolute": kernels.means(np.abs(mean), draws)}
        if self.sign is not None:
            found["signed"] = kernels.means(self.sign * mean, draws)
        found["sensitivity"] = found[self.estimator]
        return found

    @property
    def estimator(self) -> str:
        return "signed" if self.noisy else "absolute"


def measured(pushed: xr.Dataset, recording: xr.Dataset, normaliser: str, noise_free: bool) -> Measured:
    """What moved, by how much, in units of the spread over clean pictures."""
    seen = kernels.pictures(kernels.placed(pushed, recording))
    size = kernels.spread(seen, normaliser)
    kept = ~kernels.silent(size)
    if not kept.any():
        raise ValueError(f"recording: no neuroid varies over pictures ({normaliser}); record others")
    change, lead = _changes(pushed, noise_free)
    noisy = not noise_free and pushed.attrs.get("noise", "none") != "none"
    sign = None
    if "predicted" in pushed:
        sign = np.sign(_ordered(pushed["predicted"], lead)[..., kept])
        sign = np.broadcast_to(sign, change[..., kept, 0].shape)
    elif noisy:
        raise ValueError("pushed: responses are noisy and nothing was predicted; keep what the model said")
    size = size[kept]
    bias = 2 * seen.noise[kept] / np.sqrt(np.pi * change.shape[-1]) / size
    pair = kernels.apart(seen.mean)[kept] / size
    return Measured(
        lead, change[..., kept, :] / size[:, None], sign, kept, noisy, float(pair.mean()),
        float(bias.mean()) if noisy else 0.0,
    )  # fmt: skip


def _changes(pushed: xr.Dataset, noise_free: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """moved less clean (*lead, stimulus, neuroid, presentation), and the names of lead, epsilon last."""
    names = [
        f"true_{name}" if noise_free and f"true_{name}" in pushed else name for name in ("clean", "moved")
    ]
    for name in names:
        if name not in pushed:
            raise ValueError(f"pushed: has no {name!r} but {', '.join(map(str, pushed))}; attack first")
    if noise_free and names[0] == "clean" and pushed.attrs.get("noise", "none") != "none":
        raise ValueError("noise_free: only simulations know responses without noise, as true_clean")
    clean, moved = (pushed[name] for name in names)
    if "presentation" not in moved.dims:
        clean, moved = clean.expand_dims(presentation=1), moved.expand_dims(presentation=1)
    lead = tuple(str(dim) for dim in ("day", "arm", "epsilon") if dim in moved.dims)
    lead += tuple(str(d) for d in moved.dims if d not in (*lead, "stimulus", "neuroid", "presentation"))
    full = (moved - clean).transpose(*lead, "stimulus", "neuroid", "presentation")
    found = np.asarray(full.values, float)
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        raise ValueError(f"moved: is not a number at {tuple(bad[0].tolist())} of {full.dims}; attack again")
    return found, lead


def _ordered(part: xr.DataArray, lead: tuple[str, ...]) -> np.ndarray:
    wanted = [dim for dim in (*lead, "stimulus", "neuroid") if dim in part.dims]
    shape = [slice(None) if dim in part.dims else None for dim in (*lead, "stimulus", "neuroid")]
    return np.asarray(part.transpose(*wanted).values, float)[tuple(shape)]


def of_layer(pushed: xr.Dataset, layer: str) -> xr.Dataset:
    """The record of a layer's neuroids; all of them where none is named."""
    if not layer:
        return pushed
    known = values(pushed, "layer").astype(str)
    if layer not in known:
        there = ", ".join(dict.fromkeys(known.tolist()))
        raise ValueError(f"layer: {layer!r} was not attacked; choose one of {there}")
    return pushed.isel(neuroid=np.flatnonzero(known == layer)).assign_attrs(layer=layer)


def judged(pushed: xr.Dataset, got: Measured) -> np.ndarray:
    """Where a judge saw no change: (*lead, stimulus, neuroid)."""
    found = _ordered(pushed["judged"], got.lead)[..., got.kept] == 0
    return np.asarray(np.broadcast_to(found, got.mean.shape))


def put(
    made: dict[str, Any], name: str, dims: tuple[str, ...], whole: Any, again: np.ndarray, confidence: float
) -> None:
    """An estimate (*dims) with its interval from draws (*dims, bootstrap)."""
    low, high = kernels.ends(again, confidence)
    for end, value in (("", whole), ("_low", low), ("_high", high)):
        made[name + end] = (dims, np.asarray(value), {"units": "1"})


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; NaN where the whole is not above 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def last(result: xr.Dataset) -> xr.Dataset:
    """A result of its last day, where it has days."""
    return result.isel(day=-1, drop=True) if "day" in result.dims else result


def same(first: xr.Dataset, second: xr.Dataset, names: tuple[str, ...]) -> None:
    """ValueError where two results do not share coordinates."""
    for name in names:
        pair = [values(part, name) for part in (first, second)]
        if pair[0].shape != pair[1].shape or not (pair[0] == pair[1]).all():
            raise ValueError(f"{name}: differs between the two ({pair[0][:3]}, {pair[1][:3]}); use the same")


def told(attrs: Mapping[Any, Any], *more: str) -> dict[str, Any]:
    """Of a result's attributes, those that say what was tested."""
    return {key: attrs[key] for key in (*STATED, *more) if key in attrs}


def kept_coords(dataset: xr.Dataset, dims: tuple[str, ...], kept: np.ndarray | None = None) -> dict[str, Any]:
    """Coordinates of these dimensions, and of the neuroids that are kept."""
    part = dataset if kept is None else dataset.isel(neuroid=np.flatnonzero(kept))
    held = {*dims} | (set() if kept is None else {"neuroid"})
    return {str(k): v.variable for k, v in part.coords.items() if v.dims and {*map(str, v.dims)} <= held}
