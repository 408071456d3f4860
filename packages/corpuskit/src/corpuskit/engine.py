"""Many tasks at once, through joblib; results come back as they are ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from corpuskit.errors import CorpuskitError

__all__ = ["BACKENDS", "job_count", "run", "threads"]

In = TypeVar("In")
Out = TypeVar("Out")

BACKENDS = ("loky", "threading")
_FEW = 4  # fewer tasks than this are done before a second process has started


def job_count(jobs: int | None) -> int:
    """Return the number of processes to use: as asked, or one for each usable core."""
    if jobs is not None:
        return max(1, jobs)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _numbered(function: Callable[[In], Out], index: int, item: In) -> tuple[int, Out]:
    return index, function(item)


def run(
    function: Callable[[In], Out], items: Sequence[In], jobs: int, backend: str
) -> Iterator[tuple[int, Out]]:
    """Yield (index, function(item)) in the order in which results are ready.

    `function` must be picklable for process backends. What it raises is raised here.

    Raises
    ------
    CorpuskitError
        A process died (killed, or out of memory).

    """
    if jobs == 1 or len(items) < _FEW:
        for index, item in enumerate(items):
            yield index, function(item)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel: Any = Parallel(n_jobs=jobs, backend=backend, return_as="generator_unordered")
    try:
        yield from parallel(delayed(_numbered)(function, i, item) for i, item in enumerate(items))
    except TerminatedWorkerError:
        raise CorpuskitError(
            "a process died before its work was done (killed, or out of memory)",
            "run it again with fewer --jobs: it goes on from what is whole",
        ) from None


def threads(function: Callable[[In], Out], items: Sequence[In], jobs: int) -> Iterator[Out]:
    """Yield function(item) in order, computed by `jobs` threads.

    For work that reads files, hashes, or runs compiled code that releases the GIL.
    """
    if jobs == 1 or len(items) < _FEW:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(function, items, chunksize=8)
