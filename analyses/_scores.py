"""What decision values are worth: area under the ROC curve, balanced accuracy."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

LARGEST = np.int64(2**63 - 1)


def auc(decisions: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Probability that a positive presentation has a larger decision value than a negative one, ties
    counting half.

    The label is hidden in the lowest bit of the value's ordered integer, so that one sort gives the ranks;
    rows with ties across classes are ranked again with care.

    Reads    decisions (…, n); positive (n) or (…, n), bool
    Returns  auc (…); NaN where a class is missing
    Source   Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747
    >>> float(auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])))
    0.75
    """
    positive = np.broadcast_to(positive, decisions.shape)
    ordered = (decisions + 0.0).view(np.int64)  # + 0.0 makes one zero of two
    ordered ^= (ordered >> 63) & LARGEST
    ordered &= ~np.int64(1)
    ordered |= positive
    ordered.sort(axis=-1)
    label = (ordered & 1).astype(np.float64)
    ones = label.sum(axis=-1)
    before = label @ np.arange(label.shape[-1], dtype=np.float64) - ones * (ones - 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        area = np.asarray(before / (ones * (label.shape[-1] - ones)))
    tied = ((ordered[..., 1:] ^ ordered[..., :-1]) == 1).any(axis=-1)
    if tied.any():
        area[tied] = _auc_with_ties(decisions[tied], positive[tied])
    return np.where(np.isnan(decisions).any(axis=-1), np.nan, area)


def balanced_accuracy(decisions: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean over classes of the share of presentations whose largest decision value is their own class's.

    Reads    decisions (…, n, class), or (…, n, 1) for two classes, positive for the second; codes (n)
    Returns  accuracy (…), chance 1 / classes; NaN where a decision is missing
    """
    one = decisions.shape[-1] == 1
    hit = (decisions[..., 0] > 0 if one else decisions.argmax(axis=-1)) == codes
    recalls = [hit[..., codes == code].mean(axis=-1) for code in np.unique(codes)]
    return np.where(np.isnan(decisions).any(axis=(-2, -1)), np.nan, np.mean(recalls, axis=0))


def _auc_with_ties(decisions: np.ndarray, positive: np.ndarray) -> np.ndarray:
    ranks = rankdata(decisions, axis=-1)
    ones = positive.sum(axis=-1)
    pairs = ones * (positive.shape[-1] - ones)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((ranks * positive).sum(axis=-1) - ones * (ones + 1) / 2) / pairs
