"""What an export is asked for, and what it says while it runs."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from corpuskit import engine
from corpuskit.errors import CorpuskitError, unknown
from corpuskit.versions import Pair, Recording, Side, Version

__all__ = [
    "SPLITS",
    "Means",
    "Note",
    "Progress",
    "Writer",
    "file_name",
    "in_threads",
    "need",
    "used_sides",
]

In = TypeVar("In")
Out = TypeVar("Out")

SPLITS = ("train", "dev", "eval")
_CHUNK = 256  # tasks handed to the threads at once, so that results do not pile up
_LONGEST = 150  # bytes a cleaned name keeps; file systems allow 255 with prefix and ending


@dataclass(frozen=True, kw_only=True)
class Means:
    """What of a version is exported, and with how many threads."""

    splits: tuple[str, ...] = SPLITS
    jobs: int = 1
    folder: Path = Path()  # where the export will be; for formats that name their own files

    def __post_init__(self) -> None:
        for split in self.splits:
            if split not in SPLITS:
                raise unknown("split", split, SPLITS)

    def pairs(self, version: Version) -> tuple[Pair, ...]:
        """Return the chosen pairs of a version, sorted by id."""
        return tuple(pair for pair in version.pairs if pair.split in self.splits)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of `total` units of a stage are written."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something the user should read."""

    text: str


# Fills an empty folder that nobody else sees yet; the registry gives it its name afterwards.
Writer = Callable[[Version, Path, Means], Iterator[Progress | Note]]


def used_sides(version: Version, pairs: Sequence[Pair]) -> list[tuple[Side, Recording]]:
    """Return every recording of the pairs once, with one side it has, sorted by id.

    What is kept of a recording, and its silences, are decided by the recording alone; only
    phrases differ between the pairs it is in.
    """
    sides = {side.recording: side for pair in pairs for side in (pair.source, pair.target)}
    recordings = {recording.id: recording for recording in version.recordings}
    return [(sides[name], recordings[name]) for name in sorted(sides)]


def file_name(text: str) -> str:
    """Return a name every file system takes: `text` itself where it is plain already.

    Otherwise it is cleaned, and the first 8 digits of its SHA-256 keep it apart from others.
    """
    plain = re.sub(r"[^\w.+-]", "_", text).encode()[:_LONGEST].decode(errors="ignore")
    if plain == text and not text.startswith("."):
        return text
    return f"{plain.lstrip('.')}~{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def in_threads(
    function: Callable[[In], Out], items: Sequence[In], means: Means, ahead: int = _CHUNK
) -> Iterator[tuple[int, Out]]:
    """Yield (how many are done, function(item)) in order; at most `ahead` results wait."""
    done = 0
    for first in range(0, len(items), ahead):
        chunk = items[first : first + ahead]
        for result in engine.threads(function, chunk, means.jobs):
            done += 1
            yield done, result


def need(module: str, extra: str, form: str) -> None:
    """Ask for a library that only this format needs.

    Raises
    ------
    CorpuskitError
        It is not installed.

    """
    if importlib.util.find_spec(module) is None:
        raise CorpuskitError(
            f"an export to {form} needs {module}, which is not installed",
            f"pip install 'corpuskit[{extra}]'",
        )
