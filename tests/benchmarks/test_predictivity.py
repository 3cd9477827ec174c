"""Model scores against their peers: equality first, then the median ratio of paired runs in one process.

`make bench` prints the ratios: CPU seconds, BLAS on one thread, float64.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import scipy.linalg.lapack  # noqa: F401  (its BLAS must be loaded before threads are limited)
import xarray as xr
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from analyses import _maps, _pls, _ridge_cv, predictivity
from analyses._sums import Split

pytestmark = pytest.mark.timing
WIDE = 25_088


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def brainscore() -> Callable:
    """brainscore_vision's metric of a name, in this process alone."""
    os.environ["BS_INSTALL_DEPENDENCIES"] = "no"
    pytest.importorskip("brainscore_vision")
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_vision import metric_registry
    from brainscore_vision.metrics import regression_correlation  # noqa: F401
    from joblib import parallel_config

    def assembly(recording: xr.Dataset) -> object:
        response = recording["response"]
        coords = {key: ("presentation", recording[key].values) for key in ("stimulus_id", "object_name")}
        coords |= dict.fromkeys(("neuroid_id", "region"), ("neuroid", recording["neuroid_id"].values))
        dims = list(response.dims)
        if "time" in dims:
            start = np.arange(response.sizes["time"]) * 10
            coords |= {"time_bin_start": ("time_bin", start), "time_bin_end": ("time_bin", start + 10)}
            dims = [dim if dim != "time" else "time_bin" for dim in dims]
        return NeuroidAssembly(response.values, coords=coords, dims=dims)

    def prepared(metric: str, *recordings: xr.Dataset) -> Callable:
        parts = [assembly(recording) for recording in recordings]

        def run() -> object:
            with parallel_config(backend="sequential"):
                return metric_registry[metric]()(*parts)

        return run

    return prepared


def arrays(rows: int, columns: int, neuroids: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(rows, 60))
    made = [
        latent @ rng.normal(size=(60, size)) / 8 + rng.normal(size=(rows, size))
        for size in (columns, neuroids)
    ]
    return made[0], made[1]


def recorded(response: np.ndarray) -> xr.Dataset:
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    coords = {
        "stimulus_id": ("presentation", [f"s{k:04d}" for k in range(len(response))]),
        "object_name": ("presentation", (np.arange(len(response)) % 8).astype(str)),
        "neuroid_id": ("neuroid", [f"n{k:04d}" for k in range(response.shape[1])]),
    }
    if response.ndim == 3:
        coords["time"] = np.arange(response.shape[2]) * 0.01
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, coords)


def paired(name: str, ours: Callable, peer: Callable, goal: float, pairs: int = 3, times: int = 1) -> None:
    """Print and hold the median of peer / ours; ours is the mean of `times` runs after each peer's."""
    ratios = []
    for _ in range(pairs):
        start = time.process_time()
        peer()
        middle = time.process_time()
        for _ in range(times):
            ours()
        ratios.append((middle - start) / (time.process_time() - middle) * times)
    low, median, high = min(ratios), float(np.median(ratios)), max(ratios)
    print(f"\n{name}: {median:.1f}x ({low:.1f} to {high:.1f}, {pairs} pairs), goal {goal}x")
    assert median >= goal


def metric(
    name: str, brainscore: Callable, model: xr.Dataset, brain: xr.Dataset, goal: float, pairs: int
) -> None:
    peer = brainscore(name, model, brain)

    def ours() -> xr.Dataset:
        return predictivity.brainscore(model, brain, metric=name, bootstraps=0)

    expected, found = peer(), ours()
    raw = expected.attrs["raw"].transpose("split", "neuroid", ...).values
    np.testing.assert_allclose(found["r"].values, raw, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["score"].values, np.atleast_1d(expected.values), rtol=0, atol=1e-6)
    print(f"\n{name}: largest difference of r {np.abs(found['r'].values - raw).max():.1e}")
    shape = " x ".join(map(str, (*model["response"].shape[:2], *brain["response"].shape[1:])))
    paired(f"{name}, {shape}, 10 splits (brainscore_vision)", ours, peer, goal, pairs, times=3)


@pytest.mark.parametrize(
    ("name", "goal"), [("pls", 55), ("neuron_to_neuron", 113), ("linear_predictivity", 17), ("ridge", 1)]
)
def test_brainscore_metrics(brainscore: Callable, name: str, goal: float) -> None:
    x, y = arrays(3200, 1000, 168)
    metric(
        name,
        brainscore,
        recorded(x),
        recorded(y),
        goal,
        pairs=1 if name in ("pls", "neuron_to_neuron") else 3,
    )


def test_spantime_pls(brainscore: Callable) -> None:
    x, y = arrays(10 * 1000, 300, 40)
    model, brain = (recorded(part.reshape(10, 1000, -1).transpose(1, 2, 0).copy()) for part in (x, y))
    metric("spantime_pls", brainscore, model, brain, goal=200, pairs=1)


def test_pls_of_many_features() -> None:
    x, y = arrays(1000, WIDE, 168)
    split = Split(np.arange(900), np.arange(900, 1000))

    def ours() -> np.ndarray:
        return _pls.predict(x, y, [split], 25)[0]

    def peer() -> np.ndarray:
        return PLSRegression(25, scale=False).fit(x[split.train], y[split.train]).predict(x[split.test])

    np.testing.assert_allclose(ours(), peer(), rtol=0, atol=1e-9)
    paired(
        "pls, 1000 images x 25,088 features, 168 sites, one split (scikit-learn)",
        ours,
        peer,
        50,
        pairs=1,
        times=3,
    )


def test_ridge_with_a_strength_for_each_neuroid() -> None:
    himalaya = pytest.importorskip("himalaya.ridge")
    x, y = arrays(3200, 1000, 168)
    alphas, rows = np.logspace(0, 5, 20), np.arange(3200)
    split = Split(rows, rows[:100])
    inner = [Split(train, test) for train, test in KFold(5).split(x)]

    def ours() -> tuple:
        found, places = _ridge_cv.chosen(_ridge_cv.space(x), y, [split], [inner], alphas)
        return found[0], alphas[places[0]]

    def peer() -> tuple:
        model = himalaya.RidgeCV(alphas=alphas, cv=5, fit_intercept=True).fit(x, y)
        return model.predict(x[:100]), model.best_alphas_

    for found, expected in zip(ours(), peer(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)
    paired(
        "ridge, 20 strengths, one for each of 168, 5 folds, 3200 x 1000 (himalaya)", ours, peer, 15, times=3
    )


def test_ridge_that_leaves_one_out() -> None:
    x, y = arrays(3200, 1000, 168)
    alphas, rows = np.array(_maps.BRAINSCORE), np.arange(3200)
    split = Split(rows, rows[:100])

    def ours() -> tuple:
        found, loss = _ridge_cv.left_one_out(_ridge_cv.space(x), y, split, alphas)
        return found, alphas[loss.argmin()]

    def peer() -> tuple:
        model = RidgeCV(alphas).fit(x, y)
        return model.predict(x[:100]), model.alpha_

    for found, expected in zip(ours(), peer(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    paired("ridge GCV, 99 strengths, 3200 x 1000, 168 sites (scikit-learn)", ours, peer, 10, pairs=5, times=3)


def test_kernel_ridge() -> None:
    himalaya = pytest.importorskip("himalaya.kernel_ridge")
    x, y = arrays(1000, WIDE, 168)
    x -= x.mean(axis=0)
    alphas, rows = np.logspace(2, 7, 20), np.arange(1000)
    split = Split(rows, rows[:100])
    inner = [Split(train, test) for train, test in KFold(5).split(x)]

    def ours() -> tuple:
        found, places = _ridge_cv.chosen(_ridge_cv.space(x), y, [split], [inner], alphas)
        return found[0], alphas[places[0]]

    def peer() -> tuple:
        model = himalaya.KernelRidgeCV(alphas=alphas, cv=5, fit_intercept=True).fit(x, y)
        return model.predict(x[:100]), model.best_alphas_

    for found, expected in zip(ours(), peer(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)
    paired("kernel ridge, 20 strengths, 5 folds, 1000 x 25,088 (himalaya)", ours, peer, 5, times=3)
