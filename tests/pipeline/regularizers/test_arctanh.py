"""Similarities across layers: their weights, the stretched scale, and the thresholded control."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.regularizers import arctanh


def patterns(seed, units=5):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(9, units)))


def test_the_formula_by_hand():
    x, z, y = patterns(0), patterns(1, 7), patterns(2, 4)
    share = torch.tensor([0.25, 0.75], dtype=torch.float64)
    mixed = 0.25 * np.corrcoef(x) + 0.75 * np.corrcoef(z)
    off = ~np.eye(9, dtype=bool)
    wanted = (np.arctanh(mixed[off]) - np.arctanh(np.corrcoef(y)[off])) ** 2
    found = arctanh.penalty([x, z], y, weights=share, limit=1 - 1e-9)
    assert float(found) == pytest.approx(wanted.mean(), rel=1e-10)
    found = arctanh.penalty([x, z], y, weights=share, limit=1 - 1e-9, reduce="sum")
    assert float(found) == pytest.approx(wanted.sum(), rel=1e-10)


def test_layers_weigh_alike_at_first_and_the_better_one_wins():
    """Of a layer with the target's own geometry and one of noise, the first gets the weight."""
    y = patterns(0, 6)
    noise, good = patterns(1, 6), y @ torch.linalg.qr(patterns(2, 9)[:6, :6])[0]
    module = arctanh.build([noise, good], y, centre="none").double()
    alike = arctanh.penalty([noise, good], y, centre="none")
    assert torch.allclose(module([noise, good], y), alike, rtol=1e-12)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        module([noise, good], y).backward()
        optimizer.step()
    assert float(module.free.detach().softmax(0)[1]) > 0.98
    assert float(module([noise, good], y).detach()) < 0.02 * float(alike)


def test_one_layer_is_a_list_of_one():
    x, y = patterns(0), patterns(1)
    module = arctanh.build(x, y)
    assert [*module.state_dict()] == ["free"]
    assert torch.allclose(module.double()(x, y), arctanh.penalty([x], y), rtol=1e-12)


def test_the_threshold_leaves_signs():
    """Similarity 1, -1 or 0 of the target, cut at the limit before it is stretched."""
    y = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    x = torch.eye(4, dtype=torch.float64)
    found = arctanh.penalty(x, y, threshold=0.5, centre="none", limit=0.9)
    assert float(found) == pytest.approx(3 / 6 * np.arctanh(0.9) ** 2, rel=1e-12)


def test_the_same_patterns_cost_nothing_however_alike_they_are():
    x = patterns(0)
    x[1] = x[0]
    assert float(arctanh.penalty(x, x)) == 0
    found = arctanh.penalty(x.requires_grad_(), patterns(3))
    (slope,) = torch.autograd.grad(found, x)
    assert torch.isfinite(slope).all()


def test_f77_a_pattern_without_direction_is_named():
    x, y = patterns(0), patterns(1)
    y[3] = 1.0
    with pytest.raises(ValueError, match=r"^target: \(9, 5\) has a pattern without a direction"):
        arctanh.penalty(x, y)
