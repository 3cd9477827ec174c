"""How far an onset may be believed: estimated again and again on recordings whose onset was planted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import onset
from analyses._shares import clopper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT = ("onset", "onset_low", "onset_high")


def onsets(
    generator: Callable[..., xr.Dataset],
    label: str,
    *,
    planted: Sequence[float] = (0.06, 0.085, 0.12),
    strengths: Sequence[float] = (0.45, 0.8, 1.6),
    subjects: int = 16,
    draws: int = 10,
    bootstraps: int = 400,
    flips: int = 1000,
    window: Sequence[float] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Onsets estimated from planted ones, over a grid of onsets and strengths of the effect.

    Reads    generator, called with seed, subject, onset_s [s] and familiarity (the strength), which returns
             a recording; label; draws, groups of subjects at each place of the grid; the rest as
             `onset.course` and `onset.estimate`
    Returns  onset, onset_low, onset_high (method, setting, draw) [s]; detected, stated (setting, draw):
             whether any time passed, and whether the onset was not withheld; planted_s, strength (setting)
    """
    grid = [(start, strength) for start in planted for strength in strengths]
    rows: list[list[xr.Dataset]] = []
    for start, strength in grid:
        rows.append([])
        for draw in range(draws):
            source = {"seed": seed * draws + draw, "onset_s": start, "familiarity": strength}
            parts = []
            for subject in range(1, subjects + 1):
                recording = generator(subject=subject, **source)
                made = onset.course(recording, label, window=window, bootstraps=bootstraps, seed=seed)
                parts.append(made)
            group = xr.concat(parts, "subject", combine_attrs="override")
            rows[-1].append(onset.estimate(group, flips=flips, seed=seed * draws + draw))
    dims = ("method", "setting", "draw")
    found: dict[str, tuple] = {
        name: (
            dims,
            np.moveaxis(np.array([[part[name].values for part in row] for row in rows]), -1, 0),
            {"units": "s"},
        )
        for name in KEPT
    }
    detected = [[int(part.attrs["p"] < part.attrs["alpha"]) for part in row] for row in rows]
    stated = [[int(not part.attrs["withheld"]) for part in row] for row in rows]
    flags = {"detected": (dims[1:], detected, {"units": "1"}), "stated": (dims[1:], stated, {"units": "1"})}
    coords = {
        "method": list(onset.METHODS),
        "planted_s": ("setting", [start for start, _ in grid]),
        "strength": ("setting", [strength for _, strength in grid]),
    }
    attrs = {"origin": "simulated", "subjects": subjects, "confidence": 0.95}
    return xr.Dataset(found | flags, coords, attrs)


def summary(recording: xr.Dataset, *, dim: str = "seed", confidence: float = 0.95) -> xr.Dataset:
    """Bias, coverage and power of onsets, each with its interval, from all draws together.

    Reads    what `onsets` returned, gathered over dim or not
    Returns  bias, bias_low, bias_high (method, setting) [s], of the median; covered, covered_low,
             covered_high (method, setting), share of intervals that hold the planted onset; power, power_low,
             power_high and stated (setting), shares of draws; n, draws a setting, in attrs. Shares have
             Clopper-Pearson intervals, the bias that of the median by order statistics
    Source   Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404
    """
    whole = recording.stack(trial=[dim, "draw"]) if dim in recording.dims else recording.rename(draw="trial")
    shape = ("method", "setting", "trial")
    planted = whole["planted_s"].values.reshape(-1)[: whole.sizes["setting"]]
    found, low, high = (whole[name].transpose(*shape).values for name in KEPT)
    error = np.where(np.isfinite(found), found - planted[:, None], np.inf)
    count = error.shape[-1]
    inside = ((low <= planted[:, None]) & (planted[:, None] <= high)).sum(axis=-1)
    detected, stated = (
        whole[name].transpose("setting", "trial").values.sum(axis=-1) for name in ("detected", "stated")
    )
    half = 0.98 * np.sqrt(count) / count
    ranks = np.clip([0.5 - half, 0.5, 0.5 + half], 0, 1)
    bias = [
        np.where(np.isfinite(part), part, np.nan)
        for part in np.quantile(error, ranks, axis=-1, method="nearest")
    ]
    made: dict[str, tuple] = {}
    for name, part in zip(("bias_low", "bias", "bias_high"), bias, strict=True):
        made[name] = (shape[:2], part, {"units": "s"})
    for name, hits, dims in (("covered", inside, shape[:2]), ("power", detected, shape[1:2])):
        ends = (hits / count, *clopper(hits, count, confidence))
        for end, part in zip(("", "_low", "_high"), ends, strict=True):
            made[name + end] = (dims, part, {"units": "1"})
    made["stated"] = (shape[1:2], stated / count, {"units": "1"})
    strength = np.asarray(recording["strength"].values).reshape(-1)[: whole.sizes["setting"]]
    coords = {
        "method": recording["method"].values,
        "planted_s": ("setting", planted),
        "strength": ("setting", strength),
    }
    attrs = {**recording.attrs, "n": count, "over": "draw", "confidence": confidence}
    return xr.Dataset(made, coords, attrs)


def plot(result: xr.Dataset) -> Figure:
    """Bias of each method, coverage of the change point's intervals, and power, by the effect's strength.

    Reads    what `summary` returned
    Returns  a matplotlib Figure
    """
    from analyses._plots import DASHES, GREYS, figure

    made, axes = figure(9.6, 3.4, 3)
    marks = ("o", "s", "D")
    starts = np.unique(result["planted_s"].values)
    for place, method in enumerate(result["method"].values):
        row = result.sel({"method": method})
        worst = [
            1000 * float(np.abs(row["bias"].values[row["strength"] == s]).max()) for s in _strengths(result)
        ]
        axes[0].plot(
            _strengths(result),
            worst,
            DASHES[place],
            color=GREYS[place],
            marker=marks[place],
            label=str(method),
        )
    first = result.sel({"method": "change point"})
    for place, start in enumerate(starts):
        rows = np.flatnonzero(first["planted_s"].values == start)
        shift = 0.006 * (place - 1)
        for panel, name in ((axes[1], "covered"), (axes[2], "power")):
            mean, low, high = (100 * first[f"{name}{end}"].values[rows] for end in ("", "_low", "_high"))
            strength = first["strength"].values[rows] * (1 + shift)
            panel.errorbar(
                strength, mean, [mean - low, high - mean], color=GREYS[place], linestyle=DASHES[place],
                marker=marks[place], markersize=4, linewidth=1, label=f"planted at {1000 * start:.0f} ms",
            )  # fmt: skip
    axes[0].axhline(5, color="0.4", linestyle=(0, (4, 3)), linewidth=1)
    axes[1].axhline(100 * result.attrs["confidence"], color="0.4", linestyle=(0, (4, 3)), linewidth=1)
    axes[2].axhline(80, color="0.4", linestyle=(0, (4, 3)), linewidth=1)
    names = ("largest bias of the median (ms)", "intervals that hold the onset (%)", "power (%)")
    for panel, name in zip(axes, names, strict=True):
        panel.set_xlabel("strength of the effect (SD of the noise)")
        panel.set_ylabel(name)
        panel.set_xscale("log")
        panel.set_xticks(_strengths(result), [f"{s:g}" for s in _strengths(result)])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize=7)
    axes[0].set_yscale("symlog", linthresh=10)
    axes[1].set_ylim(70, 101)
    made.suptitle(
        f"simulated · {result.attrs['n']} draws of {result.attrs['subjects']} subjects a point", fontsize=7
    )
    return made


def _strengths(result: xr.Dataset) -> np.ndarray:
    return np.asarray(np.unique(result["strength"].values))
