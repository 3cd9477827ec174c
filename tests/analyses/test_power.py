"""Power at one's own n: what the curve says is what fresh simulations find, and at no effect it is alpha."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import binomtest

from analyses import _flips, power

TIME = np.arange(-0.1, 0.4, 0.005)
OPTIONS = {"window": [0.1, 0.3]}
WINDOW = (TIME >= 0.1) & (TIME <= 0.3)


def noise(rng: np.random.Generator, count: int, spread: float = 0.03) -> np.ndarray:
    """Autocorrelated courses (count, time)."""
    white = rng.standard_normal((count, TIME.size + 50))
    return spread * np.sqrt(1 - 0.8**2) * lfilter([1], [1, -0.8], white)[:, 50:]


def group(seed: int, n: int = 16, effect: float = 0.0) -> xr.Dataset:
    auc = 0.5 + noise(np.random.default_rng(seed), n) + effect * WINDOW
    return xr.Dataset(
        {"auc": (("subject", "time"), auc)}, {"time": TIME}, {"chance": 0.5, "origin": "simulated"}
    )


def single(seed: int, permutations: int = 400, effect: float = 0.0) -> xr.Dataset:
    courses = 0.5 + noise(np.random.default_rng(seed), permutations + 1)
    auc = courses[0] + effect * WINDOW
    return xr.Dataset(
        {"auc": ("time", auc), "null": (("permutation", "time"), courses[1:])},
        {"time": TIME},
        {"chance": 0.5},
    )


def detected(recording: xr.Dataset, flips: int, seed: int) -> bool:
    """Sign flip with max-T, written out from its definition: Student's t under every set of signs."""
    values = recording["auc"].values - 0.5
    signs = np.random.default_rng(seed).choice([-1, 1], (flips, len(values)))
    t = [(x := one[:, None] * values).mean(0) / x.std(0, ddof=1) for one in (np.ones(len(values)), *signs)]
    largest = np.max(t, axis=1)
    return bool((largest >= largest[0]).mean() < 0.05)


@pytest.mark.parametrize(("n", "effects"), [(16, (0.0, 0.012, 0.018)), (8, (0.0, 0.02, 0.03))])
def test_v34_the_share_found_in_fresh_simulations_is_on_the_curve(n: int, effects: tuple[float, ...]) -> None:
    own = [
        power.at_own_n(group(seed, n, effect=0.02), effects=effects, sets=40, flips=200, seed=seed, **OPTIONS)
        for seed in range(16)
    ]
    curves = np.array([item["power"].values for item in own])
    fresh = 150
    for place, effect in enumerate(effects):
        hits = sum(detected(group(1000 + seed, n, effect), 200, seed) for seed in range(fresh))
        low, high = binomtest(hits, fresh).proportion_ci(0.99)
        error = 2.6 * curves[:, place].std(ddof=1) / np.sqrt(len(own))
        assert low - error <= curves[:, place].mean() <= high + error


def test_v34_without_an_effect_power_is_alpha() -> None:
    hits = sets = 0
    for seed in range(10):
        found = power.at_own_n(group(seed, effect=0.03), effects=[0.0], sets=100, flips=200, seed=seed)
        hits, sets = hits + round(float(found["power"][0]) * 100), sets + 100
    assert binomtest(hits, sets, 0.05).pvalue > 0.005


def test_v34_one_subjects_power_is_that_of_its_own_null() -> None:
    effects = [0.0, 0.05, 0.08]
    curves = [
        power.at_own_n(single(seed), effects=effects, window=[0.1, 0.3], sets=400)["power"].values
        for seed in range(8)
    ]
    mean = np.mean(curves, axis=0)
    assert mean[0] == pytest.approx(0.05, abs=0.005)  # by construction: each course is one of the null
    for place, effect in enumerate(effects[1:], start=1):
        hits = 0
        for seed in range(200):
            fresh = single(500 + seed, effect=effect)
            largest = np.append(fresh["auc"].values.max(), fresh["null"].values.max(axis=1))
            hits += bool((largest >= largest[0]).mean() < 0.05)
        low, high = binomtest(hits, 200).proportion_ci(0.99)
        assert low - 0.05 <= mean[place] <= high + 0.05


def test_the_curve_rises_and_says_where_it_is_enough() -> None:
    found = power.at_own_n(group(0), window=[0.1, 0.3], sets=100, flips=200)
    curve = found["power"].values
    assert (np.diff(curve) >= -1e-12).all()
    assert found["effect"].values[0] == 0
    assert (found["power_low"] <= found["power"]).all()
    assert (found["power"] <= found["power_high"]).all()
    smallest = found.attrs["smallest_effect"]
    assert np.interp(smallest, found["effect"], curve) == pytest.approx(0.8)
    assert found.attrs["smallest_effect_low"] <= smallest <= found.attrs["smallest_effect_high"]
    assert found.attrs["n"] == 16
    assert found.attrs["over"] == "subject"


def test_intervals_are_exact() -> None:
    hits = np.array([[True, True, False]] * 10 + [[True, False, False]] * 30)
    made = power._curve(np.array([0.1, 0.2, 0.3]), hits)
    for place, count in enumerate((40, 10, 0)):
        low, high = binomtest(count, 40).proportion_ci(0.95, method="exact")
        assert float(made["power_low"][place]) == pytest.approx(low)
        assert float(made["power_high"][place]) == pytest.approx(high)


def test_more_subjects_find_smaller_effects() -> None:
    options = {"effects": np.arange(0, 0.06, 0.005), "window": [0.1, 0.3], "sets": 100, "flips": 200}
    smallest = [power.at_own_n(group(1, n), **options).attrs["smallest_effect"] for n in (8, 16, 32)]
    assert smallest[0] > smallest[1] > smallest[2]


def test_too_few_subjects_have_no_power_and_say_so() -> None:
    with pytest.warns(UserWarning, match="cannot reach p < 0.05: the smallest p is 0.062"):
        found = power.at_own_n(group(0, n=4), effects=[0, 0.5], sets=20)
    assert found["power"].values.tolist() == [0, 0]
    assert np.isnan(found.attrs["smallest_effect"])


def test_one_moment_and_every_shape() -> None:
    one = group(0).isel(time=[60])
    found = power.at_own_n(one, effects=[0, 0.1], sets=30, flips=200)
    assert float(found["power"][1]) == 1
    strong = group(0, effect=0.1)
    for shape in power.SHAPES:
        made = power.at_own_n(strong, shape=shape, window=[0.1, 0.3], effects=[0, 0.1], sets=30, flips=200)
        assert float(made["power"][1]) == 1
    course = strong["auc"].mean("subject")
    ramp = power._shape(course, "ramp", [0.1, 0.2], strong)
    assert np.interp([0.05, 0.15, 0.25], TIME, ramp) == pytest.approx([0, 0.5, 1], abs=0.03)
    observed = power._shape(course, "observed", None, strong)
    assert observed[TIME <= 0].max() == 0
    assert observed.max() == 1


def test_the_same_seed_gives_the_same_bytes() -> None:
    options = {"effects": [0, 0.02], "sets": 30, "flips": 100}
    first, again = (power.at_own_n(group(0), seed=3, **options) for _ in range(2))
    xr.testing.assert_identical(first, again)
    assert not first.identical(power.at_own_n(group(0), seed=4, **options))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"alpha": 0}, "^alpha: 0; "), ({"sets": 0}, "^sets: 0; "), ({"flips": 0}, "^flips: 0; "),
        ({"effects": [0.1, 0]}, "^effects: "), ({"effects": []}, "^effects: "),
        ({"effects": [-0.1]}, "^effects: "), ({"effects": [np.nan]}, "^effects: "),
        ({"shape": "gauss"}, "^shape: 'gauss'; use one of boxcar, ramp, observed"),
        ({"window": [3, 4]}, r"^window: \[3, 4\] s; there is none"),
        ({"dim": "animal"}, "^recording: has neither dimension 'animal' nor variable 'null'"),
    ],
)  # fmt: skip
def test_wrong_arguments_begin_with_their_name(change: dict, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        power.at_own_n(group(0), **change)


def test_one_subject_of_a_group_and_a_flat_course_are_refused() -> None:
    with pytest.raises(ValueError, match="dimension 'subject': 1; at least 2 are needed"):
        power.at_own_n(group(0, n=1))
    gap = group(0)
    gap["auc"][3, 7] = np.nan
    with pytest.raises(ValueError, match=r"auc: subject 3, time .* has no number"):
        power.at_own_n(gap)
    flat = group(0)
    flat["auc"] = flat["auc"] * 0 + 0.4
    with pytest.raises(ValueError, match="shape: 'observed'; nothing lies above chance"):
        power.at_own_n(flat, shape="observed")


def test_the_statistic_is_students() -> None:
    values = noise(np.random.default_rng(0), 12)
    t = values.mean(0) / values.std(0, ddof=1) * np.sqrt(12)
    np.testing.assert_allclose(_flips.student(_flips.scaled(values).sum(0), 12), t, rtol=1e-9)


def test_the_picture_has_axes_alpha_and_the_power_wanted() -> None:
    found = power.at_own_n(group(0), sets=30, flips=100)
    (axes,) = power.plot(found).axes
    assert axes.get_xlabel() == "planted effect (AUC above chance)"
    heights = {round(float(line.get_ydata()[0]), 3) for line in axes.lines if len(line.get_ydata()) == 2}
    assert {0.05, 0.8} <= heights
    assert "n = 16 subjects" in axes.get_title(loc="left")
    assert "simulated" in axes.get_title(loc="right")
