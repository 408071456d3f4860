"""What is unusual for two speakers, by how much, and which pair to listen to first.

Two voices always differ: a slower reader, another pause here and there. A measure is
therefore held against the same measure of all pairs of these two speakers, by median and
MAD, which a few wrong pairs do not move. Where there are too few pairs to know what is usual,
that is said and only what needs no comparison is checked.
"""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corpuskit import engine
from corpuskit.checks.measures import Lapse, Measures, measure
from corpuskit.checks.partners import BetterPartner, better_partner, reader
from corpuskit.versions import Pair, Version

__all__ = [
    "REASONS",
    "Checked",
    "Culprit",
    "Finding",
    "Group",
    "Measured",
    "Suspect",
    "check",
    "distinct",
]

FEWEST = 20  # pairs of two speakers, to know what is usual for them
COPIED = 100.0  # deviations that count for a copy: more than anything measured
UNUSUAL = 4.0  # robust standard deviations from the median
WEIGHTS = {"pause": 0.5}  # readers pause where they like
SEARCHED = {"distance", "words", "ratio"}  # what a wrong partner shows itself by
SEVERAL = 3  # pairs of a recording, to tell it from its partners
SEARCHES = 50  # pairs for which a better partner is looked for
MAD_TO_DEVIATION = 1.4826  # of a normal distribution

# Strongest first.
REASONS = ("copy", "partner", "distance", "words", "pause", "ratio", "voicing")
# No deviation is counted in smaller units than these: what a listener would not notice.
FINEST = {"distance": 0.05, "words": 0.05, "pause": 0.05, "ratio": 0.03, "voicing": 0.03}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measure of a pair that is unusual for its speakers."""

    reason: str  # of REASONS
    value: float
    usual: float  # the median of the pairs of these speakers
    deviations: float  # robust standard deviations away from it
    place: Lapse | None = None
    partner: BetterPartner | None = None


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A pair with at least one finding."""

    pair: str
    recordings: tuple[str, str]  # source, target
    suspicion: float  # root of the summed squares of its findings' deviations, as WEIGHTS has it
    findings: tuple[Finding, ...]  # strongest first


@dataclass(frozen=True, kw_only=True)
class Group:
    """All pairs of two speakers."""

    source: str
    target: str
    pairs: int
    judged: bool  # False: too few pairs to know what is usual


@dataclass(frozen=True, kw_only=True)
class Culprit:
    """A recording most of whose pairs are suspect: the fault is its own."""

    recording: str
    suspects: int
    pairs: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`done` of `total` pairs have been measured."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The outcome."""

    version: str
    pairs: int
    groups: tuple[Group, ...]  # sorted
    suspects: tuple[Suspect, ...]  # most suspicious first
    culprits: tuple[Culprit, ...]  # most suspect pairs first
    reasons: Mapping[str, int]  # reason -> pairs
    pauses_known: bool  # False: the thresholds found no silence, so no pause can be missed


def check(version: Version, jobs: int | None = None) -> Iterator[Measured | Checked]:
    """Check every pair of a version, yielding progress; the last event is `Checked`.

    Raises
    ------
    BadVersion
        Features are missing or damaged.

    """
    measures: list[Measures | None] = [None] * len(version.pairs)
    task = functools.partial(measure, version)
    ready = engine.run(task, version.pairs, engine.job_count(jobs), "threading")
    for done, (position, outcome) in enumerate(ready, start=1):
        measures[position] = outcome
        yield Measured(done=done, total=len(measures))
    yield _judged(version, [each for each in measures if each is not None])


def _judged(version: Version, measures: Sequence[Measures]) -> Checked:
    by_speakers: dict[tuple[str, str], list[Measures]] = defaultdict(list)
    for each in measures:
        by_speakers[each.speakers].append(each)
    findings = {
        name: found for group in by_speakers.values() for name, found in _unusual(group).items()
    }
    _look_for_partners(version, findings)
    for name in _copies(version):
        copy = Finding(reason="copy", value=0.0, usual=0.0, deviations=COPIED)
        findings.setdefault(name, []).append(copy)
    suspects = [_suspect(pair, findings[pair.id]) for pair in version.pairs if pair.id in findings]
    reasons = [finding.reason for found in findings.values() for finding in found]
    return Checked(
        version=version.name,
        pairs=len(measures),
        groups=tuple(
            Group(source=a, target=b, pairs=len(group), judged=len(group) >= FEWEST)
            for (a, b), group in sorted(by_speakers.items())
        ),
        suspects=tuple(sorted(suspects, key=lambda s: (-s.suspicion, s.pair))),
        culprits=_culprits(version, findings.keys()),
        reasons={reason: reasons.count(reason) for reason in REASONS if reason in reasons},
        pauses_known=any(p.source.silences or p.target.silences for p in version.pairs),
    )


VALUES: Mapping[str, Callable[[Measures], float]] = {
    "distance": lambda m: math.log(max(m.distance, 1e-6)),
    "words": lambda m: m.words.seconds if m.words else 0.0,
    "pause": lambda m: m.pause.seconds if m.pause else 0.0,
    "ratio": lambda m: m.ratio,
    "voicing": lambda m: m.voicing,
}


def _unusual(group: Sequence[Measures]) -> dict[str, list[Finding]]:
    """Return the findings of each pair of one group that has any."""
    known = len(group) >= FEWEST
    found: dict[str, list[Finding]] = defaultdict(list)
    for reason in VALUES if known else ("pause",):
        values = np.array([VALUES[reason](each) for each in group])
        usual = float(np.median(values)) if known else 0.0
        spread = MAD_TO_DEVIATION * float(np.median(np.abs(values - usual))) if known else 0.0
        away = (values - usual) / max(spread, FINEST[reason])
        for each, value, deviations in zip(group, values, away, strict=True):
            if (abs(deviations) if reason == "ratio" else deviations) >= UNUSUAL:
                found[each.pair].append(_finding(reason, each, value, usual, deviations))
    return found


def _copies(version: Version) -> list[str]:
    """Return the pairs whose two recordings are one sound, sample for sample."""
    audio = version.columns.audio
    return [version.columns.id(at) for at in np.flatnonzero(audio[:, 0] == audio[:, 1]).tolist()]


def _finding(reason: str, each: Measures, value: float, usual: float, deviations: float) -> Finding:
    logarithmic = reason in ("distance", "ratio")
    return Finding(
        reason=reason,
        value=round(float(math.exp(value) if logarithmic else value), 4),
        usual=round(math.exp(usual) if logarithmic else usual, 4),
        deviations=round(float(deviations), 2),
        place={"words": each.words, "pause": each.pause}.get(reason),
    )


def _look_for_partners(version: Version, findings: Mapping[str, list[Finding]]) -> None:
    """Name the right partner of the most suspicious pairs, where the version holds one."""
    pairs = {pair.id: pair for pair in version.pairs}
    voices: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in version.pairs:
        voices[pair.source.speaker, pair.target.speaker].append(pair)
    strange = [
        (-_suspicion(found), name)
        for name, found in findings.items()
        if any(finding.reason in SEARCHED for finding in found)
    ]
    read = reader(version)
    for _, name in sorted(strange)[:SEARCHES]:
        pair = pairs[name]
        others = voices[pair.source.speaker, pair.target.speaker]
        better = better_partner(pair, others, read)
        if better is not None:
            findings[name].append(_partner(better))


def _partner(better: BetterPartner) -> Finding:
    nearer = math.log(better.own / better.distance)
    return Finding(
        reason="partner",
        value=round(better.own, 4),
        usual=round(better.distance, 4),
        deviations=round(nearer / FINEST["distance"], 2),
        partner=better,
    )


def _culprits(version: Version, suspects: Collection[str]) -> tuple[Culprit, ...]:
    """Find recordings of several pairs of which most are suspect."""
    pairs: Counter[str] = Counter()
    suspect: Counter[str] = Counter()
    for pair in version.pairs:
        for side in (pair.source, pair.target):
            pairs[side.recording] += 1
            suspect[side.recording] += pair.id in suspects
    found = [
        Culprit(recording=name, suspects=suspect[name], pairs=count)
        for name, count in pairs.items()
        if count >= SEVERAL and 2 * suspect[name] > count
    ]
    return tuple(sorted(found, key=lambda c: (-c.suspects, c.recording)))


def _suspicion(found: Sequence[Finding]) -> float:
    return math.hypot(*(WEIGHTS.get(f.reason, 1.0) * f.deviations for f in found))


def distinct(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Leave out pairs of recordings that came before, as source and target exchanged."""
    first: dict[frozenset[str], Suspect] = {}
    for suspect in suspects:
        first.setdefault(frozenset(suspect.recordings), suspect)
    return list(first.values())


def _suspect(pair: Pair, found: Sequence[Finding]) -> Suspect:
    ordered = sorted(found, key=lambda finding: REASONS.index(finding.reason))
    return Suspect(
        pair=pair.id,
        recordings=(pair.source.recording, pair.target.recording),
        suspicion=round(_suspicion(found), 2),
        findings=tuple(ordered),
    )
