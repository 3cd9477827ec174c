"""Every study binds, and what it makes lies within the bounds that were planted or measured before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses import decoding
from loaders import schema, synthetic
from pipeline import report, run, store, study

ROOT = Path(__file__).resolve().parent.parent
STUDIES = sorted((ROOT / "workflows" / "studies").glob("*.yaml"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def claims(found: dict[str, xr.Dataset]) -> dict[str, tuple[int, str]]:
    """By claim: whether it may be made, and the sentence."""
    weighed = found["claims"]
    columns = (weighed[name].values for name in ("claim", "allowed", "sentence"))
    return {str(claim): (int(allowed), str(text)) for claim, allowed, text in zip(*columns, strict=True)}


def made(results: Path, name: str) -> dict[str, xr.Dataset]:
    """Results of the steps that run once, after a run that resumes what another test has made."""
    run.run(ROOT / "workflows" / "studies" / f"{name}.yaml", results, quiet=True)
    return {path.stem: store.read(path) for path in sorted((results / name).glob("*.nc"))}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_study_binds_and_states_its_question(path: Path) -> None:
    assert len(study.check(path).about) > 80


def test_familiarity_is_at_chance_before_onset_and_rises_after_the_planted_one(results: Path) -> None:
    group = made(results, "familiarity")["group"]
    auc, time = group["auc"], group["time"]
    assert group.attrs["n"] == 16
    assert group.attrs["origin"] == "simulated"
    assert abs(float(auc.sel(time=slice(None, 0.0)).mean()) - 0.5) < 0.02
    assert abs(float(auc.sel(time=slice(0.0, 0.085)).mean()) - 0.5) < 0.03
    assert float(auc.sel(time=slice(0.12, 0.2)).mean()) > 0.6
    surely = time[(group["auc_low"] > 0.5).rolling(time=5).sum() == 5]
    assert 0.085 <= float(surely[0]) - 0.016 <= 0.15  # the first of five in a row
    assert group.attrs["p_peak"] < 0.05 <= group.attrs["baseline_p"]
    onset = made(results, "familiarity")["onset"].sel({"method": "change point"})
    assert float(onset["onset_low"]) <= 0.085 <= float(onset["onset_high"])
    assert abs(float(onset["onset"]) - 0.085) < 0.01


def test_familiarity_is_claimed_of_simulated_data_with_its_controls(results: Path) -> None:
    found = made(results, "familiarity")
    assert found["image_control"].attrs["verdict"] == "survives"
    assert found["channels"].attrs["flagged"] == ""
    assert found["exposure"].attrs["verdict"] == "equal"
    said = claims(found)
    assert "decodable" in said["decodable"][1]
    assert "onset" in said["onset"][1]
    assert all(said[claim][0] for claim in ("decodable", "onset", "label", "image", "channels"))
    assert all("simulated" in text and "brain" not in text for _, text in said.values())


def test_familiarity_generalizes_around_the_diagonal(results: Path) -> None:
    square = made(results, "familiarity")["square"]["auc"]
    assert square.dims == ("time", "test_time")
    early = {"time": slice(-0.1, 0.0), "test_time": slice(0.12, 0.2)}
    assert abs(float(square.sel(early).mean()) - 0.5) < 0.03


def test_real_eeg_tells_faces_from_houses(results: Path, neuro_data: Path) -> None:
    found = made(results, "face_house")
    assert found["recording"].sizes["presentation"] == 1123
    assert float(found["decoding"]["auc"][0]) >= 0.69
    assert float(found["baseline"]["auc"][0]) == pytest.approx(0.49, abs=0.03)
    course = found["course"]["auc"]
    assert 0.2 < float(course["time"][int(course.argmax())]) < 0.4
    assert found["decoding"].attrs["origin"] == "real, raw"
    assert found["late"].attrs["p_peak"] == pytest.approx(1 / 1001)
    assert found["early"]["p"].values[0] > 0.05
    assert "delay" in found["onset"].attrs["withheld"]
    said = claims(found)
    assert said["decodable"][0] == 1
    assert said["onset"][0] == said["population"][0] == said["label"][0] == 0
    assert "onset" not in said["onset"][1]
    assert "nothing is claimed about other" in said["population"][1]


def test_real_it_tells_seven_objects(results: Path, neuro_data: Path) -> None:
    found = made(results, "seven_objects")
    course = found["decoding"]["balanced_accuracy"]
    assert float(course.sel(time=0.175, method="nearest")) >= 0.82  # the window 100 to 250 ms
    assert float(course.sel(time=slice(None, -0.0749)).max()) <= 0.17  # windows that end before onset
    table = found["positions"]["balanced_accuracy"].values[..., 0]
    same, cross = np.diag(table), table[~np.eye(3, dtype=bool)]
    assert 0.86 <= same.min() <= same.max() <= 0.98
    assert 0.64 <= cross.min() <= cross.max() <= 0.88
    assert found["test"].attrs["p_peak"] == pytest.approx(1 / 1001)
    assert found["test"].attrs["baseline_p"] > 0.05
    said = claims(found)
    assert said["decodable"][0] == said["onset"][0] == 1
    assert said["label"][0] == said["population"][0] == 0
    onset = found["onset"].sel({"method": "change point"})
    assert 0.05 < float(onset["onset_low"]) <= float(onset["onset"]) <= float(onset["onset_high"]) < 0.12


def test_timing_puts_simulated_meg_beside_real_spikes(results: Path, neuro_data: Path) -> None:
    found = made(results, "timing")["puzzle"].sel({"method": "change point"})
    low, high = found["onset_low"].values, found["onset_high"].values
    assert low[0] < 0.085 < high[0]
    assert (high - low < 0.05).all()
    assert 0.05 < float(found["onset"][1]) < 0.12
    assert float(found["difference_low"]) < float(found["difference"]) < float(found["difference_high"])
    assert "simulated" in str(found["condition"].values[0])
    assert "real" in str(found["condition"].values[1])


def test_a_report_of_the_demo_states_its_claims_first(results: Path) -> None:
    made(results, "familiarity")
    page = report.report(ROOT / "workflows" / "studies" / "familiarity.yaml", results)
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 10_000_000
    assert text.index("is decodable") < text.index("<figure") < text.index('id="methods"')
    assert "<script" not in text
    assert "incomplete" not in text


def test_every_result_speaks_the_vocabulary_and_names_what_made_it(results: Path) -> None:
    made(results, "familiarity")
    for path in sorted((results / "familiarity").rglob("*.nc")):
        result = schema.check(store.read(path))
        assert {"study", "step", "use", "with", "inputs", "code", "versions"} <= set(result.attrs)
        assert str(results) not in json.dumps(result.attrs, default=str)


def test_notebook_redraws_the_figure(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(results, "familiarity")
    monkeypatch.chdir(results)
    (results / "results").symlink_to(results) if not (results / "results").exists() else None
    cells: dict = {}
    text = (ROOT / "workflows" / "notebooks" / "familiarity.py").read_text()
    exec(compile(text, "familiarity.py", "exec"), cells)
    assert cells["figure"].axes[0].get_ylabel() == "AUC"
    question = text.split("# %%")[-1].splitlines()
    assert 1 <= len([line for line in question if line and not line.startswith(("#", " [markdown]"))]) <= 6


def test_snapshot_of_decoding() -> None:
    recording = synthetic.meg_oracle(seed=0, images=20).isel(time=slice(60, 180, 20))
    path = Path(__file__).parent / "snapshots" / "decoding.json"
    for name, expected in json.loads(path.read_text()).items():
        found = decoding.time_resolved(recording, "familiar", estimator=name)["auc"].values
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
