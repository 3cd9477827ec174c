"""Linear discriminants of every pair of conditions, exactly, in the space of the pair's few presentations.

With training presentations far fewer than neuroids the pooled covariance is a diagonal plus a product of
rank n, so that Woodbury's identity replaces a factorisation of size p by one of size n, for many pairs in
one batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyses._lda import amount, scales


class Conditions(NamedTuple):
    """Of one time and fold, padded with zero rows: root (condition, r, p), whose product is the kept
    covariance times the count; ridge (condition, p); mean (condition, p); counts; test (condition, s, p)
    and which of its rows are real.
    """

    root: np.ndarray
    ridge: np.ndarray
    mean: np.ndarray
    counts: np.ndarray
    test: np.ndarray
    real: np.ndarray


def aucs(
    block: np.ndarray, codes: np.ndarray, train: np.ndarray, test: np.ndarray, shrinkage: float | None = None
) -> np.ndarray:
    """AUC of every pair of conditions, LDA as in `_lda.fit` of the pair's presentations alone.

    Reads    block (time, n, p); codes (n), 0 .. conditions-1; train, test (fold, n)
    Returns  auc (time, condition, condition), symmetric, NaN on the diagonal
    Source   Ledoit and Wolf 2004; Woodbury 1950 for the inverse
    """
    if shrinkage is not None and not shrinkage > 0:
        raise ValueError(f"shrinkage: {shrinkage}; pairs of few presentations need one above 0")
    return np.array([_aucs(moment, codes, train, test, shrinkage) for moment in block])


def _aucs(
    x: np.ndarray, codes: np.ndarray, train: np.ndarray, test: np.ndarray, shrinkage: float | None
) -> np.ndarray:
    if not np.isfinite(x).all():
        row, neuroid = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"response: presentation {row}, neuroid {neuroid} is not finite; nothing is imputed")
    x = x - x[:1]  # far offsets would cost digits
    count = int(codes.max()) + 1
    wins, pairs = np.zeros((count, count)), np.zeros((count, count))
    for inside, outside in zip(train, test, strict=True):
        made = _conditions(x, codes, inside, outside, shrinkage)
        for first in range(count - 1):
            won, possible = _against_later(made, first)
            wins[first, first + 1 :] += won
            pairs[first, first + 1 :] += possible
    with np.errstate(invalid="ignore"):
        upper = np.triu(wins / pairs, 1)
    found = upper + upper.T
    np.fill_diagonal(found, np.nan)
    return found


def _conditions(
    x: np.ndarray,
    codes: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    shrinkage: float | None,
) -> Conditions:
    count, features = int(codes.max()) + 1, x.shape[1]
    rows = [np.flatnonzero((codes == code) & inside) for code in range(count)]
    tests = [np.flatnonzero((codes == code) & outside) for code in range(count)]
    if min(part.size for part in rows) < 2:
        raise ValueError(
            "a condition has fewer than 2 training presentations; use fewer folds or leave it out"
        )
    root = np.zeros((count, max(part.size for part in rows), features))
    test = np.zeros((count, max(part.size for part in tests), features))
    real = np.zeros(test.shape[:2], dtype=bool)
    ridge, mean = np.empty((count, features)), np.empty((count, features))
    for code, (mine, held) in enumerate(zip(rows, tests, strict=True)):
        mean[code] = x[mine].mean(axis=0)
        deviation = x[mine] - mean[code]
        keep, ridge[code] = _shrink(deviation, mean[code], shrinkage)
        root[code, : mine.size] = deviation * np.sqrt(keep)
        test[code, : held.size] = x[held]
        real[code, : held.size] = True
    return Conditions(root, ridge, mean, np.array([part.size for part in rows], dtype=float), test, real)


def _shrink(deviation: np.ndarray, mean: np.ndarray, shrinkage: float | None) -> tuple[float, np.ndarray]:
    """(keep, ridge): the shrunk covariance is keep · deviationᵀ deviation / count + diag(ridge)."""
    count, features = deviation.shape
    variance = (deviation**2).mean(axis=0)
    if shrinkage is not None:
        return 1 - shrinkage, np.full(features, shrinkage * variance.mean())
    scale = scales(variance, count, mean)
    scaled = deviation / scale
    gram = scaled @ scaled.T  # the Frobenius norm is the same in sample space
    varied = round(float((variance / scale**2).sum()))
    fourth, squares = np.asarray((np.diag(gram) ** 2).sum()), np.asarray((gram**2).sum() / count**2)
    gamma = float(amount(np.asarray(count), fourth, squares, np.asarray(varied), features))
    return 1 - gamma, gamma * varied / features * scale**2


def _against_later(made: Conditions, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Ordered pairs of test presentations, and all such pairs, of one condition against every later one."""
    later = slice(first + 1, None)
    total = made.counts[first] + made.counts[later]
    share = made.counts[first] / total
    spread = share[:, None] * made.ridge[first] + (1 - share)[:, None] * made.ridge[later]
    spread[spread == 0] = 1.0  # as in `_lda.fit`: constant within both conditions
    white = 1 / np.sqrt(spread)[:, None]
    near, far = made.root.shape[1], made.test.shape[1]
    stack = np.empty((len(total), 2 * (near + far) + 1, white.shape[-1]))
    # a class's scatter over its count, times its share of the pair: 1 / total for both
    norm = 1 / np.sqrt(total)[:, None, None]
    np.multiply(made.root[first] * norm, white, out=stack[:, :near])
    np.multiply(made.root[later] * norm, white, out=stack[:, near : 2 * near])
    centre = 0.5 * (made.mean[first] + made.mean[later])[:, None]
    np.multiply(made.test[first] - centre, white, out=stack[:, 2 * near : 2 * near + far])
    np.multiply(made.test[later] - centre, white, out=stack[:, 2 * near + far : -1])
    np.multiply((made.mean[later] - made.mean[first])[:, None], white, out=stack[:, -1:])
    basis, rest = stack[:, : 2 * near], stack[:, 2 * near :]
    cross = stack @ basis.swapaxes(1, 2)
    inner = cross[:, : 2 * near] + np.eye(2 * near)
    weights = np.linalg.solve(inner, cross[:, -1, :, None])
    direct = (rest[:, :-1] @ rest[:, -1, :, None])[..., 0]
    decision = direct - (cross[:, 2 * near : -1] @ weights)[..., 0]
    low, high = decision[:, :far, None], decision[:, far:][:, None]
    real = made.real[first][:, None] & made.real[later][:, None]
    return (((high > low) + 0.5 * (high == low)) * real).sum(axis=(1, 2)), real.sum(axis=(1, 2))
