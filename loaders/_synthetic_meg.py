"""One simulated subject looking at faces: sources in a sphere, their courses in time, and the room's noise.

Everything is a function of `seed` and plain numbers. Streams of random numbers are named by purpose and
subject, so adding a subject leaves the others' bits. `synthetic.meg_faces` cuts epochs out of what stands
here and `_write.bids` puts the same samples into files.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from . import _sensors
from ._sensors import Floats

SOURCES = {  # place relative to the sphere's centre (right; the left is its mirror image), tangential angle
    "V1": ((0.012, -0.070, 0.010), 0.4),
    "LO": ((0.040, -0.058, -0.010), 1.2),
    "fusiform": ((0.036, -0.036, -0.040), 2.0),
    "temporal": ((0.048, 0.005, -0.034), 2.8),
    "eye": ((0.030, 0.072, -0.012), 0.0),
}
AREA = np.repeat(list(SOURCES), 2)
NANO = 1e-9  # moments are written in nAm
EVOKED = {"V1": (15.0, 0.050, 0.100), "LO": (10.0, 0.065, 0.130), "fusiform": (16.0, 0.080, 0.170)}
FAMILIARITY, IDENTITY, IMAGE, LUMINANCE = 9.0, 6.0, 3.0, 4.0  # nAm, before their switches
BRAIN_SOURCES, BRAIN_MOMENT, DRIFT_MOMENT = 80, 5.0, 4.0
ROOM_FIELD = 2e-13  # tesla, slow
EYE_VOLTS, EYE_MOMENT, EOG_NOISE = 5e-5, 12.0, 2e-6  # of a leak of 1
BANDWIDTH = 125.0  # hertz, of the white noise, whatever the sampling rate
END = 0.55  # seconds after onset by which every response is exactly 0: nothing reaches the next trial


class Simulation(NamedTuple):
    """Continuous runs, the table of presentations (with `run` and `sample`), the array, and the truth."""

    runs: list[NDArray[np.float32]]
    table: dict[str, NDArray[Any]]
    names: list[str]
    kind: NDArray[np.str_]
    sensors: _sensors.Sensors
    transform: Floats
    bad: NDArray[np.bool_]
    truth: dict[str, float]
    subject: str


def simulate(seed: int, subject: str | int, **switch: Any) -> Simulation:
    """What `synthetic.meg_faces` documents, before it is cut into epochs."""
    who = number(subject)
    _check(switch)
    truth = _truth(seed, who, switch)
    table = _presentations(seed, who, switch)
    rng = _stream(seed, "anatomy", who)
    sensors, transform = _sensors.neuromag(switch["sites"]), _sensors.head_position(rng)
    positions, directions = _sources(rng)
    gain = _sensors.forward(sensors, transform, positions, directions * NANO)
    courses, moments = _responses(seed, who, table, truth, switch)
    names, kind = list(sensors.name), sensors.kind
    if switch["eog_leak"] is not None:
        names, kind = [*names, "EOG061"], np.append(kind, "eog")
        volts = np.where(AREA == "eye", EYE_VOLTS / (2 * EYE_MOMENT), 0.0)
        gain = np.concatenate([gain, volts[None]])
    room = _room(rng, sensors, transform, gain)
    bad = np.zeros(len(names), bool)
    bad[_stream(seed, "bad", who).permutation(len(sensors.name))[: switch["bad_channels"]]] = True
    runs = []
    for run in range(switch["runs"]):
        here = table["run"] == run + 1
        samples = table["sample"][here]
        data = _noise(_stream(seed, "noise", who, run), room, int(samples[-1] + switch["sfreq"]), switch)
        for sample, moment in zip(samples, moments[here], strict=True):
            data[:, sample : sample + courses.shape[1]] += (gain @ moment) @ courses
        runs.append(_spoil(data, bad).astype(np.float32))
    return Simulation(runs, table, names, kind, sensors, transform, bad, truth, f"{who:02d}")


def number(subject: str | int) -> int:
    """The number of a subject, from 1 on; ValueError where the name is none."""
    if str(subject).isdigit() and int(subject) > 0:
        return int(subject)
    raise ValueError(f"subject: {subject!r}: is not a number from 1 on; call the subjects '01', '02', ...")


def _check(switch: dict[str, Any]) -> None:
    for name in ("identities", "images", "repeats", "runs", "exposure_ratio"):
        if switch[name] < 1:
            raise ValueError(f"{name}: {switch[name]}: must be 1 or more; give a whole number")
    for name in ("snr", "sfreq"):
        if not switch[name] > 0:
            raise ValueError(f"{name}: {switch[name]}: must be above 0; give a positive number")
    if not 0 <= switch["share"] <= 1:
        raise ValueError(f"share: {switch['share']}: is not a share; give a number from 0 to 1")
    if not 0 <= switch["trigger_delay_s"] <= 0.3:
        raise ValueError(f"trigger_delay_s: {switch['trigger_delay_s']}: is not 0 to 0.3 s; give seconds")
    if not switch["soa_s"] >= 0.3:
        raise ValueError(f"soa_s: {switch['soa_s']}: is too short; give 0.3 s or more")
    trials = switch["identities"] * switch["images"] * switch["repeats"] * (1 + switch["exposure_ratio"])
    if trials < switch["runs"]:
        raise ValueError(f"runs: {switch['runs']}: more than the {trials} presentations; give fewer runs")
    if not 0 <= switch["bad_channels"] <= 3 * switch["sites"]:
        raise ValueError(
            f"bad_channels: {switch['bad_channels']}: there are {3 * switch['sites']}; give fewer"
        )


def _stream(seed: int, purpose: str, *key: int) -> np.random.Generator:
    word = int.from_bytes(purpose.encode()[:4], "big")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(word, *key)))


def _truth(seed: int, who: int, switch: dict[str, Any]) -> dict[str, float]:
    """A share of the first n subjects has the effect, whatever the seed; onsets vary around their mean."""
    share = switch["share"]
    affected = int(who * share + 1e-9) > int((who - 1) * share + 1e-9)
    spread = switch["onset_spread_s"] * _stream(seed, "onset", who).standard_normal()
    return {
        "truth_has_effect": int(affected and switch["familiarity"] > 0),
        "truth_familiarity_onset_s": max(float(switch["onset_s"] + spread), 0.0),
        "truth_mean_familiarity_onset_s": float(switch["onset_s"]),
        "truth_identity_onset_s": float(switch["identity_onset_s"]),
        "truth_trigger_delay_s": float(switch["trigger_delay_s"]),
        "truth_snr": float(switch["snr"]),
        "truth_share": float(share),
    }


def _presentations(seed: int, who: int, switch: dict[str, Any]) -> dict[str, NDArray[Any]]:
    rng = _stream(seed, "order", who)
    shown = _blocked(_order(rng, switch), switch["block_trials"])
    familiar, identity, image = shown.T
    count: dict[tuple[int, ...], int] = {}
    repetition = np.empty(len(shown), np.int64)
    for row, key in enumerate(map(tuple, shown.tolist())):
        repetition[row] = count[key] = count.get(key, -1) + 1
    run = np.concatenate(
        [np.full(len(part), i + 1) for i, part in enumerate(np.array_split(familiar, switch["runs"]))]
    )
    gaps = rng.uniform(switch["soa_s"] - 0.1, switch["soa_s"] + 0.1, len(shown))
    sample = np.empty(len(shown), np.int64)
    for i in range(1, switch["runs"] + 1):
        sample[run == i] = np.round((1 + np.cumsum(gaps[run == i])) * switch["sfreq"])
    luminance = _luminance(seed, switch)[familiar, identity, image]
    people = [f"{'uf'[y]}{i + 1:02d}" for y, i in zip(familiar, identity, strict=True)]
    return {
        "stimulus_id": np.array([f"{name}-{k + 1}" for name, k in zip(people, image, strict=True)]),
        "identity": np.array(people),
        "familiar": familiar,
        "trial_type": np.array(["unfamiliar", "familiar"])[familiar],
        "repetition": repetition,
        "luminance": luminance,
        "run": run,
        "sample": sample,
        "onset": sample / switch["sfreq"],
        "_identity": identity,
        "_image": image,
    }


def _order(rng: np.random.Generator, switch: dict[str, Any]) -> NDArray[np.int64]:
    """Rows (familiar, identity, image), shuffled cycle by cycle: a cycle shows one image of everybody."""
    identities, images, ratio = switch["identities"], switch["images"], switch["exposure_ratio"]
    people = np.array([(y, i) for y in (0, 1) for i in range(identities) for _ in range(ratio if y else 1)])
    rows: list[tuple[int, ...]] = []
    for _ in range(switch["repeats"]):
        chosen = rng.permuted(np.tile(np.arange(images), (2, identities, 1)), axis=2)
        for cycle in range(images):
            rows += [(y, i, chosen[y, i, cycle]) for y, i in rng.permutation(people)]
    return np.array(rows, np.int64)


def _blocked(order: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The same trials with one class in each block of `length`, the classes in turn; 0 leaves them mixed."""
    if not length:
        return order
    turns = []
    for familiar in (0, 1):
        rows = np.flatnonzero(order[:, 0] == familiar)
        turns += [(start, familiar, rows[start : start + length]) for start in range(0, len(rows), length)]
    turns.sort(key=lambda turn: turn[:2])
    return order[np.concatenate([rows for *_, rows in turns])]


def _luminance(seed: int, switch: dict[str, Any]) -> Floats:
    """Mean luminance (class, identity, image): the same values in both classes, moved by the confound."""
    rng = _stream(seed, "luminance")
    values = 0.5 + 0.1 * rng.standard_normal(switch["identities"] * switch["images"])
    both = np.stack([rng.permutation(values), rng.permutation(values)])
    both += 0.1 * switch["luminance_confound"] * np.array([[-0.5], [0.5]])
    return both.reshape(2, switch["identities"], switch["images"])


def _sources(rng: np.random.Generator) -> tuple[Floats, Floats]:
    positions, angles = [], []
    for place, angle in SOURCES.values():
        for side in (-1, 1):
            positions.append(np.array(place) * [side, 1, 1])
            angles.append(side * angle)
    jitter = rng.normal(0, 0.003, (len(positions), 3)).clip(-0.006, 0.006)
    where = np.array(positions) + jitter
    return where, _sensors.tangential(where, np.array(angles) + rng.normal(0, 0.2, len(angles)))


def _responses(
    seed: int, who: int, table: dict[str, NDArray[Any]], truth: dict[str, float], switch: dict[str, Any]
) -> tuple[Floats, Floats]:
    """Courses (component, time) from the trigger on, and moments (presentation, source, component) in nAm."""
    rng = _stream(seed, "patterns", who)
    delay = switch["trigger_delay_s"]
    time = np.arange(round((END + delay + 0.05) * switch["sfreq"])) / switch["sfreq"] - delay
    courses = [bump(time, onset, peak) for _, onset, peak in EVOKED.values()]
    courses += [ramp(time, truth["truth_familiarity_onset_s"]), ramp(time, truth["truth_identity_onset_s"])]
    courses += [ramp(time, 0.2)]
    moments = np.zeros((len(table["run"]), len(AREA), len(courses)))
    adapted = 1 / (1 + switch["adaptation"] * table["repetition"])
    for component, (area, (size, _, _)) in enumerate(EVOKED.items()):
        moments[:, area == AREA, component] = size * np.where(area == "V1", 1.0, adapted)[:, None]
    stimulus = (table["familiar"], table["_identity"], table["_image"])
    shape = (2, switch["identities"], switch["images"])
    early = np.isin(AREA, ["V1", "LO"])
    images = IMAGE * switch["image"] * rng.standard_normal((*shape, early.sum()))[stimulus]
    moments[:, early, 0] += images
    brightness = (table["luminance"] - 0.5) / 0.1
    moments[:, AREA == "V1", 0] += LUMINANCE * switch["luminance"] * brightness[:, None]
    sides = table["familiar"] - 0.5
    known = np.where(AREA == "temporal", 1.0, np.where(AREA == "fusiform", 0.5, 0.0))
    known *= 1 + 0.2 * rng.standard_normal(len(AREA))
    strength = FAMILIARITY * switch["familiarity"] * truth["truth_has_effect"]
    moments[:, :, 3] = strength * sides[:, None] * known
    late = np.isin(AREA, ["LO", "fusiform", "temporal"])
    people = IDENTITY * switch["identity"] * rng.standard_normal((*shape[:2], late.sum()))
    moments[:, late, 4] = people[stimulus[:2]]
    moments[:, AREA == "eye", 5] = EYE_MOMENT * (switch["eog_leak"] or 0.0) * sides[:, None]
    return np.array(courses), moments


def bump(time: Floats, onset: float, peak: float) -> Floats:
    """A transient that is exactly 0 until `onset` and 1 at `peak`."""
    x = np.maximum(time - onset, 0) / (peak - onset)
    return np.asarray((x * np.exp(1 - x)) ** 3 * _ending(time))


def ramp(time: Floats, onset: float, rise: float = 0.05, fade: float = 0.4) -> Floats:
    """A sustained effect that is exactly 0 until `onset`, 1 after `rise` seconds and then fades slowly."""
    late = np.maximum(time - onset - rise, 0)
    return np.asarray(np.clip((time - onset) / rise, 0, 1) * np.exp(-late / fade) * _ending(time))


def _ending(time: Floats) -> Floats:
    return np.asarray(np.clip((END - time) / 0.15, 0, 1))


def _room(
    rng: np.random.Generator, sensors: _sensors.Sensors, transform: Floats, gain: Floats
) -> dict[str, Floats]:
    """Fields of what is always there: eyes, brain (the stimulated areas too), the slow room, sensor noise."""
    positions, directions = _sensors.scattered(rng, BRAIN_SOURCES)
    brain = _sensors.forward(sensors, transform, positions, directions * NANO)
    normal = sensors.loc[:, 9:] * (sensors.kind == "mag")[:, None]
    slow = np.concatenate([brain[:, :12] * DRIFT_MOMENT, normal * ROOM_FIELD], axis=1)
    own = _sensors.sensor_noise(sensors, BANDWIDTH)
    others = ((0, len(gain) - len(brain)), (0, 0))  # the EOG channel sees eyes only
    return {
        "brain": BRAIN_MOMENT * np.concatenate([gain, np.pad(brain, others)], axis=1),
        "slow": np.pad(slow, others),
        "own": np.append(own, [EOG_NOISE] * others[0][1]),
    }


def _noise(rng: np.random.Generator, room: dict[str, Floats], samples: int, switch: dict[str, Any]) -> Floats:
    """Autocorrelated brain sources (a third with alpha rhythm), slow drift of brain and room, white noise."""
    sfreq, scale = switch["sfreq"], 1 / switch["snr"]
    if scale == 0:
        return np.zeros((len(room["own"]), samples))
    burn = round(2 * sfreq)
    innovations = rng.standard_normal((room["brain"].shape[1], samples + burn))
    activity = np.empty_like(innovations)
    for first, coefficients in enumerate([_slow(sfreq, 0.1), _slow(sfreq, 0.02), _rhythm(sfreq, 10.0)]):
        activity[first::3] = lfilter([1.0], coefficients, innovations[first::3])
    activity /= activity.std(axis=1, keepdims=True)
    data = room["brain"] @ activity[:, burn:]
    knots = np.arange(0, samples + 2 * sfreq, 2 * sfreq)
    walk = lfilter([1.0], [1.0, -0.93], rng.standard_normal((room["slow"].shape[1], len(knots) + 60)))
    slow = np.stack(
        [np.interp(np.arange(samples), knots, row) for row in walk[:, 60:] * np.sqrt(1 - 0.93**2)]
    )
    data += (switch["drift"] * room["slow"]) @ slow
    data += room["own"][:, None] * rng.standard_normal(data.shape)
    return np.asarray(scale * data)


def _slow(sfreq: float, seconds: float) -> list[float]:
    return [1.0, -float(np.exp(-1 / (sfreq * seconds)))]


def _rhythm(sfreq: float, hertz: float) -> list[float]:
    radius = float(np.exp(-1 / (sfreq * 0.15)))
    return [1.0, -2 * radius * float(np.cos(2 * np.pi * hertz / sfreq)), radius**2]


def _spoil(data: Floats, bad: NDArray[np.bool_]) -> Floats:
    """Bad channels in turn are flat and thirty times too noisy."""
    flat, loud = np.flatnonzero(bad)[::2], np.flatnonzero(bad)[1::2]
    data[flat] = 0.0
    data[loud] *= 30.0
    return data
