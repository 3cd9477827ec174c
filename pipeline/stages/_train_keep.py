"""A training that was cut off goes on where it was: weights, moments and history in one verified file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from pipeline import _code, _log, _process, parts, store
from pipeline.models import _weights

EVERY = 10.0  # seconds between two files, at least
SHARE = 0.05  # of the time may go into writing them


@dataclass
class State:
    """How far a training has come, beside weights and moments; epochs and batches that are done."""

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)  # of this epoch so far
    norms: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)  # batches that each sum and norm is over
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_epoch: int = -1


@dataclass
class Keep:
    """Where a training is kept; nowhere without a path."""

    path: Path | None
    key: str
    last: float = field(default_factory=time.monotonic)
    cost: float = 0.0
    whole: xr.Dataset | None = None  # after the last whole epoch, which no failure touches

    def due(self) -> bool:
        since = time.monotonic() - self.last
        return self.path is not None and since >= EVERY and since * SHARE >= self.cost

    def write(self, dataset: xr.Dataset) -> None:
        assert self.path is not None
        start = time.monotonic()
        store.write(dataset, self.path, self.key, "training")
        self.last = time.monotonic()
        self.cost = self.last - start

    def failed(self) -> str:
        """Where the weights after the last whole epoch are, for the line that says what went wrong."""
        if self.path is None or self.whole is None:
            return ""
        self.write(self.whole)
        return f"; the weights after epoch {self.whole.attrs['epoch']} are in {self.path}"

    def remove(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path.with_name(self.path.name + ".sha256").unlink(missing_ok=True)


def keep(home: str | Path | None, told: Mapping[str, Any], net: nn.Module, arrays: list[Any]) -> Keep:
    """A place that is named by all that the training depends on."""
    made = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    if home is None:
        return Keep(None, "")
    made.update(f"{_weights.digest(net)} {net}".encode())
    for array in arrays:
        made.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    for module in sorted({"pipeline.stages.train", *_modules(told)}):
        made.update(f"{module} {_code.digest(module, parts.allowed())}".encode())
    key = made.hexdigest()
    _process.sweep(Path(home))  # what a kill within a write left behind
    return Keep(Path(home) / f"training-{key[:16]}.nc", key)


def _modules(told: Any) -> set[str]:
    """The modules of ours and of allowed files whose functions are told of."""
    if isinstance(told, Mapping):
        found = {name for item in told.values() for name in _modules(item)}
        use = told.get("use")
        top = use.split(".")[0] if isinstance(use, str) else ""
        if isinstance(use, str) and top in (*_code.PACKAGES, *parts.allowed()):
            found.add(use.rpartition(".")[0])
        return found
    return {name for item in told for name in _modules(item)} if isinstance(told, list) else set()


def packed(net: nn.Module, optimizer: torch.optim.Optimizer, state: State) -> xr.Dataset:
    """All of a training as a Dataset; its weights are named as ever, and may be used as such."""
    made: dict[str, Any] = {}
    for path, tensor in net.state_dict().items():
        _add(made, "", path, tensor)
        if state.best:
            _add(made, "best:", path, state.best[path])
    for path, weight in net.named_parameters():
        for slot, value in optimizer.state.get(weight, {}).items():
            if isinstance(value, torch.Tensor):
                _add(made, f"{slot}:", path, value, own=value.shape != weight.shape)
    attrs = {
        "epoch": state.epoch, "batch": state.batch, "best_epoch": state.best_epoch,
        "sums": json.dumps(state.sums), "norms": json.dumps(state.norms),
        "counts": json.dumps(state.counts), "history": json.dumps(state.history),
    }  # fmt: skip
    return xr.Dataset(made, attrs=attrs)


def _add(made: dict[str, Any], kind: str, path: str, tensor: torch.Tensor, own: bool = False) -> None:
    values = np.atleast_1d(tensor.detach().cpu().numpy()).copy()
    stem = kind + path if own else path
    made[kind + path] = ([f"{stem}.{k}" for k in range(values.ndim)], values, {"units": "1"})


def resumed(
    place: Keep, net: nn.Module, optimizer: torch.optim.Optimizer, say: Callable[[str], None]
) -> State:
    """What the file in its place holds, put back; a fresh start where there is none that can be trusted."""
    if place.path is None:
        return State()
    try:
        known = store.status(place.path, place.key)
        if known == "missing":
            return State()
        if known != "done":
            raise ValueError("is damaged" if known == "damaged" else "belongs to another training")
        found = store.read(place.path).load()
        state = _restored(found, net, optimizer)
    except (ValueError, OSError, KeyError, AttributeError) as error:
        say(f"{place.path}: {error}; it is not used, and the training starts anew")
        return State()
    if not state.batch:
        place.whole = found
    return state


def _restored(found: xr.Dataset, net: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    current = net.state_dict()

    def taken(kind: str, path: str, like: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(found[kind + path].values.reshape(tuple(like.shape))).to(like.device)

    weights = {path: taken("", path, tensor) for path, tensor in current.items()}
    best = {path: taken("best:", path, tensor) for path, tensor in current.items() if f"best:{path}" in found}
    moments: dict[Any, dict[str, torch.Tensor]] = {}
    for name in map(str, found.data_vars):
        slot, colon, path = name.partition(":")
        if not colon or slot == "best":
            continue
        weight = net.get_parameter(path)
        scalar = f"{name}.0" in found[name].dims
        value = torch.from_numpy(found[name].values.reshape(() if scalar else tuple(weight.shape)))
        moments.setdefault(weight, {})[slot] = value.to(weight.device) if not scalar else value
    net.load_state_dict(weights)
    for weight, slots in moments.items():
        laid = {slot: value.contiguous(memory_format=_layout(weight)) if value.ndim == 4 else value
                for slot, value in slots.items()}  # fmt: skip
        optimizer.state[weight].update(laid)
    attrs = found.attrs
    return State(
        int(attrs["epoch"]), int(attrs["batch"]), json.loads(attrs["sums"]), json.loads(attrs["norms"]),
        json.loads(attrs["counts"]), json.loads(attrs["history"]), best, int(attrs["best_epoch"]),
    )  # fmt: skip


def _layout(weight: torch.Tensor) -> torch.memory_format:
    last = weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def aloud(text: str) -> None:
    """A line on stderr, whether or not somebody reads it."""
    with suppress(_log.Closed):
        _log.stderr(text)
