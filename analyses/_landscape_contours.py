"""Level sets of a map: how many are closed, how many end at its border, how round those of the peak are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

TOP, LEFT, RIGHT, BOTTOM = range(4)  # the edges of a cell of four grid points


def _table() -> np.ndarray:
    """Segments (case, 2, 2) of a cell; corners above the level count 1, 2 (upper), 4, 8 (lower row).

    Where two diagonal corners are above, each is cut off by itself. -1: no segment.
    """
    made = np.full((16, 2, 2), -1)
    ends = {TOP: (1, 2), LEFT: (1, 4), RIGHT: (2, 8), BOTTOM: (4, 8)}
    for case in range(16):
        crossed = [edge for edge, (a, b) in ends.items() if bool(case & a) != bool(case & b)]
        if len(crossed) == 2:
            made[case, 0] = crossed
    made[6] = [[TOP, RIGHT], [LEFT, BOTTOM]]
    made[9] = [[TOP, LEFT], [BOTTOM, RIGHT]]
    return made


SEGMENTS = _table()


class Contours(NamedTuple):
    """Every place where a level crosses the grid, and which curve it is part of.

    node, edge or point of the grid; level of each node, and its curve; of each curve its level and whether it
    is closed
    """

    node: np.ndarray
    level: np.ndarray
    curve: np.ndarray
    curve_level: np.ndarray
    closed: np.ndarray


def contours(field: np.ndarray, levels: np.ndarray) -> Contours:
    """Marching squares at all levels. A curve is closed, or ends twice at the border.

    Edges are numbered row by row, those along a row first; where a level equals a grid point all edges that
    are crossed there are that point.

    Reads    field (row, column); levels
    Source   Lorensen and Cline 1987, doi 10.1145/37402.37422 (marching cubes, here in the plane)
    """
    size = field.size
    parts = [_segments(field, float(level)) + 3 * size * k for k, level in enumerate(levels)]
    both = np.concatenate(parts)
    node, inverse = np.unique(both, return_inverse=True)
    ends = inverse.reshape(-1, 2)
    count = node.size
    graph = coo_matrix((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (count, count))
    many, curve = connected_components(graph, directed=False)
    odd = np.bincount(ends.ravel(), minlength=count) % 2
    level = node // (3 * size)
    curve_level = np.zeros(many, int)
    curve_level[curve] = level
    closed = np.bincount(curve, weights=odd, minlength=many) == 0
    return Contours(node % (3 * size), level, curve, curve_level, closed)


def counts(found: Contours, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Closed curves and curves that end at the border (level,)."""
    loops = np.bincount(found.curve_level[found.closed], minlength=levels)
    lines = np.bincount(found.curve_level[~found.closed], minlength=levels)
    return loops, lines


def _segments(field: np.ndarray, level: float) -> np.ndarray:
    """Pairs of nodes (segment, 2)."""
    high = field > level
    case = high[:-1, :-1] + 2 * high[:-1, 1:] + 4 * high[1:, :-1] + 8 * high[1:, 1:].astype(np.int8)
    row, column = np.nonzero((case > 0) & (case < 15))
    wide, size = field.shape[1], field.size
    here = row * wide + column
    edges = np.stack([here, size + here, size + here + 1, here + wide], axis=1)  # as TOP to BOTTOM
    told = SEGMENTS[case[row, column]]
    cell, which = np.nonzero(told[:, :, 0] >= 0)
    made = np.take_along_axis(edges[cell], told[cell, which], axis=1)
    flat = field.ravel()
    if (flat == level).any():
        made = _merged(made, flat, level, wide)
    return np.asarray(made, dtype=np.int64).reshape(-1, 2)


def _merged(made: np.ndarray, flat: np.ndarray, level: float, wide: int) -> np.ndarray:
    """Edges that are crossed at a grid point become that point; segments without length are left out."""
    along = made < flat.size
    first = np.where(along, made, made - flat.size)
    second = first + np.where(along, 1, wide)
    low = np.where(flat[first] > level, second, first)
    made = np.where(flat[low] == level, 2 * flat.size + low, made)
    return np.asarray(made[made[:, 0] != made[:, 1]])


def places(field: np.ndarray, levels: np.ndarray, found: Contours) -> np.ndarray:
    """Rows and columns (node, 2) where a level crosses, linear along an edge."""
    size, wide = field.size, field.shape[1]
    kind, index = np.divmod(found.node, size)
    first = np.stack(np.divmod(index, wide), axis=1).astype(float)
    step = np.where(kind[:, None] == 0, [0, 1], np.where(kind[:, None] == 1, [1, 0], [0, 0]))
    flat = field.ravel()
    other = flat[np.minimum(index + step[:, 0] * wide + step[:, 1], size - 1)]
    gap = other - flat[index]
    share = np.divide(levels[found.level] - flat[index], gap, out=np.zeros(len(index)), where=gap != 0)
    return first + share[:, None] * step


def roundness(
    field: np.ndarray, levels: np.ndarray, found: Contours, distance: np.ndarray, peak: tuple[int, int]
) -> float:
    """Mean ratio of farthest to nearest point of the closed curves around the peak, from the top level down.

    Reads    distance of each node from the peak
    Returns  1 for circles; NaN where the highest curve ends at the border
    """
    size, wide = field.size, field.shape[1]
    row, column = np.divmod(np.where(found.node < size, found.node, 0), wide)
    left = (found.node < size) & (row == peak[0]) & (column < peak[1])
    around = (np.bincount(found.curve, weights=left, minlength=found.closed.size) % 2 == 1) & found.closed
    if not around.any():
        return np.nan
    near, far = np.full(around.size, np.inf), np.zeros(around.size)
    np.minimum.at(near, found.curve, distance)
    np.maximum.at(far, found.curve, distance)
    ratios = []
    for level in range(len(levels) - 2, 0, -1):
        mine = np.flatnonzero(around & (found.curve_level == level))
        if not mine.size:
            break
        inner = mine[np.argmin(far[mine])]
        ratios.append(far[inner] / max(near[inner], 1e-12))
    return float(np.mean(ratios)) if ratios else np.nan
