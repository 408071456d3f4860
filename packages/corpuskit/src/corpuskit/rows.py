"""The rows of a version's files: what they say, and reading them only as they are asked for.

A manifest grows with the corpus; whoever opens a version seldom needs all of it. `Rows` is a
sequence over a JSON-lines file: opening it checks the file's digest and notes where lines
begin, and a row is parsed when somebody asks for it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from corpuskit.errors import BadVersion
from corpuskit.files import canonical

__all__ = [
    "Pair",
    "Recording",
    "Rows",
    "SetAside",
    "Side",
    "broken",
    "line_of",
    "pair_of",
    "recording_of",
    "row_of",
    "set_aside_of",
]

Row = TypeVar("Row")
Span = tuple[int, int]

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class Side:
    """One recording's part in a pair. T = frames[1] - frames[0], r the reduction factor."""

    speaker: str
    recording: str  # id, "speaker/sentence"
    object: str  # name of the features object
    rate: int  # Hz, of the recording
    length: int  # samples of the whole recording
    samples: Span  # kept part, in samples of the recording
    frames: Span  # kept frames of the whole recording's frames
    silences: tuple[Span, ...]  # silent spans, frames relative to frames[0]
    phrases: tuple[int, ...]  # phrase lengths in reduced frames, all >= 1, sum T // r

    @property
    def kept_seconds(self) -> float:
        """Seconds between head and tail."""
        return (self.samples[1] - self.samples[0]) / self.rate

    @property
    def head_seconds(self) -> float:
        """Seconds trimmed at the head."""
        return self.samples[0] / self.rate

    @property
    def tail_seconds(self) -> float:
        """Seconds trimmed at the tail."""
        return (self.length - self.samples[1]) / self.rate


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two recordings of one sentence, and every decision about them."""

    id: str  # "source>target/sentence"
    sentence: str
    split: str  # "train", "dev" or "eval"
    source: Side
    target: Side
    breaks: Span  # long silences found in each recording by itself (source, target)
    merged: int  # phrase breaks given up because a phrase would have been empty
    alignment: str  # name of the alignment object
    durations: Span  # (offset, length) in the version's flat durations


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording of the corpora and the one state it ended in."""

    id: str
    speaker: str
    sentence: str
    corpus: str
    path: str  # below the corpus root
    digest: str  # of decoded samples and rate; empty when it could not be decoded
    rate: int
    samples: int  # of the clip
    levels: str  # object names; empty when not measured
    features: str
    state: str  # "used" or "set aside"
    reason: str  # why it was set aside
    clip: Span | None = None  # samples of the file that it is; None: the whole file
    text: str = ""  # transcript, where the corpus has one; not part of the fingerprint
    f0_range: tuple[float, float] | None = None  # Hz, the speaker's; None: the settings'
    note: str = ""  # what of the corpus was corrected to get it (another name, a clip)


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A candidate pair that is not used."""

    pair: str
    reason: str


# ------------------------------------------------------------------ to and from a line


def row_of(value: Any) -> dict[str, Any]:
    """Return a row's fields as a new dict (`dataclasses.asdict` would copy every number)."""
    return {
        name: dict(vars(item)) if dataclasses.is_dataclass(item) else item
        for name, item in vars(value).items()
    }


def line_of(value: Any) -> bytes:
    """Return a row as the line of a file."""
    return f"{canonical(row_of(value))}\n".encode()


def pair_of(line: bytes) -> Pair:
    """Read a line of manifest.jsonl (KeyError, TypeError or ValueError when it is none)."""
    row = json.loads(line)
    row["source"] = _side(row["source"])
    row["target"] = _side(row["target"])
    row["breaks"] = tuple(row["breaks"])
    row["durations"] = tuple(row["durations"])
    return _made(Pair, row)


def _side(row: dict[str, Any]) -> Side:
    row["samples"] = tuple(row["samples"])
    row["frames"] = tuple(row["frames"])
    row["silences"] = tuple(map(tuple, row["silences"]))
    row["phrases"] = tuple(row["phrases"])
    return _made(Side, row)


def recording_of(line: bytes) -> Recording:
    """Read a line of recordings.jsonl (KeyError, TypeError or ValueError when it is none)."""
    row = json.loads(line)
    for name in ("clip", "f0_range"):
        if row[name] is not None:
            row[name] = tuple(row[name])
    return _made(Recording, row)


def set_aside_of(line: bytes) -> SetAside:
    """Read a line of set_aside.jsonl (KeyError, TypeError or ValueError when it is none)."""
    return _made(SetAside, json.loads(line))


_FIELDS = {
    cls: frozenset(field.name for field in dataclasses.fields(cls))
    for cls in (Side, Pair, Recording, SetAside)
}


def _made(cls: type[Row], fields: dict[str, Any]) -> Row:
    """Make a frozen row of exactly its fields; ten times as fast as its constructor."""
    if fields.keys() != _FIELDS[cast("Any", cls)]:
        raise KeyError(*sorted(fields.keys() ^ _FIELDS[cast("Any", cls)]))
    made = object.__new__(cls)
    vars(made).update(fields)
    return made


# ------------------------------------------------------------------------ lazy reading


def broken(name: str, problem: str) -> BadVersion:
    """Return the error for a version that is not what it was."""
    return BadVersion(
        f"dataset {name} is damaged: {problem}", "remove the version's folder and build it again"
    )


class Rows(Sequence[Row], Generic[Row]):
    """The rows of a JSON-lines file of a version, parsed each time they are asked for."""

    def __init__(self, path: Path, digest: str, read: Callable[[bytes], Row]) -> None:
        """Check the file against its SHA-256 and note where its lines begin.

        Raises
        ------
        BadVersion
            The file is missing or damaged.

        """
        self._path, self._read = path, read
        hasher, ends, at = hashlib.sha256(), [], 0
        try:
            with path.open("rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    hasher.update(chunk)
                    ends.append(np.flatnonzero(np.frombuffer(chunk, dtype=np.uint8) == 10) + at)
                    at += len(chunk)
        except OSError as error:
            raise self._broken(f"{path.name} cannot be read ({error.strerror})") from None
        if hasher.hexdigest() != digest:
            raise self._broken(f"the content of {path.name} does not fit its digest")
        last = np.concatenate(ends) if ends else np.empty(0, dtype=np.int64)
        self._begins: npt.NDArray[np.int64] = np.concatenate(([0], last + 1))

    def _broken(self, problem: str) -> BadVersion:
        return broken(self._path.parent.name, problem)

    def _row(self, line: bytes) -> Row:
        try:
            return self._read(line)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._broken(f"a field is missing or unknown ({error})") from None

    def __len__(self) -> int:
        return len(self._begins) - 1

    def __iter__(self) -> Iterator[Row]:
        return map(self._row, self.lines())

    def where(self, chosen: Callable[[bytes], bool]) -> Iterator[Row]:
        """Yield the rows whose lines are `chosen`; the others are not parsed."""
        return map(self._row, filter(chosen, self.lines()))

    def lines(self) -> Iterator[bytes]:
        """Yield the lines as they stand in the file, ends included."""
        try:
            with self._path.open("rb", buffering=_CHUNK) as file:
                yield from file
        except OSError as error:
            raise self._broken(f"{self._path.name} cannot be read ({error.strerror})") from None

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(index, slice):
            return self.at(range(len(self))[index])
        return self.at([range(len(self))[index]])[0]

    def at(self, positions: Iterable[int]) -> tuple[Row, ...]:
        """Return the rows at some positions, reading these alone."""
        try:
            with self._path.open("rb") as file:
                return tuple(self._at(file, int(position)) for position in positions)
        except OSError as error:
            raise self._broken(f"{self._path.name} cannot be read ({error.strerror})") from None

    def _at(self, file: Any, position: int) -> Row:
        begin, end = self._begins[position : position + 2]
        file.seek(begin)
        return self._row(file.read(end - begin))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        same = (one == two for one, two in zip(self, other, strict=True))
        return len(self) == len(other) and all(same)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} rows of {self._path.name}>"


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON lists, and lists of lists, into tuples."""
    return {
        key: tuple(tuple(item) if isinstance(item, list) else item for item in value)
        if isinstance(value, list)
        else value
        for key, value in row.items()
    }
