"""On real recordings, decision values equal scikit-learn's, folds given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyses import decoding, folds, windows
from loaders import ephys, meg

PEERS = {
    "lda": (LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), 1e-8),
    "ridge": (make_pipeline(StandardScaler(), RidgeClassifier()), 1e-8),
    "logistic": (make_pipeline(StandardScaler(), LogisticRegression(tol=1e-12, max_iter=10_000)), 1e-5),
}


@pytest.fixture(scope="module")
def eeg(neuro_data: Path) -> xr.Dataset:
    events = {"house": 1, "face": 2}
    options = {"l_freq": 1.0, "h_freq": 30.0, "reject": {"eeg": 75e-6}, "window": (-0.1, 0.6)}
    path = neuro_data / "eeg" / "face_house"
    recording = meg.epochs(path, trigger_delay_s=0, events=events, **options)
    return windows.flatten(windows.sliding(recording, width=0.015625, step=0.015625), window=[0.05, 0.45])


@pytest.fixture(scope="module")
def spikes(neuro_data: Path) -> xr.Dataset:
    path = neuro_data / "macaque" / "it_seven_objects"
    return ephys.counts(path, window=(0.1, 0.3), bin_width=0.1)


def differs(recording: xr.Dataset, label: str, name: str, split: xr.Dataset, declared: list[str]) -> float:
    """Largest difference of decision values from scikit-learn's, over folds and times."""
    ours = decoding.time_resolved(recording, label, estimator=name, folds=split, overlap=declared)["decision"]
    x = recording["response"].values.astype(np.float64)  # scikit-learn would compute in what it is given
    y, worst = recording[label].values, 0.0
    for train, test in zip(split["train"].values, split["test"].values, strict=True):
        for moment in range(x.shape[2]):
            model = PEERS[name][0].fit(x[train, :, moment], y[train])
            expected = model.decision_function(x[test, :, moment])
            worst = max(worst, float(np.abs(ours.values[test, ..., moment] - expected).max()))
    return worst


@pytest.mark.parametrize("name", PEERS)
def test_faces_and_houses_in_eeg(name: str, eeg: xr.Dataset) -> None:
    split = folds.split(eeg, "trial_type", groups="run", folds=6)
    assert differs(eeg, "trial_type", name, split, []) < PEERS[name][1]


@pytest.mark.parametrize("name", ["lda", "ridge"])
def test_seven_objects_in_spikes(name: str, spikes: xr.Dataset) -> None:
    declared = ["stimulus_id"]
    split = folds.split(spikes, "object", groups="repetition", overlap=declared, folds=5)
    assert differs(spikes, "object", name, split, declared) < PEERS[name][1]


@pytest.mark.parametrize("name", PEERS)
def test_two_objects_in_spikes(name: str, spikes: xr.Dataset) -> None:
    declared = ["stimulus_id"]
    both = spikes.isel(presentation=np.isin(spikes["object"].values, ["car", "face"]))
    split = folds.split(both, "object", groups="repetition", overlap=declared, folds=5)
    assert differs(both, "object", name, split, declared) < PEERS[name][1]
