"""How often a trained network named which class."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from analyses._shares import clopper
from loaders.schema import check

from ._train_data import Set


def counted(truth: np.ndarray, said: np.ndarray, known: list[Any], given: Set, attrs: dict) -> xr.Dataset:
    names, one = [str(value) for value in known], {"units": "1"}
    table = np.zeros((len(known), len(known)), np.int64)
    np.add.at(table, (truth, said), 1)
    shown, hits = table.sum(1), np.diag(table)
    confidence = attrs["confidence"]
    low, high = clopper(hits.sum(), int(shown.sum()), confidence)
    made: dict[str, Any] = {
        "accuracy": ("method", [hits.sum() / shown.sum()], one), "low": ("method", [float(low)], one),
        "high": ("method", [float(high)], one),
        "confusion": (("condition", "other_condition"), table, one),
    }  # fmt: skip
    there = shown > 0
    found = {"recall": hits / np.maximum(shown, 1)}
    found["recall_low"], found["recall_high"] = clopper(hits, np.maximum(shown, 1), confidence)
    made |= {name: ("condition", np.where(there, values, np.nan), one) for name, values in found.items()}
    made["correct"] = ("stimulus", truth == said, one)
    coords = {
        "method": ["clean"], "condition": names, "other_condition": names,
        "stimulus_id": ("stimulus", given.names), "content": ("stimulus", given.content),
    }  # fmt: skip
    chance = float(shown.max() / shown.sum())
    return check(xr.Dataset(made, coords, {**attrs, "chance": chance, "stimuli": int(shown.sum())}))
