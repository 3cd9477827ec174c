"""How well a network that was taught responses gives them, on pictures that no training has seen."""

from __future__ import annotations

import numpy as np
import xarray as xr

from loaders.schema import check

from . import overlap, record
from ._encode_model import prepared
from ._stimuli import shown, still


def correlation(
    target: xr.Dataset, stimuli: xr.Dataset, weights: xr.Dataset, *, layer: str = "readout", batch: int = 64
) -> xr.Dataset:
    """Pearson correlation over pictures of what a network's readout answers and a target, mean over neuroids.

    Of a target that a model predicted it says how well the network imitates that model, not neurons.

    Reads    target, of pictures that are new to the network; stimuli, with these; weights, what `train.fit`
             returned; layer, with as many units as the target has neuroids, in its order
    Returns  r (neuroid), unit 1, 0 where an answer is constant; correlation (method), their mean. ValueError
             where a picture was seen in training
    Source   Safarani et al. 2021, arXiv 2107.14344
    """
    names = target["stimulus_id"].values.astype(str)
    pictures = shown(stimuli, names)
    seen = np.isin(overlap.content(pictures, "stimuli"), sorted(overlap.learned(weights, "weights")))
    if seen.any():
        first = str(pictures["stimulus_id"].values[np.flatnonzero(seen)[0]])
        raise ValueError(f"stimuli: {first!r} was seen in training ({int(seen.sum())} such); give new ones")
    found = record.activations(
        pictures, None, weights=weights, layers=[layer], batch=batch, **prepared(weights)
    )
    answer = np.asarray(found["response"].values, float)
    wanted = np.asarray(still(target).values, float)[np.argsort(names, kind="stable")]
    if answer.shape != wanted.shape:
        raise ValueError(f"layer: {layer!r} answers {answer.shape} where the target is {wanted.shape}")
    pair = [part - part.mean(0) for part in (answer, wanted)]
    size = np.sqrt((pair[0] ** 2).sum(0) * (pair[1] ** 2).sum(0))
    r = np.where(size > 0, (pair[0] * pair[1]).sum(0) / np.where(size > 0, size, 1), 0)
    held = {"r": ("neuroid", r, {"units": "1"}), "correlation": ("method", [r.mean()], {"units": "1"})}
    coords = {"neuroid_id": ("neuroid", target["neuroid_id"].values), "method": ["held-out pictures"]}
    told = {"chance": 0.0, "n": len(names), "over": "stimulus", "layer": layer}
    told |= {"origin": "model", "target": str(target.attrs.get("target", ""))}
    return check(xr.Dataset(held, coords, told))
