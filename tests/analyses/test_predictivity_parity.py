"""Model scores equal Brain-Score's on simulated and real neurons, and predict real V4."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses import features, predictivity
from loaders import ephys, images


def cells(rows: int = 200, columns: int = 60, neuroids: int = 12, noise: float = 1.0, seed: int = 0):
    """Features and responses that share latent variables, neither centred."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(rows, 15))
    x, y = (latent @ rng.normal(size=(15, size)) / 4 for size in (columns, neuroids))
    return x + noise * rng.normal(size=x.shape) + 2, y + noise * rng.normal(size=y.shape) - 3


def recorded(response: np.ndarray, **coords: object) -> xr.Dataset:
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    made = {
        "stimulus_id": ("presentation", [f"s{k:04d}" for k in range(len(response))]),
        "neuroid_id": ("neuroid", [f"n{k:03d}" for k in range(response.shape[1])]),
    }
    if response.ndim == 3:
        made["time"] = np.arange(response.shape[2]) * 0.01
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, {**made, **coords})


@pytest.fixture(scope="module")
def scored_by_brainscore():
    """brainscore_vision's own metric on a model and a recording."""
    os.environ["BS_INSTALL_DEPENDENCIES"] = "no"
    pytest.importorskip("brainscore_vision")
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_vision import metric_registry
    from brainscore_vision.metrics import regression_correlation  # noqa: F401

    def assembly(recording: xr.Dataset) -> object:
        response = recording["response"]
        coords = {
            "stimulus_id": ("presentation", recording["stimulus_id"].values),
            "object_name": ("presentation", recording["object_name"].values),
            "neuroid_id": ("neuroid", recording["neuroid_id"].values),
            "region": ("neuroid", ["V4"] * response.sizes["neuroid"]),
        }
        dims = list(response.dims)
        if "time" in dims:
            start = np.arange(response.sizes["time"]) * 10
            coords |= {"time_bin_start": ("time_bin", start), "time_bin_end": ("time_bin", start + 10)}
            dims = [dim if dim != "time" else "time_bin" for dim in dims]
        return NeuroidAssembly(response.values, coords=coords, dims=dims)

    def run(metric: str, *recordings: xr.Dataset) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return metric_registry[metric]()(*map(assembly, recordings))

    return run


def raw(score: object, recording: xr.Dataset) -> np.ndarray:
    """Brain-Score's r (split, neuroid, …), which sorts neuroids by name, in the recording's order."""
    values = score.attrs["raw"].transpose("split", "neuroid", ...)
    names = list(values["neuroid_id"].values)
    return values.values[:, [names.index(name) for name in recording["neuroid_id"].values]]


@pytest.mark.brainscore
@pytest.mark.parametrize(
    ("metric", "columns"),
    [
        ("pls", 40),
        ("pls", 300),
        ("ridge", 40),
        ("ridge", 300),
        ("linear_predictivity", 40),
        ("neuron_to_neuron", 40),
    ],
)
def test_metrics_equal_those_of_brainscore(scored_by_brainscore, metric: str, columns: int) -> None:
    x, y = cells(rows=150, columns=columns)
    names = ("presentation", np.random.default_rng(5).permutation(np.arange(150) % 6).astype(str))
    model, brain = recorded(x, object_name=names), recorded(y, object_name=names)
    order = np.random.default_rng(2).permutation(150)
    brain = brain.isel(presentation=order)
    expected = scored_by_brainscore(metric, model, brain)
    found = predictivity.brainscore(model, brain, metric=metric, bootstraps=0)
    np.testing.assert_allclose(found["r"].values, raw(expected, brain), atol=1e-6)
    assert found.attrs["score"] == pytest.approx(float(expected), abs=1e-6)
    assert found.attrs["score_error"] == pytest.approx(float(expected.attrs["error"]), abs=1e-6)


@pytest.mark.brainscore
@pytest.mark.parametrize("metric", ["spantime_pls", "spantime_ridge"])
def test_metrics_over_time_equal_those_of_brainscore(scored_by_brainscore, metric: str) -> None:
    x, y = cells(rows=60 * 4, columns=30, neuroids=5)
    names = ("presentation", (np.arange(60) % 3).astype(str))
    model, brain = (
        recorded(part.reshape(4, 60, -1).transpose(1, 2, 0).copy(), object_name=names) for part in (x, y)
    )
    expected = scored_by_brainscore(metric, model, brain)
    found = predictivity.brainscore(model, brain, metric=metric, bootstraps=0)
    np.testing.assert_allclose(found["r"].values, raw(expected, brain), atol=1e-6)
    np.testing.assert_allclose(found["score"].values, expected.values, atol=1e-6)


@pytest.mark.brainscore
def test_ridgecv_split_equals_that_of_brainscore(scored_by_brainscore) -> None:
    x, y = cells(rows=150, columns=40)
    names = ("presentation", np.full(150, "a"))
    model, brain = recorded(x, object_name=names), recorded(y, object_name=names)
    train, test = slice(0, 120), slice(120, 150)
    parts = [part.isel(presentation=side) for part in (model, brain) for side in (train, test)]
    expected = scored_by_brainscore("ridgecv_split", *parts)
    inside = np.arange(150) < 120
    folds = xr.Dataset(
        {"train": (("fold", "stimulus"), inside[None]), "test": (("fold", "stimulus"), ~inside[None])},
        {"stimulus_id": ("stimulus", model["stimulus_id"].values)},
    )
    found = predictivity.brainscore(model, brain, metric="ridgecv_split", splits=folds, bootstraps=0)
    assert found.attrs["score"] == pytest.approx(float(expected), abs=1e-6)
    np.testing.assert_allclose(found["alpha"], float(expected.attrs["raw"].attrs["alpha"]))


def v4(folder: Path, session: str) -> tuple[xr.Dataset, xr.Dataset]:
    """Gabor energy and colour of the images, and the mean responses, of one session."""
    root = folder / "macaque" / "v4_natural_images"
    zipped = root / "images" / f"images_{session}.zip"
    brain = ephys.response_matrix(
        root / "responses_repeat_averaged" / f"responses_{session}.npy",
        dims=("neuroid", "stimulus"),
        stimuli=zipped,
    )
    return features.low_level(images.stimuli(zipped), families=["gabor", "colour"]), brain


def test_v4_is_predicted_from_gabor_energy_and_colour(neuro_data: Path) -> None:
    model, brain = v4(neuro_data, "210325")
    found = predictivity.score(model, brain)
    assert found.attrs["score"] >= 0.47
    assert abs(predictivity.score(model, brain, shuffled=True).attrs["score"]) < 0.08


@pytest.mark.brainscore
@pytest.mark.parametrize("metric", ["pls", "ridge", "neuron_to_neuron"])
def test_v4_metrics_equal_those_of_brainscore(scored_by_brainscore, neuro_data: Path, metric: str) -> None:
    model, brain = v4(neuro_data, "210325")
    names = ("presentation", (np.arange(640) % 8).astype(str))
    model, brain = (part.assign_coords(object_name=names) for part in (model.isel(time=0, drop=True), brain))
    expected = scored_by_brainscore(metric, model, brain)
    found = predictivity.brainscore(model, brain, metric=metric, bootstraps=0)
    np.testing.assert_allclose(found["r"].values, raw(expected, brain), atol=1e-6)
    assert found.attrs["score"] == pytest.approx(float(expected), abs=1e-6)
