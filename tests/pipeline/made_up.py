"""Steps that a test can see through; the runner is told to trust this file."""

from __future__ import annotations

import hashlib
import subprocess
import time
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr


def files(path: str, *, subject: str, seed: int = 0) -> xr.Dataset:
    """A folder of one file of noise."""
    name = f"sub-{subject}/noise.bin"
    file = Path(path) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = np.random.default_rng([seed, int(subject)]).normal(size=(40, 5, 30)).tobytes()
    file.write_bytes(raw)
    return xr.Dataset(
        {"bytes": ("file", [len(raw)], {"units": "B"})},
        {"name": ("file", [name]), "sha256": ("file", [hashlib.sha256(raw).hexdigest()])},
        {"origin": "simulated"},
    )


def recording(path: str, *, gain: float = 1.0, manifest: xr.Dataset | None = None) -> xr.Dataset:
    """Noise, times gain."""
    raw = (Path(path) / "noise.bin").read_bytes()
    return noise(gain=gain, _values=np.frombuffer(raw).reshape(40, 5, 30))


def noise(
    *, gain: float = 1.0, subject: str = "1", wide: int = 1, _values: np.ndarray | None = None
) -> xr.Dataset:
    """A recording of nothing."""
    rng = np.random.default_rng(int(subject))
    values = rng.normal(size=(40, 5 * wide, 30)) if _values is None else _values
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), values * gain, {"units": "V"})},
        {
            "stimulus_id": ("presentation", [f"é{number % 4}" for number in range(40)]),
            "neuroid_id": ("neuroid", [f"n{number}" for number in range(values.shape[1])]),
            "time": np.arange(30) / 100,
        },
    )


def mean(recording: xr.Dataset, *, spread: Literal["none", "sd"] = "none", trials: bool = True) -> xr.Dataset:
    """The mean over everything but time, and over everything but presentations."""
    response = recording["response"]
    made = {"level": ("time", np.asarray(response.values.mean((0, 1))), {"units": "V"})}
    if trials:
        made["decision"] = ("presentation", np.asarray(response.values.mean((1, 2))), {"units": "V"})
    coordinates = {"time": recording["time"].values}
    if trials:
        coordinates["stimulus_id"] = ("presentation", recording["stimulus_id"].values)
    return xr.Dataset(made, coordinates)


def lazy(recording: xr.Dataset, *, parts: int = 3) -> xr.Dataset:
    """Twice the response, left to be computed."""
    response = recording["response"].chunk({"time": -(-30 // parts)})
    made = (response * 2.0).assign_attrs(units="V")
    return xr.Dataset({"response": made}, recording.coords)


def across(recording: xr.Dataset) -> xr.Dataset:
    """The mean over units; attrs pass through."""
    level = recording["level"]
    return xr.Dataset(
        {"level": ("time", level.values.mean(0), {"units": "V"})},
        {"time": recording["time"].values, level.dims[0]: recording[level.dims[0]]},
        dict(recording.attrs),
    )


def reads(path: str) -> xr.Dataset:
    """The number of bytes of a file."""
    size = float(len(Path(path).read_bytes()))
    return xr.Dataset({"level": ("bin", [size], {"units": "B"})})


def warns(subject: str, folder: str = "") -> xr.Dataset:
    """A warning, twice, and what it is about."""
    for _ in range(2):
        warnings.warn(f"{folder}/events.tsv: not sorted", UserWarning, stacklevel=2)
    return noise(subject=subject)


def fails(recording: xr.Dataset, *, subject: str, bad: tuple[str, ...], kind: str = "value") -> xr.Dataset:
    """What is read, except for bad subjects."""
    if subject in bad:
        kinds = {"value": ValueError, "work": RuntimeError, "exit": SystemExit, "disk": OSError}
        raise kinds[kind](f"sub-{subject}/events.tsv:3: onset: 'n/a' is not a number; mend the table")
    return mean(recording)


def refuses(recording: xr.Dataset, *, why: str, folds: int = 5, subject: str = "") -> xr.Dataset:
    """Nothing: says why."""
    raise ValueError(why)


def sleeps(subject: str, *, seconds: float = 0.05, child: bool = False) -> xr.Dataset:
    """Noise, late; with a child that sleeps meanwhile."""
    if child:
        with subprocess.Popen(["sleep", str(seconds)]) as process:
            try:
                process.wait()
            except BaseException:
                process.kill()
                raise
    else:
        time.sleep(seconds)
    return noise(subject=subject)


def slow(recording: xr.Dataset, *, seconds: float = 0.02) -> xr.Dataset:
    """Twice the response, computed late and bit by bit."""

    def double(block: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return 2 * block

    response = recording["response"].chunk({"time": 1})
    data = response.data.map_blocks(double, dtype=float)
    return xr.Dataset({"response": (response.dims, data, {"units": "V"})}, recording.coords)


def wrong(what: str) -> object:
    """Something that is no result."""
    bad = xr.Dataset({"level": ("tme", [1.0], {"units": "V"})})
    return {"number": 3, "dimension": bad, "units": bad.rename(tme="time").map(lambda item: item)}[what]


def part(x: float, *, depth: int = 2, inner: object = None) -> float:
    """For a nested {use, with}."""
    return x * depth


def takes(model: object, *, numbers: tuple[int, int] = (1, 2), flag: bool = False) -> xr.Dataset:
    """Calls what it is given."""
    value = float(model(3.0)) + sum(numbers)  # type: ignore[operator]
    return xr.Dataset({"level": ("bin", [value], {"units": "1"})}, attrs={"kind": type(numbers).__name__})


def plot(result: xr.Dataset) -> object:
    """The level over time."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(result["level"].values)
    return figure
