"""What was done, told from what the results say of themselves; nothing is typed by hand."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from . import _citations, lock, parts
from ._found import Found, attrs, mapping, texts
from ._page import details, element, joined, label, listed, number, prose
from ._steps import Study

Told = list[tuple[Found, dict[str, Any]]]  # results that stand, with their attributes

DECODED = ("label", "classes", "estimator", "folds", "kept_apart", "shared", "chance")
SIGNAL = {
    "filter": "filter", "trigger_delay_s": "trigger delay (s)", "baseline": "baseline", "reject": "rejection",
    "bad_channels": "bad channels", "projectors": "projectors", "bin_width": "width of a bin (s)",
}  # fmt: skip


def standing(records: Iterable[Found]) -> Told:
    """Results that can be read, with their attributes."""
    return [(one, attrs(one)) for one in records if one.dataset is not None]


def text(plan: Study, records: Sequence[Found]) -> Markup:
    """Methods as prose, then step after step.

    Reads    a study and what it has made
    Returns  Markup; every value comes from the attributes of results, defaults from signatures
    """
    told = standing(records)
    sentences = [*_planned(plan), *_data(plan, told), *_signal(told), *_decoding(told), *_tests(told)]
    steps = [_step(plan, name, told) for name in plan.steps]
    return joined(
        *(element("p", sentence) for sentence in sentences),
        element("h3", "Step by step"),
        listed(steps, ordered=True),
    )


def origins(told: Told) -> dict[str, list[str]]:
    """Steps by the origin of their data, as results state it."""
    return {str(value): steps for value, steps in by_value(told, "origin")}


def simulated(told: Told) -> list[str]:
    """Steps whose data were simulated, wholly or in part."""
    return [step for origin, steps in origins(told).items() if "simulat" in origin.lower() for step in steps]


def by_value(told: Told, *keys: str) -> list[tuple[Any, list[str]]]:
    """Different values of one attribute, or of several together, each with the steps that state it."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for one, given in told:
        if any(key in given for key in keys):
            value = given[keys[0]] if len(keys) == 1 else {key: given[key] for key in keys if key in given}
            steps = found.setdefault(json.dumps(value, sort_keys=True, default=str), (value, []))[1]
            if one.job.step not in steps:
                steps.append(one.job.step)
    return list(found.values())


def spread(values: Sequence[Any]) -> str:
    """Several values in few words.

    >>> spread([20, 20]), spread([20, 18, 19]), spread(["", "run"])
    ('20', '18 to 20', 'none; run')
    """
    different = list(dict.fromkeys(values))
    if len(different) > 1 and all(isinstance(value, int | float) for value in different):
        return f"{number(min(different))} to {number(max(different))}"
    shown = [number(value) if isinstance(value, int | float) else str(value) or "none" for value in different]
    return "; ".join(shown[:3]) + (f"; and {len(shown) - 3} more" if len(shown) > 3 else "")


def parameters(plan: Study, name: str, told: Told) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a step was given, as its result states it, and what its function takes by default."""
    step = plan.steps[name]
    stated = next((mapping(given, "with") for one, given in told if one.job.step == name), step.arguments)
    known = {*stated, *step.sources, *step.gather}
    default = {
        key: item.default
        for key, item in inspect.signature(parts.find(step.use)).parameters.items()
        if key not in known and item.default is not item.empty and key[0] != "_"
    }
    return stated, default


def works(plan: Study) -> list[str]:
    """The sources that the functions of a study name, those inside their arguments too."""
    return [
        work
        for step in plan.steps.values()
        for use in _uses({"use": step.use, "with": step.arguments})
        for work in _citations.sources(inspect.getdoc(parts.find(use)))
    ]


def _planned(plan: Study) -> list[Markup]:
    """Whether the plan was written down beforehand, and what has changed since."""
    state = lock.state(plan.path)
    said = {"unlocked": "was not locked before it ran", "as locked": "is the one that was locked"}
    changes = [*lock.deviations(plan.path), *lock.replaced(plan.path)]
    made = [joined(f"The plan {said.get(state, 'deviates from the one that was locked')}.")]
    return made + [joined("Change of the plan: ", label(line, 300), ".") for line in changes]


def _data(plan: Study, told: Told) -> list[Markup]:
    made = [
        joined("Data of ", ", ".join(steps), ": ", label(origin, 300), ".")
        for origin, steps in origins(told).items()
    ]
    if not made:
        made = [joined("No result says where its data come from.")]
    if plan.units:
        text = f"Units of {plan.dimension}: {len(plan.units)} planned ({', '.join(plan.units)})."
        made.append(label(text, 2000))
    lost = [(one.job, texts(given, "missing")) for one, given in told if texts(given, "missing")]
    made += [joined(f"{job} was made without ", label(", ".join(names), 2000), ".") for job, names in lost]
    return made


def _signal(told: Told) -> list[Markup]:
    made = []
    recordings = [(one, given) for one, given in told if "response" in (one.dataset or ())]
    for step in dict.fromkeys(one.job.step for one, _ in recordings):
        own = [(one.dataset, given) for one, given in recordings if one.job.step == step]
        counts = [
            f"{spread([dataset.sizes[dim] for dataset, _ in own if dataset is not None])} {dim}s"
            for dim in ("presentation", "neuroid")
        ]
        said = [
            f"{words}: {spread(values)}"
            for key, words in SIGNAL.items()
            if (values := [given[key] for _, given in own if key in given])
        ]
        made.append(joined(f"{step}: ", label("; ".join([*counts, *said]), 1000), "."))
    return made


def _decoding(told: Told) -> list[Markup]:
    made = []
    for value, steps in by_value([(one, given) for one, given in told if "label" in given], *DECODED):
        counts = [given.get("presentations", "not stated") for one, given in told if one.job.step in steps]
        said = {key: spread([value[key]]) if key in value else "not stated" for key in DECODED}
        sentence = (
            f"label {said['label']}; classes {said['classes']}; presentations of each {spread(counts)}; "
            f"estimator {said['estimator']}; folds {said['folds']}; kept apart between training and test: "
            f"{said['kept_apart']}; shared by them: {said['shared']}; chance {said['chance']}."
        )
        made.append(joined(f"{', '.join(steps)}: ", label(sentence, 1000)))
    return made


def _tests(told: Told) -> list[Markup]:
    keys = ("test", "over", "n", "tail", "correction", "permutations", "relabellings", "alpha", "smallest_p")
    made = []
    for value, steps in by_value([(one, given) for one, given in told if "test" in given], *keys):
        said = "; ".join(f"{key.replace('_', ' ')} {spread([value[key]])}" for key in keys if key in value)
        made.append(joined(f"{', '.join(steps)}: ", label(said, 1000), "."))
    return made or [joined("No result states a statistical test." if told else "")]


def _step(plan: Study, name: str, told: Told) -> Markup:
    step = plan.steps[name]
    stated, default = parameters(plan, name, told)
    line = (inspect.getdoc(parts.find(step.use)) or "").partition("\n")[0]
    read = sorted({*step.sources.values()})
    joins = sorted({*step.gather.values()})
    how = [
        "once" if step.once else f"for every {plan.dimension}",
        *([f"reads {', '.join(read)}"] if read else []),
        *([f"joins {', '.join(joins)} of every {plan.dimension}"] if joins else []),
        *([] if any(one.job.step == name for one, _ in told) else ["no result stands"]),
    ]
    given = _pairs(stated) or element("p", "Nothing is set by the study.", class_="quiet")
    return joined(
        element("strong", label(name)), " ", element("code", step.use), f" ({'; '.join(how)}). ", prose(line),
        given,
        details(f"By default in {name}: {len(default)}", _pairs(default)) if default else "",
    )  # fmt: skip


def _pairs(values: Mapping[str, Any]) -> Markup:
    pairs = [
        element("dt", label(key)) + element("dd", element("code", label(_json(value), 500)))
        for key, value in values.items()
    ]
    return element("dl", *pairs) if pairs else Markup()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda item: getattr(item, "__name__", str(item)))


def _uses(value: Any) -> list[str]:
    """Names of functions, anywhere inside the arguments of a step."""
    if isinstance(value, list):
        return [use for item in value for use in _uses(item)]
    if not isinstance(value, dict):
        return []
    own = [value["use"]] if isinstance(value.get("use"), str) else []
    return own + [use for item in value.values() for use in _uses(item)]


def random(plan: Study, told: Told) -> dict[str, Any]:
    """The seed of every step that takes one."""
    found = {}
    for name in plan.steps:
        stated, default = parameters(plan, name, told)
        if "seed" in {**default, **stated}:
            found[name] = {**default, **stated}["seed"]
    return found
