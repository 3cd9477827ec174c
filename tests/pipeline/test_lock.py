"""A locked plan stays as it was written; keys changed since are listed, layout and comments are not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from runs import STUDY, cli, made, tree

from pipeline import lock, study

pytestmark = pytest.mark.usefixtures("trusted")

RELAID = """\
# the same study, laid out in another way
steps:
  group: {gather: {recording: level}, use: made_up.across}
  level:
    use: "made_up.mean"   # comment
    from:
      recording: twice
  twice: {use: made_up.lazy, with: {parts: 3}, from: {recording: recording}, once: false}
  recording:
    use: made_up.recording
    with: {path: '{results}/bids/sub-{subject}', gain: 2.0}
    from: {manifest: files}
  files:
    {use: made_up.files, with: {subject: "{subject}", path: "{results}/bids"}, from: {}}
units:
  subject:
    - "01"
    - "02"
    - "03"
on_error: stop
about: >-
  a
  test
"""

CHANGES = {
    ("gain: 2", "gain: 3"): ["steps.recording.with.gain: changed from 2 to 3"],
    ("about: a test", "about: another test"): ['about: changed from "a test" to "another test"'],
    ("on_error: stop", "on_error: continue"): ['on_error: changed from "stop" to "continue"'],
    ('"02", "03"', '"02"'): ["units.subject.03: removed"],
    ('"02", "03"', '"02", "03", "04"'): ["units.subject.04: added"],
    (", gain: 2", ""): ["steps.recording.with.gain: removed, was 2"],
    ("parts: 3", "parts: 3, more: [1, 2]"): ["steps.twice.with.more: added, [1, 2]"],
    ("from: {recording: twice}", "from: {recording: recording}"): [
        'steps.level.from.recording: changed from "twice" to "recording"'
    ],
    ("made_up.across, ", "made_up.lazy, "): [
        'steps.group.use: changed from "made_up.across" to "made_up.lazy"'
    ],
}  # fmt: skip


def refused(path: Path, capsys: pytest.CaptureFixture) -> str:
    assert cli("lock", path) == 2
    return capsys.readouterr().err


def test_v32_a_study_is_unlocked_then_locked_then_deviates(
    study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert lock.state(study) == "unlocked"
    assert lock.deviations(study) == []
    assert cli("lock", study) == 0
    out = capsys.readouterr().out
    assert out == f"{study.with_suffix('.lock')}\n"
    assert lock.state(study) == "as locked"
    study.write_text(STUDY.replace("gain: 2", "gain: 3"))
    assert lock.state(study) == "deviates"
    assert lock.deviations(study) == ["steps.recording.with.gain: changed from 2 to 3"]
    study.write_text(STUDY)
    assert lock.state(study) == "as locked"


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[1][:24] or "none")
def test_v32_each_changed_key_is_listed(change: tuple[str, str], study: Path) -> None:
    lock.lock(study)
    study.write_text(STUDY.replace(*change))
    assert study.read_text() != STUDY
    assert lock.deviations(study) == CHANGES[change]


def test_v32_a_step_more_and_a_step_less(study: Path) -> None:
    lock.lock(study)
    study.write_text(STUDY.replace("  group:", "  team:"))
    told = lock.deviations(study)
    assert 'steps.group.use: removed, was "made_up.across"' in told
    assert 'steps.team.use: added, "made_up.across"' in told
    assert {line.split(".")[1] for line in told} == {"group", "team"}


def test_v32_layout_comments_and_order_are_no_deviation(study: Path) -> None:
    before = lock.lock(study).read_bytes()
    study.write_text(RELAID)
    assert lock.deviations(study) == []
    assert lock.lock(study).read_bytes() == before


def test_v32_the_lock_holds_the_meaning_and_its_digest(study: Path) -> None:
    stored = json.loads(lock.lock(study).read_text())
    assert stored["meaning"]["steps.recording.with.gain"] == 2
    text = json.dumps(stored["meaning"], sort_keys=True)
    assert stored["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_v32_a_changed_study_is_never_silently_locked_again(
    study: Path, capsys: pytest.CaptureFixture
) -> None:
    path = lock.lock(study)
    before = path.read_bytes()
    assert cli("lock", study) == 0  # nothing changed: nothing is written
    assert path.read_bytes() == before
    study.write_text(STUDY.replace("gain: 2", "gain: 3"))
    capsys.readouterr()
    err = refused(study, capsys)
    assert "--force" in err
    assert "steps.recording.with.gain: changed from 2 to 3" in err
    assert path.read_bytes() == before
    assert cli("lock", study, "--force") == 0
    assert "replaced: steps.recording.with.gain: changed from 2 to 3" in capsys.readouterr().err
    assert lock.state(study) == "as locked"
    assert lock.replaced(study) == ["lock 1: steps.recording.with.gain: changed from 2 to 3"]
    study.write_text(STUDY.replace("gain: 2", "gain: 4"))
    lock.lock(study, force=True)
    assert lock.replaced(study)[1] == "lock 2: steps.recording.with.gain: changed from 3 to 4"


@pytest.mark.parametrize("how", ["cut", "edited", "empty", "another", "binary"])
def test_v32_a_damaged_lock_counts_as_a_deviation(
    how: str, study: Path, capsys: pytest.CaptureFixture
) -> None:
    path = lock.lock(study)
    text = path.read_text()
    spoilt = {
        "cut": text[:40].encode(), "edited": text.replace('gain": 2', 'gain": 3').encode(), "empty": b"",
        "another": b'{"name": "package", "lockfileVersion": 3}', "binary": b"\xff\x00",
    }  # fmt: skip
    path.write_bytes(spoilt[how])
    assert lock.state(study) == "deviates"
    (line,) = lock.deviations(study)
    assert "restore it, or lock with --force" in line
    assert "--force" in refused(study, capsys)
    assert path.read_bytes() == spoilt[how]
    assert cli("lock", study, "--force") == 0
    assert lock.state(study) == "as locked"
    assert len(lock.replaced(study)) == 1


def test_v32_only_a_sound_study_is_locked(study: Path, capsys: pytest.CaptureFixture) -> None:
    study.write_text(STUDY.replace("gain:", "gian:"))
    assert "did you mean 'gain'" in refused(study, capsys)
    assert not study.with_suffix(".lock").exists()
    assert cli("lock", study.with_name("none.yaml")) == 2


def test_v32_check_and_run_work_on_as_before(study: Path) -> None:
    assert made(study) == 0
    before = tree("results")
    lock.lock(study)
    study.write_text(STUDY.replace("about: a test", "about: another"))
    assert cli("check", study) == 0
    assert made(study) == 0
    assert tree("results") == before


def test_v32_an_empty_argument_is_not_an_absent_one(study: Path) -> None:
    lock.lock(study)
    study.write_text(STUDY.replace("parts: 3", "parts: {}"))
    assert lock.deviations(study) == ["steps.twice.with.parts: changed from 3 to {}"]


def test_v32_studies_of_the_house_have_a_meaning() -> None:
    root = Path(__file__).resolve().parents[2] / "workflows" / "studies"
    for path in root.glob("*.yaml"):
        meant = lock.meaning(study.read(path))
        assert meant["about"]
        assert lock.digest(meant) == lock.digest(json.loads(json.dumps(meant)))
