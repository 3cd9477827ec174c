"""How many bits responses carry about what was shown, free of bias as far as can be, and what they come from.

One recording in, one labelled answer out: of neurons, sensors and model units alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from analyses import _information_choices as _choices
from analyses import _information_labelled as _labelled
from analyses import _information_results as _results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Where = Mapping[str, Any] | None


def single(
    recording: xr.Dataset,
    label: str,
    *,
    estimator: str = "panzeri-treves",
    bins: int = 4,
    binning: str = "quantile",
    code: str = "rate",
    word: int = 1,
    step: int = 1,
    covariance: str = "own",
    permutations: int = 0,
    exchange: str = "auto",
    groups: int = 0,
    repetitions: int = 10,
    shuffles: int = 10,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Mutual information between a label and the response of each neuroid, at every time.

    Estimators: "plugin", biased up; "panzeri-treves", "quadratic" (a + b/N + c/N² through all, halves and
    quarters of the presentations); "shuffle" and "shuffle-panzeri-treves" for words of several letters;
    "gaussian-copula", of ranks as normal scores, bias removed in closed form: a lower bound for one letter,
    right where responses given the label are Gaussian, blind to all but their mean and covariance.

    Reads    response (presentation, neuroid[, time]); label (presentation); code "rate", the sum of `word`
             samples, or "timing", each a letter of a word, the window sliding by `step`; bins, filled
             equally ("quantile"), equally wide ("width"), or counts up to bins - 1 ("count"); covariance of
             normal scores, each label's "own" or "pooled"; groups that a jackknife leaves out
    Returns  information [bit] (neuroid, time) with _low and _high where there are groups; with permutations
             null_mean, null_high, subtracted (information less null_mean), p against the largest of all
             neuroids and times, p_uncorrected, null_most (permutation, time); entropy of the label in attrs
    Source   Panzeri and Treves 1996, doi 10.1088/0954-898X_7_1_006; Strong et al. 1998, doi
             10.1103/PhysRevLett.80.197; Panzeri et al. 2007, doi 10.1152/jn.00559.2007; Ince et al. 2017,
             doi 10.1002/hbm.23471
    >>> import numpy as np
    >>> shown = np.repeat(["a", "b", "c", "d"], 25)
    >>> spikes = {"response": (("presentation", "neuroid"), np.repeat([[0], [1], [2], [3]], 25, axis=0))}
    >>> shown = xr.Dataset(spikes, {"object": ("presentation", shown)})
    >>> single(shown, "object", estimator="plugin").information.values.round(6)
    array([[2.]])
    """
    how = _labelled.asked(estimator, bins, binning, covariance, repetitions, shuffles, seed)
    made = _labelled.coded(
        recording, label, where, code, word, step, permutations, exchange, groups, seed
    )  # fmt: skip
    return _labelled.estimated(made, how, 0, False, confidence)


def population(
    recording: xr.Dataset,
    label: str,
    *,
    neuroids: Sequence[str] | None = None,
    components: int = 0,
    estimator: str = "shuffle-panzeri-treves",
    bins: int = 2,
    binning: str = "quantile",
    code: str = "rate",
    word: int = 1,
    step: int = 1,
    covariance: str = "own",
    permutations: int = 0,
    exchange: str = "auto",
    groups: int = 0,
    repetitions: int = 10,
    shuffles: int = 10,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Mutual information between a label and all neuroids together, at every time.

    Words of more than a few neuroids need more presentations than there are: a warning says so. The
    Gaussian copula reaches further, of `components` further still, but several normal scores need not be
    jointly normal, so its value may lie above the truth. Of neuroids that were not recorded together it is
    the information of a population without noise correlations (attrs).

    Reads    as `single`; neuroids, names of those taken (all); components, principal components of the
             responses, labels unseen, that stand for the neuroids (0: neuroids themselves)
    Returns  as `single`, (time)
    Source   as `single`
    """
    how = _labelled.asked(estimator, bins, binning, covariance, repetitions, shuffles, seed)
    made = _labelled.coded(
        _labelled.named(recording, neuroids), label, where, code, word, step, permutations, exchange, groups,
        seed,
    )  # fmt: skip
    return _labelled.estimated(made, how, components, True, confidence)


def breakdown(
    recording: xr.Dataset,
    label: str,
    *,
    of: str = "pairs",
    together: str = "",
    noise: bool = True,
    estimator: str = "quadratic",
    bins: int = 4,
    binning: str = "quantile",
    groups: int = 0,
    repetitions: int = 10,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Information of neuroids together, broken down: alone, signal similarity, noise correlations.

    information = linear (the sum of each alone) + signal_similarity (≤ 0) + correlation_independent of the
    stimulus + correlation_dependent on it (≥ 0); independent = linear + signal_similarity, what would be left
    without noise correlations. No Panzeri-Treves correction exists for these terms: "quadratic", or "plugin",
    whose bias is that of all words.

    Reads    response (presentation, neuroid[, time]); of "pairs" or "population", all neuroids in one word;
             together, the coordinate of neuroids that were recorded together; noise, False for the two terms
             that need no simultaneous recording; groups, as `single`
    Returns  each term [bit] (neuroid, other_neuroid, time), or (time); NaN for pairs not recorded together;
             mean_* (time), over pairs, with _low and _high where there are groups; shuffled_* (time), what
             estimates of the terms with noise are once presentations are shuffled within labels: 0 but for
             bias
    Source   Pola et al. 2003, doi 10.1088/0954-898X/14/1/303; Panzeri et al. 1999, doi
             10.1098/rspb.1999.0736
    """
    return _results.broken(
        recording, label, of, together, noise, (estimator, bins, binning, repetitions), groups, where,
        confidence, seed,
    )  # fmt: skip


def intersection(
    recording: xr.Dataset,
    label: str,
    choice: str,
    *,
    bins: int = 3,
    binning: str = "quantile",
    code: str = "rate",
    word: int = 1,
    step: int = 1,
    permutations: int = 0,
    where: Where = None,
    seed: int = 0,
) -> xr.Dataset:
    """Information about the stimulus that each neuroid has and the choice was made by.

    The smaller of what response and choice share about the stimulus, and of what response and stimulus share
    about the choice. It is at most the information about the stimulus, and that about the choice. Estimated
    from plain counts, which is biased up: compare with relabellings, in which choices are exchanged between
    presentations of one stimulus, so that response and choice are tied by the stimulus alone. That a code
    could be read out so does not say that it was: only an intervention does.

    Reads    response (presentation, neuroid[, time]); label and choice (presentation); words as `single`
    Returns  intersection, information about the label, and choice_information [bit] (neuroid, time); with
             permutations null_mean, subtracted, p against the largest of all neuroids and times, and
             p_uncorrected; information between label and choice in attrs
    Source   Pica et al. 2017, arXiv 1711.10854; Bertschinger et al. 2014, doi 10.3390/e16042161 (sharing);
             Banerjee, Rauh and Montúfar 2018, arXiv 1709.07487 (the alternation)
    """
    return _choices.intersected(
        recording, label, choice, (bins, binning, code, word, step), permutations, where, seed
    )


def decoded(decoding: xr.Dataset, label: str, *, estimator: str = "panzeri-treves") -> xr.Dataset:
    """Information between labels decoded and labels shown: a lower bound on what responses carry.

    Reads    decision (presentation[, condition], time) of `decoding.time_resolved`, label (presentation);
             estimator "plugin" or "panzeri-treves"
    Returns  information [bit] (time), confusion (condition, other_condition, time), shares of each label
             shown
    Source   Quian Quiroga and Panzeri 2009, doi 10.1038/nrn2578
    """
    return _results.confused(decoding, label, estimator)


def bias(
    *,
    trials: Sequence[int] = (16, 32, 64, 128, 256),
    draws: int = 60,
    tuning: str = "same",
    correlation: float = 0.5,
    repetitions: int = 10,
    shuffles: int = 10,
    seed: int = 0,
) -> xr.Dataset:
    """Every estimator against the truth, by presentations of each stimulus, for two simulated cells.

    Reads    trials, presentations of each of four stimuli; draws, data sets; tuning of the two cells "same"
             or "opposite"; their noise correlation
    Returns  information [bit] (method, setting, draw), trials (setting); truth in attrs, from probabilities
    Source   Panzeri et al. 2007, doi 10.1152/jn.00559.2007 (the question; generator our own)
    """
    return _results.biased(list(trials), draws, tuning, correlation, repetitions, shuffles, seed)


def plot(result: xr.Dataset) -> Figure:
    """Information over time with its null; terms of a breakdown; intersection; bias of estimators.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    from analyses import _information_plots

    return _information_plots.drawn(result)
