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
    """Who trains: members (fold, class, n), 0 or 1. Of every class: its rows that train in some fold; whether
    scatters are totals less what a fold leaves out; the rows (fold, r) that it leaves out or else trains,
    padded with n; and whether each row is left out just once, so that the parts left out add up to the
    total."""

    members: np.ndarray
    inside: list[np.ndarray]
    less: list[bool]
    rows: list[np.ndarray]
    parts: list[bool]

    @property
    def counts(self) -> np.ndarray:
        """Training presentations (fold, class)."""
        return self.members.sum(axis=2)


class Room(NamedTuple):
    """Buffers: of every class, the rows it takes (fold, r + 1, p); of every panel, (fold, class, row,
    column from the panel's first on); and room for squares."""

    taken: list[np.ndarray]
    panels: list[np.ndarray]
    square: np.ndarray


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
    rows = [
        _padded(out if fewer else into, codes.size) for out, into, fewer in zip(left, kept, less, strict=True)
    ]
    parts = [
        np.array_equal(np.sort(np.concatenate(out)), all_) for out, all_ in zip(left, inside, strict=True)
    ]
    return Plan(members, inside, less, rows, parts)


def room_for(made: Plan, presentations: int, features: int) -> Room:
    """Buffers that serve all times of a block, one after another: fresh ones would be paged in each time."""
    folds, classes = made.members.shape[:2]
    taken = [np.zeros((folds, rows.shape[1] + 1, features)) for rows in made.rows]
    widths = [(part.stop - part.start, features - part.start) for part in panels(features)]
    return Room(
        taken, [np.empty((classes, folds, *size)) for size in widths], np.empty((presentations, features))
    )


def means(x: np.ndarray, square: np.ndarray, made: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population variance (fold, class, p) of the training presentations; x (n, p), best near
    zero.
    """
    shape = (*made.members.shape[:2], x.shape[1])
    share = (made.members / made.counts[..., None]).reshape(-1, len(x))
    mean = share @ x
    return mean.reshape(shape), (share @ square - mean**2).reshape(shape)


def scatters(x: np.ndarray, mean: np.ndarray, made: Plan, room: Room) -> Iterator[tuple[slice, np.ndarray]]:
    """Panel after panel: its rows of the scatter matrices, and (fold, class, row, column from the panel's
    first on).

    Reads    x (n, p), best near zero; mean (fold, class, p); room, whose panels keep the matrices until
             the next call
    """
    for code in range(len(made.rows)):
        _take(x, mean[:, code], made, code, room.taken[code])
    for part, panel in zip(panels(x.shape[1]), room.panels, strict=True):
        for code, taken in enumerate(room.taken):
            mine = panel[code]
            np.matmul(taken[:, :, part].swapaxes(1, 2), taken[:, :, part.start :], out=mine)
            if made.less[code]:
                np.subtract(_whole(x, made, code, taken, mine, part), mine, out=mine)
        yield part, panel


def _take(x: np.ndarray, mean: np.ndarray, made: Plan, code: int, taken: np.ndarray) -> None:
    """The rows that a fold leaves out and its mean, to be taken from the total; or its rows about their
    mean.
    """
    rows = made.rows[code]
    taken[:, :-1] = x[np.minimum(rows, len(x) - 1)]
    if made.less[code]:
        taken[:, -1] = np.sqrt(made.counts[:, code])[:, None] * mean
    else:
        taken[:, :-1] -= mean[:, None]
    if (rows == len(x)).any():
        taken[:, :-1] *= (rows < len(x))[..., None]


def _whole(
    x: np.ndarray, made: Plan, code: int, taken: np.ndarray, parts: np.ndarray, part: slice
) -> np.ndarray:
    """The class's own panel: what folds leave out added up, less their means' share, or made anew."""
    if made.parts[code]:
        means = taken[:, -1]
        added = (np.ones(len(parts)) @ parts.reshape(len(parts), -1)).reshape(parts.shape[1:])
        return added - means[:, part].T @ means[:, part.start :]
    total = x[made.inside[code]]
    return total[:, part].T @ total[:, part.start :]


def panels(features: int) -> list[slice]:
    """Rows of each panel."""
    return [slice(start, min(start + PANEL, features)) for start in range(0, features, PANEL)]


def _padded(rows: list[np.ndarray], filler: int) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows))), filler)
    for line, part in zip(out, rows, strict=True):
        line[: part.size] = part
    return out
