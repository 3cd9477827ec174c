"""Encoding models: equality with scikit-learn, planted neurons, laws, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge

from analyses import _linear_map, _pls, _ridge_cv, encoding, predictivity, reliability
from analyses._sums import Split


def recorded(response: np.ndarray, **coords: object) -> xr.Dataset:
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    made = {
        "stimulus_id": ("presentation", [f"s{k:04d}" for k in range(len(response))]),
        "neuroid_id": ("neuroid", [f"n{k:03d}" for k in range(response.shape[1])]),
    }
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, {**made, **coords})


def planted(
    rows: int = 200, columns: int = 30, neuroids: int = 6, noise: float = 1.0, repeats: int = 1, seed: int = 0
) -> tuple[xr.Dataset, xr.Dataset]:
    """Features, and neurons linear in them, of signal variance 1, with noise at every presentation."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) + 3
    weights = rng.normal(size=(columns, neuroids))
    y = (x - 3) @ (weights / np.linalg.norm(weights, axis=0)) + 5
    shown = np.tile(np.arange(rows), repeats)
    brain = recorded(y[shown] + noise * rng.normal(size=(len(shown), neuroids)))
    return recorded(x), brain.assign_coords(stimulus_id=("presentation", [f"s{k:04d}" for k in shown]))


def arrays(rows: int, columns: int, neuroids: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) / 5 + 2
    return x, x[:, :8] @ rng.normal(size=(8, neuroids)) + rng.normal(size=(rows, neuroids))


@pytest.mark.parametrize(("rows", "columns"), [(120, 40), (60, 200), (50, 50), (30, 2)])
def test_ridge_coefficients_are_scikit_learns_with_a_strength_for_each_neuroid(
    rows: int, columns: int
) -> None:
    x, y = arrays(rows, max(columns, 8))
    x = x[:, :columns] - x[:, :columns].mean(axis=0)
    y, alphas = y - y.mean(axis=0), np.array([0.1, 1.0, 10.0, 100.0, 1.0])
    found = _ridge_cv.coefficients(x, y, alphas)
    np.testing.assert_allclose(found, Ridge(alphas, fit_intercept=False).fit(x, y).coef_.T, atol=1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(120, 40), (60, 200)])
def test_pls_coefficients_are_scikit_learns_and_those_of_its_predictions(rows: int, columns: int) -> None:
    x, y = arrays(rows, columns)
    split = Split(np.arange(10, rows), np.arange(10))
    x = x - x.mean(axis=0)
    latent, loading, (centre, level) = _pls.coefficients(x, y, split, 6)
    assert (latent.shape, loading.shape) == ((columns, 6), (6, 5))
    found = (x[split.test] - centre) @ latent @ loading + level
    np.testing.assert_allclose(found, _pls.predict(x, y, [split], 6)[0], atol=1e-10)
    peer = PLSRegression(6, scale=False).fit(x[split.train], y[split.train])
    np.testing.assert_allclose(found, peer.predict(x[split.test]), atol=1e-8)


def test_pls_of_neurons_that_never_vary_is_their_mean() -> None:
    x, _ = arrays(40, 10)
    latent, loading, (_, level) = _pls.coefficients(x - x.mean(axis=0), np.full((40, 3), 2.5), whole(40), 4)
    assert latent.shape[1] == len(loading)
    np.testing.assert_allclose(x @ latent @ loading + level, 2.5)


def whole(rows: int) -> Split:
    return Split(np.arange(rows), np.arange(0))


@pytest.mark.parametrize("regression", ["ridge", "pls"])
def test_a_planted_linear_neuron_is_recovered(regression: str) -> None:
    model, brain = planted(noise=0.0)
    options = {"alphas": [1e-9]} if regression == "ridge" else {"components": 30}
    found = encoding.fit(model, brain, regression=regression, bootstraps=0, **options)
    np.testing.assert_allclose(found["predicted"], found["measured"], atol=1e-5)
    x, y = (part["response"].values for part in (model, brain))
    exact = np.linalg.lstsq(x - x.mean(axis=0), y - y.mean(axis=0), rcond=None)[0]
    np.testing.assert_allclose(found["latent"].values @ found["loading"].values, exact, atol=1e-5)
    assert found.attrs["score"] == pytest.approx(1)


@pytest.mark.parametrize(("regression", "components"), [("ridge", None), ("ridge", 3), ("pls", 4)])
def test_what_is_predicted_is_the_map_that_is_returned(regression: str, components: int | None) -> None:
    model, brain = planted()
    found = encoding.fit(model, brain, regression=regression, components=components, bootstraps=0)
    by_hand = (model["response"].values - found["centre"].values) @ found["latent"].values
    np.testing.assert_allclose(
        found["predicted"], by_hand @ found["loading"].values + found["level"].values, atol=1e-10
    )
    held = found["held_out"].values
    r = [
        np.corrcoef(found["predicted"].values[held, k], found["measured"].values[held, k])[0, 1]
        for k in range(brain.sizes["neuroid"])
    ]
    np.testing.assert_allclose(found["r"], r)
    assert found.sizes["component"] == (components or 6)
    assert np.linalg.matrix_rank(found["latent"].values @ found["loading"].values) == (components or 6)


def test_strengths_and_correlations_are_those_of_predictivity() -> None:
    model, brain = planted(rows=150, columns=60)
    found = encoding.fit(model, brain, held_out=[f"s{k:04d}" for k in range(40)], bootstraps=0)
    tested = np.arange(150) < 40
    names = model["stimulus_id"].values
    splits = xr.Dataset(
        {"train": (("fold", "stimulus"), ~tested[None]), "test": (("fold", "stimulus"), tested[None])},
        {"stimulus_id": ("stimulus", names)},
    )
    for seed in range(3):  # the inner folds are drawn from other streams; strengths agree where these do
        other = predictivity.score(model, brain, splits=splits, bootstraps=0, seed=seed)
        same = found["alpha"].values == other["alpha"].values[0]
        np.testing.assert_allclose(found["r"].values[same], other["r"].values[0, same], atol=1e-10)
        assert same.mean() > 0.3


def test_features_fewer_than_neurons_are_the_components() -> None:
    model, brain = planted(columns=4, neuroids=9)
    found = encoding.fit(model, brain, bootstraps=0)
    assert found.sizes["component"] == 4
    np.testing.assert_array_equal(found["latent"], np.eye(4))


def test_a_map_of_lower_rank_fits_less_and_the_full_rank_is_the_map_itself() -> None:
    model, brain = planted(noise=0.3)
    errors = []
    for rank in (1, 2, 4, 5, 6, None):
        found = encoding.fit(model, brain, components=rank, alphas=[1.0], bootstraps=0)
        inside = ~found["held_out"].values
        errors.append(float(((found["predicted"] - found["measured"]).values[inside] ** 2).sum()))
    assert errors[:5] == sorted(errors[:5], reverse=True)
    assert errors[4] == pytest.approx(errors[5])


def test_the_score_of_the_true_model_is_its_ceiling() -> None:
    model, brain = planted(rows=1500, columns=10, neuroids=40, noise=2.0, repeats=4)
    limit = reliability.split_half(brain, bootstraps=10)
    found = encoding.fit(model, brain, ceiling=limit)
    assert limit.attrs["median"] == pytest.approx(0.5, abs=0.03)  # signal 1, noise 2² / 4
    assert found.attrs["normalized_score"] == pytest.approx(1, abs=0.04)
    assert found.attrs["score_low"] < np.sqrt(0.5) < found.attrs["score_high"]
    covered = (found["r_low"] < np.sqrt(0.5)) & (np.sqrt(0.5) < found["r_high"])
    assert covered.mean() > 0.8
    np.testing.assert_allclose(found["normalized"], found["r"] / np.sqrt(limit["reliability"]))


def test_neuroids_without_reliability_are_scored_and_not_normalised() -> None:
    model, brain = planted(repeats=4)
    limit = reliability.split_half(brain, bootstraps=10)
    limit["reliability"][2] = np.nan
    found = encoding.fit(model, brain, ceiling=limit)
    assert np.flatnonzero(np.isnan(found["normalized"])).tolist() == [2]
    assert np.isfinite(found["r"]).all()
    assert np.isfinite(found.attrs["normalized_score"])
    assert found.attrs["no_ceiling"] == 1
    without = encoding.fit(model, brain)
    assert np.isnan(without["r_ceiling"]).all()
    assert np.isnan(without.attrs["normalized_score"])
    assert without.attrs["ceiling"] == "none: no reliability"


def test_a_neuron_that_never_varies_has_no_correlation_and_disturbs_no_other() -> None:
    model, brain = planted()
    dead = brain.copy(deep=True)
    dead["response"][:, 0] = 4.0
    found = encoding.fit(model, dead)
    assert np.isnan(found["r"][0])
    np.testing.assert_allclose(found["r"][1:], encoding.fit(model, brain)["r"][1:])


def test_shuffled_features_predict_nothing_with_the_same_strengths() -> None:
    model, brain = planted(rows=400, neuroids=30)
    true = encoding.fit(model, brain)
    found = encoding.fit(model, brain, shuffled=True)
    np.testing.assert_array_equal(found["alpha"], true["alpha"])
    np.testing.assert_array_equal(found["held_out"], true["held_out"])
    assert true.attrs["score_low"] > 0.5
    assert abs(found.attrs["score"]) < 0.08
    pls = encoding.fit(model, brain, shuffled=True, regression="pls", components=3)
    assert abs(pls.attrs["score"]) < 0.08


def test_order_of_presentations_and_neuroids_changes_nothing() -> None:
    model, brain = planted(repeats=2)
    rng = np.random.default_rng(3)
    mixed = brain.isel(presentation=rng.permutation(brain.sizes["presentation"]), neuroid=[3, 0, 5, 1, 2, 4])
    parts = [encoding.fit(model, part, alphas=[1.0], bootstraps=0) for part in (brain, mixed)]
    names = [part["stimulus_id"].values[part["held_out"].values] for part in parts]
    assert set(names[0]) == set(names[1])
    np.testing.assert_allclose(parts[1]["r"], parts[0]["r"].values[[3, 0, 5, 1, 2, 4]])


def test_same_seed_same_bytes_and_what_is_held_out_depends_on_split_alone() -> None:
    model, brain = planted()
    one, two = (encoding.fit(model, brain, seed=7) for _ in range(2))
    assert one.identical(two)
    other, fresh = encoding.fit(model, brain, seed=8), encoding.fit(model, brain, seed=7, split=1)
    np.testing.assert_array_equal(one["held_out"], other["held_out"])
    assert (one["held_out"].values != fresh["held_out"].values).any()
    assert one["held_out"].values.sum() == 40


def test_repeats_padded_with_nan_are_averaged_over_those_there_are() -> None:
    model, brain = planted(repeats=5)
    gaps = brain.copy(deep=True)
    lost = np.random.default_rng(0).random(gaps["response"].shape) < 0.3
    lost[:200] = False
    gaps["response"].values[lost] = np.nan
    found = encoding.fit(model, gaps, bootstraps=0)
    mean = np.nanmean(gaps["response"].values.reshape(5, 200, -1), axis=0)
    np.testing.assert_allclose(found["measured"], mean)


def test_score_of_given_predictions_is_that_of_the_fit() -> None:
    model, brain = planted()
    found = encoding.fit(model, brain)
    held = found["stimulus_id"].values[found["held_out"].values]
    told = recorded(found["predicted"].values)
    again = encoding.score(told, brain, held_out=held)
    np.testing.assert_allclose(again["r"], found["r"])
    np.testing.assert_allclose(again["r_low"], found["r_low"])
    np.testing.assert_array_equal(encoding.drawn(found), found["held_out"])


def test_f76_a_renamed_copy_of_a_picture_is_never_on_both_sides() -> None:
    model, brain = planted()
    content = np.array([f"c{k}" for k in range(200)])
    content[150] = content[3]
    model = model.assign_coords(content=("presentation", content))
    for split in range(20):
        held = encoding.fit(model, brain, split=split, alphas=[1.0], bootstraps=0)["held_out"].values
        assert held[150] == held[3]
    with pytest.raises(
        ValueError, match=r"^held_out: stimulus s0003 is held out and fitted as s0150, the same"
    ):
        encoding.fit(model, brain, held_out=[f"s{k:04d}" for k in range(20)])


REFUSED = [
    ({"held_out": 1.2}, r"^held_out: 1.2; wanted a share between 0 and 1"),
    ({"held_out": 0.01}, r"^held_out: 2 of 200 stimuli; 5 at least must be held out, and as many fitted$"),
    ({"held_out": ["s0001", "x"]}, r"^held_out: x not in the recording, whose stimuli begin with s0000"),
    ({"regression": "lasso"}, r"^regression: 'lasso'; use one of ridge, pls$"),
    ({"regression": "pls", "alphas": [1.0]}, r"^alphas: given for 'pls'"),
    ({"components": 0}, r"^components: 0; give at least 1$"),
    ({"bootstraps": 5}, r"^bootstraps: 5; give at least 100, or 0"),
    ({"confidence": 95}, r"^confidence: 95; wanted a number between 0 and 1$"),
    ({"ceiling": xr.Dataset({"r": ("neuroid", [1.0])})}, r"^ceiling: has r; give what reliability"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_wrong_numbers_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        encoding.fit(*planted(), **options)
    assert "\n" not in str(caught.value)


def test_times_and_numbers_of_neuroids_that_cannot_be_are_refused() -> None:
    model, brain = planted()
    long = recorded(np.zeros((200, 6, 2)), time=[0.0, 0.1])
    with pytest.raises(ValueError, match=r"^time: has more than one moment; choose one, or average"):
        encoding.fit(model, long)
    with pytest.raises(ValueError, match=r"^predictions: are of 30 neuroids, and the recording has 6; build"):
        encoding.score(model, brain, held_out=0.2)


def test_the_kernel_keeps_strengths_apart_from_the_order_of_rows() -> None:
    x, y = arrays(60, 20)
    rng = np.random.default_rng
    numbers = (np.arange(60).astype(str), np.arange(50), "ridge", np.logspace(-2, 3, 8), None)
    one = _linear_map.fitted(x, y, *numbers, np.arange(50), rng(0))
    other = _linear_map.fitted(x, y, *numbers, rng(1).permutation(50), rng(0))
    np.testing.assert_array_equal(one.alpha, other.alpha)
    assert np.abs(one.latent - other.latent).max() > 1e-3


def test_plot_draws_neuroids_in_order() -> None:
    model, brain = planted(repeats=3)
    found = encoding.fit(model, brain, ceiling=reliability.split_half(brain, bootstraps=10))
    axes = encoding.plot(found).axes[0]
    drawn = next(line for line in axes.lines if line.get_label() == "held-out stimuli")
    np.testing.assert_allclose(drawn.get_ydata(), np.sort(found["r"]))
