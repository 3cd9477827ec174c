"""Information broken down into what letters say alone, what they share, and what noise correlations add."""

from __future__ import annotations

import numpy as np

from analyses import _information_words as _words
from analyses._information_estimators import Drawn, extrapolated
from analyses._information_words import Words, by_parts, counted

TERMS = (
    "information", "linear", "signal_similarity", "correlation_independent", "correlation_dependent",
    "independent",
)  # fmt: skip
LARGEST = 2**20  # words whose independent probability is written out


def terms(tables: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """TERMS (..., term), bits, of P(word | label) (..., label, letter values of each letter).

    The first term is the sum of the next four, the last what is left where letters are independent given
    the label: linear + signal similarity. weights (..., label) are probabilities of labels.
    """
    lead = weights.ndim
    axes = tuple(range(lead, tables.ndim))
    product = np.ones_like(tables)
    alone, alone_given = np.zeros(()), np.zeros(())
    for letter in axes:
        others = tuple(axis for axis in axes if axis != letter)
        each = tables.sum(axis=others, keepdims=True)
        product = product * each
        flat = each.reshape(*weights.shape, -1)
        alone = alone + _entropy((flat * weights[..., None]).sum(axis=-2))
        alone_given = alone_given + (_entropy(flat) * weights).sum(axis=-1)
    tables, product = (array.reshape(*weights.shape, -1) for array in (tables, product))
    seen, independent = ((array * weights[..., None]).sum(axis=-2) for array in (tables, product))
    cross = -(seen * np.log2(np.where(seen > 0, independent, 1.0))).sum(axis=-1)
    spread = _entropy(independent)
    whole = _entropy(seen) - (_entropy(tables) * weights).sum(axis=-1)
    parts = (
        whole, alone - alone_given, spread - alone, cross - spread, whole - cross + alone_given,
        spread - alone_given,
    )  # fmt: skip
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def _entropy(probability: np.ndarray) -> np.ndarray:
    safe = np.where(probability > 0, probability, 1.0)
    return np.asarray(-(probability * np.log2(safe)).sum(axis=-1))


def broken(words: Words, labels: np.ndarray, number: int, orders: Drawn, estimator: str) -> np.ndarray:
    """TERMS (term, row) of sampled words."""
    base, length = int(words.occupied.max()), words.letters.shape[2]
    if base**length > LARGEST:
        raise ValueError(
            f"breakdown: {length} letters of {base} values; all {float(base) ** length:.3g} words are "
            "written out, take fewer letters or bins"
        )
    codes = words.letters.astype(np.int64) @ base ** np.arange(length)[::-1]
    whole = Words(words.letters, words.occupied, codes, base**length, words.most)
    shape = (base,) * length

    def measure(counts: np.ndarray) -> np.ndarray:
        each = counts.sum(axis=-1)
        tables = counts / np.maximum(each, 1)[..., None]
        weights = each / each.sum(axis=-1, keepdims=True)
        return terms(tables.reshape(*each.shape, *shape), weights)

    if estimator == "quadratic":
        return extrapolated(whole, labels, number, orders, measure)
    return by_parts(
        whole, number * whole.size,
        lambda part: measure(counted(part.codes, part.size, labels, number)).T,
    )  # fmt: skip


def paired(words: Words, first: np.ndarray, second: np.ndarray) -> Words:
    """Words of two letters, of rows of one letter each."""
    letters = np.stack([words.letters[first, :, 0], words.letters[second, :, 0]], axis=2)
    occupied = np.stack([words.occupied[first, 0], words.occupied[second, 0]], axis=1)
    return _words.joined(letters, occupied)
