"""A plan lock: what a study meant before its results were seen, and what was changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from . import _sidecar, study
from ._steps import Study

FORMAT = 1
UNIT = "a unit"


def lock(name: str | Path, *, force: bool = False) -> Path:
    """Writes down what a study means, so that every later change of the plan can be listed.

    Comments, layout, the order of steps and spelled-out defaults are no part of the meaning. A plan that
    was locked before stays as it is; only with force does a changed study replace it, and what it replaced
    stays in the file.

    Reads    a study by name or path, sound; force
    Returns  the file <study>.lock beside it, not dated, so that version control dates it; StudyError when
             the study has changed since it was locked, each change a line
    Source   Nosek et al. 2018, doi 10.1073/pnas.1708274114 (preregistration)
    """
    plan = study.check(study.find(name))
    path, changes, earlier = _path(plan), deviations(plan.path), []
    if path.exists():
        if not changes:
            return path
        if not force:
            advice = f"{path}: {plan.name} was locked and has changed since; undo it, or lock with --force"
            raise study.StudyError([advice, *(f"{path}: {line}" for line in changes)])
        earlier = [*_earlier(path), {"sha256": _sha256_of(path), "changed": changes}]
    meant = meaning(plan)
    content = {"format": FORMAT, "study": plan.name, "sha256": digest(meant), "meaning": meant}
    text = json.dumps(content | ({"replaced": earlier} if earlier else {}), indent=1, ensure_ascii=False)
    _sidecar.publish(path, f"{text}\n".encode())
    return path


def state(name: str | Path) -> Literal["unlocked", "as locked", "deviates"]:
    """How a study stands to its lock.

    Reads    a study by name or path
    Returns  "unlocked", "as locked" or "deviates"; a lock that cannot be trusted counts as "deviates"
    """
    if not _path(study.read(study.find(name))).exists():
        return "unlocked"
    return "deviates" if deviations(name) else "as locked"


def deviations(name: str | Path) -> list[str]:
    """Each key of a study that was changed, added or removed since its plan was locked.

    Reads    a study by name or path
    Returns  lines such as "steps.decoding.with.folds: changed from 5 to 10"; none when it is unlocked
    """
    plan = study.read(study.find(name))
    path = _path(plan)
    if not path.exists():
        return []
    try:
        stored = _read(path)
    except (ValueError, OSError) as error:
        return [f"{path.name}: {error}"]
    return list(_differences(stored["meaning"], meaning(plan)))


def replaced(name: str | Path) -> list[str]:
    """What earlier locks, replaced by force, said otherwise: a plan that was locked anew is no first plan.

    Reads    a study by name or path
    Returns  lines such as "lock 1: steps.decoding.with.folds: changed from 5 to 10"
    """
    path = _path(study.read(study.find(name)))
    told = _earlier(path) if path.exists() else []
    return [f"lock {number}: {line}" for number, item in enumerate(told, 1) for line in item["changed"]]


def meaning(plan: Study) -> dict[str, Any]:
    """A study as flat keys and plain values, the same for any layout.

    Reads    a study that was read
    Returns  keys such as "steps.decoding.with.folds"; what is a list stays one value
    """
    units = dict.fromkeys(plan.units, UNIT)
    steps = {
        name: {
            "use": step.use, "with": step.arguments, "from": step.sources, "gather": step.gather,
            "once": step.once,
        }
        for name, step in sorted(plan.steps.items())
    }  # fmt: skip
    whole = {
        "about": " ".join(plan.about.split()), "units": {plan.dimension: units} if units else {},
        "on_error": plan.on_error, "steps": steps,
    }  # fmt: skip
    return dict(sorted(_flat(whole)))


def digest(meant: Mapping[str, Any]) -> str:
    """The sha256 of a meaning."""
    return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{before}{key}.")
        elif item != {} or ".with." in before:
            yield f"{before}{key}", _plain(item)


def _plain(value: Any) -> Any:
    """2.0 and 2 mean the same."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*old, *new}):
        was, now = _shown(old.get(key)), _shown(new.get(key))
        if key not in new:
            yield f"{key}: removed" if was == UNIT else f"{key}: removed, was {was}"
        elif key not in old:
            yield f"{key}: added" if now == UNIT else f"{key}: added, {now}"
        elif was != now:
            yield f"{key}: changed from {was} to {now}"


def _shown(value: Any) -> str:
    return UNIT if value == UNIT else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _path(plan: Study) -> Path:
    return plan.path.with_suffix(".lock")


def _read(path: Path) -> dict[str, Any]:
    """A lock that is whole; ValueError says what is wrong with it."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        sound = stored["format"] == FORMAT and stored["sha256"] == digest(stored["meaning"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("is not a plan lock; restore it, or lock with --force") from None
    if not sound:
        raise ValueError("was edited after it was written; restore it, or lock with --force")
    return dict(stored)


def _earlier(path: Path) -> list[dict[str, Any]]:
    try:
        told = _read(path).get("replaced", [])
        return [{"sha256": str(item["sha256"]), "changed": list(item["changed"])} for item in told]
    except (ValueError, OSError, KeyError, TypeError):
        return []


def _sha256_of(path: Path) -> str:
    try:
        return str(_read(path)["sha256"])
    except (ValueError, OSError):
        return ""
