"""Two recordings without sensors or files: the oracle of the onset tests, and noise that means nothing."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfiltfilt

from . import schema
from ._sensors import Floats

FILTERS = ("none", "zero-phase", "causal")
SHAPES = ("white", "repeated", "drift", "autocorrelated", "imbalanced", "skewed")
PATTERN, WALK, FORGET = 0.46, 0.3, 0.2  # at strength 1, of the SD of the noise


def oracle(
    seed: int,
    subject: int,
    familiarity: float,
    identity: float,
    onset: float,
    filter: str,
    sensors: int,
    images: int,
    repeats: int,
) -> xr.Dataset:
    """What `synthetic.meg_oracle` documents."""
    if filter not in FILTERS:
        raise ValueError(f"filter: {filter!r}: is unknown; {schema.nearest(filter, FILTERS)}")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(subject,)))
    time = np.arange(-100, 126) / 250
    ramp = np.clip((time - onset) / 0.05, 0, 1)
    axis = rng.standard_normal(sensors)
    axis /= np.linalg.norm(axis)
    patterns = identity * rng.standard_normal((2 * images, sensors))
    stimulus = rng.permutation(np.repeat(np.arange(2 * images), repeats))
    familiar = (stimulus < images).astype(np.int64)
    data = rng.standard_normal((len(stimulus), sensors, len(time)))
    frequency = rng.uniform(0.2, 1, (*data.shape[:2], 1))
    data += np.sin(2 * np.pi * frequency * time + rng.uniform(0, 2 * np.pi, frequency.shape))
    effect = familiarity * (familiar - 0.5)[:, None] * axis + patterns[stimulus]
    data += effect[:, :, None] * ramp
    if filter != "none":
        run = sosfiltfilt if filter == "zero-phase" else sosfilt
        data = run(butter(4, 20, fs=250, output="sos"), data, axis=-1)
    data -= data[:, :, (time >= -0.2) & (time <= 0)].mean(axis=-1, keepdims=True)
    names = np.array([f"{'u' if k >= images else 'f'}{k % images + 1:03d}" for k in range(2 * images)])
    table = {"stimulus_id": names[stimulus], "familiar": familiar, "repetition": _rank(stimulus)}
    truth = {"truth_familiarity_onset_s": onset, "truth_familiarity": familiarity, "truth_identity": identity}
    still = {"smear_before_s": 0.0, "smear_after_s": 0.0} if filter == "none" else {}
    stated = {"filter": filter, "trigger_delay_s": 0.0, **still, **truth}
    return _recording(data, time, table, f"{subject:02d}").assign_attrs(stated)


def null(
    seed: int, shape: str, stimuli: int, repeats: int, neuroids: int, times: int, strength: float
) -> xr.Dataset:
    """What `synthetic.null` documents."""
    if shape not in SHAPES:
        raise ValueError(f"shape: {shape!r}: is unknown; {schema.nearest(shape, SHAPES)}")
    if min(stimuli - 1, repeats, neuroids, times) < 1:
        raise ValueError(
            f"stimuli, repeats, neuroids, times: {stimuli, repeats, neuroids, times}: too few; give more"
        )
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SHAPES.index(shape),)))
    share = 0.1 if shape == "imbalanced" else 0.5
    label = rng.permutation(np.arange(stimuli) < max(round(share * stimuli), 1)).astype(int)
    block = {"drift": stimuli, "autocorrelated": max(stimuli // 4, 1)}.get(shape, 0)
    stimulus = np.concatenate([_run(rng, label, block) for _ in range(repeats)])
    time = np.round(0.05 * (np.arange(times) - times // 4), 9)
    noise = rng.standard_normal((len(stimulus), neuroids, times))
    if shape == "skewed":
        noise = (np.exp(noise) - np.exp(0.5)) / np.sqrt(np.exp(2) - np.exp(1))
    if shape == "repeated":
        patterns = PATTERN * strength * rng.standard_normal((stimuli, neuroids))
        noise += patterns[stimulus][:, :, None] * (time >= 0)
    if shape == "drift":
        noise += WALK * strength * _walk(rng, len(stimulus), neuroids)[:, :, None]
    if shape == "autocorrelated":
        noise = _autoregressive(noise, max(1 - FORGET / strength, 0.0))
    table = {
        "stimulus_id": np.array([f"image{k + 1:03d}" for k in range(stimuli)])[stimulus],
        "label": np.array(["b", "a"])[label[stimulus]],
        "repetition": _rank(stimulus),
        "run": np.repeat(np.arange(repeats) + 1, stimuli),
        "onset": np.tile(1 + 0.9 * np.arange(stimuli), repeats),
    }
    return _recording(noise, time, table, "01").assign_attrs(shape=shape, strength=strength)


def _run(rng: np.random.Generator, label: NDArray[np.int_], block: int) -> NDArray[np.int_]:
    """Every stimulus once; with `block` the label stays for so many, the first label drawn by lot."""
    order = rng.permutation(len(label))
    if not block:
        return order
    first = rng.integers(2)
    turns = []
    for rank, kind in enumerate((first, 1 - first)):
        rows = order[label[order] == kind]
        turns += [(start, rank, rows[start : start + block]) for start in range(0, len(rows), block)]
    return np.concatenate([rows for *_, rows in sorted(turns, key=lambda turn: turn[:2])])


def _walk(rng: np.random.Generator, length: int, neuroids: int) -> Floats:
    return np.asarray(np.cumsum(rng.standard_normal((length, neuroids)), axis=0))


def _autoregressive(noise: Floats, memory: float) -> Floats:
    for row in range(1, len(noise)):
        noise[row] = memory * noise[row - 1] + np.sqrt(1 - memory**2) * noise[row]
    return noise


def _rank(stimulus: NDArray[np.int_]) -> NDArray[np.int64]:
    """How often each stimulus was shown before."""
    order = np.argsort(stimulus, kind="stable")
    ordered = stimulus[order]
    rank = np.empty(len(stimulus), np.int64)
    rank[order] = np.arange(len(stimulus)) - np.searchsorted(ordered, ordered)
    return rank


def _recording(data: Floats, time: Floats, table: dict[str, NDArray], subject: str) -> xr.Dataset:
    table["subject"] = np.full(len(data), subject)
    return schema.check(
        xr.Dataset(
            {"response": (("presentation", "neuroid", "time"), data, {"units": "1"})},
            {
                **{name: ("presentation", values) for name, values in table.items()},
                "neuroid_id": ("neuroid", np.array([f"channel{k + 1:03d}" for k in range(data.shape[1])])),
                "time": ("time", time, {"units": "s"}),
            },
            {"origin": "simulated"},
        )
    )
