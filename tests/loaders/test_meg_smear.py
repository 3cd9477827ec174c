"""A step at 85 ms through each filter of the loader: what the attributes report is what is measured."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from analyses import windows
from loaders import _child, meg
from loaders._meg_signal import SMEAR

SFREQ = 500.0
ONSET = 20.0  # seconds into the recording
EFFECT = 0.085  # seconds after onset
HEIGHT = 1e-5  # volts
FILTERS = {
    "none": {},
    "low-pass 10": {"h_freq": 10},
    "low-pass 20": {"h_freq": 20},
    "low-pass 40": {"h_freq": 40},
    "low-pass 100": {"h_freq": 100},
    "causal 10": {"h_freq": 10, "filter": "causal"},
    "causal 20": {"h_freq": 20, "filter": "causal"},
    "causal 40": {"h_freq": 40, "filter": "causal"},
    "0.1-40": {"l_freq": 0.1, "h_freq": 40},
    "1-40": {"l_freq": 1, "h_freq": 40},
    "1-30": {"l_freq": 1, "h_freq": 30},
    "causal 0.1-40": {"l_freq": 0.1, "h_freq": 40, "filter": "causal"},
    "causal 1-30": {"l_freq": 1, "h_freq": 30, "filter": "causal"},
    "high-pass 1": {"l_freq": 1},
    "resampled 125": {"resample_hz": 125},
    "resampled 100, low-pass 40": {"resample_hz": 100, "h_freq": 40},
}


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One channel that steps up 85 ms after the only event, and stays there."""
    path = tmp_path_factory.mktemp("step") / "step_raw.fif"
    data = np.zeros((2, round(45 * SFREQ)))
    data[0, round((ONSET + EFFECT) * SFREQ) :] = HEIGHT
    data[0] += 1e-5 * HEIGHT * np.random.default_rng(0).standard_normal(data.shape[1])
    data[1, round(ONSET * SFREQ) :][:5] = 1
    info = mne.create_info(["EEG001", "STI101"], SFREQ, ["eeg", "stim"], verbose="error")
    mne.io.RawArray(data, info, verbose="error").save(path, verbose="error")
    return path


def measured(course: np.ndarray, time: np.ndarray) -> tuple[float, float]:
    """How long before the step a course leaves 0 by 5 % of it, and how long after it reaches half."""
    course = course / HEIGHT
    early = time[np.abs(course) > SMEAR][0]
    half = 0.5 * min(1.0, course[time > EFFECT - 0.05].max())
    late = time[(course >= half) & (time > EFFECT - 0.5 * (time[1] - time[0]))][0]
    return max(EFFECT - early, 0.0), max(late - EFFECT, 0.0)


@pytest.mark.parametrize("name", FILTERS)
def test_v13_the_reported_smear_is_the_measured_shift(
    step: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")
    found = meg.epochs(
        step, trigger_delay_s=0, window=(-15, 15), kinds=["eeg"], check_units=False, **FILTERS[name]
    )
    before, after = measured(found["response"].values[0, 0], found["time"].values)
    sample = 1 / found.attrs["sampling_rate_hz"]
    assert found.attrs["smear_before_s"] == pytest.approx(before, abs=1.01 * sample)
    assert found.attrs["smear_after_s"] == pytest.approx(after, abs=1.01 * sample)
    assert found.attrs["l_freq"] == FILTERS[name].get("l_freq", 0)
    assert found.attrs.get("h_freq") == FILTERS[name].get("h_freq")


def test_v13_filters_move_effects_the_way_they_are_known_to(
    step: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")
    smear = {}
    for name, options in FILTERS.items():
        found = meg.epochs(step, trigger_delay_s=0, kinds=["eeg"], check_units=False, **options)
        smear[name] = found.attrs["smear_before_s"], found.attrs["smear_after_s"]
    assert smear["none"] == (0.0, 0.0)
    assert smear["low-pass 10"][0] > smear["low-pass 20"][0] > smear["low-pass 40"][0] > 0.01
    assert smear["low-pass 40"][1] == 0
    assert smear["causal 10"][1] > smear["causal 20"][1] > smear["causal 40"][1] > 0.005
    assert [smear[name][0] for name in FILTERS if name.startswith("causal")] == [0.0] * 5
    assert smear["high-pass 1"][0] > 0.5  # a lasting effect pushes what comes before it away from 0
    assert smear["0.1-40"][0] > smear["1-40"][0]


@pytest.mark.parametrize("width", [0.01, 0.02, 0.05, 0.2])
def test_v13_sliding_windows_add_the_half_width_that_is_measured(
    step: Path, width: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")
    recording = meg.epochs(step, trigger_delay_s=0, kinds=["eeg"], check_units=False)
    found = windows.sliding(recording, width=width, step=1 / SFREQ)
    course, time = found["response"].values[0, 0] / HEIGHT, found["time"].values
    mixed = time[(course > 0.01) & (course < 0.99)]  # windows that see both sides of the step
    assert found.attrs["smear_before_s"] == pytest.approx(EFFECT - mixed[0], abs=1.01 / SFREQ)
    assert found.attrs["smear_after_s"] == pytest.approx(mixed[-1] - EFFECT, abs=2.01 / SFREQ)
    twice = windows.sliding(found, width=0.02, step=1 / SFREQ)
    assert twice.attrs["smear_before_s"] == pytest.approx(width / 2 + 0.01)


def test_v13_one_window_of_features_smears_by_its_half(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")
    recording = meg.epochs(step, trigger_delay_s=0, kinds=["eeg"], check_units=False, h_freq=40)
    found = windows.flatten(recording, window=[0.05, 0.45])
    assert found.attrs["smear_before_s"] == pytest.approx(recording.attrs["smear_before_s"] + 0.2)
    assert found.attrs["smear_after_s"] == pytest.approx(recording.attrs["smear_after_s"] + 0.2)
    assert found.attrs["filter"] == recording.attrs["filter"]


def test_v13_windows_on_what_states_no_smear_claim_none(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_child.INSIDE, "1")
    recording = meg.epochs(step, trigger_delay_s=0, kinds=["eeg"], check_units=False)
    del recording.attrs["smear_before_s"]
    assert "smear_before_s" not in windows.sliding(recording, width=0.02, step=0.01).attrs
