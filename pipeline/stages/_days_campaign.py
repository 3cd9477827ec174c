"""The loop of days: attack with yesterday's model, record, and only then fit again."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from analyses import _linear_map, _maps, _scored
from analyses._linear_map import Linear
from analyses._sensitivity_labelled import ATTACK, NATURAL, NOTHING, RANDOM
from pipeline.models import predictor

from . import _days_query as query
from . import _sensitivity_push as push
from . import record as networks

ARMS = (ATTACK, RANDOM, NATURAL, push.OTHER, push.SHUFFLED, NOTHING)
WHOLE = ("day", "arm", "epsilon", "stimulus", "neuroid")
DIMS = {
    "clean": ("day", "stimulus", "neuroid", "presentation"), "moved": (*WHOLE, "presentation"),
    "predicted": WHOLE, "true_clean": ("stimulus", "neuroid"), "true_moved": WHOLE,
    "predictivity": ("day", "neuroid"), "fitted": ("day",),
}  # fmt: skip
UNITS = {"predictivity": "1", "fitted": "1"}


class Parts(NamedTuple):
    """The sites, the surrogate's layer, how to attack, presentations of a picture, strengths of the ridge."""

    sites: nn.Module
    front: nn.Module
    told: push.How
    presentations: int
    alphas: Sequence[float] | None


class Fitted(NamedTuple):
    """What was recorded and may be fitted: features, mean responses, and the natural picture behind each."""

    x: np.ndarray
    y: np.ndarray
    source: np.ndarray

    def more(self, x: np.ndarray, y: np.ndarray, source: np.ndarray) -> Fitted:
        pairs = ((self.x, x), (self.y, y), (self.source, source))
        return Fitted(*(np.concatenate(pair) for pair in pairs))


def run(
    parts: Parts, stimuli: xr.Dataset, rows: np.ndarray, days: int, first: int, each: int, pictures: int
) -> tuple[dict[str, np.ndarray], Linear]:
    """Arrays by name, with a day each, and the map that attacked on the last."""
    held = push.pixels(stimuli, rows[:pictures])
    at = rows[pictures : pictures + first]
    data = _recorded(parts, push.pixels(stimuli, at), at, 0)
    fixed = _steps(parts, held, push.pixels(stimuli, at), data)
    records: list[dict[str, np.ndarray]] = []
    linear = _fit(parts, data)
    for day in range(days):
        if day:
            new = rows[pictures + first + (day - 1) * each :][:each]
            data = data.more(*_adversarial(parts, push.pixels(stimuli, new), linear, new, day))
            linear = _fit(parts, data)
        records.append(_day(parts, held, linear, fixed, day) | {"fitted": np.array(len(data.y))})
    found = {key: np.stack([part[key] for part in records]) for key in records[0]}
    found["true_clean"] = push.answers(parts.sites, held, parts.told.batch)
    return found, linear


def _recorded(parts: Parts, x: Tensor, source: np.ndarray, *words: int) -> Fitted:
    """Features and mean noisy responses of pictures; words tell the random stream apart from others."""
    batch = parts.told.batch
    rates = push.answers(parts.sites, x, batch)
    seen = query.counts(rates, parts.presentations, parts.told.seed, 1, *words).mean(-1)
    return Fitted(push.answers(parts.front, x, batch), seen, source)


def _fit(parts: Parts, data: Fitted, shuffled: bool = False) -> Linear:
    """Ridge with a strength for each site, chosen in folds that keep versions of one picture together."""
    rng = np.random.default_rng([parts.told.seed, 2])
    every = np.arange(len(data.y))
    order = rng.permutation(every) if shuffled else every
    strengths = _maps.strengths("ridge", parts.alphas)
    return _linear_map.fitted(data.x, data.y, data.source, every, "ridge", strengths, None, order, rng)


def _module(parts: Parts, linear: Linear) -> nn.Module:
    """The surrogate of the sites: its layer and the map."""
    weight = (linear.latent @ linear.loading).T
    last = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight))
        last.bias.copy_(torch.from_numpy(linear.level - weight @ linear.centre))
    return nn.Sequential(parts.front, nn.Flatten(), last).eval()


def _steps(parts: Parts, held: Tensor, natural: Tensor, data: Fitted) -> dict[str, Tensor]:
    """What does not depend on a day: steps (epsilon, stimulus), the attack of a map of exchanged pictures."""
    module = _module(parts, _fit(parts, data, shuffled=True))
    shuffled = push.displaced(module, held, data.y.shape[1], parts.told)
    told = {RANDOM: push.random_steps(held, parts.told),
            NATURAL: push.natural_steps(held, natural, parts.told)}  # fmt: skip
    return told | {
        push.SHUFFLED: shuffled,
        "sign": torch.from_numpy(_predicted(module, shuffled, held, parts)),
    }


def _predicted(module: nn.Module, pictures: Tensor, held: Tensor, parts: Parts) -> np.ndarray:
    """The change that a model predicts of each target: (epsilon, stimulus, neuroid)."""
    batch = parts.told.batch
    return push.own(push.evoked(module, pictures, batch)) - push.answers(module, held, batch)


def _adversarial(
    parts: Parts, x: Tensor, linear: Linear, source: np.ndarray, day: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """New pictures as they are, and attacked with yesterday's model, each site's with one of the budgets."""
    sites = linear.level.size
    largest = parts.told.epsilons[-2:]
    told = parts.told._replace(epsilons=(largest[day % len(largest)],))
    made = push.displaced(_module(parts, linear), x, sites, told)[0]
    natural = _recorded(parts, x, source, day, 0)
    changed = _recorded(parts, made.flatten(0, 1), np.tile(source, sites), day, 1)
    return tuple(natural.more(*changed))  # type: ignore[return-value]


def _day(
    parts: Parts, held: Tensor, linear: Linear, fixed: dict[str, Tensor], day: int
) -> dict[str, np.ndarray]:
    """Held-out pictures attacked with yesterday's model, and all arms recorded."""
    batch, module = parts.told.batch, _module(parts, linear)
    made = push.displaced(module, held, linear.level.size, parts.told)
    rates = _arms(parts.sites, made, fixed, held, batch)
    guesses = _arms(module, made, fixed, held, batch)
    before = push.answers(module, held, batch)
    predicted = np.stack([guesses[arm] for arm in ARMS]) - before
    predicted[ARMS.index(NOTHING)] = predicted[ARMS.index(ATTACK)]
    predicted[ARMS.index(push.SHUFFLED)] = fixed["sign"].numpy()
    true = np.stack([rates[arm] for arm in ARMS])
    clean = push.answers(parts.sites, held, batch)
    draws = (parts.presentations, parts.told.seed)
    natural = query.counts(clean, *draws, 3, day)
    return {
        "clean": natural, "moved": query.counts(true, *draws, 4, day), "predicted": predicted,
        "true_moved": true, "predictivity": _scored.pearson(before, natural.mean(-1)),
    }  # fmt: skip


def _arms(
    module: nn.Module, made: Tensor, fixed: dict[str, Tensor], held: Tensor, batch: int
) -> dict[str, np.ndarray]:
    """Responses (epsilon, stimulus, neuroid) of every arm's targets."""
    whole = push.evoked(module, made, batch)
    clean = push.answers(module, held, batch)
    found = {ATTACK: push.own(whole), push.OTHER: push.own(whole, 1)}
    found |= {arm: push.evoked(module, fixed[arm], batch) for arm in (RANDOM, NATURAL)}
    found[push.SHUFFLED] = push.own(push.evoked(module, fixed[push.SHUFFLED], batch))
    found[NOTHING] = np.broadcast_to(clean, found[ATTACK].shape)
    return found


def predictor_of(
    model: Callable[..., Any] | str | None, weights: xr.Dataset | None, layer: str, front: nn.Module,
    linear: Linear, seed: int,
) -> tuple[nn.Module, str]:  # fmt: skip
    """The surrogate as `pipeline.models.predictor`, and its name as text."""
    network, _ = networks.built(model, weights, seed)
    numbers: dict[str, Any] = {
        "layer": layer, "units": linear.latent.shape[0], "neuroids": linear.loading.shape[1],
        "components": linear.latent.shape[1],
    }  # fmt: skip
    numbers |= push.preprocessing(weights)
    made = predictor.build(core=functools.partial(_same, network), **numbers)
    held = {
        "latent.weight": linear.latent.T, "latent.centre": linear.centre,
        "readout.weight": linear.loading.T, "readout.bias": linear.level,
    }  # fmt: skip
    state = {f"core.{name}": part for name, part in front.state_dict().items()}
    state |= {name: torch.from_numpy(np.ascontiguousarray(part)).float() for name, part in held.items()}
    made.load_state_dict(state)
    return made, json.dumps(
        {"use": "pipeline.models.predictor.build", "with": {"core": push.told_of(model, weights), **numbers}}
    )


def _same(network: nn.Module) -> nn.Module:
    return network
