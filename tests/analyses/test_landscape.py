"""Tuning landscapes: analytic maps give their exact signatures, splines keep to noise, trends are found."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from analyses import _landscape_contours, _landscape_maps, _landscape_rbf, landscape

ONE = {"units": "1"}
DEGREES = np.linspace(-90, 90, 181)
X, Y = np.meshgrid(np.arange(181) - 90.0, np.arange(181) - 90.0, indexing="ij")


def mapped(*fields: np.ndarray, shape: str = "plane", layer: list[str] | None = None) -> xr.Dataset:
    """tuning (u, v, neuroid) of some fields (u, v)."""
    made = np.stack(fields, axis=-1)
    ids = ("neuroid", [f"n{k}" for k in range(len(fields))])
    coords = {
        "u": np.linspace(-90, 90, made.shape[0]),
        "v": np.linspace(-90, 90, made.shape[1]),
        "neuroid_id": ids,
    }
    if layer is not None:
        coords["layer"] = ("neuroid", layer)
    return xr.Dataset({"tuning": (("u", "v", "neuroid"), made, ONE)}, coords, {"grid": shape})


def bump(x: float, y: float, width: float) -> np.ndarray:
    return np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * width**2))


def recorded(field: np.ndarray, trials: int, noise: float, seed: int = 0, grid: str = "sphere") -> xr.Dataset:
    """A recording of every picture of a grid, `trials` times, in a mixed order; field (u, v[, neuroid])."""
    field = field if field.ndim == 3 else field[..., None]
    rng = np.random.default_rng(seed)
    u, v = (np.linspace(-90, 90, size) for size in field.shape[:2])
    first, second, _ = np.meshgrid(u, v, np.arange(trials), indexing="ij")
    flat = np.repeat(field.reshape(-1, field.shape[2]), trials, axis=0)
    order = rng.permutation(len(flat))
    response = (flat + noise * rng.normal(size=flat.shape))[order]
    coords = {
        "u": ("presentation", first.ravel()[order]), "v": ("presentation", second.ravel()[order]),
        "stimulus_id": ("presentation", np.char.mod("%d", order // trials)),
        "neuroid_id": ("neuroid", np.char.mod("n%d", np.arange(field.shape[2]))),
    }  # fmt: skip
    return xr.Dataset({"response": (("presentation", "neuroid"), response, ONE)}, coords, {"grid": grid})


# ---- analytic maps


@pytest.mark.parametrize("width", [20.0, 30.0])
def test_level1_single_peak(width: float) -> None:
    found = landscape.signature(mapped(bump(0, 0, width)))
    np.testing.assert_array_equal(found["loops"].values[:, 0], [0] + [1] * 19 + [0])
    assert float(found["lines"].sum()) == 0
    assert float(found["single_branch"][0]) == 1
    assert float(found["single_loop"][0]) == 1
    assert float(found["aspect"][0]) == pytest.approx(1, abs=0.01)
    assert float(found["local_r2"][0]) == pytest.approx(1, abs=1e-6)
    assert float(found["global_r2"][0]) == pytest.approx(1, abs=1e-6)
    assert float(found["local_width"][0]) == pytest.approx(width, rel=1e-3)


def test_level2_spherical_bump() -> None:
    u, v = np.meshgrid(DEGREES, DEGREES, indexing="ij")
    field = np.exp(8 * (_landscape_maps.vectors(u, v)[..., 0] - 1))
    found = landscape.signature(mapped(field, shape="sphere"))
    np.testing.assert_array_equal(found["loops"].values[1:20, 0], 1)
    assert float(found["lines"][1:].sum()) == 0
    assert float(found["aspect"][0]) == pytest.approx(1, abs=0.01)


def test_level3_ridge() -> None:
    field = np.cos(2 * np.radians(DEGREES))[:, None] * np.ones(181)
    found = landscape.signature(mapped(field))
    assert float(found["loops"].sum()) == 0
    np.testing.assert_array_equal(found["lines"].values[:, 0], [2] * 20 + [0])
    assert float(found["lines"][1:].sum()) == 38
    assert np.isnan(float(found["aspect"][0]))


def test_level4_two_unequal_peaks() -> None:
    found = landscape.signature(mapped(bump(-45, 0, 15) + 0.8 * bump(45, 0, 15)))
    np.testing.assert_array_equal(found["loops"].values[:, 0], [0] + [2] * 16 + [1] * 3 + [0])
    assert float(found["loops"].sum()) == 35
    assert float(found["lines"].sum()) == 0
    assert float(found["single_branch"][0]) == 17
    assert float(found["local_r2"][0]) > 0.99 > float(found["global_r2"][0])


@pytest.mark.parametrize(("width", "loops", "lines"), [(20, (4, 13), (35, 55)), (8, (50, 90), (101, 117))])
def test_level5_and_level6_noise(width: int, loops: tuple[int, int], lines: tuple[int, int]) -> None:
    fields = [
        gaussian_filter(np.random.default_rng(seed).normal(size=(181, 181)), width, mode="reflect")
        for seed in range(5)
    ]
    found = landscape.signature(mapped(*fields))
    many = [found[name].sum("level").values for name in ("loops", "lines")]
    if width == 20:
        assert (many[1] > many[0]).all()
    for counts, (low, high) in zip(many, (loops, lines), strict=True):  # other seeds, so with room
        assert 0.5 * low < counts.mean() < 1.5 * high
    if width == 8:
        assert many[0].min() > 20
        assert many[1].min() > 60


def test_ellipses_have_the_ratio_of_their_axes() -> None:
    field = np.exp(-(X**2) / (2 * 30**2) - Y**2 / (2 * 15**2))
    assert float(landscape.signature(mapped(field))["aspect"][0]) == pytest.approx(2, rel=0.02)


def test_a_turned_map_has_the_same_signature() -> None:
    field = gaussian_filter(np.random.default_rng(0).normal(size=(91, 91)), 9)
    found = landscape.signature(mapped(field, field.T, field[::-1], 7 * field))
    for name in ("loops", "lines"):
        inner = found[name].values[1:-1]
        assert (inner == inner[:, :1]).all()


def test_contours_of_a_checkerboard_isolate_what_is_high() -> None:
    field = np.indices((7, 7)).sum(axis=0) % 2 * 1.0
    loops, lines = _landscape_contours.counts(_landscape_contours.contours(field, np.array([0.5])), 1)
    assert int(loops[0]) == 12  # high points inside, each cut off by itself
    assert int(lines[0]) == 12  # and those on the border


def test_contours_are_those_of_scikit_image() -> None:
    measure = pytest.importorskip("skimage.measure")
    for seed in range(3):
        field = gaussian_filter(np.random.default_rng(seed).normal(size=(61, 61)), 4)
        levels = np.linspace(field.min(), field.max(), 12)
        loops, lines = _landscape_contours.counts(_landscape_contours.contours(field, levels), 12)
        for k, level in enumerate(levels):
            expected = measure.find_contours(field, level)
            closed = sum((each[0] == each[-1]).all() for each in expected)
            assert (loops[k], lines[k]) == (closed, len(expected) - closed)


def test_contours_lie_on_their_level() -> None:
    field = gaussian_filter(np.random.default_rng(0).normal(size=(40, 50)), 4)
    levels = np.linspace(field.min(), field.max(), 7)[1:-1]
    found = _landscape_contours.contours(field, levels)
    place = _landscape_contours.places(field, levels, found)
    row, column = np.floor(place).astype(int).T
    share = place - np.floor(place)
    next_row, next_column = np.minimum(row + 1, 39), np.minimum(column + 1, 49)
    value = field[row, column] + share[:, 0] * (field[next_row, column] - field[row, column])
    value += share[:, 1] * (field[row, next_column] - field[row, column])
    np.testing.assert_allclose(value, levels[found.level], atol=1e-12)


def test_flat_maps_are_counted_and_left_out() -> None:
    found = landscape.signature(mapped(bump(0, 0, 20), np.full((181, 181), 3.0), 1e-9 * bump(0, 0, 20)))
    assert found["flat"].values.tolist() == [False, True, True]
    assert found.attrs["dead"] == 2
    assert np.isnan(found["loops"].values[:, 1:]).all()


# ---- maps and splines


def test_a_recording_is_folded_into_maps() -> None:
    field = np.arange(12.0).reshape(3, 4)
    found = landscape.maps(recorded(field, trials=1, noise=0, grid="plane"))
    np.testing.assert_array_equal(found["tuning"].values[..., 0], field)
    assert np.isnan(found["sem"]).all()
    noisy = landscape.maps(recorded(np.zeros((20, 20)), trials=8, noise=2.0))
    assert float((noisy["sem"] ** 2).mean()) == pytest.approx(4 / 8, rel=0.1)
    gap = recorded(field, trials=1, noise=0)
    with pytest.raises(ValueError, match="nothing was shown at"):
        landscape.maps(gap.isel(presentation=slice(1, None)))


@pytest.mark.parametrize("shape", ["sphere", "plane"])
def test_splines_go_through_what_has_no_noise(shape: str) -> None:
    coarse, fine = np.linspace(-90, 90, 21), DEGREES

    def truth(grid: np.ndarray) -> np.ndarray:
        u, v = np.meshgrid(grid, grid, indexing="ij")
        x = _landscape_maps.vectors(u, v)
        return np.exp(3 * (x @ np.array([0.8, 0.0, 0.6]) - 1)) + 0.5 * np.exp(
            4 * (x @ np.array([0.6, -0.8, 0.0]) - 1)
        )

    found = landscape.smoothed(landscape.maps(recorded(truth(coarse), 1, 0.0, grid=shape)))
    np.testing.assert_allclose(found["tuning"].values[..., 0], truth(fine), atol=0.01)
    assert float(found["slack"][0]) == 0


@pytest.mark.parametrize("shape", ["sphere", "plane"])
def test_splines_leave_as_much_as_the_noise(shape: str) -> None:
    u, v = np.meshgrid(np.linspace(-90, 90, 21), np.linspace(-90, 90, 21), indexing="ij")
    truth = 2 * np.exp(3 * (_landscape_maps.vectors(u, v)[..., 0] - 1))
    tuning = landscape.maps(recorded(truth, trials=6, noise=0.5, grid=shape))
    rough, smooth = (landscape.smoothed(tuning, noise=noise) for noise in (0.0, None))
    exact = 2 * np.exp(
        3 * (_landscape_maps.vectors(*np.meshgrid(DEGREES, DEGREES, indexing="ij"))[..., 0] - 1)
    )
    errors = [float(((each["tuning"].values[..., 0] - exact) ** 2).mean()) for each in (rough, smooth)]
    assert errors[1] < 0.4 * errors[0]
    inner = tuning["sem"].values[:, 1:-1] if shape == "sphere" else tuning["sem"].values
    assert float(smooth["slack"][0]) == pytest.approx(float((inner**2).sum()))
    many = [float(landscape.signature(each)["branch_area"][0]) for each in (rough, smooth)]
    clean = float(landscape.signature(mapped(exact))["branch_area"][0])
    assert abs(many[1] - clean) < 0.3 * abs(many[0] - clean)


def test_values_below_zero_are_clipped_where_asked() -> None:
    tuning = landscape.maps(recorded(np.where(np.indices((21, 21)).sum(0) > 20, 1.0, 0.0), 1, 0.0))
    assert float(landscape.smoothed(tuning)["tuning"].min()) == 0
    assert float(landscape.smoothed(tuning, clip=False)["tuning"].min()) < 0


# ---- radial basis functions


def test_radial_basis_functions_are_found() -> None:
    distance = np.hypot(X, Y)
    for width in (5.0, 40.0):
        r2, found = _landscape_rbf.fit(
            (3 + 2 * np.exp(-0.5 * (distance / width) ** 2)).ravel(), distance.ravel()
        )
        assert r2 == pytest.approx(1, abs=1e-8)
        assert found == pytest.approx(width, rel=1e-3)
    assert np.isnan(_landscape_rbf.fit(np.ones(9), np.arange(9.0))[0])
    noise = np.random.default_rng(0).normal(size=distance.size)
    assert _landscape_rbf.fit(noise, distance.ravel())[0] < 0.01


def samples(nearest: float, farthest: float, anywhere: float) -> xr.Dataset:
    target = np.tile([0.6, 0.7, 0.8, 0.9], 20)
    base = np.sqrt(-np.log(target))
    arms = {"local nearest": nearest, "local farthest": farthest, "global farthest": anywhere}
    distance = np.stack([scale * base for scale in arms.values()])[None]
    return xr.Dataset(
        {"distance": (("neuroid", "arm", "draw"), distance, ONE),
         "activation": (("neuroid", "arm", "draw"), np.broadcast_to(target, distance.shape), ONE),
         "target": ("draw", target, ONE)},
        {"arm": list(arms), "neuroid_id": ("neuroid", ["n0"])},
    )  # fmt: skip


def test_ratios_of_level_sets() -> None:
    found = landscape.isotropy(samples(1, 1, 1))
    assert float(found["maxmin_ratio"][0]) == pytest.approx(1)
    assert float(found["global_ratio"][0]) == pytest.approx(1)
    assert float(found["spearman"][0]) == pytest.approx(-1)
    found = landscape.isotropy(samples(1, 1.5, 4.5))
    assert float(found["maxmin_ratio"][0]) == pytest.approx(1.5)
    assert float(found["global_ratio"][0]) == pytest.approx(3)
    few = landscape.isotropy(samples(1, 1, 1), fewest=50)
    assert np.isnan(few["maxmin_ratio"]).all()


# ---- trends


def population(seeds: int = 3, each: int = 25, rise: float = 5.0) -> xr.Dataset:
    """Maps whose peaks get fewer from layer to layer, as `rise` says."""
    grid = np.linspace(-90, 90, 61)
    x, y = np.meshgrid(grid, grid, indexing="ij")
    parts = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        fields = []
        for layer in range(3):
            for _ in range(each):
                many = max(1, round(6 - rise * layer / 2))
                places = rng.uniform(-70, 70, (many, 2))
                fields.append(
                    sum(rng.uniform(0.6, 1) * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 400) for a, b in places)
                )
        parts.append(landscape.signature(mapped(*fields, layer=np.repeat(["a", "b", "c"], each).tolist())))
    return xr.concat(parts, "seed", coords="minimal", compat="override", combine_attrs="override")


def test_a_trend_over_layers_is_found_and_its_absence_too() -> None:
    found = landscape.trend(population(), population(rise=0.0), bootstraps=60)
    rho = found.sel(condition="single_branch")
    assert float(rho["rho_high"].sel(arm="trained")) < 0
    assert float(rho["rho_low"].sel(arm="untrained")) < 0 < float(rho["rho_high"].sel(arm="untrained"))
    assert float(rho["rho_difference_high"]) < 0
    assert found["mean"].sel(arm="trained", condition="loop_area").values.argmin() == 2
    assert found["live"].values.tolist() == [[75.0] * 3] * 2
    assert found["loops"].dims == ("arm", "layer", "level")
    assert np.isnan(float(found["rho_matched"].sel(arm="trained", condition="sparseness")))


def test_arms_must_fit_each_other() -> None:
    one = population(seeds=2, each=4)
    with pytest.raises(ValueError, match="seed: other starts"):
        landscape.trend(one, one.isel(seed=[0]))
    with pytest.raises(ValueError, match="layer: "):
        landscape.trend(one.isel(neuroid=slice(0, 4)))


def test_halves_of_clean_presentations_agree() -> None:
    rng = np.random.default_rng(0)
    grid = np.linspace(-90, 90, 21)
    x, y = np.meshgrid(grid, grid, indexing="ij")
    fields = [
        sum(
            np.exp(-((x - a) ** 2 + (y - b) ** 2) / rng.uniform(400, 3000))
            for a, b in rng.uniform(-60, 60, (3, 2))
        )
        for _ in range(12)
    ]
    recording = recorded(np.stack(fields, axis=-1), trials=4, noise=0.01)
    found = landscape.reliability(recording, resolution=61)
    assert float(found["r"].sel(condition="local_width")) > 0.9
    noisy = recorded(np.stack(fields, axis=-1), trials=4, noise=5.0)
    assert float(landscape.reliability(noisy, resolution=61)["r"].sel(condition="local_width")) < 0.7
    with pytest.raises(ValueError, match="halves want 4"):
        landscape.reliability(recorded(fields[0], trials=2, noise=0.1))


def test_plots_show_what_was_found() -> None:
    both = mapped(bump(0, 0, 20), bump(20, 10, 30), layer=["a", "b"])
    assert len(landscape.plot(both).axes) == 15
    found = landscape.signature(both)
    axes = landscape.plot(found).axes
    assert axes[0].get_ylabel() == "loops a map"
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), 1)
    trend = landscape.trend(population(seeds=2, each=6), bootstraps=10)
    assert "ρ" in landscape.plot(trend).axes[0].get_title()
    ratios = landscape.plot(landscape.isotropy(samples(1, 1.5, 4.5))).axes
    assert ratios[0].get_ylabel().startswith("farthest / nearest")
    with pytest.raises(ValueError, match="none of them is plotted"):
        landscape.plot(xr.Dataset({"other": ("level", [1.0])}))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: landscape.maps(recorded(np.zeros((3, 3)), 1, 0.0), shape="torus"), "shape: 'torus'"),
        (lambda: landscape.signature(mapped(X), levels=2), "levels: 2"),
        (
            lambda: landscape.smoothed(landscape.maps(recorded(np.zeros((3, 3)), 1, 0.0))),
            "u: a grid of 3 x 3",
        ),
        (
            lambda: landscape.smoothed(mapped(X).assign(sem=mapped(X)["tuning"]), resolution=2),
            "resolution: 2",
        ),
        (lambda: landscape.isotropy(samples(1, 1, 1).isel(arm=[2])), "arm: "),
    ],
)
def test_wrong_arguments_are_named(call: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()  # type: ignore[operator]
