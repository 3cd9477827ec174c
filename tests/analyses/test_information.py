"""Information: every oracle at its tolerance, laws, agreement with a peer, planted truth."""

from __future__ import annotations

import warnings
from itertools import pairwise, product

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import multivariate_normal

from analyses import (
    _information_bias,
    _information_breakdown,
    _information_estimators,
    _information_gaussian,
    _information_words,
    decoding,
    information,
)

TRUTH = {  # information and its four parts
    ("same", -0.5): (1.0374, 0.9584, -0.2083, 0.2012, 0.0861),
    ("same", 0.0): (0.7501, 0.9584, -0.2083, 0.0, 0.0),
    ("same", 0.5): (0.5934, 0.9584, -0.2083, -0.2001, 0.0435),
    ("opposite", -0.5): (0.5934, 0.9584, -0.2083, -0.2001, 0.0435),
    ("opposite", 0.5): (1.0374, 0.9584, -0.2083, 0.2012, 0.0861),
}
METHODS = ("plugin", "panzeri-treves", "quadratic", "shuffle", "shuffle-panzeri-treves")


def recorded(response: np.ndarray, label: np.ndarray, **attrs: object) -> xr.Dataset:
    """response (presentation, neuroid[, time]) with an object of each presentation."""
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    coords: dict = {"object": ("presentation", np.asarray(label))}
    coords["neuroid_id"] = ("neuroid", np.char.mod("n%d", np.arange(response.shape[1])))
    if response.ndim == 3:
        coords["time"] = np.arange(response.shape[2]) * 0.01
    return xr.Dataset({"response": (dims, response, {"units": "1"})}, coords, attrs)


def two_cells(tuning: str, correlation: float, trials: int, seed: int = 0) -> xr.Dataset:
    cells = _information_bias.sampled(tuning, correlation, trials, np.random.default_rng(seed))
    return recorded(cells, np.repeat(np.arange(4), trials))


def tuned(seed: int = 0, trials: int = 40, neuroids: int = 5, times: int = 30) -> xr.Dataset:
    """Two objects; neuroids tell them apart from the tenth sample on, each less than the one before."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], trials)
    gain = np.linspace(1.5, 0, neuroids)[:, None] * (np.arange(times) >= 10)
    return recorded(rng.normal(size=(label.size, neuroids, times)) + label[:, None, None] * gain, label)


# ---- breakdown


@pytest.mark.parametrize("case", TRUTH)
def test_info1_breakdown_of_two_cells_exactly(case: tuple[str, float]) -> None:
    found = _information_breakdown.terms(_information_bias.table(*case), np.full(4, 0.25))
    np.testing.assert_allclose(found[:5], TRUTH[case], atol=2e-4)
    np.testing.assert_allclose(found[5], found[1] + found[2], atol=1e-12)


def test_info1_probabilities_agree_with_the_bivariate_normal() -> None:
    table = _information_bias.table("same", 0.5)
    spread = 1.1**2 * np.array([[1, 0.5], [0.5, 1]])
    edges = [-30, 0.5, 1.5, 2.5, 3.5, 4.5, 35]
    for (i, (a, b)), (j, (c, d)) in product(enumerate(pairwise(edges)), repeat=2):
        low, high = np.array([a, c]), np.array([b, d])
        expected = multivariate_normal([2, 2], spread).cdf(high, lower_limit=low)
        assert table[1, i, j] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", list(TRUTH)[::2])
def test_info1_breakdown_of_many_samples(case: tuple[str, float]) -> None:
    recording = two_cells(*case, trials=20_000)
    found = information.breakdown(recording, "object", bins=6, binning="count", estimator="plugin")
    names = ("information", "linear", "signal_similarity", "correlation_independent", "correlation_dependent")
    values = [float(found[f"mean_{name}"][0]) for name in names]
    np.testing.assert_allclose(values, TRUTH[case], atol=0.02)
    whole = information.breakdown(recording, "object", of="population", bins=6, binning="count",
                                  estimator="plugin")  # fmt: skip
    assert float(whole["mean_linear"][0]) == pytest.approx(values[1], abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("case", TRUTH)
def test_info1_breakdown_of_a_million_samples(case: tuple[str, float]) -> None:
    found = information.breakdown(
        two_cells(*case, trials=250_000), "object", bins=6, binning="count", estimator="plugin"
    )
    names = ("information", "linear", "signal_similarity", "correlation_independent", "correlation_dependent")
    for name, value in zip(names, TRUTH[case], strict=True):
        assert float(found[f"mean_{name}"][0]) == pytest.approx(value, abs=0.003)


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_info2_identities_of_any_table(seed: int, labels: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    tables = rng.dirichlet(np.full(values**2, 0.3), labels).reshape(labels, values, values)
    weights = rng.dirichlet(np.ones(labels))
    whole, linear, similar, independent, dependent, _ = _information_breakdown.terms(tables, weights)
    assert whole == pytest.approx(linear + similar + independent + dependent, abs=1e-10)
    assert similar <= 1e-10
    assert dependent >= -1e-10
    product_ = tables.sum(axis=2, keepdims=True) * tables.sum(axis=1, keepdims=True)
    found = _information_breakdown.terms(product_, weights)
    np.testing.assert_allclose(found[3:5], 0, atol=1e-10)


def test_info2_identities_of_three_letters() -> None:
    rng = np.random.default_rng(0)
    tables = rng.dirichlet(np.ones(27), 3).reshape(3, 3, 3, 3)
    found = _information_breakdown.terms(tables, np.full(3, 1 / 3))
    assert found[0] == pytest.approx(found[1:5].sum(), abs=1e-10)


def test_info3_signs_of_the_first_measurement() -> None:
    for case in TRUTH:
        expected = (1 if case[0] == "opposite" else -1) * np.sign(case[1])
        found = _information_breakdown.terms(_information_bias.table(*case), np.full(4, 0.25))
        assert np.sign(np.round(found[3], 9)) == expected
        assert (found[4] > 1e-9) == (case[1] != 0)


# ---- bias


@pytest.fixture(scope="module")
def bias() -> xr.Dataset:
    return information.bias(trials=(16, 32, 64, 256), draws=60, seed=1)


@pytest.mark.parametrize(
    ("setting", "expected", "tolerance"),
    [
        (0, (1.140, 0.753, 0.794, 0.601, 0.641), (0.04, 0.07, 0.06, 0.06, 0.09)),
        (1, (0.942, 0.693, 0.680, 0.596, 0.618), (0.04, 0.05, 0.05, 0.05, 0.06)),
        (2, (0.792, 0.630, 0.622, 0.596, 0.615), (0.03,) * 5),
        (3, (0.651, 0.589, 0.598, 0.590, 0.590), (0.015,) * 5),
    ],
)
def test_info4_bias_of_estimators(bias: xr.Dataset, setting: int, expected: tuple, tolerance: tuple) -> None:
    assert bias.attrs["truth"] == pytest.approx(0.5934, abs=1e-4)
    found = bias["information"].isel(setting=setting).mean("draw")
    for method, value, reach in zip(METHODS, expected, tolerance, strict=True):
        assert float(found.sel({"method": method})) == pytest.approx(value, abs=reach), method


def test_info5_order_of_estimators_with_few_trials(bias: xr.Dataset) -> None:
    mean = bias["information"].isel(setting=0).mean("draw")
    plain, treves, extrapolated, shuffled, both = (float(mean.sel({"method": method})) for method in METHODS)
    assert plain > max(treves, extrapolated)
    assert min(treves, extrapolated) > both >= shuffled


def test_bias_is_drawn_with_the_truth(bias: xr.Dataset) -> None:
    (axes,) = information.plot(bias).axes
    assert bias.attrs["origin"] == "simulated"
    assert "simulated" in axes.get_title(loc="right")
    line = axes.lines[-1]
    assert np.allclose(line.get_ydata(), bias.attrs["truth"])
    with pytest.raises(ValueError, match=r"^tuning: 'sideways'"):
        information.bias(trials=(8,), draws=2, tuning="sideways")
    with pytest.raises(ValueError, match=r"^trials: 2"):
        information.bias(trials=(2,))


# ---- bounds and laws


@pytest.mark.parametrize("estimator", ["plugin", "panzeri-treves"])
def test_info6_bounds(estimator: str) -> None:
    label = np.tile(np.arange(8), 30)
    noiseless = recorded(np.stack([label, label % 2, 0 * label], axis=1).astype(float), label)
    found = information.single(noiseless, "object", estimator=estimator, bins=8, binning="count")
    seen = (np.array([8, 2, 1]) - 1) / (2 * 240 * np.log(2))  # what Panzeri and Treves add to H(R)
    expected = np.array([3, 1, 0]) + (estimator == "panzeri-treves") * seen
    np.testing.assert_allclose(found["information"].values[:, 0], expected, atol=1e-10)
    assert found.attrs["entropy"] == pytest.approx(3)
    independent = recorded(np.repeat(np.arange(30.0) % 3, 8)[:, None], label)
    found = information.single(independent, "object", estimator="plugin", bins=3, binning="count")
    assert abs(float(found["information"][0, 0])) < 1e-10


def test_extrapolation_recovers_a_parabola_exactly() -> None:
    words = _information_words.spelled(np.zeros((2, 64, 1)), 2, "count")
    labels = np.repeat([0, 1], 32)
    orders = _information_estimators.drawn(64, 1, 3, 1, 0)

    def bent(counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=(1, 2))
        return 0.7 + 3 / total - 20 / total**2

    found = _information_estimators.extrapolated(words, labels, 2, orders, bent)
    np.testing.assert_allclose(found, 0.7, atol=1e-12)


@pytest.mark.parametrize("estimator", [*METHODS, "gaussian-copula"])
def test_no_row_depends_on_others_and_none_on_order_or_scale(estimator: str) -> None:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, 120)
    response = rng.gamma(2, size=(120, 4, 2)) + label[:, None, None] * 0.5
    word = {"code": "timing", "word": 2} if estimator.startswith("shuffle") else {}
    whole = information.single(recorded(response, label), "object", estimator=estimator, bins=3, **word)
    one = information.single(recorded(response[:, 2:3], label), "object", estimator=estimator, bins=3, **word)
    np.testing.assert_allclose(whole["information"].values[2:3], one["information"].values, atol=1e-13)
    stretched = information.single(
        recorded(np.exp(2 * response), label), "object", estimator=estimator, bins=3, **word
    )
    np.testing.assert_allclose(stretched["information"], whole["information"], atol=1e-13)
    if estimator in ("plugin", "panzeri-treves", "gaussian-copula"):
        order = rng.permutation(120)
        mixed = information.single(
            recorded(response[order], label[order]), "object", estimator=estimator, bins=3
        )
        np.testing.assert_allclose(mixed["information"], whole["information"], atol=1e-12)


def test_the_last_label_and_the_first_are_the_same_to_every_estimator() -> None:
    rng = np.random.default_rng(4)
    label = rng.integers(0, 4, 200)
    response = rng.normal(size=(200, 3)) + label[:, None]
    for estimator in ("plugin", "panzeri-treves", "gaussian-copula"):
        one, other = (
            information.single(recorded(response, shown), "object", estimator=estimator)["information"]
            for shown in (label, 3 - label)
        )
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_equal_counts_share_a_letter_and_bins_are_filled_equally() -> None:
    rows = np.array([[0, 0, 0, 0, 1, 2], [5, 1, 3, 2, 4, 0]], dtype=float)[..., None]
    words = _information_words.spelled(rows, 3, "quantile")
    assert words.codes[0].tolist() == [0, 0, 0, 0, 1, 1]
    assert words.codes[1].tolist() == [2, 0, 1, 1, 2, 0]
    wide = _information_words.spelled(rows, 2, "width")
    assert wide.codes[1].tolist() == [1, 0, 1, 0, 1, 0]
    with pytest.raises(ValueError, match=r"^binning: 'count' wants whole numbers"):
        _information_words.spelled(rows - 1, 2, "count")


def test_long_words_are_counted_like_short_ones() -> None:
    rng = np.random.default_rng(5)
    letters = rng.integers(0, 2, size=(3, 400, 11)).astype(float)
    long = _information_words.spelled(letters, 2, "count")
    assert long.size <= 400
    plain = letters.astype(int) @ 2 ** np.arange(11)
    for codes, numbers in zip(long.codes, plain, strict=True):
        assert np.unique(codes).size == np.unique(numbers).size
        assert all(np.unique(numbers[codes == code]).size == 1 for code in np.unique(codes))
    with pytest.raises(ValueError, match=r"^word: 70 letters"):
        _information_words.spelled(rng.integers(0, 2, size=(1, 40, 70)).astype(float), 2, "count")


def test_relevant_words_lie_between_those_seen_and_those_there_could_be() -> None:
    rng = np.random.default_rng(6)
    counts = rng.multinomial(20, rng.dirichlet(np.full(12, 0.4), size=200))
    found = _information_words.relevant(counts, np.full(200, 12.0))
    seen = (counts > 0).sum(axis=1)
    assert (found >= seen).all()
    assert (found <= 12).all()
    assert (found > seen).any()
    plenty = rng.multinomial(10_000, np.full(12, 1 / 12), size=5)
    assert (_information_words.relevant(plenty, np.full(5, 12.0)) == 12).all()


# ---- copula


def test_copula_of_a_shift_is_near_the_truth_and_unbiased_without_one() -> None:
    rng = np.random.default_rng(7)
    label = np.repeat([0, 1], 20)
    response = rng.normal(size=(40, 4000))
    null = information.single(recorded(response, label), "object", estimator="gaussian-copula")
    assert abs(float(null["information"].mean())) < 0.01  # scores of ranks spread alike in every sample
    pooled = information.population(
        recorded(rng.normal(size=(40, 6, 400)), label),
        "object",
        estimator="gaussian-copula",
        covariance="pooled",
    )
    assert abs(float(pooled["information"].mean())) < 0.01
    own = information.population(
        recorded(rng.normal(size=(40, 6, 400)), label), "object", estimator="gaussian-copula"
    )
    assert abs(float(own["information"].mean())) < 0.05
    x = np.linspace(-8, 9, 20_001)
    density = [np.exp(-0.5 * (x - m) ** 2) / np.sqrt(2 * np.pi) for m in (0, 1)]
    mixture = np.mean(density, axis=0)
    truth = float(np.mean([trapezoid(d * np.log2(d / mixture), x) for d in density]))
    label = np.repeat([0, 1], 5000)
    shifted = recorded(rng.normal(size=(10_000, 1)) + label[:, None], label)
    found = float(information.single(shifted, "object", estimator="gaussian-copula")["information"][0, 0])
    assert truth - 0.02 < found < truth + 0.012


def test_copula_of_several_letters_sees_their_correlation() -> None:
    rng = np.random.default_rng(8)
    label = np.repeat([0, 1], 2000)
    first = rng.normal(size=4000)
    sign = np.where(label, 0.8, -0.8)
    response = np.stack([first, sign * first + 0.6 * rng.normal(size=4000)], axis=1)
    alone = information.single(recorded(response, label), "object", estimator="gaussian-copula")
    assert float(np.abs(alone["information"]).max()) < 0.003
    together = information.population(recorded(response, label), "object", estimator="gaussian-copula")
    assert float(together["information"][0]) == pytest.approx(-0.5 * np.log2(1 - 0.64), abs=0.05)


def test_ties_do_not_leak_the_order_of_presentations() -> None:
    label = np.repeat([0, 1], 100)
    rng = np.random.default_rng(9)
    counts = recorded(rng.poisson(0.3, size=(200, 300)).astype(float), label)
    found = information.single(counts, "object", estimator="gaussian-copula")["information"]
    assert abs(float(found.mean())) < 0.005
    silent = np.zeros((200, 1))
    assert np.isnan(
        information.single(recorded(silent, label), "object", estimator="gaussian-copula")["information"]
    )


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_copula_agrees_with_frites(classes: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        core = pytest.importorskip("frites.core")
    rng = np.random.default_rng(10)
    label = rng.integers(0, classes, 300)
    response = rng.normal(size=(300, 4, 5)) ** 3 + 0.3 * label[:, None, None]
    for heavy in (response, 1e5 + response, np.exp(5 * response)):
        ours = information.single(recorded(heavy, label), "object", estimator="gaussian-copula")
        peer = core.gcmi_model_nd_cd(np.ascontiguousarray(heavy.transpose(1, 2, 0)), label)
        np.testing.assert_allclose(ours["information"], peer, atol=1e-11)
    ours = information.population(recorded(response, label), "object", estimator="gaussian-copula")
    peer = core.gcmi_model_nd_cd(np.ascontiguousarray(response.transpose(2, 1, 0)), label, mvaxis=1)
    np.testing.assert_allclose(ours["information"], peer, atol=1e-11)


def test_too_many_letters_for_a_covariance_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^gaussian-copula: 50 letters and 10 presentations of a label"):
        information.population(
            recorded(np.random.default_rng(0).normal(size=(20, 50)), np.repeat([0, 1], 10)), "object",
            estimator="gaussian-copula",
        )  # fmt: skip
    few = information.population(
        recorded(np.random.default_rng(0).normal(size=(20, 50)), np.repeat([0, 1], 10)), "object",
        estimator="gaussian-copula", components=3,
    )  # fmt: skip
    assert few.attrs["components"] == 3


# ---- tests and intervals


def test_permutations_find_what_was_planted_and_nothing_else() -> None:
    found = information.single(tuned(), "object", estimator="gaussian-copula", permutations=199)
    assert float(found["p"].values[0, 10:].max()) <= 0.02
    assert float(found["p"].values[:, :10].min()) > 0.05
    assert (found["p"] >= found["p_uncorrected"]).all()
    assert abs(float(found["null_mean"].mean())) < 0.005
    np.testing.assert_allclose(found["subtracted"], found["information"] - found["null_mean"])
    words = information.single(tuned(), "object", estimator="plugin", permutations=99, bins=3)
    assert float(words["p"].values[0, 10:].max()) <= 0.05
    assert float(words["subtracted"].values[:, :10].mean()) == pytest.approx(0, abs=0.01)
    assert float(words["information"].values[:, :10].mean()) > 0.01


def test_permutations_hold_their_level() -> None:
    rng = np.random.default_rng(11)
    many = recorded(rng.normal(size=(40, 2000)), np.repeat([0, 1], 20))
    found = information.single(many, "object", estimator="gaussian-copula", permutations=99)
    assert np.mean(found["p_uncorrected"] <= 0.05) == pytest.approx(0.05, abs=0.02)
    least = []
    for seed in range(30):
        recording = recorded(rng.normal(size=(40, 3, 4)), np.repeat([0, 1], 20))
        found = information.single(
            recording, "object", estimator="gaussian-copula", permutations=39, seed=seed
        )
        least.append(float(found["p"].min()))
    assert np.mean(np.array(least) <= 0.05) < 0.2
    assert np.mean(np.array(least) <= 0.5) > 0.25


def test_permutations_in_one_pass_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(12)
    rows, labels = rng.normal(size=(5, 60, 1)), np.array([rng.permutation(60) % 3 for _ in range(300)])
    made = _information_gaussian.scored(rows)
    found = _information_gaussian.informations(made, labels, 3, "own")
    loop = [_information_gaussian.information(rows, row, 3, "own") for row in labels]
    np.testing.assert_allclose(found, loop, atol=1e-12)


def test_intervals_cover_the_truth() -> None:
    truth, covered = 0.5934, []
    for seed in range(25):
        found = information.population(
            two_cells("same", 0.5, 120, seed), "object", estimator="panzeri-treves", bins=6, binning="count",
            groups=10,
        )  # fmt: skip
        covered.append(float(found["information_low"][0]) < truth < float(found["information_high"][0]))
    assert 0.8 < np.mean(covered) <= 1


# ---- labelled


@pytest.mark.parametrize("estimator", ["plugin", "panzeri-treves", "gaussian-copula"])
def test_chunked_equals_eager_and_stays_lazy(estimator: str) -> None:
    recording = tuned(times=50)
    eager = information.single(recording, "object", estimator=estimator, groups=5, word=2, step=2)
    lazy = information.single(recording.chunk({"time": 7, "neuroid": 2}), "object", estimator=estimator,
                              groups=5, word=2, step=2)  # fmt: skip
    assert lazy["information"].chunks is not None
    xr.testing.assert_identical(lazy.compute(), eager)
    assert eager["information"].dims == ("neuroid", "time")
    assert eager.sizes["time"] == 25
    assert float(eager["time"][0]) == pytest.approx(0.005)
    tested = [
        information.population(one, "object", estimator=estimator, permutations=20, neuroids=["n0", "n1"])
        for one in (recording, recording.chunk({"time": 7}))
    ]
    xr.testing.assert_identical(*tested)
    again = information.single(recording, "object", estimator=estimator, permutations=20)
    xr.testing.assert_identical(
        again, information.single(recording, "object", estimator=estimator, permutations=20)
    )


def test_timing_is_seen_by_words_of_times_alone() -> None:
    rng = np.random.default_rng(13)
    label = rng.integers(0, 2, 400)
    response = np.zeros((400, 1, 4))
    response[np.arange(400), 0, 2 * label + rng.integers(0, 2, 400)] = 1
    rate = information.single(recorded(response, label), "object", word=4, binning="count", bins=2)
    assert float(rate["information"][0, 0]) == 0
    timing = information.single(
        recorded(response, label), "object", word=4, code="timing", binning="count", bins=2
    )
    assert float(timing["information"][0, 0]) == pytest.approx(1, abs=0.02)
    assert timing.attrs["letters"] == 4


def test_overlapping_bins_and_bad_arguments_are_refused() -> None:
    recording = tuned()
    overlapping = recording.assign_attrs(bin_width=0.05, bin_step=0.02)
    with pytest.raises(ValueError, match=r"^word: bins of 0.05 s overlap"):
        information.single(overlapping, "object", word=2)
    for given_, message in (
        ({"estimator": "magic"}, "^estimator: 'magic'"), ({"binning": "odd"}, "^binning: 'odd'"),
        ({"bins": 1}, "^bins: 1"), ({"code": "morse"}, "^code: 'morse'"), ({"word": 99}, "^word: 99 samples"),
        ({"step": 0}, "^step: 0"), ({"groups": 1}, "^groups: 1"), ({"covariance": "x"}, "^covariance: 'x'"),
        ({"estimator": "shuffle"}, "^estimator: 'shuffle' is for words"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            information.single(recording, "object", **given_)
    with pytest.raises(ValueError, match=r"^label 'object': 3 presentations"):
        information.single(tuned(trials=3), "object")
    with pytest.raises(ValueError, match=r"^neuroids: 'n9'"):
        information.population(recording, "object", neuroids=["n9"])
    broken = recording.copy(deep=True)
    broken["response"][3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^response: presentation 3, neuroid 1 is no number"):
        information.single(broken, "object")


def test_too_few_presentations_for_so_many_words_are_told() -> None:
    with pytest.warns(UserWarning, match="40 presentations of one value for up to 1024 words"):
        information.population(tuned(), "object", bins=4, estimator="panzeri-treves")


def test_noise_terms_want_neuroids_that_were_recorded_together() -> None:
    recording = tuned(times=2, neuroids=4).assign_attrs(simultaneous=0)
    with pytest.raises(ValueError, match=r"^noise correlations: neuroids were not recorded together"):
        information.breakdown(recording, "object")
    signal = information.breakdown(recording, "object", noise=False)
    assert "mean_independent" in signal
    assert "mean_correlation_dependent" not in signal
    days = recording.assign_coords(recording=("neuroid", ["a", "a", "b", "c"]))
    found = information.breakdown(days, "object", together="recording", groups=4)
    assert np.isfinite(found["information"].values).any(axis=2).sum() == 2
    assert np.isfinite(found["linear"].values).any(axis=2).sum() == 12
    assert (
        float(found["mean_linear_low"][0])
        < float(found["mean_linear"][0])
        < float(found["mean_linear_high"][0])
    )
    with pytest.raises(ValueError, match=r"^estimator: 'panzeri-treves'; the breakdown"):
        information.breakdown(days, "object", estimator="panzeri-treves")
    with pytest.raises(ValueError, match=r"^together: not all neuroids"):
        information.breakdown(days, "object", of="population", together="recording")
    alone = information.population(recording, "object", estimator="gaussian-copula")
    assert alone.attrs["noise_correlations"] == "none: not recorded together"


def test_shuffled_noise_terms_are_the_bias_of_the_estimate() -> None:
    shown, gaps = np.repeat(np.arange(4), 30), []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=(120, 4))
        independent = recorded(noise + shown[:, None], shown, simultaneous=1)
        found = information.breakdown(independent, "object", bins=3, estimator="plugin")
        names = ("correlation_independent", "correlation_dependent")
        plain = sum(float(found[f"mean_{name}"][0]) for name in names)
        mixed = sum(float(found[f"shuffled_{name}"][0]) for name in names)
        assert plain > 0.02
        gaps.append(plain - mixed)
    assert abs(np.mean(gaps)) < 0.01


def test_decoded_information_lies_below_the_entropy_and_above_nothing() -> None:
    rng = np.random.default_rng(14)
    label = np.tile(np.arange(4), 40)
    response = rng.normal(size=(160, 10, 2))
    response[..., 1] += 3 * rng.normal(size=(4, 10))[label]
    recording = recorded(response, label).assign_coords(stimulus_id=("presentation", label.astype(str)))
    made = decoding.time_resolved(recording, "object", groups="ungrouped", overlap=["stimulus_id"])
    found = information.decoded(made, "object")
    assert abs(float(found["information"][0])) < 0.08
    assert 1.8 < float(found["information"][1]) < 2.02
    np.testing.assert_allclose(found["confusion"].sum("other_condition"), 1)
    two = recording.isel(presentation=np.flatnonzero(label < 2))
    made = decoding.time_resolved(two, "object", groups="ungrouped", overlap=["stimulus_id"])
    found = information.decoded(made, "object", estimator="plugin")
    assert 0.9 < float(found["information"][1]) <= 1
    assert float(found["confusion"][0, 0, 1]) > 0.95
    with pytest.raises(ValueError, match=r"^estimator: 'quadratic'"):
        information.decoded(made, "object", estimator="quadratic")


def test_plots_show_what_they_say() -> None:
    found = information.single(tuned(), "object", permutations=19, estimator="gaussian-copula")
    left, right, *_ = information.plot(found).axes
    assert left.get_ylabel().startswith("neuroid")
    assert right.get_ylabel() == "mutual information (bit)"
    assert len(right.lines) >= 2
    whole = information.population(tuned(), "object", permutations=19, estimator="gaussian-copula", groups=5)
    (axes,) = information.plot(whole).axes
    assert any(np.allclose(line.get_ydata(), 1.0) for line in axes.lines)
    for times in (2, 12):
        parts = information.breakdown(tuned(times=times, neuroids=3), "object", groups=4)
        assert "pair" in information.plot(parts).axes[0].get_ylabel()
    with pytest.raises(ValueError, match=r"^result: holds response"):
        information.plot(tuned())
