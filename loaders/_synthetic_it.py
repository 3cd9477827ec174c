"""Simulated neurons of inferior temporal cortex: Poisson spikes of known tuning, so ceilings are known too.

Spike times lie half a microsecond off a clock of whole microseconds and onsets on whole milliseconds: no
spike is ever at the edge of a bin, and every reader that counts rightly counts the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._sensors import Floats

BEFORE, SOA, PAUSE = 0.2, 0.5, 10.0  # seconds: of a trial before its onset, between onsets, between days
DECAY, LENGTH = 0.08, 0.18  # seconds: of the response, which ends before the next trial starts
CEILING_WINDOW = (0.08, 0.28)
TICK = 1e-6


class Session(NamedTuple):
    """Spike times in seconds of every neuroid, its expected spikes (neuroid, presentation), resting a second
    and evoked in all, what was shown when, and what is true of each neuroid."""

    trains: list[Floats]
    resting: Floats
    evoked: Floats
    table: dict[str, NDArray[Any]]
    neuroid: dict[str, NDArray[Any]]
    truth: dict[str, Any]


def simulate(
    seed: int,
    neuroids: int,
    objects: int,
    images: int,
    repeats: int | tuple[int, int],
    rate_hz: float,
    latency_s: float,
    drift: float,
    dead: float,
    days: int,
    missing: int,
) -> Session:
    """What `synthetic.macaque_it` documents, as spike times."""
    _check(neuroids, objects * images, days, missing, dead, rate_hz)
    streams = [np.random.default_rng(item) for item in np.random.SeedSequence(seed).spawn(5)]
    table = _presentations(streams[0], objects, images, repeats, days, missing)
    tuning = _tuning(streams[1], neuroids, objects, images, rate_hz)
    base = streams[2].uniform(2, 8, neuroids)
    latency = np.clip(streams[2].normal(latency_s, 0.01, neuroids), latency_s - 0.02, latency_s + 0.02)
    alive = np.ones(neuroids)
    alive[streams[2].permutation(neuroids)[: round(dead * neuroids)]] = 0
    gain = alive[:, None] * _gain(streams[3], neuroids, table["onset"], drift)
    resting, evoked = base[:, None] * gain, tuning[:, table["_stimulus"]] * gain
    trains = _spikes(streams[4], table["onset"], resting, evoked, latency)
    width = CEILING_WINDOW[1] - CEILING_WINDOW[0]
    count = base[:, None] * width + tuning * _inside(latency)[:, None]
    neuroid = {
        "neuroid_id": np.array([f"it{k + 1:03d}" for k in range(neuroids)]),
        "region": np.where(np.arange(neuroids) < neuroids / 2, "CIT", "AIT"),
        "latency_s": latency,
        "dead": alive == 0,
        "reliability": _reliability(count, gain, table["_stimulus"]),
    }
    never = sorted(set(range(objects * images)) - set(table["_stimulus"].tolist()))
    truth = {
        "truth_latency_s": latency_s,
        "truth_ceiling_window_s": list(CEILING_WINDOW),
        "truth_drift": drift,
        "truth_missing": ", ".join(_name(index, images) for index in never) or "none",
    }
    return Session(trains, resting, evoked, table, neuroid, truth)


def counts(
    session: Session, window: tuple[float, float], bin_width: float
) -> tuple[NDArray[np.float32], Floats]:
    """Spikes (presentation, neuroid, time) in bins of whole milliseconds, and the centres of the bins."""
    edges = _edges(window, bin_width)
    onset = session.table["onset"]
    response = np.zeros((len(onset), len(session.trains), len(edges) - 1), np.float32)
    limits = onset[:, None] + edges
    for column, train in enumerate(session.trains):
        response[:, column] = np.diff(np.searchsorted(train, limits), axis=1)
    return response, np.round((edges[1:] + edges[:-1]) / 2, 9)


def means(session: Session, window: tuple[float, float], bin_width: float) -> tuple[NDArray[Any], Floats]:
    """What `counts` returns, without noise: the expected number of spikes in every bin."""
    edges = _edges(window, bin_width)
    since = np.clip(edges - session.neuroid["latency_s"][:, None], 0, LENGTH)
    share = np.diff(_mass(since), axis=1) / _mass(LENGTH)
    resting = session.resting.T[..., None] * np.diff(edges)
    response = resting + session.evoked.T[..., None] * share
    return response.astype(np.float32), np.round((edges[1:] + edges[:-1]) / 2, 9)


def _edges(window: tuple[float, float], bin_width: float) -> Floats:
    bins = round((window[1] - window[0]) / bin_width)
    return np.asarray(np.round(window[0] + bin_width * np.arange(bins + 1), 9))


def _check(neuroids: int, stimuli: int, days: int, missing: int, dead: float, rate_hz: float) -> None:
    for name, value in {"neuroids": neuroids, "objects x images": stimuli, "days": days}.items():
        if value < 1:
            raise ValueError(f"{name}: {value}: must be 1 or more; give a whole number")
    if not 0 <= missing < stimuli:
        raise ValueError(f"missing: {missing}: must leave at least one of the {stimuli} stimuli; give fewer")
    if not 0 <= dead <= 1:
        raise ValueError(f"dead: {dead}: is not a share; give a number from 0 to 1")
    if not rate_hz > 0:
        raise ValueError(f"rate_hz: {rate_hz}: must be above 0; give a positive number")


def _presentations(
    rng: np.random.Generator,
    objects: int,
    images: int,
    repeats: int | tuple[int, int],
    days: int,
    missing: int,
) -> dict[str, NDArray[Any]]:
    """Each day shows its share of every stimulus's repeats, shuffled."""
    stimuli = objects * images
    low, high = (repeats, repeats) if isinstance(repeats, int) else repeats
    if not 1 <= low <= high:
        raise ValueError(f"repeats: {repeats}: must be 1 or more, the smaller first; give [fewest, most]")
    number = rng.integers(low, high + 1, stimuli)
    number[rng.permutation(stimuli)[:missing]] = 0
    stimulus = np.repeat(np.arange(stimuli), number)
    day = np.concatenate([np.arange(n) * days // max(n, 1) for n in number]).astype(np.int64)
    order = np.lexsort((rng.random(len(stimulus)), day))
    stimulus, day = stimulus[order], day[order]
    rank = np.argsort(np.argsort(stimulus, kind="stable"), kind="stable")
    return {
        "stimulus_id": np.array([_name(index, images) for index in stimulus]),
        "object": np.array([f"object{index // images + 1:02d}" for index in stimulus]),
        "repetition": rank - (np.cumsum(number) - number)[stimulus],
        "run": day + 1,
        "onset": np.round(1 + SOA * np.arange(len(stimulus)) + PAUSE * day, 3),
        "_stimulus": stimulus,
    }


def _name(index: int, images: int) -> str:
    return f"object{index // images + 1:02d}-{index % images + 1}"


def _tuning(rng: np.random.Generator, neuroids: int, objects: int, images: int, rate_hz: float) -> Floats:
    """Expected spikes (neuroid, stimulus) of a whole response: log-normal, half by object, half by image."""
    kind = np.repeat(rng.standard_normal((neuroids, objects)), images, axis=1)
    own = rng.standard_normal((neuroids, objects * images))
    size = LENGTH * rate_hz * np.exp(0.4 * rng.standard_normal((neuroids, 1)))
    return np.asarray(size * np.exp(0.7 * (kind + own) / np.sqrt(2) - 0.7**2 / 2))


def _gain(rng: np.random.Generator, neuroids: int, onset: Floats, drift: float) -> Floats:
    """Slow change of each neuroid's rate (neuroid, presentation) over the recording; 1 without drift."""
    phase = rng.uniform(0, 2 * np.pi, (neuroids, 1))
    cycles = rng.uniform(0.3, 1.5, (neuroids, 1))
    place = (onset - onset[0]) / max(onset[-1] - onset[0], 1.0)
    return np.asarray(np.exp(drift * np.sqrt(2) * np.sin(2 * np.pi * cycles * place + phase)))


def _spikes(
    rng: np.random.Generator, onset: Floats, base: Floats, evoked: Floats, latency: Floats
) -> list[Floats]:
    start = rng.poisson(base * SOA), rng.poisson(evoked)
    trains = []
    for unit, (spontaneous, driven) in enumerate(zip(*start, strict=True)):
        resting = np.repeat(onset - BEFORE, spontaneous) + SOA * rng.random(spontaneous.sum())
        late = -DECAY * np.log1p(-rng.random(driven.sum()) * _mass(LENGTH))
        times = np.concatenate([resting, np.repeat(onset + latency[unit], driven) + late])
        trains.append((2 * np.unique(np.floor(times / TICK)) + 1) / (2 / TICK))
    return trains


def _mass(seconds: float | Floats) -> Any:
    return -np.expm1(-np.asarray(seconds) / DECAY)


def _inside(latency: Floats) -> Floats:
    """Share of the response that falls into the window of the ceilings."""
    left, right = (np.clip(edge - latency, 0, LENGTH) for edge in CEILING_WINDOW)
    return np.asarray((_mass(right) - _mass(left)) / _mass(LENGTH))


def _reliability(count: Floats, gain: Floats, stimulus: NDArray[np.int64]) -> Floats:
    """Share of signal in the variance over stimuli of the trial-mean count in the window; NaN without spikes.

    signal / (signal + noise): signal is the variance over the shown stimuli of the expected count; noise is
    the mean over them of (Poisson variance + variance by drifting gain) / repeats.
    """
    shown, repeats = np.unique(stimulus, return_counts=True)
    expected = count[:, shown] * gain.mean(axis=1, keepdims=True)
    signal = expected.var(axis=1)
    wobble = (count[:, shown] ** 2) * gain.var(axis=1, keepdims=True)
    noise = ((expected + wobble) / repeats).mean(axis=1)
    return np.asarray(np.divide(signal, signal + noise, out=np.full(len(count), np.nan), where=noise > 0))
