"""A manifest's decisions as columns: what is compared and counted without making a pair.

`columns.safetensors` says nothing that manifest.jsonl does not say (`verify` holds one against
the other); it says it in arrays, so that two versions of any size are compared block by block.
Per pair and per side, in the manifest's order (n pairs, side 0 the source, 1 the target):

ids        uint8         UTF-8 of all ids, end to end        id_ends    int64 (n,)
split      uint8 (n,)    place in SPLITS                     breaks     int32 (n, 2)
merged     int32 (n,)                                        durations  int64 (n, 2)
speaker    int32 (n, 2)  place among the version's speakers
recording, object, audio uint64 (n, 2)   first 8 bytes of the SHA-256 of the recording's id,
                                         its features' name, its audio's digest
rate       int32 (n, 2)  Hz                                  length     int64 (n, 2)  samples
samples    int64 (n, 2, 2)                                   frames     int32 (n, 2, 2)
silences   int32 (all, 2)   spans of all sides, end to end   silence_counts int32 (n, 2)
phrases    int32 (all,)     lengths, end to end              phrase_counts  int32 (n, 2)
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.rows import Pair, Side

__all__ = ["SPLITS", "Columns", "Gathered", "gathered", "short_hash"]

SPLITS = ("train", "dev", "eval")
Int64 = npt.NDArray[np.int64]


@cache
def _place(split: str) -> int:
    return SPLITS.index(split)


def short_hash(text: str) -> int:
    """Return 64 bits of a text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The pairs of one version as arrays (see the module)."""

    ids: npt.NDArray[np.uint8]
    id_ends: Int64
    split: npt.NDArray[np.uint8]
    breaks: npt.NDArray[np.int32]
    merged: npt.NDArray[np.int32]
    durations: Int64
    speaker: npt.NDArray[np.int32]
    recording: npt.NDArray[np.uint64]
    object: npt.NDArray[np.uint64]
    audio: npt.NDArray[np.uint64]
    rate: npt.NDArray[np.int32]
    length: Int64
    samples: Int64
    frames: npt.NDArray[np.int32]
    silences: npt.NDArray[np.int32]
    silence_counts: npt.NDArray[np.int32]
    phrases: npt.NDArray[np.int32]
    phrase_counts: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.id_ends)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def id(self, position: int) -> str:
        """Return the id of one pair."""
        begin = self.id_ends[position - 1] if position else 0
        return self.ids[begin : self.id_ends[position]].tobytes().decode()

    def names(self) -> list[str]:
        """Return the ids of all pairs."""
        text, ends = self.ids.tobytes(), self.id_ends.tolist()
        return [text[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]

    def positions(self, split: str) -> Int64:
        """Return where the pairs of one split stand."""
        found = _place(split) if split in SPLITS else len(SPLITS)
        return np.flatnonzero(self.split == found)

    @cached_property
    def silence_starts(self) -> Int64:
        """Return where each side's silences begin (n, 2)."""
        return _starts(self.silence_counts)

    @cached_property
    def phrase_starts(self) -> Int64:
        """Return where each side's phrases begin (n, 2)."""
        return _starts(self.phrase_counts)

    @cached_property
    def silent(self) -> Int64:
        """Return the silent frames before each silence, and in all (all + 1,)."""
        return _summed(self.silences[:, 1] - self.silences[:, 0])

    @cached_property
    def phrased(self) -> Int64:
        """Return the reduced frames before each phrase, and in all (all + 1,)."""
        return _summed(self.phrases)

    def same_as(self, other: Columns) -> bool:
        """Tell whether two say the same."""
        pairs = zip(self.arrays().values(), other.arrays().values(), strict=True)
        return all(np.array_equal(one, two) for one, two in pairs)


def _starts(counts: npt.NDArray[np.int32]) -> Int64:
    ends = np.cumsum(counts.reshape(-1), dtype=np.int64)
    return (ends - counts.reshape(-1)).reshape(-1, 2)


def _summed(values: npt.NDArray[np.int32]) -> Int64:
    return np.concatenate(([0], np.cumsum(values, dtype=np.int64)))


class Gathered:
    """Columns in the making: pairs are added one by one and need not be kept."""

    def __init__(self, speakers: Sequence[str], audio: Mapping[str, str]) -> None:
        """`speakers` of the version, sorted; `audio` digests of its recordings."""
        self._speakers = {name: place for place, name in enumerate(speakers)}
        self._audio = audio
        self._sides: dict[tuple[str, str], tuple[int, ...]] = {}
        self._ids: list[bytes] = []
        # Growing rows of 8-byte numbers; lists of them would take four times as much.
        self._pairs = array("q")  # split, merged, breaks, durations
        self._places = array("q")  # speaker, rate, length, samples, frames, counts
        self._hashes = array("Q")
        self._silences = array("q")
        self._phrases = array("q")

    def add(self, pair: Pair) -> None:
        """Add the next pair."""
        self._ids.append(pair.id.encode())
        self._pairs.extend((_place(pair.split), pair.merged, *pair.breaks, *pair.durations))
        for side in (pair.source, pair.target):
            self._add(side)

    def _add(self, side: Side) -> None:
        silences, phrases = side.silences, side.phrases
        speaker = self._speakers.get(side.speaker, -1)
        self._places.extend((speaker, side.rate, side.length, *side.samples, *side.frames))
        self._places.extend((len(silences), len(phrases)))
        self._hashes.extend(self._named(side))
        self._silences.extend(frame for span in silences for frame in span)
        self._phrases.extend(phrases)

    def _named(self, side: Side) -> tuple[int, ...]:
        key = (side.recording, side.object)
        found = self._sides.get(key)
        if found is None:
            texts = (side.recording, side.object, self._audio.get(side.recording, ""))
            found = self._sides[key] = tuple(short_hash(text) for text in texts)
        return found

    def columns(self) -> Columns:
        """Return what was added."""
        pairs = _numbers(self._pairs).reshape(-1, 6)
        places = _numbers(self._places).reshape(-1, 2, 9)
        hashes = _numbers(self._hashes).reshape(-1, 2, 3)
        return Columns(
            ids=np.frombuffer(b"".join(self._ids), dtype=np.uint8),
            id_ends=np.cumsum([len(name) for name in self._ids], dtype=np.int64),
            split=pairs[:, 0].astype(np.uint8),
            merged=pairs[:, 1].astype(np.int32),
            breaks=pairs[:, 2:4].astype(np.int32),
            durations=np.ascontiguousarray(pairs[:, 4:6]),
            speaker=places[:, :, 0].astype(np.int32),
            rate=places[:, :, 1].astype(np.int32),
            length=np.ascontiguousarray(places[:, :, 2]),
            samples=np.ascontiguousarray(places[:, :, 3:5]),
            frames=places[:, :, 5:7].astype(np.int32),
            silence_counts=places[:, :, 7].astype(np.int32),
            phrase_counts=places[:, :, 8].astype(np.int32),
            recording=np.ascontiguousarray(hashes[:, :, 0]),
            object=np.ascontiguousarray(hashes[:, :, 1]),
            audio=np.ascontiguousarray(hashes[:, :, 2]),
            silences=_numbers(self._silences).astype(np.int32).reshape(-1, 2),
            phrases=_numbers(self._phrases).astype(np.int32),
        )


def _numbers(held: array[int]) -> npt.NDArray[Any]:
    return np.frombuffer(held, dtype=held.typecode) if held else np.empty(0, dtype=held.typecode)


def gathered(pairs: Iterable[Pair], speakers: Sequence[str], audio: Mapping[str, str]) -> Columns:
    """Return the columns of some pairs."""
    made = Gathered(speakers, audio)
    for pair in pairs:
        made.add(pair)
    return made.columns()
