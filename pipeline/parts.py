"""Dotted names become functions, and the words of a study become their arguments."""

from __future__ import annotations

import collections.abc
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union

from ._code import MACHINERY, PACKAGES

NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+")

Problem = tuple[tuple[str | int, ...], str]  # where in the arguments, and why

_allowed: dict[str, types.ModuleType] = {}
UNIT = re.compile(r"\{\w+\}")  # the name of a unit, which may be a number


def allow(path: str | Path) -> None:
    """Makes the functions of one file of Python known as `<stem>.<function>`; the file is run, so trust it.

    Reads    a path to a .py file
    Returns  nothing; ValueError when its name is taken or it fails, OSError when it cannot be read
    """
    path = Path(path).resolve()
    stem = path.stem
    if path.suffix != ".py" or not stem.isidentifier():
        raise ValueError(f"{path}: is not named like a module; call it name.py")
    loaded = sys.modules.get(stem)
    taken = loaded is not None and getattr(loaded, "__file__", None) != str(path)
    if taken or stem in PACKAGES or stem in sys.stdlib_module_names:
        raise ValueError(f"{path}: the name {stem!r} is taken; rename the file")
    spec = importlib.util.spec_from_file_location(stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[stem] = module
    try:
        spec.loader.exec_module(module)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: cannot be imported: {type(error).__name__}: {_line(error)}") from error
    _allowed[stem] = module


def allowed() -> dict[str, Path]:
    """The files of code that were allowed, by name."""
    return {stem: Path(str(module.__file__)) for stem, module in _allowed.items()}


def allowed_modules() -> list[types.ModuleType]:
    """The modules of allowed code."""
    return list(_allowed.values())


def find(name: str) -> Callable[..., Any]:
    """The public function of that dotted name, inside our packages or an allowed file.

    Reads    a name such as "analyses.decoding.time_resolved"
    Returns  the function; ValueError with the nearest right name when there is none
    >>> find("loaders.schema.chek")
    Traceback (most recent call last):
    ...
    ValueError: loaders.schema has no function 'chek'; did you mean 'check'?
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the dotted name of a function, such as loaders.meg.epochs")
    if name.split(".")[0] not in (*PACKAGES, *_allowed):
        top = name.split(".")[0]
        raise ValueError(f"{top!r} is no package of functions; {nearest(top, (*PACKAGES, *_allowed))}")
    module = _module(name.rpartition(".")[0])
    functions = _functions(module)
    word = name.rpartition(".")[2]
    if word not in functions:
        raise ValueError(f"{module.__name__} has no function {word!r}; {nearest(word, functions)}")
    return functions[word]


def problems(
    use: str, arguments: Mapping[str, Any], inputs: Collection[str] = (), partial: bool = False
) -> Iterator[Problem]:
    """What is wrong with calling `use` with plain arguments and with Datasets for `inputs`.

    Reads    arguments as a study gives them, `{use, with}` nested anywhere; a partial may leave some open
    Returns  pairs of a place in the arguments and one line
    >>> list(problems("loaders.schema.check", {"datset": 1}, ["dataset"]))
    [(('datset',), "loaders.schema.check has no argument 'datset'; did you mean 'dataset'?")]
    """
    try:
        function = find(use)
    except ValueError as error:
        yield (), str(error)
        return
    parameters = inspect.signature(function).parameters
    hints = _hints(function)
    open_ended = any(item.kind is item.VAR_KEYWORD for item in parameters.values())
    known = [
        name for name, item in parameters.items() if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
    ]
    for name in (*arguments, *inputs):
        if name not in known and not open_ended:
            hint = nearest(name, known) if known else "it takes none"
            yield (name,), f"{use} has no argument {name!r}; {hint}"
    for name in known:
        missing = name not in arguments and name not in inputs
        if missing and parameters[name].default is inspect.Parameter.empty and not partial:
            where = "from" if _wants_dataset(hints.get(name)) else "with"
            yield (), f"{use} needs {name!r}; give it in '{where}'"
    for name, value in arguments.items():
        yield from _nested(value, (name,))
        if name in known and name in hints and not fits(value, hints[name]):
            yield (name,), f"{use} wants {_words(hints[name])} for {name!r}, not {_told(value)}"
    for name in inputs:
        if name in known and name in hints and not _may_be_dataset(hints[name]):
            yield (name,), f"{use} wants {_words(hints[name])} for {name!r}, not a result"


def call(use: str, arguments: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """What the function returns for plain arguments and inputs; nested `{use, with}` arrive as partials."""
    function = find(use)
    return function(**_built(function, arguments), **inputs)


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value from a study suits an annotation, as far as that is cheap to say.

    >>> fits(5, float), fits(True, int), fits([1, 2], tuple[int, int]), fits("a", Literal["a", "b"])
    (True, False, True, True)
    """
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(fits(value, item) for item in typing.get_args(annotation))
    if origin is Literal:
        return any(value == item and type(value) is type(item) for item in typing.get_args(annotation))
    if _is_use(value):
        return annotation not in (bool, int, float, str, Path, type(None)) and origin not in (tuple, list)
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole or (isinstance(value, str) and UNIT.fullmatch(value) is not None)
    if annotation in (str, Path):
        return isinstance(value, str)
    if annotation in (bool, type(None)):
        return isinstance(value, annotation)
    if (origin or annotation) in (tuple, list, collections.abc.Sequence):
        return isinstance(value, list | tuple) and _items_fit(value, annotation)
    if (origin or annotation) in (dict, collections.abc.Mapping):
        return isinstance(value, dict)
    return not (_wants_dataset(annotation) or (origin or annotation) is collections.abc.Callable)


def _items_fit(values: list[Any] | tuple[Any, ...], annotation: Any) -> bool:
    kinds = typing.get_args(annotation)
    if not kinds:
        return True
    if typing.get_origin(annotation) is tuple and kinds[-1] is not Ellipsis:
        return len(values) == len(kinds) and all(map(fits, values, kinds))
    return all(fits(value, kinds[0]) for value in values)


def _module(name: str) -> types.ModuleType:
    top, *rest = name.split(".")
    if top in _allowed:
        if rest:
            raise ValueError(f"{name!r} is not a module; name a function as {top}.function")
        return _allowed[top]
    module, so_far = importlib.import_module(top), top
    for word in rest:
        known = [item.name for item in pkgutil.iter_modules(getattr(module, "__path__", ()))]
        known = [
            item for item in known if item[0] != "_" and not (so_far == "pipeline" and item in MACHINERY)
        ]
        if word not in known:
            hint = nearest(word, known) if known else f"{so_far} has no modules"
            raise ValueError(f"{so_far} has no module {word!r}; {hint}")
        so_far = f"{so_far}.{word}"
        try:
            module = importlib.import_module(so_far)
        except Exception as error:
            raise ValueError(
                f"{so_far} cannot be imported: {type(error).__name__}: {_line(error)}"
            ) from error
    return module


def _functions(module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        name: item
        for name, item in vars(module).items()
        if name[0] != "_" and inspect.isfunction(inspect.unwrap(item) if callable(item) else item)
        if item.__module__ == module.__name__
    }


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function))
    except Exception:  # an annotation that only a type checker can resolve is not checked here
        return {}


def _nested(value: Any, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if _is_use(value):
        unknown = set(value) - {"use", "with"}
        if unknown:
            yield (*place, min(unknown)), f"{min(unknown)!r} stands beside use; a part is {{use, with}}"
        elif not isinstance(value["use"], str) or not isinstance(value.get("with", {}), dict):
            yield place, "a part is {use: dotted name, with: {argument: value}}"
        else:
            for inner, why in problems(value["use"], value.get("with", {}), partial=True):
                yield (*place, *(("with", *inner) if inner else ("use",))), why
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _nested(item, (*place, key))


def _is_use(value: Any) -> bool:
    return isinstance(value, dict) and "use" in value


def _built(function: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    hints = _hints(function)
    return {
        name: _whole(name, value) if hints.get(name) is int else _value(value, hints.get(name))
        for name, value in arguments.items()
    }


def _whole(name: str, value: Any) -> Any:
    """A unit's name where a whole number is wanted."""
    if isinstance(value, str) and not value.isdecimal():
        raise ValueError(f"{name}: {value!r}; wanted a whole number, so name the units 0, 1, ...")
    return int(value) if isinstance(value, str) else value


def _value(value: Any, annotation: Any) -> Any:
    if _is_use(value):
        function = find(value["use"])
        return functools.partial(function, **_built(function, value.get("with", {})))
    if isinstance(value, list):
        kinds = (
            typing.get_args(annotation) if typing.get_origin(annotation) in (Union, types.UnionType) else ()
        )
        origins = {typing.get_origin(kind) or kind for kind in (*kinds, annotation)}
        made = [_value(item, None) for item in value]
        return tuple(made) if tuple in origins and list not in origins else made
    if isinstance(value, dict):
        return {key: _value(item, None) for key, item in value.items()}
    return value


def _wants_dataset(annotation: Any) -> bool:
    return getattr(annotation, "__name__", "") in ("Dataset", "DataArray") or any(
        map(_wants_dataset, typing.get_args(annotation))
    )


def _may_be_dataset(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(map(_may_be_dataset, typing.get_args(annotation)))
    if origin is Literal:
        return False
    return (origin or annotation) not in (bool, int, float, str, Path, tuple, list, dict, type(None))


_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path",
    type(None): "null", tuple: "a list", list: "a list", dict: "a mapping",
    collections.abc.Sequence: "a list", collections.abc.Mapping: "a mapping",
    collections.abc.Callable: "a function {use, with}",
}  # fmt: skip


def _words(annotation: Any) -> str:
    origin, kinds = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(kind) for kind in kinds))
    if origin is Literal:
        return " or ".join(map(repr, kinds))
    if origin is tuple and kinds[-1] is not Ellipsis:
        return f"a list of {len(kinds)} ({', '.join(_words(kind) for kind in kinds)})"
    if origin in (tuple, list) and kinds:
        return f"a list (each {_words(kinds[0])})"
    if _wants_dataset(annotation):
        return "a result (give it in 'from')"
    return _WORDS.get(origin or annotation, str(annotation))


def _told(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, int | float):
        return f"{value:.12g}" if abs(value) < 1e300 else "that number"
    return f"a list of {len(value)}" if isinstance(value, list) else "a mapping"


def nearest(word: str, known: Collection[str]) -> str:
    from loaders.schema import nearest  # late: it brings xarray, which a sound study need not wait for

    return nearest(word, known)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
