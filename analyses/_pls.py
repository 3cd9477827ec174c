"""Partial least squares for many splits at once: the power iteration of NIPALS in the space of responses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from analyses._sums import Mean, Split, cross, levels, scatter

TOLERANCE, ITERATIONS = 1e-6, 500
VOID = 1e-24  # a covariance, relative to the largest, that is rounding


class Latent(NamedTuple):
    """Of one split: weights, loadings of x and y (component, p or q), how many were taken, and the means."""

    weights: np.ndarray
    loadings: np.ndarray
    responses: np.ndarray
    taken: int
    mean: Mean


def predict(x: np.ndarray, y: np.ndarray, splits: list[Split], components: int) -> list[np.ndarray]:
    """PLS regression of y on x in each split's training rows, and what it predicts for its test rows.

    Reads    x (n, p), y (n, q), splits; components, of which a split takes no more than p
    Returns  of every split, predictions (test, q)
    Source   Wold 1975 (NIPALS); Wegelin 2000, section 4.1; the stopping rule is scikit-learn's
    """
    found = []
    for split, made in zip(splits, latents(x, y, splits, components), strict=True):
        tested = x[split.test] - made.mean[0]
        found.append(
            _predicted(tested, made.weights, made.loadings, made.responses, made.taken) + made.mean[1]
        )
    return found


def coefficients(
    x: np.ndarray, y: np.ndarray, split: Split, components: int
) -> tuple[np.ndarray, np.ndarray, Mean]:
    """The map that `predict` applies, in two parts: W (A'W)⁻¹ (p, component) and B' (component, q); means."""
    (made,) = latents(x, y, [split], components)
    w, a = made.weights[: made.taken], made.loadings[: made.taken]
    inward = solve_triangular(a @ w.T, w, trans="T", check_finite=False).T
    return np.asarray(inward), made.responses[: made.taken], made.mean


def latents(x: np.ndarray, y: np.ndarray, splits: list[Split], components: int) -> list[Latent]:
    """The components of every split.

    With C = X'Y of centred training rows, a component is w = Cu / |Cu|, u the last of the iterates
    u ← C'Cu, begun at the first column of y that varies and ended once |w - w_before|² < 10⁻⁶; then
    t = Xw / |Xw|, a = X't, b = Y't, and X, Y and C are deflated: C ← C - ab', C'C ← C'C - gb' - bg'
    + |a|² bb' with g = C'a. Only Xw and X't touch the images, by X'X of all rows less what a split leaves
    out.
    """
    count, sides = min(components, x.shape[1]), range(len(splits))
    means = levels(x, y, splits)
    covariance = cross(x, y, splits, means)
    grams = [matrix.T @ matrix for matrix in covariance]
    scattered = scatter(x, splits, means)
    weights = np.zeros((len(splits), count, x.shape[1]))
    loadings, responses = np.zeros_like(weights), np.zeros((len(splits), count, y.shape[1]))
    floors = [VOID * gram.diagonal().max(initial=0) for gram in grams]
    taken = [0] * len(splits)
    for k in range(count):
        now = [side for side in sides if grams[side].diagonal().max(initial=0) > floors[side]]
        step = np.zeros((len(splits), x.shape[1]))
        for side in now:
            u = _dominant(grams[side], floors[side])
            step[side] = covariance[side] @ u - loadings[side, :k].T @ (responses[side, :k] @ u)
            step[side] /= np.linalg.norm(step[side])
        onto = scattered(step)
        for side in now:
            w, before, told = step[side], loadings[side, :k], responses[side, :k]
            a = onto[side] - before.T @ (before @ w)
            size = np.sqrt(w @ a)
            a /= size
            b = (w @ covariance[side] - (before @ w) @ told) / size
            g = a @ covariance[side] - (before @ a) @ told
            side_gram = np.outer(g - 0.5 * (a @ a) * b, b)
            grams[side] -= side_gram + side_gram.T
            weights[side, k], loadings[side, k], responses[side, k] = w / size, a, b
            taken[side] = k + 1
    return [
        Latent(weights[side], loadings[side], responses[side], taken[side], mean)
        for side, mean in enumerate(means)
    ]


def _predicted(x: np.ndarray, w: np.ndarray, a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """x (m, p) through the first `count` components: X W (A'W)⁻¹ B'."""
    scores = solve_triangular(a[:count] @ w[:count].T, (x @ w[:count].T).T, trans="T", check_finite=False)
    return np.asarray(scores.T @ b[:count])


def _dominant(gram: np.ndarray, floor: float) -> np.ndarray:
    """u that the power iteration of C'C stops at."""
    u, before, v = np.zeros(len(gram)), np.empty(len(gram)), np.empty(len(gram))
    u[np.argmax(gram.diagonal() > floor)] = 1.0
    size_before = 0.0
    for number in range(ITERATIONS):
        np.dot(gram, u, out=v)
        size = np.sqrt(u.dot(v))
        if len(u) == 1 or (number and 2 - 2 * before.dot(v) / (size * size_before) < TOLERANCE):
            break
        v /= size
        u, before, v, size_before = v, u, before, size
    return u
