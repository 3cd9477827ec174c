"""Models beside each other in the report: raw beside normalised, by region and metric; hostile names."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from pages import Page

from pipeline import _leaderboard
from pipeline._found import Found
from pipeline._jobs import Job

HOSTILE = "<script>document.title='run'</script>"


def ranked(models: list[str], metric: str, region: str = "V4", ceilings: bool = True) -> xr.Dataset:
    """What a table of scores holds: .5 for the first, .1 less for each after it."""
    score = 0.5 - 0.1 * np.arange(len(models))
    names = ("score", "normalized_score") if ceilings else ("score",)
    made = {
        name + end: ("model", score * (1 + 0.25 * (name != "score")) + shift, {"units": "1"})
        for name in names
        for end, shift in (("", 0), ("_low", -0.01), ("_high", 0.01))
    }
    p = np.where(np.eye(len(models)) > 0, np.nan, 0.012)
    made["p"] = (("model", "other_model"), p, {"units": "1"})
    told = {"leaderboard": 1, "region": region, "metric": metric, "neuroids": 50, "n": 640}
    coords = {"model": models, "other_model": models, "layer": ("model", ["conv4"] * len(models))}
    return xr.Dataset(made, coords, told)


def record(step: str, dataset: xr.Dataset | None, state: str = "done") -> Found:
    return Found(Job(step, ""), state, "", f"study/{step}.nc", "", dataset)


def test_every_region_and_metric_has_a_column_and_raw_stands_beside_normalised() -> None:
    made = _leaderboard.leaderboard(
        [
            record("ridge", ranked(["cnn", "gabor"], "ridge")),
            record("pls", ranked(["gabor", "pixels"], "pls", region="IT", ceilings=False)),
            record("recording", xr.Dataset()),
        ]
    )
    page = Page(str(made))
    assert not page.faults
    text = page.text
    assert "V4 ridge" in text
    assert "IT pls" in text
    assert "0.500 [0.490, 0.510]" in text
    assert "0.625 [0.615, 0.635]" in text
    assert "p = 0.012" in text
    assert "50 neuroids, 640 stimuli" in text
    assert str(made).count("<table") == 3


def test_rdms_compared_with_models_stand_among_them() -> None:
    found = xr.Dataset(
        {
            name: ("model", np.array(values), {"units": "1"})
            for name, values in {
                "similarity": [0.1, 0.4], "similarity_low": [0.0, 0.3], "similarity_high": [0.2, 0.5],
                "p": [0.3, 0.01],
            }.items()
        },
        {"model": ["faces", "animals"]},
        {"measure": "spearman", "n": 92},
    )  # fmt: skip
    text = Page(str(_leaderboard.leaderboard([record("human", found)]))).text
    assert text.index("animals") < text.index("faces")
    assert "RDM, spearman" in text


def test_nothing_to_compare_makes_no_section() -> None:
    assert not _leaderboard.leaderboard([record("recording", xr.Dataset()), record("lost", None, "missing")])


@pytest.mark.parametrize("state", ["stale", "damaged"])
def test_f78_f83_hostile_names_are_text_and_doubtful_results_say_so(state: str) -> None:
    made = _leaderboard.leaderboard([record("ridge", ranked([HOSTILE, "b"], HOSTILE, HOSTILE), state)])
    page = Page(str(made))
    assert not page.faults
    assert "script" not in {element.tag for element in page.elements}
    assert ("something else" in page.text) or ("is damaged" in page.text)
