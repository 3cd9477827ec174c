"""Networks that differ in one thing each, against the one that has none of it, in pairs of random starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 15  # panels of a plot
ACROSS = 5  # of them in a row


def contrast(
    baseline: xr.Dataset,
    *,
    variables: Sequence[str] = (),
    dim: str = "seed",
    confidence: float = 0.95,
    base: str = "none",
    **arms: xr.Dataset,
) -> xr.Dataset:
    """What every arm has, and how much more than the baseline, with intervals over random starts.

    Differences are taken start by start, so what a start shares with its twin of the baseline cancels. Their
    interval is Student's: with few starts it is wide, and it says nothing of other data.

    Reads    baseline and arms, results gathered over `dim`, at least 2 starts, the same in all; variables
             (none: all numbers that every one has along `dim`); base, what the baseline is called
    Returns  of every variable its values (arm, seed, ...), mean (arm, ...) as <name>_mean, and
             <name>_difference with _low and _high; the first arm is the baseline. ValueError where starts or
             shapes differ
    Source   Student 1908, doi 10.1093/biomet/6.1.1
    >>> one = xr.Dataset({"accuracy": ("seed", [0.5, 0.7], {"units": "1"})}, {"seed": ["0", "1"]})
    >>> float(contrast(one, real=one + 0.1).accuracy_difference.sel(arm="real").round(3))
    0.1
    """
    if not arms or base in arms:
        raise ValueError(f"arms: {', '.join(arms) or 'none were given'}; give some, beside the base {base!r}")
    return _contrast({base: baseline, **arms}, variables, dim, confidence)


def within(
    result: xr.Dataset,
    *,
    base: str,
    variables: Sequence[str] = (),
    dim: str = "seed",
    confidence: float = 0.95,
) -> xr.Dataset:
    """What every arm of a sweep has, and how much more than one of them, with intervals over random starts.

    Reads    numbers (arm, dim, ...); base, the arm that the others are compared with
    Returns  as `contrast`; ValueError where there is no such arm
    """
    names = [str(name) for name in result["arm"].values] if "arm" in result.dims else []
    if base not in names:
        raise ValueError(f"base: there is no arm {base!r}; known are {', '.join(names) or 'none'}")
    each = {name: result.isel(arm=names.index(name), drop=True) for name in sorted(names, key=base.__ne__)}
    return _contrast(each, variables, dim, confidence)


def last(result: xr.Dataset, *, variable: str, dim: str = "epoch") -> xr.Dataset:
    """The last value of a curve, such as what a penalty reached on pictures held out, as a result of its own.

    Reads    `variable` (..., dim)
    Returns  `variable` (...), or (method) where nothing else is left
    """
    if variable not in result or dim not in result[variable].dims:
        raise ValueError(
            f"variable: there is no {variable!r} along {dim}; known are {', '.join(map(str, result))}"
        )
    made = result[variable].isel({dim: -1}, drop=True)
    made = made if made.dims else made.expand_dims(method=[f"last {dim}"])
    kept = {key: result.attrs[key] for key in ("origin", "seed") if key in result.attrs}
    return xr.Dataset({variable: made}, attrs=kept)


def plot(result: xr.Dataset) -> Figure:
    """Every arm's difference from the baseline with its interval, a panel a measure; 0 is a line.

    Reads    what `contrast` returned
    Returns  a matplotlib Figure
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels = _panels(result)
    across = min(len(panels), ACROSS)
    down = -(-len(panels) // across)
    high = 0.9 + 0.26 * result.sizes["arm"]
    size = (1.6 + 1.9 * across, 0.3 + high * down)
    made = Figure(figsize=size, layout="constrained", dpi=150)
    grid = made.subplots(down, across, squeeze=False)
    axes = grid.flatten()
    for spare in axes[len(panels) :]:
        spare.set_axis_off()
    arms = [str(arm) for arm in result["arm"].values[1:]]
    place = np.arange(len(arms))[::-1]
    for panel, (name, told, where) in zip(axes, panels, strict=False):
        middle, low, top = (
            result[f"{name}_difference{end}"].sel(where).values[1:] for end in ("", "_low", "_high")
        )
        clear = (low > 0) | (top < 0)
        panel.hlines(place, low, top, color="0.45", linewidth=1.2)
        panel.scatter(middle, place, s=18, c=np.where(clear, "0.0", "1.0"), edgecolors="0.0", zorder=3)
        panel.axvline(0, color="0.4", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        base = float(result[f"{name}_mean"].sel(where)[0])
        panel.set_title(f"{told}\n{result['arm'].values[0]}: {base:.3g}", fontsize=7)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.set_yticks(place, arms if panel in grid[:, 0] else [""] * len(arms), fontsize=7)
        panel.tick_params(axis="x", labelsize=6)
        panel.spines[["top", "right"]].set_visible(False)
    share = result.attrs["confidence"]
    told = f"difference from {result['arm'].values[0]}, {share:.0%} interval over "
    told += f"{result.attrs['n']} paired starts"
    made.supxlabel(told + ("; " if across > 2 else "\n") + "filled: the interval leaves out 0", fontsize=7)
    return made


def _contrast(
    whole: dict[str, xr.Dataset], variables: Sequence[str], dim: str, confidence: float
) -> xr.Dataset:
    """What `contrast` documents, the first arm being the base."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")
    baseline = next(iter(whole.values()))
    starts = _starts(whole, dim)
    names = [*variables] or _shared(whole, dim)
    made: dict[str, Any] = {}
    for name in names:
        values = _values(whole, name, dim)
        apart = values - values.isel(arm=0)
        wide = apart.std(dim, ddof=1) * float(student.ppf(0.5 + confidence / 2, len(starts) - 1))
        wide, middle = wide / np.sqrt(len(starts)), apart.mean(dim)
        made |= {name: values, f"{name}_mean": values.mean(dim), f"{name}_difference": middle}
        made |= {f"{name}_difference_low": middle - wide, f"{name}_difference_high": middle + wide}
    coords: dict[str, Any] = {"arm": [*whole], dim: starts}
    for name in names:
        for key, coord in baseline[name].coords.items():
            if key != dim and dim not in coord.dims:
                coords[str(key)] = coord.variable
    found = {name: item.variable.copy() for name, item in made.items()}
    for item in found.values():
        item.attrs = {"units": "1"}
    attrs: dict[str, Any] = {"confidence": confidence, "over": dim, "n": len(starts)}
    attrs |= {
        key: baseline.attrs[key] for key in ("chance", "chance_group", "origin") if key in baseline.attrs
    }
    return xr.Dataset(found, coords, attrs)


def _panels(result: xr.Dataset) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, title and place of every number an arm has."""
    made = []
    for name in [str(key).removesuffix("_mean") for key in result if str(key).endswith("_mean")]:
        mean = result[f"{name}_mean"]
        for place in np.ndindex(*mean.shape[1:]):
            where = {str(dim): mean[dim].values[k] for dim, k in zip(mean.dims[1:], place, strict=True)}
            told = ", ".join(
                f"{value:.3g}" if isinstance(value, float) else str(value) for value in where.values()
            )
            made.append((name, f"{name}\n{told}" if told else name, where))
    return made[:MOST]


def _starts(whole: dict[str, xr.Dataset], dim: str) -> list[str]:
    found = {}
    for name, one in whole.items():
        if dim not in one.dims or one.sizes[dim] < 2:
            raise ValueError(f"{name}: has {one.sizes.get(dim, 0)} along {dim!r}; give 2 at least, gathered")
        found[name] = [str(value) for value in one[dim].values]
        first = next(iter(found.values()))
        if found[name] != first:
            raise ValueError(f"{name}: has {dim} {found[name]}, and the baseline {first}; give the same")
    return next(iter(found.values()))


def _shared(whole: dict[str, xr.Dataset], dim: str) -> list[str]:
    names = [
        str(name)
        for name, item in next(iter(whole.values())).data_vars.items()
        if dim in item.dims
        and item.dtype.kind == "f"
        and all(name in one and one[name].shape == item.shape for one in whole.values())
    ]
    if not names:
        raise ValueError(f"variables: no number along {dim!r} is in every arm; name some")
    return names


def _values(whole: dict[str, xr.Dataset], name: str, dim: str) -> xr.DataArray:
    parts = []
    for arm, one in whole.items():
        if name not in one or dim not in one[name].dims:
            raise ValueError(f"{arm}: has no {name!r} along {dim!r}; name another variable")
        first = next(iter(whole.values()))[name].transpose(dim, ...)
        part = one[name].transpose(dim, ...)
        if part.dims != first.dims or part.shape != first.shape:
            raise ValueError(
                f"{arm}: {name!r} is {part.shape}, and {first.shape} in the baseline; give the same"
            )
        parts.append(part.astype(float).drop_vars([key for key in part.coords if key not in part.dims]))
    for arm, part in zip(whole, parts, strict=True):
        for key in part.coords:
            if not np.array_equal(part[key].values.astype(str), parts[0][key].values.astype(str)):
                raise ValueError(f"{arm}: {name!r} has another {key}; give the same")
    joined: xr.DataArray = xr.concat(parts, "arm", join="override")
    return joined.assign_coords(arm=[*whole])
