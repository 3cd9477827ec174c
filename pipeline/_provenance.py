"""What every result was made from: code, software and what was read, by their digests."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from ._found import Found, mapping, texts
from ._methods import Told
from ._page import details, element, joined, label, listed, table
from ._steps import Study


def provenance(plan: Study, told: Told) -> Markup:
    """Tables of code and software by step, and of digests by result.

    Reads    a study, and results that stand
    Returns  Markup
    """
    if not told:
        return element("p", "No result stands.")
    left_out = [(one.job, texts(given, "left_out")) for one, given in told]
    said = [
        joined(f"{job} joined units without ", label("; ".join(what), 500)) for job, what in left_out if what
    ]
    return joined(
        table(
            "Code and software of every step",
            ("step", "code (module, sha256)", "versions"),
            [_made_by(name, told) for name in plan.steps],
            "Code and software",
        ),
        listed(said) if said else "",
        details(
            f"Digests of {len(told)} results",
            table(
                "Every result, its digest and the digests of what it read",
                ("result", "state", "sha256 of its file", "read (argument, sha256)"),
                [_made_from(one, given) for one, given in told],
                "Digests",
            ),
        ),
    )


def _made_by(name: str, told: Told) -> tuple[str, Markup, Markup]:
    given = next((given for one, given in told if one.job.step == name), {})
    code = "; ".join(f"{module} {_short(digest)}" for module, digest in mapping(given, "code").items())
    versions = ", ".join(f"{package} {version}" for package, version in mapping(given, "versions").items())
    return name, label(code or "n/a", 400), label(versions or "n/a", 400)


def _made_from(one: Found, given: dict[str, Any]) -> tuple[str, str, Markup, Markup]:
    read = {**mapping(given, "files"), **mapping(given, "inputs")}
    said = "; ".join(f"{argument} {_short(digest)}" for argument, digest in read.items())
    return str(one.job), one.state, element("code", one.digest[:16]), label(said or "nothing", 400)


def _short(digest: object) -> str:
    """The beginning of a digest, or of the first of all units."""
    if isinstance(digest, dict):
        return f"{len(digest)} units, first {str(next(iter(digest.values()), ''))[:16]}"
    return str(digest)[:16]
