"""Representational similarity against its peers: equality first, then the median ratio of paired runs.

Seconds are of processor time, BLAS on one thread, float64, both sides in one process.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import dask
import numpy as np
import pytest
import scipy.linalg.lapack  # noqa: F401  (its BLAS must be loaded before threads are limited)
import xarray as xr
from threadpoolctl import threadpool_limits

from analyses import _rdm_inference, reliability, similarity

pytestmark = pytest.mark.timing


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def rsatoolbox() -> ModuleType:
    """The peer; its plots, which nothing here needs, want a newer scikit-learn than Brain-Score allows."""
    from sklearn.utils import validation

    if not hasattr(validation, "validate_data"):
        validation.validate_data = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("rsatoolbox")


def paired(
    name: str, ours: Callable, peer: Callable, goal: float, pairs: int = 3, share: float = 1.0
) -> None:
    """Print and hold the median of peer / ours, where the peer does `share` of the work."""
    ratios = []
    for _ in range(pairs):
        start = time.process_time()
        peer()
        middle = time.process_time()
        ours()
        ratios.append((middle - start) / share / (time.process_time() - middle))
    low, median, high = min(ratios), float(np.median(ratios)), max(ratios)
    print(f"\n{name}: {median:.1f}x ({low:.1f} to {high:.1f}, {pairs} pairs), goal {goal}x")
    assert median >= goal


def recorded(response: np.ndarray, repeats: int = 1) -> xr.Dataset:
    stimulus = np.arange(len(response)) // repeats
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    coords: dict = {
        "stimulus_id": ("presentation", np.char.mod("s%05d", stimulus)),
        "repetition": ("presentation", np.arange(len(response)) % repeats),
        "neuroid_id": ("neuroid", np.char.mod("n%04d", np.arange(response.shape[1]))),
    }
    if response.ndim == 3:
        coords["time"] = np.arange(response.shape[2]) * 0.01
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, coords)


def assembly(recording: xr.Dataset) -> object:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    identity = recording["stimulus_id"].values
    return NeuroidAssembly(
        recording["response"].values,
        coords={
            "stimulus_id": ("presentation", identity),
            "object_name": ("presentation", identity),
            "repetition": ("presentation", recording["repetition"].values),
            "neuroid_id": ("neuroid", recording["neuroid_id"].values),
            "region": ("neuroid", ["IT"] * recording.sizes["neuroid"]),
        },
        dims=("presentation", "neuroid"),
    )


def shared(images: int, *neuroids: int) -> list[xr.Dataset]:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(images, 20))
    return [recorded(latent @ rng.normal(size=(20, p)) + 3 * rng.normal(size=(images, p))) for p in neuroids]


@pytest.mark.brainscore
def test_rdm_of_3200_images() -> None:
    pytest.importorskip("brainscore_vision")
    from brainscore_vision.metrics.rdm.metric import RDMMetric

    one, two = shared(3200, 168, 1000)
    left, right = assembly(one), assembly(two)

    def ours() -> float:
        rdms = [similarity.rdm(part, distance="correlation") for part in (one, two)]
        return float(similarity.compare(*rdms)["similarity"])

    def peer() -> float:
        return float(RDMMetric()(left, right))

    assert abs(ours() - peer()) <= 1e-6
    paired("rdm, 3200 images, 168 and 1000 neuroids", ours, peer, goal=3)


@pytest.mark.brainscore
@pytest.mark.parametrize(
    ("neuroids", "debiased", "goal"),
    [(168, True, 16), (168, False, 16), (1000, True, 10), (1000, False, 16)],  # 1000: bound by products
)
def test_cka_of_3200_images(neuroids: int, debiased: bool, goal: float) -> None:
    pytest.importorskip("brainscore_vision")
    from brainscore_vision.metrics.cka.metric import CKA

    one, two = shared(3200, 168, neuroids)
    left, right = assembly(one), assembly(two)
    metric = CKA(unbiased=debiased)

    def ours() -> float:
        return float(similarity.cka(one, two, debiased=debiased)["cka"][0])

    def peer() -> float:
        return float(metric(left, right))

    assert abs(ours() - peer()) <= 1e-6
    kind = "debiased" if debiased else "plain"
    paired(
        f"cka ({kind}), 3200 images, 168 and {neuroids} neuroids",
        ours,
        peer,
        goal,
        pairs=3 if debiased else 1,
    )


@pytest.mark.brainscore
def test_internal_consistency() -> None:
    metric = pytest.importorskip(
        "brainscore_vision.metrics.internal_consistency.ceiling"
    ).InternalConsistency()
    rng = np.random.default_rng(0)
    signal = np.repeat(rng.normal(size=(640, 168)), 10, axis=0)
    recording = recorded(signal + rng.normal(size=signal.shape), repeats=10)
    held = assembly(recording)

    def ours() -> float:
        return float(reliability.internal_consistency(recording).attrs["score"])

    assert abs(ours() - float(metric(held))) <= 1e-6
    paired("internal consistency, 640 images x 10 x 168", ours, lambda: metric(held), goal=47)


@pytest.mark.parametrize(("distance", "goal"), [("correlation", 8), ("crossnobis", 6)])
def test_rdm_movies(rsatoolbox: ModuleType, distance: str, goal: float) -> None:
    from rsatoolbox.data import TemporalDataset
    from rsatoolbox.rdm import calc_rdm_movie

    recording = recorded(np.random.default_rng(0).normal(size=(92 * 4, 306, 100)), 4)
    observed = {name: recording[name].values for name in ("stimulus_id", "repetition")}
    times = {"time": recording["time"].values}
    held = TemporalDataset(recording["response"].values, obs_descriptors=observed, time_descriptors=times)
    numbers = {"descriptor": "stimulus_id", "method": distance}
    if distance == "crossnobis":
        numbers["cv_descriptor"] = "repetition"

    def ours() -> np.ndarray:
        found = similarity.rdm(recording, distance=distance, folds="repetition", noise="none")
        return found["dissimilarity"].values

    def peer() -> np.ndarray:
        return calc_rdm_movie(held, **numbers).get_matrices()

    np.testing.assert_allclose(np.moveaxis(ours(), -1, 0), peer(), rtol=0, atol=1e-10)
    paired(f"RDM movie, {distance}, 92 conditions x 4 repeats x 306 x 100", ours, peer, goal)


def test_bootstrap_over_patterns(rsatoolbox: ModuleType) -> None:
    from rsatoolbox.inference import boot_noise_ceiling
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs, compare

    rng = np.random.default_rng(0)
    vectors = rng.random((17, 92 * 91 // 2)) + 0.5 * rng.random((1, 92 * 91 // 2))
    matrices = RDMs(vectors).get_matrices()
    data = RDMs(vectors[5:])
    fixed = [ModelFixed(f"m{k}", RDMs(vectors[k : k + 1])) for k in range(5)]
    chosen = rng.integers(0, 92, (1000, 92))
    drawn = np.array([np.bincount(row, minlength=92) for row in chosen])

    def peer(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, bounds = [], []
        for row in rows:  # the body of rsatoolbox's eval_bootstrap_pattern, with given draws
            sample = data.subsample_pattern("index", row)
            models = [model.predict_rdm().subsample_pattern("index", row) for model in fixed]
            scores.append([np.mean(compare(model, sample, "corr")) for model in models])
            bounds.append(boot_noise_ceiling(sample, method="corr"))
        return np.array(scores), np.array(bounds)

    def ours() -> tuple[np.ndarray, np.ndarray]:
        found = _rdm_inference.resampled(matrices[:5], matrices[5:], "pearson", drawn)
        return found.models.mean(axis=2), _rdm_inference.ceiling(found.among)

    for found, expected in zip(ours(), peer(chosen[:20]), strict=True):
        np.testing.assert_allclose(found[:20], expected, rtol=0, atol=1e-10)
    paired(
        "bootstrap over patterns, 5 models x 12 RDMs of 92, with ceiling (peer: 20 of 1000)",
        ours,
        lambda: peer(chosen[:20]),
        goal=150,
        share=0.02,
    )
