"""Other budgets than the length of a perturbation: equal size a pixel, coarse patterns only, what eyes see.

A picture of 32 pixels a side is taken to span 8 degrees, as Guo et al. 2022 showed theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from loaders.schema import nearest
from pipeline.attacks._rows import Objective, judged, sides

from . import _sensitivity_push as push

KINDS = ("linf", "low-pass", "contrast sensitivity")
DEGREES = 8.0
COARSE = 0.25  # of the highest frequency along an axis, kept by "low-pass"
FAINT = 0.05  # of the best frequency's sensitivity: no frequency counts less


class Filtered(NamedTuple):
    """An objective of pictures whose perturbation is filtered first."""

    objective: Objective
    origin: Tensor
    gain: Tensor

    def seen(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        origin = self.origin if rows is None else self.origin[rows]
        spectrum = torch.fft.rfft2(x - origin) * self.gain
        return (origin + torch.fft.irfft2(spectrum, s=x.shape[-2:])).clamp(0, 1)

    def __call__(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        return self.objective(self.seen(x, rows), rows)

    def judged(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return judged(self.objective, self.seen(x, rows), rows)

    @property
    def sides(self) -> tuple[Objective, ...]:
        found = sides(self.objective)
        return tuple(self._replace(objective=side) for side in found) if len(found) > 1 else ()


def displaced(module: nn.Module, x: Tensor, neuroids: int, kind: str, told: push.How) -> Tensor:
    """As `push.displaced` with another budget of the same numbers.

    "linf": epsilon / sqrt(values of a picture), so that every value may move as much as it does on average.
    "low-pass": only frequencies below a quarter of the highest. "contrast sensitivity": the length of the
    perturbation weighted by how well people see each frequency, of mean square 1; clipped to [0, 1].

    Source   Mannos and Sakrison 1974, doi 10.1109/TIT.1974.1055250 (contrast sensitivity)
    """
    if kind not in KINDS:
        raise ValueError(f"budgets: {kind!r}; {nearest(kind, KINDS)}")
    if kind == "linf":
        sizes = tuple(size / x[0].numel() ** 0.5 for size in told.epsilons)
        return push.displaced(module, x, neuroids, told._replace(epsilons=sizes, norm="linf"))
    if told.norm != "l2":
        raise ValueError(
            f"budgets: {kind!r} filters a perturbation of norm l2, not {told.norm}; leave it out"
        )
    gain = _gain(kind, *x.shape[-2:]).to(x)
    return push.displaced(module, x, neuroids, told, lambda objective, some: Filtered(objective, some, gain))


def _gain(kind: str, height: int, width: int) -> Tensor:
    """What each frequency of a perturbation is multiplied by (y, x // 2 + 1)."""
    y, x = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    if kind == "low-pass":
        return ((y.abs() <= COARSE / 2) & (x <= COARSE / 2)).float()
    cycles = torch.sqrt((y * height) ** 2 + (x * width) ** 2) / DEGREES
    seen = 2.6 * (0.0192 + 0.114 * cycles) * torch.exp(-((0.114 * cycles) ** 1.1))
    seen = seen.clamp_min(FAINT * float(seen.max()))
    mirrored = torch.full((width // 2 + 1,), 2.0)
    mirrored[0] = 1.0
    if width % 2 == 0:
        mirrored[-1] = 1.0
    return (seen.square() * mirrored).sum().div(height * width).sqrt() / seen
