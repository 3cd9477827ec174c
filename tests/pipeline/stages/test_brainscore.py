"""Brain-Score in this process: both ways, its own numbers, its own scoring path, and no network."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import xarray as xr

from loaders import ephys, images
from pipeline.models import cnn, cornet, gabor
from pipeline.stages import _stimuli, brainscore, record

needed = pytest.mark.brainscore
METRICS = ("pls", "ridge", "linear_predictivity", "neuron_to_neuron", "rdm", "cka", "cka_biased")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "brainscore"


def stimuli(count=40, size=16, seed=0):
    eight = np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8)
    pixel = eight.astype(np.float32) / np.float32(255)
    coords = {"stimulus_id": ("stimulus", [f"s{k:03d}" for k in range(count)])}
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def brain(pictures, repeats=4, neuroids=6, noise=1.0, seed=0):
    """Neurons that are linear in a model's layer, with noise on every repetition."""
    x = record.activations(pictures, cnn.build(width=4, seed=3), layers=["conv3"])["response"].values
    rng = np.random.default_rng(seed)
    tuned = x @ rng.normal(size=(x.shape[1], neuroids))
    tuned = (tuned - tuned.mean(0)) / tuned.std(0)
    row = np.repeat(np.arange(len(x)), repeats)
    response = tuned[row] + noise * rng.normal(size=(len(row), neuroids))
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), response, {"units": "1"})},
        {
            "stimulus_id": ("presentation", pictures["stimulus_id"].values[row]),
            "repetition": ("presentation", np.tile(np.arange(repeats), len(x))),
            "neuroid_id": ("neuroid", [f"n{k}" for k in range(neuroids)]),
            "region": ("neuroid", np.full(neuroids, "V4")),
        },
        {"origin": "simulated"},
    )


def timed():
    """A recording with every kind of label, and moments that are no round numbers."""
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), rng.normal(size=(6, 3, 4)), {"units": "Hz"})},
        {
            "stimulus_id": ("presentation", ["b", "a", "c", "b", "a", "c"]),
            "onset": ("presentation", rng.random(6), {"units": "s"}),
            "good": ("presentation", [True, False, True, True, False, True]),
            "run": ("presentation", np.arange(6, dtype=np.int32)),
            "neuroid_id": ("neuroid", ["x", "y", "z"]),
            "depth": ("neuroid", [0.1, np.nan, 0.3], {"units": "m"}),
            "time": ("time", 0.1 / 3 * np.arange(4) - 0.05, {"units": "s"}),
        },
        {"origin": "simulated", "bin_width": 0.1 / 3, "simultaneous": 1},
    )


@needed
@pytest.mark.parametrize("made", [timed, lambda: brain(stimuli(5)), lambda: timed().isel(time=[2])])
def test_a_recording_comes_back_bit_for_bit(made):
    recording = made()
    assembly = brainscore.to_assembly(recording)
    assert type(assembly).__name__ == "NeuroidAssembly"
    assert all(len(assembly.indexes[dim].names) >= 2 for dim in assembly.dims)
    back = brainscore.from_assembly(assembly)
    xr.testing.assert_identical(back, recording)
    assert {name: back[name].dtype for name in back.coords} == {
        name: recording[name].dtype for name in recording.coords
    }


@needed
def test_one_label_a_dimension_is_enough():
    bare = timed().drop_vars(["onset", "good", "run", "depth"]).isel(time=0, drop=True)
    xr.testing.assert_identical(brainscore.from_assembly(brainscore.to_assembly(bare)), bare)


@needed
def test_an_assembly_of_others_becomes_a_recording_and_keeps_its_bins():
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    values = np.random.default_rng(1).normal(size=(2, 3, 2))
    assembly = NeuroidAssembly(
        values, dims=["neuroid", "presentation", "time_bin"],
        coords={
            "neuroid_id": ("neuroid", [7, 8]), "region": ("neuroid", ["IT", "IT"]),
            "stimulus_id": ("presentation", ["a", "b", "c"]), "repetition": ("presentation", [0, 0, 0]),
            "time_bin_start": ("time_bin", [70, 170]), "time_bin_end": ("time_bin", [170, 270]),
        },
    )  # fmt: skip
    found = brainscore.from_assembly(assembly)
    assert np.array_equal(found["response"].values, values.transpose(1, 0, 2))
    assert np.allclose(found["time"], [0.12, 0.22])
    again = brainscore.to_assembly(found)
    assert list(again.indexes["time_bin"]) == [(70, 170), (170, 270)]
    assert np.array_equal(again.values, found["response"].values)


@needed
def test_a_label_over_two_dimensions_is_refused():
    recording = timed().assign_coords(both=(("presentation", "neuroid"), np.zeros((6, 3))))
    with pytest.raises(ValueError, match=r"^coordinate 'both': stands on"):
        brainscore.to_assembly(recording)


@needed
@pytest.mark.parametrize("metric", METRICS)
def test_official_metrics_get_what_they_would_get_from_an_assembly_made_by_hand(metric):
    import brainscore_vision
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    pictures = stimuli(60)
    source = record.activations(pictures, gabor.build(orientations=3, scales=2, cells=3))
    target = brain(pictures, repeats=2)
    found = brainscore.compare(source, target, metric=metric)
    ids = pictures["stimulus_id"].values.astype(object)

    def by_hand(values):
        labels = {
            "stimulus_id": ("presentation", ids), "row": ("presentation", np.arange(60)),
            "neuroid_id": ("neuroid", np.array([f"n{k}" for k in range(values.shape[1])], object)),
            "region": ("neuroid", np.full(values.shape[1], "V4", object)),
        }  # fmt: skip
        return NeuroidAssembly(values, coords=labels, dims=["presentation", "neuroid"])

    folded = metric not in brainscore.ALONE
    official = brainscore_vision.load_metric(
        metric, **({"crossvalidation_kwargs": {"stratification_coord": None}} if folded else {})
    )
    mean = target["response"].values.reshape(60, 2, -1).mean(1)
    wanted = official(by_hand(source["response"].values.astype(float)), by_hand(mean))
    assert found["score"].values[0] == pytest.approx(float(wanted), abs=1e-12)
    if folded:
        assert found["r"].sizes == {"fold": 10, "neuroid": 6}
        assert float(found["r"].median("neuroid").mean()) == pytest.approx(float(wanted), abs=1e-12)


@needed
def test_v22_stimuli_are_joined_by_name_and_never_by_place():
    pictures = stimuli(50)
    source, target = record.activations(pictures, cnn.build(width=2), layers=["conv4"]), brain(pictures)
    straight = brainscore.compare(source, target, metric="ridge")
    order = np.random.default_rng(0).permutation(50)
    mixed = brainscore.compare(
        source.isel(presentation=order), target.isel(presentation=slice(None, None, -1)), metric="ridge"
    )
    assert np.allclose(mixed["score"], straight["score"], atol=1e-9)
    more = brainscore.compare(source, target.isel(presentation=slice(0, 160)), metric="ridge")
    assert np.isfinite(more["score"]).all()
    with pytest.raises(
        ValueError, match=r"^stimulus_id 's007': is in the target and not in the source \(1 such"
    ):
        brainscore.compare(source.isel(presentation=np.delete(np.arange(50), 7)), target)


@needed
def test_the_neuroids_of_r_are_in_the_order_of_the_recording():
    pictures = stimuli(50)
    source, target = record.activations(pictures, cnn.build(width=2), layers=["conv4"]), brain(pictures)
    turned = target.isel(neuroid=[4, 0, 5, 1, 3, 2])
    first, second = (brainscore.compare(source, one, metric="ridge") for one in (target, turned))
    assert second["neuroid_id"].values.tolist() == turned["neuroid_id"].values.tolist()
    assert np.allclose(first["r"].values[:, [4, 0, 5, 1, 3, 2]], second["r"].values, atol=1e-9)


@needed
def test_the_ceiling_is_the_one_done_by_hand():
    from sklearn.model_selection import ShuffleSplit

    target = brain(stimuli(30), repeats=6)
    cube = target["response"].values.reshape(30, 6, -1)
    splits = []
    for one, two in ShuffleSplit(10, train_size=0.5, random_state=1).split(np.zeros(6)):
        halves = [cube[:, half].mean(1) for half in (one, two)]
        z = [(half - half.mean(0)) / half.std(0) for half in halves]
        r = (z[0] * z[1]).mean(0)
        splits.append(np.median(2 * r / (1 + r)))
    found = brainscore.ceiling(target)
    assert found["ceiling"].values[0] == pytest.approx(np.mean(splits), abs=1e-12)
    assert found["error"].values[0] == pytest.approx(np.std(splits) / np.sqrt(10), abs=1e-12)
    assert found.attrs["repetitions"] == 6


@needed
def test_f33_of_unequal_repetitions_as_many_are_used_as_all_have():
    target = brain(stimuli(30), repeats=6)
    keep = ~((target["repetition"].values >= 4) & (target["stimulus_id"].values == "s003"))
    fewer = brainscore.ceiling(target.isel(presentation=np.flatnonzero(keep)))
    four = brainscore.ceiling(target.isel(presentation=np.flatnonzero(target["repetition"].values < 4)))
    assert fewer.attrs["repetitions"] == 4
    assert fewer["ceiling"].values[0] == four["ceiling"].values[0]


@needed
def test_without_repetitions_there_is_no_ceiling_and_the_raw_score_stands(home):
    pictures = stimuli()
    found = brainscore.score(
        brain(pictures, repeats=1), pictures, cnn.build(width=2), layers=["conv4"], metric="ridge", home=home
    )
    assert np.isnan(found["score"].values[0])
    assert np.isnan(found["ceiling"].values[0])
    assert np.isfinite(found["raw"].values[0])


@needed
@pytest.mark.filterwarnings("ignore:Maximum number of iterations")  # of its PLS, with 27 features
@pytest.mark.parametrize("metric", ["pls", "neuron_to_neuron", "cka"])
def test_its_own_scoring_path_gives_the_number_of_the_metric(metric, home, monkeypatch):
    monkeypatch.chdir(home.parent)
    pictures = stimuli()
    target, module = brain(pictures), gabor.build(orientations=3, scales=2, cells=3)
    found = brainscore.score(target, pictures, module, metric=metric, home=home)
    for k, layer in enumerate(("energy", "colour")):
        source = record.activations(pictures, module, layers=[layer])
        wanted = brainscore.compare(source, target, metric=metric)
        assert found["raw"].values[k] == pytest.approx(wanted["score"].values[0], abs=1e-12)
        if "r" in wanted:
            assert np.allclose(found["r"].values[k], wanted["r"].mean("fold"), atol=1e-12)
    if metric != "cka":
        limit = brainscore.ceiling(target)["ceiling"].values
        assert np.allclose(found["ceiling"], limit)
        assert np.allclose(found["score"], found["raw"] ** 2 / limit)
    assert os.listdir(home.parent) == ["brainscore"]
    assert os.listdir(home) == ["stimuli"]  # and no pickle


@needed
def test_the_true_model_is_at_its_ceiling_and_its_untrained_twin_is_not(home):
    pictures = stimuli(120)
    target = brain(pictures, repeats=8, noise=0.5)
    numbers = {"layers": ["conv3"], "metric": "ridge", "home": home}
    true = brainscore.score(target, pictures, cnn.build(width=4, seed=3), **numbers)
    other = brainscore.score(target, pictures, cnn.build(width=4, seed=4), **numbers)
    assert true["score"].values[0] > other["score"].values[0]
    assert true["score"].values[0] <= 1.05


@needed
def test_r11_an_identifier_changes_with_one_value_one_pixel_one_weight(home):
    import brainscore_vision

    pictures = stimuli()
    target = brain(pictures)
    base = brainscore.benchmark(target, pictures, home=home)
    assert brainscore.benchmark(target, pictures, home=home) == base
    changed = target.copy(deep=True)
    changed["response"][5, 2] += 1e-9
    pixel = pictures.copy(deep=True)
    pixel["image"][3, 0, 0, 0] = 1 - np.round(pixel["image"][3, 0, 0, 0])
    others = [
        brainscore.benchmark(changed, pictures, home=home),
        brainscore.benchmark(target, pixel, home=home),
        brainscore.benchmark(target, pictures, metric="ridge", home=home),
    ]
    assert len({base, *others}) == 4
    assert base in brainscore_vision.benchmark_registry
    layers = {"V4": "conv4"}
    one = brainscore.brain_model(cnn.build(width=2), layers=layers)
    assert one == brainscore.brain_model(cnn.build(width=2), layers=layers)
    assert one != brainscore.brain_model(cnn.build(width=2, seed=1), layers=layers)
    assert one != brainscore.brain_model(cnn.build(width=2), layers={"V4": "conv3"})
    assert one != brainscore.brain_model(cnn.build(width=2), layers=layers, mean=[0.5], std=[0.2])


@needed
def test_what_the_model_sees_is_what_the_recording_saw(home):
    import brainscore_vision

    pictures = stimuli(7)
    known = brainscore.benchmark(brain(pictures), pictures, home=home)
    name = brainscore.brain_model(cnn.build(width=2), layers={"V4": "conv2"}, visual_degrees=6)
    model = brainscore_vision.load_model(name)
    assert (model.identifier, model.visual_degrees()) == (name, 6)
    model.start_task("passive")
    model.start_recording("V4", [(70, 170), (170, 270)])
    assembly = model.look_at(brainscore_vision.load_benchmark(known)._assembly.stimulus_set)
    direct = record.activations(pictures, cnn.build(width=2), layers=["conv2"])["response"].values
    assert assembly.dims == ("presentation", "neuroid", "time_bin")
    assert np.array_equal(assembly.values[..., 0], direct)
    assert np.array_equal(assembly.values[..., 1], direct)
    with pytest.raises(ValueError, match=r"^layers: none for region 'IT'"):
        model.start_recording("IT", [(70, 170)])
    with pytest.raises(ValueError, match=r"^benchmark: asks for the task 'label'"):
        model.start_task("label", "imagenet")


@needed
def test_a_recurrent_model_answers_with_the_nearest_step(home):
    import brainscore_vision

    pictures = stimuli(5, size=32)
    known = brainscore.benchmark(brain(pictures), pictures, home=home)
    module = cornet.build(width=2, times=3)
    name = brainscore.brain_model(module, layers={"V4": "V4.output"}, time_step_s=0.1)
    model = brainscore_vision.load_model(name)
    model.start_recording("V4", [(0, 20), (80, 110), (190, 260)])
    assembly = model.look_at(brainscore_vision.load_benchmark(known)._assembly.stimulus_set)
    direct = record.activations(pictures, module, layers=["V4.output"], time_step_s=0.1)
    assert np.array_equal(assembly.values, direct["response"].values)


@needed
def test_an_identifier_that_nobody_knows_is_named(home):
    pictures = stimuli(5)
    known = brainscore.benchmark(brain(pictures), pictures, home=home)
    with pytest.raises(ValueError, match=r"^model: Brain-Score: No registrations found for alexnett"):
        brainscore.run(model="alexnett", benchmark=known, home=home)
    name = brainscore.brain_model(cnn.build(width=2), layers={"V4": "conv2"})
    with pytest.raises(ValueError, match=r"^benchmark: Brain-Score: No registrations found for Majaj"):
        brainscore.run(model=name, benchmark="MajajHong2016", home=home)


@needed
def test_public_identifiers_go_to_brain_score_itself(home, monkeypatch):
    """Its plugin is imported for a public benchmark; the data then need a network, which a test has not."""
    import brainscore_vision

    asked = []
    name = brainscore.brain_model(cnn.build(width=2), layers={"IT": "conv2"})
    monkeypatch.setattr(
        brainscore_vision, "load_dataset", lambda identifier: asked.append(identifier) or 1 / 0
    )
    import brainscore_vision.benchmarks.majajhong2015.benchmark as plugin

    monkeypatch.setattr(plugin, "load_dataset", brainscore_vision.load_dataset)
    with pytest.raises(ZeroDivisionError):
        brainscore.run(model=name, benchmark="MajajHong2015public.IT-pls", home=home)
    assert asked == ["MajajHong2015.public"]


@needed
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.drop_vars("region"), r"^region: the recording does not say it"),
        (
            lambda r: r.assign_coords(region=("neuroid", ["V4", "IT"] * 3)),
            r"^region: the recording has IT, V4",
        ),
        (
            lambda r: r.assign_coords(stimulus_id=r["stimulus_id"].str.upper()),
            r"^stimulus_id 'S000': was shown",
        ),
        (
            lambda r: r.where(r["neuroid_id"] != "n2"),
            r"^response: neuroid n2 has no finite response to stimulus",
        ),
    ],
)
def test_what_cannot_be_scored_is_named(change, message, home):
    pictures = stimuli(5)
    with pytest.raises(ValueError, match=message):
        brainscore.benchmark(change(brain(pictures)), pictures, home=home)


@needed
def test_a_metric_that_it_has_not_is_named():
    pictures = stimuli(5)
    source = record.activations(pictures, cnn.build(width=2), layers=["conv4"])
    with pytest.raises(ValueError, match=r"^metric: Brain-Score's 'plss' .*; did you mean 'pls'"):
        brainscore.compare(source, brain(pictures), metric="plss")


@needed
def test_pictures_of_more_than_8_bits_are_rounded_with_a_warning(home):
    pictures = stimuli(5)
    fine = pictures.assign(image=pictures["image"] * np.float32(0.99))
    with pytest.warns(UserWarning, match=r"^image: 5 pictures are rounded to 8 bits"):
        brainscore.benchmark(brain(pictures), fine, home=home)


@needed
def test_the_plot_says_what_it_shows(home):
    pictures = stimuli()
    found = brainscore.score(
        brain(pictures), pictures, cnn.build(width=2), layers=["conv3", "conv4"], metric="ridge", home=home
    )
    (axes,) = brainscore.plot(found).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["conv3", "conv4"]
    assert axes.get_ylabel() == "ridge raw score"
    assert any(text.get_text() == "√ceiling" for text in axes.texts)


def test_averages_leave_out_what_is_missing():
    recording = brain(stimuli(4), repeats=3)
    recording["response"][1, 0] = np.nan
    found = _stimuli.averaged(recording.isel(presentation=slice(None, None, -1)))
    cube = recording["response"].values.reshape(4, 3, -1)
    assert np.allclose(found["response"], np.nanmean(cube, 1))
    assert found["stimulus_id"].values.tolist() == ["s000", "s001", "s002", "s003"]
    assert "repetition" not in found.coords


def test_a_world_without_it_says_so_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "brainscore_vision", None)
    with pytest.raises(
        ValueError, match=r"^brainscore_vision: cannot be imported here .*; install"
    ) as caught:
        brainscore.to_assembly(timed())
    assert "\n" not in str(caught.value)


@needed
def test_real_v4_is_a_local_benchmark(neuro_data, home):
    """Ridge on a small grid of Gabor energy, through Brain-Score's own path."""
    folder = neuro_data / "macaque" / "v4_natural_images"
    archive = folder / "images" / "images_210325.zip"
    pictures = images.stimuli(archive)
    recording = ephys.response_matrix(
        folder / "responses_raw" / "responses_210325.npy", dims=["neuroid", "stimulus", "repetition"],
        stimuli=archive, region="V4",
    )  # fmt: skip
    model = gabor.build(orientations=4, cells=4)
    found = brainscore.score(recording, pictures, model, layers=["energy"], metric="ridge", home=home)
    direct = brainscore.compare(
        record.activations(pictures, model, layers=["energy"]), recording, metric="ridge"
    )
    assert found["raw"].values[0] == pytest.approx(direct["score"].values[0], abs=1e-12)
    assert 0.2 < found["raw"].values[0] < 0.6
    assert found["ceiling"].values[0] == pytest.approx(0.729, abs=0.02)  # with the 6 repetitions all have
    assert found.attrs["origin"] == "real, raw"
