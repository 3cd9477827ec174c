"""How alike two representations are: dissimilarities of stimuli (RDMs), their comparison, linear CKA, CCA.

A model's activations are a recording, so that every function takes neurons, sensors and model units alike;
stimuli are joined by id. `over time` every measure is made at each time at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _cka, _conditions, _rdm_inference, _rdm_kernels, _rdm_labelled, _rdm_plots
from analyses._labelled import values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DISTANCES = ("crossnobis", "correlation", "euclidean")
NOISE = ("auto", "shrunk", "diagonal", "none")
STATED = ("origin", "simultaneous", "bin_width", "trigger_delay_s", "verified")


def rdm(
    recording: xr.Dataset,
    *,
    distance: str = "crossnobis",
    by: str = "stimulus_id",
    folds: str = "auto",
    noise: str = "auto",
) -> xr.Dataset:
    """Dissimilarity of all pairs of conditions, at every time.

    "crossnobis" multiplies the difference of two patterns in one fold with that in the others: its mean is 0
    where two conditions evoke the same, so that it may be negative. "correlation" (1 - Pearson's r) and
    "euclidean" (squared, mean over neuroids) are of the mean patterns, and grow with the noise.

    Reads    response (presentation, neuroid[, time]); by, whose values are the conditions; folds, a
             coordinate to cross-validate over ("auto": run, else repetition); noise, the units of crossnobis:
             "shrunk", the covariance within conditions, "diagonal", its SDs, "none", or "auto": "diagonal"
             where neuroids were not recorded at once
    Returns  dissimilarity (condition, other_condition[, time]); coordinates that are constant in a condition;
             presentations, folds in attrs. ValueError where no condition comes back, or a value is lacking
    Source   Kriegeskorte et al. 2008, doi 10.3389/neuro.06.004.2008; Walther et al. 2016, doi
             10.1016/j.neuroimage.2015.12.012 (crossnobis)
    >>> three = xr.Dataset({"response": (("presentation", "neuroid"), np.eye(3))},
    ...                    {"stimulus_id": ("presentation", ["a", "b", "c"])})
    >>> rdm(three, distance="euclidean").dissimilarity[0].values.round(3).tolist()
    [0.0, 0.667, 0.667]
    """
    if distance not in DISTANCES or noise not in NOISE:
        name, known = ("distance", DISTANCES) if distance not in DISTANCES else ("noise", NOISE)
        raise ValueError(
            f"{name}: {distance if name == 'distance' else noise!r}; use one of {', '.join(known)}"
        )
    crossed = distance == "crossnobis"
    apart = _conditions.kept_apart(recording, by, folds) if crossed else None
    plan = _conditions.design(recording, by, apart)
    if noise == "auto":
        noise = "shrunk" if recording.attrs.get("simultaneous", 1) else "diagonal"
    neuroids = np.asarray(recording["neuroid_id"].values) if "neuroid_id" in recording.coords else None
    parts = []
    for _, block in _conditions.blocks(recording):
        if crossed:
            parts.append(_rdm_labelled.crossed(block, plan, noise))
        else:
            kernel = _rdm_kernels.correlation if distance == "correlation" else _rdm_kernels.euclidean
            parts.append(_rdm_kernels.few(kernel, _conditions.means(block, plan, neuroids)))
    found = parts[0] if len(parts) == 1 else np.concatenate(parts)
    every = np.arange(len(plan.names))
    found[:, every, every] = 0
    if np.isnan(found.sum()):
        constant = int(np.isnan(found).any(axis=(1, 2)).sum())
        warnings.warn(
            f"dissimilarity: NaN at {constant} of {len(found)} times, where a pattern is the same everywhere",
            UserWarning,
            stacklevel=2,
        )
    told = {key: recording.attrs[key] for key in STATED if key in recording.attrs}
    told |= {"distance": distance, "by": by, "presentations": recording.sizes["presentation"]}
    if crossed:
        told |= {"kept_apart": apart, "folds": len(plan.folds), "noise": noise}
    units = {"correlation": "1", "crossnobis": "SD^2" if noise != "none" else ""}.get(distance, "")
    units = units or f"({recording['response'].attrs.get('units', '1')})^2"
    return _rdm_labelled.square(np.moveaxis(found, 0, -1), plan, recording, units).assign_attrs(told)


def labels(recording: xr.Dataset, names: Sequence[str], *, by: str = "stimulus_id") -> xr.Dataset:
    """Model RDMs of labels: 0 where two conditions share the label and 1 where not; of numbers, how far
    apart they are.

    Reads    coordinates `names` (presentation), each constant in a value of `by`; or (condition) of an RDM
    Returns  dissimilarity (model, condition, other_condition), a model for each label. ValueError for one
             that varies within a condition
    """
    if "condition" in recording.dims:
        conditions = values(recording, "condition")
        first = np.arange(conditions.size)
        plan = _conditions.Design(conditions, first, np.zeros(1), first)
    else:
        plan = _conditions.design(recording, by)
        first = np.unique(plan.condition, return_index=True)[1]
    made = []
    for name in names:
        label = values(recording, name)
        if not (label[first][plan.condition] == label).all():
            raise ValueError(f"names: {name!r} varies within values of {by!r}; name one that does not")
        label = label[first]
        far = np.abs(label[:, None] - label) if label.dtype.kind in "fi" else label[:, None] != label
        made.append(np.asarray(far, dtype=float))
    whole = _rdm_labelled.square(np.stack(made, axis=-1), plan, None, "1")
    return _rdm_labelled.modelled(whole, list(names), by)


def compare(rdm: xr.Dataset, model_rdms: xr.Dataset, *, measure: str = "spearman") -> xr.Dataset:
    """Similarity of RDMs with model RDMs, conditions joined by name.

    Pearson's and Spearman's correlation (ties by mean ranks), Kendall's tau-a, cosine; "whitened", the
    cosine, and "whitened pearson", after whitening by the covariance that distances have when patterns are
    independent. A matrix that is not symmetric is compared in both triangles; nothing is averaged silently.

    Reads    dissimilarity (condition, other_condition[, more dims][, time]) of each; where both have time, at
             the same times
    Returns  similarity (dims of the models, dims of the RDMs[, time]), unit 1; pairs in attrs. ValueError
             where conditions differ
    Source   Nili et al. 2014, doi 10.1371/journal.pcbi.1003553; Diedrichsen et al. 2021, arXiv 2007.02789
             (whitened)
    """
    _known(measure)
    data, models, symmetric = _rdm_labelled.joined(rdm, model_rdms, measure)
    times = max(data.matrices.shape[1], models.matrices.shape[1])
    found = np.empty((len(models.matrices), len(data.matrices), times))
    for time in range(times):
        here = [part.matrices[:, min(time, part.matrices.shape[1] - 1)] for part in (models, data)]
        found[:, :, time] = _rdm_inference.similarity(here[0], here[1], measure, symmetric)
    made = _rdm_labelled.spread(found, models, data)
    size = data.matrices.shape[-1]
    count = size * (size - 1) // (2 if symmetric else 1)
    told = {"measure": measure, "chance": 0.0, "conditions": size, "pairs": count}
    return made.to_dataset(name="similarity").assign_attrs(_rdm_labelled.inherited(rdm) | told)


def inference(
    rdm: xr.Dataset,
    model_rdms: xr.Dataset,
    *,
    measure: str = "spearman",
    bootstraps: int = 1000,
    permutations: int = 1000,
    confidence: float = 0.95,
    fewest: int = 10,
    reliability: xr.Dataset | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """How sure the similarity of RDMs with models is, whether chance says it too, and what no model exceeds.

    Intervals come from drawing stimuli again and, where there are several RDMs (of subjects), these too,
    with the noise that both resamplings share counted once. p comes from exchanging the conditions of a
    model, corrected for all models and times by their maximum. The noise ceiling lies between the mean of
    the other RDMs and the mean of all; for one RDM, `reliability` gives it.

    Reads    dissimilarity (condition, other_condition[, one more dim][, time]); models with one more dim at
             most; reliability, what `consistency` returned; fewest conditions that are accepted
    Returns  similarity, similarity_low, similarity_high, p, p_uncorrected (model[, time]); ceiling_low,
             ceiling_high [time]; resampled (model, bootstrap[, time]). ValueError below `fewest` conditions
    Source   Nili et al. 2014, doi 10.1371/journal.pcbi.1003553; Schütt et al. 2023, doi 10.7554/eLife.82566
    """
    _known(measure)
    data, models, symmetric = _rdm_labelled.joined(rdm, model_rdms, measure)
    count = data.matrices.shape[-1]
    if count < max(fewest, 4):
        raise ValueError(
            f"condition: {count} conditions; inference over stimuli needs {max(fewest, 4)}; use compare"
        )
    if measure.startswith("whitened"):
        raise ValueError(f"measure: {measure!r} has no bootstrap of stimuli; use cosine or pearson")
    if models.matrices.shape[1] > 1 or len(models.dims) > 1 or len(data.dims) > 1:
        raise ValueError("model_rdms: wanted one dimension of models, one of RDMs, and time of these only")
    if min(bootstraps, permutations) < 10:
        raise ValueError(f"bootstraps: {bootstraps} and {permutations} permutations; at least 10 are needed")
    made = _rdm_labelled.inferred(
        data, models, measure, (bootstraps, permutations, seed), confidence, symmetric
    )
    told: dict[str, Any] = {"bound": "other RDMs, all RDMs" if len(data.matrices) > 1 else "none"}
    if reliability is not None:
        _rdm_labelled.same_time(data, reliability)
        made["ceiling_low"] = reliability["correlation"].values.reshape(-1), ("time",)
        made["ceiling_high"] = reliability["ceiling"].values.reshape(-1), ("time",)
        told["bound"] = "the other half of presentations, all presentations"
    result = _rdm_labelled.dressed(made, models, data)
    told |= {
        "measure": measure, "chance": 0.0, "n": count, "over": "condition", "rdms": len(data.matrices),
        "confidence": confidence, "bootstraps": bootstraps, "permutations": permutations, "seed": seed,
        "smallest_p": 1 / (permutations + 1), "test": "permutation of conditions", "correction": "max",
        "family": f"{len(models.matrices)} models x {data.matrices.shape[1]} times",
    }  # fmt: skip
    return result.assign_attrs(_rdm_labelled.inherited(rdm) | told)


def consistency(
    recording: xr.Dataset,
    *,
    distance: str = "crossnobis",
    by: str = "stimulus_id",
    noise: str = "auto",
    measure: str = "pearson",
    splits: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """How alike the RDMs of two random halves of the presentations are, and so what the RDM of all can reach.

    Reads    as `rdm`, four presentations of each condition for crossnobis, else two; splits, number of them
    Returns  correlation ([time]), mean over splits; reliability, by Spearman and Brown; ceiling, its square
             root, the similarity of a perfect model (NaN where halves do not agree), unit 1. On the low side
             for crossnobis of weak signals, whose noise falls faster than the number of presentations grows
    """
    _known(measure)
    plan = _conditions.design(recording, by)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    folds = 2 if distance == "crossnobis" else 1
    if plan.counts().min() < 2 * folds:
        raise ValueError(
            f"by: {by!r}: a condition has fewer than {2 * folds} presentations; halves need them"
        )
    found = []
    for _ in range(splits):
        side, place = _rdm_labelled.dealt(plan.condition, rng)
        halves = []
        for half in (0, 1):
            part = recording.isel(presentation=np.flatnonzero(side == half))
            part = part.assign_coords({"fold_of_half": ("presentation", place[side == half])})
            halves.append(rdm(part, distance=distance, by=by, folds="fold_of_half", noise=noise))
        found.append(compare(*halves, measure=measure)["similarity"].values.reshape(-1))
    mean = np.mean(found, axis=0)
    reliable = np.where(mean > 0, 2 * mean / (1 + np.abs(mean)), np.nan)
    made = {"correlation": mean, "reliability": reliable, "ceiling": np.sqrt(reliable)}
    parts = {name: (("time",), item, {"units": "1"}) for name, item in made.items()}
    time = {"time": recording["time"].values} if "time" in recording["response"].dims else {}
    told = {"measure": measure, "distance": distance, "splits": splits, "seed": seed, "by": by}
    return xr.Dataset(parts, time, _rdm_labelled.inherited(recording) | told)


def cka(
    recording: xr.Dataset,
    other: xr.Dataset,
    *,
    debiased: bool = True,
    by: str = "stimulus_id",
    permutations: int = 0,
    seed: int = 0,
) -> xr.Dataset:
    """Linear centred kernel alignment of two recordings, mean patterns of stimuli joined by id, at each time.

    Plain CKA grows with the number of neuroids even where nothing is shared; debiased, its mean is then 0.

    Reads    response (presentation, neuroid[, time]) of both; where both have time, at the same times
    Returns  cka ([time]), unit 1; with permutations of stimuli, null (permutation, [time]) and p. ValueError
             where stimuli differ
    Source   Kornblith et al. 2019, arXiv 1905.00414; Murphy et al. 2024, arXiv 2405.01012 (debiased)
    """
    kind = "debiased" if debiased else "plain"
    return _rdm_labelled.aligned(
        recording, other, by, "cka", lambda x, y: _cka.cka(x, y, debiased), permutations, seed, {"kind": kind}
    )


def cca(
    recording: xr.Dataset,
    other: xr.Dataset,
    *,
    variance: float | None = 0.99,
    by: str = "stimulus_id",
    permutations: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Mean canonical correlation of two recordings, at each time; of principal components first, SVCCA.

    It is above 0 for unrelated patterns: the more so, the more components for the number of stimuli. The
    null of exchanged stimuli says how much.

    Reads    as `cka`; variance, share that the components of each keep, None for plain CCA
    Returns  cca ([time]), unit 1; null (permutation, [time]), p; ValueError where the two together have as
             many dimensions as there are stimuli, which makes it 1 whatever they hold
    Source   Hotelling 1936, doi 10.1093/biomet/28.3-4.321; Raghu et al. 2017, arXiv 1706.05806
    """
    if variance is not None and not 0 < variance <= 1:
        raise ValueError(f"variance: {variance}; wanted above 0 and at most 1, or None")

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        left, right = (_cka.components(part, variance or 1.0) for part in (x, y))
        if left.shape[1] + right.shape[1] >= len(x):
            raise ValueError(
                f"variance: {left.shape[1]} and {right.shape[1]} components of {len(x)} stimuli correlate "
                "perfectly, whatever they hold; keep a smaller share"
            )
        return np.asarray(_cka.canonical(left, right).mean())

    def each(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array(
            [kernel(*pair) for pair in zip(x, np.broadcast_to(y, (len(x), *y.shape[1:])), strict=True)]
        )

    told = {"kind": "CCA" if variance is None else "SVCCA", "variance": variance or 1.0}
    return _rdm_labelled.aligned(recording, other, by, "cca", each, permutations, seed, told)


def plot(result: xr.Dataset) -> Figure:
    """Models' similarities with intervals under the noise ceiling, over time where there is time; or RDMs.

    Reads    what `inference`, `compare`, `rdm`, `labels`, `consistency`, `cka` or `cca` returned
    Returns  a matplotlib Figure; RDMs in ranks, at most 12
    """
    return _rdm_plots.drawn(result)


def _known(measure: str) -> None:
    if measure not in _rdm_kernels.MEASURES:
        raise ValueError(f"measure: {measure!r}; use one of {', '.join(_rdm_kernels.MEASURES)}")
