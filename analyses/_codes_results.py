"""The Datasets of neural codes: selection, measures, intervals and controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from analyses import _codes_measures as _measures
from analyses import _geometry_labelled as _labelled
from analyses._information_labelled import simultaneous
from analyses._tasks import TRIALS, window_mean

ONE, S = {"units": "1"}, {"units": "s"}
Where = Mapping[str, Any] | None


def block(recording: xr.Dataset) -> np.ndarray:
    """Response (time, n, p) as float64; ValueError names the first value that is no number."""
    made = np.ascontiguousarray(recording["response"].transpose("time", *TRIALS).values, dtype=float)
    if not np.isfinite(made).all():
        _, row, neuroid = np.argwhere(~np.isfinite(made))[0]
        raise ValueError(
            f"response: presentation {row}, neuroid {neuroid} is no number; leave out that neuroid or "
            "presentation, nothing is imputed"
        )
    return made


def repeated(recording: xr.Dataset, by: str, fewest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Names and codes of stimuli that were all shown `fewest` times or more."""
    names, codes = _labelled.coded(recording, by)
    counts = np.bincount(codes)
    if counts.min() < fewest:
        raise ValueError(
            f"by: {by} {names[counts.argmin()]} was shown {counts.min()} times; {fewest} or more are needed"
        )
    return names, codes


def mean_of(recording: xr.Dataset, window: Sequence[float] | None) -> np.ndarray:
    """Response (n, p), its mean over the window, or over all times."""
    if "time" not in recording.coords:
        return block(recording).mean(axis=0)
    time = recording["time"].values
    made = window_mean(recording["response"], [time[0], time[-1]] if window is None else window)
    if not np.isfinite(made).all():
        block(recording)
    return np.asarray(made, dtype=float)


def fine(recording: xr.Dataset, window: Sequence[float] | None) -> tuple[np.ndarray, np.ndarray, float]:
    """Counts (n, p, time) in a window, the times, and the width of the bins [s], which must not overlap."""
    if "time" not in recording.coords or recording.sizes.get("time", 0) < 2:
        raise ValueError("time: spike times want two bins or more, in s")
    told = recording.attrs
    time = np.asarray(recording["time"].values, dtype=float)
    step = float(np.diff(time).mean())
    if np.ptp(np.diff(time)) > 1e-6:
        raise ValueError("coordinate 'time': is not evenly spaced; count spikes in even bins")
    if float(told.get("bin_width", step)) > step + 1e-9:
        raise ValueError(f"time: bins of {told['bin_width']} s overlap; count spikes with step = bin_width")
    keep = slice(None)
    if window is not None:
        inside = np.flatnonzero((time >= window[0] - 1e-9) & (time <= window[1] + 1e-9))
        if inside.size < 2:
            raise ValueError(f"window: {list(window)} s holds {inside.size} bins; wanted 2 or more")
        keep = slice(int(inside[0]), int(inside[-1]) + 1)
    return block(recording)[keep].transpose(1, 2, 0), time[keep], step


def whole(counts: np.ndarray) -> None:
    """ValueError where counts are not counts."""
    if (counts < 0).any() or (counts != np.round(counts)).any():
        raise ValueError("response: has values that are no counts of spikes; give a recording of counts")


def named(recording: xr.Dataset) -> dict[str, Any]:
    """Coordinates of neuroids."""
    return {
        str(key): ("neuroid", coord.values)
        for key, coord in recording.coords.items() if coord.dims == ("neuroid",)
    }  # fmt: skip


def facts(recording: xr.Dataset, **numbers: Any) -> dict[str, Any]:
    """What a result states, windows as text."""
    shown = {key: value for key, value in numbers.items() if value is not None}
    window = shown.pop("window", None)
    text = {} if window is None else {"window": f"{window[0]:g} to {window[1]:g} s"}
    return {"neuroids": recording.sizes["neuroid"], **shown, **text, **_labelled.inherited(recording)}


def sparseness(
    recording: xr.Dataset, by: str, shuffles: int, where: Where, confidence: float, seed: int
) -> xr.Dataset:
    """Lifetime and population indices at every time."""
    chosen = _labelled.chosen(recording, where)
    names, codes = repeated(chosen, by, 1)
    x = block(chosen)
    if (x < 0).any():
        raise ValueError("response: is below 0; sparseness is of counts or rates")
    means = _measures.averages(x, codes)
    made: dict[str, Any] = {}
    for index, values in _measures.sparse(means.transpose(2, 0, 1)).items():
        made[f"lifetime_{index}"] = (("neuroid", "time"), values, ONE)
    for index, values in _measures.sparse(means.transpose(1, 0, 2)).items():
        made[f"population_{index}"] = (("condition", "time"), values, ONE)
    null = np.zeros((x.shape[2], len(x)))
    for child in np.random.SeedSequence(seed).spawn(shuffles):
        mixed = _measures.averages(x, np.random.default_rng(child).permutation(codes))
        null += _measures.sparse(mixed.transpose(2, 0, 1))["vinje_gallant"] / shuffles
    if shuffles:
        made["lifetime_null"] = (("neuroid", "time"), null, ONE)
    for kind in ("lifetime", "population"):
        values = made[f"{kind}_vinje_gallant"][1]
        ends = np.array([_measures.middle(line, confidence, seed)[:3] for line in values.T])
        for stem, line in zip(("", "_low", "_high"), ends.T, strict=True):
            made[f"{kind}_median{stem}"] = ("time", line, ONE)
    told = facts(chosen, by=by, stimuli=names.size, shuffles=shuffles, seed=seed, confidence=confidence)
    coords = {"condition": names, **named(chosen), **_labelled.timed(chosen)}
    return xr.Dataset(made, coords, told | {"over": "neuroid", "n": chosen.sizes["neuroid"]})


def heterogeneity(
    recording: xr.Dataset, by: str, window: Sequence[float] | None, sizes: Sequence[int], draws: int,
    where: Where, confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Tuning of each neuroid, and simulated populations, mixed and of equal neuroids."""
    chosen = _labelled.chosen(recording, where)
    names, codes = repeated(chosen, by)
    x = mean_of(chosen, window)
    if (x < 0).any():
        raise ValueError("response: is below 0; tuning widths are of counts or rates")
    means = _measures.averages(x, codes)
    peak = means.max(axis=0)
    live = peak > 0
    safe = np.where(live, peak, 1.0)
    spread = (
        _measures.averages((x - means[codes]) ** 2, codes)
        * (np.bincount(codes) / (np.bincount(codes) - 1))[:, None]
    )
    rate = means.mean(axis=0)
    gain = peak - means.min(axis=0)
    made: dict[str, Any] = {
        "preferred": ("neuroid", names[means.argmax(axis=0)].astype(str), ONE),
        "tuning_width": ("neuroid", np.where(live, (means >= peak / 2).mean(axis=0), np.nan), ONE),
        "gain": ("neuroid", np.where(live, gain / safe, np.nan), ONE),
        "mean_response": ("neuroid", rate, {"units": str(chosen["response"].attrs.get("units", "1"))}),
        "fano_factor": ("neuroid", spread.mean(axis=0) / np.where(rate > 0, rate, np.nan), ONE),
    }
    most = int(live.sum())
    kept = [size for size in sizes if size <= most]
    found = _compared(means[:, live], kept, draws, seed)
    made["accuracy"] = (("arm", "setting", "draw"), found, ONE)
    made["size"] = ("setting", np.array(kept), ONE)
    share = np.bincount(means[:, live].argmax(axis=0), minlength=names.size) / most
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum() / np.log2(names.size)
    told = facts(
        chosen, by=by, window=window, stimuli=names.size, draws=draws, seed=seed, confidence=confidence
    )
    told |= {"preferred_entropy": float(entropy), "chance": 1 / names.size, "n": most, "over": "neuroid"}
    told |= {"accuracy_of": "Poisson responses simulated from tuning, equal mean rate"}
    coords = {"arm": ["heterogeneous", "homogeneous"], **named(chosen)}
    return xr.Dataset(made, coords, told)


def _compared(means: np.ndarray, sizes: list[int], draws: int, seed: int) -> np.ndarray:
    """Accuracy (arm, size, draw): neuroids as they are, and copies of one, both at the mean rate of all."""
    found = np.empty((2, len(sizes), draws))
    grand = means.mean()
    for place, child in enumerate(np.random.SeedSequence(seed).spawn(len(sizes))):
        rng = np.random.default_rng(child)
        for draw in range(draws):
            some = means[:, rng.choice(means.shape[1], sizes[place], replace=False)]
            found[0, place, draw] = _measures.told(some * grand / some.mean(), 50, rng)
            one = means[:, rng.integers(means.shape[1])]
            copies = one[:, None] * grand / one.mean() * sizes[place]
            found[1, place, draw] = _measures.told(copies, 50, rng)
    return found


def correlations(
    recording: xr.Dataset, by: str, window: Sequence[float] | None, together: str, noise: bool, bins: int,
    where: Where, confidence: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Signal correlations of all pairs, noise correlations of those recorded together, and their controls."""
    chosen = _labelled.chosen(recording, where)
    names, codes = repeated(chosen, by, 3)
    x = mean_of(chosen, window)
    count = x.shape[1]
    joint = simultaneous(chosen, together) if noise else np.zeros((count, count), dtype=bool)
    square = _measures.signal(x, codes, joint)
    np.fill_diagonal(square, np.nan)
    dims = ("neuroid", "other_neuroid")
    raw = np.full((count, count), np.nan)
    means = _measures.averages(x, codes)
    live = means.std(axis=0) > 0
    raw[np.ix_(live, live)] = np.corrcoef(means[:, live].T)
    np.fill_diagonal(raw, np.nan)
    made: dict[str, Any] = {"signal": (dims, square, ONE), "signal_raw": (dims, raw, ONE)}
    upper = np.triu_indices(count, 1)
    middle = _measures.middle(raw[upper], confidence, seed, 400)
    told: dict[str, Any] = {"signal_median": middle[0], "signal_low": middle[1], "signal_high": middle[2]}
    told |= facts(chosen, by=by, window=window, stimuli=names.size, seed=seed, confidence=confidence)
    told |= {
        "noise": "not asked: signal alone",
        "together": together or "all",
        "n": int(upper[0].size),
        "over": "pair",
    }
    if noise:
        found = np.where(joint, _measures.noise(x, codes), np.nan)
        np.fill_diagonal(found, np.nan)
        mixed = _measures.noise(_measures.within(x, codes, np.random.default_rng(seed)), codes)
        keep = joint[upper] & np.isfinite(found[upper]) & np.isfinite(raw[upper])
        pairs = tuple(line[keep] for line in upper)
        made["noise"] = (dims, found, ONE)
        groups = chosen[together].values.astype(str) if together else np.arange(count).astype(str)
        told |= _noise(
            found[pairs], raw[pairs], mixed[pairs], groups[pairs[0]], bool(together), confidence, seed
        )
        rate = np.sqrt(np.maximum(x.mean(axis=0)[pairs[0]] * x.mean(axis=0)[pairs[1]], 0))
        told |= _matched(found[pairs], raw[pairs], rate, bins)
        told |= {"noise": "recorded together", "noise_pairs": int(keep.sum())}
    return xr.Dataset(made, named(chosen), told)


def _noise(
    found: np.ndarray, raw: np.ndarray, mixed: np.ndarray, groups: np.ndarray, sessions: bool,
    confidence: float, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Mean noise correlation of pairs with its interval, sessions (or pairs) drawn again."""
    if found.size < 2:
        raise ValueError("noise correlations: fewer than two pairs; give more neuroids recorded together")
    names, which = np.unique(groups, return_inverse=True)
    which = which.ravel() if sessions else np.arange(found.size)
    number = names.size if sessions else found.size
    sums, sizes = np.bincount(which, found, number), np.bincount(which, minlength=number)
    drawn = np.random.default_rng(seed).integers(0, number, (2000, number))
    again = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(again, [(1 - confidence) / 2, (1 + confidence) / 2])
    return {
        "noise_mean": float(found.mean()), "noise_low": float(low), "noise_high": float(high),
        "noise_shuffled": float(mixed.mean()), "drawn": "sessions" if sessions else "pairs",
        "noise_on_signal": float(np.corrcoef(found, raw)[0, 1]),
    }  # fmt: skip


def _matched(found: np.ndarray, raw: np.ndarray, rate: np.ndarray, bins: int) -> dict[str, Any]:
    """How noise goes with the rate of a pair, and with its signal correlation among pairs of like rate."""
    if found.size < 4 * bins:
        return {"noise_on_rate": np.nan, "noise_on_signal_matched": np.nan, "rate_bins": bins}
    place = np.minimum(rate.argsort().argsort() * bins // rate.size, bins - 1)
    each = [(np.corrcoef(found[place == k], raw[place == k])[0, 1], (place == k).sum()) for k in range(bins)]
    values, sizes = np.array(each).T
    return {
        "noise_on_rate": float(np.corrcoef(found, rate)[0, 1]), "rate_bins": bins,
        "noise_on_signal_matched": float((values * sizes).sum() / sizes.sum()),
    }  # fmt: skip


def fisher(
    recording: xr.Dataset, label: str, window: Sequence[float] | None, together: str, where: Where
) -> xr.Dataset:
    """Linear Fisher information of every pair of labels, and without correlations."""
    chosen = _labelled.chosen(recording, where)
    names, codes = repeated(chosen, label, 4)
    if not simultaneous(chosen, together).all():
        raise ValueError(f"together: not all neuroids have one value of {together!r}; take those of one")
    x = mean_of(chosen, window)
    square = np.full((2, names.size, names.size), np.nan)
    for one in range(names.size):
        for two in range(one + 1, names.size):
            for place in range(2):
                value = _measures.fisher_sampled(x[codes == one], x[codes == two], bool(place))
                square[place, one, two] = square[place, two, one] = value
    if np.isnan(square[0, 0, 1:]).all():
        raise ValueError(
            f"fisher: {x.shape[1]} neuroids and {np.bincount(codes).min()} presentations of a label; a "
            "covariance wants more than (neuroids + 3) / 2 of each"
        )
    dims = ("condition", "other_condition")
    made = {"fisher": (dims, square[0], ONE), "fisher_shuffled": (dims, square[1], ONE)}
    told = facts(chosen, label=label, window=window, n=codes.size, over="presentation")
    return xr.Dataset(made, {"condition": names, "other_condition": names}, told)
