"""Neighbours of sensors agree with MNE's, whatever their order, and stay within their kind."""

from __future__ import annotations

import mne
import numpy as np
import pytest
import xarray as xr

from loaders import meg, synthetic


@pytest.fixture(scope="module")
def helmet() -> xr.Dataset:
    return synthetic.meg_faces(seed=0, identities=2, images=1, repeats=1, runs=1, eog_leak=None)


def electrodes(names: list[str]) -> xr.Dataset:
    places = mne.channels.make_standard_montage("standard_1020").get_positions()["ch_pos"]
    position = np.array([places[name] for name in names])
    coords = {f"position_{axis}": ("neuroid", position[:, i]) for i, axis in enumerate("xyz")}
    kinds = ("neuroid", np.full(len(names), "eeg"))
    return xr.Dataset(coords={"neuroid_id": ("neuroid", np.array(names)), "kind": kinds, **coords})


TEN = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]


@pytest.mark.parametrize(("kind", "template"), [("mag", "neuromag306mag"), ("grad", "neuromag306planar")])
def test_a_neuromag_array_has_the_vendors_neighbours(helmet: xr.Dataset, kind: str, template: str) -> None:
    found = meg.adjacency(helmet)
    matrix, names = mne.channels.read_ch_adjacency(template)
    ours = [helmet["neuroid_id"].values.tolist().index(name) for name in names]
    expected = matrix.toarray().astype(bool) & ~np.eye(len(names), dtype=bool)
    np.testing.assert_array_equal(found["adjacent"].values[np.ix_(ours, ours)], expected)
    assert template in found.attrs["made_by"]


def test_kinds_are_no_neighbours_and_the_order_of_sensors_does_not_matter(helmet: xr.Dataset) -> None:
    found = meg.adjacency(helmet)["adjacent"].values
    kind = helmet["kind"].values
    assert not found[kind[:, None] != kind].any()
    assert not found.diagonal().any()
    np.testing.assert_array_equal(found, found.T)
    order = np.random.default_rng(0).permutation(kind.size)
    np.testing.assert_array_equal(
        meg.adjacency(helmet.isel(neuroid=order))["adjacent"], found[np.ix_(order, order)]
    )


def test_electrodes_have_mnes_triangles() -> None:
    info = mne.create_info(TEN, 100.0, "eeg")
    info.set_montage("standard_1020")
    matrix, names = mne.channels.find_ch_adjacency(info, "eeg")
    assert names == TEN
    head = np.array([channel["loc"][:3] for channel in info["chs"]])
    recording = electrodes(TEN)
    recording = recording.assign_coords(
        {f"position_{axis}": ("neuroid", head[:, i]) for i, axis in enumerate("xyz")}
    )
    expected = matrix.toarray().astype(bool) & ~np.eye(10, dtype=bool)
    np.testing.assert_array_equal(meg.adjacency(recording)["adjacent"], expected)


def test_a_sparse_helmet_and_its_pairs_of_gradiometers_are_triangulated() -> None:
    few = synthetic.meg_faces(seed=0, sites=20, identities=2, images=1, repeats=1, runs=1)
    found = meg.adjacency(few)
    assert found.attrs["made_by"] == "mag: triangles, grad: triangles"
    grad = found["adjacent"].values[np.ix_(*[few["kind"].values == "grad"] * 2)]
    pairs = np.arange(0, len(grad), 2)
    assert grad[pairs, pairs + 1].all()
    np.testing.assert_array_equal(grad[::2, ::2], grad[1::2, 1::2])
    assert found["adjacent"].values.any(axis=1).all()


def test_other_channels_have_no_neighbours_and_need_no_position() -> None:
    recording = electrodes(TEN)
    kinds, names = recording["kind"].values.copy(), recording["neuroid_id"].values.copy()
    kinds[3], x = "eog", recording["position_x"].values.copy()
    x[3] = np.nan
    found = meg.adjacency(recording.assign_coords(kind=("neuroid", kinds), position_x=("neuroid", x)))
    assert not found["adjacent"].values[3].any()
    assert found["neuroid_id"].values[3] == names[3]


def test_what_has_no_neighbours_is_told() -> None:
    recording = electrodes(TEN)
    x = recording["position_x"].values.copy()
    x[3] = np.nan
    with pytest.raises(ValueError, match=r"^neuroid_id F4: without a position"):
        meg.adjacency(recording.assign_coords(position_x=("neuroid", x)))
    with pytest.raises(ValueError, match=r"^position_x: missing"):
        meg.adjacency(recording.drop_vars("position_x"))
    with pytest.raises(ValueError, match=r"^kind 'eeg': 3 places"):
        meg.adjacency(recording.isel(neuroid=slice(3)))
    with pytest.raises(ValueError, match=r"^kind: ecg: none is of the brain"):
        meg.adjacency(recording.assign_coords(kind=("neuroid", np.full(10, "ecg"))))
    with pytest.raises(ValueError, match=r"^coordinate 'kind': missing"):
        meg.adjacency(recording.drop_vars("kind"))
