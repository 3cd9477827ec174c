"""Sentences of claims: plain words, exact numbers, and no word that is not earned."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

Facts = Mapping[str, Any]

FORBIDDEN = {  # in a sentence that withholds the claim
    "decodable": ("decodable",),
    "onset": ("onset", "begins at"),
    "population": ("in the population",),
    "label": ("familiar", "categor"),
    "image": ("survives",),
    "channels": ("none of the other channels",),
    "exposure": ("equally often", "remains"),
}
SUBJECTS = ("subject", "animal", "monkey")  # what a population consists of
OF_BRAINS = r"\w*(?:brain|neuron|cortex|cortic)\w*"  # never said of simulated data
NAMES = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}
HIGH_PASS = 0.3  # hertz, above which a high-pass is known to make effects where there are none
CLUSTERED = ("cluster", "tfce")
CORRECTIONS = {
    "max-t": "max-T", "cluster": "cluster mass", "tfce": "TFCE", "fdr": "false discovery rate",
    "fdr-by": "false discovery rate under any dependence", "none": "not corrected",
}  # fmt: skip
TAILS = {"greater": "one-sided", "less": "one-sided, below", "two-sided": "two-sided"}
OTHER_METHODS = ("first max-T crossing", "fraction of peak")


def sentences(
    facts: Facts, allowed: Mapping[str, bool], reasons: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """One sentence a claim: missing units first, then where, then what, then the numbers."""
    withheld = [claim for claim in WORDS if not allowed[claim]]
    facts = {key: _cleared(value, key, facts, withheld) for key, value in facts.items()}
    found = {}
    for claim, word in WORDS.items():
        body = word(facts, allowed, "; ".join(reasons[claim]))
        text = f"{_without(facts)}{_where(facts)} {body}."
        if not allowed[claim]:
            text = _gone(text, FORBIDDEN[claim])
        found[claim] = text[0].upper() + text[1:]
    return found


def units(told: Iterable[Any]) -> list[str]:
    """Names of units that are missing anywhere, as a list or as a store gives it back."""
    found: list[str] = []
    for value in told:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = [word.strip() for word in value.split(",")]
        names = value if isinstance(value, list | tuple | np.ndarray) else [value]
        found += [str(name) for name in names if str(name)]
    return list(dict.fromkeys(found))


def plain(value: Any) -> str:
    """A value in a list of reasons."""
    return number(value, 4) if isinstance(value, int | float) else f"{str(value)!r}"


def number(value: Any, digits: int = 3) -> str:
    """Significant digits without a leading zero: .0002, .648, 12.5; n/a for what is no number."""
    if not isinstance(value, int | float) or not isfinite(value):
        return "n/a"
    text = np.format_float_positional(value, precision=digits, fractional=False, trim="-")
    return re.sub(r"^(-?)0\.", r"\1.", text)


def score(value: Any) -> str:
    """Three decimals without a leading zero."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}").replace("1.000", "1") if _finite(value) else "n/a"


def _decodable(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    what, verb = _what(facts, allowed)
    if allowed["decodable"]:
        return f"{what} {verb} decodable: {_statistic(facts)}{_folds(facts)}{_remarks(facts)}"
    power = ""
    if _finite(facts.get("power.smallest_effect")):
        size, low, high = (score(facts.get(f"power.smallest_effect{end}")) for end in ("", "_low", "_high"))
        power = f"; at this n, an effect of {size} [{low}, {high}] above chance is found with a power of .8"
    return f"it is not established that the labels can be told apart: {why}; {_statistic(facts)}{power}"


def _onset(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    if not allowed["onset"]:
        return f"no time of first effect is stated: {why}"
    what, _ = _what(facts, allowed)
    at, low, high = (facts[f"onset.{name}"] for name in ("onset", "onset_low", "onset_high"))
    others = "".join(
        f"; {name} at {_time_of(facts, name)}" for name in OTHER_METHODS if f"{name}.onset" in facts
    )
    many = _counted(facts["onset.n"], facts["onset.over"])
    sure = f"{100 * facts['onset.confidence']:.0f} % CI over {many}"
    before, after = facts["smear_before_s"], facts["smear_after_s"]
    delay = facts["onset.trigger_delay_s"]
    moved = f"filters and windows can show an effect {_ms(before)} early and {_ms(after)} late"
    far = ", which is as long as the time itself" if before >= at > 0 else ""
    return (
        f"the onset of what tells {what} apart is {_ms(at)} after the stimulus [{_ms(low)}, {_ms(high)}] "
        f"(change point, {sure}){others}; stated trigger delay {_ms(delay)}; filter: "
        f"{facts.get('test.filter', 'not stated')}; {moved}{far}; {_statistic(facts)}{_folds(facts)}"
        f"{_remarks(facts)}"
    )


def _population(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    n, over = facts.get("test.n"), facts.get("test.over", "presentation")
    if over in SUBJECTS and _finite(n) and n is not None and n >= 2:
        return _over_subjects(facts, allowed, why)
    if facts.get("test.simultaneous") == 0:
        whose = "of one pseudo-population, whose channels were recorded in separate sessions"
    elif over in (*SUBJECTS, "presentation"):
        whose = "of this subject or recording"
    else:
        whose = f"of {_counted(n, over)}, which are not subjects"
    simulated = "simulated " if _simulated(facts) else ""
    return f"all that is said is said {whose}; nothing is claimed about other {simulated}subjects"


def _over_subjects(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    keys = ("prevalence", "prevalence_low", "prevalence_high", "significant", "alpha")
    numbers = [facts.get(f"prevalence.{key}") for key in keys]
    whom = f"{'simulated ' if _simulated(facts) else ''}{facts['test.over']}s"
    if not all(map(_finite, numbers)):
        return f"how many {whom} show the effect is not established: {why}"
    found, low, high, significant, alpha = (float(value) for value in numbers if value is not None)
    told = (
        f"prevalence {score(found)} [{score(low)}, {score(high)}], {significant:.0f} of "
        f"{number(facts.get('prevalence.n'))} {whom} with p < {number(alpha)} each"
    )
    if allowed["population"]:
        return f"the effect is typical in the population of such {whom}: {told}; {_statistic(facts)}"
    if allowed["some"]:
        return f"there is an effect in some {whom}: {told}; no more is claimed, since {why}"
    return f"how many {whom} show the effect is not established: {told}; {why}"


def _label(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    if not allowed["label"]:
        return f"what it is that tells the labels apart is not established: {why}"
    classes = f" ({facts['test.classes']})" if facts.get("test.classes") else ""
    channels = {
        True: f"other channels ({facts.get('channels.tested') or 'none there'}) do not tell it",
        False: "other channels were not examined",
    }["channels.flagged" in facts]
    exposure = {
        "equal": "exposure was equal", "survives": "the effect stays when exposure is matched",
    }.get(str(facts.get("exposure.verdict")), "exposure was not examined")  # fmt: skip
    return (
        f"the effect goes with {facts['test.label']!r}{classes}, as far as was examined{_folds(facts)}; "
        f"{_image_numbers(facts)}; {channels}; {exposure}; {_statistic(facts)}"
    )


def _image(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    verdict = facts.get("image.verdict")
    if verdict is None:
        return "what the images account for is not known: no image control was made"
    if allowed["image"]:
        return f"the effect survives the image control: {_image_numbers(facts)}"
    if verdict == "explained":
        return f"what tells the labels apart is explained by the image: {_image_numbers(facts)}"
    return f"the image control decides nothing: {why}; {_image_numbers(facts)}"


def _channels(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    tested, flagged = facts.get("channels.tested"), facts.get("channels.flagged")
    if tested is None or flagged is None:
        return "whether other channels (eyes, heart, trigger, motion) tell the labels apart was not examined"
    if allowed["channels"]:
        return f"none of the other channels tested ({tested}) tells the labels apart"
    if flagged:
        return f"the labels can also be told apart by: {flagged} (tested: {tested or 'not stated'})"
    return "there were no other channels to be tested"


def _exposure(facts: Facts, allowed: Mapping[str, bool], why: str) -> str:
    return {
        "equal": "all classes were shown equally often and at like places in the sequence",
        "survives": "classes differ in exposure, and the effect remains when exposure is matched",
        "vanishes": "classes differ in exposure, and the effect vanishes when exposure is matched",
        "undecided": "whether exposure accounts for the effect is undecided",
    }.get(str(facts.get("exposure.verdict")), "how often each class was shown was not examined")


WORDS: dict[str, Callable[[Facts, Mapping[str, bool], str], str]] = {
    "decodable": _decodable, "onset": _onset, "population": _population, "label": _label, "image": _image,
    "channels": _channels, "exposure": _exposure,
}  # fmt: skip


def _what(facts: Facts, allowed: Mapping[str, bool]) -> tuple[str, str]:
    """The label's own name only where it is claimed to be what is decoded."""
    return (repr(str(facts["test.label"])), "is") if allowed["label"] else ("the labels", "are")


def _without(facts: Facts) -> str:
    missing = facts["missing"]
    return f"without {', '.join(missing)} ({len(missing)} missing or failed): " if missing else ""


def _where(facts: Facts) -> str:
    origin = str(facts.get("test.origin") or "")
    if _simulated(facts):
        return "in simulated data"
    if not origin:
        return "in data of unstated origin"
    return "in recorded data" if origin.startswith("real") else f"in data ({origin})"


def _simulated(facts: Facts) -> bool:
    return "simulat" in str(facts.get("test.origin", "")).lower()


def _statistic(facts: Facts) -> str:
    """The score with its interval and time, p with its smallest value, test, n and correction."""
    test = {key[5:]: value for key, value in facts.items() if key.startswith("test.")}
    name = NAMES.get(str(test.get("score")), str(test.get("score")))
    when = f" at {_ms(test['peak_time_s'])}" if _finite(test.get("peak_time_s")) else ""
    width = test.get("window_s", test.get("bin_width"))
    when += f" (window of {_ms(width)})" if when and _finite(width) else ""
    drawn = f" ({number(test['permutations'], 12)} drawn)" if _finite(test.get("permutations")) else ""
    tail = f", {TAILS.get(test['tail'], test['tail'])}" if test.get("tail") else ""
    how = str(test.get("correction", "correction not stated"))
    sure = f" ({100 * test['confidence']:.0f} % CI)" if _finite(test.get("confidence")) else ""
    ends = all(_finite(test.get(key)) for key in ("peak_low", "peak_high"))
    p, smallest = number(test.get("p_peak")), number(test.get("smallest_p"))
    peak, low, high = (score(test.get(key)) for key in ("peak", "peak_low", "peak_high"))
    parts = [
        f"{name} {peak}{f' [{low}, {high}]{sure}' if ends else ' (no interval)'}{when}",
        f"p = {p} (smallest reachable {smallest})",
        f"{test.get('test', 'test not stated')} over {_counted(test.get('n'), test.get('over'))}{drawn}, "
        f"{CORRECTIONS.get(how, how)}{tail}",
        f"chance {number(test.get('chance'))}",
    ]
    if _finite(test.get("baseline_p")):
        before = f"{name} {score(test.get('baseline_score'))}, p = {number(test['baseline_p'])}"
        parts.append(f"before the stimulus {before}")
    return "; ".join(parts)


def _image_numbers(facts: Facts) -> str:
    loss, low, high = (facts.get(f"image.{key}") for key in ("loss", "loss_low", "loss_high"))
    smallest = facts.get("image.smallest_p")
    least = f" (smallest reachable {number(smallest)})" if _finite(smallest) else ""
    n = facts.get("image.n")
    many = f", n = {number(n)}" if _finite(n) else ""
    alone, p = score(facts.get("image.image_score")), number(facts.get("image.image_p"))
    return (
        f"image features ({facts.get('image.families', 'not stated')}) alone reach {alone}, p = {p}{least}"
        f"{many}, and taking them out costs a share of {score(loss)} [{score(low)}, {score(high)}] of the "
        "effect"
    )


def _folds(facts: Facts) -> str:
    kept, shared = facts.get("test.kept_apart"), facts.get("test.shared")
    told = f"; kept apart in folds: {kept}" if kept else "; the rule of the folds is not stated"
    return f"{told}; shared by training and test: {shared}" if shared else told


def _remarks(facts: Facts) -> str:
    """What a reader must know of the way in which times came about."""
    told, high_pass = "", facts.get("test.l_freq")
    if any(word in str(facts.get("test.correction", "")).lower() for word in CLUSTERED):
        told += "; a cluster test speaks for presence, not for this time"
    if isinstance(high_pass, int | float) and high_pass > HIGH_PASS:
        early = f"make late effects appear up to {_ms(facts.get('smear_before_s'))} before they are there"
        causal = str(facts.get("test.filter", "")).startswith("causal")
        how = "leave the opposite of an effect behind it" if causal else early
        told += f"; the high-pass at {number(high_pass)} Hz can {how}"
    return told


def _time_of(facts: Facts, method: str) -> str:
    low, high = (_ms(facts.get(f"{method}.{end}")) for end in ("onset_low", "onset_high"))
    return f"{_ms(facts.get(f'{method}.onset'))} [{low}, {high}]"


def _counted(n: Any, over: Any) -> str:
    return f"{number(n, 12)} {over or 'unit'}{'' if n == 1 else 's'}"


def _ms(seconds: Any) -> str:
    return f"{f'{1000 * seconds:.1f}'.removesuffix('.0')} ms" if _finite(seconds) else "n/a"


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)


def _cleared(value: Any, key: str, facts: Facts, withheld: Sequence[str]) -> Any:
    """Text of a record without words that are withheld, or that simulated data have not earned."""
    if isinstance(value, list):
        return [_cleared(item, key, facts, withheld) for item in value]
    ours = key.endswith(".verdict") or key in ("test.label", "test.classes", "test.origin")
    if ours or not isinstance(value, str):
        return value
    words = [re.escape(word) for claim in withheld for word in FORBIDDEN[claim]]
    if "label" in withheld:
        names = [str(facts.get("test.label", "")), *str(facts.get("test.classes", "")).split(", ")]
        words += [rf"\b{re.escape(name)}\b" for name in names if re.search("[A-Za-z]{2}", name)]
    if _simulated(facts):
        words.append(OF_BRAINS)
    return _gone(value, words, escaped=True)


def _gone(text: str, words: Sequence[str], escaped: bool = False) -> str:
    for word in words:
        text = re.sub(word if escaped else re.escape(word), "…", text, flags=re.IGNORECASE)
    return text
