"""One recording session as every spike format gives it, its checks, and its way to a recording."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from loaders import _bins

Array = NDArray[np.float64]
NEAR = (
    1e-7  # seconds: a spike less than this before an edge is on it, for clocks are decimal and floats binary
)
UNITS_OF_TIME = {1e3: "milliseconds", 3e4: "samples at 30 kHz", 1e6: "microseconds"}
RESERVED = {
    "neuroid_id",
    "stimulus_id",
    "region",
    "recording",
    "time",
    "presentation",
    "neuroid",
    "response",
    "onset",
}


@dataclass(frozen=True)
class Session:
    """Spike trains of neuroids recorded together, in seconds, and what was shown when."""

    where: str
    trains: list[Array]
    neuroid: dict[str, NDArray[Any]]
    trials: dict[str, NDArray[Any]] = field(default_factory=dict)
    events: dict[str, tuple[Array, NDArray[Any]]] = field(default_factory=dict)
    extent: tuple[float, float] | None = None
    origin: str = "real, raw"


@dataclass(frozen=True)
class Binning:
    """The bins of a recording: in a window around each onset, or in the whole session where it is None."""

    window: tuple[float, float] | None
    width: float
    step: float


def recording(session: Session, binning: Binning) -> xr.Dataset:
    """Counts of a checked session as a recording."""
    _check_neuroids(session)
    _check_spikes(session)
    if binning.window is None:
        session, window = _whole(session, binning.width)
    else:
        session, window = _inside(session, binning.window), binning.window
    left, right = _bins.bins(window, binning.width, binning.step)
    pointers = np.cumsum([0, *map(len, session.trains)])
    spikes = np.concatenate([*session.trains, np.empty(0)])
    onset = np.asarray(session.trials["onset"], float)
    response = _bins.sliding(spikes, pointers, onset - NEAR, left, right).astype(np.float32)
    attrs = {"units": "1", "bin_width": binning.width}
    presentation = {"repetition": repetitions(session.trials["stimulus_id"], onset)} | session.trials
    coords: dict[str, Any] = {name: ("presentation", values) for name, values in presentation.items()}
    coords |= {name: ("neuroid", values) for name, values in session.neuroid.items()}
    coords["onset"] = ("presentation", onset, {"units": "s"})
    coords["time"] = ("time", np.round((left + right) / 2, 9), {"units": "s"})
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response, attrs)}, coords,
        {"origin": session.origin, "simultaneous": 1, "bin_width": binning.width, "bin_step": binning.step},
    )  # fmt: skip


def ids(values: NDArray[Any], where: str) -> NDArray[np.str_]:
    """Names as text: "1", 1 and 1.0 are one name; a missing one is refused."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        missing = np.flatnonzero(~np.isfinite(array))
        if missing.size:
            raise ValueError(f"{where} row {missing[0]} (the first is 0): is {array[missing[0]]}; name it")
        whole = array == np.round(array)
        return np.array(
            [str(int(v)) if w else repr(float(v)) for v, w in zip(array, whole, strict=True)], str
        )
    return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in array.ravel()], str)


def labels(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Columns of a table as coordinates: text and numbers, reserved names left out."""
    kept = {}
    for name, values in columns.items():
        array = np.asarray(values)
        if array.ndim == 1 and name not in RESERVED:
            kept[name] = ids(array, name) if array.dtype.kind in "OSU" else array
    return kept


def repetitions(stimulus: NDArray[Any], onset: Array) -> NDArray[np.int64]:
    """How often each stimulus had been shown before, in order of time."""
    order = np.lexsort((onset, np.unique(stimulus, return_inverse=True)[1]))
    name = np.asarray(stimulus)[order]
    new = np.flatnonzero(np.append(True, name[1:] != name[:-1])[: len(name)])
    found = np.empty(len(name), np.int64)
    found[order] = np.arange(len(name)) - np.repeat(new, np.diff(np.append(new, len(name))))
    return found


def check_trials(where: str, start: Array, stop: Array) -> None:
    """ValueError with the row of the first trial that is NaN, ends before it starts, or overlaps the next."""
    first = "(the first is 0)"
    bad = np.flatnonzero(~(np.isfinite(start) & np.isfinite(stop)))
    if bad.size:
        raise ValueError(
            f"{where} row {bad[0]} {first}: a time is not a finite number; repair or drop the row"
        )
    bad = np.flatnonzero(stop < start)
    if bad.size:
        row = bad[0]
        raise ValueError(f"{where} row {row} {first}: stops at {stop[row]:g} s, before it starts at "
                         f"{start[row]:g} s; exchange them or drop the row")  # fmt: skip
    order = np.argsort(start, kind="stable")
    bad = np.flatnonzero(stop[order][:-1] > start[order][1:] + 1e-9)
    if bad.size:
        one, two = order[bad[0]], order[bad[0] + 1]
        raise ValueError(f"{where} row {two} {first}: starts at {start[two]:g} s, before row {one} stops at "
                         f"{stop[one]:g} s; trials must not overlap")  # fmt: skip


def _whole(session: Session, width: float) -> tuple[Session, tuple[float, float]]:
    last = max((train[-1] for train in session.trains if len(train)), default=0.0)
    start, stop = session.extent or (0.0, float(last))
    number = int(np.floor((max(stop, last) - start) / width + 1e-6)) + 1
    trials = {"stimulus_id": np.array(["whole recording"]), "onset": np.array([start])}
    return Session(**(vars(session) | {"trials": trials})), (0.0, round(number * width, 9))


def _inside(session: Session, window: tuple[float, float]) -> Session:
    if "onset" not in session.trials or len(session.trials["onset"]) == 0:
        known = ", ".join(f"{name!r} ({len(times)})" for name, (times, _) in session.events.items()) or "none"
        raise ValueError(f"{session.where}: no trials are told; give events=NAME or a list of seconds, or "
                         f"window=None for the whole recording; event channels: {known}")  # fmt: skip
    if session.extent is None:
        return session
    onset = session.trials["onset"]
    start, stop = session.extent
    kept = (onset + window[0] >= start - NEAR) & (onset + window[1] <= stop + NEAR)
    if kept.all():
        return session
    line = (f"{session.where}: {(~kept).sum()} of {len(kept)} presentations left out: their window leaves "
            f"the recording, {start:g} to {stop:g} s")  # fmt: skip
    if not kept.any():
        raise ValueError(f"{line}; give a smaller window")
    warnings.warn(line, UserWarning, stacklevel=2)
    return Session(**(vars(session) | {"trials": {k: v[kept] for k, v in session.trials.items()}}))


def _check_neuroids(session: Session) -> None:
    names, number = np.unique(session.neuroid["neuroid_id"], return_counts=True)
    if (number > 1).any():
        twice = ", ".join(names[number > 1][:10])
        raise ValueError(
            f"{session.where}: units: {twice} stand more than once; give each unit a name of its own"
        )
    if not session.trains:
        raise ValueError(
            f"{session.where}: units: there is no spike train in this file; nothing can be counted"
        )


def _check_spikes(session: Session) -> None:
    for name, train in zip(session.neuroid["neuroid_id"], session.trains, strict=True):
        bad = np.flatnonzero(~np.isfinite(train))
        if bad.size:
            raise ValueError(
                f"{session.where}: unit {name}: spike {bad[0]} is {train[bad[0]]}; repair the sorting"
            )
    _check_scale(session)
    start, stop = session.extent or (0.0, np.inf)
    twice = []
    for name, train in zip(session.neuroid["neuroid_id"], session.trains, strict=True):
        where = f"{session.where}: unit {name}: spike"
        bad = np.flatnonzero(train < start - NEAR)
        if bad.size:
            why = "is negative" if start == 0 else f"is before the recording starts at {start:g} s"
            raise ValueError(
                f"{where} {bad[0]} at {train[bad[0]]:g} s {why}; times count from the session's start"
            )
        bad = np.flatnonzero(train > stop + NEAR)
        if bad.size:
            raise ValueError(f"{where} {bad[0]} at {train[bad[0]]:g} s is past the end at {stop:g} s; "
                             "check the unit of time and the end")  # fmt: skip
        steps = np.diff(train)
        bad = np.flatnonzero(steps < 0)
        if bad.size:
            raise ValueError(f"{where} {bad[0] + 1} at {train[bad[0] + 1]:g} s is before the one ahead of "
                             "it; sort the times of each unit")  # fmt: skip
        if (steps == 0).any():
            twice.append(f"{name} ({(steps == 0).sum()})")
    if twice:
        shown = ", ".join(twice[:10])
        warnings.warn(
            f"{session.where}: spikes at equal times, counted each: unit {shown}", UserWarning, stacklevel=2
        )


def _check_scale(session: Session) -> None:
    """Refuses times that are not in seconds, by rates no neuron has and by the trials' clock."""
    spikes = np.concatenate([*session.trains, np.empty(0)])
    if len(spikes) < 2:
        return
    ends = [spikes.min(), spikes.max()]
    if session.extent is not None and session.extent[1] > 0 and ends[1] / session.extent[1] > 100:
        ratio = ends[1] / session.extent[1]
        raise ValueError(f"{session.where}: the last spike is {ratio:.0f} times later than the end of the "
                         f"recording; {_unit(ratio, 'spike')}")  # fmt: skip
    if "onset" in session.trials and len(session.trials["onset"]):
        last = float(np.max(session.trials["onset"]))
        for ratio, one, two in ((ends[1] / last, "spike", "trial"), (last / ends[1], "trial", "spike")):
            if last > 0 and ratio > 100:
                raise ValueError(f"{session.where}: the last {one} is {ratio:.0f} times later than the last "
                                 f"{two}; {_unit(ratio, one)}")  # fmt: skip
        ends = [min(ends[0], 0.0), max(ends[1], last)]
    rates = np.array([len(train) for train in session.trains]) / max(ends[1] - ends[0], 1e-12)
    if rates.max() > 1e3:
        name = session.neuroid["neuroid_id"][rates.argmax()]
        raise ValueError(f"{session.where}: unit {name}: fires at {rates.max():g} Hz, more than 1000; "
                         "are its times too short by a factor of 1000?")  # fmt: skip
    if np.median(rates) < 1e-4:
        factor = 1.0 / max(np.median(rates), 1e-12)
        raise ValueError(f"{session.where}: units fire at {np.median(rates):.2g} Hz in the middle, less than "
                         f"0.0001; {_unit(factor, 'spike')}")  # fmt: skip


def _unit(ratio: float, one: str) -> str:
    factor = min(UNITS_OF_TIME, key=lambda known: abs(np.log(known / ratio)))
    return f"{one} times must be in seconds, are they in {UNITS_OF_TIME[factor]}, a factor of {factor:.0f}?"
