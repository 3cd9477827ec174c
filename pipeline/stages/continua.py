"""Series of pictures between two of them, by the code of an autoencoder; and what noisy networks answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from loaders.schema import check, nearest
from pipeline.models import _seeded, _weights

from . import record
from ._pictures import check_range, hashed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH = 64
DIMS = ("stimulus", "channel", "y", "x")


def between(
    stimuli: xr.Dataset,
    weights: xr.Dataset | None = None,
    *,
    label: str,
    pairs: int = 1,
    steps: int = 50,
    classes: Sequence[Any] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Morphs from a picture of one class to a picture of another, `pairs` for every two classes.

    The code of a morph is z = (1 - α) z₁ + α z₂ of an autoencoder that was trained on other pictures; without
    weights the pixels themselves are mixed, which leaves the pictures that there are.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; label (stimulus); weights of an
             autoencoder (`pipeline.models.autoencoder`), what train.fit returned; steps, both ends counted;
             classes, some of the label's values (none: all)
    Returns  image (stimulus, ...) with continuum, alpha, first_label, second_label, first_id, second_id;
             attrs space, error (mean squared, of first and last morphs against the pictures). ValueError
             where the autoencoder learned from a picture
    Source   Bonnasse-Gahot and Nadal 2022, doi 10.1162/neco_a_01454
    """
    if steps < 3 or pairs < 1:
        raise ValueError(f"steps: {steps} of {pairs} pairs; wanted 3 steps and one pair at least")
    known = [str(name) for name, item in stimuli.coords.items() if item.dims == ("stimulus",)]
    if label not in known:
        raise ValueError(f"label: the stimuli have no {label!r}; {nearest(label, known)}")
    column = np.asarray(stimuli[label].values)
    names = list(classes) or np.unique(column).tolist()
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    ends = []
    for one, two in combinations(names, 2):
        rows = [np.flatnonzero(column == name) for name in (one, two)]
        if min(map(len, rows)) < pairs:
            raise ValueError(
                f"pairs: {pairs} of {one!r} and {two!r} asked, of {len(rows[0])} and {len(rows[1])}"
            )
        ends.append(np.stack([rng.permutation(each)[:pairs] for each in rows], axis=1))
    first, second = np.concatenate(ends).T
    if weights is not None:
        _refuse(stimuli, np.append(first, second), weights)
    picked = np.array(stimuli["image"].transpose(*DIMS).values[np.append(first, second)], np.float32)
    check_range(picked, 0)
    alpha = np.linspace(0, 1, steps)
    made = _morphed(picked[: first.size], picked[first.size :], alpha, weights)
    error = float(
        np.mean((made[:, [0, -1]] - np.stack([picked[: first.size], picked[first.size :]], 1)) ** 2)
    )
    return _labelled(stimuli, made, (first, second), alpha, column, {
        "space": "pixels" if weights is None else "autoencoder", "error": error, "label": label, "seed": seed,
        "origin": str(stimuli.attrs.get("origin", "pictures")), "steps": steps, "pairs": pairs,
    })  # fmt: skip


def noisy(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    trials: int,
    weights: xr.Dataset | None = None,
    layers: Sequence[str] = ("*",),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    seed: int = 0,
) -> xr.Dataset:
    """What layers answer to each picture, again and again, with the noise of their training (dropout) on.

    Batch normalisation keeps its running means. The noise of a presentation depends on the seed, its picture
    and its number alone.

    Reads    stimuli, model, weights, layers, mean, std as `record.activations`; trials of each picture
    Returns  response (presentation, neuroid) with repetition and every label of the stimuli
    """
    if trials < 1:
        raise ValueError(f"trials: {trials}; wanted one at least")
    module, _ = record.built(model, weights, seed)
    noises = [part for part in module.modules() if "dropout" in type(part).__name__.lower()]
    if not noises:
        raise ValueError("model: has no dropout, so that all trials are the same; build it with some")
    parts = []
    for row in range(stimuli.sizes["stimulus"]):
        one = stimuli.isel(stimulus=[row] * trials)
        with _seeded.apart(int(np.random.SeedSequence([seed, row]).generate_state(1)[0])):
            made = _with_noise(one, module, noises, layers, mean, std, trials)
        parts.append(made.assign_coords(repetition=("presentation", np.arange(trials))))
    whole = xr.concat(parts, "presentation", coords="minimal", compat="override", combine_attrs="override")
    return check(whole.assign_attrs(trials=trials, seed=seed))


def plot(result: xr.Dataset) -> Figure:
    """A row of pictures for each of some continua, with its two labels."""
    from matplotlib.figure import Figure

    names = np.unique(result["continuum"].values)
    some = names[np.linspace(0, names.size - 1, min(10, names.size)).astype(int)]
    alpha = np.unique(result["alpha"].values)
    shown = alpha[np.linspace(0, alpha.size - 1, min(11, alpha.size)).astype(int)]
    made = Figure(figsize=(0.62 * shown.size + 0.8, 0.66 * some.size + 0.5), layout="constrained", dpi=150)
    panels = made.subplots(some.size, shown.size, squeeze=False)
    column = result["continuum"].values
    for row, name in zip(panels, some, strict=True):
        one = result.isel(stimulus=np.flatnonzero(column == name))
        for axes, value in zip(row, shown, strict=True):
            place = int(np.argmin(np.abs(one["alpha"].values - value)))
            pixels = np.moveaxis(one["image"].values[place], 0, -1)
            axes.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
        row[0].set_ylabel(f"{one['first_label'].values[0]} → {one['second_label'].values[0]}", fontsize=7)
    for axes, value in zip(panels[0], shown, strict=True):
        axes.set_title(f"α {value:.2f}", fontsize=6)
    made.suptitle(f"morphs by {result.attrs['space']}, error {result.attrs['error']:.4f}", fontsize=8)
    return made


def _refuse(stimuli: xr.Dataset, rows: np.ndarray, weights: xr.Dataset) -> None:
    if "content" not in stimuli.coords or "content" not in weights.coords:
        return
    seen = np.isin(stimuli["content"].values[rows].astype(str), weights["content"].values.astype(str))
    if seen.any():
        name = str(stimuli["stimulus_id"].values[rows[np.flatnonzero(seen)[0]]])
        raise ValueError(
            f"stimuli: the autoencoder has learned picture {name!r}; give pictures that it has not seen"
        )


def _morphed(one: np.ndarray, two: np.ndarray, alpha: np.ndarray, weights: xr.Dataset | None) -> np.ndarray:
    """Pictures (pair, step, channel, y, x)."""
    share = alpha.astype(np.float32)[:, None, None, None]
    if weights is None:
        mixed = (1 - share) * one[:, None] + share * two[:, None]
        return np.clip(mixed, 0, 1)
    encoder, decoder = halves(weights)
    codes = [applied(encoder, pictures) for pictures in (one, two)]
    flat = alpha.astype(np.float32).reshape(-1, *(1,) * (codes[0].ndim - 1))
    mixed = (1 - flat) * codes[0][:, None] + flat * codes[1][:, None]
    made = applied(decoder, mixed.reshape(-1, *mixed.shape[2:]))
    return np.clip(made, 0, 1).reshape(len(one), alpha.size, *made.shape[1:])


def halves(weights: xr.Dataset) -> tuple[nn.Module, nn.Module]:
    """The encoder and the decoder of a trained autoencoder."""
    module, text = record.built(None, weights)
    parts = dict(module.named_children())
    if not {"encoder", "decoder"} <= set(parts):
        raise ValueError(f"weights: {text} has no encoder and decoder; give those of an autoencoder")
    _weights.finite(module.state_dict())
    module.eval()
    return parts["encoder"], parts["decoder"]


def applied(module: nn.Module, rows: np.ndarray) -> np.ndarray:
    """A module on rows in batches of one size, so that no row depends on how many there are."""
    device = next(iter(module.state_dict().values())).device
    made = []
    for start in range(0, len(rows), BATCH):
        block = np.zeros((BATCH, *rows.shape[1:]), np.float32)
        some = rows[start : start + BATCH]
        block[: len(some)] = some
        with torch.no_grad():
            made.append(module(torch.from_numpy(block).to(device))[: len(some)].cpu().numpy())
    return np.concatenate(made)


def _labelled(
    stimuli: xr.Dataset, made: np.ndarray, ends: tuple[np.ndarray, np.ndarray], alpha: np.ndarray,
    column: np.ndarray, attrs: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    ids = [stimuli["stimulus_id"].values.astype(str)[rows] for rows in ends]
    names = np.array([f"{one}-{two}" for one, two in zip(*ids, strict=True)])
    flat = np.ascontiguousarray(made.reshape(-1, *made.shape[2:]), np.float32)
    many = alpha.size
    coords: dict[str, Any] = {
        "stimulus_id": [f"{name}:{step:03d}" for name in names for step in range(many)],
        "content": [hashed(picture) for picture in flat], "continuum": np.repeat(names, many),
        "alpha": np.tile(alpha, names.size),
        "first_label": np.repeat(column[ends[0]], many), "second_label": np.repeat(column[ends[1]], many),
        "first_id": np.repeat(ids[0], many), "second_id": np.repeat(ids[1], many),
    }  # fmt: skip
    held = {name: ("stimulus", values) for name, values in coords.items()}
    return check(xr.Dataset({"image": (DIMS, flat, {"units": "1", "range": "0-1"})}, held, attrs))


def _with_noise(
    stimuli: xr.Dataset, module: nn.Module, noises: list[nn.Module], layers: Sequence[str],
    mean: Sequence[float], std: Sequence[float], trials: int,
) -> xr.Dataset:  # fmt: skip
    """A recording of one picture whose presentations differ by noise."""
    keys = [part.register_forward_pre_hook(_waken) for part in noises]
    try:
        return record.activations(stimuli, module, layers=layers, batch=trials, mean=mean, std=std)
    finally:
        for key in keys:
            key.remove()
        for part in noises:
            part.eval()


def _waken(part: nn.Module, given: Any) -> None:
    part.train()
