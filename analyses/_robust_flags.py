"""Signs that an attack is weaker than it seems: what is measured, where each begins, and what to do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Flag(NamedTuple):
    """A measured value, the threshold that raises it, and plain words."""

    threshold: float
    side: str  # raised "above" the threshold or "below" it
    unit: str
    words: str  # of the value
    advice: str


FLAGS = {
    "randomised": Flag(
        1e-4, "above", "SD", "largest difference of two passes over the same pictures",
        "average gradients over 10 draws or more, and score over several",
    ),
    "softmax": Flag(
        0.02, "above", "1", "share of pictures whose outputs are probabilities or beyond float range",
        "attack the logits",
    ),
    "zero gradient": Flag(
        0.02, "above", "1", "share of pictures with no gradient at all",
        "gradient unusable: read the black-box result, or attack straight through the stage that has none",
    ),
    "gradient": Flag(
        0.1, "above", "1", "median error of directional derivatives against central differences",
        "average gradients over noise, or attack straight through",
    ),
    "black box": Flag(
        0.0, "above", "score", "what Square wins beyond the attacks by gradient",
        "the gradient misleads: read the black-box result",
    ),
    "transfer": Flag(
        0.0, "above", "score", "what pictures made on a surrogate win beyond the attacks by gradient",
        "the gradient misleads: read the transferred result",
    ),
    "single step": Flag(
        0.999, "above", "1", "gain of one step as a share of the gain of many",
        "steps lead nowhere: look at the loss surface",
    ),
    "noise": Flag(
        0.5, "above", "1", "gain of random noise of equal norm as a share of the attack's",
        "the attack finds no direction",
    ),
    "no floor": Flag(
        0.0, "above", "score", "what is left where every picture lies within the budget, above what may be",
        "the search is stuck: a budget without a limit must break everything",
    ),
    "not monotone": Flag(
        0.0, "above", "score", "largest loss of strength with a larger budget, more steps or more restarts",
        "more work must never be a weaker attack",
    ),
    "not saturated": Flag(
        0.01, "above", "score", "what twice the steps or restarts still win",
        "give more steps and restarts",
    ),
    "loss-sensitive": Flag(
        0.05, "above", "score", "what the best of the losses wins beyond the first",
        "the best of all losses for each picture is reported",
    ),
    "optimisation": Flag(
        0.0, "above", "calls", "gradients taken inside one forward pass",
        "attack end to end, through the optimisation",
    ),
    "active test": Flag(
        0.95, "below", "1", "share of planted adversarial pictures that the attack found",
        "the attack misses what is known to be there",
    ),
}  # fmt: skip

NAMES = tuple(FLAGS)
NOT_EXAMINED, APPLIES_NOT, PASSED, RAISED = "not examined", "does not apply", "passed", "raised"


def state(name: str, measured: float, threshold: float, applies: bool) -> str:
    """Whether the flag is raised; a value that is no number was not examined."""
    if not applies:
        return APPLIES_NOT
    if not np.isfinite(measured):
        return NOT_EXAMINED
    above = measured > threshold if FLAGS[name].side == "above" else measured < threshold
    return RAISED if above else PASSED


def reason(name: str, measured: float, threshold: float, found: str, note: str) -> str:
    """What was measured, against what, and what follows, as one clause."""
    flag = FLAGS[name]
    more = f"; {note}" if note else ""
    if found in (NOT_EXAMINED, APPLIES_NOT):
        return f"{found}{more}"
    limit = f"{flag.side if found == RAISED else 'limit'} {plain(threshold)}"
    told = f"{flag.words} {plain(measured)} ({limit}){more}"
    return f"{told}; {flag.advice}" if found == RAISED else told


def plain(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if np.isfinite(value) else "n/a"
