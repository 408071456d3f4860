"""Who is at work in a workspace: any number of builds, or one cleaning.

A lock of the operating system on `workspace/.lock`: it goes with its process, however that
ends, and reaches across machines where the shared file system carries locks (NFS does).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from corpuskit.errors import CorpuskitError, Refused

__all__ = ["alone", "at_work", "is_busy", "is_cleaned"]

_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextlib.contextmanager
def at_work(workspace: Path) -> Iterator[None]:
    """Keep objects from being cleaned away while something relies on them; waits for a cleaning.

    A place that cannot be written or knows no locks is no reason to stop: a build says itself
    what it cannot write, and cleaning refuses where there are no locks.
    """
    descriptor = _opened(workspace)
    try:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def alone(workspace: Path) -> Iterator[None]:
    """Be the only one at work.

    Raises
    ------
    Refused
        Something is at work.
    CorpuskitError
        The file system knows no locks, so that cannot be known.

    """
    descriptor = _opened(workspace)
    if descriptor is None:
        raise CorpuskitError(f"cannot write {workspace}", "cleaning needs to write there")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _refusal(workspace, error) from None
        yield
    finally:
        os.close(descriptor)


def is_busy(workspace: Path) -> bool:
    """Tell whether something is at work, as far as locks can tell."""
    return _held(workspace, fcntl.LOCK_EX)


def is_cleaned(workspace: Path) -> bool:
    """Tell whether a cleaning is at work, for which `at_work` will wait."""
    return _held(workspace, fcntl.LOCK_SH)


def _held(workspace: Path, wanted: int) -> bool:
    """Tell whether another holds what keeps a lock from being had."""
    descriptor = _opened(workspace, create=False)
    if descriptor is None:
        return False
    try:
        fcntl.flock(descriptor, wanted | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _WITHOUT_LOCKS
    finally:
        os.close(descriptor)
    return False


def _opened(workspace: Path, *, create: bool = True) -> int | None:
    path = workspace / ".lock"
    with contextlib.suppress(OSError):
        if create:
            workspace.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    with contextlib.suppress(OSError):
        return os.open(path, os.O_RDONLY)  # another user's: it can be locked all the same
    return None


def _refusal(workspace: Path, error: OSError) -> CorpuskitError:
    if error.errno in _WITHOUT_LOCKS:
        return CorpuskitError(
            f"{workspace} is on a file system without locks: whether a build runs is not known",
            "copy the versions you need to another workspace instead",
        )
    return Refused(
        f"a build is running in {workspace}, and what it needs cannot be known yet",
        "try again when it has ended",
    )
