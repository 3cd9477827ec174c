"""Units attacked with all knowledge: closed forms of a linear layer, budgets of other kinds, and a judge."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from analyses import sensitivity as analysis
from analyses import sensitivity_controls as controls
from pipeline.attacks import annealed
from pipeline.models import cnn
from pipeline.stages import _sensitivity_budgets as budgets
from pipeline.stages import _sensitivity_push as push
from pipeline.stages import record, sensitivity

QUICK = functools.partial(annealed.annealed, steps=8, wide_steps=2)
SIZES = (0.0, 0.1, 0.3)
CORE = functools.partial(cnn.build, width=4)
attack = functools.partial(sensitivity.attack, batch=24)
aim = functools.partial(sensitivity.aimed, batch=24)


def pictures(count: int = 40, side: int = 16, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    image = (0.3 + 0.4 * rng.random((count, 3, side, side))).astype(np.float32)
    held = (("stimulus", "channel", "y", "x"), image, {"units": "1"})
    return xr.Dataset({"image": held}, {"stimulus_id": ("stimulus", np.arange(count).astype(str))})


class Plain(nn.Module):
    """Linear responses of known weights."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Linear(3 * 16 * 16, 4)
        with torch.no_grad():
            self.read.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.read(x.flatten(1))
        return found


@pytest.fixture(scope="module")
def stimuli() -> xr.Dataset:
    return pictures()


@pytest.fixture(scope="module")
def linear(stimuli: xr.Dataset) -> tuple[Plain, xr.Dataset]:
    module = Plain()
    search = functools.partial(annealed.annealed, steps=40)
    return module, attack(stimuli, module, pictures=6, epsilons=SIZES, search=search)


def change(made: xr.Dataset, arm: str = "attack") -> np.ndarray:
    part = np.abs(made["moved"].sel(arm=arm) - made["clean"])
    return np.asarray(part.transpose("epsilon", "stimulus", "neuroid").values)


def test_a_linear_unit_moves_by_epsilon_times_the_length_of_its_weights(
    linear: tuple[Plain, xr.Dataset],
) -> None:
    module, made = linear
    length = module.read.weight.norm(dim=1).detach().numpy()
    for place, size in enumerate(SIZES):
        expected = np.broadcast_to(size * length, (6, 4))
        np.testing.assert_allclose(change(made)[place], expected, rtol=0.01, atol=1e-6)


def test_random_and_natural_steps_and_other_attacks_are_far_below(linear: tuple[Plain, xr.Dataset]) -> None:
    made = linear[1]
    attack = change(made)[-1].mean()
    for arm in ("random direction", "natural step", "another neuroid's attack"):
        assert (change(made, arm)[0] == 0).all()
        assert change(made, arm)[-1].mean() < 0.3 * attack


def test_attacks_rise_with_the_budget_and_nothing_changes_at_0(stimuli: xr.Dataset) -> None:
    made = attack(stimuli, CORE, layers=["conv1", "conv3"], units=3, pictures=4, epsilons=SIZES, search=QUICK)
    assert (change(made)[0] == 0).all()
    assert (np.diff(change(made), axis=0) >= -1e-6).all()
    assert made["layer"].values.tolist() == ["conv1"] * 3 + ["conv3"] * 3
    again = attack(
        stimuli, CORE, layers=["conv1", "conv3"], units=3, pictures=4, epsilons=SIZES, search=QUICK
    )
    xr.testing.assert_identical(made, again)


def test_units_are_those_of_a_recording_by_name(stimuli: xr.Dataset) -> None:
    module = CORE()
    made = attack(stimuli, module, layers=["conv2"], units=5, pictures=4, epsilons=SIZES, search=QUICK)
    seen = record.activations(stimuli, module, layers=["conv2"])
    rows = [seen["stimulus_id"].values.tolist().index(name) for name in made["stimulus_id"].values.tolist()]
    columns = [seen["neuroid_id"].values.tolist().index(name) for name in made["neuroid_id"].values.tolist()]
    np.testing.assert_allclose(
        made["clean"].values, seen["response"].values[np.ix_(rows, columns)], atol=1e-5
    )
    found = analysis.normalised(made, seen)
    assert found.attrs["estimator"] == "absolute"
    assert found.attrs["origin"] == "model"
    assert found.attrs["neuroids"] == 5


def test_silent_units_are_never_drawn_and_are_counted(stimuli: xr.Dataset) -> None:
    module = CORE()
    with torch.no_grad():
        module.conv1[1].bias[1:] = -100.0
    made = attack(stimuli, module, layers=["conv1"], units=5, pictures=4, epsilons=SIZES, search=QUICK)
    assert made.attrs["silent"] >= 3 * 64
    assert all(int(name.rpartition(":")[2]) < 64 for name in made["neuroid_id"].values.tolist())
    with torch.no_grad():
        module.conv1[1].bias[:] = -100.0
    with pytest.raises(ValueError, match=r"^layers: no unit"):
        attack(stimuli, module, layers=["conv1"], units=5, pictures=4)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_random_steps_have_exactly_the_budget(norm: str) -> None:
    x = push.pixels(pictures(5), np.arange(5))
    told = push.how((0.1, 0.2), None, norm, 8, 0)
    delta = (push.random_steps(x, told) - x).flatten(2)
    found = delta.norm(dim=2) if norm == "l2" else delta.abs().amax(2)
    torch.testing.assert_close(found, torch.tensor([[0.1], [0.2]]).expand(2, 5), rtol=1e-4, atol=1e-6)


def test_natural_steps_go_straight_to_the_nearest_other_picture() -> None:
    x = push.pixels(pictures(3), np.arange(3))
    others = torch.cat([x + 0.05, x - 0.2]).clamp(0, 1)
    length = float((0.05 * torch.ones(3 * 256)).norm())
    told = push.how((length / 2, 10 * length), None, "l2", 8, 0)
    made = push.natural_steps(x, others, told)
    torch.testing.assert_close(made[0], x + 0.025, rtol=0, atol=1e-5)
    torch.testing.assert_close(made[1], x + 0.05, rtol=0, atol=1e-5)  # it ends at the picture


def test_low_pass_perturbations_are_coarse_and_within_the_budget() -> None:
    x = push.pixels(pictures(3), np.arange(3))
    told = push.how((0.3,), QUICK, "l2", 8, 0)
    made = budgets.displaced(Plain().eval(), x, 4, "low-pass", told)
    delta = (made - x).flatten(0, 2)
    spectrum = torch.fft.rfft2(delta.double()).abs()
    fine = budgets._gain("low-pass", 16, 16) == 0
    assert float(spectrum[..., fine].max()) < 1e-4 * float(spectrum.max())
    assert (delta.flatten(1).norm(dim=1) <= 0.3 * (1 + 1e-5)).all()
    free = push.displaced(Plain().eval(), x, 4, told)
    assert float((made - x).abs().sum()) > 0
    module = Plain()
    moved = [push.own(push.evoked(module, part, 8)) - push.answers(module, x, 8) for part in (made, free)]
    assert np.abs(moved[0]).mean() < np.abs(moved[1]).mean()


def test_linf_budgets_have_equal_size_a_pixel() -> None:
    x = push.pixels(pictures(3), np.arange(3))
    told = push.how((0.3,), QUICK, "l2", 8, 0)
    made = budgets.displaced(Plain().eval(), x, 4, "linf", told)
    assert float((made - x).abs().max()) == pytest.approx(0.3 / np.sqrt(3 * 256), rel=1e-4)


def test_contrast_sensitivity_spends_most_where_eyes_see_least() -> None:
    gain = budgets._gain("contrast sensitivity", 32, 32)
    assert float(gain[0, 0]) > float(gain[0, 16])
    assert float(gain.max() / gain.min()) < 1 / budgets.FAINT + 1e-6


def test_budgets_are_arms_and_unknown_ones_are_named(stimuli: xr.Dataset) -> None:
    numbers = {"pictures": 3, "epsilons": SIZES, "search": QUICK}
    made = attack(stimuli, Plain(), budgets=list(budgets.KINDS), **numbers)
    assert made["arm"].values.tolist()[-3:] == list(budgets.KINDS)
    assert (change(made, "low-pass")[0] < 1e-6).all()
    with pytest.raises(ValueError, match=r"^budgets: "):
        attack(stimuli, Plain(), budgets=["lowpass"], **numbers)


def judge() -> xr.Dataset:
    module = cnn.build(width=4, classes=3, seed=3)
    told = {"use": "pipeline.models.cnn.build", "with": {"width": 4, "classes": 3}}
    return sensitivity.record._weights.to_dataset(module).assign_attrs(model=json.dumps(told))


def test_the_judge_sees_no_change_at_0_and_is_the_classifier(stimuli: xr.Dataset) -> None:
    numbers = {"layers": ["conv2"], "units": 3, "pictures": 5, "epsilons": (0.0, 3.0), "search": QUICK}
    made = attack(stimuli, CORE, judge=judge(), **numbers)
    assert made["judged"].dims == made["moved"].dims
    assert int(made["judged"].isel(epsilon=0).sum()) == 0
    assert set(np.unique(made["judged"])) <= {0, 1}
    seen = record.activations(stimuli, CORE, layers=["conv2"])
    found = analysis.normalised(made, seen)
    assert found["judge_changed"].sel(arm="attack").values[0] == 0


def test_another_surrogate_is_an_arm_of_its_own(stimuli: xr.Dataset) -> None:
    told = {"use": "pipeline.models.cnn.build", "with": {"width": 4}}
    pair = [
        sensitivity.record._weights.to_dataset(cnn.build(width=4, seed=seed)).assign_attrs(
            model=json.dumps(told)
        )
        for seed in (0, 5)
    ]
    made = attack(
        stimuli,
        weights=pair[0],
        surrogate=pair[1],
        layers=["conv2"],
        units=4,
        pictures=4,
        epsilons=SIZES,
        search=QUICK,
    )
    assert made["arm"].values.tolist()[-1] == "shuffled surrogate"
    assert change(made, "shuffled surrogate")[-1].mean() < change(made)[-1].mean()


@pytest.fixture(scope="module")
def aimed(stimuli: xr.Dataset) -> dict[str, xr.Dataset]:
    module = Plain()
    seen = record.activations(stimuli, module, layers=["output"])
    label = np.where(seen["response"].values[:, 0] > np.median(seen["response"].values[:, 0]), "more", "less")
    decoder = controls.decoder(seen.assign_coords(label=("presentation", label)), label="label")
    found = {"seen": seen, "read": decoder}
    for target in sensitivity.TARGETS:
        told = {"decoder": decoder} if target == "decoder" else {}
        numbers = {"pictures": 8, "epsilons": (0.0, 0.1, 1.0), "search": QUICK}
        found[target] = aim(stimuli, module, target=target, **numbers, **told)
    return found


def test_each_target_moves_its_own_number_most(aimed: dict[str, xr.Dataset]) -> None:
    def lengths(made: xr.Dataset) -> np.ndarray:
        delta = (made["moved"].sel(arm="attack") - made["clean"]).transpose("epsilon", "stimulus", "neuroid")
        return np.linalg.norm(delta.values, axis=-1).mean(-1)

    whole = lengths(aimed["population"])
    assert whole[0] == 0
    assert (whole[1:] >= lengths(aimed["unit"])[1:] - 1e-6).all()
    assert (whole[1:] >= 0.95 * lengths(aimed["decoder"])[1:]).all()  # of so few steps
    made = controls.flips(aimed["read"], aimed["unit"], aimed["population"], aimed["decoder"])
    rate = made["flipped"].transpose("arm", "epsilon").values
    assert (rate[:, 0] == 0).all()
    assert rate[2, -1] == 1  # the decoder's own margin, with a large budget
    assert (rate[2] >= rate.max(axis=0) - 1e-9).all()
    found = controls.population(aimed["population"], aimed["seen"])
    assert (np.diff(found["displacement"].sel(arm="attack")) > 0).all()


def test_a_unit_attack_moves_that_unit_most(aimed: dict[str, xr.Dataset]) -> None:
    made = aimed["unit"]
    delta = np.abs(made["moved"].sel(arm="attack") - made["clean"]).isel(epsilon=1)
    assert (delta.transpose("stimulus", "neuroid").values.argmax(-1) == np.arange(8) % 4).all()


def test_a_layer_with_places_is_a_population_as_well(stimuli: xr.Dataset) -> None:
    module = CORE()
    made = aim(stimuli, module, layer="conv2", pictures=4, epsilons=(0.0, 1.0), search=QUICK)
    seen = record.activations(stimuli, module, layers=["conv2"])
    assert made["neuroid_id"].values.tolist() == seen["neuroid_id"].values.tolist()
    found = controls.population(made, seen)["displacement"].transpose("arm", "epsilon")
    assert found.sel(arm="attack")[1] > found.sel(arm="random direction")[1] > 0


def test_targets_and_decoders_must_fit(stimuli: xr.Dataset, aimed: dict[str, xr.Dataset]) -> None:
    with pytest.raises(ValueError, match=r"^target: "):
        aim(stimuli, Plain(), target="neuroid")
    for told in ({"target": "decoder"}, {"target": "unit", "decoder": aimed["read"]}):
        with pytest.raises(ValueError, match=r"^decoder: "):
            aim(stimuli, Plain(), **told)
    few = aimed["read"].isel(neuroid=slice(2))
    with pytest.raises(ValueError, match=r"^decoder: reads 2 neuroids of 4"):
        aim(stimuli, Plain(), target="decoder", decoder=few)


@pytest.mark.parametrize("epsilons", [(), (0.2, 0.1), (-0.1,), (float("nan"),), (0.1, 0.1)])
def test_f71_budgets_out_of_range_are_named(stimuli: xr.Dataset, epsilons: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"^epsilons: "):
        attack(stimuli, Plain(), pictures=3, epsilons=epsilons)


def test_f66_pictures_out_of_range_are_refused(stimuli: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=r"^image: "):
        attack(stimuli.assign(image=stimuli["image"] * 255), Plain(), pictures=3)


def test_records_are_drawn(linear: tuple[Plain, xr.Dataset], aimed: dict[str, xr.Dataset]) -> None:
    for made in (linear[1], aimed["population"]):
        figure = sensitivity.plot(made)
        assert len(figure.axes) == 1
        assert "lower bounds" in figure.axes[0].get_title(loc="left")
