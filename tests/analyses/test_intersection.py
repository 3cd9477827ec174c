"""Intersection information: laws with known answers, brute force, and planted readouts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from analyses import _information_intersection as kernels
from analyses import information


def law(rule):
    """Stimulus by a rule of two independent fair bits: (1, s, r, c)."""
    made = np.zeros((1, 4, 2, 2))
    for r, c in np.ndindex(2, 2):
        made[0, rule(r, c), r, c] += 0.25
    return made


@pytest.mark.parametrize(
    ("rule", "bits"),
    [
        (lambda r, c: r & c, 0.75 * np.log2(4 / 3)),
        (lambda r, c: r ^ c, 0.0),
        (lambda r, c: 2 * r + c, 0.0),
        (lambda r, c: r + c, 0.5),
        (lambda r, c: r, 0.0),
    ],
)
def test_what_gates_share(rule, bits):
    assert kernels.shared(law(rule))[0] == pytest.approx(bits, abs=2e-4)


def test_the_least_law_is_that_of_a_grid_over_all_laws():
    rng = np.random.default_rng(0)
    for joint in rng.dirichlet(np.full(8, 0.7), size=5).reshape(5, 1, 2, 2, 2):
        rows, columns = joint.sum(3)[0], joint.sum(2)[0]
        whole = rows.sum(1)
        ends = [
            (max(0, rows[s, 0] + columns[s, 0] - whole[s]), min(rows[s, 0], columns[s, 0])) for s in (0, 1)
        ]
        grids = np.meshgrid(*(np.linspace(*end, 401) for end in ends), indexing="ij")
        every = np.stack([
            np.stack([x.ravel(), rows[s, 0] - x.ravel(), columns[s, 0] - x.ravel(),
                      whole[s] - rows[s, 0] - columns[s, 0] + x.ravel()], 1)
            for s, x in enumerate(grids)
        ], 1)  # fmt: skip
        least = kernels._conditional(np.clip(every.reshape(-1, 2, 2, 2), 0, None)).min()
        assert kernels._unique(joint)[0] == pytest.approx(least, abs=2e-6)


def test_marginals_stay_and_no_bound_is_passed():
    joint = np.random.default_rng(1).dirichlet(np.full(24, 0.4), size=40).reshape(40, 3, 4, 2)
    found = kernels.both(joint)
    about = [kernels.mutual(joint.sum(axis)) for axis in (3, 1, 2)]  # s r, r c, s c
    assert (found >= 0).all()
    assert all((found <= one + 1e-6).all() for one in about)
    assert np.allclose(found, kernels.both(joint[:, [2, 0, 1]][:, :, [3, 1, 0, 2]]), atol=1e-6)
    assert np.allclose(found, np.concatenate([kernels.both(one[None]) for one in joint]), atol=1e-11)


def recording(count=2000, seed=0):
    """Neuroids that are read out, that know the stimulus only, the choice only, and nothing."""
    rng = np.random.default_rng(seed)
    shown = np.arange(count) % 2
    flipped = lambda bits, share: np.where(rng.random(count) < share, 1 - bits, bits)  # noqa: E731
    read, idle = flipped(shown, 0.2), flipped(shown, 0.2)
    choice = flipped(read, 0.1)
    habit = rng.integers(0, 2, count)  # moves the choice on a part of the presentations, and knows nothing
    choice = np.where(rng.random(count) < 0.3, habit, choice)
    response = np.stack([read, idle, habit, rng.integers(0, 2, count)], 1)[:, :, None].astype(float)
    coords = {
        "stimulus_id": ("presentation", shown.astype(str)), "side": ("presentation", shown),
        "answer": ("presentation", np.array(["left", "right"])[choice]),
        "neuroid_id": ("neuroid", ["read", "idle", "habit", "noise"]), "time": [0.1],
    }  # fmt: skip
    return xr.Dataset({"response": (("presentation", "neuroid", "time"), response, {"units": "1"})}, coords)


def test_only_the_neuroid_that_is_read_out_beats_its_null():
    found = information.intersection(recording(), "side", "answer", permutations=99).isel(time=0)
    read, idle, habit, noise = found["intersection"].values
    # stimulus → response → choice: all that the choice has of the stimulus came through this one
    assert read == pytest.approx(found.attrs["label_choice"], abs=5e-3)
    assert read > 2 * found["null_mean"].values[0]
    assert max(habit, noise) < 0.01
    assert found["p"].values[0] == 0.01
    assert (found["p_uncorrected"].values[1:] > 0.02).all()
    # the idle one shares with the choice what both have of the stimulus, as much as its null has
    assert idle == pytest.approx(found["null_mean"].values[1], abs=0.01)
    assert (found["intersection"] <= found["information"] + 1e-6).all()
    assert (found["intersection"] <= found["choice_information"] + 1e-6).all()


def test_the_null_holds_as_often_as_it_says():
    """Responses and choices that know of each other through the stimulus alone."""
    low = 0
    for draw in range(60):
        rng = np.random.default_rng(100 + draw)
        shown = np.arange(120) % 2
        made = [np.where(rng.random(120) < 0.3, 1 - shown, shown) for _ in range(2)]
        held = {"response": (("presentation", "neuroid"), made[0][:, None].astype(float), {"units": "1"})}
        given = xr.Dataset(held, {"side": ("presentation", shown), "answer": ("presentation", made[1])})
        found = information.intersection(given, "side", "answer", permutations=19, seed=draw)
        low += int(found["p"].values.item() <= 0.1)
    assert low <= 12  # 10 % of 60, and what chance adds in 99 % of cases


def test_the_same_bytes_whatever_the_order_of_blocks_and_a_figure(tmp_path):
    given = recording(200)
    more = xr.concat([given, given.assign_coords(time=[0.2])], "time")
    one = information.intersection(more, "side", "answer", permutations=5)
    two = information.intersection(more.chunk({"time": 1}), "side", "answer", permutations=5)
    xr.testing.assert_identical(one, two.load())
    assert np.allclose(one["intersection"][:, 0], one["intersection"][:, 1])
    information.plot(one).savefig(tmp_path / "intersection.png")


@pytest.mark.parametrize(
    ("numbers", "match"),
    [
        ({"choice": "answr"}, "answr"),
        ({"bins": 1}, "bins: 1"),
        ({"permutations": -1}, "permutations: -1"),
        ({"binning": "odd"}, "binning: 'odd'"),
    ],
)
def test_wrong_arguments_are_named(numbers, match):
    with pytest.raises(ValueError, match=match):
        information.intersection(recording(40), **{"label": "side", "choice": "answer", **numbers})


def test_a_response_that_is_no_number_is_named():
    given = recording(40)
    given["response"][3, 1] = np.nan
    with pytest.raises(ValueError, match="response: presentation 3, neuroid 1 is no number"):
        information.intersection(given, "side", "answer")
