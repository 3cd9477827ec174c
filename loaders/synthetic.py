"""Recordings whose truth is known, for the demo, the documentation and the tests. No brain was measured.

Everything is a function of `seed` and plain numbers: same arguments, same bytes. What was planted stands in
attributes named `truth_...` and in coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from . import _synthetic_images, _synthetic_it, _synthetic_meg, _synthetic_noise, schema

UNITS = {"mag": "T", "grad": "T/m", "eog": "V"}
UNMOVED = {
    "filter": "none", "l_freq": 0.0, "smear_before_s": 0.0, "smear_after_s": 0.0, "trigger_delay_s": 0.0
}  # fmt: skip


def meg_faces(
    *,
    seed: int,
    subject: str | int = "01",
    sites: int = 102,
    identities: int = 8,
    images: int = 5,
    repeats: int = 2,
    runs: int = 4,
    sfreq: float = 250.0,
    soa_s: float = 0.9,
    snr: float = 1.0,
    familiarity: float = 1.0,
    identity: float = 1.0,
    image: float = 1.0,
    luminance: float = 1.0,
    onset_s: float = 0.085,
    identity_onset_s: float = 0.15,
    onset_spread_s: float = 0.0,
    share: float = 1.0,
    luminance_confound: float = 0.0,
    block_trials: int = 0,
    drift: float = 1.0,
    eog_leak: float | None = None,
    exposure_ratio: int = 1,
    adaptation: float = 0.0,
    bad_channels: int = 0,
    trigger_delay_s: float = 0.0,
    window: Sequence[float] = (-0.2, 0.5),
) -> xr.Dataset:
    """One subject's MEG of familiar and unfamiliar faces, `familiar` planted from `onset_s` on.

    Sensors (a magnetometer and two gradiometers at each site) cover a Neuromag helmet; sources in a sphere
    answer every face at 50-170 ms, images by patterns of their own, people from `identity_onset_s` on. All
    responses end 0.55 s after onset.

    Reads    subject, a number; sites of 102; identities a class, images a person, repeats an image; snr
             divides the noise (inf: none); familiarity, identity, image, luminance scale these four effects.
             onset_spread_s is the SD of onsets over subjects; share of the subjects have the effect.
             Confounds: luminance_confound, SDs by which familiar images are brighter; block_trials, length
             of blocks of one class (0: mixed) under drift; eog_leak, eye movements by class, 1 is 50 uV
             (null: no EOG channel); exposure_ratio, how much oftener the familiar are shown, under
             adaptation to repeats; bad_channels, flat and noisy in turn; trigger_delay_s, by which the
             picture is later than its trigger
    Returns  response (presentation, neuroid, time) in SI by kind; stimulus_id, identity, familiar (1, 0),
             trial_type, luminance, repetition, run, subject, onset; kind, position, bad (neuroid); the truth
             in attrs, this subject's truth_familiarity_onset_s from the picture on. ValueError names a switch
    >>> meg_faces(seed=0, sites=4, identities=2, images=2).response.shape
    (16, 12, 176)
    """
    switch = dict(locals())
    switch.pop("window")
    return _epochs(_synthetic_meg.simulate(**switch), sfreq, window)


def face_images(
    *,
    seed: int,
    identities: int = 8,
    images: int = 5,
    luminance_confound: float = 0.0,
    size: int = 32,
    colour: float = 1.0,
) -> xr.Dataset:
    """Drawn pictures of the faces that `meg_faces` of the same numbers shows, so that controls see pixels.

    A person's pictures share the geometry of the face, and vary in pose, light, background and texture.

    Reads    seed, identities, images, luminance_confound as `meg_faces`; size in pixels; colour, saturation
             (0: one grey plane)
    Returns  image (stimulus, channel, y, x) in [0, 1] whose mean luminance (ITU-R BT.709 weights) is the
             planted `luminance` up to rounding; stimulus_id, identity, familiar, luminance (stimulus).
             ValueError where a luminance leaves [0, 1]
    >>> face_images(seed=0, identities=2, images=2, size=16).image.shape
    (8, 3, 16, 16)
    """
    return _synthetic_images.faces(seed, identities, images, luminance_confound, size, colour)


def write_meg_faces(
    path: str | Path,
    *,
    seed: int,
    subject: str | int = "01",
    subjects: int = 16,
    sites: int = 102,
    identities: int = 8,
    images: int = 5,
    repeats: int = 2,
    runs: int = 4,
    sfreq: float = 250.0,
    soa_s: float = 0.9,
    snr: float = 1.0,
    familiarity: float = 1.0,
    identity: float = 1.0,
    image: float = 1.0,
    luminance: float = 1.0,
    onset_s: float = 0.085,
    identity_onset_s: float = 0.15,
    onset_spread_s: float = 0.0,
    share: float = 1.0,
    luminance_confound: float = 0.0,
    block_trials: int = 0,
    drift: float = 1.0,
    eog_leak: float | None = None,
    exposure_ratio: int = 1,
    adaptation: float = 0.0,
    bad_channels: int = 0,
    trigger_delay_s: float = 0.0,
) -> xr.Dataset:
    """One subject of a BIDS dataset of fif files: what `meg_faces` makes of these numbers, to the last bit.

    Subjects may be written at the same time by many processes; the files of the root are the same for each.

    Reads    path, the dataset's root; subjects, how many the dataset lists; the rest as `meg_faces`
    Returns  bytes (file), name and sha256 of each file of this subject and of the root. ValueError if path
             holds data that were not simulated here
    """
    from . import _write

    switch = dict(locals())
    for name in ("path", "subjects", "_write"):
        switch.pop(name)
    if _synthetic_meg.number(subject) > subjects:
        raise ValueError(f"subject: {subject!r}: the dataset lists {subjects}; raise subjects")
    made = _synthetic_meg.simulate(**switch)
    return _write.bids(Path(path), made, subjects, sfreq)


def meg_oracle(
    *,
    seed: int,
    subject: str | int = "01",
    familiarity: float = 1.2,
    identity: float = 0.0,
    onset_s: float = 0.085,
    filter: str = "none",
    sensors: int = 40,
    images: int = 150,
    repeats: int = 2,
) -> xr.Dataset:
    """One subject of the generator that decoding and onsets are calibrated on: ramps in noise and drift.

    Sensors at 250 Hz, -0.4 to 0.5 s, baseline -0.2 to 0 s, N(0, 1) plus a slow sine in each sensor and trial.

    Reads    familiarity, distance between the classes along a random direction, on a ramp of 50 ms from
             `onset_s` on; identity, SD of each image's own pattern on the same ramp; filter, a fourth-order
             Butterworth low-pass at 20 Hz: none, zero-phase or causal
    Returns  response (presentation, neuroid, time), unit 1; stimulus_id, familiar (1, 0), repetition, subject
    >>> meg_oracle(seed=0, images=3).response.shape
    (12, 40, 226)
    """
    number = _synthetic_meg.number(subject)
    return _synthetic_noise.oracle(
        seed, number, familiarity, identity, onset_s, filter, sensors, images, repeats
    )


def macaque_it(
    *,
    seed: int,
    neuroids: int = 60,
    objects: int = 8,
    images: int = 5,
    repeats: int | Sequence[int] = 10,
    rate_hz: float = 20.0,
    latency_s: float = 0.1,
    drift: float = 0.0,
    dead: float = 0.0,
    days: int = 1,
    missing: int = 0,
    window: Sequence[float] = (-0.1, 0.3),
    bin_width: float = 0.01,
    expected: bool = False,
) -> xr.Dataset:
    """Poisson neurons of inferior temporal cortex with known tuning, latency and ceiling, as counts.

    Reads    images an object; repeats an image, or [fewest, most]; rate_hz, mean of the response above a
             baseline of 2 to 8 Hz; drift, SD of the slow log gain; dead, share of neuroids without a spike;
             days over which repeats are spread; missing, number of images that are never shown; bin_width in
             whole ms; expected, for what the same neurons do on average, without noise
    Returns  response (presentation, neuroid, time), spikes a bin; stimulus_id, object, repetition, run (the
             day), onset; region, latency_s, dead and reliability (neuroid): the analytic reliability of the
             trial-mean count 80 to 280 ms after onset, which is the variance over images of the expected
             count, divided by itself plus the mean over images of the count's variance over its number of
             repeats (NaN if dead). ValueError names the number that is wrong
    >>> macaque_it(seed=0, neuroids=3, repeats=2).response.shape
    (80, 3, 40)
    """
    if len(window) != 2 or not round((window[1] - window[0]) / bin_width) >= 1 or bin_width < 0.001:
        raise ValueError(f"window: {window} in bins of {bin_width} s: holds no bin of 1 ms or more; widen it")
    session = _session(
        seed, neuroids, objects, images, repeats, rate_hz, latency_s, drift, dead, days, missing
    )
    made = _synthetic_it.means if expected else _synthetic_it.counts
    response, time = made(session, (window[0], window[1]), bin_width)
    units = {"units": "1", "bin_width": bin_width}
    moved = UNMOVED | dict.fromkeys(("smear_before_s", "smear_after_s"), bin_width / 2)
    return schema.check(
        xr.Dataset(
            {"response": (("presentation", "neuroid", "time"), response, units)},
            {
                **_presentations(session.table),
                **{name: ("neuroid", values) for name, values in session.neuroid.items()},
                "time": ("time", time, {"units": "s"}),
            },
            {"origin": "simulated", "simultaneous": 1, "bin_width": bin_width, **moved, **session.truth},
        )
    )


def write_macaque_it(
    path: str | Path,
    *,
    seed: int,
    format: str = "nwb",
    neuroids: int = 60,
    objects: int = 8,
    images: int = 5,
    repeats: int | Sequence[int] = 10,
    rate_hz: float = 20.0,
    latency_s: float = 0.1,
    drift: float = 0.0,
    dead: float = 0.0,
    days: int = 1,
    missing: int = 0,
) -> xr.Dataset:
    """The spikes behind `macaque_it` as files: session.nwb, session.nix, raster/*.mat or responses.mat.

    Reads    path, a folder; format: nwb, nix, raster (a file a neuroid, trials x ms) or mat (neuroid x image
             x repeat, counts 80 to 280 ms after onset, NaN where an image was shown less); the rest as
             `macaque_it`
    Returns  bytes (file), name and sha256 of each file. ValueError if path holds data that were not simulated
             here
    """
    from . import _ephys_write

    if format not in _ephys_write.FORMS:
        raise ValueError(f"format: {format!r}: is unknown; {schema.nearest(format, _ephys_write.FORMS)}")
    session = _session(
        seed, neuroids, objects, images, repeats, rate_hz, latency_s, drift, dead, days, missing
    )
    return _ephys_write.spikes(Path(path), session, format)


def null(
    *,
    seed: int,
    shape: str = "white",
    stimuli: int = 40,
    repeats: int = 10,
    neuroids: int = 50,
    times: int = 10,
    strength: float = 1.0,
) -> xr.Dataset:
    """Noise that knows nothing of `label`, in a shape that may make a careless decoder believe it does.

    Every run shows every stimulus once; a random half of the stimuli has label a, the other b.

    Reads    shape: white; repeated, each image has a pattern of its own (from time 0) that comes back in
             every run; drift, a random walk while labels are constant in blocks of a run; autocorrelated,
             memory from trial to trial and short blocks; imbalanced, one stimulus in ten has label a;
             skewed, log-normal noise. strength scales pattern, walk or memory
    Returns  response (presentation, neuroid, time), unit 1; stimulus_id, label, repetition, run, onset,
             subject. ValueError names the nearest right shape
    >>> null(seed=0, shape="repeated").response.shape
    (400, 50, 10)
    """
    return _synthetic_noise.null(seed, shape, stimuli, repeats, neuroids, times, strength)


def _session(seed: int, neuroids: int, *numbers: Any) -> _synthetic_it.Session:
    objects, images, repeats, *others = numbers
    spread = repeats if isinstance(repeats, int) else tuple(repeats)
    return _synthetic_it.simulate(seed, neuroids, objects, images, spread, *others)


def _presentations(table: dict[str, Any]) -> dict[str, Any]:
    told = {
        name: ("presentation", values)
        for name, values in table.items()
        if name[0] != "_" and name != "sample"
    }
    return told | {"onset": ("presentation", table["onset"], {"units": "s"})}


def _epochs(made: _synthetic_meg.Simulation, sfreq: float, window: Sequence[float]) -> xr.Dataset:
    if len(window) != 2 or not -0.9 <= window[0] < window[1] <= 0.9:
        raise ValueError(
            f"window: {list(window)}: must begin before it ends, within 0.9 s of onset; give [start, end]"
        )
    offsets = np.arange(round(window[0] * sfreq), round(window[1] * sfreq) + 1)
    parts = []
    for run, data in enumerate(made.runs, start=1):
        samples = made.table["sample"][made.table["run"] == run]
        parts.append(data[:, samples[:, None] + offsets].transpose(1, 0, 2))
    position = np.full((len(made.names), 3), np.nan)
    position[: len(made.sensors.loc)] = made.sensors.loc[:, :3]
    neuroid = {
        "neuroid_id": np.array(made.names),
        "kind": made.kind,
        "si_unit": np.array([UNITS[kind] for kind in made.kind]),
        **{f"position_{axis}": position[:, index] for index, axis in enumerate("xyz")},
        "bad": made.bad,
    }
    response = np.concatenate(parts).astype(float)
    return schema.check(
        xr.Dataset(
            {"response": (("presentation", "neuroid", "time"), response, {"units": "SI by kind"})},
            {
                **_presentations(made.table),
                **{name: ("neuroid", values) for name, values in neuroid.items()},
                "subject": ("presentation", np.full(len(response), made.subject)),
                "time": ("time", offsets / sfreq, {"units": "s"}),
            },
            {"origin": "simulated", "sfreq": sfreq, **UNMOVED, **made.truth},
        )
    )
