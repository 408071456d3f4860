"""Corpora on disk: which recordings a folder holds, who speaks, and what is said.

A layout turns a corpus definition into `Found` recordings. A new layout is one more module
here and its function in `_LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from corpuskit.config import CorpusConfig
from corpuskit.layouts import folder
from corpuskit.layouts.found import Clip, Found, Scan

__all__ = ["Clip", "Found", "Scan", "scan"]

_LAYOUTS: dict[str, Callable[[str, CorpusConfig], Scan]] = {"folder": folder.scan}


def scan(corpora: Mapping[str, CorpusConfig]) -> Scan:
    """List the recordings of all corpora, sorted by id. Nothing is decoded yet."""
    recordings: list[Found] = []
    warnings: list[str] = []
    for name, corpus in sorted(corpora.items()):
        found = _LAYOUTS[corpus.layout](name, corpus)
        recordings.extend(found.recordings)
        warnings.extend(found.warnings)
    return Scan(recordings=tuple(sorted(recordings, key=lambda r: r.id)), warnings=tuple(warnings))
