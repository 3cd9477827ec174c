"""A trained network as a judge of classes, whatever else it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from pipeline.attacks._whole import still, whole

from . import record
from ._train_data import _codes

AT_ONCE = 1024  # pictures that are moved to the network together


class Logits(nn.Module):
    """The logits of a network that answers a mapping, or all that it answers."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Any:
        answer = self.module(x)
        return answer["logits"] if isinstance(answer, Mapping) else answer


class Judge:
    """Names classes of pictures in [0, 1], preprocessed as in training."""

    def __init__(self, module: nn.Module, weights: xr.Dataset, batch: int) -> None:
        self.filter = dict(json.loads(weights.attrs["preprocessing"]))
        self.known: list[Any] = json.loads(weights.attrs["classes"])
        self.classes = [str(name) for name in self.known]
        self.module, self.batch = Logits(module), batch
        self.whole = whole(self.module, **self.filter, batch=batch)
        self.device = next(iter(module.state_dict().values())).device

    def codes(self, stimuli: xr.Dataset, label: str) -> np.ndarray:
        """The number of every picture's class."""
        return _codes(stimuli, label, self.known)

    def said(self, pixels: np.ndarray) -> np.ndarray:
        """The class that each picture is given."""
        found = []
        with torch.no_grad(), still(self.whole):
            for start in range(0, len(pixels), AT_ONCE):
                some = np.ascontiguousarray(pixels[start : start + AT_ONCE], np.float32)
                found.append(self.whole(torch.from_numpy(some).to(self.device)).argmax(1).cpu().numpy())
        return np.concatenate(found)


def recording(stimuli: xr.Dataset, weights: xr.Dataset, layer: str) -> xr.Dataset:
    """What a layer does to pictures, preprocessed as in training."""
    told = json.loads(weights.attrs["preprocessing"])
    return record.activations(stimuli, None, weights=weights, layers=[layer], batch=256, **told)
