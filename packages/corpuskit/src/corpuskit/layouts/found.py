"""What a scan yields: recordings that were found, not yet opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Clip", "Found", "Scan"]

Clip = tuple[int, int | None]  # ms: first, and one past the last; None is the end of the file


@dataclass(frozen=True, kw_only=True)
class Found:
    """One recording on disk, before it is opened."""

    id: str  # "speaker/sentence", unique in a dataset
    speaker: str
    sentence: str  # equal for all speakers who say it
    corpus: str
    relative: str  # path below the corpus root, with "/"
    path: Path
    problem: str = ""  # why it cannot be used; empty when it can
    clip: Clip | None = None  # the part of the file that it is; None: all of it
    text: str = ""  # transcript, where the corpus has one
    f0_range: tuple[float, float] | None = None  # Hz; the speaker's, where the corpus tells it
    note: str = ""  # what of the corpus was corrected to get it (another name, a clip)
    absent: bool = False  # a transcript names it, but there is no file


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a corpus holds."""

    recordings: tuple[Found, ...]  # sorted by id
    warnings: tuple[str, ...]
