"""A score under attack over the size of the budget, and the loss around one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _plots
from analyses._robust_flags import NOT_EXAMINED, RAISED
from analyses._robust_words import budget

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ((0, (5, 1)), "v"), ((0, (1, 1)), "x"))
WIDE = 96  # characters of a line of flags


def drawn(result: xr.Dataset) -> Figure:
    """Curves, and beside them the surface where there is one."""
    surface = "surface" in result
    more = [dim for dim in result["union"].dims if dim != "epsilon"]
    if more:
        names = [name for name, part in result.items() if "neuroid" in part.dims and part.dtype.kind == "f"]
        result = result[names].median(more).assign_attrs(result.attrs)
    made, axes = _plots.figure(9.6 if surface else 6.4, 4.2, 2 if surface else 1)
    _curves(axes[0], result)
    if surface:
        _surface(made, axes[1], result)
    title = _flagged(result)
    if title:
        made.suptitle(title, fontsize=8, x=0.01, ha="left")
    return made


def _curves(axes: Axes, result: xr.Dataset) -> None:
    name, factor = ("change", 1.0) if "change" in result else ("accuracy", 100.0)
    if name == "change" and "range" in result.attrs and result.sizes["epsilon"] > 1:
        result = result.isel(epsilon=result["epsilon"].values < result.attrs["range"])
    epsilon = result["epsilon"].values
    place = np.arange(len(epsilon))
    low, high = (factor * result[f"union_{end}"].values for end in ("low", "high"))
    axes.fill_between(place, low, high, color="0.85", linewidth=0, label="95 % interval of the worst")
    for k, attack in enumerate(result["attack"].values.astype(str)):
        dash, mark = LINES[k % len(LINES)]
        random = attack == "noise"
        axes.plot(
            place, factor * result[name].values[k], linestyle=dash, marker=mark, markersize=4, label=attack,
            color="0.6" if random else str(round(0.15 + 0.1 * (k % 4), 2)), linewidth=2 if random else 0.9,
        )  # fmt: skip
    axes.plot(
        place, factor * result["union"].values, color="0", linewidth=2.2, label="worst for each picture"
    )
    if name == "accuracy":
        _level(axes, 100 * float(result.attrs["clean_accuracy"]), "clean")
        if "chance" in result.attrs:
            _level(axes, 100 * float(result.attrs["chance"]), "chance")
        axes.set_ylim(-3, 103)
        axes.set_ylabel("pictures that keep their label (%)")
    else:
        axes.axhline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
        unit = " (SD over pictures)" if result["change"].attrs.get("units") == "SD" else ""
        axes.set_ylabel(f"change of the prediction{unit}")
    axes.set_xticks(place, [_size(value, result) for value in epsilon], fontsize=7)
    axes.set_xlabel(f"{str(result.attrs['norm']).capitalize()} budget (sizes are not to scale)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=6, ncols=2)
    caption = f"{result.attrs.get('origin', '')} · n {result.attrs['n']} · seed {result.attrs['seed']}"
    axes.set_title(caption.strip(" ·"), fontsize=7, loc="right", color="0.4")


def _level(axes: Axes, height: float, name: str) -> None:
    axes.axhline(height, color="0.4", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        name, (1.005, height), xycoords=("axes fraction", "data"), fontsize=7, va="center", color="0.4"
    )


def _size(epsilon: float, result: xr.Dataset) -> str:
    if epsilon >= float(result.attrs.get("range", np.inf)):
        return "range"
    return budget(epsilon, str(result.attrs["norm"])).split(" ")[1]


def _surface(made: Any, axes: Axes, result: xr.Dataset) -> None:
    shown = result["surface"]
    along, across = result["along"].values, result["across"].values
    image = axes.pcolormesh(across, along, shown.values, cmap="cividis", rasterized=True, shading="nearest")
    axes.plot([0], [0], "o", color="1", markeredgecolor="0", label="clean picture")
    axes.plot([0], [1], "s", color="1", markeredgecolor="0", label="attacked picture")
    axes.set_xlabel("along a random direction of equal norm")
    axes.set_ylabel("along the attack (1: the attacked picture)")
    axes.legend(frameon=True, fontsize=6)
    made.colorbar(image, label=f"what is raised ({shown.attrs.get('units', '1')})")
    size = budget(float(result.attrs["epsilon"]), str(result.attrs["norm"]))
    axes.set_title(f"picture {shown.attrs.get('picture', '')}, {size}", fontsize=7, loc="right", color="0.4")


def _flagged(result: xr.Dataset) -> str:
    if "raised" not in result:
        return "not audited: no statement about the strength of the attack"
    names, states = result["flag"].values.astype(str), result["state"].values.astype(str)
    raised = [name for name, state in zip(names, states, strict=True) if state == RAISED]
    missing = [name for name, state in zip(names, states, strict=True) if state == NOT_EXAMINED]
    told = f"flags raised: {', '.join(raised)}" if raised else "no flag raised"
    told += f"; not examined: {', '.join(missing)}" if missing else ""
    words, lines = told.split(" "), [""]
    for word in words:
        if len(lines[-1]) + len(word) > WIDE:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(line.strip() for line in lines)
