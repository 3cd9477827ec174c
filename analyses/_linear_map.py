"""A linear map from features to responses in two parts, through as few components as it has or is given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyses import _pls, _ridge_cv, _shuffles
from analyses._maps import INNER
from analyses._sums import Split

REGRESSIONS = ("ridge", "pls")


class Linear(NamedTuple):
    """ŷ = level + (x - centre) latent loading; latent (p, component), loading (component, q); strengths (q)
    of ridge."""

    latent: np.ndarray
    loading: np.ndarray
    centre: np.ndarray
    level: np.ndarray
    alpha: np.ndarray | None

    def predicted(self, x: np.ndarray) -> np.ndarray:
        return np.asarray((x - self.centre) @ self.latent @ self.loading + self.level)


def fitted(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, train: np.ndarray, regression: str,
    alphas: np.ndarray, components: int | None, order: np.ndarray, rng: np.random.Generator,
) -> Linear:  # fmt: skip
    """The map of rows `train`; the features of these come in another `order` once strengths are chosen.

    Reads    x (n, p), y (n, q); groups that no inner fold divides; components of PLS, or the rank that ridge
             is brought to (None: as it is)
    """
    centre, level = x[train].mean(axis=0), y[train].mean(axis=0)
    inside = x[train[order]] - centre
    if regression == "pls":
        every = Split(np.arange(train.size), np.arange(0))
        latent, loading, _ = _pls.coefficients(inside, y[train] - level, every, components or 1)
        return Linear(latent, loading, centre, level, None)
    alpha = np.full(y.shape[1], alphas[0])
    if alphas.size > 1:
        inner = _shuffles.within(Split(train, train[:0]), groups, INNER, rng)
        alpha = alphas[_places(x - centre, y, inner, alphas)]
    weights = _ridge_cv.coefficients(inside, y[train] - level, alpha)
    latent, loading = _parted(weights, inside, components)
    return Linear(latent, loading, centre, level, alpha)


def _places(x: np.ndarray, y: np.ndarray, inner: list[Split], alphas: np.ndarray) -> np.ndarray:
    """Of every column of y, the place of the strength of least error over inner folds."""
    solved = _ridge_cv.solve(_ridge_cv.space(x), y, inner)
    loss = sum(
        (_ridge_cv.losses(made, y[part.test], alphas) for made, part in zip(solved, inner, strict=True)),
        np.zeros((alphas.size, y.shape[1])),
    )
    return np.asarray(loss.argmin(axis=0))


def _parted(weights: np.ndarray, x: np.ndarray, components: int | None) -> tuple[np.ndarray, np.ndarray]:
    """weights (p, q) as a product: of the rank that leaves most of xw, or with one side the identity.

    Source   Izenman 1975, doi 10.1016/0047-259X(75)90042-1 (reduced rank)
    """
    if components is not None and components < min(weights.shape):
        axes = np.linalg.svd(x @ weights, full_matrices=False)[2][:components]
        return weights @ axes.T, axes
    few = weights.shape[0] < weights.shape[1]
    return (np.eye(len(weights)), weights) if few else (weights, np.eye(weights.shape[1]))
