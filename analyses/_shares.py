"""How sure a share is that was counted."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta


def clopper(hits: np.ndarray | int, count: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The exact interval of a share: lower and upper end.

    Reads    hits, of count trials; confidence between 0 and 1
    Source   Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404
    >>> [round(float(end), 4) for end in clopper(8, 10, 0.95)]
    [0.4439, 0.9748]
    """
    tail, hit = (1 - confidence) / 2, np.asarray(hits)
    low = np.where(hit > 0, beta.ppf(tail, np.maximum(hit, 1), count - hit + 1), 0.0)
    high = np.where(hit < count, beta.ppf(1 - tail, hit + 1, np.maximum(count - hit, 1)), 1.0)
    return low, high
