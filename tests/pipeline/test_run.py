from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from runs import CODE, STUDY, cli, made, times, tree, written

from pipeline import run, store
from pipeline.__main__ import main

pytestmark = pytest.mark.usefixtures("trusted")


def remade(before: dict[str, int], folder: Path | str) -> set[str]:
    return {
        Path(name).stem
        for name, when in times(folder).items()
        if before.get(name) != when and name.endswith(".nc")
    }


def test_a_run_makes_everything_and_a_second_run_nothing(study: Path, capsys: pytest.CaptureFixture) -> None:
    assert made(study) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 13
    group = store.read("results/test/group.nc")
    level = [store.read(f"results/test/level/{unit}.nc")["level"].values for unit in ("01", "02", "03")]
    assert np.array_equal(group["level"].values, np.mean(level, 0))
    raw = np.frombuffer(Path("results/test/bids/sub-02/noise.bin").read_bytes()).reshape(40, 5, 30)
    assert np.allclose(level[1], (raw * 4).mean((0, 1)))
    before, when = tree("results"), times("results")
    assert not any(Path(name).name.startswith(".") for name in before)
    assert made(study) == 0
    assert capsys.readouterr().err == ""
    assert (tree("results"), times("results")) == (before, when)


def test_a_result_says_what_made_it_without_a_clock_or_an_absolute_path(study: Path) -> None:
    assert made(study) == 0
    attrs = store.read("results/test/recording/02.nc").attrs
    assert (attrs["study"], attrs["step"], attrs["use"]) == ("test", "recording", "made_up.recording")
    assert json.loads(attrs["with"])["path"] == "{results}/bids/sub-{subject}"
    assert json.loads(attrs["unit"]) == {"subject": "02"}
    assert json.loads(attrs["inputs"]) == {"manifest": store.verify("results/test/files/02.nc").digest}
    assert {"python", "numpy", "xarray"} <= set(json.loads(attrs["versions"]))
    assert len(json.loads(attrs["code"])["made_up"]) == 64
    assert not any(str(Path.cwd()) in str(value) for value in attrs.values())


def test_one_step_of_one_unit_is_made_with_what_it_reads(study: Path) -> None:
    assert made(study, "results", "--step", "level", "--unit", "02") == 0
    assert sorted(path.name for path in Path("results/test").rglob("*.nc")) == ["02.nc"] * 4
    assert made(study, "other") == 0
    assert tree("results").items() <= tree("other").items()
    assert made(study, "results", "--step", "group") == 0
    assert tree("results") == tree("other")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--step", "levle"], "no 'levle'; did you mean 'level'?"),
        (["--unit", "04"], "no '04'; known are 01"),
        (["--workers", "0"], "not a number of workers"),
    ],
)
def test_a_wrong_command_is_exit_2(
    words: list[str], why: str, study: Path, capsys: pytest.CaptureFixture
) -> None:
    try:
        code = cli("run", study, *words)
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert why in capsys.readouterr().err
    assert not Path("results").exists()


def test_a_wrong_study_is_exit_2_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path, STUDY.replace("gain", "gian").replace("made_up.mean", "made_up.maen"))
    for act in (lambda: made(path, str(tmp_path / "results")), lambda: cli("check", path)):
        assert act() == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[1] for line in lines] == ["7", "9"]
        assert "did you mean 'gain'?" in lines[0]
        assert "did you mean 'mean'?" in lines[1]
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("about: a test", "about: another", set()),
        ("on_error: stop", "on_error: continue", set()),
        ("gain: 2", "gain: 3", {"recording", "twice", "level", "group"}),
        ("parts: 3", "parts: 2", {"twice", "level", "group"}),
        ("use: made_up.mean", "use: made_up.mean, with: {spread: sd}", {"level", "group"}),
        ("use: made_up.mean", "use: made_up.mean, with: {trials: false}", {"level", "group"}),
        (
            'subject: "{subject}"}',
            'subject: "{subject}", seed: 1}',
            {"files", "recording", "twice", "level", "group"},
        ),
        ('"02", "03"]', '"03"]', {"group"}),
        ('"02", "03"]', '"02", "03", "04"]', {"files", "recording", "twice", "level", "group"}),
        ("  group:", "  all:", {"all"}),
    ],
)
def test_f43_only_what_a_change_affects_is_made_again(
    old: str, new: str, again: set[str], study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert made(study) == 0
    before = times("results")
    study.write_text(STUDY.replace(old, new))
    assert study.read_text() != STUDY
    capsys.readouterr()
    assert cli("list", study) == 0
    stale = {
        line.split()[1].split("/")[0]
        for line in capsys.readouterr().out.splitlines()
        if line.split()[0] != "done"
    }
    assert stale == again
    assert made(study) == 0
    names = {name.split("/")[2] for name, when in times("results").items() if before.get(name) != when}
    assert {name.removesuffix(".nc") for name in names if "sha256" not in name and name != "bids"} == again
    kept = [name for name, when in before.items() if times("results").get(name) == when]
    assert made(study, "fresh") == 0
    assert set(tree("fresh")) <= set(tree("results"))
    assert all(tree("results")[name] == digest for name, digest in tree("fresh").items())
    assert again or len(kept) == len(before)


def test_f43_the_dry_run_says_why(study: Path, capsys: pytest.CaptureFixture) -> None:
    assert made(study) == 0
    study.write_text(STUDY.replace("gain: 2", "gain: 3"))
    store_path = Path("results/test/group.nc")
    store_path.write_bytes(store_path.read_bytes() + b"x")
    capsys.readouterr()
    assert cli("list", study) == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    said = {line[1]: (line[0], line[2] if len(line) > 2 else "") for line in lines}
    assert said["files/01"] == ("done", "")
    assert said["recording/01"] == ("stale", "with changed: gain")
    assert said["twice/01"] == ("waits", "reads recording/01")


def test_r11_code_counts_and_how_to_plot_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = tmp_path / "mine.py"
    text = Path(CODE).read_text()
    code.write_text(text)
    path = written(tmp_path, STUDY.replace("made_up.", "mine."))
    words = ("run", str(path), "--workers", "1", "--quiet", "--allow-code", str(code))
    assert main(words) == 0
    before = times("results")
    code.write_text(
        text.replace("The level over time.", "A picture.").replace("figure.subplots()", "figure.gca()")
    )
    assert main(words) == 0
    assert remade(before, "results") == set()
    code.write_text(text.replace("response.values.mean((0, 1))", "response.values.sum((0, 1))"))
    assert main(words) == 0
    assert remade(before, "results") == {"01", "02", "03", "group"}


def test_r11_a_byte_of_a_file_that_a_path_names_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "a.bin").write_bytes(b"123")
    monkeypatch.setenv("NEURO_DATA", str(data))
    path = written(tmp_path, 'steps:\n  size: {use: made_up.reads, with: {path: "{data}/deep/a.bin"}}\n')
    assert made(path) == 0
    first = store.read("results/test/size.nc")
    assert first["level"].values.tolist() == [3.0]
    assert "data" not in json.loads(first.attrs["files"])
    before = times("results")
    assert made(path) == 0
    assert remade(before, "results") == set()
    (data / "deep" / "a.bin").write_bytes(b"124")
    (data / "other.bin").write_bytes(b"none of its business")
    assert made(path) == 0
    assert remade(before, "results") == {"size"}
    elsewhere = tmp_path / "elsewhere"
    data.rename(elsewhere)
    monkeypatch.setenv("NEURO_DATA", str(elsewhere))
    before = times("results")
    assert made(path) == 0
    assert remade(before, "results") == set()


def test_without_data_one_line_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("NEURO_DATA", str(tmp_path / "none"))
    path = written(tmp_path, 'steps:\n  size: {use: made_up.reads, with: {path: "{data}/a.bin"}}\n')
    assert made(path, str(tmp_path / "results")) == 3
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "set NEURO_DATA" in err


def test_draw_draws_what_stands_for_the_study_and_its_bytes_stay(
    study: Path, capsys: pytest.CaptureFixture
) -> None:
    assert made(study, "results", "--quiet") == 0
    assert cli("draw", study) == 0
    assert capsys.readouterr().out == "results/test/group.png\n"
    first = Path("results/test/group.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    Path("results/test/group.png").unlink()
    assert run.draw(study) == [Path("results/test/group.png")]
    assert Path("results/test/group.png").read_bytes() == first


def test_what_its_maker_cannot_draw_is_told_and_the_rest_is_drawn(
    study: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made(study, "results", "--quiet") == 0

    def strange(plot: object, result: object) -> bytes:
        raise KeyError("epsilon")

    monkeypatch.setattr(run, "_picture", strange)
    assert cli("draw", study) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "group: not drawn: KeyError: 'epsilon'\n"
