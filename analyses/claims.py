"""What may be said of a result, and how sure: a claim is made only where every condition of it holds.

Conditions stand in one table, NEEDS. A field that is absent or not a number counts as broken. A sentence
that is withheld never holds the word that it withholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _wording
from analyses._tasks import BLOCKED
from analyses._wording import SUBJECTS, Facts

CONTENT = ("identity", "stimulus_id", "content")  # what was shown
METHOD = "change point"  # the estimate that an onset is claimed by; borders of clusters are none
MAJORITY = 0.5  # "in the population" needs a prevalence above this, with its whole interval


class Rule(NamedTuple):
    """Fields of the records, what must hold of their values, and the words for whether it does."""

    fields: tuple[str, ...]
    holds: Callable[..., bool]
    good: str
    bad: str


STATED = (
    Rule(("test.origin",), bool,
         "it is stated where the data come from", "where the data come from is not stated"),
    Rule(("test.n", "test.over", "test.test"), lambda n, over, test: n >= 1 and bool(over and test),
         "the test and its n are stated", "what was tested, and over how many, is not stated"),
)  # fmt: skip

BEFORE = (
    Rule(("test.baseline_score", "test.baseline_p", "test.alpha"), lambda score, p, alpha: p >= alpha,
         "before the stimulus it is at chance", "it is not shown to be at chance before the stimulus"),
    Rule(("blocked",), lambda blocked: blocked == 0, "labels do not come in blocks that one test exchanges",
         "labels come in blocks, and exchanged labels do not"),
)  # fmt: skip

DECODABLE = (
    *STATED,
    Rule(("test.correction", "test.moments"), lambda how, moments: how not in ("", "none") or moments == 1,
         "p is corrected for all times", "p is not corrected for all times"),
    Rule(("test.smallest_p", "test.alpha"), lambda smallest, alpha: 0 < smallest < alpha < 1,
         "the level can be reached", "so few relabellings cannot reach the level asked for"),
    Rule(("test.p_peak", "test.alpha"), lambda p, alpha: 0 < p < alpha,
         "the corrected p lies below the level", "no corrected p lies below the level"),
    Rule(("test.peak", "test.peak_low", "test.peak_high"), lambda peak, low, high: low <= high,
         "the score has an interval", "the score has no interval"),
    Rule(("test.peak", "test.chance"), lambda peak, chance: peak > chance,
         "the score lies above chance", "the score does not lie above chance"),
    *BEFORE,
)  # fmt: skip

ONSET = (
    Rule(("onset.withheld",), lambda why: why == "",
         "its estimate was not withheld", "its estimate is missing or was withheld"),
    Rule(("onset.onset", "onset.onset_low", "onset.onset_high"),
         lambda at, low, high: 0 <= low <= at <= high and at > 0,
         "the change point has an interval after the stimulus",
         "no change point with an interval lies after the stimulus"),
    Rule(("onset.confidence", "onset.n", "onset.over"),
         lambda sure, n, over: 0 < sure < 1 <= n and bool(over),
         "the interval's level and n are stated", "the interval's level or n is not stated"),
    Rule(("onset.trigger_delay_s",), isfinite,
         "the trigger delay is stated", "the trigger delay is not stated"),
    Rule(("delay_known",), lambda known: known == 1,
         "the delay of the device is known", "the delay of the device is not known"),
    Rule(("test.kept_apart",), bool,
         "the rule of the folds is stated", "the rule of the folds is not stated"),
    Rule(("smear_before_s", "smear_after_s"), lambda before, after: before >= 0 and after >= 0,
         "it is stated how far filters and windows move an effect",
         "how far filters and windows move an effect is not stated"),
)  # fmt: skip

COUNTED = (
    Rule(("test.n", "test.over"), lambda n, over: over in SUBJECTS and n >= 2,
         "n counts subjects", "n does not count subjects"),
    Rule(("prevalence.n", "test.n"), lambda n, tested: n == tested,
         "prevalence counts the same subjects", "prevalence does not count the same subjects"),
)  # fmt: skip

POPULATION = (
    *COUNTED,
    Rule(("prevalence.prevalence_low", "prevalence.prevalence", "prevalence.prevalence_high",
          "prevalence.significant", "prevalence.alpha"),
         lambda low, prevalence, high, significant, alpha: MAJORITY < low <= prevalence <= high,
         "the whole interval of the prevalence lies above one half",
         "the interval of the prevalence does not lie above one half"),
)  # fmt: skip

SOME = (  # what "in some subjects" needs where "in the population" is not earned
    *STATED, *BEFORE, *COUNTED,
    Rule(("prevalence.prevalence_low", "prevalence.prevalence", "prevalence.prevalence_high",
          "prevalence.significant", "prevalence.alpha"),
         lambda low, prevalence, high, significant, alpha: 0 < low <= prevalence <= high,
         "the interval of the prevalence excludes none", "the interval of the prevalence includes none"),
)  # fmt: skip

IMAGE = (
    Rule(("image.verdict",), lambda verdict: verdict == "survives",
         "it survives the image control", "it is not shown that the images do not account for it"),
    Rule(("image.loss", "image.loss_low", "image.loss_high"), lambda loss, low, high: low <= high,
         "the loss to the image control has an interval", "the loss to the image control has no interval"),
    Rule(("image.image_score", "image.image_p", "image.families"), lambda score, p, families: bool(families),
         "what image features alone reach is stated", "what image features alone reach is not stated"),
)  # fmt: skip

LABEL = (
    Rule(("test.label",), bool, "the label has a name", "the label has no name"),
    Rule(("content_apart",), lambda apart: apart == 1,
         "training and test share no stimulus and no identity",
         "it is not shown that training and test share no stimulus and no identity"),
    *IMAGE,
)  # fmt: skip

CHANNELS = (
    Rule(("channels.flagged", "channels.tested"), lambda flagged, tested: flagged == "" and tested != "",
         "other channels were tested and none was flagged",
         "no other channel was tested, or one was flagged"),
)  # fmt: skip

EXPOSURE = (
    Rule(("exposure.verdict",), lambda verdict: verdict in ("equal", "survives"),
         "exposure was equal, or matching it leaves the effect", "exposure may account for it"),
)  # fmt: skip

NEEDS = {
    "decodable": DECODABLE,
    "onset": DECODABLE + ONSET,
    "population": DECODABLE + POPULATION,
    "label": DECODABLE + LABEL,
    "image": DECODABLE + IMAGE,
    "channels": CHANNELS,
    "exposure": EXPOSURE,
}

NOT_MADE = {  # one reason in place of many where a whole record is not there
    "onset": "no time of first effect was estimated",
    "prevalence": "the share of subjects with the effect was not estimated",
    "image": "no image control was made",
    "channels": "other channels were not examined",
    "exposure": "exposure was not examined",
}

WHERE_GIVEN = (  # of the label: these controls count where their record is there
    Rule(("channels.flagged",), lambda flagged: flagged == "",
         "other channels do not account for it", "other channels may account for it"),
    *EXPOSURE,
)  # fmt: skip


def weigh(
    test: xr.Dataset,
    *,
    baseline: xr.Dataset | None = None,
    onset: xr.Dataset | None = None,
    image: xr.Dataset | None = None,
    channels: xr.Dataset | None = None,
    exposure: xr.Dataset | None = None,
    prevalence: xr.Dataset | None = None,
    audit: xr.Dataset | None = None,
    power: xr.Dataset | None = None,
    delay_known: bool | None = None,
) -> xr.Dataset:
    """Which claims the records of a study support, each as a sentence that can be printed as it is.

    Reads    test, of `statistics`; where they were made: baseline, the test of a window before the stimulus
             (else the test's own times below 0); onset; image, channels and exposure, of `controls`;
             prevalence; audit of the folds; power. All by their attrs. delay_known: whether all delays
             between trigger and stimulus stand in trigger_delay_s; without it simulated data's are known, and
             real data's are not
    Returns  sentence, because (claim), text; allowed (claim), 0 or 1; the claims: decodable, onset,
             population, label, image, channels, exposure. What is withheld says so, and why
    Source   Sassenhagen and Draschkow 2019, doi 10.1111/psyp.13335; Allefeld et al. 2016, doi
             10.1016/j.neuroimage.2016.07.040; Pernet et al. 2020, doi 10.1038/s41593-020-00709-0
    >>> record = {"label": "familiar", "origin": "simulated", "n": 16, "over": "subject", "p_peak": 0.4}
    >>> str(weigh(xr.Dataset(attrs=record)).sentence[1].values)[:60]
    'In simulated data no time of first effect is stated: what wa'
    """
    records = {
        "test": test, "baseline": baseline, "onset": onset, "image": image, "channels": channels,
        "exposure": exposure, "prevalence": prevalence, "audit": audit, "power": power,
    }  # fmt: skip
    given = {name: record for name, record in records.items() if record is not None}
    facts = _facts(given, delay_known)
    rules = {claim: _needs(claim, given) for claim in NEEDS}
    broken = {claim: _broken(rules[claim], facts, given) for claim in NEEDS}
    allowed = {claim: not broken[claim] for claim in NEEDS} | {"some": not _broken(SOME, facts, given)}
    because = [
        "; ".join(broken[claim].values()) or "; ".join(rule.good for rule in rules[claim]) for claim in NEEDS
    ]
    sentence = _wording.sentences(facts, allowed, broken)
    kept = ("origin", "label", "n", "over", "alpha", "missing")
    return xr.Dataset(
        {
            "sentence": ("claim", np.array([sentence[claim] for claim in NEEDS]), {"units": "1"}),
            "because": ("claim", np.array(because), {"units": "1"}),
            "allowed": ("claim", np.array([int(allowed[claim]) for claim in NEEDS]), {"units": "1"}),
        },
        {"claim": ("claim", np.array(list(NEEDS)))},
        {key: test.attrs[key] for key in kept if key in test.attrs},
    )


def _needs(claim: str, given: Mapping[str, xr.Dataset]) -> tuple[Rule, ...]:
    more = [rule for rule in WHERE_GIVEN if rule.fields[0].split(".")[0] in given]
    return (*NEEDS[claim], *more) if claim == "label" else NEEDS[claim]


def _broken(rules: tuple[Rule, ...], facts: Facts, given: Mapping[str, xr.Dataset]) -> dict[str, str]:
    """Words for each rule that does not hold, and why; what is absent or no number does not hold."""
    found: dict[str, str] = {}
    for rule in rules:
        record = rule.fields[0].split(".")[0]
        absent = [field for field in rule.fields if not _known(facts.get(field))]
        if record in NOT_MADE and record not in given:
            found[NOT_MADE[record]] = f"{NOT_MADE[record]} ({record}: not given)"
        elif absent:
            found[rule.bad] = f"{rule.bad} ({', '.join(absent)}: absent or not a number)"
        elif not _holds(rule, facts):
            found[rule.bad] = f"{rule.bad} ({_values(rule, facts)})"
    return found


def _holds(rule: Rule, facts: Facts) -> bool:
    try:
        return bool(rule.holds(*(facts[field] for field in rule.fields)))
    except TypeError:  # text where a number is wanted
        return False


def _values(rule: Rule, facts: Facts) -> str:
    return ", ".join(f"{field}: {_wording.plain(facts[field])}" for field in rule.fields)


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not isfinite(value))


def _facts(given: Mapping[str, xr.Dataset], delay_known: bool | None) -> dict[str, Any]:
    """Every attribute as "record.name", and what follows from several of them."""
    facts: dict[str, Any] = {
        f"{name}.{key}": value.item() if isinstance(value, np.generic) else value
        for name, record in given.items()
        for key, value in record.attrs.items()
    }
    test = given["test"]
    scores = [name for name in ("auc", "balanced_accuracy") if name in test]
    facts["test.score"] = scores[0] if scores else facts.get("test.score", "score")
    facts["test.moments"] = test.sizes.get("time", 0)
    if "baseline" in given:
        for key in ("baseline_score", "baseline_p"):
            facts[f"test.{key}"] = facts.get(f"baseline.{key}")
    facts["missing"] = _wording.units(record.attrs.get("missing", ()) for record in given.values())
    if "onset" in given:
        facts |= _times(given["onset"])
        facts.setdefault("onset.trigger_delay_s", facts.get("test.trigger_delay_s"))
    facts["blocked"] = int(
        facts.get("test.blocked_z", 0.0) < BLOCKED and "labels" in str(facts.get("test.test"))
    )
    simulated = "simulat" in str(facts.get("test.origin", "")).lower()
    stated = facts.get("onset.delay_known", facts.get("test.delay_known"))
    facts["delay_known"] = stated if stated is not None else int(simulated)
    if delay_known is not None:
        facts["delay_known"] = int(delay_known)
    facts |= _smear(facts)
    facts["content_apart"] = int(_content_apart(given, facts))
    return facts


def _times(onset: xr.Dataset) -> dict[str, Any]:
    """The estimates of all methods; those of the change point under their own names."""
    found: dict[str, Any] = {}
    if "onset" not in onset or "method" not in onset.coords:
        return found
    for place, method in enumerate(np.asarray(onset["method"].values).astype(str)):
        for name in ("onset", "onset_low", "onset_high"):
            if name in onset:
                field = f"onset.{name}" if method == METHOD else f"{method}.{name}"
                found[field] = float(onset[name].values[place])
    return found


def _smear(facts: Mapping[str, Any]) -> dict[str, Any]:
    """How far an effect may be moved: as stated, best by the onset's own record, else by a filter's reach,
    else by a bin's half width."""
    before, after = (
        facts.get(f"onset.smear_{side}_s", facts.get(f"test.smear_{side}_s")) for side in ("before", "after")
    )
    if before is None or after is None:
        reach = 0.0 if facts.get("test.filter") == "none" else facts.get("test.filter_reach_s")
        width = facts.get("test.bin_width", facts.get("test.window_s"))
        if reach is None and "test.filter" not in facts and width is not None:
            reach = 0.0
        before = after = None if reach is None else float(reach) + float(width or 0) / 2
    return {"smear_before_s": before, "smear_after_s": after}


def _content_apart(given: Mapping[str, xr.Dataset], facts: Mapping[str, Any]) -> bool:
    """Whether folds are known to keep what was shown apart: by their own words, or by an audit's count."""
    kept = {word.strip() for word in str(facts.get("test.kept_apart", "")).split(",")}
    if "test.shared" not in facts or facts.get("test.kept_apart") is None:
        return False
    shared = {word.strip() for word in str(facts["test.shared"]).split(",")}
    if "audit" in given:
        audit = given["audit"]
        shared |= {word.strip() for word in str(audit.attrs.get("shared", CONTENT[0])).split(",")}
        if "key" in audit.coords:
            kept |= set(np.asarray(audit["key"].values).astype(str)) - shared
    return bool(kept & set(CONTENT)) and not shared & set(CONTENT)
