"""Coarser time: means equal their definition, features keep their labels, empty windows are refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import latency, windows


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


@pytest.mark.parametrize("onset", [0.06, 0.085, 0.12])
def test_half_peak_of_a_ramp_is_read_between_samples(onset: float) -> None:
    time = np.arange(-0.1, 0.5, 0.004)
    score = 0.5 + 0.3 * np.clip((time - onset) / 0.05, 0, 1)
    result = xr.Dataset({"auc": ("time", score)}, {"time": time}, {"chance": 0.5})
    found = latency.fraction_of_peak(result)
    assert float(found["latency"][0]) == pytest.approx(onset + 0.025, abs=1e-3)


def test_a_flat_curve_has_no_latency() -> None:
    result = xr.Dataset({"auc": ("time", [0.5, 0.5, 0.5])}, {"time": [-0.1, 0.0, 0.1]}, {"chance": 0.5})
    assert np.isnan(float(latency.fraction_of_peak(result)["latency"][0]))


def test_comparison_scales_each_course_to_its_own_peak_and_says_what_is_simulated() -> None:
    time = np.arange(-0.1, 0.5, 0.01)
    bump = np.exp(-((time - 0.2) ** 2) / 0.005)
    human = xr.Dataset({"auc": ("time", 0.5 + 0.1 * bump)}, {"time": time})
    human.attrs = {"chance": 0.5, "label": "familiar", "origin": "simulated"}
    macaque = xr.Dataset({"balanced_accuracy": ("time", 1 / 7 + 0.8 * bump)}, {"time": time})
    macaque.attrs = {"chance": 1 / 7, "label": "object", "origin": "real, raw"}
    found = latency.compare(human, macaque)
    assert found["course"].max("time").values == pytest.approx([1, 1])
    assert float(found["latency"][0]) == pytest.approx(float(found["latency"][1]), abs=1e-9)
    (axes,) = latency.plot(found).axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "simulated" in legend[0]
    assert axes.get_xlabel() == "time from stimulus onset (s)"
