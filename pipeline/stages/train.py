"""The one training loop: pictures, a network and a task in; weights and their history out, as a Dataset."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from loaders.schema import check
from pipeline.models import _weights

from . import (
    _train_counts,
    _train_data,
    _train_keep,
    _train_loop,
    _train_neural,
    _train_penalties,
    _train_seen,
    _train_step,
    record,
)
from ._named import described, found
from ._pictures import check_filter
from ._train_data import Set
from ._train_keep import State
from ._train_loop import Course
from ._train_neural import Neural
from ._train_seen import Seen
from ._train_step import Plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Part = Callable[..., Any]


HISTORY = {
    "loss": "loss", "gradient_norm": "gradient", "validation_loss": "validation",
    "layer_gradient_norm": "layer", "log_weight": "log",
}  # fmt: skip


class _Filter(NamedTuple):
    size: int | None
    mean: Sequence[float]
    std: Sequence[float]


class _Material(NamedTuple):
    """What is learned from and what decides, and the classes of the label."""

    train: Set
    held: Set | None
    classes: list[Any]
    neuroids: np.ndarray
    neural: Neural | None = None

    @property
    def sets(self) -> list[Set]:
        """All sets of pictures, each followed by what decides."""
        both = [self.train, self.held]
        return [part for part in both + ([*self.neural[:2]] if self.neural else []) if part is not None]


def fit(
    stimuli: xr.Dataset,
    model: Part | str | None = None,
    *,
    task: Part | Mapping[str, Any],
    epochs: int,
    rate: float,
    label: str | None = None,
    recording: xr.Dataset | None = None,
    neural_stimuli: xr.Dataset | None = None,
    neural: Mapping[str, Any] | None = None,
    weights: xr.Dataset | None = None,
    freeze: Sequence[str] = (),
    batch: int = 64,
    optimizer: Literal["sgd", "adamw"] = "sgd",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant",
    warmup: float = 0.0,
    clip: float = 0.0,
    augment: Mapping[str, Any] | None = None,
    adversary: Part | None = None,
    trades: float = 0.0,
    penalties: Mapping[str, Any] | None = None,
    strength: Mapping[str, Any] | None = None,
    learned: Mapping[str, Any] | None = None,
    learned_decay: float = 0.0,
    validation: float | xr.Dataset = 0.1,
    monitor: str = "",
    patience: int = 0,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    home: str | Path | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Trains a network on pictures, and gives the weights of the epoch that was best on the validation.

    Same arguments, same bytes: order, augmentation and dropout are drawn from `seed`, epoch and batch. All
    pictures are held in memory. Every batch has `batch` pictures; the remainder of an epoch, other pictures
    each time, is left out. The caller's own module is not changed.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id, and `label`; model, {use, with}
             of what builds it (it gets `seed` where it takes one), or a module; weights, to start from; task,
             such as {use: pipeline.tasks.classify}, or several by name; recording, response (presentation,
             neuroid) joined by stimulus_id; freeze, patterns of layers that stay; rate, after warmup (in
             epochs); weight_decay, of weights with two axes and more; clip, the largest norm of the gradient;
             augment, {crop: pixels, flip: true} and own functions; adversary, a search with its epsilon
             (Madry), seen in place of the pictures, or beside them with `trades`; penalties, {name: {penalty,
             layer}} of features and response, or {name: penalty} of the module; build in place of penalty
             where it has weights, layers, relative (to the task's loss), steps (odd), epochs (the first);
             neural_stimuli, the pictures of `recording` where they are others: what penalties of layers see,
             in batches between; neural, {task, batch, ratio, step, statistics, validation} of these; strength
             of terms by name, 1 where none is told; learned, {term: factor}, terms that are weighed by a
             learned number, which decays by learned_decay; validation, a share of every class, or other
             stimuli; monitor, accuracy, correlation or loss there; patience in epochs; home, the folder for
             files to go on from
    Returns  every weight; loss and gradient_norm (epoch, term), of which the gradient counts the strength;
             validation_loss, measures and rate (epoch); layer_gradient_norm, at the outputs that penalties
             look at; log_weight, what was learned; penalty.*, weights of penalties, which are no part of the
             network; content, of all pictures that were seen. ValueError names the epoch, batch and term that
             is no number
    Source   Madry et al. 2018, arXiv 1706.06083; Zhang et al. 2019, arXiv 1901.08573 (trades); Kendall et al.
             2018, arXiv 1705.07115 (learned)
    """
    course = Course(
        epochs, batch, rate, optimizer, momentum, weight_decay, schedule, warmup, monitor, patience
    )
    held = isinstance(validation, xr.Dataset) or validation != 0
    _check(course, clip, trades, adversary, strength or {}, held, seed)
    check_filter(mean, std)
    told = _Filter(size, tuple(mean), tuple(std))
    given = _material(stimuli, label, None if neural_stimuli else recording, validation, size, seed)
    if neural_stimuli is not None:
        given = _with_neural(given, neural_stimuli, recording, neural or {}, size, batch, seed)
    net, made_by = _network(model, weights, seed)
    tasks = {str(name): part for name, part in task.items()} if isinstance(task, Mapping) else {"": task}
    asked = _train_penalties.read(penalties, net)
    strong = dict(strength or {}) | ({"trades": trades} if trades else {})
    changes, factors = _train_data.changes(augment), _learned(learned, learned_decay)
    plan = Plan(
        tasks, asked, strong, adversary, trades, changes, clip, seed, given.neural, factors, learned_decay
    )
    layers = dict.fromkeys(layer for one in asked.values() for layer in one.layers)
    module = _train_seen.seen(net, given.train.batch.x, told.mean, told.std, [*layers], freeze)
    plan = _train_step.furnished(plan, module, given.train.batch, batch)
    numbers = {
        **course._asdict(), "clip": clip, "trades": trades, "augment": augment or {}, "freeze": [*freeze],
        "strength": strength or {}, "adversary": adversary, "penalties": penalties or {},
        "validation": "other stimuli" if isinstance(validation, xr.Dataset) else validation,
        **({} if given.neural is None else {"neural": neural or {}}),
        **({"learned": factors, "learned_decay": learned_decay} if factors else {}),
    }  # fmt: skip
    attrs = {
        "origin": "model", "model": made_by, "task": json.dumps(described(task), sort_keys=True),
        "hyperparameters": json.dumps(described(numbers), sort_keys=True),
        "preprocessing": json.dumps(told._asdict()), "seed": seed, "torch": str(torch.__version__),
    }  # fmt: skip
    parts = {**attrs, "parts": described([task, numbers, model])}
    place = _train_keep.keep(home, parts, module.whole, _arrays(given))
    apart = None if given.held is None else given.held.batch
    state = _train_loop.trained(plan, course, module, given.train.batch, apart, place)
    return _result(module, state, given, weights, attrs | ({} if label is None else {"label": label}))


def accuracy(
    stimuli: xr.Dataset,
    weights: xr.Dataset,
    model: Part | str | None = None,
    *,
    label: str | None = None,
    batch: int = 64,
    confidence: float = 0.95,
    overlap: bool = False,
) -> xr.Dataset:
    """How often a trained network names the class of pictures that it has not seen.

    Reads    image and `label` (None: the one that it was trained on); weights, what `fit` returned; model,
             where the weights do not name it; confidence of the exact interval; overlap, whether pictures
             that it was trained or chosen on may be among them
    Returns  accuracy, low, high (method); recall (condition), confusion (condition, other_condition), how
             many of a class were named how; correct (stimulus). ValueError when a picture was seen in
             training, whatever its name, unless that is declared
    Source   Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")
    label = str(weights.attrs.get("label", "")) if label is None else label
    known = json.loads(weights.attrs.get("classes", "[]"))
    if not known:
        raise ValueError("weights: do not say which classes they were trained on; give what fit returned")
    told = json.loads(weights.attrs["preprocessing"])
    net, _ = record.built(model, weights)
    given = _train_data.read(stimuli, label, known, told["size"])
    shared = _seen(weights, given)
    if shared.size and not overlap:
        why = f"picture {str(given.names[shared[0]])!r} was seen in training ({shared.size} such)"
        raise ValueError(f"stimuli: {why}; leave them out, or declare overlap")
    module = _train_seen.seen(net, given.batch.x, told["mean"], told["std"])
    device = next(iter(net.state_dict().values())).device
    with torch.no_grad():
        answer = _train_loop.answers(module, _train_loop.on(given.batch, device), batch)
    answer = answer["logits"] if isinstance(answer, Mapping) else answer
    if answer.shape != (len(given.names), len(known)) or not bool(torch.isfinite(answer).all()):
        why = f"answers {tuple(answer.shape)} to {len(given.names)} pictures of {len(known)} classes"
        raise ValueError(f"model: {why}, or what is no number; give the model of these weights")
    assert given.batch.label is not None
    attrs = {"label": label, "overlap": int(shared.size), "confidence": confidence,
             "weights_sha256": _weights.digest(net), "stimuli_sha256": _digest(given.content)}  # fmt: skip
    return _train_counts.counted(
        given.batch.label.numpy(), answer.argmax(1).cpu().numpy(), known, given, attrs
    )


def plot(result: xr.Dataset) -> Figure:
    """Loss of every term, and what the validation measured, by epoch; of `accuracy`, the confusions."""
    from ._train_plot import confusions, curves

    return confusions(result) if "confusion" in result else curves(result)


def _seen(weights: xr.Dataset, given: Set) -> np.ndarray:
    """Rows of pictures that a training has seen."""
    if "content" not in weights.coords:
        return np.arange(0)
    return np.flatnonzero(np.isin(given.content, np.asarray(weights["content"].values).astype(str)))


def _check(
    course: Course, clip: float, trades: float, adversary: Part | None, strength: Mapping[str, Any],
    held: bool, seed: int,
) -> None:  # fmt: skip
    for name, least in (("epochs", 1), ("batch", 1), ("patience", 0)):
        value = getattr(course, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: {value!r}; wanted a whole number from {least} up")
    if not 0 < course.rate < np.inf:
        raise ValueError(f"rate: {course.rate}; wanted a number above 0")
    if not 0 <= course.momentum < 1:
        raise ValueError(f"momentum: {course.momentum}; wanted a number from 0 to below 1")
    more = {"weight_decay": course.weight_decay, "warmup": course.warmup, "clip": clip, "trades": trades}
    for name, value in more.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name}: {value}; wanted a number from 0 up")
    for name, known in (("optimizer", ("sgd", "adamw")), ("schedule", ("constant", "cosine", "one-cycle"))):
        if getattr(course, name) not in known:
            raise ValueError(f"{name}: {getattr(course, name)!r}; known are {', '.join(known)}")
    if trades and adversary is None:
        raise ValueError(f"trades: {trades} without an adversary; name the search that it is set against")
    for name, number in strength.items():
        if not isinstance(number, int | float) or not np.isfinite(number):
            raise ValueError(f"strength: {name!r} is {number}; wanted a number")
    if not held and (course.patience or course.monitor):
        name = "patience" if course.patience else "monitor"
        raise ValueError(f"{name}: {getattr(course, name)!r} without a validation; give it a share")
    if seed < 0:
        raise ValueError(f"seed: {seed}; wanted a whole number from 0 up")


def _material(
    stimuli: xr.Dataset, label: str | None, recording: xr.Dataset | None, validation: float | xr.Dataset,
    size: int | None, seed: int,
) -> _Material:  # fmt: skip
    known = [] if label is None else _train_data.classes(stimuli, label)
    if len(known) == 1:
        raise ValueError(f"label: {label!r} is {known[0]!r} everywhere; wanted two classes at least")
    sets = [_train_data.read(stimuli, label, known, size)]
    if isinstance(validation, xr.Dataset):
        sets.append(_train_data.read(validation, label, known, size))
        both = np.flatnonzero(np.isin(sets[1].content, sets[0].content))
        if both.size:
            why = f"picture {str(sets[1].names[both[0]])!r} is also trained on ({both.size} such)"
            raise ValueError(f"validation: {why}; leave them out of one")
    elif not 0 <= validation < 1:
        raise ValueError(f"validation: {validation}; wanted a share from 0 to below 1, or stimuli")
    neuroids = np.arange(0)
    if recording is not None:
        sets = _train_data.responses(recording, sets, required=label is None)
        neuroids = np.asarray(recording["neuroid_id"].values).astype(str)
    if isinstance(validation, xr.Dataset):
        return _Material(sets[0], sets[1], known, neuroids)
    rows, held = _train_data.split(sets[0], validation, seed)
    return _Material(sets[0].part(rows), sets[0].part(held) if held.size else None, known, neuroids)


def _network(model: Part | str | None, weights: xr.Dataset | None, seed: int) -> tuple[nn.Module, str]:
    """The network in a copy of its own, drawn from `seed` where it is built."""
    if isinstance(model, str) and model.split(".")[0] not in ("torchvision", "timm"):
        model = found(model)
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model)
    elif callable(model):
        bound = model.keywords if isinstance(model, functools.partial) else {}
        if "seed" in inspect.signature(model).parameters and "seed" not in bound:
            model = functools.partial(model, seed=seed)
    return record.built(model, weights, seed)


def _with_neural(
    given: _Material, stimuli: xr.Dataset, recording: xr.Dataset | None, told: Mapping[str, Any],
    size: int | None, batch: int, seed: int,
) -> _Material:  # fmt: skip
    made = _train_neural.read(stimuli, recording, told, size, (given.train, given.held), batch, seed)
    assert recording is not None
    return given._replace(neural=made, neuroids=np.asarray(recording["neuroid_id"].values).astype(str))


def _learned(learned: Mapping[str, Any] | None, decay: float) -> dict[str, float]:
    for name, factor in (learned or {}).items():
        if not isinstance(factor, int | float) or not 0 < factor < np.inf:
            raise ValueError(f"learned: {name!r} is {factor!r}; wanted its factor, a number above 0")
    if not 0 <= decay < np.inf:
        raise ValueError(f"learned_decay: {decay}; wanted a number from 0 up")
    return dict(learned or {})


def _arrays(given: _Material) -> list[np.ndarray]:
    """All that is learned from, for the key of a training that was cut off."""
    held: list[np.ndarray] = [part.content for part in given.sets]
    for part in given.sets:
        held += [one.numpy() for one in (part.batch.label, part.batch.response) if one is not None]
    return held


def _result(
    module: Seen, state: State, given: _Material, before: xr.Dataset | None, attrs: dict[str, Any]
) -> xr.Dataset:
    made = _weights.to_dataset(module.net)
    terms = [name.removeprefix("loss:") for name in state.history[0] if name.startswith("loss:")]
    held: dict[str, Any] = _train_penalties.stored(module.owned)
    for name, kind in HISTORY.items():
        rows = [[row.get(f"{kind}:{term}", np.nan) for term in terms] for row in state.history]
        if kind in ("loss", "gradient", "validation") or np.isfinite(rows).any():
            held[name] = (("epoch", "term"), np.array(rows), {"units": "1"})
    measures = [name.removeprefix("measure:") for name in state.history[0] if name.startswith("measure:")]
    for name in [measure for measure in measures if measure != "loss"]:
        values = [row[f"measure:{name}"] for row in state.history]
        held[name] = ("epoch", np.array(values), {"units": "1"})
    held["rate"] = ("epoch", np.array([row["rate"] for row in state.history]), {"units": "1"})
    known, coords = _known(given, before)
    held |= known
    taken = [name for name in (*held, *coords) if name in made]
    if taken:
        raise ValueError(f"model: has a weight named {taken[0]!r}, as the history has; rename it")
    coords |= {"epoch": np.arange(1, len(state.history) + 1), "term": terms}
    told = {**attrs, "stimuli_sha256": _digest(given.train.content), "best_epoch": state.best_epoch + 1}
    if given.neural is not None:
        told["neural_sha256"] = _digest(given.neural.train.content)
    if given.classes:
        decisive = (given.held or given.train).batch.label
        assert decisive is not None
        counts = np.bincount(decisive.numpy(), minlength=len(given.classes))
        told |= {"classes": json.dumps(given.classes), "chance": float(counts.max() / counts.sum())}
    return check(made.assign(held).assign_coords(coords).assign_attrs(told))


def _known(given: _Material, before: xr.Dataset | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """All pictures that these weights have seen, those of an earlier training too."""
    parts, apart = given.sets, [given.held, given.neural.held if given.neural else None]
    content = np.concatenate([part.content for part in parts])
    names = np.concatenate([part.names for part in parts])
    decides = [any(part is one for one in apart) for part in parts]
    held = np.repeat(decides, [len(part.names) for part in parts])
    if before is not None and "content" in before.coords:
        old = np.asarray(before["content"].values).astype(str)
        new = ~np.isin(old, content)
        content = np.concatenate([content, old[new]])
        names = np.concatenate([names, before["stimulus_id"].values.astype(str)[new]])
        held = np.concatenate([held, np.zeros(new.sum(), bool)])
    coords = {"content": ("stimulus", content), "stimulus_id": ("stimulus", names)}
    if given.neuroids.size:
        coords["neuroid_id"] = ("neuroid", given.neuroids)
    return {"validation": ("stimulus", held, {"units": "1"})}, coords


def _digest(content: np.ndarray) -> str:
    return hashlib.sha256("\n".join(content).encode()).hexdigest()
