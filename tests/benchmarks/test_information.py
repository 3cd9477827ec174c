"""Information against frites and against loops: equality first, then the median paired ratio.

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

from analyses import _information_gaussian, information

pytestmark = pytest.mark.timing

CHANNELS, TIMES, TRIALS = 306, 20, 600


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def frites() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("frites.core")


def paired(
    name: str, ours: Callable, peer: Callable, goal: float, pairs: int = 7, share: float = 1.0
) -> None:
    """Print and hold the median of peer / ours, where the peer does `share` of the work."""
    ours(), peer()
    ratios, seconds = [], []
    for _ in range(pairs):
        start = time.process_time()
        peer()
        middle = time.process_time()
        ours()
        seconds.append((middle - start, time.process_time() - middle))
        ratios.append(seconds[-1][0] / share / seconds[-1][1])
    low, median, high = min(ratios), float(np.median(ratios)), max(ratios)
    theirs, mine = np.median(seconds, axis=0)
    told = f"{low:.1f} to {high:.1f}, {pairs} pairs; {theirs:.3f} s, ours {mine:.3f} s"
    print(f"\n{name}: {median:.1f}x ({told}), goal {goal}x")
    assert median >= goal


@pytest.fixture(scope="module")
def sensors() -> tuple[np.ndarray, np.ndarray]:
    """6120 channel-times x 600 trials, and two labels."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, TRIALS)
    data = rng.normal(size=(CHANNELS * TIMES, TRIALS)) + 0.1 * label
    return data, label


def recorded(data: np.ndarray, label: np.ndarray, times: int) -> xr.Dataset:
    """data (channel-time, trial) as a recording."""
    response = data.reshape(-1, times, label.size).transpose(2, 0, 1)
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response)}, {"label": ("presentation", label)}
    )


def test_copula_of_6120_channel_times(frites: ModuleType, sensors: tuple[np.ndarray, np.ndarray]) -> None:
    data, label = sensors

    def ours() -> np.ndarray:
        return _information_gaussian.information(data[..., None], label, 2, "own")

    def peer() -> np.ndarray:
        return frites.gcmi_model_nd_cd(data, label)

    np.testing.assert_allclose(ours(), peer(), atol=1e-11)
    paired("Gaussian copula, 6120 channel-times x 600 trials", ours, peer, 6)


def test_copula_of_a_recording(frites: ModuleType, sensors: tuple[np.ndarray, np.ndarray]) -> None:
    data, label = sensors
    recording = recorded(data, label, TIMES)
    response = recording["response"].values

    def ours() -> np.ndarray:
        return information.single(recording, "label", estimator="gaussian-copula")["information"].values

    def peer() -> np.ndarray:
        return frites.gcmi_model_nd_cd(response, label, traxis=0)

    np.testing.assert_allclose(ours(), peer(), atol=1e-11)
    paired("the same, from a labelled recording (presentation, neuroid, time)", ours, peer, 3)


def test_a_thousand_permutations_in_less_time_than_twenty(
    frites: ModuleType, sensors: tuple[np.ndarray, np.ndarray]
) -> None:
    data, label = sensors
    rng = np.random.default_rng(1)
    labels = np.array([rng.permutation(label) for _ in range(1000)])
    ranked = frites.copnorm_nd(data, axis=-1)

    def ours() -> np.ndarray:
        scores = _information_gaussian.scored(data[..., None])
        return _information_gaussian.informations(scores, labels, 2, "own")

    def peer() -> np.ndarray:
        return np.array([
            frites.mi_model_nd_gd(ranked[:, None], row, shape_checking=False) for row in labels[:20]
        ])  # fmt: skip

    def ranking() -> np.ndarray:
        return np.array([frites.gcmi_model_nd_cd(data, row) for row in labels[:20]])

    np.testing.assert_allclose(ours()[:20], peer(), atol=1e-11)
    paired("1000 permutations, ranked by us, against 20 of data ranked before", ours, peer, 1, pairs=3)
    paired("1000 permutations, against 20 that rank each time", ours, ranking, 1, pairs=3)
    print(f"for each permutation {1000 / 20:.0f} times these ratios")


def spikes() -> xr.Dataset:
    """132 neurons, 500 bins, 60 presentations of each of 7 objects."""
    rng = np.random.default_rng(2)
    label = np.repeat(np.arange(7), 60)
    tuning = rng.gamma(2, 0.5, size=(7, 132))
    response = rng.poisson(tuning[label][..., None], size=(420, 132, 500)).astype(float)
    dims = ("presentation", "neuroid", "time")
    return xr.Dataset({"response": (dims, response)}, {"label": ("presentation", label)})


def test_every_neuron_of_a_population_in_one_pass() -> None:
    recording, some = spikes(), 5
    response, label = recording["response"].values, recording["label"].values

    def ours() -> np.ndarray:
        found = information.single(recording, "label", estimator="plugin", binning="count", bins=5)
        return found["information"].values

    def loop() -> np.ndarray:
        """A histogram for each neuron and bin."""
        made = np.empty((132, some))
        for neuron in range(132):
            for moment in range(some):
                column = np.minimum(response[:, neuron, moment], 4)
                joint = np.histogram2d(label, column, bins=(7, 5), range=((-0.5, 6.5), (-0.5, 4.5)))[0] / 420
                alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
                there = joint > 0
                made[neuron, moment] = (joint[there] * np.log2(joint[there] / alone[there])).sum()
        return made

    np.testing.assert_allclose(ours()[:, :some], loop(), atol=1e-11)
    paired("information of 132 neurons x 500 bins, against a loop", ours, loop, 1, pairs=3, share=some / 500)


def test_a_population_of_132_neurons_in_one_pass(frites: ModuleType) -> None:
    recording, some = spikes(), 20
    noise = np.random.default_rng(3).normal(size=recording["response"].shape)
    recording = recording.assign(response=recording["response"] + 0.1 * noise)
    response, label = recording["response"].values, recording["label"].values

    def ours() -> np.ndarray:
        found = information.population(
            recording, "label", estimator="gaussian-copula", covariance="pooled"
        )  # fmt: skip
        return found["information"].values

    def loop() -> np.ndarray:
        """Covariances of normal scores, a bin at a time."""
        made = np.empty(some)
        for moment in range(some):
            scores = frites.copnorm_nd(np.ascontiguousarray(response[..., moment].T), axis=-1)
            within = sum(np.cov(scores[:, label == name]) * 59 for name in range(7)) / 413
            told = np.linalg.slogdet(np.cov(scores))[1] - np.linalg.slogdet(within)[1]
            less = _information_gaussian._bias(132, 419) - _information_gaussian._bias(132, 413)
            made[moment] = (told - less) / (2 * np.log(2))
        return made

    np.testing.assert_allclose(ours()[:some], loop(), atol=1e-9)
    paired(
        "joint information, 132 neurons x 500 bins, against a loop", ours, loop, 1, pairs=3, share=some / 500
    )
