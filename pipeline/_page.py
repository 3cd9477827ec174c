"""One HTML page that stands alone: no script, no request, and no text that is not escaped."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape

from . import _log
from ._style import STYLE

VOID = ("br", "img", "link", "meta")
NUMBERS = (int, float, complex, np.number, np.bool_)
LONG = 120  # characters of a name that are shown
DATE = re.compile(r"(?<!\d)(?:19|20)\d\d([-_./]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")


class Section(NamedTuple):
    """A part of the page that its contents list."""

    name: str  # what a link to it says after #
    heading: str
    body: Markup


def page(title: str, first: Markup, sections: Sequence[Section], last: Markup) -> str:
    """A document in which nothing runs and which asks nobody for anything.

    Reads    title; first, what stands above all sections; last, what stands below
    Returns  HTML; the policy in its head allows its own style and pictures, and nothing else
    """
    allowed = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{allowed}'; base-uri 'none'; "
    policy += "form-action 'none'"
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    links = [element("li", element("a", part.heading, href=f"#{part.name}")) for part in sections]
    body = joined(
        element("a", "Skip to the report", href="#report", class_="skip"),
        element("header", element("h1", title)),
        element(
            "main",
            first,
            element("nav", element("ul", *links), aria_label="Contents"),
            *(_section(part) for part in sections),
            id="report",
            tabindex="-1",
        ),
        element("footer", last),
    )
    document = element("html", element("head", head), "\n", element("body", body), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def _section(part: Section) -> Markup:
    heading = element("h2", part.heading, id=f"{part.name}-heading")
    made = element("section", heading, part.body, id=part.name, aria_labelledby=f"{part.name}-heading")
    return made + "\n"


def element(tag: str, /, *inside: object, **attributes: object) -> Markup:
    """An element; text inside it and in its attributes is escaped, Markup is not.

    Reads    inside, what stands in it; attributes, without those that are None; class_ is class
    Returns  Markup
    >>> element("p", "a < b", class_="note")
    Markup('<p class="note">a &lt; b</p>')
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    told = "".join(f' {key}="{escape(visible(value))}"' for key, value in given.items() if value is not None)
    opened = Markup(f"<{tag}{told}>")  # names come from this package, values are escaped above
    return opened if tag in VOID else opened + joined(*inside) + Markup(f"</{tag}>")


def joined(*parts: object) -> Markup:
    """Parts one after the other, each escaped unless it is Markup."""
    return Markup("").join(part if isinstance(part, Markup) else escape(visible(part)) for part in parts)


def visible(text: object) -> str:
    """Text in which every character that does not print, or turns the line around, is spelled out.

    >>> visible("a\\u202eb")
    'a\\\\u202eb'
    """
    return "".join(
        letter
        if letter.isprintable() or letter == "\n"
        else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in str(text)
    )


def label(text: object, long: int = LONG) -> Markup:
    """A name from data: kept apart from the direction of what surrounds it, cut when long, without dates."""
    return element("bdi", clipped(undated(text), long))


def clipped(text: object, long: int = LONG) -> str:
    """The beginning of a text, and how long it was.

    >>> clipped("abcdefgh", 4)
    'abcd… (8 characters)'
    """
    told = str(text)
    return told if len(told) <= long else f"{told[:long]}… ({len(told)} characters)"


def undated(text: object) -> str:
    """Text without the days on which something was measured.

    >>> undated("data_2017-09-13-15.30.01.csv: a gap")
    'data_(date)-15.30.01.csv: a gap'
    """
    return DATE.sub("(date)", str(text))


def prose(text: str) -> Markup:
    """A sentence in which what stands between backticks is code.

    >>> prose("score of `label`")
    Markup('score of <code>label</code>')
    """
    parts = text.split("`")
    return joined(*(element("code", part) if place % 2 else part for place, part in enumerate(parts)))


def number(value: Any) -> str:
    """A number as a reader wants it.

    >>> number(0.123456), number(float("nan")), number(160)
    ('0.1235', 'n/a', '160')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, complex | np.complexfloating):
        return f"{number(value.real)} + {number(value.imag)}i"
    if isinstance(value, int | np.integer):
        return str(int(value))
    return "n/a" if math.isnan(value) else f"{float(value):.4g}"


def cell(value: Any) -> Markup:
    """A number or a name, as it stands in a table."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, NUMBERS):
        return joined(number(value))
    return label(value)


def listed(items: Iterable[object], ordered: bool = False) -> Markup:
    """A list."""
    return element("ol" if ordered else "ul", *(element("li", item) for item in items))


def table(caption: object, columns: Sequence[object], rows: Iterable[Sequence[Any]], name: str) -> Markup:
    """A table with a caption, in a frame that scrolls and that the keyboard reaches.

    Reads    columns, what stands above each; rows, of which the first cell is the heading; name, what the
             frame is called
    Returns  Markup
    """
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    lines = [
        element("tr", _cell(row[0], "th", scope="row"), *(_cell(item, "td") for item in row[1:]))
        for row in rows
    ]
    body = element("table", element("caption", caption), element("thead", head), element("tbody", *lines))
    return element("div", body, class_="frame", role="region", aria_label=name, tabindex="0") + "\n"


def _cell(value: Any, tag: str, scope: str | None = None) -> Markup:
    return element(tag, cell(value), class_="number" if isinstance(value, NUMBERS) else None, scope=scope)


def details(summary: object, *inside: object) -> Markup:
    """What is folded away until somebody wants it."""
    return element("details", element("summary", summary), *inside) + "\n"


def picture(png: bytes, alternative: str, *caption: object) -> Markup:
    """A figure of a PNG, which says in words what it shows."""
    width, height = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    image = element("img", src=source, alt=alternative, width=width, height=height)
    return element("figure", image, element("figcaption", *caption)) + "\n"


def download(content: bytes, file: str, *said: object) -> Markup:
    """A link that holds the file it gives."""
    address = "data:text/csv;charset=utf-8;base64," + base64.b64encode(content).decode()
    return element("a", *said, href=address, download=file)


def tried(what: str, make: Callable[[], Markup]) -> Markup:
    """A part of the page; one that damaged or strange results do not allow says so, and the rest stands."""
    try:
        return make()
    except Exception as error:
        why = label(error_line(error), 300)
        return element("p", element("strong", "Not shown: "), f"{what}: ", why, class_="notice alert")


def error_line(error: Exception) -> str:
    """What went wrong, in one line."""
    text = " ".join(str(error).split())
    known = isinstance(error, ValueError | OSError) and text
    return _log.line(text if known else f"{type(error).__name__}: {text}")
