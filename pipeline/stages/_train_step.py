"""One step of training: what the network answers, what is wrong with it, and which way is down."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from loaders.schema import nearest
from pipeline.tasks import Batch

from ._layers import chosen
from ._pictures import normalised
from ._train_data import Change, number

TRADES = "trades"


class Plan(NamedTuple):
    """What the training lowers, and how."""

    tasks: Mapping[str, Callable[..., Any]]  # one without a name, or several with
    penalties: Mapping[str, tuple[Callable[..., Any], str]]  # and the layer that each looks at, or ""
    strength: Mapping[str, float]
    adversary: Callable[..., Any] | None
    trades: float
    changes: Sequence[Change]
    clip: float
    seed: int


class Seen(nn.Module):
    """The network as tasks see it: pictures in [0, 1] in, one forward pass for all who ask about the same."""

    def __init__(
        self, net: nn.Module, mean: Sequence[float], std: Sequence[float], layers: Sequence[str],
        frozen: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__()
        self.net, self.mean, self.std = net, tuple(mean), tuple(std)
        self.frozen = [*chosen(net, frozen).values()] if frozen else []
        self.features: dict[str, torch.Tensor] = {}
        self.given: torch.Tensor | None = None
        self.answer: Any = None
        self.layout = torch.contiguous_format
        for name in layers:
            chosen(net, [name])[name].register_forward_hook(functools.partial(self._keep, name))
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Seen:
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, x: torch.Tensor) -> Any:
        if x is self.given:
            return self.answer
        shown = normalised(x, self.mean, self.std).contiguous(memory_format=self.layout)
        try:
            answer = self.net(shown)
        except (RuntimeError, TypeError, IndexError, ValueError) as error:
            why = f"refused pictures of shape {tuple(x.shape)}: {' '.join(str(error).split())[:200]}"
            raise ValueError(f"model: {why}; give size, another batch, or a model for such") from error
        self.given, self.answer = x, answer
        return answer

    def forget(self) -> None:
        self.given = self.answer = None
        self.features.clear()

    def _keep(self, name: str, layer: nn.Module, given: Any, output: Any) -> None:
        self.features[name] = output


def seen(
    net: nn.Module, x: torch.Tensor, mean: Sequence[float], std: Sequence[float], layers: Sequence[str] = (),
    frozen: Sequence[str] = (),
) -> Seen:  # fmt: skip
    """The network with its channels last in memory, where it bears that: it is faster so."""
    made = Seen(net, mean, std, layers, frozen)
    made.eval()
    made.layout = torch.channels_last
    laid(net, made.layout)
    try:
        with torch.no_grad():
            made(x[:1].to(next(iter(net.state_dict().values())).device))
    except ValueError:  # a view across axes, or a mistake that shows again below
        made.layout = torch.contiguous_format
        laid(net, made.layout)
    made.forget()
    return made


def laid(net: nn.Module, layout: torch.memory_format) -> None:
    """Weights of convolutions in that order in memory."""
    move: Any = net.to  # its annotations do not know what it takes
    move(memory_format=layout)


def losses(plan: Plan, module: Seen, batch: Batch) -> dict[str, torch.Tensor]:
    """The terms of the tasks, each one number a picture or one in all, before strength."""
    made: dict[str, torch.Tensor] = {}
    for name, task in plan.tasks.items():
        found = task(module, batch)
        if not isinstance(found, Mapping) or not found:
            raise ValueError(f"task: {name or 'it'} gave a {type(found).__name__}; wanted {{term: loss}}")
        for term, value in found.items():
            told = str(term) if not name else name if len(found) == 1 else f"{name} {term}"
            made[told] = _one_each(f"task: term {told!r}", value, len(batch.x))
    return made


def measured(plan: Plan, module: Seen, batch: Batch, terms: Sequence[str]) -> dict[str, torch.Tensor]:
    """In evaluation mode: the terms of the tasks and their measures, means over the pictures."""
    made: dict[str, torch.Tensor] = {}
    for name, task in plan.tasks.items():
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


def total(plan: Plan, module: Seen, batch: Batch, step: tuple[int, int]) -> dict[str, torch.Tensor]:
    """All terms of a step, each one number, before strength."""
    clean = batch
    if plan.adversary is not None:
        batch = batch._replace(x=_worst(plan, module, batch, number(plan.seed, 3, *step)))
        module.forget()
    told = clean if plan.trades else batch
    made = {name: value.mean() for name, value in losses(plan, module, told).items()}
    if plan.penalties and any(layer for _, layer in plan.penalties.values()):
        module(told.x)
    for name, (penalty, layer) in plan.penalties.items():
        value = penalty(module.features[layer], told.response) if layer else penalty(module.net)
        made[name] = _one_each(f"penalties: {name!r}", value, len(batch.x)).mean()
    if plan.trades:
        calm = _logits(module(told.x))
        made[TRADES] = _divergence(calm, _logits(module(batch.x))).mean()
    module.forget()
    lost = [name for name in plan.strength if name not in made]
    if lost:
        raise ValueError(f"strength: there is no term {lost[0]!r}; {nearest(lost[0], [*made])}")
    return made


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
            found = losses(plan, module, part._replace(x=x)).items()
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
    plan: Plan, weights: Sequence[torch.Tensor], terms: Mapping[str, torch.Tensor], apart: bool
) -> dict[str, float]:
    """Puts the gradient of all terms where the optimizer looks for it.

    Returns  its norm under "", and with `apart` the norm of each term's part
    """
    pulled = {
        name: value * plan.strength.get(name, 1.0) for name, value in terms.items() if value.requires_grad
    }
    norms: dict[str, float] = {}
    if apart and len(pulled) > 1:
        for name, value in pulled.items():
            found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
            norms[name] = _norm([one for one in found if one is not None])
            for weight, one in zip(weights, found, strict=True):
                if one is not None:
                    weight.grad = one if weight.grad is None else weight.grad + one
    elif pulled:
        torch.stack([*pulled.values()]).sum().backward()
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if not gradients:
        raise ValueError("task: no term depends on a weight that is trained; freeze less, or ask another")
    norms[""] = _norm(gradients)
    if apart and len(pulled) == 1:
        norms[next(iter(pulled))] = norms[""]
    if plan.clip and math.isfinite(norms[""]) and norms[""] > plan.clip:
        for gradient in gradients:
            gradient *= plan.clip / norms[""]
    return norms


def _norm(gradients: Sequence[torch.Tensor]) -> float:
    return float(nn.utils.get_total_norm(list(gradients))) if gradients else 0.0
