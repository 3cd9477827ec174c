"""Arms against a baseline: intervals by hand, what does not meet, and the plot."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ttest_rel

from analyses import arms

STARTS = ["0", "1", "2", "3"]


def result(shift=0.0, seed=0, noise=0.0):
    """Accuracies of four starts, whose luck is shared by all arms."""
    luck = 0.05 * np.random.default_rng(0).normal(size=(4, 1))
    own = noise * np.random.default_rng(seed + 1).normal(size=(4, 2))
    held = {"units": "1"}
    return xr.Dataset(
        {"accuracy": (("seed", "method"), 0.5 + luck + shift + own, held),
         "attacked": (("seed", "attack", "epsilon"), 0.2 + np.zeros((4, 1, 3)) + shift, held),
         "correct": (("seed", "stimulus"), np.ones((4, 5), bool), held)},
        {"seed": STARTS, "method": ["class", "super-class"], "attack": ["pgd"], "epsilon": [0.0, 0.1, 0.2]},
        {"chance": 0.1, "origin": "model"},
    )  # fmt: skip


def test_the_interval_is_that_of_a_paired_t_test():
    found = arms.contrast(result(noise=0.01), real=result(0.03, 1, 0.01), variables=["accuracy"])
    a, b = (found["accuracy"].sel({"arm": name, "method": "class"}).values for name in ("real", "none"))
    told = ttest_rel(a, b).confidence_interval(0.95)
    assert np.isclose(found["accuracy_difference"].sel({"arm": "real", "method": "class"}), np.mean(a - b))
    assert np.isclose(found["accuracy_difference_low"].sel({"arm": "real", "method": "class"}), told.low)
    assert np.isclose(found["accuracy_difference_high"].sel({"arm": "real", "method": "class"}), told.high)
    assert found["accuracy"].dims == ("arm", "seed", "method")
    assert found.attrs["n"] == 4
    assert found.attrs["chance"] == 0.1


def test_luck_that_is_shared_cancels():
    found = arms.contrast(result(), real=result(0.03))
    assert set(found) >= {"accuracy_mean", "attacked_difference"}
    assert "correct_mean" not in found
    width = found["accuracy_difference_high"] - found["accuracy_difference_low"]
    assert float(width.max()) < 1e-9
    assert np.allclose(found["accuracy_difference"].sel(arm="real"), 0.03)
    assert (found["accuracy_difference"].sel(arm="none") == 0).all()


def test_intervals_cover_no_difference_as_often_as_they_say():
    hits = []
    for k in range(400):
        rng = np.random.default_rng(k)
        one, other = (
            xr.Dataset({"a": ("seed", rng.normal(size=3), {"units": "1"})}, {"seed": ["0", "1", "2"]})
            for _ in range(2)
        )
        found = arms.contrast(one, other=other, confidence=0.9).sel(arm="other")
        hits.append(float(found["a_difference_low"]) <= 0 <= float(found["a_difference_high"]))
    assert 0.85 < np.mean(hits) < 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: arms.contrast(one), "^arms: none were given"),
        (lambda one: arms.contrast(one, none=one), "^arms: none; give some, beside the base"),
        (lambda one: arms.contrast(one, a=one, confidence=1.0), "^confidence: 1.0; wanted"),
        (lambda one: arms.contrast(one, a=one.isel(seed=[0])), "^a: has 1 along 'seed'; give 2"),
        (lambda one: arms.contrast(one, a=one.isel(seed=[0, 1])), r"^a: has seed \['0', '1'\], and the base"),
        (lambda one: arms.contrast(one, a=one.isel(epsilon=[0]), variables=["attacked"]), "^a: 'attacked'"),
        (lambda one: arms.contrast(one, a=one, variables=["loss"]), "^none: has no 'loss' along 'seed'"),
        (lambda one: arms.contrast(one, a=one.assign_coords(epsilon=[0, 1, 2])), "^a: .* another epsilon"),
        (lambda one: arms.contrast(one[["correct"]], a=one), "^variables: no number along 'seed'"),
        (lambda one: arms.last(one, variable="loss"), "^variable: there is no 'loss' along epoch"),
    ],
)  # fmt: skip
def test_what_does_not_meet_is_named(call, message):
    with pytest.raises(ValueError, match=message) as told:
        call(result())
    assert "\n" not in str(told.value)


def test_the_baseline_has_the_name_that_it_is_given():
    found = arms.contrast(result(), real=result(0.1), base="shuffled")
    assert found["arm"].values.tolist() == ["shuffled", "real"]
    assert "difference from shuffled" in arms.plot(found).get_supxlabel()


def test_arms_of_one_result_are_contrasted_as_arms_of_several():
    parts = {"variables": result(0.02, 1, 0.01), "plain": result(noise=0.01), "real": result(0.03, 2, 0.01)}
    joined = xr.concat([*parts.values()], "arm", join="override").assign_coords(arm=[*parts])
    found = arms.within(joined, base="plain", variables=["accuracy"])
    others = {"other": parts["variables"], "real": parts["real"]}
    wanted = arms.contrast(parts["plain"], base="plain", variables=["accuracy"], **others)
    assert found["arm"].values.tolist() == ["plain", "variables", "real"]
    xr.testing.assert_allclose(found.drop_vars("arm"), wanted.drop_vars("arm"))
    with pytest.raises(ValueError, match="base: there is no arm 'plan'; known are variables, plain, real"):
        arms.within(joined, base="plan")


def test_the_last_value_of_a_curve():
    curve = xr.Dataset({"canonical": ("epoch", [0.1, 0.3], {"units": "1"})}, {"epoch": [1, 2]}, {"seed": 3})
    found = arms.last(curve, variable="canonical")
    assert found["canonical"].values.tolist() == [0.3]
    assert found["canonical"].attrs["units"] == "1"
    assert found.attrs["seed"] == 3


def test_the_plot_shows_every_measure_and_the_line_of_no_difference():
    found = arms.contrast(result(noise=0.01), real=result(0.05, 1, 0.01), shuffled=result(0.0, 2, 0.01))
    made = arms.plot(found)
    assert len(made.axes) == 5
    titles = [axes.get_title() for axes in made.axes]
    assert titles[0].startswith("accuracy\nclass\nnone: 0.")
    assert titles[3] == "attacked\npgd, 0.1\nnone: 0.2"
    assert [label.get_text() for label in made.axes[0].get_yticklabels()] == ["real", "shuffled"]
    assert "95% interval over 4 paired starts" in made.get_supxlabel()
