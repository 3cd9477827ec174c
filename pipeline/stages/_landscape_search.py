"""Directions among pictures, surfaces along them, searches for the peak and level sets of a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from ._layers import chosen
from ._pictures import normalised

ARMS = (
    "local nearest", "local farthest", "local free", "global nearest", "global farthest", "global free"
)  # fmt: skip
SIGNS = (1.0, -1.0, 0.0)
RATE = 0.1  # of the search for the peak, in each number of z
STEP = 0.1  # the length of a step to a level
PULL = 5.0  # on the distance, beside which the level weighs 1
LOCAL, GLOBAL = 1.0, 1.5  # mean length of starts about the peak; spread of each number of those anywhere
NEAR = 0.1  # of the level, within which the distance counts: samples first go there, then along it
NEWTON = 12
Number = Callable[[torch.Tensor], torch.Tensor]


def axes(about: np.ndarray, directions: str, components: list[int], rng: np.random.Generator) -> np.ndarray:
    """Orthonormal directions (direction, number); signs such that the largest entry is above 0."""
    if directions == "pictures":
        rows = rng.permutation(len(about))[: max(components) + 1][components]
        made = np.linalg.qr(about[rows].T)[0].T
        made *= np.sign((made * about[rows]).sum(axis=1, keepdims=True))
        return np.asarray(made)
    values, left = np.linalg.eigh(about @ about.T)
    if max(components) >= (values > 1e-9 * values[-1]).sum():
        raise ValueError(
            f"components: {max(components)} is beyond what {len(about)} pictures span; give fewer"
        )
    made = (left[:, ::-1][:, components] / np.sqrt(values[::-1][components])).T @ about
    peak = np.abs(made).argmax(axis=1)
    return np.asarray(made * np.sign(made[np.arange(len(made)), peak])[:, None])


def surface(
    directions: np.ndarray, shape: str, size: int, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, v and the place (picture, number) of each picture, less the mean."""
    steps = np.linspace(-90, 90, size) if shape == "sphere" else np.linspace(-1, 1, size)
    u, v = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    if shape == "plane":
        return u, v, reach * (u[:, None] * directions[0] + v[:, None] * directions[1])
    a, b = np.radians(u)[:, None], np.radians(v)[:, None]
    e = directions
    return u, v, reach * (np.cos(a) * np.cos(b) * e[0] + np.sin(a) * np.cos(b) * e[1] + np.sin(b) * e[2])


class Decoder(NamedTuple):
    """z → picture: mean + z·basis, cut to [0, 1]."""

    mean: torch.Tensor
    basis: torch.Tensor
    shape: tuple[int, ...]

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        flat = (self.mean + z @ self.basis).clamp(0, 1)
        return flat.reshape(len(z), *self.shape)

    def distance(self, z: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        gap = (self(z) - self(at[None])).flatten(1)
        return (gap.square().mean(1) + 1e-12).sqrt()


def decoder(stimuli: xr.Dataset, dimensions: int, most: int, seed: int) -> tuple[Decoder, torch.Tensor]:
    """Principal components of pictures, scaled so that z has a spread of 1, and the z of these pictures."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rows = np.sort(rng.permutation(stimuli.sizes["stimulus"])[:most])
    pictures = np.asarray(stimuli["image"].values[rows], float)
    flat = pictures.reshape(len(rows), -1)
    mean = flat.mean(axis=0)
    base = axes(flat - mean, "pca", list(range(dimensions)), rng)
    scores = (flat - mean) @ base.T
    spread = float(scores.std(axis=0).mean())
    numbers = [
        torch.from_numpy(np.ascontiguousarray(part)).float()
        for part in (mean, spread * base, scores / spread)
    ]
    return Decoder(numbers[0], numbers[1], pictures.shape[1:]), numbers[2]


class Units(NamedTuple):
    names: list[int]
    answers: list[Number]


def units(
    module: nn.Module, layer: str, count: int, picture: Decoder, codes: torch.Tensor, mean: Sequence[float],
    std: Sequence[float], seed: int,
) -> Units:  # fmt: skip
    """Numbers of z: some units of a layer, at the centre of its maps."""
    place = chosen(module, [layer])[layer]
    seen: dict[str, torch.Tensor] = {}

    def keep(part: nn.Module, given: Any, output: torch.Tensor) -> None:
        seen["now"] = output

    place.register_forward_hook(keep)

    def all_units(z: torch.Tensor) -> torch.Tensor:
        module(normalised(picture(z), mean, std))
        found = seen.pop("now")
        return found[:, :, found.shape[2] // 2, found.shape[3] // 2] if found.ndim == 4 else found.flatten(1)

    with torch.no_grad():
        many = all_units(codes[:2]).shape[1]
    for weight in module.parameters():
        weight.requires_grad_(False)
    drawn = np.sort(
        np.random.default_rng(np.random.SeedSequence([seed, 7])).permutation(many)[:count]
    ).tolist()
    return Units(drawn, [partial(_column, all_units, k) for k in drawn])


def _column(all_units: Number, place: int, z: torch.Tensor) -> torch.Tensor:
    return all_units(z)[:, place]


def inside(z: torch.Tensor, ball: float) -> torch.Tensor:
    """z, or the point of the ball nearest to it."""
    return z * (ball / z.norm(dim=1, keepdim=True).clamp_min(ball))


def peak(answer: Number, codes: torch.Tensor, ball: float, steps: int) -> tuple[torch.Tensor, float]:
    """The z in the ball where the number is highest: from the eight best pictures upwards."""
    with torch.no_grad():
        first = torch.cat([answer(part) for part in inside(codes, ball).split(64)])
        start = inside(codes, ball)[first.argsort(descending=True)[:8]]
    z = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=RATE)
    best, height = start[0], float(first.max())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimizer.zero_grad()
        found = answer(inside(z, ball))
        now = found.detach()
        top = int(now.argmax())
        if float(now[top]) > height:
            best, height = inside(z, ball)[top].detach().clone(), float(now[top])
        (-found.sum()).backward()
        optimizer.step()
    return best, height


def level_sets(
    answer: Number, distance: Number, best: torch.Tensor, height: float, target: torch.Tensor, ball: float,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Distance from the peak, and answer as a share of it (arm, draw), of samples on their level."""
    far, level = [], []
    for spread, centre in ((LOCAL / len(best) ** 0.5, best), (GLOBAL, torch.zeros_like(best))):
        for sign in SIGNS:
            start = centre + spread * torch.randn(len(target), len(best))
            z = _walked(answer, distance, start, height, target, ball, steps, sign)
            z = _onto(answer, z, height * target, ball)
            with torch.no_grad():
                far.append(distance(z).numpy())
                level.append((answer(z) / height).numpy())
    return np.stack(far), np.stack(level)


def _walked(
    answer: Number, distance: Number, start: torch.Tensor, height: float, target: torch.Tensor, ball: float,
    steps: int, sign: float,
) -> torch.Tensor:  # fmt: skip
    z = inside(start, ball).clone().requires_grad_(True)
    rate = STEP / z.shape[1] ** 0.5
    optimizer = torch.optim.Adam([z], lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - 0.9 * step / steps)
        optimizer.zero_grad()
        point = inside(z, ball)
        found = answer(point) / height
        gap = (found - target).abs()
        loss = PULL * gap + sign * distance(point) * (gap.detach() < NEAR)
        loss.sum().backward()
        optimizer.step()
        silent = (found.detach() <= 0)[:, None]
        if bool(silent.any()):
            with torch.no_grad():
                z += silent * 0.3 * torch.randn_like(z) / z.shape[1] ** 0.5
    return inside(z.detach(), ball)


def _onto(answer: Number, z: torch.Tensor, wanted: torch.Tensor, ball: float) -> torch.Tensor:
    """Newton steps along the gradient, each no longer than a half; a step that does not help is not kept."""
    for _ in range(NEWTON):
        point = z.clone().requires_grad_(True)
        found = answer(point)
        (slope,) = torch.autograd.grad(found.sum(), point)
        gap = (wanted - found.detach())[:, None]
        step = slope * gap / slope.square().sum(1, keepdim=True).clamp_min(1e-20)
        step *= 0.5 / step.norm(dim=1, keepdim=True).clamp_min(0.5)
        moved = inside(z + step, ball)
        with torch.no_grad():
            better = (wanted - answer(moved)).abs() < gap[:, 0].abs()
        z = torch.where(better[:, None], moved, z)
    return z
