"""A study: a YAML file of steps. The only door to yaml; every error knows its line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from . import parts
from ._steps import IDENTIFIER, KEYS, Place, Study, kind, read_steps, read_units, unknown, where
from .parts import nearest

BYTES = 100_000
DEPTH = 24
VALUES = 10_000


class StudyError(Exception):
    """A study file that is wrong; `lines` says every fault, each as `path:line:column: where: why`."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def find(name: str | Path) -> Path:
    """The file of a study: a path, or the name of one in workflows/studies here, above, or beside the code.

    Reads    a path that ends in .yaml, or a name
    Returns  a path; StudyError with the nearest right name when there is none
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    here = Path.cwd()
    roots = [*(folder for folder in (here, *here.parents)), Path(__file__).resolve().parent.parent]
    known: dict[str, Path] = {}
    for root in roots:
        for item in sorted((root / "workflows" / "studies").glob("*.yaml")):
            known.setdefault(item.stem, item)
    if str(name) in known:
        return known[str(name)]
    hint = nearest(str(name), known) if known else "give the path of a .yaml file"
    raise StudyError([f"{_clean(str(name))}: no study of that name; {hint}"])


def read(path: str | Path) -> Study:
    """A study as it is written, its steps in an order in which they can run; no function is looked up.

    Reads    the path of a YAML file
    Returns  the study; StudyError with all faults of syntax and structure at once
    """
    study, faults = _parse(Path(path))
    if faults:
        raise StudyError(faults)
    return study


def check(path: str | Path) -> Study:
    """A study whose every step is known to fit the signature of its function; nothing was run.

    Reads    the path of a YAML file
    Returns  the study; StudyError with all faults at once, each with line, column and the nearest right name
    """
    study, faults = _parse(Path(path))
    faults += [_fault(study.path, study.places, place, why) for place, why in _bind(study)]
    if faults:
        raise StudyError(sorted(dict.fromkeys(faults), key=_position))
    return study


class _Refused(Exception):
    pass


class _Loader(yaml.BaseLoader):
    """PyYAML's nodes, without what a study never needs: anchors, aliases, tags, depth."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        mark = event.start_mark
        self.depth, self.count = getattr(self, "depth", 0) + 1, getattr(self, "count", 0) + 1
        why = ""
        if self.depth > DEPTH:
            why = f"nested deeper than {DEPTH}"
        elif self.count > VALUES:
            why = f"more than {VALUES} values; a study is a page of text"
        elif isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            why = "anchors (&) and aliases (*) are not part of a study; write it out"
        elif event.tag is not None:
            why = "tags (!) are not part of a study; write plain values"
        if why:
            raise _Refused(f"{mark.line + 1}:{mark.column + 1}: yaml: {why}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _load(path: Path) -> tuple[Any, dict[Place, tuple[int, int]], list[str]]:
    """Plain values, the line and column of each, and faults."""
    places: dict[Place, tuple[int, int]] = {}
    faults: list[tuple[tuple[int, int], str]] = []
    try:
        text = _text(path)
        node = yaml.compose(text, Loader=_Loader)
        value = _construct(node, (), places, faults) if node is not None else None
    except _Refused as error:
        return None, places, [f"{_clean(str(path))}:{error}"]
    except yaml.YAMLError as error:
        return None, places, [f"{_clean(str(path))}:{_syntax(error)}"]
    return value, places, [f"{_clean(str(path))}:{line}:{column}: {why}" for (line, column), why in faults]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES + 1)
    except OSError as error:
        raise StudyError([f"{_clean(str(path))}: cannot be read: {error.strerror or error}"]) from error
    except ValueError as error:
        raise StudyError([f"{_clean(str(path))}: is not a path: {error}"]) from error
    if len(raw) > BYTES:
        raise _Refused(f"1:1: yaml: larger than {BYTES} bytes; a study is a page of text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _Refused(f"{line}:{column}: yaml: is not UTF-8 text; save it as UTF-8") from error
    for number, line_of_text in enumerate(text.splitlines(), start=1):
        indent = line_of_text[: len(line_of_text) - len(line_of_text.lstrip())]
        if "\t" in indent:
            raise _Refused(f"{number}:{indent.index(chr(9)) + 1}: yaml: indented by a tab; use spaces")
    return text


def _syntax(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, getattr(error, "position", 0) + 1)
    why = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    context = getattr(error, "context", None)
    return _clean(f"{line}:{column}: yaml: {why}{f' ({context})' if context else ''}")


def _construct(node: Any, place: Place, places: dict[Place, Any], faults: list[Any]) -> Any:
    spot = (node.start_mark.line + 1, node.start_mark.column + 1)
    places.setdefault(place, spot)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*place, number), places, faults) for number, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        value = _scalar(node.value) if node.style is None else node.value
        if isinstance(value, str) and any(_unprintable(letter) for letter in value):
            faults.append((spot, f"{where(place)}: holds a control character; use plain text"))
        if isinstance(value, int | float) and len(node.value) > 300:
            faults.append((spot, f"{where(place)}: a number of {len(node.value)} digits; use fewer"))
        return value
    made: dict[str, Any] = {}
    for key_node, value_node in node.value:
        at = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        key = key_node.value
        if not isinstance(key, str) or not key or any(_unprintable(letter) for letter in key):
            faults.append((at, f"{where(place)}: a key must be plain text"))
        elif key in made:
            faults.append((at, f"{where((*place, key))}: {key!r} stands twice; keep one"))
        else:
            places[(*place, key)] = at
            made[key] = _construct(value_node, (*place, key), places, faults)
    return made


def _scalar(text: str) -> Any:
    """The core schema of YAML 1.2: `on` and `12:30` are text, `1e-3` is a number, `08` is 8."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text[0] in "tT"
    if re.fullmatch(r"[-+]?[0-9]+", text, re.ASCII):
        return int(text) if len(text) <= 300 else 0
    if re.fullmatch(r"0o[0-7]+|0x[0-9a-fA-F]+", text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text, re.ASCII):
        return float(text)
    if re.fullmatch(r"[-+]?\.(inf|Inf|INF)", text):
        return float(text.replace(".", ""))
    return float("nan") if text in (".nan", ".NaN", ".NAN") else text


def _unprintable(letter: str) -> bool:
    code = ord(letter)
    return (code < 32 and letter not in "\n\t") or code == 127 or 0xD800 <= code < 0xE000


def _parse(path: Path) -> tuple[Study, list[str]]:
    value, places, lines = _load(path)
    if lines and value is None:
        raise StudyError(lines)
    if not IDENTIFIER.fullmatch(path.stem):
        raise StudyError([f"{_clean(str(path))}: a study is named by letters, digits and _; rename the file"])
    if not isinstance(value, dict):
        what = "is empty" if value is None else f"is {kind(value)}"
        raise StudyError([f"{_clean(str(path))}:1:1: study: {what}; it is a mapping of {', '.join(KEYS)}"])
    faults: list[tuple[Place, str]] = []
    dimension, units = read_units(value.get("units"), faults)
    faults += unknown(value, KEYS, ())
    about = value.get("about", "")
    if not isinstance(about, str):
        faults.append((("about",), f"is {kind(about)}, not text"))
    on_error = value.get("on_error", "stop")
    if on_error not in ("stop", "continue"):
        faults.append((("on_error",), "is neither stop nor continue"))
    raw = value.get("steps")
    if not isinstance(raw, dict) or not raw:
        faults.append((("steps",) if "steps" in value else (), "steps: a study has a mapping of steps"))
        raw = {}
    steps = read_steps(raw, dimension, units, faults)
    lines += [_fault(path, places, place, why) for place, why in faults]
    study = Study(path.stem, path, str(about), dimension, units, steps, str(on_error), places)
    return study, sorted(dict.fromkeys(lines), key=_position)


def _bind(study: Study) -> Iterator[tuple[Place, str]]:
    from loaders.schema import DIMENSIONS

    if study.dimension and study.dimension not in DIMENSIONS:
        hint = nearest(study.dimension, DIMENSIONS)
        yield ("units", study.dimension), f"{study.dimension!r} is not in the vocabulary; {hint}"
    for name, step in study.steps.items():
        if not step.use:
            continue
        for inner, why in parts.problems(step.use, step.arguments, [*step.sources, *step.gather]):
            place: Place = ("steps", name, "use")
            for key in ("with", "from", "gather") if inner else ():
                if ("steps", name, key, *inner) in study.places:
                    place = ("steps", name, key, *inner)
            yield place, why


def _fault(path: Path, places: Mapping[Place, tuple[int, int]], place: Place, why: str) -> str:
    spot = place
    while spot not in places and spot:
        spot = spot[:-1]
    line, column = places.get(spot, (1, 1))
    return _clean(f"{path}:{line}:{column}: {where(place)}: {why}")


def _position(line: str) -> tuple[int, int]:
    found = re.search(r":(\d+):(\d+): ", line)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _clean(text: str) -> str:
    """One printable line, whatever names stand in it."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )
