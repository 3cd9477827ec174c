"""Accounting of attacks by hand, the flags' table, and sentences that must not say what was not earned."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from analyses import _robust_counts, _robust_flags, robustness
from loaders import schema

RECORD = {
    "norm": "linf", "search": "pgd", "loss": "margin", "steps": 40, "step_size": 0.25, "restarts": 5, "n": 5,
    "seed": 0, "knowledge": "white box", "target": "untargeted", "origin": "simulated", "chance": 0.1,
}  # fmt: skip
CALM = {
    name: 1.0 if name == "active test" else 0.5 if name == "single step" else 0.0 for name in robustness.FLAGS
}
LOUD = {name: 0.0 if name == "active test" else 2.0 for name in robustness.FLAGS}


def classes(right, broken, epsilons=(8 / 255,), attacks=None, **attrs):
    """right (stimulus); broken (attack, epsilon, stimulus)."""
    broken = np.asarray(broken)
    names = attacks or [f"attack {k}" for k in range(len(broken))]
    held = {
        "right": ("stimulus", np.asarray(right), {"units": "1"}),
        "broken": (("attack", "epsilon", "stimulus"), broken, {"units": "1"}),
    }
    ids = [str(k) for k in range(broken.shape[-1])]
    coords = {"attack": names, "epsilon": list(epsilons), "stimulus_id": ("stimulus", ids)}
    return xr.Dataset(held, coords, {**RECORD, "n": len(ids), **attrs})


def moved(value, clean, **attrs):
    value = np.asarray(value, float)
    names = ["noise", "pgd", "square"][: len(value)]
    held = {
        "value": (("attack", "epsilon", "stimulus"), value, {"units": "SD"}),
        "clean": ("stimulus", np.asarray(clean, float), {"units": "SD"}),
    }
    coords = {"attack": names, "epsilon": [0.01 * (k + 1) for k in range(value.shape[1])]}
    coords["stimulus_id"] = ("stimulus", [str(k) for k in range(value.shape[2])])
    return xr.Dataset(held, coords, {**RECORD, "target": "drive", "n": value.shape[2]})


def test_five_pictures_and_three_attacks_by_hand():
    right = [1, 1, 1, 1, 0]
    broken = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 1, 1, 0, 1]])[:, None]
    found = robustness.accounting(classes(right, broken))
    np.testing.assert_allclose(found["accuracy"].values[:, 0], [3 / 5, 3 / 5, 2 / 5])
    np.testing.assert_allclose(found["success"].values[:, 0], [1 / 4, 1 / 4, 2 / 4])
    assert found["union"].item() == 1 / 5
    assert found["union_success"].item() == 3 / 4
    assert found.attrs["clean_accuracy"] == 4 / 5
    assert (found.attrs["n"], found.attrs["n_right"], found.attrs["seed"]) == (5, 4, 0)
    low, high = binomtest(2, 5).proportion_ci(0.95, "exact")
    np.testing.assert_allclose(found["accuracy_low"].values[2, 0], low)
    np.testing.assert_allclose(found["accuracy_high"].values[2, 0], high)
    schema.check(found)


@pytest.mark.parametrize("seed", range(20))
def test_the_union_is_the_worst_of_all(seed):
    rng = np.random.default_rng(seed)
    right, broken = rng.integers(0, 2, 30), rng.integers(0, 2, (4, 3, 30))
    found = robustness.accounting(classes(right, broken, epsilons=(0.01, 0.02, 0.03)))
    assert (found["union"] <= found["accuracy"].min("attack")).all()
    assert (found["accuracy"] <= found.attrs["clean_accuracy"]).all()
    one_more = robustness.accounting(classes(right, np.concatenate([broken, broken[:1]]), (0.01, 0.02, 0.03)))
    np.testing.assert_array_equal(one_more["union"], found["union"])


def test_f73_success_is_undefined_where_all_were_wrong_before():
    found = robustness.accounting(classes([0, 0, 0], np.ones((2, 1, 3), int)))
    assert np.isnan(found["success"]).all()
    assert np.isnan(found["success_low"]).all()
    assert (found["accuracy"] == 0).all()
    assert np.isfinite(found["accuracy_high"]).all()


def test_f73_no_picture_and_one_picture():
    none = robustness.accounting(classes([], np.ones((2, 1, 0), int)))
    assert np.isnan(none["accuracy"]).all()
    assert np.isnan(none["union"]).all()
    one = robustness.accounting(classes([1], np.ones((1, 1, 1), int)))
    assert one["accuracy"].item() == 0
    still = robustness.accounting(moved(np.ones((2, 1, 1)), [0.0]))
    assert still["union"].item() == 1
    assert np.isnan(still["union_low"].item())
    assert np.isnan(robustness.accounting(moved(np.ones((2, 1, 0)), []))["union"]).all()


def test_a_failure_is_infinitely_far():
    size = np.array([[[0.1, 0.3, 9, 9, 0.2]], [[0.1, 9, 9, 9, 0.2]], [[0.1, 0.3, 0.2, 0.4, 0]]])
    broken = np.array([[[1, 1, 0, 0, 1]], [[1, 0, 0, 0, 1]], [[1, 1, 1, 1, 1]]], bool)
    right = np.array([1, 1, 1, 1, 0], bool)
    found = _robust_counts.median_distance(size, broken, right)
    np.testing.assert_allclose(found, [np.inf, np.inf, 0.25])  # of four that were right
    assert np.isnan(_robust_counts.median_distance(size, broken, np.zeros(5, bool))).all()
    told = classes(right.astype(int), broken.astype(int))
    told["size"] = (("attack", "epsilon", "stimulus"), size, {"units": "1"})
    np.testing.assert_allclose(robustness.accounting(told)["distance"], found)


def test_the_smallest_of_several_budgets_counts():
    size = np.array([[[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]])
    broken = np.array([[[0, 1, 0], [1, 1, 0]]], bool)
    assert _robust_counts.median_distance(size, broken, np.ones(3, bool)).tolist() == [0.2]


def test_responses_are_moved_by_the_most_of_all_attacks():
    clean = np.array([1.0, 2.0, 3.0])
    change = np.array([[[0.1, 0.0, -0.1]], [[1.0, 2.0, 3.0]], [[2.0, 1.0, 0.0]]])
    found = robustness.accounting(moved(change + clean, clean))
    np.testing.assert_allclose(found["change"].values[:, 0], [0, 2, 1], atol=1e-12)
    np.testing.assert_allclose(found["union"].item(), (2 + 2 + 3) / 3)
    half = 4.302653 * np.std([2, 2, 3], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(found["union_low"].item(), 7 / 3 - half, rtol=1e-6)
    assert found["change"].attrs["units"] == "SD"


def test_neuroids_are_counted_apart():
    rng = np.random.default_rng(0)
    value, clean = rng.normal(size=(2, 4, 3)), rng.normal(size=(4, 3))
    told = xr.Dataset(
        {
            "value": (("epsilon", "stimulus", "neuroid"), value, {"units": "1"}),
            "clean": (("stimulus", "neuroid"), clean, {"units": "1"}),
        },
        {"epsilon": [0.1, 0.2], "neuroid_id": ("neuroid", ["a", "b", "c"])},
        {**RECORD, "n": 4},
    )
    found = robustness.accounting(told)
    assert found["union"].dims == ("epsilon", "neuroid")
    np.testing.assert_allclose(found["union"], (value - clean).mean(1))
    assert found["attack"].values.tolist() == ["pgd"]
    with pytest.raises(ValueError, match="one neuroid at a time"):
        robustness.weigh(found)
    curve = robustness.plot(found).axes[0].get_lines()[0].get_ydata()
    np.testing.assert_allclose(curve, np.median((value - clean).mean(1), axis=1))


@pytest.mark.parametrize(
    "missing",
    ["norm", "search", "loss", "steps", "step_size", "restarts", "n", "seed", "knowledge", "target"],
)
def test_v27_a_record_without_its_threat_model_is_refused(missing):
    told = classes([1], [[[1]]])
    del told.attrs[missing]
    with pytest.raises(ValueError, match=f"record: has no {missing}; "):
        robustness.accounting(told)
    with pytest.raises(ValueError, match=f"record: has no {missing}; "):
        robustness.weigh(told)


@pytest.mark.parametrize(("name", "value"), [("steps", "many"), ("loss", ""), ("step_size", float("nan"))])
def test_v27_a_record_that_says_nothing_is_refused(name, value):
    with pytest.raises(ValueError, match=f"record: {name} is "):
        robustness.complete(classes([1], [[[1]]], **{name: value}))


def test_v27_a_record_without_budgets_is_refused():
    with pytest.raises(ValueError, match="record: has no epsilon"):
        robustness.complete(classes([1], [[[1]]]).drop_vars("epsilon"))
    assert robustness.complete(classes([1], [[[1]]])) is not None


def single(broken, **attrs):
    held = {
        "broken": (("epsilon", "stimulus"), np.asarray(broken), {"units": "1"}),
        "right": ("stimulus", np.ones(len(broken[0]), int), {"units": "1"}),
    }
    ids = np.array([f"p{k}" for k in range(len(broken[0]))])
    coords = {"epsilon": [0.1 * (k + 1) for k in range(len(broken))], "stimulus_id": ("stimulus", ids)}
    return xr.Dataset(held, coords, {**RECORD, "n": len(ids), **attrs})


def test_single_attacks_become_one_table():
    pgd, square = single([[1, 0, 0]]), single([[0, 1, 0]], search="square", steps=1000, knowledge="score")
    found = robustness.accounting(robustness.joined({"pgd": pgd, "square": square}))
    assert found["union"].item() == pytest.approx(1 / 3)
    assert found["steps"].values.tolist() == [40, 1000]
    assert found["knowledge"].values.tolist() == ["white box", "score"]
    np.testing.assert_allclose(found["accuracy"].values, 2 / 3)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (single([[0, 1, 0]]).assign_coords(epsilon=[0.3]), "another epsilon"),
        (single([[0, 1, 0]]).assign_coords(stimulus_id=("stimulus", ["x", "y", "z"])), "another stimulus_id"),
        (single([[0, 1, 0]], norm="l2"), "another norm"),
        (single([[0, 1, 0]], target="targeted"), "another target"),
    ],
)
def test_what_is_not_one_table_is_refused(other, why):
    with pytest.raises(ValueError, match=f"attacks: 'b' has {why}"):
        robustness.joined({"a": single([[1, 0, 0]]), "b": other})


def test_f75_falls_are_counted_picture_by_picture():
    value = xr.Dataset(
        {"value": (("attack", "epsilon", "stimulus"), [[[0, 0, 0], [1, 2, 0], [2, 1.5, 0]]])},
        {"attack": ["pgd"], "epsilon": [0.1, 0.2, 0.3]},
    )
    found = robustness.monotone(value)
    assert found["drops"].values.tolist() == [[0, 1, 0]]
    assert found.attrs == {"pictures": 1, "largest": 0.5}
    assert robustness.monotone(value.isel(epsilon=[0, 1])).attrs["pictures"] == 0
    steps = value.rename(epsilon="step")
    assert robustness.monotone(steps).attrs["pictures"] == 1
    with pytest.raises(ValueError, match="wanted one"):
        robustness.monotone(value.isel(epsilon=0))


def test_what_is_more_than_luck_agrees_with_mcnemar():
    ones, twos = np.zeros(40), np.zeros(40)
    ones[:9], twos[9:12] = 1, 1
    gain, luck = robustness.excess(ones, twos)
    assert gain == pytest.approx(6 / 40)
    assert luck == pytest.approx(1.6448536 * np.sqrt(12) / 40)
    assert robustness.excess(ones, ones) == (0, 0)
    assert robustness.excess(np.zeros(0), np.zeros(0)) == (0, 0)


def test_no_flag_of_calm_values_and_all_of_loud_ones():
    calm, loud = robustness.flags(CALM), robustness.flags(LOUD)
    assert calm["raised"].sum() == 0
    assert (calm["state"] == "passed").all()
    assert loud["raised"].sum() == len(robustness.FLAGS)
    schema.check(calm)


@pytest.mark.parametrize("name", list(robustness.FLAGS))
def test_every_flag_is_raised_alone_and_says_why(name):
    found = robustness.flags({**CALM, name: LOUD[name]})
    assert found["raised"].values.tolist() == [int(flag == name) for flag in robustness.FLAGS]
    reason = str(found["reason"].sel(flag=name).item())
    assert _robust_flags.FLAGS[name].words in reason
    assert _robust_flags.FLAGS[name].advice in reason
    silent = robustness.flags({key: value for key, value in CALM.items() if key != name})
    assert silent["state"].sel(flag=name).item() == "not examined"
    assert robustness.flags(CALM, without=[name])["state"].sel(flag=name).item() == "does not apply"


def test_a_threshold_that_depends_on_n_takes_the_place_of_the_tables():
    found = robustness.flags({**CALM, "black box": 0.1}, threshold={"black box": 0.2})
    assert found["raised"].sum() == 0
    with pytest.raises(ValueError, match="'back box' is no flag"):
        robustness.flags({"back box": 1.0})


def audited(measured, record=None, **attrs):
    record = classes([1] * 8 + [0] * 2, np.array([[[0] * 5 + [1] * 5]] * 2)) if record is None else record
    record = record.assign_attrs(attrs)
    merged = xr.merge([record, robustness.accounting(record), robustness.flags(measured)])
    merged.attrs = robustness.accounting(record).attrs
    return merged


def said(audit):
    found = robustness.weigh(audit)
    return {
        str(claim): (str(text), bool(allowed))
        for claim, text, allowed in zip(
            found["claim"].values, found["sentence"].values, found["allowed"].values, strict=True
        )
    }


def test_v08_the_word_is_earned_by_an_audit_alone():
    text, allowed = said(audited(CALM))["strength"]
    assert allowed
    assert text.startswith("Robust to these attacks")
    for told in (
        "50 [18.7, 81.3] %",
        "clean 80 [44.4, 97.5] %",
        "chance 10 %",
        "Linf 8/255",
        "40 x 5",
        "seed 0",
    ):
        assert told in text


@pytest.mark.parametrize("name", list(robustness.FLAGS))
@pytest.mark.parametrize("how", ["raised", "not examined"])
def test_v08_a_flag_takes_the_word_away(name, how):
    measured = {**CALM, name: LOUD[name] if how == "raised" else float("nan")}
    text, allowed = said(audited(measured))["strength"]
    assert not allowed
    assert text.startswith("Robustness not established (")
    assert name in text
    assert "robust" not in text.removeprefix("Robustness not established").lower()


def test_v08_a_number_without_an_audit_is_not_established():
    record = classes([1, 1], [[[0, 0]]])
    text, allowed = said(robustness.accounting(record))["strength"]
    assert not allowed
    assert text.startswith("Robustness not established")
    assert "robust" not in text.removeprefix("Robustness not established").lower()


def test_v08_a_score_at_chance_is_not_called_robust():
    record = classes([1] * 10, np.array([[[1] * 9 + [0]]]))
    text, allowed = said(audited(CALM, record))["strength"]
    assert allowed
    assert text.startswith("Not robust")


@pytest.mark.parametrize("measured", [CALM, LOUD])
def test_v28_an_attack_on_a_predictor_is_not_one_on_the_brain(measured):
    record = moved(np.array([[[0.1, 0.2]], [[2.0, 3.0]]]), [0.0, 0.0])
    found = said(audited(measured, record))
    assert "not the brain" in found["subject"][0]
    text, allowed = found["strength"]
    assert allowed == (measured is CALM)
    assert "lower bound" in text
    assert "random noise of equal norm by .15 SD" in text
    assert "robust" not in text.removeprefix("Robustness not established").lower()


def drawn(result):
    return robustness.plot(result)


def test_the_picture_names_its_flags_and_lines():
    result = audited({**CALM, "black box": 1.0, "transfer": float("nan")})
    figure = drawn(result)
    assert "flags raised: black box" in figure.get_suptitle()
    assert "not examined: transfer" in figure.get_suptitle()
    words = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "chance" in words
    assert "clean" in words
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert {"attack 0", "worst for each picture", "95 % interval of the worst"} <= set(legend)
    for line in figure.axes[0].get_lines():
        colour = line.get_color()
        assert isinstance(colour, str)
        assert float(colour) >= 0  # a grey
    assert "not audited" in drawn(robustness.accounting(classes([1], [[[0]]]))).get_suptitle()


def test_the_surface_is_drawn_beside_the_curves():
    result = audited(CALM, moved(np.array([[[0.1, 0.2]], [[2.0, 3.0]]]), [0.0, 0.0]))
    grid = np.linspace(-0.5, 1.5, 5)
    result["surface"] = (("step", "component"), np.add.outer(grid, grid), {"units": "SD"})
    result = result.assign_coords(along=("step", grid), across=("component", grid - 0.5))
    result = result.assign_attrs(epsilon=0.01)
    figure = drawn(result)
    assert len(figure.axes) == 3  # curves, surface, its scale
    assert "random direction" in figure.axes[1].get_xlabel()
    assert "no flag raised" in figure.get_suptitle()
