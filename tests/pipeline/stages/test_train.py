"""The training loop: a step by hand, what it must not depend on, what stops it, and how it goes on."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from analyses._shares import clopper
from loaders import images, schema, synthetic
from pipeline import parts, run, store, tasks
from pipeline.attacks import pgd
from pipeline.models import _weights, cnn, cornet, vone
from pipeline.stages import _train_data, _train_keep, _train_loop, record, train

CLASSIFY = {"task": tasks.classify, "label": "side"}


def stimuli(count=40, size=8, channels=1, seed=0):
    """Noise that is brighter on the left or on the right: what `side` says."""
    rng = np.random.default_rng(seed)
    side = rng.permutation(np.arange(count) % 2)
    pixel = 0.6 * rng.random((count, channels, size, size), dtype=np.float32)
    half = np.where(np.arange(size) < size // 2, 0, 1)
    pixel += 0.4 * (half == side[:, None]).astype(np.float32)[:, None, None, :]
    coords = {
        "stimulus_id": ("stimulus", [f"picture {k}" for k in range(count)]),
        "side": ("stimulus", np.array(["left", "right"])[side]),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def recording(given, neuroids=3, seed=0):
    """Two presentations of every picture, in an order of its own; neuroids weigh pixels."""
    rng = np.random.default_rng(seed)
    pixel = given["image"].values.reshape(given.sizes["stimulus"], -1)
    drive = pixel @ rng.normal(size=(pixel.shape[1], neuroids))
    rate = np.exp((drive - drive.mean(0)) / drive.std(0))
    rows = rng.permutation(np.repeat(np.arange(len(pixel)), 2))
    coords = {
        "stimulus_id": ("presentation", given["stimulus_id"].values[rows]),
        "neuroid_id": ("neuroid", [f"unit {k}" for k in range(neuroids)]),
    }
    return xr.Dataset({"response": (("presentation", "neuroid"), rate[rows], {"units": "spikes/s"})}, coords)


class Flat(nn.Module):
    """A linear map of pixels, by default from zero weights."""

    def __init__(self, inputs=64, outputs=2, scale=0.0):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(scale * torch.linspace(-1, 1, weight.numel()).reshape(weight.shape))

    def forward(self, x):
        return self.linear(x.flatten(1))


class Rates(Flat):
    """Answers above 0."""

    def forward(self, x):
        return nn.functional.softplus(super().forward(x))


class Both(Flat):
    """Logits and rates of the same pixels."""

    def forward(self, x):
        found = super().forward(x)
        return {"logits": found[:, :2], "response": nn.functional.softplus(found[:, 2:])}


class Deep(nn.Module):
    """Convolution, batch normalisation and dropout."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.front = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
            self.drop, self.head = nn.Dropout(0.2), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.drop(self.front(x).mean((2, 3))) + x.mean((1, 2))[:, :4])


def digest(result, folder):
    return store.write(result, folder / "result.nc", "key")


def fitted(given=None, model=Deep, **numbers):
    told = {**CLASSIFY, "epochs": 2, "rate": 0.1, "batch": 8, **numbers}
    return train.fit(stimuli() if given is None else given, model, **told)


def test_one_step_is_the_one_done_by_hand():
    given = stimuli(6)
    found = fitted(given, Flat, batch=6, epochs=1, rate=0.5, validation=0, mean=[0.4], std=[0.2])
    x = (given["image"].values.reshape(6, -1).astype(float) - 0.4) / 0.2
    code = (given["side"].values == "right").astype(int)
    slope = (0.5 - np.eye(2)[code]).T @ x / 6
    assert np.allclose(found["linear.weight"], -0.5 * slope, atol=1e-6)
    assert np.isclose(found["loss"], np.log(2), rtol=1e-6)
    norm = np.sqrt((slope**2).sum() + ((0.5 - np.eye(2)[code]).mean(0) ** 2).sum())
    assert np.isclose(found["gradient_norm"], norm, rtol=1e-6)


def test_momentum_decay_and_rate_are_those_of_the_bare_loop():
    """What the loop adds changes no bit of a plain loop over the same batches."""
    given, numbers = stimuli(40), {"rate": 0.3, "weight_decay": 0.01, "schedule": "cosine", "warmup": 0.5}
    found = fitted(given, functools.partial(Flat, scale=0.1), epochs=3, validation=0, **numbers)
    net, x = Flat(scale=0.1), torch.from_numpy(given["image"].values)
    code = torch.from_numpy((given["side"].values == "right").astype(int))
    groups = [{"params": [net.linear.weight], "weight_decay": 0.01}, {"params": [net.linear.bias]}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    for step, rows in enumerate(r for epoch in range(3) for r in _train_data.order(40, 8, 0, epoch)):
        rise = (step + 1) / 3.5
        rate = 0.3 * (rise if step < 2.5 else 0.5 * (1 - np.cos(np.pi * (15 - step) / 12.5)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), code[rows]).backward()
        optimizer.step()
    assert np.array_equal(found["linear.weight"].values, net.linear.weight.detach().numpy())


def test_rates_follow_their_schedule():
    course = _train_loop.Course(10, 8, 1.0, "sgd", 0.9, 0.0, "constant", 0.0, "", 0)
    rate = lambda **numbers: [_train_loop.rate_at(course._replace(**numbers), k, 10) for k in range(100)]  # noqa: E731
    assert set(rate()) == {1.0}
    warm = rate(warmup=2.0)
    assert np.allclose(warm[:20], np.arange(1, 21) / 21)
    assert set(warm[20:]) == {1.0}
    cosine = rate(schedule="cosine")
    assert np.allclose(cosine, 0.5 * (1 + np.cos(np.pi * np.arange(100) / 100)))
    cycle = rate(schedule="one-cycle")
    assert np.argmax(cycle) == 30
    assert np.allclose(np.diff(cycle[:30]), 1 / 31)
    assert np.allclose(np.diff(cycle[30:]), -1 / 70)
    assert min(cycle) > 0


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_same_seed_gives_the_same_bytes_and_leaves_no_trace(optimizer, tmp_path):
    module, given = Deep(), stimuli()
    module.front.eval()
    before, state = _weights.digest(module), torch.get_rng_state()
    modes = [part.training for part in module.modules()]
    numbers = {"augment": {"crop": 2, "flip": True}, "optimizer": optimizer, "rate": 0.01}
    found = [digest(fitted(given, module, seed=seed, **numbers), tmp_path) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert torch.equal(state, torch.get_rng_state())
    assert _weights.digest(module) == before
    assert [part.training for part in module.modules()] == modes
    assert all(weight.grad is None and weight.requires_grad for weight in module.parameters())
    assert not any(part._forward_hooks for part in module.modules())


def test_a_builder_is_given_the_seed_and_its_weights_are_built_again():
    given = stimuli(size=16, channels=3)
    build = functools.partial(cnn.build, width=4, classes=2)
    found = fitted(given, build, seed=3, mean=[0.5] * 3, std=[0.25] * 3)
    assert json.loads(found.attrs["model"])["with"] == {"width": 4, "classes": 2, "seed": 3}
    module, _ = record.built(None, found)
    assert not np.array_equal(found["conv1.0.weight"], build(seed=3).conv1[0].weight.detach())
    with torch.no_grad():
        shown = (torch.from_numpy(given["image"].values) - 0.5) / 0.25
        bare = module.eval()(shown).argmax(1).numpy() == (given["side"].values == "right")
    told = train.accuracy(given, found, overlap=True)
    assert np.array_equal(told["correct"].values, bare)
    seen = record.activations(given, weights=found, layers=["output"], mean=[0.5] * 3, std=[0.25] * 3)
    assert np.array_equal(seen["response"].values.argmax(1) == (given["side"].values == "right"), bare)
    schema.check(found)


@pytest.mark.parametrize("build", [cnn.build, cornet.build, functools.partial(vone.build, cells=4)])
def test_models_learn_which_side_is_brighter(build):
    """Planted truth; with shuffled labels the same pictures teach nothing."""
    given, apart = stimuli(64, 32, 3), stimuli(200, 32, 3, seed=1)
    numbers = {"epochs": 12, "rate": 0.005, "optimizer": "adamw", "batch": 16}
    model = functools.partial(build, width=4, classes=2)
    found = train.accuracy(apart, fitted(given, model, **numbers))
    assert found["accuracy"] > 0.95
    rng = np.random.default_rng(0)
    shuffled = given.assign_coords(side=("stimulus", rng.permutation(given["side"].values)))
    null = train.accuracy(apart, fitted(shuffled, model, **numbers))
    assert null["low"] < null.attrs["chance"] + 0.1


def test_responses_are_learned_and_joined_by_name():
    given = stimuli(300)
    shown = recording(given)
    model = functools.partial(Rates, outputs=3)
    numbers = {
        "task": tasks.respond,
        "label": None,
        "epochs": 60,
        "rate": 0.05,
        "optimizer": "adamw",
        "batch": 30,
    }
    found = fitted(given, model, recording=shown, **numbers)
    assert found["correlation"].max() > 0.9
    assert found["neuroid_id"].values.tolist() == ["unit 0", "unit 1", "unit 2"]
    turned = shown.isel(presentation=np.random.default_rng(1).permutation(600))
    again = fitted(given, model, recording=turned, **numbers)
    assert np.allclose(again["linear.weight"], found["linear.weight"], atol=1e-5)
    names = np.roll(given["stimulus_id"].values, 1)
    place = dict(zip(given["stimulus_id"].values, names, strict=True))
    wrong = [place[name] for name in shown["stimulus_id"].values]
    shifted = fitted(
        given, model, recording=shown.assign_coords(stimulus_id=("presentation", wrong)), **numbers
    )
    assert shifted["correlation"].max() < 0.5


def test_v22_stimuli_and_responses_that_do_not_meet_are_named():
    given = stimuli(20)
    shown = recording(given)
    numbers = {"task": tasks.respond, "label": None, "model": functools.partial(Rates, outputs=3)}
    foreign = shown.assign_coords(stimulus_id=("presentation", np.char.add(shown["stimulus_id"].values, "x")))
    with pytest.raises(
        ValueError, match=r"^recording: stimulus 'picture 0x' was shown and is not among the stim"
    ):
        fitted(given, recording=foreign, **numbers)
    few = shown.isel(presentation=shown["stimulus_id"].values != "picture 3")
    with pytest.raises(
        ValueError, match=r"^recording: stimulus 'picture 3' was not shown \(1 such\); train on"
    ):
        fitted(given, recording=few, **numbers)
    labelled = dict(zip(given["stimulus_id"].values, map(record.hashed, given["image"].values), strict=True))
    content = [labelled[name] for name in shown["stimulus_id"].values]
    known = shown.assign_coords(content=("presentation", content))
    assert np.isfinite(fitted(given, recording=known, **numbers)["loss"]).all()
    place = {"picture 3": "picture 4", "picture 4": "picture 3"}
    swapped = [place.get(name, name) for name in shown["stimulus_id"].values]
    with pytest.raises(
        ValueError, match=r"^recording: stimulus 'picture 3' was another picture \(2 such, by cont"
    ):
        fitted(given, recording=known.assign_coords(stimulus_id=("presentation", swapped)), **numbers)
    with pytest.raises(
        ValueError, match=r"^stimulus_id: 'picture 0' stands twice among the stimuli; keep one$"
    ):
        fitted(given, recording=shown, validation=stimuli(4, seed=9), **numbers)
    twice = given.assign_coords(stimulus_id=("stimulus", ["picture 0", *given["stimulus_id"].values[:-1]]))
    with pytest.raises(
        ValueError, match=r"^stimulus_id: 'picture 0' stands twice among the stimuli; keep one$"
    ):
        fitted(
            twice, recording=shown.isel(presentation=shown["stimulus_id"].values != "picture 19"), **numbers
        )


def test_both_tasks_at_once_are_one_sum():
    """Classes and responses from the same pixels; a picture that was not shown has a class alone."""
    given = stimuli(40)
    shown = recording(given)
    shown = shown.isel(presentation=~np.isin(shown["stimulus_id"].values, ["picture 3", "picture 5"]))
    both = {"what": tasks.classify, "brain": functools.partial(tasks.respond, loss="squared")}
    numbers = {"task": both, "model": functools.partial(Both, outputs=5, scale=0.01), "recording": shown}
    found = fitted(given, epochs=30, strength={"brain": 0.5}, **numbers)
    assert found["term"].values.tolist() == ["what", "brain"]
    assert found["accuracy"][-1] == 1
    assert np.isfinite(found["correlation"]).all()
    assert (np.diff(found["loss"].values[[0, 10, 29]], axis=0) < 0).all()
    alone = fitted(given, epochs=3, strength={"brain": 0}, **numbers)
    plain = fitted(given, epochs=3, model=numbers["model"], recording=shown)
    assert np.array_equal(alone["linear.weight"][:2], plain["linear.weight"][:2])


def test_gradients_of_terms_are_told_apart_and_add_up():
    given = stimuli(8)
    numbers = {"batch": 8, "epochs": 1, "validation": 0}
    decay = {"small": lambda net: net.linear.weight.square().sum() / 2}
    model = functools.partial(Flat, scale=0.5)
    found = fitted(given, model, penalties=decay, strength={"small": 0.2}, **numbers)
    weight = model().linear.weight.detach().numpy().astype(float)
    assert found["term"].values.tolist() == ["cross-entropy", "small"]
    assert np.isclose(found["loss"][0, 1], (weight**2).sum() / 2)
    assert np.isclose(found["gradient_norm"][0, 1], 0.2 * np.sqrt((weight**2).sum()))
    plain = fitted(given, model, **numbers)
    moved = plain["linear.weight"].values - 0.1 * 0.2 * weight
    assert np.allclose(found["linear.weight"], moved, atol=1e-6)
    assert np.isclose(found["gradient_norm"][0, 0], plain["gradient_norm"][0, 0])


def test_a_penalty_sees_its_layer_and_the_responses():
    given, seen = stimuli(24), []

    def near(features, target):
        seen.append((tuple(features.shape), tuple(target.shape), features.requires_grad))
        return (features.mean((1, 2, 3)) - target[:, 0]).square().mean()

    found = fitted(given, penalties={"near": {"penalty": near, "layer": "front"}}, recording=recording(given))
    assert set(seen) == {((8, 4, 8, 8), (8, 3), True)}
    assert found["gradient_norm"].sel(term="near").min() > 0
    assert np.isnan(found["validation_loss"].sel(term="near")).all()


def test_frozen_layers_stay_with_their_running_means():
    before = Deep()
    found = fitted(freeze=["front"], epochs=2)
    for name, weight in before.state_dict().items():
        same = np.array_equal(found[name].values, np.atleast_1d(weight.numpy()))
        assert same == name.startswith("front")
    with pytest.raises(ValueError, match=r"^freeze: leaves no weight to train"):
        fitted(freeze=["front", "head"])


def test_the_gradient_is_clipped():
    model = functools.partial(Flat, scale=0.0)
    numbers = {"batch": 6, "epochs": 1, "rate": 1.0, "validation": 0}
    found = fitted(stimuli(6), model, clip=0.01, **numbers)
    moved = np.sqrt((found["linear.weight"].values ** 2).sum() + (found["linear.bias"].values ** 2).sum())
    assert np.isclose(moved, 0.01, rtol=1e-4)
    assert found["gradient_norm"] > 0.05


def test_the_best_epoch_is_kept_and_patience_ends_it():
    """The rate is far too high: the loss on the validation only grows after the first epochs."""
    numbers = {"model": functools.partial(Flat, scale=0.0), "rate": 30.0, "epochs": 40, "monitor": "loss"}
    found = fitted(stimuli(60), patience=3, **numbers)
    curve = found["validation_loss"][:, 0].values
    best = found.attrs["best_epoch"]
    assert best == curve.argmin() + 1
    assert len(curve) == best + 3 < 40
    again = fitted(stimuli(60), **{**numbers, "epochs": best})
    assert np.array_equal(again["linear.weight"].values, found["linear.weight"].values)


def test_the_validation_is_a_share_of_every_class_and_copies_stay_together():
    given = stimuli(80)
    given = given.isel(stimulus=np.r_[np.arange(80), np.arange(10)])
    given["stimulus_id"] = ("stimulus", [f"{k}" for k in range(90)])
    found = fitted(given, Flat, validation=0.25)
    held = found["validation"].values
    hashes = [record.hashed(one) for one in given["image"].values]
    sides = dict(zip(hashes, given["side"].values, strict=True))
    counts = [sides[content] for content in sorted(set(found["content"].values[held]))]
    assert (counts.count("left"), counts.count("right")) == (10, 10)
    distinct = set(found["content"].values[held])
    assert len(distinct) == 20
    assert not distinct & set(found["content"].values[~held])
    assert len(found["content"]) == 90


def test_v29_a_validation_that_is_trained_on_is_refused():
    given, other = stimuli(20), stimuli(10, seed=5)
    copied = other.copy(deep=True)
    copied["image"][3] = given["image"][7].values
    with pytest.raises(ValueError, match=r"^validation: picture 'picture 3' is also trained on \(1 such\)"):
        fitted(given, validation=copied)
    found = fitted(given, validation=other)
    assert found["validation"].sum() == 10


def test_every_batch_has_one_size_and_the_remainder_is_another_each_epoch():
    first, second = (_train_data.order(21, 8, 0, epoch) for epoch in (0, 1))
    assert [len(rows) for rows in first] == [8, 8]
    assert len(np.unique(np.concatenate(first))) == 16
    assert set(np.concatenate(first)) != set(np.concatenate(second))
    assert [len(rows) for rows in _train_data.order(5, 8, 0, 0)] == [5]


def test_pictures_are_moved_and_mirrored():
    x = torch.rand(50, 2, 6, 6)
    draw = lambda: torch.Generator().manual_seed(0)  # noqa: E731
    crop, flip = _train_data.changes({"crop": 2, "flip": True})
    moved = crop(x, draw())
    padded = nn.functional.pad(x, (2, 2, 2, 2))
    for k in range(50):
        windows = [padded[k, :, i : i + 6, j : j + 6] for i in range(5) for j in range(5)]
        assert any(torch.equal(moved[k], window) for window in windows)
    turned = flip(x, draw())
    same = [torch.equal(a, b) for a, b in zip(turned, x, strict=True)]
    assert 10 < sum(same) < 40
    assert all(s or torch.equal(a, b.flip(-1)) for s, a, b in zip(same, turned, x, strict=True))
    assert _train_data.changes({"crop": 0, "flip": False}) == _train_data.changes(None) == []
    for wrong, hint in (({"flop": True}, "did you mean 'flip'"), ({"crop": -1}, "crop: 4")):
        with pytest.raises(ValueError, match=rf"^augment: .*{hint}"):
            _train_data.changes(wrong)


class Cut(Exception):
    """What ends a training in the middle."""


@pytest.fixture
def often(monkeypatch):
    """A file after every batch."""
    monkeypatch.setattr(_train_keep, "EVERY", 0.0)
    monkeypatch.setattr(_train_keep, "SHARE", np.inf)


def cut_after(calls):
    """An own augmentation that changes nothing, and ends the training at one of its calls."""
    left = [calls]

    def same(x, generator):
        left[0] -= 1
        if left[0] < 0:
            raise Cut
        return x

    return same


@pytest.mark.parametrize(("calls", "optimizer"), [(1, "adamw"), (4, "sgd"), (5, "sgd"), (11, "adamw")])
def test_a_training_that_was_cut_off_goes_on_to_the_same_bytes(calls, optimizer, tmp_path, often):
    """Four batches an epoch: within the first, at its end, after it, and in the last."""
    numbers = {"epochs": 3, "rate": 0.01, "optimizer": optimizer, "home": tmp_path / "kept", "patience": 5}
    whole = digest(fitted(augment={"flip": True, "own": cut_after(99)}, **numbers), tmp_path)
    assert not list((tmp_path / "kept").iterdir())
    with pytest.raises(Cut):
        fitted(augment={"flip": True, "own": cut_after(calls)}, **numbers)
    (kept,) = (tmp_path / "kept").glob("*.nc")
    assert store.read(kept).attrs["epoch"] == calls // 4
    again, counted = cut_after(12 - calls), []
    same = lambda x, g: (counted.append(1), again(x, g))[1]  # noqa: E731
    same.__qualname__, same.__module__ = cut_after(0).__qualname__, __name__
    assert digest(fitted(augment={"flip": True, "own": same}, **numbers), tmp_path) == whole
    assert len(counted) == 12 - calls
    assert not list((tmp_path / "kept").iterdir())


SCRIPT = """
import functools, sys, time
sys.path[:0] = {paths!r}
from loaders import synthetic
from pipeline import tasks
from pipeline.models import cornet
from pipeline.stages import _train_keep, train
_train_keep.EVERY, _train_keep.SHARE = 0.0, float("inf")
write = _train_keep.Keep.write
_train_keep.Keep.write = lambda place, dataset: (write(place, dataset), time.sleep({pause}))
faces = synthetic.face_images(seed=0, size=32)
model = functools.partial(cornet.build, width=4, classes=2)
train.fit(faces, model, home={home!r}, task=tasks.classify, **{told!r})
"""
FACES = {"label": "familiar", "epochs": 3, "rate": 0.05, "batch": 16, "augment": {"flip": True}}


def killed(home, seconds, pause):
    """Whether a training was killed so long after its first file stood."""
    code = SCRIPT.format(paths=[os.getcwd()], pause=pause, home=str(home), told=FACES)
    running = subprocess.Popen([sys.executable, "-c", code])
    while not list(home.glob("training-*.nc")) and running.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    running.send_signal(signal.SIGKILL)
    return running.wait() == -signal.SIGKILL


def faced(home=None):
    faces = synthetic.face_images(seed=0, size=32)
    model = functools.partial(cornet.build, width=4, classes=2)
    return train.fit(faces, model, home=home, task=tasks.classify, **FACES)


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, capfd):
    assert killed(tmp_path / "kept", 0.25, 0.1)
    (kept,) = (tmp_path / "kept").glob("training-*.nc")
    assert store.read(kept).attrs["epoch"] * 100 + store.read(kept).attrs["batch"] > 0
    assert digest(faced(tmp_path / "kept"), tmp_path) == digest(faced(), tmp_path)
    assert capfd.readouterr().err == ""  # what was kept was used
    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path, capfd):
    """Often within a write: the file that stands is whole, old or new."""
    whole = digest(faced(), tmp_path)
    for k, moment in enumerate(np.random.default_rng(0).uniform(0, 0.4, 20)):
        home = tmp_path / f"kept {k}"
        killed(home, moment, 0.0)
        assert digest(faced(home), tmp_path) == whole
        assert not list(home.iterdir())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("harm", "word"),
    [("cut", "is damaged"), ("flip", "is damaged"), ("stale", "belongs to another training"), ("odd", "odd")],
)
def test_f74_a_checkpoint_that_is_not_whole_is_named_and_not_used(harm, word, tmp_path, often, capsys):
    numbers = {"epochs": 3, "home": tmp_path / "kept"}
    whole = digest(fitted(augment={"own": cut_after(99)}, **numbers), tmp_path)
    with pytest.raises(Cut):
        fitted(augment={"own": cut_after(6)}, **numbers)
    (kept,) = (tmp_path / "kept").glob("*.nc")
    content = bytearray(kept.read_bytes())
    if harm == "cut":
        kept.write_bytes(content[: len(content) // 2])
    elif harm == "flip":
        content[len(content) // 2] ^= 1
        kept.write_bytes(content)
    elif harm == "stale":
        store.write(store.read(kept).load(), kept, "another key")
    else:
        key = store.verify(kept).key
        store.write(store.read(kept).load().rename({"momentum_buffer:head.bias": "odd:odd"}), kept, key)
    assert digest(fitted(augment={"own": cut_after(99)}, **numbers), tmp_path) == whole
    said = capsys.readouterr().err
    assert said.startswith(f"{kept}: ")
    assert word in said
    assert said.endswith("it is not used, and the training starts anew\n")
    assert said.count("\n") == 1


def test_another_training_in_the_same_folder_is_not_mixed_up(tmp_path, often):
    home = tmp_path / "kept"
    with pytest.raises(Cut):
        fitted(augment={"own": cut_after(6)}, epochs=3, home=home)
    for change in ({"rate": 0.2}, {"seed": 1}, {"model": functools.partial(Deep, seed=1)}, {"clip": 1.0}):
        alone = digest(fitted(augment={"own": cut_after(99)}, epochs=3, **change), tmp_path)
        assert (
            digest(fitted(augment={"own": cut_after(99)}, epochs=3, home=home, **change), tmp_path) == alone
        )
    other = stimuli()
    other["image"][0, 0, 0, 0] = 0.5
    alone = digest(fitted(other, augment={"own": cut_after(99)}, epochs=3), tmp_path)
    assert digest(fitted(other, augment={"own": cut_after(99)}, epochs=3, home=home), tmp_path) == alone
    assert len(list(home.glob("*.nc"))) == 1


def test_a_training_without_home_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fitted()
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(_train_loop, "SPEAK", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fitted()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[1].startswith("training: epoch 2 of 2: cross-entropy 0.")
    assert "validation accuracy" in said[1]


def broken_at(calls, value):
    left = [calls]

    def breaks(module, batch):
        left[0] -= 1
        found = tasks.classify(module, batch)
        return {**found, "odd": module.net.head.weight.sum() * (value if left[0] < 0 else 0.0)}

    return breaks


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f67_a_loss_that_is_no_number_stops_it_and_the_last_good_weights_stand(value, tmp_path):
    """Four batches and one validation an epoch: the third batch of the second epoch fails."""
    numbers = {"epochs": 3, "home": tmp_path, "validation": 0, "batch": 10}
    where = (
        r"^loss: term 'odd' is (nan|-?inf) at epoch 2, batch 3 \(the first are 1\); lower rate, set clip, or"
    )
    with pytest.raises(ValueError, match=where) as told:
        fitted(task=broken_at(6, value), **numbers)
    (kept,) = tmp_path.glob("*.nc")
    assert str(told.value).endswith(f"; the weights after epoch 1 are in {kept}")
    found = store.read(kept)
    good = fitted(task=broken_at(99, value), **{**numbers, "epochs": 1, "home": None})
    assert all(np.array_equal(found[name], good[name]) for name in Deep().state_dict())
    record.activations(stimuli(), Deep(), weights=found)


def test_f67_a_validation_that_is_no_number_stops_it_too():
    def odd(module, batch):
        found = tasks.classify(module, batch)["cross-entropy"]
        return {"odd": found if module.training else found * np.nan}

    with pytest.raises(
        ValueError, match=r"^loss: term 'odd' is nan at the validation of epoch 1; lower rate"
    ):
        fitted(task=odd)


def test_f67_a_gradient_that_is_no_number_stops_it_before_the_step():
    def steep(module, batch):
        zero = (module.net.linear.weight * 0).sum()
        return {"root": torch.sqrt(zero)}  # 0, of infinite slope

    with pytest.raises(
        ValueError, match=r"^loss: the gradient of 'all terms' is nan at epoch 1, batch 1 \(the"
    ):
        fitted(model=Flat, task=steep)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 255.0])
def test_f66_f67_pictures_out_of_range_are_named(value):
    given = stimuli()
    given["image"][7, 0, 2, 3] = value
    with pytest.raises(ValueError, match=rf"^image: is {value:g} at \(7, 0, 2, 3\); it "):
        fitted(given)
    with pytest.raises(ValueError, match=r"^image: is "):
        fitted(validation=given)


def test_f67_a_weight_to_start_from_that_is_no_number_is_named():
    start = _weights.to_dataset(Deep())
    start["head.bias"][1] = np.nan
    with pytest.raises(ValueError, match=r"^weights: 'head\.bias' is nan at \(1,\)"):
        fitted(weights=start)


def labelled(values):
    return stimuli(40).assign_coords(side=("stimulus", values))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"given": labelled(np.arange(40) % 2 / 1.0)}, "label: 'side' is of type float64; wanted whole"),
        ({"given": labelled(np.r_[["", "b"], ["a"] * 38])}, "label: 'side' is empty at picture 0"),
        ({"given": labelled(["a"] * 40)}, "label: 'side' is 'a' everywhere; wanted two classes"),
        ({"given": labelled(np.arange(40) % 3)}, "model: answers (8, 2) where (8, 3) is asked, for 3"),
        ({"label": "sied"}, "label: the stimuli have no 'sied'; did you mean 'side'?"),
        ({"label": None}, "label: none was given to classify"),
        ({"epochs": 0}, "epochs: 0; wanted a whole number from 1 up"),
        ({"batch": 0}, "batch: 0; wanted a whole number"),
        ({"rate": 0.0}, "rate: 0.0; wanted a number above 0"),
        ({"rate": np.nan}, "rate: nan; wanted"),
        ({"momentum": 1.0}, "momentum: 1.0; wanted"),
        ({"weight_decay": -1.0}, "weight_decay: -1.0; wanted"),
        ({"clip": np.inf}, "clip: inf; wanted"),
        ({"optimizer": "adam"}, "optimizer: 'adam'; known are sgd, adamw"),
        ({"schedule": "cosin"}, "schedule: 'cosin'; known are"),
        ({"seed": -1}, "seed: -1; wanted"),
        ({"trades": 1.0}, "trades: 1.0 without an adversary"),
        ({"validation": 1.0}, "validation: 1.0; wanted a share"),
        ({"validation": 0.001}, "validation: 0.001 of 40 pictures leaves one part empty"),
        ({"monitor": "acuracy"}, "monitor: 'acuracy' is not measured; known are accuracy, loss"),
        ({"patience": 1, "validation": 0}, "patience: 1 without a validation"),
        ({"monitor": "loss", "validation": 0}, "monitor: 'loss' without a validation"),
        ({"strength": {"cros-entropy": 1}}, "strength: there is no term 'cros-entropy'; did you mean 'cro"),
        ({"strength": {"cross-entropy": np.nan}}, "strength: 'cross-entropy' is nan; wanted a number"),
        ({"penalties": {"x": {"layer": "front"}}}, "penalties: 'x' is {'layer': 'front'}; wanted"),
        ({"penalties": {"x": {"penalty": len, "layer": "fornt"}}}, "penalties: the model has no layer 'fo"),
        ({"penalties": {"x": lambda net: [1]}}, "penalties: 'x' is list for 8 pictures; wanted one number"),
        ({"task": lambda module, batch: 3}, "task: it gave a int; wanted {term: loss}"),
        ({"task": lambda m, b: {"a": m(b.x)}}, "task: term 'a' is (8, 2) for 8 pictures; wanted one number"),
        ({"task": lambda m, b: {"a": torch.ones(8)}}, "task: no term depends on a weight that is trained"),
        ({"freeze": ["fornt"]}, "layers: the model has no layer 'fornt'"),
        ({"mean": [0.5]}, "std: [] for mean [0.5]; wanted as many"),
        ({"model": "pipeline.models.cnn.biuld"}, "model: pipeline.models.cnn has no function 'biuld'"),
        ({"model": functools.partial(Flat, inputs=9)}, "model: refused pictures of shape (8, 1, 8, 8): mat1"),
        ({"batch": 1, "model": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 2))},
         "model: refused pictures of shape (1, 1, 8, 8): Expected more than 1 value"),
    ],
)  # fmt: skip
def test_f67_f70_f77_what_cannot_be_trained_is_named_at_the_first_batch(numbers, message):
    module = numbers.pop("model", None) or Deep()
    before = _weights.digest(module) if isinstance(module, nn.Module) else None
    with pytest.raises(ValueError) as told:
        fitted(numbers.pop("given", None), module, **numbers)
    assert str(told.value).startswith(message)
    assert "\n" not in str(told.value)
    if before:
        assert _weights.digest(module) == before
        assert all(part.training for part in module.modules())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.where(r > 1e9), r"^recording: neuroid unit 0 has no number at any stimulus"),
        (lambda r: r.where(r > r.min("presentation"), np.inf), r"^recording: neuroid unit . is infinite in"),
        (lambda r: r - 9, r"^recording: has a response of -.*; Poisson needs rates from 0"),
        (lambda r: r.isel(neuroid=[0, 1]), r"^model: answers \(8, 3\) where \(8, 2\) was recorded"),
        (lambda r: xr.concat([r, r], "time").transpose("presentation", ...), "^response: has 2 times"),
    ],
)  # fmt: skip
def test_f77_responses_of_wrong_scale_or_rank_are_refused(change, message):
    given = stimuli(24)
    shown = recording(given)
    changed = change(shown["response"]).rename("response")
    shown = changed.to_dataset()
    module = Rates(outputs=3, scale=0.1)
    before = _weights.digest(module)
    with pytest.raises(ValueError, match=message):
        fitted(given, module, task=tasks.respond, label=None, recording=shown)
    assert _weights.digest(module) == before


def signs(objective, x, epsilon, *, seed=0):
    """One step of the sign of the gradient."""
    leaf = x.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(objective(leaf).sum(), leaf)
    return (x + epsilon * slope.sign()).clamp(0, 1)


def test_an_adversary_makes_what_is_learned_from():
    """By hand: the first step of a linear network against one step of the sign."""
    given = stimuli(6)
    model, told = functools.partial(Flat, scale=0.1), {"batch": 6, "epochs": 1, "rate": 0.5, "validation": 0}
    found = fitted(given, model, adversary=functools.partial(signs, epsilon=0.1), **told)
    net, x = model(), torch.from_numpy(given["image"].values).requires_grad_()
    code = torch.from_numpy((given["side"].values == "right").astype(int))
    nn.functional.cross_entropy(net(x), code).backward()
    moved = (x + 0.1 * x.grad.sign()).clamp(0, 1).detach()
    net.zero_grad()
    loss = nn.functional.cross_entropy(net(moved), code)
    loss.backward()
    assert np.isclose(found["loss"], float(loss.detach()), rtol=1e-6)
    wanted = net.linear.weight - 0.5 * net.linear.weight.grad
    assert np.allclose(found["linear.weight"], wanted.detach(), atol=1e-6)
    clean = fitted(given, model, adversary=functools.partial(signs, epsilon=0.0), **told)
    plain = fitted(given, model, **told)
    assert np.array_equal(clean["linear.weight"], plain["linear.weight"])


def test_a_search_meets_a_still_network():
    seen = []

    def search(objective, x, *, seed):
        value = objective(x[[2, 0]], torch.tensor([2, 0]))
        assert torch.allclose(value, objective(x)[[2, 0]], atol=1e-6)
        assert not value.requires_grad
        seen.append(seed)
        return x

    found = fitted(adversary=search)
    plain = fitted()
    assert len(set(seen)) == len(seen) == 8
    assert np.array_equal(found["head.weight"], plain["head.weight"])  # dropout and running means untouched


def test_trades_adds_a_divergence_and_pgd_is_a_search_like_any():
    given = stimuli(24)
    search = functools.partial(pgd.pgd, epsilon=0.1, norm="linf", steps=3)
    for trades in (0.0, 2.0):
        found = fitted(given, adversary=search, trades=trades, epochs=3)
        assert found["term"].values.tolist() == ["cross-entropy"] + ["trades"] * bool(trades)
        assert np.isfinite(found["loss"]).all()
        assert json.loads(found.attrs["hyperparameters"])["adversary"] == {
            "use": "pipeline.attacks.pgd.pgd", "with": {"epsilon": 0.1, "norm": "linf", "steps": 3},
        }  # fmt: skip
    assert (found["loss"].sel(term="trades") > 0).all()
    with pytest.raises(ValueError, match=r"^adversary: gave no pictures of the same shape"):
        fitted(given, adversary=lambda objective, x, seed: x[0])
    total = lambda module, batch: {"all": tasks.classify(module, batch)["cross-entropy"].sum()}  # noqa: E731
    with pytest.raises(ValueError, match=r"^adversary: no term of the task has one loss a picture"):
        fitted(given, adversary=search, task=total)


def two_sided(seed):
    """Noise; the upper half tells the side by .1, the lower half by .06."""
    made = stimuli(400, seed=seed)
    sign = np.where(made["side"].values == "right", 1, -1)[:, None, None, None]
    made["image"][:] = 0.5 + np.random.default_rng(seed).uniform(-0.3, 0.3, made["image"].shape)
    made["image"][:, :, :4] += 0.1 * sign
    made["image"][:, :, 4:] += 0.06 * sign
    return made


def test_training_against_an_adversary_drops_what_it_can_turn_round():
    """Planted: a budget of .08 turns the lower half round, and not the upper."""
    given, apart = two_sided(0), two_sided(1)
    x = torch.from_numpy(apart["image"].values)
    code = torch.from_numpy((apart["side"].values == "right").astype(int))
    numbers = {"epochs": 20, "rate": 0.05, "model": Flat, "mean": [0.5], "std": [0.2], "batch": 50}
    shares, ratios = [], []
    for adversary in (None, functools.partial(signs, epsilon=0.08)):
        net, _ = record.built(Flat(), fitted(given, adversary=adversary, **numbers))
        loss = lambda y, net=net: nn.functional.cross_entropy(net((y - 0.5) / 0.2), code)  # noqa: E731
        shares.append(float((net((signs(loss, x, 0.08) - 0.5) / 0.2).argmax(1) == code).float().mean()))
        upper, lower = (net.linear.weight.detach().diff(dim=0).reshape(2, 32)).mean(1)
        ratios.append(float(lower / upper))
    assert ratios[0] > 0.4
    assert abs(ratios[1]) < 0.2
    assert shares[1] > shares[0] + 0.05


def test_accuracy_counts_by_hand():
    given, other = stimuli(40), stimuli(50, seed=3)
    found = fitted(given, Flat)
    told = train.accuracy(other, found, Flat())
    code = (other["side"].values == "right").astype(int)
    answer = (
        other["image"].values.reshape(50, -1) @ found["linear.weight"].values.T + found["linear.bias"].values
    )
    said = answer.argmax(1)
    table = [[((code == i) & (said == j)).sum() for j in range(2)] for i in range(2)]
    assert np.array_equal(told["confusion"], table)
    assert told["accuracy"] == (code == said).mean()
    low, high = clopper(int((code == said).sum()), 50, 0.95)
    assert (float(told["low"][0]), float(told["high"][0])) == (low, high)
    assert np.allclose(told["recall"], [table[0][0] / (code == 0).sum(), table[1][1] / (code == 1).sum()])
    assert told["condition"].values.tolist() == ["left", "right"]
    assert told.attrs["chance"] == max(np.mean(code), 1 - np.mean(code))
    part = train.accuracy(other.isel(stimulus=slice(7)), found, Flat(), batch=3)
    assert np.array_equal(part["correct"], told["correct"][:7])


def test_f76_pictures_that_were_seen_are_refused_under_any_name():
    given, other = stimuli(20), stimuli(10, seed=3)
    found = fitted(given, Flat)
    copied = other.copy(deep=True)
    copied["image"][4] = given["image"][11].values
    with pytest.raises(
        ValueError, match=r"^stimuli: picture 'picture 4' was seen in training \(1 such\); leave"
    ):
        train.accuracy(copied, found, Flat())
    assert train.accuracy(copied, found, Flat(), overlap=True).attrs["overlap"] == 1
    further = fitted(other, Flat(), weights=found, validation=0)
    with pytest.raises(ValueError, match=r"^stimuli: picture 'picture 0' was seen in training \(20 such\)"):
        train.accuracy(given, further, Flat())


def test_accuracy_names_what_it_cannot_judge():
    given, other = stimuli(20), stimuli(10, seed=3)
    found = fitted(given, Flat)
    with pytest.raises(
        ValueError, match=r"^label: 'side' is 'up' at picture 0; the network knows left, right$"
    ):
        train.accuracy(other.assign_coords(side=("stimulus", ["up"] * 10)), found, Flat())
    with pytest.raises(ValueError, match=r"^weights: do not say which classes they were trained on"):
        train.accuracy(other, _weights.to_dataset(Flat()), Flat())
    with pytest.raises(
        ValueError, match=r"^weights: name '.*Flat' as their model, which is not below pipeline\."
    ):
        train.accuracy(other, found)


def test_a_study_trains_records_and_judges(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "trained.yaml"
    file.write_text("""
about: a network is trained on simulated pictures
units: {seed: ["0", "1"]}
steps:
  faces:
    use: loaders.synthetic.face_images
    once: true
    with: {seed: 0, size: 16}
  net:
    use: pipeline.stages.train.fit
    once: false
    with:
      model: {use: pipeline.models.cnn.build, with: {width: 4, classes: 2}}
      task: {use: pipeline.tasks.classify}
      label: familiar
      epochs: 2
      rate: 0.05
      batch: 8
      augment: {flip: true}
      adversary: {use: pipeline.attacks.pgd.pgd, with: {epsilon: 0.01, steps: 1}}
      home: "{results}/training"
      seed: "{seed}"
    from: {stimuli: faces}
  units:
    use: pipeline.stages.record.activations
    with: {layers: [conv4]}
    from: {stimuli: faces, weights: net}
  judged:
    use: pipeline.stages.train.accuracy
    with: {overlap: true}
    from: {stimuli: faces, weights: net}
""")
    assert run.run(file, quiet=True)
    folder = tmp_path / "results" / "trained"
    found = store.read(folder / "net" / "1.nc")
    assert json.loads(found.attrs["model"])["with"] == {"width": 4, "classes": 2, "seed": 1}
    assert store.read(folder / "judged" / "1.nc").attrs["overlap"] > 0
    assert store.read(folder / "units" / "1.nc").attrs["weights_sha256"] == found.attrs["weights_sha256"]
    assert not (folder / "training").exists()  # too short to be kept
    wrong = {"task": {"use": "pipeline.tasks.clasify"}, "epochs": 1, "rate": 1.0}
    said = [why for _, why in parts.problems("pipeline.stages.train.fit", wrong, ["stimuli"])]
    assert any("did you mean 'classify'" in why for why in said)


def test_curves_show_terms_chance_and_the_epoch_that_is_kept():
    given = stimuli(40)
    found = fitted(given, epochs=4)
    loss, measure = train.plot(found).axes
    assert np.array_equal(loss.lines[0].get_ydata(), found["loss"][:, 0])
    assert np.array_equal(loss.lines[1].get_ydata(), found["validation_loss"][:, 0])
    assert loss.get_xlabel() == "epoch"
    assert "loss" in loss.get_ylabel()
    assert measure.get_ylabel() == "validation accuracy"
    assert any("chance 0.5" in text.get_text() for text in measure.texts)
    assert any(set(line.get_ydata()) == {0.5} for line in measure.lines)
    table = train.plot(train.accuracy(stimuli(10, seed=4), found, Deep())).axes[0]
    assert "chance" in table.get_title()
    assert table.get_xlabel() == "named as"


@pytest.mark.slow
def test_a_small_cnn_learns_real_pictures(neuro_data, capsys):
    """3000 pictures of 10 classes; a linear machine on 100 components names .398 of the 2000 apart."""
    folder = neuro_data / "images" / "cifar10_subset"
    given, apart = (images.stimuli(folder / f"cifar10_{part}_subset.npz") for part in ("train", "test"))
    start = time.process_time()
    found = train.fit(
        given, functools.partial(cnn.build, width=16), task=tasks.classify, label="label_name", epochs=60,
        rate=0.1, weight_decay=5e-4, schedule="one-cycle", augment={"crop": 4, "flip": True},
        mean=[0.49, 0.48, 0.45], std=[0.25, 0.24, 0.26],
    )  # fmt: skip
    seconds = time.process_time() - start
    told = train.accuracy(apart, found)
    low, high = float(told["low"][0]), float(told["high"][0])
    with capsys.disabled():
        share = float(told["accuracy"][0])
        print(f"\nsmall CNN: {share:.3f} ({low:.3f} to {high:.3f}) of 2000 apart, {seconds:.0f} CPU s")
    assert low > 0.55
