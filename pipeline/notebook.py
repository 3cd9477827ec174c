"""Recordings in a notebook: after `%load_ext pipeline.notebook` they say what they are, above xarray."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from markupsafe import Markup

from ._page import details, element, joined, label, number

READ = 2**26  # bytes that a picture may make a lazy recording read
TRIALS, LINES, POINTS = 64, 32, 300  # of a recording that are drawn
WIDE, HIGH, LEFT, LOW = 560, 170, 70, 36  # of the picture, and of its margins
FEW = 12  # different values of a coordinate that are counted one by one


class _Curves(NamedTuple):
    """What is drawn: the mean over presentations of some neuroids."""

    time: np.ndarray
    values: np.ndarray  # neuroid, time
    of: str
    unit: str


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext pipeline.notebook` does: `html` for every Dataset, pictures for figures.

    Reads    the shell of a notebook, whose formatters it tells; xarray and matplotlib stay as they are
    Returns  nothing
    """
    from IPython.core.pylabtools import select_figure_formats

    select_figure_formats(shell, ["png"])
    shell.display_formatter.formatters["text/html"].for_type(xr.Dataset, html)


def unload_ipython_extension(shell: Any) -> None:
    """Datasets look again as xarray shows them."""
    shell.display_formatter.formatters["text/html"].pop(xr.Dataset, None)


def load() -> None:
    """The extension where a notebook runs, and nothing in plain Python."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    shell = get()
    if shell is not None:
        load_ipython_extension(shell)


def html(dataset: xr.Dataset) -> str:
    """A recording in a few lines and a small picture, with xarray's view folded below; else xarray's view.

    Reads    any Dataset; of a lazy recording no more than a few presentations
    Returns  HTML without scripts of ours, every name escaped
    """
    own = dataset._repr_html_()
    if "response" not in dataset or not {"presentation", "neuroid"} <= set(dataset["response"].dims):
        return own
    try:
        told = joined(_summary(dataset), _picture(dataset))
    except Exception:  # a recording that cannot be told is still a Dataset
        return own
    return str(element("div", told, details("xarray", Markup(own)), class_="neuroloop-recording"))


def _summary(dataset: xr.Dataset) -> Markup:
    origin = str(dataset.attrs.get("origin") or "origin not stated")
    head = element("p", element("strong", "Recording"), ", ", label(origin), style="margin:.2em 0")
    style = "padding:0 1em 0 0;text-align:left;vertical-align:top;font-weight:normal;opacity:.75"
    rows = [
        element(
            "tr",
            element("th", name, scope="row", style=style),
            element("td", label(said, 300), style="text-align:left"),
        )
        for name, said in _facts(dataset)
    ]
    return head + element("table", *rows, style="border-collapse:collapse;margin:0 0 .5em")


def _facts(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    attrs, sizes = dataset.attrs, dataset["response"].sizes
    stimuli = f" of {_different(dataset, 'stimulus_id')} stimuli" if "stimulus_id" in dataset.coords else ""
    yield "presentations", f"{sizes['presentation']}{stimuli}"
    for name in _classes(dataset):
        yield name, _counts(dataset, name)
    kinds = [_counts(dataset, name) for name in ("kind", "region") if _along(dataset, name, "neuroid")]
    kinds = [said for said in kinds if not said.endswith(" unknown") or "," in said]
    yield "neuroids", ": ".join([str(sizes["neuroid"]), *kinds[:1]])
    if "time" in dataset.coords and sizes.get("time"):
        yield "time", _times(np.asarray(dataset["time"].values))
    yield "unit", str(dataset["response"].attrs.get("units", "not stated"))
    for key, words in (
        ("filter", "filter"),
        ("trigger_delay_s", "trigger delay (s)"),
        ("bin_width", "bin (s)"),
    ):
        if key in attrs:
            yield words, number(attrs[key]) if isinstance(attrs[key], int | float) else str(attrs[key])
    yield "missing", "; ".join(_missing(attrs)) or "nothing stated"


def _missing(attrs: dict[Any, Any]) -> Iterator[str]:
    for key in ("n_rejected", "n_bad_segment", "n_at_edge", "n_lost"):
        if attrs.get(key):
            yield f"{number(attrs[key])} presentations {key.removeprefix('n_').replace('_', ' ')}"
    for key in ("bad_channels", "flat_channels", "saturated_channels", "missing"):
        if attrs.get(key, "none") not in ("none", ""):
            yield f"{key.replace('_', ' ')}: {attrs[key]}"


def _along(dataset: xr.Dataset, name: str, dim: str) -> bool:
    return name in dataset.coords and dataset[name].dims == (dim,)


def _different(dataset: xr.Dataset, name: str) -> int:
    return len(np.unique(np.asarray(dataset[name].values).astype(str)))


def _classes(dataset: xr.Dataset) -> list[str]:
    """Names of conditions: the first two coordinates of text with few different values."""
    text = [
        str(name)
        for name, item in dataset.coords.items()
        if item.dims == ("presentation",)
        and item.dtype.kind in "OSU"
        and name not in ("stimulus_id", "subject")
    ]
    return [name for name in sorted(text) if 2 <= _different(dataset, name) <= FEW][:2]


def _counts(dataset: xr.Dataset, name: str) -> str:
    found, counts = np.unique(np.asarray(dataset[name].values).astype(str), return_counts=True)
    pairs = list(zip(found, counts, strict=True))
    more = f" and {len(pairs) - FEW} more" if len(pairs) > FEW else ""
    return ", ".join(f"{count} {value}" for value, count in pairs[:FEW]) + more


def _times(time: np.ndarray) -> str:
    step = f" in steps of {number(1000 * float(np.median(np.diff(time))))} ms" if time.size > 1 else ""
    return f"{number(float(time[0]))} to {number(float(time[-1]))} s{step} ({time.size})"


def _picture(dataset: xr.Dataset) -> Markup:
    sizes = dataset["response"].sizes
    if set(sizes) != {"presentation", "neuroid", "time"} or "time" not in dataset.coords:
        return Markup()
    if sizes["time"] < 2 or not sizes["presentation"] or not sizes["neuroid"]:
        return Markup()
    curves = _curves(dataset)
    if curves is None:
        return element("p", f"Not drawn: more than {READ // 2**20} MB would be read.")
    return _drawn(curves) if np.isfinite(curves.values).any() else element("p", "Not drawn: no finite value.")


def _curves(dataset: xr.Dataset) -> _Curves | None:
    """Means of a sample of the most frequent kind of neuroids; None when it would take too much to read."""
    response = dataset["response"].transpose("presentation", "neuroid", "time")
    kinds: np.ndarray = np.full(response.sizes["neuroid"], "")
    if _along(dataset, "kind", "neuroid"):
        kinds = np.asarray(dataset["kind"].values).astype(str)
    found, counts = np.unique(kinds, return_counts=True)
    kind = found[counts.argmax()]
    neuroids = np.flatnonzero(kinds == kind)[:LINES]
    last = int(neuroids[-1]) + 1
    if _cost(response, last) > READ:
        return None
    sample = response[:TRIALS, :last, :: -(-response.sizes["time"] // POINTS)]
    values = np.asarray(sample.values, dtype=float)[:, neuroids]
    known = np.isfinite(values)
    count = known.sum(axis=0)
    means = np.where(known, values, 0.0).sum(axis=0) / np.where(count, count, np.nan)
    unit = str(response.attrs.get("units", "1"))
    if _along(dataset, "si_unit", "neuroid"):
        unit = str(dataset["si_unit"].values[neuroids[0]])
    of = f"{len(neuroids)} {kind or 'neuroid'}s, mean of the first {len(values)} presentations"
    return _Curves(np.asarray(sample["time"].values, dtype=float), means, of, unit)


def _cost(response: xr.DataArray, neuroids: int) -> int:
    """Bytes of the chunks that the sample lies in; nothing where the data are in memory."""
    if response.chunks is None:
        return 0
    size = response.dtype.itemsize
    for chunks, wanted in zip(response.chunks, (TRIALS, neuroids, response.sizes["time"]), strict=True):
        ends = np.cumsum(chunks)
        size *= int(ends[min(int(np.searchsorted(ends, wanted)), len(ends) - 1)])
    return size


def _drawn(curves: _Curves) -> Markup:
    finite = curves.values[np.isfinite(curves.values)]
    low, high = float(finite.min()), float(finite.max())
    start, end, floor = float(curves.time[0]), float(curves.time[-1]), HIGH - LOW
    across = LEFT + (curves.time - start) / (end - start) * (WIDE - LEFT - 10)
    down = 10 + (high - curves.values) / ((high - low) or 1.0) * (floor - 20)
    thin = ".35" if len(down) > 8 else ".9"
    lines = [_line(_path(across, line), stroke_width=".6", opacity=thin) for line in down]
    lines.append(_line(f"M{LEFT} 5V{floor}H{WIDE - 5}"))
    texts = [
        _text(LEFT - 6, 14, number(high), "end"), _text(LEFT - 6, floor - 2, number(low), "end"),
        _text(LEFT + 6, 14, f"mean response ({curves.unit})", "start"),
        _text(LEFT, floor + 14, number(start), "start"), _text(WIDE - 10, floor + 14, number(end), "end"),
        _text((LEFT + WIDE) / 2, floor + 28, f"time (s) · {curves.of}", "middle"),
    ]  # fmt: skip
    if start < 0 < end:
        zero = float(np.interp(0, curves.time, across))
        lines.append(_line(f"M{zero:.1f} 20V{floor}", stroke_dasharray="3 3"))
        texts.append(_text(zero, floor + 14, "0", "middle"))
    said = f"{curves.of}, {number(start)} to {number(end)} s, {number(low)} to {number(high)} {curves.unit}"
    return element(
        "svg", *lines, *texts, viewBox=f"0 0 {WIDE} {HIGH}", role="img", aria_label=said,
        style=f"max-width:{WIDE}px;width:100%",
    )  # fmt: skip


def _line(path: str, **attributes: str) -> Markup:
    return element("path", d=path, stroke="currentColor", fill="none", **attributes)


def _path(across: np.ndarray, down: np.ndarray) -> str:
    """A line that is broken where values are missing."""
    parts, pen = [], "M"
    for x, y in zip(across, down, strict=True):
        if np.isfinite(y):
            parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L" if np.isfinite(y) else "M"
    return "".join(parts)


def _text(x: float, y: float, said: str, anchor: str) -> Markup:
    return element(
        "text", said, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, font_size="11", fill="currentColor"
    )
