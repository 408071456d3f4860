"""A preview in words: what each threshold does, what the levels say, which to take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corpuskit.config import to_mapping
from corpuskit.preview.survey import Previewed
from corpuskit.preview.words import (
    PHRASES_HEADER,
    THRESHOLDS_HEADER,
    VOICES_HEADER,
    command,
    findings,
    phrases_row,
    rows_of,
    threshold_row,
    voice_row,
    voices_of,
)
from corpuskit.tables import counted, table

__all__ = ["as_json", "previewed"]

SHOWN = 12  # voices


def previewed(found: Previewed) -> Iterator[str]:
    """Tell everything a preview found, the recommendation last."""
    rows = rows_of(found)
    pairs = counted(found.candidates, "pair")
    yield f"{len(found.looked.pairs):,} of {pairs} of {found.request.name}"
    if found.set_aside:
        first = " ".join(next(iter(found.set_aside.items())))
        yield f"set aside: {counted(len(found.set_aside), 'recording')}, first: {first}"
    yield ""
    voices = voices_of(found, SHOWN)
    yield from table(VOICES_HEADER, [voice_row(found, name) for name in voices])
    if len(found.profiles) > len(voices):
        quieter = len(found.profiles) - len(voices)
        yield f"and {quieter:,} with less noise (--json and --html tell all)"
    yield ""
    cells = [threshold_row(found, row, side) for row in rows for side in ("source", "target")]
    yield from table(THRESHOLDS_HEADER, cells)
    yield ""
    cells = [phrases_row(found, row, phrases) for row in rows for phrases in row.phrases]
    yield from table(PHRASES_HEADER, cells)
    yield ""
    yield from _closing(found)


def _closing(found: Previewed) -> Iterator[str]:
    for row in found.rows:
        for text in row.warnings:
            yield f"warning: {row.thresh:g} {text}"
    for text in findings(found):
        yield f"note: {text}"
    for text in found.recommended.reasons:
        yield f"because {text}"
    yield f"recommended: {command(found)}"


def as_json(found: Previewed) -> dict[str, Any]:
    """Return a preview as plain values."""
    return {
        "name": found.request.name,
        "pairs": len(found.looked.pairs),
        "candidates": found.candidates,
        "set_aside": found.set_aside,
        "voices": to_mapping(found.profiles),
        "thresholds": to_mapping(found.rows),
        "recommended": to_mapping(found.recommended),
        "recommended_does": to_mapping(found.recommended_row),
    }
