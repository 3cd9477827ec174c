"""Model scores: closed forms, laws, equality with scikit-learn, planted truths."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline

from analyses import (
    _maps,
    _ols,
    _one_to_one,
    _pcr,
    _pls,
    _ridge_blocks,
    _ridge_cv,
    _scored,
    predictivity,
    reliability,
)
from analyses._sums import Split


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


def shuffles(rows: int, count: int = 4) -> list[Split]:
    parts = ShuffleSplit(count, test_size=0.1, random_state=1).split(np.zeros(rows))
    return [Split(train, test) for train, test in parts]


def peer(model: object, x: np.ndarray, y: np.ndarray, split: Split) -> np.ndarray:
    return model.fit(x[split.train], y[split.train]).predict(x[split.test]).reshape(len(split.test), -1)


@pytest.mark.parametrize(("rows", "columns"), [(200, 60), (120, 400), (150, 135)])
@pytest.mark.parametrize("noise", [1.0, 1e-4, 0.0])
def test_pls_predicts_what_scikit_learn_predicts(rows: int, columns: int, noise: float) -> None:
    x, y = cells(rows, columns, noise=noise)
    splits = shuffles(rows)
    for split, found in zip(splits, _pls.predict(x - x.mean(axis=0), y, splits, 14), strict=True):
        np.testing.assert_allclose(found, peer(PLSRegression(14, scale=False), x, y, split), atol=1e-8)


def test_pls_of_one_neuroid_and_of_one_that_does_not_vary() -> None:
    x, y = cells()
    splits = shuffles(len(x), 2)
    centred = x - x.mean(axis=0)
    for split, found in zip(splits, _pls.predict(centred, y[:, :1], splits, 5), strict=True):
        np.testing.assert_allclose(found, peer(PLSRegression(5, scale=False), x, y[:, :1], split), atol=1e-9)
    dead = np.concatenate([np.full((len(y), 1), 5.3), y], axis=1)
    for split, found in zip(splits, _pls.predict(centred, dead - dead.mean(axis=0), splits, 5), strict=True):
        expected = peer(PLSRegression(5, scale=False), x, y, split)
        np.testing.assert_allclose(found[:, 1:] + y.mean(axis=0), expected, atol=1e-9)
        np.testing.assert_allclose(found[:, 0], 0, atol=1e-12)


@pytest.mark.parametrize("columns", [60, 400])
def test_ridge_and_least_squares_predict_what_scikit_learn_predicts(columns: int) -> None:
    x, y = cells(columns=columns)
    splits = shuffles(len(x))
    shape = _ridge_cv.space(x - x.mean(axis=0))
    assert shape.dual == (columns > len(x))
    for split, ridge, plain in zip(
        splits, _ridge_cv.fixed(shape, y, splits, 3.0), _ols.predict(x, y, splits), strict=True
    ):
        np.testing.assert_allclose(ridge, peer(Ridge(3.0), x, y, split), atol=1e-10)
        inside, middle = x[split.train].mean(axis=0), y[split.train].mean(axis=0)
        weights = np.linalg.pinv(x[split.train] - inside, rcond=1e-10) @ (y[split.train] - middle)
        np.testing.assert_allclose(plain, middle + (x[split.test] - inside) @ weights, atol=1e-10)
        if (
            not shape.dual
        ):  # else the peer's singular value of rounding moves its predictions with the row order
            np.testing.assert_allclose(plain, peer(LinearRegression(), x, y, split), atol=1e-10)


def test_least_squares_of_features_that_repeat_each_other() -> None:
    x, y = cells(columns=20)
    x = np.concatenate([x, x[:, :5] + x[:, 5:10]], axis=1)
    splits = shuffles(len(x), 2)
    for split, found, alone in zip(
        splits, _ols.predict(x, y, splits), _ols.predict(x[:, :20], y, splits), strict=True
    ):
        np.testing.assert_allclose(found, alone, atol=1e-10)
        np.testing.assert_allclose(alone, peer(LinearRegression(), x[:, :20], y, split), atol=1e-10)


@pytest.mark.parametrize("columns", [60, 400])
def test_leaving_one_out_chooses_what_scikit_learn_chooses(columns: int) -> None:
    x, y = cells(columns=columns)
    alphas = np.array(_maps.BRAINSCORE)
    shape = _ridge_cv.space(x - x.mean(axis=0))
    for split in shuffles(len(x)):
        model = RidgeCV(alphas)
        expected = peer(model, x, y, split)
        found, loss = _ridge_cv.left_one_out(shape, y, split, alphas)
        assert alphas[loss.argmin()] == model.alpha_
        assert loss.min() == pytest.approx(-model.best_score_, rel=1e-10)
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("columns", [60, 400])
def test_strengths_inside_folds_are_those_of_least_error(columns: int) -> None:
    x, y = cells(columns=columns)
    alphas, (split,) = np.logspace(-2, 4, 9), shuffles(len(x), 1)
    inner = [Split(split.train[a], split.train[b]) for a, b in KFold(5).split(split.train)]
    (found,), (places,) = _ridge_cv.chosen(_ridge_cv.space(x - x.mean(axis=0)), y, [split], [inner], alphas)
    errors = np.array([
        sum(((peer(Ridge(alpha), x, y, part) - y[part.test]) ** 2).mean(axis=0) for part in inner)
        for alpha in alphas
    ])  # fmt: skip
    np.testing.assert_array_equal(places, errors.argmin(axis=0))
    for neuroid, place in enumerate(places):
        expected = peer(Ridge(alphas[place]), x, y, split)[:, neuroid]
        np.testing.assert_allclose(found[:, neuroid], expected, atol=1e-9)


def test_blocks_left_out_err_as_fits_without_them_do() -> None:
    """Strengths that are not tried, as a bound allows, are never the best."""
    x, y = cells(columns=400)
    x -= x.mean(axis=0)
    alphas = np.logspace(-2, 8, 11)
    parts = [Split(*sides) for sides in KFold(4, shuffle=True, random_state=0).split(x)]
    expected = np.array([
        sum(((peer(Ridge(alpha), x, y, part) - y[part.test]) ** 2).mean(axis=0) for part in parts)
        for alpha in alphas
    ])  # fmt: skip
    size, vectors = np.linalg.eigh(x @ x.T)
    cross = vectors.T @ (y - y.mean(axis=0))
    found = _ridge_blocks.errors(size, vectors, cross, [part.test for part in parts], alphas)
    tried = np.isfinite(found)
    assert 0.2 < tried.mean() < 1
    np.testing.assert_allclose(found[tried], expected[tried], rtol=1e-9)
    assert (np.where(tried, np.inf, expected) > expected.min(axis=0)).all()


def test_one_to_one_takes_the_feature_that_correlates_most() -> None:
    x, y = cells(neuroids=7)
    x[:, 3] = 1.5  # never varies
    splits = shuffles(len(x))
    for split, found in zip(splits, _one_to_one.predict(x, y, splits), strict=True):
        with np.errstate(invalid="ignore"):
            r = np.corrcoef(np.concatenate([x, y], axis=1)[split.train].T)[60:, :60]
        np.testing.assert_array_equal(found, x[np.ix_(split.test, np.nanargmax(r, axis=1))])


def test_correlations_and_their_draws_in_closed_form() -> None:
    x, y = cells(rows=40, columns=6, neuroids=6)
    r = _scored.pearson(x, y)
    np.testing.assert_allclose(r, [np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True)])
    drawn = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), 3)
    for row, counts in zip(_scored.weighted(x, y, drawn.astype(float)), drawn, strict=True):
        np.testing.assert_allclose(row, _scored.pearson(np.repeat(x, counts, 0), np.repeat(y, counts, 0)))
    assert np.isnan(_scored.pearson(np.full((5, 1), 0.1), y[:5, :1])).all()
    some = np.array([[1.0, np.nan, 3.0, 2.0], [np.nan] * 4, [4.0, 4.0, np.nan, 1.0]])
    np.testing.assert_array_equal(_scored.median(some, 1), [2.0, np.nan, 4.0])


def test_a_planted_linear_map_is_found_and_shuffled_stimuli_are_not() -> None:
    x, _ = cells(rows=300, columns=20)
    rng = np.random.default_rng(1)
    brain = recorded(x @ rng.normal(size=(20, 30)))
    for regression in ("ridge", "pls", "linear", "ridge-gcv", "kernel-ridge"):
        found = predictivity.score(recorded(x), brain, regression=regression, components=20, bootstraps=0)
        assert found.attrs["score"] > 0.999
    null = predictivity.score(recorded(x), brain, shuffled=True)
    assert abs(null.attrs["score"]) < 0.08
    assert null.attrs["score_low"] < 0.02
    assert null.attrs["shuffled"] == 1


def test_v22_order_does_not_matter_and_a_shift_by_one_does() -> None:
    x, y = cells(noise=0.3)
    model, brain = recorded(x), recorded(y)
    order = np.random.default_rng(3).permutation(len(x))
    plain = predictivity.score(model, brain, bootstraps=0)
    moved = predictivity.score(model.isel(presentation=order), brain, bootstraps=0)
    np.testing.assert_allclose(plain["r"], moved["r"], atol=1e-9)
    shifted = model.assign_coords(stimulus_id=("presentation", np.roll(model["stimulus_id"].values, 1)))
    assert predictivity.score(shifted, brain, bootstraps=0).attrs["score"] < 0.2 < plain.attrs["score"]
    with pytest.raises(ValueError, match="3 of 200 stimuli of the recording have no features"):
        predictivity.score(model.isel(presentation=slice(3, None)), brain)


def test_repeats_are_averaged_and_units_of_features_do_not_matter_to_pls() -> None:
    x, y = cells()
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(3, *y.shape))
    repeated = recorded((y + noise - noise.mean(axis=0)).reshape(-1, y.shape[1])).assign_coords(
        stimulus_id=("presentation", np.tile(recorded(y)["stimulus_id"].values, 3))
    )
    once, often = (
        predictivity.score(recorded(x), brain, regression="pls", components=5, bootstraps=0)
        for brain in (recorded(y), repeated)
    )
    np.testing.assert_allclose(once["r"], often["r"], atol=1e-9)
    assert often.attrs["repeats"] == "3"
    scaled = predictivity.score(
        recorded(1e-12 * x), recorded(1e3 * y), regression="pls", components=5, bootstraps=0
    )
    np.testing.assert_allclose(once["r"], scaled["r"], atol=1e-6)


def test_pictures_of_equal_content_stay_on_one_side() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50, 60))  # what is shown says nothing of the responses
    content = ("presentation", np.repeat(np.arange(50), 2).astype(str))
    twins, brain = recorded(np.repeat(x, 2, axis=0), content=content), recorded(np.repeat(y, 2, axis=0))
    apart = predictivity.score(twins, brain, regression="linear", bootstraps=0)
    assert abs(apart.attrs["score"]) < 0.15
    assert apart.attrs["kept_apart"] == "content"
    together = predictivity.score(twins.drop_vars("content"), brain, regression="linear", bootstraps=0)
    assert together.attrs["score"] > 0.5


def test_times_are_mapped_each_by_itself() -> None:
    x, y = cells()
    brain = recorded(np.stack([y, y[::-1], 2 * y + 1], axis=2))
    for regression in ("ridge", "pls", "one-to-one"):
        options = {"regression": regression, "components": 5, "bootstraps": 0}
        found = predictivity.score(recorded(x), brain, **options)
        assert found["r"].dims == ("fold", "neuroid", "time")
        for moment in range(3):
            alone = predictivity.score(recorded(x), brain.isel(time=moment, drop=True), **options)
            np.testing.assert_allclose(found["r"][..., moment], alone["r"], atol=1e-9)
            assert float(found["score"][moment]) == pytest.approx(alone.attrs["score"])
    model = recorded(np.stack([x, x[::-1], x], axis=2))
    moving = predictivity.score(model, brain, regression="linear", bootstraps=0)
    np.testing.assert_allclose(moving["r"][..., 0], moving["r"][..., 2], atol=1e-9)
    with pytest.raises(ValueError, match="not those of the recording"):
        predictivity.score(model.isel(time=slice(0, 2)), brain)


def test_v19_a_perfect_model_reaches_its_ceiling() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(800, 20))
    shown = ("presentation", np.tile([f"s{k:04d}" for k in range(800)], 6))
    trials = (truth + rng.normal(size=(6, 800, 20))).reshape(-1, 20)
    brain = recorded(trials).assign_coords(stimulus_id=shown)
    limit = reliability.split_half(brain, splits=20, bootstraps=100)
    found = predictivity.score(recorded(truth), brain, regression="linear", ceiling=limit)
    assert found.attrs["score"] == pytest.approx(np.sqrt(1 / (1 + 1 / 6)), abs=0.01)
    assert found.attrs["normalized_score"] == pytest.approx(1, abs=0.01)
    assert found.attrs["normalized_score_low"] < 1 < found.attrs["normalized_score_high"] + 0.01
    assert found.attrs["above_ceiling"] > 0
    assert "lie above their ceilings" in found.attrs["remark"]
    low = limit.assign(reliability=limit["reliability"] * 0 + 0.01)
    assert predictivity.score(recorded(truth), brain, ceiling=low).attrs["above_ceiling"] == 20
    with pytest.raises(ValueError, match="ceiling: lacks n019"):
        predictivity.score(recorded(truth), brain, ceiling=limit.isel(neuroid=slice(0, 19)))


def test_intervals_hold_the_score_and_pairs_are_closer_than_two_alone() -> None:
    x, y = cells(rows=300, neuroids=20)
    brain = recorded(y)
    whole, half = (predictivity.score(recorded(part), brain) for part in (x, x[:, :12]))
    assert whole.attrs["score_low"] < whole.attrs["score"] < whole.attrs["score_high"]
    gap = predictivity.compare(whole, half)
    width = gap.attrs["difference_high"] - gap.attrs["difference_low"]
    assert gap.attrs["difference_low"] > 0
    assert (
        width
        < whole.attrs["score_high"]
        - whole.attrs["score_low"]
        + half.attrs["score_high"]
        - half.attrs["score_low"]
    )
    with pytest.raises(ValueError, match="second: was not drawn with the first"):
        predictivity.compare(whole, predictivity.score(recorded(x), brain, seed=1))
    again = predictivity.score(recorded(x), brain)
    xr.testing.assert_identical(whole, again)


def test_wrong_words_and_numbers_are_named() -> None:
    x, y = cells()
    model, brain = recorded(x), recorded(y)
    for wrong, message in (
        ({"regression": "lasso"}, "regression: 'lasso'"), ({"splits": "loo"}, "splits: 'loo'"),
        ({"splits": 1}, "splits: 1 folds"), ({"alphas": [-1.0]}, "alphas"),
        ({"components": 0}, "components: 0"),
        ({"regression": "pls", "alphas": [1.0]}, "alphas: given for 'pls'"),
        ({"bootstraps": 3}, "bootstraps: 3"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            predictivity.score(model, brain, **wrong)
    with pytest.raises(ValueError, match="recording: stimulus s0005, neuroid n002 has no number"):
        predictivity.score(
            model,
            recorded(np.where(np.arange(12) == 2, np.where(np.arange(200)[:, None] == 5, np.nan, y), y)),
        )
    with pytest.raises(ValueError, match="metric: 'rdm'"):
        predictivity.brainscore(model, brain, metric="rdm")
    sides = {side: (("fold", "stimulus"), np.ones((1, 200), bool)) for side in ("train", "test")}
    folds = xr.Dataset(sides, {"stimulus_id": ("stimulus", model["stimulus_id"].values)})
    with pytest.raises(ValueError, match="trains and tests on s0000"):
        predictivity.score(model, brain, splits=folds)


def test_plots_show_scores_ceilings_and_times() -> None:
    x, y = cells()
    still = predictivity.score(recorded(x), recorded(y), bootstraps=100)
    figure = predictivity.plot(still)
    assert figure.axes[0].get_xlabel() == "Pearson correlation, held-out stimuli"
    moving = predictivity.score(
        recorded(x), recorded(np.stack([y, y], axis=2)), bootstraps=100, regression="linear"
    )
    assert predictivity.plot(moving).axes[0].get_xlabel() == "time from stimulus onset (s)"
    assert predictivity.plot(predictivity.compare(still, still)).axes


@pytest.mark.parametrize("columns", [40, 400])
def test_principal_components_predict_what_scikit_learn_predicts(columns: int) -> None:
    x, y = cells(columns=columns)
    splits = shuffles(len(x))
    model = make_pipeline(PCA(9), LinearRegression())
    for split, found in zip(splits, _pcr.predict(x - x.mean(axis=0), y, splits, 9), strict=True):
        np.testing.assert_allclose(found, peer(model, x, y, split), atol=1e-9)


def layered(
    seed: int, layers: int, informative: int | None, rows: int = 120
) -> tuple[xr.Dataset, xr.Dataset]:
    """Layers of noise, one of which may hold what drives the neurons."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(rows, 6))
    parts = [rng.normal(size=(rows, 6)) for _ in range(layers)]
    if informative is not None:
        parts[informative] = latent + 0.3 * parts[informative]
    names = np.repeat([f"layer{k:02d}" for k in range(layers)], 6)
    y = latent @ rng.normal(size=(6, 10)) + rng.normal(size=(rows, 10))
    return recorded(np.concatenate(parts, axis=1), layer=("neuroid", names)), recorded(y)


def test_v23_the_layer_is_chosen_without_the_stimuli_that_score_it() -> None:
    nested, naive = [], []
    for seed in range(12):
        found = predictivity.layers(*layered(seed, 20, None), alphas=[10.0], bootstraps=0)
        nested.append(found.attrs["score"])
        naive.append(found.attrs["naive"])
    assert abs(np.mean(nested)) < 2.5 * np.std(nested, ddof=1) / np.sqrt(12)
    assert np.mean(naive) > 4 * np.std(naive, ddof=1) / np.sqrt(12)


def test_v23_the_informative_layer_is_found_and_scored_as_if_alone() -> None:
    model, brain = layered(0, 6, 4)
    found = predictivity.layers(model, brain, bootstraps=100)
    assert found.attrs["layer"] == "layer04"
    assert (found["chosen"].values == "layer04").all()
    alone = predictivity.score(model.isel(neuroid=model["layer"].values == "layer04"), brain, bootstraps=100)
    for name in ("r", "score", "score_low", "resampled"):
        np.testing.assert_allclose(found[name].values, alone[name].values, atol=1e-12)
    place = list(found["layer"].values).index("layer04")
    assert float(found["layer_score"][place]) == pytest.approx(found.attrs["naive"])
    assert float(found["layer_score"][place]) == pytest.approx(alone.attrs["score"])


def test_v23_each_region_has_its_own_layer() -> None:
    model, brain = layered(1, 4, 1)
    other = layered(2, 4, 3)
    rows = [part["response"].values for part in (model, other[0])]
    mixed = np.concatenate([rows[0][:, :18], rows[1][:, 18:]], axis=1)
    both = np.concatenate([brain["response"].values, other[1]["response"].values], axis=1)
    region = ("neuroid", np.repeat(["V4", "IT"], 10))
    found = predictivity.layers(
        recorded(mixed, layer=("neuroid", model["layer"].values)), recorded(both, region=region), bootstraps=0
    )
    assert (found["chosen"].values[:, :10] == "layer01").all()
    assert (found["chosen"].values[:, 10:] == "layer03").all()


def test_layers_without_names_are_refused() -> None:
    model, brain = layered(0, 2, 0)
    with pytest.raises(ValueError, match="have no layer"):
        predictivity.layers(model.drop_vars("layer"), brain)
