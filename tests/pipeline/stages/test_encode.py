"""Predictive models of neurons: planted neurons, files and back, controls, and what is refused."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch
import xarray as xr

from loaders import ephys, images, schema
from pipeline import store, tasks
from pipeline.attacks import pgd, respond
from pipeline.models import _weights, cnn, gabor, pixels, predictor, readout
from pipeline.stages import attack, encode, pictures, record, train

GABOR = functools.partial(gabor.build, orientations=3, scales=2, cells=2)  # 24 energies, 12 colours
NET = functools.partial(cnn.build, width=4)
TINY = functools.partial(readout.build, neuroids=4, width=4, depth=2)
OURS = "pipeline.models.readout.build"


def stimuli(count=80, size=16, seed=0):
    pixel = np.random.default_rng(seed).random((count, 3, size, size), dtype=np.float32)
    names = {"stimulus_id": ("stimulus", [f"p{k:03d}" for k in range(count)])}
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, names)


def neurons(given, model=GABOR, neuroids=4, noise=0.0, repeats=1, seed=0, layer="output"):
    """Neurons that are linear in what a layer of a model does, about 4 spikes with SD 0.5."""
    rng = np.random.default_rng(seed)
    x = record.activations(given, model, layers=[layer])["response"].values.astype(float)
    y = (x - x.mean(0)) @ rng.normal(size=(x.shape[1], neuroids))
    y = 4 + 0.5 * y / y.std(0)
    shown = np.tile(np.arange(len(y)), repeats)
    seen = np.maximum(y[shown] + noise * rng.normal(size=(len(shown), neuroids)), 0)
    return xr.Dataset(
        {"response": (("presentation", "neuroid"), seen, {"units": "spikes"})},
        {"stimulus_id": ("presentation", given["stimulus_id"].values[shown]),
         "neuroid_id": ("neuroid", [f"n{k}" for k in range(neuroids)]),
         "region": ("neuroid", ["V4"] * neuroids)},
        {"origin": "simulated"},
    )  # fmt: skip


def predicted(given, fitted):
    return record.activations(given, None, weights=fitted, layers=["output"])["response"].values


@pytest.mark.parametrize("regression", ["ridge", "pls"])
def test_a_planted_neuron_is_recovered_and_the_network_says_what_was_scored(regression):
    given = stimuli()
    brain = neurons(given)
    options = {"alphas": [1e-8]} if regression == "ridge" else {"components": 36}
    found = encode.fit(brain, given, GABOR, regression=regression, bootstraps=0, **options)
    np.testing.assert_allclose(found["predicted"], found["measured"], atol=0.02)
    assert found.attrs["score"] > 0.995
    np.testing.assert_array_equal(predicted(given, found), found["predicted"])
    schema.check(found)


def test_weights_go_through_a_file_and_build_the_same_network(tmp_path):
    given = stimuli()
    found = encode.fit(neurons(given, noise=0.3), given, NET, layer="conv2", regression="pls", components=3)
    store.write(found, tmp_path / "fitted.nc", "key")
    again = store.read(tmp_path / "fitted.nc")
    np.testing.assert_array_equal(predicted(given, again), predicted(given, found))
    module, _ = record.built(None, again)
    assert _weights.digest(module) == found.attrs["weights_sha256"]
    told = json.loads(found.attrs["model"])
    assert told["use"] == "pipeline.models.predictor.build"
    assert told["with"]["core"] == {"use": "pipeline.models.cnn.build", "with": {"width": 4}}
    latents = module.eval()[:2](torch.from_numpy(given["image"].values))
    assert latents.shape == (80, 3)
    assert not [name for name in found.data_vars if "conv3" in str(name)]


def test_same_seed_same_bytes(tmp_path):
    given = stimuli()
    digests = [
        store.write(encode.fit(neurons(given, noise=0.3), given, GABOR), tmp_path / f"{k}.nc", "key")
        for k in range(2)
    ]
    assert digests[0] == digests[1]


def test_labelled_is_the_array_whatever_the_order_of_pictures():
    given = stimuli()
    brain = neurons(given, noise=0.3)
    mixed = given.isel(stimulus=np.random.default_rng(1).permutation(80))
    one, other = (encode.fit(brain, part, GABOR, bootstraps=0) for part in (given, mixed))
    xr.testing.assert_identical(one, other)


def test_repeats_give_a_ceiling_and_gaps_among_them_do_not_matter():
    given = stimuli(60)
    brain = neurons(given, noise=0.5, repeats=6)
    brain["response"].values[np.random.default_rng(0).random(brain["response"].shape) < 0.2] = np.nan
    found = encode.fit(brain, given, GABOR)
    assert np.isfinite(found["r_ceiling"]).all()
    np.testing.assert_allclose(found["normalized"], found["r"] / found["r_ceiling"])
    assert found.attrs["ceiling"] == "square root of reliability"
    once = encode.fit(neurons(given, noise=0.5), given, GABOR)
    assert np.isnan(once["r_ceiling"]).all()
    assert once.attrs["ceiling"] == "none: no reliability"
    assert np.isfinite(once.attrs["score"])


def test_a_projection_is_taken_into_the_map():
    given = stimuli(120)
    brain = neurons(given, NET, noise=0.1, layer="conv1")
    found = encode.fit(brain, given, NET, layer="conv1", project=100, bootstraps=0)
    assert found.sizes["latent.weight.1"] == 4 * 8 * 8
    assert found.attrs["features"] == 100
    features = record.activations(
        given, predictor.features(NET(), layer="conv1"), layers=["output"], project=100
    )
    x, y = features["response"].values.astype(float), found["predicted"].values
    fitted = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    np.testing.assert_allclose(np.c_[x, np.ones(len(x))] @ fitted, y, atol=1e-3)


def test_shuffled_pictures_predict_nothing_of_what_was_held_out():
    given = stimuli(200)
    brain = neurons(given, neuroids=12, noise=0.2)
    true, control = (encode.fit(brain, given, GABOR, shuffled=value) for value in (False, True))
    np.testing.assert_array_equal(true["held_out"], control["held_out"])
    np.testing.assert_array_equal(true["alpha"], control["alpha"])
    assert true.attrs["score_low"] > 0.8
    assert abs(control.attrs["score"]) < 0.2
    assert control.attrs["shuffled"] == 1


def test_size_mean_and_std_are_inside_the_network():
    given = stimuli(size=24)
    told = {"size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}
    found = encode.fit(neurons(given, noise=0.1), given, NET, layer="conv3", bootstraps=0, **told)
    np.testing.assert_array_equal(predicted(given, found), found["predicted"])
    assert json.loads(found.attrs["preprocessing"]) == {"size": None, "mean": [], "std": []}


def test_a_trained_network_is_a_core_with_what_its_pictures_were_normalised_by():
    given = stimuli(60)
    labels = given.assign_coords(label=("stimulus", np.arange(60) % 3))
    trained = train.fit(
        labels, functools.partial(cnn.build, width=4, classes=3), task=tasks.classify, label="label",
        epochs=1, rate=0.01, batch=16, mean=[0.5] * 3, std=[0.25] * 3,
    )  # fmt: skip
    other = stimuli(60, seed=5)
    found = encode.fit(neurons(other, noise=0.1), other, None, weights=trained, layer="conv3", bootstraps=0)
    assert json.loads(found.attrs["model"])["with"]["std"] == [0.25] * 3
    np.testing.assert_array_equal(found["core.network.conv1.0.weight"], trained["conv1.0.weight"])
    np.testing.assert_array_equal(predicted(other, found), found["predicted"])


def test_f76_pictures_that_trained_the_core_cannot_be_held_out():
    given = stimuli(60)
    labels = given.assign_coords(label=("stimulus", np.arange(60) % 3))
    trained = train.fit(
        labels.isel(stimulus=slice(40)), functools.partial(cnn.build, width=4, classes=3), label="label",
        task=tasks.classify, epochs=1, rate=0.01, batch=16,
    )  # fmt: skip
    renamed = given.assign_coords(stimulus_id=("stimulus", [f"other{k}" for k in range(60)]))
    brain = neurons(renamed, noise=0.1)
    with pytest.raises(ValueError, match=r"^weights: were trained on \d+ of the pictures held out \(other"):
        encode.fit(brain, renamed, None, weights=trained, layer="conv3")
    fresh = [f"other{k}" for k in range(40, 60)]
    found = encode.fit(brain, renamed, None, weights=trained, layer="conv3", held_out=fresh)
    assert found["held_out"].values.sum() == 20


def test_a_predictor_as_a_core_was_not_trained_on_what_it_held_out():
    given = stimuli()
    brain = neurons(given, noise=0.2)
    first = encode.fit(brain, given, GABOR)
    again = encode.fit(brain, given, None, weights=first, layer="latent")
    np.testing.assert_array_equal(again["held_out"], first["held_out"])
    with pytest.raises(ValueError, match=r"^weights: were trained on"):
        encode.fit(brain, given, None, weights=first, layer="latent", split=1)


def test_pictures_of_equal_pixels_are_held_out_together_without_being_told():
    given = stimuli()
    given["image"].values[70] = given["image"].values[3]
    brain = neurons(given, noise=0.2)
    with pytest.raises(ValueError, match=r"^held_out: stimulus p003 is held out and fitted as p070"):
        encode.fit(brain, given, GABOR, held_out=[f"p{k:03d}" for k in range(20)])


def test_training_end_to_end_lowers_the_loss_and_is_scored_on_what_it_never_saw():
    given = stimuli()
    brain = neurons(given, pixels.build, noise=0.1, repeats=2)
    found = encode.train(brain, given, TINY, epochs=6, rate=0.01, batch=16, bootstraps=0)
    loss = found["loss"].sel(term="poisson").values
    assert loss[-1] < loss[0]
    assert found["held_out"].values.sum() == 16
    np.testing.assert_array_equal(found["held_out"], encode.fit(brain, given, GABOR)["held_out"])
    np.testing.assert_array_equal(predicted(given, found), found["predicted"])
    levels = json.loads(found.attrs["model"])["with"]["levels"]
    inside = brain["response"].values[np.isin(brain["stimulus_id"], held_names(found, False))]
    np.testing.assert_allclose(levels, inside.mean(0))
    again = encode.train(brain, given, TINY, epochs=6, rate=0.01, batch=16, bootstraps=0)
    assert again.attrs["weights_sha256"] == found.attrs["weights_sha256"]
    numbers = json.loads(encode.train(brain, given, OURS, epochs=1, batch=16).attrs["model"])["with"]
    assert numbers == {"levels": levels, "neuroids": 4, "seed": 0}
    other = encode.train(brain, given, TINY, epochs=1, rate=0.01, batch=16, bootstraps=0, seed=1)
    np.testing.assert_array_equal(other["held_out"], found["held_out"])
    assert other.attrs["weights_sha256"] != found.attrs["weights_sha256"]


def held_names(found, value):
    return found["stimulus_id"].values[found["held_out"].values == value]


@pytest.mark.slow
def test_a_gaussian_readout_finds_where_a_planted_neuron_looks():
    rng = np.random.default_rng(0)
    given = stimuli(400, size=16)
    coarse = torch.from_numpy(stimuli(400, size=4, seed=1)["image"].values)
    given["image"].values[:] = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear").numpy()
    teacher = readout.build(neuroids=3, core=pixels.build, units=3, levels=[4.0] * 3).eval()
    places = np.array([[-0.5, 0.3], [0.4, 0.4], [0.1, -0.4]], np.float32)
    with torch.no_grad():
        teacher.readout.place[:] = torch.from_numpy(places)
        teacher.readout.weight[:] = torch.from_numpy(rng.choice([-3, 3], (3, 3)).astype(np.float32))
        rates = teacher(torch.from_numpy(given["image"].values)).numpy()
    brain = neurons(given, pixels.build, neuroids=3)
    brain["response"].values[:] = rates
    model = functools.partial(readout.build, neuroids=3, core=pixels.build, units=3)
    found = encode.train(brain, given, model, epochs=200, rate=0.03, bootstraps=0)
    assert found["r"].min() > 0.9
    assert np.abs(found["readout.place"].values - places).max() < 0.15


def test_any_trained_network_is_scored_on_the_pictures_it_did_not_see():
    given = stimuli()
    brain = neurons(given, noise=0.2)
    inside = np.isin(brain["stimulus_id"].values, given["stimulus_id"].values[:60])
    trained = train.fit(
        given.isel(stimulus=slice(60)), TINY, task=functools.partial(tasks.respond, loss="squared"), epochs=1,
        rate=0.01, batch=16, recording=brain.isel(presentation=inside),
    )  # fmt: skip
    found = encode.score(brain, given, trained)
    assert held_names(found, True).tolist() == [f"p{k:03d}" for k in range(60, 80)]
    np.testing.assert_array_equal(predicted(given, found), found["predicted"])
    with pytest.raises(ValueError, match=r"^held_out: 0 of 60 stimuli; 5 at least must be held out"):
        encode.score(brain.isel(presentation=inside), given, trained)
    fewer = brain.isel(neuroid=[0, 1, 2])
    with pytest.raises(ValueError, match=r"^predictions: are of 4 neuroids, and the recording has 3; build"):
        encode.score(fewer, given, trained)


def test_an_ensemble_is_scored_and_built_as_the_mean_of_its_members(tmp_path):
    given = stimuli()
    brain = neurons(given, noise=0.4, repeats=3)
    parts = [
        encode.fit(brain, given, GABOR),
        encode.fit(brain, given, NET, layer="conv2"),
        encode.train(brain, given, TINY, epochs=1, rate=0.01, batch=16),
    ]
    found = encode.ensemble(brain, *parts)
    mean = np.mean([part["predicted"].values for part in parts], axis=0)
    np.testing.assert_allclose(found["predicted"], mean)
    store.write(found, tmp_path / "ensemble.nc", "key")
    np.testing.assert_allclose(predicted(given, store.read(tmp_path / "ensemble.nc")), mean, atol=1e-5)
    assert np.isfinite(found["r_ceiling"]).all()
    held = found["held_out"].values
    expected = [np.corrcoef(mean[held, k], found["measured"].values[held, k])[0, 1] for k in range(4)]
    np.testing.assert_allclose(found["r"], expected)


def test_members_that_do_not_fit_together_are_refused():
    given = stimuli()
    brain = neurons(given, noise=0.4)
    first = encode.fit(brain, given, GABOR)
    with pytest.raises(ValueError, match=r"^neuroid_id: differs between predictors; fit them to the same"):
        encode.ensemble(brain, first, encode.fit(brain.isel(neuroid=[1, 0, 2, 3]), given, GABOR))
    names = [f"p{k:03d}" for k in range(80)]
    parts = [encode.fit(brain, given, GABOR, held_out=some) for some in (names[:20], names[20:40])]
    with pytest.raises(ValueError, match=r"^held_out: 0 pictures are new to all; fit with the same split$"):
        encode.ensemble(brain, *parts)


def test_unseen_pictures_are_those_held_out_by_pixels_and_not_by_name():
    given = stimuli()
    found = encode.fit(neurons(given, noise=0.2), given, GABOR)
    renamed = given.assign_coords(stimulus_id=("stimulus", given["stimulus_id"].values[::-1]))
    left = encode.unseen(renamed, found)
    assert len(encode.plot(left).axes) >= min(left.sizes["stimulus"], 40)
    assert left["stimulus_id"].values.tolist() == renamed["stimulus_id"].values[found["held_out"]].tolist()
    with pytest.raises(ValueError, match=r"^stimuli: none of them was held out; give the pictures"):
        encode.unseen(stimuli(seed=9), found)


def test_what_cannot_be_built_again_is_refused():
    given = stimuli()
    brain = neurons(given)
    for model in (lambda: NET(), NET()):
        with pytest.raises(ValueError, match=r"^model: cannot be built again from its name \(.*; give \{use"):
            encode.fit(brain, given, model, layer="conv2")
    with pytest.raises(ValueError, match=r"^layer: the model has no layer 'conv9'; did you mean 'conv"):
        encode.fit(brain, given, NET, layer="conv9")


def test_f74_weights_of_another_predictor_are_refused():
    given = stimuli()
    found = encode.fit(neurons(given), given, GABOR, bootstraps=0)
    for change, message in (
        (found.drop_vars("latent.weight"), r"^weights: have no 'latent.weight', which the model has"),
        (found.isel({"readout.bias.0": slice(3)}), r"^weights: 'readout.bias' has shape \(3,\), and \(4,\)"),
        (
            found.assign({"latent.centre": found["latent.centre"] * np.nan}),
            r"^weights: 'latent.centre' is nan",
        ),
        (found.assign_attrs(model='{"use": "os.system"}'), r"^weights: name 'os.system' as their model"),
    ):
        with pytest.raises(ValueError, match=message):
            record.built(None, change)


def test_pictures_and_recordings_that_do_not_meet_are_refused():
    given = stimuli()
    brain = neurons(given)
    with pytest.raises(ValueError, match=r"^stimulus_id 'p060': was shown and is not among the stimuli"):
        encode.fit(brain, given.isel(stimulus=slice(60)), GABOR)
    gap = brain.copy(deep=True)
    gap["response"][7, 1] = np.nan
    with pytest.raises(ValueError, match=r"^recording: stimulus p007, neuroid n1 has no number in any"):
        encode.fit(gap, given, GABOR)


def test_f67_pictures_that_are_no_numbers_are_refused():
    given = stimuli()
    brain = neurons(given)
    given["image"].values[5, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^image: is nan at \(5, 0, 0, 0\); it must be a number$"):
        encode.fit(brain, given, GABOR)


def test_resized_pictures_are_stimuli_of_their_own():
    given = stimuli(5, size=32).assign_coords(label=("stimulus", list("abcde")))
    small = pictures.resized(given, size=8)
    assert small["image"].shape == (5, 3, 8, 8)
    flat = given.copy(deep=True)
    flat["image"].values[:] = 1.0
    np.testing.assert_array_equal(pictures.resized(flat, size=8)["image"], 1)
    assert small["content"].values.tolist() == [record.hashed(one) for one in small["image"].values]
    assert (small["label"] == given["label"]).all()
    again = pictures.resized(small, size=8)
    np.testing.assert_allclose(again["image"], small["image"], atol=1e-6)
    for bad, message in ((0, r"^size: 0; wanted one pixel at least$"),):
        with pytest.raises(ValueError, match=message):
            pictures.resized(given, size=bad)
    with pytest.raises(ValueError, match=r"^stimuli: have no image with dimensions"):
        pictures.resized(given.rename(image="picture"), size=8)


def test_plot_shows_every_neuroid():
    given = stimuli(60)
    found = encode.fit(neurons(given, noise=0.5, repeats=4), given, GABOR)
    axes = encode.plot(found).axes[0]
    assert [len(line.get_ydata()) for line in axes.lines if line.get_label() == "held-out stimuli"] == [4]


def test_real_v4_neurons_are_predicted_at_32_pixels_and_a_rank_of_ten_is_enough(neuro_data):
    root = neuro_data / "macaque" / "v4_natural_images"
    archive = root / "images" / "images_210325.zip"
    brain = ephys.response_matrix(
        root / "responses_raw" / "responses_210325.npy", dims=["neuroid", "stimulus", "repetition"],
        stimuli=archive, region="V4",
    )  # fmt: skip
    small = pictures.resized(images.stimuli(archive), size=32)
    model = functools.partial(gabor.build, orientations=6, scales=3, cells=6)
    found = encode.fit(brain, small, model)
    assert found.attrs["score"] > 0.4
    assert found.attrs["score_low"] > 0.35
    assert 0.45 < found.attrs["normalized_score"] < 0.75
    assert int((found["reliability"] > 0.5).sum()) >= 30
    few = encode.fit(brain, small, model, components=10, bootstraps=0)
    assert few.attrs["score"] > found.attrs["score"] - 0.05
    control = encode.fit(brain, small, model, shuffled=True, bootstraps=0)
    assert abs(control.attrs["score"]) < 0.1


def test_an_attack_on_a_linear_predictor_moves_it_by_the_norm_of_its_weights():
    given = stimuli(60, size=6)
    given["image"].values[:] = 0.4 + 0.2 * given["image"].values
    brain = neurons(given, pixels.build, noise=0.2)
    found = encode.fit(brain, given, pixels.build, components=2, bootstraps=0)
    left = encode.unseen(given, found)
    search = functools.partial(pgd.pgd, norm="l2", steps=60)
    made = attack.run(
        left, None, weights=found, objective=respond.drive, search=search, epsilons=[0.0, 0.1], neuroid=[0, 3]
    )
    slopes = np.linalg.norm(found["readout.weight"].values @ found["latent.weight"].values, axis=1)[[0, 3]]
    moved = (made["value"] - made["clean"]).transpose("neuroid", "epsilon", "stimulus").values
    assert (moved[:, 0] == 0).all()
    np.testing.assert_allclose(
        moved[:, 1], np.broadcast_to(0.1 * slopes[:, None], moved[:, 1].shape), rtol=1e-3
    )


@pytest.mark.slow
def test_real_v4_neurons_are_learned_end_to_end_from_five_hundred_pictures(neuro_data):
    root = neuro_data / "macaque" / "v4_natural_images"
    archive = root / "images" / "images_210325.zip"
    brain = ephys.response_matrix(
        root / "responses_raw" / "responses_210325.npy", dims=["neuroid", "stimulus", "repetition"],
        stimuli=archive, region="V4",
    )  # fmt: skip
    small = pictures.resized(images.stimuli(archive), size=32)
    penalties = {"sparse": readout.sparsity, "smooth": readout.smoothness}
    found = encode.train(
        brain, small, readout.build, epochs=40, weight_decay=0.1, penalties=penalties,
        strength={"sparse": 0.2, "smooth": 0.01},
    )  # fmt: skip
    assert found.attrs["score_low"] > 0.25
    assert found.attrs["n_fitted"] == 512
