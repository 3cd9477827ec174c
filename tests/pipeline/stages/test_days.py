"""Simulated sites and days of attacks: noise as planted, and nothing that leaks between days."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch
import xarray as xr

from analyses import sensitivity
from pipeline.attacks import annealed
from pipeline.models import cnn
from pipeline.stages import _days_campaign, days, record, sites

QUICK = functools.partial(annealed.annealed, steps=3, wide_steps=1)
CORE = functools.partial(cnn.build, width=4)
SIZES = (0.0, 0.3, 1.0)


def pictures(count: int = 120, seed: int = 0) -> xr.Dataset:
    """Smooth random pictures of two classes."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 3, 4, 4)).astype(np.float32)
    image = np.repeat(np.repeat(coarse, 4, axis=2), 4, axis=3)
    ids = np.array([f"picture {k}" for k in range(count)])
    held = (("stimulus", "channel", "y", "x"), image, {"units": "1"})
    return xr.Dataset(
        {"image": held}, {"stimulus_id": ("stimulus", ids), "label": ("stimulus", np.arange(count) % 4)}
    )


@pytest.fixture(scope="module")
def stimuli() -> xr.Dataset:
    return pictures()


@pytest.fixture(scope="module")
def hidden(stimuli: xr.Dataset) -> xr.Dataset:
    return sites.teacher(
        stimuli, functools.partial(CORE, seed=9), layer="conv2", neuroids=5, inputs=8, rate=50.0
    )


def campaign(stimuli: xr.Dataset, hidden: xr.Dataset, **numbers: object) -> xr.Dataset:
    told = {
        "days": 2,
        "first": 80,
        "each": 6,
        "pictures": 6,
        "epsilons": SIZES,
        "search": QUICK,
        "layer": "conv2",
    }
    return days.campaign(stimuli, hidden, functools.partial(CORE, seed=9), batch=30, **(told | numbers))


@pytest.fixture(scope="module")
def made(stimuli: xr.Dataset, hidden: xr.Dataset) -> xr.Dataset:
    return campaign(stimuli, hidden)


def test_drives_have_mean_0_and_sd_1_over_pictures(stimuli: xr.Dataset, hidden: xr.Dataset) -> None:
    module = sites.known(hidden)
    seen = module.core(torch.from_numpy(stimuli["image"].values))
    drive = ((module.sites.drive(seen) - module.sites.level) / module.sites.spread).detach()
    np.testing.assert_allclose(drive.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(drive.std(0, unbiased=False), 1, atol=1e-4)
    assert hidden.attrs["origin"] == "simulated"
    assert json.loads(hidden.attrs["model"])["use"] == "pipeline.models.teacher.build"


def test_units_as_sites_pass_over_what_is_silent(stimuli: xr.Dataset) -> None:
    dead = cnn.build(width=4, seed=9)
    with torch.no_grad():
        dead.conv2[1].bias[:6] = -100.0  # six of eight channels are silent
    made = sites.teacher(stimuli, dead, layer="conv2", neuroids=6, kind="unit")
    module = sites.networks.built(dead)[0]
    assert made.attrs["silent"] >= 6 * 16
    assert ((made["sites.place"].values.ravel() // 16) >= 6).all()
    assert module is dead
    with pytest.raises(ValueError, match="neuroids"):
        sites.teacher(stimuli, dead, layer="conv2", neuroids=40, kind="unit")


def test_counts_are_poisson_around_the_rates(stimuli: xr.Dataset, hidden: xr.Dataset) -> None:
    few = stimuli.isel(stimulus=slice(20))
    rates = sites.record(few, hidden, noisy=False)["response"].values
    counts = sites.record(few, hidden, presentations=400)["response"].values.reshape(20, 400, 5)
    np.testing.assert_allclose(counts.mean(1), rates, rtol=0.1)
    np.testing.assert_allclose(counts.var(1) / rates, 1, atol=0.35)
    assert (counts == counts.round()).all()


def test_what_one_picture_evokes_does_not_depend_on_the_others(
    stimuli: xr.Dataset, hidden: xr.Dataset
) -> None:
    whole = sites.record(stimuli, hidden, presentations=3)
    part = sites.record(stimuli.isel(stimulus=slice(7)), hidden, presentations=3)
    np.testing.assert_array_equal(whole["response"].values[:21], part["response"].values)


def test_only_simulated_sites_are_queried(stimuli: xr.Dataset, hidden: xr.Dataset) -> None:
    with pytest.raises(ValueError, match=r"^sites: are not simulated"):
        sites.record(stimuli, hidden.assign_attrs(origin="real, raw"))


def test_no_budget_changes_nothing_and_more_moves_the_model_more(made: xr.Dataset) -> None:
    true = (made["true_moved"] - made["true_clean"]).transpose("day", "arm", "epsilon", "stimulus", "neuroid")
    assert (true.isel(epsilon=0) == 0).all()
    assert (true.sel(arm="nothing") == 0).all()
    guess = np.abs(made["predicted"].sel(arm="attack"))
    assert (guess.isel(epsilon=2) >= guess.isel(epsilon=1) - 1e-5).all()
    assert (guess.isel(epsilon=0) < 1e-5).all()


def test_same_inputs_same_bytes(stimuli: xr.Dataset, hidden: xr.Dataset, made: xr.Dataset) -> None:
    again = campaign(stimuli, hidden)
    for name in made.data_vars:
        np.testing.assert_array_equal(made[name].values, again[name].values, err_msg=str(name))


def test_a_day_knows_nothing_of_later_days(stimuli: xr.Dataset, hidden: xr.Dataset, made: xr.Dataset) -> None:
    longer = campaign(stimuli, hidden, days=3)
    for name in ("clean", "moved", "predicted", "true_moved", "fitted"):
        np.testing.assert_array_equal(longer[name].values[:2], made[name].values, err_msg=name)


def test_held_out_pictures_are_never_fitted_and_signs_come_before(
    stimuli: xr.Dataset, hidden: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, object]] = []
    fit, count = _days_campaign._fit, _days_campaign.query.counts

    def fitted(parts: object, data: object, shuffled: bool = False) -> object:
        told.append(("fit", set(data.source.tolist())))  # type: ignore[attr-defined]
        return fit(parts, data, shuffled)  # type: ignore[arg-type]

    def counted(rates: np.ndarray, many: int, seed: int, *words: int) -> np.ndarray:
        told.append(("record", words))
        return count(rates, many, seed, *words)

    monkeypatch.setattr(_days_campaign, "_fit", fitted)
    monkeypatch.setattr(_days_campaign.query, "counts", counted)
    made = campaign(stimuli, hidden, days=3)
    names = stimuli["stimulus_id"].values.tolist()
    held = {names.index(name) for name in made["stimulus_id"].values.tolist()}
    assert len(held) == 6
    for what, value in told:
        assert what != "fit" or not held & value  # type: ignore[operator]
    kinds = [(what, value[1] if what == "record" and value[0] in (3, 4) else None) for what, value in told]  # type: ignore[index]
    fits = [place for place, (what, _) in enumerate(kinds) if what == "fit"][
        1:
    ]  # the first is the shuffled one
    for day in range(3):  # what is held out is recorded after that day's model was fitted, before the next
        shown = [place for place, kind in enumerate(kinds) if kind == ("record", day)]
        assert fits[day] < min(shown)
        assert day == 2 or max(shown) < fits[day + 1]


def test_the_surrogate_is_a_model_to_be_built_again(stimuli: xr.Dataset, made: xr.Dataset) -> None:
    found = record.activations(stimuli, None, weights=made, layers=["output"])
    rows = [
        stimuli["stimulus_id"].values.tolist().index(name) for name in made["stimulus_id"].values.tolist()
    ]
    clean = found["response"].values[rows]
    assert clean.shape == (6, 5)
    assert np.corrcoef(clean.ravel(), made["true_clean"].values.ravel())[0, 1] > 0.8


def test_the_campaign_is_what_the_analysis_reads(
    stimuli: xr.Dataset, hidden: xr.Dataset, made: xr.Dataset
) -> None:
    seen = sites.record(stimuli, hidden, presentations=3)
    found = sensitivity.normalised(made, seen)
    assert found["sensitivity"].dims == ("day", "arm", "epsilon")
    assert found.attrs["estimator"] == "signed"
    assert found.attrs["noise_bias"] > 0
    learned = sensitivity.learning(found)
    assert learned["zero_signed"].dims == ("day",)
    true = sensitivity.normalised(made, seen, noise_free=True)
    attack = true["sensitivity"].sel(arm="attack").isel(epsilon=-1)
    assert (attack > true["sensitivity"].sel(arm="random direction").isel(epsilon=-1)).all()


@pytest.mark.parametrize(
    ("numbers", "words"),
    [({"days": 0}, "days"), ({"pictures": 2}, "days"), ({"epsilons": (1.0, 0.5)}, "epsilons"),
     ({"epsilons": (-1.0,)}, "epsilons"), ({"first": 200}, "stimuli"), ({"layer": "conv9"}, "layer")],
)  # fmt: skip
def test_arguments_out_of_range_are_named(
    stimuli: xr.Dataset, hidden: xr.Dataset, numbers: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        campaign(stimuli, hidden, **numbers)


def test_equal_pictures_are_taken_once(stimuli: xr.Dataset, hidden: xr.Dataset) -> None:
    content = np.array([f"{k // 2}" for k in range(120)])
    double = stimuli.assign_coords(content=("stimulus", content))
    with pytest.raises(ValueError, match="60 different pictures"):
        campaign(double, hidden)


def weights(seed: int) -> xr.Dataset:
    module = cnn.build(width=4, seed=seed)
    found = sites._weights.to_dataset(module)
    told = {"use": "pipeline.models.cnn.build", "with": {"width": 4, "seed": seed}}
    return found.assign_attrs(model=json.dumps(told))


def test_screening_finds_the_network_that_the_sites_come_from(stimuli: xr.Dataset) -> None:
    own = sites.teacher(stimuli, weights=weights(9), layer="conv2", neuroids=5, inputs=8, rate=50.0)
    numbers = {
        "layers": ["conv2"],
        "first": 80,
        "pictures": 10,
        "epsilon": 1.0,
        "search": QUICK,
        "bootstraps": 100,
        "batch": 40,
    }
    found = days.screen(stimuli, own, vanilla=weights(4), robust=weights(9), **numbers)
    assert found["cka"].dims == ("model", "layer")
    best = found["predictivity"].sel(model="adversarially trained")
    assert (best >= found["predictivity"].sel(model="vanilla")).all()
    assert found.attrs["chosen"].startswith(
        ("adversarially trained", "untrained")
    )  # the twin has the same seed
    assert (
        found["transfer"].sel(model="adversarially trained") > found["transfer_low"].sel(model="vanilla")
    ).all()
    assert len(days.plot(found).axes) == 3
    assert len(sensitivity.plot(found).axes) == 3


def test_categories_go_from_the_least_towards_the_most_preferred(
    stimuli: xr.Dataset, hidden: xr.Dataset, made: xr.Dataset
) -> None:
    seen = sites.record(stimuli, hidden, presentations=20)
    numbers = {"label": "label", "pictures": 3, "epsilons": (0.0, 3.0), "search": QUICK, "batch": 30}
    found = days.categories(stimuli, hidden, seen, made, **numbers)
    assert float(found["level_mean"][1]) > float(found["level_mean"][0])
    means = seen["response"].groupby("label").mean("presentation").transpose("label", "neuroid").values
    np.testing.assert_array_equal(found["least"].values.astype(int), means.argmin(0))
    np.testing.assert_array_equal(found["most"].values.astype(int), means.argmax(0))
    assert days.plot(found).axes
    assert sensitivity.plot(found.drop_vars(["level", "least", "most"])).axes  # as a group of them is
    with pytest.raises(ValueError, match=r"^pictures: "):
        days.categories(stimuli, hidden, seen, made, **{**numbers, "pictures": 50})


def test_a_campaign_is_drawn(made: xr.Dataset) -> None:
    figure = days.plot(made)
    assert len(figure.axes) == 2
    assert "simulated" in figure.axes[0].get_title(loc="left")
