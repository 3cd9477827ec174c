"""A module as Brain-Score's BrainModel: identifier, visual_degrees, start_task, start_recording, look_at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from loaders.schema import nearest
from pipeline.models import _weights

from . import _stimuli, record


def identifier(module: nn.Module, text: str, layers: Mapping[str, str], numbers: Mapping[str, Any]) -> str:
    """A name that changes with the weights, the layers and the preprocessing."""
    word = json.loads(text)["use"].removesuffix(".build").rpartition(".")[2]
    told = json.dumps([str(module), dict(layers), dict(numbers)], sort_keys=True, default=str)
    key = hashlib.sha256((_weights.digest(module) + told).encode()).hexdigest()[:16]
    return f"neuroloop.{word}.{key}"


def brain_model(
    name: str, module: nn.Module, layers: Mapping[str, str], degrees: float, size: int | None,
    numbers: Mapping[str, Any], to_assembly: Callable[[xr.Dataset], Any],
) -> Any:  # fmt: skip
    """The five methods; whoever calls them is told of a task that a recording cannot do."""
    state: dict[str, Any] = {}

    class Recorded:
        identifier = name

        def visual_degrees(self) -> float:
            return degrees

        def start_task(self, task: Any, fitting_stimuli: Any = None) -> None:
            if task != "passive":
                raise ValueError(
                    f"benchmark: asks for the task {task!r}; a module is recorded, it does not answer"
                )

        def start_recording(self, recording_target: str, time_bins: Sequence[tuple[int, int]]) -> None:
            if recording_target not in layers:
                raise ValueError(
                    f"layers: none for region {recording_target!r}; {nearest(recording_target, layers)}"
                )
            state.update(
                layer=layers[recording_target],
                bins=[np.asarray(bin).item() if np.ndim(bin) == 0 else tuple(bin) for bin in time_bins],
            )

        def look_at(self, stimuli: Any, number_of_trials: int = 1, require_variance: bool = False) -> Any:
            ids = list(stimuli["stimulus_id"])
            pictures = _stimuli.read([str(stimuli.get_stimulus(one)) for one in ids], size)
            found = record.activations(pictures, module, layers=[state["layer"]], **numbers)
            columns = {
                str(column): ("presentation", stimuli[column].to_numpy())
                for column in stimuli.columns
            }  # fmt: skip
            return to_assembly(_binned(found.assign_coords(columns), state["bins"]))

    return Recorded()


def _binned(recording: xr.Dataset, bins: Sequence[tuple[float, ...]]) -> xr.Dataset:
    """The response in each bin [ms]: of the step nearest to its centre, or the one response there is."""
    edges = np.array(bins, float)
    centre = edges.mean(1) / 1000
    response = recording["response"].values.astype(float)
    if response.ndim == 2:
        response = np.repeat(response[..., None], len(bins), 2)
    else:
        steps = recording["time"].values
        response = response[..., np.abs(steps[None] - centre[:, None]).argmin(1)]
    bare = recording.drop_vars(["response", *(["time"] if "time" in recording.coords else [])])
    made = bare.assign(response=(("presentation", "neuroid", "time"), response, {"units": "1"}))
    ends = {"time_bin_start": ("time", edges[:, 0]), "time_bin_end": ("time", edges[:, 1])}
    return made.assign_coords(time=centre, **ends)
