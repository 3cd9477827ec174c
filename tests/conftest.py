"""Fixtures that more than one room of the tests needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def neuro_data() -> Path:
    """The folder of real recordings: $NEURO_DATA, else ../shared/data; tests that need it skip without it."""
    folder = Path(os.environ.get("NEURO_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set NEURO_DATA")
    return folder
