"""What makes neuroids comparable before distances are cross-validated: their noise within conditions."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from analyses._conditions import Design, sums
from analyses._lda import amount

TINY = 1e-13  # share of a neuroid's squares below which its noise is rounding
WIDEST = 4000  # neuroids whose covariance is factored


def weighed(block: np.ndarray, plan: Design, fold: int, means: np.ndarray, kind: str) -> np.ndarray:
    """means (time, condition, neuroid) times the inverse of the noise outside one fold, over the number of
    neuroids that have any.

    The noise is what presentations differ by from the mean of their condition, all within the training set:
    noise that was estimated from the fold it is multiplied with would give distances where there are none.
    "diagonal" is its variances; "shrunk" Ledoit and Wolf's covariance, of neuroids in units of their SD;
    "none" takes all alike. Neuroids without noise are left out.

    Reads    block (presentation, neuroid, time), centred
    Source   Walther et al. 2016, doi 10.1016/j.neuroimage.2015.12.012; Ledoit and Wolf 2004, doi
             10.1016/S0047-259X(03)00096-4
    """
    neuroids = block.shape[1]
    if kind == "none":
        return np.asarray(means / neuroids)
    if kind == "shrunk" and neuroids > WIDEST:
        raise ValueError(f"noise: 'shrunk' of {neuroids} neuroids; use 'diagonal' above {WIDEST}")
    inside = np.flatnonzero(plan.fold != fold)
    condition, here = plan.condition[inside], block[inside]
    shown = np.bincount(condition, minlength=len(plan.names))
    freedom = inside.size - int((shown > 0).sum())
    if freedom < 1:
        raise ValueError("noise: no condition comes twice outside a fold; give three folds, or noise='none'")
    one = Design(plan.names, condition, np.zeros(1, int), np.zeros(inside.size, int))
    centre = sums(here, one)[:, :, 0] / np.maximum(shown, 1)[:, None]
    within = np.einsum("c,tcp->tp", shown.astype(float), centre**2)
    square = np.einsum("npt,npt->tp", here, here)
    varied = square - within > TINY * square
    spread = np.sqrt(np.where(varied, square - within, 1.0) / freedom)
    scale = np.where(varied, 1 / spread, 0.0)[:, None]
    scaled = means * scale
    if kind == "shrunk":
        for time, kept in enumerate(varied):
            left = (here[:, kept, time] - centre[time][:, kept][condition]) * scale[time, :, kept].T
            if kept.any():
                scaled[time][:, kept] = _decorrelated(left, freedom, scaled[time][:, kept])
    return np.asarray(scaled * scale / np.maximum(varied.sum(axis=1), 1)[:, None, None])


def _decorrelated(left: np.ndarray, freedom: int, means: np.ndarray) -> np.ndarray:
    """means (condition, p) times the inverse of the shrunk covariance of left (n, p)."""
    count, features = left.shape
    gram = left.T @ left
    trace = np.trace(gram) / count
    norms = (left**2).sum(axis=1)
    fourth, frobenius = (norms**2).sum(), (gram**2).sum() / count**2
    told = [np.array([number], dtype=float) for number in (count, fourth, frobenius, trace)]
    gamma = float(amount(told[0], told[1], told[2], told[3], features)[0])
    covariance = (1 - gamma) * gram / freedom
    covariance.flat[:: features + 1] += max(gamma, 1e-10) * trace * count / freedom / features
    return np.asarray(scipy.linalg.solve(covariance, means.T, assume_a="pos").T)
