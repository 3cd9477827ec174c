"""The regressions of `predictivity.score` by name: what each predicts in every split, at every time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analyses import _ols, _one_to_one, _pcr, _pls, _ridge_cv, _shuffles
from analyses._joined import Joined
from analyses._sums import Split

REGRESSIONS = ("ridge", "kernel-ridge", "ridge-gcv", "pls", "pcr", "linear", "one-to-one")
FEW = ("pls", "pcr")  # they see the features through a stated number of components
PENALISED = ("ridge", "kernel-ridge", "ridge-gcv")
INNER = 5  # folds of the training stimuli in which a strength is chosen
BRAINSCORE = tuple(
    np.concatenate(
        [
            [0.01, 0.1, 0.5, 1.0],
            np.linspace(1e1, 1e2, 4, endpoint=False),
            *(np.linspace(10.0**k, 10.0 ** (k + 1), 18, endpoint=False) for k in range(2, 6)),
            np.linspace(1e6, 1e7, 19),
        ]
    ).tolist()
)
GRID = tuple(float(alpha) for alpha in np.logspace(-4, 8, 25))


class Map(NamedTuple):
    """What is fitted: the regression, its strengths, its components, and whether all times share it."""

    regression: str
    alphas: np.ndarray
    components: int
    spantime: bool


def strengths(regression: str, alphas: Sequence[float] | None) -> np.ndarray:
    """The strengths to choose from; ValueError for one that is not above 0."""
    if alphas is None:
        return np.array(BRAINSCORE if regression == "ridge-gcv" else GRID)
    if regression not in PENALISED:
        raise ValueError(f"alphas: given for {regression!r}, which has none; leave them out")
    found = np.atleast_1d(np.asarray(alphas, dtype=float))
    if not found.size or not (np.isfinite(found) & (found > 0)).all():
        raise ValueError(f"alphas: {list(found)}; give numbers above 0")
    return found


def predict(
    data: Joined, splits: list[Split], wanted: Map, seed: np.random.SeedSequence
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Of every split, predictions (test, neuroid, time); and the strengths (split, neuroid, time) chosen."""
    rows, neuroids, times = data.y.shape
    if wanted.spantime:
        return _spanned(data, splits, wanted, seed)
    apart = data.x.ndim == 3 or wanted.regression in ("pls", "ridge-gcv")
    steps = [slice(moment, moment + 1) for moment in range(times)] if apart else [slice(None)]
    found: list[list[np.ndarray]] = []
    chosen: list[np.ndarray] = []
    for step in steps:
        x = data.x[..., step.start] if data.x.ndim == 3 else data.x
        y = data.y[..., step].reshape(rows, -1)
        guesses, alpha = _fitted(x, y, data.groups, splits, wanted, seed)
        found.append([guess.reshape(len(guess), neuroids, -1) for guess in guesses])
        if alpha is not None:
            chosen.append(alpha.reshape(len(splits), neuroids, -1))
    joined = [np.concatenate(parts, axis=2) for parts in zip(*found, strict=True)]
    return joined, np.concatenate(chosen, axis=2) if chosen else None


def _spanned(
    data: Joined, splits: list[Split], wanted: Map, seed: np.random.SeedSequence
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """One map for all times, each time of a stimulus a row."""
    rows, neuroids, times = data.y.shape
    x = np.repeat(data.x[..., None], times, axis=2) if data.x.ndim == 2 else data.x
    tall = [np.ascontiguousarray(part.transpose(2, 0, 1)).reshape(times * rows, -1) for part in (x, data.y)]
    lower = rows * np.arange(times)[:, None]
    parts = [Split(*((lower + side).ravel() for side in split)) for split in splits]
    guesses, alpha = _fitted(tall[0], tall[1], np.tile(data.groups, times), parts, wanted, seed)
    found = [guess.reshape(times, -1, neuroids).transpose(1, 2, 0) for guess in guesses]
    return found, None if alpha is None else np.repeat(alpha[..., None], times, axis=2)


def _fitted(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, splits: list[Split], wanted: Map,
    seed: np.random.SeedSequence,
) -> tuple[list[np.ndarray], np.ndarray | None]:  # fmt: skip
    """Predictions (test, q) of every split from x (n, p) and y (n, q); and the strengths (split, q)."""
    x, middle = x - x.mean(axis=0), y.mean(axis=0)
    if wanted.regression == "pls":
        return [guess + middle for guess in _pls.predict(x, y - middle, splits, wanted.components)], None
    if wanted.regression == "pcr":
        return _pcr.predict(x, y, splits, wanted.components), None
    if wanted.regression == "linear":
        return _ols.predict(x, y, splits), None
    if wanted.regression == "one-to-one":
        return _one_to_one.predict(x, y, splits), None
    shape = _ridge_cv.space(x, always=wanted.regression == "kernel-ridge")
    alphas, size = wanted.alphas, (len(splits), y.shape[1])
    if alphas.size == 1:
        return _ridge_cv.fixed(shape, y, splits, float(alphas[0])), np.full(size, alphas[0])
    if wanted.regression == "ridge-gcv":
        pairs = [_ridge_cv.left_one_out(shape, y, split, alphas) for split in splits]
        best = [alphas[loss.argmin()] for _, loss in pairs]
        return [guess for guess, _ in pairs], np.broadcast_to(np.array(best)[:, None], size)
    rng = np.random.default_rng(seed)
    inner = [_shuffles.within(split, groups, INNER, rng) for split in splits]
    guesses, places = _ridge_cv.chosen(shape, y, splits, inner, alphas)
    return guesses, alphas[places]
