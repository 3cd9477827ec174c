"""Spectra on logarithmic axes, and accuracies over the exponent that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MARKS = {0.0: ("D", "0"), 0.1: ("o", "0.55"), 1.0: ("s", "0.15")}  # of a strength


def drawn(result: xr.Dataset) -> Figure:
    return accuracies(result) if "off_target" in result else spectra(result)


def accuracies(result: xr.Dataset) -> Figure:
    """Clean accuracy and that under each attack over the measured exponent, one line a strength; published
    ones dashed; networks without the penalty as a dot.
    """
    attacks = [str(name) for name in result["attack"].values] if "attacked" in result else []
    made, panels = _plots.figure(3.4 * (1 + len(attacks)), 3.4, 1 + len(attacks))
    known = {"fgsm": "fgsm", "pgd": "pgd"}
    for axes, name in zip(panels, ["clean", *attacks], strict=True):
        part = result if name == "clean" else result.sel(attack=name).isel(epsilon=0)
        _by_strength(axes, part, "accuracy" if name == "clean" else "attacked")
        told = "clean" if name == "clean" else known.get(name.partition(" ")[0], "")
        if told and f"published_{told}" in result:
            _published(axes, result, told)
        budget = "" if name == "clean" else f", ε = {float(part['epsilon']):g}"
        axes.set_title(f"{name}{budget}", fontsize=8)
        axes.set_xlabel("exponent α, measured on lessons")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy on held-out pictures")
    panels[-1].legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=6)
    chance = float(result.attrs.get("chance", np.nan))
    for axes in panels[1:]:
        axes.set_ylim(0, 1)
        axes.axhline(chance, color="0.4", linewidth=1, linestyle=(0, (1, 2)))
        axes.text(1.0, chance, "chance", transform=axes.get_yaxis_transform(), ha="right", va="bottom",
                  fontsize=6, color="0.4")  # fmt: skip
    source = str(result.attrs.get("published_source", ""))
    made.suptitle(f"{result.attrs['interval']}" + (f" · dashed: {source}" if source else ""), fontsize=7,
                  color="0.4")  # fmt: skip
    return made


def _by_strength(axes: Axes, part: xr.Dataset, name: str) -> None:
    for beta in np.unique(part["beta"].values):
        some = part.isel(arm=np.flatnonzero(part["beta"].values == beta))
        some = some.isel(arm=np.argsort(some["alpha_lessons"].values))
        mark, shade = MARKS.get(float(beta), ("^", "0.35"))
        x, y = some["alpha_lessons"].values, some[name].values
        error = np.nan_to_num([y - some[f"{name}_low"].values, some[f"{name}_high"].values - y])
        label = f"β = {beta:g}" if beta else "no penalty"
        axes.errorbar(
            x, y, yerr=error, fmt=mark, color=shade, markersize=4, linewidth=1.2, label=label,
            linestyle="-" if beta else "none",
        )  # fmt: skip


def _published(axes: Axes, result: xr.Dataset, name: str) -> None:
    for beta in np.unique(result["published_beta"].values):
        rows = np.flatnonzero(result["published_beta"].values == beta)
        x, y = result["published_alpha"].values[rows], result[f"published_{name}"].values[rows]
        mark, shade = MARKS.get(float(beta), ("^", "0.35"))
        axes.plot(x, y, linestyle="--" if beta else "none", marker=mark, markerfacecolor="none", color=shade,
                  markersize=3.5, linewidth=0.9, label=f"published, β = {beta:g}")  # fmt: skip


def spectra(result: xr.Dataset) -> Figure:
    """Eigenvalues of every layer and time over their rank, and the lines that were fitted."""
    made, (axes,) = _plots.figure(5.2, 3.8)
    others = [dim for dim in result["eigenvalue"].dims if dim != "component"]
    lines = result["eigenvalue"].stack(line=others).transpose("line", "component").values
    alphas = result["alpha"].stack(line=others).values
    low, high = (int(result.attrs[name]) for name in ("low", "high"))
    names = [str(name) for name in np.ravel(result["layer"].values)] if "layer" in result.dims else []
    rank = result["component"].values
    for k, (line, alpha) in enumerate(zip(lines, alphas, strict=True)):
        style: dict[str, Any] = {"color": _plots.GREYS[k % 3], "linestyle": _plots.DASHES[k // 3 % 3]}
        seen = line > 0
        label = f"{names[k]}: α = {alpha:.2f}" if len(names) == len(lines) else f"α = {alpha:.2f}"
        axes.plot(rank[seen], line[seen], linewidth=1, label=label, **style)
        _fitted(axes, line, alpha, low, high)
    axes.axvspan(low, high, color="0.93", zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="rank", ylabel="eigenvalue (share of the sum)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, title=f"fitted from rank {low} to {high}", title_fontsize=7)
    axes.set_title(_plots.caption(result.attrs), fontsize=7, loc="right", color="0.4")
    return made


def _fitted(axes: Axes, line: np.ndarray, alpha: float, low: int, high: int) -> None:
    """A line of that slope through the middle of the window, a little above the spectrum."""
    rank = np.array([low, high], float)
    inside = np.log(np.maximum(line[low - 1 : high], 1e-300)).mean()
    middle = np.log(np.arange(low, high + 1)).mean()
    axes.plot(rank, 1.5 * np.exp(inside - alpha * (np.log(rank) - middle)), color="0.3", linewidth=0.8)
