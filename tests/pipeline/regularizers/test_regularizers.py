"""What holds of every penalty: its gradient, its kernel on NumPy, and what it refuses."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from analyses import _cka
from analyses._alignment_kernels import canonical, paired, similarity, upper
from pipeline.regularizers import arctanh, cka, dcca, rsa

PENALTIES = {
    "rsa": rsa.penalty,
    "rsa, squared": functools.partial(rsa.penalty, loss="squared", centre="stimuli"),
    "rsa, pairs": functools.partial(rsa.penalty, pairs=5, centre="neuroids"),
    "arctanh": arctanh.penalty,
    "arctanh, sum": functools.partial(arctanh.penalty, reduce="sum", centre="stimuli"),
    "arctanh, threshold": functools.partial(arctanh.penalty, threshold=0.3, centre="none"),
    "dcca": dcca.penalty,
    "dcca, mean": functools.partial(dcca.penalty, reduce="mean", r=0.01),
    "cka": cka.penalty,
    "cka, plain": functools.partial(cka.penalty, debiased=False),
}


def views(count=12, units=4, neuroids=3, seed=0, dtype=torch.float64):
    """Two views that share one direction."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(count, 1))
    x = shared @ rng.normal(size=(1, units)) + rng.normal(size=(count, units))
    y = shared @ rng.normal(size=(1, neuroids)) + rng.normal(size=(count, neuroids))
    return torch.from_numpy(x).to(dtype), torch.from_numpy(y).to(dtype)


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gradient_is_that_of_finite_differences(name):
    x, y = views()
    assert torch.autograd.gradcheck(lambda given: PENALTIES[name](given, y), x.requires_grad_(), atol=1e-7)


@pytest.mark.parametrize("name", PENALTIES)
def test_maps_are_units_and_the_type_is_that_of_the_features(name):
    x, y = views()
    wide = x.reshape(12, 1, 2, 2)
    assert torch.allclose(PENALTIES[name](wide, y), PENALTIES[name](x, y), rtol=1e-12)
    small = PENALTIES[name](x.float(), y)
    assert small.dtype == torch.float32
    assert small.shape == ()
    assert torch.allclose(small.double(), PENALTIES[name](x, y), rtol=1e-4, atol=1e-5)


def of_numpy(name, x, y):
    """The same number, of the kernels that analyses use."""
    if name.startswith("rsa"):
        centre = {"rsa": "none", "rsa, squared": "stimuli", "rsa, pairs": "neuroids"}[name]
        apart = rsa.dissimilarities(y, centre) - rsa.dissimilarities(x, centre)
        told = apart[np.arange(5), np.arange(5) + 1] if "pairs" in name else upper(apart)
        return (told**2).mean() if "squared" in name else np.abs(told).mean()
    if name.startswith("arctanh"):
        centre = {"arctanh": "neuroids", "arctanh, sum": "stimuli"}.get(name, "none")
        ours, wanted = upper(similarity(x, centre)), upper(similarity(y, centre))
        if "threshold" in name:
            wanted = np.where(wanted > 0.3, 1.0, np.where(wanted < -0.3, -1.0, 0.0))
        each = (arctanh.stretched(ours, 0.999) - arctanh.stretched(wanted, 0.999)) ** 2
        return 2 * each.sum() if "sum" in name else each.mean()
    if name.startswith("dcca"):
        found = canonical(x, y, 0.01 if "mean" in name else 1e-4)
        return -found.mean() if "mean" in name else -found.sum()
    return 1 - _cka.cka(x - x.mean(0), y - y.mean(0), "plain" not in name)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_numpy_and_torch_give_the_same(name, seed):
    x, y = views(30, 6, 4, seed)
    found = float(PENALTIES[name](x, y))
    assert found == pytest.approx(float(of_numpy(name, x.numpy(), y.numpy())), abs=1e-10, rel=0)


def test_kernels_on_numpy_are_those_of_torch():
    x, y = views(40, 5, 4)
    for centre in ("none", "stimuli", "neuroids"):
        assert np.allclose(similarity(x, centre), similarity(x.numpy(), centre), rtol=0, atol=1e-12)
    assert np.allclose(canonical(x, y), canonical(x.numpy(), y.numpy()), rtol=0, atol=1e-12)
    assert np.allclose(paired(x[:, :4], y), paired(x.numpy()[:, :4], y.numpy()), rtol=0, atol=1e-12)
    expected = [np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(4)]
    assert np.allclose(paired(x[:, :4], y), expected, atol=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_the_scale_of_either_side_does_not_matter(name):
    x, y = views()
    found = PENALTIES[name](x, y)
    slack = 0.05 if name.startswith("dcca") else 1e-9  # r is added to variances
    assert torch.allclose(PENALTIES[name](3 * x, y), found, rtol=slack, atol=slack)
    assert torch.allclose(PENALTIES[name](x, 5 * y), found, rtol=slack, atol=slack)


def broken(change):
    y = views()[1].clone()
    return change(y)


def at(y, value):
    y[7, 2] = value
    return y


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: at(y, np.nan), r"^target: is nan at picture 7, neuroid 2 of \(12, 3\) beside feat"),
        (lambda y: at(y, np.inf), r"^target: is inf at picture 7, neuroid 2 of \(12, 3\) beside"),
        (lambda y: y[:-1], r"^target: is \(11, 3\) beside features \(12, 4\); wanted \(picture, neuroid\)"),
        (lambda y: y[:, 0], r"^target: is \(12,\) beside features \(12, 4\); wanted"),
        (lambda y: y[..., None], r"^target: is \(12, 3, 1\) beside features \(12, 4\); wanted"),
        (lambda y: None, r"^target: none was given; give a recording"),
    ],
)  # fmt: skip
def test_f77_a_target_of_other_rank_or_that_is_no_number_is_refused_with_the_shapes(name, change, message):
    x, _ = views()
    with pytest.raises(ValueError, match=message) as told:
        PENALTIES[name](x, broken(change))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", [name for name in PENALTIES if name[:4] != "dcca"])
def test_f77_a_target_that_is_the_same_for_all_is_refused(name):
    x, y = views()
    with pytest.raises(ValueError, match=r"^target: \(12, 3\) is the same for every picture"):
        PENALTIES[name](x, torch.ones_like(y))


@pytest.mark.parametrize("name", PENALTIES)
def test_a_picture_that_the_layer_does_not_answer_has_a_finite_gradient(name):
    """As happens in a network of ReLU alone."""
    x, y = views()
    x[3] = 0
    (slope,) = torch.autograd.grad(PENALTIES[name](x.requires_grad_(), y), x)
    assert torch.isfinite(slope).all()
    assert torch.isfinite(PENALTIES[name](x, y))


def test_similarity_is_pearson_s_where_a_pattern_s_mean_is_taken_away():
    x, _ = views()
    assert np.allclose(similarity(x.numpy(), "neuroids"), np.corrcoef(x.numpy()), atol=1e-12)
    x[2] = 0
    assert np.isnan(similarity(x.numpy(), "none")[2]).all()
    assert (similarity(x.numpy(), "none", 0.0)[2] == 0).all()


@pytest.mark.parametrize("name", PENALTIES)
def test_one_picture_is_too_few(name):
    x, y = views()
    with pytest.raises(ValueError, match=r"^target: .*wanted . pictures at least|correlate whatever"):
        PENALTIES[name](x[:1], y[:1])


@pytest.mark.parametrize("name", PENALTIES)
def test_features_of_several_layers_are_asked_of_those_alone_that_take_them(name):
    x, y = views()
    if name.startswith("arctanh"):
        assert torch.isfinite(PENALTIES[name]([x, x * x], y))
        return
    with pytest.raises(ValueError, match=r"^features: a list of 2; wanted those of one layer"):
        PENALTIES[name]([x, x], y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: rsa.penalty(x, y, loss="abs"), "^loss: 'abs'; "),
        (lambda x, y: rsa.penalty(x, y, centre="row"), "^centre: 'row'; "),
        (lambda x, y: arctanh.penalty(x, y, centre="row"), "^centre: 'row'; "),
        (lambda x, y: arctanh.penalty(x, y, threshold=1.0), "^threshold: 1.0; wanted"),
        (lambda x, y: arctanh.penalty(x, y, limit=1.0), "^limit: 1.0; wanted"),
        (lambda x, y: arctanh.build(x, y, reduce="max"), "^reduce: 'max'; "),
        (lambda x, y: arctanh.penalty([], y), "^features: none; name the layers"),
        (lambda x, y: dcca.penalty(x, y, r=-1.0), "^r: -1.0; wanted"),
        (lambda x, y: dcca.penalty(x, y, reduce="max"), "^reduce: 'max'; "),
        (lambda x, y: dcca.build(x, y, pairs=0), "^pairs: 0; wanted"),
        (lambda x, y: dcca.build(x, y, widths=[8, 0]), "^widths: 0; wanted"),
        (lambda x, y: dcca.build(x, y, dropout=1.0), "^dropout: 1.0; wanted"),
        (lambda x, y: dcca.penalty(x[:4], y[:4]), "^target: .* correlate whatever they are; give more"),
    ],
)  # fmt: skip
def test_numbers_that_mean_nothing_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*views())
