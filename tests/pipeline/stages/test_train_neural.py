"""Recorded responses in the training loop: batches in turns, what penalties own, and when they count."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from pipeline import store, tasks
from pipeline.models import _weights, cornet
from pipeline.regularizers import arctanh, cka, dcca, rsa
from pipeline.stages import _train_data, _train_keep, _train_neural, record, train


def stimuli(count=40, size=8, seed=0, word="picture"):
    """Noise that is brighter on the left or on the right: what `side` says."""
    rng = np.random.default_rng(seed)
    side = rng.permutation(np.arange(count) % 2)
    pixel = 0.6 * rng.random((count, 1, size, size), dtype=np.float32)
    pixel += 0.4 * (np.where(np.arange(size) < size // 2, 0, 1) == side[:, None])[:, None, None, :].astype(
        "f"
    )
    coords = {
        "stimulus_id": ("stimulus", [f"{word} {k}" for k in range(count)]),
        "side": ("stimulus", np.array(["left", "right"])[side]),
    }
    return xr.Dataset({"image": (("stimulus", "channel", "y", "x"), pixel, {"units": "1"})}, coords)


def recording(given, neuroids=3, seed=0):
    """One presentation of every picture; neuroids weigh pixels, in z-scores."""
    rng = np.random.default_rng(seed)
    pixel = given["image"].values.reshape(given.sizes["stimulus"], -1)
    drive = pixel @ rng.normal(size=(pixel.shape[1], neuroids))
    drive = (drive - drive.mean(0)) / drive.std(0)
    coords = {
        "stimulus_id": ("presentation", given["stimulus_id"].values),
        "neuroid_id": ("neuroid", [f"unit {k}" for k in range(neuroids)]),
    }
    return xr.Dataset({"response": (("presentation", "neuroid"), drive, {"units": "1"})}, coords)


SEEN = stimuli(30, seed=9, word="shown")
SHOWN = {"neural_stimuli": SEEN, "recording": recording(SEEN)}


class Deep(nn.Module):
    """Convolution, batch normalisation and dropout."""

    def __init__(self, outputs=2, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.front = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
            self.drop, self.head = nn.Dropout(0.2), nn.Linear(16, outputs)

    def forward(self, x):
        return self.head(self.drop(nn.functional.adaptive_avg_pool2d(self.front(x), 2).flatten(1)))


class Both(Deep):
    """Logits and responses of the same features."""

    def __init__(self, seed=0):
        super().__init__(5, seed)

    def forward(self, x):
        found = super().forward(x)
        return {"logits": found[:, :2], "response": found[:, 2:]}


class Plain(nn.Module):
    """Nothing random, from small weights; a layer in the middle."""

    def __init__(self, seed=0):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.front, self.head = nn.Linear(64, 5), nn.Linear(5, 2)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(0.3 * torch.randn(weight.shape, generator=draw))

    def forward(self, x):
        return self.head(self.front(x.flatten(1)))


SQUARED = functools.partial(tasks.respond, loss="squared")
RSA = {"rsa": {"penalty": rsa.penalty, "layer": "front"}}
OWN = {"dcca": {"build": functools.partial(dcca.build, widths=(6,), pairs=2), "layer": "front"}}


def fitted(given=None, model=Deep, **numbers):
    told = {"task": tasks.classify, "label": "side", "epochs": 2, "rate": 0.1, "batch": 8, **numbers}
    return train.fit(stimuli() if given is None else given, model, **told)


def digest(result, folder):
    return store.write(result, folder / "result.nc", "key")


def test_one_turn_is_the_one_done_by_hand():
    """Cross-entropy of one batch, RSA of another, added up before one step."""
    given = stimuli(8)
    neural = {"batch": 30, "validation": 0}
    found = fitted(
        given, Plain, epochs=1, validation=0, penalties=RSA, strength={"rsa": 0.7}, neural=neural, **SHOWN
    )
    net = Plain()
    x, code = torch.from_numpy(given["image"].values), torch.from_numpy((given["side"].values == "right") * 1)
    order = _train_data.order(30, 30, _train_data.number(0, 5), 0)[0]
    shown, target = SEEN["image"].values[order], SHOWN["recording"]["response"].values[order]
    features = net.front(torch.from_numpy(shown).flatten(1))
    cost = rsa.penalty(features, torch.from_numpy(target).float())
    loss = nn.functional.cross_entropy(net(x), code)
    at_layer = torch.autograd.grad(cost, features, retain_graph=True)[0].norm() * 0.7
    (loss + 0.7 * cost).backward()
    for name, weight in net.named_parameters():
        assert np.allclose(found[name], (weight - 0.1 * weight.grad).detach(), atol=1e-6)
    assert found["term"].values.tolist() == ["cross-entropy", "rsa"]
    assert np.allclose(found["loss"][0], [float(loss.detach()), float(cost.detach())], rtol=1e-6)
    assert np.isclose(found["layer_gradient_norm"][0, 1], at_layer, rtol=1e-5)


def test_a_step_after_every_batch_is_another_one():
    given = stimuli(8)
    numbers = {"epochs": 1, "validation": 0, "penalties": RSA, **SHOWN}
    found = fitted(given, Plain, neural={"batch": 30, "validation": 0, "step": "each"}, **numbers)
    net = Plain()
    x, code = torch.from_numpy(given["image"].values), torch.from_numpy((given["side"].values == "right") * 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    nn.functional.cross_entropy(net(x), code).backward()
    optimizer.step()
    optimizer.zero_grad()
    order = _train_data.order(30, 30, _train_data.number(0, 5), 0)[0]
    shown, target = SEEN["image"].values[order], SHOWN["recording"]["response"].values[order]
    rsa.penalty(net.front(torch.from_numpy(shown).flatten(1)), torch.from_numpy(target).float()).backward()
    optimizer.step()
    for name, weight in net.named_parameters():
        assert np.allclose(found[name], weight.detach(), atol=1e-6)


@pytest.mark.parametrize(("ratio", "firsts"), [(1.0, [0, 1, 2, 3, 4, 5, 6]), (2.5, [0, 3, 5, 8, 10, 13, 15])])
def test_batches_take_turns(ratio, firsts):
    neural = _train_neural.Neural(None, None, {}, 4, Fraction(ratio), False, "running")
    assert [neural.due(turn).start for turn in range(7)] == firsts
    joined = [k for turn in range(7) for k in neural.due(turn)]
    assert joined == [*range(len(joined))]


@pytest.mark.parametrize("ratio", [1 / 15, 1 / 3, 1.0, 5.0])
def test_the_ratio_is_kept_and_the_first_turn_has_a_batch(ratio):
    neural = _train_neural.Neural(
        None, None, {}, 4, Fraction(ratio).limit_denominator(1000), False, "running"
    )
    assert len(neural.due(0)) >= 1
    assert sum(len(neural.due(turn)) for turn in range(150)) == round(150 * ratio)


def test_the_smaller_set_is_gone_through_again_in_another_order():
    whole = _train_neural.read(SEEN, SHOWN["recording"], {"batch": 8, "validation": 0}, None, others(), 8, 0)
    rounds = [np.concatenate([whole.drawn(3 * turn + k, 0).row for k in range(3)]) for turn in range(2)]
    assert [len(np.unique(rows)) for rows in rounds] == [24, 24]
    assert not np.array_equal(*rounds)
    assert torch.equal(whole.drawn(4, 0).x, whole.drawn(4, 0).x)


def others(held=None):
    train_set = _train_data.read(stimuli(), None, None, None)
    return train_set, None if held is None else _train_data.read(held, None, None, None)


def test_a_neural_batch_leaves_the_batch_norm_of_the_task_as_it_is():
    """Running means of a net whose weights stay: of the task's pictures alone, unless told otherwise."""
    bright = SEEN.assign(image=0.1 * SEEN["image"] + 0.9)
    numbers = {"penalties": {"zero": {"penalty": lambda f, t: 0 * f.sum(), "layer": "front"}}, "rate": 1e-30}
    plain = fitted(rate=1e-30)
    for statistics, same in (("running", True), ("batch", True), ("mixed", False)):
        shown = {"neural_stimuli": bright, "recording": SHOWN["recording"]}
        found = fitted(neural={"statistics": statistics, "batch": 10}, **numbers, **shown)
        for name in ("front.1.running_mean", "front.1.running_var", "front.1.num_batches_tracked"):
            assert np.array_equal(found[name], plain[name]) == same, (statistics, name)


def test_what_normalises_a_neural_batch():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2)).train()
    net[1].eval()
    x = torch.tensor([[0.0, 5.0], [2.0, 9.0]])
    before = {name: part.clone() for name, part in net[0].state_dict().items()}
    with _train_neural.normalised(net, "running"):
        assert torch.allclose(net[0](x), x, atol=1e-4)
    with _train_neural.normalised(net, "batch"):
        assert torch.allclose(net[0](x), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-4)
    assert all(torch.equal(part, before[name]) for name, part in net[0].state_dict().items())
    with _train_neural.normalised(net, "mixed"):
        net[0](x)
    assert float(net[0].running_mean[0]) == pytest.approx(0.1)
    assert net[0].training
    assert net[0].track_running_stats
    assert not net[1].training


def test_the_forward_pass_ends_at_the_last_layer_that_is_looked_at():
    calls = {"front": 0, "head": 0}

    class Counted(Deep):
        def forward(self, x):
            calls["front"] += len(x)
            found = nn.functional.adaptive_avg_pool2d(self.front(x), 2).flatten(1)
            calls["head"] += len(x)
            return self.head(found)

    fitted(stimuli(16), Counted, epochs=1, validation=0, penalties=RSA, neural={"batch": 10}, **SHOWN)
    assert calls["front"] - calls["head"] == 2 * 10 + 10  # two turns, and the pictures held out


def test_a_task_of_its_own_and_learned_weights_are_those_of_the_formula():
    """exp(-s) CE + s/2 and 1/2 exp(-s) MSE + s/2: the first step of s by hand, and the sum that it weighs."""
    given, factors = stimuli(8), {"cross-entropy": 1.0, "squared": 0.5}
    neural = {"task": SQUARED, "batch": 30, "validation": 0}
    numbers = {"epochs": 3, "validation": 0, "neural": neural, "rate": 0.05, "momentum": 0.0, **SHOWN}
    found = fitted(given, Both, learned=factors, **numbers)
    loss, log = found["loss"].values, found["log_weight"].values
    step = np.zeros(2)
    for epoch in range(3):
        step = step - 0.05 * (0.5 - np.array([1.0, 0.5]) * np.exp(-step) * loss[epoch])
        assert np.allclose(log[epoch], step, atol=1e-6)
    assert "log_weight" not in found.attrs["model"]
    net, _ = record.built(Both(), found)
    assert set(net.state_dict()) == set(Both().state_dict())
    decayed = fitted(given, Both, learned=factors, learned_decay=2.0, **numbers)
    first = -0.05 * (0.5 - np.array([1.0, 0.5]) * loss[0])
    second = first - 0.05 * (
        0.5 - np.array([1.0, 0.5]) * np.exp(-first) * decayed["loss"].values[1] + 2 * first
    )
    assert np.allclose(decayed["log_weight"][1], second, atol=1e-6)


def test_learned_weights_do_not_decay_by_themselves():
    learned = {"cross-entropy": 1.0}
    a, b = (
        fitted(stimuli(8), Plain, learned=learned, weight_decay=w, epochs=1, validation=0) for w in (0.0, 0.9)
    )
    assert np.array_equal(a["log_weight"], b["log_weight"])
    assert not np.array_equal(a["front.weight"], b["front.weight"])


def test_a_neural_task_is_measured_on_pictures_held_out():
    found = fitted(model=Both, epochs=12, neural={"task": SQUARED, "batch": 9, "validation": 0.3}, **SHOWN)
    assert found["term"].values.tolist() == ["cross-entropy", "squared"]
    assert np.isfinite(found["validation_loss"]).all()
    assert float(found["correlation"][-1]) > float(found["correlation"][0])
    assert found["accuracy"].dims == ("epoch",)
    assert found.sizes["stimulus"] == 70
    assert int(found["validation"].sum()) == 4 + 9
    assert json.loads(found.attrs["hyperparameters"])["neural"]["batch"] == 9


def test_a_relative_strength_is_a_share_of_the_task_and_sends_no_gradient():
    """cost * (r CE / cost): its gradient is r CE / cost times that of the cost."""
    given = stimuli(8)
    numbers = {"epochs": 1, "validation": 0, "neural": {"batch": 30, "validation": 0}, **SHOWN}
    one = fitted(given, Plain, penalties=RSA, **numbers)
    told = {"rsa": RSA["rsa"] | {"relative": 0.3}}
    found = fitted(given, Plain, penalties=told, **numbers)
    cross, cost = one["loss"].values[0]
    for name in ("gradient_norm", "layer_gradient_norm"):
        assert np.isclose(found[name][0, 1], 0.3 * cross / cost * one[name][0, 1], rtol=1e-5)
    assert np.allclose(found["loss"], one["loss"], rtol=1e-6)
    halved = fitted(given, Plain, penalties=told, strength={"cross-entropy": 0.5}, **numbers)
    assert np.isclose(halved["gradient_norm"][0, 1], 0.5 * found["gradient_norm"][0, 1], rtol=1e-5)


def test_odd_steps_and_first_epochs_alone():
    seen = []

    def counted(features, target):
        if features.requires_grad:
            seen.append(len(features))
        return features.square().mean()

    told = {"x": {"penalty": counted, "layer": "front", "steps": "odd", "epochs": 2}}
    found = fitted(epochs=3, validation=0, penalties=told, neural={"batch": 10, "validation": 0}, **SHOWN)
    assert len(seen) == 2 * 3 - 1  # turns 1, 3, 5 and 7, 9 of five an epoch
    assert np.isfinite(found["loss"][:2]).all()
    assert np.isfinite(found["gradient_norm"][:2]).all()
    assert np.isnan(found["loss"][2, 1])
    assert np.isnan(found["gradient_norm"][2, 1])


def test_penalties_without_neural_stimuli_see_the_batch_of_the_task():
    """As ever: here with weights of their own, over two layers, in odd steps."""
    given = stimuli(24)
    told = {"li": {"build": arctanh.build, "layers": ["front", "head"], "steps": "odd"}, **OWN}
    found = fitted(given, penalties=told, recording=recording(given))
    assert np.isfinite(found["loss"]).all()
    assert found["penalty.li.free"].shape == (2,)
    assert np.ptp(found["penalty.li.free"].values) > 0


def test_weights_of_a_penalty_are_trained_kept_and_no_part_of_the_model():
    found = fitted(penalties=OWN, neural={"batch": 12}, **SHOWN)
    names = [name for name in found if str(name).startswith("penalty.dcca.")]
    assert {"penalty.dcca.layer.dense1.weight", "penalty.dcca.responses.dense2.bias"} < set(names)
    first = fitted(penalties=OWN, neural={"batch": 12}, rate=1e-30, **SHOWN)
    assert not np.allclose(
        found["penalty.dcca.layer.dense1.weight"], first["penalty.dcca.layer.dense1.weight"]
    )
    net, _ = record.built(Deep(), found)
    assert _weights.digest(net) == found.attrs["weights_sha256"]
    assert found["canonical"].dims == ("epoch",)
    other = fitted(penalties=OWN, neural={"batch": 12}, rate=1e-30, seed=1, **SHOWN)
    key = "penalty.dcca.layer.dense1.weight"
    assert not np.allclose(other[key], first[key])


def test_the_gradient_norm_is_that_of_the_network_alone():
    class Far(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, features, target):
            return (self.weight * features.detach().mean()).square().mean()

    module = Far()
    told = {"far": {"penalty": module, "layer": "front"}}
    found = fitted(penalties=told, neural={"batch": 10, "validation": 0}, **SHOWN)
    assert (found["gradient_norm"][:, 1] == 0).all()
    assert "layer_gradient_norm" in found
    assert float(found["penalty.far.weight"][0]) != 1
    assert float(module.weight.detach()) == 1  # the caller's own is not changed


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    numbers = {
        "penalties": {**OWN, **RSA},
        "neural": {"batch": 7, "ratio": 0.5},
        "learned": {"cross-entropy": 1.0},
    }
    torch.manual_seed(1)
    first = digest(fitted(**numbers, **SHOWN), tmp_path)
    torch.manual_seed(2)
    assert digest(fitted(**numbers, **SHOWN), tmp_path) == first


class Cut(Exception):
    """What ends a training in the middle."""


def cut_after(calls):
    left = [calls]

    def same(x, generator):
        left[0] -= 1
        if left[0] < 0:
            raise Cut
        return x

    return same


EVERYTHING = {
    "penalties": {
        **OWN, "li": {"build": arctanh.build, "layers": ["front", "head"], "steps": "odd", "relative": 0.1},
    },
    "neural": {"task": SQUARED, "batch": 7, "ratio": 0.7},
    "learned": {"cross-entropy": 1.0, "squared": 0.5},
}  # fmt: skip


@pytest.mark.parametrize(("calls", "optimizer"), [(1, "adamw"), (4, "sgd"), (7, "adamw"), (11, "sgd")])
def test_a_training_that_was_cut_off_goes_on_to_the_same_bytes(calls, optimizer, tmp_path, monkeypatch):
    monkeypatch.setattr(_train_keep, "EVERY", 0.0)
    monkeypatch.setattr(_train_keep, "SHARE", np.inf)
    told = {"penalties": {
        **OWN, "rsa": {"penalty": rsa.penalty, "layer": "front", "steps": "odd", "relative": 0.1},
    }, "neural": EVERYTHING["neural"], "learned": EVERYTHING["learned"]}  # fmt: skip
    numbers = {"model": Both, "epochs": 3, "rate": 0.01, "optimizer": optimizer, "home": tmp_path / "kept"}
    whole = digest(fitted(augment={"own": cut_after(99)}, **numbers, **told, **SHOWN), tmp_path)
    with pytest.raises(Cut):
        fitted(augment={"own": cut_after(calls)}, **numbers, **told, **SHOWN)
    (kept,) = (tmp_path / "kept").glob("*.nc")
    assert store.read(kept).attrs["epoch"] == calls // 4
    left = []
    again = cut_after(99)
    same = lambda x, g: (left.append(1), again(x, g))[1]  # noqa: E731
    same.__qualname__, same.__module__ = again.__qualname__, __name__
    assert digest(fitted(augment={"own": same}, **numbers, **told, **SHOWN), tmp_path) == whole
    assert len(left) == 12 - calls


SCRIPT = """
import functools, sys, time
sys.path[:0] = {paths!r}
from loaders import synthetic
from pipeline import tasks
from pipeline.models import cornet
from pipeline.regularizers import dcca
from pipeline.stages import _train_keep, record, train
_train_keep.EVERY, _train_keep.SHARE = 0.0, float("inf")
write = _train_keep.Keep.write
_train_keep.Keep.write = lambda place, dataset: (write(place, dataset), time.sleep({pause}))
"""
FACES = """
def fitted(home):
    faces = synthetic.face_images(seed=0, size=32)
    shown = synthetic.face_images(seed=1, size=32).isel(stimulus=slice(40))
    shown = shown.assign_coords(stimulus_id=("stimulus", ["shown %d" % k for k in range(40)])).drop_vars(
        "content", errors="ignore")
    said = record.activations(shown, cornet.build(width=2, seed=5), layers=["decoder"])
    said["response"] = said["response"] / said["response"].std()
    said["response"].attrs["units"] = "1"
    build = functools.partial(dcca.build, widths=(8,), pairs=2)
    return train.fit(faces, functools.partial(cornet.build, width=4, classes=2), home=home,
        task=tasks.classify, label="familiar", epochs=3, rate=0.05, batch=16, neural_stimuli=shown,
        recording=said.drop_vars("content", errors="ignore"), neural={"batch": 10},
        penalties={"dcca": {"build": build, "layer": "V1", "relative": 0.1}},
        learned={"cross-entropy": 1.0})
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, capfd):
    kept = tmp_path / "kept"
    code = SCRIPT.format(paths=[os.getcwd()], pause=0.1) + FACES + f"fitted({str(kept)!r})\n"
    running = subprocess.Popen([sys.executable, "-c", code])
    while not list(kept.glob("training-*.nc")) and running.poll() is None:
        time.sleep(0.01)
    time.sleep(0.4)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    (found,) = kept.glob("training-*.nc")
    assert store.read(found).attrs["epoch"] * 100 + store.read(found).attrs["batch"] > 0
    here: dict = {"synthetic": None}
    exec(SCRIPT.split("_train_keep.EVERY")[0].replace("sys.path[:0] = {paths!r}", "") + FACES, here)
    assert digest(here["fitted"](kept), tmp_path) == digest(here["fitted"](None), tmp_path)
    assert capfd.readouterr().err == ""
    assert not list(kept.iterdir())


def test_v29_what_one_training_holds_out_the_other_does_too():
    """The same pictures under other names as neural stimuli: split as those of the task are."""
    given = stimuli()
    twin = given.assign_coords(stimulus_id=("stimulus", [f"twin {k}" for k in range(40)]))
    found = fitted(given, penalties=RSA, neural_stimuli=twin, recording=recording(twin), neural={"batch": 8})
    content, held = found["content"].values, found["validation"].values.astype(bool)
    assert len(np.unique(content)) == 40
    assert not set(content[held]) & set(content[~held])
    assert held.sum() == 8


def test_f76_neural_pictures_count_as_seen():
    found = fitted(model=functools.partial(cornet.build, width=2, channels=1, classes=2), penalties={
        "rsa": {"penalty": rsa.penalty, "layer": "V1"}}, given=stimuli(size=32),
        neural={"batch": 8}, neural_stimuli=stimuli(30, 32, 9),
        recording=recording(stimuli(30, 32, 9)))  # fmt: skip
    again = stimuli(30, 32, 9).assign_coords(stimulus_id=("stimulus", [f"new {k}" for k in range(30)]))
    with pytest.raises(ValueError, match=r"^stimuli: picture 'new 0' was seen in training \(30 such\)"):
        train.accuracy(again, found)


def shown(**changes):
    return SHOWN | changes


def nan_at(row, column):
    made = SHOWN["recording"].copy(deep=True)
    made["response"][row, column] = np.nan
    return made


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (shown(recording=None), "neural_stimuli: without a recording"),
        (shown(), "neural_stimuli: nothing is asked of them"),
        (shown(penalties=RSA, neural={"bach": 3}), "neural: has 'bach'; did you mean 'batch'?"),
        (shown(penalties=RSA, neural={"batch": 0}), "neural: batch 0; wanted a whole number"),
        (shown(penalties=RSA, neural={"ratio": 0}), "neural: ratio 0; wanted a number above 0"),
        (shown(penalties=RSA, neural={"step": "both"}), "neural: step 'both'; known are together, each"),
        (shown(penalties=RSA, neural={"statistics": "own"}), "neural: statistics 'own'; known are running"),
        (shown(penalties=RSA, neural={"validation": 1}), "neural: validation 1; wanted a share"),
        (shown(penalties=RSA, learned={"x": 1.0}), "learned: there is no term 'x'; "),
        (shown(penalties=RSA, learned={"rsa": 0.0}), "learned: 'rsa' is 0.0; wanted its factor"),
        (shown(penalties=RSA, learned_decay=-1.0), "learned_decay: -1.0; wanted"),
        (shown(penalties=RSA, strength={"rsaa": 1.0}), "strength: there is no term 'rsaa'; did you mean"),
        (shown(penalties={"a.b": RSA["rsa"]}), "penalties: 'a.b' has a point in its name"),
        (shown(penalties={"train": OWN["dcca"]}), "penalties: 'train' is a word of torch"),
        (shown(penalties={"x": RSA["rsa"] | {"relative": -1}}), "penalties: 'x' has relative -1; wanted"),
        (shown(penalties={"x": RSA["rsa"] | {"steps": "even"}}), "penalties: 'x' has steps 'even'; wanted"),
        (shown(penalties={"x": RSA["rsa"] | {"epochs": -1}}), "penalties: 'x' has epochs -1; wanted"),
        (shown(penalties={"x": RSA["rsa"] | {"more": 1}}), "penalties: 'x' is {'penalty'"),
        (shown(penalties={"x": {"build": dcca.build}}), "penalties: 'x' has layers []; wanted a list"),
        (shown(penalties={"x": {"penalty": rsa.penalty, "layers": "front"}}), "penalties: 'x' has layers 'f"),
        (shown(penalties={"x": {"penalty": rsa.penalty, "layers": ["frnt"]}}), "penalties: the model has no"),
        (shown(penalties={"x": {"build": lambda f, t: 3, "layer": "front"}}), "penalties: 'x' built a int"),
        (shown(penalties={"squared": RSA["rsa"]}, neural={"task": SQUARED}, model=Both),
         "penalties: 'squared' is also a term of the neural task"),
        (shown(penalties=RSA, recording=nan_at(4, 1)), "penalties: 'rsa': target: is nan at picture "),
        (shown(penalties=OWN, recording=nan_at(4, 1)), "target: is nan at picture "),
        (shown(penalties=OWN, recording=SHOWN["recording"] * 1e6), "target: (27, 3) has an SD of "),
        (shown(penalties=RSA, recording=SHOWN["recording"] * 0), "penalties: 'rsa': target: (27, 3) is the "),
        (shown(penalties=OWN, neural={"batch": 3}), "penalties: 'dcca': target: (3, 2) beside features (3"),
        (shown(neural={"task": SQUARED}), "model: answers (8, 2) where (8, 3) was recorded"),
    ],
)  # fmt: skip
def test_f77_what_cannot_be_learned_from_is_named_at_the_first_batch(numbers, message):
    numbers = {"neural": {"batch": 40, "validation": 0.1}} | numbers
    if message.startswith("model"):
        numbers["neural"] = {"task": SQUARED, "batch": 8}
    module = numbers.get("model", Deep)()
    before = _weights.digest(module)
    with pytest.raises(ValueError) as told:
        fitted(**{k: v for k, v in numbers.items() if k != "model"}, model=module)
    assert str(told.value).startswith(message)
    assert "\n" not in str(told.value)
    assert _weights.digest(module) == before


def test_a_layer_that_is_not_used_is_named():
    class Idle(Deep):
        def __init__(self):
            super().__init__()
            self.spare = nn.Linear(2, 2)

    told = {"rsa": {"penalty": rsa.penalty, "layer": "spare"}}
    with pytest.raises(
        ValueError, match=r"^penalties: layer 'spare' is not used when the model sees a picture"
    ):
        fitted(model=Idle, penalties=told, **SHOWN)


def test_cka_is_lowered_on_pictures_held_out():
    told = {"cka": {"penalty": cka.penalty, "layer": "front"}}
    found = fitted(epochs=8, penalties=told, strength={"cka": 3.0}, neural={"validation": 0.3}, **SHOWN)
    held = found["validation_loss"].sel(term="cka").values
    assert held[-1] < held[0]
