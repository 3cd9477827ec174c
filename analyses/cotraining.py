"""What a target of training was worth, once its control has been heard, and what robustness goes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _cotraining_words, _plots
from analyses._cotraining_words import NONE, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*"


def weigh(
    *,
    target: str,
    control: str,
    data: str,
    at: Mapping[str, Any] | None = None,
    relative: bool = False,
    flags: xr.Dataset | None = None,
    **measures: xr.Dataset,
) -> xr.Dataset:
    """What may be said of a target's effect: a gain must beat the network without, and that of the control.

    Reads    target and control, names of arms; data, what the target was made of, as "responses of simulated
             sites"; measures, by name: what `arms.contrast` returned of one variable each, whose arm "none"
             had no target; at, {dimension: label} to choose where a measure has it, the rest is averaged;
             relative, as shares of the arm "none"; flags, a contrast of `raised` of audits
    Returns  sentence, because (claim), text; allowed (claim), 0 or 1: one claim a measure, and circularity
    Source   Safarani et al. 2021, arXiv 2107.14344 (the shuffled control)
    """
    rows = _cotraining_words.sentences(target, control, data, measures, at or {}, relative, flags)
    made: dict[str, Any] = {
        name: ("claim", np.array([row[k] for row in rows.values()], str), {"units": "1"})
        for k, name in enumerate(("sentence", "because"))
    }
    made["allowed"] = ("claim", np.array([int(row[2]) for row in rows.values()]), {"units": "1"})
    return xr.Dataset(made, {"claim": list(rows)}, {"target": target, "control": control, "data": data})


def regress(
    outcome: xr.Dataset,
    *,
    relative: bool = False,
    confidence: float = 0.95,
    **predictors: xr.Dataset,
) -> xr.Dataset:
    """Ordinary least squares of one number of networks on others, over arms and seeds.

    Seeds of one arm are not independent of each other, so that intervals are on the narrow side.

    Reads    outcome and predictors, by name: what `arms.contrast` returned of one variable each, for the same
             seeds; relative, the outcome as shares of the arm "none"; arms that all have but "none" are used
    Returns  slope (feature), with slope_low and slope_high (Student's); outcome, predicted (arm, seed); attrs
             intercept, r_squared, n
    Source   Safarani et al. 2021, arXiv 2107.14344 (robustness on clean accuracy and neural prediction)
    """
    parts = {"": outcome, **predictors}
    if not predictors:
        raise ValueError("predictors: none were given; name one at least")
    names = [
        str(arm)
        for arm in outcome["arm"].values
        if arm != NONE and all(arm in part["arm"].values for part in parts.values())
    ]
    table = {name: numbers(part, {}, relative and not name).sel(arm=names) for name, part in parts.items()}
    y = table.pop("").values
    if any(block.shape != y.shape for block in table.values()):
        raise ValueError("predictors: have other seeds than the outcome; gather the same")
    x = np.column_stack([np.ones(y.size), *[block.values.ravel() for block in table.values()]])
    free = len(x) - x.shape[1]
    if free < 1 or not np.isfinite(x).all() or np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(f"predictors: {len(x)} networks do not tell {x.shape[1]} numbers; give more")
    weights = np.linalg.lstsq(x, y.ravel(), rcond=None)[0]
    left = y.ravel() - x @ weights
    error = np.sqrt(np.diag(np.linalg.inv(x.T @ x)) * (left @ left) / free)
    half, total = student.ppf((1 + confidence) / 2, free) * error, ((y - y.mean()) ** 2).sum()
    made: dict[str, Any] = {
        name: ("feature", (weights + sign * half)[1:], {"units": "1"})
        for name, sign in (("slope", 0), ("slope_low", -1), ("slope_high", 1))
    }
    made["outcome"] = (("arm", "seed"), y, {"units": "1"})
    made["predicted"] = (("arm", "seed"), (x @ weights).reshape(y.shape), {"units": "1"})
    told = {
        "intercept": float(weights[0]), "r_squared": float(1 - (left @ left) / total) if total else np.nan,
        "n": int(y.size), "over": "arms and seeds", "confidence": confidence, "relative": int(relative),
    }  # fmt: skip
    seeds = outcome["seed"].values
    return xr.Dataset(made, {"feature": [*predictors], "arm": names, "seed": seeds}, told)


def plot(result: xr.Dataset) -> Figure:
    """Outcome against what the regression predicts, a mark an arm; or the sentences.

    Reads    what `regress` or `weigh` returned
    Returns  a matplotlib Figure
    """
    if "sentence" in result:
        return _sentences(result)
    figure, (axes,) = _plots.figure(4.4, 3.8)
    for k, arm in enumerate(result["arm"].values.astype(str)):
        own, grey = result.sel(arm=arm), str(0.65 * k / max(result.sizes["arm"] - 1, 1))
        axes.plot(own["predicted"], own["outcome"], MARKERS[k % 8], color=grey, markersize=4, label=arm)
    ends = [float(result["predicted"].min()), float(result["predicted"].max())]
    axes.plot(ends, ends, color="0.4", linewidth=1, linestyle=(0, (4, 3)))
    names = " and ".join(str(name).replace("_", " ") for name in result["feature"].values)
    share = " (share of none)" if result.attrs["relative"] else ""
    axes.set(xlabel=f"predicted from {names}", ylabel=f"robustness{share}")
    told = []
    for name in result["feature"].values:
        low, high = (float(result[f"slope_{end}"].sel(feature=name)) for end in ("low", "high"))
        words = str(name).replace("_", " ")
        told.append(f"{words} {float(result['slope'].sel(feature=name)):+.2f} [{low:+.2f}, {high:+.2f}]")
    fit = f"R² {result.attrs['r_squared']:.2f}, n = {result.attrs['n']}"
    axes.set_title(f"{'; '.join(told)}\n{fit}", fontsize=7)
    axes.legend(frameon=False, fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _sentences(result: xr.Dataset) -> Figure:
    from textwrap import fill

    figure, (axes,) = _plots.figure(6.4, 0.8 + 0.9 * result.sizes["claim"])
    pairs = zip(result["sentence"].values, result["allowed"].values, strict=True)
    text = [f"{'said' if allowed else 'withheld'}: {sentence}" for sentence, allowed in pairs]
    axes.text(0, 1, "\n\n".join(fill(line, 100) for line in text), va="top", fontsize=7)
    axes.set_axis_off()
    return figure
