"""Ten deliberate leaks, each found and named; ten clean splits of the same designs pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from analyses import decoding, folds
from pipeline import parts

RUNS, PEOPLE, PHOTOGRAPHS = 4, 12, 2


def design(subjects: int = 1, seed: int = 0) -> xr.Dataset:
    """Every run shows every photograph once; half of the people are familiar. Files have hashes."""
    rng = np.random.default_rng(seed)
    photographs = PEOPLE * PHOTOGRAPHS
    order = np.concatenate([rng.permutation(photographs) for _ in range(RUNS * subjects)])
    count = order.size
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), rng.normal(size=(count, 3, 1)), {"units": "1"})},
        {
            "stimulus_id": ("presentation", np.array([f"photograph{k:02d}" for k in order])),
            "content": ("presentation", np.array([f"sha{k * 7919 % 997:03d}" for k in order])),
            "identity": ("presentation", np.array([f"person{k // PHOTOGRAPHS:02d}" for k in order])),
            "familiar": ("presentation", order // PHOTOGRAPHS % 2),
            "run": ("presentation", np.tile(np.repeat(np.arange(RUNS), photographs), subjects)),
            "subject": (
                "presentation",
                np.repeat([f"{k + 1:02d}" for k in range(subjects)], count // subjects),
            ),
            "onset": ("presentation", np.tile(np.arange(photographs) * 0.9, RUNS * subjects)),
            "neuroid_id": ("neuroid", ["a", "b", "c"]),
            "time": [0.1],
        },
    )


def sides(train: np.ndarray, test: np.ndarray) -> xr.Dataset:
    dims = ("fold", "presentation")
    return xr.Dataset({"train": (dims, np.atleast_2d(train)), "test": (dims, np.atleast_2d(test))})


def crossed(recording: xr.Dataset, fold: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One clean split: people and runs (and subjects) of the test side train nothing."""
    made = folds.split(recording, "familiar", folds=4, groups="auto")
    return made["train"].values[fold].copy(), made["test"].values[fold].copy()


def same(recording: xr.Dataset, test: np.ndarray, key: str, **others: str) -> int:
    """A presentation off the test side that shares `key` with it, and none of the other coordinates."""
    column = recording[key].values
    shares = np.isin(column, column[test]) & ~test
    for other in others.values():
        column = recording[other].values
        shares &= ~np.isin(column, column[test])
    return int(np.flatnonzero(shares)[0])


def same_stimulus() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design().drop_vars(["content", "identity"])
    train, test = crossed(recording)
    train[same(recording, test, "stimulus_id", a="run")] = True
    return recording, sides(train, test), {}


def renamed_copy() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design().drop_vars("identity")
    train, test = crossed(recording)
    row = same(recording, test, "content", a="run")
    names = recording["stimulus_id"].values.astype("U20")
    names[row] = "another_name"
    train[row] = True
    return recording.assign_coords(stimulus_id=("presentation", names)), sides(train, test), {}


def same_person() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design()
    made = folds.split(recording, "familiar", folds=4, groups=["stimulus_id"], overlap=["identity", "run"])
    return recording, made, {"declared": ["run"]}


def same_run() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design()
    train, test = crossed(recording)
    train[same(recording, test, "run", a="identity")] = True
    return recording, sides(train, test), {}


def same_subject() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design(subjects=3).drop_vars("run")
    train, test = crossed(recording)
    train[same(recording, test, "subject", a="identity")] = True
    return recording, sides(train, test), {}


def both_sides() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design()
    train, test = crossed(recording)
    train[np.flatnonzero(test)[0]] = True
    return recording, sides(train, test), {}


def one_fold_of_many() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design()
    made = folds.split(recording, "familiar", folds=4)
    train, test = made["train"].values.copy(), made["test"].values
    train[-1, same(recording, test[-1], "identity", a="run")] = True
    return recording, sides(train, test), {}


def neighbours_in_time() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    recording = design().drop_vars(["identity", "content", "stimulus_id"])
    inside = recording["run"].values == 0
    late = recording["onset"].values > 9
    return recording, sides(inside & late, inside & ~late), {"declared": ["run"], "gap": 2.0}


def the_same_trial_twice() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """A trial that was appended once more under other names, as when files are joined twice."""
    recording = design()
    train, test = crossed(recording)
    copy = recording.isel(presentation=np.flatnonzero(test)[:1])
    new = {name: ("presentation", ["new"]) for name in ("stimulus_id", "content", "identity")}
    joined = xr.concat([recording, copy.assign_coords(new)], "presentation")
    made = sides(np.append(train, True), np.append(test, False))
    return joined, made, {"declared": ["run"], "gap": 0.001}


def shuffled_trials() -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """What `KFold(shuffle=True)` would do."""
    recording = design()
    part = np.random.default_rng(0).permutation(recording.sizes["presentation"]) % 5
    tests = np.array([part == fold for fold in range(5)])
    return recording, sides(~tests, tests), {"declared": ["run"]}


LEAKS: dict[Callable[[], tuple[xr.Dataset, xr.Dataset, dict[str, Any]]], str] = {
    same_stimulus: "fold 0: 1 values of 'stimulus_id' stand in training and in test",
    renamed_copy: "fold 0: 1 values of 'content' stand in training and in test",
    same_person: "'identity' stand in training and in test; keep 'identity' apart",
    same_run: "fold 0: 1 values of 'run' stand",
    same_subject: "fold 0: 1 values of 'subject' stand",
    both_sides: "fold 0: presentation .* stands in training and in test",
    one_fold_of_many: "fold 15: 1 values of 'identity' stand",
    neighbours_in_time: "onsets of one run are 0.9 s apart; gap asks for 2 s",
    the_same_trial_twice: "onsets of one run are 0 s apart",
    shuffled_trials: "'identity' stand in training and in test",
}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_v05_each_of_ten_leaks_is_found(leak: Callable[[], Any]) -> None:
    recording, made, options = leak()
    with pytest.raises(ValueError, match=LEAKS[leak]):
        folds.audit(recording, made, label="familiar", **options)


def of(
    groups: str | list[str], subjects: int = 1, overlap: tuple[str, ...] = (), count: int = 4, **drop: Any
) -> Any:
    recording = design(subjects).drop_vars(drop.get("without", []))
    made = folds.split(recording, "familiar", folds=count, groups=groups, overlap=overlap)
    return recording, made, {"declared": overlap}


def blocks_with_a_gap() -> Any:
    recording = design().drop_vars(["identity", "content", "stimulus_id"])
    inside, onset = recording["run"].values == 0, recording["onset"].values
    return recording, sides(inside & (onset > 12), inside & (onset < 9)), {"declared": ["run"], "gap": 2.0}


def by_hand() -> Any:
    recording = design()
    people = np.array([f"person{k:02d}" for k in (0, 1, 6, 7)])
    test = np.isin(recording["identity"].values, people) & (recording["run"].values == 2)
    train = ~np.isin(recording["identity"].values, people) & (recording["run"].values != 2)
    return recording, sides(train, test), {}


CLEAN = {
    "people and runs crossed": lambda: of("auto"),
    "people": lambda: of("identity", overlap=("run",)),
    "photographs where nobody is shown twice": lambda: of("auto", without=["identity"]),
    "contents only": lambda: of("content", overlap=("run",), without=["identity"]),
    "subjects left out, other pictures": lambda: of("auto", subjects=4, without=["run"]),
    "subjects left out, the same pictures": lambda: of(
        "subject", subjects=4, overlap=("identity", "stimulus_id", "content", "run")
    ),
    "runs left out, pictures declared": lambda: of("run", overlap=("identity", "stimulus_id", "content")),
    "two folds": lambda: of("auto", count=2),
    "blocks with a gap": blocks_with_a_gap,
    "a split made by hand": by_hand,
}  # fmt: skip


@pytest.mark.parametrize("name", CLEAN)
def test_v05_each_of_ten_clean_splits_passes(name: str) -> None:
    recording, made, options = CLEAN[name]()
    found = folds.audit(recording, made, label="familiar", **options)
    shares = found["overlap"].sum("fold").to_series()
    assert set(shares[shares > 0].index) <= {*options.get("declared", ()), "subject"}


@pytest.mark.parametrize("leak", [same_stimulus, renamed_copy, same_run, one_fold_of_many])
def test_v05_a_users_own_folds_are_audited_before_anything_is_decoded(leak: Callable[[], Any]) -> None:
    recording, made, _ = leak()
    with pytest.raises(ValueError, match=LEAKS[leak]):
        decoding.time_resolved(recording, "familiar", folds=made)


def test_v05_distances_are_exact_with_many_subjects_and_runs() -> None:
    recording = design(subjects=3)
    run, subject, onset = (recording[key].values for key in ("run", "subject", "onset"))
    inside = (run == 3) & (subject == "03")
    made = sides((run == 3) & (subject != "03") | inside & (onset > 15), inside & (onset < 9))
    found = folds.audit(recording, made, declared=["identity", "stimulus_id", "content", "subject", "run"])
    nearest = onset[inside & (onset > 15)].min() - onset[inside & (onset < 9)].max()
    assert float(found["distance"][0]) == pytest.approx(nearest, abs=1e-12)


def test_a_gap_without_onsets_is_refused() -> None:
    recording, made, options = by_hand()
    with pytest.raises(ValueError, match=r"unknown \(no onset\)"):
        folds.audit(recording.drop_vars("onset"), made, label="familiar", gap=1.0, **options)


def test_v05_any_split_is_audited_by_a_step_of_a_study() -> None:
    options = {"label": "familiar", "declared": ["run"], "gap": 1.5}
    assert list(parts.problems("analyses.folds.audit", options, ["recording", "folds"])) == []
    recording, made, _ = CLEAN["people"]()
    found = parts.call("analyses.folds.audit", {"declared": ["run"]}, {"recording": recording, "folds": made})
    assert found.attrs["shared"] == "run"
