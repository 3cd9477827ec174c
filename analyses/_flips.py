"""Signs of whole units flipped: where scores lie symmetrically about chance, any sign is as likely."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

AT_ONCE = 2**17  # numbers of a block of maps: they fit the processor's cache
COUNTABLE = 62  # units whose flips can be numbered by one integer


def signs(units: int, flips: int, tail: str, seed: int) -> np.ndarray:
    """Sets of signs (flip, unit), -1 or 1, never all alike the true ones; every one of them where there are
    no more than `flips`.

    Two-sided, a set and its opposite are one, so the last unit keeps its sign.
    """
    free = units - (tail == "two-sided")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    if free <= COUNTABLE:
        total = 2**free - 1
        numbers = np.arange(total) if total <= flips else rng.choice(total, flips, replace=False)
        flipped = (numbers[:, None] + 1) >> np.arange(free) & 1
    else:
        flipped = rng.integers(2, size=(flips, free))
    return np.asarray(1.0 - 2 * np.pad(flipped, ((0, 0), (0, units - free))))


def scaled(values: np.ndarray) -> np.ndarray:
    """values (unit, place), less chance, scaled so that a sum over units is sqrt(t^2 / (t^2 + n - 1)), with
    t's sign: flips do not change a sum of squares, so t needs nothing but this sum.
    """
    squares = (values**2).sum(axis=0)
    return values / np.sqrt(len(values) * np.where(squares > 0, squares, 1.0))


def maps(parts: np.ndarray, flipped: np.ndarray, rows: int, width: int) -> Iterator[np.ndarray]:
    """Blocks (flip, row, time) of the sums of `scaled` values under every set of signs; each is overwritten
    by the next.
    """
    step = max(4, AT_ONCE // parts.shape[1])
    block = np.empty((min(step, len(flipped)), parts.shape[1]))
    for start in range(0, len(flipped), step):
        some = flipped[start : start + step]
        yield np.matmul(some, parts, out=block[: len(some)]).reshape(-1, rows, width)


def student(sums: np.ndarray, units: int) -> np.ndarray:
    """Student's t of sums of `scaled` values."""
    return np.asarray(sums * np.sqrt((units - 1) / np.maximum(1 - sums**2, 1e-12)))


def cut(threshold: float, units: int) -> float:
    """The sum of `scaled` values at which t is `threshold`."""
    return float(threshold / np.sqrt(threshold**2 + units - 1))
