from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from pipeline import _steps, parts, study

HERE = Path(__file__).resolve().parent

SOUND = """\
about: a test
units: {subject: ["01", "02"]}
on_error: stop
steps:
  files: {use: made_up.files, with: {path: "{results}/bids", subject: "{subject}"}}
  recording:
    use: made_up.recording
    with: {path: "{results}/bids/sub-{subject}", gain: 2}
    from: {manifest: files}
  level: {use: made_up.mean, from: {recording: recording}}
  group: {use: made_up.across, gather: {recording: level}}
  last: {use: made_up.lazy, from: {recording: group}}
  early: {use: made_up.noise, once: true}
"""

PLANTED = """\
about: [1]
unit: {subject: ["01"]}
units: {subjct: ["01", 02, "01", "a b"]}
on_error: perhaps
steps:
  a: {use: made_up.mea, with: {spread: x, spread: y}}
  b: {use: made_up.noise, with: {gian: 1}}
  c: {use: made_up.noise, with: {gain: "{subjec}"}, frm: {}}
  d: {with: {}}
  e: {use: made_up.mean, from: {recording: bb}}
  f: 3
"""


@pytest.fixture(autouse=True)
def _trusted() -> None:
    parts.allow(HERE / "made_up.py")


def written(folder: Path, text: str | bytes, name: str = "test.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines_of(path: Path) -> list[str]:
    with pytest.raises(study.StudyError) as caught:
        study.check(path)
    return caught.value.lines


def test_a_sound_study_is_read_in_an_order_in_which_it_can_run(tmp_path: Path) -> None:
    plan = study.check(written(tmp_path, SOUND))
    assert (plan.name, plan.dimension, plan.units) == ("test", "subject", ("01", "02"))
    once = {name: step.once for name, step in plan.steps.items()}
    assert once == {
        "files": False, "recording": False, "level": False, "group": True, "last": True, "early": True,
    }  # fmt: skip
    assert plan.steps["recording"].arguments["gain"] == 2


def test_steps_may_stand_in_any_order(tmp_path: Path) -> None:
    head, *steps = re.split(r"(?m)^(?=  \w+:)", SOUND)
    forward = study.check(written(tmp_path, SOUND))
    back = study.check(written(tmp_path, head + "".join(reversed(steps))))
    assert set(forward.steps) == set(back.steps)
    order = list(back.steps)
    assert order.index("files") < order.index("recording") < order.index("level") < order.index("group")


def test_f39_all_problems_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, PLANTED)
    told = lines_of(path)
    assert all(re.fullmatch(rf"{re.escape(str(path))}:\d+:\d+: .+: .+", line) for line in told)
    at = [int(re.search(r":(\d+):\d+: ", line)[1]) for line in told]
    assert at == sorted(at)
    expected = {
        1: "is a list, not text",
        2: "did you mean 'units'?",
        3: "did you mean 'subject'?|quote it|stands twice|letters and digits",
        4: "neither stop nor continue",
        6: "did you mean 'mean'?|'spread' stands twice",
        7: "no argument 'gian'; did you mean 'gain'?",
        8: "{subjec} has no value|unknown key 'frm'; did you mean 'from'?|wants a number",
        9: "has no 'use'",
        10: "there is no step 'bb'; did you mean 'b'?",
        11: "is a number; a step is",
    }
    assert set(at) == set(expected)
    for number, whys in expected.items():
        for why in whys.split("|"):
            assert any(why in line for line, spot in zip(told, at, strict=True) if spot == number), why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("  level:", "\tlevel:", r"10:1: yaml: indented by a tab"),
        ("{recording: level}}", "{recording: level}", r"\d+:\d+: yaml: "),
        ("about: a test", "about: a: test", r"1:9: yaml: mapping values are not allowed"),
        ("on_error: stop", "on_error: stop\nabout: again", r"4:1: about: 'about' stands twice"),
        ("gain: 2", "gain: 2, gain: 3", r"8:59: step recording: 'gain' stands twice"),
        ("from: {recording: recording}", "from: {recording: group}", r"reads itself: .* break it"),
        ("from: {recording: group}", "from: {recording: level}, once: true", r"use gather"),
        ("gather: {recording: level}", "gather: {recording: early}", r"nothing to gather; use from"),
        ("once: true", "once: on", r"13:\d+: step early: once is text, not true or false"),
        ("on_error: stop", "on_error: off", r"3:1: on_error: is neither"),
        ("use: made_up.noise", "use: [made_up.noise]", r"use is a list"),
        ("from: {recording: group}", "from: [group]", r"from is a mapping of argument: step"),
        ('with: {path: "{results}/bids", ', "with: {path: '{result}/bids', ", r"{result} has no value"),
        ("use: made_up.noise, once", "use: made_up.noise, with: {subject: '{subject}'}, once", r"no value"),
        ("from: {manifest: files}", "from: {gain: files}", r"given twice|wants a number"),
        ("steps:", "stepps:", r"unknown key 'stepps'; did you mean 'steps'\?"),
        ("  last:", "  la/st:", r"a name is of letters"),
        ("about: a test", "--- {}\n---\nabout: a test", r"yaml: but found another document"),
        ('"01", "02"', "", r"is empty|is a list, not a list of names|not a list"),
        ('"01", "02"', '"01", ".."', r"2:\d+: units.subject: '..' is not of letters and digits"),
        ("{subject: [", "{results: [", r"cannot name a dimension"),
    ],
)
def test_f39_one_fault_is_told_where_it_is(old: str, new: str, why: str, tmp_path: Path) -> None:
    assert old in SOUND
    told = lines_of(written(tmp_path, SOUND.replace(old, new, 1)))
    assert any(re.search(why, line) for line in told), told
    assert all(re.match(rf"{re.escape(str(tmp_path))}/test.yaml:\d+:\d+: ", line) for line in told)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("NO", "NO"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("1e-3", 0.001), ("1E3", 1000.0), ("08", 8), ("010", 10), ("0o17", 15), ("0x1F", 31), ("-7", -7),
        ("12:30", "12:30"), ("1_000", "1_000"), ("2024-01-02", "2024-01-02"), (".5", 0.5), ("5.", 5.0),
        ("-.inf", float("-inf")), ("1.2.3", "1.2.3"), ("'1'", "1"), ('"on"', "on"), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_f40_scalars_mean_what_yaml_1_2_says(text: str, value: object, tmp_path: Path) -> None:
    path = written(tmp_path, SOUND.replace("gain: 2", f"gain: {text}"))
    made = study.read(path).steps["recording"].arguments["gain"]
    assert made == value
    assert type(made) is type(value)


def test_f40_a_unit_that_yaml_reads_as_a_number_must_be_quoted(tmp_path: Path) -> None:
    assert "quote it" in lines_of(written(tmp_path, SOUND.replace('"01", "02"', "01, 02")))[0]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "anchors"),
        ("about: x\nsteps: *gone\n", "anchors"),
        ("about: " + "[" * 20_000 + "]" * 20_000, "nested deeper"),
        ("about: " + "{a: " * 20_000, "nested deeper"),
        ("- " * 20_000, "nested deeper"),
        ("? " * 20_000, "nested deeper"),
        ("about: !!python/object/apply:os.system ['touch {mark}']\n", "tags"),
        ("about: !!python/name:os.system\n", "tags"),
        ("about: !<tag:yaml.org,2002:python/object/new:os.system> [x]\n", "tags"),
        ("about: !!str x\n", "tags"),
        ("# " + "x" * 200_000, "larger than"),
        ("about: [" + "a," * 49_000 + "]", "more than"),
        ("about: " + "9" * 90_000, "a number of 90000 digits"),
        ("about: " + "a" * 99_000, "steps"),
    ],
    ids=range(14),
)
def test_f41_a_hostile_study_is_refused_within_a_second(text: str, why: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = written(tmp_path, text.replace("{mark}", str(mark)))
    start = time.process_time()
    told = lines_of(path)
    assert time.process_time() - start < 1
    assert any(why in line for line in told), told[:3]
    assert not mark.exists()


def test_f41_a_hundred_megabytes_are_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    limit = 200_000_000 + 400_000_000  # of addresses, of which Python and yaml take some before they begin

    code = f"from pipeline import study; study.read({str(path)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=HERE.parent.parent,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert "yaml: larger than" in done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"- a\n- b\n", "is a list; it is a mapping"),
        (b"just text", "is text; it is a mapping"),
        (b"3", "is a number; it is a mapping"),
        ("about: ü".encode("latin-1"), "1:8: yaml: is not UTF-8"),
        ("about: x".encode("utf-16"), "1:1: yaml: is not UTF-8"),
        (b"about: x\x00y", "yaml: "),
        (b'about: "x\\0y"', "holds a control character"),
        (b'about: "\\ud800"', "yaml: |control"),
        (b"steps: {}", "a study has a mapping of steps"),
        (b"about: x", "a study has a mapping of steps"),
    ],
)
def test_f42_what_is_no_study_is_one_line(text: bytes, why: str, tmp_path: Path) -> None:
    told = lines_of(written(tmp_path, text))
    assert any(re.search(why, line) for line in told), told
    assert all("\n" not in line and "Traceback" not in line for line in told)


def test_f42_a_byte_order_mark_and_carriage_returns_change_nothing(tmp_path: Path) -> None:
    plain = study.check(written(tmp_path, SOUND))
    odd = study.check(written(tmp_path, b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode()))
    assert odd.steps == plain.steps


@pytest.mark.parametrize(
    "name", ["a b.yaml", "ü.yaml", "1.yaml", "a-b.yaml", "x" * 80 + ".yaml", "a\nb.yaml"]
)
def test_f44_a_study_is_named_by_letters(name: str, tmp_path: Path) -> None:
    told = lines_of(written(tmp_path, SOUND, name))
    assert len(told) == 1
    assert "rename the file" in told[0]
    assert "\n" not in told[0]


def test_f44_a_path_that_cannot_be(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 300 + ".yaml"), tmp_path / "no.yaml", tmp_path, Path("a\0.yaml")):
        assert "\n" not in lines_of(path)[0]


def test_find_looks_upward_and_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "workflows" / "studies"
    folder.mkdir(parents=True)
    written(folder, SOUND, "mine.yaml")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert study.find("mine") == folder / "mine.yaml"
    with pytest.raises(study.StudyError, match="did you mean 'mine'"):
        study.find("mien")


def test_fill_replaces_words_and_leaves_braces() -> None:
    assert _steps.fill({"a": ["{x}{{x}}", 1, None]}, {"x": "y"}) == {"a": ["y{x}", 1, None]}


def mutate(text: str, places: list[tuple[float, int, str]]) -> str:
    for where, kind, piece in places:
        spot = int(where * len(text))
        end = min(len(text), spot + 1 + kind)
        text = text[:spot] + (piece if kind < 4 else text[spot:end] * 2) + text[end if kind != 1 else spot :]
    return text


PIECES = some.one_of(
    some.sampled_from(
        [*"\t\n:{}[],&*!|>'\"#%@`-? ", "  ", "use", "{results}", "null", "1e9", "\x85", "\ud83d", "é"]
    ),
    some.text(max_size=4),
)


def survives(folder: Path, places: list[tuple[float, int, str]]) -> None:
    text = mutate(SOUND, places)
    path = written(folder, text.encode("utf-8", "surrogatepass"))
    lines: list[str] = []
    try:
        study.check(path)
    except study.StudyError as error:
        lines = error.lines or ["none"]
    for line in lines:
        assert re.match(rf"{re.escape(str(path))}:\d+:\d+: .+: .", line), line
        assert line.isprintable()
        line.encode()


PLACES = some.lists(some.tuples(some.floats(0, 1), some.integers(0, 9), PIECES), min_size=1, max_size=4)
RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=250, deadline=None, suppress_health_check=RELAXED, derandomize=True)
@given(PLACES)
def test_r16_a_mutated_study_is_sound_or_told_by_line(tmp_path: Path, places: list) -> None:
    survives(tmp_path, places)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=RELAXED)
@given(PLACES)
def test_r16_two_thousand_mutated_studies(tmp_path: Path, places: list) -> None:
    survives(tmp_path, places)
