"""What a run has heard in training, itself and through its ancestors, and what that leaks.

A pair of the dev or eval split whose sentence was trained on in the same voice, by the run
or by a run it was fine-tuned from, is a leak: a score over it says nothing about new
sentences. The same sentence in another voice is only counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corpuskit.files import read_json, write_json
from trainer.errors import BadRun

if TYPE_CHECKING:
    from corpuskit.versions import Pair

__all__ = [
    "FILE",
    "Heard",
    "Leaks",
    "find_leaks",
    "heard_in",
    "read_heard",
    "union",
    "without",
    "write_heard",
]

FILE = "trained_on.json"  # in the run's folder: {speaker: [sentence, ...]}
Heard = Mapping[str, frozenset[str]]  # sentences by speaker


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """Which of some held-out pairs were heard in training."""

    pairs: tuple[str, ...]  # ids: one of the two recordings' sentence was heard in that very voice
    other_voice: tuple[str, ...]  # ids: the sentence was heard, but in other voices only

    @property
    def sentences(self) -> tuple[str, ...]:
        """The leaked sentences, sorted."""
        return tuple(sorted({pair.partition("/")[2] for pair in self.pairs}))


def heard_in(pairs: Iterable[Pair]) -> Heard:
    """Return what training on `pairs` lets a model hear: both sides of every pair."""
    sentences: dict[str, set[str]] = {}
    for pair in pairs:
        for side in (pair.source, pair.target):
            sentences.setdefault(side.speaker, set()).add(pair.sentence)
    return {speaker: frozenset(those) for speaker, those in sentences.items()}


def union(*parts: Heard) -> Heard:
    """Return what was heard in any of `parts`."""
    speakers = sorted({speaker for part in parts for speaker in part})
    return {
        speaker: frozenset().union(*(part.get(speaker, frozenset()) for part in parts))
        for speaker in speakers
    }


def find_leaks(heard: Heard, held_out: Iterable[Pair]) -> Leaks:
    """Say which held-out pairs a model that has `heard` this already knows.

    Use it with `read_heard(run.folder)` and the pairs to be scored.
    """
    anywhere = frozenset().union(*heard.values())
    leaked, other = [], []
    for pair in held_out:
        voices = (pair.source.speaker, pair.target.speaker)
        if any(pair.sentence in heard.get(voice, frozenset()) for voice in voices):
            leaked.append(pair.id)
        elif pair.sentence in anywhere:
            other.append(pair.id)
    return Leaks(pairs=tuple(leaked), other_voice=tuple(other))


def without(pairs: Iterable[Pair], left_out: Iterable[str]) -> tuple[Pair, ...]:
    """Return the pairs whose id is not in `left_out`: those that count in scores."""
    excluded = frozenset(left_out)
    return tuple(pair for pair in pairs if pair.id not in excluded)


def write_heard(folder: Path, heard: Heard) -> None:
    """Write trained_on.json of a run."""
    write_json(folder / FILE, {speaker: sorted(those) for speaker, those in heard.items()})


def read_heard(folder: Path) -> Heard:
    """Read what a run and its ancestors were trained on.

    Raises
    ------
    BadRun
        The file is missing or damaged.
    """
    try:
        mapping = read_json(folder / FILE)
        return {speaker: frozenset(those) for speaker, those in mapping.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadRun(f"run {folder.name}: {FILE} cannot be read ({error})") from None
