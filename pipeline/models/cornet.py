"""A narrow recurrent network whose four layers are named as areas of the ventral stream."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ._seeded import apart, initialised, positive


def build(
    *, channels: int = 3, classes: int = 10, width: int = 16, times: int = 2, seed: int = 0
) -> nn.Module:
    """V1, V2, V4 and IT, each halving the picture, then recurrent for `times` steps with one set of weights.

    As in CORnet-S, an area sees its own output of the step before, and each step has a normalisation of its
    own. The layers V1.output, V2.output, ... are called once a step: recorded with `time_step_s`, they have
    `time`. V1 is fed forward. Any size from 32 up.

    Reads    channels of the pictures; classes of the decoder; width, channels of V1 (2, 4, 8 times later);
             times, steps in V2, V4 and IT
    Returns  a module (image, channel, y, x) → (image, class), with layers V1, V2, V4, IT, decoder
    Source   Kubilius et al. 2019, arXiv 1909.06161 (CORnet-S; narrower here, without bottlenecks)
    >>> build(classes=5, width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 5])
    """
    positive(channels=channels, classes=classes, width=width, times=times)
    with apart(seed):
        areas: list[tuple[str, nn.Module]] = [("V1", _Forward(channels, width))]
        for k, name in enumerate(("V2", "V4", "IT")):
            areas.append((name, _Area(width * 2**k, width * 2 ** (k + 1), times)))
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, classes))
        return initialised(nn.Sequential(OrderedDict([*areas, ("decoder", head)])), seed)


class _Forward(nn.Sequential):
    def __init__(self, before: int, after: int) -> None:
        layers: dict[str, nn.Module] = {
            "conv": nn.Conv2d(before, after, 7, stride=2, padding=3, bias=False),
            "norm": nn.BatchNorm2d(after),
            "relu": nn.ReLU(),
            "pool": nn.MaxPool2d(3, stride=2, padding=1),
            "output": nn.Identity(),
        }
        super().__init__(OrderedDict(layers))


class _Area(nn.Module):
    """Input is convolved once; the state, which starts as that input, is convolved again at every step."""

    def __init__(self, before: int, after: int, times: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
        self.entry_norm = nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norms1 = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(times))
        self.norms2 = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(times))
        self.output = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state = self.entry_norm(self.entry(x))
        for norm1, norm2 in zip(self.norms1, self.norms2, strict=True):
            inner = torch.relu(norm1(self.conv1(state)))
            state = self.output(torch.relu(state + norm2(self.conv2(inner))))
        return state
