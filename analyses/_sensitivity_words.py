"""Sentences on sensitivities: whom they speak of, how many, and that every value is a lower bound."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from analyses._wording import number

SENSITIVE = "sensitive|robust|susceptible|vulnerable|stable|fragile"
COMPARES = re.compile(
    rf"\b(?:as|more|less|equally|most|least|similarly) (?:{SENSITIVE})\b|\bexceeds?\b|\bbetween\b"
    r"|\b(?:sensitiv|robust|susceptib)\w* (?:as|than)\b|\babove (?:adversarially|vanilla)",
    re.IGNORECASE,
)
BOUND = "lower bound"
PREDICTOR = (
    "An attack on a predictor is not an attack on a brain: what is shown is how far these responses move, "
    "and nothing is said of a brain that was not recorded"
)
INFERRED = (
    "The objections that these controls answer are inferred from the method of Guo et al. 2022 (arXiv "
    "2206.11228); they are not the words of those who commented on it, whose text is not known here"
)


def guarded(sentence: str, *, population: str, area: str, n: str, origin: str) -> str:
    """The sentence; ValueError names what a comparison leaves out, or that data are simulated."""
    if COMPARES.search(sentence):
        wanted = (BOUND, population, area, n)
        lacks = [repr(word) for word in wanted if not word or word.lower() not in sentence.lower()]
        if lacks:
            raise ValueError(
                f"sentence: compares and leaves out {', '.join(lacks)}; say of whom, how many and how sure"
            )
    if "simulat" in origin.lower() and "simulated" not in sentence.lower():
        raise ValueError("sentence: speaks of simulated data and does not say so; say simulated")
    return sentence


def interval(value: Any, low: Any, high: Any, digits: int = 3) -> str:
    """A number and its interval: 2.31 [1.9, 2.8]."""
    parts = [number(float(part), digits) for part in (value, low, high)]
    return f"{parts[0]} [{parts[1]}, {parts[2]}]"


def finite(*values: Any) -> bool:
    return all(isinstance(value, int | float) and isfinite(value) for value in values)


def whose(attrs: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Population, area and n of a record, as words."""
    population = str(attrs.get("population") or "unstated population")
    area = str(attrs.get("area") or "area not stated")
    starts = f" in {attrs['seeds']} random starts" if "seeds" in attrs else ""
    many = f"n = {attrs.get('neuroids', '?')} neuroids x {attrs.get('pictures', '?')} pictures{starts}"
    return population, area, many


def tail(attrs: Mapping[Any, Any]) -> str:
    """What every comparison ends with."""
    population, area, many = whose(attrs)
    if "simulat" in str(attrs.get("origin", "")).lower() and "simulat" not in population:
        population = f"simulated {population}"
    norm = attrs.get("norm", "not stated")
    return f"tested: {population}; area: {area}; {many}; norm {norm}; each value is a {BOUND}"
