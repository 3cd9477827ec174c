"""Pairs within and between classes, and how far apart the distributions of their distances lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EPSILON = 1e-12  # of a norm, below which a response is silent
DISTANCES = ("cosine", "correlation")
AT_ONCE = 2**22  # numbers of a bootstrap that are held together


class Pairs(NamedTuple):
    """Rows (pair, 2) of distinct presentations of one class, and of one each of two classes."""

    within: np.ndarray
    between: np.ndarray


def drawn(codes: np.ndarray, count: int, seed: int) -> Pairs:
    """Pairs that depend on the classes and the seed alone, so that two networks are asked about the same."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    many = np.flatnonzero(sizes > 1)
    if sizes.size < 2 or not many.size:
        raise ValueError(
            f"label: {sizes.size} classes of {sizes.max()}; give two with two presentations at least"
        )
    one = rng.choice(many, count)
    first = rng.integers(sizes[one])
    second = (first + 1 + rng.integers(sizes[one] - 1)) % sizes[one]
    within = order[np.stack([start[one] + first, start[one] + second], axis=1)]
    left = rng.integers(sizes.size, size=count)
    right = (left + 1 + rng.integers(sizes.size - 1, size=count)) % sizes.size
    between = order[np.stack([start[side] + rng.integers(sizes[side]) for side in (left, right)], axis=1)]
    return Pairs(within, between)


def unit(response: np.ndarray, distance: str) -> tuple[np.ndarray, int]:
    """Rows of length 1, and how many were silent (they become 0, a distance of 1 from all)."""
    rows = np.asarray(response, dtype=float)
    if distance == "correlation":
        rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(norm, EPSILON), int((norm <= EPSILON).sum())


def apart(rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """1 - cosine of pairs of rows of length 1."""
    return np.asarray(1 - np.einsum("np,np->n", rows[pairs[:, 0]], rows[pairs[:, 1]]))


def statistic(one: np.ndarray, two: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Kolmogorov–Smirnov: the largest gap max |F₁ - F₂| of two cumulative distributions.

    Reads    two samples; weights (draw, both samples one after the other), 1 where None
    Returns  one number a draw
    Source   Smirnov 1948, doi 10.1214/aoms/1177730256
    >>> float(statistic(np.array([1.0, 2]), np.array([3.0, 4]))[0])
    1.0
    """
    values = np.concatenate([one, two])
    weights = np.ones((1, values.size)) if weights is None else weights
    order = np.argsort(values, kind="stable")
    last = np.append(np.diff(values[order]) > 0, True)  # ties are one step
    first = order < one.size
    sums = [np.cumsum(weights[:, order] * member, axis=1) for member in (first, ~first)]
    gap = sums[0] / sums[0][:, -1:] - sums[1] / sums[1][:, -1:]
    return np.asarray(np.abs(gap[:, last]).max(axis=1))


def resampled(
    one: np.ndarray, two: np.ndarray, pairs: Pairs, codes: np.ndarray, bootstraps: int, seed: int
) -> np.ndarray:
    """The statistic with presentations of each class drawn again; a pair counts once a draw."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    both = np.concatenate([pairs.within, pairs.between])
    found, step = [], max(1, AT_ONCE // max(len(both), codes.size))
    for start in range(0, bootstraps, step):
        some = min(step, bootstraps - start)
        counts = np.zeros((some, codes.size))
        for code in range(codes.max() + 1):
            rows = np.flatnonzero(codes == code)
            counts[:, rows] = rng.multinomial(rows.size, np.full(rows.size, 1 / rows.size), some)
        found.append(statistic(one, two, counts[:, both[:, 0]] * counts[:, both[:, 1]]))
    return np.concatenate(found) if found else np.empty(0)
