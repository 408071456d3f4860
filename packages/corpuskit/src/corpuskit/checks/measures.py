"""What one pair amounts to, in numbers that can be compared with those of other pairs.

Everything is taken along the version's own alignment, over the frames in which somebody
speaks. What counts as speech here is found from the energy besides the version's silences,
so that a version whose thresholds found nothing can be checked as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.align import reduce_frames
from corpuskit.features import Features
from corpuskit.versions import Pair, Side, Version

__all__ = ["Lapse", "Measures", "Speech", "measure", "speech_of"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

PAUSE = 0.2  # s; shorter gaps may be a stop consonant and need no counterpart
CLOSURE = 0.08  # s; the other side is quiet for less than this: a consonant at most
SLACK = 0.1  # s; how far from its place along the alignment a pause may lie
WINDOW = 0.6  # s; over which words said by one side only are looked for
BANDS = 10  # mel bands are averaged to about this many: voices differ in the harmonics between
LOUD, LEAST, MOST = 95, 2.3, 4.0  # percentile; quiet is 20 to 35 dB (in nepers) below it


@dataclass(frozen=True, kw_only=True)
class Lapse:
    """A stretch of one side without a counterpart on the other."""

    side: str  # "source" or "target": where it is heard
    start: float  # s, in the recording as it is on disk
    stop: float  # s
    seconds: float  # without a counterpart; words are said faster or slower around them


@dataclass(frozen=True, kw_only=True)
class Measures:
    """One pair in numbers."""

    pair: str
    speakers: tuple[str, str]  # source, target
    distance: float  # mean L1 per band of smoothed log-mels along the alignment, in speech
    ratio: float  # natural log of target speech over source speech
    pause: Lapse | None  # the longest pause that only one side makes
    words: Lapse | None  # the most said by one side only, within WINDOW
    voicing: float  # share of aligned speech frames voiced on one side only


@dataclass(frozen=True, kw_only=True)
class Speech:
    """One side at the reduced rate: T reduced frames."""

    mel: Floats  # (T, about BANDS), each band's mean over speech taken off
    quiet: Bools  # (T,) nobody speaks
    voiced: Bools  # (T,)


def speech_of(side: Side, features: Features, reduction: int) -> Speech:
    """Bring the kept frames of a side to the reduced rate."""
    count = len(features) // reduction
    quiet = _quiet(features.energy)
    for begin, end in side.silences:
        quiet[begin:end] = True
    quiet = _most(quiet, count, reduction)
    mel = _smoothed(reduce_frames(features.mel, reduction))
    return Speech(
        mel=mel - (mel[~quiet] if not quiet.all() else mel).mean(axis=0),
        quiet=quiet,
        voiced=_most(features.f0 > 0, count, reduction),
    )


def _quiet(energy: Floats) -> Bools:
    level = np.log(energy)
    low, loud = np.percentile(level, [100 - LOUD, LOUD])
    return np.asarray(level < loud - min(max(0.7 * (loud - low), LEAST), MOST))


def _most(mask: Bools, count: int, reduction: int) -> Bools:
    """Mark the reduced frames of which more than half is marked."""
    grouped = mask[: count * reduction].reshape(count, reduction)
    return np.asarray(grouped.sum(axis=1) * 2 > reduction)


def _smoothed(mel: Floats) -> Floats:
    width = max(1, mel.shape[1] // BANDS)
    whole = mel.shape[1] // width * width
    return np.asarray(mel[:, :whole].reshape(len(mel), -1, width).mean(axis=2))


def measure(version: Version, pair: Pair) -> Measures:
    """Measure one pair.

    Raises
    ------
    BadVersion
        Its features are missing or damaged.

    """
    reduction = version.settings.align.reduction
    source, target = (
        speech_of(side, version.features(side), reduction) for side in (pair.source, pair.target)
    )
    durations = version.durations(pair)
    origin = np.repeat(np.arange(len(durations)), durations)  # of each target frame
    both = ~source.quiet[origin] & ~target.quiet
    second = reduction * version.settings.features.hop_length / version.settings.audio.rate
    distances = np.abs(source.mel[origin] - target.mel).mean(axis=1)
    turns = source.voiced[origin] != target.voiced
    return Measures(
        pair=pair.id,
        speakers=(pair.source.speaker, pair.target.speaker),
        distance=float((distances[both] if both.any() else distances).mean()),
        ratio=math.log(max(1, (~target.quiet).sum()) / max(1, (~source.quiet).sum())),
        pause=_longest(_pauses(pair, durations, (source.quiet, target.quiet), reduction, second)),
        words=_longest(_words(durations, origin, (source.quiet, target.quiet), second, pair)),
        voicing=float(turns[both].mean()) if both.any() else 0.0,
    )


def _longest(lapses: Iterable[Lapse]) -> Lapse | None:
    return max(lapses, key=lambda lapse: lapse.seconds, default=None)


def _in_recording(side: Side, reduced: float, second: float) -> float:
    """Turn a place (reduced frames from the first kept one) into seconds of the recording."""
    return round(side.samples[0] / side.rate + float(reduced) * second, 3)


def _pauses(
    pair: Pair, durations: Ints, quiet: tuple[Bools, Bools], reduction: int, second: float
) -> Iterable[Lapse]:
    """Find the pauses of either side where the other does not even become quiet."""
    slack = round(SLACK / second)
    reached = np.concatenate(([0], np.cumsum(durations)))  # target frames before a source frame
    for name, side, other in (
        ("source", pair.source, quiet[1]),
        ("target", pair.target, quiet[0]),
    ):
        for begin, end in side.silences:
            seconds = (end - begin) / reduction * second
            if seconds < PAUSE or _at_an_edge(side, begin, end, slack * reduction):
                continue
            first, stop = begin // reduction, -(-end // reduction)
            if name == "source":
                a, b = (int(reached[min(at, len(durations))]) for at in (first, stop))
            else:
                a, b = (int(np.searchsorted(reached, at)) for at in (first, stop))
            if other[max(0, a - slack) : b + slack].sum() * second < CLOSURE:
                yield Lapse(
                    side=name,
                    start=_in_recording(side, begin / reduction, second),
                    stop=_in_recording(side, end / reduction, second),
                    seconds=round(seconds, 3),
                )


def _at_an_edge(side: Side, begin: int, end: int, slack: int) -> bool:
    """Tell whether a silence is a rest of head or tail, which no phrase follows or precedes."""
    return begin <= slack or end >= side.frames[1] - side.frames[0] - slack


def _words(
    durations: Ints, origin: Ints, quiet: tuple[Bools, Bools], second: float, pair: Pair
) -> Iterable[Lapse]:
    """Find where one side speaks on while the alignment stands almost still on the other."""
    said = (~quiet[0]).astype(np.int64)  # source speech frames
    heard = np.bincount(origin, weights=~quiet[1], minlength=len(durations))  # target speech
    course = [np.concatenate(([0.0], np.cumsum(part))) for part in (said, heard)]
    if min(course[0][-1], course[1][-1]) == 0:
        return
    pace = course[1][-1] / course[0][-1]
    places = [np.arange(len(durations) + 1), np.concatenate(([0], np.cumsum(durations)))]
    sides = (("source", pair.source), ("target", pair.target))
    for index, expected in ((0, 1 / pace), (1, pace)):
        mine, other = course[index], course[1 - index]
        window = WINDOW / second
        stop = np.searchsorted(other, other + window, side="right") - 1
        extra = (mine[stop] - mine) - (other[stop] - other) * expected
        at = int(np.argmax(extra))
        # The window is longer than the words: they are where the courses part.
        apart = (mine - other * expected)[at : stop[at] + 1]
        first = int(np.argmin(apart))
        last = first + int(np.argmax(apart[first:]))
        name, side = sides[index]
        yield Lapse(
            side=name,
            start=_in_recording(side, places[index][at + first], second),
            stop=_in_recording(side, places[index][at + last], second),
            seconds=round(float(extra[at]) * second, 3),
        )
