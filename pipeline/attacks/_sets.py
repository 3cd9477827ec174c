"""The set that a perturbed picture stays in: a ball around the clean picture, within [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch

from loaders.schema import nearest

from ._rows import drawn

NORMS = ("linf", "l2", "l1", "l0")


def known(norm: str) -> str:
    """The norm itself; ValueError with the nearest right name."""
    if norm not in NORMS:
        raise ValueError(f"norm: {norm!r}; {nearest(norm, NORMS)}")
    return norm


def wide(epsilon: float | torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Budgets (image, 1, 1, ...), one for each picture; ValueError where one is negative or no number."""
    budget = torch.as_tensor(epsilon, dtype=x.dtype, device=x.device).expand(len(x))
    bad = torch.nonzero(~(torch.isfinite(budget) & (budget >= 0))).flatten().tolist()
    if bad:
        raise ValueError(f"epsilon: is {float(budget[bad[0]])} at image {bad[0]}; wanted a number from 0 up")
    return budget.reshape(len(x), *(1,) * (x.ndim - 1))


def size(delta: torch.Tensor, norm: str) -> torch.Tensor:
    """The norm of each perturbation (image,); "l0" counts pixels, whatever their planes."""
    flat = delta.flatten(1)
    if norm == "l0":
        return (delta != 0).any(1).flatten(1).sum(1).to(delta.dtype)
    order = {"linf": torch.inf, "l2": 2, "l1": 1}[norm]
    return torch.linalg.vector_norm(flat, order, dim=1) if flat.shape[1] else flat.sum(1)


def project(x: torch.Tensor, origin: torch.Tensor, epsilon: torch.Tensor, norm: str) -> torch.Tensor:
    """The picture moved into the ball around `origin` and into [0, 1], which never leaves the ball again.

    Reads    x, origin (image, channel, y, x); epsilon as `wide` returned it
    Returns  pictures of the same shape; those with epsilon 0 are `origin`, bit for bit
    """
    return inside(origin, epsilon, norm)(x)


def inside(origin: torch.Tensor, epsilon: torch.Tensor, norm: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """`project` for many pictures around the same origin."""
    if norm == "linf":
        low, high = (origin - epsilon).clamp_min_(0), (origin + epsilon).clamp_max_(1)
        return lambda x: torch.clamp(x, low, high)
    change = {"l2": _scaled, "l1": _shrunk, "l0": _largest}[norm]
    return lambda x: change(x - origin, origin, epsilon).add_(origin).clamp_(0, 1)


def sample(
    origin: torch.Tensor, epsilon: torch.Tensor, norm: str, streams: list[torch.Generator]
) -> torch.Tensor:
    """Pictures drawn uniformly from the ball (of "l0": that many pixels, any value), clipped to [0, 1].

    Reads    origin (image, channel, y, x); epsilon as `wide` returned it; a random stream for each picture
    Returns  pictures; each depends on its own stream alone
    """
    if norm == "linf":
        noise = drawn(streams, origin) * 2 - 1
        return project(origin + noise * epsilon, origin, epsilon, norm)
    if norm == "l0":
        place = drawn(streams, origin[:, :1])
        rank = place.flatten(1).argsort(1).argsort(1).reshape(place.shape)
        return torch.where(rank < epsilon, drawn(streams, origin), origin)
    radius = drawn(streams, epsilon) ** (1 / origin[0].numel())
    noise = drawn(streams, origin, normal=True)
    if norm == "l1":
        inner = 1 - drawn(streams, origin)
        noise = noise.sign() * -inner.log()
    length = size(noise, norm).reshape(epsilon.shape)
    return project(origin + noise * (radius * epsilon / length), origin, epsilon, norm)


def eight(x: torch.Tensor, origin: torch.Tensor, epsilon: torch.Tensor, norm: str) -> torch.Tensor:
    """Pictures of 8 bits in the ball around pictures of 8 bits: what a file holds is what was found.

    Every change loses its fraction of a level; then the largest fractions become a level while the budget
    lasts.

    Reads    x in the ball around origin; origin, whose values are multiples of 1/255; epsilon as of `wide`
    Returns  pictures whose values are multiples of 1/255; ValueError where origin's are not
    """
    base = origin.double() * 255
    off = (base - base.round()).abs().flatten(1).amax(1) > 1e-3
    if bool(off.any()):
        bad = int(off.nonzero()[0])
        raise ValueError(
            f"image: number {bad} is not of 8 bits; round the stimuli first, or leave 8 bits out"
        )
    budget = epsilon.double() * 255
    change = x.double() * 255 - base.round()
    low = (change.abs() + 1e-3).floor()
    rest = (change.abs() - low).flatten(1)
    if norm == "linf":
        level = torch.minimum(change.abs().round(), (budget + 1e-3).floor())
    elif norm == "l0":
        level = change.abs().round()
    else:
        flat = low.flatten(1)
        cost = 2 * flat + 1 if norm == "l2" else torch.ones_like(flat)
        spent = flat.square().sum(1) if norm == "l2" else flat.sum(1)
        purse = budget.flatten() ** 2 if norm == "l2" else budget.flatten()
        order = torch.where(rest > 0, rest, -1).argsort(dim=1, descending=True, stable=True)
        paid = (cost.gather(1, order).cumsum(1) <= (purse - spent + 1e-3)[:, None]) & (
            rest.gather(1, order) > 0
        )
        level = (flat + torch.zeros_like(flat).scatter(1, order, paid.to(flat.dtype))).reshape(low.shape)
    whole = ((base.round() + change.sign() * level).clamp(0, 255) / 255).to(x.dtype)
    return torch.where((epsilon > 0) & (whole != (base.round() / 255).to(x.dtype)), whole, origin)


def _shrunk(delta: torch.Tensor, origin: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    """The nearest of L1 norm epsilon at most that stays in [0, 1] (Croce and Hein 2021, arXiv 2103.01208).

    Every coordinate loses the same amount and is cut at its bound. What is left falls with that amount along
    straight lines, whose corners are sorted.
    """
    flat, budget = delta.flatten(1).double(), epsilon.flatten(1).double()
    clean = origin.flatten(1).double()
    height = flat.abs()
    bound = torch.minimum(height, torch.where(flat > 0, 1 - clean, clean))
    corner, order = torch.cat([height, height - bound], 1).sort(dim=1, descending=True)
    moving = torch.where(order < height.shape[1], 1.0, -1.0).to(flat).cumsum(1)
    gap = torch.nn.functional.pad(corner[:, :-1] - corner[:, 1:], (1, 0))
    sum_at = (gap * torch.nn.functional.pad(moving[:, :-1], (1, 0))).cumsum(1)
    over = sum_at > budget
    place = over.to(torch.uint8).argmax(1, keepdim=True)
    lost = corner.gather(1, place) + (sum_at.gather(1, place) - budget) / moving.gather(
        1, (place - 1).clamp_min(0)
    )
    shrunk = torch.where(over.any(1, keepdim=True), torch.minimum((height - lost).clamp_min(0), bound), bound)
    return (flat.sign() * shrunk).to(delta.dtype).reshape(delta.shape)


def _scaled(delta: torch.Tensor, origin: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    length = size(delta, "l2").reshape(epsilon.shape)
    return delta.mul_((epsilon / length.clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max_(1))


def _largest(delta: torch.Tensor, origin: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    """Only the epsilon pixels that change most."""
    change = delta.square().sum(1).flatten(1)
    rank = change.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
    kept = (rank < epsilon.flatten(1)).reshape(len(delta), 1, *delta.shape[2:])
    return delta * kept
