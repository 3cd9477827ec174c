"""Dissimilarities between stimuli, and a label's share in them when others are partialled out."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.stats import rankdata

POWERS = (1, 2, 3)
AT_ONCE = 100  # relabellings


def responses(block: np.ndarray, halves: tuple[np.ndarray, ...]) -> np.ndarray:
    """block (time, n, p) to dissimilarities (time, pair) of stimuli.

    With two halves, the cross-validated squared distance (a_i - a_j) · (b_i - b_j), whose mean is 0 where
    patterns do not differ; with one, 1 - Pearson's correlation. Neuroids are in units of their SD.

    Reads    halves, of each the matrix (stimulus, n) that averages its presentations
    Source   Walther et al. 2016, doi 10.1016/j.neuroimage.2015.12.012
    """
    centred = block - block.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    varied = spread > 1e-12 * np.abs(block).max(axis=1, keepdims=True)
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=varied)
    patterns = [half @ scaled for half in halves]
    if len(patterns) == 1:
        mean = patterns[0] - patterns[0].mean(axis=2, keepdims=True)
        norm = np.sqrt((mean**2).sum(axis=2, keepdims=True))
        unit = np.divide(mean, norm, out=np.zeros_like(mean), where=norm > 0)
        distance = 1 - unit @ unit.swapaxes(1, 2)
    else:
        inner = patterns[0] @ patterns[1].swapaxes(1, 2)
        own = np.einsum("tii->ti", inner)
        distance = own[:, :, None] + own[:, None] - inner - inner.swapaxes(1, 2)
    rows, columns = np.triu_indices(block.shape[1] if not halves else len(halves[0]), 1)
    return np.asarray(distance[:, rows, columns])


def columns(features: np.ndarray) -> np.ndarray:
    """Euclidean distances (pair) between rows (stimulus, column) in units of the columns' SD."""
    spread = features.std(axis=0)
    varied = spread > 1e-12 * np.abs(features).max(axis=0)
    z = (features[:, varied] - features[:, varied].mean(axis=0)) / spread[varied]
    square = (z**2).sum(axis=1)
    inner = square[:, None] + square - 2 * z @ z.T
    return np.asarray(np.sqrt(np.maximum(inner[np.triu_indices(len(z), 1)], 0)))


def partial(neural: np.ndarray, labels: np.ndarray, others: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Spearman's correlation of dissimilarities (time, pair) with those of labels, others (k, pair)
    partialled out of both: (time, relabelling).

    Partialled out are the ranks of others with their squares and cubes, as a monotone relation between two
    dissimilarities, seen through noise, is not linear in their ranks; and one number a stimulus, which is
    added to all its pairs: a label that follows the others leaves its least certain stimuli behind, and
    would find whatever makes these differ from all.

    Reads    labels (relabelling, stimulus), whose dissimilarity is 0 or 1; units (stimulus), such as persons:
             pairs within one are left out, as they share the label however labels are exchanged
    """
    rows, columns = np.triu_indices(labels.shape[1], 1)
    apart = units[rows] != units[columns]
    rows, columns, neural, others = rows[apart], columns[apart], neural[:, apart], others[:, apart]
    ranks = rankdata(others, axis=1) / len(rows) - 0.5 if len(others) else others
    own = coo_array(
        (np.ones(2 * rows.size), (np.append(rows, columns), np.tile(np.arange(rows.size), 2))),
        shape=(labels.shape[1], rows.size),
    ).tocsr()
    inverse = np.linalg.pinv((own @ own.T).toarray())
    powers = np.concatenate([ranks**power for power in POWERS])
    basis = np.linalg.qr((_without(powers, own, inverse, np.zeros((powers.shape[1], 0)))).T)[0]
    left = _without(rankdata(neural, axis=1), own, inverse, basis)
    size = np.sqrt((left**2).sum(axis=1))
    found = np.zeros((len(neural), len(labels)))
    for start in range(0, len(labels), AT_ONCE):
        some = labels[start : start + AT_ONCE]
        differ = _without((some[:, rows] != some[:, columns]).astype(float), own, inverse, basis)
        norms = size[:, None] * np.sqrt((differ**2).sum(axis=1))
        found[:, start : start + AT_ONCE] = np.divide(
            left @ differ.T, norms, out=np.zeros_like(norms), where=norms > 1e-9
        )
    return found


def _without(rows: np.ndarray, own: csr_array, inverse: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """rows (k, pair) less what stimuli add to their pairs, and less their share in an orthonormal basis."""
    left = rows - (own.T @ (inverse @ (own @ rows.T))).T
    return np.asarray(left - (left @ basis) @ basis.T)
