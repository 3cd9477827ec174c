"""The stage that attacks: what it keeps, what it must not depend on, how it goes on, and what it refuses."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from analyses import robustness
from loaders import schema
from pipeline import parts, store
from pipeline.attacks import apgd, classify, pgd, respond, smooth
from pipeline.models import _weights, cnn, predictor
from pipeline.stages import _attack_blocks, attack, record

ROOT = Path(__file__).resolve().parents[3]
EPSILONS = [0, 2 / 255, 8 / 255]


def stimuli(count=10, size=16, channels=3, seed=0):
    pixel = np.random.default_rng(seed).integers(0, 256, (count, channels, size, size))
    coords = {
        "stimulus_id": ("stimulus", [f"picture {k}" for k in range(count)]),
        "category": ("stimulus", np.arange(count) % 10),
    }
    dims = ("stimulus", "channel", "y", "x")
    return xr.Dataset({"image": (dims, (pixel / np.float32(255)).astype(np.float32), {"units": "1"})}, coords)


def small(**numbers):
    return cnn.build(width=4, **numbers)


def attacked(given=None, model=small, **numbers):
    asked = {
        "objective": classify.margin, "search": functools.partial(pgd.pgd, steps=4), "epsilons": EPSILONS,
        "batch": 4,
    }  # fmt: skip
    return attack.run(stimuli() if given is None else given, model, **asked | numbers)


def test_the_record_is_what_the_network_says_of_the_pictures():
    given, module = stimuli(), small().eval()
    found = schema.check(attacked(given, module))
    assert found.sizes == {"epsilon": 3, "stimulus": 10, "channel": 3, "y": 16, "x": 16}
    assert (found["stimulus_id"].values == given["stimulus_id"].values).all()
    for k, epsilon in enumerate(found["epsilon"].values):
        picture = found["image"].isel(epsilon=k)
        assert picture.dims == given["image"].dims
        x = torch.from_numpy(np.ascontiguousarray(picture.values))
        with torch.no_grad():
            said, clean = module(x).argmax(1), module(torch.from_numpy(given["image"].values)).argmax(1)
        assert np.array_equal(found["broken"][k].values, (said != clean).int().numpy())
        moved = np.abs(picture.values.astype(float) - given["image"].values)
        assert np.allclose(found["size"][k], moved.max((1, 2, 3)))
        assert moved.max() <= epsilon + 1e-7
    assert (found["right"].values == 1).all()
    assert np.allclose(found["clean"], found["value"][0])
    assert (found["value"][2] > found["clean"]).all()


def test_f71_epsilon_zero_is_the_clean_picture_bit_for_bit():
    given = stimuli()
    for search in (pgd.fgsm, functools.partial(apgd.apgd, steps=3)):
        found = attacked(given, search=search)
        assert found["image"].isel(epsilon=0).values.tobytes() == given["image"].values.tobytes()
        assert (found["size"][0] == 0).all()
        assert (found["value"][0] == found["clean"]).all()
        assert (found["forwards"][0] == 0).all()


def test_f75_no_budget_does_worse_than_a_smaller_one():
    def worse(objective, x, epsilon, *, norm="linf"):
        """A search that finds less the more it may do."""
        return pgd.pgd(objective, x, min(epsilon, 0.08 - epsilon), norm=norm, steps=3)

    found = attacked(search=worse, epsilons=[0.01, 0.03, 0.06, 0.079])["value"].values
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found[-1] == found[-2]).any()


def test_v27_the_threat_model_is_whole():
    weights = _weights.to_dataset(small(seed=3))
    search = functools.partial(pgd.pgd, steps=4, restarts=2, norm="l2", step=0.2)
    found = attacked(weights=weights, search=search, label="category", epsilons=[0.5], seed=7)
    robustness.complete(found)
    expected = {
        "norm": "l2", "search": "pgd", "loss": "margin", "steps": 4, "step_size": 0.2, "restarts": 2, "n": 10,
        "seed": 7, "knowledge": "white box", "target": "untargeted", "range": (3 * 16 * 16) ** 0.5,
        "weights_sha256": _weights.digest(small(seed=3)),
    }  # fmt: skip
    assert {name: found.attrs[name] for name in expected} == expected
    assert json.loads(found.attrs["model"])["use"].endswith("test_attack.small")
    assert json.loads(found.attrs["search_made_by"])["with"]["steps"] == 4
    assert all(isinstance(value, str | int | float) for value in found.attrs.values())
    assert attacked().attrs["epsilons_255"] == "0, 2, 8"
    for name in robustness.RECORD:
        with pytest.raises(ValueError, match=f"record: has no {name}"):
            robustness.complete(less(found, name))


def less(found, name):
    found = found.copy()
    found.attrs = {key: value for key, value in found.attrs.items() if key != name}
    return found


def test_it_is_read_by_the_accounting(tmp_path):
    store.write(attacked(label="category"), tmp_path / "attack.nc", "key")
    found = robustness.accounting(store.read(tmp_path / "attack.nc"))
    assert found["accuracy"].sizes == {"attack": 1, "epsilon": 3}
    again = robustness.accounting(attacked(neuroid=[1, 2], objective=respond.drive).isel(neuroid=0))
    assert (np.diff(again["change"].values[0]) > 0).all()


@pytest.mark.parametrize("count", [1, 4, 9])
def test_f73_a_row_does_not_depend_on_how_many_pictures_there_are(count):
    given, module = stimuli(), small()
    whole = attacked(given, module)
    part = attacked(given.isel(stimulus=slice(count)), module)
    for name in ("value", "size", "broken"):
        assert np.allclose(part[name], whole[name][:, :count], atol=1e-6), name
    assert np.allclose(part["image"], whole["image"][:count], atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_row_does_not_depend_on_its_batch(batch):
    found, expected = attacked(batch=batch), attacked(batch=4)
    assert np.allclose(found["value"], expected["value"], rtol=1e-3, atol=1e-5)


def test_same_inputs_give_the_same_bytes_and_seeds_matter(tmp_path):
    digests = {store.write(attacked(), tmp_path / "a.nc", "key") for _ in range(2)}
    assert len(digests) == 1
    assert not np.array_equal(attacked(seed=1)["image"], attacked(seed=2)["image"])


def test_the_model_is_left_as_it_was():
    module = small()
    module.conv1.eval()
    before, state = _weights.digest(module), torch.get_rng_state()
    modes = [part.training for part in module.modules()]
    attacked(model=module)
    assert [part.training for part in module.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    assert _weights.digest(module) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_passes_are_counted_for_every_example():
    found = attacked(search=functools.partial(pgd.pgd, steps=4))
    assert (found["forwards"][1:] == 5).all()
    assert (found["gradients"][1:] == 4).all()
    given = stimuli(30)
    dropped = attacked(given, search=functools.partial(pgd.pgd, steps=9, drop=True))
    kept = dropped["broken"][2].values == 0
    assert 0 < kept.sum() < 30
    assert (dropped["gradients"][2].values[kept] == 9).all()
    assert (dropped["gradients"][2].values[~kept] < 9).any()


# ---- labels, targets, neuroids


def test_labels_are_those_that_the_weights_were_trained_with():
    given = stimuli()
    names = [f"class {k}" for k in range(10)]
    text = given.assign_coords(category=("stimulus", [names[9 - k % 10] for k in range(10)]))
    weights = _weights.to_dataset(small()).assign_attrs(classes=json.dumps(names))
    plain = attacked(given.assign_coords(category=("stimulus", 9 - np.arange(10) % 10)), label="category")
    found = attacked(text, weights=weights, label="category")
    assert np.array_equal(found["value"], plain["value"])
    assert 0 < int(found["right"].sum()) < 10


def test_targets_are_pursued():
    found = attacked(target=3, epsilons=[0.2], search=functools.partial(apgd.apgd, steps=20))
    with torch.no_grad():
        said = small().eval()(torch.from_numpy(found["image"].values[..., 0])).argmax(1).numpy()
    assert np.array_equal(found["broken"][0].values == 1, said == 3)
    assert found.attrs["target"] == "targeted"
    assert np.array_equal(attacked(target="category")["value"][0], attacked(target="category")["clean"])


def responding(neuroids=6):
    return predictor.build(core=small, layer="conv3", units=64, neuroids=neuroids, components=3)


def test_all_neuroids_are_attacked_one_by_one():
    numbers = {"epsilons": [0, 0.3], "search": functools.partial(pgd.pgd, norm="l2", steps=4)}
    found = attacked(model=responding(), objective=respond.displace, neuroid="all", **numbers)
    assert found["value"].dims == ("epsilon", "stimulus", "neuroid")
    assert found["image"].dims == ("stimulus", "channel", "y", "x", "epsilon", "neuroid")
    assert "broken" not in found
    assert (found["value"][1] > 0).all()
    assert np.allclose(found["value"][0], 0, atol=1e-6)
    alone = attacked(model=responding(), objective=respond.displace, neuroid=[4], **numbers)
    assert np.allclose(alone["value"][..., 0], found["value"][..., 4], atol=1e-6)
    responses = record.activations(
        stimuli().assign(image=found["image"].isel(epsilon=1, neuroid=4)), responding(), layers=["output"]
    )
    clean = record.activations(stimuli(), responding(), layers=["output"])
    change = np.abs(responses["response"] - clean["response"])[:, 4]
    assert np.allclose(change, found["value"][1, :, 4], atol=1e-5)


def test_the_names_of_neuroids_come_with_the_weights():
    weights = _weights.to_dataset(responding())
    weights = weights.assign_coords(neuroid_id=("neuroid", [f"site {k}" for k in range(6)]))
    found = attacked(model=responding(), weights=weights, objective=respond.drive, neuroid=[4, 1])
    assert found["neuroid_id"].values.tolist() == ["site 4", "site 1"]


def test_the_population_and_a_level_are_objectives():
    found = attacked(model=responding(), objective=respond.population)
    assert "neuroid" not in found.dims
    assert (found["value"][2] > found["value"][1]).all()
    assert found.attrs["target"] == "population"
    push = functools.partial(respond.push, level=0.0)
    pushed = attacked(model=responding(), objective=push, neuroid="all")
    assert np.array_equal(pushed["broken"].values == 1, pushed["value"].values > 0)


# ---- preprocessing, random and rounded networks, 8 bits, fewer bits


def test_resizing_and_normalisation_are_attacked_too():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    found = attacked(size=24, mean=mean, std=std)
    again = record.activations(
        stimuli().assign(image=found["image"].isel(epsilon=2)), small, layers=["output"], size=24, mean=mean,
        std=std,
    )  # fmt: skip
    clean = record.activations(stimuli(), small, layers=["output"], size=24, mean=mean, std=std)
    label = clean["response"].values.argmax(1)
    z = again["response"].values.copy()
    own = z[np.arange(10), label]
    z[np.arange(10), label] = -np.inf
    assert np.allclose(found["value"][2], z.max(1) - own, atol=1e-5)
    assert json.loads(found.attrs["preprocessing"]) == {"size": 24, "mean": [*mean], "std": [*std]}


class Noisy(nn.Module):
    """A network with noise of its own at every pass."""

    def __init__(self):
        super().__init__()
        self.inner = small()

    def forward(self, x):
        return self.inner(x + 0.1 * torch.randn_like(x))


def test_f68_a_randomised_network_is_refused_or_averaged(tmp_path):
    with pytest.raises(ValueError, match=r"^model: two forward passes differ; give draws, 10 or more"):
        attacked(model=Noisy())
    numbers = {"model": Noisy(), "draws": 10, "epsilons": [8 / 255]}
    found, again = attacked(**numbers), attacked(**numbers)
    assert found.attrs["randomised"] == 1
    assert (found["value"][0] > found["clean"]).all()
    assert store.write(found, tmp_path / "a.nc", "key") == store.write(again, tmp_path / "a.nc", "key")


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm2d(3), nn.Dropout2d(0.5)])
def test_f68_train_mode_plays_no_part(layer):
    module = nn.Sequential(layer, small()).train()
    found = attacked(model=module)
    assert found.attrs["randomised"] == 0
    assert module.training
    if isinstance(layer, nn.BatchNorm2d):
        assert int(layer.num_batches_tracked) == 0


def test_straight_through_attacks_what_rounding_hides():
    rounded = smooth.through(lambda x: (x * 7).round() / 7)
    hidden = nn.Sequential(Rounded(), small()).eval()
    seen = nn.Sequential(rounded, small()).eval()
    masked, found = (attacked(model=module, epsilons=[0.1]) for module in (hidden, seen))
    assert (found["value"] - found["clean"]).mean() > 4 * (masked["value"] - masked["clean"]).mean()


class Rounded(nn.Module):
    def forward(self, x):
        return (x * 7).round() / 7


def test_f70_softmax_is_seen():
    assert attacked(model=nn.Sequential(small(), nn.Softmax(1))).attrs["softmax"] == 1
    assert attacked().attrs["softmax"] == 0


def test_f72_what_is_written_in_8_bits_is_what_was_scored():
    found = attacked(eight_bit=True, epsilons=[3.7 / 255], label="category")
    picture = found["image"].isel(epsilon=0).values
    stored = np.round(picture * 255).astype(np.uint8)
    again = stored.astype(np.float32) / np.float32(255)
    assert again.tobytes() == picture.tobytes()
    assert np.abs(again.astype(float) - stimuli()["image"].values).max() <= 3.7 / 255 + 1e-7
    with torch.no_grad():
        z = small().eval()(torch.from_numpy(again)).numpy()
    label = np.arange(10)
    assert np.array_equal(found["broken"][0].values, (z.argmax(1) != label).astype(int))
    for norm, epsilon in (("l2", 0.5), ("l1", 5.0)):
        search = functools.partial(pgd.pgd, norm=norm, steps=4)
        other = attacked(eight_bit=True, search=search, epsilons=[epsilon])
        levels = other["image"].values * 255
        assert np.abs(levels - np.round(levels)).max() < 1e-4
        assert float(other["size"].max()) <= epsilon * (1 + 1e-6)
        assert float(other["size"].min()) > 0.8 * epsilon
    with pytest.raises(ValueError, match="image: number 0 is not of 8 bits"):
        attacked(stimuli().assign(image=stimuli()["image"] * 0.999), eight_bit=True)


def test_fewer_bits_search_and_the_network_judges():
    found, plain = attacked(reduced=True), attacked()
    assert np.array_equal(found["clean"], plain["clean"])
    with torch.no_grad():
        z = small().eval()(torch.from_numpy(np.ascontiguousarray(found["image"].values[..., 2]))).numpy()
        clean = small().eval()(torch.from_numpy(stimuli()["image"].values)).argmax(1).numpy()
    assert np.array_equal(found["broken"].values[2] == 1, z.argmax(1) != clean)
    gain = (found["value"] - found["clean"])[2].mean() / (plain["value"] - plain["clean"])[2].mean()
    assert float(gain) > 0.9
    with pytest.raises(ValueError, match="reduced: the objective does not ask the network alone"):
        attacked(reduced=True, objective=functools.partial(respond.decoder, weight=np.eye(10)[:4].tolist()))


# ---- going on


def cut_after(blocks, monkeypatch):
    """The stage, which dies once so many files of blocks are written."""
    write, done = _attack_blocks.Keep.write, []

    def dying(self, *given):
        write(self, *given)
        done.append(1)
        if len(done) == blocks:
            raise KeyboardInterrupt

    monkeypatch.setattr(_attack_blocks.Keep, "write", dying)


@pytest.mark.parametrize("blocks", [1, 4, 5])
def test_an_attack_that_was_cut_off_goes_on_to_the_same_bytes(blocks, tmp_path, monkeypatch):
    given = stimuli(20)
    numbers = {"batch": 2, "home": tmp_path / "home"}
    expected = store.write(attacked(given, batch=2), tmp_path / "whole.nc", "key")
    with monkeypatch.context() as patch:
        cut_after(blocks, patch)
        with pytest.raises(KeyboardInterrupt):
            attacked(given, **numbers)
    files = list((tmp_path / "home").glob("*/*.nc"))
    assert len(files) == blocks
    again = attacked(given, **numbers)
    assert store.write(again, tmp_path / "rest.nc", "key") == expected
    assert not list((tmp_path / "home").iterdir())


def test_a_block_that_was_damaged_is_made_again(tmp_path, monkeypatch, capsys):
    given, numbers = stimuli(20), {"batch": 2, "home": tmp_path / "home"}
    with monkeypatch.context() as patch:
        cut_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            attacked(given, **numbers)
    first, second = sorted((tmp_path / "home").glob("*/*.nc"))[:2]
    first.write_bytes(first.read_bytes()[:-50])
    second.with_name(second.name + ".sha256").unlink()
    found = attacked(given, **numbers)
    assert capsys.readouterr().err.count("it is not used, and made again") == 2
    assert np.array_equal(found["image"], attacked(given, batch=2)["image"])
    assert not list((tmp_path / "home").iterdir())


def test_blocks_of_another_attack_are_not_used(tmp_path, monkeypatch):
    given, numbers = stimuli(4), {"home": tmp_path, "epsilons": [0.02]}
    with monkeypatch.context() as patch:
        cut_after(1, patch)
        with pytest.raises(KeyboardInterrupt):
            attacked(given, **numbers)
    for change in ({"seed": 1}, {"epsilons": [0.01]}, {"label": "category"}, {"objective": classify.dlr}):
        asked = numbers | change
        found = attacked(given, **asked)["value"]
        assert np.array_equal(found, attacked(given, **asked | {"home": None})["value"])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_killed_attack_goes_on_to_the_same_bytes(tmp_path):
    code = textwrap.dedent(f"""
        import functools, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_attack
        test_attack.long(sys.argv[1])
    """)
    home = tmp_path / "home"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, str(home)], env=environment)
    limit = time.monotonic() + 100
    while len(list(home.glob("*/*.nc"))) < 2 and time.monotonic() < limit:
        assert process.poll() is None, "it was over before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    left = {path: path.stat().st_mtime_ns for path in home.glob("*/*.nc")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_attack_blocks.Keep, "remove", lambda self: None)
        again = store.write(long(home), tmp_path / "rest.nc", "key")
    assert {path: path.stat().st_mtime_ns for path in left} == left  # what was done is not done again
    assert again == store.write(long(None), tmp_path / "whole.nc", "key")


def long(home):
    model, search = functools.partial(cnn.build, width=4), functools.partial(pgd.pgd, steps=8)
    return attacked(stimuli(24), model, batch=2, home=home, search=search)


def test_it_runs_from_a_study(tmp_path):
    call = {
        "model": {"use": "pipeline.models.cnn.build", "with": {"width": 4}},
        "objective": {"use": "pipeline.attacks.classify.margin"},
        "search": {"use": "pipeline.attacks.pgd.pgd", "with": {"steps": 3, "norm": "l2"}},
        "epsilons": [0, 0.2], "label": "category", "home": str(tmp_path / "home"),
    }  # fmt: skip
    assert list(parts.problems("pipeline.stages.attack.run", call, ["stimuli"])) == []
    found = parts.call("pipeline.stages.attack.run", call, {"stimuli": stimuli()})
    assert found.attrs["norm"] == "l2"
    assert json.loads(found.attrs["objective"])["use"] == "pipeline.attacks.classify.margin"


# ---- bad input


def spoiled(place, value):
    given = stimuli()
    given["image"].values[place] = value
    return given


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f67_what_is_no_number_is_refused_by_its_first_index(value):
    with pytest.raises(ValueError, match=rf"^image: is {value} at \(7, 1, 2, 3\); it must be a number"):
        attacked(spoiled((7, 1, 2, 3), value))
    module = small()
    with torch.no_grad():
        module.conv2[0].weight[1, 0, 2, 1] = value
    with pytest.raises(ValueError, match=rf"^weights: 'conv2.0.weight' is {value} at \(1, 0, 2, 1\)"):
        attacked(model=module)
    given = stimuli()
    target = np.arange(10.0)
    target[4] = value
    with pytest.raises(ValueError, match=rf"^label: 'category' is {value} at 4; wanted whole numbers"):
        attacked(given.assign_coords(category=("stimulus", target)), label="category")


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-2.1, 2.6), (-1, 1)])
def test_f66_pictures_of_another_range_are_refused(low, high):
    given = stimuli()
    with pytest.raises(
        ValueError, match=r"^image: is .* leaves the range from 0 to 1; undo the normalisation"
    ):
        attacked(given.assign(image=low + (high - low) * given["image"]))


def test_f66_pictures_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"^model: refused pictures of shape \(1, 16, 16\)"):
        attacked(stimuli(channels=1))


@pytest.mark.parametrize("epsilon", [-0.1, np.nan, np.inf])
def test_f71_budgets_that_are_none_are_refused(epsilon):
    with pytest.raises(ValueError, match=r"^epsilons: is .* at 1; wanted numbers from 0 up"):
        attacked(epsilons=[0.1, epsilon])


def test_f71_a_budget_beyond_the_range_is_clipped_and_noted():
    with pytest.warns(UserWarning, match=r"^epsilons: 3, 2: wider than the range of pictures, 1 in linf"):
        found = attacked(epsilons=[3, 0.1, 2])
    assert found["epsilon"].values.tolist() == [0.1, 1]
    assert found.attrs["clipped"] == "3, 2"


def test_f70_outputs_that_are_no_numbers_or_of_no_shape_are_refused():
    class Broken(nn.Module):
        def forward(self, x):
            z = x.flatten(1)[:, :4].clone()
            z[2, 1] = torch.nan
            return z

    with pytest.raises(ValueError, match=r"^model: gives nan at \(2, 1\) \(image, output\); wanted numbers"):
        attacked(model=Broken())
    with pytest.raises(ValueError, match=r"^model: gives \(4, 3, 16, 16\) for 4 pictures; wanted one row"):
        attacked(model=nn.Identity())
    with pytest.raises(ValueError, match=r"^neuroid: 6 is not among the model's 6"):
        attacked(model=responding(), objective=respond.drive, neuroid=[0, 6])


def test_f69_a_network_without_gradients_gives_a_record_all_the_same():
    class Stairs(nn.Module):
        def forward(self, x):
            return (8 * small().eval()(x)).round()

    found = attacked(model=Stairs())
    assert robustness.complete(found) is found
    assert (found["value"] >= found["clean"]).all()


def test_f73_all_wrong_at_the_start():
    wrong = stimuli().assign_coords(
        category=(
            "stimulus",
            (record.activations(stimuli(), small, layers=["output"])["response"].values.argmax(1) + 1) % 10,
        )
    )
    found = attacked(wrong, label="category", search=functools.partial(pgd.pgd, steps=3, drop=True))
    assert (found["right"] == 0).all()
    assert (found["broken"] == 1).all()


def test_f73_no_pictures_give_an_empty_record(tmp_path):
    found = attacked(stimuli().isel(stimulus=slice(0)))
    assert found.sizes["stimulus"] == 0
    assert found["image"].shape == (0, 3, 16, 16, 3)
    store.write(found, tmp_path / "empty.nc", "key")
    assert (
        attacked(stimuli().isel(stimulus=slice(0)), objective=respond.drive, neuroid="all").sizes["neuroid"]
        == 1
    )


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        ({"batch": 0}, "batch: 0; wanted one picture at least"),
        ({"epsilons": []}, "epsilons: are empty"),
        ({"norm": "l7"}, "norm: 'l7'"),
        (
            {"norm": "l2", "search": functools.partial(pgd.pgd, norm="linf")},
            "norm: 'l2', and the search is bound",
        ),
        ({"label": "categori"}, "label: the stimuli have no 'categori'; did you mean 'category'"),
        ({"label": "stimulus_id"}, "label: 'stimulus_id' is 'picture 0' at 0; wanted whole numbers"),
        ({"neuroid": [1]}, "neuroid: margin takes none; leave it out"),
        ({"neuroid": "some", "objective": respond.drive}, "neuroid: 'some'; wanted \"all\""),
        ({"neuroid": [1, 1], "objective": respond.drive}, "neuroid: one stands twice"),
        ({"knowledge": " "}, "knowledge: is empty"),
        ({"mean": (0.5,)}, r"std: \[\] for mean \[0.5\]"),
        ({"draws": 0}, "draws: 0; wanted one at least"),
        ({"target": 11}, "target: is 11 at picture 0, and the model has 10 classes"),
    ],
)
def test_arguments_out_of_range_are_refused(numbers, why):
    with pytest.raises(ValueError, match=why):
        attacked(**numbers)


def test_the_picture_shows_the_curve_and_a_gallery():
    found = attacked(stimuli(4))
    figure = attack.plot(found)
    curve = figure.axes[0].lines[0]
    assert curve.get_xdata().tolist() == pytest.approx([0, 2, 8])
    assert curve.get_ydata().tolist() == pytest.approx(found["broken"].mean("stimulus").values.tolist())
    assert len(figure.axes) == 1 + 12
    numbers = {"objective": respond.drive, "neuroid": [0, 1], "model": responding()}
    assert len(attack.plot(attacked(stimuli(4), keep=False, **numbers)).axes) == 1
