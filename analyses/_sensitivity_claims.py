"""What may be said of sensitivities: one sentence a claim, made only where its numbers bear it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses._sensitivity_labelled import ATTACK, NATURAL
from analyses._sensitivity_words import INFERRED, PREDICTOR, finite, guarded, interval, tail, whose
from analyses._wording import number

Records = Mapping[str, xr.Dataset]


class Said(NamedTuple):
    """A sentence, whether it may be made, and why, or why not."""

    sentence: str
    allowed: bool
    because: str


def weighed(records: Records) -> xr.Dataset:
    """Every claim of CLAIMS whose record is there, guarded."""
    chief = records["bars"].attrs
    population, area, many = whose(chief)
    made: dict[str, Said] = {}
    for claim, (record, say) in CLAIMS.items():
        if record in records:
            attrs = records[record].attrs
            origin, told = str(attrs.get("origin", "")), whose(attrs)
            said = say(records[record], _where(origin))
            guarded(said.sentence, population=told[0], area=told[1], n=told[2], origin=origin)
            made[claim] = said
    where = _where(str(chief.get("origin", "")))
    made["unqualified"] = Said(
        f"{where}it is not said that networks and brains are alike in this: {population} were tested, area: "
        f"{area}, {many}, and each value is a lower bound",
        False, "a surrogate's attack bounds from below, and no other area, animal or picture set was tested",
    )  # fmt: skip
    made["predictor"] = Said(
        f"{where}{PREDICTOR[0].lower()}{PREDICTOR[1:]}", True, "holds of every such study"
    )
    made["objections"] = Said(f"{where}{INFERRED[0].lower()}{INFERRED[1:]}", True, "inferred")
    variables = {
        "sentence": ("claim", np.array([_sentence(said.sentence) for said in made.values()]), {"units": "1"}),
        "because": ("claim", np.array([said.because for said in made.values()]), {"units": "1"}),
        "allowed": ("claim", np.array([int(said.allowed) for said in made.values()]), {"units": "1"}),
    }
    keys = ("origin", "population", "area", "neuroids", "pictures", "norm", "seeds")
    kept = {key: chief[key] for key in keys if key in chief}
    return xr.Dataset(variables, {"claim": list(made)}, kept)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _where(origin: str) -> str:
    if "simulat" in origin.lower():
        return "in simulated data, "
    return "in units of networks, " if origin == "model" else ""


def _above(
    result: xr.Dataset, name: str, level: float, largest: bool = False, **place: Any
) -> tuple[bool, str]:
    """Whether an interval lies above a level at every budget above 0, or the largest; and the numbers."""
    part = result.sel(place) if place else result
    sizes = np.asarray(part["epsilon"].values, float)
    columns = [np.asarray(part[name + end].values, float) for end in ("", "_low", "_high")]
    told = ", ".join(
        f"{interval(*values)} at {number(float(size))}"
        for size, *values in zip(sizes, *columns, strict=True) if size > 0
    )  # fmt: skip
    low = columns[1][-1:] if largest else columns[1][sizes > 0]
    return bool(low.size and np.isfinite(low).all() and (low > level).all()), told


def _vanilla(bars: xr.Dataset, where: str) -> Said:
    holds, told = _above(bars, "over_robust", 1, arm=str(bars["arm"].values[0]))
    sure = "the whole interval lies above 1 at every budget"
    if holds:
        body = "units of the vanilla network are more sensitive than those of the adversarially trained one"
    else:
        body = "it is not established that vanilla units differ from adversarially trained ones in this order"
        sure = "an interval reaches 1"
    return Said(f"{where}{body}: ratio {told} ({tail(bars.attrs)})", holds, sure)


def _sites(bars: xr.Dataset, where: str) -> Said:
    """Whether the sites' truth lies between the networks; what a surrogate shows of it is another matter."""
    arms = [str(arm) for arm in bars["arm"].values]
    above, told = _above(bars, "over_robust", 1, arm=arms[3])
    below, vanilla = _above(bars, "vanilla_over_sites", 1)
    own = "where they stand is a property of the teacher that was chosen"
    if above and below:
        text = f"the sites' own sensitivity lies between the two networks': {told} times the trained one"
    else:
        text = f"the sites' own sensitivity is {told} times the trained network's; no order is claimed"
    text += f"; the vanilla network's is {vanilla} times theirs"
    return Said(f"{where}{text}; {own} ({tail(bars.attrs)})", above and below, own)


def _gap(gap: xr.Dataset, where: str) -> Said:
    name = "kappa_mean" if "kappa_mean" in gap else "kappa"
    told = _above(gap, name, 0)[1]
    highs = np.asarray(gap[f"{name}_high"].values, float)[np.asarray(gap["epsilon"].values) > 0]
    holds = bool(np.isfinite(highs).all() and (highs < 1).all())
    body = f"an attack through a surrogate finds a share kappa of what one with all knowledge finds: {told}"
    sure = (
        "the whole interval lies below 1: the surrogate's value is a lower bound; how low is known here only"
    )
    if not holds:
        sure = "an interval reaches 1, so that no gap is established"
    return Said(f"{where}{body}; kappa need not carry over to other sites ({tail(gap.attrs)})", holds, sure)


def _learning(days: xr.Dataset, where: str) -> Said:
    later, told = _above(days.isel(day=-1), "since_first", 0, largest=True)
    random, above = _above(days.isel(day=0), "above_random", 0, largest=True)
    body = (
        f"the last day's attack less the first's: {told}; the first day's less a random direction's: {above}"
    )
    holds = later and random
    sure = "both intervals lie above 0 at the largest budget" if holds else "an interval reaches 0"
    lead = "attacks grow stronger over days" if holds else "no growth over days is established"
    return Said(f"{where}{lead}: {body} ({tail(days.attrs)})", holds, sure)


def _noise(days: xr.Dataset, where: str) -> Said:
    if "zero_signed" not in days:
        return Said(f"{where}no perturbation without effect was presented", False, "arm 'nothing' is missing")
    last = {name: days[name].isel(day=-1).values.item() for name in days if str(name).startswith("zero_")}
    signed = [last[f"zero_signed{end}"] for end in ("", "_low", "_high")]
    naive = [last[f"zero_absolute{end}"] for end in ("", "_low", "_high")]
    holds = finite(*signed, *naive) and signed[1] <= 0 <= signed[2] and naive[1] > 0
    body = (f"where nothing is changed the signed estimate is {interval(*signed)} and the mean absolute "
            f"difference {interval(*naive)}")  # fmt: skip
    sure = "the first covers 0 and the second does not" if holds else "they do not behave as they must"
    return Said(f"{where}{body} ({tail(days.attrs)})", holds, sure)


def _population(found: xr.Dataset, where: str) -> Said:
    part = found.sel(arm=ATTACK)
    told = ", ".join(
        f"{interval(value, low, high)} at {number(float(size))}"
        for size, value, low, high in zip(
            part["epsilon"].values, part["displacement"].values, part["displacement_low"].values,
            part["displacement_high"].values, strict=True,
        ) if size > 0
    )  # fmt: skip
    body = f"the population moves by {told} of the distance of two pictures"
    return Said(f"{where}{body} ({tail(found.attrs)})", True, "measured; no comparison is made")


def _flips(found: xr.Dataset, where: str) -> Said:
    rates = found["flipped"].isel(epsilon=-1)
    told = ", ".join(
        f"{arm} {number(float(rate))}" for arm, rate in zip(found["arm"].values, rates.values, strict=True)
    )
    body = (
        f"share of pictures whose decoded class changes at the largest budget, by what was attacked: {told}"
    )
    sure = f"decoder's accuracy {number(float(found.attrs.get('accuracy', np.nan)))}"
    return Said(f"{where}{body} ({tail(found.attrs)})", True, sure)


def _judge(found: xr.Dataset, where: str) -> Said:
    part = found.sel(arm=ATTACK).isel(epsilon=-1)
    whole, kept, changed = (
        interval(float(part[name]), float(part[f"{name}_low"]), float(part[f"{name}_high"]))
        for name in ("sensitivity", "conditional", "judge_changed")
    )
    holds = finite(float(part["conditional_low"])) and float(part["conditional_low"]) > 0
    body = (f"at the largest budget sensitivity is {whole}, and {kept} where an independent classifier sees "
            f"no change of class; it sees one in a share of {changed}")  # fmt: skip
    sure = "the interval of what is left lies above 0" if holds else "too few pictures are left"
    return Said(f"{where}{body} ({tail(found.attrs)})", holds, sure)


def _natural(found: xr.Dataset, where: str) -> Said:
    if NATURAL not in found["arm"].values:
        return Said(f"{where}no natural step was presented", False, "arm 'natural step' is missing")
    holds, told = _above(found, "attack_over", 1, arm=NATURAL)
    body = f"the attack moves responses by {told} times as much as a step of the same size to another picture"
    return Said(f"{where}{body} ({tail(found.attrs)})", holds,
                "more than natural change at every budget" if holds else "an interval reaches 1")  # fmt: skip


def _order(found: xr.Dataset, where: str) -> Said:
    kept = found["first_above"].values
    names = [str(name) for name, held in zip(found["setting"].values, kept, strict=True) if not held]
    many = f"{int(kept.sum())} of {kept.size}"
    body = f"the order of vanilla above adversarially trained units holds in {many} settings"
    more = f", not for {', '.join(names)}" if names else ""
    sure = "some settings disagree" if names else "every normaliser, layer and budget agrees"
    return Said(f"{where}{body}{more} ({tail(found.attrs)})", not names, sure)


CLAIMS: dict[str, tuple[str, Callable[[xr.Dataset, str], Said]]] = {
    "vanilla": ("bars", _vanilla),
    "sites": ("bars", _sites),
    "surrogate gap": ("gap", _gap),
    "learning": ("learning", _learning),
    "noise": ("learning", _noise),
    "population": ("population", _population),
    "readout": ("flips", _flips),
    "judge": ("conditional", _judge),
    "natural change": ("conditional", _natural),
    "settings": ("order", _order),
}
