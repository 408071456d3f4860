"""JSUT: one speaker, nine subsets, each with its wavs and one transcript.

The five readings of the hundred sentences of `repeat500` are voices of their own (jsut_set1 to
jsut_set5), so that one reading can be paired with another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from corpuskit.config import CorpusConfig
from corpuskit.layouts.defects import TRANSCRIPT_NAMES
from corpuskit.layouts.found import Found, Scan
from corpuskit.layouts.listing import is_folder
from corpuskit.layouts.subset import Subset, told_apart
from corpuskit.layouts.transcripts import read_lines
from corpuskit.subsets import SUBSETS, chosen

__all__ = ["fits", "scan"]

_REPEATED = re.compile(r"REPEAT500_(set\d+)_(.+)")


def fits(folder: Path) -> bool:
    """Whether a folder is a JSUT corpus."""
    return any(is_folder(folder / subset / "wav") for subset in SUBSETS["jsut"])


def scan(name: str, corpus: CorpusConfig, top: Path) -> Scan:
    """List the recordings of the subsets that are wanted; `top` is the corpus' own folder."""
    warnings: list[str] = []
    recordings: list[Found] = []
    for subset in chosen("jsut", corpus.subsets):
        folder = top / subset
        if not is_folder(folder):
            warnings.append(f"corpus {name}: subset {subset}: folder {folder} does not exist")
            continue
        texts = _rightly_named(read_lines(folder / "transcript_utf8.txt", warnings))
        here = Subset(corpus=name, root=corpus.root, wavs=folder / "wav", texts=texts, voice=_voice)
        recordings.extend(here.recordings(warnings))
    return Scan(recordings=tuple(told_apart(recordings)), warnings=tuple(warnings))


def _voice(name: str) -> tuple[str, str]:
    repeated = _REPEATED.fullmatch(name)
    if repeated is None:
        return "jsut", name
    return f"jsut_{repeated[1]}", f"REPEAT500_{repeated[2]}"


def _rightly_named(texts: Mapping[str, str]) -> dict[str, str]:
    """Correct ids that transcripts of ver1 misname; a right id keeps its own text."""
    right = dict(texts)
    for wrong, meant in TRANSCRIPT_NAMES:
        for name in [name for name in right if name.startswith(wrong)]:
            text = right.pop(name)
            right.setdefault(f"{meant}{name.removeprefix(wrong)}", text)
    return right
