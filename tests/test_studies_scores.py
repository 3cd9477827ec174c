"""What the studies of model scores must show on real recordings; training takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import run, store

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_real_v4_is_explained_by_trained_networks_better_than_by_their_untrained_twins(
    tmp_path: Path, neuro_data: Path
) -> None:
    run.run(ROOT / "workflows" / "studies" / "v4_scores.yaml", tmp_path, quiet=True)
    ridge, pcr, more = (
        store.read(tmp_path / "v4_scores" / f"{name}.nc") for name in ("ridge", "pcr", "more")
    )
    for table in (ridge, pcr):
        assert table.attrs["origin"] == "real, raw"
        for network in ("cnn", "cornet", "vone"):
            row = table.sel(model=network)
            assert float(row["difference_low"].sel(other_model=f"{network}_untrained")) > 0
            assert float(row["difference_low"].sel(other_model="pixels")) > 0
    assert abs(float(ridge["score"].sel(model="exchanged"))) < 0.08
    assert float(ridge["score"].sel(model="gabor")) >= 0.47
    assert (more.sel(model="cnn", other_model=["cnn_untrained", "pixels"])["difference_low"] > 0).all()
