"""Radial basis functions of one width in all directions, fitted to a map around its peak, or to all of it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

WIDTHS = 16
ROUNDS = 5  # of a finer and finer search for the width


def fit(response: np.ndarray, distance: np.ndarray) -> tuple[float, float]:
    """R² and width (SD) of b + a·exp(-d² / 2 width²), a from 0 up, by least squares.

    Reads    response and distance from the centre, of as many places
    Returns  NaN, NaN where the response does not vary
    """
    about = response - response.mean()
    total = float(about @ about)
    if total <= 1e-24 * max(float(response @ response), 1e-300) or response.size < 4:
        return np.nan, np.nan
    reach = float(distance.max())
    low, high = np.log(reach / 50), np.log(5 * reach)
    best = (-np.inf, 0.0)
    for _ in range(ROUNDS):
        for width in np.linspace(low, high, WIDTHS):
            bump = np.exp(-0.5 * (distance / np.exp(width)) ** 2)
            bump = bump - bump.mean()
            energy = float(bump @ bump)
            along = max(float(about @ bump), 0.0)
            share = along**2 / (energy * total) if energy > 0 else 0.0
            if share > best[0]:
                best = (share, float(width))
        step = (high - low) / (WIDTHS - 1)
        low, high = best[1] - step, best[1] + step
    return best[0], float(np.exp(best[1]))


def hill(field: np.ndarray, peak: tuple[int, int], height: float) -> np.ndarray:
    """The part of the map around the peak that lies above a share of its range."""
    low = float(field.min())
    parts, _ = label(field >= low + height * (float(field[peak]) - low))
    return np.asarray(parts == parts[peak])


def both(field: np.ndarray, distance: np.ndarray, peak: tuple[int, int], height: float) -> tuple[float, ...]:
    """R² and width around the peak, then R² and width of the one function that fits the whole map best."""
    near = hill(field, peak, height)
    return *fit(field[near], distance[near]), *fit(field.ravel(), distance.ravel())
