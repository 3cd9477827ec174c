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
    Returns  nothing; ValueError names the first weight that is missing, of another shape, or not finite
    """
    state = module.state_dict()
    for path, tensor in state.items():
        if path not in weights:
            known = [str(name) for name in weights.data_vars]
            hint = nearest(path, known) if known else "the Dataset is empty"
            raise ValueError(f"weights: have no {path!r}, which the model has; {hint}")
        values = np.asarray(weights[path].values)
        shape = tuple(tensor.shape) or (1,)
        if values.shape != shape:
            told = f"{path!r} has shape {values.shape}, and {shape} in the model"
            raise ValueError(f"weights: {told}; build it with the numbers that it was trained with")
        state[path] = torch.from_numpy(values.reshape(tuple(tensor.shape)).copy()).to(tensor.dtype)
    finite(state)
    module.load_state_dict(state)


def finite(state: dict[str, torch.Tensor]) -> None:
    """ValueError names the first weight that is NaN or infinite, and its index."""
    for path, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            index = tuple(torch.nonzero(~torch.isfinite(tensor))[0].tolist())
            value = float(tensor[index])
            raise ValueError(f"weights: {path!r} is {value} at {index}; train again, or load a sound file")


def digest(module: nn.Module) -> str:
    """The sha256 of all parameters and buffers, with names, types and shapes."""
    made = hashlib.sha256()
    for path, tensor in module.state_dict().items():
        made.update(f"{path} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous()
        if plain.dtype == torch.bfloat16:
            plain = plain.view(torch.int16)
        made.update(plain.numpy().tobytes())
    return made.hexdigest()
