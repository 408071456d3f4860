"""Every recording and every candidate pair ends in exactly one state; here is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from corpuskit.config import DatasetConfig
from corpuskit.decisions import Aligned, Segmented
from corpuskit.directions import directions
from corpuskit.errors import BadSetting, CheckFailed
from corpuskit.layouts import Found, Scan
from corpuskit.pairs import Candidate
from corpuskit.recordings import Facts, clip_samples
from corpuskit.stems import kept_apart
from corpuskit.tables import counted, plain
from corpuskit.versions import Recording

__all__ = [
    "check_strict",
    "left_apart",
    "nothing_left",
    "nothing_to_pair",
    "states_of_recordings",
]


_SHOWN = 6  # speakers and warnings in one message
_NAMED = 3  # sentences under two names in one message


def nothing_to_pair(scanned: Scan, settings: DatasetConfig) -> BadSetting:
    """Explain why no recording found a partner."""
    counts = Counter(found.speaker for found in scanned.recordings)
    speakers = list(dict.fromkeys(name for pair in directions(settings) for name in pair))
    told = ", ".join(f"{speaker} has {counts[speaker]} recordings" for speaker in speakers[:_SHOWN])
    more = f" and {len(speakers) - _SHOWN} more speakers" if len(speakers) > _SHOWN else ""
    missing = "".join(f"{text}; " for text in scanned.warnings[:_SHOWN])
    alike = "".join(f"; {text}" for text in left_apart(scanned, settings))
    return BadSetting(
        f"no pair at all: {missing}{told}{more}, and no file stem occurs on both sides{alike}",
        "check the folders in [corpora.*]",
    )


def left_apart(scanned: Scan, settings: DatasetConfig) -> list[str]:
    """Warn of sentences that only their names keep from being a pair."""
    spoken: dict[str, set[str]] = {}
    for found in scanned.recordings:
        if not found.problem:
            spoken.setdefault(found.speaker, set()).add(found.sentence)
    ways = {(min(way), max(way)): None for way in directions(settings)}
    alike = kept_apart(spoken, ways)
    if not alike:
        return []
    return [
        f"{counted(len(alike), 'recording')} without a partner, whose partner seems to have "
        f"another name: {plain(alike, _NAMED)}; names must be equal, rename one side"
    ]


def states_of_recordings(
    scanned: Scan,
    wanted: Sequence[Candidate],
    segmented: Mapping[str, Segmented],
    aligned: Mapping[str, Aligned],
    reasons: Mapping[str, str],
    settings: DatasetConfig,
) -> list[Recording]:
    """Give every recording of the paired speakers its one state."""
    pairs_of: dict[str, list[str]] = {}
    for candidate in wanted:
        for found in (candidate.source, candidate.target):
            pairs_of.setdefault(found.id, []).append(candidate.id)
    partners = _Partners(scanned, directions(settings))
    states = []
    for found in scanned.recordings:
        if found.speaker in partners.speakers:
            side, pairs = segmented.get(found.id), pairs_of.get(found.id, [])
            used = any(pair in aligned for pair in pairs)
            reason = "" if used else _reason(found, side, [reasons[p] for p in pairs], partners)
            states.append(_recording(found, side, reason, settings))
    return states


class _Partners:
    """With whom each speaker is paired, and which of their sentences cannot be used."""

    def __init__(self, scanned: Scan, ways: Sequence[tuple[str, str]]) -> None:
        self.speakers: dict[str, dict[str, None]] = {}
        for one, other in (*ways, *((target, source) for source, target in ways)):
            self.speakers.setdefault(one, {})[other] = None
        self._problems = {
            (found.speaker, found.sentence): found.problem
            for found in scanned.recordings
            if found.problem
        }

    def why_none(self, found: Found) -> str:
        """Say why a recording has no partner: nobody says its sentence, or not usably."""
        for other in self.speakers[found.speaker]:
            problem = self._problems.get((other, found.sentence))
            if problem:
                return f"its partner {problem}"
        return "has no partner"


def _recording(
    found: Found, side: Segmented | None, reason: str, settings: DatasetConfig
) -> Recording:
    facts = side.facts if side else Facts()
    return Recording(
        id=found.id,
        speaker=found.speaker,
        sentence=found.sentence,
        corpus=found.corpus,
        path=found.relative,
        digest=facts.digest,
        rate=facts.rate,
        samples=facts.samples,
        levels=side.levels if side else "",
        features=side.features if side else "",
        state="set aside" if reason else "used",
        reason=reason,
        clip=clip_samples(found.clip, facts),
        text=found.text,
        note=found.note,
        f0_range=found.f0_range if settings.features.f0_range == "speaker" else None,
    )


def _reason(
    found: Found, side: Segmented | None, of_pairs: Sequence[str], partners: _Partners
) -> str:
    """Say why a recording is not used; `of_pairs` is why its pairs are not."""
    problem = found.problem or (side.facts.problem if side else "")
    if problem:
        return problem
    return f"its pair is set aside: {of_pairs[0]}" if of_pairs else partners.why_none(found)


def check_strict(recordings: Sequence[Recording], reasons: Mapping[str, str]) -> None:
    """Fail when anything is set aside."""
    aside = [recording for recording in recordings if recording.state != "used"]
    if aside or reasons:
        first = f"{aside[0].id} {aside[0].reason}" if aside else str(next(iter(reasons.items())))
        raise CheckFailed(
            f"--strict: {counted(len(aside), 'recording')} and {counted(len(reasons), 'pair')} "
            "would be set aside, "
            f"first: {first}",
            "mend or remove them, or build without --strict",
        )


def nothing_left(reasons: Mapping[str, str]) -> BadSetting:
    """Explain why no candidate pair can be used."""
    told = ", ".join(
        f"{count} x {text}" for text, count in Counter(reasons.values()).most_common(3)
    )
    return BadSetting(
        f"none of {len(reasons)} candidate pairs can be used: {told}",
        "check the recordings and the silence thresholds (levels in dBFS)",
    )
