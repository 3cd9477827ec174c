"""Features of a layer and responses to the same pictures, as rows that a penalty can use."""

from __future__ import annotations

from typing import Any

import torch


def rows(features: Any, target: Any, *, least: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (n, unit) and target (n, neuroid) of the type of the features; ValueError with the shapes.

    Reads    features (n, *unit), of a picture each; target (n, neuroid); least, pictures that are wanted
    """
    if not isinstance(features, torch.Tensor):
        told = f"a {type(features).__name__} of {len(features)}" if isinstance(features, list) else "none"
        raise ValueError(f"features: {told}; wanted those of one layer: name it with layer")
    if target is None:
        raise ValueError("target: none was given; give a recording of responses to these pictures")
    shapes = f"{tuple(target.shape)} beside features {tuple(features.shape)}"
    if target.ndim != 2 or features.ndim < 2 or len(target) != len(features):
        raise ValueError(f"target: is {shapes}; wanted (picture, neuroid) beside (picture, ...)")
    if len(target) < least:
        raise ValueError(f"target: is {shapes}; wanted {least} pictures at least: raise the batch")
    if not bool(torch.isfinite(target).all()):
        row, column = torch.nonzero(~torch.isfinite(target))[0].tolist()
        why = f"{float(target[row, column])} at picture {row}, neuroid {column} of {shapes}"
        raise ValueError(f"target: is {why}; leave out what was not recorded, or fill it in")
    return features.flatten(1), target.to(features)


def varied(name: str, values: torch.Tensor, what: str) -> None:
    """ValueError when that which should vary does not anywhere."""
    if not bool((values.detach().amax(0) > values.detach().amin(0)).any()):
        raise ValueError(f"{name}: {tuple(values.shape)} is the same for every {what}; give another")
