"""What the studies of population geometry make lies within bounds that were measured or published before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses import geometry
from loaders import ephys
from pipeline import run, store

ROOT = Path(__file__).resolve().parent.parent


def made(results: Path, name: str) -> dict[str, xr.Dataset]:
    run.run(ROOT / "workflows" / "studies" / f"{name}.yaml", results, quiet=True)
    return {path.stem: store.read(path) for path in sorted((results / name).glob("*.nc"))}


def test_real_it_lays_objects_out_before_and_after_onset(neuro_data: Path) -> None:
    path = neuro_data / "macaque" / "it_seven_objects"
    recording = ephys.counts(path, window=(-0.1, 0.2), bin_width=0.1, trigger_delay_s=0)
    capacity = geometry.capacity(recording, "object", draws=100, rank=0)
    before, _, late = capacity["capacity"].values
    assert before < 1.25 * capacity.attrs["floor"] < 1.6 * capacity.attrs["floor"] < late
    ccgp = geometry.generalization(recording, "object", "position", permutations=199, bootstraps=100)
    assert abs(float(ccgp["ccgp"][0]) - 0.5) < 0.05
    assert float(ccgp["ccgp_low"][2]) > 0.75
    assert float(ccgp["p"][2]) == pytest.approx(1 / 200)
    assert float(ccgp["p"][0]) > 0.05


@pytest.mark.slow
def test_geometry_it_rises_from_its_floor_after_onset(tmp_path: Path, neuro_data: Path) -> None:
    found = made(tmp_path, "geometry_it")
    early, late = {"time": slice(None, 0.0)}, {"time": slice(0.13, 0.2)}
    capacity = found["capacity"]
    assert float(capacity["capacity"].sel(early).max()) < 1.2 * capacity.attrs["floor"]
    assert float(capacity["p"].sel(early).min()) > 0.05
    assert float(capacity["p"].sel(late).max()) == pytest.approx(1 / 21)
    assert 0.055 < float(capacity["capacity"].max()) < 0.08
    assert 0.1 < float(capacity["time"][int(capacity["capacity"].argmax())]) < 0.25
    for name in ("radius", "dimension"):
        assert float(capacity[name].sel(late).max()) < 0.85 * float(capacity[name].sel(early).min())
    for place in ("lower", "middle", "upper"):
        one = found[place]
        assert abs(float(one["capacity"].sel(early).mean()) / one.attrs["floor"] - 1) < 0.1
        assert float(one["capacity"].sel(late).min()) > 1.3 * one.attrs["floor"]
    together = found["correlated"]
    assert np.allclose(together["capacity"].sel(early), together.attrs["floor"], rtol=0.05)
    assert float(together["capacity"].sel(late).min()) > 1.15 * together.attrs["floor"]
    size = found["signal_dimension"]
    assert float(size["participation_ratio"].sel(late).max()) < float(
        size["participation_ratio"].sel(early).min()
    )


@pytest.mark.slow
def test_geometry_it_generalizes_over_positions(tmp_path: Path, neuro_data: Path) -> None:
    path = ROOT / "workflows" / "studies" / "geometry_it.yaml"
    run.run(path, tmp_path, steps=["positions"], quiet=True)
    positions = store.read(tmp_path / "geometry_it" / "positions.nc")
    early, late = {"time": slice(None, 0.0)}, {"time": slice(0.13, 0.2)}
    assert float(np.abs(positions["ccgp"].sel(early) - 0.5).max()) < 0.05
    assert float(positions["p"].sel(early).min()) > 0.05
    assert float(positions["p"].sel(late).max()) == pytest.approx(1 / 1001)
    assert 0.75 < float(positions["ccgp"].max()) < 0.87
    assert float(positions["held"].sel(late).min()) > 0.7
    assert float(positions["parallelism"].sel(late).min()) > 0.4
    assert float(np.abs(positions["parallelism"].sel(early)).max()) < 0.06
    assert positions.attrs["origin"] == "real, raw"


@pytest.mark.slow
def test_geometry_it_tells_all_halves_of_objects_apart(tmp_path: Path, neuro_data: Path) -> None:
    path = ROOT / "workflows" / "studies" / "geometry_it.yaml"
    run.run(path, tmp_path, steps=["shattering"], quiet=True)
    made = store.read(tmp_path / "geometry_it" / "shattering.nc")
    early, late = {"time": slice(None, 0.0)}, {"time": slice(0.13, 0.2)}
    assert made.attrs["dichotomies"] == made.attrs["of"] == 35
    assert made.attrs["shared"] == "stimulus_id"
    assert float(np.abs(made["shattering"].sel(early) - 0.5).max()) < 0.04
    assert float(made["p"].sel(early).min()) > 0.05
    assert float(made["p"].sel(late).max()) == pytest.approx(1 / 201)
    assert 0.72 < float(made["shattering"].max()) < 0.82
    assert float(made["decodable"].sel(late).min()) > 0.9


@pytest.mark.slow
def test_geometry_layers_training_raises_the_capacity_of_late_layers(
    tmp_path: Path, neuro_data: Path
) -> None:
    found = made(tmp_path, "geometry_layers")["contrast"]
    assert found.attrs["seeds"] == 5
    assert found["layer"].values.tolist() == ["conv1", "conv2", "conv3", "conv4", "head"]
    late = found.sel(layer=["conv4", "head"])
    assert float(late["difference_low"].min()) > 0
    assert float(late["ratio"].min()) > 1.2
    assert float(found["untrained"].min()) > found.attrs["floor"]
    assert (found["ratio_low"] < found["ratio"]).all()
    assert (found["ratio"] < found["ratio_high"]).all()
