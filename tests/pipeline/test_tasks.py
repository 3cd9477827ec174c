"""What a network is asked, against NumPy; what has the wrong shape or scale is refused with the shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pipeline import tasks
from pipeline.tasks import Batch


class Says(nn.Module):
    """Answers the same whatever it sees."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer


def batch(count=6, classes=4, neuroids=3, seed=0):
    rng = np.random.default_rng(seed)
    response = rng.gamma(2.0, 1.0, (count, neuroids)).astype(np.float32)
    label = torch.from_numpy(rng.integers(0, classes, count))
    return Batch(torch.zeros(count, 1, 2, 2), label, torch.from_numpy(response), classes, torch.arange(count))


def answer(*shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).gamma(2.0, 1.0, shape).astype(np.float32))


def test_cross_entropy_is_the_one_of_numpy():
    given, logits = batch(), answer(6, 4)
    plain = logits.numpy().astype(float)
    wanted = np.log(np.exp(plain).sum(1)) - plain[np.arange(6), given.label]
    found = tasks.classify(Says(logits), given)
    assert list(found) == ["cross-entropy"]
    assert np.allclose(found["cross-entropy"], wanted, rtol=1e-5)
    spread = 0.9 * wanted + 0.1 * (np.log(np.exp(plain).sum(1)) - plain.mean(1))
    smooth = tasks.classify(Says(logits), given, smoothing=0.1)["cross-entropy"]
    assert np.allclose(smooth, spread, rtol=1e-5)


def test_accuracy_is_told_in_evaluation_alone():
    given, logits = batch(), answer(6, 4)
    found = tasks.classify(Says(logits).eval(), given)
    assert list(found) == ["cross-entropy", "accuracy"]
    assert np.array_equal(found["accuracy"].numpy() == 1, logits.argmax(1).numpy() == given.label.numpy())


@pytest.mark.parametrize("loss", ["poisson", "squared"])
def test_losses_of_responses_leave_out_what_was_not_recorded(loss):
    given, rate = batch(), answer(6, 3)
    target = given.response.clone()
    target[0, 1] = target[3, :] = torch.nan
    p, r = rate.numpy().astype(float), target.numpy().astype(float)
    each = p - r * np.log(p) if loss == "poisson" else (p - r) ** 2
    found = tasks.respond(Says(rate), given._replace(response=target), loss=loss)
    assert list(found) == [loss]
    assert found[loss].shape == (6,)
    assert found[loss][3] == 0
    assert np.isclose(found[loss].mean(), np.nanmean(each), rtol=1e-5)


def test_no_gradient_comes_from_what_was_not_recorded():
    given, rate = batch(), answer(6, 3).requires_grad_()
    target = given.response.clone()
    target[2] = torch.nan
    tasks.respond(Says(rate), given._replace(response=target))["poisson"].mean().backward()
    assert torch.isfinite(rate.grad).all()
    assert not rate.grad[2].any()
    assert rate.grad[[0, 1, 3, 4, 5]].all()


def test_a_batch_without_any_response_has_no_loss():
    given = batch()._replace(response=torch.full((6, 3), torch.nan))
    assert not tasks.respond(Says(answer(6, 3)), given)["poisson"].any()


def test_poisson_loss_is_least_at_the_response():
    given = batch()
    losses = [float(tasks.respond(Says(given.response * by), given)["poisson"].sum()) for by in (0.9, 1, 1.1)]
    assert losses[1] == min(losses)


def test_correlation_is_the_mean_over_neuroids_that_vary():
    given, rate = batch(count=20), answer(20, 3)
    target = given.response.clone()
    target[:, 2] = 1.5  # never varies: does not count
    target[4, 0] = torch.nan
    found = tasks.respond(Says(rate).eval(), given._replace(response=target))["correlation"]
    kept = np.delete(np.arange(20), 4)
    wanted = [
        np.corrcoef(rate[kept, 0], target[kept, 0])[0, 1], np.corrcoef(rate[:, 1], target[:, 1])[0, 1],
    ]  # fmt: skip
    assert np.isclose(found, np.mean(wanted), rtol=1e-6)
    flat = rate.clone()
    flat[:, 1] = 2.0
    alone = tasks.respond(Says(flat).eval(), given._replace(response=target))["correlation"]
    assert np.isclose(alone, wanted[0] / 2, rtol=1e-6)


def test_two_outputs_are_told_apart_by_name():
    given = batch()
    both = Says({"logits": answer(6, 4), "response": answer(6, 3)})
    alone = tasks.classify(Says(answer(6, 4)), given)["cross-entropy"]
    assert torch.equal(tasks.classify(both, given)["cross-entropy"], alone)
    assert torch.equal(
        tasks.respond(both, given)["poisson"], tasks.respond(Says(answer(6, 3)), given)["poisson"]
    )
    with pytest.raises(ValueError, match=r"^output: the model gives no 'logit'; did you mean 'logits'\?$"):
        tasks.classify(both, given, output="logit")


def test_a_part_of_a_batch_takes_all_that_belongs_to_it():
    given = batch()
    part = given.take(torch.tensor([4, 1]))
    assert part.row.tolist() == [4, 1]
    assert torch.equal(part.label, given.label[[4, 1]])
    assert torch.equal(part.response, given.response[[4, 1]])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (6, 3),
            r"^model: answers \(6, 3\) where \(6, 4\) is asked, for 4 classes; build it with classes=4$",
        ),
        ((6, 10), r"^model: answers \(6, 10\) where \(6, 4\)"),
        ((6,), r"^model: answers \(6,\) where \(6, 4\)"),
        ((6, 4, 1, 1), r"^model: answers \(6, 4, 1, 1\) where"),
        ((5, 4), r"^model: answers \(5, 4\) where"),
    ],
)
def test_f70_a_wrong_number_of_classes_is_refused_with_the_shapes(shape, message):
    with pytest.raises(ValueError, match=message):
        tasks.classify(Says(answer(*shape)), batch())


@pytest.mark.parametrize("shape", [(6, 4), (6,), (6, 3, 1), (1, 3)])
def test_f77_responses_of_another_rank_are_refused_with_the_shapes(shape):
    with pytest.raises(
        ValueError, match=r"^model: answers \(.*\) where \(6, 3\) was recorded; build it for 3"
    ):
        tasks.respond(Says(answer(*shape)), batch())


def test_f77_what_poisson_cannot_take_is_refused():
    given = batch()
    below = given._replace(response=given.response - 5)
    with pytest.raises(ValueError, match=r"^recording: has a response of -4\..*; Poisson needs rates from 0"):
        tasks.respond(Says(answer(6, 3)), below)
    with pytest.raises(
        ValueError, match=r"^model: predicts -.*; Poisson needs more than 0: end it with softplus"
    ):
        tasks.respond(Says(-answer(6, 3)), given)
    assert tasks.respond(Says(answer(6, 3)), below, loss="squared")


def test_what_was_not_given_is_asked_for():
    given = batch()
    with pytest.raises(ValueError, match=r"^label: none was given to classify"):
        tasks.classify(Says(answer(6, 4)), given._replace(label=None))
    with pytest.raises(ValueError, match=r"^recording: none was given to respond"):
        tasks.respond(Says(answer(6, 3)), given._replace(response=None))
    with pytest.raises(ValueError, match=r"^loss: 'poison'; did you mean 'poisson'\?$"):
        tasks.respond(Says(answer(6, 3)), given, loss="poison")
    with pytest.raises(ValueError, match=r"^model: answers with a tuple; wanted a tensor"):
        tasks.classify(Says((answer(6, 4),)), given)
