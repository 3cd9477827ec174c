"""Phy folders that are not what they should be."""

from __future__ import annotations

import numpy as np
import pytest

from loaders import ephys

TRAINS = [np.sort(np.random.default_rng(k).uniform(0, 12, 120)) for k in range(3)]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    """Readers run without their child, which costs seconds; tests of the child itself take this back."""
    monkeypatch.setenv("NEUROLOOP_CHILD", "1")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("params.py", "sample_rate = __import__('os').system('true')\n", "params.py: sample_rate: no line"),
        ("params.py", "n_channels = 4\n", "params.py: sample_rate: no line"),
        ("params.py", "sample_rate = 0\n", "sample_rate: '0' is not a rate"),
        ("cluster_group.tsv", "cluster_id\tgroup\nx\tgood\n", "cluster_group.tsv:2: cluster_id 'x'"),
    ],
)
def test_f28_phy_folders_that_are_not(name, content, line, tmp_path):
    np.save(
        tmp_path / "spike_times.npy",
        (np.concatenate(TRAINS) * 30000).astype(np.int64)[np.argsort(np.concatenate(TRAINS))],
    )
    np.save(tmp_path / "spike_clusters.npy", np.arange(360) % 3)
    (tmp_path / "params.py").write_text("sample_rate = 30000.\n")
    assert ephys.counts(tmp_path, window=None)["response"].sum() == 360
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=line):
        ephys.counts(tmp_path, window=None)
    np.save(tmp_path / "spike_clusters.npy", np.arange(359) % 3)
    (tmp_path / "params.py").write_text("sample_rate = 30000.\n")
    with pytest.raises(ValueError, match="has 359 spikes"):
        ephys.counts(tmp_path, window=None)
