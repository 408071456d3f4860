"""JSSS: one speaker; short sentences parallel to JSUT, and longer forms that nobody else reads."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from corpuskit.config import CorpusConfig
from corpuskit.layouts.found import Found, Scan
from corpuskit.layouts.listing import folders, is_folder
from corpuskit.layouts.subset import Subset, told_apart
from corpuskit.layouts.transcripts import read_lines, read_segments
from corpuskit.subsets import SUBSETS, chosen

__all__ = ["fits", "scan"]

_WAVS = "wav24kHz16bit"
_JSUT_ID = re.compile(r"(BASIC5000|ONOMATOPEE300|VOICEACTRESS100)_")


def fits(folder: Path) -> bool:
    """Whether a folder is a JSSS corpus."""
    forms = {subset.split("/")[0] for subset in SUBSETS["jsss"]}
    return any(is_folder(folder / form) for form in forms)


def scan(name: str, corpus: CorpusConfig, top: Path) -> Scan:
    """List the recordings of the subsets that are wanted; `top` is the corpus' own folder."""
    warnings: list[str] = []
    recordings: list[Found] = []
    for subset in chosen("jsss", corpus.subsets):
        folder = top / subset
        if not is_folder(folder):
            warnings.append(f"corpus {name}: subset {subset}: folder {folder} does not exist")
            continue
        for part in _parts(folder):
            recordings.extend(_recordings(name, corpus, subset, part, warnings))
    return Scan(recordings=tuple(told_apart(recordings)), warnings=tuple(warnings))


def _parts(folder: Path) -> list[Path]:
    """Return the folders that hold wavs: the subset's own, or those of its parts."""
    if is_folder(folder / _WAVS):
        return [folder]
    return [below for below in folders(folder) if is_folder(below / _WAVS)] or [folder]


def _recordings(
    name: str, corpus: CorpusConfig, subset: str, folder: Path, warnings: list[str]
) -> Iterator[Found]:
    if subset.startswith(("long-form", "summarization")):
        texts = read_segments(folder / "transcript_utf8", warnings)
    else:
        texts = read_lines(folder / "transcript_utf8.txt", warnings)
    here = Subset(
        corpus=name,
        root=corpus.root,
        wavs=folder / _WAVS,
        texts=texts,
        voice=functools.partial(_voice, subset),
    )
    yield from here.recordings(warnings)


def _voice(subset: str, name: str) -> tuple[str, str]:
    """Return speaker and sentence; what is not parallel must not bear a parallel sentence's id."""
    if subset.startswith("short-form") or not _JSUT_ID.match(name):
        return "jsss", name
    return "jsss", f"{subset.split('/')[0]}-{name}"
