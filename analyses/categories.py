"""Categorical perception: how a space of responses expands between categories and contracts within them.

One recording in, one labelled answer out: neurons, sensors and the layers of a network alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from analyses import _categories_continua as _continua
from analyses import _categories_curves as _curves
from analyses import _categories_fisher as _fisher
from analyses import _categories_groups as _groups
from analyses import _categories_index as _index
from analyses._labelled import values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ONE = {"units": "1"}


def index(
    recording: xr.Dataset,
    label: str,
    *,
    stimuli: xr.Dataset | None = None,
    pairs: int = 1000,
    distance: str = "cosine",
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Categoricality: how far distances between classes and within classes are apart (Kolmogorov–Smirnov).

    0 where both are distributed alike, 1 where all pairs between lie farther apart than all within. Pairs
    depend on the labels and the seed alone. An untrained network is not at 0: compare with its twin.

    Reads    response (presentation, neuroid[, time]); label (presentation); layer (neuroid) where there are
             several; stimuli, whose pixels stand first as the layer "pixels"; pairs of each kind; distance
             "cosine" or "correlation"
    Returns  index with _low and _high, presentations of each class drawn again, within, between (the median
             distances), silent (the responses of length 0, which lie 1 from all) (layer[, time])
    Source   Bonnasse-Gahot and Nadal 2022, doi 10.1162/neco_a_01454
    >>> ends = {"response": (("presentation", "neuroid"), np.repeat(np.eye(2), 3, axis=0))}
    >>> index(xr.Dataset(ends, {"side": ("presentation", list("aaabbb"))}), "side", bootstraps=0).index.values
    array([1.])
    """
    _check(confidence, pairs=pairs)
    if distance not in _index.DISTANCES:
        raise ValueError(f"distance: {distance!r}; use one of {', '.join(_index.DISTANCES)}")
    names, codes = np.unique(values(recording, label), return_inverse=True)
    codes = np.ravel(codes)
    asked = _index.drawn(codes, pairs, seed)
    parts = _groups.layers(recording, stimuli)
    found = np.array([
        [_categorical(moment, asked, codes, distance, bootstraps, confidence, seed) for moment in part]
        for part in parts.values()
    ])  # fmt: skip
    dims = ("layer", "time") if "time" in recording["response"].dims else ("layer",)
    columns = ("index", "index_low", "index_high", "within", "between", "silent")
    arrays = found if len(dims) == 2 else found[:, 0]
    made = {name: (dims, arrays[..., k], ONE) for k, name in enumerate(columns)}
    coords = {"layer": list(parts)} | _groups.timed(recording)
    facts = {"label": label, "classes": names.size, "pairs": pairs, "distance": distance, "seed": seed,
             "n": codes.size, "over": "presentations", "bootstraps": bootstraps,
             "confidence": confidence}  # fmt: skip
    return xr.Dataset(made, coords, facts | _groups.inherited(recording))


def boundary(
    recording: xr.Dataset,
    *,
    outputs: xr.Dataset | None = None,
    output: str = "head",
    stimuli: xr.Dataset | None = None,
    classes: Sequence[str | int] = (),
    purity: float = 0.95,
    margin: int = 10,
    distance: str = "cosine",
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Distance of neighbours along continua between two classes, aligned at where the answer changes.

    A continuum is kept where the two classes hold more than `purity` of the answer everywhere, and the
    answer changes `margin` steps or more from both ends. Distances are compared 1 step or less from the
    change with those at the ends of the aligned range: expansion is log₂ of that ratio, 0 for an even space.

    Reads    response (presentation, neuroid) with continuum, alpha from 0 to 1, first_label and second_label
             (presentation), layer (neuroid); outputs, the recording whose layer `output` (logits) decides and
             aligns, its own if None (give an untrained twin the trained one's); stimuli, whose pixels are the
             control; classes in the order of the outputs (none: sorted)
    Returns  distance, share of the second class (place, from the change, in units of alpha), peak, expansion
             (layer), mean_slope (method), each with _low and _high by continua drawn again; threshold and
             slope of a logistic function, crossing, kept, with its reason (continuum)
    Source   Bonnasse-Gahot and Nadal 2022, doi 10.1162/neco_a_01454
    """
    _check(confidence, margin=margin - 1)
    place = _continua.layout(recording)
    told = _groups.matched(recording, recording if outputs is None else outputs)
    logits = _groups.one(told, output)
    known = np.asarray(classes) if len(classes) else np.unique(np.append(place.first, place.second))
    chosen = _continua.choose(logits, place, known, purity, margin)
    kept = int((chosen.reason == "kept").sum())
    if not kept:
        counts = ", ".join(f"{many} {why}" for why, many in _groups.tally(chosen.reason).items())
        raise ValueError(f"continuum: none was kept of {chosen.reason.size} ({counts}); give more of them")
    parts = _groups.layers(recording, stimuli)
    courses, silent = {}, []
    for name, part in parts.items():
        courses[name], many = _continua.distances(_groups.still(part), place, distance)
        silent.append(float(many))
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    draws = rng.multinomial(kept, np.full(kept, 1 / kept), bootstraps).astype(float)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    made = _continua.around(courses, chosen, place, margin, draws, ends)
    coords = {"layer": list(parts), "place": made.pop("place"), "continuum": place.names,
              "reason": ("continuum", chosen.reason), "method": ["logistic"]}  # fmt: skip
    facts = {"kept": kept, "of": chosen.reason.size, "over": "continua", "n": kept, "purity": purity,
             "margin": margin, "distance": distance, "bootstraps": bootstraps, "confidence": confidence,
             "seed": seed, "dropped": str(_groups.tally(chosen.reason))}  # fmt: skip
    made["silent"] = ("layer", silent, ONE)
    return xr.Dataset(made, coords, facts | _groups.inherited(recording))


def psychometric(
    recording: xr.Dataset,
    choice: str,
    along: str = "alpha",
    *,
    by: str | None = None,
    lapse: float = 0.0,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Threshold and slope of choices along a continuum: a logistic function, by maximum likelihood.

    Reads    choice (presentation), 0 or 1 or a share between; along (presentation), a number; by, a
             coordinate each of whose values has a curve of its own; lapse, the share of choices that ignore
             the stimulus, half at each end
    Returns  threshold, slope (continuum), each with _low and _high by choices drawn again at each place;
             observed (NaN where nothing was shown), fitted, shown (continuum, place). NaN where all choices
             of a curve are the same
    Source   Wichmann and Hill 2001, doi 10.3758/BF03194544
    """
    _check(confidence)
    if not 0 <= lapse < 0.5:
        raise ValueError(f"lapse: {lapse}; wanted a share from 0 to below a half")
    x, answer = (values(recording, name).astype(float) for name in (along, choice))
    if not ((answer >= 0) & (answer <= 1)).all() or not np.isfinite(x).all():
        raise ValueError(
            f"choice: {choice!r} leaves 0 to 1, or {along!r} is no number; give shares and places"
        )
    names, codes = (np.array(["all"]), np.zeros(x.size, int)) if by is None else np.unique(
        values(recording, by), return_inverse=True
    )  # fmt: skip
    places, column = np.unique(x, return_inverse=True)
    if places.size < 2:
        raise ValueError(f"along: {along!r} has one place only; give two or more")
    hits, shown = np.zeros((2, names.size, places.size))
    np.add.at(hits, (np.ravel(codes), np.ravel(column)), answer)
    np.add.at(shown, (np.ravel(codes), np.ravel(column)), 1.0)
    found = np.stack(_curves.fit(places, hits, shown, lapse))
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    share = np.divide(hits, shown, out=np.full_like(hits, np.nan), where=shown > 0)
    again = rng.binomial(shown.astype(int), np.nan_to_num(share), (bootstraps, *shown.shape)).astype(float)
    flat = _curves.fit(places, again.reshape(-1, places.size), np.tile(shown, (bootstraps, 1)), lapse)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    made: dict[str, Any] = {}
    for name, now, drawn in zip(("threshold", "slope"), found, flat, strict=True):
        low, high = _groups.quantiles(drawn.reshape(bootstraps, -1), ends)
        for stem, array in zip(("", "_low", "_high"), (now, low, high), strict=True):
            made[name + stem] = ("continuum", array, ONE)
    dims = ("continuum", "place")
    made |= {"observed": (dims, share, ONE), "shown": (dims, shown, ONE),
             "fitted": (dims, _curves.curve(places, found[0], found[1], lapse), ONE)}  # fmt: skip
    facts = {"choice": choice, "along": along, "lapse": lapse, "n": x.size, "over": "choices at each place",
             "bootstraps": bootstraps, "confidence": confidence, "seed": seed}  # fmt: skip
    return xr.Dataset(made, {"continuum": names, "place": places}, facts | _groups.inherited(recording))


def fisher(
    recording: xr.Dataset,
    along: str = "alpha",
    *,
    method: str = "linear",
    templates: xr.Dataset | None = None,
    bootstraps: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Neural Fisher information along a continuum: how well noisy responses tell neighbouring places apart.

    "linear" is f'ᵀ Σ⁻¹ f' between neighbours, corrected for bias; "independent" ignores noise correlations;
    "decoded" is 1 / variance of the place whose mean response lies nearest to each response.

    Reads    response (presentation, neuroid), as many presentations at each value of `along`; layer (neuroid)
             where there are several; templates, a recording of mean responses along the continuum (None:
             means of every other presentation, and the rest are decoded)
    Returns  fisher with _low and _high, presentations drawn again (layer, place), in 1 / (unit of place)²;
             "linear" stands between two places
    Source   Kanitscheider et al. 2015, doi 10.1371/journal.pcbi.1004218; Bonnasse-Gahot and Nadal 2022, doi
             10.1162/neco_a_01454 (decoded)
    """
    _check(confidence)
    if method not in ("linear", "independent", "decoded"):
        raise ValueError(f"method: {method!r}; use linear, independent or decoded")
    places, rows = _groups.repeated(values(recording, along).astype(float), along)
    parts = {name: _groups.still(part) for name, part in _groups.layers(recording, None).items()}
    mean = {} if templates is None else {
        name: _groups.still(part) for name, part in _groups.layers(templates, None).items()
    }  # fmt: skip
    where = None if templates is None else values(templates, along).astype(float)
    made = [
        _groups.information(
            part, places, rows, method, _groups.template(mean, name, where), bootstraps, confidence, seed
        )
        for name, part in parts.items()
    ]
    keys = ("fisher", "fisher_low", "fisher_high")
    found = {key: np.stack([one[k] for one in made]) for k, key in enumerate(keys)}
    stands = places if method == "decoded" else 0.5 * (places[1:] + places[:-1])
    facts = {"method": method, "along": along, "trials": rows.shape[1], "bootstraps": bootstraps,
             "over": "presentations", "confidence": confidence, "seed": seed}  # fmt: skip
    return xr.Dataset(
        {name: (("layer", "place"), array, ONE) for name, array in found.items()},
        {"layer": list(parts), "place": stands}, facts | _groups.inherited(recording),
    )  # fmt: skip


def gaussian(
    *, places: Sequence[float], centres: Sequence[float] = (-0.5, 0.5), deviation: float = 0.5
) -> xr.Dataset:
    """What an ideal observer of Gaussian categories knows: the posterior, and F_cat, largest at the boundary.

    Reads    places along a continuum; centres of equally likely categories of one standard deviation
    Returns  posterior (condition, place); fisher_cat (place), Σ P'(μ|x)² / P(μ|x)
    Source   Bonnasse-Gahot and Nadal 2008, doi 10.1007/s10827-007-0071-5
    >>> float(gaussian(places=[0.0]).fisher_cat[0])
    4.0
    """
    if deviation <= 0 or len(centres) < 2:
        raise ValueError(f"deviation: {deviation} of {len(centres)} centres; wanted above 0, and two or more")
    x = np.asarray(places, float)
    posterior, asked = _fisher.gaussian(x, np.asarray(centres, float), deviation)
    made = {"posterior": (("condition", "place"), posterior, ONE), "fisher_cat": ("place", asked, ONE)}
    return xr.Dataset(made, {"condition": [f"{c:g}" for c in centres], "place": x}, {"origin": "closed form"})


def across(
    trained: xr.Dataset,
    untrained: xr.Dataset | None = None,
    plain: xr.Dataset | None = None,
    *,
    names: Sequence[str] = ("trained", "untrained", "without dropout"),
    published: Mapping[str, Sequence[float]] | None = None,
    published_for: str = "",
    confidence: float = 0.95,
) -> xr.Dataset:
    """Arms of an experiment over seeds: mean of each, and the first less the others, paired by seed.

    Reads    what `index` or `boundary` returned of several seeds, joined along `seed`; names of the arms;
             published, the numbers of a paper for an arm by layer ("pixels" left out), and what they are of
    Returns  every number of a layer (arm, layer[, place]) with _low and _high, Student's over seeds, and
             its difference with _low and _high; published (arm, layer) where given
    Source   Student 1908, doi 10.2307/2331554
    """
    given = [part for part in (trained, untrained, plain) if part is not None]
    return _groups.across(given, list(names), dict(published or {}), published_for, confidence)


def plot(result: xr.Dataset) -> Figure:
    """Index by layer; distances around a boundary; psychometric curves; Fisher information.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    from analyses import _categories_plots

    return _categories_plots.drawn(result)


def _categorical(
    response: np.ndarray, asked: _index.Pairs, codes: np.ndarray, distance: str, bootstraps: int,
    confidence: float, seed: int,
) -> tuple[float, ...]:  # fmt: skip
    rows, silent = _index.unit(response, distance)
    within, between = (_index.apart(rows, pairs) for pairs in asked)
    again = _index.resampled(within, between, asked, codes, bootstraps, seed)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(again, ends) if again.size else (np.nan, np.nan)
    now = float(_index.statistic(within, between)[0])
    return now, float(low), float(high), float(np.median(within)), float(np.median(between)), float(silent)


def _check(confidence: float, **numbers: int) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence}; wanted a number between 0 and 1")
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}: is too small; give more")
