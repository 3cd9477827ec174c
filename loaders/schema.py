"""The vocabulary of every Dataset in the house, and `check`, the one contract.

One noun serves recordings, images, scores and trained weights: a plain `xr.Dataset` with the dimension names
below, flat coordinates, and `units` on every variable. Nothing subclasses xarray and nothing wraps it.
A weight of a network, named by its path, has axes of its own: `conv1.weight.0`, `conv1.weight.1`, ...
"""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np
import xarray as xr

DIMENSIONS = {
    "presentation": "one showing of one stimulus: a trial",
    "stimulus": "one distinct stimulus",
    "neuroid": "one measured channel: sensor, electrode, unit, voxel or model unit",
    "feature": "a neuroid in the role of predictor",
    "time": "seconds from stimulus onset",
    "test_time": "seconds from stimulus onset, where `time` is already the time of training",
    "channel": "colour plane of an image",
    "y": "row of pixels, from the top",
    "x": "column of pixels, from the left",
    "event": "one row of an event-camera recording",
    "spike": "one row of a spike list",
    "fold": "one split of presentations into training and test",
    "subject": "one person or animal",
    "recording": "one session with one set of electrodes",
    "seed": "one random start",
    "condition": "one of many stimuli or classes compared in pairs",
    "other_condition": "the second of a pair of conditions",
    "train_condition": "the condition a decoder was trained in",
    "test_condition": "the condition a decoder was tested in",
    "permutation": "one relabelling or set of sign flips",
    "bootstrap": "one resampling of the presentations, or of the units",
    "cluster": "one connected set of places above a threshold",
    "method": "one of several ways to estimate the same number",
    "family": "one kind of image features, or of channels",
    "claim": "one sentence that a result may or may not support",
    "draw": "one data set of a simulation",
    "setting": "one of many planted truths that an estimate was tried on",
    "model": "one model, or one hypothesis, that is compared with a brain",
    "other_model": "the second of a pair of models",
    "other_neuroid": "the second of a pair of neuroids",
    "order": "place in a sequence of presentations",
    "attack": "one search for a perturbation",
    "flag": "one sign that an attack may be weaker than it seems",
    "arm": "one of several networks or perturbations compared with each other",
    "day": "one round of attacking, recording and fitting again",
    "restart": "one random start of a search",
    "step": "one step of a search",
    "dichotomy": "one way to split conditions into two halves",
    "hole": "one loop of a cloud of points",
    "component": "one direction of a space of fewer dimensions",
    "continuum": "one series of pictures from one to another",
    "place": "one position along a continuum",
    "level": "one height of a landscape",
    "u": "first coordinate on a grid of pictures",
    "v": "second coordinate on a grid of pictures",
    "code": "one way to read spikes: how many, when the first, or both",
    "lag": "seconds between two responses",
    "width": "seconds of a bin in which spikes are counted",
    "jitter": "seconds by which spikes were moved",
    "property": "one property of a population code",
    "bin": "one bin of a histogram",
    "key": "one coordinate that an audit looked at",
    "file": "one file of a folder that a step wrote",
    "epoch": "one pass over the training stimuli",
    "epsilon": "size of a perturbation",
    "layer": "one layer of a model",
    "corruption": "one way to spoil pictures",
    "severity": "how much of it, from 1 to 5",
    "term": "one part of a loss",
    "frequency": "cycles a picture, the lowest of an octave",
    "frequency_y": "cycles a picture, downwards",
    "frequency_x": "cycles a picture, from left to right",
}

REQUIRED = {  # a variable of this name has these dimensions first, and these coordinates
    "response": (("presentation", "neuroid"), ("stimulus_id", "neuroid_id")),
    "image": (("stimulus", "channel", "y", "x"), ("stimulus_id",)),
}


def check(dataset: xr.Dataset) -> xr.Dataset:
    """The Dataset itself, once it is known to speak the house's language.

    Reads    any Dataset
    Returns  the same object; ValueError names the first name, index or unit that is wrong
    >>> check(xr.Dataset({"auc": ("tme", [0.5], {"units": "1"})}))
    Traceback (most recent call last):
    ...
    ValueError: dimension 'tme': not in the vocabulary; did you mean 'time'?
    """
    for name in map(str, dataset.dims):
        if name not in DIMENSIONS and name.rpartition(".")[0] not in dataset.data_vars:
            raise ValueError(f"dimension {name!r}: not in the vocabulary; {nearest(name, DIMENSIONS)}")
    for key, variable in dataset.variables.items():
        _check_variable(str(key), variable)
    for name in map(str, dataset.data_vars):
        if "units" not in dataset[name].attrs:
            raise ValueError(f"variable {name!r}: has no units; give attrs['units'], '1' for a plain number")
    for name, (dims, coordinates) in REQUIRED.items():
        if name in dataset:
            _check_required(dataset, name, dims, coordinates)
    for name in ("time", "test_time"):
        if name in dataset.coords:
            _check_increasing(name, np.asarray(dataset[name].values))
    if "neuroid_id" in dataset.coords:
        _check_unique("neuroid_id", np.asarray(dataset["neuroid_id"].values))
    return dataset


def nearest(name: str, known: object) -> str:
    """The nearest right name, as the end of an error message.

    Reads    name, what was given; known, the right names
    Returns  a question with the nearest, else a list of the first twelve
    >>> nearest("presentatoin", DIMENSIONS)
    "did you mean 'presentation'?"
    """
    names = [str(word) for word in known]  # type: ignore[attr-defined]
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "known are " + ", ".join(sorted(names)[:12])


def _check_variable(name: str, variable: xr.Variable) -> None:
    if variable.ndim == 0:
        raise ValueError(f"variable {name!r}: is a scalar, which the store cannot protect; keep it in attrs")
    if variable.dtype.kind not in "fiubUSOc":
        raise ValueError(
            f"variable {name!r}: has type {variable.dtype}; numbers, booleans and text are stored"
        )
    if variable.dtype.kind == "O" and not all(isinstance(item, str) for item in np.ravel(variable.values)):
        raise ValueError(f"variable {name!r}: holds Python objects; numbers, booleans and text are stored")


def _check_required(
    dataset: xr.Dataset, name: str, dims: tuple[str, ...], coordinates: tuple[str, ...]
) -> None:
    if dataset[name].dims[: len(dims)] != dims:
        got = ", ".join(map(str, dataset[name].dims))
        raise ValueError(f"variable {name!r}: has dimensions ({got}); wanted ({', '.join(dims)}) first")
    for coordinate in coordinates:
        if coordinate not in dataset.coords:
            raise ValueError(
                f"coordinate {coordinate!r}: missing beside {name!r}; {nearest(coordinate, dataset.coords)}"
            )


def _check_increasing(name: str, time: np.ndarray) -> None:
    steps = np.diff(time)
    bad = np.flatnonzero(~(steps > 0))
    if bad.size:
        raise ValueError(f"coordinate {name!r}: does not increase at index {bad[0] + 1}; sort it, once each")


def _check_unique(name: str, values: np.ndarray) -> None:
    found, counts = np.unique(values.astype(str), return_counts=True)
    if (counts > 1).any():
        twice = ", ".join(found[counts > 1][:5])
        raise ValueError(f"coordinate {name!r}: {twice} stand more than once; make each name unique")
