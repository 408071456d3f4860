"""Whether a recording fits another sentence better than the partner its name gives it.

A source is warped onto the targets of other sentences, by the same kernel that aligned the
version. A misreading fits no other sentence; a swapped or shifted file fits one far better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corpuskit.align import warp
from corpuskit.checks.measures import Speech, speech_of
from corpuskit.versions import Pair, Side, Version

__all__ = ["BetterPartner", "better_partner", "reader"]

MOST = 80  # sentences tried for one source, those of the likeliest length first
CLEARLY = 0.8  # another partner must be this much nearer than the pair's own


@dataclass(frozen=True, kw_only=True)
class BetterPartner:
    """A target that fits a source better than its own."""

    recording: str  # id of the target
    distance: float  # mean L1 per band of smoothed log-mels along the best path, in speech
    own: float  # the same of the pair's own target
    tried: int  # targets


def reader(version: Version) -> Callable[[Side], Speech]:
    """Give a function that reads a side of a pair, each at most once."""
    reduction = version.settings.align.reduction
    known: dict[tuple[str, tuple[int, int]], Speech] = {}

    def read(side: Side) -> Speech:
        key = side.object, side.frames
        if key not in known:
            known[key] = speech_of(side, version.features(side), reduction)
        return known[key]

    return read


def better_partner(
    pair: Pair, others: Sequence[Pair], read: Callable[[Side], Speech]
) -> BetterPartner | None:
    """Look for a target among `others` (pairs of the same voices) that fits clearly better."""
    source = read(pair.source)
    own = _distance(source, read(pair.target))
    if not math.isfinite(own):
        return None
    mine = _kept(pair.source)
    pace = sorted(math.log(_kept(p.target) / _kept(p.source)) for p in others)[len(others) // 2]
    likely = sorted(
        (p for p in others if p.sentence != pair.sentence),
        key=lambda p: (abs(math.log(_kept(p.target) / mine) - pace), p.id),
    )[:MOST]
    found = [(_distance(source, read(p.target)), p.target.recording) for p in likely]
    best, name = min(found, default=(math.inf, ""))
    if best > CLEARLY * own:
        return None
    return BetterPartner(recording=name, distance=best, own=own, tried=len(found))


def _kept(side: Side) -> int:
    return side.frames[1] - side.frames[0]


def _distance(source: Speech, target: Speech) -> float:
    a, b = source.mel[~source.quiet], target.mel[~target.quiet]
    if not (len(a) and len(b)):
        return math.inf
    path, total = warp(a, b)
    return float(total / (len(path) * a.shape[1]))
