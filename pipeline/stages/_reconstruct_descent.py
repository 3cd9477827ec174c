"""The picture of a given contrast whose response is nearest to a target's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.attacks._whole import still

GREY = 0.5


def descended(
    front: nn.Module, target: Tensor, first: Tensor, norm: float, steps: int, rate: float, blur: float,
    batch: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Contrast of length `norm` with the nearest response, and how far that is; fixed, filled-up batches."""
    found, away = [], []
    with still(front):
        for start in range(0, len(target), batch):
            count = len(target[start : start + batch])
            part, contrast = (filled(given[start : start + batch], batch) for given in (target, first))
            with torch.no_grad():
                wanted = front(part).flatten(1)
            contrast = _sized(contrast, norm)
            best, least = contrast, torch.full((batch,), float("inf"))
            for step in range(steps + 1):
                leaf = contrast.detach().requires_grad_(True)
                error = (front(GREY + leaf).flatten(1) - wanted).square().sum(1)
                better = error.detach() < least
                best = torch.where(better[:, None, None, None], leaf.detach(), best)
                least = torch.where(better, error.detach(), least)
                (slope,) = torch.autograd.grad(error.sum(), leaf)
                length = rate * norm * 0.5 * (1 + np.cos(np.pi * step / max(steps, 1)))
                contrast = _sized(leaf.detach() - _sized(_blurred(slope, blur), float(length)), norm)
            found.append(GREY + best[:count])
            away.append((least / wanted.square().sum(1).clamp_min(1e-12))[:count])
    return torch.cat(found), torch.cat(away)


def _sized(x: Tensor, norm: float) -> Tensor:
    length = x.flatten(1).norm(dim=1)[:, None, None, None]
    return torch.where(length > 0, x * (norm / torch.where(length > 0, length, 1)), x)


def _blurred(x: Tensor, spread: float) -> Tensor:
    """Each channel through a Gaussian, edges mirrored."""
    if not spread:
        return x
    reach = min(int(np.ceil(3 * spread)), min(x.shape[-2:]) - 1)
    kernel = torch.exp(-torch.arange(-reach, reach + 1, dtype=x.dtype).square() / (2 * spread**2))
    kernel = (kernel / kernel.sum()).repeat(x.shape[1], 1, 1, 1)
    x = functional.conv2d(functional.pad(x, (reach, reach, 0, 0), mode="reflect"), kernel, groups=x.shape[1])
    tall = kernel.transpose(2, 3)
    return functional.conv2d(functional.pad(x, (0, 0, reach, reach), mode="reflect"), tall, groups=x.shape[1])


def filled(x: Tensor, batch: int) -> Tensor:
    """Rows filled up with mid-grey pictures, so that no row depends on how many there are."""
    return torch.cat([x, torch.full((batch - len(x), *x.shape[1:]), GREY, dtype=x.dtype)])
