"""Which layers of a network are meant, what they gave, and their random projection."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import nn

from loaders.schema import nearest


def chosen(module: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Layers by name or pattern, in the order of the patterns, each once; "output" is what the model returns.

    >>> list(chosen(nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU())), ["1.*", "0", "output"]))
    ['1.0', '0', 'output']
    """
    known = {name: part for name, part in module.named_modules() if name}
    if isinstance(patterns, str) or not patterns:
        raise ValueError(f"layers: {patterns!r}; wanted a list of names or patterns")
    found: dict[str, nn.Module] = {}
    for pattern in patterns:
        if pattern in known:
            found[pattern] = known[pattern]
            continue
        names = [name for name in known if _matches(name, pattern)]
        found |= {name: known[name] for name in names}
        if not names and pattern in ("output", "*"):  # a model that is one layer has no blocks
            found["output"] = module
        elif not names:
            raise ValueError(
                f"layers: the model has no layer {pattern!r}; {nearest(pattern, [*known, 'output'])}"
            )
    return found


def _matches(name: str, pattern: str) -> bool:
    words, wanted = name.split("."), pattern.split(".")
    return len(words) == len(wanted) and all(map(fnmatchcase, words, wanted))


def rows(seen: Mapping[str, list[Any]], batch: int, time_axis: int | None) -> dict[str, torch.Tensor]:
    """Each layer's output as (image, time, *unit); ValueError for one that has no row an image."""
    made = {}
    for name, outputs in seen.items():
        if not outputs:
            raise ValueError(f"layers: {name!r} is not used when the model sees a picture; name another")
        tensors = [_tensor(name, output, batch) for output in outputs]
        if len({tensor.shape for tensor in tensors}) > 1:
            shapes = " and ".join(str(tuple(t.shape[1:])) for t in tensors[:2])
            why = f"the calls of layer {name!r} gave shapes {shapes}; they are no steps of one layer"
            raise ValueError(f"time_step_s: {why}, so record it without")
        if time_axis is None:
            made[name] = torch.stack(tensors, 1) if len(tensors) > 1 else tensors[0][:, None]
        elif tensors[-1].ndim <= time_axis or len(tensors) > 1:
            raise ValueError(f"time_axis: {time_axis}; layer {name!r} gave {len(tensors)} outputs of "
                             f"{tensors[-1].ndim} axes; wanted one, with that axis")  # fmt: skip
        else:
            made[name] = tensors[-1].movedim(time_axis, 1)
    times = {name: tensor.shape[1] for name, tensor in made.items()}
    if len(set(times.values())) > 1:
        (first, few), (other, many) = min(times.items(), key=_second), max(times.items(), key=_second)
        raise ValueError(f"layers: {first!r} has {few} times and {other!r} has {many}; record them apart")
    return made


def _second(pair: tuple[str, int]) -> int:
    return pair[1]


def _tensor(name: str, output: Any, batch: int) -> torch.Tensor:
    """A layer's first output: some give several, or a state beside it."""
    while isinstance(output, tuple | list | Mapping) and len(output):
        output = next(iter(output.values())) if isinstance(output, Mapping) else output[0]
    if not isinstance(output, torch.Tensor) or output.ndim < 1 or len(output) != batch:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(f"layers: {name!r} gave {shape} for {batch} pictures; wanted one row a picture")
    return output[:, None].float() if output.ndim == 1 else output.float()


def projections(wide: Mapping[str, int], project: int, seed: int) -> dict[str, Any]:
    """Sparse random signs (dimension, unit) for every layer that is wider than `project`.

    A share 1 / √units of the entries is not 0, so that squared distances are kept in the mean. A layer's
    matrix depends on `seed`, its name and its size alone.
    """
    import scipy.sparse

    made = {}
    for name, units in wide.items():
        if not 0 < project < units:
            continue
        word = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        rng = np.random.default_rng(np.random.SeedSequence([seed, word, project]))
        share = 1 / np.sqrt(units)
        counts = rng.binomial(units, share, project)
        columns = [np.sort(rng.choice(units, count, replace=False)) for count in counts]
        signs = rng.integers(0, 2, counts.sum()) * 2.0 - 1
        values = (signs / np.sqrt(share * project)).astype(np.float32)
        ends = np.concatenate([[0], np.cumsum(counts)])
        made[name] = scipy.sparse.csr_matrix((values, np.concatenate(columns), ends), (project, units))
    return made
