"""A network recorded like a brain: its activations are the responses of neuroids to presented pictures."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import xarray as xr
from torch import nn

from loaders.schema import check
from pipeline.models import _seeded, _weights, public

from ._layers import chosen, projections, rows
from ._named import found, named, rebuilt
from ._pictures import check_filter, check_range, hashed, normalised, resized
from ._spool import spool

AT_ONCE = 2**29  # bytes that are kept in memory; more goes to a file block by block


class _Told(NamedTuple):
    """How the pictures reach the network, and how what it does is kept."""

    layers: dict[str, nn.Module]
    batch: int
    size: int | None
    mean: Sequence[float]
    std: Sequence[float]
    time_step_s: float | None
    time_axis: int | None
    project: int
    seed: int


def activations(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    layers: Sequence[str] = ("*",),
    weights: xr.Dataset | None = None,
    batch: int = 64,
    size: int | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    time_step_s: float | None = None,
    time_axis: int | None = None,
    project: int = 0,
    seed: int = 0,
) -> xr.Dataset:
    """What the units of chosen layers do when the network sees each picture.

    The network is in evaluation mode, without gradients; every batch has `batch` pictures (the last is
    filled with black ones), so that no row depends on how many there are. Beyond half a GB the responses go
    to a file in the temporary folder and are lazy.

    Reads    image (stimulus, channel, y, x[, time]) in [0, 1] with stimulus_id; model, {use, with} of what
             builds it, a module, or a name such as "torchvision.resnet18"; layers, names or patterns where *
             stays within one level ("*": the model's own blocks; "output": what it returns); weights, a
             Dataset of a trained model, which may say itself what builds it; size, pixels a side (bilinear);
             mean and std of each channel, removed; time_step_s, for a recurrent model: each call of a layer
             is one time; time_axis, the axis of the layers' outputs that is time; project, dimensions of a
             sparse random projection of each larger layer (0: none); seed, of the projection and of weights
             that are drawn
    Returns  response (presentation, neuroid[, time]), unit 1, with layer and region (""; none is claimed);
             attrs hold the digests of weights and pictures. ValueError names the first picture, weight or
             unit that is not a number, and the nearest right name of a layer
    Source   Li, Hastie and Church 2006, doi 10.1145/1150402.1150436 (the projection)
    >>> from pipeline.models import pixels
    >>> image = (("stimulus", "channel", "y", "x"), np.full((2, 1, 2, 2), 0.5))
    >>> grey = xr.Dataset({"image": image}, {"stimulus_id": ("stimulus", ["a", "b"])})
    >>> activations(grey, pixels.build).response.sizes
    Frozen({'presentation': 2, 'neuroid': 4})
    """
    _check(stimuli, batch, project, time_step_s, time_axis)
    check_filter(mean, std)
    image = stimuli["image"]
    module, made_by = built(model, weights, seed)
    _weights.finite(module.state_dict())
    told = _Told(chosen(module, layers), batch, size, mean, std, time_step_s, time_axis, project, seed)
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with _seeded.apart(seed), torch.no_grad():
            response, names, shapes, pixels = _recorded(module, stimuli, told)
    finally:
        for part in training:
            part.training = True
    coords = _labels(stimuli, names)
    dims = ["presentation", "neuroid"]
    if response.ndim == 3:
        dims.append("time")
        frames = image["time"].values if "time" in image.dims else None
        time = np.arange(response.shape[2]) * float(time_step_s or 0) if frames is None else frames
        coords["time"] = ("time", np.asarray(time, float), {"units": "s"})
    attrs = {
        "origin": "model", "model": made_by, "weights_sha256": _weights.digest(module),
        "stimuli_sha256": pixels, "layers": ", ".join(told.layers), "shapes": json.dumps(shapes),
        "batch": batch, "preprocessing": json.dumps({"size": size, "mean": [*mean], "std": [*std]}),
        "project": project, "seed": seed, "torch": str(torch.__version__),
    }  # fmt: skip
    return check(xr.Dataset({"response": (dims, response, {"units": "1"})}, coords, attrs))


def built(
    model: Callable[..., Any] | str | None = None, weights: xr.Dataset | None = None, seed: int = 0
) -> tuple[nn.Module, str]:
    """The module that a model stands for, and how it was named; the caller's own module is not changed.

    Reads    a module, what builds one, or a dotted name; weights, put into it. Without a model, the one that
             the weights were trained with, where that is a function below pipeline.models
    Returns  the module and a text; ValueError when it is no module, or the weights do not fit
    """
    if model is None:
        if weights is None:
            raise ValueError("model: none was given, nor weights that name theirs; give one of both")
        text = str(weights.attrs.get("model", ""))
        model = rebuilt(text)
    else:
        text = named(model)
    if isinstance(model, str):
        foreign = model.split(".")[0] in ("torchvision", "timm")
        model = functools.partial(public.build, model, seed=seed) if foreign else found(model)
    if isinstance(model, nn.Module):
        module: Any = copy.deepcopy(model) if weights is not None else model
    else:
        with _seeded.apart(seed):
            module = model()
    if not isinstance(module, nn.Module):
        raise ValueError(f"model: {text} gave a {type(module).__name__}; wanted a torch.nn.Module")
    if weights is not None:
        _weights.load(module, weights)
    return module, text


def _check(
    stimuli: xr.Dataset, batch: int, project: int, time_step_s: float | None, time_axis: int | None
) -> None:
    if "image" not in stimuli or "stimulus_id" not in stimuli.coords:
        raise ValueError("stimuli: have no image with stimulus_id; give what loaders.images.stimuli returns")
    dims = ("stimulus", "channel", "y", "x")
    if stimuli["image"].dims not in (dims, (*dims, "time")):
        raise ValueError(
            f"image: has dimensions {stimuli['image'].dims}; wanted {dims}, and time last if any"
        )
    if not stimuli.sizes["stimulus"]:
        raise ValueError("stimuli: hold no picture; give one at least")
    if batch < 1:
        raise ValueError(f"batch: {batch}; wanted one picture at least")
    if project < 0:
        raise ValueError(f"project: {project}; wanted 0 (no projection) or a number of dimensions")
    if time_step_s is not None and not time_step_s > 0:
        raise ValueError(f"time_step_s: {time_step_s}; wanted seconds above 0")
    if time_step_s is not None and "time" in stimuli["image"].dims:
        raise ValueError("time_step_s: the pictures have time of their own, which is kept; leave it out")
    if time_axis is not None and (time_step_s is None or time_axis == 0):
        raise ValueError(
            f"time_axis: {time_axis}; wanted an axis after the first (0), and time_step_s with it"
        )


def _labels(stimuli: xr.Dataset, names: list[tuple[str, int]]) -> dict[str, Any]:
    coords: dict[str, Any] = {
        str(name): ("presentation", coord.values)
        for name, coord in stimuli.coords.items()
        if coord.dims == ("stimulus",) and name != "stimulus"
    }
    layer = np.repeat([name for name, _ in names], [count for _, count in names])
    ids = np.array([f"{name}:{unit}" for name, count in names for unit in range(count)])
    coords["neuroid_id"], coords["layer"] = ("neuroid", ids), ("neuroid", layer)
    coords["region"] = ("neuroid", np.full(len(layer), ""))
    return coords


def _recorded(
    module: nn.Module, stimuli: xr.Dataset, told: _Told
) -> tuple[Any, list[tuple[str, int]], dict[str, list[int]], str]:
    """The responses, how many neuroids each layer has, the shapes of the layers, and the pictures' digest."""
    keep: Any = None
    names: list[tuple[str, int]] = []
    shapes: dict[str, list[int]] = {}
    matrices: dict[str, Any] = {}
    digest = hashlib.sha256()
    for start, pictures in _batches(stimuli, told, digest):
        count = min(told.batch, stimuli.sizes["stimulus"] - start)
        frames = [_forward(module, frame, told) for frame in pictures]
        if keep is None:
            shapes = {name: list(frames[0][name].shape[2:]) for name in told.layers}
            wide = {name: int(np.prod(shape)) for name, shape in shapes.items()}
            matrices = projections(wide, told.project, told.seed)
            names = [(name, told.project if name in matrices else wide[name]) for name in told.layers]
            timed = len(frames) > 1 or "time" in stimuli["image"].dims or told.time_step_s is not None
            times = sum(next(iter(frame.values())).shape[1] for frame in frames)
            shape = (stimuli.sizes["stimulus"], sum(many for _, many in names), *((times,) if timed else ()))
            keep = spool(shape, AT_ONCE, told.batch)
        with keep.block(start, count) as block:
            _fill(block, frames, names, matrices, start)
        del frames  # what the next batch gives takes their place
    return keep.array(), names, shapes, digest.hexdigest()


def _fill(
    block: np.ndarray, frames: list[dict[str, Any]], names: list[tuple[str, int]], matrices: dict[str, Any],
    start: int,
) -> None:  # fmt: skip
    """Rows of the recording; a unit that is no number is refused."""
    count, timed = len(block), block.ndim == 3
    column = 0
    for name, many in names:
        moments = [found[name][:, t] for found in frames for t in range(found[name].shape[1])]
        for t, moment in enumerate(moments):
            values = moment[:count].reshape(count, -1)
            if not bool(torch.isfinite(values.sum())) and not bool(torch.isfinite(values).all()):
                row, unit = torch.nonzero(~torch.isfinite(values))[0].tolist()
                where = f"layer {name!r}, picture {start + row} (the first is 0), unit {unit}"
                value = float(values[row, unit])
                raise ValueError(f"response: {where} is {value}; check the weights and the preprocessing")
            plain = values.cpu().numpy()
            plain = matrices[name].dot(plain.T).T if name in matrices else plain
            place = (slice(None), slice(column, column + many))
            block[(*place, t) if timed else place] = plain
        column += many


def _batches(stimuli: xr.Dataset, told: _Told, digest: Any) -> Iterator[tuple[int, list[np.ndarray]]]:
    """The first picture of each batch, and its frames, each (batch, channel, y, x)."""
    image = stimuli["image"]
    content = np.asarray(stimuli["content"].values).astype(str) if "content" in stimuli.coords else None
    if content is not None:
        digest.update("\n".join(content).encode())
    for start in range(0, image.sizes["stimulus"], told.batch):
        read = np.asarray(image[start : start + told.batch].values)
        if content is not None and hashed(read[0]) != content[start]:
            where = f"of picture {start} (the first is 0)"
            raise ValueError(
                f"content: {where} is not the hash of its pixels; drop it where pictures were changed"
            )
        pixels = read.astype(np.float32, copy=False)
        check_range(pixels, start)
        if content is None:
            digest.update(np.ascontiguousarray(pixels))
        short = told.batch - len(pixels)
        if short:
            pixels = np.concatenate([pixels, np.zeros((short, *pixels.shape[1:]), np.float32)])
        elif not pixels.flags.writeable:
            pixels = pixels.copy()
        frames = [pixels] if pixels.ndim == 4 else [pixels[..., t] for t in range(pixels.shape[-1])]
        yield start, frames


def _forward(module: nn.Module, pixels: np.ndarray, told: _Told) -> dict[str, torch.Tensor]:
    """What each layer gave: (image, time, *unit)."""
    sample = next((p for p in module.state_dict().values() if p.is_floating_point()), None)
    x = torch.from_numpy(np.ascontiguousarray(pixels))
    x = x.to(torch.get_default_device() if sample is None else sample.device)
    x = normalised(resized(x, told.size), told.mean, told.std)
    x = x if sample is None else x.to(sample.dtype)
    seen: dict[str, list[Any]] = {name: [] for name in told.layers}
    hooks = [
        layer.register_forward_hook(functools.partial(_keep, seen[name], told.time_step_s is not None))
        for name, layer in told.layers.items()
    ]
    try:
        module(x)
    except (RuntimeError, TypeError, IndexError) as error:
        line = " ".join(str(error).split())[:200]
        why = f"refused pictures of shape {tuple(x.shape[1:])}: {line}"
        raise ValueError(f"model: {why}; give size, or a model for as many channels") from error
    finally:
        for hook in hooks:
            hook.remove()
    return rows(seen, len(x), told.time_axis)


def _keep(seen: list[Any], each: bool, layer: nn.Module, given: Any, output: Any) -> None:
    if not each:
        seen.clear()
    seen.append(output)
