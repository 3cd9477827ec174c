"""How much works at once. What the results are does not depend on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIBRARIES = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "VECLIB_MAXIMUM")
TRIES = 3


def one_thread() -> None:
    """Libraries of linear algebra loaded from now on use one thread: bits differ with more."""
    for library in LIBRARIES:
        os.environ[f"{library}_NUM_THREADS"] = "1"


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(count: int | None = None, scheduler: str = "") -> Iterator[None]:
    """A place to compute in: dask's threads, or a scheduler that runs elsewhere; BLAS on one thread in both.

    Reads    count of threads, by default one a processor; scheduler, the address of one of dask.distributed
    Returns  a context; OSError when the scheduler does not answer. No port is opened
    """
    import dask
    import numpy  # noqa: F401  the libraries that are limited are those that are loaded
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in (f"{library}_NUM_THREADS" for library in LIBRARIES)}
    one_thread()
    try:
        with threadpool_limits(1):
            if scheduler:
                with dask.config.set(scheduler=None), _client(scheduler):  # a client leaves its name behind
                    yield
            else:
                with dask.config.set(scheduler="threads", num_workers=count or cores()):
                    yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@contextmanager
def _client(address: str) -> Iterator[None]:
    import cloudpickle
    from distributed import Client

    from . import parts

    for module in parts.allowed_modules():
        cloudpickle.register_pickle_by_value(module)
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{address}: no scheduler answers there: {error}; start one or leave --scheduler out"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=20)
        except TimeoutError as error:
            raise OSError(f"{address}: the scheduler has no workers; start some") from error
        _prepare(client)
        yield


def _prepare(client: Any) -> None:
    """Every worker has one thread of BLAS; a worker that dies while it is told has a successor that is
    told too.
    """
    for attempt in range(TRIES):
        try:
            client.register_plugin(_one_thread_each(), name="neuroloop-one-thread")
        except OSError:
            if attempt == TRIES - 1:
                raise
            client.wait_for_workers(1, timeout=20)
        else:
            return


def _one_thread_each() -> Any:
    from distributed import WorkerPlugin

    class OneThread(WorkerPlugin):
        """Also for workers that come later, in place of one that was killed."""

        def setup(self, worker: object) -> None:
            import numpy  # noqa: F401
            import scipy.linalg  # noqa: F401
            import xarray  # noqa: F401  before dask.array, which an old xarray does not bear
            from threadpoolctl import threadpool_limits

            from pipeline._workers import one_thread

            one_thread()
            threadpool_limits(1)

    return OneThread()
