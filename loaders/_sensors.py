"""A plausible MEG array: sites on the real Neuromag-306 helmet, and what its coils see of a sphere's dipoles.

The helmet surface and the names of the 102 sites ship with MNE; coils are integrated over four points each.
Positions are metres, moments ampere metres, fields tesla (magnetometers) and tesla per metre (gradiometers).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]

MAGNETOMETER, GRADIOMETER = 3024, 3012  # MNE's numbers of the two coil types
HELMET_CENTRE = np.array([0.0, 0.012, 0.0])  # device coordinates; every sensor is 107 mm or farther away
SPHERE_CENTRE = np.array([0.0, 0.0, 0.04])  # head coordinates
SPHERE_RADIUS = 0.091
BASELINE = 0.0168  # between the two loops of a gradiometer
SENSOR_NOISE = {"mag": 3e-15, "grad": 3e-13}  # per root hertz


class Sensors(NamedTuple):
    """An array in device coordinates; `loc` as in MNE: position, then unit vectors x, y, z of each coil."""

    name: list[str]
    kind: NDArray[np.str_]
    loc: Floats


@lru_cache
def neuromag(sites: int = 102) -> Sensors:
    """One magnetometer and two planar gradiometers at each of `sites` places spread over the helmet."""
    if not 1 <= sites <= 102:
        raise ValueError(f"sites: {sites}: the helmet has 102; give 1 to 102")
    points, normals, names = _all_sites()
    points, normals, names = points[:sites], normals[:sites], names[:sites]
    across = np.cross(normals, np.where(np.abs(normals[:, 2:]) < 0.9, [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = np.cross(normals, across)
    loc = np.empty((sites, 3, 12))
    loc[:, :, :3] = points[:, None]
    loc[:, :, 9:] = normals[:, None]
    for coil, (x, y) in enumerate([(across, along), (across, along), (along, -across)]):
        loc[:, coil, 3:6], loc[:, coil, 6:9] = x, y
    ends = [(1, "mag"), (2, "grad"), (3, "grad")]
    return Sensors(
        [f"MEG{name[:-1]}{end}" for name in names for end, _ in ends],
        np.array([kind for _, kind in ends] * sites),
        loc.reshape(-1, 12).astype(np.float32).astype(float),
    )


def head_position(rng: np.random.Generator) -> Floats:
    """A 4 x 4 transform from device to head coordinates: the head sits in the helmet, a little askew."""
    roll, pitch, yaw = rng.normal(0, 0.03, 3).clip(-0.06, 0.06)
    turn = _rotation(0, pitch) @ _rotation(1, roll) @ _rotation(2, yaw)
    transform = np.eye(4)
    transform[:3, :3] = turn
    shift = rng.normal(0, 0.002, 3).clip(-0.004, 0.004)
    transform[:3, 3] = SPHERE_CENTRE + shift - turn @ HELMET_CENTRE
    return transform


def forward(sensors: Sensors, transform: Floats, positions: Floats, moments: Floats) -> Floats:
    """Field (sensor, dipole) of current dipoles, which are given relative to the centre of the sphere.

    Source   Sarvas 1987, doi 10.1088/0031-9155/32/1/004, equation 25
    """
    turn, shift = transform[:3, :3], transform[:3, 3] - SPHERE_CENTRE
    frame = sensors.loc.reshape(-1, 4, 3) @ turn.T
    normal = frame[:, 3]
    field = np.zeros((len(frame), len(positions)))
    is_grad = sensors.kind == "grad"
    x = np.where(is_grad, 0.0084, 0.00525)[:, None] * frame[:, 1]
    y = np.where(is_grad, 0.006713, 0.00525)[:, None] * frame[:, 2]
    centre = frame[:, 0] + shift + 0.0003 * normal
    for side in (1, -1):
        weight = np.where(is_grad, side / (2 * BASELINE), 0.25)
        for height in (1, -1):
            where = centre + side * x + height * y
            field += weight[:, None] * _normal_field(where, normal, positions, moments)
    return field


def sensor_noise(sensors: Sensors, bandwidth: float) -> Floats:
    """Standard deviation of each sensor's own white noise within `bandwidth` hertz."""
    density = np.array([SENSOR_NOISE[kind] for kind in sensors.kind])
    return np.asarray(density * np.sqrt(bandwidth))


def tangential(positions: Floats, angles: Floats) -> Floats:
    """Unit vectors orthogonal to the radius: sources that a magnetometer can see."""
    radial = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    first = np.cross(radial, [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(radial, first)
    return np.asarray(np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * second)


def scattered(rng: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Positions and tangential directions of `count` sources in the upper cortex-like shell of the sphere."""
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    direction[:, 2] = np.where(direction[:, 2] < -0.4, -direction[:, 2], direction[:, 2])
    positions = direction * rng.uniform(0.035, 0.075, (count, 1))
    return positions, tangential(positions, rng.uniform(0, 2 * np.pi, count))


def _normal_field(where: Floats, normal: Floats, positions: Floats, moments: Floats) -> Floats:
    r, r0 = where[:, None], positions[None]
    a = r - r0
    a_size, r_size = np.linalg.norm(a, axis=-1), np.linalg.norm(where, axis=-1)[:, None]
    a_dot_r = (a * r).sum(-1)
    f = a_size * (r_size * a_size + a_dot_r)
    along_r = a_size**2 / r_size + a_dot_r / a_size + 2 * a_size + 2 * r_size
    along_r0 = a_size + 2 * r_size + a_dot_r / a_size
    cross = np.cross(moments, positions)
    normal_dot_gradient = along_r * (where * normal).sum(-1)[:, None] - along_r0 * (normal @ positions.T)
    return np.asarray(1e-7 * (f * (normal @ cross.T) - (where @ cross.T) * normal_dot_gradient) / f**2)


def _rotation(axis: int, angle: float) -> Floats:
    matrix = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


@lru_cache
def _all_sites() -> tuple[Floats, Floats, list[str]]:
    """Farthest-point order, so the first few cover the helmet; names as near to MNE's layout as can be."""
    import mne

    file = Path(mne.__file__).parent / "data" / "helmets" / "306m.fif.gz"
    surface = mne.read_bem_surfaces(file, verbose="error")[0]
    points = np.asarray(surface["rr"], float)
    top = int(points[:, 2].argmax())
    order, distance = [top], np.linalg.norm(points - points[top], axis=1)
    for _ in range(101):
        order.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[order[-1]], axis=1))
    normals = _normals(points, surface["tris"])[order]
    points = points[order]
    layout = mne.channels.read_layout("Vectorview-mag")
    flat = _standardised(layout.pos[:, :2] + layout.pos[:, 2:] / 2)
    cost = np.linalg.norm(_standardised(_unrolled(points))[:, None] - flat[None], axis=-1)
    _, place = linear_sum_assignment(cost)
    return points, normals, [layout.names[index].replace("MEG ", "") for index in place]


def _normals(points: Floats, triangles: NDArray[np.int_]) -> Floats:
    corners = points[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], facing)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    outward = np.sign((normals * (points - HELMET_CENTRE)).sum(1, keepdims=True))
    return np.asarray(normals * outward)


def _unrolled(points: Floats) -> Floats:
    x, y, z = (points - HELMET_CENTRE).T
    angle, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    return np.stack([angle * np.cos(azimuth), angle * np.sin(azimuth)], axis=1)


def _standardised(values: Floats) -> Floats:
    return np.asarray((values - values.mean(0)) / values.std(0))
