"""Simulated sites queried with noise: spike counts, whose rates only the simulation knows."""

from __future__ import annotations

import numpy as np


def counts(rates: np.ndarray, presentations: int, seed: int, *words: int) -> np.ndarray:
    """Poisson counts (*lead, neuroid, presentation) of expected counts (*lead, neuroid).

    Every place of lead draws from a stream of its own, so that it does not depend on how many there are.
    """
    flat = rates.reshape(-1, rates.shape[-1])
    found = np.empty((*flat.shape, presentations))
    for place, row in enumerate(flat):
        rng = np.random.default_rng([seed, *words, place])
        found[place] = rng.poisson(row[:, None], (len(row), presentations))
    return found.reshape(*rates.shape, presentations)
