"""Blocks of examples under attack: budget after budget, each kept on the disk as soon as it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from pipeline import _code, parts, store
from pipeline.attacks import _sets
from pipeline.attacks._rows import Best, Fixed, Value, fresh, look, sided
from pipeline.models import _seeded

from . import _train_keep
from ._attack_plan import Plan, accepts

AT_ONCE = 4  # batches in a block, so that the work on broken examples can be dropped


class Keep(NamedTuple):
    """Where blocks are kept; nowhere without a folder."""

    folder: Path | None
    key: str

    def path(self, block: int, place: int) -> Path | None:
        """The file of a block at one budget."""
        return None if self.folder is None else self.folder / f"{block:06d}-{place:03d}.nc"

    def read(self, block: int, place: int) -> dict[str, np.ndarray] | None:
        """What was done before, where its file is whole."""
        path = self.path(block, place)
        if path is None:
            return None
        try:
            known = store.status(path, self.key)
            if known in ("done", "missing"):
                return store.columns(path) if known == "done" else None
            raise ValueError(f"is {known}")
        except (ValueError, OSError) as error:
            _train_keep.aloud(f"{path}: {error}; it is not used, and made again")
            return None

    def write(self, block: int, place: int, made: dict[str, np.ndarray]) -> None:
        path = self.path(block, place)
        if path is None:
            return
        held = {
            name: (("stimulus", "channel", "y", "x")[: value.ndim], value) for name, value in made.items()
        }
        store.write(xr.Dataset(held), path, self.key, "attack")

    def remove(self) -> None:
        """Away with what a finished attack no longer needs."""
        if self.folder is None or not self.folder.is_dir():
            return
        for file in self.folder.iterdir():
            file.unlink(missing_ok=True)
        self.folder.rmdir()


def keep(home: str | Path | None, told: Mapping[str, Any], arrays: list[Any]) -> Keep:
    """A folder that is named by all that the attack depends on."""
    if home is None:
        return Keep(None, "")
    made = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    made.update(str(torch.__version__).encode())
    for array in arrays:
        made.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    for module in sorted({"pipeline.stages.attack", *_train_keep._modules(told)}):
        made.update(f"{module} {_code.digest(module, parts.allowed())}".encode())
    key = made.hexdigest()
    return Keep(Path(home) / f"attack-{key[:16]}", key)


def attacked(
    net: nn.Module, fast: nn.Module | None, x: Tensor, given: dict[str, Tensor], plan: Plan, block: int,
    place: Keep,
) -> list[dict[str, np.ndarray]]:  # fmt: skip
    """A block at every budget; the best picture at a smaller one is a candidate at the next.

    Reads    net, judged by; fast, searched on where it is another; x and what is given of each example
    Returns  for every budget image, value, broken, size, forwards, gradients; for the clean pictures first,
             where judges stands if the objective tells what is broken
    """
    with _seeded.apart(_number(plan.seed, block, 0)):
        value = plan.objective(net, x, **given)
    exact = Fixed(value, plan.batch)
    best = fresh(x)
    with _seeded.apart(_number(plan.seed, block, 1)):
        best.take(x, *_finite(look(exact, x), block * AT_ONCE * plan.batch))
    judges = {"judges": np.ones(1)} if getattr(value, "broken", None) is not None else {}
    done = [_arrays(best, x, plan.norm, None) | judges]
    for k, epsilon in enumerate(plan.epsilons):
        known = place.read(block, k)
        if known is None:
            known = _searched(exact, _on(value, net, fast), best, x, epsilon, plan, (block, k))
            place.write(block, k, known)
        best = Best(*(torch.from_numpy(known[name]).to(x.device) for name in ("image", "value", "broken")))
        done.append(known)
    return done


def _searched(
    exact: Fixed, value: Any, best: Best, x: Tensor, epsilon: float, plan: Plan, words: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The best of the search at one budget and of what is in `best`."""
    counts = [torch.zeros(len(x), dtype=torch.int64, device=x.device) for _ in range(2)]
    objective = Fixed(value, plan.batch, *counts)
    seeded = {"seed": plan.seed} if accepts(plan.search, "seed") else {}
    best = Best(*(tensor.clone() for tensor in best))
    with _seeded.apart(_number(plan.seed, words[0], 2 + words[1])):
        found = x
        if epsilon > 0:
            found = sided(plan.search)(objective, x, epsilon, **seeded).detach()
            found = _allowed(found, x, epsilon, plan)
        best.take(found, *look(exact, found))
    return _arrays(best, x, plan.norm, counts)


def _allowed(found: Tensor, x: Tensor, epsilon: float, plan: Plan) -> Tensor:
    """What a search found, where it is a picture, within the ball, and of 8 bits if that is asked."""
    whole = torch.isfinite(found).flatten(1).all(1).reshape(len(x), *(1,) * (x.ndim - 1))
    found = torch.where(whole, found.to(x.dtype), x).clamp(0, 1)
    if plan.norm not in _sets.NORMS:
        return found
    budget = _sets.wide(epsilon, x)
    if plan.eight_bit:
        return _sets.eight(found, x, budget, plan.norm)
    over = _sets.size(found.double() - x.double(), plan.norm) > epsilon * (1 + 1e-6) + 1e-7
    return torch.where(over.reshape(budget.shape), _sets.project(found, x, budget, plan.norm), found)


def _on(value: Any, net: nn.Module, fast: nn.Module | None) -> Any:
    """The objective on another network that stands for the same one."""
    if fast is None:
        return value
    if not isinstance(value, Value) or value.module is not net:
        raise ValueError("reduced: the objective does not ask the network alone; leave it out")
    return value._replace(module=fast, sides=tuple(_on(side, net, fast) for side in value.sides))


def _finite(judged: tuple[Tensor, Tensor], start: int) -> tuple[Tensor, Tensor]:
    bad = torch.nonzero(~torch.isfinite(judged[0])).flatten().tolist()
    if bad:
        told = f"is {float(judged[0][bad[0]])} for the clean example {start + bad[0]}"
        raise ValueError(f"objective: {told}; the model or a target gives no number there")
    return judged


def _arrays(best: Best, x: Tensor, norm: str, counts: list[Tensor] | None) -> dict[str, np.ndarray]:
    known = norm if norm in _sets.NORMS else "linf"
    size = _sets.size(best.x.double() - x.double(), known) if len(x) else best.value.double()
    none = torch.zeros(len(x), dtype=torch.int64)
    forwards, gradients = (none, none) if counts is None else counts
    found = {
        "image": best.x, "value": best.value, "broken": best.broken, "size": size, "forwards": forwards,
        "gradients": gradients,
    }  # fmt: skip
    return {name: tensor.cpu().numpy().copy() for name, tensor in found.items()}


def _number(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0])
