"""From recordings to words and scores and back: windows, estimates with their errors, tests, Datasets."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _geometry_labelled as _labelled
from analyses import _information_gaussian as _gaussian
from analyses import _information_words as _words
from analyses._information_estimators import ESTIMATORS, drawn
from analyses._labelled import over

COPULA = "gaussian-copula"
BITS = {"units": "bit"}
TRIALS = ["presentation", "neuroid", "letter"]


class Asked(NamedTuple):
    """How information is estimated: the estimator, how numbers become letters, one covariance for all labels
    or one each, how many labels there are, repetitions of the extrapolation, shuffles, seed.
    """

    estimator: str
    bins: int
    binning: str
    covariance: str
    number: int
    repetitions: int
    shuffles: int
    seed: int


class Coded(NamedTuple):
    """The recording asked for, its response (presentation, neuroid, time, letter), names of labels,
    labellings (1 + permutations, presentation), groups (presentation) that the jackknife leaves out, what was
    asked.
    """

    recording: xr.Dataset
    response: xr.DataArray
    names: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    asked: dict[str, Any]


def asked(
    estimator: str, bins: int, binning: str, covariance: str, repetitions: int, shuffles: int, seed: int
) -> Asked:
    """What was asked for, with no number of labels yet; ValueError for what there is not."""
    for name, given, known in (
        ("estimator", estimator, (*ESTIMATORS, COPULA)), ("binning", binning, _words.BINNINGS),
        ("covariance", covariance, _gaussian.COVARIANCES),
    ):  # fmt: skip
        if given not in known:
            raise ValueError(f"{name}: {given!r}; use one of {', '.join(known)}")
    for name, number, least in (
        ("bins", bins, 2),
        ("repetitions", repetitions, 1),
        ("shuffles", shuffles, 1),
    ):
        if number < least:
            raise ValueError(f"{name}: {number}; give {least} or more")
    return Asked(estimator, bins, binning, covariance, 0, repetitions, shuffles, seed)


def coded(
    recording: xr.Dataset, label: str, where: Mapping[str, Any] | None, code: str, word: int, step: int,
    permutations: int, exchange: str, groups: int, seed: int,
) -> Coded:  # fmt: skip
    """Labels and windows of a recording."""
    chosen = _labelled.chosen(recording, where)
    names, codes = _labelled.coded(chosen, label)
    fewest = np.bincount(codes).min()
    if fewest < 4:
        raise ValueError(f"label {label!r}: {fewest} presentations of one value; 4 or more are needed")
    others = _labelled.relabelled(chosen, label, permutations, seed, exchange)
    response = worded(chosen, code, word, step)
    told = _labelled.facts(chosen, label, names, codes) | {"code": code, "word": word, "step": step}
    if permutations:
        told |= {"permutations": permutations, "exchange": exchange}
    every = np.concatenate([codes[None], others])
    return Coded(chosen, response, names, every, dealt(codes, groups, seed), told)


def worded(recording: xr.Dataset, code: str, word: int, step: int) -> xr.DataArray:
    """Response in windows of `word` samples, every `step`: their sum as one letter ("rate") or each as a
    letter ("timing").
    """
    if code not in ("rate", "timing"):
        raise ValueError(f"code: {code!r}; use 'rate' or 'timing'")
    response = recording["response"]
    count = response.sizes["time"]
    if not 1 <= word <= count:
        raise ValueError(f"word: {word} samples; the recording has {count}")
    if step < 1:
        raise ValueError(f"step: {step}; give 1 or more")
    told = recording.attrs
    if word > 1 and float(told.get("bin_step", told.get("bin_width", 0))) < float(told.get("bin_width", 0)):
        raise ValueError(f"word: bins of {told['bin_width']} s overlap; count spikes with step = bin_width")
    starts = np.arange(0, count - word + 1, step)
    parts = [response.isel(time=starts + shift).drop_vars("time", errors="ignore") for shift in range(word)]
    if code == "rate":
        made = parts[0]
        for part in parts[1:]:
            made = made + part
        made = made.expand_dims("letter", axis=-1)
    else:
        made = xr.concat(parts, "letter")
    if "time" in response.coords:
        time = np.asarray(response["time"].values, dtype=float)
        made = made.assign_coords(time=np.mean([time[starts + shift] for shift in range(word)], axis=0))
    return made


def dealt(codes: np.ndarray, groups: int, seed: int) -> np.ndarray:
    """Presentations of every label dealt to `groups`, in a random order."""
    if groups == 0:
        return np.zeros(codes.size, dtype=np.int64)
    if groups < 2:
        raise ValueError(f"groups: {groups}; give 2 or more, 0 for no interval")
    order = np.random.default_rng(seed).permutation(codes.size)
    made = np.empty(codes.size, dtype=np.int64)
    made[order[codes[order].argsort(kind="stable")]] = np.arange(codes.size) % groups
    return made


def estimates(rows: np.ndarray, labels: np.ndarray, how: Asked) -> np.ndarray:
    """Information (labelling, row) of rows (row, n, letter) about labels (labelling, n)."""
    if how.estimator == COPULA:
        _gaussian.fits(rows.shape[2], np.bincount(labels[0]), how.covariance)
        first = _gaussian.information(rows, labels[0], how.number, how.covariance)[None]
        if len(labels) == 1:
            return first
        others = _gaussian.informations(_gaussian.scored(rows), labels[1:], how.number, how.covariance)
        return np.concatenate([first, others])
    words = _words.spelled(rows, how.bins, how.binning)
    orders = drawn(rows.shape[1], rows.shape[2], how.repetitions, how.shuffles, how.seed)
    return np.array([ESTIMATORS[how.estimator](words, row, how.number, orders) for row in labels])


def errors(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, how: Asked) -> np.ndarray:
    """Standard error (row) by leaving groups out in turn."""
    number = int(groups.max()) + 1
    if number < 2:
        return np.full(len(rows), np.nan)
    left = np.array([
        estimates(rows[:, groups != group], labels[:1, groups != group], how)[0] for group in range(number)
    ])  # fmt: skip
    return np.asarray(np.sqrt((number - 1) / number * ((left - left.mean(axis=0)) ** 2).sum(axis=0)))


def singles(block: np.ndarray, labels: np.ndarray, groups: np.ndarray, how: Asked) -> np.ndarray:
    """block (time, n, p, letter) to columns (time, 5 p + permutations): see `columns`."""
    times, count, width, letters = block.shape
    rows = numbers(block).transpose(0, 2, 1, 3).reshape(times * width, count, letters)
    return columns(rows, labels, groups, how, times)


def populations(
    block: np.ndarray, labels: np.ndarray, groups: np.ndarray, how: Asked, components: int
) -> np.ndarray:
    """block (time, n, p, letter) to columns (time, 5 + permutations), all neuroids spelling one word."""
    rows = numbers(block).reshape(*block.shape[:2], -1)
    if components:
        rows = principal(rows, components)
    return columns(rows, labels, groups, how, len(block))


def columns(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, how: Asked, times: int) -> np.ndarray:
    """Of each row: information, standard error, mean and 95th percentile over relabellings, how many of them
    reach it; then the largest of all rows of a time for each relabelling.
    """
    found = estimates(np.ascontiguousarray(rows), labels, how)
    made = [found[0], errors(rows, labels, groups, how)]
    null = found[1:]
    if len(null):
        made += [null.mean(axis=0), np.quantile(null, 0.95, axis=0)]
        made += [(null >= found[0] - 1e-12).sum(axis=0).astype(float)]
    width = len(rows) // times
    flat = np.stack(made).reshape(len(made), times, width).swapaxes(0, 1).reshape(times, -1)
    if not len(null):
        return flat
    most = np.where(np.isnan(null), -np.inf, null).reshape(len(null), times, width).max(axis=2)
    return np.concatenate([flat, most.T], axis=1)


def principal(rows: np.ndarray, components: int) -> np.ndarray:
    """rows (time, n, p) in their first principal components, whatever the labels."""
    if components > min(rows.shape[1:]):
        raise ValueError(f"components: {components}; the response has {min(rows.shape[1:])}")
    about = rows - rows.mean(axis=1, keepdims=True)
    vectors = np.linalg.eigh(about.swapaxes(1, 2) @ about)[1][..., ::-1][..., :components]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return np.asarray(about @ (vectors * np.where(largest < 0, -1, 1)))


def numbers(block: np.ndarray) -> np.ndarray:
    """The block as float64; ValueError names the first value that is no number."""
    made = np.asarray(block, dtype=float)
    if not np.isfinite(made).all():
        _, row, neuroid, _ = np.argwhere(~np.isfinite(made))[0]
        raise ValueError(
            f"response: presentation {row}, neuroid {neuroid} is no number; leave out that neuroid or "
            "presentation, nothing is imputed"
        )
    return made


def estimated(made: Coded, how: Asked, components: int, together: bool, confidence: float) -> xr.Dataset:
    """Variables of information (neuroid, time), or (time) of all neuroids together, with attrs."""
    response, rounds = made.response, len(made.labels) - 1
    width = 1 if together else response.sizes["neuroid"]
    how = how._replace(number=made.names.size)
    letters = response.sizes["letter"] * (response.sizes["neuroid"] if together else 1)
    _sampled(made, how, components or letters)
    kinds = 5 if rounds else 2
    numbers: dict[str, Any] = {"labels": made.labels, "groups": made.groups, "how": how}
    kernel: Any = singles
    if together:
        kernel, numbers = populations, numbers | {"components": components}
    found = over(kernel, response, TRIALS, {"bin": kinds * width + rounds}, **numbers)
    variables = _variables(found, width, rounds, int(made.groups.max()) + 1, together, confidence)
    facts = made.asked | {key: value for key, value in how._asdict().items() if key in _told(how)}
    share = np.bincount(made.labels[0]) / made.labels.shape[1]
    facts |= {"entropy": float(-(share * np.log2(share)).sum()), "letters": letters, "seed": how.seed}
    facts |= {"confidence": confidence, "over": "presentation", "n": made.labels.shape[1]}
    if together:
        facts |= {"components": components, "noise_correlations": _noise(made.recording)}
    coords = dict(response.coords)
    kept = {
        k: v for k, v in coords.items() if v.dims == ("time",) or (v.dims == ("neuroid",) and not together)
    }
    return xr.Dataset(variables, kept, facts)


def _noise(recording: xr.Dataset) -> str:
    """Whether responses hold noise correlations at all."""
    told = recording.attrs.get("simultaneous")
    return "unknown" if told is None else "recorded" if told else "none: not recorded together"


def _told(how: Asked) -> tuple[str, ...]:
    """What of `how` bears on the estimator."""
    words = ("bins", "binning")
    more = {COPULA: ("covariance",), "quadratic": (*words, "repetitions")}
    shuffled = (*words, "shuffles") if how.estimator.startswith("shuffle") else words
    return ("estimator", *more.get(how.estimator, shuffled))


def _sampled(made: Coded, how: Asked, letters: int) -> None:
    """Warn where labels have too few presentations for as many words."""
    fewest, words = int(np.bincount(made.labels[0]).min()), float(how.bins) ** letters
    share = {"panzeri-treves": 1.0, "quadratic": 1.0, "shuffle": 0.25, "shuffle-panzeri-treves": 0.25}
    if fewest < share.get(how.estimator, 0.0) * words:
        warnings.warn(
            f"label: {fewest} presentations of one value for up to {words:.4g} words; "
            f"'{how.estimator}' is biased, take fewer letters or bins",
            UserWarning,
            stacklevel=4,
        )


def _variables(
    found: xr.DataArray, width: int, rounds: int, groups: int, together: bool, confidence: float
) -> dict[str, xr.DataArray]:
    """Columns of kernels as variables."""

    def part(place: int) -> xr.DataArray:
        one = found.isel(bin=slice(place * width, (place + 1) * width)).rename(bin="neuroid")
        return one.isel(neuroid=0) if together else one

    value = part(0)
    made = {"information": value}
    if groups > 1:
        reach = float(student.ppf(0.5 + confidence / 2, groups - 1)) * part(1)
        made |= {"information_low": value - reach, "information_high": value + reach}
    if rounds:
        most = found.isel(bin=slice(5 * width, None)).rename(bin="permutation")
        across = np.sort(most.max("time").values)
        values = np.asarray(value.values)
        beyond = rounds - np.searchsorted(across, values - 1e-12)
        p = np.where(np.isnan(values), np.nan, (1 + beyond) / (1 + rounds))
        made |= {
            "null_mean": part(2), "null_high": part(3), "subtracted": value - part(2),
            "p_uncorrected": ((1 + part(4)) / (1 + rounds)).where(~np.isnan(value)),
            "p": value.copy(data=p), "null_most": most,
        }  # fmt: skip
    return {
        name: array.assign_attrs(units="1" if name.startswith("p") else "bit") for name, array in made.items()
    }


def simultaneous(recording: xr.Dataset, together: str) -> np.ndarray:
    """Which pairs of neuroids were recorded together (neuroid, neuroid): all of them, or those with one value
    of the coordinate `together`; ValueError where the recording says that they were not.
    """
    count = recording.sizes["neuroid"]
    if together:
        if together not in recording.coords or recording[together].dims != ("neuroid",):
            raise ValueError(
                f"together: {together!r} is no coordinate of neuroids; give one, such as 'recording'"
            )
        names = recording[together].values.astype(str)
        return np.asarray(names[:, None] == names)
    if not recording.attrs.get("simultaneous", 1):
        raise ValueError(
            "noise correlations: neuroids were not recorded together (attrs simultaneous = 0); name the "
            "coordinate of neuroids that were in `together`, or ask for signal alone"
        )
    return np.ones((count, count), dtype=bool)


def named(recording: xr.Dataset, neuroids: Sequence[str] | None) -> xr.Dataset:
    """The neuroids asked for, in their order."""
    if neuroids is None:
        return recording
    known = recording["neuroid_id"].values.astype(str).tolist() if "neuroid_id" in recording.coords else []
    missing = [name for name in map(str, neuroids) if name not in known]
    if missing:
        raise ValueError(f"neuroids: {missing[0]!r} is no neuroid_id; there are {', '.join(known[:8])}")
    return recording.isel(neuroid=[known.index(str(name)) for name in neuroids])
