"""Categorical perception: closed forms, laws, agreement with SciPy, planted boundaries."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ks_2samp

from analyses import _categories_curves, _categories_fisher, _categories_index, categories

ONE = {"units": "1"}


def recorded(response: np.ndarray, layer: list[str] | None = None, **labels: np.ndarray) -> xr.Dataset:
    """response (presentation, neuroid[, time]) with labels of presentations."""
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    coords: dict = {name: ("presentation", np.asarray(column)) for name, column in labels.items()}
    coords["stimulus_id"] = ("presentation", np.arange(len(response)).astype(str))
    coords["neuroid_id"] = ("neuroid", np.char.mod("n%d", np.arange(response.shape[1])))
    if layer is not None:
        coords["layer"] = ("neuroid", np.array(layer))
    return xr.Dataset({"response": (dims, response, ONE)}, coords)


def clouds(apart: float, seed: int = 0, classes: int = 4, each: int = 40, size: int = 20) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(classes), each)
    response = rng.normal(size=(codes.size, size)) + apart * rng.normal(size=(classes, size))[codes]
    return recorded(response, digit=codes)


def series(sharp: float, count: int = 6, steps: int = 41, seed: int = 0) -> xr.Dataset:
    """Continua that turn from one class's axis to the other's as a logistic does, with logits."""
    rng = np.random.default_rng(seed)
    alpha = np.linspace(0, 1, steps)
    rows, labels = [], []
    for k in range(count):
        middle = 0.5 + 0.1 * rng.uniform(-1, 1)
        share = 1 / (1 + np.exp(-sharp * (alpha - middle)))
        angle = 0.5 * np.pi * share
        logit = sharp * (alpha - middle)
        rows.append(np.stack([np.cos(angle), np.sin(angle), 0 * logit, logit, 0 * logit - 30], axis=1))
        labels += [(f"c{k}", value) for value in alpha]
    response = np.concatenate(rows)
    name, place = zip(*labels, strict=True)
    return recorded(
        response, ["layer1"] * 2 + ["head"] * 3, continuum=np.array(name), alpha=np.array(place),
        first_label=np.zeros(len(name), int), second_label=np.ones(len(name), int),
    )  # fmt: skip


# ---- the index


def test_cat2_identical_and_disjoint_samples() -> None:
    sample = np.random.default_rng(0).normal(size=200)
    assert float(_categories_index.statistic(sample, sample)[0]) == 0
    assert float(_categories_index.statistic(sample, sample + 100)[0]) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_statistic_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = rng.integers(0, 20, 60) / 20, rng.integers(3, 25, 45) / 20  # with ties
    found = _categories_index.statistic(one, two)[0]
    assert found == pytest.approx(ks_2samp(one, two).statistic, abs=1e-12)


def test_weights_count_as_repeated_members() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=30), rng.normal(0.5, size=20)
    counts = rng.integers(0, 4, size=50)
    found = _categories_index.statistic(one, two, counts[None].astype(float))[0]
    expected = ks_2samp(np.repeat(one, counts[:30]), np.repeat(two, counts[30:])).statistic
    assert found == pytest.approx(expected, abs=1e-12)


def test_pairs_are_of_the_kind_that_they_say() -> None:
    codes = np.random.default_rng(0).integers(0, 5, 300)
    pairs = _categories_index.drawn(codes, 2000, 0)
    assert (codes[pairs.within[:, 0]] == codes[pairs.within[:, 1]]).all()
    assert (pairs.within[:, 0] != pairs.within[:, 1]).all()
    assert (codes[pairs.between[:, 0]] != codes[pairs.between[:, 1]]).all()
    assert set(np.unique(pairs.between)) == set(range(300))
    again = _categories_index.drawn(codes, 2000, 0)
    assert (pairs.within == again.within).all()
    assert (pairs.between == again.between).all()


def test_the_index_rises_with_classes_apart_and_ignores_scale() -> None:
    found = [
        float(categories.index(clouds(apart), "digit", bootstraps=0)["index"][0]) for apart in (0.0, 0.5, 5.0)
    ]
    assert found[0] < 0.1 < 0.2 < found[1] < found[2]
    assert found[2] > 0.99
    part = clouds(0.5)
    scaled = part.assign(response=7 * part["response"])
    assert float(categories.index(scaled, "digit", bootstraps=0)["index"][0]) == pytest.approx(found[1])


def test_the_interval_holds_the_index_of_other_presentations() -> None:
    found = categories.index(clouds(0.6), "digit", bootstraps=300)
    low, high = float(found["index_low"][0]), float(found["index_high"][0])
    hits = [
        low - 0.1
        < float(categories.index(clouds(0.6, each=80), "digit", bootstraps=0, seed=seed)["index"][0])
        < high + 0.1
        for seed in range(5)
    ]  # fmt: skip
    assert low < float(found["index"][0]) < high
    assert all(hits)


def test_layers_times_and_pixels_stand_apart() -> None:
    part = clouds(3.0)
    response = np.concatenate(
        [np.random.default_rng(1).normal(size=part["response"].shape), part["response"]], 1
    )
    both = recorded(response, ["a"] * 20 + ["b"] * 20, digit=part["digit"].values)
    image = np.random.default_rng(0).uniform(size=(160, 1, 4, 4))
    pixels = xr.Dataset(
        {"image": (("stimulus", "channel", "y", "x"), image, ONE)},
        {"stimulus_id": ("stimulus", np.arange(160).astype(str)[::-1])},
    )  # fmt: skip
    found = categories.index(both, "digit", stimuli=pixels, bootstraps=0)
    assert found["layer"].values.tolist() == ["pixels", "a", "b"]
    assert found["index"].values[:2].max() < 0.15 < 0.9 < float(found["index"][2])
    timed = recorded(np.stack([response[:, :20], response[:, 20:]], axis=2), digit=part["digit"].values)
    moving = categories.index(timed, "digit", bootstraps=0)
    assert moving["index"].dims == ("layer", "time")
    np.testing.assert_allclose(moving["index"].values[0], found["index"].values[1:])


def test_silent_responses_are_counted() -> None:
    part = clouds(3.0)
    part["response"][:5] = 0.0
    assert float(categories.index(part, "digit", bootstraps=0)["silent"][0]) == 5


def test_real_it_responses_are_categorical_after_onset(neuro_data: object) -> None:
    from loaders import ephys

    path = neuro_data / "macaque" / "it_seven_objects"  # type: ignore[operator]
    recording = ephys.counts(path, window=(-0.1, 0.2), bin_width=0.1, trigger_delay_s=0)
    found = categories.index(recording, "object", bootstraps=200)
    before, _, late = found["index"].values[0]
    assert before < 0.1
    assert float(found["index_low"][0, 2]) > 0.2 > 0.1
    assert late < 1


# ---- continua


def test_the_distance_peaks_where_the_answer_changes() -> None:
    found = categories.boundary(series(20.0), classes=[0, 1, 2], bootstraps=200)
    assert found.attrs["kept"] == 6
    layer = found.sel(layer="layer1")
    assert abs(float(layer["place"][int(layer["distance"].argmax())])) <= 0.025
    assert float(layer["expansion_low"]) > 1
    np.testing.assert_allclose(found["slope"], 20, rtol=1e-3)
    middle = int(np.flatnonzero(found["place"].values == 0)[0])
    assert float(found["share"][middle]) == pytest.approx(0.5, abs=0.01)
    assert (np.diff(found["share"]) > 0).all()


def test_an_even_space_does_not_expand() -> None:
    part = series(20.0)
    angle = part["alpha"].values
    part["response"][:, 0], part["response"][:, 1] = np.cos(angle), np.sin(angle)
    found = categories.boundary(part, classes=[0, 1, 2], bootstraps=100).sel(layer="layer1")
    assert float(found["expansion"]) == pytest.approx(0, abs=1e-6)


def test_continua_are_dropped_for_what_they_lack() -> None:
    part = series(20.0)
    rows = [np.flatnonzero(part["continuum"].values == f"c{k}") for k in range(6)]
    part["response"][rows[0], 3] = -5.0  # never crosses
    part["response"][rows[1][20], 4] = 9.0  # a third class
    part["response"][rows[2], 3] = np.where(np.arange(41) < 3, -9.0, 9.0)
    found = categories.boundary(part, classes=[0, 1, 2], bootstraps=10)
    told = dict(zip(found["continuum"].values.tolist(), found["reason"].values.tolist(), strict=True))
    assert told == {"c0": "never crosses", "c1": "a third class", "c2": "near an end"} | dict.fromkeys(
        ("c3", "c4", "c5"), "kept"
    )


def test_a_twin_is_aligned_by_the_trained_network() -> None:
    trained = series(20.0)
    twin = trained.assign(response=trained["response"] * 0 + np.random.default_rng(0).normal(size=(246, 5)))
    found = categories.boundary(twin, outputs=trained, classes=[0, 1, 2], bootstraps=10)
    assert found.attrs["kept"] == 6
    other = trained.assign_coords(stimulus_id=("presentation", trained["stimulus_id"].values[::-1]))
    with pytest.raises(ValueError, match="outputs: are of other pictures"):
        categories.boundary(twin, outputs=other, classes=[0, 1, 2])


def test_uneven_continua_are_refused() -> None:
    part = series(20.0)
    with pytest.raises(ValueError, match="give every step of each, once"):
        categories.boundary(part.isel(presentation=slice(1, None)), classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes: 2 for 3 outputs"):
        categories.boundary(part)


# ---- psychometric curves


def test_shares_of_a_logistic_function_give_it_back() -> None:
    places = np.linspace(0, 1, 9)
    threshold, slope = np.array([0.3, 0.62]), np.array([8.0, -25.0])
    shares = _categories_curves.curve(places, threshold, slope, 0.05)
    found = _categories_curves.fit(places, 40 * shares, np.full_like(shares, 40.0), 0.05)
    np.testing.assert_allclose(found[0], threshold, atol=1e-6)
    np.testing.assert_allclose(found[1], slope, rtol=1e-5)


def test_the_interval_of_threshold_and_slope_covers_them() -> None:
    hits = np.zeros(2)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        alpha = np.tile(np.linspace(0, 1, 9), 30)
        choice = rng.uniform(size=alpha.size) < 1 / (1 + np.exp(-9 * (alpha - 0.45)))
        trials = recorded(np.zeros((alpha.size, 1)), alpha=alpha, choice=choice.astype(float))
        found = categories.psychometric(trials, "choice", bootstraps=100)
        for k, (name, truth) in enumerate((("threshold", 0.45), ("slope", 9.0))):
            low, high = float(found[f"{name}_low"][0]), float(found[f"{name}_high"][0])
            hits[k] += low <= truth <= high
    assert (hits >= 25).all()  # of 30 at 95 %


def test_a_step_is_steep_and_one_answer_is_nan() -> None:
    alpha = np.repeat(np.linspace(0, 1, 11), 2)
    name = np.tile(["sharp", "deaf"], 11)
    choice = np.where(name == "sharp", alpha > 0.52, 1.0)
    trials = recorded(np.zeros((22, 1)), alpha=alpha, choice=choice.astype(float), who=name)
    found = categories.psychometric(trials, "choice", by="who", bootstraps=20)
    assert np.isnan(float(found["threshold"].sel(continuum="deaf")))
    assert 0.5 < float(found["threshold"].sel(continuum="sharp")) < 0.6
    assert float(found["slope"].sel(continuum="sharp")) > 100


# ---- Fisher information


def test_cat1_two_gaussians() -> None:
    places = np.linspace(-1.6, 1.6, 41)
    found = categories.gaussian(places=places.tolist())
    p = found["posterior"].values[1]
    np.testing.assert_allclose(np.log(p / (1 - p)), 4 * places, atol=1e-9)
    np.testing.assert_allclose(found["fisher_cat"], 16 * p * (1 - p), atol=1e-9)
    assert float(found["fisher_cat"][20]) == pytest.approx(4, abs=1e-9)


def tuned(trials: int, seed: int, correlated: float = 0.0) -> tuple[xr.Dataset, np.ndarray]:
    """Ten Gaussian tuning curves, noise of SD .5; the true f'ᵀ Σ⁻¹ f' between places."""
    rng = np.random.default_rng(seed)
    places = np.linspace(0, 1, 6)
    curves = np.exp(-((places[:, None] - np.linspace(-0.2, 1.2, 10)) ** 2) / 0.08)
    cover = 0.25 * ((1 - correlated) * np.eye(10) + correlated)
    noise = rng.multivariate_normal(np.zeros(10), cover, (6, trials))
    response = (curves[:, None] + noise).reshape(-1, 10)
    rise = np.diff(curves, axis=0) / 0.2
    return recorded(response, alpha=np.repeat(places, trials)), np.einsum(
        "ki,ij,kj->k", rise, np.linalg.inv(cover), rise
    )


@pytest.mark.parametrize(("method", "correlated"), [("linear", 0.3), ("independent", 0.0)])
def test_linear_fisher_information_is_unbiased(method: str, correlated: float) -> None:
    found = np.stack([
        categories.fisher(tuned(40, seed, correlated)[0], method=method)["fisher"].values[0]
        for seed in range(40)
    ])  # fmt: skip
    truth = tuned(40, 0, correlated)[1]
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - truth) < 3.5 * error).all()


def test_ignoring_noise_correlations_is_not_the_same() -> None:
    recording, truth = tuned(400, 0, 0.5)
    linear, independent = (
        categories.fisher(recording, method=method)["fisher"].values[0]
        for method in ("linear", "independent")
    )
    np.testing.assert_allclose(linear, truth, rtol=0.2)
    assert np.abs(independent - truth).max() > np.abs(linear - truth).max()


def test_decoding_gives_the_variance_of_a_straight_line() -> None:
    rng = np.random.default_rng(0)
    places = np.linspace(0, 1, 11)
    way = np.array([3.0, 4.0])  # 5 long: variance of x̂ is .1² / 25
    line = np.linspace(-1, 2, 31)
    response = np.repeat(places, 200)[:, None] * way + 0.1 * rng.normal(size=(2200, 2))
    found = categories.fisher(
        recorded(response, alpha=np.repeat(places, 200)), method="decoded",
        templates=recorded(line[:, None] * way, alpha=line), bootstraps=100,
    )  # fmt: skip
    np.testing.assert_allclose(found["fisher"], 2500, rtol=0.35)
    assert float(found["fisher"].mean()) == pytest.approx(2500, rel=0.06)
    assert (found["fisher_low"] < found["fisher"]).all()
    plain = _categories_fisher.decoded(line[:, None] * way, line, np.array([[1.5, 2.0]]))
    assert float(plain[0]) == pytest.approx(0.5)


# ---- arms, plots, faults


def test_arms_are_compared_by_seed() -> None:
    parts = []
    for apart in (1.5, 0.4):
        each = [categories.index(clouds(apart, seed), "digit", bootstraps=0) for seed in range(4)]
        parts.append(xr.concat(each, "seed"))
    found = categories.across(
        *parts, names=["trained", "untrained"], published={"trained": [0.9]}, published_for="other data"
    )
    assert found["index"].dims == ("arm", "layer")
    assert float(found["index_difference_low"].sel(arm="untrained")[0]) > 0
    assert float(found["published"].sel(arm="trained")[0]) == 0.9
    with pytest.raises(ValueError, match="give one each"):
        categories.across(*parts, published={"trained": [0.9, 0.8]})


def test_plots_show_what_was_found() -> None:
    one = categories.index(clouds(1.0), "digit", bootstraps=20)
    assert categories.plot(one).axes[0].get_ylim() == (0, 1)
    found = categories.boundary(series(20.0), classes=[0, 1, 2], bootstraps=20)
    axes = categories.plot(found).axes
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), found["distance"][0])
    assert len(axes) == 2
    theory = categories.plot(categories.gaussian(places=[-1.0, 0.0, 1.0]))
    assert float(theory.axes[1].lines[0].get_ydata()[1]) == 4
    trials = recorded(np.zeros((4, 1)), alpha=np.array([0, 0.3, 0.6, 1]), c=np.array([0, 0.2, 0.7, 1]))
    curve = categories.psychometric(trials, "c", bootstraps=5)
    assert categories.plot(curve).axes[0].get_xlabel() == "alpha"
    assert categories.plot(categories.fisher(tuned(25, 0)[0])).axes[0].get_ylim()[0] == 0
    with pytest.raises(ValueError, match="none of them is plotted"):
        categories.plot(xr.Dataset({"other": ("place", [1.0])}))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"distance": "manhattan"}, "distance: 'manhattan'"),
        ({"pairs": 0}, "pairs: "),
        ({"confidence": 1.5}, "confidence: 1.5"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        categories.index(clouds(1.0), "digit", **wrong)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="label: 1 classes"):
        categories.index(clouds(1.0, classes=1), "digit")
    part = clouds(1.0)
    part["response"][3, 2] = np.nan
    with pytest.raises(ValueError, match="presentation 3, neuroid 2"):
        categories.index(part, "digit")
    with pytest.raises(ValueError, match="alpha: "):
        categories.fisher(recorded(np.zeros((9, 2)), alpha=np.repeat([0, 0.5, 1], 3)))
    with pytest.raises(ValueError, match="choice: 'alpha' leaves 0 to 1"):
        categories.psychometric(recorded(np.zeros((3, 1)), alpha=np.array([0, 1, 2.0])), "alpha")
