"""Which layer of a model stands for a region, chosen without the stimuli that it is scored on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analyses import _maps, _scored
from analyses._joined import Joined
from analyses._labelled import values
from analyses._maps import Map
from analyses._sums import Split

CURVE = ("layer_score", "layer_score_low", "layer_score_high")


class Layer(NamedTuple):
    """Of one layer: predictions (test, neuroid, time) of every split; r (split, neuroid) inside its training
    stimuli, mean over inner folds and times."""

    predicted: list[np.ndarray]
    inside: np.ndarray


def parted(features: xr.Dataset) -> tuple[np.ndarray, list[np.ndarray]]:
    """Names of the layers in their order, and the columns of each."""
    if "layer" not in features.coords:
        raise ValueError("features: have no layer (neuroid); give what record.activations returned")
    layer = values(features, "layer").astype(str)
    names = np.array(list(dict.fromkeys(layer)))
    return names, [np.flatnonzero(layer == name) for name in names]


def layer(
    data: Joined, parts: list[Split], nested: list[list[Split]], wanted: Map, seed: np.random.SeedSequence
) -> Layer:
    """One layer's predictions, and how well it does inside the training stimuli of every split."""
    predicted, _ = _maps.predict(data, parts, wanted, _same(seed))
    within = [part for inner in nested for part in inner]
    guesses, _ = _maps.predict(data, within, wanted, _same(seed))
    r = np.array([
        _scored.pearson(guess, data.y[part.test]) for guess, part in zip(guesses, within, strict=True)
    ])  # fmt: skip
    r = np.nan_to_num(r).mean(axis=2).reshape(len(parts), -1, r.shape[1])
    return Layer(predicted, r.mean(axis=1))


def chosen(inside: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """The layer (split, neuroid) whose median over the neuroids of a region is largest; the first of equals.

    Reads    inside (layer, split, neuroid); region of each neuroid
    >>> chosen(np.array([[[0.1, 0.9]], [[0.2, 0.3]]]), np.array(["V4", "IT"]))
    array([[1, 0]])
    """
    neuroids = inside.shape[2]
    region = np.zeros(neuroids, dtype=int) if region is None else region
    place = np.zeros(inside.shape[1:], dtype=int)
    for name in np.unique(region):
        own = region == name
        place[:, own] = np.median(inside[:, :, own], axis=2).argmax(axis=0)[:, None]
    return place


def taken(predicted: list[list[np.ndarray]], place: np.ndarray) -> list[np.ndarray]:
    """Predictions of every split, each neuroid's by the layer of its region."""
    neuroids = np.arange(place.shape[1])
    return [
        np.stack([one[split] for one in predicted])[place[split], :, neuroids].transpose(1, 0, 2)
        for split in range(len(place))
    ]


def curve(
    each: list[Layer], data: Joined, parts: list[Split], drawn: tuple[int, float],
    seed: np.random.SeedSequence,
) -> dict[str, Any]:  # fmt: skip
    """The score of every layer by itself, with its interval."""
    bootstraps, confidence = drawn
    sides = [(1 - confidence) / 2, (1 + confidence) / 2]
    made = np.full((3, len(each)), np.nan)
    for place, one in enumerate(each):
        r = np.array([_scored.pearson(g, data.y[p.test]) for g, p in zip(one.predicted, parts, strict=True)])
        made[0, place] = _scored.median(r, axis=1).mean()
        if bootstraps:
            limit = [np.ones(data.y.shape[1:])]
            again = _scored.draws(one.predicted, data.y, parts, limit, bootstraps, _same(seed))
            made[1:, place] = np.quantile(again[0].mean(axis=1), sides)
    return dict(zip(CURVE, made, strict=True)) if bootstraps else {CURVE[0]: made[0]}


def _same(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    """The stream from its beginning: every layer meets the same folds and draws."""
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
