"""The simulated helmet is shaped and named like a real one, and its forward field is MNE's."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from loaders import _sensors, _synthetic_meg

PLACES = np.array([[0.012, -0.070, 0.010], [-0.040, -0.058, -0.010], [0.036, -0.036, -0.040]])
TWENTY = 2e-8  # ampere metres


def transform(seed: int = 0) -> np.ndarray:
    return _sensors.head_position(np.random.default_rng(seed))


def info(sensors: _sensors.Sensors, to_head: np.ndarray) -> mne.Info:
    made = mne.create_info(sensors.name, 250.0, list(sensors.kind))
    for channel, loc, kind in zip(made["chs"], sensors.loc, sensors.kind, strict=True):
        channel["loc"][:] = loc
        channel["coil_type"] = _sensors.MAGNETOMETER if kind == "mag" else _sensors.GRADIOMETER
    with made._unlock():
        made["dev_head_t"] = mne.Transform("meg", "head", to_head)
    return made


def test_the_array_has_the_names_and_kinds_of_a_neuromag() -> None:
    sensors = _sensors.neuromag(102)
    layout = mne.channels.read_layout("Vectorview-all")
    assert {name.replace("MEG", "MEG ") for name in sensors.name} == set(layout.names)
    assert [(sensors.kind == kind).sum() for kind in ("mag", "grad")] == [102, 204]


def test_names_lie_where_the_layout_has_them() -> None:
    sensors = _sensors.neuromag(102)
    layout = mne.channels.read_layout("Vectorview-mag")
    flat = dict(zip((name.replace("MEG ", "MEG") for name in layout.names), layout.pos[:, :2], strict=True))
    mags = [index for index, kind in enumerate(sensors.kind) if kind == "mag"]
    drawn = np.array([flat[sensors.name[index]] for index in mags])
    for axis in (0, 1):
        assert np.corrcoef(drawn[:, axis], sensors.loc[mags, axis])[0, 1] > 0.85


def test_few_sites_are_the_first_of_many_and_cover_the_helmet() -> None:
    few, many = _sensors.neuromag(16), _sensors.neuromag(102)
    assert few.name == many.name[:48]
    assert np.array_equal(few.loc, many.loc[:48])
    assert np.ptp(few.loc[:, 0]) > 0.18
    assert np.ptp(few.loc[:, 1]) > 0.2
    apart = np.linalg.norm(many.loc[::3, None, :3] - many.loc[None, ::3, :3], axis=-1)
    assert np.sort(apart, axis=1)[:, 1].min() > 0.02


def test_coil_axes_are_orthonormal() -> None:
    axes = _sensors.neuromag(102).loc[:, 3:].reshape(-1, 3, 3)
    assert np.allclose(axes @ axes.transpose(0, 2, 1), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_the_head_position_lifts_every_sensor_out_of_the_sphere(seed: int) -> None:
    sensors, to_head = _sensors.neuromag(102), transform(seed)
    centre = sensors.loc[:, :3] @ to_head[:3, :3].T + to_head[:3, 3] - _sensors.SPHERE_CENTRE
    assert np.linalg.norm(centre, axis=1).min() > _sensors.SPHERE_RADIUS + 0.005
    assert np.allclose(to_head[:3, :3] @ to_head[:3, :3].T, np.eye(3))


@pytest.mark.parametrize("sites", [0, 103])
def test_a_helmet_has_102_sites(sites: int) -> None:
    with pytest.raises(ValueError, match=rf"sites: {sites}: the helmet has 102; give 1 to 102"):
        _sensors.neuromag(sites)


def test_the_forward_field_is_that_of_mne() -> None:
    sensors, to_head = _sensors.neuromag(102), transform()
    moments = _sensors.tangential(PLACES, np.array([0.3, 1.0, 2.0]))
    ours = _sensors.forward(sensors, to_head, PLACES, moments * TWENTY)
    sources = mne.setup_volume_source_space(
        pos={"rr": PLACES + _sensors.SPHERE_CENTRE, "nn": moments}, sphere_units="m", verbose="error"
    )
    sphere = mne.make_sphere_model(tuple(_sensors.SPHERE_CENTRE), None, verbose="error")
    solution = mne.make_forward_solution(
        info(sensors, to_head), None, sources, sphere, eeg=False, mindist=0, verbose="error"
    )["sol"]
    rows = [solution["row_names"].index(name) for name in sensors.name]
    theirs = np.einsum("sdk,dk->sd", solution["data"][rows].reshape(306, 3, 3), moments) * TWENTY
    for kind in ("mag", "grad"):
        here = sensors.kind == kind
        assert np.abs(ours - theirs)[here].max() < 0.02 * np.abs(theirs[here]).max()


def test_a_tangential_dipole_is_seen_with_two_poles_and_a_radial_one_not_at_all() -> None:
    sensors, to_head = _sensors.neuromag(102), transform()
    mags = sensors.kind == "mag"
    seen = _sensors.forward(sensors, to_head, PLACES, _sensors.tangential(PLACES, np.zeros(3)) * TWENTY)[mags]
    assert (np.abs(seen).max(0) > 50e-15).all()
    assert (np.abs(seen).max(0) < 500e-15).all()
    assert (seen.min(0) < -0.3 * seen.max(0)).all()
    assert (seen.max(0) > -0.3 * seen.min(0)).all()
    radial = PLACES / np.linalg.norm(PLACES, axis=1, keepdims=True)
    silent = _sensors.forward(sensors, to_head, PLACES, radial * TWENTY)
    assert np.abs(silent[mags]).max() < 1e-20


def test_the_noise_is_about_as_strong_as_in_a_real_recording(neuro_data: Path) -> None:
    real = mne.read_cov(neuro_data / "meg" / "audvis_evoked" / "test-cov.fif", verbose="error")
    sensors, rng = _sensors.neuromag(102), np.random.default_rng(0)
    to_head = _sensors.head_position(rng)
    positions, directions = _synthetic_meg._sources(rng)
    gain = _sensors.forward(sensors, to_head, positions, directions * _synthetic_meg.NANO)
    room = _synthetic_meg._room(rng, sensors, to_head, gain)
    ours = np.sqrt((room["brain"] ** 2).sum(1) + (room["slow"] ** 2).sum(1) + room["own"] ** 2)
    for kind, ends in {"mag": "1", "grad": "23"}.items():
        here = [name.startswith("MEG") and name[-1] in ends for name in real.ch_names]
        theirs = np.sqrt(np.diag(real.data)[here])
        assert 1 / 3 < np.median(ours[sensors.kind == kind]) / np.median(theirs) < 3
