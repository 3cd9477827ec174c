"""The exponent of one recording: rows made equal, groups of them left out, halves of them alone."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _spectrum_kernels as kernels
from analyses._geometry_labelled import chosen, inherited, timed
from analyses._geometry_results import rows

ONE = {"units": "1"}


def exponent(
    recording: xr.Dataset, where: Any, average: str | None, window: tuple[int, int], groups: int,
    confidence: float, tolerance: float, seed: int,
) -> xr.Dataset:  # fmt: skip
    picked = chosen(recording, where)
    block = rows(picked, average)
    count, width = block.shape[1:]
    halves = count // 2
    _check(window, groups, confidence, halves, width)
    place = np.random.default_rng(seed).permutation(np.arange(count) % groups)
    spectra = np.stack([kernels.eigenvalues(x) for x in block])
    alpha = kernels.exponent(spectra, *window)
    left = np.stack([_alpha(block[:, place != group], window) for group in range(groups)])
    error = np.sqrt((groups - 1) / groups * ((left - left.mean(0)) ** 2).sum(0))
    half = student.ppf(0.5 + confidence / 2, groups - 1) * error
    order = np.random.default_rng([seed, 1]).permutation(count)
    fewer = np.mean([_alpha(block[:, part], window) for part in (order[:halves], order[-halves:])], axis=0)
    _warn(alpha, fewer, tolerance, count)
    made = {"alpha": alpha, "alpha_low": alpha - half, "alpha_high": alpha + half, "alpha_half": fewer}
    held: dict[str, Any] = {name: ("time", values, ONE) for name, values in made.items()}
    held["eigenvalue"] = (("component", "time"), spectra.T, ONE)
    coords = {"component": np.arange(1, spectra.shape[1] + 1), **timed(recording)}
    told = {
        "low": window[0], "high": window[1], "rows": count, "neuroids": width, "average": average or "none",
        "over": "rows", "n": count, "jackknife": groups, "confidence": confidence, "seed": seed,
        "bias": f"of {count} rows and {width} neuroids; compare at equal numbers of both alone",
    }  # fmt: skip
    return xr.Dataset(held, coords, told | inherited(recording))


def _alpha(block: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    return np.array([kernels.exponent(kernels.eigenvalues(x), *window) for x in block])


def _check(window: tuple[int, int], groups: int, confidence: float, halves: int, width: int) -> None:
    low, high = window
    if not 1 <= low < high:
        raise ValueError(f"low: {low}, with high {high}; wanted ranks from 1 up, the first below the last")
    if groups < 2:
        raise ValueError(f"groups: {groups}; a jackknife leaves out one of 2 or more")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")
    ranks = min(halves - 1, width)
    if high > ranks:
        why = f"{2 * halves} rows of {width} neuroids, which have {ranks} ranks in each half of the rows"
        raise ValueError(f"high: {high} in {why}; record more, or fit lower ranks")


def _warn(alpha: np.ndarray, fewer: np.ndarray, tolerance: float, count: int) -> None:
    off = np.abs(fewer - alpha)
    if (off > tolerance).any():
        worst = int(off.argmax())
        told = f"{alpha[worst]:.2f} of {count} rows is {fewer[worst]:.2f} of half of them"
        why = "it depends on how many there are"
        warnings.warn(f"alpha: {told}; {why}, so compare equal numbers alone", UserWarning, stacklevel=4)
