"""Capacity and geometry of manifolds as they lie to each other: correlations are kept, not removed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analyses import _geometry_nnls

NOTHING = 1e-10  # share of the largest eigenvalue, and of the largest sum of multipliers, that counts as 0


class Anchors(NamedTuple):
    """Of every draw: anchor points (draw, manifold, d); which manifolds hold the solution back; the squared
    distance from the Gaussian vector to it; the vectors t (draw, d) themselves.
    """

    points: np.ndarray
    active: np.ndarray
    cost: np.ndarray
    vectors: np.ndarray


class Geometry(NamedTuple):
    """Capacity, radius, dimension, and the alignments of centres, of axes, and of centres with axes."""

    capacity: float
    radius: float
    dimension: float
    centres: float
    axes: float
    across: float


def anchors(points: np.ndarray, codes: np.ndarray, sides: np.ndarray, normals: np.ndarray) -> Anchors:
    """For Gaussian t and dichotomy y: v minimises ½‖v − t‖² with y_μ x·v ≥ 0 for all x of manifold μ; with
    multipliers z the anchor of a manifold is Σ z x / Σ z, a point of its hull.

    Reads    points (sample, neuroid); codes (sample); sides (draw, manifold), ±1; normals (draw, d), d the
             smaller of samples and neuroids
    """
    flat = points.T if len(points) >= points.shape[1] else np.asarray(np.linalg.qr(points.T, mode="r"))
    vectors = normals[:, : len(flat)]
    signs = -sides[:, codes]
    moved = _geometry_nnls.solve(flat, vectors, signs)  # t − v = Σ (signed weights) x
    weights = np.abs(moved)
    member = codes[:, None] == np.arange(sides.shape[1])
    sums = weights @ member
    active = sums > NOTHING * np.maximum(sums.max(axis=1, keepdims=True), 1e-300)
    share = np.divide(weights, sums[:, codes], out=np.zeros_like(weights), where=active[:, codes])
    made = np.stack([(share * member[:, one]) @ flat.T for one in range(sides.shape[1])], axis=1)
    return Anchors(made, active, ((moved @ flat.T) ** 2).sum(axis=1), vectors)


def geometry(found: Anchors) -> Geometry:
    """With anchors S (manifold, d), their means S0, S1 = S − S0, G0 = S0 S0ᵀ, G1 = S1 S1ᵀ, P manifolds:
    1/α = ⟨‖t − v‖²⟩ / P; D = ⟨a⟩ / P, a = (S1 t)ᵀ G1† (S1 t); R² = ⟨b⟩ / ⟨a − b⟩, b = (S1 t)ᵀ (G0 + G1)†
    (S1 t). Manifolds that hold nothing back in a draw are left out of it. Signs of rows cancel.
    """
    active = found.active[..., None]
    counts = np.maximum(found.active.sum(axis=0), 1)[:, None]
    centres = found.points.sum(axis=0) / counts
    spread = np.where(active, found.points - centres, 0.0)
    along = np.einsum("kpd,kd->kp", spread, found.vectors)
    both = active & active.swapaxes(1, 2)
    own = spread @ spread.swapaxes(1, 2)
    size = max(float((found.points**2).sum(axis=2).max()), 1e-300)
    a = _form(along, np.where(np.abs(own) > NOTHING**2 * size, own, 0.0))
    b = _form(along, own + np.where(both, centres @ centres.T, 0.0))
    total = float(a.mean())
    ratio = float(b.mean()) / (total - float(b.mean())) if total > NOTHING else 0.0
    count = found.active.shape[1]
    return Geometry(
        count / float(found.cost.mean()), float(np.sqrt(max(ratio, 0.0))), total / count,
        *_alignments(centres, spread, found.active),
    )  # fmt: skip


def _form(right: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """rᵀ M† r of every draw."""
    inverse = np.linalg.pinv(matrix, rcond=NOTHING, hermitian=True)
    return np.einsum("kp,kpq,kq->k", right, inverse, right)


def _alignments(centres: np.ndarray, spread: np.ndarray, active: np.ndarray) -> tuple[float, float, float]:
    """Mean |cosine| of different manifolds: of centres, of what anchors add to them, and of one with the
    other.
    """
    middle, axes = _unit(centres), _unit(spread, NOTHING * float(np.linalg.norm(centres)))
    count = len(centres)
    if count < 2:
        return np.nan, np.nan, np.nan
    apart = ~np.eye(count, dtype=bool)
    active = active & (np.abs(axes).sum(axis=2) > 0)
    pairs = apart & active[:, :, None] & active[:, None, :]
    own = np.abs(axes @ axes.swapaxes(1, 2))[pairs]
    across = np.abs(axes @ middle.T)[apart & active[:, :, None]]
    return (
        float(np.abs(middle @ middle.T)[apart].mean()),
        float(own.mean()) if own.size else np.nan,
        float(across.mean()) if across.size else np.nan,
    )


def _unit(rows: np.ndarray, least: float = 0.0) -> np.ndarray:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > least)
