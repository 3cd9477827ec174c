"""Folds keep apart what they promise, find every planted leak, and pass every clean split."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import folds


def design(stimuli: int = 16, repeats: int = 4, runs: int = 4, seed: int = 0) -> xr.Dataset:
    """Every run shows every stimulus as often; two stimuli make an identity, half the identities are
    familiar.
    """
    rng = np.random.default_rng(seed)
    order = np.concatenate(
        [rng.permutation(np.tile(np.arange(stimuli), repeats // runs)) for _ in range(runs)]
    )
    return xr.Dataset(
        {
            "response": (
                ("presentation", "neuroid", "time"),
                rng.normal(size=(order.size, 3, 2)),
                {"units": "1"},
            )
        },
        coords={
            "stimulus_id": ("presentation", np.array([f"face{stimulus:02d}" for stimulus in order])),
            "identity": ("presentation", np.array([f"person{stimulus // 2}" for stimulus in order])),
            "familiar": ("presentation", order // 2 % 2 == 0),
            "run": ("presentation", np.repeat(np.arange(runs), order.size // runs)),
            "onset": ("presentation", np.tile(np.arange(order.size // runs, dtype=float), runs)),
            "neuroid_id": ("neuroid", ["a", "b", "c"]),
        },
    )


def apart(recording: xr.Dataset, split: xr.Dataset, key: str) -> bool:
    column = recording[key].values
    sides = zip(split["train"].values, split["test"].values, strict=True)
    return all(not set(column[train]) & set(column[test]) for train, test in sides)


def test_default_keeps_identity_stimulus_and_run_apart_and_tests_all_once() -> None:
    recording = design()
    made = folds.split(recording, "familiar", folds=4)
    assert all(apart(recording, made, key) for key in ("identity", "stimulus_id", "run"))
    assert (made["test"].sum("fold") == 1).all()
    assert made.attrs["shared"] == ""


def test_classes_stay_balanced_in_every_fold() -> None:
    recording = design(stimuli=32)
    made = folds.split(recording, "familiar", folds=4, groups="identity", overlap=["run"])
    for test in made["test"].values:
        assert recording["familiar"].values[test].mean() == 0.5


def test_runs_that_hold_their_own_stimuli_are_joined_not_crossed() -> None:
    recording = design()
    own = np.char.add(recording["stimulus_id"].values, recording["run"].values.astype(str))
    recording = recording.assign_coords(stimulus_id=("presentation", own)).drop_vars("identity")
    made = folds.split(recording, "familiar", folds=4)
    assert made.sizes["fold"] == 4
    assert apart(recording, made, "run")
    assert apart(recording, made, "stimulus_id")


def test_v02_undeclared_overlap_is_refused_and_declared_is_listed() -> None:
    recording = design()
    with pytest.raises(ValueError, match="'stimulus_id' stand in training and in test; keep"):
        folds.split(recording, "familiar", folds=4, groups="run", overlap=["identity"])
    made = folds.split(recording, "familiar", folds=4, groups="run", overlap=["stimulus_id", "identity"])
    assert made.attrs["shared"] == "identity, stimulus_id"


def test_ungrouped_only_by_name_and_printed() -> None:
    made = folds.split(design(), "familiar", groups="ungrouped")
    assert made.attrs["kept_apart"] == "nothing"
    assert made.attrs["shared"] == "identity, stimulus_id, run"


def test_f62_too_few_groups_name_group_and_numbers() -> None:
    with pytest.raises(ValueError, match=r"4 groups \(run\) for 5 folds"):
        folds.split(design(), "familiar", groups="run", overlap=["stimulus_id", "identity"])


def test_f63_one_class_is_refused() -> None:
    recording = design().assign_coords(familiar=("presentation", np.ones(64, bool)))
    with pytest.raises(ValueError, match="one class only"):
        folds.split(recording, "familiar")


@pytest.mark.parametrize("key", ["identity", "stimulus_id", "run"])
@pytest.mark.parametrize("fold", [0, 2, 3])
def test_v05_planted_leak_is_found(key: str, fold: int) -> None:
    recording = design()
    clean = folds.split(recording, "familiar", folds=4)
    train, test = clean["train"].values.copy(), clean["test"].values.copy()
    shared = recording[key].values == recording[key].values[np.flatnonzero(test[fold])[0]]
    leak = np.flatnonzero(shared & ~test[fold])[0]
    train[fold, leak] = True
    leaky = clean.assign(train=(("fold", "presentation"), train))
    with pytest.raises(ValueError, match=f"fold {fold}: .* stand in training and in test"):
        folds.audit(recording, leaky, label="familiar")


def test_v05_a_presentation_on_both_sides_is_found() -> None:
    recording = design()
    clean = folds.split(recording, "familiar", folds=4)
    with pytest.raises(ValueError, match="stands in training and in test"):
        folds.audit(recording, clean.assign(train=clean["train"] | clean["test"]))


@pytest.mark.parametrize("seed", range(10))
def test_v05_clean_splits_pass(seed: int) -> None:
    recording = design(seed=seed)
    made = folds.split(recording, "familiar", folds=4, seed=seed)
    found = folds.audit(recording, made, label="familiar")
    assert int(found["overlap"].sum()) == 0
    assert np.isinf(found["distance"]).all()  # no training presentation lies in a test run


def test_distance_is_the_nearest_onset_of_one_run() -> None:
    recording = design(runs=1, repeats=1, stimuli=8)
    train = np.array([[True, True, True, False, False, True, True, True]])
    made = xr.Dataset(
        {"train": (("fold", "presentation"), train), "test": (("fold", "presentation"), ~train)}
    )
    found = folds.audit(recording, made, declared=("identity",))
    assert float(found["distance"][0]) == 1.0


def test_relabelling_exchanges_whole_identities_within_folds() -> None:
    recording = design()
    made = folds.split(recording, "familiar", folds=4)
    for codes in folds.relabel(recording, "familiar", made, 20, seed=1):
        for identity in np.unique(recording["identity"]):
            assert np.ptp(codes[recording["identity"].values == identity]) == 0
        for stratum in np.unique(made["stratum"]):
            inside = made["stratum"].values == stratum
            assert codes[inside].sum() == recording["familiar"].values[inside].sum()


def test_relabelling_is_a_function_of_the_seed() -> None:
    recording = design()
    made = folds.split(recording, "familiar", folds=4)
    first, again = (folds.relabel(recording, "familiar", made, 5, seed=3) for _ in range(2))
    longer = folds.relabel(recording, "familiar", made, 9, seed=3)
    assert (first == again).all()
    assert (longer[:5] == first).all()
    assert (first != folds.relabel(recording, "familiar", made, 5, seed=4)).any()


def test_blocked_order_fires_and_mixed_order_is_silent() -> None:
    rng = np.random.default_rng(0)
    mixed = xr.Dataset(coords={"label": ("presentation", rng.permutation(np.arange(100) % 2))})
    blocks = xr.Dataset(coords={"label": ("presentation", np.arange(100) // 25 % 2)})
    assert abs(folds.blocked(mixed, "label")) < 3
    assert folds.blocked(blocks, "label") < -4


def within(stimuli: list[str], label: list[str], run: list[int]) -> xr.Dataset:
    """A recording of nothing, for its labels alone."""
    rows = {"stimulus_id": stimuli, "label": label, "run": run}
    coords = {key: ("presentation", np.array(value)) for key, value in rows.items()}
    return xr.Dataset(coords=coords)


def test_v06_labels_are_exchanged_between_stimuli_that_folds_share_as_wholes() -> None:
    stimuli = [f"s{k}" for k in range(12)] * 3
    recording = within(stimuli, [("a", "b")[k % 2] for k in range(12)] * 3, [1] * 12 + [2] * 12 + [3] * 12)
    split = folds.split(recording, "label", folds=3, groups="run", overlap=["stimulus_id"])
    for codes in folds.relabel(recording, "label", split, 20):
        assert all(np.ptp(codes[np.array(stimuli) == name]) == 0 for name in set(stimuli))
    free = folds.relabel(recording, "label", split, 20, exchange="presentation")
    assert any(np.ptp(codes[np.array(stimuli) == "s0"]) for codes in free)
    for codes in free:  # every run keeps its balance
        assert {codes[start : start + 12].sum() for start in (0, 12, 24)} == {6}
    assert folds.relabellings(recording, "label", split) == 924  # 12 over 6


def test_v06_a_stimulus_name_that_is_the_class_is_no_level_of_exchange() -> None:
    label = ["face", "house"] * 12
    recording = within(label, label, [1] * 8 + [2] * 8 + [3] * 8)
    assert np.unique(folds.exchangeable(recording, "label")).size == 24
    split = folds.split(recording, "label", folds=3, groups="run")
    assert folds.relabellings(recording, "label", split) == 70**3


def test_an_unknown_level_of_exchange_is_named() -> None:
    recording = within(["a", "b"] * 2, ["x", "y"] * 2, [1, 1, 2, 2])
    with pytest.raises(ValueError, match=r"^exchange: 'trial'"):
        folds.exchangeable(recording, "label", "trial")
