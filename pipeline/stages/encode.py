"""Predictive models of neurons: a network, or a map from its features, fitted to a recording and scored."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from torch import nn

from analyses import encoding, reliability
from loaders.schema import check
from pipeline import tasks
from pipeline.models import _weights, predictor

from . import _pictures, record
from . import train as training
from ._encode_model import core, filled, joined, known, levelled, prepared, refuse_seen, trained
from ._stimuli import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FEWEST = 3  # stimuli with two presentations, for a reliability
PLAIN: dict[str, Any] = {"size": None, "mean": [], "std": []}


class _Scoring(NamedTuple):
    """How predictions are scored."""

    ceiling: xr.Dataset | None
    batch: int
    bootstraps: int
    confidence: float
    seed: int


def fit(
    recording: xr.Dataset,
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    layer: str = "output",
    weights: xr.Dataset | None = None,
    held_out: float | Sequence[str] = 0.2,
    split: int = 0,
    regression: str = "ridge",
    alphas: Sequence[float] | None = None,
    components: int | None = None,
    shuffled: bool = False,
    ceiling: xr.Dataset | None = None,
    project: int = 0,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    batch: int = 64,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """A layer's units and a linear map to the responses of neurons, fitted to most pictures.

    "ridge" chooses a strength for each neuroid in 5 folds of the pictures that it is fitted to, "pls" has 25
    components. With `components` ridge is brought to that rank. The score is that of the network which is
    returned, float32 and all. `shuffled` is a control: the same strengths, pictures exchanged.

    Reads    recording, response (presentation, neuroid) with stimulus_id; image (stimulus, channel, y, x) in
             [0, 1]; model and weights, as `record.activations`; layer, one name; held_out, a share of the
             pictures, the same for every `seed` and drawn anew for each `split`, or their ids; ceiling, what
             reliability.split_half returned (None: estimated where pictures were repeated); project,
             dimensions of a random projection of wide layers, which the map takes in; size, mean, std, put
             into the network (no mean: that which the weights were trained with)
    Returns  weights of `pipeline.models.predictor` by name, to be given on as `weights`; what
             `analyses.encoding.evaluate` returns; held_out (stimulus) with content, hashes of the pictures.
             ValueError where a picture held out was fitted, or was among those that trained the network
    Source   Yamins et al. 2014, doi 10.1073/pnas.1403112111; Cadena et al. 2019,
             doi 10.1371/journal.pcbi.1006897
    """
    pictures = known(shown(stimuli, recording["stimulus_id"].values))
    network, text = record.built(model, weights, seed)
    if weights is not None and not mean:
        told = prepared(weights)
        mean, std = told["mean"], told["std"]
    front = predictor.features(network, layer=layer, size=size, mean=mean, std=std)
    features = record.activations(pictures, front, layers=["output"], project=project, batch=batch, seed=seed)
    linear = encoding.fit(
        features, recording, held_out=held_out, split=split, regression=regression, alphas=alphas,
        components=components, shuffled=shuffled, bootstraps=0, seed=seed,
    )  # fmt: skip
    refuse_seen(linear, weights)
    numbers: dict[str, Any] = {
        "layer": layer, "units": int(np.prod(json.loads(features.attrs["shapes"])["output"])),
        "neuroids": linear.sizes["neuroid"], "components": linear.sizes["component"],
        "size": size, "mean": [*mean], "std": [*std],
    }  # fmt: skip
    made = filled(front, predictor.build(core=lambda: network, **numbers), linear, project, seed)
    name = {"use": "pipeline.models.predictor.build", "with": {"core": core(text), **numbers}}
    held = linear["stimulus_id"].values[linear["held_out"].values].tolist()
    scoring = _Scoring(ceiling, batch, bootstraps, confidence, seed)
    found = _scored(made, recording, pictures, held, scoring, PLAIN)
    if "alpha" in linear:
        found["alpha"] = linear["alpha"]
    kept = ("regression", "components", "shuffled", "features", "seed")
    found.attrs |= {key: linear.attrs[key] for key in kept} | {"model": json.dumps(name)}
    return found.assign_attrs(layer=layer, project=project, split=split)


def train(
    recording: xr.Dataset,
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    epochs: int,
    rate: float = 0.003,
    weights: xr.Dataset | None = None,
    freeze: Sequence[str] = (),
    penalties: Mapping[str, Any] | None = None,
    strength: Mapping[str, Any] | None = None,
    weight_decay: float = 0.0,
    schedule: Literal["constant", "cosine", "one-cycle"] = "cosine",
    augment: Mapping[str, Any] | None = None,
    patience: int = 0,
    validation: float = 0.1,
    held_out: float | Sequence[str] = 0.2,
    split: int = 0,
    ceiling: xr.Dataset | None = None,
    batch: int = 64,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """A network trained end to end on responses, by their Poisson likelihood, and scored as `fit` does.

    Reads    recording and stimuli as `fit`; model, such as {use: pipeline.models.readout.build}, which gets
             `neuroids`, their mean responses as `levels`, and `seed` where it takes them; validation, the
             share of the pictures not held out that chooses the epoch; the rest as `train.fit` and `fit`
    Returns  as `fit`, with loss (epoch, term) and correlation (epoch) of the validation
    Source   Lurz et al. 2021, doi 10.1101/2020.10.05.326256; Cadena et al. 2019,
             doi 10.1371/journal.pcbi.1006897
    """
    pictures = known(shown(stimuli, recording["stimulus_id"].values))
    tested = encoding.drawn(pictures, held_out=held_out, split=split)
    refuse_seen(pictures.assign(held_out=("stimulus", tested)), weights)
    ours = pictures.isel(stimulus=~tested)
    inside = np.isin(recording["stimulus_id"].values.astype(str), ours["stimulus_id"].values.astype(str))
    told = recording.isel(presentation=inside)
    trained_on = training.fit(
        ours, levelled(model, told), task=functools.partial(tasks.respond, loss="poisson"), epochs=epochs,
        rate=rate, recording=told, weights=weights, freeze=freeze, batch=batch, optimizer="adamw",
        weight_decay=weight_decay, schedule=schedule, augment=augment, penalties=penalties,
        strength=strength, validation=validation, patience=patience, seed=seed,
    )  # fmt: skip
    found = score(
        recording, pictures, trained_on, ceiling=ceiling, batch=batch, bootstraps=bootstraps,
        confidence=confidence, seed=seed,
    )  # fmt: skip
    kept = ("task", "hyperparameters", "best_epoch", "seed")
    found.attrs |= {key: trained_on.attrs[key] for key in kept} | {"split": split}
    return found.assign({name: trained_on[name] for name in ("loss", "correlation") if name in trained_on})


def score(
    recording: xr.Dataset,
    stimuli: xr.Dataset,
    weights: xr.Dataset,
    *,
    model: Callable[..., Any] | str | None = None,
    ceiling: xr.Dataset | None = None,
    batch: int = 64,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Any network whose outputs are the responses of a recording's neuroids, scored on pictures new to it.

    Reads    recording and stimuli as `fit`; weights, what `train.fit` returned, with the hashes of all
             pictures that it saw; model, what builds the network (None: what the weights say)
    Returns  as `fit`; held_out are the pictures that are not among those. ValueError where too few are new
    """
    pictures = known(shown(stimuli, recording["stimulus_id"].values))
    network, text = record.built(model, weights, seed)
    new = ~np.isin(pictures["content"].values.astype(str), sorted(trained(weights)))
    held = pictures["stimulus_id"].values[new].tolist()
    scoring = _Scoring(ceiling, batch, bootstraps, confidence, seed)
    found = _scored(network, recording, pictures, held, scoring, prepared(weights))
    return found.assign_attrs(model=text)


def ensemble(
    recording: xr.Dataset,
    first: xr.Dataset,
    second: xr.Dataset,
    third: xr.Dataset | None = None,
    fourth: xr.Dataset | None = None,
    fifth: xr.Dataset | None = None,
    *,
    ceiling: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """The mean of several predictors of the same neuroids, scored on the pictures that all of them held out.

    Reads    recording; what `fit`, `train` or `score` returned
    Returns  as `fit`, of `pipeline.models.ensemble`. ValueError where neuroids, pictures or what was done to
             them differ
    Source   Lakshminarayanan, Pritzel and Blundell 2017, arXiv 1612.01474
    """
    parts = [part for part in (first, second, third, fourth, fifth) if part is not None]
    found = joined(parts)
    how = _Scoring(ceiling, 1, bootstraps, confidence, seed)
    found = encoding.evaluate(
        found, ceiling=_ceiling(recording, how), bootstraps=bootstraps, confidence=confidence, seed=seed
    )
    network, _ = record.built(None, found)
    return check(found.assign_attrs(weights_sha256=_weights.digest(network), seed=seed))


def unseen(stimuli: xr.Dataset, fitted: xr.Dataset) -> xr.Dataset:
    """The pictures that a predictor was not fitted to and is scored on, known by the hash of their pixels.

    Reads    image (stimulus, channel, y, x) with stimulus_id; what `fit`, `train` or `ensemble` returned
    Returns  those of the stimuli that were held out; ValueError where there is none
    """
    pictures = known(stimuli)
    held = fitted["content"].values.astype(str)[fitted["held_out"].values.astype(bool)]
    there = np.isin(pictures["content"].values.astype(str), held)
    if not there.any():
        raise ValueError(
            "stimuli: none of them was held out; give the pictures that the predictor was scored on"
        )
    return pictures.isel(stimulus=there)


def _scored(
    network: nn.Module, recording: xr.Dataset, pictures: xr.Dataset, held: Sequence[str], how: _Scoring,
    seen: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    """The weights of a network that sees pictures so, what it predicts, and how well of what was held out."""
    responses = record.activations(pictures, network, layers=["output"], batch=how.batch, **seen)
    found = encoding.score(
        responses, recording, held_out=held, ceiling=_ceiling(recording, how), bootstraps=how.bootstraps,
        confidence=how.confidence, seed=how.seed,
    )  # fmt: skip
    weights = _weights.to_dataset(network)
    told = dict(found.attrs) | dict(weights.attrs) | {"preprocessing": json.dumps(seen), "origin": "model"}
    told |= {"fitted_to": found.attrs["origin"]} if "origin" in found.attrs else {}
    return check(weights.merge(found).assign_attrs(told))


def _ceiling(recording: xr.Dataset, how: _Scoring) -> xr.Dataset | None:
    """The ceiling that was given, or the reliability of what was repeated."""
    if how.ceiling is not None:
        return how.ceiling
    counts = np.unique(recording["stimulus_id"].values.astype(str), return_counts=True)[1]
    if (counts > 1).sum() < FEWEST:
        return None
    return reliability.split_half(recording, bootstraps=10, seed=how.seed)


def plot(result: xr.Dataset) -> Figure:
    """Correlation of every neuroid on held-out pictures with its interval, beside its ceiling.

    Reads    what `fit`, `score` or `ensemble` returned; or the pictures that are `unseen`, which are shown
    Returns  a matplotlib Figure
    """
    return _pictures.sheet(result) if "image" in result else encoding.plot(result)
