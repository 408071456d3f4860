"""Which target frames a source frame becomes.

Dynamic time warping (L1 between log-mels averaged over r frames; steps (1,1), (1,0),
(0,1)) maps the S = T_source // r reduced source frames to the N = T_target // r reduced
target frames. Every target frame belongs to exactly one source frame, so the durations
(S,) sum to N.

Each band's mean over the recording's speech is taken off first (`align.normalise = "mean"`),
so that a louder recording or a darker voice does not bend the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = [
    "VERSION",
    "Alignment",
    "Phrases",
    "align",
    "durations_from_path",
    "phrase_lengths",
    "reduce_frames",
    "spread_in_silence",
    "warp",
]

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Span = tuple[int, int]

VERSION = 3  # raise when the alignment objects hold other numbers for the same input
_DIAGONAL, _TARGET_STEP, _SOURCE_STEP = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The outcome for one pair."""

    durations: Int32  # (S,) reduced target frames of each reduced source frame; sums to N
    cost: float  # mean L1 per band along the path; natural log of the mel magnitude


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """Phrase lengths of both sides in reduced frames, none of them 0."""

    source: tuple[int, ...]  # sums to S
    target: tuple[int, ...]  # sums to N
    merged: int  # breaks given up because a phrase would have been empty


def reduce_frames(mel: Float32, reduction: int) -> Float32:
    """Average (T, bands) over groups of r frames -> (T // r, bands)."""
    whole = len(mel) // reduction * reduction
    total = mel[0:whole:reduction].astype(np.float32)
    for offset in range(1, reduction):
        total += mel[offset:whole:reduction]
    return np.asarray(total / np.float32(reduction))


@njit(cache=True, nogil=True)
def _warp(source: Any, target_bands: Any) -> Any:  # noqa: C901 - one compiled kernel
    """Walk the cost matrix row by row; the inner loop runs over target frames.

    Each cell is summed band by band in one fixed order, so the result does not depend
    on the vector width of the machine.
    """
    rows, bands = source.shape
    columns = target_bands.shape[1]
    step = np.empty((rows, columns), dtype=np.uint8)
    local = np.empty(columns, dtype=np.float32)
    above = np.empty(columns, dtype=np.float64)
    here = np.empty(columns, dtype=np.float64)
    for i in range(rows):
        local[:] = 0.0
        for band in range(bands):
            value = source[i, band]
            row = target_bands[band]
            for j in range(columns):
                local[j] += abs(value - row[j])
        for j in range(columns):
            if i == 0 and j == 0:
                best, move = 0.0, 0
            elif i == 0:
                best, move = here[j - 1], 1
            elif j == 0:
                best, move = above[j], 2
            else:
                best, move = above[j - 1], 0
                if here[j - 1] < best:
                    best, move = here[j - 1], 1
                if above[j] < best:
                    best, move = above[j], 2
            here[j] = best + local[j]
            step[i, j] = move
        above, here = here, above
    total = above[columns - 1]
    path = np.empty((rows + columns, 2), dtype=np.int32)
    i, j, n = rows - 1, columns - 1, 0
    while True:
        path[n, 0] = i
        path[n, 1] = j
        n += 1
        if i == 0 and j == 0:
            break
        move = step[i, j]
        if move != 1:
            i -= 1
        if move != 2:
            j -= 1
    return path[:n][::-1].copy(), total


def warp(source: Float32, target: Float32) -> tuple[Int32, float]:
    """Warp (S, bands) onto (N, bands) exactly.

    Returns
    -------
    path : (P, 2) index pairs from (0, 0) to (S - 1, N - 1)
    cost : sum of the L1 distances along it

    """
    path, cost = _warp(
        np.ascontiguousarray(source, dtype=np.float32),
        np.ascontiguousarray(target.T, dtype=np.float32),
    )
    return path, float(cost)


def durations_from_path(path: Int32, sources: int) -> Int32:
    """Count target frames for each source frame along a warping path -> (sources,).

    Where a target frame repeats, the first source frame takes it and the others get 0;
    where a source frame repeats, it accumulates.
    """
    new_target = np.concatenate(([True], np.diff(path[:, 1]) > 0))
    return np.bincount(path[new_target, 0], minlength=sources).astype(np.int32)


def spread_in_silence(durations: Int32, silent: npt.NDArray[np.bool_]) -> Int32:
    """Spread the durations evenly within every run of silent source frames.

    Inside silence all frames are alike and the warping path is arbitrary.
    """
    result = durations.copy()
    padded = np.concatenate(([False], silent, [False])).astype(np.int8)
    begins = np.flatnonzero(np.diff(padded) == 1)
    ends = np.flatnonzero(np.diff(padded) == -1)
    for begin, end in zip(begins, ends, strict=True):
        length, total = int(end - begin), int(durations[begin:end].sum())
        result[begin:end] = np.diff(np.arange(length + 1) * total // length)
    return result


def align(
    source_mel: Float32,
    target_mel: Float32,
    source_silences: Sequence[Span],
    reduction: int,
    *,
    target_silences: Sequence[Span] = (),
    normalise: str = "mean",
) -> Alignment:
    """Align two mels (T_source, bands), (T_target, bands) at the reduced rate.

    Parameters
    ----------
    source_silences, target_silences : silent spans, in frames
    reduction : r; both mels need at least r frames
    normalise : "mean" takes each band's mean over speech off, "none" leaves it

    Returns
    -------
    Alignment
        len(durations) == T_source // r and sum(durations) == T_target // r.
    """
    source, target = (
        _normalised(reduce_frames(mel, reduction), spans, reduction, normalise)
        for mel, spans in ((source_mel, source_silences), (target_mel, target_silences))
    )
    path, cost = warp(source, target)
    durations = durations_from_path(path, len(source))
    silent = _reduced_mask(source_silences, len(source), reduction)
    return Alignment(
        durations=spread_in_silence(durations, silent),
        cost=cost / (len(path) * source.shape[1]),
    )


def _normalised(mel: Float32, silences: Sequence[Span], reduction: int, how: str) -> Float32:
    if how == "none":
        return mel
    speech = ~_reduced_mask(silences, len(mel), reduction)
    mean = (mel[speech] if speech.any() else mel).mean(axis=0, dtype=np.float64)
    return np.asarray(mel - mean.astype(np.float32))


def _reduced_mask(spans: Sequence[Span], count: int, reduction: int) -> npt.NDArray[np.bool_]:
    """Mark the reduced frames of which more than half is silent."""
    mask = np.zeros(count * reduction, dtype=np.int64)
    for begin, end in spans:
        mask[begin:end] = 1  # what lies past the last whole reduced frame falls off
    return np.asarray(mask.reshape(count, reduction).sum(axis=1) * 2 > reduction)


def phrase_lengths(breaks: Sequence[int], durations: Int32, reduction: int) -> Phrases:
    """Cut both sides into phrases at the target's breaks.

    Parameters
    ----------
    breaks : target frames at which a long silence starts
    durations : (S,) reduced target frames of each reduced source frame

    Returns
    -------
    Phrases
        Breaks are snapped to the reduced grid and follow to the source through the
        durations; a break that would leave a phrase empty on either side is merged.

    """
    reached = np.cumsum(durations)  # target frames reached after each source frame
    sources, targets = len(durations), int(reached[-1])
    cuts: list[Span] = [(0, 0)]
    merged = 0
    for frame in breaks:
        target = (2 * frame + reduction) // (2 * reduction)  # nearest reduced frame
        if target == 0:
            continue  # the recording begins with this silence: nothing precedes it
        source = _source_of(target, reached)
        if cuts[-1][0] < source < sources and cuts[-1][1] < target < targets:
            cuts.append((source, target))
        else:
            merged += 1
    cuts.append((sources, targets))
    lengths = np.diff(np.array(cuts), axis=0)
    return Phrases(
        source=tuple(int(n) for n in lengths[:, 0]),
        target=tuple(int(n) for n in lengths[:, 1]),
        merged=merged,
    )


def _source_of(target: int, reached: npt.NDArray[np.signedinteger]) -> int:
    """Return how many source frames come before the target frame boundary `target`."""
    index = int(np.searchsorted(reached, target))
    if index >= len(reached):
        return len(reached)
    before = int(reached[index - 1]) if index else 0
    # A source frame that straddles the boundary goes to the side that holds more of it.
    return index + 1 if 2 * (target - before) > int(reached[index]) - before else index
