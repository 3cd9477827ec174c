"""Runs a study: opens inputs, calls, checks, stamps, saves; what stands and is sound is left alone."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _jobs, _log, _process, _sidecar, _stamp, parts, store, study
from ._jobs import Job
from ._steps import Study
from ._workers import workers as _workers

if TYPE_CHECKING:
    import xarray as xr


class Failed(Exception):
    """A run that did not make everything; its text is the first reason, `code` the exit status."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class _Site:
    """One run: where it works and what it has found out."""

    study: Study
    results: Path
    log: _log.Log
    wait: bool = True
    debug: bool = False
    digests: dict[Job, str] = field(default_factory=dict)
    failed: dict[Job, tuple[str, int]] = field(default_factory=dict)
    made: list[Path] = field(default_factory=list)


def run(
    name: str | Path,
    results: str | Path = "results",
    steps: Sequence[str] = (),
    units: Sequence[str] = (),
    *,
    workers: int | None = None,
    scheduler: str = "",
    keep_going: bool = False,
    wait: bool = True,
    quiet: bool = False,
    debug: bool = False,
) -> list[Path]:
    """Makes what is missing, stale or damaged in a study, and nothing else.

    Reads    a study by name or path; steps and units to make with all that they read, by default all;
             workers, threads within a step; scheduler, the address of a running dask.distributed; wait for
             another run that makes the same, else fail at once
    Returns  the files that were made; StudyError before anything runs when the study is wrong, else Failed
    """
    plan = study.read(study.find(name))
    jobs = _jobs.order(plan, steps, units)
    _sweep(Path(results) / plan.name, plan)
    with ExitStack() as stack:
        log = stack.enter_context(_log.log(len(jobs), quiet))
        site = _Site(plan, Path(results) / plan.name, log, wait, debug)
        ready = False
        for job in jobs:
            if not _skipped(site, job) and not _stands(site, job):
                if not ready:
                    _prepare(site, stack, workers, scheduler)
                    ready = True
                _made(site, job)
            log.advance(str(job))
            if job in site.failed and not keep_going and plan.on_error == "stop":
                break
    if site.failed:
        raise Failed(*next(iter(site.failed.values())))
    return site.made


def states(name: str | Path, results: str | Path = "results") -> Iterator[tuple[Job, str, str]]:
    """How every result of a study stands, and why it would be made again; nothing is made or changed.

    Reads    a study by name or path
    Returns  triples of job, state (done, missing, stale, damaged, newer, waits) and reason
    """
    plan = study.read(study.find(name))
    folder = Path(results) / plan.name
    site = _Site(plan, folder, _log.Log(*[lambda text: None] * 3))
    for job in _jobs.order(plan):
        path = _jobs.file(folder, job)
        before = [source for jobs in _jobs.sources(plan, job).values() for source in jobs]
        waits = [str(source) for source in before if source not in site.digests]
        if waits:
            yield job, "waits" if path.exists() else "missing", f"reads {', '.join(waits[:3])}"
            continue
        try:
            state, why = _state(site, job, _recipe(site, job))
        except ValueError as error:
            state, why = "newer", str(error)
        if state == "done":
            site.digests[job] = store.verify(path).digest
        yield job, state, why


def draw(name: str | Path, results: str | Path = "results", *, units: bool = False) -> list[Path]:
    """A picture beside every result whose maker knows how to draw it; what it does not know is told.

    Reads    a study by name or path; units, draw also what stands for every unit
    Returns  the .png files; their bytes depend on nothing but the result
    """
    plan = study.check(study.find(name))
    folder = Path(results) / plan.name
    drawn: list[Path] = []
    for job in _jobs.order(plan):
        plot = getattr(sys.modules[parts.find(plan.steps[job.step].use).__module__], "plot", None)
        path = _jobs.file(folder, job)
        if plot is None or not path.exists() or (job.unit and not units):
            continue
        picture = path.with_suffix(".png")
        result = store.read(path)
        try:
            content = _picture(plot, result)
        except (KeyError, ValueError) as error:
            _log.stderr(f"{job}: not drawn: {type(error).__name__}: {_log.line(str(error))}")
            continue
        if not picture.exists() or picture.read_bytes() != content:
            _sidecar.publish(picture, content)
        drawn.append(picture)
    return drawn


def _picture(plot: Any, result: xr.Dataset) -> bytes:
    import io

    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = plot(result)
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=150, metadata={"Software": None})
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close(figure)
    return stream.getvalue()


def _skipped(site: _Site, job: Job) -> bool:
    """Whether a job cannot be made because what it reads failed."""
    step = site.study.steps[job.step]
    sources = _jobs.sources(site.study, job)
    for argument, jobs in sources.items():
        failed = [source for source in jobs if source in site.failed]
        if failed and (argument not in step.gather or len(failed) == len(jobs)):
            site.failed[job] = site.failed[failed[0]]
            return True
    return False


def _inputs(site: _Site, job: Job) -> _jobs.Inputs:
    step = site.study.steps[job.step]
    inputs: _jobs.Inputs = {}
    for argument, jobs in _jobs.sources(site.study, job).items():
        found = {source.unit: site.digests[source] for source in jobs if source in site.digests}
        inputs[argument] = found if argument in step.gather else next(iter(found.values()))
    return inputs


def _recipe(site: _Site, job: Job) -> dict[str, Any] | None:
    """What a result would be made from; None when that cannot be told: making it will say why."""
    try:
        return _jobs.recipe(site.study, job, site.results, _inputs(site, job))
    except (ValueError, OSError):
        return None


def _stands(site: _Site, job: Job, say: bool = True) -> bool:
    """Whether there is nothing to make: the result is whole and of this recipe, or must not be made."""
    path = _jobs.file(site.results, job)
    try:
        state, why = _state(site, job, _recipe(site, job))
    except (ValueError, OSError) as error:
        _fail(site, job, error)
        return True
    if state == "damaged" and say:
        site.log.warn(f"{why}; it is made again")
    if state != "done":
        return False
    site.digests[job] = store.verify(path).digest
    return True


def _prepare(site: _Site, stack: ExitStack, workers: int | None, scheduler: str) -> None:
    """Before the first job: the study fits its functions, the folder takes files, the workers are there."""
    study.check(site.study.path)
    site.results.mkdir(parents=True, exist_ok=True)
    probe = _process.temporary(site.results / "probe")
    try:
        probe.write_bytes(b"")
    finally:
        probe.unlink(missing_ok=True)
    stack.enter_context(_workers(workers, scheduler))


def _state(site: _Site, job: Job, recipe: dict[str, Any] | None) -> tuple[str, str]:
    path = _jobs.file(site.results, job)
    state = store.status(path, _jobs.key(recipe) if recipe else "")
    if state == "done" and recipe and store.verify(path).note == "files":
        fault = _jobs.damage(path, Path(_jobs.arguments(site.study, job, site.results)["path"]))
        return ("damaged", fault) if fault else ("done", "")
    if state == "stale":
        return state, _stamp.why(dict(store.read(path).attrs), recipe or {})
    if state == "damaged":
        fault = "digest differs from" if _sidecar.entries(path) else "unverified: has no readable"
        return state, f"{path}: {fault} {path.name}.sha256"
    return state, ""


def _made(site: _Site, job: Job) -> None:
    path = _jobs.file(site.results, job)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _process.lock(path.with_name(f".{path.name}.lock"), site.wait, site.log.warn):
            if not _stands(site, job, say=False):  # another run may have made it while we waited
                _make(site, job, path)
    except (Exception, SystemExit) as error:
        _fail(site, job, error)


def _make(site: _Site, job: Job, path: Path) -> None:
    import xarray as xr

    from loaders import schema

    step, start = site.study.steps[job.step], time.perf_counter()
    recipe = _jobs.recipe(site.study, job, site.results, _inputs(site, job))
    arguments = _jobs.arguments(site.study, job, site.results)
    inputs, missing = _opened(site, job)
    with _stamp.heard(lambda text: site.log.warn(f"{_place(site, job)}: warning: {text}")) as said:
        result = parts.call(step.use, arguments, inputs)
        if not isinstance(result, xr.Dataset):
            raise TypeError(f"{step.use} returned a {type(result).__name__}, not a Dataset")
        result = schema.check(result.copy(deep=False))
        result.attrs = _stamp.stamped(site.study, job, site.results, recipe, result.attrs, missing, said)
        note = "files" if _jobs.is_manifest(result) and "path" in arguments else ""
        site.digests[job] = store.write(result, path, _jobs.key(recipe), note)
    site.made.append(path)
    site.log.say(f"{site.study.name}: {job}: made in {time.perf_counter() - start:.1f} s")


def _opened(site: _Site, job: Job) -> tuple[dict[str, Any], list[str]]:
    from ._gather import gather

    step, inputs, missing = site.study.steps[job.step], {}, []
    for argument, jobs in _jobs.sources(site.study, job).items():
        found = {
            item.unit: store.read(_jobs.file(site.results, item)) for item in jobs if item in site.digests
        }
        if argument in step.gather:
            missing += [item.unit for item in jobs if item not in site.digests]
            inputs[argument] = gather(found, site.study.dimension)
            if missing:
                inputs[argument].attrs = {"missing": sorted(set(missing)), **inputs[argument].attrs}
        else:
            inputs[argument] = next(iter(found.values()))
    return inputs, sorted(set(missing))


def _fail(site: _Site, job: Job, error: BaseException) -> None:
    text = (
        str(error)
        if isinstance(error, ValueError | OSError) and str(error)
        else f"{type(error).__name__}: {error}"
    )
    name, colon, _ = text.partition(": ")
    wrong = isinstance(error, ValueError) and bool(colon) and name in site.study.steps[job.step].arguments
    code = 2 if wrong else 3 if isinstance(error, ValueError) else 1
    line = f"{_place(site, job, ('with', name) if wrong else ())}: {_log.line(text)}"
    site.failed[job] = (line, code)
    site.log.warn(line)
    if site.debug:
        for text in traceback.format_exception(error):
            for part in text.splitlines():
                site.log.warn(part)


def _place(site: _Site, job: Job, inside: tuple[str, ...] = ()) -> str:
    unit = f" {job.unit}" if job.unit else ""
    places, step = site.study.places, ("steps", job.step)
    line, column = places.get((*step, *inside)) or places.get(step, (1, 1))
    return f"{site.study.path}:{line}:{column}: step {job.step}{unit}"


def _sweep(folder: Path, plan: Study) -> None:
    """Removes what dead runs left behind, and ends publications that they did not."""
    for place in (folder, *(folder / name for name, step in plan.steps.items() if not step.once)):
        _process.sweep(place)
    for job in _jobs.order(plan):
        path = _jobs.file(folder, job)
        if len(_sidecar.entries(path)) > 1:
            with _process.lock(path.with_name(f".{path.name}.lock")):
                try:
                    store.settle(path)
                except (OSError, ValueError):
                    continue
