"""What a recording says of itself in a notebook, and that nothing in it runs or is computed for that."""

from __future__ import annotations

import re
import xml.etree.ElementTree as etree
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pages import Page

from loaders import schema, synthetic
from pipeline import _page, notebook, store

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</details></table>", "a\u202eb")


def recording(names: tuple[str, ...] = ("familiar", "unfamiliar"), **attrs: object) -> xr.Dataset:
    """Forty presentations of ramps: the mean over presentations of neuroid n is n + 1 times the time."""
    time = np.arange(60) / 100 - 0.1
    response = np.ones((40, 1, 1)) * np.arange(1, 7)[None, :, None] * time
    return schema.check(
        xr.Dataset(
            {"response": (("presentation", "neuroid", "time"), response, {"units": "SI by kind"})},
            {
                "stimulus_id": ("presentation", [f"s{number % 10}" for number in range(40)]),
                "trial_type": ("presentation", [names[number % 4 == 0] for number in range(40)]),
                "neuroid_id": ("neuroid", [f"n{number}" for number in range(6)]),
                "kind": ("neuroid", ["grad", "mag", "grad", "grad", "mag", "grad"]),
                "si_unit": ("neuroid", ["T/m", "T", "T/m", "T/m", "T", "T/m"]),
                "time": time,
            },
            {"origin": "simulated", "filter": "none", "n_rejected": 3, "bad_channels": "MEG 0113", **attrs},
        )
    )


def same(html: str, dataset: xr.Dataset) -> bool:
    """Whether that is xarray's view, whatever names it gives its parts this time."""
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    return re.sub(uuid, "", html) == re.sub(uuid, "", dataset._repr_html_())


def test_a_recording_says_what_it_is() -> None:
    page = Page(notebook.html(recording()))
    for words in (
        "Recording, simulated",
        "presentations 40 of 10 stimuli",
        "trial_type 30 familiar, 10 unfamiliar",
        "neuroids 6: 4 grad, 2 mag",
        "time -0.1 to 0.49 s in steps of 10 ms (60)",
        "unit SI by kind",
        "filter none",
        "missing 3 presentations rejected; bad channels: MEG 0113",
        "mean response (T/m)",
        "4 grads, mean of the first 40 presentations",
    ):
        assert words in page.text, words
    assert page.all("details")


def test_the_curves_are_the_means() -> None:
    curves = notebook._curves(recording())
    assert curves is not None
    assert curves.of.startswith("4 grads")
    np.testing.assert_allclose(curves.values, np.array([[1], [3], [4], [6]]) * curves.time)
    html = str(notebook._drawn(curves))
    svg = etree.fromstring(html)
    assert len(svg.findall("path")) == 4 + 2  # neuroids, axes, onset
    assert svg.attrib["aria-label"].endswith("-0.1 to 0.49 s, -0.6 to 2.94 T/m")


def test_missing_values_break_a_line_and_nothing_else() -> None:
    ramps = recording()
    ramps["response"][:, 0, 10:20] = np.nan
    ramps["response"][:7, 2, :] = np.nan
    curves = notebook._curves(ramps)
    assert curves is not None
    assert np.isnan(curves.values[0, 10:20]).all()
    np.testing.assert_allclose(curves.values[1], 3 * curves.time)
    paths = etree.fromstring(str(notebook._drawn(curves))).findall("path")
    assert [path.attrib["d"].count("M") for path in paths[:2]] == [2, 1]
    assert "Not drawn: no finite value." in notebook.html(ramps * np.nan + ramps.where(False))


def test_whatever_is_no_recording_looks_as_xarray_shows_it() -> None:
    for dataset in (xr.Dataset(), recording().drop_vars("response"), recording().isel(neuroid=0, drop=True)):
        assert same(notebook.html(dataset), dataset)


@pytest.mark.parametrize("part", [{"time": slice(1)}, {"presentation": slice(0)}, {"neuroid": slice(0)}])
def test_small_and_empty_recordings_are_told_without_a_picture(part: dict[str, slice]) -> None:
    html = notebook.html(recording().isel(part))
    assert "<svg viewBox" not in html
    assert "Recording" in Page(html).text


def test_lazy_recordings_are_read_in_part_only() -> None:
    import dask.array  # after xarray, which an old one wants

    touched: list[tuple[int, ...]] = []

    def block(piece: np.ndarray) -> np.ndarray:
        touched.append(piece.shape)
        return piece

    data = dask.array.ones((6400, 64, 500), chunks=(64, 64, 500)).map_blocks(
        block, dtype=float, meta=np.ones(0)
    )
    lazy = xr.Dataset(
        {"response": (("presentation", "neuroid", "time"), data, {"units": "V"})},
        {"time": np.arange(500) / 100, "stimulus_id": ("presentation", ["s"] * 6400)},
    )
    assert "mean of the first 64 presentations" in notebook.html(lazy)
    assert touched == [(64, 64, 500)]
    wide = lazy.chunk({"presentation": 6400})
    assert "Not drawn: more than 64 MB would be read." in notebook.html(wide)
    assert len(touched) == 1
    assert lazy["response"].chunks is not None


def test_a_stored_recording_is_told(tmp_path: Path) -> None:
    made = synthetic.meg_faces(seed=0, sites=4, identities=2, images=2)
    store.write(made, tmp_path / "recording.nc", "key")
    text = Page(notebook.html(store.read(tmp_path / "recording.nc"))).text
    assert "Recording, simulated" in text
    assert "8 grad, 4 mag" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_f84_labels_are_text_and_nothing_else(name: str) -> None:
    page = Page(notebook.html(recording((name, "other"), origin=name, filter=name, bad_channels=name)))
    assert not page.all("script")
    assert not [item for item in page.all("img") if "onerror" in item.attributes]
    assert not [key for item in page.elements for key in item.attributes if key.startswith("on")]
    assert page.text.count(" ".join(_page.visible(name).split())) >= 3


def test_a_recording_that_cannot_be_told_is_still_shown() -> None:
    odd = recording().assign_coords(time=("time", [f"t{number}" for number in range(60)]))
    assert same(notebook.html(odd), odd)


def test_f84_the_extension_speaks_for_recordings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # IPython warns of another one
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    shell = interactive.InteractiveShell()
    before = xr.Dataset._repr_html_
    shell.run_line_magic("load_ext", "pipeline.notebook")
    try:
        show = shell.display_formatter.format
        told, _ = show(recording())
        assert "neuroloop-recording" in told["text/html"]
        assert "<xarray.Dataset>" in told["text/plain"]
        score = xr.Dataset({"auc": ("time", [0.5])})
        assert same(show(score)[0]["text/html"], score)
        assert xr.Dataset._repr_html_ is before
        shell.run_line_magic("unload_ext", "pipeline.notebook")
        assert "neuroloop-recording" not in show(recording())[0]["text/html"]
    finally:
        interactive.InteractiveShell.clear_instance()


def test_loading_does_nothing_in_plain_python() -> None:
    notebook.load()
