"""Pictures and animals that a training has seen, kept apart from those that it is judged on."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ._encode_model import trained
from ._pictures import hashed

AT_ONCE = 64
SHOWN = 5  # names that a message lists


def refuse(evaluation: xr.Dataset, *, same_subject: bool = False, **seen: xr.Dataset) -> xr.Dataset:
    """The evaluation itself, once none of its pictures and animals has shaped what is judged on it.

    Pictures are known by the hash of their pixels: a copy under another name is the same picture, a resized
    one is another. So resize first, and split afterwards.

    Reads    evaluation, stimuli or a recording with `content`; seen, by name: targets, stimuli, recordings,
             trained weights or encoders, whose held-out pictures do not count; same_subject, declares that
             animals are shared
    Returns  evaluation with attrs apart_from, and subjects_apart: yes, declared, or not stated. ValueError
             names what stands on both sides
    Source   Kapoor and Narayanan 2023, doi 10.1016/j.patter.2023.100804
    """
    if not seen:
        raise ValueError("seen: nothing was given; name what the training has seen")
    own, names = content(evaluation, "evaluation"), _names(evaluation)
    states = []
    for name, part in seen.items():
        both = np.isin(own, sorted(learned(part, name)))
        if both.any():
            told = ", ".join(dict.fromkeys(names[both][:SHOWN]))
            why = f"{len(set(own[both]))} of its pictures stand in {name} too ({told})"
            raise ValueError(f"evaluation: {why}; leave them out of one of both")
        shared = sorted(subjects(evaluation) & subjects(part))
        if shared and not same_subject:
            why = f"{', '.join(shared[:SHOWN])} was recorded for {name} too"
            raise ValueError(f"evaluation: {why}; give another animal, or declare same_subject")
        known = bool(subjects(evaluation)) and bool(subjects(part))
        states.append("declared" if shared else "yes" if known else "not stated")
    worst = next(state for state in ("declared", "not stated", "yes") if state in states)
    return evaluation.assign_attrs(apart_from=", ".join(seen), subjects_apart=worst)


def without(stimuli: xr.Dataset, **seen: xr.Dataset) -> xr.Dataset:
    """The pictures that none of the others holds, by the hash of their pixels.

    Reads    stimuli or a recording with `content`; seen, by name, as `refuse`
    Returns  the rest, in its order; ValueError where nothing is left
    """
    own = content(stimuli, "stimuli")
    gone = set().union(*(learned(part, name) for name, part in seen.items()))
    left = ~np.isin(own, sorted(gone))
    if not left.any():
        raise ValueError(f"stimuli: all {own.size} pictures stand in {', '.join(seen)}; give others")
    dim = "stimulus" if "stimulus" in stimuli.dims else "presentation"
    return stimuli.isel({dim: np.flatnonzero(left)})


def learned(part: xr.Dataset, name: str) -> set[str]:
    """Hashes of all pictures that a Dataset was made of, those behind its predictions among them."""
    behind = set(part["source_content"].values.astype(str)) if "source_content" in part.coords else set()
    if "held_out" in part:
        return behind | trained(part)
    return behind | set(content(part, name).tolist())


def content(part: xr.Dataset, name: str) -> np.ndarray:
    """The hash of each picture, taken from the pixels where they are there."""
    told = part["content"].values.astype(str) if "content" in part.coords else None
    image = part.get("image")
    if image is None or image.dims != ("stimulus", "channel", "y", "x"):
        if told is None:
            raise ValueError(f"{name}: does not say which pictures it holds; give it content, or the stimuli")
        return np.asarray(told)
    blocks = range(0, image.sizes["stimulus"], AT_ONCE)
    made = [hashed(one) for k in blocks for one in np.asarray(image[k : k + AT_ONCE].values)]
    return np.array(made, str)


def subjects(part: xr.Dataset) -> set[str]:
    """Animals or people that a Dataset names, in its attributes or as coordinates."""
    told = {str(part.attrs.get(key, "")) for key in ("subject", "subjects")}
    found = {word.strip() for text in told for word in text.split(",")}
    if "subject" in part.coords:
        found |= set(np.atleast_1d(part["subject"].values).astype(str).tolist())
    return found - {""}


def _names(part: xr.Dataset) -> np.ndarray:
    if "stimulus_id" in part.coords:
        return np.asarray(part["stimulus_id"].values.astype(str))
    return np.arange(content(part, "evaluation").size).astype(str)
