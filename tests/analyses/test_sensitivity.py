"""Sensitivities: ratios and means by hand, noise that must not count, sentences that must be whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from analyses import sensitivity, sensitivity_claims

ARMS = ("attack", "random direction", "natural step", "nothing")
SIZES = (0.5, 1.0)
TAU = 1.5


def recorded(
    mean: np.ndarray, repeats: int = 1, noise: float = 0.0, seed: int = 0, **attrs: Any
) -> xr.Dataset:
    """A recording of mean responses (stimulus, neuroid), each presented some times with noise."""
    rng = np.random.default_rng(seed)
    response = np.repeat(mean, repeats, axis=0)
    response = response + noise * rng.normal(size=response.shape)
    ids = np.repeat(np.arange(len(mean)).astype(str), repeats)
    coords = {"stimulus_id": ("presentation", ids), "neuroid_id": ("neuroid", names(mean.shape[1]))}
    return xr.Dataset({"response": (("presentation", "neuroid"), response, {"units": "1"})}, coords, attrs)


def names(count: int) -> list[str]:
    return [f"unit:{k}" for k in range(count)]


def record(
    effect: np.ndarray, arms: tuple[str, ...] = ("attack",), presentations: int = 0, noise: float = 0.0,
    predicted: np.ndarray | None = None, seed: int = 0, **attrs: Any,
) -> xr.Dataset:  # fmt: skip
    """An attack's record with known effects (arm, epsilon, stimulus, neuroid), noisy where presented."""
    rng = np.random.default_rng(seed)
    dims = ("arm", "epsilon", "stimulus", "neuroid")
    clean, moved = np.zeros(effect.shape[2:]), effect.astype(float)
    more: tuple[str, ...] = ()
    if presentations:
        more = ("presentation",)
        clean, moved = (np.repeat(part[..., None], presentations, axis=-1) for part in (clean, moved))
        clean, moved = (part + noise * rng.normal(size=part.shape) for part in (clean, moved))
    held = {
        "clean": ((*dims[2:], *more), clean, {"units": "1"}),
        "moved": ((*dims, *more), moved, {"units": "1"}),
    }
    if predicted is not None:
        held["predicted"] = (dims, predicted, {"units": "1"})
    coords = {"arm": list(arms), "epsilon": list(SIZES[: effect.shape[1]])}
    told = {"origin": "simulated", "population": "planted sites", "area": "none (simulated)", "norm": "l2"}
    told |= {"noise": "gaussian" if noise else "none"}
    made = xr.Dataset(held, coords, told | attrs)
    return made.assign_coords(neuroid_id=("neuroid", names(effect.shape[3])))


def planted(arms: tuple[float, ...], neuroids: int = 6, pictures: int = 40) -> np.ndarray:
    """Effects that grow with the budget, by arm; signs differ between neuroids and pictures."""
    rng = np.random.default_rng(7)
    signs = rng.choice([-1.0, 1.0], size=(pictures, neuroids))
    return np.array(arms)[:, None, None, None] * np.array(SIZES)[None, :, None, None] * signs


@pytest.fixture(scope="module")
def clean() -> xr.Dataset:
    return recorded(np.random.default_rng(3).normal(size=(200, 6)) * np.arange(1, 7))


def test_mean_of_ratios_by_hand_and_not_ratio_of_means() -> None:
    mean = np.array([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    effect = np.array([[[[1.0, 1.0], [3.0, -1.0]]]])
    made = sensitivity.normalised(record(effect), recorded(mean))
    spread = mean.std(axis=0)
    expected = np.mean([2 / spread[0], 1 / spread[1]])
    assert made["sensitivity"].item() == pytest.approx(expected)
    assert expected != pytest.approx(1.5 / spread.mean())
    np.testing.assert_allclose(made["by_neuroid"].values.ravel(), [2 / spread[0], 1 / spread[1]])
    pairs = np.abs(mean[:, None] - mean[None]).sum(axis=(0, 1)) / 12 / spread
    assert made.attrs["random_pair"] == pytest.approx(pairs.mean())
    assert made.attrs["estimator"] == "absolute"


def test_scaled_or_shifted_responses_have_the_same_sensitivity(clean: xr.Dataset) -> None:
    pushed = record(planted((1.0, 0.1)), ARMS[:2])
    first = sensitivity.normalised(pushed, clean)
    scale = np.array([2.0, 0.1, 7.0, 1.0, 3.0, 5.0])
    moved = pushed.assign(moved=pushed["moved"] * scale + 4, clean=pushed["clean"] * scale + 4)
    other = clean.assign(response=clean["response"] * scale - 9)
    second = sensitivity.normalised(moved, other)
    for name in ("sensitivity", "sensitivity_low", "sensitivity_high", "by_neuroid", "attack_over"):
        np.testing.assert_allclose(second[name], first[name], rtol=1e-9)


def test_silent_neuroids_are_left_out_and_counted() -> None:
    mean = np.random.default_rng(0).normal(size=(50, 4))
    mean[:, 1] = 3.0
    made = sensitivity.normalised(record(planted((1.0,), neuroids=4)), recorded(mean))
    assert made.attrs["excluded"] == 1
    assert made.attrs["neuroids"] == 3
    assert made["neuroid_id"].values.tolist() == ["unit:0", "unit:2", "unit:3"]
    with pytest.raises(ValueError, match="no neuroid varies"):
        sensitivity.normalised(record(planted((1.0,), neuroids=4)), recorded(np.zeros((50, 4))))


@pytest.mark.parametrize("normaliser", ["sd", "interdecile range", "noise sd", "range", "random pair"])
def test_normalisers_by_hand(normaliser: str) -> None:
    mean = np.random.default_rng(1).normal(size=(60, 3))
    recording = recorded(mean, repeats=2, noise=0.5)
    response = recording["response"].values.reshape(60, 2, 3)
    seen = response.mean(axis=1)
    expected = {
        "sd": seen.std(axis=0),
        "interdecile range": np.quantile(seen, 0.9, axis=0) - np.quantile(seen, 0.1, axis=0),
        "noise sd": np.sqrt(response.var(axis=1, ddof=1).mean(axis=0)),
        "range": np.ptp(seen, axis=0),
        "random pair": np.abs(seen[:, None] - seen[None]).sum(axis=(0, 1)) / (60 * 59),
    }[normaliser]
    pushed = record(np.ones((1, 1, 5, 3)))
    made = sensitivity.normalised(pushed, recording, normaliser=normaliser)
    np.testing.assert_allclose(made["by_neuroid"].values.ravel(), 1 / expected)


def test_v28_without_an_effect_the_signed_interval_covers_0_and_the_absolute_does_not() -> None:
    recording = recorded(np.random.default_rng(3).normal(size=(200, 10)), repeats=3, noise=TAU)
    covered, naive = [], []
    for seed in range(40):
        guess = np.random.default_rng(1000 + seed).normal(size=(1, 1, 40, 10))
        pushed = record(np.zeros((1, 1, 40, 10)), presentations=1, noise=TAU, predicted=guess, seed=seed)
        made = sensitivity.normalised(pushed, recording, bootstraps=300)
        covered.append(made["signed_low"].item() <= 0 <= made["signed_high"].item())
        naive.append(made["absolute_low"].item() > 0)
        assert made["absolute"].item() == pytest.approx(made.attrs["noise_bias"], rel=0.2)
        assert made.attrs["estimator"] == "signed"
    assert sum(covered) >= 35  # of 40, each with a probability of .95
    assert all(naive)


def test_noise_bias_is_two_tau_by_root_pi() -> None:
    recording = recorded(np.random.default_rng(3).normal(size=(400, 30)), repeats=5, noise=TAU)
    predicted = np.ones((1, 1, 200, 30))
    pushed = record(np.zeros((1, 1, 200, 30)), presentations=1, noise=TAU, predicted=predicted)
    made = sensitivity.normalised(pushed, recording)
    spread = recording["response"].values.reshape(400, 5, 30).mean(axis=1).std(axis=0)
    expected = np.mean(2 * TAU / np.sqrt(np.pi) / spread)
    assert made["absolute"].item() == pytest.approx(expected, rel=0.02)
    assert made.attrs["noise_bias"] == pytest.approx(expected, rel=0.02)


def test_signed_is_unbiased_with_right_signs_and_lower_with_wrong_ones(clean: xr.Dataset) -> None:
    effect = planted((1.0,), pictures=400)
    truth = float(sensitivity.normalised(record(effect), clean)["sensitivity"][0, 1])
    wrong = effect * np.random.default_rng(0).choice([1, 1, 1, -1], size=effect.shape)
    for signs, share in ((effect, 1.0), (wrong, 0.5)):
        pushed = record(effect, presentations=1, noise=0.5, predicted=signs)
        made = sensitivity.normalised(pushed, clean)
        assert float(made["signed"][0, 1]) == pytest.approx(share * truth, abs=0.07 * truth)
    assert float(made["signed_high"][0, 1]) < truth


def test_halves_of_presentations_take_the_noise_out_of_squares(clean: xr.Dataset) -> None:
    effect = planted((1.0,), pictures=400)
    pushed = record(effect, presentations=4, noise=1.0, predicted=effect)
    made = sensitivity.normalised(pushed, clean)
    size = clean["response"].values.std(axis=0)
    each = np.sqrt(np.mean((SIZES[1] / size) ** 2))
    assert float(made["split_half"][0, 1]) == pytest.approx(each, rel=0.15)
    assert float(made["absolute"][0, 1]) > float(made["signed"][0, 1])


def test_what_simulations_know_is_read_only_where_it_is(clean: xr.Dataset) -> None:
    effect = planted((1.0,))
    pushed = record(effect, presentations=1, noise=5.0, predicted=effect)
    with pytest.raises(ValueError, match="noise_free"):
        sensitivity.normalised(pushed, clean, noise_free=True)
    dims = ("arm", "epsilon", "stimulus", "neuroid")
    known = pushed.assign(true_clean=(dims[2:], np.zeros(effect.shape[2:])), true_moved=(dims, effect))
    made = sensitivity.normalised(known, clean, noise_free=True)
    plain = sensitivity.normalised(record(effect), clean)
    np.testing.assert_allclose(made["sensitivity"], plain["sensitivity"])
    assert made.attrs["noise_bias"] == 0


def test_noisy_responses_without_a_prediction_are_refused(clean: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="nothing was predicted"):
        sensitivity.normalised(record(planted((1.0,)), presentations=1, noise=1.0), clean)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pushed: pushed.drop_vars("moved"), "moved"),
        (
            lambda pushed: pushed.assign_coords(neuroid_id=("neuroid", [f"x{k}" for k in range(6)])),
            "neuroid_id",
        ),
        (lambda pushed: pushed.assign_coords(arm=["other"]), "arm"),
        (lambda pushed: pushed.assign(moved=pushed["moved"] * np.nan), "not a number"),
    ],
)
def test_damaged_records_are_named(clean: xr.Dataset, change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sensitivity.normalised(change(record(planted((1.0,)))), clean)


def test_arguments_out_of_range_are_named(clean: xr.Dataset) -> None:
    pushed = record(planted((1.0,)))
    for numbers in ({"bootstraps": 5}, {"confidence": 1.0}, {"normaliser": "mean"}):
        with pytest.raises(ValueError, match=f"^{next(iter(numbers))}:"):
            sensitivity.normalised(pushed, clean, **numbers)


def test_attack_in_units_of_every_arm(clean: xr.Dataset) -> None:
    made = sensitivity.normalised(record(planted((1.0, 0.25)), ARMS[:2]), clean)
    np.testing.assert_allclose(made["attack_over"].values, [[1, 1], [4, 4]])


def test_only_what_the_judge_calls_unchanged_counts(clean: xr.Dataset) -> None:
    effect = planted((1.0,))
    effect[..., :20, :] *= 10
    judged = np.zeros(effect.shape, np.int8)
    judged[..., :20, :] = 1
    pushed = record(effect).assign(judged=(("arm", "epsilon", "stimulus", "neuroid"), judged))
    made = sensitivity.normalised(pushed, clean)
    plain = sensitivity.normalised(record(planted((1.0,))), clean)
    np.testing.assert_allclose(made["conditional"], plain["sensitivity"])
    np.testing.assert_allclose(made["judge_changed"], 0.5)
    every = pushed.assign(judged=pushed["judged"] * 0 + 1)
    assert np.isnan(sensitivity.normalised(every, clean)["conditional"].values).all()


def test_intervals_hold_a_planted_mean(clean: xr.Dataset) -> None:
    held = 0
    for seed in range(40):
        effect = 1 + 0.5 * np.random.default_rng(seed).normal(size=(1, 1, 30, 6))
        spread = clean["response"].values.std(axis=0)
        made = sensitivity.normalised(record(effect * spread), clean, bootstraps=300)
        held += made["sensitivity_low"].item() <= 1 <= made["sensitivity_high"].item()
    assert held >= 34


def test_kappa_by_hand(clean: xr.Dataset) -> None:
    whole, shares = planted((1.0,)), np.array([0.2, 0.4, 0.6, 0.8, 1.0, 0.0])
    made = sensitivity.gap(record(whole * shares), record(whole), clean)
    np.testing.assert_allclose(made["kappa"].values, np.tile(shares, (2, 1)), atol=1e-12)
    np.testing.assert_allclose(made["kappa_mean"], 0.5)
    assert (made["kappa_mean_low"] < 0.5).all()
    assert (made["kappa_mean_high"] > 0.5).all()
    surrogate = sensitivity.normalised(record(whole * shares), clean)["sensitivity"].values[0]
    np.testing.assert_allclose(made["corrected"], surrogate / 0.5)
    with pytest.raises(ValueError, match="epsilon"):
        sensitivity.gap(record(whole).assign_coords(epsilon=[1.0, 2.0]), record(whole), clean)


def test_kappa_of_noisy_counts_is_not_raised_by_noise(clean: xr.Dataset) -> None:
    whole = planted((1.0,), pictures=300)
    noisy = record(0.3 * whole, presentations=1, noise=1.0, predicted=whole)
    made = sensitivity.gap(noisy, record(whole), clean)
    assert (made["kappa_mean_low"] < 0.3).all()
    assert (made["kappa_mean_high"] > 0.3).all()


def four(clean: xr.Dataset, sizes: tuple[float, ...] = (4.0, 1.0, 0.5, 2.0)) -> list[xr.Dataset]:
    return [sensitivity.normalised(record(planted((size,))), clean) for size in sizes]


def test_four_bars(clean: xr.Dataset) -> None:
    made = sensitivity.bars(*four(clean))
    ratios = made["over_robust"].transpose("arm", "epsilon").values
    np.testing.assert_allclose(ratios, np.repeat([[4], [1], [0.5], [2]], 2, axis=1))
    np.testing.assert_allclose(made["kappa"], 0.25)
    np.testing.assert_allclose(made["kappa_low"], 0.25)  # the same pictures and neuroids are drawn for both
    assert made.attrs["origin"] == "simulated"
    with pytest.raises(ValueError, match="epsilon"):
        sensitivity.bars(four(clean)[0].assign_coords(epsilon=[9.0, 10.0]), *four(clean)[1:])


def days(clean: xr.Dataset, growth: tuple[float, ...] = (1.0, 1.5, 2.0), noise: float = 0.2) -> xr.Dataset:
    parts = []
    for day, size in enumerate(growth):
        effect = planted((size, 0.05, 0.2, 0.0))
        guess = planted((size, 0.05, 0.2, 1.0))
        parts.append(record(effect, ARMS, presentations=2, noise=noise, predicted=guess, seed=day))
    joined = xr.concat(parts, "day").assign_coords(day=np.arange(len(growth)))
    return sensitivity.normalised(joined.assign_attrs(parts[0].attrs), clean)


def test_learning_is_the_difference_of_days(clean: xr.Dataset) -> None:
    found = days(clean)
    made = sensitivity.learning(found)
    attack = found["sensitivity"].sel(arm="attack")
    np.testing.assert_allclose(made["since_first"], attack - attack.isel(day=0))
    np.testing.assert_allclose(
        made["above_random"], attack - found["sensitivity"].sel(arm="random direction")
    )
    assert (made["since_first_low"].isel(day=2) > 0).all()
    assert float(made["zero_signed_low"][2]) <= 0 <= float(made["zero_signed_high"][2])
    assert float(made["zero_absolute_low"][2]) > 0
    with pytest.raises(ValueError, match="days"):
        sensitivity.learning(sensitivity.normalised(record(planted((1.0,))), clean))


def test_group_by_hand(clean: xr.Dataset) -> None:
    made = [sensitivity.bars(*four(clean, (4.0 * k, 1.0, 0.5, 2.0))) for k in (1, 2, 4)]
    joined = xr.concat(made, "seed", combine_attrs="override").assign_coords(seed=["0", "1", "2"])
    found = sensitivity.group(joined)
    values = np.array([part["sensitivity"].values[0, 0] for part in made])
    assert float(found["sensitivity"][0, 0]) == pytest.approx(values.mean())
    half = 4.302652729911275 * values.std(ddof=1) / np.sqrt(3)
    assert float(found["sensitivity_high"][0, 0]) == pytest.approx(values.mean() + half)
    assert float(found["over_robust"][0, 0]) == pytest.approx(8)  # the geometric mean of 4, 8 and 16
    assert found.attrs["seeds"] == 3
    assert found.attrs["few"] == 1
    with pytest.raises(ValueError, match="seed"):
        sensitivity.group(joined.isel(seed=slice(2)))


def said(made: xr.Dataset) -> dict[str, tuple[int, str]]:
    columns = (made[name].values for name in ("claim", "allowed", "sentence"))
    return {str(claim): (int(allowed), str(text)) for claim, allowed, text in zip(*columns, strict=True)}


def test_claims_are_made_where_the_numbers_bear_them(clean: xr.Dataset) -> None:
    pushed = record(planted((4.0, 0.1, 0.5)), ARMS[:3])
    judged = pushed.assign(judged=xr.zeros_like(pushed["moved"], dtype=np.int8))
    conditional = sensitivity.normalised(judged, clean)
    gap = sensitivity.gap(record(planted((0.5,))), record(planted((2.0,))), clean)
    made = sensitivity_claims.weigh(
        sensitivity.bars(*four(clean)),
        learning=sensitivity.learning(days(clean)),
        gap=gap,
        conditional=conditional,
    )
    found = said(made)
    for claim in (
        "vanilla",
        "sites",
        "surrogate gap",
        "learning",
        "noise",
        "judge",
        "natural change",
        "predictor",
    ):
        assert found[claim][0] == 1, claim
    assert found["unqualified"][0] == 0
    assert "lower bound" in found["vanilla"][1]
    assert "more sensitive" in found["vanilla"][1]
    assert all("simulated" in text for _, text in found.values())
    assert "inferred" in found["objections"][1]
    assert "not an attack on a brain" in found["predictor"][1]


def test_claims_are_withheld_where_the_numbers_do_not(clean: xr.Dataset) -> None:
    same = sensitivity.bars(*four(clean, (1.0, 1.0, 2.0, 2.0)))
    flat = sensitivity.learning(days(clean, (1.0, 1.0, 1.0), noise=2.0))
    gap = sensitivity.gap(record(planted((2.0,))), record(planted((2.0,))), clean)
    found = said(sensitivity_claims.weigh(same, learning=flat, gap=gap))
    for claim in ("vanilla", "sites", "surrogate gap", "learning"):
        assert found[claim][0] == 0, claim
    assert "more sensitive" not in found["vanilla"][1]
    assert "grow stronger" not in found["learning"][1]


WHOLE = {"population": "20 sites", "area": "IT", "n": "n = 20", "origin": "real"}


@pytest.mark.parametrize(
    "sentence",
    [
        "Trained networks are already as robust as IT.",
        "Vanilla units are more sensitive than sites.",
        "The 20 sites of IT are less robust than the network (n = 20).",
        "The 20 sites of IT are less robust than the network; a lower bound.",
        "Sensitivity exceeds that of IT, n = 20, a lower bound.",
        "Sites lie between the networks.",
    ],
)
def test_the_guard_refuses_the_unqualified_sentence(sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^sentence: compares and leaves out"):
        sensitivity_claims.guarded(sentence, **WHOLE)


def test_the_guard_passes_what_is_whole_and_what_compares_nothing() -> None:
    whole = "These 20 sites of IT are less robust than the network (n = 20; a lower bound)."
    assert sensitivity_claims.guarded(whole, **WHOLE) == whole
    assert sensitivity_claims.guarded("Sites were recorded.", **WHOLE)
    with pytest.raises(ValueError, match="simulated"):
        sensitivity_claims.guarded("Sites were recorded.", **{**WHOLE, "origin": "simulated"})


def test_every_result_is_drawn_with_its_reference_lines(clean: xr.Dataset) -> None:
    made = sensitivity.bars(*four(clean))
    figure = sensitivity.plot(made)
    assert len(figure.axes[0].containers) == 4
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert any("random pair" in text for text in texts)
    assert "1 SD" in texts
    gap = sensitivity.gap(record(planted((0.5,))), record(planted((2.0,))), clean)
    for result in (days(clean), sensitivity.learning(days(clean)), gap, four(clean)[0]):
        axes = sensitivity.plot(result).axes[0]
        assert "simulated" in axes.get_title(loc="left")
        assert "lower bound" in axes.get_title(loc="left")
