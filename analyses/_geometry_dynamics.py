"""Trajectories as arrays: how straight they run, how tangled they are, how far they rotate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

AT_ONCE = 2**22  # pairs of moments compared together


class Rotation(NamedTuple):
    """Skew matrix and any matrix that best say the velocity from the state; their R²; the plane of the
    fastest rotation (d, 2), orthonormal, and its angular speed.
    """

    skew: np.ndarray
    free: np.ndarray
    skew_r2: float
    free_r2: float
    plane: np.ndarray
    speed: float


def curvature(path: np.ndarray) -> np.ndarray:
    """Angles between steps that follow each other, θ_t = arccos(v̂_t · v̂_t+1), v_t = x_t+1 − x_t.

    Reads    path (..., time, p)
    Returns  radians (..., time − 2); NaN where a step has no length
    Source   Hénaff, Goris and Simoncelli 2019, doi 10.1038/s41593-019-0377-4
    >>> curvature(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])).round(4)
    array([1.5708])
    """
    step = np.diff(path, axis=-2)
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    unit = np.divide(step, length, out=np.full_like(step, np.nan), where=length > 0)
    one, two = unit[..., :-1, :], unit[..., 1:, :]
    # 2 atan2(|a − b|, |a + b|) keeps the digits that arccos loses where steps are parallel
    return np.asarray(2 * np.arctan2(np.linalg.norm(one - two, axis=-1), np.linalg.norm(one + two, axis=-1)))


def tangling(states: np.ndarray, velocity: np.ndarray, share: float = 0.1) -> np.ndarray:
    """Q(t) = max over t' of ‖ẋ_t − ẋ_t'‖² / (‖x_t − x_t'‖² + c), c = share · Σ var(x).

    Reads    states and velocity (moment, d)
    Returns  Q (moment)
    Source   Russo et al. 2018, doi 10.1016/j.neuron.2018.01.004
    """
    constant = share * float(states.var(axis=0).sum())
    if not constant > 0:
        raise ValueError(
            "response: states do not vary, so that tangling is undefined; give trajectories that move"
        )
    out = np.empty(len(states))
    step = max(1, AT_ONCE // len(states))
    for start in range(0, len(states), step):
        some = slice(start, start + step)
        out[some] = (_squares(velocity, some) / (_squares(states, some) + constant)).max(axis=1)
    return out


def _squares(x: np.ndarray, some: slice) -> np.ndarray:
    """Squared distances of some rows to all."""
    about = x - x.mean(axis=0)
    length = (about**2).sum(axis=1)
    return np.asarray(np.maximum(length[some, None] + length - 2 * about[some] @ about.T, 0))


def rotation(states: np.ndarray, velocity: np.ndarray) -> Rotation:
    """Least squares of Ẋ = X Mᵀ over skew-symmetric M, and over any M.

    The skew solution is exact: with C = Xᵀ X and B = Ẋᵀ X it solves M C + C M = B − Bᵀ, in the eigenbasis of
    C.

    Reads    states X and velocity Ẋ (moment, d), d at least 2
    Returns  a Rotation; R² = 1 − ‖Ẋ − X Mᵀ‖² / ‖Ẋ‖²
    Source   Churchland et al. 2012, doi 10.1038/nature11129
    """
    values, vectors = np.linalg.eigh(states.T @ states)
    product = vectors.T @ (velocity.T @ states) @ vectors
    sums = values[:, None] + values
    least = 1e-12 * float(values[-1])
    odd = np.divide(product - product.T, sums, out=np.zeros_like(product), where=sums > least)
    skew = vectors @ odd @ vectors.T
    free = np.linalg.lstsq(states, velocity, rcond=None)[0].T
    total = float((velocity**2).sum())
    fits = [1 - float(((velocity - states @ m.T) ** 2).sum()) / total for m in (skew, free)]
    plane, speed = _fastest(skew)
    return Rotation(skew, free, fits[0], fits[1], plane, speed)


def _fastest(skew: np.ndarray) -> tuple[np.ndarray, float]:
    """The plane of the eigenvalues with the largest imaginary parts, turned so that motion is from the first
    axis to the second, and that part.
    """
    values, vectors = np.linalg.eig(skew)
    number = int(np.argmax(values.imag))
    vector = vectors[:, number]
    turn = np.exp(-0.5j * np.angle((vector**2).sum()))  # real and imaginary part become orthogonal
    plane = np.stack([(turn * vector).real, -(turn * vector).imag], axis=1)
    if float(np.linalg.norm(plane[:, 0])) == 0 or float(np.linalg.norm(plane[:, 1])) == 0:
        return np.eye(len(skew))[:, :2], 0.0
    plane = np.linalg.qr(plane)[0]
    if plane[:, 1] @ skew @ plane[:, 0] < 0:
        plane[:, 1] *= -1
    plane *= np.sign(plane[np.abs(plane[:, 0]).argmax(), 0])
    return plane, float(values[number].imag)


def differences(path: np.ndarray, period: float) -> tuple[np.ndarray, np.ndarray]:
    """States at the middle of each step and velocities (condition · step, d), never across conditions.

    Reads    path (condition, time, d); period in s
    """
    velocity = np.diff(path, axis=1) / period
    middle = 0.5 * (path[:, 1:] + path[:, :-1])
    return middle.reshape(-1, path.shape[2]), velocity.reshape(-1, path.shape[2])


def principal(flat: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (n, count) on the first principal components of centred rows, the components (p, count), and the
    share of variance of each.
    """
    left, size, right = np.linalg.svd(flat, full_matrices=False)
    share = size**2 / max(float((size**2).sum()), 1e-300)
    return left[:, :count] * size[:count], right[:count].T, share[:count]
