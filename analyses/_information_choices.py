"""Datasets of intersection information: what responses know of the stimulus and bring to the choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from analyses import _geometry_labelled as _labelled
from analyses import _information_intersection as _intersection
from analyses import _information_words as _words
from analyses._information_labelled import BITS, TRIALS, asked, numbers, worded
from analyses._information_results import shuffled
from analyses._labelled import over

DIMS = ("neuroid", "time")
NAMES = ("information", "choice_information", "intersection")
MOST = 2**16  # cells of one joint law


def intersected(
    recording: xr.Dataset, label: str, choice: str, how: tuple[int, str, str, int, int], permutations: int,
    where: Mapping[str, Any] | None, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Variables of `information.intersection`."""
    bins, binning, code, word, step = how
    asked("plugin", bins, binning, "own", 1, 1, seed)
    chosen = _labelled.chosen(recording, where)
    (names, codes), (kinds, picked) = (_labelled.coded(chosen, name) for name in (label, choice))
    if permutations < 0:
        raise ValueError(f"permutations: {permutations}; give 0 or more")
    response = worded(chosen, code, word, step)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    orders = np.array([rng.permutation(codes.size) for _ in range(permutations)], int).reshape(-1, codes.size)
    choices = np.concatenate(
        [picked[None], shuffled(np.tile(picked[:, None], permutations), codes, orders).T]
    )
    width, kept = response.sizes["neuroid"], 3 + permutations
    found = over(
        _intersections, response, TRIALS, {"bin": kept * width}, codes=codes, choices=choices, bins=bins,
        binning=binning,
    )  # fmt: skip
    parts = np.asarray(found.values).reshape(kept, width, -1)
    made = {name: (DIMS, array, BITS) for name, array in zip(NAMES, parts, strict=False)}
    if permutations:
        made |= _tested(parts[2], parts[3:])
    table = np.zeros((1, names.size, kinds.size))
    np.add.at(table[0], (codes, picked), 1 / codes.size)
    facts = _labelled.facts(chosen, label, names, codes) | {
        "choice": choice, "estimator": "plugin", "bins": bins, "binning": binning, "code": code,
        "word": word, "step": step, "permutations": permutations, "exchange": "choices within stimuli",
        "label_choice": float(_intersection.mutual(table)[0]), "seed": seed, "n": codes.size,
        "over": "presentation",
    }  # fmt: skip
    coords = {k: v for k, v in response.coords.items() if v.dims in (("time",), ("neuroid",))}
    return xr.Dataset(made, coords, facts)


def _tested(value: np.ndarray, null: np.ndarray) -> dict[str, Any]:
    """What relabellings (permutation, neuroid, time) say of values (neuroid, time)."""
    most = null.max(axis=(1, 2))[:, None, None]
    p, alone = ((1 + (drawn >= value - 1e-12).sum(axis=0)) / (1 + len(null)) for drawn in (most, null))
    made = {"null_mean": null.mean(axis=0), "subtracted": value - null.mean(axis=0)}
    return {name: (DIMS, array, BITS) for name, array in made.items()} | {
        name: (DIMS, array, {"units": "1"}) for name, array in (("p", p), ("p_uncorrected", alone))
    }


def _intersections(
    block: np.ndarray, codes: np.ndarray, choices: np.ndarray, bins: int, binning: str
) -> np.ndarray:
    """block (time, n, p, letter) to columns (time, (3 + permutations) p): see `intersected`."""
    times, count, width, letters = block.shape
    rows = numbers(block).transpose(0, 2, 1, 3).reshape(times * width, count, letters)
    words = _words.spelled(rows, bins, binning)
    shape = (len(rows), int(codes.max()) + 1, words.size, int(choices.max()) + 1)
    if np.prod(shape[1:]) > MOST:
        raise ValueError(f"bins: {words.size} words make too many cells; take fewer letters or bins")
    row, made = np.arange(len(rows))[:, None], []
    for k, picked in enumerate(choices):
        joint = np.zeros(shape)
        np.add.at(joint, (row, codes, words.codes, picked), 1 / count)
        if not k:
            made += [_intersection.mutual(joint.sum(3)), _intersection.mutual(joint.sum(1).swapaxes(1, 2))]
        made.append(_intersection.both(joint))
    return np.stack(made).reshape(len(made), times, width).swapaxes(0, 1).reshape(times, -1)
