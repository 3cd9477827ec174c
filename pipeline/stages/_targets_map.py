"""The linear map that a target is seen through: scaled neuroids, or their principal components."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

FLAT = 1e-12  # of the mean square: a neuroid that does not vary
SCALES = (False, True, "sd", "mean", "standard")
SPREAD, LEVEL = 0.5, 1.0  # SD and mean of "standard": within what ELU + 1 can answer


class Map(NamedTuple):
    """(response - centre) / scale + offset, then @ loading where there is one."""

    centre: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    loading: np.ndarray | None

    def seen(self, values: np.ndarray) -> np.ndarray:
        """values (..., neuroid) through the map."""
        made = (values - self.centre) / self.scale + self.offset
        return np.asarray(made if self.loading is None else made @ self.loading)


def fitted(values: np.ndarray, components: int, scaled: bool | str, ids: np.ndarray) -> Map:
    """The map of these mean responses (picture, neuroid), and of no others."""
    if scaled not in SCALES:
        raise ValueError(f"scaled: {scaled!r}; wanted false, sd, mean or standard")
    if components and not np.isfinite(values).all():
        name = ids[np.argwhere(~np.isfinite(values))[0, 1]]
        raise ValueError(f"recording: neuroid {name!s} lacks responses; components need neuroids with all")
    if not 0 <= components <= min(values.shape[1], len(values) - 1):
        most = min(values.shape[1], len(values) - 1)
        raise ValueError(f"components: {components} of {most} that these pictures can tell; give fewer")
    mean, spread = np.nanmean(values, 0), np.nanstd(values, 0)
    dead = spread**2 <= FLAT * np.nanmean(values**2, 0)
    dead |= (mean <= 0) & (scaled == "mean")
    if scaled and dead.any():
        name = ids[np.flatnonzero(dead)[0]]
        raise ValueError(f"recording: neuroid {name!s} never varies, or not above 0; leave it out")
    none = np.zeros_like(mean)
    scale = mean if scaled == "mean" else spread if scaled else none + 1
    if components:
        *_, rows = np.linalg.svd((values - mean) / scale, full_matrices=False)
        loading = rows[:components].T
        largest = loading[np.abs(loading).argmax(0), np.arange(components)]
        return Map(mean, scale, none, loading * np.where(largest < 0, -1, 1))
    if scaled == "standard":
        return Map(mean, spread / SPREAD, none + LEVEL, None)
    return Map(none, scale, none, None)


def kept(like: xr.Dataset, ids: np.ndarray) -> Map:
    """The map of a target that was made before, for the same neuroids in the same order."""
    if "scale" not in like or "feature_id" not in like.coords:
        raise ValueError("like: is no target; give what targets.responses or targets.predicted returned")
    told = like["feature_id"].values.astype(str)
    if not np.array_equal(told, ids):
        why = f"{told.size} neuroids that begin with {', '.join(told[:3])}; these begin with"
        raise ValueError(f"like: is of {why} {', '.join(ids[:3])}; give a target of the same")
    loading = like["loading"].values if "loading" in like else None
    return Map(like["centre"].values, like["scale"].values, like["offset"].values, loading)


def variables(made: Map, ids: np.ndarray, units: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The map as variables and coordinates of a target."""
    held: dict[str, Any] = {
        "centre": ("feature", made.centre, {"units": units}),
        "scale": ("feature", made.scale, {"units": units}),
        "offset": ("feature", made.offset, {"units": "1"}),
    }
    if made.loading is not None:
        held["loading"] = (("feature", "neuroid"), made.loading, {"units": "1"})
    return held, {"feature_id": ("feature", ids)}
