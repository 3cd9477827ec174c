"""A network recorded like a brain: what is kept, what it must not depend on, and what is refused."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from loaders import schema, synthetic
from pipeline import parts, run, store
from pipeline.models import _weights, cnn, cornet, pixels
from pipeline.stages import _layers, record


def stimuli(count=10, size=16, channels=3, frames=0, seed=0):
    shape = (count, channels, size, size, *([frames] if frames else []))
    pixel = np.random.default_rng(seed).random(shape, dtype=np.float32)
    dims = ("stimulus", "channel", "y", "x", *(["time"] if frames else []))
    coords = {"stimulus_id": ("stimulus", [f"picture {k}" for k in range(count)])}
    if frames:
        coords["time"] = ("time", 0.04 * np.arange(frames))
    return xr.Dataset({"image": (dims, pixel, {"units": "1"})}, coords)


def small(**numbers):
    return cnn.build(width=4, **numbers)


class Steps(nn.Module):
    """Adds one at every step, and hands the state through a layer each time."""

    def __init__(self, times):
        super().__init__()
        self.times, self.state, self.last = times, nn.Identity(), nn.Flatten()

    def forward(self, x):
        for _ in range(self.times):
            x = self.state(x + 1)
        return self.last(x)


class Sequence(nn.Module):
    """A recurrent layer over the rows of a picture; it gives a tuple."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.rnn = nn.RNN(16, 5, batch_first=True)

    def forward(self, x):
        return self.rnn(x[:, 0])[0]


def test_pixels_come_back_as_they_are():
    given = stimuli()
    found = record.activations(given, pixels.build)
    assert np.array_equal(found["response"].values, given["image"].values.reshape(10, -1))
    assert found["neuroid_id"].values[[0, -1]].tolist() == ["pixels:0", "pixels:767"]
    assert set(found["layer"].values) == {"pixels"}
    assert set(found["region"].values) == {""}
    assert (found["stimulus_id"].values == given["stimulus_id"].values).all()
    assert json.loads(found.attrs["shapes"]) == {"pixels": [3, 16, 16]}
    schema.check(found)


def test_a_convolution_is_the_one_done_by_hand():
    given, kernel = stimuli(channels=1, size=5), np.arange(9.0).reshape(3, 3)
    module = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False))
    with torch.no_grad():
        module[0].weight[:] = torch.from_numpy(kernel)
    found = record.activations(given, module)["response"].values.reshape(10, 3, 3)
    picture = given["image"].values[:, 0].astype(float)
    by_hand = [[(picture[:, y : y + 3, x : x + 3] * kernel).sum((1, 2)) for x in range(3)] for y in range(3)]
    assert np.allclose(found, np.moveaxis(by_hand, -1, 0), rtol=1e-5)


def test_a_recording_is_the_bare_forward_pass():
    given, module = stimuli(8), small().eval()
    with torch.no_grad():
        bare = module(torch.from_numpy(given["image"].values)).numpy()
    found = record.activations(given, module, layers=["output"], batch=8)
    assert np.array_equal(found["response"].values, bare)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_a_row_does_not_depend_on_how_many_pictures_there_are(count):
    given, module = stimuli(10), small()
    whole = record.activations(given, module, batch=4)
    part = record.activations(given.isel(stimulus=slice(count)), module, batch=4)
    assert np.array_equal(part["response"].values, whole["response"].values[:count])


def test_the_model_is_left_as_it_was():
    module = small()
    module.conv1.eval()
    before, state = _weights.digest(module), torch.get_rng_state()
    modes = [part.training for part in module.modules()]
    record.activations(stimuli(), module, weights=_weights.to_dataset(small(seed=1)))
    assert [part.training for part in module.modules()] == modes
    assert not any(part._forward_hooks for part in module.modules())
    assert all(p.grad is None for p in module.parameters())
    assert _weights.digest(module) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_hooks_are_gone_after_a_failure_too():
    module = small()
    with pytest.raises(ValueError, match=r"^model: refused pictures of shape \(1, 16, 16\): .* channels"):
        record.activations(stimuli(channels=1), module)
    assert module.training
    assert not any(part._forward_hooks for part in module.modules())


def test_dropout_and_batch_statistics_play_no_part():
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten())
    given = stimuli()
    found = record.activations(given, module, layers=["output"])["response"].values
    assert np.allclose(found, given["image"].values.reshape(10, -1), rtol=1e-4)
    assert int(module[0].num_batches_tracked) == 0


def test_weights_that_are_given_are_used():
    given, trained = stimuli(), small(seed=5)
    found = record.activations(given, small, weights=_weights.to_dataset(trained))
    assert not np.allclose(found["response"], record.activations(given, small)["response"])
    assert np.array_equal(found["response"].values, record.activations(given, trained)["response"].values)
    assert found.attrs["weights_sha256"] == _weights.digest(trained)


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["*"], ["conv1", "conv2", "conv3", "conv4", "head"]),
        (["conv[12]"], ["conv1", "conv2"]),
        (["conv1.*"], ["conv1.0", "conv1.1", "conv1.2", "conv1.3"]),
        (["*.0"], ["conv1.0", "conv2.0", "conv3.0", "conv4.0", "head.0"]),
        (["head", "conv1", "head"], ["head", "conv1"]),
        (["output"], ["output"]),
    ],
)
def test_layers_are_chosen_by_name_or_pattern(patterns, wanted):
    assert list(_layers.chosen(small(), patterns)) == wanted


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["conv5"], "layers: the model has no layer 'conv5'; did you mean 'conv"),
        ([], "layers: (); wanted a list"),
        ("conv1", "layers: 'conv1'; wanted a list"),
    ],
)
def test_a_layer_that_is_not_there_is_named_with_the_nearest(layers, message):
    layers = tuple(layers) if isinstance(layers, list) else layers
    with pytest.raises(ValueError) as caught:
        record.activations(stimuli(), small, layers=layers)
    assert str(caught.value).startswith(message)


def test_a_layer_that_is_never_called_is_named():
    module = nn.Sequential(nn.Flatten())
    module.forward = lambda x: x
    with pytest.raises(ValueError, match=r"^layers: '0' is not used"):
        record.activations(stimuli(), module)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, -0.1])
def test_f67_a_picture_beyond_the_range_is_refused_by_its_first_index(value):
    given = stimuli()
    given["image"][7, 1, 2, 3] = value
    with pytest.raises(ValueError, match=rf"^image: is {value:g} at \(7, 1, 2, 3\); it (must|leaves)"):
        record.activations(given, small, batch=4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_f67_a_weight_that_is_no_number_is_refused_before_anything_runs(value):
    module = small()
    with torch.no_grad():
        module.conv3[0].weight[1, 0, 2, 2] = value
    with pytest.raises(ValueError, match=rf"^weights: 'conv3\.0\.weight' is {value} at \(1, 0, 2, 2\)"):
        record.activations(stimuli(), module)


def test_f67_a_response_that_is_no_number_is_refused_by_picture_and_unit():
    class Divides(nn.Module):
        def forward(self, x):
            return 1 / (x.flatten(1) - 0.25)

    given = stimuli()
    given["image"][6, 0, 0, 5] = 0.25
    with pytest.raises(ValueError, match=r"^response: layer 'output', picture 6 .*, unit 5 is inf"):
        record.activations(given, Divides(), batch=4)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"batch": 0}, "batch: 0"),
        ({"project": -1}, "project: -1"),
        ({"time_step_s": 0.0}, "time_step_s: 0.0"),
        ({"time_axis": 1}, "time_axis: 1"),
        ({"mean": [0.5]}, r"std: \[\] for mean \[0.5\]"),
        ({"mean": [0.5], "std": [0.0]}, "std: "),
    ],
)
def test_wrong_numbers_are_named(numbers, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        record.activations(stimuli(), small, **numbers)


def test_what_is_no_model_is_named():
    with pytest.raises(ValueError, match=r"^model: .* gave a dict; wanted a torch\.nn\.Module"):
        record.activations(stimuli(), dict)
    with pytest.raises(ValueError, match=r"^model: pipeline\.models has no module 'cn'; did you mean 'cnn'"):
        record.activations(stimuli(), "pipeline.models.cn.build")


def test_a_dotted_name_is_as_good_as_the_function():
    given = stimuli()
    by_name = record.activations(given, "pipeline.models.pixels.build")
    assert np.array_equal(by_name["response"], record.activations(given, pixels.build)["response"])


def test_every_step_of_a_recurrent_layer_is_a_time():
    given = stimuli(channels=1, size=2)
    found = record.activations(given, Steps(4), layers=["state"], time_step_s=0.05)
    assert found["response"].dims == ("presentation", "neuroid", "time")
    assert np.allclose(found["time"], [0, 0.05, 0.1, 0.15])
    flat = given["image"].values.reshape(10, -1, 1)
    assert np.allclose(found["response"], flat + np.arange(1, 5))
    last = record.activations(given, Steps(4), layers=["state"])
    assert np.array_equal(last["response"], found["response"].isel(time=-1))


def test_layers_with_other_numbers_of_steps_are_recorded_apart():
    with pytest.raises(ValueError, match=r"^layers: 'last' has 1 times and 'state' has 3; record them apart"):
        record.activations(stimuli(), Steps(3), time_step_s=0.1)


def test_one_relu_used_for_two_sizes_is_no_recurrence():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.relu(x)[..., ::2])

    with pytest.raises(ValueError, match=r"^time_step_s: the calls of layer 'relu' gave shapes"):
        record.activations(stimuli(), Shared(), layers=["relu"], time_step_s=0.1)


def test_cornet_keeps_its_steps():
    found = record.activations(
        stimuli(size=32), lambda: cornet.build(width=2, times=3), layers=["V4.output"], time_step_s=0.01
    )
    assert found["response"].sizes == {"presentation": 10, "neuroid": 8 * 2 * 2, "time": 3}
    assert not np.allclose(found["response"][..., 0], found["response"][..., 2])


def test_an_axis_of_the_output_may_be_time():
    given, module = stimuli(), Sequence()
    found = record.activations(given, module, layers=["rnn"], time_step_s=0.01, time_axis=1)
    assert found["response"].shape == (10, 5, 16)
    with torch.no_grad():
        bare = module(torch.from_numpy(given["image"].values))
    assert np.allclose(found["response"].values, np.moveaxis(bare.numpy(), 1, 2), atol=1e-6)


def test_every_frame_of_a_film_is_a_time():
    film, module = stimuli(frames=3), small()
    found = record.activations(film, module, batch=4)
    assert found["response"].dims == ("presentation", "neuroid", "time")
    assert np.allclose(found["time"], [0, 0.04, 0.08])
    for t in range(3):
        still = record.activations(film.isel(time=t).drop_vars("time"), module, batch=4)
        assert np.array_equal(found["response"].isel(time=t).values, still["response"].values)
    with pytest.raises(ValueError, match=r"^time_step_s: the pictures have time"):
        record.activations(film, module, time_step_s=0.1)


def test_what_is_beyond_memory_goes_to_a_file_and_is_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    given = stimuli(50)
    eager = record.activations(given, small, batch=8)
    monkeypatch.setattr(record, "AT_ONCE", 0)
    monkeypatch.setattr("pipeline.stages._spool.READ", 2**15)
    lazy = record.activations(given, small, batch=8)
    assert lazy["response"].chunks is not None
    assert len(lazy["response"].chunks[0]) > 3
    assert eager["response"].chunks is None
    assert np.array_equal(lazy["response"].values, eager["response"].values)
    assert np.array_equal(lazy["response"][5:9, ::7].values, eager["response"][5:9, ::7].values)
    same = [store.write(one, tmp_path / f"{k}.nc", "key") for k, one in enumerate((eager, lazy))]
    assert same[0] == same[1]
    assert sorted(os.listdir(tmp_path)) == ["0.nc", "0.nc.sha256", "1.nc", "1.nc.sha256"]


def test_lazy_pictures_are_as_good_as_eager_ones():
    given = stimuli(20)
    lazy = record.activations(given.chunk({"stimulus": 7}), small, batch=8)
    assert lazy.identical(record.activations(given, small, batch=8))


def test_a_projection_keeps_squared_distances_in_the_mean():
    given = stimuli(20, size=32)
    whole = record.activations(given, pixels.build)["response"].values
    distance = ((whole[:, None] - whole[None]) ** 2).sum(-1)[np.triu_indices(20, 1)]
    ratios = []
    for seed in range(20):
        few = record.activations(given, pixels.build, project=100, seed=seed)["response"].values
        assert few.shape == (20, 100)
        ratios.append((((few[:, None] - few[None]) ** 2).sum(-1)[np.triu_indices(20, 1)] / distance).mean())
    assert abs(np.mean(ratios) - 1) < 4 * np.std(ratios) / np.sqrt(20)
    assert np.std(ratios) > 0


def test_a_projection_depends_on_its_layer_and_seed_alone():
    given, module = stimuli(9), small()
    together = record.activations(given, module, project=7, batch=4)
    alone = record.activations(given.isel(stimulus=slice(5)), module, layers=["conv2"], project=7, batch=4)
    mine = together["response"].values[:5, together["layer"].values == "conv2"]
    assert np.array_equal(mine, alone["response"].values)
    other = record.activations(given, module, layers=["conv2"], project=7, batch=4, seed=1)
    assert not np.allclose(other["response"].values[:5], mine)
    small_layer = together["layer"].values == "head"
    assert small_layer.sum() == 7  # of 10 units


def test_preprocessing_is_what_it_says():
    given = stimuli(size=16)
    found = record.activations(given, pixels.build, mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.1])
    by_hand = (given["image"].values - np.array([0.5, 0.4, 0.3])[:, None, None]) / np.array([0.2, 0.2, 0.1])[
        :, None, None
    ]
    assert np.allclose(found["response"], by_hand.reshape(10, -1), atol=1e-5)
    assert record.activations(given, pixels.build, size=8)["response"].shape == (10, 3 * 8 * 8)
    flat = given.assign(image=given["image"] * 0 + 0.25)
    assert np.allclose(record.activations(flat, pixels.build, size=5)["response"], 0.25)


def test_r11_attributes_change_with_one_pixel_one_weight_one_number():
    given = stimuli()
    base = record.activations(given, small).attrs
    pixel = given.copy(deep=True)
    pixel["image"][9, 2, 15, 15] = 0.123
    assert record.activations(pixel, small).attrs["stimuli_sha256"] != base["stimuli_sha256"]
    assert record.activations(given, small(seed=1)).attrs["weights_sha256"] != base["weights_sha256"]
    assert record.activations(given, small, size=20).attrs["preprocessing"] != base["preprocessing"]
    assert record.activations(given, small).attrs == base


def test_content_that_is_not_the_pixels_is_refused():
    given = stimuli()
    hashes = [
        hashlib.sha256(one.tobytes() + repr(one.shape).encode()).hexdigest() for one in given["image"].values
    ]
    told = given.assign_coords(content=("stimulus", hashes))
    assert record.activations(told, small)["content"].values.tolist() == hashes
    told["image"] = told["image"] * 0.5
    with pytest.raises(ValueError, match=r"^content: of picture 0 .* is not the hash of its pixels"):
        record.activations(told, small)


def test_a_study_records_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "recorded.yaml"
    file.write_text("""about: "A network sees faces (nobody yet)"
steps:
  faces: {use: loaders.synthetic.face_images, with: {seed: 0, size: 16}}
  cnn:
    use: pipeline.stages.record.activations
    with: {model: {use: pipeline.models.cnn.build, with: {width: 4}}, layers: ["conv*"], batch: 4}
    from: {stimuli: faces}
""")
    assert run.run(file, quiet=True)
    found = store.read(tmp_path / "results" / "recorded" / "cnn.nc")
    direct = record.activations(
        synthetic.face_images(seed=0, size=16), functools.partial(cnn.build, width=4),
        layers=["conv*"], batch=4,
    )  # fmt: skip
    assert np.array_equal(found["response"].values, direct["response"].values)
    assert json.loads(found.attrs["model"]) == {"use": "pipeline.models.cnn.build", "with": {"width": 4}}
    wrong = {"model": {"use": "pipeline.models.cnn.build", "with": {"widht": 4}}}
    assert "did you mean 'width'" in str(
        list(parts.problems("pipeline.stages.record.activations", wrong, ["stimuli"]))
    )
