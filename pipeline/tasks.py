"""What a network is asked: f(module, batch) → {"term": loss}, one loss a picture; `stages.train` lowers them.

In evaluation mode a task sees all pictures of the validation at once, and may return measures as well, which
are written down and not learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from loaders.schema import nearest


class Batch(NamedTuple):
    """Pictures (n, channel, y, x) in [0, 1]; label (n,), a number below `classes`; response (n, neuroid), NaN
    where nothing was recorded; row (n,), their places among the stimuli."""

    x: torch.Tensor
    label: torch.Tensor | None
    response: torch.Tensor | None
    classes: int
    row: torch.Tensor

    def take(self, rows: torch.Tensor) -> Batch:
        """Some of the pictures, with all that belongs to them."""
        label = None if self.label is None else self.label[rows]
        response = None if self.response is None else self.response[rows]
        return Batch(self.x[rows], label, response, self.classes, self.row[rows])


def classify(
    module: nn.Module, batch: Batch, *, output: str = "logits", smoothing: float = 0.0
) -> dict[str, torch.Tensor]:
    """Which class does the picture belong to? Cross-entropy of the softmax.

    Reads    what the module answers, (n, class), or a mapping with that under `output`; label; smoothing, the
             share of a label that is spread over all classes
    Returns  "cross-entropy" (n,) in nats; in evaluation mode also "accuracy" (n,), 1 for a hit. ValueError
             when there are more or fewer answers than classes
    Source   Szegedy et al. 2016, doi 10.1109/CVPR.2016.308 (smoothing)
    >>> batch = Batch(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]), None, 2, torch.arange(2))
    >>> classify(nn.Flatten(), batch._replace(x=torch.eye(2)[:, None, None]))["cross-entropy"]
    tensor([0.3133, 0.3133])
    """
    answer = _answer(module, batch, output)
    if batch.label is None:
        raise ValueError("label: none was given to classify; name a coordinate of the stimuli")
    wanted = (len(batch.x), batch.classes)
    if answer.shape != wanted:
        told = f"answers {tuple(answer.shape)} where {wanted} is asked, for {wanted[1]} classes"
        raise ValueError(f"model: {told}; build it with classes={wanted[1]}")
    loss = functional.cross_entropy(answer, batch.label, reduction="none", label_smoothing=smoothing)
    if module.training:
        return {"cross-entropy": loss}
    return {"cross-entropy": loss, "accuracy": (answer.argmax(1) == batch.label).to(loss.dtype)}


def respond(
    module: nn.Module,
    batch: Batch,
    *,
    loss: Literal["poisson", "squared"] = "poisson",
    output: str = "response",
) -> dict[str, torch.Tensor]:
    """How will each neuroid respond to the picture? What was not recorded (NaN) is not asked for.

    Reads    what the module answers, (n, neuroid), or a mapping with that under `output`; response; loss,
             "poisson" (prediction - response · log prediction, for rates from 0 up) or "squared"
    Returns  the loss (n,), named as it is, whose mean is the mean over all that was recorded; in evaluation
             mode also "correlation", of prediction and response over pictures, mean over neuroids that vary
    Source   Cadena et al. 2019, doi 10.1371/journal.pcbi.1006897 (Poisson loss of predicted responses)
    """
    answer = _answer(module, batch, output)
    target = batch.response
    if target is None:
        raise ValueError("recording: none was given to respond; give the responses to the stimuli")
    if answer.shape != target.shape:
        told = f"answers {tuple(answer.shape)} where {tuple(target.shape)} was recorded"
        raise ValueError(f"model: {told}; build it for {target.shape[1]} neuroids")
    seen = torch.isfinite(target)
    known = torch.where(seen, target, 0)
    if loss == "poisson":
        _check_rates(answer, known)
        each = answer - known * torch.log(answer)
    elif loss == "squared":
        each = (answer - known).square()
    else:
        raise ValueError(f"loss: {loss!r}; {nearest(loss, ('poisson', 'squared'))}")
    losses = torch.where(seen, each, 0).sum(1) * (len(seen) / seen.sum().clamp_min(1))
    if module.training:
        return {loss: losses}
    return {loss: losses, "correlation": _correlation(answer, known, seen)}


def _answer(module: nn.Module, batch: Batch, output: str) -> torch.Tensor:
    answer: Any = module(batch.x)
    if isinstance(answer, Mapping):
        if output not in answer:
            raise ValueError(f"output: the model gives no {output!r}; {nearest(output, list(answer))}")
        answer = answer[output]
    if not isinstance(answer, torch.Tensor):
        raise ValueError(
            f"model: answers with a {type(answer).__name__}; wanted a tensor, or a mapping of them"
        )
    return answer


def _check_rates(answer: torch.Tensor, known: torch.Tensor) -> None:
    low, least = float(known.min()), float(answer.detach().min())
    if low < 0:
        raise ValueError(
            f"recording: has a response of {low:g}; Poisson needs rates from 0 up, or use squared"
        )
    if least <= 0:
        why = "Poisson needs more than 0"
        raise ValueError(f"model: predicts {least:g}; {why}: end it with softplus or ELU + 1, or use squared")


def _correlation(answer: torch.Tensor, known: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Mean over neuroids that vary; a constant prediction counts as 0."""
    count = seen.sum(0).clamp_min(1)
    pair = []
    for part in (answer.double(), known.double()):
        mean = torch.where(seen, part, 0).sum(0) / count
        pair.append(torch.where(seen, part - mean, 0))
    squares = [part.square().sum(0) for part in pair]
    varied = squares[1] > 1e-12 * known.double().square().sum(0)
    both = torch.sqrt(squares[0] * squares[1])
    r = torch.where(both > 0, (pair[0] * pair[1]).sum(0) / both.clamp_min(torch.finfo(both.dtype).tiny), 0)
    return r[varied].mean() if bool(varied.any()) else r.new_tensor(float("nan"))
