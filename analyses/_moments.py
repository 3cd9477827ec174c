"""First and second moments of the training presentations of every fold and class, from one pass over the
data.

A fold's scatter matrix is its class's total less what the fold leaves out, or the sum over its training
presentations where those are fewer. Matrices are made in panels of rows, from the diagonal to the right:
half the work of whole ones, and small enough to stay in the processor's cache from the product to its last
use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

PANEL = 64


class Plan(NamedTuple):
    """Who trains, members (fold, class, n), 0 or 1; and of every class: all its rows that train in some
    fold, whether scatters are totals less what a fold leaves out, and the rows (fold, r) that it leaves
    out or else trains, padded with -1."""

    members: np.ndarray
    inside: list[np.ndarray]
    less: list[bool]
    rows: list[np.ndarray]

    @property
    def counts(self) -> np.ndarray:
        """Training presentations (fold, class)."""
        return self.members.sum(axis=2)


def plan(codes: np.ndarray, train: np.ndarray) -> Plan:
    """What the folds of `train` (fold, n) take of the classes of `codes` (n), made once for all times."""
    classes = [codes == code for code in range(codes.max() + 1)]
    members = np.array([mine & train for mine in classes], dtype=float).swapaxes(0, 1)
    fewest = members.sum(axis=2).min(axis=1)
    if fewest.min() < 2:
        raise ValueError(
            f"fold {fewest.argmin()}: a class has fewer than 2 training presentations; use fewer folds"
        )
    inside = [np.flatnonzero(mine & train.any(axis=0)) for mine in classes]
    left = [[rows[~side[rows]] for side in train] for rows in inside]
    kept = [[rows[side[rows]] for side in train] for rows in inside]
    less = [sum(map(len, out)) < sum(map(len, into)) for out, into in zip(left, kept, strict=True)]
    rows = [_padded(out if fewer else into) for out, into, fewer in zip(left, kept, less, strict=True)]
    return Plan(members, inside, less, rows)


def means(x: np.ndarray, square: np.ndarray, made: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population variance (fold, class, p) of the training presentations; x (n, p), best centred."""
    shape = (*made.members.shape[:2], x.shape[1])
    share = (made.members / made.counts[..., None]).reshape(-1, len(x))
    mean = share @ x
    return mean.reshape(shape), (share @ square - mean**2).reshape(shape)


def scatters(
    x: np.ndarray, mean: np.ndarray, made: Plan, code: int, room: list[np.ndarray]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Of one class, panel after panel: its rows of the matrix, and (fold, row, column from the panel's
    first on).

    Reads    x (n, p), best centred; mean (fold, p); room, the buffers that hold and keep the panels
    """
    taken = x[made.rows[code]] * (made.rows[code] >= 0)[..., None]
    weight = np.sqrt(made.counts[:, code])[:, None]
    if made.less[code]:
        taken = np.concatenate([taken, (weight * mean)[:, None]], axis=1)
        total = x[made.inside[code]]
    else:
        taken -= mean[:, None] * (made.rows[code] >= 0)[..., None]
    for panel, rows in zip(room, panels(x.shape[1]), strict=True):
        np.matmul(taken[:, :, rows].swapaxes(1, 2), taken[:, :, rows.start :], out=panel)
        if made.less[code]:
            np.subtract(total[:, rows].T @ total[:, rows.start :], panel, out=panel)
        yield rows, panel


def panels(features: int) -> list[slice]:
    """Rows of each panel."""
    return [slice(start, min(start + PANEL, features)) for start in range(0, features, PANEL)]


def buffers(folds: int, features: int) -> list[np.ndarray]:
    """Room for the panels of one class: (fold, row, column from the panel's first on)."""
    return [np.empty((folds, rows.stop - rows.start, features - rows.start)) for rows in panels(features)]


def centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (n, p) less its column means, and the means: large offsets then cost no digits."""
    middle = x.mean(axis=0)
    return x - middle, middle


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows))), -1)
    for line, part in zip(out, rows, strict=True):
        line[: part.size] = part
    return out
