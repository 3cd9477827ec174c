"""BIDS events tables: text to one row a presentation, with every fault told by its line.

Nothing here needs a recording, so the true design of an experiment can be read where its signals are absent.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .schema import nearest

OWN = {
    "presentation", "stimulus", "neuroid", "feature", "time", "test_time", "channel", "y", "x", "event",
    "spike", "fold", "subject", "recording", "condition", "permutation", "bootstrap",
    "response", "neuroid_id", "line",
}  # fmt: skip
CONDITION = ("trial_type", "stim_type", "event_type", "value")
STIMULUS = ("stimulus_id", "stim_file", "stim_id", "stimulus")
MISSING = ("n/a", "")
OVERLAP = 5.0  # durations this many times longer than the gaps are a wrong unit, shorter ones only remarked


def table(path: Path, condition: str | None = None, stimulus: str | None = None) -> xr.Dataset:
    """One row of an events.tsv a presentation, in the order of time.

    Every column becomes a coordinate. `trial_type` is the condition: the column named, else the first of
    trial_type, stim_type, event_type and value that tells two kinds apart, else the first that is filled; the
    choice stands in attrs. `stimulus_id` is the column named, else the first of stimulus_id, stim_file,
    stim_id and stimulus, else the condition. `line` is where the row stands in the file.
    """
    names, rows, lines = _cells(path)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    onset = _seconds(path, columns, "onset", lines)
    if "duration" in columns:
        _seconds(path, columns, "duration", lines)
    chosen = _condition(path, columns, condition)
    kind = columns[chosen] if chosen else [""] * len(rows)
    subject = _column(path, columns, stimulus, STIMULUS)
    coordinates: dict[str, Any] = {safe(name): typed(cells) for name, cells in columns.items()}
    coordinates |= {"onset": onset, "line": np.array(lines), "trial_type": np.array(kind, str)}
    coordinates["stimulus_id"] = np.array(columns[subject] if subject else kind, str)
    dataset = xr.Dataset(coords={name: ("presentation", value) for name, value in coordinates.items()})
    dataset["onset"].attrs["units"] = "s"
    if "duration" in dataset.coords:
        dataset["duration"].attrs["units"] = "s"
    dataset.attrs |= {"condition_column": chosen or "none", "stimulus_column": subject or chosen or "none"}
    return _in_order(path, dataset)


def counts(values: NDArray[Any]) -> str:
    """Each value with how often it stands, as text.

    >>> counts(np.array(["face", "house", "face"]))
    'face 2, house 1'
    """
    names, numbers = np.unique(np.asarray(values, str), return_counts=True)
    return ", ".join(f"{name} {number}" for name, number in zip(names, numbers, strict=True))


def repetitions(stimulus: NDArray[Any]) -> NDArray[np.int64]:
    """How often each stimulus stood before.

    >>> repetitions(np.array(["a", "b", "a"])).tolist()
    [0, 0, 1]
    """
    seen: dict[str, int] = {}
    result = np.zeros(len(stimulus), np.int64)
    for row, name in enumerate(stimulus.tolist()):
        result[row] = seen.get(name, 0)
        seen[name] = result[row] + 1
    return result


def typed(cells: list[str]) -> NDArray[Any]:
    """Whole numbers, else numbers with n/a as NaN, else text; codes such as 01 stay text.

    >>> typed(["1", "2"]), typed(["0.5", "n/a"]), typed(["01", "2"])
    (array([1, 2]), array([0.5, nan]), array(['01', '2'], dtype='<U2'))
    """
    filled = [cell for cell in cells if cell not in MISSING]
    if not filled or any(_number(cell) is None or _code(cell) for cell in filled):
        return np.array(cells, str)
    if len(filled) == len(cells) and all(cell.lstrip("-").isdigit() for cell in cells):
        return np.array([int(cell) for cell in cells])
    return np.array([np.nan if cell in MISSING else float(cell) for cell in cells])


def check_units(path: Path, dataset: xr.Dataset, sfreq: float | None = None) -> None:
    """Durations do not outlast most gaps between onsets many times over; ValueError, or a warning."""
    if (
        "duration" not in dataset.coords
        or dataset["duration"].dtype.kind not in "if"
        or len(dataset.onset) < 3
    ):
        return
    gap = np.diff(np.asarray(dataset["onset"].values))
    duration = np.asarray(dataset["duration"].values, float)[:-1]
    told = (duration > 0) & (gap > 0)
    ratio = duration[told] / gap[told]
    if told.sum() <= len(gap) / 2 or np.median(ratio) <= 1:
        return
    long = f"{path}: column duration: {np.mean(ratio > 1):.0%} last longer than the gap to the next onset"
    if np.median(ratio) > OVERLAP:
        samples = f" or samples (x {sfreq:g})" if sfreq else " or samples"
        raise ValueError(
            f"{long}, {np.median(ratio):.3g} times in the median; in ms (x 1000){samples}? give s"
        )
    warnings.warn(f"{long}; trials overlap", UserWarning, stacklevel=2)


def check_within(path: Path, dataset: xr.Dataset, seconds: float) -> None:
    """Every onset lies inside the recording; ValueError names the line of the first that does not."""
    late = np.flatnonzero(np.asarray(dataset["onset"].values) >= seconds)
    if late.size:
        row = dataset.isel(presentation=late[0])
        raise ValueError(
            f"{path}:{int(row.line)}: onset {float(row.onset):g} s: {late.size} onsets are after the "
            f"end of the recording, which lasts {seconds:.6g} s; is it in samples or ms, or the file cut?"
        )


def stimuli(path: Path, root: Path, dataset: xr.Dataset) -> xr.Dataset:
    """With `stimulus_hash`, the sha256 of each image, where the images are at hand.

    The images are looked for in `root`/stimuli. ValueError names an image that is absent, outside `root`, or
    not the only one under its name; where the folder is absent nothing is checked.
    """
    folder = root / "stimuli"
    if "stim_file" not in dataset.coords or not folder.is_dir():
        return dataset
    files = np.asarray(dataset["stim_file"].values, str)
    digests = dict.fromkeys(MISSING, "n/a")
    for row, name in enumerate(files.tolist()):
        if name not in digests:
            where = f"{path}:{int(dataset.line[row])}: stim_file {name!r}"
            digests[name] = _digest(where, root, [folder / name, root / name])
    hashes = np.array([digests[name] for name in files.tolist()], str)
    return dataset.assign_coords(stimulus_hash=("presentation", hashes))


def one_id_an_image(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    """Names of one image become one `stimulus_id`, with a warning; ValueError if one names two images."""
    if "stimulus_hash" not in dataset.coords:
        return dataset
    ids, hashes = (np.asarray(dataset[name].values, str) for name in ("stimulus_id", "stimulus_hash"))
    for name in np.unique(ids[hashes != "n/a"]).tolist():
        if len(np.unique(hashes[(ids == name) & (hashes != "n/a")])) > 1:
            raise ValueError(f"{path}: stimulus_id {name!r}: names two different images; give each its own")
    first = {digest: ids[hashes == digest][0] for digest in np.unique(hashes) if digest != "n/a"}
    merged = [first.get(digest, name) for digest, name in zip(hashes.tolist(), ids.tolist(), strict=True)]
    renamed = ", ".join(sorted(set(ids.tolist()) - set(merged))[:5])
    if renamed:
        text = f"{path}: stimulus_id {renamed}: another name has the same image; one id is kept"
        warnings.warn(text, UserWarning, stacklevel=2)
    return dataset.assign_coords(stimulus_id=("presentation", np.array(merged, str)))


def _digest(where: str, root: Path, places: list[Path]) -> str:
    found = set()
    for place in places:
        if not place.resolve().is_relative_to(root.resolve()):
            raise ValueError(f"{where}: lies outside {root}; keep stimuli inside the dataset")
        if place.is_file():
            found.add(hashlib.sha256(place.read_bytes()).hexdigest())
    if len(found) > 1:
        raise ValueError(f"{where}: is two different images, in stimuli/ and in the root; keep one")
    if not found:
        raise ValueError(f"{where}: is not in {root / 'stimuli'}; fetch the image or correct the name")
    return found.pop()


def _cells(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and their line numbers; ValueError tells what kind of table it really is."""
    if not path.is_file():
        raise ValueError(f"{path}: is missing; write an events table, or name a stim_channel")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start]
        raise ValueError(
            f"{path}:{line}: byte 0x{byte:02x}: is not UTF-8 (Latin-1?); save as UTF-8"
        ) from None
    content = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    header = content[0].split("\t")
    if not text.strip():
        raise ValueError(f"{path}: is empty; write an events table with onset and duration")
    if len(header) == 1 and "," in content[0]:
        raise ValueError(f"{path}:1: looks comma separated; separate columns by tabs")
    if len(header) == 1 and " " in content[0].strip():
        raise ValueError(f"{path}:1: looks separated by spaces; separate columns by tabs")
    if len(set(header)) < len(header):
        raise ValueError(f"{path}:1: two columns have one name ({', '.join(header)}); name each once")
    rows, lines = [], []
    for number, row in enumerate(content[1:], 2):
        cells = row.split("\t")
        if len(cells) != len(header):
            hint = "a quoted tab?" if '"' in row else "spaces in place of tabs?"
            raise ValueError(
                f"{path}:{number}: has {len(cells)} cells the header {len(header)} ({hint}); one tab between"
            )
        rows.append([cell.strip() for cell in cells])
        lines.append(number)
    if not rows:
        raise ValueError(f"{path}: has a header and no trials; write one row a trial")
    return header, rows, lines


def _seconds(path: Path, columns: dict[str, list[str]], name: str, lines: list[int]) -> NDArray[np.float64]:
    if name not in columns:
        raise ValueError(f"{path}:1: no column {name!r} among {', '.join(columns)}; {nearest(name, columns)}")
    seconds = np.full(len(lines), np.nan)
    for row, (cell, line) in enumerate(zip(columns[name], lines, strict=True)):
        if cell in MISSING and name != "onset":
            continue
        value = _number(cell)
        where = f"{path}:{line}: {name} {cell!r}"
        if value is None and _number(cell.replace(",", ".", 1)) is not None:
            raise ValueError(f"{where} has a decimal comma; write a point")
        if value is None:
            raise ValueError(f"{where} is not a number; give seconds")
        if value < 0:
            raise ValueError(f"{where} is negative; give seconds from the start of the recording")
        seconds[row] = value
    return seconds


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if np.isfinite(value) and "_" not in cell else None


def _code(cell: str) -> bool:
    digits = cell.lstrip("-")
    return len(digits) > 1 and digits[0] == "0" and digits.isdigit()


def safe(name: str) -> str:
    """A column's name as a coordinate's: no slash, and none of the house's own words.

    >>> safe("time")
    'event_time'
    """
    name = name.replace("/", "_")
    return f"event_{name}" if name in OWN else name


def _condition(path: Path, columns: dict[str, list[str]], wanted: str | None) -> str | None:
    if wanted is not None:
        return _column(path, columns, wanted, ())
    kinds = {name: set(columns[name]) - set(MISSING) for name in CONDITION if name in columns}
    telling = [name for name, kind in kinds.items() if len(kind) > 1] or [
        n for n, kind in kinds.items() if kind
    ]
    return telling[0] if telling else None


def _column(
    path: Path, columns: dict[str, list[str]], wanted: str | None, usual: tuple[str, ...]
) -> str | None:
    if wanted is not None and wanted not in columns:
        raise ValueError(f"{path}:1: no column {wanted!r}; {nearest(wanted, columns)}")
    if wanted is not None:
        return wanted
    return next((name for name in usual if set(columns.get(name, [])) - set(MISSING)), None)


def _in_order(path: Path, dataset: xr.Dataset) -> xr.Dataset:
    onset = np.asarray(dataset["onset"].values)
    if (np.diff(onset) < 0).any():
        row = int(np.flatnonzero(np.diff(onset) < 0)[0]) + 1
        warnings.warn(
            f"{path}:{int(dataset.line[row])}: onset {onset[row]:g} follows a later one; rows were sorted",
            UserWarning, stacklevel=3,
        )  # fmt: skip
        kinds = np.asarray(dataset["trial_type"].values, str)
        dataset = dataset.isel(presentation=np.lexsort((kinds, onset)))
    pairs = list(zip(dataset.onset.values.tolist(), dataset.trial_type.values.tolist(), strict=True))
    seen: dict[tuple[float, str], int] = {}
    for pair, line in zip(pairs, dataset.line.values.tolist(), strict=True):
        if pair in seen:
            raise ValueError(
                f"{path}:{line}: onset {pair[0]:g} {pair[1]!r} stands in line {seen[pair]} too; keep one"
            )
        seen[pair] = line
    return dataset
