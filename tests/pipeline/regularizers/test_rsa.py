"""Dissimilarities drawn together: known angles, pairs, and the loss that a step of descent lowers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.regularizers import rsa


def test_known_angles():
    angle = torch.tensor([0.0, np.pi / 3, np.pi / 2], dtype=torch.float64)
    x = torch.stack([angle.cos(), angle.sin()], 1)
    y = torch.eye(3, dtype=torch.float64)  # all at right angles: 1 - cosine is 1
    wanted = np.mean([np.cos(np.pi / 3), np.cos(np.pi / 2), np.cos(np.pi / 6)])
    assert float(rsa.penalty(x, y)) == pytest.approx(wanted, abs=1e-12)
    assert float(rsa.penalty(x, y, pairs=1)) == pytest.approx(0.5, abs=1e-12)
    assert float(rsa.penalty(x, y, pairs=99)) == pytest.approx((0.5 + np.cos(np.pi / 6)) / 2, abs=1e-12)


def test_a_mean_that_is_shared_is_taken_away_where_that_is_asked():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(8, 5)))
    assert float(rsa.penalty(x + 7, x)) > 0.1
    assert float(rsa.penalty(x + 7, x, centre="stimuli")) < 1e-12
    assert float(rsa.penalty(x + 7, x, centre="neuroids")) < 1e-12


def test_f77_a_pattern_without_direction_is_named():
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    y = torch.eye(4)
    y[2] = 0
    with pytest.raises(ValueError, match=r"^target: has no direction at picture 2 of \(4, 4\)"):
        rsa.penalty(x, y)


def test_descent_brings_the_layer_to_the_responses():
    draw = torch.Generator().manual_seed(1)
    y, x = torch.randn(10, 3, generator=draw), torch.randn(10, 6, generator=draw).requires_grad_()
    first = float(rsa.penalty(x, y).detach())
    for _ in range(300):
        (slope,) = torch.autograd.grad(rsa.penalty(x, y), x)
        x = (x - 0.5 * slope).detach().requires_grad_()
    assert float(rsa.penalty(x, y).detach()) < 0.15 * first
