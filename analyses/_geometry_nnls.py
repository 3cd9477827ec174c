"""Non-negative least squares for many right-hand sides at once: the dual of a projection on a cone."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

AT_ONCE = 32  # right-hand sides solved together: their matrices fit the processor's cache
PATIENCE = 3  # full exchanges without progress, before indices are exchanged one by one
ROUNDING = 1e-12
STEPS, POWERS, LARGER = 10, 8, 1.1  # of the first guess, and of the largest eigenvalue that it needs
WORST = 1e11  # condition of a Gram matrix beyond which indices are added one by one


def solve(columns: np.ndarray, targets: np.ndarray, signs: np.ndarray | None = None) -> np.ndarray:
    """The weights a ≥ 0 that minimise ‖A a − t‖², for every target t.

    Reads    columns A (d, m); targets (n, d); signs (n, m), ±1, that the weights have in place of +
    Returns  weights (n, m), those of independent columns where columns depend on each other
    Source   Portugal, Júdice and Vicente 1994, doi 10.1090/S0025-5718-1994-1250776-4 (block pivoting); Lawson
             and Hanson 1974, doi 10.1137/1.9781611971217, chapter 23
    >>> solve(np.eye(2), np.array([[1.0, -1.0]]))
    array([[1., 0.]])
    """
    gram = columns.T @ columns
    signs = np.ones((len(targets), columns.shape[1])) if signs is None else signs
    inverse = _inverse(gram) if columns.shape[1] <= columns.shape[0] else None
    if inverse is None:
        return _one_by_one(columns, targets, signs)
    weights, left = by_gram(gram, inverse, targets @ columns, signs)
    if left.size:
        weights[left] = _one_by_one(columns, targets[left], signs[left])
    return weights


def _inverse(gram: np.ndarray) -> np.ndarray | None:
    """Of a symmetric matrix; None where it is nearly singular."""
    factor, info = dpotrf(gram, lower=0)
    if info:
        return None
    upper, _ = dpotri(factor, lower=0)
    made = np.triu(upper) + np.triu(upper, 1).T
    worst = np.abs(gram).sum(axis=0).max() * np.abs(made).sum(axis=0).max()
    return made if worst < WORST else None


def by_gram(
    gram: np.ndarray, inverse: np.ndarray, products: np.ndarray, signs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights a ≥ 0 with G a − b ≥ 0 and a·(G a − b) = 0, by exchanging all indices that are wrong.

    Reads    gram G (m, m), positive definite, and its inverse; products b (n, m); signs (n, m) in place of +
    Returns  weights (n, m), and the rows that did not settle
    """
    many, size = products.shape
    passive = _guess(gram, inverse, products, signs)
    padded = np.zeros((2 * size, 2 * size))
    padded[:size, :size] = gram
    padded[np.arange(size, 2 * size), np.arange(size, 2 * size)] = 1
    weights = np.zeros((many, size))
    fewest, patience = np.full(many, size + 1), np.full(many, PATIENCE)
    slack = -ROUNDING * np.abs(products).max(axis=1, initial=0)
    todo = np.arange(many)
    for _ in range(5 * size + 50):
        todo = todo[np.argsort(passive[todo].sum(axis=1), kind="stable")]
        inside = passive[todo]
        weights[todo] = _unbounded(padded, products[todo], inside)
        gradient = signs[todo] * (weights[todo] @ gram - products[todo])
        wrong = np.where(inside, signs[todo] * weights[todo] < 0, gradient < slack[todo, None])
        count = wrong.sum(axis=1)
        todo, inside, wrong, count = (part[count > 0] for part in (todo, inside, wrong, count))
        if not todo.size:
            break
        better = count < fewest[todo]
        fewest[todo] = np.where(better, count, fewest[todo])
        patience[todo] = np.where(better, PATIENCE, patience[todo] - 1)
        single = np.flatnonzero(patience[todo] < 0)
        last = size - 1 - wrong[single, ::-1].argmax(axis=1)
        wrong[single] = np.arange(size) == last[:, None]
        passive[todo] = inside ^ wrong
    return weights, todo


def _guess(gram: np.ndarray, inverse: np.ndarray, products: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Which weights are not 0, after some steps of an accelerated projected gradient: few are wrong, so that
    few systems are solved (Beck and Teboulle 2009, doi 10.1137/080716542).
    """
    way: np.ndarray = np.ones(len(gram))
    for _ in range(POWERS):
        way = gram @ (way / np.linalg.norm(way))
    size = LARGER * float(np.linalg.norm(way))
    weights = signs * np.maximum(signs * (products @ inverse), 0)
    ahead, pace = weights, 1.0
    for _ in range(STEPS):
        moved = signs * np.maximum(signs * (ahead - (ahead @ gram - products) / size), 0)
        faster = 0.5 * (1 + np.sqrt(1 + 4 * pace**2))
        ahead = moved + (pace - 1) / faster * (moved - weights)
        weights, pace = moved, faster
    return np.asarray(signs * (weights - (weights @ gram - products) / size) > 0)


def _unbounded(padded: np.ndarray, products: np.ndarray, passive: np.ndarray) -> np.ndarray:
    """Least squares in the passive columns of each row, rows in the order of their number of columns.

    Reads    padded (2m, 2m): the Gram matrix, and ones on the diagonal beyond it, which fill up what a row
             lacks of the longest of its block
    """
    size = products.shape[1]
    counts = passive.sum(axis=1)
    rows, columns = np.nonzero(passive)
    place = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.zeros(products.shape)
    flat = padded.reshape(-1)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    for start in range(0, len(passive), AT_ONCE):
        stop = min(start + AT_ONCE, len(passive))
        some = slice(bounds[start], bounds[stop])
        row, column, spot = rows[some] - start, columns[some], place[some]
        width = max(int(counts[stop - 1]), 1)
        index = np.tile(np.arange(size, size + width), (stop - start, 1))
        right = np.zeros(index.shape)
        index[row, spot] = column
        right[row, spot] = products[row + start, column]
        matrix = flat.take(index[:, :, None] * (2 * size) + index[:, None, :])
        found[row + start, column] = np.linalg.solve(matrix, right[..., None])[row, spot, 0]
    return found


def _one_by_one(columns: np.ndarray, targets: np.ndarray, signs: np.ndarray) -> np.ndarray:
    from scipy.optimize import nnls

    rounds = max(30 * columns.shape[1], 100)
    pairs = zip(targets, signs, strict=True)
    return np.array([sign * nnls(columns * sign, target, maxiter=rounds)[0] for target, sign in pairs])
