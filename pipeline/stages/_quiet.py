"""Brain-Score at work without a word on stdout, and without pickles of what is registered here."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import numpy as np


@contextmanager
def quiet(ours: str, *names: str) -> Iterator[None]:
    """Its caches are off where all names are ours; units that never change divide 0 by 0, as it expects."""
    before = os.environ.get("RESULTCACHING_DISABLE")
    if all(name.startswith(ours) for name in names):
        os.environ["RESULTCACHING_DISABLE"] = "1"
    try:
        with redirect_stdout(io.StringIO()), np.errstate(invalid="ignore", divide="ignore"):
            yield
    finally:
        os.environ.pop("RESULTCACHING_DISABLE", None)
        if before is not None:
            os.environ["RESULTCACHING_DISABLE"] = before
