"""Properties of population codes that a circuit has to live with: sparse, mixed, correlated, timed, lasting.

One recording in, one labelled answer out; `table` puts the answers of one recording together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from analyses import _codes_results as _results
from analyses import _codes_table as _table
from analyses import _codes_times as _times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Where = Mapping[str, Any] | None


def sparseness(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    shuffles: int = 20,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """How few stimuli a neuroid answers (lifetime), and how few neuroids answer a stimulus (population).

    Treves-Rolls is 1 for equal responses and 1/n for one alone; Vinje-Gallant and Hoyer are 0 and 1. Means of
    few presentations are sparse by chance: lifetime_null is what exchanged stimuli give.

    Reads    response (presentation, neuroid[, time]), at least 0; by (presentation), what was shown
    Returns  lifetime_treves_rolls, _vinje_gallant, _hoyer (neuroid, time), population_* (condition, time),
             lifetime_null (neuroid, time); lifetime_median, population_median of Vinje-Gallant with _low and
             _high (time), neuroids or stimuli drawn again; NaN where nothing responds
    Source   Treves and Rolls 1991, doi 10.1088/0954-898X_2_4_004; Vinje and Gallant 2000, doi
             10.1126/science.287.5456.1273; Hoyer 2004, jmlr.org/papers/v5/hoyer04a
    """
    return _results.sparseness(recording, by, shuffles, where, confidence, seed)


def heterogeneity(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    window: Sequence[float] | None = None,
    sizes: Sequence[int] = (1, 2, 5, 10, 20, 50, 100),
    draws: int = 20,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """How neuroids differ in tuning, and what that is worth: mixed populations against copies of one neuroid.

    Both kinds respond with Poisson counts at the same mean rate, simulated from measured tuning, and are
    decoded by the most likely stimulus: the worth of mixed tuning, not of real noise.

    Reads    response (presentation, neuroid[, time]), counts; by; window [s] over which responses are
             averaged; sizes of populations, draws of neuroids
    Returns  preferred, tuning_width (share of stimuli above half the largest response), gain, mean_response,
             fano_factor (neuroid); accuracy (arm, setting, draw), size (setting); preferred_entropy in attrs,
             1 where preferences are spread evenly
    Source   Shamir and Sompolinsky 2006, doi 10.1162/neco.2006.18.8.1951 (the question; measure our own)
    """
    return _results.heterogeneity(recording, by, window, sizes, draws, where, confidence, seed)


def correlations(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    window: Sequence[float] | None = None,
    together: str = "",
    noise: bool = True,
    bins: int = 5,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Signal correlations of mean responses, noise correlations of responses z-scored within stimuli.

    Noise correlations exist only between neuroids recorded together: others are refused, or, with `together`,
    left out. Higher rates give higher noise correlations, so their tie to signal correlations is given again
    among pairs of like rate.

    Reads    response (presentation, neuroid[, time]); by, shown three times or more; window [s]; together, a
             coordinate of neuroids that is equal for those recorded together, such as "recording"; noise,
             False for signal alone; bins of rate
    Returns  signal, without what noise adds, signal_raw, noise (neuroid, other_neuroid); attrs noise_mean
             with _low and _high (sessions or pairs drawn again), noise_shuffled (presentations shuffled
             within stimuli), noise_on_signal, noise_on_rate, noise_on_signal_matched
    Source   Cohen and Kohn 2011, doi 10.1038/nn.2842; de la Rocha et al. 2007, doi 10.1038/nature06028
    """
    return _results.correlations(
        recording, by, window, together, noise, bins, where, confidence, seed
    )  # fmt: skip


def fisher(
    recording: xr.Dataset,
    label: str,
    *,
    window: Sequence[float] | None = None,
    together: str = "",
    where: Where = None,
) -> xr.Dataset:
    """Linear Fisher information between every two labels, and what it is without noise correlations.

    Reads    response (presentation, neuroid[, time]) of neuroids recorded together; label (presentation)
    Returns  fisher, fisher_shuffled (condition, other_condition), the squared difference of means in units of
             noise, bias of few presentations removed; NaN for fewer than (neuroids + 3) / 2
    Source   Kanitscheider et al. 2015, doi 10.1371/journal.pcbi.1004218; Moreno-Bote et al. 2014, doi
             10.1038/nn.3807
    """
    return _results.fisher(recording, label, window, together, where)


def timescales(
    recording: xr.Dataset,
    *,
    window: Sequence[float] | None = None,
    by: str = "",
    bootstraps: int = 200,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Intrinsic timescale: decay of the correlation of spike counts with the time between them.

    A (exp(-lag/τ) + B) is fitted to the autocorrelation over presentations, of each neuroid, and of their
    mean.

    Reads    response (presentation, neuroid, time) in bins that do not overlap; window [s], best before the
             stimulus; by, whose mean responses are taken away first
    Returns  timescale [s], amplitude, offset, r2 (neuroid), NaN where nothing decays; autocorrelation
             (neuroid, lag), mean_autocorrelation (lag); timescale of the mean in attrs, with _low and _high,
             neuroids drawn again
    Source   Murray et al. 2014, doi 10.1038/nn.3862
    """
    return _times.timescales(recording, by, window, where, bootstraps, confidence, seed)


def latency(
    recording: xr.Dataset,
    label: str,
    *,
    window: Sequence[float] | None = None,
    bins: int = 4,
    permutations: int = 0,
    exchange: str = "auto",
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Latency code against count code: information of the number of spikes, of the first one's time, of both.

    Reads    response (presentation, neuroid, time), counts in bins that do not overlap; window [s]; bins,
             filled equally, of counts and of times; no spike counts as the latest
    Returns  information [bit] (code, neuroid) by Panzeri and Treves, spikes, first_spike [s] (neuroid),
             beyond_count, what both say more than the count; with permutations null_mean, subtracted, p
             against the largest of all neuroids, p_uncorrected; then beyond_count is of `subtracted`
    Source   Panzeri et al. 2001, doi 10.1016/S0896-6273(01)00251-3; Gollisch and Meister 2008, doi
             10.1126/science.1149639
    """
    return _times.latency(
        recording, label, window, bins, permutations, exchange, where, confidence, seed
    )  # fmt: skip


def precision(
    recording: xr.Dataset,
    label: str,
    *,
    widths: Sequence[float],
    jitters: Sequence[float] = (),
    window: Sequence[float] | None = None,
    draws: int = 10,
    bins: int = 2,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Temporal precision: information of one window in ever narrower bins, and after spikes were moved.

    Words of more letters are more biased; the control draws every spike's time anew within the window, its
    count kept, and has the same words: `timing` is what lies above it, each less what exchanged labels give.

    Reads    response (presentation, neuroid, time), counts in bins that do not overlap; widths [s] that
             divide the window; jitters [s], farthest move either way; draws of moves; bins, counts up
             to bins - 1
    Returns  information, null_mean, times_drawn_anew, timing [bit] (width, neuroid); jittered
             (jitter, neuroid) of the narrowest bins; spikes (neuroid)
    Source   Panzeri et al. 2010, doi 10.1016/j.tins.2009.12.001; Kayser et al. 2010, doi
             10.1523/JNEUROSCI.1548-10.2010
    """
    return _times.precision(
        recording, label, window, list(widths), list(jitters), draws, bins, where, confidence, seed
    )  # fmt: skip


def consistency(
    recording: xr.Dataset,
    *,
    by: str = "stimulus_id",
    order: str = "",
    splits: int = 20,
    where: Where = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Whether tuning stays the same from one moment to another, and from early to late presentations.

    Reads    response (presentation, neuroid[, time]); by, shown four times or more; order, a number of
             presentations, such as "repetition"; splits into random halves
    Returns  likeness (time, test_time), correlation of tuning between halves; reliability (time), its
             diagonal; persistence, likeness over the reliability of both times, NaN below 0.1; with
             order, early_late and drift (time), reliability less early_late
    Source   Stokes et al. 2013, doi 10.1016/j.neuron.2013.01.039 (cross-temporal patterns)
    """
    return _times.consistency(recording, by, order, splits, where, confidence, seed)


def table(
    *,
    information: xr.Dataset | None = None,
    population: xr.Dataset | None = None,
    breakdown: xr.Dataset | None = None,
    sparseness: xr.Dataset | None = None,
    heterogeneity: xr.Dataset | None = None,
    correlations: xr.Dataset | None = None,
    timescales: xr.Dataset | None = None,
    latency: xr.Dataset | None = None,
    precision: xr.Dataset | None = None,
    consistency: xr.Dataset | None = None,
    window: Sequence[float] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Design constraints: each property of the code, its measured value, its effect, a rule for a circuit.

    The rows follow the questions of the review; values, effects and rules are of the recording given here.

    Reads    what functions of this module and of `information` returned, of one recording; window [s], over
             which courses are averaged
    Returns  value, low, high, n (property) with measure, unit, about, effect, rule as text; a property that
             was not given or cannot be known from the recording stands with NaN and says why
    Source   Panzeri et al. 2023, doi 10.1088/2634-4386/acaf9c (the properties)
    """
    given = {
        "information": information, "population": population, "breakdown": breakdown,
        "sparseness": sparseness, "heterogeneity": heterogeneity, "correlations": correlations,
        "timescales": timescales, "latency": latency, "precision": precision, "consistency": consistency,
    }  # fmt: skip
    return _table.made(given, window, confidence, seed)


def plot(result: xr.Dataset) -> Figure:
    """Indices over time, populations by size, pairs, decays, codes, widths, times, or the table.

    Reads    what a function of this module returned
    Returns  a matplotlib Figure
    """
    from analyses import _codes_plots

    return _codes_plots.drawn(result)
