"""What one threshold does: to one recording, and summed up over all pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from corpuskit.config import SilenceConfig
from corpuskit.levels import Levels, Profile
from corpuskit.pairs import Candidate
from corpuskit.recordings import Facts
from corpuskit.silence import FLOOR_16_BIT, LevelCurve, analyse
from corpuskit.tables import counted

__all__ = ["Cut", "Looked", "Measured", "Phrases", "Row", "SideRow", "cut_of", "row_of"]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What one setting does to one recording."""

    head: float  # seconds
    tail: float  # seconds
    silent: float  # seconds, inside the kept part
    silences: int
    phrases: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One recording, reduced to what is counted."""

    facts: Facts  # with a problem when it cannot be used
    cuts: tuple[tuple[Cut | None, ...], ...]  # by threshold and minimal silence length


@dataclass(frozen=True, kw_only=True)
class SideRow:
    """What a threshold does to one side of all pairs."""

    seconds: float  # recorded
    head_seconds: float
    tail_seconds: float
    silent_seconds: float  # inside the kept part
    silences: int
    emptied: int  # recordings of which nothing would be left
    speech_below: float  # share of speech windows below the threshold, of the voice that has most


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """How silences of at least `min_silence_len` ms break utterances into phrases."""

    min_silence_len: int
    source: dict[int, int]  # utterances by their number of phrases
    target: dict[int, int]
    without_break: int  # pairs whose target is one phrase, as a build counts them


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one threshold does."""

    thresh: float
    head_thresh: float
    source: SideRow
    target: SideRow
    phrases: tuple[Phrases, ...]  # one a minimal silence length
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was looked at: usable pairs, their recordings, and every voice's levels."""

    pairs: Sequence[Candidate]
    measured: Mapping[str, Measured]  # by recording
    levels: Mapping[str, Levels]  # by speaker
    profiles: Mapping[str, Profile]  # by speaker

    def speakers(self, side: str) -> tuple[str, ...]:
        """Return who speaks on a side, sorted."""
        return tuple(sorted({getattr(pair, side).speaker for pair in self.pairs}))

    def side(self, side: str) -> list[Measured]:
        """Return the recordings of a side, pair by pair."""
        return [self.measured[getattr(pair, side).id] for pair in self.pairs]

    def disputed(self, pair: Candidate) -> float:
        """Return how many seconds of a pair the thresholds disagree about."""
        return sum(_spread(self.measured[found.id]) for found in (pair.source, pair.target))


def _spread(recording: Measured) -> float:
    cut = [c.head + c.tail + c.silent for c, *_ in recording.cuts if c is not None]
    return max(cut) - min(cut) if cut else 0.0


def cut_of(curve: LevelCurve, settings: SilenceConfig) -> Cut | None:
    """Decide as a build does; None when nothing is left."""
    found = analyse(curve, settings)
    if found.empty:
        return None
    return Cut(
        head=found.start / curve.rate,
        tail=(curve.samples - found.stop) / curve.rate,
        silent=sum(stop - start for start, stop in found.silences) / curve.rate,
        silences=len(found.silences),
        phrases=1 + sum(start > found.start for start, _ in found.breaks),
    )


def row_of(looked: Looked, place: int, settings: Sequence[SilenceConfig]) -> Row:
    """Sum up what the `place`-th threshold does; `settings` has one entry a silence length."""
    thresh = settings[0].thresh
    source, target = (_side(looked, side, place, thresh) for side in ("source", "target"))
    return Row(
        thresh=thresh,
        head_thresh=settings[0].head_thresh,
        source=source,
        target=target,
        phrases=tuple(
            _phrases(looked, place, number, each.min_silence_len)
            for number, each in enumerate(settings)
        ),
        warnings=tuple(_warnings(thresh, (source, target), looked.profiles)),
    )


def _side(looked: Looked, side: str, place: int, thresh: float) -> SideRow:
    recordings = looked.side(side)
    cuts = [recording.cuts[place][0] for recording in recordings]
    whole = [cut for cut in cuts if cut is not None]
    shares = (
        looked.profiles[name].below(looked.levels[name], thresh)
        for name in looked.speakers(side)
        if name in looked.profiles
    )
    return SideRow(
        seconds=_total(r.facts.samples / r.facts.rate for r in recordings),
        head_seconds=_total(cut.head for cut in whole),
        tail_seconds=_total(cut.tail for cut in whole),
        silent_seconds=_total(cut.silent for cut in whole),
        silences=sum(cut.silences for cut in whole),
        emptied=len(cuts) - len(whole),
        speech_below=max(shares, default=0.0),
    )


def _total(values: Iterable[float]) -> float:
    return round(math.fsum(values), 6)


def _phrases(looked: Looked, place: int, number: int, length: int) -> Phrases:
    def counts(side: str) -> dict[int, int]:
        cuts = (recording.cuts[place][number] for recording in looked.side(side))
        return dict(sorted(Counter(cut.phrases for cut in cuts if cut is not None).items()))

    target = counts("target")
    return Phrases(
        min_silence_len=length,
        source=counts("source"),
        target=target,
        without_break=target.get(1, 0),
    )


def _warnings(
    thresh: float, sides: Sequence[SideRow], profiles: Mapping[str, Profile]
) -> Iterator[str]:
    buried = {name: p.floor for name, p in profiles.items() if thresh < (p.floor or -math.inf)}
    if not any(side.tail_seconds or side.silences or side.emptied for side in sides):
        yield "finds nothing at all: no tail to cut, no silence inside"
    elif buried:
        yield f"is below the noise floor ({_some(buried)} dBFS): it finds hardly any pause there"
    if thresh < FLOOR_16_BIT:
        yield (
            f"is below the 16-bit floor ({FLOOR_16_BIT} dBFS): "
            "on 16-bit recordings it finds digital zero only"
        )
    cut = {name: p.quietest for name, p in profiles.items() if thresh > p.quietest}
    if cut:
        yield f"is above the quietest speech ({_some(cut)} dBFS): it would cut into speech"
    emptied = sum(side.emptied for side in sides)
    if emptied:
        yield f"leaves nothing of {counted(emptied, 'recording')}"


def _some(levels: Mapping[str, float | None]) -> str:
    told = [f"{name} {level:.0f}" for name, level in levels.items()]
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "")
