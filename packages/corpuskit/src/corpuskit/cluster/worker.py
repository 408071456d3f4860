"""What both engines share: what is asked of a worker, and what its failures are called."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit.errors import CorpuskitError
from corpuskit.files import temporary_folder

__all__ = [
    "GLANCE",
    "Cluster",
    "Task",
    "Unreachable",
    "cannot_import",
    "libraries",
    "none_left",
    "refill",
    "task_for",
    "too_many_died",
]

PATIENCE = 60.0  # seconds without any worker before a build gives up
GLANCE = 5.0  # seconds between two looks at whether workers are left
_AHEAD = 4  # tasks handed out for each slot: workers never wait, and memory stays bounded
_NUMERIC = ("numpy", "scipy", "numba", "librosa", "pyworld", "soxr", "soundfile", "corpuskit")


class Unreachable(CorpuskitError):
    """A cluster that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which cluster to use, and what its workers must see as this machine does."""

    address: str | None = None  # None: the environment's, else one on this machine
    workspace: Path | None = None  # workers write into it
    roots: tuple[Path, ...] = ()  # workers read from them


@dataclass(frozen=True, kw_only=True)
class Task:
    """A function that refuses to run where its result could differ from here."""

    function: Callable[[Any], Any]
    libraries: Mapping[str, str]  # versions on the machine that builds
    visible: tuple[Path, ...]  # folders

    def __call__(self, index: int, item: Any) -> tuple[int, Any, Exception | None]:
        """Return the item's index with the function's value, or with what it raised.

        Errors travel as values: each engine would wrap a raised one in its own way.
        """
        from threadpoolctl import threadpool_limits

        try:
            self._check_machine()
            with threadpool_limits(1):
                return index, self.function(item), None
        except Exception as error:
            return index, None, error

    def _check_machine(self) -> None:
        here = libraries()
        if here != self.libraries:
            told = ", ".join(
                f"{name} {here.get(name)} instead of {version}"
                for name, version in self.libraries.items()
                if here.get(name) != version
            )
            raise Unreachable(
                f"a worker on {socket.gethostname()} has {told}",
                "install the same versions on all machines (constraints.txt pins them)",
            )
        for folder in self.visible:
            if not folder.is_dir():
                raise Unreachable(
                    f"a worker on {socket.gethostname()} does not see {folder}",
                    "the workspace and the corpora must lie on a file system that all machines "
                    "share, under the same paths",
                )


def libraries() -> dict[str, str]:
    """Return the versions of everything that could change a number."""
    found = {}
    for name in _NUMERIC:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@contextlib.contextmanager
def task_for(function: Callable[[Any], Any], cluster: Cluster) -> Iterator[Task]:
    """Wrap a function for the workers.

    A folder of a name that never was before shows whether they share the workspace: a
    path that merely exists there too would swallow everything they write.
    """
    roots = tuple(root.absolute() for root in cluster.roots if root.is_dir())
    with contextlib.ExitStack() as stack:
        if cluster.workspace is not None:
            beacon = stack.enter_context(temporary_folder(cluster.workspace.absolute() / "index"))
            roots = (beacon, *roots)
        yield Task(function=function, libraries=libraries(), visible=roots)


def refill(queue: Iterator[tuple[int, Any]], waiting: Sequence[Any], slots: int) -> list[Any]:
    """Take as many items from the queue as keep `slots` workers busy."""
    wanted = max(1, _AHEAD * slots) - len(waiting)
    return list(itertools.islice(queue, max(0, wanted)))  # fewer slots when a worker has died


# ------------------------------------------------------------------ what goes wrong


def too_many_died() -> CorpuskitError:
    """Several workers died over one task."""
    return CorpuskitError(
        "workers died again and again at one recording (killed, or out of memory)",
        "give each worker more memory or start fewer; run it again: it goes on from what is whole",
    )


def none_left() -> CorpuskitError:
    """Nobody is there to work."""
    return Unreachable(
        f"the cluster had no worker for {PATIENCE:.0f} seconds",
        "start workers and run it again: it goes on from what is whole",
    )


def cannot_import(error: BaseException) -> CorpuskitError:
    """A worker without our code."""
    found = re.search(r"No module named '?[\w.]+'?", str(error))
    told = found.group() if found else (str(error).splitlines() or [type(error).__name__])[-1]
    return Unreachable(
        f"the workers cannot load corpuskit ({told})",
        "install the same corpuskit on all machines and start the workers from it",
    )
