"""What a report of such data must state, after COBIDAS-MEEG and ARTEM-IS: filled from results, or missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup

from ._found import Found, mapping
from ._methods import Told, by_value, random, spread, standing
from ._page import element, joined, label, number, table
from ._steps import Study


class Item(NamedTuple):
    """One line: attributes that fill it, and the results it is asked of."""

    name: str
    keys: tuple[str, ...]
    of: str  # all, sensors, counts, scores


ITEMS = (
    Item("Origin of the data", ("origin",), "all"),
    Item("Presentations of each class", ("presentations", "condition_counts"), "scores"),
    Item("Delay between trigger and stimulus (s)", ("trigger_delay_s",), "all"),
    Item("Sampling rate (Hz)", ("sampling_rate_hz",), "sensors"),
    Item("Filter", ("filter",), "sensors"),
    Item("Baseline", ("baseline",), "sensors"),
    Item("Rejection of presentations", ("reject",), "sensors"),
    Item("Presentations rejected", ("n_rejected",), "sensors"),
    Item("Bad channels", ("bad_channels",), "sensors"),
    Item("Projectors", ("projectors",), "sensors"),
    Item("Width of a bin (s)", ("bin_width",), "counts"),
    Item("Recorded at the same time (1) or not (0)", ("simultaneous",), "counts"),
    Item("Label", ("label",), "scores"),
    Item("Classes", ("classes",), "scores"),
    Item("Estimator", ("estimator",), "scores"),
    Item("Folds", ("folds",), "scores"),
    Item("Kept apart between training and test", ("kept_apart",), "scores"),
    Item("Shared by training and test", ("shared",), "scores"),
    Item("Chance", ("chance",), "scores"),
    Item("Units of inference and their number", ("over", "n"), "scores"),
    Item("Test", ("test",), "scores"),
    Item("Sidedness", ("tail",), "scores"),
    Item("Correction for many tests", ("correction",), "scores"),
    Item("Permutations", ("permutations",), "scores"),
    Item("Smallest p that could be reached", ("smallest_p",), "scores"),
    Item("Threshold for p", ("alpha",), "scores"),
    Item("Confidence of intervals", ("confidence",), "scores"),
)


def checklist(plan: Study, records: Sequence[Found]) -> Markup:
    """Every mandatory item, with what results state and which of them do.

    Reads    a study and what it has made
    Returns  Markup: a count, the names of what is missing, and a table
    """
    told = standing(records)
    rows = [*_asked(told), *_seen(plan, told)]
    missing = [name for name, said, _ in rows if not said]
    count = f"{len(rows) - len(missing)} of {len(rows)} mandatory items are stated by results."
    lacking = joined(" Missing: ", label("; ".join(missing), 3000), ".") if missing else " None is missing."
    cells = [
        (
            name,
            label(said, 2000) if said else element("strong", "missing"),
            label(", ".join(steps) or "no result states it", 2000),
        )
        for name, said, steps in rows
    ]
    columns = ("item", "stated", "by")
    return joined(
        element("p", count, lacking),
        table("Mandatory items of a report", columns, cells, "Reporting checklist"),
    )


def _asked(told: Told) -> list[tuple[str, str, list[str]]]:
    """The items that apply, each with what fills it and the steps that state it."""
    kinds = {"all": True} | {
        kind: any(_is(one, given, kind) for one, given in told) for kind in ("sensors", "counts", "scores")
    }
    kinds["scores"] |= not told
    rows = []
    for item in ITEMS:
        if kinds[item.of]:
            found = [(key, value, steps) for key in item.keys for value, steps in by_value(told, key)]
            steps = list(dict.fromkeys(step for *_, steps in found for step in steps))
            said = "; ".join(
                spread([value for key, value, _ in found if key == name])
                for name in dict.fromkeys(key for key, *_ in found)
            )
            rows.append((item.name, said, steps))
    return rows


def _is(one: Found, given: dict[str, Any], kind: str) -> bool:
    assert one.dataset is not None
    if kind == "sensors":
        return "kind" in one.dataset.coords or "sampling_rate_hz" in given
    if kind == "counts":
        return "bin_width" in given
    return "auc" in one.dataset or "balanced_accuracy" in one.dataset


def _seen(plan: Study, told: Told) -> list[tuple[str, str, list[str]]]:
    """Items that results show rather than state: what was measured, when, by which code, from which seeds."""
    recorded = [one for one, _ in told if one.dataset is not None and "response" in one.dataset]
    timed = [one for one, _ in told if one.dataset is not None and "time" in one.dataset.coords]
    seeds, code = random(plan, told), [one for one, given in told if mapping(given, "code")]
    versions = {name: told_ for _, given in told for name, told_ in mapping(given, "versions").items()}
    software = ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
    inputs = [one for one, given in told if mapping(given, "files") or mapping(given, "inputs")]
    return [
        ("Channels or neurons", _channels(recorded), _steps(recorded)),
        ("Times (s)", _times(timed), _steps(timed)),
        ("Digests of what was read", f"{len(inputs)} results list them" if inputs else "", _steps(inputs)),
        ("Digests of the code", f"{len(code)} results list them" if code else "", _steps(code)),
        ("Versions of software", software, _steps(code)),
        ("Seeds", spread(list(seeds.values())) if seeds else "nothing drawn at random", list(seeds)),
    ]


def _steps(records: Sequence[Found]) -> list[str]:
    return list(dict.fromkeys(one.job.step for one in records))


def _channels(records: Sequence[Found]) -> str:
    said = []
    for one in records:
        dataset = one.dataset
        if dataset is None or "neuroid" not in dataset.dims:
            continue
        for name in ("kind", "region"):
            if name in dataset.coords and dataset[name].dims == ("neuroid",):
                kinds, counts = np.unique(dataset[name].values.astype(str), return_counts=True)
                pairs = zip(kinds[:6], counts, strict=False)
                said.append(", ".join(f"{count} {kind}" for kind, count in pairs))
                break
        else:
            said.append(f"{dataset.sizes['neuroid']} neuroids")
    return spread(said) if said else ""


def _times(records: Sequence[Found]) -> str:
    said = []
    for one in records:
        assert one.dataset is not None
        time = np.asarray(one.dataset["time"].values, dtype=float)
        if time.size:
            step = f" in steps of {number(float(np.median(np.diff(time))))}" if time.size > 1 else ""
            said.append(f"{number(time[0])} to {number(time[-1])}{step}")
    return spread(said) if said else ""
