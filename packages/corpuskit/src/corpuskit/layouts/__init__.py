"""Corpora on disk: which recordings a folder holds, who speaks, and what is said.

A layout turns a corpus definition into `Found` recordings. A new layout is one more module
here and a line in `_LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from corpuskit.config import CorpusConfig
from corpuskit.layouts import folder, jsss, jsut, jvs
from corpuskit.layouts.found import Clip, Found, Scan
from corpuskit.layouts.listing import is_folder, locate

__all__ = ["Clip", "Found", "Scan", "recognise", "scan"]

Scanner = Callable[[str, CorpusConfig, Path], Scan]
# layout -> (whether a folder is such a corpus, what lists its recordings)
_LAYOUTS: Mapping[str, tuple[Callable[[Path], bool], Scanner]] = {
    "jsut": (jsut.fits, jsut.scan),
    "jsss": (jsss.fits, jsss.scan),
    "jvs": (jvs.fits, jvs.scan),
}


def scan(corpora: Mapping[str, CorpusConfig]) -> Scan:
    """List the recordings of all corpora, sorted by id. Nothing is decoded yet."""
    recordings: list[Found] = []
    warnings: list[str] = []
    for name, corpus in sorted(corpora.items()):
        found = folder.scan(name, corpus) if corpus.layout == "folder" else _known(name, corpus)
        recordings.extend(found.recordings)
        warnings.extend(found.warnings)
    return Scan(recordings=tuple(sorted(recordings, key=lambda r: r.id)), warnings=tuple(warnings))


def _known(name: str, corpus: CorpusConfig) -> Scan:
    fits, scanner = _LAYOUTS[corpus.layout]
    top = locate(Path(corpus.root), fits)
    if top is None:
        there = is_folder(Path(corpus.root))
        problem = f"holds no {corpus.layout} corpus" if there else "does not exist"
        return Scan(recordings=(), warnings=(f"corpus {name}: folder {corpus.root} {problem}",))
    found = scanner(name, corpus, top)
    wanted = set(corpus.voices)
    return Scan(
        recordings=tuple(each for each in found.recordings if each.speaker in wanted),
        warnings=found.warnings,
    )


def recognise(root: Path) -> tuple[str, Path] | None:
    """Return the layout of a folder (or of one inside it) and the corpus' own folder."""
    for layout, (fits, _) in _LAYOUTS.items():
        top = locate(root, fits)
        if top is not None:
            return layout, top
    return None
