"""What a version makes of one recording, on its time line: cut, silent, speech, phrase ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from corpuskit.config import DatasetConfig
from corpuskit.versions import Side

__all__ = ["Marks", "marks_of", "without"]

Seconds = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """Spans in seconds of the whole recording; cut, silent and speech cover it together."""

    cut: tuple[Seconds, ...]  # head and tail
    silent: tuple[Seconds, ...]  # inside
    speech: tuple[Seconds, ...]  # kept and not silent
    breaks: tuple[float, ...]  # where a phrase ends

    @property
    def thrown_away(self) -> tuple[Seconds, ...]:
        """What is not speech to this version."""
        return tuple(sorted((*self.cut, *self.silent)))


def marks_of(side: Side, settings: DatasetConfig) -> Marks:
    """Turn a side's decisions into seconds of its recording."""
    second = settings.features.hop_length / settings.audio.rate
    length, (start, stop) = side.length / side.rate, (n / side.rate for n in side.samples)
    first = side.frames[0]
    silent = []
    for begin, end in side.silences:
        a, b = max(start, (first + begin) * second), min(stop, (first + end) * second)
        if b > a:
            silent.append((a, b))
    ends, at = [], 0
    for phrase in side.phrases[:-1]:
        at += phrase
        ends.append((first + at * settings.align.reduction) * second)
    return Marks(
        cut=tuple(span for span in ((0.0, start), (stop, length)) if span[1] > span[0]),
        silent=tuple(silent),
        speech=without([(start, stop)], silent),
        breaks=tuple(ends),
    )


def without(
    spans: Iterable[Seconds], taken: Sequence[Seconds], shortest: float = 0.0
) -> tuple[Seconds, ...]:
    """Return what is left of `spans` when `taken` is taken out of them.

    What is not longer than `shortest` seconds is left out.
    """
    left = []
    for begin, end in sorted(spans):
        at = begin
        for a, b in sorted(taken):
            if b <= at or a >= end:
                continue
            if a > at:
                left.append((at, a))
            at = max(at, b)
        if end > at:
            left.append((at, end))
    return tuple(span for span in left if span[1] - span[0] > shortest)
