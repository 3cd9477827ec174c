"""Epoch after epoch: batches, validation, the best weights so far, and when to stop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from pipeline.models import _seeded, _weights
from pipeline.tasks import Batch

from . import _train_data, _train_keep, _train_step
from ._train_data import DRAWS, number
from ._train_keep import Keep, State
from ._train_step import Plan, Seen

MEASURED = 4  # batches of an epoch in which the gradient of every term is taken apart
RISE = 0.3  # share of the steps of one cycle in which the rate rises
SPEAK = 5.0  # seconds between two lines on a terminal


class Course(NamedTuple):
    """How long, how fast, and what decides."""

    epochs: int
    batch: int
    rate: float
    optimizer: Literal["sgd", "adamw"]
    momentum: float
    weight_decay: float
    schedule: Literal["constant", "cosine", "one-cycle"]
    warmup: float
    monitor: str
    patience: int


def optimizer_of(course: Course, module: Seen) -> torch.optim.Optimizer:
    """The optimizer; weights with one axis (biases, normalisation) do not decay."""
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    if not learning:
        raise ValueError("freeze: leaves no weight to train; name fewer layers")
    groups = [
        {"params": [w for w in learning if w.ndim > 1], "weight_decay": course.weight_decay},
        {"params": [w for w in learning if w.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if course.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=course.rate)
    return torch.optim.SGD(groups, lr=course.rate, momentum=course.momentum)


def rate_at(course: Course, step: int, each: int) -> float:
    """The rate of a step (the first is 0), where an epoch has `each`."""
    steps = course.epochs * each
    rise = course.warmup * each or (RISE * steps if course.schedule == "one-cycle" else 0)
    if step < rise:
        return course.rate * (step + 1) / (rise + 1)
    left = (steps - step) / max(1.0, steps - rise)
    if course.schedule == "cosine":
        return course.rate * 0.5 * (1 - math.cos(math.pi * left))
    return course.rate * (left if course.schedule == "one-cycle" else 1.0)


def trained(plan: Plan, course: Course, module: Seen, train: Batch, held: Batch | None, place: Keep) -> State:
    """Trains the network; its weights are then the best ones.

    ValueError names the epoch, batch and term of the first loss or gradient that is no number.
    """
    optimizer = optimizer_of(course, module)
    state = _train_keep.resumed(place, module.net, optimizer, _train_keep.aloud)
    spoken, device = time.monotonic(), next(iter(module.net.parameters())).device
    held = None if held is None else on(held, device)
    module.train()
    with _seeded.apart(plan.seed):
        while state.epoch < course.epochs and not _patient_no_more(course, state):
            _epoch(plan, course, module, optimizer, train, state, place)
            _close(plan, course, module, state, held, place)
            if place.path is not None:
                place.whole = _train_keep.packed(module.net, optimizer, state)
                if place.due():
                    place.write(place.whole)
            spoken = _say(course, state, spoken)
    if state.best:
        module.net.load_state_dict(state.best)
    module.eval()
    place.remove()
    return state


def _epoch(
    plan: Plan, course: Course, module: Seen, optimizer: torch.optim.Optimizer, train: Batch, state: State,
    place: Keep,
) -> None:  # fmt: skip
    order = _train_data.order(len(train.x), course.batch, plan.seed, state.epoch)
    apart = set(np.linspace(0, len(order) - 1, MEASURED).astype(int).tolist())
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    device = weights[0].device
    for k in range(state.batch, len(order)):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(course, state.epoch * len(order) + k, len(order))
        batch = train.take(torch.from_numpy(order[k]))
        if plan.changes:
            draw = torch.Generator("cpu").manual_seed(number(plan.seed, 4, state.epoch, k))
            for change in plan.changes:
                batch = batch._replace(x=change(batch.x, draw))
        torch.manual_seed(number(plan.seed, DRAWS, state.epoch, k))
        optimizer.zero_grad()
        terms = _train_step.total(plan, module, on(batch, device), (state.epoch, k))
        _add(state.sums, {name: float(value.detach()) for name, value in terms.items()})
        _check(state.sums, "term", state, place)
        norms = _train_step.descend(plan, weights, terms, k in apart)
        _check({"all terms": norms.pop(""), **norms}, "the gradient of", state, place)
        _add(state.norms, norms)
        optimizer.step()
        state.batch = k + 1
        if place.due() and state.batch < len(order):
            place.write(_train_keep.packed(module.net, optimizer, state))


def on(batch: Batch, device: torch.device) -> Batch:
    """The batch where the network is."""
    label = None if batch.label is None else batch.label.to(device)
    response = None if batch.response is None else batch.response.to(device)
    return Batch(batch.x.to(device), label, response, batch.classes, batch.row)


def _add(sums: dict[str, float], found: Mapping[str, float]) -> None:
    for name, value in found.items():
        sums[name] = sums.get(name, 0.0) + value


def _check(found: Mapping[str, float], what: str, state: State, place: Keep, where: str = "") -> None:
    where = where or f"epoch {state.epoch + 1}, batch {state.batch + 1} (the first are 1)"
    for name, value in found.items():
        if not math.isfinite(value):
            why = f"{what} {name!r} is {value} at {where}"
            raise ValueError(f"loss: {why}; lower rate, set clip, or look at the data{place.failed()}")


def _close(plan: Plan, course: Course, module: Seen, state: State, held: Batch | None, place: Keep) -> None:
    """Ends an epoch: its means, the validation, and whether these are the best weights so far."""
    each = max(1, state.batch)
    row = {f"loss:{name}": value / each for name, value in state.sums.items()}
    many = len(set(np.linspace(0, each - 1, MEASURED).astype(int).tolist()))
    row |= {f"gradient:{name}": value / many for name, value in state.norms.items()}
    row["rate"] = rate_at(course, (state.epoch + 1) * each - 1, each)
    try:
        _weights.finite(module.net.state_dict())
    except ValueError as error:
        raise ValueError(f"{error} (epoch {state.epoch + 1}){place.failed()}") from None
    if held is not None:
        found = validated(plan, module, held, course.batch, list(state.sums))
        losses = {name: value for name, value in found.items() if name in state.sums}
        _check(losses, "term", state, place, f"the validation of epoch {state.epoch + 1}")
        row |= {f"validation:{name}": value for name, value in losses.items()}
        row |= {f"measure:{name}": value for name, value in found.items() if name not in losses}
        row["measure:loss"] = sum(plan.strength.get(name, 1.0) * value for name, value in losses.items())
        monitored(course.monitor, row)
    state.history.append(row)
    scores = [score(course.monitor, each) for each in state.history] if held is not None else []
    if scores and scores[-1] > max(scores[:-1], default=(-math.inf, -math.inf)):
        state.best = {path: tensor.detach().clone() for path, tensor in module.net.state_dict().items()}
    state.best_epoch = scores.index(max(scores)) if scores else state.epoch
    state.epoch, state.batch, state.sums, state.norms = state.epoch + 1, 0, {}, {}


def monitored(monitor: str, row: Mapping[str, float]) -> str:
    """The measure that selects; ValueError with those that there are."""
    known = [name.removeprefix("measure:") for name in row if name.startswith("measure:")]
    if monitor and monitor not in known:
        raise ValueError(f"monitor: {monitor!r} is not measured; known are {', '.join(known)}")
    return monitor or next(name for name in ("accuracy", "correlation", "loss") if name in known)


def score(monitor: str, row: Mapping[str, float]) -> tuple[float, float]:
    """How good an epoch was: what is monitored, and among equals the loss."""
    name = monitored(monitor, row)
    found, loss = row[f"measure:{name}"], row["measure:loss"]
    return (-loss, 0.0) if name == "loss" else (found if math.isfinite(found) else -math.inf, -loss)


def _patient_no_more(course: Course, state: State) -> bool:
    return bool(course.patience) and state.epoch - 1 - state.best_epoch >= course.patience


def validated(plan: Plan, module: Seen, held: Batch, size: int, terms: Sequence[str]) -> dict[str, float]:
    """Losses and measures of pictures that nothing is learned from; the network is left in training mode."""
    module.eval()
    with torch.no_grad():
        module.given, module.answer = held.x, answers(module, held, size)
        found = _train_step.measured(plan, module, held, terms)
    module.forget()
    module.train()
    return {name: float(value) for name, value in found.items()}


def answers(module: Seen, held: Batch, size: int) -> Any:
    """What the network answers to all pictures, `size` at a time, the last ones filled up with black."""
    parts = []
    for x in _train_data.blocks(held, size):
        short = size - len(x)
        full = torch.cat([x, x.new_zeros((short, *x.shape[1:]))]) if short else x
        answer = module(full)
        module.forget()
        if isinstance(answer, Mapping):
            parts.append({name: value[: len(x)] for name, value in answer.items()})
        else:
            parts.append(answer[: len(x)])
    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return torch.cat(parts)


def _say(course: Course, state: State, spoken: float) -> float:
    """A line on a terminal now and then; a log stays quiet."""
    if not sys.stderr.isatty() or time.monotonic() - spoken < SPEAK:
        return spoken
    row = state.history[-1]
    told = [f"{name.removeprefix('loss:')} {value:.4g}" for name, value in row.items() if name[:5] == "loss:"]
    told += [f"validation {name[8:]} {value:.4g}" for name, value in row.items() if name[:8] == "measure:"]
    _train_keep.aloud(f"training: epoch {state.epoch} of {course.epochs}: {', '.join(told)}")
    return time.monotonic()
