"""Fisher information of noisy responses along a continuum, and what Gaussian categories ask for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def gaussian(places: np.ndarray, centres: np.ndarray, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """P(μ|x) (category, place) of equally likely Gaussians, and F_cat(x) = Σ P'(μ|x)² / P(μ|x).

    Source   Bonnasse-Gahot and Nadal 2008, doi 10.1007/s10827-007-0071-5
    >>> [float(each) for each in gaussian(np.zeros(1), np.array([-0.5, 0.5]), 0.5)[1]]
    [4.0]
    """
    logit = -0.5 * ((places - centres[:, None]) / deviation) ** 2
    weight = np.exp(logit - logit.max(axis=0))
    posterior = weight / weight.sum(axis=0)
    pull = (centres[:, None] - places) / deviation**2
    rise = posterior * (pull - (posterior * pull).sum(axis=0))
    ratio = np.divide(rise**2, posterior, out=np.zeros_like(rise), where=posterior > 0)
    return posterior, ratio.sum(axis=0)


def linear(trials: list[np.ndarray], places: np.ndarray, diagonal: bool) -> np.ndarray:
    """f'ᵀ Σ⁻¹ f' between neighbouring places, corrected for the number of trials.

    Reads    trials, (trial, n) of each place, as many each; diagonal, whether noise correlations are ignored
    Source   Kanitscheider et al. 2015, doi 10.1371/journal.pcbi.1004218 (equations for both corrections)
    """
    count, size = trials[0].shape
    found = np.empty(len(trials) - 1)
    for k, (one, two) in enumerate(pairwise(trials)):
        rise = (two.mean(axis=0) - one.mean(axis=0)) / (places[k + 1] - places[k])
        step = places[k + 1] - places[k]
        if diagonal:
            spread = 0.5 * (one.var(axis=0, ddof=1) + two.var(axis=0, ddof=1))
            live = spread > 0
            plain = float((rise[live] ** 2 / spread[live]).sum())
            found[k] = plain * (count - 2) / (count - 1) - 2 * live.sum() / (count * step**2)
            continue
        noise = 0.5 * (np.cov(one, rowvar=False) + np.cov(two, rowvar=False)).reshape(size, size)
        plain = float(rise @ np.linalg.solve(noise, rise))
        found[k] = plain * (2 * count - size - 3) / (2 * count - 2) - 2 * size / (count * step**2)
    return found


def decoded(templates: np.ndarray, places: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """The place x̂ whose mean response lies nearest to each response, on straight lines between templates.

    Reads    templates (place, n) at increasing places; responses (trial, n)
    """
    best, found = np.full(len(responses), np.inf), np.full(len(responses), places[0])
    for k in range(len(places) - 1):
        way = templates[k + 1] - templates[k]
        length = float(way @ way)
        about = responses - templates[k]
        share = np.clip(about @ way / length, 0, 1) if length > 0 else np.zeros(len(responses))
        far = ((about - share[:, None] * way) ** 2).sum(axis=1)
        closer = far < best
        best = np.where(closer, far, best)
        found = np.where(closer, places[k] + share * (places[k + 1] - places[k]), found)
    return found
