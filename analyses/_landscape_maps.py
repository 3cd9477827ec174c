"""Responses to a grid of pictures as maps, and maps as smooth surfaces on a plane or a sphere."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr
from scipy.interpolate import RectBivariateSpline, RectSphereBivariateSpline

from analyses._labelled import values


def folded(
    recording: xr.Dataset, u: str, v: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Values of u and v, mean and standard error (u, v, neuroid), and the presentations of each picture.

    The standard error is NaN with one presentation; ValueError where a picture of the grid was not shown.
    """
    response = recording["response"]
    if "time" in response.dims:
        if response.sizes["time"] > 1:
            raise ValueError(
                f"response: has {response.sizes['time']} times; choose one, or average over a window"
            )
        response = response.isel(time=0)
    block = np.asarray(response.transpose("presentation", "neuroid").values, float)
    if not np.isfinite(block).all():
        bad = np.argwhere(~np.isfinite(block))[0].tolist()
        raise ValueError(f"response: is no number in presentation {bad[0]}, neuroid {bad[1]}; leave it out")
    found = [np.unique(values(recording, name).astype(float), return_inverse=True) for name in (u, v)]
    axes, codes = [pair[0] for pair in found], [pair[1] for pair in found]
    shape = (axes[0].size, axes[1].size)
    cell = np.ravel(codes[0]) * shape[1] + np.ravel(codes[1])
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    if not count.all():
        gap = np.unravel_index(int(np.argmin(count)), shape)
        where = f"{u} {axes[0][gap[0]]:g}, {v} {axes[1][gap[1]]:g}"
        raise ValueError(f"{u}: nothing was shown at {where}; show every picture of the grid")
    total, square = np.zeros((2, count.size, block.shape[1]))
    np.add.at(total, cell, block)
    mean = total / count[:, None]
    np.add.at(square, cell, (block - mean[cell]) ** 2)
    freedom = np.maximum(count - 1, 1)[:, None]
    error = np.where(count[:, None] > 1, np.sqrt(square / freedom / count[:, None]), np.nan)
    full = (*shape, block.shape[1])
    return axes[0], axes[1], mean.reshape(full), error.reshape(full), int(count.min())


def vectors(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Unit vectors of longitude u and latitude v in degrees.

    >>> vectors(np.array([0.0]), np.array([90.0])).round(9) + 0.0
    array([[0., 0., 1.]])
    """
    u, v = np.radians(u), np.radians(v)
    return np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], axis=-1)


def distances(u: np.ndarray, v: np.ndarray, at: tuple[float, float], shape: str) -> np.ndarray:
    """From one place, in degrees along the sphere, or in units of the plane."""
    if shape == "plane":
        return np.asarray(np.hypot(u - at[0], v - at[1]))
    one, two = vectors(u, v), vectors(np.asarray(at[0]), np.asarray(at[1]))
    chord = np.linalg.norm(one - two, axis=-1)
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))))


def smooth(
    u: np.ndarray, v: np.ndarray, field: np.ndarray, slack: float, shape: str,
    fine: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:  # fmt: skip
    """A bicubic spline whose squared residuals sum to `slack` at most, at the finer grid (u, v).

    On the sphere the two rows of latitude ±90 are each one point, their mean, which is not met exactly.

    Source   Dierckx 1993, Curve and Surface Fitting with Splines, Oxford University Press
    """
    if shape == "plane":
        spline: Any = RectBivariateSpline(u, v, field, s=slack)
        return np.asarray(spline(*fine))
    poles = (float(field[:, 0].mean()), float(field[:, -1].mean()))
    inner = field[:, 1:-1].T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spline = RectSphereBivariateSpline(
            np.radians(v[1:-1] + 90), np.radians(u), inner, s=slack, pole_values=poles, pole_exact=False
        )
    return np.asarray(spline(np.radians(fine[1] + 90), np.radians(fine[0]))).T


def slack(error: np.ndarray, shape: str) -> float:
    """Σ SEM² over the pictures that the spline is fitted to; 0 where nothing was shown twice."""
    inner = error[:, 1:-1] if shape == "sphere" else error
    found = float((inner**2).sum())
    return found if np.isfinite(found) else 0.0
