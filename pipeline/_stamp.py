"""What a result says of how it was made, and what its maker warned of."""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import _jobs, _log
from ._jobs import Job
from ._steps import Study


def stamped(
    study: Study,
    job: Job,
    results: Path,
    recipe: Mapping[str, Any],
    attrs: Mapping[Any, Any],
    missing: list[str],
    said: list[str],
) -> dict[Any, Any]:
    """The attributes of a result: missing units, its own, its recipe; no clock and no absolute path."""
    own = {
        key: portable(value, results) for key, value in attrs.items() if key not in ("missing", "warnings")
    }
    first = {"missing": missing} if missing else {}
    last = {"warnings": [portable(text, results) for text in said]} if said else {}
    return {**first, **own, "study": study.name, "step": job.step, **recipe, **last}


def portable(value: Any, results: Path) -> Any:
    """Text without the names of the folders that differ from machine to machine.

    >>> portable("out/demo/bids: no events", Path("out/demo"))
    '{results}/bids: no events'
    """
    if not isinstance(value, str):
        return value
    folders = {str(results.absolute()): "{results}", str(results): "{results}"}
    with suppress(ValueError):
        folders[str(_jobs.data())] = "{data}"
    for folder, word in folders.items():
        value = re.sub(rf"(?<![\w./-]){re.escape(folder)}(?=/|$)", word, value)
    return value


def why(attrs: dict[Any, Any], recipe: dict[str, Any]) -> str:
    """What differs between what a result was made from and what it would be made from now."""
    reasons = []
    for name, new in recipe.items():
        old = attrs.get(name)
        if name not in ("use", "schema") and isinstance(old, str):
            try:
                old = json.loads(old)
            except ValueError:
                old = None
        if old == new or old is None:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            names = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
            reasons.append(f"{name} changed: {', '.join(names[:5])}")
        else:
            reasons.append(f"{name} changed")
    return "; ".join(reasons) or "made from something else"


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[list[str]]:
    """What is warned of meanwhile, each once: all of it is told; what the own thread says is listed.

    Reads    tell, which hears every warning of the kinds that concern data
    Returns  a context that gives a growing list
    """
    said: list[str] = []
    told: set[str] = set()
    own = threading.get_ident()

    def hear(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        text = _log.line(str(message))
        if not issubclass(category, UserWarning | RuntimeWarning) or text in told:
            return
        told.add(text)
        if threading.get_ident() == own:  # which thread of a pool comes first is chance
            said.append(text)
        tell(text)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = hear
        yield said
