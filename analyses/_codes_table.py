"""The table of design constraints: one row for each property of a population code, in words and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses._codes_measures import middle

UNKNOWN = "unknown"
KEPT = ("origin", "simultaneous", "trigger_delay_s")


class Row(NamedTuple):
    """A property, what it bears on, its measure, its value with an interval, what that does and asks."""

    property: str
    about: str
    measure: str
    unit: str
    value: float
    low: float
    high: float
    n: int
    effect: str
    rule: str


class Asked(NamedTuple):
    """Window over which courses are averaged, width of intervals, seed of draws."""

    window: Sequence[float] | None
    confidence: float
    seed: int


def made(
    given: Mapping[str, xr.Dataset | None], window: Sequence[float] | None, confidence: float, seed: int
) -> xr.Dataset:
    """All rows as one Dataset."""
    asked = Asked(window, confidence, seed)
    parts = {name: result for name, result in given.items() if result is not None}
    if not parts:
        raise ValueError("table: nothing was given; give at least one result")
    rows = []
    for source, write in ROWS:
        rows.append(write(parts[source], asked) if source in parts else _absent(write, source))
    columns = list(zip(*rows, strict=True))
    numbers = {
        name: ("property", np.array(columns[place], dtype=float), {"units": "1"})
        for place, name in enumerate(Row._fields) if name in ("value", "low", "high", "n")
    }  # fmt: skip
    texts = {
        name: ("property", np.array(columns[place], dtype=str), {"units": "1"})
        for place, name in enumerate(Row._fields) if name in ("about", "measure", "unit", "effect", "rule")
    }  # fmt: skip
    told: dict[str, Any] = {"confidence": confidence, "seed": seed, "from": ", ".join(sorted(parts))}
    for result in parts.values():
        told |= {key: result.attrs[key] for key in KEPT if key in result.attrs}
    if window is not None:
        told["window"] = f"{window[0]:g} to {window[1]:g} s"
    return xr.Dataset(numbers | texts, {"property": np.array(columns[0], dtype=str)}, told)


def _absent(write: Callable[..., Row], source: str) -> Row:
    name = (write.__doc__ or source).rstrip(".")
    return Row(
        name, UNKNOWN, "", "1", np.nan, np.nan, np.nan, 0, f"not measured: no {source} was given", "none"
    )


def _during(variable: xr.DataArray, asked: Asked) -> np.ndarray:
    """Mean over the window, where there is time."""
    if "time" not in variable.dims:
        return np.asarray(variable.values)
    if asked.window is not None and "time" in variable.coords:
        variable = variable.sel(time=slice(*asked.window))
    if not variable.sizes["time"]:
        raise ValueError(f"window: {list(asked.window or [])} s holds no sample of {variable.name}")
    return np.asarray(variable.mean("time").values)


def _median(variable: xr.DataArray, asked: Asked) -> tuple[float, float, float, int]:
    value, low, high, count = middle(np.ravel(_during(variable, asked)), asked.confidence, asked.seed)
    return value, low, high, int(count)


def _mean(numbers: np.ndarray, asked: Asked) -> tuple[float, float, float, int]:
    """Mean with its bootstrap interval."""
    kept = numbers[np.isfinite(numbers)]
    if kept.size < 2:
        return float(kept.mean()) if kept.size else np.nan, np.nan, np.nan, int(kept.size)
    again = np.random.default_rng(asked.seed).choice(kept, (2000, kept.size)).mean(axis=1)
    low, high = np.quantile(again, [(1 - asked.confidence) / 2, (1 + asked.confidence) / 2])
    return float(kept.mean()), float(low), float(high), int(kept.size)


def _side(low: float, high: float, above: str, below: str, neither: str = "not told apart from 0") -> str:
    return above if low > 0 else below if high < 0 else neither


def carried(result: xr.Dataset, asked: Asked) -> Row:
    """Information of one neuroid."""
    name = "subtracted" if "subtracted" in result else "information"
    found = _median(result[name], asked)
    share = found[0] / float(result.attrs["entropy"])
    some = ""
    if "p" in result:
        some = f", {float((result['p'].min('time') <= 0.05).mean()):.0%} of neuroids significant at some time"
    return Row("Information of one neuroid", "encoding", f"median {name} over neuroids", "bit", *found,
               f"{share:.1%} of the entropy of {result.attrs['label']}{some}",
               f"read out more than one: {1 / share:.0f} would be needed if all told different things"
               if share > 0 else "none")  # fmt: skip


def together(result: xr.Dataset, asked: Asked) -> Row:
    """Information of the population."""
    value = float(_during(result["information"], asked))
    low, high = (float(_during(result[f"information_{end}"], asked))
                 if f"information_{end}" in result else np.nan for end in ("low", "high"))  # fmt: skip
    entropy = float(result.attrs["entropy"])
    who = str(result.attrs.get("decoder", result.attrs["estimator"]))
    bound = f"a readout ({who}) obtains" if "decoder" in result.attrs else f"the population ({who}) carries"
    return Row("Information of the population", "readout", f"mean over time, {who}", "bit", value, low, high,
               int(result.attrs["n"]),
               f"{bound} {value / entropy:.0%} of the entropy of {result.attrs['label']}",
               f"a bidirectional link must carry at least {value:.2f} bits per presentation")  # fmt: skip


def lifetime(result: xr.Dataset, asked: Asked) -> Row:
    """Sparseness over stimuli."""
    found = _median(result["lifetime_vinje_gallant"], asked)
    floor = _median(result["lifetime_null"], asked)[0] if "lifetime_null" in result else 0.0
    above = "sparser than exchanged stimuli" if found[1] > floor else "not sparser than exchanged stimuli"
    return Row("Sparseness over stimuli", "encoding", "median Vinje-Gallant over neuroids", "1", *found,
               f"{above} ({floor:.2f}); the activity ratio of a neuroid is {1 - found[0]:.2f}",
               f"tune each unit to answer no more than about {1 - found[0]:.0%} of inputs")  # fmt: skip


def across(result: xr.Dataset, asked: Asked) -> Row:
    """Sparseness over neuroids."""
    found = _median(result["population_vinje_gallant"], asked)
    return Row("Sparseness over neuroids", "cost", "median Vinje-Gallant over stimuli", "1", *found,
               f"the activity ratio is {1 - found[0]:.2f}: so few neuroids hold most of the response",
               f"provide event bandwidth for about {1 - found[0]:.0%} of units at once")  # fmt: skip


def thrift(result: xr.Dataset, asked: Asked) -> Row:
    """Bits per spike."""
    bits = result["subtracted" if "subtracted" in result else "information"].sel(code="count").values
    spikes = result["spikes"].values
    kept = np.isfinite(bits) & (spikes > 0)
    bits, spikes = bits[kept], spikes[kept]
    draws = np.random.default_rng(asked.seed).integers(0, bits.size, (2000, bits.size))
    again = bits[draws].sum(axis=1) / spikes[draws].sum(axis=1)
    low, high = np.quantile(again, [(1 - asked.confidence) / 2, (1 + asked.confidence) / 2])
    value = float(bits.sum() / spikes.sum())
    return Row("Bits per spike", "cost", "information of counts over spikes, summed over neuroids",
               "bit/spike", value, float(low), float(high), int(bits.size),
               f"one spike stands for {value:.3f} bit of {result.attrs['label']}",
               f"an event budget below {1 / value:.0f} events per bit loses information"
               if value > 0 else "none")  # fmt: skip


def mixed(result: xr.Dataset, asked: Asked) -> Row:
    """Worth of mixed tuning."""
    accuracy = result["accuracy"].isel(setting=-1)
    gap = (accuracy.sel(arm="heterogeneous") - accuracy.sel(arm="homogeneous")).values
    found, size = _mean(gap, asked), int(result["size"][-1])
    return Row("Worth of mixed tuning", "readout", f"accuracy, mixed less equal tuning, {size} neuroids", "1",
               *found, _side(found[1], found[2], "mixed tuning is decoded better at equal rate",
                             "equal tuning is decoded better at equal rate"),
               _side(found[1], found[2], "keep, do not calibrate away, differences between units",
                     "units of one kind suffice", "no rule"))  # fmt: skip


def alike(result: xr.Dataset, asked: Asked) -> Row:
    """Signal correlation."""
    told = result.attrs
    ends = (float(told["signal_median"]), float(told["signal_low"]), float(told["signal_high"]))
    return Row("Signal correlation", "encoding", "median over pairs", "1", *ends, int(told["n"]),
               _side(ends[1], ends[2], "neuroids share part of their tuning", "neuroids have opposed tuning"),
               _side(ends[1], ends[2], "units share tuning to this extent: it guards against loss of units",
                     "pair units of opposed tuning", "build in no common tuning"))  # fmt: skip


def shared(result: xr.Dataset, asked: Asked) -> Row:
    """Noise correlation."""
    told = result.attrs
    if "noise_mean" not in told:
        return Row("Noise correlation", "readout", "mean over pairs", "1", np.nan, np.nan, np.nan, 0,
                   "unavailable: neuroids were not recorded together", "none")  # fmt: skip
    ends = (float(told["noise_mean"]), float(told["noise_low"]), float(told["noise_high"]))
    tie = float(told["noise_on_signal_matched"])
    return Row("Noise correlation", "readout", f"mean over pairs, {told['drawn']} drawn again", "1", *ends,
               int(told["noise_pairs"]),
               _side(ends[1], ends[2], "noise is shared", "noise is opposed")
               + f"; with signal correlation {tie:+.2f} at like rates",
               _side(ends[1], ends[2], "averaging over units removes less noise than their number suggests",
                     "averaging over units removes more noise than their number suggests",
                     "treat noise of units as independent"))  # fmt: skip


def redundancy(result: xr.Dataset, asked: Asked) -> Row:
    """Redundancy of pairs."""
    linear = float(_during(result["mean_linear"], asked))
    value = float(_during(result["mean_signal_similarity"], asked)) / linear
    name = "mean_signal_similarity"
    low, high = (float(_during(result[f"{name}_{end}"], asked)) / linear
                 if f"{name}_{end}" in result else np.nan for end in ("low", "high"))  # fmt: skip
    return Row("Redundancy of pairs", "encoding", "signal similarity over the sum of each alone", "1", value,
               low, high, int(result.attrs["pairs"]), f"a pair says {-value:.1%} less than the sum of both",
               "count on nearly additive information of few units"
               if abs(value) < 0.1 else "add units of other tuning rather than more of one")  # fmt: skip


def interplay(result: xr.Dataset, asked: Asked) -> Row:
    """Effect of noise correlation on pairs."""
    names = ("correlation_independent", "correlation_dependent")
    if f"mean_{names[0]}" not in result:
        return Row("Effect of noise correlation on pairs", "encoding", "both noise terms", "bit", np.nan,
                   np.nan, np.nan, 0, "unavailable: neuroids were not recorded together", "none")  # fmt: skip
    bias = float(sum(_during(result[f"shuffled_{name}"], asked) for name in names))
    value = float(sum(_during(result[f"mean_{name}"], asked) for name in names)) - bias
    reach = [[float(_during(result[f"mean_{name}_{end}"], asked)) for end in ("low", "high")]
             for name in names if f"mean_{name}_low" in result]  # fmt: skip
    low, high = map(float, np.sum(reach, axis=0) - bias) if reach else (np.nan, np.nan)
    return Row("Effect of noise correlation on pairs", "encoding",
               "both noise terms, less those of shuffled presentations", "bit", value, low, high,
               int(result.attrs["pairs"]),
               _side(low, high, "correlations add information", "correlations cost information"),
               _side(low, high, "a decoder must see units jointly", "decorrelate, or pool unlike units",
                     "a decoder may treat units one by one"))  # fmt: skip


def slow(result: xr.Dataset, asked: Asked) -> Row:
    """Intrinsic timescale."""
    told = result.attrs
    ends = float(told["timescale"]), float(told["timescale_low"]), float(told["timescale_high"])
    live = result["timescale"].values[np.isfinite(result["timescale"].values)]
    spread = f"{np.quantile(live, 0.25):.2f} to {np.quantile(live, 0.75):.2f} s" if live.size else UNKNOWN
    return Row("Intrinsic timescale", "readout", "decay of the mean autocorrelation", "s", *ends,
               int(told["fitted"]), f"half of the neuroids that decay lie within {spread}",
               f"build leaks with time constants of about {ends[0]:.2f} s, spread as widely")  # fmt: skip


def first(result: xr.Dataset, asked: Asked) -> Row:
    """Latency beyond count."""
    found = _mean(result["beyond_count"].values, asked)
    return Row("Latency beyond count", "encoding", "mean over neuroids, both less count", "bit", *found,
               _side(found[1], found[2], "the first spike's time adds to the count",
                     "the first spike's time adds nothing"),
               _side(found[1], found[2], "keep the time of first events relative to onset",
                     "counting events suffices", "counting events suffices so far"))  # fmt: skip


def exact(result: xr.Dataset, asked: Asked) -> Row:
    """Temporal precision."""
    place = int(result["width"].values.argmin())
    found, width = _mean(result["timing"].isel(width=place).values, asked), float(result["width"][place])
    return Row("Temporal precision", "encoding", f"timing information in bins of {width * 1000:.0f} ms, mean",
               "bit", *found, _side(found[1], found[2], "spike times within the window matter",
                                    "spike times within the window do not matter"),
               _side(found[1], found[2], f"events need time stamps of {width * 1000:.0f} ms or finer",
                     "rates over the window suffice", "rates over the window suffice so far"))  # fmt: skip


def lasting(result: xr.Dataset, asked: Asked) -> Row:
    """Consistency over time."""
    square = result["persistence"]
    if asked.window is not None:
        square = square.sel(time=slice(*asked.window), test_time=slice(*asked.window))
    away = ~np.eye(square.sizes["time"], dtype=bool)
    value = float(np.nanmean(square.values[away])) if np.isfinite(square.values[away]).any() else np.nan
    drift = f"; drift {float(_during(result['drift'], asked)):+.3f}" if "drift" in result else ""
    return Row("Consistency over time", "readout", "mean likeness of tuning at two times, noise removed", "1",
               value, np.nan, np.nan, square.sizes["time"],
               f"tuning at one time is {value:.2f} like that at another{drift}",
               "one fixed readout serves the whole window" if value > 0.9
               else "a readout must change, or integrate, over the window")  # fmt: skip


ROWS: tuple[tuple[str, Callable[[xr.Dataset, Asked], Row]], ...] = (
    ("information", carried), ("population", together), ("sparseness", lifetime), ("sparseness", across),
    ("latency", thrift), ("heterogeneity", mixed), ("correlations", alike), ("breakdown", redundancy),
    ("correlations", shared), ("breakdown", interplay), ("timescales", slow), ("latency", first),
    ("precision", exact), ("consistency", lasting),
)  # fmt: skip
