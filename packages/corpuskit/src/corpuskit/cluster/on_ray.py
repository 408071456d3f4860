"""Tasks through Ray, which does the tasks of a dead worker again."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpuskit.cluster import worker
from corpuskit.cluster.worker import Task, Unreachable

__all__ = ["stream"]

_RETRIES = 3  # deaths of workers that one task may cause, as Dask allows
_STORE = 80 * 1024 * 1024  # bytes; Ray's least is 75 MiB, and our results are a few hundred bytes
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def stream(
    task: Task, items: Sequence[Any], jobs: int, address: str | None
) -> Iterator[tuple[int, Any, Exception | None]]:
    """Yield what `task` returns for each item, as it is ready.

    Raises
    ------
    CorpuskitError
        No cluster, no workers, or workers that die again and again.

    """
    with _runtime(jobs, address) as ray:
        do = ray.remote(num_cpus=1, max_retries=_RETRIES)(_do)
        queue = enumerate(items)
        waiting: list[Any] = []
        while True:
            for index, item in worker.refill(queue, waiting, _slots(ray)):
                waiting.append(do.remote(task, index, item))
            if not waiting:
                return
            done, waiting = _first_done(ray, waiting)
            yield from _gathered(ray, done)


def _do(task: Task, index: int, item: Any) -> tuple[int, Any, Exception | None]:
    return task(index, item)


@contextlib.contextmanager
def _runtime(jobs: int, address: str | None) -> Iterator[Any]:
    """Connect to the cluster that is named, or to one of this machine for as long as it takes."""
    with _environment(_QUIET), _quiet():
        import ray

        if ray.is_initialized():  # by the program that calls us: its business, its cluster
            yield ray
            return
        address = address or os.environ.get("RAY_ADDRESS")
        means: dict[str, Any] = {"address": address}
        if not address:
            means = {
                "address": "local",
                "num_cpus": jobs,
                "num_gpus": 0,
                "object_store_memory": _STORE,
                "include_dashboard": False,
            }
        try:
            _knock(address)
            with _own_signals():
                ray.init(**means, log_to_driver=False, logging_level=logging.CRITICAL)
        except (OSError, ValueError, RuntimeError) as error:  # ConnectionError is an OSError
            raise _no_answer(address, error) from None
        try:
            yield ray
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set what the user has not set, for as long as it takes."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _knock(address: str | None) -> None:
    """Find out in seconds what Ray finds out in minutes, with a lot of words."""
    host, _, port = (address or "").rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _no_answer(address: str | None, error: Exception) -> Unreachable:
    told = getattr(error, "strerror", None) or str(error)
    why = (told.splitlines() or [type(error).__name__])[0]
    if address:
        return Unreachable(
            f"no Ray cluster answers at {address} ({why})",
            "start one (ray start --head), or leave out --cluster to work on this machine",
        )
    return Unreachable(f"Ray does not start on this machine ({why})", "use --backend loky")


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our answer to SIGTERM: Ray puts its own in place when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's own account of its start and of lost workers off the terminal and stdout."""
    import ray

    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    # What Ray's own debugger does for silence: no option covers the reports of dead workers.
    ray._private.worker._worker_logs_enabled = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"ray\b")
            yield
    finally:
        logger.setLevel(before)
        ray._private.worker._worker_logs_enabled = True


def _slots(ray: Any) -> int:
    return int(ray.cluster_resources().get("CPU", 0))


def _first_done(ray: Any, waiting: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Wait until something is done; give up when nobody has been there to do it."""
    last_seen = time.monotonic()
    while True:
        done, rest = ray.wait(list(waiting), num_returns=1, timeout=worker.GLANCE)
        if done:
            return done, rest
        if _slots(ray):
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > worker.PATIENCE:
            raise worker.none_left()


def _gathered(ray: Any, done: Sequence[Any]) -> Any:
    try:
        return ray.get(list(done))
    except ray.exceptions.RayTaskError as error:  # before our code ran: the task catches its own
        raise worker.cannot_import(error) from None
    except ray.exceptions.RayError:
        raise worker.too_many_died() from None
