"""First and second moments of the training presentations of every fold and class, from one pass over the
data.

Presentations that are trained in the same folds form a cell; each cell's Gram matrix is made once, and a
fold's is the sum of its cells, or the total less the cells it leaves out where that takes fewer additions.
Matrices are kept as lower triangles in buffers that live as long as one block of times: page faults cost
more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsyr, dsyrk


class Plan(NamedTuple):
    """Rows of every cell; each class's cells; each (fold, class)'s cells to add, or to take from the
    class's total; and who trains: members (fold, class, n), 0 or 1."""

    cells: list[np.ndarray]
    owned: list[list[int]]
    terms: list[list[tuple[bool, list[int]]]]
    members: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Training presentations (fold, class)."""
        return self.members.sum(axis=2)


class Buffers(NamedTuple):
    """Matrices (…, p, p) in the order that LAPACK wants: of cells, of class totals, of one fold's classes,
    spare.
    """

    cells: list[np.ndarray]
    totals: list[np.ndarray]
    fold: list[np.ndarray]
    spare: np.ndarray


def plan(codes: np.ndarray, train: np.ndarray) -> Plan:
    """The cells of `codes` (n) x patterns of `train` (fold, n), and what every fold takes of them."""
    cells: list[np.ndarray] = []
    owned: list[list[int]] = []
    pattern: list[np.ndarray] = []
    for code in range(codes.max() + 1):
        members = np.flatnonzero((codes == code) & train.any(axis=0))
        patterns, which = np.unique(train[:, members], axis=1, return_inverse=True)
        owned.append([len(cells) + number for number in range(patterns.shape[1])])
        cells += [members[which.ravel() == number] for number in range(patterns.shape[1])]
        pattern += list(patterns.T)
    members = np.array([(codes == code) & train for code in range(len(owned))], dtype=float).swapaxes(0, 1)
    if members.sum(axis=2).min() < 2:
        fold = int(members.sum(axis=2).min(axis=1).argmin())
        raise ValueError(f"fold {fold}: a class has fewer than 2 training presentations; use fewer folds")
    terms = [[_terms(mine, pattern, fold) for mine in owned] for fold in range(len(train))]
    return Plan(cells, owned, terms, members)


def _terms(mine: list[int], pattern: list[np.ndarray], fold: int) -> tuple[bool, list[int]]:
    inside = [cell for cell in mine if pattern[cell][fold]]
    outside = [cell for cell in mine if not pattern[cell][fold]]
    return (True, outside) if len(outside) < len(inside) else (False, inside)


def buffers(made: Plan, features: int) -> Buffers:
    """Room for one block of times."""

    def room(count: int) -> list[np.ndarray]:
        return [matrix.T for matrix in np.zeros((count, features, features))]

    return Buffers(room(len(made.cells)), room(len(made.owned)), room(len(made.owned)), room(1)[0])


def means(x: np.ndarray, made: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population variance (fold, class, p) of the training presentations; x (n, p), best centred."""
    share = made.members / made.counts[..., None]
    mean = share @ x
    return mean, share @ (x * x) - mean**2


def scatters(x: np.ndarray, mean: np.ndarray, made: Plan, room: Buffers) -> Iterator[list[np.ndarray]]:
    """Fold by fold, every class's scatter about its mean, as lower triangles that last until the next
    fold.
    """
    for rows, gram in zip(made.cells, room.cells, strict=True):
        dsyrk(1.0, x[rows].T, beta=0.0, c=gram, lower=1, overwrite_c=1)
    for mine, total in zip(made.owned, room.totals, strict=True):
        _sum([room.cells[cell] for cell in mine], total)
    for fold, terms in enumerate(made.terms):
        for code, (less, cells) in enumerate(terms):
            parts, scatter = [room.cells[cell] for cell in cells], room.fold[code]
            if less:
                _less(room.totals[code], parts, scatter)
            else:
                _sum(parts, scatter)
            dsyr(-made.counts[fold, code], mean[fold, code], lower=1, a=scatter, overwrite_a=1)
        yield room.fold


def centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (n, p) less its column means, and the means: large offsets then cost no digits."""
    middle = x.mean(axis=0)
    return x - middle, middle


def symmetric(lower: np.ndarray) -> np.ndarray:
    """A full matrix from its lower triangle."""
    return np.tril(lower) + np.tril(lower, -1).T


def _less(total: np.ndarray, parts: list[np.ndarray], out: np.ndarray) -> None:
    if not parts:
        out[...] = total
    for place, part in enumerate(parts):
        np.subtract(out if place else total, part, out=out)


def _sum(parts: list[np.ndarray], out: np.ndarray) -> None:
    out[...] = parts[0]
    for part in parts[1:]:
        out += part
