"""Which presentations train and which test, and what they may share.

A stimulus, an identity, a run or a subject that stands on both sides of a split lets a decoder recognise
instead of generalise. `split` therefore keeps them apart by default, crossing stimuli with runs where
every run shows every stimulus; `audit` counts what any split shares, a user's too, and refuses what was
not declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import gammaln

from analyses._labelled import values

CONTENT = ("identity", "stimulus_id", "content")  # what was shown
CIRCUMSTANCE = ("subject", "run")  # when and to whom
UNGROUPED = "ungrouped"
LEVELS = ("auto", "presentation")  # of exchange


def split(
    recording: xr.Dataset,
    label: str,
    *,
    folds: int = 5,
    groups: str | Sequence[str] = "auto",
    overlap: Sequence[str] = (),
    seed: int = 0,
) -> xr.Dataset:
    """Training and test presentations of every fold.

    Reads    label (presentation) and the coordinates that `groups` names; "auto" keeps identity, stimulus,
             subject and run apart as far as the design allows; "ungrouped" is stratified folds that keep
             nothing apart
    Returns  train, test (fold, presentation), stratum (presentation) within which labels may be exchanged;
             attrs say what was kept apart and what is shared; ValueError when there are too few groups, or
             when training and test share what `overlap` does not declare
    Source   Kriegeskorte et al. 2009, doi 10.1038/nn.2303 (circularity); grouping as in cross-validation
             practice
    """
    codes = np.unique(values(recording, label), return_inverse=True)[1].ravel()
    if codes.max(initial=0) < 1:
        raise ValueError(f"label {label!r}: one class only; decoding needs two")
    if folds < 2:
        raise ValueError(f"folds: {folds}; at least 2 are needed")
    rng = np.random.default_rng(seed)
    if groups == UNGROUPED:
        members = [_deal(np.arange(codes.size), codes, folds, rng)]
        kept: list[str] = []
    elif groups == "auto":
        members, kept = _automatic(recording, codes, folds, rng)
    else:
        kept = [groups] if isinstance(groups, str) else list(groups)
        members = _cross([_joined(recording, kept)], kept, codes, folds, rng)
    train, test = _sides(members)
    made = _dataset(train, test, {"kept_apart": ", ".join(kept) or "nothing", "seed": seed})
    made["stratum"] = ("presentation", members[0], {"units": "1"})
    declared = _present(recording) if groups in (UNGROUPED, "auto") else list(overlap)
    shared = audit(recording, made, label=label, declared=declared)
    made.attrs["shared"] = shared.attrs["shared"]
    return made


def audit(
    recording: xr.Dataset,
    folds: xr.Dataset,
    *,
    label: str = "",
    declared: Sequence[str] = (),
    gap: float = 0.0,
) -> xr.Dataset:
    """What training and test share, fold by fold, for any split.

    Reads    train, test (fold, presentation); coordinates identity, stimulus_id, content, subject, run
             where they stand, and onset [s] within run
    Returns  overlap (key, fold): values of each coordinate that stand on both sides; distance (fold) [s]
             between the nearest training and test onsets of one run; ValueError names an overlap that is
             not declared, or a distance below `gap` [s]. A coordinate with one value, or with one value a
             class, cannot be kept apart and is listed as shared
    """
    train, test = np.asarray(folds["train"].values), np.asarray(folds["test"].values)
    if (train & test).any():
        fold, row = np.argwhere(train & test)[0]
        raise ValueError(f"fold {fold}: presentation {row} stands in training and in test")
    keys = _present(recording)
    counts = np.array([_shared(values(recording, key), train, test) for key in keys]).reshape(-1, len(train))
    codes = values(recording, label) if label else np.zeros(train.shape[1])
    shared = [key for key, row in zip(keys, counts, strict=True) if row.any()]
    for key, row in zip(keys, counts, strict=True):
        if row.any() and key not in declared and _separable(values(recording, key), codes):
            raise ValueError(
                f"fold {np.argmax(row > 0)}: {row.max()} values of {key!r} stand in training and in test; "
                f"keep {key!r} apart through groups, or declare it in overlap"
            )
    distance = _distances(recording, train, test)
    if gap and not (distance >= gap).all():
        fold = int(np.argmin(distance >= gap))
        near = f"{distance[fold]:.4g} s" if np.isfinite(distance[fold]) else "unknown (no onset)"
        raise ValueError(
            f"fold {fold}: the nearest training and test onsets of one run are {near} apart; gap asks for "
            f"{gap:.4g} s, leave out what lies between"
        )
    return xr.Dataset(
        {
            "overlap": (("key", "fold"), counts.astype(np.int64), {"units": "1"}),
            "distance": (("fold",), distance, {"units": "s"}),
        },
        coords={"key": ("key", np.array(keys, dtype=str))},
        attrs={"shared": ", ".join(shared)},
    )


def relabel(
    recording: xr.Dataset,
    label: str,
    folds: xr.Dataset,
    permutations: int,
    seed: int = 0,
    *,
    exchange: str = "auto",
) -> np.ndarray:
    """Labels as they might have been, exchanged between whole identities of one stratum of the folds.

    Where the label varies within an identity, stimuli are exchanged, and where it varies within a stimulus,
    presentations of one run. What folds do not keep apart is exchanged across them. "presentation" asks for
    the last at once: a test of these stimuli, which says nothing of others.

    Reads    label, and the coordinates that say what was shown and when; stratum (presentation), else test
    Returns  codes (permutations, presentation), 0 .. classes-1, the folds' class balance kept
    Source   Valente et al. 2021, doi 10.1016/j.neuroimage.2021.118120 (the level of exchange)
    """
    codes, first, which, stratum = _exchange(recording, label, folds, exchange)
    out = np.empty((permutations, codes.size), dtype=np.int64)
    for number, child in enumerate(stream(recording, seed).spawn(permutations)):
        rng, of_group = np.random.default_rng(child), codes[first].copy()
        for value in np.unique(stratum):
            inside = np.flatnonzero(stratum == value)
            of_group[inside] = of_group[rng.permutation(inside)]
        out[number] = of_group[which]
    return out


def relabellings(recording: xr.Dataset, label: str, folds: xr.Dataset, *, exchange: str = "auto") -> float:
    """How many different labellings `relabel` can draw, the true one among them.

    Reads    as `relabel`
    Returns  the number, inf beyond 1.8e308
    """
    codes, first, _, stratum = _exchange(recording, label, folds, exchange)
    logarithm = 0.0
    for value in np.unique(stratum):
        counts = np.bincount(codes[first][stratum == value])
        logarithm += gammaln(counts.sum() + 1) - gammaln(counts + 1).sum()
    with np.errstate(over="ignore"):
        return float(np.round(np.exp(logarithm)))


def exchangeable(recording: xr.Dataset, label: str, exchange: str = "auto") -> np.ndarray:
    """What bears one label as a whole: identities, else stimuli, else single presentations.

    Reads    label, identity, stimulus_id, content (presentation) where they stand; exchange, "auto" or
             "presentation"
    Returns  the number of its group for every presentation; ValueError for another level
    """
    if exchange not in LEVELS:
        raise ValueError(f"exchange: {exchange!r}; use one of {', '.join(LEVELS)}")
    codes = np.unique(values(recording, label), return_inverse=True)[1].ravel()
    what = [key for key in _present(recording) if key in CONTENT and exchange == "auto"]
    what = [key for key in what if _separable(values(recording, key), codes)]
    while what:
        groups = _joined(recording, what)
        if all(np.ptp(codes[groups == group]) == 0 for group in np.unique(groups)):
            return groups
        what.pop(0)
    return np.arange(codes.size)


def stream(recording: xr.Dataset, seed: int) -> np.random.SeedSequence:
    """Random numbers of a seed that differ from subject to subject.

    Reads    subject (presentation), where it stands
    Returns  a SeedSequence
    """
    names = np.unique(values(recording, "subject")) if "subject" in recording.coords else []
    return np.random.SeedSequence(seed, spawn_key=(crc32("\n".join(map(str, names)).encode()),))


def _exchange(
    recording: xr.Dataset, label: str, folds: xr.Dataset, exchange: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes (presentation); the first presentation of each group, the group of each presentation, and the
    stratum of each group, within which groups exchange their codes.
    """
    codes = np.unique(values(recording, label), return_inverse=True)[1].ravel()
    tested = np.asarray(folds["test"].values)
    stratum = np.asarray(folds["stratum"].values) if "stratum" in folds else tested.argmax(axis=0)
    groups = exchangeable(recording, label, exchange)
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    which = which.ravel()
    if first.size == codes.size:
        for key in (key for key in _present(recording) if key in CIRCUMSTANCE):
            column = np.unique(values(recording, key), return_inverse=True)[1].ravel()
            stratum = stratum * (column.max() + 1) + column
    elif (stratum != stratum[first][which]).any():
        stratum = np.zeros_like(stratum)
    return codes, first, which, stratum[first]


def blocked(recording: xr.Dataset, label: str) -> float:
    """How far the order of labels is from a mixed one: z of the Wald-Wolfowitz runs test.

    Reads    label (presentation), in the order of presentation
    Returns  z, about standard normal for a mixed order, below -4 where labels come in blocks
    Source   Wald and Wolfowitz 1940, doi 10.1214/aoms/1177731909
    """
    codes = np.unique(values(recording, label), return_inverse=True)[1].ravel()
    total, same = codes.size, (np.bincount(codes) ** 2).sum() / codes.size
    changes = float((np.diff(codes) != 0).sum())
    expected = total - same
    spread = np.sqrt(max(expected * (expected - 1) / max(total - 1, 1), 1e-12))
    return float((changes - expected) / spread)


def _dataset(train: np.ndarray, test: np.ndarray, attrs: dict) -> xr.Dataset:
    dims = ("fold", "presentation")
    return xr.Dataset(
        {"train": (dims, train, {"units": "1"}), "test": (dims, test, {"units": "1"})}, attrs=attrs
    )


def _present(recording: xr.Dataset) -> list[str]:
    names = (*CONTENT, *CIRCUMSTANCE)
    return [key for key in names if key in recording.coords and recording[key].dims == ("presentation",)]


def _separable(groups: np.ndarray, codes: np.ndarray) -> bool:
    """Whether every class has at least two groups, so that one can train and another test."""
    return all(np.unique(groups[codes == code]).size > 1 for code in np.unique(codes))


def _automatic(
    recording: xr.Dataset, codes: np.ndarray, folds: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[str]]:
    stages = []
    for candidates in (CONTENT, CIRCUMSTANCE):
        names = [key for key in _present(recording) if key in candidates]
        stages.append([key for key in names if _separable(values(recording, key), codes)])
    what, when = stages
    while what and not _separable(_joined(recording, what), codes):
        what.pop(0)
    when = when[:1]  # runs lie within subjects
    kept = what + when
    if not kept:
        return [_deal(_neighbours(codes.size, folds), codes, folds, rng)], ["neighbours in time"]
    together = _joined(recording, kept)
    if _separable(together, codes) and np.unique(together).size >= folds:
        return _cross([together], kept, codes, folds, rng), kept
    return _cross(
        [_joined(recording, names) for names in (what, when) if names], kept, codes, folds, rng
    ), kept


def _neighbours(presentations: int, folds: int) -> np.ndarray:
    """Blocks of consecutive presentations, four to a fold, where no coordinate says what belongs together."""
    return np.arange(presentations) * min(4 * folds, presentations) // presentations


def _joined(recording: xr.Dataset, names: Sequence[str]) -> np.ndarray:
    """Groups that share no value of any of the coordinates: connected components over all of them."""
    columns = [np.unique(values(recording, name), return_inverse=True)[1].ravel() for name in names]
    rows, offset, edges = columns[0].size, 0, []
    for column in columns:
        edges.append(column + offset)
        offset += column.max() + 1
    links = coo_array(
        (
            np.ones(rows * len(columns)),
            (np.tile(np.arange(rows), len(columns)), rows + np.concatenate(edges)),
        ),
        shape=(rows + offset, rows + offset),
    )
    found = connected_components(links, directed=False)[1][:rows]
    return np.unique(found, return_inverse=True)[1].ravel()


def _cross(
    stages: list[np.ndarray], kept: list[str], codes: np.ndarray, folds: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Fold numbers of every presentation, one array a stage; the first stage must fill `folds`."""
    members = []
    for position, groups in enumerate(stages):
        count = np.unique(groups).size
        wanted = folds if position == 0 else min(folds, count)
        if count < wanted:
            raise ValueError(
                f"{count} groups ({', '.join(kept)}) for {folds} folds; lower folds to {count} or less"
            )
        members.append(_deal(groups, codes, wanted, rng))
    return members


def _deal(groups: np.ndarray, codes: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Whole groups dealt to folds so that classes stay balanced: largest first, each to where it evens out
    best.
    """
    counts = np.zeros((groups.max() + 1, codes.max() + 1))
    np.add.at(counts, (groups, codes), 1)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    dealt, place = np.zeros((folds, counts.shape[1])), np.zeros(len(counts), dtype=np.int64)
    scale = np.maximum(counts.sum(0), 1)
    for group in order:
        gain = ((2 * dealt + counts[group]) * counts[group] / scale**2).sum(1)
        place[group] = np.argmin(np.round(gain, 12))
        dealt[place[group]] += counts[group]
    return place[groups]


def _sides(members: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Every combination of folds of the stages: test lies in all of them, training in none."""
    train, test = [np.ones(members[0].size, bool)], [np.ones(members[0].size, bool)]
    for member in members:
        inside = [member == fold for fold in range(member.max() + 1)]
        train = [side & ~mask for side in train for mask in inside]
        test = [side & mask for side in test for mask in inside]
    filled = [index for index, side in enumerate(test) if side.any()]
    return np.array([train[index] for index in filled]), np.array([test[index] for index in filled])


def _shared(column: np.ndarray, train: np.ndarray, test: np.ndarray) -> list[int]:
    found, codes = np.unique(column, return_inverse=True)
    if found.size < 2:
        return [0] * len(train)
    codes = codes.ravel()
    return [np.intersect1d(codes[a], codes[b]).size for a, b in zip(train, test, strict=True)]


def _distances(recording: xr.Dataset, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    nearest = np.full(len(train), np.nan)
    if "onset" not in recording.coords:
        return nearest
    onset = np.asarray(recording["onset"].values, dtype=float)
    clock = np.zeros(onset.size, dtype=np.int64)  # presentations of one run of one subject share a clock
    for key in (key for key in _present(recording) if key in CIRCUMSTANCE):
        column = np.unique(values(recording, key), return_inverse=True)[1].ravel()
        clock = clock * (column.max() + 1) + column
    for fold, (a, b) in enumerate(zip(train, test, strict=True)):
        gaps = [
            np.abs(onset[a & (clock == one), None] - onset[b & (clock == one)]).min(initial=np.inf)
            for one in np.unique(clock)
        ]
        nearest[fold] = min(gaps) if a.any() and b.any() else np.nan
    return nearest
