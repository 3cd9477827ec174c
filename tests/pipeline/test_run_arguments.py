"""A wrong argument is the study's fault: exit 2, at its own line and column; bad data stay exit 3."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import made, tree, written

pytestmark = pytest.mark.usefixtures("trusted")

STUDY = """\
units: {{subject: ["01", "02"]}}
steps:
  recording: {{use: made_up.noise, with: {{subject: "{{subject}}"}}}}
  level:
    use: made_up.refuses
    with:
      subject: "{{subject}}"
      why: {why!r}
      folds: 3
    from: {{recording: recording}}
"""


@pytest.mark.parametrize(
    ("why", "code", "place"),
    [
        ("folds: 3; at least 5 are needed", 2, "9:7"),
        ("why: is not nice; give another", 2, "8:7"),
        ("subject: '01': is not known; give another", 2, "7:7"),
        ("recording: holds NaN; leave it out", 3, "4:3"),
        ("response: presentation 3 is nan; leave it out", 3, "4:3"),
        ("fold: 3; is empty", 3, "4:3"),
        ("folds 3; is empty", 3, "4:3"),
        ("/data/folds: 3: is cut", 3, "4:3"),
        ("seed: 3; a default that the study does not name", 3, "4:3"),
        ("folds", 3, "4:3"),
    ],
)
def test_a_wrong_argument_is_exit_2_at_its_own_place(
    why: str, code: int, place: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path, STUDY.format(why=why))
    results = tmp_path / "results"
    assert made(path, str(results), "--quiet") == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"{path}:{place}: step level 01: {why}")
    assert not [name for name in tree(results) if "level" in name]


def test_the_first_failure_gives_the_code(tmp_path: Path) -> None:
    path = written(tmp_path, STUDY.format(why="folds: 3; at least 5 are needed"))
    assert made(path, str(tmp_path / "results"), "--quiet", "--keep-going") == 2
