"""What the study of IT's code makes lies within bounds that were measured or published before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses import codes, information
from loaders import ephys
from pipeline import run, store

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, neuro_data: Path) -> dict[str, xr.Dataset]:
    results = tmp_path_factory.mktemp("results")
    run.run(ROOT / "workflows" / "studies" / "codes_it.yaml", results, quiet=True)
    return {path.stem: store.read(path) for path in sorted((results / "codes_it").glob("*.nc"))}


def test_real_it_carries_information_after_onset_and_none_before(neuro_data: Path) -> None:
    path = neuro_data / "macaque" / "it_seven_objects"
    recording = ephys.counts(path, window=(-0.2, 0.2), bin_width=0.1, trigger_delay_s=0)
    made = information.single(recording, "object", bins=4, permutations=39, exchange="presentation")
    beyond = made["subtracted"].mean("neuroid").values
    assert np.abs(beyond[:2]).max() < 0.002
    assert beyond[3] > 0.04
    assert (made["p"].values[:, 0] > 0.05).all()
    assert (made["p"].values[:, 3] <= 0.05).mean() > 0.2


def test_noise_of_real_it_is_refused_across_sessions(neuro_data: Path) -> None:
    path = neuro_data / "macaque" / "it_seven_objects"
    recording = ephys.counts(path, window=(0.1, 0.3), bin_width=0.2, trigger_delay_s=0)
    for ask in (codes.correlations, lambda one: information.breakdown(one, "object")):
        with pytest.raises(ValueError, match="neuroids were not recorded together"):
            ask(recording)
    within = codes.correlations(recording, together="recording")
    assert within.attrs["noise_pairs"] < 450
    assert abs(within.attrs["noise_shuffled"]) < 0.02
    assert within.attrs["noise_low"] > 0.03


@pytest.mark.slow
def test_codes_it_information_rises_from_nothing_after_onset(found: dict[str, xr.Dataset]) -> None:
    made = found["information"]
    early, late = {"time": slice(None, 0.0)}, {"time": slice(0.12, 0.28)}
    beyond = made["subtracted"].mean("neuroid")
    assert float(np.abs(beyond.sel(early)).max()) < 0.001
    assert 0.03 < float(beyond.sel(late).min()) < float(beyond.max()) < 0.06
    assert float(made["p"].sel(early).min()) > 0.05
    assert int((made["p"] <= 0.05).sum("neuroid").max()) > 25
    joint = found["components"]
    assert float(joint["p"].sel(early).min()) > 0.05
    assert 0.8 < float(joint["information"].max()) < 1.4
    read = found["decoded"]["information"]
    assert float(np.abs(read.sel(early)).max()) < 0.08
    assert 0.9 < float(read.max()) < 1.5
    assert 1.7 < float(found["population"]["information"][0]) < 2.2


@pytest.mark.slow
def test_codes_it_breakdown_and_correlations_within_sessions(found: dict[str, xr.Dataset]) -> None:
    parts = found["breakdown"]
    assert parts.attrs["pairs"] == found["correlations"].attrs["noise_pairs"] == 379
    assert float(parts["mean_signal_similarity_high"][0]) < 0
    assert float(parts["mean_linear"][0]) == pytest.approx(0.19, abs=0.04)
    assert float(parts["mean_correlation_independent_high"][0]) < 0
    noise = found["correlations"].attrs
    assert 0.08 < noise["noise_low"] < noise["noise_mean"] < noise["noise_high"] < 0.19
    assert abs(noise["noise_shuffled"]) < 0.02
    assert abs(noise["signal_median"]) < 0.03


@pytest.mark.slow
def test_codes_it_sparse_mixed_and_slow(found: dict[str, xr.Dataset]) -> None:
    sparse = found["sparseness"]["lifetime_median"]
    assert float(sparse.sel(time=slice(0.1, 0.3)).min()) > 1.3 * float(sparse.sel(time=slice(None, 0)).max())
    accuracy = found["heterogeneity"]["accuracy"].mean("draw")
    assert float(accuracy.sel(arm="heterogeneous")[-1]) > 2 * float(accuracy.sel(arm="homogeneous")[-1])
    slow = found["timescales"].attrs
    assert 0.05 < slow["timescale_low"] < slow["timescale_high"] < 0.13
    late = found["latency"]["subtracted"].mean("neuroid")
    assert float(late.sel(code="count")) > float(late.sel(code="latency")) > 0.01
    assert abs(float(found["latency"]["beyond_count"].mean())) < 0.03
    timing = found["precision"]["timing"].mean("neuroid")
    assert abs(float(timing.sel(width=0.12))) < 1e-6
    assert abs(float(timing.max())) < 0.05


@pytest.mark.slow
def test_codes_it_table_is_whole(found: dict[str, xr.Dataset]) -> None:
    table = found["constraints"]
    assert table.sizes["property"] == 14
    assert np.isfinite(table["value"]).all()
    assert table.attrs["origin"] == "real, raw"
    assert not any(
        "unavailable" in str(text) or "not measured" in str(text) for text in table["effect"].values
    )
    for place in range(14):
        row = table.isel(property=place)
        print(
            *(str(row[name].values) for name in ("property", "value", "low", "high", "unit", "rule")),
            sep=" | ",
        )
