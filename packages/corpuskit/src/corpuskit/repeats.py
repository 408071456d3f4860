"""One sound under several names: a file copied where another belongs.

A copy is a sound recording by every measure, so neither levels nor an alignment betray it;
the digest of its samples does. It teaches a pair that is none, or brings a sentence of dev or
eval into the training under another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from corpuskit.rows import Pair, Recording
from corpuskit.tables import counted, plain

__all__ = ["Repeats", "find_repeats", "repeat_warnings"]

_SHOWN = 3  # pairs or sounds named in one warning


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Which used recordings are one sound, sample for sample."""

    both_sides: tuple[str, ...]  # pairs whose two recordings are one sound
    sentences: tuple[tuple[str, ...], ...]  # recordings of several sentences that are one sound
    leaking: int  # of those sounds: trained on, and in dev or eval as well


def find_repeats(pairs: Sequence[Pair], recordings: Iterable[Recording]) -> Repeats:
    """Find the sounds that several recordings of a version are.

    `recordings` are all those of the version, sorted by id; only used ones count.
    """
    by_digest: dict[str, list[Recording]] = {}
    digests: dict[str, str] = {}
    for recording in recordings:
        if recording.state == "used":
            by_digest.setdefault(recording.digest, []).append(recording)
            digests[recording.id] = recording.digest
    splits = {pair.sentence: pair.split for pair in pairs}
    repeated = [group for group in by_digest.values() if len({each.sentence for each in group}) > 1]
    return Repeats(
        both_sides=tuple(
            pair.id
            for pair in pairs
            if digests[pair.source.recording] == digests[pair.target.recording]
        ),
        sentences=tuple(tuple(each.id for each in group) for group in repeated),
        leaking=sum(_leaks(group, splits) for group in repeated),
    )


def _leaks(group: Sequence[Recording], splits: Mapping[str, str]) -> bool:
    held = {splits[each.sentence] for each in group}
    return "train" in held and len(held) > 1


def repeat_warnings(found: Repeats) -> list[str]:
    """Say in words what a version holds twice."""
    told = []
    if found.both_sides:
        many = counted(len(found.both_sides), "pair")
        verb = "has" if len(found.both_sides) == 1 else "have"
        told.append(
            f"{many} {verb} the same recording on both sides, sample for sample: "
            f"{plain(found.both_sides, _SHOWN)}; is a file in the wrong folder?"
        )
    if found.sentences:
        many = counted(len(found.sentences), "sound")
        verb = "stands" if len(found.sentences) == 1 else "stand"
        named = [_equal(group) for group in found.sentences]
        leaking = (
            f"; {found.leaking:,} of them both in train and in dev or eval, whose figures "
            "are then not of unheard speech"
            if found.leaking
            else ""
        )
        told.append(
            f"{many} {verb} under several sentences, sample for sample: {plain(named, _SHOWN)}; "
            f"was a file copied under another's name?{leaking}"
        )
    return told


def _equal(names: Sequence[str]) -> str:
    more = f" = {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{' = '.join(names[:_SHOWN])}{more}"
