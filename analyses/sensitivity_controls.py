"""What sensitivities of single units leave open: populations, what is read out, and other rulers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _sensitivity_controls_plots, _shares, _shuffles
from analyses import _sensitivity_units as kernels
from analyses._labelled import values
from analyses._sensitivity_labelled import (
    ATTACK,
    RANDOM,
    kept_coords,
    last,
    measured,
    of_layer,
    put,
    ratio,
    same,
)
from analyses._sensitivity_labelled import told as stated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDS = 5
PLAIN = ("linf", "low-pass", "contrast sensitivity")  # arms that are budgets of other kinds


def population(
    pushed: xr.Dataset,
    recording: xr.Dataset,
    *,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """How far a whole population moves, of the distance of two pictures, and how far beyond its noise.

    D = mean |r(x + d) - r(x)| / mean |r(x) - r(y)| over pairs of pictures, as lengths of response vectors;
    d'^2 = mean of dr' S^-1 dr, where S is the covariance of single presentations around their picture's mean,
    shrunk to a multiple of the identity. Intervals draw pictures again.

    Reads    pushed, clean (stimulus, neuroid), moved (arm, epsilon, stimulus, neuroid), without noise;
             recording, response (presentation, neuroid) to clean pictures, joined by neuroid_id
    Returns  displacement, d_prime_squared (arm, epsilon), with _low and _high; the second NaN where no
             picture was presented twice; resampled (arm, epsilon, bootstrap) of the first
    Source   Averbeck, Latham and Pouget 2006, doi 10.1038/nrn1888; Ledoit and Wolf 2004,
             doi 10.1016/S0047-259X(03)00096-4
    """
    if pushed.attrs.get("noise", "none") != "none":
        raise ValueError("pushed: is noisy, and noise lengthens every vector; give responses without noise")
    placed = kernels.placed(pushed, recording)
    seen = kernels.pictures(placed)
    change = (pushed["moved"] - pushed["clean"]).transpose("arm", "epsilon", "stimulus", "neuroid").values
    length = np.linalg.norm(change, axis=-1)
    gaps = np.linalg.norm(seen.mean[:, None] - seen.mean[None], axis=-1) if len(seen.mean) <= 512 else None
    pair = _pair(seen.mean) if gaps is None else gaps.sum() / (len(gaps) * (len(gaps) - 1))
    inverse = _precision(placed, seen)
    squares = np.full(length.shape, np.nan)
    if inverse is not None:
        squares = np.einsum("aesn,nm,aesm->aes", change, inverse, change)
    draws = kernels.drawn(length.shape[-1], 1, bootstraps, seed)
    made: dict[str, Any] = {}
    for name, part in (("displacement", length / pair), ("d_prime_squared", squares)):
        again = np.einsum("bs,aes->aeb", draws.pictures, part) / length.shape[-1]
        put(made, name, ("arm", "epsilon"), part.mean(axis=-1), again, confidence)
        if name == "displacement":
            made["resampled"] = (("arm", "epsilon", "bootstrap"), again, {"units": "1"})
    told = stated(pushed.attrs) | {
        "neuroids": change.shape[-1], "pictures": change.shape[-2], "n": change.shape[-2], "over": "stimulus",
        "confidence": confidence, "bound": "lower", "interval": "pictures drawn again",
        "whitened": int(inverse is not None),
    }  # fmt: skip
    return xr.Dataset(made, kept_coords(pushed, ("arm", "epsilon")), told)


def decoder(recording: xr.Dataset, *, label: str, alpha: float = 1.0, seed: int = 0) -> xr.Dataset:
    """A linear decoder of classes from responses: ridge regression on class indicators, the largest wins.

    Reads    response (presentation, neuroid); label (presentation); alpha, on responses of SD 1
    Returns  weight (condition, neuroid), bias (condition), for responses as they are; attrs accuracy on
             pictures that were not fitted (5 folds by stimulus_id), chance
    Source   Hoerl and Kennard 1970, doi 10.1080/00401706.1970.10488634
    """
    names, code = np.unique(values(recording, label), return_inverse=True)
    if names.size < 2 or not alpha > 0:
        raise ValueError(
            f"label: {label!r} has {names.size} classes (alpha {alpha}); wanted 2, and alpha above 0"
        )
    response = np.asarray(recording["response"].transpose("presentation", "neuroid").values, float)
    wanted = np.eye(names.size)[np.ravel(code)]
    hits = np.zeros(len(response), bool)
    for part in _shuffles.parts(values(recording, "stimulus_id"), FOLDS, np.random.default_rng(seed)):
        weight, bias = _ridge(response[part.train], wanted[part.train], alpha)
        hits[part.test] = (response[part.test] @ weight.T + bias).argmax(-1) == np.ravel(code)[part.test]
    weight, bias = _ridge(response, wanted, alpha)
    low, high = _shares.clopper(int(hits.sum()), hits.size, 0.95)
    made = {
        "weight": (("condition", "neuroid"), weight, {"units": "1"}),
        "bias": ("condition", bias, {"units": "1"}),
    }
    told = stated(recording.attrs) | {
        "label": label, "accuracy": float(hits.mean()), "accuracy_low": float(low),
        "accuracy_high": float(high),
        "chance": 1 / names.size, "n": hits.size, "over": "presentation", "alpha": alpha, "folds": FOLDS,
        "kept_apart": "stimulus_id",
    }  # fmt: skip
    coords = {"condition": names.astype(str), "neuroid_id": recording["neuroid_id"].variable}
    return xr.Dataset(made, coords, told)


def flips(
    decoder: xr.Dataset,
    unit: xr.Dataset,
    population: xr.Dataset,
    margin: xr.Dataset,
    *,
    confidence: float = 0.95,
) -> xr.Dataset:
    """How often the decoded class changes when one neuroid, the population or the decoder is attacked.

    Reads    decoder, what `decoder` returned; unit, population, margin: responses of all neuroids to
             pictures made for one neuroid, for all, for the decoder's margin, as
             `pipeline.stages.sensitivity.aimed` returns them, of the same pictures
    Returns  flipped (arm, epsilon), the share of pictures of which another class is decoded than of the clean
             one, with _low and _high (Clopper and Pearson); arms one neuroid, population, decoder margin,
             random direction
    """
    weight, bias = decoder["weight"].transpose("condition", "neuroid").values, decoder["bias"].values
    arms = {"one neuroid": (unit, ATTACK), "population": (population, ATTACK),
            "decoder margin": (margin, ATTACK), RANDOM: (margin, RANDOM)}  # fmt: skip
    shares = []
    for part, arm in arms.values():
        same(part, margin, ("epsilon", "stimulus_id"))
        same(part, decoder, ("neuroid_id",))
        said = [
            (part[name].sel(place).transpose(..., "neuroid").values @ weight.T + bias).argmax(-1)
            for name, place in (("clean", {}), ("moved", {"arm": arm}))
        ]
        shares.append((said[1] != said[0]).sum(axis=-1))
    hits, count = np.stack(shares), margin.sizes["stimulus"]
    low, high = _shares.clopper(hits, count, confidence)
    made = {
        f"flipped{end}": (("arm", "epsilon"), part, {"units": "1"})
        for end, part in (("", hits / count), ("_low", low), ("_high", high))
    }
    told = stated(margin.attrs) | {
        "target": "by arm", "neuroids": len(weight[0]), "pictures": count, "n": count, "over": "stimulus",
        "confidence": confidence, "bound": "lower", "interval": "Clopper and Pearson",
    }  # fmt: skip
    told |= {key: decoder.attrs[key] for key in ("accuracy", "chance", "label") if key in decoder.attrs}
    return xr.Dataset(made, {"arm": list(arms), "epsilon": margin["epsilon"].variable}, told)


def order(
    vanilla: xr.Dataset,
    vanilla_recording: xr.Dataset,
    robust: xr.Dataset,
    robust_recording: xr.Dataset,
    vanilla_population: xr.Dataset | None = None,
    robust_population: xr.Dataset | None = None,
    *,
    layer: str = "",
    place: int = -1,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Whether vanilla units stay above adversarially trained ones by every ruler, layer and kind of budget.

    Reads    records of attacks on both networks, of the same layers and budgets, and their responses to clean
             pictures; what `population` returned for both, a setting of its own, drawn with the same seed;
             layer, of which normalisers and budgets are compared ("": the last); place, of the budget among
             epsilon
    Returns  sensitivity (model, setting), rank (model, setting), 1 the largest; ratio (setting), vanilla by
             adversarially trained, with _low and _high; first_above (setting), 1 where all of it is above 1
    """
    same(vanilla, robust, ("epsilon", "arm"))
    parts = [(vanilla, vanilla_recording), (robust, robust_recording)]
    layers = [str(name) for name in dict.fromkeys(values(vanilla, "layer").astype(str).tolist())]
    layer = layer or layers[-1]
    noisy = all(np.isfinite(kernels.pictures(kernels.placed(*pair)).noise).all() for pair in parts)
    rulers = [name for name in kernels.NORMALISERS if noisy or name != "noise sd"]
    settings = [(f"normaliser: {name}", name, layer, ATTACK) for name in rulers]
    settings += [(f"layer: {name}", "sd", name, ATTACK) for name in layers]
    arms = [str(arm) for arm in vanilla["arm"].values if str(arm) in PLAIN]
    settings += [(f"budget: {arm}", "sd", layer, arm) for arm in arms]
    found, ratios, labels = [], [], [name for name, *_ in settings]
    pairs = [
        [_of(part, seen, ruler, here, arm, place, bootstraps, seed) for part, seen in parts]
        for _, ruler, here, arm in settings
    ]
    if vanilla_population is not None and robust_population is not None:
        labels.append("population: D")
        pairs.append([_whole(part, place, bootstraps) for part in (vanilla_population, robust_population)])
    for pair in pairs:
        found.append([whole for whole, _ in pair])
        ratios.append((ratio(*(whole for whole, _ in pair)), ratio(*(again for _, again in pair))))
    made: dict[str, Any] = {"sensitivity": (("setting", "model"), np.array(found), {"units": "1"})}
    again = np.stack([again for _, again in ratios])
    put(made, "ratio", ("setting",), np.array([whole for whole, _ in ratios]), again, confidence)
    rank = 1 + (np.array(found)[:, :, None] < np.array(found)[:, None, :]).sum(axis=-1)
    made["rank"] = (("setting", "model"), rank, {"units": "1"})
    made["first_above"] = ("setting", (made["ratio_low"][1] > 1).astype(int), {"units": "1"})
    told = stated(vanilla.attrs) | {
        "population": f"{vanilla.attrs.get('population', 'units of a vanilla network')}; "
        f"{robust.attrs.get('population', 'units of the other')}", "layer": layer,
        "epsilon": float(vanilla["epsilon"][place]), "neuroids": vanilla.sizes["neuroid"],
        "pictures": vanilla.sizes["stimulus"], "n": vanilla.sizes["neuroid"], "over": "neuroid",
        "confidence": confidence, "bound": "lower", "left_out_rulers": "" if noisy else "noise sd",
        "interval": "pictures and neuroids drawn again, spreads kept",
    }  # fmt: skip
    coords = {"setting": labels, "model": ["vanilla", "adversarially trained"]}
    return xr.Dataset(made, coords, told)


def corrected(surrogate: xr.Dataset, gap: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    """What a kappa that was measured on other neuroids makes of a surrogate's sensitivity, beside the truth.

    Reads    surrogate, truth, what `sensitivity.normalised` returned for the same neuroids (of days, the
             last); gap, what `sensitivity.gap` returned for others
    Returns  found, corrected (with the ends of the other kappa's interval alone), truth (epsilon); ratio
             (epsilon), corrected by truth: 1 where kappa carries over
    """
    parts = [last(part).sel(arm=ATTACK) for part in (surrogate, truth)]
    for other in (parts[1], gap):
        same(parts[0], other, ("epsilon",))
    found, true = (part["sensitivity"].values for part in parts)
    kappa, low, high = (gap[f"kappa_mean{end}"].values for end in ("", "_low", "_high"))
    made: dict[str, Any] = {
        "found": ("epsilon", found, {"units": "1"}),
        "truth": ("epsilon", true, {"units": "1"}),
    }
    for end, part in (("", kappa), ("_low", high), ("_high", low)):
        made[f"corrected{end}"] = ("epsilon", ratio(found, part), {"units": "1"})
        made[f"ratio{end}"] = ("epsilon", ratio(ratio(found, part), true), {"units": "1"})
    told = stated(parts[0].attrs) | {
        "kappa_of": str(gap.attrs.get("population", "")), "neuroids": parts[0].attrs["neuroids"],
        "pictures": parts[0].attrs["pictures"], "bound": "lower", "interval": "of kappa alone",
    }  # fmt: skip
    return xr.Dataset(made, {"epsilon": parts[0]["epsilon"].variable}, told)


def plot(result: xr.Dataset) -> Figure:
    """Curves over budgets, a table of settings, or a decoder's weights.

    Reads    what `population`, `flips`, `order` or `decoder` returned
    Returns  a matplotlib Figure
    """
    return _sensitivity_controls_plots.plot(result)


def _of(
    pushed: xr.Dataset, recording: xr.Dataset, normaliser: str, layer: str, arm: str, place: int,
    bootstraps: int, seed: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    part = of_layer(pushed, layer).isel(epsilon=place).sel(arm=arm)
    got = measured(part, recording, normaliser, False)
    pictures, neuroids = got.mean.shape[-2:]
    draws = kernels.drawn(pictures, neuroids, bootstraps, seed)
    means = got.estimates(draws)["sensitivity"]
    return means.whole, means.again


def _whole(found: xr.Dataset, place: int, bootstraps: int) -> tuple[np.ndarray, np.ndarray]:
    part = found.isel(epsilon=place).sel(arm=ATTACK)
    if part.sizes["bootstrap"] != bootstraps:
        raise ValueError(
            f"bootstraps: {bootstraps}, and {part.sizes['bootstrap']} of populations; give the same"
        )
    return part["displacement"].values, part["resampled"].values


def _pair(mean: np.ndarray) -> float:
    rng = np.random.default_rng(0)
    rows = np.array([rng.permutation(len(mean)) for _ in range(20)])
    return float(np.linalg.norm(mean[rows[:-1]] - mean[rows[1:]], axis=-1).mean())


def _precision(recording: xr.Dataset, seen: kernels.Pictures) -> np.ndarray | None:
    """The inverse of the shrunk noise covariance (neuroid, neuroid); None where no picture is repeated."""
    if not np.isfinite(seen.noise).all():
        return None
    from sklearn.covariance import ledoit_wolf

    response = np.asarray(recording["response"].transpose("presentation", "neuroid").values, float)
    left = response - seen.mean[np.unique(values(recording, "stimulus_id"), return_inverse=True)[1]]
    free = len(left) / (len(left) - len(seen.mean))
    return np.asarray(np.linalg.inv(ledoit_wolf(left, assume_centered=True)[0] * free))


def _ridge(x: np.ndarray, y: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """weight (class, neuroid) and bias of indicators y on responses x, scaled to SD 1 inside."""
    centre, size = x.mean(axis=0), x.std(axis=0)
    z = (x - centre) / np.where(size > 0, size, 1.0)
    solved = np.linalg.solve(z.T @ z + alpha * np.eye(z.shape[1]), z.T @ (y - y.mean(axis=0)))
    weight = (solved / np.where(size > 0, size, 1.0)[:, None]).T
    return weight, y.mean(axis=0) - weight @ centre
