"""What a recording teaches a network: responses, measured or predicted, their similarities, and controls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from torch import nn

from analyses import similarity as alike
from loaders.schema import check, nearest

from . import _targets_controls as controls
from . import _targets_map as maps
from . import _targets_parts as parts
from . import _targets_plots, overlap, record
from ._encode_model import prepared, trained
from ._stimuli import averaged, shown, still

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def responses(
    recording: xr.Dataset,
    stimuli: xr.Dataset,
    *,
    components: int = 0,
    like: xr.Dataset | None = None,
    scaled: bool | str = False,
    subject: str = "",
) -> xr.Dataset:
    """The mean responses to some pictures as a target, with how reliable they are.

    Principal components are fitted to the mean responses to these pictures and to no others; `like` puts
    other pictures into those of a target that was made before.

    Reads    recording, response (presentation, neuroid) with stimulus_id; stimuli, the pictures to make the
             target of: presentations of others are left out; components (0: the neuroids themselves); like,
             another target; scaled, each neuroid by its SD ("sd"), by its mean ("mean"), or to a mean of 1
             and an SD of 1/2 ("standard"); subject, where the recording does not say it
    Returns  response (presentation, neuroid), one presentation a stimulus, with stimulus_id and content;
             reliability (neuroid), by split halves, NaN where nothing was repeated; centre, scale, offset
             (feature) and loading (feature, neuroid) of what was done to them; attrs target, control,
             origin, subjects
    """
    part = parts.joined(recording, stimuli)
    mean = averaged(part)
    made = _map(mean, components, scaled, like)
    found = parts.target(mean, made, "measured responses")
    told = {"origin": str(recording.attrs.get("origin", "")), "subjects": parts.subjects(recording, subject)}
    return check(parts.reliable(found, {"reliability": parts.halves(part, made)}).assign_attrs(told))


def predicted(
    stimuli: xr.Dataset,
    fitted: xr.Dataset,
    *,
    components: int = 0,
    like: xr.Dataset | None = None,
    scaled: bool | str = False,
    subject: str = "",
    batch: int = 64,
) -> xr.Dataset:
    """What a predictor of neurons says of any pictures, new ones too: responses without their noise.

    Reads    image (stimulus, channel, y, x) in [0, 1] with stimulus_id; fitted, what `encode.fit`, `train`,
             `score` or `ensemble` returned; the rest as `responses`
    Returns  as `responses`, with r (neuroid), the predictor's correlation on the pictures that it held out,
             the reliability of what it was fitted to, and source_content, the pictures that it was fitted to
    Source   Safarani et al. 2021, arXiv 2107.14344; Li et al. 2019, arXiv 1911.05072
    """
    if "neuroid_id" not in fitted.coords or fitted["neuroid_id"].dims != ("neuroid",):
        raise ValueError("fitted: is no predictor of neurons; give what stages.encode returned")
    pictures = shown(stimuli, stimuli["stimulus_id"].values)
    pictures = pictures.assign_coords(content=("stimulus", overlap.content(pictures, "stimuli")))
    seen = record.activations(
        pictures, None, weights=fitted, layers=["output"], batch=batch, **prepared(fitted)
    )
    bare = seen.drop_vars([name for name, item in seen.coords.items() if item.dims == ("neuroid",)])
    own = {str(name): item.variable for name, item in fitted.coords.items() if item.dims == ("neuroid",)}
    mean = bare.assign_coords(own)
    made = _map(mean, components, scaled, like)
    found = parts.target(mean, made, "predicted responses")
    held = {name: fitted[name].values.astype(float) for name in ("r", "reliability") if name in fitted}
    found = found.assign_attrs(parts.medians(held))
    found = found if made.loading is not None else parts.reliable(found, held)
    behind = np.array(sorted(trained(fitted)), str)
    if behind.size:
        found = found.assign_coords(source_content=("stimulus", behind))
    told = {
        "origin": denoised(str(fitted.attrs.get("fitted_to", ""))),
        "subjects": parts.subjects(fitted, subject),
        "predictor": str(fitted.attrs.get("model", "")),
    }
    return check(found.assign_attrs(told))


def rdm(
    recording: xr.Dataset,
    *,
    stimuli: xr.Dataset | None = None,
    distance: str = "correlation",
    splits: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Dissimilarities of all pairs of pictures as a target, with how alike those of half the data are.

    Reads    a recording, or a target; stimuli, the pictures to make it of; distance, as `similarity.rdm`;
             splits of the presentations, where pictures were repeated
    Returns  dissimilarity (condition, other_condition) with content (condition); attrs reliability and
             ceiling, of a recording with repeats
    Source   Kriegeskorte et al. 2008, doi 10.3389/neuro.06.004.2008
    """
    part = recording if stimuli is None else parts.joined(recording, stimuli)
    made = alike.rdm(part, distance=distance)
    told: dict[str, Any] = {"target": "dissimilarity"}
    least = 4 if distance == "crossnobis" else 2
    counts = np.unique(part["stimulus_id"].values.astype(str), return_counts=True)[1]
    if counts.min() >= least:
        found = alike.consistency(part, distance=distance, splits=splits, seed=seed)
        told |= {name: float(found[name].values[0]) for name in ("reliability", "ceiling")}
    return check(parts.behind(made, recording).assign_attrs(told))


def similarity(target: xr.Dataset, *, weighted: bool = False) -> xr.Dataset:
    """Cosine of the responses to all pairs of pictures, each neuroid less its mean, as a target.

    Reads    a target of `responses` or `predicted`; weighted, each neuroid by its r, or else by the root of
             its reliability, none below 0
    Returns  similarity (condition, other_condition), unit 1, with content (condition)
    Source   Li et al. 2019, arXiv 1911.05072
    """
    values = np.asarray(still(target).values, float)
    if not np.isfinite(values).all():
        raise ValueError("target: lacks responses; leave out neuroids or pictures with NaN")
    centred = values - values.mean(0)
    if weighted:
        names = [name for name in ("r", "reliability") if name in target]
        if not names:
            raise ValueError("weighted: the target has no r nor reliability; give weighted=False")
        weight = np.nan_to_num(target[names[0]].values.astype(float)).clip(0)
        centred = centred * (weight if names[0] == "r" else np.sqrt(weight))
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    if not (length > 0).all():
        raise ValueError("target: a picture evokes the mean response exactly; leave it out")
    cosine = np.clip(centred @ centred.T / (length * length.T), -1, 1)
    coords: dict[str, Any] = {
        str(name): ("condition", item.values)
        for name, item in target.coords.items()
        if item.dims == ("presentation",)
    }
    coords["condition"] = coords["other_condition"] = target["stimulus_id"].values.astype(str)
    found = {"similarity": (("condition", "other_condition"), cosine, {"units": "1"})}
    told = {"target": "similarity", "weighted": int(weighted)}
    return check(parts.behind(xr.Dataset(found, coords), target).assign_attrs(told))


def control(
    target: xr.Dataset,
    *,
    kind: str,
    stimuli: xr.Dataset | None = None,
    other: xr.Dataset | None = None,
    model: Callable[..., Any] | str | None = None,
    weights: xr.Dataset | None = None,
    layer: str = "output",
    blur: float = 0.1,
    seed: int = 0,
) -> xr.Dataset:
    """What stands in a target's place to show what it is worth: as many numbers for the same pictures.

    "shuffled": the responses to another picture, every picture's moved. "gaussian": random, of the same mean
    and covariance. "pixels": colours at random places. "low-pass": the same of the blurred picture. "random
    network": units of a network that was never trained. "trained network": of one with weights, such as an
    oracle. "other recording": another area's or animal's. All but shuffled and other recording have the mean
    and SD of the target's neuroids.

    Reads    target, what `responses` or `predicted` returned; stimuli, its pictures (pixels, low-pass,
             networks); other, a target of the same pictures; model, weights and layer of the network; blur,
             SD in sides of the picture
    Returns  a target of the same shape, without reliability; attrs control, the kind
    Source   Safarani et al. 2021, arXiv 2107.14344 (shuffled)
    """
    if kind not in controls.KINDS:
        raise ValueError(f"kind: {kind!r}; {nearest(kind, controls.KINDS)}")
    values = np.asarray(still(target).values, float)
    if kind == "other recording":
        found = parts.foreign(target, other, values.shape[1], controls.rng(seed, controls.UNITS))
        return check(found.assign_attrs(control=kind, seed=seed))
    bare = target.drop_vars([name for name in ("reliability", "r") if name in target])
    bare.attrs = parts.unreliable(target.attrs) | {"control": kind, "seed": seed}
    if kind == "shuffled":
        made = controls.shuffled(values, target["stimulus_id"].values.astype(str), seed)
        return check(_with(bare, made))
    if not np.isfinite(values).all():
        raise ValueError(f"target: lacks responses; {kind} is made of neuroids that have all")
    if kind == "gaussian":
        return check(_with(bare, controls.gaussian(values, seed)).assign_attrs(origin="random"))
    pictures = parts.pictures_of(target, stimuli, kind)
    if kind.endswith("network"):
        drawn = controls.drawn(_units(pictures, kind, model, weights, layer, seed), values.shape[1], seed)
    else:
        drawn = controls.places(pictures["image"], values.shape[1], blur if kind == "low-pass" else 0, seed)
    bare.attrs |= {"layer": layer} if kind.endswith("network") else {"blur": blur} if "low" in kind else {}
    return check(_with(bare, controls.matched(drawn, values)).assign_attrs(origin="model"))


def plot(result: xr.Dataset) -> Figure:
    """A target: responses in SD, pictures down, or similarities of pairs; and how reliable each neuroid is.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    return _targets_plots.drawn(result)


def denoised(origin: str) -> str:
    """What predictions of a model that was fitted to such data are called.

    >>> denoised("real, raw"), denoised("simulated")
    ('real, denoised', 'simulated, denoised')
    """
    first = origin.split(",")[0].strip()
    return f"{first}, denoised" if first else "model"


def _map(mean: xr.Dataset, components: int, scaled: bool | str, like: xr.Dataset | None) -> maps.Map:
    if like is None:
        return maps.fitted(np.asarray(still(mean).values, float), components, scaled, parts.ids(mean))
    if components or scaled:
        raise ValueError("like: says how responses are seen; leave out components and scaled")
    return maps.kept(like, parts.ids(mean))


def _with(target: xr.Dataset, values: np.ndarray) -> xr.Dataset:
    return target.assign(response=(("presentation", "neuroid"), values, dict(target["response"].attrs)))


def _units(
    pictures: xr.Dataset, kind: str, model: Callable[..., Any] | str | None, weights: xr.Dataset | None,
    layer: str, seed: int,
) -> np.ndarray:  # fmt: skip
    """What the units of a layer answer (picture, unit), with first weights or with trained ones."""
    if (kind == "trained network") != (weights is not None):
        raise ValueError(f"weights: {'none were' if weights is None else 'were'} given for a {kind}")
    if weights is None:
        seen = record.activations(pictures, _drawn(model, seed), layers=[layer], seed=seed)
    else:
        seen = record.activations(pictures, model, weights=weights, layers=[layer], **prepared(weights))
    return np.asarray(seen["response"].values, float)


def _drawn(model: Callable[..., Any] | str | None, seed: int) -> Callable[..., Any] | str:
    """What builds a network, with first weights from `seed` where it takes one."""
    if model is None:
        raise ValueError("model: none was given; name a network whose first weights answer")
    if isinstance(model, nn.Module | str) or "seed" not in signature(model).parameters:
        return model
    bound = model.keywords if isinstance(model, functools.partial) else {}
    return model if "seed" in bound else functools.partial(model, seed=seed)
