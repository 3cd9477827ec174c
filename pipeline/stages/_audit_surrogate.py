"""A surrogate: a small network that learns what the audited one answers, whose gradient is not hidden."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.models._seeded import apart, initialised


def distilled(
    module: nn.Module, x: Tensor, *, epsilon: float, classes: bool, steps: int, seed: int
) -> nn.Module:
    """A network fitted to what the module answers; no gradient of the module is taken.

    Half of the queries are mixtures of two pictures, all have noise of up to twice epsilon on each pixel; in
    the second half of the steps the surrogate's own attacks are asked about as well.

    Reads    module, x; epsilon, on a pixel; steps of 64 queries each
    Returns  a module of the same outputs, up to a scale and an offset of each
    Source   Papernot et al. 2017, doi 10.1145/3052973.3053009
    """
    with torch.no_grad():
        known = module(x)
    shift, scale = known.mean(0), known.std(0).clamp_min(1e-6)
    with apart(seed), torch.enable_grad():
        made = initialised(_small(x.shape[1], min(x.shape[-2:]), known.shape[1]), seed).to(x.device)
        made(x[:2])
        rate = torch.optim.lr_scheduler.OneCycleLR
        optimiser = torch.optim.AdamW(made.parameters(), 3e-3, weight_decay=1e-4)
        schedule = rate(optimiser, 1e-2, total_steps=steps)
        for step in range(steps):
            asked = _queries(x, epsilon)
            if step > steps // 2 and step % 2:
                asked = _pushed(made, asked, epsilon)
            with torch.no_grad():
                answer = module(asked)
            given = made(asked)
            if classes:
                loss = nn.functional.cross_entropy(given, answer.argmax(1))
            else:
                loss = (given - (answer - shift) / scale).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return (
        made.eval().requires_grad_(False)
        if classes
        else _Scaled(made.eval().requires_grad_(False), shift, scale)
    )


class _Scaled(nn.Module):
    """Outputs in the units of the network that was asked."""

    def __init__(self, module: nn.Module, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.module, self.shift, self.scale = module, shift, scale

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.module(x) * self.scale + self.shift
        return found


def _small(channels: int, size: int, count: int) -> nn.Sequential:
    pool = max(size // 12, 1)
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2), nn.GELU(), nn.AvgPool2d(pool),
        nn.Conv2d(16, 32, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(6),
        nn.Flatten(), nn.Linear(32 * 36, count),
    )  # fmt: skip


def _queries(x: Tensor, epsilon: float, count: int = 64) -> Tensor:
    first, second = (x[torch.randint(len(x), (count,))] for _ in range(2))
    share = torch.rand(count, *(1,) * (x.ndim - 1)).to(x)
    share = torch.where(torch.rand_like(share) < 0.5, share, 0)
    noise = (torch.rand(first.shape).to(x) * 2 - 1) * 2 * epsilon * torch.rand_like(share)
    return (first + share * (second - first) + noise).clamp(0, 1)


def _pushed(made: nn.Module, asked: Tensor, epsilon: float) -> Tensor:
    """Queries moved along the surrogate's own gradient, towards or away from what it says."""
    leaf = asked.detach().requires_grad_()
    found = made(leaf)
    sign = torch.where(torch.rand(len(found)).to(found) < 0.5, 1.0, -1.0)
    told = (
        sign * found.gather(1, torch.randint(found.shape[1], (len(found), 1)).to(found.device))[:, 0]
    ).sum()
    slope = torch.autograd.grad(told, leaf)[0]
    return (asked + epsilon * slope.sign()).clamp(0, 1).detach()
