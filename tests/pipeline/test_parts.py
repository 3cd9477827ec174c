from __future__ import annotations

import functools
from pathlib import Path

import pytest

from pipeline import _code, parts

HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def _trusted() -> None:
    parts.allow(HERE / "made_up.py")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("loaders.schema.chek", "loaders.schema has no function 'chek'; did you mean 'check'?"),
        ("loaders.schma.check", "loaders has no module 'schma'; did you mean 'schema'?"),
        ("loader.schema.check", "'loader' is no package of functions; did you mean 'loaders'?"),
        ("loaders.schema.check.deeper", "loaders.schema has no module 'check'"),
        ("os.system", "'os' is no package of functions"),
        ("builtins.eval", "'builtins' is no package of functions"),
        ("loaders._child.call", "is not the dotted name"),
        ("loaders.schema.np.load", "loaders.schema has no module 'np'"),
        ("loaders.schema.get_close_matches", "has no function 'get_close_matches'"),
        ("pipeline.store.write", "pipeline has no module 'store'"),
        ("pipeline.run.run", "pipeline has no module 'run'"),
        ("check", "is not the dotted name"),
        ("", "is not the dotted name"),
        ("made_up.mea", "made_up has no function 'mea'; did you mean 'mean'?"),
        ("made_up.mean.deeper", "'made_up.mean' is not a module"),
    ],
)
def test_a_name_that_is_no_function_is_told_with_the_nearest(name: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        parts.find(name)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_right_name_is_its_function() -> None:
    from loaders import schema

    assert parts.find("loaders.schema.check") is schema.check


def test_a_module_that_fails_on_import_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_package_at_all\n")
    with pytest.raises(ValueError, match="cannot be imported: ModuleNotFoundError") as caught:
        parts.allow(tmp_path / "broken.py")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["os.py", "loaders.py", "yaml.py", "not-a-name.py", "text.txt"])
def test_allowed_code_never_takes_a_name_that_is_taken(name: str, tmp_path: Path) -> None:
    import yaml  # noqa: F401  taken

    (tmp_path / name).write_text("raise SystemExit")
    with pytest.raises(ValueError, match=r"taken|not named like a module"):
        parts.allow(tmp_path / name)


@pytest.mark.parametrize(
    ("use", "given", "inputs", "why"),
    [
        ("made_up.recording", {"path": "a", "gian": 1}, [], "has no argument 'gian'; did you mean 'gain'?"),
        ("made_up.recording", {}, [], "needs 'path'; give it in 'with'"),
        ("made_up.mean", {}, [], "needs 'recording'; give it in 'from'"),
        ("made_up.mean", {"recording": 3}, [], "wants a result (give it in 'from') for 'recording', not 3"),
        (
            "made_up.recording",
            {"path": "a", "gain": "on"},
            [],
            "wants a number for 'gain', not the text 'on'",
        ),
        ("made_up.recording", {"path": "a", "gain": True}, [], "wants a number for 'gain', not true"),
        ("made_up.recording", {"path": 3}, [], "wants text for 'path', not 3"),
        ("made_up.recording", {}, ["path"], "wants text for 'path', not a result"),
        (
            "made_up.mean",
            {"spread": "se"},
            ["recording"],
            "wants 'none' or 'sd' for 'spread', not the text 'se'",
        ),
        ("made_up.lazy", {"parts": 1.5}, ["recording"], "wants a whole number for 'parts', not 1.5"),
        ("made_up.takes", {"numbers": [1]}, ["model"], "a list of 2"),
        ("made_up.takes", {"numbers": [1, "a"]}, ["model"], "a list of 2"),
        ("made_up.takes", {"flag": 1}, ["model"], "wants true or false for 'flag', not 1"),
        ("made_up.takes", {"model": {"use": "made_up.prt"}}, [], "did you mean 'part'?"),
        (
            "made_up.takes",
            {"model": {"use": "made_up.part", "with": {"dept": 1}}},
            [],
            "did you mean 'depth'?",
        ),
        ("made_up.takes", {"model": {"use": "made_up.part", "wth": {}}}, [], "'wth' stands beside use"),
        ("made_up.takes", {"model": {"use": 3}}, [], "a part is {use: dotted name"),
    ],
)
def test_a_call_that_cannot_be_bound_is_told(use: str, given: dict, inputs: list[str], why: str) -> None:
    told = [text for _, text in parts.problems(use, given, inputs)]
    assert len(told) == 1
    assert why in told[0]


@pytest.mark.parametrize(
    ("use", "given", "inputs"),
    [
        ("made_up.recording", {"path": "a", "gain": 2}, ["manifest"]),
        ("made_up.recording", {"path": "a"}, []),
        ("made_up.mean", {"spread": "sd"}, ["recording"]),
        ("made_up.takes", {"model": {"use": "made_up.part"}, "numbers": [1, 2], "flag": False}, []),
        (
            "made_up.takes",
            {"model": [{"use": "made_up.part", "with": {"inner": {"use": "made_up.part"}}}]},
            [],
        ),
    ],
)
def test_a_call_that_can_be_bound_is_left_alone(use: str, given: dict, inputs: list[str]) -> None:
    assert list(parts.problems(use, given, inputs)) == []


def test_nested_parts_arrive_as_partials_and_lists_as_the_tuples_that_are_wanted() -> None:
    model = {"use": "made_up.part", "with": {"depth": 5, "inner": {"use": "made_up.part"}}}
    made = parts.call("made_up.takes", {"model": model, "numbers": [3, 4]}, {})
    assert made["level"].values == [3.0 * 5 + 7]
    assert made.attrs["kind"] == "tuple"
    built = parts._value(model, None)
    assert isinstance(built.keywords["inner"], functools.partial)


SOURCE = '''"""Doc."""
import numpy as np
from loaders import schema

def f(a: int = 1) -> int:
    """Says a."""
    import scipy  # inside
    return a  # a

def plot(x):
    import matplotlib
    return x
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("# inside", "# within", True),
        ('"""Says a."""', '"""Says it\n    twice."""', True),
        ("return a  #", "return  a\n\n  #", True),
        ("return x", "return x + 1", True),
        ("return a  # a", "return a + 1", False),
        ("a: int = 1", "a: int = 2", False),
        ("import scipy", "import scipy.linalg", False),
    ],
)
def test_the_digest_of_code_knows_what_matters(old: str, new: str, same: bool, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    before = _code.digest("mine", {"mine": path})
    assert old in SOURCE
    path.write_text(SOURCE.replace(old, new))
    assert (_code.digest("mine", {"mine": path}) == before) is same


def test_the_digest_of_code_follows_imports_inside_functions_and_counts_foreign_packages(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    assert {"mine", "loaders", "loaders.schema"} <= set(_code._closure("mine", {"mine": path}))
    versions = _code.versions("mine", {"mine": path})
    assert {"python", "numpy", "scipy", "xarray", "netCDF4"} <= set(versions)
    assert "matplotlib" not in versions


def test_the_catalogue_holds_what_a_study_may_name_and_nothing_else() -> None:
    names = dict(_code.catalogue())
    assert names["loaders.schema.check"].startswith("The Dataset itself")
    assert not any(name.startswith(("pipeline.run", "pipeline.store", "loaders._")) for name in names)
    for name in list(names)[:5]:
        assert callable(parts.find(name))
