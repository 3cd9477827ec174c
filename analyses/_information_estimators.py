"""Information of words about labels, bits: the plug-in value and four ways to lessen its bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analyses._information_words import Words, by_parts, counted, entropies, joined, logs, relevant

LN2 = np.log(2)


class Drawn(NamedTuple):
    """Orders of presentations (repetition, n) that quarter them, and (shuffle, letter, n) that shuffle
    letters within labels.
    """

    quarters: np.ndarray
    shuffles: np.ndarray


def drawn(count: int, letters: int, repetitions: int, shuffles: int, seed: int) -> Drawn:
    """Orders of a seed."""
    first, second = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    quarters = first.permuted(np.tile(np.arange(count), (repetitions, 1)), axis=1)
    mixed = second.permuted(np.tile(np.arange(count), (shuffles, letters, 1)), axis=2)
    return Drawn(quarters, mixed)


def plugin(words: Words, labels: np.ndarray, number: int, orders: Drawn) -> np.ndarray:
    """H(R) - H(R|S) of the frequencies."""
    table = logs(labels.size)

    def measure(part: Words) -> np.ndarray:
        return _raw(counted(part.codes, part.size, labels, number), table)

    return by_parts(words, number * words.size, measure)


def _raw(counts: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Plug-in information of counts (..., label, word)."""
    each = counts.sum(axis=-1)
    total = each.sum(axis=-1)
    within = table[counts].sum(axis=(-2, -1)) - table[each].sum(axis=-1)
    return np.asarray((table[total] - table[counts.sum(axis=-2)].sum(axis=-1) + within) / total)


def panzeri_treves(words: Words, labels: np.ndarray, number: int, orders: Drawn) -> np.ndarray:
    """Plug-in less [Σ_s (R_s - 1) - (R - 1)] / (2 N ln 2), R being Bayesian counts of relevant words."""
    table = logs(labels.size)

    def measure(part: Words) -> np.ndarray:
        counts = counted(part.codes, part.size, labels, number)
        return np.asarray(_raw(counts, table) - (_lost(counts, part.most) - _gained(counts, part.most)))

    return by_parts(words, number * words.size, measure)


def _lost(counts: np.ndarray, most: np.ndarray) -> np.ndarray:
    """By how much the entropy within labels is too small."""
    flat = counts.reshape(-1, counts.shape[-1])
    found = relevant(flat, np.repeat(most, counts.shape[1])).reshape(counts.shape[:2])
    return np.asarray((found - 1).sum(axis=1) / (2 * counts.sum(axis=(1, 2)) * LN2))


def _gained(counts: np.ndarray, most: np.ndarray) -> np.ndarray:
    """By how much the entropy of all presentations is too small."""
    return np.asarray((relevant(counts.sum(axis=1), most) - 1) / (2 * counts.sum(axis=(1, 2)) * LN2))


def extrapolated(
    words: Words, labels: np.ndarray, number: int, orders: Drawn, measure: Callable[..., np.ndarray]
) -> np.ndarray:
    """Anything of counts (row, label, word), fitted as a + b/N + c/N² to all, halves and quarters.

    `measure` gives (row[, ...]); the fit is exact, a = (8 f(N) - 6 f(N/2) + f(N/4)) / 3.
    """

    def of(part: Words) -> np.ndarray:
        found = []
        for order in orders.quarters:
            quarter = _quartered(labels, order)
            counts = counted(part.codes, part.size, quarter * number + labels, 4 * number)
            four = counts.reshape(len(counts), 4, number, -1)
            two = four[:, :2] + four[:, 2:]
            halves = np.mean([measure(two[:, k]) for k in range(2)], axis=0)
            quarters = np.mean([measure(four[:, k]) for k in range(4)], axis=0)
            found.append((8 * measure(two.sum(axis=1)) - 6 * halves + quarters) / 3)
        return np.moveaxis(np.mean(found, axis=0), 0, -1)

    return by_parts(words, 4 * number * words.size, of)


def _quartered(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """One quarter of each label's presentations to each of 0 .. 3, in a random order."""
    ranked = order[labels[order].argsort(kind="stable")]
    start = np.concatenate([[0], np.bincount(labels).cumsum()[:-1]])
    made = np.empty(labels.size, dtype=np.int64)
    made[ranked] = (np.arange(labels.size) - start[labels[ranked]]) % 4
    return made


def quadratic(words: Words, labels: np.ndarray, number: int, orders: Drawn) -> np.ndarray:
    """Plug-in, extrapolated to infinitely many presentations."""
    table = logs(labels.size)
    return extrapolated(words, labels, number, orders, lambda counts: _raw(counts, table))


def shuffled_words(words: Words, labels: np.ndarray, orders: np.ndarray) -> Words:
    """Each letter shuffled by itself over the presentations of a label; orders (letter, n)."""
    base = labels.argsort(kind="stable")
    letters = np.empty_like(words.letters)
    for letter, order in enumerate(orders):
        letters[:, base, letter] = words.letters[:, order[labels[order].argsort(kind="stable")], letter]
    return joined(letters, words.occupied)


def shuffle(
    words: Words, labels: np.ndarray, number: int, orders: Drawn, corrected: bool = False
) -> np.ndarray:
    """H(R) - H_ind(R|S) + H_sh(R|S) - H(R|S): the two last have nearly the same bias."""
    if words.letters.shape[2] < 2:
        raise ValueError("estimator: 'shuffle' is for words of two letters or more; use 'panzeri-treves'")
    table = logs(labels.size)
    weight = np.bincount(labels, minlength=number) / labels.size

    def within(part: Words) -> np.ndarray:
        counts = counted(part.codes, part.size, labels, number)
        found = entropies(counts, table) @ weight
        return np.asarray(found + _lost(counts, part.most) if corrected else found)

    def alone(letter: int) -> np.ndarray:
        seen = words.occupied[:, letter]
        one = Words(words.letters, seen[:, None], words.letters[..., letter], int(seen.max()), seen * 1.0)
        return by_parts(one, number * one.size, within)

    usual = panzeri_treves if corrected else plugin
    independent = np.sum([alone(letter) for letter in range(words.letters.shape[2])], axis=0)
    mixed = np.zeros(len(words.codes))
    for order in orders.shuffles:
        other = shuffled_words(words, labels, order)
        mixed += by_parts(other, number * other.size, within) / len(orders.shuffles)
    return np.asarray(usual(words, labels, number, orders) - independent + mixed)


def shuffle_panzeri_treves(words: Words, labels: np.ndarray, number: int, orders: Drawn) -> np.ndarray:
    """`shuffle`, each of its entropies corrected by Panzeri and Treves."""
    return shuffle(words, labels, number, orders, corrected=True)


ESTIMATORS = {
    "plugin": plugin, "panzeri-treves": panzeri_treves, "quadratic": quadratic, "shuffle": shuffle,
    "shuffle-panzeri-treves": shuffle_panzeri_treves,
}  # fmt: skip
