"""Evaluation of trained networks: counts by hand, refusals, and that nothing is measured twice."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import xarray as xr
from torch import nn

from analyses import corruptions, spectrum
from loaders import schema
from pipeline import tasks
from pipeline.attacks import classify, pgd
from pipeline.models import mlp
from pipeline.stages import attack, evaluate, record, train

SIDE = 12
MODEL = functools.partial(mlp.build, side=SIDE, widths=[16], classes=4)
SIMPLE = {"pgd": {"objective": classify.margin, "search": functools.partial(pgd.pgd, steps=4)}}


def stimuli(count, seed=0):
    """Four classes, told by which quarter is bright, in noise."""
    rng = np.random.default_rng(seed)
    code = rng.permutation(np.arange(count) % 4)
    pixel = 0.5 * rng.random((count, 1, SIDE, SIDE), dtype=np.float32)
    for k, one in enumerate(code):
        row, column = divmod(int(one), 2)
        pixel[k, 0, row * 6 : row * 6 + 6, column * 6 : column * 6 + 6] += 0.35
    coords = {
        "stimulus_id": ("stimulus", [f"picture {seed} {k}" for k in range(count)]),
        "place": ("stimulus", np.array(["nw", "ne", "sw", "se"])[code]),
    }
    given = xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)
    return given.assign_coords(content=("stimulus", [_hash(one) for one in pixel]))


def _hash(picture):
    from pipeline.stages._pictures import hashed

    return hashed(picture)


FIT = functools.partial(
    train.fit, model=MODEL, task=tasks.classify, label="place", epochs=4, rate=0.01, optimizer="adamw",
    batch=32, validation=0,
)  # fmt: skip
GROUPS = {"nw": "north", "ne": "north", "sw": "south", "se": "south"}


@pytest.fixture(scope="module")
def weights():
    return FIT(stimuli(128))


@pytest.fixture(scope="module")
def held():
    return stimuli(40, seed=1)


def answers(weights, given):
    found = record.activations(given, None, weights=weights, layers=["head"])
    classes = json.loads(weights.attrs["classes"])
    return np.array(classes)[found.response.values.argmax(1)]


def test_accuracies_of_classes_and_groups_are_counted(weights, held):
    found = schema.check(evaluate.run(held, weights, groups=GROUPS))
    said, truth = answers(weights, held), held.place.values
    assert found.accuracy.sel({"method": "class"}) == np.mean(said == truth)
    group = [GROUPS[a] == GROUPS[b] for a, b in zip(said, truth, strict=True)]
    assert found.accuracy.sel({"method": "super-class"}) == np.mean(group)
    assert found.accuracy[0] > 0.6
    assert (found.accuracy_low <= found.accuracy).all()
    assert found.attrs["chance"] == 0.25
    assert found.attrs["chance_group"] == 0.5
    assert np.array_equal(found.correct, said == truth)


def test_corruptions_are_those_of_the_analyses(weights, held):
    found = evaluate.run(
        held, weights, corruptions=["fog", "gaussian_noise"], severities=[1, 5], groups=GROUPS
    )
    for name in ("fog", "gaussian_noise"):
        spoiled = corruptions.single(held, corruption=name, severity=5)
        right = answers(weights, spoiled) == held.place.values
        assert found.corrupted.sel({"corruption": name, "severity": 5, "method": "class"}) == right.mean()
    assert found.corrupted.sizes == {"corruption": 2, "severity": 2, "method": 2}
    gathered = found.expand_dims(seed=["0", "1"])
    gathered.attrs = found.attrs
    assert np.allclose(corruptions.relative(gathered, gathered, floor=0).total, 1)


def test_attacks_are_those_of_the_stage(weights, held):
    found = evaluate.run(held, weights, attacks=SIMPLE, epsilons=[0.0, 0.1, 0.3], seed=3)
    code = np.array([json.loads(weights.attrs["classes"]).index(one) for one in held.place.values])
    plain = weights.assign_attrs({"classes": "[0, 1, 2, 3]"})
    alone = attack.run(
        held.assign_coords(code=("stimulus", code)), None, weights=plain,
        **SIMPLE["pgd"], epsilons=[0.0, 0.1, 0.3], label="code", keep=False, batch=64, seed=3,
    )  # fmt: skip
    stands = (alone.right.values == 1) & (alone.broken.values == 0)
    assert np.allclose(found.attacked.sel(attack="pgd"), stands.mean(1))
    assert found.attacked[0, 0] == found.accuracy[0]
    assert (np.diff(found.attacked.values) <= 0).all()
    assert found.union.sizes == {"epsilon": 3}
    assert found.search.values.tolist() == ["pgd"]
    part = evaluate.run(held, weights, attacks=SIMPLE, epsilons=[0.1], attacked=8)
    assert part.attrs["n_attacked"] == 8


def test_f76_pictures_of_the_training_are_refused_whatever_their_name(weights, held):
    seen = stimuli(128).isel(stimulus=[5]).assign_coords(stimulus_id=("stimulus", ["renamed"]))
    mixed = xr.concat([held, seen], "stimulus")
    with pytest.raises(ValueError, match="'renamed' was seen in training"):
        evaluate.run(mixed, weights)
    assert evaluate.run(mixed, weights, overlap=True).attrs["overlap"] == 1


def test_others_are_what_the_lessons_are_not(held):
    lessons = held.isel(stimulus=[0, 3])
    assert evaluate.others(held, lessons).sizes["stimulus"] == 38
    with pytest.raises(ValueError, match="hold some out"):
        evaluate.others(lessons, held)


class Two(nn.Module):
    """Answers logits and responses."""

    def __init__(self):
        super().__init__()
        self.net = MODEL()

    def forward(self, x):
        found = self.net(x)
        return {"logits": found, "response": found.exp()}


def test_a_network_of_several_answers_is_judged_by_its_logits(weights, held):
    renamed = {name: f"net.{name}" for name in weights.data_vars if name.startswith(("dense", "head"))}
    dims = {dim: f"net.{dim}" for dim in weights.dims if dim.startswith(("dense", "head"))}
    both = weights.rename({**renamed, **dims})
    both.attrs.pop("weights_sha256", None)
    found = evaluate.run(held, both, Two(), attacks=SIMPLE, epsilons=[0.1])
    plain = evaluate.run(held, weights, attacks=SIMPLE, epsilons=[0.1])
    assert np.array_equal(found.accuracy, plain.accuracy)
    assert np.array_equal(found.attacked, plain.attacked)


def test_arms_are_single_trainings_side_by_side(held):
    lessons = stimuli(128)
    measure = functools.partial(
        evaluate.recorded,
        layer="dense1",
        measure=functools.partial(spectrum.exponent, low=2, high=8, tolerance=9),
    )
    found = evaluate.arms(
        lessons, held, fit=FIT, arms={"slow": {"rate": 0.001}, "more": {"epochs": 6}},
        measures={"judged": evaluate.run, "spectrum": measure}, taught={"spectrum": measure},
    )  # fmt: skip
    alone = FIT(lessons, rate=0.001)
    assert found.accuracy.sel(arm="slow")[0] == evaluate.run(held, alone).accuracy[0]
    assert found.alpha_lessons.sel(arm="slow")[0] == measure(lessons, alone).alpha[0]
    assert np.array_equal(found.loss.sel(arm="slow")[:4], alone.loss)
    assert np.isnan(found.loss.sel(arm="slow")[4:]).all()
    assert json.loads(str(found.hyperparameters.sel(arm="more").item()))["epochs"] == 6
    assert found.attrs["chance"] == 0.25
    assert evaluate.plot(found).axes


def test_plots_show_chance_and_all_lines(weights, held):
    found = evaluate.run(held, weights, attacks=SIMPLE, epsilons=[0.1, 0.2], corruptions="fog")
    figure = evaluate.plot(found)
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "accuracy"]
    assert any("chance" in text.get_text() for axes in figure.axes for text in axes.texts)


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"corruptions": ["hail"]}, "corruptions: 'hail'"), ({"groups": {"nw": "north"}}, "groups: .*'ne'"),
        ({"attacks": {"pgd": pgd.pgd}, "epsilons": [0.1]}, "attacks: 'pgd'"),
        ({"attacks": SIMPLE, "epsilons": [0.1], "attacked": 999}, "pictures: 999 of 40"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(weights, held, numbers, why):
    with pytest.raises(ValueError, match=why):
        evaluate.run(held, weights, **numbers)


def test_arms_without_measures_are_refused(held):
    with pytest.raises(ValueError, match="measures: there are none"):
        evaluate.arms(held, held, fit=FIT, arms={"one": {}}, measures={})
    with pytest.raises(ValueError, match="arms: 'one'"):
        evaluate.arms(held, held, fit=FIT, arms={"one": 3}, measures={"judged": evaluate.run})
