"""Models of torchvision and timm by name, where these are installed. The only door to both."""

from __future__ import annotations

from typing import Any

from torch import nn

from loaders.schema import nearest

from ._seeded import apart


def build(name: str, *, weights: str | None = None, seed: int = 0, **numbers: Any) -> nn.Module:
    """A model that others published, by its name in their package.

    Reads    name, such as "torchvision.resnet18" or "timm.resnet18"; weights, what its package calls them,
             such as "DEFAULT" (it fetches them; None: first weights, drawn from `seed`); more arguments of it
    Returns  the module; ValueError where its package is not installed or has no such model
    """
    package, _, model = name.partition(".")
    model = model.removeprefix("models.")
    if package not in ("torchvision", "timm") or not model:
        raise ValueError(f"name: {name!r}; public models are named torchvision.resnet18 or timm.resnet18")
    with apart(seed):
        if package == "timm":
            return _timm(model, weights, numbers)
        return _torchvision(model, weights, numbers)


def _torchvision(model: str, weights: str | None, numbers: dict[str, Any]) -> nn.Module:
    try:
        import torchvision
    except (ImportError, RuntimeError, OSError) as error:
        raise ValueError(_absent("torchvision", error)) from None
    known = torchvision.models.list_models()
    if model not in known:
        raise ValueError(f"name: torchvision has no model {model!r}; {nearest(model, known)}")
    found: nn.Module = torchvision.models.get_model(model, weights=weights, **numbers)
    return found


def _timm(model: str, weights: str | None, numbers: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except (ImportError, RuntimeError, OSError) as error:
        raise ValueError(_absent("timm", error)) from None
    if not timm.is_model(model):
        raise ValueError(f"name: timm has no model {model!r}; {nearest(model, timm.list_models())}")
    tag = model if weights in (None, "DEFAULT") else f"{model}.{weights}"
    found: nn.Module = timm.create_model(tag, pretrained=weights is not None, **numbers)
    return found


def _absent(package: str, error: Exception) -> str:
    line = " ".join(str(error).split())[:120]
    return f"name: {package} cannot be imported here ({line}); install one that fits this torch"
