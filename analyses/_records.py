"""What a test reads out of a Dataset and what its record says, the same words for every test."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.sparse import coo_array, csr_array, identity, kron
from scipy.stats import t as student

from analyses._clusters import Lattice, lattice
from analyses._corrections import CORRECTIONS, TAILS, TIE, Corrected
from analyses._tasks import SCORES

CLOCKS = ("time", "test_time")
UNITS = ("subject", "recording", "seed")


class Layout(NamedTuple):
    """How a variable becomes maps: `dims` of one map as the variable has them, `turned` with time last."""

    name: str
    dims: tuple[str, ...]
    turned: tuple[str, ...]
    shape: tuple[int, ...]
    lattice: Lattice

    def maps(self, variable: xr.DataArray, *first: str) -> np.ndarray:
        """variable as (*first, row, time)."""
        found = np.asarray(variable.transpose(*first, *self.turned).values, dtype=float)
        return found.reshape(*found.shape[: len(first)], self.lattice.rows, self.lattice.width)

    def named(self, values: np.ndarray, units: str = "1") -> xr.Variable:
        """(row, time) as a variable with the dims of the tested one."""
        made = xr.Variable(self.turned, values.reshape(self.shape), {"units": units})
        return made.transpose(*self.dims)


class Asked(NamedTuple):
    """What a test was asked for: `drawn` sets of labels or signs, of so many `possible` ones."""

    correction: str
    tail: str
    alpha: float
    level: float
    drawn: int
    possible: float

    @property
    def smallest(self) -> float:
        """The smallest p that can come out."""
        return max(1 / (self.drawn + 1), 1 / self.possible)

    @property
    def way(self) -> float:
        """-1 where small values are extreme."""
        return -1.0 if self.tail == "less" else 1.0


def known(correction: str, tail: str, alpha: float) -> None:
    """ValueError for a word or a number that no test knows."""
    if correction not in CORRECTIONS:
        raise ValueError(f"correction: {correction!r}; use one of {', '.join(CORRECTIONS)}")
    if tail not in TAILS:
        raise ValueError(f"tail: {tail!r}; use one of {', '.join(TAILS)}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: {alpha}; wanted a number between 0 and 1")


def scored(recording: xr.Dataset, variable: str, *dims: str) -> str:
    """Name of the variable to test: as asked for, else a score, else the only one with dims and time."""
    if variable:
        if variable not in recording.data_vars:
            raise ValueError(f"variable: {variable!r}; it has {', '.join(map(str, recording.data_vars))}")
        return variable
    wanted = {*dims, "time"}
    fit = [str(name) for name, item in recording.data_vars.items() if wanted <= set(item.dims)]
    for name in SCORES:
        if name in fit:
            return name
    if len(fit) != 1:
        raise ValueError(
            f"variable: {len(fit)} with dimensions {', '.join(sorted(wanted))} "
            f"({', '.join(fit) or 'none'}); name the one to test"
        )
    return fit[0]


def chance(recording: xr.Dataset, name: str) -> float:
    """What the variable is when there is no effect: its chance, or 0 for what is no score."""
    if name not in SCORES:
        return 0.0
    if "chance" not in recording.attrs:
        raise ValueError(f"{name}: attrs state no one chance; test results of one number of classes")
    return float(recording.attrs["chance"])


def layout(array: xr.DataArray, adjacency: xr.Dataset | None, *units: str) -> Layout:
    """The maps of array, one for each of `units`: times are neighbours, other dims only by adjacency."""
    dims = tuple(str(dim) for dim in array.dims if dim not in units)
    if "time" not in dims:
        raise ValueError(f"{array.name}: has no dimension time, but {', '.join(dims)}; give a time course")
    along = "time" if dims[-1] not in CLOCKS else dims[-1]
    turned = (*(dim for dim in dims if dim != along), along)
    shape = tuple(array.sizes[dim] for dim in turned)
    if 0 in shape:
        raise ValueError(f"{array.name}: has no values ({dict(array.sizes)}); give at least one time")
    links = csr_array((1, 1), dtype=np.int8)
    for dim, size in zip(turned[:-1], shape[:-1], strict=True):
        own = _links(array, dim, size, adjacency)
        links = csr_array(kron(links, identity(size)) + kron(identity(links.shape[0]), own))
    return Layout(str(array.name), dims, turned, shape, lattice(shape[-1], links))


def _links(array: xr.DataArray, dim: str, size: int, adjacency: xr.Dataset | None) -> csr_array:
    if dim in CLOCKS:
        step = np.arange(size - 1)
        pairs = coo_array((np.ones(size - 1, np.int8), (step, step + 1)), shape=(size, size))
        return csr_array(pairs + pairs.T)
    if dim != "neuroid" or adjacency is None:
        return csr_array((size, size), dtype=np.int8)
    adjacent = np.asarray(adjacency["adjacent"].transpose("neuroid", "other_neuroid").values, dtype=bool)
    if "neuroid_id" in adjacency.coords and "neuroid_id" in array.coords:
        known = {name: place for place, name in enumerate(adjacency["neuroid_id"].values.astype(str))}
        names = [str(name) for name in array["neuroid_id"].values]
        lost = [name for name in names if name not in known]
        if lost:
            raise ValueError(
                f"adjacency: knows no {', '.join(lost[:5])}; make it from a recording that has them"
            )
        order = [known[name] for name in names]
        adjacent = adjacent[np.ix_(order, order)]
    if adjacent.shape != (size, size):
        raise ValueError(f"adjacency: is {adjacent.shape} for {size} neuroids; make it from this recording")
    return csr_array((adjacent | adjacent.T).astype(np.int8))


def finite(array: xr.DataArray) -> None:
    """ValueError names the first place without a number."""
    bad = np.argwhere(~np.isfinite(np.asarray(array.values, dtype=float)))
    if bad.size:
        place = ", ".join(
            f"{dim} {array[dim].values[index] if dim in array.coords else index}"
            for dim, index in zip(array.dims, bad[0], strict=True)
        )
        raise ValueError(f"{array.name}: {place} has no number; leave it out, nothing is imputed")


def named_clusters(place: Layout, found: Corrected, time: np.ndarray) -> dict[str, Any]:
    """Variables of the clusters; cluster_start and cluster_end are their borders, which are no onsets."""
    made: dict[str, Any] = {"cluster_index": place.named(found.number)}
    if found.mass.size:
        made["cluster_mass"] = ("cluster", found.mass, {"units": "1"})
        made["cluster_p"] = ("cluster", found.cluster_p, {"units": "1"})
        if place.dims == ("time",):
            inside = [time[found.number.ravel() == number + 1] for number in range(found.mass.size)]
            made["cluster_start"] = ("cluster", np.array([item[0] for item in inside]), {"units": "s"})
            made["cluster_end"] = ("cluster", np.array([item[-1] for item in inside]), {"units": "s"})
    return made


def null_of(recording: xr.Dataset, name: str, *units: str) -> xr.DataArray:
    """Scores of relabelled data with the dims of the score; ValueError says why there are none."""
    wanted = {"permutation", *recording[name].dims}
    if "null" not in recording.data_vars:
        left = recording.attrs.get("left_out", [])
        why = [str(item) for item in ([left] if isinstance(left, str) else left) if "null" in str(item)]
        raise ValueError(
            f"null: missing{' (' + '; '.join(why) + ')' if why else ''}; decode with permutations, the same "
            "number in every unit: nulls of different lengths are not joined, and none is cut"
        )
    null = recording["null"]
    if set(null.dims) != wanted:
        raise ValueError(
            f"null: has {', '.join(map(str, null.dims))}; wanted {', '.join(sorted(map(str, wanted)))}"
        )
    over = [dim for dim in UNITS if dim in null.dims and dim not in units]
    if over:
        raise ValueError(
            f"null: has dimension {over[0]!r}; test units together by sign_flip, or by prevalence"
        )
    finite(recording[name])
    finite(null)
    return null


def quantiles(draws: xr.DataArray, place: Layout, dim: str, confidence: float) -> tuple[np.ndarray, ...]:
    """The middle `confidence` of draws along dim: its low and high end (row, time)."""
    ends = np.quantile(place.maps(draws, dim), [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return ends[0], ends[1]


def interval(cells: np.ndarray, confidence: float) -> tuple[np.ndarray, ...]:
    """cells (unit, row, time) to the mean, and Student's interval of it, low and high end."""
    units = len(cells)
    width = float(student.ppf(0.5 + confidence / 2, units - 1)) / np.sqrt(units) * cells.std(axis=0, ddof=1)
    mean = cells.mean(axis=0)
    return mean, mean - width, mean + width


def spread(name: str, place: Layout, unit: str, *ends: np.ndarray) -> dict[str, xr.Variable]:
    """Low and high end, and the score before them where there are three, as variables."""
    words = (name, f"{name}_low", f"{name}_high")[-len(ends) :]
    return {word: place.named(cells, unit) for word, cells in zip(words, ends, strict=True)}


def before(array: xr.DataArray, attrs: dict[Any, Any], *units: str) -> np.ndarray:
    """Mean before onset (*units) of array, NaN where there is no such time; by the filter's reach earlier
    where times go back that far.
    """
    reach = float(attrs.get("filter_reach_s", 0.0))
    chosen = array
    for clock in (dim for dim in CLOCKS if dim in array.dims):
        time = np.asarray(array[clock].values, dtype=float)
        early = (time < 0) & (time <= -reach)
        chosen = chosen.isel({clock: np.flatnonzero(early if early.any() else time < 0)})
    count = int(np.prod([size for dim, size in chosen.sizes.items() if dim not in units]))
    cells = np.asarray(chosen.transpose(*units, ...).values, dtype=float)
    cells = cells.reshape(*(chosen.sizes[dim] for dim in units), count)
    return np.asarray(cells.sum(axis=-1) / count if count else np.full(cells.shape[:-1], np.nan))


def two_sided(observed: float, chances: np.ndarray) -> float:
    """Share of chances, the observed among them, that lie as far from 0; NaN of NaN."""
    reached = np.abs(chances) >= abs(observed) * (1 - TIE)
    return float((reached.sum() + 1) / (chances.size + 1)) if np.isfinite(observed) else np.nan


def finished(
    score: xr.DataArray,
    place: Layout,
    found: Corrected,
    asked: Asked,
    variables: dict[str, xr.Variable],
    told: dict[str, Any],
) -> xr.Dataset:
    """A test's record: p and clusters beside the score's variables, and in attrs what was asked and told."""
    made = variables | {"p": place.named(found.p), "p_uncorrected": place.named(found.uncorrected)}
    if asked.correction == "cluster":
        made |= named_clusters(place, found, np.asarray(score["time"].values))
    attrs = told | {
        "correction": asked.correction, "tail": asked.tail, "alpha": asked.alpha, "permutations": asked.drawn,
        "smallest_p": asked.smallest, **peak(score, made, place, asked.tail, told["chance"]),
    }  # fmt: skip
    if asked.correction in ("cluster", "tfce"):
        attrs["threshold" if asked.correction == "cluster" else "step"] = asked.level
    return xr.Dataset(made, kept(score, place), attrs)


def kept(score: xr.DataArray, place: Layout) -> dict[str, xr.Variable]:
    """Coordinates that say what the places of a map are."""
    dims = set(place.dims)
    return {
        str(key): item.variable for key, item in score.coords.items() if item.dims and {*item.dims} <= dims
    }


def peak(
    score: xr.DataArray, made: dict[str, Any], place: Layout, tail: str, chance: float
) -> dict[str, float]:
    """The peak after onset and the smallest corrected p there, as attrs; NaN where there is no such time."""
    blank = dict.fromkeys(("p_peak", "peak", "peak_low", "peak_high", "peak_time_s"), np.nan)
    shown, name = made[place.name].values, place.name
    after = np.ones(shown.shape, bool)
    for axis, dim in enumerate(place.dims):
        if dim in CLOCKS:
            late = np.asarray(score[dim].values, dtype=float) > 0
            after &= late.reshape([-1 if other == axis else 1 for other in range(shown.ndim)])
    if not after.any():
        return blank
    height = {"greater": shown - chance, "less": chance - shown, "two-sided": np.abs(shown - chance)}[tail]
    best = np.unravel_index(np.argmax(np.where(after, height, -np.inf)), shown.shape)
    told = {"p_peak": float(made["p"].values[after].min()), "peak": float(shown[best])}
    for end in ("low", "high"):
        if f"{name}_{end}" in made:
            told[f"peak_{end}"] = float(made[f"{name}_{end}"].values[best])
    time = np.asarray(score["time"].values)
    return blank | told | {"peak_time_s": float(time[best[place.dims.index("time")]])}


def inherited(recording: xr.Dataset) -> dict[str, Any]:
    """What a result goes on saying of the data it was made of."""
    return {str(key): value for key, value in recording.attrs.items() if not str(key).startswith("_")}
