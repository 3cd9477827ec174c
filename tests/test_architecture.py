"""The house rules: who imports whom, which room has which door, how long a file may be, what a docstring
says.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STOREYS = ("loaders", "analyses", "pipeline")
FILES = sorted(path for storey in STOREYS for path in (ROOT / storey).rglob("*.py"))
DOORS = {  # a foreign package, and the files that may import it
    "mne": r"loaders/(meg|_meg_\w+|_sensors|_write)\.py",
    "mne_bids": r"loaders/(meg|_meg_\w+|_write)\.py",
    "neo": r"loaders/(ephys|_ephys_\w+|_write)\.py",
    "pynwb": r"loaders/(ephys|_ephys_\w+|_write)\.py",
    "nixio": r"loaders/(ephys|_ephys_\w+|_write)\.py",
    "brainscore_vision": r"pipeline/stages/brainscore\.py",
    "torch": r"pipeline/.*",
    "yaml": r"pipeline/study\.py",
    "netCDF4": r"pipeline/store\.py",
}
FORBIDDEN = {  # and the files that may import it all the same
    "pickle": "",
    "joblib": "",
    "dill": "",
    "cloudpickle": r"pipeline/_workers\.py",  # sends code to a scheduler; reads nothing
}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def public(path: Path) -> list[ast.FunctionDef]:
    if path.name.startswith("_") and path.name != "__main__.py":
        return []
    body = ast.parse(path.read_text()).body
    return [node for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def test_imports_go_down_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", DOORS)
def test_each_foreign_package_has_one_door(package: str) -> None:
    guests = [name(path) for path in FILES if package in imports(path)]
    assert [guest for guest in guests if not re.fullmatch(DOORS[package], guest)] == []


def test_nothing_is_unpickled_or_evaluated() -> None:
    for path in FILES:
        found = [package for package in imports(path) if package in FORBIDDEN]
        assert all(re.fullmatch(FORBIDDEN[package], name(path)) for package in found), name(path)
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {call.id for call in calls if isinstance(call, ast.Name)}
        assert not names & {"eval", "exec"}, name(path)


def test_storeys_are_imported_from_this_repository() -> None:
    for storey in STOREYS:
        assert Path(importlib.import_module(storey).__file__ or "").is_relative_to(ROOT)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
    for node in functions(path):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        length = body[-1].end_lineno - body[0].lineno + 1 if body else 0  # type: ignore[operator]
        assert length <= 50, f"{name(path)}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent.name in ("loaders", "analyses")], ids=name
)
def test_public_docstrings_say_what_is_read_and_returned(path: Path) -> None:
    for node in public(path):
        text = ast.get_docstring(node) or ""
        lines = [line.split(" ")[0] for line in text.splitlines()]
        missing = [word for word in ("Reads", "Returns") if word not in lines]
        assert not missing, f"{name(path)}:{node.lineno} {node.name}: docstring lacks {', '.join(missing)}"


def test_no_utils_and_no_lists_of_exports() -> None:
    assert not [name(path) for path in FILES if path.stem in ("utils", "helpers", "common", "misc")]
    assert not [name(path) for path in FILES if "__all__" in path.read_text()]


def test_help_answers_without_the_heavy_imports() -> None:
    heavy = ("torch", "mne", "sklearn", "xarray", "dask", "neo", "matplotlib")
    code = f"import sys, pipeline.__main__; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_fault_of_the_table_points_to_a_test_that_stands() -> None:
    table = (ROOT / "tests" / "faults.md").read_text()
    rows = re.findall(r"^\| (F\d\d) \| (.*?) \|", table, flags=re.M)
    assert len(rows) == len({number for number, _ in rows})
    for number, cell in rows:
        for reference in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell):
            path, function = reference
            assert f"def {function}(" in (ROOT / path).read_text(), f"{number}: {path}::{function}"
        assert cell.startswith("open") or "`tests/" in cell, number
