"""The same recording in coarser time: sliding means, or one window whose samples all become features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr


def sliding(recording: xr.Dataset, *, width: float, step: float) -> xr.Dataset:
    """Means of `response` in windows of `width` seconds, one every `step` seconds.

    Reads    response (presentation, neuroid, time), any unit; width and step in s
    Returns  response with time at the centres of the windows, all of them whole; attrs smear_before_s and
             smear_after_s [s] grow by half a width, since a window sees what lies that far on either side;
             ValueError where none fits
    >>> trace = xr.Dataset({"response": (("presentation", "neuroid", "time"), [[[1.0, 3.0, 5.0]]])})
    >>> sliding(trace.assign_coords(time=[0.0, 0.1, 0.2]), width=0.2, step=0.1).response.values
    array([[[2., 4.]]])
    """
    time = recording["time"].values
    period = _period(time)
    samples, stride = round(width / period), round(step / period)
    if samples < 1 or stride < 1 or samples > time.size:
        raise ValueError(
            f"width {width} s, step {step} s: no window fits {time.size} samples of {period:.4g} s; "
            "give at least one sample each"
        )
    starts = np.arange(0, time.size - samples + 1, stride)
    parts = [recording["response"].isel(time=slice(start, start + samples)).mean("time") for start in starts]
    response = xr.concat(parts, "time").transpose("presentation", "neuroid", "time")
    centres = [time[start : start + samples].mean() for start in starts]
    rest = recording.drop_vars(["response", "time"])
    found = rest.assign(response=response.assign_attrs(recording["response"].attrs))
    return found.assign_coords(time=np.array(centres)).assign_attrs(_smeared(recording, width))


def flatten(recording: xr.Dataset, *, window: Sequence[float]) -> xr.Dataset:
    """All samples of one window as features of one moment: each neuroid at each time becomes a neuroid.

    Reads    response (presentation, neuroid, time), any unit; window, [start, end] in s, both included
    Returns  response (presentation, neuroid x time, 1); time is the window's centre; attrs smear_before_s
             and smear_after_s [s] grow by half of the window; ValueError for an empty window
    """
    start, end = window
    time = recording["time"].values
    inside = np.flatnonzero((time >= start - 1e-9) & (time <= end + 1e-9))
    if inside.size == 0:
        raise ValueError(
            f"window: [{start}, {end}] s holds no sample; it has {time[0]:.4g} to {time[-1]:.4g} s"
        )
    part = recording["response"].isel(time=inside)
    names = np.repeat(recording["neuroid_id"].values.astype(str), inside.size)
    moments = np.tile(time[inside], recording.sizes["neuroid"])
    labels = [f"{name} at {moment:.4f} s" for name, moment in zip(names, moments, strict=True)]
    coords = {name: coord for name, coord in recording.coords.items() if coord.dims == ("presentation",)}
    shape = ("presentation", "neuroid", "time")
    flat = part.data.reshape(part.sizes["presentation"], -1, 1)
    return xr.Dataset(
        {"response": (shape, flat, recording["response"].attrs)},
        coords={**coords, "neuroid_id": ("neuroid", labels), "time": [0.5 * (start + end)]},
        attrs={**recording.attrs, **_smeared(recording, end - start)},
    )


def _smeared(recording: xr.Dataset, width: float) -> dict[str, float]:
    """Attrs of a window: its width, and the smear so far, where that is stated, grown by half of it."""
    known = [key for key in ("smear_before_s", "smear_after_s") if key in recording.attrs]
    grown = {key: float(recording.attrs[key]) + width / 2 for key in known}
    return {"window_s": width} | grown


def _period(time: np.ndarray) -> float:
    steps = np.diff(time)
    bad = np.flatnonzero(np.abs(steps - steps[:1]) > 1e-6)
    if not steps.size or bad.size:
        where = f" at index {bad[0] + 1}" if bad.size else ""
        raise ValueError(f"coordinate 'time': is not evenly spaced{where}; resample it first")
    return float(np.median(steps))
