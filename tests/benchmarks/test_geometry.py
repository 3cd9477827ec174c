"""Population geometry against generic ways to the same numbers: equality first, then the median paired ratio.

Seconds are of processor time, BLAS on one thread, float64, both sides in one process.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import dask
import numpy as np
import pytest
import scipy.linalg.lapack  # noqa: F401  (its BLAS must be loaded before threads are limited)
import xarray as xr
from threadpoolctl import threadpool_limits

from analyses import _geometry_abstraction, _geometry_capacity, _geometry_homology, geometry

pytestmark = pytest.mark.timing


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1), dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def cvxopt() -> ModuleType:
    return pytest.importorskip("cvxopt")


def paired(
    name: str, ours: Callable, peer: Callable, goal: float, pairs: int = 5, share: float = 1.0
) -> float:
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
    return median


def generic(points: np.ndarray, normals: np.ndarray, cvxopt: ModuleType) -> float:
    """1/capacity with one quadratic programme of cvxopt for each Gaussian vector, to 1e-12."""
    tight = {"show_progress": False, "abstol": 1e-12, "reltol": 1e-12, "feastol": 1e-12, "maxiters": 1000}
    flat = _geometry_capacity.reduced(points)
    assert flat is not None
    corners = np.vstack([flat, np.ones(flat.shape[1])])
    square, rules = cvxopt.matrix(np.eye(len(corners))), cvxopt.matrix(corners.T.copy())
    none = cvxopt.matrix(np.zeros(corners.shape[1]))
    costs = []
    for target in normals:
        if (target[:-1] @ flat).max() + target[-1] < 0:
            costs.append(0.0)
            continue
        made = cvxopt.solvers.qp(square, cvxopt.matrix(-target), rules, none, options=tight)
        move = target - np.array(made["x"]).ravel()
        anchor = move / np.array(made["z"]).sum()
        costs.append(max(target @ anchor, 0) ** 2 / (anchor @ anchor))
    return float(np.mean(costs))


@pytest.mark.parametrize(("neuroids", "samples", "goal"), [(5000, 50, 35), (5000, 20, 35), (132, 60, 35)])
def test_capacity_against_a_quadratic_programme(
    neuroids: int, samples: int, goal: float, cvxopt: ModuleType
) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(neuroids, samples))
    normals = rng.normal(size=(200, min(neuroids, samples) + 1))

    def ours() -> float:
        return _geometry_capacity.shape(points, normals).load

    def peer() -> float:
        return generic(points, normals, cvxopt)

    assert ours() == pytest.approx(peer(), rel=1e-8)
    paired(f"capacity, {neuroids} neuroids x {samples} samples, 200 vectors", ours, peer, goal)


def test_capacity_of_real_it(cvxopt: ModuleType, neuro_data: Path) -> None:
    from loaders import ephys

    path = neuro_data / "macaque" / "it_seven_objects"
    recording = ephys.counts(path, window=(0.1, 0.3), bin_width=0.2)
    response, objects = recording["response"].values[..., 0].astype(float), recording["object"].values
    response -= response.mean(axis=0)
    rng = np.random.default_rng(0)
    clouds = [response[objects == name].T for name in np.unique(objects)]
    normals = [rng.normal(size=(100, min(cloud.shape) + 1)) for cloud in clouds]

    def ours() -> list[float]:
        return [_geometry_capacity.shape(*one).load for one in zip(clouds, normals, strict=True)]

    def peer() -> list[float]:
        return [generic(*one, cvxopt) for one in zip(clouds, normals, strict=True)]

    np.testing.assert_allclose(ours(), peer(), rtol=1e-8)
    paired("capacity, real IT, 7 objects, 132 neurons", ours, peer, 35, pairs=3)


def contexts(times: int) -> xr.Dataset:
    """Two objects at three places, twenty showings each, 132 neurons."""
    rng = np.random.default_rng(0)
    label, context = np.divmod(np.repeat(np.arange(6), 20), 3)
    response = rng.poisson(2.0 + label[:, None, None], size=(120, 132, times)).astype(float)
    coords = {"object": ("presentation", label), "position": ("presentation", context),
              "time": np.arange(times) * 0.001}  # fmt: skip
    return xr.Dataset({"response": (("presentation", "neuroid", "time"), response)}, coords)


def test_a_thousand_permutations_of_generalization_over_500_bins() -> None:
    whole, some = contexts(500), contexts(500).isel(time=slice(0, 2))
    label, context = (whole[name].values for name in ("object", "position"))
    swaps = _geometry_abstraction.swapped(132, 1000, np.random.SeedSequence(0).spawn(3)[0])

    def ours(recording: xr.Dataset = whole) -> xr.Dataset:
        return geometry.generalization(recording, "object", "position", bootstraps=0, permutations=1000)

    def peer(refit: bool = False, permutations: int = 1000) -> np.ndarray:
        """Loops over times, places and permutations, with scikit-learn's classifier."""
        from sklearn.linear_model import RidgeClassifier
        from sklearn.preprocessing import StandardScaler

        null = np.zeros((permutations, 2))
        for moment in range(2):
            x = some["response"].values[..., moment]
            for held in range(3):
                train, test = context != held, context == held
                scaler = StandardScaler().fit(x[train])
                z, model = scaler.transform(x), RidgeClassifier(alpha=1.0)
                model.fit(z[train], label[train])
                for number in range(permutations):
                    if refit:
                        model.fit(z[train], label[train])
                    turned = z[test].copy()
                    turned[:, swaps[:, number]] = z[test]
                    right = model.predict(turned) == label[test]
                    null[number, moment] += (
                        0.5 * sum(right[label[test] == side].mean() for side in (0, 1)) / 3
                    )
        return null

    np.testing.assert_allclose(ours(some)["null"].values, peer(), atol=1e-12)
    start = time.process_time()
    ours()
    print(f"\n1000 permutations of CCGP, 132 neurons x 500 bins: {time.process_time() - start:.1f} s")
    paired("CCGP against a loop that fits once", ours, peer, 5, pairs=1, share=2 / 500)
    refitted = lambda: peer(refit=True, permutations=50)  # noqa: E731
    paired("CCGP against a loop that fits each time", ours, refitted, 50, pairs=1, share=2 / 500 * 50 / 1000)


def test_loops_against_ripser() -> None:
    """A compiled peer: only how far off is printed."""
    ripser = pytest.importorskip("ripser")
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    points = np.c_[np.cos(angle), np.sin(angle), 0.2 * rng.normal(size=(300, 10))]
    distance = _geometry_homology.distances(points)

    def ours() -> np.ndarray:
        return _geometry_homology.loops(distance)

    def peer() -> np.ndarray:
        return ripser.ripser(distance, distance_matrix=True)["dgms"][1]

    one, two = ours(), peer()
    np.testing.assert_allclose(one[np.lexsort(one.T)], two[np.lexsort(two.T)], atol=1e-6)
    paired("loops of 300 points, NumPy against compiled ripser", ours, peer, 0)
