"""The plain layout: one folder of recordings a speaker; the file stem is the sentence."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from corpuskit.audio import EXTENSIONS
from corpuskit.config import CorpusConfig
from corpuskit.layouts.found import Found, Scan

__all__ = ["scan"]


def scan(name: str, corpus: CorpusConfig) -> Scan:
    """List the recordings below each speaker's folder."""
    recordings: list[Found] = []
    warnings: list[str] = []
    for speaker, folder in sorted(corpus.speakers.items()):
        top = Path(corpus.root) / folder
        if not top.is_dir():
            warnings.append(f"speaker {speaker}: folder {top} does not exist")
            continue
        recordings.extend(_speaker_recordings(name, corpus, speaker, top, warnings))
    return Scan(recordings=tuple(recordings), warnings=tuple(warnings))


def _speaker_recordings(
    name: str, corpus: CorpusConfig, speaker: str, top: Path, warnings: list[str]
) -> Iterator[Found]:
    by_sentence: dict[str, list[Path]] = defaultdict(list)
    for path in _audio_files(top, warnings):
        by_sentence[_sentence(path)].append(path)
    for sentence, paths in by_sentence.items():
        for path in paths:
            inside = path.relative_to(top).as_posix()
            problem = _problem(inside, len(paths) - 1)
            yield Found(
                id=f"{speaker}/{_readable(inside) if problem else sentence}",
                speaker=speaker,
                sentence=sentence,
                corpus=name,
                relative=_readable(os.path.relpath(path, corpus.root).replace(os.sep, "/")),
                path=path,
                problem=problem,
            )


def _problem(inside: str, others: int) -> str:
    if _readable(inside) != inside:
        return "has a file name that is not UTF-8 text"
    return f"shares its stem with {others} other file(s)" if others else ""


def _sentence(path: Path) -> str:
    """Return the stem, composed: file systems disagree on how to store accents and kana."""
    return unicodedata.normalize("NFC", _readable(path.stem))


def _readable(name: str) -> str:
    """Spell out bytes that are no UTF-8 (names from old archives): our files are text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _audio_files(top: Path, warnings: list[str]) -> Iterator[Path]:
    """Yield recordings below `top`, sorted, through links, each folder once, nothing hidden."""

    def unreadable(error: OSError) -> None:
        warnings.append(f"folder {error.filename} cannot be read: {error.strerror}")

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(top, onerror=unreadable, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()  # a link in a circle
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and file.lower().endswith(EXTENSIONS):
                yield Path(folder) / file
