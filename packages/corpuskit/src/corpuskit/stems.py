"""Sentences that seem to be one under two names: `Utt-1` and `utt_1`, `発話０１` and `発話01`.

Two recordings are a pair when their stems are equal letter by letter. Unicode's two ways to
write one letter are taken as one where files are listed; what is left here is for a person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Set

__all__ = ["kept_apart", "look_alike", "plain_stem"]


def plain_stem(stem: str) -> str:
    """Return a stem without case, marks and widths; what parts two numbers stays."""
    letters = unicodedata.normalize("NFKC", stem).casefold()
    apart = re.sub(r"(?<=\d)[\W_]+(?=\d)", "-", letters)
    return re.sub(r"[^\w-]+|_+|(?<!\d)-|-(?!\d)", "", apart)


def look_alike(ours: Iterable[str], theirs: Iterable[str]) -> list[tuple[str, str]]:
    """Return the sentences only one of two voices has that are one but for `plain_stem`."""
    own, other = set(ours), set(theirs)
    by_key = {plain_stem(stem): stem for stem in sorted(other - own, reverse=True)}
    found = ((stem, by_key.get(plain_stem(stem))) for stem in sorted(own - other))
    return [(stem, twin) for stem, twin in found if twin is not None]


def kept_apart(said: Mapping[str, Set[str]], ways: Iterable[tuple[str, str]]) -> list[str]:
    """Name what only its names keep from being a pair: "A/Utt-1 and B/utt_1".

    Parameters
    ----------
    said : sentences by speaker
    ways : the speakers that are held against each other

    """
    return [
        f"{one}/{ours} and {other}/{theirs}"
        for one, other in ways
        for ours, theirs in look_alike(said.get(one, ()), said.get(other, ()))
    ]
