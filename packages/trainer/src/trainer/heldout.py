"""Held-out pairs on which some runs can be heard side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer import lineage

if TYPE_CHECKING:
    from corpuskit.versions import Pair, Version
    from trainer.runs import Run

__all__ = ["drawn", "held_out"]


def held_out(
    version: Version, runs: Sequence[Run], split: str, vocoders: Sequence[Run] = ()
) -> tuple[tuple[Pair, ...], dict[str, str]]:
    """Return the pairs of a split that no run knows, a vocoder's neither, and every run converts.

    The others stand in the mapping: pair to why it is left out for all.

    Raises
    ------
    BadRun
        What a run was trained on cannot be read.
    """
    pairs, left_out = version.split(split), {}
    for run in (*runs, *vocoders):
        leaks = lineage.find_leaks(lineage.read_heard(run.folder), pairs)
        known = "a run or an ancestor of it was trained on this sentence"
        left_out.update(dict.fromkeys(leaks.pairs, known))
        pairs = lineage.without(pairs, left_out)
    foreign = [pair.id for pair in pairs if not all(_knows_voices(run, pair) for run in runs)]
    left_out.update(dict.fromkeys(foreign, "a run does not know the two voices"))
    return lineage.without(pairs, left_out), left_out


def _knows_voices(run: Run, pair: Pair) -> bool:
    return {pair.source.speaker, pair.target.speaker} <= set(run.speakers)


def drawn(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Return pairs in an order that their names and `seed` alone determine."""
    return sorted(pairs, key=lambda pair: _hash(pair.id, seed))


def _hash(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
