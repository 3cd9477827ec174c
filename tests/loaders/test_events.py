"""An events table becomes one row a presentation, and the choice of its columns is stated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loaders import _events


def write(folder: Path, text: str) -> Path:
    path = folder / "sub-01_task-faces_events.tsv"
    path.write_text(text.replace(" ", "\t"))
    return path


def test_every_column_becomes_a_coordinate_of_its_type(tmp_path: Path) -> None:
    text = "onset duration trial_type code level time a/b\n1.5 0.2 face 01 3 9 x\n2 n/a house 02 n/a 8 y\n"
    found = _events.table(write(tmp_path, text))
    assert found.onset.values.tolist() == [1.5, 2.0]
    np.testing.assert_array_equal(found.duration.values, [0.2, np.nan])
    assert found.code.values.tolist() == ["01", "02"]
    np.testing.assert_array_equal(found.level.values, [3, np.nan])
    assert found.event_time.values.tolist() == [9, 8]
    assert found["a_b"].values.tolist() == ["x", "y"]
    assert found.line.values.tolist() == [2, 3]
    assert {item.dims for item in found.coords.values()} == {("presentation",)}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2"], "i"),
        (["1", "2.5"], "f"),
        (["1", "n/a"], "f"),
        (["1", "x"], "U"),
        (["007", "8"], "U"),
        (["n/a"], "U"),
    ],
)
def test_cells_have_a_type(cells: list[str], kind: str) -> None:
    assert _events.typed(cells).dtype.kind == kind


@pytest.mark.parametrize(
    ("header", "rows", "column"),
    [
        ("trial_type value", ["face 1", "house 2"], "trial_type"),
        ("stim_type value", ["face 1", "house 2"], "stim_type"),
        ("trial_type value", ["n/a 1", "n/a 2"], "value"),
        ("trial_type value", ["show 1", "show 2"], "value"),
        ("trial_type value", ["show 1", "show 1"], "trial_type"),
        ("size", ["1", "2"], "none"),
    ],
    ids=["first", "stim_type", "all n/a", "one type, many values", "one of each", "no condition"],
)
def test_f11_the_condition_is_the_first_column_that_tells_kinds_apart(
    tmp_path: Path, header: str, rows: list[str], column: str
) -> None:
    text = f"onset duration {header}\n" + "".join(f"{k} 0 {row}\n" for k, row in enumerate(rows))
    found = _events.table(write(tmp_path, text))
    assert found.attrs["condition_column"] == column
    assert len(found.trial_type) == len(rows)
    counted = _events.counts(found.trial_type.values)
    assert sum(int(part.split(" ")[-1]) for part in counted.split(", ")) == len(rows)


def test_condition_and_stimulus_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "onset duration trial_type stim_file sex\n1 0 face f1.png f\n2 0 face f2.png m\n")
    found = _events.table(path, condition="sex", stimulus="sex")
    assert found.trial_type.values.tolist() == found.stimulus_id.values.tolist() == ["f", "m"]
    assert _events.table(path).stimulus_id.values.tolist() == ["f1.png", "f2.png"]
    with pytest.raises(ValueError, match=r":1: no column 'stimfile'; did you mean 'stim_file'"):
        _events.table(path, stimulus="stimfile")


def test_repetitions_count_from_zero() -> None:
    assert _events.repetitions(np.array(["a", "b", "a", "a"])).tolist() == [0, 0, 1, 2]


def test_the_real_tables_of_ds000117_hold_their_trials(neuro_data: Path) -> None:
    tables = [
        _events.table(path)
        for path in sorted(neuro_data.glob("meg/ds000117_events/sub-01/ses-meg/meg/*_events.tsv"))
    ]
    assert [len(table.onset) for table in tables] == [
        len(path.read_text().splitlines()) - 1
        for path in sorted(neuro_data.glob("meg/ds000117_events/sub-01/ses-meg/meg/*_events.tsv"))
    ]
    assert sum(len(table.onset) for table in tables) == 887


def test_answers_without_onsets_are_refused_by_their_line(neuro_data: Path) -> None:
    path = next(neuro_data.glob("meg/ds000117_events/sub-01/ses-meg/beh/*_events.tsv"))
    with pytest.raises(ValueError, match=r"_events.tsv:2: onset 'n/a' is not a number"):
        _events.table(path)
