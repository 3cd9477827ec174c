"""What a layer keeps of a picture: the picture of little contrast that evokes the same response."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from loaders.schema import check
from pipeline.attacks._rows import drawn, streams
from pipeline.attacks._whole import still
from pipeline.models import _seeded, _weights, predictor

from . import _reconstruct_plot
from ._encode_model import prepared
from ._pictures import check_filter, check_range
from ._reconstruct_descent import descended, filled
from .record import built

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS = ("clean", "noisy")
IMAGE = ("stimulus", "channel", "y", "x")


def constrained(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    layers: Sequence[str],
    norms: Sequence[float],
    weights: xr.Dataset | None = None,
    noise: float = 0.1,
    steps: int = 200,
    rate: float = 0.1,
    blur: float = 1.0,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    batch: int = 64,
    seed: int = 0,
) -> xr.Dataset:
    """Pictures of a given contrast whose response in a layer is nearest to that of a target.

    The target is a picture, or the same with noise on it. A picture of random pixels descends along the
    gradient of the squared distance of responses, blurred, in steps of `rate` of its contrast that shrink to
    0, and is brought back to its contrast after each; the nearest is kept. Little contrast must be spent on
    what the layer is most sensitive to: content and noise are the parts of the noisy target that it copied.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; model and weights, as
             `record.activations`; layers by name; norms, contrasts: length of the picture less mid-grey;
             noise, SD of the normal noise; blur of gradients, SD in pixels; mean, std of each channel (none:
             those that the weights were trained with)
    Returns  reconstruction (stimulus, channel, y, x, layer, epsilon, arm), not clipped; target (stimulus,
             channel, y, x, arm); error (stimulus, layer, epsilon, arm), squared distance of responses over
             squared length of the target's; content_gain, noise_gain (stimulus, layer, epsilon), how much of
             the clean picture and of the noise is in the reconstruction of the noisy target, by regression;
             preference, (content² - noise²) / (content² + noise²) of these, 0 for a copy
    Source   Safarani et al. 2021, arXiv 2107.14344; Mahendran and Vedaldi 2015, arXiv 1412.0035
    """
    _check(
        stimuli, layers, norms, {"steps": steps, "batch": batch}, {"rate": rate, "noise": noise, "blur": blur}
    )
    network, made_by = built(model, weights, seed)
    shown = _normal(weights, mean, std)
    clean = torch.from_numpy(np.array(stimuli["image"].values, np.float32))
    noisy = (clean + noise * drawn(streams(clean, seed, 1), clean, normal=True)).clamp(0, 1)
    target = torch.stack([clean, noisy], 1)
    first = drawn(streams(clean, seed, 2), clean, normal=True)
    found, errors = [], []
    for layer in layers:
        front = predictor.features(network, layer=layer, **shown)
        for norm in norms:
            made = [descended(front, target[:, k], first, norm, steps, rate, blur, batch) for k in (0, 1)]
            found.append(torch.stack([part[0] for part in made], -1))
            errors.append(torch.stack([part[1] for part in made], -1))
    shape = (len(layers), len(norms))
    whole = torch.stack(found, -2).unflatten(-2, shape).numpy()
    away = torch.stack(errors, 1).unflatten(1, shape).numpy()
    told = {
        "origin": "model", "model": made_by, "weights_sha256": _weights.digest(network), "noise": noise,
        "steps": steps, "rate": rate, "blur": blur, "seed": seed,
        "beyond": float(((whole < 0) | (whole > 1)).mean()),
    }  # fmt: skip
    return check(_dataset(stimuli, target, whole, away, layers, norms).assign_attrs(told))


def sensitivity(
    stimuli: xr.Dataset,
    model: Callable[..., Any] | str | None = None,
    *,
    layer: str,
    weights: xr.Dataset | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    batch: int = 64,
    seed: int = 0,
) -> xr.Dataset:
    """How much each pixel moves a layer: the squared gradient of the length of its response.

    Reads    image (stimulus, channel, y, x) in [0, 1]; the rest as `constrained`
    Returns  sensitivity (stimulus, y, x), summed over channels, mean 1 a picture
    Source   Simonyan, Vedaldi and Zisserman 2014, arXiv 1312.6034
    """
    _check(stimuli, [layer], [1.0], {"batch": batch}, {})
    network, made_by = built(model, weights, seed)
    front = predictor.features(network, layer=layer, **_normal(weights, mean, std))
    x, found = torch.from_numpy(np.array(stimuli["image"].values, np.float32)), []
    with still(front):
        for start in range(0, len(x), batch):
            some = filled(x[start : start + batch], batch).requires_grad_(True)
            (slope,) = torch.autograd.grad(front(some).flatten(1).norm(dim=1).sum(), some)
            found.append(slope[: len(x[start : start + batch])].square().sum(1))
    made = torch.cat(found)
    scale = made.mean((1, 2), keepdim=True)
    made = made / torch.where(scale > 0, scale, 1)
    coords = {str(k): item.variable for k, item in stimuli.coords.items() if item.dims == ("stimulus",)}
    told = {"origin": "model", "model": made_by, "layer": layer, "weights_sha256": _weights.digest(network)}
    held = {"sensitivity": (("stimulus", "y", "x"), made.numpy(), {"units": "1"})}
    return check(xr.Dataset(held, coords, told))


def beside(**models: xr.Dataset) -> xr.Dataset:
    """Reconstructions of the same pictures from several models, along `model`.

    Reads    name → what `constrained` returned, of the same pictures, layers and norms
    Returns  the same variables with model last; ValueError where they differ
    """
    if not models:
        raise ValueError("models: none given; give one at least")
    first = next(iter(models.values()))
    for name, part in models.items():
        for key in ("stimulus_id", "layer", "epsilon"):
            if not np.array_equal(first[key].values, part[key].values):
                raise ValueError(f"models: {name!r} has another {key}; reconstruct the same from each")
        if not np.array_equal(first["target"].values, part["target"].values):
            raise ValueError(f"models: {name!r} has other targets; give the same pictures, noise and seed")
    joined = xr.concat(
        [part.drop_vars("target") for part in models.values()], "model", combine_attrs="drop_conflicts"
    )
    made = joined.transpose(..., "model").assign_coords(model=list(models)).assign(target=first["target"])
    return check(made.assign_attrs({"origin": "model"}))


def plot(result: xr.Dataset) -> Figure:
    """Reconstructions of the first picture, models and targets down, layers and contrasts across; or a map.

    Reads    what `constrained`, `beside` or `sensitivity` returned
    Returns  a matplotlib Figure
    """
    return _reconstruct_plot.drawn(result)


def _normal(weights: xr.Dataset | None, mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """Mean and std of channels, as told or as the weights were trained."""
    check_filter(mean, std)
    told = prepared(weights) if weights is not None and not len(mean) else {"mean": mean, "std": std}
    return {"mean": told["mean"], "std": told["std"]}


def _dataset(
    stimuli: xr.Dataset, target: Tensor, whole: np.ndarray, away: np.ndarray, layers: Sequence[str],
    norms: Sequence[float],
) -> xr.Dataset:  # fmt: skip
    one = {"units": "1"}
    pair = target.numpy()
    content, noise = _copied(whole[..., 1], pair[:, 0], pair[:, 1] - pair[:, 0])
    both = content**2 + noise**2
    preference = (content**2 - noise**2) / np.where(both > 0, both, 1)
    dims = ("stimulus", "layer", "epsilon")
    held: dict[str, Any] = {
        "reconstruction": ((*IMAGE, "layer", "epsilon", "arm"), whole, one),
        "target": ((*IMAGE, "arm"), np.moveaxis(pair, 1, -1), one),
        "error": ((*dims, "arm"), away, one),
        "content_gain": (dims, content, one), "noise_gain": (dims, noise, one),
        "preference": (dims, preference, one),
    }  # fmt: skip
    coords: dict[str, Any] = {
        str(k): item.variable for k, item in stimuli.coords.items() if item.dims == ("stimulus",)
    }
    coords |= {"layer": [*layers], "epsilon": [float(norm) for norm in norms], "arm": list(TARGETS)}
    return xr.Dataset(held, coords)


def _copied(made: np.ndarray, clean: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of content and noise in made (picture, channel, y, x, layer, norm), least squares, no means."""
    flat = [part.reshape(len(part), -1).astype(float) for part in (clean, noise)]
    basis = np.stack([part - part.mean(1, keepdims=True) for part in flat], -1)
    seen = made.reshape(len(made), -1, *made.shape[4:]).astype(float)
    seen = seen - seen.mean(1, keepdims=True)
    gram = np.einsum("nik,nil->nkl", basis, basis)
    both = np.einsum("nik,ni...->nk...", basis, seen).reshape(len(made), 2, -1)
    if (np.linalg.det(gram) <= 0).any():
        raise ValueError("stimuli: a picture is uniform, or its noise is none; give others")
    weights = np.linalg.solve(gram, both).reshape(len(made), 2, *made.shape[4:])
    return weights[:, 0], weights[:, 1]


def _check(
    stimuli: xr.Dataset, layers: Sequence[str], norms: Sequence[float], counts: dict[str, int],
    numbers: dict[str, float],
) -> None:  # fmt: skip
    if "image" not in stimuli or stimuli["image"].dims != IMAGE or "stimulus_id" not in stimuli.coords:
        raise ValueError(f"stimuli: have no image {IMAGE} with stimulus_id; give what images.stimuli returns")
    check_range(np.asarray(stimuli["image"].values, np.float32), 0)
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers: {layers!r}; wanted a list of names")
    if not len(norms) or not all(0 < norm < np.inf for norm in norms):
        raise ValueError(f"norms: {[*norms]}; wanted contrasts above 0")
    _seeded.positive(**counts)
    for name, value in numbers.items():
        if not 0 <= value < np.inf or (name != "blur" and value == 0):
            raise ValueError(f"{name}: {value}; wanted a number above 0")
