"""How two versions differ, exactly: settings, pairs, and what it did in the field's units.

A pure function of two versions. A pair is changed when any decision about it, or what it
was measured from, differs; the largest changes come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from corpuskit.config import DatasetConfig
from corpuskit.tables import counted, plain
from corpuskit.tiers import HandTiers
from corpuskit.totals import silent_seconds, speech_seconds
from corpuskit.versions import Pair, Side, Version, portable

__all__ = [
    "Difference",
    "Measure",
    "PairChange",
    "SettingChange",
    "diff_settings",
    "diff_tiers",
    "diff_versions",
    "flat_settings",
]

ASPECTS = ("audio", "features", "tiers", "trim", "silence", "phrases", "durations", "split")


@dataclass(frozen=True, kw_only=True)
class SettingChange:
    """One setting that differs."""

    key: str  # "silence.thresh"
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One quantity before and after."""

    before: float
    after: float

    @property
    def change(self) -> float:
        """After - before."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class PairChange:
    """What happened to one pair (both sides added where it is seconds)."""

    pair: str
    aspects: tuple[str, ...]  # of ASPECTS
    speech: Measure  # seconds kept that are not silent
    trimmed: Measure  # seconds cut at head and tail
    silent: Measure  # seconds of silence inside
    phrases: Measure  # of the target
    target_frames: Measure  # reduced target frames: the sum of the durations

    @property
    def size(self) -> float:
        """How much changed, in seconds, for ranking; a phrase weighs a second."""
        return (
            abs(self.speech.change)
            + abs(self.trimmed.change)
            + abs(self.silent.change)
            + abs(self.phrases.change)
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How `after` differs from `before`."""

    before: str
    after: str
    identical: bool  # same fingerprint
    settings: tuple[SettingChange, ...]
    tiers: Mapping[str, str]  # recordings corrected by hand otherwise -> added, removed, changed
    added: tuple[str, ...]  # pair ids
    removed: tuple[str, ...]
    changed: tuple[PairChange, ...]  # largest first
    unchanged: int
    aspects: Mapping[str, int]  # how many pairs changed in which aspect
    totals: Mapping[str, Measure]  # of the whole versions
    sentence: str  # what matters, in one sentence


def diff_settings(before: DatasetConfig, after: DatasetConfig) -> tuple[SettingChange, ...]:
    """List the settings that differ, folders left out (they are not part of a version)."""
    flat = [flat_settings(portable(settings)) for settings in (before, after)]
    return tuple(
        SettingChange(key=key, before=flat[0].get(key), after=flat[1].get(key))
        for key in sorted(flat[0].keys() | flat[1].keys())
        if flat[0].get(key) != flat[1].get(key)
    )


def diff_tiers(before: Mapping[str, HandTiers], after: Mapping[str, HandTiers]) -> dict[str, str]:
    """Say which recordings a hand decided otherwise: "added", "removed" or "changed"."""
    told = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            told[name] = "added" if old is None else "removed" if new is None else "changed"
    return told


def flat_settings(value: Any, key: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted keys, "silence.thresh"."""
    if not isinstance(value, dict):
        return {key: value}
    result: dict[str, Any] = {}
    for name, item in value.items():
        result.update(flat_settings(item, f"{key}.{name}" if key else name))
    return result


def diff_versions(before: Version, after: Version) -> Difference:
    """Compare two versions pair by pair."""
    old, new = ({pair.id: pair for pair in version.pairs} for version in (before, after))
    tiers = diff_tiers(before.tiers, after.tiers)
    compare = _Comparison(before, after, tiers)
    common = sorted(old.keys() & new.keys())
    changes = [
        change for name in common if (change := compare.pair(old[name], new[name])) is not None
    ]
    changes.sort(key=lambda change: (-change.size, change.pair))
    settings = diff_settings(before.settings, after.settings)
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    totals = _totals(before.totals, after.totals)
    counts = Counter(aspect for change in changes for aspect in change.aspects)
    return Difference(
        before=before.name,
        after=after.name,
        identical=before.fingerprint == after.fingerprint,
        settings=settings,
        tiers=tiers,
        added=tuple(added),
        removed=tuple(removed),
        changed=tuple(changes),
        unchanged=len(common) - len(changes),
        aspects={aspect: counts[aspect] for aspect in ASPECTS if counts[aspect]},
        totals=totals,
        sentence=_sentence(settings, tiers, added, removed, changes, totals),
    )


class _Comparison:
    """Compares pairs of two versions, which may have different frame grids."""

    def __init__(self, before: Version, after: Version, tiers: Mapping[str, str]) -> None:
        self._versions = (before, after)
        self._by_hand = tiers
        self._digests: tuple[dict[str, str], ...] | None = None
        self._second = tuple(
            v.settings.features.hop_length / v.settings.audio.rate for v in self._versions
        )

    def pair(self, old: Pair, new: Pair) -> PairChange | None:
        aspects = [name for name in ASPECTS if getattr(self, f"_{name}")(old, new)]
        if not aspects:
            return None
        return PairChange(
            pair=new.id,
            aspects=tuple(aspects),
            speech=self._measure(old, new, speech_seconds),
            trimmed=self._measure(old, new, lambda side, _: side.head_seconds + side.tail_seconds),
            silent=self._measure(old, new, silent_seconds),
            phrases=Measure(before=len(old.target.phrases), after=len(new.target.phrases)),
            target_frames=Measure(before=sum(old.target.phrases), after=sum(new.target.phrases)),
        )

    def _measure(self, old: Pair, new: Pair, quantity: Any) -> Measure:
        values = [
            quantity(pair.source, second) + quantity(pair.target, second)
            for pair, second in zip((old, new), self._second, strict=True)
        ]
        return Measure(before=round(values[0], 6), after=round(values[1], 6))

    def _audio(self, old: Pair, new: Pair) -> bool:
        return any(self._audio_of(a, b) for a, b in _sides(old, new))

    def _audio_of(self, old: Side, new: Side) -> bool:
        if old.object == new.object and old.recording == new.recording:
            return False  # the object's name is made of the audio's digest
        if self._digests is None:
            self._digests = tuple({r.id: r.digest for r in v.recordings} for v in self._versions)
        return self._digests[0].get(old.recording) != self._digests[1].get(new.recording)

    def _features(self, old: Pair, new: Pair) -> bool:
        return not self._audio(old, new) and any(a.object != b.object for a, b in _sides(old, new))

    def _tiers(self, _: Pair, new: Pair) -> bool:
        return new.source.recording in self._by_hand or new.target.recording in self._by_hand

    def _trim(self, old: Pair, new: Pair) -> bool:
        return any(a.samples != b.samples for a, b in _sides(old, new))

    def _silence(self, old: Pair, new: Pair) -> bool:
        """Silences count from the first kept frame, which may itself have moved."""
        return any(
            [(x + a.frames[0], y + a.frames[0]) for x, y in a.silences]
            != [(x + b.frames[0], y + b.frames[0]) for x, y in b.silences]
            for a, b in _sides(old, new)
        )

    def _phrases(self, old: Pair, new: Pair) -> bool:
        """Phrases differ when they break elsewhere, not when only the ends were trimmed."""
        if (old.breaks, old.merged) != (new.breaks, new.merged):
            return True
        return any(
            _break_frames(a, x) != _break_frames(b, y)
            for (a, b), (x, y) in zip(
                _sides(old, new), (self._reductions, self._reductions), strict=True
            )
        )

    @property
    def _reductions(self) -> tuple[int, int]:
        before, after = (version.settings.align.reduction for version in self._versions)
        return before, after

    def _durations(self, old: Pair, new: Pair) -> bool:
        before, after = self._versions
        return not np.array_equal(before.durations(old), after.durations(new))

    def _split(self, old: Pair, new: Pair) -> bool:
        return old.split != new.split


def _sides(old: Pair, new: Pair) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
    return (old.source, new.source), (old.target, new.target)


def _break_frames(side: Side, reduction: int) -> list[int]:
    """Return the frames of the whole recording at which phrases break (to a reduced frame)."""
    ends = np.cumsum(side.phrases)[:-1] * reduction + side.frames[0]
    return [int(end) for end in ends]


def _totals(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Measure]:
    def both(side: str, name: str) -> Measure:
        return Measure(before=before[side][name], after=after[side][name])

    def summed(name: str) -> Measure:
        source, target = both("source", name), both("target", name)
        return Measure(
            before=round(source.before + target.before, 6),
            after=round(source.after + target.after, 6),
        )

    return {
        "pairs": both("pairs", "used"),
        "speech_seconds": summed("speech_seconds"),
        "source_speech_seconds": both("source", "speech_seconds"),
        "target_speech_seconds": both("target", "speech_seconds"),
        "head_seconds": summed("head_seconds"),
        "tail_seconds": summed("tail_seconds"),
        "silent_seconds": summed("silent_seconds"),
        "phrases_per_utterance": both("phrases", "per_utterance"),
        "pairs_without_break": both("phrases", "pairs_without_break"),
        "pairs_that_disagree": both("phrases", "pairs_that_disagree"),
    }


def _sentence(
    settings: Sequence[SettingChange],
    tiers: Mapping[str, str],
    added: Sequence[str],
    removed: Sequence[str],
    changes: Sequence[PairChange],
    totals: Mapping[str, Measure],
) -> str:
    parts = []
    if settings:
        shown = ", ".join(f"{s.key} {plain(s.before)} -> {plain(s.after)}" for s in settings[:4])
        more = f" and {len(settings) - 4} more" if len(settings) > 4 else ""
        verb = "setting differs" if len(settings) == 1 else "settings differ"
        parts.append(f"{len(settings)} {verb}: {shown}{more}")
    if tiers:
        kinds = Counter(tiers.values())
        told = ", ".join(f"{kinds[kind]:,} {kind}" for kind in sorted(kinds))
        parts.append(f"recordings corrected by hand: {told}")
    if added or removed:
        parts.append(f"{counted(len(added), 'pair')} added, {len(removed):,} removed")
    effects = _effects(totals) if changes or added or removed else []
    if effects:
        parts.append(", ".join(effects))
    elif changes:
        aspects = {aspect for change in changes for aspect in change.aspects}
        told = ", ".join(aspect for aspect in ASPECTS if aspect in aspects)
        parts.append(f"{counted(len(changes), 'pair')} changed in {told}")
    elif not (added or removed):
        parts.append("no pair changed" if settings else "nothing differs")
    return "; ".join(parts)


def _effects(totals: Mapping[str, Measure]) -> list[str]:
    told = []
    speech = totals["speech_seconds"]
    if abs(speech.change) >= 0.05:
        share = f" ({100 * speech.change / speech.before:+.1f} %)" if speech.before else ""
        told.append(f"speech kept {speech.change:+.1f} s{share}")
    phrases = totals["phrases_per_utterance"]
    if abs(phrases.change) >= 0.005:
        digits = 1 if abs(phrases.change) >= 0.1 else 2
        told.append(
            f"phrases per utterance {phrases.before:.{digits}f} -> {phrases.after:.{digits}f}"
        )
    silent = totals["silent_seconds"]
    if not told and abs(silent.change) >= 0.05:
        told.append(f"silence inside {silent.change:+.1f} s")
    return told
