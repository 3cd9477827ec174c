"""Every model beside every other, for each region and metric: raw scores beside those of the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from markupsafe import Markup

from ._found import Found, attrs, doubt
from ._page import element, joined, label, number, table


class Column(NamedTuple):
    """One region and metric: for each model raw, of the ceiling, layer, and whether chance could explain
    that it is not the best; and what stands below."""

    job: str
    region: str
    metric: str
    rows: dict[str, tuple[Markup, Markup, str, str]]
    note: str
    doubt: Markup | str


def leaderboard(records: Sequence[Found]) -> Markup:
    """One table of all models, then one for each region and metric.

    Reads    what a study has made: tables of `analyses.leaderboard.table`, and RDMs compared with models by
             `analyses.similarity.inference` at one time
    Returns  Markup, empty where there is neither
    """
    columns = [column for one in records if one.dataset is not None for column in _column(one, one.dataset)]
    if not columns:
        return Markup()
    parts = [_whole(columns)] if len(columns) > 1 else []
    return joined(*parts, *(_single(column) for column in columns))


def _column(one: Found, dataset: xr.Dataset) -> list[Column]:
    told = attrs(one)
    if told.get("leaderboard") == 1 and "score" in dataset:
        return [_predicted(one, dataset, told)]
    if "similarity_low" in dataset and dataset["similarity"].dims in (("model",), ("model", "time")):
        return [_similar(one, dataset, told)] if dataset.sizes.get("time", 1) == 1 else []
    return []


def _predicted(one: Found, dataset: xr.Dataset, told: dict[str, Any]) -> Column:
    rows = {}
    for place, model in enumerate(dataset["model"].values.astype(str)):
        raw = _interval(dataset, "score", place)
        share = (
            _interval(dataset, "normalized_score", place) if "normalized_score" in dataset else joined("—")
        )
        p = float(dataset["p"].values[0, place])
        behind = "" if np.isnan(p) else f"p = {number(p)}"
        rows[model] = (raw, share, str(dataset["layer"].values[place]), behind)
    note = (
        f"{told.get('neuroids', '')} neuroids, {told.get('n', '')} stimuli, {told.get('splits', '')}; "
        f"medians over neuroids; {told.get('interval', '')}. p of being behind the first: "
        f"{told.get('test', '')}, {told.get('family', '')}, {told.get('correction', '')}."
    )
    if "normalized_score" in dataset:
        note += f" Ceiling: {told.get('ceiling', '')}."
    return Column(str(one.job), str(told.get("region", "")), str(told["metric"]), rows, note, doubt(one))


def _similar(one: Found, dataset: xr.Dataset, told: dict[str, Any]) -> Column:
    flat = dataset.isel(time=0) if "time" in dataset.dims else dataset
    order = np.argsort(-flat["similarity"].values, kind="stable")
    names = flat["model"].values.astype(str)
    rows = {
        names[place]: (_interval(flat, "similarity", place), joined("—"), "",
                       f"p = {number(float(flat['p'].values[place]))} against 0")
        for place in order
    }  # fmt: skip
    note = f"{told.get('n', '')} conditions; {told.get('test', '')}, {told.get('family', '')}."
    if "ceiling_low" in flat:
        both = (float(np.ravel(flat[f"ceiling_{end}"].values)[0]) for end in ("low", "high"))
        ends = " to ".join(map(number, both))
        note += f" No model exceeds {ends} ({told.get('bound', '')})."
    region = str(told.get("region", ""))
    return Column(str(one.job), region, f"RDM, {told.get('measure', '')}", rows, note, doubt(one))


def _interval(dataset: xr.Dataset, name: str, place: int) -> Markup:
    middle, low, high = (float(dataset[name + end].values[place]) for end in ("", "_low", "_high"))
    return joined(f"{middle:.3f} [{low:.3f}, {high:.3f}]") if np.isfinite(middle) else joined("n/a")


def _whole(columns: Sequence[Column]) -> Markup:
    """Models down, regions and metrics across."""
    models = list(dict.fromkeys(model for column in columns for model in column.rows))
    heads = [joined(label(column.region), " " if column.region else "", label(column.metric),
                    element("br"), label(column.job)) for column in columns]  # fmt: skip
    lines = []
    for model in models:
        cells: list[Any] = []
        for column in columns:
            raw, share, _, _ = column.rows.get(model, (joined("—"), joined("—"), "", ""))
            both = share != "—"
            cells.append(joined(raw, element("br"), element("span", share, class_="quiet")) if both else raw)
        lines.append((model, *cells))
    said = (
        "Raw scores with their intervals; below, in grey, those divided by the ceiling, where there is one."
    )
    return table(said, ["model", *heads], lines, "Models by region and metric")


def _single(column: Column) -> Markup:
    heading = joined(label(column.region), " " if column.region else "", label(column.metric))
    lines = [
        (str(place), label(model), raw, share, label(layer) if layer else "—", behind)
        for place, (model, (raw, share, layer, behind)) in enumerate(column.rows.items(), start=1)
    ]
    names = ("rank", "model", "raw [interval]", "of the ceiling [interval]", "layer", "behind the first")
    caption = joined(heading, ", ", label(column.job), ". ", label(column.note, 600), column.doubt)
    return table(caption, names, lines, f"Leaderboard of {column.job}")
