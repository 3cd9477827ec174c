"""All corruptions of one picture as a grid, and scores with their intervals beside raw accuracies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def drawn(result: xr.Dataset) -> Figure:
    """What `corruptions.plot` documents."""
    return grid(result) if "image" in result else scores(result)


def grid(result: xr.Dataset) -> Figure:
    """One row a corruption, one column a severity, of the first picture."""
    from matplotlib.figure import Figure

    image = result["image"].isel(stimulus=0)
    if "corruption" not in image.dims:
        image = image.expand_dims(corruption=[str(result.attrs.get("corruption", ""))])
        image = image.expand_dims(severity=[result.attrs.get("severity", 0)])
    names, levels = image["corruption"].values.astype(str), image["severity"].values
    made = Figure(figsize=(1.6 + len(levels), 0.5 + len(names)), layout="constrained", dpi=150)
    axes = np.asarray(made.subplots(len(names), len(levels), squeeze=False))
    for row, name in enumerate(names):
        for column, level in enumerate(levels):
            shown = image.sel(corruption=name, severity=level).transpose("y", "x", "channel").values
            axis = axes[row, column]
            axis.imshow(shown.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if not row:
                axis.set_title(f"severity {level}", fontsize=7)
        axes[row, 0].set_ylabel(
            name.replace("_", "\n"), rotation=0, ha="right", va="center", fontsize=7, labelpad=4
        )
    return made


def scores(result: xr.Dataset) -> Figure:
    """Scores relative to the baseline with their intervals, and accuracies of both, mean over severities."""
    made, (left, right) = _plots.figure(8.4, 4.6, 2)
    part = result.isel(method=0)
    names = [*part["corruption"].values.astype(str), "total"]
    place = np.arange(len(names))[::-1]
    columns = [
        np.append(part[f"relative{end}"].values, part[f"total{end}"].values) for end in ("", "_low", "_high")
    ]
    mean, low, high = columns
    error = np.nan_to_num([mean - low, high - mean])
    left.errorbar(mean, place, xerr=error, fmt="o", color="0", markersize=3.5, linewidth=1)
    left.axvline(1, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    left.set_yticks(place, [name.replace("_", " ") for name in names], fontsize=7)
    left.set_xlabel("accuracy relative to baseline (line: as robust)")
    _raw(right, part, place, float(result.attrs["chance"]))
    for axes in (left, right):
        axes.axhline(0.5, color="0.8", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    made.suptitle(_caption(result), fontsize=7, color="0.4")
    return made


def _raw(axes: Axes, part: xr.Dataset, place: np.ndarray, chance: float) -> None:
    for name, marker, colour in (("raw", "o", "0"), ("baseline", "s", "0.6")):
        values = part[name].mean("severity").values
        axes.plot(np.append(values, values.mean()), place, marker, color=colour, markersize=3.5, label=name)
    axes.axvline(chance, color="0.4", linewidth=1, linestyle=(0, (1, 2)))
    axes.text(chance, 1.0, "chance", fontsize=7, color="0.4", transform=axes.get_xaxis_transform())
    axes.set(yticks=[], xlabel="accuracy, mean over severities", xlim=(0, 1))
    axes.legend(frameon=False, fontsize=7, loc="lower right")


def _caption(result: xr.Dataset) -> str:
    words = [f"{result.attrs['interval']}", f"{result.attrs['left_out']} cells near chance left out"]
    origin = _plots.caption({"origin": result.attrs.get("origin", "")})
    return " · ".join([origin, *words] if origin else words)
