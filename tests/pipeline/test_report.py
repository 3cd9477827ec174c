"""The report says first what does not stand; nothing runs in it; what it states comes from results."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as some
from pages import CODE, SOUND, Page, cli, ran, told, written
from reported import FULL

from pipeline import _checklist, _figures, _page, _style, _tables, parts, store

HOSTILE = (
    "<script>document.title='run'</script>",
    '"><img src=x onerror=alert(1)>',
    "</script></style></table><h1>taken</h1>",
    "a\u202egnirts\u2066b",
    "&lt;b&gt;",
    "=HYPERLINK(1)",
)


@pytest.fixture(autouse=True)
def _trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts.allow(CODE)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run, and its results beside it."""
    folder = tmp_path_factory.mktemp("sound")
    path = written(folder)
    parts.allow(CODE)
    assert ran(path, folder / "results") == 0
    return path


@pytest.fixture(scope="module")
def page(sound: Path) -> Page:
    """Its report."""
    return told(sound, sound.parent / "results")


def test_the_page_is_sound_html_that_a_screen_reader_can_follow(page: Page) -> None:
    assert page.faults == []
    levels = [int(item.tag[1]) for item in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [item.attributes["id"] for item in page.elements if "id" in item.attributes]
    assert len(ids) == len(set(ids))
    for item in page.elements:
        for name in ("aria-labelledby",):
            assert item.attributes.get(name, ids[0]) in ids
    (root,) = page.all("html")
    assert root.attributes["lang"] == "en"
    assert len(page.all("title")) == len(page.all("main")) == len(page.all("nav")) == 1
    skip = page.all("a")[0]
    assert skip.attributes["href"] == "#report"
    assert page.all("main")[0].attributes["id"] == "report"
    assert all(item.attributes["scope"] in ("col", "row") for item in page.all("th"))
    assert [item.around[-1] for item in page.all("caption")] == ["table"] * len(page.all("table"))
    frames = [item for item in page.elements if item.attributes.get("class") == "frame"]
    assert len(frames) == len(page.all("table"))
    assert all(item.attributes["tabindex"] == "0" and item.attributes["aria-label"] for item in frames)
    assert len(page.all("figure")) == len(page.all("figcaption")) == len(page.all("img")) == 4
    assert all(len(item.attributes["alt"]) > 40 for item in page.all("img"))
    assert "auc along time (30 values, -0.1 to 0.19 s): lowest 0.5" in page.all("img")[0].attributes["alt"]


def test_nothing_runs_and_nobody_is_asked(page: Page) -> None:
    assert {item.tag for item in page.elements} <= {
        "html", "head", "meta", "link", "title", "style", "body", "a", "header", "h1", "h2", "h3", "main",
        "nav", "ul", "ol", "li", "section", "p", "div", "table", "caption", "thead", "tbody", "tr", "th",
        "td", "bdi", "figure", "figcaption", "img", "strong", "span", "code", "details", "summary", "dl",
        "dt", "dd", "footer",
    }  # fmt: skip
    names = {name for item in page.elements for name in item.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"style", "srcset", "action"}
    assert all(item.attributes["src"].startswith("data:image/png;base64,") for item in page.all("img"))
    targets = [item.attributes["href"] for item in page.all("a", "link")]
    assert {urlparse(target).scheme for target in targets} == {"", "data", "https"}
    assert {urlparse(target).netloc for target in targets} <= {"", "doi.org", "arxiv.org"}
    assert all(target[1:] in str(page.elements) for target in targets if target.startswith("#"))
    (style,) = [text for tag, text in page.texts if tag == "style"]
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [
        item.attributes["content"]
        for item in page.all("meta")
        if item.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'", "base-uri 'none'",
        "form-action 'none'",
    ]  # fmt: skip


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_f80_text_stands_out_from_its_ground(scheme: int) -> None:
    colours = dict(re.findall(r"--(\w+): (#\w{6})", _style.STYLE.split(":root")[1 + scheme]))
    for text in ("ink", "quiet", "link", "alert"):
        for ground in ("paper", "tint"):
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_f80_the_style_knows_dark_print_narrow_and_still() -> None:
    for words in ("prefers-color-scheme: dark", "@media print", "max-width: 30rem", "prefers-reduced-motion"):
        assert words in _style.STYLE


def test_same_results_are_the_same_bytes_wherever_they_stand(page: Page, sound: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "deep"
    shutil.copytree(sound.parent / "results", copy)
    first = (sound.parent / "results" / "test" / "report.html").read_bytes()
    told(sound, copy)
    assert (copy / "test" / "report.html").read_bytes() == first
    assert str(tmp_path).encode() not in first
    assert str(sound.parent).encode() not in first


def test_the_command_prints_the_path_and_refuses_what_is_no_page(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    results = sound.parent / "results"
    assert cli("report", sound, "--results", results, "--output", tmp_path / "own.html") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'own.html'}\n"
    group = results / "test" / "group.nc"
    before = group.read_bytes()
    assert cli("report", sound, "--results", results, "--output", group) == 3
    assert group.read_bytes() == before
    assert cli("report", sound, "--results", results, "--output", tmp_path / "no" / "own.html") == 1
    assert cli("report", "no_such_study") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 3
    assert "Traceback" not in err
    assert not list(results.rglob(".*"))


def test_what_may_be_said_stands_before_what_is_withheld_and_before_figures(page: Page) -> None:
    text = page.text
    order = ("What may be said It is so.", "Withheld", "It is then.", "Figures group.", "Numbers group")
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "Because: no test was made" in text


def test_sentences_of_single_units_are_folded_away_behind_those_of_the_whole(tmp_path: Path) -> None:
    given = "with: {sentences: [One is so.], because: [a reason]}, from: {result: scored}"
    study = written(tmp_path, f"{SOUND}  own: {{use: reported.weighed, {given}}}\n")
    assert ran(study) == 0
    page = told(study)
    assert page.text.index("It is so.") < page.text.index("Of every subject: 3 results")
    head = page.text.partition("Figures group")[0]
    assert head.count("One is so.") == 3
    assert head.index("It is then.") < head.index("One is so.")


def test_f83_a_partly_failed_run_is_said_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    text = SOUND.replace(
        "scored: {use: reported.scored, with: {", 'scored: {use: reported.scored, with: {bad: ["02"], '
    )
    study = written(tmp_path, text.replace("steps:", "on_error: continue\nsteps:"))
    assert ran(study) == 3
    capsys.readouterr()
    page = told(study)
    assert capsys.readouterr().err == "test: the report is incomplete: 3 of 8 results do not stand\n"
    head, _, rest = page.text.partition("Does a made-up score")
    assert "This report is incomplete: of 8 results, 1 missing, 2 waiting for what they read." in head
    assert "scored missing 02" in head
    assert "group was made without 02" in head
    assert "neuroloop run test" in head
    assert "Figures group." in rest


def test_f83_every_missing_subject_is_named(tmp_path: Path) -> None:
    names = [f"person{number}" for number in range(200)]
    page = told(written(tmp_path, re.sub(r"units: .*", f"units: {{subject: [{', '.join(names)}]}}", SOUND)))
    assert f"scored missing {', '.join(names)} reads recording/person0" in page.text


def test_f83_a_study_that_was_not_run_has_a_page_that_lists_all(tmp_path: Path) -> None:
    page = told(written(tmp_path))
    assert page.faults == []
    assert "This report is incomplete: of 8 results, 8 missing." in page.text
    assert "recording missing 01, 02, 03" in page.text
    assert "No result of this study weighs claims" in page.text
    assert not page.all("img")
    assert [path.name for path in (tmp_path / "results" / "test").iterdir()] == ["report.html"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def newer(path: Path) -> None:
    side = path.with_name(path.name + ".sha256")
    side.write_text(side.read_text().replace("# schema 1", "# schema 9"))


def gone(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(b"not netCDF")
    side = path.with_name(path.name + ".sha256")
    side.write_text(
        re.sub(r"^\w{64}", hashlib.sha256(b"not netCDF").hexdigest(), side.read_text(), flags=re.M)
    )


@pytest.mark.parametrize(
    ("harm", "state"),
    [(cut, "damaged"), (flipped, "damaged"), (newer, "newer"), (gone, "missing"), (garbage, "damaged")],
)
def test_f79_a_result_that_cannot_be_trusted_is_named_and_the_rest_stands(
    harm: object, state: str, sound: Path, tmp_path: Path
) -> None:
    shutil.copytree(sound.parent / "results", tmp_path / "results")
    harm(tmp_path / "results" / "test" / "scored" / "02.nc")  # type: ignore[operator]
    page = told(sound)
    head = page.text.partition("Does a made-up score")[0]
    assert page.faults == []
    assert f"scored {state} 02" in head
    assert "group stale" in head if harm is garbage else "group waits" in head
    assert str(tmp_path) not in page.text
    assert len(page.all("img")) == 3


@pytest.mark.parametrize("kind", ["old", "rows", "empty", "nan"])
def test_f79_strange_results_are_shown_as_they_are(kind: str, tmp_path: Path) -> None:
    given_ = {"rows": "{rows: 10000}", "empty": "{rows: 0}", "nan": "{value: .nan}", "old": "{}"}[kind]
    study = written(tmp_path, f"steps:\n  bare: {{use: reported.bare, with: {given_}}}\n")
    assert ran(study) == 0
    path = tmp_path / "results" / "test" / "bare.nc"
    if kind == "old":  # a field that is missing, and attributes of another meaning
        store.write(
            xr.Dataset({"level": ("bin", [1.0], {})}, attrs={"with": "[1", "versions": 3}), path, "old"
        )
    start = time.perf_counter()
    page = told(study)
    took = time.perf_counter() - start
    assert page.faults == []
    assert ("n/a" in page.text) == True  # noqa: E712
    if kind == "old":
        assert "bare stale" in page.text
    if kind == "nan":
        assert "row 2 n/a" in page.text
    if kind == "rows":
        assert "24 of 10000 rows" in page.text
        assert (tmp_path / "results" / "test" / "report.html").stat().st_size < 10**6
        assert took < 10  # 0.5 s on a quiet machine
        (link,) = [item for item in page.all("a") if "download" in item.attributes]
        assert base64.b64decode(link.attributes["href"].partition(",")[2]).count(b"\n") == 10_001


def test_f79_many_units_do_not_make_a_page_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_figures, "THUMBNAILS", 4)
    study = written(tmp_path)
    assert ran(study) == 0
    page = told(study)
    assert len(page.all("img")) == 3  # one of the group, and half of the four for each of two steps
    assert "scored: 1 more are drawn by neuroloop draw --units" in page.text
    monkeypatch.setattr(_figures, "DRAWN", 10_000)
    monkeypatch.setattr(_tables, "TAKEN", 0)
    page = told(study)
    assert not page.all("img")
    assert "group: not drawn: too large for this page" in page.text
    assert "too large for this page; read test/group.nc" in page.text


def test_a_result_that_cannot_be_drawn_is_said_in_its_place(page: Page) -> None:
    text = page.text
    assert "weighed: not drawn: KeyError" in text
    assert text.count("recording: not drawn: KeyError") == 1


@pytest.mark.parametrize("name", [*HOSTILE, "x" * 10_000])
def test_f78_names_are_text_and_nothing_else(name: str, tmp_path: Path) -> None:
    quoted = "'" + name.replace("'", "''") + "'"
    study = written(
        tmp_path,
        f"about: {quoted}\nsteps:\n"
        f"  bare: {{use: reported.bare, with: {{names: [{quoted}], attrs: {{origin: {quoted}}}}}}}\n"
        f"  recording: {{use: reported.recording, with: {{channels: [{quoted}, b]}}}}\n"
        f"  scored: {{use: reported.scored, with: {{warn: {quoted}}}, from: {{recording: recording}}}}\n"
        f"  claims:\n    use: reported.weighed\n    from: {{result: bare}}\n"
        f"    with: {{sentences: [{quoted}], because: [{quoted}]}}\n",
    )
    assert ran(study) == 0
    page = told(study)
    assert page.faults == []
    assert len(page.all("h1")) == 1
    assert not page.all("script")
    assert all(item.attributes["src"].startswith("data:image/png") for item in page.all("img"))
    assert not [name for item in page.elements for name in item.attributes if name.startswith("on")]
    shown = _page.visible(name)[:100]
    assert page.text.count(" ".join(shown.split())) >= 5
    inside = [
        item for item in page.all("bdi") if shown[:60] in "".join(t for _, t in page.texts[item.line :][:1])
    ]
    assert len(inside) >= 3
    if len(name) > 5000:
        longest = max(len(text) for tag, text in page.texts if tag == "bdi")
        assert longest < 2100
        assert "(10000 characters)" in page.text


def test_f78_a_spreadsheet_runs_nothing(tmp_path: Path) -> None:
    study = written(tmp_path, "steps:\n  bare: {use: reported.bare, with: {names: ['=1+1', '@x']}}\n")
    assert ran(study) == 0
    (link,) = [item for item in told(study).all("a") if "download" in item.attributes]
    rows = list(csv.reader(io.StringIO(base64.b64decode(link.attributes["href"].partition(",")[2]).decode())))
    assert rows[1:3] == [["'=1+1", "1.0"], ["'@x", "1.0"]]


@given(some.text())
def test_f78_any_text_comes_back_from_an_element_as_it_was(text: str) -> None:
    page = Page(str(_page.element("p", text, title=text)))
    assert page.faults == []
    (element,) = page.elements
    shown = _page.visible(text)
    assert element.attributes["title"] == shown
    assert "".join(part for tag, part in page.texts if tag) == shown


def test_numbers_to_take_along_are_exact(page: Page, sound: Path) -> None:
    links = {item.attributes["download"]: item for item in page.all("a") if "download" in item.attributes}
    raw = base64.b64decode(links["test_group_auc.csv"].attributes["href"].partition(",")[2]).decode()
    rows = list(csv.DictReader(io.StringIO(raw)))
    result = store.read(sound.parent / "results" / "test" / "group.nc")
    for name in ("time", "auc", "auc_low"):
        assert [float(row[name]) for row in rows] == result[name].values.tolist()
    assert [row["p"] for row in rows][:4] == ["n/a", "n/a", "n/a", repr(1 / 3)]


def test_tables_are_short_and_say_so(tmp_path: Path) -> None:
    study = written(tmp_path, "steps:\n  square: {use: reported.square, with: {size: 40}}\n")
    assert ran(study) == 0
    page = told(study)
    assert "12 of 40 rows, 10 of 40 columns" in page.text
    assert "0.39 1560 1564" in page.text  # the last row, from the first column on
    study = written(tmp_path, "steps:\n  square: {use: reported.square, with: {size: 400}}\n")
    assert ran(study) == 0
    assert "too large for this page; read test/square.nc" in told(study).text


@pytest.mark.parametrize(
    ("origins", "said"),
    [
        (("simulated", "simulated"), "All data here are simulated."),
        (("simulated", "real, raw"), "Simulated data are in: recording, scored, group, weighed."),
        (("real, raw", "real, raw"), ""),
    ],
)
def test_simulated_data_are_called_so_before_any_result(
    origins: tuple[str, str], said: str, tmp_path: Path
) -> None:
    text = SOUND.replace(
        '{subject: "{subject}"}}\n', f'{{subject: "{{subject}}", origin: "{origins[0]}"}}}}\n', 1
    )
    text += f'  other: {{use: reported.bare, with: {{attrs: {{origin: "{origins[1]}"}}}}}}\n'
    study = written(tmp_path, text)
    assert ran(study) == 0
    page = told(study)
    head = page.text.partition("What may be said It is so")[0]
    assert said in head
    assert ("imulated" in head) == bool(said)
    assert "brain data" not in page.text


def test_v33_a_full_record_lacks_nothing(page: Page) -> None:
    text = page.text
    assert re.search(r"(\d+) of \1 mandatory items are stated by results. None is missing.", text)


@pytest.mark.parametrize(
    "key", sorted({"test", "tail", "correction", "permutations", "smallest_p", "alpha", "confidence"})
)
def test_v33_what_no_result_states_is_named_as_missing(key: str, tmp_path: Path) -> None:
    study = written(
        tmp_path,
        SOUND.replace(
            "group: {use: reported.group,", f"group: {{use: reported.group, with: {{without: [{key}]}},"
        ),
    )
    assert ran(study) == 0
    text = told(study).text
    (item,) = [item.name for item in _checklist.ITEMS if key in item.keys]
    assert f"Missing: {item}." in text
    assert f"{item} missing no result states it" in text


def test_methods_come_from_what_results_state(page: Page) -> None:
    text = page.text
    for words in (
        "label familiar; classes no, yes; presentations of each 80, 80; estimator lda; folds 5; "
        "kept apart between training and test: identity, run; shared by them: none; chance 0.5.",
        "group: test sign flip; over subject; n 3; tail greater; correction max-T; permutations 5000; "
        "alpha 0.05; smallest p 0.0002.",
        "recording: 8 presentations; 2 neuroids; filter: none; trigger delay (s): 0; baseline: none",
        "scored reported.scored (for every subject; reads recording). A score over time.",
        "Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747",
        "Named by the question 10.1093/biomet/6.1.1",
        f"numpy {np.__version__}: Harris et al. 2020",
        "The plan was not locked before it ran.",
    ):
        assert words in text, words
    assert "seed 0" in text.partition("By default in scored")[2][:60]
    assert FULL["correction"] in text


def test_claims_that_cannot_be_read_are_said_and_the_rest_stands(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound.parent / "results", tmp_path / "results")
    path = tmp_path / "results" / "test" / "weighed.nc"
    half = xr.Dataset({"sentence": ("claim", ["It is."], {"units": "1"})})
    store.write(half, path, store.verify(path).key)
    text = told(sound).text
    assert "weighed: its claims cannot be read: KeyError" in text
    assert "Figures group." in text


def test_what_a_stale_result_claims_is_not_said(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound.parent / "results", tmp_path / "results")
    study = written(tmp_path, SOUND.replace('with: {subject: "{subject}"}, from', "with: {seed: 1}, from"))
    text = told(study).text  # of what a claim reads, something was made otherwise
    assert "scored stale 01, 02, 03 parameters changed" in text.replace("with changed", "parameters changed")
    assert "weighed: its claims are not shown" in text
    assert "It is so." not in text.partition("Methods The plan")[0]
    assert "group. The mean over units" in text
    assert "What it reads does not stand." in text


def test_without_the_recordings_nobody_can_tell_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "steps:\n  bare: {use: reported.bare, with: {attrs: {note: '{data}'}}}\n"
    study = written(tmp_path, text)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("NEURO_DATA", str(tmp_path / "data"))
    assert ran(study) == 0
    assert "incomplete" not in told(study).text
    monkeypatch.setenv("NEURO_DATA", str(tmp_path / "gone"))
    assert "cannot be told without the recordings; set NEURO_DATA" in told(study).text


def test_warnings_are_counted_first_and_listed(tmp_path: Path) -> None:
    text = SOUND.replace(
        "use: reported.scored, with: {", "use: reported.scored, with: {warn: a gap of 2017-09-13, "
    )
    study = written(tmp_path, text)
    assert ran(study) == 0
    page = told(study)
    assert "3 results came with warnings." in page.text.partition("Does a made-up score")[0]
    assert "scored/02: a gap of (date)" in page.text
    assert "incomplete" not in page.text


def test_f87_names_and_days_of_people_are_in_no_output(tmp_path: Path) -> None:
    """Planted in participants.tsv and in the header of the fif file."""
    mne = pytest.importorskip("mne")
    from datetime import UTC, date, datetime

    from loaders import synthetic

    synthetic.write_meg_faces(tmp_path / "bids", seed=0, sites=2, identities=4, images=1, runs=1)
    table = tmp_path / "bids" / "participants.tsv"
    table.write_text("participant_id\tname\tbirthday\nsub-01\tMarigold Quux\t1987-06-05\n")
    for path in (tmp_path / "bids").rglob("*_meg.fif"):
        raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
        raw.set_meas_date(datetime(1999, 12, 31, tzinfo=UTC))
        raw.info["subject_info"] = {
            "his_id": "QUUX-77", "first_name": "Marigold", "last_name": "Quux", "birthday": date(1987, 6, 5),
        }  # fmt: skip
        raw.info["experimenter"] = "Zebedee"
        raw.save(path, overwrite=True, verbose="error")
    study = written(
        tmp_path,
        "steps:\n  recording:\n    use: loaders.meg.epochs\n    with: {path: "
        f'"{tmp_path}/bids/sub-01", trigger_delay_s: 0, window: [-0.1, 0.19]}}\n'
        "  scored: {use: reported.scored, from: {recording: recording}}\n",
    )
    assert ran(study) == 0
    told(study)
    outputs = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert {path.name for path in outputs} >= {"report.html", "recording.nc", "scored.nc"}
    for path in outputs:
        for planted in (b"Marigold", b"Quux", b"QUUX-77", b"1987", b"1999-12", b"Zebedee"):
            assert planted not in path.read_bytes(), path.name


def chromium(address: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium here")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", "--v=0",
    ]  # fmt: skip
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}"]
    line = [program, *flags, *words, address]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)


def test_f78_f81_a_browser_runs_nothing_and_has_nothing_to_say(
    page: Page, sound: Path, tmp_path: Path
) -> None:
    file = sound.parent / "results" / "test" / "report.html"
    for query in ("", "?q=<script>document.title='run'</script>#\"><img src=x onerror=alert(1)>"):
        done = chromium(file.as_uri() + query, tmp_path / "profile", "--dump-dom")
        assert "CONSOLE" not in done.stderr
        assert "<title>test</title>" in done.stdout
    assert "It is so." in done.stdout
    hostile = tmp_path / "hostile.html"
    body = "</main><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    hostile.write_text(file.read_text().replace("</main>", body))  # what if an escape were forgotten?
    done = chromium(hostile.as_uri(), tmp_path / "profile", "--dump-dom")
    assert "<title>test</title>" in done.stdout
    assert "CONSOLE" in done.stderr  # the policy speaks, so a silent console means something
