"""Tests over units and within one, prevalence and contrasts: records, laws, refusals and what is planted."""

from __future__ import annotations

import warnings
from itertools import product

import mne
import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter1d, label, sum_labels
from scipy.stats import norm, ttest_1samp
from scipy.stats import t as student

from analyses import decoding, folds, statistics
from loaders import meg, schema, synthetic

TIMES = np.round(np.arange(-0.1, 0.3, 0.01), 9)
RECORD = (
    "n", "over", "test", "correction", "tail", "alpha", "permutations", "relabellings", "smallest_p",
    "p_peak", "peak", "peak_low", "peak_high", "peak_time_s", "baseline_score", "baseline_p", "chance",
)  # fmt: skip


def group(units: int = 12, effect: float = 0.05, seed: int = 0, dim: str = "subject") -> xr.Dataset:
    """AUC courses of units: autocorrelated noise, and an effect from 100 to 200 ms."""
    rng = np.random.default_rng(seed)
    noise = 0.03 * gaussian_filter1d(rng.standard_normal((units, TIMES.size)), 1.5, axis=1) * 2
    scores = 0.5 + noise + effect * ((TIMES > 0.095) & (TIMES < 0.205))
    attrs = {"chance": 0.5, "origin": "simulated", "label": "familiar", "kept_apart": "identity"}
    return xr.Dataset(
        {"auc": ((dim, "time"), scores, {"units": "1"})},
        {dim: [f"{k:02d}" for k in range(units)], "time": ("time", TIMES, {"units": "s"})},
        attrs,
    )


def within(permutations: int = 199, effect: float = 0.2, seed: int = 0, units: int = 0) -> xr.Dataset:
    """Scores with a null, of one subject, or of `units` subjects."""
    rng = np.random.default_rng(seed)
    first = ("subject",) if units else ()
    shape = (max(units, 1), permutations + 1, TIMES.size)
    scores = 0.5 + 0.1 * gaussian_filter1d(rng.standard_normal(shape), 1.5, axis=-1)
    scores[:, 0] += effect * ((TIMES > 0.095) & (TIMES < 0.205))
    scores = scores if units else scores[0]
    return xr.Dataset(
        {
            "auc": ((*first, "time"), scores[..., 0, :], {"units": "1"}),
            "null": ((*first, "permutation", "time"), scores[..., 1:, :], {"units": "1"}),
        },
        {"time": ("time", TIMES, {"units": "s"})},
        {"chance": 0.5, "presentations": "40, 40", "origin": "simulated"},
    )


def after(result: xr.Dataset) -> np.ndarray:
    return result["p"].sel(time=slice(0.1, 0.2)).values


CORRECTIONS = ("max-t", "cluster", "tfce", "fdr", "fdr-by", "none")


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_the_record_of_a_group_test(correction: str) -> None:
    recording = group()
    found = schema.check(statistics.sign_flip(recording, correction=correction, flips=999))
    assert set(RECORD) <= set(found.attrs)
    assert (found.attrs["n"], found.attrs["over"], found.attrs["test"]) == (12, "subject", "sign flip")
    assert found.attrs["correction"] == correction
    assert found.attrs["label"] == "familiar"
    assert found.attrs["smallest_p"] == pytest.approx(1 / 1000)
    plain = statistics.across(recording)
    for name in ("auc", "auc_low", "auc_high"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-12)
    assert after(found).min() < 0.05
    assert found.attrs["p_peak"] == found["p"].sel(time=slice(1e-9, None)).values.min()
    assert found.attrs["peak"] == found["auc"].sel(time=found.attrs["peak_time_s"]).item()
    assert found.attrs["peak_low"] < found.attrs["peak"] < found.attrs["peak_high"]
    assert ((found["p"] >= found["p_uncorrected"]) | (correction in ("cluster", "tfce"))).all()


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_the_record_of_one_subject(correction: str) -> None:
    found = schema.check(statistics.relabelled(within(999), correction=correction))
    assert set(RECORD) <= set(found.attrs)
    assert (found.attrs["n"], found.attrs["over"]) == (80, "presentation")
    assert found.attrs["test"] == "permutation of labels"
    assert found.attrs["permutations"] == 999
    assert after(found).min() < 0.05
    assert np.isnan(found.attrs["peak_low"])
    assert (found["null_low"] < found["null_high"]).all()
    assert float(found["p"].min()) >= 1 / 1000


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("tail", ["greater", "less", "two-sided"])
def test_tails(correction: str, tail: str) -> None:
    up, down = group(effect=0.05), group(effect=-0.05)
    seen = [
        after(statistics.sign_flip(each, tail=tail, correction=correction)).min() < 0.05
        for each in (up, down)
    ]
    assert seen == [tail != "less", tail != "greater"]
    seen = [
        after(statistics.relabelled(within(1999, effect=effect), tail=tail, correction=correction)).min()
        < 0.05
        for effect in (0.25, -0.25)
    ]
    assert seen == [tail != "less", tail != "greater"]


def test_less_is_greater_turned_over() -> None:
    up = group()
    down = up.assign(auc=1 - up["auc"])
    one, other = statistics.sign_flip(up), statistics.sign_flip(down, tail="less")
    np.testing.assert_allclose(one["p"], other["p"])
    np.testing.assert_allclose(one["t"], -other["t"])


def test_clusters_are_listed_with_their_borders() -> None:
    found = statistics.sign_flip(group(effect=0.08))
    best = int(np.argmin(found["cluster_p"].values))
    inside = found["cluster_index"].values == best + 1
    assert found["time"].values[inside][0] == found["cluster_start"].values[best]
    assert found["time"].values[inside][-1] == found["cluster_end"].values[best]
    assert found["cluster_mass"].values[best] == pytest.approx(found["t"].values[inside].sum())
    np.testing.assert_allclose(found["p"].values[inside], found["cluster_p"].values[best])
    assert (found["p"].values[found["cluster_index"].values == 0] == 1).all()
    assert found.attrs["threshold"] == pytest.approx(float(student.isf(0.05, 11)))
    none = schema.check(statistics.sign_flip(group(), threshold=50.0))
    assert "cluster_p" not in none
    assert (none["p"] == 1).all()


def test_default_thresholds_are_one_sided_for_one_tail() -> None:
    assert statistics.sign_flip(group(), tail="two-sided").attrs["threshold"] == pytest.approx(
        student.isf(0.025, 11)
    )
    one = statistics.relabelled(within(), correction="cluster")
    assert one.attrs["threshold"] == pytest.approx(norm.isf(0.05))


def test_few_units_are_tested_exactly() -> None:
    found = statistics.sign_flip(group(units=8), correction="max-t")
    assert found.attrs["permutations"] == 255
    assert found.attrs["smallest_p"] == 1 / 256
    two = statistics.sign_flip(group(units=8), correction="max-t", tail="two-sided")
    assert two.attrs["smallest_p"] == 1 / 128
    exact = found["p"].values * 256
    np.testing.assert_allclose(exact, exact.round())


def test_v11_p_is_never_zero() -> None:
    sure = group(units=20, effect=10.0)
    assert float(statistics.sign_flip(sure, flips=500)["p"].min()) == pytest.approx(1 / 501)
    assert float(statistics.relabelled(within(effect=9.0))["p"].min()) == pytest.approx(1 / 200)


@pytest.mark.parametrize(("permutations", "reaches"), [(10, False), (19, False), (20, True)])
def test_f64_too_few_permutations_for_alpha(permutations: int, reaches: bool) -> None:
    one = within(permutations)
    if reaches:
        statistics.relabelled(one)
        statistics.relabelled(one, correction="cluster")
        return
    with pytest.warns(UserWarning, match=rf"^permutations: {permutations} .*cannot reach p < 0\.05"):
        statistics.relabelled(one)
    for correction in ("cluster", "tfce"):
        with pytest.raises(ValueError, match=rf"^permutations: {permutations} .*cannot reach p < 0\.05"):
            statistics.relabelled(one, correction=correction)


@pytest.mark.parametrize(("flips", "reaches"), [(10, False), (19, False), (20, True)])
def test_f64_too_few_flips_for_alpha(flips: int, reaches: bool) -> None:
    if reaches:
        statistics.sign_flip(group(), flips=flips)
        return
    with pytest.warns(UserWarning, match=rf"^flips: {flips} .*cannot reach p < 0\.05"):
        statistics.sign_flip(group(), flips=flips, correction="max-t")
    with pytest.raises(ValueError, match=rf"^flips: {flips} .*cannot reach p < 0\.05"):
        statistics.sign_flip(group(), flips=flips)


def test_f64_few_units_and_few_relabellings_are_too_few_as_well() -> None:
    with pytest.raises(
        ValueError, match=r"^flips: 15 of 4 units cannot reach p < 0\.05, the smallest is 0\.0625"
    ):
        statistics.sign_flip(group(units=4))
    statistics.sign_flip(group(units=4), alpha=0.1)
    one = within(999).assign_attrs(relabellings=12.0)
    with pytest.warns(UserWarning, match=r"cannot reach p < 0\.05, the smallest is 0\.0833"):
        found = statistics.relabelled(one)
    assert found.attrs["smallest_p"] == pytest.approx(1 / 12)


def test_v10_two_families_declared_as_one_are_corrected_as_one() -> None:
    one, two = within(seed=1, effect=0.15), within(seed=2, effect=0.0)
    both = xr.concat([one, two], "condition")
    alone, together = statistics.relabelled(one), statistics.relabelled(both.transpose(..., "time"))
    assert together["p"].sizes == {"condition": 2, "time": TIMES.size}
    largest = both["null"].max(["condition", "time"]).values
    expected = [(1 + (largest >= score).sum()) / 200 for score in one["auc"].values]
    np.testing.assert_allclose(together["p"].isel(condition=0), expected)
    assert (together["p"].isel(condition=0) >= alone["p"]).all()
    assert (together["p"].isel(condition=0) > alone["p"]).any()


def test_v10_time_generalization_is_one_family() -> None:
    rng = np.random.default_rng(0)
    square = 0.5 + 0.05 * rng.standard_normal((12, 40, 40))
    late = (TIMES > 0.1)[:, None] & (TIMES > 0.1)
    axes = {"time": TIMES, "test_time": TIMES}
    made = xr.Dataset(
        {"auc": (("subject", "time", "test_time"), square + 0.03 * late)}, axes, {"chance": 0.5}
    )
    found = schema.check(statistics.sign_flip(made, flips=500))
    inside = found["p"].values[late]
    assert (inside < 0.05).mean() > 0.3
    assert (found["p"].values[~late] < 0.05).mean() < 0.05
    assert "cluster_start" not in found
    assert found.attrs["baseline_score"] == pytest.approx(square[:, :10, :10].mean())


def test_sensors_and_times_are_tested_with_their_neighbours() -> None:
    found = []
    for subject in range(1, 9):
        recording = synthetic.meg_faces(seed=0, subject=subject, sites=12, identities=4, images=3, snr=3.0)
        recording = recording.isel(neuroid=recording["kind"].values == "mag", time=slice(0, None, 4))
        found.append(statistics.contrast(recording, "familiar"))
    adjacency = meg.adjacency(recording)
    gathered = xr.concat(found, "subject", combine_attrs="drop_conflicts")
    result = schema.check(statistics.sign_flip(gathered, adjacency=adjacency, tail="two-sided"))
    assert result["p"].dims == ("neuroid", "time")
    assert result["p"].sizes["neuroid"] == 12
    assert result.attrs["chance"] == 0
    assert "neuroid_id" in result.coords
    order = np.random.default_rng(0).permutation(12)
    mixed = statistics.sign_flip(gathered.isel(neuroid=order), adjacency=adjacency, tail="two-sided")
    np.testing.assert_allclose(mixed["p"], result["p"].isel(neuroid=order))
    alone = statistics.sign_flip(gathered, tail="two-sided")
    assert alone["cluster_p"].size > result["cluster_p"].size
    with pytest.raises(ValueError, match=r"^adjacency: knows no MEG"):
        statistics.sign_flip(gathered, adjacency=adjacency.isel(neuroid=slice(9), other_neuroid=slice(9)))
    assert statistics.plot(result).axes[0].get_ylabel() == "neuroid"


def test_two_sided_with_every_set_of_signs_agrees_with_mne() -> None:
    recording = group(units=8, effect=0.02, seed=2)
    found = statistics.sign_flip(recording, threshold=1.2, tail="two-sided")
    mne.set_log_level("ERROR")
    _, _, p, _ = mne.stats.permutation_cluster_1samp_test(
        recording["auc"].values - 0.5, threshold=1.2, tail=0, n_permutations=5000
    )
    assert p.size > 2
    np.testing.assert_allclose(np.sort(found["cluster_p"]), np.sort(p))


def test_one_sided_with_every_set_of_signs_is_the_share_of_all_of_them() -> None:
    """MNE 1.12 counts the true signs twice here, and all signs flipped not at all."""
    recording = group(units=7, effect=0.02)
    found = statistics.sign_flip(recording, threshold=1.5)
    largest = []
    for signs in product((1.0, -1.0), repeat=7):
        t = ttest_1samp(np.array(signs)[:, None] * (recording["auc"].values - 0.5), 0).statistic
        labels, count = label(t > 1.5)
        largest.append(max(sum_labels(t, labels, np.arange(1, count + 1)), default=0.0))
    expected = [(np.array(largest) >= mass - 1e-9).mean() for mass in found["cluster_mass"].values]
    np.testing.assert_allclose(found["cluster_p"], expected)


def test_v14_a_shifted_baseline_is_told() -> None:
    clean, shifted = group(units=16), group(units=16)
    shifted["auc"] = shifted["auc"] + 0.04 * (shifted["time"] < 0)
    assert statistics.sign_flip(clean).attrs["baseline_p"] > 0.05
    assert statistics.sign_flip(shifted).attrs["baseline_p"] < 0.01
    below = shifted.assign(auc=1 - shifted["auc"])
    assert statistics.sign_flip(below).attrs["baseline_p"] < 0.01
    one = within(effect=0.0)
    leak = one.assign(auc=one["auc"] - 0.2 * (one["time"] < 0))
    assert statistics.relabelled(one).attrs["baseline_p"] > 0.05
    assert statistics.relabelled(leak).attrs["baseline_p"] == pytest.approx(1 / 200)


def test_v14_the_baseline_ends_where_the_filter_reaches() -> None:
    smeared = group(units=16)
    smeared["auc"] = smeared["auc"] + 0.2 * ((smeared["time"] < 0) & (smeared["time"] > -0.035))
    assert statistics.sign_flip(smeared).attrs["baseline_p"] < 0.05
    assert statistics.sign_flip(smeared.assign_attrs(filter_reach_s=0.04)).attrs["baseline_p"] > 0.05
    far = statistics.sign_flip(smeared.assign_attrs(filter_reach_s=9.0)).attrs
    assert far["baseline_p"] == statistics.sign_flip(smeared).attrs["baseline_p"]
    late = statistics.sign_flip(group().sel(time=slice(0, None)))
    assert np.isnan(late.attrs["baseline_p"])
    assert np.isnan(late.attrs["baseline_score"])


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_one_moment_is_enough(correction: str) -> None:
    moment = group().sel(time=[0.15])
    found = schema.check(statistics.sign_flip(moment, correction=correction))
    assert found.attrs["p_peak"] == float(found["p"][0]) < 0.05
    one = schema.check(statistics.relabelled(within().sel(time=[0.15]), correction=correction))
    assert one.attrs["p_peak"] == pytest.approx(float(one["p"][0]))
    statistics.plot(found).savefig("/dev/null", format="png")
    many = statistics.prevalence(within(units=8).sel(time=[0.15]))
    assert many["p"].sizes == {"time": 1}


def test_resampled_scores_give_the_interval_of_one_subject() -> None:
    one = within()
    draws = np.random.default_rng(0).normal(0.6, 0.02, (400, TIMES.size))
    one["resampled"] = (("bootstrap", "time"), draws, {"units": "1"})
    found = statistics.relabelled(one)
    np.testing.assert_allclose(found["auc_low"], np.quantile(draws, 0.025, axis=0))
    np.testing.assert_allclose(found["auc_high"], np.quantile(draws, 0.975, axis=0))
    assert found.attrs["peak_low"] < found.attrs["peak_high"]


def test_variables_are_found_by_name() -> None:
    recording = group()
    recording["rank"] = recording["auc"] * 2
    assert "auc" in statistics.sign_flip(recording)
    named = statistics.sign_flip(recording, variable="rank")
    assert "rank_low" in named
    assert named.attrs["chance"] == 0
    with pytest.raises(ValueError, match=r"^variable: 2 with dimensions subject, time"):
        statistics.sign_flip(recording.rename(auc="other"))
    with pytest.raises(ValueError, match=r"^variable: 'nothing'; it has auc, rank"):
        statistics.sign_flip(recording, variable="nothing")
    with pytest.raises(ValueError, match=r"^auc: attrs state no one chance"):
        statistics.sign_flip(
            recording.drop_attrs() if hasattr(recording, "drop_attrs") else xr.Dataset(recording.data_vars)
        )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"correction": "bonferroni"}, r"^correction: 'bonferroni'; use one of max-t"),
        ({"tail": "both"}, r"^tail: 'both'; use one of"),
        ({"alpha": 0.0}, r"^alpha: 0\.0; wanted"),
        ({"threshold": -1.0}, r"^threshold: -1\.0; wanted a number above 0"),
        ({"flips": 0}, r"^flips: 0; give at least 1"),
        ({"dim": "seed"}, r"^variable: 0 with dimensions seed, time"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        statistics.sign_flip(group(), **wrong)


def test_missing_numbers_are_named_and_not_imputed() -> None:
    recording = group()
    recording["auc"][3, 5] = np.nan
    with pytest.raises(ValueError, match=r"^auc: subject 03, time -0\.05 has no number"):
        statistics.sign_flip(recording)


def test_a_null_that_is_missing_or_was_left_out_is_told() -> None:
    with pytest.raises(ValueError, match=r"^null: missing; decode with permutations"):
        statistics.relabelled(within().drop_vars("null"))
    left = within(units=6).drop_vars("null").assign_attrs(left_out=["null: shapes differ (100, 200)"])
    with pytest.raises(
        ValueError, match=r"^null: missing \(null: shapes differ \(100, 200\)\); .*the same number"
    ):
        statistics.prevalence(left)
    with pytest.raises(ValueError, match=r"^null: has dimension 'subject'; test units together"):
        statistics.relabelled(within(units=6))
    holes = within(units=6)
    holes["null"][2, 190:] = np.nan
    with pytest.raises(ValueError, match=r"^null: subject 2, permutation 190"):
        statistics.prevalence(holes)


def test_v09_prevalence_counts_the_units_that_show_it() -> None:
    found = schema.check(statistics.prevalence(within(units=12, effect=0.5)))
    assert found.attrs["significant"] == found.attrs["n"] == 12
    assert found.attrs["prevalence"] == 1
    assert found.attrs["prevalence_low"] > 0.7
    assert found.attrs["prevalence_bound"] > 0.4
    assert found["unit_p"].dims == ("subject",)
    assert after(found).min() < 0.01
    none = statistics.prevalence(within(units=12, effect=0.0, seed=3))
    assert none.attrs["prevalence_low"] == 0
    assert none.attrs["prevalence_bound"] == 0
    with pytest.raises(ValueError, match=r"^permutations: 10 cannot reach p < 0\.05"):
        statistics.prevalence(within(10, units=4))


@pytest.mark.parametrize("correction", ["max-t", "cluster", "tfce"])
def test_within_units_the_tests_of_prevalence_are_those_of_one_subject(correction: str) -> None:
    many = within(units=4, effect=0.15)
    found = statistics.prevalence(many, correction=correction)
    for unit in range(4):
        one = many.isel(subject=unit).isel(time=np.flatnonzero(TIMES > 0))
        alone = statistics.relabelled(one, correction=correction)
        assert float(found["unit_p"][unit]) == pytest.approx(float(alone["p"].min()))


def test_v09_prevalence_covers_a_share_of_three_in_ten() -> None:
    """A strong effect in 30 % of the population: the interval holds .3 as often as it says."""
    rng, covered = np.random.default_rng(0), 0
    for seed in range(60):
        many = within(60, units=20, effect=0.0, seed=seed).isel(time=slice(0, None, 4))
        has = rng.random(20) < 0.3
        many["auc"] = many["auc"] + xr.DataArray(2.0 * has, dims="subject") * (many["time"] > 0.1)
        told = statistics.prevalence(many, draws=50).attrs
        covered += told["prevalence_low"] <= 0.3 <= told["prevalence_high"]
    assert covered >= 52  # 95 % of 60 is 57; below 52 has probability .01


def test_v04_an_effect_in_one_of_sixteen_is_no_group_claim() -> None:
    """One subject with a huge effect measured very well, and fifteen at chance."""
    claims = 0
    for seed in range(20):
        recording = group(units=16, effect=0.0, seed=seed)
        course = 0.4 * ((TIMES > 0.095) & (TIMES < 0.205))
        recording["auc"][4] = 0.5 + course
        claims += any(
            after(statistics.sign_flip(recording, correction=correction, flips=999)).min() < 0.05
            for correction in ("cluster", "max-t", "tfce")
        )
    assert claims <= 4
    many = within(99, units=16, effect=0.0, seed=9)
    many["auc"][4] += 0.45 * ((TIMES > 0.095) & (TIMES < 0.205))
    told = statistics.prevalence(many).attrs
    assert told["prevalence_low"] < 0.1
    assert told["prevalence_bound"] == 0


def test_contrast_weighs_stimuli_equally() -> None:
    rng = np.random.default_rng(0)
    stimulus = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 9])
    response = rng.standard_normal((stimulus.size, 3, 4))
    recording = xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response, {"units": "T"})},
        {
            "stimulus_id": ("presentation", stimulus.astype(str)),
            "neuroid_id": ("neuroid", ["a", "b", "c"]),
            "known": ("presentation", np.where(stimulus < 2, "no", "yes")),
            "time": np.arange(4) / 100,
        },
        {"origin": "simulated"},
    )
    found = schema.check(statistics.contrast(recording, "known"))
    means = np.array([response[stimulus == k].mean(axis=0) for k in range(6)])
    np.testing.assert_allclose(
        found["difference"], means[2:].mean(axis=0) - means[:2].mean(axis=0), rtol=1e-12
    )
    assert found["difference"].dims == ("neuroid", "time")
    assert found["difference"].units == "T"
    assert found.attrs["classes"] == "no, yes"
    assert "neuroid_id" in found.coords
    np.testing.assert_allclose(
        statistics.contrast(recording.chunk({"neuroid": 1}), "known")["difference"], found["difference"]
    )
    with pytest.raises(ValueError, match=r"^label 'stimulus_id': 6 classes"):
        statistics.contrast(recording, "stimulus_id")


@pytest.mark.parametrize("dim", ["subject", "recording"])
def test_same_seed_same_bits_and_any_order_of_units(dim: str) -> None:
    recording = group(units=9, dim=dim)
    one, two = (statistics.sign_flip(recording, dim=dim, flips=5000) for _ in range(2))
    xr.testing.assert_identical(one, two)
    turned = statistics.sign_flip(recording.isel({dim: slice(None, None, -1)}), dim=dim)
    np.testing.assert_allclose(turned["p"], one["p"])  # every set of signs was taken
    sixteen = group(units=16, dim=dim)
    assert (
        statistics.sign_flip(sixteen, dim=dim, seed=1)["p_uncorrected"]
        != statistics.sign_flip(sixteen, dim=dim)["p_uncorrected"]
    ).any()


def test_real_nulls_of_a_decoder_can_be_tested() -> None:
    recording = synthetic.null(seed=0, stimuli=20, repeats=4, neuroids=10, times=6)
    found = decoding.time_resolved(recording, "label", estimator="ridge", permutations=99)
    result = schema.check(statistics.relabelled(found))
    assert result["p"].sizes == {"time": 6}
    assert result.attrs["n"] == 80


def test_v06_relabellings_are_counted() -> None:
    recording = synthetic.meg_faces(seed=0, sites=2, identities=8, images=2, repeats=1)
    split = folds.split(recording, "familiar")
    drawn = folds.relabel(recording, "familiar", split, 20000)
    count = folds.relabellings(recording, "familiar", split)
    assert count == len(np.unique(drawn, axis=0))
    assert count == 864  # 16 identities in 5 folds
    many = synthetic.null(seed=0, stimuli=3000, repeats=1, neuroids=1, times=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert folds.relabellings(many, "label", folds.split(many, "label")) == np.inf


def plotted(result: xr.Dataset) -> list:
    figure = statistics.plot(result)
    figure.canvas.draw()
    return figure.axes


def test_plots_say_which_test_and_mark_where_p_is_small() -> None:
    (axes,) = plotted(statistics.sign_flip(group()))
    assert "sign flip, corrected by cluster, n = 12 subjects" in axes.get_title(loc="right")
    assert "p < 0.05, corrected" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert axes.get_ylabel() == "AUC"
    (axes,) = plotted(statistics.relabelled(within()))
    assert "n = 80 presentations" in axes.get_title(loc="right")
    assert "simulated" in axes.get_title(loc="right")
    curve, _ = plotted(statistics.prevalence(within(units=12)))
    assert curve.get_xlabel() == "time from stimulus onset (s)"
    assert len(plotted(statistics.across(group()))) == 1
