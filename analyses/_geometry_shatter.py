"""How many of all ways to split conditions in two a linear decoder can follow: shattering dimensionality."""

from __future__ import annotations

import numpy as np

from analyses import _ridge
from analyses._decode import finite
from analyses._moments import plan

COLUMNS = 4096  # dichotomies of relabelled data that are decoded together


def shatter(
    block: np.ndarray, codes: np.ndarray, signs: np.ndarray, train: np.ndarray, test: np.ndarray,
    strength: float, standardize: bool, relabelled: np.ndarray, drawn: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Cross-validated accuracy of every dichotomy: both sides, and within them conditions, count the same.

    Ridge of ±1; its hat matrices serve all dichotomies and relabellings.

    Reads    block (time, n, p); codes (n); signs (dichotomy, condition); train, test (fold, n); relabelled
             (permutation, n); drawn (bootstrap, n), how often each presentation counts
    Returns  (time, dichotomy + permutation + bootstrap + 1): accuracies, means over dichotomies of relabelled
             and of redrawn data, and the share of dichotomies with p ≤ .01 among relabellings (NaN below 99)
    Source   Rigotti et al. 2013, doi 10.1038/nature12160; Bernardi et al. 2020, doi
             10.1016/j.cell.2020.09.031
    """
    block = finite(block)
    made = plan(np.zeros_like(codes), train)
    many = len(signs)
    out = np.full((len(block), many + len(relabelled) + len(drawn) + 1), np.nan)
    for moment, x in enumerate(block):
        hats = _ridge.hats(x - x[0], made, test, strength, standardize)
        right = _right(hats, codes, signs, train, test)
        accuracy = right @ _worth(codes, test)
        out[moment, :many] = accuracy
        null = _null(hats, relabelled, signs, train, test)
        out[moment, many : many + len(null)] = null.mean(axis=1)
        mean = right.mean(axis=0)
        out[moment, many + len(null) : -1] = (drawn * mean) @ _worth(codes, test)
        if len(null) >= 99:
            p = (1 + (null >= accuracy - 1e-12).sum(axis=0)) / (1 + len(null))
            out[moment, -1] = (p <= 0.01).mean()
    return out


def _right(
    hats: list[np.ndarray], codes: np.ndarray, signs: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Whether each dichotomy is told right of each presentation (dichotomy, n)."""
    targets = signs[:, codes]
    right = np.zeros(targets.shape)
    for hat, into, out in zip(hats, train, test, strict=True):
        inside = targets[:, into]
        level = inside.mean(axis=1, keepdims=True)
        right[:, out] = ((inside - level) @ hat.T + level) * targets[:, out] > 0
    return right


def _worth(codes: np.ndarray, test: np.ndarray) -> np.ndarray:
    """What a tested presentation counts, so that all conditions count the same."""
    tested = test.any(axis=0)
    counts = np.bincount(codes[tested], minlength=codes.max() + 1)
    return np.where(tested, 1 / (np.maximum(counts, 1)[codes] * (counts > 0).sum()), 0.0)


def _null(
    hats: list[np.ndarray], relabelled: np.ndarray, signs: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Accuracies (permutation, dichotomy) of relabelled data."""
    out = np.empty((len(relabelled), len(signs)))
    step = max(1, COLUMNS // len(signs))
    for start in range(0, len(relabelled), step):
        some = relabelled[start : start + step]
        targets = signs[:, some].swapaxes(0, 1).reshape(-1, some.shape[1])
        right = np.zeros(targets.shape)
        for hat, into, tested in zip(hats, train, test, strict=True):
            inside = targets[:, into]
            level = inside.mean(axis=1, keepdims=True)
            right[:, tested] = ((inside - level) @ hat.T + level) * targets[:, tested] > 0
        worth = np.array([_worth(codes, test) for codes in some])
        out[start : start + step] = np.einsum("bkn,bn->bk", right.reshape(len(some), len(signs), -1), worth)
    return out
