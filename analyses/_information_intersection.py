"""Information about one thing that is also information about another: a minimum over all joint laws that keep
the pairs' laws, found by alternating projections.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 2000  # of alternation, at most
SWEEPS = 3  # of each projection onto the marginals
SETTLED = 1e-9  # bit of change, below which the alternation ends
EXACT = 1e-12  # of a marginal, to which the last projection goes


def both(joint: np.ndarray) -> np.ndarray:
    """Bits (row) of joint laws (row, s, r, c) that r has about s and brings to c: the smaller of what r and c
    share about s, and of what r and s share about c.
    """
    turned = np.ascontiguousarray(joint.transpose(0, 3, 2, 1))
    return np.minimum(shared(joint), shared(turned))


def shared(joint: np.ndarray) -> np.ndarray:
    """Bits (row) that r and c, each alone, have about s in common, of joint laws (row, s, r, c).

    >>> same = np.zeros((1, 2, 2, 2))
    >>> same[0, 0, 0, 0] = same[0, 1, 1, 1] = 0.5
    >>> shared(same).tolist()
    [1.0]
    """
    return np.maximum(mutual(joint.sum(3)) - _unique(joint), 0.0)


def mutual(joint: np.ndarray) -> np.ndarray:
    """Mutual information (row) of laws (row, s, r)."""
    apart = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    return np.asarray((joint * np.log2(_over(joint, apart, 1.0))).sum((1, 2)))


def _unique(joint: np.ndarray) -> np.ndarray:
    """The least I(s; r | c) of all laws that have the same pairs (s, r) and (s, c).

    Given the law of r by c, each stimulus has the coupling nearest to it that keeps both marginals; given the
    couplings, the law of r by c is theirs.
    """
    rows, columns = joint.sum(3, keepdims=True), joint.sum(2, keepdims=True)
    law = _over(rows * columns, rows.sum(2, keepdims=True))
    kernels, scales = np.empty_like(joint[:, :1]), np.ones_like(columns)
    live, last = np.arange(len(joint)), np.full(len(joint), np.inf)
    for _ in range(ROUNDS):
        together = law.sum(1, keepdims=True)
        kernels[live] = _over(together, together.sum(2, keepdims=True))
        law, scales[live] = _coupled(kernels[live], rows[live], columns[live], scales[live], SWEEPS)
        now = _conditional(law)
        going = np.abs(now - last) >= SETTLED  # each until it has settled, whatever stands beside it
        live, law, last = live[going], law[going], now[going]
        if not live.size:
            break
    law, _ = _coupled(kernels, rows, columns, scales, ROUNDS)
    return _conditional(law)


def _coupled(
    kernel: np.ndarray, rows: np.ndarray, columns: np.ndarray, scale: np.ndarray, sweeps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel times a number for each row and each column, such that both marginals are met."""
    for _ in range(sweeps):
        other = _over(rows, (kernel * scale).sum(3, keepdims=True))
        scale = _over(columns, (kernel * other).sum(2, keepdims=True))
        law = kernel * other * scale
        if np.abs(law.sum(3, keepdims=True) - rows).max(initial=0.0) < EXACT:
            break
    return law, scale


def _conditional(law: np.ndarray) -> np.ndarray:
    """I(s; r | c) of laws (row, s, r, c)."""
    apart = law.sum(2, keepdims=True) * law.sum(1, keepdims=True)
    ratio = _over(law * law.sum((1, 2), keepdims=True), apart)
    return np.asarray((law * np.log2(np.where(ratio > 0, ratio, 1.0))).sum((1, 2, 3)))


def _over(above: np.ndarray, below: np.ndarray, nothing: float = 0.0) -> np.ndarray:
    """A quotient; `nothing` where there is nothing above."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    made = np.full(shape, nothing)
    return np.divide(above, below, out=made, where=np.broadcast_to((below > 0) & (above > 0), shape))
