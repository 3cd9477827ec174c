"""Where a picture stands out from its surround, and whether what a model is sensitive to lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from analyses import _plots
from analyses._labelled import values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
CENTRES, SURROUND = (0.02, 0.04, 0.08), 3.0  # SD of centres, in sides; of a surround, in SDs of its centre
IMAGE = ("stimulus", "channel", "y", "x")
AT_ONCE = 64  # pictures


def centre_surround(stimuli: xr.Dataset) -> xr.Dataset:
    """A bottom-up map of every picture: differences of centre and surround in luminance and colour.

    At three scales the luminance, red - green and blue - yellow of a centre less that of its surround,
    squared; each scale and colour counts the same. Nothing is learned, and no gaze was measured.

    Reads    image (stimulus, channel, y, x) in [0, 1], 1 or 3 channels
    Returns  saliency (stimulus, y, x), unit 1, mean 1 a picture (0 for a uniform one), with the stimuli's
             labels; attrs map "bottom-up centre-surround"
    Source   Itti, Koch and Niebur 1998, doi 10.1109/34.730558 (centre-surround; without orientation)
    >>> grey = xr.Dataset({"image": (IMAGE, np.full((1, 1, 8, 8), 0.5))})
    >>> float(centre_surround(grey).saliency.max())
    0.0
    """
    if "image" not in stimuli or stimuli["image"].dims != IMAGE or stimuli.sizes["channel"] not in (1, 3):
        raise ValueError(f"stimuli: have no image with dimensions {IMAGE} and 1 or 3 channels; give pictures")
    image = stimuli["image"]
    parts = [
        _maps(np.asarray(image[start : start + AT_ONCE].values, float))
        for start in range(0, image.sizes["stimulus"], AT_ONCE)
    ]
    coords = {str(name): item.variable for name, item in stimuli.coords.items() if item.dims == ("stimulus",)}
    held = {"saliency": (("stimulus", "y", "x"), np.concatenate(parts), {"units": "1"})}
    told = {"map": "bottom-up centre-surround", "centres": str(CENTRES), "surround": SURROUND}
    return xr.Dataset(held, coords, told)


def agreement(
    sensitivity: xr.Dataset,
    saliency: xr.Dataset,
    *,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Rank correlation over pixels of where a model is sensitive and where a picture stands out.

    Beside it stands the same with the maps of the other pictures: what the middle of pictures alone explains.

    Reads    sensitivity (stimulus, y, x); saliency (stimulus, y, x) of the same pictures in the same order
    Returns  r, r_other (stimulus), Spearman's, unit 1, NaN where a map is uniform; agreement (method), mean r
             and mean r less r_other; attrs mean, other and
             beyond, their difference, each with low and high from pictures drawn again; map
    Source   Spearman 1904, doi 10.2307/1412159; Bylinskii et al. 2019, doi 10.1109/TPAMI.2018.2815601
    """
    pair = [part[name].transpose("stimulus", "y", "x") for part, name in
            ((sensitivity, "sensitivity"), (saliency, "saliency"))]  # fmt: skip
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"saliency: is {pair[1].shape} where sensitivity is {pair[0].shape}; use the same")
    if len(pair[0]) < 2 or bootstraps < 100:
        raise ValueError(
            f"stimulus: {len(pair[0])} pictures, {bootstraps} bootstraps; give 2 and 100 or more"
        )
    first, second = (values(part, "stimulus_id").astype(str) for part in (sensitivity, saliency))
    if not np.array_equal(first, second):
        raise ValueError("stimulus_id: differs between the two maps; make them of the same pictures")
    table = _ranked(np.asarray(pair[0].values, float)) @ _ranked(np.asarray(pair[1].values, float)).T
    own = np.diag(table)
    other = np.where(np.eye(len(table), dtype=bool), np.nan, table)
    there = np.isfinite(own)
    if not there.any():
        raise ValueError("saliency: every map is uniform on one side; give pictures that vary")
    mean = np.full(len(own), np.nan)
    mean[there] = np.nanmean(other[there], 1)
    held = {name: ("stimulus", part, {"units": "1"}) for name, part in (("r", own), ("r_other", mean))}
    told = {"map": saliency.attrs.get("map", ""), "measure": "Spearman over pixels", "chance": 0.0}
    told |= {key: sensitivity.attrs[key] for key in ("layer", "origin") if key in sensitivity.attrs}
    told |= {"n": int(there.sum()), "over": "stimulus", "confidence": confidence, "bootstraps": bootstraps}
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    drawn = rng.integers(0, there.sum(), (bootstraps, there.sum()))
    for name, part in (("mean", own), ("other", mean), ("beyond", own - mean)):
        ends = np.quantile(part[there][drawn].mean(1), [(1 - confidence) / 2, (1 + confidence) / 2])
        told |= {
            name: float(part[there].mean()),
            f"{name}_low": float(ends[0]),
            f"{name}_high": float(ends[1]),
        }
    held["agreement"] = ("method", np.array([told["mean"], told["beyond"]]), {"units": "1"})
    coords = {"stimulus_id": ("stimulus", first), "method": ["own map", "beyond other maps"]}
    return xr.Dataset(held, coords, told)


def plot(result: xr.Dataset) -> Figure:
    """Maps of the first pictures, or correlations with the own map against those with other pictures' maps.

    Reads    what `centre_surround` or `agreement` returned
    Returns  a matplotlib Figure
    """
    if "saliency" in result:
        count = min(6, result.sizes["stimulus"])
        figure, axes = _plots.figure(1.3 * count, 1.6, count)
        for place, shown in zip(axes, result["saliency"].values, strict=False):
            place.imshow(shown, cmap="Greys_r", interpolation="nearest")
            place.set_axis_off()
        figure.suptitle(f"{result.attrs['map']} map, white: stands out", fontsize=7)
        return figure
    figure, (only,) = _plots.figure(4.0, 3.6)
    only.plot(result["r_other"], result["r"], ".", color="0.3", markersize=4)
    ends = [min(only.get_xlim()[0], only.get_ylim()[0]), max(only.get_xlim()[1], only.get_ylim()[1])]
    only.plot(
        ends, ends, color="0.4", linewidth=1, linestyle=(0, (4, 3)), label="no more than other pictures"
    )
    only.set(xlabel="rank correlation with other pictures' maps", ylabel="with the picture's own map")
    told = {str(key): value for key, value in result.attrs.items()}
    mean = "mean {mean:.2f} [{mean_low:.2f}, {mean_high:.2f}], n = {n} pictures".format(**told)
    only.set_title(mean, fontsize=8, loc="left")
    only.legend(frameon=False, fontsize=7)
    only.spines[["top", "right"]].set_visible(False)
    return figure


def _maps(image: np.ndarray) -> np.ndarray:
    """Saliency (picture, y, x) of image (picture, channel, y, x)."""
    total = np.zeros((len(image), *image.shape[2:]))
    for plane in _planes(image):
        for centre in CENTRES:
            near, far = (_smooth(plane, centre * factor) for factor in (1.0, SURROUND))
            contrast = (near - far) ** 2
            mean = contrast.mean((1, 2), keepdims=True)
            flat = mean <= 1e-12
            total += np.where(flat, 0, contrast / np.where(flat, 1, mean))
    mean = total.mean((1, 2), keepdims=True)
    return np.asarray(total / np.where(mean > 0, mean, 1))


def _planes(image: np.ndarray) -> list[np.ndarray]:
    if image.shape[1] == 1:
        return [image[:, 0]]
    red, green, blue = image.transpose(1, 0, 2, 3)
    return [np.tensordot(LUMA, image, (0, 1)), red - green, blue - (red + green) / 2]


def _smooth(plane: np.ndarray, spread: float) -> np.ndarray:
    high, wide = plane.shape[1:]
    return np.asarray(gaussian_filter(plane, (0, spread * high, spread * wide), mode="nearest"))


def _ranked(maps: np.ndarray) -> np.ndarray:
    """Ranks of pixels, centred and of length 1, so that products are Spearman's correlations."""
    ranks = rankdata(maps.reshape(len(maps), -1), axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.asarray(np.where(length > 0, ranks / np.where(length > 0, length, 1), np.nan))
