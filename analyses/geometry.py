"""How a population lays out what it encodes: capacity of manifolds, abstraction, topology, trajectories.

One recording in, one labelled answer out, at every time: of neurons, sensors and model units alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _geometry_contexts as _contexts
from analyses import _geometry_dynamics as _dynamics
from analyses import _geometry_labelled as _labelled
from analyses import _geometry_layers as _layers
from analyses import _geometry_results as _results
from analyses._labelled import over
from analyses._tasks import TRIALS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Where = Mapping[str, Any] | None


def capacity(
    recording: xr.Dataset,
    label: str,
    *,
    margin: float = 0.0,
    draws: int = 200,
    centred: bool = True,
    rank: int | None = None,
    restarts: int = 10,
    where: Where = None,
    samples: int = 0,
    project: int = 5000,
    permutations: int = 0,
    exchange: str = "auto",
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Mean-field capacity: how many manifolds of a label one neuroid lets a linear readout tell apart.

    A manifold is all presentations with one value of the label. The global mean is removed (`centred`), then
    the directions that make centres correlate. Of points in general position the capacity is 2 / their number
    whatever the responses (attrs floor): only what lies above says anything. Capacities are averaged
    harmonically, radius and dimension arithmetically.

    Reads    response (presentation, neuroid[, time]), any unit; label (presentation); rank, directions to
             remove, None for as many as leave the centres least correlated, 0 for none; where, values of
             coordinates that presentations must have; samples to draw of each manifold (0: all); project,
             random directions where neuroids are more; permutations, labels `exchange`d by `folds.relabel`
    Returns  capacity, radius, dimension (n⟨t̂·δŝ⟩²), dimension_projected (⟨(t·δŝ)²⟩), each with _low and
             _high, Student's interval over manifolds; centre_correlation before, centre_correlation_left
             after removal of `rank` directions (time); manifold_* and naive_radius (condition, time); with
             permutations null, p (against the largest of all times), p_uncorrected
    Source   Chung, Lee and Sompolinsky 2018, doi 10.1103/PhysRevX.8.031003; Cohen et al. 2020, doi
             10.1038/s41467-020-14578-5
    >>> points = {"response": (("presentation", "neuroid"), np.random.default_rng(0).normal(size=(40, 300)))}
    >>> clouds = xr.Dataset(points, {"object": ("presentation", np.repeat(["a", "b", "c", "d"], 10))})
    >>> capacity(clouds, "object", centred=False, rank=0).capacity.round(1).values  # 2 / 10
    array([0.2])
    """
    _results.positive(draws=draws, restarts=restarts)
    chosen = _labelled.thinned(_labelled.chosen(recording, where), label, samples, seed)
    names, codes = _labelled.coded(chosen, label)
    response = _labelled.projected(chosen["response"], project, seed)
    others = _labelled.relabelled(chosen, label, permutations, seed, exchange)
    every = np.concatenate([codes[None], others])
    vectors = _labelled.normals(every, response.sizes["neuroid"], draws, seed)
    asked = _labelled.Asked(margin, centred, rank, restarts, vectors, seed)
    sizes = {"permutation": len(every), "condition": names.size, "bin": len(_labelled.SHAPE)}
    found = over(_labelled.capacities, response, TRIALS, sizes, codes=every, asked=asked)
    made = _results.manifolds(found.transpose("permutation", "time", ...).values, names, confidence)
    facts = _labelled.facts(chosen, label, names, codes)
    facts |= {"floor": 2 / float(np.bincount(codes).mean()), "margin": margin, "draws": draws, "seed": seed}
    facts |= {"centred": int(centred), "confidence": confidence, "over": "condition", "n": names.size}
    return xr.Dataset(made, {"condition": names, **_labelled.timed(chosen)}, facts)


def correlated_capacity(
    recording: xr.Dataset,
    label: str,
    *,
    draws: int = 200,
    dichotomies: str = "random",
    where: Where = None,
    project: int = 5000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Capacity of manifolds as they lie to each other: what dichotomies of all of them together cost.

    Nothing is centred. No capacity is below manifolds / neuroids (attrs floor).

    Reads    response (presentation, neuroid[, time]); label (presentation); draws of a Gaussian vector and a
             dichotomy: "random" signs of all manifolds, or "one-vs-rest"
    Returns  capacity with _low and _high (the interval of the Monte Carlo draws, not of other stimuli),
             radius, dimension, centre_alignment, axis_alignment, cross_alignment (time)
    Source   Chou et al. 2024, doi 10.1101/2024.02.26.582157 (GCMC); GLUE as re-implemented by third parties
    """
    _results.positive(draws=draws)
    if dichotomies not in ("random", "one-vs-rest"):
        raise ValueError(f"dichotomies: {dichotomies!r}; use 'random' or 'one-vs-rest'")
    chosen = _labelled.chosen(recording, where)
    names, codes = _labelled.coded(chosen, label)
    response = _labelled.projected(chosen["response"], project, seed)
    first, second = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    size = min(response.sizes["neuroid"], codes.size)
    sides = first.choice([-1.0, 1.0], size=(draws, names.size))
    if dichotomies == "one-vs-rest":
        sides = 2 * np.eye(names.size)[np.arange(draws) % names.size] - 1
    vectors = second.normal(size=(draws, size))
    kernel = _labelled.correlated
    found = _labelled.stacked(response, kernel, 7, codes=codes, sides=sides, vectors=vectors)
    facts = _labelled.facts(chosen, label, names, codes)
    facts |= {"draws": draws, "dichotomies": dichotomies, "seed": seed, "confidence": confidence}
    floor = max(2 / float(np.bincount(codes).mean()), names.size / size)
    facts |= {"interval": "Monte Carlo draws", "floor": floor}
    return xr.Dataset(_results.correlated(found, confidence), _labelled.timed(chosen), facts)


def dimension(
    recording: xr.Dataset,
    *,
    average: str | None = None,
    where: Where = None,
    groups: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Participation ratio (Σλ)² / Σλ² of the covariance of neuroids, and how many components hold 90 %.

    Reads    response (presentation, neuroid[, time]); average, a coordinate over whose values presentations
             are averaged first; groups of rows that the jackknife leaves out in turn
    Returns  participation_ratio with _low and _high, components_90 (time); rows and neuroids in attrs, of
             which either bounds it; noise raises it
    Source   Gao et al. 2017, doi 10.1101/214262
    """
    return _results.dimension(_labelled.chosen(recording, where), average, groups, confidence, seed)


def generalization(
    recording: xr.Dataset,
    label: str,
    context: str,
    *,
    estimator: str = "ridge",
    strength: float = 1.0,
    standardize: bool = True,
    permutations: int = 1000,
    bootstraps: int = 1000,
    overlap: Sequence[str] = (),
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Cross-condition generalization (CCGP): trained in all contexts but one, tested in that one.

    Its null keeps decoder and patterns and swaps the neuroids of the test patterns in random pairs, the same
    in all contexts: what a code without common axes would give, which scatters far from 0.5 where contexts
    are few. Beside it stands the parallelism score, the mean cosine of coding directions between contexts.

    Reads    response (presentation, neuroid[, time]); label, context (presentation), every combination there;
             estimator "ridge" or "svm" (linear, C = strength); overlap, coordinates that training and test
             share, as `folds.audit` wants them declared
    Returns  ccgp, balanced accuracy, with _low and _high by presentations drawn again, decoders left as they
             are, p and p_uncorrected against null, resampled; held (test_condition, time), by context; pair
             (condition, other_condition, time); parallelism with parallelism_p (time)
    Source   Bernardi et al. 2020, doi 10.1016/j.cell.2020.09.031
    """
    chosen = _labelled.chosen(recording, where)
    decoder = _contexts.decoder(estimator, strength, standardize)
    return _contexts.across(
        chosen, label, context, decoder, permutations, bootstraps, overlap, confidence, seed
    )


def abstraction(
    recording: xr.Dataset,
    variables: Sequence[str],
    *,
    dichotomies: str = "variables",
    neighbours: bool = True,
    estimator: str = "ridge",
    strength: float = 1.0,
    standardize: bool = True,
    permutations: int = 1000,
    overlap: Sequence[str] = (),
    where: Where = None,
    seed: int = 0,
) -> xr.Dataset:
    """CCGP and parallelism of dichotomies of all combinations of binary variables.

    Reads    response (presentation, neuroid[, time]); variables (presentation), two values each, every
             combination there; dichotomies "variables", or "balanced" for all halves; neighbours, whether
             only pairs of conditions that differ in one variable are held out, and matched
    Returns  ccgp, parallelism, p_uncorrected, parallelism_p, null_high (dichotomy, time), null (permutation,
             dichotomy, time), named by the variables whose product they are, else by their conditions
    Source   Bernardi et al. 2020, doi 10.1016/j.cell.2020.09.031
    """
    if dichotomies not in ("variables", "balanced"):
        raise ValueError(f"dichotomies: {dichotomies!r}; use 'variables' or 'balanced'")
    chosen = _labelled.chosen(recording, where)
    decoder = _contexts.decoder(estimator, strength, standardize)
    return _contexts.combined(
        chosen, list(variables), dichotomies == "balanced", neighbours, decoder, permutations, overlap, seed
    )


def shattering(
    recording: xr.Dataset,
    condition: str,
    *,
    folds: int | xr.Dataset = 4,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    strength: float = 1.0,
    standardize: bool = True,
    most: int = 200,
    permutations: int = 0,
    exchange: str = "auto",
    bootstraps: int = 1000,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Shattering dimensionality: mean cross-validated accuracy over all balanced dichotomies of conditions.

    Ridge decoders of all dichotomies share the folds of `folds.split`. Where there are more than `most`
    dichotomies, so many are drawn. The labels of the null are exchanged as by `folds.relabel`.

    Reads    response (presentation, neuroid[, time]); condition (presentation); folds, a number or train and
             test (fold, presentation)
    Returns  shattering with _low and _high (time), accuracy (dichotomy, time); with permutations null, p,
             p_uncorrected and decodable, the share of dichotomies with p ≤ .01
    Source   Rigotti et al. 2013, doi 10.1038/nature12160; Bernardi et al. 2020, doi
             10.1016/j.cell.2020.09.031
    """
    chosen = _labelled.chosen(recording, where)
    split = _contexts.split(chosen, condition, folds, groups, overlap, seed)
    return _contexts.shattered(
        chosen, condition, split, strength, standardize, most, permutations, exchange, bootstraps,
        confidence, seed,
    )  # fmt: skip


def topology(
    recording: xr.Dataset,
    *,
    average: str | None = None,
    points: str = "presentation",
    dimensions: int = 0,
    most: int = 300,
    holes: int = 10,
    shuffles: int = 100,
    where: Where = None,
    seed: int = 0,
) -> xr.Dataset:
    """Persistent homology of the cloud of responses: how long parts and loops last as points are joined.

    A loop counts where it lives longer than the 95th percentile of the longest of clouds in which every
    neuroid is shuffled over the points by itself.

    Reads    response (presentation, neuroid[, time]); points "presentation", one cloud at each time, or
             "time", one cloud of all moments; average, a coordinate over whose values presentations are
             averaged; dimensions, principal components to keep first (0: all); most, points to keep, each the
             farthest from those before
    Returns  birth, death, lifetime (hole, time) of loops, the longest first, NaN where there are fewer;
             part_death (hole, time) of connected parts; null (permutation, time), threshold, significant
             (time), the number of loops beyond it
    Source   Edelsbrunner, Letscher and Zomorodian 2002, doi 10.1007/s00454-002-2885-2; Chaudhuri et al. 2019,
             doi 10.1038/s41593-019-0460-x
    """
    if points not in ("presentation", "time"):
        raise ValueError(f"points: {points!r}; use 'presentation' or 'time'")
    _results.positive(most=most, holes=holes)
    chosen = _labelled.chosen(recording, where)
    return _results.topology(chosen, average, points == "time", dimensions, most, holes, shuffles, seed)


def tangling(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    dimensions: int = 8,
    softening: float = 5.0,
    share: float = 0.1,
    window: Sequence[float] | None = None,
    where: Where = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Trajectory tangling: how differently the state moves where it is nearly the same.

    Mean responses of each condition, divided by their range + `softening`, in principal components;
    velocities are differences, never across conditions, and states lie at the middle of each step.

    Reads    response (presentation, neuroid, time), evenly spaced; by, the conditions; softening in the units
             of the response (5 for spikes/s, 0 for what is no rate); share of the variance in the denominator
    Returns  tangling (condition, time) [s^-2]; attrs median with _low and _high, Student's interval over the
             medians of conditions, NaN for one
    Source   Russo et al. 2018, doi 10.1016/j.neuron.2018.01.004
    """
    _results.positive(dimensions=dimensions)
    chosen = _labelled.chosen(recording, where)
    means, names, time, period = _labelled.trajectories(chosen, by, window)
    kernel = partial(_dynamics.tangling, share=share)
    return _results.tangled(chosen, means, names, time, period, dimensions, softening, kernel, confidence)


def rotations(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    dimensions: int = 6,
    softening: float = 5.0,
    window: Sequence[float] | None = None,
    where: Where = None,
    permutations: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """jPCA: the plane of the fastest rotation, and how much rotations say of the motion.

    jPCA returns planes of any data: read skew_r2 beside free_r2 and its null, in which every neuroid's
    conditions are exchanged.

    Reads    as `tangling`, two conditions or more, whose mean course is removed
    Returns  projection (condition, time, component), plane (neuroid, component) [1], skew_r2, free_r2,
             frequency in attrs; with permutations null (permutation), of skew_r2, and p in attrs
    Source   Churchland et al. 2012, doi 10.1038/nature11129; null after Elsayed and Cunningham 2017, doi
             10.1038/nn.4617
    """
    _results.positive(dimensions=dimensions - 1)
    chosen = _labelled.chosen(recording, where)
    means, names, time, period = _labelled.trajectories(chosen, by, window)
    return _results.rotated(chosen, means, names, time, period, dimensions, softening, permutations, seed)


def straightness(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    window: Sequence[float] | None = None,
    where: Where = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Curvature of the mean trajectory of each condition: the angle between steps that follow each other.

    Noise alone bends by 120 degrees. Straightening is the curvature of the pixels less that of a layer.

    Reads    response (presentation, neuroid, time), evenly spaced; by, the conditions
    Returns  curvature (condition, time) [deg] at the middle moment of three, mean_curvature (condition);
             attrs mean with _low and _high, Student's interval over conditions
    Source   Hénaff, Goris and Simoncelli 2019, doi 10.1038/s41593-019-0377-4
    """
    chosen = _labelled.chosen(recording, where)
    means, names, time, _ = _labelled.trajectories(chosen, by, window)
    return _results.curved(chosen, _dynamics.curvature(means), names, time[1:-1], confidence)


def by_layer(recording: xr.Dataset, measure: Callable[[xr.Dataset], xr.Dataset]) -> xr.Dataset:
    """Any measure of this module, of each layer's units alone.

    Reads    response with layer (neuroid); measure, such as {use: analyses.geometry.capacity, with: {...}}
    Returns  its variables with the dimension layer, in the order of the recording
    """
    return _layers.each(recording, measure)


def contrast(
    trained: xr.Dataset,
    untrained: xr.Dataset,
    *,
    bootstraps: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """By how much training raises the capacity of each layer, with paired intervals.

    Reads    manifold_capacity (condition, layer, time[, seed]) of `by_layer` with `capacity`, of a trained
             network and its untrained twin, joined by condition and layer
    Returns  difference and ratio of capacities, each with _low and _high (layer, time); over, n in attrs
    Source   Efron and Tibshirani 1993, doi 10.1007/978-1-4899-4541-9 (paired bootstrap)
    """
    return _layers.paired(trained, untrained, bootstraps, confidence, seed)


def plot(result: xr.Dataset) -> Figure:
    """Courses over time, or layers; lifetimes of loops; a plane of rotation; dichotomies.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    from analyses import _geometry_plots

    return _geometry_plots.drawn(result)
