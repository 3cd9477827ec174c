"""Decoding on data whose truth is planted: oracles of the generator, and leaks that a careless split
believes.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import decoding
from loaders import synthetic

UNGROUPED = {"groups": "ungrouped"}


def group_auc(subjects: int, seed: int = 0, options: dict | None = None, **truth: object) -> xr.DataArray:
    """Mean AUC over subjects of the oracle generator, LDA with a fixed shrinkage of .1."""
    found = []
    for subject in range(1, subjects + 1):
        recording = synthetic.meg_oracle(seed=seed, subject=subject, **truth)  # type: ignore[arg-type]
        settings = {"strength": 0.1, "standardize": False, "groups": "stimulus_id", **(options or {})}
        found.append(decoding.time_resolved(recording, "familiar", **settings)["auc"])  # type: ignore[arg-type]
    return xr.concat(found, "subject").mean("subject")


ORACLES = {  # mean AUC 100-300 ms: expected, tolerance, and the generator's switches
    "MEG-1 strong": (0.687, 0.02, {"familiarity": 1.2}),
    "MEG-2 weak": (0.541, 0.01, {"familiarity": 0.45}),
    "MEG-3 zero-phase": (0.780, 0.02, {"familiarity": 1.2, "filter": "zero-phase"}),
    "MEG-4 causal": (0.742, 0.02, {"familiarity": 1.2, "filter": "causal"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", ORACLES)
def test_oracle(row: str) -> None:
    expected, tolerance, truth = ORACLES[row]
    found = group_auc(16, **truth)
    assert float(found.sel(time=slice(0.1, 0.3)).mean()) == pytest.approx(expected, abs=tolerance)
    assert float(found.sel(time=slice(None, -1e-6)).mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_oracle_meg5_and_6_identity_leaks_only_through_random_folds() -> None:
    truth = {"familiarity": 0.0, "identity": 1.0}
    leak = group_auc(16, options=UNGROUPED, **truth).sel(time=slice(0.1, 0.3)).mean()
    ours = group_auc(16, **truth).sel(time=slice(0.1, 0.3)).mean()
    assert float(leak) > 0.515
    assert float(ours) == pytest.approx(0.5, abs=0.01)


def test_a_small_oracle_is_recovered() -> None:
    found = group_auc(2, familiarity=1.2, images=60)
    assert float(found.sel(time=slice(0.12, 0.3)).mean()) > 0.6
    assert abs(float(found.sel(time=slice(None, -1e-6)).mean()) - 0.5) < 0.03


def repeated(sets: int, **options: object) -> np.ndarray:
    made = [synthetic.null(seed=seed, shape="repeated") for seed in range(sets)]
    return np.array([float(decoding.time_resolved(each, "label", **options)["auc"].mean()) for each in made])  # type: ignore[arg-type]


def test_v02_repeated_stimuli_fool_ungrouped_folds_and_not_ours() -> None:
    naive, ours = repeated(12, **UNGROUPED), repeated(12)
    assert naive.mean() > 0.6
    assert abs(ours.mean() - 0.5) < 3 * ours.std(ddof=1) / np.sqrt(ours.size)


@pytest.mark.slow
def test_v02_over_many_sets_ours_is_half_within_a_hundredth() -> None:
    naive, ours = repeated(100, **UNGROUPED), repeated(200)
    assert naive.mean() > 0.6
    assert abs(ours.mean() - 0.5) < 0.01


def test_v03_drift_fools_ungrouped_folds_and_not_ours() -> None:
    naive, ours = [], []
    for seed in range(10):
        recording = synthetic.null(seed=seed, shape="drift")
        with pytest.warns(UserWarning, match="comes in blocks"):
            naive.append(float(decoding.time_resolved(recording, "label", **UNGROUPED)["auc"].mean()))  # type: ignore[arg-type]
        ours.append(float(decoding.time_resolved(recording, "label")["auc"].mean()))
    assert np.mean(naive) > 0.6
    assert abs(np.mean(ours) - 0.5) < 3 * np.std(ours, ddof=1) / np.sqrt(len(ours)) + 0.01


@pytest.mark.parametrize("shape", ["white", "autocorrelated", "imbalanced", "skewed"])
def test_v08_noise_is_at_chance_and_values_below_it_are_kept(shape: str) -> None:
    found = [
        decoding.time_resolved(synthetic.null(seed=seed, shape=shape, repeats=2), "label")["auc"].values
        for seed in range(12)
    ]
    means = np.mean(found, axis=1)
    assert abs(means.mean() - 0.5) < 3 * means.std(ddof=1) / np.sqrt(means.size) + 0.005
    assert np.min(found) < 0.5
