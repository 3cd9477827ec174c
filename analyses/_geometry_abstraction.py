"""Does what tells two things apart here tell them apart there? The array side of CCGP, PS and SD."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from analyses import _ridge
from analyses._decode import finite
from analyses._moments import plan

AT_ONCE = 1024  # rotations at once
ESTIMATORS = ("ridge", "svm")


class Held(NamedTuple):
    """One dichotomy and the pairs of conditions that it is tested on in turn: sides (n), +1, −1, or 0 for
    presentations of neither; train, test (pair, n).
    """

    sides: np.ndarray
    train: np.ndarray
    test: np.ndarray


class Decoder(NamedTuple):
    """A linear classifier, the weight of its penalty, and whether neuroids are scaled by the training set."""

    name: str
    strength: float
    standardize: bool


def dichotomies(count: int) -> np.ndarray:
    """All splits of conditions into two halves (dichotomy, condition), ±1, the first condition +1; of an odd
    number one half is larger by one.

    >>> len(dichotomies(8)), len(dichotomies(7))
    (35, 35)
    """
    half = count // 2
    made = []
    for chosen in combinations(range(count), half):
        if count % 2 or 0 in chosen:
            row = -np.ones(count)
            row[list(chosen)] = 1
            made.append(row * row[0])
    return np.array(made)


def held_pairs(sides: np.ndarray, distance: np.ndarray, neighbours: bool) -> list[tuple[int, int]]:
    """Pairs of conditions, one of each side; of neighbours only those that differ in one variable."""
    plus, minus = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
    pairs = [(int(a), int(b)) for a in plus for b in minus]
    return [pair for pair in pairs if distance[pair] == 1] if neighbours else pairs


def hold(codes: np.ndarray, sides: np.ndarray, pairs: list[tuple[int, int]]) -> Held:
    """Masks over presentations for the pairs of conditions held out of a dichotomy."""
    labels = sides[codes]
    test = np.array([np.isin(codes, pair) for pair in pairs])
    return Held(labels, (labels != 0) & ~test, test)


def generalize(block: np.ndarray, held: list[Held], decoder: Decoder, swaps: np.ndarray) -> np.ndarray:
    """Accuracy of every dichotomy on conditions that it was not trained on, and with their axes swapped.

    The null keeps decoder and test patterns, but exchanges the neuroids of the latter, scaled as in training.

    Reads    block (time, n, p); swaps (p, rotation)
    Returns  (time, dichotomy, pairs + n + rotations): accuracy of each pair (padded with NaN), what each
             presentation adds to their mean, and the mean under each rotation
    Source   Bernardi et al. 2020, doi 10.1016/j.cell.2020.09.031
    """
    block = finite(block)
    most = max(len(one.test) for one in held)
    many, rotations = block.shape[1], swaps.shape[1]
    out = np.full((len(block), len(held), most + many + rotations), np.nan)
    for number, one in enumerate(held):
        rows = np.flatnonzero(one.sides)
        part = Held(*(mask[..., rows] for mask in one))
        for moment, x in enumerate(block):
            accuracy, share, null = _one(x[rows], part, decoder, swaps)
            out[moment, number, : len(accuracy)] = accuracy
            out[moment, number, most : most + many] = 0
            out[moment, number, most + rows] = share
            out[moment, number, most + many :] = null
    return out


def swapped(features: int, rotations: int, stream: np.random.SeedSequence) -> np.ndarray:
    """Random pairings of neuroids that change places (p, rotation), the same for all conditions and times.

    A swap is its own inverse. So how well A's axes serve B and B's serve A stay as alike as they are, and the
    null as wide as the scores; exchanges drawn for each pair of conditions make it too narrow.
    """
    order = np.random.default_rng(stream).random((rotations, features)).argsort(axis=1)
    half = features // 2
    left, right = order[:, :half], order[:, half : 2 * half]
    out = np.tile(np.arange(features), (rotations, 1))
    np.put_along_axis(out, left, right, axis=1)
    np.put_along_axis(out, right, left, axis=1)
    return np.ascontiguousarray(out.T)


def _one(
    x: np.ndarray, held: Held, decoder: Decoder, swaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracy of each pair, share of each presentation (n), null (rotation), of one time."""
    weights, levels, centre, scale = fitted(x, held, decoder)
    accuracy, share = np.empty(len(held.test)), np.zeros(len(x))
    null = np.zeros(swaps.shape[1])
    for pair, test in enumerate(held.test):
        z = (x[test] - centre[pair]) / scale[pair]
        sides = held.sides[test]
        worth = 0.5 / np.where(sides > 0, (sides > 0).sum(), (sides < 0).sum())
        right = (z @ weights[pair] + levels[pair]) * sides > 0
        accuracy[pair] = worth @ right
        share[test] += worth * right / len(held.test)
        signed, level = z * sides[:, None], (levels[pair] * sides)[:, None]
        for start in range(0, null.size, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            turned = signed @ weights[pair][swaps[:, some]]
            null[some] += worth @ (turned > -level) / len(held.test)
    return accuracy, share, null


def fitted(
    x: np.ndarray, held: Held, decoder: Decoder
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of every pair held out: weights for patterns about the training mean in units of `scale`, the level
    added, the mean, and the scale (1 without standardize).
    """
    train = held.train.astype(float)
    counts = train.sum(axis=1, keepdims=True)
    reference = x[0]
    about = x - reference
    centre = train @ about / counts
    spread = np.sqrt(np.maximum(train @ about**2 / counts - centre**2, 0))
    still = spread <= 1e-9 * np.maximum(np.abs(centre) + np.abs(about).max(axis=0), 1e-300)
    scale = np.where(still | (not decoder.standardize), 1.0, spread)
    if decoder.name == "svm":
        weights, levels = _svm(about, held, decoder, centre, scale)
    else:
        made = plan(np.zeros(len(x), dtype=np.int64), held.train)
        found, offsets = _ridge.fit(
            about[None], held.sides[:, None].astype(float), made, decoder.strength, decoder.standardize
        )
        weights = found[0, :, 0] * scale
        levels = offsets[0, :, 0] + (found[0, :, 0] * centre).sum(axis=1)
    return weights, levels, centre + reference, scale


def _svm(
    x: np.ndarray, held: Held, decoder: Decoder, centre: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.svm import SVC

    weights, levels = [], []
    for pair, train in enumerate(held.train):
        z = (x[train] - centre[pair]) / scale[pair]
        model = SVC(kernel="linear", C=decoder.strength).fit(z, held.sides[train])
        weights.append(model.coef_[0])
        levels.append(model.intercept_[0])
    return np.array(weights), np.array(levels)


def matchings(sides: np.ndarray, distance: np.ndarray, neighbours: bool) -> np.ndarray:
    """Ways to pair the conditions of both sides (matching, pair, 2); of neighbours only those in which all
    pairs differ in one variable.
    """
    plus, minus = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
    if plus.size > 6 and not neighbours:
        raise ValueError(
            f"matching: {plus.size} conditions a side; use 'neighbours', the others are too many"
        )
    if neighbours:
        near = [[int(b) for b in minus if distance[a, b] == 1] for a in plus]
        orders = _perfect(near)
    else:
        orders = [list(order) for order in permutations(minus.tolist())]
    return np.array(
        [[(int(a), b) for a, b in zip(plus, order, strict=True)] for order in orders], dtype=np.int64
    )


def _perfect(choices: list[list[int]], taken: tuple[int, ...] = ()) -> list[list[int]]:
    """All ways to choose one of each list, none twice."""
    if len(taken) == len(choices):
        return [list(taken)]
    found: list[list[int]] = []
    for choice in choices[len(taken)]:
        if choice not in taken:
            found += _perfect(choices, (*taken, choice))
    return found


def parallelism(means: np.ndarray, pairings: np.ndarray) -> np.ndarray:
    """Largest mean cosine between the differences of paired conditions, over the pairings.

    Reads    means (..., condition, p); pairings (matching, pair, 2)
    Returns  (...)
    """
    best = np.full(means.shape[:-2], -np.inf)
    for pairing in pairings:
        best = np.maximum(best, cosines(means[..., pairing[:, 0], :] - means[..., pairing[:, 1], :]))
    return best


def cosines(ways: np.ndarray) -> np.ndarray:
    """Mean cosine of all pairs of coding directions (..., direction, p)."""
    length = np.linalg.norm(ways, axis=-1, keepdims=True)
    unit = np.divide(ways, length, out=np.zeros_like(ways), where=length > 0)
    count = ways.shape[-2]
    summed = (unit.sum(axis=-2) ** 2).sum(axis=-1)
    return np.asarray((summed - (unit**2).sum(axis=(-1, -2))) / (count * (count - 1)))
