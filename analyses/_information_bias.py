"""Two cells whose information about four stimuli is known exactly, and what estimators make of samples."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

STIMULI, BINS, SPREAD = 4, 6, 1.1


def table(tuning: str = "same", correlation: float = 0.5) -> np.ndarray:
    """P(word | stimulus) (stimulus, first cell, second cell).

    Means 1 to 4 (the first cell's 4 to 1 where tuning is "opposite"), Gaussian noise of SD 1.1 in both,
    rounded and clipped to 0 .. 5.
    """
    nodes, weights = np.polynomial.legendre.leggauss(60)
    edges = np.concatenate([[-12.0], np.arange(BINS - 1) + 0.5, [BINS + 12.0]])
    made = np.empty((STIMULI, BINS, BINS))
    rest = SPREAD * np.sqrt(1 - correlation**2)
    for stimulus, (one, two) in enumerate(means(tuning)):
        for bin_ in range(BINS):
            low, high = edges[bin_], edges[bin_ + 1]
            low, high = max(low, one - 10 * SPREAD), min(high, one + 10 * SPREAD)
            x = (low + high) / 2 + nodes * (high - low) / 2
            density = np.exp(-0.5 * ((x - one) / SPREAD) ** 2) / (SPREAD * np.sqrt(2 * np.pi))
            about = (edges - two - correlation * (x[:, None] - one)) / rest
            made[stimulus, bin_] = weights * density * (high - low) / 2 @ np.diff(ndtr(about), axis=1)
    return made / made.sum(axis=(1, 2), keepdims=True)


def means(tuning: str) -> np.ndarray:
    """Mean of each cell for each stimulus (stimulus, cell)."""
    if tuning not in ("same", "opposite"):
        raise ValueError(f"tuning: {tuning!r}; use 'same' or 'opposite'")
    second = np.arange(1.0, STIMULI + 1)
    return np.stack([second if tuning == "same" else second[::-1], second], axis=1)


def sampled(tuning: str, correlation: float, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Responses (stimulus x trial, cell) of the same two cells."""
    first, second = rng.normal(size=(2, STIMULI, trials))
    noise = np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * second], axis=2)
    found = np.round(means(tuning)[:, None] + SPREAD * noise).clip(0, BINS - 1)
    return np.asarray(found.reshape(-1, 2))
