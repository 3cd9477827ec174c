"""What a study has made: every result as far as it can be read, and how it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _jobs, _stamp, run, store
from ._jobs import Job
from ._page import error_line, undated
from ._steps import Study

if TYPE_CHECKING:
    import xarray as xr

STAMPED = (  # attributes that say how a result was made, not what it says
    "study", "step", "use", "with", "code", "versions", "unit", "inputs", "files", "schema", "missing",
    "warnings", "left_out", "sources",
)  # fmt: skip


class Found(NamedTuple):
    """One result of a study; `dataset` is None where there is nothing that can be trusted."""

    job: Job
    state: str  # done, missing, stale, damaged, newer, waits
    why: str
    file: str  # below the folder of results
    digest: str
    dataset: xr.Dataset | None


def found(plan: Study, results: Path) -> list[Found]:
    """Every result of a study, in the order in which they are made.

    Reads    a study; the folder of all results
    Returns  one record for each; a file that cannot be read is `damaged`, with the reason
    """
    folder, made = results / plan.name, []
    for job, state, why in run.states(plan.path, results):
        path = _jobs.file(folder, job)
        dataset, digest = None, ""
        if path.exists():
            try:
                dataset, digest = store.read(path), store.verify(path).digest
            except Exception as error:
                state, why = ("newer" if state == "newer" else "damaged"), why or error_line(error)
        if state == "stale" and _away(plan, job):
            why = "whether it is current cannot be told without the recordings; set NEURO_DATA"
        why = undated(_stamp.portable(why, results))
        made.append(Found(job, state, why, path.relative_to(results).as_posix(), digest, dataset))
    return made


def _away(plan: Study, job: Job) -> bool:
    """Whether a job reads recordings that are not on this machine."""
    if "{data}" not in json.dumps(plan.steps[job.step].arguments):
        return False
    try:
        return not _jobs.data()
    except ValueError:
        return True


def shaken(plan: Study, records: Iterable[Found]) -> set[Job]:
    """Jobs that are stale, damaged or newer, or read what is: what they say is not what the study says now.

    Reads    a study and what it has made
    Returns  jobs; where units are merely missing a result stays what it is, of fewer units
    """
    state = {one.job: one.state for one in records}
    found: set[Job] = set()
    for job in _jobs.order(plan):  # sources come first
        before = [source for jobs in _jobs.sources(plan, job).values() for source in jobs]
        if state.get(job) in ("stale", "damaged", "newer") or found & set(before):
            found.add(job)
    return found


def doubt(one: Found) -> str:
    """What must be added wherever a result is shown that does not stand."""
    words = {
        "done": "",
        "waits": " What it reads does not stand.",
        "stale": " It was made from something else.",
    }
    return words.get(one.state, f" It is {one.state}.")


def attrs(one: Found) -> dict[str, Any]:
    """The attributes of a result; what the store keeps as JSON text is a list or mapping again.

    Reads    a record
    Returns  plain values; nothing for a result that is not there
    """
    given: Mapping[Any, Any] = {} if one.dataset is None else one.dataset.attrs
    return {str(key): _restored(str(key), value) for key, value in given.items()}


def _restored(key: str, value: Any) -> Any:
    structured = key in STAMPED and isinstance(value, str) and value[:1] in ("{", "[")
    try:
        return json.loads(value) if structured else value
    except ValueError:
        return value


def mapping(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping among attributes; empty where it is missing or is something else."""
    value = given.get(key)
    return value if isinstance(value, dict) else {}


def texts(given: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts among attributes; empty where it is missing or is something else."""
    value = given.get(key)
    return [str(item) for item in value] if isinstance(value, list) else []
