"""Networks of known robustness: the worst case in closed form, what masks leave alone, and their breaks."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from loaders import schema
from pipeline.attacks import classify, respond
from pipeline.attacks._whole import whole
from pipeline.attacks.pgd import pgd
from pipeline.models import masked

SEEDS = (0, 1, 2)
BROKEN = 8 / 255


def pictures(stimuli):
    return torch.from_numpy(stimuli["image"].values)


def accuracy(module, stimuli, x=None):
    """Share of labels that come out on top, or the mean correlation with the truth."""
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        found = module(pictures(stimuli) if x is None else x).double()
    if "label" in stimuli.coords:
        label = torch.from_numpy(stimuli["label"].values)
        own = found.gather(1, label[:, None])[:, 0]
        return float((own > found.scatter(1, label[:, None], -torch.inf).amax(1)).double().mean())
    truth = stimuli["truth"].values
    return float(np.mean([np.corrcoef(found[:, k], truth[:, k])[0, 1] for k in range(truth.shape[1])]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("task", masked.TASKS)
def test_v25_pgd_reaches_the_worst_case_of_the_linear_predictor(task, norm, seed):
    stimuli = masked.stimuli(count=8, task=task, seed=seed)
    module, x = masked.build(base="linear", task=task, seed=seed).double(), pictures(stimuli).double()
    epsilon = 0.02 if norm == "linf" else 0.3
    if task == "regression":
        known = masked.worst(module, stimuli, epsilon=epsilon, norm=norm, neuroid=1)
        found = respond.drive(module, x, neuroid=1)(
            pgd(respond.drive(module, x, neuroid=1), x, epsilon, norm=norm, steps=100)
        )
        np.testing.assert_allclose(found.numpy(), known, rtol=0, atol=1e-6)
        return
    known = masked.worst(module, stimuli, epsilon=epsilon, norm=norm)
    label = torch.from_numpy(stimuli["label"].values)
    margin = classify.margin(module, x, label=label)
    best = np.full(len(x), -np.inf)
    for step in (1, 2, 3):  # towards each wrong class

        def lead(moved, rows=None, step=step):
            own = label if rows is None else label[rows]
            found, other = module(moved), (own + step) % 4
            return (found.gather(1, other[:, None]) - found.gather(1, own[:, None]))[:, 0]

        best = np.maximum(best, margin(pgd(lead, x, epsilon, norm=norm, steps=100)).numpy())
        assert (best <= known + 1e-9).all()
    np.testing.assert_allclose(best, known, rtol=0, atol=1e-6)


def test_v25_the_worst_case_in_closed_form():
    stimuli = masked.stimuli(count=6, task="regression", seed=3)
    module = masked.build(base="linear", task="regression", seed=3)
    weight, clean = module.head.weight[2].double(), module(pictures(stimuli))[:, 2].numpy()
    for norm, length in (("linf", weight.abs().sum()), ("l2", weight.square().sum().sqrt())):
        found = masked.worst(module, stimuli, epsilon=0.01, norm=norm, neuroid=2)
        np.testing.assert_allclose(found, clean + 0.01 * float(length), rtol=1e-4)
    zero = masked.worst(module, stimuli, epsilon=0.0, neuroid=2)
    np.testing.assert_allclose(zero, clean, rtol=1e-4, atol=1e-5)


def test_v25_a_worst_case_that_leaves_the_range_is_refused():
    stimuli = masked.stimuli(count=4)
    with pytest.raises(ValueError, match=r"epsilon: 0.5 takes pixels out of \[0, 1\]"):
        masked.worst(masked.build(base="linear"), stimuli, epsilon=0.5)
    with pytest.raises(ValueError, match="module: is not linear"):
        masked.worst(masked.build(), stimuli, epsilon=0.01)
    with pytest.raises(ValueError, match="norm: 'l1'"):
        masked.worst(masked.build(base="linear"), stimuli, epsilon=0.01, norm="l1")


@pytest.mark.parametrize("task", masked.TASKS)
@pytest.mark.parametrize("base", ["smooth", "relu"])
@pytest.mark.parametrize("mask", masked.MASKS)
def test_v26_a_mask_leaves_clean_accuracy_within_a_point(mask, base, task):
    _left_alone(mask, base, task, SEEDS[:1])


@pytest.mark.slow
@pytest.mark.parametrize("task", masked.TASKS)
@pytest.mark.parametrize("base", ["smooth", "relu"])
@pytest.mark.parametrize("mask", masked.MASKS)
def test_v26_a_mask_leaves_clean_accuracy_within_a_point_over_many_seeds(mask, base, task):
    _left_alone(mask, base, task, range(10))


def _left_alone(mask, base, task, seeds):
    for seed in seeds:
        stimuli = masked.stimuli(count=400, task=task, seed=seed)
        clean = accuracy(masked.build(base=base, task=task, seed=seed), stimuli)
        found = accuracy(masked.build(base=base, mask=mask, task=task, seed=seed), stimuli)
        assert clean > 0.95
        assert abs(found - clean) <= 0.01 + 1e-9


def attacked(module, stimuli, made_on, draws=1):
    """Accuracy, or the mean move of neuroid 0 in SD, on pictures that were made on another network."""
    x = pictures(stimuli)
    aim = whole(made_on, draws=draws)
    if "label" in stimuli.coords:
        objective = classify.cross_entropy(aim, x, label=torch.from_numpy(stimuli["label"].values))
    else:
        objective = respond.drive(aim, x, neuroid=0)
    found = pgd(objective, x, BROKEN, steps=10)
    if "label" in stimuli.coords:
        return 1 - accuracy(module, stimuli, found)
    with torch.no_grad():
        before, after = module(x)[:, 0], module(found)[:, 0]
    return float(((after - before) / before.std()).mean())


@pytest.mark.parametrize("task", masked.TASKS)
@pytest.mark.parametrize("mask", masked.MASKS)
def test_v26_each_known_break_does_what_the_mask_hid(mask, task):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stimuli = masked.stimuli(count=32, task=task, seed=1)
        module = masked.build(mask=mask, task=task, seed=1)
        draws = 6 if masked.MASKS[mask] == "averaging" else 1
        naive = attacked(module, stimuli, module)
        broken = attacked(module, stimuli, masked.opened(module), draws)
    clean = masked.build(task=task, seed=1)
    reach = attacked(clean, stimuli, clean)
    print(f"{mask} {task}: naive {naive:.3g}, broken {broken:.3g}, without a mask {reach:.3g}")
    assert broken > naive + (-0.05 if mask == "noisy" else 0.02)
    assert broken > 0.6 * reach  # of what the network without a mask loses
    if mask in ("quantised", "threshold", "detached", "shattered"):
        assert naive < 0.2 * broken


@pytest.mark.parametrize("base", masked.BASES)
def test_v26_nothing_is_hidden_in_a_clean_network(base):
    module = masked.build(base=base)
    assert masked.opened(module) is module
    stimuli = masked.stimuli(count=40)
    assert attacked(module, stimuli, module) > 0.6


def test_strength_and_numbers_of_a_mask():
    stimuli = masked.stimuli(count=50, outputs=7, channels=3, size=16, seed=5)
    module = masked.build(mask="noisy", strength=3.0, outputs=7, channels=3, size=16, seed=5)
    assert stimuli["image"].shape == (50, 3, 16, 16)
    assert set(stimuli["label"].values) == set(range(7))
    x = pictures(stimuli)
    assert module(x).shape == (50, 7)
    weak = masked.build(mask="noisy", strength=0.1, outputs=7, channels=3, size=16, seed=5)
    assert (module(x) - module(x)).std() > 5 * (weak(x) - weak(x)).std()


def test_same_numbers_same_bytes_and_pictures_that_were_not_fitted_to():
    first, again = masked.stimuli(count=10, seed=4), masked.stimuli(count=10, seed=4)
    assert first.identical(again)
    one, two = (masked.build(mask="optimised", seed=4)(pictures(first)) for _ in range(2))
    assert torch.equal(one, two)
    assert not masked.stimuli(count=10, seed=5).equals(first)
    fitted, _, _ = masked._drawn(10, 4, "classes", 1, 12, 4, part=1)
    assert not np.isclose(fitted[:, None], first["image"].values).all((2, 3, 4)).any()
    schema.check(first)
    assert first.attrs["origin"] == "simulated"


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"base": "liner"}, "base: 'liner'; did you mean 'linear'"),
        ({"mask": "softmx"}, "mask: 'softmx'; did you mean 'softmax'"),
        ({"task": "class"}, "task: 'class'; did you mean 'classes'"),
        ({"size": 4}, "size: give 8 pixels or more"),
        ({"strength": 0.0}, "strength: 0.0; wanted above 0"),
        ({"outputs": 0}, "outputs: 0; wanted a whole number"),
    ],
)
def test_wrong_numbers_are_named(numbers, why):
    with pytest.raises(ValueError, match=why):
        masked.build(**numbers)


def test_the_generator_leaves_global_randomness_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    functools.partial(masked.build, mask="softmax")()
    masked.stimuli(count=3)
    assert torch.equal(before, torch.get_rng_state())
