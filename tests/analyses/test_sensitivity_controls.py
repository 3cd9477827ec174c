"""Controls by hand: populations, decoders, flips, and the table of settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from analyses import sensitivity
from analyses import sensitivity_controls as controls

SIZES = [0.5, 1.0]
DIMS = ("arm", "epsilon", "stimulus", "neuroid")


def recorded(
    mean: np.ndarray, repeats: int = 1, noise: np.ndarray | float = 0.0, **coords: Any
) -> xr.Dataset:
    rng = np.random.default_rng(0)
    response = np.repeat(mean, repeats, axis=0)
    drawn = rng.normal(size=response.shape)
    response = response + (drawn @ noise if np.ndim(noise) else noise * drawn)
    ids = np.repeat(np.arange(len(mean)).astype(str), repeats)
    held: dict[str, Any] = {
        "stimulus_id": ("presentation", ids),
        "neuroid_id": ("neuroid", names(mean.shape[1])),
    }
    held |= {key: ("presentation", np.repeat(part, repeats)) for key, part in coords.items()}
    return xr.Dataset({"response": (("presentation", "neuroid"), response, {"units": "1"})}, held)


def names(count: int) -> list[str]:
    return [f"unit:{k}" for k in range(count)]


def record(clean: np.ndarray, moved: np.ndarray, arms: list[str], **attrs: Any) -> xr.Dataset:
    held = {"clean": (DIMS[2:], clean, {"units": "1"}), "moved": (DIMS, moved, {"units": "1"})}
    told = {"origin": "simulated", "population": "planted sites", "noise": "none", "norm": "l2"} | attrs
    made = xr.Dataset(held, {"arm": arms, "epsilon": SIZES[: moved.shape[1]]}, told)
    ids = np.arange(len(clean)).astype(str)
    return made.assign_coords(neuroid_id=("neuroid", names(clean.shape[1])), stimulus_id=("stimulus", ids))


def test_displacement_and_d_prime_by_hand() -> None:
    rng = np.random.default_rng(1)
    mean = rng.normal(size=(300, 3))
    root = np.array([[1.0, 0.3, 0.0], [0.0, 0.8, 0.2], [0.0, 0.0, 0.5]])
    recording = recorded(mean, repeats=8, noise=root)
    step = np.array([1.0, 0.5, -0.5])
    clean = np.zeros((10, 3))
    moved = np.stack([clean + step, clean + 2 * step])[None]
    made = controls.population(record(clean, moved, ["attack"]), recording)
    seen = recording["response"].values.reshape(300, 8, 3).mean(axis=1)
    pairs = np.linalg.norm(seen[:, None] - seen[None], axis=-1).sum() / (300 * 299)
    np.testing.assert_allclose(made["displacement"][0], [np.linalg.norm(step) / pairs * k for k in (1, 2)])
    expected = step @ np.linalg.inv(root.T @ root) @ step
    np.testing.assert_allclose(made["d_prime_squared"][0], [expected, 4 * expected], rtol=0.1)


def test_without_repeats_there_is_no_d_prime_and_with_noise_no_length() -> None:
    mean = np.random.default_rng(1).normal(size=(30, 3))
    pushed = record(np.zeros((4, 3)), np.ones((1, 2, 4, 3)), ["attack"])
    made = controls.population(pushed, recorded(mean))
    assert np.isnan(made["d_prime_squared"].values).all()
    assert made.attrs["whitened"] == 0
    with pytest.raises(ValueError, match="noisy"):
        controls.population(pushed.assign_attrs(noise="poisson"), recorded(mean))


def classes(seed: int = 0) -> xr.Dataset:
    """Responses of three classes that are far apart."""
    rng = np.random.default_rng(seed)
    label = np.arange(90) % 3
    mean = 5 * np.eye(3)[label] @ np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1.0]])
    return recorded(mean + 0.3 * rng.normal(size=(90, 4)), 2, 0.1, label=label)


def test_decoder_tells_planted_classes_and_not_exchanged_ones() -> None:
    recording = classes()
    made = controls.decoder(recording, label="label")
    assert made.attrs["accuracy"] == 1
    said = recording["response"].values @ made["weight"].values.T + made["bias"].values
    assert (made["condition"].values[said.argmax(-1)] == recording["label"].values.astype(str)).all()
    order = np.repeat(np.random.default_rng(5).permutation(90), 2)
    exchanged = recording.assign_coords(label=("presentation", recording["label"].values[::2][order]))
    found = controls.decoder(exchanged, label="label")
    assert abs(found.attrs["accuracy"] - 1 / 3) < 0.15
    with pytest.raises(ValueError, match="label"):
        controls.decoder(recording.assign_coords(label=("presentation", np.zeros(180))), label="label")


def test_flips_by_hand() -> None:
    recording = classes()
    decoder = controls.decoder(recording, label="label")
    clean = recording["response"].values[::2][:9]
    far = np.roll(clean, 1, axis=0)  # another class's responses
    unit = record(clean, np.stack([clean, clean])[None], ["attack"])
    half = np.where(np.arange(9)[:, None] < 3, far, clean)
    population = record(clean, np.stack([clean, half])[None], ["attack"])
    arms = ["attack", "random direction"]
    margin = record(clean, np.stack([np.stack([half, far]), np.stack([clean, clean])]), arms)
    made = controls.flips(decoder, unit, population, margin)
    assert made["arm"].values.tolist() == ["one neuroid", "population", "decoder margin", "random direction"]
    np.testing.assert_allclose(made["flipped"], [[0, 0], [0, 1 / 3], [1 / 3, 1], [0, 0]])
    assert float(made["flipped_high"][0, 0]) == pytest.approx(1 - 0.025 ** (1 / 9))
    other = unit.assign_coords(stimulus_id=("stimulus", [f"x{k}" for k in range(9)]))
    with pytest.raises(ValueError, match="stimulus_id"):
        controls.flips(decoder, other, population, margin)


def network(size: float, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Two layers of three units; the second layer of the first network is moved no further."""
    rng = np.random.default_rng(seed)
    effect = np.abs(rng.normal(1, 0.1, size=(2, 2, 30, 6))) * np.array([1.0, 0.5])[:, None, None, None]
    effect[..., :3] *= size
    pushed = record(np.zeros((30, 6)), effect, ["attack", "low-pass"])
    layers = np.repeat(["conv1", "conv2"], 3)
    mean = rng.normal(size=(200, 6))
    return pushed.assign_coords(layer=("neuroid", layers)), recorded(mean)


def test_order_by_layer_ruler_and_budget() -> None:
    made = controls.order(*network(3.0), *network(1.0), layer="conv1")
    names = made["setting"].values.tolist()
    assert "normaliser: noise sd" not in names
    assert made.attrs["left_out_rulers"] == "noise sd"
    first = dict(zip(names, made["first_above"].values.tolist(), strict=True))
    ratio = dict(zip(names, made["ratio"].values.tolist(), strict=True))
    assert first["layer: conv1"] == first["budget: low-pass"] == first["normaliser: range"] == 1
    assert first["layer: conv2"] == 0
    assert ratio["layer: conv1"] == pytest.approx(3, rel=1e-9)
    assert ratio["layer: conv2"] == pytest.approx(1)
    rank = made["rank"].transpose("setting", "model").values[names.index("layer: conv1")]
    assert rank.tolist() == [1, 2]
    with pytest.raises(ValueError, match="layer"):
        controls.order(*network(3.0), *network(1.0), layer="conv9")


def test_every_result_is_drawn() -> None:
    mean = np.random.default_rng(1).normal(size=(30, 4))
    pushed = record(np.zeros((9, 4)), np.ones((2, 2, 9, 4)), ["attack", "random direction"])
    decoder = controls.decoder(classes(), label="label")
    results = [
        controls.population(pushed, recorded(mean)), controls.population(pushed, recorded(mean, 3, 0.5)),
        controls.flips(decoder, pushed, pushed, pushed), decoder,
        controls.order(*network(3.0), *network(1.0)),
    ]  # fmt: skip
    for result in results:
        assert controls.plot(result).axes[0].get_xlabel()


def test_populations_are_a_setting_of_the_order() -> None:
    mean = np.random.default_rng(1).normal(size=(40, 4))
    still = np.zeros((9, 4))
    found = [
        controls.population(record(still, size * np.ones((1, 2, 9, 4)), ["attack"]), recorded(mean))
        for size in (3.0, 1.5)
    ]
    made = controls.order(*network(3.0), *network(1.0), *found)
    assert made["setting"].values[-1] == "population: D"
    assert float(made["ratio"][-1]) == pytest.approx(2)
    assert int(made["first_above"][-1]) == 1
    with pytest.raises(ValueError, match="bootstraps"):
        controls.order(*network(3.0), *network(1.0), *found, bootstraps=200)


def test_kappa_of_others_corrects_as_far_as_it_carries_over() -> None:
    rng = np.random.default_rng(4)
    recording = recorded(rng.normal(size=(100, 6)))
    effect = np.abs(rng.normal(1, 0.2, size=(1, 2, 20, 6)))
    part, whole = (record(np.zeros((20, 6)), size * effect, ["attack"]) for size in (0.25, 1.0))
    gap = sensitivity.gap(part, whole, recording)
    pair = [sensitivity.normalised(pushed, recording) for pushed in (part, whole)]
    made = controls.corrected(pair[0], gap, pair[1])
    np.testing.assert_allclose(made["ratio"], 1)
    np.testing.assert_allclose(made["corrected"], made["truth"])
    half = sensitivity.gap(record(np.zeros((20, 6)), 0.5 * effect, ["attack"]), whole, recording)
    np.testing.assert_allclose(controls.corrected(pair[0], half, pair[1])["ratio"], 0.5)
    assert controls.plot(made).axes
