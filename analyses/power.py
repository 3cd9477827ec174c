"""What this study could have found: power at the user's own number of units, in the user's own noise."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _flips, _records
from analyses._shares import clopper

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHAPES = ("boxcar", "ramp", "observed")
WANTED = 0.8
CONFIDENCE = 0.95
STEPS = 9  # effects tried by default: 0 to 8 standard errors
INHERITED = ("origin", "label", "simultaneous", "missing")


def at_own_n(
    recording: xr.Dataset,
    *,
    dim: str = "subject",
    effects: Sequence[float] | None = None,
    shape: str = "boxcar",
    window: Sequence[float] | None = None,
    alpha: float = 0.05,
    sets: int = 200,
    flips: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Share of planted effects that the test finds, with as many units and as much noise as were measured.

    Over units, the noise is what is left of each course without the mean over units, its sign drawn at random
    and all units moved around in time together; the test is the sign flip with max-T, one-sided. Within one
    unit, the noise is a course of relabelled data; the test compares it with the others, max-T. An effect is
    found when the corrected p is below alpha at any time. This is no power at the effect that was seen, which
    would say no more than its p.

    Reads    auc or balanced_accuracy (`dim`, time) with attrs["chance"]; without `dim`, null (permutation,
             time). effects, scores above chance, by default 0 to 8 standard errors; shape of the effect in
             time: "boxcar" in `window` [s] (all times after 0), "ramp" up through `window` and then 1, or
             "observed", the mean course after 0
    Returns  power, power_low, power_high (setting), unit 1, with the exact 95 % interval; effect (setting);
             attrs smallest_effect with power .8 and its interval, NaN where none reaches it. The intervals
             are those of the planted sets; that the noise is known from so many units only is not in them.
             ValueError for one unit; warns where alpha cannot be reached
    Source   Nichols and Holmes 2002, doi 10.1002/hbm.1058; Clopper and Pearson 1934, doi
             10.1093/biomet/26.4.404; Hoenig and Heisey 2001, doi 10.1198/000313001300339897
    >>> rng = np.random.default_rng(0)
    >>> noise = 0.5 + 0.05 * rng.standard_normal((12, 20))
    >>> group = xr.Dataset({"auc": (("subject", "time"), noise)}, {"time": np.arange(20) / 100})
    >>> found = at_own_n(group.assign_attrs(chance=0.5), effects=[0, 0.1], sets=20, flips=100)
    >>> [float(share) for share in found.power > 0.5]
    [0.0, 1.0]
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha}; wanted between 0 and 1")
    for name, value in (("sets", sets), ("flips", flips)):
        if value < 1:
            raise ValueError(f"{name}: {value}; wanted 1 or more")
    score = "auc" if "auc" in recording else "balanced_accuracy"
    course = recording[score] if score in recording else recording["null"].mean("permutation")
    planted = _shape(course.mean([name for name in course.dims if name != "time"]), shape, window, recording)
    if dim in course.dims:
        _records.finite(course)
        values = course.transpose(dim, "time").values - recording.attrs["chance"]
        sizes = _sizes(effects, values, 1 / np.sqrt(len(values)), dim)
        found, smallest_p = _among_units(values, np.outer(sizes, planted), sets, flips, seed)
        told = {"n": len(values), "over": dim, "test": "sign flip"}
    elif "null" in recording:
        _records.finite(recording["null"])
        values = recording["null"].transpose("permutation", "time").values
        sizes = _sizes(effects, values, 1.0, "permutation")
        found, smallest_p = _among_relabelled(values, np.outer(sizes, planted), sets, seed)
        told = {
            "n": recording.sizes.get("presentation", 0), "over": "presentation",
            "test": "permutation of labels",
        }  # fmt: skip
    else:
        raise ValueError(
            f"recording: has neither dimension {dim!r} nor variable 'null'; gather units, or decode with "
            "permutations"
        )
    if smallest_p >= alpha:
        text = f"cannot reach p < {alpha:g}: the smallest p is {smallest_p:.2g}; there is no power to state"
        warnings.warn(text, UserWarning, stacklevel=2)
    made = _curve(sizes, found < alpha)
    made.attrs |= {
        **told, "alpha": alpha, "sets": len(found), "correction": "max-t", "tail": "greater", "score": score,
        "smallest_p": smallest_p, "shape": shape, "chance": recording.attrs.get("chance", np.nan),
        **{key: recording.attrs[key] for key in INHERITED if key in recording.attrs},
    }  # fmt: skip
    return made


def plot(result: xr.Dataset) -> Figure:
    """Power over the size of the effect, with alpha and the power of .8 as lines.

    Reads    what `at_own_n` returned
    Returns  a matplotlib Figure
    """
    from analyses._plots import NAMES, caption, figure

    made, (axes,) = figure()
    effect, attrs = result["effect"].values, result.attrs
    label = f"{CONFIDENCE:.0%} CI, {attrs['sets']} planted sets"
    axes.fill_between(
        effect, result["power_low"], result["power_high"], color="0.8", linewidth=0, label=label
    )
    axes.plot(effect, result["power"], "-o", color="0", linewidth=1.5, markersize=3)
    for height, dash, name in ((attrs["alpha"], (0, (1, 2)), "alpha"), (WANTED, (0, (4, 3)), "power")):
        axes.axhline(height, color="0.4", linewidth=1, linestyle=dash)
        place = (1.005, height)
        axes.annotate(
            f"{name} {height:g}", place, xycoords=("axes fraction", "data"), va="center", fontsize=7
        )
    if np.isfinite(attrs["smallest_effect"]):
        axes.axvline(attrs["smallest_effect"], ymax=WANTED / 1.05, color="0.4", linewidth=1)
    axes.set_ylim(0, 1.05)
    axes.set_xlabel(f"planted effect ({NAMES.get(attrs['score'], attrs['score'])} above chance)")
    axes.set_ylabel("share of planted sets with an effect found")
    axes.set_title(f"{attrs['test']}, n = {attrs['n']} {attrs['over']}s", fontsize=9, loc="left")
    axes.set_title(caption(attrs), fontsize=7, loc="right", color="0.4")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, loc="center right")
    return made


def _shape(
    course: xr.DataArray, shape: str, window: Sequence[float] | None, recording: xr.Dataset
) -> np.ndarray:
    """The course of an effect of size 1."""
    if shape not in SHAPES:
        raise ValueError(f"shape: {shape!r}; use one of {', '.join(SHAPES)}")
    time = np.asarray(course["time"].values, dtype=float)
    after = time > 0 if (time > 0).any() else np.ones(time.size, bool)
    start, end = (time[after][0], time[after][-1]) if window is None else window
    inside = (time >= start - 1e-9) & (time <= end + 1e-9)
    if not inside.any():
        raise ValueError(f"window: [{start}, {end}] s; there is none of {time[0]:.4g} to {time[-1]:.4g} s")
    if shape == "ramp":
        return np.clip((time - start) / max(end - start, 1e-9), 0, 1)
    if shape == "boxcar":
        return np.where(inside, 1.0, 0.0)
    gain = np.where(inside & after, course.values - recording.attrs["chance"], 0.0)
    if not gain.max() > 0:
        raise ValueError("shape: 'observed'; nothing lies above chance there, so give another shape")
    return np.asarray(np.maximum(gain / gain.max(), 0))


def _sizes(effects: Sequence[float] | None, values: np.ndarray, share: float, dim: str) -> np.ndarray:
    """Effects to plant: as given, or steps of the standard error, a share of the SD of values (dim, time)."""
    if len(values) < 2:
        raise ValueError(f"dimension {dim!r}: {len(values)}; at least 2 are needed")
    if effects is None:
        error = share * values.std(axis=0, ddof=1).mean()
        return np.array([float(f"{size:.2g}") for size in error * np.arange(STEPS)])
    sizes = np.asarray(effects, dtype=float)
    if sizes.size == 0 or not (np.isfinite(sizes) & (sizes >= 0)).all() or (np.diff(sizes) <= 0).any():
        raise ValueError(f"effects: {list(effects)}; give growing scores above chance, from 0 on")
    return sizes


def _among_units(
    values: np.ndarray, planted: np.ndarray, sets: int, flips: int, seed: int
) -> tuple[np.ndarray, float]:
    """values (unit, time) less chance, planted (effect, time) to smallest corrected p (set, effect).

    All effects are planted in the same noise, so that a curve does not fall by chance.
    """
    count, times = values.shape
    noise = (values - values.mean(axis=0)) * np.sqrt(count / (count - 1))
    signs = _flips.signs(count, flips, "greater", seed)
    found = np.empty((sets, len(planted)))
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(sets)):
        rng = np.random.default_rng(child)
        moved = np.roll(noise, rng.integers(times), axis=1) * rng.choice([-1.0, 1.0], (count, 1))
        parts = _flips.scaled((moved[:, None] + planted).reshape(count, -1))
        largest = (signs @ parts).reshape(len(signs), *planted.shape).max(axis=2)
        seen = parts.sum(axis=0).reshape(planted.shape).max(axis=1)
        found[number] = ((largest >= seen - 1e-9).sum(axis=0) + 1) / (len(signs) + 1)
    return found, 1 / (len(signs) + 1)


def _among_relabelled(
    null: np.ndarray, planted: np.ndarray, sets: int, seed: int
) -> tuple[np.ndarray, float]:
    """null (permutation, time), planted (effect, time) to smallest corrected p (set, effect): each set is one
    course of the null, tested against the others.
    """
    largest = null.max(axis=1)
    chosen = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(null))[:sets]
    found = np.empty((len(chosen), len(planted)))
    for number, place in enumerate(chosen):
        seen = (null[place] + planted).max(axis=1)
        others = np.delete(largest, place)
        found[number] = ((others[:, None] >= seen - 1e-9).sum(axis=0) + 1) / len(null)
    return found, 1 / len(null)


def _curve(sizes: np.ndarray, detected: np.ndarray) -> xr.Dataset:
    """detected (set, effect) to power with its interval, and the smallest effect that has enough."""
    sets, hits = len(detected), detected.sum(axis=0)
    low, high = clopper(hits, sets, CONFIDENCE)
    curves = {"power": hits / sets, "power_low": low, "power_high": high}
    attrs = {"confidence": CONFIDENCE, "power_wanted": WANTED}
    ends = {"": "power", "_low": "power_high", "_high": "power_low"}
    attrs |= {f"smallest_effect{end}": _crossing(sizes, curves[name]) for end, name in ends.items()}
    return xr.Dataset(
        {name: ("setting", curve, {"units": "1"}) for name, curve in curves.items()},
        coords={"effect": ("setting", sizes, {"units": "1"})}, attrs=attrs,
    )  # fmt: skip


def _crossing(sizes: np.ndarray, curve: np.ndarray) -> float:
    """The size at which a curve first reaches the power wanted, between two that were tried; else NaN."""
    place = int(np.argmax(curve >= WANTED))
    if curve[place] < WANTED:
        return float("nan")
    if place == 0:
        return float(sizes[0])
    share = (WANTED - curve[place - 1]) / (curve[place] - curve[place - 1])
    return float(sizes[place - 1] + share * (sizes[place] - sizes[place - 1]))
