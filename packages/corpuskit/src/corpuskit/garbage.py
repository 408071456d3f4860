"""What a workspace holds that no version needs, and taking it away.

Objects are put into the store before the version that needs them exists, and builds take up
objects nobody needed until then. So a cleaning has the workspace alone (`locks`), and it
refuses as long as one version cannot tell what it needs. Versions and runs are never touched;
a run needs nothing but its version.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit import silence
from corpuskit.errors import BadVersion, CorpuskitError, Refused
from corpuskit.files import leftovers, remove_leftovers, write_file
from corpuskit.inventory import short
from corpuskit.locks import alone, is_busy
from corpuskit.objects import Store
from corpuskit.recordings import Index
from corpuskit.versions import inventory

__all__ = ["Cleaned", "Garbage", "Listed", "Progress", "clean"]

_DAY = 86400  # seconds
_OFTEN = 1000  # objects between two events


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Things of one kind that nothing needs, for one reason."""

    kind: str  # "features", "levels", "alignment", "leftover", "index", "unreadable"
    why: str
    count: int
    size: int  # bytes


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Everything that nothing needs, and what stays."""

    garbage: tuple[Garbage, ...]
    versions: int
    kept: int  # objects that stay
    kept_size: int  # bytes
    busy: bool  # something is at work, whose objects are listed too (dry run only)

    @property
    def count(self) -> int:
        """How many things nothing needs."""
        return sum(each.count for each in self.garbage)

    @property
    def size(self) -> int:
        """Bytes of them."""
        return sum(each.size for each in self.garbage)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of `total` objects are removed."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """The end of a cleaning."""

    size: int  # bytes freed


def clean(
    workspace: Path, *, dry_run: bool = False, older_than: float = 0.0
) -> Iterator[Listed | Progress | Cleaned]:
    """List what no version needs, then remove it unless it is a dry run.

    Parameters
    ----------
    older_than : days; younger objects stay, for a threshold to be tried again tomorrow.

    Raises
    ------
    Refused
        A version is damaged, so what it needs is not known; or a build is running.

    """
    if not workspace.is_dir():
        yield Listed(garbage=(), versions=0, kept=0, kept_size=0, busy=False)
        return
    with contextlib.nullcontext() if dry_run else alone(workspace):
        search = _Search(workspace, time.time() - older_than * _DAY)
        yield search.listed(busy=dry_run and is_busy(workspace))
        if not dry_run:
            yield from _remove(workspace, search)


class _Search:
    """One look at everything in a workspace."""

    def __init__(self, workspace: Path, before: float) -> None:
        self.workspace, self.before = workspace, before
        self.store = Store(workspace)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.sizes: Counter[tuple[str, str]] = Counter()
        self.kept = self.kept_size = 0
        self.objects: list[str] = []
        self.indexes: list[tuple[Path, bytes]] = []
        self.versions, self.needed = _needed(workspace)
        for folder in self.store.folders():
            self._look_at_objects(folder)
        for folder in _folders(workspace):
            self._look_for_leftovers(folder)
        for path in sorted((workspace / "index").glob("*.json")):
            self._look_at_index(path)

    def listed(self, *, busy: bool) -> Listed:
        """Return the finding in words and numbers."""
        return Listed(
            garbage=tuple(
                Garbage(kind=kind, why=why, count=count, size=self.sizes[kind, why])
                for (kind, why), count in sorted(self.counts.items())
            ),
            versions=self.versions,
            kept=self.kept,
            kept_size=self.kept_size,
            busy=busy,
        )

    def _add(self, kind: str, why: str, size: int, count: int = 1) -> None:
        self.counts[kind, why] += count
        self.sizes[kind, why] += size

    def _look_at_objects(self, folder: Path) -> None:
        names, sizes, young = [], [], []
        for entry in os.scandir(folder):
            name = folder.name + entry.name.removesuffix(".safetensors")
            if len(name) == 64 and entry.name.endswith(".safetensors"):
                status = entry.stat()
                names.append(name)
                sizes.append(status.st_size)
                young.append(status.st_mtime >= self.before)
        stays = self._is_needed(names) | np.array(young, dtype=bool)
        for name, size, needed in sorted(zip(names, sizes, stays, strict=True)):
            if needed:
                self.kept += 1
                self.kept_size += size
            else:
                self.objects.append(name)
                self._add(*self._reason(name), size)

    def _is_needed(self, names: list[str]) -> npt.NDArray[np.bool_]:
        try:
            rows = np.frombuffer(bytes.fromhex("".join(names)), dtype=np.uint8).reshape(-1, 32)
        except ValueError:
            raise Refused(
                f"{self.store.root} holds files that are no objects", "look at them first"
            ) from None
        return np.isin(short(rows), self.needed)

    def _reason(self, name: str) -> tuple[str, str]:
        """Return the kind of an object and why no version needs it, from its key."""
        key = self.store.header(name)
        stage, inputs = str(key.get("stage")), key.get("inputs")
        if not isinstance(inputs, dict):
            return "unreadable", "its header is damaged"
        if stage == "alignment":
            known = self._all_needed([inputs.get("source"), inputs.get("target")])
            return stage, (
                "pairs in use, with other thresholds or settings"
                if known
                else "recordings or settings of no version"
            )
        levels = silence.levels_key(str(inputs.get("audio"))).hex()
        if stage == "features" and self._all_needed([levels]):
            return stage, "recordings in use, with other settings or libraries"
        return stage, "recordings of no version"

    def _all_needed(self, names: list[Any]) -> bool:
        return all(
            isinstance(name, str) and len(name) == 64 and bool(self._is_needed([name])[0])
            for name in names
        )

    def _look_for_leftovers(self, folder: Path) -> None:
        for path in leftovers(folder):
            inside = path.rglob("*") if path.is_dir() else [path]
            size = sum(each.stat().st_size for each in inside if each.is_file())
            self._add("leftover", "builds that were killed", size)

    def _look_at_index(self, path: Path) -> None:
        size, index = path.stat().st_size, Index.at(path)
        if not index.readable:
            self.indexes.append((path, b""))
            self._add("index", "files that are damaged, or of other libraries", size)
            return
        outdated = index.forget_outdated()
        if outdated:
            content = index.content() if len(index) else b""
            self.indexes.append((path, content))
            why = "entries of recordings that changed or are gone"
            self._add("index", why, size - len(content), outdated)


def _folders(workspace: Path) -> list[Path]:
    """Return the folders in which builds leave something when they are killed."""
    return [workspace / "versions", workspace / "index", *Store(workspace).folders()]


def _needed(workspace: Path) -> tuple[int, npt.NDArray[np.uint64]]:
    """Return the number of versions and the shortened names of all objects they need.

    Raises
    ------
    Refused
        A version cannot be read.

    """
    folder = workspace / "versions"
    names = sorted(
        path.name
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.is_dir() and not path.name.startswith(".")
    )
    stocks = []
    for name in names:
        try:
            if not (folder / name / "version.json").is_file():
                raise BadVersion(f"dataset {name} is damaged: version.json is missing")
            stocks.append(short(inventory(workspace, name).names))
        except CorpuskitError as error:
            raise Refused(
                f"{error.problem}: what it needs is not known, so nothing is removed",
                f"repair {folder / name} or remove it first",
            ) from None
    return len(names), np.unique(np.concatenate(stocks)) if stocks else np.empty(0, np.uint64)


def _remove(workspace: Path, search: _Search) -> Iterator[Progress | Cleaned]:
    freed = 0
    try:
        for done, name in enumerate(search.objects, start=1):
            path = search.store.path(name)
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                freed += size
            if done % _OFTEN == 0 or done == len(search.objects):
                yield Progress(stage="remove", done=done, total=len(search.objects))
        freed += _remove_rest(workspace, search)
    except OSError as error:
        raise CorpuskitError(
            f"cannot remove {error.filename}: {error.strerror}",
            "what was removed until then is gone, the rest is as it was",
        ) from error
    yield Cleaned(size=freed)


def _remove_rest(workspace: Path, search: _Search) -> int:
    """Remove leftovers and outdated index entries; returns the bytes freed."""
    for folder in _folders(workspace):
        remove_leftovers(folder)
    for path, content in search.indexes:
        if content:
            write_file(path, content, durable=False)
        else:
            path.unlink(missing_ok=True)
    kinds: Mapping[tuple[str, str], int] = search.sizes
    return sum(size for (kind, _), size in kinds.items() if kind in ("leftover", "index"))
