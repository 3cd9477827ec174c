"""Small networks whose robustness is known: three clean ones, and eight ways to hide their gradient.

Simulated pictures and simulated networks, made to try attacks and their audits on. Nothing is trained step by
step: filters are drawn, the last layer is a ridge solution, and a mask leaves what a network answers to clean
pictures nearly as it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.nn import functional

from loaders.schema import check, nearest

from ._seeded import apart, initialised, positive

BASES = ("linear", "smooth", "relu")
MASKS = {  # and what undoes each
    "softplus": "logits",
    "quantised": "straight-through",
    "threshold": "straight-through",
    "noisy": "averaging",
    "shattered": "averaging",
    "softmax": "logits",
    "detached": "end to end",
    "optimised": "end to end",
}
TASKS = ("classes", "regression")
TRAINED = 600  # pictures that the last layer is fitted to
SD = (0.05, 0.04, 0.02)  # of the pattern that a response follows, of other patterns, of pixels
RANK = 24  # patterns that are not followed
LOGIT = 10.0  # that a class is fitted to lie above the others


def stimuli(
    *,
    count: int = 100,
    outputs: int = 4,
    task: str = "classes",
    channels: int = 1,
    size: int = 12,
    seed: int = 0,
) -> xr.Dataset:
    """Grey pictures of smooth patterns in noise, with the class of each or the responses of neurons to it.

    Reads    count of pictures; outputs, classes or neurons; task, "classes" or "regression"; size, pixels a
             side; seed, of patterns and pictures (the pictures differ from those that `build` fits to)
    Returns  image (stimulus, channel, y, x) within [.05, .95], stimulus_id; label (stimulus), a class from 0
             up, or truth (stimulus, neuroid), rates of simulated neurons, some of them silent
    >>> stimuli(count=3).image.sizes["stimulus"]
    3
    """
    _known(task=(task, TASKS))
    positive(count=count, outputs=outputs, channels=channels, size=size)
    image, label, truth = _drawn(count, outputs, task, channels, size, seed, part=2)
    coords: dict[str, Any] = {"stimulus_id": ("stimulus", np.array([f"{seed}:{k}" for k in range(count)]))}
    held: dict[str, Any] = {"image": (("stimulus", "channel", "y", "x"), image, {"units": "1"})}
    if task == "classes":
        coords["label"] = ("stimulus", label)
    else:
        coords["neuroid_id"] = ("neuroid", np.array([f"simulated:{k}" for k in range(outputs)]))
        held["truth"] = (("stimulus", "neuroid"), truth, {"units": "1"})
    return check(xr.Dataset(held, coords, {"origin": "simulated", "task": task, "seed": seed}))


def build(
    *,
    base: str = "smooth",
    mask: str = "none",
    strength: float = 1.0,
    outputs: int = 4,
    task: str = "classes",
    channels: int = 1,
    size: int = 12,
    seed: int = 0,
) -> nn.Module:
    """A clean network for the pictures of `stimuli` of the same numbers, or one that hides its gradient.

    Clean are linear (exact: see `worst`), smooth (two convolutions with softplus) and relu. Masks: softplus
    (outputs far from where softplus has a slope), quantised (pixels rounded), threshold (the winner alone, or
    rounded responses), noisy (new noise on the pixels at each pass), shattered (a fast triangle wave on the
    pixels), softmax (of steep logits, or over levels of a response), detached (no graph), optimised (the
    picture is first cleaned by gradient descent, through which no gradient runs).

    Reads    base; mask, or "none"; strength of the mask; the numbers that `stimuli` was given
    Returns  a module (image, channel, y, x) → (image, class or neuroid)
    Source   Papernot et al. 2017, doi 10.1145/3052973.3053009; Athalye et al. 2018, arXiv 1802.00420;
             Croce et al. 2022, arXiv 2202.13711 (optimisation at inference)
    >>> build(mask="softmax")(torch.full((2, 1, 12, 12), 0.5)).shape
    torch.Size([2, 4])
    """
    _known(base=(base, BASES), mask=(mask, ("none", *MASKS)), task=(task, TASKS))
    positive(outputs=outputs, channels=channels, size=size)
    if size < 8 or not strength > 0:
        raise ValueError(
            "size: give 8 pixels or more" if size < 8 else f"strength: {strength}; wanted above 0"
        )
    image, label, truth = _drawn(TRAINED, outputs, task, channels, size, seed, part=1)
    target = LOGIT * (np.eye(outputs)[label] - 1 / outputs) if task == "classes" else truth
    with apart(seed):
        core = _core(base, channels, seed)
        x = torch.from_numpy(image)
        with torch.no_grad():
            core.add_module("head", _ridge(core(x), torch.from_numpy(target)))
            fitted = core(x)
    core.eval().requires_grad_(False)
    if mask == "none":
        return core
    return _Masked(core, mask, strength, task, x, fitted)


def opened(module: nn.Module) -> nn.Module:
    """The known break of a masked network: the same function, or what it hides, with a gradient to follow.

    Reads    a module of `build`
    Returns  a module with the same weights, whose adversarial pictures are to be tried on the masked one; a
             clean module as it is
    Source   Athalye et al. 2018, arXiv 1802.00420
    """
    if not isinstance(module, _Masked):
        return module
    made = _Masked.__new__(_Masked)
    nn.Module.__init__(made)
    made.__dict__.update({key: value for key, value in module.__dict__.items() if key != "open"})
    made.open = True
    return made


def worst(
    module: nn.Module,
    stimuli: xr.Dataset,
    *,
    epsilon: float,
    norm: str = "linf",
    neuroid: int | None = None,
) -> np.ndarray:
    """The largest value that any perturbation of a linear network can reach, exactly.

    Reads    module, of `build(base="linear")`; stimuli, as `stimuli` made them; epsilon, in norm "linf" or
             "l2"; neuroid whose response is raised (None: the margin of the best wrong class over the label)
    Returns  the value for each picture; it is exact because no perturbed pixel leaves [0, 1], and ValueError
             says where one would
    """
    _known(norm=(norm, ("linf", "l2")))
    head = getattr(module, "head", None)
    if not isinstance(head, nn.Linear) or len(list(module.children())) != 2:
        raise ValueError("module: is not linear; give what build(base='linear') returns")
    weight, bias = head.weight.double(), head.bias.double()
    x = torch.from_numpy(np.asarray(stimuli["image"].values)).double().flatten(1)
    if neuroid is None:
        label = torch.from_numpy(np.asarray(stimuli["label"].values))
        rise, offset = weight[None] - weight[label][:, None], bias[None] - bias[label][:, None]
    else:
        rise, offset = weight[None, [neuroid]].expand(len(x), -1, -1), bias[[neuroid]].expand(len(x), -1)
    length = rise.abs().sum(-1) if norm == "linf" else rise.square().sum(-1).sqrt()
    way = rise.sign() if norm == "linf" else rise / length.clamp_min(1e-30)[..., None]
    moved = x[:, None] + epsilon * way
    if bool(((moved < 0) | (moved > 1)).any()):
        raise ValueError(f"epsilon: {epsilon} takes pixels out of [0, 1]; give less")
    value = (rise * x[:, None]).sum(-1) + offset + epsilon * length
    if neuroid is None:
        value[torch.arange(len(x)), label] = -torch.inf
    return np.asarray(value.amax(1))


def _known(**named: tuple[str, Any]) -> None:
    for name, (value, choice) in named.items():
        if value not in choice:
            raise ValueError(f"{name}: {value!r}; {nearest(value, choice)}")


def _drawn(
    count: int, outputs: int, task: str, channels: int, size: int, seed: int, part: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, their classes, and the rates of neurons whose drive is the pattern's contrast."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
    pattern = _smooth(rng.normal(size=(outputs + RANK, channels, size, size)))
    rng = np.random.default_rng(np.random.SeedSequence([seed, part]))
    label = rng.permutation(np.arange(count) % outputs)
    if task == "classes":
        amount = np.eye(outputs)[label] * (1 + 0.15 * rng.normal(size=(count, 1)))
    else:
        amount = rng.normal(size=(count, outputs))
    other = rng.normal(size=(count, RANK)) / np.sqrt(RANK)
    image = 0.5 + SD[0] * np.tensordot(amount, pattern[:outputs], 1)
    image += SD[1] * np.tensordot(other, pattern[outputs:], 1) + SD[2] * rng.normal(size=image.shape)
    drive = amount + 0.524  # 30 % of a normal variable lie below
    truth = np.logaddexp(0, 4 * drive) / 4
    return image.clip(0.05, 0.95).astype(np.float32), label, truth


def _smooth(noise: np.ndarray) -> np.ndarray:
    """Patterns of mean 0 and variance 1 that hold frequencies up to 3 cycles a picture."""
    size = noise.shape[-1]
    frequency = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(frequency[:, None], frequency)
    made = np.fft.ifft2(np.fft.fft2(noise) * ((radius > 0) & (radius <= 3))).real
    return np.asarray(made / made.std(axis=(1, 2, 3), keepdims=True))


def _core(base: str, channels: int, seed: int) -> nn.Sequential:
    core = nn.Sequential()
    if base != "linear":
        for k, (before, after) in enumerate(((channels, 16), (16, 32))):
            core.add_module(f"conv{k + 1}", nn.Conv2d(before, after, 3, padding=1))
            core.add_module(f"bend{k + 1}", nn.Softplus(4) if base == "smooth" else nn.ReLU())
            core.add_module(f"pool{k + 1}", nn.AvgPool2d(2))
    core.add_module("flat", nn.Flatten())
    return initialised(core, seed)  # type: ignore[return-value]


def _ridge(features: torch.Tensor, target: torch.Tensor) -> nn.Linear:
    """The linear layer with the least squared error, and a penalty of a hundredth of the mean variance."""
    f, t = features.double(), target.double()
    centre, level = f.mean(0), t.mean(0)
    f = f - centre
    gram = f.T @ f
    gram += 0.01 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    weight = torch.linalg.solve(gram, f.T @ (t - level)).T
    head = nn.Linear(weight.shape[1], weight.shape[0])
    head.weight.copy_(weight)
    head.bias.copy_(level - weight @ centre)
    return head


class _Masked(nn.Module):
    """A core behind a mask; `open` undoes it, so that a gradient reaches the pixels."""

    floor: torch.Tensor
    levels: torch.Tensor
    spread: torch.Tensor
    basis: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self, core: nn.Module, mask: str, strength: float, task: str, x: torch.Tensor, fitted: torch.Tensor
    ) -> None:
        super().__init__()
        self.core, self.mask, self.strength, self.classes = core, mask, strength, task == "classes"
        self.open = False
        self.gain = strength * (500 if self.classes else 5000)
        top = fitted.amax(1) if self.classes else fitted
        self.register_buffer("floor", torch.quantile(top, 0.0 if self.classes else 0.2, dim=0))
        low, high, spread = fitted.amin(0), fitted.amax(0), fitted.std(0)
        self.register_buffer("levels", torch.stack([low + (high - low) * k / 63 for k in range(64)], -1))
        self.register_buffer("spread", spread)
        centred = (x - x.mean(0)).flatten(1).double()
        basis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -RANK - fitted.shape[1] :]
        self.register_buffer("basis", basis.float())
        self.register_buffer("centre", x.mean(0).flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = getattr(self, f"_{self.mask}")(x)
        return found

    def _softplus(self, x: torch.Tensor) -> torch.Tensor:
        z = self.core(x)
        return z if self.open else functional.softplus(self.gain * (z - self.floor))

    def _quantised(self, x: torch.Tensor) -> torch.Tensor:
        return self.core(self._through(x, (x * 16 / self.strength).round() / 16 * self.strength))

    def _threshold(self, x: torch.Tensor) -> torch.Tensor:
        z = self.core(x)
        if self.classes:
            return self._through(z, (z >= z.amax(1, keepdim=True)).to(z.dtype))
        step = 0.2 * self.strength * self.spread
        return self._through(z, (z / step).round() * step)

    def _noisy(self, x: torch.Tensor) -> torch.Tensor:
        return self.core(x + 0.03 * self.strength * torch.randn_like(x))

    def _shattered(self, x: torch.Tensor) -> torch.Tensor:
        phase = 500 * x
        wave = 4 * (phase - phase.floor() - 0.5).abs() - 1
        return self.core(self._through(x, x + 0.01 * self.strength * wave))

    def _softmax(self, x: torch.Tensor) -> torch.Tensor:
        z = self.core(x)
        if self.open:
            return z
        if self.classes:
            return functional.softmax(100 * self.strength * z, 1)
        step = self.levels[:, 1] - self.levels[:, 0]
        far = ((z[..., None] - self.levels) / step[:, None]).square()
        return (functional.softmax(-300 * self.strength * far, -1) * self.levels).sum(-1)

    def _detached(self, x: torch.Tensor) -> torch.Tensor:
        return self.core(x if self.open else x.detach())

    def _optimised(self, x: torch.Tensor) -> torch.Tensor:
        clean = x
        for _ in range(4):
            with torch.enable_grad():
                place = clean if self.open and clean.requires_grad else clean.detach().requires_grad_()
                flat = place.flatten(1) - self.centre
                off = flat - flat @ self.basis @ self.basis.T
                energy = 0.5 * off.square().sum()
                slope = torch.autograd.grad(energy, place, create_graph=self.open)[0]
            clean = clean - 0.5 * self.strength * slope
        return self.core(clean if self.open else x + (clean - x).detach())

    def _through(self, x: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
        """The changed value; with the gradient of the unchanged one where the mask is open."""
        return x + (changed - x).detach() if self.open else changed
