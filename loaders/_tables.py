"""CSV tables as muse-lsl writes them: one file a run, one row a sample, microvolts, a marker column."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

VOLT = 1e-6  # of one microvolt
LOST = 0.05  # seconds by which a timestamp may stray from its row before samples must have been lost


class Run(NamedTuple):
    """One table: volts (channel, sample) at an even rate, and the samples and codes of its markers."""

    path: Path
    names: list[str]
    kinds: list[str]
    volts: NDArray[np.float64]
    sfreq: float
    samples: NDArray[np.int64]
    codes: NDArray[np.int64]
    jitter_s: float


def is_table(path: Path) -> bool:
    """Whether a file is such a table: a .csv with `timestamps` first and a marker column."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as stream:
        header = stream.readline(4096).decode("utf-8", "replace").strip().split(",")
    return header[0] == "timestamps" and any(name.startswith("Marker") for name in header)


def files(path: Path) -> list[Path]:
    """The tables of a folder, or the one table, by name.

    >>> files(Path("nowhere"))
    []
    """
    if path.is_dir():
        return sorted(item for item in path.glob("*.csv") if is_table(item))
    return [path] if is_table(path) else []


def read(path: Path) -> Run:
    """One table as samples at an even rate.

    Rows are taken as consecutive samples: a headset sends packets over Bluetooth, so timestamps stray from
    the even grid (by some 30 ms) although no row is absent; the largest stray is `jitter_s`. Where timestamps
    show that rows are absent ValueError names the line.
    """
    header, data = _numbers(path)
    channels = [i for i, name in enumerate(header) if name != "timestamps" and not name.startswith("Marker")]
    marker = next(i for i, name in enumerate(header) if name.startswith("Marker"))
    sfreq, jitter = _rate(path, data[:, 0])
    codes = data[:, marker].astype(np.int64)
    samples = np.flatnonzero((codes != 0) & (np.r_[0, codes[:-1]] != codes))
    kinds = ["misc" if "AUX" in header[i].upper() else "eeg" for i in channels]
    names = [header[i] for i in channels]
    return Run(path, names, kinds, data[:, channels].T * VOLT, sfreq, samples, codes[samples], jitter)


def _numbers(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8 text; is it a table?") from None
    header = lines[0].split(",")
    if len(set(header)) < len(header):
        raise ValueError(f"{path}:1: two columns have one name ({lines[0]}); name each once")
    try:
        data = np.loadtxt(lines[1:], delimiter=",", ndmin=2)
        if data.shape[1] != len(header):
            raise ValueError
    except ValueError:
        number, why = _first_bad(lines, len(header))
        raise ValueError(f"{path}:{number}: {why}; is the file cut?") from None
    if len(data) < 2:
        raise ValueError(f"{path}: holds {len(data)} samples; fetch the whole file")
    bad = np.argwhere(~np.isfinite(data))
    if bad.size:
        row, column = bad[0]
        raise ValueError(
            f"{path}:{row + 2}: {header[column]}: {data[row, column]} in the data; mend or leave out"
        )
    return header, data


def _first_bad(lines: list[str], width: int) -> tuple[int, str]:
    for number, line in enumerate(lines[1:], 2):
        cells = line.split(",")
        if len(cells) != width:
            return number, f"has {len(cells)} cells, the header {width}"
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                return number, f"{cell!r} is not a number"
    return 1, "holds no samples"


def _rate(path: Path, timestamps: NDArray[np.float64]) -> tuple[float, float]:
    """Samples a second (whole if within a thousandth), and the largest stray from the even grid, in s."""
    span = timestamps[-1] - timestamps[0]
    if span <= 0:
        raise ValueError(f"{path}: column timestamps: does not increase; give seconds")
    rate = (len(timestamps) - 1) / span
    sfreq = float(round(rate)) if round(rate) and abs(rate / round(rate) - 1) < 1e-3 else float(rate)
    stray = timestamps - timestamps[0] - np.arange(len(timestamps)) / sfreq
    stray -= np.median(stray)
    step = np.flatnonzero(np.abs(stray) > LOST)
    if step.size:
        row = int(np.argmax(np.diff(timestamps)))
        raise ValueError(
            f"{path}:{row + 3}: timestamps stray {np.abs(stray).max():.3g} s from {sfreq:g} a second; "
            "samples are absent: cut the table there into two runs"
        )
    return sfreq, float(np.abs(stray).max())
