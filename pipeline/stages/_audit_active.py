"""An active test: adversarial pictures are planted, and the attack has to find them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.attacks import _sets
from pipeline.attacks._rows import Value, look, streams
from pipeline.attacks._whole import Whole

OTHERS = 32  # pictures that a planted one is told from, half inside the ball and half on its edge
DEPTH = 0.5  # of the budget, that those inside reach
NEED = 0.75  # of the way to the planted one, that counts as found


def planted(
    module: nn.Module, x: Tensor, epsilon: float, norm: str, search: Callable[..., Tensor], seed: int
) -> tuple[float, str]:
    """The share of pictures for which the search finds an adversarial one that is known to be there.

    For each picture a linear readout of the network's last features tells one picture on the edge of the ball
    from others on the edge and inside. It lies across a line that only the planted picture is known to cross.

    Reads    module, x; search, called with an objective, x and epsilon
    Returns  the share of those where the planted picture can be told; and words with the share that as many
             random pictures on the edge find
    Source   Zimmermann et al. 2022, arXiv 2206.13991
    """
    budget = _sets.wide(epsilon, x)
    edge, random = (_edge(x, budget, norm, streams(x, seed, word)) for word in (2, 3))
    with _Features(module) as features:
        weight, level, sound = _readouts(features, x, budget, norm, edge, seed)
        if not bool(sound.any()):
            return float("nan"), "no planted picture can be told by the last features"
        x, edge, random, weight, level = (part[sound] for part in (x, edge, random, weight, level))

        def number(found: Tensor, rows: Tensor) -> Tensor:
            return (found * weight[rows]).sum(1) - level[rows]

        objective = Value(features, number, lambda found, rows: number(found, rows) > 0)
        hit = look(objective, search(objective, x, epsilon))[1]
        luck = look(objective, random)[1]
    share, chance = float(hit.double().mean()), float(luck.double().mean())
    return share, f"{len(x)} planted, a random one finds {chance:.2g}"


def _edge(x: Tensor, budget: Tensor, norm: str, ways: list[torch.Generator]) -> Tensor:
    """One random picture on the edge of the ball for each."""
    noise = torch.stack([torch.randn(x.shape[1:], generator=way) for way in ways]).to(x)
    noise = noise.sign() if norm == "linf" else noise
    length = _sets.size(noise, norm).reshape(budget.shape)
    return _sets.project(x + noise * budget / length, x, budget, norm)


def _readouts(
    features: nn.Module, x: Tensor, budget: Tensor, norm: str, edge: Tensor, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (image, feature) and levels (image,) of the readouts, and where they tell what they should."""
    ways = streams(x, seed, 4)
    with torch.no_grad():
        others = [_sets.sample(x, budget * DEPTH, norm, ways) for _ in range(OTHERS // 2)]
        others += [_edge(x, budget, norm, ways) for _ in range(OTHERS // 2)]
        inner = torch.stack([features(other) for other in others], 1)
        there, here = features(edge), features(x)
    inner = torch.cat([inner, here[:, None]], 1).double()
    centre = inner.mean(1)
    away, apart = inner - centre[:, None], there.double() - centre
    gram = away @ away.mT
    ridge = 1e-3 * gram.diagonal(dim1=1, dim2=2).mean(1) + 1e-30
    gram = gram + ridge[:, None, None] * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    seen = (away @ apart[..., None])[..., 0]
    weight = (apart - (away.mT @ torch.linalg.solve(gram, seen)[..., None])[..., 0]) / ridge[:, None]
    weight = weight / weight.norm(dim=1, keepdim=True).clamp_min(1e-300)
    most, planted_at = (inner @ weight[..., None])[..., 0].amax(1), (there.double() * weight).sum(1)
    level = most + NEED * (planted_at - most)
    gap = (planted_at - most) / inner.std(dim=(1, 2)).clamp_min(1e-300)
    return weight.to(x), level.to(x), (gap > 1e-5) & torch.isfinite(level)


class _Features(nn.Module):
    """What the last linear layer is given, or the outputs where there is none."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.copy(module)  # the same layers
        if isinstance(self.module, Whole):
            self.module.batch = 0  # one pass for all, so that each row's features are seen
        self.seen: list[tuple[nn.Module, Tensor]] = []
        self.hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> _Features:
        for part in self.module.modules():
            if isinstance(part, nn.Linear):
                self.hooks.append(
                    part.register_forward_pre_hook(lambda m, given: self.seen.append((m, given[0])))
                )
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self.hooks:
            hook.remove()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.clear()
        found: Tensor = self.module(x)
        kept = self.seen[-1][1] if self.seen else found
        self.seen.clear()
        return (kept if len(kept) == len(x) else found).flatten(1)
