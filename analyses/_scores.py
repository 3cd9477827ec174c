"""What decision values are worth: area under the ROC curve, balanced accuracy."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


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
    bits = np.ascontiguousarray(decisions + 0.0).view(np.int64)
    ordered = (bits ^ ((bits >> 63) & np.int64(2**63 - 1))) & ~np.int64(1)
    ordered = np.sort(ordered | positive, axis=-1)
    label = (ordered & 1).astype(bool)
    negatives = np.cumsum(~label, axis=-1)
    pairs = positive.sum(axis=-1) * negatives[..., -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        area = np.where(label, negatives, 0).sum(axis=-1) / pairs
    tied = ((ordered[..., 1:] ^ ordered[..., :-1]) == 1).any(axis=-1)
    if tied.any():
        area = np.array(area)
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
