"""Functions as data and back; data may name models of ours and run nothing else."""

from __future__ import annotations

import functools
import inspect
import json

import numpy as np
import pytest
import torch

from pipeline.models import _weights, cnn, gabor
from pipeline.stages import _named, record


def saved(**attrs):
    return _weights.to_dataset(cnn.build(width=4)).assign_attrs(**attrs)


def test_nested_partials_are_told_as_a_study_says_them():
    inner = functools.partial(cnn.build, width=np.int64(4), seed=2)
    plain = {"use": "pipeline.models.cnn.build", "with": {"width": 4, "seed": 2}}
    assert json.loads(_named.named(inner)) == plain
    outer = functools.partial(gabor.bank, 4, spread=inner)
    found = _named.described({"core": outer, "sizes": (1, 2.5), "flag": True, "none": None})
    first = next(iter(inspect.signature(gabor.bank).parameters))
    told = {"use": "pipeline.models.gabor.bank", "with": {first: 4, "spread": plain}}
    assert found == {"core": told, "sizes": [1, 2.5], "flag": True, "none": None}


def test_weights_that_name_their_model_need_no_model():
    module = cnn.build(width=4, classes=3, seed=5)
    text = _named.named(functools.partial(cnn.build, width=4, classes=3))
    found, told = record.built(None, _weights.to_dataset(module).assign_attrs(model=text))
    assert told == text
    assert _weights.digest(found) == _weights.digest(module)
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(found.eval()(x), module.eval()(x))


@pytest.mark.parametrize(
    "told",
    [
        {"use": "os.system", "with": {"command": "touch marker"}},
        {"use": "builtins.eval", "with": {}},
        {"use": "torch.load", "with": {"f": "x"}},
        {"use": "torchvision.resnet18"},
        {"use": "pipeline.stages.record.activations", "with": {}},
        {"use": "pipeline.modelsx.build"},
        {"use": "loaders.images.stimuli", "with": {"path": "/etc"}},
        {"use": "pipeline.models.cnn.build", "with": {"width": {"use": "os.getcwd"}}},
        {"use": "pipeline.models.cnn.build", "with": {"width": [{"a": {"use": "subprocess.run"}}]}},
        {"use": "pipeline.models.public.build", "with": {"name": "timm.resnet18", "checkpoint_path": "x"}},
        {
            "use": "pipeline.models.public.build",
            "with": {"name": "torchvision.resnet18", "weights": "DEFAULT"},
        },
        {"use": "pipeline.models.cnn.apart", "with": {"seed": 0}},
        {"use": "pipeline.models._seeded.number", "with": {"seed": 0}},
        {"use": "pipeline.models.cnn.OrderedDict"},
        {"use": "pipeline.models.cnn.build", "with": {"widht": 4}},
        {"use": "pipeline.models.cnn.build", "with": [1]},
        {"use": 3},
        [],
        "{",
        "",
        None,
    ],
)
def test_f74_a_forged_name_is_refused_and_nothing_runs(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = told if isinstance(told, str) or told is None else json.dumps(told)
    weights = saved() if text is None else saved(model=text)
    with pytest.raises(ValueError, match=r"^weights: .*; give model"):
        record.built(None, weights)
    assert not list(tmp_path.iterdir())


def test_without_model_and_weights_there_is_nothing_to_build():
    with pytest.raises(ValueError, match=r"^model: none was given, nor weights that name theirs"):
        record.built()


def test_f74_weights_say_what_is_missing_and_what_is_too_much():
    weights = saved()
    with pytest.raises(
        ValueError, match=r"have no 'conv2\.0\.weight', .* \(nor conv2\.1\.weight, conv2\.1\.bias"
    ):
        _weights.load(cnn.build(width=4), weights.drop_vars([n for n in weights if "conv2" in str(n)]))
    extra = weights.assign({"odd": (["odd.0"], [1.0])})
    with pytest.raises(ValueError, match=r"^weights: have 'odd', which the model has not \(1 such\)"):
        _weights.load(cnn.build(width=4), extra)
    whole = weights.assign({"conv1.0.weight": weights["conv1.0.weight"].astype(int)})
    with pytest.raises(
        ValueError, match=r"^weights: 'conv1\.0\.weight' is of type int64, and torch\.float32 in"
    ):
        _weights.load(cnn.build(width=4), whole)


def test_f74_weights_that_were_changed_are_refused_and_the_module_is_as_before():
    weights, module = saved(), cnn.build(width=4, seed=3)
    before = _weights.digest(module)
    weights["conv1.0.weight"][0, 0, 0, 0] += 1e-6
    with pytest.raises(
        ValueError, match=r"^weights: are not those of their weights_sha256; drop it where you"
    ):
        _weights.load(module, weights)
    assert _weights.digest(module) == before
    del weights.attrs["weights_sha256"]
    _weights.load(module, weights)
