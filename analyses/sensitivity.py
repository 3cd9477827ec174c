"""How far a small change of a picture moves responses, in units of what pictures do anyway.

An attack's record holds, for every neuroid, its responses to clean pictures and to pictures made to move it:
clean (stimulus, neuroid[, presentation]), moved (arm, epsilon, stimulus, neuroid[, presentation]), and what
the attacked model predicted before, predicted (arm, epsilon, stimulus, neuroid). The arm "attack" is the
attack, all others are what it is compared with. Every value is a lower bound: a stronger attack may exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _sensitivity_plots
from analyses import _sensitivity_units as kernels
from analyses._sensitivity_labelled import (
    ATTACK,
    NOTHING,
    RANDOM,
    RATIOS,
    Measured,
    judged,
    kept_coords,
    last,
    measured,
    of_layer,
    put,
    ratio,
    same,
)  # fmt: skip
from analyses._sensitivity_labelled import told as stated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = ("vanilla, white-box", "adversarially trained, white-box", "sites, through a surrogate",
        "sites, white-box")  # fmt: skip


def normalised(
    pushed: xr.Dataset,
    recording: xr.Dataset,
    *,
    normaliser: str = "sd",
    layer: str = "",
    noise_free: bool = False,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Mean change of responses over pictures, each neuroid's divided by its spread over clean pictures.

    absolute is the mean of |r(x + d) - r(x)|, which noise raises; signed is the mean of
    sgn(f(x + d) - f(x)) (r(x + d) - r(x)), where f is what was predicted before the responses were seen:
    noise does not raise it, and wrong signs only lower it. Ratios are averaged over neuroids. Intervals draw
    pictures and neuroids again and keep the spreads; neuroids that hardly vary are left out and counted.

    Reads    pushed, the record of an attack; recording, response (presentation, neuroid) to clean pictures,
             joined by neuroid_id; normaliser, sd, interdecile range, noise sd, range or random pair;
             layer, of which neuroids are kept ("": all);
             noise_free, to read true_clean and true_moved, which only simulations have; predicted, judged
             (arm, epsilon, stimulus, neuroid) where they are: judged is 1 where a judge's class changed
    Returns  absolute, signed, split_half, and sensitivity, which is signed where responses are noisy, each
             (arm, epsilon), with _low and _high; attack_over (arm, epsilon), the attack's in units of the
             arm's; by_neuroid (arm, epsilon, neuroid); resampled (arm, epsilon, bootstrap); conditional
             (arm, epsilon), where the judge saw no change, and judge_changed; attrs random_pair, noise_bias,
             neuroids, pictures, excluded
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    _asked(bootstraps, confidence)
    pushed = of_layer(pushed, layer)
    got = measured(pushed, recording, normaliser, noise_free)
    lead, shape = got.lead, got.mean.shape
    draws = kernels.drawn(shape[-2], shape[-1], bootstraps, seed)
    found = got.estimates(draws)
    made: dict[str, Any] = {}
    for name, means in found.items():
        put(made, name, lead, means.whole, means.again, confidence)
    if got.change.shape[-1] > 1:
        squares = kernels.means(kernels.crossed(got.change), draws).whole
        made["split_half"] = (lead, np.sqrt(np.maximum(squares, 0)), {"units": "1"})
    chief = found["sensitivity"]
    put(made, "by_neuroid", (*lead, "neuroid"), chief.each, chief.each_again, confidence)
    made["resampled"] = ((*lead, "bootstrap"), chief.again, {"units": "1"})
    if "arm" in lead:
        _over(made, chief, lead, pushed, confidence)
    if "judged" in pushed:
        _conditional(made, got, judged(pushed, got), draws, confidence)
    told = stated(pushed.attrs) | {
        "estimator": got.estimator, "normaliser": normaliser, "neuroids": int(got.kept.sum()),
        "excluded": int((~got.kept).sum()), "pictures": shape[-2], "n": int(got.kept.sum()),
        "over": "neuroid", "presentations": got.change.shape[-1], "random_pair": got.random_pair,
        "noise_bias": got.noise_bias, "noise_free": int(noise_free), "confidence": confidence,
        "bootstraps": bootstraps, "seed": seed, "bound": "lower",
        "interval": "pictures and neuroids drawn again, spreads kept",
    }  # fmt: skip
    return xr.Dataset(made, kept_coords(pushed, lead, got.kept), told)


def gap(
    surrogate: xr.Dataset,
    whitebox: xr.Dataset,
    recording: xr.Dataset,
    *,
    normaliser: str = "sd",
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """What an attack through a surrogate finds of what one with all knowledge finds: kappa, by neuroid.

    Reads    surrogate, whitebox, records of attacks on the same neuroids and pictures at the same budgets
             (of one with days, the last day); the second without noise; recording, as `normalised`
    Returns  kappa (epsilon, neuroid), its mean over neuroids kappa_mean (epsilon), each with _low and _high;
             corrected (epsilon), the surrogate's sensitivity by kappa_mean
    >>> rng = np.random.default_rng(0)
    >>> moved, dims = rng.random((1, 1, 9, 2)), ("arm", "epsilon", "stimulus", "neuroid")
    >>> all_of_it = xr.Dataset({"clean": (dims[2:], np.zeros((9, 2))), "moved": (dims, moved)})
    >>> all_of_it = all_of_it.assign_coords(arm=["attack"], epsilon=[1.0], neuroid_id=("neuroid", ["a", "b"]))
    >>> seen = {"response": (("presentation", "neuroid"), rng.random((9, 2)))}
    >>> clean = xr.Dataset(seen, {"stimulus_id": ("presentation", np.arange(9).astype(str))})
    >>> clean = clean.assign_coords(neuroid_id=("neuroid", ["a", "b"]))
    >>> half = all_of_it.assign(moved=0.5 * all_of_it.moved)
    >>> gap(half, all_of_it, clean).kappa_mean.values
    array([0.5])
    """
    _asked(bootstraps, confidence)
    parts = [last(part).sel(arm=ATTACK) for part in (surrogate, whitebox)]
    same(parts[0], parts[1], ("epsilon", "neuroid_id"))
    if parts[0].sizes["stimulus"] != parts[1].sizes["stimulus"]:
        raise ValueError("stimulus: one attack has other pictures than the other; attack the same")
    pair = [
        measured(part, recording, normaliser, free) for part, free in zip(parts, (False, True), strict=True)
    ]
    shape = pair[0].mean.shape
    draws = kernels.drawn(shape[-2], shape[-1], bootstraps, seed)
    first, second = (got.estimates(draws)["sensitivity"] for got in pair)
    kappa, again = ratio(first.each, second.each), ratio(first.each_again, second.each_again)
    made: dict[str, Any] = {}
    put(made, "kappa", ("epsilon", "neuroid"), kappa, again, confidence)
    mean = kernels.weighted(kappa[..., None], np.ones((shape[-1], 1)))[..., 0]
    mean_again = kernels.weighted(again, draws.neuroids.T)
    put(made, "kappa_mean", ("epsilon",), mean, mean_again, confidence)
    made["corrected"] = ("epsilon", ratio(first.whole, mean), {"units": "1"})
    told = stated(parts[0].attrs) | {
        "knowledge": "surrogate by white-box", "bound": "lower", "neuroids": shape[-1], "pictures": shape[-2],
        "n": shape[-1], "over": "neuroid", "confidence": confidence, "normaliser": normaliser,
        "remark": "measured on these neuroids; of others, such as a brain's, it is a guess",
        "interval": "pictures and neuroids drawn again, spreads kept",
    }  # fmt: skip
    return xr.Dataset(made, kept_coords(parts[0], ("epsilon",), pair[0].kept), told)


def bars(vanilla: xr.Dataset, robust: xr.Dataset, surrogate: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """Four populations at equal budgets: two networks' units, and sites seen through a surrogate and whole.

    Reads    what `normalised` returned for each, at the same budgets
    Returns  sensitivity, over_robust (arm, epsilon), the second in units of the adversarially trained
             network's; kappa (epsilon), sites through the surrogate in units of the truth, and
             vanilla_over_sites (epsilon), in units of the truth too; each with _low
             and _high; random_pair (arm)
    Source   Guo et al. 2022, arXiv 2206.11228 (figure 1A)
    """
    parts = [last(part).sel(arm=ATTACK) for part in (vanilla, robust, surrogate, truth)]
    for part in parts[1:]:
        same(parts[0], part, ("epsilon",))
    same(parts[2], parts[3], ("neuroid_id",))
    confidence = float(parts[0].attrs["confidence"])
    made: dict[str, Any] = {
        name: (("arm", "epsilon"), np.stack([part[name].values for part in parts]), {"units": "1"})
        for name in ("sensitivity", "sensitivity_low", "sensitivity_high")
    }
    again = np.stack([part["resampled"].transpose("epsilon", "bootstrap").values for part in parts])
    whole = made["sensitivity"][1]
    put(made, "over_robust", ("arm", "epsilon"), ratio(whole, whole[1]), ratio(again, again[1]), confidence)
    put(made, "kappa", ("epsilon",), ratio(whole[2], whole[3]), ratio(again[2], again[3]), confidence)
    above, above_again = ratio(whole[0], whole[3]), ratio(again[0], again[3])
    put(made, "vanilla_over_sites", ("epsilon",), above, above_again, confidence)
    made["random_pair"] = ("arm", [float(part.attrs["random_pair"]) for part in parts], {"units": "1"})
    names = dict.fromkeys(str(part.attrs.get("population", "not stated")) for part in parts)
    told = stated(parts[2].attrs) | {"knowledge": "by arm", "population": "; ".join(names)}
    for name, part in zip(("vanilla", "robust", "surrogate", "truth"), parts, strict=True):
        told |= {
            f"{name}_{key}": part.attrs[key] for key in ("neuroids", "pictures", "excluded", "estimator")
        }
        told |= {f"{name}_{key}": part.attrs[key] for key in ("population", "layer") if key in part.attrs}
    told |= {"confidence": confidence, "bound": "lower", "neuroids": parts[2].attrs["neuroids"],
             "pictures": parts[2].attrs["pictures"], "interval": parts[0].attrs["interval"]}  # fmt: skip
    return xr.Dataset(made, {"arm": list(BARS), "epsilon": parts[0]["epsilon"].variable}, told)


def learning(days: xr.Dataset) -> xr.Dataset:
    """How much stronger the attack became from day to day, and than what knows no model.

    Reads    what `normalised` returned with days; the attack of a day comes from the model of the day before
    Returns  sensitivity (day, arm, epsilon); since_first (day, epsilon), the attack's less that of the first
             day; above_random (day, epsilon), less that of random directions; with _low and _high; where
             arm "nothing" is there, zero_signed and zero_absolute (day): a change that is none
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    if "day" not in days.dims or RANDOM not in days["arm"].values:
        raise ValueError(f"days: has no days, or no arm {RANDOM!r}; give the days of a campaign")
    confidence = float(days.attrs["confidence"])
    again = days["resampled"].transpose("day", "arm", "epsilon", "bootstrap")
    whole = days["sensitivity"].transpose("day", "arm", "epsilon")
    made: dict[str, Any] = {
        name: days[name] for name in ("sensitivity", "sensitivity_low", "sensitivity_high", "absolute")
    }
    attack, attack_again = whole.sel(arm=ATTACK).values, again.sel(arm=ATTACK).values
    dims = ("day", "epsilon")
    put(made, "since_first", dims, attack - attack[:1], attack_again - attack_again[:1], confidence)
    random, random_again = whole.sel(arm=RANDOM).values, again.sel(arm=RANDOM).values
    put(made, "above_random", dims, attack - random, attack_again - random_again, confidence)
    if NOTHING in days["arm"].values:
        for name in ("signed", "absolute"):
            for end in ("", "_low", "_high"):
                part = days[f"{name}{end}"].sel(arm=NOTHING).isel(epsilon=-1).drop_vars(["arm", "epsilon"])
                made[f"zero_{name}{end}"] = part
    return xr.Dataset(
        made, {name: days[name].variable for name in ("day", "arm", "epsilon")}, dict(days.attrs)
    )


def group(result: xr.Dataset, *, dim: str = "seed", confidence: float = 0.95) -> xr.Dataset:
    """Means over random starts, the differences inside each start taken before, with t intervals.

    Reads    what `bars`, `learning`, `gap` or the controls returned, joined along `dim`
    Returns  the same variables without it, with _low and _high over starts; attrs seeds. ValueError for
             fewer than three starts; fewer than five are counted in attrs few
    """
    count = result.sizes.get(dim, 0)
    if count < 3:
        raise ValueError(f"{dim}: {count} of them; an interval over starts needs 3, and should have 5")
    factor = float(student.ppf((1 + confidence) / 2, count - 1)) / np.sqrt(count)
    made: dict[str, Any] = {}
    for name in map(str, result.data_vars):
        part = result[name]
        if dim not in part.dims or part.dtype.kind not in "fiu" or name.endswith(("_low", "_high")):
            continue
        if "bootstrap" in part.dims or "neuroid" in part.dims:
            continue
        logs = name in RATIOS and bool((part > 0).all())
        scaled = part.copy(data=np.log(part.values)) if logs else part
        mean, half = scaled.mean(dim), scaled.std(dim, ddof=1) * factor
        for end, value in (("", mean), ("_low", mean - half), ("_high", mean + half)):
            made[name + end] = (np.exp(value) if logs else value).assign_attrs(units=part.attrs["units"])
    told = {key: value for key, value in result.attrs.items() if key != "interval"}
    told |= {"seeds": count, "n": count, "over": dim, "few": int(count < 5), "confidence": confidence,
             "interval": f"t over {count} random starts"}  # fmt: skip
    coords = {str(k): v.variable for k, v in result.coords.items() if v.dims and dim not in v.dims}
    used = {axis for part in made.values() for axis in part.dims}
    return xr.Dataset(made, {k: v for k, v in coords.items() if set(v.dims) <= used}, told)


def plot(result: xr.Dataset) -> Figure:
    """Curves over budgets with intervals, or bars, beside a random pair of pictures and one SD.

    Reads    what `normalised`, `gap`, `bars`, `learning` or `group` of them returned
    Returns  a matplotlib Figure
    """
    return _sensitivity_plots.plot(result)


def _asked(bootstraps: int, confidence: float) -> None:
    if bootstraps < 100:
        raise ValueError(f"bootstraps: {bootstraps}; give at least 100")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")


def _over(
    made: dict[str, Any], chief: kernels.Means, lead: tuple[str, ...], pushed: xr.Dataset, confidence: float
) -> None:
    """The attack's sensitivity in units of every other arm's."""
    arms = [str(arm) for arm in np.atleast_1d(pushed["arm"].values)]
    if ATTACK not in arms:
        raise ValueError(f"arm: {', '.join(arms)}; one must be called {ATTACK!r}")
    axis, place = lead.index("arm"), arms.index(ATTACK)
    whole, again = (np.take(part, [place], axis=axis) for part in (chief.whole, chief.again))
    put(made, "attack_over", lead, ratio(whole, chief.whole), ratio(again, chief.again), confidence)


def _conditional(
    made: dict[str, Any], got: Measured, unchanged: np.ndarray, draws: kernels.Drawn, confidence: float
) -> None:
    """Sensitivity where the judge saw no change, and how often it saw one."""
    part = np.abs(got.mean) if got.sign is None or not got.noisy else got.sign * got.mean
    for name, found in (
        ("conditional", kernels.means(part, draws, unchanged)),
        ("judge_changed", kernels.means(1.0 - unchanged, draws)),
    ):
        put(made, name, got.lead, found.whole, found.again, confidence)
