"""A map put into a predictor, how that is named, and which pictures it has not seen."""

from __future__ import annotations

import functools
import inspect
import json
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from pipeline import parts
from pipeline.models import _weights

from ._layers import projections
from ._named import found
from ._pictures import hashed
from ._stimuli import averaged, still
from .record import built

SHOWN = 5  # names that a message lists
AT_ONCE = 64  # pictures that are read together
LEAST = 1e-3  # of a level: a neuroid that never answered
KEPT = ("origin", "fitted_to", "preprocessing", "repeats", "kept_apart", "bin_width", "trigger_delay_s")


def core(text: str) -> dict[str, Any]:
    """{use, with} of a network as `record.built` named it; ValueError where it cannot be built from that."""
    told: dict[str, Any] = json.loads(text)
    if str(told["use"]).split(".")[0] in ("torchvision", "timm"):
        return {"use": "pipeline.models.public.build", "with": {"name": told["use"]}}
    made = {"use": told["use"], "with": told.get("with", {})}
    wrong = next(parts.problems(made["use"], made["with"], partial=True), None)
    if wrong is not None:
        why = f"cannot be built again from its name ({wrong[1]})"
        raise ValueError(f"model: {why}; give {{use, with}} of pipeline.models, or a partial of it")
    return made


def filled(front: nn.Module, made: nn.Module, fitted: xr.Dataset, project: int, seed: int) -> nn.Module:
    """The predictor with the weights of its front and a map in it.

    Reads    front, the network of features that the map was fitted to; made, the predictor; fitted, what
             `encoding.fit` returned; project and seed of the features' random projection, which the map takes
             in
    """
    latent, centre = fitted["latent"].values.T, fitted["centre"].values
    loading, level = fitted["loading"].values.T, fitted["level"].values
    wide = made.get_parameter("latent.weight").shape[1]
    if wide > latent.shape[1]:
        (matrix,) = projections({"output": wide}, project, seed).values()
        level, centre = level - loading @ (latent @ centre), np.zeros(wide)
        latent = matrix.T.dot(latent.T).T
    state = {f"core.{name}": part for name, part in front.state_dict().items()}
    held = {
        "latent.weight": latent,
        "latent.centre": centre,
        "readout.weight": loading,
        "readout.bias": level,
    }
    state |= {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in held.items()}
    _weights.finite(state)
    made.load_state_dict(state)
    return made


def known(stimuli: xr.Dataset) -> xr.Dataset:
    """The pictures, each with the hash of its pixels."""
    if "content" in stimuli.coords:
        return stimuli
    image = stimuli["image"]
    blocks = range(0, image.sizes["stimulus"], AT_ONCE)
    made = [hashed(one) for k in blocks for one in np.asarray(image[k : k + AT_ONCE].values)]
    return stimuli.assign_coords(content=("stimulus", np.array(made, str)))


def trained(weights: xr.Dataset | None) -> set[str]:
    """Hashes of the pictures that weights were fitted to or chosen by."""
    if weights is None or "content" not in weights.coords:
        return set()
    seen = weights["content"].values.astype(str)
    held = weights["held_out"].values.astype(bool) if "held_out" in weights else np.zeros(len(seen), bool)
    return set(seen[~held])


def refuse_seen(fitted: xr.Dataset, weights: xr.Dataset | None) -> None:
    """ValueError where a picture held out was among those that trained the network."""
    both = np.isin(fitted["content"].values.astype(str), sorted(trained(weights)))
    both &= fitted["held_out"].values.astype(bool)
    if both.any():
        names = ", ".join(fitted["stimulus_id"].values[both].astype(str)[:SHOWN])
        why = f"were trained on {int(both.sum())} of the pictures held out ({names})"
        raise ValueError(f"weights: {why}; hold out the pictures that training held out")


def prepared(weights: xr.Dataset) -> dict[str, Any]:
    """Size, mean and std of the pictures that weights were trained with."""
    told = json.loads(str(weights.attrs.get("preprocessing", "{}")))
    return {"size": told.get("size"), "mean": told.get("mean", []), "std": told.get("std", [])}


def levelled(model: Any, recording: xr.Dataset) -> Any:
    """What builds the model, told the number and the mean responses of neuroids where it takes these."""
    if isinstance(model, str) and model.split(".")[0] not in ("torchvision", "timm"):
        model = found(model)
    if isinstance(model, nn.Module) or not callable(model):
        return model
    means = still(averaged(recording)).mean("presentation").values
    told = {"neuroids": len(means), "levels": [float(max(mean, LEAST)) for mean in means]}
    bound = model.keywords if isinstance(model, functools.partial) else {}
    taken = set(inspect.signature(model).parameters) - set(bound)
    return functools.partial(model, **{name: value for name, value in told.items() if name in taken})


def joined(parts: list[xr.Dataset]) -> xr.Dataset:
    """Weights, name, mean prediction and held-out pictures of an ensemble of predictors."""
    first = parts[0]
    for part in parts[1:]:
        for label in ("neuroid_id", "content"):
            if part[label].dims != first[label].dims or not np.array_equal(part[label], first[label]):
                raise ValueError(f"{label}: differs between predictors; fit them to the same recording")
        if prepared(part) != prepared(first):
            raise ValueError("preprocessing: differs between predictors; put size, mean and std into each")
    held = np.all([part["held_out"].values.astype(bool) for part in parts], axis=0)
    if held.sum() < SHOWN:
        raise ValueError(f"held_out: {int(held.sum())} pictures are new to all; fit with the same split")
    made: dict[str, Any] = {}
    for place, part in enumerate(parts):
        network, _ = built(None, part)
        for path in network.state_dict():
            dims = [f"{place}.{dim}" for dim in map(str, part[path].dims)]
            made[f"{place}.{path}"] = (dims, part[path].values, {"units": "1"})
    made["predicted"] = first["predicted"].copy(data=np.mean([part["predicted"] for part in parts], axis=0))
    made["held_out"] = ("stimulus", held, {"units": "1"})
    name = {"members": [json.loads(str(part.attrs["model"])) for part in parts]}
    told = {key: first.attrs[key] for key in KEPT if key in first.attrs}
    told |= {"members": len(parts), "n_fitted": int((~held).sum())}
    told["model"] = json.dumps({"use": "pipeline.models.ensemble.build", "with": name})
    bare = first[["measured", "held_out", "predicted"]]
    return xr.Dataset(made, attrs=told).assign_coords(bare.coords).assign(measured=first["measured"])
