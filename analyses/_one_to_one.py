"""Each neuroid predicted by the one feature that it correlates with most."""

from __future__ import annotations

import numpy as np

from analyses._sums import Split, cross, left_out, levels

VOID = 1e-13  # share of a column's size below which its spread is rounding


def predict(x: np.ndarray, y: np.ndarray, splits: list[Split]) -> list[np.ndarray]:
    """Predictions (test, q): the feature of largest signed Pearson correlation in the training rows.

    Reads    x (n, p), y (n, q), splits; columns that do not vary are never chosen
    Source   Arend et al. 2018, CBMM memo 93
    """
    means = levels(x, y, splits)
    found = []
    totals = [_squares(x), _squares(y)]
    for split, (mean, middle), product in zip(splits, means, cross(x, y, splits, means), strict=True):
        rows, less = left_out(len(x), split)
        spread = []
        for columns, total, centre in ((x, totals[0], mean), (y, totals[1], middle)):
            part = total - _squares(columns[rows]) if less else _squares(columns[rows])
            size = part - split.train.size * centre**2
            spread.append(np.sqrt(np.where(size > VOID * part, size, np.nan)))
        r = product / spread[0][:, None]
        best = np.where(np.isnan(r), -np.inf, r).argmax(axis=0)
        found.append(x[np.ix_(split.test, best)])
    return found


def _squares(columns: np.ndarray) -> np.ndarray:
    return np.einsum("nc,nc->c", columns, columns)
