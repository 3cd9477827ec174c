"""Numbers to raise on a classifier's outputs: an example is broken once its class is lost, or the target won.

Each is untargeted for `label` (None: the class that the clean picture is given), and targeted for `target`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ._rows import Value

Classes = Tensor | list[int] | int | None


def cross_entropy(module: nn.Module, x: Tensor, *, label: Classes = None, target: Classes = None) -> Value:
    """The cross-entropy of the label, or minus that of the target.

    Reads    module, pictures → logits (image, class); x, the clean pictures; label or target, a class each
    Returns  value(x, rows=None), one number for each picture
    Source   Goodfellow, Shlens and Szegedy 2015, arXiv 1412.6572
    """
    sign, held = _asked(module, x, label, target)

    def number(outputs: Tensor, rows: Tensor) -> Tensor:
        return sign * functional.cross_entropy(outputs, held[rows], reduction="none")

    return Value(module, number, _broken(sign, held))


def margin(module: nn.Module, x: Tensor, *, label: Classes = None, target: Classes = None) -> Value:
    """The best other class's logit minus the label's; or the target's minus the best other's.

    Reads    as `cross_entropy`
    Returns  value(x, rows=None), above 0 where the label is lost or the target won
    Source   Carlini and Wagner 2017, doi 10.1109/SP.2017.49
    """
    sign, held = _asked(module, x, label, target)
    return Value(module, lambda z, rows: _margin(z, held[rows], sign), _broken(sign, held))


def dlr(module: nn.Module, x: Tensor, *, label: Classes = None, target: Classes = None) -> Value:
    """The difference of logits ratio: a margin that neither shift nor scale of the logits changes.

    Reads    as `cross_entropy`; a network of three classes or more (of four, for a target)
    Returns  value(x, rows=None); untargeted, it is above 0 where the label is lost
    Source   Croce and Hein 2020, arXiv 2003.01690, equations 6 and 7
    """
    sign, held = _asked(module, x, label, target, fewest=3 if target is None else 4)
    against = None if target is None else _classes(module, x, label, "label", 4)

    def number(outputs: Tensor, rows: Tensor) -> Tensor:
        ranked = outputs.sort(dim=1, descending=True).values
        if against is None:
            return _margin(outputs, held[rows], 1) / (ranked[:, 0] - ranked[:, 2]).clamp_min(1e-12)
        spread = ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2
        lead = _picked(outputs, held[rows]) - _picked(outputs, against[rows])
        return lead / spread.clamp_min(1e-12)

    return Value(module, number, _broken(sign, held))


def squared_error(module: nn.Module, x: Tensor, *, label: Classes = None, target: Classes = None) -> Value:
    """The squared error of the probabilities against the label's one, or minus that against the target's.

    Reads    as `cross_entropy`
    Returns  value(x, rows=None), from 0 to 2, or from -2 to 0
    Source   Brier 1950, doi 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    sign, held = _asked(module, x, label, target)

    def number(outputs: Tensor, rows: Tensor) -> Tensor:
        wanted = functional.one_hot(held[rows], outputs.shape[1])
        return sign * (outputs.softmax(1) - wanted).square().sum(1)

    return Value(module, number, _broken(sign, held))


def _picked(outputs: Tensor, classes: Tensor) -> Tensor:
    return outputs.gather(1, classes[:, None])[:, 0]


def _margin(outputs: Tensor, classes: Tensor, sign: int) -> Tensor:
    others = outputs.scatter(1, classes[:, None], -torch.inf).amax(1)
    return sign * (others - _picked(outputs, classes))


def _broken(sign: int, classes: Tensor) -> Any:
    return lambda outputs, rows: _margin(outputs, classes[rows], sign) > 0


def _asked(
    module: nn.Module, x: Tensor, label: Classes, target: Classes, fewest: int = 2
) -> tuple[int, Tensor]:
    """1 and the labels, or -1 and the targets."""
    if target is not None:
        return -1, _classes(module, x, target, "target", fewest)
    return 1, _classes(module, x, label, "label", fewest)


def _classes(module: nn.Module, x: Tensor, given: Classes, name: str, fewest: int) -> Tensor:
    """A class for each picture, known to the network."""
    if not len(x):
        return torch.zeros(0, dtype=torch.long, device=x.device)
    with torch.no_grad():
        outputs = module(x if given is None else x[:1])
    if outputs.ndim != 2 or outputs.shape[1] < fewest:
        shape = tuple(outputs.shape[1:])
        raise ValueError(
            f"model: gives outputs of shape {shape} a picture; wanted ({fewest},) logits or more"
        )
    if given is None:
        return outputs.argmax(1)
    found = torch.as_tensor(given, device=x.device)
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise ValueError(
            f"{name}: is of type {found.dtype}; wanted whole numbers, one class for each picture"
        )
    if found.ndim > 1 or (found.ndim == 1 and len(found) != len(x)):
        raise ValueError(f"{name}: has shape {tuple(found.shape)} for {len(x)} pictures; wanted one for each")
    found = found.long().expand(len(x))
    bad = torch.nonzero((found < 0) | (found >= outputs.shape[1])).flatten().tolist()
    if bad:
        told = f"is {int(found[bad[0]])} at picture {bad[0]}, and the model has {outputs.shape[1]} classes"
        raise ValueError(f"{name}: {told}; wanted 0 to {outputs.shape[1] - 1}")
    return found
