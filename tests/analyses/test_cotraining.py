"""Sentences about targets, and the regression of robustness: planted gains, planted none, known slopes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import arms, cotraining


def measure(values, name="score"):
    """One number a seed, as a step gathered over seeds."""
    values = np.asarray(values, float)
    dims = ("seed", "epsilon")[: values.ndim]
    coords = {"seed": [str(k) for k in range(len(values))]}
    if values.ndim == 2:
        coords["epsilon"] = [0.1, 0.3][: values.shape[1]]
    return xr.Dataset({name: (dims, values, {"units": "1"})}, coords)


def contrasted(gain, control, seeds=6, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    base = 0.5 + 0.1 * rng.normal(size=seeds)
    parts = [measure(base + shift + noise * rng.normal(size=seeds)) for shift in (0, gain, control)]
    return arms.contrast(parts[0], variables=["score"], real=parts[1], shuffled=parts[2])


def weighed(found, **told):
    made = cotraining.weigh(target="real", control="shuffled", data="simulated sites", score=found, **told)
    columns = (made[name].values.tolist() for name in ("allowed", "sentence", "because"))
    return dict(zip(made["claim"].values.tolist(), zip(*columns, strict=True), strict=True))


def test_v29_a_planted_gain_is_said_and_one_that_the_control_has_too_is_not():
    assert weighed(contrasted(0.2, 0.0))["score"][0] == 1
    allowed, sentence, because = weighed(contrasted(0.2, 0.2))["score"]
    assert allowed == 0
    assert sentence.startswith("No gain is established")
    assert "shuffled" in because
    assert weighed(contrasted(0.0, -0.2))["score"][0] == 0
    assert "no target" in weighed(contrasted(0.0, -0.2))["score"][2]


def test_v29_shuffled_targets_alone_give_gains_no_more_often_than_the_level_allows():
    said = [weighed(contrasted(0.0, 0.0, seed=k))["score"][0] for k in range(200)]
    assert np.mean(said) < 0.04


def test_few_seeds_and_flags_withhold_the_gain():
    assert "3 seeds are fewer than 5" in weighed(contrasted(0.2, 0.0, seeds=3))["score"][2]
    raised = xr.Dataset(
        {"raised": (("seed", "flag"), [[0, 1]] * 6, {"units": "1"})},
        {"seed": [str(k) for k in range(6)], "flag": ["zero gradient", "transfer"]},
    )
    flags = arms.contrast(raised, variables=["raised"], real=raised, shuffled=raised)
    sure = contrasted(0.2, 0.0)
    told = {"target": "real", "control": "shuffled", "data": "simulated sites", "flags": flags}
    found = cotraining.weigh(**told, audited_robustness=sure, accuracy=sure)
    said = dict(zip(found["claim"].values.tolist(), found["allowed"].values.tolist(), strict=True))
    assert said == {"audited_robustness": 0, "accuracy": 1, "circularity": 1}
    assert "transfer in 18" in found["because"].values[0]


def test_numbers_are_chosen_averaged_and_made_relative_by_seed():
    base = measure([[0.2, 0.4], [0.4, 0.8]])
    twice = measure([[0.4, 0.4], [0.6, 0.8]])
    found = arms.contrast(base, variables=["score"], real=twice)
    table = cotraining.numbers(found, {"epsilon": 0.1})
    assert np.allclose(table, [[0.2, 0.4], [0.4, 0.6]])
    shares = cotraining.numbers(found, {}, relative=True)
    assert np.allclose(shares.sel(arm="real"), [(2 + 1) / 2, (1.5 + 1) / 2])
    with pytest.raises(ValueError, match=r"at: score has no epsilon 0\.2"):
        cotraining.numbers(found, {"epsilon": 0.2})


def test_regression_finds_the_slopes_that_were_planted():
    rng = np.random.default_rng(0)
    clean, neural = rng.random((2, 3, 8))
    robust = 0.3 + 2.0 * clean - 0.5 * neural + 0.01 * rng.normal(size=(3, 8))
    parts = {
        name: arms.contrast(measure(rows[0]), variables=["score"], a=measure(rows[1]), b=measure(rows[2]))
        for name, rows in (("clean", clean), ("neural", neural), ("robust", robust))
    }
    found = cotraining.regress(parts.pop("robust"), **parts)
    assert np.allclose(found["slope"], [2.0, -0.5], atol=0.03)
    assert (found["slope_low"] < [2.0, -0.5]).all()
    assert (found["slope_high"] > [2.0, -0.5]).all()
    x = np.column_stack([np.ones(16), clean[1:].ravel(), neural[1:].ravel()])
    assert np.allclose(found["slope"], np.linalg.lstsq(x, robust[1:].ravel(), rcond=None)[0][1:])
    assert found.attrs["r_squared"] > 0.99
    assert found["outcome"].shape == (2, 8)
    assert cotraining.plot(found).axes
    assert cotraining.plot(cotraining.weigh(target="a", control="b", data="x", score=parts["clean"])).axes


def test_what_cannot_be_weighed_is_refused():
    found = contrasted(0.2, 0.0)
    with pytest.raises(ValueError, match="no arm 'other'"):
        cotraining.weigh(target="other", control="shuffled", data="x", score=found)
    with pytest.raises(ValueError, match="measures: none given"):
        cotraining.weigh(target="real", control="shuffled", data="x")
    with pytest.raises(ValueError, match="predictors: none were given"):
        cotraining.regress(found)
    with pytest.raises(ValueError, match="do not tell 3 numbers"):
        cotraining.regress(found, one=found, same=found)
