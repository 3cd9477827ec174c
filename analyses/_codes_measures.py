"""Arrays of neural codes: sparseness, correlations, Fisher information, autocorrelation, spike times."""

from __future__ import annotations

import numpy as np

INDICES = ("treves_rolls", "vinje_gallant", "hoyer")


def sparse(rates: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of rates (..., n) of one cell over n stimuli, or of n cells for one stimulus; NaN if all are 0.

    Treves-Rolls a = (Σr/n)² / (Σr²/n), Vinje-Gallant (1 - a) / (1 - 1/n), Hoyer (√n - Σ|r|/√Σr²) / (√n - 1).

    >>> {name: float(round(value, 6)) for name, value in sparse(np.array([1.0, 0, 0, 0])).items()}
    {'treves_rolls': 0.25, 'vinje_gallant': 1.0, 'hoyer': 1.0}
    """
    count = rates.shape[-1]
    total, square = rates.sum(axis=-1), (rates**2).sum(axis=-1)
    safe = np.where(square > 0, square, np.nan)
    treves = total**2 / (count * safe)
    hoyer = (np.sqrt(count) - np.abs(rates).sum(axis=-1) / np.sqrt(safe)) / (np.sqrt(count) - 1)
    return dict(zip(INDICES, (treves, (1 - treves) / (1 - 1 / count), hoyer), strict=True))


def averages(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Means (..., stimulus, p) of x (..., n, p)."""
    member = (codes == np.arange(codes.max() + 1)[:, None]).astype(float)
    return np.asarray((member / member.sum(axis=1, keepdims=True)) @ x)


def signal(x: np.ndarray, codes: np.ndarray, together: np.ndarray) -> np.ndarray:
    """Correlation (p, p) of mean responses, what noise adds to their covariance taken away.

    Off the diagonal noise is taken away where neuroids were recorded together. NaN where no signal is left.
    """
    means, counts = averages(x, codes), np.bincount(codes)
    about = means - means.mean(axis=0)
    rest = x - means[codes]
    weight = 1 / (counts * np.maximum(counts - 1, 1))
    noise = (rest * weight[codes, None]).T @ rest / len(counts)
    share = np.where(together | np.eye(len(noise), dtype=bool), noise, 0.0)
    covariance = about.T @ about / (len(counts) - 1) - share
    size = np.diagonal(covariance)
    scale = np.sqrt(np.where(size > 0, size, np.nan))
    return np.asarray(covariance / scale[:, None] / scale)


def noise(x: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Correlation (p, p) of responses z-scored within stimuli; NaN where one never varies."""
    counts = np.bincount(codes)
    rest = x - averages(x, codes)[codes]
    spread = np.sqrt(averages(rest**2, codes) * (counts / np.maximum(counts - 1, 1))[:, None])
    live = spread > 0
    score = rest / np.where(live, spread, 1.0)[codes]
    freedom = (live * (counts - 1)[:, None]).T.astype(float) @ live
    return np.asarray(score.T @ score / np.where(freedom > 0, freedom, np.nan))


def within(slow: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """x (n, p) with each column shuffled by itself over the presentations of each stimulus."""
    made = np.empty_like(slow)
    for code in range(codes.max() + 1):
        made[codes == code] = rng.permuted(slow[codes == code], axis=0)
    return made


def fisher(derivative: np.ndarray, covariance: np.ndarray) -> float:
    """Linear Fisher information f'ᵀ Σ⁻¹ f'.

    >>> fisher(np.array([3.0, 4.0]), np.eye(2))
    25.0
    """
    return float(derivative @ np.linalg.solve(covariance, derivative))


def fisher_sampled(one: np.ndarray, two: np.ndarray, shuffled: bool) -> float:
    """Of responses (n, p) to two stimuli one step apart, the bias of sampling removed.

    `shuffled`: of the same neuroids without their correlations. NaN for too few presentations.
    """
    trials, width = min(len(one), len(two)), one.shape[1]
    one, two = one[:trials], two[:trials]
    step = two.mean(axis=0) - one.mean(axis=0)
    covariance = (np.cov(one.T) + np.cov(two.T)).reshape(width, width) / 2
    if shuffled:
        variance = np.diagonal(covariance)
        return float((step**2 / variance).sum() * (trials - 2) / (trials - 1) - 2 * width / trials)
    if 2 * trials - width - 3 <= 0:
        return np.nan
    share = (2 * trials - width - 3) / (2 * trials - 2)
    return fisher(step, covariance) * share - 2 * width / trials


def autocorrelation(x: np.ndarray) -> np.ndarray:
    """x (n, p, time) to the mean correlation (p, lag - 1) over presentations of counts `lag` bins apart."""
    about = x - x.mean(axis=0)
    spread = np.sqrt((about**2).sum(axis=0))
    z = (about / np.where(spread > 0, spread, np.nan)).transpose(1, 2, 0)
    square = z @ z.swapaxes(1, 2)
    lags = range(1, x.shape[2])
    lines = [np.diagonal(square, lag, axis1=1, axis2=2) for lag in lags]
    return np.stack([_mean(line) for line in lines], axis=1)


def _mean(line: np.ndarray) -> np.ndarray:
    """Mean along the last axis without NaN, NaN where there is nothing else."""
    there = np.isfinite(line)
    count = there.sum(axis=-1)
    return np.asarray(np.where(there, line, 0).sum(axis=-1) / np.where(count > 0, count, np.nan))


def decay(lines: np.ndarray, lags: np.ndarray, steps: int = 400) -> tuple[np.ndarray, ...]:
    """Fit of A (exp(-lag/τ) + B): τ, A, B, R² of lines (row, lag), τ on a grid, A and B by least squares.

    NaN where A is not above 0, or where τ lies at the end of the grid: half a lag to ten times the longest.
    """
    grid = np.geomspace(0.5 * lags[0], 10 * lags[-1], steps)
    shape = np.exp(-lags / grid[:, None])
    shape_mean = shape.mean(axis=1, keepdims=True)
    about, centre = shape - shape_mean, lines.mean(axis=1, keepdims=True)
    rest = lines - centre
    gain = rest @ about.T / (about**2).sum(axis=1)
    error = (rest**2).sum(axis=1, keepdims=True) - gain**2 * (about**2).sum(axis=1)
    best = np.where(gain > 0, error, np.inf).argmin(axis=1)
    row = np.arange(len(lines))
    size, tau = gain[row, best], grid[best]
    good = (size > 0) & (best > 0) & (best < steps - 1) & np.isfinite(lines).all(axis=1)
    total = (rest**2).sum(axis=1)
    fit = 1 - error[row, best] / np.where(total > 0, total, np.nan)
    offset = centre[:, 0] - size * shape_mean[best, 0]
    safe = np.where(good, size, np.nan)
    return np.where(good, tau, np.nan), safe, offset / safe, np.where(good, fit, np.nan)


def moved(counts: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """counts (n, p, time) with every spike moved by up to `reach` bins, uniformly, inside the window.

    Spikes that would leave are turned back at its edge; infinity draws every time anew.
    """
    width = counts.shape[-1]
    flat = counts.reshape(-1, width).astype(np.int64)
    row, place = np.nonzero(flat)
    often = flat[row, place]
    row, place = np.repeat(row, often), np.repeat(place, often)
    if np.isinf(reach):
        there = rng.integers(0, width, place.size)
    else:
        shift = place + 0.5 + rng.uniform(-reach, reach, place.size)
        turned = np.abs(shift)
        turned = np.where(turned > width, 2 * width - turned, turned)
        there = np.clip(turned.astype(np.int64), 0, width - 1)
    made = np.bincount(row * width + there, minlength=flat.size)
    return made.reshape(counts.shape)


def halves(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of each stimulus's presentations at random, as a mask (n)."""
    order = rng.permutation(codes.size)
    ranked = order[codes[order].argsort(kind="stable")]
    start = np.concatenate([[0], np.bincount(codes).cumsum()[:-1]])
    made = np.empty(codes.size, dtype=bool)
    made[ranked] = (np.arange(codes.size) - start[codes[ranked]]) % 2 == 0
    return made


def likeness(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Correlation (time, time) of tuning (time, stimulus, p) at all times, each neuroid's mean removed."""
    flat = []
    for means in (one, two):
        about = (means - means.mean(axis=1, keepdims=True)).reshape(len(means), -1)
        size = np.linalg.norm(about, axis=1, keepdims=True)
        flat.append(about / np.where(size > 0, size, np.nan))
    return np.asarray(flat[0] @ flat[1].T)


def told(rates: np.ndarray, draws: int, rng: np.random.Generator) -> float:
    """Share of simulated Poisson responses to rates (stimulus, p) whose stimulus is the most likely."""
    safe = np.maximum(rates, 1e-3)
    seen = rng.poisson(safe[:, None], size=(len(rates), draws, rates.shape[1]))
    likely = seen @ np.log(safe).T - safe.sum(axis=1)
    best = likely >= likely.max(axis=2, keepdims=True) - 1e-9
    right = best[np.arange(len(rates)), :, np.arange(len(rates))]
    return float((right / best.sum(axis=2)).mean())


def middle(numbers: np.ndarray, confidence: float, seed: int, draws: int = 2000) -> tuple[float, ...]:
    """Median of what is finite with its bootstrap interval, and how many there are."""
    kept = numbers[np.isfinite(numbers)]
    if kept.size < 2:
        return float(np.median(kept)) if kept.size else np.nan, np.nan, np.nan, kept.size
    again = np.random.default_rng(seed).choice(kept, (draws, kept.size))
    low, high = np.quantile(np.median(again, axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(np.median(kept)), float(low), float(high), kept.size
