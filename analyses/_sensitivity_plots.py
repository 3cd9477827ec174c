"""Pictures of sensitivities: bars or curves over budgets, told apart in grey by mark, dash and hatch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (2, 2)))
SHADES = ("0.0", "0.25", "0.45", "0.6", "0.7", "0.35", "0.15", "0.5")
FILLS = ("0.2", "1.0", "0.75", "0.5")
HATCHES = ("", "", "///", "")


def plot(result: xr.Dataset) -> Figure:
    """The picture that suits what a result holds."""
    if "kappa" in result and "neuroid" in result["kappa"].dims:
        return _kappa(result)
    if "over_robust" in result:
        return _bars(result)
    if "since_first" in result:
        return _learning(result)
    if "kappa_mean" in result:
        return _curve_of(result, "kappa_mean", "kappa: surrogate / white-box", 1.0)
    if "transfer" in result or "level_mean" in result:
        return recorded(result)
    return _curves(result)


def curves(
    axes: Axes, result: xr.Dataset, name: str, along: str = "arm", labels: dict[str, str] | None = None
) -> None:
    """A curve with bars of its interval for every entry of `along`."""
    size = np.asarray(result["epsilon"].values, float)
    part = result[name].transpose(along, "epsilon")
    shift = 0.006 * (size.max() - size.min() if size.size > 1 else 1)
    for k, arm in enumerate(np.asarray(result[along].values).astype(str)):
        colour, mark = SHADES[k % len(SHADES)], MARKS[k % len(MARKS)]
        x = size + (k - part.shape[0] / 2) * shift
        axes.plot(x, part.values[k], color=colour, linestyle=LINES[k % len(LINES)], marker=mark, markersize=4,
                  markerfacecolor="1.0" if k % 2 else colour, label=(labels or {}).get(arm, arm))  # fmt: skip
        if f"{name}_low" in result:
            low, high = (
                result[f"{name}_{end}"].transpose(along, "epsilon").values[k] for end in ("low", "high")
            )
            axes.vlines(x, low, high, color=colour, linewidth=1)


def finish(axes: Axes, result: xr.Dataset, words: str, legend: bool = True) -> None:
    """Axis names, legend and what the data are."""
    norm = str(result.attrs.get("norm", result["epsilon"].attrs.get("units", "")))
    axes.set(xlabel=f"size of the perturbation ({norm})", ylabel=words)
    axes.spines[["top", "right"]].set_visible(False)
    if legend:
        axes.legend(framealpha=0.9, edgecolor="1.0", fontsize=6.5)
    axes.set_title(said(result), fontsize=6.5, loc="left", color="0.3")


def said(result: xr.Dataset) -> str:
    """What the data are: where they come from, of whom, how many, that values are lower bounds."""
    attrs = result.attrs
    parts = [str(attrs[key]) for key in ("origin", "population") if attrs.get(key)]
    if "neuroids" in attrs:
        starts = f", {attrs['seeds']} random starts" if "seeds" in attrs else ""
        parts.append(f"{attrs['neuroids']} neuroids x {attrs.get('pictures', '?')} pictures{starts}")
    return " · ".join([*parts, "lower bounds"])


def level(axes: Axes, value: float, words: str, dash: Any = (0, (4, 3)), side: str = "center") -> None:
    """A line across the axes with its name at the right: in the middle, or with its bottom or top there."""
    axes.axhline(value, color="0.4", linewidth=1, linestyle=dash, zorder=0)
    axes.annotate(words, (1.0, value), xycoords=("axes fraction", "data"), xytext=(3, 0),
                  textcoords="offset points", va=side, fontsize=6.5, color="0.35")  # fmt: skip


def _references(axes: Axes, pair: float) -> None:
    level(axes, 1.0, "1 SD", (0, (1, 2)), "top" if pair >= 1 else "bottom")
    if np.isfinite(pair):
        level(axes, pair, "random pair\nof pictures", side="bottom" if pair >= 1 else "top")


def _curves(result: xr.Dataset) -> Figure:
    part = result.isel(day=-1) if "day" in result.dims else result
    panels = 2 if "conditional" in part else 1
    figure, axes = _plots.figure(6.4 if panels == 1 else 9.0, 3.8, panels)
    curves(axes[0], part, "sensitivity")
    _references(axes[0], float(result.attrs.get("random_pair", np.nan)))
    finish(axes[0], result, f"change of response ({result.attrs.get('estimator', '')}; SDs over pictures)")
    if panels == 2:
        attack = part.sel(arm=["attack"])
        for k, (name, words) in enumerate(
            (
                ("sensitivity", "all pictures"),
                ("conditional", "judge sees no change"),
                ("judge_changed", "share that the judge sees changed"),
            )
        ):
            row = attack.rename({name: "shown"} | ({f"{name}_{e}": f"shown_{e}" for e in ("low", "high")}))
            _line(axes[1], row.isel(arm=0), "shown", words, k)
        axes[1].axhline(0, color="0.8", linewidth=0.8, zorder=0)
        finish(axes[1], result, "attack: change in SDs, or share")
        axes[1].set_title("", loc="left")
    return figure


def _line(axes: Axes, part: xr.Dataset, name: str, words: str, k: int) -> None:
    size = np.asarray(part["epsilon"].values, float)
    axes.plot(size, part[name].values, color=SHADES[k], linestyle=LINES[k], marker=MARKS[k], markersize=4,
              markerfacecolor="1.0" if k % 2 else SHADES[k], label=words)  # fmt: skip
    if f"{name}_low" in part:
        axes.vlines(
            size, part[f"{name}_low"].values, part[f"{name}_high"].values, color=SHADES[k], linewidth=1
        )


def _curve_of(result: xr.Dataset, name: str, words: str, at: float) -> Figure:
    figure, (axes,) = _plots.figure(5.4)
    _line(axes, result, name, words, 0)
    level(axes, at, "no gap")
    axes.set_ylim(0)
    finish(axes, result, words, legend=False)
    return figure


def _bars(result: xr.Dataset) -> Figure:
    figure, (left, right) = _plots.figure(9.6, 4.0, 2)
    sizes, arms = np.asarray(result["epsilon"].values, float), np.asarray(result["arm"].values).astype(str)
    place, width = np.arange(sizes.size, dtype=float), 0.8 / arms.size
    for k, arm in enumerate(arms):
        part = result.sel(arm=arm)
        x = place + (k - (arms.size - 1) / 2) * width
        value, low, high = (part[f"sensitivity{end}"].values for end in ("", "_low", "_high"))
        left.bar(x, value, width, color=FILLS[k], hatch=HATCHES[k], edgecolor="0", linewidth=0.8, label=arm)
        left.vlines(x, low, high, color="0.0" if k else "0.6", linewidth=1.2)
    _references(left, float(result["random_pair"].values[-1]))
    left.set_xticks(place, [f"{size:g}" for size in sizes])
    finish(left, result, "sensitivity (SDs over pictures)")
    _line(right, result, "kappa", "kappa: sites through the surrogate / white-box", 0)
    level(right, 1.0, "no gap")
    right.set_ylim(0, max(1.1, float(np.nanmax(result["kappa_high"].values)) * 1.05))
    finish(right, result, "share that the surrogate finds", legend=False)
    right.set_title("", loc="left")
    return figure


def _kappa(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(5.6)
    sizes = np.asarray(result["epsilon"].values, float)
    width = 0.04 * (sizes.max() - sizes.min() if sizes.size > 1 else 1)
    every = result["kappa"].transpose("epsilon", "neuroid").values
    for size, row in zip(sizes, every, strict=True):
        row = np.sort(row[np.isfinite(row)])
        axes.plot(size + np.linspace(-width, width, row.size), row, ".", color="0.65", markersize=4)
    _line(axes, result, "kappa_mean", "mean over neuroids", 0)
    axes.plot([], [], ".", color="0.65", label="a neuroid")
    level(axes, 1.0, "no gap")
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    finish(axes, result, "kappa: surrogate / white-box")
    return figure


def _learning(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(6.4, 3.8)
    part = result.isel(epsilon=-1)
    days = np.asarray(part["day"].values)
    for k, arm in enumerate(np.asarray(part["arm"].values).astype(str)):
        value, low, high = (part[f"sensitivity{end}"].sel(arm=arm).values for end in ("", "_low", "_high"))
        x = days + 0.03 * (k - 2)
        axes.plot(x, value, color=SHADES[k], linestyle=LINES[k], marker=MARKS[k], markersize=4,
                  markerfacecolor="1.0" if k % 2 else SHADES[k], label=arm)  # fmt: skip
        axes.vlines(x, low, high, color=SHADES[k], linewidth=1)
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    _references(axes, float(result.attrs.get("random_pair", np.nan)))
    axes.set_xticks(days)
    finish(
        axes,
        result,
        f"change of response at {float(part['epsilon']):g} ({result.attrs.get('estimator', '')}; SDs)",
    )
    axes.set_xlabel("day (0: fitted to natural pictures alone)")
    return figure


def recorded(result: xr.Dataset) -> Figure:
    """What an attack's record, a screening of surrogates or a push between categories shows."""
    if "transfer" in result:
        return _screened(result)
    if "level_mean" in result:
        return _levels(result)
    return _raw(result)


def _raw(result: xr.Dataset) -> Figure:
    days = "predictivity" in result
    figure, axes = _plots.figure(9.0 if days else 6.0, 3.8, 1 + days)
    part = result[["clean", "moved"]].isel(day=-1) if days else result[["clean", "moved"]]
    if "presentation" in part.dims:
        part = part.mean("presentation")
    size = part["clean"].std("stimulus")
    change = abs(part["moved"] - part["clean"]).where(size > 0) / size.where(size > 0)
    shown = change.mean(["stimulus", "neuroid"]).to_dataset(name="change").assign_attrs(result.attrs)
    curves(axes[0], shown, "change")
    finish(axes[0], shown, "mean |change| (SDs of these pictures; noise included)")
    if days:
        every = result["predictivity"].transpose("day", "neuroid").values
        axes[1].plot(result["day"].values, every, color="0.8", linewidth=0.8)
        axes[1].plot(
            result["day"].values, np.median(every, axis=1), "o-", color="0.0", label="median of sites"
        )
        axes[1].set(xlabel="day", ylabel="correlation on held-out pictures", xticks=result["day"].values)
        axes[1].legend(frameon=False, fontsize=6.5)
        axes[1].spines[["top", "right"]].set_visible(False)
    return figure


def _screened(result: xr.Dataset) -> Figure:
    figure, axes = _plots.figure(9.6, 3.4, 3)
    place, models = np.arange(result.sizes["layer"], dtype=float), result["model"].values.astype(str)
    for axis, name in zip(axes, ("cka", "predictivity", "transfer"), strict=True):
        for k, model in enumerate(models):
            x = place + 0.25 * (k - 1)
            row = result.sel(model=model)
            axis.bar(
                x,
                row[name].values,
                0.25,
                color=FILLS[k],
                hatch=HATCHES[k],
                edgecolor="0",
                linewidth=0.8,
                label=model,
            )
            if f"{name}_low" in result:
                axis.vlines(
                    x, row[f"{name}_low"].values, row[f"{name}_high"].values, color="0.0" if k else "0.6"
                )
        axis.set_xticks(place, list(map(str, result["layer"].values)))
        axis.set_ylabel(
            {"cka": "linear CKA", "predictivity": "predictivity (r)", "transfer": "transfer (SDs, RMS)"}[name]
        )
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(framealpha=0.95, edgecolor="1.0", fontsize=6.5, loc="lower right")
    axes[0].set_title(said(result), fontsize=6.5, loc="left", color="0.3")
    return figure


def _levels(result: xr.Dataset) -> Figure:
    figure, (axes,) = _plots.figure(5.6)
    if "level" in result:  # a group has means alone
        every = result["level"].transpose("epsilon", "neuroid").values
        axes.plot(result["epsilon"].values, every, color="0.85", linewidth=0.8)
    _line(axes, result, "level_mean", "mean over sites", 0)
    level(axes, 0.0, "least preferred\ncategory")
    level(axes, 1.0, "most preferred\ncategory")
    finish(axes, result, "response between category means", legend=False)
    return figure
