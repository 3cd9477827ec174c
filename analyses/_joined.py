"""A model's features and a recording of the same stimuli, joined by their names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from analyses._labelled import values

SHOWN = 10  # names that a message lists


class Joined(NamedTuple):
    """Of every stimulus: features x (n, p[, time]), responses y (n, q, time), its name, the group that no
    split divides, and its object where known; the names of neuroids; whether there is time; how often
    stimuli were shown."""

    x: np.ndarray
    y: np.ndarray
    names: np.ndarray
    groups: np.ndarray
    strata: np.ndarray | None
    neuroids: np.ndarray
    timed: bool
    kept_apart: str
    repeats: str

    def limit(self, ceiling: xr.Dataset) -> np.ndarray:
        """√reliability (q, time), joined by neuroid_id; NaN where a neuroid has none."""
        return limits(ceiling, self.neuroids, self.y.shape[2])


def limits(ceiling: xr.Dataset, neuroids: np.ndarray, times: int) -> np.ndarray:
    """√reliability (neuroid, time), joined by neuroid_id; NaN where a neuroid has none."""
    if "reliability" not in ceiling and "r_ceiling" not in ceiling:
        raise ValueError(
            f"ceiling: has {', '.join(map(str, ceiling.data_vars))}; give what "
            "reliability.split_half returned"
        )
    part = ceiling["r_ceiling"] if "r_ceiling" in ceiling else ceiling["reliability"]
    found = part.transpose("neuroid", ...).values
    found = np.asarray(found if "r_ceiling" in ceiling else np.sqrt(found), dtype=float)
    known = list(values(ceiling, "neuroid_id").astype(str))
    lost = sorted(set(neuroids) - set(known))
    if lost:
        raise ValueError(f"ceiling: lacks {', '.join(lost[:SHOWN])}; estimate it from this recording")
    found = found[[known.index(name) for name in neuroids]].reshape(len(neuroids), -1)
    if found.shape[1] not in (1, times):
        raise ValueError(f"ceiling: has {found.shape[1]} times, the recording {times}; give one for each")
    return np.broadcast_to(found, (len(neuroids), times))


def join(features: xr.Dataset, recording: xr.Dataset) -> Joined:
    """Both, averaged over repeats, in the order in which the recording first shows each stimulus.

    Reads    response (presentation, neuroid[, time]) and stimulus_id of both; content and object_name where
             they stand
    Returns  a `Joined`; ValueError names stimuli without features, and what has no number
    """
    names, y, counts, first = _means(recording, "recording")
    known, x, _, shown = _means(features, "features")
    place = {name: row for row, name in enumerate(known)}
    lost = [name for name in names if name not in place]
    if lost:
        raise ValueError(
            f"stimulus_id: {len(lost)} of {len(names)} stimuli of the recording have no features "
            f"({', '.join(lost[:SHOWN])}; features begin with {', '.join(known[:SHOWN])}); "
            "record the model on these"
        )
    rows = np.array([place[name] for name in names])
    x = _clock(features, recording, x[rows])
    for what, part, ids in (("features", x, _ids(features)), ("recording", y, _ids(recording))):
        bad = np.argwhere(~np.isfinite(part))
        if bad.size:
            raise ValueError(
                f"{what}: stimulus {names[bad[0][0]]}, neuroid {ids[bad[0][1]]} has no number in any "
                "presentation; leave one of them out, nothing is imputed"
            )
    groups, kept = np.asarray(names), "stimulus_id"
    for holder, order in ((features, shown[rows]), (recording, first)):
        if "content" in holder.coords:
            groups, kept = values(holder, "content").astype(str)[order], "content"
            break
    strata = values(recording, "object_name")[first] if "object_name" in recording.coords else None
    repeats = str(counts.min()) if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    timed = "time" in recording["response"].dims
    return Joined(x, y, np.asarray(names), groups, strata, _ids(recording), timed, kept, repeats)


def _ids(recording: xr.Dataset) -> np.ndarray:
    return values(recording, "neuroid_id").astype(str)


def _means(recording: xr.Dataset, what: str) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Names, mean responses (stimulus, neuroid, time), numbers and first places of presentations."""
    if "response" not in recording:
        raise ValueError(
            f"{what}: has no variable 'response' but {', '.join(map(str, recording))}; give a recording"
        )
    array = recording["response"]
    if "time" not in array.dims:
        array = array.expand_dims("time")
    response = np.asarray(array.transpose("presentation", "neuroid", "time").values, dtype=float)
    shown = values(recording, "stimulus_id").astype(str)
    found, first, inverse, counts = np.unique(
        shown, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    if counts.max(initial=1) == 1:
        return list(shown), response, counts, np.arange(len(shown))
    sums, real = np.zeros((2, len(found), *response.shape[1:]))
    np.add.at(sums, np.ravel(inverse), np.nan_to_num(response, nan=0.0))
    np.add.at(real, np.ravel(inverse), ~np.isnan(response))
    means = np.divide(sums, real, out=np.full(sums.shape, np.nan), where=real > 0)
    return list(found[order]), means[order], counts, first[order]


def _clock(features: xr.Dataset, recording: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """Features (n, p) without time, or (n, p, time) of the recording's times."""
    if x.shape[2] == 1:
        return x[..., 0]
    times = [
        np.asarray(part["time"].values, float) if "time" in part.coords else np.zeros(0)
        for part in (features, recording)
    ]
    if times[0].shape != times[1].shape or not np.allclose(times[0], times[1]):
        raise ValueError(
            f"features: have {x.shape[2]} times that are not those of the recording ({times[1].size}); "
            "choose one time, or record the model at the recording's times"
        )
    return x
