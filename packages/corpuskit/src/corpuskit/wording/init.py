"""A new definition in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from corpuskit.draft import Draft
from corpuskit.tables import counted, length

__all__ = ["written"]


def written(name: str, file: Path, made: Draft) -> Iterator[str]:
    """Say what was found, what is proposed, and how to go on."""
    for voice in (made.source, made.target):
        recordings = counted(len(voice.recordings), "recording")
        rates = ", ".join(f"{rate:,} Hz" for rate in voice.rates)
        yield f"{voice.name}: {recordings}, {length(voice.seconds)}, {rates}"
    if made.recommendation is not None:
        advice = made.recommendation
        yield f"thresholds: {advice.thresh:g} dBFS, head {advice.head_thresh:g} dBFS"
    given = "" if file == Path("configs") / "datasets" / f"{name}.toml" else f" --config {file}"
    yield (
        f"Wrote {file}: {counted(made.pairs, 'pair')} of {made.source.name} and "
        f"{made.target.name}. Next: corpuskit preview {name}{given}, or at once "
        f"corpuskit build {name}{given}"
    )
