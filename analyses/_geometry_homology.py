"""Persistent homology of a point cloud: its parts and its loops, with the sizes at which they come and go."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform


def distances(points: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, n) of points (n, p)."""
    return np.asarray(squareform(pdist(points)))


def parts(distance: np.ndarray) -> np.ndarray:
    """Deaths of connected components (n − 1), all born at 0, the one that lasts left out; longest first.

    >>> parts(distances(np.array([[0.0], [1.0], [3.0]])))
    array([2., 1.])
    """
    ranks, lengths = _ranks(distance)
    tree = minimum_spanning_tree(np.triu(ranks + 1, 1)).tocoo()
    return np.sort(lengths[tree.data.astype(np.int64) - 1])[::-1]


def loops(distance: np.ndarray) -> np.ndarray:
    """Births and deaths (loop, 2) of loops in the Vietoris-Rips complex, longest life first.

    Persistent cohomology over two elements. Edges have unique ranks, and a triangle is known by its longest
    edge and the vertex opposite. An edge with a triangle of which it is the longest side pairs with the first
    of these at once; edges of the spanning tree are those that join parts; only the others are reduced.

    Reads    distance (n, n), symmetric
    Returns  pairs of positive life
    Source   de Silva, Morozov and Vejdemo-Johansson 2011, doi 10.1088/0266-5611/27/12/124003; Bauer 2021, doi
             10.1007/s41468-021-00071-5
    """
    count = len(distance)
    ranks, lengths = _ranks(distance)
    limit = int(np.searchsorted(lengths, distance.max(axis=1).min() * (1 + 1e-12), side="right"))
    first = _nearest_triangle(ranks)
    tree = minimum_spanning_tree(np.triu(ranks + 1, 1)).tocoo()
    joins = set((tree.data.astype(np.int64) - 1).tolist())
    rows, columns = np.triu_indices(count, 1)
    order = np.argsort(ranks[rows, columns])
    ends = np.stack([rows[order], columns[order]], axis=1)
    opposite = first[ends[:, 0], ends[:, 1]]
    reduced: dict[int, np.ndarray] = {}
    column = np.zeros(limit * count + 1, dtype=bool)
    found = []
    for edge in np.flatnonzero(opposite[:limit] < 0)[::-1].tolist():
        if edge in joins:
            continue
        touched = [_triangles(edge, ends, ranks, limit)]
        column[touched[0]] = True
        pivot = int(touched[0].min(initial=limit * count))
        while column[pivot]:
            longest, vertex = divmod(pivot, count)
            if opposite[longest] == vertex:
                touched.append(_triangles(longest, ends, ranks, limit))
            elif pivot in reduced:
                touched.append(reduced[pivot])
            else:
                every = np.concatenate(touched)
                reduced[pivot] = np.unique(every[column[every]])
                found.append((lengths[edge], lengths[longest]))
                break
            column[touched[-1]] ^= True
            pivot += int(column[pivot:].argmax())
        for part in touched:
            column[part] = False
    pairs = np.array(found).reshape(-1, 2)
    life = pairs[:, 1] - pairs[:, 0]
    return np.asarray(pairs[np.argsort(-life, kind="stable")][: int((life > 0).sum())])


def _ranks(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of every edge (n, n) in the order of lengths, −1 on the diagonal, and the lengths in order."""
    count = len(distance)
    rows, columns = np.triu_indices(count, 1)
    lengths = distance[rows, columns]
    order = np.argsort(lengths, kind="stable")
    ranks = np.full((count, count), -1, dtype=np.int32)
    ranks[rows[order], columns[order]] = np.arange(order.size)
    ranks[columns[order], rows[order]] = np.arange(order.size)
    return ranks, lengths[order]


def _nearest_triangle(ranks: np.ndarray) -> np.ndarray:
    """The first vertex (n, n) that lies nearer to both ends of an edge than they to each other, else −1."""
    found = np.full(ranks.shape, -1, dtype=np.int64)
    for vertex in range(len(ranks) - 1, -1, -1):
        near = np.maximum(ranks[:, vertex, None], ranks[None, vertex]) < ranks
        near[vertex] = near[:, vertex] = False
        found[near] = vertex
    return found


def _triangles(edge: int, ends: np.ndarray, ranks: np.ndarray, limit: int) -> np.ndarray:
    """Numbers of the triangles on an edge: rank of the longest side times n, plus the vertex opposite."""
    a, b = ends[edge]
    left, right = ranks[a].astype(np.int64), ranks[b].astype(np.int64)
    longest = np.maximum(np.maximum(left, right), edge)
    every = np.arange(len(ranks))
    vertex = np.where(longest == edge, every, np.where(left > right, b, a))
    inside = (longest < limit) & (every != a) & (every != b)
    return np.asarray((longest * len(ranks) + vertex)[inside])


def landmarks(points: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Places of `most` points, each the farthest from those before, the first at random."""
    chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    far = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(most, len(points)):
        chosen.append(int(far.argmax()))
        far = np.minimum(far, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)
