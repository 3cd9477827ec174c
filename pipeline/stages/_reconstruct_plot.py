"""Reconstructions drawn as a grid of pictures, sensitivities as maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAPS = 6  # pictures whose sensitivity is drawn


def drawn(result: xr.Dataset) -> Figure:
    """What `reconstruct.plot` documents."""
    return _maps(result) if "sensitivity" in result else _grid(result)


def _grid(result: xr.Dataset) -> Figure:
    from matplotlib.figure import Figure

    whole = result if "model" in result.dims else result.expand_dims(model=[""], axis=-1)
    models, arms = whole["model"].values.tolist(), whole["arm"].values.tolist()
    places = [(layer, norm) for layer in whole["layer"].values for norm in whole["epsilon"].values]
    rows = [(model, arm) for model in models for arm in arms]
    figure = Figure(figsize=(0.85 * len(places) + 2.2, 0.85 * len(rows) + 0.9), layout="constrained", dpi=150)
    axes = np.atleast_2d(figure.subplots(len(rows), len(places) + 1))
    for line, (model, arm) in zip(axes, rows, strict=True):
        line[0].imshow(_seen(result["target"].sel(arm=arm)[0].values), interpolation="nearest")
        line[0].set_ylabel(f"{model}\n{arm} target".strip(), fontsize=7, rotation=0, ha="right", va="center")
        for place, (layer, norm) in zip(line[1:], places, strict=True):
            part = whole.sel(layer=layer, epsilon=norm, model=model)
            shown = part["reconstruction"].sel(arm=arm)[0].values
            place.imshow(_seen(_stretched(shown)), interpolation="nearest")
            if arm == arms[-1]:
                said = float(part["preference"].mean())
                place.set_xlabel(f"{said:+.2f}", fontsize=6, labelpad=1)
    axes[0, 0].set_title("target", fontsize=7)
    for place, (layer, norm) in zip(axes[0, 1:], places, strict=True):
        place.set_title(f"{layer}\ncontrast {norm:g}", fontsize=6)
    for place in axes.flat:
        place.set(xticks=[], yticks=[])
        place.spines[:].set_visible(False)
    figure.suptitle(
        "Each stretched to the same contrast; below: content (+1) against noise (-1), 0 for a copy, mean of "
        f"{result.sizes['stimulus']} pictures",
        fontsize=7,
    )
    return figure


def _stretched(picture: np.ndarray) -> np.ndarray:
    """Around its mean, so that 2.5 SD fill the range."""
    return 0.5 + (picture - picture.mean()) / max(5 * float(picture.std()), 1e-12)


def _seen(picture: np.ndarray) -> np.ndarray:
    shown = np.moveaxis(np.clip(picture, 0, 1), 0, -1)
    return np.repeat(shown, 3, -1) if shown.shape[-1] == 1 else shown


def _maps(result: xr.Dataset) -> Figure:
    count = min(MAPS, result.sizes["stimulus"])
    figure, axes = _plots.figure(1.3 * count, 1.6, count)
    for place, shown in zip(axes, result["sensitivity"].values, strict=False):
        place.imshow(shown, cmap="Greys_r", vmax=np.quantile(shown, 0.98), interpolation="nearest")
        place.set_axis_off()
    figure.suptitle(
        f"squared gradient of the response of {result.attrs['layer']}, white: sensitive", fontsize=7
    )
    return figure
