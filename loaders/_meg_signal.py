"""What is done to samples before they are cut: sensors picked, flaws found, filtered, resampled."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import mne
import numpy as np
from numpy.typing import NDArray

SI = {
    "mag": "T", "ref_meg": "T", "grad": "T/m", "eeg": "V", "seeg": "V", "ecog": "V", "dbs": "V", "eog": "V",
    "ecg": "V", "emg": "V", "resp": "V",
}  # fmt: skip
BRAIN = ("mag", "grad", "eeg", "seeg", "ecog", "dbs")
PLAUSIBLE = {  # typical SD within a second, and what no recording lies outside of, in SI units
    "mag": (3e-13, 1e-14, 1.5e-10), "grad": (4e-12, 3e-14, 1e-9), "eeg": (1e-5, 1.5e-7, 1.2e-3),
    "seeg": (5e-5, 3e-7, 1e-2), "ecog": (5e-5, 3e-7, 1e-2),
}  # fmt: skip
ORDER = 4  # of the causal Butterworth filter, per edge
OVERSAMPLING = 2.5  # samples a second after decimation, for each hertz that is left
SMEAR = 0.05  # of a step's height: what moves less than this is not counted as moved
SATURATED = 0.01  # share of samples at a channel's largest or smallest value


class Wanted(NamedTuple):
    """The arguments of `meg.epochs` as they reach the reader."""

    trigger_delay_s: float
    window: list[float] | None
    events: list[str] | dict[str, int | str] | None
    condition: str | None
    stimulus: str | None
    stim_channel: str | None
    kinds: list[str] | None
    l_freq: float | None
    h_freq: float | None
    filter: str
    resample_hz: float | None
    decimate: int
    baseline: list[float | None] | None
    reject: dict[str, float] | None
    project: bool
    subject: str | None
    session: str | None
    task: str | None
    allow_partial: bool
    check_units: bool
    manifest: dict[str, str] | None


@contextmanager
def quiet(path: Path) -> Iterator[None]:
    """mne without its remarks; those that mean a fault, and errors, become one line that names the file."""
    with warnings.catch_warnings(record=True) as caught, mne.use_log_level("warning"):
        warnings.simplefilter("always")
        try:
            yield
        except Exception as error:  # whatever a vendor's parser throws at a damaged file is that file's fault
            line = " ".join(str(error).split())[:300]
            if isinstance(error, MemoryError) or line.startswith(str(path)):
                raise
            raise ValueError(f"{path}: cannot be read: {type(error).__name__}: {line}") from None
    for item in caught:
        text = " ".join(str(item.message).split())
        if "not unique" in text:
            names = re.search(r"duplicates for: (\{.*?\}|\S+)", text)
            raise ValueError(
                f"{path}: channel names {names[1] if names else ''} stand twice; make each name unique"
            )
        if "outside data range" in text and "Omitted" in text:
            raise ValueError(f"{path}: cut: {text[:160]}; fetch it again")
        if "does not match the file size" in text or "truncated" in text.lower():
            raise ValueError(f"{path}: cut: {text[:160]}; fetch it again")


def prepare(raw: mne.io.BaseRaw, path: Path, wanted: Wanted) -> dict[str, Any]:
    """Pick, load, check, filter and resample in place; what was done, as attrs."""
    done: dict[str, Any] = {"recorded_hz": float(raw.info["sfreq"])}
    names, bad = picks(raw.info, path, wanted)
    stored = len(raw.info["projs"])
    with quiet(path):
        raw.pick(names, verbose="error").load_data(verbose="error")
        if wanted.project:
            raw.apply_proj(verbose="error")
    done["projectors"] = (
        "applied" if wanted.project and stored else f"{stored} stored, not applied" if stored else "none"
    )
    done["bad_channels"] = ", ".join(bad) or "none"
    done |= look(raw.get_data(), raw.info, path, wanted.check_units)
    done |= _filter(raw, path, wanted)
    if wanted.resample_hz is not None:
        with quiet(path):
            raw.resample(wanted.resample_hz, verbose="error")
    return done | {"sampling_rate_hz": rate_after(path, raw.info, wanted.decimate)}


def picks(info: mne.Info, path: Path, wanted: Wanted) -> tuple[list[str], list[str]]:
    """Names of the sensors of the wanted kinds, and of those among them that are marked bad."""
    kinds = info.get_channel_types()
    asked = wanted.kinds or [kind for kind in BRAIN if kind in kinds]
    absent = [kind for kind in [*asked, *(wanted.reject or {})] if kind not in kinds]
    if absent or not asked:
        has = ", ".join(sorted(set(kinds)))
        raise ValueError(f"{path}: no channel of kind {', '.join(absent or BRAIN)}; it has {has}")
    of_kind = [name for name, kind in zip(info.ch_names, kinds, strict=True) if kind in asked]
    bad = [name for name in of_kind if name in info["bads"]]
    names = [name for name in of_kind if name not in bad]
    if not names:
        raise ValueError(f"{path}: every channel of kind {', '.join(asked)} is marked bad; give other kinds")
    return names, bad


def look(data: NDArray[Any], info: mne.Info, path: Path, check_units: bool) -> dict[str, Any]:
    """Not-numbers and impossible sizes are errors; flat and saturated channels are remarked."""
    names = np.array(info.ch_names)
    for row in np.flatnonzero(~np.isfinite(data.sum(axis=1))):
        bad = np.flatnonzero(~np.isfinite(data[row]))
        if bad.size:
            raise ValueError(
                f"{path}: channel {names[row]}: {data[row, bad[0]]} at sample {bad[0]}, {bad.size} in all; "
                "mark the channel bad or mend the file"
            )
    low, high = data.min(axis=1, keepdims=True), data.max(axis=1, keepdims=True)
    flat = low[:, 0] == high[:, 0]
    if flat.all():
        raise ValueError(f"{path}: all {len(names)} channels are flat; is the file cut?")
    at_end = np.maximum((data == low).mean(axis=1), (data == high).mean(axis=1))
    saturated = ~flat & (at_end > SATURATED) & (data.shape[1] * SATURATED > 5)
    for which, word in ((flat, "flat"), (saturated, "saturated")):
        if which.any():
            text = ", ".join(names[which][:8]) + (" ..." if which.sum() > 8 else "")
            warnings.warn(
                f"{path}: {which.sum()} {word} channels: {text}; mark them bad", UserWarning, stacklevel=2
            )
    if check_units:
        _check_size(path, data[~flat], np.array(info.get_channel_types())[~flat], info["sfreq"])
    return {
        "flat_channels": ", ".join(names[flat]) or "none",
        "saturated_channels": ", ".join(names[saturated]) or "none"
    }  # fmt: skip


def rate_after(path: Path, info: mne.Info, decimate: int) -> float:
    """Samples a second once only every `decimate`-th is kept; ValueError where what is left would alias."""
    rate = float(info["sfreq"]) / decimate
    content = min(info["lowpass"] or np.inf, info["sfreq"] / 2)
    if decimate > 1 and rate < OVERSAMPLING * content:
        raise ValueError(
            f"{path}: decimate {decimate}: leaves {rate:g} Hz for content up to {content:g} Hz, which would "
            f"alias; give h_freq <= {rate / OVERSAMPLING:g} or decimate less"
        )
    return rate


def _check_size(path: Path, data: NDArray[Any], kinds: NDArray[Any], sfreq: float) -> None:
    length = min(max(round(sfreq), 2), data.shape[1])
    parts = data[:, : data.shape[1] // length * length].reshape(len(data), -1, length)
    spread = np.median(parts[:, :: max(parts.shape[1] // 50, 1)].std(axis=2), axis=1)
    for kind, (typical, low, high) in PLAUSIBLE.items():
        if not (kinds == kind).any():
            continue
        size = float(np.median(spread[kinds == kind]))
        if not low <= size <= high:
            steps = round(np.log10(max(size, 1e-300) / typical) / 3) or (1 if size > high else -1)
            raise ValueError(
                f"{path}: {kind}: typical deviation {size:.2g} {SI[kind]} where {typical:.0e} is usual, a "
                f"factor of about 1e{3 * steps}; are the units right? (check_units: false accepts them)"
            )


def _filter(raw: mne.io.BaseRaw, path: Path, wanted: Wanted) -> dict[str, Any]:
    """Filters in place; the filter in words, how far it reaches, and how far it moves an effect in time."""
    low, high, sfreq = wanted.l_freq, wanted.h_freq, float(raw.info["sfreq"])
    if low is None and high is None:
        return {"filter": "none", "l_freq": 0.0} | _smear(None, sfreq, wanted.resample_hz)
    if high is not None and high >= sfreq / 2:
        raise ValueError(
            f"{path}: h_freq {high:g}: is not below half of {sfreq:g} samples a second; lower it"
        )
    band = f"{'0' if low is None else f'{low:g}'}-{f'{sfreq / 2:g}' if high is None else f'{high:g}'} Hz"
    how: dict[str, Any] = {"l_freq": low, "h_freq": high, "picks": "all", "verbose": "error"}
    if wanted.filter == "causal":
        iir = {"order": ORDER, "ftype": "butter", "output": "sos"}
        how |= {"method": "iir", "iir_params": iir, "phase": "forward"}
        told: dict[str, Any] = {
            "filter": f"causal, Butterworth order {ORDER} per edge, {band}", "filter_order": ORDER,
        }  # fmt: skip
        taps = round(5 * sfreq / (high or sfreq))
    else:
        taps = len(mne.filter.create_filter(None, sfreq, low, high, verbose="error"))
        if taps > raw.n_times:
            raise ValueError(
                f"{path}: a zero-phase filter of {band} lasts {taps / sfreq:.3g} s and the recording "
                f"{raw.n_times / sfreq:.3g} s; give a higher l_freq, or none"
            )
        reach = (taps - 1) / 2 / sfreq
        told = {
            "filter": f"zero-phase, FIR (firwin, Hamming) of {taps} taps, {band}, {reach:.4g} s both ways",
            "filter_taps": taps, "filter_reach_s": reach,
        }  # fmt: skip
    with quiet(path):
        raw.filter(**how)
    band_edges = {"l_freq": float(low or 0)} | ({} if high is None else {"h_freq": float(high)})
    return told | band_edges | _smear(how, sfreq, wanted.resample_hz, taps)


def _smear(
    how: dict[str, Any] | None, sfreq: float, resample_hz: float | None, taps: int = 0
) -> dict[str, float]:
    """How far the filter and the resampling move an effect that lasts, measured on a step of height 1.

    `smear_before_s`: how long before the step its filtered course first leaves 0 by more than SMEAR;
    `smear_after_s`: how long after it reaches half of its height, or half of its largest value where a
    high-pass leaves less.
    """
    if how is None and resample_hz is None:
        return {"smear_before_s": 0.0, "smear_after_s": 0.0}
    half = max(taps, round(sfreq)) + 1
    step = mne.io.RawArray(
        np.repeat([0.0, 1.0], half)[None], mne.create_info(1, sfreq, "mag", verbose="error"), verbose="error"
    )
    if how is not None:
        step.filter(**how)
    if resample_hz is not None:
        step.resample(resample_hz, verbose="error")
    course, times = step.get_data()[0], step.times - half / sfreq
    period = 1 / float(step.info["sfreq"])
    inside = np.abs(times) < 0.75 * half / sfreq  # resampling rings at the ends
    early = times[(np.abs(course) > SMEAR) & inside][0]
    late = times[(course >= 0.5 * min(1.0, course.max())) & (times > -0.5 * period)][0]
    grid = sfreq if resample_hz is None else resample_hz  # a step lies anywhere between new samples
    return {
        "smear_before_s": float(np.ceil(max(0.0 - early, 0) * grid - 1e-6) / grid),
        "smear_after_s": float(np.ceil(max(late, 0.0) * grid - 1e-6) / grid),
    }
