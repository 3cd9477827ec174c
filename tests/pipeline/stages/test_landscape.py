"""Grids of pictures, units on them, and searches for level sets of functions whose level sets are known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

from analyses import landscape as analysis
from pipeline.models import autoencoder, cnn, dense
from pipeline.stages import _landscape_search as search
from pipeline.stages import landscape, train

ONE = {"units": "1"}
BALL = 6.0


def pictures(count: int = 40, channels: int = 1, side: int = 16, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0.2, 0.8, size=(count, channels, side // 4, side // 4))
    image = coarse.repeat(4, axis=2).repeat(4, axis=3).astype(np.float32)
    return xr.Dataset(
        {"image": (("stimulus", "channel", "y", "x"), image, ONE)},
        {"stimulus_id": ("stimulus", np.arange(count).astype(str))},
    )


def searched(answer: search.Number, size: int = 4, steps: int = 60) -> xr.Dataset:
    """Level sets of a function of z whose peak, 1, lies at 0, with the distance from it."""
    target = np.repeat(np.float32([0.6, 0.7, 0.8, 0.9]), 12)
    torch.manual_seed(0)
    far, level = search.level_sets(
        answer, lambda z: z.norm(dim=1), torch.zeros(size), 1.0, torch.tensor(target), BALL, steps
    )
    dims = ("neuroid", "arm", "draw")
    return xr.Dataset(
        {"distance": (dims, far[None].astype(float), ONE),
         "activation": (dims, level[None].astype(float), ONE),
         "target": ("draw", target, ONE)},
        {"arm": list(search.ARMS), "neuroid_id": ("neuroid", ["f"])},
    )  # fmt: skip


def test_level7_a_radial_basis_function() -> None:
    found = analysis.isotropy(searched(lambda z: torch.exp(-z.square().sum(1))))
    assert float(found["maxmin_ratio"][0]) == pytest.approx(1, abs=0.01)
    assert float(found["global_ratio"][0]) == pytest.approx(1, abs=0.01)
    assert float(found["over"][0]) == 0
    assert float(found["reached"][0]) > 0.7


def test_level8_two_bumps() -> None:
    away = torch.tensor([5.0, 0, 0, 0])

    def two(z: torch.Tensor) -> torch.Tensor:
        return torch.maximum(torch.exp(-z.square().sum(1)), torch.exp(-(z - away).square().sum(1)))

    found = analysis.isotropy(searched(two))
    assert float(found["maxmin_ratio"][0]) == pytest.approx(1, abs=0.05)
    assert float(found["global_ratio"][0]) > 3


def test_an_ellipsoid_is_not_isotropic() -> None:
    scale = torch.tensor([1.0, 1, 1, 0.25])
    found = analysis.isotropy(searched(lambda z: torch.exp(-(z * scale).square().sum(1))))
    assert float(found["maxmin_ratio"][0]) > 2
    assert float(found["maxmin_ratio"][0]) < 4.1


def test_the_peak_is_found_in_the_ball() -> None:
    centre = torch.tensor([1.0, -2.0, 0.5])
    codes = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    best, height = search.peak(lambda z: torch.exp(-(z - centre).square().sum(1)), codes, BALL, 150)
    assert height == pytest.approx(1, abs=1e-3)
    assert float((best - centre).norm()) < 0.05
    edge, _ = search.peak(lambda z: z[:, 0], codes, 2.0, 150)
    assert float(edge.norm()) == pytest.approx(2, abs=1e-3)


def test_pictures_of_a_sphere_lie_on_it() -> None:
    given = pictures()
    found = landscape.grid(given, size=7, radius=0.4)
    assert found.sizes["stimulus"] == 49
    assert found.attrs["clipped"] == 0
    flat = given["image"].values.reshape(40, -1)
    about = found["image"].values.reshape(49, -1) - flat.mean(axis=0)
    reach = 0.4 * np.linalg.norm(flat - flat.mean(axis=0), axis=1).mean()
    np.testing.assert_allclose(np.linalg.norm(about, axis=1), reach, rtol=1e-4)
    poles = found.isel(stimulus=np.flatnonzero(found["v"].values == 90))["image"].values
    np.testing.assert_allclose(poles, poles[:1].repeat(7, axis=0), atol=1e-6)
    angle = about[24] @ about[24 + 7] / reach**2  # one step of 30 degrees along the equator
    assert np.degrees(np.arccos(angle)) == pytest.approx(30, abs=0.1)


def test_principal_components_are_those_of_numpy() -> None:
    about = np.random.default_rng(0).normal(size=(30, 50)) * np.linspace(3, 0.1, 50)
    about -= about.mean(axis=0)
    found = search.axes(about, "pca", [0, 1, 2], np.random.default_rng(0))
    expected = np.linalg.svd(about)[2][:3]
    np.testing.assert_allclose(np.abs((found * expected).sum(axis=1)), 1, atol=1e-9)
    drawn = search.axes(about, "pictures", [0, 1, 2], np.random.default_rng(0))
    np.testing.assert_allclose(drawn @ drawn.T, np.eye(3), atol=1e-9)


def test_a_plane_in_the_code_of_an_autoencoder() -> None:
    given = pictures()
    weights = train.fit(
        given, partial(autoencoder.build, filters=(4, 4), side=16), task=autoencoder.reconstruct, epochs=1,
        rate=0.001, optimizer="adamw", validation=0, seed=0,
    )  # fmt: skip
    found = landscape.grid(given, weights, shape="plane", size=6, components=(0, 1), directions="pictures")
    assert found.attrs["space"] == "autoencoder"
    assert found["image"].shape == (36, 1, 16, 16)
    xr.testing.assert_identical(
        found, landscape.grid(given, weights, shape="plane", size=6, components=(0, 1), directions="pictures")
    )


def test_units_are_those_at_the_centre() -> None:
    given = landscape.grid(pictures(channels=3), size=6)
    net = partial(cnn.build, width=4, seed=1)
    found = landscape.sample(given, net, layers=["conv1", "head"], units=3)
    assert found["layer"].values.tolist() == ["conv1"] * 3 + ["head"] * 3
    assert found.attrs["grid"] == "sphere"
    place = [int(name.split(":")[1]) for name in found["neuroid_id"].values[:3]]
    assert all(k % 64 == 4 * 8 + 4 for k in place)
    tuning = analysis.maps(found)
    assert tuning["tuning"].shape == (6, 6, 6)
    first = found.isel(presentation=0)
    assert float(tuning["tuning"][0, 0, 2]) == float(first["response"][2])
    again = landscape.sample(given, net, layers=["conv1", "head"], units=3)
    xr.testing.assert_identical(found, again)


def test_level_sets_of_a_linear_unit_are_planes() -> None:
    net = partial(dense.build, inputs=256, widths=(6,), activation="linear", seed=0)
    found = landscape.level_sets(
        pictures(60),
        net,
        layer="layer1",
        units=2,
        dimensions=5,
        draws=10,
        steps=40,
        radius=1.0,
        levels=(0.6, 0.8),
        mean=[0.5],
        std=[1.0],
    )
    assert found.sizes["neuroid"] == 2
    inner = np.abs(found["activation"] - found["target"]) < 0.02
    assert float(inner.mean()) > 0.8
    ratio = analysis.isotropy(found, levels=(0.6, 0.8), fewest=5)
    assert (ratio["maxmin_ratio"] > 1.3).all()  # a plane cuts the ball: near along the way, far across
    assert (ratio["over"] == 0).all()
    assert landscape.plot(found).axes[0].get_xlabel() == "answer (share of the peak)"


def test_the_grid_is_drawn() -> None:
    made = landscape.plot(landscape.grid(pictures(), size=7))
    assert len(made.axes) == 49


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"shape": "torus"}, "shape: 'torus'"),
        ({"size": 3}, "size: 3"),
        ({"components": (0, 1)}, "components: 2 for a sphere"),
        ({"components": (0, 1, 60)}, "components: 60 is beyond"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        landscape.grid(pictures(), **wrong)


def test_pictures_without_places_are_refused() -> None:
    with pytest.raises(ValueError, match="have no u and v"):
        landscape.sample(pictures(channels=3), partial(cnn.build, width=4), layers=["conv1"])
