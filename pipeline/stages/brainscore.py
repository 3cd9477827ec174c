"""Brain-Score in this process: its assemblies, its metrics, its scoring path. The only door to its packages.

Nothing is downloaded for our own recordings and modules. Public benchmarks and models are reached by their
identifiers where there is a network, and credentials where Brain-Score asks for them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from loaders.schema import check, nearest

from . import _assemblies, _stimuli
from ._quiet import quiet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOME = "results/brainscore"
OURS = "neuroloop."
ALONE = ("rdm", "cka", "cka_biased")  # metrics without folds
FOLDED = ("pls", "ridge", "linear_predictivity", "neuron_to_neuron", "reverse_pls", "rdm_cv", "cka_cv")
FOLDS = "10 random splits of stimuli, 90 % to train and 10 % to test, seed 1"
CEILING = "split-half reliability over repetitions (Spearman-Brown): it bounds r², not r"


def to_assembly(recording: xr.Dataset) -> Any:
    """A recording in Brain-Score's shape; only `time` has another name there, `time_bin`.

    Reads    response (presentation, neuroid[, time]), any unit
    Returns  a NeuroidAssembly, every dimension with two coordinates or more: what was added is named in its
             attrs; `from_assembly` gives the same recording back
    """
    door()
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    made = _assemblies.packed(recording)
    assembly = NeuroidAssembly(made.values, coords=made.coords, dims=made.dims)
    assembly.attrs["neuroloop"] = made.note
    return assembly


def from_assembly(assembly: Any) -> xr.Dataset:
    """What Brain-Score holds as an assembly, as a recording with flat coordinates.

    Reads    a NeuroidAssembly, ours or any other (presentation, neuroid[, time_bin])
    Returns  response (presentation, neuroid[, time]); time is the centre of the bin where it is not told
    """
    door()
    from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords

    order = [dim for dim in ("presentation", "neuroid", "time_bin") if dim in assembly.dims]
    assembly = assembly.transpose(*order)
    held = {
        name: (dims, np.asarray(values)) for name, dims, values in walk_coords(assembly) if len(dims) == 1
    }
    note = assembly.attrs.get("neuroloop", "{}")
    return _assemblies.unpacked(np.asarray(assembly.values), order, held, note)


def compare(source: xr.Dataset, target: xr.Dataset, *, metric: str = "pls") -> xr.Dataset:
    """An official metric between two recordings of the same stimuli, computed by Brain-Score itself.

    Reads    source, a model's activations or another brain; target, a brain; metric, Brain-Score's name of
             it. Repetitions are averaged, stimuli are joined by stimulus_id and sorted by it
    Returns  score (method) and error (method), unit 1; with folds also r (fold, neuroid). ValueError when a
             stimulus of one is not in the other
    Source   Schrimpf et al. 2018, doi 10.1101/407007
    """
    door()
    theirs = _stimuli.averaged(target)
    ours = _stimuli.joined(_stimuli.averaged(source), theirs)
    with quiet(OURS):
        found = _metric(metric, theirs)(_flat(ours), _flat(theirs))
    made: dict[str, Any] = {n: ("method", [value], {"units": "1"}) for n, value in _numbers(found).items()}
    coords: dict[str, Any] = {"method": [metric]}
    raw = getattr(found, "raw", None)
    if raw is not None and set(raw.dims) == {"split", "neuroid"}:
        place = {str(name): k for k, name in enumerate(raw["neuroid_id"].values)}
        order = [place[str(name)] for name in theirs["neuroid_id"].values]
        made["r"] = (("fold", "neuroid"), raw.transpose("split", "neuroid").values[:, order], {"units": "1"})
        coords["neuroid_id"] = ("neuroid", theirs["neuroid_id"].values.astype(str))
    attrs = {"metric": metric, "folds": "none" if metric in ALONE else FOLDS, **versions()}
    return check(xr.Dataset(made, coords, attrs))


def ceiling(recording: xr.Dataset) -> xr.Dataset:
    """Brain-Score's internal consistency of a recording with repetitions.

    Reads    response (presentation, neuroid) with stimulus_id and repetition; of unequal numbers of
             repetitions the smallest is used of every stimulus
    Returns  ceiling (method) and error (method), unit 1; attrs repetitions. NaN where there are below two
    Source   Schrimpf et al. 2018, doi 10.1101/407007
    """
    found, many = _consistency(recording)
    numbers = {"ceiling": _numbers(found)["score"], "error": _numbers(found)["error"]}
    made = {name: ("method", [value], {"units": "1"}) for name, value in numbers.items()}
    attrs = {"ceiling": CEILING, "repetitions": many, **versions()}
    return check(xr.Dataset(made, {"method": ["internal consistency"]}, attrs))


def benchmark(
    recording: xr.Dataset, stimuli: xr.Dataset, *, region: str | None = None, metric: str = "pls",
    visual_degrees: float = 8, home: str | Path = HOME,
) -> str:  # fmt: skip
    """Makes a recording known to Brain-Score as a benchmark of this process.

    Reads    response (presentation, neuroid) with region and stimulus_id, and repetition where the ceiling
             is to be known; stimuli, their pictures; region, where there are several; home, the folder for
             pictures and for Brain-Score's caches
    Returns  its identifier, which holds a hash of responses and pictures: give it to `run`, or to Brain-Score
    """
    door(home)
    import brainscore_vision
    from brainscore_vision.benchmark_helpers.neural_common import NeuralBenchmark

    chosen = _stimuli.of_region(recording, region)
    name = str(chosen["region"].values[0])
    mean = _stimuli.averaged(chosen)
    pictures = _stimuli.shown(stimuli, mean["stimulus_id"].values)
    shown = _stimulus_set(pictures, Path(home))
    key = hashlib.sha256((_stimuli.content(chosen) + shown.identifier).encode()).hexdigest()[:16]
    identifier = f"{OURS}{key}.{name}-{metric}"
    assembly = _flat(mean, binned=True)
    assembly.attrs |= {"stimulus_set": shown, "stimulus_set_identifier": shown.identifier}
    limit = functools.cache(lambda: _consistency(chosen, metric)[0])
    brainscore_vision.benchmark_registry[identifier] = lambda: NeuralBenchmark(
        identifier=identifier, version=1, assembly=assembly, similarity_metric=_metric(metric, mean),
        visual_degrees=visual_degrees, number_of_trials=1, parent=name,
        ceiling_func=limit,
    )  # fmt: skip
    return identifier


def brain_model(
    model: Callable[..., Any] | str, *, layers: Mapping[str, str], weights: xr.Dataset | None = None,
    visual_degrees: float = 8, batch: int = 64, size: int | None = None, mean: Sequence[float] = (),
    std: Sequence[float] = (), time_step_s: float | None = None, seed: int = 0,
) -> str:  # fmt: skip
    """Makes a module known to Brain-Score as a BrainModel of this process; torchvision is not needed.

    Reads    model as `record.activations` takes it; layers, the layer of every region; visual_degrees that
             its input spans; size, mean and std of its preprocessing; time_step_s of a recurrent model, whose
             step nearest to the centre of a time bin is given
    Returns  its identifier, which holds a hash of weights, layers and preprocessing
    """
    from . import record

    named = record.built(model, weights, seed)
    numbers = {"batch": batch, "mean": [*mean], "std": [*std], "time_step_s": time_step_s, "seed": seed}
    return _registered(named, layers, visual_degrees, size, numbers)


def run(*, model: str, benchmark: str, home: str | Path = HOME) -> xr.Dataset:
    """Brain-Score's own score of a model on a benchmark, both by identifier: registered here, or public.

    Reads    model and benchmark, such as "alexnet" and "MajajHong2015public.IT-pls"; public ones are fetched
    Returns  score, raw, error, ceiling (method), unit 1: score = raw² / ceiling where the benchmark says so.
             ValueError when an identifier is not known, OSError when it cannot be fetched
    Source   Schrimpf et al. 2020, doi 10.1016/j.neuron.2020.07.040
    """
    found, _ = _scored(model, benchmark, home)
    made = {name: ("method", [value], {"units": "1"}) for name, value in found.items()}
    attrs = {"model_identifier": model, "benchmark_identifier": benchmark, **versions()}
    return check(xr.Dataset(made, {"method": ["Brain-Score"]}, attrs))


def score(
    recording: xr.Dataset, stimuli: xr.Dataset, model: Callable[..., Any] | str, *,
    layers: Sequence[str] = ("*",), region: str | None = None, metric: str = "pls",
    weights: xr.Dataset | None = None, visual_degrees: float = 8, batch: int = 64, size: int | None = None,
    mean: Sequence[float] = (), std: Sequence[float] = (), seed: int = 0, home: str | Path = HOME,
) -> xr.Dataset:  # fmt: skip
    """How well a network explains a recording, in Brain-Score's numbers, for each layer on its own.

    Reads    response (presentation, neuroid) with region, stimulus_id and repetition; stimuli, its pictures;
             model, layers, weights, batch, size, mean, std, seed as `record.activations` takes them; metric;
             region, where there are several; visual_degrees, of the pictures and of the model alike
    Returns  score, raw, error, ceiling (layer), r (layer, neuroid), unit 1: raw is the median r over
             neuroids, mean over folds; error its SD over folds / √10; score = raw² / ceiling, NaN where no
             repetition tells the ceiling. The best of many layers is chosen on the data that score it:
             compare models on a layer chosen elsewhere
    Source   Schrimpf et al. 2018, doi 10.1101/407007
    """
    from . import _layers, record

    known = benchmark(
        recording, stimuli, region=region, metric=metric, visual_degrees=visual_degrees, home=home
    )
    module, text = record.built(model, weights, seed)
    chosen = _stimuli.of_region(recording, region)
    area, ids = str(chosen["region"].values[0]), chosen["neuroid_id"].values.astype(str)
    numbers: dict[str, Any] = {"batch": batch, "mean": mean, "std": std, "seed": seed}
    names, rows, each = list(_layers.chosen(module, layers)), [], []
    told = []
    for layer in names:
        told.append(_registered((module, text), {area: layer}, visual_degrees, size, numbers))
        found, raw = _scored(told[-1], known, home)
        rows.append(found)
        each.append([raw.get(name, np.nan) for name in ids])
    made: dict[str, Any] = {name: ("layer", [row[name] for row in rows], {"units": "1"}) for name in rows[0]}
    made["r"] = (("layer", "neuroid"), np.array(each, float), {"units": "1"})
    coords = {"layer": names, "model_identifier": ("layer", told), "neuroid_id": ("neuroid", ids)}
    attrs = {
        "model": text, "benchmark_identifier": known, "region": area, "metric": metric, "ceiling": CEILING,
        "folds": "none" if metric in ALONE else FOLDS, "origin": str(recording.attrs.get("origin", "")),
        "repetitions": _stimuli.fewest(chosen), **versions(),
    }  # fmt: skip
    return check(xr.Dataset(made, coords, attrs))


def plot(result: xr.Dataset) -> Figure:
    """Raw score of every layer with its error, and √ceiling, the highest r that the repetitions allow."""
    from ._score_plot import drawn

    return drawn(result)


def door(home: str | Path = HOME) -> None:
    """Imports Brain-Score so that it neither installs nor caches anywhere but in `home`.

    Reads    home, where its caches go unless the environment says otherwise
    Returns  nothing; ValueError in an environment that has no Brain-Score
    """
    folder = str(Path(home).absolute())
    os.environ["BS_INSTALL_DEPENDENCIES"] = "no"
    os.environ.setdefault("RESULTCACHING_HOME", os.path.join(folder, "caches"))
    os.environ.setdefault("BRAINSCORE_HOME", folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            import brainscore_vision
            from brainscore_vision.metric_helpers import transformations
    except ImportError as error:
        why = f"cannot be imported here ({error}); install neuroloop[brainscore], or use analyses.similarity"
        raise ValueError(f"brainscore_vision: {why}") from None
    transformations.tqdm = lambda values, **told: values  # no bars on stderr
    original = brainscore_vision.import_plugin
    if getattr(original, "knows_this_process", False):
        return

    @functools.wraps(original)
    def unless_known(root: str, kind: str, identifier: str, registry_prefix: str | None = None) -> None:
        registry = getattr(brainscore_vision, f"{registry_prefix or kind.strip('s')}_registry")
        if identifier not in registry:
            original(root, kind, identifier, registry_prefix=registry_prefix)

    unless_known.knows_this_process = True  # type: ignore[attr-defined]
    brainscore_vision.import_plugin = unless_known


def versions() -> dict[str, str]:
    """Which Brain-Score it was."""
    from importlib.metadata import version

    return {name.replace("-", "_"): version(name) for name in ("brainscore-vision", "brainscore-core")}


def _registered(
    named: tuple[Any, str], layers: Mapping[str, str], degrees: float, size: int | None,
    numbers: dict[str, Any],
) -> str:  # fmt: skip
    """The identifier of a module that Brain-Score now knows."""
    door()
    import brainscore_vision

    from . import _brain_model

    name = _brain_model.identifier(*named, layers, {**numbers, "size": size})
    brainscore_vision.model_registry[name] = lambda: _brain_model.brain_model(
        name, named[0], dict(layers), degrees, size, numbers, to_assembly
    )
    return name


def _scored(model: str, benchmark: str, home: str | Path) -> tuple[dict[str, float], dict[str, float]]:
    """The numbers of one run, and r of each neuroid where the metric has one."""
    door(home)
    import brainscore_vision

    try:
        with quiet(OURS, model, benchmark):
            found = brainscore_vision._run_score(model, benchmark)
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        if isinstance(error, AssertionError) and "registrations found" in line:
            name = "model" if line.endswith(f"found for {model}") else "benchmark"
            raise ValueError(f"{name}: Brain-Score: {line}; register it, or see its list of names") from None
        if type(error).__module__.split(".")[0] in ("botocore", "boto3", "requests", "urllib3", "urllib"):
            raise OSError(
                f"{model} on {benchmark}: cannot be fetched: {line}; is there a network?"
            ) from error
        raise
    raw = found.attrs.get("raw", found)
    limit = found.attrs.get("ceiling")
    numbers = {
        "score": _numbers(found)["score"],
        "raw": _numbers(raw)["score"],
        "error": _numbers(raw)["error"],
    }
    numbers["ceiling"] = np.nan if limit is None else _numbers(limit)["score"]
    return numbers, _each(raw)


def _numbers(found: Any) -> dict[str, float]:
    plain = [found.values, getattr(found.attrs.get("error"), "values", found.attrs.get("error", np.nan))]
    score, error = (float(value) if np.size(value) == 1 else np.nan for value in plain)
    return {"score": score, "error": error}


def _each(score: Any) -> dict[str, float]:
    raw = score.attrs.get("raw")
    if raw is None or "neuroid" not in getattr(raw, "dims", ()) or set(raw.dims) - {"split", "neuroid"}:
        return {}
    mean = raw.mean("split") if "split" in raw.dims else raw
    return {
        str(name): float(value) for name, value in zip(raw["neuroid_id"].values, mean.values, strict=True)
    }


def _metric(name: str, target: xr.Dataset) -> Any:
    import brainscore_vision

    known = [*FOLDED, *ALONE]
    if name not in known:
        raise ValueError(
            f"metric: Brain-Score's {name!r} does not score two recordings here; {nearest(name, known)}"
        )
    if name in ALONE:
        return brainscore_vision.load_metric(name)
    strata = "object_name" if "object_name" in target.coords else None
    return brainscore_vision.load_metric(name, crossvalidation_kwargs={"stratification_coord": strata})


def _consistency(recording: xr.Dataset, metric: str = "pls") -> tuple[Any, int]:
    """Internal consistency as a Score, and the number of repetitions it used; NaN where it is not defined."""
    door()
    import brainscore_vision
    from brainscore_core.metrics import Score
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    many = _stimuli.fewest(recording)
    if many < 2 or metric in ALONE:
        return Score(np.nan), many
    number = _stimuli.repetitions(recording)
    use = number < many
    response = _stimuli.still(recording).values[use]
    ids = recording["stimulus_id"].values.astype(str).astype(object)[use]
    neuroids = recording["neuroid_id"].values.astype(str).astype(object)
    assembly = NeuroidAssembly(
        response, dims=["presentation", "neuroid"],
        coords={
            "stimulus_id": ("presentation", ids), "stimulus": ("presentation", ids),
            "repetition": ("presentation", number[use]),
            "neuroid_id": ("neuroid", neuroids), "number": ("neuroid", np.arange(len(neuroids))),
        },
    )  # fmt: skip
    return brainscore_vision.load_ceiling("internal_consistency")(assembly), many


def _flat(recording: xr.Dataset, binned: bool = False) -> Any:
    """One moment as an assembly of two dimensions; binned, it still knows its time bin."""
    response = _stimuli.still(recording).astype(float)
    if not np.isfinite(response.values).all():
        row, unit = np.argwhere(~np.isfinite(response.values))[0]
        name, picture = recording["neuroid_id"].values[unit], recording["stimulus_id"].values[row]
        raise ValueError(
            f"response: neuroid {name} has no finite response to stimulus {picture}; leave it out"
        )
    if not binned:
        bare = recording.drop_vars([name for name in recording.coords if "time" in recording[name].dims])
        return to_assembly(bare.assign({"response": response}))
    if "time" in recording["response"].dims:
        return to_assembly(recording).squeeze("time_bin")
    timed = recording.assign({"response": response.expand_dims(time=[0.0], axis=2)})
    return to_assembly(timed).squeeze("time_bin")


def _stimulus_set(pictures: xr.Dataset, home: Path) -> Any:
    """Pictures as Brain-Score holds them: a table beside files, which are written once."""
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    key, files = _stimuli.written(pictures, home)
    ids = pictures["stimulus_id"].values.astype(str).tolist()
    table = {"stimulus_id": ids, "filename": [file.name for file in files]}
    if "object_name" in pictures.coords:
        table["object_name"] = pictures["object_name"].values.astype(str).tolist()
    made = StimulusSet(table)
    made.stimulus_paths = dict(zip(ids, map(str, files), strict=True))
    made.identifier = f"neuroloop.{key}"
    return made
