"""Fixtures of the runner's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import CODE, STUDY, written

from pipeline import parts


@pytest.fixture
def trusted() -> None:
    """The made-up steps may be named by a study."""
    parts.allow(CODE)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of made-up steps, in a folder of its own that is the current one."""
    monkeypatch.chdir(tmp_path)
    return written(tmp_path, STUDY)
