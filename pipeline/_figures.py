"""The pictures of a report: drawn as `draw` does, and said in words."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from markupsafe import Markup

from . import _tables, parts, run
from ._found import Found, attrs, doubt
from ._page import details, element, error_line, joined, label, listed, picture, prose
from ._steps import Study

DRAWN = 55 * 10**5  # bytes of all pictures in the page
THUMBNAILS = 64  # pictures of single units


def figures(plan: Study, records: Sequence[Found]) -> Markup:
    """A picture of every result whose maker draws it; those of units are small and folded away.

    Reads    a study and what it has made
    Returns  Markup; what is not drawn is named, with the reason
    """
    ready = [one for one in records if one.dataset is not None and _plot(plan, one) is not None]
    single = {step: [one for one in ready if one.job.unit and one.job.step == step] for step in plan.steps}
    single = {step: own for step, own in single.items() if own}
    few = THUMBNAILS // max(len(single), 1)
    left = DRAWN
    large: list[Markup] = []
    small: list[Markup] = []
    undrawn: list[tuple[str, str]] = []
    for one in [one for one in ready if not one.job.unit] + [
        one for own in single.values() for one in own[:few]
    ]:
        if any(one.job.step == step for step, _ in undrawn):  # one reason is enough
            continue
        try:
            figure = _figure(plan, one)
        except Exception as error:
            undrawn.append((one.job.step, error_line(error)))
            continue
        if len(figure) > left:
            undrawn.append(
                (one.job.step, "too large for this page; neuroloop draw --units makes a file of it")
            )
            continue
        left -= len(figure)
        (small if one.job.unit else large).append(figure)
    many = [step for step, own in single.items() if len(own) > few and step not in dict(undrawn)]
    rest = [f"{step}: {len(single[step]) - few} more are drawn by neuroloop draw --units" for step in many]
    said = [*rest, *(f"{step}: not drawn: {why}" for step, why in undrawn)]
    heading = f"Every {plan.dimension}: {len(small)} pictures"
    return joined(
        *large,
        details(heading, element("div", *small, class_="small")) if small else "",
        listed(label(line, 300) for line in said) if said else "",
    ) or element("p", "No result stands that its maker knows how to draw.")


def _plot(plan: Study, one: Found) -> object:
    module = sys.modules[parts.find(plan.steps[one.job.step].use).__module__]
    return getattr(module, "plot", None)


def _figure(plan: Study, one: Found) -> Markup:
    assert one.dataset is not None
    png = run._picture(_plot(plan, one), one.dataset)
    given, use = attrs(one), plan.steps[one.job.step].use
    words = (parts.find(use).__doc__ or "").partition("\n")[0]
    said = [f"{key} {given[key]}" for key in ("origin", "estimator", "n", "over") if given.get(key)]
    alternative = f"Picture of {one.job}: {_tables.described(one.dataset)}"
    more = joined(" ", label("; ".join(said), 300), ".") if said else ""
    return picture(png, alternative, element("strong", str(one.job)), ". ", prose(words), more, doubt(one))
