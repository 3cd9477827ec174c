"""Rotations and translations: a planted one is found, the geometry is foolbox's, the grid is the grid."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch
from searched import pictures, toy, trained

from pipeline.attacks import classify, spatial
from pipeline.attacks._rows import look


def smooth(count=3, tall=12, wide=16):
    row, column = torch.arange(tall)[:, None], torch.arange(wide)[None]
    made = [torch.exp(-(((row - 4 - k) / 2) ** 2) - ((column - 9 + k) / 3) ** 2) for k in range(count)]
    return torch.stack(made)[:, None].double()


def likeness(aim):
    return lambda x, rows=None: -(x - (aim if rows is None else aim[rows])).square().flatten(1).sum(1)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 2), (-1, 2), (-2, -1)])
def test_a_planted_shift_of_whole_pixels_is_found(down, right):
    x = smooth()
    aim = torch.roll(x, (down, right), (2, 3))
    found = spatial.spatial(likeness(aim), x, 1.0, degrees=0, shift=0.25, grid=(1, 7, 9))
    inner = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(found[inner], aim[inner], atol=1e-9, rtol=0)


def test_a_planted_rotation_of_a_right_angle_is_found_without_distortion():
    x = smooth(2, 12, 12)
    aim = torch.rot90(x, 1, (2, 3))
    found = spatial.spatial(likeness(aim), x, 1.0, degrees=90, shift=0, grid=(5, 1, 1))
    torch.testing.assert_close(found, aim, atol=1e-6, rtol=0)
    wide = smooth(1, 13, 21)
    turned = spatial._moved(wide, torch.tensor([[90.0, 0, 0]], dtype=torch.float64), "zeros")
    middle = (slice(None), slice(None), slice(None), slice(4, 17))
    torch.testing.assert_close(turned[middle], torch.rot90(wide[middle], -1, (2, 3)), atol=1e-6, rtol=0)


def test_it_turns_first_and_shifts_then():
    x = smooth(1, 16, 16)
    both = spatial._moved(x, torch.tensor([[20.0, 0.125, -0.0625]], dtype=torch.float64), "zeros")
    turned = spatial._moved(x, torch.tensor([[20.0, 0, 0]], dtype=torch.float64), "zeros")
    shifted = torch.roll(turned, (2, -1), (2, 3))
    inner = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(both[inner], shifted[inner], atol=1e-6, rtol=0)


def test_f75_a_wider_range_or_more_draws_are_never_weaker():
    x = pictures(8)
    objective = classify.margin(toy(), x)
    value = [look(objective, spatial.spatial(objective, x, e, grid=(7, 5, 5))) for e in (0, 0.4, 0.5, 0.7, 1)]
    for (weak, lost), (strong, broken) in itertools.pairwise(value):
        assert bool((broken >= lost).all())
        assert bool((strong >= weak)[broken == lost].all())
    assert float(value[-1][0].mean()) > float(value[1][0].mean()) > float(value[0][0].mean())
    drawn = look(objective, spatial.spatial(objective, x, 1, grid=(7, 5, 5), k=5))[0]
    assert bool((value[-1][0] >= drawn)[value[-1][1] == (drawn > 0)].all())


def test_half_the_range_holds_half_the_angles():
    x = smooth(1)
    seen = []

    def watch(x, rows=None):
        seen.append(len(x))
        return x.flatten(1).sum(1)

    for epsilon, count in ((0.0, 1), (0.5, 1 + 4), (1.0, 1 + 8)):
        seen.clear()
        spatial.spatial(watch, x, epsilon, degrees=20, shift=0, grid=(9, 1, 1))
        assert sum(seen) == count


@pytest.mark.parametrize(
    "told",
    [
        {"degrees": -1.0},
        {"shift": 2.0},
        {"grid": (4, 5, 5)},
        {"grid": (5, 5)},
        {"k": -1},
        {"padding": "wrap"},
    ],
)
def test_numbers_out_of_range_are_refused(told):
    with pytest.raises(ValueError, match=next(iter(told))):
        spatial.spatial(likeness(smooth()), smooth(), 1.0, **told)


def test_as_many_are_broken_as_by_the_grid_of_foolbox():
    foolbox = pytest.importorskip("foolbox")
    net, x, label = trained(32)
    grid = {"max_rotation": 30, "num_rotations": 7, "max_translation": 3, "num_translations": 3}
    attack = foolbox.attacks.SpatialAttack(grid_search=True, **grid)
    peer = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its torch
        _, theirs, _ = attack(peer, x, label)
    objective = classify.margin(net, x, label=label)
    ours = spatial.spatial(objective, x, 1.0, degrees=30, shift=3 / 28, grid=(7, 3, 3))
    counts = [int(look(objective, found)[1].sum()) for found in (ours, theirs)]
    assert counts[0] >= counts[1] - 1
    assert counts[0] > 3
    assert math.isfinite(float(objective(ours).mean()))
