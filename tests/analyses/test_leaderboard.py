"""Tables of models: planted truths, laws, what cannot be compared."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import leaderboard, predictivity, reliability
from loaders import schema, synthetic

SESSION = {"seed": 3, "neuroids": 24, "objects": 8, "images": 10, "repeats": 10}
WINDOW = (0.08, 0.28)


@pytest.fixture(scope="module")
def neurons() -> xr.Dataset:
    return count(synthetic.macaque_it(**SESSION))


@pytest.fixture(scope="module")
def models() -> dict[str, xr.Dataset]:
    """The neurons themselves without noise; with features of their own; of objects only; of nothing."""
    truth = count(synthetic.macaque_it(**SESSION, expected=True))
    rng = np.random.default_rng(0)
    shape = truth["response"].shape
    part = truth["response"].copy(data=truth["response"].values + 6 * rng.normal(size=shape))
    label = (truth["object"].values[:, None] == np.unique(truth["object"].values)).astype(float)
    label += 1e-6 * rng.normal(size=label.shape)
    other = truth["response"][:, : label.shape[1]].copy(data=label)
    noise = truth["response"].copy(data=rng.normal(size=shape))
    mean = {"truth": truth, "part": truth.assign(response=part), "noise": truth.assign(response=noise)}
    return {
        **mean,
        "label": truth.isel(neuroid=slice(label.shape[1])).assign(response=other),
    }


def count(recording: xr.Dataset) -> xr.Dataset:
    response = recording["response"].sel(time=slice(*WINDOW)).sum("time", keep_attrs=True)
    return recording.drop_dims("time").assign(response=response)


@pytest.fixture(scope="module")
def scored(neurons: xr.Dataset, models: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    ceiling = reliability.split_half(neurons, bootstraps=100)
    return {
        name: predictivity.score(one, neurons, ceiling=ceiling, bootstraps=300)
        for name, one in models.items()
    }


def test_v21_the_truth_ranks_first_and_reaches_its_ceiling(scored: dict[str, xr.Dataset]) -> None:
    found = schema.check(leaderboard.table(**scored))
    assert found["model"].values[0] == "truth"
    assert set(found["model"].values[1:3]) == {"part", "label"}
    assert found["model"].values[3] == "noise"
    assert 0.95 < float(found["normalized_score"][0]) < 1.05
    assert float(found["score_low"][3]) < 0.1
    first = found.sel(model="truth")
    assert (first["difference_low"].sel(other_model=["label", "noise"]) > 0).all()
    assert (first["p"].sel(other_model=["label", "noise"]) < 0.05).all()


def test_differences_are_antisymmetric_and_agree_with_pairs(scored: dict[str, xr.Dataset]) -> None:
    found = leaderboard.table(**scored)
    gap = found["difference"].values
    np.testing.assert_allclose(gap, -gap.T, atol=1e-15)
    np.testing.assert_allclose(found["difference_low"].values, -found["difference_high"].values.T, atol=1e-15)
    pair = predictivity.compare(scored["truth"], scored["noise"])
    told = found.sel(model="truth", other_model="noise")
    assert float(told["difference"]) == pytest.approx(pair.attrs["difference"])
    assert float(told["difference_low"]) < pair.attrs["difference_low"]  # corrected for all pairs


def test_a_model_does_not_differ_from_itself(scored: dict[str, xr.Dataset]) -> None:
    found = leaderboard.table(one=scored["part"], same=scored["part"])
    assert np.isnan(np.diag(found["p"].values)).all()
    assert float(found["p"][0, 1]) == 1
    assert (found["difference"].values == 0).all()


def test_scores_of_other_stimuli_or_splits_are_refused(
    neurons: xr.Dataset, models: dict[str, xr.Dataset], scored: dict[str, xr.Dataset]
) -> None:
    other = predictivity.score(models["part"], neurons, bootstraps=300, seed=1)
    with pytest.raises(ValueError, match="other: has drawn"):
        leaderboard.table(part=scored["part"], other=other)
    with pytest.raises(ValueError, match="compares two or more"):
        leaderboard.table(part=scored["part"])
    with pytest.raises(ValueError, match="second: has no score"):
        leaderboard.table(part=scored["part"], second=neurons)


def test_plot_shows_every_model_with_chance_and_ceiling(scored: dict[str, xr.Dataset]) -> None:
    (axes,) = leaderboard.plot(leaderboard.table(**scored)).axes
    assert axes.get_yticklabels()[0].get_text() == "truth"
    assert "median of 24 neuroids" in axes.get_xlabel()
    assert {text.get_text() for text in axes.texts} == {"chance", "ceiling of the grey"}
