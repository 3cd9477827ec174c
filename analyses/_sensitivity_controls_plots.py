"""Pictures of the controls: populations, flips of what is read out, and tables of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from analyses import _plots
from analyses._sensitivity_plots import curves, finish, level, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(result: xr.Dataset) -> Figure:
    """The picture that suits what a result holds."""
    if "displacement" in result:
        return _population(result)
    if "flipped" in result:
        return _flips(result)
    if "corrected" in result:
        return _corrected(result)
    return _order(result) if "ratio" in result else _decoder(result)


def _population(result: xr.Dataset) -> Figure:
    whitened = bool(np.isfinite(result["d_prime_squared"].values).any())
    figure, axes = _plots.figure(9.0 if whitened else 5.4, 3.8, 1 + whitened)
    curves(axes[0], result, "displacement")
    level(axes[0], 1.0, "random pair\nof pictures")
    finish(axes[0], result, "D: length of the change / distance of two pictures")
    if whitened:
        curves(axes[1], result, "d_prime_squared")
        axes[1].set_yscale("symlog", linthresh=0.1)
        finish(axes[1], result, "d'^2 of one presentation", legend=False)
        axes[1].set_title("", loc="left")
    return figure


def _flips(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(6.0)
    curves(axes, result, "flipped")
    axes.set_ylim(-0.02, 1.02)
    finish(axes, result, "share of pictures decoded as another class")
    accuracy, chance = (float(result.attrs.get(key, np.nan)) for key in ("accuracy", "chance"))
    axes.set_xlabel(f"{axes.get_xlabel()}; decoder {accuracy:.2f} right, chance {chance:.2f}")
    return figure


def _order(result: xr.Dataset) -> Figure:
    names = result["setting"].values.astype(str)
    figure, (axes,) = _plots.figure(7.0, 0.9 + 0.27 * names.size)
    y = np.arange(names.size)[::-1]
    low, middle, high = (result[f"ratio{end}"].values for end in ("_low", "", "_high"))
    axes.hlines(y, low, high, color="0.5", linewidth=1.5)
    held = result["first_above"].values > 0
    axes.plot(middle[held], y[held], "o", color="0.0", label="vanilla above, interval above 1")
    if not held.all():
        axes.plot(middle[~held], y[~held], "o", color="0.0", markerfacecolor="1.0", label="not established")
    for place, row in zip(y, result["sensitivity"].transpose("setting", "model").values, strict=True):
        words = f"{row[0]:.2f} / {row[1]:.2f}"
        axes.annotate(words, (1.0, place), xycoords=("axes fraction", "data"), fontsize=6.5,
                      xytext=(4, 0), textcoords="offset points", va="center", color="0.3")  # fmt: skip
    axes.axvline(1, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(y, names, fontsize=7)
    axes.set_xscale("log")
    axes.set_xlabel("sensitivity, vanilla / adversarially trained (right: both)")
    axes.legend(frameon=False, fontsize=6.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(said(result), fontsize=6.5, loc="left", color="0.3")
    return figure


def _corrected(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(5.6)
    size = result["epsilon"].values
    styles = {"truth": ("0.0", "-", "o"), "corrected": ("0.45", "--", "s"), "found": ("0.6", ":", "^")}
    words = {"truth": "white-box", "corrected": "surrogate / kappa of other neuroids", "found": "surrogate"}
    for name, (colour, line, mark) in styles.items():
        axes.plot(size, result[name].values, color=colour, linestyle=line, marker=mark, label=words[name])
    axes.vlines(size, result["corrected_low"].values, result["corrected_high"].values, color="0.45")
    finish(axes, result, "sensitivity (SDs over pictures)")
    return figure


def _decoder(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(6.0, 3.2)
    weight = result["weight"].values
    most = float(np.abs(weight).max())
    image = axes.imshow(weight, cmap="Greys", vmin=-most, vmax=most, aspect="auto")
    axes.set_yticks(range(len(weight)), list(map(str, result["condition"].values)), fontsize=7)
    axes.set_xlabel("neuroid")
    words = f"accuracy {result.attrs['accuracy']:.2f}, chance {result.attrs['chance']:.2f}"
    axes.set_title(f"{result.attrs.get('origin', '')} · {words}", fontsize=7, loc="left", color="0.3")
    figure.colorbar(image, label="weight")
    return figure
