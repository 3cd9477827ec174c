"""The numbers of results: what is stored, tables short enough to read, and files to take along."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ._found import STAMPED, Found, attrs
from ._page import cell, details, download, element, error_line, joined, label, number, table, tried, undated
from ._steps import Study

if TYPE_CHECKING:
    import xarray as xr

ROWS, COLUMNS = 24, 10  # of a table that is read
MATRICES = 1  # tables of two dimensions, for each result
MANY = (  # dimensions along which values are summed up, not listed
    "presentation", "permutation", "bootstrap", "neuroid", "spike", "event", "file",
    "stimulus", "claim",
)  # fmt: skip
METHODS = (  # attributes that results inherit from what they read: told once, under methods
    "label", "classes", "presentations", "estimator", "folds", "kept_apart", "shared", "origin", "filter",
    "trigger_delay_s", "bin_width", "simultaneous",
)  # fmt: skip
TAKEN = 2 * 10**6  # bytes of all files to take along
LIMIT = 10**6  # bytes of one file to take along
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run


def numbers(plan: Study, records: Sequence[Found]) -> Markup:
    """What results hold: those of the whole study in full, those of units in one table for each step.

    Reads    a study and what it has made
    Returns  Markup; analyses stand before recordings
    """
    left, made, untold = TAKEN, [], []
    recorded = {one.job.step for one in records if "response" in (one.dataset or ())}
    for step in sorted(plan.steps, key=lambda name: (not plan.steps[name].once, name in recorded)):
        own = [one for one in records if one.job.step == step and one.dataset is not None]
        if own and plan.steps[step].once:
            parts = [tried(step, partial(make, own[0])) for make in (facts, summary, tables)]
            links, used = _links(own[0], left)
            left -= used
            made.append(joined(element("h3", label(step)), *parts, links))
        elif own:
            told = tried(step, partial(units, own, plan.dimension))
            made.append(joined(element("h3", label(step)), told) if told else Markup())
            untold.append(f"{plan.name}/{step}/*.nc")
    if untold:
        files = element("code", ", ".join(untold))
        made.append(element("p", f"All values of every {plan.dimension}: ", files, class_="quiet"))
    return joined(*made) or element("p", "No result stands.")


def _links(one: Found, left: int) -> tuple[Markup, int]:
    try:
        return files(one, left)
    except Exception as error:
        return element("p", "No file to take along: ", label(error_line(error), 300)), 0


def summary(one: Found) -> Markup:
    """A table of what a result holds: every variable with its dimensions and range."""
    assert one.dataset is not None
    rows: list[tuple[Any, ...]] = []
    weights = [name for name, variable in one.dataset.data_vars.items() if _weight(variable)]
    for name, variable in one.dataset.data_vars.items():
        if name in weights:
            continue
        dims = ", ".join(f"{dim} {size}" for dim, size in variable.sizes.items())
        rows.append((label(name), label(dims), label(variable.attrs.get("units", "")), *_range(variable)))
    if weights:
        count = sum(int(one.dataset[name].size) for name in weights)
        rows.append((f"{len(weights)} weights and buffers", f"{count} numbers", "1", *[""] * 4))
    columns = ("variable", "dimensions", "unit", "lowest", "mean", "highest", "n/a")
    return table(f"What {one.job} holds", columns, rows, f"Variables of {one.job}")


def facts(one: Found) -> Markup:
    """What a result says of itself in single values, without what the methods tell; folded for recordings."""
    hidden = (*STAMPED, *METHODS)
    told = [(key, value) for key, value in attrs(one).items() if key not in hidden and key[0] != "_"]
    pairs = [element("dt", label(key.replace("_", " "))) + element("dd", fact(value)) for key, value in told]
    made = element("dl", *pairs) if pairs else Markup()
    return (
        details(f"What {one.job} states: {len(pairs)}", made) if "response" in (one.dataset or ()) else made
    )


def fact(value: Any) -> Markup:
    """A single value; text that is empty says so."""
    return element("span", "none", class_="quiet") if isinstance(value, str) and not value else cell(value)


def tables(one: Found) -> Markup:
    """Tables of the values themselves: one for all variables along one dimension, one for each matrix."""
    assert one.dataset is not None
    made, matrices = [], 0
    for dims, names in _groups(one.dataset):
        if not names or set(dims) & set(MANY) or _weight(one.dataset[names[0]]):
            continue
        if len(dims) == 1:
            made.append(_columns(one, dims[0], names))
        elif len(dims) == 2:
            for name in names[: MATRICES - matrices]:
                made.append(_matrix(one, dims, name))
                matrices += 1
    return joined(*made)


def files(one: Found, left: int) -> tuple[Markup, int]:
    """Links to all values of a result as CSV, and how many bytes they take of those that are left."""
    assert one.dataset is not None
    links, used = [], 0
    for dims, names in _groups(one.dataset, whole=True):
        if _weight(one.dataset[names[0]]):
            continue
        size = math.prod(one.dataset.sizes[dim] for dim in dims) * (8 * len(dims) + 19 * len(names))
        if size > min(LIMIT, left - used):
            what = f"{', '.join(names)} ({' × '.join(dims)}): too large for this page; read "
            links.append(joined(label(what, 300), element("code", one.file)))
            continue
        content = comma_separated(one.dataset, dims, names)
        used += len(content)
        file = f"{one.file.removesuffix('.nc').replace('/', '_')}_{names[0]}.csv"
        said = joined("Download ", label(f"{', '.join(names)} by {', '.join(dims)}", 300), " as CSV")
        links.append(download(content, file, said) + f" ({_bytes(len(content))})")
    return element("ul", *(element("li", link) for link in links)), used


def comma_separated(dataset: xr.Dataset, dims: Sequence[str], names: Sequence[str]) -> bytes:
    """Every value in full precision, one line for each; text that a spreadsheet would run is quoted.

    Reads    variables that share their dimensions
    Returns  UTF-8 text: the dimensions, then the variables; NaN is n/a
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*dims, *map(_plain, names)])
    labels = [[_plain(value) for value in _labels(dataset, dim)] for dim in dims]
    values = [np.asarray(dataset[name].transpose(*dims).values) for name in names]
    for place in np.ndindex(*(len(column) for column in labels)):
        written = (_plain(value[place]) for value in values)
        writer.writerow([*(column[at] for column, at in zip(labels, place, strict=True)), *written])
    return stream.getvalue().encode("utf-8", "backslashreplace")


def units(records: Sequence[Found], dimension: str) -> Markup:
    """One row for each unit: the mean of every variable, and its range."""
    ready = [one for one in records if one.dataset is not None]
    names = [
        name
        for name in dict.fromkeys(str(name) for one in ready for name in one.dataset.data_vars)  # type: ignore[union-attr]
        if any(_summed(one.dataset, name) for one in ready)
    ]
    rows = []
    for one in ready:
        assert one.dataset is not None
        cells: list[Any] = []
        for name in names:
            low, mean, high, _ = _range(one.dataset[name]) if _summed(one.dataset, name) else ("",) * 4
            cells.append(f"{_shown(mean)} ({_shown(low)} to {_shown(high)})" if mean != "" else "n/a")
        rows.append((one.job.unit, *cells))
    step = records[0].job.step
    heading = [dimension, *(f"{name}: mean (lowest to highest)" for name in names)]
    return table(f"{step}, every {dimension}", heading, rows, f"Values of {step}") if names else Markup()


def described(dataset: xr.Dataset) -> str:
    """What a picture of a result shows, in words: variables, dimensions and ranges."""
    parts = []
    for dims, names in _groups(dataset):
        if set(dims) & set(MANY) or _weight(dataset[names[0]]):
            continue
        for name in names:
            low, mean, high, _ = _range(dataset[name])
            along = " and ".join(_extent(dataset, dim) for dim in dims)
            ranged = f"lowest {_shown(low)}, mean {_shown(mean)}, highest {_shown(high)}"
            parts.append(f"{name} along {along}: {low if mean == '' else ranged}")
    chance = dataset.attrs.get("chance")
    if isinstance(chance, int | float):
        parts.append(f"chance is {number(chance)}")
    return undated("; ".join(parts[:8]) or "no summary of what it shows") + "."


def _summed(dataset: Any, name: str) -> bool:
    if name not in dataset:
        return False
    variable = dataset[name]
    return variable.dtype.kind in "fiu" and not set(variable.dims) & set(MANY) and not _lazy(variable)


def _extent(dataset: xr.Dataset, dim: str) -> str:
    values = _labels(dataset, dim)
    if not len(values):
        return f"{dim} (none)"
    if values.dtype.kind in "fiu" and dim in dataset.coords:
        unit = " s" if dim in ("time", "test_time") else ""
        return f"{dim} ({len(values)} values, {number(values.min())} to {number(values.max())}{unit})"
    return f"{dim} ({len(values)} values)"


def _groups(dataset: xr.Dataset, whole: bool = False) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Variables that share dimensions, without what is lazy; dimensions of one value are left out unless it
    is the whole that is wanted."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        dims = tuple(map(str, variable.dims))
        if not whole:
            dims = tuple(dim for dim in dims if dataset.sizes[dim] != 1) or dims[:1]
        if whole or not _lazy(variable):
            grouped.setdefault(dims, []).append(str(name))
    yield from grouped.items()


def _weight(variable: xr.DataArray) -> bool:
    """Whether a variable is a weight of a network, whose dimensions are its own."""
    return any(str(dim).rpartition(".")[0] == str(variable.name) for dim in variable.dims)


def _lazy(variable: xr.DataArray) -> bool:
    return variable.chunks is not None


def _range(variable: xr.DataArray) -> tuple[Any, Any, Any, Any]:
    """Lowest, mean, highest, and how many are not numbers."""
    if _lazy(variable):
        return ("not read", "", "", "")
    values = np.asarray(variable.values)
    if values.dtype.kind not in "fiub":
        return ("text" if values.dtype.kind in "OSU" else "complex", "", "", "")
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ("n/a", "n/a", "n/a", values.size)
    return finite.min(), finite.mean(dtype=float), finite.max(), values.size - finite.size


def _labels(dataset: xr.Dataset, dim: str) -> np.ndarray:
    return np.asarray(dataset[dim].values) if dim in dataset.coords else np.arange(dataset.sizes[dim])


def _some(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(int))


def _alone(dataset: xr.Dataset) -> str:
    """Dimensions of one value, as a caption says them."""
    single = [
        f"{dim} {_shown(_labels(dataset, str(dim))[0])}" for dim, size in dataset.sizes.items() if size == 1
    ]
    return f" at {', '.join(single)}" if single else ""


def _shown(value: Any) -> str:
    return undated(value)[:60] if isinstance(value, str) else number(value)


def _columns(one: Found, dim: str, names: list[str]) -> Markup:
    dataset, shown = one.dataset, names[:COLUMNS]
    assert dataset is not None
    labels, count = _labels(dataset, dim), dataset.sizes[dim]
    places = _some(count, ROWS)
    flat = [np.asarray(dataset[name].values).reshape(count) for name in shown]
    rows = [(labels[place], *(column[place] for column in flat)) for place in places]
    part = f"; {len(places)} of {count} rows" if len(places) < count else ""
    more = f"; {len(names) - len(shown)} more in the file" if len(names) > len(shown) else ""
    caption = joined(label(f"{', '.join(shown)} by {dim}", 300), part, more, ".")
    heading = [f"{dim} (s)" if dim in ("time", "test_time") else dim, *map(label, shown)]
    return table(caption, heading, rows, f"{one.job}: values by {dim}")


def _matrix(one: Found, dims: tuple[str, ...], name: str) -> Markup:
    dataset = one.dataset
    assert dataset is not None
    down, across = dims
    rows_at, columns_at = _some(dataset.sizes[down], ROWS // 2), _some(dataset.sizes[across], COLUMNS)
    down_labels, across_labels = _labels(dataset, down), _labels(dataset, across)
    values = np.asarray(dataset[name].transpose(down, across, ...).values)
    values = values.reshape(dataset.sizes[down], dataset.sizes[across])
    rows = [(down_labels[row], *(values[row, column] for column in columns_at)) for row in rows_at]
    part = f"; {len(rows_at)} of {values.shape[0]} rows, {len(columns_at)} of {values.shape[1]} columns"
    every = (len(rows_at), len(columns_at)) == values.shape
    text = f"{name}: {down} down, {across} across{_alone(dataset)}"
    heading = [joined(down), *(cell(across_labels[column]) for column in columns_at)]
    return table(
        joined(label(text, 300), "" if every else part, "."), heading, rows, f"{one.job}: {name} as a matrix"
    )


def _plain(value: Any) -> Any:
    """A value as CSV has it."""
    if isinstance(value, str):
        told = undated(value)
        return f"'{told}" if told.startswith(FORMULA) else told
    if isinstance(value, float | np.floating):
        return "n/a" if math.isnan(value) else repr(float(value))
    return value.item() if isinstance(value, np.generic) else value


def _bytes(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB"
