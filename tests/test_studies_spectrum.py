"""What the studies of bent spectra make lies within the bounds that their question sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline import run, store

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ROOT / "workflows" / "studies"

pytestmark = pytest.mark.slow


def made(folder: Path, name: str) -> dict[str, xr.Dataset]:
    run.run(STUDIES / f"{name}.yaml", folder, quiet=True)
    return {path.stem: store.read(path) for path in sorted((folder / name).glob("*.nc"))}


def told(curves: xr.Dataset, name: str) -> None:
    """Prints what the curves say, whichever way they bend."""
    print(f"\n{name}: {curves.attrs['interval']}; within {curves.attrs['tolerance']} of the target: "
          f"{curves.attrs['reached']} of {int(np.isfinite(curves.target).sum())} arms")  # fmt: skip
    for arm in curves["arm"].values:
        row = curves.sel(arm=arm).isel(epsilon=0)
        names = ("alpha_lessons", "alpha", "accuracy", "saturated")
        alpha, held, clean, bound = (float(row[name]) for name in names)
        attacked = " ".join(f"{value:.3f}" for value in row["attacked"].values)
        print(f"  {arm!s:22s} α {alpha:.2f} (held-out {held:.2f}) clean {clean:.4f} attacked {attacked} "
              f"saturated {bound:.3f}")  # fmt: skip
    for place, strong in enumerate(curves["strength"].values):
        clean = [float(curves[f"slope_accuracy{end}"][place]) for end in ("", "_low", "_high")]
        hard = [curves[f"slope_attacked{end}"][place, :, 0].values for end in ("", "_low", "_high")]
        print(f"  β {strong:g}: clean per α {clean[0]:+.4f} [{clean[1]:+.4f}, {clean[2]:+.4f}]")
        for k, attack in enumerate(curves["attack"].values):
            print(f"    {attack}: {hard[0][k]:+.4f} [{hard[1][k]:+.4f}, {hard[2][k]:+.4f}]")


def test_gerum_reaches_its_targets_and_shows_both_curves(tmp_path: Path, neuro_data: Path) -> None:
    found = made(tmp_path, "gerum_spectrum")
    curves = found["curves"]
    told(curves, "shallow")
    strong = curves["beta"].values == 1
    assert curves.attrs["seeds"] == 5
    assert (curves["off_target"].values[strong] < 0.1).all()  # of every seed
    flat, steep = (curves["attacked"].sel(arm=f"alpha {a} beta 1.0")[:, 0].values for a in ("0.6", "2.5"))
    assert (steep > flat).all()  # under every attack; above 2.5 it is printed, whichever way it bends
    assert (curves["accuracy"] > 0.85).all()
    for name in ("plain", "steep"):
        audit = found[f"{name}_audit"]
        raised = audit["flag"].values[audit["raised"].values == 1]
        alpha = float(found[f"{name}_spectrum"]["alpha"][0])
        print(f"{name}: α {alpha:.2f}, union {audit.union.values.round(3)}, raised {raised.tolist()}")
        assert (
            float(audit["union"][-1]) <= audit.attrs["chance"] + 0.05
        )  # any picture allowed: nothing is left


def test_gerum_by_architecture_is_printed_whichever_way_it_bends(tmp_path: Path, neuro_data: Path) -> None:
    found = made(tmp_path, "gerum_deep")
    for name in ("deep", "digits", "objects"):
        curves = found[f"{name}_curves"]
        told(curves, name)
        assert curves.attrs["seeds"] == 5
        assert np.isfinite(curves["slope_attacked"]).all()
