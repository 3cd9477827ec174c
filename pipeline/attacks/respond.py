"""Numbers to raise on responses: of one neuroid, of many at once, of the population, or of what is read out.

The network gives responses (image, neuroid). A neuroid may differ from example to example, so all pairs of
neuroid and picture are one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from . import classify
from ._rows import Value

Sites = Tensor | Sequence[int] | int
Numbers = Tensor | Sequence[float] | float


def drive(module: nn.Module, x: Tensor, *, neuroid: Sites, scale: Numbers = 1.0) -> Value:
    """The response of a neuroid.

    Reads    module, pictures → responses (image, neuroid); x, the clean pictures; neuroid, one or one for
             each picture; scale, what a response is divided by, such as its SD over images: one number, or
             one for each neuroid of the module
    Returns  value(x, rows=None), one number for each picture
    Source   Bashivan, Kar and DiCarlo 2019, doi 10.1126/science.aav9436
    """
    return _signed(module, x, neuroid, scale, 1)


def suppress(module: nn.Module, x: Tensor, *, neuroid: Sites, scale: Numbers = 1.0) -> Value:
    """Minus the response of a neuroid.

    Reads    as `drive`
    Returns  value(x, rows=None)
    """
    return _signed(module, x, neuroid, scale, -1)


def displace(module: nn.Module, x: Tensor, *, neuroid: Sites, scale: Numbers = 1.0) -> Value:
    """The absolute change of a neuroid's response.

    It has a minimum at the clean picture, so a search tries both signs apart and keeps the larger.

    Reads    as `drive`
    Returns  value(x, rows=None), 0 for the clean pictures
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    place, spread = _sites(module, x, neuroid, scale)
    clean = _responses(module, x, place)

    def number(outputs: Tensor, rows: Tensor) -> Tensor:
        return (_picked(outputs, place[rows]) - clean[rows]).abs() / spread[rows]

    both = (drive(module, x, neuroid=place, scale=scale), suppress(module, x, neuroid=place, scale=scale))
    return Value(module, number, sides=both)


def push(module: nn.Module, x: Tensor, *, neuroid: Sites, level: Numbers, scale: Numbers = 1.0) -> Value:
    """How far the response of a neuroid lies above a level, such as its mean for the category it prefers.

    Reads    as `drive`; level, one number, or one for each neuroid of the module
    Returns  value(x, rows=None); an example is broken above 0
    Source   Guo et al. 2022, arXiv 2206.11228
    """
    place, spread = _sites(module, x, neuroid, scale)
    wanted = _each(level, place, x, "level")

    def number(outputs: Tensor, rows: Tensor) -> Tensor:
        return (_picked(outputs, place[rows]) - wanted[rows]) / spread[rows]

    return Value(module, number, lambda outputs, rows: number(outputs, rows) > 0)


def population(
    module: nn.Module, x: Tensor, *, noise: Tensor | Sequence[Sequence[float]] | None = None,
    scale: Numbers = 1.0,
) -> Value:  # fmt: skip
    """How far all responses together move: ‖Δr / scale‖, or d' = √(Δrᵀ Σ⁻¹ Δr) where the noise is told.

    Its gradient is 0 at the clean picture, so a search must start beside it, as PGD does by default.

    Reads    as `drive`; noise, covariance Σ (neuroid, neuroid) of the responses to one picture
    Returns  value(x, rows=None), 0 for the clean pictures
    Source   Averbeck, Latham and Pouget 2006, doi 10.1038/nrn1888
    """
    with torch.no_grad():
        clean = _checked(module(x), len(x))
    many = clean.shape[1]
    if noise is None:
        spread = _each(scale, torch.arange(many, device=x.device), x, "scale")
        return Value(
            module, lambda outputs, rows: torch.linalg.vector_norm((outputs - clean[rows]) / spread, dim=1)
        )
    whiten = _root(torch.as_tensor(noise, dtype=torch.float64), many).to(clean)

    def number(outputs: Tensor, rows: Tensor) -> Tensor:
        return torch.linalg.vector_norm((outputs - clean[rows]) @ whiten.mT, dim=1)

    return Value(module, number)


def decoder(
    module: nn.Module, x: Tensor, *, weight: Tensor | Sequence[Sequence[float]],
    bias: Tensor | Sequence[float] | None = None, label: classify.Classes = None,
    target: classify.Classes = None,
) -> Value:  # fmt: skip
    """The margin of a linear decoder that reads classes out of the responses.

    Reads    module and x as `drive`; weight (class, neuroid) and bias (class,) of the decoder; label (None:
             what it says of the clean picture) or target
    Returns  value(x, rows=None), above 0 where the decoder errs, or says the target
    """
    read = Readout(module, weight, bias)
    return classify.margin(read.train(module.training), x, label=label, target=target)


def pairs(x: Tensor, neuroids: Sites) -> tuple[Tensor, Tensor]:
    """All pairs of neuroid and picture as one batch, one neuroid after another.

    Reads    x (image, channel, y, x); neuroids, their indices
    Returns  pictures (neuroid x image, channel, y, x), and the neuroid of each
    """
    every = torch.as_tensor(neuroids, device=x.device).reshape(-1)
    return x.repeat(len(every), *(1,) * (x.ndim - 1)), every.repeat_interleave(len(x))


def gradients(
    core: Callable[[Tensor], Tensor], weight: Tensor, x: Tensor, *, tolerance: float = 1e-6
) -> Tensor:
    """The gradient of every neuroid's response that a linear map reads out of features, by the map's rank.

    The map is split into as many directions as it has; one backward pass for each, all after one forward
    pass, and their mixtures are the neuroids' gradients.

    Reads    core, pictures → features, flattened to (image, feature); weight (neuroid, feature); tolerance,
             singular values below this part of the largest are 0
    Returns  gradient (neuroid, image, channel, y, x)
    """
    mix, directions = factors(weight, tolerance)
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        latent = core(leaf).flatten(1) @ directions.mT
        slopes = [
            torch.autograd.grad(latent[:, k].sum(), leaf, retain_graph=k + 1 < latent.shape[1])[0]
            for k in range(latent.shape[1])
        ]
    return torch.tensordot(mix, torch.stack(slopes), dims=1)


def factors(weight: Tensor, tolerance: float = 1e-6) -> tuple[Tensor, Tensor]:
    """A map as mix (neuroid, component) times directions (component, feature), by its singular values."""
    left, length, right = torch.linalg.svd(weight.detach(), full_matrices=False)
    kept = max(1, int((length > tolerance * length[:1]).sum()))
    return left[:, :kept] * length[:kept], right[:kept]


class Readout(nn.Module):
    """A linear decoder on top of a network."""

    def __init__(
        self, module: nn.Module, weight: Numbers | Sequence[Sequence[float]], bias: Numbers | None
    ) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("weight", torch.as_tensor(weight))
        self.register_buffer("bias", None if bias is None else torch.as_tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        response = self.module(x)
        weight = self.get_buffer("weight").to(response)
        bias = None if self.bias is None else self.get_buffer("bias").to(response)
        return nn.functional.linear(response, weight, bias)


def _signed(module: nn.Module, x: Tensor, neuroid: Sites, scale: Numbers, sign: int) -> Value:
    place, spread = _sites(module, x, neuroid, scale)
    return Value(module, lambda outputs, rows: sign * _picked(outputs, place[rows]) / spread[rows])


def _picked(outputs: Tensor, place: Tensor) -> Tensor:
    return outputs.gather(1, place[:, None])[:, 0]


def _sites(module: nn.Module, x: Tensor, neuroid: Sites, scale: Numbers) -> tuple[Tensor, Tensor]:
    """The neuroid of every picture, and its scale."""
    found = torch.as_tensor(neuroid, device=x.device)
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise ValueError(f"neuroid: is of type {found.dtype}; wanted whole numbers, one for each picture")
    if found.ndim > 1 or (found.ndim == 1 and len(found) != len(x)):
        raise ValueError(
            f"neuroid: has shape {tuple(found.shape)} for {len(x)} pictures; wanted one for each"
        )
    found = found.long().expand(len(x))
    if len(x):
        with torch.no_grad():
            many = _checked(module(x[:1]), 1).shape[1]
        bad = torch.nonzero((found < 0) | (found >= many)).flatten().tolist()
        if bad:
            told = f"is {int(found[bad[0]])} at picture {bad[0]}, and the model has {many}"
            raise ValueError(f"neuroid: {told}; wanted 0 to {many - 1}")
    spread = _each(scale, found, x, "scale")
    if not bool((spread > 0).all()):
        raise ValueError("scale: is not above 0; leave out neuroids whose response never changes")
    return found, spread


def _each(given: Numbers, place: Tensor, x: Tensor, name: str) -> Tensor:
    """One number for each place: the same, or that of its neuroid."""
    found = torch.as_tensor(given, dtype=x.dtype, device=x.device)
    if not bool(torch.isfinite(found).all()):
        raise ValueError(f"{name}: is not a number somewhere; leave out neuroids without one")
    if found.ndim == 0:
        return found.expand(len(place))
    if found.ndim > 1 or (len(place) and len(found) <= int(place.max())):
        raise ValueError(
            f"{name}: has shape {tuple(found.shape)}; wanted one number, or one for each neuroid"
        )
    return found[place]


def _checked(outputs: Tensor, count: int) -> Tensor:
    if outputs.ndim != 2 or len(outputs) != count:
        raise ValueError(f"model: gives outputs of shape {tuple(outputs.shape)}; wanted (image, neuroid)")
    return outputs


def _responses(module: nn.Module, x: Tensor, place: Tensor) -> Tensor:
    """The clean responses; a picture that stands in many rows passes once."""
    known: dict[bytes, int] = {}
    keys = [picture.numpy().tobytes() for picture in x.detach().cpu()]
    row = [known.setdefault(key, len(known)) for key in keys]
    first = [row.index(k) for k in range(len(known))]
    with torch.no_grad():
        outputs = module(x[first])
    return outputs[torch.tensor(row, device=x.device, dtype=torch.long), place]


def _root(noise: Tensor, many: int) -> Tensor:
    """The inverse of the Cholesky root of a covariance."""
    if noise.shape != (many, many):
        raise ValueError(
            f"noise: has shape {tuple(noise.shape)}; wanted ({many}, {many}), neuroid by neuroid"
        )
    root, failed = torch.linalg.cholesky_ex(noise)
    if int(failed) or not bool(torch.isfinite(root).all()):
        raise ValueError("noise: is no covariance of full rank; shrink it towards its diagonal first")
    return torch.linalg.inv(root)
