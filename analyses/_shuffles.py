"""Splits of stimuli into those that train and those that test."""

from __future__ import annotations

import numpy as np
import xarray as xr

from analyses._labelled import values
from analyses._sums import Split

BRAINSCORE = "brainscore"


def brainscore(strata: np.ndarray | None, rows: int) -> list[Split]:
    """Ten shuffles of 90 % and 10 %, seed 1, in the order of the rows; with strata, balanced over these.

    Source   brainscore_vision 2.4.2, metric_helpers.transformations.Split
    """
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    kind = ShuffleSplit if strata is None else StratifiedShuffleSplit
    try:
        found = list(kind(10, train_size=0.9, random_state=1).split(np.zeros(rows), strata))
    except ValueError as error:
        raise ValueError(f"splits: {error} (strata are object_name); leave it out, or use folds") from error
    return [Split(np.asarray(train), np.asarray(test)) for train, test in found]


def parts(groups: np.ndarray, count: int, rng: np.random.Generator) -> list[Split]:
    """Folds of about equal size that keep groups whole."""
    names, place = np.unique(groups, return_inverse=True)
    if not 2 <= count <= names.size:
        raise ValueError(f"splits: {count} folds of {names.size} stimuli; give 2 to {names.size}")
    fold = np.empty(names.size, int)
    fold[rng.permutation(names.size)] = np.arange(names.size) % count
    own = fold[np.ravel(place)]
    return [Split(np.flatnonzero(own != k), np.flatnonzero(own == k)) for k in range(count)]


def within(split: Split, groups: np.ndarray, count: int, rng: np.random.Generator) -> list[Split]:
    """Folds of a split's training rows, as rows of the whole."""
    inner = parts(groups[split.train], min(count, np.unique(groups[split.train]).size), rng)
    return [Split(split.train[part.train], split.train[part.test]) for part in inner]


def stated(folds: xr.Dataset, stimuli: np.ndarray) -> list[Split]:
    """A user's splits: train, test (fold, presentation or stimulus), joined by stimulus_id."""
    shown, found = values(folds, "stimulus_id").astype(str), []
    for fold in range(folds.sizes["fold"]):
        sides = [
            np.isin(stimuli, shown[np.asarray(folds[side].isel(fold=fold).values, bool)])
            for side in ("train", "test")
        ]
        both = stimuli[sides[0] & sides[1]]
        if both.size:
            raise ValueError(
                f"splits: fold {fold} trains and tests on {', '.join(both[:5])}; keep stimuli whole"
            )
        if min(side.sum() for side in sides) < 2:
            raise ValueError(
                f"splits: fold {fold} has fewer than 2 stimuli to train or to test on; give more"
            )
        found.append(Split(np.flatnonzero(sides[0]), np.flatnonzero(sides[1])))
    return found
