"""What many units say together, and whether chance says it too: means, tests, prevalence, contrasts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.stats import norm
from scipy.stats import t as student

from analyses import _flips, _prevalence, _records
from analyses._corrections import CLUSTERED, STEP, Family, corrected
from analyses._labelled import values
from analyses._records import Asked, Layout
from analyses._tasks import BLOCKED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIDENCE = 0.95  # of the intervals beside a test
FORMING = 0.05  # p at which places form clusters


def across(recording: xr.Dataset, *, dim: str = "subject", confidence: float = 0.95) -> xr.Dataset:
    """Mean over units of every variable, with a confidence interval for the mean.

    The interval is Student's, over units as the random effect: it says how sure the mean over such units
    is, not that an effect is present at any one time.

    Reads    variables with the dimension `dim`, at least 2 units
    Returns  each variable's mean under its own name, with <name>_low and <name>_high; n in attrs;
             variables without the dimension are left out; ValueError for one unit
    Source   Student 1908, doi 10.1093/biomet/6.1.1
    >>> two = xr.Dataset({"auc": (("subject", "time"), [[0.5], [0.7]], {"units": "1"})}, {"time": [0.1]})
    >>> float(across(two).auc[0])
    0.6
    """
    if dim not in recording.dims or recording.sizes[dim] < 2:
        raise ValueError(f"dimension {dim!r}: {recording.sizes.get(dim, 0)} units; at least 2 are needed")
    count = recording.sizes[dim]
    width = float(student.ppf(0.5 + confidence / 2, count - 1)) / np.sqrt(count)
    made = {}
    for name, variable in recording.data_vars.items():
        if dim in variable.dims:
            mean, spread = variable.mean(dim), variable.std(dim, ddof=1)
            units = {"units": variable.attrs.get("units", "1")}
            made[str(name)] = mean.assign_attrs(units)
            made[f"{name}_low"] = (mean - width * spread).assign_attrs(units)
            made[f"{name}_high"] = (mean + width * spread).assign_attrs(units)
    inherited = {key: value for key, value in recording.attrs.items() if not str(key).startswith("_")}
    return xr.Dataset(made, attrs={**inherited, "n": count, "over": dim, "confidence": confidence})


def sign_flip(
    recording: xr.Dataset,
    *,
    dim: str = "subject",
    variable: str = "",
    correction: str = "cluster",
    flips: int = 5000,
    threshold: float | None = None,
    alpha: float = 0.05,
    tail: str = "greater",
    seed: int = 0,
    adjacency: xr.Dataset | None = None,
) -> xr.Dataset:
    """Whether the mean over units differs from chance anywhere, by flipping the signs of whole units.

    Corrections over all places: "cluster" mass of t above `threshold` (t at p = .05), "tfce" (`threshold` is
    then its step of height, 0.1), "max-t", "fdr", "fdr-by" (under any dependence), "none". Neighbours are
    times, and neuroids by `adjacency`. All sets of signs are taken where there are no more than `flips`.
    The borders of a cluster are no onsets.

    Reads    auc or balanced_accuracy less its chance, or `variable` less 0: (dim, time), (dim, neuroid, time)
             or (dim, time, test_time); adjacent (neuroid, other_neuroid); tail greater, less or two-sided
    Returns  mean with <name>_low and <name>_high; t, p, p_uncorrected; cluster_index, 0 for none, with
             cluster_mass, cluster_p, cluster_start, cluster_end [s] where there are clusters; n, smallest_p,
             peak and baseline in attrs; ValueError where clusters cannot reach alpha
    Source   Nichols and Holmes 2002, doi 10.1002/hbm.1058; Maris and Oostenveld 2007, doi
             10.1016/j.jneumeth.2007.03.024; Sassenhagen and Draschkow 2019, doi 10.1111/psyp.13335 (borders)
    >>> eight = xr.Dataset({"auc": (("subject", "time"), np.linspace(0.55, 0.7, 16).reshape(8, 2))},
    ...                    {"time": [0.1, 0.2]}, {"chance": 0.5})
    >>> sign_flip(eight).p.values.tolist()
    [0.00390625, 0.00390625]
    """
    name = _records.scored(recording, variable, dim)
    score, chance = recording[name], _records.chance(recording, name)
    units = _units(score, dim)
    if flips < 1:
        raise ValueError(f"flips: {flips}; give at least 1")
    flipped, possible = _flips.signs(units, flips, tail, seed), 2.0 ** (units - (tail == "two-sided"))
    level = _level(threshold, correction, tail, lambda p: float(student.isf(p, units - 1)))
    asked = Asked(correction, tail, alpha, level, len(flipped), possible)
    _hold(asked, "flips", f"of {units} units")
    place = _records.layout(score, adjacency, dim)
    cells, shape = place.maps(score, dim), (place.lattice.rows, place.lattice.width)
    parts = asked.way * _flips.scaled(cells.reshape(units, -1) - chance)
    family = _family(place, asked, lambda sums: _flips.student(sums, units), _flips.cut(level, units))
    observed = next(_flips.maps(parts, np.ones((1, units)), *shape))[0]
    found = corrected(observed, _flips.maps(parts, flipped, *shape), family)
    before = _records.before(score, recording.attrs, dim) - chance
    early = _flips.scaled(before)
    ends = _records.interval(cells, CONFIDENCE)
    made = _records.spread(name, place, score.attrs.get("units", "1"), *ends)
    made["t"] = place.named(asked.way * family.rise(observed))
    told = _records.inherited(recording) | {
        "test": "sign flip", "n": units, "over": dim, "relabellings": 2.0**units, "chance": chance,
        "statistic": "t", "seed": seed, "confidence": CONFIDENCE,
        "baseline_score": float(before.mean()) + chance,
        "baseline_p": _records.two_sided(float(early.sum()), flipped @ early),
    }  # fmt: skip
    return _records.finished(score, place, found, asked, made, told)


def relabelled(
    recording: xr.Dataset,
    *,
    variable: str = "",
    correction: str = "max-t",
    threshold: float | None = None,
    alpha: float = 0.05,
    tail: str = "greater",
) -> xr.Dataset:
    """Whether a decoder's score differs from chance in one subject, against scores of exchanged labels.

    Corrections over all places: "max-t", the largest score of each relabelling; "cluster" and "tfce" of z,
    the score against mean and SD of all relabellings, the true one among them; "fdr", "fdr-by", "none".
    `threshold` is the z that forms clusters (at p = .05), or the step of tfce's heights (0.1). It speaks of
    these presentations of this subject, of no population.

    Reads    auc or balanced_accuracy, or `variable` (time[, test_time]), with null (permutation, the same);
             resampled (bootstrap, the same) where there is one; tail greater, less or two-sided
    Returns  the score, with <name>_low and <name>_high out of resampled; null_low, null_high (the middle 95 %
             of null); p, p_uncorrected and clusters as `sign_flip`; ValueError where clusters cannot reach
             alpha
    Source   Combrisson and Jerbi 2015, doi 10.1016/j.jneumeth.2015.01.010; Nichols and Holmes 2002, doi
             10.1002/hbm.1058
    >>> one = xr.Dataset({"auc": ("time", [0.7]), "null": (("permutation", "time"), np.full((99, 1), 0.5))},
    ...                  {"time": [0.1]}, {"chance": 0.5})
    >>> relabelled(one).p.values.tolist()
    [0.01]
    """
    name = _records.scored(recording, variable)
    score, chance = recording[name], _records.chance(recording, name)
    null = _records.null_of(recording, name)
    if float(recording.attrs.get("blocked_z", 0.0)) < BLOCKED:
        warnings.warn(
            f"label {recording.attrs.get('label', '')!r}: comes in blocks (z = "
            f"{recording.attrs['blocked_z']:.1f}, runs test) and exchanged labels do not; under a slow drift "
            "p is too small",
            UserWarning,
            stacklevel=2,
        )
    place = _records.layout(score, None)
    drawn, possible = null.sizes["permutation"], float(recording.attrs.get("relabellings", np.inf))
    level = _level(threshold, correction, tail, lambda p: float(norm.isf(p)))
    asked = Asked(correction, tail, alpha, level, drawn, possible)
    _hold(asked, "permutations", "of the labels")
    every = np.concatenate([place.maps(score)[None], place.maps(null, "permutation")])
    maps = asked.way * _standing(every, scale=correction in CLUSTERED, centre=tail == "two-sided")
    family = _family(place, asked, np.asarray, level)
    found = corrected(maps[0], [maps[1:]], family)
    before = _records.before(score, recording.attrs)
    chances = _records.before(null, recording.attrs, "permutation")
    centre = (before.sum() + chances.sum()) / (drawn + 1)
    made = {name: place.named(every[0])}
    for source, stem, draw in (("resampled", name, "bootstrap"), ("null", "null", "permutation")):
        if source in recording:
            ends = _records.quantiles(recording[source], place, draw, CONFIDENCE)
            made |= _records.spread(stem, place, "1", *ends)
    told = _records.inherited(recording) | {
        "test": "permutation of labels", "n": _presentations(recording), "over": "presentation",
        "relabellings": possible if np.isfinite(possible) else np.nan, "chance": chance,
        "statistic": "z" if correction in CLUSTERED else "score", "confidence": CONFIDENCE,
        "baseline_score": float(before.mean()),
        "baseline_p": _records.two_sided(float(before.mean()) - centre, chances - centre),
    }  # fmt: skip
    return _records.finished(score, place, found, asked, made, told)


def prevalence(
    recording: xr.Dataset,
    *,
    dim: str = "subject",
    variable: str = "",
    alpha: float = 0.05,
    confidence: float = 0.95,
    correction: str = "max-t",
    draws: int = 5000,
    seed: int = 0,
) -> xr.Dataset:
    """In how large a share of the population there is an effect at all, from one test within each unit.

    Each unit is tested over its times after onset; the number significant, less what chance makes
    significant, estimates the share, with the exact binomial interval moved by the same rule. The share is of
    units whose effect such a test finds. Beside it the minimum statistic: the least of the units' scores at
    each time, against the least under exchanged labels.

    Reads    auc or balanced_accuracy (dim, time) and null (dim, permutation, time); correction within a unit:
             max-t, cluster or tfce
    Returns  unit_p (dim), the smallest p of each unit; p and p_uncorrected (time) of the null that no unit
             has an effect; prevalence_bound (time), which the share exceeds at 1 - alpha, corrected; in attrs
             prevalence, prevalence_low, prevalence_high, n, significant; ValueError where a unit has no null
    Source   Ince et al. 2021, doi 10.7554/eLife.62461; Allefeld, Goergen and Haynes 2016, doi
             10.1016/j.neuroimage.2016.07.040; Clopper and Pearson 1934, doi
             10.1093/biomet/26.4.404
    """
    if correction not in ("max-t", *CLUSTERED):
        raise ValueError(f"correction: {correction!r}; within units use max-t, cluster or tfce")
    name = _records.scored(recording, variable, dim)
    chance, units = _records.chance(recording, name), _units(recording[name], dim)
    null = _records.null_of(recording, name, dim)
    drawn = null.sizes["permutation"]
    rate = _prevalence.false_positives(alpha, drawn)
    if not rate:
        raise ValueError(f"permutations: {drawn} cannot reach p < {alpha:g}; draw more in every unit")
    late = recording["time"].values > 0
    chosen = {"time": np.flatnonzero(late if late.any() else ~late)}
    score, null = recording[name].isel(chosen), null.isel(chosen)
    place = _records.layout(score, None, dim)
    asked = Asked(correction, "greater", alpha, float(norm.isf(0.05)), drawn, np.inf)
    family = _family(place, asked, np.asarray, asked.level)
    every = np.concatenate([place.maps(score, dim)[:, None], place.maps(null, dim, "permutation")], axis=1)
    unit_p = np.empty(units)
    for unit, cells in enumerate(every):
        maps = _standing(cells, scale=correction in CLUSTERED, centre=False)
        unit_p[unit] = corrected(maps[0], [maps[1:]], family).p.min()
    hits = int((unit_p < alpha).sum())
    share, low, high = _prevalence.share(hits, units, rate, confidence)
    p, single, bound = _prevalence.minimum(every.reshape(units, drawn + 1, -1), draws, seed, alpha)
    made = _records.spread(name, place, "1", *_records.interval(every[:, 0], confidence))
    for key, found in (("p", p), ("p_uncorrected", single), ("prevalence_bound", bound)):
        made[key] = place.named(found)
    made["unit_p"] = xr.Variable((dim,), unit_p, {"units": "1"})
    coords = _records.kept(score, place) | ({dim: recording[dim].variable} if dim in recording.coords else {})
    told = _records.inherited(recording) | {
        "n": units, "over": dim, "test": "prevalence", "correction": correction, "tail": "greater",
        "alpha": alpha, "confidence": confidence, "permutations": drawn, "draws": draws, "seed": seed,
        "smallest_p": asked.smallest, "false_positive_rate": rate, "significant": hits, "prevalence": share,
        "prevalence_low": low, "prevalence_high": high, "prevalence_bound": float(bound.max()),
        "chance": chance,
    }  # fmt: skip
    return xr.Dataset(made, coords, told)


def contrast(recording: xr.Dataset, label: str) -> xr.Dataset:
    """Mean response to the second class less that to the first, each stimulus counting once.

    Reads    response (presentation, neuroid, time); label (presentation), two classes; stimulus_id, else
             every presentation counts for itself
    Returns  difference (neuroid, time), unit of the response, for `sign_flip` over subjects; classes in attrs
    >>> two = xr.Dataset({"response": (("presentation", "neuroid", "time"), [[[1.0]], [[4.0]], [[6.0]]])},
    ...                  {"old": ("presentation", [0, 1, 1]), "time": [0.1]})
    >>> contrast(two, "old").difference.values
    array([[4.]])
    """
    column = values(recording, label)
    classes, codes = np.unique(column, return_inverse=True)
    if len(classes) != 2:
        raise ValueError(f"label {label!r}: {len(classes)} classes; a contrast is between two")
    shown = values(recording, "stimulus_id") if "stimulus_id" in recording.coords else np.arange(codes.size)
    stimulus = np.unique(shown, return_inverse=True)[1].ravel()
    _, pair, counts = np.unique(2 * stimulus + codes.ravel(), return_inverse=True, return_counts=True)
    weight = 1 / counts[pair.ravel()]
    for code in (0, 1):
        weight[codes == code] *= (2 * code - 1) / weight[codes == code].sum()
    response = recording["response"]
    made = response.dot(xr.DataArray(weight, dims="presentation"))
    made = made.transpose(*(dim for dim in response.dims if dim != "presentation"))
    units = {"units": response.attrs.get("units", "1")}
    told = {key: ", ".join(map(str, what)) for key, what in
            (("classes", classes), ("presentations", np.bincount(codes.ravel())))}  # fmt: skip
    made = made.assign_attrs(units).to_dataset(name="difference")
    return made.assign_attrs(_records.inherited(recording) | told | {"label": label})


def plot(result: xr.Dataset) -> Figure:
    """The mean curve with its interval and chance line, and what a test says of it.

    Reads    what `across`, `sign_flip`, `relabelled` or `prevalence` returned; for `contrast` see `sign_flip`
    Returns  a matplotlib Figure
    """
    from analyses import _plots, _plots_tests

    if "test" in result.attrs:
        return _plots_tests.tested(result)
    name = "auc" if "auc" in result else "balanced_accuracy"
    if "test_time" in result.dims:
        return _plots.matrix(result[name], result.attrs)
    return _plots_tests.mean(result, name)


def _units(score: xr.DataArray, dim: str) -> int:
    count = score.sizes.get(dim, 0)
    if count < 2:
        raise ValueError(f"dimension {dim!r}: {count} units; at least 2 are needed")
    _records.finite(score)
    return int(count)


def _level(threshold: float | None, correction: str, tail: str, at: Callable[[float], float]) -> float:
    """The statistic above which clusters form, or the step of tfce's heights."""
    if threshold is not None and not 0 < threshold < np.inf:
        raise ValueError(f"threshold: {threshold}; wanted a number above 0, or none for the default")
    if threshold is not None:
        return float(threshold)
    return STEP if correction == "tfce" else at(FORMING / (2 if tail == "two-sided" else 1))


def _family(place: Layout, asked: Asked, rise: Callable[[np.ndarray], np.ndarray], cut: float) -> Family:
    step = asked.level if asked.correction == "tfce" else STEP
    return Family(place.lattice, asked.correction, asked.tail == "two-sided", rise, cut, step)


def _hold(asked: Asked, what: str, of: str) -> None:
    """Arguments that can be tested at all: ValueError, or a warning where no p can fall below alpha."""
    _records.known(asked.correction, asked.tail, asked.alpha)
    if asked.smallest < asked.alpha:
        return
    why = (
        f"{what}: {asked.drawn} {of} cannot reach p < {asked.alpha:g}, the smallest is "
        f"{asked.smallest:.3g}; draw more where there are more, or test at a larger alpha"
    )
    if asked.correction in CLUSTERED:
        raise ValueError(why)
    warnings.warn(why, UserWarning, stacklevel=3)


def _standing(maps: np.ndarray, scale: bool, centre: bool) -> np.ndarray:
    """maps (relabelling, row, time) against all of them: less their mean, in units of their SD, as wanted."""
    mean = maps.mean(axis=0) if centre or scale else 0.0
    if not scale:
        return np.asarray(maps - mean)
    spread = maps.std(axis=0)
    return np.asarray((maps - mean) / np.where(spread > 1e-12, spread, np.inf))


def _presentations(recording: xr.Dataset) -> int:
    if "presentation" in recording.sizes:
        return int(recording.sizes["presentation"])
    return sum(int(count) for count in str(recording.attrs.get("presentations", "0")).split(","))
