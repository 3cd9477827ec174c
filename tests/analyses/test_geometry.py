"""Population geometry: every oracle at its tolerance, laws, agreement with peers, planted truth."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize, nnls

from analyses import (
    _geometry_abstraction,
    _geometry_capacity,
    _geometry_centres,
    _geometry_dynamics,
    _geometry_glue,
    _geometry_homology,
    _geometry_nnls,
    _geometry_results,
    geometry,
)

CUBE = np.array(list(product((-1, 1), repeat=3)))


def recorded(response: np.ndarray, **labels: np.ndarray) -> xr.Dataset:
    """response (presentation, neuroid[, time]) with labels of presentations."""
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    coords: dict = {name: ("presentation", np.asarray(column)) for name, column in labels.items()}
    coords["neuroid_id"] = ("neuroid", np.char.mod("n%d", np.arange(response.shape[1])))
    if response.ndim == 3:
        coords["time"] = np.arange(response.shape[2]) * 0.01
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, coords)


def clouds(
    manifolds: int, neuroids: int, samples: int, seed: int = 0, apart: float = 0.0, times: int = 0
) -> xr.Dataset:
    """Gaussian noise about centres `apart` standard deviations long on each axis."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(manifolds), samples)
    shape = (codes.size, neuroids, times) if times else (codes.size, neuroids)
    centres = apart * rng.normal(size=(manifolds, neuroids))[codes]
    noise = rng.normal(size=shape)
    return recorded(noise + (centres[..., None] if times else centres), object=np.char.mod("o%02d", codes))


def code(kind: str, seed: int, trials: int = 50) -> xr.Dataset:
    """Three binary variables: factorised, distorted-factorised, or random condition means in 100 neurons."""
    rng = np.random.default_rng(seed)
    means = CUBE @ rng.normal(size=(3, 100))
    if kind == "distorted":
        means = means + 0.35 * rng.normal(size=means.shape)
    elif kind == "random":
        means = rng.normal(size=means.shape)
    which = np.repeat(np.arange(8), trials)
    bits = {name: CUBE[which, k] for k, name in enumerate("abc")}
    return recorded(means[which] + rng.normal(size=(which.size, 100)), condition=which, **bits)


def sphere(radius: float, dims: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(dims, 200))
    points *= radius / np.linalg.norm(points, axis=0)
    return np.vstack([points, np.ones((1, 200))]), rng.normal(size=(200, dims + 2))


# ---- capacity


def test_geo1_capacity_of_noise_manifolds() -> None:
    found = geometry.capacity(clouds(6, 5000, 50), "object", draws=100, centred=False, rank=0)
    assert float(found["capacity"][0]) == pytest.approx(0.0403, abs=0.0015)
    assert float(found["radius"][0]) == pytest.approx(1.475, abs=0.03)
    assert float(found["dimension"][0]) == pytest.approx(35.7, abs=1.2)
    assert float(found["capacity_low"][0]) < float(found["capacity"][0]) < float(found["capacity_high"][0])
    assert found.attrs["floor"] == pytest.approx(0.04)


@pytest.mark.slow
def test_geo2_capacity_of_the_reference_readme() -> None:
    recording = clouds(100, 5000, 50)
    found = geometry.capacity(recording, "object", draws=100)
    assert float(found["capacity"][0]) == pytest.approx(0.04, abs=0.002)
    assert float(found["radius"][0]) == pytest.approx(1.47, abs=0.03)
    assert float(found["dimension"][0]) == pytest.approx(36.17, abs=1.2)
    assert float(found["centre_correlation"][0]) == pytest.approx(0.01, abs=0.006)
    assert int(found["rank"][0]) == 1
    size = geometry.dimension(recording, groups=2)
    assert float(size["participation_ratio"][0]) == pytest.approx(2499, rel=0.01)
    assert float(size["components_90"][0]) == pytest.approx(2548, rel=0.01)


def test_geo3_removing_the_mean_of_few_manifolds_lowers_capacity() -> None:
    recording = clouds(6, 5000, 50, seed=1)
    plain = geometry.capacity(recording, "object", draws=100, centred=False, rank=0)
    less = geometry.capacity(recording, "object", draws=100, rank=0)
    assert float(less["capacity"][0]) < float(plain["capacity"][0])
    assert float(less["radius"][0]) > float(plain["radius"][0])
    assert float(less["capacity"][0]) == pytest.approx(0.0377, abs=0.0015)


@pytest.mark.parametrize(
    ("radius", "dims", "expected"),
    [  # capacity, radius, dimension, each with its tolerance
        (0.01, 5, ((1.5 * 0.75, 2.1 * 1.25), (0.010 * 0.95, 0.010 * 1.05), (4.2 - 0.3, 4.3 + 0.3))),
        (0.3, 5, ((0.74 * 0.85, 0.93 * 1.15), (0.293 * 0.97, 0.296 * 1.03), (4.3 - 0.3, 4.4 + 0.3))),
        (1, 5, ((0.33 * 0.9, 0.36 * 1.1), (0.92 * 0.97, 0.92 * 1.03), (4.6 - 0.3, 4.8 + 0.3))),
        (1, 20, ((0.215 * 0.92, 0.224 * 1.08), (0.70 * 0.97, 0.72 * 1.03), (12.0 - 0.5, 12.3 + 0.5))),
        (3, 20, ((0.080 * 0.94, 0.083 * 1.06), (1.39 * 0.97, 1.42 * 1.03), (17.9 - 0.5, 18.2 + 0.5))),
    ],
)
def test_geo4_spheres(radius: float, dims: int, expected: tuple) -> None:
    shapes = [_geometry_capacity.shape(*sphere(radius, dims, seed)) for seed in range(3)]
    for shape in shapes:
        for value, (low, high) in zip((1 / shape.load, shape.radius, shape.dimension), expected, strict=True):
            assert low <= value <= high
        assert shape.projected == pytest.approx(shape.dimension, rel=0.09)


def test_geo5_capacities_are_averaged_harmonically() -> None:
    capacity, low, high = _geometry_capacity.averaged(1 / np.array([0.1, 0.3]))
    assert float(capacity) == pytest.approx(0.15, abs=1e-12)
    assert low < capacity < high


def test_the_capacity_of_many_points_is_two() -> None:
    rng = np.random.default_rng(0)
    one = np.ones((3, 1)) + 1e-9 * rng.normal(size=(3, 20))
    shape = _geometry_capacity.shape(one, rng.normal(size=(20000, 4)))
    assert 1 / shape.load == pytest.approx(2, rel=0.04)


def general(target: np.ndarray, corners: np.ndarray, margin: float) -> float:
    """What one Gaussian vector costs, by a general solver."""
    rules = {"type": "ineq", "fun": lambda v: -margin - v @ corners, "jac": lambda _: -corners.T}
    done = minimize(
        lambda v: 0.5 * ((v - target) ** 2).sum(), np.append(np.zeros(len(target) - 1), -5.0),
        jac=lambda v: v - target, constraints=rules, method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    move = target - done.x
    far = np.linalg.norm(move) > 1e-6
    anchor = move / move[-1] if far else corners[:, (target @ corners).argmax()]
    return max(float(target @ anchor) + margin, 0) ** 2 / float(anchor @ anchor)


def test_a_margin_lowers_capacity_as_a_general_solver_says() -> None:
    rng = np.random.default_rng(0)
    points = np.ones((4, 1)) + rng.normal(size=(4, 7))
    normals = rng.normal(size=(30, 5))
    corners = np.vstack([_geometry_capacity.reduced(points), np.ones(7)])
    loads = []
    for margin in (0.0, 0.5):
        loads.append(_geometry_capacity.shape(points, normals, margin).load)
        expected = np.mean([general(target, corners, margin) for target in normals])
        assert loads[-1] == pytest.approx(expected, rel=1e-5)
    assert loads[1] > loads[0]


@pytest.mark.parametrize("shape", [(60, 40), (132, 60), (6, 200), (30, 30)])
def test_non_negative_least_squares_equal_those_of_scipy(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    columns, targets = rng.normal(size=shape), rng.normal(size=(40, shape[0]))
    signs = rng.choice([-1.0, 1.0], size=(40, shape[1]))
    for sign in (np.ones_like(signs), signs):
        found = _geometry_nnls.solve(columns, targets, sign)
        assert (found * sign >= 0).all()
        for row, target, flip in zip(found, targets, sign, strict=True):
            expected = (columns * flip) @ nnls(columns * flip, target)[0]
            np.testing.assert_allclose(columns @ row, expected, rtol=0, atol=1e-9)


def test_non_negative_least_squares_of_dependent_columns() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(20, 6))
    columns = np.concatenate([half, half], axis=1)
    targets = rng.normal(size=(10, 20))
    found = _geometry_nnls.solve(columns, targets) @ columns.T
    expected = [half @ nnls(half, target)[0] for target in targets]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_capacity_rises_with_distance_and_ignores_scale_and_rotation() -> None:
    near, far = (clouds(8, 100, 20, apart=apart) for apart in (0.3, 3.0))
    found = [geometry.capacity(part, "object", draws=60, restarts=3) for part in (near, far)]
    assert float(found[1]["capacity"][0]) > 2 * float(found[0]["capacity"][0])
    assert float(found[1]["radius"][0]) < float(found[0]["radius"][0])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(100, 100)))[0]
    turned = recorded(7 * far["response"].values @ turn, object=far["object"].values)
    again = geometry.capacity(turned, "object", draws=60, restarts=3)
    assert float(again["capacity"][0]) == pytest.approx(float(found[1]["capacity"][0]), rel=0.06)


@pytest.mark.parametrize("planted", [1, 2, 3])
def test_common_directions_of_centres_are_found_and_removed(planted: int) -> None:
    rng = np.random.default_rng(planted)
    shared = np.linalg.qr(rng.normal(size=(300, planted)))[0]
    centres = rng.normal(size=(300, 30)) + 60 * shared @ rng.normal(size=(planted, 30))
    centres -= centres.mean(axis=1, keepdims=True)
    (found,) = _geometry_centres.common(centres[None], None, 5, np.random.SeedSequence(0))
    assert found.directions.shape == (300, planted)
    assert np.linalg.norm(shared.T @ found.directions, 2) > 0.99
    assert found.after < 0.1 < found.before
    np.testing.assert_allclose(found.directions.T @ found.directions, np.eye(planted), atol=1e-9)


def test_slopes_of_the_correlation_of_centres_are_right() -> None:
    rng = np.random.default_rng(0)
    x, frame = rng.normal(size=(2, 8, 7)), np.linalg.qr(rng.normal(size=(2, 7, 2)))[0]
    slope, way = _geometry_centres._cost(x, frame, True)[1], rng.normal(size=frame.shape)
    up, down = (_geometry_centres._cost(x, frame + step * way, False)[0] for step in (1e-6, -1e-6))
    np.testing.assert_allclose((up - down) / 2e-6, (slope * way).sum(axis=(1, 2)), rtol=1e-5)


def test_each_time_is_what_it_is_alone() -> None:
    recording = clouds(5, 40, 12, times=23, apart=1.0)
    whole = geometry.capacity(recording, "object", draws=40, restarts=3)
    alone = geometry.capacity(recording.isel(time=[21]), "object", draws=40, restarts=3)
    for name in ("capacity", "radius", "dimension", "centre_correlation_left"):
        np.testing.assert_allclose(whole[name].values[21], alone[name].values[0], rtol=1e-10)
    lazy = geometry.capacity(recording.chunk({"time": 7}), "object", draws=40, restarts=3)
    xr.testing.assert_identical(lazy["capacity"], whole["capacity"])
    assert (
        geometry.capacity(recording, "object", draws=40, seed=1)["capacity"].values[0]
        != whole["capacity"].values[0]
    )


def test_labels_exchanged_leave_capacity_at_its_floor() -> None:
    found = geometry.capacity(
        clouds(6, 60, 20, apart=1.0), "object", draws=40, permutations=19, exchange="presentation"
    )
    assert found["null"].dims == ("permutation", "time")
    assert float(found["p"][0]) == pytest.approx(0.05)
    assert float(found["null"].mean()) == pytest.approx(found.attrs["floor"], rel=0.25)
    noise = geometry.capacity(clouds(6, 60, 20), "object", draws=40, permutations=19, exchange="presentation")
    assert float(noise["p"][0]) > 0.05


def test_f61_a_centre_at_zero_is_nan_and_said_once() -> None:
    recording = clouds(4, 20, 10, times=2)
    recording["response"][..., 0] = 0.0
    with pytest.warns(UserWarning, match="NaN at 1 of 2 times") as caught:
        found = geometry.capacity(recording, "object", draws=20, restarts=2)
    assert len(caught) == 1
    assert np.isnan(found["capacity"].values).tolist() == [True, False]


def test_many_neuroids_are_projected() -> None:
    recording = clouds(4, 3000, 10, apart=2.0)
    whole, less = (
        geometry.capacity(recording, "object", draws=60, project=size, rank=0) for size in (0, 1500)
    )
    assert float(less["capacity"][0]) == pytest.approx(float(whole["capacity"][0]), rel=0.1)


# ---- correlated capacity


@pytest.mark.parametrize(("neuroids", "manifolds", "samples"), [(40, 6, 5), (30, 4, 20)])
def test_geo6_glue_identity(neuroids: int, manifolds: int, samples: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(manifolds * samples, neuroids))
    codes = np.repeat(np.arange(manifolds), samples)
    sides = rng.choice([-1.0, 1.0], size=(60, manifolds))
    size = min(points.shape)
    found = _geometry_glue.anchors(points, codes, sides, rng.normal(size=(60, size)))
    for anchors, active, cost, vector in zip(*found, strict=True):
        rows = anchors[active]
        along = rows @ vector
        assert along @ np.linalg.pinv(rows @ rows.T) @ along == pytest.approx(cost, abs=1e-5)


def test_geo7_glue_capacity_of_points() -> None:
    found = geometry.correlated_capacity(clouds(20, 100, 1), "object", draws=200)
    assert float(found["capacity"][0]) == pytest.approx(2.0, abs=0.2)
    assert float(found["radius"][0]) == float(found["dimension"][0]) == 0


def test_geo8_glue_capacity_of_clouds() -> None:
    found = geometry.correlated_capacity(clouds(10, 400, 10), "object", draws=50)
    assert float(found["capacity"][0]) == pytest.approx(0.2, abs=0.02)
    low, high = (float(found[f"capacity_{end}"][0]) for end in ("low", "high"))
    assert low < float(found["capacity"][0]) < high


def test_glue_of_correlated_centres_is_aligned() -> None:
    rng = np.random.default_rng(0)
    plain = clouds(6, 80, 8, apart=3.0)
    moved = recorded(plain["response"].values + 8 * rng.normal(size=80), object=plain["object"].values)
    one, two = (geometry.correlated_capacity(part, "object", draws=40) for part in (plain, moved))
    assert float(two["centre_alignment"][0]) > 0.7 > 0.3 > float(one["centre_alignment"][0])
    rest = geometry.correlated_capacity(plain, "object", draws=40, dichotomies="one-vs-rest")
    assert float(rest["capacity"][0]) > 0


# ---- dimension, layers


def test_geo9_participation_ratio() -> None:
    assert _geometry_results.participation(np.ones(9)) == pytest.approx(9, abs=1e-9)
    assert _geometry_results.participation(np.array([4.0, 0, 0, 0])) == pytest.approx(1, abs=1e-9)


def test_participation_ratio_of_a_recording_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    truth = np.linspace(1, 5, 10)
    found = geometry.dimension(recorded(rng.normal(size=(4000, 10)) * truth))
    expected = (truth**2).sum() ** 2 / (truth**4).sum()
    assert float(found["participation_ratio_low"][0]) < expected < float(found["participation_ratio_high"][0])
    assert float(found["participation_ratio"][0]) == pytest.approx(expected, rel=0.03)
    means = geometry.dimension(
        recorded(rng.normal(size=(40, 10)), stimulus_id=np.arange(40) // 4), average="stimulus_id"
    )
    assert means.attrs["rows"] == 10


def test_layers_and_their_contrast() -> None:
    parts = [clouds(6, 50, 15, apart=apart)["response"].values for apart in (0.5, 2.0)]
    labels = clouds(6, 50, 15)["object"].values
    trained, untrained = (
        recorded(np.concatenate(some, axis=1), object=labels) for some in (parts, parts[:1] * 2)
    )
    layer = ("neuroid", np.repeat(["early", "late"], 50))

    def measure(recording: xr.Dataset) -> xr.Dataset:
        return geometry.capacity(recording, "object", draws=50, restarts=2)

    both = [geometry.by_layer(part.assign_coords(layer=layer), measure) for part in (trained, untrained)]
    assert both[0]["layer"].values.tolist() == ["early", "late"]
    found = geometry.contrast(*both, bootstraps=200)
    np.testing.assert_allclose(found["difference"].values[0], 0, atol=1e-12)
    assert float(found["difference_low"].values[1].item()) > 0
    assert float(found["ratio_low"].values[1].item()) > 1.2
    np.testing.assert_allclose(
        found["trained"].values, both[0]["capacity"].transpose(*found["trained"].dims).values
    )
    with pytest.raises(ValueError, match="layer: "):
        geometry.contrast(both[0], both[1].assign_coords(layer=["early", "last"]))
    seeds = [xr.concat([part, part], "seed") for part in both]
    assert geometry.contrast(*seeds, bootstraps=50).attrs["seeds"] == 2


# ---- abstraction


def test_geo11_balanced_dichotomies() -> None:
    found = _geometry_abstraction.dichotomies(8)
    assert len(found) == 35
    assert (found.sum(axis=1) == 0).all()
    assert len(np.unique(found, axis=0)) == 35


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("kind", "least", "parallel", "shattered"),
    [("factorised", 0.98, (0.96, 1), (0.68, 0.79)), ("distorted", 0.97, (0.85, 0.96), (0.88, 0.96))],
)
def test_geo12_geo13_factorised_codes(
    kind: str, least: float, parallel: tuple, shattered: tuple, seed: int
) -> None:
    recording = code(kind, seed)
    found = geometry.abstraction(recording, "abc", permutations=0)
    assert found["dichotomy"].values.tolist() == ["a", "b", "c"]
    assert float(found["ccgp"].min()) > least
    assert (
        parallel[0] <= float(found["parallelism"].min()) <= float(found["parallelism"].max()) <= parallel[1]
    )
    size = geometry.shattering(recording, "condition", groups="ungrouped", bootstraps=10)
    assert size.attrs["dichotomies"] == 35
    assert shattered[0] <= float(size["shattering"][0]) <= shattered[1]


def test_geo12_a_product_of_variables_does_not_generalize() -> None:
    recording = code("factorised", 0)
    found = geometry.abstraction(recording, "abc", dichotomies="balanced", permutations=19)
    assert found.sizes["dichotomy"] == 35
    products = found["ccgp"].sel(dichotomy=["a x b", "a x c", "b x c", "a x b x c"])
    assert float(products.max()) < 0.45
    assert float(found["p_uncorrected"].sel(dichotomy="a").max()) == pytest.approx(0.05)


@pytest.mark.parametrize("seed", range(3))
def test_geo14_random_codes_are_shattered_but_not_abstract(seed: int) -> None:
    recording = code("random", seed)
    found = geometry.abstraction(recording, "abc", permutations=199)
    assert float(np.abs(found["parallelism"]).max()) < 0.15
    assert float(found["p_uncorrected"].min()) > 0.05
    assert (
        float(geometry.shattering(recording, "condition", groups="ungrouped", bootstraps=10)["shattering"][0])
        > 0.98
    )


def test_a_support_vector_machine_gives_the_same_picture() -> None:
    recording = code("factorised", 1, trials=20)
    found = geometry.abstraction(recording, "abc", estimator="svm", permutations=0)
    assert float(found["ccgp"].min()) > 0.98


def test_ridge_across_contexts_equals_scikit_learn() -> None:
    from sklearn.linear_model import RidgeClassifier
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    label, context = np.tile(np.repeat([0, 1], 8), 3), np.repeat(np.arange(3), 16)
    x = rng.normal(size=(48, 12)) + 5 + 0.5 * label[:, None]
    found = geometry.generalization(
        recorded(x, label=label, context=context), "label", "context", permutations=0, bootstraps=0
    )
    for held in range(3):
        train, test = context != held, context == held
        scaler = StandardScaler().fit(x[train])
        model = RidgeClassifier(alpha=1.0).fit(scaler.transform(x[train]), label[train])
        right = model.predict(scaler.transform(x[test])) == label[test]
        expected = np.mean([right[label[test] == side].mean() for side in (0, 1)])
        assert float(found["held"][held, 0]) == pytest.approx(expected, abs=1e-12)
    assert float(found["ccgp"][0]) == pytest.approx(float(found["held"].mean()), abs=1e-12)


def design(signal: float, seed: int, shared: bool, times: int = 1) -> xr.Dataset:
    """Four labels in three contexts, twelve showings each, 40 neuroids; axes shared or not."""
    rng = np.random.default_rng(seed)
    label, context = np.divmod(np.repeat(np.arange(12), 12), 3)
    axes = rng.normal(size=(4, 1 if shared else 3, 40)) * np.ones((1, 3, 1))
    noise = rng.normal(size=(144, 40, times))
    return recorded(signal * axes[label, context][..., None] + noise, label=label, context=context)


def test_generalization_finds_shared_axes_and_says_where() -> None:
    found = geometry.generalization(
        design(1.0, 0, True, times=3), "label", "context", permutations=99, bootstraps=100
    )
    assert float(found["ccgp"].min()) > 0.9
    assert float(found["p"].max()) == pytest.approx(0.01)
    assert float(found["parallelism"].min()) > 0.7
    assert (found["ccgp_low"] <= found["ccgp"]).all()
    assert (found["ccgp"] <= found["ccgp_high"]).all()
    pair = found["pair"].isel(time=0).values
    assert np.isnan(np.diag(pair)).all()
    np.testing.assert_allclose(pair, pair.T)
    assert float(np.nanmean(pair)) == pytest.approx(float(found["ccgp"][0]))
    np.testing.assert_allclose(found["held"].mean("test_condition"), found["ccgp"])


def test_the_mean_of_redrawn_presentations_is_the_score() -> None:
    found = geometry.generalization(design(0.3, 0, True), "label", "context", permutations=0, bootstraps=4000)
    assert float(found["resampled"].mean()) == pytest.approx(float(found["ccgp"][0]), abs=0.003)


@pytest.mark.slow
@pytest.mark.parametrize("signal", [0.0, 1.0])
def test_v06_swapped_neuroids_give_five_percent_of_false_alarms(signal: float) -> None:
    """Codes without a common axis, decodable or not; 300 data sets: 99 % band of 5 % is 2.3 to 8.8 %."""
    p = []
    for seed in range(300):
        recording = design(signal, seed, False)
        found = geometry.generalization(
            recording, "label", "context", permutations=99, bootstraps=0, seed=seed
        )
        p.append(float(found["p_uncorrected"][0]))
    rate = float((np.array(p) <= 0.05).mean())
    print(f"\nfalse alarms at signal {signal}: {rate:.3f}")
    assert 0.01 <= rate <= 0.088


def test_swaps_are_their_own_inverse_and_move_every_neuroid() -> None:
    swaps = _geometry_abstraction.swapped(10, 50, np.random.SeedSequence(0)).T
    for swap in swaps:
        assert (swap[swap] == np.arange(10)).all()
        assert (swap != np.arange(10)).all()
    odd = _geometry_abstraction.swapped(7, 50, np.random.SeedSequence(0)).T
    assert ((odd == np.arange(7)).sum(axis=1) == 1).all()


def test_v05_what_training_and_test_share_must_be_declared() -> None:
    recording = design(1.0, 0, True)
    runs = recording.assign_coords(run=("presentation", np.arange(144) % 4))
    with pytest.raises(ValueError, match="'run'"):
        geometry.generalization(runs, "label", "context", permutations=0)
    found = geometry.generalization(runs, "label", "context", permutations=0, overlap=["run"])
    assert found.attrs["shared"] == "run"


def test_v01_noise_is_shattered_at_chance() -> None:
    scores = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        recording = recorded(rng.normal(size=(60, 30)), condition=np.arange(60) % 6)
        found = geometry.shattering(recording, "condition", groups="ungrouped", bootstraps=2)
        scores.append(float(found["shattering"][0]))
    assert np.mean(scores) == pytest.approx(0.5, abs=3 * np.std(scores) / np.sqrt(40))


def test_shattering_has_a_null_and_a_share_that_is_decodable() -> None:
    recording = code("distorted", 0, trials=12)
    found = geometry.shattering(
        recording, "condition", groups="ungrouped", permutations=99, exchange="presentation", bootstraps=50
    )
    assert float(found["p"][0]) == pytest.approx(0.01)
    assert float(found["decodable"][0]) > 0.8
    assert float(found["null"].mean()) == pytest.approx(0.5, abs=0.02)
    assert (
        float(found["shattering_low"][0]) < float(found["shattering"][0]) < float(found["shattering_high"][0])
    )


def test_shattering_takes_only_so_many_dichotomies() -> None:
    recording = code("factorised", 0, trials=8)
    found = geometry.shattering(recording, "condition", groups="ungrouped", most=10, bootstraps=5)
    assert found.sizes["dichotomy"] == 10
    assert found.attrs["of"] == 35


# ---- topology


def cloud(kind: str, seed: int, count: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, (count, 2))
    if kind == "ring":
        plane = np.linalg.qr(rng.normal(size=(20, 2)))[0]
        return np.c_[np.cos(angle[:, 0]), np.sin(angle[:, 0])] @ plane.T + 0.1 * rng.normal(size=(count, 20))
    if kind == "blob":
        return rng.normal(size=(count, 20))
    return np.c_[np.cos(angle[:, 0]), np.sin(angle[:, 0]), np.cos(angle[:, 1]), np.sin(angle[:, 1])]


@pytest.mark.parametrize("seed", range(3))
def test_geo15_loops_of_ring_blob_and_torus(seed: int) -> None:
    life = {}
    for kind in ("ring", "blob", "torus"):
        found = geometry.topology(recorded(cloud(kind, seed)), shuffles=0)
        life[kind] = found["lifetime"].isel(time=0).values
    assert life["ring"][0] / life["ring"][1] > 6
    assert life["blob"][0] / life["blob"][1] < 2
    assert life["torus"][1] / life["torus"][2] > 1.5


@pytest.mark.parametrize("kind", ["ring", "blob", "torus", "grid"])
def test_persistent_homology_equals_ripser(kind: str) -> None:
    ripser = pytest.importorskip("ripser")
    points = cloud(kind, 3, 120) if kind != "grid" else np.array(list(product(range(9), repeat=2)), float)
    distance = _geometry_homology.distances(points)
    parts, loops = ripser.ripser(distance, distance_matrix=True)["dgms"]
    found = _geometry_homology.loops(distance)
    assert len(found) == len(loops)
    for one, two in ((found, loops), (_geometry_homology.parts(distance)[:, None], parts[:-1, 1:])):
        np.testing.assert_allclose(one[np.lexsort(one.T)], two[np.lexsort(two.T)], atol=1e-6)  # it is float32


def test_a_square_has_one_loop() -> None:
    corners = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    np.testing.assert_allclose(
        _geometry_homology.loops(_geometry_homology.distances(corners)), [[1, np.sqrt(2)]]
    )
    assert len(_geometry_homology.loops(_geometry_homology.distances(corners[:3]))) == 0


def test_a_ring_stands_out_of_shuffled_clouds_and_a_blob_does_not() -> None:
    ring = geometry.topology(recorded(cloud("ring", 0, 80)), shuffles=20)
    blob = geometry.topology(recorded(cloud("blob", 0, 80)), shuffles=20)
    assert int(ring["significant"][0]) == 1
    assert int(blob["significant"][0]) <= 1
    assert ring["null"].dims == ("permutation", "time")


def test_a_ring_is_found_over_time_and_after_thinning_out() -> None:
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    tuning = np.exp(2 * np.cos(angle[:, None] - np.linspace(0, 2 * np.pi, 30, endpoint=False)))
    track = recorded(tuning.T[None])
    found = geometry.topology(track, points="time", dimensions=3, most=100, shuffles=0)
    life = found["lifetime"].isel(time=0).values
    assert found.attrs["points"] == 100
    assert not np.nan_to_num(life[1]) > life[0] / 6


# ---- dynamics


def test_geo10_curvature() -> None:
    line = np.outer(np.arange(6.0), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(_geometry_dynamics.curvature(line), 0, atol=1e-6)
    angle = 0.2 * np.arange(9)
    circle = np.c_[np.cos(angle), np.sin(angle)]
    np.testing.assert_allclose(_geometry_dynamics.curvature(circle), 0.2, atol=1e-6)
    found = geometry.straightness(recorded(np.stack([circle.T, circle.T]), stimulus_id=["a", "b"]))
    np.testing.assert_allclose(found["curvature"], np.degrees(0.2), atol=1e-6)
    assert found.attrs["mean"] == pytest.approx(np.degrees(0.2))


def test_noise_bends_by_120_degrees() -> None:
    rng = np.random.default_rng(0)
    found = geometry.straightness(recorded(rng.normal(size=(5, 2000, 30)), stimulus_id=np.arange(5)))
    assert found.attrs["mean"] == pytest.approx(120, abs=1)


@pytest.mark.parametrize(
    ("shape", "most", "tolerance", "middle"),
    [("circle", 38.51, 0.05 / 38.51, 38.51), ("eight", 1571, 0.015, 804), ("lifted", 461, 0.01, None),
     ("line", 3141, 0.015, None)],
)  # fmt: skip
def test_geo16_tangling(shape: str, most: float, tolerance: float, middle: float | None) -> None:
    phase = 2 * np.pi * np.arange(200) / 200
    sine, cosine, double = np.sin(phase), np.cos(phase), np.sin(2 * phase)
    axes = {
        "circle": (cosine, sine),
        "eight": (sine, double),
        "lifted": (sine, double, cosine),
        "line": (sine,),
    }
    states = np.stack(axes[shape], axis=1)
    found = _geometry_dynamics.tangling(states, (np.roll(states, -1, axis=0) - states) * 200)
    assert found.max() == pytest.approx(most, rel=tolerance)
    if middle is not None:
        assert np.median(found) == pytest.approx(middle, rel=max(tolerance, 0.015))


def test_tangling_of_a_recording() -> None:
    phase = 2 * np.pi * np.arange(101) / 100
    mix = np.random.default_rng(0).normal(size=(3, 20))
    sine, still = np.sin(phase), 0 * phase
    round_, eight = np.stack([np.cos(phase), sine, still]), np.stack([sine, np.sin(2 * phase), still])
    medians = [
        geometry.tangling(recorded((mix.T @ path)[None], stimulus_id=["a"]), softening=0.0).attrs["median"]
        for path in (round_, eight)
    ]
    assert medians[1] > 3 * medians[0]


def test_geo17_jpca_of_a_planted_rotation() -> None:
    omega, times = 4 * np.pi, np.linspace(0, 0.5, 40)
    phases = np.arange(8) * np.pi / 4
    states = np.concatenate([np.c_[np.cos(omega * times + p), np.sin(omega * times + p)] for p in phases])
    velocity = omega * np.c_[-states[:, 1], states[:, 0]]
    found = _geometry_dynamics.rotation(states, velocity)
    np.testing.assert_allclose(found.skew, [[0, -12.566], [12.566, 0]], atol=1e-3)
    assert found.skew_r2 == pytest.approx(1, abs=1e-3)
    assert found.free_r2 == pytest.approx(1, abs=1e-3)
    assert found.speed / (2 * np.pi) == pytest.approx(2, abs=1e-3)


def test_the_skew_fit_is_the_best_skew_fit() -> None:
    rng = np.random.default_rng(0)
    states, velocity = rng.normal(size=(80, 4)) * [1, 2, 3, 4], rng.normal(size=(80, 4))
    rows, columns = np.triu_indices(4, 1)
    basis = np.zeros((6, 4, 4))
    basis[np.arange(6), rows, columns], basis[np.arange(6), columns, rows] = 1, -1
    design_matrix = np.stack([(states @ one.T).ravel() for one in basis], axis=1)
    expected = np.tensordot(np.linalg.lstsq(design_matrix, velocity.ravel(), rcond=None)[0], basis, 1)
    found = _geometry_dynamics.rotation(states, velocity)
    np.testing.assert_allclose(found.skew, expected, atol=1e-10)
    assert found.skew_r2 <= found.free_r2


def test_jpca_of_a_recording_finds_the_frequency_and_beats_its_null() -> None:
    rng = np.random.default_rng(0)
    times, phases = np.arange(60) * 0.01, np.linspace(0, 2 * np.pi, 8, endpoint=False)
    mix = rng.normal(size=(2, 30))
    turned = [
        mix.T @ np.stack([np.cos(4 * np.pi * times + p), np.sin(4 * np.pi * times + p)]) for p in phases
    ]
    recording = recorded(np.array(turned) + 0.05 * rng.normal(size=(8, 30, 60)), stimulus_id=np.arange(8))
    found = geometry.rotations(recording, dimensions=2, softening=0.0, permutations=19)
    assert found.attrs["frequency"] == pytest.approx(2, rel=0.05)
    assert found.attrs["skew_r2"] > 0.8
    assert found.attrs["p"] == pytest.approx(0.05)
    np.testing.assert_allclose(found["plane"].values.T @ found["plane"].values, np.eye(2), atol=1e-9)


# ---- arguments, plots


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: geometry.capacity(r, "object", draws=0), "draws: 0"),
        (lambda r: geometry.capacity(r, "objekt"), "coordinate 'objekt'"),
        (lambda r: geometry.capacity(r.isel(presentation=slice(0, 10)), "object"), "1 class"),
        (lambda r: geometry.capacity(r, "object", where={"object": "o99"}), "where: 'object' is never o99"),
        (lambda r: geometry.correlated_capacity(r, "object", dichotomies="all"), "dichotomies: 'all'"),
        (lambda r: geometry.generalization(r, "object", "object", estimator="lda"), "estimator: 'lda'"),
        (lambda r: geometry.generalization(r, "object", "half", strength=0), "strength: 0"),
        (lambda r: geometry.abstraction(r, ["object", "half"]), "variables: object"),
        (lambda r: geometry.topology(r, points="neuroid"), "points: 'neuroid'"),
        (lambda r: geometry.tangling(r, by="object"), "time: fewer than 3 samples"),
        (lambda r: geometry.straightness(r.drop_vars("response"), by="object"), "has no response"),
        (lambda r: geometry.plot(r), "none of them is plotted"),
    ],
)
def test_wrong_arguments_are_named(call: object, words: str) -> None:
    recording = clouds(4, 12, 10).assign_coords(half=("presentation", np.arange(40) % 2))
    with pytest.raises(ValueError, match=words) as caught:
        call(recording)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


def test_f17_a_value_that_is_no_number_is_named() -> None:
    recording = clouds(4, 12, 10)
    recording["response"][7, 3] = np.nan
    with pytest.raises(ValueError, match="presentation 7, neuroid 3"):
        geometry.capacity(recording, "object")
    with pytest.raises(ValueError, match="presentation 7, neuroid 3"):
        geometry.dimension(recording)


def test_a_combination_without_presentations_is_named() -> None:
    recording = design(1.0, 0, True)
    some = recording.isel(presentation=~((recording["label"] == 1) & (recording["context"] == 2)).values)
    with pytest.raises(ValueError, match="label 1, context 2: 0 presentations"):
        geometry.generalization(some, "label", "context")


def test_same_seed_same_numbers_and_sound_data_are_silent() -> None:
    recording = clouds(4, 30, 10, times=2, apart=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for measure in (geometry.capacity, geometry.correlated_capacity):
            one, two = (measure(recording, "object", draws=20, seed=3) for _ in range(2))
            xr.testing.assert_identical(one, two)


def test_every_result_is_drawn() -> None:
    recording = clouds(4, 30, 10, times=5, apart=1.0)
    recording = recording.assign_coords(half=("presentation", np.arange(40) % 2))
    layered = recording.assign_coords(layer=("neuroid", np.repeat(["a", "b"], 15)))
    layer = geometry.by_layer(layered, lambda part: geometry.capacity(part, "object", draws=20, restarts=2))
    results = [
        geometry.capacity(recording, "object", draws=20, restarts=2, permutations=3),
        geometry.correlated_capacity(recording, "object", draws=10),
        geometry.dimension(recording),
        geometry.generalization(recording, "object", "half", permutations=9, bootstraps=9),
        geometry.abstraction(code("factorised", 0, 5), "abc", permutations=9),
        geometry.shattering(recording, "object", groups="ungrouped", bootstraps=9),
        geometry.topology(recording, shuffles=2),
        geometry.topology(recording.isel(time=[0]), shuffles=2),
        geometry.tangling(recording, by="object"),
        geometry.rotations(recording, by="object", dimensions=2, permutations=3),
        geometry.straightness(recording, by="object"),
        layer,
        geometry.contrast(layer, layer, bootstraps=20),
    ]
    for result in results:
        figure = geometry.plot(result)
        assert all(axes.has_data() for axes in figure.axes)
        assert all("units" in result[name].attrs for name in result.data_vars)
    axes = geometry.plot(results[0]).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), results[0]["capacity"])
