"""Which recordings belong together, and which sentences are held out.

A pair is two recordings of one sentence by two speakers. A split is drawn by sentence
from a stable hash of its id: whatever the version, the family or the voices, a sentence
keeps its place in the order, and adding recordings moves others only at the margin that
keeps the counts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from corpuskit.config import SplitConfig
from corpuskit.errors import BadSetting
from corpuskit.layouts import Found

__all__ = ["Candidate", "candidates", "split_sentences"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Two recordings that could be a pair."""

    source: Found
    target: Found

    @property
    def sentence(self) -> str:
        """The sentence both say."""
        return self.source.sentence

    @property
    def id(self) -> str:
        """ "source>target/sentence", unique in a version."""
        return f"{self.source.speaker}>{self.target.speaker}/{self.sentence}"


def candidates(
    recordings: Iterable[Found], directions: Iterable[tuple[str, str]]
) -> list[Candidate]:
    """Match recordings by sentence for every (source, target) speaker, sorted by id.

    A recording that has a problem of its own (an ambiguous stem) matches nothing.
    """
    spoken: dict[str, dict[str, Found]] = {}
    for found in recordings:
        if not found.problem:
            spoken.setdefault(found.speaker, {})[found.sentence] = found
    matched = {
        candidate.id: candidate
        for source, target in directions
        for candidate in _matches(spoken.get(source, {}), spoken.get(target, {}))
    }
    return [matched[name] for name in sorted(matched)]


def _matches(source: Mapping[str, Found], target: Mapping[str, Found]) -> Iterable[Candidate]:
    for sentence in source.keys() & target.keys():
        yield Candidate(source=source[sentence], target=target[sentence])


def _rank(sentence: str) -> bytes:
    return hashlib.sha256(f"split/{sentence}".encode()).digest()


def split_sentences(sentences: Iterable[str], settings: SplitConfig) -> dict[str, str]:
    """Assign every sentence to "train", "dev" or "eval".

    Sentences are ordered by a hash of their id; eval is taken from one end and dev from
    the other, so that no sentence ever moves between the two.

    Raises
    ------
    BadSetting
        Nothing would be left to train on.

    """
    order = sorted(set(sentences), key=_rank)
    dev, held_out = _count(settings.dev, len(order)), _count(settings.eval, len(order))
    if dev + held_out >= len(order):
        raise BadSetting(
            f"split.dev = {settings.dev} and split.eval = {settings.eval} leave nothing to train "
            f"on: there are {len(order)} usable sentences",
            "lower them with --set split.dev=N --set split.eval=N",
        )
    splits = dict.fromkeys(order, "train")
    splits.update(dict.fromkeys(order[:held_out], "eval"))
    splits.update(dict.fromkeys(order[len(order) - dev :], "dev"))
    return splits


def _count(wanted: int | float, total: int) -> int:
    """Turn a count or a share into a count; a share above 0 gives at least one sentence."""
    # As written: 0.07 of 100 is 7, though the product of the two floats is a little more.
    return wanted if isinstance(wanted, int) else math.ceil(Fraction(str(wanted)) * total)
