"""The maximum-correlation classifier: which class's mean pattern does a presentation resemble most?"""

from __future__ import annotations

import numpy as np


def fit(
    x: np.ndarray, codes: np.ndarray, train: np.ndarray, standardize: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Discriminant functions whose largest is the largest correlation with a class's mean training pattern.

    The function of a class is its mean pattern, centred over neuroids and of length one, times the
    presentation: the correlation times the presentation's own length, which all classes share. With
    `standardize`, neuroids are first z scored by the training set. Two classes give one function, second
    less first.

    Reads    x (time, n, p); codes (n), 0 .. classes-1; train (fold, n)
    Returns  coefficients (time, fold, class or 1, p), intercepts (time, fold, class or 1)
    Source   Meyers 2013, doi 10.3389/fninf.2013.00008
    """
    classes = np.arange(codes.max() + 1)
    weights, offsets = [], []
    for side in train:
        inside = x[:, side]
        centre = inside.mean(axis=1) if standardize else np.zeros_like(x[:, 0])
        scale = inside.std(axis=1) if standardize else np.ones_like(centre)
        scale[scale == 0] = 1.0
        patterns = np.stack([x[:, side & (codes == code)].mean(axis=1) for code in classes], axis=1)
        patterns = (patterns - centre[:, None]) / scale[:, None]
        patterns -= patterns.mean(axis=2, keepdims=True)
        length = np.linalg.norm(patterns, axis=2, keepdims=True)
        functions = patterns / np.where(length > 0, length, 1.0)
        if classes.size == 2:
            functions = functions[:, 1:] - functions[:, :1]
        weights.append(functions / scale[:, None])
        offsets.append(-np.einsum("tkp,tp->tk", weights[-1], centre))
    return np.stack(weights, axis=1), np.stack(offsets, axis=1)
