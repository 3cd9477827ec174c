"""What a network is trained on: pictures, labels and responses, their split, and the order of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from loaders.schema import nearest
from pipeline.tasks import Batch

from . import _stimuli
from ._pictures import check_range, hashed, resized

AT_ONCE = 256  # pictures that are read together
SPLIT, ORDER, DRAWS = 0, 1, 2  # streams of random numbers that one seed has


class Set(NamedTuple):
    """Pictures (n, channel, y, x) in [0, 1], what belongs to them, and their hashes and names."""

    batch: Batch
    content: np.ndarray
    names: np.ndarray

    def part(self, rows: np.ndarray) -> Set:
        return Set(self.batch.take(torch.from_numpy(rows)), self.content[rows], self.names[rows])


def stream(*words: int) -> np.random.Generator:
    """Random numbers that depend on these words and on nothing else."""
    return np.random.default_rng(np.random.SeedSequence(words))


def number(*words: int) -> int:
    """A seed of 63 bits for one moment of the training."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]) >> 1


def read(stimuli: xr.Dataset, label: str | None, classes: list[Any] | None, size: int | None) -> Set:
    """Pictures in memory, hashed and resized; labels as numbers. ValueError names what is wrong with them."""
    check(stimuli)
    image = stimuli["image"]
    count = image.sizes["stimulus"]
    told = np.asarray(stimuli["content"].values).astype(str) if "content" in stimuli.coords else None
    content, parts = [], []
    for start in range(0, count, AT_ONCE):
        block = np.asarray(image[start : start + AT_ONCE].values)
        content += [hashed(one) for one in block]
        pixels = np.array(block, np.float32, order="C")
        check_range(pixels, start)
        parts.append(resized(torch.from_numpy(pixels), size))
    found = np.array(content)
    if told is not None and (told != found).any():
        where = f"of picture {np.flatnonzero(told != found)[0]} (the first is 0)"
        raise ValueError(
            f"content: {where} is not the hash of its pixels; drop it where pictures were changed"
        )
    codes = None if label is None else torch.from_numpy(_codes(stimuli, label, classes or []))
    batch = Batch(torch.cat(parts), codes, None, len(classes or []), torch.arange(count, device="cpu"))
    return Set(batch, found, np.asarray(stimuli["stimulus_id"].values).astype(str))


def check(stimuli: xr.Dataset) -> None:
    """ValueError unless these are still pictures with names."""
    if "image" not in stimuli or "stimulus_id" not in stimuli.coords:
        raise ValueError("stimuli: have no image with stimulus_id; give what loaders.images.stimuli returns")
    wanted = ("stimulus", "channel", "y", "x")
    if stimuli["image"].dims != wanted:
        raise ValueError(f"image: has dimensions {stimuli['image'].dims}; wanted {wanted}")
    if not stimuli.sizes["stimulus"]:
        raise ValueError("stimuli: hold no picture; give one at least")


def classes(stimuli: xr.Dataset, label: str) -> list[Any]:
    """The sorted values of a label: whole numbers, text or booleans; ValueError for any other kind."""
    return list(np.unique(_labels(stimuli, label)).tolist())


def _labels(stimuli: xr.Dataset, label: str) -> np.ndarray:
    known = [str(name) for name, coord in stimuli.coords.items() if coord.dims == ("stimulus",)]
    if label not in known:
        raise ValueError(f"label: the stimuli have no {label!r}; {nearest(label, known)}")
    values = np.asarray(stimuli[label].values)
    if values.dtype.kind not in "iubUO":
        raise ValueError(f"label: {label!r} is of type {values.dtype}; wanted whole numbers or text")
    if values.dtype.kind in "UO":
        values = values.astype(str)
        if (values == "").any():
            raise ValueError(f"label: {label!r} is empty at picture {np.flatnonzero(values == '')[0]}")
    return values


def _codes(stimuli: xr.Dataset, label: str, known: list[Any]) -> np.ndarray:
    place = {str(value): code for code, value in enumerate(known)}
    values = [str(value) for value in _labels(stimuli, label).tolist()]
    foreign = [value for value in values if value not in place]
    if foreign:
        why = f"{label!r} is {foreign[0]!r} at picture {values.index(foreign[0])}"
        raise ValueError(f"label: {why}; the network knows {', '.join(list(place)[:12])}")
    return np.array([place[value] for value in values], np.int64)


def responses(recording: xr.Dataset, sets: list[Set], required: bool) -> list[Set]:
    """The sets with responses (n, neuroid), joined by stimulus_id, repetitions averaged; NaN: not recorded.

    ValueError when a stimulus that was shown is in no set; when `required`, also for one without responses.
    """
    if "response" not in recording or "stimulus_id" not in recording.coords:
        raise ValueError("recording: has no response with stimulus_id; give a recording")
    _stimuli.still(recording)
    ids = recording["neuroid_id"].values if "neuroid_id" in recording.coords else None
    _check_finite(recording, ids)
    mean = _stimuli.averaged(recording)
    values = np.asarray(_stimuli.still(mean).values, np.float32)
    silent = np.flatnonzero(np.isnan(values).all(0))
    if silent.size:
        name = silent[0] if ids is None else ids[silent[0]]
        raise ValueError(f"recording: neuroid {name!s} has no number at any stimulus; leave it out")
    shown = mean["stimulus_id"].values.astype(str)
    place = {name: row for row, name in enumerate(shown)}
    known = np.concatenate([part.names for part in sets])
    _check_once(known[np.isin(known, shown)])
    lost = shown[~np.isin(shown, known)]
    if lost.size:
        why = f"stimulus {str(lost[0])!r} was shown and is not among the stimuli ({lost.size} such)"
        raise ValueError(f"recording: {why}; leave its presentations out, or add the pictures")
    made = []
    for part in sets:
        rows = np.array([place.get(name, -1) for name in part.names])
        bare = part.names[rows < 0]
        if required and bare.size:
            why = f"stimulus {str(bare[0])!r} was not shown ({bare.size} such)"
            raise ValueError(f"recording: {why}; train on those that were shown")
        if "content" in mean.coords:
            _check_same(part, rows, mean["content"].values.astype(str))
        found = np.where((rows >= 0)[:, None], values[np.maximum(rows, 0)], np.float32(np.nan))
        made.append(part._replace(batch=part.batch._replace(response=torch.from_numpy(found))))
    return made


def _check_finite(recording: xr.Dataset, ids: np.ndarray | None) -> None:
    bad = np.argwhere(np.isinf(np.asarray(recording["response"].values)))
    if bad.size:
        row, column = bad[0][:2]
        where = f"neuroid {column if ids is None else ids[column]!s} is infinite in presentation {row}"
        raise ValueError(f"recording: {where} (the first is 0); leave it out")


def _check_same(part: Set, rows: np.ndarray, content: np.ndarray) -> None:
    other = np.flatnonzero((rows >= 0) & (content[np.maximum(rows, 0)] != part.content))
    if other.size:
        why = f"stimulus {str(part.names[other[0]])!r} was another picture ({other.size} such, by content)"
        raise ValueError(f"recording: {why}; drop its content where pictures were changed on purpose")


def _check_once(names: np.ndarray) -> None:
    found, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"stimulus_id: {str(found[counts > 1][0])!r} stands twice among the stimuli; keep one"
        )


def split(whole: Set, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to validate on: that share of every class; copies stay together."""
    if not share:
        return np.arange(len(whole.content)), np.arange(0)
    distinct, first, inverse = np.unique(whole.content, return_index=True, return_inverse=True)
    label = np.zeros(len(distinct), int) if whole.batch.label is None else whole.batch.label.numpy()[first]
    rng, apart = stream(seed, SPLIT), np.zeros(len(distinct), bool)
    for code in np.unique(label):
        members = np.flatnonzero(label == code)
        apart[rng.permutation(members)[: round(share * len(members))]] = True
    held = apart[np.ravel(inverse)]
    if held.all() or not held.any():
        raise ValueError(
            f"validation: {share} of {len(distinct)} pictures leaves one part empty; give another"
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def order(count: int, batch: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Rows of every batch of an epoch, all of one size; what is left over is left out, others each epoch."""
    rows, size = stream(seed, ORDER, epoch).permutation(count), min(batch, count)
    return [rows[start : start + size] for start in range(0, count - size + 1, size)]


Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def changes(augment: Mapping[str, Any] | None) -> list[Change]:
    """What is done to the pictures of a batch, in the order it was told."""
    made: list[Change] = []
    for name, value in (augment or {}).items():
        if callable(value):
            made.append(value)
        elif name == "crop" and isinstance(value, int) and value >= 0:
            made += [_cropped(value)] if value else []
        elif name == "flip" and value in (True, False):
            made += [_flipped] if value else []
        else:
            hint = nearest(name, ("crop", "flip")) if name not in ("crop", "flip") else "crop: 4, flip: true"
            raise ValueError(f"augment: {name!r} is {value!r}; {hint}")
    return made


def _cropped(pixels: int) -> Change:
    def crop(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Each picture moved by up to `pixels` up, down, left and right; what comes in is black."""
        high, wide = x.shape[2:]
        place = torch.randint(0, 2 * pixels + 1, (len(x), 2), generator=generator, device="cpu").tolist()
        padded = nn.functional.pad(x, (pixels,) * 4)
        return torch.stack(
            [one[:, y : y + high, z : z + wide] for one, (y, z) in zip(padded, place, strict=True)]
        )

    return crop


def _flipped(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Half of the pictures, left and right exchanged."""
    coin = torch.rand(len(x), generator=generator, device="cpu") < 0.5
    return torch.where(coin.to(x.device)[:, None, None, None], x.flip(-1), x)


def blocks(whole: Batch, size: int) -> Iterator[torch.Tensor]:
    """The pictures in their order, `size` at a time."""
    for start in range(0, len(whole.x), size):
        yield whole.x[start : start + size]
