"""Least squares on a few principal components of the features, found in the training rows of each split."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from analyses._sums import Split


def predict(x: np.ndarray, y: np.ndarray, splits: list[Split], components: int) -> list[np.ndarray]:
    """Predictions (test, q) of every split from the first components of x (n, p).

    With XX' = UL²U' of the centred training rows, ŷ = ȳ + (x - x̄) X' U L⁻² U' (y - ȳ); directions that
    rounding alone made are left out.

    Source   Massy 1965, doi 10.1080/01621459.1965.10480787
    """
    found = []
    gram = x @ x.T if x.shape[1] > len(x) else None
    for split in splits:
        mean, middle = x[split.train].mean(axis=0), y[split.train].mean(axis=0)
        if gram is None:
            inside, tested = x[split.train] - mean, x[split.test] - mean
            sizes, axes = _leading(inside.T @ inside, components)
            weights = axes @ ((axes.T @ (inside.T @ (y[split.train] - middle))) / sizes[:, None])
            found.append(middle + tested @ weights)
            continue
        within = gram[np.ix_(split.train, split.train)]
        level = within.mean(axis=0)
        beside = gram[np.ix_(split.test, split.train)]
        beside = beside - beside.mean(axis=1, keepdims=True) - level + level.mean()
        within = within - level - level[:, None] + level.mean()
        sizes, axes = _leading(within, components)
        found.append(middle + beside @ (axes @ ((axes.T @ (y[split.train] - middle)) / sizes[:, None])))
    return found


def _leading(square: np.ndarray, components: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues and their eigenvectors (n, component)."""
    count = min(components, len(square))
    sizes, axes = eigh(square, subset_by_index=(len(square) - count, len(square) - 1))
    least = float(np.finfo(float).eps) * len(square) * max(float(sizes[-1]), float(np.finfo(float).tiny))
    kept = sizes > least
    return np.asarray(sizes[kept]), np.asarray(axes[:, kept])
