"""Ridge regressions of many strengths at the price of one decomposition a training set.

Where features outnumber rows, everything is said of K = XX' instead of X'X, and X is not needed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dormqr, dsytrd, dsytrd_lwork

from analyses import _ridge_blocks
from analyses._sums import Split, cross, levels, squares

ROOM = 2**23  # numbers in one product over many strengths


class Space(NamedTuple):
    """Features (n, p), or their products K (n, n) where `dual`."""

    values: np.ndarray
    dual: bool


class Solved(NamedTuple):
    """A training set: ŷ = level + shown (T + αI)⁻¹ cross of its test rows, for every strength α; T has this
    diagonal, and this off-diagonal unless it is empty."""

    diagonal: np.ndarray
    off: np.ndarray
    cross: np.ndarray
    shown: np.ndarray
    level: np.ndarray

    def predicted(self, alphas: np.ndarray | float) -> np.ndarray:
        """ŷ (test, q) with one strength, or with one for each column."""
        columns = self.cross.shape[1]
        solved = _shifted(self, np.broadcast_to(alphas, (1, columns)), self.cross[:, None])
        return np.asarray(self.level + self.shown @ solved[:, 0])


def space(x: np.ndarray, always: bool = False) -> Space:
    """Features (n, p) or, where p > n or `always`, their products."""
    return Space(x @ x.T, True) if always or x.shape[1] > len(x) else Space(x, False)


def solve(shape: Space, y: np.ndarray, splits: list[Split], whole: bool = False) -> Iterator[Solved]:
    """Each split's centred X'X, or K, as QTQ': T tridiagonal, or diagonal if `whole`.

    Primal: cross Q'X'Y, shown XQ. Dual: cross Q'Y, shown KQ.
    """
    if shape.dual:
        for split in splits:
            within, beside = _centred(shape.values, split)
            middle = y[split.train].mean(axis=0)
            diagonal, off, right, left = _turned(within, y[split.train] - middle, beside, whole)
            yield Solved(diagonal, off, right, left, middle)
        return
    x = shape.values
    means = levels(x, y, splits)
    parts = zip(splits, means, squares(x, splits, means), cross(x, y, splits, means), strict=True)
    for split, (mean, middle), square, product in parts:
        tested = x[split.test]
        tested -= mean
        diagonal, off, right, left = _turned(square, product, tested, whole)
        yield Solved(diagonal, off, right, left, middle)


def fixed(shape: Space, y: np.ndarray, splits: list[Split], alpha: float) -> list[np.ndarray]:
    """Predictions (test, q) of every split with one strength: ‖y − ȳ − (X − x̄) w‖² + α ‖w‖² is least.

    Source   Hoerl and Kennard 1970, doi 10.1080/00401706.1970.10488634
    """
    return [made.predicted(alpha) for made in solve(shape, y, splits)]


def chosen(
    shape: Space, y: np.ndarray, splits: list[Split], inner: list[list[Split]], alphas: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Predictions with, for every column of y, the strength of least squared error inside the training rows.

    Reads    inner, for every split the splits of its training rows, each of which is tested once
    Returns  of every split, predictions (test, q); the places (split, q) of the strengths in alphas
    """
    if shape.dual:
        pairs = [_by_blocks(shape.values, y, *both, alphas) for both in zip(splits, inner, strict=True)]
        return [guess for guess, _ in pairs], np.array([best for _, best in pairs])
    every = [part for split, parts in zip(splits, inner, strict=True) for part in [*parts, split]]
    solved = solve(shape, y, every)
    found, places = [], []
    for parts in inner:
        loss = np.zeros((alphas.size, y.shape[1]))
        for part in parts:
            loss += losses(next(solved), y[part.test], alphas)
        places.append(loss.argmin(axis=0))
        found.append(next(solved).predicted(alphas[places[-1]]))
    return found, np.array(places)


def _by_blocks(
    products: np.ndarray, y: np.ndarray, split: Split, inner: list[Split], alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (test, q) and the places (q) of their strengths, from products (n, n) of all features."""
    within, beside = _centred(products, split)
    level = y[split.train].mean(axis=0)
    size, vectors = eigh(within, driver="evd", overwrite_a=True, check_finite=False)
    made = Solved(size, size[:0], vectors.T @ (y[split.train] - level), beside @ vectors, level)
    place = np.empty(len(products), int)
    place[split.train] = np.arange(split.train.size)
    loss = _ridge_blocks.errors(size, vectors, made.cross, [place[part.test] for part in inner], alphas)
    best = loss.argmin(axis=0)
    return made.predicted(alphas[best]), best


def losses(made: Solved, y: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Mean squared error (alpha, q) of every strength on the test rows."""
    y = y - made.level
    step = max(1, ROOM // max(made.cross.size, y.size))
    found = []
    for start in range(0, alphas.size, step):
        some = alphas[start : start + step]
        solved = _shifted(made, some[:, None], made.cross[:, None])
        error = (made.shown @ solved.reshape(len(solved), -1)).reshape(len(y), some.size, -1)
        error -= y[:, None, :]
        found.append(np.einsum("naq,naq->aq", error, error))
    return np.concatenate(found) / len(y)


def coefficients(x: np.ndarray, y: np.ndarray, alphas: np.ndarray | float) -> np.ndarray:
    """w (p, q) of least ‖y - xw‖² + α ‖w‖², a strength for each column, of centred x (n, p) and y (n, q)."""
    shape = space(x)
    square, right, left = (shape.values, y, x.T) if shape.dual else (x.T @ x, x.T @ y, np.eye(x.shape[1]))
    diagonal, off, right, left = _turned(square, right, left, False)
    return Solved(diagonal, off, right, left, np.zeros(y.shape[1])).predicted(alphas)


def left_one_out(
    shape: Space, y: np.ndarray, split: Split, alphas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (test, q) with the one strength of least error when each training row is left out in turn.

    A row's error is (y - ŷ) / (1 - h), h its leverage with intercept.

    Returns  predictions; the mean squared error (alpha) left out, infinite for a strength whose lower bound
             showed that another is better
    Source   Golub, Heath and Wahba 1979, doi 10.1080/00401706.1979.10489751; Rifkin and Lippert 2007
    """
    count = split.train.size
    both = Split(split.train, np.concatenate([split.train, split.test]))
    (made,) = solve(shape, y, [both], whole=True)
    size = np.maximum(made.diagonal, 0)
    first = int(np.searchsorted(size, np.finfo(float).eps * max(shape.values.shape) * size[-1], "right"))
    size, left = size[first:], made.shown[:count, first:]
    unit = size if shape.dual else np.sqrt(size)
    right = made.cross[first:] * (unit / size)[:, None]
    curves = size / (size + alphas[:, None])
    loss = _left_out_errors(y[split.train] - made.level, left, unit, right, curves)
    tested = made._replace(shown=made.shown[count:])
    return tested.predicted(float(alphas[loss.argmin()])), loss / y[split.train].size


def _left_out_errors(
    y: np.ndarray, left: np.ndarray, unit: np.ndarray, right: np.ndarray, curves: np.ndarray
) -> np.ndarray:
    """Σ v |e|² over rows, e of y - U diag(curve) U'y, v = 1 / (1 - h)², for every curve that may be best.

    left is U diag(unit), right is U'y.

    From one strength to another e moves by d, of known |d|² and known sum over rows of e·d. Hence, with v̄ the
    mean of v, Σ v |e + d|² ≥ Σ v |e|² + 2 v̄ Σ e·d - 2 √(Σ (v - v̄)² |e|² · |d|²) + |d|² min v.
    """
    power = (right**2).sum(axis=1)
    weight = (1 - 1 / len(y) - curves / unit**2 @ np.square(left).T) ** -2.0
    mean, least = weight.mean(axis=1), weight.min(axis=1)
    whole = np.maximum((y**2).sum() - power.sum() + (1 - curves) ** 2 @ power, 0)
    low, guess, loss = whole * least, whole * mean, np.full(len(curves), np.inf)
    todo = low <= (whole * weight.max(axis=1)).min()
    while todo.any():
        now = np.flatnonzero(todo)[guess[todo].argmin()]
        error = y - left @ ((curves[now] / unit)[:, None] * right)
        norms = np.einsum("nq,nq->n", error, error)
        loss[now] = weight[now] @ norms
        moved = curves - curves[now]
        far = moved**2 @ power
        slope = mean * (moved * (1 - curves[now]) @ power)
        slope += np.sqrt((weight - mean[:, None]) ** 2 @ norms * far)
        low = np.maximum(low, weight @ norms - 2 * slope + least * far)
        todo[now] = False
        todo &= low < loss.min()
    return loss


def _turned(square: np.ndarray, right: np.ndarray, left: np.ndarray, whole: bool) -> tuple[np.ndarray, ...]:
    """square = QTQ': diagonal and off-diagonal of T, Q' right and left Q."""
    if whole or len(square) < 3:
        values, vectors = eigh(square, driver="evd", overwrite_a=True, check_finite=False)
        return values, values[:0], vectors.T @ right, left @ vectors
    work = int(dsytrd_lwork(len(square), lower=1)[0])
    packed, diagonal, off, tau, _ = dsytrd(square.T, lower=1, lwork=work, overwrite_a=1)
    packed = np.asfortranarray(packed[1:, :-1])
    right, left = np.array(right, order="F"), np.array(left, order="F")
    for side, turn, matrix in (("L", "T", right), ("R", "N", left)):
        part = matrix[1:] if side == "L" else matrix[:, 1:]
        work = 64 * max(matrix.shape)
        part[...] = dormqr(side, turn, packed, tau, part, work)[0]
    return diagonal, off, right, left


def _shifted(made: Solved, alphas: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(T + α)⁻¹ right of right (d, …), for α of shapes that broadcast with the dimensions after the first."""
    if not made.off.size:
        return np.asarray(right / (made.diagonal[:, None, None] + alphas))
    pivot, ratio = np.empty((2, made.diagonal.size, *alphas.shape))
    solved = np.empty((made.diagonal.size, *np.broadcast_shapes(alphas.shape, right.shape[1:])))
    pivot[0], solved[0] = made.diagonal[0] + alphas, right[0]
    for row, off in enumerate(made.off):
        ratio[row] = off / pivot[row]
        pivot[row + 1] = made.diagonal[row + 1] + alphas - off * ratio[row]
        np.multiply(ratio[row], solved[row], out=solved[row + 1])
        np.subtract(right[row + 1], solved[row + 1], out=solved[row + 1])
    solved /= pivot
    for row in range(made.off.size - 1, -1, -1):
        solved[row] -= ratio[row] * solved[row + 1]
    return solved


def _centred(products: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """K among the training rows and of test by training rows, of features centred on the training rows."""
    within = products[np.ix_(split.train, split.train)]
    beside = products[np.ix_(split.test, split.train)]
    mean = within.mean(axis=0)
    within -= mean
    within -= (mean - mean.mean())[:, None]
    beside -= mean
    beside -= beside.mean(axis=1, keepdims=True)
    return within, beside
