"""What a picture is before anyone knows what it shows: light, contrast, colour, frequencies, edges, pixels.

A picture's features stand in the shape of a recording, one presentation a stimulus and one moment, so that
whatever decodes sensors decodes features. Each column is a function of its own picture alone; what would
need many pictures (principal components) is left to the folds of the analysis that uses them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from analyses._labelled import values

LUMA = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
COARSE, FINE, GRID = 12, 64, 4  # pixels a side of `pixels` and of what Gabor filters see; cells a side
ORIENTATIONS, SCALES = 6, (2.0, 4.0, 8.0, 16.0)  # cycles a picture
BINS = 8
AT_ONCE = 64  # pictures


def low_level(stimuli: xr.Dataset, *, families: Sequence[str] = ()) -> xr.Dataset:
    """Low-level features of every picture, by family.

    luminance: mean. contrast: SD of luminance, and SD / mean. colour: histograms of R, G, B and of CIELAB
    a*, b*, with the means and SDs of a*, b*; void for grey pictures. spatial_frequency: log power in octaves
    of cycles a picture. gabor: log energy at 6 orientations and 2, 4, 8, 16 cycles a picture, in 4 x 4 cells.
    pixels: luminance of 12 x 12 cells.

    Reads    image (stimulus, channel, y, x) in [0, 1], 1 or 3 channels, with stimulus_id; families, by
             default all
    Returns  response (presentation, neuroid, time): a presentation a stimulus, with its coordinates, at one
             moment; family (neuroid); attrs families, and left_out, which names what is void. ValueError for
             NaN, values beyond [0, 1], or a family that is unknown
    Source   Field 1987, doi 10.1364/JOSAA.4.002379 (log-Gabor filters); Kay et al. 2008,
             doi 10.1038/nature06713; CIE 15:2004 (CIELAB of sRGB, D65)
    >>> grey = xr.Dataset({"image": (("stimulus", "channel", "y", "x"), np.full((2, 1, 8, 8), 0.5))})
    >>> grey = grey.assign_coords(stimulus_id=("stimulus", ["a", "b"]))
    >>> low_level(grey, families=["luminance", "contrast"]).response.values.tolist()
    [[[0.5], [0.0], [0.0]], [[0.5], [0.0], [0.0]]]
    """
    chosen, left = _families(stimuli, families)
    image = stimuli["image"].transpose("stimulus", "channel", "y", "x")
    parts = [
        _features(np.asarray(image[start : start + AT_ONCE].values, dtype=float), chosen, start)
        for start in range(0, image.sizes["stimulus"], AT_ONCE)
    ]
    columns = {family: np.concatenate([part[family] for part in parts]) for family in chosen}
    count = [columns[family].shape[1] for family in chosen]
    family = np.repeat(chosen, count)
    number = np.concatenate([np.arange(many) + 1 for many in count])
    told = {
        name: ("presentation", coord.values)
        for name, coord in stimuli.coords.items()
        if coord.dims == ("stimulus",) and name != "stimulus"
    }
    response = np.concatenate(list(columns.values()), axis=1)[..., None]
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), response, {"units": "1"})},
        coords={
            **told,
            "neuroid_id": ("neuroid", [f"{name} {k}" for name, k in zip(family, number, strict=True)]),
            "family": ("neuroid", family),
            "time": ("time", [0.0], {"units": "s"}),
        },
        attrs={
            "families": ", ".join(chosen),
            "left_out": "; ".join(left),
            **{key: stimuli.attrs[key] for key in ("origin",) if key in stimuli.attrs},
        },
    )


def shown(features: xr.Dataset, recording: xr.Dataset) -> xr.Dataset:
    """The features of what each presentation of a recording showed, joined by stimulus_id.

    Reads    features as `low_level` returns them; stimulus_id (presentation) of the recording
    Returns  response (presentation, neuroid, time) with the recording's presentations; ValueError names a
             stimulus that has no features, or that has them twice
    """
    known, wanted = values(features, "stimulus_id").astype(str), values(recording, "stimulus_id").astype(str)
    found, first, counts = np.unique(known, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"stimulus_id {str(found[counts > 1][0])!r}: stands twice among the stimuli; keep one"
        )
    missing = np.array(sorted(set(wanted) - set(known)), dtype=str)
    if missing.size:
        raise ValueError(
            f"stimulus_id {str(missing[0])!r}: was shown and is not among the stimuli ({missing.size} "
            f"such of {np.unique(wanted).size}; these begin with {', '.join(found[:3])}); add the pictures"
        )
    rows = first[np.searchsorted(found, wanted)]
    bare = features.drop_vars(
        [name for name, coord in features.coords.items() if coord.dims == ("presentation",)]
    )
    coords = {name: coord for name, coord in recording.coords.items() if coord.dims == ("presentation",)}
    return bare.isel(presentation=rows).assign_coords(coords)


def _families(stimuli: xr.Dataset, families: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those to make, and what is void."""
    chosen = list(dict.fromkeys(families)) or list(MAKERS)
    for family in chosen:
        if family not in MAKERS:
            raise ValueError(f"families: {family!r}; known are {', '.join(MAKERS)}")
    if "image" not in stimuli:
        raise ValueError(f"stimuli: have no variable 'image' but {', '.join(map(str, stimuli))}; give images")
    if stimuli.sizes["channel"] not in (1, 3):
        raise ValueError(f"image: has {stimuli.sizes['channel']} channels; wanted are 1 or 3")
    image = stimuli["image"]
    grey = stimuli.sizes["channel"] == 1 or bool((image == image.isel(channel=0)).all())
    if "colour" in chosen and grey:
        chosen.remove("colour")
        if not chosen:
            raise ValueError("families: only 'colour', and the pictures are grey; name another")
        return chosen, ["colour: the pictures are grey"]
    return chosen, []


def _features(image: np.ndarray, families: Sequence[str], start: int) -> dict[str, np.ndarray]:
    """image (n, channel, y, x) to (n, column) of each family."""
    wrong = ~((image >= 0) & (image <= 1)).all(axis=(1, 2, 3))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"image: stimulus {start + row} spans {image[row].min():.4g} to {image[row].max():.4g}; "
            "pictures lie in [0, 1] and have no NaN, say their range when you load them"
        )
    grey = np.einsum("ncyx,c->nyx", image, LUMA) if image.shape[1] == 3 else image[:, 0]
    return {family: MAKERS[family](image if family == "colour" else grey) for family in families}


def _luminance(grey: np.ndarray) -> np.ndarray:
    return np.asarray(grey.mean(axis=(1, 2))[:, None])


def _contrast(grey: np.ndarray) -> np.ndarray:
    mean, spread = grey.mean(axis=(1, 2)), grey.std(axis=(1, 2))
    return np.stack([spread, np.divide(spread, mean, out=np.zeros_like(mean), where=mean > 0)], axis=1)


def _colour(image: np.ndarray) -> np.ndarray:
    pixels = image.reshape(*image.shape[:2], -1)
    lab = _lab(pixels)[:, 1:]
    made = [_histogram(pixels[:, plane], 0.0, 1.0) for plane in range(3)]
    made += [_histogram(lab[:, plane], -40.0, 40.0) for plane in range(2)]
    return np.concatenate([*made, lab.mean(axis=2), lab.std(axis=2)], axis=1)


def _histogram(rows: np.ndarray, low: float, high: float) -> np.ndarray:
    """Share of the values (n, k) in each of `BINS` bins; what lies beyond counts in the outer ones."""
    place = np.clip(((rows - low) / (high - low) * BINS).astype(int), 0, BINS - 1)
    flat = place + BINS * np.arange(len(rows))[:, None]
    return np.bincount(flat.ravel(), minlength=BINS * len(rows)).reshape(len(rows), BINS) / rows.shape[1]


def _lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (n, 3, pixel) in [0, 1] to CIELAB of white D65: L*, a*, b*.

    X, Y, Z = M · linear RGB; f(t) = t^⅓ above (6/29)³, else t / (3 (6/29)²) + 4/29;
    L* = 116 f(Y) - 16, a* = 500 (f(X) - f(Y)), b* = 200 (f(Y) - f(Z)), each relative to white.
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = np.einsum("ij,njp->nip", matrix / matrix.sum(axis=1, keepdims=True), linear)
    least = 6 / 29
    f = np.where(xyz > least**3, np.cbrt(xyz), xyz / (3 * least**2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _spatial_frequency(grey: np.ndarray) -> np.ndarray:
    """log10 of the mean power in octaves from 1 cycle a picture up to the Nyquist frequency."""
    n, height, width = grey.shape
    power = np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True)) / (height * width)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width) * width)
    octaves = max(int(np.log2(min(height, width) / 2)), 1)
    inside = [(radius >= 2.0**k) & (radius < 2.0 ** (k + 1)) for k in range(octaves)]
    inside[-1] = (radius >= 2.0 ** (octaves - 1)) & (radius <= min(height, width) / 2)
    found = [power[:, ring].mean(axis=1) for ring in inside]
    return np.log10(np.array(found).T.reshape(n, -1) + 1e-12)


def _gabor(grey: np.ndarray) -> np.ndarray:
    """log10 of the mean magnitude of log-Gabor filters in the cells of a grid.

    exp(-ln²(f / f₀) / 2 ln² 0.65) · exp(-θ² / 2 σ²), σ half the step between orientations.
    """
    small = _area(grey, FINE)
    n, height, width = small.shape
    across, down = np.fft.fftfreq(width) * width, np.fft.fftfreq(height)[:, None] * height
    radius, angle = np.hypot(across, down), np.arctan2(down, across + 0 * down)
    radius[0, 0] = 1.0
    spectrum = np.fft.fft2(small - small.mean(axis=(1, 2), keepdims=True))
    made = []
    for scale in [scale for scale in SCALES if scale <= min(height, width) / 4]:
        radial = np.exp(-0.5 * (np.log(radius / scale) / np.log(0.65)) ** 2)
        for turn in range(ORIENTATIONS):
            off = np.angle(np.exp(1j * (angle - np.pi * turn / ORIENTATIONS)))
            filtered = np.fft.ifft2(spectrum * radial * np.exp(-0.5 * (off * 2 * ORIENTATIONS / np.pi) ** 2))
            made.append(_area(np.abs(filtered), GRID).reshape(n, -1))
    return np.log10(np.concatenate(made, axis=1) + 1e-6) if made else np.zeros((n, 0))


def _pixels(grey: np.ndarray) -> np.ndarray:
    return _area(grey, COARSE).reshape(len(grey), -1)


def _area(grey: np.ndarray, side: int) -> np.ndarray:
    """(n, y, x) averaged into at most `side` x `side` cells of equal area."""
    down, across = (_cells(size, min(side, size)) for size in grey.shape[1:])
    return np.asarray(down @ grey @ across.T)


def _cells(size: int, cells: int) -> np.ndarray:
    """(cell, pixel): the share that each pixel has in each cell."""
    edges, step = np.arange(size), size / cells
    low, high = np.arange(cells)[:, None] * step, np.arange(1, cells + 1)[:, None] * step
    return np.asarray(np.clip(np.minimum(high, edges + 1) - np.maximum(low, edges), 0, None) / step)


MAKERS = {
    "luminance": _luminance, "contrast": _contrast, "colour": _colour,
    "spatial_frequency": _spatial_frequency, "gabor": _gabor, "pixels": _pixels,
}  # fmt: skip
