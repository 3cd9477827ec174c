"""RDMs, their comparison and inference, CKA, CCA: closed forms, laws, peers, planted truth, real data."""

from __future__ import annotations

import sys
import warnings
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import kendalltau, rankdata, spearmanr

from analyses import _cka, _rdm_inference, _rdm_kernels, similarity
from loaders import ephys, rdms, synthetic

LINEAR = [measure for measure in _rdm_kernels.MEASURES if measure not in ("spearman", "kendall")]


def recorded(response: np.ndarray, stimulus: list[str] | np.ndarray, **coords: np.ndarray) -> xr.Dataset:
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    held: dict = {"stimulus_id": ("presentation", np.asarray(stimulus, str))}
    held |= {name: ("presentation", values) for name, values in coords.items()}
    held["neuroid_id"] = ("neuroid", np.char.mod("n%d", np.arange(response.shape[1])))
    if response.ndim == 3:
        held["time"] = np.arange(response.shape[2]) * 0.01
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, held)


def noisy(
    conditions: int = 12,
    repeats: int = 4,
    neuroids: int = 30,
    times: int = 3,
    signal: float = 1.0,
    seed: int = 0,
) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    patterns = signal * rng.normal(size=(conditions, neuroids, times))
    stimulus, run = np.repeat(np.arange(conditions), repeats), np.tile(np.arange(repeats), conditions)
    order = rng.permutation(stimulus.size)
    response = patterns[stimulus] + rng.normal(size=(stimulus.size, neuroids, times))
    return recorded(response[order], np.char.mod("c%02d", stimulus[order]), run=run[order])


def matrix(array: np.ndarray, model: str = "model") -> xr.Dataset:
    """array (..., n, n) as an RDM, with the leading dim `model` where it has one."""
    names = np.char.mod("c%02d", np.arange(array.shape[-1]))
    dims = ("condition", "other_condition") if array.ndim == 2 else (model, "condition", "other_condition")
    coords: dict = {"condition": names, "other_condition": names}
    if array.ndim == 3:
        coords[model] = np.char.mod("m%d", np.arange(len(array)))
    return xr.Dataset({"dissimilarity": (dims, array, {"units": "1"})}, coords)


def distances(count: int, conditions: int, seed: int = 0) -> np.ndarray:
    patterns = np.random.default_rng(seed).normal(size=(count, conditions, 10))
    return np.asarray(_rdm_kernels.euclidean(patterns) * (1 - np.eye(conditions)))


@pytest.fixture(scope="module")
def rsatoolbox() -> ModuleType:
    """The peer; its plots, which nothing here needs, want a newer scikit-learn than Brain-Score allows."""
    from sklearn.utils import validation

    if not hasattr(validation, "validate_data"):
        validation.validate_data = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("rsatoolbox")


def test_rdm_of_three_patterns_in_closed_form() -> None:
    recording = recorded(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [1.0, 3.0, 2.0]]), ["b", "a", "c"])
    found = similarity.rdm(recording, distance="correlation")["dissimilarity"]
    assert found["condition"].values.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found, [[0, 2, 1.5], [2, 0, 0.5], [1.5, 0.5, 0]], atol=1e-15)
    squared = similarity.rdm(recording, distance="euclidean")["dissimilarity"]
    np.testing.assert_allclose(squared[0], [0, 8 / 3, 6 / 3], atol=1e-14)


def test_crossnobis_is_the_mean_over_pairs_of_folds() -> None:
    recording = noisy(conditions=5, repeats=3, times=1)
    found = similarity.rdm(recording, noise="none")["dissimilarity"].values[..., 0]
    ordered = recording.sortby(["stimulus_id", "run"])["response"].values[..., 0].reshape(5, 3, 30)
    expected = np.zeros((5, 5))
    for i, j in combinations(range(5), 2):
        differ = ordered[i] - ordered[j]
        parts = [differ[k] @ differ[m] / 30 for k in range(3) for m in range(3) if k != m]
        expected[i, j] = expected[j, i] = np.mean(parts)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_v24_crossnobis_has_mean_0_without_signal_and_the_biased_one_does_not() -> None:
    for noise in ("none", "diagonal", "shrunk"):
        found = similarity.rdm(noisy(signal=0.0, conditions=20, neuroids=50, times=20), noise=noise)
        courses = found["dissimilarity"].values[np.triu_indices(20, 1)].mean(axis=0)
        assert abs(courses.mean()) < 4 * courses.std(ddof=1) / np.sqrt(20)
    biased = similarity.rdm(noisy(signal=0.0, conditions=20, neuroids=50, times=20), distance="euclidean")
    assert float(biased["dissimilarity"].mean()) > 0.4


def test_v24_crossnobis_grows_with_signal_as_planted() -> None:
    patterns = np.random.default_rng(0).normal(size=(12, 400))
    planted = _rdm_kernels.euclidean(patterns)[np.triu_indices(12, 1)].mean()
    found = similarity.rdm(noisy(neuroids=400, times=4, repeats=6), noise="diagonal")
    off = found["dissimilarity"].values[np.triu_indices(12, 1)].mean()
    assert off == pytest.approx(planted, rel=0.1)


def test_uneven_folds_equal_even_ones_where_they_are_even() -> None:
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 6, 4, 9))
    even = _rdm_kernels.crossnobis(parts)
    np.testing.assert_allclose(_rdm_kernels.crossnobis_folds(parts, np.ones((4, 6))), even, atol=1e-14)


def test_f33_uneven_folds_have_mean_0_without_signal() -> None:
    rng = np.random.default_rng(0)
    recording = noisy(signal=0.0, conditions=15, repeats=6, neuroids=40, times=30)
    kept = rng.random(recording.sizes["presentation"]) < 0.7
    found = similarity.rdm(recording.isel(presentation=np.flatnonzero(kept)), noise="none")
    courses = found["dissimilarity"].values[np.triu_indices(15, 1)].mean(axis=0)
    assert abs(courses.mean()) < 4 * courses.std(ddof=1) / np.sqrt(30)


def test_whitening_makes_crossnobis_blind_to_units_and_mixtures() -> None:
    recording = noisy(repeats=200, neuroids=6, conditions=6)
    mixing = np.random.default_rng(1).normal(size=(6, 6)) + 3 * np.eye(6)
    mixed = recording.copy(deep=True)
    mixed["response"].values[:] = np.einsum("pnt,nm->pmt", recording["response"].values, mixing)
    plain, turned = (
        similarity.rdm(part, noise="shrunk")["dissimilarity"].values for part in (recording, mixed)
    )
    np.testing.assert_allclose(turned, plain, rtol=0.1, atol=0.02)
    scaled = recording.copy(deep=True)
    scaled["response"].values[:] *= np.array([1e-13, 1, 5, 1e6, 2, 3])[:, None]
    diagonal = [similarity.rdm(part, noise="diagonal")["dissimilarity"] for part in (recording, scaled)]
    np.testing.assert_allclose(*diagonal, rtol=1e-9)


def test_neuroids_without_noise_are_left_out() -> None:
    recording = noisy()
    silent = recording.copy(deep=True)
    silent["response"].values[:, 0] = 5.0
    for noise in ("diagonal", "shrunk"):
        kept = similarity.rdm(recording.isel(neuroid=slice(1, None)), noise=noise)["dissimilarity"]
        np.testing.assert_allclose(similarity.rdm(silent, noise=noise)["dissimilarity"], kept, atol=1e-10)


def test_a_pseudo_population_is_not_decorrelated() -> None:
    recording = noisy()
    assert similarity.rdm(recording).attrs["noise"] == "shrunk"
    assert similarity.rdm(recording.assign_attrs(simultaneous=0)).attrs["noise"] == "diagonal"


def test_chunked_equals_eager_and_each_time_stands_alone() -> None:
    recording = noisy(times=7)
    for distance in similarity.DISTANCES:
        eager = similarity.rdm(recording, distance=distance)["dissimilarity"]
        lazy = similarity.rdm(recording.chunk({"time": 2}), distance=distance)["dissimilarity"]
        np.testing.assert_array_equal(eager, lazy)
        alone = similarity.rdm(recording.isel(time=4), distance=distance)["dissimilarity"]
        assert alone.dims == ("condition", "other_condition")
        np.testing.assert_allclose(eager.isel(time=4), alone, rtol=0, atol=1e-12)


def test_blocks_of_times_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = noisy(times=7)
    whole = similarity.rdm(recording)
    monkeypatch.setattr("analyses._conditions.NUMBERS", 1)
    np.testing.assert_allclose(similarity.rdm(recording)["dissimilarity"], whole["dissimilarity"], atol=1e-13)


def test_v22_order_does_not_matter_and_other_conditions_are_refused() -> None:
    recording = noisy()
    models = (
        similarity.rdm(noisy(seed=1), distance="euclidean").isel(time=0, drop=True).expand_dims(model=["a"])
    )
    data = similarity.rdm(recording)
    found = similarity.compare(data, models)
    shuffled = models.isel(condition=np.random.default_rng(0).permutation(12))
    np.testing.assert_allclose(
        similarity.compare(data, shuffled)["similarity"], found["similarity"], atol=1e-14
    )
    with pytest.raises(ValueError, match=r"condition: 1 stand in the first only"):
        similarity.compare(data, models.isel(condition=slice(1, None)))


def test_labels_make_models_and_plain_numbers_distances() -> None:
    recording = recorded(
        np.zeros((4, 2)), ["a", "b", "a", "c"], kind=np.array(["x", "y", "x", "y"]), size=[1, 2, 1, 5]
    )
    found = similarity.labels(recording, ["kind", "size"])["dissimilarity"]
    assert found.dims == ("model", "condition", "other_condition")
    assert found.sel({"model": "kind"}).values.tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert found.sel({"model": "size"}).values.tolist() == [[0, 1, 4], [1, 0, 3], [4, 3, 0]]
    carried = similarity.rdm(recording, distance="euclidean")
    np.testing.assert_array_equal(similarity.labels(carried, ["kind", "size"])["dissimilarity"], found)
    with pytest.raises(ValueError, match=r"^names: 'kind' varies"):
        similarity.labels(recording.assign_coords(kind=("presentation", ["x", "y", "z", "y"])), ["kind"])


@pytest.mark.parametrize("measure", _rdm_kernels.MEASURES)
def test_a_matrix_is_like_itself_whatever_its_scale(measure: str) -> None:
    whole = distances(3, 9)
    found = similarity.compare(matrix(whole, "subject"), matrix(3 * whole), measure=measure)[
        "similarity"
    ].values
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-12)
    assert (found <= 1 + 1e-12).all()


def test_measures_are_scipys() -> None:
    data, models = distances(2, 10), np.round(distances(3, 10, seed=1))
    upper = np.triu_indices(10, 1)
    for measure, peer in (("pearson", np.corrcoef), ("spearman", None)):
        found = similarity.compare(matrix(data, "subject"), matrix(models), measure=measure)[
            "similarity"
        ].values
        for i, model in enumerate(models[:, *upper]):
            for j, vector in enumerate(data[:, *upper]):
                expected = peer(model, vector)[0, 1] if peer else spearmanr(model, vector)[0]
                assert found[i, j] == pytest.approx(expected, abs=1e-14)
    # tau-a by counting
    x, y = models[0][upper], data[0][upper]
    sign = [np.sign(x[a] - x[b]) * np.sign(y[a] - y[b]) for a, b in combinations(range(x.size), 2)]
    assert _rdm_inference.kendall(x, y) == pytest.approx(np.mean(sign), abs=1e-15)
    assert _rdm_inference.kendall(y, y + 1) == pytest.approx(kendalltau(y, y)[0])


def test_v24_asymmetric_matrices_are_compared_in_both_triangles() -> None:
    rng = np.random.default_rng(0)
    one, two = (rng.random((2, 8, 8)) * (1 - np.eye(8)) for _ in range(2))
    off = ~np.eye(8, dtype=bool)
    found = similarity.compare(matrix(one, "subject"), matrix(two), measure="pearson")
    assert found["similarity"].values[0, 0] == pytest.approx(
        np.corrcoef(two[0][off], one[0][off])[0, 1], abs=1e-14
    )
    assert found.attrs["pairs"] == 56
    with pytest.raises(ValueError, match=r"^measure: 'whitened' is defined for symmetric"):
        similarity.compare(matrix(one, "subject"), matrix(two), measure="whitened")


@pytest.mark.parametrize("size", [50, 30_000])
def test_ranks_are_scipys_for_ties_outliers_and_tiny_differences(size: int) -> None:
    rng = np.random.default_rng(0)
    close = 1 + rng.integers(0, 50, size) * 2.0**-50
    close[0] = 1e12
    wide = np.exp(20 * rng.normal(size=size))
    for values in (rng.random(size), rng.integers(0, 9, size) / 7, close, wide, np.ones(size), -wide):
        np.testing.assert_array_equal(_rdm_kernels.ranks(values), rankdata(values))


@pytest.mark.parametrize("distance", ["correlation", "euclidean", "crossnobis"])
def test_rdms_on_torch_are_the_same_with_gradients(distance: str) -> None:
    patterns = np.random.default_rng(0).normal(size=(2, 3, 8, 10))
    kernel = getattr(_rdm_kernels, distance)
    tensor = torch.tensor(patterns, requires_grad=True)
    found = kernel(tensor)
    np.testing.assert_allclose(found.detach().numpy(), kernel(patterns), atol=1e-13)
    small = torch.tensor(patterns[:1, :2, :4, :3], requires_grad=True)
    assert torch.autograd.gradcheck(kernel, (small,))
    found.sum().backward()
    assert tensor.grad is not None


@pytest.mark.parametrize("measure", LINEAR)
def test_similarity_of_rdms_on_torch_has_a_gradient(measure: str) -> None:
    brain = torch.tensor(distances(1, 6)[0])

    def score(features: torch.Tensor) -> torch.Tensor:
        model = _rdm_kernels.correlation(features)
        return _rdm_kernels.unit(model, measure) @ _rdm_kernels.unit(brain, measure)

    features = torch.tensor(np.random.default_rng(0).normal(size=(6, 5)), requires_grad=True)
    assert torch.autograd.gradcheck(score, (features,))
    with pytest.raises(ValueError, match="no gradient"):
        _rdm_kernels.unit(brain, "spearman")


def test_training_on_the_score_raises_the_score() -> None:
    brain = torch.tensor(distances(1, 12)[0])
    features = torch.tensor(np.random.default_rng(1).normal(size=(12, 8)), requires_grad=True)
    search = torch.optim.Adam([features], lr=0.05)
    scores = []
    for _ in range(60):
        score = _rdm_kernels.unit(_rdm_kernels.correlation(features), "pearson") @ _rdm_kernels.unit(
            brain, "pearson"
        )
        search.zero_grad()
        (-score).backward()
        search.step()
        scores.append(score.item())
    assert scores[-1] > scores[0] + 0.4


def test_cka_in_closed_form_and_on_torch() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 20, 6)), rng.normal(size=(3, 20, 90))
    for debiased in (True, False):
        found = _cka.cka(x, y, debiased)
        tensor = torch.tensor(x, requires_grad=True)
        again = _cka.cka(tensor, torch.tensor(y), debiased)
        np.testing.assert_allclose(again.detach().numpy(), found, atol=1e-14)
        again.sum().backward()
        assert torch.isfinite(tensor.grad).all()
        np.testing.assert_allclose(_cka.cka(x, x, debiased), 1, atol=1e-9)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(_cka.cka(x, 3 * x @ rotation + 2, False), 1, atol=1e-12)


def test_v24_debiased_cka_has_mean_0_and_plain_has_not() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 20, 50)), rng.normal(size=(200, 20, 50))
    debiased = _cka.cka(x, y, True)
    assert abs(debiased.mean()) < 4 * debiased.std() / np.sqrt(200)
    assert _cka.cka(x, y, False).mean() > 0.5


def test_cka_joins_stimuli_over_time() -> None:
    recording, other = noisy(times=4), noisy(times=1, seed=0).isel(time=0)
    found = similarity.cka(recording, other, permutations=40)
    assert found["cka"].dims == ("time",)
    assert found["null"].dims == ("permutation", "time")
    shuffled = other.isel(presentation=np.random.default_rng(0).permutation(48))
    np.testing.assert_allclose(similarity.cka(recording, shuffled)["cka"], found["cka"], atol=1e-12)
    same = similarity.cka(recording, recording)["cka"]
    np.testing.assert_allclose(same, 1, atol=1e-9)
    with pytest.raises(ValueError, match=r"^stimulus_id: "):
        similarity.cka(recording, other.isel(presentation=other["stimulus_id"].values != "c00"))


def test_canonical_correlations_of_shared_directions() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(60, 6)))[0]
    basis -= basis.mean(axis=0)
    x, y = basis[:, :3], np.concatenate([basis[:, :2] + 0 * basis[:, 3:5], basis[:, 3:4]], axis=1)
    found = _cka.canonical(x @ rng.normal(size=(3, 3)), y @ rng.normal(size=(3, 3)))
    np.testing.assert_allclose(found[:2], 1, atol=1e-9)
    assert found[2] < 0.3
    tensor = torch.tensor(x, requires_grad=True)
    _cka.canonical(tensor, torch.tensor(y)).sum().backward()
    assert torch.isfinite(tensor.grad).all()


def test_canonical_correlations_are_scikit_learns() -> None:
    from sklearn.cross_decomposition import CCA

    rng = np.random.default_rng(0)
    shared = rng.normal(size=(200, 2))
    x = np.hstack([shared, rng.normal(size=(200, 2))])
    y = np.hstack([shared + 0.5 * rng.normal(size=(200, 2)), rng.normal(size=(200, 1))])
    peer = CCA(2, max_iter=5000, tol=1e-12).fit(x, y)
    left, right = peer.transform(x, y)
    expected = [np.corrcoef(left[:, k], right[:, k])[0, 1] for k in range(2)]
    np.testing.assert_allclose(_cka.canonical(x, y)[:2], expected, atol=1e-6)


def test_cca_says_what_chance_is_and_refuses_to_be_perfect() -> None:
    unrelated = [noisy(conditions=60, neuroids=8, times=1, seed=seed) for seed in (0, 1)]
    found = similarity.cca(*unrelated, variance=0.9, permutations=60)
    assert 0.1 < found.attrs["chance"] < 0.6
    assert float(found["cca"][0]) < found["null"].values.max()
    same = similarity.cca(unrelated[0], unrelated[0], variance=0.9, permutations=60)
    assert float(same["cca"][0]) == pytest.approx(1)
    assert float(same["p_uncorrected"][0]) == pytest.approx(1 / 61)
    with pytest.raises(ValueError, match=r"^variance: "):
        similarity.cca(noisy(), noisy(seed=1), variance=None)


def test_resampled_stimuli_are_those_of_a_repeated_matrix() -> None:
    models, data = distances(3, 9), distances(2, 9, seed=1) + np.round(distances(2, 9, seed=2))
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 9, (4, 9))
    drawn = np.array([np.bincount(row, minlength=9) for row in chosen])
    for measure, peer in (("pearson", np.corrcoef), ("spearman", None), ("kendall", _rdm_inference.kendall)):
        found = _rdm_inference.resampled(models, data, measure, drawn)
        for b, row in enumerate(chosen):
            i, j = np.triu_indices(9, 1)
            apart = row[i] != row[j]
            i, j = row[i][apart], row[j][apart]
            x, y = models[1, i, j], data[0, i, j]
            expected = spearmanr(x, y)[0] if peer is None else peer(x, y)
            expected = expected[0, 1] if np.ndim(expected) else expected
            assert found.models[b, 1, 0] == pytest.approx(expected, abs=1e-12)


def test_the_ceiling_is_that_of_averaged_unit_vectors() -> None:
    data = distances(4, 8) + distances(1, 8, seed=3)
    unit = _rdm_kernels.unit(data, "pearson")
    mean = unit.sum(axis=0)
    upper = np.mean([np.corrcoef(mean, u)[0, 1] for u in unit])
    lower = np.mean([np.corrcoef(mean - u, u)[0, 1] for u in unit])
    np.testing.assert_allclose(_rdm_inference.ceiling(unit @ unit.T), [lower, upper], atol=1e-14)


def test_v24_inference_below_ten_conditions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^condition: 9 conditions; inference over stimuli needs 10"):
        similarity.inference(matrix(distances(1, 9)[0]), matrix(distances(2, 9)))


def planted(
    seed: int, strength: float, conditions: int = 14, subjects: int = 6
) -> tuple[xr.Dataset, xr.Dataset]:
    models = distances(2, conditions, seed=1000 + seed)
    noise = distances(subjects, conditions, seed=seed)
    return matrix(strength * models[:1] + noise, "subject"), matrix(models)


def test_inference_finds_the_planted_model_below_its_ceiling() -> None:
    data, models = planted(0, 1.0)
    for measure in ("pearson", "spearman", "cosine"):
        found = similarity.inference(data, models, measure=measure, bootstraps=200, permutations=200)
        one = found.isel(time=0)
        assert one["p"].values[0] == pytest.approx(1 / 201)
        assert (
            one["similarity_low"].values[0] < one["similarity"].values[0] < one["similarity_high"].values[0]
        )
        assert one["ceiling_low"].item() < one["ceiling_high"].item()
        assert one["similarity"].values[0] <= one["ceiling_high"].item()
        plain = similarity.compare(data, models, measure=measure)["similarity"].mean("subject")
        np.testing.assert_allclose(one["similarity"], plain, atol=1e-14)
    assert found["p"].values[1, 0] > 0.05


def test_inference_with_kendall_and_seeds() -> None:
    data, models = planted(0, 1.0, conditions=10, subjects=2)
    numbers = {"measure": "kendall", "bootstraps": 20, "permutations": 20}
    once, again = (similarity.inference(data, models, **numbers) for _ in range(2))
    assert once.identical(again)
    assert float(once["p"][0, 0]) == pytest.approx(1 / 21)


def test_v06_exchange_of_conditions_keeps_its_level() -> None:
    first = []
    for seed in range(120):
        data, models = planted(seed, 0.0, subjects=1)
        found = similarity.inference(
            data, models, measure="spearman", bootstraps=10, permutations=99, seed=seed
        )
        first.append(float(found["p"].min()))
    assert np.mean(np.array(first) <= 0.05) <= 0.12


def test_v31_intervals_cover_the_similarity_in_new_stimuli_and_subjects() -> None:
    rng = np.random.default_rng(0)
    covered = []
    big, size = 400, 25
    everything = rng.normal(size=(big, 6))
    model = _rdm_kernels.euclidean(everything)
    views = [everything @ np.diag(rng.uniform(0.3, 1.7, 6)) for _ in range(400)]
    upper = np.triu_indices(big, 1)
    truth = np.mean([np.corrcoef(_rdm_kernels.euclidean(v)[upper], model[upper])[0, 1] for v in views[:60]])
    for seed in range(80):
        some, who = rng.choice(big, size, False), rng.choice(400, 10, False)
        data = np.stack([_rdm_kernels.euclidean(views[k][some]) for k in who])
        here = matrix(model[np.ix_(some, some)][None])
        found = similarity.inference(
            matrix(data, "subject"), here, measure="pearson", bootstraps=200, permutations=10, seed=seed
        )
        covered.append(float(found["similarity_low"][0, 0]) <= truth <= float(found["similarity_high"][0, 0]))
    assert 0.88 <= np.mean(covered) <= 1


def test_one_recording_has_a_ceiling_from_its_halves() -> None:
    rng = np.random.default_rng(0)
    truth, times = 0.8 * rng.normal(size=(12, 30, 60)), {"time": np.arange(60) * 0.01}
    stimulus = np.repeat(np.arange(12), 8)
    response = truth[stimulus] + rng.normal(size=(96, 30, 60))
    recording = recorded(response, np.char.mod("c%02d", stimulus), repetition=np.tile(np.arange(8), 12))
    for distance, kernel in (
        ("crossnobis", _rdm_kernels.euclidean),
        ("correlation", _rdm_kernels.correlation),
    ):
        halves = similarity.consistency(recording, distance=distance, noise="none", splits=6)
        data = similarity.rdm(recording, distance=distance, noise="none")
        perfect = np.moveaxis(kernel(np.moveaxis(truth, -1, 0)), 0, -1)[None]
        models = xr.Dataset(
            {"dissimilarity": (("model", "condition", "other_condition", "time"), perfect, {"units": "1"})},
            {"condition": data["condition"].values, "other_condition": data["condition"].values, **times},
        )
        reached = float(similarity.compare(data, models, measure="pearson")["similarity"].mean())
        assert reached == pytest.approx(float(halves["ceiling"].mean()), abs=0.03)
    still = models.isel(time=0, drop=True)
    found = similarity.inference(data, still, bootstraps=20, permutations=20, reliability=halves)
    np.testing.assert_array_equal(found["ceiling_high"], halves["ceiling"])
    few = halves.isel(time=[0, 1])
    with pytest.raises(ValueError, match=r"^reliability: has other times"):
        similarity.inference(data, still, bootstraps=20, permutations=20, reliability=few)


def test_bad_arguments_and_data_are_named() -> None:
    recording = noisy()
    for arguments, words in (
        ({"distance": "cosine"}, r"^distance: 'cosine'; use one of"),
        ({"noise": "white"}, r"^noise: 'white'; use one of"),
        ({"by": "run", "folds": "stimulus_id", "distance": "crossnobis", "noise": "nonsense"}, r"^noise"),
        ({"folds": "stimulus_id"}, r"^folds: c00, c01, c02 stand in one fold only"),
    ):
        with pytest.raises(ValueError, match=words):
            similarity.rdm(recording, **arguments)
    with pytest.raises(ValueError, match=r"^folds: no condition comes back"):
        similarity.rdm(recording.drop_vars("run"))
    missing = recording.copy(deep=True)
    missing["response"].values[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^response: lacks values"):
        similarity.rdm(missing)
    assert np.isfinite(similarity.rdm(missing, distance="correlation")["dissimilarity"]).all()
    missing["response"].values[missing["stimulus_id"].values == "c03", 2] = np.nan
    with pytest.raises(ValueError, match=r"^response: neuroid n2 has no value for 'c03'"):
        similarity.rdm(missing, distance="correlation")
    with pytest.raises(ValueError, match=r"^measure: 'rho'; use one of"):
        similarity.compare(matrix(distances(1, 5)[0]), matrix(distances(1, 5)), measure="rho")
    with pytest.raises(ValueError, match=r"^model_rdms: number 1 is constant"):
        similarity.compare(
            matrix(distances(1, 5)[0]),
            matrix((1 - np.eye(5))[None]),
        )


def test_a_pattern_that_is_the_same_everywhere_has_no_correlation() -> None:
    recording = noisy()
    recording["response"].values[:, :, 0] = 0.3
    with pytest.warns(UserWarning, match="NaN at 1 of 3 times"):
        found = similarity.rdm(recording, distance="correlation")
    with pytest.warns(UserWarning, match="lacks values at 1 of 3 times"):
        scores = similarity.compare(found, matrix(distances(1, 12)))["similarity"]
    assert np.isnan(scores.values[0]).tolist() == [True, False, False]


def test_plots_say_what_they_show() -> None:
    recording = noisy(times=3)
    data = similarity.rdm(recording)
    models = matrix(distances(2, 12))
    course = similarity.inference(data, models, bootstraps=20, permutations=20)
    axes = similarity.plot(course).axes[0]
    assert axes.get_xlabel().endswith("(s)")
    assert [text.get_text() for text in axes.get_legend().get_texts()][:2] == ["m0", "m1"]
    bars = similarity.plot(similarity.compare(data.isel(time=0, drop=True), models)).axes[0]
    assert {label.get_text() for label in bars.get_yticklabels()} == {"m0", "m1"}
    assert "spearman" in bars.get_xlabel()
    titles = [axis.get_title() for axis in similarity.plot(models).axes]
    assert titles[:2] == ["m0", "m1"]
    assert similarity.plot(data).axes[1].get_title() == "10 ms"
    assert similarity.plot(similarity.cka(recording, recording)).axes[0].get_ylabel().startswith("CKA")


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_rdms_are_rsatoolboxs(rsatoolbox: ModuleType) -> None:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    recording = noisy(times=1).isel(time=0)
    order = np.argsort(recording["stimulus_id"].values, kind="stable")
    observed = {name: recording[name].values[order] for name in ("stimulus_id", "run")}
    peer = Dataset(recording["response"].values[order], obs_descriptors=observed)
    precision = np.diag(np.random.default_rng(0).uniform(0.5, 2, 30))
    for distance in similarity.DISTANCES:
        numbers = {"cv_descriptor": "run"} if distance == "crossnobis" else {}
        expected = calc_rdm(peer, method=distance, descriptor="stimulus_id", **numbers).get_matrices()[0]
        found = similarity.rdm(recording, distance=distance, noise="none")["dissimilarity"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    scaled = recording.copy(deep=True)
    scaled["response"].values[:] *= np.sqrt(np.diag(precision))
    expected = calc_rdm(peer, "crossnobis", "stimulus_id", precision, "run").get_matrices()[0]
    np.testing.assert_allclose(
        similarity.rdm(scaled, noise="none")["dissimilarity"], expected, rtol=0, atol=1e-10
    )


def test_comparisons_are_rsatoolboxs(rsatoolbox: ModuleType) -> None:
    from rsatoolbox.rdm import RDMs, compare

    names = {"pearson": "corr", "spearman": "spearman", "kendall": "tau-a", "cosine": "cosine",
             "whitened": "cosine_cov", "whitened pearson": "corr_cov"}  # fmt: skip
    data, models = distances(3, 14), np.round(distances(4, 14, seed=1))
    for measure, peer in names.items():
        expected = compare(RDMs(models), RDMs(data), peer)
        found = similarity.compare(matrix(data, "subject"), matrix(models), measure=measure)["similarity"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_ceilings_are_rsatoolboxs(rsatoolbox: ModuleType) -> None:
    from rsatoolbox.inference import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    data = distances(5, 12) + distances(1, 12, seed=3)
    for measure, peer in (("pearson", "corr"), ("cosine", "cosine")):
        unit = _rdm_kernels.unit(data, measure)
        found = _rdm_inference.ceiling(unit @ unit.T)
        np.testing.assert_allclose(found, boot_noise_ceiling(RDMs(data), method=peer), rtol=0, atol=1e-10)


def assembly(recording: xr.Dataset) -> object:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    identity = recording["stimulus_id"].values
    return NeuroidAssembly(
        recording["response"].values,
        coords={
            "stimulus_id": ("presentation", identity),
            "object_name": ("presentation", identity),
            "neuroid_id": ("neuroid", recording["neuroid_id"].values),
            "region": ("neuroid", ["IT"] * recording.sizes["neuroid"]),
        },
        dims=("presentation", "neuroid"),
    )


@pytest.mark.brainscore
def test_rdm_and_cka_are_brainscores() -> None:
    pytest.importorskip("brainscore_vision")
    from brainscore_vision.metrics.cka.metric import CKA
    from brainscore_vision.metrics.rdm.metric import RDMMetric

    rng = np.random.default_rng(0)
    shared = rng.normal(size=(90, 5))
    names = rng.permutation(np.char.mod("s%03d", np.arange(90)))
    for wide in (12, 200):
        one = recorded(shared @ rng.normal(size=(5, 12)) + rng.normal(size=(90, 12)), names)
        order = rng.permutation(90)
        two = recorded(
            (shared @ rng.normal(size=(5, wide)) + rng.normal(size=(90, wide)))[order], names[order]
        )
        rdms_ = [similarity.rdm(part, distance="correlation") for part in (one, two)]
        peer = float(RDMMetric()(assembly(one), assembly(two)))
        assert float(similarity.compare(*rdms_)["similarity"]) == pytest.approx(peer, abs=1e-12)
        for debiased in (True, False):
            peer = float(CKA(unbiased=debiased)(assembly(one), assembly(two)))
            found = similarity.cka(one, two, debiased=debiased)["cka"]
            assert float(found[0]) == pytest.approx(peer, abs=1e-12)


def published(neuro_data: Path, name: str, **numbers: object) -> xr.Dataset:
    return rdms.rdms(neuro_data / "macaque" / "it_92_images" / name, **numbers)


def test_monkey_and_human_it_are_as_alike_as_published(neuro_data: Path) -> None:
    both = published(neuro_data, "Kriegeskorte_Neuron2008_supplementalData.mat")
    monkey = both.isel(model=0, drop=True)
    for measure, expected in (("pearson", 0.4912), ("spearman", 0.4389)):
        found = similarity.compare(monkey, both.isel(model=[1]), measure=measure)["similarity"]
        assert found.item() == pytest.approx(expected, abs=5e-4)


def test_every_published_model_rdm_is_reproduced(neuro_data: Path) -> None:
    both = published(neuro_data, "Kriegeskorte_Neuron2008_supplementalData.mat", dim="subject")
    models = published(neuro_data, "92_modelRDMs.mat")
    found = similarity.compare(both, models, measure="spearman")["similarity"]
    table = {
        "animacy": (0.453, 0.588), "FaceBodyManmadeNatobj": (0.425, 0.405), "HMAX": (0.245, 0.222),
        "EVA": (0.094, 0.354), "Silhouette": (0.247, 0.125), "V1": (0.074, 0.039), "RADON": (0.016, 0.061),
        "monkeyIT": (1.0, 0.4389),
    }  # fmt: skip
    assert set(table) == set(models["model"].values.tolist())
    for model, expected in table.items():
        np.testing.assert_allclose(found.sel({"model": model}), expected, atol=6e-4)


def test_the_fmri_noise_ceiling_is_the_published_one(neuro_data: Path) -> None:
    people = published(neuro_data, "92_brainRDMs.mat", dim="subject", average=["BE", "KO", "SN", "TI"])
    models = published(neuro_data, "92_modelRDMs.mat")
    found = similarity.inference(people, models, measure="spearman", bootstraps=50, permutations=50)
    assert float(found["ceiling_low"][0]) == pytest.approx(0.377, abs=5e-4)
    assert float(found["ceiling_high"][0]) == pytest.approx(0.672, abs=5e-4)
    whole = published(neuro_data, "Kriegeskorte_Neuron2008_supplementalData.mat", names=["hITvisStim_316vx"])
    mean = people["dissimilarity"].mean("subject").values[np.triu_indices(92, 1)]
    assert np.corrcoef(mean, whole["dissimilarity"].values[0][np.triu_indices(92, 1)])[0, 1] > 0.999


def test_real_it_holds_objects_after_onset_and_not_before(neuro_data: Path) -> None:
    recording = ephys.counts(
        neuro_data / "macaque" / "it_seven_objects", window=[-0.15, 0.25], bin_width=0.1, trigger_delay_s=0
    )
    data = similarity.rdm(recording)
    models = similarity.labels(recording, ["object", "position"])
    found = similarity.inference(data, models, measure="pearson", bootstraps=100, permutations=200)
    objects = found.sel({"model": "object"})
    assert float(objects["p"].sel(time=0.2, method="nearest")) < 0.02
    assert float(objects["p"].sel(time=-0.1, method="nearest")) > 0.05
    assert abs(float(data["dissimilarity"].sel(time=-0.1, method="nearest").mean())) < 0.02


def test_macaque_it_rdm_is_the_tuning_it_was_made_of() -> None:
    recording = synthetic.macaque_it(seed=0, repeats=20, window=(0.08, 0.28), bin_width=0.2)
    models = similarity.labels(recording, ["object"])
    data = similarity.rdm(recording, folds="repetition")
    assert "truth_latency_s" in recording.attrs
    found = similarity.inference(data, models, measure="spearman", bootstraps=20, permutations=50)
    assert float(found["p"][0, 0]) == pytest.approx(1 / 51)
    assert sys.modules["analyses.similarity"] is similarity
