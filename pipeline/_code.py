"""Which code makes a result: read from the source, without importing it."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("loaders", "analyses", "pipeline")
MACHINERY = (
    "parts",
    "study",
    "store",
    "run",
    "lock",
    "report",
    "notebook",
)  # modules of pipeline that run studies: no study names them
ALWAYS = ("numpy", "xarray", "netCDF4")  # every result passes through them


class _Source(NamedTuple):
    digest: str  # of the code without comments, docstrings and pictures
    ours: tuple[str, ...]  # modules of ours that it imports, also inside functions
    foreign: tuple[str, ...]  # packages of others


def digest(module: str, files: Mapping[str, Path]) -> str:
    """One digest of a module of ours and of every module of ours that it comes to import.

    Reads    the dotted name of a module; files, names of allowed files of code
    Returns  64 hexadecimal digits that comments, docstrings, layout and how to plot do not change
    """
    found = _closure(module, files)
    text = "\n".join(f"{name} {found[name].digest}" for name in sorted(found))
    return hashlib.sha256(text.encode()).hexdigest()


def versions(module: str, files: Mapping[str, Path]) -> dict[str, str]:
    """The versions of Python and of every foreign package that a module of ours comes to import."""
    found = {name for source in _closure(module, files).values() for name in source.foreign}
    known = {name: _version(name) for name in sorted(found | set(ALWAYS))}
    python = ".".join(map(str, sys.version_info[:2]))
    return {"python": python} | {name: version for name, version in known.items() if version}


def catalogue() -> Iterator[tuple[str, str]]:
    """Every public function that a study may name, with the first line of its docstring.

    >>> dict(catalogue())["loaders.schema.check"]
    "The Dataset itself, once it is known to speak the house's language."
    """
    machinery = {f"pipeline.{name}" for name in MACHINERY}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts)
            if any(part[0] == "_" for part in parts) or name in machinery:
                continue
            for item in _tree(path).body:
                if isinstance(item, ast.FunctionDef) and item.name[0] != "_" and item.name != "plot":
                    yield f"{name}.{item.name}", (ast.get_docstring(item) or "").partition("\n")[0]


def _closure(module: str, files: Mapping[str, Path]) -> dict[str, _Source]:
    found: dict[str, _Source] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _path(name, files)
        if name in found or path is None:
            continue
        stat = path.stat()
        found[name] = _source(path, name, (stat.st_mtime_ns, stat.st_size, stat.st_ino))
        waiting += [name.rpartition(".")[0], *found[name].ours]
    if not found:
        raise ValueError(f"{module!r} has no source to read")
    return found


def _path(module: str, files: Mapping[str, Path]) -> Path | None:
    if module in files:
        return files[module]
    if module.split(".")[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.lru_cache(maxsize=1024)
def _source(path: Path, name: str, signature: tuple[int, int, int]) -> _Source:
    tree = _tree(path)
    tree.body = [item for item in tree.body if not _draws(item)]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported = set(_imports(tree, package))
    ours = sorted(item for item in imported if item.split(".")[0] in PACKAGES)
    tops = {item.split(".")[0] for item in imported} - {*PACKAGES, "matplotlib"} - sys.stdlib_module_names
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    code = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return _Source(code, tuple(ours), tuple(sorted(tops)))


def _draws(item: ast.stmt) -> bool:
    return isinstance(item, ast.FunctionDef) and item.name.lstrip("_").startswith(("plot", "draw"))


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise ValueError(f"{path}:{error.lineno}:{error.offset}: {error.msg}; mend the code") from error


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                yield item.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            yield base
            for item in node.names:  # a name may be a module or what stands in one: both are tried
                yield f"{base}.{item.name}"


@functools.cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        owners = _owners().get(package, [])
        return importlib.metadata.version(owners[0]) if owners else ""


@functools.cache
def _owners() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
