"""Many tasks at once: on this machine through joblib, on a cluster through Dask or Ray.

Results come back as they are ready, so nothing may depend on their order.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from corpuskit.cluster.worker import Cluster
from corpuskit.errors import BadSetting, CorpuskitError

__all__ = [
    "BACKENDS",
    "CLUSTERS",
    "Cluster",
    "check_backend",
    "eventually",
    "job_count",
    "run",
    "threads",
]

In = TypeVar("In")
Out = TypeVar("Out")

CLUSTERS = {"dask": "distributed", "ray": "ray"}  # backend: the package it needs
BACKENDS = ("loky", "threading", *CLUSTERS)
_FEW = 4  # fewer tasks than this are done before a second process has started
_LATE = 65.0  # seconds; network file systems remember for up to a minute that a file was missing


def job_count(jobs: int | None) -> int:
    """Return the number of processes to use: as asked, or one for each usable core."""
    if jobs is not None:
        return max(1, jobs)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_backend(backend: str, address: str | None = None) -> None:
    """Refuse, before any work, a backend that cannot do it.

    Raises
    ------
    BadSetting
        An unknown backend, one whose package is not installed, or an address for a
        backend that stays on this machine.

    """
    if backend not in BACKENDS:
        raise BadSetting(f"no backend {backend!r}", f"there are {', '.join(BACKENDS)}")
    package = CLUSTERS.get(backend)
    if package is None:
        if address:
            raise BadSetting(
                f"--cluster is for --backend dask or ray, and the backend is {backend}",
                "add one of them",
            )
    elif importlib.util.find_spec(package) is None:
        raise BadSetting(
            f"--backend {backend} needs the package {package}",
            f"pip install 'corpuskit[{backend}]'",
        )


def run(
    function: Callable[[In], Out],
    items: Sequence[In],
    jobs: int,
    backend: str,
    cluster: Cluster | None = None,
) -> Iterator[tuple[int, Out]]:
    """Yield (index, function(item)) in the order in which results are ready.

    `function` must be picklable for process backends. What it raises is raised here. A
    worker of a cluster may die: its tasks are done again.

    Raises
    ------
    CorpuskitError
        A process of this machine died (killed, or out of memory), or too many workers of a
        cluster, or the cluster cannot be reached.

    """
    if backend in CLUSTERS and len(items) >= _FEW:
        yield from _on_cluster(function, items, jobs, backend, cluster or Cluster())
    elif jobs == 1 or len(items) < _FEW:
        for index, item in enumerate(items):
            yield index, function(item)
    else:
        yield from _on_this_machine(function, items, jobs, backend)


def _numbered(function: Callable[[In], Out], index: int, item: In) -> tuple[int, Out]:
    return index, function(item)


def _on_this_machine(
    function: Callable[[In], Out], items: Sequence[In], jobs: int, backend: str
) -> Iterator[tuple[int, Out]]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel: Any = Parallel(n_jobs=jobs, backend=backend, return_as="generator_unordered")
    tasks = (delayed(_numbered)(function, i, item) for i, item in enumerate(items))
    try:
        with ExitStack() as at_end:
            at_end.enter_context(_quiet_manager())
            with _deaf_children():
                results = parallel(tasks)  # starts the processes
                at_end.callback(_ended, results)
            # Given as it is, `yield from` would end it before `_ended` does.
            yield from (result for result in results)
    except TerminatedWorkerError:
        raise CorpuskitError(
            "a process died before its work was done (killed, or out of memory)",
            "run it again with fewer --jobs: it goes on from what is whole",
        ) from None


def _ended(results: Generator[Any]) -> None:
    """Drop what is not done yet; that is what a stop means, and joblib would warn of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        results.close()


@contextmanager
def _quiet_manager() -> Iterator[None]:
    """Keep quiet a slip of loky's: its thread may look for work that was just dropped.

    It then ends by a KeyError, as it was about to, and Python would print its traceback.
    """
    before = threading.excepthook

    def hook(told: threading.ExceptHookArgs) -> None:
        thread = told.thread.name if told.thread else ""
        if told.exc_type is not KeyError or thread != "ExecutorManagerThread":
            before(told)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Start processes that never hear Ctrl-C; one pressed meanwhile is answered afterwards.

    The terminal sends it to every process of a command, and each that is still starting, or
    at work, would answer with a traceback of its own. They end with this one.
    """
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as lokys

    for tracker in (resource_tracker, lokys):
        tracker.ensure_running()  # deaf by itself, but starting it makes its parent hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _on_cluster(
    function: Callable[[In], Out], items: Sequence[In], jobs: int, backend: str, cluster: Cluster
) -> Iterator[tuple[int, Out]]:
    from corpuskit.cluster import worker

    if backend == "dask":
        from corpuskit.cluster.on_dask import stream
    else:
        from corpuskit.cluster.on_ray import stream
    with worker.task_for(function, cluster) as task:
        for index, value, error in stream(task, items, jobs, cluster.address):
            if error is not None:
                raise error
            yield index, value


def eventually(
    look: Callable[[], Out | None], seconds: float = _LATE, step: float = 0.5
) -> Out | None:
    """Return what `look` finds, asking for as long as another machine's file may stay unseen."""
    until = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < until:
        time.sleep(step)
    return found


def threads(function: Callable[[In], Out], items: Sequence[In], jobs: int) -> Iterator[Out]:
    """Yield function(item) in order, computed by `jobs` threads.

    For work that reads files, hashes, or runs compiled code that releases the GIL.
    """
    if jobs == 1 or len(items) < _FEW:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(function, items, chunksize=8)
