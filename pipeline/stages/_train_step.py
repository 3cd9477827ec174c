"""One step of training: what the network answers, what is wrong with it, and which way is down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from loaders.schema import nearest
from pipeline.tasks import Batch

from . import _train_neural, _train_penalties
from ._train_data import Change, number
from ._train_neural import Neural
from ._train_penalties import Penalty
from ._train_seen import Seen

TRADES = "trades"


class Plan(NamedTuple):
    """What the training lowers, and how."""

    tasks: Mapping[str, Callable[..., Any]]  # one without a name, or several with
    penalties: Mapping[str, Penalty]
    strength: Mapping[str, float]
    adversary: Callable[..., Any] | None
    trades: float
    changes: Sequence[Change]
    clip: float
    seed: int
    neural: Neural | None = None
    learned: Mapping[str, float] = {}  # the factor of every term whose weight is learned
    learned_decay: float = 0.0


class Found(NamedTuple):
    """Terms of a batch, each one number, and the layers' outputs that each of them looked at."""

    terms: dict[str, torch.Tensor]
    taps: dict[str, list[torch.Tensor]]


def furnished(plan: Plan, module: Seen, train: Batch, size: int) -> Plan:
    """The plan with the weights that penalties and terms own, made for the shapes of a first batch."""
    if plan.neural is not None and not (
        plan.neural.tasks or any(one.layers for one in plan.penalties.values())
    ):
        raise ValueError("neural_stimuli: nothing is asked of them; give a task in neural, or a penalty")
    if plan.learned:
        module.owned.weighs(len(plan.learned))
    features: dict[str, torch.Tensor] = {}
    first = train.take(torch.arange(min(size, len(train.x))))
    if plan.neural is not None:
        part = plan.neural.train.batch
        first = part.take(torch.arange(min(plan.neural.batch, len(part.x))))
    device = next(iter(module.net.state_dict().values())).device
    if any(one.build for one in plan.penalties.values()):
        with torch.no_grad():
            module.eval().tapped(first.x.to(device))
        features = dict(module.features)
        module.forget()
    target = None if first.response is None else first.response.to(device)
    made = _train_penalties.grown(plan.penalties, module.owned, features, target, plan.seed)
    module.owned.to(device)
    return plan._replace(penalties=made)


def losses(tasks: Mapping[str, Callable[..., Any]], module: Seen, batch: Batch) -> dict[str, torch.Tensor]:
    """The terms of the tasks, each one number a picture or one in all, before strength."""
    made: dict[str, torch.Tensor] = {}
    for name, task in tasks.items():
        found = task(module, batch)
        if not isinstance(found, Mapping) or not found:
            raise ValueError(f"task: {name or 'it'} gave a {type(found).__name__}; wanted {{term: loss}}")
        for term, value in found.items():
            told = str(term) if not name else name if len(found) == 1 else f"{name} {term}"
            made[told] = _one_each(f"task: term {told!r}", value, len(batch.x))
    return made


def measured(
    tasks: Mapping[str, Callable[..., Any]], module: Seen, batch: Batch, terms: Sequence[str]
) -> dict[str, torch.Tensor]:
    """In evaluation mode: the terms of the tasks and their measures, means over the pictures."""
    made: dict[str, torch.Tensor] = {}
    for name, task in tasks.items():
        for term, value in task(module, batch).items():
            known = [f"{name} {term}", name] if name else [str(term)]
            told = next((word for word in known if word in terms), str(term))
            told = str(term) if told in made else told
            made[told] = _one_each(f"task: term {told!r}", value, len(batch.x)).double().mean()
    return made


def _one_each(where: str, value: Any, count: int) -> torch.Tensor:
    if isinstance(value, torch.Tensor) and value.shape in ((), (count,)):
        return value
    shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
    raise ValueError(f"{where} is {shape} for {count} pictures; wanted one number for each, or one")


def total(plan: Plan, module: Seen, batch: Batch, step: tuple[int, int], turn: int) -> Found:
    """All terms of a batch, each one number, before strength; `turn` counts batches over all epochs."""
    clean = batch
    if plan.adversary is not None:
        batch = batch._replace(x=_worst(plan, module, batch, number(plan.seed, 3, *step)))
        module.forget()
    told = clean if plan.trades else batch
    made = {name: value.mean() for name, value in losses(plan.tasks, module, told).items()}
    taps = dict.fromkeys(made, _tensors(module.features))
    here = {name: one for name, one in plan.penalties.items() if not one.layers or plan.neural is None}
    due = {name: one for name, one in here.items() if one.due(step[0], turn)}
    if any(one.layers for one in due.values()):
        module(told.x)
    for name, one in due.items():
        made[name] = _penalty(name, one, module, told)
        taps[name] = _tensors({layer: module.features[layer] for layer in one.layers})
    if plan.trades:
        calm = _logits(module(told.x))
        made[TRADES] = _divergence(calm, _logits(module(batch.x))).mean()
    module.forget()
    return Found(made, taps)


def neural(plan: Plan, module: Seen, batch: Batch, step: tuple[int, int], turn: int) -> Found:
    """The same of a neural batch: its tasks, and the penalties that look at a layer."""
    assert plan.neural is not None
    due = _looking(plan, step[0], turn)
    with _train_neural.normalised(module.net, plan.neural.statistics):
        if not plan.neural.tasks:
            module.tapped(batch.x)
        made = {name: value.mean() for name, value in losses(plan.neural.tasks, module, batch).items()}
        taps = dict.fromkeys(made, _tensors(module.features))
        for name, one in due.items():
            if name in made:
                raise ValueError(f"penalties: {name!r} is also a term of the neural task; rename one")
            made[name] = _penalty(name, one, module, batch)
            taps[name] = _tensors({layer: module.features[layer] for layer in one.layers})
    module.forget()
    return Found(made, taps)


def places(plan: Plan, epoch: int, turn: int) -> range:
    """The neural batches of a turn, none where nothing is asked of them."""
    asked = plan.neural is not None and (plan.neural.tasks or _looking(plan, epoch, turn))
    return plan.neural.due(turn) if plan.neural is not None and asked else range(0)


def _looking(plan: Plan, epoch: int, turn: int) -> dict[str, Penalty]:
    return {name: one for name, one in plan.penalties.items() if one.layers and one.due(epoch, turn)}


def gathered(
    module: Seen, held: Batch, size: int, whole: bool
) -> tuple[Any, dict[str, torch.Tensor]]:  # fmt: skip
    """Answers (with `whole`) and features of all pictures, `size` at a time, the last ones filled up."""
    answers: list[Any] = []
    features: dict[str, list[torch.Tensor]] = {}
    for start in range(0, len(held.x), size):
        x = held.x[start : start + size]
        full = torch.cat([x, x.new_zeros((size - len(x), *x.shape[1:]))]) if len(x) < size else x
        if whole:
            answers.append(module(full))
        else:
            module.tapped(full)
        for name, value in module.features.items():
            features.setdefault(name, []).append(value)
        module.forget()
    made = {name: torch.cat(parts)[: len(held.x)] for name, parts in features.items()}
    return (_train_neural.gathered(answers, len(held.x)) if whole else None), made


def known(plan: Plan, terms: Sequence[str]) -> None:
    """ValueError when a strength or a learned weight is told of a term that there is not."""
    for told, named in (("strength", plan.strength), ("learned", plan.learned)):
        lost = [name for name in named if name not in terms]
        if lost:
            raise ValueError(f"{told}: there is no term {lost[0]!r}; {nearest(lost[0], terms)}")


def _penalty(name: str, one: Penalty, module: Seen, batch: Batch) -> torch.Tensor:
    lost = [layer for layer in one.layers if layer not in module.features]
    if lost:
        raise ValueError(
            f"penalties: layer {lost[0]!r} is not used when the model sees a picture; name another"
        )
    try:
        value = one.value(module.features, batch.response, module.net)
    except ValueError as error:
        raise ValueError(f"penalties: {name!r}: {error}") from error
    return _one_each(f"penalties: {name!r}", value, len(batch.x)).mean()


def _tensors(features: Mapping[str, Any]) -> list[torch.Tensor]:
    return [one for one in features.values() if isinstance(one, torch.Tensor) and one.requires_grad]


def _worst(plan: Plan, module: Seen, batch: Batch, seed: int) -> torch.Tensor:
    """The pictures that a search makes of a batch, against the network in evaluation mode."""
    assert plan.adversary is not None
    with _still(module):
        calm = _logits(module(batch.x)).detach() if plan.trades else None

        def value(x: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
            module.forget()
            part = batch if rows is None else batch.take(rows)
            if calm is not None:
                return _divergence(calm if rows is None else calm[rows], _logits(module(x)))
            found = losses(plan.tasks, module, part._replace(x=x)).items()
            each = [plan.strength.get(name, 1.0) * loss for name, loss in found if loss.ndim]
            if not each:
                raise ValueError("adversary: no term of the task has one loss a picture; leave it out")
            return torch.stack(each).sum(0)

        found = plan.adversary(value, batch.x, seed=seed)
    if not isinstance(found, torch.Tensor) or found.shape != batch.x.shape:
        raise ValueError("adversary: gave no pictures of the same shape; name a search of pipeline.attacks")
    return found.detach()


@contextmanager
def _still(module: Seen) -> Iterator[None]:
    """Every layer in evaluation mode and every weight at rest; the wrapper goes on as in training, so that
    tasks give losses alone."""
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    module.net.eval()
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
        module.train()


def _logits(answer: Any) -> torch.Tensor:
    found = answer.get("logits") if isinstance(answer, Mapping) else answer
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        raise ValueError("trades: the model gives no logits (n, class); leave trades at 0")
    return found


def _divergence(calm: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of each picture's answers."""
    before, after = functional.log_softmax(calm, 1), functional.log_softmax(moved, 1)
    return (before.exp() * (before - after)).sum(1)


def descend(
    weights: Sequence[torch.Tensor], found: Found, pulled: Mapping[str, torch.Tensor], apart: bool,
    owned: int, alone: bool,
) -> dict[str, float]:  # fmt: skip
    """Adds the gradient of the terms, as they are `pulled`, to what lies where the optimizer looks for it.

    Reads    owned, how many of the weights, the last ones, are no part of the network; alone, whether no
             other batch adds to this step
    Returns  with `apart` the norms of each term's part: "gradient:term" of the network's weights, and
             "layer:term" of the layers' outputs that it looked at
    """
    norms: dict[str, float] = {}
    pulled = {name: value for name, value in pulled.items() if value.requires_grad}
    inner = len(weights) - owned
    if apart and (len(pulled) > 1 or not alone or owned or any(found.taps.values())):
        for name, value in pulled.items():
            taps = found.taps.get(name, [])
            slopes = torch.autograd.grad(value, [*weights, *taps], retain_graph=True, allow_unused=True)
            norms[f"gradient:{name}"] = _norm([one for one in slopes[:inner] if one is not None])
            if taps:
                norms[f"layer:{name}"] = _norm([one for one in slopes[len(weights) :] if one is not None])
            for weight, one in zip(weights, slopes, strict=False):
                if one is not None:
                    weight.grad = one if weight.grad is None else weight.grad + one
    elif pulled:
        torch.stack([*pulled.values()]).sum().backward()
        if apart:
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            norms[f"gradient:{next(iter(pulled))}"] = _norm(gradients)
    return norms


def settled(plan: Plan, weights: Sequence[torch.Tensor]) -> float:
    """The norm of the gradient of all terms, which is clipped."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if not gradients:
        raise ValueError("task: no term depends on a weight that is trained; freeze less, or ask another")
    norm = _norm(gradients)
    if plan.clip and math.isfinite(norm) and norm > plan.clip:
        for gradient in gradients:
            gradient *= plan.clip / norm
    return norm


def _norm(gradients: Sequence[torch.Tensor]) -> float:
    return float(nn.utils.get_total_norm(list(gradients))) if gradients else 0.0
