"""Effects of a label inside a window: tested by relabelling, with intervals, of all or some trials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from analyses import _decode, _resample, _shrunk
from analyses import folds as _folds
from analyses._decode import Estimator, Task
from analyses._labelled import over
from analyses._residual import Removal

TRIALS = ["presentation", "neuroid"]
CONFIDENCE = 0.95
FEWEST = 4  # training presentations of a class in every fold of a subset


def check(permutations: int, bootstraps: int, alpha: float) -> None:
    """ValueError for numbers that allow no test."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha}; wanted a probability between 0 and 1")
    if permutations < 1 or 1 / (permutations + 1) > alpha:
        least = int(np.ceil(1 / alpha)) - 1
        raise ValueError(f"permutations: {permutations}; cannot reach p <= {alpha}, give {least} or more")
    if bootstraps < 20:
        raise ValueError(f"bootstraps: {bootstraps}; a 95 % interval needs 20 or more")


def moments(recording: xr.Dataset, window: Sequence[float | None]) -> np.ndarray:
    """The samples inside a window, both ends included; a missing end is open."""
    if len(window) != 2:
        raise ValueError(f"window: {list(window)}; wanted are two ends in s, null for an open one")
    time = recording["time"].values
    low, high = (-np.inf if window[0] is None else window[0]), (np.inf if window[1] is None else window[1])
    inside = np.flatnonzero((time >= low - 1e-9) & (time <= high + 1e-9))
    if not inside.size:
        raise ValueError(
            f"window: {list(window)} s holds no sample; time goes from {time[0]:.4g} to {time[-1]:.4g} s"
        )
    return inside


def span(recording: xr.Dataset, inside: np.ndarray) -> dict[str, float]:
    """The ends of a window, for a record."""
    time = recording["time"].values[inside]
    return {"window_start_s": float(time[0]), "window_end_s": float(time[-1])}


def significance(
    response: xr.DataArray, task: Task, codes: np.ndarray, removed: list[Removal] | None = None
) -> float:
    """p of the sum over the times of `response` of (AUC - 0.5)² where it is above 0.5, by relabelling.

    The sum finds a short strong effect as well as a long weak one. NaN where folds are too small.
    """
    if not decodable(task):
        return float("nan")
    found = over(
        _shrunk.scores, response, TRIALS, {"permutation": len(codes)},
        task=task, relabelled=codes, removed=removed,
    ).transpose("permutation", "time").values  # fmt: skip
    excess = (np.maximum(found - 0.5, 0) ** 2).sum(axis=1)
    return float(_shrunk.p_values(excess[:1], excess[None, 1:])[0])


def subset(response: xr.DataArray, task: Task, inside: np.ndarray, estimator: Estimator) -> np.ndarray:
    """AUC (time) of some presentations in the same folds; NaN where a fold then has too few to train."""
    part = within(task, inside)
    if not decodable(part):
        return np.full(response.sizes["time"], np.nan)
    decision = over(
        _decode.decide, response, TRIALS, {"presentation": task.codes.size}, task=part, estimator=estimator
    )
    return np.asarray(over(_decode.score, decision, ["presentation"], {}, task=part).values)


def decodable(task: Task) -> bool:
    """Whether every fold trains on enough presentations of each class, and some fold tests both classes."""
    classes = [task.codes == code for code in (0, 1)]
    trained, tested = ([(side & mine).sum(axis=1) for mine in classes] for side in (task.train, task.test))
    return len(task.train) > 1 and bool(np.min(trained) >= FEWEST and np.minimum(*tested).max() > 0)


def within(task: Task, inside: np.ndarray) -> Task:
    """The task of some presentations (n), without the folds that test none of them."""
    train, test = task.train & inside, task.test & inside
    filled = test.any(axis=1)
    return task._replace(train=train[filled], test=test[filled])


def resampled(
    decisions: Sequence[np.ndarray], task: Task, units: np.ndarray, bootstraps: int, seed: int
) -> np.ndarray:
    """Mean AUC over time of each of some decision values (n, time) in resamples of units within classes:
    (bootstrap, one of them).
    """
    drawn = _resample.draws(units, task.codes, bootstraps, np.random.SeedSequence(seed, spawn_key=(1,)))
    return np.array([_resample.auc(part.T, task, drawn).mean(axis=0) for part in decisions]).T


def loss(raw: np.ndarray, left: np.ndarray, chance: float = 0.5) -> np.ndarray:
    """Share of the effect, score less chance, that is lost; NaN where there is none to lose."""
    effect = np.asarray(raw, dtype=float) - chance
    share = np.full(effect.shape, np.nan)
    return np.divide(effect - (np.asarray(left) - chance), effect, out=share, where=effect > 0)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of finite draws; NaN where there are hardly any."""
    finite = draws[np.isfinite(draws)]
    if finite.size < 20:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def resolution(
    recording: xr.Dataset, label: str, split: xr.Dataset, permutations: int, alpha: float, families: int = 1
) -> dict[str, float]:
    """How many relabellings there are, and the smallest p of so many families: exchanging both classes
    changes no AUC. Warns where that is above alpha.
    """
    possible = _folds.relabellings(recording, label, split)
    smallest = min(max(families, 1) * max(1 / (permutations + 1), 2 / possible), 1.0)
    if smallest > alpha:
        warnings.warn(
            f"label {label!r}: {possible:.0f} relabellings, {permutations} drawn; cannot reach p <= {alpha}, "
            "the control stays undecided",
            UserWarning,
            stacklevel=4,
        )
    return {"relabellings": possible, "smallest_p": smallest}
