"""What a trained network is worth: on clean, corrupted and attacked pictures that it was not trained on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import corruptions as spoiled
from analyses._shares import clopper
from loaders.schema import check, nearest
from pipeline.attacks import classify, pgd
from pipeline.models import _weights

from . import _evaluate_arms, _evaluate_plot, _pictures, record, train
from ._evaluate_attacks import under
from ._evaluate_net import Judge, recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ATTACKS: dict[str, dict[str, Callable[..., Any]]] = {
    "fgsm": {"objective": classify.cross_entropy, "search": pgd.fgsm},
    "pgd": {"objective": classify.margin, "search": functools.partial(pgd.pgd, steps=40, restarts=2)},
}


def run(
    stimuli: xr.Dataset,
    weights: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    label: str | None = None,
    groups: Mapping[str, str] | None = None,
    corruptions: Sequence[str] | str = (),
    severities: Sequence[int] = spoiled.SEVERITIES,
    attacks: Mapping[str, Any] | None = None,
    epsilons: Sequence[float] = (),
    norm: str | None = None,
    attacked: int = 0,
    batch: int = 64,
    confidence: float = 0.95,
    overlap: bool = False,
    seed: int = 0,
) -> xr.Dataset:
    """Accuracy of classes, and of classes of classes, on clean pictures and on whatever else is asked for.

    A penalty of the training plays no part here. A network of several answers is judged by its logits.

    Reads    image and `label` (None: the one that it was trained on); weights, what `train.fit` returned;
             model, where they do not name it; groups, {class: super-class}; corruptions, "all" or names, at
             severities from 1 to 5; epsilons, in `norm`, of attacks, {name: {objective, search}} (None: FGSM
             on cross-entropy, and PGD of 40 steps and 2 restarts on the margin); attacked, how many pictures
             are, evenly spaced (0: all); overlap, whether pictures that it was trained or chosen on may be
             among them
    Returns  accuracy (method: class[, super-class]); corrupted (corruption, severity, method); attacked
             (attack, epsilon), clean errors counted as errors, and union (epsilon), right under every attack;
             each with the exact binomial _low and _high; correct (stimulus)
    Source   Hendrycks and Dietterich 2019, arXiv 1903.12261; Carlini et al. 2019, arXiv 1902.06705
    """
    clean = train.accuracy(
        stimuli, weights, model, label=label, batch=batch, confidence=confidence, overlap=overlap
    )
    module, _ = record.built(model, weights)
    judge = Judge(module, weights, batch)
    truth = judge.codes(stimuli, str(clean.attrs["label"]))
    places = _places(groups, judge.classes)
    hits = _right(*_pairs(clean["confusion"].values), places)
    found = _shares("accuracy", ("method",), hits, len(truth), confidence)
    found["correct"] = ("stimulus", clean["correct"].values, {"units": "1"})
    coords: dict[str, Any] = {name: clean[name].variable for name in ("stimulus_id", "content")}
    coords["method"] = ["class", "super-class"][: len(places)]
    names = _known(corruptions)
    told: dict[str, Any] = {}
    if names:
        hits = _spoiled(stimuli["image"].values, judge, truth, places, names, severities, seed)
        dims = ("corruption", "severity", "method")
        found |= _shares("corrupted", dims, hits, len(truth), confidence)
        coords |= {"corruption": names, "severity": [*severities]}
    if len(epsilons):
        part, tried = _spaced(stimuli, attacked), attacks or ATTACKS
        codes = judge.codes(part, str(clean.attrs["label"]))
        made, told = under(part, judge, codes, tried, epsilons, norm, confidence, seed)
        found |= {str(name): item.variable for name, item in made.data_vars.items()}
        coords |= {str(name): item.variable for name, item in made.coords.items()}
    chance = [float(np.bincount(place[truth]).max() / len(truth)) for place in places]
    told |= dict(zip(("chance", "chance_group"), chance, strict=False))
    told |= {"label": clean.attrs["label"], "n": len(truth), "confidence": confidence, "seed": seed}
    told |= {"overlap": clean.attrs["overlap"], "weights_sha256": _weights.digest(module), "origin": "model"}
    return check(xr.Dataset(found, coords, told))


def arms(
    lessons: xr.Dataset,
    stimuli: xr.Dataset,
    *,
    fit: Callable[..., xr.Dataset],
    arms: Mapping[str, Any],
    measures: Mapping[str, Any],
    taught: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Trains one network an arm, all alike but for what the arm says, and measures each.

    A sweep as one step. Weights are not kept: an arm whose weights are wanted is a step of its own.

    Reads    lessons, stimuli to train on; fit, such as {use: pipeline.stages.train.fit, with: {...}}; arms,
             {name: {argument of fit: value}}, put over it; measures, {name: {use, with}}, each called with
             the held-out stimuli and the weights; taught, likewise, called with the lessons
    Returns  what the measures return, along arm, with names that end in _lessons for those that were taught;
             loss (arm, epoch, term), NaN where an arm has no such term; hyperparameters (arm), as text
    """
    if not arms or not measures:
        raise ValueError(f"{'measures' if arms else 'arms'}: there are none; name one at least")
    return check(_evaluate_arms.joined(lessons, stimuli, fit, arms, measures, taught or {}))


def recorded(
    stimuli: xr.Dataset,
    weights: xr.Dataset,
    *,
    layer: str,
    measure: Callable[[xr.Dataset], xr.Dataset],
    pictures: int = 0,
) -> xr.Dataset:
    """An analysis of what one layer of a trained network does, as one of the measures of `arms`.

    Reads    stimuli; weights, what `train.fit` returned; layer; measure, of a recording, such as
             {use: analyses.spectrum.exponent}; pictures, how many are shown, evenly spaced (0: all)
    Returns  what the measure returns
    """
    return measure(recording(_spaced(stimuli, pictures), weights, layer))


def others(stimuli: xr.Dataset, lessons: xr.Dataset) -> xr.Dataset:
    """The pictures that are not among the lessons, by the hash of their pixels.

    Reads    stimuli and lessons, each with content
    Returns  the stimuli that are left, with all their labels; ValueError where none is
    """
    left = np.flatnonzero(~np.isin(stimuli["content"].values, lessons["content"].values))
    if not left.size:
        raise ValueError("stimuli: all are among the lessons; hold some out")
    return stimuli.isel(stimulus=left)


def plot(result: xr.Dataset) -> Figure:
    """Accuracy over budgets and over severities, chance as a line; arms as lines of their own.

    Reads    what `run` or `arms` returned; or the pictures of `others`, which are shown
    Returns  a matplotlib Figure
    """
    return _pictures.sheet(result) if "image" in result else _evaluate_plot.drawn(result)


def _spaced(stimuli: xr.Dataset, count: int) -> xr.Dataset:
    """So many of the stimuli, evenly spaced; all for 0."""
    many = stimuli.sizes["stimulus"]
    if not 0 <= count <= many:
        raise ValueError(f"pictures: {count} of {many}; give 1 to {many}, or 0 for all")
    return stimuli if not count else stimuli.isel(stimulus=np.arange(count) * many // count)


def _known(corruptions: Sequence[str] | str) -> list[str]:
    if corruptions == "all":
        return [*spoiled.NAMES]
    names = [corruptions] if isinstance(corruptions, str) else [*corruptions]
    for name in names:
        if name not in spoiled.NAMES:
            raise ValueError(f"corruptions: {name!r}; {nearest(name, spoiled.NAMES)}")
    return names


def _places(groups: Mapping[str, str] | None, classes: list[str]) -> list[np.ndarray]:
    """Of every class its number, and with groups the number of its super-class."""
    places = [np.arange(len(classes))]
    if groups:
        told = {str(name): str(group) for name, group in groups.items()}
        lost = [name for name in classes if name not in told]
        if lost:
            raise ValueError(f"groups: do not say where {lost[0]!r} belongs; name a group for every class")
        places.append(np.unique([told[name] for name in classes], return_inverse=True)[1].ravel())
    return places


def _spoiled(
    pixels: np.ndarray, judge: Judge, truth: np.ndarray, places: list[np.ndarray], names: Sequence[str],
    severities: Sequence[int], seed: int,
) -> np.ndarray:  # fmt: skip
    """How many were right (corruption, severity, method)."""
    made = np.zeros((len(names), len(severities), len(places)), np.int64)
    for row, name in enumerate(names):
        for column, level in enumerate(severities):
            said = judge.said(spoiled.corrupted(pixels, name, level, seed=seed))
            made[row, column] = _right(truth, said, places)
    return made


def _pairs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table of confusions as two lists of classes: true and said."""
    truth, said = np.nonzero(table)
    counts = table[truth, said]
    return np.repeat(truth, counts), np.repeat(said, counts)


def _right(truth: np.ndarray, said: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """How many were right, of classes and of super-classes."""
    return np.array([int((place[truth] == place[said]).sum()) for place in places])


def _shares(
    name: str, dims: tuple[str, ...], hits: np.ndarray, count: int, confidence: float
) -> dict[str, Any]:
    low, high = clopper(hits, count, confidence)
    ends = (("", hits / count), ("_low", low), ("_high", high))
    return {name + end: (dims, np.asarray(value, float), {"units": "1"}) for end, value in ends}
