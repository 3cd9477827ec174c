"""What the studies of attacks on simulated sites make lies within the bounds that their question sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline import report, run, store

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "workflows" / "studies"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def made(results: Path, name: str) -> dict[str, xr.Dataset]:
    run.run(STUDIES / f"{name}.yaml", results, quiet=True)
    return {path.stem: store.read(path) for path in sorted((results / name).glob("*.nc"))}


def claims(found: dict[str, xr.Dataset]) -> dict[str, tuple[int, str]]:
    weighed = found["claims"]
    columns = (weighed[name].values for name in ("claim", "allowed", "sentence"))
    return {str(claim): (int(allowed), str(text)) for claim, allowed, text in zip(*columns, strict=True)}


def whole(sentences: dict[str, tuple[int, str]]) -> None:
    """Every sentence names simulated data or networks; every comparison its population, n and bound."""
    for text in (text for _, text in sentences.values()):
        assert "simulated" in text or "units of networks" in text
        if "more sensitive" in text or "between" in text:
            assert "lower bound" in text
            assert "n = " in text


def test_guo_orders_networks_measures_the_gap_and_learns_over_days(results: Path, neuro_data: Path) -> None:
    found = made(results, "guo_sensitivity")
    bars = found["all_bars"]
    assert bars.attrs["seeds"] == 5
    vanilla, robust, surrogate, truth = bars["sensitivity"].transpose("arm", "epsilon").values
    assert (np.diff([vanilla, robust, surrogate, truth], axis=1) > 0).all()  # monotone in the budget
    assert (bars["over_robust_low"].values[0] > 1).all()
    assert (bars["kappa_high"].values[-2:] < 1).all()
    assert (truth > surrogate).all()
    print("\nfour bars\n", np.round(bars["sensitivity"].values, 3))
    print("kappa", np.round([bars[f"kappa{end}"].values for end in ("", "_low", "_high")], 3))
    days, true = found["all_days"].isel(epsilon=-1), found["all_days_truth"].isel(epsilon=-1)
    assert float(days["above_random_low"][0]) > 0
    assert float(true["since_first_low"][-1]) > 0
    assert float(days["zero_signed_low"][-1]) <= 0 <= float(days["zero_signed_high"][-1])
    assert float(days["zero_absolute_low"][-1]) > 0
    for arm in ("random direction", "shuffled surrogate", "nothing"):
        assert (true["sensitivity_high"].sel(arm=arm) < true["sensitivity_low"].sel(arm="attack")).all()
    said = claims(found)
    whole(said)
    assert said["vanilla"][0] == 1
    assert said["noise"][0] == 1
    assert said["unqualified"][0] == 0


def test_guo_reports_its_claims_first_and_calls_its_data_simulated(results: Path, neuro_data: Path) -> None:
    made(results, "guo_sensitivity")
    text = report.report(STUDIES / "guo_sensitivity.yaml", results).read_text(encoding="utf-8")
    assert "not an attack on a brain" in text
    assert text.index("lower bound") < text.index("<figure")
    assert "incomplete" not in text


def test_comment_controls_answer_each_question(results: Path, neuro_data: Path) -> None:
    found = made(results, "comment_controls")
    gaps = {
        name: found[name]["kappa_mean"].values
        for name in found
        if name.endswith("gap") or name.startswith("gap")
    }
    print("\nkappa", {name: np.round(part, 3).tolist() for name, part in gaps.items()})
    assert gaps["gap_many_pictures"][-1] > gaps["gap_few_pictures"][-1]
    assert all((found[name]["kappa_mean_high"].values[-1] < 1) for name in gaps)
    order = found["order"]
    first = dict(zip(order["setting"].values.tolist(), order["first_above"].values.tolist(), strict=True))
    print("vanilla above robust", first)
    assert all(held for name, held in first.items() if name.startswith("normaliser"))
    flips = found["flips"]["flipped"].transpose("arm", "epsilon").values
    assert (flips[2] >= flips[3]).all()
    assert flips[2, -1] > 0.8
    population = found["population"]["displacement"].transpose("arm", "epsilon").values
    assert (population[0] > 5 * population[1]).all()
    judge = found["true_sensitivity"].sel(arm="attack")
    assert (judge["conditional"].values > 0).all()
    print("corrected by the other kappa / truth", np.round(found["corrected"]["ratio"].values, 2))
    whole(claims(found))


def test_models_of_real_v4_are_moved_by_attacks_and_little_by_their_controls(
    results: Path, neuro_data: Path
) -> None:
    found = made(results, "v4_attack")
    predictor, moved = found["predictor"], found["sensitivity"]
    assert predictor.attrs["fitted_to"] == "real, raw"
    assert found["reliability"].attrs["n_above"] >= 30
    assert predictor.attrs["score_low"] > 0.3
    assert abs(found["exchanged"].attrs["score"]) < 0.1
    told = [moved[f"sensitivity{end}"].sel(arm="attack").values for end in ("", "_low", "_high")]
    print("\nSDs moved", np.round(told, 3).tolist(), "of the ceiling", predictor.attrs["normalized_score"])
    each = moved["by_neuroid"].sel(arm="attack").transpose("epsilon", "neuroid").values
    assert each.shape[1] >= 30
    assert (np.diff(each, axis=0) > 0).all()  # monotone for every neuroid
    for arm in ("random direction", "natural step", "another neuroid's attack", "shuffled surrogate"):
        print(arm, moved["sensitivity"].sel(arm=arm).values.round(3))
        assert (moved["sensitivity_high"].sel(arm=arm).values < told[1]).all()
    vanilla, robust = (found[f"{name}_sensitivity"]["sensitivity"] for name in ("vanilla", "robust"))
    print("units", [one.sel(arm="attack").values.round(2).tolist() for one in (vanilla, robust)])
    gallery = found["gallery"]
    assert (gallery["stimulus_id"].isin(found["held_out"]["stimulus_id"])).all()
    audit = found["audit"]
    raised = audit["flag"].values[audit["raised"].values == 1].tolist()
    print("audit raises", raised)
    assert "epsilon" in audit.dims
