"""What a study says, once YAML is plain values: units, steps, and the order in which they can run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .parts import nearest

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
UNIT = re.compile(r"[A-Za-z0-9]{1,64}")
KEYS = ("about", "units", "steps", "on_error")
STEP_KEYS = ("use", "with", "from", "gather", "once")
WORD = re.compile(r"\{\{|\}\}|\{(\w+)\}")

Place = tuple[str | int, ...]


class Step(NamedTuple):
    """One sentence: a function, its plain arguments, and the steps whose results it reads."""

    use: str
    arguments: dict[str, Any]  # 'with'
    sources: dict[str, str]  # 'from': argument to step of the same unit
    gather: dict[str, str]  # argument to step of all units
    once: bool  # runs once, not for every unit


class Study(NamedTuple):
    """A study that was read: steps stand in an order in which they can run."""

    name: str
    path: Path
    about: str
    dimension: str  # of the units, or ""
    units: tuple[str, ...]
    steps: dict[str, Step]
    on_error: str
    places: dict[Place, tuple[int, int]]


def fill(value: Any, words: Mapping[str, str]) -> Any:
    """A value whose `{word}`s are replaced, in text anywhere inside it; `{{` stands for a brace.

    >>> fill(["{results}/sub-{subject}", 3], {"results": "out", "subject": "01"})
    ['out/sub-01', 3]
    """
    if isinstance(value, str):
        return WORD.sub(lambda found: words[found[1]] if found[1] else found[0][0], value)
    if isinstance(value, list):
        return [fill(item, words) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, words) for key, item in value.items()}
    return value


def read_units(value: Any, faults: list[tuple[Place, str]]) -> tuple[str, tuple[str, ...]]:
    if value is None:
        return "", ()
    if not isinstance(value, dict) or len(value) != 1:
        faults.append((("units",), "give one dimension and its names, as {subject: ['01', '02']}"))
        return "", ()
    dimension, names = next(iter(value.items()))
    if not IDENTIFIER.fullmatch(dimension) or dimension in ("results", "data"):
        faults.append((("units", dimension), f"{dimension!r} cannot name a dimension"))
    if not isinstance(names, list) or not names:
        faults.append((("units", dimension), f"is {kind(names)}, not a list of names"))
        return dimension, ()
    for number, name in enumerate(names):
        if not isinstance(name, str):
            faults.append((("units", dimension, number), f"{name!r} is {kind(name)}, not a name; quote it"))
        elif not UNIT.fullmatch(name):
            faults.append(
                (("units", dimension, number), f"{name!r} is not of letters and digits (at most 64)")
            )
        elif name in names[:number]:
            faults.append((("units", dimension, number), f"{name!r} stands twice; keep one"))
    return dimension, tuple(str(name) for name in names)


def read_steps(
    raw: dict[str, Any],
    dimension: str,
    units: tuple[str, ...],
    faults: list[tuple[Place, str]],
) -> dict[str, Step]:
    drafts: dict[str, Step] = {}
    for name, item in raw.items():
        place: Place = ("steps", name)
        if not IDENTIFIER.fullmatch(name):
            faults.append((place, f"step {name!r}: a name is of letters, digits and _"))
        if not isinstance(item, dict):
            faults.append((place, f"is {kind(item)}; a step is {{{', '.join(STEP_KEYS)}}}"))
            continue
        faults += unknown(item, STEP_KEYS, place)
        faults += _types(item, place)
        sources, gather = _links(item, "from"), _links(item, "gather")
        arguments = item["with"] if isinstance(item.get("with"), dict) else {}
        for key in ("from", "gather"):
            for argument, source in _links(item, key).items():
                if source not in raw:
                    why = f"there is no step {source!r}; {nearest(source, raw)}"
                    faults.append(((*place, key, argument), why))
                if argument in arguments or (key == "gather" and argument in sources):
                    faults.append(
                        ((*place, key, argument), f"argument {argument!r} is given twice; keep one")
                    )
        use = item["use"] if isinstance(item.get("use"), str) else ""
        once = item.get("once") is True if "once" in item else None
        drafts[name] = Step(use, arguments, sources, gather, once)  # type: ignore[arg-type]
    return _settle(drafts, dimension, units, faults)


def _types(item: dict[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    if "use" not in item:
        yield place, "has no 'use'; name a function, as use: loaders.meg.epochs"
    elif not isinstance(item["use"], str):
        yield (*place, "use"), f"use is {kind(item['use'])}, not the dotted name of a function"
    if not isinstance(item.get("with", {}), dict):
        yield (*place, "with"), f"with is {kind(item['with'])}, not a mapping of arguments"
    if not isinstance(item.get("once", True), bool):
        yield (*place, "once"), f"once is {kind(item['once'])}, not true or false"
    for key in ("from", "gather"):
        links = item.get(key, {})
        if not isinstance(links, dict) or not all(isinstance(link, str) for link in links.values()):
            yield (*place, key), f"{key} is a mapping of argument: step"


def _links(item: dict[str, Any], key: str) -> dict[str, str]:
    links = item.get(key)
    return (
        {name: link for name, link in links.items() if isinstance(link, str)}
        if isinstance(links, dict)
        else {}
    )


def _settle(
    drafts: dict[str, Step], dimension: str, units: tuple[str, ...], faults: list[tuple[Place, str]]
) -> dict[str, Step]:
    """Steps in an order in which they can run, each knowing whether it runs once."""
    steps: dict[str, Step] = {}
    waiting = dict(drafts)
    while waiting:
        ready = next((name for name, step in waiting.items() if not _needs(step) & set(waiting)), None)
        if ready is None:
            circle = _circle(waiting)
            faults.append(
                (("steps", circle[0]), f"reads itself: {' <- '.join([*circle, circle[0]])}; break it")
            )
            return steps | waiting
        step = waiting.pop(ready)
        known = {argument: steps[name] for argument, name in step.sources.items() if name in steps}
        once = not units or bool(step.gather) or (bool(known) and all(item.once for item in known.values()))
        if step.once is not None:
            once = not units or bool(step.gather) or step.once
        steps[ready] = step._replace(once=once)
        faults += _rules(ready, steps, dimension)
    return steps


def _needs(step: Step) -> set[str]:
    return {*step.sources.values(), *step.gather.values()}


def _circle(waiting: dict[str, Step]) -> list[str]:
    name, seen = next(iter(waiting)), []
    while name not in seen:
        seen.append(name)
        name = next(
            item
            for item in (*waiting[name].sources.values(), *waiting[name].gather.values())
            if item in waiting
        )
    return seen[seen.index(name) :]


def _rules(name: str, steps: dict[str, Step], dimension: str) -> Iterator[tuple[Place, str]]:
    step, place = steps[name], ("steps", name)
    for argument, source in step.sources.items():
        if source in steps and step.once and not steps[source].once:
            yield (*place, "from", argument), f"runs once, and {source!r} for every {dimension}; use gather"
    for argument, source in step.gather.items():
        if source in steps and steps[source].once:
            yield (
                (*place, "gather", argument),
                f"{source!r} runs once, so there is nothing to gather; use from",
            )
    words = ["results", "data", *([dimension] if dimension and not step.once else [])]
    for inner, text in _texts(step.arguments, (*place, "with")):
        for found in WORD.finditer(text):
            if found[1] and found[1] == dimension and step.once:
                yield inner, f"runs once, so {{{dimension}}} has no value"
            elif found[1] and found[1] not in words:
                yield inner, f"{{{found[1]}}} has no value; {nearest(found[1], words)}"


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _texts(item, (*place, key))


def unknown(value: Mapping[str, Any], known: Collection[str], place: Place) -> list[tuple[Place, str]]:
    return [
        ((*place, key), f"unknown key {key!r}; {nearest(key, known)}") for key in value if key not in known
    ]


def where(place: Place) -> str:
    if not place:
        return "study"
    if place[0] == "steps" and len(place) > 1:
        return f"step {place[1]}"
    return ".".join(map(str, place[:2]))


def kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "empty"}
    return kinds.get(type(value), "a number")
