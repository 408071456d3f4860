"""Every write of the project: whole or not at all.

A file is written beside its place under a hidden name, synced, and renamed; a
folder is filled under a hidden name and renamed. So a reader sees the old state
or the new one, whatever kills the writer. The three system calls that can fail
(`_write`, `_sync`, `_rename`) are functions of their own for tests to break.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from corpuskit.errors import CorpuskitError, Refused
from corpuskit.processes import is_alive

__all__ = [
    "append_line",
    "canonical",
    "fill_file",
    "leftovers",
    "publish_folder",
    "read_json",
    "remove_leftovers",
    "temporary_folder",
    "write_file",
    "write_json",
    "write_parts",
]

_HIDDEN = ".tmp-"
_BLOCK = 1 << 20  # bytes written at once


def _write(descriptor: int, data: bytes | bytearray) -> None:
    done = 0
    while done < len(data):
        with memoryview(data)[done:] as view:
            done += os.write(descriptor, view)


def _sync(descriptor: int) -> None:
    os.fsync(descriptor)


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _hidden_name() -> str:
    """Name that tells which process on which machine left it, should it die."""
    return f"{_HIDDEN}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failing disk into one clear message."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CorpuskitError(
            f"cannot write {path}: {reason}",
            "free some space or write to another place; what was whole before still is",
        ) from error


def write_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` to `path` atomically, replacing what is there.

    With `durable=False` the sync is left out: right for content that carries its
    own digest and can be made again, because a torn file is then found and healed.

    Raises
    ------
    CorpuskitError
        The disk refused (full, read-only, no permission). Nothing is left behind.

    """
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{_hidden_name()}-{path.name[-40:]}"
        try:
            _write_whole(temporary, data, durable=durable)
            _rename(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            _sync_path(path.parent)


def write_parts(path: Path, parts: Iterable[bytes]) -> str:
    """Write a file of a temporary folder part by part; returns its SHA-256 (hex).

    Nobody reads there before the folder is published, and no part is kept.
    """
    hasher, held = hashlib.sha256(), bytearray()
    with _explained(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            for part in parts:
                held += part
                if len(held) >= _BLOCK:
                    hasher.update(held)
                    _write(descriptor, held)
                    held.clear()
            hasher.update(held)
            _write(descriptor, held)
        finally:
            os.close(descriptor)
    return hasher.hexdigest()


def fill_file(path: Path, data: bytes) -> None:
    """Write a file of a temporary folder, where nobody reads before the folder is published."""
    with _explained(path):
        _write_whole(path, data, durable=False)


def _write_whole(path: Path, data: bytes, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write(descriptor, data)
        if durable:
            _sync(descriptor)
    finally:
        os.close(descriptor)


_CANONICAL = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spare spaces: equal values give equal text."""
    return _CANONICAL.encode(value)


def write_json(path: Path, value: Any) -> None:
    """Write readable JSON (sorted keys, UTF-8) atomically."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    write_file(path, f"{text}\n".encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; raises OSError or ValueError as the standard library does."""
    return json.loads(path.read_text(encoding="utf-8"))


def append_line(path: Path, text: str) -> None:
    """Append one line in a single write, so that a reader sees whole lines only."""
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            _write(descriptor, f"{text}\n".encode())
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give an empty hidden folder inside `parent`; it is gone afterwards unless published."""
    folder = parent / _hidden_name()
    with _explained(folder):
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_folder(temporary: Path, final: Path, *, sync_files: bool = False) -> None:
    """Give a finished folder its name in one step; `sync_files` for those `fill_file` wrote.

    Raises
    ------
    Refused
        A folder of that name exists (another process was first).
    CorpuskitError
        The disk refused.

    """
    with _explained(final):
        for path in sorted(temporary.rglob("*")):
            if sync_files or path.is_dir():
                _sync_path(path)
        _sync_path(temporary)
        if final.exists():
            raise Refused(f"{final} exists already", "choose another name")
        try:
            _rename(temporary, final)
        except FileExistsError as error:
            raise Refused(f"{final} exists already", "choose another name") from error
        except OSError as error:
            if final.exists():  # "directory not empty", spelt differently by each system
                raise Refused(f"{final} exists already", "choose another name") from error
            raise
        _sync_path(final.parent)


def leftovers(folder: Path) -> list[Path]:
    """Return what processes of this machine that are no longer alive left half-written, sorted.

    Leftovers of other machines are not among them: whether their writers live cannot be
    known from here.
    """
    mine = f"{_HIDDEN}{socket.gethostname()}-"
    found = []
    for path in sorted(folder.glob(f"{mine}*")) if folder.is_dir() else []:
        pid = path.name.removeprefix(mine).split("-", 1)[0]
        if pid.isdigit() and not is_alive(int(pid)):
            found.append(path)
    return found


def remove_leftovers(folder: Path) -> int:
    """Remove the `leftovers` in a folder; returns how many there were."""
    found = leftovers(folder)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)
