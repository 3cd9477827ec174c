"""How often a test finds what is not there, on null sets whose shapes would mislead a careless one.

The quick tests use a small part with fixed seeds; the slow ones 1000 sets, and print the shares. Bands are
those of the binomial at the number of sets. Labels that come in blocks under drift or memory are not
exchangeable, whatever the folds: there the test is shown to fail, and the order of labels to be told.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import dask
import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter1d
from scipy.stats import binom, kstest

from analyses import decoding, folds, statistics
from loaders import synthetic

EXCHANGEABLE = ("white", "repeated", "imbalanced", "skewed")
IN_BLOCKS = ("drift", "autocorrelated")
ALPHA = 0.05


def holds(hits: int, sets: int, level: float = 0.99, most: bool = False) -> bool:
    """Whether so many false positives lie in the binomial band of alpha; `most`: or below it."""
    low, high = binom.interval(level, sets, ALPHA)
    return bool((most or low <= hits) and hits <= high)


def single(p: float, permutations: int, rng: np.random.Generator) -> float:
    """p made continuous: one of many equal steps, anywhere within its step."""
    return p - rng.random() / (permutations + 1)


def searches(
    shape: str, sets: int, permutations: int, options: dict | None = None, **design: int
) -> tuple[dict[str, int], float]:
    """False positives of each correction over null sets, and the p of p being uniform at one time."""
    hits, alone, rng = {"max-t": 0, "cluster": 0, "tfce": 0, "fdr": 0}, [], np.random.default_rng(0)
    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "label 'label': comes in blocks")
        for seed in range(sets):
            recording = synthetic.null(seed=seed, shape=shape, **design)
            found = decoding.time_resolved(
                recording, "label", estimator="ridge", permutations=permutations, seed=seed, **(options or {})
            )
            for correction in hits:
                p = statistics.relabelled(found, correction=correction)["p"]
                hits[correction] += bool((p <= ALPHA + 1e-12).any())
            moment = statistics.relabelled(found.isel(time=[-1]), correction="none")["p"]
            alone.append(single(float(moment[0]), permutations, rng))
    return hits, float(kstest(alone, "uniform").pvalue)


SMALL = {"stimuli": 20, "repeats": 2, "neuroids": 8, "times": 4}
FULL = {"stimuli": 40, "repeats": 4, "neuroids": 20, "times": 6}


def test_v06_false_positives_of_one_subject_in_a_small_part() -> None:
    total: dict[str, int] = {}
    for shape in EXCHANGEABLE:
        hits, uniform = searches(shape, 40, 59, **SMALL)
        assert uniform > 0.001, shape
        total = {key: total.get(key, 0) + value for key, value in hits.items()}
    assert all(holds(hits, 160, 0.999, most=True) for hits in total.values()), total
    assert min(total["max-t"], total["cluster"], total["tfce"]) > 0, total


@pytest.mark.slow
@pytest.mark.parametrize("shape", EXCHANGEABLE)
def test_v06_false_positives_of_one_subject(shape: str) -> None:
    hits, uniform = searches(shape, 1000, 199, **FULL)
    print(f"\n{shape}: of 1000 null sets {hits}; uniform p = {uniform:.3f}")
    assert uniform > 0.01
    for correction in ("max-t", "cluster", "tfce"):
        assert holds(hits[correction], 1000), (correction, hits)
    assert holds(hits["fdr"], 1000, most=True), hits


@pytest.mark.slow
def test_v06_trials_exchanged_freely_find_what_is_not_there() -> None:
    """Images with patterns of their own: trials are no unit of exchange, their stimuli are."""
    design = {"stimuli": 40, "repeats": 10, "neuroids": 50, "times": 6}
    right, _ = searches("repeated", 200, 99, **design)
    wrong, _ = searches("repeated", 200, 99, {"exchange": "presentation"}, **design)
    print(f"\nrepeated, of 200: stimuli exchanged {right}; trials exchanged {wrong}")
    assert holds(right["max-t"], 200)
    assert not holds(wrong["max-t"], 200, most=True)


def test_v06_trials_exchanged_freely_between_runs_in_a_small_part() -> None:
    by_run = {"groups": "run", "overlap": ["stimulus_id"], "exchange": "presentation"}
    design = {"stimuli": 20, "repeats": 5, "neuroids": 20, "times": 4}
    wrong, _ = searches("repeated", 15, 39, by_run, **design)
    right, _ = searches("repeated", 15, 39, **design)
    assert holds(right["max-t"], 15, most=True), right
    assert not holds(wrong["max-t"], 15, most=True), wrong


@pytest.mark.parametrize("shape", IN_BLOCKS)
def test_labels_in_blocks_are_not_exchangeable_and_that_is_told(shape: str) -> None:
    hits, _ = searches(shape, 25, 39, **FULL)
    assert not holds(hits["max-t"], 25, most=True), hits
    recording = synthetic.null(seed=0, shape=shape, **FULL)
    assert folds.blocked(recording, "label") < -4
    found = decoding.time_resolved(recording, "label", estimator="ridge", permutations=39)
    with pytest.warns(UserWarning, match=r"^label 'label': comes in blocks .* p is too small"):
        statistics.relabelled(found.assign_attrs(blocked_z=folds.blocked(recording, "label")))


def courses(units: int, seed: int, kind: str = "normal") -> xr.Dataset:
    """AUC courses of units at chance with memory from time to time; each unit has a size of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((units, 60)) if kind == "normal" else rng.standard_t(3, (units, 60))
    scores = 0.5 + 0.02 * rng.uniform(0.5, 2, (units, 1)) * gaussian_filter1d(noise, 2, axis=1)
    return xr.Dataset(
        {"auc": (("subject", "time"), scores, {"units": "1"})},
        {"time": np.arange(60) / 100 - 0.1},
        {"chance": 0.5},
    )


def claims(sets: int, flips: int, **options: object) -> tuple[dict[str, int], int]:
    """False positives of each correction over groups at chance, and those of the baseline."""
    hits, early = {"cluster": 0, "max-t": 0, "tfce": 0, "fdr": 0}, 0
    for seed in range(sets):
        recording = courses(16, seed, kind=("normal", "heavy")[seed % 2])
        for correction in hits:
            found = statistics.sign_flip(recording, correction=correction, flips=flips, seed=seed, **options)  # type: ignore[arg-type]
            hits[correction] += bool((found["p"] <= ALPHA + 1e-12).any())
        early += found.attrs["baseline_p"] <= ALPHA + 1e-12
    return hits, early


def test_v10_false_positives_of_groups_in_a_small_part() -> None:
    hits, early = claims(100, 199)
    assert all(holds(found, 100, 0.999, most=True) for found in (*hits.values(), early)), hits
    assert hits["cluster"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("tail", ["greater", "two-sided"])
def test_v10_false_positives_of_groups(tail: str) -> None:
    hits, early = claims(1000, 999, tail=tail)
    print(f"\ngroups, {tail}: of 1000 {hits}, baseline {early}")
    assert all(holds(hits[name], 1000) for name in ("cluster", "max-t", "tfce")), hits
    assert holds(hits["fdr"], 1000, most=True), hits
    assert holds(early, 1000)


def test_v10_each_time_by_itself_finds_what_is_not_there() -> None:
    hits = sum(
        bool((statistics.sign_flip(courses(16, seed), correction="none", flips=199)["p"] <= ALPHA).any())
        for seed in range(40)
    )
    assert not holds(hits, 40, most=True)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_v09_prevalence_covers_the_share_that_was_planted(share: float) -> None:
    """1000 studies of 16 subjects with 199 permutations; the effect, where it is, is strong."""
    rng, covered, exceeded = np.random.default_rng(1), 0, 0
    time = np.arange(10) / 20 - 0.1
    for _ in range(1000):
        scores = 0.5 + 0.05 * gaussian_filter1d(rng.standard_normal((16, 200, 10)), 1, axis=-1)
        scores[rng.random(16) < share, 0] += 0.5 * (time > 0.1)
        told = statistics.prevalence(
            xr.Dataset(
                {
                    "auc": (("subject", "time"), scores[:, 0]),
                    "null": (("subject", "permutation", "time"), scores[:, 1:]),
                },
                {"time": time},
                {"chance": 0.5},
            ),
            draws=500,
        ).attrs
        covered += told["prevalence_low"] <= share <= told["prevalence_high"]
        exceeded += told["prevalence_bound"] > share
    print(f"\nshare {share}: covered {covered} of 1000, bound above it {exceeded}")
    assert covered >= binom.ppf(0.005, 1000, 0.95)
    assert exceeded <= binom.ppf(0.995, 1000, ALPHA)


@lru_cache
def oracle(effect: float, identity: float, filter: str, groups: str, seed: int = 0) -> xr.Dataset:
    """Group test of 16 subjects of the oracle generator, as its rows state it."""
    found = []
    for subject in range(1, 17):
        recording = synthetic.meg_oracle(
            seed=seed, subject=subject, familiarity=effect, identity=identity, filter=filter
        )
        result = decoding.time_resolved(recording, "familiar", strength=0.1, standardize=False, groups=groups)
        found.append(result[["auc"]])
    gathered = xr.concat(found, "subject", combine_attrs="override")
    return statistics.sign_flip(gathered, flips=2000, threshold=1.753)


def starts(result: xr.Dataset) -> np.ndarray:
    """First times of the significant clusters: what the oracle's rows state, and no onsets."""
    if "cluster_p" not in result:
        return np.empty(0)
    return np.asarray(result["cluster_start"].values[result["cluster_p"].values < ALPHA])


@pytest.mark.slow
def test_oracle_meg1_to_4_first_clusters() -> None:
    strong, weak, zero, causal = (
        starts(oracle(effect, 0.0, filter, "stimulus_id")).min()
        for effect, filter in ((1.2, "none"), (0.45, "none"), (1.2, "zero-phase"), (1.2, "causal"))
    )
    print(f"\nfirst clusters: strong {strong}, weak {weak}, zero-phase {zero}, causal {causal}")
    assert 0.088 <= strong <= 0.108
    assert strong < weak
    assert 0.100 <= weak <= 0.140
    assert zero <= strong
    assert causal >= strong + 0.012 - 1e-9


@pytest.mark.slow
def test_oracle_meg5_and_6_a_false_cluster_only_by_random_folds() -> None:
    leak, ours = (starts(oracle(0.0, 1.0, "none", groups)) for groups in ("ungrouped", "stimulus_id"))
    print(f"\nclusters without an effect: random folds {leak}, folds by image {ours}")
    assert leak.size > 0
    assert ours.size == 0
