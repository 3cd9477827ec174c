"""Kernel ridge of many strengths where each block of rows is predicted from all others: one decomposition."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dposv

SLACK = 1e-9  # that rounding may take from a bound


def errors(
    size: np.ndarray, vectors: np.ndarray, cross: np.ndarray, blocks: list[np.ndarray], alphas: np.ndarray
) -> np.ndarray:
    """Mean squared error of every strength, summed over blocks.

    With K = U diag(size) U' of centred features, H that centres, and G = H (K + αI)⁻¹ H, the error in block b
    is (G_bb)⁻¹ (Gy)_b, an intercept fitted without b. Its norm is at least |(Gy)_b| (α + least size). So
    strengths are not tried in columns where this shows that a smaller one is better.

    Reads    size (n) ascending, vectors U (n, n), cross U'y (n, q); blocks, which part the rows
    Returns  (alpha, q), infinite where not tried, or where rounding leaves nothing of G_bb
    Source   Rifkin and Lippert 2007 (leaving one out)
    """
    sizes = [block.size for block in blocks]
    parts = [slice(end - count, end) for end, count in zip(np.cumsum(sizes), sizes, strict=True)]
    centred = np.ascontiguousarray((vectors - vectors.mean(axis=0))[np.concatenate(blocks)])
    left, size = np.empty((max(sizes), len(size))), np.maximum(size, 0)
    power = np.square(cross)
    found = np.full((alphas.size, cross.shape[1]), np.inf)
    least = np.full(cross.shape[1], np.inf)
    for place in np.argsort(alphas):
        curve = 1 / (size + alphas[place])
        bound = (size[1] + alphas[place]) ** 2 / max(sizes) * (np.square(curve) @ power)
        some = np.flatnonzero(bound <= least * (1 + SLACK))
        if not some.size:
            continue
        root = np.sqrt(curve)
        right = cross[:, some].T * root
        total = np.zeros(some.size)
        for part in parts:
            rows = np.multiply(centred[part], root, out=left[: part.stop - part.start])
            error, failed = dposv((rows @ rows.T).T, (right @ rows.T).T, 1, 1, 1)[1:]
            total += np.inf if failed else np.einsum("nq,nq->q", error, error) / len(rows)
        found[place, some] = total
        least[some] = np.minimum(least[some], total)
    return found
