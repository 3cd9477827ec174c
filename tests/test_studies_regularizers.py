"""What the study of deep canonical correlation with V4 makes, beside its controls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analyses import arms
from pipeline import run, store

ROOT = Path(__file__).resolve().parent.parent


def told(found: xr.Dataset, name: str) -> list[str]:
    """A line for every arm: the mean over starts and the difference with its interval."""
    lines = []
    for arm in found["arm"].values:
        one = found.sel({"arm": arm})
        mean, *apart = (np.ravel(one[f"{name}_{end}"]) for end in
                        ("mean", "difference", "difference_low", "difference_high"))  # fmt: skip
        each = [f"{a:.3f} ({b:+.3f}, {c:+.3f} to {d:+.3f})" for a, b, c, d in zip(mean, *apart, strict=True)]
        lines.append(f"{name:9s} {arm!s:18s} " + "  ".join(each))
    return lines


@pytest.mark.slow
def test_pirlot_dcca_real_pairs_hold_on_new_pictures_and_the_answer_is_printed(
    tmp_path: Path, neuro_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.run(ROOT / "workflows" / "studies" / "pirlot_dcca.yaml", tmp_path, quiet=True)
    found = {
        name: store.read(tmp_path / "pirlot_dcca" / f"{name}.nc")
        for name in ("compared", "held_out", "shared")
    }
    with capsys.disabled():
        print()
        for name, variables in (
            ("compared", ["accuracy", "attacked"]),
            ("held_out", ["canonical"]),
            ("shared", ["cka"]),
        ):
            print("\n".join(line for variable in variables for line in told(found[name], variable)))
    held = found["held_out"]
    assert held.attrs["n"] == 3
    for real in ("dcca_real", "dcca_mean_real"):
        assert float(held["canonical_difference_low"].sel(arm=real)[0]) > 0
        assert float(held["canonical_mean"].sel(arm=real)[0]) > 0.2
    for null in ("dcca_shuffled", "dcca_gaussian", "dcca_mean_shuffled"):
        assert abs(float(held["canonical_mean"].sel(arm=null)[0])) < 0.1
    compared = found["compared"]
    assert float(compared["accuracy_mean"].sel(arm="none")[0]) > 0.4
    assert (compared["attacked_mean"].diff("epsilon") <= 0.01).all()
    assert sum(panel.axison for panel in arms.plot(compared).axes) == 6
