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

from . import _train_data, _train_keep, _train_penalties, _train_step
from ._train_data import DRAWS, number
from ._train_keep import Keep, State
from ._train_seen import Seen
from ._train_step import Plan

MEASURED = 4  # batches of an epoch, at most, in which the gradient of every term is taken apart
SELDOM = 8  # and at most one in so many, since each term is then a backward pass of its own
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


def optimizer_of(course: Course, module: Seen, decay: float = 0.0) -> torch.optim.Optimizer:
    """The optimizer; weights with one axis (biases, normalisation) do not decay, and learned weights of terms
    by `decay`."""
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    if not learning:
        raise ValueError("freeze: leaves no weight to train; name fewer layers")
    log = module.owned.log_weight
    learning = [weight for weight in learning if weight is not log]
    groups = [
        {"params": [w for w in learning if w.ndim > 1], "weight_decay": course.weight_decay},
        {"params": [w for w in learning if w.ndim <= 1], "weight_decay": 0.0},
        {"params": [] if log is None else [log], "weight_decay": decay},
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
    optimizer = optimizer_of(course, module, plan.learned_decay)
    state = _train_keep.resumed(place, module.whole, optimizer, _train_keep.aloud)
    spoken, device = time.monotonic(), next(iter(module.net.parameters())).device
    held = None if held is None else on(held, device)
    module.train()
    with _seeded.apart(plan.seed):
        while state.epoch < course.epochs and not _patient_no_more(course, state):
            _epoch(plan, course, module, optimizer, train, state, place)
            _close(plan, course, module, state, held, place)
            if place.path is not None:
                place.whole = _train_keep.packed(module.whole, optimizer, state)
                if place.due():
                    place.write(place.whole)
            spoken = _say(course, state, spoken)
    if state.best:
        module.whole.load_state_dict(state.best)
    module.eval()
    place.remove()
    return state


def _epoch(
    plan: Plan, course: Course, module: Seen, optimizer: torch.optim.Optimizer, train: Batch, state: State,
    place: Keep,
) -> None:  # fmt: skip
    order = _train_data.order(len(train.x), course.batch, plan.seed, state.epoch)
    apart = _measured(plan, state.epoch, len(order))
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
        _turn(plan, module, optimizer, weights, on(batch, device), state, place, (len(order), k in apart))
        optimizer.step()
        state.batch = k + 1
        if place.due() and state.batch < len(order):
            place.write(_train_keep.packed(module.whole, optimizer, state))


def _measured(plan: Plan, epoch: int, each: int) -> set[int]:
    """The batches of an epoch in which gradients are taken apart: such as have all terms, where there are."""
    whole = [
        k
        for k in range(each)
        if all(not one.odd or (epoch * each + k) % 2 == 0 for one in plan.penalties.values())
        and (plan.neural is None or len(plan.neural.due(epoch * each + k)))
    ] or [*range(each)]
    count = min(MEASURED, -(-each // SELDOM))
    return {whole[k] for k in np.linspace(0, len(whole) - 1, count).astype(int)}


def _turn(
    plan: Plan, module: Seen, optimizer: torch.optim.Optimizer, weights: Sequence[torch.Tensor], batch: Batch,
    state: State, place: Keep, told: tuple[int, bool],
) -> None:  # fmt: skip
    """The gradient of a batch, and of the neural batches that go with it; the last step is the caller's."""
    each, apart = told
    step, turn = (state.epoch, state.batch), state.epoch * each + state.batch
    found = _train_step.total(plan, module, batch, step, turn)
    task = sum(
        plan.strength.get(name, 1.0) * float(value.detach())
        for name, value in found.terms.items()
        if name not in plan.penalties
    )
    names = [*found.terms]
    due = _train_step.places(plan, state.epoch, turn)
    if not due and turn == 0:
        _train_step.known(plan, names)
    norms = _down(plan, module, weights, found, task, apart, state, place)
    for place_in, k in enumerate(due):
        assert plan.neural is not None
        if plan.neural.each:
            _settle(plan, weights, state, place)
            optimizer.step()
            optimizer.zero_grad()
        torch.manual_seed(number(plan.seed, 6, *step, place_in))
        part = on(plan.neural.drawn(k, plan.seed), batch.x.device)
        found = _train_step.neural(plan, module, part, step, turn)
        if turn == 0 and not place_in:
            _train_step.known(plan, [*names, *found.terms])
        norms |= _down(plan, module, weights, found, task, apart, state, place)
    _settle(plan, weights, state, place)
    _check({name.partition(":")[2]: value for name, value in norms.items()}, "the gradient of", state, place)


def _down(
    plan: Plan, module: Seen, weights: Sequence[torch.Tensor], found: _train_step.Found, task: float,
    apart: bool, state: State, place: Keep,
) -> dict[str, float]:  # fmt: skip
    _add(state.sums, {name: float(value.detach()) for name, value in found.terms.items()})
    _add(state.counts, {f"loss:{name}": 1 for name in found.terms})
    _check(state.sums, "term", state, place)
    pulled = _train_penalties.weighed(
        found.terms, plan.penalties, plan.strength, plan.learned, module.owned, task
    )
    owned = len([weight for weight in module.owned.parameters() if weight.requires_grad])
    norms = _train_step.descend(weights, found, pulled, apart, owned, plan.neural is None)
    _add(state.norms, norms)
    _add(state.counts, dict.fromkeys(norms, 1))
    return norms


def _settle(plan: Plan, weights: Sequence[torch.Tensor], state: State, place: Keep) -> None:
    _check({"all terms": _train_step.settled(plan, weights)}, "the gradient of", state, place)


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
    row = {f"loss:{name}": value / state.counts[f"loss:{name}"] for name, value in state.sums.items()}
    row |= {name: value / state.counts[name] for name, value in state.norms.items()}
    row |= {f"log:{name}": value for name, value in _train_penalties.logs(plan.learned, module.owned).items()}
    row["rate"] = rate_at(course, (state.epoch + 1) * each - 1, each)
    try:
        _weights.finite(module.whole.state_dict())
    except ValueError as error:
        raise ValueError(f"{error} (epoch {state.epoch + 1}){place.failed()}") from None
    if held is not None or (plan.neural is not None and plan.neural.held is not None):
        before = [name.removeprefix("loss:") for name in (state.history or [row])[0] if name[:5] == "loss:"]
        terms = [*dict.fromkeys([*before, *state.sums])]
        found = validated(plan, module, held, course.batch, terms)
        losses = {name: value for name, value in found.items() if name in terms}
        _check(losses, "term", state, place, f"the validation of epoch {state.epoch + 1}")
        row |= {f"validation:{name}": value for name, value in losses.items()}
        row |= {f"measure:{name}": value for name, value in found.items() if name not in losses}
        row["measure:loss"] = _deciding(plan, module, losses)
        if held is not None:
            monitored(course.monitor, row)
    state.history.append(row)
    scores = [score(course.monitor, each) for each in state.history] if held is not None else []
    if scores and scores[-1] > max(scores[:-1], default=(-math.inf, -math.inf)):
        state.best = {path: tensor.detach().clone() for path, tensor in module.whole.state_dict().items()}
    state.best_epoch = scores.index(max(scores)) if scores else state.epoch
    state.epoch, state.batch, state.sums, state.norms, state.counts = state.epoch + 1, 0, {}, {}, {}


def _deciding(plan: Plan, module: Seen, losses: Mapping[str, float]) -> float:
    """What the tasks lose on the validation, as they are weighed by now; penalties decide nothing."""
    log = _train_penalties.logs(plan.learned, module.owned)
    total = 0.0
    for name, value in losses.items():
        if name in log:
            value = plan.learned[name] * math.exp(-log[name]) * value + log[name] / 2
        if name not in plan.penalties:
            total += plan.strength.get(name, 1.0) * value
    return total


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


def validated(
    plan: Plan, module: Seen, held: Batch | None, size: int, terms: Sequence[str]
) -> dict[str, float]:
    """Losses and measures of pictures that nothing is learned from; the network is left in training mode."""
    module.eval()
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        if held is not None:
            module.given, module.answer = held.x, answers(module, held, size)
            found = _train_step.measured(plan.tasks, module, held, terms)
        if plan.neural is not None and plan.neural.held is not None:
            device = next(iter(module.net.parameters())).device
            apart = on(plan.neural.held.batch, device)
            for name, value in _neural(plan, module, apart, terms).items():
                found[f"neural {name}" if name in found else name] = value
    module.forget()
    module.train()
    return {name: float(value) for name, value in found.items()}


def _neural(plan: Plan, module: Seen, held: Batch, terms: Sequence[str]) -> dict[str, torch.Tensor]:
    """Losses and measures of the neural pictures that are held out, of tasks and of penalties of layers."""
    assert plan.neural is not None
    looking = {name: one for name, one in plan.penalties.items() if one.layers}
    answer, features = _train_step.gathered(module, held, plan.neural.batch, bool(plan.neural.tasks))
    made: dict[str, torch.Tensor] = {}
    if plan.neural.tasks:
        module.given, module.answer = held.x, answer
        made = _train_step.measured(plan.neural.tasks, module, held, terms)
    for name, one in looking.items():
        try:
            value = one.value(features, held.response, module.net)
        except ValueError as error:
            raise ValueError(f"penalties: {name!r}, neural pictures held out: {error}") from error
        told = dict(value) if isinstance(value, Mapping) else {"loss": value}
        made[name] = told.pop("loss").double()
        made |= {f"{name} {key}" if key in made else key: part for key, part in told.items()}
    return made


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
