"""Attacks on a judge, accounted for together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from analyses import robustness

from . import attack
from ._evaluate_net import Judge

LABEL = "evaluated"


def under(
    stimuli: xr.Dataset, judge: Judge, truth: np.ndarray, attacks: Mapping[str, Any],
    epsilons: Sequence[float], norm: str | None, confidence: float, seed: int,
) -> tuple[xr.Dataset, dict[str, Any]]:  # fmt: skip
    """attacked (attack, epsilon) and union (epsilon), with intervals; and what all attacks share."""
    given = stimuli.assign_coords({LABEL: ("stimulus", truth)})
    records = {}
    for name, told in attacks.items():
        if not isinstance(told, Mapping) or set(told) != {"objective", "search"}:
            raise ValueError(f"attacks: {name!r} is {told!r}; wanted {{objective: ..., search: ...}}")
        records[str(name)] = attack.run(
            given, judge.module, **told, epsilons=epsilons, label=LABEL, norm=norm, keep=False,
            batch=judge.batch, seed=seed, **judge.filter,
        )  # fmt: skip
    table = robustness.accounting(robustness.joined(records), confidence=confidence)
    kept = [f"{name}{end}" for name in ("accuracy", "union") for end in ("", "_low", "_high")]
    names = {name: name.replace("accuracy", "attacked") for name in kept}
    shared = ("norm", "target", "range")
    held = {key: table.attrs[key] for key in shared if key in table.attrs}
    return table[kept].rename({a: b for a, b in names.items() if a != b}), held | {"n_attacked": len(truth)}
