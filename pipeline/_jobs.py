"""What there is to make: jobs, their files, and the key that says what a result was made from."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from . import _code, _sidecar, parts, store
from ._steps import Study, fill
from .study import StudyError

Inputs = dict[str, str | dict[str, str]]  # argument to digest, or to the digest of every unit


class Job(NamedTuple):
    """One result: a step, of one unit or of none."""

    step: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.step}/{self.unit}" if self.unit else self.step


def order(study: Study, steps: Sequence[str] = (), units: Sequence[str] = ()) -> list[Job]:
    """Jobs in an order in which they can run, with all that they read.

    Reads    a study; names of steps and units, or none for all
    Returns  every job once; StudyError when a name is not in the study
    """
    for name, known in [(name, list(study.steps)) for name in steps] + [
        (name, study.units) for name in units
    ]:
        if name not in known:
            hint = parts.nearest(name, known) if known else "it has no units"
            raise StudyError([f"{study.path}: {study.name} has no {name!r}; {hint}"])
    wanted = [
        job
        for name in (steps or study.steps)
        for job in _of(study, name)
        if not units or job.unit in units or (steps and not job.unit)
    ]
    if not wanted:
        raise StudyError([f"{study.path}: no step of {study.name} runs for a unit; leave --unit out"])
    needed = set(wanted)
    waiting = list(wanted)
    while waiting:
        for jobs in sources(study, waiting.pop()).values():
            new = [job for job in jobs if job not in needed]
            needed.update(new)
            waiting += new
    return [job for name in study.steps for job in _of(study, name) if job in needed]


def sources(study: Study, job: Job) -> dict[str, list[Job]]:
    """The jobs whose results a job reads, by argument."""
    step = study.steps[job.step]
    single = {
        name: [Job(source, "" if study.steps[source].once else job.unit)]
        for name, source in step.sources.items()
    }
    return single | {name: _of(study, source) for name, source in step.gather.items()}


def file(results: Path, job: Job) -> Path:
    """Where the result of a job stands: results/<study>/<step>[/<unit>].nc."""
    return results / job.step / f"{job.unit}.nc" if job.unit else results / f"{job.step}.nc"


def arguments(study: Study, job: Job, results: Path) -> dict[str, Any]:
    """The plain arguments of a job, every `{word}` replaced; ValueError when the data are not there."""
    step = study.steps[job.step]
    words = {"results": str(results), study.dimension: job.unit}
    if "{data}" in json.dumps(step.arguments):
        words["data"] = str(data())
    return {name: fill(value, words) for name, value in step.arguments.items()}


def data() -> Path:
    """The folder of real recordings: $NEURO_DATA, else ../shared/data beside the project."""
    folder = Path(os.environ.get("NEURO_DATA") or _code.ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no folder of data; set NEURO_DATA to where it is")
    return folder


def recipe(study: Study, job: Job, results: Path, inputs: Inputs) -> dict[str, Any]:
    """All that a result is made from: code, versions, arguments and digests; its JSON is what is hashed."""
    step = study.steps[job.step]
    filled = {} if "manifest" in inputs else dict(_outside(arguments(study, job, results), step.arguments))
    unit = {study.dimension: job.unit} if job.unit else {}
    return {
        **sentence(study, job.step),
        "unit": unit,
        "inputs": inputs,
        "files": filled,
        "schema": store.SCHEMA,
    }


def sentence(study: Study, name: str) -> dict[str, Any]:
    """The part of a recipe that is the same for every unit: what the study says and the code that does it."""
    step, files = study.steps[name], parts.allowed()
    modules = sorted({use.rpartition(".")[0] for use in _uses({"use": step.use, "with": step.arguments})})
    versions: dict[str, str] = {}
    for module in modules:
        versions |= _code.versions(module, files)
    code = {module: _code.digest(module, files) for module in modules}
    return {"use": step.use, "with": step.arguments, "code": code, "versions": dict(sorted(versions.items()))}


def key(made_from: Mapping[str, Any]) -> str:
    """The digest of a recipe."""
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def damage(manifest: Path, folder: Path) -> str:
    """What is wrong with the files that a result vouches for; nothing if all is well."""
    listed = store.columns(manifest)
    for name, size, sha in zip(listed["name"], listed["bytes"], listed["sha256"], strict=True):
        path = folder / str(name)
        if not path.is_file():
            return f"{path}: is missing"
        if path.stat().st_size != int(size) or _sidecar.digest(path) != str(sha):
            return f"{path}: digest differs from the manifest"
    return ""


def is_manifest(dataset: Any) -> bool:
    """Whether a Dataset lists files that its step wrote."""
    return "file" in dataset.dims and {"name", "sha256"} <= set(dataset.coords) and "bytes" in dataset


def _of(study: Study, name: str) -> list[Job]:
    return [Job(name)] if study.steps[name].once else [Job(name, unit) for unit in study.units]


def _uses(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("use"), str):
            yield value["use"]
        for item in value.values():
            yield from _uses(item)
    elif isinstance(value, list):
        for item in value:
            yield from _uses(item)


def _outside(filled: Any, template: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Digests of the files and folders that arguments name, unless a step of the study wrote them."""
    items = (
        filled.items() if isinstance(filled, dict) else enumerate(filled) if isinstance(filled, list) else ()
    )
    for inner, value in items:
        own = inner if isinstance(inner, str) else name
        yield from ((f"{inner}.{deep}", told) for deep, told in _outside(value, template[inner], own))
        named = own == "path" or own.endswith("_path")
        if (
            isinstance(value, str)
            and (named or "{data}" in template[inner])
            and "{results}" not in template[inner]
        ):
            yield str(inner), content(Path(value))


def content(path: Path) -> str:
    """One digest of a file and those that share its name, or of all files in a folder."""
    if path.is_dir():
        found = sorted(item for item in path.rglob("*") if item.is_file())
    elif path.is_file():
        start = re.split(r"_split-|_(?:meg|eeg|ieeg)\.|\.", path.name)[0]
        found = sorted(
            item for item in path.parent.iterdir() if item.name.startswith(start) and item.is_file()
        )
    else:
        return "missing"
    base = path if path.is_dir() else path.parent
    listed = "\n".join(f"{_sidecar.digest(item)}  {item.relative_to(base).as_posix()}" for item in found)
    return hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
