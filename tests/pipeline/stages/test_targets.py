"""Targets: what they hold, what they must not know, what their controls keep and break."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch
import xarray as xr

from analyses import reliability
from analyses import similarity as alike
from loaders import schema
from pipeline import store, tasks
from pipeline.models import cnn, pixels
from pipeline.stages import _targets_controls as controls
from pipeline.stages import encode, overlap, record, targets, train

KINDS = ("shuffled", "gaussian", "pixels", "low-pass", "random network")


def stimuli(count=60, size=12, seed=0, name="picture"):
    rng = np.random.default_rng(seed)
    pixel = rng.random((count, 3, size, size), dtype=np.float32)
    pixel = np.clip(0.5 + 3 * (pixel.cumsum(-1) / np.arange(1, size + 1) - 0.5), 0, 1).astype(np.float32)
    ids = {"stimulus_id": ("stimulus", [f"{name} {k:03d}" for k in range(count)])}
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, ids)


def recording(given, neuroids=8, repeats=6, noise=1.0, seed=0, subject="A"):
    """Linear neurons of SD 1 over pictures around 5, so that the reliability is known."""
    rng = np.random.default_rng(seed)
    flat = given["image"].values.reshape(given.sizes["stimulus"], -1)
    drive = flat @ rng.normal(size=(flat.shape[1], neuroids))
    drive = 5 + (drive - drive.mean(0)) / drive.std(0)
    rows = rng.permutation(np.repeat(np.arange(len(flat)), repeats))
    coords = {
        "stimulus_id": ("presentation", given["stimulus_id"].values[rows]),
        "neuroid_id": ("neuroid", [f"unit {k}" for k in range(neuroids)]),
        "region": ("neuroid", ["V4"] * neuroids),
    }
    response = drive[rows] + noise * rng.normal(size=(len(rows), neuroids))
    held = {"response": (("presentation", "neuroid"), response, {"units": "spikes"})}
    return xr.Dataset(held, coords, {"origin": "simulated", "subject": subject})


@pytest.fixture(scope="module")
def predictor():
    given = stimuli(80)
    told = {"model": pixels.build, "layer": "output", "held_out": 0.25, "bootstraps": 0}
    return given, encode.fit(recording(given, noise=0.3), given, **told)


def test_measured_responses_are_means_with_the_reliability_of_split_halves():
    given = stimuli()
    found = targets.responses(recording(given), given)
    trials = recording(given).groupby("stimulus_id").mean()["response"]
    assert np.allclose(found["response"], trials.sel(stimulus_id=found["stimulus_id"].values))
    assert np.allclose(
        found["reliability"], reliability.split_half(recording(given), bootstraps=10)["reliability"]
    )
    assert abs(float(found["reliability"].mean()) - 1 / (1 + 1 / 6)) < 0.05
    told = [found.attrs[key] for key in ("target", "control", "origin", "subjects")]
    assert told == ["measured responses", "none", "simulated", "A"]
    assert found["region"].values.tolist() == ["V4"] * 8
    assert schema.check(found) is found


def test_stimuli_choose_what_is_in_the_target():
    given = stimuli()
    found = targets.responses(recording(given), given.isel(stimulus=slice(0, 20)))
    assert found["stimulus_id"].values.tolist() == given["stimulus_id"].values[:20].tolist()
    assert found["content"].values.tolist() == overlap.content(given, "it")[:20].tolist()


def test_components_are_those_of_these_pictures_alone():
    given = stimuli()
    lessons, exam = given.isel(stimulus=slice(0, 40)), given.isel(stimulus=slice(40, 60))
    data = recording(given)
    found = targets.responses(data, lessons, components=3, scaled=True)
    changed = data.copy(deep=True)
    late = np.isin(data["stimulus_id"], exam["stimulus_id"])
    changed["response"].values[late] *= 100
    assert np.array_equal(
        found["response"], targets.responses(changed, lessons, components=3, scaled=True)["response"]
    )
    mean = targets.responses(data, lessons)["response"].values
    standing = (mean - mean.mean(0)) / mean.std(0)
    share = np.linalg.svd(standing, compute_uv=False) ** 2
    assert np.allclose((found["response"].values ** 2).sum(0), share[:3])
    seen = targets.responses(data, exam, like=found)
    raw = targets.responses(data, exam)["response"].values
    assert np.allclose(seen["response"], (raw - mean.mean(0)) / mean.std(0) @ found["loading"].values)
    assert (seen["reliability"] > 0.4).all()
    assert found.attrs["target"] == "measured responses, principal components"


@pytest.mark.parametrize(
    ("scaled", "mean", "spread"), [(True, None, 1), ("sd", None, 1), ("mean", 1, None), ("standard", 1, 0.5)]
)
def test_scaled_neuroids_have_the_mean_and_the_sd_that_were_asked_for(scaled, mean, spread):
    given = stimuli()
    found = targets.responses(recording(given), given, scaled=scaled)
    if spread is not None:
        assert np.allclose(found["response"].std("presentation"), spread)
    if mean is not None:
        assert np.allclose(found["response"].mean("presentation"), mean)
    assert found["response"].attrs["units"] == "1"
    seen = targets.responses(recording(given), given, like=found)
    assert np.allclose(seen["response"], found["response"])


def test_predicted_responses_are_the_predictors_on_pictures_it_never_saw(predictor):
    _, fitted = predictor
    fresh = stimuli(30, seed=9, name="new")
    found = targets.predicted(fresh, fitted, subject="A")
    direct = record.activations(fresh, None, weights=fitted, layers=["output"])["response"]
    assert np.allclose(found["response"], direct)
    assert found.attrs["origin"] == "simulated, denoised"
    assert np.allclose(found["r"], fitted["r"])
    assert np.isclose(found.attrs["median_r"], fitted.attrs["score"])
    assert found["neuroid_id"].values.tolist() == fitted["neuroid_id"].values.tolist()
    behind = fitted["content"].values[~fitted["held_out"].values]
    assert sorted(found["source_content"].values) == sorted(behind)
    few = targets.predicted(fresh, fitted, components=2)
    assert few.sizes["neuroid"] == 2
    assert "r" not in few


def test_denoised_targets_come_nearer_to_the_truth_than_noisy_ones(predictor):
    given, fitted = predictor
    clean = recording(given, noise=0, repeats=1)
    exam = encode.unseen(given, fitted)
    truth = targets.responses(clean, exam)["response"].values
    noisy = targets.responses(recording(given, noise=3.0, repeats=1), exam)["response"].values
    told = targets.predicted(exam, fitted)["response"].values
    assert ((told - truth) ** 2).mean() < 0.3 * ((noisy - truth) ** 2).mean()


def test_dissimilarities_are_those_of_the_analyses_with_their_ceiling():
    given = stimuli(20)
    data = recording(given)
    found = targets.rdm(data, stimuli=given)
    assert np.array_equal(found["dissimilarity"], alike.rdm(data, distance="correlation")["dissimilarity"])
    known = alike.consistency(data, distance="correlation")
    assert found.attrs["ceiling"] == float(known["ceiling"][0])
    assert found["content"].dims == ("condition",)
    assert "ceiling" not in targets.rdm(targets.responses(data, given)).attrs


def test_similarity_is_the_cosine_of_centred_responses_and_forgets_scale():
    given = stimuli(20)
    found = targets.responses(recording(given), given)
    y = found["response"].values - found["response"].values.mean(0)
    by_hand = y[3] @ y[7] / np.linalg.norm(y[3]) / np.linalg.norm(y[7])
    cosine = targets.similarity(found)["similarity"].values
    assert np.isclose(cosine[3, 7], by_hand)
    assert np.allclose(np.diag(cosine), 1)
    twice = found.assign(response=(found["response"].dims, 2 * found["response"].values + 3, {"units": "1"}))
    assert np.allclose(targets.similarity(twice)["similarity"], cosine)
    weight = np.sqrt(found["reliability"].values)
    weighted = targets.similarity(found, weighted=True)["similarity"].values
    z = y * weight
    assert np.isclose(weighted[0, 1], z[0] @ z[1] / np.linalg.norm(z[0]) / np.linalg.norm(z[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_controls_keep_the_marginals_and_lose_the_pairing(kind, predictor):
    given, _ = predictor
    target = targets.responses(recording(given, noise=0.2), given)
    told = {"kind": kind, "stimuli": given, "model": functools.partial(cnn.build, width=4), "layer": "conv1"}
    found = targets.control(target, **told, seed=3)
    for measure in (np.mean, np.std):
        assert np.allclose(measure(found["response"].values, 0), measure(target["response"].values, 0))
    assert found.attrs["control"] == kind
    assert not [name for name in found.data_vars if name in ("r", "reliability")]
    assert "median_reliability" not in found.attrs
    assert found["content"].equals(target["content"])
    assert found.identical(targets.control(target, **told, seed=3))
    other = targets.control(target, **told, seed=4)
    assert not np.allclose(found["response"], other["response"])
    own = [
        np.corrcoef(*pair)[0, 1]
        for pair in zip(found["response"].values.T, target["response"].values.T, strict=True)
    ]
    assert abs(np.mean(own)) < (0.15 if kind in ("shuffled", "gaussian") else 0.8)


def test_shuffled_moves_every_picture_and_does_not_depend_on_their_order():
    given = stimuli()
    target = targets.responses(recording(given), given)
    found = targets.control(target, kind="shuffled", seed=1)
    rows = [tuple(row) for row in target["response"].values]
    place = [rows.index(tuple(row)) for row in found["response"].values]
    assert sorted(place) == [*range(60)]
    assert not (np.array(place) == np.arange(60)).any()
    turned = target.isel(presentation=np.random.default_rng(0).permutation(60))
    again = targets.control(turned, kind="shuffled", seed=1).sortby("stimulus_id")
    assert np.array_equal(again["response"], found["response"])


def test_gaussian_has_the_covariance_and_nothing_else():
    given = stimuli(200)
    target = targets.responses(recording(given, noise=0.2), given)
    found = targets.control(target, kind="gaussian", seed=1)
    pair = [np.cov(part["response"].values.T) for part in (found, target)]
    assert np.allclose(*pair, rtol=1e-8)
    rdms = [targets.rdm(part) for part in (found, target)]
    assert abs(float(alike.compare(*rdms)["similarity"].values.ravel()[0])) < 0.1
    few = target.isel(presentation=slice(0, 5))
    small = targets.control(few, kind="gaussian", seed=1)
    assert np.allclose(np.cov(small["response"].values.T), np.cov(few["response"].values.T), atol=1e-9)


def test_low_pass_forgets_what_is_fine_and_pixels_do_not():
    given = stimuli(40, size=16)
    board = 0.2 * (np.indices((16, 16)).sum(0) % 2 - 0.5)
    image = np.clip(given["image"].values * 0.6 + 0.2, 0, 1)
    fine = given.assign(image=(given["image"].dims, (image + board).astype(np.float32), {"units": "1"}))
    plain = given.assign(image=(given["image"].dims, image.astype(np.float32), {"units": "1"}))
    made = {}
    for kind, blur in (("pixels", 0), ("low-pass", 0.15)):
        pair = [controls.places(part["image"], 20, blur, 2) for part in (plain, fine)]
        made[kind] = np.abs(pair[0] - pair[1]).max()
    assert made["low-pass"] < 0.05 * made["pixels"]


def test_another_recording_is_joined_by_content():
    given = stimuli()
    target = targets.responses(recording(given, neuroids=5), given)
    theirs = targets.responses(recording(given, neuroids=9, seed=4, subject="B"), given)
    turned = theirs.isel(presentation=np.arange(60)[::-1])
    found = targets.control(target, kind="other recording", other=turned, seed=0)
    assert found.sizes["neuroid"] == 5
    assert found["content"].values.tolist() == target["content"].values.tolist()
    assert found.attrs["subjects"] == "B"
    with pytest.raises(ValueError, match="is the target itself"):
        targets.control(target, kind="other recording", other=target)


def test_a_target_teaches_a_network_and_a_shuffled_one_does_not():
    given = stimuli(300, size=4)
    target = targets.responses(recording(given, noise=0.1), given, scaled=True)
    shuffled = targets.control(target, kind="shuffled")
    task = functools.partial(tasks.respond, loss="squared")
    told = {"task": task, "epochs": 15, "rate": 0.03, "batch": 30, "optimizer": "adamw", "validation": 0.25}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 8))
    found = [train.fit(given, linear, recording=part, **told) for part in (target, shuffled)]
    best = [float(part["correlation"].max()) for part in found]
    assert best[0] > 0.6
    assert abs(best[1]) < 0.25


def test_f76_a_renamed_copy_of_one_picture_is_refused_everywhere(predictor):
    given, _ = predictor
    lessons = given.isel(stimulus=slice(0, 40))
    target = targets.responses(recording(lessons), lessons)
    fresh = stimuli(12, seed=5, name="new")
    pixel = fresh["image"].values.copy()
    pixel[7] = given["image"].values[3]
    exam = fresh.assign(image=(fresh["image"].dims, pixel, {"units": "1"}))
    for seen in (
        target,
        lessons,
        targets.rdm(target),
        targets.similarity(target),
        targets.control(target, kind="shuffled"),
    ):
        with pytest.raises(ValueError, match=r"1 of its pictures stand in seen too \(new 007\)"):
            overlap.refuse(exam, same_subject=True, seen=seen)
    forged = exam.assign_coords(content=("stimulus", [f"{k}" for k in range(12)]))
    with pytest.raises(ValueError, match="new 007"):
        overlap.refuse(forged, same_subject=True, seen=target)
    trained = train.fit(
        lessons,
        functools.partial(cnn.build, width=2, classes=8),
        task=functools.partial(tasks.respond, loss="squared"),
        recording=recording(lessons),
        epochs=1,
        rate=0.01,
        batch=20,
    )
    with pytest.raises(ValueError, match="new 007"):
        overlap.refuse(exam, weights=trained)
    assert overlap.refuse(fresh, weights=trained).attrs["subjects_apart"] == "not stated"


def test_f76_the_pictures_behind_predictions_count_as_seen(predictor):
    given, fitted = predictor
    target = targets.predicted(stimuli(20, seed=9, name="new"), fitted)
    held = encode.unseen(given, fitted)
    assert overlap.refuse(held, target=target, encoder=fitted).attrs["apart_from"] == "target, encoder"
    with pytest.raises(ValueError, match="60 of its pictures stand in target"):
        overlap.refuse(given, target=target)
    with pytest.raises(ValueError, match="60 of its pictures stand in similarity"):
        overlap.refuse(given, similarity=targets.similarity(target))


def test_v29_an_animal_on_both_sides_must_be_declared():
    given = stimuli()
    lessons, exam = given.isel(stimulus=slice(0, 40)), given.isel(stimulus=slice(40, 60))
    target = targets.responses(recording(given), lessons)
    judged = targets.responses(recording(given), exam)
    with pytest.raises(ValueError, match="A was recorded for target too; give another animal, or declare"):
        overlap.refuse(judged, target=target)
    assert overlap.refuse(judged, same_subject=True, target=target).attrs["subjects_apart"] == "declared"
    other = targets.responses(recording(given, subject="B"), exam)
    assert overlap.refuse(other, target=target).attrs["subjects_apart"] == "yes"


def test_without_leaves_what_no_other_holds():
    given = stimuli()
    renamed = given.isel(stimulus=slice(0, 10)).assign_coords(
        stimulus_id=("stimulus", [f"x{k}" for k in range(10)])
    )
    left = overlap.without(given, exam=renamed)
    assert left["stimulus_id"].values.tolist() == given["stimulus_id"].values[10:].tolist()
    with pytest.raises(ValueError, match="all 10 pictures stand in whole"):
        overlap.without(renamed, whole=given)
    with pytest.raises(ValueError, match="does not say which pictures"):
        overlap.refuse(recording(given), target=given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.assign_coords(stimulus_id=("presentation", ["none"] * 360)), "none of them was shown"),
        (lambda d: d.drop_vars("stimulus_id"), "has no response with stimulus_id"),
    ],
)
def test_f77_recordings_that_teach_nothing_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        targets.responses(change(recording(stimuli())), stimuli())


def test_f77_missing_flat_and_too_few_are_named():
    given = stimuli()
    data = recording(given)
    lacking = data.copy(deep=True)
    lacking["response"].values[lacking["stimulus_id"] == "picture 003", 2] = np.nan
    assert np.isnan(targets.responses(lacking, given)["response"].values[3, 2])
    for call in (
        lambda: targets.responses(lacking, given, components=2),
        lambda: targets.similarity(targets.responses(lacking, given)),
        lambda: targets.control(targets.responses(lacking, given), kind="gaussian"),
    ):
        with pytest.raises(ValueError, match="lacks responses"):
            call()
    flat = data.copy(deep=True)
    flat["response"].values[:, 5] = 2.0
    with pytest.raises(ValueError, match="neuroid unit 5 never varies"):
        targets.responses(flat, given, scaled=True)
    with pytest.raises(ValueError, match="components: 9 of 8"):
        targets.responses(data, given, components=9)
    with pytest.raises(ValueError, match=r"kind: 'shufled'; did you mean 'shuffled'"):
        targets.control(targets.responses(data, given), kind="shufled")
    with pytest.raises(ValueError, match="stimuli: none were given"):
        targets.control(targets.responses(data, given), kind="pixels")
    other = recording(given.assign(image=given["image"] * np.float32(0.5)))
    stale = other.assign_coords(content=("presentation", ["old"] * 360))
    with pytest.raises(ValueError, match="was another picture"):
        targets.responses(stale, given)


def test_targets_are_stored_and_drawn(tmp_path, predictor):
    given, fitted = predictor
    target = targets.predicted(given, fitted)
    store.write(target, tmp_path / "target.nc", "key")
    again = store.read(tmp_path / "target.nc")
    assert np.array_equal(again["response"], target["response"])
    assert sorted(overlap.learned(again, "it")) == sorted(overlap.learned(target, "it"))
    parts = [target, targets.responses(recording(given), given), targets.control(target, kind="shuffled")]
    for part in [*parts, targets.rdm(target), targets.similarity(target)]:
        assert targets.plot(part).axes
    assert json.loads(target.attrs["predictor"])["use"] == "pipeline.models.predictor.build"
    assert torch.is_grad_enabled()
