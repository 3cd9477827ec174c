"""Numbers of a report: what is listed, and what is only counted."""

from __future__ import annotations

import numpy as np
import xarray as xr
from pages import Page

from pipeline import _tables
from pipeline._found import Found
from pipeline._jobs import Job


def test_weights_of_a_network_are_counted_and_its_losses_listed() -> None:
    held = {
        f"conv{k}.weight": ([f"conv{k}.weight.0", f"conv{k}.weight.1"], np.ones((3, 5)), {"units": "1"})
        for k in range(4)
    }
    loss = {"loss": (("epoch", "term"), np.array([[0.75], [0.5]]), {"units": "nat"})}
    one = Found(Job("trained"), "done", "", "study/trained.nc", "", xr.Dataset(loss | held))
    text = Page(str(_tables.summary(one) + _tables.tables(one))).text
    assert "4 weights and buffers" in text
    assert "60 numbers" in text
    assert "0.75" in text
    assert "conv1.weight" not in text
    links, _ = _tables.files(one, 10**6)
    assert "conv1.weight" not in str(links)
    assert "loss" in str(links)
