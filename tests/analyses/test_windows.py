"""Coarser time: means equal their definition, features keep their labels, empty windows are refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import windows


def ramp(samples: int = 60) -> xr.Dataset:
    response = np.random.default_rng(0).normal(size=(4, 3, samples))
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response, {"units": "V"})},
        coords={"neuroid_id": ("neuroid", ["a", "b", "c"]), "time": np.arange(samples) * 0.01 - 0.1,
                "label": ("presentation", [0, 1, 0, 1])},
    )  # fmt: skip


def test_sliding_means_equal_their_definition() -> None:
    recording = ramp()
    found = windows.sliding(recording, width=0.05, step=0.02)
    for place, time in enumerate(found["time"].values):
        inside = np.abs(recording["time"].values - time) < 0.0251
        expected = recording["response"].values[:, :, inside].mean(2)
        np.testing.assert_allclose(found["response"].values[:, :, place], expected, atol=1e-12)
    assert found["response"].attrs["units"] == "V"
    assert list(found["label"].values) == [0, 1, 0, 1]


def test_sliding_stays_lazy() -> None:
    found = windows.sliding(ramp().chunk({"time": 20}), width=0.05, step=0.05)
    assert found["response"].chunks is not None
    np.testing.assert_allclose(found["response"], windows.sliding(ramp(), width=0.05, step=0.05)["response"])


def test_flatten_keeps_every_sample_under_its_name() -> None:
    recording = ramp()
    found = windows.flatten(recording, window=[0.0, 0.1])
    assert found.sizes == {"presentation": 4, "neuroid": 33, "time": 1}
    place = list(found["neuroid_id"].values).index("b at 0.0500 s")
    np.testing.assert_array_equal(
        found["response"].values[:, place, 0], recording["response"].values[:, 1, 15]
    )


def test_windows_without_a_sample_are_refused() -> None:
    with pytest.raises(ValueError, match="holds no sample"):
        windows.flatten(ramp(), window=[2.0, 3.0])
    with pytest.raises(ValueError, match="no window fits"):
        windows.sliding(ramp(), width=9.0, step=0.1)


def test_f65_uneven_time_is_refused_with_its_index_and_jitter_passes() -> None:
    recording = ramp()
    windows.sliding(recording.assign_coords(time=recording["time"].values + 1e-9), width=0.05, step=0.05)
    time = recording["time"].values.copy()
    time[30:] += 0.005
    with pytest.raises(ValueError, match="not evenly spaced at index 30"):
        windows.sliding(recording.assign_coords(time=time), width=0.05, step=0.05)
