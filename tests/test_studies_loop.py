"""What the studies that close the loop make lies within the bounds that their question sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses.cotraining import numbers
from pipeline import report, run, store

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "workflows" / "studies"

pytestmark = pytest.mark.slow


def made(results: Path, name: str) -> dict[str, xr.Dataset]:
    run.run(STUDIES / f"{name}.yaml", results, quiet=True)
    return {path.stem: store.read(path) for path in sorted((results / name).glob("*.nc"))}


def said(found: dict[str, xr.Dataset]) -> dict[str, tuple[int, str]]:
    columns = (found["claims"][name].values for name in ("claim", "allowed", "sentence"))
    return {str(claim): (int(allowed), str(text)) for claim, allowed, text in zip(*columns, strict=True)}


def test_v29_the_loop_scores_and_attacks_before_and_after_on_pictures_no_target_holds(tmp_path: Path) -> None:
    found = made(tmp_path, "loop")
    exam, lessons = ({one.tobytes() for one in found[name]["image"].values} for name in ("apart", "lessons"))
    assert exam
    assert not exam & lessons
    assert set(found["target"]["stimulus_id"].values) == set(found["lessons"]["stimulus_id"].values)
    assert found["apart"].attrs["apart_from"] == "target, shuffled, lessons"
    claims = said(found)
    for name, (allowed, text) in claims.items():
        print(f"\n{name} {allowed}: {text}")
    assert all("simulated sites" in text for name, (_, text) in claims.items() if name != "circularity")
    brain = numbers(found["brain_score"], {})
    assert brain.sizes == {"arm": 3, "seed": 5}
    shuffled = brain.sel(arm="shuffled") - brain.sel(arm="none")
    width = 2.776 * float(shuffled.std(ddof=1)) / np.sqrt(5)
    print(f"\nshuffled targets: {float(shuffled.mean()):+.3f} +- {width:.3f}")
    assert float(shuffled.mean()) - width <= 0  # no gain from shuffled targets
    page = report.report(STUDIES / "loop.yaml", tmp_path).read_text(encoding="utf-8")
    assert "All data here are simulated" in page or "Simulated data are in" in page
    assert "incomplete" not in page


def test_safarani_arms_stand_beside_the_baseline_or_print_the_negative(
    tmp_path: Path, neuro_data: Path
) -> None:
    found = made(tmp_path, "safarani_cotraining")
    total = {
        name.removeprefix("relative_"): part for name, part in found.items() if name.startswith("relative_")
    }
    for name, part in total.items():
        ends = [float(part[f"total{end}"].isel(method=0)) for end in ("", "_low", "_high")]
        print(f"\n{name}: total {ends[0]:.3f} [{ends[1]:.3f}, {ends[2]:.3f}]")
        print(np.round(part["relative"].isel(method=0).values, 2))
    assert float(total["oracle"]["total"].isel(method=0)) > 1
    assert found["corrupted"].attrs["n"] == 5
    assert found["v4_predicted"].attrs["origin"] == "real, denoised"
    neural = numbers(found["sweep_neural"], {})
    print("\nneural correlation by ratio", neural.mean("seed").values.round(3))
    assert float(neural.sel(arm="ratio 1").mean()) > 0.1
    waves = found["waves"]
    for arm in waves["arm"].values[1:]:
        ends = [waves[f"error_octave_difference{end}"].sel(arm=arm).values for end in ("", "_low", "_high")]
        print(f"errors under waves, by octave, {arm} less none: {np.round(ends, 3).tolist()}")
    clean = 1 - found["clean"]["accuracy_mean"].sel(arm="none").isel(method=0).item()
    assert float(waves["error_octave_mean"].sel(arm="none").max()) > clean  # some octave hurts
    for name, (allowed, text) in said(found).items():
        print(f"\n{name} {allowed}: {text}")
        assert "monkey V1" not in text
