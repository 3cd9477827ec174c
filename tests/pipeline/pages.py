"""What the report's tests share: a study, ways to make its page, and the page taken apart."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from pipeline.__main__ import main

CODE = str(Path(__file__).resolve().parent / "reported.py")
VOID = {"br", "img", "link", "meta"}
INLINE = {"a", "bdi", "code", "span", "strong"}

SOUND = """\
about: Does a made-up score of noise show anything? Asked after Student 1908, doi 10.1093/biomet/6.1.1.
units: {subject: ["01", "02", "03"]}
steps:
  recording: {use: reported.recording, with: {subject: "{subject}"}}
  scored: {use: reported.scored, with: {subject: "{subject}"}, from: {recording: recording}}
  group: {use: reported.group, gather: {recording: scored}}
  weighed:
    use: reported.weighed
    with: {sentences: [It is so., It is then.], because: ["", no test was made]}
    from: {result: group}
"""


class Element(NamedTuple):
    """One element: its tag, attributes, the tags around it, and the text that it begins with."""

    tag: str
    attributes: dict[str, str]
    around: tuple[str, ...]
    line: int


class Page(HTMLParser):
    """A page taken apart; `faults` says what was not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()
        self.faults += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len({name for name, _ in attrs}) < len(attrs):
            self.faults.append(f"{tag}: an attribute stands twice")
        self.texts += [] if tag in INLINE else [("", " ")]
        around = tuple(self.open)
        self.elements.append(
            Element(tag, {key: value or "" for key, value in attrs}, around, len(self.texts))
        )
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")
        self.texts += [] if tag in INLINE else [("", " ")]

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        """All that is read, without the style."""
        return " ".join("".join(data for tag, data in self.texts if tag != "style").split())

    def all(self, *tags: str) -> list[Element]:
        return [item for item in self.elements if item.tag in tags]


def written(folder: Path, text: str = SOUND) -> Path:
    path = folder / "test.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def cli(*words: object) -> int:
    return main([str(word) for word in (*words, "--allow-code", CODE)])


def ran(study: Path, results: Path | str = "results", *words: object) -> int:
    return cli("run", study, "--results", results, "--workers", 1, "--quiet", *words)


def told(study: Path, results: Path | str = "results") -> Page:
    """The page of a study, which is made whatever the results are like."""
    assert cli("report", study, "--results", results) == 0
    return Page((Path(results) / study.stem / "report.html").read_text(encoding="utf-8"))
