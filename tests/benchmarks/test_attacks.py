"""Attacks against the limit: N forward passes with input gradients, parameters frozen.

`make bench` prints the ratios: CPU seconds of paired runs in one process, torch on one thread.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.attacks import classify, pgd, respond
from pipeline.attacks._fast import reduced
from pipeline.attacks._rows import pieces
from pipeline.attacks._whole import still, whole
from pipeline.models import cnn, predictor

pytestmark = pytest.mark.timing
STEPS = 40  # what PGD does by itself


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Block(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after))
        self.two = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.past = nn.Identity() if stride == 1 and before == after else shortcut

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.two(torch.relu(self.one(x))) + self.past(x))


def resnet18(classes: int = 10) -> nn.Module:
    """ResNet-18 of 64 to 512 channels."""
    torch.manual_seed(0)
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)]
    widths += [(256, 512, 2), (512, 512, 1)]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)]
    return nn.Sequential(*stem, *(Block(*width) for width in widths), *head)


def pictures(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def limit(objective: Callable[..., Tensor], x: Tensor, steps: int) -> None:
    """Forward passes and input gradients, and nothing else; in the same pieces as the search."""
    for piece, rows in pieces(objective, x):
        for _ in range(steps):
            leaf = x[rows].detach().requires_grad_()
            torch.autograd.grad(piece(leaf).sum(), leaf)


def paired(name: str, ours: Callable, peer: Callable, pairs: int = 5) -> float:
    """Prints and gives the median of ours / peer over runs that take turns."""
    ratios = []
    ours(), peer()
    for _ in range(pairs):
        start = time.process_time()
        ours()
        middle = time.process_time()
        peer()
        ratios.append((middle - start) / (time.process_time() - middle))
    low, median, high = min(ratios), float(np.median(ratios)), max(ratios)
    print(f"\n{name}: {median:.3f} ({low:.3f} to {high:.3f}, {pairs} pairs)")
    return median


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network trained on small photographs, and the test pictures that it gets right."""
    folder = Path(os.environ.get("NEURO_DATA", "../shared/data")) / "images" / "cifar10_subset"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here; set NEURO_DATA")
    parts = [np.load(folder / f"cifar10_{part}_subset.npz") for part in ("train", "test")]
    (x, y), (held, truth) = (
        (
            torch.from_numpy(part["images"]).permute(0, 3, 1, 2).float() / 255,
            torch.from_numpy(part["labels"]).long(),
        )
        for part in parts
    )
    torch.manual_seed(0)
    net, epochs = cnn.build(width=16), 4
    optimizer = torch.optim.SGD(net.parameters(), momentum=0.9, lr=0.1, weight_decay=5e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=epochs * 46)
    for rows in (torch.randperm(len(x))[:2944].split(64) for _ in range(epochs)):
        for some in rows:
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[some]), y[some]).backward()
            optimizer.step()
            rate.step()
    net.eval()
    with torch.no_grad():
        right = net(held).argmax(1) == truth
    return net, held[right], truth[right]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(
    ("name", "build", "count", "size"),
    [
        ("small CNN", lambda: cnn.build(width=32), 32, 32),
        ("small CNN", lambda: cnn.build(width=32), 256, 32),
        ("ResNet-18", resnet18, 16, 64),
    ],
)
def test_pgd_costs_what_its_passes_cost(
    norm: str, name: str, build: Callable[[], nn.Module], count: int, size: int
) -> None:
    x, epsilon = pictures(count, size), {"linf": 8 / 255, "l2": 0.5}[norm]
    with still(whole(build())) as net:
        objective = classify.cross_entropy(net, x, label=[k % 10 for k in range(count)])

        def ours() -> Tensor:
            return pgd.pgd(objective, x, epsilon, norm=norm, steps=STEPS)

        told = f"PGD {norm}, {name}, batch {count}, {STEPS} steps / as many passes and gradients"
        assert paired(told, ours, lambda: limit(objective, x, STEPS), pairs=3) <= 1.05


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_broken_examples_cost_nothing_more(norm: str, trained: tuple[nn.Module, Tensor, Tensor]) -> None:
    x, y, epsilon = trained[1][:128], trained[2][:128], {"linf": 16 / 255, "l2": 2.0}[norm]
    with still(whole(trained[0])) as net:
        objective = classify.margin(net, x, label=y)
        plain = pgd.pgd(objective, x, epsilon, norm=norm, steps=40)
        found = pgd.pgd(objective, x, epsilon, norm=norm, steps=40, drop=True)
        success, expected = (float((objective(z) > 0).float().mean()) for z in (found, plain))
        print(f"\nbroken: {success:.1%} with broken examples dropped, {expected:.1%} without")
        assert success >= max(0.9, expected - 0.01)

        def ours() -> Tensor:
            return pgd.pgd(objective, x, epsilon, norm=norm, steps=40, drop=True)

        told = f"PGD {norm}, 40 steps, dropping what is broken / as many passes and gradients"
        assert paired(told, ours, lambda: limit(objective, x, 40), pairs=3) <= 1 / 4


def sites(components: int = 10) -> tuple[nn.Module, Tensor]:
    core = functools.partial(cnn.build, width=16)
    net = predictor.build(core=core, layer="conv3", units=64 * 4 * 4, neuroids=168, components=components)
    return net, pictures(8, 32)


def test_all_neuroids_at_once_cost_what_their_passes_cost() -> None:
    net, x = sites()
    with still(net):
        pairs, neuroid = respond.pairs(x, range(168))
        objective = respond.drive(net, pairs, neuroid=neuroid)
        epsilon = 0.3

        def ours() -> Tensor:
            return pgd.pgd(objective, pairs, epsilon, norm="l2", steps=10)

        one = respond.drive(net, x, neuroid=7)
        apart = pgd.pgd(one, x, epsilon, norm="l2", steps=10)
        together = ours()[7 * 8 : 8 * 8]
        assert torch.allclose(one(apart), one(together), rtol=1e-3, atol=1e-5)
        assert (objective(ours()) > objective(pairs)).all()
        told = "168 neuroids x 8 pictures x 10 steps / as many passes and gradients of all pairs"
        assert paired(told, ours, lambda: limit(objective, pairs, 10), pairs=3) <= 1.05


@pytest.mark.parametrize("components", [10, 25])
def test_gradients_of_all_neuroids_cost_those_of_the_maps_directions(components: int) -> None:
    net, x = sites(components)
    with still(net):

        def ours() -> Tensor:
            return respond.gradients(net[:2], net.readout.weight, x)

        def peer() -> Tensor:
            slopes = []
            for k in range(168):
                leaf = x.detach().requires_grad_()
                slopes.append(torch.autograd.grad(net(leaf)[:, k].sum(), leaf)[0])
            return torch.stack(slopes)

        expected = peer()
        assert float((ours() - expected).abs().max()) < 1e-4 * float(expected.abs().max())
        ratio = paired(
            f"gradients of 168 neuroids, rank {components} / forward and backward each", ours, peer
        )
        print(f"{1 / ratio:.1f} times faster")
        assert components > 10 or 1 / ratio >= 12


def test_fewer_bits_are_faster_and_break_as_many(trained: tuple[nn.Module, Tensor, Tensor]) -> None:
    x, y, epsilon = trained[1][:256], trained[2][:256], 1 / 255
    with still(whole(trained[0])) as net:
        exact = classify.margin(net, x, label=y)

        def searched(module: nn.Module) -> Callable[[], Tensor]:
            objective = exact._replace(module=module)
            return lambda: pgd.pgd(objective, x, epsilon, steps=20)

        full, half, folded = (
            searched(module)
            for module in (net, whole(reduced(trained[0])), whole(reduced(trained[0], torch.float32)))
        )
        expected, found, same = (float((exact(run()) > 0).float().mean()) for run in (full, half, folded))
        print(f"\nbroken, judged in float32: {expected:.1%}, bfloat16 {found:.1%}, folded {same:.1%}")
        assert abs(found - expected) <= 0.01
        assert abs(same - expected) <= 0.01
        folds = paired("PGD on the network folded, channels last, float32 / as it is", folded, full, pairs=3)
        bits = paired("PGD on the network folded, channels last, bfloat16 / as it is", half, full, pairs=3)
        print(f"{1 / folds:.2f} and {1 / bits:.2f} times faster")
        native = (
            "amx_bf16" in Path("/proc/cpuinfo").read_text()
            or "avx512_bf16" in Path("/proc/cpuinfo").read_text()
        )
        assert 1 / (bits if native else folds) >= (2 if native else 1)
