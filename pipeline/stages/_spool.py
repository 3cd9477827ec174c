"""Rows that are written once, block after block: kept in memory while they fit, else in a file."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

READ = 2**24  # bytes of a chunk that is read back
FLOAT: np.dtype[Any] = np.dtype(np.float32)


class Spool(NamedTuple):
    """An array that is being filled, in memory or in a file, of which `kept` is then the block at hand."""

    shape: tuple[int, ...]
    kept: np.ndarray
    file: _Rows | None

    @contextmanager
    def block(self, start: int, count: int) -> Iterator[np.ndarray]:
        """The next rows, to be filled."""
        if self.file is None:
            yield self.kept[start : start + count]
            return
        rows = self.kept[:count]
        yield rows
        left = rows.data.cast("B")
        while left:
            left = left[os.write(self.file.handle, left) :]

    def array(self) -> Any:
        """A plain array, or a lazy one that reads the file."""
        if self.file is None:
            return self.kept
        import dask.array

        chunks = (min(self.shape[0], max(1, READ // max(1, self.file.row))), *self.shape[1:])
        meta = np.empty((0,) * len(self.shape), FLOAT)
        return dask.array.from_array(self.file, chunks, name=False, meta=meta, asarray=False)


def spool(shape: tuple[int, ...], at_once: int, most: int) -> Spool:
    """A place for an array of 4-byte numbers, filled by blocks of `most` rows; OSError when the temporary
    folder is full.
    """
    row = FLOAT.itemsize * int(np.prod(shape[1:], dtype=np.int64))
    if shape[0] * row <= at_once:
        return Spool(shape, np.zeros(shape, FLOAT), None)  # faster to write than what np.empty gives
    handle, path = tempfile.mkstemp()
    os.unlink(path)  # the file lives as long as it is open, so nothing is left behind
    rows = _Rows(handle, shape, row)
    weakref.finalize(rows, os.close, handle)
    return Spool(shape, np.zeros((min(most, shape[0]), *shape[1:]), FLOAT), rows)


@dataclass(frozen=True, eq=False)
class _Rows:
    """A file as dask slices it; reading leaves no position behind, so threads may share it."""

    handle: int
    shape: tuple[int, ...]
    row: int
    dtype: np.dtype[Any] = FLOAT

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, place: Any) -> Any:
        first, *others = place
        start, stop, step = first.indices(self.shape[0])
        count = max(0, stop - start)
        data = bytearray(count * self.row)
        done, view = 0, memoryview(data)
        while done < len(data):
            got = os.preadv(self.handle, [view[done:]], start * self.row + done)
            if not got:
                raise OSError("the temporary file of a recording was cut; is the disk full?")
            done += got
        rows = np.frombuffer(data, FLOAT).reshape(count, *self.shape[1:])
        return rows[(slice(None, None, step), *others)]
