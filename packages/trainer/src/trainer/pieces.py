"""Long recordings: cut into what a model can take at once, and put together again.

A model of whole utterances is at its best on what is no longer than those it was trained on. A
longer recording is cut where the dataset would break phrases, and each phrase is converted by
itself; what lies between two phrases keeps its length. A phrase that is still too long is cut at
its quietest place, where the two parts are faded into each other.

    |phrase|....pause....|phra|se|....    recording
    |phrase|....pause....|phr|ase|..      conversion
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from corpuskit.config import DatasetConfig
from corpuskit.silence import LevelCurve, Segmentation

__all__ = ["FADE", "Grid", "Piece", "batches", "joined", "pieces_of"]

Float32 = npt.NDArray[np.float32]

FADE = 0.010  # seconds; at the ends of every piece, and the overlap of two that touch
LEAD = 0.020  # seconds of a pause that the phrase after it begins with: its onset is not faded
QUIET = 50  # ms; a phrase is cut in the middle of its quietest such window
LEAST = 0.25  # of the longest piece: no part is shorter because of a cut


@dataclass(frozen=True, kw_only=True)
class Grid:
    """How frames lie in a recording of its own rate."""

    hop: float  # samples of the recording between two frames
    rate: int  # Hz, of the recording
    reduction: int  # frames a model takes at once

    @classmethod
    def of(cls, settings: DatasetConfig, rate: int) -> Grid:
        """Return the grid of the dataset's frames in a recording of `rate` Hz."""
        hop = settings.features.hop_length * rate / settings.audio.rate
        return cls(hop=hop, rate=rate, reduction=settings.align.reduction)

    def covering(self, samples: float) -> int:
        """Return how many frames, whole reduced ones, reach over so many samples."""
        return math.ceil((samples / self.hop + 1) / self.reduction) * self.reduction

    def nearest(self, samples: float) -> int:
        """Return how many frames, whole reduced ones, reach nearly so far; at least one."""
        return max(round((samples / self.hop + 1) / self.reduction), 1) * self.reduction

    def reach(self, frames: int) -> float:
        """Return the samples from the first of `frames` frames to the last."""
        return (frames - 1) * self.hop


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of a recording that is converted at once."""

    start: int  # sample of the recording its first frame is centred at
    frames: int  # whole reduced ones
    gap: float  # seconds from the end of the piece before; negative where the two overlap


def pieces_of(
    curve: LevelCurve, kept: Segmentation, settings: DatasetConfig, longest: int
) -> tuple[Piece, ...]:
    """Cut the kept part of a recording into pieces of at most `longest` frames (about).

    Pieces end at the silences that break phrases; what is longer also at its quietest places.
    """
    grid = Grid.of(settings, curve.rate)
    longest = max(longest // grid.reduction, 2) * grid.reduction
    pieces: list[Piece] = []
    end = float(kept.start)  # of the last frame so far
    for first, stop in _phrases(kept):
        start = round(max(first - LEAD * curve.rate, (first + end) / 2, end))
        if start >= stop:  # shorter than what the phrase before was filled up with
            continue
        for at, frames in _parts(curve, grid, (start, stop), longest):
            pieces.append(Piece(start=at, frames=frames, gap=(at - end) / curve.rate))
            end = at + grid.reach(frames)
    return tuple(pieces)


def _phrases(kept: Segmentation) -> list[tuple[int, int]]:
    """Return what lies between the breaks, in samples."""
    edges = [kept.start, *(edge for span in kept.breaks for edge in span), kept.stop]
    spans = zip(edges[::2], edges[1::2], strict=True)
    return [(first, stop) for first, stop in spans if stop > first]


def _parts(
    curve: LevelCurve, grid: Grid, phrase: tuple[int, int], longest: int
) -> Iterator[tuple[int, int]]:
    """Yield start (sample) and frames of the parts of a phrase."""
    start, stop = phrase
    most, least = grid.reach(longest), LEAST * grid.reach(longest)
    while stop - start > most:
        cut = _quietest(curve, start + most / 2, min(start + most, stop - least))
        frames = min(grid.nearest(cut - start), longest)
        yield start, frames
        start = round(start + grid.reach(frames) - FADE * grid.rate)
    yield start, grid.covering(stop - start)


def _quietest(curve: LevelCurve, first: float, stop: float) -> float:
    """Return the middle of the quietest window between two samples."""
    begin, end = (int(each * 1000 / curve.rate) for each in (first, stop))
    sums = curve.cumulative[begin : max(end, begin + QUIET) + 1]
    quiet = begin + int(np.argmin(sums[QUIET:] - sums[:-QUIET])) if len(sums) > QUIET else begin
    return (quiet + QUIET / 2) * curve.rate / 1000


# ------------------------------------------------------------------ together again


def joined(parts: Iterable[tuple[Float32, float]], rate: int, speed: float = 1.0) -> Float32:
    """Put the sound of pieces, each with its gap (seconds), end to end at `rate` Hz.

    Both ends of every piece fade; gaps are silent and last 1 / speed as long. Where a gap is
    negative, the two pieces are faded into each other.
    """
    found: list[Float32] = []
    fade = round(FADE * rate)
    for samples, gap in parts:
        faded = _faded(samples, fade)
        if gap >= 0 or not found:
            found += [np.zeros(round(max(gap, 0.0) / speed * rate), np.float32), faded]
            continue
        both = min(fade, len(faded), len(found[-1]))
        found[-1][len(found[-1]) - both :] += faded[:both]
        found.append(faded[both:])
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _faded(samples: Float32, fade: int) -> Float32:
    """Return samples that come and go in `fade` samples; two such ends add up to one."""
    count = min(fade, len(samples) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))).astype(np.float32)
    faded = samples.astype(np.float32, copy=True)
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded


def batches(pieces: Sequence[Piece], frames: int, most: int) -> Iterator[list[Piece]]:
    """Yield pieces in order, as many at once as stay below `frames` frames and `most` pieces."""
    batch: list[Piece] = []
    for piece in pieces:
        widest = max([piece.frames, *(each.frames for each in batch)])
        if batch and (len(batch) == most or widest * (len(batch) + 1) > frames):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch
