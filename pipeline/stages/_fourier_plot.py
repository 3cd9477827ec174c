"""Errors under plane waves: the plane of frequencies, and the course from low to high."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from analyses import _plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn(result: xr.Dataset) -> Figure:
    """What `fourier.plot` documents."""
    figure, (plane, course) = _plots.figure(8.4, 3.4, 2)
    up, across = (result[name].values for name in ("frequency_y", "frequency_x"))
    ends = (across[0] - 0.5, across[-1] + 0.5, up[-1] + 0.5, up[0] - 0.5)
    shown = plane.imshow(result["error"].values, cmap="Greys", vmin=0, vmax=1, extent=ends)
    figure.colorbar(shown, ax=plane, label="share of wrong answers")
    plane.set(xlabel="frequency across (cycles a picture)", ylabel="frequency down (cycles a picture)")
    course.semilogx(result["frequency"], result["error_octave"], "o-", color="black", markersize=3, base=2)
    course.set_xticks(
        result["frequency"].values, [f"{low:g} to {2 * low:g}" for low in result["frequency"].values]
    )
    clean, chance = result.attrs["error_clean"], 1 - result.attrs["chance"]
    for level, style, name in ((clean, "--", "without a wave"), (chance, ":", "chance")):
        course.axhline(level, color="0.4", linestyle=style, linewidth=1, label=name)
    course.set(ylim=(0, 1), xlabel="frequency (cycles a picture)", ylabel="wrong answers, mean of octave")
    course.legend(fontsize=7, loc="lower right")
    figure.suptitle(
        f"waves of length {result.attrs['epsilon']:g} (L2 in each channel), {result.attrs['n']} pictures",
        fontsize=8,
    )
    return figure
