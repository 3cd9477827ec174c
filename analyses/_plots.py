"""Shared axes of the plots: seconds, a chance line, greys that print. Each `plot` stands with its maker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}
GREYS = ("0.0", "0.45", "0.65")
DASHES = ("-", "--", ":")


def figure(width: float = 6.4, height: float = 3.6, panels: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure with `panels` axes side by side, not shown by any window."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained", dpi=150)
    return made, list(np.atleast_1d(made.subplots(1, panels)))


def timeline(axes: Axes, chance: float | None, measure: str) -> None:
    """Time axis in seconds with the onset, and the chance line."""
    axes.axvline(0, color="0.8", linewidth=1, zorder=0)
    axes.text(0, 1.01, "stimulus onset", transform=axes.get_xaxis_transform(), fontsize=7, color="0.4")
    if chance is not None:
        axes.axhline(chance, color="0.4", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"chance\n{chance:.3g}", (1.005, chance), xycoords=("axes fraction", "data"),
            va="center", fontsize=7, color="0.4",
        )  # fmt: skip
    axes.set_xlabel("time from stimulus onset (s)")
    axes.set_ylabel(NAMES.get(measure, measure))
    axes.spines[["top", "right"]].set_visible(False)


def caption(attrs: dict) -> str:
    """What the data are and how folds were kept apart, from a result's attrs; simulated data say so."""
    parts = [str(attrs[key]) for key in ("origin", "estimator") if attrs.get(key)]
    if attrs.get("kept_apart"):
        parts.append(f"kept apart: {attrs['kept_apart']}")
    if attrs.get("shared"):
        parts.append(f"shared: {attrs['shared']}")
    return " · ".join(parts)


def curve(result: xr.Dataset, name: str) -> Figure:
    """One score over time; other dimensions are drawn as thin lines with their mean."""
    made, (axes,) = figure()
    score = result[name]
    others = [dim for dim in score.dims if dim != "time"]
    if others:
        lines = score.stack(line=others).transpose("time", "line").values
        lines = lines[:, np.isfinite(lines).all(axis=0)]
        axes.plot(score["time"], lines[:, :200], color="0.8", linewidth=0.5)
        score = score.mean(others)
    axes.plot(
        score["time"], score, color="0", linewidth=1.5, marker="o" if score.sizes["time"] == 1 else None
    )
    timeline(axes, result.attrs.get("chance"), name)
    axes.set_title(caption(result.attrs), fontsize=7, loc="right", color="0.4", pad=14)
    return made


def matrix(score: xr.DataArray, attrs: dict) -> Figure:
    """Training time down, test time across."""
    made, (axes,) = figure(4.8, 4.0)
    shown = score.transpose("time", "test_time")
    image = axes.pcolormesh(score["test_time"], score["time"], shown, cmap="cividis", rasterized=True)
    axes.axline((0, 0), slope=1, color="0.8", linewidth=0.5)
    axes.set_xlabel("test time (s)")
    axes.set_ylabel("training time (s)")
    bar = made.colorbar(image, label=f"{NAMES.get(str(score.name), score.name)} (line: chance)")
    bar.ax.axhline(attrs["chance"], color="1", linewidth=1.5)
    axes.set_title(caption(attrs), fontsize=7, loc="right", color="0.4")
    return made


def table(score: xr.DataArray, attrs: dict) -> Figure:
    """Trained in a row's condition, tested in a column's, every cell printed; the time with the best mean."""
    best = score.mean(["train_condition", "test_condition"]).argmax("time")
    cells = score.isel(time=int(best))
    made, (axes,) = figure(4.2, 3.6)
    image = axes.imshow(cells, cmap="Greys", vmin=attrs["chance"], vmax=1)
    for (row, column), value in np.ndenumerate(cells.values):
        colour = "1" if value > 0.5 * (1 + attrs["chance"]) else "0"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(cells.shape[1]), list(map(str, cells["test_condition"].values)))
    axes.set_yticks(range(cells.shape[0]), list(map(str, cells["train_condition"].values)))
    axes.set_xlabel("tested in")
    axes.set_ylabel("trained in")
    axes.set_title(f"at {float(cells['time']):.2f} s", fontsize=9)
    made.colorbar(image, label=f"balanced accuracy (chance {attrs['chance']:.3g})")
    return made
