"""Properties of population codes: closed forms, laws, planted truth, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import _codes_measures as measures
from analyses import codes, information


def recorded(response: np.ndarray, stimuli: np.ndarray, width: float = 0.01, **attrs: object) -> xr.Dataset:
    """response (presentation, neuroid[, time]) of stimuli shown again and again."""
    dims = ("presentation", "neuroid", "time")[: response.ndim]
    seen = np.array([(stimuli[:place] == one).sum() for place, one in enumerate(stimuli)])
    coords: dict = {
        "stimulus_id": ("presentation", np.char.mod("s%02d", stimuli)),
        "repetition": ("presentation", seen),
        "neuroid_id": ("neuroid", np.char.mod("n%d", np.arange(response.shape[1]))),
    }
    if response.ndim == 3:
        coords["time"] = (np.arange(response.shape[2]) + 0.5) * width
        attrs = {"bin_width": width, **attrs}
    return xr.Dataset({"response": (dims, response, {"units": "spikes"})}, coords, attrs)


def correlated(
    noise: float, stimuli: int = 10, trials: int = 40, neuroids: int = 12, signal: float = 1.0, seed: int = 0
) -> xr.Dataset:
    """Gaussian responses with one noise correlation between all."""
    rng = np.random.default_rng(seed)
    shown = np.repeat(np.arange(stimuli), trials)
    means = signal * rng.normal(size=(stimuli, neuroids))
    common, own = rng.normal(size=(shown.size, 1)), rng.normal(size=(shown.size, neuroids))
    made = means[shown] + np.sqrt(noise) * common + np.sqrt(1 - noise) * own
    return recorded(made + 5, shown, simultaneous=1)


# ---- sparseness


@pytest.mark.parametrize("count", [4, 10, 100])
def test_info7_sparseness_in_closed_form(count: int) -> None:
    equal, one = measures.sparse(np.full(count, 3.0)), measures.sparse(np.eye(count)[0] * 7)
    assert equal["treves_rolls"] == pytest.approx(1, abs=1e-10)
    assert equal["vinje_gallant"] == pytest.approx(0, abs=1e-10)
    assert equal["hoyer"] == pytest.approx(0, abs=1e-10)
    assert one["treves_rolls"] == pytest.approx(1 / count, abs=1e-10)
    assert one["vinje_gallant"] == pytest.approx(1, abs=1e-10)
    assert one["hoyer"] == pytest.approx(1, abs=1e-10)
    assert np.isnan(measures.sparse(np.zeros(count))["hoyer"])


def test_lifetime_and_population_sparseness_are_two_things() -> None:
    shown = np.repeat(np.arange(8), 5)
    specialists = np.eye(8)[shown] * 4
    found = codes.sparseness(recorded(specialists, shown))
    np.testing.assert_allclose(found["lifetime_vinje_gallant"], 1)
    np.testing.assert_allclose(found["population_vinje_gallant"], 1)
    one_for_all = np.zeros((40, 8))
    one_for_all[:, 0] = 4
    found = codes.sparseness(recorded(one_for_all, shown))
    assert float(found["lifetime_vinje_gallant"][0, 0]) == pytest.approx(0)
    assert np.isnan(found["lifetime_vinje_gallant"][1:]).all()
    np.testing.assert_allclose(found["population_vinje_gallant"], 1)
    with pytest.raises(ValueError, match=r"^response: is below 0"):
        codes.sparseness(recorded(specialists - 1, shown))


def test_sparseness_of_noise_is_that_of_exchanged_stimuli() -> None:
    rng = np.random.default_rng(0)
    shown = np.repeat(np.arange(10), 5)
    found = codes.sparseness(recorded(rng.poisson(0.5, size=(50, 400)).astype(float), shown))
    assert float(found["lifetime_median"][0]) > 0.1
    gap = float(found["lifetime_vinje_gallant"].mean() - found["lifetime_null"].mean())
    assert gap == pytest.approx(0, abs=0.02)
    assert found["lifetime_median_low"] < found["lifetime_median"] < found["lifetime_median_high"]


# ---- heterogeneity


def test_mixed_tuning_is_worth_more_than_equal_tuning() -> None:
    rng = np.random.default_rng(1)
    shown = np.repeat(np.arange(8), 10)
    place = np.arange(8)
    centres = rng.uniform(0, 8, size=40)
    apart = np.minimum(np.abs(place[:, None] - centres), 8 - np.abs(place[:, None] - centres))
    tuning = 0.2 + 2 * np.exp(-0.5 * (apart / 1.2) ** 2)
    recording = recorded(rng.poisson(tuning[shown]).astype(float), shown)
    found = codes.heterogeneity(recording, sizes=(1, 10, 40), draws=10)
    mean = found["accuracy"].mean("draw")
    assert float(mean.sel(arm="heterogeneous")[2]) > float(mean.sel(arm="homogeneous")[2]) + 0.05
    assert float(mean.isel(setting=0).std("arm")) < 0.08
    assert found.attrs["preferred_entropy"] > 0.85
    copies = recorded(rng.poisson(tuning[shown][:, :1] * np.ones(40)).astype(float), shown)
    same = codes.heterogeneity(copies, sizes=(1,), draws=5)
    assert same.attrs["preferred_entropy"] < 0.6
    assert float(same["fano_factor"].mean()) == pytest.approx(1, abs=0.15)


# ---- correlations


@pytest.mark.parametrize("planted", [0.0, 0.1, 0.4])
def test_planted_noise_correlation_is_found_whatever_the_signal(planted: float) -> None:
    found = codes.correlations(correlated(planted, signal=3.0))
    assert found.attrs["noise_mean"] == pytest.approx(planted, abs=0.03)
    assert abs(found.attrs["noise_shuffled"]) < 0.03
    assert np.isnan(np.diag(found["noise"])).all()


def test_noise_does_not_pass_for_signal() -> None:
    upper, found = np.triu_indices(20, 1), []
    for seed in range(6):
        weak = correlated(0.5, stimuli=200, trials=4, signal=0.7, neuroids=20, seed=seed)
        made = codes.correlations(weak)
        found.append([np.nanmean(made[name].values[upper]) for name in ("signal_raw", "signal")])
    raw, clean = np.mean(found, axis=0)
    assert raw > 0.12
    assert abs(clean) < 0.04


def test_rate_alone_does_not_tie_noise_to_signal() -> None:
    rng = np.random.default_rng(2)
    shown = np.repeat(np.arange(12), 60)
    level = np.linspace(0, 1, 30)
    means = 5 * level + 0.6 * level * rng.normal(size=(12, 1)) + 0.3 * rng.normal(size=(12, 30))
    noise = level * rng.normal(size=(720, 1)) + rng.normal(size=(720, 30))
    found = codes.correlations(recorded(means[shown] + noise + 2, shown, simultaneous=1), bins=10)
    assert found.attrs["noise_on_rate"] > 0.7
    assert found.attrs["noise_on_signal"] > 0.4
    assert abs(found.attrs["noise_on_signal_matched"]) < 0.5 * found.attrs["noise_on_signal"]


def test_noise_of_neuroids_recorded_apart_is_refused() -> None:
    apart = correlated(0.3).assign_attrs(simultaneous=0)
    with pytest.raises(ValueError, match=r"^noise correlations: neuroids were not recorded together"):
        codes.correlations(apart)
    signal = codes.correlations(apart, noise=False)
    assert "noise" not in signal
    assert "noise_mean" not in signal.attrs
    days = apart.assign_coords(recording=("neuroid", np.repeat(["a", "b", "c"], 4)))
    found = codes.correlations(days, together="recording")
    assert found.attrs["noise_pairs"] == 3 * 6
    assert np.isfinite(found["noise"].values).sum() == 2 * 18
    assert found.attrs["drawn"] == "sessions"
    with pytest.raises(ValueError, match=r"^together: 'day' is no coordinate"):
        codes.correlations(apart, together="day")
    with pytest.raises(ValueError, match=r"^together: not all neuroids"):
        codes.fisher(days, "stimulus_id", together="recording")


def test_info8_differential_correlations_limit_fisher_information() -> None:
    rng = np.random.default_rng(3)
    derivative, base = rng.normal(size=30), rng.normal(size=(30, 40))
    covariance = base @ base.T / 40 + 0.3 * np.eye(30)
    derivative *= np.sqrt(51.258 / measures.fisher(derivative, covariance))
    for epsilon, expected in ((0.01, 33.888), (0.1, 8.3676), (1, 0.98086)):
        limited = covariance + epsilon * np.outer(derivative, derivative)
        found = measures.fisher(derivative, limited)
        assert found == pytest.approx(51.258 / (1 + epsilon * 51.258), rel=1e-9)
        assert found == pytest.approx(expected, rel=1e-4)


def test_sampled_fisher_information_is_unbiased() -> None:
    rng = np.random.default_rng(4)
    step, found = np.full(10, 0.4), []
    for _ in range(300):
        noise = rng.normal(size=(2, 30, 10)) + 0.5 * rng.normal(size=(2, 30, 1))
        found.append([measures.fisher_sampled(noise[0], noise[1] + step, way) for way in (False, True)])
    covariance = np.eye(10) + 0.25
    truth = measures.fisher(step, covariance)
    shuffled = float((step**2 / 1.25).sum())
    error = 3 * np.std(found, axis=0) / np.sqrt(300)
    assert np.mean(found, axis=0)[0] == pytest.approx(truth, abs=error[0])
    assert np.mean(found, axis=0)[1] == pytest.approx(shuffled, abs=error[1])
    square = codes.fisher(correlated(0.2, stimuli=3, neuroids=5), "stimulus_id")
    assert square["fisher"].shape == (3, 3)
    with pytest.raises(ValueError, match=r"^fisher: 50 neuroids and 10"):
        codes.fisher(correlated(0.2, trials=10, neuroids=50), "stimulus_id")


# ---- times


@pytest.mark.parametrize("tau", [0.05, 0.15])
def test_planted_timescale_is_found(tau: float) -> None:
    rng = np.random.default_rng(5)
    step = 0.025
    state = np.empty((300, 30, 20))
    state[..., 0] = rng.normal(size=(300, 30))
    keep = np.exp(-step / tau)
    for place in range(1, 20):
        state[..., place] = keep * state[..., place - 1] + np.sqrt(1 - keep**2) * rng.normal(size=(300, 30))
    seen = state + rng.normal(size=state.shape) + 0.5 * rng.normal(size=(300, 30, 1))
    found = codes.timescales(recorded(seen, np.repeat(np.arange(10), 30), step))
    assert found.attrs["timescale_low"] < tau < found.attrs["timescale_high"] * 1.05
    assert found.attrs["timescale"] == pytest.approx(tau, rel=0.15)
    assert float(found["timescale"].median()) == pytest.approx(tau, rel=0.25)
    assert found.attrs["r2"] > 0.98


def test_decay_is_fitted_exactly_where_it_is_exact_and_left_out_where_there_is_none() -> None:
    lags = np.arange(1, 12) * 0.05
    lines = np.stack([0.3 * (np.exp(-lags / 0.12) + 0.2), np.full(11, 0.2), 0.1 + lags, np.full(11, np.nan)])
    tau, size, offset, fit = measures.decay(lines, lags, steps=4000)
    assert tau[0] == pytest.approx(0.12, rel=2e-3)
    assert size[0] == pytest.approx(0.3, rel=1e-2)
    assert offset[0] == pytest.approx(0.2, abs=1e-2)
    assert fit[0] > 0.9999
    assert np.isnan(tau[1:]).all()


def spikes(kind: str, seed: int = 0, trials: int = 60) -> xr.Dataset:
    """Four stimuli told by the count, by the first spike's time, or by nothing; 12 bins of 10 ms."""
    rng = np.random.default_rng(seed)
    shown = np.repeat(np.arange(4), trials)
    made = np.zeros((shown.size, 3, 12))
    for row, stimulus in enumerate(shown):
        for neuroid in range(3):
            number = rng.poisson(0.3 + stimulus) if kind == "count" else 1
            first = 3 * stimulus if kind == "latency" else 0
            reach = 3 if kind == "latency" else 12
            np.add.at(made[row, neuroid], first + rng.integers(0, reach, number), 1)
    return recorded(made, shown)


def test_latency_and_count_are_told_apart() -> None:
    late = codes.latency(spikes("latency"), "stimulus_id", permutations=39)
    assert float(late["information"].sel(code="latency").min()) > 1.7
    assert float(np.abs(late["information"].sel(code="count")).max()) < 1e-9
    assert float(late["beyond_count"].min()) > 1.5
    assert float(late["p"].sel(code="latency").max()) == pytest.approx(1 / 40)
    count = codes.latency(spikes("count"), "stimulus_id", permutations=39)
    assert float(count["information"].sel(code="count").min()) > 0.3
    assert float(np.abs(count["beyond_count"]).max()) < 0.15
    nothing = codes.latency(spikes("nothing"), "stimulus_id", permutations=39)
    assert float(np.abs(nothing["information"]).max()) < 0.12
    assert float(nothing["p"].min()) > 0.02


def test_precision_of_a_planted_timing_code() -> None:
    widths, jitters = [0.03, 0.04, 0.06, 0.12], [0.005, 0.03, 0.1]
    late = codes.precision(spikes("latency"), "stimulus_id", widths=widths, jitters=jitters)
    timing = late["timing"].mean("neuroid").values
    assert timing[0] > 1.7
    assert (np.diff(timing) < 0).all()
    assert abs(timing[-1]) < 1e-9
    fall = late["jittered"].mean("neuroid").values
    assert (np.diff(fall) < 0).all()
    assert fall[-1] < 0.4 * fall[0]
    count = codes.precision(spikes("count"), "stimulus_id", widths=widths)
    assert float(np.abs(count["timing"].mean("neuroid")).max()) < 0.06
    assert "jittered" not in count
    with pytest.raises(ValueError, match=r"^widths: 0.05 s; give widths that divide"):
        codes.precision(spikes("count"), "stimulus_id", widths=[0.05])
    with pytest.raises(ValueError, match=r"^widths: 0.01 s makes words of 12 letters"):
        codes.precision(spikes("count"), "stimulus_id", widths=[0.01])


def test_moved_spikes_keep_their_number_and_their_reach() -> None:
    rng = np.random.default_rng(6)
    counts = rng.poisson(0.4, size=(30, 4, 20))
    for reach in (0.0, 2.0, 50.0, np.inf):
        found = measures.moved(counts, reach, np.random.default_rng(0))
        np.testing.assert_array_equal(found.sum(axis=2), counts.sum(axis=2))
    np.testing.assert_array_equal(measures.moved(counts, 0.0, rng), counts)
    one = np.zeros((2000, 1, 21))
    one[..., 10] = 1
    places = measures.moved(one, 3.0, rng).argmax(axis=2)
    assert places.min() >= 7
    assert places.max() <= 13
    assert places.std() == pytest.approx(np.sqrt(36 / 12), abs=0.2)


def test_consistency_of_lasting_and_of_turning_tuning() -> None:
    rng = np.random.default_rng(7)
    shown = np.repeat(np.arange(8), 20)
    first, second = rng.normal(size=(2, 8, 15))
    turn = np.linspace(0, np.pi / 2, 6)
    lasting = first[shown][..., None] + rng.normal(size=(160, 15, 6))
    turning = np.stack([np.cos(a) * first[shown] + np.sin(a) * second[shown] for a in turn], axis=2)
    still = codes.consistency(recorded(lasting + 5, shown), order="repetition")
    assert float(still["persistence"].min()) > 0.9
    assert float(np.abs(still["drift"]).max()) < 0.04
    turned = codes.consistency(recorded(turning + rng.normal(size=turning.shape), shown))
    assert abs(float(turned["persistence"][0, -1])) < 0.3
    np.testing.assert_allclose(np.diag(turned["persistence"]), 1)
    moved = lasting.copy()
    late = np.tile(np.arange(20) >= 10, 8)
    moved[late] += 1.5 * second[shown][late][..., None]
    drifted = codes.consistency(recorded(moved, shown), order="repetition")
    assert float(drifted["drift"].min()) > 0.1
    with pytest.raises(ValueError, match=r"^order: 'day' is no number"):
        codes.consistency(recorded(moved, shown), order="day")


def test_bins_that_overlap_and_values_that_are_no_counts_are_refused() -> None:
    good = spikes("count")
    for use in (codes.timescales, lambda one: codes.latency(one, "stimulus_id")):
        with pytest.raises(ValueError, match=r"^time: bins of 0.05 s overlap"):
            use(good.assign_attrs(bin_width=0.05))
    halves = good.assign(response=good["response"] * 0.5)
    with pytest.raises(ValueError, match=r"^response: has values that are no counts"):
        codes.latency(halves, "stimulus_id")
    with pytest.raises(ValueError, match=r"^by: stimulus_id s00 was shown 2 times"):
        codes.correlations(recorded(np.ones((4, 3)), np.repeat([0, 1], 2)))
    broken = good.copy(deep=True)
    broken["response"][3, 1, 2] = np.nan
    for use in (codes.sparseness, codes.timescales, codes.correlations):
        with pytest.raises(ValueError, match=r"presentation 3, neuroid 1"):
            use(broken)


def test_lazy_recordings_give_the_same() -> None:
    eager = spikes("count")
    lazy = eager.chunk({"time": 5, "neuroid": 2})
    for use in (
        codes.sparseness, codes.correlations, codes.timescales, codes.consistency,
        lambda one: codes.latency(one, "stimulus_id"), codes.heterogeneity,
    ):  # fmt: skip
        xr.testing.assert_identical(use(lazy), use(eager))


# ---- table


def test_the_table_tells_what_was_planted_and_what_is_unknown() -> None:
    late = spikes("latency", trials=40)
    slow = codes.consistency(late)
    table = codes.table(
        latency=codes.latency(late, "stimulus_id"), consistency=slow,
        precision=codes.precision(late, "stimulus_id", widths=[0.03, 0.06]),
        sparseness=codes.sparseness(late), correlations=codes.correlations(late.assign_attrs(simultaneous=0),
                                                                           noise=False),
        information=information.single(late, "stimulus_id", binning="count", bins=3),
    )  # fmt: skip
    assert table.sizes["property"] == 14
    row = table
    place = {str(name): k for k, name in enumerate(row["property"].values)}
    assert "adds to the count" in str(row["effect"][place["Latency beyond count"]].values)
    assert "30 ms or finer" in str(row["rule"][place["Temporal precision"]].values)
    noise = row.isel(property=place["Noise correlation"])
    assert np.isnan(float(noise["value"]))
    assert "unavailable" in str(noise["effect"].values)
    gone = row.isel(property=place["Intrinsic timescale"])
    assert "no timescales was given" in str(gone["effect"].values)
    made = codes.plot(table)
    assert made.axes[0].tables[0].get_celld()[1, 0].get_text().get_text().startswith("Information")
    counted = codes.table(latency=codes.latency(spikes("count"), "stimulus_id", permutations=19))
    assert "adds nothing" in str(counted["effect"].values) or "not told apart" in str(
        counted["effect"].values
    )
    with pytest.raises(ValueError, match=r"^table: nothing was given"):
        codes.table()


def test_plots_show_what_they_say() -> None:
    late = spikes("count")
    for made, label in (
        (codes.sparseness(late), "sparseness"),
        (codes.heterogeneity(late, sizes=(1, 3), draws=2), "accuracy"),
        (codes.correlations(late), "noise correlation"), (codes.correlations(late, noise=False), "pairs"),
        (codes.fisher(late, "stimulus_id"), "Fisher"), (codes.timescales(late), "correlation of counts"),
        (codes.latency(late, "stimulus_id"), "first spike"), (codes.consistency(late), "half"),
        (codes.precision(late, "stimulus_id", widths=[0.03, 0.12], jitters=[0.01]), "information"),
    ):  # fmt: skip
        assert label in codes.plot(made).axes[0].get_ylabel()
    with pytest.raises(ValueError, match=r"^result: holds response"):
        codes.plot(late)
