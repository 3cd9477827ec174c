"""Functions as data, {use, with}, and models built from such data again."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import nn

from pipeline import parts

MODELS = "pipeline.models."
PUBLIC = ("name", "seed", "num_classes")  # what data may say of a model of another package


def described(value: Any) -> Any:
    """Functions and partials as {use, with}, however deep, and all else as JSON has it.

    >>> described(functools.partial(described, value=described))["with"]["value"]["use"]
    'pipeline.stages._named.described'
    """
    if isinstance(value, functools.partial):
        told = dict(value.keywords)
        if value.args:
            told |= inspect.signature(value.func).bind_partial(*value.args, **value.keywords).arguments
        return {"use": _path(value.func), "with": described(told)}
    if isinstance(value, nn.Module):
        return {"use": _path(type(value))}
    if isinstance(value, Mapping):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if callable(value):
        return {"use": _path(value)}
    return value if isinstance(value, str | int | float | None) else str(value)


def named(model: Callable[..., Any] | str) -> str:
    """A model in words that `rebuilt` reads, where it is one of ours."""
    if isinstance(model, str):
        return json.dumps({"use": model})
    told = described(model)
    return json.dumps(told if isinstance(model, nn.Module) else {"with": {}, **told}, sort_keys=True)


def found(name: str) -> Callable[..., Any]:
    """The function of that dotted name; ValueError with the nearest right one."""
    try:
        return parts.find(name)
    except ValueError as error:
        raise ValueError(f"model: {error}") from None


def rebuilt(text: Any) -> Callable[..., Any]:
    """What builds the model that a Dataset says it is; data name functions of pipeline.models and no others.

    Reads    the attribute "model" of trained weights
    Returns  a function without arguments; ValueError when it is another name, or no such text
    """
    try:
        told = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("use"), str):
        raise ValueError("weights: do not say of which model they are; give model")
    _check(told)
    return functools.partial(parts.call, told["use"], told.get("with", {}), {})


def _check(told: Any) -> None:
    """Every use, however deep, is below pipeline.models, and has arguments that it takes."""
    if isinstance(told, list):
        for item in told:
            _check(item)
    if not isinstance(told, dict):
        return
    if "use" in told:
        use, arguments = told["use"], told.get("with", {})
        if not isinstance(use, str) or not use.startswith(MODELS) or not isinstance(arguments, dict):
            why = f"name {str(use)[:80]!r} as their model, which is not below {MODELS[:-1]}"
            raise ValueError(f"weights: {why}; give model, if you trust it")
        more = [name for name in arguments if name not in PUBLIC]
        if more and use.startswith(f"{MODELS}public."):
            why = f"give {more[0]!r} to a model of another package"
            raise ValueError(f"weights: {why}; give model, if you trust it")
        wrong = next(parts.problems(use, arguments, partial=True), None)
        if wrong is not None:
            raise ValueError(f"weights: their model cannot be built: {wrong[1]}; give model")
    for item in told.values():
        _check(item)


def _path(function: Any) -> str:
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}"
