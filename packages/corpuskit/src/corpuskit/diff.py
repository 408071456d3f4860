"""How two versions differ, exactly: settings, pairs, and what it did in the field's units.

A function of two versions. A pair is changed when any decision about it, or what it
was measured from, differs; the largest changes come first.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from corpuskit.columns import Columns
from corpuskit.comparison import ASPECTS, MEASURES, Compared, compare, matched
from corpuskit.config import DatasetConfig
from corpuskit.tables import counted, plain
from corpuskit.tiers import HandTiers
from corpuskit.versions import Version, portable

__all__ = [
    "ASPECTS",
    "Changes",
    "Difference",
    "Measure",
    "PairChange",
    "SettingChange",
    "diff_settings",
    "diff_tiers",
    "diff_versions",
    "flat_settings",
]


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
    changed: Sequence[PairChange]  # largest first
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
    tiers = diff_tiers(before.tiers, after.tiers)
    common = matched(before.columns, after.columns)
    changes = Changes(after.columns, compare(before, after, common, tiers))
    settings = diff_settings(before.settings, after.settings)
    added = _others(after.columns, common[1])
    removed = _others(before.columns, common[0])
    totals = _totals(before.totals, after.totals)
    return Difference(
        before=before.name,
        after=after.name,
        identical=before.fingerprint == after.fingerprint,
        settings=settings,
        tiers=tiers,
        added=added,
        removed=removed,
        changed=changes,
        unchanged=len(common[0]) - len(changes),
        aspects=changes.aspects,
        totals=totals,
        sentence=_sentence(settings, tiers, added, removed, changes, totals),
    )


class Changes(Sequence[PairChange]):
    """Changed pairs, largest first; each is told when it is asked for."""

    def __init__(self, columns: Columns, compared: Compared) -> None:
        """`columns` are those of the version `compared` gives positions in."""
        speech, trimmed, silent, phrases = (
            np.abs(compared.measures[:, place, 1] - compared.measures[:, place, 0])
            for place in range(4)
        )
        # As PairChange.size; lexsort keeps the order of ids where sizes are equal.
        self._order = np.lexsort((-(speech + trimmed + silent + phrases),))
        self._columns, self._compared = columns, compared

    @property
    def aspects(self) -> dict[str, int]:
        """How many pairs changed in which aspect."""
        counts = self._compared.aspects.sum(axis=0)
        return {name: int(count) for name, count in zip(ASPECTS, counts, strict=True) if count}

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> PairChange: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PairChange, ...]: ...
    def __getitem__(self, index: int | slice) -> PairChange | tuple[PairChange, ...]:
        if isinstance(index, slice):
            return tuple(self._change(row) for row in self._order[index])
        return self._change(self._order[index])

    def _change(self, row: int) -> PairChange:
        found = self._compared
        aspects = zip(ASPECTS, found.aspects[row], strict=True)
        seconds, counts = found.measures[row, :3].tolist(), found.measures[row, 3:].tolist()
        values = [*seconds, *([int(before), int(after)] for before, after in counts)]
        measures = [Measure(before=before, after=after) for before, after in values]
        return PairChange(
            pair=self._columns.id(int(found.positions[row])),
            aspects=tuple(name for name, changed in aspects if changed),
            **dict(zip(MEASURES, measures, strict=True)),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]


def _others(columns: Columns, common: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Return the ids of the pairs that stand at no common place."""
    alone = np.ones(len(columns), dtype=np.bool_)
    alone[common] = False
    return tuple(columns.id(int(place)) for place in np.flatnonzero(alone))


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
    changes: Changes,
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
        told = ", ".join(changes.aspects)
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
