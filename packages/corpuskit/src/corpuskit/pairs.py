"""Which recordings belong together, and which sentences are held out.

A pair is two recordings of one sentence by two speakers. A split is drawn by sentence
from a stable hash of its id, whichever voices say it, from all candidate pairs: what a
threshold sets aside moves no other sentence, and where splits are shares nothing does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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


def split_sentences(sentences: Iterable[str], settings: SplitConfig) -> dict[str, str]:
    """Assign every sentence to "train", "dev" or "eval".

    Each sentence has a place between 0 and 1, a hash of its id; eval is taken from the lower end,
    dev from the upper one. A share takes those whose place lies within it: what else there is
    moves nothing. A count takes that many: as sentences come or go, others move at its margin,
    never from dev to eval. A share above 0 takes at least one sentence.

    Raises
    ------
    BadSetting
        Nothing would be left to train on.

    """
    order = sorted(set(sentences), key=_place)
    held_out = _below([_place(each) for each in order], settings.eval)
    dev = _below([ONE - 1 - _place(each) for each in reversed(order)], settings.dev)
    if dev + held_out >= len(order):
        raise BadSetting(
            f"split.dev = {settings.dev} and split.eval = {settings.eval} leave nothing to train "
            f"on: there are {len(order)} sentences",
            "lower them with --set split.dev=N --set split.eval=N",
        )
    splits = dict.fromkeys(order, "train")
    splits.update(dict.fromkeys(order[:held_out], "eval"))
    splits.update(dict.fromkeys(order[len(order) - dev :], "dev"))
    return splits


ONE = 1 << 256  # places are whole numbers below this, so that no rounding decides


def _place(sentence: str) -> int:
    return int.from_bytes(hashlib.sha256(f"split/{sentence}".encode()).digest())


def _below(places: Sequence[int], wanted: int | float) -> int:
    """Return how many of ascending `places` a count or share takes."""
    if isinstance(wanted, int) or not wanted:
        return int(wanted)
    within = Fraction(str(wanted)) * ONE  # as written: 0.1 is a tenth
    return max(1, sum(place < within for place in places))
