"""Sentences about what a target of training did: no gain is claimed that a control shows as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as student

NONE = "none"  # the arm without a target
ENOUGH = 5  # seeds


def numbers(part: xr.Dataset, at: Mapping[str, Any], relative: bool = False) -> xr.DataArray:
    """The one variable of a contrast (arm, seed): chosen by label, shares of the arm none, averaged."""
    names = [str(name).removesuffix("_mean") for name in part if str(name).endswith("_mean")]
    if len(names) != 1:
        raise ValueError(f"measures: one holds {', '.join(names) or 'none'}; contrast one variable each")
    found = part[names[0]]
    for dim, label in at.items():
        if dim in found.dims:
            if label not in found[dim].values.tolist():
                raise ValueError(f"at: {names[0]} has no {dim} {label!r}; choose another")
            found = found.sel({dim: label}, drop=True)
    if relative:
        base = found.sel(arm=NONE)
        found = found / base.where(base > 0)
    rest = [dim for dim in found.dims if dim not in ("arm", "seed")]
    return found.mean(rest).transpose("arm", "seed").astype(float)


def sentences(
    target: str, control: str, data: str, measures: Mapping[str, xr.Dataset], at: Mapping[str, Any],
    relative: bool, flags: xr.Dataset | None,
) -> dict[str, tuple[str, str, bool]]:  # fmt: skip
    """claim → sentence, reasons, and whether it is made without reserve."""
    if not measures:
        raise ValueError("measures: none given; give what arms.contrast returned")
    raised = _raised(flags)
    made = {}
    for name, part in measures.items():
        table = numbers(part, at, relative)
        lost = [arm for arm in (target, control) if arm not in table["arm"].values]
        if lost:
            known = ", ".join(table["arm"].values.astype(str))
            raise ValueError(f"measures: {name!r} has no arm {lost[0]!r}; it has {known}")
        made[name] = _measure(name.replace("_", " "), table, target, control, data, raised)
    note = "Targets and evaluation share no picture, by the hash of their pixels"
    made["circularity"] = (f"{note}.", "the evaluation was refused otherwise", True)
    return made


def _measure(
    name: str, table: xr.DataArray, target: str, control: str, data: str, raised: str
) -> tuple[str, str, bool]:
    count = table.sizes["seed"]
    gain, over = (_difference(table, target, other) for other in (NONE, control))
    means = {arm: float(table.sel(arm=arm).mean()) for arm in (target, NONE, control)}
    facts = (
        f"{name} {means[target]:.3f} with the {target} target ({data}), {means[NONE]:.3f} without, "
        f"{means[control]:.3f} with the {control} target; differences {_text(gain)} and {_text(over)}, "
        f"paired over n = {count} seeds, 95 % interval"
    )
    why = []
    for found, other in ((gain, "no target"), (over, control)):
        if not found[1] > 0:
            why.append(f"the interval of the difference from {other} begins at {found[1]:+.3f}")
    if count < ENOUGH:
        why.append(f"{count} seeds are fewer than {ENOUGH}")
    if raised and "robust" in name:
        why.append(raised)
    lead = "No gain is established" if why else "A gain that the control does not show"
    return f"{lead}: {facts}.", "; ".join(why) or "the target beats no target and its control", not why


def _raised(flags: xr.Dataset | None) -> str:
    """Which flags audits raised, and in how many of them."""
    if flags is None:
        return ""
    table = flags["raised"]
    rest = [dim for dim in table.dims if dim != "flag"]
    counts, total = table.sum(rest), int(np.prod([table.sizes[dim] for dim in rest]))
    told = [f"{flag} in {int(n)}" for flag, n in zip(table["flag"].values, counts.values, strict=True) if n]
    return f"of {total} audits some raised a flag: {', '.join(told)}" if told else ""


def _difference(table: xr.DataArray, arm: str, other: str) -> tuple[float, float, float]:
    """Mean over seeds of the difference of two arms, and Student's interval."""
    apart = table.sel(arm=arm).values - table.sel(arm=other).values
    mean = float(apart.mean())
    if apart.size < 2:
        return mean, -np.inf, np.inf
    half = float(student.ppf(0.975, apart.size - 1) * apart.std(ddof=1) / np.sqrt(apart.size))
    return mean, mean - half, mean + half


def _text(found: tuple[float, float, float]) -> str:
    return f"{found[0]:+.3f} [{found[1]:+.3f}, {found[2]:+.3f}]"
