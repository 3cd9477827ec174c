"""Pictures made to move responses, the pictures they are compared with, and what they all evoke."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from pipeline.attacks import annealed, noise, respond
from pipeline.attacks._rows import look
from pipeline.attacks._whole import still
from pipeline.models import predictor

from . import record
from ._named import described

OTHER, SHUFFLED = "another neuroid's attack", "shuffled surrogate"

Search = Callable[..., Tensor]


class How(NamedTuple):
    """Budgets in increasing order, the search, its norm, pictures in a forward pass, and the seed."""

    epsilons: tuple[float, ...]
    search: Search
    norm: str
    batch: int
    seed: int


class Chosen(nn.Module):
    """Some units of a layer as neuroids."""

    def __init__(self, front: nn.Module, place: Sequence[int]) -> None:
        super().__init__()
        self.front = front
        self.register_buffer("place", torch.as_tensor(list(place)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.front(x).flatten(1)[:, self.get_buffer("place")]
        return found


def how(epsilons: Sequence[float], search: Search | None, norm: str, batch: int, seed: int) -> How:
    """ValueError where budgets do not increase from 0 or above, or a batch has no picture."""
    found = tuple(float(size) for size in epsilons)
    if not found or not all(0 <= size < np.inf for size in found) or list(found) != sorted(set(found)):
        raise ValueError(f"epsilons: {list(found)}; wanted numbers from 0 up, each larger than the last")
    if batch < 1:
        raise ValueError(f"batch: {batch}; wanted one picture at least")
    return How(found, search or annealed.annealed, norm, batch, seed)


def layer_of(
    model: Callable[..., Any] | str | None, weights: xr.Dataset | None, layer: str, seed: int = 0
) -> nn.Module:
    """The units of a layer as a network of pictures in [0, 1], with the preprocessing it was trained with."""
    module, _ = record.built(model, weights, seed)
    return predictor.features(module, layer=layer, **preprocessing(weights)).eval()


def preprocessing(weights: xr.Dataset | None) -> dict[str, Any]:
    """What was done to the pictures that a network was trained with: size, mean and std, where it was."""
    told = {} if weights is None else json.loads(str(weights.attrs.get("preprocessing", "{}")))
    return {key: told[key] for key in ("size", "mean", "std") if told.get(key)}


def told_of(model: Callable[..., Any] | str | None, weights: xr.Dataset | None) -> Any:
    """{use, with} of a network, by which it can be built again."""
    if model is not None:
        return described(model)
    if weights is None or "model" not in weights.attrs:
        raise ValueError("model: none was given, nor weights that name theirs; give one of both")
    return json.loads(str(weights.attrs["model"]))


def pixels(stimuli: xr.Dataset, rows: np.ndarray) -> Tensor:
    """Pictures (row, channel, y, x)."""
    image = stimuli["image"].transpose("stimulus", "channel", "y", "x").isel(stimulus=rows)
    found = np.asarray(image.values, np.float32)
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError("image: has values beyond 0 to 1, or no numbers; undo the normalisation")
    return torch.from_numpy(np.ascontiguousarray(found))


def shuffled_rows(stimuli: xr.Dataset, wanted: int, seed: int) -> np.ndarray:
    """Rows of all pictures in random order, equal pictures once; ValueError for fewer than `wanted`."""
    names = stimuli["content" if "content" in stimuli.coords else "stimulus_id"].values.astype(str)
    first = np.sort(np.unique(names, return_index=True)[1])
    if first.size < wanted:
        raise ValueError(f"stimuli: hold {first.size} different pictures, and {wanted} are needed; give more")
    return np.asarray(np.random.default_rng(seed).permutation(first))


def answers(module: nn.Module, x: Tensor, batch: int) -> np.ndarray:
    """Responses (picture, neuroid) by fixed batches, the last filled up."""
    found = []
    with still(module), torch.no_grad():
        for start in range(0, len(x), batch):
            some = x[start : start + batch]
            full = torch.cat([some, some[:1].expand(batch - len(some), *some.shape[1:])])
            found.append(module(full)[: len(some)].flatten(1).double().numpy())
    return np.concatenate(found)


def displaced(
    module: nn.Module, x: Tensor, neuroids: int, told: How, wrap: Callable[..., Any] | None = None
) -> Tensor:
    """Pictures (epsilon, neuroid, stimulus, channel, y, x), each made to move one neuroid's response most.

    A larger budget is never weaker: where its own search finds less, the picture of the smaller one is kept.

    Reads    wrap, (objective, pictures) → objective of other pictures, which it shows as `seen`
    """
    shape = (len(told.epsilons), neuroids, len(x))
    places = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape))
    found = torch.empty((places.shape[1], *x.shape[1:]), dtype=x.dtype)
    value = torch.empty(places.shape[1], dtype=x.dtype)
    sizes = torch.tensor(told.epsilons, dtype=x.dtype)
    with still(module):
        for start in range(0, places.shape[1], told.batch):
            rows = np.arange(start, start + told.batch)
            size, site, picture = torch.from_numpy(places[:, np.minimum(rows, places.shape[1] - 1)])
            some = x[picture]
            objective: Any = respond.displace(module, some, neuroid=site)
            objective = objective if wrap is None else wrap(objective, some)
            made = told.search(objective, some, sizes[size], norm=told.norm, seed=told.seed)
            there = slice(start, min(start + told.batch, places.shape[1]))
            count = there.stop - start
            value[there] = look(objective, made)[0][:count]
            found[there] = (made if wrap is None else objective.seen(made))[:count]
    return rising(found.reshape(*shape, *x.shape[1:]), value.reshape(shape))


def rising(found: Tensor, value: Tensor) -> Tensor:
    for size in range(1, len(found)):
        less = value[size] < value[size - 1]
        found[size][less], value[size][less] = found[size - 1][less], value[size - 1][less]
    return found


def random_steps(x: Tensor, told: How) -> Tensor:
    """Pictures (epsilon, stimulus, ...): one random direction a picture, of exactly each budget."""
    return torch.stack([
        noise.noise(len, x, size, norm=told.norm, seed=told.seed) if size else x.clone()
        for size in told.epsilons
    ])  # fmt: skip


def natural_steps(x: Tensor, others: Tensor, told: How) -> Tensor:
    """Pictures (epsilon, stimulus, ...): a step towards the nearest of other pictures, of each budget.

    Where the other picture is nearer than the budget the step ends there.
    """
    far = torch.cdist(x.flatten(1).double(), others.flatten(1).double())
    far = torch.where(far > 1e-6, far, torch.inf)
    nearest = far.min(1)
    way = (others[nearest.indices] - x).double()
    length = way.flatten(1).norm(dim=1).reshape(-1, *(1,) * (x.ndim - 1))
    return torch.stack(
        [(x + way * (size / length).clamp_max(1)).to(x.dtype).clamp(0, 1) for size in told.epsilons]
    )


def evoked(module: nn.Module, pictures: Tensor, batch: int) -> np.ndarray:
    """Responses of all neuroids to pictures (*lead, channel, y, x): (*lead, neuroid)."""
    lead = pictures.shape[:-3]
    return answers(module, pictures.reshape(-1, *pictures.shape[-3:]), batch).reshape(*lead, -1)


def own(responses: np.ndarray, shift: int = 0) -> np.ndarray:
    """Of responses (epsilon, target, stimulus, neuroid) those of the target, or of a later one: (epsilon,
    stimulus, neuroid)."""
    count = responses.shape[1]
    every = np.arange(count)
    return np.moveaxis(responses[:, (every + shift) % count, :, every], 0, -1)


def spread_out(responses: np.ndarray, neuroids: int) -> np.ndarray:
    """What holds for every neuroid alike (epsilon, stimulus) as (epsilon, stimulus, neuroid)."""
    return np.repeat(responses[..., None], neuroids, axis=-1)


def searched(told: How) -> str:
    """The search and its numbers, as text."""
    function: Any = told.search
    numbers: dict[str, Any] = {}
    if isinstance(function, functools.partial):
        function, numbers = function.func, dict(function.keywords)
    name = f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', '')}"
    return f"{name} {json.dumps(numbers, sort_keys=True, default=str)}"
