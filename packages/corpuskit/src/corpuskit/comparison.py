"""Two versions' pairs compared column by column, some thousands at a time.

No pair is made and none is read: what is compared stands in `columns`, and durations are
taken from the versions' arrays block by block, so memory does not grow with the versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.columns import Columns, short_hash
from corpuskit.versions import Version

__all__ = ["ASPECTS", "MEASURES", "Compared", "compare", "matched"]

ASPECTS = ("audio", "features", "tiers", "trim", "silence", "phrases", "durations", "split")
MEASURES = ("speech", "trimmed", "silent", "phrases", "target_frames")

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 8192  # pairs compared at once


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The pairs of two versions that differ, k of them, in the order of their ids."""

    positions: Int64  # (k,) place in `after`
    aspects: Bools  # (k, ASPECTS)
    measures: Float64  # (k, MEASURES, 2) before and after; seconds and counts


def matched(before: Columns, after: Columns) -> tuple[Int64, Int64]:
    """Return where the pairs both versions have stand in either, in the order of their ids."""
    if np.array_equal(before.ids, after.ids) and np.array_equal(before.id_ends, after.id_ends):
        everywhere = np.arange(len(after), dtype=np.int64)
        return everywhere, everywhere
    places = {name: place for place, name in enumerate(before.names())}
    common = [(places[name], at) for at, name in enumerate(after.names()) if name in places]
    both = np.array(common, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def compare(
    before: Version, after: Version, common: tuple[Int64, Int64], by_hand: Iterable[str]
) -> Compared:
    """Compare the pairs at `common` places; `by_hand` names recordings whose tiers differ."""
    hands = np.array([short_hash(name) for name in by_hand], dtype=np.uint64)
    versions = _Half(before), _Half(after)
    positions, aspects, measures = [], [], []
    for begin in range(0, len(common[0]), _BLOCK):
        at = [places[begin : begin + _BLOCK] for places in common]
        old, new = (half.at(places) for half, places in zip(versions, at, strict=True))
        found = _aspects(old, new, hands)
        changed = np.flatnonzero(found.any(axis=1))
        positions.append(at[1][changed])
        aspects.append(found[changed])
        measures.append(np.stack([old.measures()[changed], new.measures()[changed]], axis=2))
    return Compared(
        positions=np.concatenate([np.empty(0, dtype=np.int64), *positions]),
        aspects=np.concatenate([np.empty((0, len(ASPECTS)), dtype=np.bool_), *aspects]),
        measures=np.concatenate([np.empty((0, len(MEASURES), 2)), *measures]),
    )


@dataclass(frozen=True)
class _Runs:
    """Values of uneven number: (m,) `starts` and `counts` of them, read by place and owner."""

    starts: Int64
    counts: npt.NDArray[Any]
    read: Callable[[Int64, Int64], npt.NDArray[Any]]


class _Half:
    """One version, ready to be looked at in blocks."""

    def __init__(self, version: Version) -> None:
        settings = version.settings
        self.columns = version.columns
        self.durations = version.flat_durations
        self.second = settings.features.hop_length / settings.audio.rate
        self.reduction = settings.align.reduction

    def at(self, places: Int64) -> _Block:
        return _Block(self, places)


class _Block:
    """Some pairs of one version (m of them)."""

    def __init__(self, half: _Half, places: Int64) -> None:
        self._half, self._places = half, places
        self.frames = self["frames"].astype(np.int64)  # (m, 2, 2)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = getattr(self._half.columns, column)[self._places]
        return found

    def silences(self, side: int) -> _Runs:
        """Silences, counted from the recording's first frame: what is kept may have moved."""
        spans, first = self._half.columns.silences, self.frames[:, side, 0]
        return _Runs(
            self["silence_starts"][:, side],
            self["silence_counts"][:, side],
            lambda index, owner: spans[index] + first[owner, None],
        )

    def breaks(self, side: int) -> _Runs:
        """Frames of the recording at which phrases break; the last phrase ends without one."""
        starts, first = self["phrase_starts"][:, side], self.frames[:, side, 0]
        before, reduction = self._half.columns.phrased, self._half.reduction
        return _Runs(
            starts,
            np.maximum(self["phrase_counts"][:, side] - 1, 0),
            lambda index, owner: (
                (before[index + 1] - before[starts[owner]]) * reduction + first[owner]
            ),
        )

    def durations(self) -> _Runs:
        """Durations."""
        place = self["durations"]
        return _Runs(place[:, 0], place[:, 1], lambda index, _: self._half.durations[index])

    def measures(self) -> Float64:
        """Return (m, MEASURES), seconds and phrases of both sides, frames of the target."""
        columns, second = self._half.columns, self._half.second
        silent = _between(columns.silent, self["silence_starts"], self["silence_counts"]) * second
        speech = (self.frames[:, :, 1] - self.frames[:, :, 0]) * second - silent
        samples, rate = self["samples"], self["rate"]
        cut = samples[:, :, 0] / rate + (self["length"] - samples[:, :, 1]) / rate
        seconds = [np.round(each[:, 0] + each[:, 1], 6) for each in (speech, cut, silent)]
        counts = self["phrase_counts"]
        frames = _between(columns.phrased, self["phrase_starts"], counts)
        return np.stack([*seconds, counts[:, 1], frames[:, 1]], axis=1)


def _between(sums: Int64, starts: Int64, counts: npt.NDArray[Any]) -> Int64:
    return np.asarray(sums[starts + counts] - sums[starts])


def _aspects(old: _Block, new: _Block, hands: npt.NDArray[np.uint64]) -> Bools:
    """Return (m, ASPECTS)."""
    other_object = old["object"] != new["object"]
    # An object's name is made of its audio's digest: the same object is the same audio.
    other = other_object | (old["recording"] != new["recording"])
    audio = (other & (old["audio"] != new["audio"])).any(axis=1)
    return np.stack(
        [
            audio,
            ~audio & other_object.any(axis=1),
            np.isin(new["recording"], hands).any(axis=1),
            (old["samples"] != new["samples"]).any(axis=(1, 2)),
            _differ(old.silences(0), new.silences(0)) | _differ(old.silences(1), new.silences(1)),
            (old["breaks"] != new["breaks"]).any(axis=1)
            | (old["merged"] != new["merged"])
            | _differ(old.breaks(0), new.breaks(0))
            | _differ(old.breaks(1), new.breaks(1)),
            _differ(old.durations(), new.durations()),
            old["split"] != new["split"],
        ],
        axis=1,
    )


def _differ(one: _Runs, other: _Runs) -> Bools:
    """Tell which runs are not the same, value by value (m,)."""
    different = np.asarray(one.counts != other.counts)
    rows = np.flatnonzero(~different)
    counts = one.counts[rows]
    owner = np.repeat(rows, counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    values = [runs.read(runs.starts[owner] + within, owner) for runs in (one, other)]
    changed = values[0] != values[1]
    different[owner[changed.any(axis=1) if changed.ndim == 2 else changed]] = True
    return different
