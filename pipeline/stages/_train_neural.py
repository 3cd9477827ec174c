"""A second set of pictures, those that neurons were recorded with: its batches, between the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from loaders.schema import nearest
from pipeline.tasks import Batch

from . import _train_data
from ._train_data import Set, number

KEYS = ("task", "batch", "ratio", "step", "statistics", "validation")
STATISTICS = ("running", "batch", "mixed")


class Neural(NamedTuple):
    """Pictures with responses, what is asked about them, and how their batches take turns."""

    train: Set
    held: Set | None
    tasks: Mapping[str, Callable[..., Any]]
    batch: int
    ratio: Fraction  # neural batches to one of the other kind
    each: bool  # a step after every batch
    statistics: str

    def due(self, turn: int) -> range:
        """The neural batches of a turn, numbered over the whole training; the first turn has one."""
        return range(math.ceil(turn * self.ratio), math.ceil((turn + 1) * self.ratio))

    def drawn(self, place: int, seed: int) -> Batch:
        """A batch of the set, which is gone through again and again, in another order each time."""
        count = len(self.train.names)
        each = count // min(self.batch, count)
        order = _train_data.order(count, self.batch, number(seed, 5), place // each)
        return self.train.batch.take(torch.from_numpy(order[place % each]))


def read(
    stimuli: xr.Dataset, recording: xr.Dataset | None, told: Mapping[str, Any], size: int | None,
    others: tuple[Set, Set | None], batch: int, seed: int,
) -> Neural:  # fmt: skip
    """The second set. What the others hold out of training is held out of it, too."""
    unknown = [key for key in told if key not in KEYS]
    if unknown:
        raise ValueError(f"neural: has {unknown[0]!r}; {nearest(unknown[0], KEYS)}")
    if recording is None:
        raise ValueError("neural_stimuli: without a recording; give the responses to these pictures")
    count = told.get("batch", batch)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"neural: batch {count!r}; wanted a whole number from 1 up")
    ratio = told.get("ratio", 1.0)
    if not isinstance(ratio, int | float) or not 0 < ratio <= 1000:
        raise ValueError(f"neural: ratio {ratio!r}; wanted a number above 0, up to 1000")
    statistics, step = told.get("statistics", "running"), told.get("step", "together")
    for name, value, known in (
        ("statistics", statistics, STATISTICS), ("step", step, ("together", "each"))
    ):  # fmt: skip
        if value not in known:
            raise ValueError(f"neural: {name} {value!r}; known are {', '.join(known)}")
    task = told.get("task") or {}
    tasks = {str(name): part for name, part in task.items()} if isinstance(task, Mapping) else {"": task}
    whole = _train_data.read(stimuli, None, None, size)
    whole = _train_data.responses(recording, [whole], required=True)[0]
    rows, held = _split(whole, others, told.get("validation", 0.1), seed)
    return Neural(
        whole.part(rows), whole.part(held) if held.size else None, tasks, count,
        Fraction(ratio).limit_denominator(1000), step == "each", statistics,
    )  # fmt: skip


def _split(
    whole: Set, others: tuple[Set, Set | None], share: Any, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise ValueError(f"neural: validation {share!r}; wanted a share from 0 to below 1")
    apart = np.zeros(len(whole.names), bool)
    if others[1] is not None:
        apart |= np.isin(whole.content, others[1].content)
    free = np.flatnonzero(~apart & ~np.isin(whole.content, others[0].content))
    if share and free.size:
        try:
            apart[free[_train_data.split(whole.part(free), share, seed)[1]]] = True
        except ValueError as error:
            raise ValueError(f"neural: {error}") from error
    if apart.all():
        raise ValueError("neural_stimuli: are all in the validation; give other pictures")
    return np.flatnonzero(~apart), np.flatnonzero(apart)


@contextmanager
def normalised(net: nn.Module, statistics: str) -> Iterator[None]:
    """What batch normalisation makes of a neural batch: "running", that is the statistics of the other
    pictures, which stay; "batch", its own, and the running ones stay; "mixed", its own, which also count."""
    layers = [
        part
        for part in net.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training and part.track_running_stats
    ]
    for part in layers:
        if statistics == "running":
            part.eval()
        elif statistics == "batch":
            part.track_running_stats = False
    try:
        yield
    finally:
        for part in layers:
            part.track_running_stats = True
            part.train()


def gathered(parts: list[Any], count: int) -> Any:
    """Answers or features of blocks, joined."""
    if isinstance(parts[0], Mapping):
        return {name: torch.cat([part[name] for part in parts])[:count] for name in parts[0]}
    return torch.cat(parts)[:count]
