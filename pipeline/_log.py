"""What a run says: a bar on a terminal, plain lines in a log, all of it on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Closed(BaseException):
    """Nobody reads what is said any more."""


class Log(NamedTuple):
    """Ways to speak: `say` what a reader of a log may skip, `warn` what nobody may, `advance` the bar."""

    say: Callable[[str], None]
    warn: Callable[[str], None]
    advance: Callable[[str], None]


def line(text: str) -> str:
    """One printable line, whatever stands in it."""
    spaced = " ".join(text.split("\n")).replace("\t", " ")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in spaced
    )


def stderr(text: str) -> None:
    """One line on stderr; Closed when there is no reader."""
    try:
        print(line(text), file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise Closed from None
    except UnicodeEncodeError:
        print(line(text).encode("ascii", "backslashreplace").decode(), file=sys.stderr, flush=True)


@contextmanager
def log(total: int, quiet: bool = False) -> Iterator[Log]:
    """A Log for so many jobs; the bar is drawn only where it can be erased.

    Reads    total, the number of jobs; quiet, warnings and errors only
    Returns  a context that gives a Log
    """
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") in ("dumb", None):
        yield Log((lambda text: None) if quiet else stderr, stderr, lambda text: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)

        def say(text: str) -> None:
            console.print(line(text), markup=False, soft_wrap=True)

        def advance(text: str) -> None:
            bar.update(task, description=line(text)[:40], advance=1)

        yield Log(say, say, advance)
