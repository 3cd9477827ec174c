"""Weights as a Dataset, a variable for each parameter and buffer, named by its path; never a pickle."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import xarray as xr
from torch import nn

from loaders.schema import check, nearest


def to_dataset(module: nn.Module) -> xr.Dataset:
    """Every parameter and buffer of a module.

    Reads    a module
    Returns  variables named by path ("V1.conv.weight"), each with dimensions of its own ("V1.conv.weight.0");
             attrs weights_sha256. ValueError for a type that a file cannot hold
    """
    held = {}
    for path, tensor in module.state_dict().items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"weights: {path!r} is a {type(tensor).__name__}; only tensors can be kept")
        if tensor.dtype == torch.bfloat16:
            raise ValueError(f"weights: {path!r} is of type bfloat16; convert the model with .float() first")
        values = np.atleast_1d(tensor.detach().cpu().numpy())
        held[path] = ([f"{path}.{k}" for k in range(values.ndim)], values.copy(), {"units": "1"})
    return check(xr.Dataset(held, attrs={"weights_sha256": digest(module)}))


def load(module: nn.Module, weights: xr.Dataset) -> None:
    """Puts the weights of a Dataset into a module of the same shape.

    Reads    a module; weights as `to_dataset` made them, beside anything else
    Returns  nothing; ValueError names weights that are missing or too many, and the first of another shape or
             type, not finite, or not as they were when their hash was taken. The module is then as before
    """
    state = module.state_dict()
    _check_names(list(state), weights)
    held = {path: np.asarray(weights[path].values) for path in state}
    for path, tensor in state.items():
        values, shape = held[path], tuple(tensor.shape)
        if values.shape != (shape or (1,)):
            told = f"{path!r} has shape {values.shape}, and {shape or (1,)} in the model"
            raise ValueError(f"weights: {told}; build it with the numbers that it was trained with")
        if values.dtype.kind not in "fiub" or (values.dtype.kind == "f") != tensor.is_floating_point():
            told = f"{path!r} is of type {values.dtype}, and {tensor.dtype} in the model"
            raise ValueError(f"weights: {told}; train again, or load a sound file")
        state[path] = torch.from_numpy(values.reshape(shape).copy())
    finite(state)
    taken = weights.attrs.get("weights_sha256")
    if taken is not None and taken != _digest(state):
        raise ValueError("weights: are not those of their weights_sha256; drop it where you changed them")
    module.load_state_dict(state)


def _check_names(paths: list[str], weights: xr.Dataset) -> None:
    missing = [path for path in paths if path not in weights]
    known = [str(name) for name in weights.data_vars]
    more = [name for name in known if f"{name}.0" in weights[name].dims and name not in paths]
    if missing:
        hint = nearest(missing[0], known) if known else "the Dataset is empty"
        rest = f" (nor {', '.join(missing[1:4])})" if missing[1:] else ""
        extra = f"; not in the model: {', '.join(more[:4])}" if more else ""
        raise ValueError(f"weights: have no {missing[0]!r}, which the model has; {hint}{rest}{extra}")
    if more:
        told = f"{more[0]!r}, which the model has not ({len(more)} such)"
        raise ValueError(f"weights: have {told}; build it with the numbers that it was trained with")


def finite(state: dict[str, torch.Tensor]) -> None:
    """ValueError names the first weight that is NaN or infinite, and its index."""
    for path, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            index = tuple(torch.nonzero(~torch.isfinite(tensor))[0].tolist())
            value = float(tensor[index])
            raise ValueError(f"weights: {path!r} is {value} at {index}; train again, or load a sound file")


def digest(module: nn.Module) -> str:
    """The sha256 of all parameters and buffers, with names, types and shapes."""
    return _digest(module.state_dict())


def _digest(state: dict[str, torch.Tensor]) -> str:
    made = hashlib.sha256()
    for path, tensor in state.items():
        made.update(f"{path} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous()
        if plain.dtype == torch.bfloat16:
            plain = plain.view(torch.int16)
        made.update(plain.numpy().tobytes())
    return made.hexdigest()
