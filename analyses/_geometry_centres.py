"""The few directions that make the centres of manifolds correlate, found on the Stiefel manifold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

VARIANCE = 0.95  # share of the centres' variance; directions beyond it, and
MORE = 11  # as many more, are not tried
RISES = 3  # ranks in a row with a worse cost, after which no more are tried
STEPS = 300
GRADIENT = 1e-6
PROGRESS = 1e-10  # share of the cost below which a step is the last
ARMIJO = 1e-4
HALVINGS = 30
TINY = 1e-12  # share of a centre's squared length below which nothing is left of it


class Removed(NamedTuple):
    """Directions (neuroid, rank); mean |cosine| of the centres before and after."""

    directions: np.ndarray
    before: float
    after: float


def common(
    centres: np.ndarray, rank: int | None, restarts: int, seed: np.random.SeedSequence
) -> list[Removed]:
    """Directions whose removal leaves the centres least correlated, at every time.

    V of each rank minimises ½ Σ (C − c cᵀ)²_μν / (c⁰_μ c⁰_ν), c = X V, c⁰_μ = C_μμ − Σ_k c²_μk, over matrices
    with orthonormal columns: half the summed squared cosines of what is left of the centres X. Of the
    restarts, each from the directions before and one more, the one that leaves most of every centre is kept.

    Reads    centres (time, neuroid, manifold), their mean removed; rank, None for the one of 1, 2, ... that
             leaves the smallest mean |cosine|, 0 for none
    Returns  Removed of every time; manifolds − 2 directions at most
    Source   Cohen et al. 2020, doi 10.1038/s41467-020-14578-5, Methods; Edelman, Arias and Smith 1998, doi
             10.1137/S0895479895290954 (conjugate gradients)
    """
    x, basis = _within(centres)
    many, count = x.shape[:2]
    most = np.array([_most(one) if rank is None else min(rank, count - 2) for one in x])
    costs: list[list[float]] = [[] for _ in x]
    frames: list[list[np.ndarray]] = [[np.zeros((x.shape[2], 0))] for _ in x]
    todo = np.arange(many)
    for number, stream in enumerate(seed.spawn(max(int(most.max(initial=0)), 0))):
        todo = np.array([time for time in todo if number < most[time] and not _risen(costs[time], rank)], int)
        if not todo.size:
            break
        last = np.array([frames[time][-1] for time in todo])
        for time, frame in zip(
            todo, _of_rank(x[todo], last, restarts, np.random.default_rng(stream)), strict=True
        ):
            frames[time].append(frame)
            costs[time].append(mean_cosine(x[time] - x[time] @ frame @ frame.T))
    made = []
    for time in range(many):
        before = mean_cosine(x[time])
        best = len(costs[time]) if rank is not None else 1 + int(np.argmin(costs[time] or [0]))
        best = best if costs[time] else 0
        after = costs[time][best - 1] if best else before
        made.append(Removed(basis[time] @ frames[time][best], before, after))
    return made


def mean_cosine(x: np.ndarray) -> float:
    """Mean |cosine| of all pairs of rows."""
    norm = np.linalg.norm(x, axis=1)
    unit = x / np.where(norm > 0, norm, 1)[:, None]
    cosines = np.abs(unit @ unit.T)
    count = len(x)
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1))) if count > 1 else np.nan


def _risen(costs: list[float], rank: int | None) -> bool:
    """Whether the last ranks were each worse than the one before."""
    last = costs[-RISES - 1 :]
    return rank is None and len(last) > RISES and bool((np.diff(last) > 0).all())


def _within(centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (time, manifold, manifolds − 1) of the centres in their own span, and its basis."""
    left, _, _ = np.linalg.svd(centres, full_matrices=False)
    basis = left[..., : centres.shape[-1] - 1]
    return centres.swapaxes(-1, -2) @ basis, basis


def _most(x: np.ndarray) -> int:
    spectrum = np.linalg.svd(x, compute_uv=False) ** 2
    needed = int(np.argmax(np.cumsum(spectrum) >= VARIANCE * spectrum.sum()))
    return min(needed + MORE, len(x) - 2)


def _of_rank(x: np.ndarray, last: np.ndarray, restarts: int, rng: np.random.Generator) -> np.ndarray:
    """Of every time, the most stable of some solutions with one direction more than the last."""
    times, count, width = x.shape
    more = rng.normal(size=(restarts, 1, count)) @ x[:, None]
    known = np.broadcast_to(last.swapaxes(1, 2)[:, None], (times, restarts, last.shape[2], width))
    start = _orthonormal(np.concatenate([more, known], axis=2).swapaxes(2, 3))
    every = np.repeat(x, restarts, axis=0)
    found = _descend(every, start.reshape(times * restarts, width, -1))
    left = every - (every @ found) @ found.swapaxes(1, 2)
    share = np.linalg.norm(left, axis=2) / np.maximum(np.linalg.norm(every, axis=2), 1e-300)
    best = share.min(axis=1).reshape(times, restarts).argmax(axis=1)
    return np.asarray(found.reshape(times, restarts, width, -1)[np.arange(times), best])


def _cost(x: np.ndarray, frame: np.ndarray, slope: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Half the summed squared cosines of what is left of x (n, manifold, d), with frame (n, d, rank), and its
    gradient.
    """
    inside = x @ frame
    whole = (x * x).sum(axis=2)
    kept = np.maximum(whole - (inside**2).sum(axis=2), TINY * whole + 1e-300)
    left = x @ x.swapaxes(1, 2) - inside @ inside.swapaxes(1, 2)
    scaled = left / kept[:, None, :]
    cosines = left * scaled / kept[:, :, None]
    cost = 0.5 * cosines.sum(axis=(1, 2))
    if not slope:
        return cost, None
    weighted = scaled / kept[:, :, None]
    pull = (cosines.sum(axis=2) / kept)[..., None] * inside - weighted @ inside
    return cost, 2 * (x.swapaxes(1, 2) @ pull)


def _descend(x: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Conjugate gradients (Polak and Ribière) of all restarts at once, each until it stands still."""
    out = frame.copy()
    place = np.arange(len(frame))
    cost, slope = _cost(x, frame, True)
    gradient = _tangent(frame, slope)
    way, size = -gradient, np.full(len(frame), 1.0)
    for _ in range(STEPS):
        norm = np.sqrt((gradient**2).sum(axis=(1, 2)))
        descent = (gradient * way).sum(axis=(1, 2))
        back = descent >= 0
        way[back], descent[back] = -gradient[back], -(norm[back] ** 2)
        moved, reached, size = _search(x, frame, cost, way, descent, size)
        slope = _cost(x, moved, True)[1]
        carried, before = _tangent(moved, way), _tangent(moved, gradient)
        gradient = _tangent(moved, slope)
        change = (gradient * (gradient - before)).sum(axis=(1, 2))
        beta = np.maximum(change / np.maximum(norm**2, 1e-300), 0)
        way = -gradient + beta[:, None, None] * carried
        out[place] = moved
        on = (cost - reached > PROGRESS * cost) & (np.sqrt((gradient**2).sum(axis=(1, 2))) > GRADIENT)
        if not on.any():
            break
        x, frame, cost, way, size, gradient, place = (
            part[on] for part in (x, moved, reached, way, size, gradient, place)
        )
    return out


def _search(
    x: np.ndarray, frame: np.ndarray, cost: np.ndarray, way: np.ndarray, descent: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames after a step, their costs, and the sizes to begin with next; what finds no step stays."""
    moved, reached, length = frame.copy(), cost.copy(), 2 * size
    left = np.arange(len(frame))
    for _ in range(HALVINGS):
        tried = _orthonormal(frame[left] + length[left, None, None] * way[left])
        value, _ = _cost(x[left], tried, False)
        fine = value <= cost[left] + ARMIJO * length[left] * descent[left]
        moved[left[fine]], reached[left[fine]] = tried[fine], value[fine]
        left = left[~fine]
        if not left.size:
            break
        length[left] /= 2
    return moved, reached, length


def _tangent(frame: np.ndarray, slope: np.ndarray | None) -> np.ndarray:
    """The part of a matrix that leaves the columns of the frame orthonormal."""
    assert slope is not None
    both = frame.swapaxes(1, 2) @ slope
    return np.asarray(slope - frame @ (both + both.swapaxes(1, 2)) / 2)


def _orthonormal(frame: np.ndarray) -> np.ndarray:
    made, triangle = np.linalg.qr(frame)
    return np.asarray(made * np.sign(np.diagonal(triangle, axis1=-2, axis2=-1))[..., None, :])
