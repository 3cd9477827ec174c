"""What may be said of sensitivities, in sentences that hold what was tested."""

from __future__ import annotations

import xarray as xr

from analyses import _sensitivity_claims, _sensitivity_words


def weigh(
    bars: xr.Dataset,
    *,
    learning: xr.Dataset | None = None,
    gap: xr.Dataset | None = None,
    population: xr.Dataset | None = None,
    flips: xr.Dataset | None = None,
    conditional: xr.Dataset | None = None,
    order: xr.Dataset | None = None,
) -> xr.Dataset:
    """What may be said of sensitivities, each sentence with what was tested, how many, and "lower bound".

    Reads    what the functions of the same names returned, or their `group`; conditional, what `normalised`
             returned of an attack that a judge looked at, with an arm "natural step"
    Returns  sentence, because (claim), text; allowed (claim), 0 or 1. A comparison that leaves out what was
             tested is never made: `guarded` refuses it
    Source   Guo et al. 2022, arXiv 2206.11228; objections to it are inferred from its method
    """
    records = {"bars": bars, "learning": learning, "gap": gap, "population": population, "flips": flips,
               "conditional": conditional, "order": order}  # fmt: skip
    return _sensitivity_claims.weighed({name: part for name, part in records.items() if part is not None})


def guarded(sentence: str, *, population: str, area: str, n: str, origin: str) -> str:
    """The sentence itself, once it says of whom it speaks; ValueError names what a comparison leaves out.

    Reads    a sentence; population, area and n, the words that a comparison must hold, beside "lower bound";
             origin: of simulated data it must say so
    Returns  the sentence
    >>> guarded("Units are as robust as IT.", population="units", area="IT", n="n = 20", origin="model")
    Traceback (most recent call last):
    ...
    ValueError: sentence: compares and leaves out 'lower bound', 'n = 20'; say of whom, how many and how sure
    """
    return _sensitivity_words.guarded(sentence, population=population, area=area, n=n, origin=origin)
