"""Sums over the training rows of every split: those over all rows, once, less what a split leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

ROOM = 2**17  # numbers that stay in the processor's cache between two products


class Split(NamedTuple):
    """Rows that train and rows that test."""

    train: np.ndarray
    test: np.ndarray


Mean = tuple[np.ndarray, np.ndarray]


def levels(x: np.ndarray, y: np.ndarray, splits: list[Split]) -> list[Mean]:
    """Means of x and y over the training rows of every split."""
    ones, made = np.ones(len(x)), []
    totals = [ones @ part for part in (x, y)]
    for split in splits:
        rows, less = left_out(len(x), split)
        sums = [ones[: rows.size] @ part[rows] for part in (x, y)]
        if less:
            sums = [total - part for total, part in zip(totals, sums, strict=True)]
        made.append((sums[0] / split.train.size, sums[1] / split.train.size))
    return made


def left_out(rows: int, split: Split) -> tuple[np.ndarray, bool]:
    """The rows a split leaves out and True, or those it trains on and False where they are fewer."""
    out = np.ones(rows, bool)
    out[split.train] = False
    less = 2 * int(out.sum()) <= rows
    return (np.flatnonzero(out) if less else split.train), less


def cross(x: np.ndarray, y: np.ndarray, splits: list[Split], means: list[Mean]) -> list[np.ndarray]:
    """X'Y (p, q) of the centred training rows of every split."""
    total = x.T @ y
    made = []
    for split, (mean, middle) in zip(splits, means, strict=True):
        rows, less = left_out(len(x), split)
        part = x[rows].T @ y[rows]
        part = total - part if less else part
        part -= np.outer(split.train.size * mean, middle)
        made.append(part)
    return made


def squares(x: np.ndarray, splits: list[Split], means: list[Mean]) -> Iterator[np.ndarray]:
    """X'X (p, p) of the centred training rows of every split."""
    total = x.T @ x
    for split, (mean, _) in zip(splits, means, strict=True):
        rows, less = left_out(len(x), split)
        if rows.size:
            some = x[rows]
            part = some.T @ some
            part = np.subtract(total, part, out=part) if less else part
        else:
            part = total.copy()
        part -= np.outer(split.train.size * mean, mean)
        yield part


def scatter(x: np.ndarray, splits: list[Split], means: list[Mean]) -> Callable[[np.ndarray], np.ndarray]:
    """The function that takes w (split, p) to X'Xw (split, p) of the centred training rows of every split.

    From X'X where that is smaller than X, less what a split leaves out, before or after the product,
    whichever is the smaller; else from X itself, each row read once for both products.
    """
    middle, count = np.array([mean for mean, _ in means]), np.array([[split.train.size] for split in splits])
    sides = [left_out(len(x), split) for split in splits]
    if x.shape[1] <= 2 * min(rows.size for rows, _ in sides):
        whole = list(squares(x, splits, means))
        return lambda w: np.array([part @ one for part, one in zip(whole, w, strict=True)])
    if x.shape[1] <= len(x):
        total = x.T @ x
        some = [x[rows] for rows, _ in sides]

        def apply(w: np.ndarray) -> np.ndarray:
            onto = w @ total
            for side, (_, less) in enumerate(sides):
                part = (some[side] @ w[side]) @ some[side]
                onto[side] = onto[side] - part if less else part
            return np.asarray(onto - count * np.einsum("fp,fp->f", middle, w)[:, None] * middle)

        return apply
    train = np.zeros((len(x), len(splits)))
    for side, split in enumerate(splits):
        train[split.train, side] = 1.0
    step = max(1, ROOM // x.shape[1])

    def stream(w: np.ndarray) -> np.ndarray:
        onto = -count * np.einsum("fp,fp->f", middle, w)[:, None] * middle
        for start in range(0, len(x), step):
            rows = x[start : start + step]
            onto += (train[start : start + step] * (rows @ w.T)).T @ rows
        return np.asarray(onto)

    return stream
