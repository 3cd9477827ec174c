"""CKA as a penalty: what leaves it as it is, and unrelated patterns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.regularizers import cka


def patterns(seed, count=20, units=5):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, units)))


@pytest.mark.parametrize("debiased", [True, False])
def test_a_rotation_a_shift_and_a_scale_cost_nothing(debiased):
    x = patterns(0)
    turn = torch.linalg.qr(patterns(1, 5))[0]
    assert abs(float(cka.penalty(3 * x @ turn + 2, x, debiased=debiased))) < 1e-10


def test_unrelated_patterns_cost_one_where_bias_is_taken_away():
    found = [float(cka.penalty(patterns(k, 16, 40), patterns(100 + k, 16, 40))) for k in range(100)]
    plain = [
        float(cka.penalty(patterns(k, 16, 40), patterns(100 + k, 16, 40), debiased=False)) for k in range(20)
    ]
    assert abs(np.mean(found) - 1) < 4 * np.std(found) / 10
    assert np.mean(plain) < 0.5


def test_three_pictures_have_no_unbiased_estimate():
    with pytest.raises(ValueError, match=r"^target: is \(3, 5\) beside features \(3, 5\); wanted 4 pictures"):
        cka.penalty(patterns(0, 3), patterns(1, 3))
