"""Morphs between pictures, noisy recordings, and the published toys at the tolerance of their oracles."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.datasets import load_digits
from torch.nn import functional

from analyses import categories
from pipeline import tasks
from pipeline.models import autoencoder, dense
from pipeline.stages import continua, portions, record, train

ONE = {"units": "1"}


def pictured(image: np.ndarray, label: np.ndarray) -> xr.Dataset:
    from pipeline.stages._pictures import hashed

    image = image.astype(np.float32)
    held = {
        "stimulus_id": np.arange(len(image)).astype(str),
        "label": label,
        "content": [hashed(one) for one in image],
    }
    dims = ("stimulus", "channel", "y", "x")
    return xr.Dataset(
        {"image": (dims, image, ONE)}, {name: ("stimulus", np.array(v)) for name, v in held.items()}
    )


def digits() -> xr.Dataset:
    found = load_digits()
    return pictured(found.images[:, None] / 16, found.target)


# ---- continua


def test_pixels_are_mixed_on_a_straight_line() -> None:
    given = digits()
    found = continua.between(given, label="label", pairs=2, steps=5, classes=[3, 4, 8])
    assert found.sizes["stimulus"] == 3 * 2 * 5
    one = found.isel(stimulus=slice(0, 5))
    ends = [given["image"].values[int(one[f"{side}_id"].values[0])] for side in ("first", "second")]
    np.testing.assert_allclose(one["image"].values[2], 0.5 * (ends[0] + ends[1]), atol=1e-6)
    assert found.attrs["error"] == pytest.approx(0, abs=1e-12)
    assert one["first_label"].values.tolist() == [3] * 5
    assert one["alpha"].values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    again = continua.between(given, label="label", pairs=2, steps=5, classes=[3, 4, 8])
    xr.testing.assert_identical(found, again)
    assert len(continua.plot(found).axes) == 6 * 5


def test_codes_are_mixed_and_pictures_seen_before_are_refused() -> None:
    given = digits()
    lessons, rest = (portions.portion(given, start=a, stop=b) for a, b in ((0, 0.5), (0.5, 1)))
    weights = train.fit(
        lessons, partial(autoencoder.build, filters=(8, 4), side=8), task=autoencoder.reconstruct, epochs=3,
        rate=0.01, optimizer="adamw", validation=0, seed=0,
    )  # fmt: skip
    found = continua.between(rest, weights, label="label", steps=4, classes=[0, 1])
    assert found.attrs["space"] == "autoencoder"
    assert 0 < found.attrs["error"] < 0.1
    first = rest.isel(stimulus=np.flatnonzero(rest["stimulus_id"].values == found["first_id"].values[0]))
    direct = record.activations(first, None, weights=weights, layers=["output"])["response"].values
    np.testing.assert_allclose(found["image"].values[0].ravel(), direct.ravel(), atol=1e-5)
    with pytest.raises(ValueError, match="the autoencoder has learned picture"):
        continua.between(lessons, weights, label="label", steps=4)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="label: the stimuli have no 'digit'"):
        continua.between(digits(), label="digit")
    with pytest.raises(ValueError, match="steps: 2"):
        continua.between(digits(), label="label", steps=2)
    with pytest.raises(ValueError, match="pairs: 500"):
        continua.between(digits(), label="label", pairs=500)
    weights = train.fit(
        digits(), partial(dense.build, inputs=64, widths=(4,)), task=tasks.classify, label="label", epochs=1,
        rate=0.1, validation=0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="no encoder and decoder"):
        continua.between(digits().drop_vars("content"), weights, label="label")


# ---- noise


def test_noise_has_the_spread_of_its_dropout() -> None:
    given = digits().isel(stimulus=slice(0, 2))
    model = partial(
        dense.build, inputs=64, widths=(30,), dropout=(0.5,), noise="gaussian", activation="sigmoid", seed=1
    )
    found = continua.noisy(given, model, trials=400, layers=["layer1"])
    still = record.activations(given, model, layers=["layer1"])["response"].values
    block = found["response"].values.reshape(2, 400, 30)
    np.testing.assert_allclose(block.std(axis=1, ddof=1) / still, 1, atol=0.2)
    assert found["stimulus_id"].values.tolist() == ["0"] * 400 + ["1"] * 400
    alone = continua.noisy(given.isel(stimulus=[0]), model, trials=400, layers=["layer1"])
    np.testing.assert_array_equal(alone["response"].values, found["response"].values[:400])
    again = record.activations(given, model, layers=["layer1"])["response"].values
    np.testing.assert_array_equal(still, again)


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(ValueError, match="has no dropout"):
        continua.noisy(digits(), torch.nn.Sequential(torch.nn.Flatten()), trials=2)


# ---- one dimension


REACH = 3.0  # pixels from 0 to 1 stand for x from -3 to 3


def toy(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 5000)
    return np.clip(rng.normal(label - 0.5, 0.5), -REACH, REACH), label


def line(x: np.ndarray, label: np.ndarray) -> xr.Dataset:
    return pictured((x[:, None, None, None] + REACH) / (2 * REACH), label).drop_vars("content")


def binary(module: torch.nn.Module, batch: Any) -> dict[str, torch.Tensor]:
    truth = batch.label.float()
    return {
        "bce": functional.binary_cross_entropy_with_logits(module(batch.x)[:, 0], truth, reduction="none")
    }


def neighbours(weights: xr.Dataset | None, model: Any) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(-1.6, 1.6, 50)
    numbers = {"mean": [0.5], "std": [1 / (2 * REACH)]}
    found = record.activations(
        line(x, np.zeros(50, int)),
        None if weights is not None else model,
        weights=weights,
        layers=["layer1"],
        **numbers,
    )["response"].values.astype(float)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return 0.5 * (x[1:] + x[:-1]), 1 - (found[1:] * found[:-1]).sum(axis=1)


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_cat4_the_space_of_the_toy_expands_at_the_boundary(seed: int) -> None:
    model = partial(
        dense.build,
        inputs=1,
        widths=(128,),
        classes=1,
        activation="sigmoid",
        dropout=(0.5,),
        noise="gaussian",
        seed=seed,
    )
    _, before = neighbours(None, model)
    assert before.max() <= 1.2e-5
    assert before.max() < 2.5 * before.min()
    weights = train.fit(
        line(*toy(seed)), model, task=binary, label="label", epochs=20, rate=1e-3, optimizer="adamw",
        batch=32,
        validation=0, mean=[0.5], std=[1 / (2 * REACH)], seed=seed,
    )  # fmt: skip
    x, after = neighbours(weights, model)
    assert 6.5e-4 < after.max() < 1e-3
    assert abs(x[after.argmax()]) < 0.2
    assert after.max() / max(after[0], after[-1]) > 7


# ---- digits


@pytest.mark.parametrize("seeds", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_cat5_categoricality_of_digits(seeds: int) -> None:
    given, layers = digits(), ["layer1", "layer2", "layer3"]
    tables, accuracy = [], []
    for seed in range(seeds):
        lessons, rest = (
            portions.portion(given, start=a, stop=b, label="label", seed=seed)
            for a, b in ((0, 0.75), (0.75, 1))
        )
        model = partial(dense.build, inputs=64, widths=(256,) * 3, dropout=(0.2,) * 3, seed=seed)
        weights = train.fit(
            lessons, model, task=tasks.classify, label="label", epochs=50, rate=1e-3, optimizer="adamw",
            batch=128,
            validation=0, seed=seed,
        )  # fmt: skip
        accuracy.append(float(train.accuracy(rest, weights)["accuracy"][0]))
        tables.append([
            categories.index(part, "label", stimuli=rest, bootstraps=0, seed=seed)["index"].values
            for part in (record.activations(rest, model, layers=layers),
                         record.activations(rest, None, weights=weights, layers=layers))
        ])  # fmt: skip
    untrained, trained = np.mean(tables, axis=0)
    assert untrained[0] == pytest.approx(0.598, abs=0.04)
    np.testing.assert_allclose(untrained[1:], [0.573, 0.560, 0.536], atol=0.04)
    np.testing.assert_allclose(trained[1:], [0.766, 0.904, 0.942], atol=0.04)
    assert (np.diff(trained[1:]) > 0).all()
    assert (np.diff(untrained[1:]) < 0).all()
    assert (trained[1:] - untrained[1:]).min() > 0.1
    assert np.mean(accuracy) > 0.96
