"""Tasks through Dask: the scheduler gives the tasks of a dead worker to another."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from corpuskit.cluster import worker
from corpuskit.cluster.worker import Task, Unreachable

__all__ = ["stream"]

_LOUD = (
    "distributed",
    *(f"distributed.{p}" for p in ("client", "comm", "core", "nanny", "scheduler", "worker")),
    "tornado",
    "asyncio",
)

# The terminal sends Ctrl-C to workers too, and each would answer with a traceback; they end
# with the build.
_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


def stream(
    task: Task, items: Sequence[Any], jobs: int, address: str | None
) -> Iterator[tuple[int, Any, Exception | None]]:
    """Yield what `task` returns for each item, as it is ready.

    Raises
    ------
    CorpuskitError
        No scheduler, no workers, or workers that die again and again.

    """
    with _quiet(), _client(jobs, address) as client:
        _await_workers(client)
        queue = enumerate(items)
        waiting: list[Any] = []
        while True:
            for index, item in worker.refill(queue, waiting, _slots(client)):
                waiting.append(client.submit(task, index, item, pure=False))
            if not waiting:
                return
            done, waiting = _first_done(client, waiting)
            yield from _gathered(client, done)


@contextlib.contextmanager
def _client(jobs: int, address: str | None) -> Iterator[Any]:
    """Connect to the cluster that is named, or to one of this machine for as long as it takes."""
    import dask
    import distributed

    client_of: Any = distributed.Client
    local: Any = distributed.LocalCluster
    address = address or dask.config.get("scheduler-address", None)
    if address:
        place = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            if "scheduler_file" in place:
                Path(address).stat()  # Dask would wait for the file for ever
            client = client_of(**place, timeout=20, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
            raise Unreachable(
                f"no Dask scheduler answers at {address} ({_line(error)})",
                "start one (dask scheduler), or leave out --cluster to work on this machine",
            ) from None
        with client:
            yield client
        return
    with (
        local(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            memory_limit=None,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
            preload=_DEAF,
        ) as cluster,
        client_of(cluster, set_as_default=False) as client,
    ):
        yield client


def _line(error: BaseException) -> str:
    told = getattr(error, "strerror", None) or str(error)
    return (told.splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own account of lost workers off the user's terminal."""
    import distributed  # noqa: F401 - sets its loggers up when it is imported

    loggers = [logging.getLogger(name) for name in _LOUD]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(distributed|dask)\b")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _slots(client: Any) -> int:
    return sum(client.nthreads().values())


def _await_workers(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=worker.PATIENCE)
    except TimeoutError:
        raise worker.none_left() from None


def _first_done(client: Any, waiting: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Wait until something is done; give up when nobody has been there to do it."""
    import distributed

    wait: Any = distributed.wait
    last_seen = time.monotonic()
    while True:
        try:
            with client.as_current():
                done, rest = wait(waiting, timeout=worker.GLANCE, return_when="FIRST_COMPLETED")
        except TimeoutError:
            if _slots(client):
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > worker.PATIENCE:
                raise worker.none_left() from None
        except CancelledError:
            raise _scheduler_gone() from None
        else:
            return list(done), list(rest)


def _gathered(client: Any, done: Sequence[Any]) -> Any:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        return client.gather(done)
    except KilledWorker:
        raise worker.too_many_died() from None
    except (CancelledError, FutureCancelledError):
        raise _scheduler_gone() from None
    except (ImportError, RuntimeError) as error:
        raise worker.cannot_import(error.__cause__ or error) from None


def _scheduler_gone() -> Unreachable:
    return Unreachable(
        "the Dask scheduler went away", "start it and run again: it goes on from what is whole"
    )
