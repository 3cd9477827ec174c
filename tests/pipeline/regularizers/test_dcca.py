"""Canonical correlations as a penalty: against a CCA by other routes, and what the branches learn."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from pipeline.regularizers import dcca


def views(count=200, units=8, neuroids=6, shared=2, noise=0.3, seed=0):
    """Two views whose first directions are the same."""
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(count, shared))
    x = both @ rng.normal(size=(shared, units)) + noise * rng.normal(size=(count, units))
    y = both @ rng.normal(size=(shared, neuroids)) + noise * rng.normal(size=(count, neuroids))
    return torch.from_numpy(x), torch.from_numpy((y - y.mean(0)) / y.std(0))


def by_bases(x, y):
    """Björck and Golub: singular values of the product of orthonormal bases."""
    left, right = (np.linalg.qr(part - part.mean(0))[0] for part in (x, y))
    return np.linalg.svd(left.T @ right, compute_uv=False)


def by_roots(x, y, r):
    """Andrew et al.: inverse roots of covariances by their eigenvectors."""

    def root(part):
        size, vectors = np.linalg.eigh(part)
        return vectors @ np.diag(size**-0.5) @ vectors.T

    x, y, less = x - x.mean(0), y - y.mean(0), len(x) - 1
    own, other = x.T @ x / less + r * np.eye(x.shape[1]), y.T @ y / less + r * np.eye(y.shape[1])
    return np.linalg.svd(root(own) @ (x.T @ y / less) @ root(other), compute_uv=False)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("units", "neuroids"), [(8, 6), (3, 9), (1, 1)])
def test_the_value_is_that_of_cca_by_other_routes(seed, units, neuroids):
    x, y = views(60, units, neuroids, 1, seed=seed)
    plain = by_bases(x.numpy(), y.numpy())
    assert float(dcca.penalty(x, y, r=0)) == pytest.approx(-plain.sum(), abs=1e-8)
    assert float(dcca.penalty(x, y, r=0, reduce="mean")) == pytest.approx(-plain.mean(), abs=1e-8)
    rough = by_roots(x.numpy(), y.numpy(), 1e-4)
    assert float(dcca.penalty(x, y)) == pytest.approx(-rough.sum(), abs=1e-8)


def test_the_value_is_that_of_the_generalised_eigenvalues():
    x, y = (part.numpy() - part.numpy().mean(0) for part in views(100, 4, 3))
    cross, own, other = x.T @ y / 99, x.T @ x / 99, y.T @ y / 99
    left = np.block([[np.zeros((4, 4)), cross], [cross.T, np.zeros((3, 3))]])
    found = scipy.linalg.eigh(left, scipy.linalg.block_diag(own, other), eigvals_only=True)
    given = torch.from_numpy(x), torch.from_numpy(y)
    assert float(dcca.penalty(*given, r=0)) == pytest.approx(-found[found > 1e-9].sum(), abs=1e-8)


def test_linear_maps_of_either_side_leave_it():
    x, y = views()
    turn = torch.from_numpy(np.random.default_rng(1).normal(size=(8, 8)))
    assert torch.allclose(dcca.penalty(x @ turn + 3, y, r=0), dcca.penalty(x, y, r=0), rtol=1e-9)
    assert torch.allclose(dcca.penalty(x, x @ turn, r=0), torch.tensor(-8.0).double(), rtol=1e-9)


def test_the_gradient_is_finite_where_nothing_varies_or_two_values_meet():
    """Branches that are dead, or two columns of the same variance: inverse roots by eigenvectors give NaN."""
    x, y = views(40, 4, 4)
    for given in (torch.zeros_like(x), torch.cat([x[:, :2], x[:, :2]], 1)):
        leaf = given.clone().requires_grad_()
        (slope,) = torch.autograd.grad(dcca.penalty(leaf, y), leaf)
        assert torch.isfinite(slope).all()


def trained(module, x, y, steps=200, batch=50, seed=0):
    rng, optimizer = np.random.default_rng(seed), torch.optim.Adam(module.parameters(), lr=3e-3)
    module.train()
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(x), batch, replace=False))
        optimizer.zero_grad()
        module(x[rows], y[rows]).backward()
        optimizer.step()
    return module.eval()


def test_held_out_pairs_correlate_for_real_responses_and_not_for_shuffled_ones():
    """The training correlation is high for both: only pictures that are held out tell them apart."""
    x, y = (part.float() for part in views(400, shared=2))
    found = {}
    for name, target in (
        ("real", y),
        ("shuffled", y[torch.from_numpy(np.random.default_rng(3).permutation(400))]),
    ):
        module = dcca.build(x, target, widths=(16,), pairs=4, dropout=0.0, seed=1)
        trained(module, x[:300], target[:300])
        with torch.no_grad():
            held, seen = module(x[300:], target[300:]), module(x[:300], target[:300])
            loss = module.train()(x[:50], target[:50])
        found[name] = {"held": float(held["canonical"]), "seen": float(seen["canonical"])}
        found[name] |= {"loss": float(loss)}
        assert float(held["loss"]) == pytest.approx(-4 * found[name]["held"])
    assert found["real"]["held"] > 0.4
    assert abs(found["shuffled"]["held"]) < 0.15
    assert found["shuffled"]["seen"] > found["shuffled"]["held"] + 0.05
    assert found["shuffled"]["loss"] < -0.8


def test_what_is_told_before_training_is_nothing():
    x, y = views()
    module = dcca.build(x, y, widths=(8,), pairs=2).double().eval()
    assert float(module(x, y)["canonical"]) == 0


def test_branches_have_the_shapes_that_are_asked_and_their_own_seed():
    maps, y = torch.rand(20, 3, 9, 9, generator=torch.Generator().manual_seed(0)), views(20)[1].float()
    module = dcca.build(maps, y, widths=(12, 11), pairs=5, pool=4, seed=3)
    shapes = {name: tuple(part.shape) for name, part in module.named_parameters()}
    assert shapes["layer.dense1.weight"] == (12, 48)
    assert shapes["responses.dense1.weight"] == (12, 6)
    assert shapes["layer.dense3.weight"] == (5, 11)
    before = torch.get_rng_state()
    again = dcca.build(maps, y, widths=(12, 11), pairs=5, pool=4, seed=3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(part, again[name]) for name, part in module.state_dict().items())
    other = dcca.build(maps, y, widths=(12, 11), pairs=5, pool=4, seed=4).state_dict()
    assert not torch.equal(other["layer.dense1.weight"], again["layer.dense1.weight"])
    assert torch.isfinite(module(maps, y))


def test_the_published_widths_are_the_default_ones_in_number():
    module = dcca.build(*(part.float() for part in views()), widths=(1024,) * 3)
    assert [part.out_features for part in module.layer if isinstance(part, torch.nn.Linear)] == [1024] * 3 + [
        10
    ]


def test_the_gradient_through_the_branches_is_that_of_finite_differences():
    x, y = views(20, 5, 4)
    module = dcca.build(x, y, widths=(6,), pairs=2, dropout=0.0).double()
    assert torch.autograd.gradcheck(lambda given: module(given, y), x.requires_grad_())


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_f77_a_target_of_another_scale_is_refused(scale):
    x, y = views()
    with pytest.raises(
        ValueError, match=r"^target: \(200, 6\) has an SD of (1e.04|0.0001) over pictures; bring it"
    ):
        dcca.build(x, scale * y)
    dcca.build(x, 3 * y)


def test_f77_rows_that_do_not_meet_are_refused_by_the_module():
    x, y = views()
    module = dcca.build(x, y, widths=(8,)).double()
    with pytest.raises(ValueError, match=r"^target: is \(199, 6\) beside features \(200, 8\)"):
        module(x, y[:-1])
