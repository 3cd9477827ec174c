"""The command `neuroloop`: check, lock, run, draw, list, report. Data go to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Ended(BaseException):
    """A signal asked the process to end."""


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line and says how it went.

    Reads    the words after the command
    Returns  0 done, 1 the work failed, 2 wrong study or command, 3 bad data, 128 + n ended by signal n
    """
    before = {number: signal.signal(number, _end) for number in ENDING}
    try:
        code = _main(words)
        sys.stdout.flush()
        return code
    except Ended as error:
        _end_children()
        return 128 + int(error.args[0])
    except BrokenPipeError:
        return _silent()
    except BaseException as error:
        if type(error).__name__ == "Closed":
            return _silent()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _main(words: Sequence[str] | None) -> int:
    given = _parser().parse_args(words)
    for library in ("OMP", "OPENBLAS", "MKL"):  # before any of them is loaded
        os.environ[f"{library}_NUM_THREADS"] = "1"
    os.environ.setdefault("MPLBACKEND", "Agg")
    from . import _log
    from .run import Failed
    from .study import StudyError

    try:
        from . import parts

        for path in getattr(given, "allow_code", ()):
            parts.allow(path)
        return int(given.act(given) or 0)
    except StudyError as error:
        for line in error.lines:
            _log.stderr(line)
        return 2
    except Failed as error:
        return error.code
    except BrokenPipeError:
        raise
    except Exception as error:
        if getattr(given, "debug", False):
            raise
        told = (
            f"{error.filename}: {error.strerror}"
            if isinstance(error, OSError) and error.filename
            else str(error)
        )
        kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        _log.stderr(f"neuroloop: {kind}{told}")
        return 3 if isinstance(error, ValueError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("neuroloop", description="From brain recordings to models, and back.")
    acts = parser.add_subparsers(required=True, metavar="check|run|draw|list|lock|report")
    study: dict[str, Any] = {
        "metavar": "STUDY",
        "help": "a .yaml file, or the name of one in workflows/studies",
    }

    check = acts.add_parser("check", help="say all that is wrong with a study, before anything runs")
    check.add_argument("study", **study)
    check.set_defaults(act=_check)

    run = _run_parser(acts, study)

    lock = acts.add_parser("lock", help="write down the plan of a study, so that later changes are listed")
    lock.add_argument("study", **study)
    lock.add_argument("--force", action="store_true", help="replace the lock of a study that has changed")
    lock.set_defaults(act=_lock)

    draw = acts.add_parser("draw", help="draw every finished result whose maker knows how")
    draw.add_argument("study", **study)
    draw.add_argument("--units", action="store_true", help="also what stands for every unit")
    draw.set_defaults(act=_draw)

    listing = acts.add_parser(
        "list", help="the functions that a study may name; or how a study stands, and why"
    )
    listing.add_argument("study", nargs="?", **study)
    listing.set_defaults(act=_list)

    report = acts.add_parser("report", help="one HTML page of a study: claims, figures, numbers, methods")
    report.add_argument("study", **study)
    report.add_argument("--output", metavar="FILE", help="default: FOLDER/<study>/report.html")
    report.set_defaults(act=_report)
    for command in (run, draw, listing, report):
        command.add_argument("--results", default="results", metavar="FOLDER", help="default: results")
    for command in (check, lock, run, draw, listing, report):
        command.add_argument(
            "--allow-code", action="append", default=[], metavar="FILE.py", help="trust this file"
        )
        command.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def _run_parser(acts: Any, study: dict[str, Any]) -> argparse.ArgumentParser:
    run = acts.add_parser("run", help="make what is missing, stale or damaged in a study")
    run.add_argument("study", **study)
    run.add_argument("--step", action="append", default=[], help="only this step and what it reads")
    run.add_argument("--unit", action="append", default=[], help="only this unit")
    run.add_argument(
        "--workers", type=_count, metavar="N", help="threads within a step; results do not change"
    )
    run.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="a running dask.distributed scheduler"
    )
    run.add_argument("--keep-going", action="store_true", help="finish other units when one fails")
    run.add_argument("--no-wait", action="store_true", help="fail at once when another run makes the same")
    run.add_argument("--quiet", action="store_true", help="say only warnings and errors")
    run.set_defaults(act=_run)
    return run  # type: ignore[no-any-return]


def _check(given: argparse.Namespace) -> None:
    from . import _jobs, _log, study

    plan = study.check(study.find(given.study))
    _log.stderr(f"{plan.name}: {len(plan.steps)} steps, {len(_jobs.order(plan))} results; sound")


def _run(given: argparse.Namespace) -> None:
    from .run import run

    run(
        given.study, given.results, given.step, given.unit,
        workers=given.workers, scheduler=given.scheduler, keep_going=given.keep_going,
        wait=not given.no_wait, quiet=given.quiet, debug=given.debug,
    )  # fmt: skip


def _lock(given: argparse.Namespace) -> None:
    from . import _log, lock

    before = lock.state(given.study)
    changes = lock.deviations(given.study)
    path = lock.lock(given.study, force=given.force)
    told = {"as locked": "stands as it was locked", "deviates": "is locked anew"}.get(before, "is locked")
    for line in [f"{path}: the plan {told}", *(f"{path}: replaced: {line}" for line in changes)]:
        _log.stderr(line)
    print(path)


def _draw(given: argparse.Namespace) -> None:
    from .run import draw

    for path in draw(given.study, given.results, units=given.units):
        print(path)


def _list(given: argparse.Namespace) -> None:
    from . import _code
    from .run import states

    if given.study is None:
        for name, line in _code.catalogue():
            print(f"{name:40} {line}")
        return
    for job, state, why in states(given.study, given.results):
        print(f"{state:8} {job}{f'  {why}' if why else ''}")


def _report(given: argparse.Namespace) -> None:
    from .report import report

    print(report(given.study, given.results, given.output))


def _count(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 4096:
        raise argparse.ArgumentTypeError(f"{word!r} is not a number of workers")
    return int(word)


def _end(number: int, frame: object) -> NoReturn:
    for other in ENDING:  # once is enough: what is half done is put away undisturbed
        signal.signal(other, signal.SIG_IGN)
    raise Ended(number)


def _end_children() -> None:
    """A signal can come between the start of a child and the moment in which its parent knows of it."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _silent() -> int:
    """Nobody reads: nothing may be said about it either."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
