"""Controls over subjects: the same verdicts, with subjects as what varies."""

from __future__ import annotations

from itertools import product

import numpy as np
import xarray as xr
from scipy.stats import t as student

from analyses import _channels, _effects, _exposure, _image, _shrunk
from analyses.statistics import across

OWN = ("permutations", "relabellings", "smallest_p", "test", "regressors")  # of each subject's record
EVERY = 12  # subjects up to which all sign flips are made


def image(recording: xr.Dataset, alpha: float, bootstraps: int, seed: int) -> xr.Dataset:
    """What `controls.image_group` documents."""
    _effects.check(10**6, bootstraps, alpha)
    inside = _window(recording)
    raw, left = _means(recording, "auc", inside), _means(recording, "residual", inside)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(raw.size, size=(bootstraps, raw.size))
    lost = _effects.loss(raw[drawn].mean(axis=1), left[drawn].mean(axis=1))
    low, high = _effects.interval(lost)
    p = recording["p"].median("subject")
    above, residual_above = _interval(raw, alpha)[0] > 0.5, _interval(left, alpha)[0] > 0.5
    best = int(p.argmin("family"))
    made = _curves(recording, ["auc", "residual"])
    made = made.assign(
        alone=recording["alone"].mean("subject").assign_attrs(units="1"), p=p.assign_attrs(units="1")
    )
    told = {
        "verdict": _image.verdict(above, float(p[best]) <= alpha, residual_above),
        "loss": float(_effects.loss(raw.mean(), left.mean())), "loss_low": low, "loss_high": high,
        "image_score": float(made["alone"][best]), "image_p": float(p[best]),
        "image_family": str(recording["family"].values[best]),
        **_told("raw", raw, alpha), **_told("residual", left, alpha), "bootstraps": bootstraps,
    }  # fmt: skip
    return made.assign_attrs(told, n=int(raw.size), over="subject", alpha=alpha, test="Student's t")


def channels(recording: xr.Dataset, alpha: float, permutations: int, seed: int) -> xr.Dataset:
    """What `controls.channels_group` documents."""
    _effects.check(permutations, 20, alpha)
    count, names = _subjects(recording), [str(name) for name in recording["family"].values]
    effect = recording["auc"].transpose("subject", "family", "time").values - 0.5
    found, square = _t(effect.sum(axis=0), (effect**2).sum(axis=0), count), (effect**2).sum(axis=0)
    if count <= EVERY:
        signs = np.array(list(product((1.0, -1.0), repeat=count)))[1:]
    else:
        signs = np.random.default_rng(seed).choice((1.0, -1.0), size=(permutations, count))
    smallest = max(len(names), 1) / (len(signs) + 1)
    told: dict[str, float | int | str] = {
        "test": "sign flip",
        "permutations": len(signs),
        "smallest_p": smallest,
    }
    if smallest <= alpha:
        flips = [_t(signs @ effect[:, family], square[family], count) for family in range(len(names))]
        largest = [np.broadcast_to(flip.max(axis=1), (effect.shape[2], len(signs))) for flip in flips]
        p = np.array([_shrunk.p_values(row, null) for row, null in zip(found, largest, strict=True)])
        p = np.minimum(p.reshape(found.shape) * len(names), 1.0)
    else:
        p = np.minimum(student.sf(found, count - 1) * found.size, 1.0)
        told = {"test": "Student's t", "correction": "Bonferroni"}
    made = _channels.record(effect.mean(axis=0) + 0.5, p, names, recording["time"].values, alpha)
    inherited = {key: value for key, value in recording.attrs.items() if key not in OWN}
    return made.assign_attrs({**inherited, **made.attrs, **told, "n": count, "over": "subject"})


def exposure(recording: xr.Dataset, alpha: float) -> xr.Dataset:
    """What `controls.exposure_group` documents."""
    inside = _window(recording)
    _subjects(recording)
    names = ["auc", "matched", "unmatched"]
    means = {name: _means(recording, name, inside) for name in names}
    some = np.isfinite(means["matched"])
    above = {name: _interval(mean[some], alpha)[0] > 0.5 for name, mean in means.items()}
    verdict = "undecided" if some.any() else "equal"
    if some.sum() > 1:
        scores = [float(means[name][some].mean()) for name in ("matched", "unmatched")]
        verdict = _exposure.verdict(above["auc"], above["matched"], *scores)
    told: dict[str, float] = {}
    for name, mean in means.items():
        told |= _told(name, mean[np.isfinite(mean)], alpha)
    made = _curves(recording, names)
    return made.assign_attrs(
        told, verdict=verdict, n=int(some.size), matched_subjects=int(some.sum()), over="subject", alpha=alpha
    )


def _subjects(recording: xr.Dataset) -> int:
    if recording.sizes.get("subject", 0) < 2:
        raise ValueError(f"dimension 'subject': {recording.sizes.get('subject', 0)}; gather 2 or more")
    return int(recording.sizes["subject"])


def _window(recording: xr.Dataset) -> np.ndarray:
    _subjects(recording)
    ends = [recording.attrs.get(f"window_{end}_s") for end in ("start", "end")]
    return _effects.moments(recording, ends)


def _means(recording: xr.Dataset, name: str, inside: np.ndarray) -> np.ndarray:
    return np.asarray(recording[name].isel(time=inside).mean("time", skipna=False).values)


def _interval(means: np.ndarray, alpha: float) -> tuple[float, float]:
    """Student's interval of the mean; NaN below two subjects."""
    if means.size < 2:
        return float("nan"), float("nan")
    wide = float(student.ppf(1 - alpha / 2, means.size - 1)) * means.std(ddof=1) / np.sqrt(means.size)
    return float(means.mean() - wide), float(means.mean() + wide)


def _told(name: str, means: np.ndarray, alpha: float) -> dict[str, float]:
    low, high = _interval(means, alpha)
    score = float(means.mean()) if means.size else float("nan")
    return {f"{name}_score": score, f"{name}_low": low, f"{name}_high": high}


def _curves(recording: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Means over subjects with their intervals, NaN where fewer than two have the curve."""
    inherited = {key: value for key, value in recording.attrs.items() if key not in OWN}
    recording = recording.copy()
    recording.attrs = inherited
    made = across(recording[["auc"]])
    for name in names[1:]:
        some = recording[[name]].dropna("subject", how="any")
        if some.sizes["subject"] > 1:
            made = made.assign(across(some).data_vars)
        else:
            nothing = xr.full_like(made["auc"], np.nan)
            made = made.assign({f"{name}{end}": nothing for end in ("", "_low", "_high")})
    return made


def _t(total: np.ndarray, square: np.ndarray, count: int) -> np.ndarray:
    """Student's t from Σx and Σx² over subjects, which no flip changes."""
    spread = np.maximum(square - total**2 / count, 1e-300) / (count - 1) * count
    return np.asarray(total / np.sqrt(spread))
