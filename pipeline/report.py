"""A study told on one page: what may be said, what was drawn, the numbers, and how all of it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from . import (
    _checklist,
    _citations,
    _figures,
    _leaderboard,
    _log,
    _methods,
    _provenance,
    _sidecar,
    _tables,
    study,
)
from ._found import Found, attrs, doubt, found, mapping, shaken, texts
from ._methods import Told, standing
from ._page import Section, details, element, error_line, joined, label, listed, page, table, tried
from ._steps import Study

if TYPE_CHECKING:
    import xarray as xr


WORDS = {"waits": "waiting for what they read"}  # a state, in a sentence


def report(name: str | Path, results: str | Path = "results", output: str | Path | None = None) -> Path:
    """Writes the report of a study: one HTML file that needs no server, no script and no network.

    Reads    a study by name or path, and what stands of its results; output, by default
             results/<study>/report.html
    Returns  the path of the page; same results, same bytes. What is missing or damaged the page says first;
             StudyError when the study is wrong
    """
    plan = study.check(study.find(name))
    path = Path(results) / plan.name / "report.html" if output is None else Path(output)
    if path.suffix not in (".html", ".htm"):
        raise ValueError(f"output: {path}: a report is HTML; name it .html")
    records = found(plan, Path(results))
    content = _content(plan, records)
    if output is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    _sidecar.publish(path, content.encode())
    lacks = sum(one.state != "done" for one in records)
    if lacks:
        _log.stderr(f"{plan.name}: the report is incomplete: {lacks} of {len(records)} results do not stand")
    return path


def _content(plan: Study, records: Sequence[Found]) -> str:
    told = standing(records)
    versions = {name: text for _, given in told for name, text in mapping(given, "versions").items()}
    sections = (
        ("claims", "What may be said", lambda: _claims(plan, records)),
        ("leaderboard", "Models beside each other", lambda: _leaderboard.leaderboard(records)),
        ("figures", "Figures", lambda: _figures.figures(plan, records)),
        ("numbers", "Numbers", lambda: _tables.numbers(plan, records)),
        ("methods", "Methods", lambda: _methods.text(plan, records)),
        ("checklist", "Reporting checklist", lambda: _checklist.checklist(plan, records)),
        ("references", "References",
         lambda: _citations.references(plan.about, _methods.works(plan), versions)),
        ("provenance", "Provenance", lambda: _provenance.provenance(plan, told)),
        ("warnings", "Warnings", lambda: _warnings(told)),
    )  # fmt: skip
    first = joined(_incomplete(plan, records), _question(plan), _simulated(told))
    last = "Made from stored results by neuroloop. In files to take along, text that a spreadsheet would "
    last += "run as a formula begins with '. Days of measurement are written (date)."
    made = [Section(key, heading, tried(heading, make)) for key, heading, make in sections]
    written = [section for section in made if section.body]
    return page(plan.name, first, written, element("p", last))


def _incomplete(plan: Study, records: Sequence[Found]) -> Markup:
    """What does not stand, and of whom; it is read before anything else."""
    partly = [(one.job, ", ".join(texts(attrs(one), "missing"))) for one in records]
    said = [joined(f"{job} was made without ", label(lost, 5000), ".") for job, lost in partly if lost]
    warned = sum(bool(texts(attrs(one), "warnings")) for one in records)
    remark = element("p", f"{warned} results came with ", element("a", "warnings", href="#warnings"), ".")
    lacking: dict[tuple[str, str], list[Found]] = {}
    for one in records:
        if one.state != "done":
            lacking.setdefault((one.job.step, one.state), []).append(one)
    if not lacking and not said:
        return element("div", remark, class_="notice") if warned else Markup()
    counts: dict[str, int] = {}
    for (_, state), group in lacking.items():
        counts[state] = counts.get(state, 0) + len(group)
    told = ", ".join(f"{count} {WORDS.get(state, state)}" for state, count in counts.items())
    head = f"This report is incomplete: of {len(records)} results, {told or 'some were made of few units'}."
    lines = [(step, state, _whom(group), _why(group)) for (step, state), group in lacking.items()]
    columns = ("step", "state", plan.dimension or "unit", "why")
    return element(
        "div",
        element("p", element("strong", head)),
        table("Results that do not stand", columns, lines, "Results that do not stand") if lines else "",
        listed(said) if said else "",
        element("p", "To make them: ", element("code", f"neuroloop run {plan.name}"), class_="quiet"),
        remark if warned else "",
        class_="notice alert",
    )


def _whom(group: Sequence[Found]) -> Markup:
    return label(", ".join(one.job.unit for one in group if one.job.unit) or "—", 5000)


def _why(group: Sequence[Found]) -> Markup:
    reasons = "; ".join(list(dict.fromkeys(one.why for one in group if one.why))[:3])
    words = {"missing": "was not made, or its making failed", "stale": "was made from something else"}
    return label(reasons or words.get(group[0].state, ""), 300)


def _question(plan: Study) -> Markup:
    return element("p", plan.about or "This study states no question.", class_="question")


def _simulated(told: Told) -> Markup:
    steps = _methods.simulated(told)
    if not steps:
        return Markup()
    every = {one.job.step for one, given in told if "origin" in given} <= set(steps)
    what = "All data here are simulated." if every else f"Simulated data are in: {', '.join(steps)}."
    more = " They show what the methods recover from a known truth, and are no evidence about any brain."
    return element("div", element("p", element("strong", what), more), class_="notice")


def _claims(plan: Study, records: Sequence[Found]) -> Markup:
    """Sentences of the whole study; those of single units folded away, unless there are no others."""
    weighing = [one for one in records if one.dataset is not None and "sentence" in one.dataset]
    whole, single = ([one for one in weighing if bool(one.job.unit) is side] for side in (False, True))
    if not weighing:
        return element("p", "No result of this study weighs claims, so this report makes none.")
    if not whole:
        return _sentences(plan, records, single)
    folded = details(f"Of every {plan.dimension}: {len(single)} results", _sentences(plan, records, single))
    return joined(_sentences(plan, records, whole), folded if single else "")


def _sentences(plan: Study, records: Sequence[Found], some: Sequence[Found]) -> Markup:
    sides: dict[bool, list[Markup]] = {True: [], False: []}
    faults, old = [], shaken(plan, records)
    for one in some:
        if one.job in old:
            faults.append(joined(f"{one.job}: its claims are not shown: it, or what it reads, is not sound"))
            continue
        try:
            assert one.dataset is not None
            for allowed, said in _weighed(one, one.dataset):
                sides[allowed].append(said)
        except Exception as error:
            faults.append(label(f"{one.job}: its claims cannot be read: {error_line(error)}", 300))
    may, may_not = (
        element("ul", *(element("li", item) for item in sides[side]), class_="claims") for side in sides
    )
    return joined(
        may if sides[True] else element("p", "Nothing."),
        joined(element("h3", "Withheld, and why"), may_not) if sides[False] else "",
        listed(faults) if faults else "",
    )


def _weighed(one: Found, dataset: xr.Dataset) -> Iterator[tuple[bool, Markup]]:
    """Whether each sentence of a result may be said, and the sentence with its source and reason."""
    columns = [dataset[name].values for name in ("claim", "sentence", "because", "allowed")]
    for claim, sentence, because, allowed in zip(*columns, strict=True):
        source = joined(label(claim), f" · {one.job}.{doubt(one)}")
        if allowed and because:
            conditions = element("summary", source, " The conditions that hold")
            yield (
                True,
                label(sentence, 2000) + element("details", conditions, label(because, 1000), class_="quiet"),
            )
            continue
        why = joined(" Because: ", label(because, 1000)) if because else ""
        yield bool(allowed), label(sentence, 2000) + element("span", source, why, class_="quiet")


def _warnings(told: Told) -> Markup:
    heard = [(one.job, texts(given, "warnings")) for one, given in told]
    items = [joined(f"{job}: ", label(text, 500)) for job, said in heard for text in said]
    return listed(items) if items else element("p", "No result that stands came with a warning.")
