"""Maps of errors under plane waves: networks whose weak frequency is planted."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline import store, tasks
from pipeline.stages import fourier, train
from pipeline.stages._pictures import hashed

SIZE = 12


def stimuli(count=24, size=SIZE, seed=0):
    """Bright and dark pictures, with noise."""
    rng = np.random.default_rng(seed)
    label = np.arange(count) % 2
    pixel = 0.5 + 0.06 * (2 * label[:, None, None, None] - 1) + 0.02 * rng.normal(size=(count, 3, size, size))
    pixel = np.clip(pixel, 0, 1).astype(np.float32)
    coords = {
        "stimulus_id": ("stimulus", [f"{seed} {k}" for k in range(count)]),
        "content": ("stimulus", [hashed(one) for one in pixel]),
        "side": ("stimulus", np.array(["dark", "bright"])[label]),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


class Projected(nn.Module):
    """A linear answer by the mean of each picture's product with a fixed pattern."""

    def __init__(self, pattern):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("pattern", torch.as_tensor(pattern, dtype=torch.float32))

    def forward(self, x):
        value = self.scale * ((x - 0.5) * self.pattern).mean((1, 2, 3))
        return torch.stack([value, -value], 1)


def projected(up=0, across=0):
    """Looks at one wave on top of the mean."""
    wave = fourier.wave((SIZE, SIZE), up, across) * SIZE if (up, across) != (0, 0) else 0
    return Projected(1.0 + np.zeros((SIZE, SIZE)) + wave)


def mapped(model, given=None, **numbers):
    given = stimuli() if given is None else given
    weights = train.fit(
        stimuli(seed=1), model, task=tasks.classify, label="side", epochs=1, rate=1e-6, validation=0
    )
    return fourier.heat(given, weights, model, **{"epsilon": 2.0, "batch": 8, **numbers})


def at(found, up, across):
    return found["error"].sel(frequency_y=up, frequency_x=across).item()


def test_waves_are_of_length_1_and_apart_but_for_their_opposites():
    places = [(up, across) for up in range(-2, 3) for across in range(-3, 4)]
    waves = np.stack([fourier.wave((6, 8), up, across).ravel() for up, across in places])
    alike = [[float(one in (two, (-two[0], -two[1]))) for one in places] for two in places]
    assert np.allclose(waves @ waves.T, alike, atol=1e-6)


def test_the_planted_frequency_is_the_only_one_that_hurts():
    found = mapped(functools.partial(projected, up=2, across=3))
    assert found.attrs["error_clean"] == 0
    hurt = {(int(up), int(across)) for up, across in np.argwhere(found["error"].values > 0) - SIZE // 2}
    assert hurt == {(0, 0), (2, 3), (-2, -3)}
    # of three drawn signs, one picture in 8 has all against it
    assert 0.05 < at(found, 2, 3) <= 0.5


def test_a_network_that_sees_the_mean_alone_errs_at_no_other_frequency():
    found = mapped(projected)
    assert at(found, 0, 0) > 0.2
    assert not found["error_octave"].values.any()
    assert found["frequency"].values.tolist() == [1, 2, 4]


def test_errors_are_those_of_pictures_made_by_hand():
    given = stimuli(count=10)
    found = mapped(functools.partial(projected, up=1), given, epsilon=1.5, seed=3)
    signs = np.random.default_rng(np.random.SeedSequence(3)).choice([-1, 1], (10, 3))
    wave = 1.5 * fourier.wave((SIZE, SIZE), 1, 0)
    shown = np.clip(given["image"].values + signs[:, :, None, None] * wave, 0, 1).astype(np.float32)
    said = projected(up=1)(torch.from_numpy(shown)).argmax(1).numpy()
    truth = (given["side"].values == "dark").astype(int)  # classes are sorted: bright is 0
    assert at(found, 1, 0) == pytest.approx((said != truth).mean())
    assert at(found, -1, 0) == at(found, 1, 0)


def test_octaves_hold_every_wave_once():
    error = np.random.default_rng(0).random((8, 8))
    steps = np.arange(8) - 4
    low, mean = fourier._octaves(error, steps, steps)
    radius = np.hypot(steps[:, None], steps)
    inside = [(radius >= 1) & (radius < 2), (radius >= 2) & (radius < 4), radius >= 4]
    assert low.tolist() == [1, 2, 4]
    assert np.allclose(mean, [error[one].mean() for one in inside])


def test_maps_of_oblong_pictures_are_kept_and_drawn(tmp_path):
    given = stimuli(count=4).isel(x=slice(0, 7))
    given["content"] = ("stimulus", [hashed(one) for one in given["image"].values])
    weights = train.fit(
        given, functools.partial(Projected, np.ones((SIZE, 7))), task=tasks.classify, label="side", epochs=1,
        rate=1e-6, validation=0,
    )  # fmt: skip
    found = fourier.heat(
        given, weights, functools.partial(Projected, np.ones((SIZE, 7))), epsilon=1, overlap=True
    )
    assert found["error"].shape == (SIZE, 7)
    assert np.isfinite(found["error"].values).all()
    store.write(found, tmp_path / "heat.nc", "key")
    xr.testing.assert_identical(store.read(tmp_path / "heat.nc").load(), found)
    fourier.plot(found).savefig(tmp_path / "heat.png")


def test_the_batch_does_not_matter_and_pictures_trained_on_are_refused():
    one, two = mapped(projected, batch=8), mapped(projected, batch=5)
    assert np.array_equal(one["error"], two["error"])
    with pytest.raises(ValueError, match="overlap"):
        mapped(projected, stimuli(seed=1))
    with pytest.raises(ValueError, match="epsilon"):
        mapped(projected, epsilon=0.0)
