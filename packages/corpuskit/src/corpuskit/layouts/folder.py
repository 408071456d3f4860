"""The plain layout: one folder of recordings a speaker; the file stem is the sentence."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from corpuskit.config import CorpusConfig
from corpuskit.layouts.found import Found, Scan
from corpuskit.layouts.listing import (
    absence,
    audio_files,
    is_folder,
    other_files,
    readable,
    stem_of,
)

__all__ = ["scan"]


def scan(name: str, corpus: CorpusConfig) -> Scan:
    """List the recordings below each speaker's folder."""
    recordings: list[Found] = []
    warnings: list[str] = []
    assert isinstance(corpus.speakers, dict)
    for speaker in sorted(corpus.voices):
        folder = corpus.speakers[speaker]
        top = Path(corpus.root) / folder
        if not is_folder(top):
            warnings.append(f"speaker {speaker}: folder {top} {absence(top)}")
            continue
        recordings.extend(_speaker_recordings(name, corpus, speaker, top, warnings))
    return Scan(recordings=tuple(recordings), warnings=tuple(warnings))


def _speaker_recordings(
    name: str, corpus: CorpusConfig, speaker: str, top: Path, warnings: list[str]
) -> Iterator[Found]:
    by_sentence: dict[str, list[Path]] = defaultdict(list)
    for path in audio_files(top, warnings):
        by_sentence[stem_of(path)].append(path)
    for sentence, paths in by_sentence.items():
        for path in paths:
            inside = path.relative_to(top).as_posix()
            problem = _problem(inside, paths)
            yield Found(
                id=f"{speaker}/{readable(inside) if problem else sentence}",
                speaker=speaker,
                sentence=sentence,
                corpus=name,
                relative=readable(os.path.relpath(path, corpus.root).replace(os.sep, "/")),
                path=path,
                problem=problem,
            )


def _problem(inside: str, namesakes: Sequence[Path]) -> str:
    """Say why a file below the speaker's folder cannot be told from its namesakes, if so."""
    if readable(inside) != inside:
        return "has a file name that is not UTF-8 text"
    if len(namesakes) == 1:
        return ""
    forms = len({path.stem for path in namesakes}) > 1
    told = f"shares its stem with {other_files(len(namesakes) - 1)}"
    return f"{told}, but for Unicode's two ways to write a letter (NFC, NFD)" if forms else told
