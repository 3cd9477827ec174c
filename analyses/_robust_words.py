"""Sentences about a score under attack: a flagged one never says what it did not earn."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from analyses._robust_flags import NOT_EXAMINED, RAISED
from analyses._wording import number

WITHHELD = "robustness not established"
OF_THE_MODEL = (
    "What was attacked is a model that predicts responses, not the brain: how neurons answer to these "
    "pictures is not known until it is recorded"
)
OF_A_NETWORK = "What was attacked is a trained network; nothing is said about brains"


def sentences(audit: xr.Dataset) -> dict[str, tuple[str, str, bool]]:
    """claim → sentence, reasons, and whether it is made without reserve."""
    moved = "change" in audit
    raised, open_ = _states(audit)
    facts = f"{_responses(audit) if moved else _classes(audit)} ({_record(audit)})"
    because = "; ".join([*raised.values(), *open_.values()])
    if raised or open_:
        names = ", ".join(raised) + (" and " if raised and open_ else "")
        names += f"not examined: {', '.join(open_)}" if open_ else ""
        text = f"{WITHHELD} ({names}): {facts}"
    else:
        text, because = (
            _earned(audit, facts, moved),
            "every sign of a weak attack was examined, none was raised",
        )
    subject = OF_THE_MODEL if moved else OF_A_NETWORK
    return {
        "strength": (f"{_capital(text)}.", because, not (raised or open_)),
        "subject": (f"{subject}.", "an attack sees the gradient of the model alone", True),
    }


def _states(audit: xr.Dataset) -> tuple[dict[str, str], dict[str, str]]:
    """name → reason of flags that are raised, and of those that were not examined."""
    if "raised" not in audit:
        return {}, {"any sign of a weak attack": "no audit was made"}
    states = audit["state"].values.astype(str)
    rows = list(
        zip(audit["flag"].values.astype(str), states, audit["reason"].values.astype(str), strict=True)
    )
    raised = {name: f"{name}: {why}" for name, state, why in rows if state == RAISED}
    return raised, {name: f"{name}: {why}" for name, state, why in rows if state == NOT_EXAMINED}


def _earned(audit: xr.Dataset, facts: str, moved: bool) -> str:
    if moved:
        return facts
    place = _judged(audit)
    low, chance = float(audit["union_low"].values[place]), float(audit.attrs.get("chance", 0.0))
    return f"robust to these attacks: {facts}" if low > chance else f"not robust: {facts}"


def _judged(audit: xr.Dataset) -> int:
    """The place of the budget that is spoken of: the one in attrs, else the largest below the range."""
    epsilon = audit["epsilon"].values
    if "epsilon" in audit.attrs:
        return int(np.abs(epsilon - float(audit.attrs["epsilon"])).argmin())
    below = np.flatnonzero(epsilon < float(audit.attrs.get("range", np.inf)))
    return int(below[-1]) if below.size else len(epsilon) - 1


def _classes(audit: xr.Dataset) -> str:
    place = _judged(audit)
    left = _interval(audit, "union", place, 100)
    clean = " ".join(
        (number(100 * float(audit.attrs["clean_accuracy"])),
         f"[{_percent(audit, 'low')}, {_percent(audit, 'high')}]")
    )  # fmt: skip
    return (
        f"of {audit.attrs['n']} pictures at most {left} % keep their label within {_budget(audit, place)} "
        f"under {_counted(audit)}, the worst for each picture; clean {clean} %, chance {_chance(audit)}; an "
        "upper bound"
    )


def _responses(audit: xr.Dataset) -> str:
    place = _judged(audit)
    moved = _interval(audit, "union", place, 1)
    noise, unit = "", " SD" if audit["change"].attrs.get("units") == "SD" else ""
    names = list(audit["attack"].values.astype(str))
    if "noise" in names:
        still = float(audit["change"].values[names.index("noise"), place])
        noise = f"; random noise of equal norm by {number(still)}{unit}"
    return (
        f"within {_budget(audit, place)} the prediction is moved by {moved}{unit} at least, the mean "
        f"of {audit.attrs['n']} pictures, under {_counted(audit)}, the worst for each picture{noise}; a "
        "lower bound"
    )


def _interval(audit: xr.Dataset, name: str, place: int, factor: float) -> str:
    found, low, high = (factor * float(audit[f"{name}{end}"].values[place]) for end in ("", "_low", "_high"))
    return f"{number(found)} [{number(low)}, {number(high)}]"


def _percent(audit: xr.Dataset, end: str) -> str:
    return number(100 * float(audit.attrs[f"clean_accuracy_{end}"]))


def _chance(audit: xr.Dataset) -> str:
    return f"{number(100 * float(audit.attrs['chance']))} %" if "chance" in audit.attrs else "not stated"


def _counted(audit: xr.Dataset) -> str:
    count = audit.sizes["attack"]
    return f"{count} attack{'s' if count > 1 else ''}"


def _budget(audit: xr.Dataset, place: int) -> str:
    return budget(float(audit["epsilon"].values[place]), str(audit.attrs["norm"]))


def budget(epsilon: float, norm: str) -> str:
    """A budget in words: Linf 8/255, L2 .5."""
    size = f"{255 * epsilon:.3g}/255" if norm == "linf" else number(epsilon)
    return f"{norm.capitalize()} {size}"


def _record(audit: xr.Dataset) -> str:
    """Searches with loss, steps, step size, restarts and knowledge, then target and seed."""
    held: dict[str, Any] = {
        name: audit[name].values
        if name in audit.coords
        else np.full(audit.sizes["attack"], audit.attrs[name])
        for name in ("search", "loss", "steps", "step_size", "restarts", "knowledge")
    }
    rows = zip(*held.values(), strict=True)
    told = [
        f"{search} on {loss}, {steps} x {restarts}, step {number(float(size)) if size else 'its own'}, {sees}"
        for search, loss, steps, size, restarts, sees in rows
    ]
    target, seed = audit.attrs["target"], audit.attrs["seed"]
    return f"{'; '.join(dict.fromkeys(told))}; target {target}; seed {seed}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
