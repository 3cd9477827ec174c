"""Mean-field capacity, radius and dimension of one manifold, from points that stand for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dpotrf

from analyses import _geometry_nnls

WORST = 1e-5  # ratio within the diagonal of R below which it is not made from products of columns
NEAR = 1e-8  # distance below which a target lies in the cone of the manifold


class Shape(NamedTuple):
    """Of one manifold: 1/capacity and its Monte Carlo error, radius, dimension in two forms."""

    load: float
    error: float
    radius: float
    dimension: float
    projected: float


def shape(points: np.ndarray, normals: np.ndarray, margin: float = 0.0) -> Shape:
    """How many manifolds like this one a neuron could tell apart, and what size the manifold has for that.

    In units of its centre's length the manifold is {s}, and s̃ = (s, 1). For Gaussian T = (t, t₀) the
    solution V of min ½‖V − T‖² with V·s̃ ≤ −κ for all s̃ has multipliers a ≥ 0; the anchor point is Σ a s̃ /
    Σ a, or, where T is a solution itself, the s̃ farthest along t. Load = ⟨max(T·s̃ + κ, 0)² / ‖s̃‖²⟩ = 1/α.
    With δs = s − ⟨s⟩: R² = ⟨‖δs‖²⟩, D = n ⟨t̂·δŝ⟩² for n coordinates, or projected ⟨(t·δŝ)²⟩.

    Reads    points (neuroid, sample), centre not 0; normals (draw, n + 1), n = min(neuroids, samples)
    Returns  a Shape; NaN where the centre lies at 0, so that there is no unit of length
    Source   Chung, Lee and Sompolinsky 2018, doi 10.1103/PhysRevX.8.031003; Cohen et al. 2020, doi
             10.1038/s41467-020-14578-5
    """
    flat = reduced(points)
    if flat is None:
        return Shape(*[np.nan] * 5)
    width = len(flat)
    normals = normals[:, : width + 1]
    corners = np.concatenate([flat, np.ones((1, flat.shape[1]))])
    reach = normals[:, :-1] @ flat
    anchors = corners.T[reach.argmax(axis=1)]
    rows = np.flatnonzero(reach.max(axis=1) + normals[:, -1] + margin >= 0)
    if rows.size:
        targets = normals[rows].copy()
        targets[:, -1] += margin  # V·s̃ ≤ −κ is (V + κe)·s̃ ≤ 0, since the last coordinate of s̃ is 1
        moved = _geometry_nnls.solve(corners, targets) @ corners.T
        far = np.linalg.norm(moved, axis=1) > NEAR
        anchors[rows[far]] = moved[far] / moved[far, -1:]
    along = np.einsum("nd,nd->n", normals, anchors) + margin
    cost = np.maximum(along, 0) ** 2 / (anchors**2).sum(axis=1)
    spread = anchors[:, :-1] - anchors[:, :-1].mean(axis=0)
    length = np.linalg.norm(spread, axis=1)
    unit = np.divide(spread, length[:, None], out=np.zeros_like(spread), where=length[:, None] > 0)
    dots = np.einsum("nd,nd->n", normals[:, :-1], unit)
    cosines = dots / np.linalg.norm(normals[:, :-1], axis=1)
    error = cost.std(ddof=1) / np.sqrt(len(cost)) if len(cost) > 1 else np.nan
    return Shape(
        float(cost.mean()), float(error), float(np.sqrt((length**2).mean())),
        float(width * cosines.mean() ** 2), float((dots**2).mean()),
    )  # fmt: skip


def reduced(points: np.ndarray) -> np.ndarray | None:
    """Samples about their centre in units of its length, (n, sample), in n = min(neuroids, samples)
    coordinates; None where it has no length.
    """
    centre = points.mean(axis=1, keepdims=True)
    length = float(np.linalg.norm(centre))
    if not length > 1e-12 * max(float(points.max()), -float(points.min())):
        return None
    about = points - centre
    if about.shape[0] <= about.shape[1]:
        return about / length
    return _triangle(about) / length


def _triangle(about: np.ndarray) -> np.ndarray:
    """R of about = Q R, (sample, sample), where columns sum to zero: the last follows from the others.

    By Cholesky, or by Householder's way where columns are nearly dependent.
    """
    factor, info = dpotrf((about.T @ about)[:-1, :-1], lower=0)
    diagonal = np.abs(np.diagonal(factor))
    if info or diagonal.min(initial=1) < WORST * diagonal.max(initial=0):
        return np.asarray(np.linalg.qr(about, mode="r"))
    out = np.zeros((about.shape[1], about.shape[1]))
    out[:-1, :-1] = factor
    out[:-1, -1] = -factor.sum(axis=1)
    return out


def averaged(loads: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Capacity of manifolds together, 1/⟨1/α⟩, with Student's interval of ⟨1/α⟩ over manifolds.

    Reads    loads 1/α (..., manifold)
    Returns  capacity, low, high (...); high is inf where the interval of the load holds 0
    >>> float(averaged(1 / np.array([0.1, 0.3]))[0].round(12))
    0.15
    """
    from scipy.stats import t as student

    count = loads.shape[-1]
    mean = loads.mean(axis=-1)
    if count < 2:
        return 1 / mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    width = student.ppf(0.5 + confidence / 2, count - 1) * loads.std(axis=-1, ddof=1) / np.sqrt(count)
    least = mean - width
    with np.errstate(divide="ignore"):
        return 1 / mean, 1 / (mean + width), np.where(least > 0, 1 / np.maximum(least, 1e-300), np.inf)
