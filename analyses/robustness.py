"""What attacks leave of a score, the signs that they were too weak, and the sentence that may be printed.

Nothing here attacks: Datasets of attacks come in. Accuracy under attack counts clean errors as errors,
success counts only pictures that were right before, and a number that a flag was raised for is no headline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.stats import norm as normal

from analyses import _robust_counts, _robust_flags, _robust_words
from analyses._robust_flags import FLAGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD = {  # what a number under attack is worth nothing without
    "norm": str, "search": str, "loss": str, "steps": int, "step_size": float, "restarts": int, "n": int,
    "seed": int, "knowledge": str, "target": str,
}  # fmt: skip
PER_ATTACK = ("search", "loss", "steps", "step_size", "restarts", "knowledge")


def complete(recording: xr.Dataset) -> xr.Dataset:
    """The Dataset itself, once its record says how it was attacked.

    Reads    attrs norm, search, loss, steps, step_size (of epsilon; 0 where the search chooses), restarts, n,
             seed, knowledge, target; epsilon, a coordinate. Where there are several attacks, what differs may
             be a coordinate of `attack`
    Returns  the same object; ValueError names what is missing
    Source   Carlini et al. 2019, arXiv 1902.06705
    """
    if "epsilon" not in recording.coords:
        raise ValueError("record: has no epsilon; keep the budget of the attack as a coordinate")
    for name, kind in RECORD.items():
        if name in PER_ATTACK and name in recording.coords and recording[name].dims == ("attack",):
            continue
        if name not in recording.attrs:
            raise ValueError(f"record: has no {name}; a number under attack is not read without it")
        value = recording.attrs[name]
        wanted = (str,) if kind is str else (int, float, np.number)
        if not isinstance(value, wanted) or value == "" or value != value:
            raise ValueError(f"record: {name} is {value!r}; give what the attack was run with")
    return recording


def joined(attacks: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Records of single attacks on the same pictures as one, along `attack`.

    Reads    name → what `pipeline.stages.attack` returned: broken or value (epsilon, stimulus), right or
             clean (stimulus), all with the same epsilon and stimulus_id
    Returns  the same variables with `attack` first, and what each was run with as coordinates of it;
             ValueError where pictures, budgets, norms or targets differ
    """
    records = {name: complete(record) for name, record in attacks.items()}
    if not records:
        raise ValueError("attacks: none given; give one at least")
    first, *others = records.values()
    for name, record in zip(list(records)[1:], others, strict=True):
        for key in ("epsilon", "stimulus_id"):
            if not np.array_equal(first[key].values, record[key].values):
                raise ValueError(f"attacks: {name!r} has another {key}; run it on the same")
        for key in ("norm", "target"):
            if first.attrs[key] != record.attrs[key]:
                raise ValueError(f"attacks: {name!r} has another {key}; they are not one table")
    kept = [
        name for name in ("broken", "value", "size") if all(name in record for record in records.values())
    ]
    made: dict[str, Any] = {
        name: (
            ("attack", *map(str, first[name].dims)),
            np.stack([record[name].values for record in records.values()]),
            dict(first[name].attrs),
        )
        for name in kept
    }
    made |= {name: first[name] for name in ("right", "clean") if name in first}
    coords: dict[str, Any] = {"attack": list(records), "epsilon": first["epsilon"]}
    coords["stimulus_id"] = first["stimulus_id"]
    for name in PER_ATTACK:
        coords[name] = ("attack", np.array([record.attrs[name] for record in records.values()]))
    told = {key: value for key, value in first.attrs.items() if key not in PER_ATTACK}
    return xr.Dataset(made, coords, told)


def accounting(recording: xr.Dataset, *, confidence: float = 0.95) -> xr.Dataset:
    """The table of attacks: each alone, and the worst of all for each picture.

    Reads    broken ([attack,] epsilon, stimulus) and right (stimulus), both 0 or 1; or, where a response is
             moved, value ([attack,] epsilon, stimulus) and clean (stimulus) in SD; size ([attack,] epsilon,
             stimulus) of searches for the smallest perturbation; a complete record
    Returns  classes: accuracy (attack, epsilon), clean errors counted; success (attack, epsilon), of the
             pictures that were right, NaN where none was; union (epsilon), right under every attack; each
             with the exact binomial _low and _high; distance (attack), the median smallest size over pictures
             that were right, failures as infinity. Responses: change (attack, epsilon) and union (epsilon),
             means over pictures with _low and _high. attrs clean_accuracy, n, n_right
    Source   Carlini et al. 2019, arXiv 1902.06705; Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404
    """
    complete(recording)
    if "attack" not in recording.dims:
        several = {
            str(name): part.expand_dims(attack=1)
            for name, part in recording.items()
            if "epsilon" in part.dims
        }
        recording = recording.assign(several).assign_coords(attack=[str(recording.attrs["search"])])
    n = recording.sizes["stimulus"]
    if "broken" in recording:
        made, told = _robust_counts.classes(recording, confidence)
    elif "value" in recording and "clean" in recording:
        made, told = _robust_counts.responses(recording, confidence)
    else:
        raise ValueError("recording: has neither broken nor value with clean; give what attacks returned")
    coords = {
        str(name): coord
        for name, coord in recording.coords.items()
        if coord.dims and "stimulus" not in coord.dims
    }
    told = {str(key): value for key, value in recording.attrs.items()} | told
    told |= {"n": n, "confidence": confidence}
    return xr.Dataset(made, coords, told)


def monotone(recording: xr.Dataset, *, variable: str = "value", tolerance: float = 1e-6) -> xr.Dataset:
    """Pictures for which more budget, steps or restarts gave a weaker attack.

    Reads    variable (..., stimulus), with one of the dimensions epsilon, step or restart in rising order;
             tolerance, of the values' range
    Returns  drops (..., stimulus), how often the value fell; attrs pictures, how many pictures have one, and
             largest, the largest fall
    """
    found = recording[variable]
    along = [dim for dim in ("epsilon", "step", "restart") if dim in found.dims]
    if len(along) != 1:
        raise ValueError(f"{variable}: has {along or 'none'} of epsilon, step and restart; wanted one")
    values = found.transpose(..., along[0], "stimulus").values.astype(float)
    fall = -np.diff(values, axis=-2)
    limit = tolerance * (float(np.ptp(values)) if values.size else 0.0)
    drops = (fall > limit).sum(axis=-2)
    dims = [str(dim) for dim in found.dims if dim != along[0]]
    coords = {str(k): c for k, c in recording.coords.items() if set(c.dims) <= set(dims) and c.dims}
    some = drops.reshape(-1, drops.shape[-1]).any(axis=0)
    told = {"pictures": int(some.sum()), "largest": float(max(fall.max(initial=0.0), 0.0))}
    held = (tuple(d for d in found.transpose(..., along[0], "stimulus").dims if d != along[0]), drops)
    return xr.Dataset({"drops": (*held, {"units": "1"})}, coords, told)


def excess(stronger: np.ndarray, weaker: np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """By how much one attack beats another on the same pictures, and the least that is more than luck.

    Reads    stronger, weaker (stimulus), what each attack did to each picture: 0 or 1, or a change
    Returns  mean difference; the end of its one-sided interval around 0, over pictures
    Source   McNemar 1947, doi 10.1007/BF02295996
    """
    difference = np.asarray(stronger, float) - np.asarray(weaker, float)
    if not difference.size:
        return 0.0, 0.0
    spread = float(np.sqrt((difference**2).sum())) / difference.size
    return float(difference.mean()), float(normal.ppf(confidence)) * spread


def flags(
    measured: Mapping[str, float],
    *,
    threshold: Mapping[str, float] | None = None,
    note: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
) -> xr.Dataset:
    """The table of signs: what was measured, the threshold, whether it is raised, and why.

    Reads    measured, name → value (absent or NaN: not examined); threshold, where it is another than the
             table's, such as one that depends on n; note, more words; without, flags that do not apply
    Returns  measured, threshold, raised (0 or 1), state ("raised", "passed", "not examined", "does not
             apply"), reason (flag)
    Source   Croce et al. 2020, arXiv 2003.01690; Carlini et al. 2019, arXiv 1902.06705; Zimmermann et al.
             2022, arXiv 2206.13991
    >>> flags({"zero gradient": 0.4}).raised.sel(flag="zero gradient").item()
    1
    """
    unknown = [name for name in (*measured, *(threshold or {}), *without) if name not in FLAGS]
    if unknown:
        raise ValueError(f"measured: {unknown[0]!r} is no flag; there are {', '.join(FLAGS)}")
    limits = {name: flag.threshold for name, flag in FLAGS.items()} | dict(threshold or {})
    rows = []
    for name in FLAGS:
        value = float(measured.get(name, np.nan))
        found = _robust_flags.state(name, value, limits[name], name not in without)
        why = _robust_flags.reason(name, value, limits[name], found, (note or {}).get(name, ""))
        rows.append((value, limits[name], int(found == _robust_flags.RAISED), found, why))
    columns = dict(
        zip(("measured", "threshold", "raised", "state", "reason"), zip(*rows, strict=True), strict=True)
    )
    units = {"units": "1"}
    made = {name: ("flag", np.array(column), units) for name, column in columns.items()}
    return xr.Dataset(made, {"flag": list(FLAGS)})


def weigh(audit: xr.Dataset) -> xr.Dataset:
    """What may be said of a score under attack, as sentences that can be printed as they are.

    Reads    what `accounting` and `flags` returned, merged; a record without flags is one of which nothing
             was examined
    Returns  sentence, because (claim), text; allowed (claim), 0 or 1. The claims: strength, what the attacks
             left, where a flag withholds the word; subject, what was attacked
    """
    complete(audit)
    if "union" not in audit or audit["union"].dims != ("epsilon",):
        raise ValueError("audit: has no union over epsilon alone; account for one neuroid at a time")
    told = _robust_words.sentences(audit)
    columns = {name: [row[k] for row in told.values()] for k, name in enumerate(("sentence", "because"))}
    made: dict[str, Any] = {
        name: ("claim", np.array(column), {"units": "1"}) for name, column in columns.items()
    }
    made["allowed"] = ("claim", np.array([int(row[2]) for row in told.values()]), {"units": "1"})
    return xr.Dataset(made, {"claim": list(told)}, dict(audit.attrs))


def plot(result: xr.Dataset) -> Figure:
    """The score over epsilon under each attack and under the worst of all, flags named, and the loss surface.

    Where a response is moved the range is left out, which would dwarf the rest; of neuroids, the median.

    Reads    what `accounting` returned; with `flags` and surface (step, component) of an audit
    Returns  a matplotlib Figure
    """
    from analyses._robust_plots import drawn

    return drawn(result)
