"""Presentations drawn again: what a score would have been with other showings of other stimuli."""

from __future__ import annotations

import numpy as np

from analyses._decode import AT_ONCE, Task


def draws(groups: np.ndarray, codes: np.ndarray, bootstraps: int, seed: np.random.SeedSequence) -> np.ndarray:
    """How often each presentation is drawn (bootstrap, n): whole groups, with replacement within classes.

    >>> draws(np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1]), 1, np.random.SeedSequence(0))[0, :2]
    array([1., 1.])
    """
    rng = np.random.default_rng(seed)
    out = np.zeros((bootstraps, codes.size))
    for code in range(codes.max() + 1):
        rows = np.flatnonzero(codes == code)
        members = np.unique(groups[rows], return_inverse=True)[1].ravel()
        count = members.max() + 1
        out[:, rows] = rng.multinomial(count, np.full(count, 1 / count), bootstraps)[:, members]
    return out


def auc(decisions: np.ndarray, task: Task, drawn: np.ndarray) -> np.ndarray:
    """AUC (time, bootstrap) of decisions (time, n), each presentation counting as often as it is drawn.

    Pairs of one fold only, as `_decode.score`; a draw without a pair is NaN.
    """
    won = np.zeros((len(decisions), len(drawn)))
    pairs = np.zeros(len(drawn))
    for test in task.test:
        ones, zeros = np.flatnonzero(test & (task.codes > 0)), np.flatnonzero(test & (task.codes == 0))
        pairs += drawn[:, ones].sum(axis=1) * drawn[:, zeros].sum(axis=1)
        step = max(1, AT_ONCE // max(ones.size * zeros.size, 1))
        for start in range(0, len(decisions), step):
            some = decisions[start : start + step]
            gap = some[:, ones, None] - some[:, None, zeros]
            beaten = np.heaviside(gap, 0.5) @ drawn[:, zeros].T  # time, one, bootstrap
            won[start : start + step] += np.einsum("tob,bo->tb", beaten, drawn[:, ones])
    with np.errstate(invalid="ignore", divide="ignore"):
        return won / pairs


def balanced_accuracy(decisions: np.ndarray, task: Task, drawn: np.ndarray) -> np.ndarray:
    """Balanced accuracy (time, bootstrap) of decisions (time, n[, class]), as `_scores.balanced_accuracy`."""
    tested = task.test.any(axis=0)
    found = decisions > 0 if task.functions == 1 else decisions.argmax(axis=-1)
    hit = np.asarray((found == task.codes) & tested, dtype=float)
    recalls = []
    for code in range(len(task.classes)):
        mine = drawn * (tested & (task.codes == code))
        recalls.append(hit @ mine.T / mine.sum(axis=1))
    return np.asarray(np.mean(recalls, axis=0))


def scores(decisions: np.ndarray, task: Task, drawn: np.ndarray) -> np.ndarray:
    """Scores (time, bootstrap) of decisions (time, n[, class]) with presentations drawn (bootstrap, n)."""
    return (auc if task.score == "auc" else balanced_accuracy)(decisions, task, drawn)
