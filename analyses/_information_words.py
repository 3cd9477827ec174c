"""Responses as words of letters, how often each word comes, and what the counts say in bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BINNINGS = ("quantile", "width", "count")
WHOLE = 1024  # words up to which each possible one has a place of its own in the table of counts
CELLS = 2**22  # of a table of counts that is filled at once
LONGEST = 2.0**62


class Words(NamedTuple):
    """letters (row, n, letter), each from 0; occupied (row, letter), values that each letter takes; codes
    (row, n) of words; size, above every code; most (row), words that these letters could spell.
    """

    letters: np.ndarray
    occupied: np.ndarray
    codes: np.ndarray
    size: int
    most: np.ndarray


def spelled(rows: np.ndarray, bins: int, binning: str) -> Words:
    """rows (row, n, letter) of numbers as words."""
    flat = np.ascontiguousarray(rows.swapaxes(1, 2)).reshape(-1, rows.shape[1])
    coded = _ranked(_binned(flat, bins, binning))
    letters = coded.reshape(len(rows), rows.shape[2], -1).swapaxes(1, 2)
    return joined(letters, coded.max(axis=1).reshape(len(rows), -1) + 1)


def joined(letters: np.ndarray, occupied: np.ndarray) -> Words:
    """Words of letters that have codes already."""
    base, length = int(occupied.max(initial=1)), letters.shape[2]
    if float(base) ** length > LONGEST:
        raise ValueError(
            f"word: {length} letters of {base} values each are too many words; take fewer letters or bins"
        )
    codes = letters.astype(np.int64) @ base ** np.arange(length, dtype=np.int64)
    size = base**length
    if size > WHOLE:
        codes = _dense(codes)
        size = int(codes.max()) + 1
    return Words(letters, occupied, codes, size, occupied.astype(float).prod(axis=1))


def _binned(flat: np.ndarray, bins: int, binning: str) -> np.ndarray:
    """Rows of numbers to bin numbers; equal numbers share a bin."""
    if binning == "count":
        low = flat.min(initial=0)
        if low < 0 or (flat != np.round(flat)).any():
            raise ValueError("binning: 'count' wants whole numbers of at least 0; use 'quantile' or 'width'")
        return np.minimum(flat, bins - 1).astype(np.int16)
    if binning == "width":
        low, reach = flat.min(axis=1, keepdims=True), np.ptp(flat, axis=1, keepdims=True)
        scaled = (flat - low) / np.where(reach > 0, reach, 1.0) * bins
        return np.minimum(scaled, bins - 1).astype(np.int16)
    ordered = np.sort(flat, axis=1)
    count = flat.shape[1]
    made = np.zeros(flat.shape, dtype=np.int16)
    for edge in range(1, bins):
        place = int(np.ceil(edge * count / bins)) - 1
        made += flat > ordered[:, place, None]
    return made


def _ranked(codes: np.ndarray) -> np.ndarray:
    """Codes (row, n) without gaps, in the same order."""
    size = int(codes.max(initial=0)) + 1
    place = codes + size * np.arange(len(codes))[:, None]
    there = np.bincount(place.ravel(), minlength=size * len(codes)) > 0
    rank = there.reshape(len(codes), size).cumsum(axis=1) - 1
    return np.asarray(rank.astype(np.int16).ravel()[place])


def _dense(codes: np.ndarray) -> np.ndarray:
    """As `_ranked`, of codes too large for a table."""
    order = codes.argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    new = np.zeros(codes.shape, dtype=np.int64)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    made = np.empty_like(codes)
    np.put_along_axis(made, order, new.cumsum(axis=1), axis=1)
    return made


def counted(codes: np.ndarray, size: int, groups: np.ndarray, number: int) -> np.ndarray:
    """How often each word comes in each group: codes (row, n), groups (n) to (row, group, word)."""
    place = codes + size * (groups + number * np.arange(len(codes))[:, None])
    made = np.bincount(place.ravel(), minlength=size * number * len(codes))
    return made.reshape(len(codes), number, size)


def by_parts(words: Words, cells: int, measure: Callable[[Words], np.ndarray]) -> np.ndarray:
    """`measure` of as many rows at once as a table of counts, `cells` a row, has room for."""
    step = max(1, CELLS // max(cells, 1))
    if len(words.codes) <= step:
        return measure(words)
    parts = []
    for start in range(0, len(words.codes), step):
        keep = slice(start, start + step)
        part = Words(
            words.letters[keep], words.occupied[keep], words.codes[keep], words.size, words.most[keep]
        )
        parts.append(measure(part))
    return np.concatenate(parts, axis=-1)


def logs(most: int) -> np.ndarray:
    """c log2 c for c = 0 .. most."""
    made = np.arange(most + 1, dtype=float)
    made[1:] *= np.log2(made[1:])
    return made


def entropies(counts: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Plug-in entropy, bits, of counts (..., word); 0 where there are none.

    >>> entropies(np.array([2, 1, 1, 0]), logs(4))
    array(1.5)
    """
    total = counts.sum(axis=-1)
    safe = np.maximum(total, 1)
    return np.asarray((table[total] - table[counts].sum(axis=-1)) / safe)


def relevant(counts: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Words that may come, of counts (row, word): those seen and, by a Bayes prior, those missed so far.

    Words are added until as many as were seen would be expected to be seen, at most `most` (row).
    """
    total, seen = counts.sum(axis=1).astype(float), (counts > 0).sum(axis=1).astype(float)
    added, active = np.zeros(len(counts)), (seen < most) & (total > 0)
    missed = np.where(active, seen / np.maximum(total + seen, 1), 0)
    each = -np.expm1(np.log1p(-missed) / np.maximum(total, 1))
    rows = np.flatnonzero(active)
    last = np.abs(seen[rows] - _expected(counts[rows], each[rows], missed[rows], 0))
    extra = 0
    while rows.size:
        extra += 1
        now = np.abs(seen[rows] - _expected(counts[rows], each[rows], missed[rows], extra))
        better = now < last
        added[rows[better]] = extra
        on = better & (seen[rows] + extra < most[rows])
        rows, last = rows[on], now[on]
    return seen + added


def _expected(counts: np.ndarray, each: np.ndarray, missed: np.ndarray, extra: int) -> np.ndarray:
    """Words expected to be seen, where `extra` words more than were seen have probability `each`."""
    total = counts.sum(axis=1)
    weight = (1 - extra * each) / (total + (counts > 0).sum(axis=1))
    share = np.where(counts > 0, (counts + 1) * weight[:, None], 0)
    with np.errstate(divide="ignore"):  # one word alone: it is seen for certain
        never = total[:, None] * np.log1p(-share)
    return np.asarray(-np.expm1(never).sum(axis=1) + extra * missed)
